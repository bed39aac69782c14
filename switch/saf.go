package payswitch

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// reversalQueue is the in-memory order of one bank's store-and-forward: which
// payment's reversal is due when. The journal is the truth; this is rebuilt
// from it at start. A payment is queued at most once and never while one of its
// reversals is on its way.
type reversalQueue struct {
	mu      sync.Mutex
	heap    dueHeap
	present map[ID]uint64 // the entry of the heap that counts; 0: being sent
	owner   map[ID]ID     // of an operation: its payment
	entries uint64
	wake    chan struct{}

	// Entries wait by a clock that never steps: wall at the making, and what has
	// passed since by the process's own count. A nil wall: by what callers say.
	wall  func() time.Time
	base  time.Time
	began time.Time
}

type due struct {
	at    time.Time
	id    ID
	entry uint64
}

type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(due)) }
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

func newReversalQueue() *reversalQueue {
	return &reversalQueue{present: map[ID]uint64{}, owner: map[ID]ID{}, wake: make(chan struct{}, 1)}
}

// by makes the queue wait by its own clock from now on.
func (q *reversalQueue) by(wall func() time.Time) *reversalQueue {
	q.wall, q.base, q.began = wall, wall(), time.Now()
	return q
}

// steady is the queue's own time for a time of the wall clock.
func (q *reversalQueue) steady(at time.Time) time.Time {
	if q.wall == nil {
		return at
	}
	return q.base.Add(time.Since(q.began) + at.Sub(q.wall()))
}

// add queues a payment's reversal unless it is queued or on its way already.
func (q *reversalQueue) add(id ID, at time.Time) {
	q.mu.Lock()
	if _, ok := q.present[id]; !ok {
		q.push(id, at)
	}
	q.mu.Unlock()
	q.signal()
}

// addOperation queues what a payment's open operation owes.
func (q *reversalQueue) addOperation(id, payment ID, at time.Time) {
	q.mu.Lock()
	q.owner[id] = payment
	q.mu.Unlock()
	q.add(id, at)
}

// ownerOf is the payment of an operation; false: id is a payment's own.
func (q *reversalQueue) ownerOf(id ID) (payment ID, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	payment, ok = q.owner[id]
	return payment, ok
}

// again queues a payment that take handed out.
func (q *reversalQueue) again(id ID, at time.Time) {
	q.mu.Lock()
	q.push(id, at)
	q.mu.Unlock()
	q.signal()
}

func (q *reversalQueue) push(id ID, at time.Time) {
	q.entries++
	q.present[id] = q.entries
	heap.Push(&q.heap, due{at: q.steady(at), id: id, entry: q.entries})
}

// done forgets a payment; what stands of it in the heap no longer counts.
func (q *reversalQueue) done(id ID) {
	q.mu.Lock()
	delete(q.present, id)
	delete(q.owner, id)
	q.mu.Unlock()
}

// sending reports whether a reversal of the payment is on its way now.
func (q *reversalQueue) sending(id ID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	entry, ok := q.present[id]
	return ok && entry == 0
}

func (q *reversalQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take hands out the payment that is due first. ok is false when none is due
// before now; wait says how long until one is (0: none queued).
func (q *reversalQueue) take(now time.Time) (id ID, wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now = q.steady(now)
	for len(q.heap) > 0 {
		first := q.heap[0]
		if q.present[first.id] == first.entry && first.at.After(now) {
			return id, first.at.Sub(now), false
		}
		heap.Pop(&q.heap)
		if q.present[first.id] == first.entry {
			q.present[first.id] = 0
			return first.id, 0, true
		}
	}
	return id, 0, false
}

func (q *reversalQueue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.present)
}

// forward sends one bank's reversals as they fall due: only while the bank is
// signed on, many payments at once within the bank's reversal share, one at a
// time for each payment. It returns when the switch stops and nothing is on
// its way.
func (s *Switch) forward(b *bank) {
	var sending sync.WaitGroup
	defer sending.Wait()
	freed := make(chan struct{}, 1)
	for s.ctx.Err() == nil {
		ready := b.link.Watch()
		if b.link.Ready() != nil {
			wait(s.ctx, ready, 0)
			continue
		}
		id, pause, ok := b.saf.take(s.o.Now())
		if !ok {
			wait(s.ctx, b.saf.wake, pause)
			continue
		}
		for !b.link.Reserve(acquirers.ClassReversal) {
			if !wait(s.ctx, freed, 0) {
				b.saf.again(id, s.o.Now())
				return
			}
		}
		sending.Add(1)
		go func() {
			defer sending.Done()
			if payment, ok := b.saf.ownerOf(id); ok {
				s.pursue(b, payment, id)
			} else {
				s.reverse(b, id)
			}
			b.link.Release(acquirers.ClassReversal)
			select {
			case freed <- struct{}{}:
			default:
			}
		}()
	}
}

