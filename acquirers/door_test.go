package acquirers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

func TestBankDialsIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newCaller(t, simnet.Options{Latency: latency, Segment: 7})
		r := newRig(t, h, dialedIn(h, nil))
		synctest.Wait()
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "link 1 on bank.example:5000: waiting_for_the_bank") {
			t.Fatalf("before the bank dials: %v", err)
		}
		h.keepCalling(bankAddr)
		r.await(true)
		if got := h.saw(""); !slices.Equal(got, []string{"0800 001", "0800 301"}) {
			t.Fatalf("before traffic the bank saw %v", got)
		}
		if s := r.Status().Links[0]; s.Peer != bankAddr || s.Endpoint != hostAddr || s.State != "ready" {
			t.Fatalf("status %+v", s)
		}
		for _, res := range collect(r.start(1, 50), 50) {
			res.want(t, Answered, CauseNone)
		}
		r.pay(buildOp(t, h.d, iso.OpReversal, 7), 0).want(t, Answered, CauseNone)

		hold(h)
		out := r.start(100, 10)
		time.Sleep(time.Second)
		h.conn(1).sim.Cut()
		for _, res := range collect(out, 10) {
			res.want(t, Unanswered, CauseLinkLost)
		}
		h.mu.Lock()
		h.serve = nil
		h.mu.Unlock()
		from := time.Now()
		r.await(true)
		if d := time.Since(from); d > 2*time.Second {
			t.Fatalf("back after %v: the bank returned after 1s", d)
		}
		r.pay(r.purchase(300), 0).want(t, Answered, CauseNone)
		time.Sleep(5 * time.Minute)
		if s := r.Status(); !s.Ready || s.Links[0].Opened != 2 || s.Refused != 0 {
			t.Fatalf("after five idle minutes: %+v", s)
		}
	})
}

func TestTwoPeers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newCaller(t, simnet.Options{Latency: latency})
		var served [8]atomic.Int64
		h.serve = func(c *hostConn, m *iso.Message) bool {
			if m.MTI == 0x0200 {
				served[c.number].Add(1)
			}
			return false
		}
		r := newRig(t, h, dialedIn(h, func(c *Config) { c.MaxPeers = 2 }))
		synctest.Wait()
		h.keepCalling(bankAddr)
		h.keepCalling(otherAddr)
		r.awaitLinks(2)
		for _, res := range collect(r.start(1, 100), 100) {
			res.want(t, Answered, CauseNone)
		}
		if a, b := served[1].Load(), served[2].Load(); a < 30 || b < 30 || a+b != 100 {
			t.Fatalf("the links carried %d and %d of 100", a, b)
		}
		h.conn(1).sim.Cut()
		synctest.Wait()
		if r.Ready() != nil {
			t.Fatalf("one of two links is up, and: %v", r.Ready())
		}
		for _, res := range collect(r.start(200, 20), 20) {
			res.want(t, Answered, CauseNone)
		}
		r.awaitLinks(2)
	})
}

// countingListener counts what the switch reads and writes on accepted
// connections.
type countingListener struct {
	net.Listener
	touched *atomic.Int64
}

type countingConn struct {
	net.Conn
	touched *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{c, l.touched}, nil
}

func (c *countingConn) Read(p []byte) (int, error) {
	c.touched.Add(1)
	return c.Conn.Read(p)
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.touched.Add(1)
	return c.Conn.Write(p)
}

