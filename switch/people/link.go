package people

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// What a link does. The words are stored.
const (
	linkJoin  = "join"  // sets a password and an authenticator
	linkEnter = "enter" // signs in, once
)

const (
	joinLasts  = 72 * time.Hour
	enterLasts = time.Hour
)

// linkRecord is a link that was given out. It is used once.
type linkRecord struct {
	User    payswitch.ID `json:"user"`
	Kind    string       `json:"kind"`
	Expires time.Time    `json:"expires"`
	Nonce   []byte       `json:"nonce"`        // of the authenticator that a join makes
	Of      uint32       `json:"of,omitempty"` // User.SessionsOf when it was made: what ends sessions ends links
}

func linkKey(word string) []byte {
	d := digestOf(word)
	return key(peopleLink, d[:])
}

func (p *People) newLink(u User, kind string, lasts time.Duration) (word string, err error) {
	word = newWord()
	r := linkRecord{User: u.ID, Kind: kind, Expires: p.now().Add(lasts), Nonce: make([]byte, 16), Of: u.SessionsOf}
	_, _ = rand.Read(r.Nonce)
	var c storage.Command
	if err := set(&c, spacePeople, linkKey(word), &r); err != nil {
		return "", err
	}
	return word, p.do(&c)
}

// Reset makes a link by which a user sets password and authenticator anew. What
// the user has goes on opening the door until the link is followed. An owner can
// reset those alone whose every right is the owner's to give; nil: an operator asks.
// Errors are refusals.
func (p *People) Reset(id payswitch.ID, owner *User) (word string, err error) {
	u, err := p.User(id)
	if err == nil && owner != nil && !owner.controls(u.Grants) {
		err = notFound("user")
	}
	if err != nil {
		return "", err
	}
	return p.newLink(u, linkJoin, joinLasts)
}

// EntryLink makes a link that signs a user in once, within an hour: for `tranzit
// demo`, which offers no other way to make one. Errors are refusals.
func (p *People) EntryLink(id payswitch.ID) (word string, err error) {
	u, err := p.User(id)
	if err != nil {
		return "", err
	}
	return p.newLink(u, linkEnter, enterLasts)
}

var errLink = &payswitch.Refusal{Code: payswitch.CodeNotFound, Detail: "This link was used already, or it is too old. Ask for a new one."}

// link reads one that is still good.
func (p *People) link(word, kind string) (r linkRecord, u User, err error) {
	ok, err := p.read(spacePeople, linkKey(word), &r)
	if err != nil {
		return r, u, err
	}
	if !ok || r.Kind != kind || !p.now().Before(r.Expires) {
		return r, u, errLink
	}
	if u, err = p.User(r.User); err == nil && (u.Disabled || r.Of != u.SessionsOf) {
		err = errLink
	}
	return r, u, err
}

// Joining shows who follows a link, and the authenticator it makes. Errors are refusals.
func (p *People) Joining(word string) (User, Authenticator, error) {
	r, u, err := p.link(word, linkJoin)
	if err != nil {
		return u, Authenticator{}, err
	}
	return u, authenticator(p.totpSecretOf(u.ID, r.Nonce), u.Email), nil
}

// Join is what somebody who follows a link says.
type Join struct {
	Word, Name, Password, Code string
	Visit                      Visit
}

// Join sets password and authenticator, ends every older session, passkey and
// recovery code, and signs in. Errors are refusals.
func (p *People) Join(j Join) (session string, codes []string, err error) {
	r, u, err := p.link(j.Word, linkJoin)
	if err != nil {
		return "", nil, err
	}
	if wait := p.guard.try(u.Email, j.Visit.Address); wait > 0 {
		return "", nil, errWait(wait)
	}
	if err := CheckPassword(j.Password, u.Email); err != nil {
		return "", nil, err
	}
	name, err := cleanLine("/name", j.Name, MaxName)
	if err != nil {
		return "", nil, err
	}
	step, ok := totpStepOf(p.totpSecretOf(u.ID, r.Nonce), cleanCode(j.Code), p.now(), 0)
	if !ok {
		return "", nil, invalid("/code", "That is not the code the authenticator shows now.")
	}
	hashed := p.hashPassword(j.Password)
	codes, kept := makeRecoveryCodes()
	session, err = p.useLink(j.Word, r, j.Visit, func(u *User) {
		u.Name, u.Password, u.TOTPNonce, u.TOTPLast, u.Recoveries, u.Passkeys = name, hashed, r.Nonce, step, kept, nil
		u.SessionsOf++
		if u.JoinedAt.IsZero() {
			u.JoinedAt = p.now()
		}
	})
	if err == nil {
		p.guard.forgive(u.Email, j.Visit.Address)
	}
	return session, codes, err
}

// Enter follows a link that signs in. Errors are refusals.
func (p *People) Enter(word string, v Visit) (session string, err error) {
	r, _, err := p.link(word, linkEnter)
	if err != nil {
		return "", err
	}
	return p.useLink(word, r, v, func(*User) {})
}

// useLink changes the user, removes the link and makes a session, all in one
// command, once.
func (p *People) useLink(word string, r linkRecord, v Visit, how func(*User)) (session string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	again, was, err := p.link(word, r.Kind)
	if err != nil || again.User != r.User {
		return "", errLink
	}
	u := was
	how(&u)
	u.SeenAt = p.now()
	var c storage.Command
	c.Delete(spacePeople, linkKey(word))
	if err := p.put(&c, &was, &u); err != nil {
		return "", err
	}
	if session, err = p.putSession(&c, &u, stageIn, v); err != nil {
		return "", err
	}
	return session, p.do(&c)
}

// Settle sets password and authenticator of a user without a link, and gives the
// authenticator: for `tranzit demo` and tests. Errors are refusals.
func (p *People) Settle(id payswitch.ID, name, password string) (Authenticator, error) {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce)
	hashed := p.hashPassword(password)
	u, err := p.change(id, func(u *User) error {
		u.Name, u.Password, u.TOTPNonce, u.TOTPLast = name, hashed, nonce, 0
		u.SessionsOf++
		if u.JoinedAt.IsZero() {
			u.JoinedAt = p.now()
		}
		return CheckPassword(password, u.Email)
	})
	return authenticator(p.totpSecretOf(id, nonce), u.Email), err
}

// cleanCode takes a code as people type it.
func cleanCode(code string) string {
	return strings.NewReplacer(" ", "", "-", "").Replace(strings.ToLower(strings.TrimSpace(code)))
}
