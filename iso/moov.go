package iso

import (
	"bytes"
	"errors"
	"fmt"

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
	if d.codec.bcdMTI {
		spec.Fields[0] = field.NewString(field.NewSpec(4, "Message type indicator", encoding.BCD, prefix.BCD.Fixed))
	}
	if d.codec.hexMap {
		spec.Fields[1] = field.NewBitmap(field.NewSpec(8, "Bitmap", encoding.BytesToASCIIHex, prefix.Hex.Fixed))
	}
	for f := 2; f <= maxDialectField; f++ {
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
		return ownDigits{f}
	case formSignBCD:
		return signedDigits{}
	case formBinary:
		return encoding.Binary
	case formHex:
		return encoding.BytesToASCIIHex
	}
	return encoding.ASCII
}

func (f *fieldCodec) moovPrefix() prefix.Prefixer {
	family := prefix.ASCII
	digits := int(f.width)
	switch f.prefix {
	case prefixNone:
		return prefix.ASCII.Fixed
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

var errDigits = errors.New("not packed digits")

// ownDigits packs digits with a filler moov does not know, by this package's codec.
type ownDigits struct{ f *fieldCodec }

func (e ownDigits) Encode(digits []byte) ([]byte, error) {
	out := make([]byte, (len(digits)+1)/2)
	if _, ok := e.f.packDigits(out, digits); !ok {
		return nil, errDigits
	}
	return out, nil
}

func (e ownDigits) Decode(b []byte, n int) ([]byte, int, error) {
	wire := (n + 1) / 2
	if n < 0 || len(b) < wire {
		return nil, 0, errDigits
	}
	out := make([]byte, n)
	if !e.f.unpackDigits(out, b[:wire], n) {
		return nil, 0, errDigits
	}
	return out, wire, nil
}

// signedDigits is x+n: the sign as a character, then packed digits by moov.
type signedDigits struct{}

func (signedDigits) Encode(value []byte) ([]byte, error) {
	if len(value) == 0 {
		return nil, errDigits
	}
	digits, err := encoding.BCD.Encode(bytes.Clone(value[1:]))
	return append([]byte{value[0]}, digits...), err
}

func (signedDigits) Decode(b []byte, n int) ([]byte, int, error) {
	if len(b) == 0 || n < 1 {
		return nil, 0, errDigits
	}
	digits, read, err := encoding.BCD.Decode(b[1:], n-1)
	return append([]byte{b[0]}, digits...), read + 1, err
}

// Problem is one finding of LintFile.
type Problem struct {
	File    string
	Line    int
	Warning bool // the file loads, but ought to be mended
	Text    string
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
		var wrong *LoadError
		if errors.As(err, &wrong) {
			return []Problem{{File: wrong.File, Line: wrong.Line, Text: wrong.Text}}, nil
		}
		return nil, err
	}
	return Lint(path, text), nil
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
	if !d.codes["00"].Approved {
		out = append(out, "response code 00 is not approved; no payment of most banks would succeed")
	}
	if d.verdicts["00"] != ReversalDone {
		out = append(out, "response code 00 does not end a reversal; add it to behaviour.reversal.done")
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
	write := iso8583.NewMessage(d.Spec())
	write.MTI(want.MTI.String())
	for f, value := range want.Fields {
		got, failed := read.GetBytes(f)
		if failed != nil || !bytes.Equal(got, value) {
			return fmt.Errorf("moov's codec reads field %d otherwise", f)
		}
		if write.BinaryField(f, bytes.Clone(value)) != nil {
			return fmt.Errorf("moov's codec does not take field %d", f)
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
	packed, failed := write.Pack()
	if failed != nil {
		return errors.New("moov's codec cannot write it")
	}
	if !bytes.Equal(packed, body) {
		return errors.New("moov's codec writes other bytes")
	}
	return nil
}
