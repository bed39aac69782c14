package payswitch

import (
	"crypto/rand"
	"errors"
	"sync"
	"time"
)

// ID is a time-ordered 128-bit identifier (UUID version 7, RFC 9562). Its text
// form is a TypeID: a prefix, an underscore and 26 Crockford base-32 characters.
type ID [16]byte

// PaymentPrefix is the TypeID prefix of a payment.
const PaymentPrefix = "pay"

const (
	idTextLen  = 26
	idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

var errBadID = errors.New("not an id of this kind")

// IsZero reports whether the id was never set.
func (id ID) IsZero() bool { return id == ID{} }

// Text is the TypeID with the given prefix.
func (id ID) Text(prefix string) string {
	return string(id.Append(make([]byte, 0, len(prefix)+1+idTextLen), prefix))
}

// Append appends the TypeID with the given prefix to dst.
func (id ID) Append(dst []byte, prefix string) []byte {
	dst = append(dst, prefix...)
	dst = append(dst, '_')
	// 26 characters carry 130 bits: two leading zero bits, then the 128.
	var acc uint32
	bits := 2
	for _, b := range id {
		acc = acc<<8 | uint32(b)
		bits += 8
		for bits >= 5 {
			bits -= 5
			dst = append(dst, idAlphabet[acc>>bits&31])
		}
		acc &= 1<<bits - 1
	}
	return dst
}

// ParseID reads a TypeID with the given prefix. It accepts only the canonical
// form that Text gives.
func ParseID(prefix, text string) (ID, error) {
	var id ID
	if len(text) != len(prefix)+1+idTextLen || text[:len(prefix)] != prefix || text[len(prefix)] != '_' {
		return id, errBadID
	}
	chars := text[len(prefix)+1:]
	var acc uint32
	bits := -2
	n := 0
	for i := range len(chars) {
		v := idDecode[chars[i]]
		if v == 0xff || i == 0 && v > 7 {
			return ID{}, errBadID
		}
		acc = acc<<5 | uint32(v)
		bits += 5
		if bits >= 8 {
			bits -= 8
			id[n] = byte(acc >> bits)
			n++
			acc &= 1<<bits - 1
		}
	}
	return id, nil
}

var idDecode = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(idAlphabet) {
		t[idAlphabet[i]] = byte(i)
	}
	return t
}()

// Time is the moment, to the millisecond, at which the id was made.
func (id ID) Time() time.Time {
	ms := int64(id[0])<<40 | int64(id[1])<<32 | int64(id[2])<<24 | int64(id[3])<<16 | int64(id[4])<<8 | int64(id[5])
	return time.UnixMilli(ms).UTC()
}

// idAt is the smallest id a payment made at t or later can have.
func idAt(t time.Time) ID {
	var id ID
	putIDTime(&id, t.UnixMilli())
	return id
}

func putIDTime(id *ID, ms int64) {
	id[0], id[1], id[2] = byte(ms>>40), byte(ms>>32), byte(ms>>24)
	id[3], id[4], id[5] = byte(ms>>16), byte(ms>>8), byte(ms)
}

// idSource makes ids that strictly grow, also when the clock steps back.
type idSource struct {
	mu      sync.Mutex
	last    int64 // milliseconds << 12 | counter
	entropy [512]byte
	used    int
}

func newIDSource() *idSource { return &idSource{used: 512} }

// next is goroutine-safe. It never fails: the system's random source stops the
// process rather than return short.
func (s *idSource) next(now time.Time) ID {
	s.mu.Lock()
	stamp := now.UnixMilli() << 12
	if stamp <= s.last {
		stamp = s.last + 1
	}
	s.last = stamp
	if s.used+8 > len(s.entropy) {
		_, _ = rand.Read(s.entropy[:])
		s.used = 0
	}
	var id ID
	copy(id[8:], s.entropy[s.used:s.used+8])
	s.used += 8
	s.mu.Unlock()

	putIDTime(&id, stamp>>12)
	id[6] = 0x70 | byte(stamp>>8&0x0f)
	id[7] = byte(stamp)
	id[8] = id[8]&0x3f | 0x80
	return id
}
