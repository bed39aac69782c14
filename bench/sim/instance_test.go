package sim

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/frontend"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// The times of a life are short: what waits costs a wake-up every ten
// milliseconds of the bubble's time.
const (
	responseTimeout = 300 * time.Millisecond
	reversalTimeout = 400 * time.Millisecond
	writeTimeout    = 150 * time.Millisecond
	reconnect       = 700 * time.Millisecond
	instanceAddress = "switch:8080"
	holdTime        = 24 * time.Hour   // of both banks
	holdLook        = 62 * time.Minute // the switch looks at its holds once an hour at least
)

var (
	quiet     = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 100}))
	bankNames = []string{"alfa", "beta"}
	dialects  = []*iso.Dialect{builtin("ascii87"), builtin("binary87")}
	secrets   = []string{"sk_test_sim_0123456789abcdef0", "sk_test_sim_0123456789abcdef1"}
	keyRing   = makeKeys()
)

func builtin(name string) *iso.Dialect {
	d, err := iso.Builtin(name)
	if err != nil {
		panic(err)
	}
	return d
}

func makeKeys() *payswitch.KeyRing {
	dir, err := os.MkdirTemp("", "tranzit-sim")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "keys")
	if err := payswitch.CreateKeyRing(path); err != nil {
		panic(err)
	}
	keys, err := payswitch.LoadKeyRing(path)
	if err != nil {
		panic(err)
	}
	return keys
}

// instance is one process of the switch, from its start to its end. When it
// dies it loses its network and goes on, unheard, on its orphaned disk.
type instance struct {
	w      *world
	n      int
	death  death
	doomed atomic.Bool // death is planned
	disk   *storage.Disk
	clone  *storage.Disk
	second *storage.Disk // for tryTwice
	store  *storage.Store
	core   *payswitch.Switch
	server *frontend.Server
	served chan error
	began  time.Time
	diedAt time.Time
	phase  atomic.Pointer[string]

	dead    atomic.Bool
	died    chan struct{}
	ops     atomic.Uint64
	writes  atomic.Uint64
	answers atomic.Uint64
	guests  sync.WaitGroup

	mu    sync.Mutex
	dice  *rand.Rand
	conns []*tap
	shops []net.Conn
	timer *time.Timer
}

func newInstance(w *world, n int) *instance {
	i := &instance{w: w, n: n, disk: w.disk, died: make(chan struct{}), served: make(chan error, 1), began: time.Now(),
		dice: stream(w.seed, 500+uint64(n))}
	if n < len(w.deaths) && (!w.calm.Load() || w.stubborn) {
		i.death = w.deaths[n]
		i.doomed.Store(true)
	}
	i.phaseIs("opening")
	return i
}

func (i *instance) phaseIs(name string) { i.phase.Store(&name) }

// start opens the journal, recovers, connects the banks and listens.
func (i *instance) start() (err error) {
	w := i.w
	i.disk.SetFaults(i.faults(true))
	i.store, err = storage.Open(storage.Options{Disk: i.disk, Logger: w.logged, OnFatal: i.fatal, MemtableBytes: 64 << 10, DiskCheck: 20 * time.Second})
	if err != nil {
		return err
	}
	i.phaseIs("recovering")
	o := payswitch.Options{Store: i.store, Keys: keyRing, Logger: w.logged, Now: w.now, Merchants: merchants(w.banks)}
	for n := range w.banks {
		o.Banks = append(o.Banks, i.bankConfig(n))
	}
	if i.core, err = payswitch.New(o); err != nil {
		return err
	}
	if err = i.core.Start(); err != nil {
		return err
	}
	i.phaseIs("running")
	if w.http {
		if err := i.listen(); err != nil {
			return err
		}
	}
	w.note("instance %d runs, epoch %d", i.n, i.store.Epoch())
	if i.doomed.Load() {
		i.disk.SetFaults(i.faults(false))
		if i.death.by == byTime {
			i.timer = time.AfterFunc(i.death.after, func() { i.die("time") })
		}
	}
	return nil
}

// holdsADay is a bank that takes everything and holds for a day.
var holdsADay = func() *iso.Profile {
	p := iso.PlainProfile("sim")
	p.HoldDays = 1
	return p
}()

func (i *instance) bankConfig(n int) payswitch.BankConfig {
	w := i.w
	return payswitch.BankConfig{Dialect: dialects[n], Acquirer: "123456", Profile: holdsADay, Link: acquirers.Config{
		ID: bankNames[n], Endpoints: []string{w.hosts[n].address}, LinksPerEndpoint: w.links, Window: w.window, ReversalShare: 2, SignOn: true,
		Logger: w.logged, ResponseTimeout: responseTimeout, ReversalTimeout: reversalTimeout, WriteTimeout: writeTimeout,
		ConnectTimeout: 2 * time.Second, EchoInterval: w.echo, EchoTimeout: 500 * time.Millisecond,
		ReconnectMin: reconnect, ReconnectMax: reconnect, AnyLink: w.faults&elsewhere != 0,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) { return i.dial(ctx, n, addr) },
	}}
}

func merchants(banks int) (out []payswitch.Merchant) {
	for m, secret := range secrets {
		shop := payswitch.Merchant{ID: merchantID(m), Name: "SIM", City: "BERLIN", Country: "276", MCC: "5411",
			Keys: []payswitch.APIKey{{Hash: payswitch.HashKey([]byte(secret))}}}
		for n := range banks {
			shop.Banks = append(shop.Banks, payswitch.MerchantBank{Bank: bankNames[n], MerchantID: bankMerchant(m), Terminals: []string{"TERM0001", "TERM0002"},
				Payouts: map[string]int64{"EUR": credit(m)}})
		}
		out = append(out, shop)
	}
	return out
}

