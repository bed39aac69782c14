// Package payswitch holds everything that is true about a payment: its states,
// idempotency, routing, reversals, store-and-forward and recovery. It stands on
// storage (the journal) and acquirers (the banks) and knows nothing of HTTP.
//
// The one idea: an outcome is never guessed. A payment is approved only when
// the bank's answer is durable, and unknown until it is proven.
package payswitch

import (
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// Status is the state of a payment as a merchant sees it.
type Status uint8

// The states of a payment. StatusInFlight is never shown: it stands for an
// intent whose first outcome is not yet durable.
const (
	StatusInFlight Status = iota
	StatusRequiresAction
	StatusAuthorized
	StatusCaptured
	StatusDeclined
	StatusFailed
	StatusUnknown
	StatusReversed
	StatusCanceled
	StatusExpired
	StatusPartiallyRefunded
	StatusRefunded
	StatusSucceeded // of a payout: the money is given; of a verification: the card is good
)

var statusNames = [...]string{
	"in_flight", "requires_action", "authorized", "captured", "declined", "failed", "unknown",
	"reversed", "canceled", "expired", "partially_refunded", "refunded", "succeeded",
}

// String is the word of the API for the status.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "invalid"
}

// MarshalText is the word of the API.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word of the API, and in_flight.
func (s *Status) UnmarshalText(text []byte) error {
	if string(text) == statusNames[StatusInFlight] {
		*s = StatusInFlight
		return nil
	}
	parsed, ok := ParseStatus(string(text))
	if !ok {
		return fmt.Errorf("%q is not a status", text)
	}
	*s = parsed
	return nil
}

// ParseStatus is the inverse of String; it refuses what the API never shows.
func ParseStatus(word string) (Status, bool) {
	for i, name := range statusNames {
		if name == word && Status(i) != StatusInFlight {
			return Status(i), true
		}
	}
	return 0, false
}

// Final reports whether the status never changes again.
func (s Status) Final() bool {
	switch s {
	case StatusDeclined, StatusFailed, StatusReversed, StatusCanceled, StatusExpired, StatusRefunded, StatusSucceeded:
		return true
	}
	return false
}

// Pair is one entry of a payment's metadata, in the order given.
type Pair struct{ Key, Value string }

// Card is what may be shown of a card: never more than BIN and last four.
type Card struct {
	BIN, Last4, Brand string
	Expiry            iso.Expiry
}

// Decline says who refused a payment and what a merchant can do about it.
type Decline struct {
	Source       string // "bank", "risk" or "switch"
	Code         string // one catalogue for all banks: insufficient_funds ...
	Message      string
	Retry        string // "never", "later" or "with_changes"
	ResponseCode string // the bank's own DE39, empty when no bank answered
}

// NextAction is what the payer must do before anything is sent to a bank.
type NextAction struct {
	URL       string // where the payer's browser goes
	ExpiresAt time.Time
}

// Resolution says what the switch is doing about a payment whose outcome is
// not proven.
type Resolution struct {
	Reason     string // no_answer, link_lost, invalid_answer, in_doubt_code, partial_not_accepted, restart
	Since      time.Time
	NextAction string    // "reversal", "operator", or "none" for a verification, of which nothing is owed
	NextAt     time.Time // zero when NextAction is not "reversal"
	Attempts   int       // reversals already sent
}

// Payment is the fold of a payment's journal records: a value, safe to copy.
// Amounts are minor units of Currency. Times are UTC with milliseconds.
type Payment struct {
	ID            ID
	Purpose       Purpose
	Version       uint32
	Status        Status
	Live          bool
	ManualCapture bool
	Currency      iso.Currency
	STAN          iso.STAN

	Amount, AmountAuthorized, AmountCaptured, AmountRefunded int64

	Merchant, OrderID, Bank, Description, CustomerEmail string

	RRN, ApprovalCode, ResponseCode string

	Card        Card
	Particulars *Particulars // nil: none
	Token       ID           // the saved card it was paid by, or that it made; zero: none
	ByToken     bool         // it was paid by Token
	Schedule    ID           // of whose series it is; zero: of none
	Run         uint32       // of Schedule, from 1; 0: the shop's own
	Attempt     uint32       // number, from 1, among the attempts at an order of which one may succeed; 0: not numbered
	Checkout    ID           // the checkout session it pays; zero: none
	NextAction  *NextAction  // while it requires action; else nil
	Decline     *Decline
	Resolution  *Resolution
	Metadata    []Pair

	CreatedAt, UpdatedAt time.Time
}

