package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/frontend/client"
	"github.com/tranzit/tranzit/iso"
)

const joiningConfig = `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
data: %q
webhooks: {allow_http: true, allow_networks: [127.0.0.0/8]}
joining: {operators_email: desk@tranzit.example, api: "https://api.tranzit.example"}
cabinet: {listen: "localhost:0"}
page: {three_ds: simulated}
banks:
  - {id: sim, dialect: %q, mode: test, endpoints: [%q], links_per_endpoint: 1, institution: "123456", timeouts: {connect: 5s, write: 1s, response: 3s, reversal: 3s}}
  - {id: alfa, dialect: ascii87, profile: demo-alfa, mode: live, endpoints: [%q], links_per_endpoint: 1, institution: "654321"}
merchants:
  - id: mer_other
    name: OTHER
    city: MOSCOW
    country: "643"
    mcc: "5411"
    keys: [{mode: test, key: sk_test_other_0123456789}]
    banks: [{bank: sim, merchant_id: MERCHANT0000001, terminals: [TERM0001]}]
`

// house is a whole process in this one: a switch with a simulated test bank and a
// live one, and a shop's server.
type house struct {
	t    *testing.T
	cfg  string
	data string
	sims map[string]*banksim.Bank
	app  *app
	shop *careful
}

// careful is a shop's server that verifies signatures, once it is told a secret.
type careful struct {
	mu     sync.Mutex
	secret string
	types  []string
}

// ServeHTTP implements http.Handler.
func (s *careful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if s.secret != "" {
		if _, err := client.ReadWebhook(s.secret, r.Header, body); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
	}
	var e struct{ Type string }
	_ = json.Unmarshal(body, &e)
	s.types = append(s.types, e.Type)
}

func (s *careful) got(kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.types {
		if t == kind {
			return true
		}
	}
	return false
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, data: t.TempDir(), sims: map[string]*banksim.Bank{}, shop: &careful{}}
	for id, dialect := range map[string]string{"sim": "binary87", "alfa": "ascii87"} {
		d, err := iso.Builtin(dialect)
		h.must(err)
		sim, err := banksim.New(banksim.Config{Dialect: d})
		h.must(err)
		h.must(sim.Start())
		t.Cleanup(func() { _ = sim.Close() })
		h.sims[id] = sim
	}
	h.cfg = fmt.Sprintf(joiningConfig, h.data, eagerDialect(t, "binary87"), h.sims["sim"].Addr(), h.sims["alfa"].Addr())
	h.start()
	t.Cleanup(func() { _ = h.app.stop() })
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) start() {
	h.t.Helper()
	cfg, err := parseConfig("test.yaml", []byte(h.cfg))
	h.must(err)
	h.app, err = startApp(cfg, io.Discard)
	h.must(err)
	h.must(h.app.awaitReady(context.Background(), time.Minute))
}

// call makes a call of the merchants' API and reads its answer.
func (h *house) call(method, path, secret, body string) (status int, answer map[string]any) {
	h.t.Helper()
	req, err := http.NewRequest(method, "http://"+h.app.listeners[0].Addr().String()+path, strings.NewReader(body))
	h.must(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprint(time.Now().UnixNano()))
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := http.DefaultClient.Do(req)
	h.must(err)
	defer resp.Body.Close()
	h.must(json.NewDecoder(resp.Body).Decode(&answer))
	return resp.StatusCode, answer
}

// operator runs a command of `tranzit merchant` as somebody.
func (h *house) operator(name string, words ...string) (string, error) {
	h.t.Helper()
	words = append(append([]string{"merchant"}, words...), "--admin", h.app.listeners[1].Addr().String())
	if words[1] != "application" && words[1] != "applications" && words[1] != "letters" {
		words = append(words, "--operator", name, "--reason", "as asked")
	}
	return command(h.t, "", words...)
}

func (h *house) acts(name string, words ...string) {
	h.t.Helper()
	if out, err := h.operator(name, words...); err != nil {
		h.t.Fatalf("%v: %v\n%s", words, err, out)
	}
}

// letter waits for a letter whose text matches, and gives the first group.
func (h *house) letter(pattern string) string {
	h.t.Helper()
	look := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		files, _ := filepath.Glob(filepath.Join(h.data, "letters", "*.eml"))
		for _, name := range files {
			text, err := os.ReadFile(name)
			h.must(err)
			plain, _ := io.ReadAll(quotedprintable.NewReader(strings.NewReader(string(text))))
			if m := look.FindStringSubmatch(string(plain)); m != nil {
				return m[len(m)-1]
			}
		}
	}
	h.t.Fatalf("no letter has %s", pattern)
	return ""
}

func (h *house) pay(key, amount string) (int, map[string]any) {
	return h.call("POST", "/v1/payments", key, `{"amount":`+amount+`,"currency":"RUB","order_id":"A-1","payment_method":{"type":"card","card":{"number":"4111111111111111","exp_month":12,"exp_year":2030,"cvc":"123"}}}`)
}

const joiningForm = `{"company":"Roses Ltd","registration_number":"1027700132195","country":"643","city":"MOSCOW","statement_name":"ROSES","site":"https://shop.example",
"contact_name":"Irina Petrova","email":"pay@shop.example","phone":"+74951234567","mcc":"5411","monthly_volume":10000000,"currency":"RUB","language":"en",
"time_zone":"Europe/Moscow","integration":"page"}`

