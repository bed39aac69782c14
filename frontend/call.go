package frontend

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// call is one request on its way through the frontend, with all the memory it
// needs. Calls are pooled; nothing of one outlives its handler.
type call struct {
	server    *Server
	ctx       *fasthttp.RequestCtx
	begun     time.Time
	route     *route
	account   payswitch.Account
	signed    signedWith // zero: by the secret itself
	quota     *quota
	requestID [requestIDLen]byte
	id        payswitch.ID // of the path
	refund    payswitch.ID // of the path
	customer  string       // of the path
	bank      string       // of the path
	version   uint32       // of the path
	trace     traceParent
	status    int
	code      string // of the problem, for the log
	waited    bool   // a long poll: it is meant to be slow

	out  []byte // the answer's body
	head []byte // one header's value

	read          paymentReader
	readOperation operationReader

	request payswitch.PayRequest
	seen    seenPayment
}

// seenPayment is what the log says of the payment that was answered.
type seenPayment struct {
	id        payswitch.ID
	stan      iso.STAN
	bank, rrn string
	status    payswitch.Status
}

// The headers that answers carry, in the form fasthttp takes without work.
var (
	headRequestID    = []byte("Request-Id")
	headCacheControl = []byte("Cache-Control")
	headLocation     = []byte("Location")
	headReplayed     = []byte("Idempotency-Replayed")
	headAllow        = []byte("Allow")
	headRetryAfter   = []byte("Retry-After")
	headChallenge    = []byte("Www-Authenticate")
	headLimit        = []byte("Ratelimit")
	headPolicy       = []byte("Ratelimit-Policy")
	valueNoStore     = []byte("no-store")
	valueTrue        = []byte("true")
	valueJSON        = []byte("application/json")
	valueProblem     = []byte(problemType)
	valueChallenge   = []byte(`Bearer realm="tranzit", Basic realm="tranzit", charset="UTF-8"`)
	locationPrefix   = "/v1/payments/"
)

const problemType = "application/problem+json"

// requestIDLen is the length of a request's TypeID: prefix, underscore, 26.
const requestIDLen = len(requestPrefix) + 1 + 26

// newRequestID appends a fresh, time-ordered id. It is a name for logs and
// support, not a secret.
func newRequestID(dst []byte, at time.Time) []byte {
	var id payswitch.ID
	ms := uint64(at.UnixMilli())
	high, low := rand.Uint64(), rand.Uint64()
	id[0], id[1], id[2], id[3], id[4], id[5] = byte(ms>>40), byte(ms>>32), byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms)
	id[6], id[7] = 0x70|byte(high>>8)&0x0f, byte(high)
	for i := range 8 {
		id[8+i] = byte(low >> (8 * i))
	}
	id[8] = id[8]&0x3f | 0x80
	return id.Append(dst, requestPrefix)
}

func (c *call) begin(s *Server, ctx *fasthttp.RequestCtx, at time.Time) {
	c.server, c.ctx, c.begun = s, ctx, at
	c.route, c.account, c.quota, c.signed = s.routes.none, payswitch.Account{}, nil, signedWith{}
	c.id, c.refund, c.customer, c.version, c.trace, c.status, c.code, c.waited, c.seen = payswitch.ID{}, payswitch.ID{}, "", 0, traceParent{}, 0, "", false, seenPayment{}
	c.out, c.head = c.out[:0], c.head[:0]
	newRequestID(c.requestID[:0], at)
	s.inFlight.Add(1)
}

// end counts and logs the request, overwrites what it held of a card and gives
// its memory back.
func (c *call) end() {
	s, took := c.server, time.Since(c.begun)
	c.route.count(c.status)
	c.route.seconds.Observe(took.Seconds())
	c.log(took)
	clear(c.ctx.Request.Body())
	c.request.PAN.Wipe()
	c.request.CVC.Wipe()
	if c.request.Secrets != nil {
		c.request.Secrets.Wipe()
	}
	if c.request.PIN != nil {
		c.request.PIN.Block.Wipe()
	}
	c.request = payswitch.PayRequest{}
	c.server, c.ctx, c.account, c.quota, c.signed = nil, nil, payswitch.Account{}, nil, signedWith{}
	c.out = shrunk(c.out)
	s.inFlight.Add(-1)
	s.calls.Put(c)
}

// shrunk drops a buffer that one large answer made large.
func shrunk(b []byte) []byte {
	if cap(b) > 64<<10 {
		return nil
	}
	return b[:0]
}

// recover turns a panic into an answer. What was panicked with is not printed,
// nor are arguments: either may hold a card number.
func (c *call) recover() {
	if recover() == nil {
		return
	}
	c.server.noise.add(noisePanic)
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var where []string
	for {
		f, more := frames.Next()
		where = append(where, f.Function+":"+strconv.Itoa(f.Line))
		if !more {
			break
		}
	}
	c.server.log.Error("a request panicked", "request_id", string(c.requestID[:]), "route", c.route.name, "frames", where)
	c.ctx.Response.Reset()
	c.refuse(problem{kind: problemInternal, detail: "Repeat with the same idempotency key to learn the outcome.", retryAfter: time.Second})
}

