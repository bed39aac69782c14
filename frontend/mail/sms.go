package mail

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Gateway sends short messages, by POSTs of {"id", "to", "text"} to the address of a
// provider. It is goroutine-safe.
type Gateway struct {
	URL     string
	Token   string        // sent as Authorization: Bearer; empty: none
	Timeout time.Duration // default 15s
}

// Post sends a message once: any 2xx says that it was taken, a 4xx other than 429
// that it never will be.
func (g *Gateway) Post(ctx context.Context, m *Message) error {
	limit := g.Timeout
	if limit == 0 {
		limit = 15 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, err := json.Marshal(map[string]string{"id": m.ID, "to": m.To, "text": m.Short})
	if err != nil {
		return &Refused{err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL, bytes.NewReader(body))
	if err != nil {
		return &Refused{err}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", m.ID)
	if g.Token != "" {
		request.Header.Set("Authorization", "Bearer "+g.Token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 16<<10))
	switch {
	case response.StatusCode/100 == 2:
		return nil
	case response.StatusCode/100 == 4 && response.StatusCode != http.StatusTooManyRequests:
		return &Refused{fmt.Errorf("the gateway says %s", response.Status)}
	}
	return fmt.Errorf("the gateway says %s", response.Status)
}

// Notes puts short messages into a directory, one file each. It is for
// demonstrations and tests, and goroutine-safe.
type Notes struct{ Dir string }

// Post writes a message. The file appears whole.
func (n *Notes) Post(_ context.Context, m *Message) error {
	f := Folder{Dir: n.Dir}
	return f.write(m.ID+".txt", []byte(m.To+"\n"+m.Short+"\n"))
}
