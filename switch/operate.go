package payswitch

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// Operate captures, cancels, refunds or raises a hold. It returns when the outcome is durable,
// or durably open: an operation that is pending or unknown is the switch's to
// resolve. Repeats under one idempotency key get the first answer, also across
// restarts; while the first still runs they wait for it. Every error is a
// *Refusal: nothing was recorded, unless its code says otherwise.
func (s *Switch) Operate(a Account, r *OperationRequest) (*Answer, error) {
	key := s.idempotencyDigest(a, r.IdempotencyKey)
	mine := &flight{fingerprint: r.Fingerprint}
	if other := s.flights.join(key, mine); other != nil {
		if other.fingerprint != r.Fingerprint {
			mine.answer, mine.err = s.refuseOperation(r, key, errKeyReused)
			return &mine.answer, mine.err
		}
		<-other.done
		mine.answer = other.answer
		mine.answer.Replayed = other.err == nil
		return &mine.answer, other.err
	}
	mine.err = errInternal
	defer s.flights.finish(key, mine)
	mine.answer, mine.err = s.operate(a, r, key)
	return &mine.answer, mine.err
}

// operate is the walk of an operation: admission, plan, intent, message, round
// trip, outcome, answer. As with a payment, no byte leaves before the intent is
// durable and no answer is given before the outcome is.
func (s *Switch) operate(a Account, r *OperationRequest, key [16]byte) (Answer, error) {
	if err := s.admit(a); err != nil {
		return s.refuseOperation(r, key, err)
	}
	defer s.leave(a)
	w := s.pool.Get().(*work)
	defer func() { w.reset(); s.pool.Put(w) }()

	h, to, replayed, err := s.intend(a, r, key, w)
	switch {
	case err != nil:
		return s.refuseOperation(r, key, err)
	case replayed != nil:
		return s.replayOperation(r.Fingerprint, replayed)
	}
	n := uint32(len(h.operations))
	if h.operations[n-1].Method != MethodNone {
		defer to.leave()
		if h, err = s.perform(to.bank, h, n, w); err != nil {
			return Answer{}, err
		}
	}
	done := h.operations[n-1].Operation
	s.metrics.operated(to.bank, &done)
	return Answer{Payment: h.Payment, Operation: &done}, nil
}

// intend decides on the operation and makes it durable, with the message built
// in w and a slot of the bank's window held. Its replayed is what the key holds
// when another request claimed it first.
func (s *Switch) intend(a Account, r *OperationRequest, key [16]byte, w *work) (h *history, to *route, replayed []byte, err error) {
	mu := s.lock(r.Payment)
	mu.Lock()
	defer mu.Unlock()
	if h, err = s.owned(a, PurposePayment, r.Payment); err != nil {
		return nil, nil, nil, err
	}
	b := s.banks[h.Bank]
	if b == nil {
		return nil, nil, nil, &Refusal{Code: CodeBankUnavailable, RetryAfter: time.Minute, Detail: fmt.Sprintf("Bank %q is not configured any more. Nothing was recorded.", h.Bank)}
	}
	now := s.now()
	v := b.link.SpeakCurrent()
	d := b.dialect()
	if w.holds(v) {
		d = v.Dialect()
	}
	terms := b.terms(d)
	plan, no := h.plan(r, &terms, now)
	if no != nil {
		return nil, nil, nil, no
	}
	way := s.dir.Load().route(a.Merchant.ID, b.id)
	if way == nil {
		way = &route{bank: b} // the merchant pays there no more
	}
	if plan.method != MethodNone {
		if v == nil {
			return nil, nil, nil, unavailable(b, 2*time.Second, "has no line that is signed on")
		}
		if err := way.takeSlot(s.o.MerchantShare); err != nil {
			return nil, nil, nil, err
		}
		defer func() {
			if err != nil || replayed != nil {
				way.leave()
			}
		}()
	}
	if err := s.number(b, h, &plan, d); err != nil {
		return nil, nil, nil, err
	}
	plan.claim = &key
	begin := record{kind: recordOperation, at: now, begun: &plan}
	begin.begins(d, h.in.spoken())
	result, err := s.appendOperation(h, w, &begin)
	switch {
	case err != nil:
		return nil, nil, nil, err
	case result.Kind == storage.Exists:
		return nil, nil, result.Value, nil
	case result.Kind != storage.Applied:
		s.log.Error("an operation lost against another step of its payment", "payment", r.Payment.Text(PaymentPrefix))
		return nil, nil, nil, errInternal
	}
	return h, way, nil, nil
}

