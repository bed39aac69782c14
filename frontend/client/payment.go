package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Meta is what the answer said beside the object itself.
type Meta struct {
	Status         int    // HTTP status: 202 while the outcome is not proven
	RequestID      string // name it when you ask for help
	IdempotencyKey string // what the call was sent with
	Replayed       bool   // the same answer was given before
}

// PaymentRequest is a payment to make.
type PaymentRequest struct {
	IdempotencyKey string        `json:"-"` // new for everything you mean; made when empty
	Amount         int64         `json:"amount"`
	Currency       string        `json:"currency"` // ISO 4217 alphabetic
	OrderID        string        `json:"order_id,omitempty"`
	OrderOnce      bool          `json:"order_once,omitempty"`     // at most one payment of OrderID may succeed
	Recurring      *Recurring    `json:"recurring,omitempty"`      // of your own schedule
	CaptureMethod  string        `json:"capture_method,omitempty"` // "automatic" or "manual"
	Method         PaymentMethod `json:"payment_method"`
	ThreeDS        *ThreeDS      `json:"three_ds,omitempty"`
	Initiator      string        `json:"initiator,omitempty"` // "customer" or "merchant"
	Channel        string        `json:"channel,omitempty"`   // "ecommerce", "moto" or "recurring"
	// StoredCredential is what the payment has to do with a stored card: "first",
	// "subsequent", "recurring", "unscheduled" or "instalment". Mostly it is found out.
	StoredCredential string `json:"stored_credential,omitempty"`
	// NetworkTransactionID is the card network's id of the first payment by the
	// stored card; of a saved card it is known.
	NetworkTransactionID string            `json:"network_transaction_id,omitempty"`
	AcceptPartial        bool              `json:"accept_partial,omitempty"` // the approval of a part is as good
	Instalments          *Instalments      `json:"instalments,omitempty"`
	SaveCard             bool              `json:"save_card,omitempty"` // for Customer.ID, when the payment is approved
	Bank                 string            `json:"bank,omitempty"`
	Description          string            `json:"description,omitempty"`
	Customer             *Customer         `json:"customer,omitempty"`
	Metadata             map[string]string `json:"metadata,omitempty"`
}

// PaymentMethod is what pays.
type PaymentMethod struct {
	Type         string        `json:"type"`
	Card         CardNumber    `json:"card,omitzero"`
	Token        string        `json:"token,omitempty"`
	NetworkToken *NetworkToken `json:"network_token,omitempty"`
	CardPresent  *CardPresent  `json:"card_present,omitempty"`
	CVC          string        `json:"cvc,omitempty"` // of the saved card
}

// String tells neither number nor code.
func (m PaymentMethod) String() string {
	switch {
	case m.Type == "token":
		return m.Token
	case m.NetworkToken != nil:
		return m.NetworkToken.String()
	case m.CardPresent != nil:
		return m.CardPresent.String()
	}
	return m.Card.String()
}

// GoString keeps %#v from telling more than String.
func (m PaymentMethod) GoString() string { return m.String() }

// ByCard is the payment method of a card.
func ByCard(card CardNumber) PaymentMethod { return PaymentMethod{Type: "card", Card: card} }

// ByToken is the payment method of a saved card. cvc may be empty.
func ByToken(token, cvc string) PaymentMethod {
	return PaymentMethod{Type: "token", Token: token, CVC: cvc}
}

// CardNumber is a card as its holder tells it. It never prints itself whole.
type CardNumber struct {
	Number   string `json:"number,omitempty"` // may be empty in ReplaceCard alone
	ExpMonth int    `json:"exp_month"`
	ExpYear  int    `json:"exp_year"`
	CVC      string `json:"cvc,omitempty"`
	Holder   string `json:"holder,omitempty"`
}

func (c CardNumber) String() string {
	if len(c.Number) < 12 {
		return "card"
	}
	return "card *" + c.Number[len(c.Number)-4:]
}

// GoString keeps %#v from telling more than String.
func (c CardNumber) GoString() string { return c.String() }

