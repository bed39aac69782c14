package assist

import (
	"strconv"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// wish is what a charge or a cancel asks for. amount is 0 for all.
type wish struct {
	payment    payswitch.Payment
	operations []payswitch.Operation
	amount     int64
}

// readWish reads what charge and cancel have in common, and waits for the
// payment's turn. The caller calls leave.
func (k *Ask) readWish() (w wish, leave func(), no *refusal) {
	p, _, no := k.payment()
	if no != nil {
		return w, nil, no
	}
	turn := p.OrderID
	if turn == "" { // made through the API without one
		turn = "\x00" + billnumber(p.ID)
	}
	if leave, no = k.enter(turn); no != nil {
		return w, nil, no
	}
	defer func() {
		if no != nil {
			leave()
		}
	}()
	if w.payment, w.operations, no = k.payment(); no != nil { // as it is now that the turn has come
		return w, nil, no
	}
	_, hasAmount := k.params.get("amount")
	_, hasCurrency := k.params.get("currency")
	var c iso.Currency
	switch {
	case hasAmount && !hasCurrency:
		return w, nil, missing("currency")
	case hasCurrency && !hasAmount:
		return w, nil, missing("amount")
	case !hasAmount:
		return w, leave, nil
	}
	if c, no = k.currency("currency"); no != nil {
		return w, nil, no
	}
	if c != p.Currency {
		return w, nil, badValue("currency", "must be the payment's.")
	}
	w.amount, no = k.amount("amount", c)
	return w, leave, no
}

var chargeLayout = layout{json: "charge", wrapped: true}

// charge answers charge.cfm: a held payment is charged once, whole or in part. A
// repeat gets the state of that charge; one that ended without effect may be
// repeated.
func (k *Ask) charge() {
	auto, no := k.number("autodeposit", 0, 1, 0)
	if no != nil {
		k.fail(no)
		return
	}
	w, leave, no := k.readWish()
	if no != nil {
		k.fail(no)
		return
	}
	defer leave()
	tries := 1
	for i := range w.operations {
		o := &w.operations[i]
		switch {
		case o.Kind != payswitch.KindCapture:
		case undone(o.Status):
			tries++
		case w.amount == o.Amount || w.amount == 0 && o.Amount >= w.payment.AmountAuthorized:
			k.done(chargeLayout, &w.payment, operationDeed(o, i))
			return
		default:
			k.fail(&refusal{first: 15, second: 307, detail: "This payment is charged already, with another amount. Nothing was recorded."})
			return
		}
	}
	k.operate(chargeLayout, &w, payswitch.OperationRequest{
		Kind: payswitch.KindCapture, Amount: w.amount, Final: auto == 1,
		IdempotencyKey: "assist/charge/" + billnumber(w.payment.ID) + "/" + strconv.Itoa(tries),
	})
}

var (
	cancelLayout = layout{json: "cancel", wrapped: true}
	nestedLayout = layout{json: "cancel", wrapped: true, nested: true}
)

// cancelReasons are kept with the operation.
var cancelReasons = [...]string{1: "declined by the shop", 2: "declined by the customer", 3: "fraud"}

func (k *Ask) cancel()       { k.undo(cancelLayout) }
func (k *Ask) cancelNested() { k.undo(nestedLayout) }

// undo answers cancel.cfm and wscancel.cfm, by the smart cancel. A whole cancel
// is done once. A part is done once under its Externalrefundid; without one the
// same part again is refused, since nobody can tell a repeat from a second wish.
func (k *Ask) undo(l layout) {
	reason, no := k.number("cancelreason", 1, 3, 1)
	if no != nil {
		k.fail(no)
		return
	}
	external, hasExternal := k.params.get("externalrefundid")
	if hasExternal && (len(external) < 10 || len(external) > 100 || !nameLike(external)) {
		k.fail(badForm("externalrefundid", "must be 10 to 100 of A-Z, a-z, 0-9, hyphen and underscore."))
		return
	}
	w, leave, no := k.readWish()
	if no != nil {
		k.fail(no)
		return
	}
	defer leave()
	key := "assist/cancel/" + billnumber(w.payment.ID) + "/"
	switch o, at, tries := w.earlier(); {
	case hasExternal:
		key += "id/" + string(external)
	case o != nil && (w.amount == 0 || w.gone()):
		k.done(l, &w.payment, operationDeed(o, at))
		return
	case o != nil:
		k.fail(&refusal{first: 11, second: 308, detail: "This amount of the payment is canceled already. Nothing was recorded: a further one needs an Externalrefundid of its own."})
		return
	default:
		key += strconv.FormatInt(w.amount, 10) + "/" + strconv.Itoa(tries)
	}
	k.operate(l, &w, payswitch.OperationRequest{Kind: payswitch.KindCancel, Amount: w.amount, Reason: cancelReasons[reason], IdempotencyKey: key})
}

// gone reports whether nothing of the payment is left to undo.
func (w *wish) gone() bool {
	s := w.payment.Status
	return s == payswitch.StatusCanceled || s == payswitch.StatusRefunded || s == payswitch.StatusExpired
}

// earlier finds the undoing that a request would repeat: of the same amount or,
// for a whole cancel, the last one that leaves nothing. tries numbers the next.
func (w *wish) earlier() (o *payswitch.Operation, at, tries int) {
	tries = 1
	for i := range w.operations {
		this := &w.operations[i]
		switch {
		case this.Kind == payswitch.KindCapture:
		case undone(this.Status):
			tries++
		case w.amount == this.Amount, w.amount == 0 && (w.gone() || this.Status != payswitch.OperationSucceeded):
			o, at = this, i
		}
	}
	return o, at, tries
}

func nameLike(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && ((c|0x20) < 'a' || (c|0x20) > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// operate asks the switch, once under the key.
func (k *Ask) operate(l layout, w *wish, r payswitch.OperationRequest) {
	r.Payment, r.RequestID = w.payment.ID, k.in.RequestID
	r.Fingerprint = k.adapter.sw.Fingerprint("POST", "assist/"+r.Kind.String(), strconv.AppendInt(nil, r.Amount, 10))
	answer, err := k.adapter.sw.Operate(k.Account, &r)
	if err != nil {
		k.fail(k.refused(err))
		return
	}
	p, operations, err := k.adapter.sw.Operations(k.Account, w.payment.ID)
	if err != nil {
		k.fail(k.refused(err))
		return
	}
	for i := range operations {
		if operations[i].ID == answer.Operation.ID {
			k.done(l, &p, operationDeed(&operations[i], i))
			return
		}
	}
	k.Broken()
}

// done answers with what came of one operation.
func (k *Ask) done(l layout, p *payswitch.Payment, d deed) {
	k.Payment = p
	if !l.nested {
		k.reply(l, []entry{{fields: k.act(p, d)}})
		return
	}
	k.reply(l, []entry{{fields: k.orderWithCheck(p), operations: [][]field{k.deedFields(p, d)}}})
}
