package iso

import (
	"encoding/binary"
	"math/bits"
)

// maxDialectField is the highest field a dialect defines: two bitmaps.
const maxDialectField = 128

// form is how a field's content lies on the wire.
type form uint8

const (
	formText    form = iota + 1 // characters, one byte each
	formDigits                  // ASCII digits
	formBCD                     // two digits a byte
	formBinary                  // raw bytes
	formHex                     // raw bytes, written as two capital hex digits each
	formSign                    // C or D, then ASCII digits
	formSignBCD                 // C or D, then digits two a byte
)

type prefixForm uint8

const (
	prefixNone prefixForm = iota // fixed length
	prefixASCII
	prefixBCD
	prefixBinary
)

// fieldCodec is one row of the compiled table. max is the exact length of a
// fixed field, and counts what a Message holds: characters, digits, or bytes.
type fieldCodec struct {
	form     form
	prefix   prefixForm
	width    uint8 // bytes of the prefix on the wire
	oddRight bool  // an odd digit count is filled after the last digit
	fill     byte  // the filling nibble
	max      uint32
	class    class
	mask     mask
	padLeft  bool
	pad      byte
}

// codec is the compiled table of a dialect.
type codec struct {
	bcdMTI bool
	hexMap bool
	fields [maxDialectField + 1]fieldCodec
}

// AppendBody appends type, bitmap and fields. Values must have exactly the
// length of a fixed field: Build pads, AppendBody does not. On error dst comes
// back as it was, with a *FieldError.
func (d *Dialect) AppendBody(dst []byte, m *Message) ([]byte, error) {
	start := len(dst)
	if d.codec.bcdMTI {
		dst = append(dst, byte(m.MTI>>8), byte(m.MTI))
	} else {
		dst = m.MTI.appendDigits(dst)
	}
	if m.MTI == 0 || !m.MTI.decimal() {
		return dst[:start], &FieldError{0, "the message has no type"}
	}
	first, second := m.set[0], m.set[1]
	if first>>63 != 0 || second>>63 != 0 || m.set[2] != 0 {
		return dst[:start], &FieldError{65, "the dialect has fields 2 to 128 without 65"}
	}
	if second != 0 {
		dst = d.codec.appendBitmap(dst, first|1<<63)
		dst = d.codec.appendBitmap(dst, second)
	} else {
		dst = d.codec.appendBitmap(dst, first)
	}
	for w, word := range [2]uint64{first, second} {
		for word != 0 {
			lead := bits.LeadingZeros64(word)
			word &^= 1 << (63 - uint(lead)&63)
			field := w<<6 + lead + 1
			p := m.pos[field]
			value := m.arena[p.off : p.off+p.n]
			var rule string
			if dst, rule = d.codec.fields[field].encode(dst, value); rule != "" {
				return dst[:start], &FieldError{field, rule}
			}
		}
	}
	return dst, nil
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
	b, first, ok := d.codec.readBitmap(b)
	if !ok {
		return &DecodeError{1, KindBitmap}
	}
	var second uint64
	if first>>63 != 0 {
		if b, second, ok = d.codec.readBitmap(b); !ok || second>>63 != 0 {
			return &DecodeError{1, KindBitmap}
		}
		first &^= 1 << 63
	}
	arena := m.arena
	for w, word := range [2]uint64{first, second} {
		for word != 0 {
			lead := bits.LeadingZeros64(word)
			word &^= 1 << (63 - uint(lead)&63)
			field := w<<6 + lead + 1
			start := len(arena)
			arena, b, kind = d.codec.fields[field].decode(arena, b)
			if kind != 0 {
				m.arena = arena
				return &DecodeError{field, kind}
			}
			m.pos[field] = span{off: uint32(start), n: uint32(len(arena) - start)}
		}
	}
	m.arena = arena
	if len(b) != 0 {
		return &DecodeError{1, KindTrailing}
	}
	m.MTI, m.set[0], m.set[1] = mti, first, second
	return nil
}

func (m MTI) decimal() bool {
	return m.Version() <= 9 && m.Class() <= 9 && m.Function() <= 9 && m.Origin() <= 9
}

func (c *codec) readMTI(b []byte) (rest []byte, mti MTI, kind Kind) {
	if c.bcdMTI {
		if len(b) < 2 {
			return nil, 0, KindTruncated
		}
		mti, rest = MTI(binary.BigEndian.Uint16(b)), b[2:]
	} else {
		if len(b) < 4 {
			return nil, 0, KindTruncated
		}
		for _, ch := range b[:4] {
			if !isDigit(ch) {
				return nil, 0, KindMTI
			}
			mti = mti<<4 | MTI(ch-'0')
		}
		rest = b[4:]
	}
	if mti == 0 || !mti.decimal() {
		return nil, 0, KindMTI
	}
	return rest, mti, 0
}