// NetworkToken is a token of the card network in place of the card's number. It
// never prints itself whole.
type NetworkToken struct {
	Number           string `json:"number"`
	ExpMonth         int    `json:"exp_month"`
	ExpYear          int    `json:"exp_year"`
	Cryptogram       string `json:"cryptogram,omitempty"` // of this one payment
	ECI              string `json:"eci,omitempty"`
	Wallet           string `json:"wallet,omitempty"` // "apple_pay", "google_pay", "samsung_pay", "mir_pay" or "other"
	TokenRequestorID string `json:"token_requestor_id,omitempty"`
}

func (n NetworkToken) String() string {
	return "network token of " + CardNumber{Number: n.Number}.String()
}

// GoString keeps %#v from telling more than String.
func (n NetworkToken) GoString() string { return n.String() }

// ByNetworkToken is the payment method of a network token.
func ByNetworkToken(n NetworkToken) PaymentMethod {
	return PaymentMethod{Type: "network_token", NetworkToken: &n}
}

// CardPresent is what a terminal read of a card. It prints nothing of it.
type CardPresent struct {
	Entry    string `json:"entry"`              // "magnetic", "chip" or "contactless"
	Track2   string `json:"track2"`             // without sentinels
	EMV      string `json:"emv,omitempty"`      // chip data (field 55) in hexadecimal digits
	Sequence string `json:"sequence,omitempty"` // three digits
	PIN      *PIN   `json:"pin,omitempty"`
}

// PIN is a PIN as the terminal encrypted it. It prints nothing of it.
type PIN struct {
	Format int    `json:"format"`        // of ISO 9564-1: 0, 1, 3 or 4
	Block  string `json:"block"`         // in hexadecimal digits
	KSN    string `json:"ksn,omitempty"` // key serial number of a terminal whose keys are derived per transaction (DUKPT)
	Key    string `json:"key,omitempty"` // else the name of the terminal's key
}

func (p PIN) String() string { return "PIN" }

// GoString keeps %#v from telling more than String.
func (p PIN) GoString() string { return p.String() }

func (p CardPresent) String() string { return "card present, " + p.Entry }

// GoString keeps %#v from telling more than String.
func (p CardPresent) GoString() string { return p.String() }

// AtTerminal is the payment method of a card that is present.
func AtTerminal(p CardPresent) PaymentMethod {
	return PaymentMethod{Type: "card_present", CardPresent: &p}
}

// ThreeDS is your own 3-D Secure result.
type ThreeDS struct {
	ECI             string `json:"eci,omitempty"`
	CAVV            string `json:"cavv,omitempty"`
	DSTransactionID string `json:"ds_transaction_id,omitempty"`
	Version         string `json:"version,omitempty"`

	// Authenticate lets the switch ask the payer itself, instead of values of yours:
	// the payment may then be RequiresAction. ReturnURL is where the payer comes back to.
	Authenticate bool   `json:"authenticate,omitempty"`
	ReturnURL    string `json:"return_url,omitempty"`
}

// NextAction is what the payer must do before anything is sent to a bank.
type NextAction struct {
	Type        string    `json:"type"` // redirect
	RedirectURL string    `json:"redirect_url"`
	ExpiresAt   time.Time `json:"expires_at"`
}

// Instalments are the plan by which a purchase is paid.
type Instalments struct {
	Count int    `json:"count"`          // 2 to 99
	Plan  string `json:"plan,omitempty"` // the bank's or the issuer's name for it
	Type  string `json:"type,omitempty"` // "merchant" or "issuer": who lends
}

// ShownThreeDS is what is kept of your 3-D Secure result.
type ShownThreeDS struct {
	ECI     string `json:"eci"`
	Version string `json:"version"`
}

// Customer is the payer.
type Customer struct {
	ID    string `json:"id,omitempty"` // yours; saved cards belong to it
	Email string `json:"email,omitempty"`
}

