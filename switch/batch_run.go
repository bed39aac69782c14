package payswitch

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

const (
	// batchSlots is how many rows of all batches run at once: what live payments
	// may lose of a bank's window, and the pace of a batch.
	batchSlots = 8
	// batchPatience is how long after its acceptance a batch's rows are tried again
	// that were refused because a bank, or the switch, takes nothing now.
	batchPatience = 24 * time.Hour
	// rowPatience is the same for a row that an open operation of its payment stands
	// or another payment of its order stands in the way of.
	rowPatience = 30 * time.Second
	// rowPause is the longest pause between two tries of a row.
	rowPause = 30 * time.Second
)

// batches are those that have not ended.
type batches struct {
	mu      sync.Mutex
	open    map[ID]*openBatch
	queue   map[accountKey][]*openBatch // in the order of acceptance; the first one runs
	running map[accountKey]bool
	wake    chan struct{}
	slots   chan struct{}
	stripes [64]stripe // acceptance by account; they come before every other lock
}

// openBatch is a batch that has not ended.
type openBatch struct {
	id        ID
	account   accountKey
	createdAt time.Time
	stopped   chan struct{} // closed when it is canceled

	mu     stripe // held over the journal's sync
	record batchRecord
}

func newOpenBatch(r *batchRecord) *openBatch {
	b := &openBatch{id: r.ID, account: accountKey{r.Merchant, r.Live}, createdAt: r.CreatedAt, stopped: make(chan struct{}), record: *r}
	if !r.CanceledAt.IsZero() {
		close(b.stopped)
	}
	return b
}

func (b *batches) init() {
	b.open, b.queue, b.running = map[ID]*openBatch{}, map[accountKey][]*openBatch{}, map[accountKey]bool{}
	b.wake, b.slots = make(chan struct{}, 1), make(chan struct{}, batchSlots)
}

func (b *batches) acceptance(account [8]byte) sync.Locker {
	return &b.stripes[int(account[0])%len(b.stripes)]
}

func (b *batches) openOf(account accountKey) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue[account])
}

func (b *batches) of(id ID) *openBatch {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open[id]
}

func (b *batches) add(one *openBatch) {
	b.mu.Lock()
	b.open[one.id], b.queue[one.account] = one, append(b.queue[one.account], one)
	b.mu.Unlock()
	b.signal()
}

func (b *batches) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// startable marks the first batch of every account that runs none.
func (b *batches) startable() (list []*openBatch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for account, queue := range b.queue {
		if !b.running[account] {
			b.running[account] = true
			list = append(list, queue[0])
		}
	}
	return list
}

// ended takes a batch out, so that the next of its account runs.
func (b *batches) ended(one *openBatch) {
	b.mu.Lock()
	delete(b.open, one.id)
	delete(b.running, one.account)
	if b.queue[one.account] = b.queue[one.account][1:]; len(b.queue[one.account]) == 0 {
		delete(b.queue, one.account)
	}
	b.mu.Unlock()
	b.signal()
}

// loadBatches finds the batches that earlier lives left open, and removes those
// that were never accepted.
func (s *Switch) loadBatches() error {
	state := map[ID]byte{}
	err := s.store.Scan(storage.Range{Space: spaceBatch, Prefix: []byte{batchOpen}}, func(key, value []byte) bool {
		if len(key) == 1+len(ID{}) && len(value) == 1 {
			state[ID(key[1:])] = value[0]
		}
		return true
	})
	if err != nil {
		return err
	}
	var accepted []ID
	for id, is := range state {
		if is == batchAccepted {
			accepted = append(accepted, id)
		} else if err := s.forgetBatch(id); err != nil {
			return err
		}
	}
	slices.SortFunc(accepted, func(x, y ID) int { return bytes.Compare(x[:], y[:]) })
	for _, id := range accepted {
		b, err := s.readBatch(id)
		if err != nil || b == nil {
			return errors.Join(fmt.Errorf("batch %s is open and cannot be read", id.Text(BatchPrefix)), err)
		}
		s.batches.add(newOpenBatch(b))
	}
	return nil
}

// runBatches runs the batches of all accounts, one of each at a time, until the
// switch stops.
func (s *Switch) runBatches() {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		for _, b := range s.batches.startable() {
			running.Add(1)
			go func() {
				defer running.Done()
				s.runBatch(b)
			}()
		}
		select {
		case <-s.batches.wake:
		case <-s.ctx.Done():
			return
		}
	}
}

// numbered is a row with its number, and with its result when it has one.
type numbered struct {
	n int
	BatchRow
	result RowResult
}

