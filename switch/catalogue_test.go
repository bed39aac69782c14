package payswitch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

// holdTo is a profile of those keys and of nothing else.
func (r *rig) holdTo(bank, keys string) *iso.Profile {
	r.t.Helper()
	p, err := iso.ParseProfile(bank+".yaml", []byte("meta: {schema: 1, id: "+bank+", version: 1}\nname: {ru: Б, en: B, es: B}\nabout: {ru: Б, en: B, es: B}\n"+keys+"\n"))
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// inProfiles is inRig with banks of those profiles; an empty one takes all.
func inProfiles(t *testing.T, alfa, vega string, do func(t *testing.T, r *rig)) {
	t.Helper()
	r := newRig(t)
	r.adjust = func(o *Options) {
		unhurried(o)
		for i, keys := range []string{alfa, vega} {
			if keys != "" {
				o.Banks[i].Profile = r.holdTo(o.Banks[i].Link.ID, keys)
			}
		}
	}
	inThisRig(t, r, func() { do(r.t, r) })
}

// TestRoutedByProfile: a bank that does not take a payment is passed over, with the
// part of its profile named; where it is the only one the payment is refused, and
// nothing is recorded or sent.
func TestRoutedByProfile(t *testing.T) {
	for _, tt := range []struct {
		name, profile string
		change        func(q *PayRequest)
		rule, pointer string
		detail        string
	}{
		{"currency", "currencies: [RUB]", nil, "currencies", "/currency", ""},
		{"category", `mcc: {refused: ["5411"]}`, nil, "mcc", "", "takes no merchants of category 5411"},
		{"category not taken", `mcc: {taken: ["5311-5410"]}`, nil, "mcc", "", "takes no merchants of category 5411"},
		{"country", `countries: ["643"]`, nil, "countries", "", "takes no merchants of country 276"},
		{"brand", "cards: {brands: [mir, mastercard]}", nil, "cards.brands", "/payment_method", "takes no cards of the brand visa"},
		{"card", `cards: {refused: [{product: prepaid, bins: ["411110-411119"]}]}`, nil, "cards.refused", "/payment_method", "takes no prepaid cards of this range"},
		{"amount", "operations: {purchase: {amounts: {EUR: {from: 1001}}}}", nil, "operations.amounts", "/amount", "takes purchases of 1001 to 999999999999 in EUR"},
		{"operation", "operations: {purchase: {}}", func(q *PayRequest) { q.ManualCapture = true }, "operations", "/capture_method", "makes no authorizations"},
		{"channel", "channels: [ecommerce]", func(q *PayRequest) { q.Initiator, q.Carried = byMerchant, &iso.Carried{Channel: iso.ChannelMOTO} }, "channels", "/channel",
			"takes no payments by the channel moto"},
		{"credential", "credentials: [first]", func(q *PayRequest) { q.Initiator = byMerchant }, "credentials", "/stored_credential",
			"takes no payments whose use of a stored credential is unscheduled"},
		{"network token", "network_tokens: false", func(q *PayRequest) { q.Carried = &iso.Carried{NetworkToken: true} }, "network_tokens", "/payment_method/network_token",
			"takes no network tokens"},
		{"no instalments", "max_instalments: 0", func(q *PayRequest) { q.Carried = &iso.Carried{Instalments: iso.Instalments{Count: 2}} }, "max_instalments", "/instalments",
			"takes no payments by instalments"},
		{"instalments", "max_instalments: 3", func(q *PayRequest) { q.Carried = &iso.Carried{Instalments: iso.Instalments{Count: 4}} }, "max_instalments", "/instalments/count",
			"takes at most 3 instalments"},
		{"3-D Secure", "demands: [three_ds]", nil, "demands", "/three_ds", "demands three_ds"},
		{"code", "demands: [cvc]", func(q *PayRequest) { q.CVC = iso.CVC{} }, "demands", "/payment_method/card/cvc", "demands cvc"},
		{"address", "demands: [order_id, customer_email]", nil, "demands", "/customer/email", "demands customer_email"},
		{"order", "demands: [order_id]", func(q *PayRequest) { q.OrderID = "" }, "demands", "/order_id", "demands order_id"},
		{"description", "demands: [description]", nil, "demands", "/description", "demands description"},
		{"first payment", "demands: [network_transaction_id]", func(q *PayRequest) { q.Initiator = byMerchant }, "demands", "/network_transaction_id",
			"demands network_transaction_id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inProfiles(t, tt.profile, "", func(t *testing.T, r *rig) {
				ask := func(key, bank string) *PayRequest {
					q := r.request(key, cardOf(banksim.Approve), 1000)
					if q.Bank = bank; tt.change != nil {
						tt.change(q)
					}
					return q
				}
				two := r.account("two")
				e, err := r.core.Explain(two, ask("explained", "alfa"))
				if err != nil || e.Considered[0].Rule != tt.rule || e.Refusal == nil {
					t.Errorf("explained as %+v, %v", e, err)
					return
				}
				_, err = r.core.Pay(two, ask("asked", "alfa"))
				var no *Refusal
				if !errors.As(err, &no) || no.Pointer != tt.pointer || no.Error() != e.Refusal.Error() {
					t.Errorf("refused with %v, want a fault of %q as explained: %v", err, tt.pointer, e.Refusal)
					return
				}
				want := fmt.Sprintf("Bank \"alfa\" %s (%s in its profile). Nothing was recorded or sent.", tt.detail, tt.rule)
				if tt.detail != "" && (no.Code != CodeNotServed || no.Detail != want || e.Considered[0].Detail != "It "+tt.detail+".") {
					t.Errorf("refused with %q, explained %q, want %q", no.Detail, e.Considered[0].Detail, want)
				}
				if tt.detail == "" && no.Code != CodeCurrency {
					t.Errorf("refused with %v", no)
				}
				page, err := r.core.List(two, ListQuery{Limit: 10})
				if err != nil || len(page.Payments) != 0 || r.banks["alfa"].Books().Len() != 0 {
					t.Errorf("%d payments, %d messages, %v", len(page.Payments), r.banks["alfa"].Books().Len(), err)
				}
				if tt.name != "channel" && tt.name != "network token" && !strings.HasSuffix(tt.name, "instalments") { // vega's dialect has no field for these
					r.wants(two, ask("routed", ""), "vega", "")
				}
			})
		})
	}
}

