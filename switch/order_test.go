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

// orderTry is one attempt at the order A, which is paid once.
func (r *rig) orderTry(key string, does banksim.Behaviour, manual bool) *PayRequest {
	q := r.request(key, cardOf(does), 1000)
	q.OrderID, q.OrderOnce, q.ManualCapture = "A", true, manual
	return q
}

// TestOrderIsPaidOnce goes through what an earlier attempt can be when the next
// one comes: the order is free again only when the money provably is not there.
func TestOrderIsPaidOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		does   banksim.Behaviour
		manual bool
		then   func(r *rig, p Payment)
		next   Code
	}{
		{name: "declined", does: banksim.Decline51},
		{name: "captured", does: banksim.Approve, next: CodeOrderPaid},
		{name: "authorized", does: banksim.Approve, manual: true, next: CodeOrderPaid},
		{name: "unknown", does: banksim.NoAnswer, next: CodeOrderInProgress},
		{name: "reversed", does: banksim.NoAnswer, then: func(r *rig, _ Payment) { r.pass(time.Minute) }},
		{name: "refunded in part", does: banksim.Approve, next: CodeOrderPaid,
			then: func(r *rig, p Payment) { r.undo(p.ID, KindRefund, "some", 999) }},
		{name: "refunded", does: banksim.Approve, then: func(r *rig, p Payment) { r.undo(p.ID, KindRefund, "all", 1000) }},
		{name: "canceled", does: banksim.Approve, manual: true, then: func(r *rig, p Payment) { r.undo(p.ID, KindCancel, "all", 0) }},
		{name: "expired", does: banksim.Approve, manual: true, then: func(r *rig, _ Payment) { r.pass(50 * time.Hour) }},
		{name: "unknown, after a power cut", does: banksim.NoAnswer, next: CodeOrderInProgress,
			then: func(r *rig, _ Payment) {
				r.control(banksim.ModeStall)
				r.crash()
				r.start()
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inRig(t, func(t *testing.T, r *rig) {
				first := r.wants(r.account("one"), r.orderTry("first", tt.does, tt.manual), "alfa", "")
				if tt.then != nil {
					tt.then(r, first)
				}
				e, err := r.core.Explain(r.account("one"), r.orderTry("next", banksim.Approve, false))
				if refused := e.Refusal != nil; err != nil || refused != (tt.next != "") || refused && e.Refusal.Code != tt.next && e.Bank != "" {
					t.Errorf("explained: %+v, %v", e, err)
				}
				a, bank, want := r.account("one"), "alfa", uint32(2)
				if tt.next != "" {
					bank, want = "", 0
				}
				next := r.wants(a, r.orderTry("next", banksim.Approve, false), bank, tt.next)
				if first.Attempt != 1 || next.Attempt != want {
					t.Errorf("attempts %d and %d", first.Attempt, next.Attempt)
				}
				again, err := r.core.Pay(a, r.orderTry("first", tt.does, tt.manual))
				if err != nil || !again.Replayed || again.Payment.Attempt != 1 {
					t.Errorf("the repeat of the first: %+v, %v", again, err)
				}
			})
		})
	}
}

// TestOrderHasOtherPayments: payments made without the wish are not numbered and
// never refused, but they bar those made with it; other orders, accounts and
// merchants have attempts of their own, and a merchant may have it for all orders.
func TestOrderHasOtherPayments(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one, two := r.account("one"), r.account("two")
		plain := r.request("plain", cardOf(banksim.Approve), 1000)
		plain.OrderID = "A"
		if p := r.wants(one, plain, "alfa", ""); p.Attempt != 0 {
			t.Errorf("a plain payment is attempt %d", p.Attempt)
		}
		r.wants(one, r.orderTry("barred", banksim.Approve, false), "", CodeOrderPaid)
		plain.IdempotencyKey = "plain again"
		r.wants(one, plain, "alfa", "")
		if p := r.wants(two, r.orderTry("other's", banksim.Approve, false), "alfa", ""); p.Attempt != 1 {
			t.Errorf("another merchant's is attempt %d", p.Attempt)
		}
		always := *one.Merchant
		always.OrderOnce = true
		strict := Account{Merchant: &always}
		q := r.request("by setting", cardOf(banksim.Approve), 1000)
		if p := r.wants(strict, q, "alfa", ""); p.Attempt != 1 {
			t.Errorf("by the merchant's setting: attempt %d", p.Attempt)
		}
		q.IdempotencyKey = "by setting, again"
		r.wants(strict, q, "", CodeOrderPaid)
		for i := range 2 {
			free := r.request(fmt.Sprint("no order ", i), cardOf(banksim.Approve), 1000)
			free.OrderID = ""
			r.wants(strict, free, "alfa", "")
		}
	})
}

