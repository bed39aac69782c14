package bench

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

func roundOf(achieved, cpu float64) *Result {
	return &Result{Achieved: achieved, Latency: Latency{P50: 100, P99: 200}, Valid: true,
		Processes: map[string]Process{serveName: {CPUPerPayment: cpu}}}
}

// TestCompareResults: rounds of a noisy machine are paired, so that the noise both
// sides share does not show.
func TestCompareResults(t *testing.T) {
	var a, b []*Result
	for i := range 11 {
		noise := 1 + float64(i%5)/2
		a = append(a, roundOf(500*noise, 30*noise))
		b = append(b, roundOf(1000*noise, 20*noise))
	}
	c, err := CompareResults(a, b)
	if err != nil || !c.Valid {
		t.Fatal(c, err)
	}
	if c.Throughput != (Ratio{0.5, 0.5, 0.5}) || math.Abs(c.SwitchCPU.Median-1.5) > 1e-9 {
		t.Errorf("throughput %v, CPU %v", c.Throughput, *c.SwitchCPU)
	}
	if c.Allocations != nil {
		t.Error("allocations were not measured")
	}
	b[3].Valid = false
	if c, _ := CompareResults(a, b); c.Valid {
		t.Error("a round does not count, the comparison does")
	}
	if _, err := CompareResults(a, b[:1]); err == nil {
		t.Error("unpaired rounds are accepted")
	}
	b[0].Achieved = 0
	if c, _ := CompareResults(a, b); c.Valid {
		t.Error("a missing figure counts")
	}
}

func TestBootstrapInterval(t *testing.T) {
	spread := RatioOf([]float64{1.3, 0.9, 1.1, 1.0, 1.2, 0.8, 1.05, 0.95, 1.15})
	if spread.Median != 1.05 || spread.Low > 1 || spread.High < 1.1 || spread.Low < 0.8 || spread.High > 1.3 {
		t.Errorf("got %+v", spread)
	}
	if again := RatioOf([]float64{1.3, 0.9, 1.1, 1.0, 1.2, 0.8, 1.05, 0.95, 1.15}); again != spread {
		t.Errorf("got %+v, then %+v", spread, again)
	}
}

func TestCompareRuns(t *testing.T) {
	o := startToy(t, &toy{})
	o.Connections, o.Duration = 4, 150*time.Millisecond
	c, err := Compare(t.Context(), o, o, 2)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := c.WriteText(&text); err != nil || !strings.Contains(text.String(), "throughput") {
		t.Errorf("%v %s", err, text.String())
	}
	if len(c.A) != 2 || len(c.B) != 2 || c.Throughput.Median <= 0 {
		t.Errorf("%+v", c)
	}
	if _, err := Compare(t.Context(), o, o, 0); err == nil {
		t.Error("no rounds are accepted")
	}
}
