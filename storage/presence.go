package storage

// presence knows which keys of the claimed spaces may be there, so that a claim
// of a new key, which is what nearly all claims are, needs no look into the
// engine. It errs to one side only: what it calls absent is absent. It belongs
// to the committer, which tells it of every key it writes and lets it read, a
// little before each group, what earlier lives of the store have written.
type presence struct {
	eng    *engine
	spaces [256]*known
	bytes  int // of all filters

	first  int // keys that the first filter of a space takes
	most   int // bytes; beyond them filters take more keys than they should, and help less
	stride int // keys read before a group
}

const (
	presenceFirst  = 1 << 16
	presenceMost   = 32 << 20
	presenceStride = 1 << 10
)

// known is what is known of one space.
type known struct {
	filters []filter
	from    []byte // the first key that was not read yet
	whole   bool   // every key of the space is in the filters
}

func (p *presence) init(eng *engine) {
	p.eng, p.first, p.most, p.stride = eng, presenceFirst, presenceMost, presenceStride
}

// absent reports whether the key is certainly not in the engine. Asked for the
// first time about a space, it begins to learn it.
func (p *presence) absent(key []byte, hash uint64) bool {
	k := p.spaces[key[0]]
	if k == nil {
		p.spaces[key[0]] = &known{from: []byte{key[0]}}
		return false
	}
	return k.whole && !k.holds(hash)
}

// learns reports whether note must be told of the keys of a space.
func (p *presence) learns(space byte) bool { return p.spaces[space] != nil }

// note takes a key that is about to be written. REQUIRES: learns.
func (p *presence) note(space byte, hash uint64) {
	k := p.spaces[space]
	n := len(k.filters)
	if n == 0 || k.filters[n-1].room <= 0 {
		room := p.first << n
		if size := filterBytes(room); n == 0 || p.bytes+size <= p.most {
			k.filters = append(k.filters, newFilter(room))
			p.bytes += size
			n++
		}
	}
	k.filters[n-1].add(hash)
}

// learn reads some keys that were written before the space was asked about.
// What cannot be read is left to the looks into the engine, which report it.
func (p *presence) learn(hash func(key []byte) uint64) {
	for space, k := range p.spaces {
		if k == nil || k.whole {
			continue
		}
		c, err := p.eng.cursor(bounds{lower: k.from, upper: []byte{byte(space) + 1}})
		if err != nil {
			return
		}
		ok := c.first()
		for n := 0; ok && n < p.stride; n++ {
			p.note(byte(space), hash(c.key()))
			k.from = append(append(k.from[:0], c.key()...), 0)
			ok = c.next()
		}
		k.whole = !ok && c.err() == nil
		c.close()
	}
}

func (k *known) holds(hash uint64) bool {
	for i := range k.filters {
		if k.filters[i].holds(hash) {
			return true
		}
	}
	return false
}

// filter is a Bloom filter whose bits of one key lie in one line of the
// processor's cache: 12 bits a key and 6 looks, one wrong answer in some hundreds.
type filter struct {
	lines []filterLine
	room  int // keys that it takes before it grows worse
}

type filterLine [8]uint64

const (
	filterKeyBits = 12
	filterLooks   = 6
)

func filterBytes(room int) int { return (room*filterKeyBits/512 + 1) * 64 }

func newFilter(room int) filter {
	return filter{lines: make([]filterLine, filterBytes(room)/64), room: room}
}

// place is the line of a hash, and nine bits for each look.
func (f *filter) place(hash uint64) (*filterLine, uint64) {
	line := (hash >> 32) * uint64(len(f.lines)) >> 32
	return &f.lines[line], hash * 0x9e3779b97f4a7c15
}

func (f *filter) add(hash uint64) {
	line, bits := f.place(hash)
	for range filterLooks {
		line[bits>>6&7] |= 1 << (bits & 63)
		bits >>= 9
	}
	f.room--
}

func (f *filter) holds(hash uint64) bool {
	line, bits := f.place(hash)
	for range filterLooks {
		if line[bits>>6&7]&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}
