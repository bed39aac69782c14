package storage

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// The ledger lists the files on which the journal stands, each with its size
// and checksum. The engine protects the blocks of its tables; it does not
// notice that its own list of tables (the MANIFEST) ends early, that a marker
// is lost or that a log in the middle is missing. The ledger does. It is one
// small text file, replaced as a whole and durably after each sync of the
// MANIFEST, and checked before the engine touches anything.
const (
	ledgerName    = "LEDGER"
	ledgerVersion = "tranzit ledger 1"
	ledgerChunk   = 256 << 10 // bytes read at once for a checksum
)

// folder is what the ledger needs of the file system.
type folder interface {
	list() ([]string, error)
	open(name string) (anchorFile, int64, error) // with its size
	replace(name string, content []byte) error   // durable, and all or nothing
}

// fileEntry is what the ledger knows of a file. A MANIFEST grows: its entry
// stands for the bytes that were synced.
type fileEntry struct {
	size int64
	sum  uint32
}

// ledger is safe for concurrent use.
type ledger struct {
	dir    folder
	quiet  bool        // nothing is written: the store is open for reading
	behind atomic.Bool // the disk was full when the file should have been written

	mu       sync.Mutex     // held while the file is written, so that versions do not cross
	applying *atomic.Uint64 // the batch that is being written, nil until the journal is proven
	files    map[string]fileEntry
	markers  []string          // names that are durable; the newest of each kind must be there
	logs     map[string]uint64 // first batch that a log may hold
	floor    uint64            // all batches below are in tables
}

// noBatch is the first batch of a log that was begun before the journal was proven.
const noBatch = math.MaxUint64

func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}
func isLog(name string) bool      { return strings.HasSuffix(name, ".log") }
func isManifest(name string) bool { return strings.HasPrefix(name, "MANIFEST-") }
func isOptions(name string) bool  { return strings.HasPrefix(name, "OPTIONS-") }
func isMarker(name string) bool   { return strings.HasPrefix(name, "marker.") }

// encode writes the ledger; mu is held.
func (l *ledger) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nfloor %d\n", ledgerVersion, l.lowest())
	for _, m := range l.markers {
		fmt.Fprintf(&b, "marker %s\n", m)
	}
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		if isTable(name) || isManifest(name) || isOptions(name) {
			e := l.files[name]
			fmt.Fprintf(&b, "file %s %d %08x\n", name, e.size, e.sum)
		}
	}
	fmt.Fprintf(&b, "sum %08x\n", crc32.Checksum(b.Bytes(), castagnoli))
	return b.Bytes()
}

// parse reads what encode wrote. Any changed byte is an error.
func (l *ledger) parse(content []byte) error {
	body, last, ok := bytes.Cut(content, []byte("\nsum "))
	body = content[:min(len(body)+1, len(content))]
	if !ok || string(last) != fmt.Sprintf("%08x\n", crc32.Checksum(body, castagnoli)) {
		return errors.New("its checksum does not fit")
	}
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	if lines[0] != ledgerVersion {
		return fmt.Errorf("it is not a %q", ledgerVersion)
	}
	for i, line := range lines[1:] {
		if err := l.parseLine(strings.Fields(line)); err != nil {
			return fmt.Errorf("line %d: %w", i+2, err)
		}
	}
	return nil
}

func (l *ledger) parseLine(f []string) (err error) {
	switch {
	case len(f) == 2 && f[0] == "floor":
		l.floor, err = strconv.ParseUint(f[1], 10, 64)
		return err
	case len(f) == 2 && f[0] == "marker":
		l.markers = append(l.markers, f[1])
		return nil
	case len(f) == 4 && f[0] == "file":
		size, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return err
		}
		sum, err := strconv.ParseUint(f[3], 16, 32)
		l.files[f[1]] = fileEntry{size, uint32(sum)}
		return err
	}
	return errors.New("it is not understood")
}

// lowest is the floor of the moment; mu is held.
func (l *ledger) lowest() uint64 {
	low := uint64(noBatch)
	for _, first := range l.logs {
		low = min(low, first)
	}
	if low == noBatch {
		return l.floor
	}
	return low
}

// save makes the ledger durable; mu is held.
func (l *ledger) save() error {
	if l.quiet {
		return nil
	}
	l.floor = l.lowest()
	if err := l.dir.replace(ledgerName, l.encode()); err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	l.behind.Store(false)
	return nil
}

