package acquirers

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

// Drain lets what is in flight finish, then signs off before it closes.
func TestDrainWaitsForInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{Latency: latency})
		h.serve = func(c *hostConn, m *iso.Message) bool {
			if m.MTI == 0x0200 {
				time.AfterFunc(4*time.Second, func() { c.answer(m, "00") })
			}
			return m.MTI == 0x0200
		}
		r := newRig(t, h, nil)
		r.await(true)
		out := r.start(1, 10)
		synctest.Wait()
		from := time.Now()
		drained := make(chan error, 1)
		go func() { drained <- r.Drain(background()) }()
		synctest.Wait()
		if r.Ready() == nil || r.Reserve(ClassPayment) || r.Reserve(ClassReversal) {
			t.Fatal("a draining bank takes new work")
		}
		for _, res := range collect(out, 10) {
			res.want(t, Answered, CauseNone)
		}
		if err := <-drained; err != nil {
			t.Fatal(err)
		}
		if d := time.Since(from); d < 4*time.Second || d > 5*time.Second {
			t.Fatalf("drained after %v", d)
		}
		if got := h.saw(""); got[len(got)-1] != "0800 002" {
			t.Fatalf("the last message is %s, want the sign-off", got[len(got)-1])
		}
	})
}

func TestDrainThatRunsOutOfTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		h.serve = func(_ *hostConn, m *iso.Message) bool {
			return m.MTI == 0x0200 || string(m.Get(fieldNetworkCode)) == "002"
		}
		r := newRig(t, h, nil)
		r.await(true)
		out := r.start(1, 10)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(background(), time.Second)
		defer cancel()
		from := time.Now()
		if err := r.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("drain: %v", err)
		}
		if d := time.Since(from); d > 3*time.Second+5*wheelTick {
			t.Fatalf("drain took %v", d)
		}
		for _, res := range collect(out, 10) {
			res.want(t, Unanswered, CauseClosed)
		}
		if n := len(h.saw("0800 002")); n != 1 {
			t.Fatalf("%d sign-offs", n)
		}
	})
}

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		hold(h)
		r := newRig(t, h, nil)
		r.await(true)
		out := r.start(1, 10)
		synctest.Wait()
		r.Close()
		for _, res := range collect(out, 10) {
			res.want(t, Unanswered, CauseClosed)
		}
		if r.Reserve(ClassPayment) {
			t.Fatal("a closed bank gives slots")
		}
		x := &Exchange{Request: r.purchase(99)}
		result{Exchange: x, fate: r.Exchange(x)}.want(t, NotSent, CauseClosed)
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Fatalf("ready: %v", err)
		}
		r.Close()
	})
}

// The window bounds each class by its own share, for each ready link.
func TestWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		r := newRig(t, h, func(c *Config) { c.LinksPerEndpoint, c.Window, c.ReversalShare = 2, 10, 3 })
		r.awaitLinks(2)
		take := func(c Class) (n int) {
			for r.Reserve(c) {
				n++
			}
			return n
		}
		if got := take(ClassPayment); got != 14 {
			t.Fatalf("%d payments, want 14", got)
		}
		if got := take(ClassReversal); got != 6 {
			t.Fatalf("%d reversals beside full payments, want 6", got)
		}
		r.Release(ClassReversal)
		if r.Reserve(ClassPayment) {
			t.Fatal("a payment took a reversal's slot")
		}
		r.Release(ClassPayment)
		if got := take(ClassReversal); got != 1 {
			t.Fatalf("%d reversals, want 1", got)
		}
		s := r.Status()
		if s.Payment != (WindowStatus{13, 14}) || s.Reversal != (WindowStatus{6, 6}) || !s.Ready || len(s.Links) != 2 || s.Links[1].State != "ready" {
			t.Fatalf("status %+v", s)
		}
		for range 13 {
			r.Release(ClassPayment)
		}
		for range 6 {
			r.Release(ClassReversal)
		}
	})
}

// Exchanges go to the link with the fewest in flight, and a window that shrank
// with a lost link refuses the rest as not sent.
func TestLeastLoadedAndShrunkWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		hold(h)
		r := newRig(t, h, func(c *Config) { c.LinksPerEndpoint, c.Window, c.ReversalShare = 2, 10, 1 })
		r.awaitLinks(2)
		out := r.start(1, 12)
		synctest.Wait()
		for _, l := range r.Status().Links {
			if l.InFlight != 6 {
				t.Fatalf("link %d has %d in flight, want 6", l.Number, l.InFlight)
			}
		}
		h.listener.Close()
		h.conn(2).sim.Cut()
		for _, res := range collect(out, 6) {
			res.want(t, Unanswered, CauseLinkLost)
		}
		second := make(chan result, 6)
		for i := range 6 {
			m := r.purchase(uint64(100 + i))
			go func() {
				x := &Exchange{Request: m}
				fate := r.Exchange(x)
				second <- result{Exchange: x, fate: fate}
			}()
		}
		full := 0
		for _, res := range collect(second, 6) {
			if res.fate == NotSent && res.Cause == CauseWindow {
				full++
			}
		}
		if full != 2 {
			t.Fatalf("%d were refused by the full window, want 2", full)
		}
		collect(out, 6)
	})
}

