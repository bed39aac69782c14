package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestReserveHolds: the disk fills up. New work is refused while room is left,
// every outcome of what was taken is recorded in it, with the flushes and
// compactions that this needs, and the store goes on when there is room again.
func TestReserveHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewMemDisk()
		d.SetFaults(Faults{Capacity: 6 << 20})
		s, err := Open(Options{Disk: d, Logger: quiet, ReserveBytes: 3 << 20, MemtableBytes: 64 << 10,
			OnFatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		pay := func() {
			must(t, s, func(c *Command) {
				c.Claim('k', fmt.Appendf(nil, "%d", n), nil)
				c.Append(id(n), 1, noise(n, 600))
				c.Set('o', fmt.Appendf(nil, "%d", n), nil)
			})
			n++
		}
		for ; s.Accepting() == nil && n < 20000; time.Sleep(time.Millisecond) {
			pay()
		}
		if err := s.Accepting(); !errors.Is(err, ErrDiskReserve) || n < 1000 {
			t.Fatalf("after %d payments: %v", n, err)
		}
		for i := range n {
			must(t, s, func(c *Command) {
				c.Append(id(i), 2, noise(i, 200))
				c.Delete('o', fmt.Appendf(nil, "%d", i))
			})
		}
		if err := s.Accepting(); !errors.Is(err, ErrDiskReserve) {
			t.Errorf("below the reserve: %v", err)
		}
		d.SetFaults(Faults{Capacity: 64 << 20})
		time.Sleep(DefaultDiskCheck)
		synctest.Wait()
		if err := s.Accepting(); err != nil {
			t.Errorf("room again: %v", err)
		}
		pay()
		if rep, err := s.Verify(t.Context(), nil); err != nil || rep.Records != uint64(2*n-1) {
			t.Errorf("%d payments: %+v, %v", n, rep, err)
		}
		closeStore(t, s)
	})
}

// noise does not compress.
func noise(seed, size int) []byte {
	b := make([]byte, size)
	x := uint64(seed)*0x9e3779b97f4a7c15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// TestNoRoomForTables: while the disk takes neither tables nor the ledger, the
// log goes on as long as memory lasts; then everything waits, new work is
// refused, and when there is room again nothing was lost and nobody restarts.
func TestNoRoomForTables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewMemDisk()
		s, err := Open(Options{Disk: d, Logger: quiet, MemtableBytes: 64 << 10, OnFatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		var refusals atomic.Int64
		d.SetFaults(Faults{Fail: func(op, name string) error {
			if op == "write" && (isTable(name) || strings.Contains(name, ledgerName)) {
				refusals.Add(1)
				return syscall.ENOSPC
			}
			return nil
		}})
		const payments = 2000
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range payments {
				must(t, s, func(c *Command) { c.Append(id(i), 1, noise(i, 300)) })
			}
		}()
		time.Sleep(time.Minute)
		if err := s.Accepting(); !errors.Is(err, ErrSlow) {
			t.Errorf("a store that waits for room says %v", err)
		}
		if n := refusals.Load(); n == 0 || n > 2000 {
			t.Errorf("a minute without room costs %d attempts", n)
		}
		d.SetFaults(Faults{})
		<-done
		time.Sleep(time.Second)
		if err := s.Accepting(); err != nil || s.eng.led.behind.Load() {
			t.Errorf("room again: %v", err)
		}
		if rep, err := s.Verify(t.Context(), nil); err != nil || rep.Records != payments {
			t.Error(rep, err)
		}
		closeStore(t, s)
	})
}

// TestSlowDiskSheds: a disk whose syncs begin to take seconds makes Accepting
// refuse within a second, and no longer once it has recovered.
func TestSlowDiskSheds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewMemDisk()
		s, err := Open(Options{Disk: d, Logger: quiet, OnFatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		d.SetFaults(Faults{SyncDelay: func() time.Duration { return 3 * time.Second }})
		for w := range 8 {
			go func() {
				for i := range 3 {
					must(t, s, func(c *Command) { c.Append(id(w), uint32(i), nil) })
				}
			}()
		}
		time.Sleep(time.Second)
		if err := s.Accepting(); !errors.Is(err, ErrSlow) {
			t.Errorf("after a second: %v", err)
		}
		d.SetFaults(Faults{})
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if err := s.Accepting(); err != nil {
			t.Errorf("a fast disk again: %v", err)
		}
		closeStore(t, s)
	})
}

