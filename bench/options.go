package bench

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"slices"
	"time"
)

// Options say what to load, how and for how long.
type Options struct {
	// Scenario is the name under which the run is reported. Default: none.
	Scenario string
	// Target is the base address of the merchants' API, http://host:port. Required.
	// TLS is not spoken: the generator is meant for loopback and private networks.
	Target string
	// Keys are the merchants' API keys; requests take turns. At least one.
	Keys []string
	// Cards are test card numbers; requests take turns. Default: one that every
	// simulated bank approves.
	Cards []string
	// Banks, when set, are named in the requests in turn.
	Banks []string
	// KeyShares, CardShares and BankShares, when set, are the weights with which a
	// payment gets each of Keys, Cards and Banks, instead of by turns.
	KeyShares, CardShares, BankShares []float64
	// Mix are the kinds of requests by weight. Default: purchases, and duplicates as
	// Duplicates says; a weight of duplicates here stands for that. Captures, cancels
	// and refunds are of the whole amount and follow an approved payment of the same
	// merchant that had none of its kind; while none waits, a payment is sent instead.
	Mix map[Kind]float64
	// Currency is an ISO 4217 alphabetic code. Default RUB.
	Currency string
	// Admin is the base address of the admin listener; empty: no metrics, no
	// journal in the money check.
	Admin string
	// Cabinet is the base address of the merchants' cabinet; empty: there is none.
	Cabinet string
	// Books are base addresses of the simulated banks' books; empty: no bank in
	// the money check.
	Books []string

	// Rate is the number of requests due per second; 0 is a closed loop.
	Rate float64
	// Poisson spaces the requests of an open loop at random (exponentially),
	// else they are evenly spaced.
	Poisson bool
	// Arrivals, instead of Rate and Poisson, are the phases of an open loop. They
	// begin when the warm-up ends, which goes at the pace of the first one's start.
	// Their sum may not be longer than Duration; the last may leave its own out.
	Arrivals []Phase
	// Seed makes the schedule and the mix repeatable. Default 1.
	Seed uint64
	// Connections are opened up front and kept. Default 64, in an open loop 512.
	Connections int
	// Workers are the threads that drive the connections. Default 1.
	Workers int
	// Duplicates is the share of requests, 0..1, that repeat an earlier one with
	// the same idempotency key.
	Duplicates float64
	// RetryLost sends a payment again, with its key, until it has an answer, when its
	// connection was lost, its answer did not come or said nothing certain, as a
	// careful merchant does. The repeats come on top of the schedule; the latency of
	// such a payment ends with the answer.
	RetryLost bool

	// Warmup is loaded and not measured. Default 1s.
	Warmup time.Duration
	// Duration is the measured time. Default: that of Arrivals, else 10s.
	Duration time.Duration
	// Timeout is how long an answer is waited for. Default 30s.
	Timeout time.Duration
	// Settle is how long the money check waits for open payments to be resolved.
	// Default 30s.
	Settle time.Duration

	// Events happen while the load runs.
	Events []Event
	// Controls put the banks into the state they have without events. They are sent
	// before the load and again before the books are compared.
	Controls []Control
	// Kills is how often the switch is killed with SIGKILL, at random moments of the
	// measured time, and started again. Only a switch that the run itself started.
	Kills int

	// SkipMoney leaves the books alone: for a target that has none.
	SkipMoney bool

	// Binary is the program to start; empty: everything runs already.
	Binary string
	// BankArgs and ServeArgs are the arguments of the bank and of the switch.
	// Either may be empty. The bank is started first.
	BankArgs, ServeArgs []string
	// MoreBanks are the arguments of further banks. Books are in the same order:
	// first that of BankArgs, then these.
	MoreBanks [][]string
	// BankAddr is dialled to see that the bank is up, when Books is empty.
	BankAddr string
	// ChildEnv is added to the environment of both.
	ChildEnv []string
	// ServePID and BankPID are processes that run already and shall be measured.
	ServePID, BankPID int
	// ChildLog receives what the children print. Default: dropped.
	ChildLog io.Writer

	// Progress receives a line per second. Default: none.
	Progress io.Writer
	// Live: Progress is a terminal, and one block that changes in place is shown there
	// instead of lines.
	Live bool
}

