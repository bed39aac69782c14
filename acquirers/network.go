package acquirers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

const classNetwork = 8

// The field of a response code, and the codes of the 1987 edition for a request of the bank's own
// that is no network management (reference/iso8583.md section 3.9).
const (
	fieldResponseCode = 39
	codeUnsupported   = "40"
)

// effect is what a request of the bank's own changes here.
type effect struct {
	offer  *iso.KeyOffer // a new key of ours, in the answer
	before func()        // done before its answer is queued
	after  func()        // done when its answer is queued
}

var nothing effect

// decide chooses the answer to a request of the bank's own and what happens
// once it is built: a bank that signs off gets nothing behind the answer, one
// that signs on gets nothing before it. Only what this side really does is answered as done: the
// dialect's steps, and no business request of a bank.
func (l *line) decide(m *iso.Message) (code string, do effect) {
	if m.MTI.Class() == classNetwork {
		if s := l.version.dialect.StepOf(m, false); s != nil {
			return l.follow(s, m)
		}
		l.unserved(m)
		return l.version.dialect.NetworkRefused(), nothing
	}
	l.unserved(m)
	return l.version.dialect.CodeLike(m.MTI.Response(), codeUnsupported), nothing
}

// unserved counts and tells of a request of the bank's own that nothing is done about.
func (l *line) unserved(m *iso.Message) {
	l.bank.metrics.refusedRequests.Add(1)
	l.bank.aside.alarm("request_refused", fmt.Sprintf("link %d: type %s is not served here", l.link.number, m.MTI))
}

// follow decides on a step that the bank starts. A new key of the bank's is taken before it is answered: the answer
// is the first message under it. One of ours is in the answer, and taken when the bank uses it.
func (l *line) follow(s *iso.NetworkStep, m *iso.Message) (code string, do effect) {
	b := l.bank
	var err error
	switch s.Key {
	case iso.KeyInRequest:
		err = l.takeKey(m)
	case iso.KeyInAnswer:
		do.offer, _, err = l.offerKey()
	}
	if err != nil {
		b.aside.alarm("key_change", fmt.Sprintf("link %d: step %s: %s", l.link.number, s.Name, err))
		return l.version.dialect.NetworkRefused(), nothing
	}
	l.version.steps[s.Name].Add(1)
	switch s.Effect {
	case iso.EffectSignOn:
		do.after = func() { l.bankSigned(true) }
	case iso.EffectSignOff:
		do.before = func() { l.bankSigned(false) }
	case iso.EffectCutOver:
		at := l.readAt
		do.before = func() { b.aside.cutOver(at) }
	case iso.EffectTakeKey:
		slot := l.version.keySlot()
		do.before = func() { b.takeOffer(slot, "the bank says so") }
	}
	return l.version.dialect.StepGranted(s), do
}

// bankSigned follows the bank's own sign-on and sign-off.
func (l *line) bankSigned(on bool) {
	l.signedOff.Store(!on)
	if on {
		signal(l.welcomed)
	} else {
		l.bank.aside.alarm("bank_signed_off", fmt.Sprintf("link %d", l.link.number))
	}
	l.bank.refresh()
}

// step makes one exchange of a step that we start, on the line. It returns an error that says what
// went wrong, and whether the bank answered at all.
func (l *line) step(s *iso.NetworkStep, timeout time.Duration) (answered bool, err error) {
	b := l.bank
	seq, err := b.hooks.NextSeq()
	if err != nil {
		b.aside.alarm("trace_numbers", "no trace number for "+s.Name)
		return false, errNoTrace
	}
	now := time.Now()
	v := iso.Values{STAN: l.version.dialect.STAN(seq), RRN: l.version.dialect.RRN(seq, now.UTC()), SentAt: now.UTC(), LocalAt: now,
		Acquirer: b.cfg.Institution, Forwarder: b.cfg.Institution}
	x := Exchange{Request: new(iso.Message)}
	if err := l.version.dialect.BuildStep(s, &v, x.Request); err != nil {
		return false, fmt.Errorf("%s cannot be built: %w", s.Name, err)
	}
	fresh := false
	if s.Key == iso.KeyInRequest {
		var offer *iso.KeyOffer
		if offer, fresh, err = l.offerKey(); err != nil {
			return false, err
		}
		l.version.dialect.SetKeyOffer(x.Request, *offer)
	}
	switch fate := b.exchange(&x, way{line: l}, timeout); fate {
	case Answered:
		return true, l.answered(s, x.Answer, fresh)
	case Refuted:
		return true, fmt.Errorf("the answer to %s does not match it: %s", s.Name, x.Cause)
	default:
		return false, fmt.Errorf("no answer to %s: %s", s.Name, x.Cause)
	}
}

