package acquirers

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
)

// framed is a built-in dialect with another frame and header.
func framed(t *testing.T, frame, header string) *iso.Dialect {
	t.Helper()
	text, err := iso.BuiltinFile("ascii87")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("{kind: len-ascii, width: 4, inclusive: false, max: 8192, zero: keepalive}"), []byte(frame), 1)
	text = bytes.Replace(text, []byte("header: {kind: none}"), []byte("header: "+header), 1)
	d, err := iso.ParseDialect("framed.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A bank that asks with empty frames gets one back for each.
func TestEmptyFramesAreAnswered(t *testing.T) {
	for zero, want := range map[string]int64{"echo": 3, "keepalive": 0} {
		bubble(t, func(t *testing.T) {
			h := newHost(t, simnet.Options{})
			h.d = framed(t, "{kind: len2+0000, inclusive: false, max: 2048, zero: "+zero+"}", "{kind: none}")
			r := newRig(t, h, nil)
			r.await(true)
			for range 3 {
				h.conn(1).Write(make([]byte, 4))
			}
			h.conn(1).Write([]byte{0, 2, 1, 0, 'x', 'y'}) // the line's own control
			r.pay(r.purchase(7), 0).want(t, Answered, CauseNone)
			synctest.Wait()
			if got := h.polls.Load(); got != want {
				t.Errorf("%s: %d empty frames came back, want %d", zero, got, want)
			}
		})
	}
}

const baseHeader = `{kind: template, bytes: "16 01 02 {len2} {dst3} {src3} 00 0000 000000 00 000000 00", destination: "000001", source: "000002", receive: any,
  reject: {length: 26, at: 22, mark: "8000", code_at: 24, code_bytes: 2, proves: %s}}`

// A frame that the host refuses ends its exchange at once, as the dialect says.
func TestRejectedFrames(t *testing.T) {
	for proves, want := range map[string]Fate{"not_processed": NotSent, "nothing": Refuted} {
		bubble(t, func(t *testing.T) {
			h := newHost(t, simnet.Options{})
			header := string(bytes.Replace([]byte(baseHeader), []byte("%s"), []byte(proves), 1))
			h.d = framed(t, "{kind: len2+0000, inclusive: false, max: 2048, zero: echo}", header)
			h.serve = func(c *hostConn, m *iso.Message) bool {
				if m.MTI != iso.MTIFinancial || string(m.Get(11)) != "000008" {
					return false
				}
				refused := c.frame(m)[4:]
				head := append([]byte{26}, make([]byte, 25)...)
				head[22], head[24], head[25] = 0x80, 0x05, 0x12
				whole := append(head, refused...)
				c.Write(append([]byte{byte(len(whole) >> 8), byte(len(whole)), 0, 0}, whole...))
				return true
			}
			r := newRig(t, h, nil)
			r.await(true)
			got := r.pay(r.purchase(7), 0)
			if got.want(t, want, CauseRejected); got.took > time.Second {
				t.Errorf("it took %v", got.took)
			}
			for f := range got.Answer.Fields {
				t.Errorf("the answer holds field %d of the request", f)
			}
			if synctest.Wait(); r.count("rejected") != 1 {
				t.Error("nobody was told")
			}
			r.pay(r.purchase(8), 0).want(t, Answered, CauseNone)
		})
	}
}

// The bank's own request is answered to the station it came from.
func TestAnswersGoBackToTheirStation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHost(t, simnet.Options{})
		h.d = framed(t, "{kind: len-bin, width: 2, inclusive: false, max: 2048, zero: keepalive}",
			`{kind: tpdu, id: "60", destination: "0001", source: "0002", receive: same}`)
		var seen []byte
		h.serve = func(c *hostConn, m *iso.Message) bool {
			if m.MTI == 0x0810 {
				seen = bytes.Clone(m.Get(39))
			}
			return m.MTI == 0x0810
		}
		r := newRig(t, h, nil)
		r.await(true)
		m := new(iso.Message)
		v := iso.Values{STAN: 777, SentAt: time.Now().UTC(), LocalAt: time.Now()}
		if err := h.d.Build(iso.OpEcho, &v, m); err != nil {
			t.Fatal(err)
		}
		frame, err := h.d.AppendReply(nil, m, []byte{0x60, 0x77, 0x77, 0x00, 0x02})
		if err != nil || !bytes.Equal(frame[2:7], []byte{0x60, 0x00, 0x02, 0x77, 0x77}) {
			t.Fatalf("% x, %v", frame[:7], err)
		}
		h.conn(1).Write(frame)
		synctest.Wait()
		if string(seen) != "00" {
			t.Errorf("the echo was answered %q", seen)
		}
		r.pay(r.purchase(7), 0).want(t, Answered, CauseNone)
	})
}
