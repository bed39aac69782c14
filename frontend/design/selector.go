package design

import (
	"regexp"
	"slices"
	"strings"

	"github.com/tdewolff/parse/v2/css"
)

// pseudoClasses and pseudoElements that selectors may have.
var (
	pseudoClasses  = []string{"hover", "focus", "focus-visible", "active", "link", "visited", "first-child", "last-child", "only-child", "empty"}
	pseudoElements = []string{"before", "after", "first-letter", "first-line", "marker"}
)

// selectors writes the selectors of a rule, each part of them bound to the shop's
// own elements; empty: one of them cannot be taken.
func (r *styleReader) selectors(prelude []token) (about target, text string) {
	var all []string
	for _, one := range split(prelude) {
		words := strings.TrimSpace(textOf(one))
		offset := 0
		if len(one) > 0 {
			offset = one[0].offset
		}
		switch words {
		case "body":
			about, all = ofBody, append(all, "body")
		case ":root":
			about, all = ofRoot, append(all, ":root")
		case PaymentTag:
			about, all = ofPayment, append(all, PaymentTag)
		case "":
			r.at(offset, "A selector is missing.")
			return about, ""
		default:
			bound, ok := r.selector(one)
			if !ok {
				return about, ""
			}
			all = append(all, bound)
		}
	}
	if about != ofShop && len(all) > 1 {
		r.at(prelude[0].offset, "body, :root and %s each have a rule of their own.", PaymentTag)
		return about, ""
	}
	return about, strings.Join(all, ",")
}

// split cuts tokens at their commas.
func split(tokens []token) (parts [][]token) {
	from := 0
	for i, t := range tokens {
		if t.kind == css.CommaToken {
			parts, from = append(parts, tokens[from:i]), i+1
		}
	}
	return append(parts, tokens[from:])
}

func textOf(tokens []token) string {
	var out strings.Builder
	for _, t := range tokens {
		out.WriteString(t.text)
	}
	return out.String()
}

// compound is a selector without combinators.
var compound = regexp.MustCompile(`^(\*|[a-z][a-z0-9]*)?((?:\.[A-Za-z_][A-Za-z0-9_-]*)*)((?::[a-z-]+)*)(::[a-z-]+)?$`)

// selector binds one selector: a chain of compounds between blanks, >, + and ~.
func (r *styleReader) selector(tokens []token) (bound string, ok bool) {
	var out strings.Builder
	text := blanks.ReplaceAllString(strings.TrimSpace(textOf(tokens)), " ")
	for _, c := range []string{">", "+", "~"} {
		text = strings.ReplaceAll(strings.ReplaceAll(text, " "+c, c), c+" ", c)
	}
	last := true // a compound must follow
	for word := range cuts(text) {
		if strings.Contains(" >+~", word) {
			if last {
				break
			}
			out.WriteString(word)
			last = true
			continue
		}
		m := compound.FindStringSubmatch(word)
		if m == nil || word == "" {
			r.refuseSelector(tokens, word)
			return "", false
		}
		switch _, known := elements[m[1]]; {
		case m[1] == "body" || m[1] == "html":
			r.at(tokens[0].offset, "The page itself is chosen by body or :root alone.")
			return "", false
		case m[1] != "" && m[1] != "*" && !known:
			r.at(tokens[0].offset, "<%s> is no element of a template: nothing else can be chosen.", m[1])
			return "", false
		case !allOf(pseudoClasses, m[3], ":") || !allOf(pseudoElements, m[4], "::"):
			r.at(tokens[0].offset, "%q is not allowed: there are %s; %s.", printable(m[3]+m[4]), strings.Join(pseudoClasses, ", "), strings.Join(pseudoElements, ", "))
			return "", false
		}
		out.WriteString(strings.TrimPrefix(m[1], "*") + "." + mark + m[2] + m[3] + m[4])
		last = false
	}
	if last {
		r.at(tokens[0].offset, "The selector is not whole.")
		return "", false
	}
	return out.String(), true
}

// cuts gives compounds and the combinators between them in turn.
func cuts(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for text != "" {
			at := strings.IndexAny(text, " >+~")
			switch {
			case at < 0:
				yield(text)
				return
			case at == 0:
				at = 1
			}
			if !yield(text[:at]) {
				return
			}
			text = text[at:]
		}
	}
}

func allOf(known []string, chain, mark string) bool {
	for word := range strings.SplitSeq(strings.TrimPrefix(chain, mark), mark) {
		if chain != "" && !slices.Contains(known, word) {
			return false
		}
	}
	return true
}

func (r *styleReader) refuseSelector(tokens []token, word string) {
	offset := tokens[0].offset
	switch {
	case strings.Contains(word, PaymentTag):
		r.at(offset, "%s is chosen alone: what stands within the payment cannot be.", PaymentTag)
	case strings.ContainsAny(word, "["):
		r.at(offset, "Selectors by attributes are not allowed: they can read what is in a field.")
	case strings.Contains(word, "#"):
		r.at(offset, "Selectors by id are not allowed: use classes.")
	case strings.Contains(word, "("):
		r.at(offset, "Selectors like :has(), :is() and :not() are not allowed.")
	case strings.HasPrefix(word, ":root"):
		r.at(offset, "The page itself is chosen by body or :root alone.")
	default:
		r.at(offset, "%q is not allowed: selectors are made of elements and classes.", printable(word))
	}
}
