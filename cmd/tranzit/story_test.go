package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/frontend/acs"
	"github.com/tranzit/tranzit/frontend/admin"
	"github.com/tranzit/tranzit/frontend/browser"
	"github.com/tranzit/tranzit/switch/people"
)

// Cards of the simulated bank, by what the story needs them for.
const (
	cardVisa     = "4111111111111111"
	cardNoMoney  = "4000000000009995"
	cardStepUp   = "4000000001250002" // the bank wants the payer asked
	cardNoAnswer = "4000000001030008" // charged, and nothing is said
	cardMir      = "2200000000000004"
)

// story is a shop on its way from the application to live payments, seen in
// browsers by its owner, its buyers and two operators.
type story struct {
	*house
	chromium           *browser.Browser
	owner, anna, boris *browser.Page

	key  string // of test mode
	base string // of the cabinet's pages of the merchant, without the mode
}

// TestStory is how a shop, its buyers and the operators see Tranzit, page by page: apply,
// test mode, pay with cards that decline, ask and stay silent, refund, checks, live.
func TestStory(t *testing.T) {
	t.Parallel()
	s := &story{house: newHouse(t), chromium: browser.Start(t)}
	s.apply()
	paid := s.sell()
	s.doubt()
	s.refund(paid)
	s.joinBank()
	s.passChecks()
	s.goLive()
	for _, p := range []*browser.Page{s.owner, s.anna, s.boris} {
		for _, c := range p.Complaints() {
			t.Errorf("the browser complains: %s", c)
		}
	}
}

// see takes pictures of the page in three widths and lets axe look at it.
func (s *story) see(p *browser.Page, name string) {
	s.t.Helper()
	p.Shots("story-" + name)
	p.Accessible()
}

// says fails the test when what was found does not hold a text.
func (s *story) says(p *browser.Page, selector, text string) {
	s.t.Helper()
	if got := p.Text(selector); !strings.Contains(got, text) {
		s.t.Errorf("%s says %q, not %q", selector, got, text)
	}
}

// apply fills in the form, follows the letter's link and sets up the owner's access. The
// cabinet is empty then.
func (s *story) apply() {
	s.t.Helper()
	s.owner = s.chromium.Visit(s.t, browser.Visitor{Language: "en"})
	s.owner.Open(s.app.cabinetAt() + "/join")
	for _, field := range [][2]string{{"company", "Roses Ltd"}, {"registration_number", "1027700132195"}, {"site", "shop.example"}, {"city", "Moscow"},
		{"time_zone", "Europe/Moscow"}, {"statement_name", "ROSES"}, {"mcc", "5992"}, {"monthly_volume", "100000"}, {"currency", "RUB"},
		{"contact_name", "Irina Petrova"}, {"email", "pay@shop.example"}, {"phone", "+7 495 123-45-67"}} {
		s.owner.Fill("#"+field[0], field[1])
	}
	s.owner.Choose("#country", "643")
	s.owner.Follow("form button")
	s.owner.Open(s.letter(`(http://\S+/join/confirm/\S+)`))
	s.owner.Follow("form button")
	s.key = s.owner.Text("#key")
	s.owner.Follow("a.button")
	s.setUp(s.owner)
	s.says(s.owner, "main", "No payments")
	s.base = strings.TrimSuffix(s.owner.URL(), "/test/payments")
	s.see(s.owner, "empty")
}

// setUp takes a password and an authenticator, as the page of a link asks.
func (s *story) setUp(p *browser.Page) {
	s.t.Helper()
	p.Fill("#name", "Person of the Story")
	p.Fill("#password", "roses are red enough")
	p.Fill("#again", "roses are red enough")
	code, err := people.Authenticator{Secret: p.Text("#secret")}.Code(time.Now())
	s.must(err)
	p.Fill("#code", code)
	p.Follow("form button")
	p.Follow("a.button")
}

