package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// fault is one class of trouble; a seed has a random subset of them.
type fault uint32

const (
	crashes       fault = 1 << iota // the process dies, once or more
	crashRecovery                   // also while it starts
	linkFaults                      // links are cut, stalled, black holes
	cardFaults                      // cards that make the bank misbehave
	scriptFaults                    // the bank misbehaves at random
	bankModes                       // mute, refuse, stall, decline, sign-off
	slowSync                        // a log sync takes time
	diskFull                        // ENOSPC
	syncError                       // EIO from a log sync
	clockSteps                      // the wall clock jumps
	repeats                         // merchants repeat what they need not
	keyReuse                        // merchants use a key for another body
	segments                        // the network delivers a few bytes at a time
	elsewhere                       // late answers come on another link
	operations                      // merchants capture, cancel and refund
	payouts                         // merchants pay out and ask whether cards are good
	attempts                        // several payments of an order that is paid once
	parts                           // merchants take what a bank approves in part
	batches                         // merchants hand in many operations at once
	allFaults     = batches<<1 - 1
)

var faultNames = []string{"crashes", "crash_recovery", "links", "cards", "script", "modes", "slow_sync", "disk_full", "sync_error",
	"clock", "repeats", "key_reuse", "segments", "elsewhere", "operations", "payouts",
	"attempts", "parts", "batches"}

func (f fault) String() string {
	var words []string
	for i, name := range faultNames {
		if f&(1<<i) != 0 {
			words = append(words, name)
		}
	}
	return strings.Join(words, ",")
}

// trigger says what ends an instance of the switch.
type trigger uint8

const (
	byTime   trigger = iota // after some time
	byOp                    // before the k-th changing operation of the disk
	byWrite                 // at the k-th write to a bank
	byAnswer                // at the k-th answer to a merchant
	bySpace                 // the disk has room for k more bytes
	bySync                  // the k-th sync of a log fails
	byRecord                // while the switch starts: at the k-th operation of the disk
	triggers
)

var triggerNames = [triggers]string{"time", "op", "write", "answer", "space", "sync", "start"}

// ending is what the bank sees of a dead switch.
type ending uint8

const (
	endClose  ending = iota // what was written arrives, then the end
	endCut                  // a reset; what was on its way is lost
	endVanish               // nothing, not even a reset
	endings
)

// death is how one instance of the switch ends.
type death struct {
	by     trigger
	k      uint64
	after  time.Duration // of byTime
	loss   storage.Crash
	ending ending
	leaves bool          // of byWrite, byAnswer: the bytes leave all the same
	down   time.Duration // until the next instance starts
}

func (d death) String() string {
	return fmt.Sprintf("by %s k=%d after=%v loss=%d/%d ending=%d leaves=%v down=%v", triggerNames[d.by], d.k, d.after, d.loss.Unsynced,
		d.loss.Seed, d.ending, d.leaves, d.down)
}

// order is one thing a merchant sells, under one idempotency key.
type order struct {
	n        int
	merchant int
	at       time.Duration
	bank     string
	card     banksim.TestCard
	amount   int64
	manual   bool
	parallel int             // requests at once
	patience int             // repeats after an error before the merchant gives up
	repeats  []time.Duration // repeats that nobody needed
	reuse    time.Duration   // when the key is used with another body; 0: never
	cavv     string
	acts     []*act // what the merchant does with the payment later

	purpose payswitch.Purpose
	partial bool   // a part of it is welcome
	once    string // the order that is paid once; empty: an order of its own
}

func (o *order) key() string          { return fmt.Sprintf("key-%d-%d", o.merchant, o.n) }
func (o *order) id(other bool) string { return fmt.Sprintf("order-%d-%d-%v", o.merchant, o.n, other) }

// orderID is the order as the merchant calls it.
func (o *order) orderID(other bool) string {
	if o.once != "" {
		return o.once
	}
	return o.id(other)
}

func (o *order) cost(other bool) int64 {
	if other && o.purpose != payswitch.PurposeVerification {
		return o.amount + 7
	}
	return o.amount
}

