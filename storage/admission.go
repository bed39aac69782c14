package storage

import (
	"fmt"
	"sync/atomic"
	"time"
)

// admission says whether new work should be taken. It never stops a command
// that was begun: outcomes are written into the reserve.
type admission struct {
	diskLow  atomic.Bool
	diskFree atomic.Int64 // bytes at the last check, -1: unknown
	oldest   [pipeDepth]atomic.Int64
}

// Accepting returns nil, or why new work should be refused: ErrFailed,
// ErrClosed, ErrReadOnly, ErrDiskReserve (free space is below the reserve) or
// ErrSlow (a command waits longer than Options.SlowAfter). It costs a few
// loads. Do goes on working while Accepting refuses.
func (s *Store) Accepting() error {
	switch err := s.failed(); {
	case err != nil:
		return err
	case s.gate.state.Load() < 0:
		return ErrClosed
	case s.o.ReadOnly:
		return ErrReadOnly
	case s.limits.diskLow.Load():
		return ErrDiskReserve
	}
	if since := s.oldestWaiting(); since > 0 && time.Duration(s.age()-since) > s.o.SlowAfter {
		return ErrSlow
	}
	return nil
}

// oldestWaiting is the age mark of the oldest command that is not durable, or 0.
func (s *Store) oldestWaiting() int64 {
	oldest := s.queue.oldest.Load()
	for i := range s.limits.oldest {
		if at := s.limits.oldest[i].Load(); at > 0 && (oldest == 0 || at < oldest) {
			oldest = at
		}
	}
	return oldest
}

// checkDisk compares the free space with the reserve.
func (s *Store) checkDisk() {
	free, err := s.diskFree()
	if err != nil {
		s.limits.diskFree.Store(-1)
		return
	}
	s.limits.diskFree.Store(free)
	low := s.o.ReserveBytes > 0 && free < s.o.ReserveBytes
	if s.limits.diskLow.Swap(low) != low {
		if low {
			s.o.Logger.Warn("free disk space is below the reserve; new work is refused", "free", free, "reserve", s.o.ReserveBytes)
		} else {
			s.o.Logger.Info("free disk space is back above the reserve", "free", free, "reserve", s.o.ReserveBytes)
			s.eng.compact.begin()
		}
	}
}

func (s *Store) diskFree() (int64, error) {
	if s.o.DiskFree != nil {
		return s.o.DiskFree()
	}
	return s.eng.diskFree()
}

// housekeeping checks the disk space and makes the anchor durable once a second.
func (s *Store) housekeeping() {
	defer s.done.Done()
	tick := time.NewTicker(s.o.DiskCheck)
	defer tick.Stop()
	synced := time.Now()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		s.checkDisk()
		if s.failed() != nil {
			continue
		}
		if err := s.eng.catchUp(); err != nil {
			s.fail(fmt.Errorf("housekeeping: %w", err))
		}
		if time.Since(synced) >= time.Second && s.failed() == nil {
			synced = time.Now()
			if err := s.anchor.sync(); err != nil {
				s.fail(fmt.Errorf("housekeeping: %w", err))
			}
		}
	}
}
