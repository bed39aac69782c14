package frontend

import (
	"strings"
	"testing"
)

const (
	payoutBody = `{"amount":100,"currency":"RUB","order_id":"out-1","payment_method":{"type":"card","card":{"number":"4111111111111111","exp_month":12,"exp_year":2028}}}`
	verifyBody = `{"currency":"RUB","payment_method":{"type":"card","card":{"number":"4111111111111111","exp_month":12,"exp_year":2028,"cvc":"123"}}}`
)

// walkPurposes gives payouts, verifications and balances their answers.
func walkPurposes(s *shop) {
	s.want("409 insufficient_balance", "POST /v1/payouts", strings.Replace(payoutBody, "100", "900000000", 1), "Idempotency-Key", "o0")
	out := s.want("201", "POST /v1/payouts", payoutBody, "Idempotency-Key", "o1")
	s.want("202", "POST /v1/payouts", strings.Replace(payoutBody, "4111111111111111", testCardSlowRefund, 1), "Idempotency-Key", "o2")
	good := s.want("201", "POST /v1/verifications", verifyBody, "Idempotency-Key", "v1")
	for path, r := range map[string]reply{"/v1/payouts": out, "/v1/verifications": good} {
		s.want("200", "GET "+path, "")
		s.want("200", "GET "+path+"/"+idOf(s.t.(*testing.T), r), "")
		s.want("200", "GET "+path+"/"+idOf(s.t.(*testing.T), r)+"/timeline", "")
	}
	s.want("200", "GET /v1/balance", "")
}

// TestPayouts: what goes out is held to what came in, a repeat is the same
// payout, and it is a payout everywhere: no payment, in its list, its events and
// the results.
func TestPayouts(t *testing.T) {
	s := openShop(t, nil)
	balance := func(want string) {
		t.Helper()
		if r := s.do("GET", "/v1/balance", ""); !strings.Contains(r.body, `"data":[{"bank":"alfa","currency":"RUB",`+want+`}]`) {
			t.Errorf("%s, want %s", r.body, want)
		}
	}
	balance(`"amount":0,"available":0`)
	s.do("POST", "/v1/payouts", payoutBody, "Idempotency-Key", "a").wantProblem(t, 409, "insufficient_balance")
	s.made(t, "charged", false)
	balance(`"amount":129900,"available":129900`)
	first := s.do("POST", "/v1/payouts", payoutBody, "Idempotency-Key", "a")
	id := member[string](t, first.body, "id")
	if first.status != 201 || member[string](t, first.body, "status") != "succeeded" || !strings.HasPrefix(id, "po_") || first.header.Get("Location") != "/v1/payouts/"+id {
		t.Fatalf("%d %v %s", first.status, first.header, first.body)
	}
	if again := s.do("POST", "/v1/payouts", payoutBody, "Idempotency-Key", "a"); again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %d %s", again.status, again.body)
	}
	balance(`"amount":129800,"available":129800`)
	if r := s.do("GET", "/v1/payouts/"+id, ""); r.body != first.body {
		t.Errorf("read: %s", r.body)
	}
	s.do("GET", "/v1/payments/"+strings.Replace(id, "po_", "pay_", 1), "").wantProblem(t, 404, "not_found")
	s.do("GET", "/v1/payments/"+id, "").wantProblem(t, 404, "not_found")
	s.ask(strings.Replace(id, "po_", "pay_", 1), "refunds", "r", `{}`).wantProblem(t, 404, "not_found")
	if r := s.do("GET", "/v1/payments", ""); strings.Contains(r.body, "po_") {
		t.Errorf("among the payments: %s", r.body)
	}
	if r := s.do("GET", "/v1/payouts?order_id=out-1&status=succeeded", ""); !strings.Contains(r.body, first.body) {
		t.Errorf("the list: %s", r.body)
	}
	s.do("GET", "/v1/payouts?status=captured", "").wantProblem(t, 400, "invalid_request")
	if r := s.do("GET", "/v1/payouts/"+id+"/timeline", ""); !strings.Contains(r.body, `"260000"`) {
		t.Errorf("the timeline: %s", r.body)
	}
	noCardNumbers(t, "the payout", first.body)
}

// TestVerifications: a good card, a bad one and one nobody answers for; the last
// is unknown for good and waits for nothing.
func TestVerifications(t *testing.T) {
	s := openShop(t, nil)
	for card, want := range map[string]string{"4111111111111111": "succeeded", "4000000000000069": "declined", testCardSilent: "unknown"} {
		r := s.do("POST", "/v1/verifications", strings.Replace(verifyBody, "4111111111111111", card, 1), "Idempotency-Key", card)
		id := member[string](t, r.body, "id")
		if r.status != 201 || member[string](t, r.body, "status") != want || !strings.HasPrefix(id, "ver_") || strings.Contains(r.body, `"amount"`) {
			t.Errorf("%s: %d %s", want, r.status, r.body)
		}
		if read := s.do("GET", "/v1/verifications/"+id+"?wait=10s", ""); read.body != r.body {
			t.Errorf("%s: read %s", want, read.body)
		}
	}
	saved := strings.Replace(verifyBody, "{", `{"save_card":true,"customer":{"id":"customer-17"},`, 1)
	if r := s.do("POST", "/v1/verifications", saved, "Idempotency-Key", "s"); !strings.Contains(r.body, `"token":"tok_`) {
		t.Errorf("saved: %s", r.body)
	}
}

// TestBadPurposes: what has no effect is refused by name.
func TestBadPurposes(t *testing.T) {
	s := openShop(t, nil)
	for body, want := range map[string]string{
		"/v1/payouts " + strings.Replace(payoutBody, `"amount":100,`, "", 1):                            `"/amount","code":"required"`,
		"/v1/payouts " + strings.Replace(payoutBody, `"exp_year":2028`, `"exp_year":2028,"cvc":"1"`, 1): `card/cvc","code":"invalid_format"`,
		"/v1/payouts " + strings.Replace(payoutBody, `2028`, `2028,"cvc":"123"`, 1):                     `card/cvc","code":"unknown_field"`,
		"/v1/payouts " + strings.Replace(payoutBody, "{", `{"capture_method":"manual",`, 1):             `"/capture_method","code":"unknown_field"`,
		"/v1/payouts " + strings.Replace(payoutBody, "{", `{"save_card":true,`, 1):                      `"/save_card","code":"unknown_field"`,
		"/v1/payouts " + strings.Replace(payoutBody, "RUB", "EUR", 1):                                   `"/currency","code":"currency_not_supported"`,
		"/v1/verifications " + strings.Replace(verifyBody, "{", `{"amount":0,`, 1):                      `"/amount","code":"unknown_field"`,
		"/v1/verifications " + strings.Replace(verifyBody, "{", `{"save_card":true,`, 1):                `"/customer/id","code":"required"`,
	} {
		path, body, _ := strings.Cut(body, " ")
		r := s.do("POST", path, body, "Idempotency-Key", "bad")
		r.wantProblem(t, 400, "invalid_request")
		if !strings.Contains(r.body, want) {
			t.Errorf("%s: %s, want %s", path, r.body, want)
		}
	}
	s.do("POST", "/v1/payouts", payoutBody).wantProblem(t, 400, "idempotency_key_missing")
}
