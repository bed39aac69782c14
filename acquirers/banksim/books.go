package banksim

import (
	"bytes"
	"hash/maphash"
	"sync"

	"github.com/tranzit/tranzit/iso"
)

// Books are what the bank knows: one entry per identity (MTI class, STAN, DE7,
// terminal, RRN), each charged at most once and reversed at most once.
// Goroutine-safe. An entry costs about 150 bytes.
type Books struct {
	codes *Codes
	over  int64 // percent of a hold that captures may take beyond it
	whole bool  // an increment names the new total, not what is added

	mu      sync.Mutex
	slabs   [][]row // of slabRows each, append-only
	count   uint32
	index   map[uint64]uint32 // hash of the identity without DE7 and RRN -> newest entry of its chain
	seed    maphash.Seed
	names   []string
	nameIDs map[string]uint32
	totals  map[uint16]*Totals
	carried map[uint32]*Carried // of few entries
	states  [numStates]uint64
	stats   bookStats
}

type bookStats struct {
	duplicates, conflicts, reversalRepeats, reversalsRefused, lateReversals uint64
}

const (
	slabRows   = 4096
	maxEntries = 1<<32 - 2
	maxNames   = 1 << 20
)

// identity is how the bank tells one request from another.
type identity struct {
	class    byte
	stan     uint32
	de7      []byte // nil: not known
	rrn      []byte // nil: not known
	terminal []byte
}

// facts are what one request or reversal says.
type facts struct {
	id       identity
	original identity // of the hold or charge that a capture or a refund refers to; class 0: none
	mti      iso.MTI
	kind     kind
	merchant []byte
	amount   int64
	actual   int64 // a partial reversal's DE95 amount: what stays charged; 0 = nothing stays
	currency uint16
	bin      uint32
	last4    uint16
	panLen   uint8
	at       int64
	seen     *iso.Seen // nil: nothing beside the facts of every request
}

// verdict is what the books say to a message.
type verdict struct {
	seq    uint32
	code   string
	amount int64 // approved; 0 = as asked
	silent bool  // no answer, whatever the fault
	replay bool  // the identity was known
	named  bool  // an approval has a network transaction id
	first  bool  // of a reversal: the first one seen for its original
}

func newBooks(codes *Codes, over int) *Books {
	return &Books{codes: codes, over: int64(over), index: map[uint64]uint32{}, seed: maphash.MakeSeed(),
		nameIDs: map[string]uint32{"": 0}, names: []string{""}, totals: map[uint16]*Totals{},
		carried: map[uint32]*Carried{}}
}

func (b *Books) row(seq uint32) *row { return &b.slabs[(seq-1)/slabRows][(seq-1)%slabRows] }

func (b *Books) hash(id *identity, terminal uint32) uint64 {
	var k [9]byte
	k[0] = id.class
	put32(k[1:], id.stan)
	put32(k[5:], terminal)
	return maphash.Bytes(b.seed, k[:])
}

func put32(b []byte, v uint32) {
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}

// name numbers a terminal or merchant text. Texts past the limit share number 0.
func (b *Books) name(text []byte) uint32 {
	if n, ok := b.nameIDs[string(text)]; ok {
		return n
	}
	if len(b.names) >= maxNames {
		return 0
	}
	n := uint32(len(b.names))
	b.names = append(b.names, printable(text))
	b.nameIDs[string(text)] = n
	return n
}

func (r *row) is(id *identity, terminal uint32) bool {
	return r.stan == id.stan && r.terminal == terminal && r.mti.Class() == id.class &&
		(id.rrn == nil || equalPadded(r.rrn[:], id.rrn)) && (id.de7 == nil || equalPadded(r.de7[:], id.de7))
}

func equalPadded(fixed, b []byte) bool {
	if len(b) > len(fixed) {
		b = b[:len(fixed)]
	}
	return bytes.Equal(trimZero(fixed), b)
}

