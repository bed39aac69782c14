package client

import "context"

// Explanation is what would become of a payment now.
type Explanation struct {
	Live       bool            `json:"livemode"`
	Accepted   bool            `json:"accepted"` // it would be recorded and sent
	Bank       string          `json:"bank"`     // that would take it; empty: none, see Refusal
	Refusal    *Refusal        `json:"refusal"`
	Considered []Consideration `json:"considered"` // every bank, in the order of consideration
	Operation  string          `json:"operation"`  // "purchase" or "authorization"
	Dialect    *struct {
		ID      string `json:"id"`
		Version int    `json:"version"`
	} `json:"dialect"`
	Message *TimelineMessage `json:"message"` // masked
	Faults  []FieldFault     `json:"faults"`  // fields that the bank's dialect cannot carry
}

// Refusal is why something was not recorded.
type Refusal struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Consideration is what became of one bank when a payment looked for its own.
type Consideration struct {
	Bank    string `json:"bank"`
	Verdict string `json:"verdict"`
	Rule    string `json:"rule"` // the part of the bank's profile that the payment does not fit
	Detail  string `json:"detail"`
}

// FieldFault is a field that breaks a rule of the bank's dialect.
type FieldFault struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	Rule   string `json:"rule"`
}

// ExplainPayment says what CreatePayment would do, and does nothing of it.
func (c *Client) ExplainPayment(ctx context.Context, r PaymentRequest) (*Explanation, error) {
	ask, err := post("/v1/payments/explain", "", r)
	if err != nil {
		return nil, err
	}
	e := new(Explanation)
	if _, err := c.do(ctx, ask, e); err != nil {
		return nil, err
	}
	return e, nil
}
