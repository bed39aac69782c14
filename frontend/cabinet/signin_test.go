package cabinet

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/switch/people"
)

// hotp is RFC 4226 for the tests.
func hotp(secret []byte, counter uint64) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, counter))
	sum := mac.Sum(nil)
	at := sum[19] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}

func TestSignInByPasswordAndCode(t *testing.T) {
	r := newRig(t)
	_, a := r.member("owner@shop.example", ownerOf(shopHats))
	c := r.browser()
	c.get("/").want(t, 303)
	if to := c.get("/m/mer_hats/test/payments?status=unknown").header.Get("Location"); to != "/signin?to=%2Fm%2Fmer_hats%2Ftest%2Fpayments%3Fstatus%3Dunknown" {
		t.Errorf("who is not signed in is sent to %s", to)
	}
	form := url.Values{"email": {"owner@shop.example"}, "password": {goodPassword}, "to": {"/m/mer_hats/test/payments?status=unknown"}}
	step := c.post("/signin", form).want(t, 303)
	to := step.header.Get("Location")
	c.get(to).want(t, 200, "Second step")
	c.get("/profile").want(t, 303)
	c.post("/signin/second", url.Values{"code": {"000000"}}).want(t, 403, "That code is wrong")
	in := c.post("/signin/second", url.Values{"code": {codeOf(t, a, time.Now())}, "to": form["to"]}).want(t, 303)
	if in.header.Get("Location") != form.Get("to") {
		t.Errorf("leads to %s", in.header.Get("Location"))
	}
	for _, cookie := range in.header.Values("Set-Cookie") {
		if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") || !strings.Contains(cookie, "Path=/") {
			t.Errorf("cookie %s", cookie)
		}
	}
	c.get(form.Get("to")).want(t, 200, "Payments", "HATS")
	c.learn()
	c.post("/signout", nil).want(t, 303)
	c.get("/profile").want(t, 303)
}

func TestStrangersLearnNothing(t *testing.T) {
	r := newRig(t)
	r.member("owner@shop.example", ownerOf(shopHats))
	var bodies []string
	for _, email := range []string{"owner@shop.example", "nobody@shop.example"} {
		got := r.browser().post("/signin", url.Values{"email": {email}, "password": {"wrong wrong wrong"}}).want(t, 403, "The address or the password is wrong.")
		bodies = append(bodies, strings.ReplaceAll(got.body, email, "EMAIL"))
	}
	if bodies[0] != bodies[1] {
		t.Error("the answers to a known and to an unknown address differ")
	}
	for _, to := range []string{"https://evil.example/", "//evil.example/m/", "/m/\\evil.example", "javascript:alert(1)"} {
		page := r.browser().get("/signin?to="+url.QueryEscape(to)).want(t, 200)
		if got := formValue(t, page.body, "to"); got != "" {
			t.Errorf("after signing in one is sent to %q", got)
		}
	}
	r.browser().get("/join/NOSUCHWORD").want(t, 404)
	r.browser().post("/enter/NOSUCHWORD", nil).want(t, 404)
}

func TestTooManyTries(t *testing.T) {
	r := newRig(t)
	c := r.browser()
	last := 0
	for range 40 {
		got := c.post("/signin", url.Values{"email": {"owner@shop.example"}, "password": {"wrong wrong wrong"}})
		if last = got.status; last == http.StatusTooManyRequests {
			if got.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			return
		}
	}
	t.Errorf("the fortieth try is answered %d", last)
}

func TestJoin(t *testing.T) {
	r := newRig(t)
	owner, _ := r.member("owner@shop.example", ownerOf(shopHats))
	link := r.enter(owner).post("/m/mer_hats/test/users", url.Values{"email": {"new@shop.example"}, "role": {"viewer"}}).want(t, 200, "/join/")
	_, word, _ := strings.Cut(link.body, "/join/")
	word, _, _ = strings.Cut(word, "<")
	c := r.browser()
	page := c.get("/join/"+word).want(t, 200, "new@shop.example", "<svg class=\"qr\"")
	_, secret, _ := strings.Cut(page.body, `id="secret">`)
	secret, _, _ = strings.Cut(secret, "<")
	form := url.Values{"name": {"New One"}, "password": {goodPassword}, "again": {goodPassword + "x"}, "code": {codeOf(t, people.Authenticator{Secret: secret}, time.Now())}}
	c.post("/join/"+word, form).want(t, 422, "The two passwords differ.")
	form.Set("again", goodPassword)
	c.post("/join/"+word, form).want(t, 200, "Recovery codes")
	c.get("/m/mer_hats/test/payments").want(t, 200)
	c.get("/m/mer_hats/test/users").want(t, 403)
	c.get("/join/"+word).want(t, 404)
}

func TestSessionsAndPassword(t *testing.T) {
	r := newRig(t)
	u, a := r.member("owner@shop.example", ownerOf(shopHats))
	here, there := r.enter(u), r.enter(u)
	page := here.get("/profile").want(t, 200, "Where you are signed in")
	name := formValue(t, page.body, "session")
	here.post("/profile/sessions/end", url.Values{"session": {name}}).want(t, 303)
	there.get("/profile").want(t, 303)
	here.post("/profile/recovery", url.Values{"code": {"123"}}).want(t, 403)
	here.post("/profile/recovery", url.Values{"code": {codeOf(t, a, time.Now())}}).want(t, 200, "Recovery codes")
	here.post("/profile", url.Values{"name": {"Ann Owner"}, "language": {"es"}}).want(t, 303)
	here.get("/profile").want(t, 200, "Su perfil", "Ann Owner")
	here.post("/profile/password", url.Values{"old": {"wrong"}, "password": {"another calm river"}, "again": {"another calm river"}}).want(t, 422)
	here.post("/profile/password", url.Values{"old": {goodPassword}, "password": {"another calm river"}, "again": {"another calm river"}}).want(t, 303)
	here.get("/profile").want(t, 303)
	r.browser().post("/signin", url.Values{"email": {u.Email}, "password": {"another calm river"}}).want(t, 303)

	here, there = r.enter(u), r.enter(u)
	here.post("/profile/sessions/everywhere", nil).want(t, 303)
	here.get("/profile").want(t, 303)
	there.get("/profile").want(t, 303)
}
