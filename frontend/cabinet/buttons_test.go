package cabinet

import (
	"net/url"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/frontend/browser"
	payswitch "github.com/tranzit/tranzit/switch"
)

// TestButtons makes each kind of button, twice by one form, reads its HTML, and disables
// it; the guide then holds the newest one, and a form that is signed.
func TestButtons(t *testing.T) {
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	c := r.enter(u)
	form := url.Values{"key": {newKey()}, "kind": {"fixed"}, "name": {`Hat "bowler" <b>`}, "amount": {"1 299,00"}, "quantity": {"3"}, "currency": {"rub"}, "order": {"HAT"},
		"return": {"https://shop.example/"}}
	for range 2 {
		c.post(hatsTest+"/buttons", form).want(t, 303)
	}
	all := func() []payswitch.Button {
		found, err := r.sw.Buttons(r.account(shopHats), 10, payswitch.ID{})
		r.must(err)
		return found.Buttons
	}
	if got := all(); len(got) != 1 || got[0].Amount != 129900 || got[0].MaxQuantity != 3 || got[0].Currency != "RUB" {
		t.Fatalf("made: %+v", got)
	}
	id := all()[0].ID.Text(payswitch.ButtonPrefix)
	shown := c.get(hatsTest+"/buttons").want(t, 200, "https://pay.example.com/buy/"+id, "Quantity")
	if strings.Contains(shown.body, "<b>") {
		t.Error("the name is not escaped")
	}
	for _, tt := range []struct{ field, value, says string }{{"amount", "x", "cannot be read"}, {"quantity", "x", "number of pieces"}, {"order", "4111 1111 1111 1111", "card number"},
		{"return", "javascript:alert(1)", "https://"}, {"quantity", "1001", "1000"}} {
		bad := url.Values{}
		for k, v := range form {
			bad[k] = v
		}
		bad.Set("key", newKey())
		bad.Set(tt.field, tt.value)
		if got := c.post(hatsTest+"/buttons", bad); got.status < 400 || !strings.Contains(got.body, tt.says) || !strings.Contains(got.body, "https://shop.example/") && tt.field != "return" {
			t.Errorf("%s=%s: %d", tt.field, tt.value, got.status)
		}
	}
	c.post(hatsTest+"/buttons", url.Values{"key": {newKey()}, "kind": {"choice"}, "name": {"Gift"}, "least": {"100"}, "most": {"1000"}, "currency": {"RUB"}, "order": {"GIFT"}}).want(t, 303)
	c.post(hatsTest+"/buttons", url.Values{"key": {newKey()}, "kind": {"once"}, "name": {"Invoice"}, "amount": {"5"}, "currency": {"RUB"}, "order": {"INV-1"}}).want(t, 303)
	if got := all(); len(got) != 3 || !got[0].Once || got[1].MaxAmount != 100000 {
		t.Errorf("made: %+v", got)
	}
	_, err := r.sw.IssueKey(r.account(shopHats), payswitch.Access{Name: "forms", Scopes: payswitch.ScopeCheckoutWrite, Signed: true}, payswitch.Act{Operator: "test", Reason: "test"})
	r.must(err)
	newest := all()[0].ID.Text(payswitch.ButtonPrefix)
	c.get(hatsTest+"/guide").want(t, 200, "mer_hats", "/buy/"+newest, "/buy/key_", "name=&#34;signature&#34;")
	c.post(hatsTest+"/buttons/"+newest+"/disable", nil).want(t, 303)
	c.post(hatsTest+"/buttons/btn_01kaz7q2v5e8xv9h2m3n4p5q6r/disable", nil).want(t, 404)
	if got := all()[0]; got.DisabledAt.IsZero() {
		t.Error("it is not disabled")
	}
	c.get(hatsTest+"/audit").want(t, 200, "made a button", "disabled a button")
}

// TestButtonsInBrowser looks at the pages in each language.
func TestButtonsInBrowser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	c := r.enter(u)
	c.post(hatsTest+"/buttons", url.Values{"key": {newKey()}, "kind": {"fixed"}, "name": {"Bowler hat"}, "amount": {"1299"}, "quantity": {"3"}, "currency": {"RUB"}, "order": {"HAT"}}).want(t, 303)
	b := browser.Start(t)
	for _, lang := range languages {
		word, err := r.people.EntryLink(u.ID)
		r.must(err)
		p := b.Visit(t, browser.Visitor{Language: lang})
		p.Open(r.url + "/enter/" + word)
		p.Follow("main button")
		for _, name := range []string{"buttons", "guide"} {
			p.Open(r.url + hatsTest + "/" + name + "?lang=" + lang)
			p.Accessible()
			p.Shots("cabinet-" + lang + "-" + name)
		}
		for _, complaint := range p.Complaints() {
			t.Error(complaint)
		}
	}
}
