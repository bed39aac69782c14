package frontend

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	payswitch "github.com/tranzit/tranzit/switch"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestDocsCanBePasted runs every example of the merchants' page in one shell, one
// after the other: each call must succeed.
func TestDocsCanBePasted(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("there is no %s on this machine", tool)
		}
	}
	s := openShop(t, func(o *Options) {
		o.Now = time.Now
		o.TestEndpoint = func(*payswitch.Endpoint) (payswitch.Attempt, error) {
			return payswitch.Attempt{At: time.Now(), Code: 200}, nil
		}
	})
	script := `curl() { command curl -sS --fail-with-body --max-time 60 "$@" || echo "FAILED: $*" >&2; }` + "\n"
	for _, block := range shellBlock.FindAllStringSubmatch(readFile(t, docsPath), -1) {
		if !strings.Contains(block[1], "https://pay.example.com") {
			text := strings.ReplaceAll(block[1], "wait=30s", "wait=2s")
			script += regexp.MustCompile(`(?m)^export (API|KEY)=.*$`).ReplaceAllString(text, "") + "\n"
		}
	}
	if n := strings.Count(script, "curl -s"); n < 50 {
		t.Errorf("%d calls found", n)
	}
	run := exec.Command("bash", "-u", "-c", script)
	run.Dir, run.Env = t.TempDir(), append(os.Environ(), "API=http://"+s.addr, "KEY="+keyTest)
	var told, wrong strings.Builder
	run.Stdout, run.Stderr = &told, &wrong
	if err := run.Run(); err != nil {
		t.Errorf("the shell: %v", err)
	}
	for line := range strings.Lines(wrong.String()) {
		late := strings.Contains(line, "/v1/batches/") && strings.Contains(line, "/cancel") // it has ended, as the page says
		if !late && !strings.HasPrefix(line, "curl: (22)") {
			t.Error(strings.TrimSpace(line))
		}
	}
	for _, op := range document().operations() {
		if name := placeholders.ReplaceAllString(op.path, "{id}"); !strings.Contains(s.log.String(), `"route":"`+name+`"`) {
			t.Errorf("the page has no example of %s", op.path)
		}
	}
	for _, problem := range regexp.MustCompile(`"status":[45]\d\d,"detail":"[^"]*"`).FindAllString(told.String(), -1) {
		t.Log(problem)
	}
}

// TestDocsLinksResolve: every link from one page of the project to another, or to
// a heading, leads somewhere.
func TestDocsLinksResolve(t *testing.T) {
	root := ".."
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	must(t, err)
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "DECISIONS.md"} {
		pages = append(pages, filepath.Join(root, name))
	}
	link := regexp.MustCompile(`\]\(([^)\s]*)\)`)
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(withoutCode(readFile(t, page)), -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, "://") || strings.HasPrefix(file, "mailto:") {
				continue
			}
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", page, m[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchorsOf(readFile(t, target)), anchor) {
				t.Errorf("%s: there is no heading for %s", page, m[1])
			}
		}
	}
}

// withoutCode removes fenced blocks and code in lines.
func withoutCode(text string) string {
	text = regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(text, "")
	return regexp.MustCompile("`[^`\n]*`").ReplaceAllString(text, "")
}

// anchorsOf are the anchors of a page's headings, as the forge makes them.
func anchorsOf(text string) (anchors []string) {
	text = regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(text, "")
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, m[1])
		anchors = append(anchors, anchor)
	}
	return anchors
}
