package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

func simulator(t *testing.T, name string) string {
	t.Helper()
	d, err := iso.Resolve(name)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := banksim.New(banksim.Config{Dialect: d, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	return sim.Addr()
}

// The example pack passes against the simulator, in JSON and as a page that
// shows no card number.
func TestCertifyAgainstTheSimulator(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ascii87", "binary87"} {
		page := filepath.Join(t.TempDir(), "report.html")
		out, err := command(t, "", "certify", "testdata/certify.yaml", "-d", name, "--connect", simulator(t, name), "--json", "--html", page)
		var r certReport
		if err != nil || json.Unmarshal([]byte(out), &r) != nil || r.Passed != 5 || r.Failed != 0 {
			t.Fatalf("%s: %v %s", name, err, out)
		}
		text, err := os.ReadFile(page)
		if err != nil || !strings.Contains(string(text), "A purchase is reversed") || strings.Contains(string(text), "<script") {
			t.Errorf("%v", err)
		}
		if strings.Contains(out+string(text), "4111111111111111") || strings.Contains(out+string(text), "4000000000009995") {
			t.Error("the report holds a card number")
		}
	}
}

func TestCertifyTellsWhatFails(t *testing.T) {
	t.Parallel()
	host := simulator(t, "ascii87")
	good, err := os.ReadFile("testdata/certify.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`{39: "51"}`, `{39: "00"}`, `field 39 (Response code) is not the "00" that is expected`},
		{"with: [38]", "with: [102]", "field 102"},
		{`{mti: "0210", fields: {39: "00"}, with: [38]}`, "{none: true, within: 2s}", "an answer came"},
		{`send: {operation: echo}`, `receive: "0800"`, "a message 0800 of the bank is expected"},
		{`mti: "0210"`, `mti: "0110"`, "the answer has type 0210"},
		{"id: P02", "id: P01", "an id of its own"},
		{"original: purchase", "original: sale", "no step before it is named"},
		{"operation: echo", "operation: ecko", "has no message"},
		{"sign_on: true", "sign-on: true", "not found"},
	} {
		text := strings.Replace(string(good), c.old, c.new, 1)
		text = strings.Replace(text, `receive: "0800"
        expect: {`, `receive: "0800"
        expect: {within: 50ms, `, 1)
		path := filepath.Join(t.TempDir(), "pack.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := command(t, "", "certify", path, "--connect", host)
		if err == nil || !strings.Contains(out+err.Error(), c.want) {
			t.Errorf("want %q: %v\n%s", c.want, err, out)
		}
	}
}

// codedFile writes a dialect with codes and returns it with its keys as the flags of a command.
func codedFile(t *testing.T) (path string, keys []string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "coded.yaml")
	text := `inherits: ascii87
meta: {schema: 1, id: coded, version: 1, title: With codes}
security:
  mac: {algorithm: x9.19, padding: zeros, field: last, bytes: 8, covers: {length: false, header: false, mti: true},
    send: ["0100", "0200", "0420", "0800"], receive: ["0110", "0210", "0430", "0810"], keys: {send: mac, receive: mac}, failure: refute, answer: "63"}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, []string{"--key", "mac=0123456789ABCDEFFEDCBA9876543210"}
}

// A pack demands codes and spoils them; the simulator refuses what is wrong, and an answer whose code is wrong fails its case.
func TestCertifyWithCodes(t *testing.T) {
	t.Parallel()
	dialect, keys := codedFile(t)
	d, err := iso.Resolve(dialect)
	if err != nil {
		t.Fatal(err)
	}
	key, err := testKeys(d, map[string]string{"mac": "0123456789ABCDEFFEDCBA9876543210"})
	if err != nil {
		t.Fatal(err)
	}
	sim, err := banksim.New(banksim.Config{Dialect: d, Keys: key, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	good, err := os.ReadFile("testdata/certify.yaml")
	if err != nil {
		t.Fatal(err)
	}
	wrong := ""
	for _, card := range banksim.Cards() {
		if card.Behaviour == banksim.WrongCode {
			wrong = card.Number
		}
	}
	text := strings.Replace(string(good), "with: [38]", "with: [38, 64], mac: true", 1) + `
  - {id: M01, title: A wrong code is refused, steps: [{send: {operation: purchase}, mac: wrong, expect: {fields: {39: "63"}, mac: true}}]}
  - {id: M02, title: A missing code is refused, steps: [{send: {operation: purchase}, mac: missing, expect: {fields: {39: "63"}}}]}
  - {id: M03, title: The answer is wrong, steps: [{send: {operation: purchase, values: {pan: "` + wrong + `"}}, expect: {fields: {39: "00"}}}]}
`
	path := filepath.Join(t.TempDir(), "pack.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, "", append([]string{"certify", path, "-d", dialect, "--connect", sim.Addr(), "--json"}, keys...)...)
	var r certReport
	if at := strings.LastIndex(out, "}"); err == nil || at < 0 || json.Unmarshal([]byte(out[:at+1]), &r) != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, c := range r.Cases {
		if fault := c.ID == "M03"; c.Passed == fault || fault && !strings.Contains(c.Fault, "authentication code is wrong") {
			t.Errorf("%s: %v, %s", c.ID, c.Passed, c.Fault)
		}
	}
	if len(r.Cases) != 8 || sim.Status().Forged != 2 {
		t.Errorf("%d cases, %d forged", len(r.Cases), sim.Status().Forged)
	}
	if _, err := command(t, "", "certify", path, "-d", dialect, "--connect", sim.Addr()); err == nil || !strings.Contains(err.Error(), `needs a key "mac"`) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := command(t, "", "certify", path, "--connect", sim.Addr()); err == nil || !strings.Contains(err.Error(), "no authentication codes") {
		t.Errorf("in a dialect without codes: %v", err)
	}
}

// The echo whose code is published, from the command line.
func TestEncodeWithACode(t *testing.T) {
	dialect, keys := codedFile(t)
	echo := `{"mti": "0800", "fields": {"7": "0612081530", "11": "000002", "70": "301"}}`
	out := mustCommand(t, echo, append([]string{"dialect", "encode", "--raw", "-d", dialect}, keys...)...)
	if want := "00710800822000000000000004000000000000010612081530000002301" + "35BD7A1DFA52232C"; out != want {
		t.Errorf("%s, want %s", out, want)
	}
	if _, err := command(t, echo, append([]string{"dialect", "encode", "--from-bank", "-d", dialect}, keys...)...); err == nil || !strings.Contains(err.Error(), "no authentication code in a 0800") {
		t.Errorf("the other way: %v", err)
	}
	if _, err := command(t, echo, "dialect", "encode", "-d", dialect, "--key", "mac=zz"); err == nil || !strings.Contains(err.Error(), "hex digits") {
		t.Errorf("a key that is none: %v", err)
	}
}
