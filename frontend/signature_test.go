package frontend

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"pgregory.net/rapid"
)

// TestSignatureBaseOfTheStandard is RFC 9421, B.2.5, and the components of its
// section 2.2 over the request of its appendix.
func TestSignatureBaseOfTheStandard(t *testing.T) {
	const request = "POST /foo?param=Value&Pet=dog HTTP/1.1\r\nHost: example.com\r\nDate: Tue, 20 Apr 2021 02:07:55 GMT\r\nContent-Type: application/json\r\n" +
		"Content-Digest: sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:\r\n" +
		"Content-Length: 18\r\nSignature-Input: sig-b25=(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"\r\n\r\n" +
		`{"hello": "world"}`
	c := &call{server: &Server{}, ctx: new(fasthttp.RequestCtx)}
	must(t, c.ctx.Request.Read(bufio.NewReader(strings.NewReader(request))))
	d := fieldScanner{rest: c.ctx.Request.Header.Peek(headSignatureInput)}
	var s signature
	if !d.signatureInput(&s) || string(s.label) != "sig-b25" || string(s.keyID) != "test-shared-secret" || s.created != 1618884473 {
		t.Fatalf("read as %+v", s)
	}
	base, why := c.signatureBase(nil, &s)
	want := "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@authority\": example.com\n\"content-type\": application/json\n" +
		`"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`
	if string(base) != want {
		t.Fatalf("%s\n%s", why, base)
	}
	secret, err := base64.StdEncoding.DecodeString("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
	must(t, err)
	mac := hmac.New(sha256.New, secret)
	mac.Write(base)
	if got := base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=" {
		t.Errorf("the signature is %s", got)
	}
	if why := c.digestHolds(); why != "" {
		t.Error(why)
	}
	for name, want := range map[string]string{"@method": "POST", "@authority": "example.com", "@scheme": "http", "@target-uri": "http://example.com/foo?param=Value&Pet=dog",
		"@request-target": "/foo?param=Value&Pet=dog", "@path": "/foo", "@query": "?param=Value&Pet=dog", "content-length": "18"} {
		if got, ok := c.appendComponent(nil, name); !ok || string(got) != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// signer makes signed requests the way a shop's program does.
type signer struct {
	id, secret string
	now        time.Time
	nonce      string
	components string // default: what must be covered
	params     string // behind created and keyid
	label      string
}

// headers are those of a signed request.
func (g signer) headers(method, target, body, key string) []string {
	path, query, _ := strings.Cut(target, "?")
	values := map[string]string{"@method": method, "@path": path, "@query": "?" + query, "idempotency-key": key}
	list := []string{"@method", "@path", "@query"}
	out := []string{"Authorization", ""}
	if method == "POST" {
		sum := sha256.Sum256([]byte(body))
		values["content-digest"] = "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
		list = append(list, "content-digest")
		out = append(out, "Content-Digest", values["content-digest"])
	}
	if key != "" {
		list = append(list, "idempotency-key")
		out = append(out, "Idempotency-Key", key)
	}
	if g.components != "" {
		list = strings.Fields(g.components)
	}
	params := fmt.Sprintf(`("%s");created=%d;keyid="%s"`, strings.Join(list, `" "`), g.now.Unix(), g.id)
	if g.nonce != "" {
		params += `;nonce="` + g.nonce + `"`
	}
	params += g.params
	base := ""
	for _, name := range list {
		base += `"` + name + `": ` + values[name] + "\n"
	}
	label := "sig1"
	if g.label != "" {
		label = g.label
	}
	mac := hmac.New(sha256.New, []byte(g.secret))
	mac.Write([]byte(base + `"@signature-params": ` + params))
	return append(out, "Signature-Input", label+"="+params, "Signature", label+"=:"+base64.StdEncoding.EncodeToString(mac.Sum(nil))+":")
}

// signedShop is a shop with a clock that can be moved and a key that signs.
func signedShop(t *testing.T) (s *shop, g signer, ahead *atomic.Int64) {
	t.Helper()
	ahead = new(atomic.Int64)
	s = openShop(t, func(o *Options) {
		o.Now = func() time.Time { return testNow.Add(time.Duration(ahead.Load())) }
	})
	id, secret := s.issue(t, `{"name":"signs","scopes":["*"],"signed":true}`)
	if !strings.HasPrefix(secret, "ss_test_") {
		t.Errorf("the secret begins with %.8s", secret)
	}
	return s, signer{id: id, secret: secret, now: testNow}, ahead
}

// TestSignedPayment: a payment goes through on a signature alone, and again,
// byte for byte, without moving money a second time; the answers are signed.
func TestSignedPayment(t *testing.T) {
	s, g, _ := signedShop(t)
	headers := g.headers("POST", "/v1/payments", leanBody, "signed-1")
	first := s.want("201", "POST /v1/payments", leanBody, headers...)
	again := s.want("201", "POST /v1/payments", leanBody, headers...)
	if first.body != again.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeat is %s", again.body)
	}
	g.checkAnswer(t, headers, first)
	list := g.headers("GET", "/v1/payments?limit=1", "", "")
	g.checkAnswer(t, list, s.want("200", "GET /v1/payments?limit=1", "", list...))
	broken := g.headers("POST", "/v1/payments", "{", "signed-2")
	g.checkAnswer(t, broken, s.want("400 invalid_request", "POST /v1/payments", "{", broken...))
	if r := s.want("200", "GET /v1/payments", ""); r.header.Get("Signature") != "" {
		t.Error("an answer to another key is signed")
	}
	if strings.Contains(s.log.String(), g.secret) {
		t.Error("the secret is in the log")
	}
}

// checkAnswer verifies the signature of an answer from the standard's text alone.
func (g signer) checkAnswer(t *testing.T, request []string, r reply) {
	t.Helper()
	sum := sha256.Sum256([]byte(r.body))
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	params, _ := strings.CutPrefix(r.header.Get("Signature-Input"), "sig=")
	_, mine, _ := strings.Cut(request[len(request)-1], "=")
	base := fmt.Sprintf("\"@status\": %d\n\"content-digest\": %s\n\"request-id\": %s\n\"signature\";req;key=\"sig1\": %s\n\"@signature-params\": %s",
		r.status, digest, r.header.Get("Request-Id"), mine, params)
	mac := hmac.New(sha256.New, []byte(g.secret))
	mac.Write([]byte(base))
	want := "sig=:" + base64.StdEncoding.EncodeToString(mac.Sum(nil)) + ":"
	if got := r.header.Get("Signature"); got != want || r.header.Get("Content-Digest") != digest || !strings.Contains(params, `"@status" "content-digest"`) {
		t.Errorf("the answer's signature is %s over %s: want %s over\n%s", got, params, want, base)
	}
}

// TestBadSignatures: what does not prove the key is refused, and the refusal says
// what to mend.
func TestBadSignatures(t *testing.T) {
	s, g, _ := signedShop(t)
	_, plain := s.issue(t, `{"name":"plain","scopes":["*"]}`)
	const target = "/v1/payments"
	for _, tt := range []struct {
		name, says string
		change     func(g *signer, h []string)
	}{
		{"another secret", "does not verify", func(g *signer, _ []string) { g.secret = plain }},
		{"another key", "does not verify", func(g *signer, _ []string) { g.id = noKey }},
		{"no key", "keyid of an API key", func(g *signer, _ []string) { g.id = "me" }},
		{"a broken id", "not the id", func(g *signer, _ []string) { g.id = "key_me" }},
		{"too old", "older than 5 minutes", func(g *signer, _ []string) { g.now = g.now.Add(-signatureAge - time.Second) }},
		{"too young", "in the future", func(g *signer, _ []string) { g.now = g.now.Add(signatureSkew + time.Second) }},
		{"expired", "has expired", func(g *signer, _ []string) { g.params = fmt.Sprintf(";expires=%d", testNow.Unix()) }},
		{"another algorithm", "hmac-sha256", func(g *signer, _ []string) { g.params = `;alg="rsa-pss-sha512"` }},
		{"an unknown parameter", "cannot be read", func(g *signer, _ []string) { g.params = `;more="x"` }},
		{"created twice", "cannot be read", func(g *signer, _ []string) { g.params = `;created=1` }},
		{"a long nonce", "128 characters", func(g *signer, _ []string) { g.nonce = strings.Repeat("n", 129) }},
		{"no method", `cover \"@method\"`, func(g *signer, _ []string) { g.components = "@path @query content-digest idempotency-key" }},
		{"no query", `cover \"@path\" and`, func(g *signer, _ []string) { g.components = "@method @path content-digest idempotency-key" }},
		{"no digest", "content-digest", func(g *signer, _ []string) { g.components = "@method @path @query idempotency-key" }},
		{"no idempotency key", "idempotency-key", func(g *signer, _ []string) { g.components = "@method @path @query content-digest" }},
		{"a component twice", "twice", func(g *signer, _ []string) { g.components = "@method @method" }},
		{"a component that is not there", "does not have", func(g *signer, _ []string) { g.components = "@method x-not-there" }},
		{"a derived component of answers", "does not have", func(g *signer, _ []string) { g.components = "@status" }},
		{"another label", "no value under", func(_ *signer, h []string) { h[len(h)-1] = "other" + h[len(h)-1] }},
		{"a short mac", "one of hmac-sha256", func(_ *signer, h []string) { h[len(h)-1] = "sig1=:AAAA:" }},
		{"no signature", "Signature must", func(_ *signer, h []string) { h[len(h)-1] = "" }},
		{"another digest", "does not verify", func(_ *signer, h []string) { h[3] = "sha-256=:AAAA:" }},
		{"another idempotency key", "does not verify", func(_ *signer, h []string) { h[5] = "other" }},
	} {
		mine := g
		tt.change(&mine, make([]string, 20))
		headers := mine.headers("POST", target, leanBody, "bad-"+tt.name)
		tt.change(&mine, headers)
		r := s.want("401 unauthorized", "POST "+target, leanBody, headers...)
		if !strings.Contains(r.body, tt.says) {
			t.Errorf("%s: %s", tt.name, r.body)
		}
		if r.header.Get("Signature") != "" {
			t.Errorf("%s: the refusal is signed", tt.name)
		}
	}
	r := s.want("401 unauthorized", "POST "+target, leanBody+" ", g.headers("POST", target, leanBody, "bad-body")...)
	if !strings.Contains(r.body, "Content-Digest is not that of the body") {
		t.Error(r.body)
	}
	r = s.want("401 unauthorized", "GET "+target, "", "Authorization", "Bearer "+g.secret)
	if !strings.Contains(r.body, "is never sent") {
		t.Error(r.body)
	}
	s.want("401 unauthorized", "GET "+target+"?limit=2", "", g.headers("GET", target+"?limit=1", "", "")...)
	if r := s.want("200", "GET "+target, ""); strings.Contains(r.body, "pay_") {
		t.Error("a refused request made a payment")
	}
}

// TestNoncesAreUsedOnce: a change without idempotency key is done once by one
// signature, also across a restart.
func TestNoncesAreUsedOnce(t *testing.T) {
	s, g, ahead := signedShop(t)
	const target, body = "/v1/api_keys", `{"name":"made","scopes":["payments:read"],"signed":true}`
	g.nonce = "n-0"
	early := s.want("503 overloaded", "POST "+target, body, g.headers("POST", target, body, "")...)
	if early.header.Get("Retry-After") != "61" {
		t.Errorf("Retry-After: %s", early.header.Get("Retry-After"))
	}
	ahead.Store(int64(2 * time.Minute))
	g.now = testNow.Add(2 * time.Minute)
	g.nonce = ""
	if r := s.want("401 unauthorized", "POST "+target, body, g.headers("POST", target, body, "")...); !strings.Contains(r.body, "needs a nonce") {
		t.Error(r.body)
	}
	// An idempotency key that the address does not know makes a repeat no safer.
	s.want("401 unauthorized", "POST "+target, body, g.headers("POST", target, body, "some")...)
	g.nonce = "n-1"
	headers := g.headers("POST", target, body, "")
	s.want("201", "POST "+target, body, headers...)
	s.want("401 unauthorized", "POST "+target, body, headers...)
	ahead.Store(int64(2*time.Minute + signatureAge))
	s.want("401 unauthorized", "POST "+target, body, headers...)
	g.now = testNow.Add(2*time.Minute + signatureAge)
	s.want("401 unauthorized", "POST "+target, body, g.headers("POST", target, body, "")...)
	g.nonce = "n-2"
	s.want("201", "POST "+target, body, g.headers("POST", target, body, "")...)
}

// TestNonces: no nonce counts twice within its life, whatever the order; what is
// kept of a key is bounded.
func TestNonces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var n nonces
		at := testNow
		last := map[string]time.Time{}
		for range rapid.IntRange(1, 60).Draw(t, "uses") {
			at = at.Add(time.Duration(rapid.IntRange(0, int(nonceLife/time.Second)).Draw(t, "pause")) * time.Second)
			nonce := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "nonce")
			got := n.use([16]byte{1}, []byte(nonce), at)
			was, known := last[nonce]
			switch {
			case known && at.Sub(was) < nonceLife && got != nonceUsed:
				t.Fatalf("%s counts again after %s", nonce, at.Sub(was))
			case (!known || at.Sub(was) >= 3*nonceLife) && got != nonceNew:
				t.Fatalf("%s does not count after %s", nonce, at.Sub(was))
			}
			if got == nonceNew {
				last[nonce] = at
			}
		}
	})
	var n nonces
	for i := range maxNonces {
		n.use([16]byte{1}, fmt.Append(nil, i), testNow)
	}
	if n.use([16]byte{1}, []byte("x"), testNow) != nonceRoom || n.use([16]byte{2}, []byte("x"), testNow) != nonceNew {
		t.Error("one key's nonces are not bounded, or fill another's room")
	}
}

