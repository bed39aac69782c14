package iso

// frameKinds are the forms of the length, as the file names them.
var frameKinds = []string{"len-ascii", "len-bin", "len-bcd", "len-hex", "etx", "len2+0000", "0000+len2"}

// link reads the frame around every message. REQUIRES: the header was read.
func (l *loader) link(s *section) {
	f := &l.d.frame
	frame := s.sub("frame")
	switch word := frame.oneOf("kind", frameKinds); word {
	case 4:
		f.kind = frameTerminated
	case 5:
		f.kind, f.width, f.control = frameBinary, 2, 2
	case 6:
		f.kind, f.width = frameBinary, 4
	default:
		f.kind = frameKind(word + 1)
		widest := map[frameKind]int{frameASCII: 8, frameBinary: 4, frameBCD: 4, frameHex: 8}[f.kind]
		f.width = frame.number("width", 1, max(widest, 1))
	}
	if f.kind != frameTerminated {
		counting := frame.oneOf("inclusive", []string{"false", "true", "body"})
		f.inclusive, f.bodyOnly = counting == 1, counting == 2
		if f.bodyOnly && f.header == nil {
			l.fail(frame.lineOf("inclusive"), "link.frame.inclusive: body leaves out the header, but there is none; write inclusive: false")
		}
	}
	if frame.has("endian") {
		f.little = frame.oneOf("endian", []string{"big", "little"}) == 1
		if f.kind != frameBinary || f.control > 0 {
			l.fail(frame.lineOf("endian"), "link.frame.endian is for len-bin; remove it")
		}
	}
	f.max = frame.number("max", 16, 1<<20)
	f.zero = zeroPolicy(max(0, frame.oneOf("zero", []string{"keepalive", "echo", "error"})))
	l.trailer(frame)
	if f.kind > 0 && f.kind != frameTerminated && frame != nil {
		room := f.capacity() - f.extra()
		if f.kind == frameBinary && frame.find("kind").Value == frameKinds[6] {
			room = min(room, 1<<16-1)
		}
		if f.max > room {
			l.fail(frame.lineOf("max"), "link.frame.max is %d but the length field can say %d at most; write max: %d or a wider length", f.max, room, room)
		}
	}
	if h := f.header; h != nil && h.lengthAt >= 0 && f.max >= 1<<16 {
		l.fail(frame.lineOf("max"), "link.frame.max is %d but the header's {len2} can say 65535 at most; write max: 65535", f.max)
	}
	frame.done()
	s.done()
}

// trailer reads the byte after every message, which frames without a length need.
func (l *loader) trailer(frame *section) {
	f := &l.d.frame
	if f.kind != frameTerminated && !frame.has("trailer") {
		return
	}
	s := frame.sub("trailer")
	text := s.text("byte", `"03"`, 2)
	hi, lo := uint8(255), uint8(255)
	if len(text) == 2 {
		hi, lo = fromHex[text[0]], fromHex[text[1]]
	}
	if text != "" && hi|lo > 15 {
		l.fail(s.lineOf("byte"), "link.frame.trailer.byte must be two hex digits in quotes, like \"03\"")
	}
	f.trailed, f.trailer = true, hi<<4|lo&15
	if f.kind != frameTerminated {
		f.counted = s.flag("counted")
	}
	s.done()
}
