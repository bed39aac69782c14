package webhooks

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// prompt is a receiver that answers at once and looks at nothing.
type prompt struct {
	ln    net.Listener
	taken atomic.Int64
}

func newPrompt(t testing.TB) *prompt {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &prompt{ln: ln}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	return p
}

func (p *prompt) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 8<<10)
	for {
		length := 0
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) <= 2 {
				break
			}
			if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
			}
		}
		if _, err := io.CopyN(io.Discard, r, int64(length)); err != nil {
			return
		}
		p.taken.Add(1)
		if _, err := conn.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n")); err != nil {
			return
		}
	}
}

// BenchmarkDeliver sends what one endpoint is owed to a receiver that answers at
// once: read from the journal, signed, posted, settled.
func BenchmarkDeliver(b *testing.B) {
	r := newRig(b, func(o *Options) { o.PerEndpoint = 0 })
	p := newPrompt(b)
	e := r.endpoint("http://" + p.ln.Addr().String())
	const payments = 500
	begun := time.Now()
	for range payments {
		r.pay(banksim.Approve)
	}
	within(b, "all delivered", func() bool { return p.taken.Load() == payments })
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += payments {
		p.taken.Store(0)
		replayed, err := r.sw.Outbox().Replay(r.account(), e.ID, begun, time.Time{})
		must(b, err)
		within(b, "all delivered again", func() bool { return int(p.taken.Load()) >= replayed.Events })
		within(b, "nothing owed", func() bool { list, err := r.sw.Outbox().Owing(); return err == nil && len(list) == 0 })
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "webhooks/s")
}
