package design

import (
	"regexp"
	"strings"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/css"
)

// base comes before a shop's own rules.
const base = "." + mark + "{box-sizing:border-box}img." + mark + "{max-width:100%;height:auto}"

// token is one of CSS Syntax Level 3.
type token struct {
	kind   css.TokenType
	text   string
	offset int
}

// styleReader reads style.css. Not goroutine-safe.
type styleReader struct {
	*source
	tokens []token
	next   int
	out    strings.Builder
	theme  theme
}

// style reads the style sheet and writes it anew, bound to the shop's elements.
func (s *source) style() string {
	r := &styleReader{source: s, theme: theme{}}
	if i := strings.IndexAny(s.text, `\<`); i >= 0 {
		s.at(i, "The character %q is not allowed in a style sheet, in comments neither.", s.text[i:i+1])
		return ""
	}
	lexer := css.NewLexer(parse.NewInputString(s.text))
	for offset := 0; ; {
		kind, text := lexer.Next()
		if kind == css.ErrorToken {
			break
		}
		if kind != css.CommentToken {
			r.tokens = append(r.tokens, token{kind, string(text), offset})
		}
		offset += len(text)
	}
	r.out.WriteString(base)
	r.rules(0)
	r.out.WriteString(r.theme.write(r))
	return r.out.String()
}

// peek is the next token; at the end one of kind ErrorToken.
func (r *styleReader) peek() token {
	if r.next >= len(r.tokens) {
		return token{offset: len(r.text)}
	}
	return r.tokens[r.next]
}

func (r *styleReader) blank() {
	for r.peek().kind == css.WhitespaceToken {
		r.next++
	}
}

// until takes the tokens before the first of a kind that stands in no bracket, the
// end, or the brace that ends the block.
func (r *styleReader) until(kinds ...css.TokenType) (taken []token) {
	depth := 0
	for ; r.next < len(r.tokens); r.next++ {
		t := r.tokens[r.next]
		for _, kind := range kinds {
			if depth == 0 && t.kind == kind {
				return taken
			}
		}
		switch t.kind {
		case css.FunctionToken, css.LeftParenthesisToken, css.LeftBracketToken:
			depth++
		case css.RightParenthesisToken, css.RightBracketToken:
			depth--
		case css.LeftBraceToken:
			depth++
		case css.RightBraceToken:
			if depth--; depth < 0 {
				return taken
			}
		}
		taken = append(taken, t)
	}
	return taken
}

// rules reads the rules of a sheet, or of one @media.
func (r *styleReader) rules(depth int) {
	for {
		r.blank()
		switch t := r.peek(); {
		case t.kind == css.ErrorToken && r.next >= len(r.tokens):
			return
		case t.kind == css.RightBraceToken && depth > 0:
			return
		case t.kind == css.RightBraceToken:
			r.at(t.offset, "} ends nothing.")
			r.next++
		case t.kind == css.AtKeywordToken:
			r.atRule(depth)
		default:
			r.rule()
		}
	}
}

var atRules = map[string]string{
	"@import": "nothing is loaded from elsewhere.", "@font-face": "fonts are those of the buyer's device.", "@charset": "the file is UTF-8.",
	"@keyframes": "nothing on the page moves by itself.",
}

func (r *styleReader) atRule(depth int) {
	t := r.peek()
	r.next++
	name := strings.ToLower(t.text)
	prelude := r.until(css.LeftBraceToken, css.SemicolonToken)
	media := ""
	switch why := atRules[name]; {
	case why != "":
		r.at(t.offset, "%s is not allowed: %s", name, why)
	case name != "@media":
		r.at(t.offset, "%s is not allowed: there is @media.", printable(name))
	case depth > 0:
		r.at(t.offset, "@media does not stand within @media.")
	case r.peek().kind != css.LeftBraceToken:
		r.at(t.offset, "@media has no block.")
	default:
		media = r.media(prelude)
	}
	switch r.peek().kind {
	case css.SemicolonToken:
		r.next++
		return
	case css.LeftBraceToken:
		r.next++
	default:
		return
	}
	if media == "" {
		r.until() // to the brace that ends it
	} else {
		r.out.WriteString("@media" + media + "{")
		r.rules(depth + 1)
		r.out.WriteString("}")
	}
	if r.peek().kind != css.RightBraceToken {
		r.at(t.offset, "The block of %s is not ended.", printable(name))
		return
	}
	r.next++
}

