package frontend

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// Cards whose operations the simulated bank does not answer at first.
const (
	testCardSlowAdvice = "4000000001180001"
	testCardSlowRefund = "4000000001220005"
	testCardSlowRaise  = "4000000001320003"
	noPayment          = "pay_01kaz7q2v5e8xv9h2m3n4p5q6r"
	noPayout           = "po_01kaz7q2v5e8xv9h2m3n4p5q6r"
	noVerified         = "ver_01kaz7q2v5e8xv9h2m3n4p5q6r"
	noRefund           = "ref_01kaz7q2v5e8xv9h2m3n4p5q6r"
	noToken            = "tok_01kaz7q2v5e8xv9h2m3n4p5q6r"
	noKey              = "key_01kaz7q2v5e8xv9h2m3n4p5q6r"
	noBatch            = "bat_01kaz7q2v5e8xv9h2m3n4p5q6r"
	noEndpoint         = "we_01kaz7q2v5e8xv9h2m3n4p5q6r"
	noEvent            = "evt_01kaz7q2v5e8xv9h2m3n4p5q6r"
	noApplication      = "app_01kaz7q2v5e8xv9h2m3n4p5q6r"
)

// TestDocumentIsTrue walks over all operations and provokes every answer that
// the document tells of. Each answer is held to its schema on the way; at the
// end none may be left that nobody gave.
func TestDocumentIsTrue(t *testing.T) {
	given := map[string]bool{}
	walk := func(name string, steps func(*testing.T, map[string]bool)) {
		t.Run(name, func(t *testing.T) { steps(t, given) })
	}
	walk("lives", walkLives)
	walk("refusals", walkRefusals)
	walk("keys", walkKeys)
	walk("examples", walkExamples)
	walk("slow clients", walkSlow)
	walk("crowded", walkCrowded)
	walk("defect", walkDefect)
	walk("no bank", walkNoBank)
	walk("no journal", walkNoJournal)
	walk("saved cards", walkCards)
	walk("batches", walkBatches)
	walk("schedules", walkSchedules)
	walk("checkout", walkCheckout)
	walk("buttons", walkButtons)
	walk("replacements", walkReplacements)
	walk("notifications", walkNotifications)
	walk("page templates", walkTemplates)
	walk("applications", walkApplications)
	missing := document().lines()
	for line := range given {
		delete(missing, line)
	}
	for _, line := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("documented and never given: %s", line)
	}
}

// collect adds what a shop has answered.
func (s *shop) collect(given map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(given, s.lines)
}

// path fills the placeholders of a documented path.
func (o apiOperation) to(payment, refund string) string {
	return strings.NewReplacer("{payment_id}", payment, "{refund_id}", refund, "{token_id}", noToken, "{customer_id}", "customer-17", "{key_id}", noKey, "{batch_id}", noBatch, "{schedule_id}", noSchedule, "{bank_id}", "nobody", "{checkout_session_id}", noSession, "{button_id}", noButton, "{card_replacement_id}", noReplacement,
		"{payout_id}", noPayout, "{verification_id}", noVerified, "{webhook_endpoint_id}", noEndpoint, "{event_id}", noEvent, "{application_id}", noApplication, "{version}", noTemplate).Replace(o.path)
}

// movesMoney tells the operations that have an idempotency key and need a bank.
func (o apiOperation) movesMoney() bool {
	return o.documents("422") && o.path != "/v1/batches" && o.path != "/v1/schedules" && !strings.HasPrefix(o.path, "/v1/checkout_sessions") && o.path != "/v1/buttons" && !strings.HasSuffix(o.path, "/receipt") && !strings.HasSuffix(o.path, "/replacement")
}

