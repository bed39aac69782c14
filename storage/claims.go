package storage

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math/bits"
	"sync"
)

const stripes = 64

// claimSet holds the hashes of the keys that running commands want absent.
// A hash collision only makes the later command wait for the earlier one: what
// decides is the engine's answer, read while the mark is held.
type claimSet struct {
	seed maphash.Seed
	part [stripes]stripe
}

type stripe struct {
	mu      sync.Mutex
	gone    sync.Cond // a mark of this stripe was removed
	waiting int
	marks   map[uint64]*pending
	_       [40]byte // keeps neighbours off one cache line
}

func (cs *claimSet) init() {
	cs.seed = maphash.MakeSeed()
	for i := range cs.part {
		p := &cs.part[i]
		p.gone.L, p.marks = &p.mu, make(map[uint64]*pending)
	}
}

// mark takes the marks of all guarded keys of p.cmd, or waits until the other
// commands that hold some of them are through. The stripes are locked in
// ascending order and all marks are taken at once, so that two commands cannot
// wait for each other.
func (cs *claimSet) mark(p *pending) error {
	c := p.cmd
	c.hashes = c.hashes[:0]
	var wanted uint64
	for i := range c.steps {
		if st := &c.steps[i]; st.kind == stepClaim || st.kind == stepAppend {
			h := maphash.Bytes(cs.seed, c.keyOf(st))
			c.hashes = append(c.hashes, h)
			wanted |= 1 << (h % stripes)
		}
	}
	if err := c.checkTwins(); err != nil {
		return err
	}
	for !cs.take(p, wanted) {
	}
	return nil
}

// take marks everything and returns true, or waits for one change and returns false.
func (cs *claimSet) take(p *pending, wanted uint64) bool {
	for w := wanted; w != 0; w &= w - 1 {
		cs.part[bits.TrailingZeros64(w)].mu.Lock()
	}
	for _, h := range p.cmd.hashes {
		part := &cs.part[h%stripes]
		if _, taken := part.marks[h]; taken {
			cs.unlock(wanted &^ (1 << (h % stripes)))
			part.waiting++
			for _, taken = part.marks[h]; taken; _, taken = part.marks[h] {
				part.gone.Wait()
			}
			part.waiting--
			part.mu.Unlock()
			return false
		}
	}
	for _, h := range p.cmd.hashes {
		cs.part[h%stripes].marks[h] = p
	}
	cs.unlock(wanted)
	return true
}

func (cs *claimSet) unlock(set uint64) {
	for ; set != 0; set &= set - 1 {
		cs.part[bits.TrailingZeros64(set)].mu.Unlock()
	}
}

// unmark gives the marks back. The outcome of p must be visible to readers of
// the engine, or p must have had no effect.
func (cs *claimSet) unmark(p *pending) {
	for _, h := range p.cmd.hashes {
		part := &cs.part[h%stripes]
		part.mu.Lock()
		if part.marks[h] == p {
			delete(part.marks, h)
			if part.waiting > 0 {
				part.gone.Broadcast()
			}
		}
		part.mu.Unlock()
	}
}

// checkTwins refuses a command that guards one key twice. Commands guard one
// or two keys, so the square is small; hashes are compared first.
func (c *Command) checkTwins() error {
	for i := 1; i < len(c.hashes); i++ {
		for j := range i {
			if c.hashes[i] == c.hashes[j] && bytes.Equal(c.guardKey(i), c.guardKey(j)) {
				return fmt.Errorf("%w: it wants one key absent twice", ErrCommand)
			}
		}
	}
	return nil
}

// guardKey is the key of the n-th Claim or Append.
func (c *Command) guardKey(n int) []byte {
	for i := range c.steps {
		if st := &c.steps[i]; st.kind == stepClaim || st.kind == stepAppend {
			if n == 0 {
				return c.keyOf(st)
			}
			n--
		}
	}
	return nil
}
