package payswitch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// button makes a button of the first merchant.
func (r *rig) button(change func(*Button)) Button {
	r.t.Helper()
	wish := Button{Name: "Socks", Amount: 1000, Currency: "RUB", OrderID: "SOCKS", Description: "Socks", MaxQuantity: 5}
	if change != nil {
		change(&wish)
	}
	b, _, err := r.core.CreateButton(r.account("one"), &ButtonRequest{IdempotencyKey: fmt.Sprint("button ", r.count.Add(1)), Wish: wish})
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *rig) press(b Button, p Press) Checkout {
	r.t.Helper()
	_, c, err := r.core.PressButton(b.ID, &p)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// TestButtonIsPressed: each press is an order of its own, the same press is the same
// one, also after a crash; what the button does not sell is not sold.
func TestButtonIsPressed(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		b := r.button(nil)
		first := r.press(b, Press{Nonce: "a", Quantity: 3})
		if first.Amount != 3000 || first.Button != b.ID || !strings.HasPrefix(first.OrderID, "SOCKS-") || first.Description != "Socks × 3" || first.Status != CheckoutOpen {
			t.Errorf("a press made %+v", first)
		}
		if again := r.press(b, Press{Nonce: "a", Quantity: 3}); again.ID != first.ID {
			t.Error("the same press made another session")
		}
		for _, p := range []Press{{Nonce: "b", Quantity: 3}, {Nonce: "a", Quantity: 2}, {Nonce: "a"}} {
			if other := r.press(b, p); other.ID == first.ID || other.OrderID == first.OrderID {
				t.Errorf("%+v led to the session of another press", p)
			}
		}
		for _, p := range []Press{{Quantity: 6}, {Quantity: -1}, {Amount: 1}} {
			_, _, err := r.core.PressButton(b.ID, &p)
			wantCode(t, fmt.Sprintf("%+v", p), err, CodeInvalidRequest)
		}
		gift := r.button(func(b *Button) { b.Amount, b.MinAmount, b.MaxAmount, b.MaxQuantity = 0, 100, 200, 1 })
		for amount, good := range map[int64]bool{0: false, 99: false, 100: true, 200: true, 201: false, -1: false} {
			if _, c, err := r.core.PressButton(gift.ID, &Press{Nonce: fmt.Sprint(amount), Amount: amount}); (err == nil) != good || good && c.Amount != amount {
				t.Errorf("%d is taken as %d, %v", amount, c.Amount, err)
			}
		}
		r.crash()
		r.start()
		r.ready()
		if again := r.press(b, Press{Nonce: "a", Quantity: 3}); again.ID != first.ID {
			t.Error("after a crash the same press made another session")
		}
		ended, err := r.core.DisableButton(r.account("one"), b.ID)
		if err != nil || ended.Status(r.core.now()) != ButtonDisabled || ended.Version != 2 {
			t.Errorf("%+v, %v", ended, err)
		}
		_, _, err = r.core.PressButton(b.ID, &Press{Nonce: "c"})
		wantCode(t, "a disabled button", err, CodeInvalidState)
		_, err = r.core.DisableButton(r.account("two"), gift.ID)
		wantCode(t, "another merchant's button", err, CodeNotFound)
		short := r.button(func(b *Button) { b.ExpiresAt = r.core.now().Add(time.Hour) })
		r.pass(time.Hour)
		_, _, err = r.core.PressButton(short.ID, &Press{})
		wantCode(t, "an expired button", err, CodeInvalidState)
		if page, err := r.core.Buttons(r.account("one"), 2, ID{}); err != nil || len(page.Buttons) != 2 || !page.More || page.Buttons[0].ID != short.ID {
			t.Errorf("%+v, %v", page, err)
		}
	})
}

