package frontend

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

const (
	paymentPrefix = payswitch.PaymentPrefix
	requestPrefix = "req"
	cursorPrefix  = "cur"

	paymentOpening = `{"id":"`
	paymentIDLen   = len(paymentPrefix) + 1 + 26
)

// appendPayment appends the payment object of the contract: every member, in a
// fixed order, null where there is nothing. Equal payments give equal bytes,
// on which replays depend. It neither reflects nor allocates beyond dst.
func appendPayment(dst []byte, p *payswitch.Payment) []byte {
	dst = append(dst, paymentOpening...)
	dst = p.ID.Append(dst, paymentPrefix)
	dst = append(dst, `","object":"payment","version":`...)
	dst = strconv.AppendUint(dst, uint64(p.Version), 10)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, shownStatus(p.Status).String()...)
	dst = append(dst, `","livemode":`...)
	dst = strconv.AppendBool(dst, p.Live)
	dst = append(dst, `,"amount":`...)
	dst = strconv.AppendInt(dst, p.Amount, 10)
	dst = append(dst, `,"amount_authorized":`...)
	dst = strconv.AppendInt(dst, p.AmountAuthorized, 10)
	dst = append(dst, `,"amount_captured":`...)
	dst = strconv.AppendInt(dst, p.AmountCaptured, 10)
	dst = append(dst, `,"amount_refunded":`...)
	dst = strconv.AppendInt(dst, p.AmountRefunded, 10)
	dst = append(dst, `,"currency":`...)
	dst = appendText(dst, p.Currency.Alpha())
	dst = append(dst, `,"order_id":`...)
	dst = appendText(dst, p.OrderID)
	dst = append(dst, `,"attempt":`...)
	dst = appendAttempt(dst, p.Attempt)
	dst = append(dst, `,"schedule":`...)
	dst = appendSeries(dst, p)
	dst = append(dst, `,"checkout_session":`...)
	dst = appendSession(dst, p.Checkout)
	dst = append(dst, `,"bank":`...)
	dst = appendText(dst, p.Bank)
	dst = append(dst, `,"rrn":`...)
	dst = appendText(dst, p.RRN)
	dst = append(dst, `,"stan":`...)
	dst = appendSTAN(dst, p.STAN)
	dst = append(dst, `,"approval_code":`...)
	dst = appendText(dst, p.ApprovalCode)
	dst = append(dst, `,"response_code":`...)
	dst = appendText(dst, p.ResponseCode)
	dst = append(dst, `,"card":`...)
	dst = appendCard(dst, &p.Card)
	dst = append(dst, `,"payment_method":`...)
	dst = appendMethod(dst, p)
	dst = appendParticulars(dst, p.Particulars)
	dst = append(dst, `,"decline":`...)
	dst = appendDecline(dst, p.Decline)
	dst = append(dst, `,"resolution":`...)
	dst = appendResolution(dst, p.Resolution)
	dst = append(dst, `,"next_action":`...)
	dst = appendAction(dst, p.NextAction)
	return appendEnd(dst, p)
}

// appendEnd appends the last members of a payment, and its closing brace.
func appendEnd(dst []byte, p *payswitch.Payment) []byte {
	dst = append(dst, `,"created_at":`...)
	dst = appendTime(dst, p.CreatedAt)
	dst = append(dst, `,"updated_at":`...)
	dst = appendTime(dst, p.UpdatedAt)
	dst = append(dst, `,"metadata":{`...)
	for i, pair := range p.Metadata {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, pair.Key)
		dst = append(dst, ':')
		dst = appendString(dst, pair.Value)
	}
	return append(dst, "}}"...)
}

// shownStatus is the word a merchant reads. A payment between its two records
// has, for everybody outside, an outcome that is not proven.
func shownStatus(s payswitch.Status) payswitch.Status {
	if s == payswitch.StatusInFlight {
		return payswitch.StatusUnknown
	}
	return s
}

