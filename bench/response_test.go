package bench

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func httpAnswer(head, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
}

// TestParseAnswerOnEverySplit: however the bytes arrive, the answer is the same
// and is not given before it is whole.
func TestParseAnswerOnEverySplit(t *testing.T) {
	tests := []struct {
		name, text string
		want       answer
	}{
		{"captured", httpAnswer("201 Created\r\nDate: Mon\r\nidempotency-REPLAYED: true", `{"id":"pay_1","status":"captured","x":{"status":"no"}}`),
			answer{code: 201, id: []byte("pay_1"), status: []byte("captured"), replayed: true}},
		{"spaces", httpAnswer("202 Accepted", `{"status": "unknown"}`), answer{code: 202, status: []byte("unknown")}},
		{"problem", httpAnswer("503 Service Unavailable\r\nConnection: Close", `{"status":503,"code":"overloaded"}`),
			answer{code: 503, problem: []byte("overloaded"), closes: true}},
		{"number first", httpAnswer("200 OK", `{"status":7,"status":"declined"}`), answer{code: 200, status: []byte("declined")}},
		{"no body", httpAnswer("204", ""), answer{code: 204}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var a answer
			for cut := range len(tt.text) {
				if n, err := parseAnswer([]byte(tt.text[:cut]), &a); n != 0 || err != nil {
					t.Fatalf("after %d of %d bytes: took %d, %v", cut, len(tt.text), n, err)
				}
			}
			n, err := parseAnswer([]byte(tt.text+"HTTP"), &a)
			if err != nil || n != len(tt.text) {
				t.Fatalf("took %d of %d, %v", n, len(tt.text), err)
			}
			if !reflect.DeepEqual(a, tt.want) {
				t.Errorf("got %+v, want %+v", a, tt.want)
			}
		})
	}
}

func TestParseAnswerRefuses(t *testing.T) {
	tests := []struct {
		name, text string
		want       error
	}{
		{"other protocol", "SSH-2.0-server", errNotHTTP},
		{"old version", "HTTP/1.0 200 OK\r\n\r\n", errNotHTTP},
		{"bad code", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", errNotHTTP},
		{"interim answer", "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n", errNotHTTP},
		{"long code", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", errNotHTTP},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errNoLength},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", errNoLength},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", errNoLength},
		{"header without colon", "HTTP/1.1 200 OK\r\nContent\r\n\r\n", errNotHTTP},
		{"long body", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", errTooLong},
		{"endless head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxAnswer), errTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var a answer
			if n, err := parseAnswer([]byte(tt.text), &a); n != 0 || !errors.Is(err, tt.want) {
				t.Errorf("took %d, error %v, want %v", n, err, tt.want)
			}
		})
	}
}

// FuzzParseAnswer: hostile bytes are refused or bounded, and what is accepted is
// accepted again alone.
func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(httpAnswer("201 Created", `{"status":"captured"}`)))
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a, b answer
		n, err := parseAnswer(data, &a)
		if n < 0 || n > len(data) || err != nil && n != 0 {
			t.Fatalf("took %d of %d, %v", n, len(data), err)
		}
		if n > 0 {
			if m, err := parseAnswer(data[:n], &b); m != n || err != nil || a.code != b.code {
				t.Fatalf("alone: took %d of %d, %v", m, n, err)
			}
		}
	})
}

func BenchmarkParseAnswer(b *testing.B) {
	text := []byte(httpAnswer("201 Created\r\nServer: x\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json\r\nRequest-Id: req_0123456789",
		`{"id":"pay_01h455vb4pex5vsknk084sn02q","object":"payment","status":"captured","amount":129900,"currency":"RUB"}`))
	var a answer
	b.ReportAllocs()
	for b.Loop() {
		if n, err := parseAnswer(text, &a); n == 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}