func (c *codec) appendBitmap(dst []byte, word uint64) []byte {
	if !c.hexMap {
		return binary.BigEndian.AppendUint64(dst, word)
	}
	for shift := 56; shift >= 0; shift -= 8 {
		pair := hexPairs[byte(word>>uint(shift))]
		dst = append(dst, byte(pair>>8), byte(pair))
	}
	return dst
}

func (c *codec) readBitmap(b []byte) (rest []byte, word uint64, ok bool) {
	if !c.hexMap {
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
		v := fromHex[ch]
		bad |= v
		word = word<<4 | uint64(v&15)
	}
	return b[16:], word, bad <= 15
}

// The rules a FieldError names.
const (
	ruleLength  = "its length is not the dialect's"
	ruleDigits  = "it holds something else than digits"
	ruleSign    = "it must be C or D and digits"
	ruleMissing = "it has no value"
	ruleClass   = "it holds a character its class does not allow"
	ruleRange   = "its value is out of range"
)

// encode appends the field, length prefix first. rule is empty when all is well.
func (f *fieldCodec) encode(dst, value []byte) (out []byte, rule string) {
	n := uint32(len(value))
	if f.prefix == prefixNone {
		if n != f.max {
			return dst, ruleLength
		}
	} else {
		if n > f.max {
			return dst, ruleLength
		}
		dst = f.appendPrefix(dst, int(n))
	}
	switch f.form {
	case formText, formBinary:
		return append(dst, value...), ""
	case formDigits:
		if !digitsOnly(value) {
			return dst, ruleDigits
		}
		return append(dst, value...), ""
	case formBCD:
		return f.appendBCD(dst, value)
	case formHex:
		for _, c := range value {
			pair := hexPairs[c]
			dst = append(dst, byte(pair>>8), byte(pair))
		}
		return dst, ""
	case formSign, formSignBCD:
		if len(value) == 0 || value[0] != 'C' && value[0] != 'D' || !digitsOnly(value[1:]) {
			return dst, ruleSign
		}
		if f.form == formSign {
			return append(dst, value...), ""
		}
		return f.appendBCD(append(dst, value[0]), value[1:])
	}
	return dst, ruleLength
}

