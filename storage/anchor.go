package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync/atomic"
)

// The anchor stands outside the engine's log and says how far the journal
// reached. It holds two slots that are written in turn, each in a page of its
// own, so that a torn write spoils at most the newer one.
const (
	anchorName    = "ANCHOR"
	anchorSlot    = 64
	anchorStride  = 4096
	anchorSlots   = 2
	anchorVersion = "tranzit anchor 1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mark is the content of one slot.
type mark struct {
	seq   uint64
	epoch uint32
	hash  chainHash
	store storeID
}

// append writes seq, epoch, hash, store id and a checksum, 64 bytes in all.
func (m *mark) append(dst []byte) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, m.seq)
	dst = binary.BigEndian.AppendUint32(dst, m.epoch)
	dst = append(dst, m.hash[:]...)
	dst = append(dst, m.store[:]...)
	return binary.BigEndian.AppendUint32(dst, anchorSum(dst[at:]))
}

func anchorSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(anchorVersion), castagnoli), castagnoli, b)
}

func parseMark(b []byte) (m mark, ok bool) {
	if len(b) < anchorSlot || anchorSum(b[:60]) != binary.BigEndian.Uint32(b[60:]) {
		return m, false
	}
	m.seq, m.epoch = binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])
	copy(m.hash[:], b[12:])
	copy(m.store[:], b[44:])
	return m, true
}

// newer: later in the life of the store.
func (m *mark) newer(o *mark) bool {
	return m.epoch > o.epoch || m.epoch == o.epoch && m.seq > o.seq
}

// anchorFile is what the anchor needs of a file.
type anchorFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
}

// anchor is written by one goroutine (the syncer, or Open before it starts)
// and synced by any.
type anchor struct {
	file  anchorFile
	last  mark
	next  int // slot to write
	buf   [anchorSlot]byte
	dirty atomic.Bool
}

// read returns the newest valid slot. found is false when the file is empty;
// a file without a valid slot is damaged.
func (a *anchor) read() (m mark, found bool, err error) {
	empty := true
	for i := range anchorSlots {
		var b [anchorSlot]byte
		n, err := a.file.ReadAt(b[:], int64(i)*anchorStride)
		if err != nil && !errors.Is(err, io.EOF) {
			return m, false, fmt.Errorf("storage: reading the anchor: %w", err)
		}
		if b != [anchorSlot]byte{} {
			empty = false
		}
		if got, ok := parseMark(b[:n]); ok && (!found || got.newer(&m)) {
			m, found = got, true
			a.next = (i + 1) % anchorSlots
		}
	}
	if !found && !empty {
		return m, false, fmt.Errorf("%w: file %s has no valid slot", ErrCorrupt, anchorName)
	}
	a.last = m
	return m, found, nil
}

// write records that the journal is durable up to seq. It does not sync: after
// a crash of the process the page cache still holds it, and after a power cut
// an older anchor is a weaker proof but a true one.
func (a *anchor) write(seq uint64, head chainHash) error {
	a.last.seq, a.last.hash = seq, head
	if _, err := a.file.WriteAt(a.last.append(a.buf[:0]), int64(a.next)*anchorStride); err != nil {
		return fmt.Errorf("writing the anchor: %w", err)
	}
	a.next = (a.next + 1) % anchorSlots
	a.dirty.Store(true)
	return nil
}

func (a *anchor) sync() error {
	if !a.dirty.Swap(false) {
		return nil
	}
	if err := a.file.Sync(); err != nil {
		return fmt.Errorf("syncing the anchor: %w", err)
	}
	return nil
}

func (a *anchor) close() error { return a.file.Close() }
