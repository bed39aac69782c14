package storage

import (
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
