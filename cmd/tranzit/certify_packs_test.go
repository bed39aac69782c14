package main

import (
	"encoding/json"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/iso"
)

// certifyReal runs a pack of docs/certification in a process of its own against
// the simulated bank in another, and returns the report and its page.
func certifyReal(t *testing.T, bank *bankProcess, dialect, pack string) (*certReport, string) {
	t.Helper()
	page := filepath.Join(t.TempDir(), "report.html")
	cmd := exec.Command(os.Args[0], "certify", filepath.Join("..", "..", "docs", "certification", pack+".yaml"), "-d", dialect,
		"--connect", bank.address, "--control", bank.booked, "--html", page, "--json")
	cmd.Env, cmd.SysProcAttr = append(os.Environ(), runAsTranzit+"=1"), childOfTest()
	said, failed := cmd.Output()
	r := new(certReport)
	if err := json.Unmarshal(said, r); err != nil {
		t.Fatalf("%s: %v %v\n%s", pack, failed, err, said)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(text)
}

// The packs of the documentation pass against the simulated bank in every built-in
// dialect and in one of a file, bank and tool each as the real program.
func TestThePacksOfTheDocumentation(t *testing.T) {
	for _, dialect := range append(iso.Builtins(), tenthDialect(t)) {
		t.Run(strings.TrimSuffix(filepath.Base(dialect), ".yaml"), func(t *testing.T) {
			t.Parallel()
			bank := startBank(t, dialect)
			bank.await()
			for pack, cases := range map[string]int{"payments": 8, "faults": 8, "network": 7} {
				r, page := certifyReal(t, bank, dialect, pack)
				for _, c := range r.Cases {
					if !c.Passed || len(c.Trace) == 0 {
						t.Errorf("%s %s %s: %s", pack, c.ID, c.Title, c.Fault)
					}
					if !strings.Contains(page, html.EscapeString(c.Title)) {
						t.Errorf("%s: the page says nothing of %s", pack, c.ID)
					}
				}
				if r.Passed != cases || strings.Contains(page, "4111111111111111") || strings.Contains(page, "4000000001090002") {
					t.Errorf("%s: %d passed, want %d, or the page shows a card number", pack, r.Passed, cases)
				}
			}
		})
	}
}

// A bank that does otherwise than the packs say fails the cases.
func TestFaultStepsTellWhatFails(t *testing.T) {
	t.Parallel()
	bank := startBank(t, "ascii87")
	bank.await()
	for _, c := range []struct{ steps, want string }{
		{`[{send: {operation: purchase}, expect: {closed: true}}]`, "an answer came, and the host must close"},
		{`[{send: {operation: purchase}, expect: {refuted: true}}]`, "the answer agrees with its request"},
		{`[{send: {operation: purchase}, expect: {result: expired_card}}]`, "code 00 means approved, and expired_card is expected"},
		{`[{name: p, send: {operation: purchase}, expect: {result: approved}}, {late: p, expect: {within: 50ms}}]`, "the answer to p is expected"},
		{`[{link: cut}, {send: {operation: echo}}]`, "the link is cut"},
		{`[{do: it dances, bank: {mode: dance}}]`, "the simulator refuses"},
		{`[{do: it dances}]`, "does not say how a simulator does this"},
		{`[{do: it cuts the link, bank: {mode: drop}}, {wait: 10s}]`, "the host closed the connection"},
		{`[{wait: 10ms, expect: {closed: true}}]`, "the host keeps the connection"},
		{`[{wait: 10ms, link: cut}]`, "step 1 needs one of send, repeat, receive"},
		{`[{link: lost}]`, `has the link "lost"`},
		{`[{bank: {mode: mute}, wait: 1s}]`, "without do"},
		{`[{repeat: p}]`, "no step before it is named"},
		{`[{receive: ecko}]`, `"ecko" is not a message type`},
		{`[{receive: echo, answer: refused}]`, "answer: none"},
		{`[{send: {operation: echo}, expect: {result: good}}]`, `expects the result "good"`},
	} {
		out, err := command(t, "", "certify", packOf(t, c.steps), "--connect", bank.address, "--control", bank.booked)
		if err == nil || !strings.Contains(out+err.Error(), c.want) {
			t.Errorf("%s: want %q: %v\n%s", c.steps, c.want, err, out)
		}
	}
	asked := packOf(t, `[{do: it sends its echo}, {receive: echo, expect: {within: 50ms}}]`)
	for keys, want := range map[string]string{"\n": "a message echo of the bank is expected", "": "nobody says that the bank did this: it sends its echo"} {
		if out, err := command(t, keys, "certify", asked, "--connect", bank.address); err == nil || !strings.Contains(out, want) {
			t.Errorf("people press %q: want %q: %v\n%s", keys, want, err, out)
		}
	}
}

// packOf is a pack of one case with these steps.
func packOf(t *testing.T, steps string) string {
	t.Helper()
	good, err := os.ReadFile(filepath.Join("..", "..", "docs", "certification", "payments.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pack.yaml")
	text := string(good[:strings.Index(string(good), "cases:")]) + "cases: [{id: X, title: x, steps: " + steps + "}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
