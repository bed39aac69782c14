package acquirers

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

func simulated(t *testing.T, cfg banksim.Config) *banksim.Bank {
	t.Helper()
	sim, err := banksim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	return sim
}

// The simulated bank dials in, in every built-in dialect, whoever signs on:
// payments, reversals, echo both ways, links dropped and made again, sign-off;
// and its books agree.
func TestSimulatedBankDialsIn(t *testing.T) {
	for _, name := range iso.Builtins() {
		for _, theirs := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, theirs=%v", name, theirs), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d, err := iso.Builtin(name)
					if err != nil {
						t.Fatal(err)
					}
					h := &host{t: t, d: d, net: simnet.New(simnet.Options{Latency: latency, Segment: 7})}
					r := newRig(t, h, dialedIn(h, func(c *Config) { c.MaxPeers, c.SignOn, c.AwaitSignOn = 2, !theirs, theirs }))
					sim := simulated(t, banksim.Config{Dialect: d, Connect: hostAddr, ConnectLinks: 2, SignsOn: theirs,
						Dial: h.net.DialFrom(bankAddr), EchoInterval: 20 * time.Second})
					r.awaitLinks(2)
					for round := range 3 {
						for _, res := range collect(r.start(1+100*round, 50), 50) {
							res.want(t, Answered, CauseNone)
							if code := string(res.Answer.Get(fieldResponseCode)); !d.Code(code).Approved {
								t.Fatalf("STAN %s: code %s", res.stan, code)
							}
						}
						if err := sim.Control(banksim.Control{Mode: banksim.ActDrop}); err != nil {
							t.Fatal(err)
						}
						r.await(false)
						r.awaitLinks(2)
					}
					r.pay(buildOp(t, d, iso.OpReversal, 7), 0).want(t, Answered, CauseNone)
					time.Sleep(5 * time.Minute)
					if s := r.Status(); !s.Ready || s.Links[0].Opened != 4 || s.Links[1].Opened != 4 {
						t.Fatalf("after five idle minutes: %+v", s)
					}
					if n := len(sim.Books().Entries()); n != 150 {
						t.Fatalf("the bank's books hold %d payments, want 150", n)
					}
					if err := sim.Control(banksim.Control{Mode: banksim.ModeRefuse}); err != nil {
						t.Fatal(err)
					}
					if err := r.Drain(background()); err != nil {
						t.Fatal(err)
					}
					if n := r.metrics.unknown.Load() + r.metrics.refusedRequests.Load() + r.metrics.garbled.Load() + r.metrics.late.Load(); n != 0 {
						t.Fatalf("%d odd frames; alarms %v", n, r.alarms)
					}
				})
			})
		}
	}
}

// listenLoopback makes a bank that listens on a real socket and returns its
// address.
func listenLoopback(t *testing.T, change func(*Config)) (*rig, string) {
	address := make(chan string, 1)
	r := makeLoopback(t, &host{t: t, d: builtin(t)}, "", func(c *Config) {
		c.Direction, c.Endpoints, c.Listen = DirectionListen, nil, "127.0.0.1:0"
		c.Peers = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		c.Listener = func(ctx context.Context, network, addr string) (net.Listener, error) {
			l, err := (&net.ListenConfig{}).Listen(ctx, network, addr)
			if err == nil {
				address <- l.Addr().String()
			}
			return l, err
		}
		change(c)
	})
	return r, <-address
}

func TestDialInOverLoopback(t *testing.T) {
	cert, pool := keyPair(t)
	for name, secure := range map[string]bool{"tcp": false, "tls with client certificate": true} {
		t.Run(name, func(t *testing.T) {
			var server, client *tls.Config
			if secure {
				server = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
				client = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}
			}
			r, address := listenLoopback(t, func(c *Config) { c.MaxPeers, c.TLS = 2, server })
			sim := simulated(t, banksim.Config{Dialect: r.host.d, Connect: address, ConnectLinks: 2, TLS: client, ReconnectMin: 10 * time.Millisecond, ReconnectMax: 50 * time.Millisecond})
			for round := range 5 {
				r.awaitLinks(2)
				for _, res := range collect(r.start(1+1000*round, 200), 200) {
					res.want(t, Answered, CauseNone)
				}
				if err := sim.Control(banksim.Control{Mode: banksim.ActDrop}); err != nil {
					t.Fatal(err)
				}
				r.await(false)
			}
			r.awaitLinks(2)
			if n := len(sim.Books().Entries()); n != 1000 {
				t.Errorf("the books hold %d payments, want 1000", n)
			}
			if err := r.Drain(background()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Without the certificate that is asked for, or with one of another authority,
// the bank gets no link.
func TestDialInWithoutCertificate(t *testing.T) {
	cert, pool := keyPair(t)
	wrong, _ := keyPair(t)
	r, address := listenLoopback(t, func(c *Config) {
		c.MaxPeers = 8
		c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	})
	for i, certs := range [][]tls.Certificate{nil, {wrong}} {
		c, err := tls.Dial("tcp", address, &tls.Config{Certificates: certs, RootCAs: pool})
		if err == nil { // TLS 1.3 tells the client after its handshake
			n, err := c.Read(make([]byte, 1))
			if n != 0 || err == nil {
				t.Errorf("certificates %d: the switch said something", i)
			}
			c.Close()
		}
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("0004abcd plain text, not TLS"))
	c.SetReadDeadline(time.Now().Add(60 * time.Second))
	for err == nil {
		_, err = c.Read(make([]byte, 64))
	}
	c.Close()
	failed := &r.metrics.refused[slotOf(t, refusedHandshake)]
	for limit := time.Now().Add(60 * time.Second); failed.Load() < 3 && time.Now().Before(limit); {
		<-time.After(time.Millisecond) // the client may know before the switch has counted
	}
	sim := simulated(t, banksim.Config{Dialect: r.host.d, Connect: address, TLS: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool},
		ReconnectMin: 10 * time.Millisecond})
	r.await(true)
	sim.Close()
	r.await(false)
	waiting := func() bool { return strings.Contains(r.Ready().Error(), "waiting_for_the_bank") }
	for limit := time.Now().Add(60 * time.Second); !waiting() && time.Now().Before(limit); {
		<-time.After(time.Millisecond) // a last connection of the bank's may still be looked at
	}
	if !waiting() {
		t.Error(r.Ready())
	}
	r.Close()
	if n := failed.Load(); n != 3 || r.count(refusedHandshake) != 1 {
		t.Errorf("%d handshakes failed, want 3; alarms %v %v", n, r.alarms, r.details)
	}
}

func slotOf(t *testing.T, kind string) int {
	for i, k := range refusals {
		if k == kind {
			return i
		}
	}
	t.Fatalf("no refusal %q", kind)
	return 0
}

// On a real socket a stranger reads the end of the stream and nothing else.
func TestStrangerOverLoopback(t *testing.T) {
	r, address := listenLoopback(t, func(c *Config) { c.Peers = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(60 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the stranger read %d bytes, %v", n, err)
	}
	r.Close()
	if r.count(refusedStranger) != 1 || r.details[0] != "127.0.0.1" {
		t.Errorf("alarms %v %v", r.alarms, r.details)
	}
}
