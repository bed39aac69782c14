package iso

import (
	"fmt"
	"strings"
)

func (l *loader) encoding(s *section) {
	l.d.codec.mti = mtiForm(max(0, s.oneOf("mti", []string{"ascii", "bcd", "ebcdic"})))
	l.d.codec.bitmap = mapForm(max(0, s.oneOf("bitmap", bitmapForms)))
	l.bitmaps(s)
	if p := s.optional("private"); p != nil {
		l.d.private = &layout{kind: layoutTags, tag: partNumber{prefixASCII, p.number("tag", 1, 4)}, length: partNumber{prefixASCII, p.number("length", 1, 4)}}
		p.done()
	}
	fallback := l.field(s.sub("fallback"))
	for f := 2; f <= l.last; f++ {
		if f != 65 {
			l.d.codec.fields[f], l.d.names[f] = fallback, standardNames[f]
		}
	}
	fields := s.sub("fields")
	for key, val := range fields.each {
		f, ok := l.dataField(key)
		if !ok {
			l.fail(val.Line, "encoding.fields: %q is not a field; write a number from 2 to %d without 65", key, l.last)
			continue
		}
		l.fieldLine[f] = val.Line
		one := l.section(val, fmt.Sprintf("encoding.fields.%d", f))
		if one.has("name") {
			l.d.names[f] = one.text("name", standardNames[f], 80)
		}
		inner := one.optional("parts")
		row := l.field(one)
		l.d.codec.fields[f] = row
		if lay := l.layout(inner, row.mask, 1); lay != nil {
			l.constructed(f, one, lay)
		}
	}
	l.measure()
	s.done()
}

// bitmaps reads how many there are, two where the file does not say.
func (l *loader) bitmaps(s *section) {
	l.last = 128
	if s.has("bitmaps") {
		l.last = 64 * s.number("bitmaps", 1, 3)
	}
	if s.has("third") {
		l.d.codec.inside = s.oneOf("third", []string{"leading", "field-65"}) == 1
		if l.last != maxDialectField {
			l.fail(s.lineOf("third"), "encoding.third says where a third bitmap stands; write bitmaps: 3, or remove it")
		}
	}
	l.d.codec.last = l.last
}

// measure finds the room that a message takes at most, and the rows that are copied.
func (l *loader) measure() {
	c := &l.d.codec
	c.times, c.room = 1, 16
	for f := range c.fields {
		row := &c.fields[f]
		if row.form == formHex || row.form == formHexLower {
			c.times = 2
		}
		if row.trim {
			c.room += int(row.max)
		}
		row.straight = row.prefix == prefixNone && !row.open && !row.trim && (row.form == formDigits || row.form == formText || row.form == formBinary)
	}
}

// field reads one row of the table.
func (l *loader) field(s *section) fieldCodec { return l.row(s, false) }

// row is field, also for a part whose length may be told outside it.
func (l *loader) row(s *section, outside bool) fieldCodec {
	f := fieldCodec{class: class(s.oneOf("class", classNames) + 1), mask: mask(max(0, s.maskWord()))}
	if content := s.oneOf("content", contents); content >= 0 && f.class != 0 {
		f.form, f.page = formOf(f.class, contents[content]), contentPages[contents[content]]
		if f.form == 0 {
			l.fail(s.lineOf("content"), "%s: class %s has no content %s; write %s", s.path, classNames[f.class-1], contents[content],
				strings.Join(fits(f.class), " or "))
		}
	}
	if s.has("len") {
		f.max = uint32(s.number("len", 1, 999))
		if s.has("var") || s.has("max") {
			s.fail("%s has len, so it is fixed; remove var and max, or len", s.path)
		}
	} else {
		f.max = uint32(s.number("max", 1, maxOpen))
		if f.open = outside && !s.has("var"); !f.open {
			l.prefix(s.sub("var"), &f)
		}
	}
	l.padding(s, &f)
	s.done()
	return f
}

func (s *section) maskWord() int {
	if !s.has("mask") {
		return 0
	}
	return s.oneOf("mask", maskNames)
}

var (
	prefixNames = []string{"ascii", "bcd", "bin", "ebcdic"}
	bitmapForms = []string{"binary", "hex", "ebcdic-hex"}
)

// units are what a prefix may count.
var units = []string{"bytes", "digits", "nibbles"}

