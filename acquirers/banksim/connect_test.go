package banksim

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// takeCalls is a switch's side that takes what the bank dials.
func takeCalls(t *testing.T) (calls chan net.Conn, dial func(context.Context, string, string) (net.Conn, error)) {
	calls = make(chan net.Conn, 100)
	return calls, func(_ context.Context, network, addr string) (net.Conn, error) {
		if network != "tcp" || addr != "switch.example:9201" {
			t.Errorf("the bank dials %s %s", network, addr)
		}
		near, far := net.Pipe()
		calls <- far
		return near, nil
	}
}

func TestConnect(t *testing.T) {
	d := dialect(t, "ascii87")
	synctest.Test(t, func(t *testing.T) {
		calls, dial := takeCalls(t)
		b := start(t, Config{Dialect: d, Connect: "switch.example:9201", ConnectLinks: 2, Dial: dial})
		if b.Addr() != "" {
			t.Errorf("the bank listens on %s", b.Addr())
		}
		for round := range 3 {
			c := newClient(t, d, <-calls)
			other := newClient(t, d, <-calls)
			c.signOn()
			c.stan = iso.STAN(100 * round)
			request, _ := c.purchase(approveCard, int64(100+round))
			if got := c.ask(request); code(got) != "00" {
				t.Errorf("code %q", code(got))
			}
			other.signOn()
			began := time.Now()
			_ = c.conn.Close()
			_ = other.conn.Close()
			synctest.Wait()
			if len(calls) != 0 {
				t.Error("the bank redials without a pause")
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if len(calls) != 2 {
				t.Errorf("%d links are back after %v", len(calls), time.Since(began))
			}
		}
		if n := len(b.Books().Entries()); n != 3 {
			t.Errorf("%d entries", n)
		}
		drain(calls)
	})
}

func drain(calls chan net.Conn) {
	for len(calls) > 0 {
		_ = (<-calls).Close()
	}
}

// A switch that hangs up without a word, or cannot be dialed, is tried ever
// more seldom; a bank that refuses links does not dial.
func TestConnectBacksOff(t *testing.T) {
	d := dialect(t, "ascii87")
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		var dead atomic.Bool
		b := start(t, Config{Dialect: d, Connect: "switch.example:9201", ReconnectMin: time.Second, ReconnectMax: 8 * time.Second,
			Dial: func(context.Context, string, string) (net.Conn, error) {
				if tries.Add(1); dead.Load() {
					return nil, errors.New("refused")
				}
				near, far := net.Pipe()
				return near, far.Close()
			}})
		for range 2 {
			tries.Store(0)
			time.Sleep(time.Minute)
			if n := tries.Load(); n < 7 || n > 11 {
				t.Errorf("%d tries in a minute with pauses of 1s to 8s", n)
			}
			dead.Store(true)
		}
		if err := b.Control(Control{Mode: ModeRefuse}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Second)
		tries.Store(0)
		time.Sleep(time.Hour)
		if n := tries.Load(); n != 0 {
			t.Errorf("%d tries while the bank refuses links", n)
		}
		if err := b.Control(Control{Mode: ModeNormal}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := tries.Load(); n != 1 {
			t.Errorf("%d tries after that", n)
		}
	})
}

func TestConnectSignsOn(t *testing.T) {
	d := dialect(t, "ascii87")
	synctest.Test(t, func(t *testing.T) {
		calls, dial := takeCalls(t)
		start(t, Config{Dialect: d, Connect: "switch.example:9201", SignsOn: true, Dial: dial})
		c := newClient(t, d, <-calls)
		body, err := c.next(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var m iso.Message
		if err := d.Decode(body, &m); err != nil {
			t.Fatal(err)
		}
		if s := d.StepOf(&m, false); s == nil || s.Effect != iso.EffectSignOn {
			t.Errorf("the bank sends %s %s first", m.MTI, m.Get(70))
		}
		request, _ := c.purchase(approveCard, 100)
		if got := c.ask(request); code(got) != "00" {
			t.Errorf("code %q", code(got))
		}
	})
}

func TestConnectConfig(t *testing.T) {
	d := dialect(t, "ascii87")
	for _, tt := range []struct {
		field string
		cfg   Config
	}{
		{"Connect", Config{Connect: "switch"}},
		{"ConnectLinks", Config{Connect: "switch:1", ConnectLinks: -1}},
		{"ConnectLinks", Config{Connect: "switch:1", ConnectLinks: 300}},
		{"Listener", Config{Connect: "switch:1", Listener: newPipes()}},
		{"ReconnectMin", Config{Connect: "switch:1", ReconnectMin: -1}},
		{"ReconnectMax", Config{Connect: "switch:1", ReconnectMin: time.Minute, ReconnectMax: time.Second}},
	} {
		tt.cfg.Dialect = d
		if _, err := New(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.field) {
			t.Errorf("%s: %v", tt.field, err)
		}
	}
}
