package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Result is one row of the results of a period: one of its members is set.
type Result struct {
	Payment   *Payment
	Payout    *Payout // a payout or a verification
	Operation *Operation
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Result) UnmarshalJSON(text []byte) error {
	var kind struct{ Object string }
	if err := json.Unmarshal(text, &kind); err != nil {
		return err
	}
	switch kind.Object {
	case "payment":
		r.Payment = new(Payment)
		return json.Unmarshal(text, r.Payment)
	case "payout", "verification":
		r.Payout = new(Payout)
		return json.Unmarshal(text, r.Payout)
	}
	r.Operation = new(Operation)
	return json.Unmarshal(text, r.Operation)
}

// ResultsFilter selects what the account did in a period.
type ResultsFilter struct {
	From, To time.Time // zero: no bound; From is included, To is not
	Status   string    // of a payment or of an operation; empty: any
	Limit    int       // rows of a page, 1 to 1000; 0: the API's default
	Cursor   string    // of the page before
}

func (f *ResultsFilter) query() url.Values {
	q := url.Values{}
	for name, at := range map[string]time.Time{"from": f.From, "to": f.To} {
		if !at.IsZero() {
			q.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	for name, text := range map[string]string{"status": f.Status, "cursor": f.Cursor} {
		if text != "" {
			q.Set(name, text)
		}
	}
	return q
}

// ResultsPage is one page of results, oldest first.
type ResultsPage = Page[Result]

// ListResults reads one page of what the account did in a period.
func (c *Client) ListResults(ctx context.Context, f ResultsFilter) (*ResultsPage, error) {
	return read[ResultsPage](ctx, c, call{method: http.MethodGet, path: "/v1/results", query: f.query()})
}

// AllResults goes through all pages. It ends with the first error.
func (c *Client) AllResults(ctx context.Context, f ResultsFilter) iter.Seq2[Result, error] {
	return all[Result](ctx, c, call{method: http.MethodGet, path: "/v1/results", query: f.query()})
}

// ResultsCSV streams all rows of a period as CSV with a header. The caller reads it
// to its end and closes it; a read that fails means that the rows are not all
// there. It is not repeated, and ctx bounds it, not Options.Timeout.
func (c *Client) ResultsCSV(ctx context.Context, f ResultsFilter) (io.ReadCloser, error) {
	f.Limit = 0
	q := f.query()
	q.Set("format", "csv")
	return c.stream(ctx, call{method: http.MethodGet, path: "/v1/results", query: q})
}

// stream is once for an answer that the caller reads.
func (c *Client) stream(ctx context.Context, ask call) (io.ReadCloser, error) {
	req, err := c.request(ctx, ask)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &Lost{Method: ask.method, Path: ask.path, Err: err}
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &Lost{Method: ask.method, Path: ask.path, Err: fmt.Errorf("the problem cannot be read: %w", err)}
	}
	return nil, problemOf(resp, body, "")
}
