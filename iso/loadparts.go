package iso

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// maxOpen bounds a part whose length is told outside it.
const maxOpen = 65535

// layout reads how a value is made of parts. m is the mask of the whole.
func (l *loader) layout(s *section, m mask, depth int) *layout {
	if s == nil {
		return nil
	}
	if depth > maxDepth {
		s.fail("%s: parts lie at most %d deep; make this one a part without parts", s.path, maxDepth)
		return nil
	}
	lay := &layout{kind: layoutKind(max(0, s.oneOf("kind", layoutNames))), mask: m, depth: depth}
	switch lay.kind {
	case layoutTags:
		lay.tag, lay.length = l.partNumber(s.sub("tag")), l.partNumber(s.sub("length"))
		if s.has("order") {
			lay.lengthTag = s.oneOf("order", []string{"tag-length", "length-tag"}) == 1
		}
	case layoutPairs:
		lay.equals, lay.separator = l.oneByte(s, "equals"), l.oneByte(s, "separator")
	case layoutBitmap:
		lay.bytes = s.number("bytes", 1, 24)
		lay.bitmap = mapForm(max(0, s.oneOf("bitmap", bitmapForms)))
	}
	if lay.kind != layoutPositional && lay.kind != layoutBitmap && s.has("unknown") {
		lay.unknown = unknownPart(max(0, s.oneOf("unknown", []string{"keep", "skip", "error"})))
	}
	if list := s.need("list", "{...}"); list != nil {
		for key, val := range l.section(list, s.at("list")).each {
			if one := l.section(val, s.at("list")+"."+key); one != nil {
				lay.parts = append(lay.parts, l.part(one, lay, key))
			}
		}
	}
	if lay.kind == layoutBitmap {
		slices.SortFunc(lay.parts, func(a, b part) int { return a.number - b.number })
	}
	s.done()
	return lay
}

func (l *loader) partNumber(s *section) partNumber {
	n := partNumber{enc: prefixForm(max(0, s.oneOf("enc", prefixNames)) + 1), width: s.number("width", 1, 6)}
	s.done()
	return n
}

func (l *loader) oneByte(s *section, key string) byte {
	text := s.text(key, `"="`, 1)
	if text == "" {
		return 0
	}
	return text[0]
}

// part reads one entry of a layout's list.
func (l *loader) part(s *section, lay *layout, key string) part {
	p := part{key: key}
	l.partKey(s, lay, &p)
	if s.has("name") {
		p.name = s.text("name", "what it is", 80)
	}
	inner := s.optional("parts")
	own := s.has("mask")
	if s.has("class") {
		outside := lay.kind != layoutPositional && lay.kind != layoutBitmap
		p.row = l.row(s, outside)
	} else {
		p.row = fieldCodec{class: classANS, form: formText, max: maxOpen, open: true, pad: ' ', mask: mask(max(0, s.maskWord()))}
		if lay.kind == layoutBER {
			p.row.class, p.row.form = classB, formBinary
		}
		if lay.kind == layoutPositional || lay.kind == layoutBitmap {
			s.fail("%s.class is missing; a part of %s says how it is written, like a field", s.path, layoutNames[lay.kind])
		}
		s.done()
	}
	if !own {
		p.row.mask = lay.mask
	}
	if p.row.mask != maskNone && lay.mask == maskNone {
		s.fail("%s is masked, so the whole field must be; write mask: secret for the field", s.path)
	}
	p.layout = l.layout(inner, p.row.mask, lay.depth+1)
	return p
}

