package iso

import (
	"encoding/binary"
	"slices"
)

// layout is how the value of a constructed field is made of parts. A Message holds
// such a value as one: the layout builds it, and takes it apart for people.
type layout struct {
	kind      layoutKind
	tag       partNumber // of listed parts
	length    partNumber
	lengthTag bool // the length comes before the tag and counts it
	unknown   unknownPart
	bytes     int // of the bitmap
	bitmap    mapForm
	equals    byte // of pairs
	separator byte
	mask      mask   // of the whole
	depth     int    // 1: the field's own
	parts     []part // in their order when positional; by their bits in a bitmap
}

type layoutKind uint8

const (
	layoutPositional layoutKind = iota
	layoutTags                  // tag, length, value
	layoutBER
	layoutPairs  // key=value with separators
	layoutSized  // key and value, each behind a length that has a length
	layoutBitmap // a bitmap and the parts whose bits are set
)

var layoutNames = []string{"positional", "tags", "ber", "pairs", "sized", "bitmap"}

// unknownPart is what a part means that the layout does not name.
type unknownPart uint8

const (
	unknownKeep  unknownPart = iota // shown as the field's mask allows
	unknownSkip                     // not shown
	unknownError                    // the message is not read
)

// partNumber is a tag or a length inside a field.
type partNumber struct {
	enc   prefixForm
	width int // digits; bytes when binary
}

// part is one part of a layout. row is how its value lies on the wire.
type part struct {
	key    string // tag, name, or number of the bit
	name   string
	number int
	row    fieldCodec
	layout *layout
}

// partStep gives one part its value.
type partStep struct {
	part     *part
	source   source
	constant string
	layout   *layout
	parts    []partStep
}

// maxDepth bounds how deep parts lie in parts.
const maxDepth = 4

func (lay *layout) find(key []byte) *part {
	for i := range lay.parts {
		if lay.parts[i].key == string(key) {
			return &lay.parts[i]
		}
	}
	return nil
}

// bytesOf is how many bytes the number takes.
func (n partNumber) bytesOf() int {
	if n.enc == prefixBCD {
		return (n.width + 1) / 2
	}
	return n.width
}

// codec is the number as a length prefix.
func (n partNumber) codec() fieldCodec {
	return fieldCodec{prefix: n.enc, width: uint8(n.bytesOf())}
}

// room is the largest number.
func (n partNumber) room() int {
	if n.enc == prefixBinary {
		return 1<<(8*min(n.width, 3)) - 1
	}
	return pow10[n.width] - 1
}

// appendTag appends a tag in its wire form.
func (n partNumber) appendTag(dst []byte, key string) []byte {
	switch n.enc {
	case prefixEBCDIC:
		for i := range len(key) {
			dst = append(dst, pageEBCDIC037.wire[key[i]])
		}
		return dst
	case prefixBCD:
		if len(key)%2 == 1 {
			dst, key = append(dst, key[0]&15), key[1:]
		}
		for ; len(key) > 0; key = key[2:] {
			dst = append(dst, key[0]<<4|key[1]&15)
		}
		return dst
	case prefixBinary:
		return appendUnhex(dst, key)
	}
	return append(dst, key...)
}

func appendUnhex(dst []byte, key string) []byte {
	for ; len(key) > 1; key = key[2:] {
		dst = append(dst, fromHex[key[0]]<<4|fromHex[key[1]])
	}
	return dst
}

// readTag returns the key of a tag; buf is room for it.
func (n partNumber) readTag(buf *[16]byte, b []byte) []byte {
	switch n.enc {
	case prefixEBCDIC:
		for i, c := range b {
			buf[i] = pageEBCDIC037.held[c]
		}
		return buf[:len(b)]
	case prefixBCD:
		out := hexOf(buf, b)
		return out[len(out)-n.width:]
	case prefixBinary:
		return hexOf(buf, b)
	}
	return b
}

func hexOf(buf *[16]byte, b []byte) []byte {
	for i, c := range b {
		binary.BigEndian.PutUint16(buf[2*i:], hexPairs[c])
	}
	return buf[:2*len(b)]
}

// appendParts appends a constructed value; nothing when no part has one.
func (d *Dialect) appendParts(dst []byte, lay *layout, steps []partStep, in inputs) ([]byte, rule) {
	start, any := len(dst), false
	// Positions are there for what is put between the constants, unless all are.
	constant := !slices.ContainsFunc(steps, func(s partStep) bool { return s.source != srcConst && s.source != 0 })
	if lay.kind == layoutBitmap {
		dst = append(dst, make([]byte, lay.mapBytes())...)
	}
	var word [3]uint64
	for i := range steps {
		s := &steps[i]
		before := len(dst)
		var broken rule
		var there bool
		if dst, there, broken = d.appendPart(dst, lay, s, in); broken != ruleNone {
			return dst, broken
		}
		if there {
			any = any || lay.kind != layoutPositional || s.source != srcConst || constant
			n := s.part.number - 1
			word[max(n, 0)>>6] |= 1 << (63 - uint(max(n, 0))&63)
		} else if lay.kind != layoutPositional {
			dst = dst[:before]
		}
	}
	if !any {
		return dst[:start], ruleNone
	}
	if lay.kind == layoutBitmap {
		lay.putMap(dst[start:], word)
	}
	return dst, ruleNone
}

