package iso

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// maxDialectField is the highest field a dialect may define: three bitmaps.
const maxDialectField = 192

// form is how a field's content lies on the wire.
type form uint8

const (
	formText     form = iota + 1 // characters, one byte each
	formDigits                   // ASCII digits
	formBCD                      // two digits a byte
	formBinary                   // raw bytes
	formHex                      // raw bytes, written as two capital hex digits each
	formSign                     // C or D, then ASCII digits
	formSignBCD                  // C or D, then digits two a byte
	formHexLower                 // raw bytes, written as two small hex digits each
	formEBCDIC                   // characters of the field's page
	formDigitsEBCDIC
	formSignEBCDIC
	formNibble // track data two a byte: a nibble is the low half of its ASCII character, so = is D
)

type prefixForm uint8

const (
	prefixNone prefixForm = iota // fixed length
	prefixASCII
	prefixBCD
	prefixBinary
	prefixEBCDIC
)

// count is what a length prefix counts.
type count uint8

const (
	countValue count = iota // what a Message holds: characters, digits or bytes
	countHalf               // the bytes of packed digits; a filler of F marks an odd number
	countTwice              // the hex digits, or nibbles, of bytes
)

// mtiForm is how a message type lies on the wire.
type mtiForm uint8

const (
	mtiASCII mtiForm = iota
	mtiBCD
	mtiEBCDIC
)

// mapForm is how a bitmap lies on the wire.
type mapForm uint8

const (
	mapBinary mapForm = iota
	mapHex
	mapHexEBCDIC
)

// fieldCodec is one row of the compiled table. max is the exact length of a
// fixed field, and counts what a Message holds: characters, digits, or bytes.
type fieldCodec struct {
	form     form
	prefix   prefixForm
	count    count
	width    uint8 // bytes of the prefix on the wire
	oddRight bool  // an odd digit count is filled after the last digit
	fill     byte  // the filling nibble
	max      uint32
	class    class
	mask     mask
	padLeft  bool
	pad      byte
	trim     bool  // a Message holds a fixed text without its padding
	page     *page // of text that is not ASCII
	open     bool  // of a part: its length is told outside it; max bounds it
	straight bool  // fixed and not trimmed, of digits or bytes that lie on the wire as a Message holds them
}

// codec is the compiled table of a dialect.
type codec struct {
	mti    mtiForm
	bitmap mapForm
	last   int  // the highest field: 64, 128 or 192, by the number of bitmaps
	inside bool // the third bitmap is field 65, not before all fields
	// times and room bound what a message takes on the wire: times its values, and
	// room for padding.
	times, room int
	// strict are the constructed fields that must be of their layout.
	strict []int
	parts  map[int]*layout
	fields [maxDialectField + 1]fieldCodec
}

// AppendBody appends type, bitmap and fields. Values must have exactly the
// length of a fixed field: Build pads, AppendBody does not. On error dst comes
// back as it was, with a *FieldError.
func (d *Dialect) AppendBody(dst []byte, m *Message) ([]byte, error) {
	start := len(dst)
	switch d.codec.mti {
	case mtiBCD:
		dst = append(dst, byte(m.MTI>>8), byte(m.MTI))
	case mtiEBCDIC:
		dst = append(dst, byte(0xF0|m.MTI>>12), byte(0xF0|m.MTI>>8&15), byte(0xF0|m.MTI>>4&15), byte(0xF0|m.MTI&15))
	default:
		dst = m.MTI.appendDigits(dst)
	}
	if m.MTI == 0 || !m.MTI.decimal() {
		return dst[:start], &FieldError{0, "the message has no type"}
	}
	set := m.set
	if !d.codec.carries(&set) {
		return dst[:start], &FieldError{65, "the dialect has no bitmap for a field of the message"}
	}
	dst = d.codec.appendMaps(dst, &set)
	at := len(dst)
	room := len(m.arena)*d.codec.times + d.codec.room + prefixRoom*(bits.OnesCount64(set[0])+bits.OnesCount64(set[1])+bits.OnesCount64(set[2]))
	dst = slices.Grow(dst, room)
	out, spans := dst[:at+room], m.spans
	for w, word := range set {
		if w == 1 && d.codec.inside && set[2] != 0 {
			at = len(d.codec.appendBitmap(out[:at], set[2]))
		}
		for word != 0 {
			lead := bits.LeadingZeros64(word)
			word &^= 1 << (63 - uint(lead)&63)
			field := w<<6 + lead + 1
			p := spans[0]
			spans = spans[1:]
			f, value := &d.codec.fields[field], m.arena[p.off:p.off+p.n]
			if f.straight && p.n == f.max && f.carry(out[at:], value) {
				at += len(value)
				continue
			}
			n, rule := f.encode(out[at:], value)
			if rule != ruleNone {
				return dst[:start], &FieldError{field, ruleTexts[rule]}
			}
			at += n
		}
	}
	return dst[:at], nil
}

