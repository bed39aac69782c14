package payswitch

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// spaceDecline holds what the schemes' rules of retries are judged by. The first
// byte of a key says what stands there: the bytes are stored, never reuse one.
const spaceDecline storage.Space = 'f'

const (
	declineCounted = 'd' // day, card at account, milliseconds, payment id -> countedDecline
	declineStop    = 's' // card at account -> stoppedCard
)

const codeRetryNotAllowed = "retry_not_allowed"

// cardAt is one card at one account. Both digests are as good as random, and the
// card's is keyed: nobody can tell from it that two shops know the same card.
func cardAt(account [8]byte, pan [16]byte) [16]byte {
	for i, b := range account {
		pan[i] ^= b
	}
	return pan
}

func countedPrefix(day int64, who [16]byte) []byte {
	key := append(make([]byte, 0, 1+4+16+8+16), declineCounted)
	return append(binary.BigEndian.AppendUint32(key, uint32(day)), who[:]...)
}

func stopKey(who [16]byte) []byte { return append([]byte{declineStop}, who[:]...) }

// countedDecline is one decline by a bank.
type countedDecline struct {
	at       time.Time
	amount   int64
	currency string
}

func (c *countedDecline) encode() []byte {
	return appendString(binary.AppendUvarint(appendTime(nil, c.at), uint64(c.amount)), c.currency)
}

func parseCountedDecline(value []byte) (c countedDecline, ok bool) {
	d := decoder{b: value}
	c = countedDecline{at: d.time(), amount: int64(d.uvarint()), currency: d.string()}
	return c, !d.bad && len(d.b) == 0
}

// stoppedCard is a decline after which a card is not tried again.
type stoppedCard struct {
	at    time.Time
	reach iso.DeclineStops
	code  string
}

func (c *stoppedCard) encode() []byte {
	return appendString(append(appendTime(nil, c.at), byte(c.reach)), c.code)
}

func parseStoppedCard(value []byte) (c stoppedCard, ok bool) {
	d := decoder{b: value}
	c = stoppedCard{at: d.time(), reach: iso.DeclineStops(d.byte()), code: d.string()}
	return c, !d.bad && len(d.b) == 0
}

// watchesRetries reports whether the schemes' rules hold in a mode.
func (s *Switch) watchesRetries(live bool) bool { return live || s.o.RetriesInTestMode }

// countDecline adds to the command what a bank's decline means for the card's
// next attempts.
// REQUIRES: the payment was declined by the record being written.
func (h *history) countDecline(c *storage.Command) {
	who := cardAt(h.account(), h.in.panDigest)
	counted := countedDecline{at: h.UpdatedAt, amount: h.Amount, currency: h.Currency.Alpha()}
	day := dayOf(counted.at)
	key := binary.BigEndian.AppendUint64(countedPrefix(day, who), uint64(counted.at.UnixMilli()))
	c.Set(spaceDecline, append(key, h.ID[:]...), counted.encode())
	reason := iso.Declines().Find(h.Decline.Code)
	stop := reason != nil && reason.Stops != iso.StopsNone && h.Decline.Retry == "never"
	if stop {
		stopped := stoppedCard{at: counted.at, reach: reason.Stops, code: reason.Code}
		c.Set(spaceDecline, stopKey(who), stopped.encode())
	}
	h.declines.mark(who, day, stop)
}

// barred is the decline that the scheme's rules give a payment before it is
// sent, nil: it may be tried. It reads the journal only for a card that was
// declined at this account in the last days or is stopped, save for the filter's
// errors.
func (s *Switch) barred(a Account, r *PayRequest) (*Decline, error) {
	r.panDigest = s.keys.panDigest(r.PAN)
	who := cardAt(accountDigest(a), r.panDigest)
	bits := s.declines.find(who)
	if bits == 0 {
		return nil, nil
	}
	rules, now := s.o.RetryRules.Of(r.PAN.Brand()), s.now()
	if bits&filterStop != 0 && rules.Stops {
		stopped, err := s.stopOf(who)
		if err != nil {
			return nil, err
		}
		if stopped != nil && (stopped.reach == iso.StopsCard || r.Initiator == "merchant") && (rules.StopFor == 0 || now.Sub(stopped.at) < rules.StopFor) {
			return &Decline{Source: "switch", Code: codeRetryNotAllowed, Retry: "never", Message: stopped.message()}, nil
		}
	}
	counted, err := s.countedOf(who, bits, now)
	if err != nil {
		return nil, err
	}
	until, declines := exhausted(rules, counted, countedDecline{now, r.Amount, r.Currency.Alpha()})
	if until.IsZero() {
		return nil, nil
	}
	return &Decline{Source: "switch", Code: codeRetryNotAllowed, Retry: "later", Message: fmt.Sprintf(
		"The card was declined %d times; its scheme allows the next attempt at %s.", declines, until.Format("2006-01-02T15:04:05.000Z"))}, nil
}

