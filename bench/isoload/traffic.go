package isoload

import (
	"errors"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// launch queues what is due: reversals that are owed first, then the load. REQUIRES:
// k.mu.
func (k *link) launch(now time.Duration) {
	if k.conn == nil || k.over {
		return
	}
	before := len(k.out)
	for len(k.owed) > 0 && !k.pending.full() {
		o := k.owed[len(k.owed)-1]
		k.owed = k.owed[:len(k.owed)-1]
		k.counts.Repairs++
		k.send(iso.OpReversal, now, &o)
	}
	for !k.pending.full() {
		due := now
		if k.due != nil {
			due = k.due.due()
		}
		if due > now || due >= k.load.to || now >= k.load.to+grace {
			break
		}
		if k.due != nil {
			k.due.next()
			if k.load.measures(due) {
				k.load.lateness.record(now - max(due, k.unblocked))
			}
		}
		k.send(k.load.o.Mix.draw(k.rng.Float64()), due, nil)
	}
	if len(k.out) > before {
		k.changed.Signal()
	}
}

const maxTries = 1000

var errSameKey = errors.New("the dialect joins answers by fields that do not differ between messages in flight")

// send queues one message. repair is the unanswered message that a reversal is owed
// for, nil for the load's own. REQUIRES: k.mu, a free slot.
func (k *link) send(op iso.Operation, due time.Duration, repair *original) {
	o, d := k.load.o, k.load.o.Dialect
	undone := repair
	if op == iso.OpReversal && repair == nil {
		if n := len(k.approved); n > 0 {
			undone = &k.approved[n-1]
			k.approved = k.approved[:n-1]
		} else {
			op = o.Mix.charge()
		}
	}
	at, s := k.pending.take()
	for try := 0; ; try++ {
		seq, now := k.load.seq.Add(1), time.Now()
		v := &k.values
		v.STAN, v.RRN, v.SentAt, v.LocalAt = d.STAN(seq), "", now.UTC(), now
		v.Original, v.Reason = iso.Original{}, 0
		if undone != nil {
			k.undo(undone, repair != nil)
		} else {
			v.RRN = d.RRN(seq, now)
		}
		if err := d.Build(op, v, &s.request); err != nil {
			k.load.fail(err)
			return
		}
		d.RequestKey(&s.request, &s.key)
		if k.pending.add(at) {
			break
		}
		if try == maxTries {
			k.load.fail(errSameKey)
			return
		}
	}
	frames, err := k.seal(k.out, &s.request)
	if err != nil {
		k.load.fail(err)
		return
	}
	k.out = frames
	v := &k.values
	s.original = original{op: op, mti: s.request.MTI, stan: v.STAN, rrn: v.RRN, sentAt: v.SentAt}
	s.due, s.sent, s.repair = due, k.load.now(), repair != nil
	k.counts.sent(op)
}

// undo makes the values those of the reversal of o.
func (k *link) undo(o *original, unanswered bool) {
	d, v := k.load.o.Dialect, &k.values
	v.RRN, v.Reason = o.rrn, iso.ReasonCustomer
	if unanswered {
		v.Reason = iso.ReasonTimeout
	}
	if !d.Behaviour().ReversalNewSTAN {
		v.STAN = o.stan
	}
	v.Original = iso.Original{Operation: o.op, MTI: o.mti, STAN: o.stan, SentAt: o.sentAt, Acquirer: v.Acquirer}
}

// read serves frames until the connection ends.
func (k *link) read(s *stream) error {
	var m iso.Message
	var seen []sample
	for {
		k.mu.Lock()
		now := k.load.now()
		var err error
		for err == nil {
			var body []byte
			if body, err = s.next(); body == nil {
				break
			}
			switch fault := s.read(body, &m); {
			case fault == nil:
				seen = k.serve(&m, now, seen)
			case errors.Is(fault, iso.ErrMAC):
				k.counts.Forged++
			default:
				k.counts.Unreadable++
			}
		}
		k.launch(now)
		k.mu.Unlock()
		k.load.record(seen)
		seen = seen[:0]
		if err == nil {
			err = s.more()
		}
		if err != nil {
			return err
		}
	}
}

// serve takes one message of the host. REQUIRES: k.mu.
func (k *link) serve(m *iso.Message, now time.Duration, seen []sample) []sample {
	d := k.load.o.Dialect
	if m.MTI.ExpectsAnswer() {
		k.answer(m)
		return seen
	}
	var key iso.Key
	var at int32
	var s *slot
	if d.AnswerKey(m, &key) {
		at, s = k.pending.find(&key)
	}
	if s == nil {
		k.counts.Unmatched++
		return seen
	}
	if d.Verify(&s.request, m) != nil {
		k.counts.Wrong++
		k.unanswered(at, s)
		return seen
	}
	code := m.Get(39)
	k.counts.answered(s.op, code, k.load.measures(now))
	if k.load.measures(s.due) && !s.repair {
		seen = append(seen, sample{s.op, now - s.due})
	}
	if (s.op == iso.OpPurchase || s.op == iso.OpAuthorization) && k.load.o.Mix.Reversal > 0 && len(k.approved) < keptApproved &&
		d.Code(string(code)).Approved {
		k.approved = append(k.approved, s.original)
	}
	k.release(at)
	return seen
}

// answer replies to what the host asks, an echo most of all, with the code of
// success. REQUIRES: k.mu.
func (k *link) answer(m *iso.Message) {
	d := k.load.o.Dialect
	k.counts.HostRequests++
	if !m.MTI.ExpectsAnswer() {
		return
	}
	v := iso.Values{ResponseCode: d.CodeLike(m.MTI.Response(), "00"), SentAt: time.Now().UTC()}
	var ans iso.Message
	if d.Answer(m, &v, &ans) != nil {
		return
	}
	if frames, err := k.seal(k.out, &ans); err == nil {
		k.out = frames
		k.changed.Signal()
	}
}
