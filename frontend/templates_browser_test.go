package frontend

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/frontend/browser"
	"github.com/tranzit/tranzit/frontend/design"
)

// exampleTemplate is that of the documentation.
func exampleTemplate(t *testing.T) design.Files {
	t.Helper()
	entries, err := os.ReadDir("../docs/page-template")
	must(t, err)
	files := design.Files{}
	for _, e := range entries {
		files[e.Name()], err = os.ReadFile(filepath.Join("../docs/page-template", e.Name()))
		must(t, err)
	}
	return files
}

// TestTemplateInBrowser pays within a shop's own design: the picture and the colours
// are the shop's, the page is one request, axe and the browser have nothing to say,
// with a script and without.
func TestTemplateInBrowser(t *testing.T) {
	t.Parallel()
	s, _ := pageShop(t)
	made := s.want("201", "POST /v1/page_templates", templateBody(t, "wool", exampleTemplate(t)))
	s.want("200", "POST /v1/page_templates/1/publish", "{}")
	b := browser.Start(t)
	for i, language := range []string{"en", "ru"} {
		p := b.Visit(t, browser.Visitor{Language: language, NoScript: i == 1})
		p.Open(s.session("wool "+language, ""))
		for n, r := range p.Requests() {
			if n > 0 && !strings.HasPrefix(r.URL, "data:") || r.Bytes > 60_000 {
				t.Errorf("request %d: %.80s, %d bytes", n, r.URL, r.Bytes)
			}
		}
		if i == 0 {
			for what, script := range map[string]string{
				"the picture":               `document.querySelector("header img").naturalWidth === 96`,
				"the shop's ground":         `getComputedStyle(document.body).backgroundColor === "rgb(250, 243, 232)" && getComputedStyle(document.body).backgroundImage.startsWith("url(\"data:image/png")`,
				"the shop's header":         `getComputedStyle(document.querySelector(".top")).backgroundColor === "rgb(61, 40, 23)"`,
				"the button's colour":       `getComputedStyle(document.querySelector("button")).backgroundColor === "rgb(122, 59, 0)"`,
				"nothing of it on the form": `!document.querySelector("#tranzit .of-shop") && getComputedStyle(document.querySelector("#tranzit ul")).marginTop === "0px"`,
			} {
				if !browser.Eval[bool](p, script) {
					t.Errorf("%s is not there", what)
				}
			}
		}
		look := func(state string) {
			if i == 0 { // axe is a script
				p.Accessible()
			}
			p.Shots("template-" + language + "-" + state)
		}
		look("form")
		enter(p, "4000000000009995")
		p.Follow("button[type=submit]")
		p.Await("main.form .notice")
		look("declined")
		enter(p, "5555555555554444")
		p.Follow("button[type=submit]")
		p.Await("main.done")
		look("done")
		calm(t, p)
	}
	p := b.Visit(t, browser.Visitor{})
	for _, state := range []string{"form", "wait", "action", "expired"} {
		p.Open(member[string](t, made.body, "preview_url") + "?state=" + state + "&lang=es")
		p.Accessible()
		p.Shots("template-es-preview-" + state)
		if !p.Has(".preview [aria-current]") {
			t.Errorf("%s does not say that it is a preview", state)
		}
	}
	calm(t, p)
}

// TestHostileLook: what the lint lets a shop say can neither hide the payment nor
// cover it, even where it tries.
func TestHostileLook(t *testing.T) {
	t.Parallel()
	s, _ := pageShop(t)
	files := design.Files{
		design.PageFile: []byte(`<header class="a"><div class="b"><p>Pay 1 rouble only</p></div></header><tranzit-payment></tranzit-payment><footer class="a"><div class="b"><p>x</p></div></footer>`),
		design.StyleFile: []byte(`* { opacity: 0.5; visibility: hidden; font-size: 0; color: #ffffff; text-align: right; letter-spacing: -9rem; line-height: 0 }
			.a, .b, p, div { display: grid; width: 100%; min-height: 300vh; box-shadow: 0 0 0 9999px #ffffff; overflow: visible; background: #ffffff; order: -1 }
			.b { padding: calc(0px - 9rem) ; visibility: visible; opacity: 1 }
			body { color: #ffffff; font: bold 0/0 serif; letter-spacing: -9rem; text-align: right; background: #000000 }
			:root { --ink: #ffffff; --act: #ffffff; --paper: #ffffff }`),
	}
	s.want("201", "POST /v1/page_templates", templateBody(t, "", files))
	s.want("200", "POST /v1/page_templates/1/publish", "{}")
	p := browser.Start(t).Visit(t, browser.Visitor{})
	p.Open(s.session("hostile", ""))
	for what, script := range map[string]string{
		"the amount is covered": `(() => { const e = document.querySelector(".amount"); e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect();
			return document.elementFromPoint(r.left + 5, r.top + r.height / 2) === e && r.height > 20 })()`,
		"the field is covered": `(() => { const e = document.querySelector("#number"); e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect();
			return document.elementFromPoint(r.left + 5, r.top + r.height / 2) === e && r.width > 200 })()`,
		"the amount has other looks": `(() => { const c = getComputedStyle(document.querySelector(".amount")); return c.color === "rgb(22, 32, 51)" && parseFloat(c.fontSize) > 30 &&
			c.visibility === "visible" && c.opacity === "1" && c.textAlign === "start" && parseFloat(c.letterSpacing) > -3 })()`,
		"the ground is the shop's": `getComputedStyle(document.querySelector("#tranzit")).backgroundColor === "rgb(243, 245, 249)"`,
	} {
		if !browser.Eval[bool](p, script) {
			t.Errorf("%s", what)
		}
	}
	p.Shots("template-hostile")
	enter(p, "4111111111111111")
	p.Follow("button[type=submit]")
	p.Await("main.done")
	if got := p.Text("main"); !strings.Contains(got, "1,299.00") {
		t.Errorf("the receipt: %q", got)
	}
}
