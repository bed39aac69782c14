package payswitch

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// spaceRelease holds bank id, 0, number of the act -> ReleaseAct: what was done with the
// versions of the bank's dialect, by whom and why. It is never deleted.
const spaceRelease storage.Space = 'D'

// Candidate is the version of a bank's dialect that comes next.
type Candidate struct {
	Dialect *iso.Dialect // nil: there is none
	Canary  Canary       // links that speak it from the start
}

// Canary says which links of a bank speak its candidate on trial.
type Canary struct {
	Links []int `json:"links,omitempty"` // their numbers, from 1
	Count int   `json:"count,omitempty"` // or how many: the last ones
}

// Stage is how far a candidate came.
type Stage string

// The stages. A candidate that is held was taken back by an operator: it does not take
// over by itself.
const (
	StageWaiting  Stage = "waiting"
	StageCanary   Stage = "canary"
	StagePromoted Stage = "promoted"
	StageHeld     Stage = "held"
)

// The acts of a release, as they are recorded.
const (
	actCanary   = "canary"
	actPromote  = "promote"
	actTakeover = "takeover" // by its effective date
	actRollback = "rollback"
)

var stageAfter = map[string]Stage{actCanary: StageCanary, actPromote: StagePromoted, actTakeover: StagePromoted, actRollback: StageHeld}

// ReleaseAct is one entry of the record of a bank's versions.
type ReleaseAct struct {
	At        time.Time    `json:"at"`
	Act       string       `json:"act"` // canary, promote, takeover or rollback
	Candidate iso.Revision `json:"candidate"`
	Base      iso.Revision `json:"base"` // what the other links speak
	Links     []int        `json:"links,omitempty"`
	Operator  string       `json:"operator"`
	Reason    string       `json:"reason"`
}

// release is which versions a bank's links shall speak.
type release struct {
	mu        sync.Mutex // one change at a time; before the bank's own locks
	base      *iso.Dialect
	candidate Candidate
	stage     Stage
	links     []int // of the canary
	acts      uint64
	told      map[string]bool // alarms about dates that were raised
	changed   chan struct{}   // capacity 1
}

// current is the version that all links but a canary's speak.
func (r *release) current() *iso.Dialect {
	if r.stage == StagePromoted {
		return r.candidate.Dialect
	}
	return r.base
}

func (r *release) plan() acquirers.Plan {
	p := acquirers.Plan{Current: r.current()}
	if r.stage == StageCanary {
		p.Candidate, p.Links = r.candidate.Dialect, r.links
	}
	return p
}

// linksOf resolves a canary: some links of the bank, not all.
func (b *bank) linksOf(c Canary) ([]int, error) {
	all := b.link.LinkCount()
	links := slices.Clone(c.Links)
	if c.Count > 0 && len(links) == 0 {
		for n := all - c.Count + 1; n <= all; n++ {
			links = append(links, n)
		}
	}
	slices.Sort(links)
	links = slices.Compact(links)
	switch {
	case c.Count < 0 || c.Count > 0 && len(c.Links) > 0:
		return nil, fmt.Errorf("a canary is some links, or a number of them")
	case len(links) == 0:
		return nil, fmt.Errorf("a canary takes at least one link")
	case links[0] < 1 || links[len(links)-1] > all || len(links) >= all:
		return nil, fmt.Errorf("a canary takes some of the bank's %d links and leaves at least one", all)
	}
	return links, nil
}

// newRelease is where a bank begins at a time, by its configuration alone.
func (b *bank) newRelease(c *BankConfig, now time.Time) (err error) {
	r := &b.release
	if now.Before(c.Dialect.Effective()) {
		return fmt.Errorf("%w; until then it can be the candidate", c.Dialect.Due(now))
	}
	r.base, r.candidate, r.stage, r.told, r.changed = c.Dialect, c.Candidate, StageWaiting, map[string]bool{}, make(chan struct{}, 1)
	d := c.Candidate.Dialect
	if d == nil {
		return nil
	}
	if d.Revision() == c.Dialect.Revision() {
		return fmt.Errorf("the candidate %s is the bank's dialect already; raise meta.version", d.Revision())
	}
	if err := b.profile.Fits(d); err != nil {
		return err
	}
	if err := b.link.CanSpeak(d); err != nil {
		return err
	}
	b.late.window = max(b.late.window, d.Behaviour().LateWindow)
	if c.Candidate.Canary.Count != 0 || len(c.Candidate.Canary.Links) != 0 {
		r.stage = StageCanary
		r.links, err = b.linksOf(c.Candidate.Canary)
	}
	return err
}