// Payment is a payment as it stood when it was answered. Amounts are minor units.
type Payment struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"`
	Version          int               `json:"version"` // grows by one with every change
	Status           string            `json:"status"`
	Live             bool              `json:"livemode"`
	Amount           int64             `json:"amount"`
	AmountAuthorized int64             `json:"amount_authorized"`
	AmountCaptured   int64             `json:"amount_captured"`
	AmountRefunded   int64             `json:"amount_refunded"`
	Currency         string            `json:"currency"`
	OrderID          string            `json:"order_id"`
	Attempt          int               `json:"attempt"`          // its number, of an order with OrderOnce; else 0
	Schedule         *Series           `json:"schedule"`         // of whose series it is; nil: of none
	CheckoutSession  string            `json:"checkout_session"` // that it pays; empty: none
	Bank             string            `json:"bank"`
	RRN              string            `json:"rrn"`
	STAN             string            `json:"stan"`
	ApprovalCode     string            `json:"approval_code"`
	ResponseCode     string            `json:"response_code"`
	Card             *Card             `json:"card"`
	Method           UsedMethod        `json:"payment_method"`
	Initiator        string            `json:"initiator"`
	Channel          string            `json:"channel"`
	StoredCredential string            `json:"stored_credential"`
	NetworkID        string            `json:"network_transaction_id"`         // the card network's, from the bank's answer
	InitialNetworkID string            `json:"initial_network_transaction_id"` // of the first payment by the stored card, as sent
	ThreeDS          *ShownThreeDS     `json:"three_ds"`
	Instalments      *Instalments      `json:"instalments"`
	Decline          *Decline          `json:"decline"`     // who said no
	Resolution       *Resolution       `json:"resolution"`  // while Unknown
	NextAction       *NextAction       `json:"next_action"` // while the payer must act; else nil
	CreatedAt        time.Time         `json:"created_at"`
	UpdatedAt        time.Time         `json:"updated_at"`
	Metadata         map[string]string `json:"metadata"`
	Operations       []Operation       `json:"operations"` // only in a list that asked for them

	Meta Meta `json:"-"` // zero in lists and inside operations
}

// Unknown reports that the outcome is not proven yet: wait for it, and do not
// start another payment for the same thing.
func (p *Payment) Unknown() bool { return p.Status == "unknown" }

// UsedMethod is what a payment was made by.
type UsedMethod struct {
	Type   string `json:"type"`   // "card", "token", "network_token" or "card_present"
	Token  string `json:"token"`  // the saved card it was made by, or that SaveCard made
	Wallet string `json:"wallet"` // of a network token
	EMV    string `json:"emv"`    // what the bank answered the chip of a card that is present, in hexadecimal digits
}

// Card is what may be shown of a card.
type Card struct {
	BIN      string `json:"bin"`
	Last4    string `json:"last4"`
	Brand    string `json:"brand"`
	ExpMonth int    `json:"exp_month"`
	ExpYear  int    `json:"exp_year"`
}

// Decline says who said no, and what helps.
type Decline struct {
	Source       string `json:"source"`
	Code         string `json:"code"`
	Message      string `json:"message"`
	Retry        string `json:"retry"` // "never", "later" or "with_changes"
	ResponseCode string `json:"response_code"`

	Advice string       `json:"advice"`        // to you: what to do now
	Buyer  BuyerMessage `json:"buyer_message"` // to the payer
}

// Resolution says what the switch does about an outcome that is not proven.
type Resolution struct {
	Reason     string     `json:"reason"`
	Since      time.Time  `json:"since"`
	NextAction string     `json:"next_action"`
	NextAt     *time.Time `json:"next_at"` // nil when people are on it
	Attempts   int        `json:"attempts"`
}

// CreatePayment asks for a payment. A declined one is no error. While the answer
// is Unknown, wait with AwaitPayment. Errors are *Problem or *Lost.
func (c *Client) CreatePayment(ctx context.Context, r PaymentRequest) (*Payment, error) {
	ask, err := post("/v1/payments", r.IdempotencyKey, r)
	if err != nil {
		return nil, err
	}
	return c.payment(ctx, ask)
}

func (c *Client) payment(ctx context.Context, ask call) (*Payment, error) {
	p := new(Payment)
	meta, err := c.do(ctx, ask, p)
	if err != nil {
		return nil, err
	}
	p.Meta = meta
	return p, nil
}

