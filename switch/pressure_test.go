package payswitch

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// TestSlowBankHurtsOnlyItself: one bank answers after two seconds and is
// offered far more than its window carries. The excess is refused before
// anything is recorded, the other bank's payments do not notice, and reversals
// go out meanwhile.
func TestSlowBankHurtsOnlyItself(t *testing.T) {
	const (
		seconds   = 30
		slowRate  = 200 // payments a second offered to the slow bank
		quickRate = 50
		window    = 64
	)
	r := newRig(t)
	r.window = window
	synctest.Test(t, func(t *testing.T) {
		r.t = t
		r.startBanks()
		r.start()
		r.ready()
		defer r.close()
		baseline := offer(r, "vega", quickRate, seconds)

		// Three payments the slow bank never answers: their reversals must pass
		// through its full window.
		var owed sync.WaitGroup
		for i := range 3 {
			request := r.request(fmt.Sprint("owed", i), cardOf(banksim.ChargedWithoutAnswer), 777)
			request.Bank = "alfa"
			owed.Go(func() { _, _ = r.core.Pay(r.account("two"), request) })
		}
		owed.Wait()
		delay := &script{rig: r}
		if err := r.banks["alfa"].Control(banksim.Control{Mode: banksim.ActDelay, DelayMS: 2000}); err != nil {
			t.Fatal(err)
		}
		delay.control(banksim.ModeNormal)

		before := countPayments(t, r)
		goroutines := runtime.NumGoroutine()
		var slow, quick offered
		var both sync.WaitGroup
		both.Go(func() { slow = offer(r, "alfa", slowRate, seconds) })
		both.Go(func() { quick = offer(r, "vega", quickRate, seconds) })
		both.Wait()

		t.Logf("slow bank: %d answered, %d refused; other bank p99 %s, %s before", slow.answered, slow.refused, quick.p99(), baseline.p99())
		if quick.refused > 0 || quick.p99() > baseline.p99()*12/10 {
			t.Errorf("the other bank: %d refused, p99 %s, before %s", quick.refused, quick.p99(), baseline.p99())
		}
		// Little's law: the window, emptied every two seconds.
		if most := window*seconds/2 + window; slow.answered > most || slow.answered < most/2 || slow.refused == 0 {
			t.Errorf("the slow bank answered %d, at most %d fit its window; %d refused", slow.answered, most, slow.refused)
		}
		if got := countPayments(t, r) - before; got != slow.answered+quick.answered {
			t.Errorf("%d payments recorded, %d answered: a refusal left a trace", got, slow.answered+quick.answered)
		}
		if n := runtime.NumGoroutine(); n > goroutines+window {
			t.Errorf("%d goroutines stayed, %d before", n, goroutines)
		}
		if depth := r.core.banks["alfa"].saf.len(); depth != 0 {
			t.Errorf("%d reversals starved", depth)
		}
	})
}

type offered struct {
	answered, refused int
	took              []time.Duration
}

func (o *offered) p99() time.Duration {
	slices.Sort(o.took)
	return o.took[len(o.took)*99/100]
}

// offer sends payments at a rate, whatever becomes of them, and waits for all.
func offer(r *rig, bank string, rate, seconds int) offered {
	var mu sync.Mutex
	var out offered
	var wg sync.WaitGroup
	account := r.account("two")
	for i := range rate * seconds {
		request := r.request(fmt.Sprintf("%s-%d-%d", bank, time.Now().UnixNano(), i), cardOf(banksim.Approve), 100)
		request.Bank = bank
		wg.Go(func() {
			start := time.Now()
			_, err := r.core.Pay(account, request)
			took := time.Since(start)
			mu.Lock()
			defer mu.Unlock()
			var refusal *Refusal
			switch {
			case err == nil:
				out.answered++
				out.took = append(out.took, took)
			case errors.As(err, &refusal) && refusal.Code == CodeOverloaded && refusal.RetryAfter > 0:
				out.refused++
			default:
				r.t.Errorf("payment to %s: %v", bank, err)
			}
		})
		time.Sleep(time.Second / time.Duration(rate))
	}
	wg.Wait()
	return out
}

func countPayments(t *testing.T, r *rig) int {
	t.Helper()
	totals, err := Total(r.store)
	if err != nil {
		t.Fatal(err)
	}
	return int(totals.Payments)
}
