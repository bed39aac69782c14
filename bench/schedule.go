package bench

import (
	"math"
	"math/rand/v2"
	"time"
)

// schedule says when the requests of an open loop are due, as offsets from the
// start of the run. It is a function of its phases and its seed alone: what the
// switch does cannot move it. Not goroutine-safe.
//
// Several workers share it: of evenly spaced requests and of bursts each worker
// has every n-th; of random ones each has a Poisson process of the n-th part of
// the rate, which together are one of the whole rate.
type schedule struct {
	phases        []Phase
	worker, count int
	rng           *rand.Rand

	phase int           // index of the present phase
	began time.Duration // of the present phase
	k     float64       // requests of the present phase that were due before this one, by all workers
}

// never is when the next request of a schedule that is over is due.
const never = time.Duration(math.MaxInt64)

// newSchedule is worker's share of n.
func newSchedule(phases []Phase, worker, n int) *schedule {
	s := &schedule{phases: phases, worker: worker, count: n}
	return s.seed(1)
}

func (s *schedule) seed(seed uint64) *schedule {
	s.rng = rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	s.enter()
	return s
}

// enter begins the present phase.
func (s *schedule) enter() {
	if s.phase == len(s.phases) {
		return
	}
	s.k = float64(s.worker)
	if s.phases[s.phase].Arrivals == Poisson {
		s.k = s.exponential()
	}
}

// exponential is a gap of mean count. 1-Float64 lies in (0,1], whose logarithm is
// finite.
func (s *schedule) exponential() float64 {
	return -math.Log(1-s.rng.Float64()) * float64(s.count)
}

// next is the time at which the next request is due; never, when none is. The times
// never decrease. They are computed from the request's number, so that rounding does
// not add up to a drift.
func (s *schedule) next() time.Duration {
	for s.phase < len(s.phases) {
		p := &s.phases[s.phase]
		if at := p.at(s.k); at < p.Duration {
			s.k += float64(s.count)
			if p.Arrivals == Poisson {
				s.k += s.exponential() - float64(s.count)
			}
			return s.began + at
		}
		s.began += p.Duration
		s.phase++
		s.enter()
	}
	return never
}

// at is when, since the start of the phase, k requests have become due.
func (p *Phase) at(k float64) time.Duration {
	var seconds float64
	switch p.Arrivals {
	case Burst:
		return time.Duration(math.Floor(k/float64(p.Size))) * p.Period
	case Ramp:
		// k = from t + a t*t/2; this form of the root is also exact for a = 0.
		a := (p.To - p.Rate) / p.Duration.Seconds()
		below := p.Rate*p.Rate + 2*a*k
		if below < 0 {
			return never // so many never become due
		}
		if k > 0 {
			seconds = 2 * k / (p.Rate + math.Sqrt(below))
		}
	default:
		if p.Rate == 0 {
			return never
		}
		seconds = k / p.Rate
	}
	if seconds >= p.Duration.Seconds() {
		return never
	}
	return time.Duration(seconds * 1e9)
}