const (
	maxConnections = 200_000
	maxWorkers     = 64
	maxRate        = 5_000_000
)

// EnsureDefaults fills what is zero.
func (o *Options) EnsureDefaults() {
	if len(o.Cards) == 0 {
		o.Cards = []string{"4111111111111111"}
	}
	setDefault(&o.Currency, "RUB")
	setDefault(&o.Seed, 1)
	if o.open() {
		setDefault(&o.Connections, 512)
	}
	setDefault(&o.Connections, 64)
	setDefault(&o.Workers, 1)
	if again := o.Mix[Duplicate]; again > 0 {
		// Operations are chosen first; this is the share of what is left.
		o.Duplicates = again / (again + o.Mix[Purchase] + o.Mix[Authorization])
	}
	setDefault(&o.Warmup, time.Second)
	o.fitArrivals()
	setDefault(&o.Duration, 10*time.Second)
	setDefault(&o.Timeout, 30*time.Second)
	setDefault(&o.Settle, 30*time.Second)
	if o.ChildLog == nil {
		o.ChildLog = io.Discard
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
}

// open: the requests are due at times that do not depend on the answers.
func (o *Options) open() bool { return o.Rate > 0 || len(o.Arrivals) > 0 }

// fitArrivals gives the run the length of its phases, or the last phase what is left
// of the run.
func (o *Options) fitArrivals() {
	if len(o.Arrivals) == 0 {
		return
	}
	sum := time.Duration(0)
	for _, p := range o.Arrivals {
		sum += p.Duration
	}
	if last := len(o.Arrivals) - 1; o.Arrivals[last].Duration == 0 {
		setDefault(&o.Duration, sum+10*time.Second)
		o.Arrivals = slices.Clone(o.Arrivals)
		o.Arrivals[last].Duration = o.Duration - sum
	}
	setDefault(&o.Duration, sum)
}

// phases are those of the whole run, warm-up first. REQUIRES: Validate passed.
func (o *Options) phases() []Phase {
	if len(o.Arrivals) == 0 {
		p := Phase{Arrivals: Constant, Rate: o.Rate, Duration: o.Warmup + o.Duration}
		if o.Poisson {
			p.Arrivals = Poisson
		}
		return []Phase{p}
	}
	first := o.Arrivals[0]
	if first.Arrivals == Ramp {
		first = Phase{Arrivals: Constant, Rate: first.Rate}
	}
	first.Duration = o.Warmup
	return append([]Phase{first}, o.Arrivals...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate names every field that makes no sense. REQUIRES: EnsureDefaults.
func (o *Options) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if _, err := hostOf(o.Target); err != nil {
		errs = append(errs, fmt.Errorf("target: %w", err))
	}
	check(len(o.Keys) > 0, "keys: at least one is needed")
	for _, list := range [][]string{o.Keys, o.Cards, o.Banks, {o.Currency}} {
		for _, text := range list {
			check(plain(text), "keys, cards, banks and currency: only letters, digits, - and _ are allowed")
		}
	}
	check(o.Rate >= 0 && o.Rate <= maxRate, "rate: must be 0..%d requests per second", maxRate)
	check(o.Rate > 0 || !o.Poisson, "poisson: needs a rate")
	check(o.Rate == 0 || len(o.Arrivals) == 0, "rate: cannot stand beside arrivals")
	check(len(o.Arrivals) <= maxPhases, "arrivals: at most %d phases", maxPhases)
	sum := time.Duration(0)
	for i := range o.Arrivals {
		if err := o.Arrivals[i].Validate(); err != nil {
			errs = append(errs, fmt.Errorf("arrivals: phase %d: %w", i+1, err))
		}
		sum += o.Arrivals[i].Duration
	}
	check(sum <= o.Duration, "arrivals: the phases take %s, the run %s", sum, o.Duration)
	check(o.Workers >= 1 && o.Workers <= maxWorkers, "workers: must be 1..%d", maxWorkers)
	check(o.Connections >= o.Workers && o.Connections <= maxConnections, "connections: must be %d..%d", o.Workers, maxConnections)
	check(o.Duplicates >= 0 && o.Duplicates < 1, "duplicates: must be a share, 0 <= share < 1")
	check(o.Warmup >= 0 && o.Duration >= 100*time.Millisecond, "duration: must be at least 100ms, warmup not negative")
	check(o.Timeout >= 10*time.Millisecond && o.Settle >= 0, "timeout: must be at least 10ms, settle not negative")
	errs = append(errs, o.validateMix(), o.validateEvents())
	check(o.Binary != "" || len(o.BankArgs)+len(o.MoreBanks)+len(o.ServeArgs) == 0, "binary: is needed to start a bank or a switch")
	return errors.Join(errs...)
}

// validateMix looks at the shares.
func (o *Options) validateMix() error {
	for _, list := range []struct {
		name   string
		of     int
		shares []float64
	}{{"keys", len(o.Keys), o.KeyShares}, {"cards", len(o.Cards), o.CardShares}, {"banks", len(o.Banks), o.BankShares}} {
		if len(list.shares) > 0 && len(list.shares) != list.of {
			return fmt.Errorf("%s: %d shares for %d", list.name, len(list.shares), list.of)
		}
		if err := validateShares(list.shares); err != nil {
			return fmt.Errorf("%s: %w", list.name, err)
		}
	}
	if len(o.Mix) == 0 {
		return nil
	}
	for kind := range o.Mix {
		if !slices.Contains(kinds[:], kind) {
			return fmt.Errorf("mix: %q is not one of %v", kind, kinds)
		}
	}
	if err := validateShares(slices.Collect(maps.Values(o.Mix))); err != nil {
		return fmt.Errorf("mix: %w", err)
	}
	if o.Mix[Purchase]+o.Mix[Authorization] == 0 {
		return errors.New("mix: purchases or authorizations are needed")
	}
	return nil
}

// validateShares: each is a weight, and there is one above 0.
func validateShares(shares []float64) error {
	sum := 0.0
	for _, s := range shares {
		if !(s >= 0 && s <= 1e9) {
			return fmt.Errorf("share %v: must be 0..1e9", s)
		}
		sum += s
	}
	if len(shares) > 0 && sum == 0 {
		return errors.New("a share above 0 is needed")
	}
	return nil
}

func (o *Options) validateEvents() error {
	if len(o.Events) > maxEvents || o.Kills < 0 || o.Kills > maxKills {
		return fmt.Errorf("events: at most %d, and 0..%d kills", maxEvents, maxKills)
	}
	kills := o.Kills > 0
	all := slices.Clone(o.Controls)
	for _, e := range o.Events {
		if e.At < 0 || e.At > o.Duration {
			return fmt.Errorf("event %q: at %s is not within the run of %s", e.Name, e.At, o.Duration)
		}
		kills = kills || e.Kill
		all = append(all, e.Controls...)
	}
	for _, c := range all {
		if c.Bank < 0 || c.Bank >= len(o.Books) {
			return fmt.Errorf("events: the control port of bank %d is not known", c.Bank+1)
		}
	}
	if kills && len(o.ServeArgs) == 0 {
		return errors.New("kills: only a switch that the run itself starts can be killed")
	}
	return nil
}

// plain text needs no escaping in JSON or in a header.
func plain(s string) bool {
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

func hostOf(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || len(u.Path) > 1 {
		return "", errors.New("must look like http://host:port")
	}
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), "80"), nil
	}
	return u.Host, nil
}
