package banksim

import (
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// sink is a connection that swallows everything.
type sink struct{ net.Conn }

func (sink) Write(b []byte) (int, error)      { return len(b), nil }
func (sink) SetWriteDeadline(time.Time) error { return nil }
func (sink) Close() error                     { return nil }

// stream makes frames of purchases that all differ.
type stream struct {
	c      *client
	m      *iso.Message
	buf    []byte
	number uint64
	stan   [12]byte
	rrn    [12]byte
}

func newStream(tb testing.TB, d *iso.Dialect) *stream {
	c := newClient(tb, d, nopConn{})
	m, _ := c.purchase(approveCard, 12500)
	return &stream{c: c, m: m}
}

type nopConn struct{ net.Conn }

func (nopConn) Close() error { return nil }

func (s *stream) frames(n int) []byte {
	s.buf = s.buf[:0]
	for range n {
		s.number++
		s.m.Set(11, appendDigits(s.stan[:0], s.number%999999+1, len(s.m.Get(11))))
		s.m.Set(37, appendDigits(s.rrn[:0], s.number, 12))
		out, err := s.c.d.AppendFrame(s.buf, s.m)
		if err != nil {
			s.c.tb.Fatal(err)
		}
		s.buf = out
	}
	return s.buf
}

// TestApprovePathAllocatesNothing: per message, over many reads of 64.
func TestApprovePathAllocatesNothing(t *testing.T) {
	for _, name := range iso.Builtins() {
		b := start(t, Config{Dialect: dialect(t, name), AllowBeforeSignOn: true})
		l := newLink(b, 1, sink{})
		s := newStream(t, b.cfg.Dialect)
		s.frames(64)
		for range 200 {
			l.drain(s.frames(64))
		}
		const reads = 400
		got := testing.AllocsPerRun(reads, func() { l.drain(s.frames(64)) }) / 64
		t.Logf("%s: %.4f allocations per message", name, got)
		if got > 0.02 {
			t.Errorf("%s: %.3f allocations per message, want 0 but for the books' growth", name, got)
		}
		if s := b.Books().Summary(); s.Currencies["EUR"].Charged.Count != uint64(b.Books().Len()) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// BenchmarkDrain is the bank's own work: bytes to booked and answered.
func BenchmarkDrain(b *testing.B) {
	for _, name := range iso.Builtins() {
		b.Run(name, func(b *testing.B) {
			bank := start(b, Config{Dialect: dialect(b, name), AllowBeforeSignOn: true})
			l := newLink(bank, 1, sink{})
			s := newStream(b, bank.cfg.Dialect)
			b.ReportAllocs()
			for done := 0; done < b.N; done += 64 {
				b.StopTimer()
				frames := s.frames(64)
				b.StartTimer()
				l.drain(frames)
			}
		})
	}
}

// BenchmarkLoopback is whole round trips over one TCP link, with so many
// messages in flight; the client's work is inside the CPU figure.
func BenchmarkLoopback(b *testing.B) {
	for _, window := range []int{1, 16, 128} {
		for _, delay := range []time.Duration{0, 5 * time.Millisecond} {
			if delay > 0 && window < 128 {
				continue
			}
			b.Run(fmt.Sprintf("window=%d/delay=%v", window, delay), func(b *testing.B) { loopback(b, window, delay) })
		}
	}
}

func loopback(b *testing.B, window int, delay time.Duration) {
	bank := start(b, Config{Dialect: dialect(b, "ascii87"), AllowBeforeSignOn: true, Delay: delay})
	c := dial(b, bank)
	s := newStream(b, bank.cfg.Dialect)
	first, err := c.conn.Write(s.frames(1))
	if err != nil || first == 0 {
		b.Fatal(err)
	}
	answer, err := c.next(time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	size := frameSize(b, c.d, answer)
	in := make([]byte, size*window)
	_ = c.conn.SetReadDeadline(time.Time{})
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	for done := 0; done < b.N; done += window {
		if _, err := c.conn.Write(s.frames(window)); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c.conn, in); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/n/1000, "cpu-us/msg")
	b.ReportMetric(n/b.Elapsed().Seconds(), "msg/s")
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// frameSize is how long a body is in its frame.
func frameSize(b *testing.B, d *iso.Dialect, body []byte) int {
	var m iso.Message
	if err := d.Decode(body, &m); err != nil {
		b.Fatal(err)
	}
	frame, err := d.AppendFrame(nil, &m)
	if err != nil {
		b.Fatal(err)
	}
	return len(frame)
}
