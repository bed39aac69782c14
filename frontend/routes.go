package frontend

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tranzit/tranzit/frontend/assist"
	payswitch "github.com/tranzit/tranzit/switch"
)

// route is one address of the API with what answers there.
type route struct {
	name    string // as in the documentation; the label of its metrics
	get     func(*call)
	post    func(*call)
	del     func(*call)
	target  func(*call, []byte) bool // reads the id of the path, or answers that there is no such thing; default: a payment's
	reads   payswitch.Scope          // what a restricted key needs for get
	writes  payswitch.Scope          // and for the others
	public  bool                     // answers without a key
	keyed   bool                     // its POST goes by an idempotency key: a repeat is harmless
	purpose payswitch.Purpose        // of the payments it is about
	service *assist.Service          // of Assist's: it answers in its own words, refusals too
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

// finish fills what follows from the handlers and the name.
func (r *route) finish(m *metrics) {
	var allow []string
	if r.get != nil {
		allow = append(allow, "GET", "HEAD")
	}
	if r.post != nil {
		allow = append(allow, "POST")
	}
	if r.del != nil {
		allow = append(allow, "DELETE")
	}
	if r.target == nil {
		r.target = (*call).targetPayment
	}
	r.allow = []byte(strings.Join(allow, ", "))
	r.counts, r.seconds, r.missing = m.countersOf(r.name), m.seconds.WithLabelValues(r.name), m.requests
}

// routes is the table of the API.
type routes struct {
	payments    *route // /v1/payments
	explain     *route // /v1/payments/explain
	payment     *route // /v1/payments/{id}
	timeline    *route // /v1/payments/{id}/timeline
	capture     *route // /v1/payments/{id}/capture
	cancel      *route // /v1/payments/{id}/cancel
	raise       *route // /v1/payments/{id}/increment
	done        *route // /v1/payments/{id}/operations
	receipt     *route // /v1/payments/{id}/receipt
	refunds     *route // /v1/payments/{id}/refunds
	refund      *route // /v1/payments/{id}/refunds/{id}
	tokens      *route // /v1/tokens
	token       *route // /v1/tokens/{id}
	replace     *route // /v1/tokens/{id}/replace
	newCard     *route // /v1/tokens/{id}/replacement
	customer    *route // /v1/customers/{id}/tokens
	results     *route // /v1/results
	keys        *route // /v1/api_keys
	key         *route // /v1/api_keys/{id}
	rollKey     *route // /v1/api_keys/{id}/roll
	revoke      *route // /v1/api_keys/{id}/revoke
	hooks       *route // /v1/webhook_endpoints
	hook        *route // /v1/webhook_endpoints/{id}
	rollHook    *route // /v1/webhook_endpoints/{id}/roll_secret
	testHook    *route // /v1/webhook_endpoints/{id}/test
	replay      *route // /v1/webhook_endpoints/{id}/replay
	events      *route // /v1/events
	event       *route // /v1/events/{id}
	sendings    *route // /v1/events/{id}/deliveries
	resend      *route // /v1/events/{id}/resend
	batches     *route // /v1/batches
	batch       *route // /v1/batches/{id}
	rows        *route // /v1/batches/{id}/rows
	stop        *route // /v1/batches/{id}/cancel
	plans       *route // /v1/schedules
	plan        *route // /v1/schedules/{id}
	planRuns    *route // /v1/schedules/{id}/runs
	pausePlan   *route // /v1/schedules/{id}/pause
	resumePlan  *route // /v1/schedules/{id}/resume
	cancelPlan  *route // /v1/schedules/{id}/cancel
	sessions    *route // /v1/checkout_sessions
	session     *route // /v1/checkout_sessions/{id}
	endSession  *route // /v1/checkout_sessions/{id}/expire
	sessionQR   *route // /v1/checkout_sessions/{id}/qr
	sendLink    *route // /v1/checkout_sessions/{id}/send
	page        *route // /pay/{id}: for buyers
	designs     *route // /v1/page_templates
	lintDesign  *route // /v1/page_templates/lint
	backDesign  *route // /v1/page_templates/rollback
	design      *route // /v1/page_templates/{id}
	showDesign  *route // /v1/page_templates/{id}/publish
	buy         *route // /buy/{id}: for buyers who press a button
	challenge   *route // /3ds/{id}: for payers, of the simulated 3-D Secure server
	replacement *route // /v1/card_replacements/{id}
	endReplace  *route // /v1/card_replacements/{id}/cancel
	buttons     *route // /v1/buttons
	button      *route // /v1/buttons/{id}
	endButton   *route // /v1/buttons/{id}/disable
	payouts     *route // /v1/payouts
	payout      *route // /v1/payouts/{id}
	outStory    *route // /v1/payouts/{id}/timeline
	verifies    *route // /v1/verifications
	verified    *route // /v1/verifications/{id}
	verStory    *route // /v1/verifications/{id}/timeline
	balance     *route // /v1/balance
	declines    *route // /v1/declines
	banks       *route // /v1/banks
	bank        *route // /v1/banks/{id}
	openAPI     *route // /openapi.json

	applications     *route // /v1/applications
	application      *route // /v1/applications/{id}
	applicationActs  *route // /v1/applications/{id}/acts
	applicationGuide *route // /v1/applications/{id}/guide

	none *route // anything else, and what could not be read

	placed []placedRoute     // those that do not begin with /v1/payments
	assist map[string]*route // by address; nil: there are none
}

func newRoutes(m *metrics) *routes {
	var all []*route
	with := func(r route) *route {
		r.finish(m)
		all = append(all, &r)
		return &r
	}
	r := &routes{
		payments: with(route{name: "/v1/payments", get: (*call).listPayments, post: (*call).createPayment, keyed: true,
			reads: payswitch.ScopePaymentsRead, writes: payswitch.ScopePaymentsWrite}),
		explain:  with(route{name: "/v1/payments/explain", post: (*call).explainPayment, writes: payswitch.ScopePaymentsWrite}),
		payment:  with(route{name: "/v1/payments/{id}", get: (*call).getPayment, reads: payswitch.ScopePaymentsRead}),
		timeline: with(route{name: "/v1/payments/{id}/timeline", get: (*call).getTimeline, reads: payswitch.ScopePaymentsRead}),
		capture:  with(route{name: "/v1/payments/{id}/capture", post: (*call).capturePayment, keyed: true, writes: payswitch.ScopePaymentsWrite}),
		cancel:   with(route{name: "/v1/payments/{id}/cancel", post: (*call).cancelPayment, keyed: true, writes: payswitch.ScopePaymentsWrite}),
		raise:    with(route{name: "/v1/payments/{id}/increment", post: (*call).incrementPayment, keyed: true, writes: payswitch.ScopePaymentsWrite}),
		receipt:  with(route{name: "/v1/payments/{id}/receipt", post: (*call).sendReceipt, keyed: true, writes: payswitch.ScopePaymentsWrite}),
		done:     with(route{name: "/v1/payments/{id}/operations", get: (*call).listOperations, reads: payswitch.ScopePaymentsRead}),
		refunds: with(route{name: "/v1/payments/{id}/refunds", get: (*call).listRefunds, post: (*call).createRefund, keyed: true,
			reads: payswitch.ScopePaymentsRead, writes: payswitch.ScopeRefundsWrite}),
		refund: with(route{name: "/v1/payments/{id}/refunds/{id}", get: (*call).getRefund, reads: payswitch.ScopePaymentsRead}),
		tokens: with(route{name: "/v1/tokens", post: (*call).createToken, writes: payswitch.ScopeTokensWrite}),
		token: with(route{name: "/v1/tokens/{id}", get: (*call).getToken, del: (*call).deleteToken, target: (*call).targetToken,
			reads: payswitch.ScopeTokensRead, writes: payswitch.ScopeTokensWrite}),
		replace:  with(route{name: "/v1/tokens/{id}/replace", post: (*call).replaceCard, target: (*call).targetToken, writes: payswitch.ScopeTokensWrite}),
		customer: with(route{name: "/v1/customers/{id}/tokens", get: (*call).listTokens, target: (*call).targetCustomer, reads: payswitch.ScopeTokensRead}),
		results:  with(route{name: "/v1/results", get: (*call).listResults, reads: payswitch.ScopePaymentsRead}),
		keys: with(route{name: "/v1/api_keys", get: (*call).listKeys, post: (*call).createKey,
			reads: payswitch.ScopeKeysRead, writes: payswitch.ScopeKeysWrite}),
		key:     with(route{name: "/v1/api_keys/{id}", get: (*call).getKey, target: (*call).targetKey, reads: payswitch.ScopeKeysRead}),
		rollKey: with(route{name: "/v1/api_keys/{id}/roll", post: (*call).rollKey, target: (*call).targetKey, writes: payswitch.ScopeKeysWrite}),
		revoke:  with(route{name: "/v1/api_keys/{id}/revoke", post: (*call).revokeKey, target: (*call).targetKey, writes: payswitch.ScopeKeysWrite}),
		batches: with(route{name: "/v1/batches", get: (*call).listBatches, post: (*call).createBatch, keyed: true,
			reads: payswitch.ScopeBatchesRead, writes: payswitch.ScopeBatchesWrite}),
		batch:    with(route{name: "/v1/batches/{id}", get: (*call).getBatch, target: (*call).targetBatch, reads: payswitch.ScopeBatchesRead}),
		rows:     with(route{name: "/v1/batches/{id}/rows", get: (*call).listRows, target: (*call).targetBatch, reads: payswitch.ScopeBatchesRead}),
		stop:     with(route{name: "/v1/batches/{id}/cancel", post: (*call).cancelBatch, target: (*call).targetBatch, writes: payswitch.ScopeBatchesWrite}),
		declines: with(route{name: "/v1/declines", get: (*call).listDeclines, reads: payswitch.ScopePaymentsRead}),
		openAPI:  with(route{name: "/openapi.json", get: (*call).getOpenAPI, public: true}),
		none:     with(route{name: "none"}),
	}
	r.addNotifications(with)
	r.addSchedules(with)
	r.addCheckout(with)
	r.addButtons(with)
	r.addReplacements(with)
	r.addOthers(with)
	r.addApplications(with)
	r.addBanks(with)
	r.place(all)
	return r
}

// addSchedules adds the routes of schedules.
func (r *routes) addSchedules(with func(route) *route) {
	act := func(path string, post func(*call)) *route {
		return with(route{name: "/v1/schedules/{id}/" + path, post: post, target: (*call).targetSchedule, writes: payswitch.ScopeSchedulesWrite})
	}
	r.plans = with(route{name: "/v1/schedules", get: (*call).listSchedules, post: (*call).createSchedule, keyed: true,
		reads: payswitch.ScopeSchedulesRead, writes: payswitch.ScopeSchedulesWrite})
	r.plan = with(route{name: "/v1/schedules/{id}", get: (*call).getSchedule, post: (*call).changeSchedule, target: (*call).targetSchedule,
		reads: payswitch.ScopeSchedulesRead, writes: payswitch.ScopeSchedulesWrite})
	r.planRuns = with(route{name: "/v1/schedules/{id}/runs", get: (*call).listRuns, target: (*call).targetSchedule, reads: payswitch.ScopeSchedulesRead})
	r.pausePlan = act("pause", (*call).pauseSchedule)
	r.resumePlan = act("resume", (*call).resumeSchedule)
	r.cancelPlan = act("cancel", (*call).cancelSchedule)
}

// addCheckout adds the routes of checkout sessions, and the page of their buyers.
func (r *routes) addCheckout(with func(route) *route) {
	r.sessions = with(route{name: "/v1/checkout_sessions", get: (*call).listCheckouts, post: (*call).createCheckout, keyed: true,
		reads: payswitch.ScopeCheckoutRead, writes: payswitch.ScopeCheckoutWrite})
	r.session = with(route{name: "/v1/checkout_sessions/{id}", get: (*call).getCheckout, target: (*call).targetCheckout, reads: payswitch.ScopeCheckoutRead})
	r.endSession = with(route{name: "/v1/checkout_sessions/{id}/expire", post: (*call).expireCheckout, target: (*call).targetCheckout, writes: payswitch.ScopeCheckoutWrite})
	r.sessionQR = with(route{name: "/v1/checkout_sessions/{id}/qr", get: (*call).getCheckoutQR, target: (*call).targetCheckout, reads: payswitch.ScopeCheckoutRead})
	r.sendLink = with(route{name: "/v1/checkout_sessions/{id}/send", post: (*call).sendCheckout, target: (*call).targetCheckout, keyed: true, writes: payswitch.ScopeCheckoutWrite})
	r.designs = with(route{name: "/v1/page_templates", get: (*call).listTemplates, post: (*call).createTemplate,
		reads: payswitch.ScopePagesRead, writes: payswitch.ScopePagesWrite})
	r.lintDesign = with(route{name: "/v1/page_templates/lint", post: (*call).lintTemplate, writes: payswitch.ScopePagesRead})
	r.backDesign = with(route{name: "/v1/page_templates/rollback", post: (*call).rollbackTemplate, writes: payswitch.ScopePagesWrite})
	r.design = with(route{name: "/v1/page_templates/{id}", get: (*call).getTemplate, target: (*call).targetTemplate, reads: payswitch.ScopePagesRead})
	r.showDesign = with(route{name: "/v1/page_templates/{id}/publish", post: (*call).publishTemplate, target: (*call).targetTemplate, writes: payswitch.ScopePagesWrite})
	r.page = with(route{name: "/pay/{id}", get: (*call).showPage, post: (*call).showPage, public: true, target: (*call).targetPage})
	r.buy = with(route{name: "/buy/{id}", get: (*call).buy, post: (*call).buy, public: true, target: (*call).targetPage})
	r.challenge = with(route{name: "/3ds/{id}", get: (*call).showChallenge, post: (*call).showChallenge, public: true, target: (*call).targetPage})
}

// addNotifications adds the routes of webhooks and events.
func (r *routes) addNotifications(with func(route) *route) {
	hook := func(path string, post func(*call)) *route {
		return with(route{name: "/v1/webhook_endpoints/{id}/" + path, post: post, target: (*call).targetEndpoint, writes: payswitch.ScopeWebhooksWrite})
	}
	r.hooks = with(route{name: "/v1/webhook_endpoints", get: (*call).listEndpoints, post: (*call).createEndpoint,
		reads: payswitch.ScopeWebhooksRead, writes: payswitch.ScopeWebhooksWrite})
	r.hook = with(route{name: "/v1/webhook_endpoints/{id}", get: (*call).getEndpoint, post: (*call).changeEndpoint, del: (*call).deleteEndpoint,
		target: (*call).targetEndpoint, reads: payswitch.ScopeWebhooksRead, writes: payswitch.ScopeWebhooksWrite})
	r.rollHook = hook("roll_secret", (*call).rollEndpointSecret)
	r.testHook = hook("test", (*call).testEndpoint)
	r.replay = hook("replay", (*call).replayEvents)
	r.events = with(route{name: "/v1/events", get: (*call).listEvents, reads: payswitch.ScopeEventsRead})
	r.event = with(route{name: "/v1/events/{id}", get: (*call).getEvent, target: (*call).targetEvent, reads: payswitch.ScopeEventsRead})
	r.sendings = with(route{name: "/v1/events/{id}/deliveries", get: (*call).listDeliveries, target: (*call).targetEvent, reads: payswitch.ScopeEventsRead})
	r.resend = with(route{name: "/v1/events/{id}/resend", post: (*call).resendEvent, target: (*call).targetEvent, writes: payswitch.ScopeWebhooksWrite})
}

var (
	paymentsPath     = []byte("/v1/payments")
	explainName      = []byte("explain")
	timelineSuffix   = []byte("/timeline")
	captureSuffix    = []byte("/capture")
	cancelSuffix     = []byte("/cancel")
	operationsSuffix = []byte("/operations")
	receiptSuffix    = []byte("/receipt")

	refundsSuffix = []byte("/refunds")
	raiseSuffix   = []byte("/increment")
)

// find matches a path as it came: no dots are resolved, no slashes merged and
// nothing is unescaped, since no address of this API needs it.
// refund is the second id of an address that has two.
func (r *routes) find(path []byte) (found *route, id, refund []byte) {
	rest, ok := bytes.CutPrefix(path, paymentsPath)
	switch {
	case bytes.Equal(path, openAPIPath):
		return r.openAPI, nil, nil
	case !ok:
		return r.elsewhere(path)
	case len(rest) == 0:
		return r.payments, nil, nil
	case rest[0] != '/':
		return r.none, nil, nil
	}
	id, tail := rest[1:], []byte(nil)
	if at := bytes.IndexByte(id, '/'); at >= 0 {
		id, tail = id[:at], id[at:]
	}
	if len(id) == 0 {
		return r.none, nil, nil
	}
	switch {
	case len(tail) == 0 && bytes.Equal(id, explainName):
		return r.explain, nil, nil
	case len(tail) == 0:
		return r.payment, id, nil
	case bytes.Equal(tail, timelineSuffix):
		return r.timeline, id, nil
	case bytes.Equal(tail, captureSuffix):
		return r.capture, id, nil
	case bytes.Equal(tail, cancelSuffix):
		return r.cancel, id, nil
	case bytes.Equal(tail, receiptSuffix):
		return r.receipt, id, nil
	case bytes.Equal(tail, operationsSuffix):
		return r.done, id, nil
	case bytes.Equal(tail, refundsSuffix):
		return r.refunds, id, nil
	case bytes.Equal(tail, raiseSuffix):
		return r.raise, id, nil
	}
	refund, ok = bytes.CutPrefix(tail, refundsSuffix)
	if !ok || len(refund) < 2 || refund[0] != '/' || bytes.IndexByte(refund[1:], '/') >= 0 {
		return r.none, nil, nil
	}
	return r.refund, id, refund[1:]
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
	found, id, refund := s.routes.find(c.ctx.URI().PathOriginal())
	if found == s.routes.none {
		c.refuse(problem{kind: problemNotFound, detail: "This API has nothing at this address."})
		return
	}
	c.route = found
	handler := found.get
	switch {
	case header.IsPost():
		handler = found.post
	case header.IsDelete():
		handler = found.del
	case !header.IsGet() && !header.IsHead():
		handler = nil
	}
	if handler == nil {
		c.ctx.Response.Header.SetCanonical(headAllow, found.allow)
		c.refuse(problem{kind: problemMethodNotAllowed, detail: "See the Allow header for the methods of this address."})
		return
	}
	if !found.public && (!c.authenticate() || !c.withinQuota() || !c.permitted()) {
		return
	}
	if id != nil && !found.target(c, id) || refund != nil && !c.targetRefund(refund) {
		return
	}
	handler(c)
}
