package plain

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// BenchmarkPay is one payment through the handler, 64 callers a processor, with
// the bank in the same process and the store on a real disk.
func BenchmarkPay(b *testing.B) {
	for dialect := range framings {
		b.Run(dialect, func(b *testing.B) {
			sim := startBank(b, dialect)
			s := start(b, Options{Bank: sim.Addr(), Dialect: dialect})
			defer stop(b, s)
			var keys atomic.Uint64
			text := bodyOf(approved)
			b.SetParallelism(64)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					req := httptest.NewRequest(http.MethodPost, "/v1/payments", strings.NewReader(text))
					req.Header.Set("Authorization", "Bearer "+testKey)
					req.Header.Set("Idempotency-Key", fmt.Sprint("b", keys.Add(1)))
					w := httptest.NewRecorder()
					if s.create(w, req); w.Code != http.StatusCreated {
						b.Error(w.Code)
						return
					}
				}
			})
		})
	}
}
