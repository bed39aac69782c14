package plain

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/iso"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "sk_test_plain"

func startBank(t testing.TB, dialect string) *banksim.Bank {
	t.Helper()
	d, err := iso.Builtin(dialect)
	if err != nil {
		t.Fatal(err)
	}
	b, err := banksim.New(banksim.Config{Dialect: d, BooksListen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// start runs a stack; closing it twice is the test's business.
func start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Listen, o.Keys = "127.0.0.1:0", []string{testKey}; o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(t testing.TB, s *Server) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

const body = `{"amount":12500,"currency":"EUR","order_id":"A-1","payment_method":{"type":"card","card":{"number":"NUMBER","exp_month":12,"exp_year":2039,"cvc":"123"}}}`

const approved, declined51, silent = "4111111111111111", "4000000000009995", "4000000001020009"

// post asks for a payment; text overrides nothing but the whole body.
func post(t *testing.T, s *Server, key, text string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr()+"/v1/payments", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, out
}

func bodyOf(card string) string { return strings.Replace(body, "NUMBER", card, 1) }

func read(t *testing.T, text []byte) payment {
	t.Helper()
	var p payment
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return p
}

// TestAnswers: the statuses a bank can give, in both dialects, and what the
// store holds of them after a restart.
func TestAnswers(t *testing.T) {
	for _, dialect := range []string{"ascii87", "binary87"} {
		t.Run(dialect, func(t *testing.T) {
			sim := startBank(t, dialect)
			o := Options{Bank: sim.Addr(), Dialect: dialect, Dir: t.TempDir(), Timeout: 300 * time.Millisecond}
			s := start(t, o)
			var bodies [3][]byte
			cases := [3]struct {
				card, status, code string
				http               int
			}{{approved, statusCaptured, "00", 201}, {declined51, statusDeclined, "51", 201}, {silent, statusUnknown, "", 202}}
			for i, c := range cases {
				code, _, text := post(t, s, "k"+c.card, bodyOf(c.card))
				p := read(t, text)
				if code != c.http || p.Status != c.status || p.ResponseCode != c.code || p.Card.Last4 != c.card[12:] || p.Version != 2 {
					t.Errorf("%s: %d %+v", c.card, code, p)
				}
				bodies[i] = text
			}
			if bytes.Contains(bytes.Join(bodies[:], nil), []byte(approved)) {
				t.Error("an answer holds a card number")
			}
			stop(t, s)
			s = start(t, o)
			defer stop(t, s)
			for i, c := range cases {
				code, head, text := post(t, s, "k"+c.card, bodyOf(c.card))
				if code != c.http || head.Get("Idempotency-Replayed") != "true" || !bytes.Equal(text, bodies[i]) {
					t.Errorf("%s after a restart: %d %s, was %s", c.card, code, text, bodies[i])
				}
			}
			if code, _, _ := post(t, s, "k"+approved, bodyOf(declined51)); code != 422 {
				t.Errorf("another body under the key: %d", code)
			}
			if p := read(t, second(post(t, s, "new", bodyOf(approved)))); p.STAN <= read(t, bodies[2]).STAN {
				t.Errorf("trace number %s given again", p.STAN)
			}
			if e := sim.Books().Summary().Currencies["EUR"]; e.Charged.Count != 2 || e.Net != 25000 {
				t.Errorf("the bank's books: %+v", e)
			}
		})
	}
}

func second(_ int, _ http.Header, text []byte) []byte { return text }

// TestSameKeyAtOnce: one charge, and the same answer for everybody.
func TestSameKeyAtOnce(t *testing.T) {
	sim := startBank(t, "binary87")
	s := start(t, Options{Bank: sim.Addr()})
	defer stop(t, s)
	var asked sync.WaitGroup
	answers := make([][]byte, 16)
	for i := range answers {
		asked.Go(func() { answers[i] = second(post(t, s, "one", bodyOf(approved))) })
	}
	asked.Wait()
	for _, a := range answers {
		if !bytes.Equal(a, answers[0]) {
			t.Errorf("%s\n%s", a, answers[0])
		}
	}
	if n := sim.Books().Len(); n != 1 {
		t.Errorf("%d charges", n)
	}
}

// TestRefusals leave nothing behind.
func TestRefusals(t *testing.T) {
	sim := startBank(t, "binary87")
	s := start(t, Options{Bank: sim.Addr()})
	defer stop(t, s)
	good := bodyOf(approved)
	for _, c := range []struct {
		key, text string
		want      int
	}{
		{"", good, 400},
		{"a", "{", 400},
		{"a", good + "{}", 400},
		{"a", strings.Replace(good, `"amount"`, `"sum":1,"amount"`, 1), 400},
		{"a", strings.Replace(good, "12500", "0", 1), 400},
		{"a", strings.Replace(good, "EUR", "XXY", 1), 400},
		{"a", strings.Replace(good, approved, "4111111111111112", 1), 400},
		{"a", strings.Replace(good, `"exp_month":12`, `"exp_month":13`, 1), 400},
		{"a", strings.Replace(good, `"cvc":"123"`, `"cvc":"12"`, 1), 400},
		{"a", strings.Repeat(" ", maxBody+1) + good, 413},
	} {
		if code, _, text := post(t, s, c.key, c.text); code != c.want || bytes.Contains(text, []byte(approved)) {
			t.Errorf("%.60s: %d %s, want %d", c.text, code, text, c.want)
		}
	}
	res, err := client.Post("http://"+s.Addr()+"/v1/payments", "application/json", strings.NewReader(good))
	if err != nil || res.StatusCode != 401 {
		t.Fatal(res, err)
	}
	res.Body.Close()
	if _, records, err := s.store.totals(); err != nil || records != 0 || sim.Books().Len() != 0 {
		t.Errorf("%d records, %d bookings, %v", records, sim.Books().Len(), err)
	}
}

// TestUnderLoad: the real generator, with duplicates; two records a payment, and
// the merchants, the store and the bank agree.
func TestUnderLoad(t *testing.T) {
	sim := startBank(t, "binary87")
	s := start(t, Options{Bank: sim.Addr()})
	defer stop(t, s)
	base := "http://" + s.Addr()
	r, err := bench.Run(t.Context(), bench.Options{Target: base, Admin: base, Books: []string{"http://" + sim.BooksAddr()}, Keys: []string{testKey},
		Cards: []string{approved, declined51}, Connections: 32, Duplicates: 0.1, Warmup: 100 * time.Millisecond, Duration: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Payments == 0 || r.Replayed == 0 || r.Statuses[statusDeclined] == 0 || len(r.Losses) > 0 || r.Money == nil || !r.Money.OK {
		t.Errorf("payments %d, replayed %d, statuses %v, codes %v, losses %v, money %+v", r.Payments, r.Replayed, r.Statuses, r.Codes, r.Losses, r.Money)
	}
	if r.FsyncsPerPayment == nil || *r.FsyncsPerPayment <= 0 || r.AllocsPerPayment == nil {
		t.Errorf("fsyncs per payment %v, allocations %v", r.FsyncsPerPayment, r.AllocsPerPayment)
	}
	lines, records, err := s.store.totals()
	payments := uint64(0)
	for _, l := range lines {
		payments += l.Count
	}
	if err != nil || uint64(records) != 2*payments || payments == 0 {
		t.Errorf("%d records of %d payments, %v", records, payments, err)
	}
}

// TestIntentBeforeBank: while the bank is silent the store has the intent, and
// what a crash would leave is told as unknown.
func TestIntentBeforeBank(t *testing.T) {
	d, err := iso.Builtin("binary87")
	if err != nil {
		t.Fatal(err)
	}
	asked, goOn := make(chan struct{}), make(chan struct{})
	sim, err := banksim.New(banksim.Config{Dialect: d, Script: func(a *banksim.Ask, _ *banksim.Plan) {
		if a.Message.MTI == iso.MTIFinancial {
			close(asked)
			<-goOn
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	s := start(t, Options{Bank: sim.Addr()})
	defer stop(t, s)
	told := make(chan []byte)
	go func() { told <- second(post(t, s, "one", bodyOf(approved))) }()
	<-asked
	lines, records, err := s.store.totals()
	if err != nil || records != 1 || len(lines) != 1 || lines[0].Status != statusUnknown {
		t.Errorf("while the bank thinks: %d records, %+v, %v", records, lines, err)
	}
	close(goOn)
	if p := read(t, <-told); p.Status != statusCaptured {
		t.Errorf("%+v", p)
	}
}

func TestOptions(t *testing.T) {
	good := Options{Listen: "127.0.0.1:0", Dir: "x", Bank: "127.0.0.1:1", Keys: []string{"k"}}
	for name, spoil := range map[string]func(*Options){
		"listen":  func(o *Options) { o.Listen = "" },
		"dir":     func(o *Options) { o.Dir = "" },
		"bank":    func(o *Options) { o.Bank = "" },
		"dialect": func(o *Options) { o.Dialect = "x" },
		"keys":    func(o *Options) { o.Keys = nil },
		"links":   func(o *Options) { o.Links = 65 },
		"timeout": func(o *Options) { o.Timeout = -1 },
	} {
		o := good
		spoil(&o)
		if s, err := Start(o); err == nil || !strings.HasPrefix(err.Error(), name+":") {
			t.Errorf("%s: %v", name, err)
			if s != nil {
				s.Close()
			}
		}
	}
	gone := good
	gone.Dir = t.TempDir()
	if s, err := Start(gone); err == nil || !strings.Contains(err.Error(), "bank:") {
		t.Error(s, err)
	}
}
