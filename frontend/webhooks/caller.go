package webhooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Caller posts signed messages to merchants' addresses, and to none that is not
// public. It is goroutine-safe.
type Caller struct {
	o      CallerOptions
	guard  guard
	client http.Client
}

// NewCaller makes a Caller. Close lets its connections go.
func NewCaller(o CallerOptions) *Caller {
	o.EnsureDefaults()
	c := &Caller{o: o, guard: guard{o.Allow}}
	c.client = http.Client{
		Transport: &http.Transport{
			DialContext: c.dial, TLSClientConfig: o.Trust, TLSHandshakeTimeout: o.TLS, ResponseHeaderTimeout: o.Whole,
			MaxResponseHeaderBytes: 16 << 10, MaxIdleConns: 4096, MaxIdleConnsPerHost: o.Idle, IdleConnTimeout: 60 * time.Second,
			DisableCompression: true, WriteBufferSize: 4 << 10, ReadBufferSize: 4 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// Close lets idle connections go.
func (c *Caller) Close() { c.client.CloseIdleConnections() }

// message is what is posted.
type message struct {
	url     string
	id      string // webhook-id
	body    []byte
	signers []*standardwebhooks.Webhook
	limit   time.Duration // of the whole call; 0: the Caller's
	answer  int           // bytes of the answer to keep
}

// reply is what came of a message.
type reply struct {
	code  int // 0: no answer, and word says why
	word  string
	after time.Duration // the answer asked to wait so long
	body  []byte
}

// maxAnswer bounds how much of an answer is read, so that its connection can be
// used again. What is longer costs the connection.
const maxAnswer = 16 << 10

// signersOf makes the signers of secrets that are in the form whsec_...
func signersOf(secrets ...string) (list []*standardwebhooks.Webhook, err error) {
	for _, s := range secrets {
		w, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

// IsSecret reports whether a text can sign: whsec_ and at least 24 bytes in base64.
func IsSecret(text string) bool {
	encoded, ok := strings.CutPrefix(text, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	return ok && err == nil && len(key) >= 24
}

// post sends a message once. It returns within the limit.
func (c *Caller) post(ctx context.Context, m *message) reply {
	limit := c.o.Whole
	if m.limit > 0 {
		limit = m.limit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(m.body))
	if err != nil {
		return reply{word: "bad_address"}
	}
	now := time.Now()
	var signature string
	for i, w := range m.signers {
		one, err := w.Sign(m.id, now, m.body)
		if err != nil {
			return reply{word: "bad_secret"}
		}
		if i > 0 {
			signature += " "
		}
		signature += one
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"Tranzit-Webhooks/1"},
		"Webhook-Id": {m.id}, "Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)}, "Webhook-Signature": {signature},
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return reply{word: wordOf(err)}
	}
	defer resp.Body.Close()
	r := reply{code: resp.StatusCode}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
		r.after = min(time.Duration(seconds)*time.Second, maxAsked)
	}
	read, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if m.answer > 0 {
		if r.body = read; err != nil {
			return reply{word: wordOf(err)}
		}
	}
	return r
}

// maxAsked is the longest wait an endpoint may ask for by Retry-After.
const maxAsked = time.Hour

// wordOf is one word for why there is no answer.
func wordOf(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var timeout net.Error
	switch {
	case errors.Is(err, errBlocked):
		return "blocked_address"
	case errors.Is(err, context.Canceled):
		return "stopped"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &dns):
		return "name_not_found"
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert):
		return "tls"
	case errors.As(err, &op) && op.Op == "dial":
		return "not_connected"
	}
	return "connection_lost"
}
