package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// soundConfig is the configuration that every mistake below is made in.
const soundConfig = `listen: 127.0.0.1:0
admin: 127.0.0.1:0
data: data
log: {level: info, format: json}
journal: {reserve_mib: 64}
limits: {max_in_flight: 1000, merchant_share: 0.5}
banks:
  - id: alfa
    dialect: ascii87
    mode: test
    endpoints: ["127.0.0.1:9101"]
    links_per_endpoint: 2
    window: 64
    timeouts: {connect: 1s, write: 1s, response: 5s, reversal: 5s}
    echo: {interval: 30s, timeout: 5s, misses: 2}
    reconnect: {min: 1s, max: 30s}
    profile: demo-alfa
merchants:
  - id: shop
    name: SHOP
    city: BERLIN
    country: "276"
    mcc: "5411"
    time_zone: Europe/Berlin
    keys:
      - {mode: test, key: sk_test_0123456789abcdefgh}
    banks:
      - {bank: alfa, merchant_id: M1, terminals: [T1]}
`

// mistakes are made one at a time: the first text is replaced by the second.
var mistakes = []struct{ name, from, to string }{
	{"empty file", soundConfig, ""},
	{"a candidate without a dialect", "    window: 64", "    candidate: {canary: 1}\n    window: 64"},
	{"a candidate that is not there", "    window: 64", "    candidate: {dialect: next.yaml}\n    window: 64"},
	{"a candidate that is the dialect", "    window: 64", "    candidate: {dialect: ascii87}\n    window: 64"},
	{"a candidate of another version", "    window: 64", "    candidate: {dialect: binary87, version: 7}\n    window: 64"},
	{"a canary of all links", "    window: 64", "    candidate: {dialect: binary87, canary: 2}\n    window: 64"},
	{"a canary on a link that is not there", "    window: 64", "    candidate: {dialect: binary87, canary: [3]}\n    window: 64"},
	{"a canary that is no number", "    window: 64", "    candidate: {dialect: binary87, canary: some}\n    window: 64"},
	{"not yaml", "log: {level", "log: [level"},
	{"tab as indent", "    city", "\tcity"},
	{"a list instead of a map", "log: {level: info, format: json}", "log: [info]"},
	{"unknown key", "data: data", "date: data"},
	{"unknown key in a bank", "    window: 64", "    windows: 64"},
	{"unknown key in a merchant", "    city: BERLIN", "    town: BERLIN"},
	{"key given twice", "admin: 127.0.0.1:0", "listen: 127.0.0.1:1"},
	{"not a duration", "response: 5s", "response: soon"},
	{"duration without a unit", "response: 5s", "response: 5"},
	{"not a number", "window: 64", "window: many"},
	{"listen without a port", "listen: 127.0.0.1:0", "listen: 127.0.0.1"},
	{"admin without a port", "admin: 127.0.0.1:0", "admin: localhost"},
	{"cabinet without a port", "data: data", "data: data\ncabinet: {listen: localhost}"},
	{"cabinet that is nowhere", "data: data", "data: data\ncabinet: {url: \"https://cabinet.example\"}"},
	{"cabinet in clear for the world", "data: data", "data: data\ncabinet: {listen: \"0.0.0.0:0\", url: \"http://cabinet.example\"}"},
	{"cabinet with half a certificate", "data: data", "data: data\ncabinet: {listen: \"localhost:0\", cert: a.pem}"},
	{"cabinet that never idles", "data: data", "data: data\ncabinet: {listen: \"localhost:0\", idle: 48h}"},
	{"cabinet of short sessions", "data: data", "data: data\ncabinet: {listen: \"localhost:0\", idle: 2h, lasting: 1h}"},
	{"unknown log level", "level: info", "level: loud"},
	{"unknown log format", "format: json", "format: xml"},
	{"retries of a missing file", "data: data", "data: data\nretries: {file: nowhere.yaml}"},
	{"in flight out of range", "max_in_flight: 1000", "max_in_flight: -5"},
	{"share above one", "merchant_share: 0.5", "merchant_share: 1.5"},
	{"negative cache", "journal: {reserve_mib: 64}", "journal: {cache_mib: -1}"},
	{"memtable too large", "journal: {reserve_mib: 64}", "journal: {memtable_mib: 5000}"},
	{"negative patience", "journal: {reserve_mib: 64}", "journal: {slow_after: -1s}"},
	{"negative drain", "data: data", "drain_timeout: -1s"},
	{"negative body", "data: data", "http: {max_body: -1}"},
	{"no banks", soundConfig[strings.Index(soundConfig, "banks:\n"):strings.Index(soundConfig, "merchants:\n")], ""},
	{"no merchants", soundConfig[strings.Index(soundConfig, "merchants:\n"):], ""},
	{"bank id with spaces", "id: alfa", "id: Alfa Bank"},
	{"unknown mode", "mode: test\n", "mode: prod\n"},
	{"direction not there", "mode: test\n", "direction: both\n"},
	{"no dialect", "    dialect: ascii87\n", ""},
	{"unknown dialect", "dialect: ascii87", "dialect: ascii88"},
	{"no endpoints", `endpoints: ["127.0.0.1:9101"]`, "endpoints: []"},
	{"endpoint without a port", `"127.0.0.1:9101"`, `"127.0.0.1"`},
	{"too many links", "links_per_endpoint: 2", "links_per_endpoint: 65"},
	{"window of one", "window: 64", "window: 1"},
	{"write not before response", "write: 1s", "write: 5s"},
	{"negative time", "connect: 1s", "connect: -1s"},
	{"echo answered after the next", "timeout: 5s, misses", "timeout: 31s, misses"},
	{"misses that take longer than the interval", "misses: 2", "misses: 7"},
	{"share of the whole window", "window: 64", "window: 64\n    reversal_share: 64"},
	{"share above the default window", "window: 64", "reversal_share: 513"},
	{"write not before reversal", "reversal: 5s", "reversal: 900ms"},
	{"response too short for its write timeout", "write: 1s, response: 5s", "response: 11ms"},
	{"misses out of range", "misses: 2", "misses: -1"},
	{"reconnect turned round", "min: 1s", "min: 31s"},
	{"unknown profile", "demo-alfa", "demo-alfe"},
	{"profile of a missing file", "demo-alfa", "nowhere.yaml"},
	{"profile with a mistake", "demo-alfa", "testdata/profile_mistake.yaml"},
	{"profile of more than the dialect has", "dialect: ascii87", "dialect: smartvista"},
	{"certificate not there", "    profile", "    tls: {ca: none.pem}\n    profile"},
	{"TLS of a version not there", "    profile", "    tls: {min_version: 1.1}\n    profile"},
	{"merchant without an id", "id: shop", `id: ""`},
	{"name not printable", "name: SHOP", `name: "SHOP\u0416"`},
	{"country by letters", `country: "276"`, "country: DE"},
	{"mcc of three digits", `mcc: "5411"`, `mcc: "541"`},
	{"unknown zone", "Europe/Berlin", "Europe/Atlantis"},
	{"no key", "      - {mode: test, key: sk_test_0123456789abcdefgh}\n", ""},
	{"short key", "sk_test_0123456789abcdefgh", "sk_test_1"},
	{"live key in clear", "{mode: test, key: sk_test_0123456789abcdefgh}", "{mode: live, key: sk_live_0123456789abcdefgh}"},
	{"hash too short", "key: sk_test_0123456789abcdefgh", "sha256: abcd"},
	{"secret file not there", "key: sk_test_0123456789abcdefgh", "key: 'file:none.key'"},
	{"secret not set", "key: sk_test_0123456789abcdefgh", "key: 'env:NO_SUCH_SECRET'"},
	{"merchant at an unknown bank", "{bank: alfa,", "{bank: beta,"},
	{"merchant id too long", "merchant_id: M1", "merchant_id: M234567890123456"},
	{"no terminal", "terminals: [T1]", "terminals: []"},
	{"test mode at a bank that is none", "banks:\n", "joining: {test_banks: [beta]}\nbanks:\n"},
	{"a holiday that is no date", "banks:\n", "joining: {holidays: [tomorrow]}\nbanks:\n"},
	{"working days in no zone", "banks:\n", "joining: {time_zone: Moscow}\nbanks:\n"},
	{"test mode for a second", "banks:\n", "joining: {test_for: 1s}\nbanks:\n"},
	{"an address with a slash at its end", "banks:\n", "joining: {api: \"https://api.example/\"}\nbanks:\n"},
	{"operators without an address", "banks:\n", "joining: {operators_email: anna}\nbanks:\n"},
	{"a page of too many cards", "banks:\n", "page: {submits_per_minute: 100001}\nbanks:\n"},
	{"a page of less than no cards", "banks:\n", "page: {submits_per_minute: -1}\nbanks:\n"},
	{"a page that asks payers by a server not there", "banks:\n", "page: {three_ds: visa}\nbanks:\n"},
	{"a page without an address", "banks:\n", "page: {url: pay.example.com}\nbanks:\n"},
	{"a page below a path", "banks:\n", "page: {url: \"https://pay.example.com/shop\"}\nbanks:\n"},
	{"a page with a key it has not", "banks:\n", "page: {submits: 5}\nbanks:\n"},
	{"mail of an unknown kind", "banks:\n", "mail: {host: mail.example, from: pay@tranzit.example, tls: maybe}\nbanks:\n"},
	{"mail without a sender", "banks:\n", "mail: {host: mail.example}\nbanks:\n"},
	{"short messages to nowhere", "banks:\n", "mail: {sms: {url: sms.example}}\nbanks:\n"},
}

