package design

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// PaymentTag is the element in whose place the payment stands.
const PaymentTag = "tranzit-payment"

// mark is the class of every element of a shop, and of nothing else: each of the
// shop's selectors is bound to it, so that its style finds its own elements only.
const mark = "of-shop"

// markup is one page.html, written anew.
type markup struct{ before, after pieces }

// elements that a template may have. Those with a value may stand at top level.
var elements = map[string]bool{
	"header": true, "footer": true, "nav": true, "aside": true,
	"div": false, "p": false, "span": false, "a": false, "img": false, "br": false, "hr": false, "wbr": false, "strong": false, "em": false,
	"b": false, "i": false, "small": false, "sub": false, "sup": false, "h2": false, "h3": false, "ul": false, "ol": false, "li": false,
	"dl": false, "dt": false, "dd": false, "figure": false, "figcaption": false, "blockquote": false, "address": false, "abbr": false, "time": false,
}

// voids have no end tag (HTML, 13.1.2), those that a template may not have included.
var voids = map[string]bool{"img": true, "br": true, "hr": true, "wbr": true, "area": true, "base": true, "col": true, "embed": true, "input": true,
	"link": true, "meta": true, "source": true, "track": true}

// Bounds that keep a file from costing more than its bytes.
const (
	maxDepth      = 32
	maxAttributes = 16
	maxGathered   = 10 * MaxFindings
)

// whyNot tells of elements that people try.
var whyNot = map[string]string{
	"script": "A template has no scripts.", "style": "Styles belong into style.css.", "link": "Nothing is loaded from elsewhere: styles belong into style.css.",
	"form": "Forms are the switch's: the card is entered in the place of <" + PaymentTag + "> only.", "svg": "SVG can carry scripts: use a picture (png, jpg, gif, webp).",
	"iframe": "Nothing of another page is shown within the payment page.", "object": "Nothing of another page is shown within the payment page.",
	"embed": "Nothing of another page is shown within the payment page.", "base": "Links are written in full.", "meta": "The head of the page is the switch's.",
	"html": "The frame of the document is the switch's: only what stands in its body belongs here.", "head": "The head of the page is the switch's.",
	"body": "The frame of the document is the switch's: only what stands in its body belongs here.", "title": "The title of the page is the switch's.",
	"main": "The main part of the page is the payment.", "h1": "The page's first heading is the payment's: begin with h2.",
}

func init() {
	for _, name := range []string{"input", "button", "select", "textarea", "label", "fieldset", "datalist", "option", "output", "details", "dialog"} {
		whyNot[name] = whyNot["form"]
	}
}

// open is an element whose end has not come yet.
type open struct {
	name   string
	offset int
}

// markupReader reads one page.html. Not goroutine-safe.
type markupReader struct {
	*source
	out     pieces
	text    strings.Builder // of the piece that is being written
	before  pieces
	places  int // where the payment stands
	stack   []open
	shape   []node // every element in order
	headers map[string]int
	offset  int // of the token
	raw     string
}

// node is an element with how deep it stands.
type node struct {
	name   string
	depth  int
	offset int
}

// markup reads a page. REQUIRES: names found no mistake.
func (s *source) markup() *markup {
	r := &markupReader{source: s, headers: map[string]int{}}
	z := html.NewTokenizer(strings.NewReader(s.text))
	before := len(s.findings)
	for next := 0; ; {
		kind := z.Next()
		r.raw = string(z.Raw())
		r.offset, next = next, next+len(r.raw)
		if kind == html.ErrorToken {
			break
		}
		r.token(z.Token())
	}
	for _, o := range r.stack {
		s.at(o.offset, "<%s> is not closed.", o.name)
	}
	if r.places == 0 {
		s.about(s.name, "<%s></%s> is missing: it says where the payment stands.", PaymentTag, PaymentTag)
	}
	r.flush()
	if len(s.findings) == before {
		r.compare()
	}
	return &markup{r.before, r.out}
}

