package iso

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const textRow = "class: ans, var: {width: 3, enc: ascii, unit: bytes}, max: 999, content: ascii, mask: secret"
const binaryRow = "class: b, var: {width: 6, enc: ascii, unit: bytes}, max: 9999, content: binary, mask: secret"

// layouts are constructed fields of banks, what a purchase says in them, and the bytes.
var layouts = []struct{ name, row, says, wire string }{
	{"Way4: tags of three in their order, repeated", textRow + `, parts: {kind: tags, tag: {enc: ascii, width: 3}, length: {enc: ascii, width: 3},
      list: {"908": {}, "906": {}, "909": {}, "919": {name: "Indicator", mask: none}}}`,
		`{"908": {const: "090008"}, "906": {const: "4"}, "909": [{const: "07"}, {const: "08"}], "919": {const: "S"}}`,
		"908006090008906001490900207909002089190" + "01S"},
	{"length before the tag", textRow + `, parts: {kind: tags, order: length-tag, tag: {enc: ascii, width: 2}, length: {enc: ascii, width: 2}, list: {"AA": {}, "BB": {}}}`,
		`{AA: {const: "x"}, BB: {from: currency}}`, "03AAx05BB978"},
	{"tags in packed digits", binaryRow + `, parts: {kind: tags, tag: {enc: bcd, width: 4}, length: {enc: bcd, width: 2},
      list: {"0042": {class: n, max: 12, content: bcd, odd: {side: right, fill: "F"}}, "0043": {class: ans, max: 9, content: ebcdic037}}}`,
		`{"0042": {const: "123"}, "0043": {const: "A1"}}`, "x:004202123F004302C1F1"},
	{"tags in EBCDIC", binaryRow + `, parts: {kind: tags, tag: {enc: ebcdic, width: 2}, length: {enc: ebcdic, width: 2}, list: {"T1": {class: ans, max: 9, content: ebcdic037}}}`,
		`{T1: {const: "OK"}}`, "x:E3F1F0F2D6D2"},
	{"tags of bytes", binaryRow + `, parts: {kind: tags, tag: {enc: bin, width: 1}, length: {enc: bin, width: 2}, list: {"DF": {class: b, max: 99, content: binary}}}`,
		`{DF: {const: "0102"}}`, "x:DF00020102"},
	{"BER", binaryRow + `, parts: {kind: ber, list: {"9F1A": {class: n, len: 3, content: bcd, odd: {side: left, fill: "0"}}, "5F2A": {class: n, len: 4, content: bcd},
      "E1": {class: b, max: 200, content: binary, parts: {kind: ber, list: {"9F02": {class: n, len: 12, content: bcd}}}}}}`,
		`{"9F1A": {const: "643"}, E1: {parts: {"9F02": {from: amount}}}}`, "x:9F1A020643E1099F0206000000012500"},
	{"pairs", textRow + `, parts: {kind: pairs, equals: "=", separator: ";", list: {shop: {}, term: {}}}`,
		`{shop: {from: merchant}, term: {from: terminal}}`, "shop=MERCHANT0000001;term=TERM0001;"},
	{"Postilion 127.22: lengths of lengths", textRow + `, parts: {kind: sized, list: {OrderId: {}, CVV: {}}}`,
		`{OrderId: {from: rrn}}`, "17OrderId212616308000123"},
	{"positional, all parts filled", textRow + `, parts: {kind: positional, list: {zip: {class: an, len: 5, content: ascii}, country: {class: n, len: 3, content: ascii},
      note: {class: ans, max: 20, var: {width: 2, enc: ascii, unit: bytes}, content: ascii}}}`,
		`{country: {from: currency}}`, "     97800"},
	{"Postilion 127: a bitmap, a list in it", binaryRow + `, parts: {kind: bitmap, bytes: 8, bitmap: binary, list: {
      2: {class: ans, max: 32, var: {width: 2, enc: ascii, unit: bytes}, content: ascii}, 3: {class: ans, len: 4, content: ascii},
      22: {class: ans, max: 999, var: {width: 5, enc: ascii, unit: bytes}, content: ascii, parts: {kind: sized, list: {Key: {}}}}}}`,
		`{22: {parts: {Key: {const: "Value"}}}, 2: {from: rrn}}`,
		"x:4000040000000000" + hex.EncodeToString([]byte("1261630800012300012" + "13Key" + "15Value")[:0]) + hex.EncodeToString([]byte("12616308000123"+"00012"+"13Key15Value"))},
	{"Visa 63: a bitmap of three bytes, packed parts", binaryRow + `, parts: {kind: bitmap, bytes: 3, bitmap: binary, list: {1: {class: n, len: 4, content: bcd}, 3: {class: n, len: 4, content: bcd}, 19: {class: ans, len: 1, content: ebcdic037}}}`,
		`{1: {const: "0002"}, 3: {const: "2501"}, 19: {const: "B"}}`, "x:A0002000022501C2"},
	{"a bitmap in hex digits", textRow + `, parts: {kind: bitmap, bytes: 1, bitmap: hex, list: {1: {class: n, len: 2, content: ascii}, 8: {class: n, len: 1, content: ascii}}}`,
		`{8: {const: "7"}}`, "017"},
}

