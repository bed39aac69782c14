package client_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/client"
)

// TestCheckoutSessions walks a session that nobody pays against the real server,
// and every first answer is lost on its way.
func TestCheckoutSessions(t *testing.T) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.Open(client.Options{Base: openAPI(t), Key: key, HTTP: &http.Client{Transport: &forgetful{inner: transport}}, Pause: time.Millisecond})
	must(t, err)
	ctx := t.Context()
	made, err := c.CreateCheckoutSession(ctx, client.CheckoutSessionRequest{Amount: 100, Currency: "RUB", OrderID: "C-1", Language: "ru",
		Customer: &client.Customer{ID: "anna"}, Metadata: map[string]string{"k": "v"}})
	must(t, err)
	if made.Status != "open" || !made.Meta.Replayed || made.Customer.ID != "anna" || !strings.HasSuffix(made.URL, "/pay/"+made.ID) || made.Metadata["k"] != "v" {
		t.Errorf("made: %+v", made)
	}
	list, next, err := c.ListCheckoutSessions(ctx, 10, "")
	must(t, err)
	if len(list) != 1 || next != "" || list[0].ID != made.ID {
		t.Errorf("listed: %+v, %q", list, next)
	}
	sent, err := c.SendCheckoutSession(ctx, made.ID, client.CheckoutSend{Email: "anna@shop.example", Language: "es"})
	must(t, err)
	if !sent.Meta.Replayed || len(sent.Sent) != 1 || sent.Sent[0].To != "a***@shop.example" || sent.Sent[0].State != "owed" || sent.Sent[0].Due != sent.Sent[0].At {
		t.Errorf("sent: %+v", sent)
	}
	_, err = c.ExpireCheckoutSession(ctx, made.ID)
	must(t, err)
	over, err := c.GetCheckoutSession(ctx, made.ID)
	must(t, err)
	if over.Status != "expired" || over.URL != "" {
		t.Errorf("expired: %+v", over)
	}
	var problem *client.Problem
	if _, err = c.SendCheckoutSession(ctx, made.ID, client.CheckoutSend{Email: "anna@shop.example"}); !errors.As(err, &problem) || problem.Code != "invalid_state" {
		t.Errorf("sent after its end: %v", err)
	}
	paid, err := c.CreatePayment(ctx, order("receipt", cardApproved))
	must(t, err)
	receipt, err := c.SendReceipt(ctx, paid.ID, client.ReceiptRequest{Email: "anna@shop.example"})
	must(t, err)
	if receipt.Kind != "paid" || receipt.SentAgain != 1 || receipt.Payment != paid.ID {
		t.Errorf("the receipt: %+v", receipt)
	}
	if _, err = c.CreateCheckoutSession(ctx, client.CheckoutSessionRequest{Amount: 100, Currency: "RUB"}); !errors.As(err, &problem) || problem.Fields[0].Pointer != "/order_id" {
		t.Errorf("without an order: %v", err)
	}
}

// TestButtons walks a button against the real server, and every first answer is lost on
// its way.
func TestButtons(t *testing.T) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.Open(client.Options{Base: openAPI(t), Key: key, HTTP: &http.Client{Transport: &forgetful{inner: transport}}, Pause: time.Millisecond})
	must(t, err)
	ctx := t.Context()
	made, err := c.CreateButton(ctx, client.ButtonRequest{Name: "Gift", MinAmount: 100, MaxAmount: 200, Currency: "RUB", OrderID: "GIFT", Language: "ru"})
	must(t, err)
	if made.Status != "active" || !made.Meta.Replayed || made.Amount != 0 || made.MaxAmount != 200 || !strings.HasSuffix(made.URL, "/buy/"+made.ID) || !strings.Contains(made.Snippet, made.URL) {
		t.Errorf("made: %+v", made)
	}
	list, next, err := c.ListButtons(ctx, 10, "")
	must(t, err)
	if len(list) != 1 || next != "" || list[0].ID != made.ID {
		t.Errorf("listed: %+v, %q", list, next)
	}
	_, err = c.DisableButton(ctx, made.ID)
	must(t, err)
	over, err := c.GetButton(ctx, made.ID)
	must(t, err)
	if over.Status != "disabled" || over.DisabledAt.IsZero() {
		t.Errorf("disabled: %+v", over)
	}
}
