package iso

import (
	"bytes"
	"encoding/hex"
	"slices"
)

type frameKind uint8

const (
	frameASCII frameKind = iota + 1
	frameBinary
	frameBCD
	frameHex
	frameTerminated // no length: the trailer ends the frame
)

// zeroPolicy is what a frame without a message means.
type zeroPolicy uint8

const (
	zeroSkip  zeroPolicy = iota
	zeroEcho             // a question that is answered by itself
	zeroError            // the stream is lost
)

// frameRules is the length before every message on the wire, its header, and the
// byte after it.
type frameRules struct {
	kind      frameKind
	width     int  // bytes of the length on the wire
	little    bool // the low byte of the length comes first
	control   int  // bytes after the length, zero but in frames of the line's own control
	inclusive bool // the length counts itself
	bodyOnly  bool // the length does not count the header
	max       int  // longest header and body together
	zero      zeroPolicy
	trailed   bool // trailer follows every message
	trailer   byte
	counted   bool // the length counts the trailer
	header    *headerRules
}

const hexUpper = "0123456789ABCDEF"

// appendLength appends the length of a frame whose header and body have n
// bytes. It reports whether the length fits.
func (f *frameRules) appendLength(dst []byte, n int) ([]byte, bool) {
	if n > f.max {
		return dst, false
	}
	n += f.extra()
	start := len(dst)
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
	if f.little {
		slices.Reverse(dst[start:])
	}
	for range f.control {
		dst = append(dst, 0)
	}
	return dst, true
}

// extra is what the length counts beyond header and body.
func (f *frameRules) extra() (n int) {
	if f.inclusive {
		n += f.width
	}
	if f.counted {
		n++
	}
	if f.bodyOnly {
		n -= f.header.size()
	}
	return n
}

// lead is the bytes before the header.
func (f *frameRules) lead() int { return f.width + f.control }

