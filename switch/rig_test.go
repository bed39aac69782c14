package payswitch

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
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
	bank  *banksim.Bank
	d     *iso.Dialect
	store *storage.Store
	core  *Switch

	responseTimeout time.Duration
	window          int
	onFatal         func(error)
}

const (
	rigBank     = "alfa"
	rigMerchant = "mer_rig"
	rigAddress  = "bank:9101"
	rigResponse = 10 * time.Second
)

func newRig(t *testing.T) *rig {
	t.Helper()
	d, err := iso.Builtin("ascii87")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "vault.key")
	if err := CreateKeyRing(path); err != nil {
		t.Fatal(err)
	}
	keys, err := LoadKeyRing(path)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, d: d, keys: keys, disk: storage.NewMemDisk(), net: simnet.New(simnet.Options{Latency: time.Millisecond}),
		responseTimeout: rigResponse, window: 64}
}

func (r *rig) startBank() {
	r.t.Helper()
	l, err := r.net.Listen(rigAddress)
	if err != nil {
		r.t.Fatal(err)
	}
	r.bank, err = banksim.New(banksim.Config{Dialect: r.d, Listener: l, LateBy: 13 * time.Second})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.bank.Start(); err != nil {
		r.t.Fatal(err)
	}
}

// start opens the store and the switch on the rig's disk.
func (r *rig) start() {
	r.t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	r.store, err = storage.Open(storage.Options{Disk: r.disk, Logger: quiet, OnFatal: r.onFatal})
	if err != nil {
		r.t.Fatal(err)
	}
	r.core, err = New(Options{
		Store: r.store, Keys: r.keys, Logger: quiet,
		Banks: []BankConfig{{Dialect: r.d, Acquirer: "123456", Link: acquirers.Config{
			ID: rigBank, Endpoints: []string{rigAddress}, LinksPerEndpoint: 1, SignOn: true, Dial: r.net.Dial, Logger: quiet,
			ResponseTimeout: r.responseTimeout, ReversalTimeout: rigResponse, Window: r.window,
		}}},
		Merchants: []Merchant{{ID: rigMerchant, Name: "RIG", City: "BERLIN", Country: "276", MCC: "5411",
			Keys:  []APIKey{{Hash: HashKey([]byte("sk_test_rig"))}},
			Banks: []MerchantBank{{Bank: rigBank, MerchantID: "MERCHANT0000001", Terminals: []string{"TERM0001"}}}}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.core.Start(); err != nil {
		r.t.Fatal(err)
	}
}

// ready waits, in the bubble's time, until the bank is signed on.
func (r *rig) ready() {
	r.t.Helper()
	b := r.core.banks[rigBank]
	for range 100 {
		changed := b.link.Watch()
		if b.link.Ready() == nil {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			r.t.Fatalf("the bank is not ready: %v", b.link.Ready())
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
	if r.bank != nil {
		_ = r.bank.Close()
	}
}

func (r *rig) account() Account {
	a, ok := r.core.Authenticate([]byte("sk_test_rig"))
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
		fmt.Fprintf(&b, "%8s  %-18s %-10s", e.At.Sub(start).Round(10*time.Millisecond), e.Type, e.Status)
		if e.Message != nil {
			fmt.Fprintf(&b, " %s %s", e.Message.Direction, e.Message.MTI)
			for _, f := range e.Message.Fields {
				if f.Number == fieldResponseCode || f.Number == 90 {
					fmt.Fprintf(&b, " %d=%s", f.Number, strings.Fields(f.Value)[0][:min(4, len(strings.Fields(f.Value)[0]))])
				}
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
