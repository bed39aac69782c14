package sim

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// world is one life: everything there is in one bubble.
type world struct {
	*plan
	begin time.Time
	net   *simnet.Net
	hosts []*host
	clock atomic.Int64 // the wall clock's distance from the bubble's time
	back  atomic.Int64 // how far the wall clock stepped back in all
	calm  atomic.Bool  // the faults are over

	overdue atomic.Bool // the clock stepped over the end of holds
	logged  *slog.Logger

	mu      sync.Mutex
	live    *instance // nil while no process runs
	past    []*instance
	ready   chan struct{} // closed when live is set
	disk    *storage.Disk
	frames  []frame
	replies []*reply
	sayings []*said
	owed    []payswitch.Owed
	purses  []payswitch.Balance // at the end, of merchant 0, then of 1
	loaded  []*loaded           // batches at the end
	seen    map[string]int
	bad     []violation
	tracing bool
	logText bytes.Buffer

	stop       chan struct{}
	supervised sync.WaitGroup
}

// violation is an invariant that does not hold.
type violation struct {
	number int
	text   string
}

func (v violation) String() string {
	return fmt.Sprintf("%2d %s: %s", v.number, invariantNames[v.number], v.text)
}

// result is what is left of a life.
type result struct {
	plan    *plan
	bad     []violation
	seen    map[string]int
	digest  uint64
	lives   int // instances of the switch
	virtual time.Duration
	disk    *storage.Disk
	ops     uint64 // of the disk, in the first instance's time
}

// live lives a plan to its end. REQUIRES: a synctest bubble.
func live(p *plan, disk *storage.Disk, tracing bool) *result {
	w := &world{plan: p, begin: time.Now(), net: simnet.New(simnet.Options{Latency: p.latency, Segment: p.segment}), disk: disk,
		seen: map[string]int{}, ready: make(chan struct{}), stop: make(chan struct{}), tracing: tracing, logged: quiet}
	if p.logs {
		w.logged = slog.New(slog.NewTextHandler(lockedWriter{w}, nil))
	}
	for n := range p.banks {
		w.hosts = append(w.hosts, w.openHost(n))
	}
	w.supervised.Go(w.supervise)
	var busy sync.WaitGroup
	for _, o := range p.orders {
		busy.Go(func() { w.serve(o) })
	}
	for _, l := range p.loads {
		l.reset()
		busy.Go(func() { w.hand(l) })
	}
	for _, e := range p.events {
		busy.Go(func() { w.happen(e) })
	}
	busy.Wait()
	time.Sleep(p.until - time.Since(w.begin))
	w.quieten()
	w.lastRound()
	w.lastActs()
	w.lastLoads()
	w.settle()
	w.close()
	w.judge()
	return &result{plan: p, bad: w.bad, seen: w.seen, digest: w.digest(), lives: len(w.past), virtual: time.Since(w.begin), disk: w.disk, ops: w.past[0].disk.Ops()}
}

type lockedWriter struct{ w *world }

func (l lockedWriter) Write(p []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.logText.Write(p)
}

func (w *world) hit(state string) {
	w.mu.Lock()
	w.seen[state]++
	w.mu.Unlock()
}

func (w *world) note(format string, args ...any) {
	if !w.tracing {
		return
	}
	fmt.Fprintf(os.Stderr, "%12s  %s\n", time.Since(w.begin).Round(time.Microsecond), fmt.Sprintf(format, args...))
}

// broken records that an invariant does not hold.
func (w *world) broken(number int, format string, args ...any) {
	w.note("VIOLATION %d: "+format, append([]any{number}, args...)...)
	w.mu.Lock()
	w.bad = append(w.bad, violation{number, fmt.Sprintf(format, args...)})
	w.mu.Unlock()
}

// now is the wall clock.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.clock.Load())) }

// supervise keeps one instance of the switch alive, as an init system would.
func (w *world) supervise() {
	for n := 0; ; n++ {
		i := newInstance(w, n)
		w.mu.Lock()
		w.past = append(w.past, i)
		w.mu.Unlock()
		err := i.start()
		switch {
		case i.dead.Load():
		case err != nil:
			w.broken(13, "instance %d does not start: %v", n, err)
			i.bury()
			return
		default:
			w.enthrone(i)
			select {
			case <-i.died:
			case <-w.stop:
			}
		}
		if !i.dead.Load() {
			return
		}
		w.mu.Lock()
		w.live = nil
		w.mu.Unlock()
		i.bury()
		w.tryTwice(i)
		w.disk = i.clone
		time.Sleep(i.death.down)
	}
}