func (f *fieldCodec) appendPrefix(dst []byte, n int) []byte {
	switch f.prefix {
	case prefixASCII:
		switch f.width {
		case 2:
			return append(dst, byte('0'+n/10), byte('0'+n%10))
		case 3:
			return append(dst, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
		}
		return appendDigits(dst, uint64(n), int(f.width))
	case prefixBCD:
		for i := int(f.width) - 1; i >= 0; i-- {
			pair := n / pow10[2*i] % 100
			dst = append(dst, byte(pair/10<<4|pair%10))
		}
	case prefixBinary:
		for i := int(f.width) - 1; i >= 0; i-- {
			dst = append(dst, byte(n>>(8*uint(i))))
		}
	}
	return dst
}

// appendBCD packs digits two a byte.
func (f *fieldCodec) appendBCD(dst, digits []byte) ([]byte, string) {
	odd := len(digits)&1 == 1
	bad := byte(0)
	if odd && !f.oddRight {
		d := digits[0] - '0'
		bad = d
		dst = append(dst, f.fill<<4|d)
		digits = digits[1:]
	}
	for len(digits) >= 2 {
		hi, lo := digits[0]-'0', digits[1]-'0'
		bad = max(bad, hi, lo)
		dst = append(dst, hi<<4|lo&15)
		digits = digits[2:]
	}
	if len(digits) == 1 {
		d := digits[0] - '0'
		bad = max(bad, d)
		dst = append(dst, d<<4|f.fill)
	}
	if bad > 9 {
		return dst, ruleDigits
	}
	return dst, ""
}

// decode reads the field from b and appends its canonical value to arena.
func (f *fieldCodec) decode(arena, b []byte) (out, rest []byte, kind Kind) {
	n := int(f.max)
	if f.prefix != prefixNone {
		if len(b) < int(f.width) {
			return arena, b, KindTruncated
		}
		if n = f.readPrefix(b); n < 0 {
			return arena, b, KindPrefix
		}
		if n > int(f.max) {
			return arena, b, KindLength
		}
		b = b[f.width:]
	}
	wire := n
	switch f.form {
	case formBCD:
		wire = (n + 1) >> 1
	case formHex:
		wire = 2 * n
	case formSignBCD:
		wire = 1 + n>>1
	}
	if len(b) < wire {
		return arena, b, KindTruncated
	}
	content, rest := b[:wire], b[wire:]
	switch f.form {
	case formText, formBinary:
		return append(arena, content...), rest, 0
	case formDigits:
		if !digitsOnly(content) {
			return arena, b, KindDigits
		}
		return append(arena, content...), rest, 0
	case formBCD:
		arena, kind = f.readBCD(arena, content, n)
	case formHex:
		arena, kind = readHex(arena, content)
	case formSign, formSignBCD:
		if n == 0 || content[0] != 'C' && content[0] != 'D' {
			return arena, b, KindDigits
		}
		arena = append(arena, content[0])
		if f.form == formSignBCD {
			arena, kind = f.readBCD(arena, content[1:], n-1)
		} else if digitsOnly(content[1:]) {
			arena = append(arena, content[1:]...)
		} else {
			kind = KindDigits
		}
	}
	return arena, rest, kind
}

// readPrefix reads the length, -1 when it is not a number. REQUIRES: len(b) >= f.width.
func (f *fieldCodec) readPrefix(b []byte) int {
	n := 0
	for _, c := range b[:f.width] {
		switch f.prefix {
		case prefixASCII:
			if c -= '0'; c > 9 {
				return -1
			}
			n = n*10 + int(c)
		case prefixBCD:
			if c>>4 > 9 || c&15 > 9 {
				return -1
			}
			n = n*100 + int(c>>4)*10 + int(c&15)
		case prefixBinary:
			n = n<<8 | int(c)
		}
	}
	return n
}

// readBCD unpacks n digits. The filling nibble may hold anything.
func (f *fieldCodec) readBCD(arena, b []byte, n int) ([]byte, Kind) {
	if n&1 == 1 && !f.oddRight {
		d := b[0] & 15
		if d > 9 {
			return arena, KindDigits
		}
		arena = append(arena, '0'+d)
		b = b[1:]
	}
	bad := uint16(0)
	for i := range n >> 1 {
		pair := digitPairs[b[i]]
		bad |= pair
		arena = append(arena, byte(pair>>8), byte(pair))
	}
	if n&1 == 1 && f.oddRight {
		d := b[len(b)-1] >> 4
		if d > 9 {
			return arena, KindDigits
		}
		arena = append(arena, '0'+d)
	}
	if bad&0x8080 != 0 {
		return arena, KindDigits
	}
	return arena, 0
}

func readHex(arena, b []byte) ([]byte, Kind) {
	for i := 0; i+1 < len(b); i += 2 {
		hi, lo := fromHex[b[i]], fromHex[b[i+1]]
		if hi|lo > 15 {
			return arena, KindDigits
		}
		arena = append(arena, hi<<4|lo)
	}
	return arena, 0
}

func digitsOnly(b []byte) bool {
	for len(b) >= 8 {
		v := binary.LittleEndian.Uint64(b)
		// A byte is a digit when its high half is 3, and stays 3 with 6 added.
		if (v&(v+0x0606060606060606))&0xF0F0F0F0F0F0F0F0 != 0x3030303030303030 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

var (
	digitPairs = buildDigitPairs()
	hexPairs   = buildHexPairs()
	fromHex    = buildFromHex()
)

// buildDigitPairs maps a packed byte to its two ASCII digits; a byte that is
// not two digits maps to a value with the top bits set.
func buildDigitPairs() (t [256]uint16) {
	for i := range t {
		if i>>4 > 9 || i&15 > 9 {
			t[i] = 0x8080
			continue
		}
		t[i] = uint16('0'+i>>4)<<8 | uint16('0'+i&15)
	}
	return t
}

func buildHexPairs() (t [256]uint16) {
	for i := range t {
		t[i] = uint16(hexUpper[i>>4])<<8 | uint16(hexUpper[i&15])
	}
	return t
}

// buildFromHex maps a hex digit of either case to its value, all else to 255.
func buildFromHex() (t [256]uint8) {
	for i := range t {
		switch c := byte(i); {
		case c >= '0' && c <= '9':
			t[i] = c - '0'
		case c >= 'A' && c <= 'F':
			t[i] = c - 'A' + 10
		case c >= 'a' && c <= 'f':
			t[i] = c - 'a' + 10
		default:
			t[i] = 255
		}
	}
	return t
}
