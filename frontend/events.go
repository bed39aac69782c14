package frontend

import (
	"strconv"
	"strings"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// targetEvent reads the event of the path, or answers 404.
func (c *call) targetEvent(text []byte) bool {
	return c.identify(text, eventPrefix, "event")
}

// listEvents answers GET /v1/events.
func (c *call) listEvents() {
	query, ok := c.readEventQuery()
	if !ok {
		return
	}
	page, err := c.server.sw.Outbox().Events(c.account, query)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = append(c.out[:0], `{"object":"list","data":[`...)
	for i := range page.Events {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = AppendEvent(c.out, &page.Events[i])
	}
	c.out = appendCursor(c.out, page.More, page.Next)
	c.answer(200, valueJSON)
}

// readEventQuery reads the filters of the list.
func (c *call) readEventQuery() (q payswitch.EventQuery, ok bool) {
	q.Limit = defaultPage
	ok = c.eachParameter(func(name string, value []byte) string {
		text := string(value)
		var err error
		switch name {
		case "type":
			for word := range strings.SplitSeq(text, ",") {
				t, known := payswitch.ParseEventType(word)
				if !known {
					return "invalid_format"
				}
				q.Types = append(q.Types, t)
			}
		case "payment_id":
			var known bool
			if q.Purpose, q.Payment, known = payswitch.ParsePaymentID(text); !known {
				return "invalid_format"
			}
		case "created_from":
			q.From, err = time.Parse(time.RFC3339Nano, text)
		case "created_to":
			q.To, err = time.Parse(time.RFC3339Nano, text)
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

// getEvent answers GET /v1/events/{id}.
func (c *call) getEvent() {
	if !c.noQuery() {
		return
	}
	e, err := c.server.sw.Outbox().Event(c.account, c.id)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = AppendEvent(c.out[:0], &e)
	c.answer(200, valueJSON)
}

// listDeliveries answers GET /v1/events/{id}/deliveries.
func (c *call) listDeliveries() {
	if !c.noQuery() {
		return
	}
	list, err := c.server.sw.Outbox().Deliveries(c.account, c.id)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	views := make([]map[string]any, 0, len(list))
	for i := range list {
		a := &list[i]
		views = append(views, map[string]any{"object": "webhook_delivery", "event": c.id.Text(eventPrefix),
			"webhook_endpoint": a.Endpoint.Text(endpointPrefix), "status": a.State(), "http_status": valueOrNull(a.Code), "error": valueOrNull(a.Error),
			"took_ms": a.Took.Milliseconds(), "attempted_at": shownTime(a.At), "next_attempt_at": shownTime(a.Next)})
	}
	c.answerJSON(200, map[string]any{"object": "list", "data": views, "has_more": false, "next_cursor": nil})
}

// resendEvent answers POST /v1/events/{id}/resend.
func (c *call) resendEvent() {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	var to payswitch.ID
	var d keyReader
	defer d.close()
	good := d.read(c.ctx.Request.Body(), func(name string) bool {
		if name != "webhook_endpoint" {
			return false
		}
		if word, ok := d.word("/webhook_endpoint"); ok {
			var err error
			if to, err = payswitch.ParseID(endpointPrefix, string(word)); err != nil {
				d.fault("/webhook_endpoint", "invalid_format", "Must be the id of a webhook endpoint.")
			}
		}
		return true
	})
	if !good {
		c.refuseFaults(d.faults)
		return
	}
	n, err := c.server.sw.Outbox().Resend(c.account, c.id, to)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.answerJSON(200, map[string]any{"object": "resend", "event": c.id.Text(eventPrefix), "webhook_endpoints": n})
}
