package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
)

// Comparison holds the ratios of two subjects measured in turns on the same
// machine: A B B A A B ..., so that slow drifts of the machine cancel. Each ratio is
// a's figure divided by b's.
type Comparison struct {
	A []*Result `json:"a"`
	B []*Result `json:"b"`

	Throughput  Ratio  `json:"throughput"`
	SwitchCPU   *Ratio `json:"switch_cpu,omitempty"` // per payment; nil: not measured
	LatencyP50  Ratio  `json:"latency_p50"`
	LatencyP99  Ratio  `json:"latency_p99"`
	Allocations *Ratio `json:"allocations,omitempty"` // per payment, when both sides allocate

	// Valid: every round of both was.
	Valid bool `json:"valid"`
}

// Ratio is the median of the rounds' paired ratios with its bootstrap 95 % interval.
type Ratio struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

const (
	maxRounds = 1000
	resamples = 2000
)

// Compare runs both subjects once per round, in an order that alternates. An error
// of any run ends the comparison.
func Compare(ctx context.Context, a, b Options, rounds int) (*Comparison, error) {
	if rounds < 1 || rounds > maxRounds {
		return nil, fmt.Errorf("rounds: must be 1..%d", maxRounds)
	}
	var as, bs []*Result
	for i := range rounds {
		order := []struct {
			o    Options
			into *[]*Result
		}{{a, &as}, {b, &bs}}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, side := range order {
			r, err := Run(ctx, side.o)
			if err != nil {
				return nil, fmt.Errorf("round %d: %w", i+1, err)
			}
			*side.into = append(*side.into, r)
		}
	}
	return CompareResults(as, bs)
}

// CompareResults pairs the rounds of two subjects that were measured in turns.
func CompareResults(a, b []*Result) (*Comparison, error) {
	if len(a) != len(b) || len(a) == 0 {
		return nil, errors.New("both subjects need the same number of rounds, at least one")
	}
	c := &Comparison{A: a, B: b, Valid: true}
	for i := range a {
		c.Valid = c.Valid && a[i].Valid && b[i].Valid
	}
	must := func(figure func(*Result) float64) Ratio {
		r, ok := pairedRatio(a, b, figure)
		if !ok {
			c.Valid = false
		}
		return r
	}
	may := func(figure func(*Result) float64) *Ratio {
		if r, ok := pairedRatio(a, b, figure); ok {
			return &r
		}
		return nil
	}
	c.Throughput = must(func(r *Result) float64 { return r.Achieved })
	c.LatencyP50 = must(func(r *Result) float64 { return r.Latency.P50 })
	c.LatencyP99 = must(func(r *Result) float64 { return r.Latency.P99 })
	c.SwitchCPU = may(func(r *Result) float64 { return r.Processes[serveName].CPUPerPayment })
	c.Allocations = may(func(r *Result) float64 {
		if r.AllocsPerPayment == nil {
			return 0
		}
		return *r.AllocsPerPayment
	})
	return c, nil
}

// pairedRatio is false when a figure is missing or zero in any round.
func pairedRatio(a, b []*Result, figure func(*Result) float64) (Ratio, bool) {
	ratios := make([]float64, len(a))
	for i := range a {
		x, y := figure(a[i]), figure(b[i])
		if x <= 0 || y <= 0 || math.IsInf(x/y, 0) {
			return Ratio{}, false
		}
		ratios[i] = x / y
	}
	return RatioOf(ratios), true
}

// RatioOf is the ratio that rounds of their own gave, one or more. It resamples with
// a fixed seed: the same rounds give the same interval.
func RatioOf(ratios []float64) Ratio {
	rng := rand.New(rand.NewPCG(1, 2))
	medians := make([]float64, resamples)
	sample := make([]float64, len(ratios))
	for i := range medians {
		for k := range sample {
			sample[k] = ratios[rng.IntN(len(ratios))]
		}
		medians[i] = median(sample)
	}
	slices.Sort(medians)
	const tail = resamples * 25 / 1000
	return Ratio{Median: median(slices.Clone(ratios)), Low: medians[tail], High: medians[resamples-1-tail]}
}

// median sorts v.
func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// WriteText prints the ratios for people.
func (c *Comparison) WriteText(w io.Writer) error {
	var b bytes.Buffer
	line := func(name string, r *Ratio) {
		if r != nil {
			fmt.Fprintf(&b, "%-22s %.3f  (95%%: %.3f to %.3f)\n", name, r.Median, r.Low, r.High)
		}
	}
	fmt.Fprintf(&b, "Ratios a/b over %d rounds:\n", len(c.A))
	line("throughput", &c.Throughput)
	line("switch CPU/payment", c.SwitchCPU)
	line("latency p50", &c.LatencyP50)
	line("latency p99", &c.LatencyP99)
	line("allocations/payment", c.Allocations)
	if !c.Valid {
		fmt.Fprintln(&b, "INVALID: at least one round does not count")
	}
	_, err := w.Write(b.Bytes())
	return err
}
