package frontend

import (
	"bytes"
	"encoding/base64"
	"time"
)

var (
	headTraceParent = []byte("Traceparent")
	schemeBearer    = []byte("bearer")
	schemeBasic     = []byte("basic")
)

var openingSigned = []byte("ss_")

// maxAPIKey bounds what is hashed to find a merchant.
const maxAPIKey = 256

// authenticate finds the merchant by its key, or answers 401. The key is never
// copied out of the request.
func (c *call) authenticate() bool {
	var buf [maxAPIKey + 2]byte
	detail := "Send the secret key as `Authorization: Bearer sk_...`, or as the user name of HTTP Basic with an empty password."
	all := c.ctx.Request.Header.PeekAll("Authorization")
	if len(all) == 1 {
		if key, ok := apiKey(all[0], buf[:]); ok {
			if c.account, ok = c.server.sw.Authenticate(key); ok {
				clear(buf[:])
				return true
			}
			detail = "This key is not known, or it was revoked."
			if bytes.HasPrefix(key, openingSigned) {
				detail = "The secret of a key that signs is never sent: sign the request with it. Roll this key, since its secret was on the wire."
			}
		}
	}
	clear(buf[:])
	if len(all) == 0 && len(c.ctx.Request.Header.PeekAll(headSignatureInput)) > 0 {
		return c.authenticateSigned()
	}
	c.refuse(problem{kind: problemUnauthorized, detail: detail})
	return false
}

// apiKey takes the key out of an Authorization header (RFC 6750, RFC 7617).
// The scheme's case does not matter. buf holds a decoded Basic pair.
func apiKey(header, buf []byte) (key []byte, ok bool) {
	scheme, rest, ok := bytes.Cut(header, []byte(" "))
	rest = bytes.TrimLeft(rest, " ")
	switch {
	case !ok || len(rest) == 0 || len(rest) > base64.StdEncoding.EncodedLen(maxAPIKey):
		return nil, false
	case bytes.EqualFold(scheme, schemeBearer):
		key = rest
	case bytes.EqualFold(scheme, schemeBasic):
		if base64.StdEncoding.DecodedLen(len(rest)) > len(buf) {
			return nil, false
		}
		n, err := base64.StdEncoding.Decode(buf, rest)
		user, password, colon := bytes.Cut(buf[:n], []byte(":"))
		if err != nil || !colon || len(password) > 0 {
			return nil, false
		}
		key = user
	}
	return key, len(key) > 0 && len(key) <= maxAPIKey
}

// withinQuota spends one request of the merchant's quota, or answers 429.
func (c *call) withinQuota() bool {
	if c.quota = c.server.quotas.of(c.account); c.quota == nil {
		return true
	}
	retry, ok := c.quota.take(time.Now())
	if !ok {
		c.refuse(problem{kind: problemRateLimited, detail: "This merchant sends more requests than its limit allows. This request had no effect: repeat it, with the same idempotency key, after Retry-After.", retryAfter: retry})
	}
	return ok
}

// keyed gives the key and the body of a request that is repeated under its key, or
// answers what is wrong with the request.
func (c *call) keyed() (key, body []byte, ok bool) {
	if !c.acceptsBody() || !c.noQuery() {
		return nil, nil, false
	}
	key, ok = c.idempotencyKey()
	return key, c.ctx.Request.Body(), ok
}

// idempotencyKey gives the key of a request that moves money, or answers 400.
// Two keys are as bad as none: which of them would a repeat carry?
func (c *call) idempotencyKey() ([]byte, bool) {
	all := c.ctx.Request.Header.PeekAll(headIdempotency)
	if len(all) == 0 || len(all) == 1 && len(all[0]) == 0 {
		c.refuse(problem{kind: problemKeyMissing, detail: "Send an Idempotency-Key header: a text of your own, new for each payment and the same for each repeat."})
		return nil, false
	}
	key := all[0]
	valid := len(all) == 1 && len(key) <= maxIdempotencyKey
	for _, ch := range key {
		valid = valid && ch >= ' ' && ch < 0x7f
	}
	if !valid {
		c.refuse(problem{kind: problemKeyInvalid, detail: "The Idempotency-Key header must be there once, with 1 to 255 printable ASCII characters."})
	}
	return key, valid
}
