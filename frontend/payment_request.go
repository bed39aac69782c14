package frontend

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tranzit/tranzit/frontend/page"
	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// Limits of a payment request. The contract and the operators' journal depend
// on them; docs/api.md lists them for merchants.
const (
	maxAmount          = 999_999_999_999
	maxOrderID         = 128
	maxDescription     = 500
	maxEmail           = 254
	maxMetadata        = 50
	maxMetadataKey     = 40
	maxMetadataValue   = 500
	maxBankID          = 64
	maxHolder          = 100
	maxThreeDSText     = 64
	maxIdempotencyKey  = 255
	cardNumberMin      = 12
	cardNumberMax      = 19
	expiredCardsRepeat = 8 * 24 * time.Hour
)

// paymentReader decodes POST /v1/payments. It is reused; the strings it gives
// out share one block of memory of their own and outlive it. Not goroutine-safe.
type paymentReader struct {
	reader
	out  *payswitch.PayRequest
	seen seen

	orderID, bank, description, email        span
	customerID                               span
	eci, cavv, dsTransaction, threeDSVersion span
	threeDSReturn                            span
	more                                     carriedSpans
	channelSaid                              bool
	pairs                                    []pairSpan
}

type pairSpan struct{ key, value span }

// seen says which members were there with a value of the right type.
type seen struct {
	amount, currency, method, methodType, card, number, month, year bool

	byToken, token, cvc, save bool       // the type is "token"; its token was there ...
	carried                   bool       // something of carried_request.go
	networkToken, terminal    methodSeen // the types "network_token" and "card_present"
}

// decode reads a payment request into out. It reports false when the request
// is refused; faults then says why, in the order of the body. The card number goes from the
// body's bytes into iso.PAN and nowhere else. now decides whether a card has
// expired. The caller wipes the body and calls close.
func (d *paymentReader) decode(body []byte, now time.Time, out *payswitch.PayRequest) bool {
	d.begin(body, out)
	out.Initiator = "customer"

	isObject := d.object("")
	switch {
	case !isObject:
	case out.Purpose == payswitch.PurposePayment:
		d.payment()
	default:
		d.other()
	}
	d.finish()
	switch {
	case d.broken:
	case isObject:
		d.missing()
		d.expiry(now)
		if d.seen.save || d.seen.byToken || d.seen.token || d.seen.cvc {
			d.savedCardRules()
		}
		if d.out.OrderOnce && d.orderID == (span{}) && !d.faulty("/order_id") {
			d.fault("/order_id", "required", "An order that is paid once must be named.")
		}
		if d.seen.networkToken != (methodSeen{}) || d.seen.terminal != (methodSeen{}) {
			d.otherMethodRules()
		}
		switch {
		case out.Purpose != payswitch.PurposePayment:
			d.otherRules()
		case d.seen.carried:
			d.carriedRules()
		}
		d.strayCardNumber()
	case len(d.faults) == 0:
		d.fault("", "wrong_type", "Must be an object.")
	}
	return len(d.faults) == 0
}

// begin forgets the last request.
func (d *paymentReader) begin(body []byte, out *payswitch.PayRequest) {
	d.open(body)
	d.out, d.seen, d.pairs = out, seen{}, d.pairs[:0]
	d.orderID, d.bank, d.description, d.email, d.customerID = span{}, span{}, span{}, span{}, span{}
	d.eci, d.cavv, d.dsTransaction, d.threeDSVersion, d.threeDSReturn = span{}, span{}, span{}, span{}, span{}
	d.more, d.channelSaid = carriedSpans{}, false
}

func (d *paymentReader) payment() {
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch string(name) {
		case "amount":
			d.out.Amount, d.seen.amount = d.integer("/amount", 1, maxAmount)
		case "currency":
			d.currency()
		case "order_id":
			d.orderID, _ = d.keep("/order_id", limits{1, maxOrderID, printable})
		case "capture_method":
			d.out.ManualCapture = d.choice("/capture_method", "automatic", "manual") == "manual"
		case "payment_method":
			d.method()
		case "three_ds":
			d.threeDS()
		case "initiator":
			if who := d.choice("/initiator", "customer", "merchant"); who != "" {
				d.out.Initiator = who
			}
		case "recurring":
			d.recurring()
		case "order_once":
			d.out.OrderOnce = d.boolean("/order_once")
		case "save_card":
			d.seen.save = d.boolean("/save_card")
		case "bank":
			d.bank, _ = d.keep("/bank", limits{1, maxBankID, token})
		case "description":
			d.description, _ = d.keep("/description", limits{0, maxDescription, prose})
		case "customer":
			d.customer()
		case "metadata":
			d.metadata()
		default:
			if !d.carriedMember(name) {
				d.unknown("", name)
			}
		}
	}
}

