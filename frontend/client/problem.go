package client

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"time"
)

// Problem is an error that the API answered with (RFC 9457). A declined payment
// is none: it is a Payment.
type Problem struct {
	Status    int     `json:"status"`     // HTTP status
	Code      string  `json:"code"`       // branch on this: "invalid_request"; "" when no API answered, but something before it
	Title     string  `json:"title"`      // the code in words
	Detail    string  `json:"detail"`     // for people; may change
	RequestID string  `json:"request_id"` // name it when you ask for help
	Retryable bool    `json:"retryable"`  // the same request, with the same idempotency key, can help later
	Fields    []Field `json:"errors"`     // what is wrong, member by member

	RetryAfter     time.Duration `json:"-"` // how long to wait before; 0: not said
	IdempotencyKey string        `json:"-"` // what the request was sent with
}

// Field is one thing wrong with a request.
type Field struct {
	Pointer string `json:"pointer"` // JSON pointer of the member, or of the query parameter
	Code    string `json:"code"`    // branch on this: "out_of_range"
	Detail  string `json:"detail"`  // for people; may change
}

// Error names the code, what is wrong and the request.
func (p *Problem) Error() string {
	code := p.Code
	if code == "" {
		code = "no answer of the API"
	}
	return fmt.Sprintf("%d %s: %s (request %s)", p.Status, code, p.Detail, p.RequestID)
}

// Lost is a call without an answer: whether it took effect is not known. Repeat
// it with the same IdempotencyKey and the same values, at any time within seven
// days: then it is done once.
type Lost struct {
	Method, Path   string
	IdempotencyKey string // of a call that moves money
	Err            error
}

// Error names the call and the key to repeat it with.
func (l *Lost) Error() string {
	if l.IdempotencyKey == "" {
		return fmt.Sprintf("%s %s: no answer: %v", l.Method, l.Path, l.Err)
	}
	return fmt.Sprintf("%s %s: no answer, repeat with idempotency key %q: %v", l.Method, l.Path, l.IdempotencyKey, l.Err)
}

// Unwrap is the cause, so that errors.Is finds context.DeadlineExceeded.
func (l *Lost) Unwrap() error { return l.Err }

// passing are the statuses by which something between client and API says that
// it is a bad moment.
var passing = []int{http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

func problemOf(resp *http.Response, body []byte, key string) *Problem {
	p := &Problem{}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media != "application/problem+json" || json.Unmarshal(body, p) != nil || p.Code == "" {
		p = &Problem{Title: resp.Status, Detail: resp.Status, Retryable: slices.Contains(passing, resp.StatusCode), RequestID: resp.Header.Get("Request-Id")}
	}
	p.Status, p.IdempotencyKey, p.RetryAfter = resp.StatusCode, key, retryAfter(resp.Header.Get("Retry-After"))
	return p
}
