package storage

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
)

// At Open the tail of the chain is proven: at most so many batches, and about
// so many records, because the time of a restart must not grow with the store.
const (
	tailBatches = 1024
	tailRecords = 16384
)

const (
	formatVersion = 1
	metaBytes     = 4 + 16 + 8
)

var metaKey = []byte{prefixMeta, 's'}

// meta is the one record about the store itself.
type meta struct {
	store storeID
	epoch uint64
}

func (m *meta) encode() []byte {
	b := binary.BigEndian.AppendUint32(nil, formatVersion)
	b = append(b, m.store[:]...)
	return binary.BigEndian.AppendUint64(b, m.epoch)
}

func parseMeta(b []byte) (m meta, err error) {
	if len(b) != metaBytes {
		return m, fmt.Errorf("%w: the store's own record has %d bytes, not %d", ErrCorrupt, len(b), metaBytes)
	}
	if v := binary.BigEndian.Uint32(b); v != formatVersion {
		return m, fmt.Errorf("storage: the store has format %d, this program knows %d", v, formatVersion)
	}
	copy(m.store[:], b[4:])
	m.epoch = binary.BigEndian.Uint64(b[20:])
	return m, nil
}

// recover proves the journal against its anchor and raises the epoch.
func (s *Store) recover() error {
	m, found, err := s.readMeta()
	if err != nil {
		return err
	}
	file, err := s.eng.openAnchor(!s.o.ReadOnly)
	if err != nil {
		return fmt.Errorf("storage: opening the anchor: %w", err)
	}
	s.anchor = &anchor{file: file}
	last, anchored, err := s.anchor.read()
	if err != nil {
		return err
	}
	seq, head, err := s.findHead(m.store)
	if err != nil {
		return err
	}
	switch {
	case anchored && !found:
		return fmt.Errorf("%w: the anchor stands at batch %d and the journal is empty", ErrCorrupt, last.seq)
	case anchored:
		if err := s.compareAnchor(&m, &last, seq); err != nil {
			return err
		}
	case found && seq > 0:
		return fmt.Errorf("%w: the journal reaches batch %d and its anchor is missing", ErrCorrupt, seq)
	}
	if found {
		if err := s.proveTail(m.store, seq); err != nil {
			return err
		}
		if err := s.proveNoGap(max(1, s.eng.led.floor), seq); err != nil {
			return err
		}
	}
	s.identity, s.epoch, s.opened = m.store, m.epoch, head
	s.marks.applying.Store(seq)
	s.marks.durable.Store(seq)
	s.chain.init(seq, head)
	if s.o.ReadOnly {
		return s.anchor.close()
	}
	newest, err := s.newestID()
	if err != nil {
		return err
	}
	s.conditions.init(s.eng, newest)
	return s.raiseEpoch(found)
}

// newestID is the largest id that has records, or the zero ID.
func (s *Store) newestID() (newest ID, err error) {
	c, err := s.eng.cursor(bounds{lower: []byte{prefixRecord}, upper: []byte{prefixRecord + 1}, reverse: true})
	if err != nil {
		return newest, s.readError(err)
	}
	defer c.close()
	if c.first() {
		newest, _, _ = splitRecordKey(c.key())
	}
	if err := c.err(); err != nil {
		return newest, s.readError(err)
	}
	return newest, nil
}

func (s *Store) readMeta() (m meta, found bool, err error) {
	val, found, err := s.eng.get(metaKey, nil)
	switch {
	case err != nil:
		return m, false, s.readError(err)
	case found:
		m, err = parseMeta(val)
		return m, err == nil, err
	case s.o.ReadOnly:
		return m, false, fmt.Errorf("%w: %s", ErrNotFound, s.o.Dir)
	}
	// Without its own record the store must be empty: it was never opened to the end.
	if key, err := s.eng.firstKey(); err != nil || key != nil {
		return m, false, fmt.Errorf("%w: the store's own record is missing (%w)", ErrCorrupt, orNothing(err))
	}
	_, err = rand.Read(m.store[:])
	return m, false, err
}

func orNothing(err error) error {
	if err == nil {
		return fmt.Errorf("other keys are present")
	}
	return err
}

// raiseEpoch makes this life of the store known on disk, in the journal first
// and then in the anchor. A new store gets its log rotated: only a log that was
// begun in the newest format lets the engine tell rot from a torn tail.
func (s *Store) raiseEpoch(found bool) error {
	s.epoch++
	if s.epoch > math.MaxUint32 {
		return fmt.Errorf("storage: the store was opened %d times; the anchor cannot count further", s.epoch)
	}
	m := meta{store: s.identity, epoch: s.epoch}
	if err := s.eng.putSynced(metaKey, m.encode()); err != nil {
		return fmt.Errorf("storage: raising the epoch: %w", err)
	}
	if !found {
		if err := s.eng.rotate(); err != nil {
			return fmt.Errorf("storage: rotating the first log: %w", err)
		}
	}
	s.anchor.last = mark{store: s.identity, epoch: uint32(s.epoch)}
	slots := 1
	if !found {
		slots = anchorSlots // the other one must be durable before one is written over
	}
	for range slots {
		if err := s.anchor.write(s.chain.seq, s.chain.head); err != nil {
			return fmt.Errorf("storage: %w", err)
		}
		if err := s.anchor.sync(); err != nil {
			return fmt.Errorf("storage: %w", err)
		}
	}
	if err := s.eng.syncDir(); err != nil {
		return fmt.Errorf("storage: syncing the folder: %w", err)
	}
	if err := s.eng.proven(&s.marks.applying); err != nil {
		return fmt.Errorf("storage: removing old logs: %w", err)
	}
	return nil
}

