package iso

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"slices"
)

// cursor takes a constructed value apart. It never allocates and never reads past
// the value.
type cursor struct {
	lay   *layout
	rest  []byte
	index int
	word  [3]uint64
	buf   [16]byte

	// Of the part that next found.
	key  []byte
	part *part  // nil: the layout does not name it
	raw  []byte // the value in its wire form, prefix and all
}

// open begins with a value. False: it has no bitmap.
func (c *cursor) open(lay *layout, value []byte) bool {
	*c = cursor{lay: lay, rest: value}
	if lay.kind != layoutBitmap {
		return true
	}
	if len(value) < lay.mapBytes() {
		return false
	}
	for i := range lay.bytes {
		v := value[i:]
		if lay.bitmap == mapBinary {
			c.word[i/8] |= uint64(v[0]) << (56 - 8*(i%8))
			continue
		}
		hi, lo := value[2*i], value[2*i+1]
		if lay.bitmap == mapHexEBCDIC {
			hi, lo = pageEBCDIC037.held[hi], pageEBCDIC037.held[lo]
		}
		if fromHex[hi]|fromHex[lo] > 15 {
			return false
		}
		c.word[i/8] |= uint64(fromHex[hi]<<4|fromHex[lo]) << (56 - 8*(i%8))
	}
	c.rest = value[lay.mapBytes():]
	return true
}

// next finds the next part. more is false at the end; ok is false when the value is
// not of the layout.
func (c *cursor) next() (more, ok bool) {
	switch c.lay.kind {
	case layoutPositional:
		if c.index == len(c.lay.parts) || len(c.rest) == 0 {
			return false, len(c.rest) == 0
		}
		c.part = &c.lay.parts[c.index]
		c.index++
		return c.takeRow()
	case layoutBitmap:
		for w := range c.word {
			if c.word[w] == 0 {
				continue
			}
			lead := bits.LeadingZeros64(c.word[w])
			c.word[w] &^= 1 << (63 - uint(lead)&63)
			c.key = appendNumber(c.buf[:0], w<<6+lead+1)
			if c.part = c.lay.find(c.key); c.part == nil {
				return false, false
			}
			return c.takeRow()
		}
		return false, len(c.rest) == 0
	}
	if len(c.rest) == 0 {
		return false, true
	}
	switch c.lay.kind {
	case layoutTags:
		ok = c.nextTag()
	case layoutBER:
		ok = c.nextBER()
	case layoutPairs:
		ok = c.nextPair()
	case layoutSized:
		if c.key, ok = c.sized(); ok {
			c.raw, ok = c.sized()
		}
	}
	if !ok {
		return false, false
	}
	c.part = c.lay.find(c.key)
	return true, true
}

func appendNumber(dst []byte, n int) []byte {
	digits := 1
	for n >= pow10[digits] {
		digits++
	}
	return appendDigits(dst, uint64(n), digits)
}

// takeRow takes a part whose row says where it ends.
func (c *cursor) takeRow() (more, ok bool) {
	c.key = []byte(nil)
	if c.part.row.open {
		c.raw, c.rest = c.rest, nil
		return true, true
	}
	_, start, wire, kind := c.part.row.extent(c.rest)
	if kind != 0 || start+wire > len(c.rest) {
		return false, false
	}
	c.raw, c.rest = c.rest[:start+wire], c.rest[start+wire:]
	return true, true
}

func (c *cursor) nextTag() bool {
	tag, size := c.lay.tag.bytesOf(), c.lay.length.bytesOf()
	if len(c.rest) < tag+size {
		return false
	}
	length := c.rest[tag : tag+size]
	if c.lay.lengthTag {
		length = c.rest[:size]
	}
	row := c.lay.length.codec()
	n := row.readPrefix(length)
	key := c.rest[:tag]
	if c.lay.lengthTag {
		key = c.rest[size : size+tag]
		n -= tag
	}
	if n < 0 || n > len(c.rest)-tag-size {
		return false
	}
	c.key = c.lay.tag.readTag(&c.buf, key)
	c.raw, c.rest = c.rest[tag+size:tag+size+n], c.rest[tag+size+n:]
	return true
}

// nextBER reads a tag of up to four bytes and a length of up to two more.
func (c *cursor) nextBER() bool {
	b, tag := c.rest, 1
	if b[0]&0x1F == 0x1F {
		for tag++; tag < 4 && tag <= len(b) && b[tag-1]&0x80 != 0; tag++ {
		}
	}
	if len(b) < tag+1 || tag > 1 && b[tag-1]&0x80 != 0 {
		return false
	}
	n, head := int(b[tag]), tag+1
	if n >= 0x80 {
		more := n - 0x80
		if more < 1 || more > 2 || len(b) < head+more {
			return false
		}
		n = 0
		for _, v := range b[head : head+more] {
			n = n<<8 | int(v)
		}
		head += more
	}
	if n > len(b)-head {
		return false
	}
	c.key = hexOf(&c.buf, b[:tag])
	c.raw, c.rest = b[head:head+n], b[head+n:]
	return true
}

func (c *cursor) nextPair() bool {
	end := slices.Index(c.rest, c.lay.separator)
	whole := c.rest
	if c.rest = nil; end >= 0 {
		whole, c.rest = whole[:end], whole[end+1:]
	}
	at := slices.Index(whole, c.lay.equals)
	if at < 0 {
		return false
	}
	c.key, c.raw = whole[:at], whole[at+1:]
	return true
}