// operatorIn is an operator in a browser, at the list of applications.
func (s *story) operatorIn(email string) *browser.Page {
	s.t.Helper()
	out, err := command(s.t, "", "operator", "add", email, "--reason", "a new colleague", "--json", "--admin", s.app.listeners[1].Addr().String())
	s.must(err)
	var u admin.UserView
	s.must(json.Unmarshal([]byte(out), &u))
	p := s.chromium.Visit(s.t, browser.Visitor{Language: "en"})
	p.Open(u.Link)
	s.setUp(p)
	p.Open(s.app.cabinetAt() + "/operator")
	p.Follow("td a.row")
	return p
}

// press fills the fields of a form of an operator's page and presses its button.
func (s *story) press(p *browser.Page, form, button string, fields ...string) {
	s.t.Helper()
	for i := 0; i+1 < len(fields); i += 2 {
		p.Fill(form+" [name="+fields[i]+"]", fields[i+1])
	}
	p.Fill(form+" [name=reason]", "as the papers say")
	p.Follow(form + " " + button)
	p.Await(".note")
}

// checkout makes a checkout session and opens its page.
func (s *story) checkout(key, order, language string) *browser.Page {
	s.t.Helper()
	status, made := s.call("POST", "/v1/checkout_sessions", key, fmt.Sprintf(`{"amount":129900,"currency":"RUB","order_id":%q,"description":"Eleven red roses"}`, order))
	if status != 201 {
		s.t.Fatal(status, made)
	}
	p := s.chromium.Visit(s.t, browser.Visitor{Language: language})
	p.Open(made["url"].(string))
	return p
}

func pay(p *browser.Page, card string) {
	p.Fill("#number", card)
	p.Fill("#expiry", "12/30")
	p.Fill("#cvc", "123")
	p.Follow("button[type=submit]")
}

// sell: the first card is declined, the second asks its owner, who confirms. It gives
// the payment's id.
func (s *story) sell() string {
	s.t.Helper()
	p := s.checkout(s.key, "R-1", "ru")
	pay(p, cardNoMoney)
	s.says(p, ".notice", "отклонён")
	pay(p, cardStepUp)
	p.Follow("main a.button")
	p.Fill("#code", acs.Code)
	p.Follow("button[value=confirm]")
	p.Follow("a.button")
	p.Await("main.done")
	return p.Text("dl div:last-child dd")
}

// doubt: the bank charges and says nothing. The page says neither yes nor no until the
// bank speaks again and the charge is undone, and takes another card then.
func (s *story) doubt() {
	s.t.Helper()
	p := s.checkout(s.key, "R-2", "es")
	s.must(s.sims["sim"].Control(banksim.Control{Mode: banksim.ModeMute}))
	pay(p, cardVisa)
	p.Await("main.wait")
	s.must(s.sims["sim"].Control(banksim.Control{Mode: banksim.ModeNormal}))
	p.Await("main.form .notice")
	s.says(p, ".notice", "se canceló")
	s.see(p, "es-undone")
	pay(p, cardMir)
	p.Await("main.done")
	if sum := s.sims["sim"].Books().Summary(); sum.Currencies["RUB"].Net != 2*129900 {
		s.t.Errorf("two orders of 1299.00 are paid, the bank has taken %+v", sum.Currencies)
	}
}

// refund gives part of an order back in the cabinet, where its whole story stands.
func (s *story) refund(payment string) {
	s.t.Helper()
	s.owner.Open(s.base + "/test/payments")
	s.see(s.owner, "payments")
	s.owner.Follow(`td a[href$="` + payment + `"]`)
	s.owner.Follow(`a[href$="/refund"]`)
	s.owner.Fill("#amount", "299.00")
	s.owner.Fill("#reason", "one rose was white")
	s.owner.Follow("form.card button")
	s.owner.Await(".note")
	for _, event := range []string{"the payer was asked", "the payer confirmed", "approved", "refunded", "one rose was white", "pay@shop.example", "would take it"} {
		if text := s.owner.Text("main"); !strings.Contains(strings.ToLower(text), event) {
			s.t.Errorf("the story of the payment lacks %q: %s", event, text)
		}
	}
	s.see(s.owner, "payment")
}

