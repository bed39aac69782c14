package client

import (
	"context"
	"net/http"
	"time"
)

// CardReplacementRequest asks for a link under which the holder of a saved card puts
// another in its place.
type CardReplacementRequest struct {
	IdempotencyKey string    `json:"-"`        // new for everything you mean; made when empty
	Currency       string    `json:"currency"` // of the question to the bank
	Language       string    `json:"language,omitempty"`
	ReturnURL      string    `json:"return_url,omitempty"`
	ExpiresAt      time.Time `json:"expires_at,omitzero"` // default: in 7 days
}

// CardReplacement is such a link as it stood when it was answered.
type CardReplacement struct {
	ID        string    `json:"id"`
	Object    string    `json:"object"`
	Version   int       `json:"version"`
	Status    string    `json:"status"` // open, processing, complete or expired
	Live      bool      `json:"livemode"`
	URL       string    `json:"url"` // where to send the card's holder; empty: it takes no card any more
	Token     string    `json:"token"`
	Currency  string    `json:"currency"`
	Language  string    `json:"language"`
	ReturnURL string    `json:"return_url"`
	Attempts  int       `json:"attempts"`
	Proof     string    `json:"proof"` // the verification, or the hold, that was asked for last, or replaced the card
	ExpiresAt time.Time `json:"expires_at"`
	CreatedAt time.Time `json:"created_at"`

	Meta Meta `json:"-"`
}

func (c *Client) cardReplacement(ctx context.Context, ask call) (*CardReplacement, error) {
	return one(ctx, c, ask, func(x *CardReplacement) *Meta { return &x.Meta })
}

// CreateCardReplacement makes a link for a token. Errors are *Problem or *Lost.
func (c *Client) CreateCardReplacement(ctx context.Context, token string, r CardReplacementRequest) (*CardReplacement, error) {
	ask, err := post("/v1/tokens"+segment(token)+"/replacement", r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	return c.cardReplacement(ctx, ask)
}

// GetCardReplacement reads a link.
func (c *Client) GetCardReplacement(ctx context.Context, id string) (*CardReplacement, error) {
	return c.cardReplacement(ctx, call{method: http.MethodGet, path: "/v1/card_replacements" + segment(id)})
}

// CancelCardReplacement ends a link that was not used. It may be repeated.
func (c *Client) CancelCardReplacement(ctx context.Context, id string) (*CardReplacement, error) {
	return c.cardReplacement(ctx, call{method: http.MethodPost, path: "/v1/card_replacements" + segment(id) + "/cancel", body: []byte("{}")})
}