// unitsOf are the units of a form, and what each counts.
func unitsOf(f form) map[string]count {
	switch f {
	case formBCD, formSignBCD:
		return map[string]count{"digits": countValue, "bytes": countHalf}
	case formNibble:
		return map[string]count{"nibbles": countValue, "bytes": countHalf}
	case formHex, formHexLower:
		return map[string]count{"bytes": countValue, "digits": countTwice}
	case formBinary:
		return map[string]count{"bytes": countValue, "nibbles": countTwice}
	}
	return map[string]count{"bytes": countValue}
}

func (l *loader) prefix(s *section, f *fieldCodec) {
	if s == nil {
		return
	}
	f.prefix = prefixForm(s.oneOf("enc", prefixNames) + 1)
	width := s.number("width", 1, 6)
	room := pow10[width] - 1
	f.width = uint8(width)
	switch f.prefix {
	case prefixBCD:
		f.width = uint8((width + 1) / 2)
	case prefixBinary:
		room = 1<<(8*min(width, 3)) - 1
	}
	if unit := s.oneOf("unit", units); unit >= 0 && f.form != 0 {
		known := unitsOf(f.form)
		counts, ok := known[units[unit]]
		if f.count = counts; f.form == formSignBCD && counts != countValue {
			ok = false
		}
		if !ok {
			l.fail(s.lineOf("unit"), "%s.unit: %s", s.path, unitHint(f.form))
		}
	}
	if n := f.counted(int(f.max)); f.prefix != 0 && n > room {
		l.fail(s.line, "%s can say %d at most but max is %d; write a wider prefix or max: %d", s.path, room, n, room*int(f.max)/n)
	}
	s.done()
}

// unitHint says what to write.
func unitHint(f form) string {
	switch f {
	case formBCD:
		return "packed digits are counted in digits, or in bytes when odd.fill is F; write unit must be digits or bytes"
	case formSignBCD:
		return "sign and digits are counted one by one; write digits"
	case formNibble:
		return "write nibbles, or bytes when odd.fill is F"
	case formHex, formHexLower:
		return "write bytes for the bytes of the value, or digits for the hex digits"
	case formBinary:
		return "write bytes, or nibbles for two of every byte"
	}
	return "text is counted in bytes; unit must be digits for content bcd, nibbles for nibble and bytes for all else"
}

// padding reads odd, which packed digits need, and pad and trim, which a fixed text may have.
func (l *loader) padding(s *section, f *fieldCodec) {
	packed := f.form == formBCD || f.form == formNibble
	odd := packed && (f.prefix != prefixNone || f.open || f.max%2 == 1) || f.form == formSignBCD && f.prefix != prefixNone
	switch {
	case odd:
		o := s.sub("odd")
		f.oddRight = o.oneOf("side", []string{"left", "right"}) == 1
		f.fill = []byte{0, 15}[max(0, o.oneOf("fill", []string{"0", "F"}))]
		if (f.count == countHalf || f.open) && f.fill != 15 {
			l.fail(o.lineOf("fill"), "%s: the prefix counts bytes, so only a filler of F tells an odd number of digits; write fill: \"F\"", s.path)
		}
		o.done()
	case s.has("odd"):
		l.fail(s.lineOf("odd"), "%s never has an odd number of packed digits; remove odd", s.path)
	}
	if f.form == formSignBCD && f.prefix == prefixNone && f.max%2 == 0 {
		l.fail(s.line, "%s: the sign and an even number of digits follow each other; write an odd len", s.path)
	}
	f.pad, f.padLeft = ' ', false
	if f.class == classN {
		f.pad, f.padLeft = '0', true
	}
	if p := s.optional("pad"); p != nil {
		f.padLeft = p.oneOf("side", []string{"right", "left"}) == 1
		char := p.text("fill", "one character", 1)
		if f.prefix != prefixNone || f.open || f.class == classB || f.class == classSign || !f.class.allows([]byte(char)) {
			l.fail(p.line, "%s is for fixed fields of class n, an, ans and z, with a fill their class allows", p.path)
		} else if char != "" {
			f.pad = char[0]
		}
		p.done()
	}
	if f.trim = s.optionalFlag("trim"); f.trim && (f.prefix != prefixNone || f.open || f.class != classAN && f.class != classANS) {
		s.fail("%s: trim is for fixed fields of class an and ans; remove it, for a zero may be a digit and a variable field has no padding", s.path)
	}
}
