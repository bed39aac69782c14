package iso

import "encoding/binary"

// The forms that few dialects use, and the padding that a Message does not hold.

// encodePadded writes a fixed text that is shorter than its field.
func (f *fieldCodec) encodePadded(out, value []byte) (int, rule) {
	pad, missing := f.pad, int(f.max)-len(value)
	if f.page.ebcdic() {
		pad = f.page.wire[pad]
	}
	text, filler := out[:len(value)], out[len(value):f.max]
	if f.padLeft {
		filler, text = out[:missing], out[missing:f.max]
	}
	for i := range filler {
		filler[i] = pad
	}
	copy(text, value)
	if f.page.ebcdic() {
		for i, c := range value {
			text[i] = f.page.wire[c]
		}
	}
	return int(f.max), ruleNone
}

// trimmed moves a value without its padding to the front and returns its length.
func (f *fieldCodec) trimmed(value []byte) int {
	from, to := 0, len(value)
	for f.padLeft && from < to && value[from] == f.pad {
		from++
	}
	for !f.padLeft && from < to && value[to-1] == f.pad {
		to--
	}
	return copy(value, value[from:to])
}

func (f *fieldCodec) encodeOther(out, value []byte) (int, rule) {
	switch f.form {
	case formHexLower:
		for i, c := range value {
			binary.BigEndian.PutUint16(out[2*i:], hexPairs[c]|hexPairs[c]>>1&0x2020)
		}
		return 2 * len(value), ruleNone
	case formNibble:
		return f.packNibbles(out, value)
	case formDigitsEBCDIC:
		if !digitsOnly(value) {
			return 0, ruleDigits
		}
	case formSignEBCDIC:
		if !classSign.allows(value) {
			return 0, ruleSign
		}
	}
	for i, c := range value {
		out[i] = f.page.wire[c]
	}
	return len(value), ruleNone
}

// decodeOther fills out from the content. REQUIRES: out has the value's length.
func (f *fieldCodec) decodeOther(out, content []byte) bool {
	if f.form == formNibble {
		return f.unpackNibbles(out, content)
	}
	for i, c := range content {
		out[i] = f.page.held[c]
	}
	switch f.form {
	case formDigitsEBCDIC:
		return digitsOnly(out)
	case formSignEBCDIC:
		return classSign.allows(out)
	}
	return true
}

// packNibbles writes track data two characters a byte.
func (f *fieldCodec) packNibbles(out, value []byte) (int, rule) {
	n := (len(value) + 1) / 2
	clear(out[:n])
	at := 0
	if len(value)%2 == 1 {
		if f.oddRight {
			out[n-1] = f.fill
		} else {
			out[0], at = f.fill<<4, 1
		}
	}
	for _, c := range value {
		if c < '0' || c > '>' {
			return 0, ruleNibble
		}
		out[at/2] |= (c & 15) << (4 * (1 - at&1))
		at++
	}
	return n, ruleNone
}

func (f *fieldCodec) unpackNibbles(out, b []byte) bool {
	at := 0
	if len(out)%2 == 1 && !f.oddRight {
		at = 1
	}
	for i := range out {
		v := b[at/2] >> (4 * (1 - at&1)) & 15
		if v == 15 {
			return false
		}
		out[i] = '0' + v
		at++
	}
	return true
}
