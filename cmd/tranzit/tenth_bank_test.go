package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// tenthDialect is the dialect of a bank that nothing in the program knows,
// tenthProfile what it supports.
func tenthDialect(t *testing.T) string { return tenthFile(t, "tenth.yaml") }
func tenthProfile(t *testing.T) string { return tenthFile(t, "tenth-bank.yaml") }

func tenthFile(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "iso", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The suite of the other dialects, with that bank in the place of one of them.
func TestATenthBankIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	newRigWith(t, rigPlan{alfa: tenthDialect(t)}).killUnderLoad(3)
}

func TestATenthBankIsKilledWhileOperating(t *testing.T) {
	t.Parallel()
	newRigWith(t, rigPlan{alfa: tenthDialect(t), eager: true}).killWhileOperating(4)
}

// bankProcess is `tranzit bank` of a dialect file as a process of its own.
type bankProcess struct {
	t               *testing.T
	address, booked string
}

func startBank(t *testing.T, dialect string) *bankProcess {
	t.Helper()
	b := &bankProcess{t: t, address: freeAddress(t), booked: freeAddress(t)}
	cmd := exec.Command(os.Args[0], "bank", "--dialect", dialect, "--listen", b.address, "--books", b.booked, "--late-by", "1500ms")
	cmd.Env = append(os.Environ(), runAsTranzit+"=1")
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, childOfTest()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the bank: %v", err)
		}
	})
	return b
}

// await waits until the bank's ports are open.
func (b *bankProcess) await() {
	b.t.Helper()
	(&rig{t: b.t}).await("the bank to answer", func() bool {
		answer, err := http.Get("http://" + b.booked + "/healthz")
		if err == nil {
			answer.Body.Close()
		}
		return err == nil
	})
}

// books are the bank's entries of one reference number, or all without one.
func (b *bankProcess) books(rrn string) []banksim.Entry {
	b.t.Helper()
	answer, err := http.Get("http://" + b.booked + "/books?limit=0&rrn=" + rrn)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	var told struct{ Entries []banksim.Entry }
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil {
		b.t.Fatal(err)
	}
	return told.Entries
}

// frames are how many the bank has read. After the first minute echoes are among
// them.
func (b *bankProcess) frames() (n uint64) {
	b.t.Helper()
	answer, err := http.Get("http://" + b.booked + "/status")
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	var told struct{ Frames uint64 }
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil {
		b.t.Fatal(err)
	}
	return told.Frames
}

func (b *bankProcess) control(text string) {
	b.t.Helper()
	answer, err := http.Post("http://"+b.booked+"/control", "application/json", strings.NewReader(text))
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		b.t.Fatalf("control %s: HTTP %d", text, answer.StatusCode)
	}
}

// tenthRig is a switch with that bank alone, and the bank beside it: the real
// program twice, and what is new are files.
func tenthRig(t *testing.T) (*rig, *bankProcess) {
	t.Helper()
	dialect := tenthDialect(t)
	bank := startBank(t, dialect)
	bank.await()
	r := &rig{t: t, dir: t.TempDir(), banks: map[string]*banksim.Bank{}, api: freeAddress(t), admin: freeAddress(t)}
	r.config, r.logPath = filepath.Join(r.dir, "tranzit.yaml"), filepath.Join(r.dir, "switch.log")
	r.client = &http.Client{Timeout: patience}
	entry := fmt.Sprintf(rigBank, "tenth", dialect, bank.address, 2, rigTimeouts) + "    profile: " + tenthProfile(t) + "\n"
	text := fmt.Sprintf(rigConfig, r.api, r.admin, filepath.Join(r.dir, "data"), entry, rigKey)
	text = text[:strings.Index(text, "      - {bank: alfa")] + "      - {bank: tenth, merchant_id: MERCHANT0000001, terminals: [TERM0001, TERM0002]}\n"
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	for _, line := range [][]string{{"dialect", "lint", dialect}, {"config", "check", r.config}} {
		if out, err := r.command(line...); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(line, " "), err, out)
		}
	}
	return r, bank
}

func paymentText(key, card, method string, amount int64) string {
	return fmt.Sprintf(`{"amount":%d,"currency":"EUR","order_id":%q,"capture_method":%q,`+
		`"payment_method":{"type":"card","card":{"number":%q,"exp_month":12,"exp_year":%d,"cvc":"%s"}},"three_ds":{"eci":"05","cavv":"%s"}}`,
		amount, key, method, card, time.Now().Year()+2, markerCVC, markerCAVV)
}

// refusedUnsent asks for what this bank does not do: the refusal says why, and the
// bank hears nothing of it.
func (r *rig) refusedUnsent(bank *bankProcess, path, text, why string) {
	r.t.Helper()
	before := bank.frames()
	code, answer, _ := r.send("refused "+path+why, path, text)
	if code < 400 || code >= 500 || !strings.Contains(string(answer), why) {
		r.t.Errorf("%s %s: HTTP %d %s; want a refusal with %q", path, text, code, answer, why)
	}
	if after := bank.frames(); after != before {
		r.t.Errorf("%s %s: the bank heard of it, in %d frames", path, text, after-before)
	}
}

// ask makes one payment at the tenth bank and returns it as it was answered.
func (r *rig) ask(key, card, method string, amount int64) paymentView {
	r.t.Helper()
	code, body, _ := r.send(key, "/v1/payments", paymentText(key, card, method, amount))
	var told paymentView
	if err := json.Unmarshal(body, &told); err != nil || code != 201 && code != 202 {
		r.t.Fatalf("%s: HTTP %d %s", key, code, body)
	}
	return told
}

