package payswitch

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/storage"
)

// asked makes a rig whose merchant mer_two is asked before its payments.
func (r *rig) asked(check ShopCheck, answer func(*ShopQuestion) ShopAnswer) {
	r.t.Helper()
	r.startBanks()
	var err error
	if r.store, err = storage.Open(storage.Options{Disk: r.disk, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		r.t.Fatal(err)
	}
	o := r.options(r.store)
	o.Merchants[1].Check, o.AskShop = &check, answer
	if r.core, err = New(o); err != nil {
		r.t.Fatal(err)
	}
	if err := r.core.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.ready()
}

// TestTheShopIsAskedFirst: what it refuses, or does not answer, leaves no trace
// here or at a bank, and its key is free; what it accepts is made; a repeat is not
// asked about again; other merchants never are.
func TestTheShopIsAskedFirst(t *testing.T) {
	rig := newRig(t)
	synctest.Test(t, func(t *testing.T) {
		rig.t = t
		defer rig.close()
		var asked atomic.Int32
		answer := ShopAnswer{Answered: true, Reason: "sold out"}
		rig.asked(ShopCheck{}, func(q *ShopQuestion) ShopAnswer {
			asked.Add(1)
			if q.Deadline != DefaultShopDeadline || q.Account.Merchant.ID != "mer_two" || q.Request.Amount != 500 || q.ID.IsZero() {
				t.Errorf("asked %+v", q)
			}
			return answer
		})
		two := rig.account("two")
		pay := func(want Code) Answer {
			t.Helper()
			a, err := rig.core.Pay(two, rig.request("k", cardOf(banksim.Approve), 500))
			var refusal *Refusal
			if errors.As(err, &refusal); (want == "") != (err == nil) || refusal != nil && refusal.Code != want {
				t.Fatalf("%v, want %q", err, want)
			}
			return *a
		}
		pay(CodeShopRefused)
		answer = ShopAnswer{}
		pay(CodeShopSilent)
		if n := rig.banks["alfa"].Books().Len(); n != 0 || asked.Load() != 2 {
			t.Errorf("the bank took %d requests, the shop was asked %d times", n, asked.Load())
		}
		answer = ShopAnswer{Answered: true, Accepted: true}
		first := pay("")
		answer = ShopAnswer{Answered: true}
		if again := pay(""); !again.Replayed || again.Payment.ID != first.Payment.ID || asked.Load() != 3 {
			t.Errorf("the repeat: %+v, asked %d times", again, asked.Load())
		}
		if _, err := rig.core.Pay(rig.account("one"), rig.request("k", cardOf(banksim.Approve), 500)); err != nil || asked.Load() != 3 {
			t.Errorf("a merchant that has no check: %v, asked %d times", err, asked.Load())
		}
	})
}

// TestADeadShopDelaysNobody: questions that wait hold no slot of the switch or of
// a bank, there are not more of them than a shop's share, and those over it are
// answered at once, as configured.
func TestADeadShopDelaysNobody(t *testing.T) {
	rig := newRig(t)
	synctest.Test(t, func(t *testing.T) {
		rig.t = t
		defer rig.close()
		rig.asked(ShopCheck{Deadline: 3 * time.Second, GoOn: true}, func(q *ShopQuestion) ShopAnswer {
			time.Sleep(q.Deadline)
			return ShopAnswer{}
		})
		two := rig.account("two")
		var waiting sync.WaitGroup
		var made atomic.Int32
		for i := range maxAskedShop {
			waiting.Go(func() {
				if _, err := rig.core.Pay(two, rig.request(string(rune('a'+i%26))+time.Duration(i).String(), cardOf(banksim.Approve), 500)); err == nil {
					made.Add(1)
				}
			})
		}
		time.Sleep(time.Second)
		if n := rig.core.inFlight.Load(); n != 0 || two.Merchant.asking.count.Load() != maxAskedShop {
			t.Errorf("%d payments hold a slot, %d wait for the shop", n, two.Merchant.asking.count.Load())
		}
		begun := time.Now()
		if _, err := rig.core.Pay(rig.account("one"), rig.request("free", cardOf(banksim.Approve), 500)); err != nil || time.Since(begun) > time.Second {
			t.Errorf("another merchant's payment: %v after %s", err, time.Since(begun))
		}
		begun = time.Now()
		if _, err := rig.core.Pay(two, rig.request("over", cardOf(banksim.Approve), 500)); err != nil || time.Since(begun) > time.Second {
			t.Errorf("one over the share: %v after %s", err, time.Since(begun))
		}
		waiting.Wait()
		if made.Load() == 0 || two.Merchant.asking.count.Load() != 0 || rig.core.asking.count.Load() != 0 {
			t.Errorf("%d were made, %d still wait", made.Load(), rig.core.asking.count.Load())
		}
	})
}

func TestChecksAreValidated(t *testing.T) {
	rig := newRig(t)
	synctest.Test(t, func(t *testing.T) {
		rig.t = t
		defer rig.close()
		rig.start()
		o := rig.options(rig.store)
		for _, d := range []time.Duration{MinShopDeadline - 1, MaxShopDeadline + 1, -1} {
			o.Merchants[0].Check = &ShopCheck{Deadline: d}
			o.AskShop = func(*ShopQuestion) ShopAnswer { return ShopAnswer{} }
			if _, err := newDirectory(o.Merchants, rig.core.banks); err == nil {
				t.Errorf("a deadline of %s is taken", d)
			}
		}
		o.Merchants[0].Check = &ShopCheck{}
		if err := rig.core.SetMerchants(o.Merchants); err == nil {
			t.Error("a check is taken by a switch that cannot ask")
		}
	})
}