// GetPayment reads a payment.
func (c *Client) GetPayment(ctx context.Context, id string) (*Payment, error) {
	return c.payment(ctx, call{method: http.MethodGet, path: "/v1/payments" + segment(id)})
}

// poll is how long one question of AwaitPayment stays open.
const poll = 30 * time.Second

// AwaitPayment waits until the outcome of a payment is proven, as long as ctx
// lives. When the switch has given up and people are on it, it still waits.
func (c *Client) AwaitPayment(ctx context.Context, id string) (*Payment, error) {
	for {
		p, err := c.payment(ctx, call{method: http.MethodGet, path: "/v1/payments" + segment(id), wait: poll, query: url.Values{"wait": {poll.String()}}})
		if err != nil || !p.Unknown() {
			return p, err
		}
		if !rest(ctx, c.o.Pause) {
			return p, fmt.Errorf("client: payment %s is still unknown: %w", id, ctx.Err())
		}
	}
}

// PaymentFilter chooses payments; zero members do not filter.
type PaymentFilter struct {
	OrderID                string
	Status                 string
	CreatedFrom, CreatedTo time.Time // from is included, to is not
	Operations             bool      // with the operations of each
	Limit                  int       // payments of a page, 1 to 100; 0: the API's default
	Cursor                 string    // NextCursor of the page before
}

func (f *PaymentFilter) query() url.Values {
	q := url.Values{}
	set := func(name, value string, there bool) {
		if there {
			q.Set(name, value)
		}
	}
	set("order_id", f.OrderID, f.OrderID != "")
	set("status", f.Status, f.Status != "")
	set("created_from", f.CreatedFrom.UTC().Format(time.RFC3339Nano), !f.CreatedFrom.IsZero())
	set("created_to", f.CreatedTo.UTC().Format(time.RFC3339Nano), !f.CreatedTo.IsZero())
	set("expand", "operations", f.Operations)
	set("limit", strconv.Itoa(f.Limit), f.Limit != 0)
	set("cursor", f.Cursor, f.Cursor != "")
	return q
}

// PaymentList is a page of payments, newest first.
type PaymentList struct {
	Object     string    `json:"object"`
	Data       []Payment `json:"data"`
	HasMore    bool      `json:"has_more"`
	NextCursor string    `json:"next_cursor"`
}

// ListPayments reads one page.
func (c *Client) ListPayments(ctx context.Context, f PaymentFilter) (*PaymentList, error) {
	return read[PaymentList](ctx, c, call{method: http.MethodGet, path: "/v1/payments", query: f.query()})
}

// AllPayments goes through all pages. It ends with the first error.
func (c *Client) AllPayments(ctx context.Context, f PaymentFilter) iter.Seq2[Payment, error] {
	return all[Payment](ctx, c, call{method: http.MethodGet, path: "/v1/payments", query: f.query()})
}

// TimelineEvent is one event of a payment.
type TimelineEvent struct {
	Object  string           `json:"object"`
	Version int              `json:"version"`
	At      time.Time        `json:"at"`
	Type    string           `json:"type"` // new ones may appear
	Status  string           `json:"status"`
	Detail  string           `json:"detail"`
	Message *TimelineMessage `json:"message"`
}

// TimelineMessage is an ISO 8583 message, decoded and masked.
type TimelineMessage struct {
	Direction string          `json:"direction"` // "sent" or "received", seen from the switch
	MTI       string          `json:"mti"`
	Fields    []TimelineField `json:"fields"`
}

// TimelineField is one field of a message.
type TimelineField struct {
	Number int    `json:"number"` // 0: the message type
	Name   string `json:"name"`
	Value  string `json:"value"`
}

// GetTimeline tells the whole story of a payment, oldest event first.
func (c *Client) GetTimeline(ctx context.Context, id string) ([]TimelineEvent, error) {
	var list struct{ Data []TimelineEvent }
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/payments" + segment(id) + "/timeline"}, &list)
	return list.Data, err
}
