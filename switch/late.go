package payswitch

import (
	"time"

	"github.com/tranzit/tranzit/iso"
)

// remember keeps the key under which the answer to a given-up request would
// come, so that a late one finds its payment.
func (b *bank) remember(d *iso.Dialect, request *iso.Message, id ID, now time.Time) {
	b.late.add(keyOf(d, request), id, now)
}

func keyOf(d *iso.Dialect, request *iso.Message) (key iso.Key) {
	d.RequestKey(request, &key)
	return key
}

// lateRetry is how long an answer that finds no payment waits for a second
// look: its payment may be between giving up and saying so.
const lateRetry = time.Second

// lateAnswer takes an answer nobody waited for. It may be called from a link's
// own goroutine, whose dialect d is; m is valid only during the call.
func (s *Switch) lateAnswer(b *bank, d *iso.Dialect, m *iso.Message) {
	var key iso.Key
	if !d.AnswerKey(m, &key) {
		b.metrics.unmatched.Inc()
		return
	}
	if s.resolveLate(b, lateMessage{d, key, m}) {
		return
	}
	copied := new(iso.Message)
	copied.CopyFrom(m)
	time.AfterFunc(lateRetry, func() {
		if s.ctx.Err() == nil && !s.resolveLate(b, lateMessage{d, key, copied}) {
			b.metrics.unmatched.Inc()
			s.log.Warn("an answer matches no payment", "bank", b.id, "mti", copied.MTI.String())
		}
	})
}

// lateMessage is an answer nobody waited for, its key, and the dialect of both.
type lateMessage struct {
	dialect *iso.Dialect
	key     iso.Key
	*iso.Message
}

// resolveLate records a late answer with its payment; it is false when there
// is no payment for it, or none yet.
func (s *Switch) resolveLate(b *bank, m lateMessage) bool {
	id, op, ok := b.late.find(m.key)
	if !ok {
		return false
	}
	if op != 0 {
		return s.lateOperation(b, id, op, m)
	}
	rc := string(m.Get(fieldResponseCode))
	if m.MTI.Class() == reversalClass {
		return s.lateReversalAnswer(b, m.dialect, id, rc)
	}
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	h, err := s.history(id)
	if err != nil || h.Status == StatusInFlight {
		return false
	}
	b.metrics.late.Inc()
	if !allowed(recordLateAnswer, h.Status) {
		return true
	}
	masked := new(iso.Message)
	masked.CopyFrom(m.Message)
	m.dialect.Mask(masked)
	r := lateRecord(m.dialect.Code(rc), rc, s.now())
	r.approvalCode, r.message = string(m.Get(fieldApprovalCode)), masked.AppendCompact(nil)
	if !s.append(h, &r) {
		return true
	}
	if h.reversal.queued {
		b.saf.add(id, s.o.Now())
	}
	s.log.Warn("a late answer was recorded", "payment", id.Text(PaymentPrefix), "bank", b.id, "stan", uint32(h.STAN),
		"rrn", h.RRN, "code", rc, "approved", r.approved, "status", h.Status.String())
	return true
}

const reversalClass = 4

// lateReversalAnswer takes the acknowledgement of a reversal that was given up.
// While a repeat is on its way, that one's answer is awaited instead.
func (s *Switch) lateReversalAnswer(b *bank, d *iso.Dialect, id ID, rc string) bool {
	verdict := d.ReversalAnswer(rc)
	if verdict != iso.ReversalDone || b.saf.sending(id) {
		return true
	}
	h, err := s.history(id)
	if err != nil {
		return false
	}
	if h.reversal.queued {
		s.reversalAnswered(b, id, &record{kind: recordReversalAnswered, at: s.now(), attempt: h.reversal.attempts,
			verdict: verdict, responseCode: rc})
	}
	return true
}
