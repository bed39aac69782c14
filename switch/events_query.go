package payswitch

import (
	"bytes"
	"errors"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// EventQuery selects events of one account, newest first.
type EventQuery struct {
	Types    []EventType // empty: all
	Payment  ID          // zero: any
	Purpose  Purpose     // of Payment
	From, To time.Time   // of the event; To exclusive; zero: no limit
	Limit    int         // 1..100
	Cursor   ID          // zero: from the newest; else strictly older than it
}

// EventPage is one page of events. More says that older ones exist; Next is then
// the cursor for them.
type EventPage struct {
	Events []Event
	More   bool
	Next   ID
}

var errNoEvent = &Refusal{Code: CodeNotFound, Detail: "There is no such event."}

func (q *EventQuery) wants(ref eventRef) bool {
	if !q.Payment.IsZero() && (ref.payment != q.Payment || ref.kind.ofCheckout()) {
		return false
	}
	for _, t := range q.Types {
		if t == ref.kind {
			return true
		}
	}
	return len(q.Types) == 0
}

// eventRange are the keys of an account's events in a period.
func eventRange(a Account, from, to time.Time) storage.Range {
	account := accountDigest(a)
	rng := storage.Range{Space: spaceEvent, Prefix: account[:]}
	if !from.IsZero() {
		id := idAt(from)
		rng.From = append(bytes.Clone(rng.Prefix), id[:]...)
	}
	if !to.IsZero() {
		id := idAt(to)
		rng.To = append(bytes.Clone(rng.Prefix), id[:]...)
	}
	return rng
}

// eventScan bounds how many events one call looks at, so that a filter that
// matches nothing cannot hold the journal: the page is then short and its cursor
// goes on.
const eventScan = 20_000

// Events returns a page of the account's events, newest first. Events made
// after the first page never shift later pages. Errors are refusals.
func (o *Outbox) Events(a Account, q EventQuery) (EventPage, error) {
	var page EventPage
	if !q.Payment.IsZero() {
		h, err := o.s.owned(a, q.Purpose, q.Payment)
		if errors.Is(err, errNotFound) {
			return page, nil
		}
		if err != nil {
			return page, err
		}
		// No event of a payment is older than it, or younger than its last.
		if q.From.IsZero() || q.From.Before(h.CreatedAt) {
			q.From = h.CreatedAt
		}
		if end := time.UnixMilli(h.news.at + 1).UTC(); q.To.IsZero() || q.To.After(end) {
			q.To = end
		}
	}
	rng := eventRange(a, q.From, q.To)
	rng.Reverse = true
	if !q.Cursor.IsZero() {
		before := append(bytes.Clone(rng.Prefix), q.Cursor[:]...)
		if len(rng.To) == 0 || bytes.Compare(before, rng.To) < 0 {
			rng.To = before
		}
	}
	var bad error
	examined := 0
	err := o.s.store.Scan(rng, func(key, value []byte) bool {
		if len(page.Events) == q.Limit || examined == eventScan {
			page.More = true
			return false
		}
		examined++
		ref, ok := parseEventRef(ID(key[len(rng.Prefix):]), value)
		if !ok {
			bad = errRecord
			return false
		}
		page.Next = ref.id
		if !q.wants(ref) {
			return true
		}
		var e Event
		if e, _, bad = o.s.event(ref); bad == nil {
			page.Events = append(page.Events, e)
		}
		return bad == nil
	})
	if err = errors.Join(err, bad); err != nil {
		o.s.log.Error("events could not be read", "merchant", a.Merchant.ID, "error", err)
		return EventPage{}, errInternal
	}
	return page, nil
}

func (o *Outbox) refOf(a Account, id ID) (eventRef, error) {
	account := accountDigest(a)
	var buf [64]byte
	value, ok, err := o.s.store.Get(spaceEvent, append(account[:], id[:]...), buf[:0])
	if err != nil {
		return eventRef{}, errInternal
	}
	ref, readable := parseEventRef(id, value)
	switch {
	case !ok:
		return ref, errNoEvent
	case !readable:
		return ref, errInternal
	}
	return ref, nil
}

// Event is one event of an account. Errors are refusals.
func (o *Outbox) Event(a Account, id ID) (Event, error) {
	ref, err := o.refOf(a, id)
	if err != nil {
		return Event{}, err
	}
	e, _, err := o.s.event(ref)
	if err != nil {
		o.s.log.Error("an event could not be read", "event", id.Text(EventPrefix), "error", err)
		return Event{}, errInternal
	}
	return e, nil
}

// maxDeliveries bounds what Deliveries returns.
const maxDeliveries = 500

// Deliveries are the attempts to send an event, by endpoint and then by time.
// Errors are refusals.
func (o *Outbox) Deliveries(a Account, id ID) (list []Attempt, err error) {
	if _, err := o.refOf(a, id); err != nil {
		return nil, err
	}
	bad := false
	err = o.s.store.Scan(storage.Range{Space: spaceDelivery, Prefix: id[:]}, func(key, value []byte) bool {
		attempt, ok := parseAttempt(key, value)
		bad = !ok
		list = append(list, attempt)
		return ok && len(list) < maxDeliveries
	})
	if err != nil || bad {
		return nil, errInternal
	}
	return list, nil
}

// Resend makes an event owed again, at once: to one endpoint, or (zero) to all
// enabled ones of the account that want it. It returns how many. Errors are refusals.
func (o *Outbox) Resend(a Account, event, endpoint ID) (int, error) {
	ref, err := o.refOf(a, event)
	if err != nil {
		return 0, err
	}
	list := o.EndpointsOf(a)
	if !endpoint.IsZero() {
		one, err := o.EndpointOf(a, endpoint)
		if err != nil {
			return 0, &Refusal{Code: CodeInvalidRequest, Pointer: "/webhook_endpoint", Detail: "There is no such webhook endpoint."}
		}
		list = []*Endpoint{one}
	}
	n := 0
	for _, e := range list {
		switch {
		case !e.Enabled && !endpoint.IsZero():
			return 0, wrongState("This webhook endpoint is disabled; enable it first.")
		case !e.Enabled || endpoint.IsZero() && !e.wants(ref.kind):
			continue
		}
		if err := o.owe(e, []eventRef{ref}); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// owe makes events owed to an endpoint at once, those that wait for a later
// attempt included.
func (o *Outbox) owe(e *Endpoint, refs []eventRef) error {
	var c storage.Command
	var key, value [64]byte
	notices := make([]Notice, 0, len(refs))
	for _, ref := range refs {
		n := noticeOf(e.ID, ref)
		if held, ok := o.owed(e.ID, ref.id); ok && !held.Due.IsZero() {
			c.Delete(spaceNotice, held.timerKey(key[:0]))
		}
		c.Set(spaceNotice, n.key(key[:0]), n.value(value[:0]))
		notices = append(notices, n)
	}
	if _, err := o.s.store.Do(&c); err != nil {
		return errInternal
	}
	if l := o.sink.Load(); l != nil {
		for _, n := range notices {
			l.Owed(n)
		}
	}
	return nil
}

// maxReplay is how many events one Replay makes owed.
const maxReplay = 10_000

// Replayed is what one Replay did.
type Replayed struct {
	Events int
	More   bool      // the period has more events
	Next   time.Time // with More: where to go on; events of that moment may come twice
}

// Replay makes the events of a period owed to an endpoint again, those it wants,
// the oldest first. Errors are refusals.
func (o *Outbox) Replay(a Account, endpoint ID, from, to time.Time) (Replayed, error) {
	e, err := o.EndpointOf(a, endpoint)
	switch {
	case err != nil:
		return Replayed{}, err
	case !e.Enabled:
		return Replayed{}, wrongState("This webhook endpoint is disabled; enable it first.")
	}
	rng := eventRange(a, from, to)
	var refs []eventRef
	var out Replayed
	bad := false
	err = o.s.store.Scan(rng, func(key, value []byte) bool {
		ref, ok := parseEventRef(ID(key[len(rng.Prefix):]), value)
		switch {
		case !ok:
			bad = true
			return false
		case len(refs) == maxReplay:
			out.More, out.Next = true, ref.id.Time()
			return false
		case e.wants(ref.kind):
			refs = append(refs, ref)
		}
		return true
	})
	if err != nil || bad {
		return Replayed{}, errInternal
	}
	for part := refs; len(part) > 0; {
		n := min(len(part), storage.MaxSteps/2)
		if err := o.owe(e, part[:n]); err != nil {
			return out, err
		}
		part = part[n:]
		out.Events += n
	}
	return out, nil
}
