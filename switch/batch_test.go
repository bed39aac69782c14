package payswitch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/storage"
)

// inBubble runs a rig with its banks from start to end.
func inBubble(t *testing.T, life func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.startBanks()
		r.start()
		defer r.close()
		r.ready()
		life(t, r)
	})
}

// paid is a payment that only holds, or one that is charged.
func (r *rig) paid(key string, manual bool) Payment {
	r.t.Helper()
	p := r.request(key, cardOf(banksim.Approve), 1000)
	p.ManualCapture = manual
	answer, err := r.core.Pay(r.account("two"), p)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer.Payment
}

func (r *rig) batch(key string, rows ...BatchRow) (Batch, error) {
	body, _ := json.Marshal(rows)
	b, _, err := r.core.CreateBatch(r.account("two"), &BatchRequest{IdempotencyKey: key, Fingerprint: r.core.Fingerprint("POST", "/v1/batches", body), Rows: rows})
	return b, err
}

// ended waits for a batch and tells its rows: "1 done refund succeeded".
func (r *rig) ended(id ID) (Batch, []string) {
	r.t.Helper()
	b, err := r.core.WaitBatch(r.account("two"), id, 48*time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	rows, more, err := r.core.BatchRows(r.account("two"), id, BatchQuery{Limit: MaxBatchPage})
	if err != nil || more {
		r.t.Fatal(more, err)
	}
	var told []string
	for _, row := range rows {
		x := row.Result
		line := fmt.Sprintf("%d %s %s %s", row.Row, x.Status, x.Object, x.Outcome)
		if x.Refusal != nil {
			line += string(x.Refusal.Code)
		}
		told = append(told, strings.Join(strings.Fields(line), " "))
	}
	return b, told
}

// TestBatchRuns does every kind of row, those of one payment in their order, and
// tells what came of each.
func TestBatchRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		hold, charge, other := r.paid("hold", true), r.paid("charge", false), r.paid("other", true)
		token := r.saved(r.account("two"), "anna", cardOf(banksim.Approve)).ID
		rows := []BatchRow{
			{Kind: RowCapture, Payment: hold.ID, Amount: 600, Final: true},
			{Kind: RowRefund, Payment: hold.ID, Amount: 500, Reason: "returned"},
			{Kind: RowRefund, Payment: hold.ID, Amount: 500},
			{Kind: RowCancel, Payment: other.ID},
			{Kind: RowRefund, Payment: charge.ID, Amount: 1},
			{Kind: RowPayment, Token: token, Amount: 77, Currency: "EUR", OrderID: "sub-1", Customer: "anna", Initiator: "merchant"},
		}
		before := r.core.now()
		b, err := r.batch("b1", rows...)
		if err != nil || b.Queued() != len(rows) || b.Status() != "processing" {
			t.Fatalf("%+v, %v", b, err)
		}
		end, told := r.ended(b.ID)
		want := "1 done capture succeeded; 2 done refund succeeded; 3 refused invalid_state; 4 done cancel succeeded; 5 done refund succeeded; 6 done payment captured"
		if got := strings.Join(told, "; "); got != want {
			t.Errorf("rows\n %s, want\n %s", got, want)
		}
		if end.Status() != "completed" || end.Counts != (BatchCounts{Succeeded: 5, Refused: 1}) || end.EndedAt.Sub(before) > time.Minute {
			t.Errorf("ended as %s: %+v", end.Status(), end)
		}
		again, err := r.batch("b1", rows...)
		if err != nil || again != b {
			t.Errorf("the repeat is %+v, %v; first %+v", again, err, b)
		}
		if _, err := r.batch("b1", rows[0]); err == nil || err.(*Refusal).Code != CodeKeyReused {
			t.Errorf("the key with other rows: %v", err)
		}
		if _, err := r.batch("hold", rows[0]); err == nil || err.(*Refusal).Code != CodeKeyReused {
			t.Errorf("the key of a payment: %v", err)
		}
		refused, more, err := r.core.BatchRows(r.account("two"), b.ID, BatchQuery{Limit: 1, Status: "refused"})
		if err != nil || more || len(refused) != 1 || refused[0].Row != 3 {
			t.Errorf("refused rows %+v, %v, %v", refused, more, err)
		}
		if _, err := r.core.Batch(r.account("one"), b.ID); err != errNoBatch {
			t.Errorf("another merchant reads it: %v", err)
		}
		if _, err := r.core.CancelBatch(r.account("two"), b.ID); err == nil || err.(*Refusal).Code != CodeInvalidState {
			t.Errorf("canceled after its end: %v", err)
		}
	})
}