// partKey holds a part's key to the layout.
func (l *loader) partKey(s *section, lay *layout, p *part) {
	number, err := strconv.Atoi(p.key)
	raw, notHex := hex.DecodeString(p.key)
	upper := string(hexUpperOf(raw)) == p.key && notHex == nil
	switch lay.kind {
	case layoutBitmap:
		if p.number = number; err != nil || number < 1 || number > 8*lay.bytes || strconv.Itoa(number) != p.key {
			s.fail("%s: write the number of a bit, from 1 to %d", s.path, 8*lay.bytes)
			p.number = 1
		}
	case layoutTags:
		width := lay.tag.width
		if lay.tag.enc == prefixBinary {
			width *= 2
		}
		digits := lay.tag.enc != prefixBCD || digitsOnly([]byte(p.key))
		if len(p.key) != width || !classAN.allows([]byte(p.key)) || lay.tag.enc == prefixBinary && !upper || !digits {
			s.fail("%s: a tag has %d characters here, in quotes: digits under bcd, capital hex digits under bin", s.path, width)
		}
	case layoutBER:
		if !upper || len(raw) == 0 || len(raw) > 4 || !wholeTag(raw) {
			s.fail("%s: write a tag in capital hex digits and in quotes, like \"9F26\"", s.path)
		}
	case layoutPairs:
		if slices.Contains([]byte(p.key), lay.equals) || slices.Contains([]byte(p.key), lay.separator) {
			s.fail("%s: a key holds neither equals nor separator", s.path)
		}
	}
}

// wholeTag reports whether raw is exactly one BER tag.
func wholeTag(raw []byte) bool {
	c := cursor{lay: &layout{kind: layoutBER}, rest: append(slices.Clone(raw), 0)}
	return c.nextBER() && len(c.key) == 2*len(raw)
}

// constructed gives a field its layout.
func (l *loader) constructed(f int, s *section, lay *layout) {
	c := &l.d.codec
	row := &c.fields[f]
	if row.class != classB && row.class != classANS || row.trim || row.prefix == prefixNone && row.class != classB && lay.kind != layoutPositional {
		s.fail("%s has parts, so it is a variable field of class ans, or one of class b", s.path)
	}
	if row.class != classB && lay.binary() {
		s.fail("%s has parts that are no characters of its content; write class: b and content: binary", s.path)
	}
	if c.parts == nil {
		c.parts = map[int]*layout{}
	}
	if c.parts[f] = lay; lay.refuses() {
		c.strict = append(c.strict, f)
	}
}

// binary reports whether a value of the layout may hold bytes that are no characters.
func (lay *layout) binary() bool {
	if lay.kind == layoutBER || lay.kind == layoutBitmap && lay.bitmap != mapHex {
		return true
	}
	if lay.kind == layoutTags && (lay.tag.enc != prefixASCII || lay.length.enc != prefixASCII) {
		return true
	}
	return slices.ContainsFunc(lay.parts, func(p part) bool {
		plain := p.row.form == formText || p.row.form == formDigits || p.row.form == formSign || p.row.form == formHex || p.row.form == formHexLower
		return !plain || p.row.prefix > prefixASCII || p.layout != nil && p.layout.binary()
	})
}

// refuses reports whether a part that is not named makes the message unreadable.
func (lay *layout) refuses() bool {
	return lay.unknown == unknownError || slices.ContainsFunc(lay.parts, func(p part) bool { return p.layout != nil && p.layout.refuses() })
}

// tags reads the parts of a field that has no layout of its own.
func (l *loader) tags(s *section, whole fieldCodec, op Operation) (*layout, []partStep) {
	if l.d.private == nil {
		s.fail("%s: write encoding.private: {tag: 2, length: 3} so that the tags have a form", s.pathOf(""))
		return nil, nil
	}
	lay := *l.d.private
	var keys []string
	for tag, val := range s.each {
		if len(tag) != lay.tag.width || !classAN.allows([]byte(tag)) {
			l.fail(val.Line, "%s: a tag has %d letters or digits here, in quotes", s.path, lay.tag.width)
		}
		row := fieldCodec{class: classANS, form: formText, max: uint32(lay.length.room()), open: true, pad: ' ', mask: whole.mask}
		lay.parts, keys = append(lay.parts, part{key: tag, row: row}), append(keys, tag)
	}
	var out []partStep
	for i, tag := range keys {
		if one := l.section(s.find(tag), s.at(tag)); one != nil {
			out = append(out, partStep{part: &lay.parts[i], source: l.source(one, op)})
			one.done()
		}
	}
	return &lay, out
}

