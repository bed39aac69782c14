package payswitch

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// BatchPrefix is the TypeID prefix of a batch.
const BatchPrefix = "bat"

// Limits of batches.
const (
	MaxBatchRows   = 10_000
	maxOpenBatches = 20 // of one account that have not ended
)

// RowKind is what a row of a batch does.
type RowKind string

// The kinds of row.
const (
	RowPayment RowKind = "payment" // by a saved card
	RowCapture RowKind = "capture"
	RowCancel  RowKind = "cancel"
	RowRefund  RowKind = "refund"
)

// BatchRow is one row as asked. The texts are bounded by whoever decodes them.
type BatchRow struct {
	Kind   RowKind
	Amount int64 // minor units; 0: all that is left, not of a payment

	Payment ID     `json:",omitzero"` // not of RowPayment
	Final   bool   `json:",omitzero"` // of a capture
	Reason  string `json:",omitzero"` // of a cancel or a refund

	Token         ID     `json:",omitzero"` // this and what follows only of RowPayment
	Currency      string `json:",omitzero"` // alphabetic
	OrderID       string `json:",omitzero"`
	Customer      string `json:",omitzero"`
	Description   string `json:",omitzero"`
	Bank          string `json:",omitzero"`
	Initiator     string `json:",omitzero"` // "customer" or "merchant"
	ManualCapture bool   `json:",omitzero"`
}

// Batch is many operations that were accepted together and run one by one. Times
// are UTC with milliseconds.
type Batch struct {
	ID         ID
	Version    uint32 // +1 with each change
	Live       bool
	Merchant   string
	Rows       int
	Counts     BatchCounts
	CreatedAt  time.Time
	UpdatedAt  time.Time
	CanceledAt time.Time // zero: nobody asked to stop it
	EndedAt    time.Time // zero: rows still run, or wait
}

// BatchCounts are rows by their result; the others are queued.
type BatchCounts struct {
	Succeeded int // an operation that succeeded, a payment that was approved
	Declined  int // or failed
	Open      int // recorded, and pending or unknown when it was answered
	Refused   int // nothing was recorded
	Canceled  int // never ran, because the batch was canceled
}

// Queued is how many rows have no result.
func (b *Batch) Queued() int {
	c := &b.Counts
	return b.Rows - c.Succeeded - c.Declined - c.Open - c.Refused - c.Canceled
}

// Status is processing, canceling, completed or canceled.
func (b *Batch) Status() string {
	switch ended, canceled := !b.EndedAt.IsZero(), !b.CanceledAt.IsZero(); {
	case !ended && canceled:
		return "canceling"
	case !ended:
		return "processing"
	case b.Counts.Canceled > 0:
		return "canceled"
	}
	return "completed"
}

// RowResult is what came of a row. It never changes: the payment or the operation
// that it names tells what became of it since.
type RowResult struct {
	Status    string    // queued, done, refused or canceled
	Object    string    `json:",omitzero"` // done: payment, capture, cancel or refund
	ID        ID        `json:",omitzero"` // done: of the Object
	Payment   ID        `json:",omitzero"`
	Outcome   string    `json:",omitzero"` // done: the object's status when it was answered
	Decline   string    `json:",omitzero"` // done: the reason of a decline
	Refusal   *Refusal  `json:",omitzero"`
	At        time.Time `json:",omitzero"`
	unsettled bool
}

// batchRecord is a batch as stored.
type batchRecord struct {
	Batch
	Fingerprint Fingerprint
}

// spaceBatch holds batches. The first byte of a key says what stands there: the
// bytes are stored, never reuse one.
const spaceBatch storage.Space = 'x'

const (
	batchOpen   = 'o' // batch id -> batchLoading or batchAccepted: those that have not ended
	batchHead   = 'h' // batch id -> batchRecord
	batchRow    = 'r' // batch id, row number -> BatchRow
	batchResult = 's' // batch id, row number -> RowResult
	batchList   = 'l' // account digest, batch id: lists
)

// The states of batchOpen. The bytes are stored.
const (
	batchLoading  = 'l' // its rows are being written: after a crash it never was
	batchAccepted = 'a'
)

func batchKey(kind byte, id ID) []byte { return append([]byte{kind}, id[:]...) }

func batchRowKey(kind byte, id ID, row int) []byte {
	return binary.BigEndian.AppendUint32(batchKey(kind, id), uint32(row))
}

func batchListKey(account [8]byte, id ID) []byte {
	return append(append([]byte{batchList}, account[:]...), id[:]...)
}

// batchClaim is what the idempotency key of a batch holds: it has the length of no
// payment's and no operation's.
func batchClaim(id ID) []byte { return append(id[:], 'x') }

func parseBatchClaim(held []byte) (id ID, ok bool) {
	if len(held) != len(id)+1 || held[len(id)] != 'x' {
		return id, false
	}
	return ID(held[:len(id)]), true
}

// account is the list prefix of the batch's merchant and mode.
func (b *Batch) account() [8]byte {
	mode := "test"
	if b.Live {
		mode = "live"
	}
	return digestAccount(mode, b.Merchant)
}

func (b *batchRecord) put(c *storage.Command) error {
	body, err := json.Marshal(b)
	c.Set(spaceBatch, batchKey(batchHead, b.ID), body)
	return err
}

// readBatch returns nil when there is no such batch.
func (s *Switch) readBatch(id ID) (*batchRecord, error) {
	body, ok, err := s.store.Get(spaceBatch, batchKey(batchHead, id), nil)
	if err != nil || !ok {
		return nil, err
	}
	b := new(batchRecord)
	if err := json.Unmarshal(body, b); err != nil {
		return nil, fmt.Errorf("batch %s: %w", id.Text(BatchPrefix), errRecord)
	}
	return b, nil
}

// rowKey is the idempotency key of a row: no merchant's key can be it, since those
// are printable.
func rowKey(id ID, row int) string {
	return string(binary.BigEndian.AppendUint32(append([]byte("\x00batch"), id[:]...), uint32(row)))
}