// becomes waits until a payment is what it must be.
func (r *rig) becomes(id, status string) paymentView {
	r.t.Helper()
	var now paymentView
	r.await(id+" to be "+status, func() bool {
		return r.get(r.api, "/v1/payments/"+id, &now) == http.StatusOK && now.Status == status
	})
	return now
}

// act does one thing to a payment and waits until it is settled.
func (r *rig) act(p paymentView, path, body, status string) paymentView {
	r.t.Helper()
	if code, answer, _ := r.send(p.ID+path+status, "/v1/payments/"+p.ID+path, body); code != 201 && code != 202 {
		r.t.Fatalf("%s of %s: HTTP %d %s", path, p.ID, code, answer)
	}
	return r.becomes(p.ID, status)
}

// A bank that exists as files alone is added to the program as it is, and does all
// that a bank does: the journal and the bank's own books agree on every payment.
func TestATenthBankByFilesAlone(t *testing.T) {
	t.Parallel()
	r, bank := tenthRig(t)
	r.start()
	r.await("both links to be signed on and asked for their echo", func() bool { return bank.frames() == 4 })
	all := map[string]paymentView{}
	note := func(p paymentView, status string) paymentView {
		t.Helper()
		if p.Status != status {
			t.Errorf("%s is %s, want %s", p.OrderID, p.Status, status)
		}
		all[p.OrderID] = p
		return p
	}
	note(r.ask("bought", cardApproved, "automatic", 12500), "captured")
	note(r.ask("poor", cardDeclined, "automatic", 700), "declined")
	note(r.ask("stolen", faultCard(banksim.Decline43), "manual", 700), "declined")
	held := r.ask("held", cardApproved, "manual", 6000)
	r.refusedUnsent(bank, "/v1/payments/"+held.ID+"/capture", `{"amount":2500}`, "no part of a hold: capture 6000")
	r.refusedUnsent(bank, "/v1/payments/"+held.ID+"/cancel", `{"amount":2500}`, "part of a hold")
	note(r.act(held, "/capture", "{}", "captured"), "captured")
	r.refusedUnsent(bank, "/v1/payments", paymentText("dear", cardApproved, "automatic", 50001), "takes purchases of 1 to 50000 in EUR")
	r.refusedUnsent(bank, "/v1/payments", strings.Replace(paymentText("other", cardApproved, "automatic", 900), "EUR", "USD", 1), "takes this currency")
	r.refusedUnsent(bank, "/v1/payments", strings.Replace(paymentText("parts", cardApproved, "automatic", 900), "{", `{"instalments":{"count":3},`, 1), "instalments")
	r.refusedUnsent(bank, "/v1/verifications", `{"currency":"EUR","payment_method":{"type":"card","card":{"number":"`+cardApproved+`","exp_month":12,"exp_year":2030}}}`, "verifies cards")
	note(r.act(r.ask("undone", cardApproved, "automatic", 4000), "/cancel", "{}", "canceled"), "canceled")
	note(r.act(r.ask("let go", cardApproved, "manual", 4100), "/cancel", "{}", "canceled"), "canceled")
	note(r.act(r.ask("returned", cardApproved, "automatic", 5000), "/refunds", `{"amount":2000}`, "partially_refunded"), "partially_refunded")
	for key, does := range map[string]banksim.Behaviour{"silent": banksim.NoAnswer, "charged": banksim.ChargedWithoutAnswer, "late": banksim.LateAnswer, "cut": banksim.CutAfter} {
		p := r.ask(key, faultCard(does), "automatic", 900)
		if p.Status != "unknown" {
			t.Errorf("%s is %s before anything is proven", key, p.Status)
		}
		note(r.becomes(p.ID, "reversed"), "reversed")
	}
	note(r.killedOnTheWay(bank), "reversed")
	r.await("store-and-forward to empty", r.quiet)
	r.signal(os.Interrupt)
	if out, err := r.command("journal", "verify", "--data", filepath.Join(r.dir, "data")); err != nil {
		t.Errorf("journal verify: %s", out)
	}
	journal := r.journal()
	for _, p := range journal {
		if told := all[p.OrderID]; told.Status != p.Status || told.ID != p.ID {
			t.Errorf("%s: told %+v, the journal ends %+v", p.OrderID, told, p)
		}
		r.compareMoney(p, bank.books(p.RRN))
	}
	if len(journal) != len(all) {
		t.Errorf("%d payments in the journal, %d were told", len(journal), len(all))
	}
	r.scanForCardData()
}

// killedOnTheWay kills the switch while the bank thinks about a payment. The
// merchant repeats it under its key.
func (r *rig) killedOnTheWay(bank *bankProcess) paymentView {
	r.t.Helper()
	w := &wish{key: "killed", bank: "tenth", card: cardApproved, amount: 1500}
	before := len(bank.books(""))
	bank.control(`{"mode":"mute"}`)
	lost := r.launch([]*wish{w})
	r.await("the bank to read the payment", func() bool { return len(bank.books("")) > before })
	r.kill()
	lost()
	bank.control(`{"mode":"normal"}`)
	r.start()
	code, body, _ := r.pay(w)
	var told paymentView
	if err := json.Unmarshal(body, &told); err != nil || code != 201 && code != 202 {
		r.t.Fatalf("%s: HTTP %d %s", w.key, code, body)
	}
	return r.becomes(told.ID, "reversed")
}