// TestBatchIsAllOrNothing: one bad row, and no row runs or is recorded.
func TestBatchIsAllOrNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		charge, gone := r.paid("charge", false), r.paid("gone", true)
		if _, err := r.core.Operate(r.account("two"), &OperationRequest{Payment: gone.ID, Kind: KindCancel, IdempotencyKey: "c"}); err != nil {
			t.Fatal(err)
		}
		foreign, err := r.core.Pay(r.account("one"), r.request("foreign", cardOf(banksim.Approve), 10))
		if err != nil {
			t.Fatal(err)
		}
		token := r.saved(r.account("two"), "anna", cardOf(banksim.Approve)).ID
		pay := func(change func(*BatchRow)) BatchRow {
			row := BatchRow{Kind: RowPayment, Token: token, Amount: 5, Currency: "EUR"}
			change(&row)
			return row
		}
		_, err = r.batch("b1", []BatchRow{
			{Kind: RowRefund, Payment: charge.ID},
			{Kind: RowRefund, Payment: foreign.Payment.ID},
			{Kind: RowCapture, Payment: gone.ID},
			pay(func(*BatchRow) {}),
			pay(func(p *BatchRow) { p.Token[3]++ }),
			pay(func(p *BatchRow) { p.Customer = "boris" }),
			pay(func(p *BatchRow) { p.Bank = "nobody" }),
		}...)
		var bad *BadRows
		if !errors.As(err, &bad) {
			t.Fatal(err)
		}
		var got []string
		for _, f := range bad.Faults {
			got = append(got, fmt.Sprintf("%d %s %s", f.Row, f.Refusal.Pointer, f.Refusal.Code))
		}
		want := "2 /payment_id not_found; 3 /payment_id invalid_state; 5 /token unknown_token; 6 /token unknown_token; 7 /bank unknown_bank"
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("faults\n %s, want\n %s", s, want)
		}
		n := 0
		if err := r.store.Scan(storage.Range{Space: spaceBatch}, func(_, _ []byte) bool { n++; return true }); err != nil || n > 0 {
			t.Errorf("%d entries of a batch that was refused, %v", n, err)
		}
		if p, err := r.core.Payment(r.account("two"), PurposePayment, charge.ID); err != nil || p.AmountRefunded != 0 {
			t.Errorf("a row ran: %+v, %v", p, err)
		}
	})
}

// TestBatchWaitsForItsBank: rows that a bank has no line for are tried again, and
// a cancel stops those that did not begin. The next batch then runs.
func TestBatchWaitsForItsBank(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		charge := r.paid("charge", false)
		_ = r.banks["alfa"].Close()
		time.Sleep(time.Second)
		b, err := r.batch("b1", BatchRow{Kind: RowRefund, Payment: charge.ID, Amount: 1}, BatchRow{Kind: RowRefund, Payment: charge.ID, Amount: 2})
		if err != nil {
			t.Fatal(err)
		}
		next, err := r.batch("b2", BatchRow{Kind: RowRefund, Payment: charge.ID, Amount: 4})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if now, err := r.core.Batch(r.account("two"), b.ID); err != nil || now.Queued() != 2 {
			t.Errorf("without a bank: %+v, %v", now, err)
		}
		stopped, err := r.core.CancelBatch(r.account("two"), b.ID)
		if err != nil || stopped.CanceledAt.IsZero() {
			t.Errorf("%+v, %v", stopped, err)
		}
		end, told := r.ended(b.ID)
		if s := strings.Join(told, "; "); s != "1 canceled; 2 canceled" || end.Status() != "canceled" || end.Counts.Canceled != 2 {
			t.Errorf("ended as %s: %s", end.Status(), s)
		}
		if again, err := r.core.CancelBatch(r.account("two"), b.ID); err != nil || again != end {
			t.Errorf("canceled again: %+v, %v", again, err)
		}
		if end, told = r.ended(next.ID); told[0] != "1 refused bank_unavailable" || end.EndedAt.Sub(end.CreatedAt) < batchPatience {
			t.Errorf("the next ended after %s with %v", end.EndedAt.Sub(end.CreatedAt), told)
		}
	})
}

