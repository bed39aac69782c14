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
	for n := range d.codec.fields {
		if f := &d.codec.fields[n]; (n == 35 || n == 36 || n == 45) && f.form != 0 && f.mask == maskNone || n == 52 && f.form != 0 && f.mask == maskNone {
			say("field %d may hold track data or a PIN block and has no mask; write mask: track, pin or secret", n)
		}
	}
	return out
}
