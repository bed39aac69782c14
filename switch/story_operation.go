package payswitch

import (
	"fmt"

	"github.com/tranzit/tranzit/iso"
)

// word is the name of the event in a timeline. REQUIRES: r was just applied.
func (h *history) word(r *record) string {
	o := h.about(r)
	if o == nil {
		return r.word()
	}
	kind := o.Kind.String()
	switch r.kind {
	case recordOperation:
		return kind
	case recordOperationSent:
		if o.request {
			return kind + "_reversal_sent"
		}
		if r.attempt == 1 {
			return kind + "_sent"
		}
		return kind + "_repeated"
	case recordOperationLate:
		return kind + "_late_answer"
	case recordOperationDesk:
		return kind + "_desk"
	case recordOperationClosed:
		return kind + "_closed"
	case recordOperationRetried:
		return kind + "_retried"
	case recordOperationAnswered:
		if o.Status != OperationSucceeded && o.Status != OperationDeclined && r.verdict != iso.ReversalDone {
			return kind + "_answered"
		}
	}
	return kind + "_" + o.Status.String()
}

// about is the operation that a record is about, nil for none.
func (h *history) about(r *record) *operation {
	n := r.op
	if r.kind == recordOperation {
		n = uint32(len(h.operations))
	}
	if n < 1 || int(n) > len(h.operations) {
		return nil
	}
	return &h.operations[n-1]
}

// detail is one sentence about the event, without card data. REQUIRES: r was
// just applied.
func (h *history) detail(r *record) string {
	o := h.about(r)
	switch {
	case o == nil && r.kind == recordUnknown && h.Purpose == PurposeVerification:
		return fmt.Sprintf("The question was not answered (%s). No money can have moved: nothing is owed.", r.reason)
	case o == nil:
		return r.detail()
	}
	name := o.ID.Text(o.Kind.Prefix())
	switch r.kind {
	case recordOperation:
		if o.Method == MethodNone {
			return fmt.Sprintf("%s of %s, %s: the bank needs no message.", o.Kind, majorUnits(o.Amount, h.Currency), name)
		}
		return fmt.Sprintf("%s of %s by %s, %s, STAN %06d, RRN %s.", o.Kind, majorUnits(o.Amount, h.Currency), o.Method, name, uint32(o.STAN), o.RRN)
	case recordOperationAnswered:
		return fmt.Sprintf("The bank answered %s with code %s.", name, r.responseCode)
	case recordOperationNotSent:
		return fmt.Sprintf("%s provably never left (%s).", name, r.reason)
	case recordOperationUnknown:
		if o.request {
			return fmt.Sprintf("The outcome of %s is not proven (%s). Its reversal is queued.", name, r.reason)
		}
		return fmt.Sprintf("%s is not acknowledged (%s). It is repeated until it is.", name, r.reason)
	case recordOperationSent:
		if o.request {
			return fmt.Sprintf("Reversal of %s, attempt %d.", name, r.attempt)
		}
		return fmt.Sprintf("%s, attempt %d.", name, r.attempt)
	case recordOperationLate:
		return fmt.Sprintf("An answer to %s came too late, with code %s. It approves nothing.", name, r.responseCode)
	case recordOperationDesk:
		return fmt.Sprintf("%s was given to the operators: %s.", name, r.reason)
	case recordOperationClosed:
		return fmt.Sprintf("%s settled %s as %s: %s.", r.operator, name, r.settledOperation, r.reason)
	case recordOperationRetried:
		return fmt.Sprintf("%s made the switch try %s again: %s.", r.operator, name, r.reason)
	}
	return ""
}

// operationMessage builds the message that went with a record about an
// operation, for showing only; false: none went.
func (h *history) operationMessage(d *iso.Dialect, r *record, m *iso.Message) bool {
	o := h.about(r)
	if o == nil || o.Method == MethodNone || r.kind == recordOperation && o.owed.queued {
		return false
	}
	var v iso.Values
	op := h.fillOperation(d, o, &v)
	v.PAN = standIn
	if d.Build(op, &v, m) != nil {
		return false
	}
	if r.kind == recordOperationSent && r.attempt > 1 {
		d.BuildRepeat(m)
	}
	h.showMasked(m)
	return true
}
