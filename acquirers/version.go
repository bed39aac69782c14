package acquirers

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
)

// Version is one version of a bank's dialect: a link speaks one, and a request
// goes by the links that speak the one it was built in. All methods are
// goroutine-safe.
type Version struct {
	dialect *iso.Dialect
	cfg     Config                    // with the times of this dialect
	codes   *codes                    // nil: messages carry no codes
	pin     *keystore.Zone            // nil: it carries no PINs
	echo    *iso.NetworkStep          // nil: links are not asked whether they live
	steps   map[string]*atomic.Uint64 // network management by the bank that was served

	held    atomic.Int64 // requests that are built in it, or about to be
	results [resultCount]atomic.Uint64
}

// Result is what came of a payment's request, for judging a version.
type Result uint8

// The results.
const (
	ResultApproved Result = iota
	ResultDeclined
	ResultRefuted
	ResultUnknown
	resultCount
)

var resultNames = [resultCount]string{"approved", "declined", "refuted", "unknown"}

// String is the result's name in metrics.
func (r Result) String() string { return resultNames[r] }

// Note counts what came of a payment's request that was built in the version.
func (v *Version) Note(r Result) { v.results[r].Add(1) }

// Dialect is what requests of the version are built in and their answers read by.
func (v *Version) Dialect() *iso.Dialect { return v.dialect }

// Release ends a hold that Speak, SpeakCurrent or SpeakAs gave.
func (v *Version) Release() { v.held.Add(-1) }

// newVersion checks that the bank can speak a dialect as it is configured.
func (b *Bank) newVersion(d *iso.Dialect) (*Version, error) {
	if d == nil {
		return nil, errors.New("acquirers: a dialect is required")
	}
	v := &Version{dialect: d, cfg: b.given, echo: d.NetworkStep(iso.OpEcho.String()), steps: map[string]*atomic.Uint64{}}
	for _, s := range d.NetworkSteps() {
		if s.Theirs {
			v.steps[s.Name] = new(atomic.Uint64)
		}
	}
	v.cfg.EnsureDefaults(d)
	if err := v.cfg.Validate(); err != nil {
		return nil, fmt.Errorf("acquirers: bank %q: %w", v.cfg.ID, err)
	}
	if v.cfg.SignOn && !signs(d.OnConnect()) || v.cfg.AwaitSignOn && !signs(d.NetworkSteps()) {
		return nil, fmt.Errorf("acquirers: bank %q: sign-on is wanted and dialect %s has none", v.cfg.ID, d.ID())
	}
	var err error
	if v.codes, err = newCodes(&v.cfg, d); err != nil {
		return nil, fmt.Errorf("acquirers: bank %q: %w", v.cfg.ID, err)
	}
	if v.pin, err = newPINZone(&v.cfg, d); err != nil {
		return nil, fmt.Errorf("acquirers: bank %q: %w", v.cfg.ID, err)
	}
	if v.codes != nil {
		v.codes.bank = b
	}
	return v, b.keys.know(v)
}

// version is the bank's one of a dialect, made when it is new. Another dialect
// under the revision of a known one is refused. REQUIRES: mu.
func (b *Bank) version(d *iso.Dialect) (*Version, error) {
	if d != nil {
		for _, v := range b.known {
			switch {
			case v.dialect == d:
				return v, nil
			case v.dialect.Revision() == d.Revision():
				return nil, fmt.Errorf("acquirers: bank %q: there are two different dialects %s", b.given.ID, d.Revision())
			}
		}
	}
	v, err := b.newVersion(d)
	if err == nil {
		b.known = append(b.known, v)
	}
	return v, err
}

// Current is the version of the links that are no canary.
func (b *Bank) Current() *Version { return b.current.Load() }

// Speak chooses the version that the next payment's request is built in and holds
// it: the versions take turns as their links do, so that each gets the share of its
// links. While it is held no plan takes the last link from it. Nil: no link takes
// traffic. It allocates nothing.
func (b *Bank) Speak() *Version { return b.speak(nil) }

// SpeakOther is Speak for a request that provably was not sent in the version not.
func (b *Bank) SpeakOther(not *Version) *Version { return b.speak(not) }

func (b *Bank) speak(not *Version) *Version {
	lines := *b.offered.Load()
	first := int(b.speech.Add(1))
	for most := int64(b.cfg.Window); ; most = math.MaxInt64 {
		for i := range lines {
			l := lines[(first+i)%len(lines)]
			if l.version != not && l.inFlight.Load() < most && l.hold() {
				return l.version
			}
		}
		if most == math.MaxInt64 {
			return nil
		}
	}
}

// SpeakCurrent holds the current version when a link that speaks it takes
// traffic, else whichever Speak chooses.
func (b *Bank) SpeakCurrent() *Version {
	if v := b.current.Load(); b.holdReady(v) {
		return v
	}
	return b.Speak()
}

// SpeakAs holds the version of a revision when a link that speaks it takes
// traffic. Nil: none does; awaited says whether one shall.
func (b *Bank) SpeakAs(r iso.Revision) (v *Version, awaited bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.known, func(v *Version) bool { return v.dialect.Revision() == r })
	if at < 0 {
		return nil, false
	}
	v = b.known[at]
	if b.holdReady(v) {
		return v, false
	}
	return nil, slices.ContainsFunc(b.links, func(k *link) bool { return k.target.Load() == v })
}

func (b *Bank) holdReady(v *Version) bool {
	for _, l := range *b.offered.Load() {
		if l.version == v && l.hold() {
			return true
		}
	}
	return false
}

// hold counts a request that is to go by a link of the line's version; false: the
// line is about to leave it.
func (l *line) hold() bool {
	l.version.held.Add(1)
	if l.leaving.Load() {
		l.version.held.Add(-1)
		return false
	}
	return true
}

// VersionStatus is a version that links of a bank speak, or spoke, with what came
// of the payments' requests in it since the start.
type VersionStatus struct {
	iso.Revision
	Current  bool   `json:"current"`
	Links    []int  `json:"links"` // that speak it or shall
	Approved uint64 `json:"approved"`
	Declined uint64 `json:"declined"`
	Refuted  uint64 `json:"refuted"`
	Unknown  uint64 `json:"unknown"`
}

// Versions reports the versions in the order they were made known.
func (b *Bank) Versions() []VersionStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]VersionStatus, len(b.known))
	for i, v := range b.known {
		out[i] = VersionStatus{Revision: v.dialect.Revision(), Current: v == b.current.Load(), Links: []int{},
			Approved: v.results[ResultApproved].Load(), Declined: v.results[ResultDeclined].Load(),
			Refuted: v.results[ResultRefuted].Load(), Unknown: v.results[ResultUnknown].Load()}
		for _, k := range b.links {
			if k.target.Load() == v {
				out[i].Links = append(out[i].Links, k.number)
			}
		}
	}
	return out
}

// served is the bank's own network management by step, in all versions.
func (b *Bank) served() map[string]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := map[string]uint64{}
	for _, v := range b.known {
		for name, n := range v.steps {
			sum[name] += n.Load()
		}
	}
	return sum
}

// Dialects are those of Versions.
func (b *Bank) Dialects() []*iso.Dialect {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*iso.Dialect, len(b.known))
	for i, v := range b.known {
		out[i] = v.dialect
	}
	return out
}

// Known is the dialect of a revision among Dialects; nil: it is not there.
func (b *Bank) Known(r iso.Revision) *iso.Dialect {
	for _, d := range b.Dialects() {
		if d.Revision() == r {
			return d
		}
	}
	return nil
}
