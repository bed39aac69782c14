package frontend

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func member[T any](t *testing.T, body, name string) T {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	v, ok := all[name].(T)
	if !ok {
		t.Fatalf("%q is %v in %s", name, all[name], body)
	}
	return v
}

func TestCreateAndRead(t *testing.T) {
	s := openShop(t, nil)
	made := s.pay("create-1", exampleBody)
	if made.status != http.StatusCreated {
		t.Fatalf("status %d: %s", made.status, made.body)
	}
	id := member[string](t, made.body, "id")
	want := map[string]string{"Content-Type": "application/json", "Location": "/v1/payments/" + id, "Cache-Control": "no-store",
		"Idempotency-Replayed": "", "Server": "", "Ratelimit": "", "Connection": ""}
	for name, value := range want {
		if got := made.header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if !requestIDs.MatchString(made.header.Get("Request-Id")) {
		t.Errorf("Request-Id is %q", made.header.Get("Request-Id"))
	}
	if got := member[string](t, made.body, "status"); got != "captured" {
		t.Errorf("the payment is %s", got)
	}
	if got := member[float64](t, made.body, "amount_captured"); got != 129900 {
		t.Errorf("captured %v", got)
	}
	read := s.do("GET", "/v1/payments/"+id, "")
	if read.status != 200 || read.body != made.body {
		t.Errorf("GET answers %d %s, want %s", read.status, read.body, made.body)
	}
	if r := s.do("HEAD", "/v1/payments/"+id, ""); r.status != 200 || r.body != "" || r.header.Get("Content-Length") != fmt.Sprint(len(made.body)) {
		t.Errorf("HEAD answers %d %v %q", r.status, r.header, r.body)
	}
	if r := s.do("GET", "/v1/payments/"+id+"?wait=1ms", ""); r.body != made.body {
		t.Errorf("the long poll answers %s", r.body)
	}
	s.do("GET", "/v1/payments/"+id, "", "Authorization", "Bearer "+keyOther).wantProblem(t, 404, "not_found")
	noCardNumbers(t, "the payment", made.body)
	noCardNumbers(t, "the log", s.log.String())
}

func TestDeclinedIsCreated(t *testing.T) {
	s := openShop(t, nil)
	r := s.pay("declined", with("4111111111111111", "4000000000000002"))
	if r.status != http.StatusCreated || member[string](t, r.body, "status") != "declined" {
		t.Fatalf("answer %d %s", r.status, r.body)
	}
	decline := member[map[string]any](t, r.body, "decline")
	if decline["source"] != "bank" || decline["response_code"] != "05" {
		t.Errorf("decline %v", decline)
	}
}

func TestReplay(t *testing.T) {
	s := openShop(t, nil)
	for _, body := range []string{leanBody, with("4111111111111111", "4000000000000002")} {
		key := "replay of " + body[len(body)-60:len(body)-50] + body[100:110]
		first := s.pay(key, body)
		again := s.pay(key, body)
		if again.status != first.status || again.body != first.body {
			t.Errorf("the replay is %d %s\nthe first was %d %s", again.status, again.body, first.status, first.body)
		}
		if first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("Idempotency-Replayed: %q, then %q", first.header.Get("Idempotency-Replayed"), again.header.Get("Idempotency-Replayed"))
		}
		if first.header.Get("Request-Id") == again.header.Get("Request-Id") {
			t.Error("two requests have one id")
		}
		s.pay(key, strings.Replace(body, "129900", "129901", 1)).wantProblem(t, 422, "idempotency_key_reused")
		other := s.do("POST", "/v1/payments", body, "Idempotency-Key", key, "Authorization", "Bearer "+keyOther)
		if other.status != 201 || other.body == first.body {
			t.Errorf("another merchant's same key answers %d", other.status)
		}
	}
}

func TestUnknownBank(t *testing.T) {
	s := openShop(t, nil)
	r := s.pay("nobank", also(`"bank":"nosuch"`))
	r.wantProblem(t, 400, "invalid_request")
	if !strings.Contains(r.body, `"errors":[{"pointer":"/bank","code":"unknown_bank"`) {
		t.Errorf("the problem does not name the bank: %s", r.body)
	}
}

func TestAuthentication(t *testing.T) {
	s := openShop(t, nil)
	for _, header := range []string{"Bearer " + keyTest, "bearer " + keyTest, "BEARER   " + keyTest, strings.TrimSuffix(strings.TrimPrefix(basic(keyTest+":"), "Authorization: "), "\r\n")} {
		if r := s.do("GET", "/v1/payments", "", "Authorization", header); r.status != 200 {
			t.Errorf("%.12s...: %d %s", header, r.status, r.body)
		}
	}
	for _, tt := range badRequests() {
		if strings.Contains(tt.text, "Authorization: Basic") {
			s.dial().send(tt.text).reply().wantProblem(t, 401, "unauthorized")
		}
	}
}

