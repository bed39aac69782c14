package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
)

type chainHash [sha256.Size]byte

type storeID [16]byte

// chainEntry names one record under the chain.
type chainEntry struct {
	ID      ID
	Version uint32
}

const (
	entryBytes       = 16 + 4
	batchHeaderBytes = 2 * sha256.Size
	batchKeyBytes    = 1 + 8
	genesisText      = "tranzit journal chain 1\n"
)

// genesis is the hash before the first batch. It binds the chain to one store.
func genesis(id storeID) chainHash {
	return sha256.Sum256(append([]byte(genesisText), id[:]...))
}

func appendBatchKey(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, prefixBatch), seq)
}

// batchRecord is the value under (seq): the hash before, the hash after, and
// the records that the batch appended, in order. It aliases the stored value.
type batchRecord struct {
	prev, hash chainHash
	entries    []byte // entryBytes each
}

func (b *batchRecord) count() int { return len(b.entries) / entryBytes }

func (b *batchRecord) entry(i int) (e chainEntry) {
	at := b.entries[i*entryBytes:]
	copy(e.ID[:], at)
	e.Version = binary.BigEndian.Uint32(at[16:])
	return e
}

// parseBatchRecord reads the value of a batch key.
func parseBatchRecord(val []byte) (b batchRecord, err error) {
	if len(val) < batchHeaderBytes || (len(val)-batchHeaderBytes)%entryBytes != 0 {
		return b, fmt.Errorf("%w: a batch record of %d bytes", ErrCorrupt, len(val))
	}
	copy(b.prev[:], val)
	copy(b.hash[:], val[sha256.Size:])
	b.entries = val[batchHeaderBytes:]
	return b, nil
}

// chain computes the hashes of the batches, one after the other:
// hash = SHA-256(prev, seq, then id, version, length and body of each record),
// numbers big-endian, the length as 32 bits. Owned by the committer.
type chain struct {
	seq    uint64
	head   chainHash
	digest hash.Hash
	record []byte // the batch record in the making
	small  [entryBytes + 4]byte
}

func (c *chain) init(seq uint64, head chainHash) {
	c.seq, c.head, c.digest = seq, head, sha256.New()
}

// begin starts the next batch, or starts it again.
func (c *chain) begin() {
	c.digest.Reset()
	c.digest.Write(c.head[:])
	binary.BigEndian.PutUint64(c.small[:8], c.seq+1)
	c.digest.Write(c.small[:8])
	c.record = append(c.record[:0], c.head[:]...)
	c.record = append(c.record, c.head[:]...) // the place of the new hash
}

// add takes one record by its key.
func (c *chain) add(key, body []byte) {
	name := key[1:]
	copy(c.small[:], name)
	binary.BigEndian.PutUint32(c.small[entryBytes:], uint32(len(body)))
	c.digest.Write(c.small[:])
	c.digest.Write(body)
	c.record = append(c.record, name...)
}

// finish moves the head and returns the batch record, valid until begin.
func (c *chain) finish() []byte {
	sum := c.digest.Sum(c.record[sha256.Size:sha256.Size])
	copy(c.head[:], sum)
	c.seq++
	return c.record
}
