package payswitch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// Options configure a Switch.
type Options struct {
	Store      *storage.Store
	Keys       *KeyRing
	Banks      []BankConfig
	Merchants  []Merchant
	Logger     *slog.Logger          // default: slog.Default
	Registerer prometheus.Registerer // default: a registry of its own
	Now        func() time.Time      // the wall clock; default time.Now

	// AskShop puts a question to a merchant's server and returns within its deadline.
	// It is called for merchants with a Check only, which need it; from many
	// goroutines at once.
	AskShop func(*ShopQuestion) ShopAnswer

	// Authenticate asks by 3-D Secure who a payer is: see AuthenticationRequest. It is
	// called from many goroutines at once. Default: nobody is asked.
	Authenticate func(*AuthenticationRequest) Authentication

	// MaxInFlight bounds payments between admission and answer; default 100000.
	MaxInFlight int
	// MerchantShare is the part of MaxInFlight one merchant may hold; default 0.5.
	MerchantShare float64

	// RetryRules say how often a declined card may be tried again; default iso.Retries.
	// They hold in live mode and, with RetriesInTestMode, in test mode too.
	RetryRules        *iso.RetryRules
	RetriesInTestMode bool
}

// BankConfig is one bank: how to reach it and what it is asked to do.
type BankConfig struct {
	Link      acquirers.Config
	Dialect   *iso.Dialect
	Candidate Candidate    // the version of the dialect that comes next
	Live      bool         // live payments go to live banks only, test payments to the others
	Acquirer  string       // DE32
	Forwarder string       // DE33, optional
	Profile   *iso.Profile // what it supports and demands; nil: iso.PlainProfile
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
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 100_000
	}
	if o.RetryRules == nil {
		o.RetryRules = iso.Retries()
	}
	if o.MerchantShare == 0 {
		o.MerchantShare = 0.5
	}
}

// Validate checks relations and bounds.
func (o *Options) Validate() error {
	switch {
	case o.Store == nil || o.Keys == nil:
		return errors.New("store and keys are required")
	case len(o.Banks) == 0:
		return errors.New("at least one bank is required")
	case o.MaxInFlight < 1 || o.MaxInFlight > 1_000_000:
		return fmt.Errorf("max in flight is %d: want 1..1000000", o.MaxInFlight)
	case o.MerchantShare <= 0 || o.MerchantShare > 1:
		return fmt.Errorf("merchant share is %g: want more than 0 and at most 1", o.MerchantShare)
	}
	return o.canAsk(o.Merchants)
}

func (o *Options) canAsk(merchants []Merchant) error {
	if o.AskShop == nil && slices.ContainsFunc(merchants, func(m Merchant) bool { return m.Check != nil }) {
		return errors.New("AskShop is required by a merchant with a check")
	}
	return nil
}

// Switch takes payments and owns them until their outcome is proven.
// All methods are goroutine-safe.
//
// Lock order: payment stripe, then flights shard, then nothing: no lock is
// held over a journal command of another payment or over a bank exchange.
type Switch struct {
	o         Options
	log       *slog.Logger
	store     *storage.Store
	keys      *KeyRing
	banks     map[string]*bank
	order     []*bank
	dir       atomic.Pointer[directory]
	purses    purses
	ids       *idSource
	flights   flights
	floor     floor
	watch     watchers
	outbox    Outbox
	batches   batches
	pins      pins
	kept      keptMerchants
	letters   Letters
	templates pageTemplates
	issued    issuedKeys
	vault     vault
	stripes   [1024]stripe
	cards     cardLocks
	declines  declineFilter
	metrics   *metrics
	pool      sync.Pool // *work
	writings  sync.Pool // *writing
	scheduled scheduler
	sessions  chan struct{} // wakes endCheckouts
	parked    parked
	presses   presses
	cardsOwe  chan struct{} // a new card owes something still
	orders    [64]stripe    // of orders that are sold by a form

	inFlight atomic.Int64
	asking   asking
	draining atomic.Bool
	ctx      context.Context
	stop     context.CancelFunc
	workers  sync.WaitGroup
}

// New makes a Switch over an open store. It sends nothing before Start.
// Errors name the option at fault.
func New(o Options) (*Switch, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Switch{o: o, log: o.Logger, store: o.Store, ids: newIDSource(), banks: map[string]*bank{}}
	s.pool.New = func() any { return newWork() }
	s.writings.New = func() any { return new(writing) }
	s.flights.init()
	s.watch.init()
	s.scheduled.changed = make(chan struct{}, 1)
	s.sessions, s.cardsOwe = make(chan struct{}, 1), make(chan struct{}, 1)
	s.parked.init()
	s.batches.init()
	s.outbox.s = s
	s.letters.init(s)
	s.metrics = newMetrics(o.Registerer, s)
	s.ctx, s.stop = context.WithCancel(context.Background())
	for i := range o.Banks {
		b, err := s.newBank(&o.Banks[i])
		if err != nil {
			return nil, fmt.Errorf("bank %q: %w", o.Banks[i].Link.ID, err)
		}
		if s.banks[b.id] != nil {
			return nil, fmt.Errorf("bank %q: the id is used twice", b.id)
		}
		s.banks[b.id], s.order = b, append(s.order, b)
	}
	if err := s.loadKept(); err != nil {
		return nil, err
	}
	if err := s.loadTemplates(); err != nil {
		return nil, err
	}
	dir, err := s.directoryOf(o.Merchants)
	if err != nil {
		return nil, err
	}
	s.issued.init()
	s.dir.Store(dir)
	if err := s.openVault(o.Keys); err != nil {
		return nil, err
	}
	s.purses = newPurses(dir, o.Merchants, s.banks)
	if err := s.outbox.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// Start recovers what the journal holds open, then connects the banks and
// starts store-and-forward. After it returns every payment of an earlier life
// has an owner.
func (s *Switch) Start() error {
	if err := s.recover(); err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		s.keepUses()
	}()
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		s.sweepCards()
	}()
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		s.runBatches()
	}()
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		s.loadDeclines()
	}()
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		s.runSchedules()
	}()
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		s.endChallenges()
	}()
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		s.endCheckouts()
	}()
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		s.settleCards()
	}()
	for _, b := range s.order {
		b.link.Start()
		s.workers.Add(1)
		go func() {
			defer s.workers.Done()
			s.forward(b)
		}()
		s.workers.Add(1)
		go func() {
			defer s.workers.Done()
			s.expireHolds(b)
		}()
		s.workers.Add(1)
		go func() {
			defer s.workers.Done()
			s.followDates(b)
		}()
	}
	return nil
}

