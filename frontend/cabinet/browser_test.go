package cabinet

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/browser"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// busyShop gives a shop payments of every kind, a ticket and a key.
func (r *rig) busyShop(owner string) (paid payswitch.Payment) {
	r.t.Helper()
	for i := range 14 {
		card := goodCard
		if i%5 == 4 {
			card = badCard
		}
		p := r.pay(wish{shopHats, card, fmt.Sprintf("A-%04d", 1001+i), int64(129900 + 7311*i), i%4 == 3})
		if p.Status == payswitch.StatusCaptured {
			paid = p
		}
	}
	refunded := r.pay(wish{shopHats, goodCard, "A-0900", 45000, false})
	_, err := r.sw.Operate(r.account(shopHats), &payswitch.OperationRequest{Payment: refunded.ID, Kind: payswitch.KindRefund, IdempotencyKey: "busy", Amount: 15000, Reason: "too large"})
	r.must(err)
	t, err := r.people.OpenTicket(people.Ticket{Merchant: shopHats, Payment: paid.ID, Subject: "Payer asks where the money is"}, owner, "The bank's statement does not show it yet. Can you see what the bank said?")
	r.must(err)
	_, err = r.people.AnswerTicket(t.ID, people.Reply{By: "operator", Operator: true, Text: "The bank approved it with code 00. It appears in the statement with the next business day."})
	r.must(err)
	act := payswitch.Act{Operator: owner, Reason: "test"}
	for i, note := range []string{"autumn, with the new logo", "a footer", ""} {
		_, _, err = r.sw.AddPageTemplate(r.account(shopHats), &payswitch.PageUpload{Body: []byte("{}"), Digest: note, Note: note}, act)
		r.must(err)
		if i < 2 {
			_, err = r.sw.PublishPage(r.account(shopHats), uint32(i+1), act)
			r.must(err)
		}
	}
	hook := "https://shop.example/tranzit/hooks"
	_, err = r.sw.Outbox().MakeEndpoint(r.account(shopHats), &payswitch.EndpointWish{URL: &hook, Types: []string{"payment.*", "refund.*"}})
	r.must(err)
	_, err = r.people.SetRefundLimit(shopHats, false, "RUB", 100_000)
	r.must(err)
	for i, by := range []string{owner, "finance@shop.example"} {
		u, err := r.people.Find(by)
		r.must(err)
		_, err = r.people.AskRefund(shopHats, false, people.RefundAsk{Payment: paid.ID, Amount: paid.Amount, Currency: "RUB", Reason: "came broken", Once: fmt.Sprint(i), By: u.ID, ByEmail: by})
		r.must(err)
	}
	access := payswitch.Access{Name: "Shop server", Scopes: payswitch.ScopePaymentsRead | payswitch.ScopePaymentsWrite}
	_, err = r.sw.IssueKey(r.account(shopHats), access, act)
	r.must(err)
	return paid
}

// signInBy signs in with password and code as a person does.
func signInBy(p *browser.Page, r *rig, u people.User, a people.Authenticator) {
	p.Open(r.url + "/signin")
	p.Fill("#email", u.Email)
	p.Fill("#password", goodPassword)
	p.Follow("form:not([data-passkey]) button")
	p.Fill("#code", codeOf(r.t, a, time.Now()))
	p.Follow("form button")
}

// TestPeopleSee walks the cabinet in Chromium in every language: pages fit three
// widths, axe finds nothing, the policy is not broken.
func TestPeopleSee(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	r.member("finance@shop.example", people.Grant{Merchant: shopHats, Role: people.RoleFinance})
	paid := r.busyShop(u.Email)
	bill, _, err := r.sw.CreateCheckout(r.account(shopHats), &payswitch.CheckoutRequest{IdempotencyKey: "link", Wish: payswitch.Checkout{Amount: 129900, Currency: "RUB",
		OrderID: "A-2001", Description: "Two hats", Email: "anna@shop.example", Language: "ru"}, Send: &payswitch.CheckoutSend{Phone: "+74951234567", Page: r.server.o.Page}})
	r.must(err)
	office, err := joining.New(joining.Options{Switch: r.sw, Store: r.store, Logger: slog.New(slog.DiscardHandler), TestBanks: []string{"alfa"}})
	r.must(err)
	r.server.o.Joining = office
	joiner, _ := r.member("pay@hats.example", people.Grant{Merchant: joinedShop(t, r, office), Role: people.RoleOwner})
	b := browser.Start(t)
	for _, lang := range languages {
		p := b.Visit(t, browser.Visitor{Language: lang})
		p.Open(r.url + "/signin")
		look(p, lang, "signin")
		word, err := r.people.EntryLink(u.ID)
		r.must(err)
		p.Open(r.url + "/enter/" + word)
		p.Follow("form button")
		for _, at := range []struct{ name, path string }{
			{"payments", "/payments"}, {"payment", "/payments/" + name(paid)}, {"refund", "/payments/" + name(paid) + "/refund"}, {"terminal", "/terminal"},
			{"links", "/links"}, {"link", "/links/" + bill.ID.Text(payswitch.CheckoutPrefix)},
			{"charts", "/charts"}, {"keys", "/keys"}, {"tickets", "/tickets"}, {"users", "/users"}, {"audit", "/audit"}, {"batches", "/batches"}, {"approvals", "/approvals"}, {"webhooks", "/webhooks"}, {"page", "/page"},
		} {
			p.Open(r.url + hatsTest + at.path)
			look(p, lang, at.name)
		}
		p.Open(r.url + "/profile")
		look(p, lang, "profile")
		if all := p.Complaints(); len(all) > 0 {
			t.Errorf("%s: the browser complains: %s", lang, strings.Join(all, "\n"))
		}
	}
	word, err := r.people.EntryLink(joiner.ID)
	r.must(err)
	p := b.Visit(t, browser.Visitor{})
	p.Open(r.url + "/enter/" + word)
	p.Follow("form button")
	p.Open(r.url + basePath(joiner.Grants[0].Merchant, false) + "/joining")
	look(p, "en", "joining")
	link, err := r.people.Reset(u.ID, nil)
	r.must(err)
	p = b.Visit(t, browser.Visitor{})
	p.Open(r.url + "/join/" + link)
	look(p, "en", "join")
}

