package acquirers

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

// BenchmarkRoundTrip is one purchase to the simulated bank and back over TCP: number,
// message, window, links, the bank's books, match and verification. The bank's work
// is in the figures.
func BenchmarkRoundTrip(b *testing.B) {
	for _, name := range iso.Builtins() {
		d, err := iso.Builtin(name)
		if err != nil {
			b.Fatal(err)
		}
		for _, waiting := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("dialect=%s/waiting=%d", name, waiting), func(b *testing.B) { roundTrips(b, d, waiting) })
		}
	}
}

func roundTrips(b *testing.B, d *iso.Dialect, waiting int) {
	sim, err := banksim.New(banksim.Config{Dialect: d})
	if err != nil {
		b.Fatal(err)
	}
	if err := sim.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { sim.Close() })
	r := dialLoopback(b, &host{t: b, d: d}, sim.Addr(), func(c *Config) { c.LinksPerEndpoint = 2 })
	r.awaitLinks(2)
	var next atomic.Uint64
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime()
	var callers sync.WaitGroup
	for range waiting {
		callers.Go(func() {
			x := &Exchange{Request: r.purchase(0), Answer: new(iso.Message)}
			at := x.Request.Get(37)
			for seq := next.Add(1); seq <= uint64(b.N); seq = next.Add(1) {
				x.Request.Set(11, d.STAN(seq).Append(nil))
				for i, rest := len(at)-1, seq; i >= 0; i, rest = i-1, rest/10 {
					at[i] = byte('0' + rest%10)
				}
				r.Reserve(ClassPayment)
				if fate := r.Exchange(x); fate != Answered || string(x.Answer.Get(fieldResponseCode)) != "00" {
					b.Errorf("%s (%s)", fate, x.Cause)
				}
				r.Release(ClassPayment)
			}
		})
	}
	callers.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
	if n := sim.Books().Len(); n != b.N {
		b.Errorf("the bank booked %d of %d", n, b.N)
	}
}