func (b *Books) find(h uint64, id *identity, terminal uint32) uint32 {
	for seq := b.index[h]; seq != 0; seq = b.row(seq).chain {
		if b.row(seq).is(id, terminal) {
			return seq
		}
	}
	return 0
}

func (b *Books) add(h uint64, f *facts, terminal uint32) (uint32, *row) {
	if int(b.count)%slabRows == 0 {
		b.slabs = append(b.slabs, make([]row, slabRows))
	}
	b.count++
	seq, r := b.count, b.row(b.count)
	*r = row{received: f.at, amount: f.amount, chain: b.index[h], stan: f.id.stan, terminal: terminal,
		merchant: b.name(f.merchant), bin: f.bin, currency: f.currency, last4: f.last4, mti: f.mti,
		panDigits: f.panLen, kind: f.kind}
	copy(r.rrn[:], f.id.rrn)
	copy(r.de7[:], f.id.de7)
	b.index[h] = seq
	return seq, r
}

func (b *Books) move(r *row, to State) {
	if r.state != stateNone {
		b.states[r.state]--
	}
	r.state = to
	b.states[to]++
}

func bump(n *uint16) {
	if *n < 65535 {
		*n++
	}
}

// request applies one request or advice at most once and says what to answer.
func (b *Books) request(f *facts, p *Plan, answered bool) verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	terminal := b.name(f.id.terminal)
	h := b.hash(&f.id, terminal)
	if seq := b.find(h, &f.id, terminal); seq != 0 {
		return b.again(seq, f, answered)
	}
	if b.count >= maxEntries {
		return verdict{silent: true}
	}
	seq, r := b.add(h, f, terminal)
	r.requests = 1
	r.setCode(p.Code)
	if f.seen != nil {
		b.carried[seq] = carriedOf(f.seen)
	}
	if answered {
		r.flags |= flagAnswered
	}
	v := verdict{seq: seq, code: p.Code, amount: p.Amount, named: named(f.seen)}
	takes := p.Effect == Take || p.Effect == ByCode && approves(p.Code)
	if takes && f.original.class != 0 {
		if code := b.against(r, f); code != "" {
			r.setCode(code)
			v.code, takes = code, false
		}
	}
	switch {
	case takes:
		b.take(r, p.Amount)
	case p.Fault == FaultNoAnswer && p.Effect == Nothing:
		b.move(r, StateUnanswered)
		r.code = [3]byte{}
		v.silent = true
	default:
		b.move(r, StateDeclined)
	}
	return v
}

func (b *Books) take(r *row, approved int64) {
	r.charged = r.amount
	if approved > 0 {
		r.charged = approved
	}
	t := b.total(r.currency)
	switch r.kind {
	case kindRefund:
		t.Refunded.add(r.charged)
		b.move(r, StateCredited)
		if r.original != 0 {
			b.row(r.original).credited += r.charged
		}
	case kindCapture:
		t.Captured.add(r.charged)
		b.move(r, StateCaptured)
		if r.original != 0 {
			b.row(r.original).taken += r.charged
		}
	case kindVerification:
		b.move(r, StateVerified)
	case kindIncrement:
		o := b.row(r.original)
		if b.whole {
			r.charged = max(0, r.charged-o.held())
		}
		o.raised += r.charged
		t.Charged.add(r.charged)
		b.move(r, StateCharged)
	default:
		t.Charged.add(r.charged)
		b.move(r, StateCharged)
	}
}

// held is what stands of a hold or a charge.
func (r *row) held() int64 { return r.charged + r.raised - r.reversed }

