package payswitch

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/tranzit/tranzit/storage"
)

var errNoBatch = &Refusal{Code: CodeNotFound, Detail: "There is no such batch."}

// ownedBatch is readBatch for a merchant: another merchant's batch, or one of the
// other mode, does not exist for it.
func (s *Switch) ownedBatch(a Account, id ID) (Batch, error) {
	b, err := s.readBatch(id)
	switch {
	case err != nil:
		s.log.Error("a batch could not be read", "batch", id.Text(BatchPrefix), "error", err)
		return Batch{}, errInternal
	case b == nil || b.Merchant != a.Merchant.ID || b.Live != a.Live:
		return Batch{}, errNoBatch
	}
	return b.Batch, nil
}

// Batch shows a batch. Errors are refusals.
func (s *Switch) Batch(a Account, id ID) (Batch, error) { return s.ownedBatch(a, id) }

// WaitBatch returns the batch when it has ended, or as it is after d. Errors are
// refusals.
func (s *Switch) WaitBatch(a Account, id ID, d time.Duration) (Batch, error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		changed, cancel := s.watch.add(id)
		b, err := s.ownedBatch(a, id)
		if err != nil || !b.EndedAt.IsZero() {
			cancel()
			return b, err
		}
		select {
		case <-changed:
			continue
		case <-timer.C:
		case <-s.ctx.Done():
		}
		cancel()
		return b, nil
	}
}

// BatchPage is one page of batches. More says that older ones exist; Next is then
// the cursor for them.
type BatchPage struct {
	Batches []Batch
	More    bool
	Next    ID
}

// Batches is a page of the account's batches, newest first. limit is 1..100; a
// zero cursor begins at the newest. Errors are refusals.
func (s *Switch) Batches(a Account, limit int, cursor ID) (BatchPage, error) {
	account := accountDigest(a)
	prefix := append([]byte{batchList}, account[:]...)
	rng := storage.Range{Space: spaceBatch, Prefix: prefix, Reverse: true}
	if !cursor.IsZero() {
		rng.To = append(bytes.Clone(prefix), cursor[:]...)
	}
	ids, err := s.idsOf(rng, len(prefix), limit+1)
	var page BatchPage
	for _, id := range ids {
		if page.More = len(page.Batches) == limit; page.More || err != nil {
			break
		}
		var b *batchRecord
		if b, err = s.readBatch(ID(id)); b != nil {
			page.Batches, page.Next = append(page.Batches, b.Batch), b.ID
		}
	}
	if err != nil {
		s.log.Error("batches could not be read", "merchant", a.Merchant.ID, "error", err)
		return BatchPage{}, errInternal
	}
	return page, nil
}

// BatchQuery selects rows of a batch, in their order.
type BatchQuery struct {
	After  int    // only rows with a greater number
	Status string // queued, done, refused or canceled; empty: any
	Limit  int    // 1..MaxBatchPage
}

// MaxBatchPage is the most rows of one page.
const MaxBatchPage = 1000

// BatchedRow is a row with what came of it.
type BatchedRow struct {
	Row int
	BatchRow
	Result RowResult
}

// BatchRows is a page of a batch's rows. more says that there are others after the
// last. Errors are refusals.
func (s *Switch) BatchRows(a Account, id ID, q BatchQuery) (rows []BatchedRow, more bool, err error) {
	b, err := s.ownedBatch(a, id)
	if err != nil {
		return nil, false, err
	}
	rest := "queued"
	if !b.EndedAt.IsZero() {
		rest = "canceled"
	}
	from := q.After
	for done := false; !done && !more && err == nil; {
		var part []BatchedRow
		if part, err = s.batchRows(id, from, q.Limit+1); err != nil {
			break
		}
		done = len(part) <= q.Limit
		for i := range part {
			from = part[i].Row
			if part[i].Result.Status == "" {
				part[i].Result.Status = rest
			}
			if q.Status != "" && part[i].Result.Status != q.Status {
				continue
			}
			if more = len(rows) == q.Limit; more {
				break
			}
			rows = append(rows, part[i])
		}
	}
	if err != nil {
		s.log.Error("the rows of a batch could not be read", "batch", id.Text(BatchPrefix), "error", err)
		return nil, false, errInternal
	}
	return rows, more, nil
}

// batchRows are the rows after a number, at most so many; one that has no result
// has no status.
func (s *Switch) batchRows(id ID, after, most int) (rows []BatchedRow, err error) {
	var bad error
	span := func(kind byte) storage.Range {
		return storage.Range{Space: spaceBatch, Prefix: batchKey(kind, id), From: batchRowKey(kind, id, after+1)}
	}
	err = s.store.Scan(span(batchRow), func(key, body []byte) bool {
		row := BatchedRow{Row: rowOf(key)}
		bad = json.Unmarshal(body, &row.BatchRow)
		rows = append(rows, row)
		return bad == nil && len(rows) < most
	})
	if err = errors.Join(err, bad); err != nil || len(rows) == 0 {
		return nil, err
	}
	first, last := rows[0].Row, rows[len(rows)-1].Row
	err = s.store.Scan(span(batchResult), func(key, body []byte) bool {
		n := rowOf(key)
		if n <= last {
			bad = json.Unmarshal(body, &rows[n-first].Result)
		}
		return bad == nil && n < last
	})
	return rows, errors.Join(err, bad)
}

// CancelBatch stops what of a batch has not begun; what has is finished. A repeat
// changes nothing. Errors are refusals.
func (s *Switch) CancelBatch(a Account, id ID) (Batch, error) {
	b, err := s.ownedBatch(a, id)
	if err != nil || !b.CanceledAt.IsZero() {
		return b, err
	}
	open := s.batches.of(id)
	if open == nil {
		return b, wrongState("The batch has ended: there is nothing left to cancel.")
	}
	var c storage.Command
	first := false
	err = s.changeBatch(open, &c, func(r *Batch) {
		if first = r.CanceledAt.IsZero() && r.EndedAt.IsZero(); first {
			r.CanceledAt = s.now()
		}
		b = *r
	})
	if err != nil {
		s.log.Error("the cancel of a batch could not be recorded", "batch", id.Text(BatchPrefix), "error", err)
		return Batch{}, errInternal
	}
	switch {
	case first:
		close(open.stopped)
	case b.CanceledAt.IsZero():
		return b, wrongState("The batch has ended: there is nothing left to cancel.")
	}
	return s.ownedBatch(a, id)
}
