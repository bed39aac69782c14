// Package acquirers is one bank behind one call: links, sign-on, echo, the
// table of exchanges in flight, the window, health.
//
// The caller hands in a built request and gets a Fate back, and a Fate never
// guesses. NotSent is provable: no byte of the request left. Unanswered is
// ambiguous and must be resolved by a reversal. Answered is an answer that was
// matched by its key and verified field by field. Refuted is an answer that
// was matched and contradicts its request; it decides nothing.
//
// The goroutines of a bank: one per link that keeps it alive (link.go); per
// connection one writer (queue.go) and one reader (reader.go), and those of
// the transport library (transport.go); one timer wheel (pending.go); one
// worker for late answers and alarms (aside.go). Exchange runs in the caller's.
//
// Lock order: the bank's mutex before a link's or a queue's; a table shard's
// alone. None is held over a hook or over a call to the network.
package acquirers
