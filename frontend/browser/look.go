package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/chromedp/chromedp"
)

// widths are those of a phone, a tablet and a desk, in CSS pixels.
var widths = []struct {
	name          string
	width, height int64
}{{"phone", 360, 740}, {"tablet", 768, 1024}, {"desktop", 1280, 800}}

// Shots takes the whole page in three widths into bin/screens/NAME-WIDTH.png, and
// fails the test if it must be scrolled sideways in one of them.
func (p *Page) Shots(name string) {
	p.t.Helper()
	for _, w := range widths {
		p.do("set the width", chromedp.EmulateViewport(w.width, w.height))
		picture := run(p, "take a picture", chromedp.FullScreenshot(100))
		if err := os.WriteFile(Made(p.t, "screens", name+"-"+w.name+".png"), picture, 0o644); err != nil {
			p.t.Fatal(err)
		}
		if wide := Eval[int64](p, "document.documentElement.scrollWidth"); wide > w.width {
			p.t.Errorf("%s on a %s: the page is %d pixels wide, the window %d", name, w.name, wide, w.width)
		}
	}
}

// axeFile is where scripts/deps.sh puts axe-core.
const axeFile = "axe.min.js"

// violation is one of axe's, as it tells it.
type violation struct {
	ID, Help string
	Nodes    []struct {
		HTML           string
		FailureSummary string
	}
}

// Accessible fails the test when axe finds a violation of WCAG 2.2 A or AA, or of
// axe's best practices.
func (p *Page) Accessible() {
	p.t.Helper()
	source, err := os.ReadFile(Made(p.t, "axe", axeFile))
	if err != nil {
		lacking(p.t, "axe-core is not installed: run make deps")
	}
	p.do("load axe", chromedp.Evaluate[chromedp.Void](string(source)))
	const ask = `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
		.then(r => JSON.stringify(r.violations))`
	text := run(p, "run axe", chromedp.Evaluate[string](ask, chromedp.EvalAwaitPromise))
	var found []violation
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		p.t.Fatal(err)
	}
	for _, v := range found {
		var where strings.Builder
		for _, n := range v.Nodes {
			fmt.Fprintf(&where, "\n  %s\n    %s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", "\n    "))
		}
		p.t.Errorf("axe: %s: %s%s", v.ID, v.Help, where.String())
	}
}