// A link that is stuck with one exchange gets no second while another is free.
func TestFreeLinkIsPreferred(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		stuck := 0
		h.serve = func(c *hostConn, m *iso.Message) bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			if m.MTI == 0x0200 && stuck == 0 {
				stuck = c.number
			}
			return m.MTI == 0x0200 && stuck == c.number
		}
		r := newRig(t, h, func(c *Config) { c.LinksPerEndpoint = 2 })
		r.awaitLinks(2)
		out := r.start(1, 1)
		synctest.Wait()
		for i := range 10 {
			r.pay(r.purchase(uint64(100+i)), 0).want(t, Answered, CauseNone)
		}
		collect(out, 1)[0].want(t, Unanswered, CauseTimeout)
	})
}

func TestMetrics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		reg := prometheus.NewPedanticRegistry()
		r := newRig(t, h, func(c *Config) { c.Registerer = reg })
		r.await(true)
		r.pay(r.purchase(1), 0).want(t, Answered, CauseNone)
		synctest.Wait()
		twin, err := New(Config{ID: "twin", Endpoints: []string{hostAddr}, Registerer: reg}, h.d,
			Hooks{NextSeq: func() (uint64, error) { return 1, nil }})
		if err != nil {
			t.Fatalf("a second bank in one registry: %v", err)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.Metric {
				name := f.GetName()
				for _, l := range m.Label {
					name += " " + l.GetValue()
				}
				got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		for name, want := range map[string]float64{
			"tranzit_link_up test 1": 1, "tranzit_link_up twin 1": 0, "tranzit_bank_rtt_seconds test": 1,
			"tranzit_bank_frames_total test in": 3, "tranzit_bank_frames_total test out": 3, "tranzit_bank_writes_total test": 3,
			"tranzit_bank_in_flight test payment": 0, "tranzit_bank_in_flight test reversal": 0, "tranzit_bank_odd_frames_total test late": 0,
		} {
			if v, ok := got[name]; !ok || v != want {
				t.Errorf("%s is %g (present: %v), want %g", name, v, ok, want)
			}
		}
		twin.Close()
	})
}

