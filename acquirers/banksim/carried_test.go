package banksim

import (
	"testing"

	"github.com/tranzit/tranzit/iso"
)

// The books show what a request carries, an approval of a stored card's payment
// names it, also to a repeat, and a later one by the merchant needs that name.
func TestCarriedInTheBooks(t *testing.T) {
	for _, name := range generic87 {
		t.Run(name, func(t *testing.T) {
			b := start(t, Config{Dialect: dialect(t, name)})
			c := signedOn(t, b)
			ask := func(card string, carried iso.Carried, secrets *iso.Secrets) (*iso.Message, string) {
				t.Helper()
				v := c.values(card, 10000)
				v.Carried, v.Secrets = &carried, secrets
				m := c.build(iso.OpPurchase, v)
				ans := c.ask(m)
				return m, code(ans) + " " + string(c.d.NetworkTransactionID(ans))
			}
			const card, token = "4000000001270000", "4000000001260001"
			first, got := ask(card, iso.Carried{Credential: iso.CredentialFirst, Wallet: iso.WalletApple}, nil)
			if got != "00 483290000000001" {
				t.Fatalf("the first is answered %q", got)
			}
			if again := c.ask(c.repeat(first)); string(c.d.NetworkTransactionID(again)) != "483290000000001" {
				t.Error("its repeat has another id")
			}
			later := iso.Carried{Credential: iso.CredentialUnscheduled}
			for id, want := range map[string]string{"": "1A ", "483290000000009": "1A ", "99": "1A "} {
				later.InitialTransactionID = id
				if _, got := ask(card, later, nil); got != want {
					t.Errorf("with the id %q answered %q", id, got)
				}
			}
			later.InitialTransactionID = "483290000000001"
			if _, got := ask(card, later, nil); got != "00 483290000000005" {
				t.Errorf("with the id of the first answered %q", got)
			}
			if _, got := ask(token, later, nil); got != "82 " {
				t.Errorf("with the id of another card answered %q", got)
			}
			if _, got := ask(token, iso.Carried{}, &iso.Secrets{Cryptogram: iso.NewSecret([]byte("AgAAAAAA"))}); got != "00 483290000000007" {
				t.Errorf("with a cryptogram answered %q", got)
			}
			if _, got := ask("4111111111111111", iso.Carried{Channel: iso.ChannelMOTO}, nil); got != "00 " {
				t.Errorf("by telephone answered %q", got)
			}
			all := b.Books().Entries()
			if e := all[0]; e.NetworkTransactionID != "483290000000001" || *e.Carried != (Carried{Credential: "first", Wallet: "apple_pay", named: true}) {
				t.Errorf("the first stands as %+v", e.Carried)
			}
			if e := all[7]; e.NetworkTransactionID != "" || *e.Carried != (Carried{Channel: "moto"}) {
				t.Errorf("the order by telephone stands as %+v", e.Carried)
			}
		})
	}
}