// body is one that the operation takes.
func (o apiOperation) body() string {
	switch {
	case o.method != "POST":
		return ""
	case strings.HasSuffix(o.path, "/replacement"):
		return `{"currency":"RUB"}`
	case strings.HasPrefix(o.path, "/v1/tokens"):
		return replaceBody
	case o.path == "/v1/batches":
		return `{"operation":"refund","payment_id":"` + noPayment + `","amount":129900}`
	case o.path == "/v1/payments", o.path == "/v1/payments/explain":
		return leanBody
	case o.path == "/v1/schedules":
		return scheduleBody(noToken, 129900)
	case o.path == "/v1/checkout_sessions":
		return sessionBody
	case o.path == "/v1/buttons":
		return buttonBody
	case o.path == "/v1/payouts":
		return payoutBody
	case o.path == "/v1/verifications":
		return verifyBody
	case o.path == "/v1/webhook_endpoints":
		return endpointBody
	case o.path == "/v1/applications":
		return formBody
	case strings.HasPrefix(o.path, "/v1/applications/"):
		return `{"type":"withdraw"}`
	case o.path == "/v1/page_templates" || o.path == "/v1/page_templates/lint":
		return `{"files":{"page.html":"<header></header><tranzit-payment></tranzit-payment>"}}`
	case strings.HasSuffix(o.path, "/replay"):
		return `{"from":"2026-11-01T00:00:00Z"}`
	case o.path == "/v1/api_keys":
		return `{"name":"walk","scopes":["payments:read"]}`
	}
	if strings.HasSuffix(o.path, "/increment") {
		return `{"amount":150000}`
	}
	return "{}"
}

// needsHold tells the operations of a payment that is not captured.
func (o apiOperation) needsHold() bool {
	return strings.HasSuffix(o.path, "/capture") || strings.HasSuffix(o.path, "/increment")
}

// gives reports whether the document tells of an answer: "503 bank_unavailable".
func (o apiOperation) gives(answer string) bool {
	return document().lines()[o.method+" "+o.path+" "+answer]
}

func (o apiOperation) documents(status string) bool {
	_, ok := document().at(o.node, "responses", status)
	return ok
}

// want sends a request, "GET /v1/payments", and asks for a status and, of a
// problem, a code.
func (s *shop) want(answer, request, body string, headers ...string) reply {
	s.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r := s.do(method, path, body, headers...)
	var p struct{ Code string }
	if r.status >= 400 {
		_ = json.Unmarshal([]byte(r.body), &p)
	}
	if got := strings.TrimSpace(fmt.Sprint(r.status, " ", p.Code)); got != answer {
		s.t.Errorf("%s %s: %s, want %s: %.300s", method, path, got, answer, r.body)
	}
	return r
}

func idOf(t *testing.T, r reply) string { return member[string](t, r.body, "id") }

// hold is a request that holds the money of a card.
func hold(card string) string {
	return strings.Replace(with("4111111111111111", card), "{", `{"capture_method":"manual",`, 1)
}