// written takes the size and checksum of a file that was closed.
func (l *ledger) written(name string, e fileEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files[name] = e
}

// synced takes the state of a MANIFEST that was synced, and is durable before
// the engine acts on it: removes a log or a table, or moves a marker. On a full
// disk an older ledger of the same MANIFEST stays, a weaker proof but a true one.
func (l *ledger) synced(name string, e fileEntry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.files[name]
	l.files[name] = e
	err := l.save()
	if known && errors.Is(err, syscall.ENOSPC) {
		l.behind.Store(true)
		return nil
	}
	return err
}

// catchUp writes what a full disk did not take, and reports whether it did.
func (l *ledger) catchUp() (bool, error) {
	if !l.behind.Load() {
		return false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.save()
	if errors.Is(err, syscall.ENOSPC) {
		return false, nil
	}
	return err == nil, err
}

func (l *ledger) renamed(oldname, newname string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, known := l.files[oldname]; known {
		delete(l.files, oldname)
		l.files[newname] = e
	}
}

// begun notes a new log.
func (l *ledger) begun(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logs[name] = noBatch
	if l.applying != nil {
		l.logs[name] = max(l.applying.Load(), 1)
	}
}

// gone forgets files that are about to be removed. Of those that must be there
// at the next start this is made durable first.
func (l *ledger) gone(names ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	needed := false
	for _, name := range names {
		_, known := l.files[name]
		needed = needed || known && !isTable(name)
		delete(l.files, name)
		delete(l.logs, name)
	}
	if !needed {
		return nil
	}
	return l.save()
}

// marked says that these names are durable in the folder.
func (l *ledger) marked(names []string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.markers = newestMarkers(names)
	return l.save()
}

// proven: the journal reaches seq, and the batches to come go into the logs
// begun since. held are the files that the engine no longer needs.
func (l *ledger) proven(applying *atomic.Uint64, names, held []string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range held {
		delete(l.files, name)
		delete(l.logs, name)
	}
	for name, first := range l.logs {
		if first == noBatch {
			l.logs[name] = applying.Load() + 1
		}
	}
	l.applying = applying
	l.markers = newestMarkers(names)
	return l.save()
}

// entry returns what is known of a file.
func (l *ledger) entry(name string) (fileEntry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, known := l.files[name]
	return e, known
}

// splitMarker reads marker.KIND.TURN.VALUE.
func splitMarker(name string) (kind string, turn uint64, value string, ok bool) {
	p := strings.SplitN(name, ".", 4)
	if len(p) != 4 || p[0] != "marker" {
		return "", 0, "", false
	}
	turn, err := strconv.ParseUint(p[2], 10, 64)
	return p[1], turn, p[3], err == nil
}

// newestMarkers picks the marker of each kind that counts, in order.
func newestMarkers(names []string) []string {
	newest := map[string]string{}
	for _, name := range names {
		kind, turn, _, ok := splitMarker(name)
		if !ok {
			continue
		}
		if _, other, _, had := splitMarker(newest[kind]); !had || turn > other {
			newest[kind] = name
		}
	}
	return slices.Sorted(maps.Values(newest))
}

// load reads the ledger of an existing store and checks the small files: the
// markers, the MANIFEST and the OPTIONS, byte by byte. Of the tables it checks
// the sizes; it returns the tables that are there and their bytes in all.
func (l *ledger) load() (tables []string, total int64, err error) {
	names, err := l.dir.list()
	if err != nil {
		return nil, 0, fmt.Errorf("storage: listing the folder: %w", err)
	}
	present := map[string]bool{}
	for _, name := range names {
		present[name] = true
	}
	markers := newestMarkers(names)
	if !present[ledgerName] {
		for _, m := range markers {
			if kind, _, _, _ := splitMarker(m); kind == "manifest" {
				return nil, 0, fmt.Errorf("%w: file %s is missing", ErrCorrupt, ledgerName)
			}
		}
		return nil, 0, nil
	}
	if err := l.read(); err != nil {
		return nil, 0, err
	}
	for _, name := range names {
		if isLog(name) {
			l.logs[name] = l.floor
		}
	}
	if err := l.checkMarkers(markers); err != nil {
		return nil, 0, err
	}
	if err := l.checkSmall(markers); err != nil {
		return nil, 0, err
	}
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		if isTable(name) && present[name] {
			if err := l.checkSize(name); err != nil {
				return nil, 0, err
			}
			tables, total = append(tables, name), total+l.files[name].size
		}
	}
	return tables, total, nil
}

