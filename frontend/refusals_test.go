package frontend

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// TestBadBodies sends every bad body and compares the whole answer.
func TestBadBodies(t *testing.T) {
	s := openShop(t, nil)
	var all strings.Builder
	for i, tt := range badBodies() {
		r := s.pay(fmt.Sprintf("bad-%d", i), tt.body)
		if r.status != 400 {
			t.Errorf("%s: status %d: %s", tt.name, r.status, r.body)
		}
		noCardNumbers(t, tt.name, r.body)
		fmt.Fprintf(&all, "== %s\n%d %s", tt.name, r.status, r.story())
	}
	golden(t, "bad_bodies.golden", all.String())
	noCardNumbers(t, "the log", s.log.String())
	if list := s.do("GET", "/v1/payments", ""); !strings.Contains(list.body, `"data":[]`) {
		t.Errorf("a refused request was recorded: %s", list.body)
	}
}

const (
	authLine = "Authorization: Bearer " + keyTest + "\r\n"
	hostLine = "Host: localhost\r\n"
	jsonLine = "Content-Type: application/json\r\n"
	keyLine  = "Idempotency-Key: k-1\r\n"
)

func post(headers, body string) string {
	return fmt.Sprintf("POST /v1/payments HTTP/1.1\r\n%s%sContent-Length: %d\r\n\r\n%s", hostLine, headers, len(body), body)
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\n" + hostLine + authLine + "\r\n" }

func basic(pair string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) + "\r\n"
}

