package cabinet

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// initPasskeys sets up Web Authentication for the cabinet's host. A host in numbers
// cannot have passkeys (W3C Web Authentication, section 5.1.2: a valid domain).
func (s *Server) initPasskeys(u *url.URL) error {
	s.ceremonies.open = map[string]ceremony{}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil
	}
	required := true
	var err error
	s.passkeys, err = webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "Tranzit", RPOrigins: []string{s.o.URL}, AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{RequireResidentKey: &required, ResidentKey: protocol.ResidentKeyRequirementRequired,
			UserVerification: protocol.VerificationRequired},
	})
	return err
}

// ceremonies are those that a browser was asked to finish. They live in memory: a
// new start makes people ask again.
type ceremonies struct {
	mu   sync.Mutex
	open map[string]ceremony
}

type ceremony struct {
	data webauthn.SessionData
	user payswitch.ID // who adds a passkey; zero: somebody signs in
	ends time.Time
}

const (
	maxCeremonies  = 10_000
	ceremonyLasts  = 5 * time.Minute
	maxPasskeyName = 60
)

// begin keeps a ceremony under a new word.
func (c *ceremonies) begin(of ceremony) (word string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for word, old := range c.open {
		if now.After(old.ends) || len(c.open) >= maxCeremonies {
			delete(c.open, word)
		}
	}
	of.ends = now.Add(ceremonyLasts)
	word = rand.Text()
	c.open[word] = of
	return word
}

// end takes a ceremony out: each is finished once.
func (c *ceremonies) end(word string) (ceremony, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of, ok := c.open[word]
	delete(c.open, word)
	return of, ok && time.Now().Before(of.ends)
}

// keyHolder is a user as Web Authentication asks for it.
type keyHolder struct{ u *people.User }

// WebAuthnID is the user's id: it says nothing about the person.
func (k keyHolder) WebAuthnID() []byte { return k.u.ID[:] }

// WebAuthnName is what the browser shows.
func (k keyHolder) WebAuthnName() string { return k.u.Email }

// WebAuthnDisplayName is what the browser shows, too.
func (k keyHolder) WebAuthnDisplayName() string {
	if k.u.Name != "" {
		return k.u.Name
	}
	return k.u.Email
}

// WebAuthnCredentials are the user's public keys.
func (k keyHolder) WebAuthnCredentials() (all []webauthn.Credential) {
	for _, p := range k.u.Passkeys {
		var c webauthn.Credential
		if json.Unmarshal(p.Credential, &c) == nil {
			all = append(all, c)
		}
	}
	return all
}

func (v *visit) json(status int, value any) error {
	v.w.Header().Set("Content-Type", "application/json")
	v.w.WriteHeader(status)
	return json.NewEncoder(v.w).Encode(value)
}

// scripted answers a script: a refusal is told in JSON.
func (v *visit) scripted(err error) error {
	text, status, ok := v.again(err)
	if !ok {
		return err
	}
	return v.json(status, map[string]string{"problem": text})
}

// beginPasskey lets somebody sign in by any passkey the browser has for this host.
func (v *visit) beginPasskey() error {
	if v.s.passkeys == nil {
		return errNoPage
	}
	options, data, err := v.s.passkeys.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return err
	}
	v.setCookie(cookieCeremony, v.s.ceremonies.begin(ceremony{data: *data}))
	return v.json(http.StatusOK, options)
}

func (v *visit) finishPasskey() error {
	c, ok := v.s.ceremonies.end(v.cookie(cookieCeremony))
	v.setCookie(cookieCeremony, "")
	if v.s.passkeys == nil || !ok || !c.user.IsZero() {
		return v.scripted(errPasskey)
	}
	var u people.User
	find := func(_, handle []byte) (webauthn.User, error) {
		if len(handle) != len(u.ID) {
			return nil, errPasskey
		}
		found, err := v.s.people.User(payswitch.ID(handle))
		u = found
		return keyHolder{&u}, err
	}
	credential, err := v.s.passkeys.FinishDiscoverableLogin(find, c.data, v.r)
	if err != nil || credential.Authenticator.CloneWarning {
		v.s.log.Info("a passkey was refused", "error", err)
		return v.scripted(errPasskey)
	}
	kept, err := json.Marshal(credential)
	if err != nil {
		return err
	}
	session, err := v.s.people.ByPasskey(u.ID, kept, v.from())
	if err != nil {
		return v.scripted(noPasskey(err))
	}
	v.actsOf(&u, "signed_in_by_passkey")
	v.letIn(session)
	return v.json(http.StatusOK, map[string]string{"to": "/"})
}

func (v *visit) beginNewPasskey() error {
	if v.s.passkeys == nil {
		return errNoPage
	}
	holder := keyHolder{&v.session.User}
	had := webauthn.Credentials(holder.WebAuthnCredentials()).CredentialDescriptors()
	options, data, err := v.s.passkeys.BeginRegistration(holder, webauthn.WithExclusions(had))
	if err != nil {
		return err
	}
	v.setCookie(cookieCeremony, v.s.ceremonies.begin(ceremony{data: *data, user: v.session.User.ID}))
	return v.json(http.StatusOK, options)
}

func (v *visit) finishNewPasskey() error {
	c, ok := v.s.ceremonies.end(v.cookie(cookieCeremony))
	v.setCookie(cookieCeremony, "")
	if v.s.passkeys == nil || !ok || c.user != v.session.User.ID {
		return v.scripted(errPasskey)
	}
	credential, err := v.s.passkeys.FinishRegistration(keyHolder{&v.session.User}, c.data, v.r)
	if err != nil {
		v.s.log.Info("a new passkey was refused", "error", err)
		return v.scripted(errPasskey)
	}
	kept, err := json.Marshal(credential)
	if err != nil {
		return err
	}
	name := v.r.Header.Get("X-Passkey-Name")
	if decoded, err := url.QueryUnescape(name); err == nil && len(decoded) <= maxPasskeyName {
		name = decoded
	} else {
		name = ""
	}
	if _, err := v.s.people.AddPasskey(v.session.User.ID, people.Passkey{Name: name, Credential: kept}); err != nil {
		return v.scripted(err)
	}
	v.actsOf(&v.session.User, "passkey_added")
	return v.json(http.StatusOK, map[string]string{"to": "/profile?done=passkey"})
}

func (v *visit) removePasskey() error {
	added, err := time.Parse(time.RFC3339Nano, v.form("added"))
	if err != nil {
		return errNoPage
	}
	if _, err := v.s.people.RemovePasskey(v.session.User.ID, added); err != nil {
		return err
	}
	v.actsOf(&v.session.User, "passkey_removed")
	v.redirect("/profile?done=removed")
	return nil
}
