package frontend

import (
	"bytes"
	"encoding/csv"
	"io"
	"net"
	"strconv"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

const defaultResults = 100

// listResults answers GET /v1/results.
func (c *call) listResults() {
	query, asCSV, ok := c.readResultsQuery()
	if !ok {
		return
	}
	if asCSV {
		c.streamResults(query)
		return
	}
	page, err := c.server.sw.Results(c.account, query)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = appendResults(c.out[:0], &page)
	c.answer(200, valueJSON)
}

// readResultsQuery reads the parameters of the results.
func (c *call) readResultsQuery() (q payswitch.ResultsQuery, asCSV, ok bool) {
	limited := false
	ok = c.eachParameter(func(name string, value []byte) string {
		text := string(value)
		var err error
		switch name {
		case "from":
			q.From, err = time.Parse(time.RFC3339Nano, text)
		case "to":
			q.To, err = time.Parse(time.RFC3339Nano, text)
		case "status":
			if q.Status = text; !payswitch.ParseResultStatus(text) {
				return "unknown_value"
			}
		case "limit":
			limited = true
			if q.Limit, err = strconv.Atoi(text); err == nil && (q.Limit < 1 || q.Limit > payswitch.MaxResults) {
				return "out_of_range"
			}
		case "cursor":
			q.Cursor, err = payswitch.ParseID(cursorPrefix, text)
		case "format":
			if asCSV = text == "csv"; !asCSV && text != "json" {
				return "invalid_format"
			}
		default:
			return "unknown_field"
		}
		if err != nil {
			return "invalid_format"
		}
		return ""
	})
	switch {
	case !ok:
		return q, false, false
	case !q.To.IsZero() && q.To.Before(q.From):
		c.refuseFaults([]fault{{"/to", "out_of_range", "The period ends before it begins."}})
		return q, false, false
	case asCSV && limited:
		c.refuseFaults([]fault{{"/limit", "out_of_range", "A CSV has all rows of the period: leave limit out."}})
		return q, false, false
	case !limited:
		q.Limit = defaultResults
	}
	return q, asCSV, true
}

func appendResults(dst []byte, page *payswitch.ResultsPage) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i := range page.Results {
		if i > 0 {
			dst = append(dst, ',')
		}
		r := &page.Results[i]
		if r.Operation == nil {
			dst = appendObject(dst, &r.Payment)
		} else {
			dst = append(appendOperation(dst, r.Operation, &r.Payment), '}')
		}
	}
	return appendCursor(dst, page.More, page.Next)
}

var valueCSV = []byte("text/csv; charset=utf-8")

// streamResults answers with all rows of a period as CSV.
func (c *call) streamResults(q payswitch.ResultsQuery) {
	q.Limit = payswitch.MaxResults
	sw, account := c.server.sw, c.account
	c.streamCSV(resultColumns[:], func(put func([]string)) (bool, error) {
		page, err := sw.Results(account, q)
		for i := range page.Results {
			put(resultRow(&page.Results[i]))
		}
		q.Cursor = page.Next
		return page.More, err
	})
}

// resultColumns are the columns of the CSV. New ones go to the end.
var resultColumns = [...]string{
	"type", "id", "payment_id", "status", "created_at", "updated_at", "amount", "currency", "amount_authorized", "amount_captured",
	"amount_refunded", "order_id", "bank", "method", "rrn", "stan", "approval_code", "response_code", "decline_code", "card_bin", "card_last4",
	"card_brand", "reason",
}

// resultRow is a row of the CSV. The amounts of a payment's own stay empty in the
// row of an operation, so that no sum counts them twice.
func resultRow(r *payswitch.Result) []string {
	p := &r.Payment
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	moment := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	payment := p.Name()
	if o := r.Operation; o != nil {
		stan := ""
		if o.STAN != 0 {
			stan = string(o.STAN.Append(nil))
		}
		return []string{o.Kind.String(), o.ID.Text(o.Kind.Prefix()), payment, shownOperation(o.Status).String(), moment(o.CreatedAt), moment(o.UpdatedAt),
			number(shownAmount(o)), p.Currency.Alpha(), "", "", "", p.OrderID, p.Bank, o.Method.String(), o.RRN, stan, o.ApprovalCode, o.ResponseCode,
			declineCode(o.Decline), p.Card.BIN, p.Card.Last4, p.Card.Brand, o.Reason}
	}
	return []string{p.Purpose.String(), payment, payment, shownStatus(p.Status).String(), moment(p.CreatedAt), moment(p.UpdatedAt), number(p.Amount),
		p.Currency.Alpha(), number(p.AmountAuthorized), number(p.AmountCaptured), number(p.AmountRefunded), p.OrderID, p.Bank, "", p.RRN,
		string(p.STAN.Append(nil)), p.ApprovalCode, p.ResponseCode, declineCode(p.Decline), p.Card.BIN, p.Card.Last4, p.Card.Brand, ""}
}

func declineCode(d *payswitch.Decline) string {
	if d == nil {
		return ""
	}
	return d.Code
}

// streamCSV answers with a CSV, page after page as the client reads them. When a
// page cannot be read the answer breaks off without its end, which every HTTP
// client notices. page puts the next page's rows and says whether more follow; it
// outlives the call.
func (c *call) streamCSV(columns []string, page func(put func([]string)) (more bool, err error)) {
	s := &csvStream{server: c.server, conn: c.ctx.Conn(), page: page, more: true}
	s.out = csv.NewWriter(&s.text)
	s.put(columns)
	c.out = c.out[:0]
	c.answer(200, valueCSV)
	c.ctx.Response.SetBodyStream(s, -1)
}

// csvStream makes the pages of a CSV on demand.
type csvStream struct {
	server *Server
	conn   net.Conn
	page   func(put func([]string)) (more bool, err error)
	more   bool
	text   bytes.Buffer
	out    *csv.Writer
}

// Read implements io.Reader.
func (s *csvStream) Read(p []byte) (_ int, err error) {
	for s.text.Len() == 0 && s.more {
		if s.server.draining.Load() {
			return 0, ErrClosed
		}
		if s.more, err = s.page(s.put); err != nil {
			return 0, err
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.server.o.WriteTimeout))
	}
	if s.text.Len() == 0 {
		return 0, io.EOF
	}
	return s.text.Read(p)
}

func (s *csvStream) put(row []string) {
	_ = s.out.Write(row) // a bytes.Buffer takes everything
	s.out.Flush()
}