// sized reads a text behind a length that has a length.
func (c *cursor) sized() (text []byte, ok bool) {
	b := c.rest
	if len(b) == 0 || b[0] < '1' || b[0] > '6' || len(b) < 1+int(b[0]-'0') {
		return nil, false
	}
	head, n := 1+int(b[0]-'0'), 0
	for _, ch := range b[1:head] {
		if !isDigit(ch) {
			return nil, false
		}
		n = n*10 + int(ch-'0')
	}
	if n > len(b)-head {
		return nil, false
	}
	text, c.rest = b[head:head+n], b[head+n:]
	return text, true
}

// value is the part's value as a Message would hold it; it aliases the field where
// it can. False: it is not of its row.
func (p *part) value(raw []byte) ([]byte, bool) {
	row := p.row
	if row.open {
		if row.page == nil && (row.form == formText || row.form == formBinary) {
			return raw, true
		}
		n, ok := row.openLength(raw)
		if !ok {
			return nil, false
		}
		row.max = uint32(n)
	}
	out := make([]byte, 2*len(raw)+2)
	n, used, kind := row.decode(out, raw)
	return out[:n], kind == 0 && used == len(raw)
}

// openLength is the length of a value that takes all of raw.
func (f *fieldCodec) openLength(raw []byte) (int, bool) {
	n := len(raw)
	switch f.form {
	case formBCD, formNibble:
		packed := *f
		packed.count, packed.max = countHalf, uint32(2*n)
		n, kind := packed.uncounted(n, raw)
		return n, kind == 0
	case formHex, formHexLower:
		return n / 2, n%2 == 0
	case formSignBCD:
		return 2*n - 1, n > 0
	}
	return n, true
}

// wellFormed reports whether a value is of the layout, and holds no part that the
// layout refuses.
func (lay *layout) wellFormed(value []byte) bool {
	var c cursor
	if !c.open(lay, value) {
		return false
	}
	for {
		more, ok := c.next()
		if !more || !ok {
			return ok
		}
		if c.part == nil && lay.unknown == unknownError {
			return false
		}
		if c.part != nil && c.part.layout != nil && !c.part.layout.wellFormed(c.part.inner(c.raw)) {
			return false
		}
	}
}

// inner is the value of a part that has parts.
func (p *part) inner(raw []byte) []byte {
	value, ok := p.value(raw)
	if !ok {
		return raw
	}
	return value
}

// describe appends the parts of a value for people, each masked by its row. m is the
// mask of the field, for parts that the layout does not name.
func (lay *layout) describe(views []FieldView, of FieldView, value []byte, m mask) []FieldView {
	var c cursor
	if !c.open(lay, value) {
		return views
	}
	for {
		more, ok := c.next()
		if !more || !ok {
			return views
		}
		v := of
		switch {
		case c.part == nil && lay.unknown == unknownSkip:
			continue
		case c.part == nil:
			v.Name += "." + nilPage.text(c.key)
			v.Value = shown(slices.Clone(c.raw), m, nil, lay.kind == layoutBER)
			views = append(views, v)
			continue
		}
		v.Name += "." + c.part.key
		inside := v
		if c.part.name != "" {
			v.Name += " " + c.part.name
		}
		raw, good := c.part.value(c.raw)
		row := &c.part.row
		v.Value = shown(slices.Clone(raw), row.mask, row.page, row.class == classB)
		if !good {
			v.Value = hidden
		}
		views = append(views, v)
		if c.part.layout != nil {
			views = c.part.layout.describe(views, inside, raw, row.mask)
		}
	}
}

var nilPage *page

// shown is a value for people. It changes b.
func shown(b []byte, m mask, p *page, raw bool) string {
	switch m {
	case maskCard:
		maskPAN(b)
	case maskTrack:
		maskTrackData(b)
	case maskSecret, maskPIN:
		clear(b)
		return hidden
	}
	if raw {
		return string(hexUpperOf(b))
	}
	return p.text(b)
}

func hexUpperOf(b []byte) []byte {
	out := make([]byte, hex.EncodedLen(len(b)))
	for i, c := range b {
		binary.BigEndian.PutUint16(out[2*i:], hexPairs[c])
	}
	return out
}

// partOf is the value that a constructed field has from a source, nil when it has none.
func partOf(lay *layout, steps []partStep, src source, field []byte) []byte {
	for i := range steps {
		s := &steps[i]
		if s.source != src && s.parts == nil {
			continue
		}
		var c cursor
		for more, ok := c.open(lay, field), true; more && ok; {
			if more, ok = c.next(); !more || !ok || c.part == nil || c.part.key != s.part.key {
				continue
			}
			value, good := c.part.value(c.raw)
			if !good {
				return nil
			}
			if s.parts == nil {
				return value
			}
			if found := partOf(s.layout, s.parts, src, value); found != nil {
				return found
			}
		}
	}
	return nil
}

// eachSource yields every part of the steps that has a source, in parts of parts, too.
func eachSource(steps []partStep, yield func(*partStep)) {
	for i := range steps {
		if steps[i].source != 0 {
			yield(&steps[i])
		}
		eachSource(steps[i].parts, yield)
	}
}
