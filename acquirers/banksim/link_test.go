package banksim

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tranzit/tranzit/iso"
)

// until looks until a state that other goroutines bring about is there.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("it did not come to: %s", what)
		case <-tick.C:
		}
	}
}

func TestTrafficNeedsSignOn(t *testing.T) {
	for _, name := range iso.Builtins() {
		b := start(t, Config{Dialect: dialect(t, name)})
		c := dial(t, b)
		request, reversal := c.purchase(approveCard, 100)
		for _, m := range []*iso.Message{request, reversal} {
			if got := c.ask(m); !c.says(got, "91") || got.Has(38) {
				t.Errorf("%s before sign-on: code %q", m.MTI, code(got))
			}
		}
		if b.Books().Len() != 0 || b.Status().NotSignedOn != 2 {
			t.Errorf("booked before sign-on: %+v", b.Status())
		}
		c.signOn()
		if got := c.ask(c.network(iso.OpEcho)); !c.says(got, "00") || got.MTI.Class() != 8 {
			t.Errorf("echo answered %v %q", got.MTI, code(got))
		}
		if got := c.ask(request); !c.says(got, "00") {
			t.Errorf("after sign-on: code %q", code(got))
		}
		if got := c.ask(c.network(iso.OpSignOff)); !c.says(got, "00") {
			t.Errorf("sign-off answered %q", code(got))
		}
		other, _ := c.purchase(approveCard, 100)
		if got := c.ask(other); !c.says(got, "91") {
			t.Errorf("after sign-off: code %q", code(got))
		}
	}
	b := start(t, Config{AllowBeforeSignOn: true})
	c := dial(t, b)
	request, _ := c.purchase(approveCard, 100)
	if got := c.ask(request); !c.says(got, "00") {
		t.Errorf("sign-on not needed: code %q", code(got))
	}
}

func TestDuplicateRequestOverTheWire(t *testing.T) {
	b := start(t, Config{})
	c, other := signedOn(t, b), signedOn(t, b)
	request, reversal := c.purchase(approveCard, 100)
	first := c.ask(request)
	for _, again := range []*iso.Message{request, c.repeat(request)} {
		got := other.ask(again)
		if code(got) != "00" || string(got.Get(38)) != string(first.Get(38)) {
			t.Errorf("%s again: code %q, another approval code", again.MTI, code(got))
		}
	}
	if e := only(t, b, request); e.Requests != 3 || e.Booked != 100 || e.ApprovalCode != string(first.Get(38)) {
		t.Errorf("entry %+v", e)
	}
	if got := other.ask(reversal); code(got) != "00" {
		t.Errorf("reversal on another link: code %q", code(got))
	}
	if got := c.ask(request); code(got) != "12" {
		t.Errorf("the request again after its reversal: code %q", code(got))
	}
}

func TestReversalBeforeOriginalOverTheWire(t *testing.T) {
	b := start(t, Config{})
	c := signedOn(t, b)
	request, reversal := c.purchase(approveCard, 100)
	for _, m := range []*iso.Message{reversal, c.repeat(reversal)} {
		if got := c.ask(m); code(got) != "00" {
			t.Errorf("%s: code %q", m.MTI, code(got))
		}
	}
	if e := only(t, b, request); e.State != "reversal_only" || e.Requests != 0 || e.ReversalsSeen != 2 {
		t.Errorf("entry %+v", e)
	}
	if got := c.ask(request); code(got) != "12" {
		t.Errorf("the original: code %q", code(got))
	}
	if e := only(t, b, request); e.State != "refused" || e.Charged || e.Requests != 1 {
		t.Errorf("entry %+v", e)
	}
	wrong, reversal := c.purchase(approveCard, 100)
	c.ask(wrong)
	reversal.SetString(4, "000000000099")
	if got := c.ask(reversal); code(got) != "13" || only(t, b, wrong).Reversed {
		t.Errorf("reversal of another amount: code %q", code(got))
	}
}

func TestFormatErrors(t *testing.T) {
	b := start(t, Config{})
	c := signedOn(t, b)
	for _, field := range []int{2, 4, 49} {
		request, _ := c.purchase(approveCard, 100)
		request.Delete(field)
		c.send(request)
		if field == 4 || field == 49 {
			// The dialect may be unable to answer without the field; the bank only has to live on.
			continue
		}
		if got := c.receive(); code(got) != "30" {
			t.Errorf("without field %d: code %q", field, code(got))
		}
	}
	request, reversal := c.purchase(approveCard, 100)
	reversal.Delete(90)
	c.send(reversal)
	c.send(request)
	until(t, "an approval", func() bool { return b.Books().Summary().Currencies["EUR"].Net == 100 })
}

