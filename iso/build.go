package iso

import (
	"slices"
	"time"
)

// program builds one message.
type program struct {
	mti   MTI
	steps []step
	has   uint64 // a bit for each source that the steps and their tags take

	chip []uint32 // tags of chip data that it may have, in their order

	demands []demand // rules of the bank that go beyond the fields
}

type step struct {
	field    int
	source   source
	optional bool
	constant string
	layout   *layout
	parts    []partStep
}

// inputs are what one run of a program reads.
type inputs struct {
	op   Operation
	code string   // network_code
	req  *Message // the message answered, nil for a request
	v    *Values
	chip []uint32 // the program's
	// page is that of the field that is being built.
	page *page
}

const maxAmount = 999_999_999_999

// arenaRoom is what a message is given at its first use.
const arenaRoom = 256

// Build resets m and fills it with the operation's message. The error is
// ErrOperation or a *FieldError. What Values leave empty is left out where the
// dialect says optional, and an error elsewhere.
func (d *Dialect) Build(op Operation, v *Values, m *Message) error {
	m.Reset()
	if !d.Supports(op) {
		return ErrOperation
	}
	return d.run(&d.requests[op], inputs{op: op, code: d.network[op], v: v}, m, nil)
}

// Rehearse is Build for people: it goes on past every rule that fails and returns
// them all, and the fields that are given anew to each message (trace and
// reference numbers, times). A field that fails is left out of m. REQUIRES: the
// dialect supports op.
func (d *Dialect) Rehearse(op Operation, v *Values, m *Message) (fresh []int, faults []*FieldError) {
	m.Reset()
	p := &d.requests[op]
	_ = d.run(p, inputs{op: op, code: d.network[op], v: v}, m, &faults) // with faults it has no error
	for i := range p.steps {
		switch p.steps[i].source {
		case srcSTAN, srcRRN, srcTransmissionTime, srcLocalTime, srcLocalDate, srcLocalDateTime, srcLocalDateTimeCentury,
			srcSettlementDate, srcSettlementDateYear, srcSettlementDateCentury:
			fresh = append(fresh, p.steps[i].field)
		}
	}
	return fresh, faults
}

// Answer resets m and fills it with the answer to req. v gives ResponseCode,
// ApprovalCode, SentAt (the settlement date) and Amount (0: as asked). A field
// the dialect echoes is left out when req has none. The error is ErrOperation
// when the dialect defines no answer, or a *FieldError.
func (d *Dialect) Answer(req *Message, v *Values, m *Message) error {
	m.Reset()
	if !req.MTI.ExpectsAnswer() {
		return ErrOperation
	}
	c := d.class(req.MTI.Response())
	if c == nil {
		return ErrOperation
	}
	return d.run(&c.program, inputs{req: req, v: v}, m, nil)
}

// run fills m. It ends at the first rule that fails, unless faults gathers them.
func (d *Dialect) run(p *program, in inputs, m *Message, faults *[]*FieldError) error {
	m.grow(arenaRoom)
	in.chip = p.chip
	for i := range p.steps {
		s := &p.steps[i]
		if s.source >= srcRare && s.optional && in.v.Carried == nil && in.v.Secrets == nil {
			continue
		}
		start := len(m.arena)
		in.page = d.codec.fields[s.field].page
		var broken rule
		if m.arena, broken = d.appendStep(m.arena, s, in); broken == ruleNone && len(m.arena) == start {
			if s.optional || s.source == srcEcho {
				continue
			}
			broken = ruleMissing
		}
		if broken == ruleNone && s.source != srcEcho {
			m.arena, broken = d.codec.fields[s.field].fit(m.arena, start, s.source)
		}
		if broken != ruleNone {
			fault := &FieldError{s.field, ruleTexts[broken]}
			if faults == nil {
				m.Reset()
				return fault
			}
			*faults = append(*faults, fault)
			m.arena = m.arena[:start]
			continue
		}
		m.place(s.field, start)
	}
	m.MTI = p.mti
	for i := range p.demands {
		fault := p.demands[i].check(in.v, m)
		switch {
		case fault == nil:
		case faults == nil:
			m.Reset()
			return fault
		default:
			*faults = append(*faults, fault)
		}
	}
	return nil
}

