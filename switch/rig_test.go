package payswitch

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// rig is a whole switch inside a synctest bubble: the real store on a disk in
// memory, real links over a network in memory, the scripted bank.
type rig struct {
	t     *testing.T
	keys  *KeyRing
	disk  *storage.Disk
	net   *simnet.Net
	banks map[string]*banksim.Bank
	store *storage.Store
	core  *Switch

	responseTimeout time.Duration
	window          int
	dialer          func(ctx context.Context, network, addr string) (net.Conn, error)
	onFatal         func(error)
	diskCheck       time.Duration     // 0: the store's own
	count           atomic.Int64      // of keys given by tries
	adjust          func(*Options)    // nil: the options as they are
	spoken          *iso.Dialect      // by every bank; nil: rigBanks say
	second          *iso.Dialect      // by the second bank; nil: rigBanks say
	lineKeys        map[string][]byte // the banks' keys in clear, where the dialect has codes
}

const rigResponse = 10 * time.Second

// rigBanks are the rig's banks and their dialects. The merchant mer_one has
// only the first; mer_two has both, in this order.
var rigBanks = []struct{ id, dialect string }{{"alfa", "ascii87"}, {"vega", "binary87"}}

func newRig(t *testing.T) *rig {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vault.key")
	if err := CreateKeyRing(path); err != nil {
		t.Fatal(err)
	}
	keys, err := LoadKeyRing(path)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, keys: keys, disk: storage.NewMemDisk(), banks: map[string]*banksim.Bank{},
		net:             simnet.New(simnet.Options{Latency: time.Millisecond, Buffer: 256}),
		responseTimeout: rigResponse, window: 64}
}

