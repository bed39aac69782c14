package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/admin"
)

// TestCheckoutsByHand: an operator sends a shop's payment link, sees that the mail
// server took it, and ends it; all of it over a running switch.
func TestCheckoutsByHand(t *testing.T) {
	h := newHouse(t)
	_, made := h.call("POST", "/v1/checkout_sessions", "sk_test_other_0123456789", `{"amount":129900,"currency":"RUB","order_id":"A-1","customer":{"email":"anna@shop.example"}}`)
	id := fmt.Sprint(made["id"])
	do := func(ok bool, args ...string) string {
		t.Helper()
		out, err := command(t, "", append(append([]string{"merchant", "checkout"}, args...), "--admin", h.app.listeners[1].Addr().String())...)
		if (err == nil) != ok {
			t.Errorf("%v: %v %s", args, err, out)
		}
		return out
	}
	if out := do(true, "list", "--merchant", "mer_other"); !strings.Contains(out, id+"  open  ") || !strings.Contains(out, "A-1") {
		t.Error(out)
	}
	do(false, "list", "--merchant", "mer_nobody")
	do(false, "show", "cs_nothing")
	do(false, "send", id, "--email", "a@b@c", "--reason", "test")
	do(false, "send", id, "--phone", "12", "--reason", "test")
	do(true, "send", id, "--phone", "+74951234567", "--email", "anna@shop.example", "--language", "ru", "--reason", "the buyer asked")
	do(false, "send", id, "--reason", "at once again")
	var s admin.Checkout
	for deadline := time.Now().Add(time.Minute); ; <-time.After(10 * time.Millisecond) {
		h.must(json.Unmarshal([]byte(do(true, "show", id, "--json")), &s))
		if len(s.Sent) == 2 && s.Sent[0].State == "taken" && s.Sent[1].State == "taken" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("sent: %+v", s.Sent)
		}
	}
	if link := h.letter(`(http://[^\s"<]+/pay/cs_[a-z0-9]{26})`); link != s.URL {
		t.Errorf("the letter leads to %s, not to %s", link, s.URL)
	}
	notes, _ := filepath.Glob(filepath.Join(h.data, "letters", "let_??????????????????????????.txt"))
	if len(notes) != 1 {
		t.Fatalf("%d short messages", len(notes))
	}
	if text, err := os.ReadFile(notes[0]); err != nil || !strings.Contains(string(text), s.URL) || !strings.HasPrefix(string(text), "+74951234567\n") {
		t.Errorf("%s, %v", text, err)
	}
	if out := do(true, "expire", id, "--reason", "a mistake"); !strings.Contains(out, "expired") || strings.Contains(out, "/pay/") {
		t.Error(out)
	}
	do(false, "send", id, "--email", "anna@shop.example", "--reason", "too late")
	out, err := command(t, "", "merchant", "user", "acts", "--merchant", "mer_other", "--search", id, "--admin", h.app.listeners[1].Addr().String())
	if err != nil || strings.Count(out, "link_sent") != 1 || strings.Count(out, "link_revoked") != 1 || !strings.Contains(out, "the buyer asked") {
		t.Errorf("the shop's audit: %v\n%s", err, out)
	}
}
