package frontend

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

const (
	// maxBatchBody bounds the bytes of a batch. Only who has a key may send so many.
	maxBatchBody = 4 << 20
	// maxBatchFaults bounds how many faults one answer to a batch lists.
	maxBatchFaults = 100
)

// batchReader decodes the rows of a batch, of JSON lines or of a CSV whose columns
// are named as the members. Not goroutine-safe.
type batchReader struct {
	reader
	rows []payswitch.BatchRow
	all  []fault // of all rows; their pointers begin with the number of the row
	seen map[string]bool
}

// lines reads JSON lines; empty ones do not count.
func (d *batchReader) lines(body []byte) {
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !d.row(line) {
			return
		}
	}
}

// bad adds a fault of a row, or of the body as a whole (0), and reports whether
// there is room for more.
func (d *batchReader) bad(row int, f fault) bool {
	if row > 0 {
		f.pointer, f.detail = "/"+strconv.Itoa(row)+f.pointer, "Row "+strconv.Itoa(row)+": "+f.detail
	}
	if len(d.all) < maxBatchFaults {
		d.all = append(d.all, f)
	}
	return len(d.all) < maxBatchFaults
}

// row decodes one row. It reports false when no further row is worth a look.
func (d *batchReader) row(text []byte) bool {
	n := len(d.rows) + 1
	if n > payswitch.MaxBatchRows {
		d.bad(0, fault{"", "too_many", "A batch has at most " + strconv.Itoa(payswitch.MaxBatchRows) + " rows."})
		return false
	}
	d.rows = append(d.rows, payswitch.BatchRow{})
	d.open(text)
	clear(d.seen)
	isObject := d.object("")
	if isObject {
		for name, ok := d.member(); ok; name, ok = d.member() {
			d.rowMember(string(name), &d.rows[n-1])
		}
	}
	d.finish()
	switch {
	case d.broken:
	case isObject:
		d.rules(&d.rows[n-1])
	case len(d.faults) == 0:
		d.fault("", "wrong_type", "Must be an object.")
	}
	more := true
	for _, f := range d.faults {
		more = d.bad(n, f)
	}
	return more
}

// kept keeps a text of a row in a string of its own.
func (d *batchReader) kept(name string, l limits) string {
	at, ok := d.keep("/"+name, l)
	if !ok {
		return ""
	}
	text := d.text[at.from:at.to]
	if l.set == prose && looksLikeCardNumber(text) {
		d.fault("/"+name, "card_number_not_allowed", "Holds what may be a card number.")
	}
	return string(text)
}

func (d *batchReader) id(name, prefix, what string) (id payswitch.ID) {
	word, ok := d.word("/" + name)
	if !ok {
		return id
	}
	id, err := payswitch.ParseID(prefix, string(word))
	if err != nil {
		d.fault("/"+name, "invalid_format", "Must be the id of a "+what+".")
	}
	return id
}

// choose reads one of some words; "" when it is absent or refused.
func (d *batchReader) choose(name string, words ...string) string {
	word, ok := d.word("/" + name)
	if !ok {
		return ""
	}
	for _, w := range words {
		if w == string(word) {
			return w
		}
	}
	d.fault("/"+name, "unknown_value", "See the documentation for the words there are.")
	return ""
}

// rowMember reads one member of a row.
func (d *batchReader) rowMember(name string, r *payswitch.BatchRow) {
	d.seen[name] = d.peek() != 'n'
	switch name {
	case "operation":
		r.Kind = payswitch.RowKind(d.choose(name, "payment", "capture", "cancel", "refund"))
	case "payment_id":
		r.Payment = d.id(name, paymentPrefix, "payment")
	case "amount":
		r.Amount, _ = d.integer("/amount", 1, maxAmount)
	case "final":
		r.Final = d.boolean("/final")
	case "reason":
		r.Reason = d.kept(name, limits{0, maxReason, prose})
	case "token":
		r.Token = d.id(name, tokenPrefix, "saved card")
	case "currency":
		r.Currency = d.kept(name, limits{3, 3, token})
		if _, err := iso.ParseCurrency(r.Currency); err != nil && d.seen[name] && !d.faultyAt("/currency") {
			d.fault("/currency", "unknown_currency", "Must be an ISO 4217 alphabetic code in upper case.")
		}
	case "order_id":
		r.OrderID = d.kept(name, limits{1, maxOrderID, printable})
	case "customer_id":
		r.Customer = d.kept(name, limits{1, maxCustomerID, token})
		switch text := []byte(r.Customer); {
		case len(text) > 0 && !plainName(text):
			d.fault("/customer_id", "invalid_characters", "Must be letters, digits, and . _ ~ - only.")
		case looksLikeCardNumber(text):
			d.fault("/customer_id", "card_number_not_allowed", "Holds what may be a card number.")
		}
	case "description":
		r.Description = d.kept(name, limits{0, maxDescription, prose})
	case "bank":
		r.Bank = d.kept(name, limits{1, maxBankID, token})
	case "initiator":
		r.Initiator = d.choose(name, "customer", "merchant")
	case "capture_method":
		r.ManualCapture = d.choose(name, "automatic", "manual") == "manual"
	default:
		delete(d.seen, name)
		d.unknown("", []byte(name))
	}
}