// TestModes changes what a running bank does.
func TestModes(t *testing.T) {
	b := start(t, Config{})
	c := signedOn(t, b)
	set := func(ctl Control) {
		t.Helper()
		if err := b.Control(ctl); err != nil {
			t.Fatal(err)
		}
	}
	set(Control{Mode: ModeDecline, Code: "61"})
	request, reversal := c.purchase(approveCard, 100)
	if got := c.ask(request); code(got) != "61" {
		t.Errorf("decline: code %q", code(got))
	}
	if got := c.ask(reversal); code(got) != "00" {
		t.Errorf("decline: reversal %q", code(got))
	}

	set(Control{Mode: ModeMute})
	muted, _ := c.purchase(approveCard, 100)
	c.send(muted)
	until(t, "a muted request booked", func() bool { return b.Status().Muted == 1 })
	if e := only(t, b, muted); e.State != "charged" || e.Answered {
		t.Errorf("mute: %+v", e)
	}
	no := false
	set(Control{Mode: ModeMute, Book: &no})
	unseen, _ := c.purchase(approveCard, 100)
	c.send(unseen)
	until(t, "another muted request", func() bool { return b.Status().Muted == 2 })
	if found := b.Books().ByRRN(string(unseen.Get(37))); len(found) != 0 {
		t.Errorf("mute without books: %+v", found)
	}

	set(Control{Mode: ModeNormal})
	c.silent()
	set(Control{Mode: ModeStall})
	stalled, _ := c.purchase(approveCard, 100)
	c.send(stalled)
	if _, err := c.next(50 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("stall: %v", err)
	}
	if found := b.Books().ByRRN(string(stalled.Get(37))); len(found) != 0 {
		t.Errorf("stall: %+v", found)
	}
	set(Control{Mode: ModeNormal})
	if got := c.receive(); code(got) != "00" {
		t.Errorf("after the stall: code %q", code(got))
	}

	set(Control{Mode: ModeRefuse})
	refused := dial(t, b)
	refused.isCut()
	c.silent()
	set(Control{Mode: ModeNormal})
	set(Control{Mode: ActDrop})
	c.isCut()
}

