package iso

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/moov-io/iso8583"
)

func TestEveryTruncationAndEveryTrailingByteIsRefused(t *testing.T) {
	for _, w := range workedMessages {
		for name, body := range wire(t, w.ascii, w.binary) {
			d := builtin(t, name)
			var m Message
			for n := range body {
				var wrong *DecodeError
				if err := d.Decode(body[:n], &m); !errors.As(err, &wrong) {
					t.Errorf("%s %s cut to %d bytes: %v", name, w.name, n, err)
				}
			}
			wrong := &DecodeError{}
			if err := d.Decode(append(bytes.Clone(body), '0'), &m); !errors.As(err, &wrong) || wrong.Kind != KindTrailing {
				t.Errorf("%s %s with a byte more: %v", name, w.name, err)
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name, dialect, body string
		want                DecodeError
	}{
		{"a letter in the type", "ascii87", "02A04000000000000000", DecodeError{0, KindMTI}},
		{"a bitmap that is not hex", "ascii87", "0200400000000000000G", DecodeError{1, KindBitmap}},
		{"bit 65", "ascii87", "0200C0000000000000008000000000000000", DecodeError{1, KindBitmap}},
		{"a negative length", "ascii87", "02004000000000000000-1", DecodeError{2, KindPrefix}},
		{"a signed length", "ascii87", "02004000000000000000+1", DecodeError{2, KindPrefix}},
		{"a blank in a length", "ascii87", "02004000000000000000 1", DecodeError{2, KindPrefix}},
		{"a length over the limit", "ascii87", "0200400000000000000020" + strings.Repeat("1", 20), DecodeError{2, KindLength}},
		{"a letter in a number", "ascii87", "0200200000000000000000000A", DecodeError{3, KindDigits}},
		{"a nibble that is no digit", "binary87", "\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x0A\x00", DecodeError{3, KindDigits}},
		{"a length that is no digit", "binary87", "\x02\x00\x40\x00\x00\x00\x00\x00\x00\x00\x1F", DecodeError{2, KindPrefix}},
	} {
		var m Message
		err := builtin(t, c.dialect).Decode([]byte(c.body), &m)
		var got *DecodeError
		if !errors.As(err, &got) || *got != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, &c.want)
		}
	}
}

