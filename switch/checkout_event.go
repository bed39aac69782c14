package payswitch

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// classCheckout is above every class of purposes. It is stored.
const classCheckout = 0x60

// The events of a checkout session. The statuses are stored.
var (
	eventCompleted = EventType{classCheckout, 1} // in the step that proves that it is paid
	eventExpired   = EventType{classCheckout, 2} // by its time, by the shop, or by too many attempts
)

// ofCheckout reports whether the event is about a checkout session.
func (t EventType) ofCheckout() bool { return t.class == classCheckout }

// checkoutWord is String for the event of a session.
func (t EventType) checkoutWord() string {
	if t == eventCompleted {
		return "checkout_session.completed"
	}
	return "checkout_session.expired"
}

// Marks of what was told of a session.
const (
	toldCompleted = "c"
	toldExpired   = "e"
)

// checkoutNews is what the last record of a payment changes for its session.
type checkoutNews struct {
	told string   // marks of before
	ref  eventRef // the event that the record makes; a zero id: none
	look bool     // whether the session is over is to be found out
}

// checkoutNews reads what was told of the session that a payment is of.
func (s *Switch) checkoutNews(h *history) *checkoutNews {
	told, _, err := s.store.Get(spaceCheckout, checkoutKey(checkoutTold, h.Checkout), nil)
	if err != nil {
		s.log.Error("what was told of a checkout session could not be read", "session", h.Checkout.Text(CheckoutPrefix), "error", err)
	}
	return &checkoutNews{told: string(told)}
}

// paid reports whether the payment paid its session.
func (h *history) paid() bool {
	switch h.Status {
	case StatusInFlight, StatusUnknown, StatusRequiresAction, StatusDeclined, StatusFailed, StatusReversed:
		return false
	}
	return true
}

// tellCheckout adds the session's event, or that the session is to be looked at, to
// the command that makes the payment's last record durable.
func (h *history) tellCheckout(c *storage.Command, before, after standing) {
	n := h.checkout
	switch {
	case n == nil:
	case after.paid && !before.paid && !strings.Contains(n.told, toldCompleted):
		n.ref = eventRef{payment: h.ID, version: h.Version, number: uint32(len(n.told)) + 1, kind: eventCompleted, id: h.eventID(h.news.told + 1)}
		copy(n.ref.id[8:], h.Checkout[8:]) // right behind the payment's own, and no id of them
		h.audience.tell(c, n.ref)
		c.Set(spaceCheckout, checkoutKey(checkoutTold, h.Checkout), []byte(n.told+toldCompleted))
	case h.Status.Final() && !after.paid && n.told == "":
		n.look = true
		c.Set(spaceCheckout, checkoutDueKey(h.UpdatedAt, h.Checkout, h.ID), nil)
	}
}

// checkoutDueKey orders the looks at sessions by their time; because names the
// payment that is the reason, zero: the session's own end.
func checkoutDueKey(at time.Time, session, because ID) []byte {
	key := binary.BigEndian.AppendUint64([]byte{checkoutDue}, uint64(at.UnixMilli()))
	return append(append(key, session[:]...), because[:]...)
}

// checkoutLook is one look that is due.
type checkoutLook struct {
	key     []byte
	session ID
}

const (
	// checkoutCheck is the longest time between two looks, so that a step of the
	// clock delays none for longer.
	checkoutCheck = time.Hour
	// checkoutAgain is the pause after the journal failed.
	checkoutAgain = time.Minute
	// checkoutBatch is how many sessions one look ends.
	checkoutBatch = 256
)

// endCheckouts tells shops of the sessions that are over, until the switch stops.
// The journal's index is the timer: it survives restarts.
func (s *Switch) endCheckouts() {
	for s.ctx.Err() == nil {
		due, next, err := s.dueCheckouts(s.now())
		for i := 0; i < len(due) && err == nil && s.ctx.Err() == nil; i++ {
			err = s.endCheckout(due[i])
		}
		pause := checkoutCheck
		switch {
		case err != nil:
			s.log.Error("checkout sessions cannot be read or written", "error", err)
			pause = checkoutAgain
		case len(due) > 0:
			continue
		case !next.IsZero():
			pause = min(max(next.Sub(s.now()), time.Millisecond), checkoutCheck)
		}
		wait(s.ctx, s.sessions, pause)
	}
}

func (s *Switch) dueCheckouts(now time.Time) (due []checkoutLook, next time.Time, err error) {
	err = s.store.Scan(storage.Range{Space: spaceCheckout, Prefix: []byte{checkoutDue}}, func(key, _ []byte) bool {
		at := time.UnixMilli(int64(binary.BigEndian.Uint64(key[1:]))).UTC()
		if at.After(now) || len(due) == checkoutBatch {
			next = at
			return false
		}
		due = append(due, checkoutLook{append([]byte(nil), key...), ID(key[9:25])})
		return true
	})
	return due, next, err
}

