package storage

import (
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// sector is the unit that a crash keeps or loses as a whole.
const sector = 512

// Disk is a disk in memory for tests of this floor and of those above: it knows
// what was synced, can be cloned as a power cut would leave it, and fails on
// command. It may be used inside a testing/synctest bubble; only the sync of a
// log sleeps, because the engine syncs logs without holding a lock. Safe for
// concurrent use.
type Disk struct {
	mu     sync.Mutex
	dirs   map[string]*diskDir
	locks  map[string]bool
	faults Faults
	ops    uint64
	syncs  uint64
	room   int64 // bytes that still may be written; valid if faults.Space > 0
	used   int64
}

// Faults of a Disk. The zero value is a disk without faults.
type Faults struct {
	FailSync  uint64                          // the n-th sync of a log from now on, and all after it, fail with EIO; 0: none
	Fail      func(op, name string) error     // asked before each write and sync of any file; its error is what the caller gets; must not use the Disk; nil: none
	Capacity  int64                           // bytes that all files may hold together; above: ENOSPC; 0: no limit
	Space     int64                           // after so many bytes written from now on: ENOSPC; 0: no limit
	SyncDelay func() time.Duration            // how long a sync of a log takes; nil: no time
	Free      int64                           // free space to report; 0: plenty
	OnOp      func(n uint64, op, name string) // called before each changing operation: create, write, sync, rename, remove; must not use the Disk, except CrashClone
}

// Unsynced says what a crash does with data and names that were not synced.
type Unsynced uint8

// DropUnsynced loses all of it, KeepUnsynced none; RandomUnsynced decides for
// each sector and each name, by the seed.
const (
	DropUnsynced Unsynced = iota
	KeepUnsynced
	RandomUnsynced
)

// Crash tells how a power cut goes. The same Crash of the same disk content
// gives the same clone.
type Crash struct {
	Unsynced Unsynced
	Seed     uint64
}

// diskDir is one folder; sub-folders are folders of their own.
type diskDir struct {
	files  map[string]*diskNode
	synced map[string]*diskNode
}

// diskNode is the content of a file. dirty holds what stood on the platter in
// the sectors that were written since the last sync.
type diskNode struct {
	data    []byte
	onDisk  int // bytes of data that the platter holds
	dirty   map[int][]byte
	changed time.Time
}

// NewMemDisk returns an empty disk.
func NewMemDisk() *Disk {
	return &Disk{dirs: map[string]*diskDir{".": newDiskDir()}, locks: map[string]bool{}}
}

func newDiskDir() *diskDir {
	return &diskDir{files: map[string]*diskNode{}, synced: map[string]*diskNode{}}
}

// SetFaults replaces the faults; the counters of FailSync and Space begin anew.
func (d *Disk) SetFaults(f Faults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults, d.syncs, d.room = f, 0, f.Space
}

// Ops is the number of changing operations so far.
func (d *Disk) Ops() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// Files returns the names of all files in order.
func (d *Disk) Files() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for dir, content := range d.dirs {
		for name := range content.files {
			names = append(names, path.Join(dir, name))
		}
	}
	slices.Sort(names)
	return names
}

// ReadFile returns a copy of a file's content, nil if there is none.
func (d *Disk) ReadFile(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.node(name); n != nil {
		return slices.Clone(n.data)
	}
	return nil
}

// WriteFile puts data under a name, synced, as if it had always been there.
// With nil the file is lost. It is how a test damages a disk.
func (d *Disk) WriteFile(name string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, base := d.split(name)
	if dir == nil {
		return
	}
	if data == nil {
		delete(dir.files, base)
		delete(dir.synced, base)
		return
	}
	n := &diskNode{data: slices.Clone(data), onDisk: len(data), changed: time.Now()}
	dir.files[base], dir.synced[base] = n, n
}

