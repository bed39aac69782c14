package payswitch

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// BatchRequest asks to run rows, already decoded and syntactically valid.
type BatchRequest struct {
	IdempotencyKey string      // 1..255 printable characters
	Fingerprint    Fingerprint // of method, path and body; see Switch.Fingerprint
	RequestID      string      // for logs only
	Rows           []BatchRow  // 1..MaxBatchRows
}

// BadRows is the refusal of a batch for what some of its rows ask. Nothing was
// recorded, and no row runs.
type BadRows struct{ Faults []RowFault }

// RowFault is why one row cannot be accepted. Row counts from 1.
type RowFault struct {
	Row     int
	Refusal Refusal
}

func (b *BadRows) Error() string { return fmt.Sprintf("%d rows cannot be accepted", len(b.Faults)) }

// maxRowFaults bounds how many faults one refusal lists.
const maxRowFaults = 100

// CreateBatch accepts all rows or none. It returns when they are durable; they
// then run in the background, each once. A repeat under the same idempotency key
// gets the first answer. Errors are refusals, or a *BadRows; nothing was recorded.
func (s *Switch) CreateBatch(a Account, r *BatchRequest) (batch Batch, replayed bool, err error) {
	account, key := accountDigest(a), s.idempotencyDigest(a, r.IdempotencyKey)
	mu := s.batches.acceptance(account)
	mu.Lock()
	defer mu.Unlock()
	held, ok, err := s.store.Get(spaceKey, key[:], nil)
	switch {
	case err != nil:
		return batch, false, errInternal
	case ok:
		batch, err = s.replayBatch(r.Fingerprint, held)
		return batch, err == nil, err
	}
	if err := s.accepting(); err != nil {
		return batch, false, err
	}
	if s.batches.openOf(accountKey{a.Merchant.ID, a.Live}) >= maxOpenBatches {
		return batch, false, &Refusal{Code: CodeOverloaded, RetryAfter: 30 * time.Second,
			Detail: fmt.Sprintf("%d batches have not ended yet, the most there may be.", maxOpenBatches)}
	}
	bad, err := s.checkRows(a, r.Rows)
	switch {
	case err != nil:
		s.log.Error("the rows of a batch could not be checked", "request_id", r.RequestID, "error", err)
		return batch, false, errInternal
	case bad != nil:
		return batch, false, bad
	}
	now := s.now()
	batch = Batch{ID: s.ids.next(now), Version: 1, Live: a.Live, Merchant: a.Merchant.ID, Rows: len(r.Rows), CreatedAt: now, UpdatedAt: now}
	b := &batchRecord{batch, r.Fingerprint}
	held, err = s.writeBatch(b, r.Rows, key)
	switch {
	case err != nil:
		s.log.Error("the journal refused a batch", "request_id", r.RequestID, "error", err)
		return Batch{}, false, errInternal
	case held != nil: // a payment or an operation took the key meanwhile
		return Batch{}, false, errKeyReused
	}
	s.batches.add(newOpenBatch(b))
	s.log.Info("a batch was accepted", "request_id", r.RequestID, "batch", batch.ID.Text(BatchPrefix), "merchant", batch.Merchant, "rows", batch.Rows)
	return batch, false, nil
}

// writeBatch makes a batch durable: first that it is being written, then its rows
// in commands of a bounded size, and in the last one that it is accepted. held is
// what its key holds when another request claimed it first.
func (s *Switch) writeBatch(b *batchRecord, rows []BatchRow, key [16]byte) (held []byte, err error) {
	var c storage.Command
	c.Set(spaceBatch, batchKey(batchOpen, b.ID), []byte{batchLoading})
	if err := s.doBatch(&c); err != nil {
		return nil, err
	}
	for from := 0; from < len(rows); from += batchStep {
		c.Reset()
		for i := from; i < min(from+batchStep, len(rows)); i++ {
			body, err := json.Marshal(&rows[i])
			if err != nil {
				return nil, err
			}
			c.Set(spaceBatch, batchRowKey(batchRow, b.ID, i+1), body)
		}
		if err := s.doBatch(&c); err != nil {
			return nil, err
		}
	}
	c.Reset()
	c.Claim(spaceKey, key[:], batchClaim(b.ID))
	c.Set(spaceBatch, batchKey(batchOpen, b.ID), []byte{batchAccepted})
	c.Set(spaceBatch, batchListKey(b.account(), b.ID), nil)
	if err := b.put(&c); err != nil {
		return nil, err
	}
	result, err := s.store.Do(&c)
	if err == nil && result.Kind == storage.Exists {
		return result.Value, s.forgetBatch(b.ID)
	}
	return nil, err
}

// batchStep is how many rows one command of the journal writes or removes.
const batchStep = 500

func (s *Switch) doBatch(c *storage.Command) error {
	result, err := s.store.Do(c)
	if err == nil && result.Kind != storage.Applied {
		err = errInternal
	}
	return err
}

