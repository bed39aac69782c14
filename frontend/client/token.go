package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Token is a saved card of one customer.
type Token struct {
	ID        string    `json:"id"`
	Object    string    `json:"object"`
	Version   int       `json:"version"` // grows by one with every change of the card
	Live      bool      `json:"livemode"`
	Customer  Customer  `json:"customer"`
	Card      *Card     `json:"card"`
	Expired   bool      `json:"expired"`                // a payment by it is refused
	NetworkID string    `json:"network_transaction_id"` // the card network's id of the first payment by it
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`

	Meta Meta `json:"-"` // zero in lists
}

// DeletedToken is a saved card that is no more.
type DeletedToken struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

func cardBody(card CardNumber, customer string) ([]byte, error) {
	body := map[string]any{"payment_method": ByCard(card)}
	if customer != "" {
		body["customer"] = Customer{ID: customer}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return text, nil
}

func (c *Client) token(ctx context.Context, ask call) (*Token, error) {
	return one(ctx, c, ask, func(x *Token) *Meta { return &x.Meta })
}

// CreateToken saves a card without a payment; the card's CVC must be empty. The
// same card of the same customer gives the same token, so the call may be
// repeated. Errors are *Problem or *Lost.
func (c *Client) CreateToken(ctx context.Context, card CardNumber, customer string) (*Token, error) {
	body, err := cardBody(card, customer)
	if err != nil {
		return nil, err
	}
	return c.token(ctx, call{method: http.MethodPost, path: "/v1/tokens", body: body})
}

// ReplaceCard puts another card under a token; without a number, the same card
// with another expiry. It may be repeated.
func (c *Client) ReplaceCard(ctx context.Context, token string, card CardNumber) (*Token, error) {
	body, err := cardBody(card, "")
	if err != nil {
		return nil, err
	}
	return c.token(ctx, call{method: http.MethodPost, path: "/v1/tokens" + segment(token) + "/replace", body: body})
}

// GetToken reads a saved card.
func (c *Client) GetToken(ctx context.Context, token string) (*Token, error) {
	return c.token(ctx, call{method: http.MethodGet, path: "/v1/tokens" + segment(token)})
}

// DeleteToken deletes a saved card. A second time is a *Problem with not_found.
func (c *Client) DeleteToken(ctx context.Context, token string) error {
	return c.discard(ctx, call{method: http.MethodDelete, path: "/v1/tokens" + segment(token)})
}

func (c *Client) discard(ctx context.Context, ask call) error {
	_, err := c.do(ctx, ask, new(json.RawMessage))
	return err
}

// ListTokens reads all saved cards of a customer, newest first.
func (c *Client) ListTokens(ctx context.Context, customer string) ([]Token, error) {
	var list struct{ Data []Token }
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/customers" + segment(customer) + "/tokens"}, &list)
	return list.Data, err
}
