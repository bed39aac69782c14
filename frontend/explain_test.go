package frontend

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestExplainDoesNothing: the answer shows the masked message that the payment
// after it is sent as, and the payment gets the very next numbers.
func TestExplainDoesNothing(t *testing.T) {
	s := openShop(t, nil)
	first := s.pay("e1", leanBody)
	var e struct {
		Accepted   bool
		Bank       string
		Considered []struct{ Bank, Verdict string }
		Message    struct {
			MTI    string
			Fields []struct {
				Number int
				Value  string
			}
		}
		Faults []any
	}
	r := s.want("200", "POST /v1/payments/explain", leanBody)
	must(t, json.Unmarshal([]byte(r.body), &e))
	noCardNumbers(t, "the explanation", r.body)
	if !e.Accepted || e.Bank != member[string](t, first.body, "bank") || e.Considered[0].Verdict != "chosen" || len(e.Faults) > 0 {
		t.Errorf("explained as %s", r.body)
	}
	sent := s.want("200", "GET /v1/payments/"+idOf(t, first)+"/timeline", "").body
	for _, f := range e.Message.Fields {
		if f.Value != "(given when sent)" && f.Number != 41 && !strings.Contains(sent, f.Value) {
			t.Errorf("field %d is %q, which the payment before did not have", f.Number, f.Value)
		}
	}
	second := s.pay("e2", leanBody)
	if a, b := member[string](t, first.body, "stan"), member[string](t, second.body, "stan"); b <= a || len(e.Message.Fields) < 10 {
		t.Errorf("trace numbers %s and then %s, %d fields", a, b, len(e.Message.Fields))
	}
	if n := strings.Count(s.do("GET", "/v1/payments", "").body, `"object":"payment"`); n != 2 {
		t.Errorf("%d payments after two", n)
	}
}

// TestExplainRefuses what a payment is refused for, and tells of a bank that none is.
func TestExplainRefuses(t *testing.T) {
	s := openShop(t, nil)
	r := s.want("400 invalid_request", "POST /v1/payments/explain", strings.Replace(leanBody, "129900", "1.5", 1))
	if !strings.Contains(r.body, `"not_an_integer"`) {
		t.Errorf("a bad amount: %s", r.body)
	}
	s.want("400 invalid_request", "POST /v1/payments/explain", payByToken(noToken))
	r = s.want("200", "POST /v1/payments/explain", strings.Replace(leanBody, "{", `{"bank":"nobody",`, 1))
	if !strings.Contains(r.body, `"accepted":false,"bank":null,"refusal":{"code":"unknown_bank"`) || !strings.Contains(r.body, `"verdict":"not_asked"`) {
		t.Errorf("an unknown bank: %s", r.body)
	}
}
