package frontend

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"strconv"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// Limits of a signed request (RFC 9421).
const (
	signatureAge  = 5 * time.Minute // how long after `created` it counts
	signatureSkew = time.Minute     // how far the shop's clock may be ahead
	maxComponents = 32
	maxNonce      = 128
	macBytes      = sha256.Size
)

const (
	headSignature      = "Signature"
	headSignatureInput = "Signature-Input"
	headContentDigest  = "Content-Digest"
	headIdempotency    = "Idempotency-Key"
)

// signature is one of the signatures of a request. Its slices are the request's
// own memory.
type signature struct {
	label      []byte
	components [][]byte // names between their quotes
	params     []byte   // the list with its parameters, as it came: that is what is signed

	keyID, alg, nonce []byte
	created, expires  int64 // 0: not said
	mac               [macBytes]byte
}

// signedWith is what an answer to a signed request is signed about. It is valid
// while its request is.
type signedWith struct {
	label []byte
	mac   [macBytes]byte
}

// authenticateSigned finds the merchant by the signature of the request, or
// answers 401. A change that could be made twice is refused when its nonce is
// not new.
func (c *call) authenticateSigned() bool {
	var s signature
	refuse := func(detail string) bool {
		c.refuse(problem{kind: problemUnauthorized, detail: detail + " This request had no effect."})
		return false
	}
	if why := c.readSignature(&s); why != "" {
		return refuse(why)
	}
	id, err := payswitch.ParseID(payswitch.APIKeyPrefix, string(s.keyID))
	if err != nil {
		return refuse("The signature's keyid is not the id of an API key.")
	}
	now := c.server.o.Now()
	if why := s.timely(now); why != "" {
		return refuse(why)
	}
	base, why := c.signatureBase(nil, &s)
	if why == "" {
		why = c.coversAll(&s)
	}
	if why != "" {
		return refuse(why)
	}
	account, ok := c.server.sw.VerifySignature(id, base, s.mac[:])
	if !ok {
		return refuse("The signature does not verify, or its key is not known, or it was revoked.")
	}
	if why := c.digestHolds(); why != "" {
		return refuse(why)
	}
	c.account, c.signed = account, signedWith{s.label, s.mac}
	return c.fresh(&s, now)
}

// readSignature reads the one signature of the request that names an API key.
// It returns what is wrong, or nothing.
func (c *call) readSignature(s *signature) (why string) {
	header := &c.ctx.Request.Header
	input, once := single(header.PeekAll(headSignatureInput))
	if !once {
		return "Signature-Input must be there once."
	}
	found := false
	d := fieldScanner{rest: input}
	for first := true; d.more(first); first = false {
		var one signature
		if !d.signatureInput(&one) {
			return "Signature-Input cannot be read: it is a list of components with parameters (RFC 9421), each written in its shortest form."
		}
		if !bytes.HasPrefix(one.keyID, apiKeyIDPrefix) {
			continue // somebody else's, a proxy's for example
		}
		if found {
			return "Sign with one key."
		}
		*s, found = one, true
	}
	if !found {
		return "No signature has the keyid of an API key."
	}
	values, once := single(header.PeekAll(headSignature))
	if !once {
		return "Signature must be there once."
	}
	d = fieldScanner{rest: values}
	for first := true; d.more(first); first = false {
		label, value := d.byteMember()
		if d.bad {
			break
		}
		if bytes.Equal(label, s.label) {
			mac, err := base64.StdEncoding.Strict().DecodeString(string(value))
			if err != nil || len(mac) != macBytes {
				return "The signature is not one of hmac-sha256."
			}
			s.mac = [macBytes]byte(mac)
			return ""
		}
	}
	return "Signature has no value under the label of Signature-Input."
}

var apiKeyIDPrefix = []byte(payswitch.APIKeyPrefix + "_")

func single(all [][]byte) ([]byte, bool) {
	if len(all) != 1 {
		return nil, false
	}
	return all[0], true
}

