package plain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// request is the body of POST /v1/payments: the members a load run sends.
type request struct {
	Amount        int64  `json:"amount"`
	Currency      string `json:"currency"`
	OrderID       string `json:"order_id"`
	PaymentMethod struct {
		Type string `json:"type"`
		Card struct {
			Number   string `json:"number"`
			ExpMonth int    `json:"exp_month"`
			ExpYear  int    `json:"exp_year"`
			CVC      string `json:"cvc"`
			Holder   string `json:"holder"`
		} `json:"card"`
	} `json:"payment_method"`
	Metadata map[string]string `json:"metadata"`

	currency iso.Currency
}

const maxAmount = 999_999_999_999

// decode reads and checks a request. Its errors quote nothing of the body.
func decode(body []byte) (*request, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	r := new(request)
	if d.Decode(r) != nil || !errors.Is(d.Decode(new(any)), io.EOF) {
		return nil, errors.New("the body must be one JSON object with known members")
	}
	card := &r.PaymentMethod.Card
	var err error
	if r.currency, err = iso.ParseCurrency(r.Currency); err != nil {
		return nil, fmt.Errorf("currency: %w", err)
	}
	if _, err := iso.ParsePAN([]byte(card.Number)); err != nil {
		return nil, fmt.Errorf("payment_method.card.number: %w", err)
	}
	if card.CVC != "" {
		if _, err := iso.ParseCVC([]byte(card.CVC)); err != nil {
			return nil, fmt.Errorf("payment_method.card.cvc: %w", err)
		}
	}
	switch {
	case r.Amount < 1 || r.Amount > maxAmount:
		return nil, errors.New("amount: must be 1..999999999999 minor units")
	case len(r.OrderID) > 128:
		return nil, errors.New("order_id: must have at most 128 bytes")
	case r.PaymentMethod.Type != "card":
		return nil, errors.New(`payment_method.type: must be "card"`)
	case card.ExpMonth < 1 || card.ExpMonth > 12 || card.ExpYear < 2000 || card.ExpYear > 2099:
		return nil, errors.New("payment_method.card: exp_month must be 1..12, exp_year 2000..2099")
	}
	return r, nil
}

// Statuses that a payment here can have.
const (
	statusCaptured = "captured"
	statusDeclined = "declined"
	statusUnknown  = "unknown"
)

// payment is the answer, and what is stored.
type payment struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"`
	Status           string            `json:"status"`
	Livemode         bool              `json:"livemode"`
	Amount           int64             `json:"amount"`
	AmountAuthorized int64             `json:"amount_authorized"`
	AmountCaptured   int64             `json:"amount_captured"`
	AmountRefunded   int64             `json:"amount_refunded"`
	Currency         string            `json:"currency"`
	OrderID          string            `json:"order_id"`
	Bank             string            `json:"bank"`
	RRN              string            `json:"rrn"`
	STAN             string            `json:"stan"`
	ApprovalCode     string            `json:"approval_code"`
	ResponseCode     string            `json:"response_code"`
	Card             card              `json:"card"`
	Decline          *decline          `json:"decline"`
	Resolution       *resolution       `json:"resolution"`
	CreatedAt        string            `json:"created_at"`
	UpdatedAt        string            `json:"updated_at"`
	Metadata         map[string]string `json:"metadata"`
	Version          int               `json:"version"`
}

type card struct {
	BIN      string `json:"bin"`
	Last4    string `json:"last4"`
	Brand    string `json:"brand"`
	ExpMonth int    `json:"exp_month"`
	ExpYear  int    `json:"exp_year"`
}

type decline struct {
	Source       string `json:"source"`
	Code         string `json:"code"`
	Message      string `json:"message"`
	Retry        string `json:"retry"`
	ResponseCode string `json:"response_code"`
}

type resolution struct {
	Reason string `json:"reason"`
	Since  string `json:"since"`
}

const timeForm = "2006-01-02T15:04:05.000Z"

// newPayment is a payment before the bank was asked. As long as nothing more is
// known its outcome is unknown.
func newPayment(seq uint64, r *request, now time.Time) *payment {
	c := &r.PaymentMethod.Card
	at := now.UTC().Format(timeForm)
	p := &payment{ID: fmt.Sprintf("pay_%026d", seq), Object: "payment", Status: statusUnknown, Amount: r.Amount, Currency: r.Currency,
		OrderID: r.OrderID, Bank: "bench", RRN: fmt.Sprintf("%012d", seq%1e12), STAN: fmt.Sprintf("%06d", seq%999_999+1),
		Card:       card{BIN: c.Number[:6], Last4: c.Number[len(c.Number)-4:], Brand: brand(c.Number), ExpMonth: c.ExpMonth, ExpYear: c.ExpYear},
		Resolution: &resolution{Reason: "no_answer", Since: at},
		CreatedAt:  at, UpdatedAt: at, Metadata: r.Metadata, Version: 1}
	if p.Metadata == nil {
		p.Metadata = map[string]string{}
	}
	return p
}

func brand(number string) string {
	switch number[0] {
	case '2', '5':
		return "mastercard"
	case '4':
		return "visa"
	}
	return "other"
}

// apply adds what the bank said. Without an answer the payment stays unknown.
func (p *payment) apply(a *bankAnswer, now time.Time) {
	p.Version, p.UpdatedAt = 2, now.UTC().Format(timeForm)
	if a == nil {
		return
	}
	p.Resolution, p.ResponseCode, p.ApprovalCode = nil, a.code, a.approval
	if a.code == "00" {
		p.Status, p.AmountAuthorized, p.AmountCaptured = statusCaptured, p.Amount, p.Amount
		return
	}
	p.Status = statusDeclined
	p.Decline = &decline{Source: "bank", Code: "do_not_honor", Message: "The bank declined", Retry: "later", ResponseCode: a.code}
}
