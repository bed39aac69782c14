package sim

import (
	"fmt"
	"slices"
)

// reversalRules is invariant 11, over what went over the wire and what the
// journal says of it.
func (e *evidence) reversalRules() {
	e.operationFrames()
	for _, p := range e.payments {
		frames := e.reversals(p)
		if len(frames) == 0 {
			continue
		}
		if !p.has("unknown") {
			e.broken(11, "%s was never unknown and was reversed: %s", p.name(), p.story())
		}
		firsts := 0
		for n, f := range frames {
			e.like(p, f)
			if f.mti.Origin() == 0 {
				firsts++
			}
			if f.mti.Origin() == 0 && n > 0 {
				e.broken(11, "reversal %d of %s is not marked as a repeat", n+1, p.name())
			}
			if first := frames[0]; f.field[11] != first.field[11] || f.field[7] != first.field[7] {
				e.broken(11, "reversal %d of %s has another trace number or time than the first", n+1, p.name())
			}
		}
		if firsts == 0 {
			e.hit("first_reversal_on_the_wire_is_a_repeat")
		}
		sent := 0
		for _, event := range p.events {
			if event.Type == "reversal_sent" {
				sent++
			}
		}
		if len(frames) > sent {
			e.broken(11, "%d reversals of %s went to the bank, the journal knows %d", len(frames), p.name(), sent)
		}
	}
	for _, p := range e.payments {
		e.stopsWhenAccepted(p)
	}
}

// reversals are the messages that undo a payment, save those of operations.
func (e *evidence) reversals(p *payment) (out []*frame) {
	for _, at := range p.places {
		for _, f := range e.undone[at] {
			if !slices.ContainsFunc(p.operations, func(o *operation) bool { return o.undoes() && o.stan == f.field[11] }) {
				out = append(out, f)
			}
		}
	}
	return out
}

// like: a reversal carries the data of its original.
func (e *evidence) like(p *payment, f *frame) {
	if f.field[4] != fmt.Sprintf("%012d", p.Amount) {
		e.broken(11, "the reversal of %s carries amount %s, not %d", p.name(), f.field[4], p.Amount)
	}
	mti := "0200"
	if p.ManualCapture {
		mti = "0100"
	}
	original := mti + fmt.Sprintf("%06d", uint32(p.STAN))
	if request := e.requests[place(p.bank, p.RRN)]; request != nil {
		original += request.field[7]
	} else if len(p.places) == 1 {
		original += p.CreatedAt.Format("0102150405")
	}
	if got := f.field[90]; len(got) < len(original) || got[:len(original)] != original {
		e.broken(11, "the reversal of %s names %s as its original, not %s", p.name(), got, original)
	}
	request := e.requests[place(p.bank, p.RRN)]
	if request == nil {
		e.hit("reversal_of_a_request_that_never_left")
		return
	}
	for _, n := range []int{2, 3, 41, 42, 49, 32} {
		if f.field[n] != request.field[n] {
			e.broken(11, "field %d of the reversal of %s is not its original's", n, p.name())
		}
	}
	if f.at.Before(request.at) {
		e.broken(11, "the reversal of %s left before its original", p.name())
	}
}

// stopsWhenAccepted: after an acknowledged reversal only a late approval begins
// another.
func (e *evidence) stopsWhenAccepted(p *payment) {
	accepted := false
	for _, event := range p.events {
		switch event.Type {
		case "reversed":
			accepted = true
		case "late_answer":
			accepted = false
		case "reversal_sent":
			if accepted {
				e.broken(11, "a reversal of %s was sent after one was accepted: %s", p.name(), p.story())
			}
		}
	}
}
