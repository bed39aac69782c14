package isoload

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/iso"
)

// Counts are what happened in the whole run, warm-up included.
type Counts struct {
	Sent         uint64 `json:"sent"`
	Answered     uint64 `json:"answered"`      // matched and verified
	Timeouts     uint64 `json:"timeouts"`      // no answer in time
	Lost         uint64 `json:"lost"`          // in flight when their link ended
	Wrong        uint64 `json:"wrong"`         // matched, but a field that comes back differs
	Unmatched    uint64 `json:"unmatched"`     // answers of nothing that waits: late, twice, or strange
	Forged       uint64 `json:"forged"`        // messages whose authentication code is wrong or missing
	Unreadable   uint64 `json:"unreadable"`    // frames that are no message, and streams without frames
	Cuts         uint64 `json:"cuts"`          // links that ended
	Repairs      uint64 `json:"repairs"`       // reversals sent for what was not answered
	HostRequests uint64 `json:"host_requests"` // what the host asked
}

// OperationResult is one kind of message.
type OperationResult struct {
	Sent     uint64        `json:"sent"`
	Answered uint64        `json:"answered"`
	Latency  bench.Latency `json:"latency"`
}

// Result is what a load saw. Latencies are microseconds and of the measured time:
// from the moment a message was due, in a closed loop from when it was queued.
type Result struct {
	Counts
	Dialect    string                     `json:"dialect"`
	Mode       string                     `json:"mode"` // closed, constant, poisson
	Links      int                        `json:"links"`
	InFlight   int                        `json:"in_flight"` // limit of each link
	Seconds    float64                    `json:"seconds"`   // measured
	Offered    float64                    `json:"offered"`   // due per second; closed loop: as achieved
	Achieved   float64                    `json:"achieved"`  // answers per second of the measured time
	Measured   uint64                     `json:"measured"`  // answers in it
	Unsent     uint64                     `json:"unsent"`    // due and never sent
	Owed       uint64                     `json:"owed"`      // reversals due and never sent
	Codes      map[string]uint64          `json:"codes"`     // response codes, whole run
	Latency    bench.Latency              `json:"latency"`
	Lateness   bench.Latency              `json:"lateness"` // of sending, by the generator's own fault; open loop only
	Operations map[string]OperationResult `json:"operations"`
}

const maxCodes = 1000 // distinct; a host could otherwise fill the memory

// counts are those of one link.
type counts struct {
	Counts
	measured uint64
	by       [len(mixed)]struct{ sent, answered uint64 }
	codes    map[string]*uint64
}

func (c *counts) sent(op iso.Operation) {
	c.Sent++
	c.by[slices.Index(mixed[:], op)].sent++
}

func (c *counts) answered(op iso.Operation, code []byte, measured bool) {
	c.Answered++
	if measured {
		c.measured++
	}
	c.by[slices.Index(mixed[:], op)].answered++
	n := c.codes[string(code)]
	if n == nil {
		if c.codes == nil {
			c.codes = map[string]*uint64{}
		}
		name := string(code)
		if len(c.codes) >= maxCodes {
			name = "other"
		}
		if n = c.codes[name]; n == nil {
			n = new(uint64)
			c.codes[name] = n
		}
	}
	*n++
}

// sum adds up all links.
func (l *load) sum() (c counts) {
	c.codes = map[string]*uint64{}
	for _, k := range l.links {
		k.mu.Lock()
		o := &k.counts
		c.Sent += o.Sent
		c.Answered += o.Answered
		c.Timeouts += o.Timeouts
		c.Lost += o.Lost
		c.Wrong += o.Wrong
		c.Unmatched += o.Unmatched
		c.Forged += o.Forged
		c.Unreadable += o.Unreadable
		c.Cuts += o.Cuts
		c.Repairs += o.Repairs
		c.HostRequests += o.HostRequests
		c.measured += o.measured
		for i, b := range o.by {
			c.by[i].sent += b.sent
			c.by[i].answered += b.answered
		}
		for code, n := range o.codes {
			if c.codes[code] == nil {
				c.codes[code] = new(uint64)
			}
			*c.codes[code] += *n
		}
		k.mu.Unlock()
	}
	return c
}

// result is made when no link runs any more.
func (l *load) result() *Result {
	c, took := l.sum(), min(l.o.Duration, max(l.now()-l.from, time.Millisecond))
	r := &Result{Counts: c.Counts, Dialect: l.o.Dialect.ID(), Mode: "closed", Links: len(l.links), InFlight: l.o.InFlight,
		Seconds: took.Seconds(), Offered: l.o.Rate, Measured: c.measured, Codes: map[string]uint64{}, Operations: map[string]OperationResult{}}
	r.Achieved = float64(c.measured) / r.Seconds
	switch {
	case l.o.Rate == 0:
		r.Offered = r.Achieved
	case l.o.Poisson:
		r.Mode = "poisson"
	default:
		r.Mode = "constant"
	}
	for _, k := range l.links {
		r.Owed += uint64(len(k.owed))
		for k.due != nil && k.due.due() < l.to && k.due.due() < l.now() {
			// Its wait until the end is a lower bound; leaving it out would flatter the host.
			if r.Unsent++; l.measures(k.due.due()) {
				l.all.h.Record(l.to - k.due.due())
			}
			k.due.next()
		}
	}
	for code, n := range c.codes {
		r.Codes[code] = *n
	}
	for i, op := range mixed {
		if c.by[i].sent > 0 {
			r.Operations[op.String()] = OperationResult{Sent: c.by[i].sent, Answered: c.by[i].answered, Latency: l.latency[op].h.Latency()}
		}
	}
	r.Latency, r.Lateness = l.all.h.Latency(), l.lateness.h.Latency()
	return r
}

// WriteText prints the result for people.
func (r *Result) WriteText(w io.Writer) error {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("Load         %s, dialect %s, %d links, at most %d in flight on each, %.1fs measured", r.Mode, r.Dialect, r.Links, r.InFlight, r.Seconds)
	p("Offered      %.0f/s", r.Offered)
	p("Achieved     %.0f answers/s (%d)", r.Achieved, r.Measured)
	p("Latency      %s", r.Latency)
	if r.Mode == "closed" {
		p("             closed loop: a stall delays only what is in flight, so these are flattering")
	} else {
		p("             from the moment a message was due")
		p("Generator    late %s; %d never sent", r.Lateness, r.Unsent)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Operations)) {
		o := r.Operations[name]
		p("%-14s %d sent, %d answered  %s", name, o.Sent, o.Answered, o.Latency)
	}
	for _, code := range slices.Sorted(maps.Keys(r.Codes)) {
		p("Code %-9q %d", code, r.Codes[code])
	}
	p("No answer    %d in time, %d when their link ended, %d never sent", r.Timeouts, r.Lost, r.Unsent)
	p("Bad answers  %d match nothing, %d differ from their request, %d cannot be read, %d have a wrong code", r.Unmatched, r.Wrong, r.Unreadable, r.Forged)
	p("Links        %d ended; the host asked %d times", r.Cuts, r.HostRequests)
	if r.Repairs+r.Owed > 0 {
		p("Reversals    %d sent for what was not answered, %d still owed", r.Repairs, r.Owed)
	}
	_, err := w.Write(b.Bytes())
	return err
}
