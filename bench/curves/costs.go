package curves

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"time"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/report"
)

var (
	linksCurve = shape{Curve: report.Curve{Title: "Links to one bank", X: "links", XLog: true,
		Method:  "Closed loop; each point is a switch and a bank of its own.",
		Figures: []report.Figure{figureRate, figureCPU, figureP50, figureP99}},
		points: []float64{1, 2, 4, 8, 16, 32, 64}, low: 1, high: maxLinks,
		measure: func(ctx context.Context, s *Settings, x float64) (report.CurvePoint, error) {
			return s.closedPoint(ctx, Plan{Links: int(x)})
		}}
	merchantsCurve = shape{Curve: report.Curve{Title: "Merchants", X: "merchants in the configuration", XLog: true,
		Method: "Closed loop; the load uses at most 10,000 of the merchants, spread evenly. Start is the time from the start of the process " +
			"until it takes payments, reading the file included.",
		Figures: []report.Figure{figureRate, figureCPU, figureP50, figureP99,
			{Key: "start", Title: "start", Format: report.FormatOfMicros, Log: true}, figureMemory}},
		points: []float64{1, 10, 100, 1_000, 10_000, 100_000}, low: 1, high: maxMerchants,
		measure: func(ctx context.Context, s *Settings, x float64) (report.CurvePoint, error) {
			return s.closedPoint(ctx, Plan{Merchants: int(x)})
		}}
	thinkTimeCurve = shape{Curve: report.Curve{Title: "Think time of the bank", X: "think time", XFormat: report.FormatOfMicros,
		Method: "Open loop at a fixed rate. Added is the latency less the think time: what the switch, the bank's own work and the sockets add.",
		Figures: []report.Figure{figureRate, figureCPU, {Key: "added_p50", Title: "added p50", Format: report.FormatOfMicros, Plot: "Added latency", Log: true},
			{Key: "added_p99", Title: "added p99", Format: report.FormatOfMicros, Plot: "Added latency", Log: true}, figureMemory}},
		points: []float64{0, 1e3, 10e3, 100e3, 500e3, 1e6, 2e6}, low: 0, high: 60e6, measure: thinkTime}
	fsyncCurve = shape{Curve: report.Curve{Title: "Time of an fsync", X: "added to every fsync", XFormat: report.FormatOfMicros,
		Method: "Closed loop. The delay is injected into fsync and fdatasync of the switch with strace; the tracer's own cost is in every point, " +
			"so the first shows it and the shape counts, not the level.",
		Figures: []report.Figure{figureRate, {Key: "fsyncs", Title: "fsyncs per payment"}, figureP50, figureP99}},
		points: []float64{0, 500, 1e3, 2e3, 5e3, 10e3, 20e3}, low: 0, high: 1e6, measure: slowDisk}
)

// thinkTime keeps the rate and lets the bank take its time.
func thinkTime(ctx context.Context, s *Settings, x float64) (report.CurvePoint, error) {
	delay := time.Duration(x * 1e3)
	waiting := s.Rate * delay.Seconds()
	connections := int(waiting*1.1) + 256
	if err := roomFor(connections); err != nil {
		return report.CurvePoint{}, err
	}
	r, err := Start(ctx, Plan{Delay: delay, Parent: s.Parent})
	if err != nil {
		return report.CurvePoint{}, err
	}
	result, err := r.Run(ctx, bench.Options{Rate: s.Rate, Poisson: true, Connections: connections, Warmup: delay + time.Second,
		Duration: s.duration(), Timeout: delay + 30*time.Second})
	if err != nil {
		return report.CurvePoint{}, errors.Join(err, r.Stop())
	}
	p := pointOf(result)
	p.Values["added_p50"], p.Values["added_p99"] = max(result.Latency.P50-x, 0), max(result.Latency.P99-x, 0)
	return p, r.Stop()
}

// slowDisk lets strace delay every sync. The switch stays the direct child (-D), so
// that its CPU and its end are its own.
func slowDisk(ctx context.Context, s *Settings, x float64) (report.CurvePoint, error) {
	tracer := []string{"strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "signal=none"}
	if out, err := exec.CommandContext(ctx, "strace", append(tracer[1:len(tracer):len(tracer)], "--", "true")...).CombinedOutput(); err != nil {
		return report.CurvePoint{}, fmt.Errorf("strace does not run here (install it; the kernel must allow ptrace): %w %s", err, out)
	}
	if x > 0 {
		tracer = append(tracer, "-e", fmt.Sprintf("inject=fsync,fdatasync:delay_exit=%d", int(math.Round(x))))
	}
	return s.closedPoint(ctx, Plan{Wrap: append(tracer, "--")})
}
