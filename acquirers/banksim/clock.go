package banksim

import (
	"math/rand/v2"
	"sync"
	"time"
)

// action is what the clock does when something falls due.
type action uint8

const (
	actSend  action = iota // hand the frame to its link
	actSplit               // begin to send the frame in pieces
	actPiece               // hand the next piece to its link
	actLast                // the last piece: other answers may follow again
	actCut                 // hand over the frame, if any, then cut the link
	actEcho                // the bank's own echo on the link, then again
)

type due struct {
	at    int64 // nanoseconds since the clock's base
	seq   uint64
	link  *link
	frame []byte // owned by the clock until handed over
	entry uint32 // marked as answered in the books; 0 = none
	act   action
}

// grain is what long delays are rounded up to, so that one wake-up serves many
// answers. Delays under ten grains and faults are exact.
const grain = time.Millisecond

// clock holds every delayed answer of one bank in one heap, under one goroutine
// and one timer. Goroutine-safe.
type clock struct {
	base  time.Time
	books *Books
	wake  chan struct{}
	stop  chan struct{}

	mu   sync.Mutex
	heap []due
	seq  uint64
	free [][]byte
	rand *rand.Rand
}

func newClock(books *Books, seed uint64) *clock {
	return &clock{base: time.Now(), books: books, wake: make(chan struct{}, 1), stop: make(chan struct{}),
		rand: rand.New(rand.NewPCG(seed, 0x9E3779B97F4A7C15))}
}

// draw is a uniform duration in [0, limit).
func (c *clock) draw(limit time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.rand.Int64N(int64(limit)))
}

// after schedules an action; frame is copied. exact turns off the rounding.
func (c *clock) after(wait time.Duration, exact bool, d due) {
	at := time.Since(c.base) + wait
	if !exact && wait >= 10*grain {
		at = (at + grain - 1) / grain * grain
	}
	d.at = int64(at)
	c.mu.Lock()
	d.frame = append(c.buffer(), d.frame...)
	d.seq = c.seq
	c.seq++
	c.push(d)
	first := c.heap[0].seq == d.seq
	c.mu.Unlock()
	if first {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// maxFree bounds the buffers kept for reuse.
const maxFree = 1 << 17

// buffer takes a frame buffer from the free list. REQUIRES: c.mu.
func (c *clock) buffer() []byte {
	if n := len(c.free); n > 0 {
		f := c.free[n-1]
		c.free = c.free[:n-1]
		return f[:0]
	}
	return nil
}

// pending is how many actions wait.
func (c *clock) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.heap)
}

// run serves the heap until stop is closed.
func (c *clock) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var batch []due
	for {
		var wait time.Duration
		batch, wait = c.take(batch[:0])
		if len(batch) > 0 {
			c.deliver(batch)
			continue
		}
		timer.Reset(wait)
		select {
		case <-c.stop:
			return
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// take pops what is due into batch, and says how long until the next.
func (c *clock) take(batch []due) ([]due, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := int64(time.Since(c.base))
	for len(c.heap) > 0 && c.heap[0].at <= now && len(batch) < 1024 {
		batch = append(batch, c.pop())
	}
	if len(c.heap) == 0 {
		return batch, time.Hour
	}
	return batch, time.Duration(c.heap[0].at - now)
}

func (c *clock) deliver(batch []due) {
	var seqs [64]uint32
	answered := seqs[:0]
	for i := range batch {
		d := &batch[i]
		if d.link.perform(d) && d.entry != 0 {
			answered = append(answered, d.entry)
		}
		if len(answered) == cap(seqs[:]) {
			c.books.answered(answered)
			answered = answered[:0]
		}
	}
	if len(answered) > 0 {
		c.books.answered(answered)
	}
	c.mu.Lock()
	for i := range batch {
		if f := batch[i].frame; f != nil && len(c.free) < maxFree {
			c.free = append(c.free, f)
		}
	}
	c.mu.Unlock()
	for i := range batch {
		batch[i].link.kick()
		batch[i] = due{}
	}
}

func (d *due) before(o *due) bool { return d.at < o.at || d.at == o.at && d.seq < o.seq }

func (c *clock) push(d due) {
	c.heap = append(c.heap, d)
	for i := len(c.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !c.heap[i].before(&c.heap[up]) {
			return
		}
		c.heap[i], c.heap[up] = c.heap[up], c.heap[i]
		i = up
	}
}

func (c *clock) pop() due {
	top := c.heap[0]
	n := len(c.heap) - 1
	c.heap[0] = c.heap[n]
	c.heap[n] = due{}
	c.heap = c.heap[:n]
	for i := 0; ; {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && c.heap[child+1].before(&c.heap[child]) {
			child++
		}
		if !c.heap[child].before(&c.heap[i]) {
			break
		}
		c.heap[i], c.heap[child] = c.heap[child], c.heap[i]
		i = child
	}
	return top
}
