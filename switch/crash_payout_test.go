package payswitch

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/storage"
)

// TestPayoutsSurviveACrashAnywhere cuts the power at each operation of the disk
// while a payout and a verification are made. In the next life they are repeated
// under their keys: what was told stays told, the bank paid out at most once,
// and the balance is what the records and the bank say.
func TestPayoutsSurviveACrashAnywhere(t *testing.T) {
	for _, does := range []banksim.Behaviour{banksim.Approve, banksim.RefundUnanswered} {
		crashes := 0
		for at := uint64(1); ; at++ {
			rig := newRig(t)
			more := false
			synctest.Test(t, func(t *testing.T) { rig.t = t; more = crashPayoutAt(rig, does, at) })
			if !more || t.Failed() {
				break
			}
			crashes++
		}
		if crashes < 5 {
			t.Errorf("%s: only %d crashes", does, crashes)
		}
	}
}

func payoutLife(r *rig, does banksim.Behaviour, heard func() bool) map[string]string {
	told := map[string]string{}
	for key, purpose := range map[string]Purpose{"out": PurposePayout, "ask": PurposeVerification} {
		wish := r.request(key, cardOf(does), 600)
		if wish.Purpose, wish.Bank = purpose, "alfa"; purpose == PurposeVerification {
			wish.Amount = 0
		}
		if answer, err := r.core.Pay(r.account("two"), wish); err == nil && heard() {
			told[key] = answer.Payment.Name() + " " + answer.Payment.Status.String()
		}
	}
	return told
}

func crashPayoutAt(r *rig, does banksim.Behaviour, at uint64) bool {
	r.startBanks()
	defer r.close()
	first := &mortal{net: r.net}
	r.dialer, r.onFatal = first.Dial, func(error) {}
	r.start()
	r.ready()
	wish := r.request("pay", cardOf(banksim.Approve), 1000)
	wish.Bank = "alfa"
	if _, err := r.core.Pay(r.account("two"), wish); err != nil {
		r.t.Fatal(err)
	}
	var ops uint64
	var clone *storage.Disk
	var mu sync.Mutex
	r.disk.SetFaults(storage.Faults{OnOp: func(uint64, string, string) {
		mu.Lock()
		defer mu.Unlock()
		if ops++; ops == at {
			clone = r.disk.CrashClone(storage.Crash{Unsynced: storage.DropUnsynced})
			first.die()
		}
	}})
	told := payoutLife(r, does, first.alive)
	if first.alive() {
		return false
	}
	r.core.Close()
	_ = r.store.Close()
	r.disk, r.core, r.dialer = clone, nil, r.net.Dial
	r.start()
	r.ready()
	checkBalances(r)
	again := payoutLife(r, does, func() bool { return true })
	for key, text := range told {
		if again[key] != text {
			r.t.Errorf("crash at %d: %s was told %q and then %q", at, key, text, again[key])
		}
	}
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	checkBalances(r)
	sum, err := r.core.balance(r.core.purses[purseKey{"mer_two", "alfa", "EUR"}].key)
	if net := r.banks["alfa"].Books().Summary().Currencies["EUR"].Net; err != nil || sum != net || sum < 400 {
		r.t.Errorf("crash at %d: the balance is %d, the bank's net %d, %v; told %s", at, sum, net, err, fmt.Sprint(again))
	}
	return true
}
