package iso

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tranzit/tranzit/iso/security"
)

// macSizes are the bytes of a whole code.
var macSizes = map[security.Algorithm]int{security.X99: 8, security.X919: 8, security.CMACTDES: 8, security.CMACAES: 16, security.HMACSHA256: 32}

// security reads the block of codes and keys, which a dialect may leave out. Its
// part pin is read before the messages.
func (l *loader) security(s *section) {
	if s == nil {
		return
	}
	if mac := s.optional("mac"); mac != nil {
		l.macBlock(mac)
	}
	if x := s.optional("key_exchange"); x != nil {
		l.exchangeBlock(x)
	}
	s.done()
}

func (l *loader) macBlock(s *section) {
	r := &macRules{}
	var words []string
	for a := security.X99; a <= security.HMACSHA256; a++ {
		words = append(words, a.String())
	}
	r.mac.Algorithm = security.Algorithm(s.oneOf("algorithm", words) + 1)
	switch pads := r.mac.Algorithm == security.X99 || r.mac.Algorithm == security.X919; {
	case pads:
		r.mac.Padding = security.Padding(max(0, s.oneOf("padding", []string{"zeros", "bit"})))
	case s.has("padding") && r.mac.Algorithm != 0:
		l.fail(s.lineOf("padding"), "%s: %s pads by its own rule; remove padding", s.path, r.mac.Algorithm)
	}
	r.field = []int{0, 0, 64, 128, 192}[s.oneOf("field", []string{"last", "64", "128", "192"})+1]
	if r.field > l.last {
		l.fail(s.lineOf("field"), "%s: the dialect has no field %d; write field: last, or more encoding.bitmaps", s.at("field"), r.field)
		r.field = 0
	}
	size := macSizes[r.mac.Algorithm]
	r.kept = s.number("bytes", 4, max(size, 4))
	covers := s.sub("covers")
	r.length, r.header, r.mti = covers.flag("length"), covers.flag("header"), covers.flag("mti")
	covers.done()
	keys := s.sub("keys")
	for f, word := range []string{"send", "receive"} {
		r.slots[f] = keys.slot(word)
		for _, item := range l.list(s.need(word, `["0200"]`), s.pathOf(word)) {
			m, err := ParseMTI(item.Value)
			if err != nil || m != m.Normal() {
				l.fail(item.Line, "%s: %q must be a message type of four digits that is no repeat, in quotes like \"0200\"; its repeat counts as the same", s.pathOf(word), item.Value)
			}
			r.types[f] = append(r.types[f], m)
		}
	}
	keys.done()
	r.drop = s.oneOf("failure", []string{"refute", "drop"}) == 1
	if s.has("answer") {
		r.answer = s.text("answer", `"63"`, 4)
	}
	s.done()
	l.macFields(s, r)
	l.d.mac = r
}

// slot reads the name of a key.
func (s *section) slot(key string) string {
	name := s.text(key, "mac", 40)
	if strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' }) {
		s.r.fail(s.lineOf(key), "%s may hold a-z, 0-9, - and _", s.at(key))
	}
	return name
}

// macFields holds the fields of the code to what it needs: bytes of a fixed
// length that have room for it, and nothing else in them.
func (l *loader) macFields(s *section, r *macRules) {
	var own []int // that the code may be in
	for _, f := range macFields {
		if f > l.last || r.field != 0 && r.field != f {
			continue
		}
		own = append(own, f)
		row := &l.d.codec.fields[f]
		if row.class != classB || row.prefix != prefixNone || int(row.max) < r.kept {
			l.fail(max(l.fieldLine[f], s.line), "encoding.fields.%d carries the authentication code; write {class: b, len: 8, content: binary} or content hex, with a len of %d at least", f, r.kept)
		}
	}
	if l.d.frame.kind == frameTerminated && slices.ContainsFunc(own, func(f int) bool { return l.d.codec.fields[f].form == formBinary }) {
		s.fail("%s: a code may hold the byte that ends a frame; write content: hex for its fields, %v", s.path, own)
	}
	check := func(where string, steps []step, flow Flow, mti MTI) {
		for _, st := range steps {
			switch {
			case !r.covers(mti, flow):
			case slices.Contains(own, st.field):
				s.fail("%s sets field %d, which security.mac fills; remove the field there", where, st.field)
			case r.field != 0 && st.field > r.field:
				s.fail("%s has field %d behind the code in field %d; write field: last or another field", where, st.field, r.field)
			}
		}
	}
	for op := range l.d.requests {
		p := &l.d.requests[op]
		check("messages."+Operation(op).String(), p.steps, ToBank, p.mti)
	}
	for i := range l.d.answers {
		a := &l.d.answers[i]
		check(fmt.Sprintf("answers.%s", a.mti), a.program.steps, FromBank, a.mti)
	}
}
