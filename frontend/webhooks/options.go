// Package webhooks tells merchants' endpoints what the switch owes them: signed
// by the rules of Standard Webhooks, at least once, and of one payment never out
// of order. The journal is the queue: what is held in memory is bounded, and a
// dead or slow endpoint delays no other.
package webhooks

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"crypto/tls"

	"github.com/prometheus/client_golang/prometheus"

	payswitch "github.com/tranzit/tranzit/switch"
)

// Options configure a Deliverer. Every limit has a default and bounds.
type Options struct {
	Outbox     *payswitch.Outbox
	Logger     *slog.Logger          // default: slog.Default
	Registerer prometheus.Registerer // default: a registry of its own
	Caller     *Caller               // default: one that calls public addresses only

	Concurrency int // deliveries at once, besides the first of each endpoint; default 2048
	PerEndpoint int // deliveries at once to one endpoint that answers fast; default 64
	Window      int // notices of one endpoint held in memory; default 1024

	Retries      []time.Duration // pauses before the second, third ... attempt; default RetrySchedule
	Pause        time.Duration   // first pause of an endpoint that fails again and again; doubled up to MaxPause; default 1s
	MaxPause     time.Duration   // default 5m
	DisableAfter time.Duration   // of failing without a success; default 5 days
}

// RetrySchedule are the pauses between the attempts for one event: twelve
// attempts over about three days. Up to a quarter is added to each by chance.
var RetrySchedule = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour,
	12 * time.Hour, 24 * time.Hour, 24 * time.Hour,
}

// EnsureDefaults fills what was left out.
func (o *Options) EnsureDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Caller == nil {
		o.Caller = NewCaller(CallerOptions{})
	}
	if o.Retries == nil {
		o.Retries = RetrySchedule
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Concurrency, 2048}, {&o.PerEndpoint, 64}, {&o.Window, 1024}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.Pause, time.Second}, {&o.MaxPause, 5 * time.Minute}, {&o.DisableAfter, 5 * 24 * time.Hour},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
}

// Validate checks bounds. Errors name the option.
func (o *Options) Validate() error {
	switch {
	case o.Outbox == nil:
		return errors.New("webhooks: Outbox is required")
	case o.Concurrency < 1 || o.Concurrency > 100_000:
		return fmt.Errorf("webhooks: Concurrency is %d: want 1..100000", o.Concurrency)
	case o.PerEndpoint < 1 || o.PerEndpoint > 1000:
		return fmt.Errorf("webhooks: PerEndpoint is %d: want 1..1000", o.PerEndpoint)
	case o.Window < 2 || o.Window > 100_000:
		return fmt.Errorf("webhooks: Window is %d: want 2..100000", o.Window)
	case o.Pause < 0 || o.MaxPause < o.Pause || o.DisableAfter < 0:
		return errors.New("webhooks: Pause and DisableAfter must not be negative, and MaxPause not below Pause")
	}
	return nil
}

// CallerOptions configure a Caller.
type CallerOptions struct {
	Allow    []netip.Prefix // networks that may be called although they are not public
	Connect  time.Duration  // one connection, its name looked up; default 5s
	TLS      time.Duration  // its handshake; default 5s
	Whole    time.Duration  // a whole call; default 15s
	Idle     int            // kept connections to one host; default 64
	Resolver *net.Resolver  // default: the machine's
	Trust    *tls.Config    // default: the machine's roots, TLS 1.2 or later
}

// EnsureDefaults fills what was left out.
func (o *CallerOptions) EnsureDefaults() {
	if o.Connect == 0 {
		o.Connect = 5 * time.Second
	}
	if o.TLS == 0 {
		o.TLS = 5 * time.Second
	}
	if o.Whole == 0 {
		o.Whole = 15 * time.Second
	}
	if o.Idle == 0 {
		o.Idle = 64
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Trust == nil {
		o.Trust = &tls.Config{MinVersion: tls.VersionTLS12}
	}
}
