package banksim

import (
	"time"

	"github.com/tranzit/tranzit/iso"
)

// State is where one identity stands in the books.
type State uint8

// The states of an entry. Only charged, credited, captured and partly_reversed
// entries hold money.
const (
	stateNone           State = iota
	StateCharged              // money taken
	StateCredited             // money given: a refund
	StateCaptured             // part or all of a hold taken
	StatePartlyReversed       // part of the money given back
	StateReversed             // all of the money given back
	StateDeclined             // the bank said no
	StateUnanswered           // the bank read it, charged nothing and said nothing
	StateReversalOnly         // a reversal came and its original has not
	StateRefused              // the original came after its reversal, and was refused
	StateVerified             // the card is good; no money
	numStates
)

var stateNames = [numStates]string{"none", "charged", "credited", "captured", "partly_reversed",
	"reversed", "declined", "unanswered", "reversal_only", "refused", "verified"}

// String is the name used in the books' JSON.
func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return "invalid"
}

// kind is what an entry is about.
type kind uint8

const (
	kindCharge       kind = iota // a purchase or a hold
	kindRefund                   // DE3 20..29: money to the card holder
	kindCapture                  // an advice with original data elements
	kindIncrement                // an authorization request with original data elements: a hold raised or lengthened
	kindVerification             // an authorization request for nothing
)

var kindNames = [...]string{"charge", "refund", "capture", "increment", "verification"}

// row is one entry at rest: fixed size and free of pointers, so that millions
// cost the garbage collector nothing.
type row struct {
	received, reversedAt      int64 // Unix nanoseconds; 0 = not yet
	amount, charged, reversed int64 // minor units: asked for, taken (or given), given back
	taken, credited           int64 // of a hold or charge: by its captures, and given by its refunds
	raised                    int64 // of a hold: by its increments
	chain                     uint32
	original                  uint32 // of a capture or refund: the entry it refers to; 0: none known
	stan                      uint32
	terminal, merchant        uint32 // numbers in Books.names
	bin                       uint32
	currency                  uint16 // ISO 4217 number
	last4                     uint16
	requests, reversals       uint16 // messages seen, stuck at 65535
	mti                       iso.MTI
	rrn                       [12]byte
	de7                       [10]byte
	code                      [3]byte
	panDigits                 uint8
	state                     State
	kind                      kind
	flags                     uint8
}

const (
	flagAnswered uint8 = 1 << iota // the bank's answer was handed to a link
	flagLate                       // it was reversed after that
	flagVoid                       // a reversal was acknowledged: nothing may be charged any more
)

// Entry is one identity in the books as people read it. Amounts are minor units.
type Entry struct {
	Seq           uint32     `json:"seq"` // from 1, in order of arrival
	MTI           string     `json:"mti"` // of the first message seen
	STAN          string     `json:"stan"`
	RRN           string     `json:"rrn"`
	Terminal      string     `json:"terminal"`
	Merchant      string     `json:"merchant"`
	SentAt        string     `json:"sent_at"` // DE7, MMDDhhmmss
	Card          string     `json:"card"`    // masked
	Kind          string     `json:"kind"`    // charge, refund, capture
	State         string     `json:"state"`
	Amount        int64      `json:"amount"`             // asked for
	Booked        int64      `json:"booked_amount"`      // taken, or given for a refund
	Returned      int64      `json:"reversed_amount"`    // given back by reversals
	Captured      int64      `json:"captured_amount"`    // of a hold: by its captures
	Raised        int64      `json:"raised_amount"`      // of a hold: by its increments
	Refunded      int64      `json:"refunded_amount"`    // of a hold or charge: by its refunds
	Original      uint32     `json:"original,omitempty"` // of a capture or refund: the seq it refers to
	Currency      string     `json:"currency"`
	ResponseCode  string     `json:"response_code,omitempty"`
	ApprovalCode  string     `json:"approval_code,omitempty"`
	Charged       bool       `json:"charged"`       // money moved, whether or not it came back
	Reversed      bool       `json:"reversed"`      // it came back, whole or part
	LateReversal  bool       `json:"late_reversal"` // it came back after the bank's answer had left
	Answered      bool       `json:"answered"`
	Requests      int        `json:"requests"`
	ReversalsSeen int        `json:"reversals_seen"`
	ReceivedAt    time.Time  `json:"received_at"`
	ReversedAt    *time.Time `json:"reversed_at,omitempty"`

	NetworkTransactionID string   `json:"network_transaction_id,omitempty"` // in the approval's answer
	Carried              *Carried `json:"carried,omitempty"`
}

