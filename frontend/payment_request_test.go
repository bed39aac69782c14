package frontend

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	payswitch "github.com/tranzit/tranzit/switch"
)

// exampleBody is the request of the contract, word for word but for its dots.
const exampleBody = `{"amount": 129900, "currency": "RUB", "order_id": "A-1001", "capture_method": "automatic",
 "payment_method": {"type": "card", "card": {"number": "4111111111111111", "exp_month": 12, "exp_year": 2028, "cvc": "123", "holder": "I PETROV"}},
 "three_ds": {"eci": "05", "cavv": "AAABBEg0VhI0VniQEjRWAAAAAAA=", "ds_transaction_id": "f38e6948-5388-41a6-bca4-b49723c19437", "version": "2.2.0"},
 "initiator": "customer", "bank": "alfa", "description": "Two pairs of socks", "customer": {"email": "i.petrov@example.com"}, "metadata": {"k": "v"}}`

// leanBody is what most shops send.
const leanBody = `{"amount":129900,"currency":"RUB","order_id":"A-1001","payment_method":{"type":"card","card":{"number":"4111111111111111","exp_month":12,"exp_year":2028,"cvc":"123"}},"metadata":{"cart":"77"}}`

// testNow is the wall clock of the tests.
var testNow = time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)

func decodeText(t *testing.T, body string) (payswitch.PayRequest, []fault) {
	t.Helper()
	var d paymentReader
	var r payswitch.PayRequest
	buf := []byte(body)
	if !d.decode(buf, testNow, &r) {
		return r, append([]fault(nil), d.faults...)
	}
	d.strings([]byte("key-1"), []byte("req_1"))
	clear(buf)
	d.close()
	return r, nil
}

// TestDecodeExample also shows that nothing aliases the body or the reader:
// both are overwritten before the request is looked at.
func TestDecodeExample(t *testing.T) {
	r, faults := decodeText(t, exampleBody)
	if faults != nil {
		t.Fatalf("refused: %v", faults)
	}
	if got := string(r.PAN.Append(nil)) + "/" + string(r.CVC.Append(nil)); got != "4111111111111111/123" {
		t.Error("the card is not the one sent")
	}
	r.PAN.Wipe()
	r.CVC.Wipe()
	got := fmt.Sprintf("%d %s %s|%s|%s|%s|%v|%v|%s|%v|%d-%d|%s|%s", r.Amount, r.Currency.Alpha(), r.OrderID, r.Bank, r.Description, r.CustomerEmail,
		r.Metadata, r.ManualCapture, r.Initiator, r.ThreeDS, r.Expiry.Year, r.Expiry.Month, r.IdempotencyKey, r.RequestID)
	want := "129900 RUB A-1001|alfa|Two pairs of socks|i.petrov@example.com|[{k v}]|false|customer|" +
		"{05 AAABBEg0VhI0VniQEjRWAAAAAAA= f38e6948-5388-41a6-bca4-b49723c19437 2.2.0}|2028-12|key-1|req_1"
	if got != want {
		t.Errorf("decoded\n %s\nwant\n %s", got, want)
	}
}

// with replaces one part of the lean body.
func with(from, to string) string {
	if !strings.Contains(leanBody, from) {
		panic("not in the lean body: " + from)
	}
	return strings.Replace(leanBody, from, to, 1)
}

// also adds a member to the lean body.
func also(member string) string { return "{" + member + "," + leanBody[1:] }

func TestDecodeAccepts(t *testing.T) {
	pairs := make([]string, maxMetadata)
	for i := range pairs {
		pairs[i] = fmt.Sprintf("%q:%q", fmt.Sprintf("key-%d", i), "v")
	}
	tests := []struct{ name, body string }{
		{"lean", leanBody},
		{"smallest amount", with("129900", "1")},
		{"largest amount", with("129900", "999999999999")},
		{"manual capture", also(`"capture_method":"manual"`)},
		{"merchant initiated", also(`"initiator":"merchant"`)},
		{"no order", with(`"order_id":"A-1001",`, "")},
		{"no cvc", with(`,"cvc":"123"`, "")},
		{"nulls where nothing is required", also(`"bank":null,"description":null,"customer":null,"three_ds":null,"initiator":null,"capture_method":null`)},
		{"escapes", with("A-1001", `A\u002d1001`)},
		{"cyrillic", with("A-1001", "Заказ №5")},
		{"longest order", with("A-1001", strings.Repeat("Ж", maxOrderID))},
		{"card of this month", with(`"exp_month":12,"exp_year":2028`, `"exp_month":11,"exp_year":2026`)},
		{"card expired within the life of a key", with(`"exp_month":12,"exp_year":2028`, `"exp_month":11,"exp_year":2026`)},
		{"fifty pairs", with(`{"cart":"77"}`, "{"+strings.Join(pairs, ",")+"}")},
		{"empty metadata", with(`{"cart":"77"}`, "{}")},
		{"long number that is no card", with(`"77"`, `"4111111111111112"`)},
		{"lines in the description", also(`"description":"one\ntwo\tthree"`)},
		{"white space", " \n\t" + leanBody + "\r\n "},
		{"13 digits", with("4111111111111111", "4222222222222")},
		{"19 digits", with("4111111111111111", "6304000000000000000")},
		{"cvc of four", with(`"123"`, `"1234"`)},
		{"number of digits as order id", with("A-1001", "4000000000000002")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, faults := decodeText(t, tt.body); faults != nil {
				t.Errorf("refused: %+v", faults)
			}
		})
	}
}

