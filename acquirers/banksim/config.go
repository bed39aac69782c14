package banksim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// Codes are the response codes the bank gives for reasons of its own. They are
// two characters in the 1987 dialects and three in the 1993 ones.
type Codes struct {
	Approved     string // default "00"
	Partial      string // default "10"
	FormatError  string // a mandatory field is missing or not a number; default "30"
	BadCard      string // the card number fails its check, or a reversal names another card; default "14"
	BadAmount    string // a reversal's amount or currency is not its original's; default "13"
	BadCurrency  string // a currency the bank does not know; default "12"
	Duplicate    string // an identity seen before, with another amount, currency or card; default "94"
	LateOriginal string // a request whose reversal came first, or that was reversed; a capture or void of what is not open to it; default "12"
	NoOriginal   string // a capture of something the bank does not hold; default "25"
	NotSignedOn  string // traffic before sign-on; default "91"
	WrongMAC     string // a message whose authentication code is wrong or missing; default "63"; the dialect's security.mac.answer goes before it
}

// Config describes one bank. The zero value of every field but Dialect is
// usable after EnsureDefaults.
type Config struct {
	Dialect *iso.Dialect // required: the language of every link

	Listen        string       // host:port of the ISO 8583 port; default 127.0.0.1:0
	Listener      net.Listener // used instead of Listen when given; the bank closes it
	TLS           *tls.Config  // nil: plain TCP; the bank is the server, or the client with Connect
	BooksListen   string       // host:port of the books' HTTP port; "" = none
	BooksListener net.Listener // used instead of BooksListen when given; the bank closes it

	// Connect is the switch's host:port: the bank dials it and listens nowhere.
	// A link that ends is dialed again after ReconnectMin, and after up to
	// ReconnectMax while that fails.
	Connect                    string
	ConnectLinks               int           // links kept; default 1
	ReconnectMin, ReconnectMax time.Duration // default 100ms and 5s
	SignsOn                    bool          // the bank sends the sign-on of each link it dialed
	// Dial opens the raw connection; default a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	Delay  time.Duration // how long the bank thinks before every answer; 0..1h
	Jitter time.Duration // added to Delay, uniform in [0, Jitter); 0..1h
	LateBy time.Duration // how late a "late" answer comes; default twice the dialect's response timeout, else 60s
	Seed   uint64        // of the jitter; the same seed gives the same series

	AmountTriggers     bool          // the last two digits of the amount start faults, for the approving test cards only; demo: on, load: off
	AllowBeforeSignOn  bool          // serve traffic on a link that has not signed on
	AnswerElsewhere    bool          // a delayed answer whose link is gone goes out on another signed-on link, as hosts with several sessions do
	OvercapturePercent int           // how much more than a hold its captures may take; 0..100
	Institution        string        // the bank's own id in messages it starts; default "000001"
	EchoInterval       time.Duration // the bank's own echo on every signed-on link; 0 = none
	Codes              Codes

	// Books are those of another host of the same bank, that speaks another dialect;
	// nil: the bank has its own.
	Books *Books

	// Keys are the keys in clear that the dialect names; a test bank has no others.
	Keys map[string][]byte

	MaxLinks     int           // links at a time; default 256
	WriteTimeout time.Duration // one write to a link; default 10s
	PieceGap     time.Duration // pause between the pieces of a split answer; default 5ms

	// Script, when set, sees every request, advice, reversal and network
	// message after cards, amounts and modes made their plan, and may change
	// the plan. It is called from the links' goroutines, several at a time.
	Script func(a *Ask, p *Plan)

	Logger *slog.Logger // default: discard
}

