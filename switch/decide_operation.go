package payswitch

import (
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// retryOpen is when a request that an open operation stands in the way of may
// be repeated.
const retryOpen = 2 * time.Second

func wrongState(format string, args ...any) *Refusal {
	return &Refusal{Code: CodeInvalidState, Detail: fmt.Sprintf(format, args...)}
}

// inTheWay is the refusal of what will be possible, or not, once an open
// operation is settled.
func inTheWay(what string) *Refusal {
	return &Refusal{Code: CodeInvalidState, RetryAfter: retryOpen,
		Detail: what + " of this payment is not settled with the bank yet. Nothing was recorded; repeat later."}
}

// unserved is the refusal of what the bank's profile does not allow.
func unserved(pointer, format string, args ...any) *Refusal {
	return &Refusal{Code: CodeNotServed, Pointer: pointer, Detail: fmt.Sprintf(format, args...) + " Nothing was recorded or sent."}
}

// bounds refuses an amount outside of what the bank's profile says of an operation.
func (y *terms) bounds(op iso.Operation, currency iso.Currency, amount int64) *Refusal {
	limit := y.profile.Amount(op, currency)
	if limit.Allows(amount) {
		return nil
	}
	return unserved("/amount", "This bank takes %ss of %d to %d in %s.", op, limit.From, limit.To, currency)
}

func tooMuch(left int64, what string) *Refusal {
	return &Refusal{Code: CodeInvalidState, Pointer: "/amount", Detail: fmt.Sprintf("At most %d can be %s.", left, what)}
}

// plan decides what a merchant's wish becomes: the operation to write and send,
// or the refusal. It is the one place where an operation is allowed, and it
// counts what open operations may still move as moved. Trace numbers and times
// are left to the caller.
func (h *history) plan(r *OperationRequest, y *terms, now time.Time) (begun, *Refusal) {
	b := begun{kind: r.Kind, reason: r.Reason, fingerprint: r.Fingerprint}
	at := &situation{terms: y, tally: h.tally(), now: now}
	var no *Refusal
	switch r.Kind {
	case KindCapture:
		no = h.planCapture(&b, r, at)
	case KindCancel:
		no = h.planCancel(&b, r, at)
	case KindRefund:
		no = h.planRefund(&b, r, at)
	case KindIncrement:
		no = h.planIncrement(&b, r, at)
	default:
		no = wrongState("There is no such operation.")
	}
	b.request = b.method == MethodRefund && y.refundRequest || b.method == MethodIncrement
	return b, no
}

// situation is what a plan depends on besides the payment's own state.
type situation struct {
	*terms
	tally
	now time.Time
}

// wrongStatus words why a payment takes no operation in its present state.
func (h *history) wrongStatus(what string) *Refusal {
	if h.Status == StatusUnknown {
		return &Refusal{Code: CodeInvalidState, RetryAfter: retryOpen,
			Detail: "The payment's outcome is not proven yet: it cannot be " + what + " before it is. It is being resolved by its reversal."}
	}
	return wrongState("A payment that is %s cannot be %s.", h.Status, what)
}

func (h *history) planCapture(b *begun, r *OperationRequest, t *situation) *Refusal {
	limit := h.AmountAuthorized + h.AmountAuthorized*t.overcapture/100
	left := limit - t.captured - t.captures
	rest := max(0, h.AmountAuthorized-t.captured-t.captures)
	switch {
	case !allowed(recordOperation, h.Status):
		return h.wrongStatus("captured")
	case t.undoing:
		return inTheWay("A cancel or the release")
	case t.refunds > 0:
		return inTheWay("A refund")
	case !h.ManualCapture:
		return wrongState("The payment was captured when it was made.")
	case t.asking:
		return inTheWay("An increment")
	case t.closed && t.captures > 0:
		return inTheWay("The final capture")
	case t.closed:
		return wrongState("The payment's final capture is made: nothing more can be captured.")
	case !t.several && t.captures > 0:
		return inTheWay("Another capture")
	case !t.several && t.capturing > 0:
		return wrongState("This bank takes one capture of a payment.")
	case t.now.Sub(h.heldFrom) >= t.hold:
		return wrongState("The bank holds the amount no longer: the hold's time is over.")
	case r.Amount > left:
		return tooMuch(left, "captured")
	case r.Amount == 0 && rest == 0:
		return wrongState("There is nothing left to capture.")
	}
	b.amount, b.method = r.Amount, MethodCompletion
	if b.amount == 0 {
		b.amount = rest
	}
	b.final = r.Final || b.amount >= rest
	if !t.terms.capture {
		b.method = MethodNone
	}
	if b.amount < rest && !t.captureParts {
		return unserved("/amount", "This bank takes no part of a hold: capture %d, or cancel the payment.", rest)
	}
	return t.bounds(iso.OpCapture, h.Currency, b.amount)
}

func (h *history) planRefund(b *begun, r *OperationRequest, t *situation) *Refusal {
	left := t.captured - t.refunded - t.refunds
	switch {
	case !allowed(recordOperation, h.Status):
		return h.wrongStatus("refunded")
	case t.captures > 0:
		return inTheWay("A capture")
	case t.undoing:
		return inTheWay("A cancel or the release")
	case t.captured == 0:
		return wrongState("Nothing of this payment is captured: cancel it.")
	case !t.terms.refund:
		return wrongState("This bank takes no refunds by message.")
	case r.Amount > left:
		return tooMuch(left, "refunded")
	case left == 0:
		return inTheWay("A refund")
	}
	b.method, b.amount = MethodRefund, r.Amount
	if b.amount == 0 {
		b.amount = left
	}
	switch {
	case b.amount < t.captured && !t.refundParts:
		return unserved("/amount", "This bank gives no part of a payment back: refund %d.", t.captured)
	case t.refundable > 0 && t.now.Sub(h.approvedAt) >= t.refundable:
		return unserved("", "This bank takes refunds for %d days after the approval.", int(t.refundable.Hours())/24)
	}
	return t.bounds(iso.OpRefund, h.Currency, b.amount)
}

// planCancel is the smart cancel: a hold is voided, whole or in part where the
// bank can; a charge of the bank's same day is reversed, whole or in part where
// it can; all else is refunded. A bank that refused to undo is not asked again.
func (h *history) planCancel(b *begun, r *OperationRequest, t *situation) *Refusal {
	switch {
	case !allowed(recordOperation, h.Status):
		return h.wrongStatus("canceled")
	case t.undoing:
		return inTheWay("A cancel or the release")
	case t.captures > 0:
		return inTheWay("A capture")
	case t.captured == 0:
		return h.planVoid(b, r, t)
	}
	left := t.captured - t.refunded - t.refunds
	amount := r.Amount
	if amount == 0 {
		amount = left
	}
	stays := h.approved - t.tally.parts - amount
	whole := stays == 0 && t.credits == 0
	same := !h.ManualCapture && t.sameDay(h.approvedAt, t.now)
	if amount > left || left == 0 || !t.void || t.refused || !same || t.refunds > 0 || !whole && (!t.terms.parts || stays <= 0) {
		b.kind = KindRefund
		return h.planRefund(b, r, t)
	}
	b.amount, b.method, b.stays = amount, MethodReversal, 0
	if !whole {
		b.method, b.stays = MethodPartialReversal, stays
	}
	return nil
}

func (h *history) planVoid(b *begun, r *OperationRequest, t *situation) *Refusal {
	b.amount, b.method, b.hold = r.Amount, MethodVoid, true
	if b.amount == 0 {
		b.amount = h.AmountAuthorized
	}
	part := b.amount < h.AmountAuthorized
	switch {
	case t.raising:
		return inTheWay("An increment")
	case b.amount > h.AmountAuthorized:
		return tooMuch(h.AmountAuthorized, "canceled")
	case !t.void:
		return wrongState("This bank cannot undo a hold: it ends by itself.")
	case part && !t.terms.parts:
		return wrongState("This bank cannot let go of a part of a hold: capture less, with final.")
	case part:
		b.method, b.stays = MethodPartialReversal, h.AmountAuthorized-b.amount
	}
	return nil
}

// planIncrement raises a hold to an amount, or lengthens it where the bank
// counts its time anew. What is not settled of it is nothing to capture.
func (h *history) planIncrement(b *begun, r *OperationRequest, t *situation) *Refusal {
	switch {
	case !allowed(recordOperation, h.Status):
		return h.wrongStatus("raised")
	case !h.ManualCapture:
		return wrongState("The payment was captured when it was made: there is no hold to raise.")
	case t.undoing:
		return inTheWay("A cancel or the release")
	case t.captures > 0:
		return inTheWay("A capture")
	case t.captured > 0 || t.closed:
		return wrongState("A hold of which something was captured is raised no more.")
	case t.raising:
		return inTheWay("An increment")
	case !t.increment:
		return wrongState("This bank raises no holds.")
	case t.now.Sub(h.heldFrom) >= t.hold:
		return wrongState("The bank holds the amount no longer: the hold's time is over.")
	case r.Amount < h.AmountAuthorized:
		return &Refusal{Code: CodeInvalidState, Pointer: "/amount",
			Detail: fmt.Sprintf("The hold is %d: an increment names what is to be held in all. To hold less, cancel a part.", h.AmountAuthorized)}
	case r.Amount == h.AmountAuthorized && !t.lengthens:
		return &Refusal{Code: CodeInvalidState, Pointer: "/amount",
			Detail: fmt.Sprintf("The hold is %d already, and this bank counts its time from the approval.", h.AmountAuthorized)}
	}
	b.method, b.amount, b.stays, b.hold = MethodIncrement, r.Amount-h.AmountAuthorized, h.AmountAuthorized, t.lengthens
	return t.bounds(iso.OpIncrement, h.Currency, r.Amount)
}

// release is what the switch does with a hold at the end of its time; ok is
// false while an open operation stands in the way.
func (h *history) release(y *terms) (b begun, ok bool) {
	t := h.tally()
	if !h.uncaptured || t.undoing || t.raising || t.captures > 0 || t.refunds > 0 {
		return b, false
	}
	b = begun{kind: KindRelease, method: MethodVoid, hold: true, amount: h.AmountAuthorized - t.captured, reason: "hold_expired"}
	if t.captured > 0 || !y.void {
		b.method = MethodNone // the bank lets go of the rest by itself
	}
	return b, true
}

// due decides what an operation that fell due does now: the record
// that is written first. A recordOperationSent is followed by the message; after
// a recordOperationDesk nothing is sent. REQUIRES: it is owed.
func (o *operation) due(n uint32, saf iso.SAFSchedule, now time.Time) record {
	r := (&history{reversal: o.owed}).reversalDue(saf, now)
	r.op = n
	if r.kind = recordOperationSent; r.reason != "" {
		r.kind = recordOperationDesk
	}
	return r
}

// verdict completes the record of a bank's answer to what is owed. desk is set
// when the bank refused for good what must be done, or refused the repeat of an
// advice, which says nothing of the copies before it: a second record follows.
func (o *operation) verdict(n uint32, r *record, saf iso.SAFSchedule) (desk *record) {
	r.nextAt = r.at.Add(backoff(saf, max(1, r.attempt-min(r.attempt, o.owed.before))))
	reason := "refused_with_"
	switch {
	case r.verdict != iso.ReversalManual:
		return nil
	case o.request || o.Kind == KindRelease:
	case r.attempt > 1:
		r.verdict, reason = iso.ReversalRetry, "repeat_refused_with_"
	default:
		return nil
	}
	d := deskOperation(n, reason+r.responseCode, r.at)
	return &d
}

// deskOperation hands an operation to the operators.
func deskOperation(n uint32, reason string, now time.Time) record {
	return record{kind: recordOperationDesk, op: n, at: now, reason: reason}
}
