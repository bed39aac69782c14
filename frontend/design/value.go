package design

import (
	"regexp"
	"strings"

	"github.com/tdewolff/parse/v2/css"
)

// kind says what the value of a property may hold.
type kind int

const (
	plainValue kind = 0
	forBody    kind = 1 << iota // body may have it
	positive                    // no negative numbers, and nothing computed
	pictures                    // url() of a picture of the template
	words                       // texts in quotes
)

// properties that a template may set. What takes an element out of its place
// (position, transform, negative margins) or hides others is not among them.
var properties = propertyTable()

func propertyTable() map[string]kind {
	all := map[string]kind{}
	for kind, names := range map[kind]string{
		plainValue: "align-content align-items align-self justify-content justify-items justify-self place-content place-items place-self " +
			"gap row-gap column-gap flex flex-basis flex-direction flex-flow flex-grow flex-shrink flex-wrap order grid-template-columns " +
			"grid-template-rows grid-auto-flow grid-auto-columns grid-auto-rows grid-column grid-row display box-sizing overflow aspect-ratio " +
			"object-fit object-position vertical-align opacity visibility box-shadow text-shadow text-decoration text-decoration-color " +
			"text-decoration-line text-decoration-style text-decoration-thickness text-underline-offset text-transform text-overflow " +
			"white-space word-break overflow-wrap hyphens list-style-type list-style-position " +
			"width min-width max-width height min-height max-height padding padding-top padding-right padding-bottom padding-left padding-inline " +
			"padding-block border border-top border-right border-bottom border-left border-width border-style border-color border-radius " +
			"border-top-width border-right-width border-bottom-width border-left-width border-top-color border-right-color " +
			"border-bottom-color border-left-color border-top-style border-right-style border-bottom-style border-left-style " +
			"border-top-left-radius border-top-right-radius border-bottom-left-radius border-bottom-right-radius",
		positive:           "margin margin-top margin-right margin-bottom margin-left margin-inline margin-block",
		pictures:           "list-style list-style-image",
		pictures | forBody: "background background-image",
		forBody:            "background-color background-position background-repeat background-size background-attachment color font-size font-style font-weight font-variant font-variant-numeric letter-spacing line-height text-align",
		words | forBody:    "font font-family",
		words:              "content quotes",
	} {
		for name := range strings.FieldsSeq(names) {
			all[name] = kind
		}
	}
	return all
}

var whyNotProperty = map[string]string{
	"position": " What stands on the page stays in its place, so that nothing covers the payment.",
	"z-index":  " What stands on the page stays in its place, so that nothing covers the payment.",
	"float":    " Use flex or grid.", "behavior": " A template has no scripts.", "outline": " The outline shows who goes by keyboard where they are.",
	"transform": " What stands on the page stays in its place, so that nothing covers the payment.", "cursor": " The pointer is the buyer's.",
	"filter": " It would draw over the payment.", "animation": " Nothing on the page moves by itself.", "transition": " Nothing on the page moves by itself.",
}

var functions = map[string]bool{"rgb(": true, "rgba(": true, "hsl(": true, "hsla(": true, "calc(": true, "min(": true, "max(": true, "clamp(": true, "var(": true,
	"linear-gradient(": true, "radial-gradient(": true, "repeat(": true, "minmax(": true, "fit-content(": true}

var (
	hexColor   = regexp.MustCompile(`^#([0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})$`)
	plainText  = regexp.MustCompile(`^"[^"\n\r]*"$|^'[^'\n\r]*'$`)
	pictureURL = regexp.MustCompile(`(?i)^url\(\s*(?:"([^"]*)"|'([^']*)'|([^"'\s]*))\s*\)$`)
	customName = regexp.MustCompile(`^--[A-Za-z0-9_-]+$`)
)

// value writes a value; empty: it cannot be taken.
func (r *styleReader) value(tokens []token, about kind) string {
	var out strings.Builder
	depth := 0
	refuse := func(t token, format string, args ...any) string {
		r.at(t.offset, format, args...)
		return ""
	}
	for i, t := range tokens {
		switch t.kind {
		case css.WhitespaceToken:
			out.WriteByte(' ')
			continue
		case css.URLToken:
			address := r.url(t, about)
			if address == "" {
				return ""
			}
			out.WriteString(address)
			continue
		case css.FunctionToken:
			name := strings.ToLower(t.text)
			switch {
			case !functions[name]:
				return refuse(t, "%s) is not allowed.", printable(name))
			case about&positive != 0 && computed[name]:
				return refuse(t, "%s) is not allowed here: it could come out below zero, and move what stands on the page.", name)
			}
			depth++
		case css.LeftParenthesisToken:
			depth++
		case css.RightParenthesisToken:
			if depth--; depth < 0 {
				return refuse(t, ") closes nothing.")
			}
		case css.IdentToken, css.NumberToken, css.PercentageToken, css.DimensionToken:
			if !plainWord.MatchString(t.text) {
				return refuse(t, "%q is not allowed.", printable(t.text))
			}
			if t.kind != css.IdentToken && about&positive != 0 && strings.HasPrefix(t.text, "-") {
				return refuse(t, "%q is below zero: what stands on the page stays in its place.", printable(t.text))
			}
		case css.HashToken:
			if !hexColor.MatchString(t.text) {
				return refuse(t, "%q is not a colour.", printable(t.text))
			}
		case css.StringToken:
			if about&words == 0 || !plainText.MatchString(t.text) {
				return refuse(t, "A text in quotes is not allowed here.")
			}
		case css.CustomPropertyNameToken:
			if i == 0 || tokens[i-1].text != "var(" || !customName.MatchString(t.text) {
				return refuse(t, "A custom property is named in var() only.")
			}
			out.WriteString("--shop-" + strings.ToLower(strings.TrimPrefix(t.text, "--")))
			continue
		case css.CommaToken:
		case css.DelimToken:
			if !strings.Contains("/+-*!", t.text) {
				return refuse(t, "%q is not allowed.", printable(t.text))
			}
		default:
			return refuse(t, "%q is not allowed.", printable(t.text))
		}
		out.WriteString(t.text)
	}
	if depth > 0 {
		return refuse(tokens[0], "A bracket is not closed.")
	}
	return strings.TrimSpace(out.String())
}

// computed are the functions whose value is not seen in the sheet.
var computed = map[string]bool{"var(": true, "calc(": true, "min(": true, "max(": true, "clamp(": true}

func (r *styleReader) url(t token, about kind) string {
	m := pictureURL.FindStringSubmatch(t.text)
	switch {
	case about&pictures == 0:
		r.at(t.offset, "url() is not allowed here: pictures stand in background, background-image, list-style and list-style-image.")
		return ""
	case m == nil:
		r.at(t.offset, "url() names a picture of the template, like url(logo.png).")
		return ""
	}
	address := r.picture(t.offset, m[1]+m[2]+m[3])
	if address == "" {
		return ""
	}
	return `url("` + address + `")`
}