// A peer that is not listed is closed before a byte is read or written, and
// makes one alarm a minute that names it, however often it comes.
func TestStrangerIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newCaller(t, simnet.Options{})
		var touched atomic.Int64
		r := newRig(t, h, dialedIn(h, func(c *Config) {
			c.Listener = func(context.Context, string, string) (net.Listener, error) {
				l, err := h.net.Listen(hostAddr)
				return countingListener{l, &touched}, err
			}
		}))
		synctest.Wait()
		strangers := []string{"203.0.113.9:40", "10.2.0.1:40", "[2001:db8::1]:40", "near"}
		for round := range 2 {
			for _, from := range strangers {
				for range 50 {
					c, err := h.call(from)
					if err != nil {
						t.Fatal(err)
					}
					c.Write([]byte("0016GET / HTTP/1.1\r\n"))
					if !c.isClosed() {
						t.Fatalf("%s was let in", from)
					}
				}
			}
			if n := r.count(refusedStranger); n != (round+1)*len(strangers) {
				t.Fatalf("round %d: %d alarms for %d strangers: %v", round, n, len(strangers), r.details)
			}
			time.Sleep(warnPause)
		}
		if n := touched.Load(); n != 0 {
			t.Fatalf("%d reads and writes on refused connections", n)
		}
		if n := r.Status().Refused; n != 400 {
			t.Fatalf("%d refused peers are counted, want 400", n)
		}
		if got := r.details[:4]; !slices.Equal(got, []string{"203.0.113.9", "10.2.0.1, and 49 more since the last such alarm",
			"2001:db8::1, and 49 more since the last such alarm", "a peer without an IP address, and 49 more since the last such alarm"}) {
			t.Fatalf("alarms %q", got)
		}
		h.keepCalling("[::ffff:10.1.2.3]:4001") // the same IPv4 address as a dual-stack socket names it
		r.await(true)
	})
}

func TestTooManyPeers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newCaller(t, simnet.Options{})
		r := newRig(t, h, dialedIn(h, nil))
		synctest.Wait()
		h.keepCalling(bankAddr)
		r.await(true)
		out := r.start(1, 20)
		for range 10 {
			c, err := h.call(otherAddr)
			if err != nil {
				t.Fatal(err)
			}
			if !c.isClosed() {
				t.Fatal("a second connection was let in")
			}
		}
		for _, res := range collect(out, 20) {
			res.want(t, Answered, CauseNone)
		}
		if r.count(refusedTooMany) != 1 || r.Status().Refused != 10 || r.Status().Links[0].Opened != 1 {
			t.Fatalf("alarms %v, status %+v", r.alarms, r.Status())
		}
	})
}

// A bank that lost its connection without our knowing is let in again after
// echoes sent at once, not after the echo interval; a newcomer from elsewhere
// puts nobody to the proof.
func TestBankReturnsOverAHalfOpenLink(t *testing.T) {
	for _, c := range []struct {
		name, from string
		min, max   time.Duration
	}{
		{"same address", "10.1.2.3:4999", 4 * time.Second, 8 * time.Second},
		{"another address", otherAddr, 30 * time.Second, 36 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newCaller(t, simnet.Options{})
				r := newRig(t, h, dialedIn(h, func(c *Config) { c.EchoTimeout = 2 * time.Second }))
				synctest.Wait()
				if c, err := h.call(bankAddr); err != nil {
					t.Fatal(err)
				} else {
					go c.loop()
				}
				r.await(true)
				h.conn(1).sim.Vanish()
				from := time.Now()
				h.keepCalling(c.from)
				for changed := r.Watch(); r.Status().Links[0].Peer != c.from || r.Ready() != nil; changed = r.Watch() {
					<-changed
				}
				if d := time.Since(from); d < c.min || d > c.max {
					t.Fatalf("let in after %v, want %v to %v", d, c.min, c.max)
				}
			})
		})
	}
}

// An echo that a doubt asked for and the bank answers changes nothing.
func TestDoubtedBankThatLives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newCaller(t, simnet.Options{})
		r := newRig(t, h, dialedIn(h, nil))
		synctest.Wait()
		h.keepCalling(bankAddr)
		r.await(true)
		time.Sleep(15 * time.Second)
		h.call("10.1.2.3:4999")
		synctest.Wait()
		if n := len(h.saw("0800 301")); n != 2 || r.Ready() != nil || r.Status().Links[0].Opened != 1 {
			t.Fatalf("%d echoes, ready: %v", n, r.Ready())
		}
		for i := range 5 { // traffic, and so no echo: the doubt is over
			time.Sleep(29 * time.Second)
			r.pay(r.purchase(uint64(10+i)), 0).want(t, Answered, CauseNone)
		}
		if n := len(h.saw("0800 301")); n != 2 {
			t.Fatalf("%d echoes on a busy link", n)
		}
	})
}

