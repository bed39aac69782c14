package iso

import (
	"errors"
	"time"

	"github.com/bojanz/currency"
)

// Expiry is the month a card is valid through (DE14).
type Expiry struct{ Year, Month int }

// IsZero reports whether there is no date.
func (e Expiry) IsZero() bool { return e == Expiry{} }

// AppendYYMM appends four digits: the year's last two and the month. A zero or
// impossible date appends nothing.
func (e Expiry) AppendYYMM(dst []byte) []byte {
	if e.Month < 1 || e.Month > 12 || e.Year < 0 {
		return dst
	}
	return appendPair(appendPair(dst, e.Year%100), e.Month)
}

// Expired reports whether the month is over everywhere on Earth at now. A card
// is valid through the last day of its month.
func (e Expiry) Expired(now time.Time) bool {
	end := time.Date(e.Year, time.Month(e.Month)+1, 1, 12, 0, 0, 0, time.UTC)
	return !now.Before(end)
}

// STAN is a system trace audit number (DE11): 1 to 999999.
type STAN uint32

const stanMax = 999999

// Append appends six digits.
func (s STAN) Append(dst []byte) []byte { return appendDigits(dst, uint64(s), 6) }

// String is the six digits.
func (s STAN) String() string { return string(s.Append(nil)) }

// appendDigits appends v in exactly n digits, the highest ones cut.
func appendDigits(dst []byte, v uint64, n int) []byte {
	start := len(dst)
	for range n {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; i >= start; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
	return dst
}

func appendPair(dst []byte, v int) []byte {
	return append(dst, byte('0'+v/10%10), byte('0'+v%10))
}

// Currency is one currency of ISO 4217. It is a small comparable value; the zero
// value is no currency.
type Currency struct{ at uint16 }

type currencyEntry struct {
	alpha, numeric string
	exponent       int
}

// ErrCurrency is returned for a code that ISO 4217 does not list.
var ErrCurrency = errors.New("iso: not an alphabetic currency code of ISO 4217")

var currencies, currencyByAlpha, currencyByNumeric = buildCurrencies()

func buildCurrencies() ([]currencyEntry, map[string]Currency, map[string]Currency) {
	table := []currencyEntry{{}}
	alphas, numerics := map[string]Currency{}, map[string]Currency{}
	for _, alpha := range currency.GetCurrencyCodes() {
		numeric, ok := currency.GetNumericCode(alpha)
		digits, known := currency.GetDigits(alpha)
		if !ok || !known || len(numeric) != 3 {
			continue
		}
		c := Currency{at: uint16(len(table))}
		table = append(table, currencyEntry{alpha: alpha, numeric: numeric, exponent: int(digits)})
		alphas[alpha], numerics[numeric] = c, c
	}
	return table, alphas, numerics
}

// ParseCurrency finds a currency by its three capital letters, like EUR.
func ParseCurrency(alpha string) (Currency, error) {
	if c, ok := currencyByAlpha[alpha]; ok {
		return c, nil
	}
	return Currency{}, ErrCurrency
}

// CurrencyByNumeric finds a currency by its three digits, as DE49 carries them.
func CurrencyByNumeric(n string) (Currency, bool) {
	c, ok := currencyByNumeric[n]
	return c, ok
}

// Alpha is the alphabetic code, like EUR; empty for the zero value.
func (c Currency) Alpha() string { return currencies[c.at].alpha }

// Numeric is the three-digit code, like 978; empty for the zero value.
func (c Currency) Numeric() string { return currencies[c.at].numeric }

// Exponent is the number of decimal digits of the minor unit: JPY 0, EUR 2, KWD 3.
func (c Currency) Exponent() int { return currencies[c.at].exponent }

// IsZero reports whether there is no currency.
func (c Currency) IsZero() bool { return c.at == 0 }

// String is Alpha.
func (c Currency) String() string { return c.Alpha() }

// Operation is what the switch asks of a bank; a dialect says by which message.
type Operation uint8

// The operations a dialect may define.
const (
	OpPurchase Operation = iota + 1
	OpAuthorization
	OpReversal
	OpSignOn
	OpSignOff
	OpEcho
	OpCapture      // takes money that an authorization holds
	OpVoid         // undoes an approved request on the merchant's word, whole or part
	OpRefund       // gives captured money back
	OpIncrement    // raises what an authorization holds, or lengthens it
	OpPayout       // an original credit: money to a card that no payment came from
	OpVerification // asks whether a card is good; no money
	opCount
)

var operationNames = [opCount]string{"", "purchase", "authorization", "reversal", "sign_on", "sign_off", "echo",
	"capture", "void", "refund", "increment", "payout", "verification"}

// String is the name the dialect file uses.
func (o Operation) String() string {
	if o == 0 || o >= opCount {
		return "unknown"
	}
	return operationNames[o]
}

// MTI is the message type the 1987 edition gives the operation. A dialect may
// use another: Dialect.MTI tells.
func (o Operation) MTI() MTI {
	return [opCount]MTI{0, MTIFinancial, MTIAuthorization, MTIReversalAdvice, MTINetwork, MTINetwork, MTINetwork,
		MTIFinancialAdvice, MTIReversalAdvice, MTIFinancial, MTIAuthorization, MTIFinancial, MTIAuthorization}[o%opCount]
}

// Reason is why a reversal is sent; the dialect maps it to the bank's code.
type Reason uint8

// The reasons of a reversal.
const (
	ReasonTimeout Reason = iota + 1
	ReasonCustomer
	ReasonInvalidAnswer
	ReasonSuspectedMalfunction
	reasonCount
)

var reasonNames = [reasonCount]string{"", "timeout", "customer", "invalid_answer", "suspected_malfunction"}

// String is the name the dialect file uses.
func (r Reason) String() string {
	if r == 0 || r >= reasonCount {
		return "unknown"
	}
	return reasonNames[r]
}

// Values are the facts a message is built from; the dialect says which field
// carries which. What is zero is absent.
type Values struct {
	PAN      PAN
	Expiry   Expiry
	CVC      CVC
	Amount   int64 // minor units of Currency, 0 to 999999999999
	Currency Currency
	STAN     STAN
	RRN      string    // 12 characters
	SentAt   time.Time // moment of transmission; DE7 carries it in UTC
	LocalAt  time.Time // the card acceptor's clock, in its own location; DE12 and DE13
	Terminal string    // DE41
	Merchant string    // DE42
	MCC      string    // DE18, four digits
	// NameLocation is DE43: 40 ready characters, or free text that is padded or
	// cut to the field. A character that the field's content does not have is
	// written in Latin letters, or becomes '?'.
	NameLocation               string
	Country                    string // DE19, ISO 3166 numeric
	Acquirer, Forwarder        string // DE32, DE33, digits
	ECI, CAVV, DSTransactionID string
	ApprovalCode, ResponseCode string // DE38, DE39 of answers and advices
	Original                   Original
	Reason                     Reason
	Replacement                int64    // DE95: what stays of Amount after a partial reversal; 0: nothing does
	Total                      int64    // of an increment: what is held in all after it
	Carried                    *Carried // nil: nothing
	Secrets                    *Secrets // nil: none
}

// Original names the message that a reversal, a capture or a refund refers to
// (DE90).
type Original struct {
	Operation           Operation // what it asked for; zero: a purchase, or an authorization in a dialect without
	MTI                 MTI
	STAN                STAN
	SentAt              time.Time
	Acquirer, Forwarder string
}
