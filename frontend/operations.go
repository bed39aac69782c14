package frontend

import (
	"strconv"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// maxReason is how many characters a cancel's or a refund's reason may have.
const maxReason = 200

// operationReader decodes what is asked of a payment after its approval. It is
// reused. Not goroutine-safe.
type operationReader struct {
	reader
	out    *payswitch.OperationRequest
	reason span
}

// decode reads the body of a capture, a cancel, a refund or an increment into out. It reports
// false when the request is refused; faults then says why. The caller calls close.
func (d *operationReader) decode(body []byte, out *payswitch.OperationRequest) bool {
	d.open(body)
	d.out, d.reason = out, span{}
	isObject := d.object("")
	if isObject {
		d.operation()
	}
	d.finish()
	if !d.broken && !isObject && len(d.faults) == 0 {
		d.fault("", "wrong_type", "Must be an object.")
	}
	return len(d.faults) == 0
}

func (d *operationReader) operation() {
	capture, amount := d.out.Kind == payswitch.KindCapture, false
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch word := string(name); {
		case word == "amount":
			d.out.Amount, amount = d.integer("/amount", 1, maxAmount)
		case word == "final" && capture:
			d.out.Final = d.boolean("/final")
		case word == "reason" && !capture:
			d.reason, _ = d.keep("/reason", limits{0, maxReason, prose})
			if kept := d.text[d.reason.from:d.reason.to]; looksLikeCardNumber(kept) {
				d.fault("/reason", "card_number_not_allowed", "Holds what may be a card number.")
			}
		default:
			d.unknown("", name)
		}
	}
	if d.out.Kind == payswitch.KindIncrement && !amount && !d.broken && len(d.faults) == 0 {
		d.fault("/amount", "required", "This member is required: what is to be held in all.")
	}
}

func (c *call) capturePayment()   { c.operate(payswitch.KindCapture) }
func (c *call) cancelPayment()    { c.operate(payswitch.KindCancel) }
func (c *call) createRefund()     { c.operate(payswitch.KindRefund) }
func (c *call) incrementPayment() { c.operate(payswitch.KindIncrement) }

// operate answers POST /v1/payments/{id}/capture, /cancel, /refunds and /increment.
func (c *call) operate(kind payswitch.OperationKind) {
	key, body, ok := c.keyed()
	if !ok {
		return
	}
	defer c.readOperation.close()
	r := payswitch.OperationRequest{Payment: c.id, Kind: kind, IdempotencyKey: string(key), RequestID: string(c.requestID[:])}
	if !c.readOperation.decode(body, &r) {
		c.refuseFaults(c.readOperation.faults)
		return
	}
	r.Reason = c.readOperation.reason.of(string(c.readOperation.text))
	r.Fingerprint = c.server.sw.Fingerprint("POST", string(c.ctx.URI().PathOriginal()), body)
	answer, err := c.server.sw.Operate(c.account, &r)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.writeOperation(answer)
}

// writeOperation answers with an operation that was recorded. As with payments,
// a replay has the status and the body of the first answer.
func (c *call) writeOperation(answer *payswitch.Answer) {
	o, p := answer.Operation, &answer.Payment
	c.note(p)
	header := &c.ctx.Response.Header
	if answer.Replayed {
		header.SetCanonical(headReplayed, valueTrue)
	}
	c.out = appendOperation(c.out[:0], o, p)
	c.out = appendWithPayment(c.out, p)
	c.head = p.ID.Append(append(c.head[:0], locationPrefix...), paymentPrefix)
	if o.Kind == payswitch.KindRefund {
		c.head = o.ID.Append(append(append(c.head, refundsSuffix...), '/'), o.Kind.Prefix())
	}
	header.SetCanonical(headLocation, c.head)
	status := 201
	if open := o.Status; open == payswitch.OperationPending || open == payswitch.OperationUnknown {
		status = 202
	}
	c.answer(status, valueJSON)
}

// listRefunds answers GET /v1/payments/{id}/refunds.
func (c *call) listRefunds() {
	if !c.noQuery() {
		return
	}
	p, refunds, err := c.server.sw.Refunds(c.account, c.id)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.note(&p)
	c.out = append(c.out[:0], `{"object":"list","data":`...)
	c.out = appendOperations(c.out, refunds, &p)
	c.out = append(c.out, `,"has_more":false,"next_cursor":null}`...)
	c.answer(200, valueJSON)
}

