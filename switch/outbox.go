package payswitch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// Outbox is what the switch owes its merchants' endpoints. What is owed stands
// in the journal since the very batch that changed the payment; whoever sends it
// listens, and reads what it does not hold in memory from the journal. All
// methods are goroutine-safe.
type Outbox struct {
	s    *Switch
	by   atomic.Pointer[map[accountKey]*audience]
	sink atomic.Pointer[Listener]

	mu        sync.Mutex // serialises changes of endpoints; held over a journal command
	endpoints map[ID]*Endpoint
}

type accountKey struct {
	merchant string
	live     bool
}

// audience is who is told of one account's events. It is immutable.
type audience struct {
	account   [8]byte
	endpoints []*Endpoint // those that are enabled
}

// Listener hears of what endpoints are owed. Its functions are called on the
// path of payments: they must return at once.
type Listener struct {
	Owed    func(Notice)    // a notice was made durable
	Changed func(*Endpoint) // an endpoint was made, changed or deleted (then it is disabled)
}

// Notice is one event that one endpoint is owed.
type Notice struct {
	Endpoint ID
	Event    ID
	Payment  ID
	Type     EventType
	Attempts int       // that failed so far
	Due      time.Time // not before; zero: at once

	ref eventRef
}

// Outbox is the switch's one outbox.
func (s *Switch) Outbox() *Outbox { return &s.outbox }

// Listen sets who hears of notices from now on; what was owed before is found
// by Ready and Due.
func (o *Outbox) Listen(l Listener) { o.sink.Store(&l) }

// attend sets who is told of the next step of a payment. An account that asked
// for no events costs it one load.
func (s *Switch) attend(h *history) {
	if h.declines, h.purse = nil, s.purses.of(&h.Payment); s.watchesRetries(h.Live) {
		h.declines = &s.declines
	}
	h.audience, h.receipts, h.checkout = s.outbox.audienceOf(h.Merchant, h.Live), s.receiptsOf(h), nil
	if h.audience != nil && !h.Checkout.IsZero() {
		h.checkout = s.checkoutNews(h)
	}
}

// announce adds the events of the last record to the command that makes the
// record durable, and what each endpoint is owed of them.
func (h *history) announce(c *storage.Command) {
	if h.audience == nil {
		return
	}
	for i := range int(h.news.count) {
		h.audience.tell(c, h.lastEvent(i))
	}
}

// tell adds one event, and what each endpoint is owed of it, to a command.
func (a *audience) tell(c *storage.Command, ref eventRef) {
	var keyBuf, valueBuf [64]byte
	c.Set(spaceEvent, append(append(keyBuf[:0], a.account[:]...), ref.id[:]...), ref.append(valueBuf[:0]))
	n := Notice{Event: ref.id, ref: ref}
	for _, e := range a.endpoints {
		if e.wants(ref.kind) {
			n.Endpoint = e.ID
			c.Set(spaceNotice, n.key(keyBuf[:0]), n.value(valueBuf[:0]))
		}
	}
}

// audienceOf is who is told of an account's events; nil: nobody.
func (o *Outbox) audienceOf(merchant string, live bool) *audience {
	if by := o.by.Load(); by != nil {
		return (*by)[accountKey{merchant, live}]
	}
	return nil
}

// told wakes those who wait for a payment once its step is durable.
func (s *Switch) told(h *history) {
	s.watch.notify(h.ID)
	if h.receipts != nil {
		s.letters.Wake()
	}
	if h.audience == nil {
		return
	}
	for i := range int(h.news.count) {
		s.outbox.owes(h.audience, h.lastEvent(i))
	}
	if n := h.checkout; n != nil {
		if !n.ref.id.IsZero() {
			s.outbox.owes(h.audience, n.ref)
		}
		if n.look {
			s.sessionEnded()
		}
	}
}

// owes tells the listener of an event that was made durable.
func (o *Outbox) owes(a *audience, ref eventRef) {
	l := o.sink.Load()
	if l == nil {
		return
	}
	for _, e := range a.endpoints {
		if e.wants(ref.kind) {
			l.Owed(noticeOf(e.ID, ref))
		}
	}
}

func noticeOf(endpoint ID, ref eventRef) Notice {
	return Notice{Endpoint: endpoint, Event: ref.id, Payment: ref.payment, Type: ref.kind, ref: ref}
}

// The first byte of a key in spaceNotice. The bytes are stored: never reuse one.
const (
	noticeOwed  = 0 // then endpoint id, event id -> event reference, attempts, due time
	noticeTimer = 1 // then endpoint id, due time, event id: those whose time is not come
)

// key orders what an endpoint is owed by the time of the event.
func (n *Notice) key(dst []byte) []byte {
	dst = append(append(dst, noticeOwed), n.Endpoint[:]...)
	return append(dst, n.Event[:]...)
}

