package payswitch

import (
	"bytes"
	"time"

	"github.com/tranzit/tranzit/storage"
)

const (
	// MaxResults is the most rows of one page of results.
	MaxResults = 1000
	// resultsLag is how old a row must be to be shown: ids are given before what
	// they name is durable, and a page must never end behind a row that comes later.
	resultsLag = 5 * time.Second
)

// ResultsQuery selects what an account did in a period.
type ResultsQuery struct {
	From, To time.Time // of the beginning of a payment or of an operation: not before From, and before To; zero: no bound
	Status   string    // a word of Status or of OperationStatus; empty: any
	Limit    int       // 1..MaxResults
	Cursor   ID        // zero: from the oldest; else strictly newer than it
}

// Result is one row: a payment, or an operation with the payment it belongs to.
type Result struct {
	Payment   Payment
	Operation *Operation // nil: the row is the payment
}

// ID is the id that orders the row.
func (r *Result) ID() ID {
	if r.Operation != nil {
		return r.Operation.ID
	}
	return r.Payment.ID
}

// ResultsPage is one page of results, oldest first. More says that newer ones
// may exist; Next is then the cursor for them.
type ResultsPage struct {
	Results []Result
	More    bool
	Next    ID
}

// ParseResultStatus reports whether a word is a status that a row can have.
func ParseResultStatus(word string) bool {
	if _, ok := ParseStatus(word); ok {
		return true
	}
	for s := OperationPending; int(s) < len(operationStatusNames); s++ {
		if s.String() == word {
			return true
		}
	}
	return false
}

// operationListKey orders an account's operations by their beginning.
func operationListKey(account [8]byte, id ID) []byte {
	return append(append([]byte{accessOperation}, account[:]...), id[:]...)
}

// account is the list prefix of the payment's merchant and mode.
func (h *history) account() [8]byte {
	mode := "test"
	if h.Live {
		mode = "live"
	}
	return digestAccount(mode, h.Merchant)
}

// resultRow is a row before it is folded.
type resultRow struct {
	id, payment ID
	n           uint32 // of the operation; 0: the payment itself
}

// Results is a page of what the account did in a period, oldest first: every
// payment and every operation, each under the time of its own beginning and as
// it stands now, also while it is in flight. A row appears five seconds after its
// beginning and its place never changes, so no row is missed or seen twice by
// who goes on with the cursor. A page costs its rows, whatever the journal holds;
// with a filter at most scanBudget rows are looked at, so that a page may be
// short, or empty, while More is true.
func (s *Switch) Results(a Account, q ResultsQuery) (ResultsPage, error) {
	last := idAt(s.now().Add(-resultsLag))
	if to := idAt(q.To); !q.To.IsZero() && bytes.Compare(to[:], last[:]) < 0 {
		last = to
	}
	from := idAt(q.From)
	if q.From.IsZero() {
		from = ID{}
	}
	if next := q.Cursor.next(); !q.Cursor.IsZero() && bytes.Compare(next[:], from[:]) > 0 {
		from = next
	}
	var page ResultsPage
	for examined, chunk := 0, q.Limit+1; ; chunk = min(scanChunk, scanBudget+1-examined) {
		rows, err := s.resultRows(accountDigest(a), [2]ID{from, last}, chunk)
		if err == nil {
			err = s.foldRows(rows, func(r Result) bool {
				if page.More = len(page.Results) == q.Limit || examined == scanBudget; page.More {
					return false
				}
				examined++
				page.Next = r.ID()
				if q.Status == "" || r.status() == q.Status {
					page.Results = append(page.Results, r)
				}
				return true
			})
		}
		if err != nil {
			s.log.Error("results could not be read", "merchant", a.Merchant.ID, "error", err)
			return ResultsPage{}, errInternal
		}
		if page.More || len(rows) < chunk {
			return page, nil
		}
		from = page.Next.next()
	}
}

// status is the word of the row's own status, as it is shown.
func (r *Result) status() string {
	switch {
	case r.Operation != nil && r.Operation.Status == OperationInFlight:
		return OperationPending.String()
	case r.Operation != nil:
		return r.Operation.Status.String()
	case r.Payment.Status == StatusInFlight:
		return StatusUnknown.String()
	}
	return r.Payment.Status.String()
}

// next is the smallest id that is greater.
func (id ID) next() ID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}

// resultRows are the first rows of both lists in a range of ids, oldest first, at
// most so many: two seeks and a merge.
func (s *Switch) resultRows(account [8]byte, within [2]ID, most int) (rows []resultRow, err error) {
	bound := func(prefix []byte, id ID) []byte { return append(bytes.Clone(prefix), id[:]...) }
	payments, operations := account[:], append([]byte{accessOperation}, account[:]...)
	made := make([]resultRow, 0, most)
	err = s.store.Scan(storage.Range{Space: spaceMerchant, Prefix: payments, From: bound(payments, within[0]), To: bound(payments, within[1])},
		func(key, _ []byte) bool {
			id := ID(key[len(payments):])
			made = append(made, resultRow{id: id, payment: id})
			return len(made) < most
		})
	if err != nil {
		return nil, err
	}
	bad := false
	err = s.store.Scan(storage.Range{Space: spaceAccess, Prefix: operations, From: bound(operations, within[0]), To: bound(operations, within[1])},
		func(key, ref []byte) bool {
			row := resultRow{id: ID(key[len(operations):])}
			var ok bool
			if row.payment, row.n, ok = parseOperationRef(ref); !ok {
				bad = true
				return false
			}
			for len(made) > 0 && bytes.Compare(made[0].id[:], row.id[:]) < 0 && len(rows) < most {
				rows, made = append(rows, made[0]), made[1:]
			}
			if len(rows) < most {
				rows = append(rows, row)
			}
			return len(rows) < most
		})
	if bad {
		err = errRecord
	}
	for len(made) > 0 && len(rows) < most {
		rows, made = append(rows, made[0]), made[1:]
	}
	return rows, err
}

// foldRows folds the payments of rows, each once, and hands out the rows in order
// until each says that it has seen enough.
func (s *Switch) foldRows(rows []resultRow, each func(Result) bool) error {
	ids, seen := make([]storage.ID, 0, len(rows)), make(map[ID]*history, len(rows))
	for _, r := range rows {
		if _, known := seen[r.payment]; !known {
			seen[r.payment] = nil
			ids = append(ids, storage.ID(r.payment))
		}
	}
	err := s.foldAll(ids, func(h *history) bool { seen[h.ID] = h; return true })
	if err != nil {
		return err
	}
	for _, r := range rows {
		h := seen[r.payment]
		if h == nil || int(r.n) > len(h.operations) {
			return errRecord
		}
		result := Result{Payment: h.Payment}
		if r.n > 0 {
			result.Operation = &h.operations[r.n-1].Operation
		}
		if !each(result) {
			return nil
		}
	}
	return nil
}
