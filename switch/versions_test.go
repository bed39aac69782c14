package payswitch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

// The versions of the tests: the second has another wire, another pattern of reference
// numbers, and reversals that keep the trace number.
const (
	firstVersion  = "inherits: ascii87\nmeta: {schema: 1, id: alfa, version: 1, title: The version before}\n"
	secondVersion = "inherits: binary87\nmeta: {schema: 1, id: alfa, version: 2, title: The version after%s}\n" +
		"values: {rrn: YDDDhhSSSSSS}\nbehaviour: {reversal: {stan: original}}\n"
)

func parsed(t *testing.T, text string) *iso.Dialect {
	t.Helper()
	d, err := iso.ParseDialect("alfa.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// versioned is a rig whose first bank knows two versions of its dialect, on one port and
// with one set of books.
type versioned struct {
	*rig
	one, two  *iso.Dialect
	links     int
	candidate Candidate
	base      *iso.Dialect
	first     *banksim.Bank
	second    *banksim.Bank
}

// inVersions runs a switch of so many links to its first bank; the second version has a
// text in its meta more.
func inVersions(t *testing.T, links int, meta string, do func(v *versioned)) {
	t.Helper()
	v := &versioned{rig: newRig(t), links: links, one: parsed(t, firstVersion), two: parsed(t, fmt.Sprintf(secondVersion, meta))}
	v.base, v.candidate = v.one, Candidate{Dialect: v.two}
	v.adjust = func(o *Options) {
		o.Banks[0].Dialect, o.Banks[0].Candidate, o.Banks[0].Link.LinksPerEndpoint = v.base, v.candidate, v.links
	}
	synctest.Test(t, func(t *testing.T) {
		v.t = t
		v.startBanks()
		v.openPort()
		v.start()
		v.ready()
		v.pass(2 * time.Second) // every link
		do(v)
		v.close()
		if err := errors.Join(v.first.Close(), v.second.Close()); err != nil {
			t.Error(err)
		}
	})
}

// openPort replaces the first bank by one whose port tells the version of a link by the
// first byte it hears: a digit of the first version's length, or a zero of the second's.
func (v *versioned) openPort() {
	v.t.Helper()
	if err := v.banks["alfa"].Close(); err != nil {
		v.t.Fatal(err)
	}
	port, err := v.net.Listen("alfa:9101")
	if err != nil {
		v.t.Fatal(err)
	}
	delete(v.banks, "alfa")
	sims, doors := [2]*banksim.Bank{}, [2]*door{}
	for i, d := range []*iso.Dialect{v.one, v.two} {
		doors[i] = &door{Listener: port, conns: make(chan net.Conn), gone: make(chan struct{})}
		c := banksim.Config{Dialect: d, Listener: doors[i], LateBy: 13 * time.Second, Delay: 20 * time.Millisecond}
		if i == 1 {
			c.Books = sims[0].Books()
		}
		if sims[i], err = banksim.New(c); err == nil {
			err = sims[i].Start()
		}
		if err != nil {
			v.t.Fatal(err)
		}
	}
	v.first, v.second = sims[0], sims[1]
	go func() {
		for {
			c, err := port.Accept()
			if err != nil {
				return
			}
			go func() {
				head := make([]byte, 1)
				if _, err := io.ReadFull(c, head); err != nil {
					c.Close()
					return
				}
				if head[0] == '0' {
					doors[0].pass(&heard{c, head})
				} else {
					doors[1].pass(&heard{c, head})
				}
			}()
		}
	}()
}

// door is the listener of one version behind the port.
type door struct {
	net.Listener
	conns chan net.Conn
	gone  chan struct{}
	once  sync.Once
}

func (d *door) pass(c net.Conn) {
	select {
	case d.conns <- c:
	case <-d.gone:
		c.Close()
	}
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.gone:
		return nil, net.ErrClosed
	}
}

func (d *door) Close() error {
	d.once.Do(func() { close(d.gone) })
	return d.Listener.Close()
}

// heard gives back what was read of a connection.
type heard struct {
	net.Conn
	head []byte
}

func (h *heard) Read(b []byte) (int, error) {
	if len(h.head) > 0 {
		n := copy(b, h.head)
		h.head = h.head[n:]
		return n, nil
	}
	return h.Conn.Read(b)
}

func by(reason string) Act { return Act{Operator: "ops", Reason: reason} }

// shoppers pay without a pause until told to stop, and count what did not succeed.
type shoppers struct {
	stop   atomic.Bool
	wg     sync.WaitGroup
	paid   atomic.Int64
	wrong  sync.Map // what else came, by key
	refuse atomic.Int64
}

func (v *versioned) shop(n int) *shoppers {
	s := &shoppers{}
	a := v.account("one")
	for i := range n {
		s.wg.Go(func() {
			for j := 0; !s.stop.Load(); j++ {
				key := fmt.Sprintf("%d-%d-%s", i, j, v.core.now().Format("150405"))
				answer, err := v.core.Pay(a, v.request(key, cardOf(banksim.Approve), 100))
				var refusal *Refusal
				switch {
				case errors.As(err, &refusal) && refusal.Code == CodeBankUnavailable:
					s.refuse.Add(1)
					time.Sleep(10 * time.Millisecond)
				case err != nil || answer.Payment.Status != StatusCaptured:
					s.wrong.Store(key, fmt.Sprint(answer.Payment.Status, err))
				default:
					s.paid.Add(1)
				}
			}
		})
	}
	return s
}

// end stops the shoppers; everything must have been paid, and be in the bank's books.
func (v *versioned) end(s *shoppers) {
	v.t.Helper()
	s.stop.Store(true)
	s.wg.Wait()
	s.wrong.Range(func(key, what any) bool {
		v.t.Errorf("payment %v: %v", key, what)
		return true
	})
	sum := v.first.Books().Summary()
	if net := sum.Currencies["EUR"].Net; net != 100*s.paid.Load() || sum.Conflicts != 0 || sum.Duplicates != 0 {
		v.t.Errorf("%d paid, and the bank's books say %d, %d conflicts, %d duplicates", s.paid.Load(), net, sum.Conflicts, sum.Duplicates)
	}
}

// spoken tells the links of each version, as "1:1,2 2:3".
func (v *versioned) spoken() string {
	var out []string
	for _, s := range v.core.order[0].link.Versions() {
		if len(s.Links) > 0 {
			out = append(out, strings.ReplaceAll(strings.Trim(fmt.Sprintf("%d:%v", s.Version, s.Links), "]"), "[", ""))
		}
	}
	return strings.Join(out, " ")
}

// settled waits until every link takes traffic in the version it shall.
func (v *versioned) settled() {
	v.t.Helper()
	for range 120 {
		v.pass(time.Second)
		want := map[int]int{}
		for _, s := range v.core.order[0].link.Versions() {
			for _, n := range s.Links {
				want[n] = s.Version
			}
		}
		done := true
		for _, l := range v.core.order[0].link.Status().Links {
			done = done && l.State == "ready" && l.Version == want[l.Number]
		}
		if done {
			return
		}
	}
	v.t.Fatalf("the links do not settle: %+v", v.core.order[0].link.Status().Links)
}

// TestVersionsUnderLoad: canary, promotion and rollback of a version while shops pay lose
// nothing: no payment fails or is in doubt, and the bank's books agree.
func TestVersionsUnderLoad(t *testing.T) {
	inVersions(t, 3, "", func(v *versioned) {
		shops := v.shop(40)
		approved := func(version int) uint64 {
			for _, s := range v.core.order[0].link.Versions() {
				if s.Version == version {
					return s.Approved
				}
			}
			return 0
		}
		v.pass(time.Second)
		for _, step := range []struct {
			what string
			do   error
			want string
		}{
			{"canary", v.core.StartCanary("alfa", Canary{Count: 1}, by("a trial")), "1:1 2 2:3"},
			{"promote", nil, "2:1 2 3"},
			{"roll back", nil, "1:1 2 3"},
			{"canary of two", nil, "1:2 2:1 3"},
			{"stop it", nil, "1:1 2 3"},
		} {
			switch step.what {
			case "promote":
				step.do = v.core.Promote("alfa", by("it is good"))
			case "roll back":
				step.do = v.core.RollBack("alfa", by("it is not"))
			case "canary of two":
				step.do = v.core.StartCanary("alfa", Canary{Links: []int{3, 1}}, by("another trial"))
			case "stop it":
				step.do = v.core.RollBack("alfa", by("enough"))
			}
			if step.do != nil {
				t.Fatalf("%s: %v", step.what, step.do)
			}
			before := approved(2)
			v.settled()
			v.pass(time.Second)
			if got := v.spoken(); got != step.want {
				t.Errorf("%s: the links speak %s, want %s", step.what, got, step.want)
			}
			if trial := strings.Contains(step.want, "2:"); trial != (approved(2) > before+50) && trial {
				t.Errorf("%s: %d payments in the second version", step.what, approved(2)-before)
			}
		}
		v.end(shops)
		if n := shops.refuse.Load(); n != 0 {
			t.Errorf("%d payments were refused although a link was there", n)
		}
		if approved(1) < 100 || approved(2) < 100 {
			t.Errorf("%d and %d payments in the versions", approved(1), approved(2))
		}
		acts, err := v.core.releaseActs(v.core.order[0])
		if err != nil || len(acts) != 5 || acts[1].Act != actPromote || acts[1].Reason != "it is good" || acts[0].Links[0] != 3 {
			t.Errorf("%v: recorded are %+v", err, acts)
		}
	})
}

// TestVersionOfOneLink: a bank with one link is away for a moment, and nothing that was
// begun is lost.
func TestVersionOfOneLink(t *testing.T) {
	inVersions(t, 1, "", func(v *versioned) {
		shops := v.shop(10)
		v.pass(time.Second)
		for _, do := range []func(string, Act) error{v.core.Promote, v.core.RollBack} {
			if err := do("alfa", by("now")); err != nil {
				t.Fatal(err)
			}
			v.settled()
			v.pass(time.Second)
		}
		v.end(shops)
	})
}
