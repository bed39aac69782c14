package iso

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// headerRules is what stands between the length and the message. A nil header is
// none.
type headerRules struct {
	request  []byte // as the switch sends it; the slots hold its own stations
	answer   []byte // before an answer, where it differs; of the same length
	fixed    []byte // 0xFF where an incoming header must be as request
	lengthAt int    // two bytes: header and body; -1: none
	to, from int    // the stations, station bytes each
	station  int
	reject   *rejectRules
}

// rejectRules tell the frame by which a host refuses another: a longer header, which
// says its own length in its first byte, and the refused frame after it.
type rejectRules struct {
	length      int
	at          int // of the mark
	mark        []byte
	codeAt      int
	codeBytes   int
	unprocessed bool
}

func (h *headerRules) size() int {
	if h == nil {
		return 0
	}
	return len(h.request)
}

func (h *headerRules) append(dst []byte, mti MTI) []byte {
	if h == nil {
		return dst
	}
	if h.answer != nil && mti.IsAnswer() {
		return append(dst, h.answer...)
	}
	return append(dst, h.request...)
}

func (h *headerRules) appendReply(dst []byte, mti MTI, to []byte) []byte {
	if h == nil || h.station == 0 {
		return h.append(dst, mti)
	}
	if len(to) != len(h.request) {
		to = h.request
	}
	start := len(dst)
	dst = append(dst, to...)
	copy(dst[start+h.to:], to[h.from:h.from+h.station])
	copy(dst[start+h.from:], to[h.to:h.to+h.station])
	return dst
}

// setLength writes the length slot of header and body.
func (h *headerRules) setLength(content []byte) {
	if h != nil && h.lengthAt >= 0 {
		binary.BigEndian.PutUint16(content[h.lengthAt:], uint16(len(content)))
	}
}

// read measures the header of an incoming frame. False: it is not the dialect's, or
// nothing follows it.
func (h *headerRules) read(content []byte) (size int, ok bool) {
	if h == nil {
		return 0, true
	}
	if h.reject != nil && h.reject.matches(content) {
		size = h.reject.length + len(h.request)
		return size, len(content) > size
	}
	size = len(h.request)
	switch {
	case len(content) <= size:
		return 0, false
	case h.lengthAt >= 0 && int(binary.BigEndian.Uint16(content[h.lengthAt:])) != len(content):
		return 0, false
	case h.fixed == nil || h.answer != nil && bytes.HasPrefix(content, h.answer):
		return size, true
	}
	differs := byte(0)
	for i, mask := range h.fixed {
		differs |= (content[i] ^ h.request[i]) & mask
	}
	return size, differs == 0
}

func (r *rejectRules) matches(content []byte) bool {
	if len(content) < r.length || int(content[0]) != r.length {
		return false
	}
	for i, bits := range r.mark {
		if content[r.at+i]&bits != bits {
			return false
		}
	}
	return true
}

// header reads the block of that name.
func (l *loader) header(s *section) {
	var h *headerRules
	switch s.oneOf("kind", []string{"none", "literal", "tpdu", "template"}) {
	case 1:
		h = l.literal(s)
	case 2:
		text := fmt.Sprintf("%s {dst2} {src2}", s.text("id", `"60"`, 2))
		h = l.template(s, "id", text)
	case 3:
		h = l.template(s, "bytes", s.text("bytes", `"16 01 02 {len2} {dst3} {src3} 00 0000 000000 00 000000 00"`, 400))
		l.reject(s.optional("reject"), h)
	}
	if h != nil && s.oneOf("receive", []string{"same", "any"}) == 1 {
		h.fixed = nil
	}
	l.d.frame.header = h
	s.done()
}