// forgetBatch removes a batch that was never accepted.
func (s *Switch) forgetBatch(id ID) error {
	for {
		var c storage.Command
		n := 0
		err := s.store.Scan(storage.Range{Space: spaceBatch, Prefix: batchKey(batchRow, id)}, func(key, _ []byte) bool {
			c.Delete(spaceBatch, key)
			n++
			return n < batchStep
		})
		if err != nil {
			return err
		}
		if n < batchStep {
			c.Delete(spaceBatch, batchKey(batchOpen, id))
		}
		if err := s.doBatch(&c); err != nil || n < batchStep {
			return err
		}
	}
}

// replayBatch is the answer to a repeat: the batch as it was accepted.
func (s *Switch) replayBatch(fingerprint Fingerprint, held []byte) (Batch, error) {
	id, ok := parseBatchClaim(held)
	if !ok {
		return Batch{}, errKeyReused // by a payment or an operation
	}
	b, err := s.readBatch(id)
	switch {
	case err != nil || b == nil:
		return Batch{}, errInternal
	case b.Fingerprint != fingerprint:
		return Batch{}, errKeyReused
	}
	b.Version, b.Counts, b.UpdatedAt, b.CanceledAt, b.EndedAt = 1, BatchCounts{}, b.CreatedAt, time.Time{}, time.Time{}
	return b.Batch, nil
}

// checkRows finds the rows that could never run: payments, saved cards and banks
// that are not the account's, and operations on payments that are over. What
// only the moment of the run can tell is left to it.
func (s *Switch) checkRows(a Account, rows []BatchRow) (*BadRows, error) {
	statuses, err := s.statusesOf(a, rows)
	if err != nil {
		return nil, err
	}
	var bad BadRows
	tokens := map[ID]*Refusal{}
	for i := range rows {
		r := &rows[i]
		var no *Refusal
		if r.Kind == RowPayment {
			no, err = s.checkPaymentRow(a, r, tokens)
		} else {
			no = r.checkOperation(statuses)
		}
		if err != nil {
			return nil, err
		}
		if no != nil {
			bad.Faults = append(bad.Faults, RowFault{i + 1, *no})
		}
		if len(bad.Faults) == maxRowFaults {
			break
		}
	}
	if bad.Faults == nil {
		return nil, nil
	}
	return &bad, nil
}

// statusesOf are the statuses of the payments that rows name, of those that are
// the account's.
func (s *Switch) statusesOf(a Account, rows []BatchRow) (map[ID]Status, error) {
	statuses := map[ID]Status{}
	var ids []storage.ID
	for i := range rows {
		if id := rows[i].Payment; rows[i].Kind != RowPayment {
			if _, known := statuses[id]; !known {
				statuses[id] = StatusInFlight
				ids = append(ids, storage.ID(id))
			}
		}
	}
	slices.SortFunc(ids, func(x, y storage.ID) int { return slices.Compare(x[:], y[:]) })
	err := s.foldAll(ids, func(h *history) bool {
		if h.Merchant == a.Merchant.ID && h.Live == a.Live {
			statuses[h.ID] = h.Status
		}
		return true
	})
	return statuses, err
}

func (r *BatchRow) checkOperation(statuses map[ID]Status) *Refusal {
	switch status := statuses[r.Payment]; {
	case status == StatusInFlight:
		return &Refusal{Code: CodeNotFound, Pointer: "/payment_id", Detail: errNotFound.Detail}
	case status.Final():
		return &Refusal{Code: CodeInvalidState, Pointer: "/payment_id", Detail: fmt.Sprintf("A payment that is %s takes no operation any more.", status)}
	}
	return nil
}

func (s *Switch) checkPaymentRow(a Account, r *BatchRow, tokens map[ID]*Refusal) (*Refusal, error) {
	way := s.dir.Load().route(a.Merchant.ID, r.Bank)
	if r.Bank != "" && (way == nil || way.bank.live != a.Live) {
		return &Refusal{Code: CodeUnknownBank, Pointer: "/bank", Detail: "This merchant has no such bank in this mode."}, nil
	}
	no, known := tokens[r.Token]
	if !known || r.Customer != "" {
		t, err := s.readToken(r.Token)
		if err != nil {
			return nil, err
		}
		switch {
		case t == nil || t.merchant != a.Merchant.ID || t.Live != a.Live:
			no = &Refusal{Code: CodeUnknownToken, Pointer: "/token", Detail: errPayNoToken.Detail}
		case t.Card.Expiry.Expired(s.now()):
			no = &Refusal{Code: CodeCardExpired, Pointer: "/token", Detail: errExpired.Detail}
		}
		tokens[r.Token] = no
		if no == nil && r.Customer != "" && r.Customer != t.Customer {
			return &Refusal{Code: CodeUnknownToken, Pointer: "/token", Detail: errNotOfPayer.Detail}, nil
		}
	}
	return no, nil
}
