package bench

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run found. Times are microseconds, rates per second.
type Result struct {
	Started     time.Time `json:"started"`
	Scenario    string    `json:"scenario,omitempty"`
	Mode        string    `json:"mode"`               // closed, constant, poisson, burst, ramp, phases
	Arrivals    string    `json:"arrivals,omitempty"` // in the notation of ParseArrivals
	Connections int       `json:"connections"`
	Workers     int       `json:"workers"`
	Processors  int       `json:"processors"`
	Seconds     float64   `json:"seconds"` // measured

	Offered    float64 `json:"offered"`    // requests due per second; closed loop: as achieved
	Achieved   float64 `json:"achieved"`   // payments answered per second
	Payments   uint64  `json:"payments"`   // answered inside the measured time
	Duplicates uint64  `json:"duplicates"` // sent in the whole run
	Retries    uint64  `json:"retries"`    // lost requests sent once more, in the whole run
	Replayed   uint64  `json:"replayed"`   // answers marked Idempotency-Replayed

	Codes    map[string]uint64 `json:"codes"`    // HTTP status -> answers, measured
	Statuses map[string]uint64 `json:"statuses"` // payment status -> answers, measured
	Problems map[string]uint64 `json:"problems,omitempty"`
	Losses   map[string]uint64 `json:"losses,omitempty"` // requests without an answer, whole run

	Latency   Latency `json:"latency"`   // from the moment the request was due
	Lateness  Latency `json:"lateness"`  // of sending, by the generator's own fault; open loop only
	Starved   uint64  `json:"starved"`   // requests that waited for a free connection
	Dropped   uint64  `json:"dropped"`   // due, never sent: no connection came free
	Histogram string  `json:"histogram"` // HdrHistogram V2 compressed, base64, nanoseconds

	// Phases, Banks and Kinds are the parts of the run; absent when there is one only.
	Phases []Part `json:"phases,omitempty"`
	Banks  []Part `json:"banks,omitempty"`
	Kinds  []Part `json:"kinds,omitempty"`
	// Events are those that took place, kills included.
	Events []Happened `json:"events,omitempty"`

	Processes map[string]Process `json:"processes"`
	// FsyncsPerPayment and AllocsPerPayment are of the switch; nil: not measured.
	FsyncsPerPayment *float64 `json:"fsyncs_per_payment,omitempty"`
	AllocsPerPayment *float64 `json:"allocs_per_payment,omitempty"`

	Timeline []Second    `json:"timeline"`
	Money    *MoneyCheck `json:"money_check,omitempty"`
	Warnings []string    `json:"warnings,omitempty"`
	// GeneratorBound: the generator was the bottleneck, so the run says nothing about
	// the switch.
	GeneratorBound bool `json:"generator_bound,omitempty"`
	// Valid: the books agree, and the generator was not the bottleneck.
	Valid bool `json:"valid"`
}

// Latency summarises a histogram. Times are microseconds.
type Latency struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean_us"`
	Min   float64 `json:"min_us"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p999_us"`
	P9999 float64 `json:"p9999_us"`
	Max   float64 `json:"max_us"`
}

// Process is what one process used while it was measured.
type Process struct {
	PID           int     `json:"pid"`
	CPUPerPayment float64 `json:"cpu_us_per_payment"`
	CPU           float64 `json:"cpu"` // processors kept busy
	RSSPeak       int64   `json:"rss_peak_bytes"`
}

func summarise(h *hdrhistogram.Histogram) Latency {
	at := func(p float64) float64 { return micros(h.ValueAtQuantile(p)) }
	if h.TotalCount() == 0 {
		return Latency{}
	}
	return Latency{Count: uint64(h.TotalCount()), Mean: h.Mean() / 1e3, Min: micros(h.Min()), P50: at(50), P90: at(90),
		P99: at(99), P999: at(99.9), P9999: at(99.99), Max: micros(h.Max())}
}

func newResult(o *Options, seen *outcomeOfLoad) *Result {
	r := &Result{Started: time.Now().Add(-seen.finishedAt).UTC(), Mode: "closed", Connections: o.Connections, Workers: o.Workers,
		Processors: runtime.NumCPU(), Offered: o.Rate, Payments: seen.measured.good(), Duplicates: seen.total.duplicates,
		Replayed: seen.total.replayed, Codes: map[string]uint64{}, Statuses: map[string]uint64{}, Problems: seen.measured.problems,
		Losses: map[string]uint64{}, Latency: summarise(seen.latency), Lateness: summarise(seen.late), Starved: seen.starved,
		Dropped: seen.dropped, Processes: map[string]Process{}, Timeline: seen.seconds, Retries: seen.total.retries}
	if o.open() {
		r.addArrivals(o)
	}
	r.Seconds = min(o.Duration, max(seen.finishedAt-o.Warmup, time.Millisecond)).Seconds()
	r.Achieved = float64(r.Payments) / r.Seconds
	if !o.open() {
		r.Offered = float64(seen.measured.sent) / r.Seconds
	}
	r.Scenario, r.Events = o.Scenario, seen.happened
	r.addParts(o, &seen.split)
	for i, n := range seen.measured.codes {
		if n > 0 {
			r.Codes[strconv.Itoa(i)] = n
		}
	}
	for i, n := range seen.measured.statuses {
		if n > 0 {
			r.Statuses[statuses[i]] = n
		}
	}
	for i, n := range seen.total.losses {
		if n > 0 {
			r.Losses[lossNames[i]] = n
		}
	}
	if packed, err := seen.latency.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err == nil {
		r.Histogram = string(packed)
	}
	return r
}

