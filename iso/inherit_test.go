package iso

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// family writes files side by side and loads the one named bank.yaml.
func family(t *testing.T, files map[string]string) (*Dialect, string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := LoadFile(filepath.Join(dir, "bank.yaml"))
	return d, dir, err
}

const child = "meta: {schema: 1, id: bank, version: 7, title: Of a family, effective: 2026-12-01}\n"

func TestAFileInheritsWhatItDoesNotSay(t *testing.T) {
	d, _, err := family(t, map[string]string{
		"bank.yaml": "inherits: base.yaml\n" + child + `
encoding:
  fields:
    48: {class: ans, var: {width: 2, enc: ascii, unit: bytes}, max: 99, content: ascii, mask: secret}
messages:
  purchase: {fields: {18: ~}}
  echo: ~
network:
  steps: {echo: ~, cut_over: {code: "203", by: bank, effect: cut_over, like: sign_on}, cut_over_done: ~}
  connect: [sign_on]
behaviour:
  reversal: {done: ["00", "99"]}
`,
		"base.yaml": `inherits: ascii87
meta: {schema: 1, id: base, version: 2, title: Between}
link: {frame: {kind: len-bin, width: 2, inclusive: true, max: 2000, zero: error}}
encoding: {fields: {48: {class: b, len: 8, content: binary}}}
`})
	if err != nil {
		t.Fatal(err)
	}
	ancestor := builtin(t, "ascii87")
	if d.ID() != "bank" || d.Version() != 7 || !d.Effective().Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("meta is each file's own: %s %d %s", d.ID(), d.Version(), d.Effective())
	}
	if d.frame.kind != frameBinary || !d.frame.inclusive || d.frame.max != 2000 {
		t.Errorf("the frame of the file between: %+v", d.frame)
	}
	if f := d.codec.fields[48]; f.max != 99 || f.class != classANS {
		t.Errorf("the nearest file's field: %+v", f)
	}
	if d.ReversalAnswer("99") != ReversalDone || d.ReversalAnswer("25") == ReversalDone {
		t.Error("a list is replaced as a whole")
	}
	if d.ReversalAnswer("03") != ancestor.ReversalAnswer("03") {
		t.Error("a neighbour of the list is inherited")
	}
	if d.NetworkStep("echo") != nil || d.NetworkStep("sign_off") == nil || d.NetworkStep("cut_over").Code != "203" || len(d.OnConnect()) != 1 {
		t.Errorf("the steps: %+v", d.NetworkSteps())
	}
	if d.Supports(OpEcho) || !d.Supports(OpSignOn) || len(d.golden) != 0 {
		t.Error("null takes a message away; golden is not inherited")
	}
	var m Message
	build(t, d, OpPurchase, purchase(), &m)
	if m.Has(18) || !m.Has(22) {
		t.Error("null takes a field away, and only that")
	}
}

func TestErrorsOfAFamilyNameTheirFile(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // after the folder
	}{
		{"own", map[string]string{"bank.yaml": "inherits: ascii87\n" + child + "values: {rrn: XX}\n"}, "bank.yaml:3: values.rrn must be"},
		{"of the base", map[string]string{"bank.yaml": "inherits: base.yaml\n" + child,
			"base.yaml": "inherits: ascii87\n\nvalues:\n  rrn: XX\n"}, "base.yaml:4: values.rrn must be"},
		{"base that is no YAML", map[string]string{"bank.yaml": "inherits: base.yaml\n" + child, "base.yaml": "a: b\nc: [\n"}, "base.yaml:"},
		{"list as base", map[string]string{"bank.yaml": "inherits: base.yaml\n" + child, "base.yaml": "- a\n"}, "base.yaml:1: the file must be a mapping"},
		{"unknown key of the base", map[string]string{"bank.yaml": "inherits: base.yaml\n" + child,
			"base.yaml": "inherits: ascii87\nlnik: {}\n"}, `base.yaml:2: the file has no key "lnik"`},
		{"no such base", map[string]string{"bank.yaml": child + "inherits: other.yaml\n"}, "bank.yaml:2: inherits: there is no file"},
		{"no such built-in", map[string]string{"bank.yaml": child + "inherits: ascii78\n"}, `bank.yaml:2: inherits: "ascii78" is no built-in dialect`},
		{"elsewhere", map[string]string{"bank.yaml": child + "inherits: ../base.yaml\n"}, "bank.yaml:2: inherits: "},
		{"circle of two", map[string]string{"bank.yaml": "inherits: base.yaml\n" + child, "base.yaml": "\ninherits: bank.yaml\n"}, "base.yaml:2: inherits: "},
		{"of itself", map[string]string{"bank.yaml": "inherits: bank.yaml\n" + child}, "break the circle"},
		{"day", map[string]string{"bank.yaml": "inherits: ascii87\n" + strings.Replace(child, "2026-12-01", "2026-13-01", 1)}, "bank.yaml:2: meta.effective"},
		{"cross check in the base", map[string]string{"bank.yaml": "inherits: base.yaml\n" + child,
			"base.yaml": "inherits: ascii87\nencoding:\n  fields:\n    2: {class: n, var: {width: 2, enc: ascii, unit: bytes}, max: 19, content: ascii}\n"},
			"carries the card number"},
	} {
		_, dir, err := family(t, c.files)
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), dir+"/", ""), c.want) {
			t.Errorf("%s: want %q, got %v", c.name, c.want, err)
		}
		var wrong *LoadError
		if !errors.As(err, &wrong) {
			t.Errorf("%s: %T", c.name, err)
		}
	}
}

