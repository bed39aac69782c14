package payswitch

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// receipted lets both merchants' buyers have receipts.
func receipted(t *testing.T, body func(*testing.T, *rig)) {
	t.Helper()
	inRig(t, func(t *testing.T, r *rig) {
		r.stop()
		r.adjust = func(o *Options) {
			for i := range o.Merchants {
				o.Merchants[i].Receipts, o.Merchants[i].Language = true, "es"
			}
		}
		r.start()
		r.ready()
		body(t, r)
	})
}

// wantReceipts compares the letters that are owed, in their order: template, amount.
func (r *rig) wantReceipts(what string, want ...string) {
	r.t.Helper()
	var got []string
	for _, y := range r.owed() {
		var data ReceiptData
		if err := json.Unmarshal(y.Data, &data); err != nil {
			r.t.Error(err)
		}
		got = append(got, fmt.Sprint(y.Template, " ", data.Amount, " ", y.Language))
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func (r *rig) mailed(key string, does banksim.Behaviour, manual bool) *PayRequest {
	q := r.request(key, cardOf(does), 1000)
	q.CustomerEmail, q.ManualCapture = "anna@shop.example", manual
	return q
}

// TestReceipts: a buyer is told of what is proven, once, in the step that proves it,
// and of nothing else.
func TestReceipts(t *testing.T) {
	receipted(t, func(t *testing.T, r *rig) {
		two := r.account("two")
		for _, does := range []banksim.Behaviour{banksim.Decline05, banksim.NoAnswer, banksim.LateAnswer} {
			if _, err := r.core.Pay(two, r.mailed(fmt.Sprint("no ", does), does, false)); err != nil {
				t.Fatal(err)
			}
		}
		silent := r.mailed("silent", banksim.Approve, false)
		silent.CustomerEmail = ""
		if _, err := r.core.Pay(two, silent); err != nil {
			t.Fatal(err)
		}
		r.wantReceipts("what is not proven, and a buyer without an address")
		r.pass(5 * time.Minute)
		r.wantReceipts("what was reversed")

		for range 2 {
			if _, err := r.core.Pay(two, r.mailed("paid", banksim.Approve, false)); err != nil {
				t.Fatal(err)
			}
		}
		r.wantReceipts("a repeat of one payment", "receipt_paid 1000 es")
		y := r.owed()[0]
		var data ReceiptData
		if err := json.Unmarshal(y.Data, &data); err != nil || y.To != "anna@shop.example" || data.Shop != "RIG" || data.Order != "order-paid" || data.Approval == "" ||
			data.Card[len(data.Card)-4:] != cardOf(banksim.Approve)[12:] || data.Currency != "EUR" || data.Payment[:4] != "pay_" {
			t.Errorf("%+v %+v, %v", y, data, err)
		}
		r.crash()
		r.start()
		r.ready()
		r.wantReceipts("after a power cut", "receipt_paid 1000 es")
	})
}

// TestReceiptsOfSteps: each capture, refund and cancel tells itself.
func TestReceiptsOfSteps(t *testing.T) {
	receipted(t, func(t *testing.T, r *rig) {
		two := r.account("two")
		do := func(key string, kind OperationKind, id ID, amount int64) {
			t.Helper()
			q := &OperationRequest{IdempotencyKey: key, Payment: id, Kind: kind, Amount: amount}
			for range 2 {
				if _, err := r.core.Operate(two, q); err != nil {
					t.Fatal(key, err)
				}
			}
			r.pass(time.Minute)
		}
		held, err := r.core.Pay(two, r.mailed("held", banksim.Approve, true))
		if err != nil {
			t.Fatal(err)
		}
		r.wantReceipts("a hold")
		do("capture", KindCapture, held.Payment.ID, 700)
		r.wantReceipts("a capture", "receipt_paid 700 es")
		do("refund", KindRefund, held.Payment.ID, 200)
		r.wantReceipts("a refund", "receipt_paid 700 es", "receipt_refunded 200 es")
		other, err := r.core.Pay(two, r.mailed("other", banksim.Approve, true))
		if err != nil {
			t.Fatal(err)
		}
		do("cancel", KindCancel, other.Payment.ID, 0)
		r.wantReceipts("a cancel", "receipt_paid 700 es", "receipt_refunded 200 es", "receipt_canceled 1000 es")
		doubt, err := r.core.Pay(two, r.mailed("doubt", banksim.RefundUnanswered, false))
		if err != nil {
			t.Fatal(err)
		}
		before := len(r.owed())
		if _, err := r.core.Operate(two, &OperationRequest{IdempotencyKey: "in doubt", Payment: doubt.Payment.ID, Kind: KindRefund, Amount: 100}); err != nil {
			t.Fatal(err)
		}
		if n := len(r.owed()); n != before {
			t.Errorf("a refund in doubt made %d letters", n-before)
		}
	})
}

// TestReceiptOfASession: the session asks for it, in its language.
func TestReceiptOfASession(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one := r.account("one")
		for i, receipt := range []bool{true, false} {
			c, _, err := r.core.CreateCheckout(one, &CheckoutRequest{IdempotencyKey: fmt.Sprint(i), Wish: Checkout{Amount: 1000, Currency: "RUB",
				OrderID: fmt.Sprint(i), Email: "anna@shop.example", Language: "ru", Receipt: receipt}})
			if err == nil {
				_, err = r.core.PayCheckout(one, c.ID, r.form(0, banksim.Approve))
			}
			if err != nil {
				t.Fatal(err)
			}
			r.wantReceipts("sessions", "receipt_paid 1000 ru")
		}
		c, _, err := r.core.CreateCheckout(one, &CheckoutRequest{IdempotencyKey: "browser", Wish: Checkout{Amount: 500, Currency: "RUB", OrderID: "B",
			Email: "anna@shop.example", Receipt: true}})
		if err != nil {
			t.Fatal(err)
		}
		form := r.form(0, banksim.Approve)
		form.Pay.Language = "es"
		if _, err = r.core.PayCheckout(one, c.ID, form); err != nil {
			t.Fatal(err)
		}
		r.wantReceipts("as the browser asked", "receipt_paid 1000 ru", "receipt_paid 500 es")
	})
}

