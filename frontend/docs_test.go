package frontend

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const docsPath = "../docs/api.md"

// TestDocsNameEveryProblem holds the merchants' page to the code: each problem
// has its anchor and its status, each fault of the golden answers its word.
func TestDocsNameEveryProblem(t *testing.T) {
	page := readFile(t, docsPath)
	for _, k := range problemKinds {
		if !strings.Contains(page, "\n### "+k.code+"\n") || !strings.Contains(page, "(#"+k.code+")") {
			t.Errorf("%s has no section or no row", k.code)
		}
	}
	for _, section := range regexp.MustCompile(`(?m)^### ([a-z_]+)$`).FindAllStringSubmatch(page, -1) {
		known := false
		for _, k := range problemKinds {
			known = known || k.code == section[1]
		}
		if !known {
			t.Errorf("the page tells of %s, which does not exist", section[1])
		}
	}
	answers := readFile(t, "testdata/bad_bodies.golden") + readFile(t, "testdata/bad_requests.golden")
	for _, m := range regexp.MustCompile(`"pointer":"[^"]*","code":"([a-z_]+)"`).FindAllStringSubmatch(answers, -1) {
		if !strings.Contains(page, "`"+m[1]+"`") {
			t.Errorf("the page does not name the fault %s", m[1])
		}
	}
}

// TestDocsExamplesWork decodes the requests that the page shows.
func TestDocsExamplesWork(t *testing.T) {
	page := readFile(t, docsPath)
	var bodies []string
	for _, m := range regexp.MustCompile("(?s)```json request\n(.*?)```").FindAllStringSubmatch(page, -1) {
		bodies = append(bodies, m[1])
	}
	for _, m := range regexp.MustCompile(`(?s)-d '\s*(\{.*?\})'`).FindAllStringSubmatch(page, -1) {
		bodies = append(bodies, m[1])
	}
	if len(bodies) != 7 {
		t.Fatalf("%d examples found", len(bodies))
	}
	for _, body := range bodies {
		if _, faults := decodeText(t, body); faults != nil {
			t.Errorf("an example is refused: %v", faults)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}
