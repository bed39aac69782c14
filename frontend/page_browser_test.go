package frontend

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/frontend/acs"
	"github.com/tranzit/tranzit/frontend/browser"
)

// pageShop is a shop whose pages are at its own address.
func pageShop(t *testing.T) (*shop, *rig) { return pageShopOf(t, rigPlan{}) }

// pageShopOf is pageShop with a bank of its own.
func pageShopOf(t *testing.T, plan rigPlan) (*shop, *rig) {
	t.Helper()
	bench := newRigOf(t, plan)
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

// TestPageSeen looks at every page that a buyer may see, in each language and three
// widths; axe looks, too.
func TestPageSeen(t *testing.T) {
	t.Parallel()
	s, _ := pageShop(t)
	b := browser.Start(t)
	for _, language := range []string{"en", "ru", "es"} {
		p := b.Visit(t, browser.Visitor{Language: language})
		look := func(name string) {
			t.Helper()
			if got := browser.Eval[string](p, "document.documentElement.lang"); got != language {
				t.Errorf("%s speaks %s, not %s", name, got, language)
			}
			p.Accessible()
			p.Shots("page-" + language + "-" + name)
		}
		p.Open(s.session("seen "+language, ""))
		look("form")
		p.Click("button[type=submit]")
		look("errors")
		enter(p, "4000000000009995")
		p.Follow("button[type=submit]")
		look("declined")
		enter(p, "4000000003000009")
		p.Follow("button[type=submit]")
		look("action")
		p.Follow("main a.button")
		look("challenge")
		p.Fill("#code", "9999")
		p.Follow("button[value=confirm]")
		look("challenge-wrong")
		p.Fill("#code", acs.Code)
		p.Follow("button[value=confirm]")
		look("challenge-confirmed")
		over := p.URL()
		p.Follow("a.button")
		look("done")
		p.Open(over)
		look("challenge-over")
		p.Open(s.session("doubt "+language, ""))
		enter(p, testCardSilent)
		p.Follow("button[type=submit]")
		look("wait")
		p.Open(s.expired("late " + language))
		look("expired")
		p.Open("http://" + s.addr + "/pay/" + noSession)
		look("absent")
		calm(t, p)
	}
}

// expired is the page of a session that the shop ended.
func (s *shop) expired(order string) string {
	s.t.Helper()
	address := s.session(order, "")
	s.want("200", "POST /v1/checkout_sessions/"+address[strings.LastIndex(address, "/")+1:]+"/expire", "{}")
	return address
}

// TestPageInBrowser pays by hand, as a buyer would: a mistake, a decline, a card that is
// taken. The page is one request.
func TestPageInBrowser(t *testing.T) {
	t.Parallel()
	s, _ := pageShop(t)
	p := browser.Start(t).Visit(t, browser.Visitor{Language: "en"})
	p.Open(s.session("A-1001", ""))
	wantRequests(t, p, "GET")
	p.Click("button[type=submit]")
	if got := p.Text("#number-error"); got != "Enter the card number" {
		t.Errorf("an empty form: %q", got)
	}
	enter(p, "4111111111111112")
	p.Click("button[type=submit]")
	if got := p.Text("#number-error"); !strings.Contains(got, "typing mistake") || p.Value("#number") != "4111 1111 1111 1112" || p.Text("#brand") != "Visa" {
		t.Errorf("a wrong digit: %q in %q, %q", got, p.Value("#number"), p.Text("#brand"))
	}
	enter(p, "4000000000009995")
	p.Follow("button[type=submit]")
	if got := p.Text(".notice"); !strings.Contains(got, "declined") {
		t.Errorf("after a decline: %q", got)
	}
	enter(p, "5555555555554444")
	p.Follow("button[type=submit]")
	p.Await("main.done")
	wantRequests(t, p, "GET", "GET", "GET") // the form twice, each sent by a POST that leads to the next page
	if got := p.Text("main"); !strings.Contains(got, "4444") || strings.Contains(got, "5555555555554444") {
		t.Errorf("the end says %q", got)
	}
	calm(t, p)
	noCardNumbers(t, "the log", s.log.String())
}

// pageLimit is what one page may have in bytes, headers included.
const pageLimit = 60_000

// wantRequests holds the tab to so many requests, a redirected one counted once where
// it led to, and the page with all it needs to the limit.
func wantRequests(t *testing.T, p *browser.Page, methods ...string) {
	t.Helper()
	var got []string
	for _, r := range p.Requests() {
		if got = append(got, r.Method); r.Bytes > pageLimit || r.Bytes < 1000 {
			t.Errorf("%s %s has %d bytes", r.Method, r.URL, r.Bytes)
		}
	}
	if !slices.Equal(got, methods) {
		t.Errorf("the page made the requests %+v", p.Requests())
	}
}

// cardsOfThePage are all test cards, of the bank and of the 3-D Secure server, with
// what each does.
func cardsOfThePage() map[string]string {
	all := map[string]string{}
	for _, c := range banksim.Cards() {
		all[c.Number] = c.Does
	}
	for _, c := range acs.Cards() {
		all[c.Number] = c.Does
	}
	return all
}

// TestPageTakesEveryCard pays with each test card. What the page shows, and what it
// shows once every doubt is over, is held to a golden file, and at both times to
// what the API says of the session.
func TestPageTakesEveryCard(t *testing.T) {
	t.Parallel()
	s, bench := pageShopOf(t, rigPlan{answer: time.Second, undo: 2 * time.Second}) // long enough for what is seen first on a busy machine
	p := browser.Start(t).Visit(t, browser.Visitor{})
	cards := cardsOfThePage()
	numbers := slices.Sorted(maps.Keys(cards))
	addresses, first := map[string]string{}, map[string]string{}
	for _, number := range numbers {
		bench.waitReady(t, true) // some cards cut the link
		for i := range 2 {       // so that the bank, which is silent so often, is not spared
			if r := s.pay(fmt.Sprint("health ", i, number), with("", "")); r.status != 201 {
				t.Fatalf("%d %s", r.status, r.body)
			}
		}
		addresses[number] = s.session("card "+number[8:], "")
		p.Open(addresses[number])
		enter(p, number)
		p.Follow("button[type=submit]")
		first[number] = s.shown(p, addresses[number])
	}
	var all strings.Builder
	for _, number := range numbers {
		p.Open(addresses[number])
		last := s.shown(p, addresses[number])
		for deadline := time.Now().Add(time.Minute); strings.HasPrefix(last, "wait") && !stays[number]; last = s.shown(p, addresses[number]) {
			if time.Now().After(deadline) {
				t.Fatalf("%s (%s): still in doubt", number, cards[number])
			}
			<-time.After(50 * time.Millisecond)
			p.Open(addresses[number])
		}
		fmt.Fprintf(&all, "%s %s\n    %s\n", number, cards[number], first[number])
		if last != first[number] {
			fmt.Fprintf(&all, "    then %s\n", last)
		}
	}
	golden(t, "page_cards.golden", all.String())
	calm(t, p)
}

// stays are the cards whose payments are in doubt until people act.
var stays = map[string]bool{testCardSilent: true, "4000000001350000": true}

// shown is the state of the page and its heading; the API must agree.
func (s *shop) shown(p *browser.Page, address string) string {
	s.t.Helper()
	state := strings.Fields(browser.Eval[string](p, `document.querySelector("main").className`))[1]
	text := browser.Eval[string](p, `(document.querySelector(".notice strong") || document.querySelector("h1")).textContent`)
	body := s.do("GET", "/v1/checkout_sessions/"+address[strings.LastIndex(address, "/")+1:], "").body
	status := member[string](s.t.(*testing.T), body, "status")
	may := map[string][]string{"complete": {"done", "wait"}, "processing": {"wait", "action"}, "open": {"form", "wait"}}[status] // wait: it is over since then
	if !slices.Contains(may, state) {
		s.t.Errorf("%s: the page shows %s, the session is %s", address, state, status)
	}
	return state + ": " + text
}

// TestPageAsksThePayer: with the simulated issuer's challenge passed, canceled and with
// a wrong code first, and with the cards that need none.
func TestPageAsksThePayer(t *testing.T) {
	t.Parallel()
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
	p.Follow("main a.button")
	p.Fill("#code", "9999")
	p.Follow("button[value=confirm]")
	if got := p.Text(".error"); !strings.Contains(got, "not the code") {
		t.Errorf("a wrong code: %q", got)
	}
	p.Fill("#code", acs.Code)
	p.Follow("button[value=confirm]")
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
	t.Parallel()
	s, _ := pageShop(t)
	b := browser.Start(t)
	p := b.Visit(t, browser.Visitor{Language: "es"})
	p.Open(s.session("silent", ""))
	enter(p, testCardSilent)
	p.Follow("button[type=submit]")
	p.Await("main.wait")
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
	t.Parallel()
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
	enter(p, "2200 0000 0000 0004")
	p.Follow("button[type=submit]")
	p.Await("main.done")
}

// TestPageSpeaks shows the form in every language, asked for by the browser, by the
// shop and by the buyer, with saved cards.
func TestPageSpeaks(t *testing.T) {
	t.Parallel()
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
}