func TestMediaTypes(t *testing.T) {
	s := openShop(t, nil)
	for _, media := range []string{"application/json", "Application/JSON", "application/json; charset=utf-8", `application/json;charset="UTF-8"`} {
		if r := s.do("POST", "/v1/payments", leanBody, "Content-Type", media, "Idempotency-Key", media); r.status != 201 {
			t.Errorf("%s: %d %s", media, r.status, r.body)
		}
	}
	for _, media := range []string{"application/jsonp", "text/json", "application/json; charset=", "application/json; q=1"} {
		s.do("POST", "/v1/payments", leanBody, "Content-Type", media, "Idempotency-Key", media).wantProblem(t, 415, "media_type")
	}
}

func TestRateLimit(t *testing.T) {
	s := openShop(t, nil)
	for left := 2; left >= 0; left-- {
		r := s.do("GET", "/v1/payments", "", "Authorization", "Bearer "+keyLimited)
		if r.status != 200 || r.header.Get("Ratelimit-Policy") != `"merchant";q=3;w=300` ||
			!strings.HasPrefix(r.header.Get("Ratelimit"), fmt.Sprintf(`"merchant";r=%d;t=`, left)) {
			t.Errorf("answer %d, %q, %q", r.status, r.header.Get("Ratelimit-Policy"), r.header.Get("Ratelimit"))
		}
	}
	r := s.do("GET", "/v1/payments", "", "Authorization", "Bearer "+keyLimited)
	r.wantProblem(t, 429, "rate_limited")
	if retry := r.header.Get("Retry-After"); retry != "100" && retry != "99" {
		t.Errorf("Retry-After is %q", retry)
	}
	if r := s.do("GET", "/v1/payments", ""); r.status != 200 {
		t.Errorf("another merchant is answered %d", r.status)
	}
}

func TestListPages(t *testing.T) {
	s := openShop(t, nil)
	for i := range 7 {
		s.pay(fmt.Sprintf("list-%d", i), with("A-1001", fmt.Sprintf("A-%d", i%2)))
	}
	var orders []string
	cursor, pages := "", 0
	for {
		r := s.do("GET", "/v1/payments?limit=3"+cursor, "")
		if r.status != 200 || member[string](t, r.body, "object") != "list" {
			t.Fatalf("page %d: %d %s", pages, r.status, r.body)
		}
		for _, p := range member[[]any](t, r.body, "data") {
			orders = append(orders, p.(map[string]any)["order_id"].(string))
		}
		pages++
		if !member[bool](t, r.body, "has_more") {
			break
		}
		cursor = "&cursor=" + member[string](t, r.body, "next_cursor")
		if pages == 1 {
			s.pay("list-late", with("A-1001", "A-late"))
		}
	}
	if got := strings.Join(orders, " "); got != "A-0 A-1 A-0 A-1 A-0 A-1 A-0" || pages != 3 {
		t.Errorf("%d pages: %s", pages, got)
	}
	for query, want := range map[string]int{
		"order_id=A-1": 3, "order_id=nothing": 0, "status=captured": 8, "status=declined": 0, "": 8, "limit=2": 2,
		"created_from=2020-01-01T00:00:00Z&created_to=2090-01-01T00:00:00%2B03:00": 8, "created_to=2020-01-01T00:00:00.5Z": 0,
		"created_from=2090-01-01T00:00:00Z": 0,
	} {
		r := s.do("GET", "/v1/payments?"+query, "")
		if got := len(member[[]any](t, r.body, "data")); got != want {
			t.Errorf("%q lists %d, want %d: %.300s", query, got, want, r.body)
		}
	}
	if r := s.do("GET", "/v1/payments", "", "Authorization", "Bearer "+keyOther); len(member[[]any](t, r.body, "data")) != 0 {
		t.Error("one merchant sees another's payments")
	}
}

func TestTimeline(t *testing.T) {
	s := openShop(t, nil)
	made := s.pay("timeline", exampleBody)
	r := s.do("GET", "/v1/payments/"+member[string](t, made.body, "id")+"/timeline", "")
	events := member[[]any](t, r.body, "data")
	if r.status != 200 || len(events) != 2 {
		t.Fatalf("answer %d %s", r.status, r.body)
	}
	intent, approved := events[0].(map[string]any), events[1].(map[string]any)
	if intent["type"] != "intent" || intent["status"] != nil || approved["status"] != "captured" || approved["message"].(map[string]any)["mti"] != "0210" {
		t.Errorf("timeline %s", r.body)
	}
	noCardNumbers(t, "the timeline", r.body)
}

