package payswitch

import (
	"fmt"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
)

// pursue sends what an open operation owes once, and records what came of it: a
// repeat of an advice, or the reversal of a refund that is in doubt. As with a
// payment's reversal, the attempt is durable before the message leaves.
func (s *Switch) pursue(b *bank, payment, id ID) {
	w := s.pool.Get().(*work)
	defer func() { w.reset(); s.pool.Put(w) }()
	h, n, ok := s.beginPursuit(b, payment, id, w)
	if !ok {
		return
	}
	o := &h.operations[n-1]
	fate := b.link.Exchange(&w.exchange)
	b.metrics.reversals.Inc()
	d := w.version.Dialect()
	if fate != acquirers.Answered && fate != acquirers.Refuted {
		b.late.addOperation(keyOf(d, &w.request), payment, n, s.o.Now())
		b.saf.again(id, s.now().Add(backoff(d.Behaviour().SAF, o.owed.attempts)))
		return
	}
	r := record{at: s.now()}
	readOperationAnswer(&r, d, operationAnswer{w.exchange.Answer, false})
	r.op, r.attempt = n, o.owed.attempts
	switch {
	case fate == acquirers.Refuted:
		r.verdict = iso.ReversalRetry
	case o.request:
		r.verdict = d.ReversalAnswer(r.responseCode)
	}
	s.operationAnswered(b, payment, id, &r)
}

// beginPursuit makes the next attempt durable and builds its message in w. It
// is false when nothing is to be sent now; the queue is then settled.
func (s *Switch) beginPursuit(b *bank, payment, id ID, w *work) (h *history, n uint32, ok bool) {
	mu := s.lock(payment)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.history(payment)
	if err != nil {
		s.unreadableOperation(b, payment, id, err)
		return nil, 0, false
	}
	o, n := h.operationOf(id)
	if o == nil || !o.owed.queued {
		b.saf.done(id)
		return nil, 0, false
	}
	if !w.speakAs(b, o.spoken, s.now().Sub(o.owed.since)) {
		b.saf.again(id, s.o.Now().Add(versionLook))
		return nil, 0, false
	}
	d := w.version.Dialect()
	r := o.due(n, d.Behaviour().SAF, s.now())
	if r.kind == recordOperationSent {
		r.speaks(d, o.spoken)
		if err := s.buildOperation(h, o, w); err != nil {
			s.log.Error("an operation cannot be built", "payment", payment.Text(PaymentPrefix), "error", err)
			r = deskOperation(n, "cannot_be_built", r.at)
		}
	}
	if !s.append(h, &r) {
		b.saf.again(id, s.o.Now().Add(unreadable))
		return nil, 0, false
	}
	if r.kind == recordOperationDesk {
		s.operationOnDesk(b, h, n)
		return nil, 0, false
	}
	if r.attempt > 1 {
		d.BuildRepeat(&w.request)
	}
	return h, n, true
}

func (s *Switch) unreadableOperation(b *bank, payment, id ID, err error) {
	s.log.Error("a queued operation cannot be read; it stays queued", "payment", payment.Text(PaymentPrefix), "error", err)
	b.saf.again(id, s.o.Now().Add(unreadable))
}

// operationAnswered records the bank's answer to what pursue sent and settles
// the queue.
func (s *Switch) operationAnswered(b *bank, payment, id ID, r *record) {
	mu := s.lock(payment)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.history(payment)
	if err != nil {
		s.unreadableOperation(b, payment, id, err)
		return
	}
	o, n := h.operationOf(id)
	if o == nil || !o.owed.queued {
		b.saf.done(id)
		return
	}
	desk := o.verdict(n, r, b.dialect().Behaviour().SAF)
	if !s.append(h, r) || desk != nil && !s.append(h, desk) {
		b.saf.again(id, s.o.Now().Add(unreadable))
		return
	}
	switch {
	case desk != nil:
		s.operationOnDesk(b, h, n)
	case h.operations[n-1].owed.queued:
		b.saf.again(id, r.nextAt)
	default:
		b.saf.done(id)
		done := &h.operations[n-1].Operation
		s.metrics.operated(b, done)
		s.log.Info("an operation is settled", "payment", payment.Text(PaymentPrefix), "operation", id.Text(done.Kind.Prefix()),
			"bank", b.id, "status", done.Status.String(), "attempts", r.attempt)
	}
}

