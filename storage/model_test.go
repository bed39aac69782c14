package storage

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// model is what a store should hold, told without a disk.
type model struct {
	keys    map[string]string // space and key
	records map[string]string
	numbers uint64
}

func (m *model) clone() model {
	return model{maps.Clone(m.keys), maps.Clone(m.records), m.numbers}
}

// machine drives a store and its model.
type machine struct {
	disk  *Disk
	store *Store
	want  model
	fatal atomic.Pointer[error]
}

func (m *machine) open(t *rapid.T) {
	s, err := Open(Options{Disk: m.disk, Logger: quiet, MemtableBytes: 64 << 10, OnFatal: func(err error) { m.fatal.Store(&err) }})
	if err != nil {
		t.Fatal(err)
	}
	m.store = s
}

var (
	someKey   = rapid.StringMatching(`[ab]{0,3}`)
	someSpace = rapid.SampledFrom([]Space{'k', 'l', firstSpace, lastSpace})
	someBody  = rapid.SliceOfN(rapid.Byte(), 0, 2000)
)

// command draws a command and says what it should do.
func (m *machine) command(t *rapid.T) {
	var c Command
	next := m.want.clone()
	kind, value := Applied, ""
	touched := map[string]bool{}
	for range rapid.IntRange(1, 5).Draw(t, "steps") {
		sp, key := someSpace.Draw(t, "space"), someKey.Draw(t, "key")
		full := string(rune(sp)) + key
		body := string(someBody.Draw(t, "body"))
		switch op := rapid.IntRange(0, 4).Draw(t, "op"); {
		case op == 4:
			if k, v := m.add(t, &c, &next, touched); k == Short && kind == Applied {
				kind, value = k, v
			}
		case op == 0:
			ver := rapid.Uint32Range(0, 3).Draw(t, "version")
			name := fmt.Sprint(id(len(key)), ver)
			if touched[name] {
				continue
			}
			touched[name] = true
			c.Append(id(len(key)), ver, []byte(body))
			if _, there := m.want.records[name]; there && kind == Applied {
				kind = Stale
			}
			next.records[name] = body
		case touched[full]:
		case op == 1:
			touched[full] = true
			c.Claim(sp, []byte(key), []byte(body))
			if v, there := m.want.keys[full]; there && kind == Applied {
				kind, value = Exists, v
			}
			next.keys[full] = body
		case op == 2:
			touched[full] = true
			c.Set(sp, []byte(key), []byte(body))
			next.keys[full] = body
		case op == 3:
			touched[full] = true
			c.Delete(sp, []byte(key))
			delete(next.keys, full)
		}
	}
	r, err := m.store.Do(&c)
	if err != nil || r.Kind != kind || string(r.Value) != value {
		t.Fatalf("got %v %q, %v; want %v %q", r.Kind, r.Value, err, kind, value)
	}
	if kind != Applied {
		return
	}
	m.want = next
}

// add draws a step of a sum, which stands in a space of its own.
func (m *machine) add(t *rapid.T, c *Command, next *model, touched map[string]bool) (kind ResultKind, value string) {
	full := "+" + someKey.Draw(t, "sum")
	if touched[full] {
		return Applied, ""
	}
	touched[full] = true
	by, least := rapid.Int64Range(-20, 20).Draw(t, "by"), rapid.Int64Range(-10, 10).Draw(t, "least")
	c.Add('+', []byte(full[1:]), by, least)
	sum, _ := ReadSum([]byte(m.want.keys[full]))
	next.keys[full] = string(AppendSum(nil, sum+by))
	if by < 0 && sum+by < least {
		return Short, string(AppendSum(nil, sum))
	}
	return Applied, ""
}

func (m *machine) reserve(t *rapid.T) {
	n := rapid.Uint64Range(1, 50).Draw(t, "n")
	first, err := m.store.Reserve("n", n)
	if err != nil || first < m.want.numbers {
		t.Fatalf("got %d after %d, %v", first, m.want.numbers, err)
	}
	m.want.numbers = first + n
}

func (m *machine) crash(t *rapid.T) {
	c := Crash{Unsynced(rapid.IntRange(0, 2).Draw(t, "unsynced")), rapid.Uint64().Draw(t, "seed")}
	clone := m.disk.CrashClone(c)
	m.stop(t)
	m.disk = clone
	m.open(t)
}

func (m *machine) restart(t *rapid.T) {
	m.stop(t)
	m.open(t)
}

func (m *machine) stop(t *rapid.T) {
	if err := m.store.Close(); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) check(t *rapid.T) {
	if p := m.fatal.Load(); p != nil {
		t.Fatal(*p)
	}
	keys, records := map[string]string{}, map[string]string{}
	for _, sp := range []Space{'+', 'k', 'l', firstSpace, lastSpace} {
		var order []string
		if err := m.store.Scan(Range{Space: sp}, func(key, val []byte) bool {
			keys[string(rune(sp))+string(key)] = string(val)
			order = append(order, string(key))
			return true
		}); err != nil || !slices.IsSorted(order) {
			t.Fatal(order, err)
		}
	}
	if err := m.store.RecordsFrom(ID{}, func(id ID, version uint32, body []byte) bool {
		records[fmt.Sprint(id, version)] = string(body)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(keys, m.want.keys) || !maps.Equal(records, m.want.records) {
		t.Fatalf("the store holds %d keys and %d records, the model %d and %d", len(keys), len(records), len(m.want.keys), len(m.want.records))
	}
}

// TestModel: a store over crashes and restarts is a map.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{disk: NewMemDisk(), want: model{map[string]string{}, map[string]string{}, 0}}
		m.open(t)
		t.Cleanup(func() { _ = m.store.Close() })
		t.Repeat(map[string]func(*rapid.T){
			"command": m.command, "again": m.command, "more": m.command,
			"reserve": m.reserve, "crash": m.crash, "restart": m.restart,
			"": m.check,
		})
		if rep, err := m.store.Verify(t.Context(), nil); err != nil || rep.Records != uint64(len(m.want.records)) {
			t.Fatal(rep, err)
		}
	})
}