// CrashClone returns the disk as a power cut at this moment would leave it. The
// clone has no faults and no locks; the old disk goes on.
func (d *Disk) CrashClone(c Crash) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	fate := fates{mode: c.Unsynced, rng: rand.New(rand.NewPCG(c.Seed, 0x7472616e7a6974))}
	clone := &Disk{dirs: map[string]*diskDir{}, locks: map[string]bool{}}
	copies := map[*diskNode]*diskNode{}
	for _, name := range slices.Sorted(maps.Keys(d.dirs)) {
		clone.dirs[name] = d.dirs[name].crash(&fate, copies)
	}
	return clone
}

type fates struct {
	mode Unsynced
	rng  *rand.Rand
}

func (f *fates) kept() bool {
	return f.mode == KeepUnsynced || f.mode == RandomUnsynced && f.rng.IntN(2) == 0
}

func (dir *diskDir) crash(fate *fates, copies map[*diskNode]*diskNode) *diskDir {
	names := maps.Clone(dir.synced)
	for name := range dir.files {
		names[name] = dir.files[name]
	}
	out := newDiskDir()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		now, then := dir.files[name], dir.synced[name]
		n := then
		if now != then && fate.kept() {
			n = now
		}
		if n == nil {
			continue
		}
		if copies[n] == nil {
			copies[n] = n.crash(fate)
		}
		out.files[name], out.synced[name] = copies[n], copies[n]
	}
	return out
}

func (n *diskNode) crash(fate *fates) *diskNode {
	out := slices.Clone(n.data[:n.onDisk])
	for _, i := range slices.Sorted(maps.Keys(n.dirty)) {
		at := i * sector
		if fate.kept() {
			end := min(at+sector, len(n.data))
			if grow := end - len(out); grow > 0 {
				out = append(out, make([]byte, grow)...)
			}
			copy(out[at:end], n.data[at:end])
		} else if at < n.onDisk {
			copy(out[at:], n.dirty[i])
		}
	}
	return &diskNode{data: out, onDisk: len(out), changed: n.changed}
}

// write puts p at off and remembers what the platter holds there.
func (n *diskNode) write(p []byte, off int) {
	if n.dirty == nil {
		n.dirty = map[int][]byte{}
	}
	first := off
	if off > len(n.data) {
		first = len(n.data)
		n.data = append(n.data, make([]byte, off-len(n.data))...)
	}
	for i := first / sector; i*sector < off+len(p); i++ {
		if _, known := n.dirty[i]; !known {
			from, to := min(i*sector, n.onDisk), min((i+1)*sector, n.onDisk)
			n.dirty[i] = slices.Clone(n.data[from:to])
		}
	}
	over := copy(n.data[off:], p)
	n.data = append(n.data, p[over:]...)
	n.changed = time.Now()
}

func (n *diskNode) sync() {
	n.onDisk = len(n.data)
	clear(n.dirty)
}

func (d *Disk) split(name string) (*diskDir, string) {
	name = clean(name)
	return d.dirs[path.Dir(name)], path.Base(name)
}

func clean(name string) string {
	return path.Clean(strings.TrimPrefix(path.Clean(name), "/"))
}

func (d *Disk) node(name string) *diskNode {
	if dir, base := d.split(name); dir != nil {
		return dir.files[base]
	}
	return nil
}

func missing(op, name string) error {
	return &os.PathError{Op: op, Path: name, Err: os.ErrNotExist}
}

// begin announces a changing operation. It is called without the lock, so
// that the hook can clone the disk.
func (d *Disk) begin(op, name string) {
	d.mu.Lock()
	d.ops++
	n, hook := d.ops, d.faults.OnOp
	d.mu.Unlock()
	if hook != nil {
		hook(n, op, clean(name))
	}
}

func (d *Disk) create(name string) (*diskFile, error) {
	d.begin("create", name)
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, base := d.split(name)
	if dir == nil {
		return nil, missing("create", name)
	}
	n := &diskNode{changed: time.Now()}
	dir.files[base] = n
	return &diskFile{disk: d, node: n, name: clean(name)}, nil
}

type openMode uint8

const (
	openExisting openMode = iota
	openOrCreate
)

