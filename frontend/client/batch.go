package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// BatchRow is one row of a batch. Operation is "payment", "capture", "cancel" or
// "refund"; a payment is by a saved card.
type BatchRow struct {
	Operation string `json:"operation"`
	PaymentID string `json:"payment_id,omitempty"` // not of a payment
	Amount    int64  `json:"amount,omitempty"`     // minor units
	All       bool   `json:"-"`                    // all that is left, in place of Amount; not of a payment
	Final     bool   `json:"final,omitempty"`      // of a capture
	Reason    string `json:"reason,omitempty"`     // of a cancel or a refund

	Token         string `json:"token,omitempty"` // this and what follows only of a payment
	Currency      string `json:"currency,omitempty"`
	OrderID       string `json:"order_id,omitempty"`
	CustomerID    string `json:"customer_id,omitempty"`
	Description   string `json:"description,omitempty"`
	Bank          string `json:"bank,omitempty"`
	Initiator     string `json:"initiator,omitempty"`      // "merchant" when empty
	CaptureMethod string `json:"capture_method,omitempty"` // "automatic" when empty
}

// Batch is many operations that were accepted together.
type Batch struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	Live    bool   `json:"livemode"`
	Status  string `json:"status"` // processing, canceling, completed or canceled
	Rows    struct {
		Total     int `json:"total"`
		Queued    int `json:"queued"`
		Succeeded int `json:"succeeded"`
		Declined  int `json:"declined"`
		Open      int `json:"open"` // pending or unknown when answered
		Refused   int `json:"refused"`
		Canceled  int `json:"canceled"`
	} `json:"rows"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	CanceledAt *time.Time `json:"canceled_at"`
	EndedAt    *time.Time `json:"ended_at"`

	Meta Meta `json:"-"` // zero in lists
}

// BatchedRow is a row and what came of it.
type BatchedRow struct {
	Row       int    `json:"row"` // from 1
	Operation string `json:"operation"`
	Status    string `json:"status"` // queued, done, refused or canceled
	PaymentID string `json:"payment_id"`
	OrderID   string `json:"order_id"`
	Amount    int64  `json:"amount"` // 0: all that was left
	Result    *struct {
		Object      string `json:"object"`
		ID          string `json:"id"`
		Status      string `json:"status"` // when it was answered
		DeclineCode string `json:"decline_code"`
	} `json:"result"` // what was recorded
	Refusal *Refusal   `json:"refusal"` // why nothing was
	DoneAt  *time.Time `json:"done_at"`
}

// CreateBatch has all rows accepted, or none: then a *Problem names the rows at
// fault. They run in the background; see AwaitBatch. An empty key is replaced.
func (c *Client) CreateBatch(ctx context.Context, idempotencyKey string, rows []BatchRow) (*Batch, error) {
	ask := call{method: http.MethodPost, path: "/v1/batches", key: idempotencyKey, media: "application/x-ndjson"}
	if ask.key == "" {
		ask.key = newKey()
	}
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	for i := range rows {
		if r := &rows[i]; r.Operation != "payment" {
			if err := amountOrAll(r.Amount, r.All); err != nil {
				return nil, fmt.Errorf("row %d: %w", i+1, err)
			}
		}
		if err := out.Encode(&rows[i]); err != nil {
			return nil, fmt.Errorf("client: row %d: %w", i+1, err)
		}
	}
	ask.body = text.Bytes()
	return c.batch(ctx, ask)
}

func (c *Client) batch(ctx context.Context, ask call) (*Batch, error) {
	b := new(Batch)
	meta, err := c.do(ctx, ask, b)
	if err != nil {
		return nil, err
	}
	b.Meta = meta
	return b, nil
}

// GetBatch reads a batch as it is now.
func (c *Client) GetBatch(ctx context.Context, id string) (*Batch, error) {
	return c.batch(ctx, call{method: http.MethodGet, path: "/v1/batches" + segment(id)})
}

// AwaitBatch waits until a batch has ended, or ctx has. Then it gives the batch as
// it was last, with an error.
func (c *Client) AwaitBatch(ctx context.Context, id string) (*Batch, error) {
	ask := call{method: http.MethodGet, path: "/v1/batches" + segment(id), query: url.Values{"wait": {poll.String()}}, wait: poll}
	for {
		b, err := c.batch(ctx, ask)
		if err != nil || b.EndedAt != nil {
			return b, err
		}
		if !rest(ctx, c.o.Pause) {
			return b, fmt.Errorf("client: batch %s has not ended: %w", id, ctx.Err())
		}
	}
}

// CancelBatch stops what of a batch has not begun.
func (c *Client) CancelBatch(ctx context.Context, id string) (*Batch, error) {
	ask, err := post("/v1/batches"+segment(id)+"/cancel", "", struct{}{})
	if err != nil {
		return nil, err
	}
	return c.batch(ctx, ask)
}

// ListBatches reads the batches of the account, newest first: one page after the
// cursor, which is empty for the first. next is empty after the last.
func (c *Client) ListBatches(ctx context.Context, cursor string) (batches []Batch, next string, err error) {
	var page struct {
		Data       []Batch
		NextCursor string `json:"next_cursor"`
	}
	q := url.Values{"limit": {"100"}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/v1/batches", query: q}, &page)
	return page.Data, page.NextCursor, err
}

// AllBatchRows goes through the rows of a batch in their order, those of one status
// or (empty) all. It ends with the first error.
func (c *Client) AllBatchRows(ctx context.Context, id, status string) iter.Seq2[BatchedRow, error] {
	q := url.Values{"limit": {"1000"}}
	if status != "" {
		q.Set("status", status)
	}
	return all[BatchedRow](ctx, c, call{method: http.MethodGet, path: "/v1/batches" + segment(id) + "/rows", query: q})
}

// BatchRowsCSV streams all rows of a batch as CSV with a header, like ResultsCSV.
func (c *Client) BatchRowsCSV(ctx context.Context, id string) (io.ReadCloser, error) {
	return c.stream(ctx, call{method: http.MethodGet, path: "/v1/batches" + segment(id) + "/rows", query: url.Values{"format": {"csv"}}})
}
