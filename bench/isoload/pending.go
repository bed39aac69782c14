package isoload

import (
	"time"

	"github.com/tranzit/tranzit/iso"
)

// original is what a reversal must know of the message it undoes.
type original struct {
	op     iso.Operation
	mti    iso.MTI
	stan   iso.STAN
	rrn    string
	sentAt time.Time
}

// slot is one message in flight. It is reused: its message keeps its memory.
type slot struct {
	original
	due, sent time.Duration
	key       iso.Key
	request   iso.Message
	life      uint32 // +1 each time the slot is freed
	repair    bool   // a reversal of what was not answered
}

// waiting names a slot in the order of sending.
type waiting struct {
	at   int32
	life uint32
}

// table are the messages of one link that have no answer yet. Not goroutine-safe.
type table struct {
	slots []*slot
	free  []int32
	byKey map[iso.Key]int32
	queue []waiting // oldest first, the answered ones still in it
	head  int
	limit int
}

func newTable(limit int) *table { return &table{byKey: map[iso.Key]int32{}, limit: limit} }

func (t *table) size() int { return len(t.byKey) }

func (t *table) full() bool { return len(t.byKey) >= t.limit }

// take is a free slot. It is pending after add. REQUIRES: !full().
func (t *table) take() (int32, *slot) {
	if n := len(t.free); n > 0 {
		at := t.free[n-1]
		return at, t.slots[at]
	}
	t.slots = append(t.slots, new(slot))
	at := int32(len(t.slots) - 1)
	t.free = append(t.free, at)
	return at, t.slots[at]
}

// add makes the slot that take gave pending. False: its key is pending already.
func (t *table) add(at int32) bool {
	s := t.slots[at]
	if _, there := t.byKey[s.key]; there {
		return false
	}
	t.free = t.free[:len(t.free)-1]
	t.byKey[s.key] = at
	t.queue = append(t.queue, waiting{at, s.life})
	return true
}

// find is the pending message with the key; nil: there is none.
func (t *table) find(key *iso.Key) (int32, *slot) {
	at, ok := t.byKey[*key]
	if !ok {
		return 0, nil
	}
	return at, t.slots[at]
}

// drop frees a pending slot. What it holds stays readable until the next take.
func (t *table) drop(at int32) {
	s := t.slots[at]
	delete(t.byKey, s.key)
	s.life++
	t.free = append(t.free, at)
}

// oldest is the message that waits longest; nil: there is none.
func (t *table) oldest() (int32, *slot) {
	for ; t.head < len(t.queue); t.head++ {
		w := t.queue[t.head]
		if s := t.slots[w.at]; s.life == w.life {
			t.compact()
			return t.queue[t.head].at, s
		}
	}
	t.queue, t.head = t.queue[:0], 0
	return 0, nil
}

func (t *table) compact() {
	if t.head > len(t.queue)/2 && t.head > 1024 {
		t.queue = t.queue[:copy(t.queue, t.queue[t.head:])]
		t.head = 0
	}
}
