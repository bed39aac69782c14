package storage

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	pipeDepth     = 2       // groups applied and not yet durable
	groupCommands = 4096    // at most so many commands share one fsync
	groupBytes    = 1 << 20 // and about so many bytes
)

// pending is one command on its way to the disk.
type pending struct {
	cmd  *Command
	out  Result        // zero: applied
	err  error         // of this command, or of its group
	at   int64         // when it was queued, in nanoseconds since the start of the store
	wake chan struct{} // of capacity 1; the syncer never waits for a caller
}

func (p *pending) applies() bool { return p.err == nil && p.out.Kind == 0 }

// queue holds commands between the callers and the committer.
type queue struct {
	mu     sync.Mutex
	filled sync.Cond
	items  []*pending
	bytes  int
	closed bool
	idle   bool         // the committer waits
	oldest atomic.Int64 // nanoseconds since the start of the store, 0: empty
	length atomic.Int64
}

func (q *queue) init() { q.filled.L = &q.mu }

func (q *queue) shut() {
	q.mu.Lock()
	q.closed = true
	q.filled.Signal()
	q.mu.Unlock()
}

// put adds p. The caller holds q.mu.
func (q *queue) put(p *pending) {
	if len(q.items) == 0 {
		q.oldest.Store(p.at)
	}
	q.items = append(q.items, p)
	q.bytes += len(p.cmd.arena)
	q.length.Store(int64(len(q.items)))
	if q.idle {
		q.idle = false
		q.filled.Signal()
	}
}

// take moves waiting commands into g, and waits for the first one. It returns
// false when the queue is closed and empty.
func (q *queue) take(g *group) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 {
		if q.closed {
			return false
		}
		q.idle = true
		q.filled.Wait()
	}
	q.idle = false
	g.oldest.Store(q.oldest.Load())
	if len(q.items) <= groupCommands && q.bytes <= groupBytes {
		g.items, q.items = q.items, g.items[:0]
		g.bytes, q.bytes = q.bytes, 0
		q.oldest.Store(0)
		q.length.Store(0)
		return true
	}
	n := 0
	for n < len(q.items) && n < groupCommands && (n == 0 || g.bytes < groupBytes) {
		g.bytes += len(q.items[n].cmd.arena)
		n++
	}
	g.items = append(g.items[:0], q.items[:n]...)
	rest := copy(q.items, q.items[n:])
	clear(q.items[rest:])
	q.items = q.items[:rest]
	q.bytes -= g.bytes
	q.length.Store(int64(rest))
	if rest == 0 {
		q.oldest.Store(0)
	} else {
		q.oldest.Store(q.items[0].at)
	}
	return true
}

// group is what shares one fsync. Its memory is used again.
type group struct {
	items   []*pending
	batch   *engineBatch
	sorted  []place // its steps in the order of the batch
	bytes   int
	records int
	seq     uint64 // 0: nothing of it was applied
	head    chainHash
	oldest  *atomic.Int64 // when its oldest command was queued, 0 while it is free
	err     error
}

func (g *group) reset() {
	clear(g.items)
	g.items = g.items[:0]
	g.bytes, g.records, g.seq, g.err = 0, 0, 0, nil
	g.oldest.Store(0)
	g.batch.reset()
}

// watermark knows up to which group everything is applied and durable.
type watermark struct {
	applying atomic.Uint64 // raised before a group becomes visible to readers
	durable  atomic.Uint64
	mu       sync.Mutex
	raised   sync.Cond
	waiting  atomic.Int64
}

func (w *watermark) init() { w.raised.L = &w.mu }

func (w *watermark) publish(seq uint64) {
	w.durable.Store(seq)
	if w.waiting.Load() > 0 {
		w.wakeAll()
	}
}

func (w *watermark) wakeAll() {
	w.mu.Lock()
	w.raised.Broadcast()
	w.mu.Unlock()
}

// settle waits until everything a reader could have seen before this call is
// durable. It costs two loads when the store is idle.
func (s *Store) settle() error {
	w := &s.marks
	seq := w.applying.Load()
	if w.durable.Load() >= seq {
		return nil
	}
	w.waiting.Add(1)
	defer w.waiting.Add(-1)
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.durable.Load() < seq {
		if err := s.failed(); err != nil {
			return err
		}
		w.raised.Wait()
	}
	return nil
}

// Do makes one command durable. It returns after the command, or for Exists
// and Stale what it clashed with, is on disk. On an error (ErrClosed,
// ErrFailed, ErrReadOnly, ErrCommand) nothing is known to be durable;
// ErrClosed, ErrReadOnly and ErrCommand mean that nothing happened.
// A command without steps is Applied at once.
func (s *Store) Do(c *Command) (Result, error) {
	if err := s.gate.enter(); err != nil {
		return Result{}, err
	}
	defer s.gate.leave()
	switch {
	case s.o.ReadOnly:
		return Result{}, ErrReadOnly
	case c.err != nil:
		return Result{}, c.err
	case len(c.steps) == 0:
		return Result{Kind: Applied}, nil
	}
	if err := s.failed(); err != nil {
		return Result{}, err
	}
	if c.guards > 1 {
		if err := c.checkTwins(); err != nil {
			return Result{}, err
		}
	}
	p := s.pending(c)
	defer s.release(p)
	s.enqueue(p)
	<-p.wake
	switch {
	case p.err != nil:
		return Result{}, p.err
	case p.out.Kind != 0:
		return p.out, nil
	}
	return Result{Kind: Applied}, nil
}

