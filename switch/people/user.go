package people

import (
	"crypto/rand"
	"encoding/json"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// UserPrefix is the TypeID prefix of a user.
const UserPrefix = "usr"

// Limits of users.
const (
	MaxUsers    = 200 // of one merchant
	MaxName     = 100 // characters
	maxEmail    = 254
	maxPasskeys = 10
	maxWordLine = 64 // characters of a passkey's name
)

// User is one person. Times are UTC with milliseconds.
type User struct {
	ID        payswitch.ID `json:"-"`
	Email     string       `json:"email"`
	Name      string       `json:"name"`
	Language  string       `json:"language"` // ru, en or es; empty: as the browser asks
	Grants    []Grant      `json:"grants"`
	Disabled  bool         `json:"disabled,omitempty"`
	CreatedAt time.Time    `json:"created_at"`
	CreatedBy string       `json:"created_by"`
	JoinedAt  time.Time    `json:"joined_at,omitzero"` // zero: has not followed the first link
	SeenAt    time.Time    `json:"seen_at,omitzero"`   // last sign-in
	Passkeys  []Passkey    `json:"passkeys,omitempty"`

	Password   string   `json:"password,omitempty"`    // PHC string; empty: no password opens it
	TOTPNonce  []byte   `json:"totp_nonce,omitempty"`  // empty: no authenticator
	TOTPLast   uint64   `json:"totp_last,omitempty"`   // step of the last code that counted
	Recoveries []digest `json:"recoveries,omitempty"`  // of the codes that are left
	SessionsOf uint32   `json:"sessions_of,omitempty"` // sessions of other numbers have ended
}

// Passkey is a public key that a device or a password manager signs with
// (W3C Web Authentication). What the protocol needs of it belongs to the frontend.
type Passkey struct {
	Name       string          `json:"name"`
	Credential json.RawMessage `json:"credential"`
	AddedAt    time.Time       `json:"added_at"`
	UsedAt     time.Time       `json:"used_at,omitzero"`
}

// Status is invited, active or disabled.
func (u *User) Status() string {
	switch {
	case u.Disabled:
		return "disabled"
	case u.JoinedAt.IsZero():
		return "invited"
	}
	return "active"
}

// HasAuthenticator reports whether codes of an authenticator program open the second door.
func (u *User) HasAuthenticator() bool { return len(u.TOTPNonce) > 0 }

// cleanEmail is the form in which an address is kept and compared.
func cleanEmail(text string) (string, error) {
	text = strings.TrimSpace(text)
	a, err := mail.ParseAddress(text)
	if err != nil || a.Address != text || len(text) > maxEmail || !strings.Contains(text, ".") {
		return "", invalid("/email", "That is not a mail address.")
	}
	return strings.ToLower(text), nil
}

func cleanLine(pointer, text string, most int) (string, error) {
	text = strings.TrimSpace(text)
	if utf8.RuneCountInString(text) > most || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", invalid(pointer, "Must have at most %d printable characters.", most)
	}
	return text, nil
}

// User reads one. Errors are refusals.
func (p *People) User(id payswitch.ID) (User, error) {
	u := User{ID: id}
	ok, err := p.read(spacePeople, key(peopleUser, id[:]), &u)
	if err == nil && !ok {
		err = notFound("user")
	}
	return u, err
}

// byEmail is the user of an address; false: nobody's.
func (p *People) byEmail(email string) (u User, ok bool, err error) {
	d := digestOf(email)
	held, ok, err := p.store.Get(spacePeople, key(peopleEmail, d[:]), nil)
	if err != nil {
		return u, false, errInternal
	}
	if !ok || len(held) != len(u.ID) {
		return u, false, nil
	}
	u, err = p.User(payswitch.ID(held))
	return u, err == nil, err
}

// Find is the user of an address. Errors are refusals.
func (p *People) Find(email string) (User, error) {
	email, err := cleanEmail(email)
	if err != nil {
		return User{}, err
	}
	u, ok, err := p.byEmail(email)
	if err == nil && !ok {
		err = notFound("user")
	}
	return u, err
}