// tail is the bytes after the body.
func (f *frameRules) tail() int {
	if f.trailed {
		return 1
	}
	return 0
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
	for i, c := range b[:f.width] {
		switch f.kind {
		case frameASCII:
			if !isDigit(c) {
				return 0, false
			}
			n = n*10 + int(c-'0')
		case frameBinary:
			if f.little {
				n |= int(c) << (8 * i)
				continue
			}
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
func (d *Dialect) MaxFrame() int { return d.frame.lead() + d.frame.max + d.frame.tail() }

// AppendFrame appends the whole frame of a message of the switch's own: length,
// header, type, bitmap and fields. On error dst comes back as it was.
func (d *Dialect) AppendFrame(dst []byte, m *Message) ([]byte, error) {
	f, start := &d.frame, len(dst)
	for range f.lead() {
		dst = append(dst, 0)
	}
	return d.finish(f.header.append(dst, m.MTI), start, m)
}

// AppendReply appends the frame of an answer to a message that came with the
// header to, as FrameHeader gave it: its stations are swapped. When to is nil, it is
// the header that AppendFrame writes, so that a bank may send messages of its own.
// On error dst comes back as it was.
func (d *Dialect) AppendReply(dst []byte, m *Message, to []byte) ([]byte, error) {
	f, start := &d.frame, len(dst)
	for range f.lead() {
		dst = append(dst, 0)
	}
	return d.finish(f.header.appendReply(dst, m.MTI, to), start, m)
}

// finish appends body and trailer to a frame that begins at start, and writes the
// lengths.
func (d *Dialect) finish(dst []byte, start int, m *Message) ([]byte, error) {
	f := &d.frame
	dst, err := d.AppendBody(dst, m)
	if err != nil {
		return dst[:start], err
	}
	content := dst[start+f.lead():]
	f.header.setLength(content)
	if f.kind == frameTerminated {
		if len(content) > f.max {
			return dst[:start], ErrFrameSize
		}
		if bytes.IndexByte(content, f.trailer) >= 0 {
			return dst[:start], ErrFrameTrailer
		}
	} else if _, ok := f.appendLength(dst[start:start], len(content)); !ok {
		return dst[:start], ErrFrameSize
	}
	if f.trailed {
		dst = append(dst, f.trailer)
	}
	return dst, nil
}

// NextFrame finds the first frame in buf. It returns the body without length
// and header, aliasing buf, and the number of bytes the frame takes. n is 0
// while bytes are missing. A nil body with n > 0 is a frame without a message, a
// keep-alive: Poll tells what to send back. After an error the stream has no frames
// any more: close the link.
func (d *Dialect) NextFrame(buf []byte) (body []byte, n int, err error) {
	f := &d.frame
	if f.kind == frameTerminated {
		return f.nextTerminated(buf)
	}
	lead := f.lead()
	if len(buf) < lead {
		return nil, 0, nil
	}
	length, ok := f.readLength(buf)
	if !ok {
		return nil, 0, ErrFrameLength
	}
	if length != 0 {
		if length -= f.extra(); length < 0 {
			return nil, 0, ErrFrameLength
		}
		lead += f.tail()
	}
	switch {
	case length == 0 && f.zero == zeroError:
		return nil, 0, ErrFrameEmpty
	case length > f.max:
		return nil, 0, ErrFrameSize
	case len(buf) < lead+length:
		return nil, 0, nil
	}
	if body, err = f.open(buf[:lead+length:lead+length], length); err != nil {
		return nil, 0, err
	}
	return body, lead + length, nil
}

// open is the body of a whole frame whose header and body have length bytes, nil
// when it has none.
func (f *frameRules) open(frame []byte, length int) (body []byte, err error) {
	start := f.lead()
	if f.trailed && len(frame) > start && frame[len(frame)-1] != f.trailer {
		return nil, ErrFrameTrailer
	}
	if length == 0 || f.control > 0 && slices.ContainsFunc(frame[f.width:start], func(c byte) bool { return c != 0 }) {
		return nil, nil
	}
	content := frame[start : start+length : start+length]
	size, ok := f.header.read(content)
	if !ok {
		return nil, ErrFrameHeader
	}
	return content[size:], nil
}

// nextTerminated is NextFrame for frames that have no length.
func (f *frameRules) nextTerminated(buf []byte) (body []byte, n int, err error) {
	length := bytes.IndexByte(buf[:min(len(buf), f.max+1)], f.trailer)
	switch {
	case length < 0 && len(buf) > f.max:
		return nil, 0, ErrFrameSize
	case length < 0:
		return nil, 0, nil
	case length == 0 && f.zero == zeroError:
		return nil, 0, ErrFrameEmpty
	}
	if body, err = f.open(buf[:length+1:length+1], length); err != nil {
		return nil, 0, err
	}
	return body, length + 1, nil
}

// FrameHeader is the header of a frame that NextFrame found; nil when the dialect
// has none. It aliases the frame.
func (d *Dialect) FrameHeader(frame []byte) []byte {
	f := &d.frame
	if f.header == nil || len(frame) < f.lead()+f.header.size() {
		return nil
	}
	return frame[f.lead() : f.lead()+f.header.size()]
}

// Poll is what a frame without a body is answered by, nil when by nothing. frame is
// what NextFrame measured.
func (d *Dialect) Poll(frame []byte) []byte {
	f := &d.frame
	if f.zero != zeroEcho || len(frame) > f.lead()+f.tail() || f.control > 0 && frame[f.width]|frame[f.width+1] != 0 {
		return nil
	}
	return frame
}

// Rejection says that the bank's host refused a frame before it was a message.
type Rejection struct {
	Code        string // the host's code, in hex digits
	Unprocessed bool   // the bank says so of whatever it rejects: nothing came of the message
}

// Rejection reports whether a frame that NextFrame found is a refusal. Its body is then
// the message that was refused.
func (d *Dialect) Rejection(frame []byte) (r Rejection, rejected bool) {
	h := d.frame.header
	if h == nil || h.reject == nil || !h.reject.matches(frame[min(len(frame), d.frame.lead()):]) {
		return Rejection{}, false
	}
	at := d.frame.lead() + h.reject.codeAt
	return Rejection{Code: hex.EncodeToString(frame[at : at+h.reject.codeBytes]), Unprocessed: h.reject.unprocessed}, true
}
