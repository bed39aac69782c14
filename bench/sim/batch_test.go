package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// load is a batch that a merchant hands in, of operations on payments that it
// knows by then.
type load struct {
	merchant int
	at       time.Duration
	rows     int
	parallel int
	dice     uint64

	once sync.Once
	what []payswitch.BatchRow // composed at the first request
	id   payswitch.ID         // told; zero: the merchant knows nothing
	lost bool                 // some request got no sure answer
}

// reset makes a load one that nobody handed in yet.
func (l *load) reset() { l.once, l.what, l.id, l.lost = sync.Once{}, nil, payswitch.ID{}, false }

func (l *load) key() string { return fmt.Sprint("batch-", l.merchant) }

// loaded is a batch at the end, with its rows.
type loaded struct {
	payswitch.Batch
	load *load
	rows []payswitch.BatchedRow
}

// drawLoads gives merchants their batches.
func (p *plan) drawLoads(r *rand.Rand) {
	if p.faults&batches == 0 {
		return
	}
	for m := range secrets {
		if l := (&load{merchant: m, at: between(r, 400*time.Millisecond, 2500*time.Millisecond), rows: 2 + r.IntN(5), parallel: 1, dice: r.Uint64()}); oneIn(r, 2) {
			if p.faults&repeats != 0 {
				l.parallel = 2
			}
			p.loads = append(p.loads, l)
		}
	}
}

// compose writes the rows: they name payments that the merchant was told of.
func (w *world) compose(l *load) {
	r := stream(w.seed, l.dice)
	var known []payswitch.ID
	var sums []int64
	for _, o := range w.orders {
		if id, ok := w.paymentOf(o); ok && o.merchant == l.merchant && o.purpose == payswitch.PurposePayment {
			known, sums = append(known, id), append(sums, o.amount)
		}
	}
	for range l.rows {
		if len(known) == 0 {
			return
		}
		n := r.IntN(len(known))
		row := payswitch.BatchRow{Payment: known[n], Kind: []payswitch.RowKind{payswitch.RowCapture, payswitch.RowRefund, payswitch.RowRefund,
			payswitch.RowCancel}[r.IntN(4)]}
		if !oneIn(r, 3) {
			row.Amount = 1 + r.Int64N(sums[n]/2)
		}
		l.what = append(l.what, row)
	}
}

// hand gives a batch to whoever runs until it is accepted.
func (w *world) hand(l *load) {
	pass(l.at)
	for try := range 8 {
		n := 1
		if try == 0 {
			n = l.parallel
		}
		var all sync.WaitGroup
		for range n {
			all.Go(func() { w.handOnce(l) })
		}
		all.Wait()
		w.mu.Lock()
		done := !l.id.IsZero()
		w.mu.Unlock()
		if done {
			break
		}
		pass(100 * time.Millisecond << min(try, 4))
	}
}

// lastLoads: merchants who do not know whether their batch was accepted ask again.
func (w *world) lastLoads() {
	for _, l := range w.loads {
		for try := 0; l.lost && l.id.IsZero() && try < 3 && w.alive() != nil; try++ {
			w.handOnce(l)
		}
	}
}

func (w *world) handOnce(l *load) {
	i := w.visit()
	if i == nil {
		return
	}
	defer i.guests.Done()
	l.once.Do(func() { w.compose(l) })
	if len(l.what) == 0 {
		return
	}
	account, _ := i.core.Authenticate([]byte(secrets[l.merchant]))
	body, err := json.Marshal(l.what)
	if err != nil {
		panic(err)
	}
	b, replayed, err := i.core.CreateBatch(account, &payswitch.BatchRequest{IdempotencyKey: l.key(), RequestID: "req_sim", Rows: l.what,
		Fingerprint: i.core.Fingerprint("POST", "/v1/batches", body)})
	answered := i.answering()
	w.note("shop %s at %d: answered=%v %s %v", l.key(), i.n, answered, b.ID.Text(payswitch.BatchPrefix), err)
	w.mu.Lock()
	defer w.mu.Unlock()
	var refusal *payswitch.Refusal
	var bad *payswitch.BadRows
	switch {
	case !answered || errors.As(err, &refusal) && refusal.Code == payswitch.CodeInternal:
		l.lost = true
	case errors.As(err, &bad):
		w.seen["batch_refused"]++
	case err != nil:
	case !l.id.IsZero() && l.id != b.ID:
		w.bad = append(w.bad, violation{6, fmt.Sprintf("key %s has two batches: %s and %s", l.key(), l.id.Text(payswitch.BatchPrefix), b.ID.Text(payswitch.BatchPrefix))})
	default:
		if l.id = b.ID; replayed {
			w.seen["batch_replayed"]++
		}
	}
}

