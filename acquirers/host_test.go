package acquirers

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

// fieldNetworkCode has the network management code in the dialects of 1987.
const fieldNetworkCode = 70

const hostAddr = "bank.example:5000"

func builtin(t testing.TB) *iso.Dialect {
	t.Helper()
	d, err := iso.Builtin("ascii87")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// host is a bank of a few lines: it answers everything with 00 unless the test
// says otherwise.
type host struct {
	t        testing.TB
	d        *iso.Dialect
	net      *simnet.Net
	listener net.Listener

	// serve replaces the default answer when it returns true. It runs in the
	// connection's reader.
	serve func(c *hostConn, m *iso.Message) bool
	polls atomic.Int64 // frames without a message

	mu    sync.Mutex
	conns []*hostConn
	seen  []string // "0200 000123", "0800 301"
}

type hostConn struct {
	host *host
	sim  *simnet.Conn
	net.Conn
	number int // from 1
}

func newHost(t testing.TB, o simnet.Options) *host {
	h := &host{t: t, d: builtin(t), net: simnet.New(o)}
	t.Cleanup(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, c := range h.conns {
			c.Close()
		}
	})
	h.open()
	return h
}

// open starts listening, at first or again.
func (h *host) open() {
	l, err := h.net.Listen(hostAddr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.listener = l
	go h.accept(l)
	h.t.Cleanup(func() { l.Close() })
}

func (h *host) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		hc := &hostConn{host: h, Conn: c}
		h.take(hc)
		go hc.loop()
	}
}

func (h *host) take(c *hostConn) {
	c.sim, _ = c.Conn.(*simnet.Conn)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, c)
	c.number = len(h.conns)
}

// conn is the n-th connection the host took, from 1.
func (h *host) conn(n int) *hostConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.conns) < n {
		h.t.Fatalf("the host took %d connections, want at least %d", len(h.conns), n)
	}
	return h.conns[n-1]
}

func (h *host) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

func (h *host) log(m *iso.Message) {
	what := m.Get(11)
	if m.MTI.Class() == classNetwork {
		what = m.Get(fieldNetworkCode)
	}
	h.mu.Lock()
	h.seen = append(h.seen, fmt.Sprintf("%s %s", m.MTI, what))
	h.mu.Unlock()
}

// saw returns the messages of one type in order of arrival; "" returns all.
func (h *host) saw(prefix string) (out []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.seen {
		if len(s) >= len(prefix) && s[:len(prefix)] == prefix {
			out = append(out, s)
		}
	}
	return out
}

func (c *hostConn) loop() {
	defer c.Close()
	buf := make([]byte, 0, 1<<16)
	for {
		n, err := c.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		buf = buf[:len(buf)+n]
		used := 0
		for {
			body, n, err := c.host.d.NextFrame(buf[used:])
			if err != nil {
				return
			}
			if n == 0 {
				break
			}
			used += n
			if body == nil {
				c.host.polls.Add(1)
			}
			m := new(iso.Message)
			if c.host.d.Decode(body, m) != nil {
				continue
			}
			c.host.log(m)
			if c.host.serve != nil && c.host.serve(c, m) {
				continue
			}
			if m.MTI.ExpectsAnswer() {
				c.answer(m, "00")
			}
		}
		buf = buf[:copy(buf, buf[used:])]
	}
}

// reply builds the answer to m.
func (c *hostConn) reply(m *iso.Message, code string) *iso.Message {
	v := iso.Values{ResponseCode: c.host.d.CodeLike(m.MTI.Response(), code), SentAt: time.Now().UTC()}
	if code == "00" {
		v.ApprovalCode = "A1B2C3"
	}
	a := new(iso.Message)
	if err := c.host.d.Answer(m, &v, a); err != nil {
		c.host.t.Errorf("host: answer to %s: %v", m.MTI, err)
	}
	return a
}

func (c *hostConn) answer(m *iso.Message, code string) { c.send(c.reply(m, code)) }

func (c *hostConn) send(m *iso.Message) { c.Write(c.frame(m)) }

func (c *hostConn) frame(m *iso.Message) []byte {
	frame, err := c.host.d.AppendFrame(nil, m)
	if err != nil {
		c.host.t.Errorf("host: frame: %v", err)
	}
	return frame
}

// request sends a network message of the bank's own with the given DE70.
func (c *hostConn) request(code string) {
	m := new(iso.Message)
	v := iso.Values{STAN: 777, SentAt: time.Now().UTC(), LocalAt: time.Now()}
	if err := c.host.d.Build(iso.OpEcho, &v, m); err != nil {
		c.host.t.Error(err)
		return
	}
	m.SetString(fieldNetworkCode, code)
	c.send(m)
}

// side collects what a bank tells its owner.
type side struct {
	mu      sync.Mutex
	alarms  []string
	details []string // of the alarms
	late    []string
	days    []time.Time // of cut-overs
}

func (s *side) count(kind string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.alarms {
		if a == kind {
			n++
		}
	}
	return n
}

func (s *side) lates() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.late)
}

// rig is a bank and its host.
type rig struct {
	*Bank
	*side
	t    testing.TB
	host *host
	seq  atomic.Uint64
}

