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

// The journal's spaces. The bytes are stored: never reuse one.
const (
	spaceKey      storage.Space = 'k' // idempotency digest -> payment id; claimed
	spaceFloor    storage.Space = 'o' // a payment id: no intent below it is without an outcome
	spaceReversal storage.Space = 'r' // payment id whose reversal is owed -> bank id
	spaceMerchant storage.Space = 'm' // account digest + payment id: newest-first lists
	spaceOrder    storage.Space = 'q' // order digest + payment id
	spaceDesk     storage.Space = 'd' // payment id waiting for an operator
	spaceDrained  storage.Space = 'b' // bank id that takes no new payments, by an operator
	spacePin      storage.Space = 'p' // merchant id -> bank id, by an operator

	spaceOperation     storage.Space = 'a' // operation id of one that is open or owed -> payment id, number
	spaceOperationDesk storage.Space = 'e' // operation id waiting for an operator -> payment id, number
	spaceAccess        storage.Space = 'j' // API keys, when they were used last, and the accounts' operations; see apikeys.go, results.go
	spaceLate          storage.Space = 'l' // time of giving up, payment id, number of an operation or 0: whose late answers are looked for
	spaceHold          storage.Space = 'h' // bank id, 0, time of approval, payment id: holds to let go in time

	spaceEndpoint storage.Space = 'n' // account digest + endpoint id: where an account is told of its events
	spaceEvent    storage.Space = 'v' // account digest + event id -> payment id, version, number, type
	spaceNotice   storage.Space = 'w' // events that endpoints are owed; see noticeKey and timerKey
	spaceDelivery storage.Space = 'y' // event id + endpoint id + time: what came of an attempt
)

// work is the scratch memory of one payment on its way; pooled.
type work struct {
	wish     *PayRequest
	tried    []*bank // that the payment is not offered to any more
	cmd      storage.Command
	intent   intent
	body     []byte // of the record being written
	sealed   []byte
	message  []byte             // masked answer
	partial  bool               // the approval of a part is as good
	version  *acquirers.Version // that the message is built in; held
	values   iso.Values
	exchange acquirers.Exchange
	request  iso.Message
	answer   iso.Message

	// Large, and on the stack of every payment that waits for its bank otherwise.
	h    history
	step record // the last one made: the intent, then the outcome
}

func newWork() *work { return new(work) }

