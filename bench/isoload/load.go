package isoload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/iso"
)

// load is one run.
type load struct {
	o        *Options
	values   iso.Values
	links    []*link
	seq      atomic.Uint64
	start    time.Time
	from, to time.Duration // what is measured
	cancel   context.CancelCauseFunc
	lateness recorder
	latency  map[iso.Operation]*recorder
	all      recorder
}

// recorder is a histogram for several goroutines.
type recorder struct {
	mu sync.Mutex
	h  *bench.Histogram
}

func (r *recorder) record(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.h.Record(d)
}

// sample is the latency of one answered message.
type sample struct {
	op      iso.Operation
	latency time.Duration
}

// Run loads the host and says what was seen. It fails at once when a link cannot be
// opened and signed on; a link that ends later is opened again. The result of a run
// that ctx ended early is returned with ctx's error.
func Run(ctx context.Context, o Options) (*Result, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	values, err := o.values()
	if err != nil {
		return nil, err
	}
	warmup := max(o.Warmup, 0)
	l := &load{o: &o, values: values, from: warmup, to: warmup + o.Duration, latency: map[iso.Operation]*recorder{}}
	l.seq.Store(o.First - 1)
	l.lateness.h, l.all.h = bench.NewHistogram(), bench.NewHistogram()
	for _, op := range mixed {
		l.latency[op] = &recorder{h: bench.NewHistogram()}
	}
	for i := range o.Links * len(o.Connect) {
		l.links = append(l.links, l.newLink(o.Connect[i%len(o.Connect)], i, o.Links*len(o.Connect)))
	}
	streams, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	own, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.cancel, l.start = cancel, time.Now()
	var running sync.WaitGroup
	for i, k := range l.links {
		running.Go(func() { k.run(own, streams[i]) })
	}
	done := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() { l.tell(done) })
	running.Wait()
	close(done)
	telling.Wait()
	if cause := context.Cause(own); cause != nil && ctx.Err() == nil {
		return nil, cause
	}
	return l.result(), ctx.Err()
}

// open opens every link, or none.
func (l *load) open(ctx context.Context) ([]*stream, error) {
	streams, errs := make([]*stream, len(l.links)), make([]error, len(l.links))
	var opening sync.WaitGroup
	for i, k := range l.links {
		opening.Go(func() { streams[i], errs[i] = k.open(ctx) })
	}
	opening.Wait()
	for _, err := range errs {
		if err == nil {
			continue
		}
		for _, s := range streams {
			if s != nil {
				err = errors.Join(err, s.conn.Close())
			}
		}
		return nil, err
	}
	return streams, nil
}

func (l *load) now() time.Duration { return time.Since(l.start) }

// measures: the moment is inside the measured time.
func (l *load) measures(at time.Duration) bool { return at >= l.from && at < l.to }

// fail ends the run: a message cannot be built.
func (l *load) fail(err error) { l.cancel(err) }

// record takes the latencies of one read.
func (l *load) record(seen []sample) {
	if len(seen) == 0 {
		return
	}
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	for _, s := range seen {
		l.all.h.Record(s.latency)
		l.latency[s.op].h.Record(s.latency)
	}
}

// tell writes a line per second.
func (l *load) tell(done <-chan struct{}) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	last := uint64(0)
	for {
		select {
		case <-done:
			return
		case <-second.C:
			c := l.sum()
			fmt.Fprintf(l.o.Progress, "%4.0fs %8d answers/s  %6d in flight  %d timeouts  %d unmatched  %d cuts\n", l.now().Seconds(), c.Answered-last,
				l.inFlight(), c.Timeouts, c.Unmatched, c.Cuts)
			last = c.Answered
		}
	}
}

func (l *load) inFlight() (n int) {
	for _, k := range l.links {
		k.mu.Lock()
		n += k.pending.size()
		k.mu.Unlock()
	}
	return n
}
