package payswitch

import (
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// dateLook is the longest time between two looks at the dates: the wall clock may step.
// dateAgain is after a takeover that the journal refused.
const (
	dateLook  = time.Hour
	dateAgain = time.Minute
)

// followDates acts on the effective dates of a bank's versions until the switch stops.
func (s *Switch) followDates(b *bank) {
	for wait(s.ctx, b.release.changed, s.mindDates(b)) {
	}
}

// mindDates does what the dates of a bank's versions demand now: a candidate whose first
// day has come takes over, unless an operator holds it; a version whose last day is over is
// an alarm, once. It returns how long until the next look.
func (s *Switch) mindDates(b *bank) time.Duration {
	r := &b.release
	r.mu.Lock()
	defer r.mu.Unlock()
	now := s.now()
	if d := r.candidate.Dialect; d != nil && !d.Effective().IsZero() && d.Due(now) == nil {
		switch r.stage {
		case StageWaiting, StageCanary:
			if !s.takeOver(b, d) {
				return dateAgain
			}
		case StageHeld:
			s.tellOnce(b, "dialect_held", fmt.Sprintf("%s is effective since %s and held by an operator", d.Revision(), d.Effective().Format(time.DateOnly)))
		}
	}
	if err := r.current().Due(now); err != nil {
		s.tellOnce(b, "dialect_not_effective", err.Error()+"; it is spoken still")
	}
	return r.nextDate(now)
}

// takeOver makes a candidate current by its effective date. REQUIRES: release.mu.
func (s *Switch) takeOver(b *bank, d *iso.Dialect) bool {
	err := s.recordRelease(b, ReleaseAct{Act: actTakeover, Operator: "tranzit", Reason: "effective " + d.Effective().Format(time.DateOnly)})
	if err == nil {
		err = b.link.Follow(b.release.plan())
	}
	if err != nil {
		s.log.Error("a version does not take over; it is tried again", "bank", b.id, "candidate", d.Revision().String(), "error", err)
	}
	return err == nil
}

// tellOnce raises an alarm about dates once in a life. REQUIRES: release.mu.
func (s *Switch) tellOnce(b *bank, kind, detail string) {
	if !b.release.told[detail] {
		b.release.told[detail] = true
		s.bankAlarm(b, kind, detail)
	}
}

// nextDate is how long until a date of a version comes, at most dateLook.
func (r *release) nextDate(now time.Time) time.Duration {
	next := dateLook
	for _, d := range []*iso.Dialect{r.base, r.candidate.Dialect} {
		if d == nil {
			continue
		}
		for _, at := range []time.Time{d.Effective(), d.Until()} {
			if left := at.Sub(now); left > 0 && left < next {
				next = left
			}
		}
	}
	return next
}
