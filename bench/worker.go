package bench

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

var errAgain = errors.New("not now")

const (
	tick         = 100 * time.Millisecond // time-outs and reconnects are looked at
	recentSpan   = 1000                   // duplicates repeat one of the last so many payments
	dialTimeout  = 2 * time.Second
	dialPiece    = 500 * time.Microsecond // spent on connecting at once
	dialPause    = 2 * time.Millisecond   // before the next piece
	noPayment    = ^uint64(0)
	readSize     = 8 << 10
	maxDueAtOnce = 64 // sent before answers are read again
)

// window is the plan of a run in time since its start.
type window struct{ from, to time.Duration }

func (w window) has(at time.Duration) bool { return at >= w.from && at < w.to }

// worker drives its share of the connections from one thread. Everything in it
// belongs to that thread until run returns.
type worker struct {
	o      *Options
	index  int
	start  time.Time
	plan   window
	mix    *mix
	poll   *poller
	due    *schedule // nil: closed loop
	stop   *atomic.Bool
	report chan<- *interval

	conns      []conn
	idle       []int32 // a stack: the most recently used is the warmest
	busy       int
	nextDue    time.Duration
	nextTick   time.Duration
	freeSince  time.Duration // since then there always was an idle connection
	again      []repeat      // lost payments to send once more, oldest first
	rng        *rand.Rand
	follows    bool                // operations follow payments
	operations [len(kinds)]float64 // shares of all requests
	followers  followers
	ledger     ledger
	total      *counts // the whole run
	measured   *counts // answers inside the plan
	latency    *hdrhistogram.Histogram
	split      split
	late       *hdrhistogram.Histogram // sent after it was due through the generator's own fault
	starved    uint64                  // had to wait for a free connection
	dropped    uint64                  // due inside the plan and never sent
	second     *interval
	err        error
}

// interval is one second of one worker.
type interval struct {
	index          int
	answered, bad  uint64
	busy           int
	latency        *hdrhistogram.Histogram
	answeredBefore uint64
	badBefore      uint64
}

func (w *worker) now() time.Duration { return time.Since(w.start) }

// number is the payment's number in the whole run.
func (w *worker) number(i uint64) uint64 { return i*uint64(w.o.Workers) + uint64(w.index) }

// run drives the load until the plan is over and every answer is in, or late.
func (w *worker) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	precise()
	if w.due != nil {
		w.nextDue = w.due.next()
	}
	for {
		now := w.now()
		if now >= w.nextTick {
			w.housekeep(now)
		}
		w.launch(now)
		if w.stop.Load() || now >= w.plan.to && w.busy == 0 && !w.retrying(now) {
			break
		}
		if w.err = w.poll.wait(w.patience(), w.ready); w.err != nil {
			break
		}
	}
	for i := range w.conns {
		if w.conns[i].payment != noPayment {
			w.lose(&w.conns[i], lossTimeout)
		}
		w.drop(&w.conns[i])
	}
	w.countDropped()
	for i := range w.again {
		w.finish(&w.again[i].request, endLost, w.now())
	}
	w.closeSecond(w.now())
}

// over: nothing new is sent. What fell due just before the end may still leave just
// after it.
func (w *worker) over(now time.Duration) bool {
	return now >= w.plan.to && (w.due == nil || w.nextDue >= w.plan.to || now >= w.plan.to+grace)
}

const grace = 100 * time.Millisecond

// retrying: lost payments are still sent again for a while after the plan.
func (w *worker) retrying(now time.Duration) bool {
	return len(w.again) > 0 && now < w.plan.to+w.o.Timeout
}

// request is one intended request.
type request struct {
	payment  uint64 // its index in the ledger
	due      time.Duration
	kind     int       // kindPurchase stands for whatever the payment's number says
	id       paymentID // of the payment that an operation follows
	repeated bool      // an earlier attempt got no answer
}

// repeat is a request that is to be sent once more.
type repeat struct {
	request
	notBefore time.Duration
}

