package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/frontend/client"
)

const key = "sk_test_socks_0123456789abcdef"

// script answers requests without a network, one after the other.
type script struct {
	answers []func(*http.Request) (*http.Response, error)
	keys    []string
	bodies  []string
	at      []time.Time
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	s.keys, s.bodies, s.at = append(s.keys, r.Header.Get("Idempotency-Key")), append(s.bodies, string(body)), append(s.at, time.Now())
	return s.answers[min(len(s.keys), len(s.answers))-1](r)
}

func answer(status int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		r := &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return r, nil
	}
}

func problem(status int, code string, retryable bool, after string) func(*http.Request) (*http.Response, error) {
	body := fmt.Sprintf(`{"status":%d,"code":%q,"detail":"why","request_id":"req_1","retryable":%v,"errors":[{"pointer":"/amount","code":"out_of_range","detail":"d"}]}`, status, code, retryable)
	return answer(status, body, "Content-Type", "application/problem+json", "Retry-After", after)
}

func cut(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

var paid = answer(201, `{"id":"pay_1","status":"captured"}`, "Content-Type", "application/json", "Request-Id", "req_2", "Idempotency-Replayed", "true")

func open(t *testing.T, s *script) *client.Client {
	t.Helper()
	c, err := client.Open(client.Options{Base: "http://switch.example", Key: key, HTTP: &http.Client{Transport: s}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRepeats: what is safe and useful to repeat is repeated, with the same key
// and the same bytes; nothing else is.
func TestRepeats(t *testing.T) {
	type answers = []func(*http.Request) (*http.Response, error)
	for name, tt := range map[string]struct {
		answers answers
		sent    int
		took    time.Duration // at least
		code    string        // of the error; "lost"; "" for none
	}{
		"at once":                {answers{paid}, 1, 0, ""},
		"connection lost":        {answers{cut, cut, paid}, 3, 300 * time.Millisecond, ""},
		"connection always lost": {answers{cut}, 4, 700 * time.Millisecond, "lost"},
		"retryable":              {answers{problem(503, "overloaded", true, "3"), paid}, 2, 3 * time.Second, ""},
		"retryable for ever":     {answers{problem(500, "outcome_uncertain", true, "1")}, 4, 3 * time.Second, "outcome_uncertain"},
		"asks for too long":      {answers{problem(503, "bank_unavailable", true, "60"), paid}, 1, 0, "bank_unavailable"},
		"not retryable":          {answers{problem(400, "invalid_request", false, ""), paid}, 1, 0, "invalid_request"},
		"key reused":             {answers{problem(422, "idempotency_key_reused", false, "1"), paid}, 1, 0, "idempotency_key_reused"},
		"a proxy's 502":          {answers{answer(502, "<html>", "Content-Type", "text/html"), paid}, 2, 100 * time.Millisecond, ""},
		"a proxy's 403":          {answers{answer(403, "<html>", "Content-Type", "text/html"), paid}, 1, 0, "-"},
		"a redirect":             {answers{answer(307, "", "Location", "http://elsewhere.example/"), paid}, 1, 0, "-"},
		"half an answer":         {answers{answer(201, `{"id":"pay_1","sta`, "Content-Type", "application/json"), paid}, 2, 100 * time.Millisecond, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.answers}
				begun := time.Now()
				p, err := open(t, s).CreatePayment(t.Context(), client.PaymentRequest{Amount: 5, Currency: "RUB"})
				if len(s.keys) != tt.sent || time.Since(begun) < tt.took || time.Since(begun) > 2*tt.took+time.Millisecond {
					t.Errorf("sent %d times in %s", len(s.keys), time.Since(begun))
				}
				for i := range s.keys {
					if s.keys[i] != s.keys[0] || s.keys[i] == "" || s.bodies[i] != s.bodies[0] || s.bodies[i] == "" {
						t.Errorf("attempt %d is another request: %q %q", i, s.keys[i], s.bodies[i])
					}
				}
				var bad *client.Problem
				var lost *client.Lost
				switch {
				case tt.code == "":
					if err != nil || p.ID != "pay_1" || !p.Meta.Replayed || p.Meta.RequestID != "req_2" || p.Meta.IdempotencyKey != s.keys[0] {
						t.Errorf("%+v, %v", p, err)
					}
				case tt.code == "lost":
					if !errors.As(err, &lost) || lost.IdempotencyKey != s.keys[0] || !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), s.keys[0]) {
						t.Errorf("%v", err)
					}
				case !errors.As(err, &bad) || bad.Code != strings.Trim(tt.code, "-") || bad.IdempotencyKey != s.keys[0]:
					t.Errorf("%v", err)
				case tt.code != "-" && (bad.RequestID != "req_1" || len(bad.Fields) != 1 || bad.Fields[0].Pointer != "/amount"):
					t.Errorf("%+v", bad)
				}
			})
		})
	}
}

