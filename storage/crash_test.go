package storage

import (
	"bufio"
	"errors"
	"fmt"
	"hash"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const childDir = "TRANZIT_STORAGE_CHILD"

// childMain is the process that TestKill kills: it writes until it dies, and
// prints each command after it was acknowledged.
func childMain() bool {
	dir := os.Getenv(childDir)
	if dir == "" {
		return false
	}
	s, err := Open(Options{Dir: dir, Logger: quiet, MemtableBytes: 256 << 10})
	if err != nil {
		fmt.Println("error", err)
		return true
	}
	var mu sync.Mutex
	for w := range 16 {
		go func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%d-%d-%d", s.Epoch(), w, i)
				var c Command
				c.Claim('k', []byte(key), []byte(key))
				c.Append(id(int(s.Epoch())<<32|w<<24|i), 1, []byte(key))
				if r, err := s.Do(&c); err != nil || r.Kind != Applied {
					fmt.Println("error", r.Kind, err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println("ack", key)
				mu.Unlock()
			}
		}()
	}
	select {}
}

// TestKill: a process killed in the middle of its writes has lost nothing that
// it acknowledged, and the chain is whole.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	var acked []string
	for life := range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			key, ok := strings.CutPrefix(lines.Text(), "ack ")
			if !ok {
				t.Fatal(lines.Text())
			}
			acked = append(acked, key)
			if n == 200+300*life {
				if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		s, err := Open(Options{Dir: dir, Logger: quiet, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range acked {
			if v, ok, err := s.Get('k', []byte(key), nil); err != nil || !ok || string(v) != key {
				t.Fatalf("life %d: %s is lost: %v", life, key, err)
			}
		}
		if rep, err := s.Verify(t.Context(), nil); err != nil || rep.Records < uint64(len(acked)) {
			t.Fatalf("life %d: %+v, %v", life, rep, err)
		}
		closeStore(t, s)
	}
}

// TestPowerCut takes clones of the disk before many operations and in all ways
// of losing what was not synced. Each clone opens, holds all that was
// acknowledged until then, and no command in part.
func TestPowerCut(t *testing.T) {
	d := NewMemDisk()
	type cut struct {
		disk  *Disk
		acked int64
		name  string
	}
	var cuts []cut
	var acked atomic.Int64
	var mu sync.Mutex
	d.SetFaults(Faults{OnOp: func(n uint64, op, name string) {
		mu.Lock()
		defer mu.Unlock()
		c := Crash{Unsynced: Unsynced(n % 3), Seed: n}
		cuts = append(cuts, cut{name: fmt.Sprint(n, " ", op, " ", name, " ", c), acked: acked.Load(), disk: d.CrashClone(c)})
	}})
	s, err := Open(Options{Disk: d, Logger: quiet, MemtableBytes: 64 << 10, OnFatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		must(t, s, func(c *Command) {
			c.Append(id(i), 1, make([]byte, 3000))
			c.Set('s', []byte(strconv.Itoa(i)), nil)
		})
		acked.Store(int64(i + 1))
	}
	closeStore(t, s)
	d.SetFaults(Faults{})
	for _, c := range cuts {
		s, err := Open(Options{Disk: c.disk, Logger: quiet, OnFatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		rep, err := s.Verify(t.Context(), nil)
		if err != nil || int64(rep.Records) < c.acked || int64(rep.Records) > c.acked+1 {
			t.Fatalf("%s: %d records, %d acknowledged, %v", c.name, rep.Records, c.acked, err)
		}
		if n := len(scan(t, s, Range{Space: 's'})); uint64(n) != rep.Records {
			t.Fatalf("%s: %d index entries for %d records", c.name, n, rep.Records)
		}
		closeStore(t, s)
	}
	if len(cuts) < 150 {
		t.Errorf("only %d cuts", len(cuts))
	}
}

// TestSameSeedSameClone: a power cut is replayable.
func TestSameSeedSameClone(t *testing.T) {
	d := NewMemDisk()
	s := openOn(t, d)
	for i := range 50 {
		must(t, s, func(c *Command) { c.Append(id(i), 1, make([]byte, 2000)) })
	}
	differ := false
	for seed := range uint64(20) {
		a, b := d.CrashClone(Crash{RandomUnsynced, seed}), d.CrashClone(Crash{RandomUnsynced, seed})
		other := d.CrashClone(Crash{RandomUnsynced, seed + 100})
		for _, name := range d.Files() {
			if string(a.ReadFile(name)) != string(b.ReadFile(name)) {
				t.Errorf("seed %d: %s differs", seed, name)
			}
			differ = differ || string(a.ReadFile(name)) != string(other.ReadFile(name))
		}
	}
	if !differ {
		t.Error("the seed changes nothing")
	}
}

// TestSyncError: the n-th sync fails. Everybody gets ErrFailed, OnFatal is
// called once, and what was acknowledged is on the disk.
func TestSyncError(t *testing.T) {
	for n := uint64(1); n <= 20; n++ {
		synctest.Test(t, func(t *testing.T) { syncError(t, n) })
	}
}

func syncError(t *testing.T, n uint64) {
	d := NewMemDisk()
	var fatal atomic.Int64
	s, err := Open(Options{Disk: d, Logger: quiet, OnFatal: func(err error) {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
		fatal.Add(1)
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.SetFaults(Faults{FailSync: n, SyncDelay: func() time.Duration { return time.Millisecond }})
	var acked sync.Map
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; ; i++ {
				var c Command
				key := fmt.Sprint(w, " ", i)
				c.Claim('k', []byte(key), nil)
				c.Append(id(w), uint32(i), nil)
				if _, err := s.Do(&c); err != nil {
					if !errors.Is(err, ErrFailed) {
						t.Error(err)
					}
					return
				}
				acked.Store(key, true)
			}
		}()
	}
	wg.Wait()
	if fatal.Load() != 1 {
		t.Errorf("OnFatal was called %d times", fatal.Load())
	}
	if err := s.Accepting(); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	if _, err := s.Reserve("x", 1); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	crashed := d.CrashClone(Crash{})
	_ = s.Close() // the engine may well complain
	s, err = Open(Options{Disk: crashed, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	acked.Range(func(key, _ any) bool {
		if _, ok, err := s.Get('k', []byte(key.(string)), nil); !ok || err != nil {
			t.Errorf("sync %d: %s is lost, %v", n, key, err)
		}
		return true
	})
	if _, err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	closeStore(t, s)
}

// TestDiskFull: at the end of the space the store fails, and holds what it acknowledged.
func TestDiskFull(t *testing.T) {
	for _, space := range []int64{1, 1000, 5000, 20000, 100000} {
		d := NewMemDisk()
		var fatal atomic.Int64
		s, err := Open(Options{Disk: d, Logger: quiet, OnFatal: func(error) { fatal.Add(1) }})
		if err != nil {
			t.Fatal(err)
		}
		d.SetFaults(Faults{Space: space})
		n := 0
		for {
			var c Command
			c.Append(id(n), 1, make([]byte, 500))
			if _, err := s.Do(&c); err != nil {
				if !errors.Is(err, ErrFailed) || fatal.Load() != 1 {
					t.Error(err, fatal.Load())
				}
				break
			}
			n++
		}
		crashed := d.CrashClone(Crash{})
		_ = s.Close()
		s = openOn(t, crashed)
		if rep, err := s.Verify(t.Context(), nil); err != nil || rep.Records < uint64(n) {
			t.Errorf("space %d: %d acknowledged, %d found, %v", space, n, rep.Records, err)
		}
	}
}

// TestEngineFatal: an error that the engine cannot survive ends the goroutine
// that met it, and fails the store.
func TestEngineFatal(t *testing.T) {
	var fatal atomic.Int64
	s, err := Open(Options{Disk: NewMemDisk(), Logger: quiet, OnFatal: func(error) { fatal.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	log := &engineLog{log: quiet, eng: s.eng, fatal: s.fail}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		log.Fatalf("%s is gone", "the MANIFEST")
		t.Error("Fatalf returned")
	}()
	<-ended
	var c Command
	c.Set('k', nil, nil)
	if _, err := s.Do(&c); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "MANIFEST") || fatal.Load() != 1 {
		t.Error(err, fatal.Load())
	}
	closeStore(t, s)
	if err := s.eng.db.Close(); err != nil { // the store leaves a dead engine alone
		t.Error(err)
	}
}

// failingHash stands where the committer passes.
type failingHash struct {
	hash.Hash
	fail func()
}

func (h failingHash) Reset() { h.fail() }

// TestCommitterMeetsFatal: the committer itself is ended by the engine; its
// callers and the queue behind them hear of it.
func TestCommitterMeetsFatal(t *testing.T) {
	s, err := Open(Options{Disk: NewMemDisk(), Logger: quiet, OnFatal: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	log := &engineLog{log: quiet, eng: s.eng, fatal: s.fail}
	s.chain.digest = failingHash{s.chain.digest, func() { log.Fatalf("no room for a log") }}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var c Command
			c.Append(id(i), 1, nil)
			if _, err := s.Do(&c); !errors.Is(err, ErrFailed) {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	closeStore(t, s)
	if err := s.eng.db.Close(); err != nil {
		t.Error(err)
	}
}

// TestEitherSlotOfANewAnchor: a power cut while one slot of a new journal's
// anchor is written over leaves the other.
func TestEitherSlotOfANewAnchor(t *testing.T) {
	d := NewMemDisk()
	s := openOn(t, d)
	must(t, s, func(c *Command) { c.Append(id(1), 1, nil) })
	for slot := range anchorSlots {
		cut := d.CrashClone(Crash{Unsynced: DropUnsynced})
		name, content := find(t, cut, anchorName)
		content[slot*anchorStride] ^= 0xff
		cut.WriteFile(name, content)
		after, err := Open(Options{Disk: cut, Logger: quiet, OnFatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Errorf("slot %d torn: %v", slot, err)
			continue
		}
		closeStore(t, after)
	}
}
