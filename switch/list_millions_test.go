package payswitch

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

var listJournal = flag.Int("switch.journal", 0, "payments in the journal of TestListPageOfMillions; 0: it is skipped")

// listLimit is what a page may take in the worst of a hundred readings.
const listLimit = 20 * time.Millisecond

// TestListPageOfMillions reads pages out of a journal on the real disk, in which
// every other payment is refunded:
//
//	go test ./switch -run TestListPageOfMillions -switch.journal=10000000 -timeout 60m -v
//
// A million payments take some 0.2 GB of the temporary folder, which go with the test.
func TestListPageOfMillions(t *testing.T) {
	n := *listJournal
	if n == 0 {
		t.Skip("it asks for gigabytes: see -switch.journal")
	}
	r := newRig(t)
	dir := t.TempDir()
	var err error
	if r.store, err = storage.Open(storage.Options{Dir: dir, CheckAtOpen: -1, ScrubRate: -1}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.store.Close() }()
	if r.core, err = New(r.options(r.store)); err == nil {
		err = r.core.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.core.Close()
	begin := time.Now()
	from := begin.Add(-time.Hour - time.Duration(n)*time.Millisecond)
	r.fillMillions(n, from)
	t.Logf("%d payments were written in %s", n, time.Since(begin).Round(time.Second))
	a, middle := r.account("one"), idAt(from.Add(time.Duration(n/2)*time.Millisecond))
	for _, page := range []struct {
		name string
		q    ListQuery
	}{
		{"newest 20", ListQuery{Limit: 20}}, {"newest 100", ListQuery{Limit: 100}}, {"100 from the middle", ListQuery{Limit: 100, Cursor: middle}},
		{"100 of a minute", ListQuery{Limit: 100, CreatedFrom: from.Add(time.Minute), CreatedTo: from.Add(2 * time.Minute)}},
		{"100 refunded from the middle", ListQuery{Limit: 100, Cursor: middle, Status: StatusRefunded}},
		{"all of an order", ListQuery{Limit: 20, OrderID: fmt.Sprint("order ", n/2)}},
	} {
		var took []time.Duration
		for range 100 {
			start := time.Now()
			got, err := r.core.List(a, page.q)
			if took = append(took, time.Since(start)); err != nil || len(got.Payments) == 0 {
				t.Fatal(page.name, len(got.Payments), err)
			}
		}
		slices.Sort(took)
		t.Logf("%-30s least %s, median %s, 99 of 100 within %s", page.name, took[0], took[50], took[98])
		if took[50] > listLimit {
			t.Errorf("%s takes %s, limit %s", page.name, took[50], listLimit)
		}
	}
}

// fillChunk is how many payments one command of fillMillions writes.
const fillChunk = 150

// fillMillions writes n captured payments a millisecond apart, of which every
// other is refunded, with the list entries that the walk of a payment writes.
func (r *rig) fillMillions(n int, from time.Time) {
	r.t.Helper()
	chunks := make(chan int, 8)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			var f filler
			f.currency, _ = iso.ParseCurrency("EUR")
			f.account, f.ids = accountDigest(r.account("one")), newIDSource()
			for first := range chunks {
				for i := first; i < min(first+fillChunk, n); i++ {
					f.payment(i, from.Add(time.Duration(i)*time.Millisecond))
				}
				if result, err := r.store.Do(&f.cmd); err != nil || result.Kind != storage.Applied {
					r.t.Error(result, err)
				}
				f.cmd.Reset()
			}
		})
	}
	for first := 0; first < n && !r.t.Failed(); first += fillChunk {
		chunks <- first
	}
	close(chunks)
	all.Wait()
}

// filler writes payments without a bank. Not goroutine-safe.
type filler struct {
	cmd      storage.Command
	body     []byte
	ids      *idSource
	account  [8]byte
	currency iso.Currency
}

func (f *filler) put(id ID, version uint32, r *record) {
	f.body = r.encode(f.body[:0])
	f.cmd.Append(storage.ID(id), version, f.body)
}

func (f *filler) payment(i int, at time.Time) {
	id, sealed := f.ids.next(at), make([]byte, 60)
	in := &intent{way: way{bank: "alfa", rrn: fmt.Sprintf("%012d", i), stan: iso.STAN(i % 1e6), terminal: "TERM0001", bankMerchant: "MERCHANT0000001", sentAt: at},
		merchant: "mer_one", amount: 1000, currency: f.currency, orderID: fmt.Sprint("order ", i), localAt: at, sealedPAN: sealed}
	f.put(id, 1, &record{kind: recordIntent, at: at, intent: in})
	f.put(id, 2, &record{kind: recordAnswered, at: at, approved: true, responseCode: "00", approvalCode: "A1B2C3", message: sealed})
	f.cmd.Set(spaceMerchant, append(f.account[:], id[:]...), nil)
	order := orderDigest(f.account, in.orderID)
	f.cmd.Set(spaceOrder, append(order[:], id[:]...), nil)
	if i%2 == 1 {
		return
	}
	b := &begun{id: f.ids.next(at), kind: KindRefund, method: MethodRefund, request: true, amount: 1000, rrn: fmt.Sprintf("9%011d", i), stan: 1, sentAt: at, localAt: at}
	f.put(id, 3, &record{kind: recordOperation, at: at, begun: b})
	f.put(id, 4, &record{kind: recordOperationAnswered, op: 1, attempt: 1, verdict: iso.ReversalDone, at: at, responseCode: "00", message: sealed})
}
