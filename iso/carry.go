package iso

import (
	"bytes"
	"fmt"
	"slices"
)

// wordsOf are the words of the sources whose values are codes of the bank. The
// first word of the channels, and the empty one of the others, is the zero value.
var wordsOf = [srcCount][]string{
	srcEntryMode: channelNames, srcCondition: channelNames, srcCredential: credentialNames, srcWallet: walletNames,
	srcInstalmentType: instalmentTypeNames, srcPartial: {"", "accepted"}, srcECI: eciNames,
}

// eciNames are the indicators that the card schemes' rules of 3-D Secure give.
var eciNames = []string{"", "00", "01", "02", "05", "06", "07"}

// eciCode is what the bank is told for an indicator: itself, unless the dialect has
// codes; empty when those lack one for it.
func (d *Dialect) eciCode(eci string) string {
	if d.coded[srcECI] == nil || eci == "" {
		return eci
	}
	return d.code(srcECI, uint8(max(slices.Index(eciNames, eci), 0)))
}

// code is the bank's code for the n-th word of a source, empty when it has none.
func (d *Dialect) code(src source, n uint8) string {
	if codes := d.coded[src]; int(n) < len(codes) {
		return codes[n]
	}
	return ""
}

// appendCarried appends one value of Carried or Secrets; nothing when it is absent.
func (d *Dialect) appendCarried(dst []byte, src source, v *Values) []byte {
	if x := v.Secrets; x != nil {
		switch src {
		case srcCryptogram:
			return x.Cryptogram.Append(dst)
		case srcTrack2:
			return x.Track2.Append(dst)
		case srcEMV:
			return x.EMV.Append(dst)
		case srcPINBlock:
			return x.PINBlock.Append(dst)
		case srcPINControl:
			if !x.PINBlock.IsZero() {
				return append(dst, d.pin.control...)
			}
		}
	}
	c := v.Carried
	if c == nil {
		return dst
	}
	switch src {
	case srcCredential:
		return append(dst, d.code(src, uint8(c.Credential))...)
	case srcNetworkTransactionID:
		return append(dst, c.InitialTransactionID...)
	case srcThreeDSVersion:
		return append(dst, c.ThreeDSVersion...)
	case srcTokenRequestor:
		return append(dst, c.TokenRequestor...)
	case srcWallet:
		return append(dst, d.code(src, uint8(c.Wallet))...)
	case srcInstalmentCount:
		if c.Instalments.Count != 0 {
			return appendPair(dst, c.Instalments.Count)
		}
	case srcInstalmentPlan:
		return append(dst, c.Instalments.Plan...)
	case srcInstalmentType:
		return append(dst, d.code(src, uint8(c.Instalments.Type))...)
	case srcPartial:
		if c.AcceptPartial {
			return append(dst, d.code(src, 1)...)
		}
	case srcCardSequence:
		return append(dst, c.CardSequence...)
	}
	return dst
}

// CarryError says what a bank's message cannot tell. It never quotes a value.
type CarryError struct {
	Operation Operation
	Source    string // as the dialect file names it
	Word      string // the word it has no code for, or empty
	Unfit     bool   // it is too long for the field, or of another class
}

func (e *CarryError) Error() string {
	switch {
	case e.Unfit:
		return fmt.Sprintf("the bank's %s takes another form of %s", e.Operation, e.Source)
	case e.Word != "":
		return fmt.Sprintf("the bank's %s has no %s for %s", e.Operation, e.Source, e.Word)
	}
	return fmt.Sprintf("the bank's %s has no field for %s", e.Operation, e.Source)
}

// Carries reports whether the operation's message can tell all of v's ECI, CAVV,
// Carried and Secrets that changes what is asked of the bank. The protocol
// version and the wallet are told where there is a field, and are left out
// elsewhere. The error is a *CarryError.
func (d *Dialect) Carries(op Operation, v *Values) error {
	if !d.Supports(op) {
		return ErrOperation
	}
	needed := []source{srcECI, srcCAVV, srcNetworkTransactionID, srcCredential, srcCryptogram, srcTokenRequestor, srcInstalmentCount,
		srcInstalmentPlan, srcInstalmentType, srcTrack2, srcEMV, srcCardSequence}
	for _, src := range needed {
		if src == srcCAVV && d.requests[op].has&(1<<srcCAVVBytes) != 0 {
			src = srcCAVVBytes
		}
		if err := d.carries(op, src, v); err != nil {
			return err
		}
	}
	if c := v.Carried; c != nil && c.Channel != ChannelEcommerce {
		p, told := &d.requests[op], false
		for _, src := range [...]source{srcEntryMode, srcCondition} {
			if p.has&(1<<src) == 0 {
				continue
			}
			told = true
			if d.code(src, uint8(c.Channel)) == "" {
				return &CarryError{Operation: op, Source: sourceRules[src].name, Word: c.Channel.String()}
			}
		}
		if !told {
			return &CarryError{Operation: op, Source: sourceRules[srcEntryMode].name}
		}
	}
	return nil
}