// against holds a capture, an increment or a refund to what it refers to. It returns the
// bank's refusal, or "" and the original is noted. A refund of something the
// books do not hold is taken as it stands: it may be older than they are.
func (b *Books) against(r *row, f *facts) string {
	terminal := b.name(f.id.terminal)
	seq := b.find(b.hash(&f.original, terminal), &f.original, terminal)
	switch {
	case seq == 0 && r.kind == kindRefund:
		return ""
	case seq == 0:
		return b.codes.NoOriginal
	}
	o := b.row(seq)
	if o.bin != r.bin || o.last4 != r.last4 || o.panDigits != r.panDigits {
		return b.codes.BadCard
	}
	left := o.held()
	hold := o.mti.Class() == 1
	switch {
	case r.kind == kindIncrement && (!hold || o.kind != kindCharge || left == 0 || o.taken != 0):
		return b.codes.LateOriginal
	case r.kind == kindIncrement && b.whole:
		if left > r.amount {
			return b.codes.BadAmount
		}
		left = r.amount
	case r.kind == kindIncrement:
		left = r.amount
	case r.kind == kindCapture && (!hold || left == 0):
		return b.codes.LateOriginal
	case r.kind == kindCapture:
		left += left*b.over/100 - o.taken
	case hold:
		left = o.taken - o.credited
	default:
		left -= o.credited
	}
	if r.amount > left || r.currency != o.currency {
		return b.codes.BadAmount
	}
	r.original = seq
	return ""
}

// again answers an identity the books know already: as the first time, or with
// a refusal. It never charges.
func (b *Books) again(seq uint32, f *facts, answered bool) verdict {
	r := b.row(seq)
	v := verdict{seq: seq, replay: true, named: named(f.seen)}
	if r.requests == 0 {
		if answered {
			r.flags |= flagAnswered
		}
		return b.refuseLate(r, f, v)
	}
	bump(&r.requests)
	if r.amount != f.amount || r.currency != f.currency || r.bin != f.bin || r.last4 != f.last4 {
		b.stats.conflicts++
		v.code = b.codes.Duplicate
		return v
	}
	b.stats.duplicates++
	if r.flags&flagVoid != 0 {
		v.code = b.codes.LateOriginal
		return v
	}
	v.code = string(trimZero(r.code[:]))
	v.silent = v.code == ""
	if r.charged != r.amount && r.kind != kindIncrement {
		v.amount = r.charged
	}
	if answered && !v.silent {
		r.flags |= flagAnswered
	}
	return v
}

// refuseLate books an original whose reversal came first.
func (b *Books) refuseLate(r *row, f *facts, v verdict) verdict {
	bump(&r.requests)
	r.mti, r.kind, r.received, r.amount = f.mti, f.kind, f.at, f.amount
	r.currency, r.merchant = f.currency, b.name(f.merchant)
	r.bin, r.last4, r.panDigits = f.bin, f.last4, f.panLen
	r.setCode(b.codes.LateOriginal)
	b.move(r, StateRefused)
	v.code = b.codes.LateOriginal
	return v
}

// reversal applies one reversal, whole or part, and says what to answer. f.id is
// the original's identity. A reversal of something never seen is remembered.
func (b *Books) reversal(f *facts, p *Plan) verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	terminal := b.name(f.id.terminal)
	h := b.hash(&f.id, terminal)
	v := verdict{code: p.Code}
	seq := b.find(h, &f.id, terminal)
	if seq == 0 {
		if p.Effect == Nothing || p.Effect == ByCode && !approves(p.Code) || b.count >= maxEntries {
			return v
		}
		var r *row
		seq, r = b.add(h, f, terminal)
		r.reversals, r.reversedAt, r.flags = 1, f.at, flagVoid
		b.move(r, StateReversalOnly)
		v.seq, v.first = seq, true
		return v
	}
	v.seq, v.replay = seq, true
	r := b.row(seq)
	bump(&r.reversals)
	v.first = r.reversals == 1
	if code := b.objection(r, f); code != "" {
		b.stats.reversalsRefused++
		v.code = code
		return v
	}
	if p.Effect == Nothing || p.Effect == ByCode && !approves(p.Code) {
		b.stats.reversalsRefused++
		return v
	}
	b.giveBack(r, f)
	return v
}

