package banksim

import (
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// serveNetwork answers the switch's network messages and takes the answers to
// the bank's own. What is no step of the dialect is refused with the dialect's code.
func (l *link) serveNetwork() {
	if l.req.MTI.Function()%2 == 1 {
		l.bank.stats.ownAnswered.Add(1)
		l.takeAnswered()
		return
	}
	d := l.bank.cfg.Dialect
	s := d.StepOf(&l.req, true)
	l.step = s
	p := &l.decided
	switch {
	case s == nil && !l.req.MTI.ExpectsAnswer():
		l.bank.stats.ignored.Add(1)
		return
	case s == nil:
		*p = Plan{Code: d.NetworkRefused()}
	default:
		*p = Plan{Code: l.bank.cfg.Codes.Approved}
	}
	l.script(p, nil)
	if p.Fault == FaultCutUnseen {
		l.bank.stats.forgotten.Add(1)
		l.cutting = true
		return
	}
	if s != nil && approves(p.Code) && p.Effect != Nothing {
		l.takeEffect(s)
		if s.Key == iso.KeyInRequest {
			if o, err := d.KeyOffer(&l.req); err != nil || !l.bank.keys.take(o) {
				p.Code = d.NetworkRefused()
			}
		}
	}
	if s != nil && p.Code == l.bank.cfg.Codes.Approved {
		p.Code = d.StepGranted(s)
	}
	l.answer(p, verdict{code: p.Code})
	l.step = nil
}

// takeEffect does what a step means to the link, whoever started it.
func (l *link) takeEffect(s *iso.NetworkStep) {
	switch s.Effect {
	case iso.EffectSignOn:
		l.signedOn.Store(true)
	case iso.EffectSignOff:
		l.signedOn.Store(false)
	}
}

// startStep sends one network message of the bank's own on a link.
func (b *Bank) startStep(l *link, s *iso.NetworkStep) error {
	now := time.Now().UTC()
	v := iso.Values{STAN: iso.STAN(b.stan.Add(1)%999999 + 1), SentAt: now, LocalAt: now,
		Acquirer: b.cfg.Institution, Forwarder: b.cfg.Institution}
	var m iso.Message
	err := b.cfg.Dialect.BuildStep(s, &v, &m)
	if err == nil && s.Key == iso.KeyInRequest {
		var offer iso.KeyOffer
		if offer, err = b.keys.offer(b.cfg.Dialect); err == nil {
			b.cfg.Dialect.SetKeyOffer(&m, offer)
		}
	}
	var frame []byte
	if err == nil {
		frame, err = l.seal(nil, &m, sealing{})
	}
	if err != nil {
		return fmt.Errorf("banksim: %s: %w", s.Name, err)
	}
	l.takeEffect(s)
	if l.put(frame) {
		b.stats.ownMessages.Add(1)
		l.kick()
	}
	return nil
}

// step is the first step that the bank may start and that is the one.
func (b *Bank) step(is func(*iso.NetworkStep) bool) *iso.NetworkStep {
	for _, s := range b.cfg.Dialect.NetworkSteps() {
		if s.Theirs && is(s) {
			return s
		}
	}
	return nil
}

func (b *Bank) stepOf(effect iso.NetworkEffect) *iso.NetworkStep {
	return b.step(func(s *iso.NetworkStep) bool { return s.Effect == effect })
}

func (b *Bank) stepNamed(name string) *iso.NetworkStep {
	return b.step(func(s *iso.NetworkStep) bool { return s.Name == name })
}

// everyLink sends one network message of the bank's own on all links.
func (b *Bank) everyLink(s *iso.NetworkStep) error {
	if s == nil {
		return fmt.Errorf("banksim: dialect %s has no such step by the bank", b.cfg.Dialect.ID())
	}
	for _, l := range b.liveLinks() {
		if err := b.startStep(l, s); err != nil {
			return err
		}
	}
	return nil
}

// ownEcho sends the bank's echo on a signed-on link and plans the next.
func (b *Bank) ownEcho(l *link) {
	select {
	case <-l.gone:
		return
	default:
	}
	if s := b.stepNamed(iso.OpEcho.String()); s != nil && l.signedOn.Load() && b.mode.Load().name != ModeMute {
		if err := b.startStep(l, s); err != nil {
			b.cfg.Logger.Warn("the bank's own echo cannot be built")
			return
		}
	}
	b.clock.after(b.cfg.EchoInterval, true, due{link: l, act: actEcho})
}
