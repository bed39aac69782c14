package payswitch

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// This file and fold.go are the payment's machine: what happened goes in, the
// records to write come out. Nothing here reads a clock, a journal or a bank.

// reversalDue decides what a reversal that fell due does now: the record that
// is written first. A recordReversalSent is followed by the message; after a
// recordDesk nothing is sent. REQUIRES: a reversal is owed.
func (h *history) reversalDue(saf iso.SAFSchedule, now time.Time) record {
	switch attempts := h.reversal.attempts - h.reversal.before; {
	case saf.Expiry > 0 && now.Sub(h.reversal.since) > saf.Expiry:
		return deskRecord("expired", now)
	case saf.MaxAttempts > 0 && int(attempts) >= saf.MaxAttempts:
		return deskRecord("attempts_exhausted", now)
	}
	attempt := h.reversal.attempts + 1
	return record{kind: recordReversalSent, at: now, attempt: attempt, nextAt: now.Add(backoff(saf, attempt-h.reversal.before))}
}

// deskRecord hands a payment to the operators: the switch stops trying, and
// nothing is dropped (features I20).
func deskRecord(reason string, now time.Time) record {
	return record{kind: recordDesk, at: now, reason: reason}
}

// reversalVerdict completes the record of a bank's answer to a reversal. desk
// is set when the bank refused for good: a second record follows.
func (h *history) reversalVerdict(r *record, saf iso.SAFSchedule) (desk *record) {
	r.nextAt = r.at.Add(backoff(saf, max(1, r.attempt-min(r.attempt, h.reversal.before))))
	if r.verdict == iso.ReversalManual {
		d := deskRecord("refused_with_"+r.responseCode, r.at)
		return &d
	}
	return nil
}

// lateRecord is the record of an answer that came after its payment was given
// up. Only a definite decline is written as one: a code in doubt proves
// nothing.
func lateRecord(meaning iso.CodeMeaning, code string, now time.Time) record {
	r := record{kind: recordLateAnswer, at: now, approved: meaning.Approved || meaning.Partial, responseCode: code}
	if !r.approved && !meaning.InDoubt {
		r.decline = declineOf(meaning, code)
	}
	return r
}

func declineOf(meaning iso.CodeMeaning, code string) Decline {
	return Decline{Source: "bank", Code: meaning.Decline, Message: meaning.Message, Retry: meaning.Retry, ResponseCode: code}
}

// backoff is the pause after the n-th attempt of a schedule.
func backoff(saf iso.SAFSchedule, attempt uint32) time.Duration {
	d := float64(saf.First) * math.Pow(max(saf.Factor, 1), float64(attempt))
	if limit := float64(saf.Cap); limit > 0 && d > limit {
		d = limit
	}
	return time.Duration(d)
}

// standing is where a payment stands in the journal's small indexes: those that
// recovery, store-and-forward, the desk and the lists read.
type standing struct {
	owed, desk, hold, doubt, declined, waiting bool

	heldFrom time.Time // of a hold
	funds    int64     // in a balance

	paid       bool // its checkout session, if it is of one
	operations int
}

func (h *history) standing() standing {
	return standing{waiting: h.challenged && (h.Status == StatusRequiresAction || h.Status == StatusInFlight), owed: h.reversal.queued, desk: h.reversal.desk != "",
		hold: h.uncaptured, heldFrom: h.heldFrom, funds: h.funds(), doubt: h.Status == StatusUnknown,
		declined: h.Status == StatusDeclined && h.Decline.Source == "bank", paid: h.paid(), operations: len(h.operations)}
}

// reindex adds to the command what the step from before to the present changes
// in the indexes, and the events it makes. It is the one place that does.
func (h *history) reindex(c *storage.Command, before standing) {
	id, after := h.ID, h.standing()
	move := func(space storage.Space, was, is bool) {
		switch {
		case is && !was:
			c.Set(space, id[:], []byte(h.Bank))
		case was && !is:
			c.Delete(space, id[:])
		}
	}
	move(spaceReversal, before.owed, after.owed)
	move(spaceDesk, before.desk, after.desk)
	move(spaceChallenge, before.waiting, after.waiting)
	lengthened := before.hold && after.hold && !after.heldFrom.Equal(before.heldFrom)
	if before.hold && !after.hold || lengthened {
		c.Delete(spaceHold, h.holdKey(before.heldFrom))
	}
	if after.hold && !before.hold || lengthened {
		c.Set(spaceHold, h.holdKey(after.heldFrom), nil)
	}
	if after.doubt && !before.doubt {
		c.Set(spaceLate, h.lateKey(0), nil)
	}
	if after.declined && !before.declined && h.declines != nil {
		h.countDecline(c)
	}
	if n := uint32(after.operations); after.operations > before.operations {
		account := h.account()
		c.Set(spaceAccess, operationListKey(account, h.operations[n-1].ID), h.operationRef(n))
	}
	h.settleFunds(c, before.funds, after.funds)
	h.writeReceipts(c)
	h.announce(c)
	h.tellCheckout(c, before, after)
}

// reindexOperation does the same for one operation of the payment.
func (h *history) reindexOperation(c *storage.Command, n uint32, before operationStanding) {
	after := h.operationStanding(n)
	if after == before {
		return
	}
	id := h.operations[n-1].ID
	move := func(space storage.Space, was, is bool) {
		switch {
		case is && !was:
			c.Set(space, id[:], h.operationRef(n))
		case was && !is:
			c.Delete(space, id[:])
		}
	}
	move(spaceOperation, before.open, after.open)
	move(spaceOperationDesk, before.desk, after.desk)
	if after.doubt && !before.doubt {
		c.Set(spaceLate, h.lateKey(n), nil)
	}
}

// lateKey orders what was given up by the time of it.
func (h *history) lateKey(n uint32) []byte {
	return append(lateTime(h.UpdatedAt), h.operationRef(n)...)
}

func lateTime(at time.Time) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, 8+20), uint64(at.UnixMilli()))
}

// operationRef is how the journal's indexes name an operation: the payment and
// the operation's number in it.
func (h *history) operationRef(n uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, len(h.ID)+4), h.ID[:]...), n)
}

func parseOperationRef(ref []byte) (payment ID, n uint32, ok bool) {
	if len(ref) != len(payment)+4 {
		return payment, 0, false
	}
	return ID(ref[:len(payment)]), binary.BigEndian.Uint32(ref[len(payment):]), true
}

// holdKey orders a bank's holds by the beginning of their time.
func (h *history) holdKey(from time.Time) []byte {
	return append(holdTime(h.Bank, from), h.ID[:]...)
}

// parseHoldKey reads a key without its bank.
func parseHoldKey(key []byte) (approved time.Time, id ID, ok bool) {
	if len(key) != 8+len(id) {
		return approved, id, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(key))), ID(key[8:]), true
}

func holdTime(bank string, at time.Time) []byte {
	key := append(append(make([]byte, 0, len(bank)+1+8+16), bank...), 0)
	return binary.BigEndian.AppendUint64(key, uint64(at.UnixMilli()))
}