// TestPressesAreBounded: neither a flood nor a patient machine makes more sessions of a
// button than it may have unpaid; what is paid makes room.
func TestPressesAreBounded(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		b := r.button(nil)
		paid := r.press(b, Press{Nonce: "paid"})
		for n := 1; n < MaxPressesOpen; n++ {
			_, _, err := r.core.PressButton(b.ID, &Press{Nonce: fmt.Sprint(n)})
			if n%MaxPressesPerMinute == 0 {
				wantCode(t, "a flood", err, CodeOverloaded)
				r.pass(time.Minute)
				_, _, err = r.core.PressButton(b.ID, &Press{Nonce: fmt.Sprint(n)})
			}
			if err != nil {
				t.Fatal(n, err)
			}
		}
		r.pass(time.Minute)
		_, _, err := r.core.PressButton(b.ID, &Press{Nonce: "more"})
		wantCode(t, "one more than may be unpaid", err, CodeOverloaded)
		if again := r.press(b, Press{Nonce: "5"}); again.Status != CheckoutOpen {
			t.Errorf("a repeat needs room: %s", again.Status)
		}
		r.press(r.button(nil), Press{Nonce: "more"}) // another button is not in the way
		r.crash()
		r.start()
		r.ready()
		_, _, err = r.core.PressButton(b.ID, &Press{Nonce: "more"})
		wantCode(t, "the same after a crash", err, CodeOverloaded)
		if p, err := r.core.PayCheckout(r.account("one"), paid.ID, r.form(0, banksim.Approve)); err != nil || p.Status != StatusCaptured {
			t.Fatalf("%+v, %v", p, err)
		}
		r.pass(pressSweep)
		r.press(b, Press{Nonce: "more"})
		r.pass(DefaultPressLife)
		r.press(b, Press{Nonce: "an hour later"})
	})
}

// TestOrderHasOneSession: the form of an order, however often it is sent and in
// whatever order of its versions, leads to one session and to one charge.
func TestOrderHasOneSession(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one := r.account("one")
		until := r.core.now().Add(time.Hour).Unix()
		terms := func(order string, amount, until int64) *OrderTerms {
			return &OrderTerms{Wish: Checkout{Amount: amount, Currency: "RUB", OrderID: order}, Life: time.Hour, ValidUntil: until}
		}
		sell := func(x *OrderTerms) Checkout {
			t.Helper()
			c, err := r.core.CheckoutOrder(one, x)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first := sell(terms("A", 1000, until))
		if again := sell(terms("A", 1000, until+60)); again.ID != first.ID {
			t.Error("the same terms, signed anew, made another session")
		}
		if two := sell(terms("B", 1000, until)); two.ID == first.ID {
			t.Error("two orders share a session")
		}
		second := sell(terms("A", 2000, until+60))
		if second.ID == first.ID || second.Amount != 2000 {
			t.Errorf("new terms led to %+v", second)
		}
		r.wantSession(first.ID, CheckoutExpired, 0, 2)
		_, err := r.core.CheckoutOrder(one, terms("A", 1000, until))
		wantCode(t, "the older, cheaper form", err, CodeInvalidState)
		r.crash()
		r.start()
		r.ready()
		if again := sell(terms("A", 2000, until+60)); again.ID != second.ID {
			t.Error("after a crash the same form made another session")
		}
		r.pass(time.Hour)
		third := sell(terms("A", 2000, until+7200))
		if third.ID == second.ID {
			t.Error("a form that was made anew leads to a session whose time is over")
		}
		p, err := r.core.PayCheckout(one, third.ID, r.form(0, banksim.NoAnswer))
		if err != nil || p.Status != StatusUnknown {
			t.Fatalf("%+v, %v", p, err)
		}
		if again := sell(terms("A", 3000, until+9000)); again.ID != third.ID {
			t.Error("new terms beside a payment in doubt")
		}
		r.pass(time.Minute)
		if p, err = r.core.PayCheckout(one, third.ID, r.form(1, banksim.Approve)); err != nil || p.Status != StatusCaptured {
			t.Fatalf("%+v, %v", p, err)
		}
		for _, amount := range []int64{2000, 3000} {
			if again := sell(terms("A", amount, until+9000)); again.ID != third.ID || again.Status != CheckoutComplete {
				t.Errorf("the form of a paid order leads to %+v", again)
			}
		}
		if _, err = r.core.ExpireCheckout(one, sell(terms("C", 1, until+9000)).ID); err != nil {
			t.Fatal(err)
		}
		if c := sell(terms("C", 1, until+9000)); c.Status != CheckoutExpired {
			t.Errorf("the shop ended the session, and the form opens it: %+v", c)
		}
		other := r.session("by the API", "D")
		if _, err = r.core.PayCheckout(one, other.ID, r.form(0, banksim.Approve)); err != nil {
			t.Fatal(err)
		}
		_, err = r.core.CheckoutOrder(one, terms("D", 1000, until+9000))
		wantCode(t, "an order that was paid otherwise", err, CodeOrderPaid)
	})
}

