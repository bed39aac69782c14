package payswitch

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

var (
	errNoPayment = errors.New("no such payment")
	errNotFound  = &Refusal{Code: CodeNotFound, Detail: "There is no such payment."}
)

// maxIdempotencyKey is the longest key that needs no heap.
const maxIdempotencyKey = 255

// idempotencyDigest is the claim of one key: its scope is merchant and mode.
func (s *Switch) idempotencyDigest(a Account, key string) (d [16]byte) {
	account := accountDigest(a)
	var buf [8 + maxIdempotencyKey]byte
	sum := sha256.Sum256(append(append(buf[:0], account[:]...), key...))
	copy(d[:], sum[:])
	return d
}

// accountDigest is the list prefix of a merchant in one mode.
func accountDigest(a Account) (d [8]byte) {
	if a.Live {
		return a.Merchant.live
	}
	return a.Merchant.test
}

func digestAccount(mode, merchant string) (d [8]byte) {
	sum := sha256.Sum256([]byte(mode + "\x00" + merchant))
	copy(d[:], sum[:])
	return d
}

func orderDigest(account [8]byte, order string) (d [16]byte) {
	var buf [8 + 128]byte
	sum := sha256.Sum256(append(append(buf[:0], account[:]...), order...))
	copy(d[:], sum[:])
	return d
}

// Fingerprint is the keyed digest of a request, by which a repeat is told from
// a reuse of its key. A bare hash would let a card number be guessed.
func (s *Switch) Fingerprint(method, path string, body []byte) Fingerprint {
	return s.keys.digest(method, path, body)
}

// history folds all records of a payment.
func (s *Switch) history(id ID) (*history, error) {
	return s.foldWhile(id, func(*history) bool { return true })
}

// firstAnswer folds a payment up to the record that decided it first: what the
// merchant was told when the first request was answered.
func (s *Switch) firstAnswer(id ID) (*history, error) {
	return s.foldWhile(id, func(h *history) bool { return h.Status == StatusInFlight })
}

func (s *Switch) foldWhile(id ID, more func(*history) bool) (*history, error) {
	h := new(history)
	var bad error
	err := s.store.History(storage.ID(id), func(version uint32, body []byte) bool {
		if h.in != nil && !more(h) {
			return false
		}
		var r record
		if r, bad = decodeRecord(body); bad != nil {
			return false
		}
		bad = h.apply(id, version, &r)
		return bad == nil
	})
	switch {
	case err != nil:
		return nil, err
	case bad != nil:
		return nil, bad
	case h.in == nil:
		return nil, errNoPayment
	}
	return h, nil
}

// owned is history for a merchant: another merchant's payment, or one of the
// other mode, does not exist for it, nor does one for another purpose.
func (s *Switch) owned(a Account, purpose Purpose, id ID) (*history, error) {
	h, err := s.history(id)
	switch {
	case errors.Is(err, errNoPayment):
		return nil, errNotFound
	case err != nil:
		s.log.Error("a payment could not be read", "payment", id.Text(PaymentPrefix), "error", err)
		return nil, errInternal
	case h.Purpose != purpose || h.Merchant != a.Merchant.ID || h.Live != a.Live || h.hidden():
		return nil, errNotFound
	}
	return h, nil
}

// Payment is the present state of a payment. A payment whose first answer is
// still on its way does not exist yet.
func (s *Switch) Payment(a Account, purpose Purpose, id ID) (Payment, error) {
	h, err := s.owned(a, purpose, id)
	if err != nil {
		return Payment{}, err
	}
	return h.Payment, nil
}

// Wait returns the payment as soon as its status differs from the one it has
// now, or after d. It answers at once when the status is final.
func (s *Switch) Wait(a Account, purpose Purpose, id ID, d time.Duration) (Payment, error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	seen := Status(0)
	for first := true; ; first = false {
		changed, cancel := s.watch.add(id)
		p, err := s.Payment(a, purpose, id)
		if first {
			seen = p.Status
		}
		if err != nil || p.Final() || p.Status != seen {
			cancel()
			return p, err
		}
		select {
		case <-changed:
		case <-timer.C:
			cancel()
			return p, nil
		case <-s.ctx.Done():
			cancel()
			return p, nil
		}
	}
}

// scanBudget bounds how many payments one List call folds, so that a filter
// that matches nothing cannot hold the journal: the page is then short and its
// cursor goes on.
const scanBudget = 2_000

