package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// This file and pebblefs.go are the only ones that know the engine.

// retryPause keeps the engine from repeating a flush or a compaction on a full
// disk as fast as it can. No lock is held where a table is begun.
const retryPause = 100 * time.Millisecond

// compactionCategory is what the engine calls the tables of a compaction.
const compactionCategory = vfs.DiskWriteCategory("pebble-compaction")

const anchorCategory = vfs.DiskWriteCategory("tranzit-anchor")

// engine is an open Pebble store and the lock of its folder.
type engine struct {
	db    *pebble.DB
	disk  vfs.FS
	fs    vfs.FS // disk, watched
	dir   string
	lock  *pebble.Lock
	syncs atomic.Uint64 // fsyncs of logs
	held  heldFiles
	led   *ledger
	// reading is the file that the engine read last while it opened: its own
	// errors do not name logs.
	reading string
	settled atomic.Bool // the journal is proven
	compact patient
	low     *atomic.Bool // free space is below the reserve; set by the store before the journal is proven
	trouble atomic.Bool  // a flush or a compaction failed since the last table was begun
	dying   sync.Once
	dead    chan struct{} // closed when the engine met an error after which its own locks cannot be trusted
}

// openEngine locks the folder and opens or creates the store in it. fatal is
// called, once or more, when the engine meets an error that it cannot survive.
func openEngine(o *Options, fatal func(error)) (*engine, error) {
	e := &engine{dir: o.Dir, dead: make(chan struct{})}
	base := vfs.Default
	if o.Disk != nil {
		base = diskFS{o.Disk}
	}
	e.disk = base
	e.fs = watchedFS{FS: base, eng: e}
	if o.ReadOnly {
		if _, err := e.fs.Stat(o.Dir); err != nil {
			return nil, fmt.Errorf("%w: %s", ErrNotFound, o.Dir)
		}
	} else if err := e.fs.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("storage: making the folder: %w", err)
	}
	var err error
	if e.lock, err = pebble.LockDirectory(o.Dir, e.fs); err != nil {
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || strings.Contains(err.Error(), "lock held by current process") {
			return nil, fmt.Errorf("%w: %s", ErrLocked, o.Dir)
		}
		return nil, fmt.Errorf("storage: locking %s: %w", o.Dir, err)
	}
	if err := e.inspect(o); err != nil {
		_ = e.lock.Close()
		return nil, err
	}
	po := engineOptions(o)
	po.FS, po.Lock = e.fs, e.lock
	e.compact = patient{pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest(), e}
	po.Experimental.CompactionScheduler = e.compact
	log := &engineLog{log: o.Logger, eng: e, fatal: fatal}
	po.Logger = log
	// The engine repeats a failed flush for ever. While it opens nobody could see
	// that, or make room: the start would hang.
	var opened atomic.Bool
	po.EventListener = &pebble.EventListener{BackgroundError: func(err error) {
		e.trouble.Store(true)
		switch log.Errorf("background error: %v", err); {
		case !opened.Load():
			log.Fatalf("opening %s: %v", o.Dir, err)
		case errors.Is(err, syscall.EIO) || isCorruption(err):
			fatal(fmt.Errorf("engine: %w", err)) // only a full disk is waited for
		}
	}, DataCorruption: func(c pebble.DataCorruptionInfo) {
		if log.Errorf("file %s is damaged: %v", c.Path, c.Details); !o.ReadOnly {
			fatal(fmt.Errorf("%w: file %s: %w", ErrCorrupt, c.Path, c.Details))
		}
	}}
	defer opened.Store(true)
	if e.db, err = pebble.Open(o.Dir, po); err != nil {
		_ = e.lock.Close()
		if errors.Is(err, pebble.ErrDBDoesNotExist) {
			return nil, fmt.Errorf("%w: %s", ErrNotFound, o.Dir)
		}
		if isCorruption(err) || errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w: reading file %s: %w", ErrCorrupt, e.reading, err)
		}
		return nil, fmt.Errorf("storage: opening %s: %w", o.Dir, err)
	}
	return e, nil
}

// patient lets no compaction run before the journal is proven. It would read
// damage that the start is about to name, try again for ever, and hold up the start.
// None runs below the reserve or on a disk that was too full for the ledger
// either: what room there is belongs to outcomes, and a MANIFEST that cannot
// grow is the engine's end.
// The engine's periodic granter is for limits that change; ours is always one.
type patient struct {
	pebble.CompactionScheduler
	eng *engine
}

