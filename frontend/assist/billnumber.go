package assist

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// A billnumber names one payment, an attempt of an order, in 16 digits as
// Assist's shops keep it: twelve of the milliseconds since 2020 and four of the
// number that the payment's id carries within its millisecond. So it is known
// without being stored, and finds the payment again by one seek. With .1 behind it
// names the payment's own operation, with .2 and more the later ones.

// billEpoch is 2020-01-01: twelve digits of milliseconds last until 2051.
const billEpoch = 1_577_836_800_000

const (
	billDigits    = 16
	counterDigits = 10_000 // of a billnumber's last four digits
	maxCounter    = 0xfff
	maxExtension  = 9_999
)

// billnumber is the number of a payment, without an operation's.
func billnumber(id payswitch.ID) string {
	counter := int(id[6]&0x0f)<<8 | int(id[7])
	return fmt.Sprintf("%012d%04d", id.Time().UnixMilli()-billEpoch, counter)
}

// extended is the number of an operation of a payment, the payment's own being
// the first.
func extended(id payswitch.ID, n int) string { return billnumber(id) + "." + strconv.Itoa(n) }

// parseBill takes a billnumber apart: the moment and the smallest id after those
// that have it. n is 0 when no operation is named.
func parseBill(text []byte) (at time.Time, after payswitch.ID, n int, ok bool) {
	bill, extension, long := bytes.Cut(text, []byte("."))
	if len(bill) != billDigits || !digitsOnly(bill) || long && (len(extension) < 1 || len(extension) > 4 || !digitsOnly(extension)) {
		return at, after, 0, false
	}
	if long {
		if n, _ = strconv.Atoi(string(extension)); n < 1 || n > maxExtension {
			return at, after, 0, false
		}
	}
	number, err := strconv.ParseInt(string(bill), 10, 64)
	if counter := number % counterDigits; err == nil && counter <= maxCounter {
		at = time.UnixMilli(number/counterDigits + billEpoch).UTC()
		binary.BigEndian.PutUint64(after[:], uint64(at.UnixMilli())<<16|0x7000|uint64(counter)+1)
		return at, after, n, true
	}
	return at, after, 0, false
}

// payment finds the payment that Billnumber names, with its operations.
func (k *Ask) payment() (p payswitch.Payment, operations []payswitch.Operation, no *refusal) {
	text, there := k.params.get("billnumber")
	if !there {
		return p, nil, missing("billnumber")
	}
	at, after, n, ok := parseBill(text)
	if !ok {
		return p, nil, badForm("billnumber", "is not a number that this switch gives.")
	}
	page, err := k.adapter.sw.List(k.Account, payswitch.ListQuery{CreatedFrom: at, Cursor: after, Limit: 1})
	if err != nil {
		return p, nil, k.refused(err)
	}
	gone := &refusal{first: 10, second: 216, detail: "There is no such Billnumber."}
	if len(page.Payments) == 0 || billnumber(page.Payments[0].ID) != string(text[:billDigits]) {
		return p, nil, gone
	}
	p, operations, err = k.adapter.sw.Operations(k.Account, page.Payments[0].ID)
	switch {
	case err != nil:
		return p, nil, k.refused(err)
	case n > len(operations)+1:
		return p, nil, gone
	}
	return p, operations, nil
}
