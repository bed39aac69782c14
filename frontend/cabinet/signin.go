package cabinet

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// signInPage is the first of the two steps, or the second.
type signInPage struct {
	Email, To, Problem string
	Passkeys           bool
}

func (v *visit) showSignIn() error {
	if session, err := v.s.people.Session(v.cookie(cookieSession)); err == nil && !session.User.Disabled {
		v.redirect("/")
		return nil
	}
	return v.show("signin", signInPage{To: v.inside(v.r.URL.Query().Get("to")), Passkeys: v.s.passkeys != nil})
}

// inside keeps a visitor on this host after signing in.
func (v *visit) inside(to string) string {
	if !strings.HasPrefix(to, "/m/") && !strings.HasPrefix(to, "/operator") && to != "/profile" || strings.ContainsAny(to, "\\\r\n") {
		return ""
	}
	return to
}

func (v *visit) signIn() error {
	email := strings.TrimSpace(v.form("email"))
	word, err := v.s.people.SignIn(email, v.form("password"), v.from())
	if err != nil {
		text, status, ok := v.again(err)
		if !ok {
			return err
		}
		if status == http.StatusForbidden {
			text = words(v.lang, "problem.credentials")
		}
		v.render(status, "signin", signInPage{Email: email, To: v.inside(v.form("to")), Problem: text, Passkeys: v.s.passkeys != nil})
		return nil
	}
	v.setCookie(cookieHalf, word)
	to := "/signin/second"
	if inside := v.inside(v.form("to")); inside != "" {
		to += "?" + url.Values{"to": {inside}}.Encode()
	}
	v.redirect(to)
	return nil
}

func (v *visit) showSecond() error {
	if _, err := v.s.people.Half(v.cookie(cookieHalf)); err != nil {
		v.redirect("/signin")
		return nil
	}
	return v.show("second", signInPage{To: v.inside(v.r.URL.Query().Get("to"))})
}

func (v *visit) second() error {
	half := v.cookie(cookieHalf)
	u, err := v.s.people.Half(half)
	if err != nil {
		v.redirect("/signin")
		return nil
	}
	session, err := v.s.people.Second(half, v.form("code"), v.from())
	if err != nil {
		text, status, ok := v.again(err)
		if !ok {
			return err
		}
		v.actsOf(&u, "second_factor_failed")
		v.render(status, "second", signInPage{To: v.inside(v.form("to")), Problem: text})
		return nil
	}
	v.actsOf(&u, "signed_in")
	v.letIn(session)
	to := v.inside(v.form("to"))
	if to == "" {
		to = "/"
	}
	v.redirect(to)
	return nil
}

// letIn gives the browser its session and takes the half one.
func (v *visit) letIn(session string) {
	v.setCookie(cookieSession, session)
	v.setCookie(cookieHalf, "")
}

// actsOf writes down, at every account of the user, what the user did that is about
// none of them.
func (v *visit) actsOf(u *people.User, what string) {
	for _, g := range u.Grants {
		a := people.Act{Merchant: g.Merchant, Live: g.Live, Who: u.Email, What: what, Address: v.from().Address}
		if err := v.s.people.Record(&a); err != nil {
			v.s.log.Error("an act of a user could not be written", "what", what, "error", err)
		}
	}
}

// home leads to the first account of the user.
func (v *visit) home() error {
	if err := v.known(); err != nil || v.word == "" {
		return err
	}
	for _, g := range v.session.User.Grants {
		if _, err := v.s.sw.AccountOf(g.Merchant, g.Live); err == nil {
			v.redirect(basePath(g.Merchant, g.Live) + "/payments")
			return nil
		}
	}
	if v.session.User.IsOperator() {
		v.redirect("/operator")
		return nil
	}
	v.redirect("/profile")
	return nil
}

func (v *visit) signOut() error {
	if err := v.s.people.SignOut(v.session); err != nil {
		return err
	}
	v.actsOf(&v.session.User, "signed_out")
	v.setCookie(cookieSession, "")
	v.redirect("/signin")
	return nil
}

// joinPage is where a link leads that sets password and authenticator.
type joinPage struct {
	Email, Name, Problem string
	Authenticator        people.Authenticator
	Least                int
}

func (v *visit) showJoin() error {
	u, a, err := v.s.people.Joining(v.r.PathValue("word"))
	if err != nil {
		return err
	}
	return v.show("join", joinPage{Email: u.Email, Name: u.Name, Authenticator: a, Least: people.MinPassword})
}

func (v *visit) join() error {
	word := v.r.PathValue("word")
	u, a, err := v.s.people.Joining(word)
	if err != nil {
		return err
	}
	page := joinPage{Email: u.Email, Name: strings.TrimSpace(v.form("name")), Authenticator: a, Least: people.MinPassword}
	session, codes, err := "", []string(nil), error(&payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/again", Detail: "The two passwords differ."})
	if v.form("password") == v.form("again") {
		session, codes, err = v.s.people.Join(people.Join{Word: word, Name: page.Name, Password: v.form("password"), Code: v.form("code"), Visit: v.from()})
	}
	if err != nil {
		text, status, ok := v.again(err)
		if !ok {
			return err
		}
		page.Problem = text
		v.render(status, "join", page)
		return nil
	}
	v.actsOf(&u, "joined")
	v.letIn(session)
	return v.show("codes", codesPage{Codes: codes, Next: "/"})
}

// codesPage shows recovery codes, once.
type codesPage struct {
	Codes []string
	Next  string
}

// showEnter asks for a press of a button, so that a program that follows links does
// not use the link up.
func (v *visit) showEnter() error { return v.show("enter", nil) }

func (v *visit) enter() error {
	session, err := v.s.people.Enter(v.r.PathValue("word"), v.from())
	if err != nil {
		return err
	}
	if s, err := v.s.people.Session(session); err == nil {
		v.actsOf(&s.User, "signed_in")
	}
	v.letIn(session)
	v.redirect("/")
	return nil
}

var errPasskey = &payswitch.Refusal{Code: payswitch.CodeForbidden, Pointer: "/passkey", Detail: "The passkey was not accepted."}

// noPasskey tells why a passkey did not work, if it is the visitor's to know.
func noPasskey(err error) error {
	var no *payswitch.Refusal
	if errors.As(err, &no) && no.Code != payswitch.CodeForbidden {
		return err
	}
	return errPasskey
}
