package payswitch

import (
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// replacement makes a link for a token of the first merchant.
func (r *rig) replacement(key string, token ID) Replacement {
	r.t.Helper()
	c, _, err := r.core.CreateReplacement(r.account("one"), &ReplacementRequest{IdempotencyKey: key, Wish: Replacement{Token: token, Currency: "RUB"}})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *rig) wantReplacement(id ID, status string, attempts int) Replacement {
	r.t.Helper()
	c, err := r.core.Replacement(r.account("one"), id)
	if err != nil || c.Status != status || c.Attempts != attempts {
		r.t.Errorf("it is %s after %d attempts, %v; want %s, %d", c.Status, c.Attempts, err, status, attempts)
	}
	return c
}

// wantCard looks at what a token holds; version 0: whatever it is.
func (r *rig) wantCard(token ID, last4 string, version uint32) {
	r.t.Helper()
	if t, err := r.core.Token(r.account("one"), token); err != nil || t.Card.Last4 != last4 || version != 0 && t.Version != version {
		r.t.Errorf("the token holds %s, version %d, %v; want %s, %d", t.Card.Last4, t.Version, err, last4, version)
	}
}

// entered is a form with a good card that nobody has saved.
func (r *rig) entered(attempt int) *CheckoutCard {
	q := r.request("", "5555555555554444", 1)
	return &CheckoutCard{Attempt: attempt, Pay: PayRequest{PAN: q.PAN, CVC: q.CVC, Expiry: q.Expiry}}
}

// withoutVerification lets the rig's banks ask about no card for nothing.
func withoutVerification(r *rig) func(*Options) {
	return func(o *Options) {
		unhurried(o)
		for i := range o.Banks {
			o.Banks[i].Profile = r.holdTo(o.Banks[i].Link.ID, "operations: {purchase: {}, authorization: {}, capture: {}, void: {}, refund: {}}")
		}
	}
}

// TestCardIsReplacedByItsHolder: with a bank that verifies cards, and with one that holds
// a sum for it: a declined card or one in doubt replaces nothing, a good one does, once;
// the schedule that waited goes on, also after a crash, and nothing stays held.
func TestCardIsReplacedByItsHolder(t *testing.T) {
	for _, holds := range []bool{false, true} {
		r := newRig(t)
		patient(r)
		if holds {
			r.adjust = withoutVerification(r)
		}
		inThisRig(t, r, func() {
			t, one := r.t, r.account("one")
			plan := r.schedule("plan", banksim.Approve, func(c *Schedule) { c.StartAt = r.core.now().Add(time.Hour) })
			before, err := r.core.Token(one, plan.Token)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.core.ReplaceCard(one, plan.Token, &CardRequest{Expiry: iso.Expiry{Year: 1999, Month: 1}}); err != nil {
				t.Fatal(err)
			}
			r.pass(2 * time.Hour)
			r.ran("expired", plan.ID, ScheduleNeedsCard, "1 retrying 0 card_expired")

			c := r.replacement("make", plan.Token)
			if again := r.replacement("make", plan.Token); again.ID != c.ID {
				t.Error("a repeat made another one")
			}
			_, err = r.core.ReplaceByHolder(r.account("two"), c.ID, r.form(0, banksim.Approve))
			wantCode(t, "another merchant's", err, CodeNotFound)
			p, err := r.core.ReplaceByHolder(one, c.ID, r.form(0, banksim.Decline51))
			if err != nil || p.Status != StatusDeclined || !p.Token.IsZero() {
				t.Fatalf("%+v, %v", p, err)
			}
			r.wantReplacement(c.ID, CheckoutOpen, 1)
			if p, err = r.core.ReplaceByHolder(one, c.ID, r.form(1, banksim.NoAnswer)); err != nil || p.Status != StatusUnknown {
				t.Fatalf("%+v, %v", p, err)
			}
			r.pass(time.Minute) // a hold in doubt is reversed
			r.wantReplacement(c.ID, CheckoutOpen, 2)
			r.wantCard(plan.Token, before.Card.Last4, before.Version+1)

			card := r.entered(2)
			p, err = r.core.ReplaceByHolder(one, c.ID, card)
			if err != nil || p.Token != plan.Token {
				t.Fatalf("%+v, %v", p, err)
			}
			r.wantCard(plan.Token, card.Pay.PAN.Last4(), 0) // its version grows with the schedule's payment, too
			r.wantReplacement(c.ID, CheckoutComplete, 3)
			if same, err := r.core.ReplaceByHolder(one, c.ID, r.entered(2)); err != nil || same.ID != p.ID {
				t.Errorf("the form sent twice: %v", err)
			}
			_, err = r.core.ReplaceByHolder(one, c.ID, r.form(3, banksim.Approve))
			wantCode(t, "a second card by one link", err, CodeInvalidState)
			_, err = r.core.CancelReplacement(one, c.ID)
			wantCode(t, "the end of one that was used", err, CodeInvalidState)
			r.pass(time.Minute)
			r.ran("replaced", plan.ID, ScheduleActive, "1 succeeded 1")
			if held, err := r.core.Payment(one, p.Purpose, p.ID); err != nil || holds && held.Status != StatusCanceled || !holds && held.Status != StatusSucceeded {
				t.Errorf("what proved the card is %s, %v", held.Status, err)
			}
			old := r.form(0, banksim.Approve)
			if token, fresh, err := r.core.SaveCard(one, &CardRequest{Customer: plan.Customer, PAN: old.Pay.PAN, Expiry: old.Pay.Expiry}); err != nil || !fresh || token.ID == plan.Token {
				t.Errorf("the card before, saved again, is %s, new %v, %v", token.ID.Text(TokenPrefix), fresh, err)
			}
			r.crash()
			r.start()
			r.ready()
			r.wantReplacement(c.ID, CheckoutComplete, 3)
			r.wantCard(plan.Token, card.Pay.PAN.Last4(), 0)
		})
	}
}

// TestReplacementEnds: by the shop, by its time, by too many cards, and for a card that the
// customer has under another token.
func TestReplacementEnds(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one := r.account("one")
		save := func(does banksim.Behaviour) Token {
			f := r.form(0, does)
			token, _, err := r.core.SaveCard(one, &CardRequest{Customer: "anna", PAN: f.Pay.PAN, Expiry: f.Pay.Expiry})
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		token := save(banksim.Decline54)
		save(banksim.Approve)
		ended, late, tested := r.replacement("1", token.ID), r.replacement("2", token.ID), r.replacement("3", token.ID)
		_, err := r.core.ReplaceByHolder(one, tested.ID, r.form(0, banksim.Approve))
		wantCode(t, "a card that has another token", err, CodeInvalidState)
		if c, err := r.core.CancelReplacement(one, ended.ID); err != nil || c.Status != CheckoutExpired {
			t.Errorf("%+v, %v", c, err)
		}
		_, err = r.core.ReplaceByHolder(one, ended.ID, r.entered(0))
		wantCode(t, "one that the shop ended", err, CodeInvalidState)
		for n := range MaxCheckoutAttempts {
			if _, err := r.core.ReplaceByHolder(one, tested.ID, r.form(n, banksim.Decline51)); err != nil {
				t.Fatal(err)
			}
		}
		_, err = r.core.ReplaceByHolder(one, tested.ID, r.entered(MaxCheckoutAttempts))
		wantCode(t, "one card too many", err, CodeInvalidState)
		r.pass(DefaultReplacementLife)
		_, err = r.core.ReplaceByHolder(one, late.ID, r.entered(0))
		wantCode(t, "one after its time", err, CodeInvalidState)
		r.wantCard(token.ID, token.Card.Last4, 1)
		_, _, err = r.core.CreateReplacement(r.account("two"), &ReplacementRequest{IdempotencyKey: "x", Wish: Replacement{Token: token.ID, Currency: "RUB"}})
		wantCode(t, "another merchant's card", err, CodeNotFound)
	})
}

