package payswitch

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

// lastAt is what the bank wrote down last.
func (r *rig) lastAt(bank string) banksim.Entry {
	r.t.Helper()
	all := r.banks[bank].Books().Entries()
	if len(all) == 0 {
		r.t.Fatal("the bank has no entry")
	}
	return all[len(all)-1]
}

// TestStoredCredentials: the first payment by a saved card has the card
// network's id, the card keeps it, and a payment that the merchant starts later
// carries it, also after a restart.
func TestStoredCredentials(t *testing.T) {
	for _, bank := range []string{"alfa", "vega"} {
		t.Run(bank, func(t *testing.T) {
			inRig(t, func(t *testing.T, r *rig) {
				a := r.account("two")
				q := r.request("save", cardOf(banksim.InitialIDNeeded), 100)
				q.Customer, q.SaveCard, q.Bank = "anna", true, bank
				first := r.wants(a, q, bank, "")
				id := first.Particulars.NetworkTransactionID
				if e := r.lastAt(bank); id == "" || id != e.NetworkTransactionID || first.Particulars.Credential != iso.CredentialFirst || e.Carried.Credential != "first" {
					t.Fatalf("the first payment: %+v, the bank has %+v", first.Particulars, e)
				}
				r.stop()
				r.start()
				r.ready()
				a = r.account("two")
				again, err := r.core.Payment(a, PurposePayment, first.ID)
				if err != nil || !reflect.DeepEqual(again, first) {
					t.Errorf("after the restart %+v, %v; before %+v", again, err, first)
				}
				click := func(key, initiator string) Payment {
					q := r.request(key, cardOf(banksim.Approve), 200)
					q.PAN, q.CVC, q.Expiry, q.Token, q.Initiator, q.Bank = iso.PAN{}, iso.CVC{}, iso.Expiry{}, first.Token, initiator, bank
					return r.wants(a, q, bank, "")
				}
				later := click("later", "merchant")
				if later.Status != StatusCaptured || later.Particulars.InitialTransactionID != id || later.Particulars.Credential != iso.CredentialUnscheduled {
					t.Errorf("started by the merchant: %s, %+v", later.Status, later.Particulars)
				}
				if e := r.lastAt(bank); e.Carried.InitialTransactionID != id || e.Carried.Credential != "unscheduled" {
					t.Errorf("the bank has %+v", e.Carried)
				}
				if p := click("payer", "customer").Particulars; p.Credential != iso.CredentialSubsequent || p.InitialTransactionID != "" {
					t.Errorf("started by the payer: %+v", p)
				}
				if token, err := r.core.Token(a, first.Token); err != nil || token.NetworkTransactionID != id || token.Version != 1 {
					t.Errorf("the card has %+v, %v", token, err)
				}
				token, err := r.core.ReplaceCard(a, first.Token, &CardRequest{PAN: mustPAN(t, secondCard), Expiry: iso.Expiry{Year: 2031, Month: 1}})
				if err != nil || token.NetworkTransactionID != "" {
					t.Errorf("another card has the id of the one before: %+v, %v", token, err)
				}
			})
		})
	}
}

// TestFirstPaymentOfASavedCard: a card that was saved without a payment takes
// the id of the first payment that has one.
func TestFirstPaymentOfASavedCard(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		saved := r.saved(a, "anna", cardOf(banksim.Approve))
		var ids []string
		for _, key := range []string{"one", "two"} {
			q := r.request(key, cardOf(banksim.Approve), 200)
			q.PAN, q.CVC, q.Expiry, q.Token = iso.PAN{}, iso.CVC{}, iso.Expiry{}, saved.ID
			ids = append(ids, r.wants(a, q, "alfa", "").Particulars.NetworkTransactionID)
		}
		token, err := r.core.Token(a, saved.ID)
		if err != nil || ids[0] == "" || ids[0] == ids[1] || token.NetworkTransactionID != ids[0] || token.Version != 2 {
			t.Errorf("paid with %q, the card has %+v, %v", ids, token, err)
		}
	})
}

