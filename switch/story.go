package payswitch

import (
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// word is the name of the event in a timeline.
func (r *record) word() string {
	switch r.kind {
	case recordAnswered:
		if r.approved {
			return "approved"
		}
		return "declined"
	case recordRefused:
		return "declined"
	case recordReversalAnswered:
		if r.verdict == iso.ReversalDone {
			return "reversed"
		}
	}
	return r.kind.String()
}

// StoryWords are the types of the events that a timeline may hold: of operations
// every kind, alone and with each step behind it.
func StoryWords() (words []string) {
	for k := recordIntent; k <= lastRecordKind; k++ {
		switch {
		case k == recordAnswered:
			words = append(words, "approved", "declined", "reversed")
		case k != recordRefused && (k < recordOperation || k > recordOperationRetried):
			words = append(words, k.String())
		}
	}
	steps := append([]string{"sent", "repeated", "reversal_sent", "late_answer", "desk", "closed", "retried", "answered"}, operationStatusNames[:]...)
	for _, kind := range kindNames[1:] {
		words = append(words, kind)
		for _, step := range steps {
			words = append(words, kind+"_"+step)
		}
	}
	return words
}

// detail is one sentence about the event, without card data.
func (r *record) detail() string {
	switch r.kind {
	case recordRefused:
		return fmt.Sprintf("The switch declined it before anything was sent: %s. %s", r.decline.Code, r.decline.Message)
	case recordIntent:
		if r.intent.bank == "" {
			return fmt.Sprintf("%s of %s, for which no bank was asked.", r.intent.operation, majorUnits(r.intent.amount, r.intent.currency))
		}
		return fmt.Sprintf("%s of %s to bank %s, STAN %06d, RRN %s.", r.intent.operation, majorUnits(r.intent.amount, r.intent.currency),
			r.intent.bank, uint32(r.intent.stan), r.intent.rrn)
	case recordAnswered:
		if r.approved {
			return fmt.Sprintf("The bank approved with code %s, approval %s.", r.responseCode, r.approvalCode)
		}
		return fmt.Sprintf("The bank declined with code %s: %s.", r.responseCode, r.decline.Code)
	case recordNotSent:
		return fmt.Sprintf("The request provably never left (%s).", r.reason)
	case recordUnknown:
		return fmt.Sprintf("The outcome is not proven (%s). A reversal is queued.", r.reason)
	case recordReversalSent:
		return fmt.Sprintf("Reversal, attempt %d.", r.attempt)
	case recordReversalAnswered:
		if r.responseCode == "" {
			return fmt.Sprintf("Reversal attempt %d was not answered.", r.attempt)
		}
		return fmt.Sprintf("The bank answered reversal attempt %d with code %s.", r.attempt, r.responseCode)
	case recordLateAnswer:
		return fmt.Sprintf("An answer came too late, with code %s. It approves nothing.", r.responseCode)
	case recordChallenged:
		return fmt.Sprintf("The payer must confirm the payment until %s. Nothing is sent before.", r.nextAt.Format(time.RFC3339))
	case recordAuthenticated:
		return fmt.Sprintf("The payer confirmed it, ECI %q. To bank %s, STAN %06d, RRN %s.", r.eci, r.way.bank, uint32(r.way.stan), r.way.rrn)
	case recordRerouted:
		return fmt.Sprintf("The request provably never left (%s). Next bank: %s, STAN %06d, RRN %s.", r.reason, r.way.bank, uint32(r.way.stan), r.way.rrn)
	case recordClosed:
		return fmt.Sprintf("%s settled it as %s: %s.", r.operator, r.settled, r.reason)
	case recordRetried:
		return fmt.Sprintf("%s made the switch try again: %s.", r.operator, r.reason)
	case recordDesk:
		return fmt.Sprintf("Given to the operators: %s.", r.reason)
	}
	return ""
}

// majorUnits tells an amount to people: 1299.00 RUB.
func majorUnits(amount int64, currency iso.Currency) string {
	exponent := currency.Exponent()
	digits := fmt.Sprintf("%0*d", exponent+1, amount)
	whole := len(digits) - exponent
	if exponent == 0 {
		return digits + " " + currency.Alpha()
	}
	return digits[:whole] + "." + digits[whole:] + " " + currency.Alpha()
}

// message is the ISO 8583 message that went or came with the record.
func (h *history) message(d *iso.Dialect, r *record) *TimelineMessage {
	var m iso.Message
	direction := "received"
	switch r.kind {
	case recordIntent, recordRerouted, recordAuthenticated:
		var v iso.Values
		h.in.fillValues(&v)
		v.PAN = standIn
		if d.Build(h.in.operation, &v, &m) != nil {
			return nil
		}
		direction = "sent"
		h.showMasked(&m)
	case recordReversalSent:
		var v iso.Values
		h.fillReversal(d, &v)
		v.PAN = standIn
		if d.Build(iso.OpReversal, &v, &m) != nil {
			return nil
		}
		if r.attempt > 1 {
			d.BuildRepeat(&m)
		}
		direction = "sent"
		h.showMasked(&m)
	case recordOperation, recordOperationSent:
		if !h.operationMessage(d, r, &m) {
			return nil
		}
		direction = "sent"
	default:
		if len(r.message) == 0 || m.SetCompact(r.message) != nil {
			return nil
		}
	}
	return &TimelineMessage{Direction: direction, MTI: m.MTI.String(), Fields: d.Describe(&m)}
}

const fieldPAN = 2

// standIn takes the place of a card number in messages that are only shown.
var standIn, _ = iso.ParsePAN([]byte("0000000000000000"))

// showMasked stands in for the card number, which a timeline never opens.
func (h *history) showMasked(m *iso.Message) {
	m.SetString(fieldPAN, h.Card.BIN+"******"+h.Card.Last4)
}

// fillReversal gives what the reversal of this payment is built from, save the
// card number. Its own trace number and time stay the same over all repeats
// (iso8583 rule: a repeat differs in the MTI only).
func (h *history) fillReversal(d *iso.Dialect, v *iso.Values) {
	in, u := h.in, &h.reversal.unknown
	in.fillValues(v)
	v.Original = in.original(d)
	v.SentAt = u.reversalSentAt
	if u.reversalSTAN != 0 && d.Behaviour().ReversalNewSTAN {
		v.STAN = u.reversalSTAN
	}
	v.Reason = u.reversalReason
}
