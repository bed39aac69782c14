package bench

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// dueTimes are those of the whole schedule, shared by n workers, in order.
func dueTimes(phases []Phase, n int) (all []time.Duration) {
	for w := range n {
		s := newSchedule(phases, w, n).seed(uint64(w))
		for at := s.next(); at != never; at = s.next() {
			all = append(all, at)
		}
	}
	slices.Sort(all)
	return all
}

func within(all []time.Duration, from, to time.Duration) (n int) {
	for _, at := range all {
		if at >= from && at < to {
			n++
		}
	}
	return n
}

// TestArrivalsAsPhases reads the notation and looks at what is due when.
func TestArrivalsAsPhases(t *testing.T) {
	phases, err := ParseArrivals("constant:1000@2s, burst:50/200ms@1s, ramp:100..1900@10s, ramp:1000..0@2s, poisson:5000@4s, ramp:0..10@1s")
	if err != nil {
		t.Fatal(err)
	}
	const s = time.Second
	for _, workers := range []int{1, 3} {
		all := dueTimes(phases, workers)
		for _, tt := range []struct {
			from, to  time.Duration
			want, off int
		}{
			{0, 2 * s, 2000, 0}, {0, s, 1000, 0},
			{2 * s, 2*s + 1, 50, 0}, {2*s + 1, 2*s + 200*time.Millisecond, 0, 0}, {2 * s, 3 * s, 250, 0},
			{3 * s, 13 * s, 10_000, 1}, {3 * s, 4 * s, 190, 1}, {12 * s, 13 * s, 1810, 1},
			{13 * s, 14 * s, 750, 1}, {14 * s, 15 * s, 250, 1},
			{15 * s, 19 * s, 20_000, 600}, {15 * s, 16 * s, 5000, 300},
			{19 * s, 20 * s, 5, 1}, {20 * s, never, 0, 0},
		} {
			if n := within(all, tt.from, tt.to); n < tt.want-tt.off || n > tt.want+tt.off {
				t.Errorf("%d workers: %d due from %s to %s, want %d", workers, n, tt.from, tt.to, tt.want)
			}
		}
	}
}

// TestArrivalsHaveOneNotation: what is printed can be read again.
func TestArrivalsHaveOneNotation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Phase{Arrivals: rapid.SampledFrom([]Arrivals{Constant, Poisson, Burst, Ramp}).Draw(t, "kind"),
			Duration: time.Duration(rapid.Int64Range(0, 1e13).Draw(t, "duration"))}
		switch p.Arrivals {
		case Burst:
			p.Size, p.Period = rapid.IntRange(1, maxBurst).Draw(t, "size"), time.Duration(rapid.Int64Range(1e6, 1e12).Draw(t, "period"))
		case Ramp:
			p.To = rapid.Float64Range(0, maxRate).Draw(t, "to")
			fallthrough
		default:
			p.Rate = rapid.Float64Range(0, maxRate).Draw(t, "rate")
		}
		got, err := ParseArrivals(p.String())
		if err != nil || len(got) != 1 || got[0] != p {
			t.Fatalf("%s reads as %v, %v", p, got, err)
		}
	})
}

// TestScheduleOfAnyPhases: times never decrease, and as many requests are due as the
// phases say.
func TestScheduleOfAnyPhases(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var phases []Phase
		want, slack := 0.0, 0.0
		for range rapid.IntRange(1, 4).Draw(t, "phases") {
			p := Phase{Arrivals: rapid.SampledFrom([]Arrivals{Constant, Poisson, Burst, Ramp}).Draw(t, "kind"),
				Rate: rapid.Float64Range(1, 3000).Draw(t, "rate"), To: rapid.Float64Range(0, 3000).Draw(t, "to"),
				Size: rapid.IntRange(1, 500).Draw(t, "size"), Period: time.Duration(rapid.Int64Range(1e6, 1e9).Draw(t, "period")),
				Duration: time.Duration(rapid.Int64Range(1e6, 2e9).Draw(t, "duration"))}
			if p.Validate() != nil {
				t.Skip()
			}
			phases = append(phases, p)
			want += p.due()
			slack++
			if p.Arrivals == Poisson {
				slack += 8*math.Sqrt(p.due()) + 8
			}
		}
		workers := rapid.IntRange(1, 5).Draw(t, "workers")
		if got := float64(len(dueTimes(phases, workers))); math.Abs(got-want) > slack {
			t.Fatalf("%v: %.0f due, want %.0f", phases, got, want)
		}
		s, last := newSchedule(phases, 0, workers), time.Duration(0)
		for at := s.next(); at != never; at = s.next() {
			if at < last {
				t.Fatalf("%v: %s after %s", phases, at, last)
			}
			last = at
		}
	})
}

func TestArrivalsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "must begin with", "even:1": "must begin with", "constant": "not a number", "constant:x": "not a number",
		"poisson:5@soon": "not a duration", "poisson:5@-1s": "longer than 0", "burst:5": "must look like", "burst:x/1s": "not a whole number",
		"burst:5/x": "not a duration", "ramp:1-2": "must look like", "ramp:1..x": "not a number", "constant:1,": "must begin with",
	} {
		if _, err := ParseArrivals(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"constant:0": "rate: is needed", "constant:-1": "rate: must be", "constant:1@1s,poisson:NaN": "rate: must be", "ramp:0..0": "above 0",
		"ramp:1..9e9": "to: must be", "burst:0/1s": "size", "burst:1/1us": "period", "burst:1000000/1ms": "burst: must be",
		"constant:1,constant:2": "phase 1: duration", "constant:1@1h,constant:2": "phase 2: duration", "constant:1@1h": "the phases take",
	} {
		phases, err := ParseArrivals(text)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Target: "http://127.0.0.1:8080", Keys: []string{"k"}, Arrivals: phases, Duration: time.Minute}
		o.EnsureDefaults()
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	o := Options{Target: "http://127.0.0.1:8080", Keys: []string{"k"}, Arrivals: []Phase{{Arrivals: Constant, Rate: 1}}, Rate: 1}
	o.EnsureDefaults()
	if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "beside arrivals") {
		t.Error(err)
	}
}
