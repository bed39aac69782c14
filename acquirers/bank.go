package acquirers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/tranzit/tranzit/iso"
)

// Bank is one acquirer's processing center. All methods are goroutine-safe.
type Bank struct {
	given    Config // as New got it
	cfg      Config // with the times of the dialect that New got
	hooks    Hooks
	log      *slog.Logger
	links    []*link
	door     *door // nil: we dial
	pending  *pending
	aside    *aside
	metrics  *metrics
	warnings warnings
	flights  sync.Pool // *flight; per bank, as its channels must stay inside one test bubble

	ready   atomic.Pointer[[]*line] // take what was built in their versions
	offered atomic.Pointer[[]*line] // those of ready that stay as they are
	unready atomic.Pointer[NotReadyError]
	turn    atomic.Uint32
	speech  atomic.Uint32 // whose turn it is to say the version
	current atomic.Pointer[Version]
	taken   [classCount]counted

	changing  sync.Mutex // one change of keys at a time; before all others
	keys      lineKeys
	mu        sync.Mutex // guards watch, started, known, planned and changes of ready
	watch     chan struct{}
	started   bool
	known     []*Version
	planned   *Version // what becomes current
	plans     atomic.Uint64
	replanned chan struct{} // capacity 1: there is a new plan
	idle      chan struct{} // told when nothing is reserved any more
	draining  atomic.Bool
	closed    atomic.Bool

	ctx      context.Context // ends when the links shall end
	stop     context.CancelFunc
	base     context.Context // ends when the wheel shall end
	stopBase context.CancelFunc
	running  sync.WaitGroup // the links
	workers  sync.WaitGroup // the wheel
}

// Class divides the window.
type Class uint8

// The classes. Each has its own share of the window, so neither starves the other.
const (
	ClassPayment Class = iota
	ClassReversal
	classCount
)

var classNames = [classCount]string{"payment", "reversal"}

// String is the class's name in metrics.
func (c Class) String() string { return classNames[c] }

// counted is a counter on a cache line of its own.
type counted struct {
	atomic.Int64
	_ [56]byte
}

// NotReadyError says why a bank takes no traffic.
type NotReadyError struct{ Reason string }

func (e *NotReadyError) Error() string { return "bank is not ready: " + e.Reason }

// New makes a bank. It dials nothing and listens nowhere before Start. Errors name the field at fault.
func New(cfg Config, d *iso.Dialect, h Hooks) (*Bank, error) {
	if h.NextSeq == nil {
		return nil, fmt.Errorf("acquirers: bank %q: the hook NextSeq is required", cfg.ID)
	}
	b := &Bank{given: cfg, hooks: h, pending: newPending(), keys: lineKeys{worn: make(chan struct{}, 1)},
		watch: make(chan struct{}), idle: make(chan struct{}, 1), replanned: make(chan struct{}, 1)}
	v, err := b.version(d)
	if err != nil {
		return nil, err
	}
	cfg = v.cfg
	b.cfg, b.log = cfg, cfg.Logger
	b.planned = v
	b.current.Store(v)
	b.aside = newAside(h, cfg.Logger.With("bank", cfg.ID))
	b.flights.New = func() any { return &flight{done: make(chan struct{}, 1)} }
	b.ready.Store(&[]*line{})
	b.offered.Store(&[]*line{})
	b.unready.Store(&NotReadyError{"not started"})
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.base, b.stopBase = context.WithCancel(context.Background())
	for i := range cfg.LinkCount() {
		k := &link{bank: b, number: i + 1, endpoint: cfg.endpoint(i), state: stateStopped,
			out: recorder{ring: make([]recorded, cfg.Recorded)}, in: recorder{ring: make([]recorded, cfg.Recorded)}}
		k.wanted.Store(v)
		k.target.Store(v)
		b.links = append(b.links, k)
	}
	if cfg.Direction == DirectionListen {
		b.door = newDoor(b)
	}
	b.metrics = newMetrics(b)
	if err := b.metrics.register(); err != nil {
		return nil, fmt.Errorf("acquirers: bank %q: %w", cfg.ID, err)
	}
	return b, nil
}

// signs reports whether a sign-on is among the steps.
func signs(steps []*iso.NetworkStep) bool {
	return slices.ContainsFunc(steps, func(s *iso.NetworkStep) bool { return s.Effect == iso.EffectSignOn })
}

// Start begins dialing, or listening. Calling it again, or after Close, does nothing.
func (b *Bank) Start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.started || b.stopping() {
		return
	}
	b.started = true
	b.workers.Go(func() { b.pending.turn(b.base) })
	b.workers.Go(b.aside.run)
	for _, k := range b.links {
		b.running.Go(func() { k.run(b.ctx) })
	}
	b.running.Go(b.followPlans)
	if b.cfg.Keys != nil {
		b.running.Go(b.changeKeysInTime)
	}
	if b.door != nil {
		b.running.Go(func() { b.door.run(b.ctx) })
	}
}

// Drain refuses new reservations, waits until nothing is reserved, signs off
// and closes. When ctx ends first it goes on at once and returns ctx's error;
// what is in flight then becomes NotSent or Unanswered. Sign-off may take two
// seconds longer than ctx.
func (b *Bank) Drain(ctx context.Context) (err error) {
	b.draining.Store(true)
	b.refresh()
	for b.reserved() > 0 && err == nil {
		select {
		case <-b.idle:
		case <-ctx.Done():
			err = ctx.Err()
		case <-b.ctx.Done():
			err = errors.New("acquirers: closed while draining")
		}
	}
	b.stop()
	b.running.Wait()
	b.Close()
	return err
}

