package frontend

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

const endpointBody = `{"url":"https://shop.example/hooks"}`

// tested stands for a process that sends webhooks; frontend/webhooks tests the
// real one behind this API.
func tested(e *payswitch.Endpoint) (payswitch.Attempt, error) {
	return payswitch.Attempt{Endpoint: e.ID, At: testNow, Took: 12 * time.Millisecond, Code: 204, Done: true}, nil
}

// walkNotifications gives the answers about webhooks and events.
func walkNotifications(t *testing.T, given map[string]bool) {
	s := openShop(t, func(o *Options) { o.TestEndpoint = tested })
	defer s.collect(given)
	path := "/v1/webhook_endpoints/" + idOf(t, s.want("201", "POST /v1/webhook_endpoints", endpointBody))
	s.want("200", "GET "+path, "")
	s.want("200", "GET /v1/webhook_endpoints", "")
	s.want("200", "POST "+path+"/test", "{}")
	s.want("200", "POST "+path+"/roll_secret", `{"keep_old_hours":1}`)
	event := "/v1/events/" + s.paidEvent(t)
	s.want("200", "GET /v1/events", "")
	s.want("200", "GET "+event, "")
	s.want("200", "GET "+event+"/deliveries", "")
	s.want("200", "POST "+event+"/resend", "{}")
	s.want("200", "POST "+path+"/replay", `{"from":"2026-11-01T00:00:00Z"}`)
	s.want("200", "POST "+path, `{"enabled":false}`)
	s.want("409 invalid_state", "POST "+path+"/replay", `{"from":"2026-11-01T00:00:00Z"}`)
	s.want("409 invalid_state", "POST "+event+"/resend", fmt.Sprintf(`{"webhook_endpoint":%q}`, strings.TrimPrefix(path, endpointsPath)))
	for range payswitch.MaxEndpoints - 1 {
		s.want("201", "POST /v1/webhook_endpoints", endpointBody)
	}
	s.want("409 invalid_state", "POST /v1/webhook_endpoints", endpointBody)
	s.want("200", "POST "+path, `{"enabled":true}`)
	for _, op := range document().operations() {
		for _, name := range exampleNames(op) {
			if !strings.Contains(op.path, "webhook_endpoint_id") && !strings.Contains(op.path, "event_id") {
				continue
			}
			example, _ := document().at(op.node, "requestBody", "content", "application/json", "examples", name)
			body, err := json.Marshal(example.value["value"])
			must(t, err)
			id := strings.TrimPrefix(path, endpointsPath)
			to := strings.NewReplacer(noEndpoint, id, noEvent, strings.TrimPrefix(event, "/v1/events/")).Replace(op.to("", ""))
			text := strings.Replace(string(body), "we_01m85abqg2e03txhvkj21jdvtw", id, 1)
			if r := s.do(op.method, to, text); r.status != 200 {
				t.Errorf("%s %s, example %s: %d %s", op.method, op.path, name, r.status, r.body)
			}
			s.want("200", "POST "+path, `{"enabled":true}`)
		}
	}
	s.want("200", "DELETE "+path, "")
	s.want("404 not_found", "DELETE "+path, "")
	for order, want := range map[string]string{"bad": "409 shop_refused", "silent": "503 shop_silent", "good": "201"} {
		r := s.want(want, "POST /v1/payments", with("A-1001", order), append(bearer(keyAsked), "Idempotency-Key", "asked-"+order)...)
		if order == "bad" && !strings.Contains(r.body, "It said: sold out") || order == "silent" && r.header.Get("Retry-After") != "1" {
			t.Errorf("%s: %v %s", order, r.header, r.body)
		}
	}
}

// paidEvent is the id of the event of a new payment.
func (s *shop) paidEvent(t *testing.T) string {
	t.Helper()
	p := idOf(t, s.pay(fmt.Sprint("paid-", time.Now().UnixNano()), leanBody))
	var list struct {
		Data []struct{ ID, Type string }
	}
	must(t, json.Unmarshal([]byte(s.want("200", "GET /v1/events?payment_id="+p, "").body), &list))
	if len(list.Data) != 1 || list.Data[0].Type != "payment.captured" {
		t.Fatalf("the events of %s: %v", p, list.Data)
	}
	return list.Data[0].ID
}