// badRequests are refused before, or without, a look at a payment's body.
func badRequests() []struct{ name, text string } {
	const id = "pay_01kaz7q2v5e8xv9h2m3n4p5q6r"
	usual := authLine + jsonLine + keyLine
	return []struct{ name, text string }{
		{"unknown path", get("/v1/paiments")},
		{"root", get("/")},
		{"trailing slash", get("/v1/payments/")},
		{"double slash", get("/v1//payments")},
		{"dots", get("/v1/x/../payments")},
		{"escaped path", get("/v1/pay%6dents")},
		{"card number as path", get("/v1/payments/4111111111111111")},
		{"deeper path", get("/v1/payments/" + id + "/timeline/1")},
		{"no such payment", get("/v1/payments/" + id)},
		{"no such timeline", get("/v1/payments/" + id + "/timeline")},
		{"id of another kind", get("/v1/payments/ref" + id[3:])},
		{"id in upper case", get("/v1/payments/PAY" + id[3:])},
		{"delete a payment", "DELETE /v1/payments/" + id + " HTTP/1.1\r\n" + hostLine + authLine + "\r\n"},
		{"put the collection", "PUT /v1/payments HTTP/1.1\r\n" + hostLine + authLine + "Content-Length: 2\r\n\r\n{}"},
		{"post a payment", "POST /v1/payments/" + id + " HTTP/1.1\r\n" + hostLine + usual + "Content-Length: 2\r\n\r\n{}"},
		{"options", "OPTIONS /v1/payments HTTP/1.1\r\n" + hostLine + authLine + "\r\n"},
		{"no key", post(jsonLine+keyLine, leanBody)},
		{"unknown key", post("Authorization: Bearer sk_test_nobody\r\n"+jsonLine+keyLine, leanBody)},
		{"empty bearer", post("Authorization: Bearer \r\n"+jsonLine+keyLine, leanBody)},
		{"key without a scheme", post("Authorization: "+keyTest+"\r\n"+jsonLine+keyLine, leanBody)},
		{"digest scheme", post("Authorization: Digest username=\"x\"\r\n"+jsonLine+keyLine, leanBody)},
		{"two authorizations", post(authLine+usual, leanBody)},
		{"basic with a password", post(basic(keyTest+":secret")+jsonLine+keyLine, leanBody)},
		{"basic without a colon", post(basic(keyTest)+jsonLine+keyLine, leanBody)},
		{"basic that is no base64", post("Authorization: Basic %%%%\r\n"+jsonLine+keyLine, leanBody)},
		{"very long bearer", post("Authorization: Bearer "+strings.Repeat("k", 3000)+"\r\n"+jsonLine+keyLine, leanBody)},
		{"no content type", post(authLine+keyLine, leanBody)},
		{"form", post(authLine+keyLine+"Content-Type: application/x-www-form-urlencoded\r\n", "amount=1")},
		{"multipart", post(authLine+keyLine+"Content-Type: multipart/form-data; boundary=x\r\n", "--x--")},
		{"json in another charset", post(authLine+keyLine+"Content-Type: application/json; charset=windows-1251\r\n", leanBody)},
		{"compressed", post(usual+"Content-Encoding: gzip\r\n", leanBody)},
		{"no idempotency key", post(authLine+jsonLine, leanBody)},
		{"empty idempotency key", post(authLine+jsonLine+"Idempotency-Key:\r\n", leanBody)},
		{"idempotency key too long", post(authLine+jsonLine+"Idempotency-Key: "+strings.Repeat("k", 256)+"\r\n", leanBody)},
		{"idempotency key of other letters", post(authLine+jsonLine+"Idempotency-Key: ключ\r\n", leanBody)},
		{"two idempotency keys", post(usual+"Idempotency-Key: k-2\r\n", leanBody)},
		{"query on a payment", strings.Replace(post(usual, leanBody), "/v1/payments", "/v1/payments?amount=1", 1)},
		{"wait that is no time", get("/v1/payments/" + id + "?wait=soon")},
		{"wait too long", get("/v1/payments/" + id + "?wait=61s")},
		{"wait backwards", get("/v1/payments/" + id + "?wait=-1s")},
		{"unknown parameter", get("/v1/payments/" + id + "?expand=card")},
		{"parameter twice", get("/v1/payments?limit=1&limit=2")},
		{"limit zero", get("/v1/payments?limit=0")},
		{"limit too large", get("/v1/payments?limit=101")},
		{"limit no number", get("/v1/payments?limit=many")},
		{"cursor of somewhere else", get("/v1/payments?cursor=" + id)},
		{"status unknown", get("/v1/payments?status=approved")},
		{"status never shown", get("/v1/payments?status=in_flight")},
		{"time without a zone", get("/v1/payments?created_from=2026-11-23T00:00:00")},
		{"order id empty", get("/v1/payments?order_id=")},
		{"card number as parameter", get("/v1/payments?4111111111111111=4111111111111111")},
		{"several parameters", get("/v1/payments?limit=0&created_to=now&page=2")},
	}
}

// TestBadRequests sends each on a connection of its own and compares the whole
// answer; afterwards the connection still works.
func TestBadRequests(t *testing.T) {
	s := openShop(t, nil)
	var all strings.Builder
	for _, tt := range badRequests() {
		c := s.dial().send(tt.text)
		r := c.reply()
		if r.status < 400 || r.status > 499 {
			t.Errorf("%s: status %d: %s", tt.name, r.status, r.body)
		}
		noCardNumbers(t, tt.name, r.body)
		if id := r.header.Get("Request-Id"); !strings.Contains(r.body, id) || !requestIDs.MatchString(id) {
			t.Errorf("%s: Request-Id %q is not that of %s", tt.name, id, r.body)
		}
		fmt.Fprintf(&all, "== %s\n%d %s", tt.name, r.status, r.story())
		if again := c.send(get("/v1/payments")).reply(); again.status != 200 {
			t.Errorf("%s: the connection is spoilt: %d", tt.name, again.status)
		}
		c.Close()
	}
	golden(t, "bad_requests.golden", all.String())
	noCardNumbers(t, "the log", s.log.String())
	if strings.Contains(s.log.String(), keyTest) || strings.Contains(s.log.String(), "sk_test") {
		t.Error("the log holds an API key")
	}
}
