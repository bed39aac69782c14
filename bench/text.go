package bench

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteText prints the result for people.
func (r *Result) WriteText(w io.Writer) error {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if r.Scenario != "" {
		p("Scenario     %s", r.Scenario)
	}
	p("Load         %s, %d connections, %d workers, %.1fs measured", r.Mode, r.Connections, r.Workers, r.Seconds)
	p("Offered      %.0f/s", r.Offered)
	p("Achieved     %.0f payments/s (%d)", r.Achieved, r.Payments)
	p("Latency      p50 %s  p90 %s  p99 %s  p99.9 %s  p99.99 %s  max %s  mean %s", shortTime(r.Latency.P50), shortTime(r.Latency.P90),
		shortTime(r.Latency.P99), shortTime(r.Latency.P999), shortTime(r.Latency.P9999), shortTime(r.Latency.Max), shortTime(r.Latency.Mean))
	if r.Mode == "closed" {
		p("             closed loop: a stall delays only the requests in flight, so these are flattering")
	} else {
		p("             from the moment a request was due")
		p("Generator    late p50 %s  p99 %s  max %s; %d waited for a connection, %d never sent", shortTime(r.Lateness.P50),
			shortTime(r.Lateness.P99), shortTime(r.Lateness.Max), r.Starved, r.Dropped)
	}
	p("HTTP         %s", tally(r.Codes))
	p("Payments     %s", tally(r.Statuses))
	if len(r.Problems) > 0 {
		p("Refusals     %s", tally(r.Problems))
	}
	if len(r.Losses) > 0 {
		p("No answer    %s", tally(r.Losses))
	}
	if r.Duplicates > 0 {
		p("Duplicates   %d sent, %d answers replayed", r.Duplicates, r.Replayed)
	}
	if r.Retries > 0 {
		p("Repeats      %d requests without an answer were sent once more", r.Retries)
	}
	for _, list := range []struct {
		title string
		parts []Part
	}{{"Phase", r.Phases}, {"Bank", r.Banks}, {"Kind", r.Kinds}} {
		for i := range list.parts {
			list.parts[i].text(list.title, p)
		}
	}
	for _, h := range r.Events {
		p("Event        %s", h.text())
	}
	for _, name := range slices.Sorted(maps.Keys(r.Processes)) {
		u := r.Processes[name]
		p("%-12s %.1f us CPU per payment, %.2f processors, peak %.0f MiB", name, u.CPUPerPayment, u.CPU, float64(u.RSSPeak)/(1<<20))
	}
	if r.FsyncsPerPayment != nil {
		p("Fsyncs       %.4f per payment", *r.FsyncsPerPayment)
	}
	if r.AllocsPerPayment != nil {
		p("Allocations  %.1f per payment", *r.AllocsPerPayment)
	}
	if r.Money != nil {
		r.Money.text(p)
	}
	for _, warning := range r.Warnings {
		p("Warning      %s", warning)
	}
	if !r.Valid {
		p("INVALID      the figures of this run do not count")
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (p *Part) text(title string, print func(string, ...any)) {
	print("%-12s %s: %d due, %d payments, %d refused, %d lost; payments p50 %s  p99 %s  max %s", title, p.Name, p.Due, p.Payments, p.Refused,
		p.Lost, shortTime(p.Good.P50), shortTime(p.Good.P99), shortTime(p.Good.Max))
}

func (m *MoneyCheck) text(p func(string, ...any)) {
	if m.OK {
		p("Money        the books agree: %d approvals, %d minor units", m.Merchants.Approved, m.Merchants.ApprovedAmount)
	}
	for _, f := range m.Findings {
		p("MONEY        %s", f)
	}
}

func tally(counts map[string]uint64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		label := name
		if label == "" {
			label = "(none)"
		}
		parts = append(parts, fmt.Sprintf("%s %d", label, counts[name]))
	}
	return strings.Join(parts, "  ")
}

// WriteBenchmark prints one line in the form of a Go benchmark, so that benchstat
// can compare runs. name has no spaces.
func (r *Result) WriteBenchmark(w io.Writer, name string) error {
	perPayment := 0.0
	if r.Achieved > 0 {
		perPayment = 1e9 / r.Achieved
	}
	line := fmt.Sprintf("Benchmark%s\t%d\t%.1f ns/op\t%.1f payments/s\t%.1f p50-us\t%.1f p99-us", name, max(r.Payments, 1),
		perPayment, r.Achieved, r.Latency.P50, r.Latency.P99)
	if s, ok := r.Processes[serveName]; ok {
		line += fmt.Sprintf("\t%.2f switch-us/payment", s.CPUPerPayment)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}