// begin lets compactions run, also one that waits already: giving a permission
// back hands it to whoever waits.
func (p patient) begin() {
	p.eng.settled.Store(true)
	if ok, permission := p.TrySchedule(); ok {
		permission.Done()
	}
}

// short says that free space is below the reserve.
func (e *engine) short() bool { return e.low != nil && e.low.Load() }

// catchUp writes the ledger after the disk was full, and lets compactions run again.
func (e *engine) catchUp() error {
	done, err := e.led.catchUp()
	if done {
		e.compact.begin()
	}
	return err
}

// Register implements pebble.CompactionScheduler.
func (p patient) Register(goroutines int, db pebble.DBForCompaction) {
	p.CompactionScheduler.Register(goroutines, patientDB{db, p.eng})
}

type patientDB struct {
	pebble.DBForCompaction
	eng *engine
}

// GetAllowedWithoutPermission implements pebble.DBForCompaction.
func (d patientDB) GetAllowedWithoutPermission() int {
	if !d.eng.settled.Load() || d.eng.led.behind.Load() || d.eng.short() {
		return 0
	}
	return d.DBForCompaction.GetAllowedWithoutPermission()
}

// memtables is how many of them may wait for their flush before writes stall.
const memtables = 3

// engineOptions: the engine counts memtables against its cache, so the cache is
// made larger by the one that fills and the one that is flushed; else it would
// hold no blocks under load. Below the reserve no compaction runs: writes must
// not stall for one before the reserve is used up.
func engineOptions(o *Options) *pebble.Options {
	po := &pebble.Options{
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   o.CacheBytes + 2*o.MemtableBytes,
		MemTableSize:                uint64(o.MemtableBytes),
		MemTableStopWritesThreshold: memtables,
		L0CompactionThreshold:       10, // filters keep looks cheap, and each byte is rewritten less often
		L0StopWritesThreshold:       24 + int(min(max(0, 2*o.ReserveBytes/o.MemtableBytes), 200)),
		LBaseMaxBytes:               64 << 20,
		BytesPerSync:                1 << 20,
		WALBytesPerSync:             512 << 10,
		MaxOpenFiles:                1000,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		ReadOnly:                    o.ReadOnly,
		ErrorIfNotExists:            o.ReadOnly,
	}
	po.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		po.Levels[i].BlockSize = 16 << 10
		po.Levels[i].IndexBlockSize = 64 << 10
	}
	return po
}

func isCorruption(err error) bool { return pebble.IsCorruptionError(err) }

// close closes the engine. After a fatal error inside the engine its locks may
// be held for ever, so it is left as it is; the process is about to end.
func (e *engine) close() error {
	closed := make(chan error, 1)
	select {
	case <-e.dead:
		return nil
	default:
	}
	go func() {
		defer func() {
			if r := recover(); r != nil {
				closed <- fmt.Errorf("storage: closing the engine: %v", r)
			}
		}()
		err := e.db.Close()
		closed <- errors.Join(err, e.lock.Close())
	}()
	select {
	case err := <-closed:
		return err
	case <-e.dead: // what it waits for has ended without a word
		return nil
	}
}

// rotate flushes what is in memory and begins a new log.
func (e *engine) rotate() error { return e.db.Flush() }

func (e *engine) putSynced(key, val []byte) error {
	b := e.newBatch()
	b.set(key, val)
	if err := b.apply(); err != nil {
		return err
	}
	return b.wait()
}

// get appends the value to dst[:0].
func (e *engine) get(key, dst []byte) ([]byte, bool, error) { return get(e.db, key, dst) }

func get(r pebble.Reader, key, dst []byte) ([]byte, bool, error) {
	val, closer, err := r.Get(key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			return dst[:0], false, nil
		}
		return nil, false, err
	}
	dst = append(dst[:0], val...)
	return dst, true, closer.Close()
}

// probe looks for keys that are mostly absent. Unlike get it asks the filters
// of all levels, also of the last one, and so rarely reads a block.
type probe struct{ it *pebble.Iterator }

func (e *engine) probe() (probe, error) {
	it, err := e.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	return probe{it}, err
}

