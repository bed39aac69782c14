package acquirers

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/iso"
)

const (
	lateRoom  = 1024
	alarmRoom = 256
	dayRoom   = 64
)

// aside is the one worker that runs the owner's hooks, so that a slow hook
// never makes a link wait. Both queues are bounded; what does not fit is
// counted, and the loss is an alarm of its own.
type aside struct {
	hooks      Hooks
	log        *slog.Logger
	answers    chan late
	alarms     chan alarm
	days       chan time.Time // when the bank cut over
	free       chan *iso.Message
	stop       chan struct{}
	once       sync.Once
	lateLost   atomic.Uint64
	alarmsLost atomic.Uint64
}

type alarm struct{ kind, detail string }

// late is an answer nobody waits for, and how to read it.
type late struct {
	dialect *iso.Dialect
	answer  *iso.Message
}

func newAside(h Hooks, log *slog.Logger) *aside {
	return &aside{hooks: h, log: log, answers: make(chan late, lateRoom), alarms: make(chan alarm, alarmRoom), days: make(chan time.Time, dayRoom),
		free: make(chan *iso.Message, 16), stop: make(chan struct{})}
}

// late queues an answer nobody waits for and returns a message to go on with.
func (a *aside) late(d *iso.Dialect, m *iso.Message) *iso.Message {
	select {
	case a.answers <- late{d, m}:
	default:
		a.lateLost.Add(1)
		return m
	}
	select {
	case m = <-a.free:
		return m
	default:
		return new(iso.Message)
	}
}

func (a *aside) alarm(kind, detail string) {
	select {
	case a.alarms <- alarm{kind, detail}:
	default:
		a.alarmsLost.Add(1)
	}
}

// cutOver tells that the bank's business day ended.
func (a *aside) cutOver(at time.Time) {
	select {
	case a.days <- at:
	default:
		a.alarmsLost.Add(1)
	}
}

func (a *aside) close() { a.once.Do(func() { close(a.stop) }) }

// run works until close, and then empties both queues.
func (a *aside) run() {
	var lateTold, alarmsTold uint64
	for {
		select {
		case l := <-a.answers:
			a.tellLate(l)
		case what := <-a.alarms:
			a.tell(what)
		case at := <-a.days:
			a.tellDay(at)
		default:
			if n := a.lateLost.Load(); n != lateTold {
				a.tell(alarm{"late_overflow", fmt.Sprintf("%d late answers were dropped", n-lateTold)})
				lateTold = n
			}
			if n := a.alarmsLost.Load(); n != alarmsTold {
				a.tell(alarm{"alarm_overflow", fmt.Sprintf("%d alarms were dropped", n-alarmsTold)})
				alarmsTold = n
			}
			select {
			case l := <-a.answers:
				a.tellLate(l)
			case what := <-a.alarms:
				a.tell(what)
			case at := <-a.days:
				a.tellDay(at)
			case <-a.stop:
				if len(a.answers) == 0 && len(a.alarms) == 0 && len(a.days) == 0 {
					return
				}
			}
		}
	}
}

func (a *aside) tellLate(l late) {
	defer a.survive("late")
	if a.hooks.Late != nil {
		a.hooks.Late(l.dialect, l.answer)
	}
	l.answer.Reset()
	select {
	case a.free <- l.answer:
	default:
	}
}

func (a *aside) tellDay(at time.Time) {
	defer a.survive("cut_over")
	a.log.Info("the bank cut over", "at", at.UTC())
	if a.hooks.CutOver != nil {
		a.hooks.CutOver(at)
	}
}

func (a *aside) tell(what alarm) {
	defer a.survive("alarm")
	if a.hooks.Alarm == nil {
		a.log.Warn("bank alarm", "kind", what.kind, "detail", what.detail)
		return
	}
	a.hooks.Alarm(what.kind, what.detail)
}

// survive keeps the worker alive when a hook panics: the other hooks still
// have to be told.
func (a *aside) survive(hook string) {
	if recover() != nil {
		a.log.Error("a hook panicked", "hook", hook)
	}
}
