package curves

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/report"
)

var inFlightCurve = shape{Curve: report.Curve{Title: "Payments in flight", X: "payments in flight", XLog: true,
	Method: "Open loop: the rate times the bank's think time (30 s, less for few payments) is what waits, each payment on a connection of its own. " +
		"Memory is the resident memory of the switch while they wait, less that of the same process after as many payments that did not wait, " +
		"divided by their number; the connection is part of it.",
	Figures: []report.Figure{{Key: "each", Title: "memory per payment in flight", Format: report.FormatOfBytes},
		{Key: "resident", Title: "switch memory while they wait", Format: report.FormatOfBytes}, figureCPU, figureRate}},
	points: []float64{100, 1_000, 10_000, 100_000}, low: 1, high: inFlightMost,
	measure: func(ctx context.Context, s *Settings, x float64) (report.CurvePoint, error) {
		return InFlight(ctx, Waiting{Payments: int(x), Think: 30 * time.Second, Hold: s.duration(), Parent: s.Parent})
	}}

// Waiting says how many payments shall be in flight.
type Waiting struct {
	Payments int
	// Think is how long the bank takes at most; few payments wait shorter, so that
	// the rate does not fall below 50 per second.
	Think time.Duration
	// Hold is how long the memory is watched once they all wait.
	Hold time.Duration
	// Parent is the folder for the data.
	Parent string
}

const (
	leastRate   = 50
	settleRate  = 4_000 // of the payments that come before
	sampleEvery = 100 * time.Millisecond
	spareFiles  = 300 // files of a process beside the connections of merchants
)

// InFlight measures the memory of payments that wait for their bank.
func InFlight(ctx context.Context, w Waiting) (report.CurvePoint, error) {
	think := min(w.Think, time.Duration(float64(w.Payments)/leastRate*float64(time.Second)))
	think = max(think.Truncate(time.Millisecond), 20*time.Millisecond)
	rate := float64(w.Payments) / think.Seconds()
	connections := w.Payments + w.Payments/50 + 16
	if err := roomFor(connections); err != nil {
		return report.CurvePoint{}, err
	}
	// The response timeout of the configuration follows Delay; the banks then begin fast.
	r, err := Start(ctx, Plan{Delay: think, Links: 4, Parent: w.Parent})
	if err != nil {
		return report.CurvePoint{}, err
	}
	p, err := r.waiting(ctx, waitingRun{w, think, rate, connections})
	return p, errors.Join(err, r.Stop())
}

// waitingRun is a Waiting with what follows from it.
type waitingRun struct {
	Waiting
	think       time.Duration
	rate        float64
	connections int
}

func (r *Rig) waiting(ctx context.Context, w waitingRun) (p report.CurvePoint, err error) {
	if err := r.SetDelay(ctx, 0); err != nil {
		return p, err
	}
	// As many payments as will come later fill the journal's buffers.
	before := time.Duration((float64(w.Payments)/settleRate + 2) * float64(time.Second))
	first, err := r.Run(ctx, bench.Options{Rate: settleRate, Connections: 64, Warmup: 100 * time.Millisecond, Duration: before})
	if err != nil {
		return p, err
	}
	base, err := r.Resident()
	if err != nil {
		return p, err
	}
	if err := r.SetDelay(ctx, w.think); err != nil {
		return p, err
	}
	full := w.think + time.Second
	watching, unwatch := context.WithCancel(ctx)
	watched := make(chan []sample)
	go func() { watched <- r.watch(watching) }()
	result, err := r.Run(ctx, bench.Options{Rate: w.rate, Connections: w.connections, Warmup: full, Duration: w.Hold, Timeout: w.think + 30*time.Second})
	unwatch()
	samples := <-watched
	if err != nil {
		return p, err
	}
	resident, ok := medianBetween(samples, result.Started.Add(full), result.Started.Add(full+w.Hold))
	if !ok {
		return p, errors.New("the memory of the switch could not be read")
	}
	p = pointOf(result)
	p.Values["resident"] = float64(resident)
	p.Values["each"] = max(float64(resident-base), 0) / float64(w.Payments)
	if !first.Valid {
		p.Valid, p.Note = false, "before they wait: "+report.WhyInvalid(first)
	}
	if most := mostInFlight(result); p.Valid && float64(most) < 0.95*float64(w.Payments) {
		p.Valid, p.Note = false, fmt.Sprintf("only %d were in flight", most)
	}
	if w.think < w.Think {
		p.Note = strings.TrimPrefix(p.Note+"; the bank thinks "+w.think.String(), "; ")
	}
	return p, nil
}

// sample is the memory of the subject at one time.
type sample struct {
	at       time.Time
	resident int64
}

// watch samples the memory until ctx ends.
func (r *Rig) watch(ctx context.Context) (samples []sample) {
	next := time.NewTicker(sampleEvery)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return samples
		case at := <-next.C:
			if n, err := r.Resident(); err == nil {
				samples = append(samples, sample{at, n})
			}
		}
	}
}

// medianBetween is false when there is no sample in the time.
func medianBetween(samples []sample, from, to time.Time) (int64, bool) {
	var inside []int64
	for _, s := range samples {
		if !s.at.Before(from) && s.at.Before(to) {
			inside = append(inside, s.resident)
		}
	}
	if len(inside) == 0 {
		return 0, false
	}
	slices.Sort(inside)
	return inside[len(inside)/2], true
}

func mostInFlight(r *bench.Result) (most int) {
	for _, s := range r.Timeline {
		most = max(most, s.InFlight)
	}
	return most
}

// MostConnections is how many connections of merchants one switch and one generator
// can have on this machine, and what bounds them.
func MostConnections() (most int, bound string) {
	most, bound = generatorMost, "the generator's own bound"
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Max < uint64(most+spareFiles) {
		most, bound = int(files.Max)-spareFiles, fmt.Sprintf("the hard limit of open files, %d (RLIMIT_NOFILE, ulimit -Hn)", files.Max)
	}
	return most, bound
}

// generatorMost is the bound of bench.Options.Connections.
const generatorMost = 200_000

// roomFor says what keeps the machine from so many connections. The Go runtime has
// raised the soft limit of open files to the hard one, here and in the switch.
func roomFor(connections int) error {
	if most, bound := MostConnections(); connections > most {
		return fmt.Errorf("needs %d connections; this machine allows %d: %s", connections, most, bound)
	}
	return nil
}