// partSteps reads what the parts of a message's field hold, in the order of the file.
func (l *loader) partSteps(s *section, lay *layout, op Operation) []partStep {
	var out []partStep
	for key, val := range s.each {
		p := lay.find([]byte(key))
		if p == nil {
			l.fail(val.Line, "%s: %q is no part of the field; write one that encoding.fields lists", s.path, key)
			continue
		}
		for _, item := range l.repeated(val, s.at(key), lay) {
			if st := l.partStep(item, p, op); st.source != 0 {
				out = append(out, st)
			}
		}
	}
	if lay.kind == layoutPositional || lay.kind == layoutBitmap {
		slices.SortStableFunc(out, func(a, b partStep) int {
			return slices.IndexFunc(lay.parts, func(p part) bool { return p.key == a.part.key }) -
				slices.IndexFunc(lay.parts, func(p part) bool { return p.key == b.part.key })
		})
	}
	if lay.kind != layoutPositional {
		return out
	}
	whole := make([]partStep, len(lay.parts))
	for i := range lay.parts {
		if whole[i].part = &lay.parts[i]; len(out) > 0 && out[0].part == whole[i].part {
			whole[i], out = out[0], out[1:]
		}
	}
	return whole
}

// repeated is one entry of parts, or the items of one that is a list.
func (l *loader) repeated(val *yaml.Node, path string, lay *layout) (out []*section) {
	if val.Kind != yaml.SequenceNode {
		return append(out, l.section(val, path))
	}
	if lay.kind == layoutPositional || lay.kind == layoutBitmap {
		l.fail(val.Line, "%s: a part of %s is there once; write one, not a list", path, layoutNames[lay.kind])
		return nil
	}
	for i, item := range val.Content {
		out = append(out, l.section(item, fmt.Sprintf("%s[%d]", path, i)))
	}
	return out
}

func (l *loader) partStep(s *section, p *part, op Operation) partStep {
	st := partStep{part: p}
	if s == nil {
		return st
	}
	words := slices.DeleteFunc([]string{"from", "const", "parts"}, func(w string) bool { return !s.has(w) })
	if len(words) != 1 {
		s.fail("%s needs one of from, const or parts; write it like {from: stan} or {const: \"59\"}", s.path)
		return st
	}
	switch words[0] {
	case "from":
		st.source = l.source(s, op)
	case "const":
		st.source = srcConst
		text, ok := p.row.page.exact(s.text("const", `"59"`, 999))
		if st.constant = string(text); p.row.class == classB {
			text, err := hex.DecodeString(s.text("const", `"59"`, 999))
			st.constant, ok = string(text), err == nil
		}
		_, broken := p.row.fit([]byte(st.constant), 0, srcConst)
		if broken == ruleNone && !ok {
			broken = ruleClass
		}
		if broken != ruleNone {
			s.fail("%s: the constant does not fit its part: %s", s.path, ruleTexts[broken])
		}
	case "parts":
		if p.layout == nil {
			s.fail("%s: the part has no parts; write from or const", s.path)
			break
		}
		st.source, st.layout, st.parts = srcParts, p.layout, l.partSteps(s.sub("parts"), p.layout, op)
	}
	s.done()
	return st
}

// checkPart compares what a part gets with what it takes.
func (l *loader) checkPart(s *section, st *step, t *partStep) {
	row, rule := &t.part.row, sourceRules[t.source]
	field := &l.d.codec.fields[st.field]
	switch {
	case t.source == srcConst || t.source == srcParts:
	case t.source == srcPINBlock || t.source == srcPINControl:
		l.checkPIN(s, t.source, row)
	case t.source.bytes() && row.class != classB:
		s.fail("%s: %s needs a part of class b", s.path, rule.name)
	case !t.source.bytes() && (row.class == classB || row.class == classSign):
		s.fail("%s: part %s has class %s, which takes no text; give it class n, an or ans", s.path, t.part.key, classNames[row.class-1])
	case t.source == srcCVC && int(row.max) >= rule.min: // American Express alone has four digits
	case rule.max > int(row.max):
		s.fail("%s: %s has %d characters but part %s takes %d", s.path, rule.name, rule.max, t.part.key, row.max)
	}
	if t.source.secret() && t.source != srcPINBlock && (row.mask != maskSecret && !(t.source == srcTrack2 && row.mask == maskTrack)) {
		s.fail("%s: part %s carries verification data; write mask: secret for it", s.path, t.part.key)
	}
	if t.source == srcPAN && (row.mask == maskNone || field.mask == maskNone) {
		s.fail("%s: part %s carries the card number; write mask: pan for it and mask: secret for the field", s.path, t.part.key)
	}
}
