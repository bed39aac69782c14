package bare

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

const (
	prefixBytes = 2 // length of the frame, big-endian
	window      = 1 << 14
	bufferBytes = 64 << 10
)

var errLineLost = errors.New("the echo's link is lost")

// link is one TCP connection shared by many round trips. Frames that queue while a
// write runs leave together in the next one.
type link struct {
	conn    net.Conn
	mu      sync.Mutex
	filled  sync.Cond
	queued  []byte
	closed  bool
	slots   chan uint32 // free ones
	waiting []chan bool // by slot; false: the link is lost
	ended   sync.WaitGroup
}

func dialLink(addr string) (*link, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, slots: make(chan uint32, window), waiting: make([]chan bool, window)}
	l.filled.L = &l.mu
	for i := range l.waiting {
		l.waiting[i] = make(chan bool, 1)
		l.slots <- uint32(i)
	}
	l.ended.Go(l.write)
	l.ended.Go(l.read)
	return l, nil
}

// roundTrip sends one frame and waits until it is back.
func (l *link) roundTrip() error {
	slot := <-l.slots
	defer func() { l.slots <- slot }()
	var frame [prefixBytes + frameBytes]byte
	binary.BigEndian.PutUint16(frame[:], frameBytes)
	binary.BigEndian.PutUint32(frame[prefixBytes:], slot)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errLineLost
	}
	l.queued = append(l.queued, frame[:]...)
	l.filled.Signal()
	l.mu.Unlock()
	if !<-l.waiting[slot] {
		return errLineLost
	}
	return nil
}

func (l *link) write() {
	var out []byte
	for {
		l.mu.Lock()
		for len(l.queued) == 0 && !l.closed {
			l.filled.Wait()
		}
		if l.closed {
			l.mu.Unlock()
			return
		}
		out, l.queued = l.queued, out[:0]
		l.mu.Unlock()
		if _, err := l.conn.Write(out); err != nil {
			_ = l.conn.Close() // the reader notices and wakes everybody
			return
		}
	}
}

func (l *link) read() {
	defer l.lost()
	in := bufio.NewReaderSize(l.conn, bufferBytes)
	for {
		frame, err := nextFrame(in)
		if err != nil || len(frame) < 4 {
			return
		}
		slot := binary.BigEndian.Uint32(frame)
		if slot >= window {
			return
		}
		select {
		case l.waiting[slot] <- true:
		default: // nobody waits for it
		}
		if _, err := in.Discard(prefixBytes + len(frame)); err != nil {
			return
		}
	}
}

// nextFrame is the frame at the head of the stream, without its prefix, not yet
// consumed.
func nextFrame(in *bufio.Reader) ([]byte, error) {
	head, err := in.Peek(prefixBytes)
	if err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head))
	frame, err := in.Peek(prefixBytes + n)
	if err != nil {
		return nil, err
	}
	return frame[prefixBytes:], nil
}

// lost wakes everybody who waits, once: a slot's channel has room for one word.
func (l *link) lost() {
	l.mu.Lock()
	l.closed = true
	l.filled.Broadcast()
	l.mu.Unlock()
	for _, c := range l.waiting {
		select {
		case c <- false:
		default:
		}
	}
}

func (l *link) close() error {
	err := l.conn.Close()
	l.ended.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Echo sends every frame back, many in one write. Its methods are goroutine-safe.
type Echo struct {
	listen net.Listener
	mu     sync.Mutex
	conns  map[net.Conn]bool // nil: closed
	ended  sync.WaitGroup
}

// StartEcho listens; port 0 picks a free one.
func StartEcho(addr string) (*Echo, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	e := &Echo{listen: l, conns: map[net.Conn]bool{}}
	e.ended.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil || !e.adopt(c) {
				return
			}
		}
	})
	return e, nil
}

// Addr is where it listens.
func (e *Echo) Addr() string { return e.listen.Addr().String() }

func (e *Echo) adopt(c net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conns == nil {
		_ = c.Close()
		return false
	}
	e.conns[c] = true
	e.ended.Go(func() {
		// The stream comes back in the pieces it is read in, so frames that left in
		// one write come back in one.
		_, _ = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, bufferBytes))
		_ = c.Close()
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.conns, c)
	})
	return true
}

// Close ends every connection.
func (e *Echo) Close() error {
	err := e.listen.Close()
	e.mu.Lock()
	for c := range e.conns {
		_ = c.Close()
	}
	e.conns = nil
	e.mu.Unlock()
	e.ended.Wait()
	return err
}
