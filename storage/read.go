package storage

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
)

// readError turns an error of the engine into one of the store's. The engine
// itself reports damage it meets in the background as fatal.
func (s *Store) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrCorrupt):
		return err
	case isCorruption(err):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return fmt.Errorf("storage: reading: %w", err)
}

// Get appends the value of key to dst[:0]. It returns only what is durable:
// when the newest write is still on its way, it waits for the disk.
func (s *Store) Get(sp Space, key, dst []byte) (val []byte, ok bool, err error) {
	if err := s.gate.enter(); err != nil {
		return nil, false, err
	}
	defer s.gate.leave()
	if !sp.valid() || len(key) > MaxKeyBytes {
		return nil, false, fmt.Errorf("%w: space 0x%02x, a key of %d bytes", ErrCommand, byte(sp), len(key))
	}
	var buf [64]byte
	val, ok, err = s.eng.get(append(append(buf[:0], byte(sp)), key...), dst)
	if err != nil {
		return nil, false, s.readError(err)
	}
	if err := s.settle(); err != nil {
		return nil, false, err
	}
	return val, ok, nil
}

// Records yields the records of id in ascending versions. The body is valid
// during the call only. All records are from one moment and durable.
func (s *Store) Records(id ID, yield func(version uint32, body []byte) bool) error {
	lower := appendRecordKey(make([]byte, 0, recordKeyBytes), id, 0)[:recordKeyBytes-4]
	return s.walk(bounds{lower: lower, upper: successor(lower)}, func(key, val []byte) (bool, error) {
		_, version, ok := splitRecordKey(key)
		if !ok {
			return false, fmt.Errorf("%w: a record key of %d bytes", ErrCorrupt, len(key))
		}
		return yield(version, val), nil
	})
}

// History yields the records of id with the versions 1, 2, 3 and so on, up to
// the first that is not there. It is Records for histories that have no gaps,
// and asks for each record by its whole key: a short history costs a fraction of
// a walk, which must look into every table.
func (s *Store) History(id ID, yield func(version uint32, body []byte) bool) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	p, err := s.eng.probe()
	if err != nil {
		return s.readError(err)
	}
	defer p.close()
	if err := s.settle(); err != nil {
		return err
	}
	var key [recordKeyBytes]byte
	for version := uint32(1); ; version++ {
		body, found, err := p.find(appendRecordKey(key[:0], id, version))
		if err != nil {
			return s.readError(err)
		}
		if !found || !yield(version, body) {
			return nil
		}
	}
}

// RecordsOf is Records for several ids, one after the other in the order given:
// all records are from one moment, and the disk is waited for once.
func (s *Store) RecordsOf(ids []ID, yield func(id ID, version uint32, body []byte) bool) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	c, err := s.eng.cursor(recordBounds)
	if err != nil {
		return s.readError(err)
	}
	defer c.close()
	if err := s.settle(); err != nil {
		return err
	}
	lower := make([]byte, 0, recordKeyBytes)
	for _, id := range ids {
		lower = appendRecordKey(lower[:0], id, 0)
		for ok := c.seek(lower); ok; ok = c.next() {
			found, version, good := splitRecordKey(c.key())
			if !good {
				return fmt.Errorf("%w: a record key of %d bytes", ErrCorrupt, len(c.key()))
			}
			if found != id {
				break
			}
			body, err := c.value()
			if err != nil {
				return s.readError(err)
			}
			if !yield(id, version, body) {
				return nil
			}
		}
		if err := c.err(); err != nil {
			return s.readError(err)
		}
	}
	return nil
}

// RecordsFrom yields every record of from and of the ids above it, in the order
// of ids, then versions.
func (s *Store) RecordsFrom(from ID, yield func(id ID, version uint32, body []byte) bool) error {
	b := recordBounds
	b.lower = appendRecordKey(nil, from, 0)
	return s.walk(b, func(key, val []byte) (bool, error) {
		id, version, ok := splitRecordKey(key)
		if !ok {
			return false, fmt.Errorf("%w: a record key of %d bytes", ErrCorrupt, len(key))
		}
		return yield(id, version, val), nil
	})
}

var recordBounds = bounds{lower: []byte{prefixRecord}, upper: []byte{prefixRecord + 1}}

// Range selects keys of one space. Prefix, From (inclusive) and To (exclusive)
// are whole keys without the space byte; an empty one does not limit.
type Range struct {
	Space   Space
	Prefix  []byte
	From    []byte
	To      []byte
	Reverse bool
}

func (r *Range) bounds() bounds {
	sp := []byte{byte(r.Space)}
	lower := append(append([]byte{}, sp...), r.Prefix...)
	upper := successor(lower)
	if from := append(append([]byte{}, sp...), r.From...); bytes.Compare(from, lower) > 0 {
		lower = from
	}
	if len(r.To) > 0 {
		if to := append(append([]byte{}, sp...), r.To...); bytes.Compare(to, upper) < 0 {
			upper = to
		}
	}
	return bounds{lower: lower, upper: upper, reverse: r.Reverse}
}

