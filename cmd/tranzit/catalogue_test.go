package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCatalogue: the real process shows its banks' profiles, the built-in one and
// one from a file, and holds payments to them.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	vega := filepath.Join(r.dir, "vega.yaml")
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	named := strings.NewReplacer("dialect: ascii87", "dialect: ascii87\n    profile: demo-alfa", "dialect: binary87", "dialect: binary87\n    profile: "+vega).Replace(string(text))
	profile := `meta: {schema: 1, id: file-vega, version: 4}
name: {ru: Вега, en: Vega, es: Vega}
about: {ru: "Только для своих.", en: For friends only., es: Solo para amigos.}
mcc: {refused: ["5400-5499"]}
max_instalments: 0
demands: [three_ds]
operations: {purchase: {amounts: {EUR: {to: 5000}}}, refund: {partial: false}}
`
	for path, content := range map[string]string{r.config: named, vega: profile} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	w := newWish(0, 0, 0)
	w.bank = "vega"
	if code, body, _ := r.pay(w); code != http.StatusBadRequest || !strings.Contains(string(body), `"code":"not_served","detail":"Bank \"vega\" takes no merchants of category 5411`) {
		t.Errorf("%d %s", code, body)
	}
	var golden strings.Builder
	for _, args := range [][]string{{}, {"alfa"}, {"alfa", "--lang", "ru"}, {"vega", "--lang", "es"}, {"vega", "--json"}, {"nobody"}, {"--lang", "de"}} {
		out, err := r.command(append(append([]string{"bank-link", "catalogue"}, args...), "--admin", r.admin)...)
		golden.WriteString(strings.TrimSpace("$ tranzit bank-link catalogue "+strings.Join(args, " ")) + "\n" + out)
		if failed := len(args) > 0 && (args[0] == "nobody" || args[0] == "--lang"); (err != nil) != failed {
			t.Errorf("%v: %v", args, err)
		}
	}
	path := filepath.Join("testdata", "catalogue.golden")
	if *update {
		if err := os.WriteFile(path, []byte(golden.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if golden.String() != string(want) {
		t.Errorf("the catalogue differs from %s; see it with -update\n%s", path, golden.String())
	}
}

// TestCatalogueLint finds every mistake, and what the dialect has no message for.
func TestCatalogueLint(t *testing.T) {
	t.Parallel()
	r := &rig{t: t}
	for _, tt := range []struct{ args, want string }{
		{"lint demo-alfa demo-vega", "demo-alfa is good\ndemo-vega is good\n"},
		{"lint testdata/profile_mistake.yaml", "testdata/profile_mistake.yaml:4: error: currencies: \"RUR\" is not known; write ISO 4217 codes like EUR\ntranzit: 1 errors\n"},
		{"lint --dialect smartvista demo-alfa", "demo-alfa.yaml:28: error: operations.increment: dialect smartvista has no such message; remove it\ntranzit: 1 errors\n"},
		{"lint nobody", "tranzit: iso: no built-in profile \"nobody\"; there are demo-alfa, demo-vega\n"},
		{"lint nowhere.yaml", "tranzit: stat nowhere.yaml: no such file or directory\n"},
		{"show", "demo-alfa\ndemo-vega\n"},
		{"show nobody", "tranzit: iso: no built-in profile \"nobody\"; there are demo-alfa, demo-vega\n"},
	} {
		out, err := r.command(append([]string{"bank-link", "catalogue"}, strings.Fields(tt.args)...)...)
		if out != tt.want || (err != nil) != strings.Contains(tt.want, "tranzit: ") {
			t.Errorf("%s: %q, %v; want %q", tt.args, out, err, tt.want)
		}
	}
	text, err := r.command("bank-link", "catalogue", "show", "demo-vega")
	if err != nil || !strings.Contains(text, "meta: {schema: 1, id: demo-vega, version: 1}") {
		t.Errorf("%v %s", err, text)
	}
}