func TestDrainOfADialedInBank(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newCaller(t, simnet.Options{})
		var held []func()
		h.serve = func(c *hostConn, m *iso.Message) bool {
			if m.MTI != 0x0200 {
				return false
			}
			held = append(held, func() { c.answer(m, "00") })
			return true
		}
		r := newRig(t, h, dialedIn(h, func(c *Config) { c.MaxPeers = 3 }))
		synctest.Wait()
		if c, err := h.call(bankAddr); err != nil {
			t.Fatal(err)
		} else {
			go c.loop()
		}
		r.await(true)
		out := r.start(1, 5)
		synctest.Wait()
		drained := make(chan error, 1)
		go func() { drained <- r.Drain(background()) }()
		synctest.Wait()
		c, err := h.call(otherAddr)
		if err != nil || !c.isClosed() {
			t.Fatalf("a peer was let in at drain: %v", err)
		}
		for _, answer := range held {
			answer()
		}
		for _, res := range collect(out, 5) {
			res.want(t, Answered, CauseNone)
		}
		if err := <-drained; err != nil {
			t.Fatal(err)
		}
		if got := h.saw("0800"); !slices.Equal(got, []string{"0800 001", "0800 301", "0800 002"}) {
			t.Fatalf("the bank saw %v", got)
		}
		if _, err := h.call(bankAddr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("after the drain a dial gives %v", err)
		}
	})
}

// Where the bank signs on, nothing of ours leaves before our answer to it, and
// a bank that does not is closed after one echo interval.
func TestTheBankSignsOn(t *testing.T) {
	bothWays(t, simnet.Options{}, func(t *testing.T, h *host, open func(func(*Config)) *rig) {
		r := open(func(c *Config) { c.SignOn, c.AwaitSignOn = false, true })
		time.Sleep(29 * time.Second)
		if r.Ready() == nil || len(h.saw("")) != 0 || h.count() != 1 {
			t.Fatalf("ready: %v, the bank saw %v on %d connections", r.Ready(), h.saw(""), h.count())
		}
		if s := r.Status().Links[0]; s.State != "signing_on" {
			t.Fatalf("state %s", s.State)
		}
		time.Sleep(1500 * time.Millisecond)
		if r.count("sign_on_failed") != 1 {
			t.Fatalf("alarms %v", r.alarms)
		}
		for r.Status().Links[0].Opened < 2 {
			time.Sleep(time.Second)
		}
		synctest.Wait()
		c := h.conn(h.count())
		c.request("001")
		r.await(true)
		if got := h.saw(""); !slices.Equal(got, []string{"0810 001", "0800 301"}) {
			t.Fatalf("the bank saw %v", got)
		}
		r.pay(r.purchase(7), 0).want(t, Answered, CauseNone)
		c.request("002")
		synctest.Wait()
		if r.Ready() == nil {
			t.Fatal("ready after the bank signed off")
		}
		c.request("001")
		synctest.Wait()
		if err := r.Drain(background()); err != nil || r.count("sign_on_failed") != 1 {
			t.Fatalf("%v, alarms %v", err, r.alarms)
		}
		if n := len(h.saw("0800 002")); n != 1 {
			t.Fatalf("%d sign-offs", n)
		}
	})
}

// A bank that fails in a loop is taken at our pace, not at its own.
func TestBankThatFailsInALoop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newCaller(t, simnet.Options{})
		r := newRig(t, h, dialedIn(h, nil))
		synctest.Wait()
		for range 1000 {
			if c, err := h.call(bankAddr); err == nil {
				synctest.Wait()
				c.Close()
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := r.Status().Links[0].Opened; n < 5 || n > 11 {
			t.Fatalf("%d lines in 10s with a pause of 1s", n)
		}
	})
}

func TestListenAddressIsTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newCaller(t, simnet.Options{})
		squatter, err := h.net.Listen(hostAddr)
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, h, dialedIn(h, nil))
		time.Sleep(50 * time.Second)
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "listen failed: address already in use") {
			t.Fatalf("ready: %v", err)
		}
		if n := r.count(alarmListen); n != 1 {
			t.Fatalf("%d alarms in 50s", n)
		}
		squatter.Close()
		time.Sleep(8 * time.Second)
		h.keepCalling(bankAddr)
		r.await(true)
	})
}

