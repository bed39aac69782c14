//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// proxy stands between the switch and one bank and breaks the line. Its
// sockets have small buffers, so that a bank that does not read is soon felt.
type proxy struct {
	t       *testing.T
	address string
	target  string

	mu      sync.Mutex
	ln      net.Listener
	pairs   map[net.Conn]net.Conn // the switch's side -> the bank's
	mode    proxyMode
	changed chan struct{}
	cutUp   int // bytes towards the bank after which the pair is cut; 0: never
	cutDown int // and towards the switch
	cuts    int
}

type proxyMode uint8

const (
	proxyPass  proxyMode = iota
	proxyHole            // reads everything and passes nothing on
	proxyStall           // does not read from the switch
)

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{t: t, target: target, pairs: map[net.Conn]net.Conn{}, changed: make(chan struct{})}
	p.listen("127.0.0.1:0")
	p.address = p.ln.Addr().String()
	t.Cleanup(p.refuse)
	return p
}

func (p *proxy) listen(address string) {
	p.t.Helper()
	small := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		return raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1024)
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 88)
		})
	}}
	ln, err := small.Listen(context.Background(), "tcp", address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.ln = ln
	p.mu.Unlock()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p.join(conn)
		}
	}()
}

func (p *proxy) join(conn net.Conn) {
	bank, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = conn.Close()
		return
	}
	p.mu.Lock()
	p.pairs[conn] = bank
	p.mu.Unlock()
	go p.pump(conn, bank, true)
	go p.pump(conn, bank, false)
}

