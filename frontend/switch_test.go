package frontend

import (
	"cmp"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/frontend/acs"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
)

// Cards of the simulated bank that the tests need by what they do.
const (
	testCardResolved = "4000000001020009" // no answer, then reversed
	testCardSilent   = "4000000001170002" // no answer, and the reversal is refused: unknown until people act
)

// rig is a real switch over a store in memory and one simulated bank on
// loopback.
type rig struct {
	sw     *payswitch.Switch
	office *joining.Office
	host   *banksim.Bank
	disk   *storage.Disk
	acs    *acs.Server
	broken atomic.Bool  // the journal may fail
	ahead  atomic.Int64 // nanoseconds by which the switch's clock is fast
}

// newTestSwitch is the switch of a rig.
func newTestSwitch(t testing.TB) *payswitch.Switch { return newRig(t).sw }

// newRig starts everything; the bank is signed on when it returns.
func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigOf(t, rigPlan{})
}

// rigPlan is what a rig has of its own.
type rigPlan struct {
	profile string        // of the bank; default demo-vega
	answer  time.Duration // how long the bank's answer is waited for; default 300 ms
	undo    time.Duration // from then to the first reversal; default the dialect's, 5 s
}

// newRigOf is newRig with something of its own.
func newRigOf(t testing.TB, plan rigPlan) *rig {
	t.Helper()
	if plan.answer == 0 {
		plan.answer = 300 * time.Millisecond
	}
	quiet := slog.New(slog.DiscardHandler)
	dialect, err := iso.Builtin("ascii87")
	if plan.undo != 0 {
		dialect, err = iso.Resolve(eagerDialect(t, plan.undo))
	}
	must(t, err)
	host, err := banksim.New(banksim.Config{Dialect: dialect, Logger: quiet})
	must(t, err)
	must(t, host.Start())
	t.Cleanup(func() { _ = host.Close() })

	r := &rig{host: host, disk: storage.NewMemDisk(), acs: acs.New()}
	fatal := func(err error) {
		if err != nil && !r.broken.Load() {
			t.Error(err)
		}
	}
	store, err := storage.Open(storage.Options{Disk: r.disk, Logger: quiet, OnFatal: fatal})
	must(t, err)
	t.Cleanup(func() { fatal(store.Close()) })
	path := filepath.Join(t.TempDir(), "keys")
	must(t, payswitch.CreateKeyRing(path))
	keys, err := payswitch.LoadKeyRing(path)
	must(t, err)

	profile, err := iso.ResolveProfile(cmp.Or(plan.profile, "demo-vega"))
	must(t, err)
	r.sw, err = payswitch.New(payswitch.Options{
		Store: store, Keys: keys, Logger: quiet, Now: func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) },
		Banks: []payswitch.BankConfig{{Dialect: dialect, Profile: profile, Acquirer: "123456", Link: acquirers.Config{
			ID: "alfa", Endpoints: []string{host.Addr()}, SignOn: true, Institution: "123456", Logger: quiet,
			WriteTimeout: 100 * time.Millisecond, ResponseTimeout: plan.answer, ReversalTimeout: plan.answer,
		}}},
		Merchants: []payswitch.Merchant{fenced(shopOf("mer_socks", keyTest)), shopOf("mer_hats", keyOther), limited(shopOf("mer_slow", keyLimited)),
			askedShop(shopOf("mer_asked", keyAsked))},
		AskShop: answerByOrder, Authenticate: r.acs.Authenticate,
	})
	must(t, err)
	r.office, err = joining.New(joining.Options{Switch: r.sw, Store: store, Logger: quiet})
	must(t, err)
	must(t, r.sw.Start())
	t.Cleanup(r.sw.Close)
	r.waitReady(t, true)
	return r
}

// eagerDialect is a file with ascii87, whose reversals are tried after first.
func eagerDialect(t testing.TB, first time.Duration) string {
	t.Helper()
	raw, err := os.ReadFile("../iso/dialects/ascii87.yaml")
	must(t, err)
	text := string(raw)
	quick := strings.Replace(text, "saf: {first: 5s,", "saf: {first: "+first.String()+",", 1)
	if quick == text {
		t.Fatal("the dialect has another schedule than the one to be shortened")
	}
	path := filepath.Join(t.TempDir(), "ascii87.yaml")
	must(t, os.WriteFile(path, []byte(quick), 0o600))
	return path
}

// waitReady waits until the switch can, or cannot, take payments.
func (r *rig) waitReady(t testing.TB, want bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; {
		ok, reasons := r.sw.Ready()
		if ok == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the switch is ready: %v, %v", ok, reasons)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func shopOf(id, key string) payswitch.Merchant {
	return payswitch.Merchant{
		ID: id, Name: "TEST SHOP", City: "MOSCOW", Country: "643", MCC: "5411",
		Keys:  []payswitch.APIKey{{Hash: payswitch.HashKey([]byte(key))}},
		Banks: []payswitch.MerchantBank{{Bank: "alfa", MerchantID: "000000000000001", Terminals: []string{"T0000001"}, Payouts: map[string]int64{"RUB": 0}}},
	}
}

func fenced(m payswitch.Merchant) payswitch.Merchant {
	nobody := payswitch.Access{Addresses: fencedAddresses()}
	m.Keys = append(m.Keys, payswitch.APIKey{Hash: payswitch.HashKey([]byte(keyFenced)), Access: nobody})
	return m
}

// fencedAddresses are those that nobody has.
func fencedAddresses() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }

func askedShop(m payswitch.Merchant) payswitch.Merchant {
	m.Check = &payswitch.ShopCheck{}
	return m
}

// answerByOrder is a shop that answers by the order's id; frontend/webhooks tests
// a real one.
func answerByOrder(q *payswitch.ShopQuestion) payswitch.ShopAnswer {
	return payswitch.ShopAnswer{Answered: q.Request.OrderID != "silent", Accepted: q.Request.OrderID == "good", Reason: "sold out"}
}

func limited(m payswitch.Merchant) payswitch.Merchant {
	m.RatePerSecond, m.Burst = 0.01, 3
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
