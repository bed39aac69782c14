package assist

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

const (
	maxComment         = 500 // characters that are kept
	maxEmail           = 254
	expiredCardsRepeat = 8 * 24 * time.Hour
	retryBusy          = 2 * time.Second
)

// orderForm is an order as its form says it: what the page of order.cfm will
// show, and what silentpay pays.
type orderForm struct {
	number, comment, email string
	amount                 int64
	currency               iso.Currency
	held                   bool    // two stages: the amount is held, and charged later
	series                 *series // that it begins, or nil
}

// readOrder reads the parameters of an order.
func (k *Ask) readOrder() (o orderForm, no *refusal) {
	if o.number, no = k.orderNumber(); no != nil {
		return o, no
	}
	if o.currency, no = k.currency("ordercurrency"); no != nil {
		return o, no
	}
	if o.amount, no = k.amount("orderamount", o.currency); no != nil {
		return o, no
	}
	delay, no := k.number("delay", 0, 1, 0)
	if no != nil {
		return o, no
	}
	o.held = delay == 1
	comment, _ := k.params.get("ordercomment")
	email, _ := k.params.get("email")
	at := bytes.IndexByte(email, '@')
	_, clean := measure(email)
	if len(email) > 0 && (!clean || at < 1 || at == len(email)-1 || len(email) > maxEmail || bytes.IndexByte(email, ' ') >= 0) {
		return o, badForm("email", "must look like name@example.com.")
	}
	o.comment, o.email = prose(comment), string(email)
	o.series, no = k.readSeries(o.currency)
	return o, no
}

// measure counts characters and reports whether all can be seen.
func measure(b []byte) (n int, clean bool) {
	clean = true
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		clean = clean && unicode.IsPrint(r)
		b = b[size:]
		n++
	}
	return n, clean
}

// prose is a text without its invisible characters, as far as it is kept.
func prose(b []byte) string {
	var out []rune
	for _, r := range string(b) {
		if len(out) == maxComment {
			break
		}
		if unicode.IsPrint(r) || r == '\n' || r == '\t' {
			out = append(out, r)
		}
	}
	return string(out)
}

// strayCardNumber refuses an order that repeats the number of its own card in a
// text that is kept and shown, spaces and hyphens aside.
func (o *orderForm) strayCardNumber(pan iso.PAN) *refusal {
	number := pan.Append(nil)
	defer clear(number)
	for _, text := range []struct{ name, value string }{{"ordernumber", o.number}, {"ordercomment", o.comment}, {"email", o.email}} {
		joined := strings.NewReplacer(" ", "", "-", "").Replace(text.value)
		if strings.Contains(joined, string(number)) {
			return badValue(text.name, "holds the card number.")
		}
	}
	return nil
}

// pay answers silentpay.cfm.
func (k *Ask) pay() {
	o, no := k.readOrder()
	if no != nil {
		k.fail(no)
		return
	}
	r := payswitch.PayRequest{
		Amount: o.amount, Currency: o.currency, OrderID: o.number, Description: o.comment, CustomerEmail: o.email,
		ManualCapture: o.held, Initiator: "customer",
	}
	defer func() { r.PAN.Wipe(); r.CVC.Wipe() }()
	if no = k.readCard(&r); no == nil {
		no = o.strayCardNumber(r.PAN)
	}
	if no != nil {
		k.fail(no)
		return
	}
	if o.series != nil {
		o.series.begin(&r)
	}
	k.payOnce(paidLayout, &o, r)
}

// payOnce pays an order. That is done once: a repeat of what was paid, or is not
// settled yet, gets that attempt's state, and a new attempt is made only when all
// before it ended without money.
func (k *Ask) payOnce(l layout, o *orderForm, r payswitch.PayRequest) {
	defer func() { r.PAN.Wipe(); r.CVC.Wipe() }()
	leave, no := k.enter(o.number)
	if no != nil {
		k.fail(no)
		return
	}
	defer leave()
	before, no := k.attempts(payswitch.ListQuery{OrderID: o.number})
	if no != nil {
		k.fail(no)
		return
	}
	if k.paidBefore(l, before, o) {
		return
	}
	r.OrderOnce, r.RequestID = true, k.in.RequestID
	r.IdempotencyKey = "assist/pay/" + strconv.Itoa(len(before)+1) + "/" + o.number
	r.Fingerprint = k.fingerprint(&r)
	answer, err := k.adapter.sw.Pay(k.Account, &r)
	if err != nil {
		k.notPaid(l, err, o)
		return
	}
	k.paid(l, &answer.Payment)
}

// paidBefore answers a request for an order that has its payment already, and
// reports whether it has.
func (k *Ask) paidBefore(l layout, attempts []payswitch.Payment, o *orderForm) bool {
	for i := range attempts {
		p := &attempts[i]
		switch {
		case closed(p.Status):
			continue
		case p.Amount != o.amount || p.Currency != o.currency:
			k.fail(&refusal{first: 11, second: 107, detail: "This order has a payment of another amount. Nothing was recorded."})
		default:
			k.paid(l, p)
		}
		return true
	}
	return false
}

var paidLayout = layout{json: "silentpay", wrapped: true}

func (k *Ask) paid(l layout, p *payswitch.Payment) { k.done(l, p, paymentDeed(p)) }

