package cabinet

import (
	"net"
	"sync"
)

// door is a listener that bounds connections: one too many waits until another ends.
type door struct {
	net.Listener
	places chan struct{}
}

// Accept waits for a place and for a connection.
func (d *door) Accept() (net.Conn, error) {
	d.places <- struct{}{}
	nc, err := d.Listener.Accept()
	if err != nil {
		<-d.places
		return nil, err
	}
	return &conn{Conn: nc, leave: sync.OnceFunc(func() { <-d.places })}, nil
}

// conn overwrites, before it waits for more bytes, those of the request before,
// which net/http leaves in its read buffer: while a connection idles no card number
// of the virtual terminal stays there.
type conn struct {
	net.Conn
	leave func()
}

// Read may use all of p as scratch space, as io.Reader allows.
func (c *conn) Read(p []byte) (int, error) {
	clear(p)
	return c.Conn.Read(p)
}

// Close gives the place back.
func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
