package acquirers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loopback is a host on a real socket; conf makes it speak TLS.
func loopback(t testing.TB, conf *tls.Config) (*host, string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if conf != nil {
		l = tls.NewListener(l, conf)
	}
	h := &host{t: t, d: builtin(t), listener: l}
	go h.accept(l)
	t.Cleanup(func() {
		l.Close()
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, c := range h.conns {
			c.Close()
		}
	})
	return h, l.Addr().String()
}

func dialLoopback(t testing.TB, h *host, addr string, change func(*Config)) *rig {
	r := makeLoopback(t, h, addr, change)
	r.await(true)
	return r
}

// makeLoopback starts a bank and does not wait for it.
func makeLoopback(t testing.TB, h *host, addr string, change func(*Config)) *rig {
	r := &rig{t: t, host: h, side: &side{}}
	cfg := Config{ID: "loop", Endpoints: []string{addr}, SignOn: true, Institution: "123456", Window: 2048,
		ReconnectMin: 20 * time.Millisecond, ReconnectMax: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if change != nil {
		change(&cfg)
	}
	b, err := New(cfg, h.d, Hooks{NextSeq: func() (uint64, error) { return 900_000 + r.seq.Add(1), nil },
		Alarm: func(kind, detail string) {
			r.side.mu.Lock()
			defer r.side.mu.Unlock()
			r.alarms, r.details = append(r.alarms, kind), append(r.details, detail)
		}})
	if err != nil {
		t.Fatal(err)
	}
	r.Bank = b
	b.Start()
	t.Cleanup(b.Close)
	return r
}

// keyPair makes a certificate for 127.0.0.1 and the pool that trusts it.
func keyPair(t testing.TB) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// Over real sockets, plain and TLS: many exchanges, links cut at random, and in
// the end nothing approved that the host did not answer, and nothing told
// not_sent that the host saw.
func TestLoopbackWithCuts(t *testing.T) {
	cert, pool := keyPair(t)
	for name, secure := range map[string]bool{"tcp": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			var server, client *tls.Config
			if secure {
				server, client = &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: pool}
			}
			h, addr := loopback(t, server)
			r := dialLoopback(t, h, addr, func(c *Config) { c.LinksPerEndpoint, c.TLS = 3, client })
			stop, cutter := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(cutter)
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					case <-time.After(15 * time.Millisecond):
					}
					h.mu.Lock()
					c := h.conns[len(h.conns)-1-n%min(3, len(h.conns))]
					h.mu.Unlock()
					c.Close()
				}
			}()
			var fates [Refuted + 1]atomic.Int64
			notSent := sync.Map{}
			var wg sync.WaitGroup
			for g := range 32 {
				wg.Go(func() {
					for i := range 150 {
						seq := uint64(g*1000 + i)
						for changed := r.Watch(); r.Ready() != nil; changed = r.Watch() {
							<-changed
						}
						if !r.Reserve(ClassPayment) {
							t.Errorf("no slot")
							return
						}
						x := &Exchange{Request: r.purchase(seq)}
						fate := r.Exchange(x)
						r.Release(ClassPayment)
						if fates[fate].Add(1); fate == NotSent {
							notSent.Store(string(x.Request.Get(11)), true)
						}
					}
				})
			}
			wg.Wait()
			close(stop)
			<-cutter
			r.Close()
			for _, s := range h.saw("0200 ") {
				if _, bad := notSent.Load(strings.TrimPrefix(s, "0200 ")); bad {
					t.Errorf("%s was told not_sent and reached the bank", s)
				}
			}
			t.Logf("not sent %d, unanswered %d, answered %d", fates[NotSent].Load(), fates[Unanswered].Load(), fates[Answered].Load())
			if fates[Refuted].Load() != 0 || fates[Answered].Load() == 0 {
				t.Error("no answers, or a refuted one")
			}
		})
	}
}

func TestUntrustedCertificate(t *testing.T) {
	cert, _ := keyPair(t)
	h, addr := loopback(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	lines := make(logLines, 100)
	b, err := New(Config{ID: "loop", Endpoints: []string{addr}, TLS: &tls.Config{}, Logger: slog.New(slog.NewTextHandler(lines, nil))},
		h.d, Hooks{NextSeq: func() (uint64, error) { return 1, nil }})
	if err != nil {
		t.Fatal(err)
	}
	b.Start()
	defer b.Close()
	if line := <-lines; !strings.Contains(line, "certificate is not trusted") {
		t.Fatalf("logged: %s", line)
	}
	if err := b.Ready(); err == nil || !strings.Contains(err.Error(), "certificate is not trusted") {
		t.Fatalf("ready: %v", err)
	}
}

// logLines is a log that a test can wait for.
type logLines chan string

func (l logLines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// hostOfTemplates answers each known STAN with a frame built beforehand, so
// that the benchmark measures the links and not the host.
func hostOfTemplates(b *testing.B, d *iso.Dialect, n int) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	answers := map[string][]byte{}
	helper := &hostConn{host: &host{t: b, d: d}}
	for i := range n {
		m := buildOp(b, d, iso.OpPurchase, uint64(i))
		answers[string(m.Get(11))] = helper.frame(helper.reply(m, "00"))
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go templateLoop(c, d, answers, helper)
		}
	}()
	return l.Addr().String()
}

