package iso

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func seedBodies(f *testing.F) {
	for _, w := range workedMessages {
		for _, body := range wire(f, w.ascii, w.binary) {
			f.Add(body)
		}
	}
}

// FuzzDecode: hostile bytes give a DecodeError or a message that is written and
// read back to itself.
func FuzzDecode(f *testing.F) {
	seedBodies(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, name := range Builtins() {
			d := builtin(t, name)
			var m, again Message
			if err := d.Decode(body, &m); err != nil {
				var wrong *DecodeError
				if !errors.As(err, &wrong) {
					t.Fatalf("%s: an error of another type: %T", name, err)
				}
				continue
			}
			out, err := d.AppendBody(nil, &m)
			if err != nil {
				t.Fatalf("%s: read but not written: %v", name, err)
			}
			if err := d.Decode(out, &again); err != nil || !sameMessage(&m, &again) {
				t.Fatalf("%s: not stable: %v", name, err)
			}
			var compact Message
			if err := compact.SetCompact(m.AppendCompact(nil)); err != nil || !sameMessage(&m, &compact) {
				t.Fatalf("%s: compact form: %v", name, err)
			}
			var k Key
			d.AnswerKey(&m, &k)
			d.RequestKey(&m, &k)
			d.Describe(&m)
			_ = d.Verify(&m, &m)
			_ = d.Answer(&m, &Values{ResponseCode: "00"}, &again)
		}
	})
}

// FuzzNextFrame: a stream gives frames of bounded size, whole and in order,
// however it is cut.
func FuzzNextFrame(f *testing.F) {
	for _, name := range generic87 {
		d := builtin(f, name)
		for _, w := range workedMessages[:3] {
			var m Message
			if err := d.Decode(wire(f, w.ascii, w.binary)[name], &m); err != nil {
				f.Fatal(err)
			}
			frame, err := d.AppendFrame(nil, &m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(frame, 3)
		}
	}
	f.Add([]byte("0000-001"), 1)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		for _, name := range Builtins() {
			d := builtin(t, name)
			for buf := stream; ; {
				body, n, err := d.NextFrame(buf)
				if err != nil || n == 0 {
					if n != 0 || body != nil {
						t.Fatalf("%s: bytes taken without a frame", name)
					}
					if err == nil && len(buf) >= d.MaxFrame() {
						t.Fatalf("%s: waits for more than MaxFrame", name)
					}
					break
				}
				if n > len(buf) || n > d.MaxFrame() || len(body) >= n {
					t.Fatalf("%s: frame of %d bytes in %d", name, n, len(buf))
				}
				if short := max(0, min(cut, n-1)); short < n {
					if _, taken, err := d.NextFrame(buf[:short]); taken != 0 || err != nil {
						t.Fatalf("%s: a frame cut at %d gave %d, %v", name, short, taken, err)
					}
				}
				buf = buf[n:]
			}
		}
	})
}

// FuzzDialectFile: a built-in file with any piece replaced by any text, or the
// text alone, gives a dialect or errors of one line with a line number.
func FuzzDialectFile(f *testing.F) {
	whole := variant(f, "ascii87")
	f.Add("", 0, 1<<20)
	f.Add("meta: {schema: 1", 0, 1<<20)
	f.Add("&a [*a]", 0, 1<<20)
	f.Add("{<<: {x: y}}", 400, 30)
	f.Add("-1", 700, 3)
	f.Fuzz(func(t *testing.T, text string, at, cut int) {
		at = max(0, min(at, len(whole)))
		end := max(at, min(at+max(0, min(cut, len(whole))), len(whole)))
		file := slices.Concat(whole[:at], []byte(text), whole[end:])
		d, err := ParseDialect("x.yaml", file)
		var wrong *LoadError
		switch {
		case err == nil:
			var m Message
			_ = d.Build(OpPurchase, purchase(), &m)
			d.Spec()
		case !errors.As(err, &wrong) || wrong.Line < 1 || wrong.Text == "" || strings.ContainsAny(wrong.Error(), "\n\r"):
			t.Fatalf("not one line with its place: %q", err)
		}
	})
}

// drawMessage is any message the dialect can carry.
func drawMessage(t *rapid.T, d *Dialect, m *Message) {
	digit := rapid.IntRange(0, 9)
	mti := 0
	for range 4 {
		mti = mti<<4 | digit.Draw(t, "mti")
	}
	m.MTI = MTI(max(mti, 0x0100))
	for _, f := range rapid.SliceOfNDistinct(rapid.IntRange(2, d.codec.last), 0, 30, rapid.ID).Draw(t, "fields") {
		if f != 65 {
			m.Set(f, drawValue(t, &d.codec.fields[f]))
		}
	}
}

func drawValue(t *rapid.T, f *fieldCodec) []byte {
	n := int(f.max)
	if f.prefix != prefixNone && f.class == classSign {
		n = rapid.IntRange(1, n).Draw(t, "length")
	} else if f.prefix != prefixNone || f.trim {
		n = rapid.IntRange(0, n).Draw(t, "length")
	}
	char := rapid.ByteRange(' ', '~')
	if f.page != nil {
		char = rapid.Byte().Filter(func(c byte) bool { return c >= ' ' && c != 0x7F })
	}
	if f.form == formNibble {
		char = rapid.ByteRange('0', '>')
	}
	switch f.class {
	case classN, classSign:
		char = rapid.ByteRange('0', '9')
	case classB:
		char = rapid.Byte()
	}
	value := rapid.SliceOfN(char, n, n).Draw(t, "value")
	if f.class == classSign {
		value[0] = "CD"[rapid.IntRange(0, 1).Draw(t, "sign")]
	}
	if f.trim {
		value = value[:f.trimmed(value)]
	}
	return value
}
