package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// byHand does an applicant's acts, which tests say as the API takes them, with the
// commands of `tranzit apply`.
type byHand struct {
	h    *house
	file string
}

func (b *byHand) run(ok bool, args ...string) string {
	b.h.t.Helper()
	out, err := command(b.h.t, "", append(append([]string{"apply"}, args...), "--application", b.file)...)
	if (err == nil) != ok {
		b.h.t.Fatalf("apply %v: %v\n%s", args, err, out)
	}
	if err != nil {
		return err.Error()
	}
	return out
}

func (b *byHand) act(body string) map[string]any {
	b.h.t.Helper()
	var w struct {
		Type, Code, Bank, Item, Name, Text, Signer, Check string
		Content                                           []byte
		Banks                                             []string
		Live                                              bool `json:"livemode"`
	}
	b.h.must(json.Unmarshal([]byte(body), &w))
	args := map[string][]string{"confirm": {"confirm", w.Code}, "choose_banks": append([]string{"choose"}, w.Banks...), "answer": {"answer", w.Bank, w.Item, w.Text},
		"accept_contract": {"accept-contract", w.Bank, w.Signer}, "check": {"check", w.Check}, "new_key": {"new-key", map[bool]string{true: "live", false: "test"}[w.Live]}}[w.Type]
	if w.Type == "upload" {
		path := filepath.Join(b.h.t.TempDir(), w.Name)
		b.h.must(os.WriteFile(path, w.Content, 0o600))
		args = []string{"upload", w.Bank, w.Item, path}
	}
	var answer map[string]any
	b.h.must(json.Unmarshal([]byte(b.run(true, append(args, "--json")...)), &answer))
	return answer
}

// TestAShopJoinsByHand goes the whole way with the command line alone.
func TestAShopJoinsByHand(t *testing.T) {
	h := newHouse(t)
	b := &byHand{h, filepath.Join(t.TempDir(), "application.json")}
	api := "http://" + h.app.listeners[0].Addr().String()
	form := filepath.Join(t.TempDir(), "form.json")
	h.must(os.WriteFile(form, []byte(strings.Replace(joiningForm, "5411", "54", 1)), 0o600))
	if says := b.run(false, "new", form, "--api", api); !strings.Contains(says, "/mcc: ") {
		t.Error(says)
	}
	b.run(false, "status")
	h.must(os.WriteFile(form, []byte(joiningForm), 0o600))
	if out := b.run(true, "new", form, "--api", api); !strings.Contains(out, "applied") || !strings.Contains(out, "confirm") {
		t.Error(out)
	}
	if info, err := os.Stat(b.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret lies in %v, %v", info, err)
	}
	b.run(false, "new", form, "--api", api)
	b.run(false, "confirm", "00000000")
	b.run(false, "new-key", "both")
	confirmed := b.act(`{"type":"confirm","code":"` + h.letter(`Your code is (\d{8})`) + `"}`)
	id, key := confirmed["id"].(string), confirmed["api_key"].(string)
	if status, p := h.pay(key, "1000"); status != 201 || p["bank"] != "sim" {
		t.Fatalf("a test payment: %d %v", status, p)
	}
	if out := b.run(true, "guide"); !strings.Contains(out, confirmed["merchant_id"].(string)) {
		t.Errorf("the guide: %.300s", out)
	}
	b.act(`{"type":"choose_banks","banks":["alfa"]}`)
	h.letter(`(?s)this is what has to be done.*until \d{4}-\d\d-\d\d`)
	h.papers(id, b.act)
	h.acts("anna", "provision", id, "alfa", "--merchant-id", "ROSES0000000001", "--terminal", "ROSE0001")
	h.acts("anna", "test-connection", id, "alfa")
	if says := b.run(false, "check", "refund"); !strings.Contains(says, "has not passed") {
		t.Error(says)
	}
	h.checks(id, key, b.act)
	h.acts("anna", "request-live", id, "alfa")
	h.acts("boris", "approve-live", id, "alfa")
	merchant := confirmed["merchant_id"].(string)
	h.acts("anna", "receipts-on", merchant)
	if m, _ := h.app.core.KeptMerchant(merchant); !m.Receipts || m.Language != "en" {
		t.Errorf("after receipts-on: %+v", m)
	}
	if _, err := h.operator("anna", "receipts-on", "mer_other"); err == nil {
		t.Error("a merchant of the configuration was changed")
	}
	h.acts("anna", "receipts-off", merchant)
	live := b.act(`{"type":"new_key","livemode":true}`)["api_key"].(string)
	if status, p := h.pay(live, "777"); status != 201 || p["bank"] != "alfa" || p["livemode"] != true {
		t.Fatalf("a live payment: %d %v", status, p)
	}
	if out := b.run(true, "status"); !strings.Contains(out, "  live  ") || strings.Contains(out, "API key") {
		t.Error(out)
	}
}
