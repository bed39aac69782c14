package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestChainHash fixes the hash by an independent computation.
func TestChainHash(t *testing.T) {
	var store storeID
	copy(store[:], "0123456789abcdef")
	var c chain
	c.init(0, genesis(store))
	c.begin()
	c.add(appendRecordKey(nil, id(1), 2), []byte("body"))
	c.add(appendRecordKey(nil, id(3), 4), nil)
	record := bytes.Clone(c.finish())

	prev := sha256.Sum256([]byte("tranzit journal chain 1\n0123456789abcdef"))
	var b bytes.Buffer
	b.Write(prev[:])
	for _, part := range []any{
		uint64(1),
		[]byte(fmt.Sprintf("%016d", 1)), uint32(2), uint32(4), []byte("body"),
		[]byte(fmt.Sprintf("%016d", 3)), uint32(4), uint32(0),
	} {
		if err := binary.Write(&b, binary.BigEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	if want := sha256.Sum256(b.Bytes()); c.head != want {
		t.Errorf("got %x, want %x", c.head, want)
	}
	rec, err := parseBatchRecord(record)
	if err != nil || rec.prev != prev || rec.hash != c.head || rec.count() != 2 || rec.entry(1) != (chainEntry{id(3), 4}) {
		t.Errorf("got %+v, %v", rec, err)
	}
}

// TestAnchorSlot fixes the bytes of a slot.
func TestAnchorSlot(t *testing.T) {
	m := mark{seq: 1, epoch: 2, hash: chainHash{3}, store: storeID{4}}
	b := m.append(nil)
	want := "0000000000000001" + "00000002" + "03" + strings.Repeat("00", 31) + "04" + strings.Repeat("00", 15)
	if got := hex.EncodeToString(b); len(b) != anchorSlot || got[:120] != want {
		t.Errorf("got %s", got)
	}
	if got, ok := parseMark(b); !ok || got != m {
		t.Errorf("got %+v %v", got, ok)
	}
	for i := range b {
		for bit := range 8 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << bit
			if _, ok := parseMark(bad); ok {
				t.Errorf("a slot with bit %d of byte %d flipped is taken", bit, i)
			}
		}
	}
}

// written is a disk with a store of so many small records, as a kill would leave it.
func written(t *testing.T, records int) *Disk {
	t.Helper()
	d := NewMemDisk()
	s := openOn(t, d)
	for i := range records {
		must(t, s, func(c *Command) {
			c.Append(id(i), 1, fmt.Appendf(nil, "record %d %s", i, strings.Repeat("x", 200)))
		})
	}
	clone := d.CrashClone(Crash{Unsynced: KeepUnsynced})
	closeStore(t, s)
	return clone
}

func find(t *testing.T, d *Disk, suffix string) (name string, data []byte) {
	t.Helper()
	for _, n := range d.Files() {
		if b := d.ReadFile(n); strings.HasSuffix(n, suffix) && len(b) > len(data) {
			name, data = n, b
		}
	}
	if name == "" {
		t.Fatalf("no %s among %q", suffix, d.Files())
	}
	return name, data
}

// reopen opens a damaged disk and reports whether it was refused. A store
// that opens must hold all records.
func reopen(t *testing.T, d *Disk, records int) (refused error) {
	t.Helper()
	s, err := Open(Options{Disk: d, Logger: quiet, OnFatal: func(error) {}})
	if err != nil {
		return err
	}
	defer s.Close()
	rep, err := s.Verify(context.Background(), nil)
	if err != nil || rep.Records != uint64(records) {
		t.Errorf("the damage passed in silence: %d of %d records, %v", rep.Records, records, err)
	}
	return nil
}

// TestFlippedLog: a byte flipped anywhere in a synced log is noticed at Open,
// also in the log's last block, where the engine takes it for a torn tail.
func TestFlippedLog(t *testing.T) {
	const records = 400
	d := written(t, records)
	name, log := find(t, d, ".log")
	if len(log) < 128<<10 {
		t.Fatalf("the log has only %d bytes", len(log))
	}
	refused, byAnchor, step := 0, 0, max(1, len(log)/250)
	for at := 3; at < len(log); at += step {
		clone := d.CrashClone(Crash{Unsynced: KeepUnsynced})
		bad := bytes.Clone(log)
		bad[at] ^= 0x10
		clone.WriteFile(name, bad)
		if err := reopen(t, clone, records); err != nil {
			refused++
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("byte %d: %v", at, err)
			}
			if strings.Contains(err.Error(), "anchor") {
				byAnchor++
				if at < len(log)-64<<10 {
					t.Errorf("byte %d: the engine itself took the flip for a torn tail; was the first log rotated?", at)
				}
				if err := reopen(t, clone, records); !errors.Is(err, ErrCorrupt) {
					t.Errorf("byte %d: the second start gives %v", at, err)
				}
				if !bytes.Equal(clone.ReadFile(name), bad) {
					t.Errorf("byte %d: a refused start touched the log", at)
				}
			}
		}
	}
	if refused < 200 || byAnchor < 10 {
		t.Errorf("%d refused, %d of them by the anchor", refused, byAnchor)
	}
}

