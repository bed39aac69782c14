package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
)

// conditions decides whether the keys that a command wants absent are absent.
// It belongs to the committer, which judges the commands one after the other:
// what is present was applied before, or stands in the group being gathered.
type conditions struct {
	eng    *engine
	look   probe // into the engine, as it was when the group began
	open   bool
	seed   maphash.Seed
	group  map[uint64]place // keys that commands of the group put, by their hash
	sums   map[string]int64 // that commands of the group changed
	recent window
	past   presence
}

// place is one step of a command.
type place struct {
	cmd  *Command
	step int
}

func (k *conditions) init(eng *engine, newest ID) {
	k.eng, k.seed, k.group = eng, maphash.MakeSeed(), make(map[uint64]place)
	k.sums = make(map[string]int64)
	k.recent.init(newest, windowIDs)
	k.past.init(eng)
}

func (k *conditions) hash(key []byte) uint64 { return maphash.Bytes(k.seed, key) }

// begin readies the conditions for a group.
func (k *conditions) begin() { k.past.learn(k.hash) }

// written tells of a key that the group sets.
func (k *conditions) written(key []byte) {
	if k.past.learns(key[0]) {
		k.past.note(key[0], k.hash(key))
	}
}

// end forgets the group.
func (k *conditions) end() {
	clear(k.group)
	clear(k.sums)
	if k.open {
		k.look.close()
		k.open = false
	}
}

// judge returns the zero Result when the command applies, and then counts its
// keys among those that are present.
func (k *conditions) judge(c *Command) (Result, error) {
	for i := range c.steps {
		st := &c.steps[i]
		if !st.guards() {
			continue
		}
		key := c.keyOf(st)
		if st.kind == stepAdd {
			if short, err := k.add(key, c.arena[st.value:st.stop]); err != nil || short.Kind != 0 {
				return short, err
			}
			continue
		}
		if st.kind == stepAppend {
			if present, known := k.recent.has(key); present {
				return Result{Kind: Stale}, nil
			} else if known {
				continue
			}
		}
		val, found, err := k.find(key)
		switch {
		case err != nil:
			return Result{}, err
		case found && st.kind == stepAppend:
			return Result{Kind: Stale}, nil
		case found:
			return Result{Kind: Exists, Value: append([]byte{}, val...)}, nil
		}
	}
	for i := range c.steps {
		switch st := &c.steps[i]; {
		case st.kind == stepAppend && k.recent.add(c.keyOf(st)):
		case st.kind == stepAdd:
			k.sums[string(c.keyOf(st))], _ = ReadSum(c.valueOf(st))
		case st.kind == stepClaim || st.kind == stepAppend:
			k.put(place{c, i})
		}
	}
	return Result{}, nil
}

// add writes behind an Add's two numbers the sum that they make, or returns Short.
func (k *conditions) add(key, room []byte) (Result, error) {
	by, least := int64(binary.BigEndian.Uint64(room)), int64(binary.BigEndian.Uint64(room[8:]))
	sum, known := k.sums[string(key)]
	if !known {
		val, found, err := k.inEngine(key)
		switch {
		case err != nil:
			return Result{}, err
		case found:
			if sum, known = ReadSum(val); !known {
				return Result{}, fmt.Errorf("%w: a sum of %d bytes", ErrCorrupt, len(val))
			}
		}
	}
	next := sum + by
	switch {
	case by < 0 && next < least:
		return Result{Kind: Short, Value: AppendSum(nil, sum)}, nil
	case by > 0 && next < sum, by < 0 && next > sum:
		return Result{}, fmt.Errorf("%w: a sum beyond 64 bits", ErrCommand)
	}
	AppendSum(room[:16], next)
	return Result{}, nil
}

// find returns the value of a key in the group or in the engine.
func (k *conditions) find(key []byte) (val []byte, found bool, err error) {
	hash := k.hash(key)
	for h := hash; ; h++ {
		g, taken := k.group[h]
		if !taken {
			break
		}
		if st := &g.cmd.steps[g.step]; bytes.Equal(g.cmd.keyOf(st), key) {
			return g.cmd.valueOf(st), true, nil
		}
	}
	if key[0] != prefixRecord && k.past.absent(key, hash) {
		return nil, false, nil
	}
	return k.inEngine(key)
}

// inEngine returns the value that a key had when the group began.
func (k *conditions) inEngine(key []byte) (val []byte, found bool, err error) {
	if !k.open {
		if k.look, err = k.eng.probe(); err != nil {
			return nil, false, err
		}
		k.open = true
	}
	return k.look.find(key)
}

func (k *conditions) put(g place) {
	for h := k.hash(g.cmd.keyOf(&g.cmd.steps[g.step])); ; h++ {
		if _, taken := k.group[h]; !taken {
			k.group[h] = g
			return
		}
	}
}

// checkTwins refuses a command that guards one key twice. Commands guard one
// or two keys, so the square is small.
func (c *Command) checkTwins() error {
	for i := range c.steps {
		for j := range i {
			a, b := &c.steps[i], &c.steps[j]
			if a.guards() && b.guards() && bytes.Equal(c.keyOf(a), c.keyOf(b)) {
				return fmt.Errorf("%w: it guards one key twice", ErrCommand)
			}
		}
	}
	return nil
}

func (st *step) guards() bool {
	return st.kind == stepClaim || st.kind == stepAppend || st.kind == stepAdd
}

// windowIDs is half of how many histories the committer's window holds.
const windowIDs = 1 << 13

// window knows the records of the newest histories exactly, so that most
// appends need no look into the engine. Histories are newer when their id is
// larger; an id that comes late, below the window, is not known and costs that
// look, no more. The same goes for the versions from windowVersions on.
type window struct {
	half       int // so many histories in young turn the window
	below      ID  // of every larger id all records are in old or young
	old, young map[ID]versions
	oldTop     ID // the largest ids of the two
	youngTop   ID
}

// versions is a set of versions below windowVersions.
type versions uint64

const windowVersions = 64

func (w *window) init(newest ID, half int) {
	w.half = half
	w.below, w.oldTop, w.youngTop = newest, newest, newest
	w.old, w.young = make(map[ID]versions), make(map[ID]versions)
}

func (w *window) knows(id ID, version uint32) bool {
	return bytes.Compare(id[:], w.below[:]) > 0 && version < windowVersions
}

// has says whether the record with this key is there, if the window knows.
func (w *window) has(key []byte) (present, known bool) {
	id, version, _ := splitRecordKey(key)
	if !w.knows(id, version) {
		return false, false
	}
	return (w.young[id]|w.old[id])&(1<<version) != 0, true
}

// add notes a record. It reports false if the window does not know its kind.
func (w *window) add(key []byte) bool {
	id, version, _ := splitRecordKey(key)
	if !w.knows(id, version) {
		return false
	}
	if v, aged := w.old[id]; aged {
		w.old[id] = v | 1<<version
		return true
	}
	w.young[id] |= 1 << version
	if bytes.Compare(id[:], w.youngTop[:]) > 0 {
		w.youngTop = id
	}
	if len(w.young) >= w.half {
		w.turn()
	}
	return true
}

// turn lets go of the older half.
func (w *window) turn() {
	if bytes.Compare(w.oldTop[:], w.below[:]) > 0 {
		w.below = w.oldTop
	}
	clear(w.old)
	w.old, w.young = w.young, w.old
	w.oldTop, w.youngTop = w.youngTop, w.below
}
