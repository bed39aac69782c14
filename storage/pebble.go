package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// This file is the only one that knows the engine.

const anchorCategory = vfs.DiskWriteCategory("tranzit-anchor")

// engine is an open Pebble store and the lock of its folder.
type engine struct {
	db    *pebble.DB
	disk  vfs.FS
	fs    vfs.FS // disk, watched
	dir   string
	lock  *pebble.Lock
	syncs atomic.Uint64 // fsyncs of logs
	held  heldLogs
	dead  atomic.Bool // the engine met an error after which its own locks cannot be trusted
}

// openEngine locks the folder and opens or creates the store in it. fatal is
// called, once or more, when the engine meets an error that it cannot survive.
func openEngine(o *Options, fatal func(error)) (*engine, error) {
	e := &engine{dir: o.Dir}
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
	po := engineOptions(o)
	po.FS, po.Lock = e.fs, e.lock
	log := &engineLog{log: o.Logger, eng: e, fatal: fatal}
	po.Logger = log
	// The engine repeats a failed flush for ever. While it opens nobody could see
	// that, or make room: the start would hang.
	var opened atomic.Bool
	po.EventListener = &pebble.EventListener{BackgroundError: func(err error) {
		if log.Errorf("background error: %v", err); !opened.Load() {
			log.Fatalf("opening %s: %v", o.Dir, err)
		}
	}}
	defer opened.Store(true)
	if e.db, err = pebble.Open(o.Dir, po); err != nil {
		_ = e.lock.Close()
		if errors.Is(err, pebble.ErrDBDoesNotExist) {
			return nil, fmt.Errorf("%w: %s", ErrNotFound, o.Dir)
		}
		if isCorruption(err) {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return nil, fmt.Errorf("storage: opening %s: %w", o.Dir, err)
	}
	return e, nil
}

// memtables is how many of them may wait for their flush before writes stall.
const memtables = 3

// engineOptions: the engine counts memtables against its cache, so the cache is
// made larger by the one that fills and the one that is flushed; else it would
// hold no blocks under load.
func engineOptions(o *Options) *pebble.Options {
	po := &pebble.Options{
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   o.CacheBytes + 2*o.MemtableBytes,
		MemTableSize:                uint64(o.MemtableBytes),
		MemTableStopWritesThreshold: memtables,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               64 << 20,
		BytesPerSync:                1 << 20,
		WALBytesPerSync:             512 << 10,
		MaxOpenFiles:                1000,
		ReadOnly:                    o.ReadOnly,
		ErrorIfNotExists:            o.ReadOnly,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
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
func (e *engine) close() (err error) {
	if e.dead.Load() {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("storage: closing the engine: %v", r)
		}
	}()
	err = e.db.Close()
	return errors.Join(err, e.lock.Close())
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

func (b *engineBatch) removeOnce(key []byte) {
	op := b.b.SingleDeleteDeferred(len(key))
	copy(op.Key, key)
	_ = op.Finish()
}

// apply makes the batch visible and asks for a sync without waiting for it.
func (b *engineBatch) apply() error { return b.db.ApplyNoSyncWait(b.b, pebble.Sync) }

// wait returns when the batch is on disk.
func (b *engineBatch) wait() error { return b.b.SyncWait() }

func (b *engineBatch) reset() { b.b.Reset() }

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

// engineLog sends the engine's chatter to the debug level. Its Fatalf never
// returns: it ends the goroutine that met the error.
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
	l.eng.dead.Store(true)
	l.fatal(fmt.Errorf("engine: "+format, args...))
	runtime.Goexit()
}

// heldLogs are logs that the engine has replayed and would remove. They stay
// until the journal is proven: a refused start must not destroy the evidence.
type heldLogs struct {
	mu     sync.Mutex
	proven bool
	names  []string
}

func (h *heldLogs) hold(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.proven {
		h.names = append(h.names, name)
	}
	return !h.proven
}

// proven lets the engine remove its old logs from now on.
func (e *engine) proven() error {
	e.held.mu.Lock()
	defer e.held.mu.Unlock()
	e.held.proven = true
	var errs error
	for _, name := range e.held.names {
		if err := e.disk.Remove(name); !errors.Is(err, os.ErrNotExist) {
			errs = errors.Join(errs, err)
		}
	}
	e.held.names = nil
	return errs
}

// watchedFS counts the fsyncs of logs and holds back their removal.
type watchedFS struct {
	vfs.FS
	eng *engine
}

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

func (w watchedFS) watch(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !isLog(name) {
		return f, err
	}
	return countedFile{File: f, syncs: &w.eng.syncs}, nil
}

// settle makes the names of the folder durable before a marker, which says by
// its own name which file is current, is made or removed. The engine counts on
// names reaching the disk in order, and file systems do not promise that: a
// marker could outlive a power cut that its file did not, or both markers be gone.
func (w watchedFS) settle(name string) error {
	if !strings.HasPrefix(w.PathBase(name), "marker.") {
		return nil
	}
	return w.eng.syncDir()
}

func (w watchedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := w.settle(name); err != nil {
		return nil, err
	}
	f, err := w.FS.Create(name, category)
	return w.watch(name, f, err)
}

func (w watchedFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.ReuseForWrite(oldname, newname, category)
	return w.watch(newname, f, err)
}

func (w watchedFS) Remove(name string) error {
	if isLog(name) && w.eng.held.hold(name) {
		return nil
	}
	if err := w.settle(name); err != nil {
		return err
	}
	return w.FS.Remove(name)
}

func (w watchedFS) Unwrap() vfs.FS { return w.FS }

type countedFile struct {
	vfs.File
	syncs *atomic.Uint64
}

func (f countedFile) Sync() error {
	f.syncs.Add(1)
	return f.File.Sync()
}

func (f countedFile) SyncData() error {
	f.syncs.Add(1)
	return f.File.SyncData()
}

// diskFS shows a Disk to the engine.
type diskFS struct{ d *Disk }

func (fs diskFS) handle(f *diskFile, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return diskHandle{f}, nil
}

func (fs diskFS) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.handle(fs.d.create(name))
}

func (fs diskFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.handle(fs.d.open(name, openExisting))
	if err == nil {
		for _, o := range opts {
			o.Apply(f)
		}
	}
	return f, err
}

func (fs diskFS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	return fs.handle(fs.d.open(name, openOrCreate))
}

func (fs diskFS) ReuseForWrite(oldname, newname string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.d.rename(oldname, newname); err != nil {
		return nil, err
	}
	return fs.handle(fs.d.open(newname, openExisting))
}

func (fs diskFS) OpenDir(name string) (vfs.File, error)    { return fs.handle(fs.d.openDir(name)) }
func (fs diskFS) Link(oldname, newname string) error       { return fs.d.link(oldname, newname) }
func (fs diskFS) Remove(name string) error                 { return fs.d.remove(name) }
func (fs diskFS) RemoveAll(name string) error              { return fs.d.removeAll(name) }
func (fs diskFS) Rename(oldname, newname string) error     { return fs.d.rename(oldname, newname) }
func (fs diskFS) MkdirAll(dir string, _ os.FileMode) error { return fs.d.mkdirAll(dir) }
func (fs diskFS) Lock(name string) (io.Closer, error)      { return fs.d.lock(name) }
func (fs diskFS) List(dir string) ([]string, error)        { return fs.d.list(dir) }
func (fs diskFS) PathBase(p string) string                 { return path.Base(p) }
func (fs diskFS) PathJoin(elem ...string) string           { return path.Join(elem...) }
func (fs diskFS) PathDir(p string) string                  { return path.Dir(p) }
func (fs diskFS) Unwrap() vfs.FS                           { return nil }

func (fs diskFS) Stat(name string) (vfs.FileInfo, error) {
	f, err := fs.d.stat(name)
	return diskInfo{f}, err
}

func (fs diskFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	free, used := fs.d.space()
	return vfs.DiskUsage{AvailBytes: free, UsedBytes: used, TotalBytes: free + used}, nil
}

// diskHandle is an open file of a Disk.
type diskHandle struct{ *diskFile }

func (h diskHandle) Stat() (vfs.FileInfo, error)  { return diskInfo{h.info()}, nil }
func (h diskHandle) SyncData() error              { return h.Sync() }
func (h diskHandle) SyncTo(int64) (bool, error)   { return false, nil }
func (h diskHandle) Preallocate(_, _ int64) error { return nil }
func (h diskHandle) Prefetch(_, _ int64) error    { return nil }
func (h diskHandle) Fd() uintptr                  { return vfs.InvalidFd }

type diskInfo struct{ os.FileInfo }

func (diskInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
