package acquirers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

// A peer that is not heard any more is found within two echo periods, idle or
// under load, whoever dialed and whichever way the bytes are lost.
func TestSilentPeerIsFound(t *testing.T) {
	for name, silence := range map[string]func(c *hostConn){
		"both ways lost":     func(c *hostConn) { c.sim.Vanish() },
		"requests lost":      func(c *hostConn) { c.sim.Stall(true) },
		"reads, but is mute": func(c *hostConn) { c.host.serve = func(*hostConn, *iso.Message) bool { return true } },
	} {
		for _, busy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, busy=%v", name, busy), func(t *testing.T) {
				bothWays(t, simnet.Options{}, func(t *testing.T, h *host, open func(func(*Config)) *rig) {
					r := open(nil)
					r.await(true)
					synctest.Wait()
					h.mu.Lock()
					silence(h.conns[0])
					h.mu.Unlock()
					from := time.Now()
					n := 0
					if busy {
						n = 5
					}
					out := r.start(100, n)
					r.await(false)
					if d := time.Since(from); d > 2*30*time.Second || d < 30*time.Second {
						t.Fatalf("found after %v, want within 60s", d)
					}
					for _, res := range collect(out, n) {
						res.want(t, Unanswered, CauseTimeout)
					}
					synctest.Wait()
					if r.count("echo_missed") != 1 {
						t.Fatalf("alarms %v", r.alarms)
					}
					h.mu.Lock()
					h.serve = nil
					h.mu.Unlock()
					h.conn(1).Close() // a bank that dials finds out, too
					r.await(true)
					r.pay(r.purchase(7), 0).want(t, Answered, CauseNone)
				})
			})
		}
	}
}

func TestEchoOnIdleOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		r := newRig(t, h, nil)
		r.await(true)
		if got := h.saw(""); !slices.Equal(got, []string{"0800 001", "0800 301"}) {
			t.Fatalf("before traffic the bank saw %v", got)
		}
		for i := range 10 {
			time.Sleep(20 * time.Second)
			r.pay(r.purchase(uint64(i)), 0).want(t, Answered, CauseNone)
		}
		if n := len(h.saw("0800 301")); n != 1 {
			t.Fatalf("%d echoes on a busy link", n)
		}
		time.Sleep(95 * time.Second)
		if n := len(h.saw("0800 301")); n != 4 {
			t.Fatalf("%d echoes after 95s of silence, want 4", n)
		}
	})
}

// One missed echo is forgiven.
func TestOneMissedEcho(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		echoes := 0
		h.serve = func(_ *hostConn, m *iso.Message) bool {
			if string(m.Get(fieldNetworkCode)) == "301" {
				echoes++
			}
			return echoes > 1 && echoes%2 == 0
		}
		r := newRig(t, h, nil)
		r.await(true)
		time.Sleep(10 * time.Minute)
		if h.count() != 1 || r.Ready() != nil {
			t.Fatalf("%d connections, ready: %v", h.count(), r.Ready())
		}
	})
}

// Nothing but the sign-on leaves before its answer, and a refused or unanswered
// one keeps the link closed to traffic.
func TestSignOnRefused(t *testing.T) {
	for _, mute := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			h := newHost(t, simnet.Options{})
			var open atomic.Bool
			h.serve = func(c *hostConn, m *iso.Message) bool {
				if string(m.Get(fieldNetworkCode)) != "001" || open.Load() {
					return false
				}
				if !mute {
					c.answer(m, "91")
				}
				return true
			}
			r := newRig(t, h, nil)
			time.Sleep(30 * time.Second)
			err := r.Ready()
			var not *NotReadyError
			if !errors.As(err, &not) || mute != strings.Contains(not.Reason, "no answer to sign_on: timeout") || mute == strings.Contains(not.Reason, "refused with code 91") {
				t.Fatalf("ready: %v", err)
			}
			if !r.Reserve(ClassPayment) {
				t.Fatal("no slot")
			}
			x := &Exchange{Request: r.purchase(7)}
			result{Exchange: x, fate: r.Exchange(x)}.want(t, NotSent, CauseNoLink)
			r.Release(ClassPayment)
			if got := h.saw(""); len(got) < 3 || slices.ContainsFunc(got, func(s string) bool { return s != "0800 001" }) {
				t.Fatalf("the bank saw %v", got)
			}
			open.Store(true)
			r.await(true)
		})
	}
}

