package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Search looks for the highest rate at which a switch keeps its latency.
type Search struct {
	// Load says what to load and how. Rate, Poisson, Arrivals, Duration, Events and
	// Kills are set by the search.
	Load Options
	// Bound is the latency that 99 % of the requests must keep. Default 50ms.
	Bound time.Duration
	// Share of the offered rate that must be achieved, 0..1. Default 0.98.
	Share float64
	// From is the first rate. Default 1000 per second.
	From float64
	// Growth is the factor between rates while the bound holds, above 1. Default 1.5.
	Growth float64
	// Precision is how near the highest kept and the lowest missed rate must come: a
	// part of the rate, 0.01..1. Default 0.05.
	Precision float64
	// Step is the measured time at one rate. Default 4s.
	Step time.Duration
	// Overload is the multiple of the found rate that is offered at the end; less than
	// 0: none. Default 2.
	Overload float64
	// MaxRate ends the growth. Default 200,000 per second.
	MaxRate float64
}

const (
	maxSteps      = 60
	boundAttempts = 2 // a step that misses narrowly is measured again before it counts
	clearMiss     = 0.9
)

// EnsureDefaults fills what is zero.
func (s *Search) EnsureDefaults() {
	setDefault(&s.Bound, 50*time.Millisecond)
	setDefault(&s.Share, 0.98)
	setDefault(&s.From, 1000)
	setDefault(&s.Growth, 1.5)
	setDefault(&s.Precision, 0.05)
	setDefault(&s.Step, 4*time.Second)
	setDefault(&s.Overload, 2)
	setDefault(&s.MaxRate, 200_000)
}

// Validate names what makes no sense. REQUIRES: EnsureDefaults.
func (s *Search) Validate() error {
	switch {
	case s.Bound < 100*time.Microsecond || s.Bound > maxLatency:
		return fmt.Errorf("bound: must be 100us..%s", maxLatency)
	case !(s.Share > 0 && s.Share <= 1):
		return errors.New("share: must be above 0 and at most 1")
	case !(s.Growth > 1 && s.Growth <= 10):
		return errors.New("growth: must be above 1 and at most 10")
	case !(s.Precision >= 0.01 && s.Precision <= 1):
		return errors.New("precision: must be 0.01..1")
	case !(s.From > 0 && s.From <= s.MaxRate && s.MaxRate <= maxRate):
		return fmt.Errorf("rates: must be above 0 and at most %d, the first not above the last", maxRate)
	case s.Step < 100*time.Millisecond:
		return errors.New("step: must be at least 100ms")
	case !(s.Overload <= 10):
		return errors.New("overload: must be at most 10")
	}
	return nil
}

// Found is what a search found. Rates are per second.
type Found struct {
	Started time.Time `json:"started"`
	BoundUS float64   `json:"bound_us"` // of the 99th percentile
	Share   float64   `json:"share"`    // of the offered rate that had to be achieved

	// Rate is the highest that was kept; 0: none was.
	Rate float64 `json:"rate"`
	// LimitedBy says what ended the search: switch, generator, or max_rate.
	LimitedBy string `json:"limited_by"`
	// Points are all the steps by offered rate.
	Points []Point `json:"points"`
	// Overload is the step above what the switch can take; nil: there was none.
	Overload *Overloaded `json:"overload,omitempty"`
	// Valid: the books agreed after every step, and the switch was the limit.
	Valid bool `json:"valid"`
}

// What ended a search.
const (
	LimitSwitch    = "switch"
	LimitGenerator = "generator"
	LimitMaxRate   = "max_rate"
)

// Point is one step. Times are microseconds.
type Point struct {
	Offered        float64 `json:"offered"`
	Due            float64 `json:"due"` // per second, that fell due at random
	Achieved       float64 `json:"achieved"`
	P50            float64 `json:"p50_us"`
	P99            float64 `json:"p99_us"`
	Max            float64 `json:"max_us"`
	CPUPerPayment  float64 `json:"cpu_us_per_payment"` // of the switch
	GeneratorLate  float64 `json:"generator_late_p99_us"`
	GeneratorCPU   float64 `json:"generator_cpu"` // processors
	Refused        uint64  `json:"refused"`
	Kept           bool    `json:"kept"`            // bound and share held
	GeneratorBound bool    `json:"generator_bound"` // the generator was the limit: says nothing about the switch
	MoneyOK        bool    `json:"money_ok"`
}

// Overloaded compares a step above the limit with the best one.
type Overloaded struct {
	Point   Point   `json:"point"`
	Peak    float64 `json:"peak"`    // the highest rate achieved in the search
	Goodput float64 `json:"goodput"` // achieved in overload, as a part of Peak
}

// Run starts what Load says once, and loads it at one rate after another: rates grow
// by a factor until one is missed, then the gap is halved. The result of a search that
// ctx ended is what there is, with ctx's error.
func (s Search) Run(ctx context.Context) (*Found, error) {
	s.EnsureDefaults()
	if err := s.Validate(); err != nil {
		return nil, err
	}
	o := s.Load
	o.Rate, o.Poisson, o.Arrivals, o.Duration, o.Events, o.Kills = s.From, true, nil, s.Step, nil, 0
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	rig, err := startRig(ctx, &o)
	if err != nil {
		return nil, err
	}
	found := &Found{Started: time.Now().UTC(), BoundUS: float64(s.Bound.Microseconds()), Share: s.Share, Valid: true}
	err = s.climb(ctx, found, func(rate float64) (Point, error) {
		step := o
		step.Rate, step.Progress = rate, io.Discard
		r, err := rig.measure(ctx, &step)
		if err != nil {
			return Point{}, err
		}
		p := s.point(r, &step)
		fmt.Fprintf(o.Progress, "%s\n", p.text())
		return p, nil
	})
	if ended := rig.stop(); ended != nil {
		err = errors.Join(err, ended)
	}
	slices.SortStableFunc(found.Points, func(a, b Point) int { return int(a.Offered - b.Offered) })
	return found, err
}

