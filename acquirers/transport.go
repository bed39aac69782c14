package acquirers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/moov-io/iso8583"
	connection "github.com/moov-io/iso8583-connection"
)

// transport carries whole frames over one connection by iso8583-connection, of
// which it uses NewFrom, Write and the MessageReader. Its Send, Reply and Pool
// are not used: they cannot tell "never written" from "written and unanswered",
// and they can deadlock (reference/iso8583.md section 4.1).
type transport struct {
	wire *wire
	lib  *connection.Connection
}

// frameReader reads from r until the stream ends and never returns nil.
type frameReader func(r io.Reader) error

// ReadMessage implements connection.MessageReader. It returns once, when the
// connection is over; the library's own loop, buffers and goroutine per
// message stay out of the path.
func (read frameReader) ReadMessage(r io.Reader) (*iso8583.Message, error) {
	return nil, read(r)
}

// idle keeps the library's own timers from firing: echo and silence are watched
// by the link.
const idle = 1000 * time.Hour

// openTransport starts the library's loops on conn, TLS or plain. read runs at
// once, in a goroutine of its own, before openTransport returns.
func openTransport(w *wire, conn net.Conn, read frameReader) (*transport, error) {
	lib, err := connection.NewFrom(conn, nil, nil, nil,
		connection.SetMessageReader(read), connection.IdleTime(idle), connection.ReadTimeout(idle))
	if err != nil {
		return nil, err
	}
	return &transport{wire: w, lib: lib}, nil
}

// write sends whole frames. left is false when it is proven that no byte of p
// left this machine; the library claims len(p) together with its error, so the
// proof is the count of the wire. REQUIRES: one caller at a time.
func (t *transport) write(p []byte) (left bool, err error) {
	before := t.wire.sent.Load()
	_, err = t.lib.Write(p)
	if errors.Is(err, connection.ErrConnectionClosed) {
		return false, err
	}
	return t.wire.sent.Load() != before, err
}

// close ends the connection at once: the raw socket first, because a TLS close
// waits for a peer that may be gone.
func (t *transport) close() {
	t.wire.Conn.Close()
	t.lib.Close()
}

// wire is the raw connection under TLS. It gives every write a deadline,
// counts the bytes the kernel took and keeps the first error of a write: the
// library closes the connection on one, and the reader would blame the read.
type wire struct {
	net.Conn
	timeout time.Duration
	peer    netip.Addr // zero when it is no IP address
	sent    atomic.Int64
	broken  atomic.Pointer[error]
}

func (w *wire) Write(p []byte) (int, error) {
	if err := w.Conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Write(p)
	if n > 0 {
		w.sent.Add(int64(n))
	}
	if err != nil {
		w.broken.CompareAndSwap(nil, &err)
	}
	return n, err
}

// dial opens the raw connection and, when configured, TLS over it. The whole
// may take ConnectTimeout.
func (c *Config) dial(ctx context.Context, endpoint string) (*wire, net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	raw, err := c.Dial(ctx, "tcp", endpoint)
	if err != nil {
		return nil, nil, err
	}
	w := &wire{Conn: raw, timeout: c.WriteTimeout, peer: peerOf(raw)}
	if !c.admits(w.peer) {
		raw.Close()
		return nil, nil, &strangerError{w.peer}
	}
	if c.TLS == nil {
		return w, w, nil
	}
	conf := c.TLS
	if conf.ServerName == "" && !conf.InsecureSkipVerify {
		conf = conf.Clone()
		conf.ServerName, _, _ = net.SplitHostPort(endpoint)
	}
	secure := tls.Client(w, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, nil, err
	}
	return w, secure, nil
}

// welcome makes an accepted connection ready for messages: TLS over it when
// configured, within ConnectTimeout.
func (c *Config) welcome(ctx context.Context, w *wire) (net.Conn, error) {
	if c.TLS == nil {
		return w, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	secure := tls.Server(w, c.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, nil
}

// causeOf words a failure without quoting it: texts of errors may carry bytes
// of the peer.
func causeOf(err error) string {
	var timeout net.Error
	var unverified *tls.CertificateVerificationError
	var op *net.OpError
	var stranger *strangerError
	switch {
	case err == nil:
		return "no reason given"
	case errors.Is(err, io.EOF):
		return "closed by the bank"
	case errors.Is(err, net.ErrClosed), errors.Is(err, connection.ErrConnectionClosed):
		return "connection closed"
	case errors.As(err, &stranger):
		return stranger.Error()
	case errors.As(err, &unverified):
		return "the bank's certificate is not trusted: " + certificateFault(unverified.Err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.As(err, &op) && op.Op == "remote error":
		return "the bank ended TLS: " + strings.TrimPrefix(op.Err.Error(), "tls: ") // a text of the TLS package for the alert's number
	case errors.As(err, &op):
		return op.Op + " failed: " + syscallText(op.Err)
	}
	return "connection failed"
}

// certificateFault words what is wrong with a certificate without quoting it.
func certificateFault(err error) string {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired or is not valid yet"
	case errors.As(err, &host):
		return "it is of another host"
	case errors.As(err, &authority):
		return "its authority is unknown"
	}
	return "it does not verify"
}

// syscallText is the system's own word for an error, which quotes nobody.
func syscallText(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return "no system error"
}