// TestEndpointLife: the secret is told when it is made, and never again; a change
// changes what it names and nothing else; others see nothing of it.
func TestEndpointLife(t *testing.T) {
	s := openShop(t, nil)
	made := s.want("201", "POST /v1/webhook_endpoints", `{"url":"https://shop.example/a?b=c&d","description":"books","types":["refund.*","payment.captured"]}`)
	secret, path := member[string](t, made.body, "secret"), made.header.Get("Location")
	same := func(r reply, version int, url string) {
		t.Helper()
		var got, first webhookEndpoint
		must(t, json.Unmarshal([]byte(r.body), &got))
		must(t, json.Unmarshal([]byte(made.body), &first))
		if got.Version != uint32(version) || got.URL != url || got.Description != "books" || len(got.Types) != 2 || !got.Enabled || got.ID != first.ID {
			t.Errorf("the endpoint is %s", r.body)
		}
	}
	same(s.want("200", "GET "+path, ""), 1, "https://shop.example/a?b=c&d")
	same(s.want("200", "POST "+path, `{"url":"https://shop.example/new","types":null,"enabled":null}`), 2, "https://shop.example/new")
	rolled := s.want("200", "POST "+path+"/roll_secret", `{}`)
	if next := member[string](t, rolled.body, "secret"); next == secret || !strings.Contains(rolled.body, `{"hint":"...`+secret[len(secret)-4:]) {
		t.Errorf("the rolled endpoint is %s", rolled.body)
	}
	s.want("200", "POST "+path+"/roll_secret", `{"keep_old_hours":0}`)
	if now := s.want("200", "GET "+path, ""); !strings.Contains(now.body, `"old_secrets":[]`) || strings.Contains(now.body, "whsec_") {
		t.Errorf("the endpoint shows %s", now.body)
	}
	if strings.Contains(s.log.String(), "whsec_") {
		t.Error("a secret is logged")
	}
	for _, request := range []string{"GET " + path, "POST " + path, "DELETE " + path, "POST " + path + "/roll_secret"} {
		s.want("404 not_found", request, "{}", bearer(keyOther)...)
	}
	s.want("503 overloaded", "POST "+path+"/test", "{}")
}

// TestEventsAreListed by type, payment and period, page by page.
func TestEventsAreListed(t *testing.T) {
	s := openShop(t, nil)
	s.want("201", "POST /v1/webhook_endpoints", endpointBody)
	var paid []string
	for i := range 3 {
		p := idOf(t, s.pay(fmt.Sprint("listed-", i), leanBody))
		s.want("201", "POST /v1/payments/"+p+"/refunds", `{"amount":100}`, "Idempotency-Key", fmt.Sprint("back-", i))
		paid = append(paid, p)
	}
	count := func(query string) (n int) {
		t.Helper()
		for next := ""; ; {
			var page struct {
				Data []struct {
					ID   string
					Data struct{ Object map[string]any }
				}
				HasMore    bool   `json:"has_more"`
				NextCursor string `json:"next_cursor"`
			}
			must(t, json.Unmarshal([]byte(s.want("200", "GET /v1/events?limit=2"+query+next, "").body), &page))
			if n += len(page.Data); !page.HasMore {
				return n
			}
			next = "&cursor=" + page.NextCursor
		}
	}
	for query, want := range map[string]int{
		"": 9, "&type=refund.succeeded": 3, "&type=refund.succeeded,payment.captured": 6, "&payment_id=" + paid[1]: 3,
		"&payment_id=" + paid[1] + "&type=payment.captured": 1, "&payment_id=" + noPayment: 0, "&created_to=2020-01-01T00:00:00Z": 0,
		"&created_from=2020-01-01T00:00:00Z": 9,
	} {
		if got := count(query); got != want {
			t.Errorf("%q: %d events, want %d", query, got, want)
		}
	}
	s.want("404 not_found", "GET /v1/events/"+noEvent, "")
	if r := s.want("200", "GET /v1/events", "", bearer(keyOther)...); !strings.Contains(r.body, `"data":[]`) {
		t.Errorf("another shop sees %s", r.body)
	}
}