func (r *rig) dialect(name string) *iso.Dialect {
	r.t.Helper()
	if r.spoken != nil {
		return r.spoken
	}
	if r.second != nil && name == rigBanks[1].dialect {
		return r.second
	}
	d, err := iso.Builtin(name)
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// profile is that of a bank that takes all its dialect can say, and holds for two days; at vega
// an increment lengthens the hold.
func (r *rig) profile(bank, dialect string) *iso.Profile {
	p, list := iso.PlainProfile(bank), []iso.OperationTerms(nil)
	for _, op := range iso.ProfileOperations() {
		if op != iso.OpCapture && !r.dialect(dialect).Supports(op) {
			continue
		}
		t, _ := p.Terms(op)
		t.Lengthens = op == iso.OpIncrement && bank == "vega"
		list = append(list, t)
	}
	p.Operations, p.HoldDays = list, 2
	return p
}

func (r *rig) startBanks() {
	r.t.Helper()
	for _, b := range rigBanks {
		l, err := r.net.Listen(b.id + ":9101")
		if err != nil {
			r.t.Fatal(err)
		}
		sim, err := banksim.New(banksim.Config{Dialect: r.dialect(b.dialect), Keys: r.lineKeys, Listener: l, LateBy: 13 * time.Second})
		if err != nil {
			r.t.Fatal(err)
		}
		if err := sim.Start(); err != nil {
			r.t.Fatal(err)
		}
		r.banks[b.id] = sim
	}
}

// start opens the store and the switch on the rig's disk.
func (r *rig) start() {
	r.t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	r.store, err = storage.Open(storage.Options{Disk: r.disk, Logger: quiet, OnFatal: r.onFatal, DiskCheck: r.diskCheck})
	if err != nil {
		r.t.Fatal(err)
	}
	o := r.options(r.store)
	if r.adjust != nil {
		r.adjust(&o)
	}
	r.core, err = New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.core.Start(); err != nil {
		r.t.Fatal(err)
	}
}

// options are the rig's banks and merchants on a store.
func (r *rig) options(store *storage.Store) Options {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	dial := r.net.Dial
	if r.dialer != nil {
		dial = r.dialer
	}
	o := Options{Store: store, Keys: r.keys, Logger: quiet}
	one := Merchant{ID: "mer_one", Name: "RIG", City: "BERLIN", Country: "276", MCC: "5411", Keys: []APIKey{{Hash: HashKey([]byte("sk_test_one"))}}}
	two := one
	two.ID, two.Keys = "mer_two", []APIKey{{Hash: HashKey([]byte("sk_test_two"))}}
	for _, b := range rigBanks {
		o.Banks = append(o.Banks, BankConfig{Dialect: r.dialect(b.dialect), Acquirer: "123456", Profile: r.profile(b.id, b.dialect), Link: acquirers.Config{
			ID: b.id, Endpoints: []string{b.id + ":9101"}, LinksPerEndpoint: 1, SignOn: true, Dial: dial, Logger: quiet,
			ResponseTimeout: r.responseTimeout, ReversalTimeout: rigResponse, Window: r.window,
		}})
		two.Banks = append(two.Banks, MerchantBank{Bank: b.id, MerchantID: "MERCHANT0000001", Terminals: []string{"TERM0001"}, Payouts: map[string]int64{"EUR": 0}})
	}
	one.Banks = slices.Clone(two.Banks[:1])
	one.Banks[0].Payouts = nil
	o.Merchants = []Merchant{one, two}
	return o
}

// unhurried lets the lines rest, so that months of the bubble's time pass fast.
func unhurried(o *Options) {
	for i := range o.Banks {
		o.Banks[i].Link.EchoInterval = 24 * time.Hour
	}
}

// ready waits, in the bubble's time, until every bank is signed on.
func (r *rig) ready() {
	r.t.Helper()
	for _, b := range r.core.order {
		for changed := b.link.Watch(); b.link.Ready() != nil; changed = b.link.Watch() {
			select {
			case <-changed:
			case <-time.After(time.Minute):
				r.t.Fatalf("bank %s is not ready: %v", b.id, b.link.Ready())
			}
		}
	}
}

func (r *rig) stop() {
	if r.core != nil {
		r.core.Close()
		if err := r.store.Close(); err != nil {
			r.t.Error(err)
		}
		r.core = nil
	}
}

// crash is a power cut: what was not synced is gone. The old life loses its
// network and its disk before it can do anything more.
func (r *rig) crash() {
	r.t.Helper()
	clone := r.disk.CrashClone(storage.Crash{Unsynced: storage.DropUnsynced})
	old, oldStore := r.core, r.store
	old.Close()
	_ = oldStore.Close()
	r.disk, r.core = clone, nil
}

func (r *rig) close() {
	r.stop()
	for _, b := range r.banks {
		_ = b.Close()
	}
}

// control sets the mode of the first bank.
func (r *rig) control(mode string) {
	r.t.Helper()
	if err := r.banks[rigBanks[0].id].Control(banksim.Control{Mode: mode}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) account(merchant string) Account {
	a, ok := r.core.Authenticate([]byte("sk_test_" + merchant))
	if !ok {
		r.t.Fatal("the rig's key is not known")
	}
	return a
}

// request is a payment with this card and amount.
func (r *rig) request(key, card string, amount int64) *PayRequest {
	r.t.Helper()
	pan, err := iso.ParsePAN([]byte(card))
	if err != nil {
		r.t.Fatal(err)
	}
	currency, err := iso.ParseCurrency("EUR")
	if err != nil {
		r.t.Fatal(err)
	}
	cvc, err := iso.ParseCVC([]byte("123"))
	if err != nil {
		r.t.Fatal(err)
	}
	return &PayRequest{IdempotencyKey: key, Fingerprint: r.core.Fingerprint("POST", "/v1/payments", []byte(fmt.Sprint(card, amount))),
		Amount: amount, Currency: currency, OrderID: "order-" + key, PAN: pan, CVC: cvc, Expiry: iso.Expiry{Year: 2030, Month: 12}}
}

func cardOf(does banksim.Behaviour) string {
	for _, c := range banksim.Cards() {
		if c.Behaviour == does {
			return c.Number
		}
	}
	return ""
}

// story is a payment's timeline, one line per record, without what differs
// from run to run.
func (r *rig) story(id ID) string {
	r.t.Helper()
	events, err := r.core.Story(id)
	if err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	start := events[0].At
	for _, e := range events {
		fmt.Fprintf(&b, "%8s  %-18s %-10s", e.At.Sub(start).Round(100*time.Millisecond), e.Type, e.Status)
		if e.Type == "rerouted" || e.Type == "desk" || e.Type == "closed" || e.Type == "retried" {
			b.WriteString(" " + strings.SplitAfter(e.Detail, ", STAN")[0])
		}
		if e.Message != nil {
			fmt.Fprintf(&b, " %s %s", e.Message.Direction, e.Message.MTI)
			for _, f := range e.Message.Fields {
				if f.Number == fieldResponseCode || f.Number == 56 {
					fmt.Fprintf(&b, " %d=%s", f.Number, f.Value[:min(4, len(f.Value))])
				}
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
