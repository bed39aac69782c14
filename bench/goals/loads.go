package goals

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/curves"
	"github.com/tranzit/tranzit/bench/report"
)

// floor measures the switch, the bare path and the plain stack in turns.
func (s *survey) floor(ctx context.Context) error {
	turns := curves.Turns{Load: s.closed(), Rounds: s.Rounds, Progress: s.Progress, Subjects: []curves.Subject{
		{Name: "switch", Plan: curves.Plan{Parent: s.Parent}}, {Name: "bare", Plan: curves.Plan{Kind: curves.Bare, Parent: s.Parent}},
		{Name: "plain", Plan: curves.Plan{Kind: curves.Plain, Parent: s.Parent}}}}
	runs, err := turns.Run(ctx)
	if err != nil {
		return err
	}
	ours, bare, plain := runs[0], runs[1], runs[2]
	toBare, err := bench.CompareResults(ours, bare)
	if err != nil {
		return err
	}
	toPlain, err := bench.CompareResults(ours, plain)
	if err != nil {
		return err
	}
	s.ratio(cpuToBare, toBare.SwitchCPU, whyNone(append(ours, bare...)...))
	s.ratio(rateToBare, &toBare.Throughput, whyNone(append(ours, bare...)...))
	s.ratio(rateToPlain, &toPlain.Throughput, whyNone(append(ours, plain...)...))
	rate := func(r *bench.Result) float64 { return r.Achieved }
	s.found(bareRate, median(bare, rate), whyNone(bare...))
	perPayment := func(r *bench.Result) float64 {
		if r.AllocsPerPayment == nil {
			return math.NaN()
		}
		return *r.AllocsPerPayment
	}
	if v := median(ours, perPayment); math.IsNaN(v) {
		s.line(allocations).Reason = "the switch did not tell its allocations"
	} else {
		s.found(allocations, v, whyNone(ours...))
	}
	used := func(r *bench.Result) float64 { return r.Processes["switch"].CPUPerPayment }
	s.note(cpuToBare, "switch %s, bare %s, plain %s in the median", report.FormatMicros(median(ours, used)), report.FormatMicros(median(bare, used)),
		report.FormatMicros(median(plain, used)))
	s.note(rateToBare, "switch %s/s, bare %s/s, plain %s/s in the median", report.FormatCount(median(ours, rate)), report.FormatCount(median(bare, rate)),
		report.FormatCount(median(plain, rate)))
	s.capacity = median(ours, rate)
	return nil
}

const (
	keptShare  = 0.99 // of what is offered, for a rate to be carried
	firstShare = 1.0  // of the closed loop's rate that is tried first
	lowerBy    = 0.93
	mostTries  = 4
)

// openRate looks for the rate that the switch carries in an open loop.
func (s *survey) openRate(ctx context.Context) error {
	if err := s.needCapacity(ctx); err != nil {
		return err
	}
	long := 10 * time.Second
	if s.Full {
		long = time.Minute
	} else {
		s.note(openRate, "%s instead of 60 s", long)
	}
	why := ""
	best := 0.0
	rate := s.capacity * firstShare
	for range mostTries {
		r, err := s.run(ctx, bench.Options{Rate: math.Round(rate), Poisson: true, Connections: 1024, Warmup: 2 * time.Second, Duration: long})
		if err != nil {
			return err
		}
		best = max(best, r.Achieved)
		switch why = report.WhyInvalid(r); {
		case why == "" && r.Achieved >= keptShare*r.Offered:
			s.found(openRate, r.Achieved, "")
			s.note(openRate, "p50 %s, p99 %s", report.FormatMicros(r.Latency.P50), report.FormatMicros(r.Latency.P99))
			return nil
		case why == "":
			why = fmt.Sprintf("%.0f/s were offered and %.0f/s answered", r.Offered, r.Achieved)
		}
		rate *= lowerBy
	}
	s.found(openRate, best, "no run of "+fmt.Sprint(mostTries)+" counts: "+why)
	return nil
}

// latency measures at half of what the switch can carry.
func (s *survey) latency(ctx context.Context) error {
	if err := s.needCapacity(ctx); err != nil {
		return err
	}
	r, err := s.run(ctx, bench.Options{Rate: math.Round(s.capacity / 2), Poisson: true, Connections: 512, Warmup: time.Second, Duration: s.duration() + 2*time.Second})
	if err != nil {
		return err
	}
	why := whyNone(r)
	s.found(halfP50, r.Latency.P50, why)
	s.found(halfP99, r.Latency.P99, why)
	s.note(halfP50, "at %s/s; the bank thinks 0 s, its own work is in it", report.FormatCount(r.Offered))
	return nil
}

