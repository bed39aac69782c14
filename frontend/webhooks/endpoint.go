package webhooks

import (
	"errors"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tranzit/tranzit/frontend"
	payswitch "github.com/tranzit/tranzit/switch"
)

// endpoint is one address with its queue. One goroutine runs it and starts its
// deliveries.
type endpoint struct {
	d    *Deliverer
	id   payswitch.ID
	wake chan struct{}

	mu      sync.Mutex
	info    *payswitch.Endpoint
	signers []*standardwebhooks.Webhook
	signing []payswitch.EndpointSecret // those of signers
	window  window
	pace    pace
	running int       // deliveries between their start and their answer
	marked  bool      // the journal says that it is failing
	nextDue time.Time // of the notices that wait for a later attempt; zero: none
	oldest  payswitch.ID
}

// lookAgain is how often the whole queue of an endpoint is read from the
// journal when nothing else asks for it.
const lookAgain = 5 * time.Minute

func newEndpoint(d *Deliverer, info *payswitch.Endpoint) *endpoint {
	e := &endpoint{d: d, id: info.ID, info: info, wake: make(chan struct{}, 1), window: newWindow(d.o.Window),
		pace: pace{most: d.o.PerEndpoint, limit: min(firstPace, d.o.PerEndpoint), since: info.Failing}, marked: !info.Failing.IsZero()}
	if e.marked {
		e.pace.failures, e.pace.limit = tripAfter, 1
	}
	e.nextDue = time.Now()
	return e
}

func (e *endpoint) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// renew takes over what was changed. One that is enabled anew, or moved, begins
// afresh.
func (e *endpoint) renew(info *payswitch.Endpoint) {
	e.mu.Lock()
	defer e.signal()
	defer e.mu.Unlock()
	if info.Version < e.info.Version {
		return
	}
	if info.Enabled && (!e.info.Enabled || info.URL != e.info.URL) {
		e.pace = pace{most: e.d.o.PerEndpoint, limit: min(firstPace, e.d.o.PerEndpoint)}
		e.window.lean = false
		e.lookAtAll()
	}
	e.info, e.marked = info, !info.Failing.IsZero()
}

// lookAtAll lets the whole queue be read from the journal. REQUIRES: e.mu.
func (e *endpoint) lookAtAll() {
	e.window.resume(payswitch.ID{})
	e.nextDue = time.Now()
}

// run sends until the deliverer stops or the endpoint is gone.
func (e *endpoint) run() {
	var calls sync.WaitGroup
	defer calls.Wait()
	for looked := time.Now(); e.d.ctx.Err() == nil; {
		e.mu.Lock()
		info := e.info
		e.mu.Unlock()
		if !info.Enabled {
			if e.purge(info.UpdatedAt); e.d.o.Outbox.Endpoint(e.id) == nil {
				return
			}
			e.wait(0)
			continue
		}
		if now := time.Now(); now.Sub(looked) > lookAgain {
			looked = now
			e.mu.Lock()
			e.lookAtAll()
			e.mu.Unlock()
		}
		pause, err := e.load()
		if err != nil {
			e.d.log.Error("what an endpoint is owed cannot be read", "endpoint", e.name(), "error", err)
			pause = time.Second
		}
		for l := e.next(); l != nil; l = e.next() {
			calls.Add(1)
			go func() {
				defer calls.Done()
				e.deliver(l)
			}()
		}
		e.wait(pause)
	}
}

func (e *endpoint) name() string { return e.id.Text(payswitch.EndpointPrefix) }

// wait sleeps until it is woken, at most d (0: no limit).
func (e *endpoint) wait(d time.Duration) {
	var timeout <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-e.wake:
	case <-timeout:
	case <-e.d.ctx.Done():
	}
}

// leanLoad is how many notices of a failing endpoint are read at once.
const leanLoad = 4

