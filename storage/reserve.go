package storage

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
)

// counters hold the next free number of each name.
type counters struct {
	mu   sync.Mutex
	next map[string]uint64
}

// Reserve returns the first of n numbers of the counter name that were never
// given before, also across crashes; the first number of a new counter is 1.
// The end of the block is durable before Reserve returns. Errors: ErrCommand
// (a name of more than 255 bytes, n = 0, or the counter is exhausted),
// ErrClosed, ErrFailed, ErrReadOnly; after an error the numbers are lost.
func (s *Store) Reserve(name string, n uint64) (first uint64, err error) {
	if err := s.gate.enter(); err != nil {
		return 0, err
	}
	defer s.gate.leave()
	switch {
	case s.o.ReadOnly:
		return 0, ErrReadOnly
	case name == "" || len(name) > 255 || n == 0:
		return 0, fmt.Errorf("%w: a counter with a name of %d bytes, %d numbers", ErrCommand, len(name), n)
	}
	if err := s.failed(); err != nil {
		return 0, err
	}
	var c Command
	p := s.pending(&c)
	defer s.release(p)
	if first, err = s.reserve(name, n, p); err != nil {
		return 0, err
	}
	<-p.wake
	return first, p.err
}

// reserve takes the block and queues its end under one lock, so that the ends
// reach the journal in rising order.
func (s *Store) reserve(name string, n uint64, p *pending) (uint64, error) {
	s.count.mu.Lock()
	defer s.count.mu.Unlock()
	key := append([]byte{prefixCounter}, name...)
	first, known := s.count.next[name]
	if !known {
		val, found, err := s.eng.get(key, nil)
		switch {
		case err != nil:
			return 0, s.readError(err)
		case !found:
			first = 1
		case len(val) != 8:
			return 0, fmt.Errorf("%w: counter %q holds %d bytes", ErrCorrupt, name, len(val))
		default:
			first = binary.BigEndian.Uint64(val)
		}
	}
	if n > math.MaxUint64-first {
		return 0, fmt.Errorf("%w: counter %q is exhausted", ErrCommand, name)
	}
	if s.count.next == nil {
		s.count.next = make(map[string]uint64)
	}
	s.count.next[name] = first + n
	p.cmd.put(key, binary.BigEndian.AppendUint64(nil, first+n))
	s.enqueue(p)
	return first, nil
}

// put is Set for a key of storage's own.
func (c *Command) put(key, val []byte) {
	at := uint32(len(c.arena))
	c.arena = append(c.arena, key...)
	mid := uint32(len(c.arena))
	c.arena = append(c.arena, val...)
	c.steps = append(c.steps, step{kind: stepSet, key: at, value: mid, stop: uint32(len(c.arena))})
}