func (n *Notice) timerKey(dst []byte) []byte {
	dst = append(append(dst, noticeTimer), n.Endpoint[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(n.Due.UnixMilli()))
	return append(dst, n.Event[:]...)
}

func (n *Notice) value(dst []byte) []byte {
	dst = n.ref.append(dst)
	dst = binary.AppendUvarint(dst, uint64(n.Attempts))
	return appendTime(dst, n.Due)
}

func parseNotice(endpoint, event ID, value []byte) (n Notice, ok bool) {
	if len(value) < eventRefBytes {
		return n, false
	}
	ref, _ := parseEventRef(event, value[:eventRefBytes])
	n = noticeOf(endpoint, ref)
	d := decoder{b: value[eventRefBytes:]}
	n.Attempts = int(d.uvarint())
	n.Due = d.time()
	return n, !d.bad && len(d.b) == 0
}

// Ready are the notices an endpoint is owed at once, in the order of their
// events, after the one named (zero: from the first). Those that wait for a
// later attempt are not among them. next is where to go on; more says that
// there may be others.
func (o *Outbox) Ready(endpoint, after ID, limit int) (list []Notice, next ID, more bool, err error) {
	prefix := append([]byte{noticeOwed}, endpoint[:]...)
	from := append(append(make([]byte, 0, 64), prefix...), after[:]...)
	if !after.IsZero() {
		from = append(from, 0)
	}
	bad := false
	next = after
	err = o.s.store.Scan(storage.Range{Space: spaceNotice, Prefix: prefix, From: from}, func(key, value []byte) bool {
		if len(list) == limit || len(key) != len(prefix)+len(ID{}) {
			more, bad = true, len(list) != limit
			return false
		}
		n, ok := parseNotice(endpoint, ID(key[len(prefix):]), value)
		bad = !ok
		next = n.Event
		if n.Due.IsZero() {
			list = append(list, n)
		}
		return ok
	})
	if bad {
		err = errors.Join(err, errRecord)
	}
	return list, next, more, err
}

// Due are the notices of an endpoint whose later attempt is due at now, the
// first due first. next is when the first of the others will be; zero: there is
// none.
func (o *Outbox) Due(endpoint ID, now time.Time, limit int) (list []Notice, next time.Time, err error) {
	prefix := append([]byte{noticeTimer}, endpoint[:]...)
	var stale storage.Command
	removed := 0
	err = o.s.store.Scan(storage.Range{Space: spaceNotice, Prefix: prefix}, func(key, _ []byte) bool {
		rest := key[len(prefix):]
		if len(rest) != 8+len(ID{}) {
			return false
		}
		due := time.UnixMilli(int64(binary.BigEndian.Uint64(rest))).UTC()
		if due.After(now) || len(list) == limit || removed == limit {
			next = due
			return false
		}
		n, ok := o.owed(endpoint, ID(rest[8:]))
		if !ok || !n.Due.Equal(due) {
			stale.Delete(spaceNotice, key) // it was sent, or put to another time
			removed++
			return true
		}
		list = append(list, n)
		return true
	})
	if err == nil && removed > 0 {
		_, err = o.s.store.Do(&stale)
	}
	return list, next, err
}

// owed reads what an endpoint is owed of one event, false: nothing.
func (o *Outbox) owed(endpoint, event ID) (Notice, bool) {
	n := Notice{Endpoint: endpoint, Event: event}
	var keyBuf, valueBuf [64]byte
	value, ok, err := o.s.store.Get(spaceNotice, n.key(keyBuf[:0]), valueBuf[:0])
	if err != nil || !ok {
		return n, false
	}
	return parseNotice(endpoint, event, value)
}

// ErrNotOwed: the endpoint is not owed this event any more.
var ErrNotOwed = errors.New("the event is not owed")

// Read gives the event of a notice, the notice as the journal holds it now, and
// that of the nearest event before it of the same payment that the endpoint is
// still owed: that one goes first. It may return ErrNotOwed.
func (o *Outbox) Read(n Notice) (e Event, held Notice, before *Notice, err error) {
	held, ok := o.owed(n.Endpoint, n.Event)
	if !ok {
		return Event{}, held, nil, ErrNotOwed
	}
	e, earlier, err := o.s.event(held.ref)
	if err != nil {
		return Event{}, held, nil, err
	}
	for i := len(earlier) - 1; i >= 0; i-- {
		if first, ok := o.owed(n.Endpoint, earlier[i]); ok {
			return e, held, &first, nil
		}
	}
	return e, held, nil, nil
}

// FreshID is an id for a message that no journal holds.
func (o *Outbox) FreshID() ID { return o.s.ids.next(o.s.now()) }

// Alarm counts something about notices that an operator should look at.
func (o *Outbox) Alarm(kind string) { o.s.metrics.alarms.WithLabelValues(kind).Inc() }

// Attempt is what came of sending a notice once.
type Attempt struct {
	Notice   Notice
	Endpoint ID            // of Notice; kept in the list of deliveries
	At       time.Time     // when it began; zero: nothing was sent, the notice is only put to another time
	Took     time.Duration // milliseconds are kept
	Code     int           // HTTP status, 0: there was no answer
	Error    string        // one word: timeout, connect, tls, blocked_address ...; empty with Code
	Done     bool          // the endpoint took it
	GivenUp  bool          // it did not, and no attempt follows
	Next     time.Time     // neither: the next attempt
}

// State is the word of the API for what the attempt leads to.
func (a *Attempt) State() string {
	switch {
	case a.Done:
		return "succeeded"
	case a.GivenUp:
		return "failed"
	}
	return "retrying"
}

// MaxSettled is how many attempts one Settle takes.
const MaxSettled = storage.MaxSteps / 4

// Settle makes durable what came of attempts: what was taken or given up is owed
// no longer, the rest later. All of it happens or nothing.
// REQUIRES: at most MaxSettled attempts.
func (o *Outbox) Settle(attempts []Attempt) error {
	var c storage.Command
	var key, value [96]byte
	for i := range attempts {
		a := &attempts[i]
		n := a.Notice
		if !n.Due.IsZero() {
			c.Delete(spaceNotice, n.timerKey(key[:0]))
		}
		switch {
		case a.Done || a.GivenUp:
			c.Delete(spaceNotice, n.key(key[:0]))
		default:
			if !a.At.IsZero() {
				n.Attempts++
			}
			n.Due = a.Next.Truncate(time.Millisecond)
			c.Set(spaceNotice, n.key(key[:0]), n.value(value[:0]))
			c.Set(spaceNotice, n.timerKey(key[:0]), nil)
		}
		if !a.At.IsZero() {
			c.Set(spaceDelivery, a.key(key[:0]), a.encode(value[:0]))
		}
	}
	result, err := o.s.store.Do(&c)
	if err == nil && result.Kind != storage.Applied {
		err = errInternal
	}
	return err
}

func (a *Attempt) key(dst []byte) []byte {
	dst = append(append(dst, a.Notice.Event[:]...), a.Notice.Endpoint[:]...)
	return binary.BigEndian.AppendUint64(dst, uint64(a.At.UnixMilli()))
}

func (a *Attempt) encode(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(a.Took.Milliseconds()))
	dst = binary.AppendUvarint(dst, uint64(a.Code))
	dst = appendString(dst, a.Error)
	dst = appendBool(appendBool(dst, a.Done), a.GivenUp)
	return appendTime(dst, a.Next)
}

