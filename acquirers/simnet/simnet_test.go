package simnet

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestLatencyAndHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: 20 * time.Millisecond})
		l, err := n.Listen("bank:1")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		near, err := n.Dial(context.Background(), "tcp", "bank:1")
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		near.Write([]byte("one"))
		near.Write([]byte("two"))
		near.(*Conn).CloseWrite()
		got, err := io.ReadAll(far)
		if string(got) != "onetwo" || err != nil {
			t.Fatalf("read %q, %v", got, err)
		}
		if d := time.Since(start); d != 40*time.Millisecond {
			t.Fatalf("took %v, want dial and one way: 40ms", d)
		}
		if _, err := near.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Fatalf("write after half close: %v", err)
		}
		l.Close()
		if _, err := n.Dial(context.Background(), "tcp", "bank:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial after close: %v", err)
		}
	})
}

func TestFullBufferMeetsWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := Pipe(Options{Buffer: 10})
		near.SetWriteDeadline(time.Now().Add(time.Second))
		start := time.Now()
		n, err := near.Write(make([]byte, 25))
		if n != 10 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Fatalf("wrote %d, %v after %v", n, err, time.Since(start))
		}
		near.SetWriteDeadline(time.Time{})
		go far.Read(make([]byte, 4))
		if n, err := near.Write(make([]byte, 4)); n != 4 || err != nil {
			t.Fatalf("after room was made: %d, %v", n, err)
		}
	})
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault func(near, far *Conn)
		want  error
	}{
		{"cut", func(near, _ *Conn) { near.Cut() }, syscall.ECONNRESET},
		{"vanish", func(_, far *Conn) { far.Vanish() }, os.ErrDeadlineExceeded},
		{"stall", func(_, far *Conn) { far.Stall(true) }, os.ErrDeadlineExceeded},
		{"close", func(near, _ *Conn) { near.Close() }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := Pipe(Options{Segment: 1})
				near.Write([]byte("ab"))
				c.fault(near, far)
				far.SetReadDeadline(time.Now().Add(time.Minute))
				got, err := io.ReadAll(far)
				if c.want == nil && (string(got) != "ab" || err != nil) {
					t.Fatalf("read %q, %v", got, err)
				}
				if c.want != nil && (len(got) != 0 || !errors.Is(err, c.want)) {
					t.Fatalf("read %q, %v, want nothing and %v", got, err, c.want)
				}
			})
		})
	}
}