// SetMerchants replaces the merchants of the configuration at once; those of the
// journal stay. Payments in flight finish as
// they began; what MerchantBank.Payouts says counts from the next start. On error nothing changes.
func (s *Switch) SetMerchants(merchants []Merchant) error {
	if err := s.o.canAsk(merchants); err != nil {
		return err
	}
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	dir, err := s.directoryOf(merchants)
	if err != nil {
		return err
	}
	s.enact(dir)
	return nil
}

// enact puts a directory in force. REQUIRES: s.kept.mu.
func (s *Switch) enact(dir *directory) {
	s.issued.mu.Lock()
	s.dir.Store(dir.with(s.issued.by))
	s.issued.mu.Unlock()
	s.outbox.mu.Lock()
	s.outbox.rebuild()
	s.outbox.mu.Unlock()
}

// Drain refuses new payments, waits for those in flight until ctx ends, signs
// off from the banks and stops. The store stays open.
func (s *Switch) Drain(ctx context.Context) error {
	s.draining.Store(true)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.inFlight.Load() > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	s.stop()
	s.workers.Wait()
	var errs []error
	for _, b := range s.order {
		errs = append(errs, b.link.Drain(ctx))
	}
	return errors.Join(errs...)
}

// Close stops at once. Payments in flight are answered as unknown and resolved
// by their reversal after the next Start.
func (s *Switch) Close() {
	s.draining.Store(true)
	s.stop()
	for _, b := range s.order {
		b.link.Close()
	}
	s.workers.Wait()
}

// ReadyReason is one line of the readiness report.
type ReadyReason struct {
	Part   string `json:"part"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Ready tells whether payments can be taken, part by part. The switch is ready
// when the journal accepts and at least one bank is signed on.
func (s *Switch) Ready() (ok bool, reasons []ReadyReason) {
	journal := ReadyReason{Part: "journal", OK: true}
	if err := s.store.Accepting(); err != nil {
		journal.OK, journal.Detail = false, err.Error()
	}
	reasons = append(reasons, journal)
	someBank := false
	for _, b := range s.order {
		r := ReadyReason{Part: "bank " + b.id, OK: true}
		if err := b.link.Ready(); err != nil {
			r.OK, r.Detail = false, err.Error()
		}
		someBank = someBank || r.OK
		reasons = append(reasons, r)
	}
	if s.draining.Load() {
		reasons = append(reasons, ReadyReason{Part: "switch", Detail: "draining"})
	}
	return journal.OK && someBank && !s.draining.Load(), reasons
}

// BankStatus is a bank's links and the reversals it owes.
type BankStatus struct {
	ID        string           `json:"id"`
	Dialect   string           `json:"dialect"`
	Links     acquirers.Status `json:"links"`
	Health    string           `json:"health"`               // healthy, degraded or failing
	Drained   bool             `json:"drained"`              // by an operator
	Reversals int              `json:"reversals_owed"`       // in store-and-forward
	CutOverAt time.Time        `json:"cut_over_at,omitzero"` // when it last said that its business day ends
}

// BankStatuses reports every bank in configured order.
func (s *Switch) BankStatuses() []BankStatus {
	out := make([]BankStatus, 0, len(s.order))
	for _, b := range s.order {
		out = append(out, BankStatus{ID: b.id, Dialect: b.dialect().ID(), Links: b.link.Status(), Reversals: b.saf.len(),
			Health: b.health.grade().String(), Drained: b.drained.Load(), CutOverAt: b.dayEnded()})
	}
	return out
}

func (s *Switch) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// lock serialises the records of one payment once it has left pay.
func (s *Switch) lock(id ID) sync.Locker { return s.stripe(id) }

func (s *Switch) stripe(id ID) *stripe {
	return &s.stripes[(int(id[14])<<8|int(id[15]))%len(s.stripes)]
}

// stripe is a lock that is held while the journal syncs. Its waiters stand at
// a condition, so that virtual time goes on under them in a simulation.
type stripe struct {
	mu   sync.Mutex
	free sync.Cond
	held bool

	steps atomic.Uint64 // records written to its payments since the start
}

// Lock implements sync.Locker.
func (l *stripe) Lock() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.free.L = &l.mu; l.held; {
		l.free.Wait()
	}
	l.held = true
}

// Unlock implements sync.Locker.
func (l *stripe) Unlock() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
	l.free.Signal()
}
