package assist

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of a request.
const (
	maxParams = 128
	maxName   = 64
	maxNested = 8 // of JSON values and of SOAP elements
)

// param is one parameter of a request. Its name is in lower case.
type param struct {
	name  string
	value []byte
}

// params are the parameters of a request, in their order. The values lie in the
// request's own bytes or, for JSON escapes and SOAP, in copies that wipe overwrites.
type params struct{ list []param }

// get finds a parameter. An empty value is none: that is how forms leave out.
func (p *params) get(name string) (value []byte, there bool) {
	for i := range p.list {
		if p.list[i].name == name {
			return p.list[i].value, len(p.list[i].value) > 0
		}
	}
	return nil, false
}

func (p *params) wipe() {
	for i := range p.list {
		clear(p.list[i].value)
	}
	p.list = nil
}

// add takes a parameter, or says what is wrong with it.
func (p *params) add(name, value []byte) *refusal {
	switch {
	case len(p.list) == maxParams:
		return unreadable("There are more than " + strconv.Itoa(maxParams) + " parameters.")
	case len(name) == 0 || len(name) > maxName || !nameOnly(name):
		return unreadable("The name of a parameter is not valid.")
	case !utf8.Valid(value) || bytes.IndexByte(value, 0) >= 0:
		return unreadable("The value of a parameter is not UTF-8.")
	}
	lower := strings.ToLower(string(name))
	for i := range p.list {
		if p.list[i].name == lower {
			return unreadable("The parameter " + lower + " is there twice.")
		}
	}
	p.list = append(p.list, param{lower, value})
	return nil
}

// nameOnly: letters, digits, underscores and hyphens, and not so many digits
// that it may be a card number in the wrong place.
func nameOnly(name []byte) bool {
	digits := 0
	for _, c := range name {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case (c|0x20) >= 'a' && (c|0x20) <= 'z', c == '_', c == '-':
		default:
			return false
		}
	}
	return digits <= 8
}

func digitsOnly(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// readForm takes application/x-www-form-urlencoded and decodes it in place.
func (p *params) readForm(form []byte) *refusal {
	for len(form) > 0 {
		pair, rest, _ := bytes.Cut(form, []byte("&"))
		form = rest
		if len(pair) == 0 {
			continue
		}
		name, value, _ := bytes.Cut(pair, []byte("="))
		name, good := unescape(name)
		value, fine := unescape(value)
		if !good || !fine {
			return unreadable("An escape of the form cannot be read.")
		}
		if no := p.add(name, value); no != nil {
			return no
		}
	}
	return nil
}

// unescape decodes + and %XX in place.
func unescape(b []byte) ([]byte, bool) {
	n := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%':
			if i+2 >= len(b) {
				return nil, false
			}
			high, low := unhex(b[i+1]), unhex(b[i+2])
			if high > 15 || low > 15 {
				return nil, false
			}
			c = high<<4 | low
			i += 2
		}
		b[n] = c
		n++
	}
	return b[:n], true
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case (c|0x20) >= 'a' && (c|0x20) <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}

// holders are the JSON objects whose members are parameters of the request.
var holders = map[string]bool{"merchant": true, "customer": true, "card": true}

// readJSON takes an object of parameters. Numbers keep the text they came with,
// so that no amount passes through a binary fraction.
func (p *params) readJSON(body []byte) *refusal {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body)) // reads a buffer in place
	if dec.PeekKind() != '{' {
		return unreadable("The body is not a JSON object.")
	}
	if no := p.readObject(dec, true); no != nil {
		return no
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return unreadable("Something follows the JSON object.")
	}
	return nil
}

func (p *params) readObject(dec *jsontext.Decoder, outer bool) *refusal {
	broken := unreadable("The JSON cannot be read.")
	if _, err := dec.ReadToken(); err != nil {
		return broken
	}
	for dec.PeekKind() != '}' {
		raw, err := dec.ReadValue()
		if err != nil {
			return broken
		}
		name, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return broken
		}
		if outer && dec.PeekKind() == '{' && holders[strings.ToLower(string(name))] {
			if no := p.readObject(dec, false); no != nil {
				return no
			}
			continue
		}
		value, no := readScalar(dec)
		if no == nil {
			no = p.add(name, value)
		}
		if no != nil {
			return no
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return broken
	}
	return nil
}

// readScalar is a member's value as text. A list or an object counts as a value
// that is there, whatever it holds; null counts as none.
func readScalar(dec *jsontext.Decoder) ([]byte, *refusal) {
	kind := dec.PeekKind()
	raw, err := dec.ReadValue()
	switch {
	case err != nil || dec.StackDepth() > maxNested:
		return nil, unreadable("The JSON cannot be read.")
	case kind == 'n':
		return nil, nil
	case kind == '[' || kind == '{':
		return []byte("..."), nil
	case kind != '"':
		return bytes.Clone(raw), nil
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return nil, unreadable("The JSON cannot be read.")
	}
	return text, nil
}

// readSOAP takes an envelope whose body holds one element with the parameters as
// its children. Namespaces are not looked at; nothing is expanded or fetched. What
// the library's decoder holds of the text is left to the collector.
func (p *params) readSOAP(body []byte) *refusal {
	broken := unreadable("The body is not a SOAP envelope of parameters.")
	dec := xml.NewDecoder(bytes.NewReader(body))
	var path []string
	var text []byte
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if len(path) > 0 || len(p.list) == 0 {
				return broken
			}
			return nil
		}
		if err != nil {
			return broken
		}
		switch t := token.(type) {
		case xml.StartElement:
			if path = append(path, t.Name.Local); len(path) > maxNested || len(path) == 1 && path[0] != "Envelope" {
				return broken
			}
			text = nil
		case xml.CharData:
			text = append(text, t...)
		case xml.EndElement:
			if len(path) == 4 && path[1] == "Body" {
				if no := p.add([]byte(t.Name.Local), bytes.TrimSpace(text)); no != nil {
					return no
				}
			}
			path, text = path[:len(path)-1], nil
		case xml.Directive:
			return broken
		}
	}
}
