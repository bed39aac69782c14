package frontend

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// made is a payment that exists; manual: a hold.
func (s *shop) made(t *testing.T, key string, manual bool) string {
	t.Helper()
	body := leanBody
	if manual {
		body = strings.Replace(body, "{", `{"capture_method":"manual",`, 1)
	}
	r := s.pay(key, body)
	if r.status != 201 {
		t.Fatal(r.body)
	}
	return member[string](t, r.body, "id")
}

func (s *shop) ask(payment, what, key, body string) reply {
	s.t.Helper()
	return s.do("POST", "/v1/payments/"+payment+"/"+what, body, "Idempotency-Key", key)
}

// inside is a member of a member.
func inside(t *testing.T, body, outer, name string) any {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	within, ok := all[outer].(map[string]any)
	if !ok {
		t.Fatalf("no %s in %s", outer, body)
	}
	return within[name]
}

func TestCaptureOverHTTP(t *testing.T) {
	s := openShop(t, nil)
	id := s.made(t, "hold-1", true)
	first := s.ask(id, "capture", "cap-1", `{"amount":100}`)
	if first.status != 201 || member[string](t, first.body, "object") != "capture" || member[string](t, first.body, "status") != "succeeded" ||
		!strings.HasPrefix(member[string](t, first.body, "id"), "cap_") || inside(t, first.body, "payment", "status") != "captured" ||
		inside(t, first.body, "payment", "amount_captured") != 100.0 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	if again := s.ask(id, "capture", "cap-1", `{"amount":100}`); again.body != first.body || again.status != 201 || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeat answers %d %s", again.status, again.body)
	}
	s.ask(id, "capture", "cap-1", `{"amount":101}`).wantProblem(t, 422, "idempotency_key_reused")
	s.ask(id, "cancel", "cap-1", `{"amount":100}`).wantProblem(t, 422, "idempotency_key_reused")
	s.pay("cap-1", leanBody).wantProblem(t, 422, "idempotency_key_reused")
	s.ask(id, "capture", "hold-1", `{"amount":100}`).wantProblem(t, 422, "idempotency_key_reused")
	over := s.ask(id, "capture", "cap-2", `{"amount":999999999}`)
	over.wantProblem(t, 409, "invalid_state")
	if !strings.Contains(over.body, `"pointer":"/amount"`) || !strings.Contains(over.body, `"retryable":false`) {
		t.Errorf("the refusal says %s", over.body)
	}
	if rest := s.ask(id, "capture", "cap-2", `{"final":true}`); rest.status != 201 || !member[bool](t, rest.body, "final") {
		t.Errorf("a key of a refusal is free: %d %s", rest.status, rest.body)
	}
	if story := s.do("GET", "/v1/payments/"+id+"/timeline", ""); !strings.Contains(story.body, `"capture_succeeded"`) || !strings.Contains(story.body, `"0220"`) {
		t.Errorf("the timeline is %s", story.body)
	}
}

func TestCancelAndRefundOverHTTP(t *testing.T) {
	s := openShop(t, nil)
	held := s.made(t, "a", true)
	if r := s.ask(held, "cancel", "b", `{"reason":"out of stock"}`); r.status != 201 || member[string](t, r.body, "method") != "void" ||
		inside(t, r.body, "payment", "status") != "canceled" || member[string](t, r.body, "reason") != "out of stock" {
		t.Errorf("cancel of a hold: %d %s", r.status, r.body)
	}
	s.ask(held, "refunds", "c", `{}`).wantProblem(t, 409, "invalid_state")
	id := s.made(t, "d", false)
	first := s.ask(id, "refunds", "e", `{"amount":100}`)
	ref := member[string](t, first.body, "id")
	if first.status != 201 || !strings.HasPrefix(ref, "ref_") || first.header.Get("Location") != "/v1/payments/"+id+"/refunds/"+ref ||
		inside(t, first.body, "payment", "status") != "partially_refunded" {
		t.Fatalf("%d %v %s", first.status, first.header, first.body)
	}
	one := s.do("GET", "/v1/payments/"+id+"/refunds/"+ref, "")
	list := s.do("GET", "/v1/payments/"+id+"/refunds", "")
	if one.status != 200 || !strings.Contains(list.body, one.body) || !strings.HasPrefix(first.body, strings.TrimSuffix(one.body, "}")) {
		t.Errorf("one refund %s\nlist %s\nfirst %s", one.body, list.body, first.body)
	}
	s.do("GET", "/v1/payments/"+held+"/refunds/"+ref, "").wantProblem(t, 404, "not_found")
	s.do("GET", "/v1/payments/"+id+"/refunds/pay_1", "").wantProblem(t, 404, "not_found")
	s.do("GET", "/v1/payments/"+id+"/refunds/"+ref+"/x", "").wantProblem(t, 404, "not_found")
	s.do("GET", "/v1/payments/"+id+"/capture", "").wantProblem(t, 405, "method_not_allowed")
	s.do("POST", "/v1/payments/"+id+"/refunds", `{}`, "Idempotency-Key", "f", "Authorization", "Bearer "+keyOther).wantProblem(t, 404, "not_found")
}

