package bench

import (
	"bytes"
	"errors"
)

const maxAnswer = 64 << 10

// answer is what the generator takes from an HTTP response. Its slices alias the
// buffer that was read.
type answer struct {
	code     int
	id       []byte // of the payment or operation; nil when the body has none
	status   []byte // of the same
	problem  []byte // code of a problem document
	replayed bool
	closes   bool // the server will close the connection
}

var (
	errNotHTTP  = errors.New("the answer is not HTTP/1.1")
	errNoLength = errors.New("the answer has no valid Content-Length")
	errTooLong  = errors.New("the answer is longer than 64 KiB")

	headEnd    = []byte("\r\n\r\n")
	idMark     = []byte(`"id":`)
	statusMark = []byte(`"status":`)
	codeMark   = []byte(`"code":`)
)

// parseAnswer reads one response from the start of buf and says how many bytes it
// took; 0 and no error: more bytes are needed. It is strict: status line, headers,
// Content-Length; anything else, such as a chunked body, is an error.
func parseAnswer(buf []byte, a *answer) (int, error) {
	end := bytes.Index(buf, headEnd)
	if end < 0 {
		if len(buf) > maxAnswer {
			return 0, errTooLong
		}
		if len(buf) >= 9 && string(buf[:9]) != "HTTP/1.1 " {
			return 0, errNotHTTP
		}
		return 0, nil
	}
	*a = answer{}
	line, rest, _ := bytes.Cut(buf[:end+2], headEnd[:2])
	var ok bool
	if len(line) < 12 || string(line[:9]) != "HTTP/1.1 " {
		return 0, errNotHTTP
	}
	if a.code, ok = number(line[9:12]); !ok || a.code < 200 || a.code > 599 || len(line) > 12 && line[12] != ' ' {
		return 0, errNotHTTP
	}
	length := -1
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, headEnd[:2])
		name, value, found := bytes.Cut(line, []byte{':'})
		if !found {
			return 0, errNotHTTP
		}
		value = bytes.TrimSpace(value)
		switch {
		case equalFold(name, "content-length"):
			n, ok := number(value)
			if !ok || length >= 0 && n != length {
				return 0, errNoLength
			}
			length = n
		case equalFold(name, "connection"):
			a.closes = equalFold(value, "close")
		case equalFold(name, "idempotency-replayed"):
			a.replayed = equalFold(value, "true")
		}
	}
	if length < 0 {
		return 0, errNoLength
	}
	total := end + len(headEnd) + length
	if total > maxAnswer {
		return 0, errTooLong
	}
	if len(buf) < total {
		return 0, nil
	}
	body := buf[end+len(headEnd) : total]
	if a.code < 300 {
		a.id, a.status = textAfter(body, idMark), textAfter(body, statusMark)
	} else {
		a.problem = textAfter(body, codeMark)
	}
	return total, nil
}

// textAfter is the JSON string that is the value of the first name given as mark
// whose value is a string. The payment's status stands before anything of the
// merchant's, so the first one is it.
func textAfter(body, mark []byte) []byte {
	for {
		at := bytes.Index(body, mark)
		if at < 0 {
			return nil
		}
		body = bytes.TrimLeft(body[at+len(mark):], " ")
		if len(body) > 0 && body[0] == '"' {
			if end := bytes.IndexByte(body[1:], '"'); end >= 0 {
				return body[1 : 1+end]
			}
			return nil
		}
	}
}

// number reads 1..9 decimal digits.
func number(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// equalFold compares with a lower-case ASCII text.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
