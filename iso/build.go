package iso

import (
	"slices"
	"time"
)

// source says which value a field takes.
type source uint8

const (
	srcConst source = iota + 1
	srcEcho
	srcTags
	srcPAN
	srcExpiry
	srcCVC
	srcAmount
	srcCurrency
	srcSTAN
	srcRRN
	srcTransmissionTime
	srcLocalTime
	srcLocalDate
	srcSettlementDate
	srcTerminal
	srcMerchant
	srcMCC
	srcNameLocation
	srcCountry
	srcAcquirer
	srcForwarder
	srcECI
	srcCAVV
	srcDSTransactionID
	srcApprovalCode
	srcResponseCode
	srcOriginal
	srcReason
	srcNetworkCode
	srcCount
)

// sourceRules name the sources as the file does and bound what they give:
// 0, 0 is free text that the field itself bounds.
var sourceRules = [srcCount]struct {
	name     string
	min, max int
}{
	srcPAN:              {"pan", panMin, panMax},
	srcExpiry:           {"expiry", 4, 4},
	srcCVC:              {"cvc", 3, 4},
	srcAmount:           {"amount", 12, 12},
	srcCurrency:         {"currency", 3, 3},
	srcSTAN:             {"stan", 6, 6},
	srcRRN:              {"rrn", 12, 12},
	srcTransmissionTime: {"transmission_time", 10, 10},
	srcLocalTime:        {"local_time", 6, 6},
	srcLocalDate:        {"local_date", 4, 4},
	srcSettlementDate:   {"settlement_date", 4, 4},
	srcTerminal:         {"terminal", 0, 0},
	srcMerchant:         {"merchant", 0, 0},
	srcMCC:              {"mcc", 4, 4},
	srcNameLocation:     {"name_location", 0, 0},
	srcCountry:          {"country", 3, 3},
	srcAcquirer:         {"acquirer", 0, 0},
	srcForwarder:        {"forwarder", 0, 0},
	srcECI:              {"eci", 0, 0},
	srcCAVV:             {"cavv", 0, 0},
	srcDSTransactionID:  {"ds_transaction_id", 0, 0},
	srcApprovalCode:     {"approval_code", 0, 0},
	srcResponseCode:     {"response_code", 0, 0},
	srcOriginal:         {"original", 42, 42},
	srcReason:           {"reason", 0, 0},
	srcNetworkCode:      {"network_code", 0, 0},
}

// program builds one message.
type program struct {
	mti   MTI
	steps []step
}

type step struct {
	field    int
	source   source
	optional bool
	constant string
	tags     []tagStep
}

type tagStep struct {
	tag    string
	source source
}

// tagForm is how a private field lists its parts: tag, length, value, all in ASCII.
type tagForm struct{ tag, length int }

// inputs are what one run of a program reads.
type inputs struct {
	op  Operation
	req *Message // the message answered, nil for a request
	v   *Values
}

const maxAmount = 999_999_999_999

// arenaRoom is what a message is given at its first use.
const arenaRoom = 1024

// Build resets m and fills it with the operation's message. The error is
// ErrOperation or a *FieldError. What Values leave empty is left out where the
// dialect says optional, and an error elsewhere.
func (d *Dialect) Build(op Operation, v *Values, m *Message) error {
	m.Reset()
	if !d.Supports(op) {
		return ErrOperation
	}
	return d.run(&d.requests[op], inputs{op: op, v: v}, m)
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
	return d.run(&c.program, inputs{req: req, v: v}, m)
}

func (d *Dialect) run(p *program, in inputs, m *Message) error {
	m.grow(arenaRoom)
	for i := range p.steps {
		s := &p.steps[i]
		start := len(m.arena)
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
			m.Reset()
			return &FieldError{s.field, ruleTexts[broken]}
		}
		m.place(s.field, start)
	}
	m.MTI = p.mti
	return nil
}

func (d *Dialect) appendStep(dst []byte, s *step, in inputs) ([]byte, rule) {
	switch s.source {
	case srcConst:
		return append(dst, s.constant...), ruleNone
	case srcEcho:
		return append(dst, in.req.Get(s.field)...), ruleNone
	case srcTags:
		return d.appendTags(dst, s.tags, in)
	case srcAmount:
		if in.req != nil && in.v.Amount == 0 {
			return append(dst, in.req.Get(s.field)...), ruleNone
		}
	}
	return d.appendSource(dst, s.source, in)
}

