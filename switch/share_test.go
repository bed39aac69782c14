package payswitch

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers"
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

// TestGreedyOperations: operations count as their shop's: one that cancels all at
// once leaves the kept part of the window to another's payment and operation.
func TestGreedyOperations(t *testing.T) {
	r := newRig(t)
	r.window = 32
	inThisRig(t, r, func() {
		greedy, modest := r.account("two"), r.account("one")
		paid := func(a Account, key string) ID {
			q := r.request(key, cardOf(banksim.Approve), 100)
			q.Bank = "alfa"
			answer, err := r.core.Pay(a, q)
			if err != nil {
				t.Fatal(err)
			}
			return answer.Payment.ID
		}
		mine := paid(modest, "mine")
		ids := make([]ID, 40)
		for i := range ids {
			ids[i] = paid(greedy, fmt.Sprintf("greedy-%d", i))
		}
		r.control(banksim.ModeMute)
		var took, refused atomic.Int64
		var callers sync.WaitGroup
		for i, id := range ids {
			callers.Go(func() {
				_, err := r.act(greedy, OperationRequest{Kind: KindCancel, Payment: id, IdempotencyKey: fmt.Sprintf("cancel-%d", i)})
				switch {
				case err == nil:
					took.Add(1)
				case codeOf(err) == CodeOverloaded:
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		way := r.core.dir.Load().route(greedy.Merchant.ID, "alfa")
		_, limit := way.bank.link.Taken(acquirers.ClassPayment)
		open := int64(limit - limit/keptForOthers)
		if got := refused.Load(); got != int64(len(ids))-open {
			t.Errorf("%d of %d cancels were refused: want all but the %d that are not kept for others", got, len(ids), open)
		}
		callers.Go(func() {
			if _, err := r.act(modest, OperationRequest{Kind: KindCancel, Payment: mine, IdempotencyKey: "mine too"}); err != nil {
				t.Errorf("the other shop's cancel: %v", err)
			}
		})
		callers.Go(func() {
			if _, err := r.core.Pay(modest, r.request("mine then", cardOf(banksim.Approve), 100)); err != nil {
				t.Errorf("the other shop's payment: %v", err)
			}
		})
		callers.Wait()
		if took.Load() != open || way.held.Load() != 0 {
			t.Errorf("%d cancels went, %d slots are still held", took.Load(), way.held.Load())
		}
	})
}