// takeSlot takes what an operation needs to go this way now.
func (r *route) takeSlot(share float64) error {
	b := r.bank
	if b.link.Ready() != nil {
		return &Refusal{Code: CodeBankUnavailable, RetryAfter: 2 * time.Second,
			Detail: fmt.Sprintf("Bank %q has no line that is signed on. Nothing was recorded or sent.", b.id)}
	}
	if !b.link.Reserve(acquirers.ClassPayment) || !r.fair(share) {
		b.metrics.refused.Inc()
		return &Refusal{Code: CodeOverloaded, RetryAfter: time.Second, Detail: "The bank's window, or your share of it, is full. Nothing was recorded or sent."}
	}
	return nil
}

// number gives an operation its id, its trace numbers and its time. What undoes
// the payment's own request keeps that one's reference number and local time.
func (s *Switch) number(b *bank, h *history, plan *begun, d *iso.Dialect) error {
	now := s.now()
	plan.id = s.ids.next(now)
	if plan.method == MethodNone {
		return nil
	}
	seq, err := b.trace.next()
	if err != nil {
		return &Refusal{Code: CodeOverloaded, RetryAfter: time.Second, Detail: "The journal does not take new operations now."}
	}
	plan.stan, plan.rrn, plan.sentAt, plan.localAt = d.STAN(seq), d.RRN(seq, now), now, now.In(h.in.localAt.Location())
	if plan.method.isoOperation() == iso.OpVoid {
		plan.rrn, plan.localAt = h.RRN, h.in.localAt
	}
	return nil
}

// appendOperation folds the intent of an operation, builds its message in w and
// makes the intent durable: the record, its idempotency claim, and the entry that recovery reads. Nothing is durable on an error.
func (s *Switch) appendOperation(h *history, w *work, begin *record) (storage.Result, error) {
	before := h.standing()
	if err := h.apply(h.ID, h.Version+1, begin); err != nil {
		s.log.Error("an illegal step was refused", "error", err)
		return storage.Result{}, errInternal
	}
	n := uint32(len(h.operations))
	o := &h.operations[n-1]
	if o.Method != MethodNone {
		if err := s.buildOperation(h, o, w); err != nil {
			return storage.Result{}, &Refusal{Code: CodeInvalidState, Detail: "The bank cannot be asked for this: " + err.Error() + "."}
		}
	}
	w.body = begin.encode(w.body[:0])
	w.cmd.Reset()
	w.cmd.Claim(spaceKey, begin.begun.claim[:], h.operationRef(n))
	w.cmd.Append(storage.ID(h.ID), h.Version, w.body)
	s.attend(h)
	h.reindex(&w.cmd, before)
	h.reindexOperation(&w.cmd, n, operationStanding{})
	result, err := s.store.Do(&w.cmd)
	if err != nil {
		s.log.Error("journal refused an operation", "payment", h.Name(), "error", err)
		return result, errInternal
	}
	if result.Kind == storage.Applied {
		h.steps = s.stripe(h.ID).steps.Add(1)
		s.told(h)
	}
	return result, nil
}

