package banksim

import (
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// followUp is a later message about an earlier request.
func (c *client) followUp(op iso.Operation, original *iso.Message, change func(*iso.Values)) *iso.Message {
	c.tb.Helper()
	card := string(original.Get(2))
	v := c.values(card, 0)
	first, _ := number(original.Get(11))
	v.Original = iso.Original{MTI: original.MTI, STAN: iso.STAN(first), SentAt: sentAt, Acquirer: "123456"}
	v.SentAt, v.Reason = sentAt.Add(time.Hour), iso.ReasonCustomer
	if op == iso.OpVoid {
		v.RRN = string(original.Get(37))
	}
	change(&v)
	return c.build(op, v)
}

func amountOf(n int64) func(*iso.Values) { return func(v *iso.Values) { v.Amount = n } }

// A hold is captured in parts, never beyond itself, and refunded, never beyond
// what was captured; every repeat changes nothing.
func TestCapturesAndRefundsOfAHold(t *testing.T) {
	for _, name := range generic87 {
		t.Run(name, func(t *testing.T) {
			b := start(t, Config{Dialect: dialect(t, name)})
			c := signedOn(t, b)
			hold := c.build(iso.OpAuthorization, c.values("4111111111111111", 10000))
			want := func(m *iso.Message, rc string) {
				t.Helper()
				for _, copied := range []*iso.Message{m, c.repeat(m), c.repeat(m)} {
					if got := c.ask(copied); code(got) != rc {
						t.Fatalf("%s answered %q, want %q", copied.MTI, code(got), rc)
					}
				}
			}
			want(hold, "00")
			want(c.followUp(iso.OpCapture, hold, amountOf(6000)), "00")
			want(c.followUp(iso.OpCapture, hold, amountOf(4001)), "13")
			want(c.followUp(iso.OpCapture, hold, amountOf(4000)), "00")
			want(c.followUp(iso.OpVoid, hold, amountOf(10000)), "12")
			want(c.followUp(iso.OpRefund, hold, amountOf(9999)), "00")
			want(c.followUp(iso.OpRefund, hold, amountOf(2)), "13")
			want(c.followUp(iso.OpRefund, hold, amountOf(1)), "00")
			e := b.Books().Entries()[0]
			if e.Captured != 10000 || e.Refunded != 10000 || e.Returned != 0 {
				t.Errorf("the hold's entry says %+v", e)
			}
			total := b.Books().Summary().Currencies["EUR"]
			if total.Captured != (Account{2, 10000}) || total.Refunded != (Account{2, 10000}) {
				t.Errorf("totals %+v", total)
			}
		})
	}
}

// A refund that is reversed gives its room back.
func TestRefundReversed(t *testing.T) {
	b := start(t, Config{Dialect: dialect(t, "ascii87")})
	c := signedOn(t, b)
	charge, _ := c.purchase("4111111111111111", 500)
	c.ask(charge)
	v := c.values("4111111111111111", 500)
	first, _ := number(charge.Get(11))
	v.Original = iso.Original{MTI: charge.MTI, STAN: iso.STAN(first), SentAt: sentAt, Acquirer: "123456"}
	refund := c.build(iso.OpRefund, v)
	if got := c.ask(refund); code(got) != "00" {
		t.Fatalf("refund answered %q", code(got))
	}
	v.Original = iso.Original{Operation: iso.OpRefund, MTI: refund.MTI, STAN: v.STAN, SentAt: v.SentAt, Acquirer: "123456"}
	c.stan++
	v.STAN, v.Reason = c.stan, iso.ReasonTimeout
	if got := c.ask(c.build(iso.OpReversal, v)); code(got) != "00" {
		t.Fatalf("reversal answered %q", code(got))
	}
	if e := b.Books().Entries(); e[0].Refunded != 0 || e[1].State != StateReversed.String() {
		t.Errorf("books %+v", e)
	}
	if got := c.ask(c.followUp(iso.OpRefund, charge, amountOf(500))); code(got) != "00" {
		t.Errorf("the next refund answered %q", code(got))
	}
	if net := b.Books().Summary().Currencies["EUR"].Net; net != 0 {
		t.Errorf("net %d", net)
	}
}

// A capture of what is no hold is refused; a refund may be older than the books.
func TestOperationsWithoutAnOriginal(t *testing.T) {
	b := start(t, Config{Dialect: dialect(t, "ascii87")})
	c := signedOn(t, b)
	unseen := c.build(iso.OpAuthorization, c.values("4111111111111111", 100))
	charge, _ := c.purchase("4111111111111111", 100)
	c.ask(charge)
	for _, w := range []struct {
		m  *iso.Message
		rc string
	}{
		{c.followUp(iso.OpCapture, unseen, amountOf(100)), "25"},
		{c.followUp(iso.OpRefund, unseen, amountOf(100)), "00"},
		{c.followUp(iso.OpCapture, charge, amountOf(100)), "12"},
		{c.followUp(iso.OpVoid, charge, func(v *iso.Values) { v.Amount, v.Replacement = 100, 40 }), "00"},
		{c.followUp(iso.OpRefund, charge, amountOf(41)), "13"},
		{c.followUp(iso.OpRefund, charge, amountOf(40)), "00"},
	} {
		if got := c.ask(w.m); code(got) != w.rc {
			t.Errorf("%s answered %q, want %q", w.m.MTI, code(got), w.rc)
		}
	}
}
