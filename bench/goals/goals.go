// Package goals measures the goals of the payment path on this machine, in one set
// of runs, and says of each whether it is met. A goal without a figure that counts
// is in the table with the reason.
package goals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/curves"
	"github.com/tranzit/tranzit/bench/report"
)

// Options of a measurement.
type Options struct {
	// Full measures what the goals ask for: 60 s at a rate, 100,000 in flight, a journal
	// of 10 million payments, 100,000 merchants. Else smaller ones, which the lines say.
	Full bool
	// Only are the names of the parts to measure; the other goals are not measured.
	// Default: all.
	Only []string
	// Rounds of the comparisons, 1..100. Default 4, with Full 10.
	Rounds int
	// Seconds of a run, 1..600. Default 3, with Full 10.
	Seconds int
	// Parent is the folder for the data. Default: the system's temporary one.
	Parent string
	// Progress receives a line per run. nil: none.
	Progress io.Writer
}

// EnsureDefaults fills what is zero.
func (o *Options) EnsureDefaults() {
	rounds, seconds := 4, 3
	if o.Full {
		rounds, seconds = 10, 10
	}
	if o.Rounds == 0 {
		o.Rounds = rounds
	}
	if o.Seconds == 0 {
		o.Seconds = seconds
	}
	if len(o.Only) == 0 {
		o.Only = Parts()
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
}

// Validate names what makes no sense. REQUIRES: EnsureDefaults.
func (o *Options) Validate() error {
	for _, name := range o.Only {
		if !slices.Contains(Parts(), name) {
			return fmt.Errorf("only: %q is none of %s", name, strings.Join(Parts(), ", "))
		}
	}
	if o.Rounds < 1 || o.Rounds > 100 || o.Seconds < 1 || o.Seconds > 600 {
		return errors.New("rounds: must be 1..100; seconds: must be 1..600")
	}
	return nil
}

// part measures some of the goals; the others of its lines stay without a figure.
type part struct {
	name    string
	lines   []string // keys of the goals it measures
	measure func(*survey, context.Context) error
}

var parts = []part{
	{"floor", []string{cpuToBare, rateToBare, rateToPlain, bareRate, allocations}, (*survey).floor},
	{"rate", []string{openRate}, (*survey).openRate},
	{"codec", []string{codecTime, codecAllocs, codecToMoov}, (*survey).codec},
	{"latency", []string{halfP50, halfP99}, (*survey).latency},
	{"overload", []string{overload}, (*survey).overload},
	{"in-flight", []string{waitingBytes}, (*survey).inFlight},
	{"journal", []string{journalRate, journalStart}, (*survey).journal},
	{"spread", []string{oneBankMore, manyShops}, (*survey).spread},
	{"operations", []string{captureRate, cancelRate, refundRate}, (*survey).operations},
}

// Parts are the names of the parts, in the order in which they are measured.
func Parts() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// survey is a measurement on its way.
type survey struct {
	Options
	lines    []report.GoalLine
	byKey    map[string]int
	capacity float64 // payments/s of a closed loop, once it is known
}

// Measure measures the goals. The table is complete in any case; the error says
// which parts could not be run. Goals that are missed are no error.
func Measure(ctx context.Context, o Options) (*report.Goals, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	started := time.Now()
	s := newSurvey(o)
	var errs []error
	for _, p := range parts {
		if !slices.Contains(o.Only, p.name) {
			continue
		}
		fmt.Fprintf(o.Progress, "-- %s\n", p.name)
		err := p.measure(s, ctx)
		if err != nil {
			s.without(p, "could not be run: "+oneLine(err))
			errs = append(errs, fmt.Errorf("%s: %s", p.name, oneLine(err)))
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	g := &report.Goals{Kind: report.KindGoals, Started: started.UTC(), Machine: report.ReadMachine(o.Parent), Lines: s.lines,
		Seconds: time.Since(started).Seconds()}
	g.Judge()
	return g, errors.Join(errs...)
}

func newSurvey(o Options) *survey {
	s := &survey{Options: o, byKey: map[string]int{}}
	for _, g := range table {
		s.byKey[g.key] = len(s.lines)
		s.lines = append(s.lines, g.GoalLine)
	}
	return s
}

func oneLine(err error) string { return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ") }

// without gives the reason to the goals of a part that have no figure yet.
func (s *survey) without(p part, reason string) {
	for _, key := range p.lines {
		if l := s.line(key); l.Value == nil && l.Reason == "" {
			l.Reason = reason
		}
	}
}

func (s *survey) line(key string) *report.GoalLine { return &s.lines[s.byKey[key]] }

// found enters a figure that counts unless why is given.
func (s *survey) found(key string, value float64, why string) {
	l := s.line(key)
	l.Value, l.Invalid, l.Reason = &value, why != "", why
}

// ratio enters a ratio with its interval.
func (s *survey) ratio(key string, r *bench.Ratio, why string) {
	if r == nil {
		s.line(key).Reason = "it was not measured in every round"
		return
	}
	s.found(key, r.Median, why)
	l := s.line(key)
	if s.Rounds > 1 {
		l.Low, l.High = &r.Low, &r.High
	}
}

func (s *survey) note(key, format string, args ...any) {
	l := s.line(key)
	l.Note = strings.TrimPrefix(l.Note+"; "+fmt.Sprintf(format, args...), "; ")
}

func (s *survey) duration() time.Duration { return time.Duration(s.Seconds) * time.Second }

// closed is the closed loop of the goals.
func (s *survey) closed() bench.Options {
	return bench.Options{Connections: 256, Warmup: time.Second, Duration: s.duration()}
}

// run is one run of a switch of its own.
func (s *survey) run(ctx context.Context, o bench.Options) (*bench.Result, error) {
	r, err := curves.Start(ctx, curves.Plan{Parent: s.Parent})
	if err != nil {
		return nil, err
	}
	result, err := r.Run(ctx, o)
	if err == nil {
		fmt.Fprintf(s.Progress, "offered %6.0f/s  %s\n", result.Offered, curves.Line(result))
	}
	return result, errors.Join(err, r.Stop())
}

// needCapacity finds out what the switch can do, unless a part before has.
func (s *survey) needCapacity(ctx context.Context) error {
	if s.capacity > 0 {
		return nil
	}
	r, err := s.run(ctx, s.closed())
	if err != nil {
		return err
	}
	if !r.Valid || r.Achieved <= 0 {
		return fmt.Errorf("finding the capacity: %s", report.WhyInvalid(r))
	}
	s.capacity = r.Achieved
	return nil
}

// whyNone is empty when every run counts.
func whyNone(runs ...*bench.Result) string {
	for _, r := range runs {
		if why := report.WhyInvalid(r); why != "" {
			return why
		}
	}
	return ""
}

// median of a figure of several runs; 0 without one.
func median(runs []*bench.Result, figure func(*bench.Result) float64) float64 {
	var v []float64
	for _, r := range runs {
		v = append(v, figure(r))
	}
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
