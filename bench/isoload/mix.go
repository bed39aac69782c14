package isoload

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// Mix are the weights of the messages a load sends. A reversal undoes an approved
// message of the same link; while there is none, a purchase (or an authorization) is
// sent in its place.
type Mix struct {
	Purchase, Authorization, Reversal, Echo int
}

const maxWeight = 1_000_000

// mixed are the operations of a mix, in the order of its weights.
var mixed = [...]iso.Operation{iso.OpPurchase, iso.OpAuthorization, iso.OpReversal, iso.OpEcho}

func (m Mix) weights() [len(mixed)]int {
	return [...]int{m.Purchase, m.Authorization, m.Reversal, m.Echo}
}

// ParseMix reads a mix like "purchase=80,reversal=15,echo=5".
func ParseMix(text string) (Mix, error) {
	var m Mix
	fields := [...]*int{&m.Purchase, &m.Authorization, &m.Reversal, &m.Echo}
	weights, err := parseWeights(text)
	if err != nil {
		return m, fmt.Errorf("mix: %w", err)
	}
	for _, w := range weights {
		i := slices.IndexFunc(mixed[:], func(op iso.Operation) bool { return op.String() == w.name })
		if i < 0 {
			return m, fmt.Errorf("mix: %q is not known; write purchase, authorization, reversal or echo", w.name)
		}
		*fields[i] = w.weight
	}
	return m, m.validate()
}

func (m Mix) validate() error {
	for _, w := range m.weights() {
		if w < 0 || w > maxWeight {
			return fmt.Errorf("mix: weights must be 0..%d", maxWeight)
		}
	}
	switch {
	case m == Mix{}:
		return errors.New("mix: no message has a weight")
	case m.Reversal > 0 && m.Purchase+m.Authorization == 0:
		return errors.New("mix: reversals need purchases or authorizations")
	}
	return nil
}

func (m Mix) operations() (out []iso.Operation) {
	for i, w := range m.weights() {
		if w > 0 {
			out = append(out, mixed[i])
		}
	}
	return out
}

// draw is the operation that a number from 0 to 1 stands for.
func (m Mix) draw(x float64) iso.Operation {
	weights := m.weights()
	sum := 0
	for _, w := range weights {
		sum += w
	}
	at := int(x * float64(sum))
	for i, w := range weights {
		if at -= w; at < 0 {
			return mixed[i]
		}
	}
	return mixed[0]
}

// charge is what stands in for a reversal when there is nothing to reverse.
func (m Mix) charge() iso.Operation {
	if m.Purchase > 0 {
		return iso.OpPurchase
	}
	return iso.OpAuthorization
}

// weight is one name=number of a list.
type weight struct {
	name   string
	weight int
}

// parseWeights reads "a=1,b=2": names once each, weights whole numbers.
func parseWeights(text string) ([]weight, error) {
	var out []weight
	for part := range strings.SplitSeq(text, ",") {
		name, number, ok := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(number)
		switch {
		case !ok || name == "" || err != nil || n < 0 || n > maxWeight:
			return nil, fmt.Errorf("%q is not name=weight with a whole number 0..%d", part, maxWeight)
		case slices.ContainsFunc(out, func(w weight) bool { return w.name == name }):
			return nil, fmt.Errorf("%s is named twice", name)
		}
		out = append(out, weight{name, n})
	}
	return out, nil
}

// schedule says when the messages of one link are due, as offsets from the start.
// Not goroutine-safe.
type schedule struct {
	gap, at float64 // nanoseconds
	poisson *rand.Rand
}

// newSchedule is link i's share of n.
func newSchedule(o *Options, i, n int) *schedule {
	s := &schedule{gap: float64(n) * 1e9 / o.Rate}
	s.at = s.gap * float64(i) / float64(n)
	if o.Poisson {
		s.poisson = rand.New(rand.NewPCG(o.Seed, uint64(i)+1))
		s.at = 0
		s.next()
	}
	return s
}

// due is when the next message is due.
func (s *schedule) due() time.Duration { return time.Duration(s.at) }

func (s *schedule) next() {
	gap := s.gap
	if s.poisson != nil {
		gap *= -math.Log(1 - s.poisson.Float64())
	}
	s.at += gap
}
