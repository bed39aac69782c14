package isoload

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dialect(t testing.TB, name string) *iso.Dialect {
	t.Helper()
	d, err := iso.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// running starts a bank until the test ends.
func running(t testing.TB, b *banksim.Bank, err error) *banksim.Bank {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func bank(t testing.TB, c banksim.Config) *banksim.Bank {
	t.Helper()
	if c.Dialect == nil {
		c.Dialect = dialect(t, "ascii87")
	}
	b, err := banksim.New(c)
	return running(t, b, err)
}

// loaded runs a short load and checks what holds of every one: whatever was sent was
// answered, or is counted among the ways not to be.
func loaded(t *testing.T, o Options) *Result {
	t.Helper()
	if o.Dialect == nil {
		o.Dialect = dialect(t, "ascii87")
	}
	if o.Warmup == 0 {
		o.Warmup = 50 * time.Millisecond
	}
	if o.Duration == 0 {
		o.Duration = 300 * time.Millisecond
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != r.Answered+r.Timeouts+r.Lost+r.Wrong {
		t.Errorf("%d sent, but %d answered, %d timed out, %d lost, %d wrong", r.Sent, r.Answered, r.Timeouts, r.Lost, r.Wrong)
	}
	codes := uint64(0)
	for _, n := range r.Codes {
		codes += n
	}
	if codes != r.Answered || r.Answered == 0 {
		t.Errorf("%d codes in %d answers", codes, r.Answered)
	}
	return r
}

func clean(t *testing.T, r *Result) {
	t.Helper()
	if r.Timeouts+r.Lost+r.Wrong+r.Unmatched+r.Unreadable+r.Cuts+r.Repairs != 0 {
		t.Errorf("%+v", r.Counts)
	}
}

// TestCodes: client and host make and check authentication codes; a client with another key signs nobody on, and
// codes of another key are counted.
func TestCodes(t *testing.T) {
	d, err := iso.ParseDialect("coded.yaml", []byte(`inherits: binary87
meta: {schema: 1, id: coded, version: 1, title: With codes}
security:
  mac: {algorithm: x9.19, padding: zeros, field: last, bytes: 8, covers: {length: false, header: false, mti: true},
    send: ["0100", "0200", "0420", "0800"], receive: ["0110", "0210", "0430", "0810"], keys: {send: out, receive: in}, failure: refute}
`))
	if err != nil {
		t.Fatal(err)
	}
	keys := iso.ClearKeys{"out": []byte("0123456789abcdef"), "in": []byte("fedcba9876543210")}
	b, err := NewHost(HostOptions{Dialect: d, Keys: keys})
	running(t, b, err)
	o := Options{Dialect: d, Keys: keys, Connect: []string{b.Addr()}, Mix: Mix{Purchase: 6, Authorization: 2, Reversal: 1, Echo: 1}}
	r := loaded(t, o)
	clean(t, r)
	if r.Forged != 0 || b.Status().Forged != 0 || r.Codes["00"] != r.Answered {
		t.Errorf("%+v", r)
	}
	o.Keys, o.SkipSignOn, o.Timeout, o.Warmup, o.Duration = iso.ClearKeys{"out": keys["out"], "in": keys["out"]}, true, time.Second, time.Millisecond, 100*time.Millisecond
	o.Dialect = d
	if r, err := Run(t.Context(), o); err != nil || r.Forged == 0 || r.Answered != 0 {
		t.Errorf("answers under another key: %+v, %v", r, err)
	}
	o.Keys = nil
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), `needs a key "out"`) {
		t.Errorf("without keys: %v", err)
	}
}

// TestBothSides: client and host against each other, every kind of message; the
// host's books hold what the client saw.
func TestBothSides(t *testing.T) {
	for _, name := range iso.Builtins() {
		t.Run(name, func(t *testing.T) {
			d := dialect(t, name)
			declined := d.CodeLike(d.MTI(iso.OpPurchase).Response(), "51")
			b, err := NewHost(HostOptions{Dialect: d, Codes: "00=3,51=1"})
			running(t, b, err)
			r := loaded(t, Options{Dialect: d, Connect: []string{b.Addr()}, Links: 2, Duration: time.Second,
				Mix: Mix{Purchase: 6, Authorization: 2, Reversal: 1, Echo: 1}})
			clean(t, r)
			charges := r.Operations["purchase"].Sent + r.Operations["authorization"].Sent
			if share := float64(r.Codes[declined]) / float64(charges); share < 0.2 || share > 0.3 {
				t.Errorf("%.3f of the charges were declined, want a quarter", share)
			}
			for _, op := range []string{"purchase", "authorization", "reversal", "echo"} {
				if o := r.Operations[op]; o.Sent == 0 || o.Answered != o.Sent || o.Latency.Count == 0 {
					t.Errorf("%s: %+v", op, o)
				}
			}
			s := b.Books().Summary()
			if eur := s.Currencies["EUR"]; uint64(b.Books().Len()) != charges || uint64(eur.Charged.Count) != charges-r.Codes[declined] ||
				uint64(eur.Reversed.Count) != r.Operations["reversal"].Sent {
				t.Errorf("%d charges, %d declined, %d reversals; the books: %d, %+v", charges, r.Codes[declined], r.Operations["reversal"].Sent, b.Books().Len(), eur)
			}
			if r.Mode != "closed" || r.Links != 2 || r.Measured == 0 || r.Latency.Count == 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestOpenLoop: what is due is sent, however slow the host is, and a slow host is
// seen in every latency.
func TestOpenLoop(t *testing.T) {
	for _, poisson := range []bool{false, true} {
		b := bank(t, banksim.Config{Delay: 20 * time.Millisecond})
		r := loaded(t, Options{Connect: []string{b.Addr(), b.Addr()}, Rate: 2000, Poisson: poisson, Duration: 500 * time.Millisecond, Warmup: -1})
		clean(t, r)
		if n := r.Sent + r.Unsent; n < 850 || n > 1150 || !poisson && n != 1000 {
			t.Errorf("poisson %v: %d sent, %d not, want 1000", poisson, r.Sent, r.Unsent)
		}
		if r.Latency.Min < 20_000 || r.Latency.Count != r.Sent+r.Unsent || r.Lateness.Count != r.Sent {
			t.Errorf("poisson %v: %+v, late %+v", poisson, r.Latency, r.Lateness)
		}
	}
}

// TestNoCoordinatedOmission: a host that can hold two messages is due a hundred
// times as much; what was not sent is told.
func TestNoCoordinatedOmission(t *testing.T) {
	b := bank(t, banksim.Config{Delay: 50 * time.Millisecond})
	r := loaded(t, Options{Connect: []string{b.Addr()}, Rate: 1000, InFlight: 2, Warmup: -1})
	if r.Sent > 30 || r.Sent+r.Unsent != 300 || r.Latency.Count != 300 || r.Latency.P90 < 200_000 {
		t.Errorf("%d sent, %d not, latency %+v", r.Sent, r.Unsent, r.Latency)
	}
	// The last of the answered were due long before they could be sent.
	if o := r.Operations["purchase"].Latency; o.Max < 200_000 {
		t.Errorf("of the answered: %+v", o)
	}
}

// TestFaultyAnswers: late, doubled, missing, unreadable and false answers are
// counted as what they are, and with reversals the host keeps only what was
// answered.
func TestFaultyAnswers(t *testing.T) {
	faults := []banksim.Fault{banksim.FaultLate, banksim.FaultDuplicate, banksim.FaultNoAnswer, banksim.FaultGarbled, banksim.FaultAmount}
	var n atomic.Int64
	b := bank(t, banksim.Config{LateBy: 400 * time.Millisecond, Script: func(a *banksim.Ask, p *banksim.Plan) {
		if at := n.Add(1); a.Message.MTI.Class() == 2 && at%100 == 0 {
			p.Fault = faults[at/100%int64(len(faults))]
		}
	}})
	r := loaded(t, Options{Connect: []string{b.Addr()}, Rate: 10_000, Timeout: 250 * time.Millisecond, Reverse: true, Duration: 500 * time.Millisecond})
	if r.Timeouts == 0 || r.Wrong == 0 || r.Unmatched == 0 || r.Unreadable == 0 || r.Cuts != 0 {
		t.Errorf("%+v", r.Counts)
	}
	if p := r.Operations["purchase"]; r.Repairs != p.Sent-p.Answered || r.Owed != 0 {
		t.Errorf("%d reversals, %d owed, of %+v", r.Repairs, r.Owed, p)
	}
	eur := b.Books().Summary().Currencies["EUR"]
	if kept := uint64(eur.Charged.Count - eur.Reversed.Count); kept != r.Operations["purchase"].Answered {
		t.Errorf("the host kept %d charges, %d were answered", kept, r.Operations["purchase"].Answered)
	}
}

// TestCuts: a link that ends is opened and signed on again, and the load goes on.
func TestCuts(t *testing.T) {
	var n atomic.Int64
	faults := []banksim.Fault{banksim.FaultCut, banksim.FaultCutHalf, banksim.FaultPieces}
	b := bank(t, banksim.Config{Script: func(a *banksim.Ask, p *banksim.Plan) {
		if at := n.Add(1); a.Message.MTI.Class() == 2 && at%500 == 0 {
			p.Fault = faults[at/500%int64(len(faults))]
		}
	}})
	r := loaded(t, Options{Connect: []string{b.Addr()}, Links: 2, Rate: 5000, Duration: 700 * time.Millisecond})
	if r.Cuts < 2 || r.Lost < r.Cuts || r.Unmatched != 0 || r.Answered < 1500 || r.Codes["91"] != 0 {
		t.Errorf("%+v, codes %v", r.Counts, r.Codes)
	}
}

// TestDownForgetsItsOutput: what queued for a link that ended must not leave on
// the next one; its messages were given up.
func TestDownForgetsItsOutput(t *testing.T) {
	o := Options{Dialect: dialect(t, "ascii87"), Connect: []string{"127.0.0.1:1"}, Reverse: true}
	o.EnsureDefaults()
	l := &load{o: &o, start: time.Now(), to: time.Hour}
	var err error
	if l.values, err = o.values(); err != nil {
		t.Fatal(err)
	}
	k := l.newLink(o.Connect[0], 0, 1)
	conn, far := net.Pipe()
	defer far.Close()
	defer conn.Close()
	k.up(conn)
	if len(k.out) == 0 || k.pending.size() != o.InFlight {
		t.Fatalf("%d bytes queued, %d in flight", len(k.out), k.pending.size())
	}
	k.down(io.EOF)
	if len(k.out) != 0 || k.pending.size() != 0 || k.counts.Lost != uint64(o.InFlight) || k.counts.Cuts != 1 || len(k.owed) != o.InFlight {
		t.Errorf("%d bytes queued, %d in flight, %d owed, %+v", len(k.out), k.pending.size(), len(k.owed), k.counts.Counts)
	}
}

// TestNoise: a host that answers the sign-on and then sends what has no frames.
func TestNoise(t *testing.T) {
	d := dialect(t, "ascii87")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			noisy(d, conn)
		}
	}()
	r, err := Run(t.Context(), Options{Dialect: d, Connect: []string{ln.Addr().String()}, Warmup: -1, Duration: 300 * time.Millisecond, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Answered != 0 || r.Cuts == 0 || r.Unreadable != r.Cuts || r.Lost != r.Sent {
		t.Errorf("%+v", r.Counts)
	}
	ln.Close()
	<-ended
}

func noisy(d *iso.Dialect, conn net.Conn) {
	defer conn.Close()
	s := newStream(&Options{Dialect: d}, conn)
	var req, ans iso.Message
	for {
		body, err := s.next()
		if err == nil && body == nil {
			err = s.more()
		}
		switch {
		case err != nil:
			return
		case body == nil || d.Decode(body, &req) != nil:
		case req.MTI != iso.MTINetwork:
			_, _ = io.WriteString(conn, "no frame at all")
			_, _ = io.Copy(io.Discard, conn)
			return
		default:
			if d.Answer(&req, &iso.Values{ResponseCode: "00"}, &ans) == nil {
				frame, _ := d.AppendFrame(nil, &ans)
				_, _ = conn.Write(frame)
			}
		}
	}
}

// TestHostAsks: the host's echoes are answered under load.
func TestHostAsks(t *testing.T) {
	b := bank(t, banksim.Config{EchoInterval: 10 * time.Millisecond})
	r := loaded(t, Options{Connect: []string{b.Addr()}, InFlight: 4})
	clean(t, r)
	if s := b.Status(); r.HostRequests == 0 || s.OwnAnswered == 0 {
		t.Errorf("%d echoes seen, %+v", r.HostRequests, s)
	}
}

func TestStartFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := ln.Addr().String()
	ln.Close()
	b := bank(t, banksim.Config{Script: func(a *banksim.Ask, p *banksim.Plan) {
		if a.Message.MTI.Class() == 8 {
			p.Code = "05"
		}
	}})
	for addr, want := range map[string]string{gone: "refused", b.Addr(): "refused the sign-on"} {
		if r, err := Run(t.Context(), Options{Dialect: dialect(t, "ascii87"), Connect: []string{addr}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v, want %s", r, err, want)
		}
	}
}

// TestCanceled: the result of what there was, at once.
func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := bank(t, banksim.Config{Script: func(*banksim.Ask, *banksim.Plan) { cancel() }, AllowBeforeSignOn: true})
	r, err := Run(ctx, Options{Dialect: dialect(t, "ascii87"), Connect: []string{b.Addr()}, SkipSignOn: true, Duration: time.Hour})
	if err == nil || r == nil || r.Sent == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWriteText(t *testing.T) {
	b := bank(t, banksim.Config{})
	var progress, text bytes.Buffer
	r := loaded(t, Options{Connect: []string{b.Addr()}, Rate: 500, Duration: time.Second, Progress: &progress, Reverse: true})
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if r.Latency.Count != 500 || r.Sent+r.Unsent != 525 {
		t.Errorf("%d of %d sent are measured", r.Latency.Count, r.Sent)
	}
	for _, want := range []string{"constant, dialect ascii87, 1 links", "Offered      500/s", "purchase ", `Code "00" `, "0 match nothing"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if !strings.Contains(progress.String(), "answers/s") {
		t.Errorf("progress: %q", progress.String())
	}
}
