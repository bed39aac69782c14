package client

import (
	"context"
	"net/http"
	"time"
)

// PayoutRequest is money to give to a card. Amount is minor units.
type PayoutRequest struct {
	IdempotencyKey string            `json:"-"` // new for everything you mean; made when empty
	Amount         int64             `json:"amount"`
	Currency       string            `json:"currency"` // ISO 4217 alphabetic
	OrderID        string            `json:"order_id,omitempty"`
	Method         PaymentMethod     `json:"payment_method"` // where it goes: a card without its code, or a saved one
	Bank           string            `json:"bank,omitempty"`
	Description    string            `json:"description,omitempty"`
	Customer       *Customer         `json:"customer,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
}

// VerificationRequest is a card to ask about.
type VerificationRequest struct {
	IdempotencyKey string            `json:"-"`        // new for everything you mean; made when empty
	Currency       string            `json:"currency"` // in which the bank is asked
	OrderID        string            `json:"order_id,omitempty"`
	Method         PaymentMethod     `json:"payment_method"`
	ThreeDS        *ThreeDS          `json:"three_ds,omitempty"`
	SaveCard       bool              `json:"save_card,omitempty"` // for Customer.ID, when the card is good
	Bank           string            `json:"bank,omitempty"`
	Description    string            `json:"description,omitempty"`
	Customer       *Customer         `json:"customer,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
}

// Payout is a payout, or with the Object "verification" a question about a card,
// as it stood when it was answered.
type Payout struct {
	ID           string            `json:"id"`
	Object       string            `json:"object"`
	Version      uint32            `json:"version"`
	Status       string            `json:"status"`
	Livemode     bool              `json:"livemode"`
	Amount       int64             `json:"amount"` // 0 of a verification
	Currency     string            `json:"currency"`
	OrderID      string            `json:"order_id"`
	Bank         string            `json:"bank"`
	RRN          string            `json:"rrn"`
	STAN         string            `json:"stan"`
	ApprovalCode string            `json:"approval_code"`
	ResponseCode string            `json:"response_code"`
	Card         *Card             `json:"card"`
	Token        string            `json:"token"` // the saved card it was made by, or that it made
	Decline      *Decline          `json:"decline"`
	Resolution   *Resolution       `json:"resolution"` // while it is unknown
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
	Metadata     map[string]string `json:"metadata"`

	Meta Meta `json:"-"` // zero in lists
}

// PayoutList is a page of payouts or of verifications, newest first.
type PayoutList struct {
	Object     string   `json:"object"`
	Data       []Payout `json:"data"`
	HasMore    bool     `json:"has_more"`
	NextCursor string   `json:"next_cursor"`
}

// Balance is what may be paid out at one bank in one currency. Amounts are minor
// units.
type Balance struct {
	Bank      string `json:"bank"`
	Currency  string `json:"currency"`
	Amount    int64  `json:"amount"`    // captured, less refunded and paid out
	Available int64  `json:"available"` // what may be paid out now
}

// CreatePayout gives money to a card. A declined payout is no error; one whose
// outcome is not proven is "unknown", and the switch resolves it.
func (c *Client) CreatePayout(ctx context.Context, r PayoutRequest) (*Payout, error) {
	ask, err := post("/v1/payouts", r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	return c.payout(ctx, ask)
}

// Verify asks whether a card is good. No money moves. "unknown" is final: nobody
// answered.
func (c *Client) Verify(ctx context.Context, r VerificationRequest) (*Payout, error) {
	ask, err := post("/v1/verifications", r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	return c.payout(ctx, ask)
}

func (c *Client) payout(ctx context.Context, ask call) (*Payout, error) {
	p := new(Payout)
	meta, err := c.do(ctx, ask, p)
	if err != nil {
		return nil, err
	}
	p.Meta = meta
	return p, nil
}

// GetPayout reads a payout.
func (c *Client) GetPayout(ctx context.Context, id string) (*Payout, error) {
	return c.payout(ctx, call{method: http.MethodGet, path: "/v1/payouts" + segment(id)})
}

// GetVerification reads a verification.
func (c *Client) GetVerification(ctx context.Context, id string) (*Payout, error) {
	return c.payout(ctx, call{method: http.MethodGet, path: "/v1/verifications" + segment(id)})
}

// ListPayouts reads one page of payouts.
func (c *Client) ListPayouts(ctx context.Context, f PaymentFilter) (*PayoutList, error) {
	return read[PayoutList](ctx, c, call{method: http.MethodGet, path: "/v1/payouts", query: f.query()})
}

// Balances reads what may be paid out.
func (c *Client) Balances(ctx context.Context) ([]Balance, error) {
	var all struct{ Data []Balance }
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/balance"}, &all)
	return all.Data, err
}
