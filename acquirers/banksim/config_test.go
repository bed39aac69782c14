package banksim

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestConfigNamesTheField(t *testing.T) {
	d := dialect(t, "ascii87")
	tests := []struct {
		field string
		cfg   Config
	}{
		{"Dialect", Config{}},
		{"Delay", Config{Dialect: d, Delay: -1}},
		{"Jitter", Config{Dialect: d, Jitter: 2 * time.Hour}},
		{"LateBy", Config{Dialect: d, LateBy: -time.Second}},
		{"EchoInterval", Config{Dialect: d, EchoInterval: time.Millisecond}},
		{"MaxLinks", Config{Dialect: d, MaxLinks: -1}},
		{"PieceGap", Config{Dialect: d, PieceGap: time.Hour}},
		{"WriteTimeout", Config{Dialect: d, WriteTimeout: 1}},
		{"Codes.NotSignedOn", Config{Dialect: d, Codes: Codes{NotSignedOn: "9"}}},
	}
	for _, tt := range tests {
		if _, err := New(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.field) {
			t.Errorf("%s: %v", tt.field, err)
		}
	}
	cfg := Config{Dialect: d}
	cfg.EnsureDefaults()
	if want := 2 * d.Behaviour().ResponseTimeout; cfg.LateBy != want || want == 0 {
		t.Errorf("LateBy is %v, want %v", cfg.LateBy, want)
	}
}

func TestOwnCodes(t *testing.T) {
	b := start(t, Config{Codes: Codes{NotSignedOn: "98"}})
	c := dial(t, b)
	request, _ := c.purchase(approveCard, 100)
	if got := c.ask(request); code(got) != "98" {
		t.Errorf("code %q", code(got))
	}
}

func TestMaxLinks(t *testing.T) {
	b := start(t, Config{MaxLinks: 1})
	c := signedOn(t, b)
	dial(t, b).isCut()
	c.silent()
}

func TestTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	b := start(t, Config{TLS: &tls.Config{Certificates: web.TLS.Certificates}})
	roots := web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	conn, err := tls.Dial("tcp", b.Addr(), &tls.Config{RootCAs: roots, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	newClient(t, b.cfg.Dialect, conn).signOn()
}

func TestRunEndsWithItsContext(t *testing.T) {
	b, err := New(Config{Dialect: dialect(t, "ascii87")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := b.Start(); err == nil {
		t.Error("started twice")
	}
}

// TestPeerThatNeverReads loses its link, and nobody else waits for it.
func TestPeerThatNeverReads(t *testing.T) {
	d := dialect(t, "ascii87")
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		b := start(t, Config{Dialect: d, Listener: ln, AllowBeforeSignOn: true, Delay: time.Second, WriteTimeout: 5 * time.Second})
		deaf, good := newClient(t, d, ln.dial()), newClient(t, d, ln.dial())
		request, _ := deaf.purchase(approveCard, 100)
		deaf.send(request)
		time.Sleep(2 * time.Second)
		good.stan = 100
		request, _ = good.purchase(approveCard, 100)
		began := time.Now()
		if got := good.ask(request); code(got) != "00" || time.Since(began) > 1100*time.Millisecond {
			t.Errorf("code %q after %v", code(got), time.Since(began))
		}
		if n := b.Status().Links; n != 2 {
			t.Errorf("%d links, want 2", n)
		}
		time.Sleep(5 * time.Second)
		if n := b.Status().Links; n != 1 {
			t.Errorf("%d links, want 1", n)
		}
	})
}
