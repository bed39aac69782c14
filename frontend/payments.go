package frontend

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// targetPayment reads the payment id of the path, or answers 404: an id that
// cannot be one names nothing.
func (c *call) targetPayment(text []byte) bool {
	return c.identify(text, paymentPrefix, "payment")
}

// targetRefund reads the refund's id of the path, or answers 404.
func (c *call) targetRefund(text []byte) bool {
	id, err := payswitch.ParseID(payswitch.KindRefund.Prefix(), string(text))
	if err != nil {
		c.refuse(problem{kind: problemNotFound, detail: "This payment has no such refund."})
		return false
	}
	c.refund = id
	return true
}

// createPayment answers POST /v1/payments.
func (c *call) createPayment() {
	if !c.readPayment() {
		return
	}
	answer, err := c.server.sw.Pay(c.account, &c.request)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.writePayment(answer)
}

// readPayment decodes the request, or answers what is wrong with it.
func (c *call) readPayment() bool {
	key, body, ok := c.keyed()
	if !ok {
		return false
	}
	defer c.read.close()
	c.request.Purpose = c.route.purpose
	if !c.read.decode(body, c.server.o.Now(), &c.request) {
		c.refuseFaults(c.read.faults)
		return false
	}
	c.read.strings(key, c.requestID[:])
	c.request.Fingerprint = c.server.sw.Fingerprint("POST", c.route.name, body)
	return true
}

// writePayment answers with a payment that was recorded. A replay has the
// status and the body of the first answer, since both depend on the payment
// alone.
func (c *call) writePayment(answer *payswitch.Answer) {
	p := &answer.Payment
	c.note(p)
	header := &c.ctx.Response.Header
	if answer.Replayed {
		header.SetCanonical(headReplayed, valueTrue)
	}
	c.out = appendObject(c.out[:0], p)
	if p.Purpose == payswitch.PurposePayment {
		c.head = append(c.head[:0], locationPrefix...)
		c.head = append(c.head, c.out[len(paymentOpening):][:paymentIDLen]...)
	} else {
		c.head = p.ID.Append(append(append(c.head[:0], c.route.name...), '/'), p.Purpose.Prefix())
	}
	header.SetCanonical(headLocation, c.head)
	status := 201
	if shownStatus(p.Status) == payswitch.StatusUnknown && !p.Final() {
		status = 202
	}
	c.answer(status, valueJSON)
}

// getPayment answers GET /v1/payments/{id}, at once or as a long poll.
func (c *call) getPayment() {
	wait, ok := c.readWait()
	if !ok {
		return
	}
	p, err := c.server.sw.Payment(c.account, c.route.purpose, c.id)
	if err == nil && wait > 0 {
		c.waited = true
		p, err = c.wait(p, wait)
	}
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.note(&p)
	c.out = appendObject(c.out[:0], &p)
	c.answer(200, valueJSON)
}

// waitSlice is how long a long poll sleeps before it looks whether the server
// drains: a shutdown is not held up by those who only look on.
const waitSlice = time.Second

// wait returns when the status of the payment is another than in p, or the time
// is up; at once when the switch says that the status is final.
func (c *call) wait(p payswitch.Payment, d time.Duration) (payswitch.Payment, error) {
	end := time.Now().Add(d)
	for {
		left := time.Until(end)
		if left <= 0 || c.server.draining.Load() {
			return p, nil
		}
		nap := min(left, waitSlice)
		now, err := c.server.sw.Wait(c.account, c.route.purpose, c.id, nap)
		stopped := time.Until(end) > left-nap // the switch no longer waits
		if err != nil || stopped || now.Status != p.Status {
			return now, err
		}
		p = now
	}
}

// listPayments answers GET /v1/payments.
func (c *call) listPayments() {
	query, ok := c.readListQuery()
	if !ok {
		return
	}
	page, err := c.server.sw.List(c.account, query)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = appendList(c.out[:0], &page)
	c.answer(200, valueJSON)
}

// getTimeline answers GET /v1/payments/{id}/timeline.
func (c *call) getTimeline() {
	if !c.noQuery() {
		return
	}
	events, err := c.server.sw.Timeline(c.account, c.route.purpose, c.id)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = appendTimeline(c.out[:0], events)
	c.answer(200, valueJSON)
}

var (
	mediaJSON           = []byte("application/json")
	parameterCharset    = []byte("charset")
	charsetUTF8         = []byte("utf-8")
	headContentEncoding = []byte("Content-Encoding")
)

