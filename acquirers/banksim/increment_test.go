package banksim

import (
	"testing"

	"github.com/tranzit/tranzit/iso"
)

// raise is an increment of a hold that stands at before.
func raise(before, by int64) func(*iso.Values) {
	return func(v *iso.Values) { v.Amount, v.Total = by, before+by }
}

// A hold is raised, lengthened, raised in vain and undone: the increment alone
// by its own reversal, all of it by the void.
func TestIncrementsOfAHold(t *testing.T) {
	for _, name := range generic87 {
		t.Run(name, func(t *testing.T) {
			b := start(t, Config{Dialect: dialect(t, name)})
			c := signedOn(t, b)
			hold := c.build(iso.OpAuthorization, c.values("4111111111111111", 10000))
			want := func(m *iso.Message, rc string) *iso.Message {
				t.Helper()
				for _, copied := range []*iso.Message{m, c.repeat(m)} {
					if got := c.ask(copied); code(got) != rc {
						t.Fatalf("%s answered %q, want %q", copied.MTI, code(got), rc)
					}
				}
				return m
			}
			held := func(raised, returned, net int64) {
				t.Helper()
				e := b.Books().Entries()[0]
				if got := b.Books().Summary().Currencies["EUR"].Net; e.Raised != raised || e.Returned != returned || got != net {
					t.Errorf("raised %d, returned %d, net %d; want %d, %d, %d", e.Raised, e.Returned, got, raised, returned, net)
				}
			}
			want(hold, "00")
			want(c.followUp(iso.OpIncrement, hold, raise(10000, 2500)), "00")
			held(2500, 0, 12500)
			vain := want(c.followUp(iso.OpIncrement, hold, raise(12500, 1000)), "00")
			held(3500, 0, 13500)
			undo := c.followUp(iso.OpReversal, vain, func(v *iso.Values) {
				v.Amount, _ = number(vain.Get(4))
				v.Original.Operation, v.Original.SentAt, v.RRN = iso.OpIncrement, v.SentAt, string(vain.Get(37))
				if c.d.IncrementByTotal() {
					v.Replacement = 12500
				}
			})
			want(undo, "00")
			held(2500, 0, 12500)
			want(c.followUp(iso.OpIncrement, hold, raise(12500, 0)), "00")
			held(2500, 0, 12500)
			want(c.followUp(iso.OpCapture, hold, amountOf(12501)), "13")
			want(c.followUp(iso.OpVoid, hold, amountOf(12500)), "00")
			held(2500, 12500, 0)
			want(c.followUp(iso.OpIncrement, hold, raise(12500, 500)), "12")
		})
	}
}

// What was captured is raised no more, a purchase never.
func TestIncrementsRefused(t *testing.T) {
	for _, name := range generic87 {
		c := signedOn(t, start(t, Config{Dialect: dialect(t, name)}))
		hold, bought := c.build(iso.OpAuthorization, c.values("4111111111111111", 1000)), c.build(iso.OpPurchase, c.values("4111111111111111", 1000))
		for _, m := range []*iso.Message{hold, bought, c.followUp(iso.OpCapture, hold, amountOf(400))} {
			if got := c.ask(m); code(got) != "00" {
				t.Fatalf("%s: %s answered %q", name, m.MTI, code(got))
			}
		}
		for _, m := range []*iso.Message{hold, bought} {
			if got := c.ask(c.followUp(iso.OpIncrement, m, raise(1000, 100))); code(got) != "12" {
				t.Errorf("%s: an increment of a %s answered %q", name, m.MTI, code(got))
			}
		}
	}
}

// A payout credits the card, its reversal takes it back; a verification moves
// nothing.
func TestPayoutsAndVerifications(t *testing.T) {
	for _, name := range generic87 {
		b := start(t, Config{Dialect: dialect(t, name)})
		c := signedOn(t, b)
		out := c.build(iso.OpPayout, c.values("4111111111111111", 700))
		undo := c.followUp(iso.OpReversal, out, func(v *iso.Values) {
			v.Amount, v.Original.Operation, v.RRN = 700, iso.OpPayout, string(out.Get(37))
		})
		good := c.build(iso.OpVerification, c.values("4111111111111111", 0))
		bad := c.build(iso.OpVerification, c.values("4000000000000069", 0))
		for _, step := range []struct {
			m    *iso.Message
			code string
			net  int64
		}{{out, "00", -700}, {c.repeat(out), "00", -700}, {undo, "00", 0}, {good, "00", 0}, {bad, "54", 0}} {
			if got := c.ask(step.m); code(got) != step.code {
				t.Errorf("%s: %s answered %q, want %q", name, step.m.MTI, code(got), step.code)
			}
			if net := b.Books().Summary().Currencies["EUR"].Net; net != step.net {
				t.Errorf("%s: net %d after %s, want %d", name, net, step.m.MTI, step.net)
			}
		}
		if s := b.Books().Summary().States; s["verified"] != 1 || s["declined"] != 1 {
			t.Errorf("%s: states %v", name, s)
		}
	}
}
