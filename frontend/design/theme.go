package design

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tdewolff/parse/v2/css"
)

// BlockID is the id of the element that holds the payment. Every rule of the
// switch's own style begins with it.
const BlockID = "tranzit"

// theme is what a shop says of the looks of the payment: names to values.
type theme map[string]string

// colours of the payment with their defaults, and the name that the switch's style
// has for each.
var colours = []struct{ name, value, inner string }{
	{"--accent", "#1450d2", "act"}, {"--on-accent", "#ffffff", "on-act"}, {"--ink", "#162033", "ink"}, {"--soft", "#56617a", "soft"},
	{"--ground", "#f3f5f9", "ground"}, {"--paper", "#ffffff", "paper"}, {"--edge", "#79839a", "edge"}, {"--good", "#0b7a43", "good"},
	{"--bad", "#b3122b", "bad"}, {"--bad-ground", "#fdf0f1", "bad-ground"},
}

// contrasts that must be kept (WCAG 2.2, 1.4.3 and 1.4.11), whatever a shop says of
// colours: the amount, the fields and what went wrong are always seen.
var contrasts = []struct {
	of, on string
	least  float64
}{
	{"--ink", "--ground", 4.5}, {"--ink", "--paper", 4.5}, {"--soft", "--ground", 4.5}, {"--soft", "--paper", 4.5}, {"--accent", "--ground", 4.5},
	{"--accent", "--paper", 4.5}, {"--on-accent", "--accent", 4.5}, {"--on-accent", "--soft", 4.5}, {"--edge", "--paper", 3}, {"--bad", "--paper", 4.5},
	{"--ink", "--bad-ground", 4.5}, {"--good", "--paper", 3},
}

var (
	themeColour = regexp.MustCompile(`^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)
	themeRadius = regexp.MustCompile(`^(0|[0-9]{1,2}px|(0|1)?\.[0-9]{1,3}rem|[01]rem)$`)
)

// set takes one declaration of the rule of the payment.
func (t theme) set(r *styleReader, name token, value []token) {
	text, property := textOf(value), strings.ToLower(name.text)
	isColour := slices.ContainsFunc(colours, func(c struct{ name, value, inner string }) bool { return c.name == property })
	switch {
	case isColour && !themeColour.MatchString(text):
		r.at(name.offset, "%s is a colour like #0a5a57: its contrast is checked.", property)
	case isColour:
		t[property] = strings.ToLower(text)
	case property == "--radius" && !themeRadius.MatchString(text):
		r.at(name.offset, "--radius is 0 to 99px, or up to 1.999rem.")
	case property == "--font":
		for _, v := range value {
			if v.kind != css.IdentToken && v.kind != css.StringToken && v.kind != css.CommaToken && v.kind != css.WhitespaceToken {
				r.at(v.offset, "--font is a list of names of fonts.")
				return
			}
		}
		if text = r.value(value, words); text != "" {
			t[property] = text
		}
	case property == "--radius":
		if text == "0" {
			text = "0px" // calc() takes lengths with a unit
		}
		t[property] = text
	default:
		var names []string
		for _, c := range colours {
			names = append(names, c.name)
		}
		r.at(name.offset, "%s cannot be set for the payment: there are %s, --radius and --font.", printable(property), strings.Join(names, ", "))
	}
}

// write gives the rule of the payment, unless a colour could not be read on another.
func (t theme) write(r *styleReader) string {
	if len(t) == 0 {
		return ""
	}
	var out strings.Builder
	out.WriteString("#" + BlockID + "{")
	found := map[string]string{}
	for _, c := range colours {
		found[c.name] = c.value
		if own := t[c.name]; own != "" {
			found[c.name] = own
			out.WriteString("--" + c.inner + ":" + own + ";")
		}
	}
	if own := t["--accent"]; own != "" {
		out.WriteString("--act-deep:" + own + ";")
	}
	if own := t["--paper"]; own != "" {
		out.WriteString("--field:" + own + ";--chosen:" + own + ";")
	}
	if own := t["--soft"]; own != "" {
		out.WriteString("--shape:" + own + ";")
	}
	if own := t["--edge"]; own != "" {
		out.WriteString("--line:" + own + ";")
	}
	for _, name := range []string{"--radius", "--font"} {
		if own := t[name]; own != "" {
			out.WriteString(name + ":" + own + ";")
		}
	}
	for _, c := range contrasts {
		if got := contrast(found[c.of], found[c.on]); got < c.least && (t[c.of] != "" || t[c.on] != "") {
			r.about(StyleFile, "%s: %s (%s) on %s (%s) has a contrast of %.2f, at least %.1f.", PaymentTag, c.of, found[c.of], c.on, found[c.on], math.Floor(got*100)/100, c.least)
		}
	}
	return strings.TrimSuffix(out.String(), ";") + "}"
}

// contrast of two colours as WCAG 2.2 defines it, 1 to 21.
func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(colour string) float64 {
	digits := strings.TrimPrefix(colour, "#")
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, _ := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
