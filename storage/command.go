package storage

import (
	"encoding/binary"
	"fmt"
)

// Limits of one command. A command above them gets ErrCommand from Do.
const (
	MaxKeyBytes     = 1 << 10
	MaxValueBytes   = 1 << 20
	MaxCommandBytes = 4 << 20
	MaxSteps        = 1 << 10
)

type stepKind uint8

const (
	stepSet stepKind = iota
	stepClaim
	stepAppend
	stepDelete
	stepAdd
)

// step is one write; key and value lie in the command's arena.
type step struct {
	kind             stepKind
	key, value, stop uint32 // offsets: key is arena[key:value], the value arena[value:stop]
}

// Command is one atomic, durable step: all of it happens or nothing. The zero
// value is ready; Reset makes it ready again and keeps its memory. It copies
// everything it is given. Not safe for concurrent use; it must rest while a Do
// with it is running.
type Command struct {
	arena  []byte
	steps  []step
	guards int // number of Claims, Appends and Adds
	err    error
}

// Reset forgets the steps and keeps the memory.
func (c *Command) Reset() {
	c.arena, c.steps = c.arena[:0], c.steps[:0]
	c.guards, c.err = 0, nil
}

// Claim puts key with val if key is absent; if it is present the whole command
// has no effect and Do returns Exists with the present value.
// REQUIRES: no other command Sets this key at the same time, and no command
// claims one key twice (ErrCommand).
func (c *Command) Claim(sp Space, key, val []byte) {
	if c.open(stepClaim, sp, len(key), len(val)) {
		c.guards++
		c.shut(sp, key, val)
	}
}

// Append adds the record (id, version). If that record is present the whole
// command has no effect and Do returns Stale. Records are never changed.
func (c *Command) Append(id ID, version uint32, body []byte) {
	if !c.room(len(id)+5, len(body)) {
		return
	}
	c.guards++
	at := uint32(len(c.arena))
	c.arena = appendRecordKey(c.arena, id, version)
	mid := uint32(len(c.arena))
	c.arena = append(c.arena, body...)
	c.steps = append(c.steps, step{kind: stepAppend, key: at, value: mid, stop: uint32(len(c.arena))})
}

// Add adds by to the sum at key, where an absent one is 0. When by is negative
// and the sum would be below least, the whole command has no effect and Do
// returns Short with the sum as it is; see ReadSum. The order of all sums of a
// key is that in which their commands are applied.
// REQUIRES: a key of sums is changed by Add alone, but for a Set or Delete that no
// Add runs beside; no command adds to one key twice (ErrCommand).
func (c *Command) Add(sp Space, key []byte, by, least int64) {
	if !c.open(stepAdd, sp, len(key), sumBytes) {
		return
	}
	c.guards++
	var val [sumBytes]byte // by, least, and what judge makes of them
	binary.BigEndian.PutUint64(val[:], uint64(by))
	binary.BigEndian.PutUint64(val[8:], uint64(least))
	c.shut(sp, key, val[:])
}

// sumBytes is the room of an Add: its two numbers and the sum.
const sumBytes = 3 * 8

// AppendSum appends a sum as the journal holds it, for a Set.
func AppendSum(dst []byte, sum int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(sum)) }

// ReadSum reads a sum; false: the value is none.
func ReadSum(val []byte) (sum int64, ok bool) {
	if len(val) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(val)), true
}

// Set puts key with val, present or not.
func (c *Command) Set(sp Space, key, val []byte) {
	if c.open(stepSet, sp, len(key), len(val)) {
		c.shut(sp, key, val)
	}
}

// Delete removes key, present or not.
func (c *Command) Delete(sp Space, key []byte) {
	if c.open(stepDelete, sp, len(key), 0) {
		c.shut(sp, key, nil)
	}
}

// open checks the limits and begins a step.
func (c *Command) open(kind stepKind, sp Space, key, val int) bool {
	if !sp.valid() {
		c.refuse(fmt.Errorf("%w: space 0x%02x is not the caller's", ErrCommand, byte(sp)))
		return false
	}
	if !c.room(key, val) {
		return false
	}
	c.steps = append(c.steps, step{kind: kind, key: uint32(len(c.arena))})
	return true
}

func (c *Command) shut(sp Space, key, val []byte) {
	c.arena = append(c.arena, byte(sp))
	c.arena = append(c.arena, key...)
	st := &c.steps[len(c.steps)-1]
	st.value = uint32(len(c.arena))
	c.arena = append(c.arena, val...)
	st.stop = uint32(len(c.arena))
}

func (c *Command) room(key, val int) bool {
	switch {
	case key > MaxKeyBytes:
		c.refuse(fmt.Errorf("%w: a key of %d bytes, at most %d", ErrCommand, key, MaxKeyBytes))
	case val > MaxValueBytes:
		c.refuse(fmt.Errorf("%w: a value of %d bytes, at most %d", ErrCommand, val, MaxValueBytes))
	case len(c.arena)+key+val >= MaxCommandBytes:
		c.refuse(fmt.Errorf("%w: more than %d bytes in all", ErrCommand, MaxCommandBytes))
	case len(c.steps) >= MaxSteps:
		c.refuse(fmt.Errorf("%w: more than %d steps", ErrCommand, MaxSteps))
	default:
		return true
	}
	return false
}

func (c *Command) refuse(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *Command) keyOf(st *step) []byte { return c.arena[st.key:st.value] }

// valueOf is what a step puts; of an Add the sum, when it is judged.
func (c *Command) valueOf(st *step) []byte {
	if st.kind == stepAdd {
		return c.arena[st.stop-8 : st.stop]
	}
	return c.arena[st.value:st.stop]
}

// ResultKind says what a command did.
type ResultKind uint8

// Applied: all of it is durable. Exists and Stale: nothing of it happened,
// because a claimed key, or an appended record, was there before. Short: nothing
// of it happened, because a sum would have been too small.
const (
	Applied ResultKind = iota + 1
	Exists
	Stale
	Short
)

// String returns the kind's name in lower case.
func (k ResultKind) String() string {
	switch k {
	case Applied:
		return "applied"
	case Exists:
		return "exists"
	case Stale:
		return "stale"
	case Short:
		return "short"
	}
	return "none"
}

// Result of a command without an error. Value is the present value of the
// first claim that clashed, or the sum that was too small; it belongs to the caller.
type Result struct {
	Kind  ResultKind
	Value []byte
}

// Keys of storage itself lie outside the callers' spaces.
const (
	prefixMeta    = 0x01
	prefixBatch   = 0x02
	prefixCounter = 0x03
	prefixRecord  = 0x80
)

const recordKeyBytes = 1 + 16 + 4

func appendRecordKey(dst []byte, id ID, version uint32) []byte {
	dst = append(dst, prefixRecord)
	dst = append(dst, id[:]...)
	return binary.BigEndian.AppendUint32(dst, version)
}

// splitRecordKey is the inverse of appendRecordKey.
func splitRecordKey(key []byte) (id ID, version uint32, ok bool) {
	if len(key) != recordKeyBytes || key[0] != prefixRecord {
		return id, 0, false
	}
	copy(id[:], key[1:])
	return id, binary.BigEndian.Uint32(key[17:]), true
}
