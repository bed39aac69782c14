package acquirers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

const classNetwork = 8

// Codes of DE70 beyond those a dialect defines operations for, and the codes of
// DE39 the bank's own requests are answered with (reference/iso8583.md
// sections 3.7 and 3.9).
const (
	fieldResponseCode = 39
	fieldNetworkCode  = 70

	networkCutoverStart = "201"
	networkCutoverDone  = "202"

	codeDone        = "00"
	codeUnsupported = "40"
)

// effect is what a request of the bank's own changes here.
type effect struct {
	before func() // done before its answer is queued
	after  func() // done when its answer is queued
}

var nothing effect

// decide chooses the answer to a request of the bank's own and what happens
// once it is built: a bank that signs off gets nothing behind the answer, one
// that signs on gets nothing before it. Only what this side really does is answered as done: a key
// change where the dialect has one, and no business request of a bank.
func (l *line) decide(m *iso.Message) (code string, do effect) {
	code, do = l.decided(m)
	if m.MTI.ExpectsAnswer() {
		code = l.bank.dialect.CodeLike(m.MTI.Response(), code)
	}
	return code, do
}

// decided is decide in the codes of the 1987 edition.
func (l *line) decided(m *iso.Message) (code string, do effect) {
	b := l.bank
	if m.MTI.Class() == classNetwork {
		if s, is := b.dialect.BankKeyStep(m); is {
			return l.changeKey(m, s)
		}
		op, known := b.dialect.NetworkOperation(m)
		switch {
		case known && op == iso.OpEcho:
			return codeDone, nothing
		case known && op == iso.OpSignOn:
			return codeDone, effect{after: func() { l.bankSigned(true) }}
		case known && op == iso.OpSignOff:
			return codeDone, effect{before: func() { l.bankSigned(false) }}
		}
		if c := string(m.Get(fieldNetworkCode)); c == networkCutoverStart || c == networkCutoverDone {
			return codeDone, effect{before: func() { b.log.Info("bank cut-over", "bank", b.cfg.ID, "link", l.link.number) }}
		}
	}
	b.metrics.refusedRequests.Add(1)
	b.aside.alarm("request_refused", fmt.Sprintf("link %d: type %s is not served here", l.link.number, m.MTI))
	return codeUnsupported, nothing
}

// changeKey takes the bank's new key before it is answered: the answer is the
// first message under it.
func (l *line) changeKey(m *iso.Message, s iso.KeyStep) (code string, do effect) {
	if s.Key {
		if err := l.bank.takeKey(m); err != nil {
			l.bank.aside.alarm("key_change", fmt.Sprintf("link %d: step %s: %s", l.link.number, s.Code, err))
			return codeUnsupported, nothing
		}
	}
	return codeDone, nothing
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

// network makes one network management exchange on the line. It returns an
// error that says what went wrong, and whether the bank answered at all.
func (l *line) network(op iso.Operation, timeout time.Duration) (answered bool, err error) {
	b := l.bank
	seq, err := b.hooks.NextSeq()
	if err != nil {
		b.aside.alarm("trace_numbers", "no trace number for "+op.String())
		return false, errNoTrace
	}
	now := time.Now()
	v := iso.Values{STAN: b.dialect.STAN(seq), RRN: b.dialect.RRN(seq, now.UTC()), SentAt: now.UTC(), LocalAt: now,
		Acquirer: b.cfg.Institution, Forwarder: b.cfg.Institution}
	x := &l.own
	if x.Request == nil {
		x.Request = new(iso.Message)
	}
	if err := b.dialect.Build(op, &v, x.Request); err != nil {
		return false, fmt.Errorf("%s cannot be built: %w", op, err)
	}
	switch fate := b.exchange(x, l, timeout); fate {
	case Answered:
		code := string(x.Answer.Get(fieldResponseCode))
		if !b.dialect.NetworkDone(code) {
			return true, fmt.Errorf("%s refused with code %s", op, printable(code))
		}
		return true, nil
	case Refuted:
		return true, fmt.Errorf("the answer to %s does not match it", op)
	default:
		return false, fmt.Errorf("no answer to %s: %s", op, x.Cause)
	}
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

// signOn makes the line ready for traffic: sign-on as configured, then one
// echo, because a host may accept a sign-on and not work.
func (l *line) signOn() error {
	b := l.bank
	switch {
	case b.cfg.SignOn:
		l.link.note(stateSigningOn, "")
		if _, err := l.network(iso.OpSignOn, b.cfg.EchoTimeout); err != nil {
			return err
		}
	case b.cfg.AwaitSignOn:
		l.link.note(stateSigningOn, "")
		if err := l.awaitSignOn(); err != nil {
			return err
		}
	}
	if b.dialect.Supports(iso.OpEcho) {
		return l.echo()
	}
	return nil
}

// awaitSignOn waits for the bank's sign-on, which the reader answers.
func (l *line) awaitSignOn() error {
	timer := time.NewTimer(l.bank.cfg.EchoInterval)
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

func (l *line) echo() error {
	answered, err := l.network(iso.OpEcho, l.bank.cfg.EchoTimeout)
	if answered {
		l.lastEcho.Store(time.Now().UnixNano())
	}
	return err
}

// watch echoes whenever the bank was silent for EchoInterval, or is doubted, and returns when
// the line is gone, or ctx ends, or EchoMisses echoes in a row met nothing but
// silence.
func (l *line) watch(ctx context.Context) {
	c := &l.bank.cfg
	timer := time.NewTimer(c.EchoInterval)
	defer timer.Stop()
	for misses, asked := 0, false; ; {
		select {
		case <-l.gone:
			return
		case <-ctx.Done():
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
		if l.bank.dialect.Supports(iso.OpEcho) {
			err = l.echo()
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
