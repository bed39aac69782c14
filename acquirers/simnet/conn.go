package simnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Conn is one end of a connection. Goroutine-safe as net.Conn is.
type Conn struct {
	in, out       *stream
	local, remote address
}

// Pipe makes a connection without a listener.
func Pipe(o Options) (near, far *Conn) {
	if o.Buffer == 0 {
		o.Buffer = 64 << 10
	}
	a, b := newStream(o), newStream(o)
	return &Conn{in: a, out: b, local: "near", remote: "far"}, &Conn{in: b, out: a, local: "far", remote: "near"}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) { return c.in.read(p) }

// Write implements net.Conn. Like a socket it may have sent a part of p when it
// returns an error.
func (c *Conn) Write(p []byte) (int, error) { return c.out.write(p) }

// Close implements net.Conn: the other end reads what is on its way and then
// io.EOF, and its writes fail.
func (c *Conn) Close() error {
	c.out.change(func(s *stream) { s.finished, s.writerClosed = true, true })
	c.in.change(func(s *stream) { s.readerClosed = true })
	return nil
}

// CloseWrite ends one direction only.
func (c *Conn) CloseWrite() error {
	c.out.change(func(s *stream) { s.finished = true })
	return nil
}

// Cut resets both directions; bytes on their way are lost.
func (c *Conn) Cut() {
	for _, s := range []*stream{c.in, c.out} {
		s.change(func(s *stream) { s.broken, s.queue, s.held = true, nil, 0 })
	}
}

// Vanish makes the network lose every byte from now on in both directions,
// without a word: the half-open connection.
func (c *Conn) Vanish() {
	for _, s := range []*stream{c.in, c.out} {
		s.change(func(s *stream) { s.vanished, s.queue, s.held = true, nil, 0 })
	}
}

// Stall stops delivery to this end while on; the other end's writes fill the
// buffer and then wait.
func (c *Conn) Stall(on bool) { c.in.change(func(s *stream) { s.stalled = on }) }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return firstError(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(&c.in.readBy, t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.out.setDeadline(&c.out.writeBy, t) }

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// stream is one direction: segments with their time of arrival.
type stream struct {
	mu      sync.Mutex
	cond    sync.Cond
	options Options
	queue   []segment
	held    int

	finished     bool // no more bytes will be written
	writerClosed bool
	readerClosed bool
	broken       bool
	vanished     bool
	stalled      bool

	readBy, writeBy deadline
}

type segment struct {
	data []byte
	at   time.Time
}

// deadline wakes the stream when it passes.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed(now time.Time) bool { return !d.at.IsZero() && !now.Before(d.at) }

func newStream(o Options) *stream {
	s := &stream{options: o}
	s.cond.L = &s.mu
	return s
}

func (s *stream) change(f func(*stream)) {
	s.mu.Lock()
	f(s)
	s.mu.Unlock()
	s.cond.Broadcast()
}

func (s *stream) setDeadline(d *deadline, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.at = t; d.timer != nil {
		d.timer.Stop()
	}
	if !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), s.wake)
	}
	s.cond.Broadcast()
	return nil
}

// wake passes through the mutex, so that no waiter is between its check and
// its wait.
func (s *stream) wake() { s.change(func(*stream) {}) }

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case s.readerClosed:
			return 0, opError("read", net.ErrClosed)
		case s.broken:
			return 0, opError("read", syscall.ECONNRESET)
		case s.readBy.passed(now):
			return 0, opError("read", os.ErrDeadlineExceeded)
		case len(p) == 0:
			return 0, nil
		case len(s.queue) > 0 && !s.stalled && !s.queue[0].at.After(now):
			return s.deliver(p), nil
		case len(s.queue) == 0 && s.finished && !s.vanished:
			return 0, io.EOF
		}
		if len(s.queue) > 0 && !s.stalled {
			timer := time.AfterFunc(s.queue[0].at.Sub(now), s.wake)
			s.cond.Wait()
			timer.Stop()
			continue
		}
		s.cond.Wait()
	}
}

// deliver moves the bytes of arrived segments into p.
func (s *stream) deliver(p []byte) (n int) {
	if limit := s.options.Segment; limit > 0 && len(p) > limit {
		p = p[:limit]
	}
	now := time.Now()
	for n < len(p) && len(s.queue) > 0 && !s.queue[0].at.After(now) {
		head := &s.queue[0]
		taken := copy(p[n:], head.data)
		n += taken
		if head.data = head.data[taken:]; len(head.data) == 0 {
			s.queue = s.queue[1:]
		}
	}
	s.held -= n
	s.cond.Broadcast()
	return n
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.writerClosed:
			return n, opError("write", net.ErrClosed)
		case s.finished:
			return n, opError("write", syscall.EPIPE)
		case s.broken || s.readerClosed:
			return n, opError("write", syscall.ECONNRESET)
		case s.writeBy.passed(time.Now()):
			return n, opError("write", os.ErrDeadlineExceeded)
		case s.vanished:
			return len(p), nil
		}
		if room := min(s.options.Buffer-s.held, len(p)-n); room > 0 {
			data := append([]byte(nil), p[n:n+room]...)
			s.queue = append(s.queue, segment{data, time.Now().Add(s.options.Latency)})
			s.held += room
			n += room
			s.cond.Broadcast()
		}
		if n == len(p) {
			return n, nil
		}
		s.cond.Wait()
	}
}