// loadReleases takes up what was done with the banks' versions in earlier lives, then what
// the dates say; the links begin accordingly.
func (s *Switch) loadReleases() error {
	for _, b := range s.order {
		acts, err := s.releaseActs(b)
		if err != nil {
			return err
		}
		s.resume(b, acts)
		s.mindDates(b)
		if err := b.link.Follow(b.release.plan()); err != nil {
			return err
		}
	}
	return nil
}

// resume takes a bank's newest act up, when it is about the candidate it is configured with.
func (s *Switch) resume(b *bank, acts []ReleaseAct) {
	r := &b.release
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.acts = uint64(len(acts)); len(acts) == 0 {
		return
	}
	last := acts[len(acts)-1]
	stage := stageAfter[last.Act]
	switch d := r.candidate.Dialect; {
	case d != nil && last.Candidate == d.Revision():
		if r.stage, r.links = stage, last.Links; stage == StageCanary && len(last.Links) >= b.link.LinkCount() {
			r.stage = StageWaiting
			s.bankAlarm(b, "dialect_canary", fmt.Sprintf("the bank has fewer links than when the canary of %s began; no link speaks it", last.Candidate))
		}
	case stage == StagePromoted && last.Candidate != r.base.Revision():
		s.bankAlarm(b, "dialect_not_configured", fmt.Sprintf("%s was promoted and is not configured any more; %s is spoken", last.Candidate, r.base.Revision()))
	}
}

// releaseActs is the record of a bank's versions, oldest first.
func (s *Switch) releaseActs(b *bank) (acts []ReleaseAct, err error) {
	var bad error
	err = s.store.Scan(storage.Range{Space: spaceRelease, Prefix: append([]byte(b.id), 0)}, func(_, val []byte) bool {
		var a ReleaseAct
		if bad = json.Unmarshal(val, &a); bad != nil {
			return false
		}
		acts = append(acts, a)
		return true
	})
	if err == nil {
		err = bad
	}
	return acts, err
}

// record makes an act durable and lets the links follow. REQUIRES: release.mu.
func (s *Switch) recordRelease(b *bank, a ReleaseAct) error {
	r := &b.release
	a.At, a.Base, a.Candidate = s.now(), r.base.Revision(), r.candidate.Dialect.Revision()
	val, err := json.Marshal(a)
	if err != nil {
		return errInternal
	}
	var c storage.Command
	c.Set(spaceRelease, binary.BigEndian.AppendUint64(append([]byte(b.id), 0), r.acts), val)
	if _, err := s.store.Do(&c); err != nil {
		return errInternal
	}
	r.acts++
	r.stage, r.links = stageAfter[a.Act], a.Links
	s.log.Warn("the versions of a bank's dialect change", "bank", b.id, "act", a.Act, "candidate", a.Candidate.String(), "base", a.Base.String(),
		"links", a.Links, "operator", a.Operator, "reason", a.Reason)
	return nil
}

// StartCanary lets some links of a bank speak its candidate. It is durable. Errors are
// refusals.
func (s *Switch) StartCanary(bankID string, c Canary, act Act) error {
	return s.changeRelease(bankID, actCanary, act, func(b *bank) (links []int, err error) {
		if b.release.stage == StagePromoted {
			return nil, wrongRelease("%s is spoken by all links; roll it back first.", b.release.candidate.Dialect.Revision())
		}
		if links, err = b.linksOf(c); err != nil {
			return nil, &Refusal{Code: CodeInvalidRequest, Pointer: "/links", Detail: err.Error() + "."}
		}
		return links, nil
	})
}