// operationOnDesk takes an operation out of the queue and raises the alarm.
func (s *Switch) operationOnDesk(b *bank, h *history, n uint32) {
	o := &h.operations[n-1]
	b.saf.done(o.ID)
	s.metrics.alarms.WithLabelValues("desk").Inc()
	s.log.Error("an operation needs an operator", "payment", h.Name(), "operation", o.ID.Text(o.Kind.Prefix()),
		"bank", b.id, "stan", uint32(o.STAN), "rrn", o.RRN, "reason", o.owed.desk)
}

// recoverOperation gives an operation that an earlier life left open its owner:
// one without an outcome was sent and unanswered. REQUIRES: the payment's lock.
func (s *Switch) recoverOperation(id ID, n uint32, reason string) error {
	h, err := s.history(id)
	if err != nil {
		return fmt.Errorf("payment %s: %w", id.Text(PaymentPrefix), err)
	}
	if n < 1 || int(n) > len(h.operations) {
		return fmt.Errorf("payment %s has no operation %d", id.Text(PaymentPrefix), n)
	}
	b := s.banks[h.Bank]
	if b == nil {
		return fmt.Errorf("payment %s has an open operation at bank %q, which is not configured", id.Text(PaymentPrefix), h.Bank)
	}
	if h.operations[n-1].Status == OperationInFlight {
		r := record{kind: recordOperationUnknown, op: n, at: s.now(), reason: reason, reversalReason: iso.ReasonTimeout}
		if err := s.oweReversal(b, h, &r); err != nil {
			return err
		}
		if !s.append(h, &r) {
			return fmt.Errorf("payment %s: the recovery of its operation could not be recorded", id.Text(PaymentPrefix))
		}
	}
	o := &h.operations[n-1]
	if !o.owed.queued {
		return nil
	}
	s.rememberOperation(b, h, n)
	b.saf.addOperation(o.ID, id, s.soon(b, o.owed.nextAt))
	return nil
}

// rememberOperation is remember for an operation of an earlier life.
func (s *Switch) rememberOperation(b *bank, h *history, n uint32) {
	var v iso.Values
	var m iso.Message
	first := h.operations[n-1]
	first.Status = OperationInFlight
	d := b.spoke(first.spoken)
	if d == nil {
		return
	}
	op := h.fillOperation(d, &first, &v)
	v.PAN = standIn // the key of the answer holds no card number, but no message is built without one
	if err := d.Build(op, &v, &m); err == nil {
		b.late.addOperation(keyOf(d, &m), h.ID, n, s.o.Now())
	}
}

// lateOperation records an answer to an operation that was given up; it is
// false when the operation is between giving up and saying so.
func (s *Switch) lateOperation(b *bank, payment ID, n uint32, m lateMessage) bool {
	mu := s.lock(payment)
	mu.Lock()
	h, err := s.history(payment)
	if err != nil || int(n) > len(h.operations) || h.operations[n-1].Status == OperationInFlight {
		mu.Unlock()
		return false
	}
	b.metrics.late.Inc()
	o := h.operations[n-1]
	r := record{at: s.now()}
	masked := new(iso.Message)
	masked.CopyFrom(m.Message)
	undoing := o.request && m.MTI.Class() == reversalClass
	readOperationAnswer(&r, m.dialect, operationAnswer{masked, o.request && !undoing})
	r.op = n
	if o.request && !undoing {
		defer mu.Unlock()
		return s.lateRequest(b, h, &r)
	}
	mu.Unlock()
	if undoing {
		r.verdict = m.dialect.ReversalAnswer(r.responseCode)
	}
	// While a repeat is on its way, that one's answer is awaited instead.
	if r.verdict == iso.ReversalDone && !b.saf.sending(o.ID) && o.owed.queued {
		r.attempt = o.owed.attempts
		s.operationAnswered(b, payment, o.ID, &r)
	}
	return true
}

// lateRequest records a late answer to an operation that is a request. A code in
// doubt proves nothing. REQUIRES: the payment's lock.
func (s *Switch) lateRequest(b *bank, h *history, r *record) bool {
	if r.kind == recordOperationUnknown {
		r.verdict = iso.ReversalRetry
	}
	if r.kind = recordOperationLate; !h.stepAllowed(r) {
		return true
	}
	if !s.append(h, r) {
		return true
	}
	o := &h.operations[r.op-1]
	if o.owed.queued {
		b.saf.addOperation(o.ID, h.ID, s.o.Now())
	}
	s.log.Warn("a late answer to an operation was recorded", "payment", h.Name(), "bank", b.id, "rrn", o.RRN,
		"code", r.responseCode, "status", o.Status.String())
	return true
}
