package acquirers

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/simnet"
)

const (
	bankAddr  = "10.1.2.3:4001"
	otherAddr = "10.1.9.9:4002"
)

// newCaller is a host that dials in; it does not listen.
func newCaller(t testing.TB, o simnet.Options) *host {
	h := &host{t: t, d: builtin(t), net: simnet.New(o)}
	t.Cleanup(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, c := range h.conns {
			c.Close()
		}
	})
	return h
}

// call dials the switch once.
func (h *host) call(from string) (*hostConn, error) {
	c, err := h.net.DialFrom(from)(background(), "tcp", hostAddr)
	if err != nil {
		return nil, err
	}
	hc := &hostConn{host: h, Conn: c}
	h.take(hc)
	return hc, nil
}

// keepCalling has one connection after another, each a second after the last
// one ended, until the test ends.
func (h *host) keepCalling(from string) {
	ctx, stop := context.WithCancel(background())
	done := make(chan struct{})
	h.t.Cleanup(func() {
		stop()
		h.mu.Lock()
		for _, c := range h.conns {
			c.Close()
		}
		h.mu.Unlock()
		<-done
	})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if c, err := h.call(from); err == nil {
				c.loop()
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
}

// dialedIn makes a rig's bank one that listens.
func dialedIn(h *host, change func(*Config)) func(*Config) {
	return func(c *Config) {
		c.Direction, c.Listen, c.Endpoints = DirectionListen, hostAddr, nil
		c.MaxPeers, c.Peers = 1, []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
		c.Listener = func(_ context.Context, _, addr string) (net.Listener, error) { return h.net.Listen(addr) }
		if change != nil {
			change(c)
		}
	}
}

// bothWays runs a test with a bank that we dial and with one that dials us.
func bothWays(t *testing.T, o simnet.Options, f func(t *testing.T, h *host, open func(change func(*Config)) *rig)) {
	t.Run("dial", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := newHost(t, o)
			f(t, h, func(change func(*Config)) *rig { return newRig(t, h, change) })
		})
	})
	t.Run("listen", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := newCaller(t, o)
			f(t, h, func(change func(*Config)) *rig {
				r := newRig(t, h, dialedIn(h, change))
				synctest.Wait() // the switch listens
				h.keepCalling(bankAddr)
				return r
			})
		})
	})
}

// isClosed reports whether the switch closes the connection now, saying nothing.
func (c *hostConn) isClosed() bool {
	synctest.Wait()
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	n, err := c.Read(make([]byte, 1))
	var op *net.OpError
	return n == 0 && err != nil && !(errors.As(err, &op) && op.Timeout())
}