// entry renders the row. terminal and merchant are its names.
func (r *row) entry(seq uint32, terminal, merchant string) Entry {
	e := Entry{
		Seq: seq, MTI: r.mti.String(), STAN: digits(uint64(r.stan), 6), RRN: printable(trimZero(r.rrn[:])),
		Terminal: terminal, Merchant: merchant, SentAt: printable(trimZero(r.de7[:])), Card: r.masked(),
		Kind: kindNames[r.kind], State: r.state.String(),
		Amount: r.amount, Booked: r.charged, Returned: r.reversed, Captured: r.taken, Raised: r.raised, Refunded: r.credited, Original: r.original, Currency: currencyName(r.currency),
		ResponseCode: string(trimZero(r.code[:])),
		Charged:      r.charged != 0, Reversed: r.reversed != 0,
		LateReversal: r.flags&flagLate != 0, Answered: r.flags&flagAnswered != 0,
		Requests: int(r.requests), ReversalsSeen: int(r.reversals),
		ReceivedAt: time.Unix(0, r.received).UTC(),
	}
	if approves(e.ResponseCode) && r.requests > 0 {
		e.ApprovalCode = string(appendApproval(nil, seq))
	}
	if r.reversedAt != 0 {
		at := time.Unix(0, r.reversedAt).UTC()
		e.ReversedAt = &at
	}
	return e
}

func (r *row) masked() string {
	if r.panDigits == 0 {
		return ""
	}
	b := make([]byte, 0, 19)
	b = appendDigits(b, uint64(r.bin), 6)
	for range int(r.panDigits) - 10 {
		b = append(b, '*')
	}
	return string(appendDigits(b, uint64(r.last4), 4))
}

// setCode stores a response code; longer ones are cut.
func (r *row) setCode(code string) {
	r.code = [3]byte{}
	copy(r.code[:], code)
}

func currencyName(numeric uint16) string {
	n := digits(uint64(numeric), 3)
	if c, ok := iso.CurrencyByNumeric(n); ok {
		return c.Alpha()
	}
	return n
}

// approvalAlphabet has 32 letters and digits that are not easily confused.
const approvalAlphabet = "0123456789ABCDEFGHJKLMNPQRSTVWXY"

// appendApproval appends the six characters of entry seq's approval code. They
// differ for 2^30 entries in a row and do not look like a counter.
func appendApproval(dst []byte, seq uint32) []byte {
	x := (seq*0x9E3779B1 + 0x7F4A7C15) & (1<<30 - 1)
	for shift := 25; shift >= 0; shift -= 5 {
		dst = append(dst, approvalAlphabet[x>>shift&31])
	}
	return dst
}

// number reads ASCII digits; ok is false for anything else, for none, and for
// more than 18.
func number(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func digits(n uint64, width int) string {
	return string(appendDigits(make([]byte, 0, 20), n, width))
}

func appendDigits(dst []byte, n uint64, width int) []byte {
	at := len(dst)
	for range width {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; i >= at; i-- {
		dst[i] += byte(n % 10)
		n /= 10
	}
	return dst
}

func trimZero(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// printable keeps the visible ASCII of a text that came from outside.
func printable(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if c < ' ' || c > '~' {
			c = '?'
		}
		out[i] = c
	}
	return string(out)
}