// objection is the code a reversal that contradicts its original earns, or "".
func (b *Books) objection(r *row, f *facts) string {
	if f.panLen != 0 && r.panDigits != 0 && (f.bin != r.bin || f.last4 != r.last4 || f.panLen != r.panDigits) {
		return b.codes.BadCard
	}
	if r.kind == kindCharge && r.taken != 0 {
		return b.codes.LateOriginal // what was captured is refunded, not undone
	}
	amountFits := f.amount == r.amount || r.charged != 0 && f.amount == r.charged || r.raised != 0 && f.amount == r.charged+r.raised
	if !amountFits || f.currency != r.currency || f.actual > r.amount+r.raised {
		return b.codes.BadAmount
	}
	return ""
}

// giveBack returns what a reversal asks for beyond what came back before. A
// partial one names what stays (DE95), so that its repeat changes nothing.
func (b *Books) giveBack(r *row, f *facts) {
	stays := f.actual
	if r.kind == kindIncrement {
		stays = 0 // what it names is what stays of the hold: nothing of the increment does
	}
	if stays == 0 {
		r.flags |= flagVoid
	}
	if r.charged == 0 || r.kind == kindIncrement && b.row(r.original).flags&flagVoid != 0 {
		return // what undid the hold undid the increment
	}
	back := r.held() - stays
	if back <= 0 {
		b.stats.reversalRepeats++
		return
	}
	t := b.total(r.currency)
	first := r.reversed == 0
	switch r.kind {
	case kindRefund:
		t.RefundsReversed.more(back, first)
		if r.original != 0 {
			b.row(r.original).credited -= back
		}
	case kindCapture:
		t.CapturesReversed.more(back, first)
		if r.original != 0 {
			b.row(r.original).taken -= back
		}
	default:
		t.Reversed.more(back, first)
		if r.kind == kindIncrement && r.original != 0 {
			b.row(r.original).raised -= back
		}
	}
	r.reversed += back
	r.reversedAt = f.at
	if r.flags&flagAnswered != 0 && r.flags&flagLate == 0 {
		r.flags |= flagLate
		b.stats.lateReversals++
	}
	if r.held() == 0 {
		b.move(r, StateReversed)
	} else {
		b.move(r, StatePartlyReversed)
	}
}

// answered notes that the answers of these entries reached a link's output.
func (b *Books) answered(seqs []uint32) {
	b.mu.Lock()
	for _, s := range seqs {
		b.row(s).flags |= flagAnswered
	}
	b.mu.Unlock()
}

// Len is the number of entries.
func (b *Books) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.count)
}

// Each yields entries from number from (1 is the first) in order of arrival,
// until yield returns false. It holds no lock during yield; an entry is a
// snapshot of its moment.
func (b *Books) Each(from uint32, yield func(e Entry) bool) {
	const step = 256
	rows := make([]row, step)
	terminals, merchants, carried := make([]string, step), make([]string, step), make([]*Carried, step)
	for seq := max(from, 1); ; {
		b.mu.Lock()
		n := 0
		for ; n < step && seq+uint32(n) <= b.count; n++ {
			rows[n] = *b.row(seq + uint32(n))
			terminals[n], merchants[n] = b.names[rows[n].terminal], b.names[rows[n].merchant]
			carried[n] = b.carried[seq+uint32(n)]
		}
		b.mu.Unlock()
		for i := range n {
			e := rows[i].entry(seq+uint32(i), terminals[i], merchants[i])
			e.carry(carried[i])
			if !yield(e) {
				return
			}
		}
		if n < step {
			return
		}
		seq += step
	}
}

// Entries returns all of the books, in order of arrival. For millions use Each.
func (b *Books) Entries() []Entry {
	out := make([]Entry, 0, b.Len())
	b.Each(1, func(e Entry) bool {
		out = append(out, e)
		return true
	})
	return out
}

// ByRRN returns the entries with this RRN, in order of arrival. It reads all of
// the books.
func (b *Books) ByRRN(rrn string) []Entry {
	var out []Entry
	b.Each(1, func(e Entry) bool {
		if e.RRN == rrn {
			out = append(out, e)
		}
		return true
	})
	return out
}
