package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend"
	"github.com/tranzit/tranzit/frontend/acs"
	"github.com/tranzit/tranzit/frontend/admin"
	"github.com/tranzit/tranzit/frontend/cabinet"
	"github.com/tranzit/tranzit/frontend/guide"
	"github.com/tranzit/tranzit/frontend/mail"
	"github.com/tranzit/tranzit/frontend/page"
	"github.com/tranzit/tranzit/frontend/webhooks"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

func serveCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve --config tranzit.yaml",
		Short: "Run the switch; SIGTERM drains, SIGHUP reloads the merchants and the API's certificates",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usageError{errors.New("serve needs --config FILE")}
			}
			cfg, err := LoadConfig(file)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, cmd.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration file")
	return c
}

func serve(ctx context.Context, cfg *Config, logTo io.Writer) error {
	app, err := startApp(cfg, logTo)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-hup:
			app.reload()
		case err := <-app.failed:
			return errors.Join(err, app.stop())
		case <-ctx.Done():
			return app.stop()
		}
	}
}

// app is a running switch with everything around it.
type app struct {
	cfg    *Config
	log    *slog.Logger
	store  *storage.Store
	core   *payswitch.Switch
	front  *frontend.Server
	people *people.People
	desk   *cabinet.Server // nil: there is none
	admin  *admin.Server
	pages  *page.Service
	issuer *acs.Server // simulated; nil: nobody is asked
	caller *webhooks.Caller
	hooks  *webhooks.Deliverer
	office *joining.Office
	poster *mail.Sender
	desks  sync.WaitGroup // what office and poster do by themselves
	rest   context.CancelFunc
	failed chan error

	listeners [3]net.Listener // merchants', admin, cabinet or nil
	encrypted *tlsListener    // the first of them; nil: in clear
}

// startApp brings everything up in order: journal, recovery, banks, listeners.
func startApp(cfg *Config, logTo io.Writer) (*app, error) {
	tuneRuntime(cfg)
	a := &app{cfg: cfg, log: newLogger(cfg, logTo), failed: make(chan error, 3)}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	if err := cfg.keyStore(); err != nil {
		return nil, err
	}
	options, err := switchOptions(cfg)
	if err != nil {
		return nil, err
	}
	if options.Keys, err = keyRing(cfg); err != nil {
		return nil, fmt.Errorf("vault keys: %w", err)
	}
	a.store, err = storage.Open(storage.Options{
		Dir: filepath.Join(cfg.Data, "journal"), Logger: a.log, Registerer: registry,
		ReserveBytes: int64(cfg.Journal.ReserveMiB) << 20, CacheBytes: int64(cfg.Journal.CacheMiB) << 20,
		MemtableBytes: int64(cfg.Journal.MemtableMiB) << 20, SlowAfter: cfg.Journal.SlowAfter,
	})
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	options.Store, options.Logger, options.Registerer = a.store, a.log, registry
	calls, err := cfg.callerOptions()
	if err != nil {
		return nil, errors.Join(err, a.store.Close())
	}
	a.caller = webhooks.NewCaller(calls)
	options.AskShop = webhooks.NewAsker(a.caller, registry).Ask
	for i := range options.Banks {
		options.Banks[i].Link.Logger, options.Banks[i].Link.Registerer = a.log, registry
	}
	if cfg.Page.ThreeDS == "simulated" {
		a.issuer = acs.New()
		options.Authenticate = a.issuer.Authenticate
	}
	if a.core, err = payswitch.New(*options); err != nil {
		return nil, errors.Join(err, a.store.Close())
	}
	if err := a.deliver(registry); err != nil {
		return nil, errors.Join(err, a.store.Close())
	}
	if err := a.join(registry); err != nil {
		return nil, errors.Join(err, a.unbindCabinet(), a.store.Close())
	}
	if err := a.listen(registry); err != nil {
		return nil, errors.Join(err, a.unbindCabinet(), a.store.Close())
	}
	if err := errors.Join(a.core.Start(), a.hooks.Start()); err != nil {
		return nil, errors.Join(err, a.store.Close())
	}
	a.openDesks()
	a.serveListeners()
	return a, nil
}

