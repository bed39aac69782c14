package curves

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/report"
)

// Subject is one side of a comparison.
type Subject struct {
	Name string
	Plan Plan
	Mix  map[bench.Kind]float64 // nil: that of the load
}

// Turns are rounds in which every subject is measured once.
type Turns struct {
	Subjects []Subject
	// Load is what every run gets; where it goes is filled in.
	Load bench.Options
	// Rounds that count, 1..1000.
	Rounds int
	// Discard is how many rounds are run first and forgotten.
	Discard int
	// Progress receives a line per run. nil: none.
	Progress io.Writer
}

const maxRounds = 1000

// Run measures the subjects in turns: the order is reversed from round to round
// (A B B A A B ...), so that drifts of the machine cancel. Each run has a process
// and a journal of its own. The result is indexed by subject and round.
func (t *Turns) Run(ctx context.Context) ([][]*bench.Result, error) {
	if t.Rounds < 1 || t.Rounds > maxRounds || t.Discard < 0 || t.Discard > maxRounds {
		return nil, fmt.Errorf("rounds: must be 1..%d", maxRounds)
	}
	if t.Progress == nil {
		t.Progress = io.Discard
	}
	out := make([][]*bench.Result, len(t.Subjects))
	for round := range t.Discard + t.Rounds {
		for k := range t.Subjects {
			if round%2 == 1 {
				k = len(t.Subjects) - 1 - k
			}
			s := &t.Subjects[k]
			load := t.Load
			if s.Mix != nil {
				load.Mix = s.Mix
			}
			result, err := once(ctx, s.Plan, load)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", s.Name, round+1, err)
			}
			word := ""
			if round < t.Discard {
				word = ", not counted"
			} else {
				out[k] = append(out[k], result)
			}
			fmt.Fprintf(t.Progress, "round %d of %d  %-8s %s%s\n", round+1, t.Discard+t.Rounds, s.Name, Line(result), word)
		}
	}
	return out, nil
}

// once starts a subject, loads it and ends it.
func once(ctx context.Context, p Plan, load bench.Options) (*bench.Result, error) {
	r, err := Start(ctx, p)
	if err != nil {
		return nil, err
	}
	result, err := r.Run(ctx, load)
	return result, errors.Join(err, r.Stop())
}

// Line is a result in one line.
func Line(r *bench.Result) string {
	s := fmt.Sprintf("%6.0f/s  p50 %s  p99 %s", r.Achieved, report.FormatMicros(r.Latency.P50), report.FormatMicros(r.Latency.P99))
	if p, ok := r.Processes["switch"]; ok {
		s += "  CPU " + report.FormatMicros(p.CPUPerPayment)
	}
	if why := report.WhyInvalid(r); why != "" {
		s += "  DOES NOT COUNT: " + why
	}
	return s
}

// Compare measures two subjects and says which is better.
func Compare(ctx context.Context, t Turns) (*report.Comparison, error) {
	if len(t.Subjects) != 2 {
		return nil, errors.New("a comparison is of two subjects")
	}
	started := time.Now().UTC()
	runs, err := t.Run(ctx)
	if err != nil {
		return nil, err
	}
	c, err := bench.CompareResults(runs[0], runs[1])
	if err != nil {
		return nil, err
	}
	machine := report.ReadMachine(t.Subjects[0].Plan.Parent)
	return &report.Comparison{Kind: report.KindComparison, NameA: t.Subjects[0].Name, NameB: t.Subjects[1].Name, Started: started,
		Machine: &machine, Comparison: *c}, nil
}
