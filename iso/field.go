package iso

import "encoding/binary"

// rule is what a value breaks. The zero value is none.
type rule uint8

const (
	ruleNone rule = iota
	ruleLength
	ruleDigits
	ruleSign
	ruleMissing
	ruleClass
	ruleRange
	ruleNibble
	ruleChip
)

var ruleTexts = [...]string{
	ruleLength:  "its length is not the dialect's",
	ruleDigits:  "it holds something else than digits",
	ruleSign:    "it must be C or D and digits",
	ruleMissing: "it has no value",
	ruleClass:   "it holds a character its class does not allow",
	ruleRange:   "its value is out of range",
	ruleNibble:  "it holds something else than digits and the separator =",
	ruleChip:    "it is not whole chip data",
}

// prefixRoom bounds the bytes a field takes on the wire above those of its value.
const prefixRoom = 6

// encode writes the field to out, length prefix first, and returns how many
// bytes it took. REQUIRES: out has room for twice the value of a hex field, for
// the length of a trimmed one, for the value of any other, and prefixRoom more.
func (f *fieldCodec) encode(out, value []byte) (int, rule) {
	n, at := uint32(len(value)), 0
	if f.prefix == prefixNone {
		if n != f.max {
			if !f.trim || n > f.max {
				return 0, ruleLength
			}
			return f.encodePadded(out, value)
		}
	} else {
		if n > f.max {
			return 0, ruleLength
		}
		at = f.putPrefix(out, f.counted(int(n)))
	}
	switch f.form {
	case formDigits:
		if !digitsOnly(value) {
			return 0, ruleDigits
		}
	case formBCD:
		packed, ok := f.packDigits(out[at:], value)
		if !ok {
			return 0, ruleDigits
		}
		return at + packed, ruleNone
	case formHex:
		for i, c := range value {
			binary.BigEndian.PutUint16(out[at+2*i:], hexPairs[c])
		}
		return at + 2*len(value), ruleNone
	case formHexLower, formEBCDIC, formDigitsEBCDIC, formSignEBCDIC, formNibble:
		n, rule := f.encodeOther(out[at:], value)
		return at + n, rule
	case formSign, formSignBCD:
		if len(value) == 0 || value[0] != 'C' && value[0] != 'D' || !digitsOnly(value[1:]) {
			return 0, ruleSign
		}
		if f.form == formSignBCD {
			out[at] = value[0]
			packed, _ := f.packDigits(out[at+1:], value[1:])
			return at + 1 + packed, ruleNone
		}
	}
	return at + copy(out[at:], value), ruleNone
}

// carry copies the content of a straight field and reports whether it may hold it.
// REQUIRES: out has room for it.
func (f *fieldCodec) carry(out, content []byte) bool {
	if f.form == formDigits {
		return copyDigits(out, content)
	}
	copy(out, content)
	return true
}

// copyDigits copies digits and reports whether all of them were. REQUIRES: out has
// room for them.
func copyDigits(out, digits []byte) bool {
	n := len(digits)
	if n >= 8 {
		bad, v := uint64(0), uint64(0)
		for at := 0; ; at = min(at+8, n-8) {
			v = binary.LittleEndian.Uint64(digits[at:])
			bad |= notDigits(v, 0x0606060606060606, 0xF0F0F0F0F0F0F0F0, 0x3030303030303030)
			binary.LittleEndian.PutUint64(out[at:], v)
			if at == n-8 {
				return bad == 0
			}
		}
	}
	if n >= 4 {
		v := uint64(binary.LittleEndian.Uint32(digits))<<32 | uint64(binary.LittleEndian.Uint32(digits[n-4:]))
		binary.LittleEndian.PutUint32(out, uint32(v>>32))
		binary.LittleEndian.PutUint32(out[n-4:], uint32(v))
		return notDigits(v, 0x0606060606060606, 0xF0F0F0F0F0F0F0F0, 0x3030303030303030) == 0
	}
	bad := byte(0)
	for i, c := range digits {
		bad |= c&0xF0 ^ 0x30 | (c+6)&0xF0 ^ 0x30
		out[i] = c
	}
	return bad == 0
}

