package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/iso"
)

// command runs one command of the program on text as its stdin.
func command(t *testing.T, stdin string, argv ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := rootCommand()
	root.SetArgs(argv)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.Execute()
	return out.String(), err
}

func mustCommand(t *testing.T, stdin string, argv ...string) string {
	t.Helper()
	out, err := command(t, stdin, argv...)
	if err != nil {
		t.Fatalf("tranzit %s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return out
}

// examplePurchase is what encode's help shows.
const examplePurchase = `{"operation": "purchase", "values": {"amount": 1000, "currency": "EUR", "pan": "4111111111111111", "expiry": "3012",
   "stan": 7, "rrn": "633110000007", "sent_at": "2026-11-27T10:15:00Z", "terminal": "TERM0001", "merchant": "MERCHANT0000001",
   "mcc": "5411", "name_location": "DEMO SHOP", "country": "643", "acquirer": "123456"}}`

func TestEncodedMessagesDecode(t *testing.T) {
	for _, name := range iso.Builtins() {
		for _, text := range []string{examplePurchase, `{"operation": "sign_on", "values": {"stan": 1, "sent_at": "2026-11-27T10:15:00Z", "acquirer": "123456"}}`} {
			frame := mustCommand(t, text, "dialect", "encode", "-d", name)
			out := mustCommand(t, frame, "dialect", "decode", "-d", name)
			if !strings.Contains(out, "System trace audit number") || strings.Contains(out, "4111111111111111") {
				t.Errorf("%s:\n%s", name, out)
			}
		}
	}
	d, err := iso.Builtin("ascii87")
	if err != nil {
		t.Fatal(err)
	}
	raw := mustCommand(t, `{"mti": "0800", "fields": {"7": "1127101500", "11": "000001", "70": "301"}}`, "dialect", "encode", "--raw", "--body")
	var m iso.Message
	if err := d.Decode([]byte(raw), &m); err != nil || string(m.Get(70)) != "301" || m.MTI != 0x0800 {
		t.Errorf("raw: %q, %v", raw, err)
	}
	for text, want := range map[string]string{
		`{"mti": "0800", "operation": "echo"}`:                                                   "either",
		`{}`:                                                                                     "either",
		`{"mti": "0800", "values": {"stan": 1}}`:                                                 "belong to an operation",
		`{"operation": "echo", "fields": {"7": "x"}}`:                                            "belong to an",
		`{"operation": "ecko"}`:                                                                  "no operation",
		`{"mti": "08", "fields": {}}`:                                                            "four digits",
		`{"mti": "0800", "fields": {"1": "x"}}`:                                                  "is not a field",
		`{"mti": "0800", "fields": {"52": "zz"}}`:                                                "hex digits",
		`{"mti": "0800", "fields": {"11": "1"}}`:                                                 "field 11",
		`{"operation": "purchase", "values": {"pan": "1"}}`:                                      "values.pan",
		`{"operation": "purchase", "values": {"expiry": "3013"}}`:                                "values.expiry",
		`{"operation": "purchase", "values": {"currency": "RUR"}}`:                               "values.currency",
		`{"operation": "purchase", "values": {"channel": "web"}}`:                                "values.channel",
		`{"operation": "purchase", "values": {"cvc": "x"}}`:                                      "values.cvc",
		`{"operation": "purchase", "value": {}}`:                                                 `unknown field "value"`,
		`{"operation": "echo"} {}`:                                                               "more than one",
		strings.Replace(examplePurchase, `"expiry"`, `"original_mti": "02", "expiry"`, 1):        "values.original_mti",
		strings.Replace(examplePurchase, `"terminal": "TERM0001"`, `"terminal": "T12345678"`, 1): "field 41",
	} {
		if out, err := command(t, text, "dialect", "encode"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v %s", text, want, err, out)
		}
	}
}

func TestNewDialectLintsClean(t *testing.T) {
	dir := t.TempDir()
	for i, argv := range [][]string{
		{"a.yaml", "--title", `The "best" bank: #1`},
		{"b.yaml", "--like", "binary87", "--frame", "len-hex", "--width", "4", "--header", "ISO016000010"},
		{"c.yaml", "--frame", "len-bcd", "--width", "1"},
	} {
		argv[0] = filepath.Join(dir, argv[0])
		mustCommand(t, "", append([]string{"dialect", "new"}, argv...)...)
		if out := mustCommand(t, "", "dialect", "lint", argv[0]); !strings.Contains(out, "is good") {
			t.Errorf("%d: %s", i, out)
		}
		if _, err := command(t, "", "dialect", "new", argv[0]); err == nil {
			t.Error("a file is overwritten")
		}
	}
	asked := filepath.Join(dir, "asked.yaml")
	mustCommand(t, "omega\nBank Omega\nbinary87\nlen-ascii\n4\n\n", "dialect", "new", "--ask", asked)
	d, err := iso.LoadFile(asked)
	if err != nil || d.ID() != "omega" || d.Title() != "Bank Omega" {
		t.Fatalf("%v", err)
	}
	if out := mustCommand(t, "", "dialect", "diff", "binary87", asked); !strings.Contains(out, "link.frame.kind: len-bin -> len-ascii") || strings.Contains(out, "encoding") {
		t.Errorf("%s", out)
	}
	for _, argv := range [][]string{{"--like", "ascii78"}, {"--frame", "len"}, {"--id", "Big"}, {"--frame", "len-bin", "--width", "9"}} {
		if _, err := command(t, "", append([]string{"dialect", "new", filepath.Join(dir, "z.yaml")}, argv...)...); err == nil {
			t.Errorf("%v is taken", argv)
		}
		if _, err := os.Stat(filepath.Join(dir, "z.yaml")); err == nil {
			t.Error("a file that is wrong is written")
		}
	}
}

func TestLintTellsAllOfSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	bad, risky := filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "risky.yaml")
	for path, text := range map[string]string{
		bad: "inherits: ascii87\nmeta: {schema: 1, id: bad, version: 1, title: x}\nlinc: {}\nvalues: {rrn: XX}\n",
		risky: `inherits: ascii87
meta: {schema: 1, id: risky, version: 1, title: x}
header: {kind: literal, text: "ISO", receive: any}
behaviour:
  timers: {response: 2s}
  saf: {expiry: 1h, max_attempts: 2}
  verify: {"0210": {equal: [3], if_present: []}}
  match: {"0210": [11, 37]}
encoding: {fields: {35: {class: z, var: {width: 2, enc: ascii, unit: bytes}, max: 37, content: ascii, mask: track}, 45: {class: ans, var: {width: 2, enc: ascii, unit: bytes}, max: 76, content: ascii}}}
responses: {codes: {"09": {result: declined, decline: do_not_honor, retry: later, message: "no"}}}
network: {steps: {sign_on: {code: "001", by: us, effect: sign_on}, key: {code: "161", by: us, effect: none, key: answer}}, connect: [echo, sign_on], close: []}
security:
  mac: {algorithm: x9.19, padding: zeros, field: last, bytes: 8, covers: {length: false, header: false, mti: true},
    send: ["0200", "0420"], receive: ["0210"], keys: {send: mac, receive: mac}, failure: refute}
  key_exchange: {slot: mac, kek: kek, form: key-block, field: 62, steps: [key], overlap: 1s}
`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := command(t, "", "dialect", "lint", "--json", bad, risky)
	if err == nil || !strings.Contains(err.Error(), "2 errors") {
		t.Errorf("%v", err)
	}
	var got struct {
		Problems []iso.Problem `json:"problems"`
		Errors   int           `json:"errors"`
	}
	if err := json.Unmarshal([]byte(out[:strings.LastIndex(out, "}")+1]), &got); err != nil || got.Errors != 2 {
		t.Fatalf("%v %s", err, out)
	}
	for _, want := range []string{"receive is any", "does not compare field 4;", "does not compare field 41", "response code 09", "timers.response", "saf.expiry", "max_attempts", "field 45",
		"network.connect does not end with echo", "not sign on again", "network.close does not sign off", "overlap is 1s", "messages.authorization goes out without a code",
		"the answer to messages.reversal is taken without a code"} {
		if !strings.Contains(out, want) {
			t.Errorf("no warning of %s:\n%s", want, out)
		}
	}
	for _, p := range got.Problems {
		if p.File == risky != p.Warning {
			t.Errorf("%v", p)
		}
	}
	if out, err := command(t, "", "dialect", "lint", risky); err != nil {
		t.Errorf("warnings are no failure: %v %s", err, out)
	}
}

func TestDescribeAndDiffAsJSON(t *testing.T) {
	var page iso.Page
	if err := json.Unmarshal([]byte(mustCommand(t, "", "dialect", "describe", "--json", "ascii87")), &page); err != nil || page.ID != "ascii87" || len(page.Tables) < 10 {
		t.Errorf("%v %+v", err, page)
	}
	var diff struct{ Differences []iso.Difference }
	if err := json.Unmarshal([]byte(mustCommand(t, "", "dialect", "diff", "--json", "ascii87", "binary87")), &diff); err != nil || len(diff.Differences) < 10 {
		t.Errorf("%v", err)
	}
	if out := mustCommand(t, "", "dialect", "diff", "ascii87", "ascii87"); out != "the dialects say the same\n" {
		t.Errorf("%s", out)
	}
	if _, err := command(t, "", "dialect", "wireshark", "ascii87", "--port", "0"); err == nil {
		t.Error("port 0 is taken")
	}
	if _, err := hex.DecodeString(strings.TrimSpace(mustCommand(t, examplePurchase, "dialect", "encode"))); err != nil {
		t.Error(err)
	}
}