// TestReceiptAgain: bounded, idempotent, and of nothing that is not proven.
func TestReceiptAgain(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one := r.account("one")
		paid, err := r.core.Pay(one, r.mailed("paid", banksim.Approve, false))
		if err != nil {
			t.Fatal(err)
		}
		again := func(key string, id ID, email string) (ReceiptSent, bool, error) {
			return r.core.SendReceipt(one, id, &ReceiptAgain{IdempotencyKey: key, Email: email, Fingerprint: r.core.Fingerprint("POST", "receipt", []byte(email))})
		}
		for n := range MaxReceiptsAgain {
			for i := range 2 {
				sent, replayed, err := again(fmt.Sprint(n), paid.Payment.ID, "")
				if err != nil || sent.Again != n+1 || replayed != (i == 1) || sent.To != "a***@shop.example" {
					t.Fatalf("%+v, %t, %v", sent, replayed, err)
				}
			}
			_, _, err := again("at once", paid.Payment.ID, "")
			wantCode(t, "again at once", err, CodeInvalidState)
			r.pass(ReceiptPause)
		}
		if n := len(r.owed()); n != MaxReceiptsAgain {
			t.Errorf("%d letters", n)
		}
		_, _, err = again("more", paid.Payment.ID, "")
		wantCode(t, "one too many", err, CodeInvalidState)
		_, _, err = again("0", paid.Payment.ID, "other@shop.example")
		wantCode(t, "the key for another", err, CodeKeyReused)
		_, _, err = r.core.SendReceipt(r.account("two"), paid.Payment.ID, &ReceiptAgain{IdempotencyKey: "x"})
		wantCode(t, "another shop's payment", err, CodeNotFound)
		doubt, err := r.core.Pay(one, r.mailed("doubt", banksim.NoAnswer, false))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = again("of doubt", doubt.Payment.ID, "")
		wantCode(t, "a payment in doubt", err, CodeInvalidState)
	})
}

// TestReceiptsCostNothing: a payment whose merchant asked for none, or whose buyer
// left no address, allocates and writes nothing for them.
func TestReceiptsCostNothing(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for _, email := range []string{"", "anna@shop.example"} {
			h := &history{Payment: Payment{Merchant: "mer_one", CustomerEmail: email}}
			h.news.add(EventType{PurposePayment.class(), byte(StatusCaptured)})
			if n := testing.AllocsPerRun(100, func() {
				if r.core.receiptsOf(h) != nil {
					t.Error("a receipt that nobody asked for")
				}
			}); n != 0 {
				t.Errorf("%q: %v allocations", email, n)
			}
		}
	})
}
