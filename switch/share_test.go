package payswitch

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/storage"
)

// TestGreedyShop: a shop that keeps ninety callers busy takes no more than its
// share of a full window: another's payments all go through, as fast as the
// journal's disk allows.
func TestGreedyShop(t *testing.T) {
	r := newRig(t)
	r.window = 32
	inThisRig(t, r, func() {
		r.disk.SetFaults(storage.Faults{SyncDelay: func() time.Duration { return 2 * time.Millisecond }})
		greedy, modest := r.account("two"), r.account("one")
		stop := time.Now().Add(300 * time.Millisecond)
		var refused, done atomic.Int64
		var took []time.Duration
		var callers, mine sync.WaitGroup
		for caller := range 90 {
			callers.Go(func() {
				for i := 0; time.Now().Before(stop); i++ {
					q := r.request(fmt.Sprintf("greedy-%d-%d", caller, i), cardOf(banksim.Approve), 100)
					q.Bank = "alfa"
					if _, err := r.core.Pay(greedy, q); err != nil {
						refused.Add(1)
						<-time.After(time.Millisecond)
						continue
					}
					done.Add(1)
				}
			})
		}
		var mu sync.Mutex
		for caller := range 3 {
			mine.Go(func() {
				for i := 0; time.Now().Before(stop); i++ {
					began := time.Now()
					answer, err := r.core.Pay(modest, r.request(fmt.Sprintf("modest-%d-%d", caller, i), cardOf(banksim.Approve), 100))
					if err != nil || answer.Payment.Status != StatusCaptured {
						t.Errorf("the other shop: %v, %v", answer.Payment.Status, err)
						return
					}
					mu.Lock()
					took = append(took, time.Since(began))
					mu.Unlock()
				}
			})
		}
		mine.Wait()
		callers.Wait()
		if slowest := slices.Max(took); slowest > 50*time.Millisecond || len(took) < 30 {
			t.Errorf("the other shop made %d payments, the slowest took %s: want at most 50ms", len(took), slowest)
		}
		if refused.Load() == 0 || done.Load() < 200 {
			t.Errorf("the greedy shop made %d payments and was refused %d times: nothing was full", done.Load(), refused.Load())
		}
	})
}