// find returns the value of key, valid until the next call.
func (p probe) find(key []byte) (val []byte, found bool, err error) {
	if !p.it.SeekPrefixGE(key) {
		return nil, false, p.it.Error()
	}
	val, err = p.it.ValueAndErr()
	return val, err == nil, err
}

func (p probe) close() { _ = p.it.Close() }

// firstKey returns nil for an empty store.
func (e *engine) firstKey() ([]byte, error) {
	c, err := e.cursor(bounds{})
	if err != nil {
		return nil, err
	}
	defer c.close()
	if !c.first() {
		return nil, c.err()
	}
	return append([]byte{}, c.key()...), nil
}

// engineBatch is a set of writes that become visible and durable together.
type engineBatch struct {
	db *pebble.DB
	b  *pebble.Batch
}

func (e *engine) newBatch() *engineBatch {
	b := e.db.NewBatch(pebble.WithInitialSizeBytes(64<<10), pebble.WithMaxRetainedSizeBytes(4<<20))
	return &engineBatch{db: e.db, b: b}
}

func (b *engineBatch) set(key, val []byte) {
	op := b.b.SetDeferred(len(key), len(val))
	copy(op.Key, key)
	copy(op.Value, val)
	_ = op.Finish() // nil for a batch without an index
}

func (b *engineBatch) remove(key []byte) {
	op := b.b.DeleteDeferred(len(key))
	copy(op.Key, key)
	_ = op.Finish()
}

// apply makes the batch visible and asks for a sync without waiting for it.
func (b *engineBatch) apply() error { return b.db.ApplyNoSyncWait(b.b, pebble.Sync) }

// wait returns when the batch is on disk.
func (b *engineBatch) wait() error { return b.b.SyncWait() }

func (b *engineBatch) reset() { b.b.Reset() }

func (b *engineBatch) empty() bool { return b.b.Empty() }

// bounds of a cursor: lower inclusive, upper exclusive, nil: none.
type bounds struct {
	lower, upper []byte
	reverse      bool
}

// cursor goes along a consistent view of the keys.
type cursor struct {
	it      *pebble.Iterator
	reverse bool
}

func (e *engine) cursor(b bounds) (*cursor, error) { return newCursor(e.db, b) }

func newCursor(r pebble.Reader, b bounds) (*cursor, error) {
	it, err := r.NewIterWithContext(context.Background(), &pebble.IterOptions{LowerBound: b.lower, UpperBound: b.upper})
	if err != nil {
		return nil, err
	}
	return &cursor{it: it, reverse: b.reverse}, nil
}

func (c *cursor) first() bool {
	if c.reverse {
		return c.it.Last()
	}
	return c.it.First()
}

func (c *cursor) next() bool {
	if c.reverse {
		return c.it.Prev()
	}
	return c.it.Next()
}

// seek goes to the first key that is not before key.
func (c *cursor) seek(key []byte) bool { return c.it.SeekGE(key) }

// reach goes on to the first key that is not before key, which lies ahead.
func (c *cursor) reach(key []byte) bool {
	for range windowSteps {
		if !c.it.Next() {
			return false
		}
		if bytes.Compare(c.it.Key(), key) >= 0 {
			return true
		}
	}
	return c.it.SeekGE(key)
}

func (c *cursor) key() []byte            { return c.it.Key() }
func (c *cursor) value() ([]byte, error) { return c.it.ValueAndErr() }
func (c *cursor) err() error             { return c.it.Error() }
func (c *cursor) close()                 { _ = c.it.Close() }

// snapshot is a view of one moment that several cursors share.
type snapshot struct{ snap *pebble.Snapshot }

func (e *engine) snapshot() *snapshot { return &snapshot{e.db.NewSnapshot()} }

func (s *snapshot) get(key, dst []byte) ([]byte, bool, error) { return get(s.snap, key, dst) }
func (s *snapshot) cursor(b bounds) (*cursor, error)          { return newCursor(s.snap, b) }
func (s *snapshot) close()                                    { _ = s.snap.Close() }

// openAnchor opens the anchor file, and makes it unless the store is read only.
func (e *engine) openAnchor(write bool) (anchorFile, error) {
	name := e.fs.PathJoin(e.dir, anchorName)
	if write {
		return e.fs.OpenReadWrite(name, anchorCategory)
	}
	f, err := e.fs.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return vfs.NewMemFile(nil), nil
	}
	return f, err
}