func (d *Disk) open(name string, mode openMode) (*diskFile, error) {
	d.mu.Lock()
	n := d.node(name)
	dir := d.dirs[clean(name)]
	d.mu.Unlock()
	switch {
	case n != nil:
		return &diskFile{disk: d, node: n, name: clean(name)}, nil
	case dir != nil:
		return &diskFile{disk: d, dir: dir, name: clean(name)}, nil
	case mode == openOrCreate:
		return d.create(name)
	}
	return nil, missing("open", name)
}

func (d *Disk) openDir(name string) (*diskFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dir := d.dirs[clean(name)]; dir != nil {
		return &diskFile{disk: d, dir: dir, name: clean(name)}, nil
	}
	return nil, missing("open", name)
}

func (d *Disk) stat(name string) (os.FileInfo, error) {
	f, err := d.open(name, openExisting)
	if err != nil {
		return nil, err
	}
	return f.info(), nil
}

func (d *Disk) link(oldname, newname string) error {
	d.begin("link", newname)
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.node(oldname)
	dir, base := d.split(newname)
	switch {
	case n == nil || dir == nil:
		return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: os.ErrNotExist}
	case dir.files[base] != nil:
		return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: os.ErrExist}
	}
	dir.files[base] = n
	return nil
}

func (d *Disk) rename(oldname, newname string) error {
	d.begin("rename", newname)
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.node(oldname)
	from, old := d.split(oldname)
	to, base := d.split(newname)
	if n == nil || to == nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: os.ErrNotExist}
	}
	delete(from.files, old)
	to.files[base] = n
	return nil
}

func (d *Disk) remove(name string) error {
	d.begin("remove", name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.node(name) == nil {
		return missing("remove", name)
	}
	dir, base := d.split(name)
	delete(dir.files, base)
	return nil
}

func (d *Disk) removeAll(name string) error {
	d.begin("remove", name)
	d.mu.Lock()
	defer d.mu.Unlock()
	name = clean(name)
	if dir, base := d.split(name); dir != nil {
		delete(dir.files, base)
	}
	for dir := range d.dirs {
		if dir == name || strings.HasPrefix(dir, name+"/") {
			delete(d.dirs, dir)
		}
	}
	return nil
}

// mkdirAll makes folders that a crash does not lose.
func (d *Disk) mkdirAll(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name = clean(name); d.dirs[name] == nil; name = path.Dir(name) {
		d.dirs[name] = newDiskDir()
	}
	return nil
}

func (d *Disk) list(name string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = clean(name)
	dir := d.dirs[name]
	if dir == nil {
		return nil, missing("open", name)
	}
	names := slices.Collect(maps.Keys(dir.files))
	for sub := range d.dirs {
		if sub != name && path.Dir(sub) == name {
			names = append(names, path.Base(sub))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (d *Disk) space() (free, used uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.faults.Free > 0:
		return uint64(d.faults.Free), uint64(d.used)
	case d.faults.Capacity > 0:
		used := d.held()
		return uint64(max(0, d.faults.Capacity-used)), uint64(used)
	}
	return 1 << 40, uint64(d.used)
}

// held is what all files hold together. REQUIRES: mu.
func (d *Disk) held() (sum int64) {
	for _, dir := range d.dirs {
		for _, n := range dir.files {
			sum += int64(len(n.data))
		}
	}
	return sum
}

// fault asks Faults.Fail.
func (d *Disk) fault(op, name string) error {
	d.mu.Lock()
	fail := d.faults.Fail
	d.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(op, name)
}

type diskLock struct {
	disk *Disk
	name string
}

func (l *diskLock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	delete(l.disk.locks, l.name)
	return nil
}

func (d *Disk) lock(name string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = clean(name)
	if d.locks[name] {
		return nil, syscall.EAGAIN
	}
	dir, base := d.split(name)
	if dir == nil {
		return nil, missing("lock", name)
	}
	if dir.files[base] == nil {
		dir.files[base] = &diskNode{}
	}
	d.locks[name] = true
	return &diskLock{disk: d, name: name}, nil
}
