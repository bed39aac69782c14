package frontend

import (
	"bytes"

	"github.com/tranzit/tranzit/frontend/acs"
	"github.com/tranzit/tranzit/frontend/page"
)

// targetPage keeps the last piece of the path: the page itself says what it is not.
func (c *call) targetPage(text []byte) bool {
	c.customer = string(text)
	return len(text) > 0
}

// showPage answers a buyer's browser. The page is public: who knows a session's id
// may pay it. Its words are its own, refusals too.
func (c *call) showPage() { c.showDocument(c.server.page.Answer) }

// buy answers a buyer's browser that presses a button of a shop.
func (c *call) buy() { c.showDocument(c.server.page.Buy) }

// showDocument answers with what a page for people says.
func (c *call) showDocument(answer func(*page.Request) *page.Response) {
	header := &c.ctx.Request.Header
	in := page.Request{Post: header.IsPost(), Session: []byte(c.customer), Query: string(c.ctx.URI().QueryString()),
		ContentType: string(header.ContentType()), Body: c.ctx.Request.Body(), Cookie: string(header.Cookie(page.CookieName)),
		AcceptLanguage: string(header.Peek("Accept-Language")), Caller: c.caller(), RequestID: string(c.requestID[:])}
	out := answer(&in)
	if c.account = out.Account; out.Payment != nil {
		c.note(out.Payment)
	}
	head := &c.ctx.Response.Header
	for _, h := range out.Headers {
		head.Set(h[0], h[1])
	}
	if out.Location != "" {
		head.SetCanonical(headLocation, []byte(out.Location))
	}
	c.out = append(c.out[:0], out.Body...)
	c.answer(out.Status, []byte(out.Type))
}

// showChallenge answers a payer's browser in place of the card's issuer.
func (c *call) showChallenge() {
	server := c.server.o.ThreeDS
	if server == nil {
		c.refuse(problem{kind: problemNotFound, detail: "This API has nothing at this address."})
		return
	}
	header := &c.ctx.Request.Header
	status, document := server.Answer(&acs.Request{Post: header.IsPost(), Challenge: c.customer, Body: c.ctx.Request.Body(),
		Language: page.Accepted(string(header.Peek("Accept-Language")))})
	answer := &c.ctx.Response.Header
	answer.Set("Content-Security-Policy", acs.Policy)
	answer.Set("X-Content-Type-Options", "nosniff")
	answer.Set("Referrer-Policy", "no-referrer")
	c.out = append(c.out[:0], document...)
	c.answer(status, valueHTML)
}

var (
	// Where the pages for people are. One more piece follows.
	pagePath      = []byte("/pay/")
	buyPath       = []byte(page.BuyPath)
	challengePath = []byte(acs.Path)
)

// pageOf finds the page for people of an address; nil: it is none.
func (r *routes) pageOf(path []byte) (found *route, name []byte) {
	for _, p := range []struct {
		prefix []byte
		page   *route
	}{{pagePath, r.page}, {buyPath, r.buy}, {challengePath, r.challenge}} {
		if rest, ok := bytes.CutPrefix(path, p.prefix); ok && len(rest) > 0 && bytes.IndexByte(rest, '/') < 0 {
			return p.page, rest
		}
	}
	return nil, nil
}
