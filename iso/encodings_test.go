package iso

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/moov-io/iso8583/encoding"
	"pgregory.net/rapid"
)

// rows are all ways in which a field can lie on the wire, as a file writes them.
func rows() (out []string) {
	for c := classN; c <= classSign; c++ {
		for _, content := range fits(c) {
			f := formOf(c, content)
			head := fmt.Sprintf("class: %s, content: %s", classNames[c-1], content)
			packed := f == formBCD || f == formNibble
			if packed {
				for _, odd := range []string{`left, fill: "0"`, `left, fill: "F"`, `right, fill: "0"`, `right, fill: "F"`} {
					out = append(out, fmt.Sprintf("%s, len: 7, odd: {side: %s}", head, odd))
				}
			} else {
				out = append(out, head+", len: 9")
			}
			if c == classAN || c == classANS {
				out = append(out, head+", len: 9, trim: true", head+`, len: 9, trim: true, pad: {side: left, fill: "0"}`)
			}
			for unit, counts := range unitsOf(f) {
				if f == formSignBCD && counts == countHalf {
					continue
				}
				for _, enc := range []string{"ascii", "bcd", "bin", "ebcdic"} {
					row := fmt.Sprintf("%s, max: 29, var: {width: %d, enc: %s, unit: %s}", head, 2+len(out)%5, enc, unit)
					switch {
					case packed && counts == countHalf:
						row += fmt.Sprintf(`, odd: {side: %s, fill: "F"}`, []string{"left", "right"}[len(out)%2])
					case packed || f == formSignBCD:
						row += fmt.Sprintf(`, odd: {side: %s, fill: "%s"}`, []string{"left", "right"}[len(out)%2], []string{"0", "F"}[len(out)/2%2])
					}
					out = append(out, row)
				}
			}
		}
	}
	return out
}

// withFields is a built-in file without its vectors and with other rows for fields.
func withFields(t testing.TB, name string, fields map[int]string, replace ...string) []byte {
	t.Helper()
	text := variant(t, name, replace...)
	text = text[:bytes.Index(text, []byte("golden:"))]
	for f, row := range fields {
		line := regexp.MustCompile(fmt.Sprintf(`(?m)^    %d: \{class: .*$`, f))
		text = line.ReplaceAll(text, nil)
		text = bytes.Replace(text, []byte("\n  fields:\n"), fmt.Appendf(nil, "\n  fields:\n    %d: {%s}\n", f, row), 1)
	}
	return text
}

