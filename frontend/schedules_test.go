package frontend

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const noSchedule = "sch_01kaz7q2v5e8xv9h2m3n4p5q6r"

// scheduleBody is a monthly schedule that begins in a year.
func scheduleBody(token string, amount int) string {
	return fmt.Sprintf(`{"token":%q,"amount":%d,"currency":"RUB","period":{"unit":"month"},"start_at":%q}`, token, amount,
		time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339))
}

// walkSchedules gives the operations of schedules each answer with a schedule.
func walkSchedules(t *testing.T, given map[string]bool) {
	s := openShop(t, nil)
	defer s.collect(given)
	token := idOf(t, s.want("201", "POST /v1/tokens", tokenBody))
	body := scheduleBody(token, 100)
	made := s.want("201", "POST /v1/schedules", body, "Idempotency-Key", "one")
	if again := s.want("201", "POST /v1/schedules", body, "Idempotency-Key", "one"); again.body != made.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("a repeat: %s", again.body)
	}
	path := "/v1/schedules/" + idOf(t, made)
	if at := made.header.Get("Location"); at != path {
		t.Errorf("it stands at %s", at)
	}
	s.want("422 idempotency_key_reused", "POST /v1/schedules", scheduleBody(token, 101), "Idempotency-Key", "one")
	s.want("200", "GET "+path, "")
	s.want("200", "GET "+path+"/runs", "")
	s.want("200", "POST "+path, `{"amount":200}`)
	s.want("200", "POST "+path+"/pause", "{}")
	s.want("200", "POST "+path+"/resume", "{}")
	s.want("201", "POST /v1/schedules", body, "Idempotency-Key", "two")
	for _, op := range document().operations() {
		for _, name := range exampleNames(op) {
			if !strings.HasPrefix(op.path, "/v1/schedules") {
				continue
			}
			example, _ := document().at(op.node, "requestBody", "content", "application/json", "examples", name)
			text, err := json.Marshal(example.value["value"])
			must(t, err)
			fresh := idOf(t, s.want("201", "POST /v1/schedules", body, "Idempotency-Key", "for "+op.path+name))
			at := strings.Replace(op.to("", ""), noSchedule, fresh, 1)
			r := s.do(op.method, at, strings.Replace(string(text), "tok_01m858pafqe03txhvkj21jdvtw", token, 1), "Idempotency-Key", "example "+name)
			if r.status > 201 {
				t.Errorf("%s %s, example %s: %d %s", op.method, op.path, name, r.status, r.body)
			}
		}
	}
	s.want("200", "POST "+path+"/cancel", "{}")
	for _, act := range []string{"", "/pause", "/resume"} {
		s.want("409 invalid_state", "POST "+path+act, "{}")
	}
	now := s.want("201", "POST /v1/schedules", fmt.Sprintf(`{"token":%q,"amount":100,"currency":"RUB","period":{"unit":"day"},"count":1}`, token), "Idempotency-Key", "now")
	path = "/v1/schedules/" + idOf(t, now)
	for tries := 0; tries < 200 && member[string](t, s.want("200", "GET "+path, "").body, "status") != "completed"; tries++ {
		<-time.After(20 * time.Millisecond)
	}
	if r := s.want("200", "GET "+path+"/runs", ""); !strings.Contains(r.body, `"status":"succeeded"`) {
		t.Errorf("runs: %s", r.body)
	}
	s.want("409 invalid_state", "POST "+path+"/cancel", "{}")
	s.want("200", "GET /v1/schedules?limit=1", "")
	shop := idOf(t, s.want("201", "POST /v1/schedules", fmt.Sprintf(`{"run_by":"shop","token":%q,"max_amount":100,"currency":"RUB"}`, token), "Idempotency-Key", "shop"))
	pay := func(amount int) string {
		return fmt.Sprintf(`{"amount":%d,"currency":"RUB","initiator":"merchant","payment_method":{"type":"token","token":%q},"recurring":{"schedule":%q}}`, amount, token, shop)
	}
	if r := s.want("201", "POST /v1/payments", pay(100), "Idempotency-Key", "p1"); !strings.Contains(r.body, `"schedule":{"id":"`+shop+`","run":null}`) {
		t.Errorf("a payment of the shop's schedule: %s", r.body)
	}
	s.want("400 invalid_request", "POST /v1/payments", pay(101), "Idempotency-Key", "p2")
}

// TestBadSchedules: what is wrong is named, member by member.
func TestBadSchedules(t *testing.T) {
	s := openShop(t, nil)
	token := idOf(t, s.want("201", "POST /v1/tokens", tokenBody))
	for _, tt := range []struct{ member, want string }{
		{`"token":"pay_1"`, `"/token","code":"invalid_format"`},
		{`"currency":"rub"`, `"/currency","code":"unknown_currency"`},
		{`"amount":0`, `"/amount","code":"out_of_range"`},
		{`"period":{"unit":"fortnight"}`, `"/period/unit","code":"unknown_value"`},
		{`"period":{"unit":"month","every":13}`, `"/period/every","code":"out_of_range"`},
		{`"period":{"every":1}`, `"/period/unit","code":"required"`},
		{`"period":{"unit":"day","day":1}`, `"/period/day","code":"unknown_field"`},
		{`"retry":{"times":11}`, `"/retry/times","code":"out_of_range"`},
		{`"grace_hours":0`, `"/grace_hours","code":"out_of_range"`},
		{`"start_at":"tomorrow"`, `"/start_at","code":"invalid_format"`},
		{`"run_by":"nobody"`, `"/run_by","code":"unknown_value"`},
		{`"description":"4111111111111111"`, `"/description","code":"card_number_not_allowed"`},
		{`"cvc":"123"`, `"/cvc","code":"unknown_field"`},
	} {
		fields := map[string]json.RawMessage{}
		must(t, json.Unmarshal([]byte(scheduleBody(token, 100)), &fields))
		must(t, json.Unmarshal([]byte("{"+tt.member+"}"), &fields))
		body, err := json.Marshal(fields)
		must(t, err)
		if r := s.want("400 invalid_request", "POST /v1/schedules", string(body), "Idempotency-Key", tt.member[1:8]); !strings.Contains(r.body, tt.want) {
			t.Errorf("%s: %s", tt.member, r.body)
		}
	}
}