// UsersOf are those who may do something at a merchant, in the order they were
// made. Errors are refusals.
func (p *People) UsersOf(merchant string) ([]User, error) {
	shop := shopDigest(merchant)
	var ids []payswitch.ID
	err := p.store.Scan(storage.Range{Space: spacePeople, Prefix: key(peopleGrant, shop)}, func(name, _ []byte) bool {
		ids = append(ids, payswitch.ID(name[1+len(shop):]))
		return len(ids) < MaxUsers
	})
	if err != nil {
		return nil, errInternal
	}
	users := make([]User, 0, len(ids))
	for _, id := range ids {
		u, err := p.User(id)
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, nil
}

// put writes a user with the entries of the merchants it may act at.
func (p *People) put(c *storage.Command, was, u *User) error {
	for _, g := range was.Grants {
		c.Delete(spacePeople, key(peopleGrant, shopDigest(g.Merchant), u.ID[:]))
	}
	for _, g := range u.Grants {
		c.Set(spacePeople, key(peopleGrant, shopDigest(g.Merchant), u.ID[:]), nil)
	}
	return set(c, spacePeople, key(peopleUser, u.ID[:]), u)
}

// change reads a user, lets how change it, and makes that durable.
func (p *People) change(id payswitch.ID, how func(*User) error) (User, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, err := p.User(id)
	if err != nil {
		return was, err
	}
	u := was
	u.Grants, u.Passkeys, u.Recoveries = slices.Clone(was.Grants), slices.Clone(was.Passkeys), slices.Clone(was.Recoveries)
	if err := how(&u); err != nil {
		return was, err
	}
	var c storage.Command
	if err := p.put(&c, &was, &u); err != nil {
		return was, err
	}
	return u, p.do(&c)
}

// Invitation asks for a user.
type Invitation struct {
	Email  string
	Grants []Grant
	By     string // who asks
	Owner  *User  // who asks, if it is not an operator
}

// controls reports whether every right of a list is the user's to give.
func (u *User) controls(grants []Grant) bool {
	return !slices.ContainsFunc(grants, func(g Grant) bool { return !u.RoleAt(g.Merchant, g.Live).Rights().Has(RightUsers) })
}

// allow keeps an owner at home. Whoever makes a user holds the user's first link,
// so an address that another merchant knows is for the operators to connect.
func (in *Invitation) allow(known *User) error {
	switch {
	case in.Owner == nil:
		return nil
	case !in.Owner.controls(in.Grants):
		return refusal(payswitch.CodeForbidden, "/role", "You may not give rights there.")
	case !in.Owner.controls(known.Grants):
		return refusal(payswitch.CodeForbidden, "/email", "This person is known at another merchant: ask the operators to let the person in.")
	}
	return nil
}

// Invite gives somebody rights at merchants, and makes the user when the address is
// new; word is then, and while the user has not joined, what the link carries.
// Errors are refusals.
func (p *People) Invite(in Invitation) (u User, word string, err error) {
	email, err := cleanEmail(in.Email)
	if err != nil {
		return u, "", err
	}
	if err := p.checkGrants(in.Grants); err != nil {
		return u, "", err
	}
	for _, g := range in.Grants {
		if there, err := p.UsersOf(g.Merchant); err != nil || len(there) >= MaxUsers {
			return u, "", refusal(payswitch.CodeInvalidState, "", "%d people are as many as one merchant may have.", MaxUsers)
		}
	}
	p.mu.Lock()
	was, known, err := p.byEmail(email)
	if err == nil {
		err = in.allow(&was)
	}
	if err != nil {
		p.mu.Unlock()
		return u, "", err
	}
	u = was
	if !known {
		u = User{ID: p.freshID(), Email: email, CreatedAt: p.now(), CreatedBy: in.By}
	}
	u.Grants = slices.Clone(was.Grants)
	for _, g := range in.Grants {
		u.Grants = withGrant(u.Grants, g)
	}
	var c storage.Command
	if !known {
		d := digestOf(email)
		c.Claim(spacePeople, key(peopleEmail, d[:]), u.ID[:])
	}
	if err = p.checkGrants(u.Grants); err == nil {
		err = p.put(&c, &was, &u)
	}
	if err == nil {
		err = p.do(&c)
	}
	p.mu.Unlock()
	if err == nil && u.JoinedAt.IsZero() {
		word, err = p.newLink(u, linkJoin, joinLasts)
	}
	return u, word, err
}

// Regrant gives a user another role at one account; the empty one takes the user
// out. Somebody who owned it stays, unless another owner is left. Errors are refusals.
func (p *People) Regrant(id payswitch.ID, g Grant) (User, error) {
	if g.Role != "" {
		if err := p.checkGrants([]Grant{g}); err != nil {
			return User{}, err
		}
	}
	others, err := p.UsersOf(g.Merchant)
	if err != nil {
		return User{}, err
	}
	return p.change(id, func(u *User) error {
		had := u.RoleAt(g.Merchant, g.Live)
		if had == "" && g.Role == "" {
			return notFound("user")
		}
		if had == RoleOwner && g.Role != RoleOwner && !slices.ContainsFunc(others, func(o User) bool {
			return o.ID != id && o.Status() == "active" && o.RoleAt(g.Merchant, g.Live) == RoleOwner
		}) {
			return refusal(payswitch.CodeInvalidState, "/role", "This is the last owner: make another one first.")
		}
		u.Grants = withGrant(u.Grants, g)
		return nil
	})
}

// SetDisabled bars a user from everything, or lets the user in again. Every session
// ends. Errors are refusals.
func (p *People) SetDisabled(id payswitch.ID, disabled bool) (User, error) {
	return p.change(id, func(u *User) error {
		u.Disabled = disabled
		u.SessionsOf++
		return nil
	})
}

// Describe changes how a user is called and spoken to. Errors are refusals.
func (p *People) Describe(id payswitch.ID, name, language string) (User, error) {
	name, err := cleanLine("/name", name, MaxName)
	if err != nil {
		return User{}, err
	}
	if !slices.Contains([]string{"", "ru", "en", "es"}, language) {
		return User{}, invalid("/language", "Must be ru, en or es.")
	}
	return p.change(id, func(u *User) error {
		u.Name, u.Language = name, language
		return nil
	})
}

// SetPassword changes a password, which the old one must allow. Every other session
// ends. Errors are refusals.
func (p *People) SetPassword(id payswitch.ID, old, fresh string) (User, error) {
	u, err := p.User(id)
	if err != nil {
		return u, err
	}
	if wait := p.guard.try(u.Email, "password of "+u.Email); wait > 0 {
		return u, errWait(wait)
	}
	if !p.passwordIs(u.Password, old) {
		return u, invalid("/old", "That is not the present password.")
	}
	p.guard.forgive(u.Email, "password of "+u.Email)
	if err := CheckPassword(fresh, u.Email); err != nil {
		return u, err
	}
	hashed := p.hashPassword(fresh)
	return p.change(id, func(u *User) error {
		u.Password = hashed
		u.SessionsOf++
		return nil
	})
}

// AddPasskey keeps a public key. Errors are refusals.
func (p *People) AddPasskey(id payswitch.ID, k Passkey) (User, error) {
	name, err := cleanLine("/name", k.Name, maxWordLine)
	if err != nil {
		return User{}, err
	}
	return p.change(id, func(u *User) error {
		if len(u.Passkeys) >= maxPasskeys {
			return refusal(payswitch.CodeInvalidState, "", "%d passkeys are as many as one user may have.", maxPasskeys)
		}
		k.Name, k.AddedAt = name, p.now()
		u.Passkeys = append(u.Passkeys, k)
		return nil
	})
}

// RemovePasskey forgets the passkey that was added at a moment. Errors are refusals.
func (p *People) RemovePasskey(id payswitch.ID, added time.Time) (User, error) {
	return p.change(id, func(u *User) error {
		kept := slices.DeleteFunc(u.Passkeys, func(k Passkey) bool { return k.AddedAt.Equal(added) })
		if len(kept) == len(u.Passkeys) {
			return notFound("passkey")
		}
		u.Passkeys = kept
		return nil
	})
}

// RecoveryCodes is how many codes one set has.
const RecoveryCodes = 10

// NewRecoveryCodes replaces a user's codes; nobody can read them again.
func (p *People) NewRecoveryCodes(id payswitch.ID) (codes []string, err error) {
	codes, kept := makeRecoveryCodes()
	_, err = p.change(id, func(u *User) error {
		u.Recoveries = kept
		return nil
	})
	return codes, err
}

// makeRecoveryCodes gives codes of 80 random bits, and what is kept of them.
func makeRecoveryCodes() (codes []string, kept []digest) {
	for range RecoveryCodes {
		word := strings.ToLower(rand.Text()[:16])
		codes = append(codes, word[:4]+"-"+word[4:8]+"-"+word[8:12]+"-"+word[12:])
		kept = append(kept, digestOf(word))
	}
	return codes, kept
}

// Controls reports whether every right of another user is this one's to give.
func (u *User) Controls(other *User) bool { return u.controls(other.Grants) }
