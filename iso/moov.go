package iso

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/prefix"
)

// moovForm makes the dialect's moov form at the first call.
type moovForm func() *iso8583.MessageSpec

// Spec is the same dialect in moov's form, for tools and as an oracle in tests:
// never for the payment path. It is built at the first call and shared. Type,
// bitmaps and fields are in it; length and header of the frame are not.
func (d *Dialect) Spec() *iso8583.MessageSpec { return d.spec() }

func (d *Dialect) moovSpec() *iso8583.MessageSpec {
	spec := &iso8583.MessageSpec{Name: d.id, Fields: map[int]field.Field{
		0: field.NewString(field.NewSpec(4, "Message type indicator", encoding.ASCII, prefix.ASCII.Fixed)),
		1: field.NewBitmap(field.NewSpec(8, "Bitmap", encoding.Binary, prefix.Binary.Fixed)),
	}}
	switch d.codec.mti {
	case mtiBCD:
		spec.Fields[0] = field.NewString(field.NewSpec(4, "Message type indicator", encoding.BCD, prefix.BCD.Fixed))
	case mtiEBCDIC:
		spec.Fields[0] = field.NewString(field.NewSpec(4, "Message type indicator", encoding.EBCDIC, prefix.EBCDIC.Fixed))
	}
	switch d.codec.bitmap {
	case mapHex:
		spec.Fields[1] = field.NewBitmap(field.NewSpec(8, "Bitmap", encoding.BytesToASCIIHex, prefix.Hex.Fixed))
	case mapHexEBCDIC:
		spec.Fields[1] = field.NewBitmap(field.NewSpec(8, "Bitmap", ebcdicHex{}, prefix.EBCDIC.Fixed))
	}
	for f := 2; f <= d.codec.last; f++ {
		if f == 65 {
			continue
		}
		c := &d.codec.fields[f]
		s := field.NewSpec(int(c.max), d.names[f], c.moovEncoding(), c.moovPrefix())
		if d.isBinary(f) {
			spec.Fields[f] = field.NewBinary(s)
		} else {
			spec.Fields[f] = field.NewString(s)
		}
	}
	return spec
}

func (f *fieldCodec) moovEncoding() encoding.Encoder {
	switch f.form {
	case formBCD:
		if !f.oddRight && f.fill == 0 {
			return encoding.BCD
		}
		if f.oddRight && f.fill == 0 {
			return encoding.LBCD
		}
		return ownContent{*f}
	case formSignBCD:
		if f.prefix == prefixNone {
			return signedDigits{}
		}
	case formBinary:
		return encoding.Binary
	case formHex:
		return encoding.BytesToASCIIHex
	case formText, formDigits, formSign:
		if f.page == nil && !f.trim {
			return encoding.ASCII
		}
	}
	return ownContent{*f}
}

func (f *fieldCodec) moovPrefix() prefix.Prefixer {
	family := prefix.ASCII
	digits := int(f.width)
	if f.count != countValue || f.trim || f.prefix == prefixBinary && f.width > 3 {
		return ownPrefix{f}
	}
	switch f.prefix {
	case prefixNone:
		return prefix.ASCII.Fixed
	case prefixEBCDIC:
		family = prefix.EBCDIC
	case prefixBCD:
		family = prefix.BCD
		if digits *= 2; int(f.max) < pow10[digits-1] {
			digits--
		}
	case prefixBinary:
		family = prefix.Binary
	}
	return [...]prefix.Prefixer{family.L, family.LL, family.LLL, family.LLLL, family.LLLLL, family.LLLLLL}[digits-1]
}

var errContent = errors.New("not the content of the field")

// ownContent is content that moov has no codec for, by this package's.
type ownContent struct{ f fieldCodec }

func (e ownContent) Encode(value []byte) ([]byte, error) {
	if e.f.trim {
		return e.f.write(value)
	}
	return e.fixed(len(value)).write(value)
}