// perform sends an operation for the first time and makes its outcome durable.
// h is then what the journal holds.
func (s *Switch) perform(b *bank, h *history, n uint32, w *work) (*history, error) {
	id, payment := h.operations[n-1].ID, h.ID
	settled := false
	defer func() {
		if !settled {
			s.abandonedOperation(payment, n)
		}
	}()
	fate := b.link.Exchange(&w.exchange)
	outcome := s.operationOutcome(&h.operations[n-1], w, fate)
	outcome.op = n
	if outcome.kind == recordOperationUnknown {
		b.late.addOperation(keyOf(w.version.Dialect(), &w.request), h.ID, n, s.o.Now())
		if err := s.oweReversal(b, h, &outcome); err != nil {
			return nil, errUncertain
		}
	}
	mu := s.lock(payment)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.appendTo(h, &outcome)
	if err != nil {
		return nil, errUncertain
	}
	settled = true
	if o := &h.operations[n-1]; o.owed.queued {
		b.saf.addOperation(id, h.ID, o.owed.nextAt)
		s.log.Warn("an operation is open", "payment", h.Name(), "operation", o.ID.Text(o.Kind.Prefix()), "bank", b.id,
			"stan", uint32(o.STAN), "rrn", o.RRN, "status", o.Status.String())
	}
	return h, nil
}

// appendTo makes a record durable on top of h, or of what the payment has
// become since h was read. REQUIRES: the payment's lock.
func (s *Switch) appendTo(h *history, r *record) (*history, error) {
	if s.stripe(h.ID).steps.Load() != h.steps {
		var err error
		if h, err = s.history(h.ID); err != nil {
			return nil, err
		}
	}
	if !s.append(h, r) {
		return nil, errors.New("not recorded")
	}
	return h, nil
}

// operationOutcome turns the fate of an operation's first message into a record.
func (s *Switch) operationOutcome(o *operation, w *work, fate acquirers.Fate) record {
	r := record{kind: recordOperationUnknown, at: s.now(), reversalReason: iso.ReasonTimeout, reason: "no_answer"}
	switch {
	case fate == acquirers.NotSent && o.request:
		r.kind, r.reason = recordOperationNotSent, w.exchange.Cause.String()
		return r
	case fate == acquirers.NotSent:
		r.reason = w.exchange.Cause.String()
		return r
	case fate == acquirers.Unanswered:
		if w.exchange.Cause == acquirers.CauseLinkLost {
			r.reason = "link_lost"
		}
		return r
	}
	d := w.version.Dialect()
	readOperationAnswer(&r, d, operationAnswer{w.exchange.Answer, o.request})
	switch {
	case fate == acquirers.Refuted:
		r.kind, r.reason, r.reversalReason = recordOperationUnknown, "invalid_answer", iso.ReasonInvalidAnswer
	case r.kind == recordOperationAnswered && r.verdict == iso.ReversalRetry:
		r.nextAt = r.at.Add(d.Behaviour().SAF.First)
	}
	return r
}

// operationAnswer is the answer to a request, or to an advice.
type operationAnswer struct {
	*iso.Message
	request bool
}

// readOperationAnswer gives the record what an answer says: of a request by the
// meaning of its code, of an advice by what ends one.
func readOperationAnswer(r *record, d *iso.Dialect, answer operationAnswer) {
	r.kind, r.attempt, r.reason = recordOperationAnswered, 1, ""
	r.responseCode = string(answer.Get(fieldResponseCode))
	r.approvalCode = string(answer.Get(fieldApprovalCode))
	meaning := d.Code(r.responseCode)
	d.Mask(answer.Message)
	r.message = answer.AppendCompact(make([]byte, 0, compactBytes))
	if !answer.request {
		r.verdict = d.AdviceAnswer(r.responseCode)
	} else {
		switch r.verdict = iso.ReversalManual; {
		case meaning.Partial:
			r.kind, r.reason, r.reversalReason = recordOperationUnknown, "partial_not_accepted", iso.ReasonCustomer
		case meaning.InDoubt:
			r.kind, r.reason = recordOperationUnknown, "in_doubt_code"
		case meaning.Approved:
			r.verdict = iso.ReversalDone
		}
	}
	if r.verdict == iso.ReversalManual {
		r.decline = declineOf(meaning, r.responseCode)
		if r.decline.Code == "" {
			r.decline.Code, r.decline.Retry = "invalid_transaction", "never"
		}
	}
}

