// Package storage is Tranzit's journal: durable commands that do not know what
// a payment is. A command claims keys (put-if-absent), appends versioned
// records and keeps indexes, all in one atomic step; Do returns after the step
// is on disk. One committer gathers the commands of all callers into groups
// that share one fsync, and readers see only what a power cut cannot take back.
//
// Appended records stand under a hash chain. The head of the chain is anchored
// in a small file outside the engine's log, so that a lost or altered tail of
// the log makes Open fail instead of passing in silence.
//
// Lock order: the queue, the watermark and the counters each have a leaf lock.
// No lock is held while waiting for the disk.
package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ID names a history of records. IDs that grow with time keep compaction cheap.
type ID [16]byte

// Space is the first byte of a key. Callers own 0x20..0x7e, storage the rest.
type Space byte

const (
	firstSpace Space = 0x20
	lastSpace  Space = 0x7e
)

func (sp Space) valid() bool { return sp >= firstSpace && sp <= lastSpace }

// Errors of the store. Compare with errors.Is.
var (
	ErrClosed      = errors.New("storage: the store is closed")
	ErrFailed      = errors.New("storage: the store has failed; what was not acknowledged is not known to be durable")
	ErrReadOnly    = errors.New("storage: the store is open for reading only")
	ErrLocked      = errors.New("storage: the store is already open, here or in another process")
	ErrCorrupt     = errors.New("storage: the journal is damaged")
	ErrNotFound    = errors.New("storage: there is no store in this directory")
	ErrDiskReserve = errors.New("storage: free disk space is below the reserve")
	ErrSlow        = errors.New("storage: the disk does not keep up with the queue")
	ErrCommand     = errors.New("storage: the command breaks a limit")
)

// Defaults and bounds of Options.
const (
	DefaultReserveBytes  = 256 << 20
	DefaultCacheBytes    = 32 << 20
	DefaultMemtableBytes = 16 << 20
	DefaultSlowAfter     = 750 * time.Millisecond
	DefaultDiskCheck     = 250 * time.Millisecond
	DefaultCheckAtOpen   = 64 << 20
	DefaultScrubRate     = 64 << 20

	// A Disk in memory holds small stores, and a simulation opens thousands of them.
	SimulationMemtableBytes = 256 << 10
	SimulationCacheBytes    = 1 << 20
)

// Options of Open. The zero value of a field takes its default.
type Options struct {
	Dir           string                // folder of the store; default on a Disk: "journal"
	Disk          *Disk                 // a disk in memory for tests; default: the file system of the machine
	Logger        *slog.Logger          // default: slog.Default()
	Registerer    prometheus.Registerer // where metrics go; default: nowhere
	OnFatal       func(error)           // called once when the store fails, to end the process: what the engine has in hand may never be answered; default: log one line, exit with status 3
	ReserveBytes  int64                 // free space under which Accepting refuses; default 256 MiB, negative: no reserve
	CacheBytes    int64                 // block cache; default 32 MiB, on a Disk 1 MiB
	MemtableBytes int64                 // one memtable; default 16 MiB, on a Disk 256 KiB
	SlowAfter     time.Duration         // age of the oldest waiting command at which Accepting refuses; default 750 ms
	DiskCheck     time.Duration         // period of the disk space check; default 250 ms
	DiskFree      func() (int64, error) // free bytes; default: asks the file system of Dir
	CheckAtOpen   int64                 // tables of up to so many bytes in all are read whole at Open; default 64 MiB, negative: none
	ScrubRate     int64                 // bytes a second at which larger ones are read after Open; default 64 MiB, negative: they are not
	ReadOnly      bool                  // for tools, while no other process has the store open
}

// EnsureDefaults fills zero fields.
func (o *Options) EnsureDefaults() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.OnFatal == nil {
		log := o.Logger
		o.OnFatal = func(err error) {
			log.Error("the journal failed; the process stops", "error", err)
			os.Exit(3)
		}
	}
	if o.Disk != nil && o.Dir == "" {
		o.Dir = "journal"
	}
	if o.ReserveBytes == 0 {
		o.ReserveBytes = DefaultReserveBytes
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
		if o.Disk != nil {
			o.CacheBytes = SimulationCacheBytes
		}
	}
	if o.MemtableBytes == 0 {
		o.MemtableBytes = DefaultMemtableBytes
		if o.Disk != nil {
			o.MemtableBytes = SimulationMemtableBytes
		}
	}
	if o.SlowAfter == 0 {
		o.SlowAfter = DefaultSlowAfter
	}
	if o.DiskCheck == 0 {
		o.DiskCheck = DefaultDiskCheck
	}
	if o.CheckAtOpen == 0 {
		o.CheckAtOpen = DefaultCheckAtOpen
	}
	if o.ScrubRate == 0 {
		o.ScrubRate = DefaultScrubRate
	}
}