// fixed is the field without its prefix, for a value of n.
func (e ownContent) fixed(n int) *fieldCodec {
	f := e.f
	f.prefix, f.count, f.max, f.trim = prefixNone, countValue, uint32(n), false
	return &f
}

func (f *fieldCodec) write(value []byte) ([]byte, error) {
	out := make([]byte, 2*len(value)+int(f.max)+prefixRoom)
	n, rule := f.encode(out, value)
	if rule != ruleNone {
		return nil, errContent
	}
	return out[:n], nil
}

func (e ownContent) Decode(b []byte, n int) ([]byte, int, error) {
	if n < 0 || n > maxFileSize {
		return nil, 0, errContent
	}
	f := e.fixed(n)
	f.trim = e.f.trim
	out := make([]byte, 2*len(b)+1)
	got, used, kind := f.decode(out, b)
	if kind != 0 {
		return nil, 0, errContent
	}
	return out[:got], used, nil
}

// ebcdicHex is a bitmap as EBCDIC hex digits.
type ebcdicHex struct{}

func (ebcdicHex) Encode(value []byte) ([]byte, error) {
	out := []byte(strings.ToUpper(hex.EncodeToString(value)))
	for i, c := range out {
		out[i] = pageEBCDIC037.wire[c]
	}
	return out, nil
}

func (ebcdicHex) Decode(b []byte, n int) ([]byte, int, error) {
	if n < 0 || len(b) < 2*n {
		return nil, 0, errContent
	}
	digits, out := make([]byte, 2*n), make([]byte, n)
	for i := range digits {
		digits[i] = pageEBCDIC037.held[b[i]]
	}
	if !readHex(out, digits) {
		return nil, 0, errContent
	}
	return out, 2 * n, nil
}

// ownPrefix is a length that moov cannot count, and that of a padded text.
type ownPrefix struct{ f *fieldCodec }

func (p ownPrefix) EncodeLength(_, n int) ([]byte, error) {
	if n > int(p.f.max) {
		return nil, errContent
	}
	return p.f.putPrefixOf(n), nil
}

func (f *fieldCodec) putPrefixOf(n int) []byte {
	out := make([]byte, f.width)
	f.putPrefix(out, f.counted(n))
	return out
}

func (p ownPrefix) DecodeLength(_ int, b []byte) (n, used int, err error) {
	if p.f.prefix == prefixNone {
		return int(p.f.max), 0, nil
	}
	if used = int(p.f.width); len(b) < used {
		return 0, 0, errContent
	}
	if n = p.f.readPrefix(b); n < 0 {
		return 0, 0, errContent
	}
	n, kind := p.f.uncounted(n, b[used:])
	if kind != 0 || n > int(p.f.max) {
		return 0, 0, errContent
	}
	return n, used, nil
}

func (p ownPrefix) Inspect() string { return "Own" }

// signedDigits is x+n: the sign as a character, then packed digits by moov.
type signedDigits struct{}

func (signedDigits) Encode(value []byte) ([]byte, error) {
	if len(value) == 0 {
		return nil, errContent
	}
	digits, err := encoding.BCD.Encode(bytes.Clone(value[1:]))
	return append([]byte{value[0]}, digits...), err
}

func (signedDigits) Decode(b []byte, n int) ([]byte, int, error) {
	if len(b) == 0 || n < 1 {
		return nil, 0, errContent
	}
	digits, read, err := encoding.BCD.Decode(b[1:], n-1)
	return append([]byte{b[0]}, digits...), read + 1, err
}

// Problem is one finding of LintFile.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Warning bool   `json:"warning"` // the file loads, but ought to be mended
	Text    string `json:"text"`
}

func (p Problem) String() string {
	kind := "error"
	if p.Warning {
		kind = "warning"
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, kind, p.Text)
}

// LintFile reads a dialect file and lists everything wrong with it, where
// LoadFile stops at the first error. When it loads, its golden vectors are also
// read and written by moov's codec, and what is lawful but unwise is a warning.
// The error is that of reading the file.
func LintFile(path string) ([]Problem, error) {
	text, err := readFile(path)
	if err != nil {
		return problemOf(err)
	}
	return Lint(path, text), nil
}

