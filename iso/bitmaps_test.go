package iso

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// mapped is ascii87 with another bitmap, and two fields above 128.
func mapped(t testing.TB, bitmap string) (*Dialect, error) {
	t.Helper()
	text := withFields(t, "ascii87", nil, "  bitmap: hex\n", "  bitmap: "+bitmap+"\n")
	if strings.Contains(bitmap, "bitmaps: 3") {
		text = bytes.Replace(text, []byte("\n  fields:\n"), []byte("\n  fields:\n    130: {class: n, len: 2, content: ascii}\n    192: {class: an, len: 1, content: ascii}\n"), 1)
	}
	return ParseDialect("mapped.yaml", text)
}

func TestBitmaps(t *testing.T) {
	for _, c := range []struct {
		bitmap string
		fields map[int]string
		wire   string
	}{
		{"binary", map[int]string{3: "000000", 70: "301"}, "30323030 A000000000000000 0400000000000000 303030303030 333031"},
		{"ebcdic-hex", map[int]string{3: "000000"}, "30323030 F2F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0 303030303030"},
		{"ebcdic-hex", map[int]string{70: "301", 66: "1"}, "30323030 F8F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0 F4F4F0F0F0F0F0F0F0F0F0F0F0F0F0F0 31 333031"},
		{"binary\n  bitmaps: 3", map[int]string{3: "000000", 70: "301", 130: "42"}, "30323030 A000000000000000 8400000000000000 4000000000000000 303030303030 333031 3432"},
		{"binary\n  bitmaps: 3", map[int]string{192: "Z"}, "30323030 8000000000000000 8000000000000000 0000000000000001 5A"},
		{"binary\n  bitmaps: 3", map[int]string{70: "301"}, "30323030 8000000000000000 0400000000000000 333031"},
		{"binary\n  bitmaps: 3\n  third: field-65", map[int]string{3: "000000", 70: "301", 130: "42"}, "30323030 A000000000000000 8400000000000000 303030303030 4000000000000000 333031 3432"},
	} {
		d, err := mapped(t, c.bitmap)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := hex.DecodeString(strings.ReplaceAll(c.wire, " ", ""))
		m, back := Message{MTI: MTIFinancial}, Message{}
		for f, text := range c.fields {
			m.SetString(f, text)
		}
		got, err := d.AppendBody(nil, &m)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: % X, %v\nwant %s", c.bitmap, got, err, c.wire)
			continue
		}
		if err := d.Decode(want, &back); err != nil || !sameMessage(&m, &back) {
			t.Errorf("%q %v: %v", c.bitmap, c.fields, err)
		}
		for n := range want {
			var wrong *DecodeError
			if err := d.Decode(want[:n], &back); !errors.As(err, &wrong) {
				t.Errorf("%q cut to %d bytes: %v", c.bitmap, n, err)
			}
		}
	}
}

// A dialect of one bitmap has no messages of this file's, whose reversal has field 90.
func TestFieldsBeyondTheBitmaps(t *testing.T) {
	for bitmap, want := range map[string]string{
		"binary\n  bitmaps: 1":                   `"66" is not a field; write a number from 2 to 64`,
		"binary\n  bitmaps: 4":                   "from 1 to 3",
		"binary\n  third: field-65":              "write bitmaps: 3",
		"binary\n  bitmaps: 3\n  third: field65": "write leading or field-65",
		"ebcdic":                                 "write binary or hex or ebcdic-hex",
	} {
		if _, err := mapped(t, bitmap); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", bitmap, err)
		}
	}
	two, three := builtin(t, "ascii87"), Message{MTI: MTIFinancial}
	three.SetString(130, "42")
	var wrong *FieldError
	if _, err := two.AppendBody(nil, &three); !errors.As(err, &wrong) {
		t.Errorf("a field above 128 in two bitmaps: %v", err)
	}
}

func TestThreeBitmapsAreReadAsTheyWereWritten(t *testing.T) {
	for i, bitmap := range []string{"hex\n  bitmaps: 3", "ebcdic-hex\n  bitmaps: 3", "binary\n  bitmaps: 3\n  third: field-65"} {
		d, err := mapped(t, bitmap)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				var m, back Message
				drawMessage(t, d, &m)
				body, err := d.AppendBody(nil, &m)
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Decode(body, &back); err != nil || !sameMessage(&m, &back) {
					t.Fatalf("does not read back: %v", err)
				}
				// moov takes the first bit of the third bitmap for a fourth, and knows no bitmap in field 65.
				if d.codec.inside || m.Has(129) {
					return
				}
				if err := d.moovAgrees(body, &m); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}
