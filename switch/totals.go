package payswitch

import (
	"errors"
	"fmt"
	"sort"

	"github.com/tranzit/tranzit/storage"
)

// Totals are the money of a journal, by bank, currency and status. They say
// nothing that cannot be recounted from the records.
type Totals struct {
	Payments uint64      `json:"payments"`
	Records  uint64      `json:"records"`
	Lines    []TotalLine `json:"lines"`
}

// TotalLine is one cell of Totals; sums are minor units.
type TotalLine struct {
	Bank     string `json:"bank"`
	Currency string `json:"currency"`
	Status   string `json:"status"`
	Count    uint64 `json:"count"`
	Amount   int64  `json:"amount"`
}

// Total folds every payment of a journal. It reads the whole journal.
// Errors name the first payment whose records do not fold.
func Total(store *storage.Store) (Totals, error) {
	var t Totals
	cells := map[TotalLine]*TotalLine{}
	var h history
	count := func() {
		if h.in == nil {
			return
		}
		t.Payments++
		key := TotalLine{Bank: h.Bank, Currency: h.Currency.Alpha(), Status: h.Status.String()}
		cell := cells[key]
		if cell == nil {
			cell = &TotalLine{Bank: key.Bank, Currency: key.Currency, Status: key.Status}
			cells[key] = cell
		}
		cell.Count++
		cell.Amount += h.Amount
	}
	err := eachRecord(store, func(id ID, version uint32, r *record) error {
		t.Records++
		if version == 1 {
			count()
			h = history{}
		}
		return h.apply(id, version, r)
	})
	if err != nil {
		return Totals{}, err
	}
	count()
	for _, cell := range cells {
		t.Lines = append(t.Lines, *cell)
	}
	sort.Slice(t.Lines, func(i, j int) bool {
		a, b := t.Lines[i], t.Lines[j]
		return a.Bank+a.Currency+a.Status < b.Bank+b.Currency+b.Status
	})
	return t, nil
}

func eachRecord(store *storage.Store, do func(ID, uint32, *record) error) error {
	var bad error
	err := store.RecordsFrom(storage.ID{}, func(id storage.ID, version uint32, body []byte) bool {
		var r record
		if r, bad = decodeRecord(body); bad != nil {
			bad = fmt.Errorf("payment %s, record %d: %w", ID(id).Text(PaymentPrefix), version, bad)
			return false
		}
		bad = do(ID(id), version, &r)
		return bad == nil
	})
	return errors.Join(err, bad)
}

// Export calls yield for every event of a journal in the order of payment ids,
// without messages, until it returns an error.
func Export(store *storage.Store, yield func(Payment, TimelineEvent) error) error {
	var h history
	return eachRecord(store, func(id ID, version uint32, r *record) error {
		if version == 1 {
			h = history{}
		}
		if err := h.apply(id, version, r); err != nil {
			return err
		}
		return yield(h.Payment, TimelineEvent{Version: version, At: r.at, Type: h.word(r), Status: h.Status, Detail: h.detail(r)})
	})
}

// Owed is one message the switch still owes, or one given to the operators.
type Owed struct {
	ID        ID     // the payment
	Name      string // its TypeID
	Operation string // TypeID of its operation; empty: the payment's own reversal
	Bank      string
	Amount    int64
	Currency  string
	RRN       string
	Attempts  uint32
	Desk      string // why the switch stopped trying; empty while it has not
}

// OwedReversals lists at most limit reversals owed, then those on the desk, then
// the operations that are open and those on the desk.
func (s *Switch) OwedReversals(limit int) ([]Owed, error) {
	var out []Owed
	for _, space := range []storage.Space{spaceReversal, spaceDesk} {
		var ids []ID
		err := s.store.Scan(storage.Range{Space: space}, func(key, _ []byte) bool {
			ids = append(ids, ID(key))
			return len(ids)+len(out) < limit
		})
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			h, err := s.history(id)
			if err != nil {
				return nil, err
			}
			out = append(out, Owed{ID: id, Name: h.Name(), Bank: h.Bank, Amount: h.Amount, Currency: h.Currency.Alpha(), RRN: h.RRN,
				Attempts: h.reversal.attempts, Desk: h.reversal.desk})
		}
	}
	for _, space := range []storage.Space{spaceOperation, spaceOperationDesk} {
		refs, err := s.operationsIn(space)
		if err != nil {
			return nil, err
		}
		for _, ref := range refs[:min(len(refs), max(0, limit-len(out)))] {
			h, err := s.history(ref.payment)
			if err != nil {
				return nil, err
			}
			if int(ref.n) > len(h.operations) || h.operations[ref.n-1].Status == OperationInFlight {
				continue
			}
			o := &h.operations[ref.n-1]
			out = append(out, Owed{ID: ref.payment, Name: h.Name(), Operation: o.ID.Text(o.Kind.Prefix()), Bank: h.Bank, Amount: o.Amount,
				Currency: h.Currency.Alpha(), RRN: o.RRN, Attempts: o.owed.attempts, Desk: o.owed.desk})
		}
	}
	return out, nil
}

// AnyPayment is Payment for operators, whoever it belongs to.
func (s *Switch) AnyPayment(id ID) (Payment, error) {
	h, err := s.history(id)
	if errors.Is(err, errNoPayment) {
		return Payment{}, errNotFound
	}
	if err != nil {
		return Payment{}, err
	}
	return h.Payment, nil
}
