package payswitch

import (
	"cmp"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// declineFilter knows, with errors to one side only, on which of the last days a
// card was declined at an account, and whether it is stopped: a card it does not
// know costs a payment no read of the journal. Its memory is bounded; the more
// cards are declined a day, the more often it is wrong, and then the journal is
// read. Goroutine-safe.
type declineFilter struct {
	size   uint32                          // slots of the table; 0: filterSlots
	table  atomic.Pointer[[]atomic.Uint32] // nil: no decline ever
	loaded atomic.Bool                     // before, everything may be there

	mu     sync.Mutex // of marking
	newest int64      // day
}

const (
	filterSlots  = 1 << 20 // four bytes each
	filterProbes = 3
	filterDays   = 31      // one bit of a slot each
	filterStop   = 1 << 31 // the card is stopped
	dayLength    = 24 * time.Hour
)

func dayOf(at time.Time) int64 { return at.UnixMilli() / dayLength.Milliseconds() }

func dayBit(day int64) uint32 { return 1 << (day % filterDays) }

// slots are the places of a digest, which is as good as random.
func slotsOf(table []atomic.Uint32, who [16]byte) (at [filterProbes]uint32) {
	for i := range at {
		at[i] = binary.LittleEndian.Uint32(who[4*i:]) % uint32(len(table))
	}
	return at
}

// find gives the bits of the days on which there may be declines, and of the
// stop.
func (f *declineFilter) find(who [16]byte) uint32 {
	if !f.loaded.Load() {
		return ^uint32(0)
	}
	t := f.table.Load()
	if t == nil {
		return 0
	}
	bits := ^uint32(0)
	for _, i := range slotsOf(*t, who) {
		bits &= (*t)[i].Load()
	}
	return bits
}

// empty reports whether there was never a decline.
func (f *declineFilter) empty() bool { return f.loaded.Load() && f.table.Load() == nil }

// mark notes a decline, and a stop if the card is stopped by it. A day that
// comes takes the place of the one 31 days before.
func (f *declineFilter) mark(who [16]byte, day int64, stop bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.table.Load()
	if t == nil {
		slots := make([]atomic.Uint32, cmp.Or(f.size, filterSlots))
		t = &slots
		f.table.Store(t)
		f.newest = day
	}
	if day > f.newest {
		old := uint32(0)
		for d := max(f.newest+1, day-filterDays+1); d <= day; d++ {
			old |= dayBit(d)
		}
		for i := range *t {
			(*t)[i].And(^old)
		}
		f.newest = day
	}
	bits := uint32(0)
	if day > f.newest-filterDays {
		bits = dayBit(day)
	}
	if stop {
		bits |= filterStop
	}
	for _, i := range slotsOf(*t, who) {
		(*t)[i].Or(bits)
	}
}
