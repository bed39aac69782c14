package iso

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
)

// MaxField is the highest field number a Message can hold.
const MaxField = 192

// Message is one ISO 8583 message in canonical form: a text field as its
// characters (digits as ASCII digits), a binary field as its raw bytes. All
// values lie in one buffer, so a message that is reused stops allocating. Not
// goroutine-safe; copy with CopyFrom, never by assignment.
type Message struct {
	MTI   MTI
	set   [3]uint64 // bit f of the standard: the highest bit of set[0] is field 1
	spans []span    // where the fields of set lie in arena, in ascending order of the fields
	arena []byte
}

type span struct{ off, n uint32 }

// ErrCompact is returned by SetCompact for bytes that AppendCompact did not write.
var ErrCompact = errors.New("iso: not a message in compact form")

func fieldBit(field int) (word int, mask uint64) {
	return (field - 1) >> 6, 1 << (63 - uint(field-1)&63)
}

// rank is the place of a field among the spans: how many fields of the message stand
// before it.
func (m *Message) rank(field int) int {
	w, lead := (field-1)>>6, uint(field-1)&63
	n := bits.OnesCount64(m.set[w] >> (64 - lead))
	for ; w > 0; w-- {
		n += bits.OnesCount64(m.set[w-1])
	}
	return n
}

// ValidField reports whether Set takes the field number.
func ValidField(field int) bool { return field >= 2 && field <= MaxField }

// Reset forgets MTI and fields and keeps the memory.
func (m *Message) Reset() {
	m.MTI = 0
	m.set = [3]uint64{}
	m.spans, m.arena = m.spans[:0], m.arena[:0]
}

// Wipe is Reset that also overwrites the memory: it may have held a card
// verification code.
func (m *Message) Wipe() {
	clear(m.arena[:cap(m.arena)])
	m.Reset()
}

// Set copies value into the field. REQUIRES: ValidField(field).
func (m *Message) Set(field int, value []byte) { setField(m, field, value) }

// SetString is Set for a string.
func (m *Message) SetString(field int, s string) { setField(m, field, s) }

func setField[T string | []byte](m *Message, field int, value T) {
	if !ValidField(field) {
		panic("iso: field number outside 2..192")
	}
	if m.Has(field) {
		if p := &m.spans[m.rank(field)]; int(p.n) >= len(value) {
			copy(m.arena[p.off:], value)
			p.n = uint32(len(value))
			return
		}
	}
	start := len(m.arena)
	old := m.arena
	if start+len(value) > cap(old) {
		m.arena = make([]byte, start, 2*cap(old)+len(value)+256)
		copy(m.arena, old)
	}
	m.arena = append(m.arena, value...)
	if start+len(value) > cap(old) {
		clear(old[:cap(old)])
	}
	m.place(field, start)
}

// place gives the field everything in the arena from start on.
func (m *Message) place(field, start int) {
	at, p := m.rank(field), span{off: uint32(start), n: uint32(len(m.arena) - start)}
	if w, bit := fieldBit(field); m.set[w]&bit == 0 {
		m.set[w] |= bit
		m.spans = slices.Insert(m.spans, at, p)
	} else {
		m.spans[at] = p
	}
}

// grow makes room for n more bytes, and overwrites the memory it leaves.
func (m *Message) grow(n int) {
	if len(m.arena)+n <= cap(m.arena) {
		return
	}
	old := m.arena
	m.arena = make([]byte, len(old), 2*cap(old)+n+256)
	copy(m.arena, old)
	clear(old[:cap(old)])
}

// Get is the field's value, nil when it is absent. It aliases the message and
// is valid until the next change.
func (m *Message) Get(field int) []byte {
	if !m.Has(field) {
		return nil
	}
	p := m.spans[m.rank(field)]
	return m.arena[p.off : p.off+p.n : p.off+p.n]
}

// Has reports whether the field is present.
func (m *Message) Has(field int) bool {
	if !ValidField(field) {
		return false
	}
	w, bit := fieldBit(field)
	return m.set[w]&bit != 0
}

// Delete removes the field and overwrites its value.
func (m *Message) Delete(field int) {
	if !m.Has(field) {
		return
	}
	clear(m.Get(field))
	at := m.rank(field)
	m.spans = slices.Delete(m.spans, at, at+1)
	w, bit := fieldBit(field)
	m.set[w] &^= bit
}

// Fields yields the fields in ascending order. The values alias the message.
func (m *Message) Fields(yield func(field int, value []byte) bool) {
	for w, word := range m.set {
		for word != 0 {
			lead := bits.LeadingZeros64(word)
			word &^= 1 << (63 - uint(lead))
			field := w<<6 + lead + 1
			if !yield(field, m.Get(field)) {
				return
			}
		}
	}
}

// CopyFrom makes m equal to o. The two share no memory.
func (m *Message) CopyFrom(o *Message) {
	if m == o {
		return
	}
	m.MTI, m.set = o.MTI, o.set
	m.spans, m.arena = append(m.spans[:0], o.spans...), m.arena[:0]
	m.grow(len(o.arena))
	m.arena = append(m.arena, o.arena...)
}

// AppendCompact appends the journal's form of the message: the MTI in two bytes,
// then for every field its number, its length as a uvarint, and its value.
func (m *Message) AppendCompact(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(m.MTI))
	for field, value := range m.Fields {
		dst = append(dst, byte(field))
		dst = binary.AppendUvarint(dst, uint64(len(value)))
		dst = append(dst, value...)
	}
	return dst
}

// SetCompact reads what AppendCompact wrote. On error the message is empty.
func (m *Message) SetCompact(b []byte) error {
	m.Reset()
	if len(b) < 2 {
		return ErrCompact
	}
	mti, last := MTI(binary.BigEndian.Uint16(b)), 1
	m.grow(len(b))
	for b = b[2:]; len(b) > 0; {
		field := int(b[0])
		n, used := binary.Uvarint(b[1:])
		if used <= 0 || field <= last || !ValidField(field) || n > uint64(len(b)-1-used) {
			m.Reset()
			return ErrCompact
		}
		b = b[1+used:]
		m.Set(field, b[:n])
		b, last = b[n:], field
	}
	m.MTI = mti
	return nil
}