// TestOrderRaced: of many attempts at once, under different keys and at two
// banks, one passes, whatever the first came to; in the end one holds money.
func TestOrderRaced(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		const racers = 16
		for round := range 20 {
			does := []banksim.Behaviour{banksim.Approve, banksim.Decline51, banksim.NoAnswer}[round%3]
			order := fmt.Sprint("order ", round)
			made := make([]Payment, racers)
			var wg sync.WaitGroup
			// While the journal syncs for others it gathers: no attempt can see another.
			r.disk.SetFaults(storage.Faults{SyncDelay: func() time.Duration { return 5 * time.Millisecond }})
			for i := range 3 {
				wg.Go(func() {
					r.wants(r.account("one"), r.request(fmt.Sprint("other ", round, i), cardOf(banksim.Approve), 1), "alfa", "")
				})
				r.pass(time.Millisecond)
			}
			for i := range racers {
				q := r.orderTry(fmt.Sprintf("%d %d", round, i), does, false)
				q.OrderID, q.Bank = order, rigBanks[i%2].id
				wg.Go(func() {
					answer, err := r.core.Pay(r.account("two"), q)
					if made[i] = answer.Payment; err != nil && codeOf(err) != CodeOrderInProgress && codeOf(err) != CodeOrderPaid {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			numbers, money := map[uint32]bool{}, 0
			for _, p := range made {
				switch {
				case p.ID.IsZero():
					continue
				case p.Attempt == 0 || numbers[p.Attempt]:
					t.Errorf("round %d: attempt %d twice", round, p.Attempt)
				case p.Status == StatusCaptured || p.Status == StatusUnknown:
					money++
				}
				numbers[p.Attempt] = true
			}
			if len(numbers) == 0 || does != banksim.Decline51 && (len(numbers) != 1 || money != 1) {
				t.Errorf("round %d, %s: %d attempts passed, %d hold money", round, does, len(numbers), money)
			}
		}
	})
}

// TestOrderSurvivesACrashAnywhere cuts the power at each operation of the disk
// while an order is declined and then paid. In the next life the shop tries on
// under new keys: the order is never paid twice.
func TestOrderSurvivesACrashAnywhere(t *testing.T) {
	live := func(r *rig, _ func() bool) {
		for i, does := range []banksim.Behaviour{banksim.Decline51, banksim.Approve} {
			_, _ = r.core.Pay(r.account("one"), r.orderTry(fmt.Sprint("first life ", i), does, false))
		}
	}
	crashes := crashEverywhere(t, live, func(r *rig, at uint64) {
		for i := range 4 {
			_, err := r.core.Pay(r.account("one"), r.orderTry(fmt.Sprint("second life ", i), banksim.Approve, false))
			if code := codeOf(err); err != nil && code != CodeOrderInProgress && code != CodeOrderPaid {
				r.t.Error(err)
			}
			r.pass(time.Minute)
		}
		page, err := r.core.List(r.account("one"), ListQuery{OrderID: "A", Limit: 100})
		if err != nil {
			r.t.Fatal(err)
		}
		paid := 0
		for _, p := range page.Payments {
			if p.Status == StatusCaptured {
				paid++
			}
		}
		if net := r.banks["alfa"].Books().Summary().Currencies["EUR"].Net; paid != 1 || net != 1000 {
			r.t.Errorf("crash %d: %d payments of the order hold money, the bank has %d", at, paid, net)
		}
	})
	if crashes < 10 {
		t.Errorf("only %d crashes", crashes)
	}
}

// crashEverywhere lives a first life as often as it takes to cut the power at
// each of the disk's operations, each time followed by a second life on what was
// synced. It returns how many crashes there were.
func crashEverywhere(t *testing.T, first func(r *rig, alive func() bool), second func(r *rig, at uint64)) (crashes int) {
	t.Helper()
	return crashEverywhereIn(t, func(*rig) {}, first, second)
}

// crashEverywhereIn is crashEverywhere with each rig prepared.
func crashEverywhereIn(t *testing.T, prepare func(*rig), first func(r *rig, alive func() bool), second func(r *rig, at uint64)) (crashes int) {
	t.Helper()
	for at := uint64(1); ; at++ {
		r, more := newRig(t), false
		prepare(r)
		synctest.Test(t, func(t *testing.T) {
			r.t = t
			more = crashOnce(r, at, first, second)
		})
		if !more || t.Failed() {
			return crashes
		}
		crashes++
	}
}

// crashOnce is false when the first life ended before its crash came.
func crashOnce(r *rig, at uint64, first func(*rig, func() bool), second func(*rig, uint64)) bool {
	r.startBanks()
	defer r.close()
	lines := &mortal{net: r.net}
	r.dialer, r.onFatal = lines.Dial, func(error) {}
	r.start()
	r.ready()
	var ops uint64
	var clone *storage.Disk
	var mu sync.Mutex
	r.disk.SetFaults(storage.Faults{OnOp: func(uint64, string, string) {
		mu.Lock()
		defer mu.Unlock()
		if ops++; ops == at {
			clone = r.disk.CrashClone(storage.Crash{Unsynced: storage.DropUnsynced})
			lines.die()
		}
	}})
	first(r, lines.alive)
	if lines.alive() {
		return false
	}
	r.core.Close()
	_ = r.store.Close()
	r.disk, r.core, r.dialer = clone, nil, r.net.Dial
	r.start()
	r.ready()
	second(r, at)
	return true
}