// counted is what the length prefix says of a value of n characters, digits or bytes.
func (f *fieldCodec) counted(n int) int {
	switch f.count {
	case countHalf:
		return (n + 1) / 2
	case countTwice:
		return 2 * n
	}
	return n
}

// uncounted is the length of the value whose prefix says n; b is what follows the
// prefix.
func (f *fieldCodec) uncounted(n int, b []byte) (int, Kind) {
	switch {
	case f.count == countValue:
		return n, 0
	case f.count == countTwice && n%2 == 1:
		return 0, KindPrefix
	case f.count == countTwice:
		return n / 2, 0
	case n > (int(f.max)+1)/2:
		return 0, KindLength
	case n > len(b):
		return 0, KindTruncated
	case n > 0 && (f.oddRight && b[n-1]&15 == 15 || !f.oddRight && b[0]>>4 == 15):
		return 2*n - 1, 0
	}
	return 2 * n, 0
}

func (f *fieldCodec) putPrefix(out []byte, n int) int {
	width := int(f.width)
	out = out[:width]
	switch f.prefix {
	case prefixASCII:
		for i := width - 1; i >= 0; i-- {
			out[i] = byte('0' + n%10)
			n /= 10
		}
	case prefixBCD:
		for i := width - 1; i >= 0; i-- {
			pair := n % 100
			out[i] = byte(pair/10<<4 | pair%10)
			n /= 100
		}
	case prefixBinary:
		for i := width - 1; i >= 0; i-- {
			out[i] = byte(n)
			n >>= 8
		}
	case prefixEBCDIC:
		for i := width - 1; i >= 0; i-- {
			out[i] = byte(0xF0 + n%10)
			n /= 10
		}
	}
	return width
}

// packDigits writes digits two a byte, and reports whether all were digits.
func (f *fieldCodec) packDigits(out, digits []byte) (int, bool) {
	bad, at := uint64(0), 0
	if len(digits)&1 == 1 && !f.oddRight {
		c := digits[0]
		bad = notDigits(uint64(c), 0x06, 0xF0, 0x30)
		out[0] = f.fill<<4 | c&15
		digits, at = digits[1:], 1
	}
	for len(digits) >= 8 && len(out)-at >= 4 {
		v := binary.BigEndian.Uint64(digits)
		bad |= notDigits(v, 0x0606060606060606, 0xF0F0F0F0F0F0F0F0, 0x3030303030303030)
		v &= 0x0F0F0F0F0F0F0F0F
		v = (v | v>>4) & 0x00FF00FF00FF00FF
		v = (v | v>>8) & 0x0000FFFF0000FFFF
		binary.BigEndian.PutUint32(out[at:], uint32(v>>16|v))
		digits, at = digits[8:], at+4
	}
	for len(digits) >= 2 {
		v := uint64(digits[0])<<8 | uint64(digits[1])
		bad |= notDigits(v, 0x0606, 0xF0F0, 0x3030)
		out[at] = byte(v>>4)&0xF0 | byte(v)&15
		digits, at = digits[2:], at+1
	}
	if len(digits) == 1 {
		bad |= notDigits(uint64(digits[0]), 0x06, 0xF0, 0x30)
		out[at] = digits[0]<<4 | f.fill
		at++
	}
	return at, bad == 0
}

// notDigits is zero when every byte of v is an ASCII digit: its high half is 3,
// and stays 3 with six added. A carry out of a byte has failed that byte before.
func notDigits(v, sixes, highs, threes uint64) uint64 {
	return (v&highs ^ threes) | ((v+sixes)&highs ^ threes)
}

// decode reads the field from b and writes its canonical value to out. It
// returns the length of the value and the bytes it took. REQUIRES: out has room
// for twice the length of b.
func (f *fieldCodec) decode(out, b []byte) (n, used int, kind Kind) {
	n, start, wire, kind := f.extent(b)
	if kind != 0 {
		return 0, 0, kind
	}
	b = b[start:]
	if len(b) < wire {
		return 0, 0, KindTruncated
	}
	used = start
	content, ok := b[:wire], true
	used += wire
	switch f.form {
	case formText, formBinary:
		copy(out, content)
	case formDigits:
		ok = digitsOnly(content)
		copy(out, content)
	case formBCD:
		ok = f.unpackDigits(out, content, n)
	case formHex, formHexLower:
		ok = readHex(out, content)
	case formEBCDIC, formDigitsEBCDIC, formSignEBCDIC, formNibble:
		ok = f.decodeOther(out[:n], content)
	case formSign:
		copy(out, content)
		ok = n > 0 && (content[0] == 'C' || content[0] == 'D') && digitsOnly(content[1:])
	case formSignBCD:
		out[0] = content[0]
		ok = (content[0] == 'C' || content[0] == 'D') && f.unpackDigits(out[1:], content[1:], n-1)
	}
	if !ok {
		return 0, 0, KindDigits
	}
	if f.trim {
		n = f.trimmed(out[:n])
	}
	return n, used, 0
}