// answered does what the answer to a step of ours means; fresh: the bank saw the key in it for the first time.
func (l *line) answered(s *iso.NetworkStep, answer *iso.Message, fresh bool) error {
	code := string(answer.Get(fieldResponseCode))
	granted := l.version.dialect.StepDone(s, code)
	switch {
	case !granted && fresh:
		l.bank.withdrawOffer(l.version.keySlot())
		fallthrough
	case !granted:
		return fmt.Errorf("%s refused with code %s", s.Name, printable(code))
	case s.Key == iso.KeyInRequest:
		l.bank.takeOffer(l.version.keySlot(), "the bank took it")
	case s.Key == iso.KeyInAnswer:
		return l.takeKey(answer)
	}
	return nil
}

var errNoTrace = errors.New("no trace numbers")

// printable lets a response code into a text only when it looks like one.
func printable(code string) string {
	if len(code) < 2 || len(code) > 4 {
		return "of a wrong length"
	}
	for _, c := range []byte(code) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return "that is none"
		}
	}
	return code
}

// signOn makes the line ready for traffic: the bank's sign-on where it is awaited, then the steps that
// the dialect has us start on a new link. The last is an echo in most, because a host may accept a
// sign-on and not work.
func (l *line) signOn() error {
	b := l.bank
	if b.cfg.AwaitSignOn {
		l.link.note(stateSigningOn, "")
		if err := l.awaitSignOn(); err != nil {
			return err
		}
	}
	for _, s := range l.version.dialect.OnConnect() {
		switch {
		case s.Effect == iso.EffectSignOn && !b.cfg.SignOn:
			continue
		case s.Effect == iso.EffectSignOn:
			l.link.note(stateSigningOn, "")
		}
		if err := l.start(s); err != nil {
			return err
		}
	}
	return nil
}

// start makes a step of ours on a new line. A change of keys is one at a time over all lines.
func (l *line) start(s *iso.NetworkStep) error {
	if s.Key != iso.KeyNowhere {
		l.bank.changing.Lock()
		defer l.bank.changing.Unlock()
	}
	answered, err := l.step(s, l.version.cfg.EchoTimeout)
	if answered && s.Name == iso.OpEcho.String() {
		l.lastEcho.Store(time.Now().UnixNano())
	}
	return err
}

// awaitSignOn waits for the bank's sign-on, which the reader answers.
func (l *line) awaitSignOn() error {
	timer := time.NewTimer(l.version.cfg.EchoInterval)
	defer timer.Stop()
	select {
	case <-l.welcomed:
		return nil
	case <-l.gone:
		return errNoSignOn
	case <-timer.C:
		return errNoSignOn
	}
}

var errNoSignOn = errors.New("the bank did not sign on")

// watch echoes whenever the bank was silent for EchoInterval, or is doubted, and returns when
// the line is gone, or ctx ends, or EchoMisses echoes in a row met nothing but
// silence.
func (l *line) watch(ctx context.Context) {
	c := &l.version.cfg
	timer := time.NewTimer(c.EchoInterval)
	defer timer.Stop()
	for misses, asked := 0, false; ; {
		select {
		case <-l.gone:
			return
		case <-ctx.Done():
			return
		case <-l.dismissed:
			return
		case <-l.doubted:
			asked = true
		case <-timer.C:
		}
		silent := time.Since(time.Unix(0, l.lastRead.Load()))
		if silent < c.EchoInterval && !asked {
			misses = 0
			timer.Reset(c.EchoInterval - silent)
			continue
		}
		heard := l.lastRead.Load()
		err := errNoEcho
		if l.version.echo != nil {
			err = l.start(l.version.echo)
		}
		switch {
		case errors.Is(err, errNoTrace), l.lastRead.Load() != heard:
			misses, asked = 0, false
			timer.Reset(c.EchoInterval)
			continue
		case errors.Is(err, errNoEcho):
			asked = false
			timer.Reset(c.EchoInterval)
			continue
		}
		if misses++; misses >= c.EchoMisses {
			if !l.isGone() {
				l.bank.aside.alarm("echo_missed", fmt.Sprintf("link %d", l.link.number))
			}
			l.fail("the bank is silent")
			return
		}
		timer.Reset(0)
	}
}

var errNoEcho = errors.New("the dialect has no echo")
