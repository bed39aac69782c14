package bare_test

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/bare"
)

// Two goroutines of fasthttp end in their own time.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// TestBareUnderLoad: the whole bare path under the real generator; every payment
// costs two records that are durable, and many share an fsync.
func TestBareUnderLoad(t *testing.T) {
	echo, err := bare.StartEcho("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	s, err := bare.Start(bare.Options{Listen: "127.0.0.1:0", Dir: t.TempDir(), Echo: echo.Addr(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + s.Addr()
	r, err := bench.Run(t.Context(), bench.Options{Target: base, Admin: base, Keys: []string{"k"}, SkipMoney: true, Connections: 32,
		Warmup: 100 * time.Millisecond, Duration: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Payments == 0 || r.Statuses["captured"] != r.Payments || len(r.Losses) > 0 {
		t.Errorf("payments %d, statuses %v, codes %v, losses %v", r.Payments, r.Statuses, r.Codes, r.Losses)
	}
	if f := r.FsyncsPerPayment; f == nil || *f <= 0 || *f > 2.2 || r.AllocsPerPayment == nil {
		t.Errorf("fsyncs per payment %v, allocations %v", f, r.AllocsPerPayment)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestEchoLost: requests in flight and after fail; nothing hangs.
func TestEchoLost(t *testing.T) {
	echo, err := bare.StartEcho("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := bare.Start(bare.Options{Listen: "127.0.0.1:0", Echo: echo.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	post := func() int {
		res, err := client.Post("http://"+s.Addr()+"/v1/payments", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Error(err)
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	if code := post(); code != http.StatusCreated {
		t.Errorf("status %d", code)
	}
	if err := echo.Close(); err != nil {
		t.Error(err)
	}
	var asked sync.WaitGroup
	for range 8 {
		asked.Go(func() {
			if code := post(); code != http.StatusInternalServerError {
				t.Errorf("status %d without an echo", code)
			}
		})
	}
	asked.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []bare.Options{{}, {Listen: "x", Links: 65}, {Listen: "127.0.0.1:0", Echo: "127.0.0.1:1"}} {
		if s, err := bare.Start(o); err == nil {
			t.Errorf("%+v starts", o)
			s.Close()
		}
	}
}