// successor is the first key after all keys with this prefix. The first byte
// of a prefix is never 0xff here, so there always is one.
func successor(prefix []byte) []byte {
	next := bytes.Clone(prefix)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i] != 0xff {
			next[i]++
			return next[:i+1]
		}
	}
	return nil
}

// Scan yields the keys of a range, without the space byte, in ascending order
// or in descending if Reverse. Key and value are valid during the call only.
// All of them are from one moment and durable. yield may use the store, but
// not Close it.
func (s *Store) Scan(r Range, yield func(key, val []byte) bool) error {
	if !r.Space.valid() {
		return fmt.Errorf("%w: space 0x%02x is not the caller's", ErrCommand, byte(r.Space))
	}
	return s.walk(r.bounds(), func(key, val []byte) (bool, error) { return yield(key[1:], val), nil })
}

// walk opens a cursor, waits until all it can show is durable, and goes along it.
func (s *Store) walk(b bounds, yield func(key, val []byte) (bool, error)) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if bytes.Compare(b.lower, b.upper) >= 0 {
		return nil
	}
	c, err := s.eng.cursor(b)
	if err != nil {
		return s.readError(err)
	}
	defer c.close()
	if err := s.settle(); err != nil {
		return err
	}
	for ok := c.first(); ok; ok = c.next() {
		val, err := c.value()
		if err != nil {
			return s.readError(err)
		}
		if more, err := yield(c.key(), val); err != nil || !more {
			return err
		}
	}
	return s.readError(c.err())
}

// Report is what Verify proved.
type Report struct {
	Batches uint64
	Records uint64
	Epoch   uint64
	Head    [32]byte // the chain hash after the last batch

	TableBytes uint64 // compared with the ledger
}

// Verify proves the whole chain, from the genesis to the head at the moment of
// the call: every batch continues the one before, every record listed is
// present and unchanged, and no record stands outside the chain. The first
// break gives ErrCorrupt with the number of the batch. Claims and indexes do not
// stand under the chain; every byte of the tables is compared with the ledger,
// and a difference gives ErrCorrupt with the name of the file. It may run beside
// writers. progress may be nil; it is called now and then, at the end always.
func (s *Store) Verify(ctx context.Context, progress func(done, total uint64)) (Report, error) {
	if err := s.gate.enter(); err != nil {
		return Report{}, err
	}
	defer s.gate.leave()
	if progress == nil {
		progress = func(done, total uint64) {}
	}
	snap := s.eng.snapshot()
	defer snap.close()
	if err := s.settle(); err != nil {
		return Report{}, err
	}
	stored := make(chan error, 1)
	var n uint64
	counting, cancel := context.WithCancel(ctx)
	go func() {
		var err error
		n, err = s.countRecords(counting, snap)
		stored <- err
	}()
	rep, err := s.verifyChain(ctx, snap, progress)
	if err != nil {
		cancel()
	}
	counted := <-stored
	cancel()
	if err := cmp.Or(err, counted); err != nil {
		return rep, err
	}
	// As each of the listed records is present once, none stands outside.
	want := rep.Records
	if n != want {
		return rep, fmt.Errorf("%w: %d records are stored, the chain lists %d", ErrCorrupt, n, want)
	}
	err = s.verifyTables(ctx, &rep)
	return rep, err
}

func (s *Store) verifyChain(ctx context.Context, snap *snapshot, progress func(done, total uint64)) (Report, error) {
	rep := Report{Epoch: s.epoch, Head: genesis(s.identity)}
	total := s.marks.durable.Load()
	c, err := snap.cursor(bounds{lower: []byte{prefixBatch}, upper: []byte{prefixBatch + 1}})
	if err != nil {
		return rep, s.readError(err)
	}
	defer c.close()
	v := verifier{from: snap}
	defer v.close()
	for ok := c.first(); ok; ok = c.next() {
		seq, rec, err := batchAt(c)
		switch {
		case err != nil:
			return rep, err
		case seq != rep.Batches+1:
			return rep, fmt.Errorf("%w: batch %d is missing", ErrCorrupt, rep.Batches+1)
		case rec.prev != rep.Head:
			return rep, fmt.Errorf("%w: batch %d does not continue batch %d", ErrCorrupt, seq, rep.Batches)
		}
		if err := v.add(seq, &rec); err != nil {
			return rep, err
		}
		rep.Batches, rep.Records, rep.Head = seq, rep.Records+uint64(rec.count()), rec.hash
		if seq%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return rep, err
			}
			progress(seq, max(total, seq))
		}
	}
	if err := errors.Join(s.readError(c.err()), v.flush()); err != nil {
		return rep, err
	}
	progress(rep.Batches, rep.Batches)
	return rep, nil
}

// countRecords returns how many records are stored.
func (s *Store) countRecords(ctx context.Context, snap *snapshot) (n uint64, err error) {
	c, err := snap.cursor(recordBounds)
	if err != nil {
		return 0, s.readError(err)
	}
	defer c.close()
	for ok := c.first(); ok; ok = c.next() {
		if n++; n%65536 == 0 && ctx.Err() != nil {
			return n, ctx.Err()
		}
	}
	return n, s.readError(c.err())
}
