package acquirers

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts with plain atomics and is read at the scrape; only the round
// trip is observed per message.
type metrics struct {
	bank            *Bank
	rtt             prometheus.Histogram
	framesIn        atomic.Uint64
	framesOut       atomic.Uint64
	writes          atomic.Uint64
	late            atomic.Uint64 // answers nobody waited for
	unknown         atomic.Uint64 // messages that are neither an answer nor a request we can answer
	mismatch        atomic.Uint64 // answers that contradict their request or came by another link
	garbled         atomic.Uint64 // frames whose body does not decode
	lostFraming     atomic.Uint64
	keyChanges      atomic.Uint64 // new keys taken into use
	forged          atomic.Uint64 // messages whose authentication code is wrong or missing
	refusedRequests atomic.Uint64 // requests of the bank's own that are answered as not supported
	refused         [len(refusals)]atomic.Uint64

	stepsDesc, linkUpDesc, inFlightDesc, framesDesc, writesDesc, oddDesc, refusedDesc, versionDesc, versionLinksDesc *prometheus.Desc
}

var rttBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newMetrics(b *Bank) *metrics {
	bank := prometheus.Labels{"bank": b.cfg.ID}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, bank)
	}
	return &metrics{
		bank: b,
		rtt: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tranzit_bank_rtt_seconds", Help: "From queueing a request on its link to reading its answer.",
			ConstLabels: bank, Buckets: rttBuckets,
		}),
		stepsDesc:        desc("tranzit_bank_network_requests_total", "Network management requests of the bank's own that were served, by the dialect's step.", "step"),
		linkUpDesc:       desc("tranzit_link_up", "1 while the link is signed on and takes traffic.", "link"),
		inFlightDesc:     desc("tranzit_bank_in_flight", "Reserved slots of the bank's window.", "class"),
		framesDesc:       desc("tranzit_bank_frames_total", "Frames exchanged with the bank.", "direction"),
		writesDesc:       desc("tranzit_bank_writes_total", "Write calls; frames out divided by it is the batch size."),
		oddDesc:          desc("tranzit_bank_odd_frames_total", "Frames that did not end an exchange as they should.", "kind"),
		refusedDesc:      desc("tranzit_bank_refused_peers_total", "Connections closed because of who made or took them.", "kind"),
		versionDesc:      desc("tranzit_bank_version_payments_total", "Payments' requests by the version of the dialect they were built in, and what came of them.", "dialect", "version", "result"),
		versionLinksDesc: desc("tranzit_bank_version_links", "Links that speak a version of the dialect, or shall.", "dialect", "version"),
	}
}

func (m *metrics) register() error {
	if r := m.bank.cfg.Registerer; r != nil {
		return r.Register(m)
	}
	return nil
}

func (m *metrics) unregister() {
	if r := m.bank.cfg.Registerer; r != nil {
		r.Unregister(m)
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.rtt.Describe(ch)
	for _, d := range []*prometheus.Desc{m.stepsDesc, m.linkUpDesc, m.inFlightDesc, m.framesDesc, m.writesDesc, m.oddDesc, m.refusedDesc, m.versionDesc, m.versionLinksDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	b := m.bank
	m.rtt.Collect(ch)
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, k := range b.links {
		up := 0.0
		if l := k.line.Load(); l != nil && l.isReady() {
			up = 1
		}
		gauge(m.linkUpDesc, up, k.name())
	}
	for c := range classCount {
		gauge(m.inFlightDesc, float64(b.taken[c].Load()), c.String())
	}
	count(m.framesDesc, m.framesIn.Load(), "in")
	count(m.framesDesc, m.framesOut.Load(), "out")
	count(m.writesDesc, m.writes.Load())
	for _, odd := range []struct {
		kind  string
		value uint64
	}{
		{"late", m.late.Load()}, {"unknown", m.unknown.Load()}, {"mismatch", m.mismatch.Load()}, {"garbled", m.garbled.Load()},
		{"lost_framing", m.lostFraming.Load()}, {"forged", m.forged.Load()}, {"refused_request", m.refusedRequests.Load()}, {"late_dropped", b.aside.lateLost.Load()},
	} {
		count(m.oddDesc, odd.value, odd.kind)
	}
	for name, n := range b.served() {
		count(m.stepsDesc, n, name)
	}
	for i, kind := range refusals {
		count(m.refusedDesc, m.refused[i].Load(), kind)
	}
	for _, v := range b.Versions() {
		dialect, version := v.Dialect, strconv.Itoa(v.Version)
		gauge(m.versionLinksDesc, float64(len(v.Links)), dialect, version)
		for r, n := range [resultCount]uint64{v.Approved, v.Declined, v.Refuted, v.Unknown} {
			count(m.versionDesc, n, dialect, version, Result(r).String())
		}
	}
}
