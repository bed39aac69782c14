package frontend

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// route is one address of the API with what answers there.
type route struct {
	name    string // as in the documentation; the label of its metrics
	get     func(*call)
	post    func(*call)
	allow   []byte
	seconds prometheus.Observer
	counts  *[statusLimit]prometheus.Counter
	missing *prometheus.CounterVec
}

func (r *route) count(status int) {
	if status >= 0 && status < statusLimit && r.counts[status] != nil {
		r.counts[status].Inc()
		return
	}
	r.missing.WithLabelValues(r.name, strconv.Itoa(status)).Inc()
}

// routes is the table of the API.
type routes struct {
	payments *route // /v1/payments
	payment  *route // /v1/payments/{id}
	timeline *route // /v1/payments/{id}/timeline
	none     *route // anything else, and what could not be read
}

func newRoutes(m *metrics) *routes {
	with := func(r route) *route {
		var allow []string
		if r.get != nil {
			allow = append(allow, "GET", "HEAD")
		}
		if r.post != nil {
			allow = append(allow, "POST")
		}
		r.allow = []byte(strings.Join(allow, ", "))
		r.counts, r.seconds, r.missing = m.countersOf(r.name), m.seconds.WithLabelValues(r.name), m.requests
		return &r
	}
	return &routes{
		payments: with(route{name: "/v1/payments", get: (*call).listPayments, post: (*call).createPayment}),
		payment:  with(route{name: "/v1/payments/{id}", get: (*call).getPayment}),
		timeline: with(route{name: "/v1/payments/{id}/timeline", get: (*call).getTimeline}),
		none:     with(route{name: "none"}),
	}
}

var (
	paymentsPath   = []byte("/v1/payments")
	timelineSuffix = []byte("/timeline")
)

// find matches a path as it came: no dots are resolved, no slashes merged and
// nothing is unescaped, since no address of this API needs it.
func (r *routes) find(path []byte) (found *route, id []byte) {
	rest, ok := bytes.CutPrefix(path, paymentsPath)
	switch {
	case !ok:
		return r.none, nil
	case len(rest) == 0:
		return r.payments, nil
	case rest[0] != '/':
		return r.none, nil
	}
	rest = rest[1:]
	found = r.payment
	if head, ok := bytes.CutSuffix(rest, timelineSuffix); ok {
		rest, found = head, r.timeline
	}
	if len(rest) == 0 || bytes.IndexByte(rest, '/') >= 0 {
		return r.none, nil
	}
	return found, rest
}

// dispatch finds the route, the merchant and its quota, in this order, then
// lets the route answer.
func (c *call) dispatch() {
	s, header := c.server, &c.ctx.Request.Header
	c.trace = parseTraceParent(header.PeekCanonical(headTraceParent))
	if len(header.RequestURI()) > s.o.MaxURI {
		c.refuse(problem{kind: problemURITooLong, detail: "The address has more than " + strconv.Itoa(s.o.MaxURI) + " bytes."})
		return
	}
	found, id := s.routes.find(c.ctx.URI().PathOriginal())
	if found == s.routes.none {
		c.refuse(problem{kind: problemNotFound, detail: "This API has nothing at this address."})
		return
	}
	c.route = found
	handler := found.get
	switch {
	case header.IsPost():
		handler = found.post
	case !header.IsGet() && !header.IsHead():
		handler = nil
	}
	if handler == nil {
		c.ctx.Response.Header.SetCanonical(headAllow, found.allow)
		c.refuse(problem{kind: problemMethodNotAllowed, detail: "See the Allow header for the methods of this address."})
		return
	}
	if !c.authenticate() || !c.withinQuota() {
		return
	}
	if id != nil && !c.target(id) {
		return
	}
	handler(c)
}