// answer sends c.out.
func (c *call) answer(status int, contentType []byte) {
	c.status = status
	resp := &c.ctx.Response
	resp.SetStatusCode(status)
	resp.Header.SetContentTypeBytes(contentType)
	resp.Header.SetCanonical(headRequestID, c.requestID[:])
	resp.Header.SetCanonical(headCacheControl, valueNoStore)
	if c.quota != nil {
		resp.Header.SetCanonical(headPolicy, c.quota.policy)
		c.head = c.quota.appendState(c.head[:0])
		resp.Header.SetCanonical(headLimit, c.head)
	}
	resp.SetBody(c.out)
	c.signAnswer()
	// A pipelined answer leaves at once, not with the answer after it.
	_ = c.ctx.SetWriteDeadline(time.Now().Add(c.server.o.WriteTimeout))
}

// refuse sends a problem.
func (c *call) refuse(p problem) {
	c.code = p.kind.code
	header := &c.ctx.Response.Header
	if p.retryAfter > 0 {
		c.head = appendSeconds(c.head[:0], p.retryAfter)
		header.SetCanonical(headRetryAfter, c.head)
	}
	if p.kind == problemUnauthorized {
		header.SetCanonical(headChallenge, valueChallenge)
	}
	c.out = appendProblem(c.out[:0], &p, c.requestID[:])
	c.answer(p.kind.status, valueProblem)
}

// refuseFaults sends what is wrong with the request, member by member.
// REQUIRES: at least one fault.
func (c *call) refuseFaults(faults []fault) {
	detail := faults[0].detail
	switch {
	case len(faults) > 1:
		detail = strconv.Itoa(len(faults)) + " things are not valid; see errors."
	case faults[0].pointer != "":
		detail = faults[0].pointer + ": " + detail
	}
	c.refuse(problem{kind: problemInvalid, detail: detail + " This request had no effect.", faults: faults})
}

// log writes one line about the request: at info when it did not go well or
// was slow, else at debug. Never a body, a path or a query.
func (c *call) log(took time.Duration) {
	o := &c.server.o
	overdue := took > o.HandlerTimeout
	level := slog.LevelDebug
	switch {
	case overdue:
		c.server.noise.add(noiseOverdue)
		level = slog.LevelError
	case c.status >= 300 || c.status < 200 || took > o.SlowAfter && !c.waited:
		level = slog.LevelInfo
	}
	if !c.server.log.Enabled(context.Background(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs, slog.String("request_id", string(c.requestID[:])), slog.String("route", c.route.name),
		slog.Int("http_status", c.status), slog.Float64("duration_ms", float64(took.Microseconds())/1000))
	if c.code != "" {
		attrs = append(attrs, slog.String("code", c.code))
	}
	if c.account.Merchant != nil {
		attrs = append(attrs, slog.String("merchant", c.account.Merchant.ID), slog.Bool("live", c.account.Live))
	}
	if !c.seen.id.IsZero() {
		attrs = append(attrs, slog.String("payment", c.seen.id.Text(c.route.purpose.Prefix())), slog.String("bank", c.seen.bank),
			slog.String("stan", string(c.seen.stan.Append(nil))), slog.String("rrn", c.seen.rrn), slog.String("status", c.seen.status.String()))
	}
	if c.trace.ok {
		attrs = append(attrs, slog.String("traceparent", string(c.trace.text[:])))
	}
	c.server.log.LogAttrs(context.Background(), level, "http request", attrs...)
}

// note remembers for the log which payment was answered.
func (c *call) note(p *payswitch.Payment) {
	c.seen = seenPayment{id: p.ID, stan: p.STAN, bank: p.Bank, rrn: p.RRN, status: p.Status}
}

// traceParent is the caller's W3C trace context, version 00.
type traceParent struct {
	ok   bool
	text [traceParentLen]byte
}

const traceParentLen = 55 // 00-<32>-<16>-<2>

// parseTraceParent takes only the form of the recommendation: what else a
// client puts into that header never reaches the log.
func parseTraceParent(b []byte) (t traceParent) {
	if len(b) != traceParentLen {
		return t
	}
	zeroTrace, zeroParent := true, true
	for i, ch := range b {
		switch {
		case i == 2 || i == 35 || i == 52:
			if ch != '-' {
				return traceParent{}
			}
		case i < 2 && ch != '0':
			return traceParent{}
		case (ch < '0' || ch > '9') && (ch < 'a' || ch > 'f'):
			return traceParent{}
		case ch != '0' && i < 35:
			zeroTrace = zeroTrace && i < 3
		case ch != '0' && i < 52:
			zeroParent = false
		}
	}
	copy(t.text[:], b)
	t.ok = !zeroTrace && !zeroParent
	return t
}

// identify reads the id of the path's object, or answers 404: an id that cannot be
// one names nothing.
func (c *call) identify(text []byte, prefix, what string) bool {
	id, err := payswitch.ParseID(prefix, string(text))
	if err != nil {
		c.refuse(problem{kind: problemNotFound, detail: "There is no such " + what + "."})
		return false
	}
	c.id = id
	return true
}

// repeats tells whether the answer is that to an earlier request under the same key.
func (c *call) repeats(replayed bool) {
	if replayed {
		c.ctx.Response.Header.SetCanonical(headReplayed, valueTrue)
	}
}

// stands tells where what was made is read.
func (c *call) stands(path, prefix string, id payswitch.ID) {
	c.head = id.Append(append(c.head[:0], path...), prefix)
	c.ctx.Response.Header.SetCanonical(headLocation, c.head)
}

// answerJSON answers with what the standard library makes of a value; it is not
// for the payment path.
func (c *call) answerJSON(status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		c.refuse(problem{kind: problemInternal, detail: "The answer could not be written."})
		return
	}
	c.out = append(slices.Grow(c.out[:0], len(body)), body...)
	c.answer(status, valueJSON)
}
