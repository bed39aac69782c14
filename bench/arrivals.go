package bench

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Arrivals says how the requests of a phase are spaced.
type Arrivals string

// The arrival processes.
const (
	Constant Arrivals = "constant" // evenly, Rate per second
	Poisson  Arrivals = "poisson"  // at random with exponential gaps, Rate per second on average
	Burst    Arrivals = "burst"    // Size at once, every Period
	Ramp     Arrivals = "ramp"     // evenly, from Rate to To per second, changing at a constant pace
)

// Phase is a piece of an open loop. Phases follow one another.
type Phase struct {
	Arrivals Arrivals
	// Rate is per second: of Constant and Poisson, and at the start of a Ramp.
	Rate float64
	// To is the rate at the end of a Ramp.
	To float64
	// Size and Period are those of a Burst.
	Size   int
	Period time.Duration
	// Duration is how long the phase lasts. Zero, of the last phase only: what is
	// left of the run.
	Duration time.Duration
}

const (
	maxPhases = 32
	maxBurst  = 1_000_000
)

// rateAt is the mean rate at a time since the start of the phase.
func (p *Phase) rateAt(at time.Duration) float64 {
	switch p.Arrivals {
	case Burst:
		return float64(p.Size) / p.Period.Seconds()
	case Ramp:
		return p.Rate + (p.To-p.Rate)*at.Seconds()/p.Duration.Seconds()
	}
	return p.Rate
}

// due is how many requests are due in the phase.
func (p *Phase) due() float64 {
	s := p.Duration.Seconds()
	switch p.Arrivals {
	case Burst:
		return float64((p.Duration+p.Period-1)/p.Period) * float64(p.Size)
	case Ramp:
		return (p.Rate + p.To) / 2 * s
	}
	return p.Rate * s
}

// Validate names what makes no sense. REQUIRES: Duration is known.
func (p *Phase) Validate() error {
	rate := func(name string, v float64) error {
		if !(v >= 0 && v <= maxRate) {
			return fmt.Errorf("%s: must be 0..%d requests per second", name, maxRate)
		}
		return nil
	}
	if p.Duration <= 0 {
		return fmt.Errorf("duration: must be longer than 0")
	}
	switch p.Arrivals {
	case Constant, Poisson:
		if p.Rate == 0 {
			return fmt.Errorf("rate: is needed")
		}
		return rate("rate", p.Rate)
	case Ramp:
		if p.Rate == 0 && p.To == 0 {
			return fmt.Errorf("ramp: a rate above 0 is needed at one end")
		}
		if err := rate("from", p.Rate); err != nil {
			return err
		}
		return rate("to", p.To)
	case Burst:
		if p.Size < 1 || p.Size > maxBurst {
			return fmt.Errorf("size: must be 1..%d", maxBurst)
		}
		if p.Period < time.Millisecond {
			return fmt.Errorf("period: must be at least 1ms")
		}
		return rate("burst", p.rateAt(0))
	}
	return fmt.Errorf("arrivals: %q is not constant, poisson, burst or ramp", p.Arrivals)
}

// String is the phase in the notation of ParseArrivals.
func (p Phase) String() string {
	text := string(p.Arrivals) + ":"
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	switch p.Arrivals {
	case Burst:
		text += strconv.Itoa(p.Size) + "/" + p.Period.String()
	case Ramp:
		text += number(p.Rate) + ".." + number(p.To)
	default:
		text += number(p.Rate)
	}
	if p.Duration > 0 {
		text += "@" + p.Duration.String()
	}
	return text
}

// ParseArrivals reads phases from one line:
//
//	constant:1000          1,000 per second, evenly
//	poisson:1000@20s       1,000 per second at random, for 20 s
//	burst:500/250ms@10s    500 at once every 250 ms, for 10 s
//	ramp:100..5000@30s     from 100 to 5,000 per second within 30 s
//
// separated by commas. Only the last may leave its duration out.
func ParseArrivals(text string) ([]Phase, error) {
	var phases []Phase
	for part := range strings.SplitSeq(text, ",") {
		p, err := parsePhase(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("arrivals: %q: %w", part, err)
		}
		phases = append(phases, p)
	}
	return phases, nil
}

func parsePhase(text string) (p Phase, err error) {
	text, lasts, timed := strings.Cut(text, "@")
	if timed {
		if p.Duration, err = time.ParseDuration(lasts); err != nil {
			return p, fmt.Errorf("%q is not a duration such as 20s", lasts)
		}
		if p.Duration <= 0 {
			return p, fmt.Errorf("the duration must be longer than 0")
		}
	}
	kind, figures, _ := strings.Cut(text, ":")
	p.Arrivals = Arrivals(kind)
	number := func(s string) (v float64) {
		if v, err = strconv.ParseFloat(s, 64); err != nil {
			err = fmt.Errorf("%q is not a number", s)
		}
		return v
	}
	switch p.Arrivals {
	case Constant, Poisson:
		p.Rate = number(figures)
	case Burst:
		size, period, ok := strings.Cut(figures, "/")
		if !ok {
			return p, fmt.Errorf("must look like burst:500/250ms")
		}
		if p.Size, err = strconv.Atoi(size); err != nil {
			return p, fmt.Errorf("%q is not a whole number", size)
		}
		if p.Period, err = time.ParseDuration(period); err != nil {
			return p, fmt.Errorf("%q is not a duration such as 250ms", period)
		}
	case Ramp:
		from, to, ok := strings.Cut(figures, "..")
		if !ok {
			return p, fmt.Errorf("must look like ramp:100..5000")
		}
		if p.Rate = number(from); err == nil {
			p.To = number(to)
		}
	default:
		return p, fmt.Errorf("must begin with constant, poisson, burst or ramp and a colon")
	}
	return p, err
}
