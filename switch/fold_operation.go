package payswitch

import (
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// operationSteps lists, for each kind of record about an operation, the states
// of the operation it may be applied in; transitions lists those of the payment.
var operationSteps = [...][]OperationStatus{
	recordOperationAnswered: {OperationInFlight, OperationPending, OperationUnknown, OperationReversed},
	recordOperationNotSent:  {OperationInFlight},
	recordOperationUnknown:  {OperationInFlight},
	recordOperationSent:     {OperationPending, OperationUnknown, OperationReversed},
	recordOperationLate:     {OperationUnknown, OperationReversed},
	recordOperationDesk:     {OperationPending, OperationUnknown, OperationReversed},
	recordOperationClosed:   {OperationPending, OperationUnknown, OperationReversed},
	recordOperationRetried:  {OperationPending, OperationUnknown, OperationReversed},
}

// stepAllowed reports whether a record about an operation may follow; a record
// about none may always, as far as operations go.
func (h *history) stepAllowed(r *record) bool {
	if r.kind <= recordOperation || r.kind >= recordRefused {
		return true
	}
	if r.op < 1 || int(r.op) > len(h.operations) {
		return false
	}
	for _, s := range operationSteps[r.kind] {
		if s == h.operations[r.op-1].Status {
			return true
		}
	}
	return false
}

// operationOf finds an operation by its id, nil when the payment has none such.
func (h *history) operationOf(id ID) (*operation, uint32) {
	for i := range h.operations {
		if h.operations[i].ID == id {
			return &h.operations[i], uint32(i + 1)
		}
	}
	return nil, 0
}

func (h *history) beginOperation(r *record) {
	b := r.begun
	o := operation{
		Operation: Operation{ID: b.id, Kind: b.kind, Method: b.method, Amount: b.amount, Final: b.final, Reason: b.reason,
			STAN: b.stan, RRN: b.rrn, CreatedAt: r.at, UpdatedAt: r.at},
		request: b.request, hold: b.hold, stays: b.stays, sentAt: b.sentAt, localAt: b.localAt, fingerprint: b.fingerprint,
	}
	if o.spoken = h.in.spoken(); r.rare != nil && r.rare.spoken != (iso.Revision{}) {
		o.spoken = r.rare.spoken
	}
	if r.rare != nil {
		o.requestType = r.rare.requestType
	}
	if b.kind == KindIncrement {
		o.Total = b.stays + b.amount
	}
	switch o.owed.attempts = 1; {
	case b.method == MethodNone:
		o.Status = OperationSucceeded
	case b.kind == KindRelease:
		// Store-and-forward sends it, the first time too.
		o.Status, o.owed = OperationPending, reversalState{queued: true, nextAt: r.at, since: r.at}
		o.Resolution = &Resolution{Reason: b.reason, Since: r.at}
		o.nextStep(r.at)
	}
	h.operations = append(h.operations, o)
	h.restate()
}

func (h *history) advanceOperation(r *record) {
	o := &h.operations[r.op-1]
	switch r.kind {
	case recordOperationAnswered:
		o.answered(r)
	case recordOperationNotSent:
		o.Status = OperationFailed
		o.Decline = &Decline{Source: "switch", Code: "not_sent", Retry: "later",
			Message: "The request never left for the bank. Nothing happened; a new one is safe."}
	case recordOperationUnknown:
		o.doubted(r)
	case recordOperationSent:
		o.owed.attempts, o.owed.nextAt = r.attempt, r.nextAt
		o.nextStep(r.nextAt)
	case recordOperationLate:
		o.late(r)
	case recordOperationDesk:
		o.owed.queued, o.owed.desk = false, r.reason
		o.nextStep(time.Time{})
	case recordOperationRetried:
		o.owed.queued, o.owed.desk, o.owed.nextAt = true, "", r.nextAt
		o.owed.since, o.owed.before = r.at, o.owed.attempts
		o.nextStep(r.nextAt)
	case recordOperationClosed:
		o.Status, o.Resolution = r.settledOperation, nil
		o.owed.queued, o.owed.desk = false, ""
	}
	o.UpdatedAt = r.at
	h.restate()
}

// answered takes the bank's word: on the operation itself or a repeat of it, or
// on the reversal of one that is unknown.
func (o *operation) answered(r *record) {
	o.owed.nextAt = r.nextAt
	undoing := o.Status == OperationUnknown || o.Status == OperationReversed
	if !undoing {
		o.ResponseCode, o.ApprovalCode = r.responseCode, r.approvalCode
	}
	switch {
	case r.verdict == iso.ReversalDone:
		o.Resolution, o.owed.queued = nil, false
		if o.Status = OperationSucceeded; undoing {
			o.Status = OperationReversed
		}
	case r.verdict == iso.ReversalManual && !undoing && o.Kind != KindRelease:
		d := r.decline
		o.Status, o.Decline, o.Resolution, o.owed.queued = OperationDeclined, &d, nil, false
	case o.Status == OperationInFlight:
		o.doubted(r)
	default:
		o.nextStep(r.nextAt)
	}
}

// doubted makes the switch owe what resolves the operation.
func (o *operation) doubted(r *record) {
	attempts := o.owed.attempts
	o.Status = OperationPending
	if o.request {
		o.Status, attempts = OperationUnknown, 0
	}
	o.ResponseCode = r.responseCode
	o.owed = reversalState{queued: true, unknown: *r, nextAt: r.nextAt, since: r.at, attempts: attempts}
	reason := r.reason
	if reason == "" {
		reason = "answered_with_" + r.responseCode
	}
	o.Resolution = &Resolution{Reason: reason, Since: r.at}
	o.nextStep(r.nextAt)
}

// late never turns a request approved: an approval makes its reversal owed,
// again if it was already acknowledged; a decline stands it down only while no
// reversal has left.
func (o *operation) late(r *record) {
	switch {
	case r.verdict == iso.ReversalDone:
		o.owed.queued, o.owed.desk = true, ""
		o.nextStep(r.at)
	case r.verdict == iso.ReversalManual && o.Status == OperationUnknown && o.owed.attempts == 0:
		d := r.decline
		o.Status, o.Decline, o.Resolution, o.ResponseCode = OperationDeclined, &d, nil, r.responseCode
		o.owed.queued, o.owed.desk = false, ""
	}
}

// nextStep replaces, never edits, the resolution: operations are handed out by
// value and share the pointer.
func (o *operation) nextStep(at time.Time) {
	if o.Resolution == nil {
		return
	}
	next := *o.Resolution
	next.NextAction, next.NextAt, next.Attempts = "repeat", at, int(o.owed.attempts)
	switch {
	case o.owed.desk != "":
		next.NextAction = "operator"
	case o.request:
		next.NextAction = "reversal"
	}
	o.Resolution = &next
}

// tally is a payment's money after its approval: what is settled, and what
// operations that are still open may move.
type tally struct {
	captured, captures int64     // settled, open
	refunded, refunds  int64     // settled, open; given back by whatever method
	credits            int64     // of refunded and refunds: by credits of their own
	parts              int64     // undone of the original request in parts
	let                int64     // of parts: let go of a hold
	raised             int64     // by increments, settled: the others are nothing to capture yet
	raising            bool      // an increment is on its way, or its reversal is owed
	asking             bool      // an increment is on its way and nothing is known of it
	lengthened         time.Time // when the last increment began with which the hold's time did
	undoing            bool      // a cancel or a release is open
	whole              bool      // a cancel undid the whole
	expired            bool      // a release did
	closed             bool      // no capture may follow
	capturing          int       // captures, settled or open
	refused            bool      // the bank refused to undo
}

func (h *history) tally() (t tally) {
	if !h.ManualCapture {
		t.captured = h.approved
	}
	for i := range h.operations {
		o := &h.operations[i]
		done, open := o.Status == OperationSucceeded, o.open()
		switch o.Kind {
		case KindCapture:
			t.add(&t.captured, &t.captures, o)
			if done || open {
				t.capturing++
				t.closed = t.closed || o.Final
			}
		case KindRefund:
			t.add(&t.refunded, &t.refunds, o)
			if done || open {
				t.credits += o.Amount
			}
		case KindCancel:
			t.undoing = t.undoing || open
			t.refused = t.refused || o.Status == OperationDeclined
			t.cancel(o, done)
		case KindRelease:
			t.undoing = t.undoing || open
			t.closed = t.closed || done || open
			t.expired = t.expired || done
		case KindIncrement:
			t.raising = t.raising || open
			t.asking = t.asking || o.Status == OperationInFlight
			if done {
				t.raised += o.Amount
			}
			if done && o.hold {
				t.lengthened = o.CreatedAt
			}
		}
	}
	return t
}

func (t *tally) add(settled, open *int64, o *operation) {
	switch {
	case o.Status == OperationSucceeded:
		*settled += o.Amount
	case o.open():
		*open += o.Amount
	}
}

func (t *tally) cancel(o *operation, done bool) {
	if !o.hold {
		t.add(&t.refunded, &t.refunds, o)
	}
	if !done {
		return
	}
	switch {
	case o.Method == MethodPartialReversal:
		if t.parts += o.Amount; o.hold {
			t.let += o.Amount
		}
	case o.hold, o.Amount == t.captured:
		t.whole = true
	}
}

// restate derives the payment's state and amounts from its operations.
func (h *history) restate() {
	t := h.tally()
	h.AmountAuthorized = h.approved + t.raised - t.let
	h.AmountCaptured, h.AmountRefunded = t.captured, t.refunded
	if t.lengthened.After(h.heldFrom) {
		h.heldFrom = t.lengthened
	}
	h.uncaptured = h.ManualCapture && !t.closed && !t.whole && t.captured+t.captures < h.AmountAuthorized
	switch {
	case t.whole:
		h.Status = StatusCanceled
	case t.captured == 0 && t.expired:
		h.Status = StatusExpired
	case t.captured == 0:
		h.Status = StatusAuthorized
	case t.refunded == 0:
		h.Status = StatusCaptured
	case t.refunded < t.captured:
		h.Status = StatusPartiallyRefunded
	default:
		h.Status = StatusRefunded
	}
	h.uncaptured = h.uncaptured && !h.Status.Final()
}

// operationStanding is where an operation stands in the journal's small
// indexes: those that recovery and the desk read.
type operationStanding struct{ open, desk, doubt bool }

func (h *history) operationStanding(n uint32) operationStanding {
	if n < 1 || int(n) > len(h.operations) {
		return operationStanding{}
	}
	o := &h.operations[n-1]
	return operationStanding{open: o.Status == OperationInFlight || o.owed.queued, desk: o.owed.desk != "", doubt: o.Status == OperationUnknown}
}

func (h *history) illegalOperation(r *record, version uint32) error {
	return fmt.Errorf("payment %s: %s of operation %d at version %d is illegal", h.Name(), r.kind, r.op, version)
}
