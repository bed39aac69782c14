package frontend

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/frontend/browser"
)

const (
	noReplacement = "rpl_01kaz7q2v5e8xv9h2m3n4p5q6r"
	oldCardBody   = `{"payment_method":{"type":"card","card":{"number":"4111111111111111","exp_month":12,"exp_year":2030}},"customer":{"id":"anna"}}`
)

// walkReplacements gives the operations of replacements each answer with one.
func walkReplacements(t *testing.T, given map[string]bool) {
	s := openShop(t, nil)
	defer s.collect(given)
	token := idOf(t, s.want("201", "POST /v1/tokens", oldCardBody))
	path := "POST /v1/tokens/" + token + "/replacement"
	made := s.want("201", path, `{"currency":"RUB"}`, "Idempotency-Key", "one")
	if again := s.want("201", path, `{"currency":"RUB"}`, "Idempotency-Key", "one"); again.body != made.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeat is %s", again.body)
	}
	at := "/v1/card_replacements/" + idOf(t, made)
	s.want("422 idempotency_key_reused", path, `{"currency":"EUR"}`, "Idempotency-Key", "one")
	s.want("404 not_found", path, `{"currency":"RUB"}`, "Idempotency-Key", "two", "Authorization", "Bearer "+keyOther)
	s.want("404 not_found", "GET "+at, "", "Authorization", "Bearer "+keyOther)
	s.want("200", "GET "+at, "")
	for body, want := range map[string]string{`{}`: "/currency", `{"currency":"RUR"}`: "/currency", `{"currency":"RUB","language":"fr"}`: "/language",
		`{"currency":"RUB","return_url":"javascript:1"}`: "/return_url", `{"currency":"RUB","expires_at":"2020-01-01T00:00:00Z"}`: "/expires_at"} {
		if r := s.want("400 invalid_request", path, body, "Idempotency-Key", body); !strings.Contains(r.body, `"pointer":"`+want+`"`) {
			t.Errorf("%s: %s", body, r.body)
		}
	}
	for _, op := range document().operations() {
		for _, name := range exampleNames(op) {
			if !strings.HasSuffix(op.path, "/replacement") {
				continue
			}
			example, _ := document().at(op.node, "requestBody", "content", "application/json", "examples", name)
			text, err := json.Marshal(example.value["value"])
			must(t, err)
			s.want("201", path, string(text), "Idempotency-Key", name)
		}
	}
	b := &buyer{s: s}
	page := "/pay/" + idOf(t, made)
	if look := b.ask("GET", page, nil); look.status != 200 || !strings.Contains(texts(look.body), "Visa ending in 1111") {
		t.Errorf("the page: %d %s", look.status, texts(look.body))
	}
	if r := b.ask("POST", page, b.form(page, "5555 5555 5555 4444")); r.status != 303 || r.header.Get("Location") != page {
		t.Fatalf("the form is answered %d: %s", r.status, texts(r.body))
	}
	done := s.want("200", "GET "+at, "")
	if member[string](t, done.body, "status") != "complete" || !strings.Contains(done.body, `"url":null`) || !strings.HasPrefix(member[string](t, done.body, "proof"), "ver_") {
		t.Errorf("afterwards: %s", done.body)
	}
	if card := s.do("GET", "/v1/tokens/"+token, ""); !strings.Contains(card.body, `"last4":"4444"`) {
		t.Errorf("the token: %s", card.body)
	}
	s.want("409 invalid_state", "POST "+at+"/cancel", "{}")
	other := s.want("201", path, `{"currency":"RUB"}`, "Idempotency-Key", "other")
	for range 2 {
		if gone := s.want("200", "POST /v1/card_replacements/"+idOf(t, other)+"/cancel", "{}"); member[string](t, gone.body, "status") != "expired" {
			t.Errorf("after its end: %s", gone.body)
		}
	}
	noCardNumbers(t, "the log", s.log.String())
}

// TestCardIsReplacedInBrowser: the page takes a declined card, one that is saved already and
// a good one, with a script and without, in each language.
func TestCardIsReplacedInBrowser(t *testing.T) {
	s, _ := pageShop(t)
	b := browser.Start(t)
	for i, language := range []string{"en", "ru", "es"} {
		token := idOf(t, s.want("201", "POST /v1/tokens", strings.Replace(oldCardBody, "anna", "anna-"+language, 1)))
		s.want("201", "POST /v1/tokens", strings.NewReplacer("anna", "anna-"+language, "4111111111111111", "2200000000000004").Replace(oldCardBody))
		made := s.want("201", "POST /v1/tokens/"+token+"/replacement", `{"currency":"RUB","language":"`+language+`","return_url":"https://shop.example/"}`, "Idempotency-Key", language)
		script := i > 0
		p := b.Visit(t, browser.Visitor{NoScript: !script})
		look := func(name string) {
			if script {
				p.Accessible()
			}
			p.Shots("replace-" + language + "-" + name)
		}
		p.Open("http://" + s.addr + "/pay/" + idOf(t, made))
		look("form")
		for _, card := range []string{"4000000000009995", "2200000000000004"} {
			enter(p, card)
			p.Follow("button[type=submit]")
			p.Await("main.form .notice")
			look("notice-" + card[len(card)-2:])
		}
		enter(p, "5555555555554444")
		p.Follow("button[type=submit]")
		p.Await("main.done")
		look("done")
		if got := p.Text("main"); !strings.Contains(got, "4444") || strings.Contains(got, "5555555555554444") {
			t.Errorf("the end says %q", got)
		}
		calm(t, p)
	}
}
