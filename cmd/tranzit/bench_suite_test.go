package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/report"
)

// tranzit runs a command of the program in this process; the children that it
// starts are this test binary.
func tranzit(t *testing.T, line ...string) (out []byte, err error) {
	t.Helper()
	c := rootCommand()
	var said bytes.Buffer
	c.SetArgs(line)
	c.SetOut(&said)
	c.SetErr(io.Discard)
	err = c.ExecuteContext(t.Context())
	return said.Bytes(), err
}

// TestBenchCompareAndReport: the real switch against itself, saved, read again and
// drawn.
func TestBenchCompareAndReport(t *testing.T) {
	dir := t.TempDir()
	text, err := tranzit(t, "bench", "compare", "this", "bare", "--rounds", "1", "--discard", "0", "-c", "8", "-d", "1s", "--warmup", "50ms", "--data", dir, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var c report.Comparison
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	if !c.Valid || c.SwitchCPU == nil || c.A[0].Money == nil || !c.A[0].Money.OK || c.A[0].Payments == 0 || c.B[0].Payments == 0 {
		t.Errorf("%s", text)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	saved, page := filepath.Join(dir, "c.json"), filepath.Join(dir, "r.html")
	if err := os.WriteFile(saved, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err = tranzit(t, "bench", "compare", saved, saved); err != nil || !strings.Contains(string(text), "too few rounds to say") {
		t.Errorf("%s %v", text, err)
	}
	if _, err := tranzit(t, "bench", "report", "-o", page, saved); err != nil {
		t.Fatal(err)
	}
	if html, err := os.ReadFile(page); err != nil || !bytes.Contains(html, []byte("this against bare")) {
		t.Error(err)
	}
	for _, line := range [][]string{{"bench", "compare", "this"}, {"bench", "compare", "this", saved}, {"bench", "compare", "this", filepath.Join(dir, "none")}, {"bench", "report"}} {
		if _, err := tranzit(t, line...); err == nil || !isUsage(err) {
			t.Errorf("%v: %v, want wrong usage", line, err)
		}
	}
	if _, err := tranzit(t, "bench", "report", "-o", page, page); err == nil || isUsage(err) || !strings.Contains(err.Error(), "r.html") {
		t.Errorf("a page as a result: %v", err)
	}
}

// TestBenchCurves measures small curves with the real processes; every point has
// the figures that the curve names, and the books agree. A generator that a busy
// machine made late says so, and is no fault here.
func TestBenchCurves(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, points string
		want         int
	}{{"links", "1,2", 2}, {"in-flight", "20", 1}, {"journal", "50", 1}} {
		out := filepath.Join(dir, c.name+".json")
		if _, err := tranzit(t, "bench", "curve", c.name, "--points", c.points, "--seconds", "1", "-c", "8", "--data", dir, "-o", out); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		var curve report.Curve
		if err := json.Unmarshal(text, &curve); err != nil {
			t.Fatal(err)
		}
		if len(curve.Points) != c.want || curve.Name != c.name {
			t.Errorf("%s: %s", c.name, text)
		}
		for _, p := range curve.Points {
			for _, f := range curve.Figures {
				sound := p.Valid || strings.HasPrefix(p.Note, "the generator")
				if v, ok := p.Values[f.Key]; !ok || v < 0 || v == 0 && f.Key != "each" || !sound {
					t.Errorf("%s at %g: %s is %g, %v %s", c.name, p.X, f.Key, v, p.Valid, p.Note)
				}
			}
		}
		if _, err := tranzit(t, "bench", "report", "-o", filepath.Join(dir, "r.html"), out); err != nil {
			t.Error(err)
		}
	}
	for _, line := range [][]string{{"bench", "curve"}, {"bench", "curve", "weather"}, {"bench", "curve", "links", "--points", "x"}, {"bench", "curve", "fsync", "--points", "5"}} {
		if _, err := tranzit(t, line...); err == nil || !isUsage(err) {
			t.Errorf("%v: %v, want wrong usage", line, err)
		}
	}
}

func TestPointOf(t *testing.T) {
	for text, want := range map[string]float64{"1000": 1000, "10k": 10_000, "1e6": 1e6, "2M": 2e6, "1.5k": 1500} {
		if v, err := pointOf(text, report.FormatOfCount); err != nil || v != want {
			t.Errorf("%s: %g %v", text, v, err)
		}
	}
	for text, want := range map[string]float64{"0": 0, "500us": 500, "2s": 2e6} {
		if v, err := pointOf(text, report.FormatOfMicros); err != nil || v != want {
			t.Errorf("%s: %g %v", text, v, err)
		}
	}
}

// TestBenchGoals runs one part with the real processes: three subjects in turns. The
// missed goals of a busy machine are no error.
func TestBenchGoals(t *testing.T) {
	text, err := tranzit(t, "bench", "goals", "--only", "floor", "--rounds", "1", "--seconds", "1", "--data", t.TempDir(), "--json")
	if err != nil {
		t.Fatal(err)
	}
	var g report.Goals
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	measured := 0
	for _, l := range g.Lines {
		if l.Value == nil {
			continue
		}
		measured++
		if *l.Value <= 0 || l.Invalid || l.State == report.StateNotMeasured {
			t.Errorf("%+v", l)
		}
	}
	if measured != 5 || len(g.Lines) < 15 {
		t.Errorf("%d of %d measured\n%s", measured, len(g.Lines), text)
	}
	if _, err := tranzit(t, "bench", "goals", "--only", "weather"); err == nil || !strings.Contains(err.Error(), "weather") {
		t.Error(err)
	}
}

// TestBenchWebhooks: a round on real processes delivers what it made.
func TestBenchWebhooks(t *testing.T) {
	dir := t.TempDir()
	text, err := tranzit(t, "bench", "webhooks", "--rounds", "1", "--dead", "2", "-c", "8", "-d", "700ms", "--data", dir, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var found bench.WebhookResult
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	r := found.Rounds[0]
	if r.Alone.Rate <= 0 || r.Dead.Rate <= 0 || r.Prompt.Rate <= 0 || r.Dead.CPU <= 0 || r.Events == 0 || found.Webhooks <= 0 || found.CPU <= 0 || found.Unharmed <= 0 {
		t.Errorf("%s", text)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// TestBenchCabinet: people sign in and look at the cabinet of a switch under load.
func TestBenchCabinet(t *testing.T) {
	text, err := tranzit(t, "bench", "cabinet", "--rounds", "3", "-d", "500ms", "-c", "4", "--people", "30", "--data", t.TempDir(), "--json")
	if err != nil {
		t.Fatal(err)
	}
	var found bench.CabinetResult
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	pages := int64(0)
	for _, r := range found.Rounds {
		pages += r.Pages
		if r.Alone.Rate <= 0 || r.Browsed.Rate <= 0 || r.Alone.CPU <= 0 {
			t.Errorf("%+v", r)
		}
	}
	if len(found.Rounds) == 0 || pages == 0 || found.Rate.Median <= 0 || found.Met != (found.Rate.Median >= 0.98) {
		t.Errorf("%d pages: %s", pages, text)
	}
}
