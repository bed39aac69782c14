package payswitch

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

const secondCard = "5555555555554444"

func mustPAN(t *testing.T, number string) iso.PAN {
	t.Helper()
	pan, err := iso.ParsePAN([]byte(number))
	if err != nil {
		t.Fatal(err)
	}
	return pan
}

func (r *rig) saved(a Account, customer, number string) Token {
	r.t.Helper()
	token, _, err := r.core.SaveCard(a, &CardRequest{Customer: customer, PAN: mustPAN(r.t, number), Expiry: iso.Expiry{Year: 2030, Month: 12}})
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func codeOf(err error) Code {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

// TestTokenOfCard: one customer's card has one token, another's has another,
// also when it is the same card.
func TestTokenOfCard(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one, two := r.account("one"), r.account("two")
		live := Account{Merchant: one.Merchant, Live: true}
		card := cardOf(banksim.Approve)
		first := r.saved(one, "anna", card)
		if again := r.saved(one, "anna", card); again.ID != first.ID || again.Version != 1 {
			t.Errorf("the same card has the tokens %v and %v", first, again)
		}
		seen := map[ID]bool{first.ID: true}
		for _, other := range []Token{r.saved(one, "boris", card), r.saved(two, "anna", card), r.saved(live, "anna", card), r.saved(one, "anna", secondCard)} {
			if seen[other.ID] {
				t.Errorf("%v is another's token", other)
			}
			seen[other.ID] = true
		}
		later, fresh, err := r.core.SaveCard(one, &CardRequest{Customer: "anna", PAN: mustPAN(t, card), Expiry: iso.Expiry{Year: 2031, Month: 1}})
		if err != nil || fresh || later.ID != first.ID || later.Version != 2 || later.Card.Expiry.Year != 2031 {
			t.Errorf("a new expiry: %v, fresh %t, %v", later, fresh, err)
		}
		list, err := r.core.Tokens(one, "anna")
		if err != nil || len(list) != 2 || list[0].Card.Last4 != "4444" || list[1].ID != first.ID {
			t.Errorf("anna has %v, %v", list, err)
		}
		for _, stranger := range []Account{two, live} {
			if _, err := r.core.Token(stranger, first.ID); codeOf(err) != CodeNotFound {
				t.Errorf("a stranger sees the token: %v", err)
			}
			if err := r.core.DeleteToken(stranger, first.ID); codeOf(err) != CodeNotFound {
				t.Errorf("a stranger deletes the token: %v", err)
			}
			q := r.request("steal", card, 100)
			q.PAN, q.Token = iso.PAN{}, first.ID
			r.wants(stranger, q, "", CodeUnknownToken)
		}
	})
}

// TestPayBySavedCard: a card is saved with its payment's approval and no
// sooner, pays without its number, and no longer once it is deleted.
func TestPayBySavedCard(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		for _, does := range []banksim.Behaviour{banksim.Decline51, banksim.ChargedWithoutAnswer} {
			q := r.request("no "+string(does), cardOf(does), 100)
			q.Customer, q.SaveCard = "anna", true
			if p := r.wants(a, q, "alfa", ""); !p.Token.IsZero() {
				t.Errorf("%s: the card of a %s payment was saved", does, p.Status)
			}
		}
		q := r.request("save", cardOf(banksim.Approve), 100)
		q.Customer, q.SaveCard = "anna", true
		p := r.wants(a, q, "alfa", "")
		list, err := r.core.Tokens(a, "anna")
		if err != nil || len(list) != 1 || p.Token != list[0].ID || p.ByToken {
			t.Fatalf("paid %v, saved %v, %v", p, list, err)
		}
		click := func(key string, edit func(*PayRequest)) *PayRequest {
			q := r.request(key, cardOf(banksim.Approve), 200)
			q.PAN, q.CVC, q.Expiry, q.Token, q.Initiator = iso.PAN{}, iso.CVC{}, iso.Expiry{}, p.Token, "merchant"
			if edit != nil {
				edit(q)
			}
			return q
		}
		clicked := r.wants(a, click("click", nil), "alfa", "")
		if clicked.Status != StatusCaptured || !clicked.ByToken || clicked.Token != p.Token || clicked.Card.Last4 != "1111" || clicked.Card.Expiry.Year != 2030 {
			t.Errorf("one click: %+v", clicked)
		}
		r.wants(a, click("other's", func(q *PayRequest) { q.Customer = "boris" }), "", CodeUnknownToken)
		r.wants(a, click("nobody's", func(q *PayRequest) { q.Token = ID{1} }), "", CodeUnknownToken)
		if _, err := r.core.ReplaceCard(a, p.Token, &CardRequest{Expiry: iso.Expiry{Year: 1999, Month: 1}}); err != nil {
			t.Error(err)
		}
		r.wants(a, click("expired", nil), "", CodeCardExpired)
		if err := r.core.DeleteToken(a, p.Token); err != nil {
			t.Fatal(err)
		}
		r.wants(a, click("deleted", nil), "", CodeUnknownToken)
		repeat, err := r.core.Pay(a, click("click", nil))
		if err != nil || !repeat.Replayed || repeat.Payment.ID != clicked.ID {
			t.Errorf("the repeat of a payment by a card deleted since: %v, %v", repeat, err)
		}
		saved, err := r.core.Pay(a, q)
		if err != nil || !saved.Replayed || saved.Payment.Token != p.Token {
			t.Errorf("the repeat of the payment that saved a card deleted since: %v, %v", saved, err)
		}
		if again := r.saved(a, "anna", cardOf(banksim.Approve)); again.ID == p.Token {
			t.Error("a deleted token is back")
		}
	})
}

