package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// statuses are those of payments and operations of the API; the last stands for any
// other.
var statuses = [...]string{"captured", "authorized", "declined", "failed", "unknown", "reversed", "requires_action",
	"canceled", "expired", "partially_refunded", "refunded", "succeeded", "pending", "other"}

func statusIndex(s []byte) int {
	for i := range len(statuses) - 1 {
		if string(s) == statuses[i] {
			return i
		}
	}
	return len(statuses) - 1
}

// Reasons why a request has no answer.
const (
	lossTimeout = iota
	lossConnection
	lossProtocol
	lossConnect
	numLosses
)

var lossNames = [numLosses]string{"timeout", "connection_lost", "protocol", "connect"}

// counts are what came back, by kind. Not goroutine-safe: every worker has its
// own, merged at the end.
type counts struct {
	sent       uint64
	answered   uint64
	codes      [600]uint64
	statuses   [len(statuses)]uint64
	problems   map[string]uint64
	losses     [numLosses]uint64
	duplicates uint64
	retries    uint64
	replayed   uint64
}

func newCounts() *counts { return &counts{problems: map[string]uint64{}} }

const maxProblems = 100 // distinct codes; the switch could otherwise fill the memory

func (c *counts) answer(a *answer) {
	c.answered++
	c.codes[a.code]++
	if a.replayed {
		c.replayed++
	}
	switch {
	case a.code < 300:
		c.statuses[statusIndex(a.status)]++
	case len(c.problems) < maxProblems:
		c.problems[string(a.problem)]++
	default:
		c.problems["other"]++
	}
}

func (c *counts) merge(o *counts) {
	c.sent += o.sent
	c.answered += o.answered
	c.duplicates += o.duplicates
	c.retries += o.retries
	c.replayed += o.replayed
	for i, n := range o.codes {
		c.codes[i] += n
	}
	for i, n := range o.statuses {
		c.statuses[i] += n
	}
	for i, n := range o.losses {
		c.losses[i] += n
	}
	for k, n := range o.problems {
		c.problems[k] += n
	}
}

// good are the answers that carry a payment.
func (c *counts) good() uint64 {
	n := uint64(0)
	for _, k := range c.statuses {
		n += k
	}
	return n
}

// bad are refusals and requests without an answer.
func (c *counts) bad() uint64 {
	n := c.answered - c.good()
	for _, k := range c.losses {
		n += k
	}
	return n
}

// maxLatency bounds what a histogram can hold; longer ones count as this long.
const maxLatency = 10 * time.Minute

// newHist makes a histogram of nanoseconds from 1 us up, with three digits.
func newHist() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), int64(maxLatency), 3)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	// The value is clamped to the histogram's range, so there is no error.
	_ = h.RecordValue(int64(min(max(d, 0), maxLatency)))
}