func (d *paymentReader) currency() {
	word, ok := d.word("/currency")
	if !ok {
		return
	}
	d.seen.currency = true
	if c, err := iso.ParseCurrency(string(word)); err == nil {
		d.out.Currency = c
		return
	}
	d.fault("/currency", "unknown_currency", "Must be an ISO 4217 alphabetic code in upper case.")
}

// choice reads one of two words; "" when it is absent or refused.
func (d *paymentReader) choice(pointer, first, second string) string {
	word, ok := d.word(pointer)
	if !ok {
		return ""
	}
	switch string(word) {
	case first:
		return first
	case second:
		return second
	}
	d.fault(pointer, "unknown_value", `Must be "`+first+`" or "`+second+`".`)
	return ""
}

func (d *paymentReader) method() {
	if !d.object("/payment_method") {
		return
	}
	d.seen.method = true
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch string(name) {
		case "type":
			word, ok := d.word("/payment_method/type")
			s := &d.seen
			s.methodType, s.byToken = ok, string(word) == "token"
			s.networkToken.chosen, s.terminal.chosen = string(word) == "network_token", string(word) == "card_present"
			if ok && string(word) != "card" && !s.byToken && !s.networkToken.chosen && !s.terminal.chosen {
				d.fault("/payment_method/type", "unknown_value", `Must be "card", "token", "network_token" or "card_present".`)
			}
		case "card":
			d.card()
		case "token":
			d.savedCard()
		case "cvc":
			d.seen.cvc = true
			d.cvc(savedCVCPointer)
		case "network_token":
			d.networkToken()
		case "card_present":
			d.terminal()
		default:
			d.unknown("/payment_method", name)
		}
	}
}

const (
	cardPointer   = "/payment_method/card"
	numberPointer = "/payment_method/card/number"
	monthPointer  = "/payment_method/card/exp_month"
	yearPointer   = "/payment_method/card/exp_year"
	cvcPointer    = "/payment_method/card/cvc"
)

func (d *paymentReader) card() {
	if !d.object(cardPointer) {
		return
	}
	d.seen.card = true
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch string(name) {
		case "number":
			d.number(numberPointer)
		case "exp_month":
			d.seen.month = d.month(monthPointer)
		case "exp_year":
			d.seen.year = d.year(yearPointer)
		case "cvc":
			d.cvc(cvcPointer)
		case "holder":
			mark := len(d.text)
			d.keep(cardPointer+"/holder", limits{0, maxHolder, printable})
			d.text = d.text[:mark] // accepted for the shop's comfort; no bank is told
		default:
			d.unknown(cardPointer, name)
		}
	}
}

func (d *paymentReader) month(pointer string) bool {
	v, ok := d.integer(pointer, 1, 12)
	d.out.Expiry.Month = int(v)
	return ok
}

func (d *paymentReader) year(pointer string) bool {
	v, ok := d.integer(pointer, 2000, 2099)
	d.out.Expiry.Year = int(v)
	return ok
}

// number takes the card number from the token's bytes. An escaped digit is as
// good as a letter: no honest client sends one.
func (d *paymentReader) number(pointer string) {
	raw, ok := d.raw(pointer)
	if !ok {
		return
	}
	d.seen.number = true
	pan, err := iso.ParsePAN(raw[1 : len(raw)-1])
	switch {
	case err == nil:
		d.out.PAN = pan
	case errors.Is(err, iso.ErrPANLength):
		d.fault(pointer, "invalid_length", "Must have 12 to 19 digits.")
	case errors.Is(err, iso.ErrPANLuhn):
		d.fault(pointer, "invalid_check_digit", "The check digit does not fit: a digit is wrong.")
	default:
		d.fault(pointer, "invalid_characters", "Must be digits only, without spaces.")
	}
}

func (d *paymentReader) cvc(pointer string) {
	raw, ok := d.raw(pointer)
	if !ok {
		return
	}
	cvc, err := iso.ParseCVC(raw[1 : len(raw)-1])
	if err != nil {
		d.fault(pointer, "invalid_format", "Must be 3 or 4 digits.")
		return
	}
	d.out.CVC = cvc
}

