package webhooks

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

const testKey = "sk_test_socks_0123456789abcdef"

// rig is a real switch over a store in memory and one simulated bank, with a
// deliverer that is in a hurry.
type rig struct {
	t     testing.TB
	store *storage.Store
	keys  *payswitch.KeyRing
	host  *banksim.Bank
	sw    *payswitch.Switch
	d     *Deliverer
	reg   *prometheus.Registry
	n     int

	change func(*Options)
}

func newRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	dialect, err := iso.Builtin("ascii87")
	must(t, err)
	host, err := banksim.New(banksim.Config{Dialect: dialect, Logger: quiet})
	must(t, err)
	must(t, host.Start())
	t.Cleanup(func() { _ = host.Close() })
	store, err := storage.Open(storage.Options{Disk: storage.NewMemDisk(), Logger: quiet, OnFatal: func(err error) { t.Error(err) }})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	path := filepath.Join(t.TempDir(), "keys")
	must(t, payswitch.CreateKeyRing(path))
	keys, err := payswitch.LoadKeyRing(path)
	must(t, err)
	r := &rig{t: t, store: store, keys: keys, host: host, change: change}
	r.start()
	t.Cleanup(r.stop)
	return r
}

// start begins a life of the switch and its deliverer on the rig's store.
func (r *rig) start() {
	r.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	dialect, err := iso.Builtin("ascii87")
	must(r.t, err)
	r.reg = prometheus.NewRegistry()
	r.sw, err = payswitch.New(payswitch.Options{Store: r.store, Keys: r.keys, Logger: quiet, Registerer: r.reg,
		Banks: []payswitch.BankConfig{{Dialect: dialect, Acquirer: "123456", Link: acquirers.Config{
			ID: "alfa", Endpoints: []string{r.host.Addr()}, SignOn: true, Institution: "123456", Logger: quiet,
			ResponseTimeout: 300 * time.Millisecond, ReversalTimeout: 300 * time.Millisecond, WriteTimeout: 100 * time.Millisecond,
		}}},
		Merchants: []payswitch.Merchant{{ID: "mer_socks", Name: "TEST SHOP", City: "MOSCOW", Country: "643", MCC: "5411",
			Keys:  []payswitch.APIKey{{Hash: payswitch.HashKey([]byte(testKey))}},
			Banks: []payswitch.MerchantBank{{Bank: "alfa", MerchantID: "000000000000001", Terminals: []string{"T0000001"}}}}},
	})
	must(r.t, err)
	must(r.t, r.sw.Start())
	o := Options{Outbox: r.sw.Outbox(), Logger: quiet, Registerer: r.reg,
		Caller:  NewCaller(CallerOptions{Allow: loopback, Whole: 400 * time.Millisecond}),
		Retries: repeat(20*time.Millisecond, 60), Pause: 10 * time.Millisecond, MaxPause: 40 * time.Millisecond}
	if r.change != nil {
		r.change(&o)
	}
	r.d, err = New(o)
	must(r.t, err)
	must(r.t, r.d.Start())
	within(r.t, "a bank that is signed on", func() bool { ok, _ := r.sw.Ready(); return ok })
}