// walkLives gives every operation each answer with a payment.
func walkLives(t *testing.T, given map[string]bool) {
	s := openShop(t, nil)
	defer s.collect(given)
	s.want("202", "POST /v1/payments", with("4111111111111111", testCardResolved), "Idempotency-Key", "w1")
	for i, tt := range []struct{ card, operation, answer string }{
		{"4111111111111111", "capture", "201"},
		{"4111111111111111", "cancel", "201"},
		{"4111111111111111", "increment", "201"},
		{testCardSlowRaise, "increment", "202"},
		{testCardSlowAdvice, "capture", "202"},
		{testCardSlowAdvice, "cancel", "202"},
	} {
		key := fmt.Sprintf("hold-%d", i)
		path := "/v1/payments/" + idOf(t, s.want("201", "POST /v1/payments", hold(tt.card), "Idempotency-Key", key))
		if tt.operation == "increment" {
			s.want(tt.answer, "POST "+path+"/increment", `{"amount":150000}`, "Idempotency-Key", key+"-a")
			s.want("409 invalid_state", "POST "+path+"/increment", `{"amount":1}`, "Idempotency-Key", key+"-b")
			continue
		}
		s.want(tt.answer, "POST "+path+"/"+tt.operation, "{}", "Idempotency-Key", key+"-a")
		s.want("409 invalid_state", "POST "+path+"/capture", "{}", "Idempotency-Key", key+"-b")
		s.want("200", "GET "+path+"/timeline", "")
	}
	for i, tt := range []struct{ card, answer string }{{"4111111111111111", "201"}, {testCardSlowRefund, "202"}, {"4000000001210006", "201"}} {
		key := fmt.Sprintf("charge-%d", i)
		path := "/v1/payments/" + idOf(t, s.want("201", "POST /v1/payments", with("4111111111111111", tt.card), "Idempotency-Key", key))
		refund := s.want(tt.answer, "POST "+path+"/refunds", "{}", "Idempotency-Key", key+"-a")
		if tt.answer == "201" && i == 0 {
			s.want("409 invalid_state", "POST "+path+"/refunds", "{}", "Idempotency-Key", key+"-b")
			s.want("409 invalid_state", "POST "+path+"/cancel", "{}", "Idempotency-Key", key+"-b")
		}
		s.want("200", "GET "+path+"/refunds/"+idOf(t, refund), "")
		s.want("200", "GET "+path+"/refunds", "")
		s.want("200", "GET "+path, "")
		s.want("200", "GET "+path+"/timeline", "")
	}
	s.want("202", "POST /v1/payments", onceFor("doubtful", testCardResolved), "Idempotency-Key", "once-1")
	s.want("409 order_in_progress", "POST /v1/payments", onceFor("doubtful", "4111111111111111"), "Idempotency-Key", "once-2")
	s.want("201", "POST /v1/payments", onceFor("paid", "4111111111111111"), "Idempotency-Key", "once-3")
	s.want("409 order_paid", "POST /v1/payments", onceFor("paid", "4111111111111111"), "Idempotency-Key", "once-4")
	walkPurposes(s)
	s.want("200", "GET /v1/payments", "")
	s.want("200", "POST /v1/payments/explain", leanBody)
	s.want("200", "GET /v1/declines", "")
	s.want("200", "GET /v1/banks", "")
	s.want("200", "GET /v1/banks/alfa", "")
	s.want("200", "GET /v1/results", "")
	tag := s.want("200", "GET /openapi.json", "").header.Get("Etag")
	s.want("304", "GET /openapi.json", "", "If-None-Match", tag)
}

// onceFor is a request for an order that is paid once.
func onceFor(order, card string) string {
	return strings.Replace(strings.Replace(with("4111111111111111", card), "{", `{"order_once":true,`, 1), "A-1001", order, 1)
}

// walkRefusals gives every operation what it refuses of one request alone.
func walkRefusals(t *testing.T, given map[string]bool) {
	s := openShop(t, nil)
	defer s.collect(given)
	real := idOf(t, s.pay("taken", leanBody))
	for range 4 {
		s.do("GET", "/v1/payments", "", "Authorization", "Bearer "+keyLimited)
	}
	key := []string{"Idempotency-Key", "fresh"}
	for _, op := range document().operations() {
		path, body := op.to(noPayment, noRefund), op.body()
		s.want("400 invalid_request", op.method+" "+path+"?nonsense=1", body, key...)
		s.want("414 uri_too_long", op.method+" "+path+"?order_id="+strings.Repeat("x", 3000), body, key...)
		s.want("431 headers_too_large", op.method+" "+path, body, "X-Long", strings.Repeat("x", 9000))
		s.want("405 method_not_allowed", "PUT "+path, "")
		s.want("404 not_found", op.method+" "+path+"/x/x", body, key...)
		if op.documents("401") {
			s.want("401 unauthorized", op.method+" "+path, body, "Authorization", "")
			s.want("403 forbidden", op.method+" "+path, body, "Authorization", "Bearer "+keyFenced)
			s.want("429 rate_limited", op.method+" "+path, body, "Authorization", "Bearer "+keyLimited)
			anew := s.want("429 rate_limited", op.method+" "+path, body, "Authorization", "Basic "+basicPair(keyLimited))
			if anew.header.Get("Ratelimit") == "" || anew.header.Get("Ratelimit-Policy") == "" {
				t.Errorf("%s %s: no RateLimit: %v", op.method, path, anew.header)
			}
		}
		if op.documents("404") && op.path != "/v1/customers/{customer_id}/tokens" {
			s.want("404 not_found", op.method+" "+path, body, key...)
		}
		if op.method == "POST" {
			if op.gives("400 idempotency_key_missing") {
				s.want("400 idempotency_key_missing", op.method+" "+path, body)
				s.want("400 idempotency_key_invalid", op.method+" "+path, body, "Idempotency-Key", strings.Repeat("k", 256))
				s.want("422 idempotency_key_reused", op.method+" "+op.to(real, noRefund), strings.Replace(body, "129900", "1", 1), "Idempotency-Key", "taken")
			}
			s.want("415 media_type", op.method+" "+path, body, "Idempotency-Key", "fresh", "Content-Type", "text/plain")
			c := s.dial().send("POST " + path + " HTTP/1.1\r\n" + hostLine + authLine + jsonLine + keyLine + "Content-Length: 99999999\r\n\r\n{")
			s.told("POST", path, "", c.reply())
		}
		if op.movesMoney() {
			s.want("400 idempotency_key_missing", op.method+" "+path, body)
			s.want("400 idempotency_key_invalid", op.method+" "+path, body, "Idempotency-Key", strings.Repeat("k", 256))
			s.want("422 idempotency_key_reused", op.method+" "+op.to(real, noRefund), strings.Replace(body, "129900", "1", 1), "Idempotency-Key", "taken")
		}
	}
}