func (c *stoppedCard) message() string {
	what := "with this card"
	if c.reach == iso.StopsMerchantInitiated {
		what = "with this card in which the payer takes no part"
	}
	return fmt.Sprintf("The scheme allows no further attempt %s: it was declined as %s on %s.", what, c.code, c.at.Format(time.DateOnly))
}

// stopOf reads what stopped a card, nil: nothing did.
func (s *Switch) stopOf(who [16]byte) (*stoppedCard, error) {
	value, ok, err := s.store.Get(spaceDecline, stopKey(who), nil)
	if err != nil || !ok {
		return nil, err
	}
	stopped, ok := parseStoppedCard(value)
	if !ok {
		return nil, errRecord
	}
	return &stopped, nil
}

// countedOf reads a card's declines of the last days that the filter named, the
// oldest first.
func (s *Switch) countedOf(who [16]byte, bits uint32, now time.Time) (list []countedDecline, err error) {
	bad := false
	for day := dayOf(now) - filterDays + 1; day <= dayOf(now); day++ {
		if bits&dayBit(day) == 0 {
			continue
		}
		scan := s.store.Scan(storage.Range{Space: spaceDecline, Prefix: countedPrefix(day, who)}, func(_, value []byte) bool {
			c, ok := parseCountedDecline(value)
			list, bad = append(list, c), bad || !ok
			return ok
		})
		if err = cmp.Or(err, scan); err != nil || bad {
			break
		}
	}
	if bad {
		err = errors.Join(err, errRecord)
	}
	return list, err
}

// exhausted is when the next attempt is allowed, zero: now; declines is how many
// stand against it.
func exhausted(rules *iso.SchemeRetries, counted []countedDecline, next countedDecline) (until time.Time, declines int) {
	for _, limit := range rules.Limits {
		var against []time.Time
		for _, c := range counted {
			same := c.amount == next.amount && c.currency == next.currency
			if (same || !rules.SameAmount) && next.at.Sub(c.at) < limit.Within {
				against = append(against, c.at)
			}
		}
		if len(against) < limit.Declines {
			continue
		}
		slices.SortFunc(against, time.Time.Compare)
		if free := against[len(against)-limit.Declines].Add(limit.Within); free.After(until) {
			until, declines = free, len(against)
		}
	}
	return until, declines
}

// decline records a payment that the switch itself declines: nothing was sent,
// and no bank was chosen. Intent and outcome are one durable step.
func (s *Switch) decline(a Account, r *PayRequest, mine *flight, d Decline) error {
	return s.withhold(a, r, mine, &record{kind: recordRefused, decline: d})
}

