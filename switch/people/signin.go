package people

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// errCredentials is the one answer to whoever is not let in: it does not tell a
// wrong password from a user who does not exist, was barred, or has not joined.
var errCredentials = &payswitch.Refusal{Code: payswitch.CodeForbidden, Detail: "The address or the password is wrong."}

var errCode = &payswitch.Refusal{Code: payswitch.CodeForbidden, Pointer: "/code", Detail: "That code is wrong, or it was used already."}

// SignIn checks address and password. The word it gives opens nothing but Second.
// The answer to a wrong address costs what that to a wrong password costs. Errors
// are refusals: CodeOverloaded says how long to wait.
func (p *People) SignIn(email, password string, v Visit) (word string, err error) {
	email, wrong := cleanEmail(email)
	account := email
	if wrong != nil {
		account = "nobody"
	}
	if wait := p.guard.try(account, v.Address); wait > 0 {
		return "", errWait(wait)
	}
	u, known, err := p.byEmail(email)
	if err != nil {
		return "", err
	}
	if !p.passwordIs(u.Password, password) || !known || u.Disabled || u.JoinedAt.IsZero() || wrong != nil {
		return "", errCredentials
	}
	p.guard.forgive(account, v.Address)
	var c storage.Command
	if word, err = p.putSession(&c, &u, stagePassword, v); err != nil {
		return "", err
	}
	return word, p.do(&c)
}

// Half is who has said the password and owes the second factor. Errors are refusals.
func (p *People) Half(word string) (User, error) {
	_, s, err := p.session(word, stagePassword)
	return s.User, err
}

// Second checks the second factor, a code of the authenticator or a recovery code,
// and gives the word of a full session in place of the one before. Errors are refusals.
func (p *People) Second(word, code string, v Visit) (session string, err error) {
	_, s, err := p.session(word, stagePassword)
	if err != nil {
		return "", err
	}
	if wait := p.guard.try("second of "+s.User.Email, v.Address); wait > 0 {
		return "", errWait(wait)
	}
	code = cleanCode(code)
	session, err = p.admit(s, v, func(u *User) error {
		if len(code) == totpDigits {
			return p.useCode(u, code)
		}
		d := digestOf(strings.ToLower(code))
		left := slices.DeleteFunc(slices.Clone(u.Recoveries), func(r digest) bool { return r == d })
		if len(left) == len(u.Recoveries) {
			return errCode
		}
		u.Recoveries = left
		return nil
	})
	if err == nil {
		p.guard.forgive("second of "+s.User.Email, v.Address)
	}
	return session, err
}

// admit changes a user and gives a full session in place of a half one, at once.
func (p *People) admit(half Session, v Visit, how func(*User) error) (session string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, err := p.User(half.User.ID)
	if err != nil || was.Disabled {
		return "", errCredentials
	}
	u := was
	if err := how(&u); err != nil {
		return "", err
	}
	u.SeenAt = p.now()
	var c storage.Command
	if half.Here {
		c.Delete(spacePeople, sessionKey(half.name))
		c.Delete(spacePeople, key(peopleOf, u.ID[:], half.name[:]))
	}
	living, dead, err := p.sessionsOf(was)
	if err != nil {
		return "", err
	}
	for _, s := range living[min(len(living), maxSessions-1):] {
		dead = append(dead, s.name)
	}
	for _, d := range dead[:min(len(dead), 400)] {
		c.Delete(spacePeople, sessionKey(d))
		c.Delete(spacePeople, key(peopleOf, u.ID[:], d[:]))
	}
	if err := p.put(&c, &was, &u); err != nil {
		return "", err
	}
	if session, err = p.putSession(&c, &u, stageIn, v); err != nil {
		return "", err
	}
	return session, p.do(&c)
}

// ByPasskey signs in whom a passkey proved, without a password: the device checked
// its owner, so that it is two factors in one. REQUIRES: the frontend verified the
// assertion, that the owner was checked included. Errors are refusals.
func (p *People) ByPasskey(user payswitch.ID, credential json.RawMessage, v Visit) (session string, err error) {
	return p.admit(Session{User: User{ID: user}}, v, func(u *User) error {
		u.Passkeys = slices.Clone(u.Passkeys)
		for i := range u.Passkeys {
			if sameCredential(u.Passkeys[i].Credential, credential) {
				u.Passkeys[i].Credential, u.Passkeys[i].UsedAt = credential, p.now()
				return nil
			}
		}
		return errCredentials
	})
}

// sameCredential compares the ids of two credentials.
func sameCredential(a, b json.RawMessage) bool {
	var x, y struct {
		ID []byte `json:"id"`
	}
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && len(x.ID) > 0 && slices.Equal(x.ID, y.ID)
}

// Prove checks a code of the authenticator of somebody who is signed in. Errors are
// refusals.
func (p *People) Prove(id payswitch.ID, code string, v Visit) error {
	u, err := p.User(id)
	if err != nil {
		return err
	}
	if wait := p.guard.try("second of "+u.Email, v.Address); wait > 0 {
		return errWait(wait)
	}
	_, err = p.change(id, func(u *User) error { return p.useCode(u, cleanCode(code)) })
	if err == nil {
		p.guard.forgive("second of "+u.Email, v.Address)
	}
	return err
}

// useCode uses a code of the authenticator up.
func (p *People) useCode(u *User, code string) error {
	if !u.HasAuthenticator() {
		return errCode
	}
	step, ok := totpStepOf(p.totpSecretOf(u.ID, u.TOTPNonce), code, p.now(), u.TOTPLast)
	if !ok {
		return errCode
	}
	u.TOTPLast = step
	return nil
}
