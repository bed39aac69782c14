package acquirers

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

// The links and the simulated bank agree in every built-in dialect: sign-on,
// echo both ways, purchase, reversal, sign-off.
func TestWithSimulatedBank(t *testing.T) {
	for _, name := range iso.Builtins() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, err := iso.Builtin(name)
				if err != nil {
					t.Fatal(err)
				}
				network := simnet.New(simnet.Options{Latency: latency, Segment: 7})
				listener, err := network.Listen(hostAddr)
				if err != nil {
					t.Fatal(err)
				}
				sim, err := banksim.New(banksim.Config{Dialect: d, Listener: listener, EchoInterval: 20 * time.Second})
				if err != nil {
					t.Fatal(err)
				}
				if err := sim.Start(); err != nil {
					t.Fatal(err)
				}
				defer sim.Close()
				r := newRig(t, &host{t: t, d: d, net: network}, func(c *Config) { c.LinksPerEndpoint = 2 })
				r.await(true)
				for _, res := range collect(r.start(1, 50), 50) {
					res.want(t, Answered, CauseNone)
					if code := string(res.Answer.Get(fieldResponseCode)); !d.Code(code).Approved {
						t.Fatalf("STAN %s: code %s", res.stan, code)
					}
				}
				r.pay(buildOp(t, d, iso.OpReversal, 7), 0).want(t, Answered, CauseNone)
				time.Sleep(5 * time.Minute)
				if s := r.Status(); !s.Ready || s.Links[0].Opened != 1 || s.Links[1].Opened != 1 {
					t.Fatalf("after five idle minutes: %+v", s)
				}
				if n := len(sim.Books().Entries()); n != 50 {
					t.Fatalf("the bank's books hold %d payments, want 50", n)
				}
				if err := r.Drain(background()); err != nil {
					t.Fatal(err)
				}
				if n := r.metrics.unknown.Load() + r.metrics.refusedRequests.Load() + r.metrics.garbled.Load() + r.metrics.late.Load(); n != 0 {
					t.Fatalf("%d odd frames; alarms %v", n, r.alarms)
				}
			})
		})
	}
}