// withhold records a payment that is not sent now, and no bank was chosen for: its
// intent and what is decided about it are one durable step.
func (s *Switch) withhold(a Account, r *PayRequest, mine *flight, decided *record) error {
	w := s.pool.Get().(*work)
	defer func() { w.reset(); s.pool.Put(w) }()
	now := s.now()
	id := r.id
	if id.IsZero() {
		id = s.ids.next(now)
	}
	in := &w.intent
	in.way = way{sentAt: now}
	s.describe(in, a, r, &route{nameField: nameLocation(a.Merchant)})
	w.sealed = s.keys.seal(w.sealed[:0], r.PAN, id)
	in.sealedPAN = w.sealed
	in.keyDigest, in.fingerprint = mine.key, r.Fingerprint

	var h history
	begun := record{kind: recordIntent, at: now, intent: in}
	decided.at = now
	if err := h.apply(id, 1, &begun); err != nil {
		return errInternal
	}
	w.body = begun.encode(w.body[:0])
	w.intentCommand(&h, a)
	before := h.standing()
	if err := h.apply(id, 2, decided); err != nil {
		return errInternal
	}
	w.body = decided.encode(w.body[:0])
	w.cmd.Append(storage.ID(id), 2, w.body)
	s.attend(&h)
	h.reindex(&w.cmd, before)
	result, err := s.store.Do(&w.cmd)
	switch {
	case err != nil:
		s.log.Error("journal refused an intent", "request_id", r.RequestID, "error", err)
		return errInternal
	case result.Kind == storage.Exists:
		return s.clash(r, result.Value, &mine.answer)
	case result.Kind != storage.Applied:
		return errInternal
	}
	s.metrics.payments.WithLabelValues("none", h.Status.String()).Inc()
	s.told(&h)
	mine.answer.Payment = h.Payment
	return nil
}

// loadDeclines fills the filter from the journal; until it is done every card
// may have declines. Then it forgets, day by day, what no rule counts any more,
// until the switch stops.
func (s *Switch) loadDeclines() {
	from := binary.BigEndian.AppendUint32([]byte{declineCounted}, uint32(max(0, dayOf(s.now())-filterDays+1)))
	err := s.store.Scan(storage.Range{Space: spaceDecline, From: from}, func(key, _ []byte) bool {
		switch {
		case key[0] == declineCounted && len(key) == 1+4+16+8+16:
			s.declines.mark([16]byte(key[5:21]), int64(binary.BigEndian.Uint32(key[1:])), false)
		case key[0] == declineStop && len(key) == 1+16:
			s.declines.mark([16]byte(key[1:]), 0, true)
		}
		return s.ctx.Err() == nil
	})
	if err != nil {
		s.log.Error("earlier declines cannot be read; every payment looks for its card's", "error", err)
		return
	}
	s.declines.loaded.Store(true)
	for s.ctx.Err() == nil {
		if !s.declines.empty() {
			s.forgetDeclines()
		}
		wait(s.ctx, nil, dayLength)
	}
}

// forgetDeclines removes the declines of days that no rule reaches.
func (s *Switch) forgetDeclines() {
	to := binary.BigEndian.AppendUint32([]byte{declineCounted}, uint32(max(0, dayOf(s.now())-filterDays)))
	for full := true; full && s.ctx.Err() == nil; {
		var c storage.Command
		n := 0
		err := s.store.Scan(storage.Range{Space: spaceDecline, Prefix: []byte{declineCounted}, To: to}, func(key, _ []byte) bool {
			c.Delete(spaceDecline, key)
			n++
			return n < storage.MaxSteps
		})
		if err == nil && n > 0 {
			_, err = s.store.Do(&c)
		}
		if err != nil {
			s.log.Error("old declines could not be removed", "error", err)
			return
		}
		full = n == storage.MaxSteps
	}
}

// AllowCard lets the card of a payment be tried again at its merchant: what
// stopped it and what was counted against it is forgotten. It is durable. Errors
// are refusals.
func (s *Switch) AllowCard(payment ID, act Act) error {
	if err := act.Validate(); err != nil {
		return err
	}
	h, err := s.history(payment)
	if err != nil {
		return errNotFound
	}
	who, today := cardAt(h.account(), h.in.panDigest), dayOf(s.now())
	var c storage.Command
	c.Delete(spaceDecline, stopKey(who))
	for day := today - filterDays + 1; day <= today && err == nil; day++ {
		err = s.store.Scan(storage.Range{Space: spaceDecline, Prefix: countedPrefix(day, who)}, func(key, _ []byte) bool {
			c.Delete(spaceDecline, key)
			return true
		})
	}
	if err == nil {
		_, err = s.store.Do(&c)
	}
	if err != nil {
		s.log.Error("a card could not be allowed again", "payment", payment.Text(PaymentPrefix), "error", err)
		return errInternal
	}
	s.log.Warn("operator allowed a card again", "payment", payment.Text(PaymentPrefix), "merchant", h.Merchant, "operator", act.Operator, "reason", act.Reason)
	return nil
}
