package client

import (
	"context"
	"net/http"
)

// BuyerMessage tells the payer what to do. It may be shown as it is.
type BuyerMessage struct {
	RU string `json:"ru"`
	EN string `json:"en"`
	ES string `json:"es"`
}

// DeclineReason is one entry of the catalogue of declines.
type DeclineReason struct {
	Object     string       `json:"object"`
	Code       string       `json:"code"`
	GivenBy    string       `json:"given_by"`    // "bank" or "switch"
	Retry      string       `json:"retry"`       // the usual answer
	Stops      string       `json:"stops"`       // which further attempts a final decline forbids: "card", "merchant_initiated" or empty
	BlocksCard bool         `json:"blocks_card"` // forget the card where it is stored
	Meaning    string       `json:"meaning"`
	Advice     string       `json:"advice"` // to you
	Buyer      BuyerMessage `json:"buyer_message"`
}

// DeclineCatalogue is all reasons a decline can have.
type DeclineCatalogue struct {
	Version int             `json:"version"` // grows with every change of a text
	Data    []DeclineReason `json:"data"`
}

// Declines reads the catalogue of declines.
func (c *Client) Declines(ctx context.Context) (*DeclineCatalogue, error) {
	catalogue := new(DeclineCatalogue)
	if _, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/declines"}, catalogue); err != nil {
		return nil, err
	}
	return catalogue, nil
}