// newRig starts a bank on the host: one link, sign-on, timers of round numbers.
func newRig(t testing.TB, h *host, change func(*Config)) *rig {
	r := &rig{t: t, host: h, side: &side{}}
	cfg := Config{ID: "test", Endpoints: []string{hostAddr}, SignOn: true, Institution: "123456",
		ResponseTimeout: 10 * time.Second, ReversalTimeout: 20 * time.Second, WriteTimeout: 3 * time.Second,
		EchoInterval: 30 * time.Second, EchoTimeout: 10 * time.Second, EchoMisses: 2, ReconnectMin: time.Second, ReconnectMax: 8 * time.Second,
		Window: 100, ReversalShare: 10, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Dial: h.net.Dial}
	if change != nil {
		change(&cfg)
	}
	b, err := New(cfg, h.d, Hooks{
		NextSeq: func() (uint64, error) { return 500_000 + r.seq.Add(1), nil },
		Late: func(_ *iso.Dialect, m *iso.Message) {
			r.side.mu.Lock()
			defer r.side.mu.Unlock()
			r.late = append(r.late, fmt.Sprintf("%s %s", m.MTI, m.Get(11)))
		},
		CutOver: func(at time.Time) {
			r.side.mu.Lock()
			defer r.side.mu.Unlock()
			r.days = append(r.days, at)
		},
		Alarm: func(kind, detail string) {
			r.side.mu.Lock()
			defer r.side.mu.Unlock()
			r.alarms, r.details = append(r.alarms, kind), append(r.details, detail)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Bank = b
	b.Start()
	t.Cleanup(b.Close)
	return r
}

// await waits until the bank is ready, or not.
func (r *rig) await(ready bool) {
	r.t.Helper()
	limit := time.NewTimer(time.Hour)
	defer limit.Stop()
	for {
		changed := r.Watch()
		if (r.Ready() == nil) == ready {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			r.t.Fatalf("the bank did not become ready=%v: %v", ready, r.Ready())
		}
	}
}

// awaitLinks waits until n links are ready. The channel is taken before the
// look, or a change between the two would be missed.
func (r *rig) awaitLinks(n int) {
	for changed := r.Watch(); len(*r.ready.Load()) < n; changed = r.Watch() {
		<-changed
	}
}

// purchase builds a request with the STAN of seq.
func (r *rig) purchase(seq uint64) *iso.Message { return buildOp(r.t, r.host.d, iso.OpPurchase, seq) }

func buildOp(t testing.TB, d *iso.Dialect, op iso.Operation, seq uint64) *iso.Message {
	t.Helper()
	pan, err := iso.ParsePAN([]byte("4111111111111111"))
	if err != nil {
		t.Fatal(err)
	}
	rub, err := iso.ParseCurrency("RUB")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 6, 12, 8, 20, 1, 0, time.UTC)
	v := iso.Values{PAN: pan, Expiry: iso.Expiry{Year: 2028, Month: 12}, Amount: 12500, Currency: rub, STAN: d.STAN(seq), RRN: d.RRN(seq, at),
		SentAt: at, LocalAt: at, Terminal: "TERM0001", Merchant: "MERCHANT0000001", MCC: "5411", NameLocation: "DEMO SHOP", Country: "643",
		Acquirer: "123456", Reason: iso.ReasonTimeout,
		Original: iso.Original{MTI: 0x0200, STAN: d.STAN(seq), SentAt: at, Acquirer: "123456"}}
	m := new(iso.Message)
	if err := d.Build(op, &v, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// result is a finished exchange.
type result struct {
	*Exchange
	fate Fate
	took time.Duration
	stan string
}

// pay makes one reserved exchange.
func (r *rig) pay(m *iso.Message, timeout time.Duration) result {
	r.t.Helper()
	if !r.Reserve(ClassPayment) {
		r.t.Errorf("no slot in the window")
	}
	defer r.Release(ClassPayment)
	x := &Exchange{Request: m, Timeout: timeout}
	start := time.Now()
	fate := r.Exchange(x)
	return result{Exchange: x, fate: fate, took: time.Since(start), stan: string(m.Get(11))}
}

// start makes n exchanges at once with the STANs of seq first, first+1, ...
func (r *rig) start(first, n int) <-chan result {
	out := make(chan result, n)
	for i := range n {
		m := r.purchase(uint64(first + i))
		go func() { out <- r.pay(m, 0) }()
	}
	return out
}

func collect(c <-chan result, n int) (out []result) {
	for range n {
		out = append(out, <-c)
	}
	return out
}

func (res result) want(t *testing.T, fate Fate, cause Cause) {
	t.Helper()
	if res.fate != fate || res.Cause != cause {
		t.Fatalf("STAN %s: %s (%s) after %v, want %s (%s)", res.stan, res.fate, res.Cause, res.took, fate, cause)
	}
	if fate == NotSent && (!res.SentAt.IsZero() || res.Link != 0) {
		t.Fatalf("STAN %s was not sent and has SentAt %v, link %d", res.stan, res.SentAt, res.Link)
	}
	if fate != NotSent && (res.SentAt.IsZero() || res.Link == 0) {
		t.Fatalf("STAN %s was handed over and has SentAt %v, link %d", res.stan, res.SentAt, res.Link)
	}
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func background() context.Context { return context.Background() }