// event is something that happens to the world at a moment.
type event struct {
	at   time.Duration
	what string
	bank int
	size time.Duration
}

// plan is a life before it is lived.
type plan struct {
	seed     uint64
	name     string // of a scenario
	stubborn bool   // deaths come also after the faults ended
	faults   fault
	http     bool
	blank    bool // the first instance makes the journal
	strict   bool // every frame and every answer is compared with the platter
	logs     bool // keep what is logged and scan it
	drain    bool
	damage   bool // at the end, damage a copy of the disk
	twice    bool // recoveries are tried twice on copies
	banks    int
	links    int
	window   int
	latency  time.Duration
	echo     time.Duration
	lateBy   time.Duration
	segment  int
	sync     time.Duration // longest sync of a log
	until    time.Duration // the faults go on so long at least
	orders   []*order
	deaths   []death
	events   []event
	loads    []*load // batches
}

// stream is the random source of one component, so that one does not shift
// another.
func stream(seed, component uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, component*0x9E3779B97F4A7C15+1))
}

func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

// draw makes the plan of a seed.
func draw(seed uint64) *plan {
	r := stream(seed, 1)
	p := &plan{seed: seed, faults: fault(r.Uint32()) & allFaults}
	if !oneIn(r, 8) {
		p.faults |= crashes
	}
	for _, rare := range []fault{diskFull, syncError, linkFaults, attempts, batches} {
		if !oneIn(r, 2) {
			p.faults &^= rare
		}
	}
	if oneIn(stream(seed, 8), 2) {
		p.faults |= operations // their rare states are the rarest
	}
	p.http, p.blank, p.strict = oneIn(r, 8), oneIn(r, 16), oneIn(r, 6)
	p.logs, p.drain, p.damage, p.twice = oneIn(r, 32), oneIn(r, 2), oneIn(r, 16), oneIn(r, 16)
	p.banks, p.links, p.window = 1+r.IntN(2), 1+r.IntN(2), 16
	if oneIn(r, 8) {
		p.window = 3
	}
	if oneIn(r, 2) {
		p.until = between(r, 3*time.Second, 14*time.Second)
	}
	p.latency = between(r, 100*time.Microsecond, 4*time.Millisecond)
	p.echo = 15 * time.Second
	p.lateBy = between(r, responseTimeout+50*time.Millisecond, 9*time.Second)
	if p.faults&segments != 0 {
		p.segment = 1 + r.IntN(40)
	}
	if p.faults&slowSync != 0 {
		p.sync = between(r, time.Millisecond, 80*time.Millisecond)
		if oneIn(r, 6) {
			p.sync = 5 * time.Second
		}
	}
	p.drawOrders(stream(seed, 2))
	p.drawPurposes(stream(seed, 6))
	p.drawActs(stream(seed, 5))
	p.drawLoads(stream(seed, 7))
	p.drawDeaths(stream(seed, 3))
	p.drawEvents(stream(seed, 4))
	if p.echo > 10*time.Second && slices.ContainsFunc(p.events, func(e event) bool { return e.size >= holdTime }) {
		p.echo = 10 * time.Minute // such a life waits for the end of holds
	}
	return p
}

func (p *plan) drawOrders(r *rand.Rand) {
	cards := banksim.Cards()
	for n := range 2 + r.IntN(7) {
		o := &order{n: n, merchant: r.IntN(2), at: between(r, 0, 1500*time.Millisecond), bank: bankNames[r.IntN(p.banks)],
			card: cards[0], amount: 1000 + r.Int64N(1e6), manual: oneIn(r, 5), parallel: 1, patience: r.IntN(6)}
		o.cavv = fmt.Sprintf("AAABBWRhdG%016xA=", r.Uint64())
		if p.faults&cardFaults != 0 && !oneIn(r, 3) {
			o.card = cards[r.IntN(len(cards))]
		}
		if oneIn(r, 4) {
			o.bank = "" // the switch chooses
		}
		if p.faults&repeats != 0 {
			if oneIn(r, 3) {
				o.parallel = 2 + r.IntN(2)
			}
			for range r.IntN(3) {
				o.repeats = append(o.repeats, between(r, time.Millisecond, 4*time.Second))
			}
		}
		if p.faults&keyReuse != 0 && oneIn(r, 2) {
			o.reuse = between(r, time.Millisecond, 2*time.Second)
		}
		p.orders = append(p.orders, o)
	}
}

