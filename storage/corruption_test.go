package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// victim is a store that will be damaged, as it was at one moment.
type victim struct {
	name  string
	disk  *Disk
	stale []*Disk  // the same store at earlier moments
	whole [32]byte // digest of all that it holds
	live  []string // its tables
}

// content is a digest of every key and value of a store but its epoch, and of
// what Verify says. It reads through every path a caller has.
func content(s *Store) (sum [32]byte, err error) {
	h := sha256.New()
	put := func(parts ...[]byte) {
		for _, p := range parts {
			_ = binary.Write(h, binary.BigEndian, uint32(len(p)))
			h.Write(p)
		}
	}
	for sp := firstSpace; sp <= lastSpace; sp++ {
		if err := s.Scan(Range{Space: sp}, func(key, val []byte) bool {
			put([]byte{byte(sp)}, key, val)
			return true
		}); err != nil {
			return sum, err
		}
	}
	if err := s.RecordsFrom(ID{}, func(id ID, version uint32, body []byte) bool {
		put(id[:], binary.BigEndian.AppendUint32(nil, version), body)
		return true
	}); err != nil {
		return sum, err
	}
	c, err := s.eng.cursor(bounds{lower: []byte{prefixBatch}, upper: []byte{prefixCounter + 1}})
	if err != nil {
		return sum, s.readError(err)
	}
	defer c.close()
	for ok := c.first(); ok; ok = c.next() {
		val, err := c.value()
		if err != nil {
			return sum, s.readError(err)
		}
		put(c.key(), val)
	}
	if err := c.err(); err != nil {
		return sum, s.readError(err)
	}
	return [32]byte(h.Sum(nil)), nil
}

