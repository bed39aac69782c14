package payswitch

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// TestMerchantsOfTheJournal: one is added while payments run, changed, kept over a
// reload of the configuration and a power cut, and refused where it cannot be.
func TestMerchantsOfTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.startBanks()
		r.start()
		defer r.close()
		r.ready()
		m := Merchant{ID: r.core.NewID().Text(MerchantPrefix), Name: "NEW SHOP", City: "BERLIN", Country: "276", MCC: "5411", TestOnly: true,
			TestUntil: time.Now().Add(time.Hour), Banks: []MerchantBank{{Bank: "alfa", MerchantID: "NEW000000000001", Terminals: []string{"NEWT0001"}}}}
		const claimed storage.Space = 0x7e
		claim := func(c *storage.Command) { c.Claim(claimed, []byte("once"), nil) }
		keep := func() error { return r.core.KeepMerchant(m, rigAct, claim) }
		if err := keep(); err != nil {
			t.Fatal(err)
		}
		m.Name = "OVERTAKEN"
		if err := keep(); !errors.Is(err, ErrOvertaken) {
			t.Errorf("a claim that is taken: %v", err)
		}
		a, err := r.core.AccountOf(m.ID, false)
		if err != nil || a.Merchant.Name != "NEW SHOP" {
			t.Fatalf("%+v, %v", a.Merchant, err)
		}
		k, err := r.core.IssueKey(a, Access{Name: "first"}, rigAct)
		if err != nil {
			t.Fatal(err)
		}
		pays := func(key string) string {
			a, ok := r.core.Authenticate([]byte(k.Secret))
			if !ok {
				return "not let in"
			}
			p, err := r.core.Pay(a, r.request(key, "4111111111111111", 1000))
			if err != nil {
				return err.Error()
			}
			return p.Payment.Bank + " " + p.Payment.Status.String()
		}
		if got := pays("a"); got != "alfa captured" {
			t.Error(got)
		}
		if err := r.core.SetMerchants(r.options(r.store).Merchants); err != nil || pays("b") != "alfa captured" {
			t.Errorf("after a reload: %v, %s", err, pays("c"))
		}
		r.crash()
		r.start()
		r.ready()
		if got := pays("d"); got != "alfa captured" {
			t.Errorf("in the next life: %s", got)
		}
		time.Sleep(2 * time.Hour)
		if got := pays("e"); got != "not let in" {
			t.Errorf("after its time: %s", got)
		}
		r.refusesMerchants(m)
	})
}

// refusesMerchants: each is refused with the member at fault, and nothing changes.
func (r *rig) refusesMerchants(good Merchant) {
	r.t.Helper()
	for want, edit := range map[string]func(*Merchant){
		"mer_ and 26": func(m *Merchant) { m.ID = "mer_one" }, "has a name": func(m *Merchant) { m.Name = " " }, "three digits": func(m *Merchant) { m.Country = "DE" },
		"four digits": func(m *Merchant) { m.MCC = "1" }, "no bank": func(m *Merchant) { m.Banks = []MerchantBank{{Bank: "zeta"}} },
		"8 characters": func(m *Merchant) { m.Banks = []MerchantBank{{Bank: "alfa", MerchantID: "X", Terminals: []string{"T"}}} },
		"no keys":      func(m *Merchant) { m.Keys = []APIKey{{}} },
	} {
		m := good
		edit(&m)
		if err := r.core.KeepMerchant(m, rigAct, nil); err == nil || !strings.Contains(err.Error(), want) {
			r.t.Errorf("%s: %v", want, err)
		}
	}
	if err := r.core.KeepMerchant(good, Act{}, nil); err == nil {
		r.t.Error("kept by nobody")
	}
	if m, ok := r.core.KeptMerchant(good.ID); !ok || m.Name != "NEW SHOP" {
		r.t.Errorf("after all that it is %+v", m)
	}
}

// TestWorkingDays: weekends and holidays do not count, and a day ends at midnight of
// the zone.
func TestWorkingDays(t *testing.T) {
	moscow, err := time.LoadLocation("Europe/Moscow")
	if err != nil {
		t.Fatal(err)
	}
	friday := time.Date(2026, 11, 27, 22, 0, 0, 0, time.UTC) // Saturday in Moscow
	for _, tt := range []struct {
		days     int
		zone     *time.Location
		holidays map[string]bool
		want     string
	}{
		{0, time.UTC, nil, "2026-11-28T00:00:00Z"},
		{1, time.UTC, nil, "2026-12-01T00:00:00Z"},
		{1, moscow, nil, "2026-11-30T21:00:00Z"},
		{1, time.UTC, map[string]bool{"2026-11-30": true}, "2026-12-02T00:00:00Z"},
		{6, time.UTC, nil, "2026-12-08T00:00:00Z"},
	} {
		if got := WorkingDays(friday, tt.days, tt.zone, tt.holidays).Format(time.RFC3339); got != tt.want {
			t.Errorf("%d working days in %s: %s, want %s", tt.days, tt.zone, got, tt.want)
		}
	}
}