// problemOf is what an error of reading a file finds, or the error.
func problemOf(err error) ([]Problem, error) {
	var wrong *LoadError
	if errors.As(err, &wrong) {
		return []Problem{{File: wrong.File, Line: wrong.Line, Text: wrong.Text}}, nil
	}
	return nil, err
}

// Lint is LintFile for a text; name is for the findings.
func Lint(name string, text []byte) []Problem {
	d, wrong := parseDialect(name, text)
	var out []Problem
	for _, w := range wrong {
		out = append(out, Problem{File: w.File, Line: w.Line, Text: w.Text})
	}
	if len(out) > 0 {
		return out
	}
	for i := range d.golden {
		g := &d.golden[i]
		if err := d.moovAgrees(g.body, &g.want); err != nil {
			out = append(out, Problem{File: name, Line: g.line, Text: fmt.Sprintf("golden %q: %s", g.name, err)})
		}
	}
	for _, text := range d.warnings() {
		out = append(out, Problem{File: name, Line: 1, Warning: true, Text: text})
	}
	return out
}

// warnings are what loads but ought to be looked at.
func (d *Dialect) warnings() []string {
	var out []string
	if len(d.golden) == 0 {
		out = append(out, "there is no golden vector; add a message from the bank's document, so that a wrong table cannot load")
	}
	approves := false
	for _, meaning := range d.codes {
		approves = approves || meaning.Approved && !meaning.Partial
	}
	if !approves {
		out = append(out, "no response code is approved; no payment would succeed")
	}
	if d.codes["00"].Approved && d.verdicts["00"] != ReversalDone {
		out = append(out, "response code 00 does not end a reversal; add it to behaviour.reversal.done")
	}
	out = append(out, d.risks()...)
	if d.says.reversed == "" {
		out = append(out, "no response code ends a reversal; write behaviour.reversal.done")
	}
	for op := OpSignOn; op <= OpEcho; op++ {
		if !d.Supports(op) {
			out = append(out, fmt.Sprintf("there is no message %s; links to the bank cannot use it", op))
		}
	}
	return out
}

// moovAgrees holds one message against moov's codec, both ways. Its errors
// quote no value. moov panics on some inputs; that is a disagreement too.
func (d *Dialect) moovAgrees(body []byte, want *Message) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("moov's codec panics on it")
		}
	}()
	read := iso8583.NewMessage(d.Spec())
	if read.Unpack(bytes.Clone(body)) != nil {
		return errors.New("moov's codec cannot read it")
	}
	if err := d.moovHas(read, want); err != nil {
		return err
	}
	write := iso8583.NewMessage(d.Spec())
	write.MTI(want.MTI.String())
	for f, value := range want.Fields {
		if write.BinaryField(f, bytes.Clone(value)) != nil {
			return fmt.Errorf("moov's codec does not take field %d", f)
		}
	}
	packed, failed := write.Pack()
	if failed != nil {
		return errors.New("moov's codec cannot write it")
	}
	if !bytes.Equal(packed, body) {
		return errors.New("moov's codec writes other bytes")
	}
	return nil
}

// moovHas compares what moov's codec has read.
func (d *Dialect) moovHas(read *iso8583.Message, want *Message) error {
	for f, value := range want.Fields {
		if got, failed := read.GetBytes(f); failed != nil || !bytes.Equal(got, value) {
			return fmt.Errorf("moov's codec reads field %d otherwise", f)
		}
	}
	if mti, failed := read.GetMTI(); failed != nil || mti != want.MTI.String() {
		return errors.New("moov's codec reads the type otherwise")
	}
	for f := range read.GetFields() {
		if f > 1 && !want.Has(f) {
			return fmt.Errorf("moov's codec reads a field %d too", f)
		}
	}
	return nil
}
