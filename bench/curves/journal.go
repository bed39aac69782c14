package curves

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/report"
)

var journalCurve = shape{Curve: report.Curve{Title: "Length of the journal", X: "payments in the journal", XLog: true,
	Method: "One journal is filled through the switch, by payments over HTTP to a bank, and grows from point to point. At each point it is " +
		"measured in turns with an empty one, closed loop; nothing else runs meanwhile. Restart is the time from the start of the process until it takes payments.",
	Figures: []report.Figure{figureRate, {Key: "empty", Title: "payments/s, empty journal", Plot: ""},
		{Key: "ratio", Title: "payments/s against an empty journal", Format: report.FormatOfRatio},
		{Key: "drained", Title: "restart after a drain", Format: report.FormatOfMicros, Plot: "Restart"},
		{Key: "killed", Title: "restart after a kill", Format: report.FormatOfMicros, Plot: "Restart"},
		{Key: "disk", Title: "disk per payment", Format: report.FormatOfBytes}, figureCPU}},
	points: []float64{1e4, 1e5, 1e6}, low: 1, high: 1e9,
	walk: func(ctx context.Context, s *Settings, add func(report.CurvePoint)) error {
		return GrowJournal(ctx, s, s.Points, add)
	}}

// fillSlice bounds one filling run, so that a signal is obeyed in time.
const fillSlice = 30 * time.Second

// growth is one journal on its way through the points.
type growth struct {
	*Settings
	grown *Rig
	held  float64 // payments in the journal, at least
}

// GrowJournal fills one journal to each of the points, which rise, and measures it
// there. X of a point is what the journal really held, which may be a little more.
func GrowJournal(ctx context.Context, s *Settings, points []float64, add func(report.CurvePoint)) (err error) {
	s.EnsureDefaults()
	g := &growth{Settings: s}
	if g.grown, err = Start(ctx, Plan{Parent: s.Parent}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.grown.Stop()) }()
	for _, x := range points {
		if err := g.fill(ctx, x); err != nil {
			return err
		}
		held := g.held
		p, err := g.point(ctx)
		if err != nil {
			return err
		}
		p.X = held
		add(p)
	}
	return nil
}

// fill drives payments through the switch until the journal holds x of them.
func (g *growth) fill(ctx context.Context, x float64) error {
	guess := x // the first slice is at most a second and tells the rate
	for g.held < x {
		o := g.closed()
		o.Warmup = 10 * time.Millisecond
		o.Duration = time.Duration(min(max((x-g.held)/guess, 0.2), fillSlice.Seconds()) * float64(time.Second))
		r, err := g.grown.Run(ctx, o)
		if err != nil {
			return err
		}
		if r.Payments == 0 || r.Money == nil || !r.Money.OK {
			return fmt.Errorf("filling the journal: %s", report.WhyInvalid(r))
		}
		g.held += float64(r.Money.Merchants.Approved)
		guess = max(r.Achieved, 100)
		fmt.Fprintf(g.Progress, "journal: %.0f of %.0f payments, %.0f/s\n", g.held, x, r.Achieved)
	}
	return nil
}

// point measures grown, empty, empty, grown, with a restart of each kind between.
func (g *growth) point(ctx context.Context) (p report.CurvePoint, err error) {
	var grown, empty []*bench.Result
	starts := map[string]time.Duration{}
	onGrown := func() error {
		r, err := g.grown.Run(ctx, g.closed())
		if err == nil {
			grown = append(grown, r)
			g.held += float64(r.Payments)
		}
		return err
	}
	down := func(how string, kill bool) error {
		if err := g.grown.Down(kill); err != nil {
			return err
		}
		r, err := once(ctx, Plan{Parent: g.Parent}, g.closed())
		if err != nil {
			return err
		}
		empty = append(empty, r)
		err = g.grown.Up(ctx)
		if err == nil {
			starts[how] = g.grown.StartTime()
		}
		return err
	}
	size, held := int64(0), g.held
	for _, step := range []func() error{
		func() (err error) { size, err = g.grown.DiskBytes(); return err },
		onGrown, func() error { return down("drained", false) }, func() error { return down("killed", true) }, onGrown,
	} {
		if err := step(); err != nil {
			return p, err
		}
	}
	p = pointOf(grown[0])
	ratio := 0.0
	for i := range grown {
		for _, r := range []*bench.Result{grown[i], empty[i]} {
			if !r.Valid {
				p.Valid, p.Note = false, report.WhyInvalid(r)
			}
		}
	}
	rate, bar := (grown[0].Achieved+grown[1].Achieved)/2, (empty[0].Achieved+empty[1].Achieved)/2
	if bar > 0 {
		ratio = rate / bar
	}
	p.Values["tps"], p.Values["empty"], p.Values["ratio"] = rate, bar, ratio
	p.Values["disk"] = float64(size) / held
	for how, took := range starts {
		p.Values[how] = float64(took.Microseconds())
	}
	return p, nil
}
