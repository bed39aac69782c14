package frontend

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// Cards of the simulated bank that the tests need by what they do.
const (
	testCardResolved = "4000000001020009" // no answer, then reversed
	testCardSilent   = "4000000001170002" // no answer, and the reversal is refused: unknown until people act
)

// newTestSwitch is a real switch over a store in memory and one simulated bank
// on loopback, which is signed on when it returns.
func newTestSwitch(t testing.TB) *payswitch.Switch {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	dialect, err := iso.Builtin("ascii87")
	must(t, err)
	host, err := banksim.New(banksim.Config{Dialect: dialect, Logger: quiet})
	must(t, err)
	must(t, host.Start())
	t.Cleanup(func() { _ = host.Close() })

	store, err := storage.Open(storage.Options{Disk: storage.NewMemDisk(), Logger: quiet, OnFatal: func(err error) { t.Error(err) }})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	path := filepath.Join(t.TempDir(), "keys")
	must(t, payswitch.CreateKeyRing(path))
	keys, err := payswitch.LoadKeyRing(path)
	must(t, err)

	sw, err := payswitch.New(payswitch.Options{
		Store: store, Keys: keys, Logger: quiet,
		Banks: []payswitch.BankConfig{{Dialect: dialect, Acquirer: "123456", Link: acquirers.Config{
			ID: "alfa", Endpoints: []string{host.Addr()}, SignOn: true, Institution: "123456", Logger: quiet,
			WriteTimeout: 100 * time.Millisecond, ResponseTimeout: 300 * time.Millisecond,
		}}},
		Merchants: []payswitch.Merchant{shopOf("mer_socks", keyTest), shopOf("mer_hats", keyOther), limited(shopOf("mer_slow", keyLimited))},
	})
	must(t, err)
	must(t, sw.Start())
	t.Cleanup(sw.Close)
	for deadline := time.Now().Add(10 * time.Second); ; {
		if ok, reasons := sw.Ready(); ok {
			return sw
		} else if time.Now().After(deadline) {
			t.Fatalf("the switch is not ready: %v", reasons)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func shopOf(id, key string) payswitch.Merchant {
	return payswitch.Merchant{
		ID: id, Name: "TEST SHOP", City: "MOSCOW", Country: "643", MCC: "5411",
		Keys:  []payswitch.APIKey{{Hash: payswitch.HashKey([]byte(key))}},
		Banks: []payswitch.MerchantBank{{Bank: "alfa", MerchantID: "000000000000001", Terminals: []string{"T0000001"}}},
	}
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
