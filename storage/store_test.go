package storage

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if childMain() || faultChild() {
		return
	}
	code := m.Run()
	if code == 0 && !deadEngines.Load() {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// deadEngines is set when an engine met a fatal error. It cannot be closed, and
// its goroutines stay.
var deadEngines atomic.Bool

var quiet = slog.New(slog.DiscardHandler)

// openOn opens a store on a disk in memory. A failure of the store fails the test.
func openOn(t testing.TB, d *Disk) *Store {
	t.Helper()
	s, err := Open(Options{Disk: d, Logger: quiet, OnFatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func id(n int) (out ID) {
	copy(out[:], fmt.Sprintf("%016d", n))
	return out
}

// must does a command that has to be applied.
func must(t testing.TB, s *Store, build func(c *Command)) {
	t.Helper()
	var c Command
	build(&c)
	if r, err := s.Do(&c); err != nil || r.Kind != Applied {
		t.Errorf("got %v, %v", r.Kind, err)
	}
}

func scan(t testing.TB, s *Store, r Range) (out []string) {
	t.Helper()
	if err := s.Scan(r, func(key, val []byte) bool {
		out = append(out, string(key)+"="+string(val))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCommands: one table of commands, done in turn on one store, each with
// what it must give.
func TestCommands(t *testing.T) {
	s := openOn(t, NewMemDisk())
	for _, step := range []struct {
		name  string
		build func(c *Command)
		kind  ResultKind
		value string
	}{
		{"nothing", func(c *Command) {}, Applied, ""},
		{"claim", func(c *Command) { c.Claim('k', []byte("a"), []byte("1")) }, Applied, ""},
		{"claim again", func(c *Command) { c.Claim('k', []byte("a"), []byte("2")) }, Exists, "1"},
		{"same key in another space", func(c *Command) { c.Claim('l', []byte("a"), nil) }, Applied, ""},
		{"clash spoils the rest", func(c *Command) {
			c.Set('s', []byte("x"), []byte("y"))
			c.Append(id(1), 1, []byte("body"))
			c.Claim('k', []byte("a"), nil)
		}, Exists, "1"},
		{"append", func(c *Command) { c.Append(id(1), 1, []byte("one")) }, Applied, ""},
		{"append again", func(c *Command) { c.Append(id(1), 1, []byte("two")) }, Stale, ""},
		{"next version", func(c *Command) { c.Append(id(1), 2, []byte("two")) }, Applied, ""},
		{"delete frees a claim", func(c *Command) { c.Delete('k', []byte("a")) }, Applied, ""},
		{"claim after delete", func(c *Command) { c.Claim('k', []byte("a"), []byte("3")) }, Applied, ""},
		{"set", func(c *Command) { c.Set('o', []byte("x"), nil) }, Applied, ""},
		{"set again", func(c *Command) { c.Set('o', []byte("x"), []byte("v")) }, Applied, ""},
		{"empty value", func(c *Command) { c.Claim('e', []byte("x"), nil) }, Applied, ""},
		{"empty value exists", func(c *Command) { c.Claim('e', []byte("x"), []byte("w")) }, Exists, ""},
	} {
		var c Command
		step.build(&c)
		r, err := s.Do(&c)
		if err != nil || r.Kind != step.kind || string(r.Value) != step.value {
			t.Errorf("%s: got %v %q, %v", step.name, r.Kind, r.Value, err)
		}
	}
	if got := scan(t, s, Range{Space: 's'}); got != nil {
		t.Errorf("a refused command left %q", got)
	}
	if got := scan(t, s, Range{Space: 'o'}); !slices.Equal(got, []string{"x=v"}) {
		t.Errorf("got %q", got)
	}
	var bodies []string
	if err := s.Records(id(1), func(v uint32, body []byte) bool {
		bodies = append(bodies, fmt.Sprint(v, string(body)))
		return true
	}); err != nil || !slices.Equal(bodies, []string{"1one", "2two"}) {
		t.Errorf("got %q, %v", bodies, err)
	}
}

func TestCommandLimits(t *testing.T) {
	s := openOn(t, NewMemDisk())
	for name, build := range map[string]func(c *Command){
		"space":       func(c *Command) { c.Set(0x7f, []byte("k"), nil) },
		"low space":   func(c *Command) { c.Claim(0x01, []byte("k"), nil) },
		"key":         func(c *Command) { c.Set('k', make([]byte, MaxKeyBytes+1), nil) },
		"value":       func(c *Command) { c.Set('k', nil, make([]byte, MaxValueBytes+1)) },
		"body":        func(c *Command) { c.Append(id(1), 1, make([]byte, MaxValueBytes+1)) },
		"claim twice": func(c *Command) { c.Claim('k', []byte("k"), nil); c.Claim('k', []byte("k"), nil) },
		"append twice": func(c *Command) {
			c.Append(id(1), 1, nil)
			c.Append(id(1), 1, nil)
		},
		"bytes": func(c *Command) {
			for range 5 {
				c.Set('k', nil, make([]byte, MaxValueBytes))
			}
		},
		"steps": func(c *Command) {
			for i := range MaxSteps + 1 {
				c.Delete('k', []byte{byte(i)})
			}
		},
	} {
		var c Command
		build(&c)
		if r, err := s.Do(&c); !errors.Is(err, ErrCommand) || r.Kind != 0 {
			t.Errorf("%s: got %v, %v", name, r, err)
		}
		c.Reset()
		c.Set('z', []byte(name), nil)
		if _, err := s.Do(&c); err != nil {
			t.Errorf("%s: a reset command gives %v", name, err)
		}
	}
	if got := scan(t, s, Range{Space: 'k'}); got != nil {
		t.Errorf("refused commands left %d keys", len(got))
	}
	must(t, s, func(c *Command) { c.Append(id(7), 1, make([]byte, MaxValueBytes)) })
}

func TestScanRanges(t *testing.T) {
	s := openOn(t, NewMemDisk())
	must(t, s, func(c *Command) {
		for _, k := range []string{"", "a", "a\xff", "a\xff\xff", "aa", "ab", "b", "\xff", "\xff\xff"} {
			c.Set('s', []byte(k), nil)
		}
		c.Set('r', []byte("zz"), nil)
		c.Set('t', nil, nil)
	})
	all := []string{"=", "a=", "aa=", "ab=", "a\xff=", "a\xff\xff=", "b=", "\xff=", "\xff\xff="}
	for _, c := range []struct {
		r    Range
		want []string
	}{
		{Range{}, all},
		{Range{Prefix: []byte("a")}, all[1:6]},
		{Range{Prefix: []byte("\xff")}, all[7:]},
		{Range{From: []byte("aa")}, all[2:]},
		{Range{To: []byte("aa")}, all[:2]},
		{Range{From: []byte("aa"), To: []byte("b")}, all[2:6]},
		{Range{Prefix: []byte("a"), From: []byte("ab"), To: []byte("zz")}, all[3:6]},
		{Range{Prefix: []byte("a"), From: []byte("b")}, nil},
		{Range{From: []byte("b"), To: []byte("a")}, nil},
	} {
		c.r.Space = 's'
		if got := scan(t, s, c.r); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %q, want %q", c.r, got, c.want)
		}
		c.r.Reverse = true
		got := scan(t, s, c.r)
		slices.Reverse(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %q reversed, want %q", c.r, got, c.want)
		}
	}
	n := 0
	if err := s.Scan(Range{Space: 's'}, func(_, _ []byte) bool { n++; return n < 3 }); err != nil || n != 3 {
		t.Errorf("a scan that is stopped went %d steps, %v", n, err)
	}
}

func TestRecordsInOrder(t *testing.T) {
	s := openOn(t, NewMemDisk())
	for _, n := range []int{3, 1, 2} {
		for _, v := range []uint32{300, 2, 1, 70000} {
			must(t, s, func(c *Command) { c.Append(id(n), v, []byte(fmt.Sprint(n, v))) })
		}
	}
	var versions []uint32
	if err := s.Records(id(2), func(v uint32, body []byte) bool {
		versions = append(versions, v)
		return string(body) == fmt.Sprint(2, v)
	}); err != nil || !slices.Equal(versions, []uint32{1, 2, 300, 70000}) {
		t.Errorf("got %v, %v", versions, err)
	}
	versions = versions[:0]
	if err := s.History(id(2), func(v uint32, body []byte) bool {
		versions = append(versions, v)
		return string(body) == fmt.Sprint(2, v)
	}); err != nil || !slices.Equal(versions, []uint32{1, 2}) {
		t.Errorf("its history is %v, %v", versions, err)
	}
	if err := s.History(id(4), nil); err != nil {
		t.Errorf("a history of nothing: %v", err)
	}
	var last []byte
	n := 0
	if err := s.RecordsFrom(ID{}, func(id ID, v uint32, _ []byte) bool {
		key := appendRecordKey(nil, id, v)
		if bytes.Compare(last, key) >= 0 {
			t.Errorf("%x after %x", key, last)
		}
		last = key
		n++
		return true
	}); err != nil || n != 12 {
		t.Errorf("got %d records, %v", n, err)
	}
}

func TestGetUsesTheBuffer(t *testing.T) {
	s := openOn(t, NewMemDisk())
	must(t, s, func(c *Command) { c.Set('k', []byte("a"), []byte("value")) })
	buf := make([]byte, 3, 64)
	got, ok, err := s.Get('k', []byte("a"), buf)
	if err != nil || !ok || string(got) != "value" || &got[0] != &buf[0] {
		t.Errorf("got %q %v %v", got, ok, err)
	}
	if _, ok, err := s.Get('k', []byte("b"), buf); ok || err != nil {
		t.Error(ok, err)
	}
	if _, _, err := s.Get(0x80, []byte("b"), buf); !errors.Is(err, ErrCommand) {
		t.Error(err)
	}
}

func TestReserveNeverGivesANumberTwice(t *testing.T) {
	d := NewMemDisk()
	seen := map[uint64]bool{}
	var mu sync.Mutex
	for life := range 3 {
		s := openOn(t, d)
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range 20 {
					n := uint64(w + i%3 + 1)
					first, err := s.Reserve("stan", n)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for k := first; k < first+n; k++ {
						if seen[k] || k == 0 {
							t.Errorf("life %d: number %d is given twice", life, k)
						}
						seen[k] = true
					}
					mu.Unlock()
				}
			}()
		}
		wg.Wait()
		crashed := d.CrashClone(Crash{})
		closeStore(t, s)
		d = crashed
	}
	s := openOn(t, d)
	if first, err := s.Reserve("other", 5); err != nil || first != 1 {
		t.Errorf("a new counter begins at %d, %v", first, err)
	}
	if _, err := s.Reserve("other", 1<<63); err != nil {
		t.Error(err)
	}
	for name, n := range map[string]uint64{"other": 1 << 63, "": 1, "zero": 0} {
		if _, err := s.Reserve(name, n); !errors.Is(err, ErrCommand) {
			t.Errorf("%q %d: got %v", name, n, err)
		}
	}
}

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{false, true} {
		if _, err := Open(Options{Dir: dir, Logger: quiet, ReadOnly: readOnly}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
			t.Errorf("got %v", err)
		}
	}
	closeStore(t, s)
	if s, err = Open(Options{Dir: dir, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	if s.Epoch() != 2 {
		t.Errorf("epoch %d", s.Epoch())
	}
	closeStore(t, s)
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Options{Dir: dir + "/none", Logger: quiet, ReadOnly: true}); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := Open(Options{Dir: dir, Logger: quiet, ReadOnly: true}); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	s, err := Open(Options{Dir: dir, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	must(t, s, func(c *Command) { c.Append(id(1), 1, []byte("x")) })
	head := s.Stats().Head
	closeStore(t, s)
	for range 2 {
		r, err := Open(Options{Dir: dir, Logger: quiet, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		var c Command
		c.Set('k', nil, nil)
		if _, err := r.Do(&c); !errors.Is(err, ErrReadOnly) {
			t.Error(err)
		}
		if _, err := r.Reserve("n", 1); !errors.Is(err, ErrReadOnly) {
			t.Error(err)
		}
		if err := r.Accepting(); !errors.Is(err, ErrReadOnly) {
			t.Error(err)
		}
		rep, err := r.Verify(t.Context(), nil)
		if err != nil || rep.Head != head || rep.Batches != 1 || rep.Records != 1 || r.Epoch() != 1 || r.Stats().Head != head {
			t.Errorf("got %+v, %v", rep, err)
		}
		closeStore(t, r)
	}
}

func TestAfterClose(t *testing.T) {
	s := openOn(t, NewMemDisk())
	closeStore(t, s)
	closeStore(t, s)
	var c Command
	c.Set('k', nil, nil)
	_, do := s.Do(&c)
	_, _, get := s.Get('k', nil, nil)
	_, reserve := s.Reserve("x", 1)
	_, verify := s.Verify(t.Context(), nil)
	for i, err := range []error{do, get, reserve, verify, s.Accepting(),
		s.Scan(Range{Space: 'k'}, nil), s.Records(id(1), nil), s.RecordsFrom(ID{}, nil)} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%d: got %v", i, err)
		}
	}
}

func TestCloseUnderLoad(t *testing.T) {
	d := NewMemDisk()
	s := openOn(t, d)
	acked := make([]int, 16)
	var wg, running sync.WaitGroup
	for w := range acked {
		wg.Add(1)
		running.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; ; i++ {
				var c Command
				c.Append(id(w), uint32(i), nil)
				if _, err := s.Do(&c); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
				if acked[w]++; i == 10 {
					running.Done()
				}
			}
		}()
	}
	running.Wait()
	closeStore(t, s)
	wg.Wait()
	s = openOn(t, d)
	for w, want := range acked {
		n := 0
		if err := s.Records(id(w), func(uint32, []byte) bool { n++; return true }); err != nil || n != want {
			t.Errorf("worker %d: %d of %d records, %v", w, n, want, err)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"Dir":           {},
		"CacheBytes":    {Dir: "x", CacheBytes: 1},
		"MemtableBytes": {Dir: "x", MemtableBytes: 1},
		"SlowAfter":     {Dir: "x", SlowAfter: -1},
		"DiskCheck":     {Dir: "x", DiskCheck: -1},
	} {
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	s, err := Open(Options{Disk: NewMemDisk(), Logger: quiet, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	must(t, s, func(c *Command) { c.Append(id(1), 1, []byte("body")) })
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	for name, want := range map[string]float64{
		"tranzit_journal_commands_total": 1, "tranzit_journal_records_total": 1, "tranzit_journal_commit_seconds": 1,
		"tranzit_journal_group_commands": 1, "tranzit_journal_queue_commands": 0, "tranzit_journal_durable_batch": 1,
		"tranzit_journal_epoch": 1, "tranzit_journal_disk_free_bytes": 1 << 40,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (present: %v), want %v", name, v, ok, want)
		}
	}
	if got["tranzit_journal_fsyncs_total"] < 1 || got["tranzit_journal_bytes_total"] < 4 {
		t.Error(got)
	}
	closeStore(t, s)
	if families, err = reg.Gather(); err != nil || len(families) != 0 {
		t.Errorf("%d families after Close, %v", len(families), err)
	}
}

// TestStaleAfterTheStart: records of an earlier life are there, wherever their
// ids stand among the others.
func TestStaleAfterTheStart(t *testing.T) {
	d := NewMemDisk()
	s := openOn(t, d)
	for _, n := range []int{5, 9, 7} {
		must(t, s, func(c *Command) { c.Append(id(n), 3, []byte("first")) })
	}
	closeStore(t, s)
	s = openOn(t, d)
	for _, n := range []int{5, 7, 9} {
		var c Command
		c.Append(id(n), 3, []byte("second"))
		if r, err := s.Do(&c); err != nil || r.Kind != Stale {
			t.Errorf("record %d: %s, %v", n, r.Kind, err)
		}
	}
	must(t, s, func(c *Command) { c.Append(id(9), 4, nil); c.Append(id(10), 3, nil); c.Append(id(6), 0, nil) })
}
