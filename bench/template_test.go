package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
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

// TestShares: payments get their merchant, card, bank and kind by weight, the same
// for the same number, and the request says so.
func TestShares(t *testing.T) {
	m := testMix(t, Options{Keys: []string{"k1", "k2"}, KeyShares: []float64{9, 1}, Cards: []string{"4111111111111111", "5555555555554444"},
		CardShares: []float64{1, 0}, Banks: []string{"alfa", "vega"}, BankShares: []float64{1, 3}, Mix: map[Kind]float64{Purchase: 2, Authorization: 2}})
	seen := map[string]int{}
	const n = 20_000
	for i := range uint64(n) {
		p := m.parts(i)
		raw := string(m.appendRequest(nil, i))
		for word, want := range map[string]bool{"Bearer k1": p.key == 0, "Bearer k2": p.key == 1, `"bank":"alfa"`: p.bank == 0,
			`"bank":"vega"`: p.bank == 1, `"manual"`: p.kind == kindAuthorization, "5555555555554444": p.card == 1} {
			if strings.Contains(raw, word) != want {
				t.Fatalf("payment %d is %+v:\n%s", i, p, raw)
			}
			if want {
				seen[word]++
			}
		}
	}
	for word, share := range map[string]float64{"Bearer k1": 0.9, "Bearer k2": 0.1, `"bank":"alfa"`: 0.25, `"bank":"vega"`: 0.75, `"manual"`: 0.5, "5555555555554444": 0} {
		if got := float64(seen[word]) / n; math.Abs(got-share) > 0.02 {
			t.Errorf("%s in %.3f of the requests, want %.3f", word, got, share)
		}
	}
}

// TestOperationRequests: an operation names its payment, has the payment's merchant
// and a key of its own.
func TestOperationRequests(t *testing.T) {
	m := testMix(t, Options{Keys: []string{"k1", "k2"}})
	keys := map[string]bool{}
	for kind, path := range map[int]string{kindCapture: "capture", kindCancel: "cancel", kindRefund: "refunds"} {
		for n := range uint64(4) {
			r := request{kind: kind, id: paymentID([]byte("pay_01m858pafqe03txhvkj21jdvtw"))}
			req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(m.appendOperation(nil, n, &r))))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(req.Body)
			if err != nil || string(body) != "{}" || req.URL.Path != "/v1/payments/pay_01m858pafqe03txhvkj21jdvtw/"+path {
				t.Errorf("%s %q: %v", req.URL.Path, body, err)
			}
			key := req.Header.Get("Idempotency-Key")
			if want := "Bearer k" + string('1'+rune(n%2)); keys[key] || req.Header.Get("Authorization") != want {
				t.Errorf("key %q, %s, want %s", key, req.Header.Get("Authorization"), want)
			}
			keys[key] = true
		}
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