// endCheckout tells that a session is over, once, or that there is nothing to tell.
// Whether it is over and nothing pays it any more is one step: the attempt that
// would come next is claimed.
func (s *Switch) endCheckout(look checkoutLook) error {
	mu := s.lock(look.session)
	mu.Lock()
	defer mu.Unlock()
	var c storage.Command
	c.Delete(spaceCheckout, look.key)
	session, err := s.readCheckout(look.session)
	if err != nil {
		return err
	}
	var told *expiry
	if session != nil {
		if err := s.judgeCheckout(session.account(), session, nil); err != nil {
			return err
		}
		if a, err := s.AccountOf(session.Merchant, session.Live); err == nil && session.Status == CheckoutExpired {
			if told, err = s.tellExpired(&c, a, session); err != nil {
				return err
			}
		}
	}
	result, err := s.store.Do(&c)
	if err == nil && result.Kind == storage.Applied {
		s.toldExpired(told)
	}
	return err // where a payment began meanwhile the look is still due, and finds it
}

// tellExpired closes a session to payments and adds the event to the command,
// unless the shop has asked for none or was told. REQUIRES: the session's lock.
func (s *Switch) tellExpired(c *storage.Command, a Account, session *Checkout) (*expiry, error) {
	told, _, err := s.store.Get(spaceCheckout, checkoutKey(checkoutTold, session.ID), nil)
	if err != nil || len(told) > 0 {
		return nil, err
	}
	key := s.idempotencyDigest(a, attemptKeyOf(session.ID, session.Attempts))
	if held, _, err := s.store.Get(spaceKey, key[:], nil); err != nil {
		return nil, err
	} else if string(held) != string(checkoutClaim(session.ID)) {
		c.Claim(spaceKey, key[:], checkoutClaim(session.ID))
	}
	audience := s.outbox.audienceOf(session.Merchant, session.Live)
	if audience == nil {
		return nil, nil
	}
	at := s.now()
	if p := session.Payment; p != nil && !at.After(p.UpdatedAt) {
		at = p.UpdatedAt.Add(time.Millisecond) // behind what that payment told
	}
	ref := eventRef{id: s.ids.next(at), payment: session.ID, version: session.Changes, number: 1, kind: eventExpired}
	c.Set(spaceCheckout, checkoutKey(checkoutTold, session.ID), []byte(toldExpired))
	audience.tell(c, ref)
	return &expiry{audience, ref}, nil
}

// expiry is the event of a session that is over, and who is told of it.
type expiry struct {
	audience *audience
	ref      eventRef
}

// toldExpired wakes those who deliver it, once it is durable; nil: nobody is told.
func (s *Switch) toldExpired(e *expiry) {
	if e != nil {
		s.outbox.owes(e.audience, e.ref)
	}
}

// sessionEnded makes endCheckouts look again.
func (s *Switch) sessionEnded() {
	select {
	case s.sessions <- struct{}{}:
	default:
	}
}

// attemptKeyOf is the idempotency key of a session's n-th payment, counted from 0.
func attemptKeyOf(id ID, n int) string {
	return string(binary.BigEndian.AppendUint32(append([]byte("\x00checkout"), id[:]...), uint32(n)))
}

// account is the digest of the session's account.
func (c *Checkout) account() [8]byte {
	if c.Live {
		return digestAccount("live", c.Merchant)
	}
	return digestAccount("test", c.Merchant)
}

// checkoutEvent reads the event of a session: what it was when it was told.
func (s *Switch) checkoutEvent(ref eventRef) (e Event, earlier []ID, err error) {
	id := ref.payment
	var h *history
	if ref.kind == eventCompleted {
		note := func(h *history) bool {
			for n := uint32(len(earlier)); n < h.news.told; n++ {
				earlier = append(earlier, h.eventID(n+1))
			}
			return h.Version < ref.version
		}
		if h, err = s.foldWhile(ref.payment, note); err != nil {
			return Event{}, nil, err
		}
		note(h)
		id, e.At = h.Checkout, h.UpdatedAt
	} else {
		e.At = ref.id.Time()
	}
	c, err := s.readCheckout(id)
	if err == nil && c == nil {
		err = fmt.Errorf("checkout session %s: %w", id.Text(CheckoutPrefix), errRecord)
	}
	if err == nil {
		err = s.judgeCheckout(c.account(), c, h)
	}
	if err != nil {
		return Event{}, nil, err
	}
	if c.Status = CheckoutExpired; h != nil {
		c.Status = CheckoutComplete
	}
	e.ID, e.Type, e.Checkout, e.Sequence = ref.id, ref.kind, c, ref.number
	return e, earlier, nil
}