// TestOwnCredential: a shop that keeps cards itself says what the payment is.
// Without the id the bank's card refuses.
func TestOwnCredential(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		pay := func(key, initiator string, c iso.Carried) Payment {
			q := r.request(key, cardOf(banksim.InitialIDNeeded), 200)
			q.Initiator, q.Carried = initiator, &c
			return r.wants(a, q, "alfa", "")
		}
		first := pay("first", "customer", iso.Carried{Credential: iso.CredentialFirst})
		id := first.Particulars.NetworkTransactionID
		recurring := iso.Carried{Credential: iso.CredentialRecurring, Channel: iso.ChannelRecurring}
		if p := pay("without", "merchant", recurring); p.Status != StatusDeclined || p.Decline.Code != "authentication_required" {
			t.Errorf("without the id: %s %+v", p.Status, p.Decline)
		}
		recurring.InitialTransactionID = id
		p := pay("with", "merchant", recurring)
		if e := r.lastAt("alfa"); p.Status != StatusCaptured || e.Carried.InitialTransactionID != id || e.Carried.Channel != "recurring" || e.Carried.Credential != "recurring" {
			t.Errorf("with the id: %s, the bank has %+v", p.Status, e.Carried)
		}
		if p.Particulars.NetworkTransactionID == id {
			t.Error("a later payment has the first one's id")
		}
	})
}

// TestPlainPaymentsCarryNothing: neither the record nor the payment of an
// ordinary purchase has anything of it.
func TestPlainPaymentsCarryNothing(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		q := r.request("plain", cardOf(banksim.Approve), 200)
		q.Initiator = "customer"
		p := r.wants(r.account("one"), q, "alfa", "")
		h, err := r.core.history(p.ID)
		if err != nil || p.Particulars != nil || h.in.rare != nil {
			t.Errorf("%+v, %+v, %v", p.Particulars, h.in.rare, err)
		}
		if e := r.lastAt("alfa"); e.Carried != nil || e.NetworkTransactionID != "" {
			t.Errorf("the bank has %+v", e)
		}
	})
}

// TestChosenByWhatTheyCarry: a bank that cannot be told is passed over, and a
// request that no bank can be told is refused with the reason; nothing is sent.
func TestChosenByWhatTheyCarry(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		two := r.account("two")
		parts := func(key, bank string) *PayRequest {
			q := r.request(key, cardOf(banksim.Approve), 1200)
			q.Bank, q.Carried = bank, &iso.Carried{Instalments: iso.Instalments{Count: 12, Plan: "SPRING", Type: iso.InstalmentsByIssuer}}
			return q
		}
		p := r.wants(two, parts("any", ""), "alfa", "")
		if e := r.lastAt("alfa"); e.Carried.InstalmentCount != 12 || e.Carried.InstalmentPlan != "SPRING" || e.Carried.InstalmentType != "issuer" {
			t.Errorf("the bank has %+v", e.Carried)
		}
		if p.Particulars.Instalments.Count != 12 {
			t.Errorf("the payment has %+v", p.Particulars)
		}
		_, err := r.core.Pay(two, parts("vega's", "vega"))
		want := `Bank "vega" cannot be told this: the bank's purchase has no field for instalment_count. Nothing was recorded or sent.`
		if no, ok := err.(*Refusal); !ok || no.Code != CodeNotCarried || no.Detail != want || no.Pointer != "/instalments" {
			t.Errorf("refused with %v", err)
		}
		if n := r.banks["vega"].Books().Len(); n != 0 {
			t.Errorf("%d messages reached the bank", n)
		}
		e, err := r.core.Explain(two, parts("explained", "vega"))
		if err != nil || e.Bank != "" || e.Refusal.Code != CodeNotCarried || e.Considered[len(e.Considered)-1].Verdict != BankNotCarried {
			t.Errorf("explained as %+v, %v", e, err)
		}
	})
}

