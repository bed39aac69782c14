package storage

import (
	"io"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

// diskFile is an open file or folder of a Disk. Like the files of the machine
// it may be read and written by several goroutines.
type diskFile struct {
	disk *Disk
	node *diskNode // nil for a folder
	dir  *diskDir  // nil for a file
	name string
	pos  int
}

var errIsDir = syscall.EISDIR

// Close implements io.Closer.
func (f *diskFile) Close() error { return nil }

// Read implements io.Reader.
func (f *diskFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, int64(f.pos))
	f.pos += n
	if n > 0 {
		err = nil
	}
	return n, err
}

// ReadAt implements io.ReaderAt.
func (f *diskFile) ReadAt(p []byte, off int64) (int, error) {
	if f.node == nil {
		return 0, errIsDir
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Write implements io.Writer.
func (f *diskFile) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, int64(f.pos))
	f.pos += n
	return n, err
}

// WriteAt implements io.WriterAt. A full disk takes a part of p and ENOSPC.
func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	if f.node == nil {
		return 0, errIsDir
	}
	f.disk.begin("write", f.name)
	err := f.disk.fault("write", f.name)
	if err != nil {
		return 0, err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if d := f.disk; d.faults.Space > 0 {
		if int64(len(p)) > d.room {
			p, err = p[:d.room], syscall.ENOSPC
		}
		d.room -= int64(len(p))
	}
	if d := f.disk; d.faults.Capacity > 0 {
		room := max(0, d.faults.Capacity-d.held()+max(0, int64(len(f.node.data))-off))
		if int64(len(p)) > room {
			p, err = p[:room], syscall.ENOSPC
		}
	}
	f.node.write(p, int(off))
	f.disk.used += int64(len(p))
	return len(p), err
}

// Sync makes the content of a file, or the names of a folder, survive a crash.
func (f *diskFile) Sync() error {
	f.disk.begin("sync", f.name)
	if err := f.disk.fault("sync", f.name); err != nil {
		return err
	}
	if strings.HasSuffix(f.name, ".log") {
		if err := f.syncLog(); err != nil {
			return err
		}
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.node != nil {
		f.node.sync()
		return nil
	}
	clear(f.dir.synced)
	for name, n := range f.dir.files {
		f.dir.synced[name] = n
	}
	return nil
}

// syncLog takes the time and the faults of a log's sync.
func (f *diskFile) syncLog() error {
	f.disk.mu.Lock()
	f.disk.syncs++
	fail := f.disk.faults.FailSync > 0 && f.disk.syncs >= f.disk.faults.FailSync
	delay := f.disk.faults.SyncDelay
	f.disk.mu.Unlock()
	if delay != nil {
		if t := delay(); t > 0 {
			time.Sleep(t)
		}
	}
	if fail {
		return &os.PathError{Op: "sync", Path: f.name, Err: syscall.EIO}
	}
	return nil
}

func (f *diskFile) info() os.FileInfo {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	i := diskStat{name: path.Base(f.name), dir: f.node == nil}
	if f.node != nil {
		i.size, i.changed = int64(len(f.node.data)), f.node.changed
	}
	return i
}

type diskStat struct {
	name    string
	size    int64
	changed time.Time
	dir     bool
}

func (i diskStat) Name() string       { return i.name }
func (i diskStat) Size() int64        { return i.size }
func (i diskStat) ModTime() time.Time { return i.changed }
func (i diskStat) IsDir() bool        { return i.dir }
func (i diskStat) Sys() any           { return nil }

func (i diskStat) Mode() os.FileMode {
	if i.dir {
		return os.ModeDir | 0o700
	}
	return 0o600
}