// TestUnknownThenReversed is the life of a payment whose bank did not answer:
// 202, a long poll that ends when the reversal is acknowledged, and a replay
// that still tells what was told first.
func TestUnknownThenReversed(t *testing.T) {
	t.Parallel()
	s := openShop(t, nil)
	body := with("4111111111111111", testCardResolved)
	first := s.pay("unknown-1", body)
	if first.status != 202 || member[string](t, first.body, "status") != "unknown" {
		t.Fatalf("answer %d %s", first.status, first.body)
	}
	if next := member[map[string]any](t, first.body, "resolution"); next["next_action"] != "reversal" || next["reason"] != "no_answer" {
		t.Errorf("resolution %v", next)
	}
	path := "/v1/payments/" + member[string](t, first.body, "id")
	if r := s.do("GET", path+"?wait=10ms", ""); r.status != 200 || r.body != first.body {
		t.Errorf("a short poll answers %d %s", r.status, r.body)
	}
	if r := s.do("GET", path+"?wait=15s", ""); r.status != 200 || member[string](t, r.body, "status") != "reversed" {
		t.Errorf("the long poll answers %d %s", r.status, r.body)
	}
	again := s.pay("unknown-1", body)
	if again.status != 202 || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the replay answers %d %s", again.status, again.body)
	}
	if strings.Contains(s.log.String(), `"level":"INFO"`) {
		t.Errorf("a long poll is called slow: %s", s.log.String())
	}
}

// TestSameKeyAtOnce: a hundred copies of one request make one payment.
func TestSameKeyAtOnce(t *testing.T) {
	s := openShop(t, nil)
	const copies = 100
	replies := make(chan reply, copies)
	for range copies {
		go func() { replies <- s.pay("same", leanBody) }()
	}
	var body string
	fresh := 0
	for range copies {
		r := <-replies
		if body == "" {
			body = r.body
		}
		if r.status != 201 || r.body != body {
			t.Errorf("answer %d %s", r.status, r.body)
		}
		if r.header.Get("Idempotency-Replayed") == "" {
			fresh++
		}
	}
	if list := s.do("GET", "/v1/payments", ""); fresh != 1 || len(member[[]any](t, list.body, "data")) != 1 {
		t.Errorf("%d were called the first; the list is %s", fresh, list.body)
	}
}

func TestTraceParent(t *testing.T) {
	s := openShop(t, nil)
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s.do("GET", "/v1/payments", "", "Traceparent", good)
	if !strings.Contains(s.log.String(), `"traceparent":"`+good+`"`) {
		t.Errorf("the trace is not in the log: %s", s.log.String())
	}
	for _, bad := range []string{"", "x", good + "0", "01" + good[2:], strings.ToUpper(good), "00-" + strings.Repeat("0", 32) + good[35:],
		good[:36] + strings.Repeat("0", 16) + good[52:], strings.Replace(good, "-", "4", 2)} {
		if parseTraceParent([]byte(bad)).ok {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestLogLevels(t *testing.T) {
	s := openShop(t, nil)
	r := s.pay("log-1", exampleBody)
	s.pay("log-2", "{}")
	lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), s.log.String())
	}
	for i, want := range []string{`"level":"DEBUG"`, `"level":"INFO"`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d lacks %s: %s", i, want, lines[i])
		}
	}
	for _, want := range []string{r.header.Get("Request-Id"), member[string](t, r.body, "id"), member[string](t, r.body, "rrn"),
		member[string](t, r.body, "stan"), `"merchant":"mer_socks"`, `"status":"captured"`, `"duration_ms":`} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("the log lacks %s: %s", want, lines[0])
		}
	}
	if strings.Contains(s.log.String(), "petrov") || strings.Contains(s.log.String(), "PETROV") || strings.Contains(s.log.String(), "socks_01") {
		t.Errorf("the log says too much: %s", s.log.String())
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := openShop(t, func(o *Options) { o.Registerer = reg })
	s.pay("metrics-1", leanBody)
	s.pay("metrics-2", "{}")
	s.do("GET", "/nothing", "")
	m := s.server.metrics.requests
	for _, tt := range []struct {
		route, code string
	}{{"/v1/payments", "201"}, {"/v1/payments", "400"}, {"none", "404"}} {
		if got := testutil.ToFloat64(m.WithLabelValues(tt.route, tt.code)); got != 1 {
			t.Errorf("%s %s: %v", tt.route, tt.code, got)
		}
	}
	want := 0
	for _, f := range reflect.VisibleFields(reflect.TypeFor[routes]()) {
		if f.Type == reflect.TypeFor[*route]() {
			want++
		}
	}
	if n, err := testutil.GatherAndCount(reg, "tranzit_http_seconds"); err != nil || n != want {
		t.Errorf("%d histograms, want %d, %v", n, want, err)
	}
}

// TestPanicIsAnAnswer: a defect costs one request, and says nothing.
func TestPanicIsAnAnswer(t *testing.T) {
	var asked atomic.Int64
	s := openShop(t, func(o *Options) {
		o.Now = func() time.Time {
			if asked.Add(1) == 2 { // the first is the server's start
				panic("4111111111111111")
			}
			return testNow
		}
	})
	s.pay("panic", leanBody).wantProblem(t, 500, "internal")
	if r := s.pay("panic", leanBody); r.status != 201 {
		t.Errorf("after a panic: %d %s", r.status, r.body)
	}
	if !strings.Contains(s.log.String(), "createPayment") || testutil.ToFloat64(s.server.metrics.protocol[noisePanic]) != 1 {
		t.Errorf("the log does not say where: %s", s.log.String())
	}
	noCardNumbers(t, "the log", s.log.String())
}