func (r *markupReader) flush() {
	if r.text.Len() > 0 {
		r.out = append(r.out, piece{html: r.text.String()})
		r.text.Reset()
	}
}

func (r *markupReader) token(t html.Token) {
	switch t.Type {
	case html.TextToken:
		r.plain(t.Data)
	case html.StartTagToken, html.SelfClosingTagToken:
		r.start(&t)
	case html.EndTagToken:
		r.end(t.Data)
	case html.DoctypeToken:
		r.at(r.offset, "The frame of the document is the switch's: only what stands in its body belongs here.")
	}
}

var (
	blanks      = regexp.MustCompile(`[ \t\r\n]+`)
	placeholder = regexp.MustCompile(`\{\{[^{}]*\}\}|\{\{|\}\}`)
)

// plain writes text, with the values that are named in it.
func (r *markupReader) plain(text string) {
	text = blanks.ReplaceAllString(text, " ")
	if len(r.stack) == 0 {
		if strings.TrimSpace(text) != "" {
			r.at(r.offset+len(r.raw)-len(strings.TrimLeft(r.raw, " \t\r\n")), "Text stands within header, nav, aside or footer.")
		}
		return
	}
	parent := r.stack[len(r.stack)-1].name
	if whyNot[parent] != "" {
		return // what is within is not markup
	}
	if strings.TrimSpace(text) == "" && (parent == "ul" || parent == "ol" || parent == "dl") {
		return
	}
	if strings.TrimSpace(text) != "" && (parent == "ul" || parent == "ol" || parent == "dl") {
		r.at(r.offset, "Text does not stand in <%s> itself, but in its entries.", parent)
	}
	from := 0
	for _, at := range placeholder.FindAllStringIndex(text, -1) {
		name := strings.TrimSpace(strings.Trim(text[at[0]:at[1]], "{}"))
		if longest[name] == 0 {
			where := max(strings.Index(r.raw, text[at[0]:at[1]]), 0)
			r.at(r.offset+where, "%q is no value: there are {{amount}}, {{order}}, {{description}} and {{shop}}.", printable(text[at[0]:at[1]]))
			continue
		}
		r.text.WriteString(html.EscapeString(text[from:at[0]]))
		r.flush()
		r.out = append(r.out, piece{value: name})
		from = at[1]
	}
	r.text.WriteString(html.EscapeString(text[from:]))
}

func (r *markupReader) start(t *html.Token) {
	name := t.Data
	if name == PaymentTag {
		r.payment(t)
		return
	}
	atTop, known := elements[name]
	switch {
	case whyNot[name] != "":
		r.at(r.offset, "<%s> is not allowed. %s", name, whyNot[name])
	case !known:
		r.at(r.offset, "<%s> is no element of a template.", printable(name))
	case len(r.stack) >= maxDepth:
		r.at(r.offset, "Elements stand within elements more than %d deep.", maxDepth)
		return
	case len(r.stack) == 0 && !atTop:
		r.at(r.offset, "<%s> does not stand at top level: there are header, nav, aside, footer and <%s>.", name, PaymentTag)
	default:
		r.fits(name)
	}
	if t.Type == html.SelfClosingTagToken && !voids[name] && known {
		r.at(r.offset, "<%s> is closed by </%s>, not by a slash.", name, name)
	}
	r.shape = append(r.shape, node{name, len(r.stack), r.offset})
	r.text.WriteString("<" + name)
	if known {
		r.attributes(t)
	}
	r.text.WriteString(">")
	if !voids[name] && t.Type == html.StartTagToken {
		r.stack = append(r.stack, open{name, r.offset})
	}
}