func (d *Dialect) appendTags(dst []byte, tags []tagStep, in inputs) ([]byte, rule) {
	f := d.private
	for i := range tags {
		start := len(dst)
		dst = append(dst, tags[i].tag...)
		for range f.length {
			dst = append(dst, '0')
		}
		var broken rule
		if dst, broken = d.appendSource(dst, tags[i].source, in); broken != ruleNone {
			return dst, broken
		}
		n := len(dst) - start - f.tag - f.length
		if n == 0 {
			dst = dst[:start]
			continue
		}
		if n >= pow10[f.length] {
			return dst, ruleLength
		}
		appendDigits(dst[:start+f.tag], uint64(n), f.length)
	}
	return dst, ruleNone
}

// appendSource appends one value; nothing when it is absent.
func (d *Dialect) appendSource(dst []byte, src source, in inputs) ([]byte, rule) {
	v := in.v
	switch src {
	case srcPAN:
		return v.PAN.Append(dst), ruleNone
	case srcExpiry:
		return v.Expiry.AppendYYMM(dst), ruleNone
	case srcCVC:
		return v.CVC.Append(dst), ruleNone
	case srcAmount:
		if v.Amount < 0 || v.Amount > maxAmount {
			return dst, ruleRange
		}
		return appendDigits(dst, uint64(v.Amount), 12), ruleNone
	case srcSTAN:
		if v.STAN > stanMax {
			return dst, ruleRange
		}
		if v.STAN == 0 {
			return dst, ruleNone
		}
		return v.STAN.Append(dst), ruleNone
	case srcTransmissionTime:
		return appendTransmission(dst, v.SentAt), ruleNone
	case srcSettlementDate:
		return appendMonthDay(dst, v.SentAt.UTC()), ruleNone
	case srcLocalTime:
		if v.LocalAt.IsZero() {
			return dst, ruleNone
		}
		return appendClock(dst, v.LocalAt), ruleNone
	case srcLocalDate:
		return appendMonthDay(dst, v.LocalAt), ruleNone
	case srcNameLocation:
		return appendPrintable(dst, v.NameLocation), ruleNone
	case srcOriginal:
		return appendOriginal(dst, &v.Original)
	case srcReason:
		if v.Reason >= reasonCount {
			return dst, ruleRange
		}
		return append(dst, d.reasons[v.Reason]...), ruleNone
	case srcNetworkCode:
		return append(dst, d.network[in.op]...), ruleNone
	}
	return append(dst, v.text(src)...), ruleNone
}

// text is the value of a source that is a text as it stands.
func (v *Values) text(src source) string {
	switch src {
	case srcCurrency:
		return v.Currency.Numeric()
	case srcRRN:
		return v.RRN
	case srcTerminal:
		return v.Terminal
	case srcMerchant:
		return v.Merchant
	case srcMCC:
		return v.MCC
	case srcCountry:
		return v.Country
	case srcAcquirer:
		return v.Acquirer
	case srcForwarder:
		return v.Forwarder
	case srcECI:
		return v.ECI
	case srcCAVV:
		return v.CAVV
	case srcDSTransactionID:
		return v.DSTransactionID
	case srcApprovalCode:
		return v.ApprovalCode
	case srcResponseCode:
		return v.ResponseCode
	}
	return ""
}

// appendTransmission is DE7: MMDDhhmmss in UTC.
func appendTransmission(dst []byte, at time.Time) []byte {
	if at.IsZero() {
		return dst
	}
	at = at.UTC()
	return appendClock(appendMonthDay(dst, at), at)
}

func appendMonthDay(dst []byte, at time.Time) []byte {
	if at.IsZero() {
		return dst
	}
	_, month, day := at.Date()
	return appendPair(appendPair(dst, int(month)), day)
}

func appendClock(dst []byte, at time.Time) []byte {
	hour, minute, second := at.Clock()
	return appendPair(appendPair(appendPair(dst, hour), minute), second)
}

// appendOriginal is DE90: type 4, trace number 6, transmission time 10,
// acquirer 11 and forwarder 11, both right-justified and zero filled.
func appendOriginal(dst []byte, o *Original) ([]byte, rule) {
	if o.MTI == 0 || o.STAN == 0 || o.SentAt.IsZero() {
		return dst, ruleNone
	}
	if o.STAN > stanMax {
		return dst, ruleRange
	}
	dst = appendTransmission(o.STAN.Append(o.MTI.appendDigits(dst)), o.SentAt)
	for _, id := range [2]string{o.Acquirer, o.Forwarder} {
		if len(id) > 11 || !allDigits(id) {
			return dst, ruleRange
		}
		dst = append(dst, "00000000000"[len(id):]...)
		dst = append(dst, id...)
	}
	return dst, ruleNone
}

func appendPrintable(dst []byte, s string) []byte {
	for _, r := range s {
		if r < ' ' || r > '~' {
			r = '?'
		}
		dst = append(dst, byte(r))
	}
	return dst
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
	if !f.class.allows(value) {
		return arena, ruleClass
	}
	if f.prefix != prefixNone || len(value) == int(f.max) {
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