// TestFirstMisfitIsTold: with no bank left the first one's reason is told, and a
// bank that only does not answer now is more useful than any.
func TestFirstMisfitIsTold(t *testing.T) {
	inProfiles(t, "demands: [description]", "operations: {purchase: {amounts: {EUR: {to: 5}}}}", func(t *testing.T, r *rig) {
		two := r.account("two")
		_, err := r.core.Pay(two, r.request("k", cardOf(banksim.Approve), 10))
		if no, ok := err.(*Refusal); !ok || no.Code != CodeNotServed || no.Pointer != "/description" {
			t.Errorf("refused with %v", err)
		}
		if err := r.core.SetDrained("vega", true, Act{Operator: "o", Reason: "r"}); err != nil {
			t.Error(err)
		}
		r.wants(two, r.request("drained", cardOf(banksim.Approve), 5), "", CodeBankUnavailable)
	})
}

// TestPayoutsAndVerificationsByProfile: what a bank does not do it is not asked for.
func TestPayoutsAndVerificationsByProfile(t *testing.T) {
	inProfiles(t, "operations: {purchase: {}, payout: {amounts: {EUR: {to: 500}}}}", "operations: {purchase: {}, verification: {}}", func(t *testing.T, r *rig) {
		two, card := r.account("two"), cardOf(banksim.Approve)
		r.wants(two, r.request("charge", card, 5000), "alfa", "")
		payout := func(key string, amount int64) *PayRequest {
			q := r.request(key, card, amount)
			q.Purpose, q.CVC = PurposePayout, iso.CVC{}
			return q
		}
		r.wants(two, payout("fits", 500), "alfa", "")
		r.wants(two, payout("too much", 501), "", CodeNotServed)
		check := r.request("check", card, 0)
		check.Purpose = PurposeVerification
		r.wants(two, check, "vega", "")
	})
}

