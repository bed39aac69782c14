package acquirers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

func TestFlightRecorder(t *testing.T) {
	bothWays(t, simnet.Options{Latency: latency}, func(t *testing.T, h *host, open func(func(*Config)) *rig) {
		h.serve = func(c *hostConn, m *iso.Message) bool {
			if m.MTI != 0x0200 || string(m.Get(11)) != "000008" {
				return false
			}
			frame := c.frame(c.reply(m, "00"))
			frame[8] = 'Z'
			c.Write(frame)
			return true
		}
		r := open(nil)
		r.await(true)
		time.Sleep(time.Second)
		r.pay(r.purchase(5), 0).want(t, Answered, CauseNone)
		time.Sleep(time.Second)
		r.pay(r.purchase(7), 0).want(t, Unanswered, CauseTimeout)
		var got []string
		for _, f := range r.Frames() {
			got = append(got, fmt.Sprintf("%d %s %s %s %s %v", f.Link, f.Direction, f.MTI, f.STAN, f.Code, f.Garbled))
		}
		want := []string{"1 out 0800 500002  false", "1 in 0810 500002 00 false", "1 out 0800 500003  false", "1 in 0810 500003 00 false",
			"1 out 0200 000006  false", "1 in 0210 000006 00 false", "1 out 0200 000008  false", "1 in    true"}
		if !slices.Equal(got, want) {
			t.Fatalf("recorded\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// The ring keeps the latest frames, also of lines that are gone, and nothing of
// a card.
func TestFlightRecorderKeepsTheLatest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		r := newRig(t, h, func(c *Config) { c.Recorded = 10 })
		r.await(true)
		for i := range 30 {
			r.pay(r.purchase(uint64(100+i)), 0).want(t, Answered, CauseNone)
			time.Sleep(time.Millisecond)
		}
		h.conn(1).sim.Cut()
		r.await(false)
		frames := r.Frames()
		if len(frames) != 20 || frames[0].STAN != "000121" || frames[19].STAN != "000130" || frames[19].RRN == "" {
			t.Fatalf("%d frames: %+v", len(frames), frames)
		}
		text, err := json.Marshal(frames)
		if err != nil || strings.Contains(string(text), "4111") {
			t.Fatalf("%v %s", err, text)
		}
	})
}

// What a bank puts where a number belongs is not repeated.
func TestFlightRecorderIsPlain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		r := newRig(t, h, nil)
		r.await(true)
		time.Sleep(time.Second)
		a := h.conn(1).reply(r.purchase(3), "00")
		a.SetString(fieldRRN, "<b>\"x\"</b>  ")
		h.conn(1).send(a)
		synctest.Wait()
		frames := r.Frames()
		if last := frames[len(frames)-1]; last.RRN != "(10 odd bytes)" || last.MTI != "0210" {
			t.Fatalf("%+v", last)
		}
	})
}
