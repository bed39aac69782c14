package cabinet

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// storyPage is everything about one payment.
type storyPage struct {
	Payment    payswitch.Payment
	Operations []payswitch.Operation
	Events     []payswitch.TimelineEvent
	Banks      []payswitch.Consideration // where it would go now
	Acts       []people.Act
	Tickets    []people.Ticket
	Left       int64 // what may still be captured or refunded
	CanCapture bool
	CanCancel  bool
	CanRefund  bool
	CanReceipt bool
	ReceiptKey string
}

func (v *visit) showPayment() error {
	id, err := v.target(payswitch.PaymentPrefix)
	if err != nil {
		return err
	}
	var page storyPage
	if page.Payment, page.Operations, err = v.s.sw.Operations(v.account, id); err != nil {
		return err
	}
	page.CanReceipt, page.ReceiptKey = page.Payment.HasReceipt(), newKey()
	if page.Events, err = v.s.sw.Timeline(v.account, payswitch.PurposePayment, id); err != nil {
		return err
	}
	page.allow()
	if v.r.URL.Query().Get("part") == "story" {
		return v.piece("payment", "story", page)
	}
	if page.Acts, err = v.s.people.ActsOn(v.account.Merchant.ID, id); err != nil {
		return err
	}
	tickets, err := v.s.people.Tickets(people.TicketQuery{Merchant: v.account.Merchant.ID, Live: v.account.Live, Payment: id, Limit: 20})
	if err != nil {
		return err
	}
	page.Tickets = tickets.Tickets
	page.Banks = v.routes(&page.Payment)
	return v.show("payment", page)
}

// routes are the verdicts about the banks of a payment like this one, now.
func (v *visit) routes(p *payswitch.Payment) []payswitch.Consideration {
	pan, ok := cardLike(&p.Card)
	if !ok {
		return nil
	}
	e, err := v.s.sw.Explain(v.account, &payswitch.PayRequest{Amount: p.Amount, Currency: p.Currency, Initiator: "customer", ManualCapture: p.ManualCapture,
		PAN: pan, Expiry: iso.Expiry{Year: time.Now().Year() + 1, Month: 12}})
	if err != nil {
		return nil
	}
	return e.Considered
}

// cardLike is a card number with the same first and last digits, by which banks and
// rules choose. The card itself is not opened for it.
func cardLike(c *payswitch.Card) (iso.PAN, bool) {
	for check := range 10 {
		pan, err := iso.ParsePAN(fmt.Appendf(nil, "%s%0*d%s", c.BIN, 16-len(c.BIN)-len(c.Last4), check, c.Last4))
		if err == nil && c.BIN != "" && c.Last4 != "" {
			return pan, true
		}
	}
	return iso.PAN{}, false
}

// allow says what may be asked of the payment. The switch decides again.
func (s *storyPage) allow() {
	p := &s.Payment
	switch p.Status {
	case payswitch.StatusAuthorized:
		s.CanCapture, s.CanCancel, s.Left = true, true, p.AmountAuthorized-p.AmountCaptured
	case payswitch.StatusCaptured, payswitch.StatusPartiallyRefunded:
		s.CanRefund, s.Left = true, p.AmountCaptured-p.AmountRefunded
		s.CanCancel = p.AmountRefunded == 0
	}
}

// askPage asks before money is moved.
type askPage struct {
	Kind    string
	Payment payswitch.Payment
	Left    int64
	Amount  string // as typed
	Reason  string
	Key     string // of the act: however often the form is sent, it is done once
	Problem string
}

func newKey() string { return rand.Text() }

func (v *visit) askCapture() error { return v.ask(payswitch.KindCapture) }
func (v *visit) askCancel() error  { return v.ask(payswitch.KindCancel) }
func (v *visit) askRefund() error  { return v.ask(payswitch.KindRefund) }
func (v *visit) capture() error    { return v.operate(payswitch.KindCapture) }
func (v *visit) cancel() error     { return v.operate(payswitch.KindCancel) }
func (v *visit) refund() error     { return v.operate(payswitch.KindRefund) }

