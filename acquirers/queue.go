package acquirers

import (
	"runtime"
	"sync"
	"time"
)

const (
	maxBatchBytes  = 64 << 10
	maxBatchFrames = 128
	maxReplies     = 1024 // answers to the bank's own requests waiting for the writer; a bank that asks and never reads
)

// queued is one frame in a queue's buffer: where it ends, whose it is, and how
// the recorder names it. An answer to the bank's own request has no flight.
type queued struct {
	label  label
	end    int
	flight *flight
	word   uint64
}

// handed is one frame of the batch being written; flight is nil as in queued.
type handed struct {
	flight *flight
	word   uint64
}

// queue is what waits for a line's writer. Frames are copied in, so a flight's
// memory never has two owners.
type queue struct {
	mu      sync.Mutex
	cond    sync.Cond
	frames  []byte
	entries []queued
	replies int
	limit   int
	waiting bool // the writer is in cond.Wait
	closed  bool
}

func (q *queue) init(limit int) { q.cond.L, q.limit = &q.mu, limit }

// put appends one frame and wakes the writer. False: the queue is closed or
// full, and nothing was kept.
func (q *queue) put(frame []byte, e *queued) bool {
	q.mu.Lock()
	if q.closed || len(q.entries) >= q.limit || e.flight == nil && q.replies >= maxReplies {
		q.mu.Unlock()
		return false
	}
	q.frames = append(q.frames, frame...)
	e.end = len(q.frames)
	q.entries = append(q.entries, *e)
	if e.flight == nil {
		q.replies++
	}
	wake := q.waiting
	q.waiting = false
	q.mu.Unlock()
	if wake {
		q.cond.Signal()
	}
	return true
}

// take waits for frames and swaps them with the writer's empty buffers. False:
// the queue is closed; what was in it stays there, unsent.
func (q *queue) take(frames []byte, entries []queued) ([]byte, []queued, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.entries) == 0 && !q.closed {
		q.waiting = true
		q.cond.Wait()
	}
	if q.closed {
		return frames, entries, false
	}
	q.frames, frames = frames[:0], q.frames
	q.entries, entries = entries[:0], q.entries
	q.replies = 0
	return frames, entries, true
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	clear(q.frames[:cap(q.frames)])
	q.mu.Unlock()
	q.cond.Broadcast()
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.entries)
}

// batch packs the frames of the first entries that are still wanted to the
// front of frames, hands them over and reports how many entries it passed. Each
// flight becomes handed here, before any write call sees its bytes.
func (l *line) batch(frames []byte, start int, entries []queued) (packed []byte, passed int) {
	write, read := start, start
	l.handed = l.handed[:0]
	at, out := time.Now().UnixNano(), &l.link.out
	out.mu.Lock()
	defer out.mu.Unlock()
	for i := range entries {
		e := &entries[i]
		size := e.end - read
		if len(l.handed) == maxBatchFrames || write > start && write-start+size > maxBatchBytes {
			break
		}
		passed++
		if e.flight == nil || e.flight.state.CompareAndSwap(e.word, e.word-phaseQueued+phaseHanded) {
			if write != read {
				copy(frames[write:], frames[read:e.end])
			}
			write += size
			l.handed = append(l.handed, handed{e.flight, e.word})
			out.slot(at, size).label = e.label
		}
		read = e.end
	}
	return frames[start:write], passed
}

// writeLoop is the line's one writer: it writes whatever queued while it was
// busy, in as few writes as the limits allow.
func (l *line) writeLoop() {
	defer close(l.writerGone)
	var frames []byte
	var entries []queued
	for {
		// One step aside lets those who are about to queue do so: measured, 15
		// messages in a write instead of 1.5, and a third of the CPU. An exchange
		// that is alone does not pay for it.
		if l.inFlight.Load() > 1 {
			runtime.Gosched()
		}
		var ok bool
		if frames, entries, ok = l.queue.take(frames, entries); !ok {
			return
		}
		start := 0
		for rest := entries; len(rest) > 0; {
			packed, passed := l.batch(frames, start, rest)
			end := rest[passed-1].end
			if len(packed) > 0 && !l.send(packed) {
				clear(frames)
				return
			}
			clear(frames[start:end])
			start, rest = end, rest[passed:]
		}
		clear(entries)
	}
}

// send writes one batch. On failure it proves what it can: when no byte of the
// write left, its flights were not sent.
func (l *line) send(packed []byte) bool {
	if l.isGone() {
		l.unsend()
		return false
	}
	left, err := l.transport.write(packed)
	m := l.bank.metrics
	m.writes.Add(1)
	if err == nil {
		m.framesOut.Add(uint64(len(l.handed)))
		return true
	}
	l.fail("write: " + causeOf(err))
	if !left {
		l.unsend()
	}
	return false
}

// unsend ends the flights of the last batch as not sent. REQUIRES: proof that
// no byte of the batch left.
func (l *line) unsend() {
	for _, e := range l.handed {
		if e.flight != nil {
			l.bank.pending.unsend(e.flight, e.word-phaseQueued+phaseHanded, l.bank.lossCause())
		}
	}
}
