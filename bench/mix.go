package bench

import "sort"

// Kind is what a request asks for.
type Kind string

// The kinds of requests.
const (
	Purchase      Kind = "purchase"      // a payment that is captured at once
	Authorization Kind = "authorization" // a payment that only holds the money
	Duplicate     Kind = "duplicate"     // an earlier payment's request once more, with its key
	Capture       Kind = "capture"       // takes all that an earlier authorization holds
	Cancel        Kind = "cancel"        // undoes an earlier payment whole
	Refund        Kind = "refund"        // gives all of an earlier payment back
)

// kinds are those of the requests, in the order of their numbers.
var kinds = [...]Kind{Purchase, Authorization, Duplicate, Capture, Cancel, Refund}

const (
	kindPurchase = iota
	kindAuthorization
	kindDuplicate
	kindCapture
	kindCancel
	kindRefund
)

// operation is how a request about an earlier payment is sent. A payment has at most
// one of each kind, so that its number and a letter name it.
type operation struct{ path, mark string }

var operations = [len(kinds)]operation{kindCapture: {"/capture", "-c"}, kindCancel: {"/cancel", "-x"}, kindRefund: {"/refunds", "-r"}}

// mix turns the number of a payment into its request, always the same bytes, so
// that a duplicate needs nothing but the number. Immutable.
type mix struct {
	host   string
	heads  []head // by merchant
	bodies []body // by card, bank and kind
	holds  float64
	keys   chooser
	cards  chooser
	banks  chooser
	seed   uint64
}

// parts are what a payment's number stands for.
type parts struct{ key, card, bank, kind int }

// newMix prepares the requests. run makes the idempotency keys of this run differ
// from those of any other.
func newMix(o *Options, run string) (*mix, error) {
	host, err := hostOf(o.Target)
	if err != nil {
		return nil, err
	}
	banks := o.Banks
	if len(banks) == 0 {
		banks = []string{""}
	}
	m := &mix{host: host, keys: newChooser(len(o.Keys), o.KeyShares), cards: newChooser(len(o.Cards), o.CardShares),
		banks: newChooser(len(banks), o.BankShares), seed: o.Seed}
	if holds := o.Mix[Authorization]; holds > 0 {
		m.holds = holds / (holds + o.Mix[Purchase])
	}
	for _, key := range o.Keys {
		m.heads = append(m.heads, newHead(host, key, run))
	}
	for _, card := range o.Cards {
		for _, bank := range banks {
			for _, hold := range []bool{false, true} {
				m.bodies = append(m.bodies, newBody(wish{card: card, bank: bank, currency: o.Currency, run: run, hold: hold}))
			}
		}
	}
	return m, nil
}

// parts of payment n: by turns where no shares are given, else at random, the same
// for the same number.
func (m *mix) parts(n uint64) (p parts) {
	turn := n
	p.key, turn = m.keys.choose(turn, m.random(n, 1))
	p.card, turn = m.cards.choose(turn, m.random(n, 2))
	p.bank, _ = m.banks.choose(turn, m.random(n, 3))
	if m.holds > 0 && m.random(n, 4) < m.holds {
		p.kind = kindAuthorization
	}
	return p
}

// appendOperation writes a request about payment n, which has this id, behind dst.
func (m *mix) appendOperation(dst []byte, n uint64, r *request) []byte {
	op := &operations[r.kind]
	h := &m.heads[m.parts(n).key]
	dst = append(dst, h.path...)
	dst = append(dst, '/')
	dst = append(dst, r.id[:]...)
	dst = append(dst, op.path...)
	dst = append(dst, h.before...)
	dst = appendHex16(dst, n)
	dst = append(dst, op.mark...)
	dst = append(dst, h.after...)
	return append(dst, "2\r\n\r\n{}"...)
}

// appendRequest writes the request of payment n behind dst.
func (m *mix) appendRequest(dst []byte, n uint64) []byte {
	p := m.parts(n)
	b := &m.bodies[(p.card*m.banks.count+p.bank)*2+p.kind]
	return b.appendTo(dst, &m.heads[p.key], n)
}

// random is a number in [0, 1) that depends on n, what it is for, and the seed.
func (m *mix) random(n, purpose uint64) float64 {
	h := (n + m.seed<<40) * 0x9e3779b97f4a7c15
	h ^= purpose * 0xd1b54a32d192ed03
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return float64((h^h>>31)>>11) / (1 << 53)
}

// chooser chooses one of count.
type chooser struct {
	count int
	below []float64 // by which random number; nil: they take turns
}

func newChooser(count int, shares []float64) chooser {
	c := chooser{count: count}
	if len(shares) == 0 {
		return c
	}
	sum := 0.0
	for _, s := range shares {
		sum += s
	}
	at := 0.0
	for _, s := range shares {
		at += s / sum
		c.below = append(c.below, at)
	}
	return c
}

// choose takes its turn off turn and gives the rest back.
func (c *chooser) choose(turn uint64, random float64) (int, uint64) {
	if c.below == nil {
		return int(turn % uint64(c.count)), turn / uint64(c.count)
	}
	i := sort.Search(c.count, func(i int) bool { return random < c.below[i] })
	return min(i, c.count-1), turn
}