func (e *engine) syncDir() error {
	d, err := e.fs.OpenDir(e.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (e *engine) diskFree() (int64, error) {
	u, err := e.fs.GetDiskUsage(e.dir)
	return int64(min(u.AvailBytes, 1<<62)), err
}

// engineLog sends the engine's chatter to the debug level. Its Fatalf ends the
// goroutine that met the error. It returns only for a MANIFEST that found no
// room: the flush or compaction fails then, no lock stays held, and every later
// write of that MANIFEST fails as well, so that the failed store can be closed.
type engineLog struct {
	log   *slog.Logger
	eng   *engine
	fatal func(error)
}

// Infof implements pebble.Logger.
func (l *engineLog) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("engine: " + fmt.Sprintf(format, args...))
	}
}

// Errorf implements pebble.Logger.
func (l *engineLog) Errorf(format string, args ...any) {
	l.log.Debug("engine: "+fmt.Sprintf(format, args...), "engine_level", "error")
}

// Fatalf implements pebble.Logger.
func (l *engineLog) Fatalf(format string, args ...any) {
	err := fmt.Errorf("engine: "+format, args...)
	for _, arg := range args {
		if cause, ok := arg.(error); ok {
			err = engineError{err.Error(), cause}
		}
	}
	if strings.HasPrefix(err.Error(), "engine: MANIFEST flush failed") && errors.Is(err, syscall.ENOSPC) {
		l.fatal(err)
		return
	}
	l.eng.dying.Do(func() { close(l.eng.dead) })
	l.fatal(err)
	runtime.Goexit()
}

// engineError keeps the cause of a fatal error, which the engine only prints.
type engineError struct {
	text  string
	cause error
}

// Error implements error.
func (e engineError) Error() string { return e.text }

// Unwrap returns the cause.
func (e engineError) Unwrap() error { return e.cause }

// heldFiles are files that the engine has no more use for and would remove.
// They stay until the journal is proven: a refused start must not destroy the
// evidence.
type heldFiles struct {
	mu     sync.Mutex
	proven bool
	names  []string
}

func (h *heldFiles) hold(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.proven {
		h.names = append(h.names, name)
	}
	return !h.proven
}

// proven lets the engine remove its old files from now on. The folder is
// synced; the batches from now on are announced in applying.
func (e *engine) proven(applying *atomic.Uint64) error {
	e.held.mu.Lock()
	defer e.held.mu.Unlock()
	names, err := e.list()
	if err != nil {
		return err
	}
	var held []string
	for _, name := range e.held.names {
		held = append(held, e.disk.PathBase(name))
	}
	if err := e.led.proven(applying, names, held); err != nil {
		return err
	}
	e.held.proven = true
	var errs error
	for _, name := range e.held.names {
		if err := e.disk.Remove(name); !errors.Is(err, os.ErrNotExist) {
			errs = errors.Join(errs, err)
		}
	}
	e.held.names = nil
	e.compact.begin()
	return errs
}

// inspect checks the files against the ledger, before the engine sees them: of
// a small store every byte, of a large one all but the inside of its tables.
func (e *engine) inspect(o *Options) error {
	e.led = &ledger{dir: e, quiet: o.ReadOnly, files: map[string]fileEntry{}, logs: map[string]uint64{}}
	tables, total, err := e.led.load()
	if err != nil || total > o.CheckAtOpen {
		return err
	}
	for _, name := range tables {
		if err := e.led.check(name, nil); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) list() ([]string, error) { return e.disk.List(e.dir) }

// open implements folder.
func (e *engine) open(name string) (anchorFile, int64, error) {
	f, err := e.disk.Open(e.disk.PathJoin(e.dir, name), vfs.SequentialReadsOption)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// replace implements folder.
func (e *engine) replace(name string, content []byte) error {
	target := e.disk.PathJoin(e.dir, name)
	f, err := e.disk.Create(target+".new", anchorCategory)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := e.disk.Rename(target+".new", target); err != nil {
		return err
	}
	return e.syncDir()
}

// tables returns the tables of the moment and their bytes in all.
func (e *engine) tables() (names []string, total int64, err error) {
	levels, err := e.db.SSTables()
	if err != nil {
		return nil, 0, err
	}
	for _, level := range levels {
		for _, t := range level {
			names, total = append(names, fmt.Sprintf("%s.sst", t.BackingSSTNum)), total+int64(t.Size)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), total, nil
}