// TestChannels: the entry mode of a payment goes with all that follows it.
func TestChannels(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		q := r.request("phone", cardOf(banksim.ChargedWithoutAnswer), 200)
		q.Initiator, q.Carried = "merchant", &iso.Carried{Channel: iso.ChannelMOTO}
		p := r.wants(a, q, "alfa", "")
		if p.Particulars.Channel != iso.ChannelMOTO || p.Particulars.Credential != iso.CredentialNone {
			t.Errorf("the payment has %+v", p.Particulars)
		}
		r.pass(3 * rigResponse)
		events, err := r.core.Story(p.ID)
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		for _, e := range events {
			if e.Message == nil || e.Message.Direction != "sent" {
				continue
			}
			sent++
			for _, f := range e.Message.Fields {
				if f.Number == 22 && f.Value != "012" || f.Number == 25 && f.Value != "08" {
					t.Errorf("%s: field %d is %s", e.Type, f.Number, f.Value)
				}
			}
		}
		if sent < 2 {
			t.Errorf("%d messages", sent)
		}
	})
}

// TestNetworkTokens: the bank is told of the token and its cryptogram; without
// one it declines.
func TestNetworkTokens(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("two")
		for _, bank := range []string{"alfa", "vega"} {
			pay := func(key string, secrets *iso.Secrets, c iso.Carried) Payment {
				q := r.request(key+bank, cardOf(banksim.NetworkToken), 200)
				q.CVC, q.Bank, q.Secrets, q.Carried, q.ThreeDS.ECI = iso.CVC{}, bank, secrets, &c, "05"
				if c.Credential.ByMerchant() {
					q.Initiator = "merchant"
				}
				return r.wants(a, q, bank, "")
			}
			token := iso.Carried{NetworkToken: true, Wallet: iso.WalletMir, TokenRequestor: "40010030273", Credential: iso.CredentialFirst}
			p := pay("with", &iso.Secrets{Cryptogram: iso.NewSecret([]byte("AgAAAAAABk4DWZ4C28yUQAAAAAA="))}, token)
			if e := r.lastAt(bank); p.Status != StatusCaptured || !e.Carried.Cryptogram || e.Carried.Wallet != "mir_pay" || e.Carried.TokenRequestor != "40010030273" {
				t.Errorf("%s: %s, the bank has %+v", bank, p.Status, e.Carried)
			}
			if x := p.Particulars; !x.NetworkToken || x.Wallet != iso.WalletMir || x.ECI != "05" || x.NetworkTransactionID == "" {
				t.Errorf("%s: the payment has %+v", bank, x)
			}
			if p := pay("without", nil, token); p.Status != StatusDeclined || p.ResponseCode != "82" {
				t.Errorf("%s: without the cryptogram %s, %s", bank, p.Status, p.ResponseCode)
			}
			later := iso.Carried{NetworkToken: true, Credential: iso.CredentialUnscheduled, InitialTransactionID: p.Particulars.NetworkTransactionID}
			if p := pay("later", nil, later); p.Status != StatusCaptured {
				t.Errorf("%s: by the merchant with the id of the first: %s, %s", bank, p.Status, p.ResponseCode)
			}
		}
	})
}

// atTerminal is a payment by a card that is present.
func (r *rig) atTerminal(key string) *PayRequest {
	card := cardOf(banksim.Approve)
	q := r.request(key, card, 200)
	q.CVC, q.Carried = iso.CVC{}, &iso.Carried{Channel: iso.ChannelChip, CardSequence: "001"}
	q.Secrets = &iso.Secrets{Track2: iso.NewSecret([]byte(card + "=30122010000012345678")), EMV: iso.NewSecret([]byte("\x9F\x26\x08\xE1\xD2\xC3\xB4\xA5\x96\x87\x78"))}
	return q
}