func (d *paymentReader) threeDS() {
	if !d.object("/three_ds") {
		return
	}
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch string(name) {
		case "eci":
			d.eci = d.eciAt("/three_ds/eci")
		case "cavv":
			d.cavv, _ = d.keep("/three_ds/cavv", limits{1, maxThreeDSText, token})
		case "ds_transaction_id":
			d.dsTransaction, _ = d.keep("/three_ds/ds_transaction_id", limits{1, maxThreeDSText, token})
		case "authenticate":
			d.out.Authenticate = d.boolean("/three_ds/authenticate")
		case "return_url":
			d.threeDSReturn, _ = d.keep("/three_ds/return_url", limits{1, payswitch.MaxEndpointURL, token})
			if text := d.text[d.threeDSReturn.from:d.threeDSReturn.to]; len(text) > 0 {
				if err := page.CheckReturn(string(text), true); err != nil {
					d.fault("/three_ds/return_url", "invalid_format", "The address "+err.Error()+".")
				}
			}
		case "version":
			d.threeDSVersion, _ = d.keep("/three_ds/version", limits{1, maxThreeDSText, token})
		default:
			d.unknown("/three_ds", name)
		}
	}
}

func (d *paymentReader) eciAt(pointer string) span {
	s, ok := d.keep(pointer, limits{2, 2, token})
	if ok && !allDigits(d.text[s.from:s.to]) {
		d.fault(pointer, "invalid_format", "Must be 2 digits.")
	}
	return s
}

func (d *paymentReader) customer() {
	if !d.object("/customer") {
		return
	}
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch string(name) {
		case "id":
			d.customerName()
		case "email":
			const pointer = "/customer/email"
			s, ok := d.keep(pointer, limits{3, maxEmail, printable})
			if d.email = s; ok && !emailShape(d.text[s.from:s.to]) {
				d.fault(pointer, "invalid_format", "Must look like name@example.com.")
			}
		default:
			d.unknown("/customer", name)
		}
	}
}

// emailShape asks for one @ with something on both sides and a dotted domain.
// More than that only a letter to the address can prove.
func emailShape(b []byte) bool {
	local, domain, ok := bytes.Cut(b, []byte("@"))
	return ok && len(local) > 0 && bytes.IndexByte(domain, '@') < 0 && bytes.IndexByte(b, ' ') < 0 &&
		bytes.IndexByte(domain, '.') > 0 && domain[len(domain)-1] != '.' && !bytes.Contains(domain, []byte(".."))
}

func (d *paymentReader) metadata() {
	if !d.object("/metadata") {
		return
	}
	for name, ok := d.member(); ok; name, ok = d.member() {
		if len(d.pairs) == maxMetadata {
			d.fault("/metadata", "too_many", "Must have at most 50 entries.")
			for ok && d.skip() {
				_, ok = d.member()
			}
			return
		}
		from := int32(len(d.text))
		n, clean := measure(name, printable)
		d.text = append(d.text, name...)
		pair := pairSpan{key: span{from, int32(len(d.text))}}
		before := len(d.faults)
		switch {
		case n < 1 || n > maxMetadataKey || !clean:
			d.fault("/metadata/"+safeName(name), "invalid_key", "A key must have 1 to 40 printable characters.")
		case looksLikeCardNumber(name):
			d.fault("/metadata/"+safeName(name), "card_number_not_allowed", "Is what may be a card number.")
		}
		if !d.pairValue(&pair) && len(d.faults) == before && !d.broken {
			d.fault(d.pairPointer(pair), "wrong_type", "Must be a string.")
		}
		d.pairs = append(d.pairs, pair)
	}
}

func (d *paymentReader) pairPointer(p pairSpan) string {
	return "/metadata/" + safeName(d.text[p.key.from:p.key.to])
}

// pairValue reads the value of a metadata entry. Its pointer is made only when
// a fault needs it.
func (d *paymentReader) pairValue(p *pairSpan) bool {
	if d.broken {
		return false
	}
	if d.peek() != '"' {
		d.skip()
		return false
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		d.syntax(err)
		return false
	}
	value := d.unquote(raw)
	n, clean := measure(value, prose)
	switch {
	case n > maxMetadataValue || !clean:
		_, _ = d.store(d.pairPointer(*p), value, limits{0, maxMetadataValue, prose})
	case looksLikeCardNumber(value):
		d.fault(d.pairPointer(*p), "card_number_not_allowed", "Holds what may be a card number.")
	default:
		from := int32(len(d.text))
		d.text = append(d.text, value...)
		p.value = span{from, int32(len(d.text))}
	}
	return true
}