// look checks a page in three widths and with axe.
func look(p *browser.Page, lang, name string) {
	p.Shots("cabinet-" + lang + "-" + name)
	p.Accessible()
}

// TestPersonRefunds: sign in with a code, find a payment, give the money back, and
// many at once; with script and without.
func TestPersonRefunds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := browser.Start(t)
	for i, scripted := range []bool{true, false} {
		u, a := r.member(fmt.Sprintf("owner%d@shop.example", i), ownerOf(shopHats))
		order := fmt.Sprintf("FIND-%d", i)
		paid := r.pay(wish{shopHats, goodCard, order, 129900, false})
		var many []payswitch.Payment
		for range 3 {
			many = append(many, r.pay(wish{shopHats, goodCard, order + "-MANY", 5000, false}))
		}
		p := b.Visit(t, browser.Visitor{NoScript: !scripted})
		signInBy(p, r, u, a)
		p.Click("details.filters summary")
		p.Fill("#order", order)
		p.Follow(".filters form button")
		p.Follow("td a.row")
		p.Follow(`a[href$="/refund"]`)
		p.Fill("#amount", "99.50")
		p.Fill("#reason", "came too late")
		p.Follow("form.card button")
		p.Await(".note")
		if now, _, err := r.sw.Refunds(r.account(shopHats), paid.ID); err != nil || now.AmountRefunded != 9950 {
			t.Errorf("%d is given back, %v", now.AmountRefunded, err)
		}
		p.Open(r.url + hatsTest + "/payments?order=" + order + "-MANY")
		for range many {
			p.Click(`td input[name=payment]:not(:checked)`)
		}
		p.Follow(".more button")
		p.Follow("form[action$='/batches'] .inline button")
		r.await("the batch", func() bool { p.Open(p.URL()); return p.Has(".pill.completed") })
		for _, one := range many {
			if now, err := r.sw.Payment(r.account(shopHats), payswitch.PurposePayment, one.ID); err != nil || now.Status != payswitch.StatusRefunded {
				t.Errorf("%s is %s, %v", name(one), now.Status, err)
			}
		}
	}
}

// TestPageIsToldOfNews: a payment that is made while the monitor is open appears.
func TestPageIsToldOfNews(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	word, err := r.people.EntryLink(u.ID)
	r.must(err)
	p := browser.Start(t).Visit(t, browser.Visitor{})
	p.Open(r.url + "/enter/" + word)
	p.Follow("form button")
	paid := r.pay(wish{shopHats, goodCard, "NEWS", 100, false})
	p.Await(`a.row[href$="` + name(paid) + `"]`)
}

// TestPasskey: a passkey is added in the profile, and opens the door alone.
func TestPasskey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u, a := r.member("owner@shop.example", ownerOf(shopHats))
	p := browser.Start(t).Visit(t, browser.Visitor{})
	p.HoldAuthenticator()
	signInBy(p, r, u, a)
	p.Open(r.url + "/profile")
	p.Fill("#passkey", "laptop")
	p.Click("form[data-passkey] button")
	p.Await(`form[action$="/passkeys/remove"] button`)
	if text := p.Text(`form[action$="/passkeys/remove"]`); !strings.Contains(text, "laptop") {
		t.Errorf("the profile says %q", text)
	}
	p.Follow(".me form button")
	p.Click("form[data-passkey] button")
	p.Await("table")
	if !strings.HasSuffix(p.URL(), hatsTest+"/payments") {
		t.Errorf("the passkey leads to %s", p.URL())
	}
	acts, err := r.people.Acts(people.ActQuery{Merchant: shopHats, Limit: 10, Text: "passkey"})
	r.must(err)
	if len(acts.Acts) != 2 {
		t.Errorf("acts %+v", acts.Acts)
	}
}