// TestSignatureCoversEverything: whichever byte of a signed request is changed on
// its way, it is refused.
func TestSignatureCoversEverything(t *testing.T) {
	s, g, _ := signedShop(t)
	const target = "/v1/payments/pay_01m858pafqe03txhvkj21jdvtw/capture"
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.StringMatching(`\{"amount":[1-9][0-9]{0,6}\}`).Draw(t, "body")
		key := rapid.StringMatching(`[a-z0-9]{1,20}`).Draw(t, "key")
		g := g
		g.nonce = rapid.StringMatching(`[A-Za-z0-9]{0,20}`).Draw(t, "nonce")
		g.label = rapid.SampledFrom([]string{"sig1", "a", "x-1.y"}).Draw(t, "label")
		headers := g.headers("POST", target, body, key)
		if r := s.do("POST", target, body, headers...); r.status != http.StatusNotFound {
			t.Fatalf("%d %s", r.status, r.body)
		}
		at := rapid.IntRange(1, len(headers)/2).Draw(t, "header")*2 - 1
		changed := append([]string(nil), headers...)
		if at == 1 {
			body = flip(t, body)
		} else {
			changed[at] = flip(t, changed[at])
		}
		if r := s.do("POST", target, body, changed...); r.status != http.StatusUnauthorized {
			t.Fatalf("changed to %q and %q: %d %s", body, changed, r.status, r.body)
		}
	})
}

