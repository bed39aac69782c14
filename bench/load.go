package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// load is one run of the generator.
type load struct {
	o       *Options
	plan    window
	start   time.Time
	workers []*worker
	reports chan *interval
	stop    atomic.Bool
}

// outcomeOfLoad is everything the workers saw.
type outcomeOfLoad struct {
	total, measured       *counts
	latency, late         *hdrhistogram.Histogram
	starved, dropped      uint64
	merchants             MerchantView
	seconds               []Second
	plannedTo, finishedAt time.Duration
}

// newLoad opens every connection. The target must be up.
func newLoad(o *Options) (*load, error) {
	var id [runWidth / 2]byte
	_, _ = rand.Read(id[:]) // it never fails
	m, err := newMix(o, "b"+hex.EncodeToString(id[:]))
	if err != nil {
		return nil, err
	}
	l := &load{o: o, plan: window{from: o.Warmup, to: o.Warmup + o.Duration}, start: time.Now(),
		reports: make(chan *interval, 4*o.Workers)}
	for i := range o.Workers {
		w, err := l.newWorker(i, m)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("connecting to %s: %w", o.Target, err)
		}
		l.workers = append(l.workers, w)
	}
	return l, nil
}

func (l *load) newWorker(i int, m *mix) (*worker, error) {
	o := l.o
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	seed := o.Seed*1_000_003 + uint64(i)
	w := &worker{o: o, index: i, start: l.start, plan: l.plan, mix: m, poll: p, stop: &l.stop, report: l.reports,
		rng: mathrand.New(mathrand.NewPCG(seed, 7)), total: newCounts(), measured: newCounts(),
		latency: newHist(), late: newHist(), second: &interval{latency: newHist()}}
	if o.open() {
		w.due = newSchedule(o.phases(), i, o.Workers).seed(seed)
	}
	share := o.Connections / o.Workers
	if i < o.Connections%o.Workers {
		share++
	}
	w.conns = make([]conn, share)
	for k := range w.conns {
		w.conns[k] = conn{token: int32(k), fd: -1, payment: noPayment}
		w.connect(&w.conns[k])
	}
	if w.total.losses[lossConnect] > 0 {
		p.close()
		return nil, errors.New("a connection was refused")
	}
	return w, nil
}

func (l *load) close() {
	for _, w := range l.workers {
		for i := range w.conns {
			w.drop(&w.conns[i])
		}
		w.poll.close()
	}
}

// run drives the load to its end. marks are called when the measured time begins
// and ends. It returns early, with what there is, when ctx ends.
func (l *load) run(ctx context.Context, begin, end func()) (*outcomeOfLoad, error) {
	defer l.close()
	l.start = time.Now()
	var working sync.WaitGroup
	for _, w := range l.workers {
		w.start = l.start
		w.freeSince = 0
		working.Go(w.run)
	}
	done := make(chan struct{})
	go func() { working.Wait(); close(l.reports); close(done) }()

	var watching sync.WaitGroup
	watching.Go(func() {
		defer l.stop.Store(true)
		for _, m := range []struct {
			at   time.Duration
			call func()
		}{{l.plan.from, begin}, {l.plan.to, end}} {
			select {
			case <-time.After(m.at - time.Since(l.start)):
			case <-ctx.Done():
			}
			m.call()
		}
		select {
		case <-done:
		case <-ctx.Done():
		}
	})
	out := &outcomeOfLoad{plannedTo: l.plan.to}
	out.seconds = collectSeconds(l.o, l.reports)
	watching.Wait()
	return out, l.gather(out)
}

func (l *load) gather(out *outcomeOfLoad) error {
	out.finishedAt = time.Since(l.start)
	out.total, out.measured = newCounts(), newCounts()
	out.latency, out.late = newHist(), newHist()
	var errs []error
	for _, w := range l.workers {
		errs = append(errs, w.err)
		out.total.merge(w.total)
		out.measured.merge(w.measured)
		out.latency.Merge(w.latency)
		out.late.Merge(w.late)
		out.starved += w.starved
		out.dropped += w.dropped
		out.merchants.add(&w.ledger, w.number)
	}
	return errors.Join(errs...)
}

// Second is one second of a run. Times are microseconds.
type Second struct {
	Second   int     `json:"second"`
	Answered uint64  `json:"answered"`
	Bad      uint64  `json:"bad"`
	InFlight int     `json:"in_flight"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	Max      float64 `json:"max_us"`
}

// collectSeconds merges the workers' seconds and prints a line for each when all
// workers have moved on.
func collectSeconds(o *Options, reports <-chan *interval) []Second {
	var done []Second
	open := map[int]*interval{}
	seen := map[int]int{}
	next := 0
	emit := func() {
		s := open[next]
		delete(open, next)
		next++
		if s == nil || s.answered+s.bad == 0 {
			return
		}
		line := Second{Second: next, Answered: s.answered, Bad: s.bad, InFlight: s.busy,
			P50: micros(s.latency.ValueAtQuantile(50)), P99: micros(s.latency.ValueAtQuantile(99)), Max: micros(s.latency.Max())}
		done = append(done, line)
		fmt.Fprintf(o.Progress, "%4ds %8d/s  p50 %9s  p99 %9s  max %9s  in flight %5d  bad %d\n", line.Second, line.Answered,
			shortTime(line.P50), shortTime(line.P99), shortTime(line.Max), line.InFlight, line.Bad)
	}
	last := 0
	for r := range reports {
		seen[r.index]++
		last = max(last, r.index)
		if s := open[r.index]; s != nil {
			s.answered += r.answered
			s.bad += r.bad
			s.busy += r.busy
			s.latency.Merge(r.latency)
		} else {
			open[r.index] = r
		}
		for seen[next] == o.Workers {
			emit()
		}
	}
	for next <= last {
		emit()
	}
	return done
}

func micros(ns int64) float64 { return float64(ns) / 1e3 }

// shortTime prints microseconds as people read them.
func shortTime(us float64) string {
	switch {
	case us < 1_000:
		return fmt.Sprintf("%.0fus", us)
	case us < 1_000_000:
		return fmt.Sprintf("%.2fms", us/1e3)
	}
	return fmt.Sprintf("%.2fs", us/1e6)
}
