package storage

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// TestWindow: what a window says of a record is true, whatever comes in
// whatever order, and an id that came in order is always known.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type name struct {
			id      ID
			version uint32
		}
		all := map[name]bool{}
		newest := id(rapid.IntRange(0, 20).Draw(t, "newest"))
		for n := range 21 {
			if one := id(n); string(one[:]) <= string(newest[:]) {
				all[name{one, uint32(n % 3)}] = true
			}
		}
		var w window
		w.init(newest, rapid.IntRange(1, 8).Draw(t, "half"))
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			next := name{id(rapid.IntRange(0, 60).Draw(t, "id")), rapid.SampledFrom([]uint32{0, 1, 2, 63, 64, 65}).Draw(t, "version")}
			key := appendRecordKey(nil, next.id, next.version)
			if present, known := w.has(key); known && present != all[next] {
				t.Fatalf("record %v: the window says %v", next, present)
			}
			if !all[next] {
				w.add(key)
				all[next] = true
			}
			if len(w.old)+len(w.young) > 2*w.half {
				t.Fatalf("the window grew to %d and %d", len(w.old), len(w.young))
			}
		}
	})
}

// TestWindowKnowsTheNew: appends in the order of their ids need no look into
// the engine.
func TestWindowKnowsTheNew(t *testing.T) {
	var w window
	w.init(ID{}, 4)
	for n := 1; n < 100; n++ {
		for version := range uint32(3) {
			key := appendRecordKey(nil, id(n), version)
			before, known := w.has(key)
			if !known || before || !w.add(key) {
				t.Fatalf("record %d.%d is not known", n, version)
			}
			if after, _ := w.has(key); !after {
				t.Fatalf("record %d.%d was noted in vain", n, version)
			}
		}
	}
}

// TestGuardsOfAGroup: a command sees the keys of the commands before it in its
// own group, also when their hashes are equal.
func TestGuardsOfAGroup(t *testing.T) {
	s := openOn(t, NewMemDisk())
	k := conditions{}
	k.init(s.eng, ID{})
	defer k.end()
	var c [3]Command
	c[0].Claim('k', []byte("a"), []byte("first"))
	c[1].Claim('k', []byte("b"), nil)
	c[1].Claim('k', []byte("a"), []byte("second"))
	c[2].Claim('k', []byte("b"), []byte("third"))
	for n, want := range []Result{{}, {Kind: Exists, Value: []byte("first")}, {}} {
		if r, err := k.judge(&c[n]); err != nil || r.Kind != want.Kind || string(r.Value) != string(want.Value) {
			t.Errorf("command %d: %v, %v", n, r, err)
		}
	}
	for h, g := range k.group { // as if another key had been there first
		k.group[h+1] = g
		k.group[h] = place{&c[1], 0}
	}
	var again Command
	again.Claim('k', []byte("a"), nil)
	if r, err := k.judge(&again); err != nil || string(r.Value) != "first" {
		t.Errorf("behind another key: %v, %v", r, err)
	}
}

// TestSumsOfAGroup: commands of one group see each other's sums, and one that is
// refused leaves none behind.
func TestSumsOfAGroup(t *testing.T) {
	s := openOn(t, NewMemDisk())
	k := conditions{}
	k.init(s.eng, ID{})
	defer k.end()
	add := func(by, least int64) Result {
		t.Helper()
		var c Command
		c.Add('+', []byte("a"), by, least)
		c.Add('+', []byte("b"), by, -100)
		r, err := k.judge(&c)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for n, step := range []struct {
		by, least int64
		short     bool
		sum       int64
	}{{10, 0, false, 0}, {-4, 0, false, 0}, {-7, 0, true, 6}, {-6, 0, false, 0}, {-1, 0, true, 0}, {-5, -5, false, 0}, {-1, -5, true, -5}, {3, 100, false, 0}} {
		r := add(step.by, step.least)
		if got, _ := ReadSum(r.Value); (r.Kind == Short) != step.short || got != step.sum {
			t.Errorf("step %d: %v, sum %d", n, r.Kind, got)
		}
	}
	if k.sums["+a"] != -2 || k.sums["+b"] != -2 {
		t.Errorf("sums %v", k.sums)
	}
	var c Command
	c.Add('+', []byte("a"), 1, 0)
	c.Add('+', []byte("a"), 1, 0)
	if _, err := s.Do(&c); !errors.Is(err, ErrCommand) {
		t.Errorf("twice in one command: %v", err)
	}
}

// TestSumsUnderConcurrency: many who take from one sum never take more than there is.
func TestSumsUnderConcurrency(t *testing.T) {
	s := openOn(t, NewMemDisk())
	var put Command
	put.Add('+', []byte("a"), 1000, 0)
	if _, err := s.Do(&put); err != nil {
		t.Fatal(err)
	}
	var taken atomic.Int64
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			var c Command
			c.Add('+', []byte("a"), -int64(7+n), 0)
			r, err := s.Do(&c)
			if err != nil {
				t.Error(err)
			}
			if r.Kind == Applied {
				taken.Add(int64(7 + n))
			}
		})
	}
	all.Wait()
	val, _, err := s.Get('+', []byte("a"), nil)
	if sum, ok := ReadSum(val); err != nil || !ok || sum < 0 || sum != 1000-taken.Load() || taken.Load() == 0 {
		t.Errorf("%d taken, %d left, %v", taken.Load(), sum, err)
	}
}