// flip changes one character to another that a header may hold.
func flip(t *rapid.T, text string) string {
	b := []byte(text)
	i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
	b[i] ^= byte(1 << rapid.IntRange(0, 2).Draw(t, "bit"))
	if b[i] <= ' ' || b[i] > '~' {
		b[i] = '~'
	}
	return string(b)
}

// TestKeyedRoutes: only where the document demands an idempotency key may a
// signature be used twice.
func TestKeyedRoutes(t *testing.T) {
	s := openShop(t, nil)
	for _, op := range document().operations() {
		if op.method != "POST" {
			continue
		}
		route, _, _ := s.server.routes.find([]byte(op.to(noPayment, noRefund)))
		r := s.do(op.method, op.to(noPayment, noRefund), op.body())
		if needs := strings.Contains(r.body, "idempotency_key_missing"); needs != route.keyed {
			t.Errorf("%s: asks for an idempotency key: %v; keyed: %v", op.path, needs, route.keyed)
		}
	}
}

// FuzzSignatureInput: no header makes the reader fail, and what it takes is a
// part of the header as it stands.
func FuzzSignatureInput(f *testing.F) {
	f.Add(`sig1=("@method" "@path");created=1;keyid="key_x";nonce="n";alg="hmac-sha256", b=()`)
	f.Add(`a=("x";req);created=-1`)
	f.Fuzz(func(t *testing.T, text string) {
		d := fieldScanner{rest: []byte(text)}
		for first := true; d.more(first); first = false {
			var s signature
			if !d.signatureInput(&s) {
				return
			}
			if !strings.Contains(text, string(s.label)+"="+string(s.params)) || len(s.components) > maxComponents {
				t.Errorf("%q is read as %q", text, s.params)
			}
		}
	})
}

// TestDigestHolds takes the digests of the standard and no other.
func TestDigestHolds(t *testing.T) {
	const body = `{"hello": "world"}`
	long, short := sha512.Sum512([]byte(body)), sha256.Sum256([]byte(body))
	both := "sha-256=:" + base64.StdEncoding.EncodeToString(short[:]) + ":, sha-512=:" + base64.StdEncoding.EncodeToString(long[:]) + ":"
	for field, good := range map[string]bool{
		both: true, strings.Replace(both, ", ", ",", 1): true, "md5=:AAAA:, " + both: true, "md5=:AAAA:": false,
		strings.Replace(both, "sha-512=:", "sha-512=:A", 1): false, both + ",": false, "": false, "sha-256": false,
	} {
		c := &call{ctx: new(fasthttp.RequestCtx)}
		c.ctx.Request.SetBodyString(body)
		c.ctx.Request.Header.Set("Content-Digest", field)
		if why := c.digestHolds(); (why == "") != good {
			t.Errorf("%s: %s", field, why)
		}
	}
}
