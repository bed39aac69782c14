package payswitch

import "time"

func (h *history) shownOperations() []Operation {
	out := make([]Operation, len(h.operations))
	for i := range h.operations {
		out[i] = h.operations[i].Operation
	}
	return out
}

// WaitOperations is Operations when the one named (zero: every one) is settled with
// the bank, or after d. Errors are refusals.
func (s *Switch) WaitOperations(a Account, id, one ID, d time.Duration) (Payment, []Operation, error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		changed, cancel := s.watch.add(id)
		p, list, err := s.Operations(a, id)
		if err != nil || !anyOpen(list, one) {
			cancel()
			return p, list, err
		}
		select {
		case <-changed:
			continue
		case <-timer.C:
		case <-s.ctx.Done():
		}
		cancel()
		return p, list, nil
	}
}

func anyOpen(list []Operation, one ID) bool {
	for i := range list {
		if o := &list[i]; o.Open() && (one.IsZero() || o.ID == one) {
			return true
		}
	}
	return false
}

// Refunds are a payment's refunds, oldest first, with those that a cancel chose.
// Errors are refusals.
func (s *Switch) Refunds(a Account, id ID) (Payment, []Operation, error) {
	h, err := s.owned(a, PurposePayment, id)
	if err != nil {
		return Payment{}, nil, err
	}
	var out []Operation
	for i := range h.operations {
		if o := &h.operations[i]; o.Kind == KindRefund {
			out = append(out, o.Operation)
		}
	}
	return h.Payment, out, nil
}

// Operations are all operations of a payment in the order of their beginning,
// releases of its hold among them. Errors are refusals.
func (s *Switch) Operations(a Account, id ID) (Payment, []Operation, error) {
	h, err := s.owned(a, PurposePayment, id)
	if err != nil {
		return Payment{}, nil, err
	}
	return h.Payment, h.shownOperations(), nil
}

// Refund is one refund of a payment. Errors are refusals.
func (s *Switch) Refund(a Account, payment, id ID) (Payment, Operation, error) {
	h, err := s.owned(a, PurposePayment, payment)
	if err != nil {
		return Payment{}, Operation{}, err
	}
	o, _ := h.operationOf(id)
	if o == nil || o.Kind != KindRefund {
		return Payment{}, Operation{}, &Refusal{Code: CodeNotFound, Detail: "This payment has no such refund."}
	}
	return h.Payment, o.Operation, nil
}
