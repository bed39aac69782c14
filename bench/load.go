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
	show    *progress
}

// outcomeOfLoad is everything the workers saw.
type outcomeOfLoad struct {
	total, measured       *counts
	latency, late         *hdrhistogram.Histogram
	starved, dropped      uint64
	merchants             MerchantView
	seconds               []Second
	split                 split
	happened              []Happened
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
		reports: make(chan *interval, 4*o.Workers), show: newProgress(o)}
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
		latency: newHist(), late: newHist(), split: newSplit(o), follows: o.operates(), operations: o.operationShares(), second: &interval{latency: newHist()}}
	if o.open() {
		w.due = newSchedule(o.phases(), i, o.Workers).seed(seed)
	}
	share := o.Connections / o.Workers
	if i < o.Connections%o.Workers {
		share++
	}
	w.conns = make([]conn, share)
	for k := range w.conns {
		w.conns[k] = conn{token: int32(k), fd: -1, request: request{payment: noPayment}}
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

// alongside is what happens while the load runs.
type alongside struct {
	begin, end func() // called when the measured time begins and ends
	// events is called when the measured time begins; its context ends with the load.
	events func(ctx context.Context, at time.Time) []Happened
}

// run drives the load to its end. It returns early, with what there is, when ctx ends.
func (l *load) run(ctx context.Context, a alongside) (*outcomeOfLoad, error) {
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
		}{{l.plan.from, a.begin}, {l.plan.to, a.end}} {
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
	running, finish := context.WithCancel(ctx)
	watching.Go(func() { out.happened = a.events(running, l.start.Add(l.plan.from)) })
	out.seconds = collectSeconds(l.o, l.reports, l.show)
	finish()
	watching.Wait()
	return out, l.gather(out)
}

func (l *load) gather(out *outcomeOfLoad) error {
	out.finishedAt = time.Since(l.start)
	out.total, out.measured = newCounts(), newCounts()
	out.latency, out.late = newHist(), newHist()
	out.split = newSplit(l.o)
	var errs []error
	for _, w := range l.workers {
		out.split.merge(&w.split)
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