// runBatch runs the rows that have no result yet, in lanes: those of one payment
// stay in their order. What is left when the switch stops runs in the next life.
func (s *Switch) runBatch(b *openBatch) {
	rows, err := s.rowsLeft(b.id)
	if err != nil {
		s.log.Error("a batch cannot be read; it waits for the next start", "batch", b.id.Text(BatchPrefix), "error", err)
		return
	}
	var lanes [batchSlots][]numbered
	for _, row := range rows {
		lane := row.n
		if row.Kind != RowPayment {
			lane = int(row.Payment[15])
		}
		lanes[lane%batchSlots] = append(lanes[lane%batchSlots], row)
	}
	results, failed := make(chan numbered), make(chan struct{})
	var working sync.WaitGroup
	for _, lane := range lanes {
		working.Add(1)
		go func() {
			defer working.Done()
			s.runLane(b, lane, results, failed)
		}()
	}
	go func() {
		working.Wait()
		close(results)
	}()
	for row := range results {
		if err := s.keepResults(b, row, results); err != nil {
			s.log.Error("results of a batch could not be recorded; it goes on at the next start", "batch", b.id.Text(BatchPrefix), "error", err)
			close(failed)
			for range results {
			}
			return
		}
	}
	if s.ctx.Err() != nil {
		return
	}
	if err := s.endBatch(b); err != nil {
		s.log.Error("the end of a batch could not be recorded; it ends at the next start", "batch", b.id.Text(BatchPrefix), "error", err)
		return
	}
	s.batches.ended(b)
}

// rowsLeft are the rows of a batch without a result.
func (s *Switch) rowsLeft(id ID) (rows []numbered, err error) {
	done := map[int]bool{}
	err = s.store.Scan(storage.Range{Space: spaceBatch, Prefix: batchKey(batchResult, id)}, func(key, _ []byte) bool {
		done[rowOf(key)] = true
		return true
	})
	if err != nil {
		return nil, err
	}
	var bad error
	err = s.store.Scan(storage.Range{Space: spaceBatch, Prefix: batchKey(batchRow, id)}, func(key, body []byte) bool {
		row := numbered{n: rowOf(key)}
		if !done[row.n] {
			bad = json.Unmarshal(body, &row.BatchRow)
			rows = append(rows, row)
		}
		return bad == nil
	})
	return rows, errors.Join(err, bad)
}

func rowOf(key []byte) int { return int(binary.BigEndian.Uint32(key[len(key)-4:])) }

// runLane runs rows one after the other and gives away what came of them, until
// the switch stops or results cannot be kept. Of a canceled batch it runs only
// rows that had begun in an earlier life.
func (s *Switch) runLane(b *openBatch, rows []numbered, results chan<- numbered, failed <-chan struct{}) {
	for _, row := range rows {
		if !s.runRow(b, &row) {
			if s.ctx.Err() != nil {
				return
			}
			continue
		}
		select {
		case results <- row:
		case <-failed:
			return
		}
	}
}

// runRow runs a row until it has a result, and reports whether it has one.
func (s *Switch) runRow(b *openBatch, row *numbered) bool {
	begun := s.now()
	for try := 1; ; try++ {
		select {
		case <-b.stopped:
			if !s.rowBegan(b, row.n) {
				return false
			}
		default:
		}
		select {
		case s.batches.slots <- struct{}{}:
		case <-s.ctx.Done():
			return false
		}
		result, no := s.tryRow(b, row)
		<-s.batches.slots
		if no == nil {
			row.result = result
			return true
		}
		lost := no.Code == CodeInternal || no.Code == CodeOutcomeUncertain // it may be recorded: the next try tells
		now := s.now()
		if !lost && (no.RetryAfter == 0 || now.Sub(b.createdAt) > batchPatience || (no.Code == CodeInvalidState || no.Code == CodeOrderInProgress) && now.Sub(begun) > rowPatience) {
			row.result = RowResult{Status: "refused", Payment: row.Payment, Refusal: no, At: now}
			return true
		}
		pause := time.NewTimer(max(no.RetryAfter, min(time.Duration(try)*time.Second, rowPause)))
		stopped := b.stopped
		if lost {
			stopped = nil
		}
		select {
		case <-pause.C:
		case <-stopped:
		case <-s.ctx.Done():
		}
		pause.Stop()
		if s.ctx.Err() != nil {
			return false
		}
	}
}

// rowBegan reports whether a row's payment or operation is in the journal.
func (s *Switch) rowBegan(b *openBatch, n int) bool {
	m := s.dir.Load().byID[b.account.merchant]
	if m == nil {
		return false
	}
	key := s.idempotencyDigest(Account{Merchant: m, Live: b.account.live}, rowKey(b.id, n))
	_, ok, err := s.store.Get(spaceKey, key[:], nil)
	return ok || err != nil
}

