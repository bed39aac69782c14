package assist

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// refusal is an error in Assist's terms: what kind, and what it is about. Zero
// for the second says nothing more. detail never quotes a value.
type refusal struct {
	first, second int
	detail        string
	retry         time.Duration
}

func unreadable(detail string) *refusal { return &refusal{first: 4, detail: detail} }

func missing(name string) *refusal {
	p := known[name]
	return &refusal{first: 3, second: p.code, detail: p.name + " is missing."}
}

// badForm is a parameter that cannot be read, and badValue one that cannot be meant.
func badForm(name, detail string) *refusal {
	return &refusal{first: 4, second: known[name].code, detail: known[name].name + " " + detail}
}

func badValue(name, detail string) *refusal {
	return &refusal{first: 5, second: known[name].code, detail: known[name].name + " " + detail}
}

// read takes the parameters out of the request, and the format and the language
// of the answer out of these.
func (k *Ask) read() *refusal {
	media, _, _ := bytes.Cut(k.in.ContentType, []byte(";"))
	var no *refusal
	switch media = bytes.ToLower(bytes.TrimSpace(media)); string(media) {
	case "", "application/x-www-form-urlencoded":
		if no = k.params.readForm(k.in.Query); no == nil {
			no = k.params.readForm(k.in.Body)
		}
	case "application/json":
		k.wished = formJSON
		no = k.params.readJSON(k.in.Body)
	case "text/xml", "application/xml", "application/soap+xml":
		k.wished = formSOAP
		no = k.params.readSOAP(k.in.Body)
	default:
		no = unreadable("Send application/x-www-form-urlencoded, application/json or text/xml.")
	}
	if no != nil {
		return no
	}
	language, _ := k.params.get("language")
	switch strings.ToUpper(string(language)) {
	case "", "RU":
	case "EN":
		k.english = true
	default:
		return badValue("language", "must be RU or EN.")
	}
	if wish, there := k.params.get("format"); there && k.wished != formJSON && k.wished != formSOAP {
		switch f := format(wish[0] - '0'); {
		case len(wish) != 1 || f != formCSV && f != formXML && f != formSOAP && f != formJSON:
			return badValue("format", "must be 1, 3, 4 or 5.")
		default:
			k.wished = f
		}
	}
	return nil
}

// maxAmount is the switch's own bound, in minor units.
const maxAmount = 999_999_999_999

// amount reads a decimal amount of a currency: digits, and after a point or a
// comma not more than its minor unit has; further zeros are no harm.
func (k *Ask) amount(name string, c iso.Currency) (minor int64, no *refusal) {
	text, there := k.params.get(name)
	if !there {
		return 0, missing(name)
	}
	whole, fraction, _ := bytes.Cut(bytes.Replace(text, []byte(","), []byte("."), 1), []byte("."))
	if len(whole) == 0 || len(whole)+len(fraction) > 15 || !digitsOnly(whole) || !digitsOnly(fraction) {
		return 0, badForm(name, "must be at most 15 digits, with a point or a comma before the fraction.")
	}
	for _, d := range whole {
		minor = minor*10 + int64(d-'0')
	}
	for i := range max(c.Exponent(), len(fraction)) {
		d := byte('0')
		if i < len(fraction) {
			d = fraction[i]
		}
		switch {
		case i < c.Exponent():
			minor = minor*10 + int64(d-'0')
		case d != '0':
			return 0, badForm(name, "has more decimals than its currency.")
		}
	}
	if minor < 1 || minor > maxAmount {
		return 0, badValue(name, "must be more than 0, and not more than the switch takes.")
	}
	return minor, nil
}

// decimal is the inverse of amount: at least the two decimals that Assist prints.
func decimal(minor int64, c iso.Currency) string {
	digits := c.Exponent()
	text := strconv.FormatInt(minor, 10)
	if digits == 0 {
		return text + ".00"
	}
	for len(text) <= digits {
		text = "0" + text
	}
	return text[:len(text)-digits] + "." + text[len(text)-digits:]
}

// currency reads a currency, or takes the shop's.
func (k *Ask) currency(name string) (iso.Currency, *refusal) {
	text, there := k.params.get(name)
	if !there {
		return k.shop.Currency, nil
	}
	alpha := string(text)
	if alpha == "RUR" { // what shops older than the redenomination still send
		alpha = "RUB"
	}
	c, err := iso.ParseCurrency(alpha)
	if err != nil {
		return c, badValue(name, "must be an ISO 4217 alphabetic code in upper case.")
	}
	return c, nil
}

// number reads a small whole number; otherwise when it is not there.
func (k *Ask) number(name string, low, high, otherwise int) (int, *refusal) {
	text, there := k.params.get(name)
	if !there {
		return otherwise, nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || len(text) > 9 {
		return 0, badForm(name, "must be a whole number.")
	}
	if n < low || n > high {
		return 0, badValue(name, "must be "+strconv.Itoa(low)+" to "+strconv.Itoa(high)+".")
	}
	return n, nil
}

// maxOrderNumber is Assist's limit and the switch's, in characters.
const maxOrderNumber = 128

// orderNumber reads the shop's own number of the order.
func (k *Ask) orderNumber() (string, *refusal) {
	text, there := k.params.get("ordernumber")
	if !there {
		return "", missing("ordernumber")
	}
	if n, clean := measure(text); n > maxOrderNumber || !clean {
		return "", badForm("ordernumber", "must be at most 128 printable characters.")
	}
	return string(text), nil
}
