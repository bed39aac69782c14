package payswitch

import (
	"sync"
	"time"
)

// flights holds the requests that run now, by idempotency digest, so that a
// duplicate joins the first instead of racing it.
type flights struct {
	shards [64]flightShard
}

type flightShard struct {
	mu sync.Mutex
	by map[[16]byte]*flight
}

// flight is one running request. Its members after done are the owner's until
// done is closed.
type flight struct {
	key         [16]byte
	fingerprint Fingerprint
	id          ID            // of the payment it begins, zero before; under the shard's lock
	done        chan struct{} // made by the first joiner, nil while nobody waits
	answer      Answer
	err         error
}

func (f *flights) init() {
	for i := range f.shards {
		f.shards[i].by = map[[16]byte]*flight{}
	}
}

// join makes the caller the owner of mine under the key, or returns the flight
// to wait for.
func (f *flights) join(key [16]byte, mine *flight) (other *flight) {
	shard := &f.shards[key[0]&63]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if other = shard.by[key]; other == nil {
		shard.by[key] = mine
		return nil
	}
	if other.done == nil {
		other.done = make(chan struct{})
	}
	return other
}

// name makes the id of the payment that the owner of the key begins. From the
// moment it exists lowest sees it.
func (f *flights) name(key [16]byte, ids *idSource, now time.Time) ID {
	shard := &f.shards[key[0]&63]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	id := ids.next(now)
	shard.by[key].id = id
	return id
}

// lowest is the lowest of id and the ids of all payments in flight.
func (f *flights) lowest(id ID) ID {
	for i := range f.shards {
		shard := &f.shards[i]
		shard.mu.Lock()
		for _, running := range shard.by {
			if !running.id.IsZero() {
				id = lower(id, running.id)
			}
		}
		shard.mu.Unlock()
	}
	return id
}

// finish publishes the owner's result and wakes everybody who joined.
func (f *flights) finish(key [16]byte, mine *flight) {
	shard := &f.shards[key[0]&63]
	shard.mu.Lock()
	delete(shard.by, key)
	if mine.done != nil {
		close(mine.done)
	}
	shard.mu.Unlock()
}