func parseAttempt(key, value []byte) (a Attempt, ok bool) {
	if len(key) != 16+16+8 {
		return a, false
	}
	d := decoder{b: value}
	a = Attempt{Endpoint: ID(key[16:32]), At: time.UnixMilli(int64(binary.BigEndian.Uint64(key[32:]))).UTC()}
	a.Took = time.Duration(d.uvarint()) * time.Millisecond
	a.Code = int(d.uvarint())
	a.Error = d.string()
	a.Done, a.GivenUp = d.bool(), d.bool()
	a.Next = d.time()
	return a, !d.bad && len(d.b) == 0
}

// purgeBatch is how many notices one command of Purge removes.
const purgeBatch = 500

// Purge forgets what an endpoint is owed of events before a moment (zero: of all),
// and returns how many events that were.
func (o *Outbox) Purge(endpoint ID, until time.Time) (events int, err error) {
	end := maxID
	if !until.IsZero() {
		end = idAt(until.Add(time.Millisecond))
	}
	for _, first := range [...]byte{noticeOwed, noticeTimer} {
		prefix := append([]byte{first}, endpoint[:]...)
		for full := true; full && err == nil; {
			var c storage.Command
			n := 0
			err = o.s.store.Scan(storage.Range{Space: spaceNotice, Prefix: prefix}, func(key, _ []byte) bool {
				if event := key[len(key)-len(end):]; bytes.Compare(event, end[:]) < 0 {
					c.Delete(spaceNotice, key)
					n++
				}
				return n < purgeBatch
			})
			if err == nil {
				_, err = o.s.store.Do(&c)
			}
			if first == noticeOwed {
				events += n
			}
			full = n == purgeBatch
		}
	}
	return events, err
}

// Owing are the endpoints that are owed anything, those among them that are
// gone included.
func (o *Outbox) Owing() (ids []ID, err error) {
	from := []byte{noticeOwed}
	for found := true; found && err == nil; {
		found = false
		err = o.s.store.Scan(storage.Range{Space: spaceNotice, Prefix: []byte{noticeOwed}, From: from}, func(key, _ []byte) bool {
			if len(key) == 1+16+16 {
				found = true
				ids = append(ids, ID(key[1:17]))
				from = append(append(from[:0], key[:17]...), 0xff)
				from = append(from, maxID[:]...)
			}
			return false
		})
	}
	return ids, err
}

// maxID is no id of ours: the largest there could be.
var maxID = ID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Oldest is the oldest event that an endpoint is owed, of those not before from;
// zero: there is none.
func (o *Outbox) Oldest(endpoint, from ID) (event ID, err error) {
	prefix := append([]byte{noticeOwed}, endpoint[:]...)
	first := append(append(make([]byte, 0, 64), prefix...), from[:]...)
	err = o.s.store.Scan(storage.Range{Space: spaceNotice, Prefix: prefix, From: first}, func(key, _ []byte) bool {
		event = ID(key[len(prefix):])
		return false
	})
	return event, err
}