// TestConfigMistakes holds what `tranzit config check` says about each mistake
// to a golden file: one line with file, line and key, and exit status 1.
func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "tranzit.yaml")
	check := func(text string) string {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		root := rootCommand()
		root.SetArgs([]string{"config", "check", file})
		root.SetOut(new(bytes.Buffer))
		err := root.Execute()
		if err == nil {
			return ""
		}
		return strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
	}
	if said := check(soundConfig); said != "" {
		t.Fatalf("the sound configuration is refused: %s", said)
	}
	var golden strings.Builder
	for _, m := range mistakes {
		broken := strings.Replace(soundConfig, m.from, m.to, 1)
		if broken == soundConfig {
			t.Fatalf("%s: the mistake was not made", m.name)
		}
		said := check(broken)
		switch {
		case said == "":
			t.Errorf("%s: accepted", m.name)
		case strings.Contains(said, "\n"):
			t.Errorf("%s: more than one line: %q", m.name, said)
		case !strings.HasPrefix(said, "tranzit.yaml:"):
			t.Errorf("%s: no file and line: %s", m.name, said)
		}
		golden.WriteString(m.name + "\n    " + said + "\n")
	}
	path := filepath.Join("testdata", "config_mistakes.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(golden.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if golden.String() != string(want) {
		t.Errorf("the messages differ from %s; see them with -update\n%s", path, golden.String())
	}
}

// TestConfigMistakeEndsTheProcess: the real commands refuse with exit status 1.
func TestConfigMistakeEndsTheProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tranzit.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(soundConfig, "data: data", "date: data", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t}
	for _, line := range [][]string{{"config", "check", file}, {"serve", "--config", file}} {
		out, err := r.command(line...)
		if want := "tranzit: " + file + ":3: unknown key \"date\"\n"; err == nil || out != want {
			t.Errorf("%v: %v, says %q, want %q", line, err, out, want)
		}
	}
}