func TestControlRefusesNonsense(t *testing.T) {
	b := start(t, Config{})
	for _, c := range []Control{{}, {Mode: "sleep"}, {Mode: ModeDecline, Code: "0"}, {Mode: ModeDecline, Code: "00"},
		{Mode: ActDelay, DelayMS: -1}, {Mode: ActDelay, JitterMS: 1 << 40}} {
		if err := b.Control(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	if s := b.Standing(); s.Mode != ModeNormal {
		t.Errorf("standing %+v", s)
	}
}

// TestNetworkSteps: every step of the switch's is granted in the words of its dialect, and what is none is refused in them.
func TestNetworkSteps(t *testing.T) {
	for _, name := range iso.Builtins() {
		d := dialect(t, name)
		b := start(t, Config{Dialect: d})
		c := signedOn(t, b)
		v := iso.Values{SentAt: sentAt, LocalAt: sentAt, Acquirer: "123456"}
		step := func(s *iso.NetworkStep) *iso.Message {
			c.stan++
			v.STAN = c.stan
			m := new(iso.Message)
			if err := d.BuildStep(s, &v, m); err != nil {
				t.Fatal(err)
			}
			return m
		}
		for _, s := range d.NetworkSteps() {
			want := d.NetworkRefused()
			if s.Ours {
				want = d.StepGranted(s)
			}
			if got := c.ask(step(s)); code(got) != want || s.Ours && !d.StepDone(s, code(got)) {
				t.Errorf("%s: %s is answered with %q, want %q", name, s.Name, code(got), want)
			}
		}
	}
}

// TestBankStartsMessages: its own echo, sign-off and sign-on.
func TestBankStartsMessages(t *testing.T) {
	b := start(t, Config{})
	c := signedOn(t, b)
	for _, act := range []struct {
		name string
		op   iso.Operation
		code string
	}{{ActEcho, iso.OpEcho, "00"}, {ActSignOff, iso.OpSignOff, "91"}, {ActSignOn, iso.OpSignOn, "00"}} {
		if err := b.Control(Control{Mode: act.name}); err != nil {
			t.Fatal(err)
		}
		m := c.receive()
		if s := c.d.StepOf(m, false); s == nil || s.Name != act.op.String() {
			t.Fatalf("%s: the bank sent %v, %+v", act.name, m.MTI, s)
		}
		answer := new(iso.Message)
		if err := c.d.Answer(m, &iso.Values{ResponseCode: "00", SentAt: sentAt}, answer); err != nil {
			t.Fatal(err)
		}
		c.send(answer)
		request, _ := c.purchase(approveCard, 100)
		if got := c.ask(request); code(got) != act.code {
			t.Errorf("after %s: code %q", act.name, code(got))
		}
	}
	if s := b.Status(); s.OwnMessages != 3 || s.OwnAnswered != 3 {
		t.Errorf("%+v", s)
	}
}

// TestScript: a test may plan every message itself.
func TestScript(t *testing.T) {
	script := func(a *Ask, p *Plan) {
		switch {
		case a.Message.MTI.Class() == 4:
			p.Code = "25"
		case a.Card == nil && a.Message.MTI.Class() == 2:
			p.Effect = Nothing
		}
	}
	b := start(t, Config{Script: script})
	c := signedOn(t, b)
	request, reversal := c.purchase("6011000990139424", 100)
	if got := c.ask(request); code(got) != "00" {
		t.Errorf("code %q", code(got))
	}
	if e := only(t, b, request); e.Charged || e.State != "declined" {
		t.Errorf("answered and not charged: %+v", e)
	}
	if got := c.ask(reversal); code(got) != "25" {
		t.Errorf("reversal: code %q", code(got))
	}
}

// TestHostileBytes: whatever arrives, the bank lives and other links are served.
func TestHostileBytes(t *testing.T) {
	for _, name := range iso.Builtins() {
		b := start(t, Config{Dialect: dialect(t, name)})
		good := signedOn(t, b)
		request, _ := good.purchase(approveCard, 100)
		whole := good.frame(request)
		dice := rand.New(rand.NewPCG(1, 2))
		for n := range 200 {
			conn, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			bytes := append([]byte(nil), whole...)
			for range n % 5 {
				bytes[dice.IntN(len(bytes))] = byte(dice.IntN(256))
			}
			if n%7 == 0 {
				bytes = bytes[:dice.IntN(len(bytes))]
			}
			if n%11 == 0 {
				bytes = make([]byte, 100_000)
				for i := range bytes {
					bytes[i] = byte(dice.IntN(256))
				}
			}
			_, _ = conn.Write(bytes)
			_ = conn.Close()
		}
		good.silent()
	}
}

// FuzzServe feeds bytes to a link's reader as one read would.
func FuzzServe(f *testing.F) {
	b := start(f, Config{AllowBeforeSignOn: true})
	c := newClient(f, b.cfg.Dialect, dial(f, b).conn)
	request, reversal := c.purchase(approveCard, 100)
	for _, m := range []*iso.Message{request, reversal, c.network(iso.OpSignOn), c.network(iso.OpEcho)} {
		f.Add(c.frame(m))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		here, there := net.Pipe()
		drained := make(chan struct{})
		go func() { _, _ = io.Copy(io.Discard, there); close(drained) }()
		l := newLink(b, 1, here)
		used, _ := l.drain(data)
		if used < 0 || used > len(data) {
			t.Errorf("used %d of %d bytes", used, len(data))
		}
		l.close()
		_ = there.Close()
		<-drained
	})
}

// TestCoalescing: the answers of one read leave in one write, in order.
func TestCoalescing(t *testing.T) {
	b := start(t, Config{})
	c := signedOn(t, b)
	var burst []byte
	const n = 200
	for range n {
		request, _ := c.purchase(approveCard, 100)
		burst = append(burst, c.frame(request)...)
	}
	if _, err := c.conn.Write(burst); err != nil {
		t.Fatal(err)
	}
	last := ""
	for range n {
		got := c.receive()
		if stan := string(got.Get(11)); stan <= last {
			t.Fatalf("answer %s after %s", stan, last)
		} else {
			last = stan
		}
	}
}

// TestCloseLeavesNothing: with links, delays and the books' port open.
func TestCloseLeavesNothing(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	b, err := New(Config{Dialect: dialect(t, "ascii87"), BooksListen: "127.0.0.1:0", Delay: time.Minute, EchoInterval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		c := dial(t, b)
		request, _ := c.purchase(approveCard, 100)
		c.send(c.network(iso.OpSignOn))
		c.send(request)
	}
	until(t, "8 sign-ons", func() bool { return b.Status().SignedOn == 8 })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	goleak.VerifyNone(t, ignore)
}

// pipes is an in-memory listener.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }
func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// TestDelaysInVirtualTime: delays, late answers and echoes keep their times.
func TestDelaysInVirtualTime(t *testing.T) {
	d := dialect(t, "ascii87")
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		b := start(t, Config{Dialect: d, Listener: ln, Delay: 30 * time.Second, LateBy: time.Minute, EchoInterval: 10 * time.Minute})
		c := newClient(t, d, ln.dial())
		c.signOn()
		for _, tt := range []struct {
			card string
			min  time.Duration
		}{{approveCard, 30 * time.Second}, {"4000000001040007", 90 * time.Second}, {"4000000001110008", 30 * time.Second}} {
			request, _ := c.purchase(tt.card, 100)
			began := time.Now()
			c.send(request)
			body, err := c.next(10 * time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			if took < tt.min || took > tt.min+50*time.Millisecond {
				t.Errorf("answered after %v, want %v", took, tt.min)
			}
			if err := d.Decode(body, new(iso.Message)); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if e := only(t, b, request); !e.Answered {
				t.Errorf("entry %+v", e)
			}
		}
		body, err := c.next(time.Hour)
		if err != nil || !strings.Contains(string(body[:4]), "0800") {
			t.Errorf("the bank's echo: %v", err)
		}
	})
}

// TestAnswersInOrderFinished: with jitter, answers overtake each other.
func TestAnswersInOrderFinished(t *testing.T) {
	d := dialect(t, "ascii87")
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		b := start(t, Config{Dialect: d, Listener: ln, Jitter: 10 * time.Second, Seed: 7, AllowBeforeSignOn: true})
		c := newClient(t, d, ln.dial())
		const n = 100
		for range n {
			request, _ := c.purchase(approveCard, 100)
			c.send(request)
		}
		order, last := 0, time.Now()
		previous := ""
		for range n {
			got := c.receiveWithin(time.Minute)
			if stan := string(got.Get(11)); stan < previous {
				order++
			} else {
				previous = stan
			}
		}
		if order == 0 {
			t.Error("no answer overtook another")
		}
		if took := time.Since(last); took < 5*time.Second || took > 11*time.Second {
			t.Errorf("all answers took %v", took)
		}
		if s := b.Status(); s.Pending != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestLateAnswerElsewhere: the line is gone when the answer falls due.
func TestLateAnswerElsewhere(t *testing.T) {
	d := dialect(t, "ascii87")
	for _, elsewhere := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ln := newPipes()
			b := start(t, Config{Dialect: d, Listener: ln, Delay: 30 * time.Second, AnswerElsewhere: elsewhere})
			first, second := newClient(t, d, ln.dial()), newClient(t, d, ln.dial())
			first.signOn()
			second.signOn()
			request, _ := first.purchase(approveCard, 100)
			first.send(request)
			synctest.Wait()
			_ = first.conn.Close()
			_, err := second.next(time.Minute)
			if elsewhere != (err == nil) {
				t.Errorf("elsewhere %v: %v", elsewhere, err)
			}
			synctest.Wait()
			if e := only(t, b, request); e.Answered != elsewhere || e.Booked != 100 {
				t.Errorf("entry %+v", e)
			}
		})
	}
}

