package frontend

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of the merchants' API. Children are looked up once,
// at the start: no request looks up a label.
type metrics struct {
	requests     *prometheus.CounterVec
	seconds      *prometheus.HistogramVec
	protocol     [noiseClasses]prometheus.Counter
	refusedConns prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, open, inFlight *atomic.Int64) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_http_requests_total",
			Help: "Requests of merchants, by route and HTTP status."}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tranzit_http_seconds",
			Help:    "Time from the last byte of a request to its answer, by route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}, []string{"route"}),
		refusedConns: prometheus.NewCounter(prometheus.CounterOpts{Name: "tranzit_http_connections_refused_total",
			Help: "Connections turned away because there were too many, or no file descriptor was left."}),
	}
	trouble := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_http_trouble_total",
		Help: "Requests and connections that went wrong below the API, by class."}, []string{"class"})
	for class, name := range noiseNames {
		m.protocol[class] = trouble.WithLabelValues(name)
	}
	reg.MustRegister(m.requests, m.seconds, m.refusedConns, trouble,
		gaugeOf(open, "tranzit_http_connections", "Open connections of merchants."),
		gaugeOf(inFlight, "tranzit_http_in_flight", "Requests that are being answered."))
	return m
}

func gaugeOf(n *atomic.Int64, name, help string) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(n.Load()) })
}

// statuses are all that an answer can have.
var statuses = func() []int {
	list := []int{200, 201, 202, 304}
	for _, k := range problemKinds {
		list = append(list, k.status)
	}
	return list
}()

const statusLimit = 600

// countersOf resolves the children of one route, by status.
func (m *metrics) countersOf(route string) *[statusLimit]prometheus.Counter {
	table := new([statusLimit]prometheus.Counter)
	for _, status := range statuses {
		table[status] = m.requests.WithLabelValues(route, strconv.Itoa(status))
	}
	return table
}
