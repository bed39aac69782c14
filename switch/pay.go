package payswitch

import (
	"fmt"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// The journal's spaces. The bytes are stored: never reuse one.
const (
	spaceKey      storage.Space = 'k' // idempotency digest -> payment id; claimed
	spaceOpen     storage.Space = 'o' // payment id of an intent without an outcome
	spaceReversal storage.Space = 'r' // payment id whose reversal is owed -> bank id
	spaceMerchant storage.Space = 'm' // account digest + payment id: newest-first lists
	spaceOrder    storage.Space = 'q' // order digest + payment id
	spaceDesk     storage.Space = 'd' // payment id waiting for an operator
)

// work is the scratch memory of one payment on its way; pooled.
type work struct {
	cmd      storage.Command
	body     []byte
	values   iso.Values
	exchange acquirers.Exchange
	request  iso.Message
	answer   iso.Message
}

func newWork() *work { return new(work) }

// reset forgets the last payment; the messages may have held a verification
// code and are overwritten.
func (w *work) reset() {
	w.cmd.Reset()
	w.values = iso.Values{}
	w.request.Wipe()
	if w.exchange.Answer != nil {
		w.exchange.Answer.Reset()
	}
}

// Pay takes one payment from a merchant to a bank and back. It returns when
// the outcome is durable, or durably unknown. Repeats under one idempotency key
// get the first answer, byte for byte, also across restarts; while the first
// still runs they wait for it. Every error is a *Refusal: nothing was recorded,
// unless its code says otherwise.
func (s *Switch) Pay(a Account, r *PayRequest) (Answer, error) {
	key := s.idempotencyDigest(a, r.IdempotencyKey)
	mine := &flight{fingerprint: r.Fingerprint}
	if other := s.flights.join(key, mine); other != nil {
		if other.fingerprint != r.Fingerprint {
			return Answer{}, errKeyReused
		}
		<-other.done
		answer := other.answer
		answer.Replayed = other.err == nil
		return answer, other.err
	}
	answer, err := Answer{}, error(errInternal)
	defer func() { s.flights.finish(key, mine, answer, err) }()
	answer, err = s.pay(a, r, key)
	return answer, err
}

// pay is the walk of a payment, whole: admission, claim, route, numbers,
// intent, message, round trip, outcome, answer. No byte leaves before the
// intent is durable; no answer is given before the outcome is.
func (s *Switch) pay(a Account, r *PayRequest, key [16]byte) (Answer, error) {
	release, err := s.admit(a)
	if err != nil {
		return s.refuse(a, r, key, err)
	}
	defer release()

	way, err := s.route(a, r)
	if err != nil {
		return s.refuse(a, r, key, err)
	}
	b := way.bank
	if !b.link.Reserve(acquirers.ClassPayment) {
		b.metrics.refused.Inc()
		return s.refuse(a, r, key, &Refusal{Code: CodeOverloaded, RetryAfter: time.Second,
			Detail: "The bank's window is full. Nothing was recorded or sent."})
	}
	defer b.link.Release(acquirers.ClassPayment)

	seq, err := b.trace.next()
	if err != nil {
		return s.refuse(a, r, key, &Refusal{Code: CodeOverloaded, RetryAfter: time.Second, Detail: "The journal does not take new payments now."})
	}
	w := s.pool.Get().(*work)
	defer func() { w.reset(); s.pool.Put(w) }()

	now := s.now()
	id := s.ids.next(now)
	in := s.newIntent(a, r, way)
	in.stan, in.rrn = b.dialect.STAN(seq), b.dialect.RRN(seq, now)
	in.sentAt, in.localAt = now, now.In(a.Merchant.TimeZone)
	in.sealedPAN = s.keys.seal(make([]byte, 0, 48), r.PAN, id)
	in.keyDigest, in.fingerprint = key, r.Fingerprint
	in.fillValues(&w.values)
	w.values.PAN, w.values.CVC = r.PAN, r.CVC
	w.values.CAVV, w.values.DSTransactionID = r.ThreeDS.CAVV, r.ThreeDS.TransactionID
	if err := b.dialect.Build(in.operation, &w.values, &w.request); err != nil {
		return s.refuse(a, r, key, &Refusal{Code: CodeInvalidRequest, Detail: "The bank cannot be asked for this payment: " + err.Error() + "."})
	}

	var h history
	begun := record{kind: recordIntent, at: now, intent: in}
	if err := h.apply(id, 1, &begun); err != nil {
		return Answer{}, errInternal
	}
	w.body = begun.encode(w.body[:0])
	s.intentCommand(w, id, a, in)
	result, err := s.store.Do(&w.cmd)
	switch {
	case err != nil:
		s.log.Error("journal refused an intent", "request_id", r.RequestID, "error", err)
		return Answer{}, errInternal
	case result.Kind == storage.Exists:
		return s.replay(r.Fingerprint, result.Value)
	case result.Kind != storage.Applied:
		return Answer{}, errInternal
	}

	w.exchange.Request, w.exchange.Timeout = &w.request, 0
	if w.exchange.Answer == nil {
		w.exchange.Answer = &w.answer
	}
	fate := b.link.Exchange(&w.exchange)

	outcome := s.outcome(b, w, fate)
	s.metrics.sent(b, &outcome, &w.exchange)
	if outcome.kind == recordUnknown {
		b.remember(&w.request, id, s.o.Now())
		if err := s.oweReversal(b, &outcome); err != nil {
			return Answer{}, errUncertain
		}
	}
	if err := h.apply(id, 2, &outcome); err != nil {
		return Answer{}, errInternal
	}
	w.body = outcome.encode(w.body[:0])
	s.outcomeCommand(w, &h)
	result, err = s.store.Do(&w.cmd)
	if err != nil || result.Kind != storage.Applied {
		s.log.Error("journal refused an outcome", "payment", id.Text(PaymentPrefix), "bank", b.id, "error", err)
		return Answer{}, errUncertain
	}
	if h.reversal.queued {
		b.saf.add(id, outcome.nextAt)
		s.log.Warn("payment is unknown; its reversal is queued", "request_id", r.RequestID, "payment", id.Text(PaymentPrefix),
			"bank", b.id, "stan", uint32(in.stan), "rrn", in.rrn, "reason", outcome.reason)
	}
	s.metrics.decided(b, h.Status)
	s.watch.notify(id)
	return Answer{Payment: h.Payment}, nil
}

var (
	errKeyReused = &Refusal{Code: CodeKeyReused, Detail: "This idempotency key was first used with another request."}
	errInternal  = &Refusal{Code: CodeInternal, RetryAfter: time.Second,
		Detail: "The switch could not finish. Repeat with the same idempotency key to learn the outcome."}
	errUncertain = &Refusal{Code: CodeOutcomeUncertain, RetryAfter: time.Second,
		Detail: "The payment was sent, and its outcome is being resolved. Repeat with the same idempotency key to learn it."}
)

// admit takes an in-flight slot before anything is recorded. The caller must
// call release exactly once.
func (s *Switch) admit(a Account) (release func(), err error) {
	if s.draining.Load() {
		return nil, &Refusal{Code: CodeOverloaded, RetryAfter: 5 * time.Second, Detail: "The switch is shutting down."}
	}
	if err := s.store.Accepting(); err != nil {
		return nil, &Refusal{Code: CodeOverloaded, RetryAfter: 2 * time.Second, Detail: "The journal does not take new payments now: " + err.Error() + "."}
	}
	limit := int64(a.Merchant.MaxInFlight)
	if limit == 0 {
		limit = max(1, int64(float64(s.o.MaxInFlight)*s.o.MerchantShare))
	}
	m := a.Merchant.inFlight
	release = func() { m.Add(-1); s.inFlight.Add(-1) }
	if m.Add(1) > limit {
		err = &Refusal{Code: CodeOverloaded, RetryAfter: time.Second, Detail: "This merchant has too many payments in flight."}
	}
	if s.inFlight.Add(1) > int64(s.o.MaxInFlight) && err == nil {
		err = &Refusal{Code: CodeOverloaded, RetryAfter: time.Second, Detail: "The switch has too many payments in flight."}
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// refuse answers a request that was not recorded, unless it is the repeat of
// one that was: then the first answer stands, whatever the state of the switch.
func (s *Switch) refuse(a Account, r *PayRequest, key [16]byte, why error) (Answer, error) {
	var buf [16]byte
	held, ok, err := s.store.Get(spaceKey, key[:], buf[:0])
	if err != nil {
		return Answer{}, errInternal
	}
	if ok {
		return s.replay(r.Fingerprint, held)
	}
	return Answer{}, why
}

// route picks the bank: the one asked for, or the first ready one of the
// merchant's own order that takes the currency.
func (s *Switch) route(a Account, r *PayRequest) (*route, error) {
	dir := s.dir.Load()
	var unready *bank
	matched := false
	for _, mb := range a.Merchant.Banks {
		if r.Bank != "" && mb.Bank != r.Bank {
			continue
		}
		way := dir.route(a.Merchant.ID, mb.Bank)
		if way == nil || way.bank.live != a.Live {
			continue
		}
		matched = true
		if !way.bank.takes(a.Live, r.Currency.Alpha()) {
			continue
		}
		if way.bank.link.Ready() != nil {
			unready = way.bank
			continue
		}
		return way, nil
	}
	switch {
	case unready != nil:
		return nil, &Refusal{Code: CodeBankUnavailable, RetryAfter: 2 * time.Second,
			Detail: fmt.Sprintf("Bank %q has no line that is signed on. Nothing was recorded or sent.", unready.id)}
	case matched:
		return nil, &Refusal{Code: CodeCurrency, Pointer: "/currency", Detail: "None of the merchant's banks takes this currency."}
	case r.Bank != "":
		return nil, &Refusal{Code: CodeUnknownBank, Pointer: "/bank", Detail: "This merchant has no such bank in this mode."}
	}
	return nil, &Refusal{Code: CodeUnknownBank, Detail: "This merchant has no bank in this mode."}
}

func (s *Switch) newIntent(a Account, r *PayRequest, way *route) *intent {
	op := iso.OpPurchase
	if r.ManualCapture {
		op = iso.OpAuthorization
	}
	b := way.bank
	return &intent{
		live: a.Live, manual: r.ManualCapture, operation: op, merchant: a.Merchant.ID, bank: b.id,
		dialect: b.dialect.ID(), dialectVersion: uint32(b.dialect.Version()), terminal: way.terminal(),
		bankMerchant: way.as.MerchantID, mcc: a.Merchant.MCC, nameLocation: way.nameField, country: a.Merchant.Country,
		acquirer: b.acquirer, amount: r.Amount, currency: r.Currency, orderID: r.OrderID, description: r.Description,
		email: r.CustomerEmail, initiator: r.Initiator, eci: r.ThreeDS.ECI, metadata: r.Metadata,
		card:      Card{BIN: r.PAN.BIN(), Last4: r.PAN.Last4(), Brand: r.PAN.Brand(), Expiry: r.Expiry},
		panDigest: s.keys.panDigest(r.PAN),
	}
}

// fillValues gives what any message about this payment is built from, save the
// card number.
func (in *intent) fillValues(v *iso.Values) {
	*v = iso.Values{
		Expiry: in.card.Expiry, Amount: in.amount, Currency: in.currency, STAN: in.stan, RRN: in.rrn,
		SentAt: in.sentAt, LocalAt: in.localAt, Terminal: in.terminal, Merchant: in.bankMerchant, MCC: in.mcc,
		NameLocation: in.nameLocation, Country: in.country, Acquirer: in.acquirer, ECI: in.eci,
	}
}

// intentCommand is commit 1: the intent, its idempotency key, its open entry
// and the entries of the two lists, all in one step.
func (s *Switch) intentCommand(w *work, id ID, a Account, in *intent) {
	c := &w.cmd
	c.Reset()
	var k [32]byte
	account := accountDigest(a)
	c.Claim(spaceKey, in.keyDigest[:], id[:])
	c.Append(storage.ID(id), 1, w.body)
	c.Set(spaceOpen, id[:], nil)
	c.Set(spaceMerchant, append(append(k[:0], account[:]...), id[:]...), nil)
	order := orderDigest(account, in.orderID)
	c.Set(spaceOrder, append(append(k[:0], order[:]...), id[:]...), nil)
}

// outcomeCommand is commit 2: the outcome, the open entry removed and, when a
// reversal is owed, its entry, all in one step.
func (s *Switch) outcomeCommand(w *work, h *history) {
	c := &w.cmd
	c.Reset()
	c.Append(storage.ID(h.ID), h.Version, w.body)
	c.DeleteOnce(spaceOpen, h.ID[:])
	if h.reversal.queued {
		c.Set(spaceReversal, h.ID[:], []byte(h.Bank))
	}
}

// outcome turns the fate of an exchange into a record. It is the one place
// where an answer becomes approved.
func (s *Switch) outcome(b *bank, w *work, fate acquirers.Fate) record {
	r := record{at: s.now()}
	switch fate {
	case acquirers.NotSent:
		r.kind, r.reason = recordNotSent, w.exchange.Cause.String()
		return r
	case acquirers.Unanswered:
		r.kind, r.reason, r.reversalReason = recordUnknown, "no_answer", iso.ReasonTimeout
		if w.exchange.Cause == acquirers.CauseLinkLost {
			r.reason = "link_lost"
		}
		return r
	}
	answer := w.exchange.Answer
	r.responseCode = string(answer.Get(fieldResponseCode))
	r.approvalCode = string(answer.Get(fieldApprovalCode))
	meaning := b.dialect.Code(r.responseCode)
	b.dialect.Mask(answer)
	r.message = answer.AppendCompact(nil)
	switch {
	case fate == acquirers.Refuted:
		r.kind, r.reason, r.reversalReason = recordUnknown, "invalid_answer", iso.ReasonInvalidAnswer
	case meaning.Partial:
		r.kind, r.reason, r.reversalReason = recordUnknown, "partial_not_accepted", iso.ReasonCustomer
	case meaning.InDoubt:
		r.kind, r.reason, r.reversalReason = recordUnknown, "in_doubt_code", iso.ReasonTimeout
	case meaning.Approved:
		r.kind, r.approved = recordAnswered, true
	default:
		r.kind = recordAnswered
		r.decline = Decline{Source: "bank", Code: meaning.Decline, Message: meaning.Message, Retry: meaning.Retry, ResponseCode: r.responseCode}
	}
	return r
}

const (
	fieldApprovalCode = 38
	fieldResponseCode = 39
)

// oweReversal gives an unknown outcome the trace number, the time and the
// schedule of the reversal that will resolve it.
func (s *Switch) oweReversal(b *bank, r *record) error {
	behaviour := b.dialect.Behaviour()
	if behaviour.ReversalNewSTAN {
		seq, err := b.trace.next()
		if err != nil {
			return err
		}
		r.reversalSTAN = b.dialect.STAN(seq)
	}
	r.reversalSentAt = r.at
	r.nextAt = r.at.Add(behaviour.SAF.First)
	return nil
}

// replay is the answer to a repeat: the payment as it stood when the first
// request was answered.
func (s *Switch) replay(fingerprint Fingerprint, held []byte) (Answer, error) {
	if len(held) != len(ID{}) {
		return Answer{}, errInternal
	}
	id := ID(held)
	h, err := s.history(id, answeredVersion)
	switch {
	case err != nil:
		return Answer{}, errInternal
	case h.in.fingerprint != fingerprint:
		return Answer{}, errKeyReused
	case h.Status == StatusInFlight:
		// The first request died between its two commits in this very life.
		return Answer{}, errUncertain
	}
	return Answer{Payment: h.Payment, Replayed: true}, nil
}

// answeredVersion is the version that every first answer shows: the intent is
// 1, its outcome 2.
const answeredVersion = 2
