// Package simnet is a network in memory for tests: listeners, buffered
// connections with deadlines, latency and small segments, and the ways a
// network fails. It uses only channels, condition variables and timers, so it
// works inside a testing/synctest bubble, where its time is the bubble's.
package simnet

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Options shape the connections of a Net.
type Options struct {
	Latency time.Duration // of each direction
	Buffer  int           // bytes a direction holds before its writer waits; default 64 KiB
	Segment int           // most bytes one Read returns; 0: no limit
}

// Net is a set of listeners that can be dialed by name. Goroutine-safe.
type Net struct {
	mu        sync.Mutex
	options   Options
	listeners map[string]*Listener
}

// New makes an empty network.
func New(o Options) *Net {
	if o.Buffer == 0 {
		o.Buffer = 64 << 10
	}
	return &Net{options: o, listeners: map[string]*Listener{}}
}

// Listen opens an address; any host:port text will do.
func (n *Net) Listen(addr string) (*Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, opError("listen", syscall.EADDRINUSE)
	}
	l := &Listener{net: n, addr: address(addr), backlog: make(chan *Conn, 128), closed: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// Dial connects to a listener, after one latency. It has the signature of
// net.Dialer.DialContext.
func (n *Net) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return n.DialFrom("near")(ctx, network, addr)
}

// DialFrom is Dial for one whose own address the listener is to see.
func (n *Net) DialFrom(local string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		return n.dial(ctx, address(local), addr)
	}
}

func (n *Net) dial(ctx context.Context, local address, addr string) (net.Conn, error) {
	n.mu.Lock()
	l, o := n.listeners[addr], n.options
	n.mu.Unlock()
	if o.Latency > 0 {
		timer := time.NewTimer(o.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, opError("dial", os.ErrDeadlineExceeded)
		}
	}
	if l == nil {
		return nil, opError("dial", syscall.ECONNREFUSED)
	}
	near, far := Pipe(o)
	near.local, far.remote = local, local
	near.remote, far.local = l.addr, l.addr
	select {
	case l.backlog <- far:
		return near, nil
	case <-l.closed:
		return nil, opError("dial", syscall.ECONNREFUSED)
	case <-ctx.Done():
		return nil, opError("dial", os.ErrDeadlineExceeded)
	}
}

// Listener is a net.Listener of a Net.
type Listener struct {
	net     *Net
	addr    address
	backlog chan *Conn
	once    sync.Once
	closed  chan struct{}
}

// Accept implements net.Listener; the connection is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections stay.
func (l *Listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, string(l.addr))
		l.net.mu.Unlock()
		close(l.closed)
	})
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr }

type address string

func (a address) Network() string { return "sim" }
func (a address) String() string  { return string(a) }

func opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "sim", Err: err}
}