// addArrivals says what was offered, and how.
func (r *Result) addArrivals(o *Options) {
	phases := o.Arrivals
	if len(phases) == 0 {
		phases = o.phases()
		phases[0].Duration = o.Duration
	}
	r.Mode = "phases"
	if len(phases) == 1 {
		r.Mode = string(phases[0].Arrivals)
	}
	due := 0.0
	var texts []string
	for i := range phases {
		due += phases[i].due()
		texts = append(texts, phases[i].String())
	}
	r.Arrivals, r.Offered = strings.Join(texts, ","), due/o.Duration.Seconds()
}

// addSpan divides what the processes used by the payments of the same time.
func (r *Result) addSpan(begin, end snapshot, subjects []*subject) {
	for _, s := range []snapshot{begin, end} {
		if s.problem != nil {
			r.Warnings = append(r.Warnings, "measuring: "+s.problem.Error())
		}
	}
	took := end.at.Sub(begin.at)
	if r.Payments == 0 || took <= 0 {
		return
	}
	// The marks may be a little later than planned: scale to the time they span.
	payments := r.Achieved * took.Seconds()
	for _, p := range subjects {
		a, ok1 := begin.use[p.name]
		b, ok2 := end.use[p.name]
		if ok1 && ok2 {
			used := b.cpu - a.cpu
			r.Processes[p.name] = Process{PID: p.pid, CPUPerPayment: used.Seconds() * 1e6 / payments,
				CPU: used.Seconds() / took.Seconds(), RSSPeak: b.rssPeak}
		}
	}
	per := func(name string) *float64 {
		a, ok1 := begin.metrics[name]
		b, ok2 := end.metrics[name]
		if !ok1 || !ok2 {
			return nil
		}
		v := (b - a) / payments
		return &v
	}
	if !r.killed() {
		r.FsyncsPerPayment, r.AllocsPerPayment = per(metricFsyncs), per(metricMallocs)
	}
}

// killed: the counters of the switch began anew.
func (r *Result) killed() bool {
	return slices.ContainsFunc(r.Events, func(h Happened) bool { return h.Kill })
}

// fault makes the run one that does not count.
func (r *Result) fault(err error) {
	r.Valid = false
	r.Warnings = append(r.Warnings, err.Error())
}

const (
	lateLimit = 1_000 // microseconds; a later generator is named when it is also
	lateShare = 0.1   // this part of what it measures, at the 99th percentile
	busyLimit = 0.9   // of a processor per worker
	sendTime  = 25    // microseconds that a worker may need for one request
)

// burstTime is how long the largest burst may take to send, in microseconds: its
// requests are due at one moment, and a worker sends one after another.
func (o *Options) burstTime() float64 {
	size := 0
	for _, p := range o.Arrivals {
		size = max(size, p.Size)
	}
	return float64(size*sendTime) / float64(o.Workers)
}

// judge says whether the figures count.
func (r *Result) judge(o *Options) {
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	r.Valid = r.Payments > 0
	if r.Payments == 0 {
		warn("no payment was answered")
	}
	for _, h := range r.Events {
		if h.Error != "" {
			r.fault(fmt.Errorf("event %q: %s", h.Name, h.Error))
		}
	}
	if r.Lateness.P99 > max(lateLimit, lateShare*r.Latency.P99, o.burstTime()) {
		r.Valid, r.GeneratorBound = false, true
		warn("the generator is the bottleneck: it sent 1%% of the requests %s late or more", shortTime(r.Lateness.P99))
	}
	if g := r.Processes[generatorName]; g.CPU > busyLimit*float64(o.Workers) {
		warn("the generator keeps %.2f processors busy with %d workers: it may be the bottleneck", g.CPU, o.Workers)
	}
	if r.Starved > 0 && float64(r.Starved) > 0.01*float64(r.Latency.Count) {
		warn("%d requests waited for a free connection; their wait is part of the latency", r.Starved)
	}
	if r.Dropped > 0 {
		warn("%d requests were due and never sent; they count with the time they had waited", r.Dropped)
	}
	switch {
	case r.Money == nil && !o.SkipMoney:
		warn("no books were compared: the figures do not count as payments")
		r.Valid = false
	case r.Money != nil && !r.Money.OK:
		r.Valid = false
	}
}
