package payswitch

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// TestPayoutsAtOnce: many payouts at once, beside refunds and across a power cut,
// take no more than came in; the bank's books and the records agree with the
// balance at the end.
func TestPayoutsAtOnce(t *testing.T) {
	for _, does := range []banksim.Behaviour{banksim.Approve, banksim.RefundUnanswered, banksim.RefundDeclined} {
		rig := newRig(t)
		synctest.Test(t, func(t *testing.T) { rig.t = t; payOutAtOnce(rig, does) })
	}
}

func payOutAtOnce(r *rig, does banksim.Behaviour) {
	r.startBanks()
	defer r.close()
	r.start()
	r.ready()
	wish := r.request("pay", cardOf(banksim.Approve), 1000)
	wish.Bank = "alfa"
	if _, err := r.core.Pay(r.account("two"), wish); err != nil {
		r.t.Fatal(err)
	}
	for life := range 2 {
		a := r.account("two")
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() {
				out := r.request(fmt.Sprint(life, n), cardOf(does), int64(90+n))
				out.Purpose, out.Bank = PurposePayout, "alfa"
				_, err := r.core.Pay(a, out)
				var refusal *Refusal
				if err != nil && (!errors.As(err, &refusal) || refusal.Code != CodeBalance) {
					r.t.Error(err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		if sum, err := r.core.balance(r.core.purses[purseKey{"mer_two", "alfa", "EUR"}].key); err != nil || sum < 0 {
			r.t.Errorf("the balance is %d, %v", sum, err)
		}
		all.Wait()
		if life == 0 {
			r.crash()
			r.start()
			r.ready()
		}
		checkBalances(r)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	checkBalances(r)
	total := r.banks["alfa"].Books().Summary().Currencies["EUR"]
	sum, err := r.core.balance(r.core.purses[purseKey{"mer_two", "alfa", "EUR"}].key)
	if err != nil || sum < 0 || sum != total.Net {
		r.t.Errorf("%s: the balance is %d, the bank's net %d, %v", does, sum, total.Net, err)
	}
	if does == banksim.Approve && sum >= 90 {
		r.t.Errorf("%d were left: nothing was tight", sum)
	}
}