// appendPart appends what stands before a value, and the value.
func (d *Dialect) appendPart(dst []byte, lay *layout, s *partStep, in inputs) (out []byte, there bool, broken rule) {
	head := len(dst)
	switch lay.kind {
	case layoutTags:
		if !lay.lengthTag {
			dst = lay.tag.appendTag(dst, s.part.key)
		}
		for range lay.length.bytesOf() {
			dst = append(dst, 0)
		}
		if lay.lengthTag {
			dst = lay.tag.appendTag(dst, s.part.key)
		}
	case layoutBER:
		dst = append(appendUnhex(dst, s.part.key), 0)
	case layoutPairs:
		dst = append(append(dst, s.part.key...), lay.equals)
	case layoutSized:
		dst = appendSized(dst, len(s.part.key))
		dst = append(dst, s.part.key...)
	}
	start := len(dst)
	if dst, broken = d.appendValue(dst, s, in); broken != ruleNone {
		return dst, false, broken
	}
	value := dst[start:]
	if there = len(value) > 0; !there && lay.kind != layoutPositional {
		return dst[:head], false, ruleNone
	}
	if row := &s.part.row; !there && row.class == classB && row.prefix == prefixNone {
		dst = append(dst, make([]byte, row.max)...)
	}
	if dst, broken = s.part.row.lay(dst, start, s.source); broken != ruleNone {
		return dst, false, broken
	}
	n := len(dst) - start
	switch lay.kind {
	case layoutTags:
		at := head
		if lay.lengthTag {
			n += lay.tag.bytesOf()
		} else {
			at += lay.tag.bytesOf()
		}
		if n > lay.length.room() {
			return dst, false, ruleLength
		}
		row := lay.length.codec()
		row.putPrefix(dst[at:], n)
	case layoutBER:
		return appendBERLength(dst, start)
	case layoutPairs:
		if slices.Contains(dst[start:], lay.separator) {
			return dst, false, ruleClass
		}
		dst = append(dst, lay.separator)
	case layoutSized:
		var buf [8]byte
		size := appendSized(buf[:0], n)
		dst = append(dst, size...)
		copy(dst[start+len(size):], dst[start:start+n])
		copy(dst[start:], size)
	}
	return dst, there, ruleNone
}

// appendSized is a length behind the number of its digits.
func appendSized(dst []byte, n int) []byte {
	digits := 1
	for n >= pow10[digits] {
		digits++
	}
	return appendDigits(append(dst, byte('0'+digits)), uint64(n), digits)
}

// appendBERLength gives the value that begins at start, behind one byte for a short
// length, the length it has.
func appendBERLength(dst []byte, start int) ([]byte, bool, rule) {
	n := len(dst) - start
	more := 0
	switch {
	case n < 0x80:
		dst[start-1] = byte(n)
		return dst, true, ruleNone
	case n < 0x100:
		more = 1
	case n < 0x10000:
		more = 2
	default:
		return dst, false, ruleLength
	}
	dst = append(dst, make([]byte, more)...)
	copy(dst[start+more:], dst[start:start+n])
	dst[start-1] = byte(0x80 + more)
	for i := range more {
		dst[start+i] = byte(n >> (8 * (more - 1 - i)))
	}
	return dst, true, ruleNone
}

// appendValue appends what a part says, not yet in its wire form.
func (d *Dialect) appendValue(dst []byte, s *partStep, in inputs) ([]byte, rule) {
	in.page = s.part.row.page
	switch {
	case s.parts != nil:
		return d.appendParts(dst, s.layout, s.parts, in)
	case s.source == srcConst:
		return append(dst, s.constant...), ruleNone
	case s.source == 0, s.source >= srcRare && in.v.Carried == nil && in.v.Secrets == nil:
		return dst, ruleNone
	}
	return d.appendSource(dst, s.source, in)
}

// lay turns the value from start on into its wire form, in place.
func (f *fieldCodec) lay(dst []byte, start int, src source) ([]byte, rule) {
	dst, broken := f.fit(dst, start, src)
	if broken != ruleNone {
		return dst, broken
	}
	n := len(dst) - start
	if f.open && f.page == nil && (f.form == formText || f.form == formBinary) {
		return dst, ruleNone
	}
	row := *f
	if f.open {
		row.max = uint32(n)
	}
	room := 2*n + int(row.max) + prefixRoom
	dst = slices.Grow(dst, room)
	out := dst[start+n : start+n+room]
	used, broken := row.encode(out, dst[start:start+n])
	if broken != ruleNone {
		return dst, broken
	}
	copy(dst[start:start+used], out[:used])
	return dst[:start+used], ruleNone
}

func (lay *layout) mapBytes() int {
	if lay.bitmap == mapBinary {
		return lay.bytes
	}
	return 2 * lay.bytes
}

func (lay *layout) putMap(out []byte, word [3]uint64) {
	for i := range lay.bytes {
		c := byte(word[i/8] >> (56 - 8*(i%8)))
		if lay.bitmap == mapBinary {
			out[i] = c
			continue
		}
		binary.BigEndian.PutUint16(out[2*i:], hexPairs[c])
		if lay.bitmap == mapHexEBCDIC {
			out[2*i], out[2*i+1] = pageEBCDIC037.wire[out[2*i]], pageEBCDIC037.wire[out[2*i+1]]
		}
	}
}