// TestAShopJoins is the whole story over HTTP and the command line: from the
// application to a live payment, with the process ended and begun anew on the way.
func TestAShopJoins(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	status, fresh := h.call("POST", "/v1/applications", "", joiningForm)
	if status != 201 {
		t.Fatal(status, fresh)
	}
	id, mine := fresh["id"].(string), fresh["secret"].(string)
	act := func(body string) map[string]any {
		t.Helper()
		status, answer := h.call("POST", "/v1/applications/"+id+"/acts", mine, body)
		if status != 200 {
			t.Fatalf("%s: %d %v", body, status, answer)
		}
		return answer
	}
	key := act(`{"type":"confirm","code":"` + h.letter(`Your code is (\d{8})`) + `"}`)["api_key"].(string)
	h.letter("Test mode is open")
	if status, p := h.pay(key, "1000"); status != 201 || p["bank"] != "sim" || p["livemode"] != false {
		t.Fatalf("a test payment: %d %v", status, p)
	}
	act(`{"type":"choose_banks","banks":["alfa"]}`)
	h.letter(`(?s)this is what has to be done.*until \d{4}-\d\d-\d\d`)
	h.papers(id, act)
	h.acts("anna", "provision", id, "alfa", "--merchant-id", "ROSES0000000001", "--terminal", "ROSE0001")
	h.acts("anna", "test-connection", id, "alfa")
	h.must(h.app.stop())
	h.start()
	h.checks(id, key, act)
	if out, err := h.operator("boris", "approve-live", id, "alfa"); err == nil {
		t.Errorf("approved before anybody asked: %s", out)
	}
	h.acts("anna", "request-live", id, "alfa")
	h.letter("Roses Ltd waits for a second person")
	if out, err := h.operator("anna", "approve-live", id, "alfa"); err == nil || !strings.Contains(err.Error(), "another person") {
		t.Errorf("one person made a shop live: %s %v", out, err)
	}
	h.acts("boris", "approve-live", id, "alfa")
	h.letter(`You are live at Alfa \(demo\)`)
	live := act(`{"type":"new_key","livemode":true}`)["api_key"].(string)
	status, p := h.pay(live, "777")
	if status != 201 || p["bank"] != "alfa" || p["livemode"] != true || p["status"] != "captured" {
		t.Fatalf("a live payment: %d %v", status, p)
	}
	for deadline := time.Now().Add(time.Minute); !h.shop.got("merchant.live"); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the shop's server was not told: %v", h.shop.types)
		}
	}
	h.must(h.app.stop())
	h.start()
	if status, p := h.pay(live, "778"); status != 201 || p["bank"] != "alfa" {
		t.Errorf("a live payment in the next life: %d %v", status, p)
	}
	out, err := h.operator("", "application", id)
	if err != nil || !strings.Contains(out, "live") || !strings.Contains(out, "boris") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := h.operator("", "applications"); err != nil || !strings.Contains(out, id) {
		t.Errorf("%v\n%s", err, out)
	}
}

// papers brings the checklist and the contract to an end.
func (h *house) papers(id string, act func(string) map[string]any) {
	h.t.Helper()
	file := base64.StdEncoding.EncodeToString([]byte("%PDF-1.7 an extract"))
	act(`{"type":"upload","bank":"alfa","item":"registration","name":"extract.pdf","content":"` + file + `"}`)
	h.acts("anna", "return-item", id, "alfa", "registration")
	h.letter("was returned. as asked")
	path := filepath.Join(h.t.TempDir(), "better.pdf")
	h.must(os.WriteFile(path, []byte("%PDF-1.7 a better extract"), 0o600))
	h.acts("anna", "upload", id, "alfa", "registration", path)
	h.acts("anna", "accept-item", id, "alfa", "registration")
	for _, item := range []string{"tax-number", "settlement-account"} {
		act(`{"type":"answer","bank":"alfa","item":"` + item + `","text":"40702810000000000001"}`)
		h.acts("anna", "accept-item", id, "alfa", item)
	}
	for _, item := range []string{"website-terms", "terminal", "technical-connection"} {
		h.acts("anna", "accept-item", id, "alfa", item)
	}
	h.letter(`The contract with Alfa \(demo\) can be accepted`)
	act(`{"type":"accept_contract","bank":"alfa","signer":"Irina Petrova"}`)
	h.acts("anna", "countersign", id, "alfa", "--contract", "17/2026")
	h.letter("has the number 17/2026")
}

// checks shows first that a shop that is not ready does not pass.
func (h *house) checks(id, key string, act func(string) map[string]any) {
	h.t.Helper()
	server := httptest.NewServer(h.shop)
	h.t.Cleanup(server.Close)
	status, e := h.call("POST", "/v1/webhook_endpoints", key, `{"url":"`+server.URL+`/hooks"}`)
	if status != 201 {
		h.t.Fatal(status, e)
	}
	if out, err := h.operator("anna", "check", id, "webhook"); err == nil || !strings.Contains(out, "does not verify signatures") {
		h.t.Errorf("a shop that takes everything: %v\n%s", err, out)
	}
	if _, err := h.operator("anna", "request-live", id, "alfa"); err == nil {
		h.t.Error("live without the checks")
	}
	h.shop.mu.Lock()
	h.shop.secret = e["secret"].(string)
	h.shop.mu.Unlock()
	act(`{"type":"check","check":"webhook"}`)
	if out, err := h.operator("anna", "check", id, "refund"); err == nil {
		h.t.Errorf("a refund that never was: %s", out)
	}
	status, p := h.pay(key, "1100")
	if status != 201 {
		h.t.Fatal(status, p)
	}
	if status, r := h.call("POST", "/v1/payments/"+p["id"].(string)+"/refunds", key, `{}`); status != 201 {
		h.t.Fatal(status, r)
	}
	h.acts("anna", "check", id, "refund")
	h.acts("anna", "waive-check", id, "page")
}
