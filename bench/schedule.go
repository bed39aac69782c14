package bench

import (
	"math"
	"math/rand/v2"
	"time"
)

// schedule says when the requests of an open loop are due, as offsets from the
// start of the run. It is a function of its seed alone: what the switch does
// cannot move it. Not goroutine-safe.
type schedule struct {
	gap     float64 // mean nanoseconds between requests
	offset  float64 // of the first, so that several workers interleave
	count   float64
	at      float64
	poisson bool
	rng     *rand.Rand
}

// newSchedule is worker i of n's share of rate requests per second.
func newSchedule(rate float64, poisson bool, i, n int) *schedule {
	s := &schedule{gap: float64(n) * 1e9 / rate, poisson: poisson}
	s.offset = s.gap * float64(i) / float64(n)
	return s
}

func (s *schedule) seed(seed uint64) *schedule {
	s.rng = rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	return s
}

// next is the time at which the next request is due. The times never decrease.
// Evenly spaced times are computed from their number, so that rounding does not
// add up to a drift.
func (s *schedule) next() time.Duration {
	if !s.poisson {
		at := s.offset + s.count*s.gap
		s.count++
		return time.Duration(at)
	}
	// 1-Float64 lies in (0,1], whose logarithm is finite.
	s.at += -math.Log(1-s.rng.Float64()) * s.gap
	return time.Duration(s.at)
}
