package iso

import (
	"fmt"
	"slices"
	"time"
)

// risks are settings that load and that have cost others money.
func (d *Dialect) risks() (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if h := d.frame.header; h != nil && h.fixed == nil && h.lengthAt < 0 {
		say("header.receive is any, so a frame of another program is taken for the bank's; write same when the bank's header is constant")
	}
	for i := range d.answers {
		c := &d.answers[i]
		if class := c.mti.Class(); class != 1 && class != 2 {
			continue
		}
		if !slices.Contains(c.key, 4) && !slices.Contains(c.equal, 4) && !slices.Contains(c.ifPresent, 4) {
			say("behaviour.verify.%q does not compare field 4; an answer to another amount would be taken", c.mti.String())
		}
		if !slices.Contains(c.key, 41) && !slices.Contains(c.equal, 41) && !slices.Contains(c.ifPresent, 41) {
			say("behaviour.verify.%q does not compare field 41; an answer to another terminal with the same trace number would be taken", c.mti.String())
		}
	}
	for _, code := range []string{"09", "68"} {
		if meaning, listed := d.codes[code]; listed && !meaning.InDoubt && !meaning.Approved {
			say("response code %s says that nothing is known yet at most banks, and is declined here; compare it with the bank's document", code)
		}
	}
	if d.unknown.Decline == "" && !d.unknown.InDoubt {
		say("responses.unknown has no decline")
	}
	if t := d.behaviour.ResponseTimeout; t > 0 && t < 5*time.Second {
		say("behaviour.timers.response is %s; issuers take up to 30s, and each payment given up is reversed", t)
	}
	if s := d.behaviour.SAF; s.Expiry > 0 && s.Expiry < 24*time.Hour {
		say("behaviour.saf.expiry is %s; a bank that is closed over a night leaves reversals to the operators", s.Expiry)
	}
	if s := d.behaviour.SAF; s.MaxAttempts > 0 && s.MaxAttempts < 5 {
		say("behaviour.saf.max_attempts is %d; an outage of minutes leaves reversals to the operators", s.MaxAttempts)
	}
	d.networkRisks(say)
	for n := range d.codec.fields {
		if f := &d.codec.fields[n]; (n == 35 || n == 36 || n == 45) && f.form != 0 && f.mask == maskNone || n == 52 && f.form != 0 && f.mask == maskNone {
			say("field %d may hold track data or a PIN block and has no mask; write mask: track, pin or secret", n)
		}
	}
	return out
}

// networkRisks are those of what runs the links and of codes.
func (d *Dialect) networkRisks(say func(format string, args ...any)) {
	may := func(steps []*NetworkStep, is func(*NetworkStep) bool) bool { return slices.ContainsFunc(steps, is) }
	theirs := func(e NetworkEffect) func(*NetworkStep) bool {
		return func(s *NetworkStep) bool { return s.Theirs && s.Effect == e }
	}
	ours := func(e NetworkEffect) func(*NetworkStep) bool {
		return func(s *NetworkStep) bool { return s.Effect == e }
	}
	if d.NetworkStep(OpEcho.String()) == nil {
		say("network.steps has no echo; a link on which the bank is silent is found by its payments only")
	} else if n := len(d.connect); n == 0 || d.connect[n-1].Name != OpEcho.String() {
		say("network.connect does not end with echo; a host that accepts a link and does not work is found by payments only")
	}
	if may(d.steps, theirs(EffectSignOff)) && !may(d.steps, theirs(EffectSignOn)) {
		say("the bank may sign off by network.steps and not sign on again; a link would stay without payments until it is made anew")
	}
	if may(d.connect, ours(EffectSignOn)) && may(d.steps, ours(EffectSignOff)) && !may(d.close, ours(EffectSignOff)) {
		say("network.connect signs on and network.close does not sign off; payments on their way when we stop may meet a bank that is not told")
	}
	if h := d.KeyHabit(); d.exchange != nil && h.Overlap < d.behaviour.ResponseTimeout {
		say("security.key_exchange.overlap is %s, shorter than behaviour.timers.response; an answer under the key before would be refused", h.Overlap)
	}
	if d.mac == nil {
		return
	}
	for op := range d.requests {
		switch p := &d.requests[op]; {
		case p.mti == 0 || p.mti.Class() == 8:
		case !d.mac.covers(p.mti, ToBank):
			say("messages.%s goes out without a code: security.mac.send does not list %s", Operation(op), p.mti)
		case !d.mac.covers(p.mti.Response(), FromBank):
			say("the answer to messages.%s is taken without a code: security.mac.receive does not list %s", Operation(op), p.mti.Response())
		}
	}
}