const childFault = "TRANZIT_STORAGE_FAULT"

// TestErrorOfTheDisk: after a failed write or sync of any file nothing is
// acknowledged any more, OnFatal hears of it once, and what was acknowledged
// before is there after a power cut. An engine that could not write its MANIFEST
// cannot be closed; those lives are processes of their own.
func TestErrorOfTheDisk(t *testing.T) {
	for _, op := range []string{"write", "sync"} {
		for _, file := range []string{".log", ".sst", anchorName} {
			t.Run(op+" "+file, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, err := faultLife(op, file, 10*time.Millisecond)
					if err != nil {
						t.Error(err)
					}
					_ = s.Close()
				})
			})
		}
		for _, file := range []string{"MANIFEST-", ledgerName} {
			t.Run(op+" "+file, func(t *testing.T) {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), childFault+"="+op+" "+file)
				if out, err := cmd.CombinedOutput(); err != nil || string(out) != "as promised\n" {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}

// faultChild is the life of a process in TestErrorOfTheDisk.
func faultChild() bool {
	op, file, ok := strings.Cut(os.Getenv(childFault), " ")
	if !ok {
		return false
	}
	if _, err := faultLife(op, file, 0); err != nil {
		fmt.Println(err)
	} else {
		fmt.Println("as promised")
	}
	return true
}

// faultLife lets one operation on a file fail, and checks what follows.
func faultLife(op, file string, pause time.Duration) (*Store, error) {
	d := NewMemDisk()
	var fatal, failed atomic.Int64
	var crashed *Disk
	var cause error
	heard := make(chan struct{})
	s, err := Open(Options{Disk: d, Logger: quiet, MemtableBytes: 64 << 10, OnFatal: func(err error) {
		if fatal.Add(1) == 1 {
			cause, crashed = err, d.CrashClone(Crash{})
			close(heard)
		}
	}})
	if err != nil {
		return nil, err
	}
	d.SetFaults(Faults{Fail: func(o, name string) error {
		if o == op && strings.Contains(name, file) && failed.Add(1) == 1 {
			return syscall.EIO
		}
		return nil
	}})
	// A command in the hands of an engine that stands still gets no answer.
	do := func(c *Command) error {
		answered := make(chan error, 1)
		go func() {
			_, err := s.Do(c)
			answered <- err
		}()
		select {
		case err := <-answered:
			return err
		case <-heard:
			return ErrFailed
		}
	}
	acked := 0
	for ; acked < 3000; acked++ {
		var c Command
		c.Append(id(acked), 1, noise(acked, 500))
		if err = do(&c); err != nil {
			break
		}
		time.Sleep(pause)
	}
	if err == nil {
		return s, fmt.Errorf("%d acknowledged, %d operations failed and nobody cared", acked, failed.Load())
	}
	<-heard
	var c Command
	c.Set('k', nil, nil)
	if _, after := s.Do(&c); !errors.Is(err, ErrFailed) || !errors.Is(after, ErrFailed) || !errors.Is(cause, syscall.EIO) || fatal.Load() != 1 {
		return s, fmt.Errorf("%d acknowledged, OnFatal heard %d times of %w; then %w and %w", acked, fatal.Load(), cause, err, after)
	}
	again, err := Open(Options{Disk: crashed, Logger: quiet})
	if err != nil {
		return s, err
	}
	if rep, err := again.Verify(context.Background(), nil); err != nil || rep.Records < uint64(acked) {
		return s, fmt.Errorf("%d acknowledged, %d there: %w", acked, rep.Records, err)
	}
	return s, again.Close()
}
