//go:build linux

package bench

import (
	"net"
	"testing"
	"time"
)

func TestSourceAddresses(t *testing.T) {
	for _, c := range []struct {
		route route
		want  string
	}{
		{route{"127.0.0.1:80", 0}, ""},
		{route{"127.0.0.1:80", perSource - 1}, ""},
		{route{"127.0.0.1:80", perSource}, "127.0.0.2:0"},
		{route{"127.0.0.1:80", maxConnections - 1}, "127.0.0.10:0"},
		{route{"192.0.2.1:80", 3 * perSource}, ""},
		{route{"[::1]:80", 3 * perSource}, ""},
	} {
		got := ""
		if from := c.route.from(); from != nil {
			got = from.String()
		}
		if got != c.want {
			t.Errorf("connection %d to %s begins at %q, want %q", c.route.connection, c.route.host, got, c.want)
		}
	}
}

// TestDialFromElsewhere connects from a second address of this machine.
func TestDialFromElsewhere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	fd, err := dial(route{ln.Addr().String(), perSource}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer closeSocket(fd)
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if from := c.RemoteAddr().(*net.TCPAddr).IP.String(); from != "127.0.0.2" {
		t.Errorf("the connection comes from %s", from)
	}
}
