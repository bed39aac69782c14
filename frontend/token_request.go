package frontend

import (
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// maxCustomerID bounds a shop's name for its customer. It stands in paths,
// hence its characters.
const maxCustomerID = 64

const (
	tokenPointer    = "/payment_method/token"
	savedCVCPointer = "/payment_method/cvc"
	customerPointer = "/customer/id"
)

// savedCard reads the token that a payment is made by.
func (d *paymentReader) savedCard() {
	word, ok := d.word(tokenPointer)
	if !ok {
		return
	}
	d.seen.token = true
	var err error
	if d.out.Token, err = payswitch.ParseID(payswitch.TokenPrefix, string(word)); err != nil {
		d.fault(tokenPointer, "invalid_format", "Must be the id of a saved card.")
	}
}

// customerName reads what the shop calls its customer.
func (d *paymentReader) customerName() {
	s, ok := d.keep(customerPointer, limits{1, maxCustomerID, token})
	d.customerID = s
	if !ok {
		return
	}
	switch text := d.text[s.from:s.to]; {
	case !plainName(text):
		d.fault(customerPointer, "invalid_characters", "Must be letters, digits, and . _ ~ - only.")
	case looksLikeCardNumber(text):
		d.fault(customerPointer, "card_number_not_allowed", "Holds what may be a card number.")
	}
}

// plainName reports whether a text needs no escape in a path (RFC 3986, 2.3).
func plainName(b []byte) bool {
	for _, c := range b {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '.' && c != '_' && c != '~' && c != '-' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= maxCustomerID
}

// savedCardRules hold the members about saved cards to each other.
func (d *paymentReader) savedCardRules() {
	s := &d.seen
	switch {
	case s.byToken && s.card:
		d.fault(cardPointer, "invalid_value", "A payment is made by a token or by a card, not by both.")
	case !s.byToken && s.token:
		d.fault(tokenPointer, "invalid_value", `Goes with the type "token" only.`)
	case !s.byToken && s.cvc:
		d.fault(savedCVCPointer, "invalid_value", "The code of a card stands in its card.")
	}
	if !s.save {
		return
	}
	d.out.SaveCard = true
	if s.byToken {
		d.fault("/save_card", "invalid_value", "This card is saved already.")
	}
	if d.customerID == (span{}) && !d.faulty(customerPointer) {
		d.fault(customerPointer, "required", "A card is saved for a customer: say whose it is.")
	}
}

// decodeCard reads a card to save, or one to put under a token; then the number
// may be left out and no customer is named. Otherwise as decode.
func (d *paymentReader) decodeCard(body []byte, now time.Time, out *payswitch.PayRequest, replace bool) bool {
	d.begin(body, out)
	isObject := d.object("")
	if isObject {
		for name, ok := d.member(); ok; name, ok = d.member() {
			switch {
			case string(name) == "payment_method":
				d.method()
			case string(name) == "customer" && !replace:
				d.customer()
			default:
				d.unknown("", name)
			}
		}
	}
	d.finish()
	switch {
	case d.broken:
	case isObject:
		d.cardAlone(replace)
		d.expiry(now)
		d.strayCardNumber()
	case len(d.faults) == 0:
		d.fault("", "wrong_type", "Must be an object.")
	}
	return len(d.faults) == 0
}

// cardAlone asks for what a card to save needs, and refuses what is only for
// payments.
func (d *paymentReader) cardAlone(replace bool) {
	s := &d.seen
	s.amount, s.currency = true, true
	s.number = s.number || replace && s.card
	switch {
	case s.byToken, s.networkToken.chosen, s.terminal.chosen:
		d.fault("/payment_method/type", "unknown_value", `Must be "card".`)
		s.networkToken, s.terminal = methodSeen{}, methodSeen{}
	case s.networkToken.there:
		d.fault(networkTokenPointer, "unknown_field", "There is no such member.")
	case s.terminal.there:
		d.fault(terminalPointer, "unknown_field", "There is no such member.")
	case s.token:
		d.fault(tokenPointer, "unknown_field", "There is no such member.")
	case s.cvc:
		d.fault(savedCVCPointer, "unknown_field", "There is no such member.")
	case !d.out.CVC.IsZero():
		d.fault(cvcPointer, "unknown_field", "A verification code is never kept: it comes with each payment.")
	case d.email != (span{}):
		d.fault("/customer/email", "unknown_field", "There is no such member.")
	}
	d.missing()
	if !replace && d.customerID == (span{}) && !d.faulty(customerPointer) {
		d.fault(customerPointer, "required", "This member is required.")
	}
}
