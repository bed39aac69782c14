package cabinet

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// operator makes somebody of the house, signed in.
func (r *rig) operator(email string) *client {
	r.t.Helper()
	u, _, err := r.people.InviteOperator(email, "root")
	r.must(err)
	_, err = r.people.Settle(u.ID, "", goodPassword)
	r.must(err)
	return r.enter(u)
}

// TestOperatorsAlone: nobody of a shop sees or does what is the house's, and an
// operator is nobody at a shop.
func TestOperatorsAlone(t *testing.T) {
	r := newRig(t)
	office := r.office()
	merchant := joinedShop(t, r, office)
	list, _ := office.List("", payswitch.ID{}, 10)
	at := "/operator/applications/" + list[0].Name()
	joiner, _ := r.member("pay@hats.example", people.Grant{Merchant: merchant, Role: people.RoleOwner})
	other, _ := r.member("owner@shop.example", ownerOf(shopHats))
	ann := r.operator("ann@house.example")
	for _, c := range []*client{r.enter(joiner), r.enter(other)} {
		for _, route := range operatorRoutes() {
			path := strings.NewReplacer("{app}", list[0].Name(), "{id}", "x").Replace("/operator" + route.path)
			if route.method == "GET" {
				c.get(path).want(t, 404)
			} else {
				c.post(path, url.Values{"type": {"reject"}, "reason": {"x"}}).want(t, 404)
			}
		}
	}
	r.browser().get("/operator").want(t, 303)
	ann.get("/").want(t, 303)
	ann.get("/operator").want(t, 200, "Hats Ltd", "Choose banks")
	ann.get("/operator?stage=live").want(t, 200, "No applications here.")
	ann.get(at).want(t, 200, "Hats Ltd", "pay@hats.example", "Extend test mode")
	ann.get(basePath(merchant, false)+"/payments").want(t, 404)
	ann.post(at, url.Values{"type": {"extend_test"}, "hours": {"48"}}).want(t, 422)
	ann.post(at, url.Values{"type": {"extend_test"}, "hours": {"48"}, "reason": {"asked by telephone"}, "csrf": {"wrong"}}).want(t, 403)
	ann.post(at, url.Values{"type": {"extend_test"}, "hours": {"48"}, "reason": {"asked by telephone"}}).want(t, 303)
	ann.post(at, url.Values{"type": {"withdraw"}, "reason": {"x"}}).want(t, 422)
	ann.get(at+"?done=saved").want(t, 200, "asked by telephone", "ann@house.example", "Saved.")
	// The shop reads that it was done, and not by whom.
	if page := r.enter(joiner).get(basePath(merchant, false)+"/joining").want(t, 200, "test mode extended"); strings.Contains(page.body, "ann@house") {
		t.Error("the shop reads which operator acted")
	}
	// No owner makes an operator, or takes one over.
	c := r.enter(joiner)
	c.post(basePath(merchant, false)+"/users", url.Values{"email": {"x@hats.example"}, "role": {"operator"}}).want(t, 422)
	c.post(basePath(merchant, false)+"/users", url.Values{"email": {"ann@house.example"}, "role": {"viewer"}}).want(t, 403)
	if _, err := r.people.DropOperator("ann@house.example"); err != nil {
		t.Fatal(err)
	}
	ann.get("/operator").want(t, 303)
}

// TestJoinAtBank walks both sides' pages from the choice of a bank to live, with the
// documents of the shop, and the rule of two persons.
func TestJoinAtBank(t *testing.T) {
	r := newRigWith(t, func(o *payswitch.Options) { o.Banks = append(o.Banks, liveBank(t, o.Banks[0])) })
	office := r.office()
	merchant := joinedShop(t, r, office)
	list, _ := office.List("", payswitch.ID{}, 10)
	u, _ := r.member("pay@hats.example", people.Grant{Merchant: merchant, Role: people.RoleOwner})
	dev, _ := r.member("dev@hats.example", people.Grant{Merchant: merchant, Role: people.RoleDeveloper})
	y := &bankWay{t: t, r: r, to: "/operator/applications/" + list[0].Name(), base: basePath(merchant, false), c: r.enter(u), dev: r.enter(dev), ann: r.operator("ann@house.example")}
	c, ann, base := y.c, y.ann, y.base
	c.get(base+"/joining").want(t, 200, "Mira Bank", "5 working days", "The charter", "2.1 %", "Signed on paper.")
	c.post(base+"/joining", url.Values{"type": {"choose_banks"}}).want(t, 422)
	c.post(base+"/joining", url.Values{"type": {"choose_banks"}, "bank": {"mira"}}).want(t, 303)
	y.dev.post(base+"/joining", url.Values{"type": {"withdraw"}, "sure": {"1"}}).want(t, 403)
	y.documents()
	y.act(ann, 409, url.Values{"type": {"countersign"}, "contract": {"17"}})
	c.get(base+"/joining").want(t, 200, "Signed on paper.", "Accept the contract")
	c.post(base+"/joining", url.Values{"type": {"accept_contract"}, "bank": {"mira"}, "signer": {"A Person"}}).want(t, 303)
	y.act(ann, 303, url.Values{"type": {"countersign"}, "contract": {"17/2026"}})
	y.act(ann, 303, url.Values{"type": {"provision"}, "merchant_id": {"MIRA-17"}, "terminals": {"TERM0001, TERM0002"}})
	y.act(ann, 303, url.Values{"type": {"test_connection"}})
	y.act(ann, 409, url.Values{"type": {"request_live"}})
	y.checks(merchant)
	y.act(ann, 303, url.Values{"type": {"request_live"}})
	y.act(ann, 409, url.Values{"type": {"approve_live"}}, "ann@house.example asked for it: another person has to approve.")
	c.get(base+"/joining").want(t, 200, "A second person looks at it.")
	y.dev.post(base+"/joining/live", nil).want(t, 403)
	c.post(base+"/joining/live", nil).want(t, 404)
	y.act(r.operator("bob@house.example"), 303, url.Values{"type": {"approve_live"}})
	c.get(base+"/joining").want(t, 200, "Open the live cabinet")
	second, _ := r.member("two@hats.example", people.Grant{Merchant: merchant, Role: people.RoleOwner})
	r.enter(second).post(base+"/joining/live", nil).want(t, 404)
	c.post(base+"/joining/live", nil).want(t, 303)
	live := basePath(merchant, true)
	c.get(live+"/joining").want(t, 200, "New live key")
	c.post(live+"/joining", url.Values{"type": {"new_key"}}).want(t, 200, "Copy the secret now")
	a, err := office.Application(list[0].ID)
	r.must(err)
	if a.Stage() != joining.StageLive {
		t.Errorf("the application is %s", a.Stage())
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "multipart-*")); len(left) > 0 {
		t.Errorf("documents are left in %v", left)
	}
	if acts, err := r.people.Acts(people.ActQuery{Merchant: merchant, Limit: 100, Text: "bob@house.example"}); err != nil || len(acts.Acts) != 1 || !acts.Acts[0].Operator {
		t.Errorf("the audit of the shop tells %+v of the second person, %v", acts.Acts, err)
	}
}

