package payswitch

import (
	"errors"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// session makes a checkout session of an order.
func (r *rig) session(key, order string) Checkout {
	r.t.Helper()
	c, _, err := r.core.CreateCheckout(r.account("one"), &CheckoutRequest{IdempotencyKey: key, Wish: Checkout{Amount: 1000, Currency: "RUB", OrderID: order}})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// form is what a buyer sends who saw the page after so many attempts.
func (r *rig) form(attempt int, does banksim.Behaviour) *CheckoutCard {
	q := r.request("", cardOf(does), 1)
	return &CheckoutCard{Attempt: attempt, Pay: PayRequest{PAN: q.PAN, CVC: q.CVC, Expiry: q.Expiry}}
}

func (r *rig) wantSession(id ID, status string, attempts int, version uint32) Checkout {
	r.t.Helper()
	c, err := r.core.Checkout(r.account("one"), id)
	if err != nil || c.Status != status || c.Attempts != attempts || c.Version != version {
		r.t.Errorf("session is %s after %d attempts, version %d, %v; want %s, %d, %d", c.Status, c.Attempts, c.Version, err, status, attempts, version)
	}
	return c
}

func wantCode(t *testing.T, what string, err error, want Code) {
	t.Helper()
	var refusal *Refusal
	if errors.As(err, &refusal); refusal == nil || refusal.Code != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// TestCheckoutIsPaidOnce: cards are tried until one pays; then no other can.
func TestCheckoutIsPaidOnce(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one := r.account("one")
		c := r.session("make", "A")
		if again := r.session("make", "A"); again.ID != c.ID {
			t.Error("a repeat made another session")
		}
		_, err := r.core.PayCheckout(r.account("two"), c.ID, r.form(0, banksim.Approve))
		wantCode(t, "another merchant's session", err, CodeNotFound)

		p, err := r.core.PayCheckout(one, c.ID, r.form(0, banksim.Decline51))
		if err != nil || p.Status != StatusDeclined || p.Checkout != c.ID {
			t.Fatalf("%+v, %v", p, err)
		}
		r.wantSession(c.ID, CheckoutOpen, 1, 3)
		if same, err := r.core.PayCheckout(one, c.ID, r.form(0, banksim.Decline51)); err != nil || same.ID != p.ID {
			t.Errorf("the form sent twice: %v, %v", same.ID, err)
		}
		_, err = r.core.PayCheckout(one, c.ID, r.form(0, banksim.Approve))
		wantCode(t, "another card by an old form", err, CodeKeyReused)

		p, err = r.core.PayCheckout(one, c.ID, r.form(1, banksim.Approve))
		if err != nil || p.Status != StatusCaptured || p.Amount != 1000 || p.Attempt != 2 {
			t.Fatalf("%+v, %v", p, err)
		}
		if done := r.wantSession(c.ID, CheckoutComplete, 2, 5); done.Payment == nil || done.Payment.ID != p.ID {
			t.Errorf("paid by %+v", done.Payment)
		}
		_, err = r.core.PayCheckout(one, c.ID, r.form(2, banksim.Approve))
		wantCode(t, "a paid session", err, CodeInvalidState)
		_, err = r.core.ExpireCheckout(one, c.ID)
		wantCode(t, "the end of a paid session", err, CodeInvalidState)

		other := r.session("other", "A")
		_, err = r.core.PayCheckout(one, other.ID, r.form(0, banksim.Approve))
		wantCode(t, "another session of the order", err, CodeOrderPaid)

		r.crash()
		r.start()
		r.wantSession(c.ID, CheckoutComplete, 2, 5)
		if page, err := r.core.Checkouts(one, 1, ID{}); err != nil || len(page.Sessions) != 1 || page.Sessions[0].ID != other.ID || !page.More {
			t.Errorf("the first page: %+v, %v", page, err)
		}
	})
}

// TestCheckoutInDoubt: while an outcome is not proven nothing else is taken; once
// it is proven that no money moved, the buyer may try again.
func TestCheckoutInDoubt(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one := r.account("one")
		c := r.session("make", "A")
		p, err := r.core.PayCheckout(one, c.ID, r.form(0, banksim.NoAnswer))
		if err != nil || p.Status != StatusUnknown {
			t.Fatalf("%+v, %v", p, err)
		}
		r.wantSession(c.ID, CheckoutProcessing, 1, 3)
		_, err = r.core.PayCheckout(one, c.ID, r.form(1, banksim.Approve))
		wantCode(t, "a card beside one in doubt", err, CodeInvalidState)
		_, err = r.core.ExpireCheckout(one, c.ID)
		wantCode(t, "the end of one in doubt", err, CodeInvalidState)
		r.pass(time.Minute)
		if c := r.wantSession(c.ID, CheckoutOpen, 1, 5); c.Payment.Status != StatusReversed {
			t.Errorf("the payment is %s", c.Payment.Status)
		}
		if p, err := r.core.PayCheckout(one, c.ID, r.form(1, banksim.Approve)); err != nil || p.Status != StatusCaptured {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

// TestCheckoutEnds: by the shop, by its time, by too many cards.
func TestCheckoutEnds(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one := r.account("one")
		ended, late, tested := r.session("1", "A"), r.session("2", "B"), r.session("3", "C")
		if c, err := r.core.ExpireCheckout(one, ended.ID); err != nil || c.Status != CheckoutExpired || c.Version != 2 {
			t.Errorf("%+v, %v", c, err)
		}
		_, err := r.core.PayCheckout(one, ended.ID, r.form(0, banksim.Approve))
		wantCode(t, "a session that the shop ended", err, CodeInvalidState)
		for n := range MaxCheckoutAttempts {
			if _, err := r.core.PayCheckout(one, tested.ID, r.form(n, banksim.Decline51)); err != nil {
				t.Fatal(err)
			}
		}
		_, err = r.core.PayCheckout(one, tested.ID, r.form(MaxCheckoutAttempts, banksim.Approve))
		wantCode(t, "one card too many", err, CodeInvalidState)
		r.pass(DefaultCheckoutLife)
		_, err = r.core.PayCheckout(one, late.ID, r.form(0, banksim.Approve))
		wantCode(t, "a session after its time", err, CodeInvalidState)
		for i, life := range []time.Duration{MinCheckoutLife - time.Second, MaxCheckoutLife + time.Second} {
			_, _, err := r.core.CreateCheckout(one, &CheckoutRequest{IdempotencyKey: string(rune('x' + i)),
				Wish: Checkout{Amount: 1, Currency: "RUB", OrderID: "D", ExpiresAt: r.core.now().Add(life)}})
			wantCode(t, life.String(), err, CodeInvalidRequest)
		}
	})
}