// TestNewCardOwesAcrossACrash: what a new card still owed when the process died is done at
// the next start: the schedule goes on, the hold is let go.
func TestNewCardOwesAcrossACrash(t *testing.T) {
	r := newRig(t)
	patient(r)
	inThisRig(t, r, func() {
		t, one := r.t, r.account("one")
		plan := r.schedule("plan", banksim.Approve, func(c *Schedule) { c.StartAt = r.core.now().Add(time.Hour) })
		held, err := r.core.Pay(one, func() *PayRequest {
			q := r.request("hold", cardOf(banksim.Approve), 100)
			q.ManualCapture = true
			return q
		}())
		if err != nil || held.Payment.Status != StatusAuthorized {
			t.Fatalf("%+v, %v", held, err)
		}
		_, err = r.core.changeSchedule(one, plan.ID, "test", func(c *Schedule, _ time.Time) error {
			c.halt(ScheduleNeedsCard, "card_expired")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var cmd storage.Command
		cmd.Set(spaceCard, owedKey(plan.Token, held.Payment.ID), flagByte(true))
		if _, err := r.store.Do(&cmd); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the first start after may find no line to the bank
			r.crash()
			r.start()
			r.ready()
			r.pass(time.Minute)
		}
		if c, err := r.core.Schedule(one, plan.ID); err != nil || c.Status != ScheduleActive {
			t.Errorf("the schedule is %s, %v", c.Status, err)
		}
		if p, err := r.core.Payment(one, PurposePayment, held.Payment.ID); err != nil || p.Status != StatusCanceled {
			t.Errorf("the hold is %s, %v", p.Status, err)
		}
		if _, owed, err := r.store.Get(spaceCard, owedKey(plan.Token, held.Payment.ID), nil); owed || err != nil {
			t.Errorf("it is owed still: %v", err)
		}
	})
}
