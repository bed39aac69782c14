package payswitch

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

func (r *rig) results(q ResultsQuery) (ids []string, page ResultsPage) {
	r.t.Helper()
	page, err := r.core.Results(r.account("one"), q)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range page.Results {
		ids = append(ids, page.Results[i].ID().Text("x"))
	}
	return ids, page
}

// allResults goes through all pages of so many rows.
func (r *rig) allResults(q ResultsQuery) (ids []string) {
	r.t.Helper()
	for pages := 0; ; pages++ {
		some, page := r.results(q)
		ids = append(ids, some...)
		if !page.More {
			return ids
		}
		if q.Cursor = page.Next; pages > 1000 {
			r.t.Fatal("the pages never end")
		}
	}
}

func (r *rig) undo(payment ID, kind OperationKind, key string, amount int64) *Operation {
	r.t.Helper()
	answer, err := r.core.Operate(r.account("one"), &OperationRequest{Payment: payment, Kind: kind, IdempotencyKey: key, Amount: amount})
	if err != nil {
		r.t.Fatal(err)
	}
	return answer.Operation
}

// TestResultsOfAPeriod: payments and operations stand in the order of their
// beginning, each under its own time, on pages of any size, after restarts too.
func TestResultsOfAPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.startBanks()
		r.start()
		defer r.close()
		r.ready()
		var want []string
		var refundsFrom time.Time
		pay := func(i int, card string) ID {
			answer, err := r.core.Pay(r.account("one"), r.request(fmt.Sprint("key-", i), card, 1000))
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, answer.Payment.ID.Text("x"))
			return answer.Payment.ID
		}
		var made []ID
		for i := range 7 {
			made = append(made, pay(i, "4111111111111111"))
		}
		pay(7, "4000000000009995")
		<-time.After(26 * time.Hour) // another bank day
		refundsFrom = time.Now()
		for i, id := range made[:3] {
			want = append(want, r.undo(id, KindRefund, fmt.Sprint("refund-", i), 400).ID.Text("x"))
			want = append(want, r.undo(id, KindCancel, fmt.Sprint("cancel-", i), 0).ID.Text("x"))
			pay(100+i, "4111111111111111")
		}
		if some, _ := r.results(ResultsQuery{Limit: 100}); len(some) != 8 {
			t.Errorf("%d rows at once: want those of the day before", len(some))
		}
		<-time.After(resultsLag + time.Millisecond)
		r.crash()
		r.start()
		r.ready()
		for _, limit := range []int{1, 2, 5, 16, 17, 18, 1000} {
			if got := r.allResults(ResultsQuery{Limit: limit}); !slices.Equal(got, want) {
				t.Errorf("pages of %d give\n%v\nwant\n%v", limit, got, want)
			}
		}
		if got := r.allResults(ResultsQuery{From: refundsFrom, Limit: 4}); !slices.Equal(got, want[8:]) {
			t.Errorf("the second day is %v, want %v", got, want[8:])
		}
		if got := r.allResults(ResultsQuery{To: refundsFrom, Limit: 4}); !slices.Equal(got, want[:8]) {
			t.Errorf("the first day is %v, want %v", got, want[:8])
		}
		if got := r.allResults(ResultsQuery{Status: "declined", Limit: 1}); !slices.Equal(got, want[7:8]) {
			t.Errorf("declined are %v", got)
		}
		if got := r.allResults(ResultsQuery{Status: "succeeded", Limit: 2}); len(got) != 6 {
			t.Errorf("%d operations succeeded: want 6", len(got))
		}
	})
}

