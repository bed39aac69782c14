package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/iso"
)

// runAsTranzit makes the test binary behave as the tranzit binary, so that the
// tests kill a real process of the code under test.
const runAsTranzit = "TRANZIT_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runAsTranzit) == "1" {
		main()
		return
	}
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() == "" { // the children of fuzzing are tests themselves
		_ = os.Setenv(runAsTranzit, "1") // for every child; this process has asked already
	}
	// These tests wait for processes more than they work: twice as many as usual go at once.
	if most := flag.Lookup("test.parallel"); most.Value.String() == most.DefValue {
		_ = flag.Set(most.Name, strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
	os.Exit(m.Run())
}

// rig is a switch process on a data directory of its own, in front of
// simulated banks that live in the test and so survive it.
type rig struct {
	t       *testing.T
	dir     string
	config  string
	api     string
	admin   string
	banks   map[string]*banksim.Bank
	process *exec.Cmd
	exited  chan struct{}
	wrap    []string // a command line that runs the switch, such as a tracer's
	last    *exec.Cmd
	logPath string
	client  *http.Client
}

// rigPlan is what a rig has beyond the ordinary.
type rigPlan struct {
	settings string                          // further top-level keys of the configuration
	timeouts string                          // of both banks; default rigTimeouts
	links    int                             // to each bank; default 2
	bank     string                          // further keys of both banks
	merchant string                          // and of the merchant
	keys     map[string][]byte               // of both simulated banks, by the dialect's names
	via      func(id, address string) string // what the switch dials instead of the bank
	eager    bool                            // reversals are tried after rigFirstTry, not after seconds
	alfa     string                          // dialect of the bank alfa; default ascii87
}

const rigFirstTry = "200ms"

const rigTimeouts = "{connect: 1s, write: 300ms, response: 700ms, reversal: 700ms}"

const rigKey = "sk_test_rig_0123456789abcdef"

func newRig(t *testing.T) *rig { return newRigWith(t, rigPlan{}) }

func newRigWith(t *testing.T, plan rigPlan) *rig {
	t.Helper()
	if plan.timeouts == "" {
		plan.timeouts = rigTimeouts
	}
	if plan.links == 0 {
		plan.links = 2
	}
	if plan.alfa == "" {
		plan.alfa = "ascii87"
	}
	r := &rig{t: t, dir: t.TempDir(), banks: map[string]*banksim.Bank{}}
	r.api, r.admin = freeAddress(t), freeAddress(t)
	var banks strings.Builder
	for _, b := range []struct{ id, dialect string }{{"alfa", plan.alfa}, {"vega", "binary87"}} {
		d, err := iso.Resolve(b.dialect)
		if err != nil {
			t.Fatal(err)
		}
		sim, err := banksim.New(banksim.Config{Dialect: d, Listen: "127.0.0.1:0", LateBy: 1500 * time.Millisecond, Keys: plan.keys})
		if err != nil {
			t.Fatal(err)
		}
		if err := sim.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sim.Close() })
		r.banks[b.id] = sim
		address := sim.Addr()
		if plan.via != nil {
			address = plan.via(b.id, address)
		}
		dialect := b.dialect
		if plan.eager && filepath.Ext(dialect) == "" {
			dialect = eagerDialect(t, b.dialect)
		}
		fmt.Fprintf(&banks, rigBank, b.id, dialect, address, plan.links, plan.timeouts)
		banks.WriteString(plan.bank)
	}
	r.config = filepath.Join(r.dir, "tranzit.yaml")
	text := fmt.Sprintf(rigConfig, r.api, r.admin, filepath.Join(r.dir, "data"), banks.String(), rigKey) + plan.settings
	text = strings.Replace(text, rigMerchant, rigMerchant+plan.merchant, 1)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.logPath = filepath.Join(r.dir, "switch.log")
	r.client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(r.kill)
	return r
}

// eagerDialect writes a built-in dialect with a shorter store-and-forward
// schedule and returns its path. It lies outside the rig's folder, which is
// scanned for the card numbers that stand in the dialects' comments.
func eagerDialect(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "iso", "dialects", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	quick := strings.Replace(string(text), "saf: {first: 5s,", "saf: {first: "+rigFirstTry+",", 1)
	if quick == string(text) {
		t.Fatalf("dialect %s has another store-and-forward schedule than the one to be shortened", name)
	}
	path := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(path, []byte(quick), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const rigBank = `  - id: %s
    dialect: %s
    endpoints: ["%s"]
    links_per_endpoint: %d
    timeouts: %s
    reconnect: {min: 20ms, max: 100ms}
    institution: "123456"
`

const rigMerchant = "    card_present: true\n"

const rigConfig = `listen: %s
admin: %s
data: %s
log: {level: info}
banks:
%smerchants:
  - id: mer_rig
    name: RIG SHOP
    city: BERLIN
    country: "276"
    mcc: "5411"
    keys: [{mode: test, key: %s}]
` + rigMerchant + `    banks:
      - {bank: alfa, merchant_id: MERCHANT0000001, terminals: [TERM0001, TERM0002]}
      - {bank: vega, merchant_id: MERCHANT0000002, terminals: [TERM0001]}
`

func freeAddress(t *testing.T) string {
	t.Helper()
	free, err := bench.FreeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	return free[0]
}

// start runs `tranzit serve` and returns once the process answers its health
// check and a bank is signed on.
func (r *rig) start() {
	r.t.Helper()
	r.run("serve", "--config", r.config)
	r.awaitBanks()
}

// awaitBanks waits until every bank can be asked; for a bank that is down no longer
// than a moment, once another is up.
func (r *rig) awaitBanks() {
	r.t.Helper()
	var first time.Time
	r.await("readiness", func() bool {
		select {
		case <-r.exited:
			r.t.Fatalf("the switch ended before it was ready\n%s", r.logTail())
		default:
		}
		if r.get(r.admin, "/readyz", nil) != http.StatusOK {
			return false
		}
		if first.IsZero() {
			first = time.Now()
		}
		return len(r.parts()) == 0 || time.Since(first) > 2*time.Second
	})
}

func (r *rig) run(args ...string) {
	r.t.Helper()
	log, err := os.OpenFile(r.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	line := append(append([]string{}, r.wrap...), append([]string{os.Args[0]}, args...)...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), runAsTranzit+"=1")
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, childOfTest()
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	r.process, r.last, r.exited = cmd, cmd, exited
}

// kill is SIGKILL, as an operator's worst day.
func (r *rig) kill() { r.signal(syscall.SIGKILL) }

func (r *rig) signal(sig os.Signal) {
	if r.process == nil {
		return
	}
	_ = r.process.Process.Signal(sig)
	select {
	case <-r.exited:
	case <-time.After(patience):
		_ = r.process.Process.Kill()
		r.t.Errorf("the switch did not stop within %s of %s", patience, sig)
	}
	r.process = nil
}

// patience is how long a condition of a real process may take to come true: it is
// spent on a machine in trouble only.
const patience = 2 * time.Minute

// await polls a real process for a condition.
func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	if ok() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			r.t.Fatalf("%s: not within %s\n%s", what, patience, r.logTail())
		case <-tick.C:
		}
	}
}

