package sim

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/storage"
	"github.com/valyala/fasthttp"
)

var (
	flagSeeds = flag.Int("sim.seeds", 0, "lives that TestLives lives; default by the build")
	flagSeed  = flag.Uint64("sim.seed", 0, "replay this one seed and print its trace")
	flagFirst = flag.Uint64("sim.first", 1, "the first seed of TestLives")
	flagLess  = flag.Bool("sim.shrink", false, "with -sim.seed: find the smallest plan that breaks the same invariant")
	flagFull  = flag.Bool("sim.full", false, "TestCrashPoints takes every point")
)

// stuck is how long, in real time, a life may take.
const stuck = 60 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	// A bound, because a starved collector lets a large target grow without one.
	debug.SetGCPercent(200)
	debug.SetMemoryLimit(768 << 20)
	// A bubble that does not end is a panic; its goroutines then say whose they are.
	_ = os.Setenv("GODEBUG", strings.TrimPrefix(os.Getenv("GODEBUG")+",tracebacklabels=1", ","))
	warmUp()
	os.Exit(m.Run())
}

// warmUp starts what the HTTP library keeps for the whole process; it must not
// belong to a bubble.
func warmUp() {
	s := fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {}, Logger: silent{}}
	near, far := newPipe()
	go func() { _, _ = near.Write([]byte("GET / HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n")) }()
	_ = s.ServeConn(far)
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// template is a disk with an empty journal, from which most lives start.
var template = sync.OnceValue(func() *storage.Disk {
	d := storage.NewMemDisk()
	s, err := storage.Open(storage.Options{Disk: d, Logger: quiet, OnFatal: func(error) {}, MemtableBytes: 64 << 10})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		panic(err)
	}
	return d
})

// run lives one plan in a bubble of its own.
func run(t *testing.T, p *plan, tracing bool) (out *result) {
	from := template()
	synctest.Test(t, func(t *testing.T) {
		pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("sim.seed", fmt.Sprint(p.seed))))
		disk := storage.NewMemDisk()
		if !p.blank {
			disk = from.CrashClone(storage.Crash{Unsynced: storage.KeepUnsynced})
		}
		out = live(p, disk, tracing)
	})
	if p.damage && len(out.bad) == 0 {
		out.spoil()
	}
	return out
}

// crew lives many plans on all cores.
type crew struct {
	plans   func(n uint64) *plan // nil ends the run; called by several goroutines
	command func(p *plan) string

	next    atomic.Uint64
	lived   atomic.Int64
	mu      sync.Mutex
	seen    map[string]int
	deaths  int
	failed  int
	virtual time.Duration
}

func (c *crew) work(t *testing.T) {
	c.seen = map[string]int{}
	for n := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprint("worker", n), func(t *testing.T) {
			t.Parallel()
			for {
				p := c.plans(c.next.Add(1) - 1)
				if p == nil || c.tooMany() {
					return
				}
				dog := time.AfterFunc(stuck, func() { bark(c.command(p)) })
				r := run(t, p, false)
				dog.Stop()
				c.add(t, r)
			}
		})
	}
}

func (c *crew) tooMany() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed >= 10
}

// bark ends the process when a bubble hangs: a deadlock on a mutex is not one
// that a bubble notices.
func bark(command string) {
	buf := make([]byte, 8<<20)
	buf = buf[:runtime.Stack(buf, true)]
	fmt.Fprintf(os.Stderr, "a life hangs: %s\n%s\n", command, buf)
	os.Exit(2)
}

func (c *crew) add(t *testing.T, r *result) {
	c.lived.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	for state, n := range r.seen {
		c.seen[state] += n
	}
	c.deaths += r.lives - 1
	c.virtual += r.virtual
	if len(r.bad) > 0 {
		c.failed++
		t.Errorf("%s\n%s", c.command(r.plan), listed(r.bad))
	}
}

func listed(bad []violation) string {
	var lines []string
	for n, v := range bad {
		if n == 8 {
			lines = append(lines, fmt.Sprintf("and %d more", len(bad)-n))
			break
		}
		lines = append(lines, v.String())
	}
	return strings.Join(lines, "\n")
}

// TestLives lives a number of random lives, or replays one.
func TestLives(t *testing.T) {
	if *flagSeed != 0 {
		p := draw(*flagSeed)
		t.Logf("%s", p)
		r := run(t, p, !*flagLess)
		t.Logf("\n%s", tally(r.seen))
		if len(r.bad) > 0 {
			t.Errorf("%s", listed(r.bad))
		}
		if len(r.bad) > 0 && *flagLess {
			number := r.bad[0].number
			least := shrink(p, func(q *plan) bool { return breaks(t, q, number) })
			t.Logf("the smallest plan that breaks invariant %d:\n%s", number, least)
		}
		return
	}
	seeds := uint64(*flagSeeds)
	if seeds == 0 {
		seeds = defaultSeeds
	}
	c := &crew{command: func(p *plan) string {
		return fmt.Sprintf("go test ./bench/sim -run TestLives -sim.seed=%d", p.seed)
	}}
	c.plans = func(n uint64) *plan {
		if n >= seeds {
			return nil
		}
		return draw(*flagFirst + n)
	}
	start, cpu := time.Now(), cpuTime()
	t.Run("all", c.work)
	c.report(t, time.Since(start), cpuTime()-cpu)
	if gone := missing(c.seen); len(gone) > 0 && seeds >= requiredSeeds && !t.Failed() {
		t.Errorf("the run is vacuous, it never reached: %s", strings.Join(gone, " "))
	}
}

func (c *crew) report(t *testing.T, real, cpu time.Duration) {
	n := float64(c.lived.Load())
	t.Logf("%.0f lives with %d crashes, %.0f lives/s, %.0f lives/s of a core, %v of virtual time\n%s", n, c.deaths, n/real.Seconds(), n/cpu.Seconds(),
		c.virtual.Round(time.Second), tally(c.seen))
}