func (r *rig) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	r.d.Stop(ctx)
	r.sw.Close()
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func repeat(d time.Duration, n int) (list []time.Duration) {
	for range n {
		list = append(list, d)
	}
	return list
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within waits until something holds, at most a minute.
func within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func (r *rig) account() payswitch.Account {
	a, ok := r.sw.Authenticate([]byte(testKey))
	if !ok {
		r.t.Fatal("the key is not known")
	}
	return a
}

func (r *rig) endpoint(url string, types ...string) *payswitch.Endpoint {
	r.t.Helper()
	w := payswitch.EndpointWish{URL: &url}
	if len(types) > 0 {
		w.Types = types
	}
	e, err := r.sw.Outbox().MakeEndpoint(r.account(), &w)
	must(r.t, err)
	return e
}

// pay takes one payment, card by what the simulated bank does with it.
func (r *rig) pay(does banksim.Behaviour) payswitch.ID {
	r.t.Helper()
	r.n++
	number := ""
	for _, c := range banksim.Cards() {
		if c.Behaviour == does {
			number = c.Number
		}
	}
	pan, err := iso.ParsePAN([]byte(number))
	must(r.t, err)
	currency, err := iso.ParseCurrency("RUB")
	must(r.t, err)
	a, err := r.sw.Pay(r.account(), &payswitch.PayRequest{IdempotencyKey: fmt.Sprint("k", r.n), Amount: 1000, Currency: currency, OrderID: "o",
		PAN: pan, Expiry: iso.Expiry{Year: 2030, Month: 12}})
	must(r.t, err)
	return a.Payment.ID
}

func (r *rig) refund(p payswitch.ID, amount int64) {
	r.t.Helper()
	r.n++
	_, err := r.sw.Operate(r.account(), &payswitch.OperationRequest{Payment: p, Kind: payswitch.KindRefund, Amount: amount, IdempotencyKey: fmt.Sprint("k", r.n)})
	must(r.t, err)
}

// receiver is a shop's real HTTP server. It checks what it takes by the
// published rule, computed here.
type receiver struct {
	t      *testing.T
	server *httptest.Server
	mu     sync.Mutex
	secret []string
	answer func(n int, w http.ResponseWriter) bool // of the n-th call; false: it is not taken
	calls  int
	taken  []received
	last   map[string]int // payment -> sequence
}

type received struct {
	ID, Type  string
	PaymentID string `json:"payment_id"`
	Sequence  int
	Data      struct {
		Object map[string]any
	}
}

func newReceiver(t *testing.T) *receiver {
	rec := &receiver{t: t, last: map[string]int{}, answer: func(int, http.ResponseWriter) bool { return true }}
	rec.server = httptest.NewServer(rec)
	t.Cleanup(func() {
		rec.server.CloseClientConnections()
		rec.server.Close()
	})
	return rec
}

// ServeHTTP takes a webhook.
func (rec *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	rec.mu.Lock()
	rec.calls++
	n, answer := rec.calls, rec.answer
	rec.mu.Unlock()
	if !answer(n, w) {
		return
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var got received
	if err := json.Unmarshal(body, &got); err != nil {
		rec.t.Errorf("the body: %v", err)
	}
	if r.Header.Get("Webhook-Id") != got.ID || r.Header.Get("Content-Type") != "application/json" {
		rec.t.Errorf("headers %v", r.Header)
	}
	if len(rec.secret) > 0 {
		rec.verify(r.Header, body)
	}
	switch last := rec.last[got.PaymentID]; {
	case got.Sequence == last+1:
		rec.last[got.PaymentID] = got.Sequence
	case got.Sequence > last:
		rec.t.Errorf("event %d of %s came after %d", got.Sequence, got.PaymentID, last)
	}
	rec.taken = append(rec.taken, got)
}

// verify asks for one signature of each secret.
func (rec *receiver) verify(h http.Header, body []byte) {
	var want []string
	for _, s := range rec.secret {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
		must(rec.t, err)
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", h.Get("Webhook-Id"), h.Get("Webhook-Timestamp"), body)
		want = append(want, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if got := h.Get("Webhook-Signature"); got != strings.Join(want, " ") {
		rec.t.Errorf("signature %s, want %s", got, want)
	}
}

func (rec *receiver) does(answer func(n int, w http.ResponseWriter) bool) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.answer = answer
}

// types are those of the payment's events that were taken, in order, each once.
func (rec *receiver) types(p payswitch.ID) string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var words []string
	seen := map[string]bool{}
	for _, g := range rec.taken {
		if g.PaymentID == p.Text("pay") && !seen[g.ID] {
			words = append(words, g.Type)
		}
		seen[g.ID] = true
	}
	return strings.Join(words, " ")
}

func (rec *receiver) wants(p payswitch.ID, types string) {
	rec.t.Helper()
	within(rec.t, types, func() bool { return rec.types(p) == types })
}

func status(code int) func(int, http.ResponseWriter) bool {
	return func(_ int, w http.ResponseWriter) bool {
		w.WriteHeader(code)
		return code < 300
	}
}
