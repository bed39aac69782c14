package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	payswitch "github.com/tranzit/tranzit/switch"
)

// TestVersionsByCommand: the operators' commands try a candidate on a link, promote it and
// roll it back, and what they did is there after a restart.
func TestVersionsByCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	next := filepath.Join(t.TempDir(), "next.yaml")
	if err := os.WriteFile(next, []byte("inherits: ascii87\nmeta: {schema: 1, id: alfa-next, version: 2, title: The next version}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "    dialect: ascii87\n", "    dialect: ascii87\n    candidate: {dialect: "+next+", version: 2}\n", 1)
	if changed == string(text) {
		t.Fatal("the rig's configuration has no such bank")
	}
	if err := os.WriteFile(r.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.await("four links", func() bool { return r.linksUp() == 4 })
	speaks := func(want string) {
		t.Helper()
		r.await("links that speak "+want, func() bool {
			var got struct{ Data []payswitch.BankStatus }
			r.get(r.admin, "/admin/v1/banks", &got)
			var said []string
			for _, l := range got.Data[0].Links.Links {
				if l.State == "ready" {
					said = append(said, l.Dialect)
				}
			}
			return strings.Join(said, " ") == want
		})
	}
	for _, step := range []struct{ act, flag, want string }{
		{"canary", "--count=1", "ascii87 alfa-next"}, {"promote", "", "alfa-next alfa-next"},
		{"rollback", "", "ascii87 ascii87"}, {"canary", "--links=1", "alfa-next ascii87"},
	} {
		args := []string{"bank-link", "dialect", step.act, "alfa", "--admin", r.admin, "--reason", "a test", "--operator", "ops"}
		if step.flag != "" {
			args = append(args, step.flag)
		}
		if out, err := r.command(args...); err != nil || out != "done\n" {
			t.Fatalf("%s: %v %s", step.act, err, out)
		}
		speaks(step.want)
	}
	for n := range 4 {
		w := newWish(0, n, 0)
		w.bank = "alfa"
		if code, body, _ := r.pay(w); code != http.StatusCreated {
			t.Errorf("%d %s", code, body)
		}
	}
	out, err := r.command("bank-link", "dialect", "list", "--admin", r.admin)
	if err != nil || !strings.Contains(out, "alfa-next  2        canary   1      ") || !strings.Contains(out, "ascii87    1        current  2      ") {
		t.Errorf("%v\n%s", err, out)
	}
	r.kill()
	r.start()
	speaks("alfa-next ascii87")
	if out, err = r.command("bank-link", "dialect", "history", "--json", "--admin", r.admin); err != nil {
		t.Fatal(err, out)
	}
	var releases []payswitch.ReleaseStatus
	if err := json.Unmarshal([]byte(out), &releases); err != nil || len(releases[0].Acts) != 4 || releases[0].Acts[3].Reason != "a test" || releases[0].Acts[3].Operator != "ops" {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := r.command("bank-link", "dialect", "promote", "vega", "--reason", "x", "--admin", r.admin); err == nil || !strings.Contains(out, `Bank "vega" is configured without a candidate.`) {
		t.Errorf("vega: %v %s", err, out)
	}
}
