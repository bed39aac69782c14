package iso

import "bytes"

type frameKind uint8

const (
	frameASCII frameKind = iota + 1
	frameBinary
	frameBCD
	frameHex
)

// frameRules is the length before every message on the wire, and its header.
type frameRules struct {
	kind       frameKind
	width      int // bytes of the length on the wire
	inclusive  bool
	max        int  // longest header and body together
	refuseZero bool // else a zero length is a keep-alive
	header     []byte
	anyHeader  bool // an incoming header is measured, not compared
}

const hexUpper = "0123456789ABCDEF"

// appendLength appends the length of a frame whose header and body have n
// bytes. It reports whether the length fits.
func (f *frameRules) appendLength(dst []byte, n int) ([]byte, bool) {
	if n > f.max {
		return dst, false
	}
	if f.inclusive {
		n += f.width
	}
	for i := f.width - 1; i >= 0; i-- {
		switch f.kind {
		case frameASCII:
			dst = append(dst, byte('0'+n/pow10[i]%10))
		case frameBinary:
			dst = append(dst, byte(n>>(8*i)))
		case frameBCD:
			pair := n / pow10[2*i] % 100
			dst = append(dst, byte(pair/10<<4|pair%10))
		case frameHex:
			dst = append(dst, hexUpper[n>>(4*i)&15])
		}
	}
	return dst, true
}

var pow10 = [...]int{1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000}

// capacity is the largest number the length field can hold.
func (f *frameRules) capacity() int {
	switch f.kind {
	case frameASCII:
		return pow10[f.width] - 1
	case frameBCD:
		return pow10[2*f.width] - 1
	case frameBinary:
		return 1<<(8*f.width) - 1
	default:
		return 1<<(4*f.width) - 1
	}
}

// readLength reads the length field. REQUIRES: len(b) >= f.width.
func (f *frameRules) readLength(b []byte) (int, bool) {
	n := 0
	for _, c := range b[:f.width] {
		switch f.kind {
		case frameASCII:
			if !isDigit(c) {
				return 0, false
			}
			n = n*10 + int(c-'0')
		case frameBinary:
			n = n<<8 | int(c)
		case frameBCD:
			if c>>4 > 9 || c&15 > 9 {
				return 0, false
			}
			n = n*100 + int(c>>4)*10 + int(c&15)
		case frameHex:
			v := fromHex[c]
			if v > 15 {
				return 0, false
			}
			n = n<<4 | int(v)
		}
	}
	return n, true
}

// MaxFrame is the length of the longest frame: what a read buffer must hold.
func (d *Dialect) MaxFrame() int { return d.frame.width + d.frame.max }

// AppendFrame appends the whole frame: length, header, type, bitmap and fields.
// On error dst comes back as it was.
func (d *Dialect) AppendFrame(dst []byte, m *Message) ([]byte, error) {
	f, start := &d.frame, len(dst)
	for range f.width {
		dst = append(dst, 0)
	}
	dst = append(dst, f.header...)
	dst, err := d.AppendBody(dst, m)
	if err != nil {
		return dst[:start], err
	}
	if _, ok := f.appendLength(dst[start:start], len(dst)-start-f.width); !ok {
		return dst[:start], ErrFrameSize
	}
	return dst, nil
}

// NextFrame finds the first frame in buf. It returns the body without length
// and header, aliasing buf, and the number of bytes the frame takes. n is 0
// while bytes are missing. A nil body with n > 0 is a keep-alive of length
// zero. After an error the stream has no frames any more: close the link.
func (d *Dialect) NextFrame(buf []byte) (body []byte, n int, err error) {
	f := &d.frame
	if len(buf) < f.width {
		return nil, 0, nil
	}
	length, ok := f.readLength(buf)
	if !ok {
		return nil, 0, ErrFrameLength
	}
	if f.inclusive && length != 0 {
		if length < f.width {
			return nil, 0, ErrFrameLength
		}
		length -= f.width
	}
	switch {
	case length == 0 && f.refuseZero:
		return nil, 0, ErrFrameEmpty
	case length == 0:
		return nil, f.width, nil
	case length > f.max:
		return nil, 0, ErrFrameSize
	case length <= len(f.header):
		return nil, 0, ErrFrameHeader
	case len(buf) < f.width+length:
		return nil, 0, nil
	}
	frame := buf[f.width : f.width+length : f.width+length]
	if !f.anyHeader && !bytes.HasPrefix(frame, f.header) {
		return nil, 0, ErrFrameHeader
	}
	return frame[len(f.header):], f.width + length, nil
}
