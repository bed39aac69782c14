package frontend

import (
	"sync"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// maxNonces bounds what is remembered of one key in one generation.
const maxNonces = 10_000

// nonceLife is how long a signature may count from the moment it is first seen.
const nonceLife = signatureAge + signatureSkew

// nonces remembers which nonces were used by which key while a signature with
// them could still count. The zero value is ready. Goroutine-safe.
type nonces struct {
	mu sync.Mutex
	by map[payswitch.ID]*keyNonces
}

// keyNonces are two generations: what is in neither is older than nonceLife.
type keyNonces struct {
	began       time.Time
	now, before map[string]struct{}
}

type nonceUse uint8

const (
	nonceNew nonceUse = iota
	nonceUsed
	nonceRoom // there is no room to remember another
)

// use notes a nonce and says whether it is new.
func (n *nonces) use(key payswitch.ID, nonce []byte, at time.Time) nonceUse {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.by == nil {
		n.by = map[payswitch.ID]*keyNonces{}
	}
	k := n.by[key]
	if k == nil {
		k = &keyNonces{began: at}
		n.by[key] = k
	}
	switch age := at.Sub(k.began); {
	case age >= 2*nonceLife:
		*k = keyNonces{began: at}
	case age >= nonceLife:
		*k = keyNonces{began: at, before: k.now}
	}
	if k.now == nil {
		k.now = map[string]struct{}{}
	}
	_, now := k.now[string(nonce)]
	_, before := k.before[string(nonce)]
	switch {
	case now || before:
		return nonceUsed
	case len(k.now) >= maxNonces:
		return nonceRoom
	}
	k.now[string(nonce)] = struct{}{}
	return nonceNew
}
