package cabinet

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// TestForeignUser lets the owner of one shop, and others without the right, try
// every page and every act of another.
func TestForeignUser(t *testing.T) {
	r := newRig(t)
	paid := r.pay(wish{shopHats, goodCard, "A-1", 129900, false})
	hats, _ := r.member("hats@shop.example", ownerOf(shopHats))
	socks, _ := r.member("socks@shop.example", ownerOf(shopSocks))
	viewer, _ := r.member("viewer@shop.example", people.Grant{Merchant: shopHats, Role: people.RoleViewer})
	owner, foreign, looker, nobody := r.enter(hats), r.enter(socks), r.enter(viewer), r.browser()
	id := paid.ID.Text(payswitch.PaymentPrefix)
	form := func() url.Values {
		return url.Values{"payment": {id}, "kind": {"refund"}, "key": {newKey()}, "amount": {"1"}, "email": {"x@shop.example"}, "role": {"owner"},
			"name": {"x"}, "all": {"1"}, "subject": {"x"}, "text": {"x"}}
	}
	for _, route := range accountRoutes() {
		at := "/" + strings.Replace(route.path, "{id}", id, 1)
		name := route.method + at
		send := func(c *client, base string) page {
			if route.method == "GET" {
				return c.get(base + at)
			}
			return c.post(base+at, form())
		}
		if got := send(foreign, "/m/mer_hats/test"); got.status != http.StatusNotFound || strings.Contains(got.body, "HATS") {
			t.Errorf("%s answers %d to another shop's owner", name, got.status)
		}
		if got := send(owner, "/m/mer_hats/live"); got.status != http.StatusNotFound {
			t.Errorf("%s answers %d in a mode the owner has no right in", name, got.status)
		}
		if got := send(foreign, "/m/mer_none/test"); got.status != http.StatusNotFound {
			t.Errorf("%s answers %d of a shop that is not there", name, got.status)
		}
		// The other shop's payment under the own shop's address.
		if got := send(foreign, "/m/mer_socks/test"); strings.Contains(route.path, "{id}") && got.status < 300 || strings.Contains(got.body, "A-1") {
			t.Errorf("%s answers %d under the wrong shop", name, got.status)
		}
		if got := send(nobody, "/m/mer_hats/test"); got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), "/signin") {
			t.Errorf("%s answers %d to nobody", name, got.status)
		}
		if got := send(looker, "/m/mer_hats/test"); route.needs != people.RightPayments && got.status != http.StatusForbidden {
			t.Errorf("%s answers %d to a viewer", name, got.status)
		}
		if route.method != "GET" {
			if got := owner.post("/m/mer_hats/test"+at, url.Values{"csrf": {"wrong"}}); got.status != http.StatusForbidden {
				t.Errorf("%s answers %d to a form with another token", name, got.status)
			}
			if got := owner.do("POST", "/m/mer_hats/test"+at, form(), "Origin", "https://evil.example"); got.status != http.StatusForbidden {
				t.Errorf("%s answers %d to a form of another site", name, got.status)
			}
		}
	}
	p, err := r.sw.Payment(r.account(shopHats), payswitch.PurposePayment, paid.ID)
	r.must(err)
	if p.Status != payswitch.StatusCaptured || len(r.sw.APIKeys(r.account(shopHats))) != 0 {
		t.Errorf("something was done: %s", p.Status)
	}
	if users, _ := r.people.UsersOf(shopHats); len(users) != 2 {
		t.Errorf("%d users", len(users))
	}
}

func TestHeaders(t *testing.T) {
	r := newRig(t)
	want := map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		"Cross-Origin-Opener-Policy": "same-origin"}
	for _, path := range []string{"/signin", "/nothing", "/m/mer_hats/test/payments"} {
		got := r.browser().get(path)
		for name, value := range want {
			if got.header.Get(name) != value {
				t.Errorf("%s: %s is %q", path, name, got.header.Get(name))
			}
		}
		policy := got.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy %q lacks %s", path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
	}
	if got := r.browser().get(staticAddress("cabinet.css")); got.status != 200 || !strings.Contains(got.header.Get("Cache-Control"), "immutable") {
		t.Errorf("the sheet: %d %s", got.status, got.header.Get("Cache-Control"))
	}
	r.browser().post("/signin", url.Values{"password": {strings.Repeat("x", maxBody)}}).want(t, 422)
}

