package iso

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrongFilesAreRefusedWithTheirLine(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown block", "header: {kind: none}", "headr: {kind: none}", `the file has no key "headr"`},
		{"unknown key", "inclusive: false", "inclusive: false, inclusve: true", `link.frame has no key "inclusve"; it has`},
		{"unknown word", "kind: len-ascii", "kind: len-ascil", `write len-ascii or len-bin or len-bcd or len-hex`},
		{"missing key", "zero: keepalive", "zero: keepalive}\n  frame2: {x: 1", `link has no key "frame2"`},
		{"schema", "schema: 1", "schema: 2", "write schema: 1"},
		{"length over the prefix", "max: 8192", "max: 10000", "can say 9999 at most"},
		{"impossible content", "3: {class: n, len: 6, content: ascii}", "3: {class: n, len: 6, content: hex}", "class n has no content hex; write ascii or ebcdic037 or ebcdic500 or ebcdic1047 or bcd"},
		{"field 65", "    66: {class: n", "    65: {class: n", `"65" is not a field`},
		{"field twice", "    66: {class: n", "    67: {class: n", "is written twice"},
		{"odd where it cannot be", "4: {class: n, len: 12, content: ascii}", `4: {class: n, len: 12, content: bcd, odd: {side: left, fill: "0"}}`, "remove odd"},
		{"odd missing", "22: {class: n, len: 3, content: ascii}", "22: {class: n, len: 3, content: bcd}", "encoding.fields.22.odd is missing"},
		{"prefix too narrow", "var: {width: 3, enc: ascii, unit: bytes}, max: 120", "var: {width: 2, enc: ascii, unit: bytes}, max: 120", "can say 99 at most but max is 120"},
		{"unit", "var: {width: 2, enc: ascii, unit: bytes}, max: 19", "var: {width: 2, enc: ascii, unit: digits}, max: 19", "unit must be digits for content bcd"},
		{"constant too long", `25: {const: "51"}`, `25: {const: "510"}`, "does not fit field 25"},
		{"code too long", `moto: "012"`, `moto: "0120"`, "a code of values.codes.entry_mode does not fit field 22"},
		{"code of an unknown word", `moto: "012"`, `motto: "012"`, `has no key "motto"`},
		{"no code for the usual channel", `entry_mode: {ecommerce: "812", `, "entry_mode: {", "needs a code for ecommerce"},
		{"no codes", "    wallet: {apple_pay", "    wallets: {apple_pay", `has no key "wallets"`},
		{"codes that are missing", "    partial: {accepted: \"1\"}\n", "", "write values.codes.partial"},
		{"chip data in text", "55: {from: emv,", "57: {from: emv,", "emv needs a field of class b"},
		{"track unmasked", "max: 37, content: ascii, mask: track", "max: 37, content: ascii", "mask: track"},
		{"request's value in an answer", "39: {from: response_code}", "39: {from: wallet}", "wallet belongs in a request"},
		{"cryptogram in a reversal", "56: {from: reason}", "56: {from: cryptogram}", "belongs in a purchase, an authorization and a verification only"},
		{"source of another length", "11: {from: stan}", "11: {from: local_date}", "local_date has 4 characters but field 11 has exactly 6"},
		{"unknown source", "from: mcc", "from: mmc", `"mmc" is not known`},
		{"two sources", "{from: mcc}", `{from: mcc, const: "5411"}`, "needs one of from, const, tags, parts or echo"},
		{"secret in a reversal", "56: {from: reason}", "56: {from: cvc}", "belongs in a purchase, an authorization and a verification only"},
		{"secret unmasked", "content: ascii, mask: secret}\n    49", "content: ascii}\n    49", "mask: secret"},
		{"card number unmasked", "max: 19, content: ascii, mask: pan", "max: 19, content: ascii", "mask: pan"},
		{"key too long", `"0430": [7, 11, 41]`, `"0430": [7, 11, 41, 43]`, "of a key that has 64"},
		{"key without trace number", `"0810": [7, 11]`, `"0810": [7]`, "must hold field 11"},
		{"key of card data", `"0810": [7, 11]`, `"0810": [2, 11]`, "may not be part of a key"},
		{"key never sent", `"0810": [7, 11]`, `"0810": [11, 37]`, "has no field 37 that is always sent"},
		{"no answer", `  "0430":
    fields:`, `  "0410":
    fields:`, "0430"},
		{"unknown approved", "unknown: {result: declined, decline: do_not_honor, retry: later, ", "unknown: {result: approved, ", "never approved"},
		{"decline code", "decline: lost_card", "decline: card_lost", `"card_lost" is not known`},
		{"code twice", `"00", "21"`, `"00", "30"`, "listed twice"},
		{"duration", "first: 5s", "first: 5", "write it like 500ms, 30s"},
		{"schedule", "first: 5s", "first: 6m", "first <= cap <= expiry"},
		{"pattern", "rrn: YDDDNNNNNNNN", "rrn: YYDDDNNNNNNN", "write YDDDNNNNNNNN or YDDDhhSSSSSS"},
		{"pattern without a counter", "rrn: YDDDNNNNNNNN", "rrn: YYDDDhhhhYYY", "values.rrn"},
		{"tags without a form", "  private: {tag: 2, length: 3}\n", "", "write encoding.private"},
		{"tag width", `"92": {from: cvc}`, `"920": {from: cvc}`, "a tag has 2"},
		{"alias", "header: {kind: none}", "header: &h {kind: none}\nheadr: *h", "no aliases"},
		{"golden field", `39: "00"`, `39: "05"`, "field 39 is not what the bytes hold"},
		{"golden bytes", `text: "0810822`, `text: "0810823`, "cannot be read"},
		{"not YAML", "header: {kind: none}", "header: {kind: none", "not YAML"},
		{"two documents", "header: {kind: none}", "header: {kind: none}\n---\nx: 1", "one YAML document"},
	} {
		text := variant(t, "ascii87", c.old, c.new)
		_, problems := parseDialect("bank.yaml", text)
		found := false
		for _, p := range problems {
			found = found || strings.Contains(p.Error(), c.want)
			if strings.Contains(p.Error(), "\n") || !strings.HasPrefix(p.Error(), fmt.Sprintf("bank.yaml:%d: ", p.Line)) || p.Line < 1 {
				t.Errorf("%s: not one line with its place: %q", c.name, p.Error())
			}
			if strings.Contains(p.Error(), "4111") {
				t.Errorf("%s: the error quotes a card number", c.name)
			}
		}
		if !found {
			t.Errorf("%s: want %q, got %v", c.name, c.want, problems)
		}
	}
}

