package iso

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files that are generated")

// The page of every built-in dialect says what its file says.
func TestDialectPagesAreUpToDate(t *testing.T) {
	for _, name := range Builtins() {
		page, err := Describe(name)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := page.WriteMarkdown(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("..", "docs", "dialects", name+".md")
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != b.String() {
			t.Errorf("%s is not what the dialect says; run go test ./iso -run TestDialectPages -update (%v)", path, err)
		}
		b.Reset()
		if err := page.WriteText(&b); err != nil || !strings.Contains(b.String(), page.Title) || !strings.Contains(b.String(), "RESPONSE CODES") {
			t.Errorf("%s as text: %v", name, err)
		}
	}
}

func TestCompareSaysWhatDiffers(t *testing.T) {
	if out, err := Compare("ascii87", "ascii87"); err != nil || len(out) != 0 {
		t.Errorf("with itself: %v %v", out, err)
	}
	_, dir, err := family(t, map[string]string{"bank.yaml": "inherits: ascii87\n" + child + `
messages: {purchase: {fields: {18: ~}}}
responses: {codes: {"05": {result: declined, decline: lost_card, retry: never, message: "Lost"}}}
encoding: {fields: {48: {class: ans, var: {width: 3, enc: ascii, unit: bytes}, max: 99, content: ascii, mask: secret}}}
`})
	if err != nil {
		t.Fatal(err)
	}
	out, err := Compare("ascii87", filepath.Join(dir, "bank.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Difference{}
	for _, d := range out {
		got[d.Path] = d
	}
	if d := got["encoding.fields.48.max"]; d.New != "99" || d.Block != "encoding" || d.Name != standardNames[48] {
		t.Errorf("%+v", d)
	}
	if d := got["messages.purchase.fields.18.from"]; d.Old != "mcc" || d.New != "" {
		t.Errorf("what is taken away: %+v", d)
	}
	if d := got["responses.codes.05.decline"]; d.Old != "do_not_honor" || d.New != "lost_card" {
		t.Errorf("%+v", d)
	}
	for path := range got {
		if !strings.HasPrefix(path, "meta.") && !strings.HasPrefix(path, "encoding.fields.48.") && path != "messages.purchase.fields.18.from" &&
			!strings.HasPrefix(path, "responses.codes.05.") {
			t.Errorf("%s does not differ", path)
		}
	}
}
