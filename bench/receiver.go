package bench

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// receiver is a shop's server that takes webhooks: every one at once, or none ever.
type receiver struct {
	ln    net.Listener
	dead  bool
	taken atomic.Int64
	last  atomic.Int64 // when the last was taken, nanoseconds of Unix time

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	work  sync.WaitGroup
}

func newReceiver(dead bool) (*receiver, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{ln: ln, dead: dead, conns: map[net.Conn]struct{}{}}
	r.work.Go(r.accept)
	return r, nil
}

func (r *receiver) url() string { return "http://" + r.ln.Addr().String() + "/hooks" }

func (r *receiver) accept() {
	for {
		conn, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.conns[conn] = struct{}{}
		r.mu.Unlock()
		r.work.Go(func() {
			r.serve(conn)
			r.mu.Lock()
			delete(r.conns, conn)
			r.mu.Unlock()
			_ = conn.Close()
		})
	}
}

var noContent = []byte("HTTP/1.1 204 No Content\r\n\r\n")

// serve reads requests of one connection, and answers them unless it is dead.
func (r *receiver) serve(conn net.Conn) {
	in := bufio.NewReaderSize(conn, 8<<10)
	for {
		length, err := readHead(in)
		if err == nil {
			_, err = in.Discard(length)
		}
		switch {
		case err != nil:
			return
		case r.dead:
			continue
		}
		r.taken.Add(1)
		r.last.Store(time.Now().UnixNano())
		if _, err := conn.Write(noContent); err != nil {
			return
		}
	}
}

// readHead reads the head of a request and gives the length of its body.
func readHead(in *bufio.Reader) (length int, err error) {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, nil
		}
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, errors.Join(io.ErrUnexpectedEOF, err)
			}
		}
	}
}

func (r *receiver) close() {
	_ = r.ln.Close()
	r.mu.Lock()
	for conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.work.Wait()
}
