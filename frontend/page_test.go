package frontend

import (
	"net/url"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/frontend/page"
)

// TestPageFormIsForOne: a form is of one browser, one session and one attempt.
func TestPageFormIsForOne(t *testing.T) {
	s, _ := pageShop(t)
	path := strings.TrimPrefix(s.session("one", ""), "http://"+s.addr)
	b, other := &buyer{s: s}, &buyer{s: s}
	declined := b.form(path, "4000000000009995")
	if r := other.ask("POST", path, declined); r.status != 409 {
		t.Errorf("without a cookie: %d", r.status)
	}
	other.ask("GET", path, nil)
	if r := other.ask("POST", path, declined); r.status != 409 || !strings.Contains(r.body, "This form was too old") {
		t.Errorf("the form of another browser: %d", r.status)
	}
	elsewhere := strings.TrimPrefix(s.session("elsewhere", ""), "http://"+s.addr)
	if r := b.ask("POST", elsewhere, declined); r.status != 409 {
		t.Errorf("the form of another session: %d", r.status)
	}
	for range 2 {
		if r := b.ask("POST", path, declined); r.status != 303 {
			t.Errorf("the form: %d", r.status)
		}
	}
	late := url.Values{}
	for k, v := range declined {
		late[k] = v
	}
	late.Set("number", "4111111111111111")
	if r := b.ask("POST", path, late); r.status != 303 {
		t.Errorf("another card by the old form: %d", r.status)
	}
	r := s.do("GET", "/v1/checkout_sessions/"+strings.TrimPrefix(path, "/pay/"), "")
	if member[float64](t, r.body, "attempts") != 1 || member[string](t, r.body, "status") != "open" {
		t.Errorf("one form is one payment: %s", r.body)
	}
}

// TestPageGuard: who sends too many cards from one address has to wait.
func TestPageGuard(t *testing.T) {
	s := openShop(t, func(o *Options) {
		var err error
		o.Page, err = page.New(page.Options{Switch: o.Switch, Now: o.Now, SubmitsPerMinute: 2})
		must(t, err)
	})
	made := s.want("201", "POST /v1/checkout_sessions", sessionBody, "Idempotency-Key", "one")
	b := &buyer{s: s}
	for _, want := range []int{303, 422, 429} {
		form := b.form(pathOf(t, made), "4000000000000002")
		if want == 422 {
			form.Set("number", "4111111111111112")
		}
		r := b.ask("POST", pathOf(t, made), form)
		if r.status != want || (r.header.Get("Retry-After") != "") != (want == 429) {
			t.Errorf("%d %v, want %d", r.status, r.header, want)
		}
		if want == 422 && strings.Contains(r.body, "4111111111111112") {
			t.Error("the number is shown again")
		}
	}
}

// TestPageHeaders: nothing foreign may run, look in, or be sent to.
func TestPageHeaders(t *testing.T) {
	s, _ := pageShop(t)
	path := strings.TrimPrefix(s.session("headers", ""), "http://"+s.addr)
	r := (&buyer{s: s}).ask("GET", path, nil)
	for name, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8", "Cross-Origin-Opener-Policy": "same-origin"} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	policy := r.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'", "script-src 'sha256-", "style-src 'sha256-"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
	if cookie := r.header.Get("Set-Cookie"); !strings.Contains(cookie, "HttpOnly; SameSite=Lax") {
		t.Errorf("the cookie is %q", cookie)
	}
	if r := (&buyer{s: s}).ask("GET", "/pay/nonsense", nil); r.status != 404 || !strings.Contains(r.body, "There is no such payment page") {
		t.Errorf("no session: %d %s", r.status, r.body)
	}
}

// TestAPIAsksThePayer: a payment by the API waits for its payer with nothing sent, and
// goes on once they have confirmed it.
func TestAPIAsksThePayer(t *testing.T) {
	s, bench := pageShop(t)
	before := bench.host.Books().Len()
	body := strings.Replace(with("4111111111111111", "4000000001250002"), "{", `{"three_ds":{"authenticate":true,"return_url":"https://shop.example/back"},`, 1)
	made := s.pay("asked", body)
	if made.status != 201 || member[string](t, made.body, "status") != "requires_action" || bench.host.Books().Len() != before {
		t.Fatalf("%d %s", made.status, made.body)
	}
	if again := s.pay("asked", body); again.body != made.body {
		t.Errorf("the repeat is %s", again.body)
	}
	address := member[map[string]any](t, made.body, "next_action")["redirect_url"].(string)
	_, path, _ := strings.Cut(address, s.addr)
	b := &buyer{s: s}
	if r := b.ask("GET", path, nil); r.status != 200 || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the challenge: %d %v", r.status, r.header)
	}
	if r := b.ask("POST", path, url.Values{"act": {"confirm"}, "code": {"1234"}}); r.status != 200 || !strings.Contains(r.body, "https://shop.example/back") {
		t.Errorf("the code: %d %s", r.status, r.body)
	}
	r := s.do("GET", "/v1/payments/"+idOf(t, made), "")
	if member[string](t, r.body, "status") != "captured" || !strings.Contains(r.body, `"next_action":null`) || !strings.Contains(r.body, `"eci":"05"`) {
		t.Errorf("afterwards: %s", r.body)
	}
	if r := b.ask("POST", path, url.Values{"act": {"confirm"}, "code": {"1234"}}); r.status != 404 {
		t.Errorf("the challenge, twice: %d", r.status)
	}
	for _, want := range []string{"challenged", "authenticated", "approved"} {
		if story := s.do("GET", "/v1/payments/"+idOf(t, made)+"/timeline", ""); !strings.Contains(story.body, `"type":"`+want+`"`) {
			t.Errorf("the timeline lacks %s: %s", want, story.body)
		}
	}
	s.pay("bad", strings.Replace(body, "https://shop.example/back", "javascript:1", 1)).wantProblem(t, 400, "invalid_request")
}