// TestBatchSurvivesACrashAnywhere cuts the power at each operation of the disk from
// the acceptance on. In the next life the request is repeated; each row has then
// happened once, whatever was recorded of it before.
func TestBatchSurvivesACrashAnywhere(t *testing.T) {
	crashes := 0
	for at := uint64(1); ; at++ {
		more := false
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.startBanks()
			defer r.close()
			more = batchCrash(r, at)
		})
		if !more || t.Failed() {
			break
		}
		crashes++
	}
	if crashes < 10 {
		t.Errorf("only %d crashes", crashes)
	}
}

func batchCrash(r *rig, at uint64) bool {
	first := &mortal{net: r.net}
	r.dialer, r.onFatal = first.Dial, func(error) {}
	r.start()
	r.ready()
	charge, token := r.paid("charge", false), r.saved(r.account("two"), "anna", cardOf(banksim.Approve)).ID
	rows := []BatchRow{{Kind: RowPayment, Token: token, Amount: 7, Currency: "EUR", OrderID: "sub"}}
	for i := range 9 {
		rows = append(rows, BatchRow{Kind: RowRefund, Payment: charge.ID, Amount: 10 + int64(i)})
	}
	var clone *storage.Disk
	ops := make(chan struct{}, 1)
	ops <- struct{}{}
	n := uint64(0)
	r.disk.SetFaults(storage.Faults{OnOp: func(uint64, string, string) {
		<-ops
		if n++; n == at {
			clone = r.disk.CrashClone(storage.Crash{Unsynced: storage.DropUnsynced})
			first.die()
		}
		ops <- struct{}{}
	}})
	told, toldErr := r.batch("b", rows...)
	if toldErr == nil && first.alive() {
		_, _ = r.core.WaitBatch(r.account("two"), told.ID, 5*time.Minute)
	}
	if first.alive() {
		return false
	}
	r.core.Close()
	_ = r.store.Close()
	r.disk, r.core, r.dialer = clone, nil, r.net.Dial
	r.start()
	r.ready()
	b, err := r.batch("b", rows...)
	if err != nil || toldErr == nil && first.alive() && b != told {
		r.t.Fatalf("crash at %d: accepted as %+v, then %+v, %v", at, told, b, err)
	}
	end, lines := r.ended(b.ID)
	time.Sleep(5 * time.Minute)
	refunds := int64(0)
	p, list, err := r.core.Refunds(r.account("two"), charge.ID)
	for _, o := range list {
		if o.Status == OperationSucceeded {
			refunds += o.Amount
		}
	}
	page, listErr := r.core.List(r.account("two"), ListQuery{OrderID: "sub", Limit: 10})
	if err != nil || listErr != nil || len(page.Payments) != 1 || len(list) != 9 || p.AmountRefunded != refunds || end.Queued() != 0 {
		r.t.Fatalf("crash at %d: %d payments, %d refunds of %d and %d, %+v\n%s", at, len(page.Payments), len(list), refunds, p.AmountRefunded, end, strings.Join(lines, "\n"))
	}
	p.AmountCaptured += page.Payments[0].AmountCaptured
	agree(r, "alfa", &p)
	open := 0
	if err := r.store.Scan(storage.Range{Space: spaceBatch, Prefix: []byte{batchOpen}}, func(_, _ []byte) bool { open++; return true }); err != nil || open > 0 {
		r.t.Errorf("crash at %d: %d batches are open, %v", at, open, err)
	}
	return true
}