// overload offers twice the peak, which is measured just before: the better of two
// closed loops, because more connections make larger groups.
func (s *survey) overload(ctx context.Context) error {
	var peak *bench.Result
	for _, connections := range []int{256, 1024} {
		o := s.closed()
		o.Connections = connections
		r, err := s.run(ctx, o)
		if err != nil {
			return err
		}
		if peak == nil || r.Achieved > peak.Achieved {
			peak = r
		}
	}
	if peak.Achieved <= 0 {
		return fmt.Errorf("no payment in the run for the peak: %s", report.WhyInvalid(peak))
	}
	r, err := s.run(ctx, bench.Options{Rate: math.Round(2 * peak.Achieved), Connections: 4096, Warmup: time.Second, Duration: s.duration() + 2*time.Second})
	if err != nil {
		return err
	}
	s.found(overload, r.Achieved/peak.Achieved, whyNone(peak, r))
	s.note(overload, "%s/s offered on %d connections, %s/s paid, peak %s/s", report.FormatCount(r.Offered), r.Connections, report.FormatCount(r.Achieved),
		report.FormatCount(peak.Achieved))
	return nil
}

// Sizes of the short set and of the full one.
const (
	shortWaiting = 10_000
	fullWaiting  = 100_000
	shortJournal = 150_000
	fullJournal  = 10_000_000
	shortShops   = 10_000
	fullShops    = 100_000
)

// inFlight measures the memory of payments that wait.
func (s *survey) inFlight(ctx context.Context) error {
	w := curves.Waiting{Payments: shortWaiting, Think: 5 * time.Second, Hold: 2 * time.Second, Parent: s.Parent}
	if s.Full {
		w.Payments, w.Think, w.Hold = fullWaiting, 30*time.Second, s.duration()
	}
	most, bound := curves.MostConnections()
	if room := most * 9 / 10; w.Payments > room {
		w.Payments = room
		s.note(waitingBytes, "bounded by %s", bound)
	}
	p, err := curves.InFlight(ctx, w)
	if err != nil {
		return err
	}
	why := ""
	if !p.Valid {
		why = p.Note
	}
	s.found(waitingBytes, p.Values["each"], why)
	if w.Payments < fullWaiting {
		s.note(waitingBytes, "%d in flight for %s instead of %d for 30 s", w.Payments, w.Think, fullWaiting)
	}
	return nil
}

// journal measures a journal that was filled through the switch.
func (s *survey) journal(ctx context.Context) error {
	size := shortJournal
	if s.Full {
		size = fullJournal
	} else {
		s.note(journalRate, "%d payments instead of 10 million", size)
	}
	var p report.CurvePoint
	set := &curves.Settings{Seconds: s.Seconds, Parent: s.Parent, Progress: s.Progress}
	if err := curves.GrowJournal(ctx, set, []float64{float64(size)}, func(one report.CurvePoint) { p = one }); err != nil {
		return err
	}
	why := ""
	if !p.Valid {
		why = p.Note
	}
	s.found(journalRate, p.Values["ratio"], why)
	s.found(journalStart, max(p.Values["drained"], p.Values["killed"]), why)
	s.note(journalStart, "after a drain %s, after a kill %s", report.FormatMicros(p.Values["drained"]), report.FormatMicros(p.Values["killed"]))
	return nil
}

// spread measures what more banks and more merchants cost, in turns with one of each.
func (s *survey) spread(ctx context.Context) error {
	shops := shortShops
	if s.Full {
		shops = fullShops
	} else {
		s.note(manyShops, "%d merchants instead of %d", shops, fullShops)
	}
	turns := curves.Turns{Load: s.closed(), Rounds: s.Rounds, Progress: s.Progress, Subjects: []curves.Subject{
		{Name: "one", Plan: curves.Plan{Parent: s.Parent}}, {Name: "banks", Plan: curves.Plan{Banks: 2, Parent: s.Parent}},
		{Name: "shops", Plan: curves.Plan{Merchants: shops, Parent: s.Parent}}}}
	runs, err := turns.Run(ctx)
	if err != nil {
		return err
	}
	for i, key := range []string{oneBankMore, manyShops} {
		c, err := bench.CompareResults(runs[i+1], runs[0])
		if err != nil {
			return err
		}
		s.ratio(key, c.SwitchCPU, whyNone(append(runs[i+1], runs[0]...)...))
		s.note(key, "payments/s %s of one", report.FormatRatio(c.Throughput.Median))
	}
	return nil
}
