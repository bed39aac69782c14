package frontend

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const (
	tokenBody   = `{"payment_method":{"type":"card","card":{"number":"4111111111111111","exp_month":12,"exp_year":2028}},"customer":{"id":"anna"}}`
	replaceBody = `{"payment_method":{"type":"card","card":{"number":"5555555555554444","exp_month":1,"exp_year":2030}}}`
)

func payByToken(token string) string {
	return fmt.Sprintf(`{"amount":5000,"currency":"RUB","initiator":"merchant","payment_method":{"type":"token","token":%q}}`, token)
}

// saveCard pays and saves the card.
func saveCard(customer string) string {
	return also(`"save_card":true,"customer":{"id":"` + customer + `"}`)
}

// walkCards gives the operations of saved cards each answer with a card.
func walkCards(t *testing.T, given map[string]bool) {
	s := openShop(t, nil)
	defer s.collect(given)
	token := "/v1/tokens/" + idOf(t, s.want("201", "POST /v1/tokens", tokenBody))
	other := idOf(t, s.want("201", "POST /v1/tokens", strings.Replace(tokenBody, "4111111111111111", testCardResolved, 1)))
	s.want("200", "POST /v1/tokens", tokenBody)
	s.want("200", "GET "+token, "")
	s.want("200", "POST "+token+"/replace", replaceBody)
	s.want("409 invalid_state", "POST "+token+"/replace", strings.Replace(replaceBody, "5555555555554444", testCardResolved, 1))
	s.want("200", "GET /v1/customers/anna/tokens", "")
	s.want("404 not_found", "GET /v1/customers/an%20na/tokens", "")
	s.want("200", "DELETE "+token, "")
	s.want("404 not_found", "DELETE "+token, "")
	s.want("404 not_found", "GET /v1/tokens/pay_1", "")
	for i := range 49 {
		s.want("201", "POST /v1/tokens", strings.Replace(tokenBody, "4111111111111111", cardNumber(i), 1))
	}
	s.want("409 invalid_state", "POST /v1/tokens", tokenBody)
	s.want("400 invalid_request", "POST /v1/payments", saveCard("anna"), "Idempotency-Key", "no room")
	for _, op := range document().operations() {
		for _, name := range exampleNames(op) {
			if op.movesMoney() || !strings.Contains(op.path, "/tokens") || strings.HasSuffix(op.path, "/replacement") {
				continue
			}
			example, _ := document().at(op.node, "requestBody", "content", "application/json", "examples", name)
			body, err := json.Marshal(example.value["value"])
			must(t, err)
			r := s.do(op.method, strings.Replace(op.to("", ""), noToken, other, 1), string(body))
			if r.status > 201 {
				t.Errorf("%s %s, example %s: %d %s", op.method, op.path, name, r.status, r.body)
			}
		}
	}
}

// cardNumber is a number that no bank knows.
func cardNumber(i int) string {
	for check := range 10 {
		number := fmt.Sprintf("40000099%07d%d", i, check)
		if looksLikeCardNumber([]byte(number)) {
			return number
		}
	}
	panic("no check digit fits")
}

// TestOneClick: a card is saved with a payment, pays by its token, and what is
// shown of it is masked.
func TestOneClick(t *testing.T) {
	s := openShop(t, nil)
	first := s.want("201", "POST /v1/payments", saveCard("anna"), "Idempotency-Key", "k1")
	method := member[map[string]any](t, first.body, "payment_method")
	token, _ := method["token"].(string)
	if method["type"] != "card" || !strings.HasPrefix(token, "tok_") {
		t.Fatalf("paid with %v", method)
	}
	click := s.want("201", "POST /v1/payments", payByToken(token), "Idempotency-Key", "k2")
	if got := member[map[string]any](t, click.body, "payment_method"); got["type"] != "token" || got["token"] != token {
		t.Errorf("one click: %v", got)
	}
	again := s.want("201", "POST /v1/payments", payByToken(token), "Idempotency-Key", "k2")
	if again.body != click.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeat differs: %s", again.body)
	}
	shown := s.want("200", "GET /v1/tokens/"+token, "")
	if got := member[map[string]any](t, shown.body, "card"); got["last4"] != "1111" || strings.Contains(shown.body, "4111111111111111") {
		t.Errorf("shown: %s", shown.body)
	}
	if r := s.want("400 invalid_request", "POST /v1/payments", payByToken(noToken), "Idempotency-Key", "k3"); !strings.Contains(r.body, `"code":"unknown_token"`) {
		t.Errorf("an unknown token: %s", r.body)
	}
	other := s.do("POST", "/v1/payments", payByToken(token), "Idempotency-Key", "k4", "Authorization", "Bearer "+keyOther)
	if other.status != 400 || !strings.Contains(other.body, `"code":"unknown_token"`) {
		t.Errorf("another shop's token: %d %s", other.status, other.body)
	}
	s.want("404 not_found", "GET /v1/tokens/"+token, "", "Authorization", "Bearer "+keyOther)
	s.want("200", "POST /v1/tokens/"+token+"/replace", `{"payment_method":{"type":"card","card":{"exp_month":11,"exp_year":2026}}}`)
	plain := s.want("201", "POST /v1/payments", leanBody, "Idempotency-Key", "k5")
	if got := member[map[string]any](t, plain.body, "payment_method"); got["type"] != "card" || got["token"] != nil {
		t.Errorf("a payment that saves nothing: %v", got)
	}
	if strings.Contains(s.log.String(), "4111111111111111") {
		t.Error("the log holds a card number")
	}
}