// PayRequest is a merchant's wish to be paid, already decoded and syntactically
// valid. Strings and slices must not alias buffers that are reused.
type PayRequest struct {
	IdempotencyKey string      // 1..255 printable characters
	Fingerprint    Fingerprint // of method, path and body; see Switch.Fingerprint
	RequestID      string      // for logs only
	Purpose        Purpose
	Amount         int64 // minor units, 1..999999999999; 0 for a verification
	Currency       iso.Currency
	OrderID        string
	Bank           string // "" lets the switch choose among the merchant's banks
	Description    string
	CustomerEmail  string
	Metadata       []Pair
	ManualCapture  bool
	Initiator      string // "customer" or "merchant"
	PAN            iso.PAN
	CVC            iso.CVC
	Expiry         iso.Expiry
	ThreeDS        ThreeDS

	Token    ID     // pay by this saved card: PAN and Expiry are then filled by Pay
	Customer string // the shop's name for the payer, 1..64 characters, or empty
	SaveCard bool   // save the card for Customer when the payment is approved

	Schedule ID  // of whose series the payment is; of a request by a merchant: of its own schedule
	run      int // number in the switch's schedule; 0: the shop's

	Checkout ID // the checkout session it pays; OrderOnce goes with it

	// OrderOnce: at most one payment of OrderID, which is then not empty, may succeed.
	OrderOnce bool

	// Authenticate lets the payer prove by 3-D Secure who they are, where the switch
	// can ask for that and ThreeDS holds nothing. ReturnURL is where the payer comes
	// back to after a challenge, Language what they read (ISO 639-1; empty: not known).
	Authenticate bool
	ReturnURL    string
	Language     string

	id        ID           // of the payment, when it was named before its intent; zero: not yet
	waiting   *history     // the payment itself, when its payer has acted; nil: it begins
	attempt   uint32       // number of the attempt at the order, set by pay; 0: not numbered
	Carried   *iso.Carried // nil: nothing; the use of a stored credential is found out where it is not said
	Secrets   *iso.Secrets // nil: none
	PIN       *PIN         // of a card that is present; nil: none
	initialID string       // of the saved card: the network transaction id of its first payment
	replaces  ID           // the token that the card is put under when the verification is approved
	panDigest [16]byte     // of PAN, set by pay; zero: not yet
}

// ThreeDS is the authentication data a shop collected itself.
type ThreeDS struct{ ECI, CAVV, TransactionID, Version string }

// Fingerprint is a keyed digest of a request; equal requests have equal ones.
type Fingerprint [16]byte

// Answer is what the merchant is told.
type Answer struct {
	Payment   Payment
	Operation *Operation // of Operate
	Replayed  bool       // the same answer was given before under this idempotency key
}

// Account is an authenticated merchant in one mode.
type Account struct {
	Merchant *Merchant
	Live     bool
	Key      *APIKey // by which it was authenticated; nil: the switch itself, which may do everything
}

// Code names a refusal once; the frontend maps it to a status once.
type Code string

// The refusals. Nothing is recorded and nothing is sent when one is returned.
const (
	CodeInvalidRequest   Code = "invalid_request"
	CodeNotFound         Code = "not_found"
	CodeForbidden        Code = "forbidden"
	CodeKeyReused        Code = "idempotency_key_reused"
	CodeBankUnavailable  Code = "bank_unavailable"
	CodeOverloaded       Code = "overloaded"
	CodeInvalidState     Code = "invalid_state"
	CodeUnknownBank      Code = "unknown_bank"
	CodeCurrency         Code = "currency_not_supported"
	CodeInternal         Code = "internal"
	CodeOutcomeUncertain Code = "outcome_uncertain"
	CodeUnknownToken     Code = "unknown_token"
	CodeCardExpired      Code = "expired"
	CodeShopRefused      Code = "shop_refused"
	CodeShopSilent       Code = "shop_silent"
	CodeOrderPaid        Code = "order_paid"
	CodeOrderInProgress  Code = "order_in_progress"
	CodeNotCarried       Code = "not_carried"
	CodeNotServed        Code = "not_served"
	CodeBalance          Code = "insufficient_balance"
)

// Refusal is the error of every call that recorded nothing, with the one
// exception of CodeInternal and CodeOutcomeUncertain: there the caller must
// repeat with the same idempotency key to learn the outcome.
type Refusal struct {
	Code       Code
	Detail     string        // one sentence for the merchant, without card data
	Pointer    string        // JSON pointer of the field at fault, or empty
	RetryAfter time.Duration // > 0: repeating later can help
}

// Error is the code and the detail.
func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Detail }

// ListQuery selects payments of one account, newest first.
type ListQuery struct {
	Purpose                Purpose
	OrderID                string
	Status                 Status // StatusInFlight: any
	CreatedFrom, CreatedTo time.Time
	Limit                  int  // 1..100
	Cursor                 ID   // zero: from the newest; else strictly older than it
	Operations             bool // the page has the operations of its payments, too

	Bank, Last4          string // empty: any
	AmountFrom, AmountTo int64  // minor units, both inclusive; 0: no bound
	ResponseCode         string // the bank's own; empty: any
}

// takes reports whether a payment is one of those asked for.
func (q *ListQuery) takes(p *Payment) bool {
	switch {
	case q.Status != StatusInFlight && p.Status != q.Status,
		q.Bank != "" && p.Bank != q.Bank,
		q.Last4 != "" && p.Card.Last4 != q.Last4,
		q.AmountFrom > 0 && p.Amount < q.AmountFrom,
		q.AmountTo > 0 && p.Amount > q.AmountTo,
		q.ResponseCode != "" && p.ResponseCode != q.ResponseCode:
		return false
	}
	return true
}

// ListPage is one page of payments. More says that older ones exist; Next is
// then the cursor for them.
type ListPage struct {
	Payments   []Payment
	Operations [][]Operation // of each payment, oldest first; nil when not asked for
	More       bool
	Next       ID
}

// TimelineEvent is one journal record in words, with the ISO 8583 message that
// went or came with it, decoded and masked.
type TimelineEvent struct {
	Version uint32           `json:"version"`
	At      time.Time        `json:"at"`
	Type    string           `json:"type"`   // intent, approved, declined, not_sent, unknown, reversal_sent, reversed, late_answer ...
	Status  Status           `json:"status"` // after the event
	Detail  string           `json:"detail"`
	Message *TimelineMessage `json:"message,omitempty"`
}

// TimelineMessage is a masked ISO 8583 message.
type TimelineMessage struct {
	Direction string          `json:"direction"` // "sent" or "received"
	MTI       string          `json:"mti"`
	Fields    []iso.FieldView `json:"fields"`
}
