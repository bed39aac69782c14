package bench

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histogram collects latencies as a run does: from one microsecond to ten
// minutes, to three digits; what lies outside counts as the nearest bound. Not
// goroutine-safe.
type Histogram struct{ h *hdrhistogram.Histogram }

// NewHistogram is an empty histogram; it takes about 200 KiB.
func NewHistogram() *Histogram { return &Histogram{newHist()} }

// Record adds one latency.
func (h *Histogram) Record(d time.Duration) { record(h.h, d) }

// Latency summarises what was recorded.
func (h *Histogram) Latency() Latency { return summarise(h.h) }

// String is the percentiles for people.
func (l Latency) String() string {
	return fmt.Sprintf("p50 %s  p90 %s  p99 %s  p99.9 %s  max %s  mean %s", shortTime(l.P50), shortTime(l.P90), shortTime(l.P99),
		shortTime(l.P999), shortTime(l.Max), shortTime(l.Mean))
}