// retryPause is how long a merchant waits before it asks again.
const retryPause = 100 * time.Millisecond

// launch sends what is due while there are free connections.
func (w *worker) launch(now time.Duration) {
	for sent := 0; len(w.idle) > 0 && sent < maxDueAtOnce && !w.stop.Load(); sent++ {
		if len(w.again) > 0 && w.again[0].notBefore <= now && w.retrying(now) {
			r := w.again[0]
			w.again = w.again[1:]
			w.total.retries++
			w.send(r.request)
			now = w.now()
			continue
		}
		if w.over(now) {
			return
		}
		due := now
		if w.due != nil {
			if w.nextDue > now || w.nextDue >= w.plan.to {
				return
			}
			due = w.nextDue
			w.nextDue = w.due.next()
			w.noteLateness(due)
		}
		w.send(w.pick(due))
		now = w.now()
	}
}

// noteLateness tells the generator's own delay from the wait for a connection.
func (w *worker) noteLateness(due time.Duration) {
	if !w.plan.has(due) {
		return
	}
	if due < w.freeSince {
		w.starved++
	}
	record(w.late, w.now()-max(due, w.freeSince))
}

// patience is how long nothing needs to be done but read answers.
func (w *worker) patience() time.Duration {
	now := w.now()
	wake := w.nextTick
	if len(w.idle) == 0 {
		return wake - now
	}
	if len(w.again) > 0 {
		wake = min(wake, w.again[0].notBefore)
	}
	if now < w.plan.to {
		if w.due == nil {
			return 0
		}
		wake = min(wake, w.nextDue)
	}
	return wake - now
}

// pick chooses what to send: an operation, a duplicate or a new payment.
func (w *worker) pick(due time.Duration) request {
	if w.follows {
		if r, ok := w.pickOperation(due); ok {
			return r
		}
	}
	if known := uint64(len(w.ledger.outcomes)); w.o.Duplicates > 0 && known > 0 && w.rng.Float64() < w.o.Duplicates {
		w.total.duplicates++
		return request{payment: known - 1 - w.rng.Uint64N(min(known, recentSpan)), due: due, kind: kindDuplicate}
	}
	return request{payment: w.ledger.open(), due: due}
}

// housekeep closes overdue requests, reconnects and finishes a second. Opening many
// connections takes a while, in which nothing else is sent, so it is done in pieces;
// and when nobody listens, one attempt shows it.
func (w *worker) housekeep(now time.Duration) {
	w.nextTick = now + tick
	deaf := false
	for i := range w.conns {
		c := &w.conns[i]
		switch {
		case c.fd < 0 && !deaf && (now < w.plan.to || w.retrying(now)):
			if w.now()-now > dialPiece {
				deaf, w.nextTick = true, now+dialPause
				continue
			}
			deaf = !w.connect(c)
		case c.payment != noPayment && now-c.sentAt > w.o.Timeout:
			w.lose(c, lossTimeout)
		}
	}
	if int(now/time.Second) > w.second.index {
		w.closeSecond(now)
	}
}

// closeSecond hands the finished second over and begins the next.
func (w *worker) closeSecond(now time.Duration) {
	s := w.second
	s.answered, s.bad, s.busy = w.total.answered-s.answeredBefore, w.total.bad()-s.badBefore, w.busy
	w.report <- s
	w.second = &interval{index: int(now / time.Second), latency: newHist(),
		answeredBefore: w.total.answered, badBefore: w.total.bad()}
}

// countDropped counts the requests that were due and never sent, because no
// connection came free. Their delay until the end is a lower bound, and they are
// recorded with it: leaving them out would flatter the switch.
func (w *worker) countDropped() {
	if w.due == nil {
		return
	}
	for w.nextDue < w.plan.to && w.dropped < maxDropped && !w.stop.Load() {
		if w.plan.has(w.nextDue) {
			w.dropped++
			record(w.latency, w.plan.to-w.nextDue)
		}
		w.nextDue = w.due.next()
	}
}

const maxDropped = 50_000_000
