package isoload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// Options say which host to load, with what and for how long.
type Options struct {
	// Dialect is the language of the host. Required.
	Dialect *iso.Dialect
	// Keys are those that the dialect names, in clear; a dialect without codes needs none.
	Keys iso.ClearKeys
	// Connect are the host's addresses, host:port. At least one.
	Connect []string
	// Links to each address. Default 1; 256 links in all.
	Links int
	// SkipSignOn sends no sign-on, as in a dialect that has none.
	SkipSignOn bool

	// Rate is the number of messages due per second over all links; 0 is a closed
	// loop.
	Rate float64
	// Poisson spaces the messages of an open loop at random, else they are evenly
	// spaced.
	Poisson bool
	// Seed makes mix and spacing repeatable. Default 1.
	Seed uint64
	// InFlight is how many messages a link may have unanswered; the closed loop
	// keeps so many. Default 64, in an open loop 4096; at most 65536.
	InFlight int
	// Mix of the messages. Default: purchases.
	Mix Mix
	// Reverse sends one reversal for each purchase and authorization whose answer
	// did not come.
	Reverse bool

	// Card number. Default 4111111111111111.
	Card string
	// Expiry of the card. Default December, nine years from now.
	Expiry iso.Expiry
	// Amount in minor units. Default 12500.
	Amount int64
	// Currency is an ISO 4217 alphabetic code. Default EUR.
	Currency string
	// Terminal, Merchant and NameLocation are DE41, DE42 and DE43. Default TERM0001,
	// MERCHANT0000001 and a shop in Berlin.
	Terminal, Merchant, NameLocation string
	// MCC, Country and Acquirer are DE18, DE19 and DE32. Default 5411, 276, 123456.
	MCC, Country, Acquirer string
	// First is the number that trace and reference numbers count from. Default: at
	// random, so that runs on one day seldom meet.
	First uint64

	// Warmup is loaded and not measured. Default 1s; negative: none.
	Warmup time.Duration
	// Duration is the measured time. Default 10s.
	Duration time.Duration
	// Timeout is how long an answer is waited for. Default: the dialect's response
	// timeout, else 30s.
	Timeout time.Duration

	// Dial opens a connection. Default a net.Dialer with five seconds.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Progress receives a line per second. Default: none.
	Progress io.Writer
}

const (
	maxLinks    = 256
	maxInFlight = 65_536
	maxRate     = 5_000_000
	numbers     = 100_000_000 // trace and reference numbers of one day, by most dialects' patterns
	dialTimeout = 5 * time.Second
)

