package scenarios

import (
	"fmt"
	"regexp"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/iso"
)

const (
	maxBanks     = 32
	maxMerchants = 10_000
	maxLinks     = 64
	maxWindow    = 65_536
	maxThink     = time.Hour // of the simulated bank
	writeLimit   = 3 * time.Second
)

var bankID = regexp.MustCompile(`^[a-z][a-z0-9_]{0,15}$`)

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (s *Scenario) ensureDefaults() {
	setDefault(&s.Warmup, time.Second)
	setDefault(&s.Timeout, 30*time.Second)
	setDefault(&s.Settle, time.Minute)
	setDefault(&s.Connections, 512)
	setDefault(&s.Workers, 1)
	setDefault(&s.Seed, 1)
	if len(s.Merchants) == 0 {
		s.Merchants = []Merchants{{}}
	}
	for i := range s.Merchants {
		m := &s.Merchants[i]
		setDefault(&m.Count, 1)
		setDefault(&m.Share, float64(m.Count))
	}
	if len(s.Banks) == 0 {
		s.Banks = []Bank{{ID: "bench"}}
	}
	for i := range s.Banks {
		b := &s.Banks[i]
		setDefault(&b.Dialect, "binary87")
		setDefault(&b.Share, 1)
		setDefault(&b.Links, 2)
		setDefault(&b.Window, 4096)
		setDefault(&b.Response, 10*time.Second)
	}
	if len(s.Cards) == 0 {
		s.Cards = []Card{{Card: string(banksim.Approve)}}
	}
	for i := range s.Cards {
		setDefault(&s.Cards[i].Share, 1)
	}
}

// validate reports the first key that cannot be right. REQUIRES: ensureDefaults.
func (s *Scenario) validate() error {
	if len(s.Phases) == 0 {
		return s.fault("phases", "at least one is needed")
	}
	for i := range s.Phases {
		if err := s.validatePhase(i); err != nil {
			return err
		}
	}
	merchants := 0
	for i, m := range s.Merchants {
		if m.Count < 1 || m.Share < 0 {
			return s.fault(fmt.Sprintf("merchants[%d]", i), "count must be at least 1 and share not negative")
		}
		merchants += m.Count
	}
	if merchants > maxMerchants {
		return s.fault("merchants", "at most %d", maxMerchants)
	}
	if len(s.Banks) > maxBanks {
		return s.fault("banks", "at most %d", maxBanks)
	}
	seen := map[string]bool{}
	for i := range s.Banks {
		if err := s.validateBank(i); err != nil {
			return err
		}
		if seen[s.Banks[i].ID] {
			return s.fault(fmt.Sprintf("banks[%d].id", i), "%q is used twice", s.Banks[i].ID)
		}
		seen[s.Banks[i].ID] = true
	}
	for i, c := range s.Cards {
		if _, err := cardNumber(c.Card); err != nil {
			return s.fault(fmt.Sprintf("cards[%d].card", i), "%v", err)
		}
	}
	for i := range s.Events {
		if err := s.validateEvent(i); err != nil {
			return err
		}
	}
	return s.validateLoad()
}

// validateLoad lets the generator judge what is its own to judge.
func (s *Scenario) validateLoad() error {
	o := bench.Options{Target: "http://127.0.0.1:80", Books: make([]string, len(s.Banks)), Binary: "-", ServeArgs: []string{"-"}}
	s.fill(&o)
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	return nil
}

func (s *Scenario) validatePhase(i int) error {
	p := &s.Phases[i]
	at := fmt.Sprintf("phases[%d]", i)
	strange := map[bench.Arrivals][]string{
		bench.Constant: {"from", "to", "size", "period"}, bench.Poisson: {"from", "to", "size", "period"},
		bench.Burst: {"rate", "from", "to"}, bench.Ramp: {"rate", "size", "period"},
	}
	keys, known := strange[p.Arrivals]
	if !known {
		return s.fault(at+".arrivals", "%q is not constant, poisson, burst or ramp", p.Arrivals)
	}
	for _, key := range keys {
		if _, given := s.lines[at+"."+key]; given {
			return s.fault(at+"."+key, "%s arrivals have no such key", p.Arrivals)
		}
	}
	if p.Duration <= 0 {
		return s.fault(at+".duration", "must be longer than 0")
	}
	a := p.arrivals()
	if err := a.Validate(); err != nil {
		return s.fault(at, "%v", err)
	}
	return nil
}

func (s *Scenario) validateBank(i int) error {
	b := &s.Banks[i]
	at := fmt.Sprintf("banks[%d]", i)
	switch {
	case !bankID.MatchString(b.ID):
		return s.fault(at+".id", "%q must be 1 to 16 small letters, digits and _", b.ID)
	case b.Share < 0:
		return s.fault(at+".share", "must not be negative")
	case b.Think < 0 || b.Think > maxThink || b.Jitter < 0 || b.Jitter > maxThink:
		return s.fault(at+".think", "think and jitter must be 0s..%s", maxThink)
	case b.Links < 1 || b.Links > maxLinks:
		return s.fault(at+".links", "must be 1..%d", maxLinks)
	case b.Window < 1 || b.Window > maxWindow:
		return s.fault(at+".window", "must be 1..%d", maxWindow)
	case b.Response < 100*time.Millisecond || b.Response > time.Hour:
		return s.fault(at+".response", "must be 100ms..1h")
	}
	if _, err := iso.Resolve(b.Dialect); err != nil {
		return s.fault(at+".dialect", "%v", err)
	}
	return nil
}

func (s *Scenario) validateEvent(i int) error {
	e := &s.Events[i]
	at := fmt.Sprintf("events[%d]", i)
	if e.At < 0 || e.At > s.Duration() {
		return s.fault(at+".at", "%s is not within the %s of the phases", e.At, s.Duration())
	}
	switch e.Does {
	case doesSlow, doesNormal, doesDown, doesUp, doesMute, doesStall, doesDecline:
		if s.bankIndex(e.Bank) < 0 {
			return s.fault(at+".bank", "%q is not one of the banks", e.Bank)
		}
	case doesKill:
		if e.Bank != "" {
			return s.fault(at+".bank", "a kill is of the switch")
		}
	default:
		return s.fault(at+".does", "%q is not slow, normal, down, up, mute, stall, decline or kill", e.Does)
	}
	if e.Does == doesSlow && (e.Delay <= 0 || e.Delay > maxThink || e.Jitter < 0 || e.Jitter > maxThink) {
		return s.fault(at+".delay", "a slow bank needs a delay of at most %s", maxThink)
	}
	if e.Does != doesSlow && (e.Delay != 0 || e.Jitter != 0) {
		return s.fault(at+".delay", "only slow has a delay")
	}
	if e.Does != doesDecline && e.Code != "" {
		return s.fault(at+".code", "only decline has a code")
	}
	return nil
}

func (s *Scenario) bankIndex(id string) int {
	for i := range s.Banks {
		if s.Banks[i].ID == id {
			return i
		}
	}
	return -1
}

var digits = regexp.MustCompile(`^[0-9]{12,19}$`)

// cardNumber finds the card that makes the simulated bank behave so.
func cardNumber(text string) (string, error) {
	if digits.MatchString(text) {
		return text, nil
	}
	for _, c := range banksim.Cards() {
		if string(c.Behaviour) == text {
			return c.Number, nil
		}
	}
	return "", fmt.Errorf("%q is neither a card number nor what a test card does", text)
}
