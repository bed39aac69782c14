package page

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// form is what is shown of a form that was sent and did not lead to a payment. A
// card's number and code are never among it.
type form struct {
	status int    // of the answer; 0: 200
	notice string // key of a text about the whole form; empty: none
	expiry string
	method string            // a saved card's id, or "card"
	errors map[string]string // by field: key of the text
}

// maxForm bounds the bytes of a form.
const maxForm = 4 << 10

// values of a form that was sent, in the request's own bytes.
type values map[string][]byte

// readForm decodes application/x-www-form-urlencoded in place. What cannot be read
// is left out.
func readForm(body []byte) values {
	out := values{}
	for len(body) > 0 {
		pair, rest, _ := bytes.Cut(body, []byte("&"))
		body = rest
		name, value, _ := bytes.Cut(pair, []byte("="))
		if decoded, ok := unescape(value); ok && len(out) < 16 {
			out[string(name)] = bytes.TrimSpace(decoded)
		}
	}
	return out
}

// unescape decodes + and %XX in place.
func unescape(b []byte) ([]byte, bool) {
	n := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(b) {
				return nil, false
			}
			high, low := strings.IndexByte(hexDigits, b[i+1]|0x20), strings.IndexByte(hexDigits, b[i+2]|0x20)
			if high < 0 || low < 0 {
				return nil, false
			}
			c = byte(high<<4 | low)
			i += 2
		}
		b[n] = c
		n++
	}
	return b[:n], true
}

const hexDigits = "0123456789abcdef"

// pay answers a form that was sent.
func (v *visit) pay() {
	if v.session.Status != payswitch.CheckoutOpen {
		v.redirect()
		return
	}
	media, _, _ := strings.Cut(v.in.ContentType, ";")
	if !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") || len(v.in.Body) > maxForm {
		v.show(form{status: 415, notice: "stale"})
		return
	}
	sent := readForm(v.in.Body)
	attempt, ok := v.attempt(sent["form"])
	if !ok {
		v.show(form{status: 409, notice: "stale"})
		return
	}
	if !v.guard.admit(v.in.Caller, v.o.Now()) {
		v.o.Logger.Warn("an address sends too many cards to the payment page", "request_id", v.in.RequestID, "address", v.in.Caller.String(), "merchant", v.session.Merchant)
		v.out.Headers = append(v.out.Headers, [2]string{"Retry-After", "60"})
		v.show(form{status: 429, notice: "often"})
		return
	}
	card := payswitch.CheckoutCard{Attempt: attempt, RequestID: v.in.RequestID}
	defer func() { card.Pay.PAN.Wipe(); card.Pay.CVC.Wipe() }()
	again := form{status: 422, errors: map[string]string{}, method: string(sent["method"])}
	v.readCard(sent, &card.Pay, &again)
	if len(again.errors) > 0 {
		v.show(again)
		return
	}
	card.Pay.Authenticate, card.Pay.ReturnURL, card.Pay.Language = true, v.base+v.here(), v.language
	p, err := v.o.Switch.PayCheckout(v.account, v.session.ID, &card)
	v.paid(p, err)
}

// paid answers after the switch has spoken. Whatever was recorded is shown by the
// page itself, which a reload shows again.
func (v *visit) paid(p payswitch.Payment, err error) {
	var refusal *payswitch.Refusal
	switch {
	case err == nil:
		v.out.Payment = &p
		v.redirect()
	case errors.As(err, &refusal) && refusal.Code == payswitch.CodeUnknownToken:
		v.show(form{status: 422, errors: map[string]string{"method": "error.method"}})
	case errors.As(err, &refusal) && refusal.Code == payswitch.CodeCardExpired:
		v.show(form{status: 422, errors: map[string]string{"expiry": "error.expiry.past"}})
	case refusal != nil && (refusal.Code == payswitch.CodeKeyReused || refusal.Code == payswitch.CodeInvalidState || refusal.Code == payswitch.CodeOutcomeUncertain ||
		refusal.Code == payswitch.CodeInternal || refusal.Code == payswitch.CodeOrderInProgress || refusal.Code == payswitch.CodeOrderPaid):
		v.redirect()
	default:
		v.show(form{status: 503, notice: "busy"})
	}
}

// readCard takes the card straight from the form's bytes, and notes what is wrong.
func (v *visit) readCard(sent values, r *payswitch.PayRequest, again *form) {
	fault := func(field, key string) { again.errors[field] = "error." + field + "." + key }
	code := sent["cvc"]
	cvc, err := iso.ParseCVC(code)
	switch {
	case len(code) == 0:
		fault("cvc", "required")
	case err != nil:
		fault("cvc", "format")
	default:
		r.CVC = cvc
	}
	if again.method != "card" {
		id, err := payswitch.ParseID(payswitch.TokenPrefix, again.method)
		if err != nil || v.session.Customer == "" {
			again.errors["method"] = "error.method"
		}
		r.Token = id
		return
	}
	digits := plainDigits(sent["number"])
	pan, err := iso.ParsePAN(digits)
	switch {
	case len(digits) == 0:
		fault("number", "required")
	case err == nil:
		r.PAN = pan
	case errors.Is(err, iso.ErrPANLuhn):
		fault("number", "luhn")
	default:
		fault("number", "length")
	}
	again.expiry = string(sent["expiry"])
	expiry, ok := readExpiry(again.expiry)
	switch {
	case again.expiry == "":
		fault("expiry", "required")
	case !ok:
		fault("expiry", "format")
		again.expiry = ""
	case expiry.Expired(v.o.Now()):
		fault("expiry", "past")
	}
	r.Expiry = expiry
	r.SaveCard = len(sent["save"]) > 0 && v.session.Customer != ""
}

// plainDigits takes the spaces and hyphens, with which people group digits, out in
// place.
func plainDigits(b []byte) []byte {
	n := 0
	for _, c := range b {
		if c != ' ' && c != '-' {
			b[n] = c
			n++
		}
	}
	clear(b[n:])
	return b[:n]
}

// readExpiry takes 8/29, 08/29, 0829, 08 / 2029 and the like.
func readExpiry(text string) (e iso.Expiry, ok bool) {
	text = strings.ReplaceAll(text, " ", "")
	month, year, cut := strings.Cut(text, "/")
	if !cut {
		month, year, cut = strings.Cut(text, "-")
	}
	if !cut && (len(text) == 4 || len(text) == 6) {
		month, year = text[:2], text[2:]
	}
	for _, layout := range []string{"1/06", "1/2006"} {
		if at, err := time.Parse(layout, strings.TrimPrefix(month, "0")+"/"+year); err == nil {
			return iso.Expiry{Year: at.Year(), Month: int(at.Month())}, at.Year() >= 2000 && at.Year() < 2100
		}
	}
	return iso.Expiry{}, false
}