func (r *rig) logTail() string {
	text, _ := os.ReadFile(r.logPath)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-12):], []byte("\n")))
}

func (r *rig) get(address, path string, into any) int {
	request, err := http.NewRequest(http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.SetBasicAuth(rigKey, "")
	response, err := r.client.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0
	}
	if into != nil && response.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, into); err != nil {
			r.t.Errorf("GET %s: %v", path, err)
		}
	}
	return response.StatusCode
}

// wish is one payment a merchant asks for, and what it was told.
type wish struct {
	key    string
	bank   string
	card   string
	amount int64

	code int    // HTTP; 0: no answer
	body []byte // of the first answer
}

// method is what pays: a card, a network token or a card that is present, each
// with the secrets that are looked for afterwards.
func (w *wish) method() string {
	switch w.amount % 5 {
	case 1:
		return fmt.Sprintf(`{"type":"network_token","network_token":{"number":%q,"exp_month":12,"exp_year":%d,"cryptogram":%q,"eci":"05","wallet":"mir_pay"}}`,
			w.card, time.Now().Year()+2, markerCryptogram)
	case 2:
		return fmt.Sprintf(`{"type":"card_present","card_present":{"entry":"chip","track2":"%s=%s","emv":%q,"sequence":"001"}}`, w.card, markerTrack, markerEMV)
	}
	return fmt.Sprintf(`{"type":"card","card":{"number":%q,"exp_month":12,"exp_year":%d,"cvc":"%s"}},"three_ds":{"eci":"05","cavv":"%s"}`,
		w.card, time.Now().Year()+2, markerCVC, markerCAVV)
}

type paymentView struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Amount   int64  `json:"amount"`
	Bank     string `json:"bank"`
	RRN      string `json:"rrn"`
	OrderID  string `json:"order_id"`
	Captured int64  `json:"amount_captured"`

	Authorized int64 `json:"amount_authorized"`
	Refunded   int64 `json:"amount_refunded"`
}

// pay posts the wish once. A lost connection leaves code 0.
func (r *rig) pay(w *wish) (code int, body []byte, replayed bool) {
	code, body, header := r.post(w)
	return code, body, header.Get("Idempotency-Replayed") == "true"
}

func (r *rig) post(w *wish) (code int, body []byte, header http.Header) {
	return r.send(w.key, "/v1/payments", fmt.Sprintf(`{"amount":%d,"currency":"EUR","order_id":%q,"bank":%q,"payment_method":%s}`, w.amount, w.key, w.bank, w.method()))
}

// send posts a request under a key. A lost connection gives code 0.
func (r *rig) send(key, path, text string) (code int, body []byte, header http.Header) {
	request, err := http.NewRequest(http.MethodPost, "http://"+r.api+path, strings.NewReader(text))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+rigKey)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	response, err := r.client.Do(request)
	if err != nil {
		return 0, nil, nil
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, nil
	}
	return response.StatusCode, body, response.Header
}

// journal exports the records of the stopped switch: one fold per payment.
func (r *rig) journal() map[string]paymentView {
	r.t.Helper()
	cmd := exec.Command(os.Args[0], "journal", "export", "--data", filepath.Join(r.dir, "data"))
	cmd.Env = append(os.Environ(), runAsTranzit+"=1")
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("journal export: %v", err)
	}
	payments := map[string]paymentView{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var e struct {
			Payment string `json:"payment"`
			paymentView
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			r.t.Fatal(err)
		}
		e.ID = e.Payment
		payments[e.Payment] = e.paymentView
	}
	return payments
}

func (r *rig) command(args ...string) (string, error) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), runAsTranzit+"=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// drive keeps workers paying until stop is closed and returns every wish.
func (r *rig) drive(round int, stop <-chan struct{}) []*wish {
	var mu sync.Mutex
	var all []*wish
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				w := newWish(round, worker, n)
				for {
					w.code, w.body, _ = r.pay(w)
					if w.code != http.StatusServiceUnavailable {
						break
					}
					<-time.After(5 * time.Millisecond) // the bank's links are being made again
				}
				mu.Lock()
				all = append(all, w)
				mu.Unlock()
				if w.code == 0 {
					return
				}
			}
		}()
	}
	wg.Wait()
	return all
}
