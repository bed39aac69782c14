package cabinet

import (
	"html"
	"net/url"
	"strings"
	"testing"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// TestHooks: an endpoint is added, tested, changed, given another secret and removed;
// its secret is shown when it is made and never again, and each act is written down.
func TestHooks(t *testing.T) {
	r := newRig(t)
	said := payswitch.Attempt{Code: 500}
	r.server.o.TestEndpoint = func(*payswitch.Endpoint) (payswitch.Attempt, error) { return said, nil }
	u, _ := r.member("dev@shop.example", people.Grant{Merchant: shopHats, Role: people.RoleDeveloper})
	c, at := r.enter(u), hatsTest+"/webhooks"
	all := url.Values{"url": {"https://shop.example/hooks"}, "types": {"*"}}
	c.post(at, url.Values{"url": {"http://shop.example/hooks"}, "types": {"*"}}).want(t, 422, "must begin with https://", `value="http://shop.example/hooks"`)
	c.post(at, url.Values{"url": {"https://shop.example/hooks"}}).want(t, 422)
	secretOf := func(p page) string {
		_, rest, _ := strings.Cut(p.want(t, 200).body, `class="secret">`)
		secret, _, _ := strings.Cut(rest, "<")
		return html.UnescapeString(secret)
	}
	list := func() []*payswitch.Endpoint { return r.sw.Outbox().EndpointsOf(r.account(shopHats)) }
	first := secretOf(c.post(at, all))
	if e := list(); len(e) != 1 || first == "" || e[0].Secrets[0].Secret != first {
		t.Fatalf("%d endpoints, the page shows %q", len(e), first)
	}
	if page := c.get(at).want(t, 200, "https://shop.example/hooks"); strings.Contains(page.body, first) {
		t.Error("the secret is shown again")
	}
	to := at + "/" + list()[0].ID.Text(payswitch.EndpointPrefix)
	c.post(to+"/test", nil).want(t, 200, "did not take the test message", "HTTP 500")
	said = payswitch.Attempt{Code: 204, Done: true}
	c.post(to+"/test", nil).want(t, 200, "took the test message")
	c.post(to, url.Values{"url": {"https://shop.example/new"}, "types": {"refund.*", "payment.captured"}}).want(t, 303)
	if e := list()[0]; e.URL != "https://shop.example/new" || e.Enabled || len(e.Types) != 2 {
		t.Errorf("the endpoint is %+v", e)
	}
	c.get(at).want(t, 200, `value="payment.captured" checked`, "by you")
	second := secretOf(c.post(to+"/roll", nil))
	if e := list()[0]; second == first || e.Secrets[0].Secret != second || e.Secrets[1].Secret != first || time.Until(e.Secrets[1].ExpiresAt) < time.Hour {
		t.Errorf("the secrets are %+v", e.Secrets)
	}
	c.post(to+"/delete", nil).want(t, 422)
	c.post(to+"/delete", url.Values{"sure": {"1"}}).want(t, 303)
	if len(list()) != 0 {
		t.Error("the endpoint is still there")
	}
	acts, err := r.people.Acts(people.ActQuery{Merchant: shopHats, Limit: 50, Text: "webhook_"})
	r.must(err)
	if len(acts.Acts) != 9 {
		t.Errorf("%d acts", len(acts.Acts))
	}
	// That of another shop cannot be reached.
	foreign := "https://socks.example/hooks"
	e, err := r.sw.Outbox().MakeEndpoint(r.account(shopSocks), &payswitch.EndpointWish{URL: &foreign})
	r.must(err)
	for _, act := range []string{"", "/roll", "/test", "/delete"} {
		c.post(at+"/"+e.ID.Text(payswitch.EndpointPrefix)+act, url.Values{"url": all["url"], "types": {"*"}, "sure": {"1"}}).want(t, 404)
	}
}