// Promote makes a bank's candidate its current version: all links speak it, one after the
// other. It is durable. Errors are refusals.
func (s *Switch) Promote(bankID string, act Act) error {
	return s.changeRelease(bankID, actPromote, act, func(b *bank) ([]int, error) {
		if b.release.stage == StagePromoted {
			return nil, wrongRelease("%s is the current version already.", b.release.candidate.Dialect.Revision())
		}
		if b.release.stage == StageCanary && !b.link.Speaks(b.release.candidate.Dialect) {
			return nil, wrongRelease("None of the canary's links takes traffic in %s.", b.release.candidate.Dialect.Revision())
		}
		return nil, s.refuseUndue(b.release.candidate.Dialect)
	})
}

// RollBack lets all links of a bank speak the version before its candidate again, which
// then does not take over by itself. It is durable. Errors are refusals.
func (s *Switch) RollBack(bankID string, act Act) error {
	return s.changeRelease(bankID, actRollback, act, func(b *bank) ([]int, error) {
		switch b.release.stage {
		case StageHeld:
			return nil, wrongRelease("%s is rolled back already.", b.release.candidate.Dialect.Revision())
		case StagePromoted:
			return nil, s.refuseUndue(b.release.base)
		}
		return nil, nil
	})
}

func wrongRelease(format string, args ...any) error {
	return &Refusal{Code: CodeInvalidState, Detail: fmt.Sprintf(format, args...)}
}

// refuseUndue refuses a version that is not, or no longer, effective.
func (s *Switch) refuseUndue(d *iso.Dialect) error {
	if err := d.Due(s.now()); err != nil {
		return wrongRelease("%s.", err)
	}
	return nil
}

// changeRelease makes one act of an operator about a bank's candidate.
func (s *Switch) changeRelease(bankID, what string, act Act, allow func(*bank) ([]int, error)) error {
	if err := act.Validate(); err != nil {
		return err
	}
	b := s.banks[bankID]
	if b == nil {
		return &Refusal{Code: CodeNotFound, Detail: fmt.Sprintf("There is no bank %q.", bankID)}
	}
	r := &b.release
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.candidate.Dialect == nil {
		return wrongRelease("Bank %q is configured without a candidate.", bankID)
	}
	links, err := allow(b)
	if err != nil {
		return err
	}
	if err := s.recordRelease(b, ReleaseAct{Act: what, Links: links, Operator: act.Operator, Reason: act.Reason}); err != nil {
		return err
	}
	if err := b.link.Follow(r.plan()); err != nil {
		s.log.Error("the links do not follow", "bank", b.id, "error", err)
		return errInternal
	}
	signalled(r.changed)
	return nil
}

func signalled(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ReleaseStatus is a bank's versions for operators.
type ReleaseStatus struct {
	Bank      string                    `json:"bank"`
	Current   iso.Revision              `json:"current"`
	Candidate *iso.Revision             `json:"candidate,omitempty"`
	Stage     Stage                     `json:"stage,omitempty"` // of the candidate
	Effective string                    `json:"effective,omitempty"`
	Versions  []acquirers.VersionStatus `json:"versions"` // that links speak, or spoke since the start
	Acts      []ReleaseAct              `json:"acts"`     // oldest first
}

// Releases reports every bank's versions in configured order.
func (s *Switch) Releases() ([]ReleaseStatus, error) {
	var out []ReleaseStatus
	for _, b := range s.order {
		acts, err := s.releaseActs(b)
		if err != nil {
			return nil, errInternal
		}
		b.release.mu.Lock()
		st := ReleaseStatus{Bank: b.id, Current: b.release.current().Revision(), Acts: acts}
		if d := b.release.candidate.Dialect; d != nil {
			rev := d.Revision()
			st.Candidate, st.Stage = &rev, b.release.stage
			if !d.Effective().IsZero() {
				st.Effective = d.Effective().Format(time.DateOnly)
			}
		}
		b.release.mu.Unlock()
		st.Versions = b.link.Versions()
		out = append(out, st)
	}
	return out, nil
}