func TestRulesOfAMessage(t *testing.T) {
	load := func(rules string) (*Dialect, error) {
		return ParseDialect("bank.yaml", []byte("inherits: ascii87\n"+child+"messages:\n  purchase:\n    rules:\n"+rules))
	}
	for _, c := range []struct {
		name, rule string
		change     func(*Values)
		fault      string // empty: it may go
	}{
		{"mandatory", "{field: 48, must: present}", func(v *Values) { v.CVC, v.ECI = CVC{}, "" }, "field 48: it must be present"},
		{"mandatory and there", "{field: 48, must: present}", func(v *Values) { v.ECI = "05" }, ""},
		{"conditional", "{field: 48, must: present, when: {currency: [EUR]}}", nil, "when currency is EUR"},
		{"other currency", "{field: 48, must: present, when: {currency: [RUB, USD]}}", nil, ""},
		{"absent", "{field: 48, must: absent, when: {channel: [ecommerce], amount_from: 100}}", func(v *Values) { v.ECI = "05" }, "must be absent when channel is ecommerce and the amount is at least 100"},
		{"below the amount", "{field: 48, must: absent, when: {amount_from: 12501}}", func(v *Values) { v.ECI = "05" }, ""},
		{"up to the amount", "{field: 48, must: absent, when: {amount_to: 12500}}", func(v *Values) { v.ECI = "05" }, "at most 12500"},
		{"legal", `{field: 18, values: ["5411", "5812"]}`, nil, ""},
		{"not legal", `{field: 18, values: ["5812"]}`, nil, "field 18: it must be one of 5812"},
		{"two conditions, one false", "{field: 48, must: present, when: {mcc: [\"5411\"], country: [\"840\"]}}", nil, ""},
		{"with", "{field: 48, must: present, when: {with: [2, 14]}}", nil, "with field 2 14"},
		{"without", "{field: 48, must: present, when: {without: [14]}}", nil, ""},
		{"credential", "{field: 48, must: present, when: {credential: [first]}}", func(v *Values) { v.Carried = &Carried{Credential: CredentialFirst} }, ""},
	} {
		d, err := load("      - " + c.rule + "\n")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		v := purchase()
		v.CVC, v.ECI, v.CAVV = CVC{}, "", ""
		if c.change != nil {
			c.change(v)
		}
		var m Message
		err = d.Build(OpPurchase, v, &m)
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: want %q, got %v", c.name, c.fault, err)
		}
		if err != nil && m.Has(2) {
			t.Errorf("%s: a message that breaks a rule is left", c.name)
		}
		if _, faults := d.Rehearse(OpPurchase, v, &m); (len(faults) > 0) != (c.fault != "") {
			t.Errorf("%s: rehearsed: %v", c.name, faults)
		}
	}
	for rule, want := range map[string]string{
		"{field: 200, must: present}":                                    "is not a field",
		"{field: 54, must: present}":                                     "has no field 54",
		"{field: 4, must: present}":                                      "is always present",
		"{field: 48}":                                                    "says nothing",
		"{field: 48, must: mandatory}":                                   "write present or absent",
		"{field: 18, values: [\"54111\"]}":                               "does not fit field 18",
		"{field: 48, must: present, when: {weekday: [1]}}":               `has no key "weekday"`,
		"{field: 48, must: present, when: {currency: [RUR]}}":            `"RUR" is no currency`,
		"{field: 48, must: present, when: {channel: [web]}}":             `"web" is no channel`,
		"{field: 48, must: present, when: {amount_to: x}}":               "minor units",
		"{field: 48, must: present, when: {mcc: []}}":                    "never holds",
		"{field: 48, must: present, when: {with: [1]}}":                  "is not a field",
		"{field: 48, must: present, unless: {}}":                         `has no key "unless"`,
		"{field: 48, must: absent, values: [\"x\"]}":                     "says nothing",
		"{field: 48, must: present}\n  reversal: {rules: [{field: 56}]}": "cannot be refused",
	} {
		if _, err := load("      - " + rule + "\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", rule, want, err)
		}
	}
}

func TestRulesCostNoAllocation(t *testing.T) {
	d, err := ParseDialect("bank.yaml", []byte("inherits: ascii87\n"+child+`messages:
  purchase:
    rules: [{field: 18, values: ["5411"], when: {currency: [EUR], channel: [ecommerce], with: [2]}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	v := purchase()
	build(t, d, OpPurchase, v, &m)
	if n := testing.AllocsPerRun(100, func() {
		if d.Build(OpPurchase, v, &m) != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
