package people

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// Stages of a session. The words are stored.
const (
	stagePassword = "password" // the second factor is still owed
	stageIn       = "in"
)

const (
	secondLasts = 10 * time.Minute // from the password to the second factor
	seenEvery   = time.Minute      // how exactly the last request of a session is kept
	maxAgent    = 200
	maxSessions = 20 // of one user
)

// Visit is where a request comes from.
type Visit struct {
	Address string
	Agent   string // User-Agent
}

// sessionRecord is a session as stored.
type sessionRecord struct {
	User      payswitch.ID `json:"user"`
	Stage     string       `json:"stage"`
	Of        uint32       `json:"of"` // User.SessionsOf when it began
	CreatedAt time.Time    `json:"created_at"`
	SeenAt    time.Time    `json:"seen_at"`
	Address   string       `json:"address"`
	Agent     string       `json:"agent"`
	Language  string       `json:"language,omitempty"`
}

// Session is somebody who is signed in somewhere.
type Session struct {
	User      User
	CreatedAt time.Time
	SeenAt    time.Time
	Address   string
	Agent     string
	Here      bool // it is the one that asks
	name      digest
}

// Name is what the session is called among the user's; it opens nothing.
func (s *Session) Name() string { return fmt.Sprintf("%x", s.name[:8]) }

func sessionKey(d digest) []byte { return key(peopleSession, d[:]) }

// putSession adds a session to a command; word is what its owner holds.
func (p *People) putSession(c *storage.Command, u *User, stage string, v Visit) (word string, err error) {
	word = newWord()
	d := digestOf(word)
	if len(v.Agent) > maxAgent {
		v.Agent = strings.ToValidUTF8(v.Agent[:maxAgent], "")
	}
	now := p.now()
	r := sessionRecord{User: u.ID, Stage: stage, Of: u.SessionsOf, CreatedAt: now, SeenAt: now, Address: v.Address, Agent: v.Agent}
	c.Set(spacePeople, key(peopleOf, u.ID[:], d[:]), nil)
	return word, set(c, spacePeople, sessionKey(d), &r)
}

// dead reports a session whose time is up, or that its user ended.
func (r *sessionRecord) dead(o *Options, u *User, now time.Time) bool {
	lasts := o.Lasting
	if r.Stage == stagePassword {
		lasts = secondLasts
	}
	return u.Disabled || r.Of != u.SessionsOf || now.Sub(r.CreatedAt) >= lasts || now.Sub(r.SeenAt) >= o.Idle
}

// session finds a living one of a stage.
func (p *People) session(word, stage string) (r sessionRecord, s Session, err error) {
	d := digestOf(word)
	ok, err := p.read(spacePeople, sessionKey(d), &r)
	if err != nil {
		return r, s, err
	}
	if !ok || r.Stage != stage {
		return r, s, errSignIn
	}
	u, err := p.User(r.User)
	if err != nil {
		return r, s, errSignIn
	}
	if r.dead(&p.o, &u, p.now()) {
		return r, s, cmp.Or(p.endSession(u.ID, d), error(errSignIn))
	}
	return r, Session{User: u, CreatedAt: r.CreatedAt, SeenAt: r.SeenAt, Address: r.Address, Agent: r.Agent, Here: true, name: d}, nil
}

var errSignIn = &payswitch.Refusal{Code: payswitch.CodeForbidden, Detail: "Sign in first."}

// Session is who holds a word, fully signed in, and notes that the session was
// used. Errors are refusals: CodeForbidden stands for nobody.
func (p *People) Session(word string) (Session, error) {
	r, s, err := p.session(word, stageIn)
	if err != nil {
		return s, err
	}
	if now := p.now(); now.Sub(r.SeenAt) >= seenEvery {
		r.SeenAt = now
		var c storage.Command
		if err := set(&c, spacePeople, sessionKey(s.name), &r); err != nil {
			return s, err
		}
		return s, p.do(&c)
	}
	return s, nil
}

func (p *People) endSession(user payswitch.ID, d digest) error {
	var c storage.Command
	c.Delete(spacePeople, sessionKey(d))
	c.Delete(spacePeople, key(peopleOf, user[:], d[:]))
	return p.do(&c)
}

// Sessions are the living ones of the user, the latest used first. Those that are
// dead are forgotten. Errors are refusals.
func (p *People) Sessions(of Session) ([]Session, error) {
	living, dead, err := p.sessionsOf(of.User)
	for _, d := range dead {
		if err == nil {
			err = p.endSession(of.User.ID, d)
		}
	}
	for i := range living {
		living[i].Here = living[i].name == of.name
	}
	return living, err
}

func (p *People) sessionsOf(u User) (living []Session, dead []digest, err error) {
	var names []digest
	err = p.store.Scan(storage.Range{Space: spacePeople, Prefix: key(peopleOf, u.ID[:])}, func(name, _ []byte) bool {
		names = append(names, digest(name[1+len(u.ID):]))
		return true
	})
	if err != nil {
		return nil, nil, errInternal
	}
	for _, d := range names {
		var r sessionRecord
		ok, err := p.read(spacePeople, sessionKey(d), &r)
		switch {
		case err != nil:
			return nil, nil, err
		case !ok || r.dead(&p.o, &u, p.now()):
			dead = append(dead, d)
		case r.Stage == stageIn:
			living = append(living, Session{User: u, CreatedAt: r.CreatedAt, SeenAt: r.SeenAt, Address: r.Address, Agent: r.Agent, name: d})
		}
	}
	slices.SortFunc(living, func(x, y Session) int { return y.SeenAt.Compare(x.SeenAt) })
	return living, dead, nil
}

// SignOut ends a session.
func (p *People) SignOut(s Session) error { return p.endSession(s.User.ID, s.name) }

// EndSession ends the user's session of a name. Errors are refusals.
func (p *People) EndSession(of Session, name string) error {
	all, err := p.Sessions(of)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Name() == name {
			return p.SignOut(all[i])
		}
	}
	return notFound("session")
}

// SignOutEverywhere ends every session of a user, also those of other machines, at
// once. Errors are refusals.
func (p *People) SignOutEverywhere(id payswitch.ID) error {
	_, err := p.change(id, func(u *User) error {
		u.SessionsOf++
		return nil
	})
	return err
}

func errWait(wait time.Duration) error {
	return &payswitch.Refusal{Code: payswitch.CodeOverloaded, RetryAfter: wait,
		Detail: fmt.Sprintf("Too many tries. Wait %d seconds.", int(math.Ceil(wait.Seconds())))}
}
