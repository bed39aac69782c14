package cabinet

import (
	"errors"
	"fmt"
	"strings"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// maxBulk is how many payments one form takes at once.
const maxBulk = 200

// batchKinds are what may be done to many payments, and the right that it needs
// beside that of batches.
var batchKinds = map[string]struct {
	kind      payswitch.RowKind
	operation payswitch.OperationKind
	needs     people.Right
}{
	"capture": {payswitch.RowCapture, payswitch.KindCapture, people.RightCapture},
	"cancel":  {payswitch.RowCancel, payswitch.KindCancel, people.RightCapture},
	"refund":  {payswitch.RowRefund, payswitch.KindRefund, people.RightRefund},
}

// bulkPage asks before many payments are acted on.
type bulkPage struct {
	Kind     string
	Payments []payswitch.Payment
	Key      string
	Problem  string
	Faults   map[string]string // by payment, why its row cannot be accepted
	Reason   string
}

func (v *visit) bulk() (page bulkPage, ids []payswitch.ID, err error) {
	page = bulkPage{Kind: v.form("kind"), Key: v.form("key"), Reason: strings.TrimSpace(v.form("reason"))}
	kind, known := batchKinds[page.Kind]
	switch {
	case !known || !goodKey(page.Key):
		return page, nil, badForm(nil)
	case !v.rights.Has(kind.needs):
		return page, nil, &payswitch.Refusal{Code: payswitch.CodeForbidden, Detail: "Your role does not allow this."}
	case len(v.said["payment"]) == 0:
		return page, nil, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/payments", Detail: "Choose at least one payment."}
	case len(v.said["payment"]) > maxBulk:
		return page, nil, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Detail: fmt.Sprintf("At most %d payments are taken at once.", maxBulk)}
	case len(page.Reason) > 200 || people.HoldsCardNumber(page.Reason):
		return page, nil, &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/reason", Detail: "The reason is too long, or holds a card number."}
	}
	seen := map[payswitch.ID]bool{}
	for _, text := range v.said["payment"] {
		id, err := payswitch.ParseID(payswitch.PaymentPrefix, text)
		if err != nil {
			return page, nil, badForm(nil)
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		p, err := v.s.sw.Payment(v.account, payswitch.PurposePayment, id)
		if err != nil {
			return page, nil, err
		}
		page.Payments, ids = append(page.Payments, p), append(ids, id)
	}
	return page, ids, nil
}

func (v *visit) confirmBatch() error {
	page, _, err := v.bulk()
	if err != nil {
		return err
	}
	return v.show("bulk", page)
}

// makeBatch accepts all rows or none. Which cannot be accepted, and why, is told.
func (v *visit) makeBatch() error {
	page, ids, err := v.bulk()
	if err != nil {
		return err
	}
	for i := range page.Payments {
		p := &page.Payments[i]
		if ok, err := v.alone(p, bound(batchKinds[page.Kind].operation, p, 0)); err != nil || !ok {
			if err == nil {
				err = &payswitch.BadRows{Faults: []payswitch.RowFault{{Row: i + 1, Refusal: errSecond}}}
			}
			return v.badBatch(page, err)
		}
	}
	request := payswitch.BatchRequest{IdempotencyKey: v.actKey(page.Key), RequestID: "cabinet"}
	text := fmt.Appendf(nil, "%s %q", page.Kind, page.Reason)
	for _, id := range ids {
		row := payswitch.BatchRow{Kind: batchKinds[page.Kind].kind, Payment: id}
		if row.Kind != payswitch.RowCapture {
			row.Reason = page.Reason
		}
		request.Rows, text = append(request.Rows, row), append(text, id[:]...)
	}
	request.Fingerprint = v.s.sw.Fingerprint("POST", v.r.URL.Path, text)
	acts := make([]people.Act, len(ids))
	for i, id := range ids {
		acts[i] = people.Act{What: "batch_" + page.Kind, Payment: id, Detail: page.Reason, Once: request.IdempotencyKey + string(id[:])}
		if err := v.record(&acts[i]); err != nil {
			return err
		}
	}
	batch, _, err := v.s.sw.CreateBatch(v.account, &request)
	if err != nil {
		for i := range acts {
			if err := v.s.people.Conclude(&acts[i], "The batch was not accepted."); err != nil {
				return err
			}
		}
		return v.badBatch(page, err)
	}
	return v.done("batches/"+batch.ID.Text(payswitch.BatchPrefix), "batch")
}

func (v *visit) badBatch(page bulkPage, err error) error {
	page.Key = newKey()
	var bad *payswitch.BadRows
	if errors.As(err, &bad) {
		page.Faults = map[string]string{}
		for _, f := range bad.Faults {
			page.Faults[page.Payments[f.Row-1].ID.Text(payswitch.PaymentPrefix)] = f.Refusal.Detail
		}
		page.Problem = words(v.lang, "bulk.refused")
		v.render(422, "bulk", page)
		return nil
	}
	text, status, ok := v.again(err)
	if !ok {
		return err
	}
	page.Problem = text
	v.render(status, "bulk", page)
	return nil
}

// batchesPage lists batches.
type batchesPage struct {
	Batches []payswitch.Batch
	Next    string
}

func (v *visit) listBatches() error {
	cursor, err := v.cursor()
	if err != nil {
		return err
	}
	got, err := v.s.sw.Batches(v.account, pageSize, cursor)
	if err != nil {
		return err
	}
	page := batchesPage{Batches: got.Batches}
	if got.More {
		page.Next = got.Next.Text("cur")
	}
	return v.show("batches", page)
}

// cursor is where a list goes on; zero: at its beginning.
func (v *visit) cursor() (payswitch.ID, error) {
	text := v.r.URL.Query().Get("cursor")
	if text == "" {
		return payswitch.ID{}, nil
	}
	id, err := payswitch.ParseID("cur", text)
	if err != nil {
		return id, errNoPage
	}
	return id, nil
}

// batchPage is one batch with what came of each row.
type batchPage struct {
	Batch *payswitch.Batch
	Rows  []payswitch.BatchedRow
	More  bool
	After int
}

func (v *visit) showBatch() error {
	id, err := v.target(payswitch.BatchPrefix)
	if err != nil {
		return err
	}
	batch, err := v.s.sw.Batch(v.account, id)
	if err != nil {
		return err
	}
	page := batchPage{Batch: &batch}
	after := 0
	if text := v.r.URL.Query().Get("after"); text != "" {
		if _, err := fmt.Sscanf(text, "%d", &after); err != nil || after < 0 {
			return errNoPage
		}
	}
	if page.Rows, page.More, err = v.s.sw.BatchRows(v.account, id, payswitch.BatchQuery{After: after, Limit: maxBulk}); err != nil {
		return err
	}
	if n := len(page.Rows); n > 0 {
		page.After = page.Rows[n-1].Row
	}
	if v.r.URL.Query().Get("part") == "rows" {
		return v.piece("batch", "rows", page)
	}
	return v.show("batch", page)
}

func (v *visit) cancelBatch() error {
	id, err := v.target(payswitch.BatchPrefix)
	if err != nil {
		return err
	}
	if _, err := v.s.sw.Batch(v.account, id); err != nil {
		return err
	}
	name := id.Text(payswitch.BatchPrefix)
	act := people.Act{What: "batch_stopped", Object: name}
	if err := v.record(&act); err != nil {
		return err
	}
	if _, err := v.s.sw.CancelBatch(v.account, id); err != nil {
		return v.refused(&act, err)
	}
	return v.done("batches/"+name, "stopped")
}