// load reads from the journal what there is room for. pause is how long until
// it should look again, unless something happens before.
func (e *endpoint) load() (pause time.Duration, err error) {
	now := time.Now()
	e.mu.Lock()
	room := e.window.limit - e.window.held
	if e.window.lean {
		room = leanLoad - e.window.held
	}
	rest := e.pace.until.Sub(now)
	open := rest <= 0 && (room >= e.window.limit/2 || e.window.lean && room > 0)
	due := open && !e.nextDue.IsZero() && !e.nextDue.After(now)
	ready, cursor := open && e.window.behind, e.window.cursor
	if due {
		e.nextDue = time.Time{}
	}
	if ready {
		e.window.behind = false // what comes while we read is missed from its place on
	}
	e.mu.Unlock()
	if due {
		if err := e.loadDue(now, max(1, room/2)); err != nil {
			return 0, err
		}
	}
	if ready {
		if err := e.loadReady(cursor, max(1, room/2)); err != nil {
			return 0, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	pause = lookAgain
	if wait := e.nextDue.Sub(now); !e.nextDue.IsZero() && (wait > 0 || open) {
		pause = min(pause, max(time.Millisecond, wait))
	}
	if rest > 0 {
		pause = rest + time.Millisecond
	}
	if open && e.window.behind && len(e.window.ready) == 0 {
		pause = time.Millisecond // the journal showed only what waits
	}
	return pause, nil
}

// loadDue reads what fell due.
func (e *endpoint) loadDue(now time.Time, limit int) error {
	list, next, err := e.d.o.Outbox.Due(e.id, now, limit)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		next = now
	}
	e.window.load(list)
	e.dueAt(next)
	return err
}

// dueAt notes that something falls due. REQUIRES: e.mu.
func (e *endpoint) dueAt(at time.Time) {
	if !at.IsZero() && (e.nextDue.IsZero() || at.Before(e.nextDue)) {
		e.nextDue = at
	}
}

// loadReady reads what is owed at once.
func (e *endpoint) loadReady(cursor payswitch.ID, limit int) error {
	list, next, more, err := e.d.o.Outbox.Ready(e.id, cursor, limit)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.window.resume(cursor)
		return err
	}
	e.window.load(list)
	if more {
		e.window.resume(next)
	}
	return nil
}

// next is a lane whose first notice may be sent now; nil: none. The delivery is
// then counted as running.
func (e *endpoint) next() *lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.info.Enabled || e.running >= e.pace.limit || time.Now().Before(e.pace.until) || e.d.draining.Load() {
		return nil
	}
	if e.running > 0 && !e.d.slots.take(e) {
		return nil
	}
	l := e.window.take()
	if l == nil {
		if e.running > 0 {
			e.d.slots.give()
		}
		return nil
	}
	e.running++
	e.d.open.Add(1)
	return l
}

// finished gives a delivery's place back.
func (e *endpoint) finished() {
	e.mu.Lock()
	e.running--
	more := e.running > 0
	e.mu.Unlock()
	if more {
		e.d.slots.give()
	}
	e.signal()
}

// deliver sends the first notice of a lane, and hands what came of it to the
// journal. REQUIRES: the lane is busy.
func (e *endpoint) deliver(l *lane) {
	e.mu.Lock()
	n := l.notices[0]
	info := e.info
	e.mu.Unlock()
	event, held, first, err := e.d.o.Outbox.Read(n)
	switch {
	case errors.Is(err, payswitch.ErrNotOwed), err == nil && held.Due.After(time.Now()):
		e.forget(l, n.Event) // or it was put off meanwhile
	case err != nil:
		e.d.log.Error("an event cannot be read; it is tried again later", "endpoint", e.name(), "event", n.Event.Text(payswitch.EventPrefix), "error", err)
		e.park(l, time.Now().Add(jitter(e.d.o.MaxPause)))
	case first != nil && first.Due.After(time.Now()):
		e.park(l, first.Due.Add(time.Millisecond))
	case first != nil:
		e.goFirst(l, *first)
	default:
		e.send(l, info, held, event)
		return
	}
	e.finished()
}

// forget lets go of a notice that needs nothing any more.
func (e *endpoint) forget(l *lane, event payswitch.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.window.done(l, []payswitch.ID{event})
	e.d.open.Add(-1)
}

// goFirst puts a notice before the others of its lane.
func (e *endpoint) goFirst(l *lane, n payswitch.Notice) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l.busy = false
	e.window.insert(l, n)
	e.window.done(l, nil)
	e.d.open.Add(-1)
}

// park puts a whole lane to a later time.
func (e *endpoint) park(l *lane, at time.Time) {
	e.mu.Lock()
	attempts := e.behindFirst(l, at)
	e.mu.Unlock()
	e.toJournal(l, attempts)
}

// behindFirst puts off all notices of a lane, without counting an attempt.
// REQUIRES: e.mu.
func (e *endpoint) behindFirst(l *lane, at time.Time) (attempts []payswitch.Attempt) {
	for i, n := range l.notices {
		if i == maxLane {
			break
		}
		attempts = append(attempts, payswitch.Attempt{Notice: n, Next: at.Add(time.Duration(i) * time.Millisecond)})
	}
	return attempts
}

// maxLane is how many notices of one lane are put off in one step.
const maxLane = 64