// carries looks at one source.
func (d *Dialect) carries(op Operation, src source, v *Values) error {
	word := v.Carried.word(src)
	var buf [64]byte
	value, broken := buf[:0], ruleNone
	if word == "" {
		value, broken = d.appendSource(value, src, inputs{op: op, v: v})
	}
	defer clear(value)
	switch p := &d.requests[op]; {
	case src == srcECI && len(value) == 0 && v.ECI != "":
		return &CarryError{Operation: op, Source: sourceRules[src].name, Word: v.ECI}
	case broken != ruleNone:
		return &CarryError{Operation: op, Source: sourceRules[src].name, Unfit: true}
	case len(value) == 0 && word == "":
		return nil
	case p.has&(1<<src) == 0:
		return &CarryError{Operation: op, Source: sourceRules[src].name}
	case word != "" && d.code(src, v.Carried.number(src)) == "":
		return &CarryError{Operation: op, Source: sourceRules[src].name, Word: word}
	case src == srcEMV:
		value, broken := v.Secrets.appendChip(nil, p.chip)
		if broken != ruleNone || len(value) == 0 || !d.takes(p, src, value) {
			return &CarryError{Operation: op, Source: sourceRules[src].name, Unfit: true}
		}
	case word == "" && !d.takes(p, src, value):
		return &CarryError{Operation: op, Source: sourceRules[src].name, Unfit: true}
	}
	return nil
}

// number is the number of a source's word, 0 for none.
func (c *Carried) number(src source) uint8 {
	switch {
	case c == nil:
	case src == srcCredential:
		return uint8(c.Credential)
	case src == srcInstalmentType:
		return uint8(c.Instalments.Type)
	}
	return 0
}

func (c *Carried) word(src source) string {
	if n := c.number(src); n != 0 {
		return wordOf(wordsOf[src], n)
	}
	return ""
}

// takes reports whether a field of the program's message takes the source's value.
func (d *Dialect) takes(p *program, src source, value []byte) bool {
	for i := range p.steps {
		s := &p.steps[i]
		f := &d.codec.fields[s.field]
		if s.source == src {
			return len(value) <= int(f.max) && f.allows(value)
		}
		if s.parts == nil {
			continue
		}
		there, fits := false, false
		eachSource(s.parts, func(t *partStep) {
			if row := &t.part.row; t.source == src {
				there, fits = true, len(value) <= int(min(row.max, f.max)) && row.allows(value)
			}
		})
		if there {
			return fits
		}
	}
	return false
}

// NetworkTransactionID is the id that the card network gave the payment, as the
// dialect says an answer carries it; nil when it does not. It aliases ans.
func (d *Dialect) NetworkTransactionID(ans *Message) []byte {
	c := d.class(ans.MTI.Normal())
	if c == nil || c.program.has&(1<<srcNetworkTransactionID) == 0 {
		return nil
	}
	return bytes.TrimRight(d.find(&c.program, srcNetworkTransactionID, ans), " ")
}

// find is the value a message built by p has from a source, nil when it has none.
func (d *Dialect) find(p *program, src source, m *Message) []byte {
	for i := range p.steps {
		s := &p.steps[i]
		switch {
		case s.source == src:
			return m.Get(s.field)
		case s.parts != nil && m.Has(s.field):
			if value := partOf(s.layout, s.parts, src, m.Get(s.field)); value != nil {
				return value
			}
		}
	}
	return nil
}

// Seen is what a bank finds in a request beside the facts of every one.
type Seen struct {
	Carried
	CAVV, Cryptogram, Track2, EMV, PIN bool // it has them
}

// See reads a request as the bank does: for simulators. A code that the dialect
// does not list reads as none.
func (d *Dialect) See(m *Message, s *Seen) {
	*s = Seen{}
	p := d.asked(m)
	if p == nil {
		return
	}
	for i := range p.steps {
		step := &p.steps[i]
		if (step.source >= srcRare || step.source == srcEntryMode) && m.Has(step.field) {
			d.see(step.source, m.Get(step.field), s)
		}
		if step.parts == nil || !m.Has(step.field) {
			continue
		}
		eachSource(step.parts, func(t *partStep) {
			if t.source < srcRare && t.source != srcCAVV && t.source != srcCAVVBytes {
				return
			}
			if value := partOf(step.layout, step.parts, t.source, m.Get(step.field)); len(value) > 0 {
				d.see(t.source, value, s)
			}
		})
	}
}

// asked is the program that builds such requests.
func (d *Dialect) asked(m *Message) *program {
	for op := OpPurchase; op < opCount; op++ {
		if p := &d.requests[op]; p.mti == m.MTI.Normal() && (d.processing[op] == "" || d.processing[op] == string(m.Get(3))) {
			return p
		}
	}
	return nil
}

func (d *Dialect) see(src source, value []byte, s *Seen) {
	n := uint8(0)
	for i, code := range d.coded[src] {
		if code != "" && code == string(value) {
			n = uint8(i)
			break
		}
	}
	switch src {
	case srcEntryMode:
		s.Channel = Channel(n)
	case srcCredential:
		s.Credential = Credential(n)
	case srcNetworkTransactionID:
		s.InitialTransactionID = string(bytes.TrimRight(value, " "))
	case srcThreeDSVersion:
		s.ThreeDSVersion = string(value)
	case srcCAVV, srcCAVVBytes:
		s.CAVV = true
	case srcCryptogram:
		s.Cryptogram = true
	case srcTokenRequestor:
		s.TokenRequestor = string(value)
	case srcWallet:
		s.Wallet = Wallet(n)
	case srcInstalmentCount:
		if len(value) == 2 {
			s.Instalments.Count = int(value[0]-'0')*10 + int(value[1]-'0')
		}
	case srcInstalmentPlan:
		s.Instalments.Plan = string(value)
	case srcInstalmentType:
		s.Instalments.Type = InstalmentType(n)
	case srcPartial:
		s.AcceptPartial = n != 0
	case srcTrack2:
		s.Track2 = true
	case srcEMV:
		s.EMV = true
	case srcPINBlock:
		s.PIN = true
	case srcCardSequence:
		s.CardSequence = string(value)
	}
}
