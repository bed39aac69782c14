package client_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/frontend"
	"github.com/tranzit/tranzit/frontend/client"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// Cards of the simulated bank by what they do.
const (
	cardApproved = "4111111111111111"
	cardDeclined = "4000000000009995"
	cardResolved = "4000000001020009" // no answer, then reversed
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openSwitch is a real switch over a store in memory and a simulated bank on loopback.
func openSwitch(t *testing.T) *payswitch.Switch {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	dialect, err := iso.Builtin("ascii87")
	must(t, err)
	bank, err := banksim.New(banksim.Config{Dialect: dialect, Logger: quiet})
	must(t, err)
	must(t, bank.Start())
	t.Cleanup(func() { _ = bank.Close() })
	store, err := storage.Open(storage.Options{Disk: storage.NewMemDisk(), Logger: quiet, OnFatal: func(err error) { t.Error(err) }})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	path := filepath.Join(t.TempDir(), "keys")
	must(t, payswitch.CreateKeyRing(path))
	keys, err := payswitch.LoadKeyRing(path)
	must(t, err)
	profile, err := iso.ResolveProfile("demo-alfa")
	must(t, err)
	sw, err := payswitch.New(payswitch.Options{
		Store: store, Keys: keys, Logger: quiet,
		Banks: []payswitch.BankConfig{{Dialect: dialect, Profile: profile, Acquirer: "123456", Link: acquirers.Config{
			ID: "alfa", Endpoints: []string{bank.Addr()}, SignOn: true, Institution: "123456", Logger: quiet,
			WriteTimeout: 100 * time.Millisecond, ResponseTimeout: 300 * time.Millisecond,
		}}},
		Merchants: []payswitch.Merchant{{
			ID: "mer_socks", Name: "TEST SHOP", City: "MOSCOW", Country: "643", MCC: "5411",
			Keys:  []payswitch.APIKey{{Hash: payswitch.HashKey([]byte(key))}},
			Banks: []payswitch.MerchantBank{{Bank: "alfa", MerchantID: "000000000000001", Terminals: []string{"T0000001"}, Payouts: map[string]int64{"RUB": 0}}},
		}},
	})
	must(t, err)
	must(t, sw.Start())
	t.Cleanup(sw.Close)
	for deadline := time.Now().Add(60 * time.Second); ; {
		ok, reasons := sw.Ready()
		if ok {
			return sw
		}
		if time.Now().After(deadline) {
			t.Fatalf("the switch is not ready: %v", reasons)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// openAPI serves a switch and gives the address.
func openAPI(t *testing.T) string {
	return openAPIAt(t, func() time.Time { return time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC) })
}

// openAPIAt is openAPI by another clock.
func openAPIAt(t *testing.T, now func() time.Time) string {
	t.Helper()
	server, err := frontend.New(frontend.Options{Switch: openSwitch(t), Logger: slog.New(slog.DiscardHandler), Now: now})
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		must(t, server.Shutdown(ctx))
		must(t, <-served)
	})
	return "http://" + ln.Addr().String()
}

// forgetful loses every first answer on its way back.
type forgetful struct {
	inner http.RoundTripper
	n     atomic.Int64
}

func (f *forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.inner.RoundTrip(r)
	if err == nil && f.n.Add(1)%2 == 1 {
		_ = resp.Body.Close()
		return nil, errors.New("the answer is lost")
	}
	return resp, err
}

func order(id, card string) client.PaymentRequest {
	return client.PaymentRequest{Amount: 129900, Currency: "RUB", OrderID: id, Metadata: map[string]string{"cart": "77"},
		Method: client.ByCard(client.CardNumber{Number: card, ExpMonth: 12, ExpYear: 2028, CVC: "123"})}
}

// TestLife walks the whole life of payments against the real server, and every
// first answer is lost on its way: all is done once.
func TestLife(t *testing.T) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.Open(client.Options{Base: openAPI(t) + "/", Key: key, HTTP: &http.Client{Transport: &forgetful{inner: transport}}, Pause: time.Millisecond})
	must(t, err)
	ctx := t.Context()

	hold := order("A-1", cardApproved)
	hold.CaptureMethod = "manual"
	held, err := c.CreatePayment(ctx, hold)
	must(t, err)
	if held.Status != "authorized" || !held.Meta.Replayed || held.Meta.Status != 201 || held.Card.Last4 != "1111" || held.Metadata["cart"] != "77" || held.CreatedAt.IsZero() {
		t.Errorf("the hold is %+v", held)
	}
	more, err := c.Increment(ctx, held.ID, client.IncrementRequest{Amount: held.Amount + 500})
	must(t, err)
	if more.Object != "increment" || more.Status != "succeeded" || more.AmountAdded != 500 || more.Payment.AmountAuthorized != held.Amount+500 {
		t.Errorf("the increment: %+v", more)
	}
	taken, err := c.Capture(ctx, held.ID, client.CaptureRequest{Amount: 100000, Final: true})
	must(t, err)
	if taken.Open() || taken.Status != "succeeded" || taken.Amount != 100000 || !taken.Final || taken.Payment.AmountCaptured != 100000 || !taken.Meta.Replayed {
		t.Errorf("the capture is %+v", taken)
	}
	returned, err := c.Refund(ctx, held.ID, client.UndoRequest{Amount: 29900, Reason: "one pair came back"})
	must(t, err)
	undone, err := c.Cancel(ctx, held.ID, client.UndoRequest{All: true})
	must(t, err)
	if returned.Payment.Status != "partially_refunded" || undone.Object != "refund" || undone.Amount != 70100 || undone.Payment.Status != "refunded" {
		t.Errorf("refund %+v\ncancel %+v", returned, undone)
	}
	_, err = c.Refund(ctx, held.ID, client.UndoRequest{Amount: 1})
	var problem *client.Problem
	if !errors.As(err, &problem) || problem.Status != 409 || problem.Code != "invalid_state" || problem.Retryable || problem.RequestID == "" {
		t.Errorf("one refund too many: %v", err)
	}
	reads(t, c, held.ID, returned.ID)
}