func basicPair(key string) string {
	return strings.TrimSuffix(strings.TrimPrefix(basic(key+":"), "Authorization: Basic "), "\r\n")
}

// walkExamples sends every example of the document: requests are accepted, and
// shown answers are what their schemas say.
func walkExamples(t *testing.T, given map[string]bool) {
	s := openShop(t, nil)
	defer s.collect(given)
	n := 0
	for _, op := range document().operations() {
		for _, name := range exampleNames(op) {
			if !op.movesMoney() {
				continue // walkCards sends it
			}
			n++
			example, _ := document().at(op.node, "requestBody", "content", "application/json", "examples", name)
			body, err := json.Marshal(example.value["value"])
			must(t, err)
			id := s.made(t, fmt.Sprintf("for-%d", n), op.needsHold())
			s.want("201", op.method+" "+op.to(id, noRefund), string(body), "Idempotency-Key", fmt.Sprintf("example-%d", n))
		}
		parameters, _ := op.value["parameters"].([]any)
		for _, p := range parameters {
			s.tryParameter(op, document().deref(node{"", p.(map[string]any)}).value)
		}
		for status := range op.value["responses"].(map[string]any) {
			media, ok := document().at(op.node, "responses", status, "content", "application/json")
			shown, has := media.value["example"]
			if !ok || !has {
				continue
			}
			schema, _ := document().at(media, "schema")
			if err := document().validate(schema, shown); err != nil {
				t.Errorf("%s %s %s: the example: %v", op.method, op.path, status, err)
			}
		}
	}
	if n < 8 {
		t.Errorf("%d examples of requests", n)
	}
	for name := range document().root["components"].(map[string]any)["schemas"].(map[string]any) {
		schema, _ := document().at(node{"", document().root}, "components", "schemas", name)
		examples, _ := schema.value["examples"].([]any)
		for _, shown := range examples {
			if err := document().validate(schema, shown); err != nil {
				t.Errorf("%s: the example: %v", name, err)
			}
		}
	}
}

func exampleNames(op apiOperation) []string {
	examples, _ := document().at(op.node, "requestBody", "content", "application/json", "examples")
	return slices.Sorted(maps.Keys(examples.value))
}

// tryParameter sends the example of a parameter, which the operation must take.
func (s *shop) tryParameter(op apiOperation, p map[string]any) {
	s.t.Helper()
	name, value := p["name"].(string), fmt.Sprint(p["example"])
	if schema, _ := document().at(node{"", p}, "schema"); p["example"] == nil || schema.value == nil {
		s.t.Errorf("%s %s: parameter %s has no example or no schema", op.method, op.path, name)
	}
	if op.method != "GET" {
		return
	}
	path := op.path
	if strings.Contains(path, "{") {
		path = op.to(s.made(s.t.(*testing.T), "parameter-"+op.path+name, false), noRefund)
	}
	want := []int{200}
	if strings.Contains(strings.NewReplacer("{payment_id}", "", "{customer_id}", "").Replace(op.path), "{") {
		want = []int{404}
	}
	var r reply
	switch p["in"] {
	case "query":
		r = s.do("GET", path+"?"+name+"="+value, "")
	case "header":
		r = s.do("GET", path, "", name, value)
	}
	if !slices.Contains(want, r.status) {
		s.t.Errorf("%s %s: %s=%s: %d %s", op.method, path, name, value, r.status, r.body)
	}
}

