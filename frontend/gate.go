package frontend

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// gate is a listener that bounds connections, outlives a shortage of file
// descriptors and hands out connections that clean up after themselves.
type gate struct {
	net.Listener
	server *Server
	once   sync.Once
	err    error
}

const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
	refuseTimeout  = 100 * time.Millisecond
)

// Accept waits for a connection within the bound. Those beyond it are told so
// and closed.
func (g *gate) Accept() (net.Conn, error) {
	pause := acceptPauseMin
	for {
		nc, err := g.Listener.Accept()
		switch {
		case err != nil && scarce(err):
			g.server.metrics.refusedConns.Inc()
			time.Sleep(pause)
			pause = min(2*pause, acceptPauseMax)
			continue
		case err != nil:
			return nil, err
		}
		if g.server.open.Add(1) > int64(g.server.o.Concurrency) {
			g.server.open.Add(-1)
			g.refuse(nc)
			continue
		}
		return &conn{Conn: nc, server: g.server}, nil
	}
}

// scarce reports an error of Accept that goes away when others close something.
func scarce(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// refuse answers one connection too many. A TLS connection is closed without a
// word: a word would need a handshake, and the accept loop would wait for it.
func (g *gate) refuse(nc net.Conn) {
	g.server.metrics.refusedConns.Inc()
	if _, encrypted := nc.(*tls.Conn); !encrypted {
		id := newRequestID(nil, time.Now())
		body := appendProblem(nil, &problem{kind: problemOverloaded, detail: "Too many connections. This request had no effect."}, id)
		_ = nc.SetWriteDeadline(time.Now().Add(refuseTimeout))
		_, _ = fmt.Fprintf(nc, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: %s\r\nContent-Length: %d\r\nRequest-Id: %s\r\n"+
			"Cache-Control: no-store\r\nRetry-After: 1\r\nConnection: close\r\n\r\n%s", problemType, len(body), id, body)
	}
	_ = nc.Close()
}

// Close closes the listener once; later calls report the same.
func (g *gate) Close() error {
	g.once.Do(func() { g.err = g.Listener.Close() })
	return g.err
}

// conn is a merchant's connection. Before it waits for more bytes it overwrites
// those of the request before, which fasthttp leaves in its read buffer: while
// a connection idles no card number stays there.
type conn struct {
	net.Conn
	server *Server
	dirty  int  // how many bytes of the buffer may hold something old
	full   int  // the longest buffer seen: the whole of fasthttp's
	linger bool // the answer goes out before the request was read to its end
	shown  callerCertificate
	once   sync.Once

	writeBy time.Time // the deadline of writes that stands
	readBy  time.Time // what the next Read is to obey
	readSet time.Time // the deadline of reads that stands
}

// SetReadDeadline holds for Reads to come: most requests come whole with their first
// byte, and the deadline for the rest of one is never needed.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.readBy = t
	return nil
}

// obey moves the deadline of reads, unless the one that stands ends them when it is
// time, or at most an eighth of the server's ReadTimeout later.
func (c *conn) obey() error {
	slack := c.server.o.ReadTimeout / 8
	if late := c.readSet.Sub(c.readBy); late >= 0 && late <= slack {
		return nil
	}
	if c.readSet = c.readBy; !c.readBy.IsZero() {
		c.readSet = c.readBy.Add(slack)
	}
	return c.Conn.SetReadDeadline(c.readSet)
}

// SetWriteDeadline gives a write the time it asks for and at most twice the
// server's own: a deadline that stands far enough off is left alone, and none is
// taken back, because moving one costs as much as a good part of the write.
// Every answer asks for its own.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if !t.After(c.writeBy) {
		return nil
	}
	c.writeBy = t.Add(c.server.o.WriteTimeout)
	return c.Conn.SetWriteDeadline(c.writeBy)
}

// Read may use all of p as scratch space, as io.Reader allows.
func (c *conn) Read(p []byte) (int, error) {
	if c.full == 0 {
		c.dirty = len(p) // the buffer comes from a pool
	}
	clear(p[:min(c.dirty, len(p))])
	if err := c.obey(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if len(p) >= c.full {
		c.full, c.dirty = len(p), n
	} else {
		c.dirty += n
	}
	return n, err
}

const (
	lingerTimeout = time.Second
	lingerBytes   = 1 << 20
)

// Close ends the connection. If the client is still sending a request that was
// refused unread, it gets a moment to notice: a plain close would reset the
// connection and take the answer with it.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger && half.CloseWrite() == nil {
			_ = c.Conn.SetReadDeadline(time.Now().Add(lingerTimeout))
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
		}
		err = c.Conn.Close()
		c.server.open.Add(-1)
	})
	return err
}