// A hook that hangs does not hold up the link, and what does not fit its queue
// is told.
func TestSlowLateHook(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{Buffer: 1 << 22})
		release := make(chan struct{})
		var overflow, late int
		told := make(chan struct{})
		var seq uint64
		b, err := New(Config{ID: "test", Endpoints: []string{hostAddr}, Dial: h.net.Dial}, h.d, Hooks{
			NextSeq: func() (uint64, error) { seq++; return seq, nil },
			Late:    func(_ *iso.Dialect, _ *iso.Message) { <-release; late++ },
			Alarm: func(kind, _ string) {
				if kind == "late_overflow" {
					overflow++
					close(told)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Start()
		t.Cleanup(b.Close)
		r := &rig{Bank: b, side: &side{}, t: t, host: h}
		r.await(true)
		c := h.conn(1)
		stray := c.frame(c.reply(r.purchase(4), "00"))
		const flood = lateRoom + 100
		for range flood {
			c.Write(stray)
		}
		synctest.Wait()
		r.pay(r.purchase(7), 0).want(t, Answered, CauseNone)
		close(release)
		<-told
		if overflow != 1 || late < lateRoom || late+int(b.aside.lateLost.Load()) != flood {
			t.Fatalf("overflow told %d times, %d delivered, %d dropped", overflow, late, b.aside.lateLost.Load())
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	d := builtin(t)
	good := func() Config { return Config{ID: "test", Endpoints: []string{"a:1", "b:2"}} }
	listening := func(c *Config) {
		c.Direction, c.Endpoints, c.Listen, c.Peers = DirectionListen, nil, "a:1", []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}
	}
	for _, c := range []struct {
		name   string
		change func(*Config)
		fields string // of the ConfigError
		want   string
	}{
		{"defaults", func(*Config) {}, "", ""},
		{"no id", func(c *Config) { c.ID = "" }, "ID", "id is required"},
		{"both sign on", func(c *Config) { c.SignOn, c.AwaitSignOn = true, true }, "SignOn AwaitSignOn", "either ours or theirs"},
		{"no endpoints", func(c *Config) { c.Endpoints = nil }, "Endpoints", "endpoint"},
		{"bad endpoint", func(c *Config) { c.Endpoints[1] = "b" }, "Endpoints", "endpoint 1 is not host:port"},
		{"unknown direction", func(c *Config) { c.Direction = "both" }, "Direction", `"both"`},
		{"write longer than response", func(c *Config) { c.WriteTimeout, c.ResponseTimeout = 9*time.Second, 8*time.Second }, "WriteTimeout ResponseTimeout", "write timeout"},
		{"write longer than reversal", func(c *Config) { c.WriteTimeout, c.ReversalTimeout = 9*time.Second, 9*time.Second }, "WriteTimeout ReversalTimeout", "reversal timeout 9s"},
		{"share of the whole window", func(c *Config) { c.Window, c.ReversalShare = 10, 10 }, "ReversalShare Window", "reversal share"},
		{"window of one", func(c *Config) { c.Window = 1 }, "Window", "window"},
		{"negative window", func(c *Config) { c.Window = -1 }, "Window", "window"},
		{"too many links", func(c *Config) { c.LinksPerEndpoint = 40 }, "LinksPerEndpoint Endpoints", "links"},
		{"nothing recorded", func(c *Config) { c.Recorded = -1 }, "Recorded", "recorded"},
		{"misses without end", func(c *Config) { c.EchoMisses = 101 }, "EchoMisses", "echo misses"},
		{"echo longer than its interval", func(c *Config) { c.EchoInterval, c.EchoTimeout = time.Second, 2*time.Second }, "EchoTimeout EchoMisses EchoInterval", "2 echo misses of 2s"},
		{"misses longer than the interval", func(c *Config) { c.EchoInterval, c.EchoTimeout, c.EchoMisses = 3*time.Second, time.Second, 4 },
			"EchoTimeout EchoMisses EchoInterval", "4 echo misses of 1s each must not take longer than the echo interval 3s"},
		{"misses as long as the interval", func(c *Config) { c.EchoInterval, c.EchoTimeout, c.EchoMisses = 3*time.Second, time.Second, 3 }, "", ""},
		{"reconnect reversed", func(c *Config) { c.ReconnectMin, c.ReconnectMax = time.Minute, time.Second }, "ReconnectMin ReconnectMax", "reconnect"},
		{"a microsecond", func(c *Config) { c.ConnectTimeout = time.Microsecond }, "ConnectTimeout", "connect timeout"},
		{"two days", func(c *Config) { c.ReversalTimeout = 48 * time.Hour }, "ReversalTimeout", "reversal timeout"},
		{"inexact peer", func(c *Config) { c.Peers = []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("192.0.2.7"), 24)} }, "Peers", "peer 0"},
		{"listens", listening, "", ""},
		{"listens nowhere", func(c *Config) { listening(c); c.Listen = "a" }, "Listen", "host:port"},
		{"listens to nobody", func(c *Config) { listening(c); c.Peers = nil }, "Peers", "peers"},
		{"listens to too many", func(c *Config) { listening(c); c.MaxPeers = 65 }, "MaxPeers", "max peers"},
		{"listens without a certificate", func(c *Config) { listening(c); c.TLS = new(tls.Config) }, "TLS", "certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good()
			c.change(&cfg)
			_, err := New(cfg, d, Hooks{NextSeq: func() (uint64, error) { return 1, nil }})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			var at *ConfigError
			if c.want != "" && (!errors.As(err, &at) || strings.Join(at.Fields, " ") != c.fields) {
				t.Errorf("%v is at the fields %+v, want %s", err, at, c.fields)
			}
		})
	}
	if _, err := New(good(), d, Hooks{}); err == nil {
		t.Fatal("New took no NextSeq")
	}
	if _, err := New(good(), nil, Hooks{}); err == nil {
		t.Fatal("New took no dialect")
	}
}

func TestNames(t *testing.T) {
	for f := NotSent; f <= Refuted; f++ {
		if f.String() == "" || f.String() == "unknown" {
			t.Errorf("fate %d has no name", f)
		}
	}
	for c := CauseNone; c <= CauseDuplicate; c++ {
		if c.String() == "" || c.String() == "unknown" {
			t.Errorf("cause %d has no name", c)
		}
	}
	if Fate(9).String() != "unknown" || Cause(99).String() != "unknown" {
		t.Error("numbers without a name")
	}
}