// A listener that dies is opened again; a failing accept does not end it.
func TestListenerFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newCaller(t, simnet.Options{})
		var opened []*simnet.Listener
		r := newRig(t, h, dialedIn(h, func(c *Config) {
			c.Listener = func(context.Context, string, string) (net.Listener, error) {
				l, err := h.net.Listen(hostAddr)
				opened = append(opened, l)
				return &tiredListener{Listener: l}, err
			}
		}))
		synctest.Wait()
		h.keepCalling(bankAddr)
		r.await(true)
		opened[0].Close()
		synctest.Wait()
		if r.Ready() != nil {
			t.Fatal("a lost listener takes no link with it")
		}
		time.Sleep(time.Minute)
		h.conn(1).Close()
		time.Sleep(2 * time.Second)
		if r.Ready() != nil || len(opened) != 2 {
			t.Fatalf("%v, %d listeners", r.Ready(), len(opened))
		}
	})
}

// tiredListener has no descriptors left at its first Accept.
type tiredListener struct {
	net.Listener
	woken bool
}

func (l *tiredListener) Accept() (net.Conn, error) {
	if !l.woken {
		l.woken = true
		return nil, &net.OpError{Op: "accept", Net: "sim", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// Peers bind a dialed link, too: a name that leads elsewhere gets no byte.
func TestDialedStranger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		l, err := h.net.Listen("192.0.2.1:5000")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go h.accept(l)
		var target atomic.Pointer[string]
		use := func(addr string) { target.Store(&addr) }
		use(hostAddr)
		r := newRig(t, h, func(c *Config) {
			c.Peers = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/30")}
			c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return h.net.Dial(ctx, network, *target.Load())
			}
		})
		time.Sleep(time.Minute)
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "a peer without an IP address is not among the peers") {
			t.Fatalf("ready: %v", err)
		}
		if len(h.saw("")) != 0 || r.count(refusedStranger) < 1 || r.count(refusedStranger) > 2 || r.Status().Refused < 5 {
			t.Fatalf("the stranger saw %v; alarms %v", h.saw(""), r.alarms)
		}
		use("192.0.2.1:5000")
		r.await(true)
	})
}

func TestParsePeer(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8::1": "2001:db8::1/128",
		"10.0.0.0/8": "10.0.0.0/8", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0",
		"": "", "bank": "", "10.0.0.1/8": "", "10.0.0.0/33": "", "fe80::1%eth0": "", "::ffff:10.0.0.0/104": "", "192.0.2.1:80": "",
	} {
		p, err := ParsePeer(text)
		if (err == nil) != (want != "") || err == nil && p.String() != want {
			t.Errorf("%q: %v, %v; want %q", text, p, err, want)
		}
	}
}

// Alarms about strangers are bounded for any number of addresses.
func TestWarningsAreBounded(t *testing.T) {
	var w warnings
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	told, counted := 0, 0
	for i := range 10_000 {
		a := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		if n, ok := w.admit(warning{refusedStranger, a}, now.Add(time.Duration(i)*time.Millisecond)); ok {
			told++
			counted += n
		}
	}
	if told != warnRoom || len(w.told) != warnRoom || counted+w.untold != 10_000-warnRoom {
		t.Fatalf("%d told, %d counted, %d kept", told, counted+w.untold, len(w.told))
	}
	if n, ok := w.admit(warning{refusedStranger, netip.Addr{}}, now.Add(2*warnPause)); !ok || n != 10_000-warnRoom || len(w.told) != 1 {
		t.Fatalf("later: %v, %d untold, %d kept", ok, n, len(w.told))
	}
}

func TestListenConfigIsChecked(t *testing.T) {
	peers := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		want   string
		change func(*Config)
	}{
		{"", func(*Config) {}},
		{"peers are required", func(c *Config) { c.Peers = nil }},
		{"", func(c *Config) {
			c.Peers = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
		}},
		{"peer 0", func(c *Config) { c.Peers = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/8")} }},
		{"listen is not host:port", func(c *Config) { c.Listen = "5000" }},
		{"max peers is 65", func(c *Config) { c.MaxPeers = 65 }},
		{"direction", func(c *Config) { c.Direction = "both" }},
		{"ours or theirs", func(c *Config) { c.SignOn, c.AwaitSignOn = true, true }},
		{"endpoint is required", func(c *Config) { c.Direction = DirectionDial }},
	} {
		cfg := Config{ID: "x", Direction: DirectionListen, Listen: ":5000", Peers: peers}
		c.change(&cfg)
		cfg.EnsureDefaults(builtin(t))
		if err := cfg.Validate(); fmt.Sprint(err) != "<nil>" && c.want == "" || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
