package payswitch

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// bank is one acquirer: its links, its dialect, its trace numbers and the
// reversals owed to it.
type bank struct {
	id        string
	live      bool
	profile   *iso.Profile
	acquirer  string
	forwarder string
	link      *acquirers.Bank
	trace     counter
	saf       *reversalQueue
	late      lateTable
	metrics   bankMetrics
	health    *health
	dayEnd    atomic.Int64 // Unix milliseconds: when the bank last said that its business day ends; 0: never

	holdMade     chan struct{}
	holdsAwaited atomic.Bool // expireHolds has nothing to wait for but holdMade

	release release
	drained atomic.Bool // by an operator: no new payments, reversals go on
}

func (s *Switch) newBank(c *BankConfig) (*bank, error) {
	if c.Dialect == nil {
		return nil, fmt.Errorf("a dialect is required")
	}
	b := &bank{
		id: c.Link.ID, live: c.Live, profile: c.Profile, acquirer: c.Acquirer, forwarder: c.Forwarder,
		trace: counter{store: s.store, name: "trace/" + c.Link.ID}, saf: newReversalQueue().by(s.o.Now),
		metrics: s.metrics.bank(c.Link.ID), holdMade: make(chan struct{}, 1),
	}
	if b.profile == nil {
		b.profile = iso.PlainProfile(b.id)
	}
	if err := b.profile.Fits(c.Dialect); err != nil {
		return nil, err
	}
	b.late.init(c.Dialect.Behaviour().LateWindow)
	link, err := acquirers.New(c.Link, c.Dialect, acquirers.Hooks{
		NextSeq: b.trace.next,
		Late:    func(d *iso.Dialect, m *iso.Message) { s.lateAnswer(b, d, m) },
		CutOver: func(at time.Time) { s.cutOver(b, at) },
		Alarm:   func(kind, detail string) { s.bankAlarm(b, kind, detail) },
	})
	if err != nil {
		return nil, err
	}
	b.link = link
	if err := b.newRelease(c, s.now()); err != nil {
		return nil, err
	}
	b.health = newHealth(s.o.Now, cmp.Or(c.Link.ResponseTimeout, c.Dialect.Behaviour().ResponseTimeout))
	return b, nil
}

// bankAlarm tells operators of what a bank, or its configuration, does.
func (s *Switch) bankAlarm(b *bank, kind, detail string) {
	s.metrics.alarms.WithLabelValues(kind).Inc()
	s.log.Warn("bank alarm", "bank", b.id, "kind", kind, "detail", detail)
}

// traceBlock is how many trace numbers one durable reservation covers. A crash
// skips the rest of a block.
const traceBlock = 20_000

// counter hands out a bank's trace sequence from blocks reserved in the
// journal, so that no number is given twice, also across crashes (features I24).
type counter struct {
	store *storage.Store
	name  string

	mu        sync.Mutex
	filled    sync.Cond // a reservation ended
	reserving bool      // one caller waits for the journal, the others for it
	upcoming  uint64
	end       uint64
}

func (c *counter) next() (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.filled.L = &c.mu
	for c.upcoming == c.end {
		if c.reserving {
			c.filled.Wait()
			continue
		}
		if err := c.reserve(); err != nil {
			return 0, err
		}
	}
	n := c.upcoming
	c.upcoming++
	return n, nil
}

// reserve takes a new block, without the lock while the journal syncs.
// REQUIRES: mu.
func (c *counter) reserve() error {
	c.reserving = true
	c.mu.Unlock()
	first, err := c.store.Reserve(c.name, traceBlock)
	c.mu.Lock()
	c.reserving = false
	c.filled.Broadcast()
	if err != nil {
		return fmt.Errorf("trace numbers: %w", err)
	}
	c.upcoming, c.end = first, first+traceBlock
	return nil
}

// lateTable remembers, for a while, the exchanges that were given up, so that
// an answer that comes after all finds its payment.
type lateTable struct {
	window time.Duration

	mu    sync.Mutex
	byKey map[iso.Key]lateEntry
	byAge []lateAge
}

type lateEntry struct {
	id    ID
	op    uint32 // the payment's operation, from 1; 0: the payment's own request
	until time.Time
}

type lateAge struct {
	key   iso.Key
	until time.Time
}

func (t *lateTable) init(window time.Duration) {
	if window == 0 {
		window = 15 * time.Minute
	}
	t.window, t.byKey = window, map[iso.Key]lateEntry{}
}

func (t *lateTable) add(key iso.Key, id ID, now time.Time) { t.addOperation(key, id, 0, now) }

func (t *lateTable) addOperation(key iso.Key, id ID, op uint32, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.byAge) > 0 && t.byAge[0].until.Before(now) {
		oldest := t.byAge[0]
		if e, ok := t.byKey[oldest.key]; ok && !e.until.After(oldest.until) {
			delete(t.byKey, oldest.key)
		}
		t.byAge = t.byAge[1:]
	}
	until := now.Add(t.window)
	t.byKey[key] = lateEntry{id: id, op: op, until: until}
	t.byAge = append(t.byAge, lateAge{key: key, until: until})
}

func (t *lateTable) find(key iso.Key) (id ID, op uint32, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byKey[key]
	return e.id, e.op, ok
}
