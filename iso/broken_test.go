package iso

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// breakage is one mistake in a file that is good otherwise.
type breakage struct{ name, after, old, new, want string }

// readBreakages reads testdata/broken.txt: what is replaced by what, in ascii87,
// at its first place behind a text, and the one error that must come.
func readBreakages(t *testing.T) (all []breakage) {
	t.Helper()
	text, err := os.ReadFile("testdata/broken.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.NewReplacer(`\n`, "\n", `\t`, "\t")
	for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		var b breakage
		for line := range strings.SplitSeq(block, "\n") {
			kind, rest, _ := strings.Cut(line, " ")
			*map[string]*string{"#": &b.name, "@": &b.after, "-": &b.old, "+": &b.new, "=": &b.want}[kind] = lines.Replace(rest)
		}
		all = append(all, b)
	}
	return all
}

func (b *breakage) file(t *testing.T, good string) string {
	t.Helper()
	at := strings.Index(good, "\n"+b.after)
	if b.after == "" {
		at = 0
	}
	if at < 0 || !strings.Contains(good[at:], b.old) {
		t.Fatalf("%s: the file holds no %q behind %q", b.name, b.old, b.after)
	}
	return good[:at] + strings.Replace(good[at:], b.old, b.new, 1)
}

func writeBreakages(t *testing.T, all []breakage) {
	t.Helper()
	var out strings.Builder
	lines := strings.NewReplacer("\n", `\n`, "\t", `\t`)
	for i, b := range all {
		if i > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "# %s\n", b.name)
		if b.after != "" {
			fmt.Fprintf(&out, "@ %s\n", lines.Replace(b.after))
		}
		fmt.Fprintf(&out, "- %s\n+ %s\n= %s\n", lines.Replace(b.old), lines.Replace(b.new), b.want)
	}
	if err := os.WriteFile("testdata/broken.txt", []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each mistake in a file gives one error with file, line and what to write instead.
func TestEachMistakeGivesOneError(t *testing.T) {
	good, err := BuiltinFile("ascii87")
	if err != nil {
		t.Fatal(err)
	}
	all := readBreakages(t)
	if len(all) < 60 {
		t.Errorf("%d mistakes", len(all))
	}
	for i := range all {
		b := &all[i]
		_, problems := parseDialect("bank.yaml", []byte(b.file(t, string(good))))
		if len(problems) != 1 {
			t.Errorf("%s: %d errors: %v", b.name, len(problems), problems)
			continue
		}
		got := problems[0].Error()
		if *update {
			b.want = got
		}
		if got != b.want {
			t.Errorf("%s:\n got %s\nwant %s", b.name, got, b.want)
		}
	}
	if *update && !t.Failed() {
		writeBreakages(t, all)
	}
}