// timely checks the parameters of a signature, all but the key's.
func (s *signature) timely(now time.Time) (why string) {
	at := now.Unix()
	switch {
	case len(s.alg) > 0 && string(s.alg) != "hmac-sha256":
		return "The signature's alg must be hmac-sha256."
	case s.created == 0:
		return "The signature has no created time."
	case s.created > at+int64(signatureSkew/time.Second):
		return "The signature's created time lies in the future: set the clock."
	case s.created < at-int64(signatureAge/time.Second):
		return "The signature is older than 5 minutes: sign anew."
	case s.expires != 0 && s.expires <= at:
		return "The signature has expired: sign anew."
	case len(s.nonce) > maxNonce:
		return "The signature's nonce has more than 128 characters."
	}
	return ""
}

// coversAll demands that everything that decides what the request does is signed.
func (c *call) coversAll(s *signature) (why string) {
	covers := func(name string) bool {
		for _, have := range s.components {
			if string(have) == name {
				return true
			}
		}
		return false
	}
	header := &c.ctx.Request.Header
	body := len(c.ctx.Request.Body()) > 0 || header.IsPost()
	switch {
	case !covers("@method"):
		return `The signature must cover "@method".`
	case !covers("@target-uri") && !covers("@request-target") && (!covers("@path") || !covers("@query")):
		return `The signature must cover "@path" and "@query", or "@target-uri".`
	case body && !covers("content-digest"):
		return `The signature must cover "content-digest", the digest of the body (RFC 9530).`
	case len(header.PeekAll(headIdempotency)) > 0 && !covers("idempotency-key"):
		return `The signature must cover "idempotency-key".`
	}
	return ""
}

// digestHolds compares Content-Digest, where there is one, with the body as it came.
func (c *call) digestHolds() (why string) {
	all := c.ctx.Request.Header.PeekAll(headContentDigest)
	if len(all) == 0 {
		return ""
	}
	field, once := single(all)
	body, checked := c.ctx.Request.Body(), false
	d := fieldScanner{rest: field}
	for first := true; once && d.more(first); first = false {
		name, value := d.byteMember()
		var sum []byte
		switch string(name) {
		case "sha-256":
			digest := sha256.Sum256(body)
			sum = digest[:]
		case "sha-512":
			digest := sha512.Sum512(body)
			sum = digest[:]
		default:
			continue
		}
		want := base64.StdEncoding.AppendEncode(nil, sum)
		if subtle.ConstantTimeCompare(value, want) != 1 {
			return "Content-Digest is not that of the body."
		}
		checked = true
	}
	if d.bad || !checked {
		return "Content-Digest must hold a sha-256 or sha-512 digest (RFC 9530)."
	}
	return ""
}

// signatureBase appends what is signed (RFC 9421, 2.5).
func (c *call) signatureBase(dst []byte, s *signature) (base []byte, why string) {
	for i, name := range s.components {
		for _, before := range s.components[:i] {
			if bytes.Equal(before, name) {
				return nil, "The signature covers a component twice."
			}
		}
		dst = append(append(append(dst, '"'), name...), `": `...)
		ok := false
		if dst, ok = c.appendComponent(dst, string(name)); !ok {
			return nil, "The signature covers a component that this request does not have, or that is not taken here."
		}
		dst = append(dst, '\n')
	}
	return append(append(dst, `"@signature-params": `...), s.params...), ""
}

// appendComponent appends the value of a component as the switch sees it.
func (c *call) appendComponent(dst []byte, name string) ([]byte, bool) {
	header, uri := &c.ctx.Request.Header, c.ctx.URI()
	switch name {
	case "@method":
		return append(dst, header.Method()...), true
	case "@authority":
		return append(dst, c.authority()...), true
	case "@scheme":
		return append(dst, c.scheme()...), true
	case "@target-uri":
		dst = append(append(append(dst, c.scheme()...), "://"...), c.authority()...)
		dst = append(dst, uri.PathOriginal()...)
		if query := uri.QueryString(); len(query) > 0 {
			dst = append(append(dst, '?'), query...)
		}
		return dst, true
	case "@request-target":
		return append(dst, header.RequestURI()...), true
	case "@path":
		return append(dst, uri.PathOriginal()...), true
	case "@query":
		return append(append(dst, '?'), uri.QueryString()...), true
	}
	if name == "" || name[0] == '@' {
		return dst, false
	}
	lines := header.PeekAll(name)
	for i, line := range lines {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, bytes.TrimSpace(line)...)
	}
	return dst, len(lines) > 0
}