func (d *batchReader) faultyAt(pointer string) bool {
	for _, f := range d.faults {
		if f.pointer == pointer {
			return true
		}
	}
	return false
}

// rowMembers are the members that each operation takes besides its name; true:
// that it needs.
var rowMembers = map[payswitch.RowKind]map[string]bool{
	payswitch.RowPayment: {"amount": true, "currency": true, "token": true, "order_id": false, "customer_id": false, "description": false,
		"bank": false, "initiator": false, "capture_method": false},
	payswitch.RowCapture: {"payment_id": true, "amount": false, "final": false},
	payswitch.RowCancel:  {"payment_id": true, "amount": false, "reason": false},
	payswitch.RowRefund:  {"payment_id": true, "amount": false, "reason": false},
}

// rules hold the members of a row to its operation.
func (d *batchReader) rules(r *payswitch.BatchRow) {
	takes := rowMembers[r.Kind]
	if takes == nil {
		if !d.faultyAt("/operation") {
			d.fault("/operation", "required", "This member is required.")
		}
		return
	}
	for _, name := range batchColumns[1:] {
		needed, taken := takes[name]
		switch {
		case d.seen[name] && !taken:
			d.fault("/"+name, "unknown_field", "A "+string(r.Kind)+" does not have this member.")
		case needed && !d.seen[name]:
			d.fault("/"+name, "required", "This member is required.")
		}
	}
	if r.Kind == payswitch.RowPayment && r.Initiator == "" {
		r.Initiator = "merchant"
	}
}

// batchColumns are the members of a row, in the order of a CSV that is written.
var batchColumns = [...]string{"operation", "payment_id", "amount", "final", "reason", "token", "currency", "order_id", "customer_id", "description",
	"bank", "initiator", "capture_method"}

// csv reads a CSV (RFC 4180) with a header line. An empty cell is a member that is
// left out.
func (d *batchReader) csv(body []byte) {
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	in.ReuseRecord = true
	header, err := in.Read()
	if err == io.EOF {
		return
	}
	names := append([]string(nil), header...)
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	for _, name := range batchColumns {
		delete(known, name)
	}
	for name := range known {
		d.bad(0, fault{"/" + safeName([]byte(name)), "unknown_field", "There is no such column."})
	}
	if len(d.all) > 0 || err != nil {
		d.brokenCSV(err)
		return
	}
	var line []byte
	for {
		cells, err := in.Read()
		switch {
		case err == io.EOF:
			return
		case err != nil:
			d.brokenCSV(err)
			return
		}
		line = append(line[:0], '{')
		for i, cell := range cells {
			if cell != "" {
				line = appendCell(line, names[i], cell)
			}
		}
		if !d.row(append(line, '}')) {
			return
		}
	}
}

func (d *batchReader) brokenCSV(err error) {
	var at *csv.ParseError
	if errors.As(err, &at) {
		d.bad(0, fault{"", "invalid_csv", "The body is not a valid CSV at line " + strconv.Itoa(at.Line) + "."})
	}
}

// appendCell appends a cell as a member of a JSON object: what is a number or a
// truth by its column stands as it is, all else as a text.
func appendCell(dst []byte, name, cell string) []byte {
	if len(dst) > 1 {
		dst = append(dst, ',')
	}
	dst = append(append(appendString(dst, name), ':'), ' ')
	number := name == "amount" && len(cell) <= maxInteger && allDigits([]byte(cell)) && (cell[0] != '0' || len(cell) == 1)
	if number || name == "final" && (cell == "true" || cell == "false") {
		return append(dst, cell...)
	}
	quoted, err := jsontext.AppendQuote(dst, cell)
	if err != nil {
		return append(append(append(dst, '"'), cell...), '"') // not UTF-8: the reader says so
	}
	return quoted
}