// deliver prepares what sends webhooks.
func (a *app) deliver(registry *prometheus.Registry) error {
	w := &a.cfg.Webhooks
	var err error
	a.hooks, err = webhooks.New(webhooks.Options{
		Outbox: a.core.Outbox(), Logger: a.log, Registerer: registry, Caller: a.caller, Concurrency: w.Concurrency,
		PerEndpoint: w.PerEndpoint, Retries: w.Retries, DisableAfter: w.DisableAfter,
	})
	return err
}

// join prepares what takes applications, and what sends letters.
func (a *app) join(registry *prometheus.Registry) error {
	o, err := a.cfg.joiningOptions()
	if err != nil {
		return err
	}
	o.Switch, o.Store, o.Logger, o.Prove = a.core, a.store, a.log, a.hooks.Prove
	setDefault(&o.API, "http://"+a.cfg.Listen)
	if err := a.bindCabinet(); err != nil {
		return err
	}
	if a.listeners[2] != nil {
		o.Cabinet = a.cfg.cabinetURL()
	}
	if a.office, err = joining.New(o); err != nil {
		return err
	}
	letters, err := a.cfg.letterOptions()
	if err != nil {
		return err
	}
	letters.Letters, letters.Logger, letters.Registerer = a.core.Letters(), a.log, registry
	letters.Tell = func(ctx context.Context, y *payswitch.Letter) error {
		err := a.hooks.Tell(ctx, y)
		if errors.Is(err, webhooks.ErrNoEndpoint) {
			err = &mail.Refused{Why: err}
		}
		return err
	}
	a.poster, err = mail.New(letters)
	return err
}

// openDesks lets letters go, and test modes end in time.
func (a *app) openDesks() {
	var ctx context.Context
	ctx, a.rest = context.WithCancel(context.Background())
	for _, run := range []func(context.Context){a.office.Run, a.poster.Run} {
		a.desks.Add(1)
		go func() {
			defer a.desks.Done()
			run(ctx)
		}()
	}
}

func tuneRuntime(cfg *Config) {
	debug.SetGCPercent(cfg.Runtime.GCPercent)
	if cfg.Runtime.MemoryMiB > 0 {
		debug.SetMemoryLimit(int64(cfg.Runtime.MemoryMiB) << 20)
	}
	setProcessors(cfg.Runtime.Processors)
}

// spareProcessors is how many threads may run Go code beside one for each core:
// the thread that syncs the log keeps its place until the runtime notices that
// it waits in the kernel.
const spareProcessors = 1

// coresAtStart follows the machine and the limits of a container.
var coresAtStart = runtime.GOMAXPROCS(0)

// setProcessors lets n threads run Go code at once; 0 stands for the default,
// which the environment's GOMAXPROCS replaces.
func setProcessors(n int) {
	switch {
	case n > 0:
		runtime.GOMAXPROCS(n)
	case os.Getenv("GOMAXPROCS") == "":
		runtime.GOMAXPROCS(coresAtStart + spareProcessors)
	}
}

func newLogger(cfg *Config, to io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // validated with the configuration
	options := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(to, options))
	}
	return slog.New(slog.NewJSONHandler(to, options))
}

// switchOptions turns the configuration into the switch's options.
func switchOptions(cfg *Config) (*payswitch.Options, error) {
	o := &payswitch.Options{MaxInFlight: cfg.Limits.MaxInFlight, MerchantShare: cfg.Limits.MerchantShare, RetriesInTestMode: cfg.Retries.TestMode}
	var err error
	if o.RetryRules, err = cfg.retryRules(); err != nil {
		return nil, err
	}
	banks := map[string]bool{}
	for i := range cfg.Banks {
		b, err := cfg.bank(i)
		if err != nil {
			return nil, err
		}
		banks[cfg.Banks[i].ID] = true
		o.Banks = append(o.Banks, b)
	}
	for i := range cfg.Merchants {
		m, err := cfg.merchant(i, banks)
		if err != nil {
			return nil, err
		}
		o.Merchants = append(o.Merchants, m)
	}
	return o, nil
}

