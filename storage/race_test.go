package storage

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestClaimRace: of many commands that claim one key, exactly one is applied,
// and all others see its value.
func TestClaimRace(t *testing.T) {
	s := openOn(t, NewMemDisk())
	const rivals, keys = 16, 50
	for k := range keys {
		var applied atomic.Int64
		values := make([]string, rivals)
		var wg sync.WaitGroup
		for w := range rivals {
			wg.Add(1)
			go func() {
				defer wg.Done()
				var c Command
				me := fmt.Sprint(w)
				c.Claim('k', fmt.Appendf(nil, "key %d", k), []byte(me))
				c.Claim('l', fmt.Appendf(nil, "private %d %d", k, w), nil)
				c.Append(id(k*rivals+w), 1, []byte(me))
				r, err := s.Do(&c)
				switch {
				case err != nil:
					t.Error(err)
				case r.Kind == Applied:
					applied.Add(1)
					values[w] = me
				case r.Kind == Exists:
					values[w] = string(r.Value)
				default:
					t.Error(r.Kind)
				}
			}()
		}
		wg.Wait()
		if applied.Load() != 1 {
			t.Fatalf("%d winners", applied.Load())
		}
		for _, v := range values {
			if v != values[0] {
				t.Fatalf("different winners: %q", values)
			}
		}
	}
	rep, err := s.Verify(t.Context(), nil)
	if err != nil || rep.Records != keys {
		t.Errorf("%d records, %v", rep.Records, err)
	}
}

// TestCrossedClaims: commands that want the same keys in different order do
// not wait for each other for ever.
func TestCrossedClaims(t *testing.T) {
	s := openOn(t, NewMemDisk())
	var wg sync.WaitGroup
	var applied atomic.Int64
	const keys = 8
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for round := range 50 {
				var c Command
				for i := range keys {
					c.Claim('k', fmt.Appendf(nil, "%d %d", round, (i*(1+2*(w%4))+w)%keys), nil)
				}
				r, err := s.Do(&c)
				if err != nil {
					t.Error(err)
				} else if r.Kind == Applied {
					applied.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	if applied.Load() != 50 {
		t.Errorf("%d winners in 50 rounds", applied.Load())
	}
}

func TestAppendRace(t *testing.T) {
	s := openOn(t, NewMemDisk())
	var wg sync.WaitGroup
	var applied, stale atomic.Int64
	for w := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for v := range uint32(30) {
				var c Command
				c.Append(id(1), v, []byte{byte(w)})
				switch r, err := s.Do(&c); {
				case err != nil:
					t.Error(err)
				case r.Kind == Applied:
					applied.Add(1)
				case r.Kind == Stale:
					stale.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	if applied.Load() != 30 || stale.Load() != 15*30 {
		t.Errorf("%d applied, %d stale", applied.Load(), stale.Load())
	}
}

// TestNothingBeforeTheDisk: while a sync takes a second, nobody hears of the
// write: not its writer, not the loser of the claim, not a reader.
func TestNothingBeforeTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewMemDisk()
		s, err := Open(Options{Disk: d, Logger: quiet, OnFatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		d.SetFaults(Faults{SyncDelay: func() time.Duration { return time.Second }})
		begin := time.Now()
		after := func(what string) {
			if took := time.Since(begin); took < time.Second {
				t.Errorf("%s was answered after %s", what, took)
			}
		}
		go func() {
			must(t, s, func(c *Command) {
				c.Claim('k', []byte("a"), []byte("1"))
				c.Append(id(1), 1, nil)
			})
			after("the winner")
		}()
		synctest.Wait() // the winner is applied and waits for the disk
		for range 3 {
			go func() {
				var c Command
				c.Claim('k', []byte("a"), []byte("2"))
				if r, err := s.Do(&c); err != nil || r.Kind != Exists || string(r.Value) != "1" {
					t.Error(r, err)
				}
				after("the loser")
			}()
			go func() {
				if v, ok, err := s.Get('k', []byte("a"), nil); err != nil || !ok || string(v) != "1" {
					t.Error(v, ok, err)
				}
				after("a reader")
			}()
			go func() {
				if err := s.Scan(Range{Space: 'k'}, func(_, _ []byte) bool { after("a scan"); return true }); err != nil {
					t.Error(err)
				}
			}()
		}
		time.Sleep(time.Minute)
		began := time.Now()
		if _, _, err := s.Get('k', []byte("a"), nil); err != nil || time.Since(began) != 0 {
			t.Errorf("an idle read took %s, %v", time.Since(began), err)
		}
		closeStore(t, s)
	})
}

// TestAdmission: the disk reserve and the slow disk, in virtual time.
func TestAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewMemDisk()
		var free atomic.Int64
		free.Store(200)
		s, err := Open(Options{Disk: d, Logger: quiet, ReserveBytes: 100, OnFatal: func(err error) { t.Error(err) },
			DiskFree: func() (int64, error) { return free.Load(), nil }})
		if err != nil {
			t.Fatal(err)
		}
		defer closeStore(t, s)
		wait := func(want error) {
			t.Helper()
			time.Sleep(DefaultDiskCheck)
			synctest.Wait()
			if got := s.Accepting(); !errors.Is(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		wait(nil)
		free.Store(99)
		wait(ErrDiskReserve)
		must(t, s, func(c *Command) { c.Append(id(1), 1, []byte("an outcome goes into the reserve")) })
		free.Store(100)
		wait(nil)
		if s.Stats().DiskFree != 100 {
			t.Error(s.Stats().DiskFree)
		}

		d.SetFaults(Faults{SyncDelay: func() time.Duration { return 5 * time.Second }})
		go must(t, s, func(c *Command) { c.Set('k', nil, nil) })
		time.Sleep(DefaultSlowAfter - time.Millisecond)
		if err := s.Accepting(); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Millisecond)
		if err := s.Accepting(); !errors.Is(err, ErrSlow) {
			t.Error(err)
		}
		d.SetFaults(Faults{})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if err := s.Accepting(); err != nil {
			t.Error(err)
		}
	})
}
