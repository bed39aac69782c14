package storage

import (
	"hash/crc32"
	"io"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// This file is the file system that the engine sees.

// sparingFile is a table that a compaction writes. A compaction needs room for
// its whole output; the reserve is not for it. It fails, gives its room back,
// and is tried again when there is more.
type sparingFile struct {
	vfs.File
	eng *engine
}

// Write implements io.Writer.
func (f sparingFile) Write(p []byte) (int, error) {
	if f.eng.short() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

// watchedFS counts the fsyncs of logs, keeps the ledger, and holds removals back.
type watchedFS struct {
	vfs.FS
	eng *engine
}

func (w watchedFS) watch(name string, f vfs.File, err error) (vfs.File, error) {
	base := w.PathBase(name)
	switch {
	case err != nil:
		return f, err
	case isLog(base):
		w.eng.led.begun(base)
		return countedFile{File: f, syncs: &w.eng.syncs}, nil
	case isTable(base) || isManifest(base) || strings.HasSuffix(base, ".dbtmp"):
		return &summedFile{File: f, led: w.eng.led, name: base}, nil
	}
	return f, nil
}

// settle makes the names of the folder durable before a marker, which says by
// its own name which file is current, is made or removed. The engine counts on
// names reaching the disk in order, and file systems do not promise that: a
// marker could outlive a power cut that its file did not, or both markers be gone.
func (w watchedFS) settle(name string) error {
	if !isMarker(w.PathBase(name)) {
		return nil
	}
	return w.eng.syncDir()
}

func (w watchedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if base := w.PathBase(name); !w.eng.settled.Load() && (isLog(base) || isManifest(base)) {
		w.eng.reading = base
	}
	return w.FS.Open(name, opts...)
}

func (w watchedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := w.settle(name); err != nil {
		return nil, err
	}
	if isTable(name) && w.eng.trouble.Swap(false) {
		time.Sleep(retryPause)
	}
	f, err := w.FS.Create(name, category)
	f, err = w.watch(name, f, err)
	if err == nil && category == compactionCategory {
		f = sparingFile{f, w.eng}
	}
	return f, err
}

func (w watchedFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.ReuseForWrite(oldname, newname, category)
	if err == nil {
		err = w.eng.led.gone(w.PathBase(oldname))
	}
	return w.watch(newname, f, err)
}

func (w watchedFS) Rename(oldname, newname string) error {
	err := w.FS.Rename(oldname, newname)
	if err == nil {
		w.eng.led.renamed(w.PathBase(oldname), w.PathBase(newname))
	}
	return err
}

func (w watchedFS) Remove(name string) error {
	if isLog(name) && w.eng.held.hold(name) {
		return nil
	}
	base := w.PathBase(name)
	if (isTable(base) || isManifest(base) || isOptions(base)) && w.eng.held.hold(name) {
		return nil
	}
	if err := w.settle(name); err != nil {
		return err
	}
	if err := w.forget(base); err != nil {
		return err
	}
	return w.FS.Remove(name)
}

// forget tells the ledger of a removal before it happens. The old marker is
// removed when the new one is durable.
func (w watchedFS) forget(base string) error {
	if !isMarker(base) {
		return w.eng.led.gone(base)
	}
	w.eng.held.mu.Lock()
	proven := w.eng.held.proven
	w.eng.held.mu.Unlock()
	if !proven {
		return nil
	}
	names, err := w.eng.list()
	if err != nil {
		return err
	}
	return w.eng.led.marked(names)
}

// summedFile computes the checksum of what is written to it, from the beginning
// to the end, and tells the ledger.
type summedFile struct {
	vfs.File
	led  *ledger
	name string
	got  fileEntry
}

// Write implements io.Writer.
func (f *summedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.got.size += int64(n)
	f.got.sum = crc32.Update(f.got.sum, castagnoli, p[:n])
	return n, err
}

// Sync implements vfs.File.
func (f *summedFile) Sync() error { return f.enter(f.File.Sync()) }

// SyncData implements vfs.File.
func (f *summedFile) SyncData() error { return f.enter(f.File.SyncData()) }

func (f *summedFile) enter(err error) error {
	if err == nil && isManifest(f.name) {
		err = f.led.synced(f.name, f.got)
	}
	return err
}

// Close implements io.Closer.
func (f *summedFile) Close() error {
	if !isManifest(f.name) {
		f.led.written(f.name, f.got)
	}
	return f.File.Close()
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