func (s *Store) pending(c *Command) *pending {
	p, _ := s.pool.Get().(*pending)
	if p == nil {
		p = &pending{wake: make(chan struct{}, 1)}
	}
	p.cmd, p.out, p.err = c, Result{}, nil
	return p
}

func (s *Store) release(p *pending) {
	p.cmd = nil
	s.pool.Put(p)
}

func (s *Store) enqueue(p *pending) {
	p.at = s.age()
	s.queue.mu.Lock()
	s.queue.put(p)
	s.queue.mu.Unlock()
}

// age is the time since the store was opened, never 0.
func (s *Store) age() int64 { return int64(time.Since(s.started)) + 1 }

// commitLoop is the committer: it drains what queued while it was busy into
// one batch, applies it and hands it to the syncer. It stops when the queue is
// closed and empty.
func (s *Store) commitLoop() {
	defer s.done.Done()
	defer close(s.pipe)
	var inHand *group
	defer func() {
		// The engine ends a goroutine that meets a fatal error; the callers
		// must hear of it all the same.
		if inHand != nil {
			inHand.err = s.failed()
			s.pipe <- inHand
			s.refuseAll()
		}
	}()
	for {
		g := <-s.free
		if !s.queue.take(g) {
			return
		}
		inHand = g
		if g.err = s.failed(); g.err == nil {
			g.err = s.apply(g)
		}
		s.pipe <- g
		inHand = nil
	}
}

// refuseAll answers the rest of the queue with the failure of the store.
func (s *Store) refuseAll() {
	for {
		g := <-s.free
		if !s.queue.take(g) {
			return
		}
		g.err = s.failed()
		s.pipe <- g
	}
}

// apply writes the group into the engine without waiting for the disk. A
// command whose condition does not hold is left out; its caller hears of it
// when everything it could have met is durable.
func (s *Store) apply(g *group) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("applying group %d: %v", s.chain.seq, r)
		}
	}()
	s.conditions.begin()
	for _, p := range g.items {
		if p.cmd.guards > 0 {
			if p.out, p.err = s.conditions.judge(p.cmd); p.err != nil {
				p.err = s.readError(p.err)
			}
		}
	}
	// Not deferred: an engine that dies while it applies may keep its locks.
	s.conditions.end()
	s.gather(g)
	if g.batch.empty() {
		return nil
	}
	record := s.chain.finish()
	g.seq, g.head = s.chain.seq, s.chain.head
	var key [batchKeyBytes]byte
	g.batch.set(appendBatchKey(key[:0], g.seq), record)
	s.marks.applying.Store(g.seq)
	return g.batch.apply()
}

// gather puts the steps of the group into the batch, space by space: neighbours
// in the batch that are neighbours in the engine cost it less than half. Steps
// of one space keep their order, and so do those of one key.
func (s *Store) gather(g *group) {
	var first [256]int
	for _, p := range g.items {
		if p.applies() {
			for i := range p.cmd.steps {
				first[p.cmd.keyOf(&p.cmd.steps[i])[0]]++
			}
		}
	}
	total := 0
	for space, n := range first {
		first[space], total = total, total+n
	}
	g.sorted = slices.Grow(g.sorted[:0], total)[:total]
	for _, p := range g.items {
		if p.applies() {
			for i := range p.cmd.steps {
				at := &first[p.cmd.keyOf(&p.cmd.steps[i])[0]]
				g.sorted[*at] = place{p.cmd, i}
				*at++
			}
		}
	}
	s.chain.begin()
	for _, at := range g.sorted {
		s.add(g, at.cmd, &at.cmd.steps[at.step])
	}
	clear(g.sorted)
}

// add puts one step into the batch, and a record under the chain.
func (s *Store) add(g *group, c *Command, st *step) {
	key, val := c.keyOf(st), c.valueOf(st)
	switch st.kind {
	case stepAppend:
		s.chain.add(key, val)
		g.records++
		g.batch.set(key, val)
	case stepSet, stepClaim:
		s.conditions.written(key)
		g.batch.set(key, val)
	case stepAdd:
		g.batch.set(key, val)
	case stepDelete:
		g.batch.remove(key)
	}
}

// syncLoop waits for the disk in the order of the groups, writes the anchor,
// publishes the durable watermark and wakes the callers.
func (s *Store) syncLoop() {
	defer s.done.Done()
	for g := range s.pipe {
		err := g.err
		if err == nil && g.seq > 0 {
			if err = g.batch.wait(); err != nil {
				err = fmt.Errorf("syncing group %d: %w", g.seq, err)
			}
		}
		if err == nil {
			err = s.failed()
		}
		if err == nil && g.seq > 0 {
			err = s.anchor.write(g.seq, g.head)
		}
		if err != nil {
			s.fail(err)
			err = s.failed()
		} else if g.seq > 0 {
			s.marks.publish(g.seq)
			s.meter.group(g, s.age())
		}
		for _, p := range g.items {
			if err != nil {
				p.err = err
			}
			p.wake <- struct{}{}
		}
		if err == nil {
			g.reset()
		} else {
			g.abandon(s.eng)
		}
		s.free <- g
	}
}

// abandon lets go of a batch whose fate is unknown to the engine.
func (g *group) abandon(eng *engine) {
	g.batch = eng.newBatch()
	g.reset()
}
