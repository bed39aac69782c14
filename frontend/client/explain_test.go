package client_test

import (
	"context"
	"testing"

	"github.com/tranzit/tranzit/frontend/client"
)

// TestExplain tells the bank and the message, and makes no payment.
func TestExplain(t *testing.T) {
	c, err := client.New(openAPI(t), key)
	must(t, err)
	r := client.PaymentRequest{Amount: 100, Currency: "RUB", Method: client.ByCard(client.CardNumber{Number: cardApproved, ExpMonth: 12, ExpYear: 2030, CVC: "123"})}
	e, err := c.ExplainPayment(context.Background(), r)
	must(t, err)
	if !e.Accepted || e.Bank != "alfa" || e.Considered[0].Verdict != "chosen" || e.Message.MTI != "0200" || len(e.Message.Fields) < 10 || e.Refusal != nil {
		t.Errorf("%+v", e)
	}
	list, err := c.ListPayments(context.Background(), client.PaymentFilter{})
	must(t, err)
	if len(list.Data) != 0 {
		t.Errorf("%d payments", len(list.Data))
	}
}
