package payswitch

import (
	"encoding/binary"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// spaceCutOver holds bank id -> when the bank last said that its business day ends.
const spaceCutOver storage.Space = 'u'

// cutOver notes that a bank's business day ended by its own word. It is durable before it counts: a life
// that forgot it would undo by a reversal what the bank wants refunded.
func (s *Switch) cutOver(b *bank, at time.Time) {
	if at.UnixMilli() <= b.dayEnd.Load() {
		return
	}
	var c storage.Command
	c.Set(spaceCutOver, []byte(b.id), binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli())))
	if _, err := s.store.Do(&c); err != nil {
		s.log.Error("a bank's cut-over is not noted", "bank", b.id, "cause", err)
		return
	}
	b.dayEnd.Store(at.UnixMilli())
}

// loadCutOvers reads when the banks' days ended in earlier lives.
func (s *Switch) loadCutOvers() error {
	return s.store.Scan(storage.Range{Space: spaceCutOver}, func(key, val []byte) bool {
		if b := s.banks[string(key)]; b != nil && len(val) == 8 {
			b.dayEnd.Store(int64(binary.BigEndian.Uint64(val)))
		}
		return true
	})
}

// sameDay reports whether two times fall into one business day of the bank: no cut-over by its clock lies
// between them, and none that it told of.
func (y *terms) sameDay(earlier, later time.Time) bool {
	told := y.ended.Load()
	return y.day(earlier) == y.day(later) && (earlier.UnixMilli() >= told || later.UnixMilli() < told)
}

// dayEnded is when the bank last said that its day ended; zero: it never did.
func (b *bank) dayEnded() (at time.Time) {
	if told := b.dayEnd.Load(); told != 0 {
		at = time.UnixMilli(told).UTC()
	}
	return at
}
