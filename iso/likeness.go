package iso

import "slices"

// ends are the codes that stand first in the lists of those that end something.
type ends struct{ reversed, acknowledged, refused, network, noStep string }

// likeness asks for a code of the dialect by one of the 1987 edition.
type likeness struct {
	mti  MTI // of the answer
	code string
}

// CodeLike is the code of the dialect that says in an answer of that type what a code
// of the 1987 edition says there, so that a simulator needs the words of one edition
// only. A dialect that itself approves with 00 says the code as it is.
func (d *Dialect) CodeLike(answer MTI, code string) string {
	if _, own := d.codes[code]; own || d.codes["00"].Approved || answer.Class() == 8 && d.ofNetwork(code) {
		return code
	}
	asked := likeness{answer, code}
	if known, ok := d.likes.Load(asked); ok {
		return known.(string)
	}
	found := d.liken(asked)
	d.likes.Store(asked, found)
	return found
}

func (d *Dialect) liken(l likeness) string {
	common, err := Builtin("ascii87")
	if err != nil {
		return l.code
	}
	meaning := common.Code(l.code)
	switch class := l.mti.Class(); {
	case class == 8 && meaning.Approved && d.says.network != "":
		return d.says.network
	case class == 4 && common.ReversalAnswer(l.code) == ReversalDone:
		return d.says.reversed
	case class != 4 && class != 8 && l.mti.Function() == 3:
		switch common.AdviceAnswer(l.code) {
		case ReversalDone:
			return d.says.acknowledged
		case ReversalManual:
			return d.says.refused
		}
	}
	best, distance := "", 3
	for code, m := range d.codes {
		n := 3
		switch {
		case m.Approved != meaning.Approved || m.Partial != meaning.Partial || m.InDoubt != meaning.InDoubt:
		case m.Decline == meaning.Decline && m.Retry == meaning.Retry:
			n = 0
		case m.Decline == meaning.Decline:
			n = 1
		default:
			n = 2
		}
		if n < distance || n == distance && code < best && n < 3 {
			best, distance = code, n
		}
	}
	return best
}

// ofNetwork reports whether the dialect has the code for network management.
func (d *Dialect) ofNetwork(code string) bool {
	return d.granted[code] || code == d.says.noStep || slices.ContainsFunc(d.steps, func(s *NetworkStep) bool { return slices.Contains(s.done, code) })
}