// reset forgets the last payment; the messages may have held a verification
// code and are overwritten.
func (w *work) reset() {
	clear(w.tried)
	w.tried = w.tried[:0]
	w.wish, w.partial, w.h = nil, false, history{} // the intent and the records are written whole
	w.release()
	w.exchange.Version = nil
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
// unless its code says otherwise. The answer is the caller's to read.
func (s *Switch) Pay(a Account, r *PayRequest) (*Answer, error) {
	key := s.idempotencyDigest(a, r.IdempotencyKey)
	mine := &flight{key: key, fingerprint: r.Fingerprint}
	if other := s.flights.join(key, mine); other != nil {
		if other.fingerprint != r.Fingerprint {
			// The one that runs may itself be the reuse: what is recorded decides.
			return &mine.answer, s.refuse(r, key, errKeyReused, &mine.answer)
		}
		<-other.done
		mine.answer = other.answer
		mine.answer.Replayed = other.err == nil
		return &mine.answer, other.err
	}
	mine.err = errInternal
	defer s.flights.finish(key, mine)
	mine.err = s.pay(a, r, mine)
	return &mine.answer, mine.err
}

// pay is the walk of a payment, whole: admission, route, numbers, intent,
// message, round trip, next bank or outcome, answer. No byte leaves before the
// intent is durable; no answer is given before the outcome is. The answer is
// written where it is kept for those who join.
func (s *Switch) pay(a Account, r *PayRequest, mine *flight) error {
	key, into := mine.key, &mine.answer
	begins := r.waiting == nil
	if a.Merchant.Check != nil && r.Purpose == PurposePayment && begins {
		if err := s.askShop(a, r, key); err != nil {
			return s.refuse(r, key, err, into)
		}
	}
	if err := s.admit(a); err != nil {
		return s.refuse(r, key, err, into)
	}
	defer s.leave(a)
	r.attempt, r.panDigest = 0, [16]byte{}
	if begins && (r.SaveCard || !r.Token.IsZero() || r.Carried != nil) {
		if err := s.prepareCard(a, r); err != nil {
			return s.refuse(r, key, err, into)
		}
	}

	if !r.Schedule.IsZero() && r.run == 0 {
		if err := s.withinSchedule(a, r); err != nil {
			return s.refuse(r, key, err, into)
		}
	}
	if begins && r.once(a.Merchant) {
		var err error
		if r.attempt, err = s.nextAttempt(a, r.OrderID); err != nil {
			return s.refuse(r, key, err, into)
		}
	}

	if r.Purpose == PurposePayment && s.watchesRetries(a.Live) && !s.declines.empty() {
		switch d, err := s.barred(a, r); {
		case err != nil:
			s.log.Error("the declines of a card could not be read", "request_id", r.RequestID, "error", err)
			return s.refuse(r, key, errInternal, into)
		case d != nil:
			return s.decline(a, r, mine, *d)
		}
	}

	if begins && s.asksPayer(r) {
		if asked, err := s.askPayer(a, r, mine); asked {
			return err
		}
	}

	w := s.pool.Get().(*work)
	defer func() { w.reset(); s.pool.Put(w) }()
	w.wish, w.partial = r, a.Merchant.AcceptPartial || r.Carried != nil && r.Carried.AcceptPartial
	// The route holds a slot in its bank's window, and the probe of a failing one.
	to, err := s.place(a, w)
	if err != nil {
		return s.refuse(r, key, err, into)
	}
	asked := false
	defer func() {
		if !asked {
			to.bank.health.giveBack()
		}
		to.leave()
	}()
	now := s.now()
	h := &w.h
	if begins {
		err = s.begin(a, mine, w)
	} else {
		err = s.goOn(w)
	}
	if err != nil || into.Replayed {
		return err
	}
	id := h.ID
	// From here on the payment exists: whatever happens, it gets an outcome.
	settled := false
	defer func() {
		if !settled {
			s.abandoned(id)
		}
	}()

	var outcome *record
	var result storage.Result
	for n := 1; ; n++ {
		fate := to.bank.link.Exchange(&w.exchange)
		outcome = s.outcome(w, fate)
		s.metrics.sent(to.bank, outcome, &w.exchange)
		to.bank.health.observe(outcome, &w.exchange)
		asked = true
		if outcome.kind != recordNotSent || n == maxBanks || s.now().Sub(now) > rerouteWithin {
			break
		}
		// Provably not sent, and the journal says so before the bank is asked in
		// another version, or the next bank is.
		next, err := s.reroute(a, w, to)
		if next == nil {
			break
		}
		if next != to {
			to.leave()
			to, asked = next, false
		}
		if err != nil {
			return err
		}
	}

	b := to.bank
	if outcome.kind == recordUnknown {
		b.remember(w.version.Dialect(), &w.request, id, s.o.Now())
		if err := s.oweReversal(b, h, outcome); err != nil {
			return errUncertain
		}
	}
	var save *cardSave
	switch {
	case !outcome.approved:
	case r.SaveCard:
		save = s.saveWith(a, r, outcome)
	case !r.replaces.IsZero():
		save = s.replaceWith(a, r, outcome, id)
	case !r.Token.IsZero() && r.initialID == "" && outcome.rare != nil:
		save = s.nameCard(r, outcome)
	}
	defer save.end()
	before := h.standing()
	if err := h.apply(id, h.Version+1, outcome); err != nil {
		return errInternal
	}
	w.body = outcome.encode(w.body[:0])
	s.attend(h)
	w.outcomeCommand(h, before)
	save.join(&w.cmd)
	result, err = s.store.Do(&w.cmd)
	if err != nil || result.Kind != storage.Applied {
		s.log.Error("journal refused an outcome", "payment", id.Text(PaymentPrefix), "bank", b.id, "error", err)
		return errUncertain
	}
	settled = true
	if h.reversal.queued {
		b.saf.add(id, outcome.nextAt)
		s.log.Warn("payment is unknown; its reversal is queued", "request_id", r.RequestID, "payment", id.Text(PaymentPrefix),
			"bank", b.id, "stan", uint32(h.STAN), "rrn", h.RRN, "reason", outcome.reason)
	}
	if h.uncaptured {
		b.holdBegan()
	}
	s.metrics.decided(b, h.Status)
	s.told(h)
	into.Payment = h.Payment
	return nil
}

// begin makes the intent of a payment durable: commit 1. When it is the repeat of one
// that was recorded, the answer is that one's and says so.
// REQUIRES: prepare filled w.
func (s *Switch) begin(a Account, mine *flight, w *work) error {
	r, in, key, now := w.wish, &w.intent, mine.key, s.now()
	id := s.flights.name(key, s.ids, now)
	w.sealed = s.keys.seal(w.sealed[:0], r.PAN, id)
	in.sealedPAN = w.sealed
	in.keyDigest, in.fingerprint = key, r.Fingerprint

	h := &w.h
	w.step = record{kind: recordIntent, at: now, intent: in}
	if err := h.apply(id, 1, &w.step); err != nil {
		return errInternal
	}
	w.body = w.step.encode(w.body[:0])
	if r.Purpose == PurposePayout {
		s.attend(h)
	}
	w.intentCommand(h, a)
	s.raiseFloor(&w.cmd, now)
	result, err := s.store.Do(&w.cmd)
	switch {
	case err != nil:
		s.log.Error("journal refused an intent", "request_id", r.RequestID, "error", err)
		return errInternal
	case result.Kind == storage.Exists:
		return s.clash(r, result.Value, &mine.answer)
	case result.Kind == storage.Short:
		return errBalance
	case result.Kind != storage.Applied:
		return errInternal
	}
	return nil
}

const (
	// maxBanks is how many banks one payment may be offered to.
	maxBanks = 3
	// rerouteWithin is how long after its beginning a payment may still be
	// offered to another bank.
	rerouteWithin = 5 * time.Second
)

// place finds a bank for the payment and builds its request there. A bank whose
// dialect refuses the message is passed over like one that does not serve it, and
// joins w.tried. On an error, that of the first such bank, nothing was recorded and no
// slot is held.
func (s *Switch) place(a Account, w *work) (*route, error) {
	var first error
	for {
		to, err := s.route(a, w.wish, w.tried)
		if err != nil {
			return nil, cmp.Or(first, err)
		}
		if err = s.prepare(w, a, to); err == nil {
			return to, nil
		}
		to.quit()
		w.tried, first = append(w.tried, to.bank), cmp.Or(first, err)
	}
}

// reroute makes it durable that the payment provably never reached the bank
// before, and is about to be sent in another version, or to the next bank that can
// be told it, whose request it builds. Banks that are asked no more join w.tried. A nil
// route: nothing else is left.
func (s *Switch) reroute(a Account, w *work, to *route) (*route, error) {
	h := &w.h
	moved := record{kind: recordRerouted, at: s.now(), reason: w.step.reason}
	next, built := to, w.speakOther(to.bank) && s.rebuild(w, a, to, &moved)
	for !built {
		w.tried = append(w.tried, next.bank)
		if w.wish.Purpose == PurposePayout {
			return nil, nil
		}
		var err error
		if next, err = s.route(a, w.wish, w.tried); err != nil {
			return nil, nil
		}
		if built = w.holds(next.bank.link.Speak()) && s.rebuild(w, a, next, &moved); !built {
			next.quit()
		}
	}
	if err := h.apply(h.ID, h.Version+1, &moved); err != nil {
		return next, errInternal
	}
	w.body = moved.encode(w.body[:0])
	w.cmd.Reset()
	w.cmd.Append(storage.ID(h.ID), h.Version, w.body)
	result, err := s.store.Do(&w.cmd)
	if err != nil || result.Kind != storage.Applied {
		s.log.Error("journal refused a reroute", "payment", h.Name(), "error", err)
		return next, errUncertain
	}
	s.metrics.rerouted.Inc()
	return next, nil
}

// rebuild gives a message that moves a way in the version that is held, and builds its
// request; false: that version cannot say it.
func (s *Switch) rebuild(w *work, a Account, to *route, moved *record) bool {
	var err error
	if moved.way, err = to.take(w.version.Dialect(), w.h.in.operation, moved.at); err != nil {
		return false
	}
	if s.translatePIN(w, a) != nil {
		return false // without a block for the bank nothing may be sent
	}
	in := *w.h.in
	in.way = moved.way
	return w.build(&in) == nil
}

// abandoned gives an owner to a payment whose goroutine could not finish it: a
// fault of ours, never the bank's. It is then unknown, like after a crash.
func (s *Switch) abandoned(id ID) {
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	if err := s.recoverIntent(id, "interrupted"); err != nil {
		s.floor.hold(id)
		s.log.Error("a payment stays open until the next start", "payment", id.Text(PaymentPrefix), "error", err)
		return
	}
	if err := s.recoverReversal(id); err != nil {
		s.log.Error("a reversal stays unsent until the next start", "payment", id.Text(PaymentPrefix), "error", err)
	}
}

// fill gives what the request's message is built from.
func (w *work) fill(in *intent) {
	r := w.wish
	in.fillValues(&w.values)
	w.values.PAN, w.values.CVC, w.values.Secrets = r.PAN, r.CVC, r.Secrets
	w.values.CAVV, w.values.DSTransactionID = r.ThreeDS.CAVV, r.ThreeDS.TransactionID
	if w.partial {
		w.values.Carried = withPartial(w.values.Carried)
	}
}

// build makes the request's message. The verification code goes into it and
// nowhere else.
func (w *work) build(in *intent) error {
	w.fill(in)
	return w.compose(in.operation)
}

// prepare chooses the version of the bank's dialect, writes down what the payment is,
// all but its sealed card, and builds its message. What a version on trial cannot
// say goes in the current one.
func (s *Switch) prepare(w *work, a Account, to *route) error {
	b := to.bank
	if !w.holds(b.link.Speak()) {
		return unavailable(b, 2*time.Second, "has no line that is signed on")
	}
	for {
		if err := s.fillIntent(w, a, to); err != nil {
			return err
		}
		err := s.translatePIN(w, a)
		if err == nil {
			err = w.build(&w.intent)
		}
		if err == nil {
			return nil
		}
		if tried := w.version; tried == b.link.Current() || !w.holds(b.link.SpeakCurrent()) || tried == w.version {
			if no, is := errors.AsType[*Refusal](err); is {
				return no
			}
			return &Refusal{Code: CodeInvalidRequest,
				Detail: fmt.Sprintf("Bank %q cannot be asked for this payment: %s. Nothing was recorded or sent.", b.id, err)}
		}
	}
}

// speakOther holds another version of the bank's dialect than the one in which the
// request provably was not sent; false: no link speaks one that can say it.
func (w *work) speakOther(b *bank) bool {
	v := b.link.SpeakOther(w.version)
	if v == nil {
		return false
	}
	if !v.Dialect().Supports(w.intent.operation) {
		v.Release()
		return false
	}
	return w.holds(v)
}

var (
	errKeyReused = &Refusal{Code: CodeKeyReused, Detail: "This idempotency key was first used with another request."}
	errInternal  = &Refusal{Code: CodeInternal, RetryAfter: time.Second,
		Detail: "The switch could not finish. Repeat with the same idempotency key to learn the outcome."}
	errUncertain = &Refusal{Code: CodeOutcomeUncertain, RetryAfter: time.Second,
		Detail: "The payment was sent, and its outcome is being resolved. Repeat with the same idempotency key to learn it."}
)

// admit takes an in-flight slot before anything is recorded; leave gives it
// back. On error no slot is held.
func (s *Switch) admit(a Account) (err error) {
	if s.draining.Load() {
		return &Refusal{Code: CodeOverloaded, RetryAfter: 5 * time.Second, Detail: "The switch is shutting down."}
	}
	if err := s.store.Accepting(); err != nil {
		return &Refusal{Code: CodeOverloaded, RetryAfter: 2 * time.Second, Detail: "The journal does not take new payments now: " + err.Error() + "."}
	}
	limit := int64(a.Merchant.MaxInFlight)
	if limit == 0 {
		limit = max(1, int64(float64(s.o.MaxInFlight)*s.o.MerchantShare))
	}
	if a.Merchant.inFlight.Add(1) > limit {
		err = &Refusal{Code: CodeOverloaded, RetryAfter: time.Second, Detail: "This merchant has too many payments in flight."}
	}
	if s.inFlight.Add(1) > int64(s.o.MaxInFlight) && err == nil {
		err = &Refusal{Code: CodeOverloaded, RetryAfter: time.Second, Detail: "The switch has too many payments in flight."}
	}
	if err != nil {
		s.leave(a)
	}
	return err
}

func (s *Switch) leave(a Account) {
	a.Merchant.inFlight.Add(-1)
	s.inFlight.Add(-1)
}

// refuse answers a request that was not recorded, unless it is the repeat of
// one that was: then the first answer stands, whatever the state of the switch.
func (s *Switch) refuse(r *PayRequest, key [16]byte, why error, into *Answer) error {
	if r.waiting != nil {
		return why // it was recorded, and who goes on with it ends it
	}
	var buf [16]byte
	held, ok, err := s.store.Get(spaceKey, key[:], buf[:0])
	if err != nil {
		return errInternal
	}
	if ok {
		return s.replay(r.Fingerprint, held, into)
	}
	return why
}

// clash answers a request whose intent clashed with what is in the journal: the
// repeat of one that was recorded, or the other attempt at an order.
func (s *Switch) clash(r *PayRequest, held []byte, into *Answer) error {
	if other, ok := parseAttemptValue(held); ok {
		return orderInProgress(other)
	}
	return s.replay(r.Fingerprint, held, into)
}

// fillIntent writes down what the payment is, all but its sealed card, in the
// version that is held.
func (s *Switch) fillIntent(w *work, a Account, to *route) (err error) {
	in := &w.intent
	if in.way, err = to.take(w.version.Dialect(), w.wish.operation(), s.now()); err != nil {
		return &Refusal{Code: CodeOverloaded, RetryAfter: time.Second, Detail: "The journal does not take new payments now."}
	}
	s.describe(in, a, w.wish, to)
	return nil
}

// describe is fillIntent for a way that is taken.
func (s *Switch) describe(in *intent, a Account, r *PayRequest, to *route) {
	*in = intent{
		way: in.way, live: a.Live, manual: r.ManualCapture, operation: r.operation(), merchant: a.Merchant.ID, mcc: a.Merchant.MCC,
		nameLocation: to.nameField, country: a.Merchant.Country, amount: r.Amount, currency: r.Currency, orderID: r.OrderID,
		description: r.Description, email: r.CustomerEmail, initiator: r.Initiator, eci: r.ThreeDS.ECI, metadata: r.Metadata,
		localAt:   in.sentAt.In(a.Merchant.TimeZone),
		card:      Card{BIN: r.PAN.BIN(), Last4: r.PAN.Last4(), Brand: r.PAN.Brand(), Expiry: r.Expiry},
		panDigest: r.panDigest,
	}
	if in.panDigest == ([16]byte{}) {
		in.panDigest = s.keys.panDigest(r.PAN)
	}
	if c := r.carried(); c != nil {
		in.addRare().carried = c
	}
	if r.Customer != "" {
		x := in.addRare()
		x.customer, x.token = r.Customer, r.Token
	}
	if r.attempt != 0 {
		in.addRare().attempt = r.attempt
	}
	if !r.Schedule.IsZero() {
		x := in.addRare()
		x.schedule, x.run = r.Schedule, uint32(r.run)
	}
	if !r.Checkout.IsZero() {
		in.addRare().checkout = r.Checkout
	}
}

// fillValues gives what any message about this payment is built from, save the
// card number.
func (in *intent) fillValues(v *iso.Values) {
	*v = iso.Values{
		Expiry: in.card.Expiry, Amount: in.amount, Currency: in.currency, STAN: in.stan, RRN: in.rrn,
		SentAt: in.sentAt, LocalAt: in.localAt, Terminal: in.terminal, Merchant: in.bankMerchant, MCC: in.mcc,
		NameLocation: in.nameLocation, Country: in.country, Acquirer: in.acquirer, ECI: in.eci,
		Carried: in.carried(),
	}
}

// intentCommand is commit 1: the intent, its idempotency key and the entries of
// the two lists, all in one step.
func (w *work) intentCommand(h *history, a Account) {
	c, id, in := &w.cmd, h.ID, h.in
	c.Reset()
	var k [32]byte
	account := listed(accountDigest(a), h.Purpose)
	c.Claim(spaceKey, in.keyDigest[:], id[:])
	c.Append(storage.ID(id), 1, w.body)
	h.reindex(c, standing{})
	c.Set(spaceMerchant, append(append(k[:0], account[:]...), id[:]...), nil)
	order := orderDigest(account, in.orderID)
	c.Set(spaceOrder, append(append(k[:0], order[:]...), id[:]...), nil)
	if h.Purpose != PurposePayment {
		c.Set(spaceAccess, operationListKey(accountDigest(a), id), h.operationRef(0))
	}
	if h.Attempt != 0 {
		c.Claim(spaceAttempt, attemptKey(order, h.Attempt), attemptValue(id))
	}
}

// outcomeCommand is commit 2: the outcome and, when a reversal is owed, its
// entry, all in one step.
func (w *work) outcomeCommand(h *history, before standing) {
	w.cmd.Reset()
	w.cmd.Append(storage.ID(h.ID), h.Version, w.body)
	h.reindex(&w.cmd, before)
}

// outcome turns the fate of an exchange into a record, w.step. It is the one place
// where an answer becomes approved.
func (s *Switch) outcome(w *work, fate acquirers.Fate) *record {
	r := &w.step
	*r = record{at: s.now()}
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
	answer, d := w.exchange.Answer, w.version.Dialect()
	r.responseCode = string(answer.Get(fieldResponseCode))
	r.approvalCode = string(answer.Get(fieldApprovalCode))
	meaning := d.Code(r.responseCode)
	named, chip := w.networkID(d), w.chipAnswer(d)
	d.Mask(answer)
	w.message = answer.AppendCompact(w.message[:0])
	r.message = w.message
	switch {
	case fate == acquirers.Refuted:
		r.kind, r.reason, r.reversalReason = recordUnknown, reasonInvalidAnswer, iso.ReasonInvalidAnswer
	case meaning.Partial && w.partial:
		w.partly(r)
	case meaning.Partial:
		r.kind, r.reason, r.reversalReason = recordUnknown, "partial_not_accepted", iso.ReasonCustomer
	case meaning.InDoubt:
		r.kind, r.reason, r.reversalReason = recordUnknown, "in_doubt_code", iso.ReasonTimeout
	case meaning.Approved:
		r.kind, r.approved = recordAnswered, true
	default:
		r.kind = recordAnswered
		r.decline = declineOf(meaning, r.responseCode)
	}
	if r.approved && named != "" {
		r.addRare().networkID = named
	}
	if r.kind == recordAnswered && chip != "" {
		r.addRare().chip = chip
	}
	return r
}

// reasonInvalidAnswer is of an outcome whose answer was refuted.
const reasonInvalidAnswer = "invalid_answer"

const (
	fieldApprovalCode = 38
	fieldResponseCode = 39
)

// oweReversal gives an unknown outcome the trace number, the time and the
// schedule of the reversal that will resolve it. Of a verification nothing is
// owed.
func (s *Switch) oweReversal(b *bank, h *history, r *record) error {
	if h.Purpose == PurposeVerification {
		return nil
	}
	d := b.dialect()
	if b.renumbers() {
		seq, err := b.trace.next()
		if err != nil {
			return err
		}
		r.reversalSTAN = d.STAN(seq)
	}
	r.reversalSentAt = r.at
	r.nextAt = r.at.Add(d.Behaviour().SAF.First)
	return nil
}

// replay is the answer to a repeat: the payment as it stood when the first
// request was answered.
func (s *Switch) replay(fingerprint Fingerprint, held []byte, into *Answer) error {
	if len(held) != len(ID{}) {
		return errKeyReused // by an operation
	}
	id := ID(held)
	h, err := s.firstAnswer(id)
	switch {
	case err != nil:
		return errInternal
	case h.in.fingerprint != fingerprint:
		return errKeyReused
	case h.Status == StatusInFlight:
		// The first request died between its two commits in this very life.
		return errUncertain
	}
	into.Payment, into.Replayed = h.Payment, true
	return nil
}
