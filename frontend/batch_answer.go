package frontend

import (
	"strconv"

	payswitch "github.com/tranzit/tranzit/switch"
)

// appendBatch appends the object of a batch: every member, in a fixed order.
func appendBatch(dst []byte, b *payswitch.Batch) []byte {
	dst = append(dst, `{"id":"`...)
	dst = b.ID.Append(dst, batchPrefix)
	dst = append(dst, `","object":"batch","version":`...)
	dst = strconv.AppendUint(dst, uint64(b.Version), 10)
	dst = append(dst, `,"livemode":`...)
	dst = strconv.AppendBool(dst, b.Live)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, b.Status()...)
	dst = append(dst, `","rows":{"total":`...)
	dst = strconv.AppendInt(dst, int64(b.Rows), 10)
	for _, n := range [...]struct {
		name  string
		count int
	}{{"queued", b.Queued()}, {"succeeded", b.Counts.Succeeded}, {"declined", b.Counts.Declined}, {"open", b.Counts.Open},
		{"refused", b.Counts.Refused}, {"canceled", b.Counts.Canceled}} {
		dst = append(append(append(dst, `,"`...), n.name...), `":`...)
		dst = strconv.AppendInt(dst, int64(n.count), 10)
	}
	dst = append(dst, `},"created_at":`...)
	dst = appendTime(dst, b.CreatedAt)
	dst = append(dst, `,"updated_at":`...)
	dst = appendTime(dst, b.UpdatedAt)
	dst = append(dst, `,"canceled_at":`...)
	dst = appendTime(dst, b.CanceledAt)
	dst = append(dst, `,"ended_at":`...)
	return append(appendTime(dst, b.EndedAt), '}')
}

// resultPrefix is the TypeID prefix of what a row made.
func resultPrefix(object string) string {
	switch object {
	case "capture":
		return payswitch.KindCapture.Prefix()
	case "cancel":
		return payswitch.KindCancel.Prefix()
	case "refund":
		return payswitch.KindRefund.Prefix()
	}
	return paymentPrefix
}

// appendBatchedRow appends the object of a row.
func appendBatchedRow(dst []byte, r *payswitch.BatchedRow) []byte {
	x := &r.Result
	dst = append(dst, `{"object":"batch_row","row":`...)
	dst = strconv.AppendInt(dst, int64(r.Row), 10)
	dst = append(dst, `,"operation":"`...)
	dst = append(dst, r.Kind...)
	dst = append(dst, `","status":"`...)
	dst = append(dst, x.Status...)
	dst = append(dst, `","payment_id":`...)
	id := x.Payment
	if id.IsZero() {
		id = r.Payment
	}
	dst = appendIDText(dst, id, paymentPrefix)
	dst = append(dst, `,"order_id":`...)
	dst = appendText(dst, r.OrderID)
	dst = append(dst, `,"amount":`...)
	if r.Amount == 0 {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendInt(dst, r.Amount, 10)
	}
	dst = append(dst, `,"result":`...)
	if x.Object == "" {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, `{"object":"`...)
		dst = append(dst, x.Object...)
		dst = append(dst, `","id":`...)
		dst = appendIDText(dst, x.ID, resultPrefix(x.Object))
		dst = append(dst, `,"status":"`...)
		dst = append(dst, x.Outcome...)
		dst = append(dst, `","decline_code":`...)
		dst = append(appendText(dst, x.Decline), '}')
	}
	dst = append(dst, `,"refusal":`...)
	dst = appendRefusal(dst, x.Refusal)
	dst = append(dst, `,"done_at":`...)
	return append(appendTime(dst, x.At), '}')
}

func appendIDText(dst []byte, id payswitch.ID, prefix string) []byte {
	if id.IsZero() {
		return append(dst, "null"...)
	}
	return append(id.Append(append(dst, '"'), prefix), '"')
}

// rowColumns are the columns of the CSV. New ones go to the end.
var rowColumns = [...]string{"row", "operation", "status", "payment_id", "order_id", "amount", "object", "id", "result", "decline_code",
	"refusal_code", "refusal_detail", "done_at"}

func rowOfCSV(r *payswitch.BatchedRow) []string {
	x := &r.Result
	text := func(id payswitch.ID, prefix string) string {
		if id.IsZero() {
			return ""
		}
		return id.Text(prefix)
	}
	id := x.Payment
	if id.IsZero() {
		id = r.Payment
	}
	amount, code, detail, at := "", "", "", ""
	if r.Amount > 0 {
		amount = strconv.FormatInt(r.Amount, 10)
	}
	if x.Refusal != nil {
		code, detail = refusalCode(x.Refusal), x.Refusal.Detail
	}
	if !x.At.IsZero() {
		at = x.At.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return []string{strconv.Itoa(r.Row), string(r.Kind), x.Status, text(id, paymentPrefix), r.OrderID, amount, x.Object,
		text(x.ID, resultPrefix(x.Object)), x.Outcome, x.Decline, code, detail, at}
}