// loadsEnded reports whether every batch of the journal has ended.
func (i *instance) loadsEnded() bool {
	for _, l := range i.w.loads {
		account, _ := i.core.Authenticate([]byte(secrets[l.merchant]))
		page, err := i.core.Batches(account, 100, payswitch.ID{})
		if err != nil {
			return false
		}
		for _, b := range page.Batches {
			if b.EndedAt.IsZero() {
				return false
			}
		}
	}
	return true
}

// unload reads all batches with their rows.
func (i *instance) unload() (all []*loaded) {
	for _, l := range i.w.loads {
		account, _ := i.core.Authenticate([]byte(secrets[l.merchant]))
		page, err := i.core.Batches(account, 100, payswitch.ID{})
		for _, b := range page.Batches {
			rows, more, problem := i.core.BatchRows(account, b.ID, payswitch.BatchQuery{Limit: payswitch.MaxBatchPage})
			if err = errors.Join(err, problem); more {
				err = errors.New("there are more rows than were handed in")
			}
			all = append(all, &loaded{Batch: b, load: l, rows: rows})
		}
		if err != nil && !i.dead.Load() {
			i.w.broken(19, "the batches of %s: %v", merchantID(l.merchant), err)
		}
	}
	return all
}

// rowsDone: a merchant's batch is there once and whole, each of its rows has one
// result, and what a row did is what it asked for. It notes in told whose the
// operations are.
func (e *evidence) rowsDone(told map[string]string) {
	batches := map[*load]int{}
	for _, b := range e.loaded {
		name := b.ID.Text(payswitch.BatchPrefix)
		if batches[b.load]++; batches[b.load] > 1 {
			e.broken(6, "key %s has two batches", b.load.key())
		}
		if len(b.rows) != len(b.load.what) || b.Rows != len(b.rows) {
			e.broken(2, "%s has %d rows of %d", name, len(b.rows), len(b.load.what))
			continue
		}
		if b.EndedAt.IsZero() || b.Queued() != 0 {
			e.broken(19, "%s has not ended: %+v", name, b.Counts)
		}
		e.hit("batch_ended")
		for _, i := range e.past[1:] {
			if e.after(b.EndedAt, i) && !e.after(b.CreatedAt, i) {
				e.hit("batch_over_a_crash")
			}
		}
		for n := range b.rows {
			e.rowDone(b, n, told)
		}
	}
	for _, l := range e.loads {
		if e.live != nil && !l.id.IsZero() && batches[l] == 0 {
			e.broken(2, "%s was told of %s, and the journal does not know it", l.key(), l.id.Text(payswitch.BatchPrefix))
		}
	}
}

func (e *evidence) rowDone(b *loaded, n int, told map[string]string) {
	row, asked := &b.rows[n], &b.load.what[n]
	name := fmt.Sprintf("row %d of %s", row.Row, b.ID.Text(payswitch.BatchPrefix))
	e.hit("row_" + row.Result.Status)
	if row.Row != n+1 || row.BatchRow != *asked {
		e.broken(9, "%s is %+v, not %+v", name, row.BatchRow, *asked)
	}
	if row.Result.Status != "done" {
		return
	}
	kind := payswitch.KindRefund
	if row.Result.Object == "capture" {
		kind = payswitch.KindCapture
	} else if row.Result.Object == "cancel" {
		kind = payswitch.KindCancel
	}
	o := e.byOperation[row.Result.ID.Text(kind.Prefix())]
	switch {
	case o == nil:
		e.broken(2, "%s did %s, which the journal does not know", name, row.Result.ID.Text(kind.Prefix()))
		return
	case told[o.id] != "":
		e.broken(9, "%s is the answer to %s and to %s", o.id, name, told[o.id])
	case o.of.ID != asked.Payment || asked.Amount > 0 && o.amount != asked.Amount || o.kind != row.Result.Object:
		e.broken(9, "%s asked for %+v and did a %s of %d, %s", name, *asked, o.kind, o.amount, o.id)
	case row.Result.Outcome != o.first:
		e.broken(2, "%s was told %s and the journal says otherwise: %s", name, row.Result.Outcome, o.story())
	}
	if told[o.id] = name; len(o.of.operations) > 1 {
		e.hit("row_of_a_payment_with_other_operations")
	}
}
