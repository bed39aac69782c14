package acquirers

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

// hold makes the host swallow payments.
func hold(h *host) {
	h.serve = func(_ *hostConn, m *iso.Message) bool { return m.MTI == 0x0200 }
}

func TestCutAfterHandOverIsUnanswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{Latency: latency})
		hold(h)
		r := newRig(t, h, nil)
		r.await(true)
		out := r.start(1, 20)
		time.Sleep(time.Second)
		h.conn(1).sim.Cut()
		for _, res := range collect(out, 20) {
			res.want(t, Unanswered, CauseLinkLost)
			if res.took > 1100*time.Millisecond {
				t.Fatalf("told after %v, the link was cut after 1s", res.took)
			}
		}
		h.serve = nil
		r.await(true)
		r.pay(r.purchase(50), 0).want(t, Answered, CauseNone)
	})
}

// gateConn fails its next write without taking a byte.
type gateConn struct {
	net.Conn
	refuse atomic.Bool
	taken  atomic.Int64 // bytes the refused write takes all the same
}

func (c *gateConn) Write(p []byte) (int, error) {
	if c.refuse.Load() {
		n, _ := c.Conn.Write(p[:c.taken.Load()])
		return n, &net.OpError{Op: "write", Net: "sim", Err: errors.New("refused")}
	}
	return c.Conn.Write(p)
}

// A write that fails with no byte taken proves that its messages were not
// sent; one byte makes all of them ambiguous.
func TestWriteThatFailsWithoutAByte(t *testing.T) {
	for taken, want := range map[int64]Fate{0: NotSent, 1: Unanswered} {
		bubble(t, func(t *testing.T) {
			h := newHost(t, simnet.Options{})
			var gate *gateConn
			r := newRig(t, h, func(c *Config) {
				c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := h.net.Dial(ctx, network, addr)
					gate = &gateConn{Conn: conn}
					return gate, err
				}
			})
			r.await(true)
			gate.taken.Store(taken)
			gate.refuse.Store(true)
			fates := map[Fate]int{}
			for _, res := range collect(r.start(1, 10), 10) {
				if res.fate == NotSent && res.Cause == CauseNoLink {
					continue // it came after the link was gone
				}
				res.want(t, res.fate, CauseLinkLost)
				fates[res.fate]++
			}
			if fates[want] == 0 || taken == 0 && fates[Unanswered] != 0 {
				t.Fatalf("%d bytes taken: fates %v, want %s", taken, fates, want)
			}
			if n := len(h.saw("0200")); n != 0 {
				t.Fatalf("the bank saw %d requests", n)
			}
		})
	}
}

// A bank that never reads: the write deadline ends the link after 3 s, and
// everybody is told long before the answer timeout. What was still queued was
// provably not sent.
func TestBankThatNeverReads(t *testing.T) {
	bothWays(t, simnet.Options{Buffer: 1000}, func(t *testing.T, h *host, open func(func(*Config)) *rig) {
		r := open(nil)
		r.await(true)
		h.conn(1).sim.Stall(true)
		out := r.start(1, 40)
		synctest.Wait()
		more := r.start(100, 30)
		fates := map[Fate]int{}
		for _, res := range append(collect(out, 40), collect(more, 30)...) {
			res.want(t, res.fate, CauseLinkLost)
			fates[res.fate]++
			if res.took < 3*time.Second || res.took > 3*time.Second+2*wheelTick {
				t.Fatalf("told after %v, want 3s", res.took)
			}
		}
		if fates[Unanswered] == 0 || fates[NotSent] < 30 || fates[Unanswered]+fates[NotSent] != 70 {
			t.Fatalf("fates %v: the second wave was queued and must be not_sent", fates)
		}
	})
}

// While the writer is stuck, a queued exchange whose deadline passes was not
// sent, and stays so.
func TestQueuedTimeoutIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{Buffer: 1000})
		r := newRig(t, h, nil)
		r.await(true)
		h.conn(1).sim.Stall(true)
		out := r.start(1, 40)
		synctest.Wait()
		res := r.pay(r.purchase(900), time.Second)
		res.want(t, NotSent, CauseTimeout)
		h.conn(1).sim.Stall(false)
		for _, res := range collect(out, 40) {
			res.want(t, Answered, CauseNone)
		}
		synctest.Wait()
		if got := h.saw("0200 000901"); len(got) != 0 {
			t.Fatalf("a cancelled exchange was sent: %v", got)
		}
	})
}

func TestSplitAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		var cut atomic.Int64
		h.serve = func(c *hostConn, m *iso.Message) bool {
			if m.MTI != 0x0200 {
				return false
			}
			frame := c.frame(c.reply(m, "00"))
			at := min(int(cut.Load()), len(frame))
			c.Write(frame[:at])
			time.Sleep(time.Millisecond)
			c.Write(frame[at:])
			return true
		}
		r := newRig(t, h, nil)
		r.await(true)
		for at := range 120 {
			cut.Store(int64(at))
			r.pay(r.purchase(uint64(at)), 0).want(t, Answered, CauseNone)
		}
	})
	bubble(t, func(t *testing.T) {
		r := newRig(t, newHost(t, simnet.Options{Segment: 1}), nil)
		r.await(true)
		for _, res := range collect(r.start(1, 50), 50) {
			res.want(t, Answered, CauseNone)
		}
	})
}

// A body that does not decode costs its own payment only; a length that cannot
// be costs the link.
func TestHostileBytes(t *testing.T) {
	for _, c := range []struct {
		name   string
		frame  func(good []byte) []byte
		others Cause
		alarm  string
	}{
		{"garbled body", func(good []byte) []byte { good[8] = 'Z'; return good }, CauseNone, "garbled"},
		{"truncated field", func(good []byte) []byte { return append([]byte("0030"), good[4:34]...) }, CauseNone, "garbled"},
		{"no message at all", func([]byte) []byte { return []byte("0003abc") }, CauseNone, "garbled"},
		{"oversize length", func([]byte) []byte { return []byte("9999") }, CauseLinkLost, "lost_framing"},
		{"length that is no number", func(good []byte) []byte { return append([]byte("-001"), good...) }, CauseLinkLost, "lost_framing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bothWays(t, simnet.Options{}, func(t *testing.T, h *host, open func(func(*Config)) *rig) {
				var waiting []*iso.Message
				h.serve = func(hc *hostConn, m *iso.Message) bool {
					switch {
					case m.MTI != 0x0200:
						return false
					case string(m.Get(11)) != "000008":
						waiting = append(waiting, m)
						return true
					}
					hc.Write(c.frame(hc.frame(hc.reply(m, "00"))))
					for _, m := range waiting {
						hc.answer(m, "00")
					}
					return true
				}
				r := open(nil)
				r.await(true)
				others := r.start(100, 20)
				synctest.Wait()
				res := r.pay(r.purchase(7), 0)
				if c.others == CauseNone {
					res.want(t, Unanswered, CauseTimeout)
				} else {
					res.want(t, Unanswered, c.others)
				}
				for _, res := range collect(others, 20) {
					if c.others == CauseNone {
						res.want(t, Answered, CauseNone)
					} else {
						res.want(t, Unanswered, c.others)
					}
				}
				synctest.Wait()
				if r.count(c.alarm) != 1 {
					t.Fatalf("alarms %v, want one %s", r.alarms, c.alarm)
				}
				r.await(true)
			})
		})
	}
}

// After a cut of all links at once they return spread out, never faster than
// ReconnectMin, and for ever.
func TestReconnectStorm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		var dials []time.Duration
		from := time.Now()
		r := newRig(t, h, func(c *Config) {
			c.LinksPerEndpoint = 20
			c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				h.mu.Lock()
				dials = append(dials, time.Since(from))
				h.mu.Unlock()
				return h.net.Dial(ctx, network, addr)
			}
		})
		r.awaitLinks(20)
		h.listener.Close()
		h.mu.Lock()
		dials, from = nil, time.Now()
		h.mu.Unlock()
		for i := range 20 {
			h.conn(i + 1).sim.Cut()
		}
		time.Sleep(10 * time.Minute)
		h.mu.Lock()
		all := slices.Sorted(slices.Values(dials))
		h.mu.Unlock()
		first := all[:20]
		if first[0] < time.Second || first[19]-first[0] < 300*time.Millisecond {
			t.Fatalf("first reconnects from %v to %v: want at least 1s and spread", first[0], first[19])
		}
		if n := len(all); n < 20*600/8 || n > 20*600/4 {
			t.Fatalf("%d dials of 20 links in 10 minutes with pauses of 1s to 8s", n)
		}
		h.open()
		r.awaitLinks(20)
	})
}

func TestPause(t *testing.T) {
	for tries := range 80 {
		for range 100 {
			if p := pause(time.Second, 30*time.Second, tries); p < time.Second || p > 30*time.Second || tries == 0 && p > 2*time.Second {
				t.Fatalf("try %d: pause of %v", tries, p)
			}
		}
	}
}