// TestReplaceCard: another card goes under the same token, and the one before
// is nowhere.
func TestReplaceCard(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		card := cardOf(banksim.Approve)
		token := r.saved(a, "anna", card)
		taken := r.saved(a, "anna", cardOf(banksim.Decline51))
		before, _, _ := r.store.Get(spaceCard, tokenKey(token.ID), nil)
		swap := &CardRequest{PAN: mustPAN(t, secondCard), Expiry: iso.Expiry{Year: 2032, Month: 5}}
		for range 2 { // the second changes nothing
			got, err := r.core.ReplaceCard(a, token.ID, swap)
			if err != nil || got.Version != 2 || got.Card.Last4 != "4444" || got.Customer != "anna" || got.Card.Expiry.Month != 5 {
				t.Errorf("replaced: %+v, %v", got, err)
			}
		}
		after, _, _ := r.store.Get(spaceCard, tokenKey(token.ID), nil)
		if len(before) == 0 || bytes.Contains(after, before[len(before)-20:]) {
			t.Error("the sealed number of the card before is still there")
		}
		if _, err := r.core.ReplaceCard(a, token.ID, &CardRequest{PAN: mustPAN(t, cardOf(banksim.Decline51)), Expiry: swap.Expiry}); codeOf(err) != CodeInvalidState {
			t.Errorf("a card that %s has: %v", taken.ID.Text(TokenPrefix), err)
		}
		if back := r.saved(a, "anna", card); back.ID == token.ID {
			t.Error("the old card still finds the token")
		}
		q := r.request("click", card, 100)
		q.PAN, q.Token = iso.PAN{}, token.ID
		if p := r.wants(a, q, "alfa", ""); p.Card.Last4 != "4444" {
			t.Errorf("paid by %v", p.Card)
		}
	})
}

// TestDeletedTokenIsGone: nothing of the saved card stands in the journal's
// spaces afterwards.
func TestDeletedTokenIsGone(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		token := r.saved(a, "anna", secondCard)
		count := func() (n int) {
			if err := r.store.Scan(storage.Range{Space: spaceCard}, func(_, _ []byte) bool { n++; return true }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if count() != 3 {
			t.Errorf("%d entries of one saved card", count())
		}
		if err := r.core.DeleteToken(a, token.ID); err != nil || count() != 0 {
			t.Errorf("%d entries are left, %v", count(), err)
		}
		if err := r.core.DeleteToken(a, token.ID); codeOf(err) != CodeNotFound {
			t.Errorf("deleted twice: %v", err)
		}
	})
}

// TestCustomersCardsAreBounded: a full customer is refused before anything is
// recorded, and payments without saving go on.
func TestCustomersCardsAreBounded(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		for i := range maxCustomerTokens {
			r.saved(a, "anna", luhn(fmt.Sprintf("40000000%07d", i)))
		}
		if _, _, err := r.core.SaveCard(a, &CardRequest{Customer: "anna", PAN: mustPAN(t, secondCard)}); codeOf(err) != CodeInvalidState {
			t.Errorf("one more card: %v", err)
		}
		q := r.request("full", cardOf(banksim.Approve), 100)
		q.Customer, q.SaveCard = "anna", true
		r.wants(a, q, "", CodeInvalidRequest)
		q.SaveCard = false
		r.wants(a, q, "alfa", "")
		nobody := r.request("nobody", cardOf(banksim.Approve), 100)
		nobody.SaveCard = true
		r.wants(a, nobody, "", CodeInvalidRequest)
	})
}

// luhn appends the check digit.
func luhn(digits string) string {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return digits + string(rune('0'+(10-sum%10)%10))
}

// TestSameCardSavedAtOnce: payments that save one card at the same time name
// one token, also over a crash.
func TestSameCardSavedAtOnce(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		tokens := map[ID]int{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				q := r.request(fmt.Sprint("save-", i), cardOf(banksim.Approve), 100)
				q.Customer, q.SaveCard = "anna", true
				answer, err := r.core.Pay(a, q)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				tokens[answer.Payment.Token]++
			})
		}
		wg.Wait()
		if len(tokens) != 1 || tokens[ID{}] > 0 {
			t.Errorf("tokens of one card: %v", tokens)
		}
		r.crash()
		r.start()
		r.ready()
		list, err := r.core.Tokens(r.account("one"), "anna")
		if err != nil || len(list) != 1 || tokens[list[0].ID] != 20 {
			t.Errorf("after the crash: %v, %v", list, err)
		}
		r.pass(time.Second)
	})
}

func TestTokenRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string { return rapid.StringN(0, 20, 40).Draw(t, label) }
		want := tokenRecord{merchant: text("merchant"), digest: [16]byte{3}, sealed: rapid.SliceOfN(rapid.Byte(), 1, 60).Draw(t, "sealed")}
		want.Token = Token{ID: ID{7}, Version: rapid.Uint32().Draw(t, "version"), Live: rapid.Bool().Draw(t, "live"), Customer: text("customer"),
			Card:      Card{BIN: text("bin"), Last4: text("last4"), Brand: text("brand"), Expiry: iso.Expiry{Year: 2030, Month: 7}},
			CreatedAt: drawTime(t, "created"), UpdatedAt: drawTime(t, "updated")}
		body := want.encode(nil)
		got, err := decodeToken(want.ID, body)
		if err != nil || !bytes.Equal(got.encode(nil), body) || got.Token != want.Token {
			t.Fatalf("%+v, want %+v, %v", got, want, err)
		}
		for n := range body {
			if _, err := decodeToken(want.ID, body[:n]); err == nil {
				t.Fatalf("a token cut after %d bytes is read", n)
			}
		}
	})
}