// walkSlow never finishes a request.
func walkSlow(t *testing.T, given map[string]bool) {
	s := openShop(t, func(o *Options) { o.ReadTimeout = 200 * time.Millisecond })
	defer s.collect(given)
	open := map[*raw]apiOperation{}
	for _, op := range document().operations() {
		open[s.dial().send(op.method+" "+op.to(noPayment, noRefund)+" HTTP/1.1\r\nHost: ")] = op
	}
	for c, op := range open {
		s.told(op.method, op.to(noPayment, noRefund), "", c.reply())
	}
}

// walkCrowded comes when all connections are taken.
func walkCrowded(t *testing.T, given map[string]bool) {
	s := openShop(t, func(o *Options) { o.Concurrency = 1 })
	defer s.collect(given)
	if r := s.dial().send(get("/v1/payments")).reply(); r.status != 200 {
		t.Fatal(r.status)
	}
	for _, op := range document().operations() {
		s.told(op.method, op.to(noPayment, noRefund), "", s.dial().reply())
	}
}

// walkDefect asks a switch that was never made: every call panics.
func walkDefect(t *testing.T, given map[string]bool) {
	s := openShop(t, func(o *Options) { o.Switch, o.Joining = new(payswitch.Switch), nil })
	defer s.collect(given)
	for _, op := range document().operations() {
		if op.documents("500") {
			s.want("500 internal", op.method+" "+op.to(noPayment, noRefund), op.body(), "Idempotency-Key", "k")
		}
	}
}

// walkNoBank asks for what needs a bank after the bank has gone.
func walkNoBank(t *testing.T, given map[string]bool) {
	bench := newRig(t)
	s := openShop(t, func(o *Options) { o.Switch = bench.sw })
	defer s.collect(given)
	charged, held := s.made(t, "charged", false), s.made(t, "held", true)
	must(t, bench.host.Close())
	bench.waitReady(t, false)
	for _, op := range document().operations() {
		id := charged
		if op.needsHold() {
			id = held
		}
		if op.movesMoney() {
			s.want("503 bank_unavailable", op.method+" "+op.to(id, noRefund), op.body(), "Idempotency-Key", "new-"+op.path)
		}
	}
}

// walkNoJournal lets the journal's disk fail between a request to the bank and
// the end of its deadline: the request has left and its outcome cannot be recorded.
func walkNoJournal(t *testing.T, given map[string]bool) {
	for _, op := range document().operations() {
		if !op.movesMoney() {
			continue
		}
		bench := newRig(t)
		s := openShop(t, func(o *Options) { o.Switch = bench.sw })
		id, body := "", strings.Replace(op.body(), "4111111111111111", testCardSilent, 1)
		switch {
		case op.path == "/v1/payouts":
			s.pay("made", leanBody)
		case strings.HasSuffix(op.path, "/increment"):
			id = idOf(t, s.pay("made", hold(testCardSlowRaise)))
		case strings.HasSuffix(op.path, "/refunds"):
			id = idOf(t, s.pay("made", with("4111111111111111", testCardSlowRefund)))
		case strings.Contains(op.path, "{payment_id}"):
			id = idOf(t, s.pay("made", hold(testCardSlowAdvice)))
		}
		left := func() int {
			if id == "" {
				return bench.host.Books().Len()
			}
			return strings.Count(s.do("GET", "/v1/payments/"+id+"/timeline", "").body, "timeline_event")
		}
		before := left()
		answer := make(chan reply, 1)
		go func() { answer <- s.do(op.method, op.to(id, noRefund), body, "Idempotency-Key", "lost") }()
		for left() == before && len(answer) == 0 {
			<-time.After(time.Millisecond)
		}
		bench.broken.Store(true)
		bench.disk.SetFaults(storage.Faults{FailSync: 1})
		r := <-answer
		r.wantProblem(t, http.StatusInternalServerError, "outcome_uncertain")
		s.collect(given)
	}
}
