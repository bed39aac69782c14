package client_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tranzit/tranzit/frontend/client"
)

// TestPayouts: money out by a saved card that was found good, held to what came in.
func TestPayouts(t *testing.T) {
	ctx := context.Background()
	c, err := client.New(openAPI(t), key)
	must(t, err)
	card := client.CardNumber{Number: cardApproved, ExpMonth: 12, ExpYear: 2028, CVC: "123"}
	good, err := c.Verify(ctx, client.VerificationRequest{Currency: "RUB", Method: client.ByCard(card), SaveCard: true, Customer: &client.Customer{ID: "customer-17"}})
	must(t, err)
	if good.Object != "verification" || good.Status != "succeeded" || good.Token == "" || good.Meta.Status != 201 {
		t.Fatalf("the verification: %+v", good)
	}
	if read, err := c.GetVerification(ctx, good.ID); err != nil || read.Token != good.Token {
		t.Errorf("read: %+v, %v", read, err)
	}
	out := client.PayoutRequest{Amount: 5000, Currency: "RUB", OrderID: "W-77", Method: client.PaymentMethod{Type: "token", Token: good.Token}}
	var problem *client.Problem
	if _, err := c.CreatePayout(ctx, out); !errors.As(err, &problem) || problem.Code != "insufficient_balance" {
		t.Errorf("of nothing: %v", err)
	}
	_, err = c.CreatePayment(ctx, order("A-1", cardApproved))
	must(t, err)
	paid, err := c.CreatePayout(ctx, out)
	must(t, err)
	if paid.Object != "payout" || paid.Status != "succeeded" || paid.Amount != 5000 || paid.Token != good.Token {
		t.Errorf("the payout: %+v", paid)
	}
	if read, err := c.GetPayout(ctx, paid.ID); err != nil || read.Version != paid.Version {
		t.Errorf("read: %+v, %v", read, err)
	}
	page, err := c.ListPayouts(ctx, client.PaymentFilter{OrderID: "W-77"})
	must(t, err)
	if len(page.Data) != 1 || page.Data[0].ID != paid.ID {
		t.Errorf("the list: %+v", page)
	}
	all, err := c.Balances(ctx)
	must(t, err)
	if len(all) != 1 || all[0] != (client.Balance{Bank: "alfa", Currency: "RUB", Amount: 124900, Available: 124900}) {
		t.Errorf("the balances: %+v", all)
	}
}