// TestNothingComesBetweenPieces: other answers wait for the last piece.
func TestNothingComesBetweenPieces(t *testing.T) {
	d := dialect(t, "ascii87")
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		start(t, Config{Dialect: d, Listener: ln, AllowBeforeSignOn: true, PieceGap: time.Second})
		c := newClient(t, d, ln.dial())
		for _, card := range []string{"4000000001110008", approveCard, "4000000001110008", approveCard} {
			request, _ := c.purchase(card, 100)
			c.send(request)
			synctest.Wait() // the first piece is being written: the pipe holds nothing, and the test reads later
		}
		began := time.Now()
		for n := range 4 {
			if got := c.receiveWithin(time.Minute); code(got) != "00" {
				t.Errorf("answer %d: code %q", n, code(got))
			}
		}
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("the pieces took %v, want 4s", took)
		}
	})
}

// TestManyInFlight: a hundred thousand answers wait half a minute in one heap,
// with no goroutine and no timer of their own.
func TestManyInFlight(t *testing.T) {
	d := dialect(t, "binary87")
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		b := start(t, Config{Dialect: d, Listener: ln, Delay: 30 * time.Second, AllowBeforeSignOn: true})
		s := newStream(t, d)
		c := newClient(t, d, ln.dial())
		const n, step = 100_000, 500
		began := time.Now()
		before := runtime.NumGoroutine()
		for range n / step {
			if _, err := c.conn.Write(s.frames(step)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := b.Status().Pending; got != n {
			t.Fatalf("%d answers wait, want %d", got, n)
		}
		if more := runtime.NumGoroutine() - before; more > 2 {
			t.Errorf("%d goroutines more", more)
		}
		chunk, answer := make([]byte, 1<<20), new(iso.Message)
		for got := 0; got < n; {
			m, err := c.conn.Read(chunk)
			if err != nil {
				t.Fatal(err)
			}
			c.buf = append(c.buf, chunk[:m]...)
			for {
				body, used, err := d.NextFrame(c.buf)
				if err != nil {
					t.Fatal(err)
				}
				if used == 0 {
					break
				}
				got++
				if err := d.Decode(body, answer); err != nil {
					t.Fatal(err)
				}
				if stan, _ := number(answer.Get(11)); stan != int64(got)+1 {
					t.Fatalf("answer %d carries STAN %d: not in order", got, stan)
				}
				c.buf = c.buf[used:]
			}
		}
		if took := time.Since(began); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("the answers took %v", took)
		}
	})
}