// What follows the bank's sign-on is queued behind our answer to it, and
// nothing is queued behind our answer to its sign-off.
func TestSignOnIsAnsweredFirst(t *testing.T) {
	b, err := New(Config{ID: "x", Endpoints: []string{hostAddr}}, builtin(t), Hooks{NextSeq: func() (uint64, error) { return 1, nil }})
	if err != nil {
		t.Fatal(err)
	}
	l := newLine(b.links[0])
	l.up.Store(true)
	for code, ready := range map[string]bool{"001": true, "002": false} {
		m := new(iso.Message)
		v := iso.Values{STAN: 777, SentAt: time.Now().UTC(), LocalAt: time.Now()}
		if err := b.Current().dialect.Build(iso.OpEcho, &v, m); err != nil {
			t.Fatal(err)
		}
		m.SetString(fieldNetworkCode, code)
		l.signedOff.Store(ready)
		_, do := l.decide(m)
		if before, after := do.before != nil, do.after != nil; before == ready || after != ready {
			t.Errorf("%s: done before the answer %v, after it %v", code, before, after)
		}
		if l.signedOff.Load() != ready {
			t.Errorf("%s: done while it was decided", code)
		}
	}
}

func TestBankSignsOffAndReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		r := newRig(t, h, nil)
		r.await(true)
		h.conn(1).request("002")
		r.await(false)
		if err := r.Ready(); !strings.Contains(err.Error(), "signed_off_by_bank") {
			t.Fatalf("ready: %v", err)
		}
		r.pay(r.purchase(7), 0).want(t, NotSent, CauseNoLink)
		time.Sleep(5 * time.Minute)
		if r.Ready() == nil || h.count() != 1 {
			t.Fatalf("%d connections, ready: %v", h.count(), r.Ready())
		}
		h.conn(1).request("001")
		r.await(true)
		r.pay(r.purchase(8), 0).want(t, Answered, CauseNone)
	})
}

// What the bank starts itself is answered in the reader, with the code that is true in the dialect, and
// does what the dialect says; what is no step is refused, counted and told.
func TestBankStartedMessages(t *testing.T) {
	for _, name := range iso.Builtins() {
		d, err := iso.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range d.NetworkSteps() {
			if s.Theirs {
				t.Run(name+"/"+s.Name, func(t *testing.T) { bankStarts(t, d, s, s.Code) })
			}
		}
		t.Run(name+"/none", func(t *testing.T) { bankStarts(t, d, nil, "161") })
	}
}

// bankStarts sends a step with a code; s is nil when the code is that of none.
func bankStarts(t *testing.T, d *iso.Dialect, s *iso.NetworkStep, code string) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		h.d = d
		answers := make(chan *iso.Message, 1)
		asked := d.NetworkStep("echo")
		if s != nil {
			asked = s
		}
		request := new(iso.Message)
		if err := d.BuildStep(asked, &iso.Values{STAN: 777, SentAt: time.Now().UTC(), LocalAt: time.Now()}, request); err != nil {
			t.Fatal(err)
		}
		where := 70
		if d.NetworkStep("echo").Code == "831" {
			where = 24
		}
		request.SetString(where, code)
		h.serve = func(_ *hostConn, m *iso.Message) bool {
			if m.MTI == request.MTI.Response() && string(m.Get(11)) == string(request.Get(11)) {
				got := new(iso.Message)
				got.CopyFrom(m)
				answers <- got
				return true
			}
			return false
		}
		r := newRig(t, h, nil)
		defer r.Close()
		r.await(true)
		from, want := time.Now(), d.NetworkRefused()
		if s != nil {
			want = d.StepGranted(s)
		}
		h.conn(1).send(request)
		if m := <-answers; string(m.Get(39)) != want || string(m.Get(where)) != code {
			t.Fatalf("answered with %q", m.Get(39))
		}
		synctest.Wait()
		if d := time.Since(from); d != 0 {
			t.Errorf("answered after %v", d)
		}
		if s == nil {
			if r.metrics.refusedRequests.Load() != 1 || r.count("request_refused") != 1 {
				t.Errorf("it was not counted; alarms %v", r.alarms)
			}
			return
		}
		if n := r.Current().steps[s.Name].Load(); n != 1 || r.metrics.refusedRequests.Load() != 0 {
			t.Errorf("%d counted", n)
		}
		r.side.mu.Lock()
		defer r.side.mu.Unlock()
		if (s.Effect == iso.EffectCutOver) != (len(r.days) == 1) || (s.Effect == iso.EffectSignOff) != (r.Ready() != nil) {
			t.Errorf("cut over %v; ready: %v", r.days, r.Ready())
		}
	})
}

func TestBankStartedPaymentIsNotServed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		answers := make(chan string, 1)
		h.serve = func(_ *hostConn, m *iso.Message) bool {
			if m.MTI == 0x0210 {
				answers <- string(m.Get(39))
				return true
			}
			return false
		}
		r := newRig(t, h, nil)
		r.await(true)
		h.conn(1).send(buildOp(t, h.d, iso.OpPurchase, 5))
		if code := <-answers; code != codeUnsupported {
			t.Fatalf("a payment of the bank's own was answered with %s", code)
		}
		synctest.Wait()
		if r.metrics.refusedRequests.Load() != 1 || r.count("request_refused") != 1 {
			t.Fatalf("it was not counted; alarms %v", r.alarms)
		}
	})
}
