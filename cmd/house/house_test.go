package house

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

type rule struct {
	name  string
	check func(*tree) []string
}

var rules = []rule{
	{"imports point down", importsFloors},
	{"guests stay in their rooms", importsGuests},
	{"file sizes", fileSizes},
	{"function sizes", funcSizes},
	{"package names", packageNames},
	{"interface sizes", interfaceSizes},
	{"parameter counts", paramCounts},
	{"unfinished work", unfinishedWork},
	{"machine paths", machinePaths},
	{"floating versions", floatingVersions},
	{"sleeping tests", sleeps},
	{"comments", docComments},
	{"spaces of the journal", spaces},
}

// TestHouse holds the whole tree to every rule.
func TestHouse(t *testing.T) {
	tr := loadTree(t, "../..")
	if len(tr.sources) < 10 {
		t.Fatalf("only %d Go files found: wrong folder", len(tr.sources))
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			bad := r.check(tr)
			slices.Sort(bad)
			for _, b := range bad {
				t.Error(b)
			}
		})
	}
}

// good is a small tree that breaks no rule.
var good = map[string]string{
	"iso/table_test.go":      "package iso\n\nfunc table() {\n_ = []int{" + strings.Repeat("1,\n", 100) + "}\n}\n",
	"iso/e.go":               "package iso\n\n// E is fine.\ntype E struct{}\n\nfunc (E) Error() string { return \"\" }\n",
	"iso/iso.go":             "// Package iso is fine.\npackage iso\n\nimport _ \"github.com/moov-io/iso8583/field\"\n",
	"acquirers/transport.go": "// Package acquirers is fine.\npackage acquirers\n\nimport _ \"github.com/moov-io/iso8583-connection\"\n",
	"acquirers/a_test.go":    "package acquirers\n\nimport _ \"" + module + "/acquirers/banksim\"\n",
	"storage/pebble.go":      "// Package storage is fine.\npackage storage\n\nimport (\n_ \"github.com/cockroachdb/pebble/v2\"\n_ \"github.com/cockroachdb/pebble/v2/vfs\"\n)\n",
	"storage/pebblefs.go":    "package storage\n\nimport _ \"github.com/cockroachdb/pebble/v2/vfs\"\n",
	"switch/pay.go":          "// Package payswitch is fine.\npackage payswitch\n\nfunc pay() {" + strings.Repeat("\n", 150) + "}\n",
	"frontend/f.go":          "// Package frontend is fine.\npackage frontend\n\nimport _ \"github.com/valyala/fasthttp\"\n",
	"switch/a_test.go":       "package payswitch\n\nimport (\n\"testing/synctest\"\n\"time\"\n)\n\nvar _ = synctest.Wait\nfunc nap() { time.Sleep(1) }\n",
	"bench/plain/p.go":       "// Package plain is fine.\npackage plain\n\nimport (\n_ \"github.com/moov-io/iso8583\"\n_ \"github.com/moov-io/iso8583-connection\"\n_ \"github.com/cockroachdb/pebble/v2\"\n)\n",
	"bench/b.go":             "// Package bench is fine.\npackage bench\n\nimport _ \"" + module + "/acquirers/banksim\"\n",
}

