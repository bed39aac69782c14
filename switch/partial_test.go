package payswitch

import (
	"reflect"
	"testing"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

// partly is a payment of which the bank approves half.
func (r *rig) partly(key, bank string, hold bool) *PayRequest {
	q := r.request(key, cardOf(banksim.PartialApproval), 1001)
	q.Bank, q.ManualCapture, q.Carried = bank, hold, &iso.Carried{AcceptPartial: true}
	return q
}

// TestPartialApprovalAccepted: what follows a partial approval is about the part
// alone, at banks of both kinds and across a restart.
func TestPartialApprovalAccepted(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("two")
		for _, bank := range []string{"alfa", "vega"} {
			p := r.wants(a, r.partly("charge at "+bank, bank, false), bank, "")
			if p.Status != StatusCaptured || p.Amount != 1001 || p.AmountAuthorized != 500 || p.AmountCaptured != 500 || p.ResponseCode != "10" {
				t.Fatalf("%s: %s, %d authorized, %d captured", bank, p.Status, p.AmountAuthorized, p.AmountCaptured)
			}
			if e := r.lastAt(bank); e.Booked != 500 || !e.Carried.AcceptPartial {
				t.Errorf("%s: the bank booked %d, %+v", bank, e.Booked, e.Carried)
			}
			_, err := r.act(a, OperationRequest{Kind: KindRefund, Payment: p.ID, IdempotencyKey: bank + " too much", Amount: 501})
			if codeOf(err) != CodeInvalidState {
				t.Errorf("%s: a refund of more than the part: %v", bank, err)
			}
			done, err := r.act(a, OperationRequest{Kind: KindCancel, Payment: p.ID, IdempotencyKey: bank + " undo", Amount: 0})
			if err != nil || done.Status != OperationSucceeded || done.Method != MethodReversal || done.Amount != 500 {
				t.Errorf("%s: undone by %+v, %v", bank, done, err)
			}
			hold := r.wants(a, r.partly("hold at "+bank, bank, true), bank, "")
			if hold.Status != StatusAuthorized || hold.AmountAuthorized != 500 {
				t.Fatalf("%s: %s, %d authorized", bank, hold.Status, hold.AmountAuthorized)
			}
			r.stop()
			r.start()
			r.ready()
			a = r.account("two")
			if again, err := r.core.Payment(a, PurposePayment, hold.ID); err != nil || !reflect.DeepEqual(again, hold) {
				t.Errorf("%s: after the restart %+v, %v; before %+v", bank, again, err, hold)
			}
			if _, err := r.act(a, OperationRequest{Kind: KindCapture, Payment: hold.ID, IdempotencyKey: bank + " too", Amount: 501}); codeOf(err) != CodeInvalidState {
				t.Errorf("%s: a capture of more than the part: %v", bank, err)
			}
			if done, err := r.act(a, OperationRequest{Kind: KindCapture, Payment: hold.ID, IdempotencyKey: bank + " take", Amount: 0}); err != nil || done.Amount != 500 || done.Status != OperationSucceeded {
				t.Errorf("%s: captured by %+v, %v", bank, done, err)
			}
			void := r.wants(a, r.partly("void at "+bank, bank, true), bank, "")
			if done, err := r.act(a, OperationRequest{Kind: KindCancel, Payment: void.ID, IdempotencyKey: bank + " void", Amount: 0}); err != nil || done.Amount != 500 || done.Method != MethodVoid || done.Status != OperationSucceeded {
				t.Errorf("%s: voided by %+v, %v", bank, done, err)
			}
			if got := r.lastSent(void.ID, 4); got != "000000000500" {
				t.Errorf("%s: the void is of %s", bank, got)
			}
		}
		if money := r.banks["alfa"].Books().Summary().Currencies["EUR"]; money.Charged.Sum-money.Reversed.Sum != 500 {
			t.Errorf("alfa's books: %+v", money)
		}
	})
}

// lastSent is a field of the last message that went out for the payment.
func (r *rig) lastSent(id ID, field int) (value string) {
	r.t.Helper()
	events, err := r.core.Story(id)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range events {
		if e.Message != nil && e.Message.Direction == "sent" {
			for _, f := range e.Message.Fields {
				if f.Number == field {
					value = f.Value
				}
			}
		}
	}
	return value
}

// act does one operation.
func (r *rig) act(a Account, q OperationRequest) (*Operation, error) {
	q.Fingerprint = r.core.Fingerprint("POST", q.IdempotencyKey, nil)
	answer, err := r.core.Operate(a, &q)
	return answer.Operation, err
}

// TestPartialApprovalByRule: the merchant's rule accepts without being asked;
// without rule and wish the part is undone.
func TestPartialApprovalByRule(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		q := r.partly("undone", "alfa", false)
		q.Carried = nil
		p := r.wants(a, q, "alfa", "")
		if p.Status != StatusUnknown || p.Resolution.Reason != "partial_not_accepted" || p.AmountAuthorized != 0 {
			t.Errorf("without a rule: %s %+v", p.Status, p.Resolution)
		}
		a.Merchant.AcceptPartial = true
		q = r.partly("rule", "alfa", false)
		q.Carried = nil
		if p = r.wants(a, q, "alfa", ""); p.Status != StatusCaptured || p.AmountCaptured != 500 || p.Particulars != nil {
			t.Errorf("by the rule: %s, %d captured, %+v", p.Status, p.AmountCaptured, p.Particulars)
		}
		if e := r.lastAt("alfa"); e.Carried == nil || !e.Carried.AcceptPartial {
			t.Errorf("the bank was not told: %+v", e.Carried)
		}
		r.pass(3 * rigResponse)
		if money := r.banks["alfa"].Books().Summary().Currencies["EUR"]; money.Charged.Sum-money.Reversed.Sum != 500 {
			t.Errorf("the books: %+v", money)
		}
	})
}

// TestPartialAmounts: an amount that is no part of what was asked proves nothing.
func TestPartialAmounts(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		b := r.core.order[0]
		for _, c := range []struct {
			amount     string
			approved   bool
			authorized int64
		}{
			{"000000000500", true, 500}, {"000000000001", true, 1}, {"000000001001", true, 0},
			{"000000000000", false, 0}, {"000000001002", false, 0}, {"", false, 0}, {"00000000050", false, 0}, {"0000000005x0", false, 0},
		} {
			w := newWork()
			w.partial, w.values.Amount = true, 1001
			m := new(iso.Message)
			m.MTI = iso.MTIFinancialAnswer
			m.SetString(fieldResponseCode, "10")
			if c.amount != "" {
				m.SetString(4, c.amount)
			}
			w.exchange.Answer = m
			w.holds(b.link.Current())
			got := r.core.outcome(w, acquirers.Answered)
			authorized := int64(0)
			if got.rare != nil {
				authorized = got.rare.authorized
			}
			if got.approved != c.approved || authorized != c.authorized || !c.approved && got.kind != recordUnknown {
				t.Errorf("%q: %s, approved %v, %d authorized", c.amount, got.kind, got.approved, authorized)
			}
		}
	})
}