func templateLoop(c net.Conn, d *iso.Dialect, answers map[string][]byte, helper *hostConn) {
	defer c.Close()
	buf, to := make([]byte, 1<<16), 0
	var out []byte
	var m iso.Message
	for {
		n, err := c.Read(buf[to:])
		if err != nil {
			return
		}
		to += n
		used := 0
		out = out[:0]
		for {
			body, n, _ := d.NextFrame(buf[used:to])
			if n == 0 {
				break
			}
			used += n
			if string(body[:4]) == "0200" {
				out = append(out, answers[string(body[stanOffset:stanOffset+6])]...)
			} else if d.Decode(body, &m) == nil {
				out = append(out, helper.frame(helper.reply(&m, "00"))...)
			}
		}
		to = copy(buf, buf[used:to])
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// stanOffset is where DE11 lies in the purchase of buildOp in dialect ascii87:
// type, bitmap, card number, processing code, amount, time.
const stanOffset = 4 + 16 + 18 + 6 + 12 + 10

func BenchmarkExchange(b *testing.B) {
	d := builtin(b)
	for _, waiting := range []int{1, 64, 256, 1024} {
		for _, links := range []int{1, 2} {
			b.Run(fmt.Sprintf("waiting=%d/links=%d", waiting, links), func(b *testing.B) {
				addr := hostOfTemplates(b, d, waiting)
				r := dialLoopback(b, &host{t: b, d: d}, addr, func(c *Config) { c.LinksPerEndpoint = links })
				r.awaitLinks(links)
				jobs := make([]*Exchange, waiting)
				for i := range jobs {
					jobs[i] = &Exchange{Request: r.purchase(uint64(i)), Answer: new(iso.Message)}
				}
				b.ReportAllocs()
				b.ResetTimer()
				frames, writes, cpu := r.metrics.framesOut.Load(), r.metrics.writes.Load(), cpuTime()
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				for _, x := range jobs {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							r.Reserve(ClassPayment)
							if fate := r.Exchange(x); fate != Answered {
								b.Errorf("%s (%s)", fate, x.Cause)
							}
							r.Release(ClassPayment)
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
				b.ReportMetric(float64(r.metrics.framesOut.Load()-frames)/float64(r.metrics.writes.Load()-writes), "msg/write")
			})
		}
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// payers pay one payment after the other, each of them.
type payers struct {
	paid    chan int // who
	stop    chan struct{}
	running sync.WaitGroup
	failed  atomic.Int64
	counts  [8]int
}

func (r *rig) payers() *payers {
	p := &payers{paid: make(chan int), stop: make(chan struct{})}
	for payer := range p.counts {
		p.running.Go(func() {
			for n := payer; ; n += len(p.counts) {
				res := r.pay(r.purchase(uint64(n+1)), 0)
				if res.fate != Answered || !r.host.d.Code(string(res.Answer.Get(39))).Approved {
					p.failed.Add(1)
				}
				select {
				case p.paid <- payer:
				case <-p.stop:
					return
				}
			}
		})
	}
	return p
}

// settle returns when each payer has paid once from beginning to end: nothing is on its way from before.
func (p *payers) settle() {
	for payer, from := range p.counts {
		for p.counts[payer] < from+2 {
			p.counts[<-p.paid]++
		}
	}
}

// Over real sockets keys change in both directions while payments run, and none fails.
func TestLoopbackKeyChange(t *testing.T) {
	for name, d := range map[string]*iso.Dialect{"the bank's keys": changing(t, "key-block"), "ours": giving(t, "ascii93", "cryptogram")} {
		t.Run(name, func(t *testing.T) {
			sim, err := banksim.New(banksim.Config{Dialect: d, Keys: map[string][]byte{"mac": macKey, "kek": kekKey}})
			if err != nil {
				t.Fatal(err)
			}
			if err := sim.Start(); err != nil {
				t.Fatal(err)
			}
			defer sim.Close()
			r := dialLoopback(t, &host{t: t, d: d}, sim.Addr(), func(c *Config) {
				c.Keys, c.Slots = newKeys(t), map[string]string{"mac": "alfa-mac", "kek": "alfa-kek"}
				c.KeyChangeAfter, c.WriteTimeout = 1<<30, 500*time.Millisecond // one change at a time, soon after the other
				kept(t, kekKey)(c)
			})
			r.awaitLinks(2)
			p := r.payers()
			for round := range 6 {
				p.settle()
				change := func() error { return r.ChangeKeys(t.Context()) }
				if round%2 == 1 {
					if change = sim.GiveKey; name == "ours" {
						change = sim.AskKey
					}
				}
				done := make(chan error, 1)
				go func() { done <- change() }()
				for running := true; running; {
					select {
					case payer := <-p.paid:
						p.counts[payer]++
					case err := <-done:
						if running = false; err != nil {
							t.Error(err)
						}
					}
				}
				for n := 0; versionOf(t, r) < round+2 && n < 1_000_000; n++ {
					p.counts[<-p.paid]++
				}
			}
			p.settle()
			close(p.stop)
			p.running.Wait()
			if n := r.metrics.forged.Load() + sim.Status().Forged; p.failed.Load() != 0 || n != 0 || versionOf(t, r) != 7 {
				t.Errorf("%d payments failed, %d messages forged, version %d; %d alarms of codes", p.failed.Load(), n, versionOf(t, r), r.count("forged"))
			}
		})
	}
}
