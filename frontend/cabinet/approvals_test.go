package cabinet

import (
	"net/url"
	"strings"
	"sync"
	"testing"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// second is a shop with a limit of 600.00, two who may refund, and one who may not.
type second struct {
	*rig
	asker, other, looker *client
}

func newSecond(t *testing.T) *second {
	r := newRig(t)
	_, err := r.people.SetRefundLimit(shopHats, false, "RUB", 60_000)
	r.must(err)
	a, _ := r.member("asks@shop.example", ownerOf(shopHats))
	b, _ := r.member("decides@shop.example", people.Grant{Merchant: shopHats, Role: people.RoleSupport})
	c, _ := r.member("looks@shop.example", people.Grant{Merchant: shopHats, Role: people.RoleViewer})
	return &second{r, r.enter(a), r.enter(b), r.enter(c)}
}

// refund sends the form of a refund, under a key of its own.
func (r *second) refund(c *client, p payswitch.Payment, amount string) page {
	r.t.Helper()
	return c.post(hatsTest+"/payments/"+p.Name()+"/refund", url.Values{"key": {newKey()}, "amount": {amount}})
}

func (r *second) given(p payswitch.Payment) int64 {
	r.t.Helper()
	now, err := r.sw.Payment(r.account(shopHats), payswitch.PurposePayment, p.ID)
	r.must(err)
	return now.AmountRefunded
}

// ask gives the address of the one wish that waits.
func (r *second) ask() string {
	r.t.Helper()
	asks, err := r.people.RefundAsks(shopHats, false, 10)
	r.must(err)
	if len(asks) == 0 {
		r.t.Fatal("nothing is asked for")
	}
	return hatsTest + "/approvals/" + asks[0].ID.Text(people.RefundPrefix)
}

// TestRefundByTwo: below the limit one person refunds alone, above it another has to
// approve; in parts it is the same, and money moves once.
func TestRefundByTwo(t *testing.T) {
	r := newSecond(t)
	p := r.pay(wish{shopHats, goodCard, "A-1", 100_000, false})
	r.refund(r.asker, p, "500.00").want(t, 303)
	if got := r.given(p); got != 50_000 {
		t.Fatalf("%d is given back", got)
	}
	form := url.Values{"key": {newKey()}, "amount": {"200.00"}, "reason": {"broken"}}
	for range 2 { // pressed twice
		to := r.asker.post(hatsTest+"/payments/"+p.Name()+"/refund", form).want(t, 303).header.Get("Location")
		if to != hatsTest+"/approvals?done=refund_asked" {
			t.Errorf("a refund above the limit leads to %s", to)
		}
	}
	if asks, err := r.people.RefundAsks(shopHats, false, 10); err != nil || len(asks) != 1 || r.given(p) != 50_000 {
		t.Fatalf("asked for %+v, %v; %d is given back", asks, err, r.given(p))
	}
	approve := func() url.Values { return url.Values{"approve": {"1"}} }
	if page := r.asker.get(hatsTest+"/approvals").want(t, 200, "broken", "asks@shop.example"); strings.Contains(page.body, `name="approve" value="1"`) {
		t.Error("who asked is offered to approve")
	}
	r.asker.post(r.ask(), approve()).want(t, 403, "another person has to approve")
	r.looker.post(r.ask(), approve()).want(t, 403)
	r.other.get(hatsTest+"/approvals").want(t, 200, `name="approve" value="1"`)
	r.other.post(r.ask(), approve()).want(t, 303)
	r.other.post(r.ask(), approve()).want(t, 409)
	if got := r.given(p); got != 70_000 {
		t.Errorf("%d is given back, want 700.00", got)
	}
	r.other.get(hatsTest+"/payments/"+p.Name()).want(t, 200, "approved a refund", "asked for a refund above the limit")
	r.refund(r.other, p, "1.00").want(t, 303)
	r.other.post(r.ask(), url.Values{"approve": {"0"}}).want(t, 303) // who asked takes it back
	r.asker.post(r.ask(), approve()).want(t, 409)
	if got := r.given(p); got != 70_000 {
		t.Errorf("%d is given back after one was taken back", got)
	}
}

// TestNoWayAroundTheLimit: neither a cancellation, nor a batch, nor two forms at once
// give more back than one person may.
func TestNoWayAroundTheLimit(t *testing.T) {
	r := newSecond(t)
	p := r.pay(wish{shopHats, goodCard, "A-1", 100_000, false})
	r.asker.post(hatsTest+"/payments/"+p.Name()+"/cancel", url.Values{"key": {newKey()}}).want(t, 403, "two persons")
	for _, kind := range []string{"refund", "cancel"} {
		r.asker.post(hatsTest+"/batches", url.Values{"kind": {kind}, "payment": {p.Name()}, "key": {newKey()}}).want(t, 422, "two persons")
	}
	var both sync.WaitGroup
	for range 4 {
		both.Go(func() { r.refund(r.asker, p, "400.00") })
	}
	both.Wait()
	if got := r.given(p); got != 40_000 {
		t.Errorf("forms at once give %d back", got)
	}
	small := r.pay(wish{shopHats, goodCard, "A-2", 50_000, false})
	r.asker.post(hatsTest+"/payments/"+small.Name()+"/cancel", url.Values{"key": {newKey()}}).want(t, 303)
	held := r.pay(wish{shopHats, goodCard, "A-3", 100_000, true})
	r.asker.post(hatsTest+"/payments/"+held.Name()+"/cancel", url.Values{"key": {newKey()}}).want(t, 303)
}

// TestApprovedAcrossACrash: a wish that was approved when the process died is done by
// pressing again, once.
func TestApprovedAcrossACrash(t *testing.T) {
	r := newSecond(t)
	p := r.pay(wish{shopHats, goodCard, "A-1", 100_000, false})
	r.refund(r.asker, p, "").want(t, 303)
	asks, err := r.people.RefundAsks(shopHats, false, 10)
	r.must(err)
	u, err := r.people.Find("decides@shop.example")
	r.must(err)
	_, err = r.people.DecideRefund(shopHats, false, people.Decision{Ask: asks[0].ID, By: &u, Approve: true}) // and nothing more
	r.must(err)
	r.other.get(hatsTest+"/approvals").want(t, 200, `name="approve" value="1"`)
	r.asker.post(r.ask(), url.Values{"approve": {"1"}}).want(t, 403)
	r.other.post(r.ask(), url.Values{"approve": {"1"}}).want(t, 303)
	r.other.post(r.ask(), url.Values{"approve": {"1"}}).want(t, 409)
	if got := r.given(p); got != 100_000 {
		t.Errorf("%d is given back", got)
	}
}
