package payswitch

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// spaceAttempt holds the numbered attempts of orders that are paid once: order
// digest + number -> payment id, one zero byte; claimed.
const spaceAttempt storage.Space = 't'

// orderScan bounds how many payments of an order, besides its last numbered
// attempt, are looked at before the next attempt.
const orderScan = 100

// once reports whether the payment is an attempt at an order of which only one
// may succeed: it says so itself, or the merchant's orders are all like that.
func (r *PayRequest) once(m *Merchant) bool {
	return r.Purpose == PurposePayment && r.OrderID != "" && (r.OrderOnce || m.OrderOnce && r.Schedule.IsZero())
}

// attemptKey orders an order's attempts by their numbers.
func attemptKey(order [16]byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, len(order)+4), order[:]...), n)
}

// attemptValue is what no idempotency key holds, so that the loser of a claim can
// tell whether the order or its key was taken.
func attemptValue(id ID) []byte { return append(append(make([]byte, 0, len(id)+1), id[:]...), 0) }

func parseAttemptValue(value []byte) (id ID, ok bool) {
	if len(value) != len(id)+1 || value[len(id)] != 0 {
		return id, false
	}
	return ID(value[:len(id)]), true
}

// nextAttempt is the number of the order's next attempt. It refuses one while an
// earlier attempt is on its way, not proven, or holds money.
//
// Two requests may get the same number here: the number is claimed with the
// intent, so the committer lets one of them pass. That suffices because a payment
// that is over stays over: when the attempt before is, so is every one before it.
func (s *Switch) nextAttempt(a Account, orderID string) (uint32, error) {
	order := orderDigest(accountDigest(a), orderID)
	var last uint32
	var ids []storage.ID
	err := s.store.Scan(storage.Range{Space: spaceAttempt, Prefix: order[:], Reverse: true}, func(key, value []byte) bool {
		if id, ok := parseAttemptValue(value); ok && len(key) == len(order)+4 {
			last, ids = binary.BigEndian.Uint32(key[len(order):]), append(ids, storage.ID(id))
		}
		return false
	})
	if err == nil {
		var others []storage.ID
		others, err = s.idsOf(storage.Range{Space: spaceOrder, Prefix: order[:], Reverse: true}, len(order), orderScan)
		for _, id := range others {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	var why *Refusal
	if err == nil {
		err = s.foldAll(ids, func(h *history) bool {
			why = h.bars()
			return why == nil
		})
	}
	switch {
	case err != nil:
		s.log.Error("an order could not be read", "merchant", a.Merchant.ID, "error", err)
		return 0, errInternal
	case why != nil:
		return 0, why
	}
	return last + 1, nil
}

// bars says why no other payment of the same order may begin while this one is
// as it is, nil: it may.
func (h *history) bars() *Refusal {
	switch {
	case h.Status.Final():
		return nil
	case h.Status == StatusInFlight || h.Status == StatusUnknown || h.Status == StatusRequiresAction:
		return orderInProgress(h.ID)
	}
	return &Refusal{Code: CodeOrderPaid,
		Detail: fmt.Sprintf("Payment %s of this order is %s. Nothing was recorded or sent.", h.Name(), h.Status)}
}

func orderInProgress(id ID) *Refusal {
	return &Refusal{Code: CodeOrderInProgress, RetryAfter: time.Second,
		Detail: fmt.Sprintf("The outcome of payment %s of this order is not known yet. Nothing was recorded or sent.", id.Text(PaymentPrefix))}
}