// point judges a step.
func (s *Search) point(r *Result, o *Options) Point {
	p := Point{Offered: r.Offered, Achieved: r.Achieved, P50: r.Latency.P50, P99: r.Latency.P99, Max: r.Latency.Max,
		CPUPerPayment: r.Processes[serveName].CPUPerPayment, GeneratorLate: r.Lateness.P99, GeneratorCPU: r.Processes[generatorName].CPU,
		MoneyOK: o.SkipMoney || r.Money != nil && r.Money.OK}
	for code, n := range r.Codes {
		if code >= "300" {
			p.Refused += n
		}
	}
	p.GeneratorBound = r.GeneratorBound || p.GeneratorCPU > busyLimit*float64(o.Workers)
	// Random arrivals are a little more or fewer than planned: what fell due counts.
	p.Due = float64(r.Latency.Count) / r.Seconds
	p.Kept = p.P99 <= float64(s.Bound.Microseconds()) && p.Achieved >= s.Share*p.Due && !p.GeneratorBound
	return p
}

// climb is the search itself; step measures one rate.
func (s *Search) climb(ctx context.Context, found *Found, step func(rate float64) (Point, error)) error {
	missed := 0.0 // the lowest rate that was
	peak := 0.0
	try := func(rate float64) (p Point, err error) {
		for range boundAttempts {
			if p, err = step(rate); err != nil {
				return p, err
			}
			found.Points = append(found.Points, p)
			found.Valid = found.Valid && p.MoneyOK
			peak = max(peak, p.Achieved)
			if p.Kept {
				found.Rate = max(found.Rate, rate)
				return p, nil
			}
			if p.Achieved < clearMiss*s.Share*p.Due {
				break
			}
		}
		missed, found.LimitedBy = rate, LimitSwitch
		if p.GeneratorBound {
			found.LimitedBy = LimitGenerator
		}
		return p, nil
	}
	for rate := s.From; len(found.Points) < maxSteps && ctx.Err() == nil; {
		if _, err := try(rate); err != nil {
			return err
		}
		switch {
		case missed == 0 && found.Rate >= s.MaxRate:
			found.LimitedBy = LimitMaxRate
		case missed == 0:
			rate = min(rate*s.Growth, s.MaxRate)
			continue
		case found.Rate == 0 && missed > 1:
			rate = missed / 2 // even the first was too much
			continue
		case found.Rate > 0 && missed-found.Rate > s.Precision*found.Rate:
			rate = (found.Rate + missed) / 2
			continue
		}
		break
	}
	found.Valid = found.Valid && found.Rate > 0 && found.LimitedBy == LimitSwitch
	if s.Overload <= 0 || found.Rate == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	p, err := step(s.Overload * found.Rate)
	if err != nil {
		return err
	}
	found.Valid = found.Valid && p.MoneyOK
	peak = max(peak, p.Achieved)
	found.Overload = &Overloaded{Point: p, Peak: peak, Goodput: p.Achieved / peak}
	return nil
}

func (p *Point) text() string {
	verdict := "missed"
	switch {
	case p.GeneratorBound:
		verdict = "generator-bound"
	case p.Kept:
		verdict = "kept"
	}
	if !p.MoneyOK {
		verdict += ", MONEY DIFFERS"
	}
	return fmt.Sprintf("%9s/s offered %9s/s achieved  p50 %9s  p99 %9s  CPU %6.1f us  generator late %8s  refused %d  %s", grouped(uint64(p.Offered)),
		grouped(uint64(p.Achieved)), shortTime(p.P50), shortTime(p.P99), p.CPUPerPayment, shortTime(p.GeneratorLate), p.Refused, verdict)
}

// WriteText prints what was found for people.
func (f *Found) WriteText(w io.Writer) error {
	var b bytes.Buffer
	for i := range f.Points {
		fmt.Fprintln(&b, f.Points[i].text())
	}
	if f.Overload != nil {
		fmt.Fprintf(&b, "%s, overload\n", f.Overload.Point.text())
	}
	fmt.Fprintf(&b, "\nHighest rate  %s/s with p99 <= %s and %.0f %% achieved; limited by the %s\n", grouped(uint64(f.Rate)), shortTime(f.BoundUS),
		100*f.Share, f.LimitedBy)
	if f.Overload != nil {
		fmt.Fprintf(&b, "Overload      %s/s offered, %s/s achieved: %.1f %% of the peak of %s/s\n", grouped(uint64(f.Overload.Point.Offered)),
			grouped(uint64(f.Overload.Point.Achieved)), 100*f.Overload.Goodput, grouped(uint64(f.Overload.Peak)))
		if f.Overload.Point.GeneratorBound {
			fmt.Fprintln(&b, "              the generator was the limit there: it says nothing about the switch")
		}
	}
	if !f.Valid {
		fmt.Fprintln(&b, "INVALID       books differ after a step, or the switch was not the limit")
	}
	_, err := w.Write(b.Bytes())
	return err
}