// buildOperation makes an operation's message, or the reversal of a refund that
// is in doubt, in w.
func (s *Switch) buildOperation(h *history, o *operation, w *work) error {
	pan, err := s.keys.open(h.in.sealedPAN, h.ID)
	if err != nil {
		return err
	}
	op := h.fillOperation(w.version.Dialect(), o, &w.values)
	w.values.PAN = pan
	return w.compose(op)
}

// fillOperation gives what the message that is due is built from, save the card
// number, and says which message it is. Bank, merchant and terminal are those
// of the payment (features R10).
func (h *history) fillOperation(d *iso.Dialect, o *operation, v *iso.Values) iso.Operation {
	in := h.in
	in.fillValues(v)
	v.ECI = ""
	v.STAN, v.RRN, v.SentAt, v.LocalAt = o.STAN, o.RRN, o.sentAt, o.localAt
	v.Reason, v.Replacement, v.ApprovalCode = iso.ReasonCustomer, o.stays, h.ApprovalCode
	v.Original = in.original(d)
	op := o.Method.isoOperation()
	switch op {
	case iso.OpVoid:
		v.Amount = h.approved + h.tally().raised
	case iso.OpIncrement:
		v.Amount, v.Total, v.Replacement = o.Amount, o.Total, 0
	default:
		v.Amount = o.Amount
	}
	if !o.request || o.Status == OperationInFlight {
		return op
	}
	u := &o.owed.unknown
	v.Original = iso.Original{Operation: op, MTI: cmp.Or(o.requestType, d.MTI(op)), STAN: o.STAN, SentAt: o.sentAt, Acquirer: in.acquirer}
	v.SentAt, v.Reason, v.ApprovalCode = u.reversalSentAt, u.reversalReason, o.ApprovalCode
	if u.reversalSTAN != 0 && d.Behaviour().ReversalNewSTAN {
		v.STAN = u.reversalSTAN
	}
	if op == iso.OpIncrement && d.IncrementByTotal() {
		v.Amount, v.Replacement = o.Total, o.stays
	}
	return iso.OpReversal
}

// refuseOperation answers a request that was not recorded, unless it is the
// repeat of one that was.
func (s *Switch) refuseOperation(r *OperationRequest, key [16]byte, why error) (Answer, error) {
	var buf [20]byte
	held, ok, err := s.store.Get(spaceKey, key[:], buf[:0])
	if err != nil {
		return Answer{}, errInternal
	}
	if ok {
		return s.replayOperation(r.Fingerprint, held)
	}
	return Answer{}, why
}

// replayOperation is the answer to a repeat: the operation and its payment as
// they stood when the first request was answered.
func (s *Switch) replayOperation(fingerprint Fingerprint, held []byte) (Answer, error) {
	id, n, ok := parseOperationRef(held)
	if !ok {
		return Answer{}, errKeyReused
	}
	answered := func(h *history) bool {
		return len(h.operations) >= int(n) && h.operations[n-1].Status != OperationInFlight
	}
	h, err := s.foldWhile(id, func(h *history) bool { return !answered(h) })
	switch {
	case err != nil || len(h.operations) < int(n):
		return Answer{}, errInternal
	case h.operations[n-1].fingerprint != fingerprint:
		return Answer{}, errKeyReused
	case !answered(h):
		return Answer{}, errUncertain
	}
	first := h.operations[n-1].Operation
	return Answer{Payment: h.Payment, Operation: &first, Replayed: true}, nil
}

// abandonedOperation gives an owner to an operation whose goroutine could not
// finish it: a fault of ours, never the bank's.
func (s *Switch) abandonedOperation(id ID, n uint32) {
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	if err := s.recoverOperation(id, n, "interrupted"); err != nil {
		s.log.Error("an operation stays open until the next start", "payment", id.Text(PaymentPrefix), "error", err)
	}
}
