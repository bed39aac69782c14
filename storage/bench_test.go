package storage

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

var benchCallers = []int{1, 64, 256, 1024}

// payment fills the two commands of a payment: seven keys in all.
type payment struct {
	intent, outcome Command
	body            [300]byte
	key             [40]byte
}

func (p *payment) fill(n uint64) {
	var id ID
	binary.BigEndian.PutUint64(id[:], n)
	binary.BigEndian.PutUint64(id[8:], n*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(p.key[:], n*0xbf58476d1ce4e5b9)
	copy(p.key[24:], id[:])
	copy(p.body[:], id[:])
	p.intent.Reset()
	p.intent.Claim('k', p.key[:32], id[:])
	p.intent.Append(id, 1, p.body[:])
	p.intent.Set('m', p.key[16:], nil)
	p.intent.Set('q', p.key[:], nil)
	p.outcome.Reset()
	p.outcome.Append(id, 2, p.body[:150])
}

func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// spread runs do b.N times on so many callers and reports the CPU per call.
func spread(b *testing.B, callers int, do func(worker int, n uint64)) {
	var next atomic.Uint64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	from, began := cpu(), time.Now()
	for w := range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := next.Add(1); n <= uint64(b.N); n = next.Add(1) {
				do(w, n)
			}
		}()
	}
	wg.Wait()
	b.StopTimer()
	wall := time.Since(began)
	b.ReportMetric(float64(b.N)/wall.Seconds(), "commands/s")
	b.ReportMetric(float64((cpu()-from).Nanoseconds())/1e3/float64(b.N), "cpu-µs/command")
}

