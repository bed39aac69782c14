package iso

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"pgregory.net/rapid"
)

// differential holds random messages against moov's codec: the same bytes and the
// same fields. Then it damages the bytes, and holds the two readings of them
// against each other.
func differential(d *Dialect) func(*rapid.T) {
	return func(t *rapid.T) {
		var m, back Message
		drawMessage(t, d, &m)
		body, err := d.AppendBody(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Decode(body, &back); err != nil || !sameMessage(&m, &back) {
			t.Fatalf("does not read back: %v", err)
		}
		if err := d.moovAgrees(body, &m); err != nil {
			t.Fatal(err)
		}
		if err := d.moovReadsAlike(drawDamage(t, body)); err != nil {
			t.Fatal(err)
		}
	}
}

// drawDamage is body with some bytes replaced, taken away or put in.
func drawDamage(t *rapid.T, body []byte) []byte {
	out := bytes.Clone(body)
	for range rapid.IntRange(1, 4).Draw(t, "damages") {
		at := rapid.IntRange(0, len(out)).Draw(t, "at")
		cut := rapid.IntRange(0, min(6, len(out)-at)).Draw(t, "cut")
		out = slices.Replace(out, at, at+cut, rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "bytes")...)
	}
	return out
}

// laxer are the kinds of damage that moov's codec may read over: it takes bytes
// after the last field, letters in fields of digits, a sign in a length, types and
// bitmaps of any characters, and leaves the parts of a field to others. Of a packed
// length of three digits it reads over the first nibble.
var laxer = []Kind{KindTrailing, KindDigits, KindPrefix, KindMTI, KindBitmap, KindParts}

// moovReadsAlike holds the readings of hostile bytes against each other: what this
// package reads, moov's codec reads with the same fields unless it may be lenient,
// and what this package refuses, moov's does, too, but for laxer.
func (d *Dialect) moovReadsAlike(body []byte) error {
	var m Message
	own := d.Decode(body, &m)
	read, theirs := d.moovReads(body)
	var wrong *DecodeError
	switch {
	case errors.As(own, &wrong):
		packed := wrong.Kind == KindLength && d.codec.fields[wrong.Field].prefix == prefixBCD
		if theirs == nil && !packed && !slices.Contains(laxer, wrong.Kind) {
			return fmt.Errorf("moov's codec reads what is refused with %w", own)
		}
		return nil
	case theirs != nil && d.lenientOn(&m):
		return nil
	case theirs != nil:
		return fmt.Errorf("moov's codec refuses it: %w", theirs)
	}
	return d.moovHas(read, &m)
}

// lenientOn reports a field that this package may read where moov's codec does not:
// a bank's free text may hold any byte, and the filler of an odd number of digits
// may be any nibble.
func (d *Dialect) lenientOn(m *Message) bool {
	for f, value := range m.Fields {
		switch c := &d.codec.fields[f]; c.form {
		case formText:
			if slices.ContainsFunc(value, func(b byte) bool { return b > 0x7F }) {
				return true
			}
		case formBCD:
			if len(value)%2 == 1 {
				return true
			}
		}
	}
	return false
}

// moovReads is moov's reading; a panic of it is an error.
func (d *Dialect) moovReads(body []byte) (read *iso8583.Message, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("moov's codec panics on it")
		}
	}()
	read = iso8583.NewMessage(d.Spec())
	return read, read.Unpack(bytes.Clone(body))
}

func TestDifferential(t *testing.T) {
	for _, name := range Builtins() {
		t.Run(name, func(t *testing.T) { rapid.Check(t, differential(builtin(t, name))) })
	}
}

// FuzzDifferential draws the dialect from its seed: every built-in is held against
// moov's codec, writing and reading.
func FuzzDifferential(f *testing.F) {
	dialects := make([]*Dialect, 0, len(builtinNames))
	for _, name := range Builtins() {
		dialects = append(dialects, builtin(f, name))
	}
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		differential(rapid.SampledFrom(dialects).Draw(t, "dialect"))(t)
	}))
}

// TestWhatMoovCannotExpress lists the fields of the built-in dialects whose content
// or length moov has no codec for. In its specification this package's own
// stands in for it, so that the rest of the message is compared all the same; what stands
// in is held to its own round trip.
func TestWhatMoovCannotExpress(t *testing.T) {
	var out strings.Builder
	for _, name := range Builtins() {
		d := builtin(t, name)
		var content, length []string
		for f := 2; f <= d.codec.last; f++ {
			c := &d.codec.fields[f]
			if _, own := c.moovEncoding().(ownContent); own && f != 65 {
				content = append(content, fmt.Sprint(f))
			}
			if _, own := c.moovPrefix().(ownPrefix); own && f != 65 {
				length = append(length, fmt.Sprint(f))
			}
		}
		fmt.Fprintf(&out, "%s: content of %d fields [%s], length of %d [%s]\n", name, len(content), strings.Join(content, " "), len(length), strings.Join(length, " "))
	}
	path := filepath.Join("testdata", "moov.golden")
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || string(want) != out.String() {
		t.Errorf("%s is not as it was (-update writes it): %v\n%s", path, err, out.String())
	}
}

// moov's EBCDIC table is none of IBM's pages, but all of them have these characters
// in the same places.
func TestMoovsEBCDICWhereItIsTheSame(t *testing.T) {
	same := []byte(" ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.<(+&*);-/,%_>?:#@'=\"`~{}\\$")
	for _, p := range []*page{pageEBCDIC037, pageEBCDIC500, pageEBCDIC1047} {
		for _, c := range same {
			if b, err := encoding.EBCDIC.Encode([]byte{c}); err != nil || b[0] != p.wire[c] || p.held[b[0]] != c {
				t.Errorf("%c is %X, moov's %X (%v)", c, p.wire[c], b, err)
			}
		}
	}
	for c := byte(' '); c <= '~'; c++ {
		if b, err := encoding.EBCDIC1047.Encode([]byte{c}); err != nil || b[0] != pageEBCDIC1047.wire[c] {
			t.Errorf("page 1047: %c is %X, moov's %X (%v)", c, pageEBCDIC1047.wire[c], b, err)
		}
	}
}
