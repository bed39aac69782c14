package storage

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// A window of batches is proven at once: its records are read in the order of
// their keys, in one sweep, and hashed in the order of the chain. Records of one
// time lie together, so the sweep rarely has to seek.
const (
	windowRecords = 16384
	windowBytes   = 64 << 20 // of bodies; a window with more is proven record by record
	windowSteps   = 8        // so many records are stepped over before seeking
)

// reader is a view of the store: the engine itself, or a snapshot.
type reader interface {
	get(key, dst []byte) ([]byte, bool, error)
	cursor(b bounds) (*cursor, error)
}

// verifier computes hashes of stored batches, in any order of them.
type verifier struct {
	from    reader
	at      *cursor // on the records, nil before the first window
	chain   chain
	key     []byte
	body    []byte
	batches []listedBatch
	wanted  []wantedRecord
	order   []int32 // indexes of wanted by key
	bodies  []byte
}

// listedBatch is a batch whose records are wanted[first:stop].
type listedBatch struct {
	seq         uint64
	prev, hash  chainHash
	first, stop int
}

type wantedRecord struct {
	name     [entryBytes]byte // id and version
	batch    int32
	at, stop int // of the body in bodies
}

func (v *verifier) close() {
	if v.at != nil {
		v.at.close()
	}
}

// add proves that the records listed under seq are present and unchanged, at
// the latest with flush.
func (v *verifier) add(seq uint64, rec *batchRecord) error {
	b := listedBatch{seq: seq, prev: rec.prev, hash: rec.hash, first: len(v.wanted)}
	for i := range rec.count() {
		w := wantedRecord{batch: int32(len(v.batches))}
		copy(w.name[:], rec.entries[i*entryBytes:])
		v.wanted = append(v.wanted, w)
	}
	b.stop = len(v.wanted)
	v.batches = append(v.batches, b)
	if len(v.wanted) < windowRecords {
		return nil
	}
	return v.flush()
}

// flush proves what was added since.
func (v *verifier) flush() error {
	if v.chain.digest == nil {
		v.chain.digest = sha256.New()
	}
	whole, err := v.sweep()
	if err != nil {
		return err
	}
	for i := range v.batches {
		if err := v.prove(&v.batches[i], whole); err != nil {
			return err
		}
	}
	v.batches, v.wanted, v.bodies = v.batches[:0], v.wanted[:0], v.bodies[:0]
	return nil
}

// sweep reads the wanted records. It returns false when they are too large to
// be held at once.
func (v *verifier) sweep() (whole bool, err error) {
	v.order = v.order[:0]
	for i := range v.wanted {
		v.order = append(v.order, int32(i))
	}
	slices.SortFunc(v.order, func(a, b int32) int { return bytes.Compare(v.wanted[a].name[:], v.wanted[b].name[:]) })
	if v.at == nil {
		if v.at, err = v.from.cursor(recordBounds); err != nil {
			return false, err
		}
	}
	there := false
	for n, i := range v.order {
		w := &v.wanted[i]
		v.key = append(append(v.key[:0], prefixRecord), w.name[:]...)
		if n == 0 {
			there = v.at.seek(v.key)
		} else {
			there = there && v.at.reach(v.key)
		}
		if !there || !bytes.Equal(v.at.key(), v.key) {
			if err := v.at.err(); err != nil {
				return false, v.failed(w, err)
			}
			return false, v.failed(w, nil)
		}
		body, err := v.at.value()
		if err != nil {
			return false, v.failed(w, err)
		}
		w.at = len(v.bodies)
		v.bodies = append(v.bodies, body...)
		w.stop = len(v.bodies)
		if len(v.bodies) > windowBytes {
			return false, nil
		}
	}
	return true, nil
}

// failed names a record that could not be read, or is missing.
func (v *verifier) failed(w *wantedRecord, err error) error {
	e := batchRecord{entries: w.name[:]}
	name := e.entry(0)
	if err == nil {
		err = errors.New("it is missing")
	}
	return fmt.Errorf("%w: batch %d: record %x version %d: %w", ErrCorrupt, v.batches[w.batch].seq, name.ID, name.Version, err)
}

// prove computes the hash of one batch again.
func (v *verifier) prove(b *listedBatch, whole bool) error {
	v.chain.seq, v.chain.head = b.seq-1, b.prev
	v.chain.begin()
	for i := b.first; i < b.stop; i++ {
		w := &v.wanted[i]
		v.key = append(append(v.key[:0], prefixRecord), w.name[:]...)
		body := v.bodies[w.at:w.stop]
		if !whole {
			var found bool
			var err error
			if body, found, err = v.from.get(v.key, v.body); err != nil || !found {
				return v.failed(w, err)
			}
			v.body = body
		}
		v.chain.add(v.key, body)
	}
	v.chain.finish()
	if v.chain.head != b.hash {
		return fmt.Errorf("%w: batch %d: its records do not give its hash", ErrCorrupt, b.seq)
	}
	return nil
}