// TestNothingFromOutside: pages name no other host, and nothing inline that the
// policy forbids.
func TestNothingFromOutside(t *testing.T) {
	bad := regexp.MustCompile(`(?i)https?://|\sstyle=|<style|\son[a-z]+=|<script[^>]*>[^<]`)
	for _, dir := range []struct {
		files fs.FS
		glob  string
	}{{pageFiles, "pages/*"}, {staticFiles, "static/*.css"}, {staticFiles, "static/*.js"}} {
		names, err := fs.Glob(dir.files, dir.glob)
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		for _, name := range names {
			text, _ := fs.ReadFile(dir.files, name)
			if found := bad.Find(text); found != nil {
				t.Errorf("%s holds %q", name, found)
			}
		}
	}
}

// TestCardNumbersStayNowhere: the virtual terminal's card is in no page, log line or
// byte on the disk.
func TestCardNumbersStayNowhere(t *testing.T) {
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	c := r.enter(u)
	key := formValue(t, c.get("/m/mer_hats/test/terminal").want(t, 200).body, "key")
	form := url.Values{"key": {key}, "amount": {"1 299,00"}, "currency": {"RUB"}, "order": {"PHONE-1"}, "number": {"4111 1111 1111 1111"}, "month": {"12"}, "year": {"30"}, "code": {"737"}}
	bad := url.Values{}
	for name, value := range form {
		bad[name] = value
	}
	bad.Set("amount", "much")
	page := c.post("/m/mer_hats/test/terminal", bad).want(t, 422, "The amount cannot be read")
	done := c.post("/m/mer_hats/test/terminal", form).want(t, 303)
	again := c.post("/m/mer_hats/test/terminal", form).want(t, 303)
	if again.header.Get("Location") != done.header.Get("Location") {
		t.Error("a second press of the button is a second payment")
	}
	to, _, _ := strings.Cut(done.header.Get("Location"), "?")
	story := c.get(to).want(t, 200, "PHONE-1", "1,299.00", "Captured", "payment by hand")
	list, err := r.sw.List(r.account(shopHats), payswitch.ListQuery{Limit: 10})
	r.must(err)
	if len(list.Payments) != 1 {
		t.Fatalf("%d payments", len(list.Payments))
	}
	places := map[string]string{"the form that came back": page.body, "the story": story.body, "the log": r.log.String()}
	for name, text := range places {
		if strings.Contains(text, goodCard) || strings.Contains(text, "4111 1111 1111 1111") || strings.Contains(text, "value=\"737\"") {
			t.Errorf("%s holds the card", name)
		}
	}
	acts, err := r.people.Acts(people.ActQuery{Merchant: shopHats, Limit: 10, Text: "terminal"})
	r.must(err)
	if len(acts.Acts) != 1 || acts.Acts[0].Who != u.Email {
		t.Errorf("the audit tells %+v", acts.Acts)
	}
	noBytesOnDisk(t, r, []byte(goodCard))
}

func noBytesOnDisk(t *testing.T, r *rig, secret []byte) {
	t.Helper()
	files := r.disk.Files()
	if len(files) == 0 {
		t.Fatal("the disk holds nothing")
	}
	for _, name := range files {
		if bytes.Contains(r.disk.ReadFile(name), secret) {
			t.Errorf("%s holds the card number", name)
		}
	}
}

// TestTerminalReader takes forms apart as net/url does.
func TestTerminalReader(t *testing.T) {
	for _, text := range []string{"", "a+b", "%41%2d%zz%", "100%25", "%D0%9F%D1%80", "4111+1111-1111%201111"} {
		want, err := url.QueryUnescape(text)
		if err != nil {
			continue
		}
		if got := string(unescape([]byte(text))); got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}
