package iso

import (
	"fmt"
	"hash/fnv"
	"time"
)

// Revision names one version of a dialect: the id and the version that its file
// states.
type Revision struct {
	Dialect string `json:"dialect"`
	Version int    `json:"version"`
}

// String is the revision in logs and errors.
func (r Revision) String() string { return fmt.Sprintf("%s version %d", r.Dialect, r.Version) }

// mark tells the keys of one revision from those of others.
func (r Revision) mark() uint32 {
	h := fnv.New32a()
	fmt.Fprint(h, r.Dialect, "/", r.Version)
	return h.Sum32()
}

// Revision is the dialect's id and version.
func (d *Dialect) Revision() Revision { return Revision{d.id, d.version} }

// day reads a day of meta; text is an example of one.
func (l *loader) day(s *section, key, example string) time.Time {
	if !s.has(key) {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, s.text(key, example, 10))
	if err != nil {
		l.fail(s.lineOf(key), "meta.%s must be a day, written like %s", key, example)
	}
	return day
}

// days reads the first and the last day a version is used.
func (l *loader) days(s *section) {
	l.d.from = l.day(s, "effective", "2026-12-01")
	if last := l.day(s, "until", "2027-11-30"); !last.IsZero() {
		if last.Before(l.d.from) {
			l.fail(s.lineOf("until"), "meta.until is the last day a version is used; write one that is not before meta.effective")
		}
		l.d.end = last.AddDate(0, 0, 1)
	}
}

// Effective is the first day (midnight UTC) this version is used; zero: any.
func (d *Dialect) Effective() time.Time { return d.from }

// Until is the end (midnight UTC) of the last day this version is used; zero: none.
func (d *Dialect) Until() time.Time { return d.end }

// Due says in one line why the version is not to be used at a time; nil: it is.
func (d *Dialect) Due(now time.Time) error {
	switch {
	case now.Before(d.from):
		return fmt.Errorf("%s is effective from %s", d.Revision(), d.from.Format(time.DateOnly))
	case !d.end.IsZero() && !now.Before(d.end):
		return fmt.Errorf("%s was effective until %s", d.Revision(), d.end.AddDate(0, 0, -1).Format(time.DateOnly))
	}
	return nil
}