// BenchmarkDo: one call is one command; two commands make a payment.
func BenchmarkDo(b *testing.B) {
	for _, callers := range benchCallers {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s, err := Open(Options{Dir: b.TempDir(), ReserveBytes: -1})
			if err != nil {
				b.Fatal(err)
			}
			pay := make([]payment, callers)
			half := make([]bool, callers)
			spread(b, callers, func(w int, n uint64) {
				p := &pay[w]
				c := &p.outcome
				if !half[w] {
					p.fill(n)
					c = &p.intent
				}
				half[w] = !half[w]
				if r, err := s.Do(c); err != nil || r.Kind != Applied {
					b.Error(r, err)
				}
			})
			st := s.Stats()
			b.ReportMetric(float64(st.Syncs)/float64(b.N), "fsyncs/command")
			b.ReportMetric(float64(st.Commands)/float64(max(st.Groups, 1)), "commands/group")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkPlainCommit is what Do is compared with: every caller commits a
// batch of its own with the same keys, and the engine shares the fsyncs. It
// does not claim, chain or anchor.
func BenchmarkPlainCommit(b *testing.B) {
	for _, callers := range benchCallers {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			o := Options{Dir: b.TempDir()}
			o.EnsureDefaults()
			eng, err := openEngine(&o, func(err error) { b.Error(err) })
			if err != nil {
				b.Fatal(err)
			}
			pay := make([]payment, callers)
			half := make([]bool, callers)
			spread(b, callers, func(w int, n uint64) {
				p := &pay[w]
				c := &p.outcome
				if !half[w] {
					p.fill(n)
					c = &p.intent
				}
				half[w] = !half[w]
				batch := eng.db.NewBatch()
				plain := engineBatch{b: batch}
				for i := range c.steps {
					st := &c.steps[i]
					plain.set(c.keyOf(st), c.valueOf(st))
				}
				if err := batch.Commit(pebble.Sync); err != nil {
					b.Error(err)
				}
				if err := batch.Close(); err != nil {
					b.Error(err)
				}
			})
			b.ReportMetric(float64(eng.syncs.Load())/float64(b.N), "fsyncs/command")
			if err := eng.close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkGet reads present keys of an idle store.
func BenchmarkGet(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const keys = 1000
	var c Command
	for i := range keys {
		c.Set('k', binary.BigEndian.AppendUint64(nil, uint64(i)), make([]byte, 100))
	}
	if _, err := s.Do(&c); err != nil {
		b.Fatal(err)
	}
	var key [8]byte
	buf := make([]byte, 0, 128)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		binary.BigEndian.PutUint64(key[:], uint64(i%keys))
		if _, ok, err := s.Get('k', key[:], buf); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}

// BenchmarkReopen is what a crash life costs a simulation beside its work.
func BenchmarkReopen(b *testing.B) {
	d := NewMemDisk()
	s := openOn(b, d)
	for i := range 20 {
		must(b, s, func(c *Command) { c.Append(id(i), 1, make([]byte, 200)) })
	}
	b.ReportAllocs()
	for b.Loop() {
		s, err := Open(Options{Disk: d.CrashClone(Crash{}), Logger: quiet})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSize: what grows with a store, on a real disk. Opening must not
// (its tables are scrubbed behind it); Verify is told in records a second.
func BenchmarkSize(b *testing.B) {
	for _, records := range []uint64{1e4, 1e5, 1e6} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			o := Options{Dir: b.TempDir(), ReserveBytes: -1, Logger: quiet}
			fillStore(b, o, records/2)
			var opening, verifying time.Duration
			var rep Report
			for range b.N {
				began := time.Now()
				s, err := Open(o)
				if err != nil {
					b.Fatal(err)
				}
				opening += time.Since(began)
				began = time.Now()
				if rep, err = s.Verify(b.Context(), nil); err != nil || rep.Records != records {
					b.Fatal(rep, err)
				}
				verifying += time.Since(began)
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(opening.Milliseconds())/float64(b.N), "open-ms")
			b.ReportMetric(float64(rep.Records)*float64(b.N)/verifying.Seconds(), "verified/s")
			b.ReportMetric(float64(rep.TableBytes)/(1<<20), "table-MiB")
			b.ReportMetric(float64(rep.Batches), "batches")
		})
	}
}

// fillStore writes payments with 256 callers.
func fillStore(b *testing.B, o Options, payments uint64) {
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			var p payment
			for n := next.Add(1); n <= payments; n = next.Add(1) {
				p.fill(n)
				for _, c := range []*Command{&p.intent, &p.outcome} {
					if r, err := s.Do(c); err != nil || r.Kind != Applied {
						b.Error(r, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkConditions is what it costs to find the keys of one payment absent,
// intent and outcome, in groups of fifty.
func BenchmarkConditions(b *testing.B) {
	o := Options{Dir: b.TempDir(), ReserveBytes: -1, Logger: quiet}
	const there = 200_000
	fillStore(b, o, there)
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var payments [50]payment
	k := &s.conditions
	b.ReportAllocs()
	n := uint64(there)
	for b.Loop() {
		p := &payments[n%uint64(len(payments))]
		p.fill(n + 1)
		for _, c := range []*Command{&p.intent, &p.outcome} {
			if r, err := k.judge(c); err != nil || r.Kind != 0 {
				b.Fatal(r, err)
			}
		}
		if n++; n%uint64(len(payments)) == 0 {
			k.end()
		}
	}
	k.end()
}

// BenchmarkHistory reads the two records of a payment out of many, by walking
// and by asking.
func BenchmarkHistory(b *testing.B) {
	o := Options{Dir: b.TempDir(), ReserveBytes: -1, Logger: quiet}
	const there = 200_000
	fillStore(b, o, there)
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for name, read := range map[string]func(ID, func(uint32, []byte) bool) error{"walked": s.Records, "asked": s.History} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var p payment
			for n := uint64(0); b.Loop(); n += 7919 {
				p.fill(n%there + 1)
				records := 0
				if err := read(ID(p.body[:16]), func(uint32, []byte) bool { records++; return true }); err != nil || records != 2 {
					b.Fatal(records, err)
				}
			}
		})
	}
}
