// Package design reads the page templates of shops: the surroundings of the payment
// page in a shop's own HTML, CSS and pictures. It finds every mistake with its file
// and line, and makes of what has none a page that cannot do harm.
//
// Nothing of a shop is copied to a buyer. The files are read into what the package
// knows (elements, attributes, selectors, properties, pictures) and written anew, so
// that what it does not know does not come through: see docs/payment-page.md.
package design

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"slices"
	"strings"
)

// Limits of a template.
const (
	MaxFiles  = 24
	MaxFile   = 48 << 10 // bytes of one file
	MaxBundle = 64 << 10 // bytes of all files
	// MaxServed bounds what a template adds to the page: the markup of one language,
	// the style and the pictures in base64, and each text put in at its longest. With
	// the switch's own part the page stays within 60000 bytes.
	MaxServed = 40_000
	// MaxFindings is how many mistakes are told at once.
	MaxFindings = 100
)

// Files are those of a template by name: page.html, its versions of a language like
// page.ru.html, style.css, and pictures.
type Files map[string][]byte

// The files that are not pictures.
const (
	PageFile  = "page.html"
	StyleFile = "style.css"
)

// Languages are those of the payment page: each may have a page.XX.html of its own.
var Languages = []string{"en", "ru", "es"}

// Encode writes the files as they are kept; equal files give equal bytes.
func (f Files) Encode() []byte {
	body, err := json.Marshal(f)
	if err != nil {
		panic("design: " + err.Error()) // names and bytes are always JSON
	}
	return body
}

// Decode is the inverse of Encode.
func Decode(body []byte) (f Files, err error) {
	err = json.Unmarshal(body, &f)
	return f, err
}

// Digest names the files by their content.
func (f Files) Digest() string {
	sum := sha256.Sum256(f.Encode())
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Finding is one mistake in a template. Line and Column begin at 1; 0: it is about
// the file as a whole.
type Finding struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`
}

// String is the finding as compilers print theirs.
func (f Finding) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Text)
}

// Values are what stands for {{amount}}, {{order}}, {{description}} and {{shop}}.
type Values struct{ Amount, Order, Description, Shop string }

func (v *Values) of(name string) string {
	return map[string]string{"amount": v.Amount, "order": v.Order, "description": v.Description, "shop": v.Shop}[name]
}

// longest is how many bytes a value takes at most once it is written as HTML.
var longest = map[string]int{"amount": 64, "order": 640, "description": 2500, "shop": 500}

// Design is a template that has no mistakes. It never changes, so that it may be
// used by many goroutines.
type Design struct {
	Digest string
	Style  string   // the style sheet, to stand in a style element
	Hosts  []string // that its links lead to, sorted
	Served int      // bytes that it adds to a page
	pages  map[string]*markup
}

// Around is what stands before and after the payment in a language, HTML both.
func (d *Design) Around(language string, v *Values) (before, after template.HTML) {
	m := d.pages[language]
	if m == nil {
		m = d.pages[""]
	}
	return m.before.write(v), m.after.write(v)
}

// pieces are HTML with the names of values between.
type pieces []piece

type piece struct{ html, value string } // one of them

func (p pieces) write(v *Values) template.HTML {
	var out strings.Builder
	for _, x := range p {
		out.WriteString(x.html)
		if x.value != "" {
			out.WriteString(html.EscapeString(v.of(x.value)))
		}
	}
	return template.HTML(out.String()) // each piece was written by this package
}

func (p pieces) bytes() (n int) {
	for _, x := range p {
		n += len(x.html) + longest[x.value]
	}
	return n
}

// lint gathers what is wrong.
type lint struct {
	files    Files
	findings []Finding
	pictures map[string]string // name -> data: address
	used     map[string]bool   // pictures
	hosts    map[string]bool
}

// source is one file that is read.
type source struct {
	*lint
	name, text string
}

// at adds a finding about the byte at an offset.
func (s *source) at(offset int, format string, args ...any) {
	if len(s.findings) >= maxGathered {
		return
	}
	offset = min(offset, len(s.text))
	head := s.text[:offset]
	line := strings.Count(head, "\n") + 1
	column := len([]rune(head[strings.LastIndexByte(head, '\n')+1:])) + 1
	s.findings = append(s.findings, Finding{s.name, line, column, fmt.Sprintf(format, args...)})
}

// Read lints a template. All mistakes come at once, ordered by file and place; the
// Design is nil unless there are none.
func Read(files Files) (*Design, []Finding) {
	l := &lint{files: files, pictures: map[string]string{}, used: map[string]bool{}, hosts: map[string]bool{}}
	d := &Design{pages: map[string]*markup{}}
	if l.names() {
		l.readPictures()
		if s, ok := l.source(StyleFile); ok {
			d.Style = s.style()
		}
		longestPage := 0
		for _, name := range pageFiles(files) {
			s, ok := l.source(name)
			if !ok {
				continue
			}
			m := s.markup()
			d.pages[languageOf(name)] = m
			longestPage = max(longestPage, m.before.bytes()+m.after.bytes())
		}
		d.Served = len(d.Style) + longestPage
		if len(l.findings) == 0 {
			l.whole(d)
		}
	}
	if len(l.findings) > 0 {
		slices.SortStableFunc(l.findings, func(a, b Finding) int {
			return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Text, b.Text))
		})
		told := slices.Compact(l.findings)
		return nil, told[:min(len(told), MaxFindings)]
	}
	for host := range l.hosts {
		d.Hosts = append(d.Hosts, host)
	}
	slices.Sort(d.Hosts)
	d.Digest = files.Digest()
	return d, nil
}

func (l *lint) about(file, format string, args ...any) {
	l.findings = append(l.findings, Finding{File: file, Text: fmt.Sprintf(format, args...)})
}

// whole finds what is wrong with the template as a whole.
func (l *lint) whole(d *Design) {
	for name := range l.pictures {
		if !l.used[name] {
			l.about(name, "The picture is not used: leave it out.")
		}
	}
	if d.Served > MaxServed {
		l.about(PageFile, "With its style and pictures the page has %d bytes, at most %d: pictures count for four thirds of their files, each time they are used.", d.Served, MaxServed)
	}
}

func pageFiles(files Files) (names []string) {
	for name := range files {
		if name == PageFile || languageOf(name) != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// languageOf is the XX of page.XX.html.
func languageOf(name string) string {
	for _, code := range Languages {
		if name == "page."+code+".html" {
			return code
		}
	}
	return ""
}
