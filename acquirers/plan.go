package acquirers

import (
	"fmt"
	"slices"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// Plan says which version each link of a bank speaks.
type Plan struct {
	Current   *iso.Dialect
	Candidate *iso.Dialect // spoken by Links; nil: by none
	Links     []int        // numbers of links, from 1
}

// Follow makes the links speak as a plan says, which replaces the plan before.
// It returns at once; links that take traffic change one after the other: each
// first lets what was given to it end, then signs off, connects anew, and signs on
// in its new version before the next one begins. A link whose new version the bank
// does not take is an alarm, and holds back the others. On error nothing changes.
func (b *Bank) Follow(p Plan) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	current, err := b.version(p.Current)
	if err != nil {
		return err
	}
	candidate := current
	if p.Candidate != nil {
		if candidate, err = b.version(p.Candidate); err != nil {
			return err
		}
	}
	for _, n := range p.Links {
		if n < 1 || n > len(b.links) {
			return fmt.Errorf("acquirers: bank %q has no link %d", b.given.ID, n)
		}
	}
	for _, k := range b.links {
		v := current
		if slices.Contains(p.Links, k.number) {
			v = candidate
		}
		k.target.Store(v)
		if !b.started {
			k.wanted.Store(v)
		}
	}
	b.planned = current
	if !b.started {
		b.current.Store(current)
	}
	b.plans.Add(1)
	signal(b.replanned)
	return nil
}

// followPlans moves the links to where the newest plan wants them, until the bank stops.
func (b *Bank) followPlans() {
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-b.replanned:
		}
		for plan := b.plans.Load(); plan == b.plans.Load() && b.ctx.Err() == nil; {
			b.settle(false)
			k := b.misplaced()
			if k == nil {
				b.settle(true)
				break
			}
			b.move(k, plan)
		}
	}
}

// settle makes the planned version the current one as soon as a link of it takes
// traffic, or no link of another does; at the end in any case.
func (b *Bank) settle(end bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := *b.offered.Load()
	if end || len(lines) == 0 || slices.ContainsFunc(lines, func(l *line) bool { return l.version == b.planned }) {
		b.current.Store(b.planned)
	}
}

// misplaced is the next link to move: one that takes no traffic before others.
func (b *Bank) misplaced() (next *link) {
	for _, k := range b.links {
		if k.target.Load() == k.wanted.Load() {
			continue
		}
		if l := k.line.Load(); l == nil || !l.isReady() {
			return k
		}
		if next == nil {
			next = k
		}
	}
	return next
}

const (
	// planTick is how often a move looks whether a link has nothing more to do.
	planTick = 5 * time.Millisecond
	// acceptWithin is how long a bank may take to be up in a new version before
	// it is an alarm, or, when it took no connection at all, passed over.
	acceptWithin = time.Minute
)

// move takes a link to its target. When the plan is replaced meanwhile it ends at
// once.
func (b *Bank) move(k *link, plan uint64) {
	replaced := func() bool { return plan != b.plans.Load() || b.ctx.Err() != nil }
	l := k.line.Load()
	serving := l != nil && l.isReady()
	if serving && !b.empty(l, replaced) {
		l.leaving.Store(false)
		b.refresh()
		return
	}
	v := k.target.Load()
	k.wanted.Store(v)
	opened := k.opened()
	switch {
	case serving:
		close(l.dismissed)
	case l != nil && l.version != v:
		l.fail("changes its version")
	}
	if !serving {
		return
	}
	alarm, told := time.Now().Add(acceptWithin), false
	for !replaced() && !k.speaks(v) {
		rest(b.ctx, planTick)
		if told || time.Now().Before(alarm) {
			continue
		}
		if k.opened() == opened {
			return
		}
		told = true
		b.aside.alarm("version_not_accepted", fmt.Sprintf("link %s does not come up in %s; the other links keep theirs", k.name(), v.dialect.Revision()))
	}
}

// empty waits until a line has nothing to do and nothing will be given to it, and
// takes it out of service. False: the plan was replaced first.
func (b *Bank) empty(l *line, replaced func() bool) bool {
	l.leaving.Store(true)
	b.refresh()
	for !l.isGone() && (l.inFlight.Load() > 0 || b.lastOf(l) && l.version.held.Load() > 0) {
		if replaced() {
			return false
		}
		rest(b.ctx, planTick)
	}
	l.retired.Store(true)
	b.refresh()
	for !l.isGone() && l.inFlight.Load() > 0 && b.ctx.Err() == nil {
		rest(b.ctx, planTick)
	}
	return true
}

// lastOf reports whether no other line takes traffic in the line's version.
func (b *Bank) lastOf(l *line) bool {
	return !slices.ContainsFunc(*b.offered.Load(), func(o *line) bool { return o.version == l.version })
}

// speaks reports whether the link takes traffic in a version.
func (k *link) speaks(v *Version) bool {
	l := k.line.Load()
	return l != nil && l.version == v && l.isReady()
}

func (k *link) opened() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lines
}

// CanSpeak says why the bank, as it is configured, cannot speak a dialect; nil: it can.
func (b *Bank) CanSpeak(d *iso.Dialect) error {
	_, err := b.newVersion(d)
	return err
}

// LinkCount is how many links the bank has.
func (b *Bank) LinkCount() int { return len(b.links) }

// Speaks reports whether a link takes traffic in a dialect.
func (b *Bank) Speaks(d *iso.Dialect) bool {
	return slices.ContainsFunc(*b.offered.Load(), func(l *line) bool { return l.version.dialect == d })
}