// keyRing loads the vault keys; a data directory without a journal gets new
// ones. A journal without its keys is refused: its card numbers would be lost.
func keyRing(cfg *Config) (*payswitch.KeyRing, error) {
	if err := os.MkdirAll(filepath.Dir(cfg.KeyFile), 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Stat(cfg.KeyFile); errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(cfg.Data, "journal")); err == nil {
			return nil, fmt.Errorf("%s is missing, and %s holds a journal sealed with it: put the key file back", cfg.KeyFile, cfg.Data)
		}
		if err := payswitch.CreateKeyRing(cfg.KeyFile); err != nil {
			return nil, err
		}
	}
	return payswitch.LoadKeyRing(cfg.KeyFile)
}

func (a *app) listen(registry *prometheus.Registry) error {
	secure, err := a.cfg.apiTLS()
	if err != nil {
		return err
	}
	proxies, err := a.cfg.trustedProxies()
	if err != nil {
		return err
	}
	api, err := net.Listen("tcp", a.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if secure != nil {
		a.encrypted = &tlsListener{Listener: api}
		a.encrypted.config.Store(secure)
		api = a.encrypted
	}
	control, err := net.Listen("tcp", a.cfg.Admin)
	if err != nil {
		return errors.Join(fmt.Errorf("admin: %w", err), api.Close())
	}
	bridge, err := a.cfg.assistAdapter(a.core)
	if err != nil {
		return errors.Join(err, api.Close(), control.Close())
	}
	a.pages, err = page.New(page.Options{Switch: a.core, Logger: a.log, URL: a.pageURL(api.Addr(), secure != nil), SubmitsPerMinute: a.cfg.Page.SubmitsPerMinute,
		PressesPerMinute: a.cfg.Page.PressesPerMinute, PlainReturns: a.cfg.Webhooks.AllowHTTP})
	if err != nil {
		return errors.Join(err, api.Close(), control.Close())
	}
	if a.issuer != nil {
		a.issuer.Bind(a.pageURL(api.Addr(), secure != nil), a.core.Authenticated)
	}
	a.front, err = frontend.New(frontend.Options{
		Switch: a.core, Assist: bridge, Page: a.pages, ThreeDS: a.issuer, Logger: a.log, Registerer: registry, MaxBody: a.cfg.HTTP.MaxBody, ReadTimeout: a.cfg.HTTP.ReadTimeout,
		IdleTimeout: a.cfg.HTTP.IdleTimeout, Concurrency: a.cfg.HTTP.Connections, TrustedProxies: proxies,
		PlainWebhooks: a.cfg.Webhooks.AllowHTTP, TestEndpoint: a.hooks.Test, Joining: a.office, TestCards: testCards(),
	})
	if err != nil {
		return errors.Join(err, api.Close(), control.Close())
	}
	if err := a.openCabinet(proxies); err != nil {
		return errors.Join(err, api.Close(), control.Close())
	}
	a.admin = admin.New(admin.Options{Switch: a.core, Store: a.store, People: a.people, CabinetURL: a.cabinetAt(), Gatherer: registry, Logger: a.log, Joining: a.office, Pages: a.pages, Guide: a.guides()})
	a.listeners[0], a.listeners[1] = api, control
	return nil
}

// openCabinet prepares the people of merchants and, where it is configured, the
// cabinet.
func (a *app) openCabinet(proxies []netip.Prefix) error {
	y := &a.cfg.Cabinet
	var err error
	if a.people, err = people.New(people.Options{Store: a.store, Switch: a.core, Logger: a.log, Idle: y.Idle, Lasting: y.Lasting}); err != nil || y.Listen == "" {
		return err
	}
	a.desk, err = cabinet.New(cabinet.Options{Switch: a.core, Store: a.store, People: a.people, Logger: a.log, URL: a.cfg.cabinetURL(), TrustedProxies: proxies, Joining: a.office, Pages: a.pages,
		Page: func(session payswitch.ID) string { return a.pages.URL(session) }, Guide: a.guides(),
		TestEndpoint: a.hooks.Test, PlainWebhooks: a.cfg.Webhooks.AllowHTTP})
	return err
}

// guides write the guides of merchants.
func (a *app) guides() *guide.Maker {
	return &guide.Maker{Switch: a.core, Joining: a.office, Page: a.pages, API: a.pages.Base(), Cards: testCards()}
}

// bindCabinet takes the cabinet's address, which letters name, where one is
// configured.
func (a *app) bindCabinet() error {
	y := &a.cfg.Cabinet
	if y.Listen == "" {
		return nil
	}
	secure, err := a.cfg.cabinetTLS()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", y.Listen)
	if err != nil {
		return fmt.Errorf("cabinet.listen: %w", err)
	}
	if y.URL == "" { // a port of the system's choice
		host, _, _ := net.SplitHostPort(y.Listen)
		_, port, _ := net.SplitHostPort(l.Addr().String())
		y.Listen = net.JoinHostPort(host, port)
	}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	a.listeners[2] = l
	return nil
}

// unbindCabinet gives the address back when the rest cannot start.
func (a *app) unbindCabinet() error {
	if a.listeners[2] == nil {
		return nil
	}
	return a.listeners[2].Close()
}

// cabinetAt is how browsers reach the cabinet; empty: there is none.
func (a *app) cabinetAt() string {
	if a.desk == nil {
		return ""
	}
	return a.cfg.cabinetURL()
}

func (a *app) serveListeners() {
	go func() {
		if err := a.front.Serve(a.listeners[0]); err != nil {
			a.failed <- fmt.Errorf("merchants' listener: %w", err)
		}
	}()
	go func() {
		if err := a.admin.Serve(a.listeners[1]); err != nil {
			a.failed <- fmt.Errorf("admin listener: %w", err)
		}
	}()
	if a.desk != nil {
		go func() {
			if err := a.desk.Serve(a.listeners[2]); err != nil {
				a.failed <- fmt.Errorf("cabinet: %w", err)
			}
		}()
	}
	a.log.Info("tranzit is up", "listen", a.listeners[0].Addr().String(), "admin", a.listeners[1].Addr().String(), "epoch", a.store.Epoch())
}

// reload takes the merchants and the certificates of the changed file; a bad file
// changes nothing.
func (a *app) reload() {
	cfg, err := LoadConfig(a.cfg.file)
	if err == nil {
		err = a.renew(cfg)
	}
	if err != nil {
		a.log.Error("reload refused; the old configuration stays", "error", err)
		return
	}
	a.log.Info("merchants and certificates reloaded; other keys take a restart", "merchants", len(cfg.Merchants))
}

func (a *app) renew(cfg *Config) error {
	if changed, can := a.cfg.keys.(interface{ Reload() error }); can {
		if err := changed.Reload(); err != nil {
			return err
		}
	}
	cfg.keys = a.cfg.keys
	o, err := switchOptions(cfg)
	if err != nil {
		return err
	}
	secure, err := cfg.apiTLS()
	switch {
	case err != nil:
		return err
	case (secure != nil) != (a.encrypted != nil):
		return cfg.fault("http.tls", "turning encryption on or off takes a restart")
	}
	if err := a.core.SetMerchants(o.Merchants); err != nil {
		return err
	}
	if secure != nil {
		a.encrypted.config.Store(secure)
	}
	return nil
}

// cutOff is how long a shutdown waits for deliveries on their way; the next life
// repeats what it cuts off.
const cutOff = 2 * time.Second

// stop drains: no new payments, those in flight finish, banks are signed off,
// the journal is closed. What endpoints are still owed stays in it.
func (a *app) stop() error {
	a.log.Info("draining")
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.DrainTimeout)
	defer cancel()
	start := time.Now()
	var err error
	if a.desk != nil {
		err = a.desk.Shutdown(ctx)
	}
	err = errors.Join(err, a.front.Shutdown(ctx), a.core.Drain(ctx))
	a.rest()
	a.desks.Wait()
	last, done := context.WithTimeout(ctx, cutOff)
	defer done()
	a.hooks.Stop(last)
	err = errors.Join(err, a.admin.Close(), a.store.Close())
	a.log.Info("stopped", "seconds", time.Since(start).Seconds())
	return err
}