// TestBadNotificationRequests name what is wrong.
func TestBadNotificationRequests(t *testing.T) {
	s := openShop(t, nil)
	path := endpointsPath + idOf(t, s.want("201", "POST /v1/webhook_endpoints", endpointBody))
	event := s.paidEvent(t)
	for _, tt := range []struct{ to, body, want string }{
		{"/v1/webhook_endpoints", `{}`, `"/url","code":"required"`},
		{"/v1/webhook_endpoints", `{"url":null}`, `"/url","code":"required"`},
		{"/v1/webhook_endpoints", `{"url":"http://shop.example"}`, `"/url","code":"invalid_format"`},
		{"/v1/webhook_endpoints", `{"url":"https://shop.example","enabled":true}`, `"/enabled","code":"unknown_field"`},
		{"/v1/webhook_endpoints", `{"url":"https://shop.example","types":[]}`, `"/types"`},
		{"/v1/webhook_endpoints", `{"url":"https://shop.example","types":["payment.paid"]}`, `"/types"`},
		{"/v1/webhook_endpoints", `{"url":"https://shop.example","description":"4111 1111 1111 1111"}`, `"/description","code":"card_number_not_allowed"`},
		{"/v1/webhook_endpoints", `{"url":"https://shop.example/` + strings.Repeat("x", 2048) + `"}`, `"/url","code":"too_long"`},
		{path, `{"url":"https://me:pass@shop.example"}`, `"/url","code":"invalid_format"`},
		{path, `{"enabled":"no"}`, `"/enabled","code":"wrong_type"`},
		{path, `{"secret":"whsec_x"}`, `"/secret","code":"unknown_field"`},
		{path + "/roll_secret", `{"keep_old_hours":169}`, `"/keep_old_hours","code":"out_of_range"`},
		{path + "/replay", `{}`, `"/from","code":"required"`},
		{path + "/replay", `{"from":"2026-11-02T00:00:00Z","to":"2026-11-01T00:00:00Z"}`, `"/to","code":"out_of_range"`},
		{path + "/test", `{"url":"https://elsewhere.example"}`, `"/url","code":"unknown_field"`},
		{"/v1/events/" + event + "/resend", `{"webhook_endpoint":"we_1"}`, `"/webhook_endpoint","code":"invalid_format"`},
		{"/v1/events/" + event + "/resend", `{"webhook_endpoint":"` + noEndpoint + `"}`, `"/webhook_endpoint"`},
	} {
		if r := s.want("400 invalid_request", "POST "+tt.to, tt.body); !strings.Contains(r.body, tt.want) {
			t.Errorf("%s %.60s: %s lacks %s", tt.to, tt.body, r.body, tt.want)
		}
	}
	for query, want := range map[string]string{
		"type=payment.paid": `"/type","code":"invalid_format"`, "payment_id=pay_1": `"/payment_id","code":"invalid_format"`,
		"limit=101": `"/limit","code":"out_of_range"`, "cursor=x": `"/cursor","code":"invalid_format"`, "created_to=now": `"/created_to"`,
	} {
		if r := s.want("400 invalid_request", "GET /v1/events?"+query, ""); !strings.Contains(r.body, want) {
			t.Errorf("%s: %s lacks %s", query, r.body, want)
		}
	}
}

func TestAddressesOfEndpoints(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://shop.example/hooks?a=b": true, "https://shop.example:8443": true, "http://shop.example": false, "ftp://shop.example": false,
		"https://": false, "https:shop.example": false, "shop.example": false, "https://me:secret@shop.example": false,
		"https://shop.example/#here": false, "": false, "https://a b": false, "javascript:alert(1)": false,
	} {
		if err := CheckURL(text, false); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := CheckURL("http://shop.example", true); err != nil {
		t.Error(err)
	}
}
