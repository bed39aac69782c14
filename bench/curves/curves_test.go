package curves

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/bare"
	"github.com/tranzit/tranzit/bench/report"
)

// TestMain makes the test binary the program that a rig starts: the bare path and
// its echo, or a subject that breaks.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "bank" {
		fmt.Fprintln(os.Stderr, "this program has no bank")
		os.Exit(1)
	}
	if len(os.Args) > 2 && os.Args[1] == "bench" {
		os.Exit(subjectMain(os.Args[2], os.Args[3:]))
	}
	os.Exit(m.Run())
}

func subjectMain(kind string, line []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	f := flag.NewFlagSet(kind, flag.ContinueOnError)
	listen, dir, echo := f.String("listen", "", ""), f.String("dir", "", ""), f.String("echo", "", "")
	if f.Parse(line) != nil {
		return 2
	}
	var end interface{ Close() error }
	var err error
	switch kind {
	case "echo":
		end, err = bare.StartEcho(*listen)
	case "bare":
		end, err = bare.Start(bare.Options{Listen: *listen, Dir: *dir, Echo: *echo})
	}
	if err != nil || end == nil {
		fmt.Fprintln(os.Stderr, kind, err)
		return 1
	}
	<-ctx.Done()
	if end.Close() != nil {
		return 1
	}
	return 0
}

func leftOver(t *testing.T, parent string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(parent, "*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}

var quick = bench.Options{Connections: 8, Warmup: 20 * time.Millisecond, Duration: 150 * time.Millisecond}

// TestTurns: two subjects in turns, each with a process and a journal of its own.
func TestTurns(t *testing.T) {
	parent := t.TempDir()
	var said strings.Builder
	side := func(name string) Subject { return Subject{Name: name, Plan: Plan{Kind: Bare, Parent: parent}} }
	c, err := Compare(t.Context(), Turns{Subjects: []Subject{side("first"), side("second")}, Load: quick, Rounds: 2, Discard: 1, Progress: &said})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.A) != 2 || len(c.B) != 2 || !c.Valid || c.Throughput.Median <= 0 || c.SwitchCPU == nil || c.Machine.Fsync == nil || c.NameB != "second" {
		t.Errorf("%+v", c)
	}
	var order []string
	for line := range strings.Lines(said.String()) {
		order = append(order, strings.Fields(line)[4])
	}
	if got := strings.Join(order, " "); got != "first second second first first second" {
		t.Errorf("the order is %s", got)
	}
	if n := strings.Count(said.String(), "not counted"); n != 2 {
		t.Errorf("%d runs are not counted", n)
	}
	if c.A[0].Processes["switch"].PID == c.A[1].Processes["switch"].PID {
		t.Error("two rounds share a process")
	}
	leftOver(t, parent)
}

// TestBrokenSubject: a subject that does not start is an error that repeats what it
// said, and nothing is left.
func TestBrokenSubject(t *testing.T) {
	parent := t.TempDir()
	_, err := Start(t.Context(), Plan{Parent: parent})
	if err == nil || !strings.Contains(err.Error(), "bank did not start") || !strings.Contains(err.Error(), "this program has no bank") {
		t.Error(err)
	}
	leftOver(t, parent)
	for _, p := range []Plan{{Kind: "x"}, {Merchants: 1 << 21}, {Links: 65}, {Banks: 3}, {Delay: -1}, {Merchants: 2, Keys: 3}} {
		if r, err := Start(t.Context(), p); err == nil {
			t.Errorf("%+v starts", p)
			_ = r.Stop()
		}
	}
}

func TestRestart(t *testing.T) {
	r, err := Start(t.Context(), Plan{Kind: Bare, Parent: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for _, kill := range []bool{false, true} {
		if err := r.Down(kill); err != nil {
			t.Error(err)
		}
		if err := r.Up(t.Context()); err != nil || r.StartTime() <= 0 {
			t.Fatal(err)
		}
	}
	if n, err := r.Resident(); err != nil || n < 1<<20 {
		t.Errorf("%d %v", n, err)
	}
	if n, err := r.DiskBytes(); err != nil || n <= 0 {
		t.Errorf("%d %v", n, err)
	}
	result, err := r.Run(t.Context(), quick)
	if err != nil || report.WhyInvalid(result) != "" {
		t.Error(err, result)
	}
}

func TestMeasureRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		s    Settings
		want string
	}{
		{"weather", Settings{}, "there are fsync, in-flight, journal, links, merchants, think-time"},
		{"links", Settings{Points: []float64{2, 1}}, "must rise"}, {"links", Settings{Points: []float64{65}}, "1..64"},
		{"think-time", Settings{Points: []float64{-1}}, "must be 0..60 s"}, {"links", Settings{Seconds: -1}, "seconds"}, {"links", Settings{Rate: -1}, "rate"},
	} {
		if _, err := Measure(t.Context(), c.name, c.s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v", c.name, c.s, err)
		}
	}
}

// TestPointWithoutASubject: what cannot be measured is in the curve, with the reason.
func TestPointWithoutASubject(t *testing.T) {
	c, err := Measure(t.Context(), "in-flight", Settings{Points: []float64{inFlightMost}, Parent: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	most, bound := MostConnections()
	if p := c.Points[0]; p.Valid || p.X != inFlightMost || !strings.Contains(p.Note, bound) || most > inFlightMost {
		t.Errorf("%+v", p)
	}
}

func TestMedianBetween(t *testing.T) {
	at := time.Unix(1000, 0)
	var samples []sample
	for i, n := range []int64{1, 50, 30, 40, 9} {
		samples = append(samples, sample{at.Add(time.Duration(i) * time.Second), n})
	}
	if n, ok := medianBetween(samples, at.Add(time.Second), at.Add(4*time.Second)); n != 40 || !ok {
		t.Error(n, ok)
	}
	if _, ok := medianBetween(samples, at.Add(time.Minute), at.Add(time.Hour)); ok {
		t.Error("a median of nothing")
	}
}