// Close ends every link at once and returns when no goroutine of the bank is
// left. What is in flight becomes NotSent or Unanswered with CauseClosed.
func (b *Bank) Close() {
	b.mu.Lock()
	b.draining.Store(true)
	b.closed.Store(true)
	b.stop()
	b.mu.Unlock()
	for _, k := range b.links {
		if l := k.line.Load(); l != nil {
			l.fail("closed here")
		}
	}
	b.running.Wait()
	if b.door != nil {
		b.door.clear()
	}
	b.stopBase()
	b.aside.close()
	b.workers.Wait()
	b.metrics.unregister()
	b.refresh()
}

func (b *Bank) stopping() bool { return b.ctx.Err() != nil }

// lossCause is why flights of a line that ends now have no answer.
func (b *Bank) lossCause() Cause {
	if b.stopping() {
		return CauseClosed
	}
	return CauseLinkLost
}

// Ready is nil when at least one link takes traffic, else a *NotReadyError.
func (b *Bank) Ready() error {
	if len(*b.offered.Load()) > 0 && !b.draining.Load() {
		return nil
	}
	return b.unready.Load()
}

// Watch returns a channel that is closed at the next change of readiness of any
// link.
func (b *Bank) Watch() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.watch
}

// refresh recomputes which lines are ready and tells the watchers of a change.
func (b *Bank) refresh() {
	b.mu.Lock()
	defer b.mu.Unlock()
	reason := b.reason()
	lines := make([]*line, 0, len(b.links))
	offered := make([]*line, 0, len(b.links))
	for _, k := range b.links {
		if l := k.line.Load(); l != nil && l.isReady() {
			if lines = append(lines, l); !l.leaving.Load() {
				offered = append(offered, l)
			}
		}
	}
	was := b.unready.Swap(&NotReadyError{reason})
	drained := b.draining.Load() && was.Reason != reason
	if slices.Equal(lines, *b.ready.Load()) && slices.Equal(offered, *b.offered.Load()) && !drained {
		return
	}
	b.ready.Store(&lines)
	b.offered.Store(&offered)
	close(b.watch)
	b.watch = make(chan struct{})
}

// reason words why no link is ready: the first link stands for all.
func (b *Bank) reason() string {
	switch {
	case b.closed.Load():
		return "closed"
	case b.draining.Load():
		return "draining"
	}
	s := b.links[0].status()
	way := " to "
	if b.door != nil {
		way = " on "
	}
	text := "0 of " + strconv.Itoa(len(b.links)) + " links ready; link 1" + way + s.Endpoint + ": " + s.State
	if s.LastError != "" && s.State != string(stateSignedOff) {
		text += " (" + s.LastError + ")"
	}
	return text
}

// Reserve takes a slot of the class's share of the window, or reports that none
// is free or the bank is draining. The window grows with the ready links; it is
// never below that of one link.
func (b *Bank) Reserve(c Class) bool {
	if b.taken[c].Add(1) > b.limit(c) || b.draining.Load() {
		b.Release(c)
		return false
	}
	return true
}

func (b *Bank) limit(c Class) int64 {
	share := int64(b.cfg.ReversalShare)
	if c == ClassPayment {
		share = int64(b.cfg.Window - b.cfg.ReversalShare)
	}
	return share * int64(max(1, len(*b.ready.Load())))
}

// Taken is how many slots of a class are taken now, and how many there are.
func (b *Bank) Taken(c Class) (taken, limit int64) { return b.taken[c].Load(), b.limit(c) }

// Release gives back a slot. REQUIRES: Reserve gave it, and its Exchange returned.
func (b *Bank) Release(c Class) {
	if b.taken[c].Add(-1) == 0 && b.draining.Load() {
		signal(b.idle)
	}
}

func (b *Bank) reserved() int64 { return b.taken[ClassPayment].Load() + b.taken[ClassReversal].Load() }

// pick chooses the ready line of a version with the fewest in flight, one that
// stays before one that is about to leave, and counts the caller in. Nil: none is
// ready, or all are full.
func (b *Bank) pick(v *Version) (*line, Cause) {
	cause := CauseNoLink
	for range maxTries {
		lines := *b.ready.Load()
		first := int(b.turn.Add(1))
		var best *line
		least := int64(0)
		for i := range lines {
			l := lines[(first+i)%len(lines)]
			if l.version != v {
				continue
			}
			n := l.inFlight.Load()
			if l.leaving.Load() {
				n += maxWindow + 1
			}
			if best == nil || n < least {
				best, least = l, n
			}
		}
		switch {
		case best != nil:
		case b.stopping():
			return nil, CauseClosed
		default:
			return nil, CauseNoLink
		}
		n := best.inFlight.Add(1)
		if n <= int64(b.cfg.Window) && !best.retired.Load() {
			return best, CauseNone
		}
		if best.inFlight.Add(-1); n > int64(b.cfg.Window) {
			cause = CauseWindow
		}
	}
	return nil, cause
}
