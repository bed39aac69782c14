package acquirers

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

const latency = 25 * time.Millisecond

func TestAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, newHost(t, simnet.Options{Latency: latency}), nil)
		r.await(true)
		res := r.pay(r.purchase(7), 0)
		res.want(t, Answered, CauseNone)
		if res.took != 2*latency || res.AnsweredAt.Sub(res.SentAt) != 2*latency || res.Link != 1 {
			t.Fatalf("took %v, answered after %v on link %d", res.took, res.AnsweredAt.Sub(res.SentAt), res.Link)
		}
		if got := string(res.Answer.Get(39)); got != "00" || res.Answer.MTI != 0x0210 {
			t.Fatalf("answer %s code %q", res.Answer.MTI, got)
		}
		if n := r.pending.count.Load(); n != 0 {
			t.Fatalf("%d flights are still in the table", n)
		}
	})
}

// Every exchange gets its own answer when many share the links and the bank
// answers in the reverse order.
func TestManyAtOnceGetTheirOwnAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{Latency: latency})
		const n = 60
		var held []*iso.Message
		h.serve = func(c *hostConn, m *iso.Message) bool {
			if m.MTI != 0x0200 {
				return false
			}
			h.mu.Lock()
			held = append(held, m)
			all := held
			h.mu.Unlock()
			if len(all) == n {
				for i := len(all) - 1; i >= 0; i-- {
					c.answer(all[i], "00")
				}
			}
			return true
		}
		r := newRig(t, h, nil)
		r.await(true)
		for _, res := range collect(r.start(1, n), n) {
			res.want(t, Answered, CauseNone)
			if !bytes.Equal(res.Answer.Get(11), []byte(res.stan)) {
				t.Fatalf("STAN %s got the answer to %s", res.stan, res.Answer.Get(11))
			}
		}
	})
}

// What queues while the writer is busy leaves in one write.
func TestCoalescing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{Buffer: 1000})
		r := newRig(t, h, nil)
		r.await(true)
		h.conn(1).sim.Stall(true)
		first := r.start(1, 15)
		synctest.Wait()
		second := r.start(100, 70)
		synctest.Wait()
		before := r.metrics.writes.Load()
		h.conn(1).sim.Stall(false)
		for _, res := range append(collect(first, 15), collect(second, 70)...) {
			res.want(t, Answered, CauseNone)
		}
		if n := r.metrics.writes.Load() - before; n > 3 {
			t.Fatalf("%d writes for what had queued, want the one that was stuck, its rest and one more", n)
		}
	})
}

// The frame may have held a card verification code: no buffer keeps it.
func TestFramesAreWiped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, newHost(t, simnet.Options{}), nil)
		r.await(true)
		synctest.Wait()
		var made []*flight
		r.flights = sync.Pool{New: func() any {
			made = append(made, &flight{done: make(chan struct{}, 1)})
			return made[len(made)-1]
		}}
		clean := func(after string) {
			t.Helper()
			synctest.Wait()
			q := &r.links[0].line.Load().queue
			buffers := [][]byte{q.frames[:cap(q.frames)]}
			for _, f := range made {
				buffers = append(buffers, f.frame[:cap(f.frame)])
			}
			if len(buffers[0]) == 0 || len(made) == 0 || len(buffers[1]) == 0 {
				t.Fatal("no buffer was used")
			}
			for i, b := range buffers {
				if len(bytes.Trim(b, "\x00")) != 0 {
					t.Errorf("after %s buffer %d still holds bytes of a frame", after, i)
				}
			}
		}
		for i := range 4 {
			r.pay(r.purchase(uint64(i)), 0).want(t, Answered, CauseNone)
		}
		clean("four exchanges")
		bad := r.purchase(9)
		bad.SetString(64, "no such field here")
		r.pay(bad, 0).want(t, NotSent, CauseEncode)
		clean("a request that does not encode")
	})
}

func TestTimeoutThenLateAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{Latency: latency})
		h.serve = func(c *hostConn, m *iso.Message) bool {
			if m.MTI != 0x0200 {
				return false
			}
			time.AfterFunc(15*time.Second, func() { c.answer(m, "00") })
			return true
		}
		r := newRig(t, h, nil)
		r.await(true)
		res := r.pay(r.purchase(7), 0)
		res.want(t, Unanswered, CauseTimeout)
		if late := res.took - 10*time.Second; late < 0 || late > 2*wheelTick {
			t.Fatalf("timed out after %v, want 10s and at most two ticks", res.took)
		}
		if got := r.lates(); len(got) != 0 {
			t.Fatalf("late answers too early: %v", got)
		}
		time.Sleep(10 * time.Second)
		if got := r.lates(); len(got) != 1 || got[0] != "0210 000008" {
			t.Fatalf("late answers: %v", got)
		}
		// The wheel rests, and the link lives.
		r.pay(r.purchase(8), time.Second).want(t, Unanswered, CauseTimeout)
	})
}

func TestReversalHasItsOwnDefaultTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		h.serve = func(_ *hostConn, m *iso.Message) bool { return m.MTI.Class() == classReversalMTI }
		r := newRig(t, h, nil)
		r.await(true)
		res := r.pay(buildOp(t, h.d, iso.OpReversal, 9), 0)
		res.want(t, Unanswered, CauseTimeout)
		if res.took < 20*time.Second {
			t.Fatalf("gave up after %v, want 20s", res.took)
		}
	})
}

func TestAnswersThatDecideNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*iso.Message)
		fate  Fate
		cause Cause
		lates int
		odd   func(*metrics) uint64
	}{
		{"another amount", func(m *iso.Message) { m.SetString(4, "000000099900") }, Refuted, CauseEcho, 0, func(m *metrics) uint64 { return m.mismatch.Load() }},
		{"another currency", func(m *iso.Message) { m.SetString(49, "840") }, Refuted, CauseEcho, 0, func(m *metrics) uint64 { return m.mismatch.Load() }},
		{"another STAN", func(m *iso.Message) { m.SetString(11, "999999") }, Unanswered, CauseTimeout, 1, func(m *metrics) uint64 { return m.late.Load() }},
		{"another class", func(m *iso.Message) { m.MTI = 0x0430 }, Unanswered, CauseTimeout, 1, func(m *metrics) uint64 { return m.late.Load() }},
		{"no answer's type", func(m *iso.Message) { m.MTI = 0x0250 }, Unanswered, CauseTimeout, 0, func(m *metrics) uint64 { return m.unknown.Load() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHost(t, simnet.Options{})
				h.serve = func(hc *hostConn, m *iso.Message) bool {
					if m.MTI == 0x0200 && string(m.Get(11)) == "000008" {
						a := hc.reply(m, "00")
						c.spoil(a)
						hc.send(a)
						return true
					}
					return false
				}
				r := newRig(t, h, nil)
				r.await(true)
				others := r.start(100, 20)
				r.pay(r.purchase(7), 0).want(t, c.fate, c.cause)
				for _, res := range collect(others, 20) {
					res.want(t, Answered, CauseNone)
				}
				synctest.Wait()
				if n := len(r.lates()); n != c.lates || c.odd(r.metrics) != 1 {
					t.Fatalf("%d late answers, counter %d", n, c.odd(r.metrics))
				}
			})
		})
	}
}

// Two answers with their amounts swapped: neither is accepted.
func TestSwappedAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		var first *iso.Message
		h.serve = func(c *hostConn, m *iso.Message) bool {
			if m.MTI != 0x0200 {
				return false
			}
			if first == nil {
				first = m
				return true
			}
			a, b := c.reply(first, "00"), c.reply(m, "00")
			amount := bytes.Clone(a.Get(4))
			a.Set(4, bytes.Clone(b.Get(4)))
			b.Set(4, amount)
			c.send(a)
			c.send(b)
			return true
		}
		r := newRig(t, h, nil)
		r.await(true)
		one, two := r.purchase(1), r.purchase(2)
		two.SetString(4, "000000077700")
		out := make(chan result, 2)
		go func() { out <- r.pay(one, 0) }()
		go func() { out <- r.pay(two, 0) }()
		for _, res := range collect(out, 2) {
			res.want(t, Refuted, CauseEcho)
		}
		synctest.Wait()
		if n := r.count("answer_refuted"); n != 2 {
			t.Fatalf("%d alarms, want 2", n)
		}
	})
}

func TestDuplicateAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		h.serve = func(c *hostConn, m *iso.Message) bool {
			if m.MTI == 0x0200 {
				c.answer(m, "05")
			}
			return false
		}
		r := newRig(t, h, nil)
		r.await(true)
		res := r.pay(r.purchase(7), 0)
		res.want(t, Answered, CauseNone)
		if got := string(res.Answer.Get(39)); got != "05" {
			t.Fatalf("the second answer won: code %s", got)
		}
		synctest.Wait()
		if got := r.lates(); len(got) != 1 {
			t.Fatalf("late answers: %v, want the second copy", got)
		}
	})
}

func TestDuplicateKeyIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{Latency: latency})
		r := newRig(t, h, nil)
		r.await(true)
		first := r.start(7, 1)
		synctest.Wait()
		r.pay(r.purchase(7), 0).want(t, NotSent, CauseDuplicate)
		collect(first, 1)[0].want(t, Answered, CauseNone)
		if n := len(h.saw("0200")); n != 1 {
			t.Fatalf("the bank saw %d requests, want 1", n)
		}
		r.pay(r.purchase(7), 0).want(t, Answered, CauseNone)
	})
}

// An answer by another link than the one that carried the request is refused
// unless the bank is known to do so.
func TestAnswerOnAnotherLink(t *testing.T) {
	for _, anyLink := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			h := newHost(t, simnet.Options{})
			h.serve = func(c *hostConn, m *iso.Message) bool {
				if m.MTI != 0x0200 {
					return false
				}
				h.conn(3-c.number).answer(m, "00")
				return true
			}
			r := newRig(t, h, func(c *Config) { c.LinksPerEndpoint, c.AnyLink = 2, anyLink })
			r.awaitLinks(2)
			res := r.pay(r.purchase(7), 0)
			synctest.Wait()
			if anyLink {
				res.want(t, Answered, CauseNone)
				return
			}
			res.want(t, Unanswered, CauseTimeout)
			if r.count("answer_on_wrong_link") != 1 || len(r.lates()) != 1 {
				t.Fatalf("alarms %v, late %v", r.alarms, r.lates())
			}
		})
	}
}

func TestUnencodableRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, newHost(t, simnet.Options{}), nil)
		r.await(true)
		m := r.purchase(7)
		m.SetString(4, "not an amount")
		r.pay(m, 0).want(t, NotSent, CauseEncode)
		m = r.purchase(7)
		m.MTI = 0x0900
		r.pay(m, 0).want(t, NotSent, CauseEncode)
	})
}