// TestRulesCanFail plants one fault at a time in the good tree.
func TestRulesCanFail(t *testing.T) {
	for _, r := range rules {
		if bad := r.check(parse(t, "", "")); len(bad) > 0 {
			t.Fatalf("%s: the good tree is refused: %v", r.name, bad)
		}
	}
	long := strings.Repeat("\n", maxFileLines+1)
	body := func(n int) string { return "() {" + strings.Repeat("\n", n) + "}\n" }
	tests := []struct{ rule, path, text string }{
		{"imports point down", "iso/x.go", `package iso; import _ "` + module + `/storage"`},
		{"imports point down", "switch/x.go", `package payswitch; import _ "` + module + `/frontend"`},
		{"imports point down", "switch/x_test.go", `package payswitch; import _ "` + module + `/cmd/tranzit"`},
		{"imports point down", "switch/x.go", `package payswitch; import _ "` + module + `/acquirers/banksim"`},
		{"imports point down", "acquirers/banksim/x_test.go", `package banksim; import _ "` + module + `/acquirers"`},
		{"imports point down", "docs/x.go", `package docs; import _ "` + module + `/iso"`},
		{"guests stay in their rooms", "switch/x.go", `package payswitch; import _ "github.com/moov-io/iso8583"`},
		{"guests stay in their rooms", "acquirers/x.go", `package acquirers; import _ "github.com/moov-io/iso8583"`},
		{"guests stay in their rooms", "acquirers/x.go", `package acquirers; import _ "github.com/moov-io/iso8583-connection"`},
		{"guests stay in their rooms", "acquirers/x.go", `package acquirers; import _ "github.com/miekg/pkcs11"`},
		{"guests stay in their rooms", "storage/x.go", `package storage; import _ "github.com/cockroachdb/pebble/v2/vfs"`},
		{"guests stay in their rooms", "bench/x.go", `package bench; import _ "github.com/cockroachdb/pebble/v2"`},
		{"guests stay in their rooms", "bench/bare/x.go", `package bare; import _ "github.com/moov-io/iso8583"`},
		{"guests stay in their rooms", "bench/plainer/x.go", `package plainer; import _ "github.com/moov-io/iso8583-connection"`},
		{"guests stay in their rooms", "frontend/x.go", `package frontend; import _ "github.com/wneessen/go-mail"`},
		{"guests stay in their rooms", "cmd/tranzit/x.go", `package main; import _ "github.com/valyala/fasthttp"`},
		{"file sizes", "iso/x.go", "package iso\n" + long},
		{"function sizes", "iso/x.go", "package iso\nfunc long" + body(maxFuncLines)},
		{"function sizes", "iso/x.go", "package iso\nfunc pay" + body(maxFuncLines)},
		{"function sizes", "switch/x.go", "package payswitch\nfunc pay" + body(maxPayLines)},
		{"function sizes", "iso/x_test.go", "package iso\nfunc long" + body(maxFuncLines)},
		{"package names", "iso/utils/x.go", "package utils"},
		{"interface sizes", "iso/x.go", "package iso\ntype i interface{ A(); B(); C(); D(); E(); F() }"},
		{"interface sizes", "iso/x.go", "package iso\ntype i interface{ j; E(); F() }\ntype j interface{ A(); B(); C(); D() }"},
		{"parameter counts", "iso/x.go", "package iso\nfunc f(a, b, c, d, e int) {}"},
		{"parameter counts", "iso/x.go", "package iso\ntype i interface{ f(int, int, int, int, int) }"},
		{"parameter counts", "iso/x.go", "package iso\nfunc f(a int, ctx context.Context, b, c, d int) {}"},
		{"unfinished work", "iso/x.go", "package iso\n// TO" + "DO: later\n"},
		{"unfinished work", "scripts/x.sh", "# FIX" + "ME\n"},
		{"machine paths", "docs/x.md", "see /wo" + "rk/main/iso\n"},
		{"machine paths", ".ci/run", "cd \"/ro" + "ot/go\"\n"},
		{"floating versions", "scripts/x.sh", "go install x@lat" + "est\n"},
		{"sleeping tests", "iso/x_test.go", "package iso\nimport \"time\"\nfunc f() { time.Sleep(1) }"},
		{"comments", "iso/x.go", "package iso\nfunc F() {}"},
		{"comments", "iso/x.go", "package iso\ntype T struct{}"},
		{"comments", "iso/x.go", "package iso\n// T is.\ntype T struct{}\nfunc (t *T) M() {}"},
		{"comments", "iso/x.go", "package iso\nfunc String() {}"},
		{"comments", "iso/x.go", "package iso\nconst C = 1"},
		{"comments", "iso/sub/x.go", "package sub"},
		{"spaces of the journal", "switch/x.go", "package payswitch\nconst a storage.Space = 'a'\nconst (\nb storage.Space = 'b'\nc storage.Space = 'a'\n)"},
	}
	seen := map[string]bool{}
	for i, tt := range tests {
		seen[tt.rule] = true
		t.Run(fmt.Sprintf("%02d %s", i, tt.rule), func(t *testing.T) {
			r := rules[slices.IndexFunc(rules, func(r rule) bool { return r.name == tt.rule })]
			if bad := r.check(parse(t, tt.path, tt.text)); len(bad) == 0 {
				t.Errorf("%s with a planted fault is accepted:\n%.200s", tt.path, tt.text)
			}
		})
	}
	for _, r := range rules {
		if !seen[r.name] {
			t.Errorf("no planted fault for rule %q", r.name)
		}
	}
}

// TestParameterRuleForgivesContext: the first parameter may be a context or a test.
func TestParameterRuleForgivesContext(t *testing.T) {
	tr := parse(t, "iso/x.go", "package iso\nfunc f(ctx context.Context, a, b, c, d int) {}\nfunc g(t *testing.T, a, b, c, d int) {}")
	if bad := paramCounts(tr); len(bad) > 0 {
		t.Error(bad)
	}
}

func parse(t *testing.T, path, text string) *tree {
	t.Helper()
	files := map[string][]byte{}
	for name, src := range good {
		files[name] = []byte(src)
	}
	if path != "" {
		files[path] = []byte(text)
	}
	return parseTree(t, files)
}
