package payswitch

import "sync"

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
	fingerprint Fingerprint
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