// Bad bodies of operations are refused by name and leave nothing.
func TestBadOperations(t *testing.T) {
	s := openShop(t, nil)
	id := s.made(t, "a", true)
	for body, want := range map[string]string{
		`{"amount":0}`:                  `"/amount","code":"out_of_range"`,
		`{"amount":1.5}`:                `"/amount","code":"not_an_integer"`,
		`{"amount":"1"}`:                `"/amount","code":"wrong_type"`,
		`{"final":"yes"}`:               `"/final","code":"wrong_type"`,
		`{"final":1}`:                   `"/final","code":"wrong_type"`,
		`{"reason":"x"}`:                `"/reason","code":"unknown_field"`,
		`{"amount":1,"amount":2}`:       `"/amount","code":"duplicate_field"`,
		`{"amount":1} x`:                `"","code":"trailing_data"`,
		`[]`:                            `"","code":"wrong_type"`,
		``:                              `"","code":"invalid_json"`,
		`{"amont":1}`:                   `"/amont","code":"unknown_field"`,
		`{"amount":1,"final":tru}`:      `"code":"invalid_json"`,
		`{"amount":99999999999999999}`:  `"/amount","code":"out_of_range"`,
		`{"amount":null,"final":null} `: "",
	} {
		r := s.ask(id, "capture", "bad", body)
		if want == "" {
			if r.status != 201 {
				t.Errorf("%s: %d %s", body, r.status, r.body)
			}
			continue
		}
		r.wantProblem(t, 400, "invalid_request")
		if !strings.Contains(r.body, want) {
			t.Errorf("%s: %s, want %s", body, r.body, want)
		}
	}
	r := s.ask(id, "cancel", "bad-2", `{"final":true,"reason":"4111 1111 1111 1111"}`)
	if !strings.Contains(r.body, `"/final","code":"unknown_field"`) || !strings.Contains(r.body, `"/reason","code":"card_number_not_allowed"`) {
		t.Errorf("%s", r.body)
	}
	noCardNumbers(t, "the answer", r.body)
	s.do("POST", "/v1/payments/"+id+"/capture", `{}`).wantProblem(t, 400, "idempotency_key_missing")
	s.do("POST", "/v1/payments/"+id+"/capture", `{}`, "Idempotency-Key", "k", "Content-Type", "text/plain").wantProblem(t, 415, "media_type")
	s.do("POST", "/v1/payments/"+id+"/capture?x=1", `{}`, "Idempotency-Key", "k").wantProblem(t, 400, "invalid_request")
}

// Many refunds at once never give back more than was captured.
func TestRefundsAtOnceOverHTTP(t *testing.T) {
	s := openShop(t, nil)
	id := s.made(t, "many", false)
	amount := int(member[float64](t, s.do("GET", "/v1/payments/"+id, "").body, "amount"))
	part := amount/3 + 1
	var all sync.WaitGroup
	var mu sync.Mutex
	given := 0
	for n := range 12 {
		all.Go(func() {
			r := s.ask(id, "refunds", fmt.Sprintf("r-%d", n), fmt.Sprintf(`{"amount":%d}`, part))
			mu.Lock()
			defer mu.Unlock()
			if r.status == 201 {
				given++
			} else if r.status != 409 {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	all.Wait()
	if given != 2 {
		t.Errorf("%d refunds of %d were given out of %d", given, part, amount)
	}
}
