package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tranzit/tranzit/bench"
)

// Comparison is two subjects measured in turns, with a verdict on each figure.
type Comparison struct {
	Kind    string    `json:"kind"` // KindComparison
	NameA   string    `json:"name_a"`
	NameB   string    `json:"name_b"`
	Started time.Time `json:"started"`
	Machine *Machine  `json:"machine,omitempty"`
	bench.Comparison
}

// Verdict is what an interval of a ratio allows to say about a.
type Verdict string

// The verdicts: no difference is seen when the interval holds 1.
const (
	Better       Verdict = "better"
	Worse        Verdict = "worse"
	NoDifference Verdict = "no difference seen"
	TooFew       Verdict = "too few rounds to say"
)

// fewRounds have an interval that says nothing.
const fewRounds = 4

// Judge reads the ratio a/b of so many rounds; higher says that more is better.
func Judge(r bench.Ratio, rounds int, higher bool) Verdict {
	switch {
	case rounds < fewRounds:
		return TooFew
	case r.Low > 1 == higher && (r.Low > 1 || r.High < 1):
		return Better
	case r.Low > 1 || r.High < 1:
		return Worse
	}
	return NoDifference
}

// ratioLine is one compared figure.
type ratioLine struct {
	name    string
	ratio   bench.Ratio
	verdict Verdict
}

func (c *Comparison) lines() (out []ratioLine) {
	add := func(name string, r *bench.Ratio, higher bool) {
		if r != nil && r.Median > 0 {
			out = append(out, ratioLine{name, *r, Judge(*r, len(c.A), higher)})
		}
	}
	add("payments/s", &c.Throughput, true)
	add("CPU per payment", c.SwitchCPU, false)
	add("latency p50", &c.LatencyP50, false)
	add("latency p99", &c.LatencyP99, false)
	add("allocations per payment", c.Allocations, false)
	return out
}

// WriteText prints a line per figure. Figures of rounds that do not count are
// printed and marked.
func (c *Comparison) WriteText(w io.Writer) error {
	var b bytes.Buffer
	rows := [][]string{{c.NameA + " / " + c.NameB, "ratio", "95 % interval", c.NameA + " is"}}
	for _, l := range c.lines() {
		rows = append(rows, []string{l.name, FormatRatio(l.ratio.Median), FormatRatio(l.ratio.Low) + " to " + FormatRatio(l.ratio.High), string(l.verdict)})
	}
	writeColumns(&b, rows)
	fmt.Fprintf(&b, "%d rounds in turns; every ratio is of two runs that stood next to each other.\n", len(c.A))
	if !c.Valid {
		fmt.Fprintln(&b, "INVALID: at least one round does not count")
		for i := range c.A {
			for _, side := range []struct {
				name string
				r    *bench.Result
			}{{c.NameA, c.A[i]}, {c.NameB, c.B[i]}} {
				if !side.r.Valid {
					fmt.Fprintf(&b, "  round %d, %s: %s\n", i+1, side.name, whyInvalid(side.r))
				}
			}
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// WhyInvalid says in one line why a run does not count; empty when it does.
func WhyInvalid(r *bench.Result) string {
	if r.Valid {
		return ""
	}
	return whyInvalid(r)
}

func whyInvalid(r *bench.Result) string {
	if r.Money != nil && len(r.Money.Findings) > 0 {
		return "the books do not agree: " + r.Money.Findings[0]
	}
	if len(r.Warnings) > 0 {
		return strings.Join(r.Warnings, "; ")
	}
	return "the run is marked as not valid"
}