// grow writes payments into a store: claims, records, indexes, removals, counters.
func grow(t testing.TB, s *Store, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		must(t, s, func(c *Command) {
			c.Claim('k', fmt.Appendf(nil, "claim %x", sha256.Sum256([]byte{byte(i), byte(i >> 8)})), fmt.Appendf(nil, "%d", i))
			c.Append(id(i), 1, fmt.Appendf(nil, "record %d %x", i, sha256.Sum256([]byte{byte(i), byte(i >> 8), 1})))
			c.Set('o', fmt.Appendf(nil, "%d", i), nil)
		})
		must(t, s, func(c *Command) {
			c.Append(id(i), 2, bytes.Repeat([]byte{byte(i)}, 100))
			c.Delete('o', fmt.Appendf(nil, "%d", i))
			c.Set('q', fmt.Appendf(nil, "%d", i%97), fmt.Appendf(nil, "%d", i))
		})
		if i%50 == 0 {
			if _, err := s.Reserve("stan", 10); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// victims makes three stores with several hundred payments each: closed in
// peace with compacted tables, killed in the middle of a flush with several
// logs alive, and young with a log alone.
func victims(t testing.TB) []*victim {
	t.Helper()
	d := NewMemDisk()
	var stale []*Disk
	var midFlush atomic.Pointer[Disk]
	snap := func() *Disk { return d.CrashClone(Crash{Unsynced: KeepUnsynced}) }
	open := func() *Store {
		s, err := Open(Options{Disk: d, Logger: quiet, MemtableBytes: 64 << 10, OnFatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	grow(t, s, 0, 60)
	young := snap()
	for i := range 10 { // far from the tail of the chain: nothing at the start needs to read it
		must(t, s, func(c *Command) {
			for j := range 200 {
				c.Set('z', fmt.Appendf(nil, "%d %d", i, j), bytes.Repeat([]byte{byte(i ^ j)}, 30))
			}
		})
	}
	stale = append(stale, young)
	for life := range 4 {
		grow(t, s, 60+life*100, 160+life*100)
		stale = append(stale, snap())
		grow(t, s, 1000+life*20, 1020+life*20)
		closeStore(t, s)
		stale = append(stale, snap())
		s = open()
	}
	if err := s.eng.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	grow(t, s, 2000, 2100)
	closeStore(t, s)
	peaceful := snap()
	d.SetFaults(Faults{OnOp: func(_ uint64, op, name string) {
		if op == "create" && isTable(name) {
			midFlush.Store(snap())
		}
	}})
	staleForFlush := append(slices.Clone(stale), peaceful)
	s = open()
	midFlush.Store(nil)
	var picture *Disk // kept: a later table makes another one
	for i := 3000; picture == nil || logsOf(picture) < 2 || !settled(t, picture); i += 10 {
		grow(t, s, i, i+10)
		picture = midFlush.Load()
	}
	d.SetFaults(Faults{})
	closeStore(t, s)
	out := []*victim{
		{name: "peaceful", disk: peaceful, stale: stale},
		{name: "mid-flush", disk: picture, stale: staleForFlush},
		{name: "young", disk: young},
	}
	for _, v := range out {
		s, err := Open(Options{Disk: v.disk.CrashClone(Crash{Unsynced: KeepUnsynced}), Logger: quiet, ReadOnly: true})
		if err != nil {
			t.Fatal(v.name, err)
		}
		if v.whole, err = content(s); err != nil {
			t.Fatal(v.name, err)
		}
		if v.live, _, err = s.eng.tables(); err != nil {
			t.Fatal(v.name, err)
		}
		closeStore(t, s)
	}
	return out
}

// settled says whether the anchor stands at the last batch: what was under way
// at the moment of the picture was promised to nobody, and may be lost.
func settled(t testing.TB, d *Disk) bool {
	t.Helper()
	s, err := Open(Options{Disk: d.CrashClone(Crash{Unsynced: KeepUnsynced}), Logger: quiet, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	return s.anchor.last.seq == s.chain.seq
}

// logsOf counts the logs that hold something.
func logsOf(d *Disk) (n int) {
	for _, name := range d.Files() {
		if isLog(name) && len(d.ReadFile(name)) > 0 {
			n++
		}
	}
	return n
}

// kindOf sorts files for the table of results.
func kindOf(name string) string {
	base := path.Base(name)
	switch {
	case isLog(base):
		return "log"
	case isTable(base):
		return "table"
	case isMarker(base):
		return "marker"
	case isManifest(base):
		return "MANIFEST"
	case isOptions(base):
		return "OPTIONS"
	}
	return base
}

// damage is one injection.
type damage struct {
	victim *victim
	file   string
	what   string
	disk   *Disk
}

// injure draws a damage; nil when it would change nothing.
func injure(rng *rand.Rand, all []*victim) *damage {
	v := all[rng.IntN(len(all))]
	byKind := map[string][]string{}
	for _, name := range v.disk.Files() {
		if kind := kindOf(name); kind != "LOCK" {
			byKind[kind] = append(byKind[kind], name)
		}
	}
	kinds := slices.Sorted(maps.Keys(byKind))
	names := byKind[kinds[rng.IntN(len(kinds))]]
	dm := &damage{victim: v, file: names[rng.IntN(len(names))]}
	old := v.disk.ReadFile(dm.file)
	at := 0
	if len(old) > 0 {
		at = rng.IntN(len(old))
		switch rng.IntN(4) { // the ends are where formats are weak
		case 0:
			at = rng.IntN(min(len(old), 100))
		case 1:
			at = len(old) - 1 - rng.IntN(min(len(old), 100))
		}
	}
	bad := slices.Clone(old)
	switch rng.IntN(6) {
	case 0:
		if len(old) == 0 {
			return nil
		}
		dm.what = fmt.Sprintf("bit flipped at %d", at)
		bad[at] ^= 1 << rng.IntN(8)
	case 1:
		at -= at % sector
		dm.what = fmt.Sprintf("sector zeroed at %d", at)
		clear(bad[at:min(at+sector, len(bad))])
	case 2:
		at -= at % 4096
		dm.what = fmt.Sprintf("block dropped at %d", at)
		bad = append(bad[:at], bad[min(at+4096, len(bad)):]...)
	case 3:
		dm.what = fmt.Sprintf("truncated to %d", at)
		bad = bad[:at]
	case 4:
		dm.what, bad = "lost", nil
	case 5:
		if len(v.stale) == 0 {
			return nil
		}
		dm.what = "stale"
		bad = v.stale[rng.IntN(len(v.stale))].ReadFile(dm.file)
		if bad == nil {
			return nil
		}
	}
	if bad != nil && bytes.Equal(bad, old) {
		return nil
	}
	dm.disk = v.disk.CrashClone(Crash{Unsynced: KeepUnsynced})
	dm.disk.WriteFile(dm.file, bad)
	return dm
}

// fate is what came of a damage.
type fate struct {
	class  string // refused, intact, reported, LOST
	detail error
	names  bool // the report names a place
}

const (
	refused  = "refused at the start"
	intact   = "opened, all there"
	reported = "opened, reported"
	lost     = "SILENT"
)

// outcome opens a damaged disk and reads everything.
func (dm *damage) outcome(o Options) (f fate) {
	var fatal atomic.Pointer[error]
	o.Disk, o.Logger, o.MemtableBytes = dm.disk, quiet, 64<<10
	o.OnFatal = func(err error) {
		deadEngines.Store(true)
		fatal.CompareAndSwap(nil, &err)
	}
	done := make(chan struct{})
	go func() { // the engine may end the goroutine that meets the damage
		defer close(done)
		defer func() {
			if p := fatal.Load(); p != nil && f.class == "" {
				f = fate{class: reported, detail: *p}
			}
		}()
		f = dm.live(o, &fatal)
	}()
	<-done
	if f.class == "" {
		f = fate{class: lost, detail: errors.New("the goroutine ended without a word")}
	}
	f.names = f.detail != nil && placed(f.detail.Error())
	return f
}

func placed(text string) bool {
	for _, sign := range []string{"file ", "batch ", "anchor", ".log", ".sst", "MANIFEST", "OPTIONS", "marker"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

func (dm *damage) live(o Options, fatal *atomic.Pointer[error]) fate {
	s, err := Open(o)
	if err != nil {
		return fate{class: refused, detail: err}
	}
	got, err := content(s)
	var rep Report
	verified := err
	if err == nil {
		rep, verified = s.Verify(context.Background(), nil)
	}
	if s.scrub.over != nil {
		<-s.scrub.over
	}
	_ = s.Close()
	switch p := fatal.Load(); {
	case err != nil && !errors.Is(err, ErrCorrupt):
		return fate{class: lost, detail: fmt.Errorf("reading gives %w", err)}
	case err == nil && got != dm.victim.whole:
		return fate{class: lost, detail: fmt.Errorf("other content than before, %d records verified, %v", rep.Records, verified)}
	case err != nil:
		return fate{class: reported, detail: err}
	case verified != nil:
		return fate{class: reported, detail: verified}
	case p != nil:
		return fate{class: reported, detail: *p}
	}
	return fate{class: intact}
}

var (
	injections = flag.Int("storage.injections", 2000, "how many damages TestCorruption makes to a small store")
	damageSeed = flag.Uint64("storage.seed", 1, "seed of TestCorruption")
)

// TestCorruption: damage anywhere in the files of a store is loud. A small store
// does not start at all; no damage is silent in any mode.
func TestCorruption(t *testing.T) {
	all := victims(t)
	n := *injections
	if raced || testing.Short() {
		n /= 10
	}
	for _, mode := range []struct {
		name string
		n    int
		o    Options
	}{
		{"small store", n, Options{}},
		{"small store, for reading", n / 4, Options{ReadOnly: true}},
		{"large store, scrubbed behind", n / 2, Options{CheckAtOpen: -1, ScrubRate: 1 << 40}},
		{"large store, reads before the scrub", n / 4, Options{CheckAtOpen: -1, ScrubRate: -1}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			counts := map[string]int{}
			rng := rand.New(rand.NewPCG(*damageSeed, uint64(len(mode.name))))
			for n := 0; n < mode.n; {
				dm := injure(rng, all)
				if dm == nil {
					continue
				}
				n++
				f := dm.outcome(mode.o)
				counts[kindOf(dm.file)+": "+f.class]++
				counts[f.class]++
				tell := func(what string) {
					t.Errorf("injection %d: %s, %s of the store %q: %s: %s: %v", n, dm.file, dm.what, dm.victim.name, what, f.class, f.detail)
				}
				switch {
				case f.class == lost:
					tell("nobody notices")
				case f.class != intact && !f.names:
					tell("no place is named")
				case f.class == refused && !errors.Is(f.detail, ErrCorrupt):
					tell("the error is not ErrCorrupt")
				case f.class == reported && mode.o.CheckAtOpen >= 0:
					tell("the start of a small store does not see it")
				case f.class == intact && mode.o.CheckAtOpen >= 0 && dm.vital():
					tell("a file that is needed may be damaged")
				}
			}
			for _, k := range slices.Sorted(maps.Keys(counts)) {
				t.Logf("%6d %s", counts[k], k)
			}
		})
	}
}

// vital says whether every byte of the damaged file is live.
func (dm *damage) vital() bool {
	base := path.Base(dm.file)
	switch kindOf(dm.file) {
	case "table":
		return slices.Contains(dm.victim.live, base)
	case ledgerName:
		return dm.what != "stale" // an older ledger is a weaker proof, but a true one
	case "marker", "MANIFEST", "OPTIONS":
		return slices.Contains(dm.victim.current(), base)
	}
	return false
}

// current names the MANIFEST, the markers and the OPTIONS that count.
func (v *victim) current() (names []string) {
	var all []string
	options := ""
	for _, name := range v.disk.Files() {
		all = append(all, path.Base(name))
		if isOptions(path.Base(name)) {
			options = path.Base(name)
		}
	}
	for _, m := range newestMarkers(all) {
		_, _, value, _ := splitMarker(m)
		names = append(names, m, value)
	}
	return append(names, options)
}

// TestStaleParts: a part of the files is put back to an earlier moment, with
// all that belongs to it. What the anchor has seen is missed.
func TestStaleParts(t *testing.T) {
	classes := map[string]int{}
	for _, v := range victims(t) {
		for n, old := range v.stale {
			for _, part := range []struct {
				name string
				is   func(base string) bool
			}{
				{"all but the anchor", func(b string) bool { return b != anchorName }},
				{"logs", isLog},
				{"all but logs and anchor", func(b string) bool { return b != anchorName && !isLog(b) }},
				{"MANIFEST and markers", func(b string) bool { return isManifest(b) || isMarker(b) }},
				{"MANIFEST, markers and ledger", func(b string) bool { return isManifest(b) || isMarker(b) || b == ledgerName }},
				{"ledger", func(b string) bool { return b == ledgerName }},
				{"anchor", func(b string) bool { return b == anchorName }},
			} {
				dm := &damage{victim: v, file: part.name, what: "stale", disk: v.disk.CrashClone(Crash{Unsynced: KeepUnsynced})}
				for _, d := range []*Disk{dm.disk, old} {
					for _, name := range d.Files() {
						if part.is(path.Base(name)) {
							dm.disk.WriteFile(name, old.ReadFile(name))
						}
					}
				}
				f := dm.outcome(Options{})
				classes[part.name+": "+f.class]++
				if f.class == lost || f.class == reported || f.class == refused && !errors.Is(f.detail, ErrCorrupt) {
					t.Errorf("%s of %q back at moment %d: %s, %v", part.name, v.name, n, f.class, f.detail)
				}
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(classes)) {
		t.Logf("%4d %s", classes[k], k)
	}
}

// TestWholeStaleFolder fixes what no store can know by itself: a folder that
// was put back as a whole, anchor and all, is an earlier state of the same
// store and opens as that. Its epoch, batch and head tell an outside witness.
func TestWholeStaleFolder(t *testing.T) {
	v := victims(t)[0]
	before := openOn(t, v.disk.CrashClone(Crash{Unsynced: KeepUnsynced}))
	after := openOn(t, v.stale[3].CrashClone(Crash{Unsynced: KeepUnsynced}))
	if a, b := after.Stats(), before.Stats(); a.DurableSeq >= b.DurableSeq || a.Epoch >= b.Epoch || a.Head == b.Head {
		t.Errorf("the earlier state %+v cannot be told from %+v", a, b)
	}
	if _, err := after.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
