// Package client is the merchants' API from Go: one typed call per operation,
// with the standard library alone.
//
// Every call that moves money carries an idempotency key, made here when the
// caller gives none and kept over the repeats of the call, so a lost answer never
// charges twice. A call is repeated when its connection was lost or the API says
// that a repeat can help, never otherwise.
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Options configure a Client.
type Options struct {
	Base string // address of the API without its path: https://pay.example.com
	Key  string // secret key: sk_test_... or sk_live_...; or ss_..., of a key that signs: it is never sent

	KeyID string // id of a key that signs: key_...; else empty

	HTTP     *http.Client  // default: one of its own. Redirects are never followed.
	Attempts int           // how often one call is sent at most, 1 to 20; default 4
	Timeout  time.Duration // one attempt; default 90s, more than the API ever takes. A long poll adds its wait.
	Pause    time.Duration // before the first repeat, doubled with each, unless the API names a time; default 200ms
	MaxPause time.Duration // longest pause; when the API asks for more, the call ends with its problem; default 30s
}

// EnsureDefaults fills what was left out.
func (o *Options) EnsureDefaults() {
	if o.HTTP == nil {
		o.HTTP = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 64, IdleConnTimeout: 60 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		}}
	}
	if o.Attempts == 0 {
		o.Attempts = 4
	}
	if o.Timeout == 0 {
		o.Timeout = 90 * time.Second
	}
	if o.Pause == 0 {
		o.Pause = 200 * time.Millisecond
	}
	if o.MaxPause == 0 {
		o.MaxPause = 30 * time.Second
	}
}

// Validate checks bounds. Errors name the option and never quote the key.
func (o *Options) Validate() error {
	base, err := url.Parse(o.Base)
	switch {
	case err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" || base.RawQuery != "" || base.User != nil:
		return errors.New("client: Base must be an address like https://pay.example.com")
	case o.Key == "" || strings.ContainsFunc(o.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("client: Key must be a secret key like sk_test_")
	case o.signing() != (o.KeyID != ""):
		return errors.New("client: KeyID belongs to a Key that signs, which begins with ss_, and to no other")
	case strings.ContainsFunc(o.KeyID, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }):
		return errors.New("client: KeyID must be the id of an API key like key_01m8")
	case o.Attempts < 1 || o.Attempts > 20:
		return fmt.Errorf("client: Attempts is %d: want 1..20", o.Attempts)
	case o.Timeout < 0 || o.Pause < 0 || o.MaxPause < o.Pause:
		return errors.New("client: Timeout and Pause must not be negative, and MaxPause not below Pause")
	}
	return nil
}

// Client calls the API. It is goroutine-safe; make one and keep it, since it
// keeps connections.
type Client struct {
	o    Options
	http http.Client
}

// New makes a client of the API at base, with the defaults of Options.
func New(base, key string) (*Client, error) { return Open(Options{Base: base, Key: key}) }

// Open makes a client. It connects to nothing before the first call.
func Open(o Options) (*Client, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Base = strings.TrimRight(o.Base, "/")
	c := &Client{o: o, http: *o.HTTP}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// maxAnswer bounds what is read of one answer.
const maxAnswer = 32 << 20

// call is one operation of the API with everything its repeats share.
type call struct {
	method, path string
	query        url.Values
	key          string // idempotency key of a POST that moves money
	body         []byte
	media        string        // of the body; empty: application/json
	wait         time.Duration // of a long poll
	single       bool          // sent once: a repeat would do it twice
}

// newKey is an idempotency key that nobody else makes.
func newKey() string { return "go-" + rand.Text() }

// post prepares a call that moves money. An empty key is replaced.
func post(path, key string, body any) (call, error) {
	if key == "" {
		key = newKey()
	}
	text, err := json.Marshal(body)
	if err != nil {
		return call{}, fmt.Errorf("client: %w", err)
	}
	return call{method: http.MethodPost, path: path, key: key, body: text}, nil
}

// do sends a call until it has an answer worth giving, and reads it into out.
func (c *Client) do(ctx context.Context, r call, out any) (Meta, error) {
	pause := c.o.Pause
	for attempt := 1; ; attempt++ {
		meta, err := c.once(ctx, r, out)
		if err == nil {
			return meta, nil
		}
		asked, again := repeatable(err)
		if !again || r.single || attempt >= c.o.Attempts || asked > c.o.MaxPause || ctx.Err() != nil {
			return meta, err
		}
		nap := max(asked, pause/2+mathrand.N(pause/2+1))
		pause = min(2*pause, c.o.MaxPause)
		if !rest(ctx, nap) {
			return meta, err
		}
	}
}

// rest sleeps; it reports false when ctx ended before.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// repeatable says whether sending the same call again can help, and how long
// the API asks to wait before.
func repeatable(err error) (pause time.Duration, again bool) {
	var p *Problem
	if errors.As(err, &p) {
		return p.RetryAfter, p.Retryable
	}
	var lost *Lost
	return 0, errors.As(err, &lost)
}

// once sends a call one time. Its error is a *Problem, or a *Lost when no whole
// answer came.
func (c *Client) once(ctx context.Context, r call, out any) (Meta, error) {
	lost := func(err error) error { return &Lost{Method: r.method, Path: r.path, IdempotencyKey: r.key, Err: err} }
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout+r.wait)
	defer cancel()
	req, err := c.request(ctx, r)
	if err != nil {
		return Meta{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Meta{}, lost(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Meta{}, lost(err)
	case len(body) > maxAnswer:
		return Meta{}, lost(errors.New("the answer is too long"))
	}
	if signed := resp.Header.Get("Signature") != ""; c.o.signing() && (signed || resp.StatusCode <= 299) {
		if err := c.verify(req, resp, body); err != nil {
			return Meta{}, lost(err)
		}
	}
	meta := Meta{Status: resp.StatusCode, RequestID: resp.Header.Get("Request-Id"), IdempotencyKey: r.key, Replayed: resp.Header.Get("Idempotency-Replayed") == "true"}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return meta, problemOf(resp, body, r.key)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return meta, lost(fmt.Errorf("the answer cannot be read: %w", err))
	}
	return meta, nil
}

// request is what a call is sent as.
func (c *Client) request(ctx context.Context, r call) (*http.Request, error) {
	target := c.o.Base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if r.method == http.MethodPost {
		req.Header.Set("Content-Type", cmp.Or(r.media, "application/json"))
		if r.key != "" {
			req.Header.Set("Idempotency-Key", r.key)
		}
	}
	if c.o.signing() {
		c.sign(req, r.body)
	} else {
		req.Header.Set("Authorization", "Bearer "+c.o.Key)
	}
	return req, nil
}

// segment is an id as a piece of a path.
func segment(id string) string { return "/" + url.PathEscape(id) }

// retryAfter reads whole seconds; anything else is no time at all.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(header, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
