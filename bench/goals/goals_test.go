package goals

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/report"
)

// TestEveryGoalHasAPart: no goal of the table can be forgotten, and each is measured
// by one part.
func TestEveryGoalHasAPart(t *testing.T) {
	var measured []string
	for _, p := range parts {
		measured = append(measured, p.lines...)
	}
	var named []string
	for _, g := range table {
		named = append(named, g.key)
		if g.Higher != (g.Ambition > g.Gate) && g.Ambition != g.Gate {
			t.Errorf("%s: the ambition is below the gate", g.key)
		}
	}
	slices.Sort(measured)
	slices.Sort(named)
	if !slices.Equal(measured, named) {
		t.Errorf("measured %v, in the table %v", measured, named)
	}
}

// TestCodec: the message is the one that the goal names, both codecs take it, and
// nothing allocates in ours.
func TestCodec(t *testing.T) {
	d, m, body, err := authorization()
	if err != nil || len(body) != 181 || fieldsOf(m) != 19 {
		t.Fatalf("%d fields, %d bytes, %v", fieldsOf(m), len(body), err)
	}
	ours, moovs := testing.Benchmark(func(b *testing.B) { oursOnce(b, d, m) }), testing.Benchmark(func(b *testing.B) { moovOnce(b, d, m) })
	if ours.N == 0 || moovs.N == 0 || ours.AllocsPerOp() != 0 || moovs.AllocsPerOp() < 50 {
		t.Errorf("ours %v, moov %v", ours, moovs)
	}
}

// TestPartThatFails: the table is complete, the failed part gives its reason, and
// the error says that something could not be run.
func TestPartThatFails(t *testing.T) {
	saved := parts
	defer func() { parts = saved }()
	parts = slices.Clone(parts)
	for i := range parts {
		switch parts[i].name {
		case "codec":
			parts[i].measure = func(s *survey, _ context.Context) error {
				s.found(codecTime, 0.2, "")
				return errors.New("no room\non the disk")
			}
		case "latency":
			parts[i].measure = func(s *survey, _ context.Context) error {
				s.found(halfP50, 500, "the books do not agree")
				s.found(halfP99, 9000, "")
				s.note(halfP99, "at %d/s", 7)
				return nil
			}
		}
	}
	g, err := Measure(t.Context(), Options{Only: []string{"codec", "latency"}, Parent: t.TempDir()})
	if err == nil || err.Error() != "codec: no room; on the disk" {
		t.Error(err)
	}
	if len(g.Lines) != len(table) {
		t.Fatalf("%d lines", len(g.Lines))
	}
	states := map[string]report.GoalLine{}
	for i, l := range g.Lines {
		states[table[i].key] = l
	}
	for key, want := range map[string]report.State{codecTime: report.StateAmbition, codecAllocs: report.StateNotMeasured, halfP50: report.StateInvalid,
		halfP99: report.StateMissed, overload: report.StateNotMeasured} {
		if states[key].State != want {
			t.Errorf("%s: %+v", key, states[key])
		}
	}
	var text strings.Builder
	if err := g.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"codec, allocations: could not be run: no room; on the disk", "p50: the books do not agree", "p99: at 7/s", fmt.Sprintf("1 of %d goals met", len(table))} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Only: []string{"weather"}}, {Rounds: 101}, {Rounds: -1}, {Seconds: 601}} {
		if _, err := Measure(t.Context(), o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	one := func(v float64) *bench.Result { return &bench.Result{Achieved: v} }
	rate := func(r *bench.Result) float64 { return r.Achieved }
	if m := median([]*bench.Result{one(5), one(1), one(3)}, rate); m != 3 {
		t.Error(m)
	}
	if m := median([]*bench.Result{one(4), one(2)}, rate); math.Abs(m-3) > 1e-9 {
		t.Error(m)
	}
}

// TestRateOfOperations: half captures that take twice as long as a payment.
func TestRateOfOperations(t *testing.T) {
	r := &bench.Result{Seconds: 3, Kinds: []bench.Part{{Name: "authorization", Payments: 1000}, {Name: "capture", Payments: 1000}}}
	if rate := rateOf(r, bench.Capture, 1000); rate != 500 {
		t.Errorf("%g captures a second", rate)
	}
	if rate := rateOf(r, bench.Refund, 1000); !math.IsNaN(rate) {
		t.Errorf("%g refunds a second of a run without any", rate)
	}
}