// TestTruncatedLog: a log that lost its tail is noticed.
func TestTruncatedLog(t *testing.T) {
	const records = 100
	d := written(t, records)
	name, log := find(t, d, ".log")
	for _, keep := range []int{0, 7, len(log) / 3, len(log) - 4000, len(log) - 60} {
		clone := d.CrashClone(Crash{Unsynced: KeepUnsynced})
		clone.WriteFile(name, log[:keep])
		if err := reopen(t, clone, records); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d of %d bytes: got %v", keep, len(log), err)
		}
	}
	clone := d.CrashClone(Crash{Unsynced: KeepUnsynced})
	clone.WriteFile(name, nil)
	if err := reopen(t, clone, records); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a lost log gives %v", err)
	}
}

// TestAnchorDamage: what Open says of a lost, spoiled, stale or foreign anchor.
func TestAnchorDamage(t *testing.T) {
	d := written(t, 20)
	name, content := find(t, d, anchorName)
	_, foreign := find(t, written(t, 20), anchorName)
	last, found := mark{}, false
	for i := range anchorSlots {
		if m, ok := parseMark(content[i*anchorStride:]); ok && (!found || m.newer(&last)) {
			last, found = m, true
		}
	}
	if !found || last.seq != 20 || last.epoch != 1 {
		t.Fatalf("the anchor stands at %+v", last)
	}
	with := func(change func(m *mark)) []byte {
		m := last
		change(&m)
		return append(m.append(nil), make([]byte, 100)...)
	}
	for _, c := range []struct {
		name    string
		content []byte
		want    string // "" for a store that opens
	}{
		{"untouched", content, ""},
		{"lost", nil, "anchor is missing"},
		{"empty", []byte{}, "anchor is missing"},
		{"spoiled", bytes.Repeat([]byte{7}, 5000), "no valid slot"},
		{"one slot spoiled", append(bytes.Repeat([]byte{7}, 64), content[64:]...), ""},
		{"of another store", foreign, "belongs to store"},
		{"ahead", with(func(m *mark) { m.seq++ }), "ends at batch 20"},
		{"behind", with(func(m *mark) { m.seq, m.hash = 0, genesis(m.store) }), ""},
		{"other history", with(func(m *mark) { m.hash[5] ^= 1 }), "batch 20 has another hash"},
		{"later epoch", with(func(m *mark) { m.epoch = 9 }), "epoch"},
	} {
		clone := d.CrashClone(Crash{Unsynced: KeepUnsynced})
		clone.WriteFile(name, c.content)
		err := reopen(t, clone, 20)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	clone := NewMemDisk()
	if err := clone.mkdirAll("journal"); err != nil {
		t.Fatal(err)
	}
	clone.WriteFile(name, content)
	if err := reopen(t, clone, 20); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "journal is empty") {
		t.Errorf("an anchor alone: got %v", err)
	}
}

