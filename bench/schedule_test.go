package bench

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func steady(kind Arrivals, rate float64) []Phase {
	return []Phase{{Arrivals: kind, Rate: rate, Duration: 1000 * time.Hour}}
}

// TestConstantScheduleDoesNotDrift: request k of an even schedule is due at k
// times the gap, however many came before.
func TestConstantScheduleDoesNotDrift(t *testing.T) {
	s := newSchedule(steady(Constant, 3), 0, 1)
	for k := range 300_000 {
		want := time.Duration(float64(k) * 1e9 / 3)
		if got := s.next(); (got - want).Abs() > 100 {
			t.Fatalf("request %d is due at %v, want %v", k, got, want)
		}
	}
}

// TestWorkersShareTheRate: together the workers' schedules are one schedule.
func TestWorkersShareTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(1, 100_000).Draw(t, "rate")
		workers := rapid.IntRange(1, 8).Draw(t, "workers")
		const each = 20
		var due []time.Duration
		for w := range workers {
			s := newSchedule(steady(Constant, rate), w, workers)
			for range each {
				due = append(due, s.next())
			}
		}
		slices.Sort(due)
		gap := 1e9 / rate
		for k, at := range due {
			if want := float64(k) * gap; math.Abs(float64(at)-want) > 2+want*1e-9 {
				t.Fatalf("request %d is due at %v, want %v", k, at, time.Duration(want))
			}
		}
	})
}

func TestPoissonSchedule(t *testing.T) {
	const n, rate = 200_000, 1000.0
	a, b := newSchedule(steady(Poisson, rate), 0, 1).seed(5), newSchedule(steady(Poisson, rate), 0, 1).seed(5)
	other := newSchedule(steady(Poisson, rate), 0, 1).seed(6)
	last, sum, squares, same := time.Duration(0), 0.0, 0.0, 0
	for k := range n {
		at := a.next()
		if at != b.next() {
			t.Fatal("the same seed gives another schedule")
		}
		if at == other.next() {
			same++
		}
		if at < last {
			t.Fatalf("request %d is due before the one before it", k)
		}
		gap := float64(at-last) / 1e9
		sum += gap
		squares += gap * gap
		last = at
	}
	mean := sum / n
	deviation := math.Sqrt(squares/n - mean*mean)
	if math.Abs(mean*rate-1) > 0.02 || math.Abs(deviation*rate-1) > 0.02 {
		t.Errorf("mean gap %.6f, deviation %.6f; an exponential gap has both %.6f", mean, deviation, 1/rate)
	}
	if same > n/100 {
		t.Errorf("another seed gives the same times: %d of %d", same, n)
	}
}
