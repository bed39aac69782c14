package goals

import "github.com/tranzit/tranzit/bench/report"

// Keys of the goals.
const (
	cpuToBare    = "cpu-bare"
	rateToBare   = "rate-bare"
	rateToPlain  = "rate-plain"
	bareRate     = "bare"
	openRate     = "open"
	codecTime    = "codec-time"
	codecAllocs  = "codec-allocs"
	codecToMoov  = "codec-moov"
	allocations  = "allocations"
	halfP50      = "half-p50"
	halfP99      = "half-p99"
	overload     = "overload"
	waitingBytes = "in-flight"
	journalRate  = "journal-rate"
	journalStart = "journal-start"
	oneBankMore  = "bank-more"
	manyShops    = "merchants"
	captureRate  = "captures"
	cancelRate   = "cancels"
	refundRate   = "refunds"
)

// goal is one row of the table: what must hold and what is aimed at.
type goal struct {
	key string
	report.GoalLine
}

const (
	ratio  = report.FormatOfRatio
	count  = report.FormatOfCount
	micros = report.FormatOfMicros
	bytes  = report.FormatOfBytes
)

// table holds the goals for 2 cores that the switch, the generator and the
// simulated bank share, with real fsyncs.
var table = []goal{
	{cpuToBare, report.GoalLine{Name: "CPU per payment / bare path", Format: ratio, Gate: 1.6, Ambition: 1.25}},
	{rateToBare, report.GoalLine{Name: "payments/s / bare path", Format: ratio, Higher: true, Gate: 0.65, Ambition: 0.9}},
	{rateToPlain, report.GoalLine{Name: "payments/s / plain stack", Format: ratio, Higher: true, Gate: 2.3, Ambition: 3.3}},
	{bareRate, report.GoalLine{Name: "bare path itself, payments/s", Format: count, Higher: true, Gate: 34_000, Ambition: 48_000}},
	{openRate, report.GoalLine{Name: "durable payments/s, open loop", Format: count, Higher: true, Gate: 20_000, Ambition: 32_000}},
	{codecTime, report.GoalLine{Name: "codec, encode + decode", Format: micros, Gate: 0.5, Ambition: 0.25}},
	{codecAllocs, report.GoalLine{Name: "codec, allocations", Format: count, Gate: 0, Ambition: 0}},
	{codecToMoov, report.GoalLine{Name: "codec, times faster than moov", Format: count, Higher: true, Gate: 30, Ambition: 30}},
	{allocations, report.GoalLine{Name: "allocations per payment", Format: count, Gate: 12, Ambition: 4}},
	{halfP50, report.GoalLine{Name: "added latency at 50 % load, p50", Format: micros, Gate: 1_000, Ambition: 600}},
	{halfP99, report.GoalLine{Name: "added latency at 50 % load, p99", Format: micros, Gate: 4_000, Ambition: 2_000}},
	{overload, report.GoalLine{Name: "goodput at 2x load / peak", Format: ratio, Higher: true, Gate: 0.95, Ambition: 0.98}},
	{waitingBytes, report.GoalLine{Name: "memory per payment in flight", Format: bytes, Gate: 16 << 10, Ambition: 10 << 10}},
	{journalRate, report.GoalLine{Name: "long journal, payments/s / empty", Format: ratio, Higher: true, Gate: 0.9, Ambition: 0.97}},
	{journalStart, report.GoalLine{Name: "long journal, restart to accepting", Format: micros, Gate: 2e6, Ambition: 0.5e6}},
	{oneBankMore, report.GoalLine{Name: "CPU, one bank and dialect more / one", Format: ratio, Gate: 1.05, Ambition: 1.01}},
	{manyShops, report.GoalLine{Name: "CPU, many merchants / one", Format: ratio, Gate: 1.05, Ambition: 1.01}},
	{captureRate, report.GoalLine{Name: "captures/s / purchases/s", Format: ratio, Higher: true, Gate: 0.7, Ambition: 0.9}},
	{cancelRate, report.GoalLine{Name: "cancels/s / purchases/s", Format: ratio, Higher: true, Gate: 0.7, Ambition: 0.9}},
	{refundRate, report.GoalLine{Name: "refunds/s / purchases/s", Format: ratio, Higher: true, Gate: 0.7, Ambition: 0.9}},
}
