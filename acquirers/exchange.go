package acquirers

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// Fate is what is known about a request after an exchange.
type Fate uint8

// The fates. Only Answered says what the bank decided.
const (
	NotSent    Fate = iota + 1 // provably no byte left, or the bank's host refused the frame unprocessed; may be refused or tried at another bank
	Unanswered                 // may have reached the bank; ambiguous
	Answered                   // Exchange.Answer was matched and verified
	Refuted                    // Exchange.Answer was matched and contradicts the request; finalises nothing
)

var fateNames = [...]string{"", "not_sent", "unanswered", "answered", "refuted"}

// String is the fate's name in logs.
func (f Fate) String() string {
	if int(f) < len(fateNames) {
		return fateNames[f]
	}
	return "unknown"
}

// Cause says why an exchange has no usable answer.
type Cause uint8

// The causes. CauseEcho and CauseMAC belong to Refuted, CauseRejected to Refuted and
// NotSent, the others to NotSent and Unanswered.
const (
	CauseNone      Cause = iota
	CauseTimeout         // the deadline passed
	CauseLinkLost        // the link ended while the exchange was queued or in flight
	CauseNoLink          // no link is ready
	CauseWindow          // every link is full
	CauseEncode          // the request does not encode, or has no key to match an answer by
	CauseEcho            // the answer does not repeat what the request said
	CauseClosed          // the bank was closed here
	CauseDuplicate       // an exchange with the same key is in flight
	CauseRejected        // the bank's host refused the frame; Exchange.Answer is empty
	CauseMAC             // the answer's authentication code is wrong or missing
)

var causeNames = [...]string{"none", "timeout", "link_lost", "no_link", "window_full", "encode", "echo_mismatch", "closed", "duplicate_key", "rejected", "wrong_mac"}

// String is the cause's name in records and logs.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return "unknown"
}

// Exchange is one request and its answer. The caller pools it; it may be used
// again as soon as Bank.Exchange returned. Not goroutine-safe.
type Exchange struct {
	Request *iso.Message  // in; not changed
	Version *Version      // in: what Request is built in; nil: the bank's current one
	Answer  *iso.Message  // in: scratch, nil makes one; out: the answer. The bank swaps it with a message of its own
	Timeout time.Duration // in; 0: the bank's default for the request's class

	SentAt     time.Time // out: when it was queued on its link; zero for NotSent
	AnsweredAt time.Time // out: when the answer was read
	Link       int       // out: the link's number, from 1; 0: none
	Cause      Cause     // out
}

// The state of a flight is one word: its use number above, the phase below.
// Every change is a compare-and-swap of the whole word, so whoever holds an old
// word cannot touch a flight that was recycled meanwhile.
const (
	phaseQueued = 1 // provably not sent: the writer has not taken it
	phaseHanded = 2 // ambiguous from the moment before the write call
	phaseDone   = 3 // whoever set it fills the result and wakes the owner, once
	phaseBits   = 2
	phaseMask   = 1<<phaseBits - 1
)

// flight is the bank's side of one exchange. The owner is the goroutine in
// Exchange; the table, the wheel, the writer and the reader know it meanwhile.
type flight struct {
	state atomic.Uint64
	done  chan struct{} // capacity 1: one token per use, from whoever reached phaseDone
	frame []byte
	key   iso.Key

	// Guarded by the shard's mutex while registered.
	next, prev *flight
	slot       int32
	registered bool
	link       int32
	epoch      uint32
	tick       int64

	// Written by whoever reached phaseDone, read by the owner after the token.
	answer     *iso.Message
	answeredAt time.Time
	fate       Fate
	cause      Cause
}

// begin opens a new use of the flight as queued. REQUIRES: the owner calls, and
// the flight is in no table.
func (f *flight) begin() (word uint64) {
	word = (f.state.Load()>>phaseBits+1)<<phaseBits | phaseQueued
	f.state.Store(word)
	f.fate, f.cause = 0, CauseNone
	f.answeredAt = time.Time{}
	return word
}

// finish moves the flight to done from the queued or the handed phase of its
// present use and reports which it was, 0 when somebody else was first.
// REQUIRES: the caller holds the shard's mutex, or is the owner: only so is the
// present use known to be the one meant.
func (f *flight) finish() (from uint64) {
	for {
		word := f.state.Load()
		from = word & phaseMask
		if from != phaseQueued && from != phaseHanded {
			return 0
		}
		if f.state.CompareAndSwap(word, word&^phaseMask|phaseDone) {
			return from
		}
	}
}

// fail fills the result of a flight that ended without an answer and wakes the
// owner. REQUIRES: the caller's finish returned from.
func (f *flight) fail(from uint64, cause Cause) {
	f.cause = cause
	if f.fate = Unanswered; from == phaseQueued {
		f.fate = NotSent
	}
	f.done <- struct{}{}
}

