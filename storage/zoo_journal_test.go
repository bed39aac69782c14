package storage

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The tests of this file were written because a planted bug of bench/zoo
// survived all others.

// TestStartProvesTheTail: a changed or missing record of the last batches makes
// Open itself fail, before anybody asks for Verify.
func TestStartProvesTheTail(t *testing.T) {
	for name, tamper := range map[string]func(b *engineBatch){
		"changed": func(b *engineBatch) { b.set(appendRecordKey(nil, id(30), 1), []byte("forged")) },
		"removed": func(b *engineBatch) { b.remove(appendRecordKey(nil, id(30), 1)) },
	} {
		d := written(t, 40)
		o := Options{Disk: d, Logger: quiet}
		o.EnsureDefaults()
		eng, err := openEngine(&o, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		b := eng.newBatch()
		tamper(b)
		if err := errors.Join(b.apply(), b.wait(), eng.close()); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{true, false} {
			s, err := Open(Options{Disk: d, Logger: quiet, ReadOnly: readOnly})
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "batch 31") {
				t.Errorf("%s: got %v", name, err)
			}
			if err == nil {
				closeStore(t, s)
			}
		}
	}
}

// TestWatermarkOfTheSecondBatch: as TestNothingBeforeTheDisk, for a batch that
// follows a durable one.
func TestWatermarkOfTheSecondBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewMemDisk()
		s, err := Open(Options{Disk: d, Logger: quiet, OnFatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		must(t, s, func(c *Command) { c.Set('k', []byte("first"), nil) })
		d.SetFaults(Faults{SyncDelay: func() time.Duration { return time.Second }})
		go must(t, s, func(c *Command) { c.Set('k', []byte("second"), nil) })
		synctest.Wait()
		began := time.Now()
		if _, ok, err := s.Get('k', []byte("second"), nil); err != nil || !ok {
			t.Error(ok, err)
		}
		if took := time.Since(began); took < time.Second {
			t.Errorf("an unsynced value was read after %v", took)
		}
		closeStore(t, s)
	})
}

// TestReserveWaitsForTheDisk: a number is given after the end of its block is
// durable.
func TestReserveWaitsForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewMemDisk()
		s, err := Open(Options{Disk: d, Logger: quiet, OnFatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		d.SetFaults(Faults{SyncDelay: func() time.Duration { return time.Second }})
		for want := uint64(1); want <= 3; want++ {
			began := time.Now()
			first, err := s.Reserve("stan", 1)
			if took := time.Since(began); err != nil || first != want || took < time.Second {
				t.Errorf("number %d after %v, %v", first, took, err)
			}
		}
		closeStore(t, s)
	})
}

// TestRivalsInTheQueue: while the disk is slow and the pipe is full, a command
// is neither applied nor durable. Its rivals for a key stand beside it in the queue.
func TestRivalsInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewMemDisk()
		s, err := Open(Options{Disk: d, Logger: quiet, OnFatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		d.SetFaults(Faults{SyncDelay: func() time.Duration { return time.Second }})
		for i := range pipeDepth + 2 {
			go must(t, s, func(c *Command) { c.Append(id(i), 1, nil) })
			synctest.Wait()
		}
		results := make(chan ResultKind, 3)
		for range cap(results) {
			go func() {
				var c Command
				c.Claim('k', []byte("key"), nil)
				r, err := s.Do(&c)
				if err != nil {
					t.Error(err)
				}
				results <- r.Kind
			}()
			synctest.Wait()
		}
		told := map[ResultKind]int{}
		for range cap(results) {
			told[<-results]++
		}
		if told[Applied] != 1 || told[Exists] != 2 {
			t.Errorf("%v: want one winner", told)
		}
		closeStore(t, s)
	})
}
