package people

import (
	"sync"
	"time"
)

// Limits of trying to sign in. A try takes one from the account and one from the
// address; what succeeds gives both back. An account is limited whether it exists
// or not, so that the limit tells nothing.
const (
	accountTries  = 10
	accountRefill = time.Minute
	addressTries  = 30
	addressRefill = 10 * time.Second
	guardEntries  = 100_000
)

// guard counts tries in memory, and has those of who comes near a limit kept: a new
// start forgives nobody.
type guard struct {
	mu      sync.Mutex
	now     func() time.Time
	buckets map[string]*bucket
	keep    func([]keptBucket) // makes them durable
}

type bucket struct {
	spent  float64
	at     time.Time
	refill time.Duration
}

func (g *guard) init(now func() time.Time, keep func([]keptBucket)) {
	g.now, g.keep, g.buckets = now, keep, map[string]*bucket{}
}

// try takes one try from an account and from an address. When either has none left
// it takes nothing and says how long to wait.
func (g *guard) try(account, address string) (wait time.Duration) {
	wait, kept := g.take(account, address)
	g.keep(kept)
	return wait
}

func (g *guard) take(account, address string) (wait time.Duration, kept []keptBucket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	a, b := g.bucket("a"+account, accountRefill, now), g.bucket("b"+address, addressRefill, now)
	if a.spent+1 > accountTries {
		wait = time.Duration((a.spent + 1 - accountTries) * float64(accountRefill))
	}
	if b.spent+1 > addressTries {
		wait = max(wait, time.Duration((b.spent+1-addressTries)*float64(addressRefill)))
	}
	if wait > 0 {
		return wait, nil
	}
	a.spent++
	b.spent++
	if a.spent > accountTries*keptShare {
		kept = append(kept, keptBucket{guardName("a" + account), a.spent, a.at, a.refill})
	}
	if b.spent > addressTries*keptShare {
		kept = append(kept, keptBucket{guardName("b" + address), b.spent, b.at, b.refill})
	}
	return 0, kept
}

// Knock takes a try of a door that is open to everybody, such as the form of an
// application, from the address of a visitor. Its error is a refusal that says how
// long to wait.
func (p *People) Knock(door string, v Visit) error {
	if wait := p.guard.try(door+" from "+v.Address, v.Address); wait > 0 {
		return errWait(wait)
	}
	return nil
}

// forgive gives a try back.
func (g *guard) forgive(account, address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range []string{"a" + account, "b" + address} {
		if b := g.buckets[guardName(name)]; b != nil {
			b.spent = max(0, b.spent-1)
		}
	}
}

// bucket is the one of a name, as full as it is now. REQUIRES: mu.
func (g *guard) bucket(name string, refill time.Duration, now time.Time) *bucket {
	name = guardName(name)
	b := g.buckets[name]
	if b == nil {
		if len(g.buckets) >= guardEntries {
			g.sweep(now)
		}
		b = &bucket{at: now, refill: refill}
		g.buckets[name] = b
	}
	b.settle(now)
	return b
}

func (b *bucket) settle(now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.spent = max(0, b.spent-float64(passed)/float64(b.refill))
		b.at = now
	}
}

// sweep forgets whom nothing, then whom little is held against, and if need be
// others until a quarter is free. REQUIRES: mu.
func (g *guard) sweep(now time.Time) {
	for _, least := range []float64{0, 2, accountTries, addressTries} {
		for name, b := range g.buckets {
			if b.settle(now); b.spent <= least {
				delete(g.buckets, name)
			}
			if least > 0 && len(g.buckets) <= guardEntries*3/4 {
				return
			}
		}
		if len(g.buckets) <= guardEntries*3/4 {
			return
		}
	}
}
