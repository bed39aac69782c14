package bench

import "time"

// paymentID is the id of a payment as the API writes it.
type paymentID [30]byte

// followed is a payment that an operation may follow.
type followed struct {
	payment uint64
	id      paymentID
	held    bool // authorized and not yet captured
}

const maxFollowed = 4096 // by worker; the oldest are forgotten

// followers are the approved payments of one worker that operations may follow: each
// has one operation at a time. Not goroutine-safe.
type followers struct {
	held, taken []followed
}

// add remembers a payment. A full list forgets one.
func (f *followers) add(p followed, pick uint64) {
	list := &f.taken
	if p.held {
		list = &f.held
	}
	if len(*list) < maxFollowed {
		*list = append(*list, p)
		return
	}
	(*list)[pick%maxFollowed] = p
}

// take gives a payment that an operation of this kind may follow.
func (f *followers) take(kind int, pick uint64) (followed, bool) {
	list := &f.taken
	if kind == kindCapture || kind == kindCancel && len(f.held) > 0 {
		list = &f.held
	}
	n := uint64(len(*list))
	if n == 0 {
		return followed{}, false
	}
	i := pick % n
	p := (*list)[i]
	(*list)[i] = (*list)[n-1]
	*list = (*list)[:n-1]
	return p, true
}

// pickOperation chooses an operation by its weight, and a payment for it. None is
// chosen where no payment waits for one.
func (w *worker) pickOperation(due time.Duration) (request, bool) {
	at := w.rng.Float64()
	for kind := kindCapture; kind <= kindRefund; kind++ {
		if at -= w.operations[kind]; at >= 0 {
			continue
		}
		p, ok := w.followers.take(kind, w.rng.Uint64())
		return request{payment: p.payment, due: due, kind: kind, id: p.id}, ok
	}
	return request{}, false
}

// operationShares are the parts of all requests that are operations.
func (o *Options) operationShares() (shares [len(kinds)]float64) {
	sum := 0.0
	for _, v := range o.Mix {
		sum += v
	}
	for kind := kindCapture; kind <= kindRefund && sum > 0; kind++ {
		shares[kind] = o.Mix[kinds[kind]] / sum
	}
	return shares
}

// operates: the load has operations, so the payments for them are remembered.
func (o *Options) operates() bool { return o.operationShares() != [len(kinds)]float64{} }

// learn books an answer and remembers the payment while an operation may follow it.
func (w *worker) learn(c *conn, a *answer) {
	r := &c.request
	status := string(a.status)
	if r.kind < kindCapture {
		w.ledger.note(r.payment, outcomeOf(a))
		if w.follows && r.kind != kindDuplicate && a.code < 300 && !a.replayed && len(a.id) == len(r.id) &&
			(status == "captured" || status == "authorized") {
			w.followers.add(followed{payment: r.payment, id: paymentID(a.id), held: status == "authorized"}, w.rng.Uint64())
		}
		return
	}
	if r.kind != kindCapture {
		o := returnedBy(a)
		if r.repeated && outcomeOf(a) == refused {
			o = doubtful // the first attempt may have been recorded
		}
		w.ledger.operated(r.payment, o)
		return
	}
	if a.code < 300 && status == "succeeded" {
		w.followers.add(followed{payment: r.payment, id: r.id}, w.rng.Uint64())
	}
}

// lost books that a request got no answer.
func (w *worker) lost(r *request) {
	switch {
	case r.kind < kindCapture:
		w.ledger.note(r.payment, lost)
	case r.kind != kindCapture:
		w.ledger.operated(r.payment, doubtful)
	}
}

// uncertain: the merchant does not know what became of its request.
func (w *worker) uncertain(r *request, a *answer) bool {
	if r.kind < kindCapture {
		return w.ledger.outcomes[r.payment] == lost
	}
	return a == nil || outcomeOf(a) == lost || outcomeOf(a) == refused && r.repeated
}