// listOperations answers GET /v1/payments/{id}/operations, at once or when all are
// settled.
func (c *call) listOperations() {
	wait, ok := c.readWait()
	if !ok {
		return
	}
	c.settle(wait, payswitch.ID{})
	p, list, err := c.server.sw.Operations(c.account, c.id)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.note(&p)
	c.out = append(c.out[:0], `{"object":"list","data":`...)
	c.out = appendOperations(c.out, list, &p)
	c.out = append(c.out, `,"has_more":false,"next_cursor":null}`...)
	c.answer(200, valueJSON)
}

// settle waits until one operation of the payment, or (zero) every one, is settled
// with the bank, at most so long.
func (c *call) settle(wait time.Duration, one payswitch.ID) {
	for end := time.Now().Add(wait); !c.server.draining.Load(); {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		c.waited = true
		nap := min(left, waitSlice)
		_, _, err := c.server.sw.WaitOperations(c.account, c.id, one, nap)
		if err != nil || time.Until(end) > left-nap {
			return // the switch no longer waits
		}
	}
}

func appendOperations(dst []byte, list []payswitch.Operation, p *payswitch.Payment) []byte {
	dst = append(dst, '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendOperation(dst, &list[i], p), '}')
	}
	return append(dst, ']')
}

// getRefund answers GET /v1/payments/{id}/refunds/{refund}, at once or when it is
// settled.
func (c *call) getRefund() {
	wait, ok := c.readWait()
	if !ok {
		return
	}
	c.settle(wait, c.refund)
	p, refund, err := c.server.sw.Refund(c.account, c.id, c.refund)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.note(&p)
	c.out = append(appendOperation(c.out[:0], &refund, &p), '}')
	c.answer(200, valueJSON)
}

// appendOperation appends an operation's object but for its closing brace, so
// that the payment may follow as a member. Equal operations give equal bytes.
func appendOperation(dst []byte, o *payswitch.Operation, p *payswitch.Payment) []byte {
	dst = append(dst, `{"id":"`...)
	dst = o.ID.Append(dst, o.Kind.Prefix())
	dst = append(dst, `","object":"`...)
	dst = append(dst, o.Kind.String()...)
	dst = append(dst, `","payment_id":"`...)
	dst = p.ID.Append(dst, paymentPrefix)
	dst = append(dst, `","status":"`...)
	dst = append(dst, shownOperation(o.Status).String()...)
	dst = append(dst, `","method":"`...)
	dst = append(dst, o.Method.String()...)
	dst = append(dst, `","amount":`...)
	dst = strconv.AppendInt(dst, shownAmount(o), 10)
	if o.Kind == payswitch.KindIncrement {
		dst = append(dst, `,"amount_added":`...)
		dst = strconv.AppendInt(dst, o.Amount, 10)
	}
	dst = append(dst, `,"currency":`...)
	dst = appendText(dst, p.Currency.Alpha())
	dst = append(dst, `,"final":`...)
	dst = strconv.AppendBool(dst, o.Final)
	dst = append(dst, `,"reason":`...)
	dst = appendText(dst, o.Reason)
	dst = append(dst, `,"rrn":`...)
	dst = appendText(dst, o.RRN)
	dst = append(dst, `,"stan":`...)
	dst = appendSTAN(dst, o.STAN)
	dst = append(dst, `,"approval_code":`...)
	dst = appendText(dst, o.ApprovalCode)
	dst = append(dst, `,"response_code":`...)
	dst = appendText(dst, o.ResponseCode)
	dst = append(dst, `,"decline":`...)
	dst = appendDecline(dst, o.Decline)
	dst = append(dst, `,"resolution":`...)
	dst = appendResolution(dst, o.Resolution)
	dst = append(dst, `,"created_at":`...)
	dst = appendTime(dst, o.CreatedAt)
	dst = append(dst, `,"updated_at":`...)
	return appendTime(dst, o.UpdatedAt)
}

// appendWithPayment closes an operation's object with its payment in it.
func appendWithPayment(dst []byte, p *payswitch.Payment) []byte {
	dst = append(dst, `,"payment":`...)
	return append(appendPayment(dst, p), '}')
}

// shownAmount is the amount as the merchant named it: of an increment what is to
// be held in all.
func shownAmount(o *payswitch.Operation) int64 {
	if o.Kind == payswitch.KindIncrement {
		return o.Total
	}
	return o.Amount
}

// shownOperation is the word a merchant reads: an operation between its two
// records is, for everybody outside, not settled.
func shownOperation(s payswitch.OperationStatus) payswitch.OperationStatus {
	if s == payswitch.OperationInFlight {
		return payswitch.OperationPending
	}
	return s
}