func (l *loader) literal(s *section) *headerRules {
	h := &headerRules{request: []byte(s.text("text", "ISO006000010", 64)), lengthAt: -1}
	h.fixed = bytes.Repeat([]byte{0xFF}, len(h.request))
	if s.has("answer") {
		h.answer = []byte(s.text("answer", "ISO006000015", 64))
		if len(h.answer) != len(h.request) {
			l.fail(s.lineOf("answer"), "header.answer must have the length of header.text, %d characters", len(h.request))
		}
	}
	if !classANS.allows(h.request) || !classANS.allows(h.answer) {
		l.fail(s.lineOf("text"), "header.text must be printable ASCII")
	}
	return h
}

// template reads a header of bytes in hex and slots.
func (l *loader) template(s *section, key, text string) *headerRules {
	h := &headerRules{lengthAt: -1, to: -1, from: -1}
	wrong := func(part string) {
		l.fail(s.lineOf(key), "header.%s: %q is neither hex digits nor a slot; write \"60 {dst2} {src2}\", and {len2} for the length of header and body", key, part)
	}
	for _, part := range strings.Fields(text) {
		slot, width, ok := headerSlot(part)
		if !ok {
			raw, err := hex.DecodeString(part)
			if err != nil {
				wrong(part)
				return h
			}
			h.request = append(h.request, raw...)
			h.fixed = append(h.fixed, bytes.Repeat([]byte{0xFF}, len(raw))...)
			continue
		}
		at := len(h.request)
		h.request = append(h.request, make([]byte, width)...)
		h.fixed = append(h.fixed, make([]byte, width)...)
		switch {
		case slot == "len" && width == 2 && h.lengthAt < 0:
			h.lengthAt = at
		case slot == "dst" && h.to < 0:
			h.to = at
			l.stationOf(s, "destination", h.request[at:])
		case slot == "src" && h.from < 0:
			h.from = at
			l.stationOf(s, "source", h.request[at:])
		default:
			wrong(part)
		}
		if slot != "len" {
			if h.station != 0 && h.station != width {
				l.fail(s.lineOf(key), "header.%s: {dst} and {src} must have the same width, since they are swapped in an answer", key)
			}
			h.station = width
		}
	}
	if (h.to < 0) != (h.from < 0) {
		l.fail(s.lineOf(key), "header.%s has only one of {dst} and {src}; write both, or the bytes themselves", key)
		h.station = 0
	}
	if len(h.request) > 64 || len(h.request) == 0 {
		l.fail(s.lineOf(key), "header.%s must have 1 to 64 bytes", key)
	}
	return h
}

// headerSlot takes {dst3} apart.
func headerSlot(part string) (slot string, width int, ok bool) {
	if len(part) != 6 || part[0] != '{' || part[5] != '}' || part[4] < '1' || part[4] > '8' {
		return "", 0, false
	}
	return part[1:4], int(part[4] - '0'), true
}

func (l *loader) stationOf(s *section, key string, out []byte) {
	text := s.text(key, strings.Repeat("00", len(out)), 16)
	raw, err := hex.DecodeString(text)
	if text != "" && (err != nil || len(raw) != len(out)) {
		l.fail(s.lineOf(key), "header.%s must have %d hex digits in quotes, two for each byte of its slot", key, 2*len(out))
		return
	}
	copy(out, raw)
}

func (l *loader) reject(s *section, h *headerRules) {
	if s == nil {
		return
	}
	r := &rejectRules{length: s.number("length", 2, 255), at: s.number("at", 1, 254), codeAt: s.number("code_at", 1, 254), codeBytes: s.number("code_bytes", 1, 8)}
	mark, err := hex.DecodeString(s.text("mark", `"8000"`, 16))
	if r.mark = mark; err != nil {
		l.fail(s.lineOf("mark"), "header.reject.mark must be hex digits in quotes: the bits that are set in a refusal, like \"8000\"")
	}
	if r.at+len(mark) > r.length || r.codeAt+r.codeBytes > r.length {
		s.fail("header.reject: mark and code must lie inside the first %d bytes, its length", r.length)
	}
	r.unprocessed = s.oneOf("proves", []string{"nothing", "not_processed"}) == 1
	h.reject = r
	s.done()
}
