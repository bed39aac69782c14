package webhooks

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	payswitch "github.com/tranzit/tranzit/switch"
)

// metrics are the counters of webhooks, over all endpoints: no label grows with
// the number of merchants.
type metrics struct {
	byState map[string]prometheus.Counter
	seconds prometheus.Histogram
	dropped prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, d *Deliverer) *metrics {
	deliveries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tranzit_webhook_deliveries_total",
		Help: "Attempts to deliver an event, by what they led to."}, []string{"state"})
	m := &metrics{byState: map[string]prometheus.Counter{}}
	for _, state := range []string{"succeeded", "retrying", "failed"} {
		m.byState[state] = deliveries.WithLabelValues(state)
	}
	m.seconds = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tranzit_webhook_seconds",
		Help: "How long an attempt took.", Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15}})
	m.dropped = prometheus.NewCounter(prometheus.CounterOpts{Name: "tranzit_webhook_events_dropped_total",
		Help: "Events that were owed to an endpoint when it was disabled or deleted."})
	reg.MustRegister(deliveries, m.seconds, m.dropped, &collector{d})
	return m
}

func (m *metrics) count(a *payswitch.Attempt) {
	m.byState[a.State()].Inc()
	m.seconds.Observe(a.Took.Seconds())
}

// collector reports the queues at the moment of the scrape.
type collector struct{ d *Deliverer }

var (
	oldestAge     = prometheus.NewDesc("tranzit_webhook_oldest_seconds", "Age of the oldest event that an enabled endpoint is owed.", nil, nil)
	endpointCount = prometheus.NewDesc("tranzit_webhook_endpoints", "Webhook endpoints, by state: working, failing, disabled.", []string{"state"}, nil)
	inFlight      = prometheus.NewDesc("tranzit_webhook_in_flight", "Deliveries on their way.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- oldestAge
	ch <- endpointCount
	ch <- inFlight
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.d.mu.RLock()
	list := make([]*endpoint, 0, len(c.d.endpoints))
	for _, e := range c.d.endpoints {
		list = append(list, e)
	}
	c.d.mu.RUnlock()
	states := map[string]int{"working": 0, "failing": 0, "disabled": 0}
	running, oldest := 0, time.Duration(0)
	for _, e := range list {
		state, n, from := e.state()
		states[state]++
		running += n
		if state == "disabled" {
			continue
		}
		if id, err := c.d.o.Outbox.Oldest(e.id, from); err == nil && !id.IsZero() {
			e.keepOldest(id)
			oldest = max(oldest, time.Since(id.Time()))
		}
	}
	ch <- prometheus.MustNewConstMetric(oldestAge, prometheus.GaugeValue, oldest.Seconds())
	ch <- prometheus.MustNewConstMetric(inFlight, prometheus.GaugeValue, float64(running))
	for state, n := range states {
		ch <- prometheus.MustNewConstMetric(endpointCount, prometheus.GaugeValue, float64(n), state)
	}
}

func (e *endpoint) state() (word string, running int, oldest payswitch.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	word = "working"
	switch {
	case !e.info.Enabled:
		word = "disabled"
	case e.marked:
		word = "failing"
	}
	return word, e.running, e.oldest
}

// keepOldest spares the next look what was removed before this event.
func (e *endpoint) keepOldest(id payswitch.ID) {
	e.mu.Lock()
	e.oldest = id
	e.mu.Unlock()
}
