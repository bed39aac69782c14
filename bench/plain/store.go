package plain

import (
	"encoding/binary"
	"encoding/json"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	dto "github.com/prometheus/client_model/go"
)

// Keys of the store: 'p', the payment's number, the version of the record; and
// 'k', the idempotency key.
const (
	spacePayments = 'p'
	spaceClaims   = 'k'
	paymentKey    = 1 + 8 + 1
)

// store keeps two records for each payment and syncs each. Goroutine-safe.
type store struct{ db *pebble.DB }

// claim is what stands under an idempotency key.
type claim struct {
	seq         uint64
	fingerprint []byte
}

var errClaim = errors.New("the store holds a damaged idempotency claim")

func openStore(dir string) (*store, error) {
	cache := pebble.NewCache(64 << 20)
	defer cache.Unref()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, MemTableSize: 64 << 20, Cache: cache,
		Logger: quiet{pebble.DefaultLogger}})
	if err != nil {
		return nil, err
	}
	return &store{db: db}, nil
}

// quiet is the engine's logger without what is no error.
type quiet struct{ pebble.Logger }

func (quiet) Infof(string, ...any) {}

func keyOf(seq uint64, version byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{spacePayments}, seq), version)
}

// intent makes a payment's first record and its idempotency claim durable.
func (s *store) intent(key string, c claim, record []byte) error {
	b := s.db.NewBatch()
	defer b.Close()
	if err := b.Set(keyOf(c.seq, 1), record, nil); err != nil {
		return err
	}
	value := append(binary.BigEndian.AppendUint64(nil, c.seq), c.fingerprint...)
	if err := b.Set(append([]byte{spaceClaims}, key...), value, nil); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

// outcome makes a payment's second record durable.
func (s *store) outcome(seq uint64, record []byte) error {
	return s.db.Set(keyOf(seq, 2), record, pebble.Sync)
}

// claimed finds an idempotency key.
func (s *store) claimed(key string) (c claim, found bool, err error) {
	value, err := s.get(append([]byte{spaceClaims}, key...))
	if value == nil || err != nil {
		return claim{}, false, err
	}
	if len(value) < 8 {
		return claim{}, false, errClaim
	}
	return claim{seq: binary.BigEndian.Uint64(value), fingerprint: value[8:]}, true, nil
}

// newest is a payment's last record; nil: there is none.
func (s *store) newest(seq uint64) ([]byte, error) {
	record, err := s.get(keyOf(seq, 2))
	if record != nil || err != nil {
		return record, err
	}
	return s.get(keyOf(seq, 1))
}

// get is a copy of the value; nil: there is none.
func (s *store) get(key []byte) ([]byte, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	value = append([]byte{}, value...)
	return value, closer.Close()
}

// last is the highest payment number in the store; 0: there is none.
func (s *store) last() (uint64, error) {
	it, err := s.db.NewIter(payments)
	if err != nil {
		return 0, err
	}
	seq := uint64(0)
	if it.Last() {
		seq = binary.BigEndian.Uint64(it.Key()[1:])
	}
	return seq, it.Close()
}

var payments = &pebble.IterOptions{LowerBound: []byte{spacePayments}, UpperBound: []byte{spacePayments + 1}}

// line is one line of the totals: what the switch's admin port says of its journal.
type line struct {
	Currency string `json:"currency"`
	Status   string `json:"status"`
	Count    uint64 `json:"count"`
	Amount   int64  `json:"amount"`
}

// totals reads the whole store.
func (s *store) totals() (lines []line, records int, err error) {
	it, err := s.db.NewIter(payments)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	type group struct{ currency, status string }
	sums := map[group]*line{}
	var last payment
	count := func() {
		g := group{last.Currency, last.Status}
		if sums[g] == nil {
			sums[g] = &line{Currency: g.currency, Status: g.status}
		}
		sums[g].Count++
		sums[g].Amount += last.Amount
	}
	for it.First(); it.Valid(); it.Next() {
		records++
		first := it.Key()[paymentKey-1] == 1
		if first && records > 1 {
			count()
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, records, err
		}
		last = payment{}
		if err := json.Unmarshal(value, &last); err != nil {
			return nil, records, err
		}
	}
	if records > 0 {
		count()
	}
	for _, l := range sums {
		lines = append(lines, *l)
	}
	return lines, records, nil
}

// syncs is how many times the log was synced, by the engine's own count.
func (s *store) syncs() uint64 {
	var m dto.Metric
	if err := s.db.Metrics().LogWriter.FsyncLatency.Write(&m); err != nil {
		return 0
	}
	return m.GetHistogram().GetSampleCount()
}

func (s *store) close() error { return s.db.Close() }