// TestSavedCardRules names what of saved cards does not go together.
func TestSavedCardRules(t *testing.T) {
	s := openShop(t, nil)
	card := `"card":{"number":"4111111111111111","exp_month":12,"exp_year":2028}`
	pay := func(method, more string) string {
		return `{"amount":1,"currency":"RUB","payment_method":{` + method + `}` + more + `}`
	}
	byToken := `"type":"token","token":"` + noToken + `"`
	for _, tt := range []struct{ path, body, want string }{
		{"payments", pay(`"type":"token"`, ""), `"/payment_method/token","code":"required"`},
		{"payments", pay(`"type":"token","token":"tok_1"`, ""), `"/payment_method/token","code":"invalid_format"`},
		{"payments", pay(byToken+","+card, ""), `"/payment_method/card","code":"invalid_value"`},
		{"payments", pay(`"type":"card","token":"`+noToken+`",`+card, ""), `"/payment_method/token","code":"invalid_value"`},
		{"payments", pay(`"type":"card","cvc":"123",`+card, ""), `"/payment_method/cvc","code":"invalid_value"`},
		{"payments", pay(byToken+`,"cvc":"12a"`, ""), `"/payment_method/cvc","code":"invalid_format"`},
		{"payments", pay(byToken, `,"save_card":true,"customer":{"id":"a"}`), `"/save_card","code":"invalid_value"`},
		{"payments", pay(`"type":"card",`+card, `,"save_card":true`), `"/customer/id","code":"required"`},
		{"payments", pay(`"type":"card",`+card, `,"save_card":"yes"`), `"/save_card","code":"wrong_type"`},
		{"payments", pay(`"type":"card",`+card, `,"customer":{"id":"a/b"}`), `"/customer/id","code":"invalid_characters"`},
		{"payments", pay(`"type":"card",`+card, `,"customer":{"id":"5555555555554444"}`), `"/customer/id","code":"card_number_not_allowed"`},
		{"payments", pay(`"type":"card",`+card, `,"customer":{"id":"x4111111111111111"}`), `"/customer/id","code":"card_number_not_allowed"`},
		{"tokens", `{"payment_method":{"type":"card",` + card + `}}`, `"/customer/id","code":"required"`},
		{"tokens", `{"customer":{"id":"a"}}`, `"/payment_method","code":"required"`},
		{"tokens", `{"customer":{"id":"a"},"payment_method":{` + byToken + `}}`, `"/payment_method/type","code":"unknown_value"`},
		{"tokens", strings.Replace(tokenBody, `"exp_month"`, `"cvc":"123","exp_month"`, 1), `"/payment_method/card/cvc","code":"unknown_field"`},
		{"tokens", strings.Replace(tokenBody, `"id"`, `"email":"a@b.example","id"`, 1), `"/customer/email","code":"unknown_field"`},
		{"tokens", strings.Replace(tokenBody, "2028", "2020", 1), `"/payment_method/card/exp_month","code":"expired"`},
		{"tokens", strings.Replace(tokenBody, `"customer"`, `"amount":1,"customer"`, 1), `"/amount","code":"unknown_field"`},
		{"tokens", `[]`, `"","code":"wrong_type"`},
		{"tokens/" + noToken + "/replace", tokenBody, `"/customer","code":"unknown_field"`},
		{"tokens/" + noToken + "/replace", `{"payment_method":{"type":"card","card":{}}}`, `"/payment_method/card/exp_month","code":"required"`},
		{"tokens/" + noToken + "/replace", `{}`, `"/payment_method","code":"required"`},
	} {
		r := s.want("400 invalid_request", "POST /v1/"+tt.path, tt.body, "Idempotency-Key", "k")
		if !strings.Contains(r.body, `"pointer":`+tt.want) {
			t.Errorf("%s %s\n answered %s\n want %s", tt.path, tt.body, r.body, tt.want)
		}
	}
}