func merchantID(m int) string   { return "mer_sim" + string(rune('0'+m)) }
func bankMerchant(m int) string { return "MERCHANT000000" + string(rune('0'+m)) }

// faults are those of the disk before and after recovery.
func (i *instance) faults(starting bool) (f storage.Faults) {
	if i.w.sync > 0 && !i.w.calm.Load() {
		r := stream(i.w.seed, 100+uint64(i.n))
		var mu sync.Mutex
		f.SyncDelay = func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			if !oneIn(r, 4) {
				return 0
			}
			return time.Duration(r.Int64N(int64(i.w.sync)))
		}
	}
	if !i.doomed.Load() {
		return f
	}
	switch by := i.death.by; {
	case by == byRecord, by == byOp && !starting:
		f.OnOp = func(uint64, string, string) {
			if i.ops.Add(1) == i.death.k {
				i.die("disk operation")
			}
		}
	case by == bySpace && !starting:
		f.Space = int64(i.death.k)
	case by == bySync && !starting:
		f.FailSync = i.death.k
	}
	return f
}

// disarm cancels a death that has not come. REQUIRES: w.mu.
func (i *instance) disarm() {
	if i.w.stubborn {
		return
	}
	i.doomed.Store(false)
	if i.timer != nil {
		i.timer.Stop()
	}
	i.disk.SetFaults(storage.Faults{})
}

func (i *instance) fatal(err error) {
	if !i.dead.Load() {
		switch {
		case errors.Is(err, syscall.ENOSPC):
			i.w.hit("disk_full")
		case errors.Is(err, syscall.EIO):
			i.w.hit("sync_failed")
		default:
			i.w.broken(15, "the journal failed without a fault: %v", err)
		}
	}
	i.die("journal: " + err.Error())
}

// die is the end of the process: what it still does, nobody hears. It is called
// from any goroutine, also from inside the disk.
func (i *instance) die(why string) bool {
	late := i.w.calm.Load() && !i.w.stubborn && i.death.by != bySpace && i.death.by != bySync
	if late || !i.dead.CompareAndSwap(false, true) {
		return false
	}
	i.diedAt = time.Now()
	i.clone = i.disk.CrashClone(i.death.loss)
	if i.w.twice {
		i.second = i.disk.CrashClone(i.death.loss)
	}
	i.w.note("instance %d dies of %s (%s) while %s", i.n, why, i.death, *i.phase.Load())
	i.w.hit("crash_by_" + triggerNames[i.death.by])
	i.w.hit("crash_while_" + *i.phase.Load())
	i.w.hit([]string{"crash_drops", "crash_keeps", "crash_keeps_some"}[i.death.loss.Unsynced])
	i.mu.Lock()
	conns, shops := i.conns, i.shops
	i.conns, i.shops = nil, nil
	i.mu.Unlock()
	for _, t := range conns {
		switch i.death.ending {
		case endClose:
			_ = t.Conn.Close()
		case endCut:
			t.Conn.Cut()
		case endVanish:
			t.Conn.Vanish()
			_ = t.Conn.Close()
		}
	}
	for _, c := range shops {
		c.(*simnet.Conn).Cut()
	}
	close(i.died)
	return true
}

// answering counts an answer on its way to a merchant, and reports whether it
// arrives.
func (i *instance) answering() bool {
	if i.dead.Load() {
		return false
	}
	if i.answers.Add(1) == i.death.k && i.doomed.Load() && i.death.by == byAnswer {
		return i.die("answer") && i.death.leaves
	}
	return true
}

// bury ends the goroutines of a dead instance.
func (i *instance) bury() {
	if i.timer != nil {
		i.timer.Stop()
	}
	if i.core != nil {
		i.core.Close()
	}
	i.guests.Wait()
	i.unlisten()
	if i.store != nil {
		_ = i.store.Close()
	}
}

// end stops a living instance, gracefully in one half of the lives.
func (i *instance) end() {
	if i.w.drain {
		i.unlisten()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := i.core.Drain(ctx); err != nil && !i.dead.Load() {
			i.w.broken(22, "drain: %v", err)
		}
		i.w.hit("drained")
	}
	i.core.Close()
	i.guests.Wait()
	i.unlisten()
	i.phaseIs("closing")
	if err := i.store.Close(); err != nil && !i.dead.Load() {
		i.w.broken(22, "closing the journal: %v", err)
	}
}

// signedOn reports whether every bank takes traffic.
func (i *instance) signedOn() bool {
	for _, b := range i.core.BankStatuses() {
		if !b.Links.Ready {
			return false
		}
	}
	return true
}

// sending is how many reversals store-and-forward has.
func (i *instance) sending() (n int) {
	for _, b := range i.core.BankStatuses() {
		n += b.Reversals
	}
	return n
}

// queued is sending, and how many reversals the journal owes.
func (i *instance) queued() int {
	n := i.sending()
	owed, err := i.core.OwedReversals(1000)
	if err != nil {
		return max(n, 1)
	}
	for _, o := range owed {
		if o.Desk == "" {
			n++
		}
	}
	return n
}

var errUnplugged = &net.OpError{Op: "dial", Net: "sim", Err: syscall.ENETUNREACH}

// dial is the only way to a bank; the dead have none.
func (i *instance) dial(ctx context.Context, bank int, addr string) (net.Conn, error) {
	if i.dead.Load() {
		return nil, errUnplugged
	}
	c, err := i.w.net.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	t := &tap{Conn: c.(*simnet.Conn), inst: i, bank: bank}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.dead.Load() {
		_ = c.Close()
		return nil, errUnplugged
	}
	i.conns = append(i.conns, t)
	return t, nil
}