// authority is the host the request names, in lower case and without a port that
// is the scheme's own.
func (c *call) authority() []byte {
	host := bytes.ToLower(c.ctx.Request.Header.Host())
	port := ":80"
	if c.scheme() == "https" {
		port = ":443"
	}
	return bytes.TrimSuffix(host, []byte(port))
}

// scheme is that of the connection or, when this is a trusted proxy's, the one
// it says the shop used.
func (c *call) scheme() string {
	if nc, ok := c.ctx.Conn().(*conn); ok {
		if _, encrypted := nc.Conn.(*tls.Conn); encrypted {
			return "https"
		}
	}
	if remote, ok := remoteAddr(c.ctx); ok && c.server.trusts(remote) && string(c.ctx.Request.Header.Peek("X-Forwarded-Proto")) == "https" {
		return "https"
	}
	return "http"
}

// fresh refuses a change without idempotency key whose signature was seen
// before. What moves money needs no nonce: its idempotency key is signed, so a
// repeat is answered with what happened and does nothing.
func (c *call) fresh(s *signature, now time.Time) bool {
	header := &c.ctx.Request.Header
	if header.IsGet() || header.IsHead() || header.IsPost() && c.route.keyed {
		return true
	}
	if len(s.nonce) == 0 {
		c.refuse(problem{kind: problemUnauthorized, detail: "The signature of this change needs a nonce. This request had no effect."})
		return false
	}
	began := c.server.started.Add(signatureSkew)
	if s.created <= began.Unix() {
		c.refuse(problem{kind: problemOverloaded, retryAfter: began.Sub(now) + time.Second,
			detail: "For a minute after its start the switch cannot tell whether a signature was used before. This request had no effect: sign anew after Retry-After."})
		return false
	}
	switch c.server.nonces.use(c.account.Key.ID, s.nonce, now) {
	case nonceUsed:
		c.refuse(problem{kind: problemUnauthorized, detail: "This nonce was used before: sign anew. This request had no effect."})
		return false
	case nonceRoom:
		c.refuse(problem{kind: problemRateLimited, retryAfter: signatureAge, detail: "This key has made too many changes in the last minutes. This request had no effect."})
		return false
	}
	return true
}

// signAnswer signs the answer to a signed request: its status, its body and its
// id, bound to the signature it answers.
func (c *call) signAnswer() {
	if c.signed.label == nil {
		return
	}
	sum := sha256.Sum256(c.out)
	digest := base64.StdEncoding.AppendEncode([]byte("sha-256=:"), sum[:])
	digest = append(digest, ':')
	params := append([]byte(`("@status" "content-digest" "request-id" "signature";req;key="`), c.signed.label...)
	params = strconv.AppendInt(append(params, `");created=`...), c.server.o.Now().Unix(), 10)
	params = c.account.Key.ID.Append(append(params, `;keyid="`...), payswitch.APIKeyPrefix)
	params = append(params, `";alg="hmac-sha256"`...)

	base := strconv.AppendInt([]byte(`"@status": `), int64(c.status), 10)
	base = append(append(base, "\n\"content-digest\": "...), digest...)
	base = append(append(base, "\n\"request-id\": "...), c.requestID[:]...)
	base = append(append(base, "\n\"signature\";req;key=\""...), c.signed.label...)
	base = append(base64.StdEncoding.AppendEncode(append(base, `": :`...), c.signed.mac[:]), ':')
	base = append(append(base, "\n\"@signature-params\": "...), params...)

	header := &c.ctx.Response.Header
	header.SetBytesV(headContentDigest, digest)
	header.SetBytesV(headSignatureInput, append([]byte("sig="), params...))
	mac := c.server.sw.SignAnswer(c.account, base)
	header.SetBytesV(headSignature, append(base64.StdEncoding.AppendEncode([]byte("sig=:"), mac), ':'))
}
