package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

func testMix(t testing.TB, o Options) *mix {
	t.Helper()
	o.Target = "http://127.0.0.1:8080"
	o.EnsureDefaults()
	m, err := newMix(&o, "run")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRequests: every request is well-formed for the standard library, and is the
// function of its number that a duplicate relies on.
func TestRequests(t *testing.T) {
	m := testMix(t, Options{Keys: []string{"sk_test_a", "sk_test_b"}, Cards: []string{"4111111111111111", "5555555555554444"}, Banks: []string{"alfa"}})
	keys := map[string]bool{}
	for _, n := range []uint64{0, 1, 2, 3, 4, 255, 1 << 40} {
		raw := m.appendRequest([]byte("before"), n)[len("before"):]
		if again := m.appendRequest(nil, n); !bytes.Equal(raw, again) {
			t.Fatalf("payment %d has two forms", n)
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatal(err)
		}
		var p struct {
			Amount   int64  `json:"amount"`
			Currency string `json:"currency"`
			OrderID  string `json:"order_id"`
			Bank     string `json:"bank"`
		}
		if err := json.Unmarshal(body, &p); err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		if p.Amount != amountOf(n) || p.Currency != "RUB" || p.Bank != "alfa" {
			t.Errorf("payment %d: %+v", n, p)
		}
		key := req.Header.Get("Idempotency-Key")
		if keys[key] || key != p.OrderID {
			t.Errorf("payment %d: key %q, order %q", n, key, p.OrderID)
		}
		keys[key] = true
	}
}

func TestAmounts(t *testing.T) {
	seen := map[int64]bool{}
	for n := range uint64(10_000) {
		a := amountOf(n)
		if a < 10_000 || a > 99_900 || a%100 != 0 {
			t.Fatalf("payment %d: amount %d", n, a)
		}
		seen[a] = true
	}
	if len(seen) < 800 {
		t.Errorf("only %d different amounts", len(seen))
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	m := testMix(b, Options{Keys: []string{"sk_test_a"}})
	var buf []byte
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		buf = m.appendRequest(buf[:0], n)
	}
}
