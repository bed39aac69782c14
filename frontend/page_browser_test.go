package frontend

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/frontend/acs"
	"github.com/tranzit/tranzit/frontend/browser"
)

// pageShop is a shop whose pages are at its own address.
func pageShop(t *testing.T) (*shop, *rig) {
	t.Helper()
	bench := newRig(t)
	s := openShop(t, func(o *Options) { o.Switch, o.PlainWebhooks, o.ThreeDS = bench.sw, true, bench.acs })
	bench.acs.Bind("http://"+s.addr, bench.sw.Authenticated)
	return s, bench
}

// session makes a checkout session and tells where its page is.
func (s *shop) session(order, more string) string {
	s.t.Helper()
	body := fmt.Sprintf(`{"amount":129900,"currency":"RUB","order_id":%q,"description":"Two pairs of woollen socks","return_url":"http://%s/openapi.json"%s}`, order, s.addr, more)
	r := s.do("POST", "/v1/checkout_sessions", body, "Idempotency-Key", "session of "+order)
	if r.status != 201 {
		s.t.Fatalf("%d %s", r.status, r.body)
	}
	return "http://" + s.addr + "/pay/" + member[string](s.t.(*testing.T), r.body, "id")
}

// enter fills the form of the page.
func enter(p *browser.Page, card string) {
	p.Fill("#number", card)
	p.Fill("#expiry", "12/30")
	p.Fill("#cvc", "123")
}

// calm fails the test for whatever the browser complained of.
func calm(t *testing.T, p *browser.Page) {
	t.Helper()
	for _, c := range p.Complaints() {
		if !strings.Contains(c, "status of 4") { // of a form that was refused: meant so
			t.Errorf("the browser complains: %s", c)
		}
	}
}

// TestPageInBrowser pays by hand, as a buyer would, and looks at every page on the
// way in three widths; axe looks, too.
func TestPageInBrowser(t *testing.T) {
	s, _ := pageShop(t)
	b := browser.Start(t)
	look := func(p *browser.Page, name string) {
		p.Accessible()
		p.Shots(name)
	}

	p := b.Visit(t, browser.Visitor{Language: "en"})
	p.Open(s.session("A-1001", ""))
	if n := len(p.Requests()); n != 1 {
		t.Errorf("the page made %d requests: %+v", n, p.Requests())
	}
	if got := p.Requests()[0].Bytes; got > 60_000 {
		t.Errorf("the page has %d bytes", got)
	} else {
		t.Logf("the page has %d bytes", got)
	}
	look(p, "page-en-form")
	p.Click("button[type=submit]")
	if got := p.Text("#number-error"); got != "Enter the card number" {
		t.Errorf("an empty form: %q", got)
	}
	enter(p, "4111111111111112")
	p.Click("button[type=submit]")
	if got := p.Text("#number-error"); !strings.Contains(got, "typing mistake") || p.Value("#number") != "4111 1111 1111 1112" || p.Text("#brand") != "Visa" {
		t.Errorf("a wrong digit: %q in %q, %q", got, p.Value("#number"), p.Text("#brand"))
	}
	look(p, "page-en-errors")
	enter(p, "4000000000009995")
	p.Follow("button[type=submit]")
	if got := p.Text(".notice"); !strings.Contains(got, "declined") {
		t.Errorf("after a decline: %q", got)
	}
	look(p, "page-en-declined")
	enter(p, "5555555555554444")
	p.Follow("button[type=submit]")
	p.Await("main.done")
	look(p, "page-en-done")
	if got := p.Text("main"); !strings.Contains(got, "4444") || strings.Contains(got, "5555555555554444") {
		t.Errorf("the end says %q", got)
	}
	calm(t, p)
	noCardNumbers(t, "the log", s.log.String())
}

// TestPageTakesEveryCard pays with each card of the simulated bank, and holds the
// page to what the API says of its session.
func TestPageTakesEveryCard(t *testing.T) {
	s, bench := pageShop(t)
	p := browser.Start(t).Visit(t, browser.Visitor{})
	seen := map[string]int{}
	for _, card := range banksim.Cards() {
		bench.waitReady(t, true) // some cards cut the link
		address := s.session("card "+card.Number[8:], "")
		p.Open(address)
		enter(p, card.Number)
		p.Follow("button[type=submit]")
		shown := strings.Fields(browser.Eval[string](p, `document.querySelector("main").className`))[1]
		id := address[strings.LastIndex(address, "/")+1:]
		status := member[string](t, s.do("GET", "/v1/checkout_sessions/"+id, "").body, "status")
		want := map[string]string{"complete": "done", "processing": "wait", "open": "form"}[status]
		if card.Behaviour == banksim.StepUp {
			want = "action"
		}
		if shown == "wait" && want == "form" {
			want = shown // undone since then
		}
		if shown != want {
			t.Errorf("%s (%s): the page shows %s, the session is %s", card.Number, card.Does, shown, status)
		}
		if shown == "form" && !p.Has(".notice") {
			t.Errorf("%s: the page does not say what became of the payment", card.Number)
		}
		seen[shown]++
	}
	for _, state := range []string{"done", "wait", "form"} {
		if seen[state] == 0 {
			t.Errorf("no card leads to %s: %v", state, seen)
		}
	}
	calm(t, p)
}

