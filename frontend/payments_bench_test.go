package frontend

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkPay is the handler with all that is behind it: the real switch, a store
// in memory and a simulated bank, for so many callers. HTTP itself is left out.
func BenchmarkPay(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s, err := New(Options{Switch: newTestSwitch(b), Logger: slog.New(slog.DiscardHandler)})
			must(b, err)
			var next atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			var paying sync.WaitGroup
			for range callers {
				ctx := contextOf(b)
				fillPayment(&ctx.Request)
				paying.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						ctx.Request.Header.Set("Idempotency-Key", fmt.Sprintf("bench-%d", n))
						ctx.Request.SetBodyString(leanBody)
						ctx.Response.Reset()
						if s.handle(ctx); ctx.Response.StatusCode() != 201 {
							b.Errorf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
							return
						}
					}
				})
			}
			paying.Wait()
		})
	}
}