// A field the dialect does not name must not cost the answer.
func TestUnnamedFieldsDecode(t *testing.T) {
	for _, name := range Builtins() {
		d := builtin(t, name)
		var want, got Message
		answer(t, d, request(t, d, OpPurchase, purchase()), &Values{ResponseCode: "00"}, &want)
		for _, f := range []int{57, 105, 112, 127} {
			if row := &d.codec.fields[f]; row.prefix != prefixNone {
				want.Set(f, []byte{0, 1, 0xFF, 'x'})
			}
		}
		body, err := d.AppendBody(nil, &want)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Decode(body, &got); err != nil || !sameMessage(&want, &got) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAppendBodyRefuses(t *testing.T) {
	d := builtin(t, "binary87")
	for _, c := range []struct {
		field int
		value string
	}{{3, "12345"}, {3, "1234567"}, {3, "12345a"}, {2, strings.Repeat("1", 20)}, {28, "X00000000"}, {65, "1"}, {130, "1"}, {52, "short"}} {
		m := Message{MTI: MTIFinancial}
		m.SetString(c.field, c.value)
		var wrong *FieldError
		if out, err := d.AppendBody([]byte("kept"), &m); !errors.As(err, &wrong) || wrong.Field != c.field && c.field != 130 || string(out) != "kept" {
			t.Errorf("field %d: %v, left %q", c.field, err, out)
		}
	}
	if _, err := d.AppendBody(nil, new(Message)); err == nil {
		t.Error("a message without a type was written")
	}
}

func TestNothingOnThePathAllocates(t *testing.T) {
	for _, name := range Builtins() {
		d := builtin(t, name)
		v, rv := purchase(), reversal()
		v.CVC, _ = ParseCVC([]byte("123"))
		v.ECI, v.CAVV = "05", strings.Repeat("A", 27)+"="
		var req, back, ans, rev Message
		var key, got Key
		buf := make([]byte, 0, 4096)
		approved, undone := d.CodeLike(d.MTI(OpPurchase).Response(), "00"), d.CodeLike(d.MTI(OpReversal).Response(), "00")
		reply := &Values{ResponseCode: approved, ApprovalCode: "123456", SentAt: v.SentAt}
		ok := true
		check := func(good bool) { ok = ok && good }
		round := func() {
			check(d.Build(OpPurchase, v, &req) == nil)
			frame, err := d.AppendFrame(buf, &req)
			check(err == nil)
			body, _, err := d.NextFrame(frame)
			check(err == nil && d.Decode(body, &back) == nil)
			check(d.Answer(&back, reply, &ans) == nil)
			d.RequestKey(&req, &key)
			check(d.AnswerKey(&ans, &got) && key == got && d.Verify(&req, &ans) == nil)
			check(d.Build(OpReversal, rv, &rev) == nil)
			check(d.Code(approved).Approved && d.ReversalAnswer(undone) == ReversalDone)
		}
		round()
		if n := testing.AllocsPerRun(200, round); n != 0 || !ok {
			t.Errorf("%s: %v allocations a round, all steps well: %v", name, n, ok)
		}
	}
}

func benchMessage(b *testing.B, d *Dialect) (*Message, []byte) {
	var m Message
	v := purchase()
	v.ECI, v.CAVV = "05", strings.Repeat("A", 27)+"="
	build(b, d, OpPurchase, v, &m)
	body, err := d.AppendBody(nil, &m)
	if err != nil {
		b.Fatal(err)
	}
	return &m, body
}

func BenchmarkEncode(b *testing.B) {
	for _, name := range Builtins() {
		b.Run(name, func(b *testing.B) {
			d := builtin(b, name)
			m, body := benchMessage(b, d)
			buf := make([]byte, 0, 4096)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.AppendFrame(buf, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range Builtins() {
		b.Run(name, func(b *testing.B) {
			d := builtin(b, name)
			_, body := benchMessage(b, d)
			var m Message
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Decode(body, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	d, v := builtin(b, "binary87"), purchase()
	var m Message
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Build(OpPurchase, v, &m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKeyAndVerify(b *testing.B) {
	d := builtin(b, "binary87")
	var req, ans Message
	build(b, d, OpPurchase, purchase(), &req)
	if err := d.Answer(&req, &Values{ResponseCode: "00"}, &ans); err != nil {
		b.Fatal(err)
	}
	var k Key
	b.ReportAllocs()
	for b.Loop() {
		d.RequestKey(&req, &k)
		if !d.AnswerKey(&ans, &k) || d.Verify(&req, &ans) != nil {
			b.Fatal("no match")
		}
	}
}

func BenchmarkMoovPack(b *testing.B) {
	for _, name := range Builtins() {
		b.Run(name, func(b *testing.B) {
			d := builtin(b, name)
			m, _ := benchMessage(b, d)
			spec := d.Spec()
			b.ReportAllocs()
			for b.Loop() {
				out := iso8583.NewMessage(spec)
				out.MTI(m.MTI.String())
				for f, value := range m.Fields {
					if err := out.BinaryField(f, value); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := out.Pack(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMoovUnpack(b *testing.B) {
	for _, name := range Builtins() {
		b.Run(name, func(b *testing.B) {
			d := builtin(b, name)
			_, body := benchMessage(b, d)
			spec := d.Spec()
			b.ReportAllocs()
			for b.Loop() {
				if err := iso8583.NewMessage(spec).Unpack(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestRRN(t *testing.T) {
	at := time.Date(2026, 6, 12, 10, 20, 1, 0, berlin)
	d := builtin(t, "ascii87")
	if got := d.RRN(123_000_000_456, at); got != "616300000456" {
		t.Errorf("YDDDNNNNNNNN: %s", got)
	}
	classic, err := ParseDialect("classic.yaml", variant(t, "ascii87", "rrn: YDDDNNNNNNNN", "rrn: YDDDhhSSSSSS"))
	if err != nil {
		t.Fatal(err)
	}
	if got := classic.RRN(122, at); got != "616308000123" {
		t.Errorf("YDDDhhSSSSSS: %s", got)
	}
	if d.STAN(999_998) != 999_999 || d.STAN(999_999) != 1 {
		t.Error("the trace number must run from 1 to 999999")
	}
}

// The wide digit checks agree with a look at every byte.
func TestDigitChecks(t *testing.T) {
	f := &fieldCodec{}
	for n := 1; n <= 20; n++ {
		for at := range n {
			for c := range 256 {
				text := bytes.Repeat([]byte{'7'}, n)
				text[at] = byte(c)
				want := c >= '0' && c <= '9'
				out := make([]byte, n)
				if _, ok := f.packDigits(out, text); ok != want || digitsOnly(text) != want {
					t.Fatalf("byte %#x at %d of %d", c, at, n)
				}
				packed := bytes.Repeat([]byte{0x77}, (n+1)/2)
				packed[at/2] = byte(c)
				filler := n%2 == 1 && at/2 == 0
				if ok := f.unpackDigits(out, packed, n); ok != (c&15 <= 9 && (c>>4 <= 9 || filler)) {
					t.Fatalf("packed %#x at %d of %d", c, at, n)
				}
			}
		}
	}
}
