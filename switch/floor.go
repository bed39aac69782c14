package payswitch

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// floor keeps, in the journal, a payment id below which no intent is without
// its outcome, so that recovery reads the records from there on and no index has
// to be written for every payment. It rises now and then, in the command of an
// intent; a floor that is too low costs recovery time and nothing else.
type floor struct {
	due  atomic.Int64 // when it rises next, in milliseconds
	mu   sync.Mutex
	held []ID // of payments that stay open until the next start
}

// floorPause is how long the floor rests. A payment that waits for its bank
// holds it back meanwhile.
const floorPause = time.Second

var floorKey = []byte{0}

// raiseFloor adds to the command of an intent, now and then, the floor as it
// stands: the lowest id in flight.
func (s *Switch) raiseFloor(c *storage.Command, now time.Time) {
	due, at := s.floor.due.Load(), now.UnixMilli()
	early := due - at
	if early > 0 && early <= floorPause.Milliseconds() || !s.floor.due.CompareAndSwap(due, at+floorPause.Milliseconds()) {
		return
	}
	// The id is made first: each that is lower belongs to a payment that is
	// in flight by now, or has ended.
	low := s.flights.lowest(s.ids.next(now))
	s.floor.mu.Lock()
	for _, id := range s.floor.held {
		low = lower(low, id)
	}
	s.floor.mu.Unlock()
	c.Set(spaceFloor, floorKey, low[:])
}

// hold keeps the floor below a payment that nobody in this life can finish.
func (f *floor) hold(id ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = append(f.held, id)
}

func lower(a, b ID) ID {
	if bytes.Compare(a[:], b[:]) < 0 {
		return a
	}
	return b
}

// openIntents reads from the floor on which payments an earlier life left
// without an outcome. A journal without a floor is read whole.
func (s *Switch) openIntents() ([]ID, error) {
	from, ok, err := s.store.Get(spaceFloor, floorKey, nil)
	switch {
	case err != nil:
		return nil, err
	case ok && len(from) != len(ID{}):
		return nil, errRecord
	case !ok:
		from = make([]byte, len(ID{}))
	}
	var open []ID
	err = s.store.RecordsFrom(storage.ID(from), func(id storage.ID, _ uint32, body []byte) bool {
		begins := len(body) > 0 && recordKind(body[0]) == recordIntent
		goesOn := len(body) > 0 && recordKind(body[0]) == recordRerouted
		last := len(open) - 1
		switch {
		case begins:
			open = append(open, ID(id))
		case !goesOn && last >= 0 && open[last] == ID(id):
			open = open[:last]
		}
		return true
	})
	return open, err
}

// settleFloor makes it durable that recovery left no intent open. The clock may
// have been set back since the last life: then the floor falls, so that it lies
// below all ids to come.
func (s *Switch) settleFloor() error {
	var c storage.Command
	low := s.ids.next(s.now())
	c.Set(spaceFloor, floorKey, low[:])
	_, err := s.store.Do(&c)
	return err
}