// wait blocks until the channel speaks, d passes (0: no limit) or ctx ends; it
// reports whether ctx goes on.
func wait(ctx context.Context, c <-chan struct{}, d time.Duration) bool {
	var timeout <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-c:
	case <-timeout:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// reverse sends one payment's reversal once and records what came of it. The
// attempt is durable before the message leaves, so that a repeat is always
// marked as one, also after a crash.
func (s *Switch) reverse(b *bank, id ID) {
	w := s.pool.Get().(*work)
	defer func() { w.reset(); s.pool.Put(w) }()

	attempt, ok := s.beginReversal(b, id, w)
	if !ok {
		return
	}
	fate := b.link.Exchange(&w.exchange)
	b.metrics.reversals.Inc()
	d := w.version.Dialect()

	r := record{kind: recordReversalAnswered, at: s.now(), attempt: attempt, verdict: iso.ReversalRetry}
	if fate == acquirers.Answered || fate == acquirers.Refuted {
		answer := w.exchange.Answer
		r.responseCode = string(answer.Get(fieldResponseCode))
		if fate == acquirers.Answered {
			r.verdict = d.ReversalAnswer(r.responseCode)
		}
		d.Mask(answer)
		r.message = answer.AppendCompact(make([]byte, 0, compactBytes))
		s.reversalAnswered(b, id, &r)
		return
	}
	b.remember(d, &w.request, id, s.o.Now())
	b.saf.again(id, r.at.Add(backoff(d.Behaviour().SAF, attempt)))
}

// unreadable is when a reversal that could not be read or written is looked at
// again: the journal is about to stop the process, or an operator must see it.
const unreadable = time.Minute

// beginReversal makes the next attempt durable and builds its message in w.
// It is false when nothing is to be sent now; the queue is then settled.
func (s *Switch) beginReversal(b *bank, id ID, w *work) (attempt uint32, ok bool) {
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.history(id)
	if err != nil {
		s.log.Error("a queued reversal cannot be read; it stays queued", "payment", id.Text(PaymentPrefix), "error", err)
		b.saf.again(id, s.o.Now().Add(unreadable))
		return 0, false
	}
	if !h.reversal.queued {
		b.saf.done(id)
		return 0, false
	}
	if !w.speakAs(b, h.in.spoken(), s.now().Sub(h.reversal.since)) {
		b.saf.again(id, s.o.Now().Add(versionLook))
		return 0, false
	}
	d := w.version.Dialect()
	r := h.reversalDue(d.Behaviour().SAF, s.now())
	if r.kind == recordReversalSent {
		r.speaks(d, h.in.spoken())
		if err := s.buildReversal(h, w); err != nil {
			s.log.Error("a reversal cannot be built", "payment", id.Text(PaymentPrefix), "error", err)
			r = deskRecord("cannot_be_built", r.at)
		}
	}
	if !s.append(h, &r) {
		b.saf.again(id, s.o.Now().Add(unreadable))
		return 0, false
	}
	if r.kind == recordDesk {
		s.onItsDesk(b, h)
		return 0, false
	}
	if r.attempt > 1 {
		d.BuildRepeat(&w.request)
	}
	return r.attempt, true
}

func (s *Switch) buildReversal(h *history, w *work) error {
	pan, err := s.keys.open(h.in.sealedPAN, h.ID)
	if err != nil {
		return err
	}
	h.fillReversal(w.version.Dialect(), &w.values)
	w.values.PAN = pan
	return w.compose(iso.OpReversal)
}

// reversalAnswered records the bank's answer to a reversal and settles the queue.
func (s *Switch) reversalAnswered(b *bank, id ID, r *record) {
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.history(id)
	if err != nil {
		s.log.Error("a queued reversal cannot be read; it stays queued", "payment", id.Text(PaymentPrefix), "error", err)
		b.saf.again(id, s.o.Now().Add(unreadable))
		return
	}
	if !h.reversal.queued {
		b.saf.done(id)
		return
	}
	desk := h.reversalVerdict(r, b.dialect().Behaviour().SAF)
	if !s.append(h, r) || desk != nil && !s.append(h, desk) {
		b.saf.again(id, s.o.Now().Add(unreadable))
		return
	}
	switch {
	case desk != nil:
		s.onItsDesk(b, h)
	case h.reversal.queued:
		b.saf.again(id, r.nextAt)
	default:
		b.saf.done(id)
		s.metrics.decided(b, StatusReversed)
		s.log.Info("payment reversed", "payment", id.Text(PaymentPrefix), "bank", b.id, "stan", uint32(h.STAN), "rrn", h.RRN,
			"attempts", r.attempt)
	}
}

// onItsDesk takes a payment out of the queue and raises the alarm.
func (s *Switch) onItsDesk(b *bank, h *history) {
	b.saf.done(h.ID)
	s.metrics.alarms.WithLabelValues("desk").Inc()
	s.log.Error("a reversal needs an operator", "payment", h.Name(), "bank", b.id, "stan", uint32(h.STAN),
		"rrn", h.RRN, "reason", h.reversal.desk)
}

// writing is the scratch memory of one record on its way into the journal;
// pooled.
type writing struct {
	cmd  storage.Command
	body []byte
}

func (w *writing) release(to *sync.Pool) {
	w.cmd.Reset()
	to.Put(w)
}

// compactBytes is room for the journal's form of an ordinary answer.
const compactBytes = 192

// append makes one more record of a payment durable, with what it changes in
// the indexes, and folds it into h. REQUIRES: the payment's lock.
func (s *Switch) append(h *history, r *record) bool {
	id, version, before, operation := h.ID, h.Version+1, h.standing(), h.operationStanding(r.op)
	if err := h.apply(id, version, r); err != nil {
		s.log.Error("an illegal step was refused", "error", err)
		return false
	}
	w := s.writings.Get().(*writing)
	defer w.release(&s.writings)
	c := &w.cmd
	w.body = r.encode(w.body[:0])
	c.Append(storage.ID(id), version, w.body)
	s.attend(h)
	h.reindex(c, before)
	n := r.op
	if r.kind == recordOperation {
		n = uint32(len(h.operations))
	}
	h.reindexOperation(c, n, operation)
	result, err := s.store.Do(c)
	if err != nil || result.Kind != storage.Applied {
		s.log.Error("journal refused a record", "payment", id.Text(PaymentPrefix), "kind", r.kind.String(), "error", err)
		return false
	}
	h.steps = s.stripe(id).steps.Add(1)
	if b := s.banks[h.Bank]; b != nil && h.uncaptured && !before.hold {
		b.holdBegan()
	}
	s.told(h)
	return true
}