// pump carries one direction of a pair until it ends.
func (p *proxy) pump(pair, bank net.Conn, up bool) {
	from, to := bank, pair
	if up {
		from, to = pair, bank
	}
	defer p.part(pair)
	buf := make([]byte, 2048)
	for {
		if up && !p.awaitReading(pair) {
			return
		}
		n, err := from.Read(buf)
		if n > 0 {
			pass, cut := p.budget(n, up)
			if _, err := to.Write(buf[:pass]); err != nil || cut {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// awaitReading waits while the bank does not read. False: the pair was parted.
func (p *proxy) awaitReading(pair net.Conn) bool {
	for {
		p.mu.Lock()
		mode, changed, here := p.mode, p.changed, p.pairs[pair] != nil
		p.mu.Unlock()
		if mode != proxyStall || !here {
			return here
		}
		<-changed
	}
}

// budget says how many of n bytes pass, and whether the pair is cut after them.
func (p *proxy) budget(n int, up bool) (pass int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == proxyHole {
		return 0, false
	}
	left := &p.cutDown
	if up {
		left = &p.cutUp
	}
	if *left == 0 || n < *left {
		*left = max(0, *left-n)
		return n, false
	}
	pass, *left = *left, 0
	p.cuts++
	return pass, true
}

func (p *proxy) part(pair net.Conn) {
	p.mu.Lock()
	bank := p.pairs[pair]
	delete(p.pairs, pair)
	p.mu.Unlock()
	_ = pair.Close()
	if bank != nil {
		_ = bank.Close()
	}
}

func (p *proxy) set(m proxyMode) {
	p.mu.Lock()
	p.mode = m
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
}

// cutAfter cuts the next pair that carries so many bytes, whatever message
// they are in the middle of.
func (p *proxy) cutAfter(n int, up bool) {
	p.mu.Lock()
	if up {
		p.cutUp = n
	} else {
		p.cutDown = n
	}
	p.mu.Unlock()
}

// cutsMade is how often a pair was cut.
func (p *proxy) cutsMade() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// refuse closes the port and every pair: connections are refused.
func (p *proxy) refuse() {
	p.mu.Lock()
	ln := p.ln
	pairs := make([]net.Conn, 0, len(p.pairs))
	for pair := range p.pairs {
		pairs = append(pairs, pair)
	}
	p.mu.Unlock()
	_ = ln.Close()
	for _, pair := range pairs {
		p.part(pair)
	}
	p.set(proxyPass)
}

// back opens the port again.
func (p *proxy) back() { p.listen(p.address) }

// echoEvery is the echo period of the link tests; an echo is missed after a
// third of it.
const echoEvery = 900 * time.Millisecond

func newLinkRig(t *testing.T) (*rig, map[string]*proxy) {
	return newLinkRigWith(t, rigPlan{bank: fmt.Sprintf("    echo: {interval: %s, timeout: %s, misses: 2}\n", echoEvery, echoEvery/3)})
}

func newLinkRigWith(t *testing.T, plan rigPlan) (*rig, map[string]*proxy) {
	t.Helper()
	proxies := map[string]*proxy{}
	plan.eager = true
	plan.via = func(id, address string) string {
		proxies[id] = newProxy(t, address)
		return proxies[id].address
	}
	r := newRigWith(t, plan)
	r.start()
	r.awaitReady()
	return r, proxies
}

// down waits until the bank has no line.
func (r *rig) down(bank string) {
	r.t.Helper()
	r.await("the loss of "+bank, func() bool { return r.parts()["bank "+bank] != "" })
}

// refusedAt pays at a bank that is down: refused, no record, nothing sent.
func (r *rig) refusedAt(bank, name string) []*wish {
	r.t.Helper()
	books := r.banks[bank].Books().Len()
	refused := wishesFor(name, bank, cardApproved, 4)
	for _, w := range refused {
		r.mustRefuse(w, "bank_unavailable")
	}
	if now := r.banks[bank].Books().Len(); now != books {
		r.t.Errorf("%s heard of %d payments that were refused", bank, now-books)
	}
	return refused
}

// TestLinkCuts cuts the lines at random bytes in both directions under load.
func TestLinkCuts(t *testing.T) {
	t.Parallel()
	r, proxies := newLinkRig(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	load := r.loadFor(traffic{name: "cuts", workers: 12}, 3*time.Second)
	var all []*wish
	tick := time.NewTicker(60 * time.Millisecond)
	defer tick.Stop()
	for all == nil {
		select {
		case all = <-load:
		case <-tick.C:
			for _, p := range proxies {
				p.cutAfter(1+random.IntN(700), random.IntN(2) == 0)
			}
		}
	}
	cuts := 0
	for _, p := range proxies {
		p.cutAfter(0, true)
		p.cutAfter(0, false)
		cuts += p.cutsMade()
	}
	if cuts < 10 {
		t.Errorf("only %d cuts happened", cuts)
	}
	r.awaitReady()
	counts := r.finish(all)
	t.Logf("%d cuts", cuts)
	reached(t, counts, "captured -> captured", "declined -> declined", "unknown -> reversed")
}

// TestSilentBank lets a line fall silent without a word: payments on it become
// unknown in time, the silence is found within two echo periods, the other
// bank goes on, and everything is resolved when the line returns.
func TestSilentBank(t *testing.T) {
	t.Parallel()
	r, proxies := newLinkRig(t)
	before := wishesFor("before", "alfa", cardApproved, 6)
	r.launch(before)()
	proxies["alfa"].set(proxyHole)
	hushed := time.Now()
	lost := wishesFor("lost", "alfa", cardApproved, 8)
	answered := r.launch(lost)
	r.down("alfa")
	if found := time.Since(hushed); found > 2*echoEvery+5*time.Second {
		t.Errorf("a silent bank was found after %s, want two echo periods of %s (and five seconds for a slow machine)", found, echoEvery)
	} else {
		t.Logf("found after %s", found)
	}
	answered()
	r.mustAnswer(lost, 202)
	refused := r.refusedAt("alfa", "silent")
	other := wishesFor("other", "vega", cardApproved, 6)
	r.launch(other)()
	r.mustAnswer(other, 201)
	proxies["alfa"].set(proxyPass)
	r.awaitReady()
	counts := r.finish(slices.Concat(before, lost, refused, other))
	reached(t, counts, "captured -> captured", "unknown -> reversed", "refused")
}

// TestBankDoesNotRead stops reading on the bank's side until the switch cannot
// write: the write deadline ends the line, nothing waits for ever. The payments
// are as many as fill the buffers of one link; the rest provably never left.
func TestBankDoesNotRead(t *testing.T) {
	t.Parallel()
	r, proxies := newLinkRigWith(t, rigPlan{links: 1, bank: "    window: 4096\n"})
	proxies["vega"].set(proxyStall)
	stuck := wishesFor("stuck", "vega", cardApproved, 1500)
	started := time.Now()
	r.launch(stuck)()
	if took := time.Since(started); took > 15*time.Second {
		t.Errorf("answers took %s while the bank did not read", took)
	}
	for _, w := range stuck {
		if w.code != 201 && w.code != 202 && w.code != 503 {
			t.Errorf("%s: HTTP %d %s", w.key, w.code, w.body)
		}
	}
	if !r.logged(`"cause":"write: timed out"`) {
		t.Errorf("the write deadline did not end the line\n%s", r.logTail())
	}
	proxies["vega"].set(proxyPass)
	r.awaitReady()
	counts := r.finish(stuck)
	reached(t, counts, "unknown -> reversed", "failed -> failed")
}

// TestBankRefuses closes the bank's port under load and opens it again.
func TestBankRefuses(t *testing.T) {
	t.Parallel()
	r, proxies := newLinkRig(t)
	load := r.loadFor(traffic{name: "refuses", workers: 8}, 2500*time.Millisecond)
	r.awaitBooked("alfa", 10)
	r.awaitBooked("vega", 10)
	for _, p := range proxies {
		p.refuse()
	}
	r.down("alfa")
	r.down("vega")
	refused := append(r.refusedAt("alfa", "closed"), r.refusedAt("vega", "closed")...)
	for _, p := range proxies {
		p.back()
	}
	r.awaitReady()
	after := append(wishesFor("after", "alfa", cardApproved, 3), wishesFor("after", "vega", cardApproved, 3)...)
	r.launch(after)()
	r.mustAnswer(after, 201)
	counts := r.finish(slices.Concat(<-load, refused, after))
	reached(t, counts, "captured -> captured", "declined -> declined", "unknown -> reversed", "refused")
}

// logged reports whether the switch's log holds this text.
func (r *rig) logged(text string) bool {
	content, err := os.ReadFile(r.logPath)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Contains(string(content), text)
}
