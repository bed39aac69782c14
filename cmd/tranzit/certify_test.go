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
	host := simulator(t, "ascii87")
	good, err := os.ReadFile("testdata/certify.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`{39: "51"}`, `{39: "00"}`, `field 39 (Response code) is not the "00" that is expected`},
		{"with: [38]", "with: [102]", "field 102"},
		{`{mti: "0210", fields: {39: "00"}, with: [38]}`, "{none: true, within: 2s}", "an answer came"},
		{`send: {operation: echo}`, `receive: "0800"`, "a 0800 of the bank is expected"},
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
