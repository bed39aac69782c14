package payswitch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

func page(id ID) string { return "https://pay.example/pay/" + id.Text(CheckoutPrefix) }

// owed are the letters that stand in the queue, the later ones included.
func (r *rig) owed() []Letter {
	r.t.Helper()
	list, _, err := r.core.Letters().Due(r.core.now().Add(10*MaxCheckoutLife), 1000, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func (r *rig) send(id ID, key string, wish CheckoutSend) (Checkout, bool, error) {
	wish.IdempotencyKey, wish.Page = key, page
	wish.Fingerprint = r.core.Fingerprint("POST", "send", []byte(wish.Email+wish.Phone))
	return r.core.SendCheckout(r.account("one"), id, &wish)
}

func (r *rig) wantStates(id ID, want string) {
	r.t.Helper()
	c, err := r.core.Checkout(r.account("one"), id)
	var got []string
	for _, sent := range c.Sent {
		got = append(got, sent.Channel+" "+sent.To+" "+sent.State)
	}
	if text := strings.Join(got, ", "); err != nil || text != want {
		r.t.Errorf("sent: %q, %v; want %q", text, err, want)
	}
}

// TestLinkIsSent: the wish and its letter are one step, a repeat sends nothing, and
// what became of the letter is shown, also across a crash.
func TestLinkIsSent(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		c := r.session("make", "A")
		_, _, err := r.send(c.ID, "0", CheckoutSend{})
		wantCode(t, "nobody to send it to", err, CodeInvalidRequest)
		for i := range 2 {
			got, replayed, err := r.send(c.ID, "1", CheckoutSend{Email: "anna@shop.example", Phone: "+74951234567", Language: "ru"})
			if err != nil || replayed != (i == 1) || len(got.Sent) != 2 || got.Version != 3 {
				t.Fatalf("%d: %+v, %t, %v", i, got, replayed, err)
			}
		}
		_, _, err = r.send(c.ID, "1", CheckoutSend{Email: "other@shop.example"})
		wantCode(t, "the key for another wish", err, CodeKeyReused)
		_, _, err = r.send(c.ID, "make", CheckoutSend{Email: "other@shop.example"})
		wantCode(t, "the key of the session", err, CodeKeyReused)
		_, _, err = r.core.CreateCheckout(r.account("one"), &CheckoutRequest{IdempotencyKey: "1", Wish: Checkout{Amount: 1, Currency: "RUB", OrderID: "B"}})
		wantCode(t, "a session by the key of a letter", err, CodeKeyReused)
		r.crash()
		r.start()
		list := r.owed()
		if len(list) != 2 {
			t.Fatalf("%d letters are owed", len(list))
		}
		var data LinkData
		if err := json.Unmarshal(list[0].Data, &data); err != nil || data.URL != page(c.ID) || data.Amount != 1000 || list[0].Language != "ru" || !data.Test {
			t.Errorf("%+v, %v", data, err)
		}
		for i := range list {
			if held, err := r.core.Letters().Hold(&list[i]); held || err != nil {
				t.Fatal(held, err)
			}
		}
		if err := r.core.Letters().Sent(&list[0]); err != nil {
			t.Fatal(err)
		}
		if err := r.core.Letters().Later(&list[1], "no such mailbox", time.Time{}); err != nil {
			t.Fatal(err)
		}
		r.wantStates(c.ID, "sms +7*******567 taken, mail a***@shop.example refused")
		if err := r.core.Letters().Retry(list[1].ID, Act{Operator: "anna", Reason: "it exists now"}); err != nil {
			t.Fatal(err)
		}
		r.wantStates(c.ID, "sms +7*******567 taken, mail a***@shop.example owed")
	})
}

// TestLinkIsNotSentForEver: with a pause between, and not without an end.
func TestLinkIsNotSentForEver(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		c := r.session("make", "A")
		for n := range MaxCheckoutLetters {
			if _, _, err := r.send(c.ID, fmt.Sprint(n), CheckoutSend{Email: "anna@shop.example"}); err != nil {
				t.Fatal(n, err)
			}
			_, _, err := r.send(c.ID, fmt.Sprint("at once ", n), CheckoutSend{Email: "anna@shop.example"})
			wantCode(t, "again at once", err, CodeInvalidState)
			r.pass(CheckoutPause)
		}
		_, _, err := r.send(c.ID, "more", CheckoutSend{Email: "anna@shop.example"})
		wantCode(t, "one too many", err, CodeInvalidState)
		if n := len(r.owed()); n != MaxCheckoutLetters {
			t.Errorf("%d letters", n)
		}
	})
}

// TestLinkIsWithdrawn: a letter that waits does not leave when its session was ended
// or paid meanwhile; while a payment is in doubt it waits.
func TestLinkIsWithdrawn(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one := r.account("one")
		hold := func(want bool) {
			t.Helper()
			for _, y := range r.owed() {
				if held, err := r.core.Letters().Hold(&y); held != want || err != nil {
					t.Errorf("held: %t, %v; want %t", held, err, want)
				}
			}
		}
		ended := r.session("1", "A")
		_, _, err := r.send(ended.ID, "s1", CheckoutSend{Email: "anna@shop.example"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.core.ExpireCheckout(one, ended.ID); err != nil {
			t.Fatal(err)
		}
		hold(true)
		r.wantStates(ended.ID, "mail a***@shop.example withdrawn")
		_, _, err = r.send(ended.ID, "s2", CheckoutSend{Email: "anna@shop.example"})
		wantCode(t, "a session that is over", err, CodeInvalidState)

		doubt := r.session("2", "B")
		if _, _, err = r.send(doubt.ID, "s3", CheckoutSend{Email: "anna@shop.example", RemindBefore: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if list, _, err := r.core.Letters().Due(r.core.now().Add(22*time.Hour), 10, nil); err != nil || len(list) != 0 {
			t.Errorf("a reminder is due early: %+v, %v", list, err)
		}
		if _, err := r.core.PayCheckout(one, doubt.ID, r.form(0, banksim.NoAnswer)); err != nil {
			t.Fatal(err)
		}
		hold(true)
		r.wantStates(doubt.ID, "mail a***@shop.example owed")
		r.pass(time.Minute)
		hold(false) // no money moved: it may be paid again
		if _, err := r.core.PayCheckout(one, doubt.ID, r.form(1, banksim.Approve)); err != nil {
			t.Fatal(err)
		}
		hold(true)
		r.wantStates(doubt.ID, "mail a***@shop.example withdrawn")
		if n := len(r.owed()); n != 0 {
			t.Errorf("%d letters are owed", n)
		}
	})
}

// TestLinkWithTheSession: the letter is owed in the step that makes the session.
func TestLinkWithTheSession(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		wish := CheckoutRequest{IdempotencyKey: "k", Wish: Checkout{Amount: 1000, Currency: "RUB", OrderID: "A", Email: "anna@shop.example"}, Send: &CheckoutSend{Page: page}}
		for range 2 {
			c, _, err := r.core.CreateCheckout(r.account("one"), &wish)
			if err != nil || len(c.Sent) != 1 || len(r.owed()) != 1 {
				t.Fatalf("%+v, %v", c, err)
			}
		}
	})
}