func (l *ledger) read() error {
	f, size, err := l.dir.open(ledgerName)
	if err != nil {
		return fmt.Errorf("storage: opening the ledger: %w", err)
	}
	content := make([]byte, size)
	if _, err := f.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("storage: reading the ledger: %w", err), f.Close())
	}
	if err := l.parse(content); err != nil {
		return errors.Join(fmt.Errorf("%w: file %s: %w", ErrCorrupt, ledgerName, err), f.Close())
	}
	return f.Close()
}

// checkMarkers: no marker is older than the ledger's.
func (l *ledger) checkMarkers(present []string) error {
	for _, want := range l.markers {
		kind, turn, value, _ := splitMarker(want)
		there := false
		for _, m := range present {
			k, n, v, _ := splitMarker(m)
			there = there || k == kind && (n > turn || n == turn && v == value)
		}
		if !there {
			return fmt.Errorf("%w: file %s is missing", ErrCorrupt, want)
		}
	}
	return nil
}

// checkSmall: the current MANIFEST begins with what was synced of it, and the
// newest OPTIONS are as they were written.
func (l *ledger) checkSmall(markers []string) error {
	for _, m := range markers {
		if kind, _, manifest, _ := splitMarker(m); kind == "manifest" {
			if _, known := l.files[manifest]; !known {
				return fmt.Errorf("%w: file %s names %s, which is not in file %s", ErrCorrupt, m, manifest, ledgerName)
			}
			if err := l.check(manifest, nil); err != nil {
				return err
			}
		}
	}
	var options string
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		if isOptions(name) {
			options = name
		}
	}
	if options == "" {
		return nil
	}
	return l.check(options, nil)
}

func (l *ledger) checkSize(name string) error {
	want, _ := l.entry(name)
	f, size, err := l.dir.open(name)
	if err != nil {
		return l.missing(name, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("storage: file %s: %w", name, err)
	}
	return sizeFits(name, size, want.size)
}

func sizeFits(name string, size, want int64) error {
	if size < want || size > want && !isManifest(name) {
		return fmt.Errorf("%w: file %s has %d bytes, the ledger says %d", ErrCorrupt, name, size, want)
	}
	return nil
}

func (l *ledger) missing(name string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: file %s is missing", ErrCorrupt, name)
	}
	return fmt.Errorf("storage: opening %s: %w", name, err)
}

// check reads a file and compares it with its entry. A file without one, as a
// crash between the MANIFEST and the ledger leaves it, is entered. read is told
// of the bytes of each chunk, and may stop the work by an error.
func (l *ledger) check(name string, read func(n int) error) error {
	want, known := l.entry(name)
	f, size, err := l.dir.open(name)
	if err != nil {
		return l.missing(name, err)
	}
	defer f.Close()
	if !known {
		want.size = size
	} else if err := sizeFits(name, size, want.size); err != nil {
		return err
	}
	sum, err := checksum(f, want.size, read)
	switch {
	case err != nil:
		return fmt.Errorf("storage: file %s: %w", name, err)
	case !known:
		l.written(name, fileEntry{size, sum})
	case sum != want.sum:
		return fmt.Errorf("%w: file %s: its %d bytes give the checksum %08x, the ledger says %08x", ErrCorrupt, name, want.size, sum, want.sum)
	}
	return nil
}

// checksum reads size bytes from the beginning of f.
func checksum(f io.ReaderAt, size int64, read func(n int) error) (sum uint32, err error) {
	buf := make([]byte, min(size, ledgerChunk))
	for at := int64(0); at < size; {
		chunk := buf[:min(size-at, int64(len(buf)))]
		if n, err := f.ReadAt(chunk, at); n < len(chunk) {
			return 0, fmt.Errorf("reading at %d: %w", at, err)
		}
		sum = crc32.Update(sum, castagnoli, chunk)
		at += int64(len(chunk))
		if read != nil {
			if err := read(len(chunk)); err != nil {
				return 0, err
			}
		}
	}
	return sum, nil
}
