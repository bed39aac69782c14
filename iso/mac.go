package iso

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tranzit/tranzit/iso/security"
)

// Flow is which way a message goes.
type Flow uint8

// The flows.
const (
	ToBank Flow = iota
	FromBank
)

// MACKeys are the keys of message authentication codes by the slots that a
// dialect names. Goroutine-safe.
type MACKeys interface {
	// Sum is the code under the slot's present key.
	Sum(slot string, m security.MAC, data []byte) ([]byte, error)
	// Verify reports in constant time whether code is the beginning of the data's
	// code, under the present key or the one before.
	Verify(slot string, m security.MAC, data, code []byte) (bool, error)
}

// Errors of codes. ErrMAC is all that is told of a message that does not verify.
var (
	ErrMAC      = errors.New("iso: the message authentication code is wrong or missing")
	errMACField = errors.New("iso: a field stands behind that of the code and would not be covered by it")
)

// macRules are the block security.mac of a dialect.
type macRules struct {
	mac                 security.MAC
	field               int // 64, 128 or 192; 0: whichever is last
	kept                int // bytes of the code
	length, header, mti bool
	types               [2][]MTI // covered messages of each flow, as no repeats
	slots               [2]string
	drop                bool   // a message that does not verify counts as never come; else it refutes
	answer              string // the code of the answer to a request that does not verify; empty: it has none
}

// HasMAC reports whether the dialect's messages carry authentication codes.
func (d *Dialect) HasMAC() bool { return d.mac != nil }

// Sealed reports whether a message that goes this way carries a code.
func (d *Dialect) Sealed(m *Message, f Flow) bool { return d.mac != nil && d.mac.covers(m.MTI, f) }

// DropsForged reports whether an answer that does not verify counts as never
// come; else it refutes its request at once. It never approves.
func (d *Dialect) DropsForged() bool { return d.mac != nil && d.mac.drop }

// ForgedAnswer is the code of the answer to a request whose authentication code is
// wrong or missing; empty: the dialect has such a request go unanswered.
func (d *Dialect) ForgedAnswer() string {
	if d.mac == nil {
		return ""
	}
	return d.mac.answer
}

// KeySlots are the names of the keys that the dialect needs.
func (d *Dialect) KeySlots() []string {
	var all []string
	if d.mac != nil {
		all = append(all, d.mac.slots[:]...)
	}
	if d.exchange != nil {
		all = append(all, d.exchange.slot, d.exchange.kek)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (r *macRules) covers(m MTI, f Flow) bool { return slices.Contains(r.types[f], m.Normal()) }

// macFields are the fields that a code may be in: the last of each bitmap.
var macFields = []int{64, 128, 192}

// place is the field of the code of a message whose other fields are set.
func (r *macRules) place(m *Message) (int, error) {
	least := 64
	for i, word := range m.set[1:] {
		if word&^1 != 0 { // without the field of the code itself
			least = macFields[i+1]
		}
	}
	switch {
	case r.field == 0:
		return least, nil
	case r.field < least:
		return 0, errMACField
	}
	return r.field, nil
}

// behind reports whether a bitmap after that of the field is used.
func (m *Message) behind(field int) bool {
	return field == 64 && m.set[1] != 0 || field <= 128 && m.set[2] != 0
}

// Seal is how a frame is made that may carry a code.
type Seal struct {
	Flow Flow
	Keys MACKeys
	To   []byte // header of the message that is answered, as FrameHeader gave it; nil: none is
}

// AppendSealed is AppendReply with the authentication code that the dialect wants
// for this flow: over the very bytes that go out, with the bit of its field set.
// m comes back as it was. Errors are those of AppendReply and of the keys.
func (d *Dialect) AppendSealed(dst []byte, m *Message, s Seal) ([]byte, error) {
	r := d.mac
	if r == nil || !r.covers(m.MTI, s.Flow) {
		return d.AppendReply(dst, m, s.To)
	}
	field, err := r.place(m)
	if err != nil {
		return dst, err
	}
	row := &d.codec.fields[field]
	room := make([]byte, row.max)
	m.Set(field, room)
	start := len(dst)
	dst, err = d.AppendReply(dst, m, s.To)
	m.Delete(field)
	if err != nil {
		return dst, err
	}
	data, tail, err := d.covered(dst[start:], row)
	if err == nil {
		var sum []byte
		if sum, err = s.Keys.Sum(r.slots[s.Flow], r.mac, data); err == nil {
			copy(room, sum[:r.kept])
			_, _ = row.encode(tail, room)
		}
	}
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}

// CheckMAC verifies the code of a whole frame that NextFrame found and Decode
// read into m. nil: it is right, or the dialect wants none of this message.
// Any error finalises nothing: ErrMAC, or one of the keys.
func (d *Dialect) CheckMAC(frame []byte, m *Message, f Flow, keys MACKeys) error {
	r := d.mac
	if r == nil || !r.covers(m.MTI, f) {
		return nil
	}
	field, err := r.place(m)
	if err != nil || !m.Has(field) || m.behind(field) {
		return ErrMAC
	}
	data, _, err := d.covered(frame, &d.codec.fields[field])
	if err != nil {
		return ErrMAC
	}
	good, err := keys.Verify(r.slots[f], r.mac, data, m.Get(field)[:r.kept])
	if err == nil && !good {
		err = ErrMAC
	}
	return err
}

// covered are the bytes of a frame that the code is of, and those of the code,
// which stand last.
func (d *Dialect) covered(frame []byte, row *fieldCodec) (data, tail []byte, err error) {
	r := d.mac
	width := int(row.max)
	if row.form != formBinary {
		width *= 2
	}
	body, n, err := d.NextFrame(frame)
	if err != nil || n != len(frame) {
		return nil, nil, ErrFrameSize
	}
	stop := len(frame) - d.frame.tail()
	length, mti := d.frame.lead(), 4
	head := stop - len(body) - length
	if d.codec.mti == mtiBCD {
		mti = 2
	}
	if len(body) < mti+width {
		return nil, nil, ErrFrameSize
	}
	end := stop - width
	tail = frame[end:stop]
	parts := []struct {
		is bool
		n  int
	}{{r.length, length}, {r.header, head}, {r.mti, mti}, {true, end - length - head - mti}}
	at := 0
	for i, p := range parts {
		gap := slices.ContainsFunc(parts[i:], func(p struct {
			is bool
			n  int
		}) bool {
			return !p.is && p.n > 0
		})
		switch {
		case p.is && !gap && len(data) == 0:
			return frame[at:end], tail, nil
		case p.is:
			data = append(data, frame[at:at+p.n]...)
		}
		at += p.n
	}
	return data, tail, nil
}

// ClearKeys are keys in clear by the slots that a dialect names: of test hosts and of tools.
type ClearKeys map[string][]byte

// Sum implements MACKeys.
func (k ClearKeys) Sum(slot string, m security.MAC, data []byte) ([]byte, error) {
	return m.Sum(k[slot], data)
}

// Verify implements MACKeys.
func (k ClearKeys) Verify(slot string, m security.MAC, data, code []byte) (bool, error) {
	return m.Verify(k[slot], data, code)
}

// Validate reports the first slot of the dialect's codes that has no key.
func (k ClearKeys) Validate(d *Dialect) error {
	if d.mac == nil {
		return nil
	}
	for _, slot := range d.mac.slots {
		if len(k[slot]) == 0 {
			return fmt.Errorf("dialect %s needs a key %q", d.ID(), slot)
		}
	}
	return nil
}
