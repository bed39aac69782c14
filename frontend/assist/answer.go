package assist

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	payswitch "github.com/tranzit/tranzit/switch"
)

// format is how an answer is written: the numbers are Assist's.
type format byte

const (
	formCSV  format = 1
	formXML  format = 3
	formSOAP format = 4
	formJSON format = 5
)

var contentTypes = map[format]string{
	formCSV: "text/csv; charset=utf-8", formXML: "text/xml; charset=utf-8", formSOAP: "text/xml; charset=utf-8", formJSON: "application/json",
}

// field is one value of an answer. A group is an object of its own in JSON; the
// other formats are flat.
type field struct{ name, value, group string }

// entry is one order of an answer, with its operations where these stand apart.
type entry struct {
	fields     []field
	operations [][]field
}

// layout is what the services write around their entries.
type layout struct {
	json    string // the name of the answer in JSON
	list    bool   // in JSON it is a list; else the last entry, with the operations of all
	wrapped bool   // in XML the orders stand in one element
	nested  bool   // operations stand apart from their order
}

const (
	dateAndTime   = "02.01.2006 15:04:05"
	dateAndMinute = "02.01.2006 15:04"
)

func (k *Ask) packetDate() string { return k.adapter.now().UTC().Format(dateAndTime) }

// fail answers with a refusal.
func (k *Ask) fail(r *refusal) {
	k.answer = Answer{ContentType: contentTypes[k.wished], Code: fmt.Sprintf("%d:%d", r.first, r.second), RetryAfter: r.retry}
	switch k.wished {
	case formCSV:
		k.answer.Body = fmt.Appendf(nil, "error;%d;%d;%s\n", r.first, r.second, strings.NewReplacer(";", ",", "\n", " ").Replace(r.detail))
	case formJSON:
		detail, _ := jsontext.AppendQuote(nil, r.detail)
		k.answer.Body = fmt.Appendf(nil, `{"result":{"firstcode":"%d","secondcode":"%d","count":"0","message":%s}}`+"\n", r.first, r.second, detail)
	default:
		// The document has no place for a text but a comment, which no parser of the shop's minds.
		comment := strings.ReplaceAll(r.detail, "--", "- -")
		k.answer.Body = k.envelope(fmt.Appendf(nil, "<result firstcode=\"%d\" secondcode=\"%d\" count=\"0\"><!-- %s --></result>", r.first, r.second, comment))
	}
}

// envelope finishes an XML document, as SOAP where that is wished.
func (k *Ask) envelope(element []byte) []byte {
	const head = `<?xml version="1.0" encoding="utf-8"?>` + "\n"
	if k.wished != formSOAP {
		return append(append([]byte(head), element...), '\n')
	}
	return []byte(head + `<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body>` + string(element) +
		"</SOAP-ENV:Body></SOAP-ENV:Envelope>\n")
}

// reply answers with orders.
func (k *Ask) reply(l layout, entries []entry) {
	k.answer = Answer{ContentType: contentTypes[k.wished]}
	switch k.wished {
	case formCSV:
		k.answer.Body = csvOf(entries)
	case formJSON:
		k.answer.Body = jsonOf(l, entries)
	default:
		k.answer.Body = k.envelope(xmlOf(l, entries))
	}
}

func xmlOf(l layout, entries []entry) []byte {
	b := new(bytes.Buffer)
	put := func(fields []field) {
		for _, f := range fields {
			b.WriteString("<" + f.name + ">")
			_ = xml.EscapeText(b, []byte(f.value)) // a bytes.Buffer takes everything
			b.WriteString("</" + f.name + ">")
		}
	}
	open, end := "", ""
	if l.wrapped {
		open, end = "<orders>", "</orders>"
	}
	b.WriteString(`<result firstcode="0" secondcode="0" count="` + strconv.Itoa(len(entries)) + `">` + open)
	for _, e := range entries {
		b.WriteString("<order>")
		put(e.fields)
		for _, o := range e.operations {
			b.WriteString("<operation>")
			put(o)
			b.WriteString("</operation>")
		}
		b.WriteString("</order>")
	}
	b.WriteString(end + "</result>")
	return b.Bytes()
}

// csvOf writes a line of names and a line for each operation, or for each order
// where no operations stand apart. What both have is the operation's.
func csvOf(entries []entry) []byte {
	b := new(bytes.Buffer)
	w := csv.NewWriter(b)
	w.Comma = ';'
	headed := false
	put := func(fields []field) {
		names, values := make([]string, len(fields)), make([]string, len(fields))
		for i, f := range fields {
			names[i], values[i] = f.name, f.value
		}
		if !headed {
			headed = true
			_ = w.Write(names) // a bytes.Buffer takes everything
		}
		_ = w.Write(values)
	}
	for _, e := range entries {
		if e.operations == nil {
			put(e.fields)
		}
		for _, o := range e.operations {
			put(merged(e.fields, o))
		}
	}
	w.Flush()
	return b.Bytes()
}

// merged are the fields of an order and of its operation.
func merged(order, operation []field) []field {
	own := map[string]bool{}
	for _, f := range operation {
		own[f.name] = true
	}
	var out []field
	for _, f := range order {
		if !own[f.name] {
			out = append(out, f)
		}
	}
	return append(out, operation...)
}