// TestOperationsByProfile: an operation that the payment's bank does not take is
// refused with the reason, and nothing is recorded or sent.
func TestOperationsByProfile(t *testing.T) {
	profile := `operations:
  purchase: {}
  authorization: {}
  capture: {partial: false, amounts: {EUR: {from: 100}}}
  refund: {partial: false, days: 2, amounts: {EUR: {to: 2000}}}
  increment: {amounts: {EUR: {to: 1500}}}`
	inProfiles(t, profile, "", func(t *testing.T, r *rig) {
		one := r.account("one")
		pay := func(key string, amount int64, held bool) ID {
			q := r.request(key, cardOf(banksim.Approve), amount)
			q.ManualCapture = held
			return r.wants(one, q, "alfa", "").ID
		}
		operate := func(id ID, kind OperationKind, amount int64, want string) {
			t.Helper()
			_, before, err := r.core.Operations(one, id)
			if err != nil {
				t.Error(err)
				return
			}
			messages := r.banks["alfa"].Books().Len()
			_, err = r.core.Operate(one, &OperationRequest{Payment: id, Kind: kind, IdempotencyKey: fmt.Sprint(id, kind, amount, want), Amount: amount})
			if want == "" {
				if err != nil {
					t.Errorf("%s of %d: %v", kind, amount, err)
				}
				return
			}
			var no *Refusal
			if !errors.As(err, &no) || !strings.HasPrefix(no.Detail, want) {
				t.Errorf("%s of %d: %v, want %q", kind, amount, err, want)
			}
			_, after, err := r.core.Operations(one, id)
			if err != nil || len(after) != len(before) || r.banks["alfa"].Books().Len() != messages {
				t.Errorf("%s of %d left %d operations and %d messages, %v", kind, amount, len(after)-len(before), r.banks["alfa"].Books().Len()-messages, err)
			}
		}
		held := pay("held", 1000, true)
		operate(held, KindCapture, 999, "This bank takes no part of a hold: capture 1000, or cancel the payment.")
		operate(held, KindCancel, 0, "This bank cannot undo a hold")
		operate(held, KindIncrement, 1501, "This bank takes increments of 1 to 1500 in EUR.")
		operate(held, KindIncrement, 1500, "")
		operate(held, KindCapture, 0, "")
		operate(held, KindRefund, 1499, "This bank gives no part of a payment back: refund 1500.")
		operate(held, KindRefund, 0, "")
		operate(pay("small", 99, true), KindCapture, 0, "This bank takes captures of 100 to 999999999999 in EUR.")
		operate(pay("dear", 2001, false), KindRefund, 0, "This bank takes refunds of 1 to 2000 in EUR.")
		late := pay("late", 500, false)
		r.pass(2 * 24 * time.Hour)
		r.ready()
		operate(late, KindRefund, 0, "This bank takes refunds for 2 days after the approval.")
	})
}

