package client

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// signing says whether the client's key signs and is never sent.
func (o *Options) signing() bool { return strings.HasPrefix(o.Key, "ss_") }

// sign adds the signature of a request (RFC 9421, hmac-sha256): method, path,
// query, idempotency key and, by its digest, the body. Each attempt is signed
// anew, with a nonce of its own.
func (c *Client) sign(req *http.Request, body []byte) {
	path := req.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	list := `"@method" "@path" "@query"`
	base := fmt.Sprintf("\"@method\": %s\n\"@path\": %s\n\"@query\": ?%s\n", req.Method, path, req.URL.RawQuery)
	cover := func(name, value string) {
		list += ` "` + name + `"`
		base += `"` + name + `": ` + value + "\n"
	}
	if req.Method == http.MethodPost {
		digest := digestOf(body)
		req.Header.Set("Content-Digest", digest)
		cover("content-digest", digest)
	}
	if key := req.Header.Get("Idempotency-Key"); key != "" {
		cover("idempotency-key", strings.TrimSpace(key))
	}
	params := fmt.Sprintf(`(%s);created=%d;keyid="%s";alg="hmac-sha256";nonce="%s"`, list, time.Now().Unix(), c.o.KeyID, rand.Text())
	req.Header.Set("Signature-Input", signatureLabel+"="+params)
	req.Header.Set("Signature", signatureLabel+"="+c.mac(base+`"@signature-params": `+params))
}

const signatureLabel = "tranzit"

func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// mac is the signature of a text, as a structured field.
func (c *Client) mac(base string) string {
	mac := hmac.New(sha256.New, []byte(c.o.Key))
	mac.Write([]byte(base))
	return ":" + base64.StdEncoding.EncodeToString(mac.Sum(nil)) + ":"
}

var errSignature = errors.New("the answer's signature does not verify: it may be forged")

// verify checks the signature of an answer to a signed request: that the API
// gave it, whole, to this request and no other.
func (c *Client) verify(req *http.Request, resp *http.Response, body []byte) error {
	params, ok := strings.CutPrefix(resp.Header.Get("Signature-Input"), "sig=")
	const covered = `("@status" "content-digest" "request-id" "signature";req;key="` + signatureLabel + `");`
	if !ok || !strings.HasPrefix(params, covered) || resp.Header.Get("Content-Digest") != digestOf(body) {
		return errSignature
	}
	asked, _ := strings.CutPrefix(req.Header.Get("Signature"), signatureLabel+"=")
	base := fmt.Sprintf("\"@status\": %d\n\"content-digest\": %s\n\"request-id\": %s\n\"signature\";req;key=\"%s\": %s\n\"@signature-params\": %s",
		resp.StatusCode, digestOf(body), resp.Header.Get("Request-Id"), signatureLabel, asked, params)
	if !hmac.Equal([]byte(resp.Header.Get("Signature")), []byte("sig="+c.mac(base))) {
		return errSignature
	}
	return nil
}