func (v *visit) ask(kind payswitch.OperationKind) error {
	page, err := v.question(kind)
	if err != nil {
		return err
	}
	page.Amount = plainAmount(page.Left, page.Payment.Currency.Alpha())
	page.Key = newKey()
	return v.show("ask", page)
}

func (v *visit) question(kind payswitch.OperationKind) (page askPage, err error) {
	id, err := v.target(payswitch.PaymentPrefix)
	if err != nil {
		return page, err
	}
	story := storyPage{}
	if story.Payment, err = v.s.sw.Payment(v.account, payswitch.PurposePayment, id); err != nil {
		return page, err
	}
	story.allow()
	return askPage{Kind: kind.String(), Payment: story.Payment, Left: story.Left}, nil
}

// operate does what was confirmed. It is written down first who wants it; the key of
// the form makes a second press of the button, or a second sending, the same act.
func (v *visit) operate(kind payswitch.OperationKind) error {
	page, err := v.question(kind)
	if err != nil {
		return err
	}
	p := &page.Payment
	code := p.Currency.Alpha()
	page.Amount, page.Reason, page.Key = strings.TrimSpace(v.form("amount")), strings.TrimSpace(v.form("reason")), v.form("key")
	again := func(text string, status int) error {
		page.Problem = text
		v.render(status, "ask", page)
		return nil
	}
	request := payswitch.OperationRequest{Payment: p.ID, Kind: kind, IdempotencyKey: v.actKey(page.Key), RequestID: "cabinet", Reason: page.Reason}
	if !goodKey(page.Key) {
		return badForm(nil)
	}
	amount, ok := minorUnits(page.Amount, code)
	switch {
	case page.Amount != "" && !ok:
		return again(words(v.lang, "problem.amount"), http.StatusUnprocessableEntity)
	case len(page.Reason) > 200 || people.HoldsCardNumber(page.Reason):
		return again(words(v.lang, "problem.reason"), http.StatusUnprocessableEntity)
	}
	if gives := bound(kind, p, amount); gives > 0 && v.limited() {
		defer v.s.gates.shut(accountName(v.account))() // two at once must not pass the limit together
		ok, err := v.mayAlone(p, gives, request.IdempotencyKey)
		if err == nil && !ok {
			err = v.askSecond(kind, &page, gives)
		}
		if text, status, known := v.again(err); known {
			return again(text, status)
		}
		if err != nil || !ok {
			return err
		}
	}
	request.Amount = amount
	request.Fingerprint = v.s.sw.Fingerprint("POST", v.r.URL.Path, fmt.Appendf(nil, "%d %q", amount, page.Reason))
	act := people.Act{What: kind.String(), Payment: p.ID, Detail: strings.TrimSpace(page.Amount + " " + code + " " + page.Reason), Once: request.IdempotencyKey}
	if err := v.record(&act); err != nil {
		return err
	}
	answer, err := v.s.sw.Operate(v.account, &request)
	if err != nil {
		text, status, ok := v.again(err)
		if err := v.refused(&act, err); !ok {
			return err
		}
		page.Key = newKey()
		return again(text, status)
	}
	return v.done("payments/"+p.ID.Text(payswitch.PaymentPrefix), "operation_"+outcomeOf(answer.Operation))
}

// outcomeOf is what is said after an act: done, on its way, or refused by the bank.
func outcomeOf(o *payswitch.Operation) string {
	switch {
	case o.Open():
		return "pending"
	case o.Status == payswitch.OperationSucceeded:
		return "succeeded"
	}
	return "declined"
}

// actKey is the idempotency key of a form: no merchant's key of the API can be it,
// since those do not hold a zero byte.
func (v *visit) actKey(key string) string { return "\x00cabinet" + string(v.session.User.ID[:]) + key }

// goodKey reports a key that newKey could have made.
func goodKey(key string) bool {
	return len(key) == 26 && strings.Trim(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
