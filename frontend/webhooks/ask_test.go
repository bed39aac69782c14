package webhooks

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tranzit/tranzit/frontend/client"
	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

const checkSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// askedShop answers by the path of its address.
type askedShop struct {
	t    *testing.T
	stop chan struct{}
	body atomic.Pointer[string] // of the last question
}

// ServeHTTP implements http.Handler.
func (s *askedShop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	last := string(text)
	s.body.Store(&last)
	if _, err := client.ReadWebhook(checkSecret, r.Header, text); err != nil {
		s.t.Error(err)
	}
	switch r.URL.Path {
	case "/slow", "/drip":
		if r.URL.Path == "/drip" {
			w.(http.Flusher).Flush()
		}
		select {
		case <-s.stop:
		case <-time.After(60 * time.Second):
		}
	case "/moved":
		http.Redirect(w, r, "/yes", http.StatusTemporaryRedirect)
	case "/down":
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, `{"accept":true}`)
	default:
		_, _ = io.WriteString(w, map[string]string{
			"/yes": `{"accept":true}`, "/no": `{"accept":false,"reason":" sold out "}`, "/html": "<html>", "/empty": "{}",
			"/number": `{"accept":1}`, "/pan": `{"accept":false,"reason":"4111 1111 1111 1111"}`, "/lines": `{"accept":false,"reason":"a\nb"}`,
			"/long": `{"accept":true,"reason":"` + strings.Repeat("x", maxVerdict) + `"}`,
		}[r.URL.Path])
	}
}

// TestTheShopsWord: only a clear answer in time is one; the question is signed and
// says what the payment would be, and no card number.
func TestTheShopsWord(t *testing.T) {
	shop := &askedShop{t: t, stop: make(chan struct{})}
	server := httptest.NewServer(shop)
	defer server.Close()
	defer close(shop.stop)
	caller := NewCaller(CallerOptions{Allow: loopback})
	defer caller.Close()
	reg := prometheus.NewRegistry()
	asker := NewAsker(caller, reg)
	pan, err := iso.ParsePAN([]byte("4111111111111111"))
	must(t, err)
	currency, err := iso.ParseCurrency("RUB")
	must(t, err)
	ask := func(url string) payswitch.ShopAnswer {
		begun := time.Now()
		a := asker.Ask(&payswitch.ShopQuestion{ID: payswitch.ID{1}, Deadline: 150 * time.Millisecond, At: begun,
			Account: payswitch.Account{Merchant: &payswitch.Merchant{ID: "mer_socks", Check: &payswitch.ShopCheck{URL: url, Secret: checkSecret}}},
			Request: &payswitch.PayRequest{Amount: 1000, Currency: currency, OrderID: "A-1", PAN: pan, Metadata: []payswitch.Pair{{Key: "k", Value: "v"}}}})
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("%s took %s", url, took)
		}
		return a
	}
	refused := payswitch.ShopAnswer{Answered: true}
	for path, want := range map[string]payswitch.ShopAnswer{
		"/yes": {Answered: true, Accepted: true}, "/no": {Answered: true, Reason: "sold out"}, "/pan": refused, "/lines": refused,
		"/html": {}, "/empty": {}, "/number": {}, "/long": {}, "/slow": {}, "/drip": {}, "/moved": {}, "/down": {},
	} {
		if got := ask(server.URL + path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	for _, url := range []string{"http://127.0.0.1:1/", "http://169.254.169.254/latest", "::"} {
		if got := ask(url); got != (payswitch.ShopAnswer{}) {
			t.Errorf("%s: %+v", url, got)
		}
	}
	var shown map[string]any
	must(t, json.Unmarshal([]byte(*shop.body.Load()), &shown))
	if shown["object"] != "payment_check" || shown["order_id"] != "A-1" || shown["amount"] != 1000.0 || strings.Contains(*shop.body.Load(), "411111111") ||
		!strings.Contains(*shop.body.Load(), `"bin":"411111","last4":"1111"`) || !strings.Contains(*shop.body.Load(), `"metadata":{"k":"v"}`) {
		t.Errorf("the question is %s", *shop.body.Load())
	}
	for word, want := range map[string]float64{"accepted": 1, "refused": 3, "none": 11} {
		if got := testutil.ToFloat64(asker.answers.WithLabelValues(word)); got != want {
			t.Errorf("%v answers %s, want %v", got, word, want)
		}
	}
}
