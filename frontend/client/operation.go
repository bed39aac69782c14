package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// CaptureRequest says what to take of a hold.
type CaptureRequest struct {
	IdempotencyKey string `json:"-"`                // made when empty
	Amount         int64  `json:"amount,omitempty"` // minor units
	All            bool   `json:"-"`                // all that is left, in place of Amount
	Final          bool   `json:"final,omitempty"`  // nothing more will be captured
}

// IncrementRequest says what is to be held in all.
type IncrementRequest struct {
	IdempotencyKey string `json:"-"`                // made when empty
	Amount         int64  `json:"amount"`           // minor units: the whole hold, not what is added
	Reason         string `json:"reason,omitempty"` // for you; no bank is told
}

// UndoRequest says what to cancel or to refund.
type UndoRequest struct {
	IdempotencyKey string `json:"-"`                // made when empty
	Amount         int64  `json:"amount,omitempty"` // minor units
	All            bool   `json:"-"`                // all that is left, in place of Amount
	Reason         string `json:"reason,omitempty"` // for you; no bank is told
}

// Operation is a capture, a cancel, a refund or an increment.
type Operation struct {
	ID           string      `json:"id"`
	Object       string      `json:"object"` // "capture", "cancel", "refund" or "increment"
	PaymentID    string      `json:"payment_id"`
	Status       string      `json:"status"`
	Method       string      `json:"method"` // how it is done at the bank
	Amount       int64       `json:"amount"` // of an increment: what is to be held in all
	Currency     string      `json:"currency"`
	Final        bool        `json:"final"`
	Reason       string      `json:"reason"`
	RRN          string      `json:"rrn"`
	STAN         string      `json:"stan"`
	ApprovalCode string      `json:"approval_code"`
	ResponseCode string      `json:"response_code"`
	Decline      *Decline    `json:"decline"`
	Resolution   *Resolution `json:"resolution"` // while it is open
	CreatedAt    time.Time   `json:"created_at"`
	UpdatedAt    time.Time   `json:"updated_at"`
	Payment      *Payment    `json:"payment"` // as it stood then; nil when the operation was read

	Meta Meta `json:"-"` // zero in lists
}

// Increment is an increment of a hold.
type Increment struct {
	Operation
	AmountAdded int64 `json:"amount_added"` // what it adds to the hold
}

// Open reports that the operation is not settled yet.
func (o *Operation) Open() bool { return o.Status == "pending" || o.Status == "unknown" }

// Capture takes what is held, whole or in part. A declined capture is no error.
func (c *Client) Capture(ctx context.Context, payment string, r CaptureRequest) (*Operation, error) {
	if err := amountOrAll(r.Amount, r.All); err != nil {
		return nil, err
	}
	ask, err := post("/v1/payments"+segment(payment)+"/capture", r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	return c.operation(ctx, ask)
}

// Increment raises a hold, or lengthens it where the bank counts its time anew.
// A declined increment is no error, and leaves the hold as it was.
func (c *Client) Increment(ctx context.Context, payment string, r IncrementRequest) (*Increment, error) {
	ask, err := post("/v1/payments"+segment(payment)+"/increment", r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	o := new(Increment)
	if o.Meta, err = c.do(ctx, ask, o); err != nil {
		return nil, err
	}
	return o, nil
}

// Cancel undoes a payment, whole or in part, in the way that is right now: the
// answer's Object and Method say which.
func (c *Client) Cancel(ctx context.Context, payment string, r UndoRequest) (*Operation, error) {
	return c.undo(ctx, "/v1/payments"+segment(payment)+"/cancel", r)
}

// Refund gives captured money back, whole or in part.
func (c *Client) Refund(ctx context.Context, payment string, r UndoRequest) (*Operation, error) {
	return c.undo(ctx, "/v1/payments"+segment(payment)+"/refunds", r)
}

func (c *Client) undo(ctx context.Context, path string, r UndoRequest) (*Operation, error) {
	if err := amountOrAll(r.Amount, r.All); err != nil {
		return nil, err
	}
	ask, err := post(path, r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	return c.operation(ctx, ask)
}

// amountOrAll keeps an amount that was forgotten, or came out as nothing, from
// meaning everything.
func amountOrAll(amount int64, all bool) error {
	if all == (amount != 0) || amount < 0 {
		return errors.New("client: give either a positive Amount or All")
	}
	return nil
}

func (c *Client) operation(ctx context.Context, ask call) (*Operation, error) {
	o := new(Operation)
	meta, err := c.do(ctx, ask, o)
	if err != nil {
		return nil, err
	}
	o.Meta = meta
	return o, nil
}

// ListOperations reads all operations of a payment, oldest first: captures, cancels,
// refunds, and the release of a hold.
func (c *Client) ListOperations(ctx context.Context, payment string) ([]Operation, error) {
	var list struct{ Data []Operation }
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/payments" + segment(payment) + "/operations"}, &list)
	return list.Data, err
}

// AwaitOperations waits until no operation of a payment is open, or ctx has ended.
// Then it gives them as they were last, with an error.
func (c *Client) AwaitOperations(ctx context.Context, payment string) ([]Operation, error) {
	for {
		var list struct{ Data []Operation }
		ask := call{method: http.MethodGet, path: "/v1/payments" + segment(payment) + "/operations", wait: poll, query: url.Values{"wait": {poll.String()}}}
		if _, err := c.do(ctx, ask, &list); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(list.Data, func(o Operation) bool { return o.Open() }) {
			return list.Data, nil
		}
		if !rest(ctx, c.o.Pause) {
			return list.Data, fmt.Errorf("client: an operation of payment %s is still open: %w", payment, ctx.Err())
		}
	}
}

// ListRefunds reads all refunds of a payment, oldest first.
func (c *Client) ListRefunds(ctx context.Context, payment string) ([]Operation, error) {
	var list struct{ Data []Operation }
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/payments" + segment(payment) + "/refunds"}, &list)
	return list.Data, err
}

// GetRefund reads one refund.
func (c *Client) GetRefund(ctx context.Context, payment, refund string) (*Operation, error) {
	return c.operation(ctx, call{method: http.MethodGet, path: "/v1/payments" + segment(payment) + "/refunds" + segment(refund)})
}
