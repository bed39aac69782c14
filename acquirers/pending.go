package acquirers

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/iso"
)

const (
	wheelTick    = 10 * time.Millisecond
	wheelSlots   = 1024 // 10.24 s a turn; a longer deadline is passed over once a turn
	shardCount   = 16
	idleTicks    = 100 // the wheel stops after this many ticks with nothing in flight
	shardPadding = 64

	// A tick as late as standstill means that the process was stopped or starved.
	// Answers that came meanwhile lie in the kernel's buffers, so the readers get
	// catchUp to take them before their deadlines count as missed.
	standstill = 10 * wheelTick
	catchUp    = 10 * wheelTick
)

// pending is the bank's exchanges in flight: by key for the reader, by deadline
// for the wheel. One lock per shard covers both.
type pending struct {
	start  time.Time
	seed   maphash.Seed
	count  atomic.Int64
	parked atomic.Bool
	wake   chan struct{}
	shards [shardCount]shard
}

type shard struct {
	mu     sync.Mutex
	owners map[iso.Key]*flight
	slots  [wheelSlots]*flight
	turned int64 // the last tick whose slot was visited
	_      [shardPadding]byte
}

func newPending() *pending {
	p := &pending{start: time.Now(), seed: maphash.MakeSeed(), wake: make(chan struct{}, 1)}
	for i := range p.shards {
		p.shards[i].owners = make(map[iso.Key]*flight)
	}
	return p
}

func (p *pending) shard(k *iso.Key) *shard {
	return &p.shards[maphash.Comparable(p.seed, *k)%shardCount]
}

func (p *pending) tickAt(t time.Time) int64 { return int64(t.Sub(p.start) / wheelTick) }

// add registers a flight under its key until the deadline, which is met at most
// two ticks late, or catchUp after a standstill of the process. It refuses a
// key that is in flight.
func (p *pending) add(f *flight, deadline time.Time) bool {
	s := p.shard(&f.key)
	s.mu.Lock()
	if s.owners[f.key] != nil {
		s.mu.Unlock()
		return false
	}
	s.owners[f.key] = f
	f.tick = max(p.tickAt(deadline)+1, s.turned+1)
	f.slot = int32(f.tick % wheelSlots)
	f.prev, f.next = nil, s.slots[f.slot]
	if f.next != nil {
		f.next.prev = f
	}
	s.slots[f.slot], f.registered = f, true
	p.count.Add(1)
	s.mu.Unlock()
	if p.parked.Load() {
		signal(p.wake)
	}
	return true
}

// unlink takes a flight out of the table and the wheel. REQUIRES: the shard's
// mutex is held and the flight is registered.
func (p *pending) unlink(s *shard, f *flight) {
	delete(s.owners, f.key)
	if f.prev == nil {
		s.slots[f.slot] = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	}
	f.next, f.prev, f.registered = nil, nil, false
	p.count.Add(-1)
}

// remove takes the owner's own flight out. False: somebody else ended it first,
// and its token is in f.done or will be.
func (p *pending) remove(f *flight) bool {
	s := p.shard(&f.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !f.registered || f.finish() == 0 {
		return false
	}
	p.unlink(s, f)
	return true
}

type claim uint8

const (
	claimNobody claim = iota
	claimWrongLink
	claimNotSent // the key belongs to a flight whose bytes have not left
	claimWon
)

// claim ends the flight an answer belongs to. On claimWon the caller owns the
// flight's result and must wake its owner. l is the line that read the answer.
func (p *pending) claim(k *iso.Key, l *line) (*flight, claim) {
	s := p.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.owners[*k]
	switch {
	case f == nil:
		return nil, claimNobody
	case (f.link != int32(l.link.number) || f.epoch != l.epoch) && !l.bank.cfg.AnyLink:
		return nil, claimWrongLink
	}
	word := f.state.Load()
	if word&phaseMask != phaseHanded || !f.state.CompareAndSwap(word, word&^phaseMask|phaseDone) {
		return nil, claimNotSent
	}
	p.unlink(s, f)
	return f, claimWon
}

// lose ends every flight of a line that is gone: queued ones were not sent,
// handed ones are unanswered.
func (p *pending) lose(l *line, cause Cause) {
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		for _, f := range s.owners {
			if f.link != int32(l.link.number) || f.epoch != l.epoch {
				continue
			}
			if from := f.finish(); from != 0 {
				p.unlink(s, f)
				f.fail(from, cause)
			}
		}
		s.mu.Unlock()
	}
}

// unsend ends one flight that is in its handed phase although it is proven that
// nothing left. word is the use the writer took.
func (p *pending) unsend(f *flight, word uint64, cause Cause) {
	if !f.state.CompareAndSwap(word, word&^phaseMask|phaseDone) {
		return
	}
	s := p.shard(&f.key)
	s.mu.Lock()
	p.unlink(s, f)
	s.mu.Unlock()
	f.fail(phaseQueued, cause)
}

// turn runs the wheel until ctx ends and nothing is in flight. It rests while
// nothing is in flight.
func (p *pending) turn(ctx context.Context) {
	timer := time.NewTimer(wheelTick)
	defer timer.Stop()
	for quiet := 0; ; {
		if quiet++; p.count.Load() != 0 {
			quiet = 0
		}
		if quiet > 0 && ctx.Err() != nil {
			return
		}
		if quiet < idleTicks {
			began := time.Now()
			timer.Reset(wheelTick)
			<-timer.C
			if time.Since(began) > standstill {
				timer.Reset(catchUp)
				<-timer.C
			}
			p.expire(time.Now())
			continue
		}
		if p.parked.Store(true); p.count.Load() == 0 {
			select {
			case <-p.wake:
			case <-ctx.Done():
			}
		}
		p.parked.Store(false)
	}
}

// expire ends every flight whose deadline has passed.
func (p *pending) expire(now time.Time) {
	tick := p.tickAt(now)
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		from := max(s.turned+1, tick-wheelSlots+1)
		for t := from; t <= tick; t++ {
			for f := s.slots[t%wheelSlots]; f != nil; {
				following := f.next
				if f.tick <= tick {
					if phase := f.finish(); phase != 0 {
						p.unlink(s, f)
						f.fail(phase, CauseTimeout)
					}
				}
				f = following
			}
		}
		s.turned = max(s.turned, tick)
		s.mu.Unlock()
	}
}

// signal wakes a waiter of c, or the next one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