// Decode reads one body, as AppendBody writes it, into m. Everything is
// checked against the dialect: a length past the end, a wrong digit, bytes left
// over. A text field may hold any byte, so that a bank's free text cannot cost
// an answer. The error is a *DecodeError; m is then of no use.
func (d *Dialect) Decode(body []byte, m *Message) error {
	m.Reset()
	m.grow(2 * len(body))
	b, mti, kind := d.codec.readMTI(body)
	if kind != 0 {
		return &DecodeError{0, kind}
	}
	b, set, third, ok := d.codec.readMaps(b)
	if !ok {
		return &DecodeError{1, KindBitmap}
	}
	arena, at, spans := m.arena[:cap(m.arena)], 0, m.spans
	for w := range set {
		if w == 1 && third {
			if b, set[2], ok = d.codec.readBitmap(b); !ok {
				return &DecodeError{65, KindBitmap}
			}
		}
		for word := set[w]; word != 0; {
			lead := bits.LeadingZeros64(word)
			word &^= 1 << (63 - uint(lead)&63)
			field := w<<6 + lead + 1
			f := &d.codec.fields[field]
			if n := int(f.max); f.straight && n <= len(b) && f.carry(arena[at:], b[:n]) {
				spans = append(spans, span{off: uint32(at), n: uint32(n)})
				at, b = at+n, b[n:]
				continue
			}
			n, used, kind := f.decode(arena[at:], b)
			if kind != 0 {
				return &DecodeError{field, kind}
			}
			spans = append(spans, span{off: uint32(at), n: uint32(n)})
			at, b = at+n, b[used:]
		}
	}
	m.spans, m.arena = spans, arena[:at]
	if len(b) != 0 {
		return &DecodeError{1, KindTrailing}
	}
	m.MTI, m.set = mti, set
	for _, field := range d.codec.strict {
		if m.Has(field) && !d.codec.parts[field].wellFormed(m.Get(field)) {
			return &DecodeError{field, KindParts}
		}
	}
	return nil
}

func (m MTI) decimal() bool {
	return m.Version() <= 9 && m.Class() <= 9 && m.Function() <= 9 && m.Origin() <= 9
}

func (c *codec) readMTI(b []byte) (rest []byte, mti MTI, kind Kind) {
	if c.mti == mtiBCD {
		if len(b) < 2 {
			return nil, 0, KindTruncated
		}
		mti, rest = MTI(binary.BigEndian.Uint16(b)), b[2:]
	} else {
		if len(b) < 4 {
			return nil, 0, KindTruncated
		}
		zero := byte('0')
		if c.mti == mtiEBCDIC {
			zero = 0xF0
		}
		for _, ch := range b[:4] {
			if ch -= zero; ch > 9 {
				return nil, 0, KindMTI
			}
			mti = mti<<4 | MTI(ch)
		}
		rest = b[4:]
	}
	if mti == 0 || !mti.decimal() {
		return nil, 0, KindMTI
	}
	return rest, mti, 0
}

// carries reports whether the dialect has all fields of a message.
func (c *codec) carries(set *[3]uint64) bool {
	return set[0]>>63 == 0 && set[1]>>63 == 0 && (c.last > 128 || set[2] == 0) && (c.last > 64 || set[1] == 0)
}

// appendMaps appends the bitmaps that stand before all fields.
func (c *codec) appendMaps(dst []byte, set *[3]uint64) []byte {
	switch {
	case set[2] != 0:
		dst = c.appendBitmap(c.appendBitmap(dst, set[0]|1<<63), set[1]|1<<63)
		if !c.inside {
			dst = c.appendBitmap(dst, set[2])
		}
		return dst
	case set[1] != 0:
		return c.appendBitmap(c.appendBitmap(dst, set[0]|1<<63), set[1])
	}
	return c.appendBitmap(dst, set[0])
}

// readMaps reads the bitmaps that stand before all fields. third says that one more
// follows as field 65.
func (c *codec) readMaps(b []byte) (rest []byte, set [3]uint64, third, ok bool) {
	if b, set[0], ok = c.readBitmap(b); !ok || set[0]>>63 == 0 {
		return b, set, false, ok
	}
	set[0] &^= 1 << 63
	if c.last == 64 {
		return b, set, false, false
	}
	if b, set[1], ok = c.readBitmap(b); !ok || set[1]>>63 == 0 {
		return b, set, false, ok
	}
	set[1] &^= 1 << 63
	if c.inside || c.last < maxDialectField {
		return b, set, c.inside, c.inside
	}
	b, set[2], ok = c.readBitmap(b)
	return b, set, false, ok
}

func (c *codec) appendBitmap(dst []byte, word uint64) []byte {
	if c.bitmap == mapBinary {
		return binary.BigEndian.AppendUint64(dst, word)
	}
	start := len(dst)
	for shift := 56; shift >= 0; shift -= 8 {
		pair := hexPairs[byte(word>>uint(shift))]
		dst = append(dst, byte(pair>>8), byte(pair))
	}
	if c.bitmap == mapHexEBCDIC {
		for i, ch := range dst[start:] {
			dst[start+i] = pageEBCDIC037.wire[ch]
		}
	}
	return dst
}

func (c *codec) readBitmap(b []byte) (rest []byte, word uint64, ok bool) {
	if c.bitmap == mapBinary {
		if len(b) < 8 {
			return nil, 0, false
		}
		return b[8:], binary.BigEndian.Uint64(b), true
	}
	if len(b) < 16 {
		return nil, 0, false
	}
	bad := byte(0)
	for _, ch := range b[:16] {
		if c.bitmap == mapHexEBCDIC {
			ch = pageEBCDIC037.held[ch]
		}
		v := fromHex[ch]
		bad |= v
		word = word<<4 | uint64(v&15)
	}
	return b[16:], word, bad <= 15
}
