package iso

import (
	"encoding/hex"
	"fmt"
	"slices"
)

// MaxChip bounds the chip data of one message (DE55), in bytes.
const MaxChip = 999

// maxChipItems bounds the elements of chip data.
const maxChipItems = 64

// chipItem is one element of chip data: its tag as a number, and the whole of it.
type chipItem struct {
	tag   uint32
	whole []byte
}

// ChipError says what keeps chip data from being read, and where. It quotes none.
type ChipError struct {
	At  int // byte, from 0
	Why string
}

func (e *ChipError) Error() string { return fmt.Sprintf("chip data: byte %d: %s", e.At, e.Why) }

// CheckChip reports whether data is chip data: BER-TLV elements (EMV book 3, annex
// B) from the first byte to the last, with tags of one to three bytes, definite
// lengths, and no tag twice. The error is a *ChipError.
func CheckChip(data []byte) error {
	var items [maxChipItems]chipItem
	if _, err := parseChip(data, &items); err != nil {
		return err
	}
	return nil
}

// parseChip takes chip data apart. A template, such as an issuer script, may be
// there again. The items alias data.
func parseChip(data []byte, items *[maxChipItems]chipItem) (n int, err *ChipError) {
	if len(data) > MaxChip {
		return 0, &ChipError{MaxChip, "it is longer than chip data can be"}
	}
	for at := 0; at < len(data); n++ {
		if n == len(items) {
			return 0, &ChipError{at, "there are too many elements"}
		}
		tag, size, err := chipTag(data, at)
		if err != nil {
			return 0, err
		}
		end, err := chipEnd(data, at+size)
		if err != nil {
			return 0, err
		}
		again := slices.ContainsFunc(items[:n], func(i chipItem) bool { return i.tag == tag })
		if again && data[at]&0x20 == 0 {
			return 0, &ChipError{at, "its tag was there before"}
		}
		items[n] = chipItem{tag, data[at:end]}
		at = end
	}
	return n, nil
}

// chipTag reads the tag at a byte.
func chipTag(data []byte, at int) (tag uint32, size int, err *ChipError) {
	tag, size = uint32(data[at]), 1
	if data[at] == 0 || data[at] == 0xFF {
		return 0, 0, &ChipError{at, "a tag does not begin so"}
	}
	for more := data[at]&0x1F == 0x1F; more; size++ {
		if at+size == len(data) || size == 3 {
			return 0, 0, &ChipError{at, "its tag does not end"}
		}
		tag = tag<<8 | uint32(data[at+size])
		more = data[at+size]&0x80 != 0
	}
	return tag, size, nil
}

// chipEnd reads the length at a byte and gives where the value ends.
func chipEnd(data []byte, at int) (end int, err *ChipError) {
	if at == len(data) {
		return 0, &ChipError{at, "a length is missing"}
	}
	n, size := int(data[at]), 1
	if n >= 0x80 {
		more := n - 0x80
		if more < 1 || more > 2 || at+1+more > len(data) {
			return 0, &ChipError{at, "its length is none of one, two or three bytes"}
		}
		n, size = 0, 1+more
		for _, b := range data[at+1 : at+size] {
			n = n<<8 | int(b)
		}
	}
	if at+size+n > len(data) {
		return 0, &ChipError{at, "the value ends behind the data"}
	}
	return at + size + n, nil
}

// appendChip appends the elements that allowed lists, in its order. Data that is
// no chip data gives a rule.
func appendChip(dst, data []byte, allowed []uint32) ([]byte, rule) {
	var items [maxChipItems]chipItem
	n, err := parseChip(data, &items)
	if err != nil {
		return dst, ruleChip
	}
	for _, tag := range allowed {
		for _, item := range items[:n] {
			if item.tag == tag {
				dst = append(dst, item.whole...)
			}
		}
	}
	return dst, ruleNone
}

// AppendChipAnswer appends the chip data of a bank's answer that the dialect lets
// pass to the terminal: issuer authentication data, issuer scripts. Nothing when
// there is none, or when it cannot be read whole.
func (d *Dialect) AppendChipAnswer(dst []byte, ans *Message) []byte {
	c := d.class(ans.MTI.Normal())
	if c == nil || c.program.has&(1<<srcEMV) == 0 {
		return dst
	}
	dst, _ = appendChip(dst, d.find(&c.program, srcEMV, ans), c.program.chip)
	return dst
}

// ChipValue is the value of an element of chip data, nil when there is none. It
// aliases data.
func ChipValue(data []byte, tag uint32) []byte {
	var items [maxChipItems]chipItem
	n, err := parseChip(data, &items)
	if err != nil {
		return nil
	}
	for _, item := range items[:n] {
		if item.tag == tag {
			_, size, _ := chipTag(item.whole, 0)
			more := 1
			if long := item.whole[size]; long >= 0x80 {
				more += int(long - 0x80)
			}
			return item.whole[size+more:]
		}
	}
	return nil
}

// Chip is the chip data of a request, for simulators; nil: none. It aliases req.
func (d *Dialect) Chip(req *Message) []byte { return d.secretOf(req, srcEMV) }

// secretOf is what a request has from a source.
func (d *Dialect) secretOf(req *Message, src source) []byte {
	p := d.asked(req)
	if p == nil || p.has&(1<<src) == 0 {
		return nil
	}
	return d.find(p, src, req)
}

// chipSecrets are tags that no bank is told in chip data and no terminal gets:
// card number, tracks and their parts, cardholder, PIN (EMV book 3, annex A, and
// the contactless books). What of it a bank needs has fields of its own.
var chipSecrets = []uint32{0x56, 0x57, 0x5A, 0x99, 0x5F20, 0x5F30, 0x9F0B, 0x9F1F, 0x9F20, 0x9F6B}

// allowedChip reads the list of tags that a message may carry.
func (l *loader) allowedChip(s *section, op Operation) (tags []uint32) {
	for _, n := range l.list(s.need("allow", `["9F26", "9F27", "9F10"]`), s.at("allow")) {
		raw, err := hex.DecodeString(n.Value)
		upper := string(hexUpperOf(raw)) == n.Value
		if err != nil || !upper || len(raw) == 0 {
			l.fail(n.Line, "%s: %q is no tag; write it in capital hex digits and in quotes, like \"9F26\"", s.at("allow"), n.Value)
			continue
		}
		tag, size, bad := chipTag(raw, 0)
		switch {
		case bad != nil || size != len(raw):
			l.fail(n.Line, "%s: %q is not one whole tag; write it like \"9F26\"", s.at("allow"), n.Value)
		case slices.Contains(chipSecrets, tag):
			l.fail(n.Line, "%s: tag %s holds what may not pass in chip data; remove it", s.at("allow"), n.Value)
		case raw[0]&0x20 != 0 && (op != 0 || tag != 0x71 && tag != 0x72):
			l.fail(n.Line, "%s: tag %s is a template, which may hide others; remove it: only 71 and 72 of an answer pass", s.at("allow"), n.Value)
		case slices.Contains(tags, tag):
			l.fail(n.Line, "%s: tag %s is listed twice; remove one", s.at("allow"), n.Value)
		}
		tags = append(tags, tag)
	}
	return tags
}
