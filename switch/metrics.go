package payswitch

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tranzit/tranzit/acquirers"
)

// metrics are the switch's counters, by bank where a bank is concerned.
type metrics struct {
	payments  *prometheus.CounterVec
	bankTime  *prometheus.HistogramVec
	reversals *prometheus.CounterVec
	answers   *prometheus.CounterVec
	refused   *prometheus.CounterVec
	alarms    *prometheus.CounterVec
	rerouted  prometheus.Counter
	done      *prometheus.CounterVec
	runs      *prometheus.CounterVec
}

// bankMetrics are the children of one bank, looked up once.
type bankMetrics struct {
	byStatus  [len(statusNames)]prometheus.Counter
	exchange  prometheus.Observer
	reversals prometheus.Counter
	late      prometheus.Counter
	unmatched prometheus.Counter
	refused   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, s *Switch) *metrics {
	m := &metrics{
		payments: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_payments_total",
			Help: "Payments by the status they reached."}, []string{"bank", "status"}),
		bankTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tranzit_payment_exchange_seconds",
			Help: "From handing a request to its link to its answer or deadline.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 17)}, []string{"bank"}),
		reversals: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_reversals_sent_total",
			Help: "Reversals handed to a link, repeats included."}, []string{"bank"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_stray_answers_total",
			Help: "Answers nobody waited for: late ones that found their payment, and unmatched ones."}, []string{"bank", "kind"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_bank_window_refusals_total",
			Help: "Payments refused because the bank's window was full."}, []string{"bank"}),
		alarms: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_alarms_total",
			Help: "Things an operator should look at, by kind."}, []string{"kind"}),
	}
	m.rerouted = prometheus.NewCounter(prometheus.CounterOpts{Name: "tranzit_payments_rerouted_total",
		Help: "Payments offered to another bank because the one before provably never got them."})
	m.done = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_operations_total",
		Help: "Captures, cancels, refunds and releases by the status they reached."}, []string{"bank", "kind", "status"})
	m.runs = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_schedule_runs_total",
		Help: "Runs of schedules by what came of them."}, []string{"status"})
	reg.MustRegister(m.runs, m.done, m.rerouted, m.payments, m.bankTime, m.reversals, m.answers, m.refused, m.alarms,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tranzit_payments_in_flight",
			Help: "Payments between admission and answer."}, func() float64 { return float64(s.inFlight.Load()) }),
		&bankCollector{s})
	return m
}

func (m *metrics) bank(id string) bankMetrics {
	b := bankMetrics{
		exchange: m.bankTime.WithLabelValues(id), reversals: m.reversals.WithLabelValues(id),
		late: m.answers.WithLabelValues(id, "late"), unmatched: m.answers.WithLabelValues(id, "unmatched"),
		refused: m.refused.WithLabelValues(id),
	}
	for i := range b.byStatus {
		b.byStatus[i] = m.payments.WithLabelValues(id, Status(i).String())
	}
	return b
}

func (m *metrics) decided(b *bank, s Status) { b.metrics.byStatus[s].Inc() }

func (m *metrics) operated(b *bank, o *Operation) {
	m.done.WithLabelValues(b.id, o.Kind.String(), o.Status.String()).Inc()
}

func (m *metrics) sent(b *bank, outcome *record, x *acquirers.Exchange) {
	if outcome.kind == recordNotSent || x.SentAt.IsZero() {
		return
	}
	x.Version.Note(cameOf(outcome))
	b.metrics.exchange.Observe(outcome.at.Sub(x.SentAt).Seconds())
}

// cameOf is what came of a request that was sent.
func cameOf(outcome *record) acquirers.Result {
	switch {
	case outcome.approved:
		return acquirers.ResultApproved
	case outcome.kind == recordAnswered:
		return acquirers.ResultDeclined
	case outcome.reason == reasonInvalidAnswer:
		return acquirers.ResultRefuted
	}
	return acquirers.ResultUnknown
}

// bankCollector reports store-and-forward and health at the moment of the scrape.
type bankCollector struct{ s *Switch }

var (
	bankGrade = prometheus.NewDesc("tranzit_bank_grade", "0 healthy, 1 degraded, 2 failing, 3 drained by an operator.", []string{"bank"}, nil)
	bankShare = prometheus.NewDesc("tranzit_bank_approval_share", "Share of recent answers that approved.", []string{"bank"}, nil)
)

var safDepth = prometheus.NewDesc("tranzit_saf_depth", "Reversals owed and not acknowledged.", []string{"bank"}, nil)

// Describe implements prometheus.Collector.
func (c *bankCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- safDepth
	ch <- bankGrade
	ch <- bankShare
}

// Collect implements prometheus.Collector.
func (c *bankCollector) Collect(ch chan<- prometheus.Metric) {
	for _, b := range c.s.order {
		grade := float64(b.health.grade())
		if b.drained.Load() {
			grade = 3
		}
		ch <- prometheus.MustNewConstMetric(safDepth, prometheus.GaugeValue, float64(b.saf.len()), b.id)
		ch <- prometheus.MustNewConstMetric(bankGrade, prometheus.GaugeValue, grade, b.id)
		ch <- prometheus.MustNewConstMetric(bankShare, prometheus.GaugeValue, float64(b.health.approval.Load())/1000, b.id)
	}
}
