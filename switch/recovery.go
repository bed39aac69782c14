package payswitch

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// recoverers is how many open payments are resolved at once, so that they
// share journal syncs.
const recoverers = 64

// recover gives every payment that an earlier life left open its owner: an
// intent without an outcome is sent and unanswered, by the same path as a
// time-out; reversals owed are queued again. It may be cut off at any point
// and run again.
func (s *Switch) recover() error {
	if err := s.loadControls(); err != nil {
		return err
	}
	if err := s.loadReleases(); err != nil {
		return err
	}
	if err := s.openPurses(); err != nil {
		return err
	}
	if err := s.loadKeys(); err != nil {
		return err
	}
	if err := s.loadBatches(); err != nil {
		return err
	}
	open, err := s.openIntents()
	if err != nil {
		return err
	}
	if err := each(open, func(id ID) error { return s.recoverIntent(id, "restart") }); err != nil {
		return err
	}
	waiting, err := s.idsIn(spaceChallenge)
	if err != nil {
		return err
	}
	if err := each(waiting, s.recoverChallenge); err != nil {
		return err
	}
	owed, err := s.idsIn(spaceReversal)
	if err != nil {
		return err
	}
	if err := each(owed, s.recoverReversal); err != nil {
		return err
	}
	if err := s.recoverLate(); err != nil {
		return err
	}
	operations, err := s.operationsIn(spaceOperation)
	if err != nil {
		return err
	}
	if err := each(operations, s.recoverOpen); err != nil {
		return err
	}
	if err := s.settleFloor(); err != nil {
		return err
	}
	if len(open)+len(owed)+len(operations) > 0 {
		s.log.Info("recovered", "open_intents", len(open), "reversals_owed", len(owed), "operations", len(operations))
	}
	return nil
}

func (s *Switch) idsIn(space storage.Space) ([]ID, error) {
	var ids []ID
	err := s.store.Scan(storage.Range{Space: space}, func(key, _ []byte) bool {
		ids = append(ids, ID(key))
		return true
	})
	return ids, err
}

func (s *Switch) recoverOpen(o openOperation) error {
	mu := s.lock(o.payment)
	mu.Lock()
	defer mu.Unlock()
	return s.recoverOperation(o.payment, o.n, "restart")
}

// openOperation is an operation as the journal's indexes name it.
type openOperation struct {
	payment ID
	n       uint32
}

func (s *Switch) operationsIn(space storage.Space) ([]openOperation, error) {
	var out []openOperation
	bad := false
	err := s.store.Scan(storage.Range{Space: space}, func(_, ref []byte) bool {
		payment, n, ok := parseOperationRef(ref)
		out = append(out, openOperation{payment, n})
		bad = bad || !ok
		return ok
	})
	if bad {
		err = errors.Join(err, errRecord)
	}
	return out, err
}

func each[T any](ids []T, do func(T) error) error {
	queue := make(chan T)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs error
	for range min(recoverers, len(ids)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for id := range queue {
				if err := do(id); err != nil {
					mu.Lock()
					errs = errors.Join(errs, err)
					mu.Unlock()
				}
			}
		}()
	}
	for _, id := range ids {
		queue <- id
	}
	close(queue)
	wg.Wait()
	return errs
}

// recoverIntent makes an open intent unknown, with its reversal owed. One that
// got its outcome after all is left alone.
func (s *Switch) recoverIntent(id ID, reason string) error {
	h, err := s.history(id)
	if err != nil {
		return fmt.Errorf("payment %s: %w", id.Text(PaymentPrefix), err)
	}
	if h.Status != StatusInFlight {
		return nil
	}
	b := s.banks[h.Bank]
	if b == nil {
		return fmt.Errorf("payment %s is open at bank %q, which is not configured", id.Text(PaymentPrefix), h.Bank)
	}
	r := record{kind: recordUnknown, at: s.now(), reason: reason, reversalReason: iso.ReasonTimeout}
	if err := s.oweReversal(b, h, &r); err != nil {
		return err
	}
	if !s.append(h, &r) {
		return fmt.Errorf("payment %s: its recovery could not be recorded", id.Text(PaymentPrefix))
	}
	return nil
}

func (s *Switch) recoverReversal(id ID) error {
	h, err := s.history(id)
	if err != nil {
		return fmt.Errorf("payment %s: %w", id.Text(PaymentPrefix), err)
	}
	if !h.reversal.queued {
		return nil
	}
	b := s.banks[h.Bank]
	if b == nil {
		return fmt.Errorf("payment %s owes a reversal to bank %q, which is not configured", id.Text(PaymentPrefix), h.Bank)
	}
	s.rememberPayment(b, h)
	b.saf.add(id, s.soon(b, h.reversal.nextAt))
	return nil
}

// soon is a time from the journal, but never further off than the longest pause
// of the bank's schedule: the clock may have been set back since.
func (s *Switch) soon(b *bank, at time.Time) time.Time {
	saf := b.dialect().Behaviour().SAF
	if latest := s.now().Add(max(saf.Cap, saf.First)); at.After(latest) {
		return latest
	}
	return at
}

// rememberPayment is remember for a payment of an earlier life. No answer is
// awaited in a version that no link can speak any more.
func (s *Switch) rememberPayment(b *bank, h *history) {
	d := b.spoke(h.in.spoken())
	if d == nil {
		return
	}
	var v iso.Values
	var m iso.Message
	h.in.fillValues(&v)
	v.PAN = standIn // the key of the answer holds no card number, but no request is built without one
	if err := d.Build(h.in.operation, &v, &m); err == nil {
		b.remember(d, &m, h.ID, s.o.Now())
	}
}

// recoverLate remembers what an earlier life gave up and settled so short a time
// ago that its answer may still come, and forgets what is older.
func (s *Switch) recoverLate() error {
	var old storage.Command
	var recent []openOperation
	window := time.Duration(0)
	for _, b := range s.order {
		window = max(window, b.late.window)
	}
	from, forgotten := lateTime(s.now().Add(-window)), 0
	err := s.store.Scan(storage.Range{Space: spaceLate}, func(key, _ []byte) bool {
		payment, n, ok := parseOperationRef(key[min(len(key), 8):])
		switch {
		case !ok || bytes.Compare(key, from) < 0:
			old.Delete(spaceLate, key)
			forgotten++
		default:
			recent = append(recent, openOperation{payment, n})
		}
		return forgotten < storage.MaxSteps
	})
	if err != nil {
		return err
	}
	if _, err := s.store.Do(&old); err != nil {
		return err
	}
	return each(recent, func(o openOperation) error {
		h, err := s.history(o.payment)
		if err != nil {
			return fmt.Errorf("payment %s: %w", o.payment.Text(PaymentPrefix), err)
		}
		b := s.banks[h.Bank]
		switch {
		case b == nil || int(o.n) > len(h.operations):
		case o.n == 0:
			s.rememberPayment(b, h)
		default:
			s.rememberOperation(b, h, o.n)
		}
		return nil
	})
}
