package cabinet

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// visit is one request. Not goroutine-safe.
type visit struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	lang    string
	word    string // of the session; empty: nobody
	session people.Session
	account payswitch.Account // of an account page
	rights  people.Right      // at the account
	said    url.Values        // of the form
	card    *cardForm         // what the virtual terminal's form brought instead
	file    upload            // of the form with a document
}

var (
	errNoPage = &payswitch.Refusal{Code: payswitch.CodeNotFound, Detail: "There is no such page."}
	errStale  = &payswitch.Refusal{Code: payswitch.CodeForbidden, Pointer: "/csrf", Detail: "This form is from another session. Load the page again."}
)

// public lets everybody in.
func (s *Server) public(do func(*visit) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &visit{s: s, w: w, r: r, lang: languageOf(r)}
		defer v.recover()
		if lang := r.URL.Query().Get("lang"); slices.Contains(languages, lang) {
			v.lang = lang
			v.chooseLanguage(lang)
		}
		if !strings.HasSuffix(r.Pattern, uploadPath) && !strings.HasSuffix(r.Pattern, templatePath) { // their bounds are set where they are read
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		if err := v.readForm(); err != nil {
			v.fail(err)
			return
		}
		if v.card != nil {
			defer v.card.wipe()
		}
		if err := do(v); err != nil {
			v.fail(err)
		}
	}
}

// personal lets in who is signed in; what changes something needs the session's token.
func (s *Server) personal(do func(*visit) error) http.HandlerFunc {
	return s.public(func(v *visit) error {
		if err := v.known(); err != nil {
			return err
		}
		if v.word == "" {
			return nil
		}
		return do(v)
	})
}

// accountPage lets in who has the right at the merchant in the mode. To all others
// the page does not exist, so that nothing tells which merchants there are.
func (s *Server) accountPage(route accountRoute) http.HandlerFunc {
	return s.personal(func(v *visit) error {
		merchant, mode := v.r.PathValue("merchant"), v.r.PathValue("mode")
		role := v.session.User.RoleAt(merchant, mode == "live")
		if role == "" || mode != "live" && mode != "test" {
			return errNoPage
		}
		account, err := s.sw.AccountOf(merchant, mode == "live")
		if err != nil {
			return errNoPage
		}
		v.account, v.rights = account, role.Rights()
		if !v.rights.Has(route.needs) {
			return &payswitch.Refusal{Code: payswitch.CodeForbidden, Detail: "Your role does not allow this."}
		}
		return route.do(v)
	})
}

// known finds out who is there. Who is not signed in is sent to sign in.
func (v *visit) known() error {
	word := v.cookie(cookieSession)
	session, err := v.s.people.Session(word)
	var no *payswitch.Refusal
	switch {
	case err == nil:
	case errors.As(err, &no) && no.Code == payswitch.CodeForbidden:
		if v.r.Method == http.MethodGet {
			v.redirect("/signin?" + url.Values{"to": {v.r.URL.RequestURI()}}.Encode())
			return nil
		}
		v.redirect("/signin")
		return nil
	default:
		return err
	}
	v.word, v.session = word, session
	if session.User.Language != "" {
		v.lang = session.User.Language
	}
	if v.r.Method != http.MethodGet && !v.tokenGood() {
		return errStale
	}
	return nil
}

// tokenGood compares the token that came with what changes something.
func (v *visit) tokenGood() bool {
	given := v.r.Header.Get("X-CSRF-Token")
	switch {
	case v.card != nil:
		given = v.card.csrf
	case given == "":
		given = v.form("csrf")
	}
	return hmac.Equal([]byte(given), []byte(v.token()))
}

// token belongs to the session: who cannot read its cookie or its pages does not
// know it.
func (v *visit) token() string {
	mac := hmac.New(sha256.New, []byte(v.word))
	mac.Write([]byte("tranzit cabinet form"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// readForm reads what was posted, save the virtual terminal's, whose card data must
// not become strings.
func (v *visit) readForm() (err error) {
	switch {
	case v.r.Method != http.MethodPost || isJSON(v.r):
		return nil
	case strings.HasSuffix(v.r.Pattern, "/terminal"):
		v.card, err = v.readCard()
		return err
	case strings.HasSuffix(v.r.Pattern, uploadPath):
		return v.readUpload()
	case strings.HasSuffix(v.r.Pattern, templatePath):
		return v.readTemplate()
	}
	if err := v.r.ParseForm(); err != nil {
		return badForm(err)
	}
	v.said = v.r.PostForm
	return nil
}

func badForm(err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "The form is too large."}
	}
	return &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: "The form cannot be read."}
}

func isJSON(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
}

func (v *visit) form(name string) string { return v.said.Get(name) }

func (v *visit) redirect(to string) { http.Redirect(v.w, v.r, to, http.StatusSeeOther) }

// base is where the account's pages are.
func (v *visit) base() string {
	return basePath(v.account.Merchant.ID, v.account.Live)
}

func basePath(merchant string, live bool) string {
	return "/m/" + url.PathEscape(merchant) + "/" + modeWord(live)
}

func modeWord(live bool) string {
	if live {
		return "live"
	}
	return "test"
}

// done leads to a page of the account, which says what was done.
func (v *visit) done(path, what string) error {
	v.redirect(v.base() + "/" + path + "?done=" + what)
	return nil
}

