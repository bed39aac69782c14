package acquirers

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// label is what the recorder keeps of a message: nothing that a card has part
// in, and nothing longer than this.
type label struct {
	mti  iso.MTI
	stan [6]byte
	rrn  [12]byte
	code [3]byte
}

const (
	fieldSTAN = 11
	fieldRRN  = 37
)

// read fills the label. Lengths that are usual are moved as a whole: this is on
// the way of every message.
func (k *label) read(m *iso.Message) {
	k.mti = m.MTI
	if b := m.Get(fieldSTAN); len(b) == len(k.stan) {
		k.stan = [len(k.stan)]byte(b)
	} else {
		k.stan = [len(k.stan)]byte{}
		copy(k.stan[:], b[max(0, len(b)-len(k.stan)):])
	}
	if b := m.Get(fieldRRN); len(b) == len(k.rrn) {
		k.rrn = [len(k.rrn)]byte(b)
	} else {
		k.rrn = [len(k.rrn)]byte{}
		copy(k.rrn[:], b)
	}
	k.code = [len(k.code)]byte{}
	if b := m.Get(fieldResponseCode); len(b) == 2 {
		k.code[0], k.code[1] = b[0], b[1]
	} else {
		copy(k.code[:], b)
	}
}

type recorded struct {
	label
	at      int64 // Unix nanoseconds
	size    int32
	garbled bool
}

// recorder keeps the latest frames of one direction of a link, over all its
// lines. It has one writer at a time and never grows.
type recorder struct {
	mu   sync.Mutex
	ring []recorded
	next int
}

// slot is the place of the next frame. REQUIRES: the mutex is held, and the
// caller writes the label.
func (r *recorder) slot(at int64, size int) *recorded {
	f := &r.ring[r.next]
	if r.next++; r.next == len(r.ring) {
		r.next = 0
	}
	f.at, f.size, f.garbled = at, int32(size), false
	return f
}

// read records a frame that came; m is nil when it did not decode.
func (r *recorder) read(m *iso.Message, at time.Time, size int) {
	r.mu.Lock()
	if f := r.slot(at.UnixNano(), size); m != nil {
		f.label.read(m)
	} else {
		f.label, f.garbled = label{}, true
	}
	r.mu.Unlock()
}

// Frame is one frame that passed a link, as far as the flight recorder keeps
// it: no field that could hold card data.
type Frame struct {
	At        time.Time `json:"at"` // handed to the kernel, or read
	Link      int       `json:"link"`
	Direction string    `json:"direction"` // out, in
	MTI       string    `json:"mti,omitempty"`
	STAN      string    `json:"stan,omitempty"`
	RRN       string    `json:"rrn,omitempty"`
	Code      string    `json:"code,omitempty"`    // DE39
	Garbled   bool      `json:"garbled,omitempty"` // it did not decode
	Bytes     int       `json:"bytes"`             // out: the whole frame; in: without length and header
}

// Frames returns what the flight recorder holds, oldest first: the latest
// Config.Recorded frames of each link and direction. Goroutine-safe.
func (b *Bank) Frames() []Frame {
	out := []Frame{}
	for _, k := range b.links {
		out = k.out.list(out, Frame{Link: k.number, Direction: "out"})
		out = k.in.list(out, Frame{Link: k.number, Direction: "in"})
	}
	slices.SortStableFunc(out, func(x, y Frame) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Direction, y.Direction)) })
	return out
}

func (r *recorder) list(dst []Frame, as Frame) []Frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.ring {
		f := &r.ring[(r.next+i)%len(r.ring)]
		if f.at == 0 {
			continue
		}
		as.At, as.Garbled, as.Bytes = time.Unix(0, f.at).UTC(), f.garbled, int(f.size)
		as.MTI, as.STAN, as.RRN, as.Code = "", plain(f.stan[:]), plain(f.rrn[:]), plain(f.code[:])
		if !f.garbled && f.mti != 0 {
			as.MTI = f.mti.String()
		}
		dst = append(dst, as)
	}
	return dst
}

// plain lets a field into a text: digits and capitals as they are, anything
// else only as its length.
func plain(b []byte) string {
	b = bytes.TrimRight(b, " \x00")
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return "(" + strconv.Itoa(len(b)) + " odd bytes)"
		}
	}
	return string(b)
}
