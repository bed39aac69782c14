package goals

import (
	"context"
	"fmt"
	"math"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/curves"
	"github.com/tranzit/tranzit/bench/report"
)

// operations measures what follows a payment against purchases, in turns: in the
// other subjects half of the requests are captures, cancels or refunds of payments
// made just before.
func (s *survey) operations(ctx context.Context) error {
	half := func(first, then bench.Kind) map[bench.Kind]float64 {
		return map[bench.Kind]float64{first: 50, then: 50}
	}
	followed := []struct {
		key         string
		first, then bench.Kind
	}{{captureRate, bench.Authorization, bench.Capture}, {cancelRate, bench.Purchase, bench.Cancel}, {refundRate, bench.Purchase, bench.Refund}}
	rounds := s.Rounds
	if !s.Full {
		rounds = (rounds + 1) / 2
	}
	turns := curves.Turns{Load: s.closed(), Rounds: rounds, Progress: s.Progress,
		Subjects: []curves.Subject{{Name: "purchase", Plan: curves.Plan{Parent: s.Parent}}}}
	for _, f := range followed {
		turns.Subjects = append(turns.Subjects, curves.Subject{Name: string(f.then), Plan: curves.Plan{Parent: s.Parent}, Mix: half(f.first, f.then)})
	}
	runs, err := turns.Run(ctx)
	if err != nil {
		return err
	}
	for i, f := range followed {
		var found []float64
		why := whyNone(append(runs[i+1], runs[0]...)...)
		for round, r := range runs[i+1] {
			rate := rateOf(r, f.then, runs[0][round].Achieved)
			if math.IsNaN(rate) {
				why = fmt.Sprintf("a run made no %s", f.then)
				continue
			}
			found = append(found, rate/runs[0][round].Achieved)
		}
		if len(found) == 0 {
			s.line(f.key).Reason = why
			continue
		}
		c := bench.RatioOf(found)
		s.ratio(f.key, &c, why)
		s.note(f.key, "one half of the requests; purchases %s/s in the median", report.FormatCount(median(runs[0], func(r *bench.Result) float64 { return r.Achieved })))
	}
	return nil
}

// rateOf is how many operations of a kind a second would hold, when the payments
// beside them take what they take alone. NaN: the run has none.
func rateOf(r *bench.Result, kind bench.Kind, alone float64) float64 {
	operations, payments := 0.0, 0.0
	for _, p := range r.Kinds {
		if p.Name == string(kind) {
			operations += float64(p.Payments)
		} else {
			payments += float64(p.Payments)
		}
	}
	if operations == 0 || alone <= 0 {
		return math.NaN()
	}
	left := r.Seconds - payments/alone
	if left <= 0 {
		return alone // the operations cost nothing that could be seen
	}
	return operations / left
}
