package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
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

// story is a shop on its way from the application to live payments, seen in a
// browser by its owner and its buyers.
type story struct {
	*house
	chromium *browser.Browser
	owner    *browser.Page

	application, secret string // of the application
	merchant, key       string // of test mode
	base                string // of the cabinet's pages of the merchant in test mode
}

// TestStory is how a shop and its buyers see Tranzit, page by page: apply, test mode,
// pay with cards that decline, ask and stay silent, refund, checks, live.
func TestStory(t *testing.T) {
	t.Parallel()
	s := &story{house: newHouse(t), chromium: browser.Start(t)}
	s.apply()
	s.comeIn()
	paid := s.sell()
	s.doubt()
	s.refund(paid)
	s.joinBank()
	s.passChecks()
	s.goLive()
	for _, c := range s.owner.Complaints() {
		t.Errorf("the browser complains: %s", c)
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

func (s *story) act(body string) map[string]any {
	s.t.Helper()
	status, answer := s.call("POST", "/v1/applications/"+s.application+"/acts", s.secret, body)
	if status != 200 {
		s.t.Fatalf("%s: %d %v", body, status, answer)
	}
	return answer
}

// apply sends the form and reads the letter.
func (s *story) apply() {
	s.t.Helper()
	status, fresh := s.call("POST", "/v1/applications", "", joiningForm)
	if status != 201 {
		s.t.Fatal(status, fresh)
	}
	s.application, s.secret = fresh["id"].(string), fresh["secret"].(string)
	open := s.act(`{"type":"confirm","code":"` + s.letter(`Your code is (\d{8})`) + `"}`)
	s.key, s.merchant = open["api_key"].(string), open["merchant_id"].(string)
	s.base = s.app.cabinetAt() + "/m/" + s.merchant + "/test"
}

// comeIn follows the link that operators give, and finds an empty cabinet.
func (s *story) comeIn() {
	s.t.Helper()
	out, err := s.operator("anna", "user", "add", "pay@shop.example", "--merchant", s.merchant, "--role", "owner", "--mode", "both", "--json")
	s.must(err)
	var u admin.UserView
	s.must(json.Unmarshal([]byte(out), &u))
	s.owner = s.chromium.Visit(s.t, browser.Visitor{Language: "en"})
	s.owner.Open(u.Link)
	s.see(s.owner, "join")
	s.owner.Fill("#name", "Irina Petrova")
	s.owner.Fill("#password", "roses are red enough")
	s.owner.Fill("#again", "roses are red enough")
	code, err := people.Authenticator{Secret: s.owner.Text("#secret")}.Code(time.Now())
	s.must(err)
	s.owner.Fill("#code", code)
	s.owner.Follow("form button")
	s.see(s.owner, "codes")
	s.owner.Follow("a.button")
	s.says(s.owner, "main", "No payments")
	s.see(s.owner, "empty")
	for _, page := range []string{"charts", "joining"} {
		s.owner.Open(s.base + "/" + page)
		s.see(s.owner, "empty-"+page)
	}
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
	s.see(p, "ru-declined")
	pay(p, cardStepUp)
	s.see(p, "ru-action")
	p.Follow("main a.button")
	s.see(p, "ru-challenge")
	p.Fill("#code", acs.Code)
	p.Follow("button[value=confirm]")
	s.see(p, "ru-confirmed")
	p.Follow("a.button")
	p.Await("main.done")
	s.see(p, "ru-done")
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
	s.see(p, "es-wait")
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
	s.owner.Open(s.base + "/payments")
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

// joinBank answers a bank's checklist and accepts its contract; operators do their part.
func (s *story) joinBank() {
	s.t.Helper()
	s.act(`{"type":"choose_banks","banks":["alfa"]}`)
	file := base64.StdEncoding.EncodeToString([]byte("%PDF-1.7 an extract"))
	s.act(`{"type":"upload","bank":"alfa","item":"registration","name":"extract.pdf","content":"` + file + `"}`)
	s.owner.Open(s.base + "/joining")
	s.see(s.owner, "checklist")
	for _, item := range []string{"tax-number", "settlement-account"} {
		form := `form:has([name=item][value="` + item + `"]) `
		s.owner.Fill(form+"[name=text]", "40702810000000000001")
		s.owner.Follow(form + "button")
	}
	for _, item := range []string{"registration", "tax-number", "settlement-account", "website-terms", "terminal", "technical-connection"} {
		s.acts("anna", "accept-item", s.application, "alfa", item)
	}
	s.owner.Open(s.base + "/joining")
	s.owner.Fill("#signer-alfa", "Irina Petrova")
	s.see(s.owner, "contract")
	s.owner.Follow("form:has(#signer-alfa) button")
	s.acts("anna", "countersign", s.application, "alfa", "--contract", "17/2026")
	s.acts("anna", "provision", s.application, "alfa", "--merchant-id", "ROSES0000000001", "--terminal", "ROSE0001")
	s.acts("anna", "test-connection", s.application, "alfa")
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
	s.owner.Open(s.base + "/joining")
	s.see(s.owner, "checks")
	for _, check := range []string{"webhook", "refund", "page"} {
		s.owner.Follow(`form:has([name=check][value="` + check + `"]) button`)
	}
	if s.owner.Has("[name=check]") {
		s.t.Errorf("a check is still open: %s", s.owner.Text("main"))
	}
}

// goLive takes two operators, and then real money.
func (s *story) goLive() {
	s.t.Helper()
	s.acts("anna", "request-live", s.application, "alfa")
	s.acts("boris", "approve-live", s.application, "alfa")
	s.letter(`You are live at Alfa \(demo\)`)
	s.owner.Open(s.base + "/joining")
	s.says(s.owner, "[aria-current=step]", "Live")
	s.see(s.owner, "live")
	p := s.checkout(s.act(`{"type":"new_key","livemode":true}`)["api_key"].(string), "R-3", "en")
	if p.Has(".test") {
		s.t.Error("the live page says that it is for tests")
	}
	pay(p, cardVisa)
	p.Await("main.done")
	s.see(p, "en-live-done")
	s.owner.Open(strings.TrimSuffix(s.base, "/test") + "/live/payments")
	s.says(s.owner, "tbody", "R-3")
	s.see(s.owner, "live-payments")
	if sum := s.sims["alfa"].Books().Summary(); sum.Currencies["RUB"].Net != 129900 {
		s.t.Errorf("one live order is paid, the bank has taken %+v", sum.Currencies)
	}
}
