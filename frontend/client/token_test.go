package client_test

import (
	"errors"
	"net/http"
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
