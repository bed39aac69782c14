package assist

import (
	"sync"

	payswitch "github.com/tranzit/tranzit/switch"
)

// maxQueue bounds how many requests wait for one order.
const maxQueue = 16

// queues let one request at a time work at an order: what the next may do depends
// on what came of it. Requests for other orders are not held up.
type queues struct {
	mu sync.Mutex // guards by; taken last
	by map[string]*queue
}

type queue struct {
	turn sync.Mutex
	in   int // those that wait and the one whose turn it is
}

// enter waits for the order's turn; leave gives it on. ok is false when too many
// wait already.
func (q *queues) enter(name string) (leave func(), ok bool) {
	q.mu.Lock()
	if q.by == nil {
		q.by = map[string]*queue{}
	}
	mine := q.by[name]
	if mine == nil {
		mine = new(queue)
		q.by[name] = mine
	}
	if mine.in == maxQueue {
		q.mu.Unlock()
		return nil, false
	}
	mine.in++
	q.mu.Unlock()
	mine.turn.Lock()
	return func() {
		mine.turn.Unlock()
		q.mu.Lock()
		if mine.in--; mine.in == 0 {
			delete(q.by, name)
		}
		q.mu.Unlock()
	}, true
}

// enter is the turn of an order of the account.
func (k *Ask) enter(orderNumber string) (leave func(), no *refusal) {
	mode := "test"
	if k.Account.Live {
		mode = "live"
	}
	leave, ok := k.adapter.queues.enter(mode + "\x00" + k.Account.Merchant.ID + "\x00" + orderNumber)
	if !ok {
		return nil, &refusal{first: 17, second: 3, retry: retryBusy, detail: "Too many requests for this order at once. Nothing was recorded; repeat later."}
	}
	return leave, nil
}

// maxAttempts is how many payments of one order are looked at.
const maxAttempts = 100

// attempts are the payments of an order, the oldest first.
func (k *Ask) attempts(q payswitch.ListQuery) ([]payswitch.Payment, *refusal) {
	q.Limit = maxAttempts
	page, err := k.adapter.sw.List(k.Account, q)
	switch {
	case err != nil:
		return nil, k.refused(err)
	case page.More:
		return nil, &refusal{first: 17, second: 107, detail: "This order has more attempts than are looked at."}
	}
	out := make([]payswitch.Payment, len(page.Payments))
	for i, p := range page.Payments {
		out[len(out)-1-i] = p
	}
	return out, nil
}