// A vector that reads to its fields but is not what the tables write.
func TestGoldenIsHeldBothWays(t *testing.T) {
	_, problems := parseDialect("bank.yaml", variant(t, "binary87", "541108125906123456", "5411F8125906123456"))
	if len(problems) == 0 || !strings.Contains(problems[0].Text, "the fields give other bytes") {
		t.Errorf("%v", problems)
	}
}

func TestTheLineIsTheRightOne(t *testing.T) {
	text := variant(t, "ascii87", "from: mcc", "from: mmc")
	_, err := ParseDialect("bank.yaml", text)
	first := 1 + strings.Count(string(text[:strings.Index(string(text), "from: mmc")]), "\n")
	if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("bank.yaml:%d: ", first)) {
		t.Errorf("want line %d: %v", first, err)
	}
}

func TestEmptyFile(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "[]", "x", "{}"} {
		if _, err := ParseDialect("bank.yaml", []byte(text)); err == nil {
			t.Errorf("%q loads", text)
		}
	}
}

func TestLoadFileAndLint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bank.yaml")
	golden := variant(t, "binary87")
	golden = golden[:strings.Index(string(golden), "golden:")]
	if err := os.WriteFile(path, golden, 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := Resolve(path); err != nil || d.ID() != "binary87" {
		t.Fatalf("%v", err)
	}
	problems, err := LintFile(path)
	if err != nil || len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].Text, "no golden vector") {
		t.Errorf("%v, %v", problems, err)
	}
	if _, err := LintFile(path + "x"); err == nil {
		t.Error("a file that is not there lints")
	}
	if _, err := Resolve("ascii78"); err == nil || !strings.Contains(err.Error(), "ascii87, ") {
		t.Errorf("a misspelt built-in: %v", err)
	}
}

// Every key of the other forms is read by a file that uses it.
func TestOtherForms(t *testing.T) {
	text := variant(t, "binary87",
		"header: {kind: none}", `header: {kind: literal, text: "A4M04000", receive: any}`,
		"kind: len-bin, width: 2, inclusive: false", "kind: len-bcd, width: 2, inclusive: true",
		`32: {class: n, var: {width: 2, enc: bcd, unit: digits}, max: 11, content: bcd, odd: {side: left, fill: "0"}}`,
		`32: {class: n, var: {width: 1, enc: bin, unit: digits}, max: 11, content: bcd, odd: {side: right, fill: "F"}}`,
		`67: {class: n, len: 2, content: bcd}`, `67: {class: n, len: 5, content: bcd, odd: {side: right, fill: "0"}}`,
		`52: {class: b, len: 8, content: binary, mask: pin}`, `52: {class: b, len: 8, content: hex, mask: pin}`,
		`98: {class: ans, len: 25, content: ascii}`, `98: {class: ans, len: 25, content: ascii, pad: {side: left, fill: "*"}, name: "Payee of ours"}`,
		`102: {class: ans, var: {width: 2, enc: bcd, unit: bytes}`, `102: {class: ans, var: {width: 4, enc: bcd, unit: bytes}`,
	)
	text = text[:strings.Index(string(text), "golden:")]
	d, err := ParseDialect("other.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	var m, back Message
	v := purchase()
	v.Acquirer = "12345"
	build(t, d, OpPurchase, v, &m)
	m.SetString(67, "12345")
	m.SetString(52, "8 bytes!")
	m.SetString(102, "4111111111111111")
	frame, err := d.AppendFrame(nil, &m)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(frame); int(frame[0]>>4)*1000+int(frame[0]&15)*100+int(frame[1]>>4)*10+int(frame[1]&15) != want {
		t.Errorf("an inclusive length of %d is written % x", want, frame[:2])
	}
	copy(frame[2:], "ANYTHING")
	body, n, err := d.NextFrame(frame)
	if err != nil || n != len(frame) {
		t.Fatal(n, err)
	}
	if err := d.Decode(body, &back); err != nil || !sameMessage(&m, &back) {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), "\x05\x12\x34\x5F") || !strings.Contains(string(body), "3820627974657321") {
		t.Errorf("fill or hex is not as the file says: % x", body)
	}
	if err := d.moovAgrees(body, &m); err != nil {
		t.Error(err)
	}
	if d.FieldName(98) != "Payee of ours" {
		t.Error("the file's name is not used")
	}
}
