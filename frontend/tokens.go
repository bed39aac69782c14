package frontend

import (
	"strconv"

	payswitch "github.com/tranzit/tranzit/switch"
)

var tokensPath = []byte("/v1/tokens")

const tokenPrefix = payswitch.TokenPrefix

// targetToken reads the token of the path, or answers 404.
func (c *call) targetToken(text []byte) bool {
	return c.identify(text, tokenPrefix, "saved card")
}

// targetCustomer reads the customer of the path, or answers 404: what no
// customer can be called names nobody.
func (c *call) targetCustomer(text []byte) bool {
	if !plainName(text) {
		c.refuse(problem{kind: problemNotFound, detail: "No customer can have this name."})
		return false
	}
	c.customer = string(text)
	return true
}

// readCard decodes a card to save, or answers what is wrong with the request.
func (c *call) readCard(replace bool) (r payswitch.CardRequest, ok bool) {
	body := c.ctx.Request.Body()
	if !c.acceptsBody() || !c.noQuery() {
		return r, false
	}
	defer c.read.close()
	if !c.read.decodeCard(body, c.server.o.Now(), &c.request, replace) {
		c.refuseFaults(c.read.faults)
		return r, false
	}
	r.Customer = string(c.read.text[c.read.customerID.from:c.read.customerID.to])
	r.PAN, r.Expiry, r.RequestID = c.request.PAN, c.request.Expiry, string(c.requestID[:])
	return r, true
}

// createToken answers POST /v1/tokens. It needs no idempotency key: the same
// card of the same customer gives the same token.
func (c *call) createToken() {
	r, ok := c.readCard(false)
	if !ok {
		return
	}
	defer r.PAN.Wipe()
	t, fresh, err := c.server.sw.SaveCard(c.account, &r)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	status := 200
	if fresh {
		status = 201
	}
	c.head = t.ID.Append(append(append(c.head[:0], tokensPath...), '/'), tokenPrefix)
	c.ctx.Response.Header.SetCanonical(headLocation, c.head)
	c.out = appendToken(c.out[:0], &t)
	c.answer(status, valueJSON)
}

// replaceCard answers POST /v1/tokens/{id}/replace.
func (c *call) replaceCard() {
	r, ok := c.readCard(true)
	if !ok {
		return
	}
	defer r.PAN.Wipe()
	c.writeToken(c.server.sw.ReplaceCard(c.account, c.id, &r))
}

// getToken answers GET /v1/tokens/{id}.
func (c *call) getToken() {
	if c.noQuery() {
		c.writeToken(c.server.sw.Token(c.account, c.id))
	}
}

func (c *call) writeToken(t payswitch.Token, err error) {
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = appendToken(c.out[:0], &t)
	c.answer(200, valueJSON)
}

// deleteToken answers DELETE /v1/tokens/{id}.
func (c *call) deleteToken() {
	if !c.noQuery() {
		return
	}
	if err := c.server.sw.DeleteToken(c.account, c.id); err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = c.id.Append(append(c.out[:0], `{"id":"`...), tokenPrefix)
	c.out = append(c.out, `","object":"token","deleted":true}`...)
	c.answer(200, valueJSON)
}

// listTokens answers GET /v1/customers/{id}/tokens. A customer has few: they
// are one page.
func (c *call) listTokens() {
	if !c.noQuery() {
		return
	}
	tokens, err := c.server.sw.Tokens(c.account, c.customer)
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	c.out = append(c.out[:0], `{"object":"list","data":[`...)
	for i := range tokens {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = appendToken(c.out, &tokens[i])
	}
	c.out = append(c.out, `],"has_more":false,"next_cursor":null}`...)
	c.answer(200, valueJSON)
}

// appendToken appends the object of a saved card: every member, in a fixed order.
func appendToken(dst []byte, t *payswitch.Token) []byte {
	dst = append(dst, `{"id":"`...)
	dst = t.ID.Append(dst, tokenPrefix)
	dst = append(dst, `","object":"token","version":`...)
	dst = strconv.AppendUint(dst, uint64(t.Version), 10)
	dst = append(dst, `,"livemode":`...)
	dst = strconv.AppendBool(dst, t.Live)
	dst = append(dst, `,"customer":{"id":`...)
	dst = appendString(dst, t.Customer)
	dst = append(dst, `},"card":`...)
	dst = appendCard(dst, &t.Card)
	dst = append(dst, `,"expired":`...)
	dst = strconv.AppendBool(dst, t.Expired)
	dst = append(dst, `,"network_transaction_id":`...)
	dst = appendText(dst, t.NetworkTransactionID)
	dst = append(dst, `,"created_at":`...)
	dst = appendTime(dst, t.CreatedAt)
	dst = append(dst, `,"updated_at":`...)
	return append(appendTime(dst, t.UpdatedAt), '}')
}