// Exchange sends x.Request on the ready link with the fewest in flight and
// blocks until the answer, the deadline or the loss of the link. REQUIRES: a
// slot taken by Reserve. Goroutine-safe; allocates nothing once warm.
func (b *Bank) Exchange(x *Exchange) Fate {
	v := x.Version
	if v == nil {
		v = b.current.Load()
	}
	timeout := x.Timeout
	if timeout <= 0 {
		timeout = v.cfg.ResponseTimeout
		if x.Request.MTI.Class() == classReversalMTI {
			timeout = v.cfg.ReversalTimeout
		}
	}
	fate := b.exchange(x, way{version: v}, timeout)
	if fate == Answered || fate == Refuted {
		b.metrics.rtt.Observe(x.AnsweredAt.Sub(x.SentAt).Seconds())
	}
	return fate
}

const classReversalMTI = 4

// maxTries bounds how often an exchange looks for another link after the one
// it chose was lost before it was queued there.
const maxTries = 4

// way is how a request goes: on a line, or on the best one of a version.
type way struct {
	version *Version
	line    *line
}

// exchange is Exchange on a given way.
func (b *Bank) exchange(x *Exchange, by way, timeout time.Duration) Fate {
	via, v := by.line, by.version
	if via != nil {
		v = via.version
	}
	x.SentAt, x.AnsweredAt, x.Link, x.Cause = time.Time{}, time.Time{}, 0, CauseNone
	f := b.flights.Get().(*flight)
	defer b.flights.Put(f)
	var err error
	if f.frame, err = v.frame(f.frame[:0], x.Request); err != nil {
		clear(f.frame[:cap(f.frame)])
		x.Cause = CauseEncode
		return NotSent
	}
	defer clear(f.frame)
	if v.dialect.RequestKey(x.Request, &f.key); f.key == (iso.Key{}) {
		x.Cause = CauseEncode
		return NotSent
	}
	if x.Answer == nil {
		x.Answer = new(iso.Message)
	}
	f.answer = x.Answer
	x.Cause = CauseNoLink
	for try := 0; try < maxTries; try++ {
		l := via
		if l == nil {
			if l, x.Cause = b.pick(v); l == nil {
				return NotSent
			}
		}
		launched := b.launch(x, f, l, timeout)
		if launched {
			<-f.done
		}
		if via == nil {
			l.inFlight.Add(-1)
		}
		if launched {
			return b.land(x, f, l)
		}
		if x.Cause == CauseDuplicate || via != nil {
			break
		}
	}
	x.SentAt, x.Link = time.Time{}, 0
	return NotSent
}

// launch registers the flight, then queues its frame. False: it is provably
// not sent and in no table any more, for x.Cause.
func (b *Bank) launch(x *Exchange, f *flight, l *line, timeout time.Duration) bool {
	word := f.begin()
	x.SentAt, x.Link, x.Cause = time.Now(), l.link.number, CauseNone
	f.link, f.epoch = int32(l.link.number), l.epoch
	if !b.pending.add(f, x.SentAt.Add(timeout)) {
		x.Cause = CauseDuplicate
		b.aside.alarm("duplicate_key", "a request was refused because one with the same key is in flight")
		return false
	}
	e := queued{flight: f, word: word}
	e.label.read(x.Request)
	if l.enqueue(f.frame, &e) {
		return true
	}
	if !b.pending.remove(f) {
		<-f.done
	}
	if x.Cause = CauseNoLink; !l.isGone() {
		x.Cause = CauseWindow
	}
	return false
}

// land reads the result of a flight that ended.
func (b *Bank) land(x *Exchange, f *flight, l *line) Fate {
	x.Answer, x.AnsweredAt, x.Cause = f.answer, f.answeredAt, f.cause
	f.answer = nil
	switch f.fate {
	case NotSent:
		x.SentAt, x.Link = time.Time{}, 0
	case Answered:
		l.rtt.Store(int64(x.AnsweredAt.Sub(x.SentAt)))
		if err := l.version.verify(x); err != nil {
			x.Cause = CauseEcho
			b.metrics.mismatch.Add(1)
			b.aside.alarm("answer_refuted", fmt.Sprintf("link %d: %s", x.Link, err))
			return Refuted
		}
	}
	return f.fate
}

// verify compares the answer with the request. The answer's bytes are hostile,
// so a panic counts as a refusal.
func (v *Version) verify(x *Exchange) (err error) {
	defer func() {
		if recover() != nil {
			err = errVerifyPanic
		}
	}()
	return v.dialect.Verify(x.Request, x.Answer)
}
