package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/client"
)

// hookReceiver is a shop's server that may be down.
type hookReceiver struct {
	server *httptest.Server
	mu     sync.Mutex
	down   bool
	calls  int
	taken  map[string][]client.Event // by payment
}

func newHookReceiver(t *testing.T) *hookReceiver {
	h := &hookReceiver{taken: map[string][]client.Event{}}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	return h
}

// ServeHTTP implements http.Handler.
func (h *hookReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var e client.Event
	h.calls++
	switch err := json.NewDecoder(r.Body).Decode(&e); {
	case h.down:
		w.WriteHeader(http.StatusBadGateway)
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	default:
		h.taken[e.PaymentID] = append(h.taken[e.PaymentID], e)
	}
}

func (h *hookReceiver) setDown(down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
}

func (h *hookReceiver) attempts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls
}

const rigWebhooks = "webhooks: {allow_http: true, allow_networks: [127.0.0.0/8], retries: [200ms, 200ms, 200ms, 200ms, 200ms, 200ms, 200ms, 200ms]}\n"

// TestWebhooksOutliveAKill: what the process owed a shop that was down when it
// was killed, the next process delivers, each event once and in order.
func TestWebhooksOutliveAKill(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{settings: rigWebhooks})
	h := newHookReceiver(t)
	r.start()
	api, err := client.New("http://"+r.api, rigKey)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	e, err := api.CreateWebhookEndpoint(ctx, client.WebhookEndpointRequest{URL: h.server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if test, err := api.TestWebhookEndpoint(ctx, e.ID); err != nil || !test.Delivered {
		t.Fatalf("the test message: %+v, %v", test, err)
	}
	h.setDown(true)
	for _, key := range []string{"a", "b", "c"} {
		if code, body, _ := r.pay(&wish{key: key, bank: "alfa", card: cardApproved, amount: 1000}); code != http.StatusCreated {
			t.Fatalf("%d %s", code, body)
		}
	}
	r.await("an attempt", func() bool { return h.attempts() > 1 })
	r.kill()
	h.setDown(false)
	r.start()
	r.await("three payments told", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.taken) == 4 })
	h.mu.Lock()
	defer h.mu.Unlock()
	for payment, events := range h.taken {
		if payment != "" && (len(events) != 1 || events[0].Type != "payment.captured" || events[0].Sequence != 1) {
			t.Errorf("%s: %+v", payment, events)
		}
	}
	if log, err := os.ReadFile(r.logPath); err != nil || strings.Contains(string(log), "whsec_") {
		t.Errorf("the log holds a secret, or cannot be read: %v", err)
	}
}

// TestOperatorsAndWebhooks: what the command line shows and does.
func TestOperatorsAndWebhooks(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{settings: rigWebhooks})
	h := newHookReceiver(t)
	r.start()
	api, err := client.New("http://"+r.api, rigKey)
	if err != nil {
		t.Fatal(err)
	}
	e, err := api.CreateWebhookEndpoint(context.Background(), client.WebhookEndpointRequest{URL: h.server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if code, body, _ := r.pay(&wish{key: "a", bank: "alfa", card: cardApproved, amount: 1000}); code != http.StatusCreated {
		t.Fatalf("%d %s", code, body)
	}
	r.await("a webhook", func() bool { return h.attempts() == 1 })
	say := func(want string, line ...string) {
		t.Helper()
		out, err := tranzit(t, append(line, "--admin", r.admin)...)
		text := string(out)
		if err != nil {
			text += err.Error()
		}
		if !strings.Contains(text, want) {
			t.Errorf("%v: %s lacks %s", line, text, want)
		}
	}
	say("working", "webhook", "list")
	say("mer_rig", "webhook", "list", "--json")
	say("done", "webhook", "disable", e.ID, "--reason", "they asked")
	say("disabled by_operator", "webhook", "list")
	say("disabled", "webhook", "replay", e.ID, "--from", "2026-01-01T00:00:00Z", "--reason", "they asked")
	say("done", "webhook", "enable", e.ID, "--reason", "they asked")
	say("1 events are on their way", "webhook", "replay", e.ID, "--from", "2026-01-01T00:00:00Z", "--reason", "they asked")
	r.await("the event again", func() bool { return h.attempts() == 2 })
	say("no such webhook endpoint", "webhook", "enable", strings.Replace(e.ID, "we_0", "we_1", 1), "--reason", "x")
	say("not the id", "webhook", "disable", "we_1", "--reason", "x")
	say("is not a time", "webhook", "replay", e.ID, "--from", "yesterday", "--reason", "x")
	say("reason", "webhook", "enable", e.ID)
}

func TestWebhookMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"allow_networks: [10.0.0.1/8]":            `webhooks.allow_networks[0]: "10.0.0.1/8" is not a network`,
		"allow_networks: [shop.example]":          "webhooks.allow_networks[0]",
		"timeout: 2m":                             "webhooks.timeout: 2m0s is not within",
		"connect: -1s":                            "webhooks.connect",
		"concurrency: -1":                         "webhooks.concurrency",
		"per_endpoint: 1001":                      "webhooks.per_endpoint",
		"retries: [5s, 0s]":                       "webhooks.retries[1]",
		"retries: [200h]":                         "webhooks.retries[0]",
		"disable_after: -1s":                      "webhooks.disable_after",
		"retry: [5s]":                             `unknown key "retry"`,
		"retries: [" + strings.Repeat("1s,", 101): "webhooks.retries: there are more",
	} {
		_, err := parseConfig("tranzit.yaml", []byte(soundConfig+"webhooks:\n  "+text+strings.Repeat("]", strings.Count(text, "[")-strings.Count(text, "]"))+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
	const good = `{url: "https://shop.example/check", secret: whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, deadline: 1s, on_no_answer: go_on}`
	for change, want := range map[[2]string]string{
		{"https:", "http:"}: "check.url: must begin with https", {"whsec_AAAAAAAA", "whsec_"}: "check.secret: must be", {"whsec_AA", "env:NO_SUCH_"}: "check.secret",
		{"1s", "11s"}: "check.deadline", {"go_on", "maybe"}: "check.on_no_answer", {"deadline", "dead_line"}: "unknown key",
	} {
		_, err := parseConfig("tranzit.yaml", []byte(soundConfig+"    check: "+strings.Replace(good, change[0], change[1], 1)+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s for %s: %v, want %s", change[1], change[0], err, want)
		}
	}
	if c, err := parseConfig("tranzit.yaml", []byte(soundConfig+"    check: "+good+"\n")); err != nil {
		t.Error(err)
	} else if m, err := c.merchant(0, map[string]bool{"alfa": true}); err != nil || m.Check == nil || !m.Check.GoOn || m.Check.Deadline != time.Second {
		t.Errorf("%+v, %v", m.Check, err)
	}
	c, err := parseConfig("tranzit.yaml", []byte(soundConfig+"webhooks: {allow_networks: [10.0.0.0/8], retries: [1s, 24h], timeout: 3s}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if o, err := c.callerOptions(); err != nil || len(o.Allow) != 1 || o.Whole != 3*time.Second || len(c.Webhooks.Retries) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
}