// Validate checks bounds; the error names the field.
func (o *Options) Validate() error {
	switch {
	case o.Dir == "":
		return errors.New("storage: Dir is empty")
	case o.CacheBytes < 1<<20 || o.CacheBytes > 64<<30:
		return fmt.Errorf("storage: CacheBytes is %d, must lie in 1 MiB..64 GiB", o.CacheBytes)
	case o.MemtableBytes < 64<<10 || o.MemtableBytes > 1<<30:
		return fmt.Errorf("storage: MemtableBytes is %d, must lie in 64 KiB..1 GiB", o.MemtableBytes)
	case o.SlowAfter < 0:
		return fmt.Errorf("storage: SlowAfter is %s, must not be negative", o.SlowAfter)
	case o.DiskCheck < 0:
		return fmt.Errorf("storage: DiskCheck is %s, must not be negative", o.DiskCheck)
	}
	return nil
}

// Store is an open journal. All methods are safe for concurrent use.
type Store struct {
	o       Options
	eng     *engine
	started time.Time
	gate    gate
	queue   queue
	marks   watermark
	count   counters
	limits  admission
	meter   meter
	scrub   scrub

	identity   storeID
	epoch      uint64
	opened     chainHash // head of the chain at Open
	pool       sync.Pool // of *pending; owned by the store, so that it never leaks into another synctest bubble
	free       chan *group
	pipe       chan *group
	chain      chain
	conditions conditions
	anchor     *anchor

	failure atomic.Pointer[error]
	stop    chan struct{}
	done    sync.WaitGroup
	closing sync.Once
	closed  error
}

// Open opens the store in o.Dir, or makes a new one there. It proves the tail
// of the hash chain and compares the chain's head with the anchor, and the files
// with the ledger: a journal that lost or changed acknowledged records, claims
// or indexes is refused with ErrCorrupt, which names the file or the batch. Of a
// store with more than Options.CheckAtOpen bytes of tables, their inside is
// checked after Open: damage found then fails the store.
// Unless ReadOnly, the store's epoch is raised durably before Open returns.
func Open(o Options) (*Store, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Store{o: o, started: time.Now(), stop: make(chan struct{})}
	s.queue.init()
	s.marks.init()
	s.meter.init()
	eng, err := openEngine(&s.o, s.fail)
	if err != nil {
		return nil, err
	}
	s.eng = eng
	eng.low = &s.limits.diskLow
	if err := s.recover(); err != nil {
		if s.anchor != nil {
			err = errors.Join(err, s.anchor.close())
		}
		return nil, errors.Join(err, eng.close())
	}
	if o.ReadOnly {
		return s, nil
	}
	if err := s.meter.register(o.Registerer, s); err != nil {
		return nil, errors.Join(err, s.anchor.close(), eng.close())
	}
	if err := s.startScrub(); err != nil {
		return nil, errors.Join(err, s.anchor.close(), eng.close())
	}
	s.checkDisk()
	s.free, s.pipe = make(chan *group, pipeDepth), make(chan *group, pipeDepth)
	for i := range pipeDepth {
		s.free <- &group{batch: eng.newBatch(), oldest: &s.limits.oldest[i]}
	}
	s.done.Add(3)
	go s.commitLoop()
	go s.syncLoop()
	go s.housekeeping()
	return s, nil
}

// Close waits for the commands in hand, makes the anchor durable and closes
// the engine. Commands that come later get ErrClosed. Close must not be called
// from a yield function. It is safe to call it twice.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Store) close() error {
	s.gate.shut()
	var err error
	if !s.o.ReadOnly {
		s.meter.unregister(s.o.Registerer)
		s.queue.shut()
		close(s.stop)
		s.done.Wait()
		if s.failed() == nil {
			err = s.anchor.sync()
		}
		err = errors.Join(err, s.anchor.close())
	}
	return errors.Join(err, s.eng.close())
}

// fail makes the store refuse everything from now on. A store never continues
// after a failed write or sync: the kernel may have dropped the pages.
func (s *Store) fail(cause error) {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	if !s.failure.CompareAndSwap(nil, &err) {
		return
	}
	s.marks.wakeAll()
	s.o.OnFatal(err)
}

// failed returns nil, or the sticky failure that wraps ErrFailed.
func (s *Store) failed() error {
	if p := s.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// Epoch is the number of times this store was opened for writing. It is
// durable before Open returns, so that no two lives share one. A store open
// for reading shows the epoch of its last writer.
func (s *Store) Epoch() uint64 { return s.epoch }

// gate counts the callers inside the store, so that Close does not pull the
// engine away under them. The sign bit is the closed mark.
type gate struct {
	state atomic.Int64
	once  sync.Once
	made  atomic.Pointer[chan struct{}]
}

const gateClosed = -1 << 62

func (g *gate) enter() error {
	if g.state.Add(1) < 0 {
		g.leave()
		return ErrClosed
	}
	return nil
}

func (g *gate) leave() {
	if g.state.Add(-1) == gateClosed {
		if c := g.made.Load(); c != nil {
			g.once.Do(func() { close(*c) })
		}
	}
}

// shut refuses newcomers and waits until the last caller has left.
func (g *gate) shut() {
	c := make(chan struct{})
	g.made.Store(&c)
	if g.state.Add(gateClosed) == gateClosed {
		return
	}
	<-c
}