// target is the id in the path.
func (v *visit) target(prefix string) (payswitch.ID, error) {
	id, err := payswitch.ParseID(prefix, v.r.PathValue("id"))
	if err != nil {
		return id, errNoPage
	}
	return id, nil
}

// record writes down what the user does at the account.
func (v *visit) record(a *people.Act) error {
	a.Merchant, a.Live, a.Who, a.Address = v.account.Merchant.ID, v.account.Live, v.session.User.Email, v.from().Address
	return v.s.people.Record(a)
}

// refused adds to an act that it was not done, if err says so.
func (v *visit) refused(a *people.Act, err error) error {
	var no *payswitch.Refusal
	if errors.As(err, &no) {
		return errors.Join(v.s.people.Conclude(a, no.Error()), err)
	}
	return err
}

// from is where the request comes from: the connection's address or, when that is a
// proxy we trust, the last one of X-Forwarded-For that is not.
func (v *visit) from() people.Visit {
	host, _, _ := net.SplitHostPort(v.r.RemoteAddr)
	addr, _ := netip.ParseAddr(host)
	addr = addr.Unmap().WithZone("")
	hops := strings.Split(strings.Join(v.r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && v.s.trusts(addr); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = next.Unmap().WithZone("")
	}
	return people.Visit{Address: addr.String(), Agent: v.r.UserAgent()}
}

func (s *Server) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(s.o.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// The cookies.
const (
	cookieSession   = "tranzit"
	cookieHalf      = "tranzit-half"
	cookieCeremony  = "tranzit-passkey"
	cookieApplicant = "tranzit-applicant"
	cookieLanguage  = "tranzit-language"
)

// cookieName adds the prefix by which a browser holds a cookie to https, to this
// host and to all paths.
func (s *Server) cookieName(name string) string {
	if s.secure {
		return "__Host-" + name
	}
	return name
}

func (v *visit) cookie(name string) string {
	c, err := v.r.Cookie(v.s.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie gives the browser a word that lives as long as the browser runs; an
// empty one takes it away.
func (v *visit) setCookie(name, word string) {
	c := &http.Cookie{Name: v.s.cookieName(name), Value: word, Path: "/", HttpOnly: true, Secure: v.s.secure, SameSite: http.SameSiteLaxMode}
	if word == "" {
		c.MaxAge = -1
	}
	http.SetCookie(v.w, c)
}

// fail answers with what went wrong.
func (v *visit) fail(err error) {
	var no *payswitch.Refusal
	if !errors.As(err, &no) {
		v.s.log.Error("a page of the cabinet failed", "path", v.r.Pattern, "error", err)
		no = &payswitch.Refusal{Code: payswitch.CodeInternal, Detail: "Something went wrong."}
	}
	if no.RetryAfter > 0 {
		v.w.Header().Set("Retry-After", strconv.Itoa(int((no.RetryAfter+time.Second-1)/time.Second)))
	}
	v.render(statusOf(no.Code), "problem", problemPage{Text: v.problem(no), Detail: no.Detail, Code: string(no.Code)})
}

// problemPage tells of a refusal.
type problemPage struct{ Text, Detail, Code string }

// problem is a refusal in the visitor's language.
func (v *visit) problem(no *payswitch.Refusal) string {
	if no.Pointer != "" {
		if text := phrase(v.lang, "problem."+strings.TrimPrefix(no.Pointer, "/")); text != "" {
			return text
		}
	}
	if text := phrase(v.lang, "problem."+string(no.Code)); text != "" {
		return text
	}
	return phrase(v.lang, "problem.internal")
}

// again tells a refusal of what a form asks, to be shown on the form; false: err is
// another kind of error, or the form is not the place for it.
func (v *visit) again(err error) (text string, status int, ok bool) {
	var no *payswitch.Refusal
	if !errors.As(err, &no) || no.Code == payswitch.CodeInternal || no.Code == payswitch.CodeNotFound {
		return "", 0, false
	}
	if no.RetryAfter > 0 {
		v.w.Header().Set("Retry-After", strconv.Itoa(int((no.RetryAfter+time.Second-1)/time.Second)))
	}
	text = v.problem(no)
	if v.word != "" && v.lang == "en" && no.Detail != "" {
		text = no.Detail
	}
	return text, statusOf(no.Code), true
}

// statusOf maps a refusal to its HTTP status.
func statusOf(code payswitch.Code) int {
	switch code {
	case payswitch.CodeNotFound:
		return http.StatusNotFound
	case payswitch.CodeForbidden:
		return http.StatusForbidden
	case payswitch.CodeInvalidState, payswitch.CodeOrderPaid, payswitch.CodeOrderInProgress:
		return http.StatusConflict
	case payswitch.CodeOverloaded:
		return http.StatusTooManyRequests
	case payswitch.CodeBankUnavailable:
		return http.StatusServiceUnavailable
	case payswitch.CodeInternal, payswitch.CodeOutcomeUncertain:
		return http.StatusInternalServerError
	}
	return http.StatusUnprocessableEntity
}

// recover turns a panic into an answer. What was panicked with is not printed: it
// may hold a card number.
func (v *visit) recover() {
	if recover() == nil {
		return
	}
	_, file, line, _ := runtime.Caller(2)
	v.s.log.Error("a page of the cabinet panicked", "path", v.r.Pattern, "near", file+":"+strconv.Itoa(line))
	http.Error(v.w, "Something went wrong.", http.StatusInternalServerError)
}