func (d *Dialect) appendStep(dst []byte, s *step, in inputs) ([]byte, rule) {
	switch s.source {
	case srcConst:
		return append(dst, s.constant...), ruleNone
	case srcEcho:
		return append(dst, in.req.Get(s.field)...), ruleNone
	case srcParts:
		return d.appendParts(dst, s.layout, s.parts, in)
	case srcAmount:
		if in.req != nil && in.v.Amount == 0 {
			return append(dst, in.req.Get(s.field)...), ruleNone
		}
	case srcMoney:
		if in.req != nil {
			return appendAnswered(dst, in.req.Get(s.field), in.v.Amount)
		}
	}
	return d.appendSource(dst, s.source, in)
}

// fit checks the value that begins at start by the field's class, cuts a name
// that is too long, and pads a fixed field.
func (f *fieldCodec) fit(arena []byte, start int, src source) ([]byte, rule) {
	value := arena[start:]
	if src == srcNameLocation && len(value) > int(f.max) {
		arena = arena[:start+int(f.max)]
		value = arena[start:]
	}
	if len(value) > int(f.max) {
		return arena, ruleLength
	}
	if !f.allows(value) {
		return arena, ruleClass
	}
	if f.trim {
		return arena[:start+f.trimmed(value)], ruleNone
	}
	if f.prefix != prefixNone || f.open || len(value) == int(f.max) {
		return arena, ruleNone
	}
	missing := int(f.max) - len(value)
	if f.class == classB || f.class == classSign {
		return arena, ruleLength
	}
	for range missing {
		arena = append(arena, f.pad)
	}
	if f.padLeft {
		value = arena[start:]
		copy(value[missing:], value[:len(value)-missing])
		for i := range missing {
			value[i] = f.pad
		}
	}
	return arena, ruleNone
}

// class is what a field may hold (ISO 8583 attributes).
type class uint8

const (
	classN    class = iota + 1 // digits
	classAN                    // letters, digits, space
	classANS                   // printable ASCII
	classB                     // bytes
	classZ                     // track data
	classSign                  // C or D, then digits
)

var classNames = []string{"n", "an", "ans", "b", "z", "x+n"}

func (c class) allows(value []byte) bool {
	switch c {
	case classN:
		return digitsOnly(value)
	case classAN:
		return !slices.ContainsFunc(value, func(ch byte) bool {
			return !isDigit(ch) && ch != ' ' && (ch|0x20 < 'a' || ch|0x20 > 'z')
		})
	case classANS, classZ:
		return !slices.ContainsFunc(value, func(ch byte) bool { return ch < ' ' || ch > '~' })
	case classSign:
		return len(value) > 0 && (value[0] == 'C' || value[0] == 'D') && digitsOnly(value[1:])
	}
	return true
}

// allows reports whether the field can hold the value, but for its length.
func (f *fieldCodec) allows(value []byte) bool {
	switch {
	case f.form == formNibble:
		return !slices.ContainsFunc(value, func(ch byte) bool { return ch < '0' || ch > '>' })
	case f.page != nil && !f.page.ebcdic():
		return !slices.ContainsFunc(value, func(ch byte) bool { return ch < ' ' || ch == 0x7F })
	}
	return f.class.allows(value)
}

// rrnPart is one run of a letter in the reference number's pattern.
type rrnPart struct {
	kind byte
	n    int
}

// STAN is the trace number of the seq-th message: seq modulo 999999, plus 1.
func (d *Dialect) STAN(seq uint64) STAN { return STAN(seq%stanMax + 1) }

// RRN is the retrieval reference number (DE37) of the seq-th message by the
// dialect's pattern, with dates in UTC. It allocates the text it returns.
func (d *Dialect) RRN(seq uint64, at time.Time) string {
	var buf [16]byte
	out := buf[:0]
	at = at.UTC()
	for _, p := range d.rrn {
		switch p.kind {
		case 'Y':
			out = appendDigits(out, uint64(at.Year()), 1)
		case 'D':
			out = appendDigits(out, uint64(at.YearDay()), 3)
		case 'h':
			out = appendPair(out, at.Hour())
		case 'S':
			out = d.STAN(seq).Append(out)
		case 'N':
			out = appendDigits(out, seq, p.n)
		}
	}
	return string(out)
}
