package frontend

import (
	"time"

	"github.com/tranzit/tranzit/frontend/assist"
)

// placeAssist makes the routes of Assist's entry points.
func (r *routes) placeAssist(m *metrics) {
	r.assist = map[string]*route{}
	for _, service := range assist.Services() {
		found := &route{name: service.Path, post: (*call).askAssist, public: true, service: service}
		if service.Get {
			found.get = (*call).askAssist
		}
		found.finish(m)
		r.assist[service.Path] = found
	}
}

var valueText = []byte("text/plain; charset=utf-8")

// askAssist answers an entry point of Assist. Who asks, how often and from where
// is held to the same limits as in the API; every answer is 200 in Assist's
// format, as its shops expect, with Retry-After where repeating can help; only a
// browser that is to pay is sent to the page.
func (c *call) askAssist() {
	adapter, service := c.server.o.Assist, c.route.service
	in := assist.Input{ContentType: c.ctx.Request.Header.ContentType(), Body: c.ctx.Request.Body(), RequestID: string(c.requestID[:])}
	if service.Get {
		in.Query = c.ctx.URI().QueryString()
	}
	ask, ok := adapter.Open(service, in)
	defer ask.Close()
	defer func() {
		if ask.Payment != nil {
			c.note(ask.Payment)
		}
	}()
	if c.account = ask.Account; ok {
		c.doAssist(ask)
	}
	if !ask.Session.IsZero() {
		c.ctx.Response.Header.SetCanonical(headLocation, []byte(c.server.page.URL(ask.Session)))
		c.answer(303, valueText)
		return
	}
	answer := ask.Answer()
	c.code = answer.Code
	if answer.RetryAfter > 0 {
		c.head = appendSeconds(c.head[:0], answer.RetryAfter)
		c.ctx.Response.Header.SetCanonical(headRetryAfter, c.head)
	}
	c.out = append(c.out[:0], answer.Body...)
	c.answer(200, []byte(answer.ContentType))
}

func (c *call) doAssist(ask *assist.Ask) {
	// Who comes without a password spends nothing of the merchant's.
	if c.quota = c.server.quotas.of(c.account); c.account.Key == nil {
		c.quota = nil
	}
	if c.quota != nil {
		if retry, within := c.quota.take(time.Now()); !within {
			ask.TooOften(retry)
			return
		}
	}
	if detail := c.forbidden(c.route.service.Scope); detail != "" {
		ask.Forbid(detail + " This request had no effect.")
		return
	}
	ask.Do()
}