// send posts an event and decides what follows.
func (e *endpoint) send(l *lane, info *payswitch.Endpoint, n payswitch.Notice, event payswitch.Event) {
	begun := time.Now()
	r := e.d.o.Caller.post(e.d.ctx, &message{url: info.URL, id: event.ID.Text(payswitch.EventPrefix),
		body: frontend.AppendEvent(nil, &event), signers: e.signersAt(begun)})
	if e.d.ctx.Err() != nil {
		e.d.open.Add(-1)
		e.finished()
		return
	}
	took := time.Since(begun)
	a := payswitch.Attempt{Notice: n, At: begun, Took: took, Code: r.code, Error: r.word, Done: r.code >= 200 && r.code < 300}
	if !a.Done {
		if a.GivenUp = n.Attempts >= len(e.d.o.Retries); !a.GivenUp {
			a.Next = begun.Add(took + max(jitter(e.d.o.Retries[n.Attempts]), r.after))
		}
	}
	attempts := []payswitch.Attempt{a}
	if !a.Done && !a.GivenUp {
		e.mu.Lock()
		for _, later := range e.behindFirst(l, a.Next) {
			if later.Notice.Event != n.Event {
				attempts = append(attempts, later)
			}
		}
		e.mu.Unlock()
	}
	e.d.metrics.count(&a)
	if a.GivenUp {
		e.d.o.Outbox.Alarm("webhook_failed")
		e.d.log.Error("an event was given up", "endpoint", e.name(), "event", n.Event.Text(payswitch.EventPrefix), "attempts", n.Attempts+1)
	}
	e.learn(&a)
	e.finished()
	e.toJournal(l, attempts)
}

// signersAt are those of the secrets that are valid now.
func (e *endpoint) signersAt(now time.Time) []*standardwebhooks.Webhook {
	e.mu.Lock()
	defer e.mu.Unlock()
	var valid []payswitch.EndpointSecret
	for _, s := range e.info.Secrets {
		if s.ExpiresAt.IsZero() || s.ExpiresAt.After(now) {
			valid = append(valid, s)
		}
	}
	same := len(valid) == len(e.signing)
	for i := range valid {
		same = same && valid[i].Secret == e.signing[i].Secret
	}
	if !same {
		texts := make([]string, len(valid))
		for i, s := range valid {
			texts[i] = s.Secret
		}
		var err error
		if e.signers, err = signersOf(texts...); err != nil {
			e.d.log.Error("a webhook secret cannot be used", "endpoint", e.name())
		}
		e.signing = valid
	}
	return e.signers
}

// learn changes the endpoint's pace by what came of a delivery.
func (e *endpoint) learn(a *payswitch.Attempt) {
	now := a.At.Add(a.Took)
	e.mu.Lock()
	mark, since, disable := false, time.Time{}, false
	if a.Done {
		e.pace.succeeded(a.Took)
		mark = e.marked
		e.marked = false
		e.window.lean = false
	} else if e.pace.failed(now, e.d.o.Pause, e.d.o.MaxPause) {
		if !e.window.lean {
			e.window.lean = true
			e.dueAt(e.window.shed())
		}
		mark, since = !e.marked, e.pace.since
		e.marked = true
		disable = now.Sub(since) >= e.d.o.DisableAfter
	}
	e.mu.Unlock()
	var err error
	switch {
	case disable:
		e.d.o.Outbox.Alarm("webhook_endpoint_disabled")
		e.d.log.Error("an endpoint failed too long and is disabled", "endpoint", e.name(), "since", since)
		err = e.d.o.Outbox.DisableFailing(e.id)
	case mark:
		err = e.d.o.Outbox.MarkFailing(e.id, since)
	}
	if err != nil {
		e.d.log.Error("an endpoint's state could not be recorded", "endpoint", e.name(), "error", err)
	}
}

// toJournal makes attempts durable; the lane goes on after that.
func (e *endpoint) toJournal(l *lane, attempts []payswitch.Attempt) {
	events := make([]payswitch.ID, len(attempts))
	for i := range attempts {
		events[i] = attempts[i].Notice.Event
	}
	s := settlement{attempts: attempts, done: func(err error) {
		e.mu.Lock()
		for i := range attempts {
			e.dueAt(attempts[i].Next)
		}
		e.window.done(l, events)
		e.mu.Unlock()
		e.d.open.Add(-1)
		e.signal()
	}}
	select {
	case e.d.settle <- s:
	case <-e.d.ctx.Done():
		e.d.open.Add(-1)
	}
}

// purge forgets what an endpoint is owed of before it was disabled; zero: of all
// time.
func (e *endpoint) purge(disabled time.Time) {
	e.mu.Lock()
	e.window.shed()
	e.lookAtAll()
	e.mu.Unlock()
	n, err := e.d.o.Outbox.Purge(e.id, disabled)
	if err != nil {
		e.d.log.Error("what a disabled endpoint is owed could not be removed", "endpoint", e.name(), "error", err)
		return
	}
	if n > 0 {
		e.d.metrics.dropped.Add(float64(n))
		e.d.log.Warn("a disabled endpoint is owed no more", "endpoint", e.name(), "events", n)
	}
}
