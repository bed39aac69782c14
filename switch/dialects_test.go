package payswitch

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

// In every built-in dialect a payment goes the whole way to the simulated bank, and all that may follow it.
func TestEveryDialectEndToEnd(t *testing.T) {
	for _, name := range iso.Builtins() {
		t.Run(name, func(t *testing.T) {
			d, err := iso.Builtin(name)
			if err != nil {
				t.Fatal(err)
			}
			endToEnd(t, d)
		})
	}
}

// A tenth bank is a file: EBCDIC, another frame, a reversal request with the original's trace number, holds and charges
// that are undone whole, no totals. The real binary speaks it, too, in cmd/tranzit.
func TestABankByAFileAlone(t *testing.T) {
	file := filepath.Join("..", "iso", "testdata", "tenth.yaml")
	problems, err := iso.LintFile(file)
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v %v", problems, err)
	}
	d, err := iso.Resolve(file)
	if err != nil {
		t.Fatal(err)
	}
	endToEnd(t, d)
}

// now is how the payment stands.
func (r *rig) now(id ID) Payment {
	r.t.Helper()
	p, err := r.core.AnyPayment(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// endToEnd lets a switch and a simulated bank speak d: a charge, declines, a charge in doubt that is reversed, one that is
// canceled, a hold that is captured, a refund; the bank's books agree in the end.
func endToEnd(t *testing.T, d *iso.Dialect) {
	r := newRig(t)
	r.spoken = d
	inThisRig(t, r, func() {
		a, code := r.account("one"), func(mti iso.MTI, common string) string { return d.CodeLike(mti.Response(), common) }
		asked := d.MTI(iso.OpPurchase)
		pay := func(key string, does banksim.Behaviour, amount int64, hold bool) Payment {
			t.Helper()
			q := r.request(key, cardOf(does), amount)
			q.ManualCapture = hold
			return r.wants(a, q, "alfa", "")
		}
		bought := pay("bought", banksim.Approve, 12500, false)
		if bought.Status != StatusCaptured || bought.ResponseCode != code(asked, "00") || len(bought.ApprovalCode) != 6 {
			t.Errorf("a charge is %s with code %q", bought.Status, bought.ResponseCode)
		}
		for does, want := range map[banksim.Behaviour]string{banksim.Decline51: "insufficient_funds", banksim.Decline54: "expired_card", banksim.Decline43: "stolen_card"} {
			if p := pay(want, does, 700, false); p.Status != StatusDeclined || p.Decline.Code != want {
				t.Errorf("%s: %s %+v", does, p.Status, p.Decline)
			}
		}
		doubtful := pay("doubtful", banksim.ChargedWithoutAnswer, 900, false)
		if doubtful.Status != StatusUnknown {
			t.Errorf("unanswered it is %s", doubtful.Status)
		}
		r.pass(time.Minute)
		if p := r.now(doubtful.ID); p.Status != StatusReversed {
			t.Errorf("in the end it is %s\n%s", p.Status, r.story(doubtful.ID))
		}
		act := func(p Payment, kind OperationKind, amount int64) *Operation {
			t.Helper()
			o, err := r.act(a, OperationRequest{Payment: p.ID, Kind: kind, IdempotencyKey: fmt.Sprint(kind, p.ID), Amount: amount})
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			r.pass(time.Minute)
			return o
		}
		left, refunded := int64(12500), int64(0)
		if d.Supports(iso.OpRefund) {
			act(bought, KindRefund, 2500)
			left, refunded = left-2500, 2500
		}
		if p := r.now(bought.ID); p.AmountRefunded != refunded {
			t.Errorf("%d is refunded, want %d\n%s", p.AmountRefunded, refunded, r.story(bought.ID))
		}
		undone := pay("undone", banksim.Approve, 4000, false)
		act(undone, KindCancel, 0)
		if p := r.now(undone.ID); p.Status != StatusCanceled && p.Status != StatusRefunded {
			t.Errorf("canceled it is %s\n%s", p.Status, r.story(undone.ID))
		}
		if d.PartialVoid() {
			part := pay("part", banksim.Approve, 5000, false)
			o := act(part, KindCancel, 2000)
			if p := r.now(part.ID); o.Method != MethodPartialReversal || p.AmountCaptured-p.AmountRefunded != 3000 {
				t.Errorf("canceled in part it is %s, %d refunded of %d\n%s", p.Status, p.AmountRefunded, p.AmountCaptured, r.story(part.ID))
			}
			left += 3000
		}
		if d.Supports(iso.OpAuthorization) {
			hold := pay("hold", banksim.Approve, 6000, true)
			act(hold, KindCapture, 0)
			if p := r.now(hold.ID); p.Status != StatusCaptured || p.AmountCaptured != 6000 {
				t.Errorf("a hold is %s with %d\n%s", p.Status, p.AmountCaptured, r.story(hold.ID))
			}
			left += 6000
		}
		r.bankHolds(left)
	})
}

// bankHolds compares the bank's own books with what must be left there.
func (r *rig) bankHolds(left int64) {
	r.t.Helper()
	if money := r.banks["alfa"].Books().Summary(); money.Currencies["EUR"].Net != left || money.Conflicts != 0 {
		r.t.Errorf("the bank holds %d, want %d: %+v", money.Currencies["EUR"].Net, left, money)
	}
}