// extent reads the prefix: the length of the value, where its content begins, and
// how many bytes that takes, which may be more than b has.
func (f *fieldCodec) extent(b []byte) (n, start, wire int, kind Kind) {
	n = int(f.max)
	if f.prefix != prefixNone {
		if start = int(f.width); len(b) < start {
			return 0, 0, 0, KindTruncated
		}
		if n = f.readPrefix(b); n < 0 {
			return 0, 0, 0, KindPrefix
		}
		if f.count != countValue {
			if n, kind = f.uncounted(n, b[start:]); kind != 0 {
				return 0, 0, 0, kind
			}
		}
		if n > int(f.max) {
			return 0, 0, 0, KindLength
		}
	}
	wire = n
	switch f.form {
	case formBCD, formNibble:
		wire = (n + 1) >> 1
	case formHex, formHexLower:
		wire = 2 * n
	case formSignBCD:
		if n == 0 {
			return 0, 0, 0, KindDigits
		}
		wire = 1 + n>>1
	}
	return n, start, wire, 0
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
		case prefixEBCDIC:
			if c -= 0xF0; c > 9 {
				return -1
			}
			n = n*10 + int(c)
		}
	}
	return n
}

// unpackDigits unpacks n digits, and reports whether all were digits. The
// filling nibble may hold anything.
func (f *fieldCodec) unpackDigits(out, b []byte, n int) bool {
	out = out[:n]
	bad := uint16(0)
	if n&1 == 1 {
		pair := digitPairs[b[0]&15]
		if f.oddRight {
			pair = digitPairs[b[len(b)-1]>>4]
			out[n-1] = byte(pair)
		} else {
			out[0] = byte(pair)
			out, b = out[1:], b[1:]
		}
		bad = pair
	}
	wide := uint64(0)
	for len(out) >= 8 && len(b) >= 4 {
		v := uint64(binary.BigEndian.Uint32(b))
		v = (v | v<<16) & 0x0000FFFF0000FFFF
		v = (v | v<<8) & 0x00FF00FF00FF00FF
		v = (v | v<<4) & 0x0F0F0F0F0F0F0F0F
		wide |= (v + 0x0606060606060606) & 0xF0F0F0F0F0F0F0F0
		binary.BigEndian.PutUint64(out, v|0x3030303030303030)
		out, b = out[8:], b[4:]
	}
	for len(out) >= 2 && len(b) > 0 {
		pair := digitPairs[b[0]]
		bad |= pair
		binary.BigEndian.PutUint16(out, pair)
		out, b = out[2:], b[1:]
	}
	return bad&0x8080 == 0 && wide == 0
}

func readHex(out, b []byte) bool {
	bad := byte(0)
	for i := range len(b) / 2 {
		hi, lo := fromHex[b[2*i]], fromHex[b[2*i+1]]
		bad |= hi | lo
		out[i] = hi<<4 | lo
	}
	return bad <= 15
}

func digitsOnly(b []byte) bool {
	bad := uint64(0)
	for len(b) >= 8 {
		bad |= notDigits(binary.LittleEndian.Uint64(b), 0x0606060606060606, 0xF0F0F0F0F0F0F0F0, 0x3030303030303030)
		b = b[8:]
	}
	if len(b) >= 4 {
		bad |= notDigits(uint64(binary.LittleEndian.Uint32(b)), 0x06060606, 0xF0F0F0F0, 0x30303030)
		b = b[4:]
	}
	for _, c := range b {
		bad |= notDigits(uint64(c), 0x06, 0xF0, 0x30)
	}
	return bad == 0
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
