package main

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestWebhookReceive: what is signed with the secret is taken and told, all else is
// refused.
func TestWebhookReceive(t *testing.T) {
	t.Parallel()
	key := []byte("a secret of a shop")
	read, write := io.Pipe()
	root := rootCommand()
	root.SetArgs([]string{"webhook", "receive", "--listen", "127.0.0.1:0", "--secret", "whsec_" + base64.StdEncoding.EncodeToString(key)})
	root.SetOut(write)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := root.ExecuteContext(ctx)
		_ = write.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(read)
	lines.Scan()
	address := strings.TrimPrefix(lines.Text(), "Waiting for webhooks at ")
	for _, c := range []struct {
		key    []byte
		status int
		says   string
	}{{key, 204, "payment.captured pay_1 evt_1"}, {[]byte("another"), 401, "not signed with this secret"}} {
		body, stamp := `{"id":"evt_1","type":"payment.captured","payment_id":"pay_1"}`, time.Now().Unix()
		mac := hmac.New(sha256.New, c.key)
		fmt.Fprintf(mac, "evt_1.%d.%s", stamp, body)
		request, err := http.NewRequest("POST", address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Webhook-Id", "evt_1")
		request.Header.Set("Webhook-Timestamp", fmt.Sprint(stamp))
		request.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		said := make(chan string, 1)
		go func() { lines.Scan(); said <- lines.Text() }()
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if line := <-said; answer.StatusCode != c.status || !strings.HasSuffix(line, fmt.Sprintf("%d %s", c.status, c.says)) {
			t.Errorf("%d, said %q; want %d %s", answer.StatusCode, line, c.status, c.says)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
