package isoload

import (
	"errors"
	"io"
	"net"

	"github.com/tranzit/tranzit/iso"
)

const readBuffer = 64 << 10

// stream finds frames in what a connection brings. Not goroutine-safe.
type stream struct {
	d    *iso.Dialect
	conn net.Conn
	buf  []byte
	r, w int

	keys  iso.MACKeys
	frame []byte // of the body that next gave
}

func newStream(o *Options, conn net.Conn) *stream {
	d := o.Dialect
	return &stream{d: d, keys: o.Keys, conn: conn, buf: make([]byte, max(readBuffer, d.MaxFrame()+16))}
}

// errFraming ends a link: the stream has no frames any more.
var errFraming = errors.New("the host's stream has lost its frames")

// next is the next whole frame among the bytes that were read, nil when there is
// none. The body aliases the buffer until more.
func (s *stream) next() ([]byte, error) {
	for {
		body, n, err := s.d.NextFrame(s.buf[s.r:s.w])
		if err != nil {
			return nil, errFraming
		}
		s.frame = s.buf[s.r : s.r+n]
		if s.r += n; n == 0 || body != nil {
			return body, nil
		}
	}
}

// read decodes the body that next gave and checks its code, where the dialect has one.
func (s *stream) read(body []byte, m *iso.Message) error {
	if err := s.d.Decode(body, m); err != nil || !s.d.HasMAC() {
		return err
	}
	return s.d.CheckMAC(s.frame, m, iso.FromBank, s.keys)
}

// more reads once.
func (s *stream) more() error {
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	if s.w == len(s.buf) {
		return errFraming
	}
	n, err := s.conn.Read(s.buf[s.w:])
	s.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}