// fits finds an element in a place where a reader of the page aloud would lose its
// way.
func (r *markupReader) fits(name string) {
	parent := ""
	if len(r.stack) > 0 {
		parent = r.stack[len(r.stack)-1].name
	}
	list := parent == "ul" || parent == "ol"
	switch {
	case (name == "header" || name == "footer" || name == "aside") && parent != "":
		r.at(r.offset, "<%s> stands at top level only.", name)
	case name == "header" || name == "footer":
		if r.headers[name]++; r.headers[name] > 1 {
			r.at(r.offset, "The page has one <%s>.", name)
		}
	case (name == "li") != list:
		r.at(r.offset, "<li> stands in <ul> or <ol>, and nothing else does.")
	case (name == "dt" || name == "dd") != (parent == "dl"):
		r.at(r.offset, "<dt> and <dd> stand in <dl>, and nothing else does.")
	case name == "a" && slices.ContainsFunc(r.stack, func(o open) bool { return o.name == "a" }):
		r.at(r.offset, "A link does not stand within a link.")
	}
}

func (r *markupReader) payment(t *html.Token) {
	switch {
	case len(r.stack) > 0:
		r.at(r.offset, "<%s> stands at top level, not within <%s>.", PaymentTag, r.stack[len(r.stack)-1].name)
	case r.places > 0:
		r.at(r.offset, "<%s> is there twice.", PaymentTag)
	case len(t.Attr) > 0:
		r.at(r.offset, "<%s> takes no attributes: its looks are set in style.css.", PaymentTag)
	}
	if r.places++; r.places == 1 {
		r.flush()
		r.before, r.out = r.out, nil
	}
	r.shape = append(r.shape, node{"div", len(r.stack), r.offset})
	if t.Type == html.StartTagToken {
		r.stack = append(r.stack, open{PaymentTag, r.offset})
	}
}

func (r *markupReader) end(name string) {
	if voids[name] {
		r.at(r.offset, "<%s> has no end.", name)
		return
	}
	if len(r.stack) == 0 {
		r.at(r.offset, "</%s> ends nothing.", printable(name))
		return
	}
	last := r.stack[len(r.stack)-1]
	if last.name != name {
		r.at(r.offset, "</%s> comes before the end of <%s>.", printable(name), last.name)
		if i := slices.IndexFunc(r.stack, func(o open) bool { return o.name == name }); i >= 0 {
			r.stack = r.stack[:i]
		}
		return
	}
	r.stack = r.stack[:len(r.stack)-1]
	if name != PaymentTag {
		r.text.WriteString("</" + name + ">")
	} else if r.shape[len(r.shape)-1].offset != last.offset {
		r.at(r.offset, "<%s> is empty.", PaymentTag)
	}
}

var (
	className = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,60}$`)
	language  = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$`)
)

// attributes writes those of an element that are known.
func (r *markupReader) attributes(t *html.Token) {
	seen := map[string]string{}
	classes, raw := mark, strings.ToLower(r.raw)
	if len(t.Attr) > maxAttributes {
		r.at(r.offset, "<%s> has %d attributes, at most %d.", t.Data, len(t.Attr), maxAttributes)
		return
	}
	for _, a := range t.Attr {
		where := r.offset + max(strings.Index(raw, a.Key), 0)
		if _, twice := seen[a.Key]; twice {
			r.at(where, "The attribute %s is there twice.", printable(a.Key))
		}
		seen[a.Key] = a.Val
		switch {
		case a.Key == "class":
			for _, word := range strings.Fields(a.Val) {
				if !className.MatchString(word) {
					r.at(where, "%q is not a name of a class: letters, digits, - and _.", printable(word))
				} else {
					classes += " " + word
				}
			}
		case a.Key == "lang" && language.MatchString(a.Val), a.Key == "aria-label" && labels[t.Data] && a.Val != "":
			r.attribute(a.Key, a.Val)
		case a.Key == "href" && t.Data == "a":
			r.link(where, a.Val)
		case a.Key == "target" && t.Data == "a" && a.Val == "_blank":
			r.attribute(a.Key, a.Val)
		case a.Key == "rel" && t.Data == "a": // written by link
		case t.Data == "img" && (a.Key == "src" || a.Key == "alt"):
			if a.Key == "src" {
				a.Val = r.picture(where, a.Val)
			}
			r.attribute(a.Key, a.Val)
		case t.Data == "img" && (a.Key == "width" || a.Key == "height"):
			if n, err := strconv.Atoi(a.Val); err != nil || n < 1 || n > maxSide {
				r.at(where, "The %s is a number of pixels, 1 to %d.", a.Key, maxSide)
			}
			r.attribute(a.Key, a.Val)
		default:
			r.strange(where, a.Key, t.Data)
		}
	}
	r.attribute("class", classes)
	for _, need := range needed[t.Data] {
		if _, ok := seen[need.key]; !ok {
			r.at(r.offset, "<%s> needs %s: %s", t.Data, need.key, need.why)
		}
	}
}