// missing names the members that are required and were not there.
func (d *paymentReader) missing() {
	s := &d.seen
	other := s.byToken || s.networkToken.chosen || s.terminal.chosen
	for _, m := range [...]struct {
		there   bool
		pointer string
	}{
		{s.amount, "/amount"}, {s.currency, "/currency"}, {s.method, "/payment_method"},
		{s.methodType || !s.method, "/payment_method/type"}, {s.card || other || !s.method, cardPointer}, {s.token || !s.byToken, tokenPointer},
		{s.networkToken.there || !s.networkToken.chosen, networkTokenPointer}, {s.terminal.there || !s.terminal.chosen, terminalPointer},
		{s.number || !s.card, numberPointer}, {s.month || !s.card, monthPointer}, {s.year || !s.card, yearPointer},
	} {
		if !m.there && !d.faulty(m.pointer) {
			d.fault(m.pointer, "required", "This member is required.")
		}
	}
}

// faulty reports whether the member, or what it stands in, was refused already.
func (d *paymentReader) faulty(pointer string) bool {
	return slices.ContainsFunc(d.faults, func(f fault) bool {
		return f.pointer == pointer || f.pointer != "" && strings.HasPrefix(pointer, f.pointer+"/")
	})
}

// expiry refuses a card that has been expired for longer than repeats of a
// request are kept. A card that expired within that time is left to the bank:
// else a repeat, made after the month changed, of a payment that was
// approved would be answered as if nothing had happened.
func (d *paymentReader) expiry(now time.Time) {
	e := d.out.Expiry
	if e.Month != 0 && e.Year != 0 && e.Expired(now.Add(-expiredCardsRepeat)) {
		d.fault(d.expiryPointer(), "expired", "The card has expired.")
	}
}

// strayCardNumber refuses a request that repeats its own card number in a text
// that is kept and shown.
func (d *paymentReader) strayCardNumber() {
	if d.out.PAN.IsZero() {
		return
	}
	var buf [cardNumberMax]byte
	number := d.out.PAN.Append(buf[:0])
	if bytes.Contains(d.text, number) {
		for _, t := range d.texts() {
			if bytes.Contains(d.text[t.at.from:t.at.to], number) {
				d.fault(t.pointer, "card_number_not_allowed", "Holds the card number.")
			}
		}
	}
	clear(number)
}

type keptText struct {
	pointer string
	at      span
}

func (d *paymentReader) texts() []keptText {
	list := []keptText{
		{"/order_id", d.orderID}, {"/bank", d.bank}, {"/description", d.description}, {"/customer/email", d.email}, {customerPointer, d.customerID},
		{"/three_ds/cavv", d.cavv}, {"/three_ds/ds_transaction_id", d.dsTransaction}, {"/three_ds/version", d.threeDSVersion},
	}
	list = append(list, d.more.texts()...)
	for _, p := range d.pairs {
		list = append(list, keptText{d.pairPointer(p), p.key}, keptText{d.pairPointer(p), p.value})
	}
	return list
}

// strings gives the request its texts: one allocation for all of them, and one
// for the metadata.
// REQUIRES: decode returned true.
func (d *paymentReader) strings(idempotencyKey, requestID []byte) {
	key := d.add(idempotencyKey)
	id := d.add(requestID)
	all := string(d.text)
	r := d.out
	r.OrderID, r.Bank, r.Description, r.CustomerEmail = d.orderID.of(all), d.bank.of(all), d.description.of(all), d.email.of(all)
	r.ThreeDS = payswitch.ThreeDS{ECI: d.eci.of(all), CAVV: d.cavv.of(all), TransactionID: d.dsTransaction.of(all), Version: d.threeDSVersion.of(all)}
	r.ReturnURL = d.threeDSReturn.of(all)
	r.IdempotencyKey, r.RequestID, r.Customer = key.of(all), id.of(all), d.customerID.of(all)
	if d.seen.carried {
		d.more.give(all, r)
	}
	if len(d.pairs) > 0 {
		r.Metadata = make([]payswitch.Pair, len(d.pairs))
		for i, p := range d.pairs {
			r.Metadata[i] = payswitch.Pair{Key: p.key.of(all), Value: p.value.of(all)}
		}
	}
}

func (d *reader) add(b []byte) span {
	from := int32(len(d.text))
	d.text = append(d.text, b...)
	return span{from, int32(len(d.text))}
}

func (s span) of(all string) string { return all[s.from:s.to] }

func allDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// looksLikeCardNumber reports whether a whole text, spaces and hyphens aside,
// is a card number by length and check digit.
func looksLikeCardNumber(b []byte) bool {
	if len(b) < cardNumberMin || len(b) > 2*cardNumberMax {
		return false
	}
	var digits [cardNumberMax]byte
	n := 0
	for _, c := range b {
		switch {
		case c == ' ' || c == '-':
		case c < '0' || c > '9' || n == len(digits):
			return false
		default:
			digits[n] = c
			n++
		}
	}
	_, err := iso.ParsePAN(digits[:n])
	clear(digits[:])
	return err == nil
}