// fill writes payments that were declined straight into the journal, one each
// millisecond, the last a minute ago.
func (r *rig) fill(n int) {
	r.t.Helper()
	a := r.account("one")
	currency, _ := iso.ParseCurrency("EUR")
	account := accountDigest(a)
	at := r.core.now().Add(-time.Minute - time.Duration(n)*time.Millisecond)
	var c storage.Command
	for i := range n {
		at = at.Add(time.Millisecond)
		id := newIDSource().next(at)
		in := &intent{way: way{bank: "alfa", rrn: "1", stan: 1}, merchant: "mer_one", amount: 100, currency: currency, orderID: fmt.Sprint("order ", i), localAt: at}
		begun := record{kind: recordIntent, at: at, intent: in}
		done := record{kind: recordAnswered, at: at, responseCode: "51", decline: Decline{Source: "bank", Code: "insufficient_funds", Retry: "later"}}
		c.Append(storage.ID(id), 1, begun.encode(nil))
		c.Append(storage.ID(id), 2, done.encode(nil))
		c.Set(spaceMerchant, append(account[:], id[:]...), nil)
		if i%300 == 299 || i == n-1 {
			if result, err := r.store.Do(&c); err != nil || result.Kind != storage.Applied {
				r.t.Fatal(result, err)
			}
			c.Reset()
		}
	}
}

// costOf is how long fifteen times work keep their processor, to some milliseconds;
// what else the machine does does not count.
func costOf(work func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	spent := func() time.Duration {
		var r syscall.Rusage
		_ = syscall.Getrusage(rusageThread, &r) // cannot fail for a thread that runs
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	start := spent()
	for range 15 {
		work()
	}
	return spent() - start
}

const rusageThread = 1 // RUSAGE_THREAD of getrusage(2)

// TestPagesCostTheirRows: a page of results and a page of the list take no longer
// out of a hundred times as many payments, wherever in them the page begins; and
// a filter that finds nothing ends its page within its budget.
func TestPagesCostTheirRows(t *testing.T) {
	var took [2][3]time.Duration
	for i, n := range []int{300, 30_000} {
		r := newRig(t)
		r.start()
		r.fill(n)
		a := r.account("one")
		middle := idAt(r.core.now().Add(-time.Minute - time.Duration(n/2)*time.Millisecond))
		took[i][0] = costOf(func() { r.results(ResultsQuery{Limit: 100, Cursor: middle}) })
		took[i][1] = costOf(func() { r.results(ResultsQuery{Limit: 100}) })
		took[i][2] = costOf(func() {
			if page, err := r.core.List(a, ListQuery{Limit: 100, Cursor: middle}); err != nil || len(page.Payments) != 100 {
				t.Error(len(page.Payments), err)
			}
		})
		if n == 30_000 {
			pages, examined := 0, ListQuery{Limit: 20, Status: StatusCaptured}
			for more := true; more; pages++ {
				page, err := r.core.List(a, examined)
				if err != nil || len(page.Payments) > 0 {
					t.Fatal(len(page.Payments), err)
				}
				more, examined.Cursor = page.More, page.Next
			}
			if pages != n/scanBudget {
				t.Errorf("a list that finds nothing has %d pages: want %d", pages, n/scanBudget)
			}
			one := costOf(func() { _, _ = r.core.List(a, ListQuery{Limit: 20, Status: StatusCaptured}) })
			t.Logf("fifteen pages of a filter that finds nothing take %s", one)
			if pages := len(r.allPages("captured")); pages != n/scanBudget {
				t.Errorf("results that find nothing have %d pages: want %d", pages, n/scanBudget)
			}
		}
		r.close()
	}
	t.Logf("fifteen pages of 100 rows: results from the middle, from the oldest, list from the middle: %v of 300, %v of 30000", took[0], took[1])
	for i := range took[0] {
		if took[1][i] > 10*took[0][i]+400*time.Millisecond {
			t.Errorf("fifteen pages %d take %s out of 300 payments and %s out of 30000", i, took[0][i], took[1][i])
		}
	}
}

// allPages are the pages of a filter.
func (r *rig) allPages(status string) (pages []ResultsPage) {
	q := ResultsQuery{Status: status, Limit: 20}
	for {
		_, page := r.results(q)
		pages = append(pages, page)
		if !page.More {
			return pages
		}
		q.Cursor = page.Next
	}
}
