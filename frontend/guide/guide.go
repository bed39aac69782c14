// Package guide writes the integration guide of one shop: its own ids at each of
// its banks, its button, a form signed with its key, test cards, lines to paste and the
// code that verifies a webhook, in each of our languages, as Markdown and as HTML.
package guide

import (
	"embed"
	"html"
	htmltemplate "html/template"
	"strings"
	"text/template"

	"github.com/tranzit/tranzit/switch/joining"
)

// Card is a test card and what the simulated bank does with it.
type Card struct{ Number, Does string }

// Data is what a guide is made from.
type Data struct {
	Language    string // en, ru or es; any other: en
	API         string // address of the API
	PageURL     string // of the payment page
	Application string // empty: the shop is of the configuration
	Company     string
	Merchant    string // empty: test mode is not open yet
	Stage       string
	TestUntil   string // empty: for ever, or not open yet
	Page        bool   // the shop uses the payment page
	Banks       []Bank
	Cards       []Card
	Snippet     string // HTML of the shop's newest button; empty: it has none
	SignedForm  string // a form signed with a key of the shop; empty: it has no such key
	FormKey     string // that signed it
	FormUntil   string
}

// Bank is one bank of the shop.
type Bank struct {
	ID, Name   string
	Live       bool
	Stage      string
	MerchantID string   // DE42
	Terminals  []string // DE41
}

//go:embed *.md
var sources embed.FS

// guides are the templates by language; the code in them is the same.
var guides = func() map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, language := range joining.Languages {
		all[language] = template.Must(template.New(language+".md").Funcs(template.FuncMap{"cell": cell, "join": strings.Join}).ParseFS(sources, "code.md", language+".md"))
	}
	return all
}()

// spoken is a language that guides are written in.
func spoken(language string) string {
	if guides[language] != nil {
		return language
	}
	return "en"
}

// cell is a text fit for a cell of a table.
func cell(text string) string {
	if text == "" {
		return "–"
	}
	return strings.NewReplacer("|", "/", "\n", " ", "<", "‹", ">", "›").Replace(text)
}

// Of makes the data of an application. test are the shop's ids at test banks.
func Of(v *joining.View, api string, test []Bank, cards []Card) Data {
	d := Data{Language: v.Form.Language, API: api, PageURL: api, Application: v.ID, Company: v.Form.Company, Stage: string(v.Stage), Page: v.Form.Integration == "page", Banks: test, Cards: cards}
	if v.MerchantID != nil {
		d.Merchant = *v.MerchantID
	}
	if v.Test.Until != nil {
		d.TestUntil = *v.Test.Until
	}
	for _, b := range v.Banks {
		d.Banks = append(d.Banks, Bank{ID: b.Bank, Name: b.Name, Live: true, Stage: string(b.Stage), MerchantID: b.Connection.MerchantID, Terminals: b.Connection.Terminals})
	}
	return d
}

// Markdown is the guide as text.
func Markdown(d *Data) (string, error) {
	var b strings.Builder
	language := spoken(d.Language)
	err := guides[language].ExecuteTemplate(&b, language+".md", d)
	return b.String(), err
}

// HTML is the same guide as one page without scripts.
func HTML(d *Data) (string, error) {
	text, err := Markdown(d)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html lang=\"" + spoken(d.Language) + "\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Integration guide</title>\n" +
		"<style>body{font-family:sans-serif;max-width:50em;margin:2em auto;padding:0 1em;line-height:1.5}pre{background:#f4f4f4;padding:1em;overflow:auto}td,th{border:1px solid #bbb;padding:.3em .6em;text-align:left}table{border-collapse:collapse}</style></head><body>\n")
	b.WriteString(body(text) + "</body></html>\n")
	return b.String(), nil
}

// Body is the guide as HTML to put into a page.
func Body(d *Data) (htmltemplate.HTML, error) {
	text, err := Markdown(d)
	return htmltemplate.HTML(body(text)), err // each line was escaped
}

func body(text string) string {
	var b strings.Builder
	p := writer{out: &b}
	for line := range strings.Lines(text) {
		p.line(strings.TrimRight(line, "\n"))
	}
	p.close("")
	return b.String()
}

// writer turns the Markdown that the guide uses into HTML: headings, paragraphs,
// lists, tables and fenced code.
type writer struct {
	out  *strings.Builder
	open string // p, ul, table or pre
}

func (p *writer) close(next string) {
	if p.open != "" && p.open != next {
		p.out.WriteString("</" + p.open + ">\n")
		p.open = ""
	}
}

func (p *writer) begin(tag string) (fresh bool) {
	p.close(tag)
	if p.open == tag {
		return false
	}
	p.open = tag
	p.out.WriteString("<" + tag + ">\n")
	return true
}

func (p *writer) line(text string) {
	level := len(text) - len(strings.TrimLeft(text, "#"))
	switch {
	case strings.HasPrefix(text, "```"):
		if p.open == "pre" {
			p.close("")
		} else {
			p.begin("pre")
		}
	case p.open == "pre":
		p.out.WriteString(html.EscapeString(text) + "\n")
	case text == "":
		p.close("")
	case level > 0 && level < 4:
		p.close("")
		tag := "h" + string(rune('0'+level))
		p.out.WriteString("<" + tag + ">" + spans(strings.TrimSpace(text[level:])) + "</" + tag + ">\n")
	case strings.HasPrefix(text, "|---"):
	case strings.HasPrefix(text, "|"):
		p.row(text)
	case strings.HasPrefix(text, "- "):
		p.begin("ul")
		p.out.WriteString("<li>" + spans(text[2:]) + "</li>\n")
	default:
		p.begin("p")
		p.out.WriteString(spans(text) + "\n")
	}
}

func (p *writer) row(text string) {
	tag := "td"
	if p.begin("table") {
		tag = "th"
	}
	p.out.WriteString("<tr>")
	for _, c := range strings.Split(strings.Trim(text, "|"), "|") {
		of, c := tag, strings.TrimSpace(c)
		if c == "" {
			of = "td" // a heading without words is none
		}
		p.out.WriteString("<" + of + ">" + spans(c) + "</" + of + ">")
	}
	p.out.WriteString("</tr>\n")
}

// spans escapes a line and shows what stands between backquotes as code.
func spans(text string) string {
	pieces := strings.Split(html.EscapeString(text), "`")
	for i := 1; i+1 < len(pieces); i += 2 {
		pieces[i] = "<code>" + pieces[i] + "</code>"
	}
	return strings.Join(pieces, "")
}