// TestPassedOverByDialect: a bank whose dialect refuses the message is passed over,
// and named when none is left.
func TestPassedOverByDialect(t *testing.T) {
	r := newRig(t)
	r.adjust = func(o *Options) {
		picky, err := iso.ParseDialect("picky.yaml", []byte("inherits: ascii87\nmeta: {schema: 1, id: picky, version: 1, title: Picky}\n"+
			"messages: {purchase: {rules: [{field: 49, values: [\"643\"]}]}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		o.Banks[0].Dialect = picky
	}
	inThisRig(t, r, func() {
		two, card := r.account("two"), cardOf(banksim.Approve)
		e, err := r.core.Explain(two, r.request("explained", card, 100))
		if err != nil || e.Bank != "vega" || len(e.Faults) != 0 || e.Considered[0].Verdict != BankRuleBroken ||
			e.Considered[0].Detail != "Its dialect refuses field 49: it must be one of 643, by a rule of the dialect." {
			r.t.Errorf("explained as %+v, %v", e, err)
		}
		r.wants(two, r.request("routed", card, 100), "vega", "")
		asked := r.request("asked", card, 100)
		asked.Bank = "alfa"
		if e, err = r.core.Explain(two, asked); err != nil || e.Bank != "alfa" || len(e.Faults) != 1 || e.Refusal != nil {
			r.t.Errorf("explained as %+v, %v", e, err)
		}
		_, err = r.core.Pay(two, asked)
		want := `Bank "alfa" cannot be asked for this payment: iso: field 49: it must be one of 643, by a rule of the dialect. Nothing was recorded or sent.`
		if no, ok := err.(*Refusal); !ok || no.Code != CodeInvalidRequest || no.Detail != want {
			r.t.Errorf("refused with %v", err)
		}
		if n := r.core.banks["alfa"].link.Status(); r.banks["alfa"].Books().Len() != 0 {
			r.t.Errorf("the bank got something: %+v", n)
		}
		offer, ok := r.core.BankOffer("alfa")
		if !ok || len(offer.Fields) != 1 || offer.Fields[0] != (iso.FieldDemand{Operation: iso.OpPurchase, Field: 49, Name: "Currency code, transaction", Rule: "it must be one of 643"}) {
			r.t.Errorf("the offer has %+v", offer.Fields)
		}
		if held, _ := r.core.banks["alfa"].link.Taken(acquirers.ClassPayment); held != 0 {
			r.t.Errorf("%d slots are held", held)
		}
	})
}

// TestMovesOnlyToABankThatCan: a payment that never left is not moved to a bank
// whose dialect refuses it: it fails, and owes nothing.
func TestMovesOnlyToABankThatCan(t *testing.T) {
	r := newRig(t)
	r.adjust = func(o *Options) {
		picky, err := iso.ParseDialect("picky.yaml", []byte("inherits: binary87\nmeta: {schema: 1, id: picky, version: 1, title: Picky}\n"+
			"messages: {purchase: {rules: [{field: 49, values: [\"643\"]}]}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		o.Banks[1].Dialect = picky
	}
	inThisRig(t, r, func() {
		two := r.account("two")
		w := r.core.pool.Get().(*work)
		defer r.core.pool.Put(w)
		w.wish = r.request("k", cardOf(banksim.Approve), 100)
		to, err := r.core.place(two, w)
		if err != nil || to.bank.id != "alfa" {
			r.t.Errorf("composed at %+v, %v", to, err)
			return
		}
		w.h.in = &w.intent
		next, err := r.core.reroute(two, w, to)
		if next != nil || err != nil {
			r.t.Errorf("moved to %v, %v", next, err)
		}
		to.quit()
		for id, b := range r.core.banks {
			if held, _ := b.link.Taken(acquirers.ClassPayment); held != 0 {
				r.t.Errorf("%d slots of %s are held", held, id)
			}
		}
	})
}

// TestOffers: a bank's offer joins what its profile allows and what its dialect can
// say.
func TestOffers(t *testing.T) {
	inProfiles(t, "operations: {purchase: {}, authorization: {}, capture: {}, void: {}}", "", func(t *testing.T, r *rig) {
		offers := r.core.BankOffers()
		var ops []string
		for _, o := range offers[0].Operations {
			ops = append(ops, o.Operation.String())
		}
		if len(offers) != 2 || offers[0].ID != "alfa" || !slices.Equal(ops, []string{"purchase", "authorization", "capture", "void"}) {
			t.Errorf("%d offers, the first %+v", len(offers), offers[0])
		}
		if _, ok := r.core.BankOffer("nobody"); ok {
			t.Error("a bank that is not there has an offer")
		}
		if banks := r.core.BanksFor(r.account("one"), "en"); len(banks) != 1 || !*banks[0].Connected || banks[0].ID != "alfa" {
			t.Errorf("the merchant of one bank sees %+v", banks)
		}
	})
}
