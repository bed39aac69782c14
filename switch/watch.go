package payswitch

import "sync"

// watchers wakes those who wait for a payment to change.
type watchers struct {
	shards [64]watchShard
}

type watchShard struct {
	mu sync.Mutex
	by map[ID]map[chan struct{}]struct{}
}

func (w *watchers) init() {
	for i := range w.shards {
		w.shards[i].by = map[ID]map[chan struct{}]struct{}{}
	}
}

// add returns a channel that is closed at the next change of the payment.
// cancel must be called when the caller stops waiting before that.
func (w *watchers) add(id ID) (changed <-chan struct{}, cancel func()) {
	shard := &w.shards[id[15]&63]
	c := make(chan struct{})
	shard.mu.Lock()
	if shard.by[id] == nil {
		shard.by[id] = map[chan struct{}]struct{}{}
	}
	shard.by[id][c] = struct{}{}
	shard.mu.Unlock()
	return c, func() {
		shard.mu.Lock()
		defer shard.mu.Unlock()
		delete(shard.by[id], c)
		if len(shard.by[id]) == 0 {
			delete(shard.by, id)
		}
	}
}

func (w *watchers) notify(id ID) {
	shard := &w.shards[id[15]&63]
	shard.mu.Lock()
	for c := range shard.by[id] {
		close(c)
	}
	delete(shard.by, id)
	shard.mu.Unlock()
}