// media writes what an @media asks for; empty: it cannot be taken.
func (r *styleReader) media(prelude []token) string {
	var out strings.Builder
	for _, t := range prelude {
		switch t.kind {
		case css.WhitespaceToken:
			out.WriteString(" ")
		case css.IdentToken, css.NumberToken, css.DimensionToken, css.ColonToken, css.CommaToken, css.LeftParenthesisToken, css.RightParenthesisToken:
			if !plainWord.MatchString(t.text) && len(t.text) > 1 {
				r.at(t.offset, "%q cannot stand in @media.", printable(t.text))
				return ""
			}
			out.WriteString(t.text)
		default:
			r.at(t.offset, "%q cannot stand in @media: ask for features like (min-width: 40rem).", printable(t.text))
			return ""
		}
	}
	if strings.TrimSpace(out.String()) == "" {
		return " all"
	}
	return " " + strings.TrimSpace(out.String())
}

// plainWord is an identifier, a number or a number with a unit.
var plainWord = regexp.MustCompile(`^-?[A-Za-z0-9_][A-Za-z0-9_.%-]*$|^[+-]?\.?[0-9]+[A-Za-z0-9.%]*$`)

// rule reads one rule: selectors and declarations.
func (r *styleReader) rule() {
	begin := r.peek().offset
	prelude := r.until(css.LeftBraceToken, css.SemicolonToken)
	if r.peek().kind != css.LeftBraceToken {
		r.at(begin, "A rule is selectors and a block in braces.")
		if r.peek().kind == css.SemicolonToken {
			r.next++
		}
		return
	}
	r.next++
	target, selectors := r.selectors(prelude)
	var body strings.Builder
	for {
		r.blank()
		if k := r.peek().kind; k == css.RightBraceToken || r.next >= len(r.tokens) {
			break
		} else if k == css.SemicolonToken {
			r.next++
			continue
		}
		r.declaration(target, &body)
	}
	if r.peek().kind != css.RightBraceToken {
		r.at(begin, "The block is not ended.")
		return
	}
	r.next++
	if body.Len() > 0 && selectors != "" {
		r.out.WriteString(selectors + "{" + strings.TrimSuffix(body.String(), ";") + "}")
	}
}

// What a rule is about.
type target int

const (
	ofShop    target = iota // elements of the shop
	ofBody                  // the ground and the text of the page
	ofRoot                  // custom properties
	ofPayment               // the looks of the payment
)

// declaration reads one declaration and writes it when it can be taken.
func (r *styleReader) declaration(about target, out *strings.Builder) {
	name := r.peek()
	r.next++
	r.blank()
	if (name.kind != css.IdentToken && name.kind != css.CustomPropertyNameToken) || r.peek().kind != css.ColonToken {
		r.at(name.offset, "A declaration is a property, a colon and a value.")
		r.until(css.SemicolonToken)
		return
	}
	r.next++
	value := r.until(css.SemicolonToken)
	for len(value) > 0 && value[0].kind == css.WhitespaceToken {
		value = value[1:]
	}
	for len(value) > 0 && value[len(value)-1].kind == css.WhitespaceToken {
		value = value[:len(value)-1]
	}
	if about == ofPayment {
		r.theme.set(r, name, value)
		return
	}
	property, custom := strings.ToLower(name.text), name.kind == css.CustomPropertyNameToken
	rules, known := properties[property]
	switch {
	case custom && !plainWord.MatchString(strings.TrimPrefix(property, "--")):
		r.at(name.offset, "%q is not a name of letters, digits and -.", printable(property))
		return
	case custom:
		property = "--shop-" + strings.TrimPrefix(property, "--")
	case about == ofRoot:
		r.at(name.offset, ":root takes custom properties (--name) only; the page's ground and text are set for body.")
		return
	case !known:
		r.at(name.offset, "The property %s is not allowed.%s", printable(property), whyNotProperty[property])
		return
	case about == ofBody && rules&forBody == 0:
		r.at(name.offset, "The property %s is not allowed for body: its ground and its text are set there.", property)
		return
	}
	if text := r.value(value, rules); text != "" {
		out.WriteString(property + ":" + text + ";")
	} else if len(value) == 0 {
		r.at(name.offset, "%s has no value.", property)
	}
}