// EnsureDefaults fills what is zero.
func (o *Options) EnsureDefaults() {
	setDefault(&o.Links, 1)
	setDefault(&o.Seed, 1)
	if o.Rate > 0 {
		setDefault(&o.InFlight, 4096)
	}
	setDefault(&o.InFlight, 64)
	setDefault(&o.Mix, Mix{Purchase: 1})
	setDefault(&o.Card, "4111111111111111")
	setDefault(&o.Expiry, iso.Expiry{Year: time.Now().Year() + 9, Month: 12})
	setDefault(&o.Amount, 12_500)
	setDefault(&o.Currency, "EUR")
	setDefault(&o.Terminal, "TERM0001")
	setDefault(&o.Merchant, "MERCHANT0000001")
	setDefault(&o.NameLocation, "BENCH SHOP            BERLIN       BE DE")
	setDefault(&o.MCC, "5411")
	setDefault(&o.Country, "276")
	setDefault(&o.Acquirer, "123456")
	setDefault(&o.First, rand.Uint64N(numbers)+1)
	setDefault(&o.Warmup, time.Second)
	setDefault(&o.Duration, 10*time.Second)
	if o.Dialect != nil {
		setDefault(&o.Timeout, o.Dialect.Behaviour().ResponseTimeout)
	}
	setDefault(&o.Timeout, 30*time.Second)
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate names every field that makes no sense, and every message of the mix that
// the dialect cannot build from these values. REQUIRES: EnsureDefaults.
func (o *Options) Validate() error {
	if o.Dialect == nil {
		return errors.New("dialect: is required")
	}
	var errs []error
	if err := o.Keys.Validate(o.Dialect); err != nil {
		errs = append(errs, fmt.Errorf("keys: %w", err))
	}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(len(o.Connect) > 0, "connect: at least one address is needed")
	for _, addr := range o.Connect {
		_, _, err := net.SplitHostPort(addr)
		check(err == nil, "connect: %q is not host:port", addr)
	}
	check(o.Links >= 1 && o.Links*len(o.Connect) <= maxLinks, "links: must be 1..%d in all", maxLinks)
	check(o.Rate >= 0 && o.Rate <= maxRate, "rate: must be 0..%d messages per second", maxRate)
	check(o.Rate > 0 || !o.Poisson, "poisson: needs a rate")
	check(o.InFlight >= 1 && o.InFlight <= maxInFlight, "in-flight: must be 1..%d", maxInFlight)
	check(o.Duration >= 100*time.Millisecond && o.Duration <= 24*time.Hour && o.Warmup <= time.Hour,
		"duration: must be 100ms..24h, warmup at most 1h")
	check(o.Timeout >= time.Millisecond && o.Timeout <= time.Hour, "timeout: must be 1ms..1h")
	errs = append(errs, o.Mix.validate())
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return o.rehearse()
}

// rehearse builds one of each message that the run may send.
func (o *Options) rehearse() error {
	v, err := o.values()
	if err != nil {
		return err
	}
	now := time.Now()
	v.STAN, v.RRN, v.SentAt, v.LocalAt = o.Dialect.STAN(o.First), o.Dialect.RRN(o.First, now), now.UTC(), now
	needed := o.Mix.operations()
	if o.Reverse {
		needed = append(needed, iso.OpReversal)
	}
	if !o.SkipSignOn && o.Dialect.Supports(iso.OpSignOn) {
		needed = append(needed, iso.OpSignOn)
	}
	var m iso.Message
	var key iso.Key
	for _, op := range needed {
		if op == iso.OpReversal {
			v.Original, v.Reason = iso.Original{MTI: iso.MTIFinancial, STAN: v.STAN, SentAt: v.SentAt, Acquirer: v.Acquirer}, iso.ReasonCustomer
		}
		if err := o.Dialect.Build(op, &v, &m); err != nil {
			return fmt.Errorf("%s in dialect %s: %w", op, o.Dialect.ID(), err)
		}
		if _, err := o.Dialect.AppendFrame(nil, &m); err != nil {
			return fmt.Errorf("%s in dialect %s: %w", op, o.Dialect.ID(), err)
		}
		if o.Dialect.RequestKey(&m, &key); key == (iso.Key{}) {
			return fmt.Errorf("%s in dialect %s: it says of no field that joins the answer", op, o.Dialect.ID())
		}
	}
	return nil
}

// values are what all messages have in common.
func (o *Options) values() (iso.Values, error) {
	pan, err := iso.ParsePAN([]byte(o.Card))
	if err != nil {
		return iso.Values{}, fmt.Errorf("card: %w", err)
	}
	currency, err := iso.ParseCurrency(o.Currency)
	if err != nil {
		return iso.Values{}, fmt.Errorf("currency: %w", err)
	}
	if o.Amount < 1 || o.Amount > 999_999_999_999 {
		return iso.Values{}, errors.New("amount: must be 1..999999999999 minor units")
	}
	return iso.Values{PAN: pan, Expiry: o.Expiry, Amount: o.Amount, Currency: currency, Terminal: o.Terminal, Merchant: o.Merchant,
		MCC: o.MCC, NameLocation: o.NameLocation, Country: o.Country, Acquirer: o.Acquirer}, nil
}
