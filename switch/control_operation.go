package payswitch

import (
	"fmt"
	"slices"
)

// ParseOperationID reads the TypeID of an operation of any kind.
func ParseOperationID(text string) (ID, bool) {
	for _, prefix := range kindPrefixes[1:] {
		if id, err := ParseID(prefix, text); err == nil {
			return id, true
		}
	}
	return ID{}, false
}

// RetryOperation puts an operation from the desk back into store-and-forward,
// due at once and with its schedule begun anew. Errors are refusals.
func (s *Switch) RetryOperation(id ID, act Act) error {
	return s.operationOffDesk(id, act, func(h *history, b *bank, n uint32) error {
		now := s.now()
		if !s.append(h, &record{kind: recordOperationRetried, op: n, at: now, reason: act.Reason, operator: act.Operator, nextAt: now}) {
			return errInternal
		}
		b.saf.addOperation(id, h.ID, now)
		return nil
	})
}

// CloseOperation settles an operation on the desk as its operator proved it:
// "succeeded"; or that nothing of it happened, which is "reversed" for a refund
// that was in doubt and "declined" for all else. Errors are refusals.
func (s *Switch) CloseOperation(id ID, as string, act Act) error {
	return s.operationOffDesk(id, act, func(h *history, b *bank, n uint32) error {
		may := h.operations[n-1].closings()
		at := slices.IndexFunc(may, func(status OperationStatus) bool { return status.String() == as })
		if at < 0 {
			return &Refusal{Code: CodeInvalidRequest, Pointer: "/as",
				Detail: fmt.Sprintf("This operation can be closed as %s or %s.", may[0], may[len(may)-1])}
		}
		r := record{kind: recordOperationClosed, op: n, at: s.now(), reason: act.Reason, operator: act.Operator, settledOperation: may[at]}
		if !s.append(h, &r) {
			return errInternal
		}
		s.metrics.operated(b, &h.operations[n-1].Operation)
		return nil
	})
}

// closings are the states an operator may settle an operation as.
func (o *operation) closings() []OperationStatus {
	switch {
	case o.Status == OperationReversed:
		return []OperationStatus{OperationReversed}
	case o.request:
		return []OperationStatus{OperationSucceeded, OperationReversed}
	}
	return []OperationStatus{OperationSucceeded, OperationDeclined}
}

func (s *Switch) operationOffDesk(id ID, act Act, do func(*history, *bank, uint32) error) error {
	if err := act.Validate(); err != nil {
		return err
	}
	missing := &Refusal{Code: CodeInvalidState, Detail: "This operation is not on the desk."}
	ref, ok, err := s.store.Get(spaceOperationDesk, id[:], nil)
	if err != nil {
		return errInternal
	}
	payment, n, readable := parseOperationRef(ref)
	if !ok || !readable {
		return missing
	}
	mu := s.lock(payment)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.history(payment)
	if err != nil || int(n) > len(h.operations) {
		return errNotFound
	}
	b := s.banks[h.Bank]
	if h.operations[n-1].owed.desk == "" || b == nil {
		return missing
	}
	if err := do(h, b, n); err != nil {
		return err
	}
	o := &h.operations[n-1]
	s.log.Warn("operator settled an operation on the desk", "payment", payment.Text(PaymentPrefix), "operation", id.Text(o.Kind.Prefix()),
		"bank", b.id, "status", o.Status.String(), "operator", act.Operator, "reason", act.Reason)
	return nil
}
