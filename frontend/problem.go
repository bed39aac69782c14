package frontend

import (
	"errors"
	"strconv"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// problemBase is where each problem type is told; its code is the anchor.
const problemBase = "https://github.com/tranzit/tranzit/blob/main/docs/api.md#"

// problemKind is one row of the table of problems.
type problemKind struct {
	code      string
	status    int
	title     string
	retryable bool // repeating the same request, with the same key, can help
}

// The problems of the API, each named once. docs/api.md lists the same.
var (
	problemInvalid          = &problemKind{"invalid_request", 400, "The request is not valid", false}
	problemKeyMissing       = &problemKind{"idempotency_key_missing", 400, "The idempotency key is missing", false}
	problemKeyInvalid       = &problemKind{"idempotency_key_invalid", 400, "The idempotency key is not valid", false}
	problemUnauthorized     = &problemKind{"unauthorized", 401, "The API key is missing or not valid", false}
	problemForbidden        = &problemKind{"forbidden", 403, "The API key may not do this", false}
	problemNotFound         = &problemKind{"not_found", 404, "There is no such thing", false}
	problemMethodNotAllowed = &problemKind{"method_not_allowed", 405, "The method is not allowed here", false}
	problemTimeout          = &problemKind{"request_timeout", 408, "The request came too slowly", true}
	problemInvalidState     = &problemKind{"invalid_state", 409, "The payment's state does not allow this", false}
	problemOrderPaid        = &problemKind{"order_paid", 409, "The order is paid already", false}
	problemOrderInProgress  = &problemKind{"order_in_progress", 409, "Another payment of the order is on its way", true}
	problemShopRefused      = &problemKind{"shop_refused", 409, "The shop refuses the payment", false}
	problemBalance          = &problemKind{"insufficient_balance", 409, "The balance is less than the payout", false}
	problemBodyTooLarge     = &problemKind{"body_too_large", 413, "The body is too large", false}
	problemURITooLong       = &problemKind{"uri_too_long", 414, "The address is too long", false}
	problemMediaType        = &problemKind{"media_type", 415, "The body has the wrong media type", false}
	problemKeyReused        = &problemKind{"idempotency_key_reused", 422, "The idempotency key was used before", false}
	problemRateLimited      = &problemKind{"rate_limited", 429, "Too many requests", true}
	problemHeadersTooLarge  = &problemKind{"headers_too_large", 431, "The request head is too large", false}
	problemInternal         = &problemKind{"internal", 500, "Something failed inside the switch", true}
	problemUncertain        = &problemKind{"outcome_uncertain", 500, "The outcome is not known yet", true}
	problemBankUnavailable  = &problemKind{"bank_unavailable", 503, "No line to the bank", true}
	problemShopSilent       = &problemKind{"shop_silent", 503, "The shop does not answer", true}
	problemOverloaded       = &problemKind{"overloaded", 503, "The switch takes no more work now", true}
)

var problemKinds = []*problemKind{
	problemInvalid, problemKeyMissing, problemKeyInvalid, problemUnauthorized, problemForbidden, problemNotFound, problemMethodNotAllowed,
	problemTimeout, problemInvalidState, problemOrderPaid, problemOrderInProgress, problemBalance, problemBodyTooLarge, problemURITooLong, problemMediaType, problemKeyReused, problemRateLimited,
	problemShopRefused, problemShopSilent, problemHeadersTooLarge, problemInternal, problemUncertain, problemBankUnavailable, problemOverloaded,
}

// refusalKinds is the one place where the switch's codes become problems.
var refusalKinds = map[payswitch.Code]*problemKind{
	payswitch.CodeInvalidRequest:   problemInvalid,
	payswitch.CodeUnknownBank:      problemInvalid,
	payswitch.CodeCurrency:         problemInvalid,
	payswitch.CodeUnknownToken:     problemInvalid,
	payswitch.CodeCardExpired:      problemInvalid,
	payswitch.CodeNotCarried:       problemInvalid,
	payswitch.CodeNotServed:        problemInvalid,
	payswitch.CodeNotFound:         problemNotFound,
	payswitch.CodeForbidden:        problemForbidden,
	payswitch.CodeKeyReused:        problemKeyReused,
	payswitch.CodeBankUnavailable:  problemBankUnavailable,
	payswitch.CodeOverloaded:       problemOverloaded,
	payswitch.CodeInvalidState:     problemInvalidState,
	payswitch.CodeBalance:          problemBalance,
	payswitch.CodeOrderPaid:        problemOrderPaid,
	payswitch.CodeOrderInProgress:  problemOrderInProgress,
	payswitch.CodeShopRefused:      problemShopRefused,
	payswitch.CodeShopSilent:       problemShopSilent,
	payswitch.CodeInternal:         problemInternal,
	payswitch.CodeOutcomeUncertain: problemUncertain,
}

// problem is one answer of RFC 9457. It never quotes what the client sent.
type problem struct {
	kind       *problemKind
	detail     string
	faults     []fault
	retryAfter time.Duration
}

// problemOf turns an error of the switch into a problem. An error that is no
// *payswitch.Refusal, or one with a code not in the table, says nothing about
// its cause to the client.
func problemOf(err error) problem {
	var r *payswitch.Refusal
	if !errors.As(err, &r) || refusalKinds[r.Code] == nil {
		return problem{kind: problemInternal, detail: "Repeat with the same idempotency key to learn the outcome.", retryAfter: time.Second}
	}
	p := problem{kind: refusalKinds[r.Code], detail: r.Detail, retryAfter: r.RetryAfter}
	if (p.kind == problemInvalid || p.kind == problemInvalidState) && r.Pointer != "" || r.Code == payswitch.CodeNotServed {
		code := string(r.Code)
		switch r.Code {
		case payswitch.CodeInvalidRequest:
			code = "invalid_value"
		case payswitch.CodeInvalidState:
			code = "out_of_range"
		}
		p.faults = []fault{{pointer: r.Pointer, code: code, detail: r.Detail}}
	}
	if p.kind.status == 503 && p.retryAfter <= 0 {
		p.retryAfter = time.Second
	}
	return p
}

// appendProblem appends the problem document.
func appendProblem(dst []byte, p *problem, requestID []byte) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, problemBase...)
	dst = append(dst, p.kind.code...)
	dst = append(dst, `","title":`...)
	dst = appendString(dst, p.kind.title)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(p.kind.status), 10)
	dst = append(dst, `,"detail":`...)
	dst = appendString(dst, p.detail)
	dst = append(dst, `,"code":"`...)
	dst = append(dst, p.kind.code...)
	dst = append(dst, `","request_id":"`...)
	dst = append(dst, requestID...)
	dst = append(dst, `","retryable":`...)
	dst = strconv.AppendBool(dst, p.kind.retryable || p.kind == problemInvalidState && p.retryAfter > 0)
	dst = append(dst, `,"errors":[`...)
	for i, f := range p.faults {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"pointer":`...)
		dst = appendString(dst, f.pointer)
		dst = append(dst, `,"code":`...)
		dst = appendString(dst, f.code)
		dst = append(dst, `,"detail":`...)
		dst = appendString(dst, f.detail)
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

// retrySeconds is Retry-After in whole seconds, rounded up, at least 1.
func retrySeconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}

// appendSeconds appends the value of Retry-After.
func appendSeconds(dst []byte, d time.Duration) []byte {
	return strconv.AppendInt(dst, retrySeconds(d), 10)
}
