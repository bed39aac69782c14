package payswitch

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// reversalQueue is the in-memory order of one bank's store-and-forward: which
// payment's reversal is due when. The journal is the truth; this is rebuilt
// from it at start. A payment stands in it at most once.
type reversalQueue struct {
	mu      sync.Mutex
	heap    dueHeap
	present map[ID]struct{} // queued or being sent
	wake    chan struct{}
}

type due struct {
	at time.Time
	id ID
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
	return &reversalQueue{present: map[ID]struct{}{}, wake: make(chan struct{}, 1)}
}

// add queues a payment's reversal unless it is queued or on its way already.
func (q *reversalQueue) add(id ID, at time.Time) {
	q.mu.Lock()
	if _, ok := q.present[id]; !ok {
		q.present[id] = struct{}{}
		heap.Push(&q.heap, due{at: at, id: id})
	}
	q.mu.Unlock()
	q.signal()
}

// again queues a payment that take handed out.
func (q *reversalQueue) again(id ID, at time.Time) {
	q.mu.Lock()
	heap.Push(&q.heap, due{at: at, id: id})
	q.mu.Unlock()
	q.signal()
}

// done forgets a payment that take handed out.
func (q *reversalQueue) done(id ID) {
	q.mu.Lock()
	delete(q.present, id)
	q.mu.Unlock()
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
	if len(q.heap) == 0 {
		return id, 0, false
	}
	if first := q.heap[0]; first.at.After(now) {
		return id, first.at.Sub(now), false
	}
	return heap.Pop(&q.heap).(due).id, 0, true
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
			s.reverse(b, id)
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

	r := record{kind: recordReversalAnswered, at: s.now(), attempt: attempt, verdict: iso.ReversalRetry}
	switch fate {
	case acquirers.Answered, acquirers.Refuted:
		answer := w.exchange.Answer
		r.responseCode = string(answer.Get(fieldResponseCode))
		if fate == acquirers.Answered {
			r.verdict = b.dialect.ReversalAnswer(r.responseCode)
		}
		b.dialect.Mask(answer)
		r.message = answer.AppendCompact(nil)
		s.reversalAnswered(b, id, &r)
	default:
		b.remember(&w.request, id, s.o.Now())
		b.saf.again(id, r.at.Add(backoff(b.dialect.Behaviour().SAF, attempt)))
	}
}

// beginReversal makes the next attempt durable and builds its message in w.
// It is false when nothing is to be sent now; the queue is then settled.
func (s *Switch) beginReversal(b *bank, id ID, w *work) (attempt uint32, ok bool) {
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.history(id)
	if err != nil {
		s.log.Error("a queued reversal cannot be read; it stays queued", "payment", id.Text(PaymentPrefix), "error", err)
		b.saf.again(id, s.o.Now().Add(time.Minute))
		return 0, false
	}
	if !h.reversal.queued {
		b.saf.done(id)
		return 0, false
	}
	saf := b.dialect.Behaviour().SAF
	now := s.now()
	switch age := now.Sub(h.reversal.since); {
	case saf.Expiry > 0 && age > saf.Expiry:
		s.toDesk(b, h, "expired")
		return 0, false
	case saf.MaxAttempts > 0 && int(h.reversal.attempts-h.reversal.before) >= saf.MaxAttempts:
		s.toDesk(b, h, "attempts_exhausted")
		return 0, false
	}
	pan, err := s.keys.open(h.in.sealedPAN, id)
	if err == nil {
		h.fillReversal(b.dialect, &w.values)
		w.values.PAN = pan
		err = b.dialect.Build(iso.OpReversal, &w.values, &w.request)
	}
	if err != nil {
		s.log.Error("a reversal cannot be built", "payment", id.Text(PaymentPrefix), "error", err)
		s.toDesk(b, h, "cannot_be_built")
		return 0, false
	}
	attempt = h.reversal.attempts + 1
	if attempt > 1 {
		b.dialect.BuildRepeat(&w.request)
	}
	w.exchange.Request, w.exchange.Timeout = &w.request, 0
	if w.exchange.Answer == nil {
		w.exchange.Answer = &w.answer
	}
	r := record{kind: recordReversalSent, at: now, attempt: attempt, nextAt: now.Add(backoff(saf, attempt))}
	if !s.append(h, &r, func(*storage.Command) {}) {
		b.saf.again(id, now.Add(time.Minute))
		return 0, false
	}
	return attempt, true
}

// reversalAnswered records the bank's answer to a reversal and settles the queue.
func (s *Switch) reversalAnswered(b *bank, id ID, r *record) {
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.history(id)
	if err != nil || !h.reversal.queued {
		b.saf.done(id)
		return
	}
	r.nextAt = r.at.Add(backoff(b.dialect.Behaviour().SAF, r.attempt))
	settled := r.verdict == iso.ReversalDone
	if !s.append(h, r, func(c *storage.Command) {
		if settled {
			c.Delete(spaceReversal, id[:])
		}
	}) {
		return
	}
	switch r.verdict {
	case iso.ReversalDone:
		b.saf.done(id)
		s.metrics.decided(b, StatusReversed)
		s.log.Info("payment reversed", "payment", id.Text(PaymentPrefix), "bank", b.id, "stan", uint32(h.STAN), "rrn", h.RRN,
			"attempts", r.attempt)
	case iso.ReversalManual:
		s.toDesk(b, h, "refused_with_"+r.responseCode)
	default:
		b.saf.again(id, r.nextAt)
	}
}

// toDesk hands a payment to the operators: the switch stops trying, nothing is
// dropped (features I20). REQUIRES: the payment's lock; h is current.
func (s *Switch) toDesk(b *bank, h *history, reason string) {
	id := h.ID
	r := record{kind: recordDesk, at: s.now(), reason: reason}
	if !s.append(h, &r, func(c *storage.Command) {
		c.Delete(spaceReversal, id[:])
		c.Set(spaceDesk, id[:], []byte(b.id))
	}) {
		return
	}
	b.saf.done(id)
	s.metrics.alarms.WithLabelValues("desk").Inc()
	s.log.Error("a reversal needs an operator", "payment", id.Text(PaymentPrefix), "bank", b.id, "stan", uint32(h.STAN),
		"rrn", h.RRN, "reason", reason)
}

// append makes one more record of a payment durable, together with what extra
// adds, and folds it into h. REQUIRES: the payment's lock.
func (s *Switch) append(h *history, r *record, extra func(*storage.Command)) bool {
	id, version := h.ID, h.Version+1
	if err := h.apply(id, version, r); err != nil {
		s.log.Error("an illegal step was refused", "error", err)
		return false
	}
	var c storage.Command
	c.Append(storage.ID(id), version, r.encode(nil))
	extra(&c)
	result, err := s.store.Do(&c)
	if err != nil || result.Kind != storage.Applied {
		s.log.Error("journal refused a record", "payment", id.Text(PaymentPrefix), "kind", r.kind.String(), "error", err)
		return false
	}
	s.watch.notify(id)
	return true
}

// backoff is the pause after the n-th attempt, by the dialect's schedule.
func backoff(saf iso.SAFSchedule, attempt uint32) time.Duration {
	d := float64(saf.First) * math.Pow(max(saf.Factor, 1), float64(attempt))
	if limit := float64(saf.Cap); limit > 0 && d > limit {
		d = limit
	}
	return time.Duration(d)
}
