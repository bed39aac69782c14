package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// scrub reads the tables of a large store after Open and compares every byte
// with the ledger. Damage fails the store.
type scrub struct {
	done, total atomic.Int64  // bytes
	over        chan struct{} // closed when the scrub has ended, well or not
}

var errStopped = errors.New("storage: the scrub was stopped")

// startScrub checks what Open has not: of a small store only the tables that a
// crash kept out of the ledger, of a large one all of them, behind its back.
func (s *Store) startScrub() error {
	tables, total, err := s.eng.tables()
	if err != nil {
		return s.readError(err)
	}
	s.scrub.total.Store(total)
	if total > s.o.CheckAtOpen {
		if s.o.ScrubRate < 0 {
			return nil
		}
		s.done.Add(1)
		s.scrub.over = make(chan struct{})
		go s.scrubLoop(tables)
		return nil
	}
	var unknown []string
	for _, name := range tables {
		if _, known := s.eng.led.entry(name); !known {
			unknown = append(unknown, name)
		}
	}
	s.scrub.done.Store(total)
	return s.checkTables(unknown, nil)
}

// scrubLoop goes once through the tables of the start, at Options.ScrubRate.
func (s *Store) scrubLoop(tables []string) {
	defer s.done.Done()
	defer close(s.scrub.over)
	began := time.Now()
	read := func(n int) error {
		due := time.Duration(float64(s.scrub.done.Add(int64(n))) / float64(s.o.ScrubRate) * float64(time.Second))
		select {
		case <-s.stop:
			return errStopped
		case <-time.After(due - time.Since(began)):
			return nil
		}
	}
	switch err := s.checkTables(tables, read); {
	case err == nil:
		s.scrub.done.Store(s.scrub.total.Load())
		s.o.Logger.Info("every byte of the journal's tables was checked", "tables", len(tables), "bytes", s.scrub.total.Load(), "took", time.Since(began).Round(time.Millisecond))
	case !errors.Is(err, errStopped):
		s.fail(fmt.Errorf("checking the tables: %w", err))
	}
}

// checkTables compares tables with the ledger. Those that a compaction removed
// in the meantime are no longer part of the journal.
func (s *Store) checkTables(tables []string, read func(n int) error) error {
	for _, name := range tables {
		err := s.eng.led.check(name, read)
		switch {
		case err == nil:
			continue
		case errors.Is(err, errStopped):
			return err
		}
		if live, _, now := s.eng.tables(); now != nil || slices.Contains(live, name) {
			return err
		}
	}
	return nil
}

// verifyTables is the part of Verify that claims and indexes need: they do not
// stand under the chain, and no byte of their tables may differ.
func (s *Store) verifyTables(ctx context.Context, rep *Report) error {
	tables, _, err := s.eng.tables()
	if err != nil {
		return s.readError(err)
	}
	return s.checkTables(tables, func(n int) error {
		rep.TableBytes += uint64(n)
		return ctx.Err()
	})
}
