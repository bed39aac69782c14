package webhooks

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tranzit/tranzit/acquirers/banksim"
	payswitch "github.com/tranzit/tranzit/switch"
)

func TestEventsReachTheShop(t *testing.T) {
	r := newRig(t, nil)
	rec := newReceiver(t)
	e := r.endpoint(rec.server.URL)
	rec.secret = []string{e.Secrets[0].Secret}
	p := r.pay(banksim.Approve)
	r.refund(p, 300)
	rec.wants(p, "payment.captured refund.succeeded payment.partially_refunded")
	q := r.pay(banksim.NoAnswer)
	rec.wants(q, "payment.unknown payment.reversed")
	for _, g := range rec.taken {
		object := g.Data.Object
		if g.Type == "payment.captured" && (object["status"] != "captured" || object["amount_refunded"] != 0.0) {
			t.Errorf("%s shows %v", g.Type, object)
		}
		if payment, _ := object["payment"].(map[string]any); g.Type == "refund.succeeded" && (object["amount"] != 300.0 || payment["amount_refunded"] != 300.0) {
			t.Errorf("%s shows %v", g.Type, object)
		}
	}
	if owing, err := r.sw.Outbox().Owing(); err != nil || len(owing) > 0 {
		within(t, "nothing owed", func() bool { owing, _ := r.sw.Outbox().Owing(); return len(owing) == 0 })
	}
}

// TestTheOldSecretSignsAlong during the overlap.
func TestTheOldSecretSignsAlong(t *testing.T) {
	r := newRig(t, nil)
	rec := newReceiver(t)
	e := r.endpoint(rec.server.URL, "payment.*")
	old := e.Secrets[0].Secret
	e, err := r.sw.Outbox().RotateSecret(r.account(), e.ID, time.Hour)
	must(t, err)
	rec.secret = []string{e.Secrets[0].Secret, old}
	rec.wants(r.pay(banksim.Approve), "payment.captured")
	e, err = r.sw.Outbox().RotateSecret(r.account(), e.ID, 0)
	must(t, err)
	rec.mu.Lock()
	rec.secret = []string{e.Secrets[0].Secret}
	rec.mu.Unlock()
	rec.wants(r.pay(banksim.Approve), "payment.captured")
}

// TestTheShopComesBack after it answered with errors, closed connections and
// stalled: nothing is lost and nothing comes out of order.
func TestTheShopComesBack(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Window = 6 })
	rec := newReceiver(t)
	e := r.endpoint(rec.server.URL)
	stall := make(chan struct{})
	rec.does(func(n int, w http.ResponseWriter) bool {
		switch n % 4 {
		case 0:
			w.WriteHeader(503)
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(302)
		default:
			select {
			case <-stall:
			case <-time.After(700 * time.Millisecond):
			}
		}
		return false
	})
	var all []payswitch.ID
	for range 10 {
		p := r.pay(banksim.Approve)
		r.refund(p, 100)
		all = append(all, p)
	}
	within(t, "some attempts", func() bool { rec.mu.Lock(); defer rec.mu.Unlock(); return rec.calls > 12 })
	within(t, "a failing endpoint", func() bool { return !r.sw.Outbox().Endpoint(e.ID).Failing.IsZero() })
	close(stall)
	rec.does(status(204))
	for _, p := range all {
		rec.wants(p, "payment.captured refund.succeeded payment.partially_refunded")
	}
	within(t, "an endpoint that works", func() bool { return r.sw.Outbox().Endpoint(e.ID).Failing.IsZero() })
	page, err := r.sw.Outbox().Events(r.account(), payswitch.EventQuery{Limit: 100})
	must(t, err)
	codes := map[string]bool{}
	for _, ev := range page.Events {
		list, err := r.sw.Outbox().Deliveries(r.account(), ev.ID)
		must(t, err)
		for _, a := range list {
			codes[fmt.Sprint(a.Code, a.Error, a.State())] = true
		}
		if len(list) == 0 || !list[len(list)-1].Done {
			t.Errorf("%s: %d attempts, the last is no success", ev.Type, len(list))
		}
	}
	for _, want := range []string{"204succeeded", "302retrying", "0connection_lostretrying", "0timeoutretrying", "503retrying"} {
		if !codes[want] {
			t.Errorf("no attempt ended with %s: %v", want, codes)
		}
	}
}

