package cabinet

import (
	"net/http"
	"strings"

	"github.com/tranzit/tranzit/switch/people"
)

// profilePage is a user's own page.
type profilePage struct {
	Sessions []people.Session
	Passkeys bool // can be had at this host
	Codes    int  // recovery codes that are left
	Least    int
	Problem  string
}

func (v *visit) showProfile() error { return v.profile(http.StatusOK, "") }

func (v *visit) profile(status int, problem string) error {
	sessions, err := v.s.people.Sessions(v.session)
	if err != nil {
		return err
	}
	v.render(status, "profile", profilePage{Sessions: sessions, Passkeys: v.s.passkeys != nil, Codes: len(v.session.User.Recoveries),
		Least: people.MinPassword, Problem: problem})
	return nil
}

func (v *visit) changeProfile() error {
	u, err := v.s.people.Describe(v.session.User.ID, v.form("name"), v.form("language"))
	if err != nil {
		return err
	}
	if u.Language != "" {
		v.lang = u.Language
		v.chooseLanguage(u.Language)
	}
	v.redirect("/profile?done=saved")
	return nil
}

func (v *visit) changePassword() error {
	if v.form("password") != v.form("again") {
		return v.profile(http.StatusUnprocessableEntity, words(v.lang, "problem.again"))
	}
	u, err := v.s.people.SetPassword(v.session.User.ID, v.form("old"), v.form("password"))
	if err != nil {
		text, status, ok := v.again(err)
		if !ok {
			return err
		}
		return v.profile(status, text)
	}
	v.actsOf(&u, "password_changed")
	v.setCookie(cookieSession, "")
	v.redirect("/signin?done=password")
	return nil
}

// newRecovery needs a code of the authenticator: what opens the second door is not
// given to whoever found a browser open.
func (v *visit) newRecovery() error {
	if err := v.s.people.Prove(v.session.User.ID, v.form("code"), v.from()); err != nil {
		text, status, ok := v.again(err)
		if !ok {
			return err
		}
		return v.profile(status, text)
	}
	codes, err := v.s.people.NewRecoveryCodes(v.session.User.ID)
	if err != nil {
		return err
	}
	v.actsOf(&v.session.User, "recovery_codes_made")
	return v.show("codes", codesPage{Codes: codes, Next: "/profile"})
}

func (v *visit) endSession() error {
	if err := v.s.people.EndSession(v.session, strings.TrimSpace(v.form("session"))); err != nil {
		return err
	}
	v.actsOf(&v.session.User, "session_ended")
	v.redirect("/profile?done=ended")
	return nil
}

func (v *visit) endEverywhere() error {
	if err := v.s.people.SignOutEverywhere(v.session.User.ID); err != nil {
		return err
	}
	v.actsOf(&v.session.User, "signed_out_everywhere")
	v.setCookie(cookieSession, "")
	v.redirect("/signin?done=everywhere")
	return nil
}

// chooseLanguage keeps a language for who is not signed in.
func (v *visit) chooseLanguage(lang string) {
	http.SetCookie(v.w, &http.Cookie{Name: cookieLanguage, Value: lang, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: v.s.secure, SameSite: http.SameSiteLaxMode})
}
