package iso

import (
	"os"
	"strings"
	"testing"
)

// The integrators' page names every word the format has.
func TestDocumentationNamesEveryWord(t *testing.T) {
	page, err := os.ReadFile("../docs/dialects.md")
	if err != nil {
		t.Fatal(err)
	}
	words := append(DeclineCodes(), classNames...)
	words = append(append(append(words, maskNames...), retryAdvice...), Builtins()...)
	words = append(append(append(words, contents...), units...), layoutNames...)
	for _, word := range frameKinds {
		if !strings.Contains(string(page), word) {
			t.Errorf("docs/dialects.md does not explain %s", word)
		}
	}
	for src := srcPAN; src < srcCount; src++ {
		words = append(words, sourceRules[src].name)
	}
	for op := OpPurchase; op < opCount; op++ {
		words = append(words, op.String())
	}
	for _, word := range words {
		if !strings.Contains(string(page), "`"+word+"`") {
			t.Errorf("docs/dialects.md does not explain `%s`", word)
		}
	}
}

// The page's complete file loads, without a warning, and pays.
func TestDocumentationExampleLoads(t *testing.T) {
	page, err := os.ReadFile("../docs/dialects.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "## A complete file")
	_, rest, opened := strings.Cut(rest, "```yaml\n")
	file, _, closed := strings.Cut(rest, "```")
	if !found || !opened || !closed {
		t.Fatal("there is no complete file on the page")
	}
	for _, p := range Lint("docs.yaml", []byte(file)) {
		t.Error(p)
	}
	d, err := ParseDialect("docs.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	build(t, d, OpPurchase, purchase(), &m)
	if err := d.Answer(&m, &Values{ResponseCode: "00"}, new(Message)); err != nil {
		t.Error(err)
	}
	build(t, d, OpReversal, reversal(), &m)
}
