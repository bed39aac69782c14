package payswitch

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// listening gives mer_one an endpoint.
func (r *rig) listening() Account {
	r.t.Helper()
	a := r.account("one")
	if _, err := r.core.Outbox().MakeEndpoint(a, &EndpointWish{}); err != nil {
		r.t.Fatal(err)
	}
	return a
}

// wantTold compares the events of an account, the oldest first; of each that is about
// a session its status, attempts and number.
func (r *rig) wantTold(what string, want ...string) {
	r.t.Helper()
	page, err := r.core.Outbox().Events(r.account("one"), EventQuery{Limit: 100})
	if err != nil {
		r.t.Fatal(what, err)
	}
	var got []string
	for _, e := range page.Events {
		text := strings.TrimPrefix(e.Type.String(), "checkout_")
		if c := e.Checkout; c != nil {
			paidBy := "nothing"
			if c.Payment != nil {
				paidBy = c.Payment.Status.String()
			}
			text += fmt.Sprint(" ", c.OrderID, " ", c.Status, " ", c.Attempts, " ", paidBy, " #", e.Sequence)
		}
		got = append(got, text)
	}
	slices.Reverse(got)
	if !slices.Equal(got, want) {
		r.t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (r *rig) mustPay(id ID, attempt int, does banksim.Behaviour) Payment {
	r.t.Helper()
	p, err := r.core.PayCheckout(r.account("one"), id, r.form(attempt, does))
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// TestSessionTellsThatItIsPaid: in the step that proves it, right behind the
// payment's own event, once, and the same whenever it is read.
func TestSessionTellsThatItIsPaid(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.listening()
		c := r.session("make", "A")
		r.mustPay(c.ID, 0, banksim.Decline51)
		p := r.mustPay(c.ID, 1, banksim.Approve)
		want := []string{"payment.declined", "payment.captured", "session.completed A complete 2 captured #1"}
		r.wantTold("paid", want...)
		if _, err := r.act(a, OperationRequest{IdempotencyKey: "back", Payment: p.ID, Kind: KindRefund, Amount: 1000}); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Minute)
		r.crash()
		r.start()
		r.ready()
		r.pass(DefaultCheckoutLife)
		r.wantTold("sent back, a power cut, and its time over", append(want, "refund.succeeded", "payment.refunded")...)
		owed, _, _, err := r.core.Outbox().Ready(r.core.Outbox().EndpointsOf(a)[0].ID, ID{}, 100)
		if err != nil || len(owed) != 5 {
			t.Errorf("%d notices, %v", len(owed), err)
		}
		if _, held, before, err := r.core.Outbox().Read(owed[2]); err != nil || held.Type != eventCompleted || before == nil || before.Type.String() != "payment.captured" {
			t.Errorf("before it: %+v, %v", before, err)
		}
	})
}

// TestSessionTellsThatItIsOver: by the shop, by its time, by too many cards, each once;
// not while a payment is on its way.
func TestSessionTellsThatItIsOver(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		silent := r.session("0", "before anybody listens")
		a := r.listening()
		ended, late, tested, doubt := r.session("1", "A"), r.session("2", "B"), r.session("3", "C"), r.session("4", "D")
		for range 2 {
			if _, err := r.core.ExpireCheckout(a, ended.ID); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{"session.expired A expired 0 nothing #1"}
		r.wantTold("by the shop", want...)
		for n := range MaxCheckoutAttempts {
			r.mustPay(tested.ID, n, banksim.Decline51)
			want = append(want, "payment.declined")
		}
		r.pass(time.Second)
		want = append(want, "session.expired C expired 10 declined #1")
		r.wantTold("by too many cards", want...)
		r.pass(DefaultCheckoutLife - time.Minute)
		r.control(banksim.ModeMute)
		r.mustPay(doubt.ID, 0, banksim.Approve)
		want = append(want, "payment.unknown")
		r.pass(2 * time.Minute)
		r.wantTold("by its time", append(want, "session.expired B expired 0 nothing #1")...)
		r.crash()
		r.start()
		r.control(banksim.ModeNormal)
		r.ready()
		r.pass(time.Hour)
		r.wantTold("after its doubt", append(want, "session.expired B expired 0 nothing #1", "payment.reversed", "session.expired D expired 1 reversed #1")...)
		_, err := r.core.PayCheckout(a, late.ID, r.form(0, banksim.Approve))
		wantCode(t, "after its time", err, CodeInvalidState)
		_ = silent
	})
}

// TestSessionEndsOnce: a payment and the end of its session come at the same moment:
// one of them wins, and is all that is told.
func TestSessionEndsOnce(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.listening()
		for i := range 40 {
			c := r.session(fmt.Sprint(i), fmt.Sprint(i))
			var wg sync.WaitGroup
			var ended, paid error
			wg.Add(2)
			go func() { defer wg.Done(); _, paid = r.core.PayCheckout(a, c.ID, r.form(0, banksim.Approve)) }()
			go func() { defer wg.Done(); _, ended = r.core.ExpireCheckout(a, c.ID) }()
			wg.Wait()
			now, err := r.core.Checkout(a, c.ID)
			if err != nil || (ended == nil) == (paid == nil) || (paid == nil) != (now.Status == CheckoutComplete) {
				t.Errorf("%d: paid %v, ended %v, the session is %s, %v", i, paid, ended, now.Status, err)
			}
		}
		page, err := r.core.Outbox().Events(a, EventQuery{Limit: 100, Types: []EventType{eventCompleted, eventExpired}})
		if err != nil || len(page.Events) != 40 {
			t.Errorf("%d events, %v", len(page.Events), err)
		}
	})
}

// TestSessionEndsWhileItIsPaid: the shop ends a session between the buyer's press of
// the button and the payment's beginning: nothing is paid.
func TestSessionEndsWhileItIsPaid(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.stop()
		var c Checkout
		r.adjust = func(o *Options) {
			o.Merchants[0].Check = &ShopCheck{URL: "https://shop.example/check", Secret: "secret"}
			o.AskShop = func(*ShopQuestion) ShopAnswer {
				if _, err := r.core.ExpireCheckout(r.account("one"), c.ID); err != nil {
					t.Error(err)
				}
				return ShopAnswer{Answered: true, Accepted: true}
			}
		}
		r.start()
		r.ready()
		a := r.listening()
		c = r.session("make", "A")
		p, err := r.core.PayCheckout(a, c.ID, r.form(0, banksim.Approve))
		wantCode(t, "a session that has ended meanwhile", err, CodeKeyReused)
		if now, err := r.core.Checkout(a, c.ID); err != nil || now.Status != CheckoutExpired || now.Attempts != 0 {
			t.Errorf("the session is %s, the payment %s, %v", now.Status, p.Status, err)
		}
		r.wantTold("ended", "session.expired A expired 0 nothing #1")
	})
}
