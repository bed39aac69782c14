package frontend

import (
	"time"

	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
)

// checkoutReader decodes POST /v1/checkout_sessions: what it has in common with a
// payment is read as of a payment.
type checkoutReader struct {
	paymentReader
	language            string
	success, fail, back span
	expiresAt           time.Time
	receipt             bool
	send                bool // its link goes out at once
	plain               bool // addresses may begin with http://
	request             payswitch.PayRequest
}

// decode reads a session to make. It reports false when the request is refused;
// faults then says why. The caller calls close.
func (d *checkoutReader) decode(body []byte) bool {
	d.begin(body, &d.request)
	isObject := d.object("")
	if isObject {
		for name, ok := d.member(); ok; name, ok = d.member() {
			if !d.checkoutMember(string(name)) {
				d.unknown("", name)
			}
		}
	}
	d.finish()
	switch {
	case d.broken:
	case isObject:
		for _, m := range [...]struct {
			pointer string
			there   bool
		}{{"/amount", d.seen.amount}, {"/currency", d.seen.currency}, {"/order_id", d.orderID != (span{})}} {
			if !m.there && !d.faulty(m.pointer) {
				d.fault(m.pointer, "required", "This member is required.")
			}
		}
	case len(d.faults) == 0:
		d.fault("", "wrong_type", "Must be an object.")
	}
	if d.send && d.email == (span{}) && len(d.faults) == 0 {
		d.fault("/send", "required", "Needs customer.email; to send the link elsewhere, send it when the session is made.")
	}
	return len(d.faults) == 0
}

func (d *checkoutReader) checkoutMember(name string) bool {
	switch name {
	case "amount":
		d.out.Amount, d.seen.amount = d.integer("/amount", 1, maxAmount)
	case "currency":
		d.currency()
	case "order_id":
		d.orderID = d.proseAt("/order_id", limits{1, maxOrderID, printable})
	case "description":
		d.description = d.proseAt("/description", limits{0, maxDescription, prose})
	case "capture_method":
		d.out.ManualCapture = d.choice("/capture_method", "automatic", "manual") == "manual"
	case "customer":
		d.customer()
	case "metadata":
		d.metadata()
	case "language":
		word, ok := d.word("/language")
		if d.language = string(word); ok && !page.Speaks(d.language) {
			d.fault("/language", "unknown_value", "Must be one of "+page.LanguageList()+".")
		}
	case "success_url":
		d.success = d.address("/success_url")
	case "fail_url":
		d.fail = d.address("/fail_url")
	case "return_url":
		d.back = d.address("/return_url")
	case "expires_at":
		d.moment()
	case "receipt":
		d.receipt = d.boolean("/receipt")
	case "send":
		d.send = d.boolean("/send")
	default:
		return false
	}
	return true
}

// proseAt is keep for a text that buyers and operators read.
func (d *checkoutReader) proseAt(pointer string, l limits) span {
	s, ok := d.keep(pointer, l)
	if ok && looksLikeCardNumber(d.text[s.from:s.to]) {
		d.fault(pointer, "card_number_not_allowed", "Holds what may be a card number.")
	}
	return s
}

// address reads where the page leads back to.
func (d *checkoutReader) address(pointer string) span {
	s, ok := d.keep(pointer, limits{1, payswitch.MaxEndpointURL, token})
	if ok {
		if err := page.CheckReturn(string(d.text[s.from:s.to]), d.plain); err != nil {
			d.fault(pointer, "invalid_format", "The address "+err.Error()+".")
		}
	}
	return s
}

func (d *checkoutReader) moment() {
	text, ok := d.word("/expires_at")
	if !ok {
		return
	}
	var err error
	if d.expiresAt, err = time.Parse(time.RFC3339Nano, string(text)); err != nil {
		d.fault("/expires_at", "invalid_format", "Must be a time like 2027-01-31T12:00:00Z.")
	}
}

// wish is the session that was asked for. REQUIRES: decode returned true.
func (d *checkoutReader) wish() payswitch.Checkout {
	d.strings(nil, nil)
	all := string(d.text)
	r := d.out
	return payswitch.Checkout{Amount: r.Amount, Currency: r.Currency.Alpha(), OrderID: r.OrderID, Description: r.Description,
		ManualCapture: r.ManualCapture, Receipt: d.receipt, Language: d.language, Email: r.CustomerEmail, Customer: r.Customer, Metadata: r.Metadata,
		SuccessURL: d.success.of(all), FailURL: d.fail.of(all), ReturnURL: d.back.of(all), ExpiresAt: d.expiresAt}
}