func (p *plan) drawDeaths(r *rand.Rand) {
	n := 0
	if p.faults&crashes != 0 {
		n = 1 + r.IntN(2)
		if oneIn(r, 8) {
			n += r.IntN(4)
		}
	}
	for i := range n {
		d := death{by: trigger(r.IntN(int(bySpace))), after: between(r, 0, 1800*time.Millisecond), ending: ending(r.IntN(int(endings))),
			loss:   storage.Crash{Unsynced: storage.Unsynced(r.IntN(3)), Seed: r.Uint64()},
			leaves: oneIn(r, 2), down: between(r, time.Millisecond, 2*time.Second)}
		if i > 0 && p.faults&crashRecovery != 0 && oneIn(r, 2) {
			d.by = byRecord
		}
		if oneIn(r, 2) {
			d.after = between(r, 0, max(p.until, time.Second))
		}
		d.k = 1 + r.Uint64N([...]uint64{byTime: 1, byOp: 70, byWrite: 14, byAnswer: 7, byRecord: 45}[d.by])
		p.deaths = append(p.deaths, d)
	}
	for _, broken := range []struct {
		when fault
		by   trigger
		most uint64
	}{{diskFull, bySpace, 9_000}, {syncError, bySync, 20}} {
		if p.faults&broken.when != 0 {
			d := death{by: broken.by, k: 1 + r.Uint64N(broken.most), ending: ending(r.IntN(int(endings))), down: between(r, time.Millisecond, time.Second),
				loss: storage.Crash{Unsynced: storage.Unsynced(r.IntN(3)), Seed: r.Uint64()}}
			at := r.IntN(len(p.deaths) + 1)
			p.deaths = append(p.deaths[:at], append([]death{d}, p.deaths[at:]...)...)
		}
	}
}

var modes = []string{banksim.ModeMute, "mute_unbooked", banksim.ModeRefuse, banksim.ModeStall, banksim.ModeDecline, banksim.ActSignOff,
	banksim.ActDrop, "down"}

func (p *plan) drawEvents(r *rand.Rand) {
	add := func(what string, latest time.Duration) {
		p.events = append(p.events, event{at: between(r, 0, latest), what: what, bank: r.IntN(p.banks),
			size: between(r, time.Millisecond, 3*time.Second)})
	}
	if p.faults&bankModes != 0 {
		for range 1 + r.IntN(3) {
			add(modes[r.IntN(len(modes))], 3*time.Second)
		}
		if oneIn(r, 3) {
			add(modes[r.IntN(len(modes))], 12*time.Second)
		}
	}
	if p.faults&linkFaults != 0 {
		for range 1 + r.IntN(3) {
			what := []string{"cut", "stall_bank", "stall_switch", "vanish"}[r.IntN(4)]
			if what == "vanish" {
				p.echo = 3 * time.Second
			}
			add(what, 2500*time.Millisecond)
			if what == "stall_bank" && oneIn(r, 2) {
				p.events[len(p.events)-1].size += 5*time.Second + 300*time.Millisecond
			}
		}
	}
	if p.faults&clockSteps != 0 {
		for range 1 + r.IntN(2) {
			add("clock", 5*time.Second)
			e := &p.events[len(p.events)-1]
			e.size = []time.Duration{time.Millisecond, time.Second, 40 * time.Second, 90 * time.Minute, 24 * time.Hour}[r.IntN(5)]
			if oneIn(r, 2) {
				// Reversals wait for the wall clock, so a long way back is a long life.
				if e.size = -min(e.size, time.Minute); oneIn(r, 30) {
					e.size = -90 * time.Minute
				}
			}
		}
	}
}
