package banksim

import (
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// serveNetwork answers the switch's network messages and takes the answers to
// the bank's own. Messages other than sign-on, sign-off and echo (key exchange,
// cutover) are acknowledged and change nothing.
func (l *link) serveNetwork() {
	if l.req.MTI.Function()%2 == 1 {
		l.bank.stats.ownAnswered.Add(1)
		return
	}
	op, known := l.bank.cfg.Dialect.NetworkOperation(&l.req)
	if f := l.req.MTI.Function(); f != 0 && (f != 2 || !known) {
		l.bank.stats.ignored.Add(1)
		return
	}
	p := &l.decided
	*p = Plan{Code: l.bank.cfg.Codes.Approved}
	l.script(p, nil)
	if approves(p.Code) && p.Effect != Nothing {
		switch {
		case known && op == iso.OpSignOn:
			l.signedOn.Store(true)
		case known && op == iso.OpSignOff:
			l.signedOn.Store(false)
		}
	}
	l.answer(p, verdict{code: p.Code})
}

// startNetwork sends one network message of the bank's own on a link.
func (b *Bank) startNetwork(l *link, op iso.Operation) error {
	now := time.Now().UTC()
	v := iso.Values{STAN: iso.STAN(b.stan.Add(1)%999999 + 1), SentAt: now, LocalAt: now,
		Acquirer: b.cfg.Institution, Forwarder: b.cfg.Institution}
	var m iso.Message
	if err := b.cfg.Dialect.Build(op, &v, &m); err != nil {
		return fmt.Errorf("banksim: %s: %w", op, err)
	}
	frame, err := l.seal(nil, &m, sealing{})
	if err != nil {
		return fmt.Errorf("banksim: %s: %w", op, err)
	}
	switch op {
	case iso.OpSignOn:
		l.signedOn.Store(true)
	case iso.OpSignOff:
		l.signedOn.Store(false)
	}
	if l.put(frame) {
		b.stats.ownMessages.Add(1)
		l.kick()
	}
	return nil
}

// everyLink sends one network message of the bank's own on all links.
func (b *Bank) everyLink(op iso.Operation) error {
	if !b.cfg.Dialect.Supports(op) {
		return fmt.Errorf("banksim: dialect %s has no %s", b.cfg.Dialect.ID(), op)
	}
	for _, l := range b.liveLinks() {
		if err := b.startNetwork(l, op); err != nil {
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
	if l.signedOn.Load() && b.cfg.Dialect.Supports(iso.OpEcho) && b.mode.Load().name != ModeMute {
		if err := b.startNetwork(l, iso.OpEcho); err != nil {
			b.cfg.Logger.Warn("the bank's own echo cannot be built")
			return
		}
	}
	b.clock.after(b.cfg.EchoInterval, true, due{link: l, act: actEcho})
}
