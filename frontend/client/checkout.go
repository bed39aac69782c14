package client

import (
	"context"
	"net/http"
	"time"
)

// CheckoutSessionRequest is an order that a buyer may pay on the payment page.
type CheckoutSessionRequest struct {
	IdempotencyKey string            `json:"-"`      // new for everything you mean; made when empty
	Amount         int64             `json:"amount"` // minor units
	Currency       string            `json:"currency"`
	OrderID        string            `json:"order_id"`
	Description    string            `json:"description,omitempty"`
	CaptureMethod  string            `json:"capture_method,omitempty"` // "automatic", the default, or "manual"
	Language       string            `json:"language,omitempty"`       // en, ru or es; default: the browser's
	Customer       *Customer         `json:"customer,omitempty"`
	SuccessURL     string            `json:"success_url,omitempty"`
	FailURL        string            `json:"fail_url,omitempty"`
	ReturnURL      string            `json:"return_url,omitempty"`
	ExpiresAt      time.Time         `json:"expires_at,omitzero"` // default: in 24 hours
	Receipt        bool              `json:"receipt,omitempty"`   // the buyer gets receipts by mail
	Send           bool              `json:"send,omitempty"`      // send the link to Customer.Email at once
	Metadata       map[string]string `json:"metadata,omitempty"`
}

// CheckoutSession is a session as it stood when it was answered.
type CheckoutSession struct {
	ID            string            `json:"id"`
	Object        string            `json:"object"`
	Version       int               `json:"version"`
	Status        string            `json:"status"` // open, processing, complete or expired
	Live          bool              `json:"livemode"`
	URL           string            `json:"url"` // where to send the buyer; empty: it takes no payment any more
	Amount        int64             `json:"amount"`
	Currency      string            `json:"currency"`
	OrderID       string            `json:"order_id"`
	Description   string            `json:"description"`
	CaptureMethod string            `json:"capture_method"`
	Language      string            `json:"language"`
	Customer      *Customer         `json:"customer"`
	SuccessURL    string            `json:"success_url"`
	FailURL       string            `json:"fail_url"`
	ReturnURL     string            `json:"return_url"`
	Button        string            `json:"button"`  // that was pressed; empty: none
	Receipt       bool              `json:"receipt"` // the buyer gets receipts, though your buyers do not
	Attempts      int               `json:"attempts"`
	Payment       string            `json:"payment"` // that paid it, else the newest; empty: none
	PaymentStatus string            `json:"payment_status"`
	ExpiresAt     time.Time         `json:"expires_at"`
	CreatedAt     time.Time         `json:"created_at"`
	UpdatedAt     time.Time         `json:"updated_at"`
	Metadata      map[string]string `json:"metadata"`
	Sent          []SentLetter      `json:"sent"` // letters with the link, the oldest first; in events none

	Meta Meta `json:"-"` // zero in lists
}

// SentLetter is a letter with the link of a session.
type SentLetter struct {
	Channel string    `json:"channel"` // mail or sms
	To      string    `json:"to"`      // masked
	State   string    `json:"state"`   // owed, taken, refused or withdrawn
	At      time.Time `json:"at"`
	Due     time.Time `json:"due_at"` // of a reminder later than At
}

// CheckoutSend says where the link of a session is sent: with neither Email nor Phone
// to the e-mail address of the session.
type CheckoutSend struct {
	IdempotencyKey    string `json:"-"` // empty: a new one
	Email             string `json:"email,omitempty"`
	Phone             string `json:"phone,omitempty"`               // as +74951234567
	Language          string `json:"language,omitempty"`            // en, ru or es
	RemindBeforeHours int    `json:"remind_before_hours,omitempty"` // the letter leaves so long before the session ends
}

func (c *Client) checkoutSession(ctx context.Context, ask call) (*CheckoutSession, error) {
	return one(ctx, c, ask, func(x *CheckoutSession) *Meta { return &x.Meta })
}

// CreateCheckoutSession makes a session. Errors are *Problem or *Lost.
func (c *Client) CreateCheckoutSession(ctx context.Context, r CheckoutSessionRequest) (*CheckoutSession, error) {
	ask, err := post("/v1/checkout_sessions", r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	return c.checkoutSession(ctx, ask)
}

// GetCheckoutSession reads a session.
func (c *Client) GetCheckoutSession(ctx context.Context, id string) (*CheckoutSession, error) {
	return c.checkoutSession(ctx, call{method: http.MethodGet, path: "/v1/checkout_sessions" + segment(id)})
}

// ExpireCheckoutSession closes a session that is not paid. It may be repeated.
func (c *Client) ExpireCheckoutSession(ctx context.Context, id string) (*CheckoutSession, error) {
	return c.checkoutSession(ctx, call{method: http.MethodPost, path: "/v1/checkout_sessions" + segment(id) + "/expire", body: []byte("{}")})
}

// SendCheckoutSession sends the link of an open session to its buyer.
func (c *Client) SendCheckoutSession(ctx context.Context, id string, r CheckoutSend) (*CheckoutSession, error) {
	ask, err := post("/v1/checkout_sessions"+segment(id)+"/send", r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	return c.checkoutSession(ctx, ask)
}

// Receipt is what came of sending a receipt again.
type Receipt struct {
	Payment   string `json:"payment_id"`
	Kind      string `json:"kind"`       // paid, refunded or canceled
	To        string `json:"to"`         // masked
	SentAgain int    `json:"sent_again"` // times, this one included
}

// SendReceipt sends the receipt of a payment once more: to the address, or when that
// is empty to the payment's own, in a language (en, ru, es) or when that is empty as
// the first one. An empty key becomes a new one.
func (c *Client) SendReceipt(ctx context.Context, payment string, r ReceiptRequest) (*Receipt, error) {
	ask, err := post("/v1/payments"+segment(payment)+"/receipt", r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	return read[Receipt](ctx, c, ask)
}

// ReceiptRequest says where a receipt goes.
type ReceiptRequest struct {
	IdempotencyKey string `json:"-"`
	Email          string `json:"email,omitempty"`
	Language       string `json:"language,omitempty"`
}

// ListCheckoutSessions reads a page of sessions, newest first; next is the cursor of
// the page after it, empty: it was the last one.
func (c *Client) ListCheckoutSessions(ctx context.Context, limit int, cursor string) (list []CheckoutSession, next string, err error) {
	return pageOf[CheckoutSession](ctx, c, "/v1/checkout_sessions", span{limit, cursor})
}
