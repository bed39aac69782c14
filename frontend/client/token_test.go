package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/client"
)

// TestSavedCards walks the life of a saved card against the real server, and
// every first answer is lost on its way.
func TestSavedCards(t *testing.T) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.Open(client.Options{Base: openAPI(t), Key: key, HTTP: &http.Client{Transport: &forgetful{inner: transport}}, Pause: time.Millisecond})
	must(t, err)
	ctx := t.Context()

	first := order("A-1", cardApproved)
	first.SaveCard, first.Customer = true, &client.Customer{ID: "anna"}
	paid, err := c.CreatePayment(ctx, first)
	must(t, err)
	if paid.Method.Type != "card" || paid.Method.Token == "" {
		t.Fatalf("paid with %+v", paid.Method)
	}
	token, err := c.CreateToken(ctx, client.CardNumber{Number: cardApproved, ExpMonth: 12, ExpYear: 2028}, "anna")
	must(t, err)
	if token.ID != paid.Method.Token || token.Customer.ID != "anna" || token.Card.Last4 != "1111" || token.Version != 1 {
		t.Errorf("the same card again: %+v", token)
	}
	click, err := c.CreatePayment(ctx, client.PaymentRequest{Amount: 100, Currency: "RUB", Method: client.ByToken(token.ID, ""), Initiator: "merchant"})
	must(t, err)
	if paid.NetworkID == "" || token.NetworkID != paid.NetworkID || click.InitialNetworkID != paid.NetworkID || click.Initiator != "merchant" || click.StoredCredential != "unscheduled" {
		t.Errorf("the first payment is %q, the card has %q, the click %+v", paid.NetworkID, token.NetworkID, click)
	}
	if click.Status != "captured" || click.Method != (client.UsedMethod{Type: "token", Token: token.ID}) {
		t.Errorf("one click: %s by %+v", click.Status, click.Method)
	}
	token, err = c.ReplaceCard(ctx, token.ID, client.CardNumber{ExpMonth: 1, ExpYear: 2031})
	must(t, err)
	if token.Version != 2 || token.Card.ExpYear != 2031 {
		t.Errorf("replaced: %+v", token)
	}
	list, err := c.ListTokens(ctx, "anna")
	must(t, err)
	if len(list) != 1 || list[0].ID != token.ID {
		t.Errorf("listed: %+v", list)
	}
	// The lost answer's repeat finds the card gone.
	var problem *client.Problem
	if err := c.DeleteToken(ctx, token.ID); !errors.As(err, &problem) || problem.Code != "not_found" {
		t.Errorf("deleted, and its answer lost: %v", err)
	}
	if _, err := c.GetToken(ctx, token.ID); !errors.As(err, &problem) || problem.Code != "not_found" {
		t.Errorf("a deleted card: %v", err)
	}
}

// TestPayByNetworkToken: the token's payment, a part accepted, and nothing of
// what is secret in print.
func TestPayByNetworkToken(t *testing.T) {
	c, err := client.New(openAPI(t), key)
	must(t, err)
	method := client.ByNetworkToken(client.NetworkToken{Number: "4000000001260001", ExpMonth: 12, ExpYear: 2028, Cryptogram: "AgAAAAAABk4DWZ4C28yUQAAAAAA=", Wallet: "mir_pay"})
	paid, err := c.CreatePayment(t.Context(), client.PaymentRequest{Amount: 100, Currency: "RUB", Method: method})
	must(t, err)
	if paid.Status != "captured" || paid.Method != (client.UsedMethod{Type: "network_token", Wallet: "mir_pay"}) || paid.NetworkID == "" {
		t.Errorf("paid: %s by %+v, %q", paid.Status, paid.Method, paid.NetworkID)
	}
	part, err := c.CreatePayment(t.Context(), client.PaymentRequest{Amount: 100, Currency: "RUB", AcceptPartial: true, Instalments: &client.Instalments{Count: 3},
		Method: client.ByCard(client.CardNumber{Number: "4000000001010000", ExpMonth: 12, ExpYear: 2028})})
	must(t, err)
	if part.Status != "captured" || part.AmountAuthorized != 50 || part.Instalments == nil || part.Instalments.Count != 3 {
		t.Errorf("a part: %+v", part)
	}
	terminal := client.AtTerminal(client.CardPresent{Entry: "chip", Track2: "4111111111111111=28122010000012345678", EMV: "9F2600",
		PIN: &client.PIN{Format: 0, Block: "0123456789ABCDEF", KSN: "FFFF9876543210E00003"}})
	var problem *client.Problem
	if _, err := c.CreatePayment(t.Context(), client.PaymentRequest{Amount: 100, Currency: "RUB", Method: terminal}); !errors.As(err, &problem) || problem.Code != "forbidden" {
		t.Errorf("a card that is present: %v", err)
	}
	shown := fmt.Sprintf("%v %+v %#v %v %+v %#v", method, method, method, terminal, terminal, terminal)
	for _, secret := range []string{"AgAAA", "40000000012", "4111", "9F26", "0123456789ABCDEF"} {
		if strings.Contains(shown, secret) {
			t.Errorf("printed: %s", shown)
		}
	}
}

// TestCardReplacement walks a link that nobody uses against the real server, and every
// first answer is lost on its way.
func TestCardReplacement(t *testing.T) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.Open(client.Options{Base: openAPI(t), Key: key, HTTP: &http.Client{Transport: &forgetful{inner: transport}}, Pause: time.Millisecond})
	must(t, err)
	ctx := t.Context()
	token, err := c.CreateToken(ctx, client.CardNumber{Number: cardApproved, ExpMonth: 12, ExpYear: 2030}, "anna")
	must(t, err)
	made, err := c.CreateCardReplacement(ctx, token.ID, client.CardReplacementRequest{Currency: "RUB", Language: "es"})
	must(t, err)
	if made.Status != "open" || !made.Meta.Replayed || made.Token != token.ID || !strings.HasSuffix(made.URL, "/pay/"+made.ID) {
		t.Errorf("made: %+v", made)
	}
	_, err = c.CancelCardReplacement(ctx, made.ID)
	must(t, err)
	over, err := c.GetCardReplacement(ctx, made.ID)
	must(t, err)
	if over.Status != "expired" || over.URL != "" {
		t.Errorf("canceled: %+v", over)
	}
}
