package bench

import (
	"bytes"
	"fmt"
	"strconv"
)

const (
	amountWidth = 9  // JSON allows spaces before a number, so the field has one width
	numberWidth = 16 // hexadecimal digits of a payment's number
	runWidth    = 12
)

// template is one request with three holes: the amount, and the payment's number
// in the order id and in the idempotency key.
type template struct {
	text                   []byte
	amountAt, orderAt, key int
}

// mix turns the number of a payment into its request, always the same bytes, so
// that a duplicate needs nothing but the number. Immutable.
type mix struct {
	host      string
	templates []template
}

// newMix builds one template per merchant key, card and bank. run makes the
// idempotency keys of this run differ from those of any other.
func newMix(o *Options, run string) (*mix, error) {
	host, err := hostOf(o.Target)
	if err != nil {
		return nil, err
	}
	banks := o.Banks
	if len(banks) == 0 {
		banks = []string{""}
	}
	m := &mix{host: host}
	for _, bank := range banks {
		for _, card := range o.Cards {
			for _, key := range o.Keys {
				t := newTemplate(requestParts{host: host, key: key, card: card, bank: bank, currency: o.Currency, run: run})
				m.templates = append(m.templates, t)
			}
		}
	}
	return m, nil
}

type requestParts struct{ host, key, card, bank, currency, run string }

func newTemplate(p requestParts) template {
	amount := string(bytes.Repeat([]byte{'#'}, amountWidth))
	number := string(bytes.Repeat([]byte{'%'}, numberWidth))
	bank := ""
	if p.bank != "" {
		bank = `,"bank":"` + p.bank + `"`
	}
	body := fmt.Sprintf(`{"amount":%s,"currency":"%s","order_id":"%s-%s","payment_method":{"type":"card","card":{"number":"%s","exp_month":12,"exp_year":2039,"cvc":"123"}}%s}`,
		amount, p.currency, p.run, number, p.card, bank)
	head := fmt.Sprintf("POST /v1/payments HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s-%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		p.host, p.key, p.run, number, len(body))
	text := []byte(head + body)
	return template{text: text, amountAt: bytes.Index(text, []byte(amount)),
		key: bytes.Index(text, []byte(number)), orderAt: bytes.LastIndex(text, []byte(number))}
}

// appendRequest writes the request of payment n behind dst.
func (m *mix) appendRequest(dst []byte, n uint64) []byte {
	t := &m.templates[n%uint64(len(m.templates))]
	base := len(dst)
	dst = append(dst, t.text...)
	out := dst[base:]
	var digits [20]byte
	amount := strconv.AppendInt(digits[:0], amountOf(n), 10)
	field := out[t.amountAt : t.amountAt+amountWidth]
	for i := range field {
		field[i] = ' '
	}
	copy(field[amountWidth-len(amount):], amount)
	hex16(out[t.key:], n)
	copy(out[t.orderAt:t.orderAt+numberWidth], out[t.key:t.key+numberWidth])
	return dst
}

// amountOf is the amount of payment n in minor units: 100.00 to 999.00 without
// cents, because a simulated bank may be told to act on the last two digits.
func amountOf(n uint64) int64 {
	h := n * 0x9e3779b97f4a7c15
	return 10_000 + int64((h>>33)%900)*100
}

func hex16(dst []byte, n uint64) {
	const digits = "0123456789abcdef"
	for i := numberWidth - 1; i >= 0; i-- {
		dst[i] = digits[n&15]
		n >>= 4
	}
}
