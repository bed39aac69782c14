package client_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/client"
)

// forger changes an answer on its way, or listens to what is sent.
type forger struct {
	inner  http.RoundTripper
	change func(*http.Response)
	seen   strings.Builder
}

func (f *forger) RoundTrip(r *http.Request) (*http.Response, error) {
	_ = r.Header.Write(&f.seen)
	resp, err := f.inner.RoundTrip(r)
	if err == nil && f.change != nil {
		f.change(resp)
	}
	return resp, err
}

// TestSignedLife: a client whose key signs does everything a client does, also
// when answers are lost; the secret is never on the wire; a forged answer is no
// answer.
func TestSignedLife(t *testing.T) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	var running atomic.Bool // the API began to run ten minutes ago
	base := openAPIAt(t, func() time.Time {
		if !running.Load() {
			return time.Now().Add(-10 * time.Minute)
		}
		return time.Now()
	})
	running.Store(true)
	ctx := t.Context()
	plain, err := client.New(base, key)
	must(t, err)
	made, err := plain.CreateKey(ctx, client.KeyRequest{Name: "signs", Scopes: []string{"*"}, Signed: true})
	must(t, err)

	wire := &forger{inner: transport}
	c, err := client.Open(client.Options{Base: base, KeyID: made.ID, Key: made.Secret, Pause: time.Millisecond,
		HTTP: &http.Client{Transport: &forgetful{inner: wire}}})
	must(t, err)
	p, err := c.CreatePayment(ctx, order("S-1", cardApproved))
	must(t, err)
	if p.Status != "captured" || !p.Meta.Replayed {
		t.Errorf("paid: %+v", p)
	}
	token, err := c.CreateToken(ctx, client.CardNumber{Number: cardApproved, ExpMonth: 12, ExpYear: 2028}, "anna")
	must(t, err)
	if _, err := c.ListPayments(ctx, client.PaymentFilter{OrderID: "S-1 & more?", Limit: 3}); err != nil {
		t.Error(err)
	}
	var problem *client.Problem
	if err := c.DeleteToken(ctx, token.ID); !errors.As(err, &problem) || problem.Status != 404 {
		t.Errorf("deleted, and told so the second time: %v", err)
	}
	if _, err := c.GetPayment(ctx, token.ID); !errors.As(err, &problem) || problem.Status != 404 {
		t.Errorf("no payment: %v", err)
	}
	if strings.Contains(wire.seen.String(), made.Secret) || strings.Contains(wire.seen.String(), "Authorization") {
		t.Error("the secret was sent")
	}

	for name, change := range map[string]func(*http.Response){
		"body":      func(r *http.Response) { r.Body = io.NopCloser(strings.NewReader(`{"status":"captured"}`)) },
		"status":    func(r *http.Response) { r.StatusCode = 200 },
		"unsigned":  func(r *http.Response) { r.Header.Del("Signature") },
		"signature": func(r *http.Response) { r.Header.Set("Signature", strings.ToUpper(r.Header.Get("Signature"))) },
	} {
		wire := &forger{inner: transport, change: change}
		c, err := client.Open(client.Options{Base: base, KeyID: made.ID, Key: made.Secret, Attempts: 1, HTTP: &http.Client{Transport: wire}})
		must(t, err)
		var lost *client.Lost
		if _, err := c.CreatePayment(ctx, order("S-2", cardDeclined)); !errors.As(err, &lost) {
			t.Errorf("a forged %s: %v", name, err)
		}
	}
	for _, o := range []client.Options{{Key: made.Secret}, {Key: key, KeyID: made.ID}, {Key: made.Secret, KeyID: `key"`}} {
		o.Base = base
		if _, err := client.Open(o); err == nil {
			t.Errorf("opened with %v", o.KeyID)
		}
	}
}
