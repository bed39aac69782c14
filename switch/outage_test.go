package payswitch

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// TestTenThousandReversalsAfterAnOutage: a bank takes ten thousand payments,
// answers none, is gone for an hour, and the switch loses its power meanwhile.
// Every reversal arrives and counts once.
func TestTenThousandReversalsAfterAnOutage(t *testing.T) {
	const payments = 10_000
	r := newRig(t)
	r.window = 2 * payments
	synctest.Test(t, func(t *testing.T) {
		r.t = t
		r.startBanks()
		r.start()
		r.ready()
		silent := cardOf(banksim.ChargedWithoutAnswer)
		account := r.account("one")
		var wg sync.WaitGroup
		for i := range payments {
			request := r.request(fmt.Sprintf("k%d", i), silent, int64(100+i))
			wg.Go(func() {
				if answer, err := r.core.Pay(account, request); err != nil || answer.Payment.Status != StatusUnknown {
					t.Errorf("payment %d: %s, %v", i, answer.Payment.Status, err)
				}
			})
		}
		wg.Wait()
		bank := r.banks["alfa"]
		down := &script{rig: r}
		down.control(banksim.ModeRefuse)
		down.control(banksim.ActDrop)
		time.Sleep(30 * time.Minute)
		r.crash()
		r.start()
		time.Sleep(30 * time.Minute)
		if depth := r.core.banks["alfa"].saf.len(); depth != payments {
			t.Errorf("%d reversals are queued, want %d", depth, payments)
		}
		down.control(banksim.ModeNormal)
		r.ready()
		began := time.Now()
		for r.core.banks["alfa"].saf.len() > 0 && time.Since(began) < time.Hour {
			time.Sleep(time.Second)
		}
		sum := bank.Books().Summary()
		eur := sum.Currencies["EUR"]
		if eur.Charged.Count != payments || eur.Reversed.Count != payments || eur.Net != 0 {
			t.Errorf("the bank charged %d and reversed %d, net %d", eur.Charged.Count, eur.Reversed.Count, eur.Net)
		}
		t.Logf("%d reversals in %s of the bank's return; %d repeats", payments, time.Since(began).Round(time.Second), sum.ReversalRepeats)
		totals, err := Total(r.store)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range totals.Lines {
			if line.Status != StatusReversed.String() || line.Count != payments {
				t.Errorf("the journal ends with %d %s", line.Count, line.Status)
			}
		}
		r.close()
	})
}
