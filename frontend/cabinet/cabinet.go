// Package cabinet is the merchants' cabinet: pages in which the people of a shop
// see and control its payments. Everything is served from the binary; a page works
// without script, and with it is told of news by itself.
//
// It decides nothing about a payment: it asks the switch as the API does, and writes
// down with switch/people who asked. The one place where somebody is let in to a
// merchant is accountPage; a merchant that a user has no right at does not exist for
// that user.
package cabinet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/tranzit/tranzit/frontend/guide"
	paypage "github.com/tranzit/tranzit/frontend/page"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// Options configure a Server.
type Options struct {
	Switch *payswitch.Switch
	People *people.People
	Logger *slog.Logger // default: slog.Default

	// Joining shows shops how far they have come; default: nobody joins here.
	Joining *joining.Office

	// Page is the address of a checkout session's page, for payment links.
	Page func(session payswitch.ID) string

	// Pages shows shops their own design of the payment page, and what their buttons look
	// like; default: there is neither here.
	Pages *paypage.Service

	// Guide writes the shops' guides; default: there are none here.
	Guide *guide.Maker

	// Store keeps the counts of charts over a restart; default: they are counted anew.
	Store *storage.Store

	// URL is how people's browsers reach the cabinet: scheme and host, without a path.
	// Passkeys belong to its host; an address in numbers has none.
	URL string

	// TrustedProxies are the addresses whose X-Forwarded-For is believed; default none.
	TrustedProxies []netip.Prefix

	// TestEndpoint sends a test message to a webhook endpoint and tells what came of it;
	// default: it is refused. PlainWebhooks lets endpoints be without TLS.
	TestEndpoint  func(*payswitch.Endpoint) (payswitch.Attempt, error)
	PlainWebhooks bool

	Concurrency int // requests that are worked on at once; default 32. One more is answered 503.
	Connections int // at once; default 1024
}

// EnsureDefaults fills what was left out.
func (o *Options) EnsureDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.TestEndpoint == nil {
		o.TestEndpoint = func(*payswitch.Endpoint) (payswitch.Attempt, error) {
			return payswitch.Attempt{}, &payswitch.Refusal{Code: payswitch.CodeInvalidState, Detail: "This process sends no webhooks."}
		}
	}
	if o.Concurrency == 0 {
		o.Concurrency = 32
	}
	if o.Connections == 0 {
		o.Connections = 1024
	}
}

// Validate checks bounds. Errors name the option.
func (o *Options) Validate() error {
	if err := CheckURL(o.URL); err != nil {
		return fmt.Errorf("cabinet: URL: %w", err)
	}
	switch {
	case o.Switch == nil || o.People == nil || o.Page == nil:
		return errors.New("cabinet: Switch, People and Page are required")
	case o.Concurrency < 1 || o.Concurrency > 1024:
		return fmt.Errorf("cabinet: Concurrency is %d: want 1..1024", o.Concurrency)
	case o.Connections < 1 || o.Connections > 65536:
		return fmt.Errorf("cabinet: Connections is %d: want 1..65536", o.Connections)
	}
	return nil
}

// CheckURL refuses an address that cannot be the cabinet's.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Path != "" || u.RawQuery != "":
		return fmt.Errorf("%q is not https://HOST", text)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return fmt.Errorf("%q is in clear: that is for this machine only, else https://", text)
	}
	return nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Limits of a request.
const (
	maxBody = 64 << 10
	maxHead = 16 << 10
)

// Server is the cabinet. Its methods are goroutine-safe.
type Server struct {
	o          Options
	log        *slog.Logger
	sw         *payswitch.Switch
	people     *people.People
	secure     bool // browsers reach it over https
	passkeys   *webauthn.WebAuthn
	ceremonies ceremonies
	tallies    tallies
	gates      gates
	places     chan struct{}
	http       http.Server
}

// New makes a Server. Errors name the option at fault.
func New(o Options) (*Server, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Server{o: o, log: o.Logger, sw: o.Switch, people: o.People, places: make(chan struct{}, o.Concurrency)}
	u, _ := url.Parse(o.URL)
	s.secure = u.Scheme == "https"
	if err := s.initPasskeys(u); err != nil {
		return nil, err
	}
	s.tallies.init(s.sw, o.Store)
	s.http = http.Server{
		Handler: s.guarded(s.routes()), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 2 * time.Minute,
		IdleTimeout: 75 * time.Second, MaxHeaderBytes: maxHead, ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Handler answers requests, for tests.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Serve answers the connections of a listener until Shutdown, after which it
// returns nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(&door{Listener: l, places: make(chan struct{}, s.o.Connections)}); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops accepting and lets requests finish until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.tallies.stop()
	return errors.Join(s.http.Shutdown(ctx), s.http.Close())
}

// guarded is what every request passes: a place among those worked on, the
// headers that keep a browser from being used against its owner.
func (s *Server) guarded(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	inner := origin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.places <- struct{}{}:
			defer func() { <-s.places }()
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "Too many requests at once. Try again.", http.StatusServiceUnavailable)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store")
		if s.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		inner.ServeHTTP(w, r)
	})
}
