package payswitch

import (
	"slices"
	"time"

	"github.com/tranzit/tranzit/storage"
)

const (
	// holdCheck is the longest time between two looks at a bank's holds, so that
	// a step of the clock delays none for longer.
	holdCheck = time.Hour
	// holdAgain is how soon a hold whose time is over, and which could not be let
	// go, is looked at again.
	holdAgain = time.Minute
	// holdBatch is how many holds one look lets go.
	holdBatch = 256
)

// expireHolds lets go of a bank's holds as their time ends, until the switch
// stops. The journal's index is the timer: it survives restarts, and a changed
// deadline counts for the holds of before.
func (s *Switch) expireHolds(b *bank) {
	for s.ctx.Err() == nil {
		b.holdsAwaited.Store(false)
		pause, open, err := s.lookAtHolds(b)
		if err != nil {
			s.log.Error("holds cannot be read", "bank", b.id, "error", err)
			pause, open = holdAgain, true
		}
		if !open {
			// The first hold from now on wakes us; one that came meanwhile is seen at the next look.
			b.holdsAwaited.Store(true)
			if _, id, _ := s.nextHold(b); !id.IsZero() {
				continue
			}
			pause = 0
		}
		wait(s.ctx, b.holdMade, pause)
	}
}

// holdBegan wakes expireHolds when it has nothing else to wait for.
func (b *bank) holdBegan() {
	if b.holdsAwaited.CompareAndSwap(true, false) {
		select {
		case b.holdMade <- struct{}{}:
		default:
		}
	}
}

// lookAtHolds lets go of what is due. open is false when the bank has no open
// hold; else pause is how long until the next look.
func (s *Switch) lookAtHolds(b *bank) (pause time.Duration, open bool, err error) {
	now := s.now()
	due, err := s.dueHolds(b, now.Add(-b.hold()))
	if err != nil {
		return 0, false, err
	}
	err = each(due, func(id ID) error {
		if s.ctx.Err() == nil {
			s.letGo(b, id)
		}
		return nil
	})
	if err != nil {
		return 0, false, err
	}
	first, id, err := s.nextHold(b)
	if err != nil || id.IsZero() {
		return 0, false, err
	}
	if slices.Contains(due, id) {
		return holdAgain, true, nil
	}
	return min(max(first.Add(b.hold()).Sub(s.now()), time.Millisecond), holdCheck), true, nil
}

// nextHold is the bank's oldest open hold and when it was approved; a zero id:
// there is none.
func (s *Switch) nextHold(b *bank) (approved time.Time, id ID, err error) {
	prefix := append([]byte(b.id), 0)
	err = s.store.Scan(storage.Range{Space: spaceHold, Prefix: prefix}, func(key, _ []byte) bool {
		approved, id, _ = parseHoldKey(key[len(prefix):])
		return false
	})
	return approved, id, err
}

// dueHolds are the bank's holds that were approved before a moment, the oldest
// first, at most holdBatch.
func (s *Switch) dueHolds(b *bank, before time.Time) (ids []ID, err error) {
	prefix := append([]byte(b.id), 0)
	to := holdTime(b.id, before.Add(time.Millisecond))
	err = s.store.Scan(storage.Range{Space: spaceHold, Prefix: prefix, To: to}, func(key, _ []byte) bool {
		if _, id, ok := parseHoldKey(key[len(prefix):]); ok {
			ids = append(ids, id)
		}
		return len(ids) < holdBatch
	})
	return ids, err
}

// letGo begins the release of a hold whose time is over. Nothing is sent here:
// store-and-forward does, until the bank acknowledges.
func (s *Switch) letGo(b *bank, id ID) {
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.history(id)
	if err != nil {
		s.log.Error("a hold cannot be read", "payment", id.Text(PaymentPrefix), "error", err)
		return
	}
	terms := b.terms(b.dialect())
	plan, ok := h.release(&terms)
	if !ok {
		return
	}
	now := s.now()
	if err := s.number(b, h, &plan, b.dialect()); err != nil {
		s.log.Error("a hold's release waits", "payment", id.Text(PaymentPrefix), "error", err)
		return
	}
	begin := record{kind: recordOperation, at: now, begun: &plan}
	begin.begins(b.dialect(), h.in.spoken())
	if !s.append(h, &begin) {
		return
	}
	n := uint32(len(h.operations))
	s.log.Info("a hold's time is over", "payment", id.Text(PaymentPrefix), "bank", b.id, "rrn", h.RRN)
	if o := &h.operations[n-1]; o.owed.queued {
		b.saf.addOperation(o.ID, id, o.owed.nextAt)
	} else {
		s.metrics.operated(b, &o.Operation)
	}
}