// bankWay is the way of one application to one bank.
type bankWay struct {
	t           *testing.T
	r           *rig
	to, base    string // of the operators' page and of the shop's
	c, dev, ann *client
}

// act sends what an operator asks about the bank.
func (y *bankWay) act(c *client, status int, form url.Values, holds ...string) {
	y.t.Helper()
	form.Set("reason", "as agreed")
	form.Set("bank", "mira")
	c.post(y.to, form).want(y.t, status, holds...)
}

func (y *bankWay) upload(c *client, content []byte) page {
	y.t.Helper()
	return c.sendFile(y.base+"/joining/upload", map[string]string{"csrf": c.csrf, "bank": "mira", "item": "charter"}, `C:\my\charter.pdf`, content)
}

// documents gives one, has it returned, gives another and has that accepted.
func (y *bankWay) documents() {
	t, ann := y.t, y.ann
	t.Helper()
	pdf := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("x"), 200_000)...)
	y.upload(y.c, []byte("<script>alert(1)</script>")).want(t, 422, "A document is a PDF, PNG or JPEG file")
	y.upload(y.c, append(pdf, bytes.Repeat([]byte("x"), 2<<20)...)).want(t, 422)
	y.upload(y.r.browser(), pdf).want(t, 303)
	y.upload(y.dev, pdf).want(t, 403)
	y.upload(y.c, pdf).want(t, 303)
	page := ann.get(y.to).want(t, 200, "charter.pdf", "given")
	_, rest, _ := strings.Cut(page.body, y.to+"/documents/")
	sha, _, _ := strings.Cut(rest, `"`)
	got := ann.get(y.to+"/documents/"+sha).want(t, 200)
	if got.body != string(pdf) || got.header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the document comes back as %d bytes of %s, %s", len(got.body), got.header.Get("Content-Type"), got.header.Get("Content-Disposition"))
	}
	y.c.get(y.base+"/joining/documents/"+sha).want(t, 200)
	y.dev.get(y.base+"/joining/documents/"+sha).want(t, 403)
	y.act(ann, 303, url.Values{"type": {"set_item"}, "item": {"charter"}, "status": {"returned"}})
	y.upload(y.c, append(pdf, 'y')).want(t, 303)
	y.act(ann, 303, url.Values{"type": {"set_item"}, "item": {"charter"}, "status": {"accepted"}})
}

// checks passes those of the webhook and of a refund; that of the page is waived.
func (y *bankWay) checks(merchant string) {
	t, r, c, base := y.t, y.r, y.c, y.base
	t.Helper()
	hook := "https://shop.example/hooks"
	_, err := r.sw.Outbox().MakeEndpoint(r.account(merchant), &payswitch.EndpointWish{URL: &hook})
	r.must(err)
	c.post(base+"/joining", url.Values{"type": {"check"}, "check": {"webhook"}}).want(t, 303)
	c.get(base+"/joining").want(t, 200, "1 endpoints took what was signed", "Make a payment in test mode and refund it")
	paid := r.pay(wish{merchant, goodCard, "T-1", 1000, false})
	question := c.get(base+"/payments/"+paid.Name()+"/refund").want(t, 200)
	c.post(base+"/payments/"+paid.Name()+"/refund", url.Values{"key": {formValue(t, question.body, "key")}, "amount": {"10.00"}}).want(t, 303)
	c.post(base+"/joining", url.Values{"type": {"check"}, "check": {"refund"}}).want(t, 303)
	y.act(y.ann, 303, url.Values{"type": {"waive_check"}, "check": {"page"}})
}