// TestCardPresent: what a terminal read goes to the bank of a shop that may send
// it, with its entry mode; of another shop nothing is recorded or sent.
func TestCardPresent(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("two")
		r.wants(a, r.atTerminal("forbidden"), "", CodeForbidden)
		if _, err := r.core.Explain(a, r.atTerminal("explained")); codeOf(err) != CodeForbidden {
			t.Errorf("explained: %v", err)
		}
		if n := r.banks["alfa"].Books().Len(); n != 0 {
			t.Errorf("%d messages reached the bank", n)
		}
		a.Merchant.CardPresent = true
		for _, bank := range []string{"alfa", "vega"} {
			q := r.atTerminal("at " + bank)
			q.Bank = bank
			p := r.wants(a, q, bank, "")
			if e := r.lastAt(bank); p.Status != StatusCaptured || e.Carried.Channel != "chip" || !e.Carried.Track2 || !e.Carried.EMV || e.Carried.CardSequence != "001" {
				t.Errorf("%s: %s, the bank has %+v", bank, p.Status, e.Carried)
			}
		}
		e, err := r.core.Explain(a, r.atTerminal("shown"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range e.Message.Fields {
			if f.Number == 35 && f.Value != "411111******1111=********************" || f.Number == 55 && f.Value != "***" {
				t.Errorf("field %d is shown as %q", f.Number, f.Value)
			}
		}
	})
}

// TestStepUp: the bank's soft decline says what to do, and the next attempt with
// the authentication is approved.
func TestStepUp(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("two")
		for _, bank := range []string{"alfa", "vega"} {
			q := r.request("soft at "+bank, cardOf(banksim.StepUp), 200)
			q.Bank = bank
			p := r.wants(a, q, bank, "")
			if p.Status != StatusDeclined || p.Decline.Code != "authentication_required" || p.Decline.Retry != "with_changes" || p.Decline.ResponseCode != "1A" {
				t.Errorf("%s: %s %+v", bank, p.Status, p.Decline)
			}
			q = r.request("stepped up at "+bank, cardOf(banksim.StepUp), 200)
			q.Bank, q.ThreeDS = bank, ThreeDS{ECI: "05", CAVV: "AAABBWFlmQAAAABjRWWZEEFgFz+=", TransactionID: "f38e6948-5388-41a6-bca4-b49723c19437", Version: "2.2.0"}
			p = r.wants(a, q, bank, "")
			if e := r.lastAt(bank); p.Status != StatusCaptured || !e.Carried.CAVV || e.Carried.ThreeDSVersion != "2.2.0" || p.Particulars.ThreeDSVersion != "2.2.0" {
				t.Errorf("%s: %s, the bank has %+v", bank, p.Status, e.Carried)
			}
		}
	})
}

// TestCurrencyExponents: amounts are minor units of their currency, whatever its
// exponent, from the payment to the bank's books.
func TestCurrencyExponents(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("two")
		for alpha, exponent := range map[string]int{"JPY": 0, "RUB": 2, "KWD": 3} {
			currency, err := iso.ParseCurrency(alpha)
			if err != nil || currency.Exponent() != exponent {
				t.Fatalf("%s: exponent %d, %v", alpha, currency.Exponent(), err)
			}
			for _, bank := range []string{"alfa", "vega"} {
				for _, amount := range []int64{1, 1234, 999_999_999_999} {
					q := r.request(fmt.Sprint(alpha, bank, amount), cardOf(banksim.Approve), amount)
					q.Bank, q.Currency = bank, currency
					p := r.wants(a, q, bank, "")
					if e := r.lastAt(bank); p.AmountCaptured != amount || p.Currency != currency || e.Booked != amount || e.Currency != alpha {
						t.Errorf("%d %s at %s: captured %d, the bank has %d %s", amount, alpha, bank, p.AmountCaptured, e.Booked, e.Currency)
					}
				}
			}
		}
	})
}
