package payswitch

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/acquirers"
)

// grade ranks a bank as a candidate for new payments.
type grade int32

const (
	healthy  grade = iota
	degraded       // answers slowly, or approves far less than it used to
	failing        // does not answer: probes only
)

var gradeNames = [...]string{"healthy", "degraded", "failing"}

func (g grade) String() string { return gradeNames[g] }

// The rules of health. A bank that leaves half of its recent requests without
// an answer is failing: it rests, then gets one probe at a time until a few in
// a row are answered. It is degraded while its answers take more than half of
// the response timeout, or when it approves almost nothing although it used to.
const (
	healthSlots    = 10
	healthSlot     = 2 * time.Second
	healthMinimum  = 20 // requests in the window before anything is concluded
	failingShare   = 0.5
	healthyProbes  = 3
	restMin        = 2 * time.Second
	restMax        = 30 * time.Second
	collapsedShare = 0.1 // of approvals, where usualShare was common
	usualShare     = 0.5
)

// health watches one bank's answers over the last twenty seconds.
// Goroutine-safe.
type health struct {
	now      func() time.Time
	tooSlow  time.Duration
	verdict  atomic.Int32 // grade
	approval atomic.Uint32

	mu      sync.Mutex
	slots   [healthSlots]healthCount
	at      int64   // number of the newest slot
	usual   float64 // long-run share of approvals
	rest    time.Duration
	until   time.Time // failing: no probe before this
	probing bool
	good    int // probes answered in a row
}

type healthCount struct {
	answered, silent, approved int
	took                       time.Duration
}

func newHealth(now func() time.Time, responseTimeout time.Duration) *health {
	return &health{now: now, tooSlow: responseTimeout / 2, rest: restMin}
}

// grade is cheap and may be asked on every payment.
func (h *health) grade() grade { return grade(h.verdict.Load()) }

// allow reports whether a payment may go to the bank now. For a failing bank it
// takes the one probe; giveBack or observe returns it.
func (h *health) allow() bool {
	if h.grade() != failing {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.probing || h.now().Before(h.until) {
		return false
	}
	h.probing = true
	return true
}

func (h *health) giveBack() {
	if h.grade() != failing {
		return
	}
	h.mu.Lock()
	h.probing = false
	h.mu.Unlock()
}

// wait is how long until a failing bank may be probed, at least a second.
func (h *health) wait() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(time.Second, h.until.Sub(h.now()))
}

// observe counts what came of one request.
func (h *health) observe(outcome *record, x *acquirers.Exchange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if outcome.kind == recordNotSent {
		h.probing = false
		return
	}
	now := h.now()
	slot := h.slot(now)
	silent := x.Cause == acquirers.CauseTimeout || x.Cause == acquirers.CauseLinkLost
	switch {
	case silent:
		slot.silent++
	default:
		slot.answered++
		slot.took += outcome.at.Sub(x.SentAt)
		if outcome.approved {
			slot.approved++
		}
	}
	if h.grade() == failing {
		h.probed(silent, now)
		return
	}
	h.judge(now)
}

// slot is the count of the present, with those that grew old emptied.
func (h *health) slot(now time.Time) *healthCount {
	at := now.UnixNano() / int64(healthSlot)
	if at > h.at {
		for n := max(h.at+1, at-healthSlots+1); n <= at; n++ {
			h.slots[n%healthSlots] = healthCount{}
		}
		h.at = at
	}
	return &h.slots[h.at%healthSlots]
}

func (h *health) judge(now time.Time) {
	var sum healthCount
	for _, s := range h.slots {
		sum.answered += s.answered
		sum.silent += s.silent
		sum.approved += s.approved
		sum.took += s.took
	}
	total := sum.answered + sum.silent
	if total < healthMinimum {
		return
	}
	if float64(sum.silent) >= failingShare*float64(total) {
		h.verdict.Store(int32(failing))
		h.until, h.good, h.probing = now.Add(h.rest), 0, false
		return
	}
	verdict := healthy
	share := float64(sum.approved) / float64(max(1, sum.answered))
	h.approval.Store(uint32(share * 1000))
	if sum.answered >= healthMinimum {
		h.usual += (share - h.usual) / 500
		if sum.took/time.Duration(sum.answered) > h.tooSlow || share < collapsedShare && h.usual > usualShare {
			verdict = degraded
		}
	}
	h.verdict.Store(int32(verdict))
}

// probed weighs the answer to a probe: a few in a row end the failing state,
// one silence doubles the rest.
func (h *health) probed(silent bool, now time.Time) {
	h.probing = false
	if silent {
		h.good = 0
		h.rest = min(2*h.rest, restMax)
		h.until = now.Add(h.rest)
		return
	}
	h.good++
	if h.good >= healthyProbes {
		h.slots = [healthSlots]healthCount{}
		h.rest = restMin
		h.verdict.Store(int32(healthy))
	}
}