// TestPageAsksThePayer: with the simulated issuer's challenge passed, canceled and with
// a wrong code first, and with the cards that need none.
func TestPageAsksThePayer(t *testing.T) {
	s, _ := pageShop(t)
	b := browser.Start(t)
	pay := func(order, card string, script bool) *browser.Page {
		p := b.Visit(t, browser.Visitor{NoScript: !script})
		p.Open(s.session(order, ""))
		enter(p, card)
		p.Follow("button[type=submit]")
		return p
	}
	p := pay("challenge", "4000000001250002", true)
	p.Accessible()
	p.Shots("page-en-action")
	p.Follow("main a.button")
	p.Accessible()
	p.Shots("acs-challenge")
	p.Fill("#code", "9999")
	p.Follow("button[value=confirm]")
	if got := p.Text(".error"); !strings.Contains(got, "not the code") {
		t.Errorf("a wrong code: %q", got)
	}
	p.Accessible()
	p.Fill("#code", acs.Code)
	p.Follow("button[value=confirm]")
	p.Accessible()
	p.Follow("a.button")
	p.Await("main.done")
	calm(t, p)

	p = pay("canceled", "4000000003000009", false)
	p.Follow("main a.button")
	p.Follow("button[value=cancel]")
	p.Follow("a.button")
	p.Await("main.form .notice")
	if got := p.Text(".notice"); !strings.Contains(got, "not confirmed") {
		t.Errorf("after a canceled challenge: %q", got)
	}
	for card, want := range map[string]string{"4000000003010008": "main.done", "4000000003020007": "main.done", "4000000003030006": ".notice", "4000000003040005": ".notice"} {
		pay("frictionless "+card[8:], card, true).Await(want)
	}
}

// TestPageWaits: while the outcome is not known the page says so, and looks again
// by itself until it is, with a script and without.
func TestPageWaits(t *testing.T) {
	s, _ := pageShop(t)
	b := browser.Start(t)
	p := b.Visit(t, browser.Visitor{Language: "es"})
	p.Open(s.session("silent", ""))
	enter(p, testCardSilent)
	p.Follow("button[type=submit]")
	p.Await("main.wait")
	p.Accessible()
	p.Shots("page-es-wait")
	for _, script := range []bool{true, false} {
		v := b.Visit(t, browser.Visitor{NoScript: !script})
		v.Open(s.session(fmt.Sprint("resolved ", script), ""))
		enter(v, testCardResolved)
		v.Follow("button[type=submit]")
		v.Await("main.wait")
		v.Await("main.form .notice")
		if got := v.Text(".notice"); !strings.Contains(got, "was canceled") {
			t.Errorf("script %v: once it is undone the page says %q", script, got)
		}
		calm(t, v)
	}
	calm(t, p)
}

// TestPageWithoutScript: the server checks the form itself, and never shows a
// number or a code again.
func TestPageWithoutScript(t *testing.T) {
	s, _ := pageShop(t)
	p := browser.Start(t).Visit(t, browser.Visitor{NoScript: true, Language: "ru"})
	p.Open(s.session("plain", ""))
	p.Fill("#number", "4111111111111112")
	p.Fill("#expiry", "12/20")
	p.Follow("button[type=submit]")
	for field, want := range map[string]string{"number": "опечатка", "expiry": "истёк", "cvc": "Введите код"} {
		if got := p.Text("#" + field + "-error"); !strings.Contains(got, want) {
			t.Errorf("%s: %q", field, got)
		}
		if tied := browser.Eval[string](p, `document.getElementById("`+field+`").getAttribute("aria-describedby")`); tied != field+"-error" {
			t.Errorf("%s is described by %q", field, tied)
		}
	}
	if p.Value("#number") != "" || p.Value("#cvc") != "" || p.Value("#expiry") != "12/20" {
		t.Error("what the form shows again")
	}
	if got := browser.Eval[string](p, "document.activeElement.id"); got != "number" {
		t.Errorf("the focus is at %q", got)
	}
	p.Shots("page-ru-errors")
	enter(p, "2200 0000 0000 0004")
	p.Follow("button[type=submit]")
	p.Await("main.done")
	p.Shots("page-ru-done")
}

// TestPageSpeaks shows the form in every language, asked for by the browser, by the
// shop and by the buyer, with saved cards.
func TestPageSpeaks(t *testing.T) {
	s, _ := pageShop(t)
	s.want("201", "POST /v1/tokens", `{"payment_method":{"type":"card","card":{"number":"5555555555554444","exp_month":12,"exp_year":2030}},"customer":{"id":"anna"}}`)
	b := browser.Start(t)
	for i, language := range []string{"en", "ru", "es"} {
		p := b.Visit(t, browser.Visitor{Language: language})
		p.Open(s.session("by browser "+language, `,"customer":{"id":"anna"}`))
		if got := browser.Eval[string](p, "document.documentElement.lang"); got != language {
			t.Errorf("the browser asks for %s and gets %s", language, got)
		}
		p.Accessible()
		p.Shots("page-" + language + "-saved")
		p.Click("#new-card")
		p.Await("#number")
		p.Accessible()
		next := []string{"ru", "es", "en"}[i]
		p.Follow("footer a[lang=" + next + "]")
		if got := browser.Eval[string](p, "document.documentElement.lang"); got != next {
			t.Errorf("the buyer asks for %s and gets %s", next, got)
		}
		p.Click("input[name=method]")
		p.Fill("#cvc", "123")
		p.Follow("button[type=submit]")
		p.Await("main.done")
		if got := browser.Eval[string](p, "document.documentElement.lang"); got != next {
			t.Errorf("after the payment the page speaks %s", got)
		}
		p.Open(s.session("by shop "+language, `,"language":"`+next+`"`))
		if got := browser.Eval[string](p, "document.documentElement.lang"); got != next {
			t.Errorf("the shop asks for %s and gets %s", next, got)
		}
		calm(t, p)
	}
	p := b.Visit(t, browser.Visitor{})
	p.Open("http://" + s.addr + "/pay/" + noSession)
	p.Accessible()
	p.Shots("page-en-absent")
}