// TestNoticesOutliveTheProcess: what one life owed the next one sends.
func TestNoticesOutliveTheProcess(t *testing.T) {
	r := newRig(t, nil)
	rec := newReceiver(t)
	rec.does(status(500))
	r.endpoint(rec.server.URL)
	p := r.pay(banksim.Approve)
	within(t, "an attempt", func() bool { rec.mu.Lock(); defer rec.mu.Unlock(); return rec.calls > 0 })
	r.stop()
	rec.does(status(200))
	r.start()
	rec.wants(p, "payment.captured")
}

// TestOneDeadShopDelaysNobody: many that never answer, and one that does.
func TestOneDeadShopDelaysNobody(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Concurrency = 4 })
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	}()
	for i := range 10 {
		r.endpoint(fmt.Sprintf("http://%s/%d", silent.Addr(), i))
	}
	rec := newReceiver(t)
	r.endpoint(rec.server.URL)
	for range 20 {
		begun := time.Now()
		rec.wants(r.pay(banksim.Approve), "payment.captured")
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("it took %s beside the dead", took)
		}
	}
}

// TestGivenUp: at the end of its schedule an event is failed, alarmed, and no
// longer in the way of the next; it can be sent again by hand, and with its
// period.
func TestGivenUp(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Retries = repeat(time.Millisecond, 2) })
	rec := newReceiver(t)
	e := r.endpoint(rec.server.URL)
	rec.does(status(500))
	p := r.pay(banksim.Approve)
	var event payswitch.ID
	within(t, "a failed delivery", func() bool {
		page, err := r.sw.Outbox().Events(r.account(), payswitch.EventQuery{Limit: 1})
		must(t, err)
		event = page.Events[0].ID
		list, err := r.sw.Outbox().Deliveries(r.account(), event)
		must(t, err)
		return len(list) == 3 && list[2].GivenUp
	})
	if n, err := testutil.GatherAndCount(r.reg, "tranzit_alarms_total"); n != 1 || err != nil {
		t.Errorf("%d alarms, %v", n, err)
	}
	rec.does(status(200))
	rec.mu.Lock()
	rec.last[p.Text("pay")] = 1 // the one that was given up is the gap
	rec.mu.Unlock()
	r.refund(p, 100)
	rec.wants(p, "refund.succeeded payment.partially_refunded")
	n, err := r.sw.Outbox().Resend(r.account(), event, payswitch.ID{})
	must(t, err)
	rec.wants(p, "refund.succeeded payment.partially_refunded payment.captured")
	rec.mu.Lock()
	rec.taken, rec.last = nil, map[string]int{}
	rec.mu.Unlock()
	done, err := r.sw.Outbox().Replay(r.account(), e.ID, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	must(t, err)
	rec.wants(p, "payment.captured refund.succeeded payment.partially_refunded")
	if n != 1 || done.Events != 3 || done.More {
		t.Errorf("resent to %d, replayed %+v", n, done)
	}
}

// TestFailingTooLong disables an endpoint; what it was owed is forgotten, and
// once enabled it is told of what comes.
func TestFailingTooLong(t *testing.T) {
	r := newRig(t, func(o *Options) { o.DisableAfter = 100 * time.Millisecond })
	rec := newReceiver(t)
	e := r.endpoint(rec.server.URL)
	rec.does(status(500))
	r.pay(banksim.Approve)
	within(t, "a disabled endpoint that is owed nothing", func() bool {
		owing, err := r.sw.Outbox().Owing()
		must(t, err)
		return r.sw.Outbox().Endpoint(e.ID).Disabled == "failing" && len(owing) == 0
	})
	rec.does(status(200))
	yes := true
	_, err := r.sw.Outbox().ChangeEndpoint(r.account(), e.ID, &payswitch.EndpointWish{Enabled: &yes})
	must(t, err)
	rec.wants(r.pay(banksim.Approve), "payment.captured")
	must(t, r.sw.Outbox().DeleteEndpoint(r.account(), e.ID))
	within(t, "no endpoint", func() bool { r.d.mu.RLock(); defer r.d.mu.RUnlock(); return len(r.d.endpoints) == 0 })
}