// joinBank chooses a bank, gives what it asks for and accepts its contract; an operator
// does the other side of it.
func (s *story) joinBank() {
	s.t.Helper()
	extract := filepath.Join(s.t.TempDir(), "extract.pdf")
	s.must(os.WriteFile(extract, []byte("%PDF-1.7 an extract"), 0o600))
	s.owner.Open(s.base + "/test/joining")
	s.owner.Click("input[name=bank]")
	s.owner.Follow("form:has([value=choose_banks]) button")
	s.see(s.owner, "checklist")
	s.owner.Upload("form:has([name=item][value=registration]) input[type=file]", extract)
	s.owner.Follow("form:has([name=item][value=registration]) button")
	for _, item := range []string{"tax-number", "settlement-account"} {
		form := "form:has([name=item][value=" + item + "])"
		s.owner.Fill(form+" [name=text]", "40702810000000000001")
		s.owner.Follow(form + " button")
	}
	s.anna = s.operatorIn("anna@tranzit.example")
	for _, item := range []string{"registration", "tax-number", "settlement-account", "website-terms", "terminal", "technical-connection"} {
		s.press(s.anna, "form:has([name=item][value="+item+"])", "button[value=accepted]")
	}
	s.owner.Open(s.base + "/test/joining")
	s.owner.Fill("#signer-alfa", "Irina Petrova")
	s.owner.Follow("form:has(#signer-alfa) button")
	s.anna.Open(s.anna.URL())
	s.press(s.anna, "form:has([value=countersign])", "button", "contract", "17/2026")
	s.press(s.anna, "form:has([value=provision])", "button", "merchant_id", "ROSES0000000001", "terminals", "ROSE0001")
	s.press(s.anna, "form:has([value=test_connection])", "button")
}

// passChecks runs the checks before live in the cabinet: each has been earned by now.
func (s *story) passChecks() {
	s.t.Helper()
	server := httptest.NewServer(s.shop)
	s.t.Cleanup(server.Close)
	status, e := s.call("POST", "/v1/webhook_endpoints", s.key, `{"url":"`+server.URL+`/hooks"}`)
	if status != 201 {
		s.t.Fatal(status, e)
	}
	s.shop.mu.Lock()
	s.shop.secret = e["secret"].(string)
	s.shop.mu.Unlock()
	s.owner.Open(s.base + "/test/joining")
	s.see(s.owner, "checks")
	for _, check := range []string{"webhook", "refund", "page"} {
		s.owner.Follow("form:has([name=check][value=" + check + "]) button")
	}
	if text := s.owner.Text("main"); strings.Count(text, " passed") != 3 {
		s.t.Errorf("a check is still open: %s", text)
	}
}

// goLive takes two operators, and then real money.
func (s *story) goLive() {
	s.t.Helper()
	s.anna.Open(s.anna.URL())
	s.press(s.anna, "form:has([value=request_live])", "button")
	s.boris = s.operatorIn("boris@tranzit.example")
	s.see(s.boris, "approval")
	s.press(s.boris, "form:has([value=approve_live])", "[value=approve_live]")
	s.letter(`You are live at Alfa \(demo\)`)
	s.owner.Open(s.base + "/test/joining")
	s.says(s.owner, "[aria-current=step]", "Live")
	s.see(s.owner, "live")
	s.owner.Follow(`form[action$="/joining/live"] button`)
	s.owner.Follow("form:has([value=new_key]) button")
	p := s.checkout(s.owner.Text("code.secret"), "R-3", "en")
	if p.Has(".test") {
		s.t.Error("the live page says that it is for tests")
	}
	pay(p, cardVisa)
	p.Await("main.done")
	s.see(p, "live-done")
	s.owner.Open(s.base + "/live/payments")
	s.says(s.owner, "tbody", "R-3")
	s.see(s.owner, "live-payments")
	if sum := s.sims["alfa"].Books().Summary(); sum.Currencies["RUB"].Net != 129900 {
		s.t.Errorf("one live order is paid, the bank has taken %+v", sum.Currencies)
	}
}