// TestTampering: somebody changes the store through the engine. Verify, and
// Open as far as it looks, name the batch.
func TestTampering(t *testing.T) {
	body := fmt.Appendf(nil, "record %d %s", 30, strings.Repeat("x", 200))
	for _, c := range []struct {
		name   string
		tamper func(b *engineBatch, get func(seq uint64) []byte)
		want   string
	}{
		{"nothing", func(*engineBatch, func(uint64) []byte) {}, ""},
		{"changed record", func(b *engineBatch, _ func(uint64) []byte) {
			body[3] ^= 1
			b.set(appendRecordKey(nil, id(30), 1), body)
		}, "batch 31"},
		{"removed record", func(b *engineBatch, _ func(uint64) []byte) { b.remove(appendRecordKey(nil, id(7), 1)) }, "batch 8"},
		{"added record", func(b *engineBatch, _ func(uint64) []byte) { b.set(appendRecordKey(nil, id(7), 2), nil) }, "41 records are stored"},
		{"removed batch", func(b *engineBatch, _ func(uint64) []byte) { b.remove(appendBatchKey(nil, 12)) }, "batch 12"},
		{"first batch removed", func(b *engineBatch, _ func(uint64) []byte) { b.remove(appendBatchKey(nil, 1)) }, "batch 1"},
		{"last batch removed", func(b *engineBatch, _ func(uint64) []byte) { b.remove(appendBatchKey(nil, 40)) }, "batch 40"},
		{"swapped batches", func(b *engineBatch, get func(uint64) []byte) {
			b.set(appendBatchKey(nil, 5), get(6))
			b.set(appendBatchKey(nil, 6), get(5))
		}, "batch"},
		{"short batch", func(b *engineBatch, get func(uint64) []byte) { b.set(appendBatchKey(nil, 5), get(5)[:70]) }, "batch 5"},
	} {
		d := written(t, 40)
		o := Options{Disk: d, Logger: quiet}
		o.EnsureDefaults()
		eng, err := openEngine(&o, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		b := eng.newBatch()
		b.set([]byte("s"), nil)
		c.tamper(b, func(seq uint64) []byte {
			val, _, err := eng.get(appendBatchKey(nil, seq), nil)
			if err != nil {
				t.Fatal(err)
			}
			return val
		})
		if err := errors.Join(b.apply(), b.wait(), eng.close()); err != nil {
			t.Fatal(err)
		}
		err = verifyDisk(d)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func verifyDisk(d *Disk) error {
	s, err := Open(Options{Disk: d, Logger: quiet, ReadOnly: true})
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Verify(context.Background(), nil)
	return err
}

// TestProofIsBounded: Open proves the tail only, Verify finds what lies before.
func TestProofIsBounded(t *testing.T) {
	d := NewMemDisk()
	s := openOn(t, d)
	for i := range tailBatches + 10 {
		must(t, s, func(c *Command) { c.Append(id(i), 1, nil) })
	}
	done, calls := uint64(0), 0
	if rep, err := s.Verify(t.Context(), func(n, total uint64) { done, calls = n, calls+1 }); err != nil || done != rep.Batches || calls < 2 {
		t.Errorf("progress %d in %d calls, %+v, %v", done, calls, rep, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Verify(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	b := s.eng.newBatch()
	b.set(appendRecordKey(nil, id(3), 1), []byte("forged"))
	if err := errors.Join(b.apply(), b.wait()); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = openOn(t, d)
	if _, err := s.Verify(t.Context(), nil); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "batch 4:") {
		t.Error(err)
	}
}

func FuzzBatchRecord(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, batchHeaderBytes))
	f.Add(bytes.Repeat([]byte{1}, batchHeaderBytes+3*entryBytes))
	f.Fuzz(func(t *testing.T, val []byte) {
		rec, err := parseBatchRecord(val)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		back := append(rec.prev[:], rec.hash[:]...)
		for i := range rec.count() {
			e := rec.entry(i)
			back = append(back, appendRecordKey(nil, e.ID, e.Version)[1:]...)
		}
		if !bytes.Equal(back, val) {
			t.Fatalf("%x is read as %x", val, back)
		}
	})
}

func FuzzAnchor(f *testing.F) {
	m := mark{seq: 5, epoch: 1}
	f.Add(m.append(nil))
	f.Add(append(m.append(nil), make([]byte, anchorStride)...))
	f.Fuzz(func(t *testing.T, content []byte) {
		d := NewMemDisk()
		d.WriteFile(anchorName, content)
		file, err := d.open(anchorName, openExisting)
		if err != nil {
			t.Fatal(err)
		}
		a := anchor{file: file}
		got, found, err := a.read()
		if err != nil && !errors.Is(err, ErrCorrupt) || err != nil && found {
			t.Fatal(got, found, err)
		}
		if !found {
			return
		}
		if err := a.write(got.seq+1, got.hash); err != nil {
			t.Fatal(err)
		}
		if after, found, err := a.read(); err != nil || !found || got.seq+1 != 0 && after.seq != got.seq+1 {
			t.Fatalf("%+v after %+v, %v", after, got, err)
		}
	})
}