// TestContextEndsRepeats: a caller who gives up is not kept waiting, and learns
// the key to go on with.
func TestContextEndsRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []func(*http.Request) (*http.Response, error){problem(503, "overloaded", true, "20")}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err := open(t, s).Capture(ctx, "pay_1", client.CaptureRequest{IdempotencyKey: "mine", All: true})
		var bad *client.Problem
		if !errors.As(err, &bad) || bad.IdempotencyKey != "mine" || time.Since(begun) != time.Second || s.bodies[0] != "{}" {
			t.Errorf("%v after %s, %q", err, time.Since(begun), s.bodies)
		}
	})
}

// TestNothingIsNotEverything: an amount that came out as zero moves no money.
func TestNothingIsNotEverything(t *testing.T) {
	s := &script{answers: []func(*http.Request) (*http.Response, error){paid}}
	c := open(t, s)
	for _, r := range []client.UndoRequest{{}, {Amount: -1}, {Amount: 1, All: true}, {Amount: -1, All: true}} {
		_, cancel := c.Cancel(t.Context(), "pay_1", r)
		_, refund := c.Refund(t.Context(), "pay_1", r)
		_, capture := c.Capture(t.Context(), "pay_1", client.CaptureRequest{Amount: r.Amount, All: r.All})
		if cancel == nil || refund == nil || capture == nil || len(s.keys) > 0 {
			t.Errorf("%+v was sent", r)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []client.Options{{}, {Base: "pay.example.com", Key: key}, {Base: "ftp://x", Key: key}, {Base: "http://x?y=1", Key: key},
		{Base: "http://u:p@x", Key: key}, {Base: "http://x"}, {Base: "http://x", Key: "a b"}, {Base: "http://x", Key: key, Attempts: 21},
		{Base: "http://x", Key: key, Pause: time.Hour}} {
		if _, err := client.Open(o); err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestCardDoesNotPrintItself(t *testing.T) {
	r := client.PaymentRequest{Method: client.ByCard(client.CardNumber{Number: "4111111111111111", CVC: "987"})}
	byToken := client.PaymentRequest{Method: client.ByToken("tok_1", "987")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, r) + fmt.Sprintf(verb, byToken); strings.Contains(text, "411111") || strings.Contains(text, "987") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

// TestTypesAreTheDocument: the members of the types are those of the OpenAPI
// document, none less, none more.
func TestTypesAreTheDocument(t *testing.T) {
	source, err := os.ReadFile("../openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.NewDecoder(bytes.NewReader(source)).Decode(&document); err != nil {
		t.Fatal(err)
	}
	for schema, value := range map[string]any{
		"Payment": client.Payment{}, "RefundAnswer": client.Operation{}, "Capture": client.Operation{}, "Cancel": client.Operation{}, "Card": client.Card{},
		"Decline": client.Decline{}, "Resolution": client.Resolution{}, "PaymentList": client.PaymentList{}, "TimelineEvent": client.TimelineEvent{},
		"TimelineMessage": client.TimelineMessage{}, "TimelineField": client.TimelineField{}, "Fault": client.Field{}, "CardNumber": client.CardNumber{},
		"ThreeDS": client.ThreeDS{}, "PaymentRequest": client.PaymentRequest{}, "CaptureRequest": client.CaptureRequest{},
		"CancelRequest": client.UndoRequest{}, "RefundRequest": client.UndoRequest{}, "UsedMethod": client.UsedMethod{},
		"CheckoutSession": client.CheckoutSession{}, "CheckoutSessionRequest": client.CheckoutSessionRequest{}, "Payout": client.Payout{}, "PayoutRequest": client.PayoutRequest{}, "VerificationRequest": client.VerificationRequest{}, "PayoutList": client.PayoutList{}, "Increment": client.Increment{}, "IncrementRequest": client.IncrementRequest{},
		"Token": client.Token{}, "DeletedToken": client.DeletedToken{},
		"NewWebhookEndpoint": client.WebhookEndpoint{}, "WebhookEndpointRequest": client.WebhookEndpointRequest{}, "WebhookEndpointChange": client.WebhookEndpointChange{},
		"WebhookTest": client.WebhookTest{}, "Replay": client.Replay{}, "WebhookDelivery": client.WebhookDelivery{},
	} {
		var want, got []string
		for name := range document.Components.Schemas[schema].Properties {
			want = append(want, name)
		}
		for _, field := range reflect.VisibleFields(reflect.TypeOf(value)) {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "-" && !field.Anonymous {
				got = append(got, name)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s: %v\ndocument: %v", schema, got, want)
		}
	}
}

// TestPageShowsTheExamples: what docs/api.md prints in Go is what compiles here.
func TestPageShowsTheExamples(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```go\n")[1:]
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		if !strings.Contains(string(source), strings.TrimSpace(code)) {
			t.Errorf("the page shows\n%s", code)
		}
	}
	if len(blocks) < 2 {
		t.Errorf("%d examples found", len(blocks))
	}
}