// withParts is a dialect whose purchase fills field 47 with parts.
func withParts(t testing.TB, row, says string) (*Dialect, error) {
	t.Helper()
	return ParseDialect("parts.yaml", withFields(t, "ascii87", map[int]string{47: row}, "      49: {from: currency}\n", "      49: {from: currency}\n      47: {parts: "+says+"}\n"))
}

func TestConstructedFields(t *testing.T) {
	for _, c := range layouts {
		d, err := withParts(t, c.row, c.says)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := []byte(c.wire)
		if digits, raw := strings.CutPrefix(c.wire, "x:"); raw {
			want, _ = hex.DecodeString(digits)
		}
		var m Message
		v := purchase()
		v.Merchant = "MERCHANT0000001"
		build(t, d, OpPurchase, v, &m)
		if !bytes.Equal(m.Get(47), want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, m.Get(47), want)
			continue
		}
		lay := d.codec.parts[47]
		if !lay.wellFormed(want) {
			t.Errorf("%s: is not read", c.name)
		}
		for n := range want {
			lay.wellFormed(want[:n])
		}
		buf := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(50, func() {
			if d.Build(OpPurchase, v, &m) != nil {
				t.Fatal("not built")
			}
			if _, err := d.AppendBody(buf, &m); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func TestPartsForPeople(t *testing.T) {
	row := binaryRow + `, parts: {kind: bitmap, bytes: 2, bitmap: binary, list: {
      2: {class: n, max: 19, var: {width: 1, enc: bin, unit: digits}, content: bcd, odd: {side: left, fill: "0"}, mask: pan, name: "Token"},
      3: {class: ans, len: 4, content: cp866, mask: none}, 4: {class: n, len: 4, content: ascii},
      9: {class: ans, max: 99, var: {width: 2, enc: ascii, unit: bytes}, content: ascii, mask: none, parts: {kind: tags, tag: {enc: ascii, width: 1}, length: {enc: ascii, width: 1},
        unknown: skip, list: {a: {name: "First", mask: none}}}}}}`
	d, err := withParts(t, row, `{2: {from: pan}, 3: {const: "Ёж"}, 4: {const: "1234"}, 9: {parts: {a: {const: "z"}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	build(t, d, OpPurchase, purchase(), &m)
	m.Set(47, bytes.Replace(m.Get(47), []byte("03a1z"), []byte("06b1ya1z"), 1))
	var got []string
	for _, view := range d.Describe(&m) {
		if view.Number == 47 {
			got = append(got, view.Name+": "+strings.TrimSpace(view.Value))
		}
	}
	want := []string{"Additional data, national: ***", "47.2 Token: 411111******1111", "47.3: Ёж", "47.4: ***", "47.9: b1ya1z", "47.9.a First: z"}
	if !slices.Equal(got, want) {
		t.Errorf("people see\n%s", strings.Join(got, "\n"))
	}
}

// An answer's network id may lie in a part, whatever stands around it.
func TestAnAnswerIsReadByItsParts(t *testing.T) {
	row := binaryRow + `, parts: {kind: bitmap, bytes: 8, bitmap: binary, list: {2: {class: ans, max: 15, var: {width: 1, enc: bin, unit: bytes}, content: ebcdic037}}}`
	text := withFields(t, "ascii87", map[int]string{62: row})
	text = bytes.Replace(text, []byte("  \"0210\":\n    fields:\n"), []byte("  \"0210\":\n    fields:\n      62: {parts: {2: {from: network_transaction_id}}, optional: true}\n"), 1)
	text = bytes.ReplaceAll(text, []byte("63: {from: network_transaction_id"), []byte("61: {from: network_transaction_id"))
	d, err := ParseDialect("parts.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	var ans Message
	answer(t, d, request(t, d, OpPurchase, purchase()), &Values{ResponseCode: "00", Carried: &Carried{InitialTransactionID: "123456789012345"}}, &ans)
	if got := d.NetworkTransactionID(&ans); string(got) != "123456789012345" || len(ans.Get(62)) != 8+1+15 {
		t.Errorf("%q of % x", got, ans.Get(62))
	}
}

func TestUnknownPartsMayBeRefused(t *testing.T) {
	for unknown, want := range map[string]Kind{"keep": 0, "skip": 0, "error": KindParts} {
		d, err := withParts(t, textRow+`, parts: {kind: tags, tag: {enc: ascii, width: 2}, length: {enc: ascii, width: 2}, unknown: `+unknown+`, list: {"01": {}}}`, `{"01": {const: "x"}}`)
		if err != nil {
			t.Fatal(err)
		}
		for value, good := range map[string]bool{"0101x": true, "0101x0201y": false, "0102x": false} {
			m := Message{MTI: MTIFinancial}
			m.SetString(47, value)
			body, err := d.AppendBody(nil, &m)
			if err != nil {
				t.Fatal(err)
			}
			var wrong *DecodeError
			if err := d.Decode(body, new(Message)); (err != nil) != (want != 0 && !good) {
				t.Errorf("%s %s: %v", unknown, value, err)
			} else if err != nil && (!asDecode(err, &wrong) || wrong.Kind != want) {
				t.Errorf("%s %s: %v", unknown, value, err)
			}
		}
	}
}

func asDecode(err error, to **DecodeError) bool {
	wrong, ok := err.(*DecodeError)
	*to = wrong
	return ok
}

// What is written in parts is read as these parts.
func TestPartsAreReadAsTheyWereWritten(t *testing.T) {
	d := builtin(t, "ascii87")
	row := fieldCodec{class: classANS, form: formText, max: maxOpen, open: true}
	for _, lay := range []*layout{
		{kind: layoutTags, tag: partNumber{prefixASCII, 2}, length: partNumber{prefixASCII, 3}},
		{kind: layoutTags, tag: partNumber{prefixASCII, 2}, length: partNumber{prefixBCD, 3}, lengthTag: true},
		{kind: layoutTags, tag: partNumber{prefixEBCDIC, 2}, length: partNumber{prefixBinary, 2}},
		{kind: layoutTags, tag: partNumber{prefixBinary, 1}, length: partNumber{prefixEBCDIC, 3}, lengthTag: true},
		{kind: layoutBER}, {kind: layoutSized}, {kind: layoutPairs, equals: '=', separator: ';'},
	} {
		keys := []string{"9F26", "82", "DF8101"}
		switch {
		case lay.kind == layoutTags && lay.tag.enc == prefixBinary:
			keys = []string{"9F", "00", "DF"}
		case lay.kind == layoutTags:
			keys = []string{"01", "AB", "00"}
		}
		for _, key := range keys {
			lay.parts = append(lay.parts, part{key: key, row: row})
		}
		rapid.Check(t, func(t *rapid.T) {
			var steps []partStep
			for range rapid.IntRange(1, 6).Draw(t, "parts") {
				p := &lay.parts[rapid.IntRange(0, len(keys)-1).Draw(t, "key")]
				text := rapid.StringMatching(`[a-zA-Z0-9 ]{1,300}`).Draw(t, "value")
				steps = append(steps, partStep{part: p, source: srcConst, constant: text})
			}
			value, broken := d.appendParts(nil, lay, steps, inputs{v: &Values{}})
			if broken != ruleNone {
				t.Fatal(ruleTexts[broken])
			}
			var c cursor
			if !c.open(lay, value) {
				t.Fatal("not read")
			}
			for i := range steps {
				if more, ok := c.next(); !more || !ok || c.part != steps[i].part || string(c.raw) != steps[i].constant {
					t.Fatalf("part %d of % x: %v, %v", i, value, more, ok)
				}
			}
			if more, ok := c.next(); more || !ok {
				t.Fatal("something follows")
			}
		})
	}
}

// FuzzParts: hostile bytes in a constructed field never read past it.
func FuzzParts(f *testing.F) {
	var all []*layout
	for _, c := range layouts {
		d, err := withParts(f, c.row, c.says)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, d.codec.parts[47])
		f.Add([]byte(c.wire))
	}
	f.Add([]byte("\x9F\x26\x88\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"))
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, lay := range all {
			lay.wellFormed(value)
			var c cursor
			for more, ok, parts := c.open(lay, value), true, 0; more && ok; parts++ {
				if more, ok = c.next(); len(c.raw) > len(value) || parts > 8*lay.bytes+len(value)+len(lay.parts) {
					t.Fatal("more parts than bytes")
				}
			}
			lay.describe(nil, FieldView{}, value, maskNone)
		}
	})
}

func TestWrongPartsAreRefused(t *testing.T) {
	tags := func(rest string) string {
		return textRow + `, parts: {kind: tags, tag: {enc: ascii, width: 2}, length: {enc: ascii, width: 2}, ` + rest + `}`
	}
	deep := `{kind: ber, list: {}}`
	for range 5 {
		deep = `{kind: ber, list: {"E1": {class: b, max: 9, content: binary, parts: ` + deep + `}}}`
	}
	for _, c := range []struct{ row, says, want string }{
		{tags(`list: {"01": {}}`), `{"02": {const: "x"}}`, `"02" is no part of the field`},
		{tags(`list: {"01": {}}`), `{"01": {konst: "x"}}`, "needs one of from, const or parts"},
		{tags(`list: {"01": {}}`), `{"01": {parts: {}}}`, "the part has no parts"},
		{tags(`list: {"01": {class: n, max: 4, content: ascii}}`), `{"01": {const: "x"}}`, "the constant does not fit its part: it holds a character"},
		{tags(`list: {"01": {class: n, max: 4, content: ascii}}`), `{"01": {const: "12345"}}`, "does not fit its part: its length"},
		{tags(`list: {"01": {class: n, max: 4, content: ascii}}`), `{"01": {from: stan}}`, "stan has 6 characters but part 01 takes 4"},
		{tags(`list: {"01": {mask: none}}`), `{"01": {from: cvc}}`, "part 01 carries verification data"},
		{tags(`list: {"01": {mask: none}}`), `{"01": {from: pan}}`, "part 01 carries the card number"},
		{tags(`list: {"012": {}}`), `{}`, "a tag has 2 characters here"},
		{tags(`unknown: fail, list: {"01": {}}`), `{}`, "write keep or skip or error"},
		{tags(`order: tag, list: {"01": {}}`), `{}`, "write tag-length or length-tag"},
		{tags(`lst: {"01": {}}`), `{}`, "parts.list is missing"},
		{textRow + `, parts: {kind: tlv, list: {}}`, `{}`, "write positional or tags or ber or pairs or sized or bitmap"},
		{textRow + `, parts: {kind: ber, list: {"9F26": {}}}`, `{}`, "write class: b and content: binary"},
		{binaryRow + `, parts: {kind: ber, list: {"9F": {}}}`, `{}`, "write a tag in capital hex digits"},
		{binaryRow + `, parts: {kind: bitmap, bytes: 3, bitmap: binary, list: {25: {class: n, len: 1, content: ascii}}}`, `{}`, "from 1 to 24"},
		{binaryRow + `, parts: {kind: bitmap, bytes: 3, bitmap: binary, list: {2: {}}}`, `{}`, "class is missing"},
		{binaryRow + `, parts: {kind: bitmap, bytes: 3, bitmap: binary, list: {2: {class: n, len: 2, content: ascii}}}`, `{2: [{const: "01"}]}`, "is there once"},
		{binaryRow + `, parts: ` + deep, `{}`, "parts lie at most 4 deep"},
		{strings.Replace(textRow, ", mask: secret", "", 1) + `, parts: {kind: sized, list: {a: {mask: pan}}}`, `{}`, "the whole field must be"},
		{"class: n, len: 6, content: ascii, parts: {kind: sized, list: {}}", `{}`, "a variable field of class ans"},
		{textRow, `{"01": {const: "x"}}`, "field 47 has no parts"},
	} {
		if _, err := withParts(t, c.row, c.says); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q, got %v", fmt.Sprintf("%.60s", c.row), c.want, err)
		}
	}
}
