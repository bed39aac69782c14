package banksim

import (
	"bytes"
	"cmp"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// serve decides on one message of the switch: the walk from bytes to an answer.
func (l *link) serve(frame, body []byte) {
	st := &l.bank.stats
	st.frames.Add(1)
	if err := l.bank.cfg.Dialect.Decode(body, &l.req); err != nil {
		st.undecodable.Add(1)
		return
	}
	if l.mode.name == ModeMute && !l.mode.book {
		st.muted.Add(1)
		return
	}
	if err := l.bank.cfg.Dialect.CheckMAC(frame, &l.req, iso.ToBank, l.bank.keys); err != nil {
		st.forged.Add(1)
		l.refuse(cmp.Or(l.bank.cfg.Dialect.ForgedAnswer(), l.bank.cfg.Codes.WrongMAC))
		return
	}
	class, function := l.req.MTI.Class(), l.req.MTI.Function()
	switch {
	case class == 8:
		l.serveNetwork()
	case function != 0 && function != 2 || class != 1 && class != 2 && class != 4:
		st.ignored.Add(1)
	case !l.signedOn.Load() && !l.bank.cfg.AllowBeforeSignOn && l.bank.signsOn:
		st.notSignedOn.Add(1)
		l.refuse(l.bank.cfg.Codes.NotSignedOn)
	case class == 4:
		l.serveReversal()
	default:
		l.serveRequest()
	}
}

// refuse answers with a code and books nothing.
func (l *link) refuse(code string) {
	p := Plan{Code: code}
	l.answer(&p, verdict{code: code})
}

// serveRequest books and answers an authorization or financial request, or an
// advice.
func (l *link) serveRequest() {
	codes := &l.bank.cfg.Codes
	var f facts
	if !l.read(&f) {
		l.bank.stats.formatErrors.Add(1)
		l.refuse(codes.FormatError)
		return
	}
	var card *TestCard
	if l.bank.cfg.Dialect.See(&l.req, &l.seen); l.seen != (iso.Seen{}) {
		f.seen = &l.seen
	}
	p := &l.decided
	if own := l.readCard(&f, &card); own != "" {
		*p = Plan{Code: own}
	} else {
		*p = l.plan(&f, card)
	}
	if f.seen != nil && l.seen.PIN && approves(p.Code) {
		if code := l.bank.judge(l.bank.cfg.Dialect.PINBlock(&l.req), l.req.Get(2)); code != "" {
			*p = Plan{Code: code}
		}
	}
	l.script(p, card)
	if p.Fault == FaultCutUnseen {
		l.bank.stats.forgotten.Add(1)
		l.cutting = true
		return
	}
	p.Delay += l.think()
	v := l.bank.books.request(&f, p, p.Delay == 0 && l.mode.name != ModeMute && p.Fault.answersAtOnce())
	if card != nil && card.refund != nil && v.replay {
		p.Fault = FaultNone
	}
	v.silent = v.silent || card != nil && card.lostOnce && f.kind != kindCharge && !v.replay
	if card != nil && card.refuseAgain && f.kind != kindCharge && v.replay {
		v.code = codes.NoOriginal
	}
	l.answer(p, v)
}

// plan is what card, amount and mode say, in rising order of right.
func (l *link) plan(f *facts, card *TestCard) Plan {
	codes := &l.bank.cfg.Codes
	p := Plan{}
	if card != nil {
		switch p = card.plan; {
		case f.kind == kindCapture && card.capture != nil:
			p = *card.capture
		case f.kind == kindRefund && card.refund != nil:
			p = *card.refund
		case f.kind == kindIncrement && card.raise != nil:
			p = *card.raise
		}
		if card.half && f.kind == kindCharge && f.amount > 1 {
			p.Amount, p.Code = f.amount/2, codes.Partial
		}
		if card.demand != nil && f.kind == kindCharge {
			p.Code = card.demand(l.bank.books.gave(l.seen.InitialTransactionID, f), &l.seen)
		}
		if card.amounts && l.bank.cfg.AmountTriggers {
			trigger(f.amount, &p)
		}
	}
	if l.mode.name == ModeDecline {
		p = Plan{Code: l.mode.code}
	}
	if p.Code == "" {
		p.Code = codes.Approved
	}
	return p
}

// serveReversal books and answers a reversal request or advice.
func (l *link) serveReversal() {
	codes := &l.bank.cfg.Codes
	var f facts
	if !l.read(&f) || !l.readOriginal(&f) {
		l.bank.stats.formatErrors.Add(1)
		l.refuse(codes.FormatError)
		return
	}
	var card *TestCard
	if own := l.readCard(&f, &card); own == codes.FormatError {
		f.panLen = 0
	}
	p := &l.decided
	*p = Plan{}
	if card != nil {
		*p = card.reversal
	}
	if p.Code == "" {
		p.Code = codes.Approved
	}
	l.script(p, card)
	if p.Fault == FaultCutUnseen {
		l.bank.stats.forgotten.Add(1)
		l.cutting = true
		return
	}
	p.Delay += l.think()
	v := l.bank.books.reversal(&f, p)
	v.silent = card != nil && (card.lostAck || card.lostOnce) && v.first
	if card != nil && card.refuseAgain && !v.first {
		v.code = codes.NoOriginal
	}
	v.seq = 0
	l.answer(p, v)
}

func (l *link) script(p *Plan, card *TestCard) {
	if l.bank.cfg.Script == nil {
		return
	}
	l.bank.stats.scripted.Add(1)
	l.bank.cfg.Script(&Ask{Message: &l.req, Link: l.id, Card: card}, p)
	p.Delay = max(p.Delay, 0)
	if !validCode(p.Code) {
		p.Code = l.bank.cfg.Codes.FormatError
	}
}

// think is how long the bank takes over this answer.
func (l *link) think() time.Duration {
	if l.mode.jitter > 0 {
		return l.mode.delay + l.bank.clock.draw(l.mode.jitter)
	}
	return l.mode.delay
}

// read takes the facts that every request and reversal must have. False: one is
// missing or not a number.
func (l *link) read(f *facts) bool {
	m, told := &l.req, &l.facts
	if !l.bank.cfg.Dialect.Facts(m, told) {
		return false
	}
	*f = facts{mti: m.MTI, amount: told.Amount, merchant: trimSpace(m.Get(42)), at: l.now.UnixNano()}
	f.id = identity{class: m.MTI.Class(), stan: told.STAN, de7: cut(told.SentAt, 10),
		rrn: cut(trimSpace(m.Get(37)), 12), terminal: trimSpace(m.Get(41))}
	named := told.Original.MTI != 0
	switch {
	case bytes.HasPrefix(m.Get(3), []byte("2")):
		f.kind = kindRefund
	case m.MTI.Function() == 2 && named:
		f.kind = kindCapture
	case m.MTI.Class() == 1 && named:
		f.kind = kindIncrement
	case m.MTI.Class() == 1 && told.Amount == 0:
		f.kind = kindVerification
	}
	if o := &told.Original; f.kind != kindCharge && named {
		f.original = identity{class: o.MTI.Class(), stan: o.STAN, de7: o.SentAt}
	}
	return true
}

// readOriginal replaces the identity by that of the original data elements and
// reads what stays.
func (l *link) readOriginal(f *facts) bool {
	o := &l.facts.Original
	if o.MTI == 0 {
		return false
	}
	f.mti, f.id.class, f.id.stan, f.id.de7 = o.MTI, o.MTI.Class(), o.STAN, o.SentAt
	if f.kind == kindCapture {
		f.kind = kindCharge
	}
	f.actual = max(l.facts.Replacement, 0)
	return true
}

// readCard takes currency and card. It returns the bank's own refusal, or "".
func (l *link) readCard(f *facts, card **TestCard) string {
	codes := &l.bank.cfg.Codes
	cur := l.facts.Currency
	if len(cur) != 3 {
		return codes.FormatError
	}
	if [3]byte(cur) != l.currency.text {
		l.currency.text = [3]byte(cur)
		l.currency.number, l.currency.isKnown = known(cur)
	}
	f.currency = l.currency.number
	digits := l.req.Get(2)
	if digits == nil {
		return codes.FormatError
	}
	if _, err := iso.ParsePAN(digits); err != nil {
		return codes.BadCard
	}
	first, _ := number(digits[:6])
	last, _ := number(digits[len(digits)-4:])
	f.bin, f.last4, f.panLen = uint32(first), uint16(last), uint8(len(digits))
	if !l.currency.isKnown {
		return codes.BadCurrency
	}
	*card = cardByNumber[string(digits)]
	return ""
}

func trimSpace(b []byte) []byte { return bytes.TrimRight(b, " ") }

func cut(b []byte, n int) []byte {
	if len(b) > n {
		return b[:n]
	}
	return b
}
