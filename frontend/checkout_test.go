package frontend

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const (
	noSession   = "cs_01kaz7q2v5e8xv9h2m3n4p5q6r"
	sessionBody = `{"amount":129900,"currency":"RUB","order_id":"A-1001"}`
)

// buyer is a browser without a screen: it knows cookies and forms, and follows no
// redirect.
type buyer struct {
	s      *shop
	cookie string
}

var formToken = regexp.MustCompile(`name="form" value="([^"]+)"`)

func (b *buyer) ask(method, path string, form url.Values) reply {
	b.s.t.Helper()
	req, err := http.NewRequest(method, "http://"+b.s.addr+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.s.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.cookie != "" {
		req.Header.Set("Cookie", b.cookie)
	}
	resp, err := (&http.Client{Transport: b.s.client.Transport, Timeout: b.s.client.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		b.s.t.Fatal(err)
	}
	r := readReply(b.s.t, resp)
	if set := r.header.Get("Set-Cookie"); set != "" {
		b.cookie, _, _ = strings.Cut(set, ";")
	}
	return r
}

// form is the page's form filled with a card.
func (b *buyer) form(path, card string) url.Values {
	b.s.t.Helper()
	found := formToken.FindStringSubmatch(b.ask("GET", path, nil).body)
	if found == nil {
		b.s.t.Fatalf("%s shows no form", path)
	}
	return url.Values{"form": {found[1]}, "method": {"card"}, "number": {card}, "expiry": {"12/30"}, "cvc": {"123"}}
}

// pathOf is the page's path of a session.
func pathOf(t *testing.T, session reply) string {
	t.Helper()
	return "/pay/" + idOf(t, session)
}

// walkCheckout gives the operations of checkout sessions each answer with one.
func walkCheckout(t *testing.T, given map[string]bool) {
	s := openShop(t, nil)
	defer s.collect(given)
	s.want("201", "POST /v1/webhook_endpoints", endpointBody)
	made := s.want("201", "POST /v1/checkout_sessions", sessionBody, "Idempotency-Key", "one")
	if again := s.want("201", "POST /v1/checkout_sessions", sessionBody, "Idempotency-Key", "one"); again.body != made.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeat is %s", again.body)
	}
	at := "/v1/checkout_sessions/" + idOf(t, made)
	s.want("422 idempotency_key_reused", "POST /v1/checkout_sessions", strings.Replace(sessionBody, "129900", "1", 1), "Idempotency-Key", "one")
	s.want("404 not_found", "GET "+at, "", "Authorization", "Bearer "+keyOther)
	s.want("200", "GET "+at, "")
	s.want("200", "GET /v1/checkout_sessions?limit=1", "")
	if qr := s.want("200", "GET "+at+"/qr", ""); !strings.HasPrefix(qr.body, "<svg ") {
		t.Errorf("the QR code is %.40s", qr.body)
	}
	for _, op := range document().operations() {
		for _, name := range exampleNames(op) {
			if !strings.HasPrefix(op.path, "/v1/checkout_sessions") {
				continue
			}
			example, _ := document().at(op.node, "requestBody", "content", "application/json", "examples", name)
			text, err := json.Marshal(example.value["value"])
			must(t, err)
			if op.path == "/v1/checkout_sessions" {
				s.want("201", "POST "+op.path, string(text), "Idempotency-Key", name)
				continue
			}
			id := idOf(t, s.want("201", "POST /v1/checkout_sessions", sessionBody, "Idempotency-Key", "for "+op.path+name))
			s.want("200", "POST "+strings.Replace(op.path, "{checkout_session_id}", id, 1), string(text), "Idempotency-Key", op.path+name)
		}
	}
	walkSending(s, at)
	s.want("200", "POST "+at+"/expire", "{}")
	s.want("409 invalid_state", "POST "+at+"/send", `{"email":"anna@shop.example"}`, "Idempotency-Key", "late")
	if gone := s.want("200", "POST "+at+"/expire", "{}"); member[string](t, gone.body, "status") != "expired" || !strings.Contains(gone.body, `"url":null`) {
		t.Errorf("after its end: %s", gone.body)
	}
	paid := s.want("201", "POST /v1/checkout_sessions", sessionBody, "Idempotency-Key", "two")
	b := &buyer{s: s}
	if r := b.ask("POST", pathOf(t, paid), b.form(pathOf(t, paid), "4111 1111 1111 1111")); r.status != 303 || r.header.Get("Location") != pathOf(t, paid) {
		t.Fatalf("the form is answered %d %s: %s", r.status, r.header.Get("Location"), r.body)
	}
	s.want("409 invalid_state", "POST /v1/checkout_sessions/"+idOf(t, paid)+"/expire", "{}")
	done := s.want("200", "GET /v1/checkout_sessions/"+idOf(t, paid), "")
	if member[string](t, done.body, "payment_status") != "captured" || member[string](t, done.body, "status") != "complete" {
		t.Errorf("after the payment: %s", done.body)
	}
	p := s.want("200", "GET /v1/payments/"+member[string](t, done.body, "payment"), "")
	for i, kind := range []string{"expired", "completed"} {
		e := s.want("200", "GET /v1/events?type=checkout_session."+kind, "").body
		if session := []string{idOf(t, made), idOf(t, paid)}[i]; strings.Count(e, `"object":"event"`) != 2-i || !strings.Contains(e, `"payment_id":null,"checkout_session":"`+session+`"`) {
			t.Errorf("%s: %s", kind, e)
		}
	}
	walkReceipt(s, "/v1/payments/"+member[string](t, done.body, "payment"))
	if member[string](t, p.body, "checkout_session") != idOf(t, paid) || member[string](t, p.body, "order_id") != "A-1001" {
		t.Errorf("the payment: %s", p.body)
	}
}

// walkSending sends the link of a session.
func walkSending(s *shop, at string) {
	s.t.Helper()
	s.want("400 invalid_request", "POST "+at+"/send", `{"phone":"12","language":"xx","email":"a@b@c","remind_before_hours":0,"x":1}`, "Idempotency-Key", "send bad")
	s.want("400 invalid_request", "POST "+at+"/send", `{}`, "Idempotency-Key", "send nowhere")
	sent := s.want("200", "POST "+at+"/send", `{"email":"anna@shop.example","phone":"+74951234567","language":"es"}`, "Idempotency-Key", "send")
	if !strings.Contains(sent.body, `"sent":[{"channel":"sms","to":"+7*******567","state":"owed"`) || !strings.Contains(sent.body, `"to":"a***@shop.example"`) {
		s.t.Errorf("sent: %s", sent.body)
	}
	if again := s.want("200", "POST "+at+"/send", `{"email":"anna@shop.example","phone":"+74951234567","language":"es"}`, "Idempotency-Key", "send"); again.body != sent.body || again.header.Get("Idempotency-Replayed") != "true" {
		s.t.Errorf("the repeat: %s", again.body)
	}
	s.want("422 idempotency_key_reused", "POST "+at+"/send", `{"email":"other@shop.example"}`, "Idempotency-Key", "send")
	s.want("409 invalid_state", "POST "+at+"/send", `{"email":"anna@shop.example"}`, "Idempotency-Key", "send again")
	for i, tt := range []struct{ customer, want string }{{`{"email":"anna@shop.example"}`, "201"}, {`{"id":"anna"}`, "400 invalid_request"}} {
		s.want(tt.want, "POST /v1/checkout_sessions", `{"amount":1,"currency":"RUB","order_id":"S","send":true,"customer":`+tt.customer+`}`, "Idempotency-Key", fmt.Sprint("with letter ", i))
	}
}

// walkReceipt sends the receipt of a payment again.
func walkReceipt(s *shop, at string) {
	s.t.Helper()
	s.want("400 invalid_request", "POST "+at+"/receipt", `{"phone":"+74951234567"}`, "Idempotency-Key", "receipt bad")
	s.want("400 invalid_request", "POST "+at+"/receipt", `{}`, "Idempotency-Key", "receipt nowhere")
	s.want("200", "POST "+at+"/receipt", `{"email":"anna@shop.example","language":"ru"}`, "Idempotency-Key", "receipt")
	again := s.want("200", "POST "+at+"/receipt", `{"email":"anna@shop.example","language":"ru"}`, "Idempotency-Key", "receipt")
	if again.header.Get("Idempotency-Replayed") != "true" || !strings.Contains(again.body, `"to":"a***@shop.example"`) || !strings.Contains(again.body, `"kind":"paid"`) {
		s.t.Errorf("the receipt: %s", again.body)
	}
	s.want("422 idempotency_key_reused", "POST "+at+"/receipt", `{}`, "Idempotency-Key", "receipt")
	s.want("409 invalid_state", "POST "+at+"/receipt", `{"email":"anna@shop.example"}`, "Idempotency-Key", "receipt again")
}

// TestBadCheckout: what is wrong is named, member by member.
func TestBadCheckout(t *testing.T) {
	s := openShop(t, nil)
	for i, tt := range []struct{ from, to, want string }{
		{`"amount":129900,`, ``, `{"pointer":"/amount","code":"required"`},
		{`"RUB"`, `"RUR"`, `{"pointer":"/currency","code":"unknown_currency"`},
		{`"A-1001"`, `""`, `{"pointer":"/order_id","code":"too_short"`},
		{`"A-1001"`, `"4111 1111 1111 1111"`, `{"pointer":"/order_id","code":"card_number_not_allowed"`},
		{`}`, `,"language":"fr"}`, `{"pointer":"/language","code":"unknown_value","detail":"Must be one of en, ru, es."`},
		{`}`, `,"success_url":"http://shop.example/"}`, `{"pointer":"/success_url","code":"invalid_format"`},
		{`}`, `,"return_url":"javascript:alert(1)"}`, `{"pointer":"/return_url","code":"invalid_format"`},
		{`}`, `,"expires_at":"tomorrow"}`, `{"pointer":"/expires_at","code":"invalid_format"`},
		{`}`, `,"expires_at":"2020-01-01T00:00:00Z"}`, `"pointer":"/expires_at"`},
		{`}`, `,"metadata":{"k":"4111111111111111"}}`, `{"pointer":"/metadata/k","code":"card_number_not_allowed"`},
		{`}`, `,"cancel_url":"https://shop.example/"}`, `{"pointer":"/cancel_url","code":"unknown_field"`},
	} {
		r := s.want("400 invalid_request", "POST /v1/checkout_sessions", strings.Replace(sessionBody, tt.from, tt.to, 1), "Idempotency-Key", fmt.Sprint(i))
		if !strings.Contains(r.body, tt.want) {
			t.Errorf("%s: %s", tt.to, r.body)
		}
	}
}
