package frontend

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tranzit/tranzit/frontend/acs"
	"github.com/tranzit/tranzit/frontend/assist"
	"github.com/tranzit/tranzit/frontend/guide"
	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
)

// Options configure a Server. Every limit has a default and bounds.
type Options struct {
	Switch     *payswitch.Switch
	Logger     *slog.Logger          // default: slog.Default
	Registerer prometheus.Registerer // default: a registry of its own
	Now        func() time.Time      // the wall clock, for the expiry of cards; default time.Now

	// Assist answers the entry points of Assist beside the API; default none.
	Assist *assist.Adapter

	// Joining takes the applications of shops. Without it they are refused.
	Joining *joining.Office
	// TestCards stand in the guides of shops.
	TestCards []guide.Card

	// Page shows checkout sessions to their buyers; default one with its own defaults.
	Page *page.Service

	// ThreeDS is the simulated 3-D Secure server whose challenges are shown; default none.
	ThreeDS *acs.Server

	// TrustedProxies are the addresses whose X-Forwarded-For is believed when a
	// key's address list is asked; default none.
	TrustedProxies []netip.Prefix

	// PlainWebhooks lets webhook endpoints have http:// addresses; default https only.
	PlainWebhooks bool
	// TestEndpoint sends a test message to a webhook endpoint and tells what came
	// of it; its errors are refusals. Default: a refusal, for a process that sends
	// no webhooks.
	TestEndpoint func(*payswitch.Endpoint) (payswitch.Attempt, error)

	Concurrency  int           // connections at once; default 16384. One more is answered 503 and closed.
	MaxBody      int           // bytes of a request's body; default 64 KiB
	MaxHead      int           // bytes of a request's head, its address included; default 4 KiB
	MaxURI       int           // bytes of a request's address; default 2 KiB
	ReadTimeout  time.Duration // a whole request, from its first byte; default 10s. Reads end up to an eighth of it later
	IdleTimeout  time.Duration // between requests of a connection; default 75s
	WriteTimeout time.Duration // one answer, which may take up to twice as long; default 10s

	// MaxWait bounds the long poll of a payment; default 60s.
	MaxWait time.Duration
	// HandlerTimeout is the time within which the switch promises to answer
	// anything, so it must exceed the switch's own budget and MaxWait. An answer
	// that takes longer is counted and logged as an error; it is not cut off,
	// because a payment once begun is finished. Default 75s.
	HandlerTimeout time.Duration
	// SlowAfter is when an answer other than a long poll is worth a line in the
	// log although it went well; default 1s.
	SlowAfter time.Duration
}

// EnsureDefaults fills what was left out.
func (o *Options) EnsureDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TestEndpoint == nil {
		o.TestEndpoint = func(*payswitch.Endpoint) (payswitch.Attempt, error) {
			return payswitch.Attempt{}, &payswitch.Refusal{Code: payswitch.CodeOverloaded, Detail: "This process sends no webhooks."}
		}
	}
	defaultTo(&o.Concurrency, 16_384)
	defaultTo(&o.MaxBody, 64<<10)
	defaultTo(&o.MaxHead, 4<<10)
	defaultTo(&o.MaxURI, 2<<10)
	defaultTo(&o.ReadTimeout, 10*time.Second)
	defaultTo(&o.IdleTimeout, 75*time.Second)
	defaultTo(&o.WriteTimeout, 10*time.Second)
	defaultTo(&o.MaxWait, 60*time.Second)
	defaultTo(&o.HandlerTimeout, 75*time.Second)
	defaultTo(&o.SlowAfter, time.Second)
}

func defaultTo[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// Validate checks bounds and relations. Errors name the option.
func (o *Options) Validate() error {
	if o.Switch == nil {
		return errors.New("frontend: Switch is required")
	}
	for _, n := range []struct {
		name           string
		value, low, up int
	}{
		{"Concurrency", o.Concurrency, 1, 1_000_000},
		{"MaxBody", o.MaxBody, 1 << 10, 1 << 20},
		{"MaxHead", o.MaxHead, 1 << 10, 64 << 10},
		{"MaxURI", o.MaxURI, 256, o.MaxHead},
	} {
		if n.value < n.low || n.value > n.up {
			return fmt.Errorf("frontend: %s is %d: want %d..%d", n.name, n.value, n.low, n.up)
		}
	}
	for _, d := range []struct {
		name           string
		value, low, up time.Duration
	}{
		{"ReadTimeout", o.ReadTimeout, 10 * time.Millisecond, 5 * time.Minute},
		{"IdleTimeout", o.IdleTimeout, 10 * time.Millisecond, time.Hour},
		{"WriteTimeout", o.WriteTimeout, 10 * time.Millisecond, 5 * time.Minute},
		{"MaxWait", o.MaxWait, time.Millisecond, 60 * time.Second},
		{"HandlerTimeout", o.HandlerTimeout, 10 * time.Millisecond, time.Hour},
		{"SlowAfter", o.SlowAfter, time.Millisecond, time.Hour},
	} {
		if d.value < d.low || d.value > d.up {
			return fmt.Errorf("frontend: %s is %s: want %s..%s", d.name, d.value, d.low, d.up)
		}
	}
	if o.HandlerTimeout <= o.MaxWait {
		return fmt.Errorf("frontend: HandlerTimeout is %s: must exceed MaxWait, which is %s", o.HandlerTimeout, o.MaxWait)
	}
	return nil
}
