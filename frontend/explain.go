package frontend

import (
	"cmp"
	"strconv"

	payswitch "github.com/tranzit/tranzit/switch"
)

// explainPayment answers POST /v1/payments/explain.
func (c *call) explainPayment() {
	body := c.ctx.Request.Body()
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	defer c.read.close()
	if !c.read.decode(body, c.server.o.Now(), &c.request) {
		c.refuseFaults(c.read.faults)
		return
	}
	c.read.strings(nil, c.requestID[:])
	e, err := c.server.sw.Explain(c.account, &c.request)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = appendExplanation(c.out[:0], &e, c.account.Live)
	c.answer(200, valueJSON)
}

// verdictTexts say in a sentence what each verdict means.
var verdictTexts = map[payswitch.BankVerdict]string{
	payswitch.BankChosen:        "It takes the payment.",
	payswitch.BankNotAsked:      "The request, or an operator, names another bank.",
	payswitch.BankOtherMode:     "It is a bank for the other mode, test or live.",
	payswitch.BankOtherCurrency: "It does not take this currency.",
	payswitch.BankNotServed:     "It does not take such payments.",
	payswitch.BankNotCarried:    "It cannot be told what the request carries.",
	payswitch.BankRuleBroken:    "A rule of its dialect refuses the message.",
	payswitch.BankDrained:       "Its operators let it run empty: it takes no new payments.",
	payswitch.BankNoLine:        "No line to it is signed on.",
	payswitch.BankDegraded:      "It is not well, so healthier banks go first.",
	payswitch.BankSilent:        "It stopped answering, and it is not yet time to try it again.",
	payswitch.BankFull:          "It works on as many payments as it takes at once.",
	payswitch.BankNotReached:    "A bank before it takes the payment.",
}

// appendExplanation appends the object of an explanation: every member, in a
// fixed order.
func appendExplanation(dst []byte, e *payswitch.Explanation, live bool) []byte {
	dst = append(dst, `{"object":"explanation","livemode":`...)
	dst = strconv.AppendBool(dst, live)
	dst = append(dst, `,"accepted":`...)
	dst = strconv.AppendBool(dst, e.Refusal == nil && len(e.Faults) == 0)
	dst = append(dst, `,"bank":`...)
	dst = appendText(dst, e.Bank)
	dst = append(dst, `,"refusal":`...)
	dst = appendRefusal(dst, e.Refusal)
	dst = append(dst, `,"considered":[`...)
	for i, b := range e.Considered {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"bank":`...)
		dst = appendString(dst, b.Bank)
		dst = append(dst, `,"verdict":`...)
		dst = appendString(dst, string(b.Verdict))
		dst = appendText(append(dst, `,"rule":`...), b.Rule)
		dst = append(dst, `,"detail":`...)
		dst = append(appendString(dst, cmp.Or(b.Detail, verdictTexts[b.Verdict])), '}')
	}
	dst = append(dst, `],"operation":`...)
	dst = appendText(dst, e.Operation)
	dst = append(dst, `,"dialect":`...)
	if e.Bank == "" {
		return append(dst, `null,"message":null,"faults":[]}`...)
	}
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, e.Dialect)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, int64(e.Version), 10)
	dst = append(dst, `},"message":`...)
	dst = appendMessage(dst, &e.Message)
	dst = append(dst, `,"faults":[`...)
	for i, f := range e.Faults {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"number":`...)
		dst = strconv.AppendInt(dst, int64(f.Field), 10)
		dst = append(dst, `,"name":`...)
		dst = appendText(dst, f.Name)
		dst = append(dst, `,"rule":`...)
		dst = append(appendString(dst, f.Rule), '}')
	}
	return append(dst, "]}"...)
}

// appendRefusal appends why nothing was recorded, or null.
func appendRefusal(dst []byte, r *payswitch.Refusal) []byte {
	if r == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"code":`...)
	dst = appendString(dst, refusalCode(r))
	dst = append(dst, `,"detail":`...)
	return append(appendString(dst, r.Detail), '}')
}

// refusalCode is the code of the problem that a refusal is, or of its fault.
func refusalCode(r *payswitch.Refusal) string {
	p := problemOf(r)
	if len(p.faults) > 0 {
		return p.faults[0].code
	}
	return p.kind.code
}
