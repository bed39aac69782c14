package frontend

import (
	"strconv"

	payswitch "github.com/tranzit/tranzit/switch"
)

// other reads the members of a payout or of a verification.
func (d *paymentReader) other() {
	payout := d.out.Purpose == payswitch.PurposePayout
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch word := string(name); {
		case word == "amount" && payout:
			d.out.Amount, d.seen.amount = d.integer("/amount", 1, maxAmount)
		case word == "currency":
			d.currency()
		case word == "order_id":
			d.orderID, _ = d.keep("/order_id", limits{1, maxOrderID, printable})
		case word == "payment_method":
			d.method()
		case word == "three_ds" && !payout:
			d.threeDS()
		case word == "save_card" && !payout:
			d.seen.save = d.boolean("/save_card")
		case word == "bank":
			d.bank, _ = d.keep("/bank", limits{1, maxBankID, token})
		case word == "description":
			d.description, _ = d.keep("/description", limits{0, maxDescription, prose})
		case word == "customer":
			d.customer()
		case word == "metadata":
			d.metadata()
		default:
			d.unknown("", name)
		}
	}
	d.seen.amount = d.seen.amount || !payout
}

// otherRules refuse what a payout or a verification has no use for.
func (d *paymentReader) otherRules() {
	payout := d.out.Purpose == payswitch.PurposePayout
	switch {
	case payout && !d.out.CVC.IsZero() && d.seen.byToken:
		d.fault(savedCVCPointer, "unknown_field", "No code is asked for where money is given.")
	case payout && !d.out.CVC.IsZero():
		d.fault(cvcPointer, "unknown_field", "No code is asked for where money is given.")
	case d.seen.carried, d.seen.networkToken != (methodSeen{}), d.seen.terminal != (methodSeen{}):
		d.fault("/payment_method", "invalid_value", "Must be a card, or a saved one.")
	}
}

// targetOther reads the id of a payout or of a verification, or answers 404.
func (c *call) targetOther(text []byte) bool {
	purpose := c.route.purpose
	return c.identify(text, purpose.Prefix(), purpose.String())
}

// appendObject appends a payment for whatever purpose.
func appendObject(dst []byte, p *payswitch.Payment) []byte {
	if p.Purpose == payswitch.PurposePayment {
		return appendPayment(dst, p)
	}
	return appendOther(dst, p)
}

// appendOther appends the object of a payout or of a verification: the members
// of a payment that such a one can have, in the same order.
func appendOther(dst []byte, p *payswitch.Payment) []byte {
	dst = append(dst, paymentOpening...)
	dst = p.ID.Append(dst, p.Purpose.Prefix())
	dst = append(dst, `","object":"`...)
	dst = append(dst, p.Purpose.String()...)
	dst = append(dst, `","version":`...)
	dst = strconv.AppendUint(dst, uint64(p.Version), 10)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, shownStatus(p.Status).String()...)
	dst = append(dst, `","livemode":`...)
	dst = strconv.AppendBool(dst, p.Live)
	if p.Purpose == payswitch.PurposePayout {
		dst = append(dst, `,"amount":`...)
		dst = strconv.AppendInt(dst, p.Amount, 10)
	}
	dst = append(dst, `,"currency":`...)
	dst = appendText(dst, p.Currency.Alpha())
	dst = append(dst, `,"order_id":`...)
	dst = appendText(dst, p.OrderID)
	dst = append(dst, `,"bank":`...)
	dst = appendText(dst, p.Bank)
	dst = append(dst, `,"rrn":`...)
	dst = appendText(dst, p.RRN)
	dst = append(dst, `,"stan":`...)
	dst = appendSTAN(dst, p.STAN)
	dst = append(dst, `,"approval_code":`...)
	dst = appendText(dst, p.ApprovalCode)
	dst = append(dst, `,"response_code":`...)
	dst = appendText(dst, p.ResponseCode)
	dst = append(dst, `,"card":`...)
	dst = appendCard(dst, &p.Card)
	dst = append(dst, `,"token":`...)
	if p.Token.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, '"')
		dst = append(p.Token.Append(dst, payswitch.TokenPrefix), '"')
	}
	dst = append(dst, `,"decline":`...)
	dst = appendDecline(dst, p.Decline)
	dst = append(dst, `,"resolution":`...)
	dst = appendResolution(dst, p.Resolution)
	return appendEnd(dst, p)
}

// getBalance answers GET /v1/balance.
func (c *call) getBalance() {
	if !c.noQuery() {
		return
	}
	all, err := c.server.sw.Balances(c.account)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = append(c.out[:0], `{"object":"balance","livemode":`...)
	c.out = strconv.AppendBool(c.out, c.account.Live)
	c.out = append(c.out, `,"data":[`...)
	for i, b := range all {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendString(append(c.out, `{"bank":`...), b.Bank)
		c.out = appendString(append(c.out, `,"currency":`...), b.Currency)
		c.out = strconv.AppendInt(append(c.out, `,"amount":`...), b.Sum, 10)
		c.out = strconv.AppendInt(append(c.out, `,"available":`...), max(0, b.Sum+b.Credit), 10)
		c.out = append(c.out, '}')
	}
	c.out = append(c.out, "]}"...)
	c.answer(200, valueJSON)
}

// addOthers adds the routes of payouts, verifications and balances.
func (r *routes) addOthers(with func(route) *route) {
	of := func(path string, purpose payswitch.Purpose, writes payswitch.Scope) (list, one, story *route) {
		base := route{purpose: purpose, target: (*call).targetOther, reads: payswitch.ScopePaymentsRead}
		each := base
		each.name, each.get = path+"/{id}", (*call).getPayment
		told := base
		told.name, told.get = path+"/{id}/timeline", (*call).getTimeline
		base.name, base.get, base.post, base.keyed, base.writes = path, (*call).listPayments, (*call).createPayment, true, writes
		return with(base), with(each), with(told)
	}
	r.payouts, r.payout, r.outStory = of("/v1/payouts", payswitch.PurposePayout, payswitch.ScopePayoutsWrite)
	r.verifies, r.verified, r.verStory = of("/v1/verifications", payswitch.PurposeVerification, payswitch.ScopePaymentsWrite)
	r.balance = with(route{name: "/v1/balance", get: (*call).getBalance, reads: payswitch.ScopePaymentsRead})
}
