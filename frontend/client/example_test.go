package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/tranzit/tranzit/frontend/client"
)

func Example() {
	if err := buySocks("http://127.0.0.1:8080", "sk_test_demo_4f9a1c7e2b6d8035"); err != nil {
		fmt.Println(err)
	}
}

func buySocks(base, key string) error {
	c, err := client.New(base, key)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	p, err := c.CreatePayment(ctx, client.PaymentRequest{
		IdempotencyKey: "order-1002-try-1",
		Amount:         129900, Currency: "RUB", OrderID: "A-1002",
		Method: client.ByCard(client.CardNumber{Number: "4111111111111111", ExpMonth: 12, ExpYear: 2028, CVC: "123"}),
	})
	var problem *client.Problem
	switch {
	case errors.As(err, &problem):
		return fmt.Errorf("refused with %s, quote %s", problem.Code, problem.RequestID)
	case err != nil:
		return err // nobody answered: call again, later, with the same idempotency key
	case p.Unknown():
		p, err = c.AwaitPayment(ctx, p.ID)
	}
	if err != nil {
		return err
	}
	if p.Status != "captured" {
		return fmt.Errorf("not paid: %s", p.Status)
	}
	_, err = c.Refund(ctx, p.ID, client.UndoRequest{IdempotencyKey: "return-1002-1", Amount: 29900, Reason: "one pair came back"})
	return err
}

func hooks(secret string, keep func(*client.Event) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return
		}
		event, err := client.ReadWebhook(secret, r.Header, body)
		if err != nil {
			http.Error(w, "not for us", http.StatusForbidden)
			return
		}
		if err := keep(event); err != nil { // once for each event.ID; the work comes later
			http.Error(w, "again, please", http.StatusServiceUnavailable)
		}
	}
}

func ExampleReadWebhook() {
	http.Handle("POST /hooks", hooks("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", func(e *client.Event) error {
		fmt.Println(e.Type, e.PaymentID)
		return nil
	}))
}

// A shop asks to be connected, confirms its address and has a key of test mode.
func ExampleApply() {
	ctx := context.Background()
	made, err := client.Apply(ctx, client.Options{Base: "https://pay.example.com"}, client.ApplicationForm{Company: "Roses Ltd", Registration: "1027700132195",
		Country: "643", City: "MOSCOW", StatementName: "ROSES", Site: "https://shop.example", ContactName: "Irina Petrova", Email: "pay@shop.example",
		Phone: "+74951234567", MCC: "5411", MonthlyVolume: 10000000, Currency: "RUB", Language: "en", TimeZone: "Europe/Moscow", Integration: "page"})
	if err != nil {
		log.Fatal(err)
	}
	mine, err := client.New("https://pay.example.com", made.Secret) // keep the secret: it is shown this once
	if err != nil {
		log.Fatal(err)
	}
	opened, err := mine.ActOnApplication(ctx, made.ID, client.ApplicationAct{Type: "confirm", Code: "12345678"}) // of the letter
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(opened.MerchantID, opened.APIKey)
}
