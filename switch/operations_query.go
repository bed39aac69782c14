package payswitch

// Refunds are a payment's refunds, oldest first, with those that a cancel chose.
// Errors are refusals.
func (s *Switch) Refunds(a Account, id ID) (Payment, []Operation, error) {
	h, err := s.owned(a, id)
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
	h, err := s.owned(a, id)
	if err != nil {
		return Payment{}, nil, err
	}
	out := make([]Operation, len(h.operations))
	for i := range h.operations {
		out[i] = h.operations[i].Operation
	}
	return h.Payment, out, nil
}

// Refund is one refund of a payment. Errors are refusals.
func (s *Switch) Refund(a Account, payment, id ID) (Payment, Operation, error) {
	h, err := s.owned(a, payment)
	if err != nil {
		return Payment{}, Operation{}, err
	}
	o, _ := h.operationOf(id)
	if o == nil || o.Kind != KindRefund {
		return Payment{}, Operation{}, &Refusal{Code: CodeNotFound, Detail: "This payment has no such refund."}
	}
	return h.Payment, o.Operation, nil
}