// TestButtonOnce: a button of one order is paid once.
func TestButtonOnce(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		b := r.button(func(b *Button) { b.Once, b.MaxQuantity, b.OrderID = true, 1, "INV-17" })
		c := r.press(b, Press{Nonce: "a"})
		if again := r.press(b, Press{Nonce: "b"}); again.ID != c.ID || c.OrderID != "INV-17" || c.Button != b.ID {
			t.Errorf("%+v and %+v", c, again)
		}
		if _, err := r.core.PayCheckout(r.account("one"), c.ID, r.form(0, banksim.Approve)); err != nil {
			t.Fatal(err)
		}
		r.crash()
		r.start()
		r.ready()
		if again := r.press(b, Press{Nonce: "c"}); again.ID != c.ID || again.Status != CheckoutComplete {
			t.Errorf("after the payment a press leads to %+v", again)
		}
	})
}

// TestBadButtons: what a button cannot be is told by the member.
func TestBadButtons(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for _, tt := range []struct {
			pointer string
			change  func(*Button)
		}{
			{"/name", func(b *Button) { b.Name = " " }},
			{"/name", func(b *Button) { b.Name = strings.Repeat("x", MaxButtonName+1) }},
			{"/currency", func(b *Button) { b.Currency = "RUR" }},
			{"/order_id", func(b *Button) { b.OrderID = "" }},
			{"/order_id", func(b *Button) { b.OrderID = "a\nb" }},
			{"/description", func(b *Button) { b.Description = "\xff" }},
			{"/max_quantity", func(b *Button) { b.MaxQuantity = MaxButtonQuantity + 1 }},
			{"/min_amount", func(b *Button) { b.Amount = 0 }},
			{"/min_amount", func(b *Button) { b.Amount, b.MinAmount, b.MaxAmount = 0, 2, 1 }},
			{"/amount", func(b *Button) { b.MinAmount = 1 }},
			{"/amount", func(b *Button) { b.Amount = MaxOrderAmount/5 + 1 }},
			{"/max_quantity", func(b *Button) { b.Amount, b.MinAmount, b.MaxAmount = 0, 1, 2 }},
			{"/reusable", func(b *Button) { b.Once = true }},
			{"/session_minutes", func(b *Button) { b.PressLife = time.Minute }},
			{"/expires_at", func(b *Button) { b.ExpiresAt = r.core.now() }},
		} {
			wish := Button{Name: "Socks", Amount: 1000, Currency: "RUB", OrderID: "SOCKS", MaxQuantity: 5}
			tt.change(&wish)
			_, _, err := r.core.CreateButton(r.account("one"), &ButtonRequest{IdempotencyKey: "bad", Wish: wish})
			if no, ok := err.(*Refusal); !ok || no.Pointer != tt.pointer {
				t.Errorf("%s: %v", tt.pointer, err)
			}
		}
	})
}