// EnsureDefaults fills what the caller left at zero.
func (c *Config) EnsureDefaults() {
	c.Codes.ensureDefaults()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.LateBy == 0 {
		c.LateBy = time.Minute
		if c.Dialect != nil && c.Dialect.Behaviour().ResponseTimeout > 0 {
			c.LateBy = 2 * c.Dialect.Behaviour().ResponseTimeout
		}
	}
	if c.Institution == "" {
		c.Institution = "000001"
	}
	if c.MaxLinks == 0 {
		c.MaxLinks = 256
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 10 * time.Second
	}
	if c.ConnectLinks == 0 {
		c.ConnectLinks = 1
	}
	if c.ReconnectMin == 0 {
		c.ReconnectMin = 100 * time.Millisecond
	}
	if c.ReconnectMax == 0 {
		c.ReconnectMax = max(5*time.Second, c.ReconnectMin)
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.PieceGap == 0 {
		c.PieceGap = 5 * time.Millisecond
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func (c *Codes) ensureDefaults() {
	for _, f := range []struct {
		code *string
		std  string
	}{
		{&c.Approved, "00"}, {&c.Partial, "10"}, {&c.FormatError, "30"},
		{&c.BadCard, "14"}, {&c.BadAmount, "13"}, {&c.BadCurrency, "12"},
		{&c.Duplicate, "94"}, {&c.LateOriginal, "12"}, {&c.NoOriginal, "25"}, {&c.NotSignedOn, "91"}, {&c.WrongMAC, "63"},
	} {
		if *f.code == "" {
			*f.code = f.std
		}
	}
}

// Validate reports the first thing that cannot work, by the field's name.
// REQUIRES: EnsureDefaults was called.
func (c *Config) Validate() error {
	if c.Dialect == nil {
		return errors.New("banksim: Dialect is missing")
	}
	for _, slot := range c.Dialect.KeySlots() {
		if len(c.Keys[slot]) == 0 {
			return fmt.Errorf("banksim: Keys: dialect %s needs a key %q", c.Dialect.ID(), slot)
		}
	}
	for _, d := range []struct {
		name     string
		d        time.Duration
		min, max time.Duration
	}{
		{"Delay", c.Delay, 0, time.Hour},
		{"Jitter", c.Jitter, 0, time.Hour},
		{"LateBy", c.LateBy, time.Millisecond, 24 * time.Hour},
		{"EchoInterval", c.EchoInterval, 0, 24 * time.Hour},
		{"WriteTimeout", c.WriteTimeout, time.Millisecond, time.Hour},
		{"PieceGap", c.PieceGap, time.Microsecond, time.Minute},
		{"ReconnectMin", c.ReconnectMin, time.Millisecond, time.Hour},
		{"ReconnectMax", c.ReconnectMax, c.ReconnectMin, time.Hour},
	} {
		if d.d < d.min || d.d > d.max {
			return fmt.Errorf("banksim: %s is %v; it must be within %v..%v", d.name, d.d, d.min, d.max)
		}
	}
	if c.EchoInterval != 0 && c.EchoInterval < 10*time.Millisecond {
		return fmt.Errorf("banksim: EchoInterval is %v; it must be 0 or at least 10ms", c.EchoInterval)
	}
	if c.Connect != "" {
		switch _, _, err := net.SplitHostPort(c.Connect); {
		case err != nil:
			return fmt.Errorf("banksim: Connect %q is not host:port", c.Connect)
		case c.Listener != nil:
			return errors.New("banksim: Connect and Listener exclude each other")
		case c.ConnectLinks < 1 || c.ConnectLinks > c.MaxLinks:
			return fmt.Errorf("banksim: ConnectLinks is %d; it must be within 1..%d", c.ConnectLinks, c.MaxLinks)
		case c.SignsOn && !slices.ContainsFunc(c.Dialect.NetworkSteps(), func(s *iso.NetworkStep) bool { return s.Theirs && s.Effect == iso.EffectSignOn }):
			return fmt.Errorf("banksim: SignsOn: dialect %s has no sign-on", c.Dialect.ID())
		}
	}
	if c.OvercapturePercent < 0 || c.OvercapturePercent > 100 {
		return fmt.Errorf("banksim: OvercapturePercent is %d; it must be within 0..100", c.OvercapturePercent)
	}
	if c.MaxLinks < 1 || c.MaxLinks > 65535 {
		return fmt.Errorf("banksim: MaxLinks is %d; it must be within 1..65535", c.MaxLinks)
	}
	return c.Codes.validate()
}

func (c *Codes) validate() error {
	for _, f := range []struct{ name, code string }{
		{"Approved", c.Approved}, {"Partial", c.Partial}, {"FormatError", c.FormatError},
		{"BadCard", c.BadCard}, {"BadAmount", c.BadAmount}, {"BadCurrency", c.BadCurrency},
		{"Duplicate", c.Duplicate}, {"LateOriginal", c.LateOriginal}, {"NoOriginal", c.NoOriginal}, {"NotSignedOn", c.NotSignedOn}, {"WrongMAC", c.WrongMAC},
	} {
		if !validCode(f.code) {
			return fmt.Errorf("banksim: Codes.%s must be two or three letters or digits", f.name)
		}
	}
	return nil
}

func validCode(s string) bool {
	if len(s) != 2 && len(s) != 3 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
