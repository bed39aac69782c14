package curves

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/report"
)

// Settings of one curve.
type Settings struct {
	// Points are the values of what varies, times in microseconds. Default: the
	// curve's own.
	Points []float64
	// Seconds each point is measured, 1..3600. Default 5.
	Seconds int
	// Connections of the closed loops. Default 256.
	Connections int
	// Rate of the open loop of think-time, payments per second. Default 1000.
	Rate float64
	// Parent is the folder for the data. Default: the system's temporary one.
	Parent string
	// Progress receives a line per point. nil: none.
	Progress io.Writer
}

// EnsureDefaults fills what is zero. The default points stay open.
func (s *Settings) EnsureDefaults() {
	if s.Seconds == 0 {
		s.Seconds = 5
	}
	if s.Connections == 0 {
		s.Connections = 256
	}
	if s.Rate == 0 {
		s.Rate = 1000
	}
	if s.Progress == nil {
		s.Progress = io.Discard
	}
}

const maxPoints = 100

// Validate names what makes no sense. REQUIRES: EnsureDefaults.
func (s *Settings) Validate() error {
	switch {
	case s.Seconds < 1 || s.Seconds > 3600:
		return errors.New("seconds: must be 1..3600")
	case len(s.Points) > maxPoints:
		return fmt.Errorf("points: at most %d", maxPoints)
	case !slices.IsSorted(s.Points):
		return errors.New("points: must rise")
	case s.Rate < 0:
		return errors.New("rate: must be positive")
	}
	return nil
}

// shape is what makes one curve differ from the others.
type shape struct {
	report.Curve // names, method, figures
	points       []float64
	low, high    float64 // bounds of a point
	measure      func(context.Context, *Settings, float64) (report.CurvePoint, error)
	// walk measures all points itself, where they build on each other.
	walk func(context.Context, *Settings, func(report.CurvePoint)) error
}

var shapes = map[string]shape{"fsync": fsyncCurve, "in-flight": inFlightCurve, "journal": journalCurve, "links": linksCurve,
	"merchants": merchantsCurve, "think-time": thinkTimeCurve}

// Names are the curves, sorted.
func Names() []string { return slices.Sorted(maps.Keys(shapes)) }

// About is what the named curve shows and how it is measured.
func About(name string) (title, method string) { return shapes[name].Title, shapes[name].Method }

// Takes says whether the points of the named curve are times.
func Takes(name string) report.Format { return shapes[name].XFormat }

// Measure measures the named curve. A point that the machine cannot carry, or that
// does not count, is in it with the reason.
func Measure(ctx context.Context, name string, s Settings) (*report.Curve, error) {
	form, ok := shapes[name]
	if !ok {
		return nil, fmt.Errorf("%q is no curve; there are %s", name, strings.Join(Names(), ", "))
	}
	s.EnsureDefaults()
	if len(s.Points) == 0 {
		s.Points = form.points
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	for _, x := range s.Points {
		if x < form.low || x > form.high {
			return nil, fmt.Errorf("points: %s must be %s..%s", form.XFormat.Text(x), form.XFormat.Text(form.low), form.XFormat.Text(form.high))
		}
	}
	c := form.Curve
	c.Kind, c.Name, c.Started, c.Machine = report.KindCurve, name, time.Now().UTC(), report.ReadMachine(s.Parent)
	add := func(p report.CurvePoint) {
		c.Points = append(c.Points, p)
		fmt.Fprintln(s.Progress, pointLine(&c, p))
	}
	if form.walk != nil {
		return &c, form.walk(ctx, &s, add)
	}
	for _, x := range s.Points {
		p, err := form.measure(ctx, &s, x)
		if ctx.Err() != nil {
			return &c, ctx.Err()
		}
		if err != nil {
			p = report.CurvePoint{Note: strings.ReplaceAll(err.Error(), "\n", "; ")}
		}
		p.X = x
		add(p)
	}
	return &c, nil
}

// pointLine is a point in one line.
func pointLine(c *report.Curve, p report.CurvePoint) string {
	line := fmt.Sprintf("%-12s %8s", c.Name, c.XFormat.Text(p.X))
	for _, f := range c.Figures {
		if v, ok := p.Values[f.Key]; ok {
			line += fmt.Sprintf("  %s %s", f.Title, f.Format.Text(v))
		}
	}
	if !p.Valid {
		line += "  DOES NOT COUNT"
	}
	if p.Note != "" {
		line += ": " + p.Note
	}
	return line
}

// The figures that most curves have.
var (
	figureRate   = report.Figure{Key: "tps", Title: "payments/s"}
	figureCPU    = report.Figure{Key: "cpu", Title: "switch CPU per payment", Format: report.FormatOfMicros}
	figureP50    = report.Figure{Key: "p50", Title: "p50", Format: report.FormatOfMicros, Plot: "Latency", Log: true}
	figureP99    = report.Figure{Key: "p99", Title: "p99", Format: report.FormatOfMicros, Plot: "Latency", Log: true}
	figureMemory = report.Figure{Key: "memory", Title: "switch memory, peak", Format: report.FormatOfBytes}
)

// pointOf takes the common figures out of a run.
func pointOf(r *bench.Result) report.CurvePoint {
	p := report.CurvePoint{Valid: r.Valid, Note: report.WhyInvalid(r),
		Values: map[string]float64{"tps": r.Achieved, "p50": r.Latency.P50, "p99": r.Latency.P99}}
	if u, ok := r.Processes["switch"]; ok {
		p.Values["cpu"], p.Values["memory"] = u.CPUPerPayment, float64(u.RSSPeak)
	}
	if r.FsyncsPerPayment != nil {
		p.Values["fsyncs"] = *r.FsyncsPerPayment
	}
	return p
}

// closed is a closed loop.
func (s *Settings) closed() bench.Options {
	return bench.Options{Connections: s.Connections, Warmup: time.Second, Duration: s.duration(), Timeout: time.Minute}
}

func (s *Settings) duration() time.Duration { return time.Duration(s.Seconds) * time.Second }

// closedPoint starts a rig, loads it in a closed loop and ends it.
func (s *Settings) closedPoint(ctx context.Context, p Plan) (report.CurvePoint, error) {
	p.Parent = s.Parent
	r, err := Start(ctx, p)
	if err != nil {
		return report.CurvePoint{}, err
	}
	result, err := r.Run(ctx, s.closed())
	if err != nil {
		return report.CurvePoint{}, errors.Join(err, r.Stop())
	}
	point := pointOf(result)
	point.Values["start"] = float64(r.StartTime().Microseconds())
	return point, r.Stop()
}