func appendSTAN(dst []byte, stan iso.STAN) []byte {
	if stan == 0 {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = stan.Append(dst)
	return append(dst, '"')
}

// appendAttempt appends the number of an attempt, or null when it has none.
func appendAttempt(dst []byte, n uint32) []byte {
	if n == 0 {
		return append(dst, "null"...)
	}
	return strconv.AppendUint(dst, uint64(n), 10)
}

func appendCard(dst []byte, c *payswitch.Card) []byte {
	if c.BIN == "" && c.Last4 == "" {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"bin":`...)
	dst = appendText(dst, c.BIN)
	dst = append(dst, `,"last4":`...)
	dst = appendText(dst, c.Last4)
	dst = append(dst, `,"brand":`...)
	dst = appendText(dst, c.Brand)
	dst = append(dst, `,"exp_month":`...)
	dst = strconv.AppendInt(dst, int64(c.Expiry.Month), 10)
	dst = append(dst, `,"exp_year":`...)
	dst = strconv.AppendInt(dst, int64(c.Expiry.Year), 10)
	return append(dst, '}')
}

func appendDecline(dst []byte, d *payswitch.Decline) []byte {
	if d == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"source":`...)
	dst = appendText(dst, d.Source)
	dst = append(dst, `,"code":`...)
	dst = appendText(dst, d.Code)
	dst = append(dst, `,"message":`...)
	dst = appendText(dst, d.Message)
	dst = append(dst, `,"retry":`...)
	dst = appendText(dst, d.Retry)
	dst = append(dst, `,"response_code":`...)
	dst = appendText(dst, d.ResponseCode)
	return append(appendDeclineTexts(dst, d.Code), '}')
}

// appendAction appends what the payer must do, or null.
func appendAction(dst []byte, n *payswitch.NextAction) []byte {
	if n == nil {
		return append(dst, "null"...)
	}
	dst = appendString(append(dst, `{"type":"redirect","redirect_url":`...), n.URL)
	return append(appendTime(append(dst, `,"expires_at":`...), n.ExpiresAt), '}')
}

func appendResolution(dst []byte, r *payswitch.Resolution) []byte {
	if r == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"reason":`...)
	dst = appendText(dst, r.Reason)
	dst = append(dst, `,"since":`...)
	dst = appendTime(dst, r.Since)
	dst = append(dst, `,"next_action":`...)
	dst = appendText(dst, r.NextAction)
	dst = append(dst, `,"next_at":`...)
	dst = appendTime(dst, r.NextAt)
	dst = append(dst, `,"attempts":`...)
	dst = strconv.AppendInt(dst, int64(r.Attempts), 10)
	return append(dst, '}')
}

// appendList appends a page of payments, newest first.
func appendList(dst []byte, page *payswitch.ListPage) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i := range page.Payments {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendObject(dst, &page.Payments[i])
		if page.Operations != nil {
			dst = append(dst[:len(dst)-1], `,"operations":`...)
			dst = append(appendOperations(dst, page.Operations[i], &page.Payments[i]), '}')
		}
	}
	return appendCursor(dst, page.More, page.Next)
}

// appendCursor ends a list page.
func appendCursor(dst []byte, more bool, next payswitch.ID) []byte {
	dst = append(dst, `],"has_more":`...)
	dst = strconv.AppendBool(dst, more)
	dst = append(dst, `,"next_cursor":`...)
	if !more {
		return append(dst, "null}"...)
	}
	dst = append(dst, '"')
	dst = next.Append(dst, cursorPrefix)
	return append(dst, `"}`...)
}

// appendTimeline appends the story of a payment, oldest event first.
func appendTimeline(dst []byte, events []payswitch.TimelineEvent) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendEvent(dst, &events[i])
	}
	return append(dst, `],"has_more":false,"next_cursor":null}`...)
}

func appendEvent(dst []byte, e *payswitch.TimelineEvent) []byte {
	dst = append(dst, `{"object":"timeline_event","version":`...)
	dst = strconv.AppendUint(dst, uint64(e.Version), 10)
	dst = append(dst, `,"at":`...)
	dst = appendTime(dst, e.At)
	dst = append(dst, `,"type":`...)
	dst = appendText(dst, e.Type)
	dst = append(dst, `,"status":`...)
	if e.Status == payswitch.StatusInFlight {
		dst = append(dst, "null"...) // sent, and nothing decided yet
	} else {
		dst = appendString(dst, e.Status.String())
	}
	dst = append(dst, `,"detail":`...)
	dst = appendText(dst, e.Detail)
	dst = append(dst, `,"message":`...)
	if e.Message == nil {
		return append(dst, "null}"...)
	}
	return append(appendMessage(dst, e.Message), '}')
}

// appendMessage appends a masked ISO 8583 message, or null when it has no type.
func appendMessage(dst []byte, m *payswitch.TimelineMessage) []byte {
	if m.MTI == "" {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"direction":`...)
	dst = appendText(dst, m.Direction)
	dst = append(dst, `,"mti":`...)
	dst = appendText(dst, m.MTI)
	dst = append(dst, `,"fields":[`...)
	for i, f := range m.Fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"number":`...)
		dst = strconv.AppendInt(dst, int64(f.Number), 10)
		dst = append(dst, `,"name":`...)
		dst = appendString(dst, f.Name)
		dst = append(dst, `,"value":`...)
		dst = appendString(dst, f.Value)
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

// appendText is appendString with null for the empty text.
func appendText(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, s)
}

// appendString appends a JSON string. What is not UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			dst, _ = jsontext.AppendQuote(dst, s)
			return dst
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// appendTime appends an RFC 3339 time in UTC with milliseconds, or null for
// the zero time.
func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, "null"...)
	}
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	if year < 0 || year > 9999 {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = appendTwo(dst, year/100)
	dst = appendTwo(dst, year%100)
	dst = append(dst, '-')
	dst = appendTwo(dst, int(month))
	dst = append(dst, '-')
	dst = appendTwo(dst, day)
	dst = append(dst, 'T')
	dst = appendTwo(dst, hour)
	dst = append(dst, ':')
	dst = appendTwo(dst, minute)
	dst = append(dst, ':')
	dst = appendTwo(dst, second)
	ms := t.Nanosecond() / 1e6
	dst = append(dst, '.', byte('0'+ms/100))
	dst = appendTwo(dst, ms%100)
	return append(dst, `Z"`...)
}

func appendTwo(dst []byte, v int) []byte {
	return append(dst, byte('0'+v/10), byte('0'+v%10))
}
