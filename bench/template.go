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

// head is a request up to its body but for the idempotency key.
type head struct{ path, before, after []byte }

// body is a request's body with two holes.
type body struct {
	text              []byte
	amountAt, orderAt int
}

func newHead(host, key, run string) head {
	return head{
		path:   []byte("POST /v1/payments"),
		before: fmt.Appendf(nil, " HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s-", host, key, run),
		after:  []byte("\r\nContent-Type: application/json\r\nContent-Length: "),
	}
}

// wish is what the bodies differ in.
type wish struct {
	card, bank, currency, run string
	hold                      bool // to be captured later
}

func newBody(w wish) body {
	amount := string(bytes.Repeat([]byte{'#'}, amountWidth))
	number := string(bytes.Repeat([]byte{'%'}, numberWidth))
	more := ""
	if w.hold {
		more = `,"capture_method":"manual"`
	}
	if w.bank != "" {
		more += `,"bank":"` + w.bank + `"`
	}
	text := fmt.Appendf(nil, `{"amount":%s,"currency":"%s","order_id":"%s-%s","payment_method":{"type":"card","card":{"number":"%s","exp_month":12,"exp_year":2039,"cvc":"123"}}%s}`,
		amount, w.currency, w.run, number, w.card, more)
	return body{text: text, amountAt: bytes.Index(text, []byte(amount)), orderAt: bytes.Index(text, []byte(number))}
}

// appendTo writes the request of payment n behind dst.
func (b *body) appendTo(dst []byte, h *head, n uint64) []byte {
	dst = append(dst, h.path...)
	dst = append(dst, h.before...)
	dst = appendHex16(dst, n)
	dst = append(dst, h.after...)
	dst = strconv.AppendInt(dst, int64(len(b.text)), 10)
	dst = append(dst, "\r\n\r\n"...)
	start := len(dst)
	dst = append(dst, b.text...)
	out := dst[start:]
	var digits [20]byte
	amount := strconv.AppendInt(digits[:0], amountOf(n), 10)
	field := out[b.amountAt : b.amountAt+amountWidth]
	for i := range field {
		field[i] = ' '
	}
	copy(field[amountWidth-len(amount):], amount)
	appendHex16(out[b.orderAt:b.orderAt], n)
	return dst
}

// amountOf is the amount of payment n in minor units: 100.00 to 999.00 without
// cents, because a simulated bank may be told to act on the last two digits.
func amountOf(n uint64) int64 {
	h := n * 0x9e3779b97f4a7c15
	return 10_000 + int64((h>>33)%900)*100
}

func appendHex16(dst []byte, n uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 4 * (numberWidth - 1); shift >= 0; shift -= 4 {
		dst = append(dst, digits[n>>shift&15])
	}
	return dst
}
