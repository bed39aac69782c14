package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/frontend"
	"github.com/tranzit/tranzit/frontend/client"
)

// api serves the merchants' API in front of the rig's switch and its deliverer.
func (r *rig) api() *client.Client {
	r.t.Helper()
	front, err := frontend.New(frontend.Options{Switch: r.sw, Logger: slog.New(slog.DiscardHandler), PlainWebhooks: true, TestEndpoint: r.d.Test})
	must(r.t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(r.t, err)
	served := make(chan error, 1)
	go func() { served <- front.Serve(ln) }()
	transport := &http.Transport{}
	r.t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		must(r.t, front.Shutdown(ctx))
		must(r.t, <-served)
	})
	c, err := client.Open(client.Options{Base: "http://" + ln.Addr().String(), Key: testKey, HTTP: &http.Client{Transport: transport}})
	must(r.t, err)
	return c
}

// TestAShopsDay goes through every call about webhooks with the Go client and a
// real receiver: a new endpoint, a test, an outage, what was lost and sent again.
func TestAShopsDay(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, func(o *Options) { o.Retries = repeat(time.Millisecond, 1) })
	c, rec := r.api(), newReceiver(t)
	e, err := c.CreateWebhookEndpoint(ctx, client.WebhookEndpointRequest{URL: rec.server.URL + "/hooks", Types: []string{"payment.*"}})
	must(t, err)
	rec.secret = []string{e.Secret}

	test, err := c.TestWebhookEndpoint(ctx, e.ID)
	must(t, err)
	if !test.Delivered || test.HTTPStatus != 200 || test.Endpoint != e.ID || len(rec.taken) != 1 || rec.taken[0].Type != "webhook.test" {
		t.Errorf("the test: %+v, taken %+v", test, rec.taken)
	}
	rec.does(status(503))
	if test, err = c.TestWebhookEndpoint(ctx, e.ID); err != nil || test.Delivered || test.HTTPStatus != 503 {
		t.Errorf("the test of a shop that is down: %+v, %v", test, err)
	}

	lost := r.pay(banksim.Approve)
	var events []client.Event
	within(t, "an event that was given up", func() bool {
		page, err := c.ListEvents(ctx, client.EventFilter{PaymentID: lost.Text("pay"), Types: []string{"payment.captured"}})
		must(t, err)
		events = page.Data
		deliveries, err := c.ListDeliveries(ctx, events[0].ID)
		must(t, err)
		return len(deliveries) == 2 && deliveries[0].Status == "retrying" && deliveries[1].Status == "failed" &&
			deliveries[1].HTTPStatus == 503 && deliveries[1].NextAttemptAt == nil
	})
	rec.does(status(200))
	n, err := c.ResendEvent(ctx, events[0].ID, e.ID)
	must(t, err)
	rec.wants(lost, "payment.captured")
	one, err := c.GetEvent(ctx, events[0].ID)
	must(t, err)
	if n != 1 || one.Payment == nil || one.Payment.Status != "captured" || one.Sequence != 1 || one.Operation != nil {
		t.Errorf("resent to %d: %+v", n, one)
	}

	rolled, err := c.RollWebhookSecret(ctx, e.ID, 0)
	must(t, err)
	rec.mu.Lock()
	rec.secret, rec.taken, rec.last = []string{rolled.Secret}, nil, map[string]int{}
	rec.mu.Unlock()
	again, err := c.ReplayEvents(ctx, e.ID, time.Now().Add(-time.Hour), time.Time{})
	must(t, err)
	rec.wants(lost, "payment.captured")
	if again.Events != 1 || again.HasMore || again.NextFrom != nil {
		t.Errorf("the replay: %+v", again)
	}

	off, all := false, []string{"*"}
	e, err = c.ChangeWebhookEndpoint(ctx, e.ID, client.WebhookEndpointChange{Enabled: &off, Types: all})
	must(t, err)
	if e.Enabled || e.DisabledReason != "by_merchant" || !slices.Equal(e.Types, all) || e.Secret != "" {
		t.Errorf("the disabled endpoint: %+v", e)
	}
	_, err = c.ResendEvent(ctx, events[0].ID, e.ID)
	var p *client.Problem
	if !errors.As(err, &p) || p.Code != "invalid_state" {
		t.Errorf("resent to a disabled endpoint: %v", err)
	}
	must(t, c.DeleteWebhookEndpoint(ctx, e.ID))
	if list, err := c.ListWebhookEndpoints(ctx); err != nil || len(list) > 0 {
		t.Errorf("after the last was deleted: %v, %v", list, err)
	}
}