// acceptsBody asks for application/json, in UTF-8 if anything is said of it,
// and not compressed; else it answers 415.
func (c *call) acceptsBody() bool {
	header := &c.ctx.Request.Header
	if isJSON(header.ContentType()) && len(header.PeekCanonical(headContentEncoding)) == 0 {
		return true
	}
	c.refuse(problem{kind: problemMediaType, detail: "Send the body as `Content-Type: application/json`, in UTF-8 and not compressed."})
	return false
}

func isJSON(contentType []byte) bool {
	if bytes.Equal(contentType, mediaJSON) {
		return true
	}
	media, parameter, more := bytes.Cut(contentType, []byte(";"))
	if !bytes.EqualFold(bytes.TrimSpace(media), mediaJSON) {
		return false
	}
	if !more {
		return true
	}
	name, value, _ := bytes.Cut(bytes.TrimSpace(parameter), []byte("="))
	return bytes.EqualFold(name, parameterCharset) && bytes.EqualFold(bytes.Trim(value, `"`), charsetUTF8)
}

const (
	defaultPage = 20
	maxPage     = 100
)

// noQuery refuses any query parameter: what has no effect is a mistake of the
// caller.
func (c *call) noQuery() bool {
	return c.eachParameter(func(string, []byte) string { return "unknown_field" })
}

// eachParameter lets check look at every query parameter and answers 400 when
// one is refused or appears twice. check returns the code of what is wrong, or
// nothing.
func (c *call) eachParameter(check func(name string, value []byte) string) bool {
	if len(c.ctx.URI().QueryString()) == 0 {
		return true
	}
	var faults []fault
	var names []string
	for key, value := range c.ctx.QueryArgs().All() {
		name := string(key)
		pointer := "/" + safeName(key)
		code := ""
		for _, before := range names {
			if before == name {
				code = "duplicate_field"
			}
		}
		if code == "" {
			code = check(name, value)
		}
		if code != "" && len(faults) < maxFaults {
			faults = append(faults, fault{pointer, code, parameterFaults[code]})
		}
		names = append(names, name)
	}
	if len(faults) > 0 {
		c.refuseFaults(faults)
	}
	return len(faults) == 0
}

var parameterFaults = map[string]string{
	"unknown_field":   "There is no such query parameter.",
	"duplicate_field": "This query parameter appears twice.",
	"invalid_format":  "This query parameter cannot be read; see the documentation for its form.",
	"out_of_range":    "This query parameter is out of its range.",
	"unknown_value":   "This is no status of a payment.",

	"unknown_language": "Must be en, ru or es.",
}

// readWait reads ?wait=10s.
func (c *call) readWait() (wait time.Duration, ok bool) {
	ok = c.eachParameter(func(name string, value []byte) string {
		if name != "wait" {
			return "unknown_field"
		}
		var err error
		if wait, err = time.ParseDuration(string(value)); err != nil {
			return "invalid_format"
		}
		if wait < 0 || wait > c.server.o.MaxWait {
			return "out_of_range"
		}
		return ""
	})
	return wait, ok
}

// readListQuery reads the filters of the list.
func (c *call) readListQuery() (q payswitch.ListQuery, ok bool) {
	q.Limit, q.Purpose = defaultPage, c.route.purpose
	ok = c.eachParameter(func(name string, value []byte) string {
		text := string(value)
		var err error
		switch name {
		case "order_id":
			if n, clean := measure(value, printable); n < 1 || n > maxOrderID || !clean {
				return "invalid_format"
			}
			q.OrderID = text
		case "status":
			var known bool
			if q.Status, known = payswitch.ParseStatus(text); !known || !slices.Contains(q.Purpose.Statuses(), q.Status) {
				return "unknown_value"
			}
		case "created_from":
			q.CreatedFrom, err = time.Parse(time.RFC3339Nano, text)
		case "created_to":
			q.CreatedTo, err = time.Parse(time.RFC3339Nano, text)
		case "expand":
			if q.Purpose != payswitch.PurposePayment {
				return "unknown_field"
			}
			if q.Operations = text == "operations"; !q.Operations {
				return "invalid_format"
			}
		case "limit":
			if q.Limit, err = strconv.Atoi(text); err == nil && (q.Limit < 1 || q.Limit > maxPage) {
				return "out_of_range"
			}
		case "cursor":
			q.Cursor, err = payswitch.ParseID(cursorPrefix, text)
		default:
			return "unknown_field"
		}
		if err != nil {
			return "invalid_format"
		}
		return ""
	})
	return q, ok
}