// tryRow does what the row asks, once: its key is made of the batch and the row,
// so that it is done once over all tries and lives.
func (s *Switch) tryRow(b *openBatch, row *numbered) (RowResult, *Refusal) {
	m := s.dir.Load().byID[b.account.merchant]
	if m == nil {
		return RowResult{}, &Refusal{Code: CodeForbidden, Detail: "The merchant is not configured any more."}
	}
	body, err := json.Marshal(&row.BatchRow)
	if err != nil {
		return RowResult{}, errInternal
	}
	a, key, request := Account{Merchant: m, Live: b.account.live}, rowKey(b.id, row.n), fmt.Sprintf("%s/%d", b.id.Text(BatchPrefix), row.n)
	print := s.Fingerprint("BATCH", request, body)
	var answer *Answer
	if row.Kind != RowPayment {
		answer, err = s.Operate(a, &OperationRequest{Payment: row.Payment, Kind: row.Kind.operation(), IdempotencyKey: key, Fingerprint: print,
			RequestID: request, Amount: row.Amount, Final: row.Final, Reason: row.Reason})
	} else {
		pay := PayRequest{IdempotencyKey: key, Fingerprint: print, RequestID: request, Amount: row.Amount, OrderID: row.OrderID, Bank: row.Bank,
			Description: row.Description, ManualCapture: row.ManualCapture, Initiator: row.Initiator, Token: row.Token, Customer: row.Customer}
		if pay.Currency, err = iso.ParseCurrency(row.Currency); err != nil {
			return RowResult{}, &Refusal{Code: CodeCurrency, Pointer: "/currency", Detail: "There is no such currency."}
		}
		answer, err = s.Pay(a, &pay)
		pay.PAN.Wipe()
	}
	if no, refused := err.(*Refusal); refused {
		return RowResult{}, no
	}
	return resultOf(answer, s.now()), nil
}

func (k RowKind) operation() OperationKind {
	switch k {
	case RowCapture:
		return KindCapture
	case RowCancel:
		return KindCancel
	}
	return KindRefund
}

func resultOf(answer *Answer, now time.Time) RowResult {
	p := &answer.Payment
	r := RowResult{Status: "done", Object: "payment", ID: p.ID, Payment: p.ID, Outcome: p.Status.String(), At: now, unsettled: p.Status == StatusUnknown}
	decline := p.Decline
	if o := answer.Operation; o != nil {
		r.Object, r.ID, r.Outcome, decline = o.Kind.String(), o.ID, o.Status.String(), o.Decline
		r.unsettled = o.Status == OperationPending || o.Status == OperationUnknown
	}
	if decline != nil {
		r.Decline = decline.Code
	}
	return r
}

func (c *BatchCounts) count(r *RowResult) {
	switch {
	case r.Status == "refused":
		c.Refused++
	case r.unsettled:
		c.Open++
	case r.Decline != "" || r.Outcome == StatusDeclined.String() || r.Outcome == StatusFailed.String():
		c.Declined++
	default:
		c.Succeeded++
	}
}

// keepResults makes a result durable, with those that others wait to give away,
// in one step with the counts of the batch.
func (s *Switch) keepResults(b *openBatch, row numbered, more <-chan numbered) error {
	var c storage.Command
	var counts []RowResult
	for ok := true; ok; {
		body, err := json.Marshal(&row.result)
		if err != nil {
			return err
		}
		c.Set(spaceBatch, batchRowKey(batchResult, b.id, row.n), body)
		if counts = append(counts, row.result); len(counts) == batchStep {
			break
		}
		select {
		case row, ok = <-more:
		default:
			ok = false
		}
	}
	return s.changeBatch(b, &c, func(r *Batch) {
		for i := range counts {
			r.Counts.count(&counts[i])
		}
	})
}

// changeBatch makes a change of an open batch durable, with what c has besides,
// and wakes those who wait for it. On error the batch stays as it was.
func (s *Switch) changeBatch(b *openBatch, c *storage.Command, change func(*Batch)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := b.record
	change(&next.Batch)
	next.Version, next.UpdatedAt = next.Version+1, s.now()
	if err := next.put(c); err != nil {
		return err
	}
	if err := s.doBatch(c); err != nil {
		return err
	}
	b.record = next
	s.watch.notify(b.id)
	return nil
}

// endBatch: every row has its result, or never runs.
func (s *Switch) endBatch(b *openBatch) error {
	var c storage.Command
	c.Delete(spaceBatch, batchKey(batchOpen, b.id))
	var counts BatchCounts
	err := s.changeBatch(b, &c, func(r *Batch) {
		r.Counts.Canceled += r.Queued()
		r.EndedAt, counts = s.now(), r.Counts
	})
	if err == nil {
		s.log.Info("a batch ended", "batch", b.id.Text(BatchPrefix), "merchant", b.account.merchant, "succeeded", counts.Succeeded,
			"declined", counts.Declined, "open", counts.Open, "refused", counts.Refused, "canceled", counts.Canceled)
	}
	return err
}