// findHead returns the last batch of the journal, or the genesis.
func (s *Store) findHead(id storeID) (uint64, chainHash, error) {
	c, err := s.eng.cursor(bounds{lower: []byte{prefixBatch}, upper: []byte{prefixBatch + 1}, reverse: true})
	if err != nil {
		return 0, chainHash{}, s.readError(err)
	}
	defer c.close()
	if !c.first() {
		return 0, genesis(id), s.readError(c.err())
	}
	seq, rec, err := batchAt(c)
	return seq, rec.hash, err
}

// batchAt reads the batch under the cursor.
func batchAt(c *cursor) (uint64, batchRecord, error) {
	key := c.key()
	if len(key) != batchKeyBytes {
		return 0, batchRecord{}, fmt.Errorf("%w: a batch key of %d bytes", ErrCorrupt, len(key))
	}
	seq := binary.BigEndian.Uint64(key[1:])
	val, err := c.value()
	if err != nil {
		return seq, batchRecord{}, fmt.Errorf("%w: batch %d: %w", ErrCorrupt, seq, err)
	}
	rec, err := parseBatchRecord(val)
	if err != nil {
		return seq, rec, fmt.Errorf("batch %d: %w", seq, err)
	}
	return seq, rec, nil
}

// compareAnchor: the journal holds all that the anchor has seen.
func (s *Store) compareAnchor(m *meta, last *mark, seq uint64) error {
	switch {
	case last.store != m.store:
		return fmt.Errorf("%w: the anchor belongs to store %x, the journal to %x", ErrCorrupt, last.store, m.store)
	case uint64(last.epoch) > m.epoch:
		return fmt.Errorf("%w: the anchor stands in epoch %d, the journal in %d", ErrCorrupt, last.epoch, m.epoch)
	case last.seq > seq:
		return fmt.Errorf("%w: the anchor stands at batch %d, the journal ends at batch %d: acknowledged records are lost after it", ErrCorrupt, last.seq, seq)
	}
	hash := genesis(m.store)
	if last.seq > 0 {
		val, found, err := s.eng.get(appendBatchKey(nil, last.seq), nil)
		if err != nil {
			return s.readError(err)
		}
		if !found {
			return fmt.Errorf("%w: batch %d is missing, the anchor stands there", ErrCorrupt, last.seq)
		}
		rec, err := parseBatchRecord(val)
		if err != nil {
			return fmt.Errorf("batch %d: %w", last.seq, err)
		}
		hash = rec.hash
	}
	if hash != last.hash {
		return fmt.Errorf("%w: batch %d has another hash than the anchor", ErrCorrupt, last.seq)
	}
	return nil
}

// proveTail computes the hashes of the last batches again.
func (s *Store) proveTail(id storeID, seq uint64) error {
	c, err := s.eng.cursor(bounds{lower: []byte{prefixBatch}, upper: []byte{prefixBatch + 1}, reverse: true})
	if err != nil {
		return s.readError(err)
	}
	defer c.close()
	v := verifier{from: s.eng}
	defer v.close()
	var link chainHash // what the batch before must end with
	records := 0
	want := seq
	for ok := c.first(); ok && seq-want < tailBatches && records < tailRecords; ok = c.next() {
		at, rec, err := batchAt(c)
		if err != nil {
			return err
		}
		if at != want {
			return fmt.Errorf("%w: batch %d is missing", ErrCorrupt, want)
		}
		if want < seq && rec.hash != link {
			return fmt.Errorf("%w: batch %d does not continue batch %d", ErrCorrupt, want+1, want)
		}
		if err := v.add(at, &rec); err != nil {
			return err
		}
		link, records = rec.prev, records+rec.count()
		want--
	}
	if err := v.flush(); err != nil {
		return err
	}
	if err := c.err(); err != nil {
		return s.readError(err)
	}
	if want == 0 && seq > 0 && link != genesis(id) {
		return fmt.Errorf("%w: batch 1 does not continue the genesis of this store", ErrCorrupt)
	}
	if want > 0 && seq-want < tailBatches && records < tailRecords {
		return fmt.Errorf("%w: batch %d is missing", ErrCorrupt, want)
	}
	return nil
}

// proveNoGap: every batch that was not yet in a table when the ledger was
// written is there and continues the one before. A log that is lost in the
// middle takes claims and indexes with it as well; each group of them has a
// batch. The bytes of the logs bound the work.
func (s *Store) proveNoGap(from, seq uint64) error {
	c, err := s.eng.cursor(bounds{lower: appendBatchKey(nil, from), upper: []byte{prefixBatch + 1}})
	if err != nil {
		return s.readError(err)
	}
	defer c.close()
	var last chainHash
	want := from
	for ok := c.first(); ok; ok = c.next() {
		at, rec, err := batchAt(c)
		switch {
		case err != nil:
			return err
		case at != want:
			return fmt.Errorf("%w: batch %d is missing", ErrCorrupt, want)
		case want > from && rec.prev != last:
			return fmt.Errorf("%w: batch %d does not continue batch %d", ErrCorrupt, at, at-1)
		}
		last = rec.hash
		want++
	}
	if err := c.err(); err != nil {
		return s.readError(err)
	}
	if want <= seq {
		return fmt.Errorf("%w: batch %d is missing", ErrCorrupt, want)
	}
	return nil
}
