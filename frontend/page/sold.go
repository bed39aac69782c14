package page

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// A shop's own server may make the form, and sign it with a key of the API that
// signs. What is signed is SignedText.
const (
	signedTitle    = "tranzit-form-v1"
	fieldSignature = "signature"
	// MaxFormLife is how far ahead valid_until may lie.
	MaxFormLife = 31 * 24 * time.Hour
)

// SignedText is what the signature of a form is made over: a title, then one line for
// each field but the signature, in the order of their names' bytes: the name, an equals
// sign, the number of the value's bytes, a colon and the value. Two forms never have
// the same text.
func SignedText(fields map[string]string) []byte {
	names := make([]string, 0, len(fields))
	for name := range fields {
		if name != fieldSignature {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := []byte(signedTitle + "\n")
	for _, name := range names {
		out = append(append(out, name...), '=')
		out = strconv.AppendInt(out, int64(len(fields[name])), 10)
		out = append(append(append(out, ':'), fields[name]...), '\n')
	}
	return out
}

// sell makes the session of a form that a shop's server signed, or finds the one that
// the same order has.
func (p *purchase) sell(key payswitch.ID) {
	fields := make(map[string]string, len(p.fields))
	for name := range p.fields {
		fields[name] = p.fields.Get(name)
	}
	a, why := p.signer(key, fields)
	if why != "" {
		// One answer for all of these: who tries forms learns nothing.
		p.o.Logger.Warn("a signed form was refused", "request_id", p.in.RequestID, "key", key.Text(payswitch.APIKeyPrefix), "reason", why)
		p.refuse(http.StatusForbidden, "changed", "")
		return
	}
	p.account = a
	p.speak(fields["language"])
	r := termReader{fields: fields, now: p.o.Now(), plain: p.o.PlainReturns}
	terms := r.read()
	switch {
	case r.wrong == "valid_until" && r.late:
		p.refuse(http.StatusGone, "stale", "")
	case r.wrong != "":
		p.o.Logger.Info("a signed form has a mistake", "request_id", p.in.RequestID, "merchant", a.Merchant.ID, "field", r.wrong)
		p.refuse(http.StatusUnprocessableEntity, "mistake", r.wrong)
	default:
		made, err := p.o.Switch.CheckoutOrder(a, &terms)
		p.lead(a, made, err)
	}
}

// signer is the account whose key signed the form; why says what is wrong, for the log.
func (p *purchase) signer(key payswitch.ID, fields map[string]string) (a payswitch.Account, why string) {
	for name := range fields {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return a, "a field has a name that no form has"
		}
	}
	mac, err := hex.DecodeString(fields[fieldSignature])
	if err != nil || strings.ToLower(fields[fieldSignature]) != fields[fieldSignature] {
		return a, "the signature is not written in small hexadecimal digits"
	}
	a, ok := p.o.Switch.VerifySignature(key, SignedText(fields), mac)
	switch {
	case !ok:
		return payswitch.Account{}, "the signature does not verify, or its key is not known, expired or revoked"
	case !a.May(payswitch.ScopeCheckoutWrite):
		return payswitch.Account{}, "the key has not the scope checkout:write"
	case len(a.Key.Addresses) > 0 || len(a.Key.Certificates) > 0 || len(a.Merchant.Certificates) > 0:
		// The form comes from a buyer's browser: nobody could hold the key to these.
		return payswitch.Account{}, "the key is bound to addresses or certificates, which a buyer's browser cannot prove"
	}
	return a, ""
}

// termReader reads the fields of a signed form. wrong is the first that is not as it
// must be.
type termReader struct {
	fields map[string]string
	now    time.Time
	plain  bool // addresses may begin with http://
	wrong  string
	late   bool // valid_until is over
}

func (r *termReader) fault(name string) {
	if r.wrong == "" {
		r.wrong = name
	}
}

// take gives a text of 0 or least to most printable characters, and marks it read.
func (r *termReader) take(name string, least, most int) string {
	text, there := r.fields[name]
	delete(r.fields, name)
	n := utf8.RuneCountInString(text)
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) || n > most || n < least ||
		there && strings.TrimSpace(text) == "" || CardNumber(text) {
		r.fault(name)
	}
	return text
}

// number gives a whole number in its shortest form within bounds; def when it is left
// out, unless def is negative.
func (r *termReader) number(name string, least, most, def int64) int64 {
	text, there := r.fields[name]
	delete(r.fields, name)
	if !there && def >= 0 {
		return def
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != text || n < least || n > most {
		r.fault(name)
		return 0
	}
	return n
}

func (r *termReader) address(name string) string {
	text := r.take(name, 0, payswitch.MaxEndpointURL)
	if text != "" && CheckReturn(text, r.plain) != nil {
		r.fault(name)
	}
	return text
}

// read gives the terms; wrong says whether they are good. It empties fields.
func (r *termReader) read() payswitch.OrderTerms {
	delete(r.fields, fieldSignature)
	t := payswitch.OrderTerms{ValidUntil: r.number("valid_until", 0, 1<<40, -1)}
	if until := time.Unix(t.ValidUntil, 0); r.wrong == "" && !r.now.Before(until) {
		r.late = true
		r.fault("valid_until")
	} else if until.Sub(r.now) > MaxFormLife {
		r.fault("valid_until")
	}
	w := &t.Wish
	w.Amount = r.number("amount", 1, payswitch.MaxOrderAmount, -1)
	w.Currency = r.take("currency", 3, 3)
	if _, err := iso.ParseCurrency(w.Currency); err != nil {
		r.fault("currency")
	}
	w.OrderID = r.take("order_id", 1, 128)
	w.Description = r.take("description", 0, 500)
	w.Customer = r.take("customer_id", 0, 64)
	w.Email = r.take("customer_email", 0, 254)
	if strings.Trim(w.Customer, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-") != "" {
		r.fault("customer_id")
	}
	if w.Email != "" && !strings.Contains(w.Email, "@") {
		r.fault("customer_email")
	}
	if w.Language = r.take("language", 0, 2); w.Language != "" && !Speaks(w.Language) {
		r.fault("language")
	}
	switch method := r.take("capture_method", 0, 10); method {
	case "manual":
		w.ManualCapture = true
	case "", "automatic":
	default:
		r.fault("capture_method")
	}
	w.SuccessURL, w.FailURL, w.ReturnURL = r.address("success_url"), r.address("fail_url"), r.address("return_url")
	life := r.number("session_minutes", int64(payswitch.MinPressLife.Minutes()), int64(payswitch.MaxCheckoutLife.Minutes()), int64(payswitch.DefaultCheckoutLife.Minutes()))
	t.Life = time.Duration(life) * time.Minute
	for name := range r.fields { // that no form has
		r.fault(name)
	}
	return t
}

// CardNumber reports whether a text is what may be a card number: nothing but digits,
// spaces and hyphens that pass the check digit.
func CardNumber(text string) bool {
	digits := strings.NewReplacer(" ", "", "-", "").Replace(text)
	if len(digits) < 12 || len(digits) > 19 || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	pan, err := iso.ParsePAN([]byte(digits))
	pan.Wipe()
	return err == nil
}