// act are the fields of an answer that says what came of one operation.
func (k *Ask) act(p *payswitch.Payment, d deed) []field {
	return append(merged(k.orderFields(p), k.deedFields(p, d)), field{name: "signature"}, field{name: "packetdate", value: k.packetDate()})
}

// notPaid answers what the switch did not take. What may have been recorded all
// the same is In Process: the shop asks for the state of the order. So is an order
// that is being paid in another way at this moment.
func (k *Ask) notPaid(l layout, err error, o *orderForm) {
	var r *payswitch.Refusal
	if !errors.As(err, &r) {
		r = &payswitch.Refusal{Code: payswitch.CodeInternal}
	}
	switch r.Code {
	case payswitch.CodeOrderPaid:
		if attempts, no := k.attempts(payswitch.ListQuery{OrderID: o.number}); no == nil && k.paidBefore(l, attempts, o) {
			return
		}
	case payswitch.CodeOrderInProgress, payswitch.CodeInternal, payswitch.CodeOutcomeUncertain, payswitch.CodeKeyReused:
	default:
		k.fail(k.refused(err))
		return
	}
	k.reply(l, []entry{{fields: []field{
		{name: "ordernumber", value: o.number}, {name: "billnumber"}, {name: "orderamount", value: decimal(o.amount, o.currency)},
		{name: "ordercurrency", value: o.currency.Alpha()}, {name: "orderstate", value: "In Process"}, {name: "responsecode", value: codeWait},
		{name: "message", value: messages[codeWait].in(k.english)}, {name: "packetdate", value: k.packetDate()},
	}}})
	k.answer.RetryAfter = retryBusy
}

// readCard takes the card straight from the request's bytes.
func (k *Ask) readCard(r *payswitch.PayRequest) *refusal {
	number, there := k.params.get("cardnumber")
	if !there {
		return missing("cardnumber")
	}
	pan, err := iso.ParsePAN(number)
	switch {
	case errors.Is(err, iso.ErrPANLuhn):
		return badValue("cardnumber", "has a wrong check digit.")
	case err != nil:
		return badForm("cardnumber", "must be 12 to 19 digits, without spaces.")
	}
	r.PAN = pan
	var no *refusal
	if r.Expiry.Month, no = k.number("expiremonth", 1, 12, 0); no != nil {
		return no
	}
	if r.Expiry.Year, no = k.number("expireyear", 2000, 2099, 0); no != nil {
		return no
	}
	switch {
	case r.Expiry.Month == 0:
		return missing("expiremonth")
	case r.Expiry.Year == 0:
		return missing("expireyear")
	case r.Expiry.Expired(k.adapter.now().Add(-expiredCardsRepeat)):
		return &refusal{first: 5, second: 142, detail: "The card has expired."}
	}
	code, there := k.params.get("cvc2")
	if !there {
		return missing("cvc2")
	}
	if r.CVC, err = iso.ParseCVC(code); err != nil {
		return badForm("cvc2", "must be 3 or 4 digits.")
	}
	return nil
}

// fingerprint tells a repeat of an attempt from another request: a keyed digest
// of what would be paid, and by which card.
func (k *Ask) fingerprint(r *payswitch.PayRequest) payswitch.Fingerprint {
	text := fmt.Appendf(nil, "%q %d %s %t %t %d %d %x ", r.OrderID, r.Amount, r.Currency.Alpha(), r.ManualCapture, r.SaveCard, r.Expiry.Year, r.Expiry.Month, r.Token)
	text = r.PAN.Append(text)
	defer clear(text)
	return k.adapter.sw.Fingerprint("POST", k.service.Path, text)
}

// refused puts a refusal of the switch in Assist's terms.
func (k *Ask) refused(err error) *refusal {
	var r *payswitch.Refusal
	if !errors.As(err, &r) {
		return &refusal{first: 2, second: 1, retry: retryBusy, detail: "Ask for the state of the order before repeating."}
	}
	out := &refusal{detail: r.Detail, retry: r.RetryAfter}
	switch r.Code {
	case payswitch.CodeBankUnavailable:
		out.first, out.second = 2, 205
	case payswitch.CodeOverloaded, payswitch.CodeShopSilent:
		out.first, out.second = 17, 3
	case payswitch.CodeNotFound:
		out.first, out.second = 10, 216
	case payswitch.CodeForbidden:
		out.first = 19
	case payswitch.CodeCurrency:
		out.first, out.second = 5, 105
	case payswitch.CodeUnknownToken:
		out.first, out.second, out.detail = 10, 203, "The card of the series is not kept any more."
	case payswitch.CodeCardExpired:
		out.first, out.second = 5, 142
	case payswitch.CodeInvalidState:
		out.first, out.second = 15, 216
		if r.RetryAfter > 0 {
			out.first = 12
		}
		if r.Pointer == "/amount" {
			out.first, out.second = 5, 108
		}
	case payswitch.CodeKeyReused:
		out.first, out.second = 11, 216
	case payswitch.CodeInternal, payswitch.CodeOutcomeUncertain:
		out.first, out.second, out.detail = 2, 1, "The outcome is not known yet: ask for the state of the order before repeating."
	default:
		out.first = 5
	}
	return out
}