func jsonOf(l layout, entries []entry) []byte {
	b, _ := jsontext.AppendQuote([]byte("{"), l.json)
	b = append(b, ':')
	if l.list {
		b = append(b, '[')
		for i, e := range entries {
			if i > 0 {
				b = append(b, ',')
			}
			b = jsonEntry(b, e.fields, e.operations)
		}
		return append(b, "]}\n"...)
	}
	var operations [][]field
	for _, e := range entries {
		operations = append(operations, e.operations...)
	}
	return append(jsonEntry(b, entries[len(entries)-1].fields, operations), "}\n"...)
}

// jsonEntry writes an object: its fields, its groups and its operations.
func jsonEntry(b []byte, fields []field, operations [][]field) []byte {
	b = append(b, '{')
	var groups []string
	b = jsonFields(b, fields, "")
	for _, f := range fields {
		if f.group != "" && (len(groups) == 0 || groups[len(groups)-1] != f.group) {
			groups = append(groups, f.group)
		}
	}
	for _, g := range groups {
		b = append(b, `,"`+g+`":{`...)
		b = append(jsonFields(b, fields, g), '}')
	}
	if operations != nil {
		b = append(b, `,"operations":[`...)
		for i, o := range operations {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(jsonFields(append(b, '{'), o, ""), '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func jsonFields(b []byte, fields []field, group string) []byte {
	first := true
	for _, f := range fields {
		if f.group != group {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b, _ = jsontext.AppendQuote(b, f.name)
		b = append(b, ':')
		b, _ = jsontext.AppendQuote(b, f.value)
	}
	return b
}

// orderFields are what an answer says of the order itself.
func (k *Ask) orderFields(p *payswitch.Payment) []field {
	mode := "1"
	if p.Live {
		mode = "0"
	}
	return []field{
		{name: "ordernumber", value: p.OrderID}, {name: "billnumber", value: billnumber(p.ID)}, {name: "testmode", value: mode},
		{name: "ordercomment", value: p.Description}, {name: "orderamount", value: decimal(p.Amount, p.Currency)},
		{name: "ordercurrency", value: p.Currency.Alpha()}, {name: "orderdate", value: p.CreatedAt.UTC().Format(dateAndTime)},
		{name: "orderstate", value: orderState(p)},
		{"lastname", "", "customer"}, {"firstname", "", "customer"}, {"middlename", "", "customer"}, {"email", p.CustomerEmail, "customer"},
	}
}

// deed is an operation of a payment in Assist's terms: the payment's own is the
// first.
type deed struct {
	n                                  int
	kind, code, letter, approval, slip string
	amount                             int64
	decline                            *payswitch.Decline
}

func paymentDeed(p *payswitch.Payment) deed {
	d := deed{n: 1, kind: typePayment, approval: p.ApprovalCode, slip: p.RRN, amount: p.Amount, decline: p.Decline}
	d.code, d.letter = paymentCode(p)
	return d
}

func operationDeed(o *payswitch.Operation, at int) deed {
	d := deed{n: at + 2, kind: operationType(o.Kind), approval: o.ApprovalCode, slip: o.RRN, amount: o.Amount, decline: o.Decline}
	d.code, d.letter = operationCode(o)
	return d
}

// deedFields are what an answer says of one operation.
func (k *Ask) deedFields(p *payswitch.Payment, d deed) []field {
	customer, recommendation := k.advice(d.code, d.decline)
	number := ""
	if p.Card.Last4 != "" {
		number = p.Card.BIN + "****" + p.Card.Last4
	}
	return []field{
		{name: "billnumber", value: extended(p.ID, d.n)}, {name: "operationtype", value: d.kind}, {name: "operationstate", value: d.letter},
		{name: "amount", value: decimal(d.amount, p.Currency)}, {name: "currency", value: p.Currency.Alpha()}, {name: "rate", value: "1"},
		{name: "meantypename", value: means[p.Card.Brand]}, {name: "meannumber", value: number},
		{name: "cardexpirationdate", value: fmt.Sprintf("%02d/%02d", p.Card.Expiry.Month, p.Card.Expiry.Year%100)},
		{name: "responsecode", value: d.code}, {name: "message", value: messages[d.code].in(k.english)},
		{name: "customermessage", value: customer}, {name: "recommendation", value: recommendation},
		{name: "approvalcode", value: d.approval}, {name: "processingname", value: p.Bank}, {name: "slipno", value: d.slip},
	}
}

// check are the fields by which a shop sees that the answer is ours.
func (k *Ask) check(p *payswitch.Payment, at time.Time, form string) []field {
	value := ""
	if word := k.shop.SecretWord; word != "" {
		value = checkValue(word, k.shop.MerchantID+p.OrderID+decimal(p.Amount, p.Currency)+p.Currency.Alpha()+orderState(p))
	}
	return []field{{"signature", "", "checkdata"}, {"checkvalue", value, "checkdata"}, {"packetdate", at.UTC().Format(form), "checkdata"}}
}
