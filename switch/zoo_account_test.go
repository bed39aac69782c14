package payswitch

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// The tests of the files zoo_*_test.go were written because a planted bug of
// bench/zoo survived all others.

// inRig runs do on a started rig in a bubble.
func inRig(t *testing.T, do func(t *testing.T, r *rig)) {
	t.Helper()
	r := newRig(t)
	inThisRig(t, r, func() { do(r.t, r) })
}

// inThisRig is inRig for one that was changed before.
func inThisRig(t *testing.T, r *rig, do func()) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r.t = t
		r.startBanks()
		r.start()
		r.ready()
		do()
		r.close()
	})
}

// pass lets the bubble's time pass.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wants pays and compares the bank and the refusal's code, either of which may
// be empty.
func (r *rig) wants(a Account, q *PayRequest, bank string, code Code) Payment {
	r.t.Helper()
	answer, err := r.core.Pay(a, q)
	var refusal *Refusal
	errors.As(err, &refusal)
	if (err == nil) != (code == "") || refusal != nil && refusal.Code != code || answer.Payment.Bank != bank {
		r.t.Errorf("key %s: bank %q, %v; want bank %q, code %q", q.IdempotencyKey, answer.Payment.Bank, err, bank, code)
	}
	return answer.Payment
}

// TestKeyBelongsToAccount: two merchants, or one in two modes, share neither
// keys nor payments.
func TestKeyBelongsToAccount(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one, two := r.account("one"), r.account("two")
		digests := map[[16]byte]bool{}
		lists := map[[8]byte]bool{}
		for _, a := range []Account{one, two, {Merchant: one.Merchant, Live: true}, {Merchant: two.Merchant, Live: true}} {
			digests[r.core.idempotencyDigest(a, "key")] = true
			lists[accountDigest(a)] = true
		}
		if len(digests) != 4 || len(lists) != 4 {
			t.Errorf("%d digests of a key and %d lists for four accounts", len(digests), len(lists))
		}
		card := cardOf(banksim.Approve)
		first := r.wants(one, r.request("key", card, 100), "alfa", "")
		second := r.wants(two, r.request("key", card, 100), "alfa", "")
		if first.ID == second.ID {
			t.Error("two merchants got one payment")
		}
		for _, stranger := range []Account{two, {Merchant: one.Merchant, Live: true}} {
			if _, err := r.core.Payment(stranger, PurposePayment, first.ID); err != errNotFound {
				t.Errorf("another account sees the payment: %v", err)
			}
			if page, err := r.core.List(stranger, ListQuery{OrderID: first.OrderID, Limit: 10}); err != nil || len(page.Payments) > 1 {
				t.Errorf("another account lists %d payments, %v", len(page.Payments), err)
			}
		}
	})
}

// TestKeyOfARunningPayment: another body under the key of a payment that still
// runs is refused, and the same body waits for it.
func TestKeyOfARunningPayment(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a, card := r.account("one"), cardOf(banksim.ChargedWithoutAnswer)
		first := r.request("key", card, 100)
		running := make(chan Answer, 2)
		pay := func() {
			answer, err := r.core.Pay(a, first)
			if err != nil {
				t.Error(err)
			}
			running <- *answer
		}
		go pay()
		synctest.Wait()
		r.wants(a, r.request("key", card, 200), "", CodeKeyReused)
		go pay()
		if x, y := <-running, <-running; x.Payment.ID != y.Payment.ID || x.Replayed == y.Replayed {
			t.Errorf("%v and %v", x, y)
		}
	})
}

// TestPin: a pinned merchant's payments go to its bank, whatever its order, also
// after a power cut, and even when that bank cannot take them.
func TestPin(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		card := cardOf(banksim.Approve)
		pay := func(key, bank string, code Code) {
			t.Helper()
			r.wants(r.account("two"), r.request(key, card, 100), bank, code)
		}
		pin := func(bank string) {
			t.Helper()
			if err := r.core.Pin("mer_two", bank, act); err != nil {
				t.Fatal(err)
			}
		}
		pay("free", "alfa", "")
		pin("vega")
		pay("pinned", "vega", "")
		r.crash()
		r.start()
		r.ready()
		pay("pinned still", "vega", "")
		asked := r.request("asked", card, 100)
		asked.Bank = "alfa"
		r.wants(r.account("two"), asked, "alfa", "")
		if err := r.core.SetDrained("vega", true, act); err != nil {
			t.Fatal(err)
		}
		pay("pinned to a drained bank", "", CodeBankUnavailable)
		pin("")
		pay("free again", "alfa", "")
	})
}

// TestLiveNeedsALiveBank: nothing of live mode goes to a test bank, and a bank
// gets only currencies it takes.
func TestLiveNeedsALiveBank(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a, card := r.account("one"), cardOf(banksim.Approve)
		r.wants(Account{Merchant: a.Merchant, Live: true}, r.request("live", card, 100), "", CodeUnknownBank)
		r.core.order[0].profile = r.holdTo("alfa", "currencies: [USD, JPY]")
		r.wants(a, r.request("euro", card, 100), "", CodeCurrency)
		dollars := r.request("dollars", card, 100)
		dollars.Currency, _ = iso.ParseCurrency("USD")
		r.wants(a, dollars, "alfa", "")
	})
}

// TestSlotsComeBack: whatever a request comes to, its slots come back.
func TestSlotsComeBack(t *testing.T) {
	r := newRig(t)
	r.window = 4
	synctest.Test(t, func(t *testing.T) {
		r.t = t
		r.startBanks()
		r.start()
		r.ready()
		a := r.account("one")
		for n, does := range []banksim.Behaviour{banksim.Approve, banksim.Approve, banksim.ChargedWithoutAnswer, banksim.CutAfter, banksim.Decline51} {
			q := r.request(fmt.Sprint("key", n), cardOf(does), 100)
			for range 4 {
				r.wants(a, q, "alfa", "")
				r.ready()
			}
			r.wants(a, r.request(q.IdempotencyKey, cardOf(does), 200), "", CodeKeyReused)
		}
		if status := r.core.order[0].link.Status(); status.Payment.InFlight != 0 || status.Payment.Limit == 0 {
			t.Errorf("the window is %+v", status.Payment)
		}
		if n := r.core.inFlight.Load() + a.Merchant.inFlight.Load(); n != 0 {
			t.Errorf("%d places are taken", n)
		}
		r.close()
	})
}

// TestReserveOfTheDisk: when the disk's reserve is reached nothing new is
// recorded, while what was begun is finished and what is owed is sent.
func TestReserveOfTheDisk(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		lost := r.wants(a, r.request("lost", cardOf(banksim.ChargedWithoutAnswer), 100), "alfa", "")
		r.disk.SetFaults(storage.Faults{Free: 1 << 20})
		r.pass(2 * storage.DefaultDiskCheck)
		before := r.store.Stats().Records
		r.wants(a, r.request("new", cardOf(banksim.Approve), 100), "", CodeOverloaded)
		if n := r.store.Stats().Records - before; n != 0 {
			t.Errorf("a refused payment left %d records", n)
		}
		r.pass(2 * rigResponse)
		if p, err := r.core.Payment(a, PurposePayment, lost.ID); err != nil || p.Status != StatusReversed {
			t.Errorf("the payment is %s, %v", p.Status, err)
		}
		r.wants(a, r.request("lost", cardOf(banksim.ChargedWithoutAnswer), 100), "alfa", "")
	})
}