// labels may have aria-label.
var labels = map[string]bool{"nav": true, "aside": true, "a": true}

var needed = map[string][]struct{ key, why string }{
	"img":   {{"src", "the name of a picture of the template."}, {"alt", "what the picture says to who does not see it; empty when it says nothing."}},
	"a":     {{"href", "where it leads to."}},
	"nav":   {{"aria-label", "there are several on the page, so each has a name."}},
	"aside": {{"aria-label", "it is named for who does not see it."}},
}

func (r *markupReader) attribute(key, value string) {
	r.text.WriteString(" " + key + `="` + html.EscapeString(value) + `"`)
}

func (r *markupReader) strange(where int, key, element string) {
	switch {
	case strings.HasPrefix(key, "on"):
		r.at(where, "The attribute %s is not allowed: a template has no scripts.", printable(key))
	case key == "style":
		r.at(where, "The attribute style is not allowed: styles belong into style.css.")
	case key == "id" || key == "name":
		r.at(where, "The attribute %s is not allowed: names of the page are the switch's. Use class.", key)
	default:
		r.at(where, "The attribute %s of <%s> is not allowed, or not with this value.", printable(key), printable(element))
	}
}

var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)

// link writes where a link leads to: nothing that a buyer does not click on goes
// there, and the page's address does not either.
func (r *markupReader) link(where int, address string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || strings.ContainsAny(address, " \t\r\n\\<>\"'`"):
		r.at(where, "The address of the link cannot be read.")
		return
	case (u.Scheme == "mailto" || u.Scheme == "tel") && u.Opaque != "" && u.RawQuery == "" && u.Fragment == "":
	case u.Scheme != "https":
		r.at(where, "A link begins with https://, mailto: or tel:.")
		return
	case u.User != nil || u.Port() != "" || !hostName.MatchString(u.Host):
		r.at(where, "A link leads to a host by its name in small letters, without user and port: https://shop.example/.")
		return
	default:
		r.hosts[u.Host] = true
	}
	r.attribute("href", u.String())
	r.attribute("rel", "noopener noreferrer external")
}

// compare reads what was written as a browser does: every element must stand there
// as deep as it was meant to. HTML moves what stands in the wrong place, and what
// moves could come to hold the payment.
func (r *markupReader) compare() {
	text := r.before.plain() + "<div></div>" + r.out.plain()
	found, err := html.ParseFragment(strings.NewReader(text), &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body})
	if err != nil {
		r.about(r.name, "The page cannot be read as HTML.")
		return
	}
	var shape []node
	var walk func(*html.Node, int)
	walk = func(n *html.Node, depth int) {
		if n.Type == html.ElementNode {
			shape = append(shape, node{name: n.Data, depth: depth})
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, depth+1)
		}
	}
	for _, n := range found {
		walk(n, 0)
	}
	for i, want := range r.shape {
		if i >= len(shape) || shape[i].name != want.name || shape[i].depth != want.depth {
			r.at(want.offset, "<%s> cannot stand here: browsers would put it elsewhere.", want.name)
			return
		}
	}
	if len(shape) != len(r.shape) {
		r.about(r.name, "Browsers would read more elements than are written: an element stands where it cannot.")
	}
}

// plain is the HTML without values.
func (p pieces) plain() string {
	var out strings.Builder
	for _, x := range p {
		out.WriteString(x.html)
	}
	return out.String()
}
