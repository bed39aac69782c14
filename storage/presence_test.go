package storage

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestPresenceForgetsNothing: over several lives, with filters that grow and
// with filters that may not, a claim applies exactly when its key is absent,
// and once a space is learned hardly any new key costs a look.
func TestPresenceForgetsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk, there := NewMemDisk(), map[string]bool{}
		most := rapid.SampledFrom([]int{0, 1 << 10, presenceMost}).Draw(t, "most")
		for range rapid.IntRange(1, 4).Draw(t, "lives") {
			s, err := Open(Options{Disk: disk, Logger: quiet, OnFatal: func(err error) { t.Error(err) }})
			if err != nil {
				t.Fatal(err)
			}
			p := &s.conditions.past
			p.first, p.most, p.stride = 4, most, rapid.IntRange(1, 20).Draw(t, "stride")
			for range rapid.IntRange(0, 60).Draw(t, "commands") {
				var c Command
				key := fmt.Sprint(rapid.IntRange(0, 80).Draw(t, "key"))
				switch rapid.IntRange(0, 5).Draw(t, "kind") {
				case 0:
					c.Set('k', []byte(key), nil)
				case 1:
					c.Delete('k', []byte(key))
				default:
					c.Claim('k', []byte(key), nil)
				}
				kind := c.steps[0].kind
				r, err := s.Do(&c)
				if err != nil || kind == stepClaim && (r.Kind == Exists) != there[key] {
					t.Fatalf("claim of %s, which is there: %v: %v, %v", key, there[key], r, err)
				}
				there[key] = kind != stepDelete
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestPresenceSparesLooks: after a restart the committer learns the keys of
// earlier lives, and knows new ones from them.
func TestPresenceSparesLooks(t *testing.T) {
	const before, strides = 5000, 50
	disk := NewMemDisk()
	claim := func(s *Store, n int) {
		must(t, s, func(c *Command) { c.Claim('k', fmt.Append(nil, n), nil) })
	}
	s := openOn(t, disk)
	for n := range before {
		claim(s, n)
	}
	closeStore(t, s)
	s = openOn(t, disk)
	s.conditions.past.stride = before / strides
	for n := range strides + 2 {
		claim(s, before+n)
	}
	k := s.conditions.past.spaces['k']
	if k == nil || !k.whole {
		t.Fatal("the space was not learned")
	}
	wrong := 0
	for n := range before + strides + 2 {
		if key := fmt.Append([]byte{'k'}, n); s.conditions.past.absent(key, s.conditions.hash(key)) {
			t.Fatalf("key %d is there and called absent", n)
		}
		if key := fmt.Append([]byte{'k'}, -1-n); !s.conditions.past.absent(key, s.conditions.hash(key)) {
			wrong++
		}
	}
	if wrong > before/50 {
		t.Errorf("%d of %d new keys would cost a look", wrong, before)
	}
}

// TestFilter: full filters keep what they were given and are seldom wrong.
func TestFilter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := newFilter(10_000)
	given := make([]uint64, 10_000)
	for i := range given {
		given[i] = rng.Uint64()
		f.add(given[i])
	}
	wrong := 0
	for _, h := range given {
		if !f.holds(h) {
			t.Fatalf("%x is lost", h)
		}
		if f.holds(rng.Uint64()) {
			wrong++
		}
	}
	if f.room != 0 || wrong > 200 {
		t.Errorf("%d of 10000 wrong, room for %d", wrong, f.room)
	}
}
