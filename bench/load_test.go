package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// toy is a switch, a bank and an admin listener in one: it answers payments from a
// map of idempotency keys and keeps honest books, unless told otherwise.
type toy struct {
	mu       sync.Mutex
	seen     map[string]bool
	approved uint64
	amount   int64
	stolen   int64                       // the bank's books have so much more
	before   func(w http.ResponseWriter) // called for every payment; may break it
}

func (s *toy) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/payments", s.pay)
	mux.HandleFunc("GET /books/summary", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprintf(w, `{"currencies":{"RUB":{"charged":{"count":%d,"sum":%d},"reversed":{"sum":0},"net":%d}}}`, s.approved, s.amount, s.amount+s.stolen)
	})
	mux.HandleFunc("GET /admin/v1/journal/stats", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprintf(w, `{"totals":{"lines":[{"currency":"RUB","status":"captured","count":%d,"amount":%d}]}}`, s.approved, s.amount)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprintf(w, "# TYPE x counter\n%s{store=\"a\"} %d\n%s 0\n", metricFsyncs, s.approved, metricMallocs)
	})
	for _, path := range []string{"GET /healthz", "GET /readyz"} {
		mux.HandleFunc(path, func(http.ResponseWriter, *http.Request) {})
	}
	return mux
}

func (s *toy) pay(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var p struct{ Amount int64 }
	_ = json.Unmarshal(body, &p)
	key := r.Header.Get("Idempotency-Key")
	s.mu.Lock()
	again := s.seen[key]
	if !again {
		s.seen[key] = true
		s.approved++
		s.amount += p.Amount
	}
	s.mu.Unlock()
	if s.before != nil {
		s.before(w)
	}
	if again {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"id":"pay_x","status":"captured"}`)
}

func startToy(t *testing.T, s *toy) Options {
	t.Helper()
	s.seen = map[string]bool{}
	web := httptest.NewServer(s.handler())
	t.Cleanup(web.Close)
	return Options{Target: web.URL, Admin: web.URL, Books: []string{web.URL}, Keys: []string{"sk_test_a"},
		Warmup: 50 * time.Millisecond, Duration: 300 * time.Millisecond, Settle: time.Second}
}

func mustRun(t *testing.T, o Options) *Result {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestClosedLoop(t *testing.T) {
	s := &toy{}
	o := startToy(t, s)
	o.Connections, o.Workers, o.Duplicates = 8, 2, 0.3
	var progress bytes.Buffer
	o.Progress = &progress
	r := mustRun(t, o)
	if r.Payments == 0 || r.Statuses["captured"] != r.Payments || r.Codes["201"] != r.Payments || len(r.Losses) > 0 {
		t.Errorf("payments %d, statuses %v, codes %v, losses %v", r.Payments, r.Statuses, r.Codes, r.Losses)
	}
	if r.Money == nil || !r.Money.OK || r.Money.Merchants.Approved != s.approved {
		t.Errorf("money check %+v, the toy approved %d", r.Money, s.approved)
	}
	if r.Duplicates == 0 || r.Replayed == 0 || r.Replayed > r.Duplicates {
		t.Errorf("%d duplicates, %d replayed", r.Duplicates, r.Replayed)
	}
	if r.FsyncsPerPayment == nil || *r.FsyncsPerPayment < 0.3 || *r.FsyncsPerPayment > 1.3 {
		t.Errorf("fsyncs per payment %v, the toy says one per new payment", r.FsyncsPerPayment)
	}
	if r.Processes[generatorName].RSSPeak == 0 || !strings.Contains(progress.String(), "/s") {
		t.Errorf("processes %+v, progress %q", r.Processes, progress.String())
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "the books agree") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

// TestMoneyCheckCatchesTheft: a bank that took more makes the run invalid.
func TestMoneyCheckCatchesTheft(t *testing.T) {
	s := &toy{}
	o := startToy(t, s)
	var once sync.Once
	s.before = func(http.ResponseWriter) {
		once.Do(func() {
			s.mu.Lock()
			s.stolen = 1
			s.mu.Unlock()
		})
	}
	o.Connections = 2
	if r := mustRun(t, o); r.Valid || r.Money.OK {
		t.Errorf("valid %v, money %+v", r.Valid, r.Money)
	}
}

// stalling makes the toy stand still once, for a while, 300 ms after its start.
func (s *toy) stalling(stall time.Duration) {
	var once sync.Once
	var gate sync.RWMutex
	begun := time.Now()
	s.before = func(http.ResponseWriter) {
		if time.Since(begun) > 300*time.Millisecond {
			once.Do(func() {
				gate.Lock()
				<-time.After(stall)
				gate.Unlock()
			})
		}
		gate.RLock()
		defer gate.RUnlock()
	}
}

// TestCoordinatedOmission: the toy stands still for one second once. Every arrival
// process must show the stall in each request that was due meanwhile, whether or not
// a connection was free to send it; a closed loop on one connection sees it once,
// which is why its figures are called flattering.
func TestCoordinatedOmission(t *testing.T) {
	const stall = time.Second
	run := func(t *testing.T, arrivals string, connections int) *Result {
		s := &toy{}
		o := startToy(t, s)
		s.stalling(stall)
		o.Duration, o.Connections = 1800*time.Millisecond, connections
		if arrivals != "" {
			var err error
			if o.Arrivals, err = ParseArrivals(arrivals); err != nil {
				t.Fatal(err)
			}
		}
		return mustRun(t, o)
	}
	for arrivals, due := range map[string]uint64{
		"constant:300": 540, "poisson:300": 540, "burst:30/100ms": 540, "ramp:500..100": 540,
		"constant:200@500ms,poisson:400@500ms,burst:40/100ms": 620,
	} {
		for _, connections := range []int{600, 4} {
			t.Run(fmt.Sprintf("%s over %d", arrivals, connections), func(t *testing.T) {
				t.Parallel()
				r := run(t, arrivals, connections)
				if r.Latency.P99 < 700_000 || r.Latency.P50 < 5_000 || r.Latency.Max < 850_000 {
					t.Errorf("p50 %s, p99 %s, max %s: a stall of %s hit half of the requests",
						shortTime(r.Latency.P50), shortTime(r.Latency.P99), shortTime(r.Latency.Max), stall)
				}
				if n := r.Latency.Count; n < due*8/10 || n > due*12/10 {
					t.Errorf("%d latencies, about %d requests were due", n, due)
				}
				if connections == 4 && r.Starved == 0 {
					t.Error("nothing waited for one of 4 connections")
				}
			})
		}
	}
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		closed := run(t, "", 1)
		if closed.Latency.P99 > float64((stall / 10).Microseconds()) {
			t.Errorf("p99 is %s: the toy is too slow to show anything", shortTime(closed.Latency.P99))
		}
		if closed.Latency.Max < float64(stall.Microseconds())*0.99 {
			t.Errorf("max is %s, one request waited %s", shortTime(closed.Latency.Max), stall)
		}
	})
}

// TestStarvedOpenLoop: with one connection and a stall the waiting requests are
// charged to the switch, not to the generator, and the unsent ones are counted.
func TestStarvedOpenLoop(t *testing.T) {
	s := &toy{}
	o := startToy(t, s)
	s.before = func(http.ResponseWriter) { <-time.After(20 * time.Millisecond) }
	o.Rate, o.Poisson, o.Connections, o.Warmup = 500, true, 1, time.Millisecond
	r := mustRun(t, o)
	if r.Starved == 0 || r.Dropped == 0 || r.Latency.P50 < 50_000 {
		t.Errorf("starved %d, dropped %d, p50 %s", r.Starved, r.Dropped, shortTime(r.Latency.P50))
	}
	if r.Lateness.Count == 0 || r.Lateness.P50 > 10_000 {
		t.Errorf("the generator is blamed: late by %s", shortTime(r.Lateness.P50))
	}
}

// TestRetryLost: connections that break are opened again, and a merchant that
// retries learns of every payment.
func TestRetryLost(t *testing.T) {
	for _, retry := range []bool{false, true} {
		s := &toy{}
		o := startToy(t, s)
		var served atomic.Int64
		s.before = func(w http.ResponseWriter) {
			if served.Add(1)%50 == 7 {
				panic(http.ErrAbortHandler)
			}
		}
		o.Connections, o.RetryLost, o.Timeout = 8, retry, 5*time.Second
		r := mustRun(t, o)
		if r.Losses["connection_lost"] == 0 || !r.Money.OK {
			t.Errorf("retry %v: losses %v, money %+v", retry, r.Losses, r.Money)
		}
		if open := r.Money.Merchants.Open; (open == 0) != retry {
			t.Errorf("retry %v: %d payments without an answer", retry, open)
		}
	}
}

// TestTimeouts: a server that never answers costs its requests, not the run.
func TestTimeouts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := Options{Target: "http://" + l.Addr().String(), Keys: []string{"k"}, Connections: 2, Timeout: 150 * time.Millisecond,
		Warmup: time.Millisecond, Duration: 200 * time.Millisecond, SkipMoney: true}
	r := mustRun(t, o)
	if r.Losses["timeout"] < 2 || r.Valid {
		t.Errorf("losses %v, valid %v", r.Losses, r.Valid)
	}
}

func TestCancel(t *testing.T) {
	o := startToy(t, &toy{})
	o.Duration = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	r, err := Run(ctx, o)
	if err == nil || r == nil || r.Payments == 0 || time.Since(begun) > 20*time.Second {
		t.Errorf("result %+v, error %v", r, err)
	}
}

// childMark tells this test binary that it runs as a child process.
const childMark = "TRANZIT_BENCH_TEST_CHILD"

func TestMain(m *testing.M) {
	if addr := os.Getenv(childMark); addr != "" {
		if os.Args[len(os.Args)-1] == "broken" {
			fmt.Println("no such configuration")
			os.Exit(2)
		}
		s := &toy{seen: map[string]bool{}}
		fmt.Println(http.ListenAndServe(addr, s.handler()))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestChildren: a started switch is awaited, measured and stopped; one that does
// not start shows its own words.
func TestChildren(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	base := "http://" + addr
	o := Options{Target: base, Admin: base, Books: []string{base}, Keys: []string{"k"}, Binary: binary, ServeArgs: []string{"serve"},
		ChildEnv: []string{childMark + "=" + addr}, Warmup: 50 * time.Millisecond, Duration: 500 * time.Millisecond}
	r := mustRun(t, o)
	if p := r.Processes[serveName]; p.CPUPerPayment <= 0 || p.RSSPeak == 0 || !r.Money.OK {
		t.Errorf("process %+v, money %+v", p, r.Money)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the child still listens")
	}
	o.ServeArgs = []string{"broken"}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no such configuration") {
		t.Errorf("error %v", err)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	free, err := FreeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	return free[0]
}
