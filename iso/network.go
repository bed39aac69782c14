package iso

import (
	"bytes"
	"slices"
)

// NetworkEffect is what a network management message of the bank's changes here.
type NetworkEffect uint8

// The effects.
const (
	EffectNone    NetworkEffect = iota
	EffectSignOn                // traffic may flow on the link
	EffectSignOff               // nothing is sent on the link until a sign-on
	EffectCutOver               // the bank's business day ends
	EffectTakeKey               // the bank has the key that we made and uses it
)

// KeyPlace says where in a network management exchange a new key is.
type KeyPlace uint8

// The places.
const (
	KeyNowhere KeyPlace = iota
	KeyInRequest
	KeyInAnswer
)

// NetworkStep is one network management message of a dialect, as its file says in
// network.steps. Read only.
type NetworkStep struct {
	Name   string
	Code   string        // in the field that takes network_code: 70, or 24 in the editions of 1993 and 2003
	Ours   bool          // we may start it
	Theirs bool          // the bank may
	Effect NetworkEffect // of one that the bank starts
	Key    KeyPlace      // where the new key is; whoever sends that message made it

	program program
	field   int      // of the code
	done    []string // answers that grant it; nil: those of network.done
}

// NetworkSteps are the dialect's network management messages, in the order of its file.
func (d *Dialect) NetworkSteps() []*NetworkStep { return d.steps }

// NetworkStep finds a step by its name; nil: there is none.
func (d *Dialect) NetworkStep(name string) *NetworkStep {
	if i := slices.IndexFunc(d.steps, func(s *NetworkStep) bool { return s.Name == name }); i >= 0 {
		return d.steps[i]
	}
	return nil
}

// OnConnect are the steps that we start on a new link, in order, before anything else.
func (d *Dialect) OnConnect() []*NetworkStep { return d.connect }

// OnClose are the steps that we start before we close a link.
func (d *Dialect) OnClose() []*NetworkStep { return d.close }

// StepOf finds the step that a request is, of those that we may start or of those of the
// bank, by its type and code. nil: it is none.
func (d *Dialect) StepOf(m *Message, ours bool) *NetworkStep {
	mti := m.MTI.Normal()
	for _, s := range d.steps {
		if (ours && s.Ours || !ours && s.Theirs) && s.program.mti == mti && string(bytes.TrimRight(m.Get(s.field), " ")) == s.Code {
			return s
		}
	}
	return nil
}

// BuildStep is Build for a step. A new key is put in by SetKeyOffer.
func (d *Dialect) BuildStep(s *NetworkStep, v *Values, m *Message) error {
	m.Reset()
	return d.run(&s.program, inputs{op: OpEcho, code: s.Code, v: v}, m, nil)
}

// StepDone reports whether a response code grants the step.
func (d *Dialect) StepDone(s *NetworkStep, code string) bool {
	if s.done != nil {
		return slices.Contains(s.done, code)
	}
	return d.NetworkDone(code)
}

// StepGranted is the code that an answer grants the step with.
func (d *Dialect) StepGranted(s *NetworkStep) string {
	if len(s.done) > 0 {
		return s.done[0]
	}
	return d.CodeLike(s.program.mti.Response(), "00")
}

// NetworkRefused is the code of the answer to a network management request that is no
// step, or whose step fails.
func (d *Dialect) NetworkRefused() string { return d.says.noStep }

// NetworkDone reports whether a response code grants what a network management
// message asked for, unless its step says otherwise.
func (d *Dialect) NetworkDone(code string) bool {
	return d.granted[code] || d.granted == nil && d.Code(code).Approved
}
