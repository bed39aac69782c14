package banksim

import (
	"time"

	"github.com/tranzit/tranzit/iso"
)

// answer builds the answer to l.req and sends, delays, spoils or loses it as
// planned. v.seq names the entry whose answer it is; 0 = none.
func (l *link) answer(p *Plan, v verdict) {
	if l.mode.name == ModeMute {
		l.bank.stats.muted.Add(1)
		return
	}
	if v.silent || p.Fault == FaultNoAnswer {
		return
	}
	if p.Fault == FaultCut {
		l.cutAfter(nil, p.Delay)
		return
	}
	frame, ok := l.build(p, &v)
	if !ok {
		l.bank.stats.unbuilt.Add(1)
		return
	}
	wait, exact := p.Delay, false
	if p.Fault == FaultLate {
		wait, exact = wait+l.bank.cfg.LateBy, true
	}
	switch p.Fault {
	case FaultGarbled:
		l.garble(frame)
	case FaultCutHalf:
		l.cutAfter(frame[:len(frame)/2], p.Delay)
		return
	case FaultPieces:
		l.flush()
		l.bank.clock.after(wait, exact, due{link: l, frame: frame, entry: v.seq, act: actSplit})
		return
	case FaultDuplicate:
		l.scratch = append(l.scratch, frame...)
		frame = l.scratch
	}
	if wait == 0 {
		l.batch = append(l.batch, frame...)
		return
	}
	l.bank.clock.after(wait, exact, due{link: l, frame: frame, entry: v.seq})
}

// build makes the answer's frame in l.scratch.
func (l *link) build(p *Plan, v *verdict) ([]byte, bool) {
	d := l.bank.cfg.Dialect
	l.values = iso.Values{ResponseCode: v.code, SentAt: l.now.UTC(), Amount: v.amount}
	if v.seq != 0 && approves(v.code) {
		if v.replay {
			l.values.ApprovalCode = string(appendApproval(nil, v.seq))
		} else {
			l.values.ApprovalCode = l.approvals.code(v.seq)
		}
		if v.named {
			l.values.Carried = &iso.Carried{InitialTransactionID: networkID(v.seq)}
		}
	}
	if l.seen.EMV {
		if chip := d.Chip(&l.req); chip != nil {
			l.values.Secrets = chipAnswer(chip, v.code)
		}
	}
	if p.Fault == FaultAmount {
		amount, _ := d.Amount(&l.req)
		l.values.Amount = amount + 100
		if l.values.Amount > 999_999_999_999 {
			l.values.Amount = amount - 100
		}
	}
	if l.req.MTI.ExpectsAnswer() {
		l.values.ResponseCode = d.CodeLike(l.req.MTI.Response(), v.code)
	}
	if err := d.Answer(&l.req, &l.values, &l.ans); err != nil {
		return nil, false
	}
	if s := l.step; s != nil && s.Key == iso.KeyInAnswer && d.StepDone(s, v.code) {
		offer, err := l.bank.keys.offer(d)
		if err != nil {
			return nil, false
		}
		d.SetKeyOffer(&l.ans, offer)
	}
	if p.Fault == FaultSTAN {
		stan := l.ans.Get(11)
		n, _ := number(stan)
		l.ans.Set(11, appendDigits(nil, uint64((n+499999)%999999+1), len(stan)))
	}
	frame, err := l.seal(l.scratch[:0], &l.ans, sealing{to: l.header, wrong: p.Fault == FaultMAC})
	if err != nil {
		return nil, false
	}
	l.scratch = frame
	return frame, true
}

// garble spoils MTI and bitmap and leaves the framing whole.
func (l *link) garble(frame []byte) {
	body, _, err := l.bank.cfg.Dialect.NextFrame(frame)
	if err != nil {
		return
	}
	for i := range min(len(body), 12) {
		body[i] = 0xFF
	}
}

// cutAfter writes the bytes, if any, and cuts the link.
func (l *link) cutAfter(frame []byte, wait time.Duration) {
	if wait > 0 {
		l.bank.clock.after(wait, true, due{link: l, frame: frame, act: actCut})
		return
	}
	l.batch = append(l.batch, frame...)
	l.cutting = true
}

// code is the approval code of an entry, cut from a text of many.
func (a *approvals) code(seq uint32) string {
	const many = 256
	at := seq % many
	if block := seq - at; a.text == "" || block != a.block {
		a.buf = a.buf[:0]
		for i := range uint32(many) {
			a.buf = appendApproval(a.buf, block+i)
		}
		a.text, a.block = string(a.buf), block
	}
	return a.text[at*6 : at*6+6]
}