func (w *world) enthrone(i *instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live = i
	close(w.ready)
	w.ready = make(chan struct{})
	if w.calm.Load() {
		i.disarm()
	}
}

// visit returns the running instance and keeps it from being buried until
// leave, or nil.
func (w *world) visit() *instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.live == nil || w.live.dead.Load() {
		return nil
	}
	w.live.guests.Add(1)
	return w.live
}

// happen brings one event about.
func (w *world) happen(e event) {
	time.Sleep(e.at)
	if w.calm.Load() {
		return
	}
	w.note("event: %s at bank %d, %v", e.what, e.bank, e.size)
	w.hit("event_" + e.what)
	h := w.hosts[e.bank]
	switch e.what {
	case "clock":
		w.clock.Add(int64(e.size))
		if e.size >= holdTime {
			w.overdue.Store(true)
		}
		if e.size < 0 {
			w.back.Add(int64(-e.size))
			w.hit("clock_back")
		} else {
			w.hit("clock_forward")
		}
	case "cut", "stall_bank", "stall_switch", "vanish":
		h.hurt(e)
	default:
		h.misbehave(e)
	}
}

// quieten ends all faults.
func (w *world) quieten() {
	w.note("the faults end")
	w.calm.Store(true)
	w.mu.Lock()
	if w.live != nil {
		w.live.disarm()
	}
	w.mu.Unlock()
	for _, h := range w.hosts {
		h.control(banksim.Control{Mode: banksim.ModeNormal})
		if w.faults&bankModes != 0 {
			h.control(banksim.Control{Mode: banksim.ActSignOn})
		}
	}
}

// alive waits for a running instance whose banks are signed on.
func (w *world) alive() *instance {
	for range 600 {
		w.mu.Lock()
		i, ready := w.live, w.ready
		w.mu.Unlock()
		if i == nil || i.dead.Load() {
			select {
			case <-ready:
			case <-time.After(time.Second):
			}
			continue
		}
		if i.signedOn() {
			return i
		}
		time.Sleep(500 * time.Millisecond)
	}
	return nil
}

// settle waits until nothing is owed, within the promise of invariant 19.
func (w *world) settle() {
	if w.overdue.Load() {
		pass(holdLook)
	}
	start := time.Now()
	limit := 12*time.Minute + time.Duration(w.back.Load())
	for {
		i := w.alive()
		if i == nil {
			w.broken(21, "the links do not come back")
			return
		}
		queued := i.sending()
		if queued == 0 && time.Since(start) > w.tail() && i.queued() == 0 && i.loadsEnded() {
			return
		}
		if time.Since(start) > limit {
			w.broken(19, "%d reversals are still owed %v after the faults ended", queued, time.Since(start))
			return
		}
		time.Sleep(max(time.Second, time.Since(start)/8))
		synctest.Wait()
	}
}

// tail is how long answers may still be on their way.
func (w *world) tail() time.Duration {
	if w.faults&(scriptFaults|cardFaults) == 0 {
		return 0
	}
	return w.lateBy + 3*time.Second
}

// oneMore starts a last instance after one that died while it was stopping.
func (w *world) oneMore() {
	w.disk = w.live.clone
	i := newInstance(w, len(w.past))
	i.doomed.Store(false)
	w.past = append(w.past, i)
	if err := i.start(); err != nil {
		w.broken(13, "after a death at the end: %v", err)
		return
	}
	w.enthrone(i)
	w.settle()
	i.takeStock()
	i.end()
}

func (w *world) close() {
	close(w.stop)
	w.supervised.Wait()
	if w.live != nil {
		var err error
		if w.owed, err = w.live.core.OwedReversals(1000); err != nil {
			w.broken(19, "what is owed cannot be read: %v", err)
		}
		w.live.takeStock()
		w.live.end()
		if w.live.dead.Load() {
			w.oneMore()
		}
		w.disk = w.live.disk
	}
	for _, h := range w.hosts {
		h.close()
	}
	if w.http {
		time.Sleep(30 * time.Second) // the HTTP library notices its end late
	}
}

// pass lets the bubble's time pass.
func pass(d time.Duration) { time.Sleep(d) }