// List returns a page of the account's payments, newest first. Payments made
// after the first page never shift later pages.
func (s *Switch) List(a Account, q ListQuery) (ListPage, error) {
	space, prefix := spaceMerchant, make([]byte, 0, 16)
	account := listed(accountDigest(a), q.Purpose)
	prefix = append(prefix, account[:]...)
	if q.OrderID != "" {
		order := orderDigest(account, q.OrderID)
		space, prefix = spaceOrder, append(prefix[:0], order[:]...)
	}
	rng := storage.Range{Space: space, Prefix: prefix, Reverse: true}
	if !q.CreatedFrom.IsZero() {
		from := idAt(q.CreatedFrom)
		rng.From = append(bytes.Clone(prefix), from[:]...)
	}
	before := q.Cursor
	if !q.CreatedTo.IsZero() {
		if to := idAt(q.CreatedTo); before.IsZero() || bytes.Compare(to[:], before[:]) < 0 {
			before = to
		}
	}
	if !before.IsZero() {
		rng.To = append(bytes.Clone(prefix), before[:]...)
	}
	var page ListPage
	examined := 0
	for chunk := q.Limit + 1; ; chunk = scanChunk {
		ids, err := s.idsOf(rng, len(prefix), min(chunk, scanBudget+1-examined))
		if err == nil {
			err = s.foldAll(ids, func(h *history) bool {
				if page.More = len(page.Payments) == q.Limit || examined == scanBudget; page.More {
					return false
				}
				examined++
				page.Next = h.ID
				if !h.hidden() && q.takes(&h.Payment) {
					page.Payments = append(page.Payments, h.Payment)
					if q.Operations {
						page.Operations = append(page.Operations, h.shownOperations())
					}
				}
				return true
			})
		}
		if err != nil {
			s.log.Error("a list could not be read", "merchant", a.Merchant.ID, "error", err)
			return ListPage{}, errInternal
		}
		if page.More || len(ids) < chunk {
			return page, nil
		}
		rng.To = append(rng.To[:0], prefix...)
		rng.To = append(rng.To, page.Next[:]...)
	}
}

// scanChunk is how many payments of a list with a filter are folded at a time.
const scanChunk = 256

// idsOf are the first ids of a list, at most so many. Its keys are a prefix and
// an id.
func (s *Switch) idsOf(rng storage.Range, prefix, most int) (ids []storage.ID, err error) {
	err = s.store.Scan(rng, func(key, _ []byte) bool {
		if len(ids) < most {
			ids = append(ids, storage.ID(key[prefix:]))
		}
		return len(ids) < most
	})
	return ids, err
}

// foldAll folds payments in the order given, all as of one moment, until each
// says that it has seen enough. The history belongs to the caller.
func (s *Switch) foldAll(ids []storage.ID, each func(*history) bool) error {
	var bad error
	h, more := new(history), true
	err := s.store.RecordsOf(ids, func(id storage.ID, version uint32, body []byte) bool {
		if h.in != nil && h.ID != ID(id) {
			if more = each(h); !more {
				return false
			}
			h = new(history)
		}
		var r record
		if r, bad = decodeRecord(body); bad == nil {
			bad = h.apply(ID(id), version, &r)
		}
		return bad == nil
	})
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	if more && h.in != nil {
		each(h)
	}
	return nil
}

// Timeline tells a payment's story from its records.
func (s *Switch) Timeline(a Account, purpose Purpose, id ID) ([]TimelineEvent, error) {
	if _, err := s.owned(a, purpose, id); err != nil {
		return nil, err
	}
	events, err := s.Story(id)
	if err != nil {
		return nil, errInternal
	}
	return events, nil
}

// Story is Timeline for operators: any payment, whoever it belongs to.
func (s *Switch) Story(id ID) ([]TimelineEvent, error) {
	return Story(s.store, id, func(bank string, spoken iso.Revision) *iso.Dialect {
		if b := s.banks[bank]; b != nil {
			return b.known(spoken)
		}
		return nil
	})
}

// Story reads a payment's events from a journal. dialects names the dialect of
// a bank in which a message was built, or nil: its messages are then left out.
func Story(store *storage.Store, id ID, dialects func(bank string, spoken iso.Revision) *iso.Dialect) ([]TimelineEvent, error) {
	var events []TimelineEvent
	var h history
	var bad error
	err := store.Records(storage.ID(id), func(version uint32, body []byte) bool {
		var r record
		if r, bad = decodeRecord(body); bad != nil {
			return false
		}
		if bad = h.apply(id, version, &r); bad != nil {
			return false
		}
		e := TimelineEvent{Version: version, At: r.at, Type: h.word(&r), Status: h.Status, Detail: h.detail(&r)}
		if d := dialects(h.Bank, h.spokenIn(&r)); d != nil {
			e.Message = h.message(d, &r)
		}
		events = append(events, e)
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, errNoPayment
	}
	return events, nil
}