// everyForm are dialects that have every row in fields the messages leave free.
var everyForm = sync.OnceValues(func() (out []*Dialect, err error) {
	heads := []string{"mti: ascii\n  bitmap: hex", "mti: ebcdic\n  bitmap: ebcdic-hex", "mti: bcd\n  bitmap: binary"}
	all := rows()
	for i := 0; len(all) > 0; i++ {
		fields := map[int]string{}
		for f := 66; f <= 128 && len(all) > 0; f++ {
			if f != 70 && f != 90 && f != 95 {
				fields[f], all = all[0], all[1:]
			}
		}
		text := withFields(new(testing.T), "ascii87", fields, heads[0], heads[i%len(heads)])
		d, err := ParseDialect(fmt.Sprintf("forms%d.yaml", i), text)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
})

func forms(t testing.TB) []*Dialect {
	t.Helper()
	all, err := everyForm()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Every form agrees with moov where moov knows it, and reads back everywhere.
func TestEveryFormIsReadAsItWasWritten(t *testing.T) {
	for i, d := range forms(t) {
		t.Run(fmt.Sprint(i), func(t *testing.T) { rapid.Check(t, differential(d)) })
	}
}

// FuzzForms: hostile bytes in any form give an error or a message that is written and
// read back to itself.
func FuzzForms(f *testing.F) {
	for _, d := range forms(f) {
		m := Message{MTI: MTIFinancial}
		for n := 66; n <= 128; n++ {
			row := &d.codec.fields[n]
			if n == 65 || row.max > 29 {
				continue
			}
			value := bytes.Repeat([]byte{'1'}, int(row.max))
			if row.class == classSign {
				value[0] = 'C'
			}
			m.Set(n, value)
		}
		body, err := d.AppendBody(nil, &m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, d := range forms(t) {
			var m, again Message
			if err := d.Decode(body, &m); err != nil {
				var wrong *DecodeError
				if !errors.As(err, &wrong) {
					t.Fatalf("an error of another type: %T", err)
				}
				continue
			}
			out, err := d.AppendBody(nil, &m)
			if err != nil {
				t.Fatalf("read but not written: %v", err)
			}
			if err := d.Decode(out, &again); err != nil || !sameMessage(&m, &again) {
				t.Fatalf("not stable: %v", err)
			}
			d.Describe(&m)
		}
	})
}

func TestFormsOnTheWire(t *testing.T) {
	for _, c := range []struct{ row, value, wire string }{
		{"class: n, len: 4, content: ebcdic037", "2026", "F2F0F2F6"},
		{"class: ans, len: 8, content: ebcdic500", "[A!|^1] ", "4AC14FBB5FF15A40"},
		{"class: ans, len: 5, content: ebcdic1047", "[a^]!", "AD815FBD5A"},
		{"class: ans, len: 5, content: ebcdic037, trim: true", "TERM", "E3C5D9D440"},
		{"class: an, len: 6, content: ascii, trim: true, pad: {side: left, fill: \" \"}", "A1", "202020204131"},
		{"class: x+n, len: 9, content: ebcdic037", "D00000150", "C4F0F0F0F0F0F1F5F0"},
		{`class: x+n, max: 9, var: {width: 2, enc: bcd, unit: digits}, content: bcd, odd: {side: right, fill: "F"}`, "C123", "0443123F"},
		{"class: x+n, max: 9, var: {width: 1, enc: ascii, unit: bytes}, content: ascii", "D5", "324435"},
		{"class: b, max: 8, var: {width: 2, enc: ascii, unit: digits}, content: hex", "\xAB\x01", "303441423031"},
		{"class: b, max: 8, var: {width: 1, enc: bin, unit: bytes}, content: hex-lower", "\xAB\x01", "0261623031"},
		{"class: b, max: 8, var: {width: 2, enc: bcd, unit: nibbles}, content: binary", "\xAB\x01", "04AB01"},
		{`class: n, max: 19, var: {width: 1, enc: bin, unit: digits}, content: bcd, odd: {side: left, fill: "0"}`, "123", "030123"},
		{`class: n, max: 19, var: {width: 1, enc: bin, unit: bytes}, content: bcd, odd: {side: right, fill: "F"}`, "123", "02123F"},
		{`class: n, max: 19, var: {width: 1, enc: bin, unit: bytes}, content: bcd, odd: {side: left, fill: "F"}`, "123", "02F123"},
		{`class: z, max: 37, var: {width: 2, enc: bcd, unit: nibbles}, content: nibble, odd: {side: right, fill: "F"}`, "4111111111111111=3012101000", "274111111111111111D3012101000F"},
		{`class: z, max: 37, var: {width: 2, enc: bcd, unit: bytes}, content: nibble, odd: {side: right, fill: "F"}`, "4111111111111111=3", "094111111111111111D3"},
		{"class: ans, max: 99, var: {width: 2, enc: ebcdic, unit: bytes}, content: ebcdic037", "OK", "F0F2D6D2"},
		{"class: ans, max: 99, var: {width: 6, enc: ascii, unit: bytes}, content: ascii", "OK", "3030303030324F4B"},
		{"class: ans, max: 99, var: {width: 4, enc: bin, unit: bytes}, content: ascii", "OK", "000000024F4B"},
	} {
		d, err := ParseDialect("one.yaml", withFields(t, "ascii87", map[int]string{127: c.row}))
		if err != nil {
			t.Errorf("%s: %v", c.row, err)
			continue
		}
		m, back := Message{MTI: MTIFinancial}, Message{}
		m.SetString(127, c.value)
		body, err := d.AppendBody(nil, &m)
		if err != nil {
			t.Errorf("%s: %v", c.row, err)
			continue
		}
		if got := strings.ToUpper(hex.EncodeToString(body[4+32:])); got != c.wire {
			t.Errorf("%s: %q is %s, want %s", c.row, c.value, got, c.wire)
		}
		if err := d.Decode(body, &back); err != nil || string(back.Get(127)) != c.value {
			t.Errorf("%s: reads %q, %v", c.row, back.Get(127), err)
		}
		for n := range body {
			if err := d.Decode(body[:n], &back); err == nil {
				t.Errorf("%s: cut to %d bytes it reads", c.row, n)
			}
		}
	}
}

// The pages are those of moov's codec on what prints, where it has them.
func TestEBCDICPages(t *testing.T) {
	for c := byte(' '); c <= '~'; c++ {
		theirs, err := encoding.EBCDIC1047.Encode([]byte{c})
		if err != nil || theirs[0] != pageEBCDIC1047.wire[c] {
			t.Errorf("1047: %q is %x, moov writes %x", c, pageEBCDIC1047.wire[c], theirs)
		}
		theirs, err = encoding.EBCDIC.Encode([]byte{c})
		if err != nil || c != '|' && theirs[0] != pageEBCDIC500.wire[c] && c != '[' && c != ']' && c != '!' && c != '^' {
			t.Errorf("500: %q is %x, moov writes %x", c, pageEBCDIC500.wire[c], theirs)
		}
	}
	for _, p := range []*page{pageEBCDIC037, pageEBCDIC500, pageEBCDIC1047} {
		for i := range 256 {
			if p.wire[p.held[i]] != byte(i) {
				t.Fatalf("byte %#x is lost on its way", i)
			}
		}
	}
}

func TestNamesInTheirPage(t *testing.T) {
	for _, c := range []struct{ content, name, want string }{
		{"ascii", "Щука и Ёж", "Shchuka i Ezh"},
		{"ascii", "ЩУКА", "SHCHUKA"},
		{"ascii", "Çağ Türk Ş.", "Cag Turk S."},
		{"ascii", "漢 ok\x07", "? ok?"},
		{"ascii", "a\xffb", "a?b"},
		{"latin1", "Straße Ş", "Stra\xDFe S"},
		{"cp1251", "Ёж é", "\xA8\xE6 e"},
		{"cp866", "Ёж № 漢", "\xF0\xA6 \xFC ?"},
		{"ebcdic037", "Ёж", "Ezh"},
	} {
		d, err := ParseDialect("one.yaml", withFields(t, "ascii87", map[int]string{43: "class: ans, len: 20, content: " + c.content}))
		if err != nil {
			t.Fatal(err)
		}
		var m Message
		v := purchase()
		v.NameLocation = c.name
		build(t, d, OpPurchase, v, &m)
		if got := strings.TrimRight(string(m.Get(43)), " "); got != c.want {
			t.Errorf("%s: %q became %q, want %q", c.content, c.name, got, c.want)
		}
	}
	d, err := ParseDialect("one.yaml", withFields(t, "ascii87", map[int]string{43: "class: ans, len: 20, content: cp866"}))
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	v := purchase()
	v.NameLocation = "Ёж"
	build(t, d, OpPurchase, v, &m)
	for _, view := range d.Describe(&m) {
		if view.Number == 43 && !strings.HasPrefix(view.Value, "Ёж ") {
			t.Errorf("people see %q", view.Value)
		}
	}
}

// What was trimmed on one side joins what was trimmed on the other.
func TestTrimmedFieldsMatch(t *testing.T) {
	d, err := ParseDialect("one.yaml", withFields(t, "ascii87", map[int]string{41: "class: ans, len: 8, content: ascii, trim: true"}))
	if err != nil {
		t.Fatal(err)
	}
	v := purchase()
	v.Terminal = "T1 "
	req := request(t, d, OpPurchase, v)
	var ans, back Message
	answer(t, d, req, &Values{ResponseCode: "00"}, &ans)
	body, err := d.AppendBody(nil, &ans)
	if err != nil || !bytes.Contains(body, []byte("00T1      MERCHANT")) {
		t.Fatalf("%q, %v", body, err)
	}
	if err := d.Decode(body, &back); err != nil || string(back.Get(41)) != "T1" {
		t.Fatal(err)
	}
	var asked, got Key
	d.RequestKey(req, &asked)
	if !d.AnswerKey(&back, &got) || asked != got || d.Verify(req, &back) != nil {
		t.Error("the answer does not find its request")
	}
}

func TestWrongFormsAreRefused(t *testing.T) {
	for _, c := range []struct{ row, want string }{
		{"class: an, len: 6, content: cp866", "class an has no content cp866"},
		{"class: n, max: 19, var: {width: 2, enc: ascii, unit: bytes}, content: nibble", "class n has no content nibble"},
		{`class: n, max: 19, var: {width: 2, enc: bcd, unit: bytes}, content: bcd, odd: {side: right, fill: "0"}`, `write fill: "F"`},
		{"class: n, max: 19, var: {width: 2, enc: bcd, unit: nibbles}, content: ascii", "unit must be digits for content bcd"},
		{"class: b, max: 9, var: {width: 2, enc: bcd, unit: digits}, content: binary", "write bytes, or nibbles"},
		{"class: b, max: 60, var: {width: 2, enc: ascii, unit: digits}, content: hex", "can say 99 at most but max is 120"},
		{"class: n, len: 6, content: ascii, trim: true", "trim is for fixed fields of class an and ans"},
		{"class: ans, max: 9, var: {width: 7, enc: ascii, unit: bytes}, content: ascii", "a whole number from 1 to 6"},
		{"class: ans, max: 9, var: {width: 2, enc: ebcdic, unit: bytes}, content: ebcdic", `"ebcdic" is not known`},
	} {
		_, problems := parseDialect("bank.yaml", withFields(t, "ascii87", map[int]string{127: c.row}))
		if len(problems) == 0 || !strings.Contains(problems[0].Text, c.want) {
			t.Errorf("%s: %v", c.row, problems)
		}
	}
}