// TestDecodeRepeatAcrossMonths: a card that was good when the payment was made
// is not refused when the request is repeated a week later.
func TestDecodeRepeatAcrossMonths(t *testing.T) {
	body := with(`"exp_month":12,"exp_year":2028`, `"exp_month":11,"exp_year":2026`)
	for _, tt := range []struct {
		day time.Time
		ok  bool
	}{
		{time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC), true},
		{time.Date(2026, 12, 7, 23, 0, 0, 0, time.UTC), true},
		{time.Date(2026, 12, 10, 0, 0, 0, 0, time.UTC), false},
	} {
		var d paymentReader
		var r payswitch.PayRequest
		if ok := d.decode([]byte(body), tt.day, &r); ok != tt.ok {
			t.Errorf("on %s: accepted %v, want %v: %v", tt.day.Format(time.DateOnly), ok, tt.ok, d.faults)
		}
	}
}

// TestDecodeReuse: what one request held must not show in the next.
func TestDecodeReuse(t *testing.T) {
	var d paymentReader
	var r payswitch.PayRequest
	for i := range 3 {
		for _, body := range []string{exampleBody, with(`"order_id":"A-1001",`, ""), "{", `{"amount":`, leanBody} {
			r = payswitch.PayRequest{}
			ok := d.decode([]byte(body), testNow, &r)
			if ok {
				d.strings(nil, nil)
			}
			fresh, faults := decodeText(t, body)
			if ok != (faults == nil) || r.OrderID != fresh.OrderID || r.Description != fresh.Description || len(r.Metadata) != len(fresh.Metadata) {
				t.Fatalf("round %d: a reused reader and a fresh one disagree", i)
			}
			d.close()
			if bytes.Contains(d.text[:cap(d.text)], []byte("A-1001")) {
				t.Fatal("close left a text behind")
			}
		}
	}
}

func FuzzDecodePayment(f *testing.F) {
	f.Add([]byte(exampleBody))
	f.Add([]byte(leanBody))
	f.Add([]byte(byMethod(tokenMethod, `,"accept_partial":true,"channel":"moto"`)))
	f.Add([]byte(byMethod(terminalMethod, `,"instalments":{"count":2,"plan":"x","type":"issuer"}`)))
	f.Add([]byte(also(`"initiator":"merchant","stored_credential":"recurring","network_transaction_id":"483290000000017"`)))
	for _, tt := range badBodies() {
		f.Add([]byte(tt.body))
	}
	var d paymentReader
	f.Fuzz(func(t *testing.T, body []byte) {
		var r payswitch.PayRequest
		before := bytes.Clone(body)
		ok := d.decode(body, testNow, &r)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		if ok != (len(d.faults) == 0) || len(d.faults) > maxFaults {
			t.Fatalf("accepted %v with %d faults", ok, len(d.faults))
		}
		for _, fault := range d.faults {
			if !validPointer(fault.pointer) || fault.code == "" || fault.detail == "" {
				t.Fatalf("fault %+v", fault)
			}
		}
		if !ok {
			d.close()
			return
		}
		if !jsontext.Value(body).IsValid() {
			t.Fatal("accepted what is no strict JSON")
		}
		d.strings([]byte("k"), []byte("r"))
		d.close()
		if r.Amount < 1 || r.Amount > maxAmount || r.Currency.Alpha() == "" || r.Token.IsZero() && (r.PAN.IsZero() || r.Expiry.Month < 1 || r.Expiry.Month > 12) || len(r.Metadata) > maxMetadata {
			t.Fatal("accepted a request that breaks its limits")
		}
		number := string(r.PAN.Append(nil))
		texts := []string{r.OrderID, r.Bank, r.Description, r.CustomerEmail}
		if c := r.Carried; c != nil {
			texts = append(texts, c.InitialTransactionID, c.Instalments.Plan, c.TokenRequestor, c.CardSequence)
			if c.Channel.CardPresent() && (r.Secrets == nil || r.Secrets.Track2.IsZero()) || c.Instalments.Count == 1 || c.Instalments.Count > maxInstalments {
				t.Fatalf("accepted %+v", c)
			}
		}
		for _, text := range texts {
			if number != "" && strings.Contains(text, number) {
				t.Fatal("a text holds the card number")
			}
		}
	})
}

func validPointer(p string) bool {
	return p == "" || p[0] == '/' && len(p) < 512 && utf8.ValidString(p) && !strings.ContainsFunc(p, unicode.IsControl)
}

func BenchmarkDecodePayment(b *testing.B) {
	for _, bb := range []struct{ name, body string }{{"lean", leanBody}, {"full", exampleBody}} {
		b.Run(bb.name, func(b *testing.B) {
			var d paymentReader
			body := []byte(bb.body)
			key, id := []byte("8e03978e-40d5-43e8-bc93-6894a57f9324"), []byte("req_01kaz7q2v5e8xv9h2m3n4p5q6r")
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var r payswitch.PayRequest
				if !d.decode(body, testNow, &r) {
					b.Fatal(d.faults)
				}
				d.strings(key, id)
				d.close()
			}
		})
	}
}