// reads reads back what TestLife did.
func reads(t *testing.T, c *client.Client, payment, refund string) {
	t.Helper()
	now, err := c.GetPayment(t.Context(), payment)
	must(t, err)
	refunds, err := c.ListRefunds(t.Context(), payment)
	must(t, err)
	one, err := c.GetRefund(t.Context(), payment, refund)
	must(t, err)
	story, err := c.GetTimeline(t.Context(), payment)
	must(t, err)
	if now.AmountRefunded != 100000 || len(refunds) != 2 || refunds[0].ID != refund || one.Amount != 29900 || one.Payment != nil {
		t.Errorf("payment %+v\nrefunds %+v\none %+v", now, refunds, one)
	}
	if len(story) != 10 || story[0].Type != "intent" || story[0].Message.MTI != "0100" || story[len(story)-1].Status != "refunded" {
		t.Errorf("%d events: %+v", len(story), story)
	}
	_, err = c.GetPayment(t.Context(), "../payments")
	var problem *client.Problem
	if !errors.As(err, &problem) || problem.Code != "not_found" {
		t.Errorf("an id that is a path: %v", err)
	}
}

func TestDeclinedUnknownAndPages(t *testing.T) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.Open(client.Options{Base: openAPI(t), Key: key, HTTP: &http.Client{Transport: transport}})
	must(t, err)
	declined, err := c.CreatePayment(t.Context(), order("B-1", cardDeclined))
	must(t, err)
	if declined.Status != "declined" || declined.Decline.Code != "insufficient_funds" || declined.Decline.Retry == "" {
		t.Errorf("declined: %+v", declined)
	}
	unknown, err := c.CreatePayment(t.Context(), order("B-2", cardResolved))
	must(t, err)
	if !unknown.Unknown() || unknown.Meta.Status != 202 || unknown.Resolution == nil {
		t.Errorf("unknown: %+v", unknown)
	}
	settled, err := c.AwaitPayment(t.Context(), unknown.ID)
	must(t, err)
	if settled.Status != "reversed" || settled.Version <= unknown.Version {
		t.Errorf("settled: %+v", settled)
	}
	bad := order("B-3", "4111111111111112")
	bad.Amount = 0
	_, err = c.CreatePayment(t.Context(), bad)
	var problem *client.Problem
	if !errors.As(err, &problem) || problem.Code != "invalid_request" || len(problem.Fields) != 2 || problem.Fields[0].Pointer != "/amount" {
		t.Errorf("a bad request: %v", err)
	}
	var orders []string
	for p, err := range c.AllPayments(t.Context(), client.PaymentFilter{Limit: 1, CreatedTo: time.Now().Add(time.Minute), CreatedFrom: declined.CreatedAt}) {
		must(t, err)
		orders = append(orders, p.OrderID)
	}
	if len(orders) != 2 || orders[0] != "B-2" || orders[1] != "B-1" {
		t.Errorf("orders %v", orders)
	}
	once := order("C-1", cardApproved)
	once.OrderOnce = true
	paid, err := c.CreatePayment(t.Context(), once)
	must(t, err)
	_, err = c.CreatePayment(t.Context(), once)
	var taken *client.Problem
	if paid.Attempt != 1 || !errors.As(err, &taken) || taken.Code != "order_paid" {
		t.Errorf("an order that is paid once: attempt %d, then %v", paid.Attempt, err)
	}
}

// TestExampleWorks runs what the page shows.
func TestExampleWorks(t *testing.T) {
	base := openAPI(t)
	must(t, buySocks(base, key))
	must(t, buySocks(base, key))
}
