package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tranzit/tranzit/bench"
)

// Kinds of documents, as their field "kind" says. A run has none.
const (
	KindCurve      = "curve"
	KindGoals      = "goals"
	KindComparison = "comparison"
)

// Curve is how figures depend on one cost: one point per value.
type Curve struct {
	Kind    string    `json:"kind"` // KindCurve
	Name    string    `json:"name"`
	Title   string    `json:"title"`
	Started time.Time `json:"started"`
	Machine Machine   `json:"machine"`
	Method  string    `json:"method"` // how it was measured, for people
	X       string    `json:"x"`      // what varies, with its unit
	XFormat Format    `json:"x_format"`
	XLog    bool      `json:"x_log"`
	// Figures name the values of the points, in the order in which they are shown.
	Figures []Figure     `json:"figures"`
	Points  []CurvePoint `json:"points"`
	Notes   []string     `json:"notes,omitempty"` // what bounded it
}

// Format says how a value is written.
type Format string

// The ways to write a value. The zero value is FormatOfCount.
const (
	FormatOfCount  Format = "count"
	FormatOfMicros Format = "micros"
	FormatOfBytes  Format = "bytes"
	FormatOfRatio  Format = "ratio"
)

// Text writes a value.
func (f Format) Text(v float64) string {
	switch f {
	case FormatOfMicros:
		return FormatMicros(v)
	case FormatOfBytes:
		return FormatBytes(v)
	case FormatOfRatio:
		return FormatRatio(v)
	}
	return FormatCount(v)
}

// Figure is one measured quantity of a curve.
type Figure struct {
	Key    string `json:"key"`
	Title  string `json:"title"`
	Format Format `json:"format"`
	// Plot groups figures: those with the same words are drawn in one picture. Empty:
	// the figure has a picture of its own.
	Plot string `json:"plot,omitempty"`
	Log  bool   `json:"log,omitempty"`
}

// CurvePoint is what was measured at one value of X. A point that does not count
// is listed with the reason and not drawn.
type CurvePoint struct {
	X      float64            `json:"x"`
	Values map[string]float64 `json:"values,omitempty"`
	Valid  bool               `json:"valid"`
	Note   string             `json:"note,omitempty"`
}

// document is one file given to the report. Exactly one pointer is set.
type document struct {
	name       string
	run        *bench.Result
	comparison *Comparison
	curve      *Curve
	goals      *Goals
	search     *search
}

// maxFile bounds a document, in bytes.
const maxFile = 256 << 20

// parseDocuments tells what a file holds: documents one after another, or lists of
// them.
func parseDocuments(name string, text []byte) (out []document, err error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	var parts []json.RawMessage
	for dec := json.NewDecoder(bytes.NewReader(text)); ; {
		var part json.RawMessage
		if err := dec.Decode(&part); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		var list []json.RawMessage
		if json.Unmarshal(part, &list) == nil {
			parts = append(parts, list...)
		} else {
			parts = append(parts, part)
		}
	}
	for i, part := range parts {
		called := name
		if len(parts) > 1 {
			called = fmt.Sprintf("%s, %d", name, i+1)
		}
		d, err := parseDocument(called, part)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// Runs are the runs that a file holds, one after another or as a list. Of a
// comparison they are those of its first subject.
func Runs(f File) (out []*bench.Result, err error) {
	all, err := parseDocuments(f.Name, f.Text)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		switch {
		case d.run != nil:
			out = append(out, d.run)
		case d.comparison != nil:
			out = append(out, d.comparison.A...)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: holds no run", f.Name)
	}
	return out, nil
}

func parseDocument(name string, text []byte) (document, error) {
	d := document{name: name}
	var probe struct {
		Kind       string
		Mode       string
		Latency    json.RawMessage
		Throughput json.RawMessage
		Bound      float64 `json:"bound_us"`
	}
	if err := json.Unmarshal(text, &probe); err != nil {
		return d, fmt.Errorf("%s: %w", name, err)
	}
	var into any
	switch {
	case probe.Kind == KindCurve:
		d.curve = new(Curve)
		into = d.curve
	case probe.Kind == KindGoals:
		d.goals = new(Goals)
		into = d.goals
	case probe.Kind == KindComparison || probe.Kind == "" && probe.Throughput != nil:
		d.comparison = new(Comparison)
		into = d.comparison
	case probe.Kind == "" && probe.Bound > 0:
		d.search = new(search)
		into = d.search
	case probe.Kind == "" && probe.Mode != "" && probe.Latency != nil:
		d.run = new(bench.Result)
		into = d.run
	default:
		return d, fmt.Errorf("%s: %w", name, errors.New("this is no result of tranzit bench"))
	}
	if err := json.Unmarshal(text, into); err != nil {
		return d, fmt.Errorf("%s: %w", name, err)
	}
	if d.comparison != nil && slices.Contains(slices.Concat(d.comparison.A, d.comparison.B), nil) {
		return d, fmt.Errorf("%s: a round is missing", name)
	}
	return d, nil
}
