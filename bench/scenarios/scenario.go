package scenarios

import (
	"time"

	"github.com/tranzit/tranzit/bench"
)

// Scenario is one YAML file. Zero values take the defaults named here.
type Scenario struct {
	// Name is the file's name without its ending.
	Name  string `yaml:"-"`
	About string `yaml:"about"` // one line for people

	Warmup      time.Duration `yaml:"warmup"`      // loaded and not measured; default 1s
	Timeout     time.Duration `yaml:"timeout"`     // of an answer; default 30s
	Settle      time.Duration `yaml:"settle"`      // how long open payments may take after the load; default 60s
	Connections int           `yaml:"connections"` // default 512
	Workers     int           `yaml:"workers"`     // threads of the generator; default 1
	Seed        uint64        `yaml:"seed"`        // of all random choices; default 1
	Retry       bool          `yaml:"retry"`       // lost requests are sent again with their keys

	Phases    []Phase                `yaml:"phases"`    // at least one
	Merchants []Merchants            `yaml:"merchants"` // default: one
	Banks     []Bank                 `yaml:"banks"`     // default: one, "bench", binary87
	Mix       map[bench.Kind]float64 `yaml:"mix"`       // kind of request -> weight; default: purchases
	Cards     []Card                 `yaml:"cards"`     // default: one that is approved
	Events    []Event                `yaml:"events"`

	file  string
	lines map[string]int
}

// Phase is a piece of the load. Phases follow one another.
type Phase struct {
	Arrivals bench.Arrivals `yaml:"arrivals"` // constant, poisson, burst, ramp
	Rate     float64        `yaml:"rate"`     // per second: constant, poisson
	From     float64        `yaml:"from"`     // per second at the start of a ramp
	To       float64        `yaml:"to"`       // and at its end
	Size     int            `yaml:"size"`     // requests of one burst
	Period   time.Duration  `yaml:"period"`   // between bursts
	Duration time.Duration  `yaml:"duration"`
}

// Merchants are some that share a part of the payments evenly.
type Merchants struct {
	Count int     `yaml:"count"` // default 1
	Share float64 `yaml:"share"` // weight of all of them together; default: their number
}

// Bank is a simulated bank and the switch's line to it.
type Bank struct {
	ID      string        `yaml:"id"`
	Dialect string        `yaml:"dialect"` // default binary87
	Share   float64       `yaml:"share"`   // weight; default 1
	Think   time.Duration `yaml:"think"`   // before every answer
	Jitter  time.Duration `yaml:"jitter"`  // at most so much more, at random
	Links   int           `yaml:"links"`   // default 2
	Window  int           `yaml:"window"`  // requests in flight per link; default 4096
	// Response is how long the switch waits for the bank's answer; then the payment is
	// unknown and is reversed. Default 10s.
	Response time.Duration `yaml:"response"`
}

// Card is a test card and its share of the payments.
type Card struct {
	Card  string  `yaml:"card"`  // behaviour of the simulated bank's cards, such as decline_51, or a number
	Share float64 `yaml:"share"` // weight; default 1
}

// Event is what happens at a time of the measured part.
type Event struct {
	At     time.Duration `yaml:"at"`
	Does   string        `yaml:"does"` // slow, normal, down, up, mute, stall, decline; kill (of the switch)
	Bank   string        `yaml:"bank"` // which; not of a kill
	Delay  time.Duration `yaml:"delay"`
	Jitter time.Duration `yaml:"jitter"`
	Code   string        `yaml:"code"` // of decline; default 05
}

// What an event does.
const (
	doesSlow    = "slow"
	doesNormal  = "normal"
	doesDown    = "down"
	doesUp      = "up"
	doesMute    = "mute"
	doesStall   = "stall"
	doesDecline = "decline"
	doesKill    = "kill"
)

// Duration is that of all phases together.
func (s *Scenario) Duration() time.Duration {
	sum := time.Duration(0)
	for _, p := range s.Phases {
		sum += p.Duration
	}
	return sum
}

// Fit stretches or shrinks the phases and the times of the events to a whole of d.
// What lasts within a phase, such as the period of bursts, stays.
func (s *Scenario) Fit(d time.Duration) {
	factor := float64(d) / float64(s.Duration())
	left := d
	for i := range s.Phases {
		p := &s.Phases[i]
		p.Duration = min(time.Duration(float64(p.Duration)*factor), left)
		if left -= p.Duration; i == len(s.Phases)-1 {
			p.Duration += left
		}
	}
	for i := range s.Events {
		s.Events[i].At = min(time.Duration(float64(s.Events[i].At)*factor), d)
	}
}

// Scale multiplies every rate, and the size of bursts.
func (s *Scenario) Scale(factor float64) {
	for i := range s.Phases {
		p := &s.Phases[i]
		p.Rate, p.From, p.To = p.Rate*factor, p.From*factor, p.To*factor
		if p.Size > 0 {
			p.Size = max(int(float64(p.Size)*factor+0.5), 1)
		}
	}
}

func (p *Phase) arrivals() bench.Phase {
	out := bench.Phase{Arrivals: p.Arrivals, Rate: p.Rate, To: p.To, Size: p.Size, Period: p.Period, Duration: p.Duration}
	if p.Arrivals == bench.Ramp {
		out.Rate = p.From
	}
	return out
}
