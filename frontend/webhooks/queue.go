package webhooks

import (
	"bytes"
	"slices"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// lane is what one endpoint is owed of one payment, the oldest first. Of a lane
// one notice is on its way at a time: that is what keeps the order.
type lane struct {
	payment payswitch.ID
	notices []payswitch.Notice
	busy    bool // its first notice is being sent or settled
}

// window is the part of an endpoint's queue that is held in memory; the rest
// stands in the journal. Not goroutine-safe.
type window struct {
	lanes  map[payswitch.ID]*lane
	ready  []*lane // not busy, in the order in which they may go
	held   int     // notices in all lanes
	limit  int
	lean   bool         // nothing is taken in but by load: the endpoint fails
	behind bool         // the journal holds more after cursor
	cursor payswitch.ID // of the journal's notices that are owed at once
}

func newWindow(limit int) window {
	return window{lanes: map[payswitch.ID]*lane{}, limit: limit, behind: true}
}

// put takes a notice in, unless it is there. One that has no room is left to the
// journal, and so is everything after it until the journal was read. news is
// false when the endpoint knew already that there is more to read.
func (w *window) put(n payswitch.Notice) (news bool) {
	l := w.lanes[n.Payment]
	if l == nil {
		if w.behind || w.lean || w.held >= w.limit {
			news = !w.behind
			w.miss(n.Event)
			return news
		}
		l = &lane{payment: n.Payment}
		w.lanes[n.Payment] = l
		w.ready = append(w.ready, l)
	}
	w.insert(l, n)
	return true
}

// load takes in what the journal gave.
func (w *window) load(list []payswitch.Notice) {
	for _, n := range list {
		l := w.lanes[n.Payment]
		if l == nil {
			l = &lane{payment: n.Payment}
			w.lanes[n.Payment] = l
			w.ready = append(w.ready, l)
		}
		w.insert(l, n)
	}
}

// insert keeps a lane in the order of its events. A busy lane's first stays.
func (w *window) insert(l *lane, n payswitch.Notice) {
	from := 0
	if l.busy {
		from = 1
	}
	for i, old := range l.notices {
		if old.Event == n.Event {
			if i >= from {
				l.notices[i] = n
			}
			return
		}
	}
	at := from
	for at < len(l.notices) && before(l.notices[at].Event, n.Event) {
		at++
	}
	l.notices = slices.Insert(l.notices, at, n)
	w.held++
}

// miss leaves a notice to the journal.
func (w *window) miss(event payswitch.ID) { w.resume(previous(event)) }

// resume lets the journal be read on after an event.
func (w *window) resume(after payswitch.ID) {
	if !w.behind || before(after, w.cursor) {
		w.cursor = after
	}
	w.behind = true
}

// shed gives back to the journal all that is not on its way. due is when the
// first of those falls due that waited for a later attempt; zero: none did.
func (w *window) shed() (due time.Time) {
	w.ready = nil
	for id, l := range w.lanes {
		if l.busy {
			continue
		}
		for _, n := range l.notices {
			switch {
			case n.Due.IsZero():
				w.miss(n.Event)
			case due.IsZero() || n.Due.Before(due):
				due = n.Due
			}
		}
		w.held -= len(l.notices)
		delete(w.lanes, id)
	}
	return due
}

// take hands out a lane that may go; it is then busy. nil: there is none.
func (w *window) take() *lane {
	for len(w.ready) > 0 {
		l := w.ready[0]
		w.ready[0] = nil
		if w.ready = w.ready[1:]; len(l.notices) > 0 {
			l.busy = true
			return l
		}
	}
	return nil
}

// done takes settled events out of a lane that take handed out. What is left of
// it may go again.
func (w *window) done(l *lane, events []payswitch.ID) {
	l.busy = false
	had := len(l.notices)
	l.notices = slices.DeleteFunc(l.notices, func(n payswitch.Notice) bool { return slices.Contains(events, n.Event) })
	w.held -= had - len(l.notices)
	if len(l.notices) == 0 {
		delete(w.lanes, l.payment)
		return
	}
	w.ready = append(w.ready, l)
}

func before(a, b payswitch.ID) bool { return bytes.Compare(a[:], b[:]) < 0 }

// previous is the id right before this one.
func previous(id payswitch.ID) payswitch.ID {
	for i := len(id) - 1; i >= 0; i-- {
		id[i]--
		if id[i] != 0xff {
			break
		}
	}
	return id
}

// pace says how much may be sent to an endpoint at once, and when: more while it
// answers fast, one at a time after a failure, and not for a while after several.
// Not goroutine-safe.
type pace struct {
	most     int
	limit    int
	failures int       // without a success between them
	since    time.Time // of the first of them
	until    time.Time // nothing is sent before
}

const (
	fastAnswer = time.Second
	slowAnswer = 5 * time.Second
	firstPace  = 8
	// tripAfter is how many failures in a row make an endpoint failing.
	tripAfter = 5
)

func (p *pace) succeeded(took time.Duration) {
	p.failures, p.since, p.until = 0, time.Time{}, time.Time{}
	switch {
	case took > slowAnswer:
		p.limit = max(1, p.limit/2)
	case took < fastAnswer:
		p.limit = min(p.most, p.limit+1)
	}
}

// failed reports whether the endpoint is failing, after one more failure.
func (p *pace) failed(now time.Time, first, most time.Duration) bool {
	if now.Before(p.until) {
		return true // it was on its way when the pause began
	}
	if p.failures++; p.failures == 1 {
		p.since = now
	}
	p.limit = max(1, p.limit/2)
	if p.failures < tripAfter {
		return false
	}
	p.limit = 1
	pause := most
	if n := p.failures - tripAfter; n < 30 && first<<n < most {
		pause = first << n
	}
	p.until = now.Add(jitter(pause))
	return true
}
