package assist

import (
	"net/url"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

func currencyOf(t testing.TB, alpha string) iso.Currency {
	t.Helper()
	c, err := iso.ParseCurrency(alpha)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCheckValue: the value of `md5sum` and `tr` on a command line.
func TestCheckValue(t *testing.T) {
	if got := checkValue("secret word 01", "515089;A-1;10.34;RUB"); got != "E16C4111B9C7DEDBC9DE06C524047D43" {
		t.Errorf("checkValue is %s", got)
	}
}

func TestAmounts(t *testing.T) {
	for _, c := range []struct {
		text, currency string
		want           int64 // 0: refused
		printed        string
	}{
		{"10.34", "RUB", 1034, "10.34"}, {"10,34", "RUB", 1034, "10.34"}, {"10", "RUB", 1000, "10.00"}, {"10.3", "RUB", 1030, "10.30"}, {"0.01", "RUB", 1, "0.01"},
		{"10.340", "RUB", 1034, "10.34"}, {"10.345", "RUB", 0, ""}, {"10.00", "JPY", 10, "10.00"}, {"10.50", "JPY", 0, ""}, {"1.234", "KWD", 1234, "1.234"},
		{"1.2", "KWD", 1200, "1.200"}, {"0", "RUB", 0, ""}, {"-1", "RUB", 0, ""}, {"+1", "RUB", 0, ""}, {"1e2", "RUB", 0, ""}, {".5", "RUB", 0, ""}, {"1.", "RUB", 100, "1.00"},
		{"1 000", "RUB", 0, ""}, {"1.2.3", "RUB", 0, ""}, {"9999999999.99", "RUB", 999_999_999_999, "9999999999.99"}, {"10000000000.00", "RUB", 0, ""},
		{"1234567890123456", "RUB", 0, ""}, {"١", "RUB", 0, ""}, {"1,000.00", "RUB", 0, ""},
	} {
		k := &Ask{params: params{list: []param{{"amount", []byte(c.text)}}}}
		in := currencyOf(t, c.currency)
		got, no := k.amount("amount", in)
		if (no != nil) != (c.want == 0) || no == nil && (got != c.want || decimal(got, in) != c.printed) {
			t.Errorf("%s %s: %d, %v", c.text, c.currency, got, no)
		}
	}
}

// TestBillnumbers: a number leads back to its payment's id and to no other.
func TestBillnumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(time.Date(2023, 9, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), time.Date(2051, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()).Draw(t, "ms")
		counter := rapid.IntRange(0, maxCounter).Draw(t, "counter")
		var id payswitch.ID
		for i := range 6 {
			id[i] = byte(ms >> (40 - 8*i))
		}
		id[6], id[7] = 0x70|byte(counter>>8), byte(counter)
		copy(id[8:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "rest"))
		bill := billnumber(id)
		if len(bill) != billDigits || bill[0] == '0' {
			t.Fatalf("%s", bill)
		}
		n := rapid.IntRange(1, maxExtension).Draw(t, "n")
		at, after, got, ok := parseBill([]byte(extended(id, n)))
		if !ok || got != n || !at.Equal(id.Time()) || slices.Compare(after[:], id[:]) <= 0 {
			t.Fatalf("%s: %v %x %d %v", bill, at, after, got, ok)
		}
		before := id
		before[7]-- // the id before it has another number
		if counter > 0 && counter&0xff > 0 && billnumber(before) == bill {
			t.Fatalf("two payments are %s", bill)
		}
	})
	for _, bad := range []string{"", "1", "12345678901234567", "1234567890123456.", "1234567890123456.0", "1234567890123456.12345", "123456789012345x", "2179000000004096",
		"1234567890123456.1.2"} {
		if _, _, _, ok := parseBill([]byte(bad)); ok {
			t.Errorf("%q is read", bad)
		}
	}
}

// TestCodesAreWorded: every reason of the catalogue has a code, and every code its
// texts; what the switch cannot prove never says Declined.
func TestCodesAreWorded(t *testing.T) {
	for _, reason := range iso.Declines().All() {
		code := declineCode(&payswitch.Decline{Code: reason.Code})
		if m := messages[code]; m.ru == "" || m.en == "" {
			t.Errorf("%s is %s, which has no text", reason.Code, code)
		}
	}
	for code := range declineCodes {
		if iso.Declines().Find(code) == nil {
			t.Errorf("the catalogue has no %s", code)
		}
	}
	for s := payswitch.StatusInFlight; s <= payswitch.StatusRefunded; s++ {
		p := payswitch.Payment{Status: s, AmountCaptured: 1, AmountAuthorized: 1}
		code, letter := paymentCode(&p)
		refused := s == payswitch.StatusDeclined || s == payswitch.StatusFailed
		if (orderState(&p) == "Declined") != refused || (letter == "F") != refused || messages[code].ru == "" {
			t.Errorf("%s is %s %s %s", s, orderState(&p), code, letter)
		}
	}
	for s := payswitch.OperationInFlight; s <= payswitch.OperationReversed; s++ {
		code, letter := operationCode(&payswitch.Operation{Status: s})
		if refused := s == payswitch.OperationDeclined || s == payswitch.OperationFailed; (letter == "F") != refused || messages[code].en == "" {
			t.Errorf("%s is %s %s", s, code, letter)
		}
	}
}

func TestStrayCardNumber(t *testing.T) {
	pan, err := iso.ParsePAN([]byte("4111111111111111"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"4111111111111111": true, "card 4111 1111-1111 1111.": true, "x14111111111111111": true, "1795123456782": false, "": false} {
		for _, o := range []orderForm{{number: text}, {comment: text}, {email: text}} {
			if got := o.strayCardNumber(pan) != nil; got != want {
				t.Errorf("%q: %v", text, got)
			}
		}
	}
}

// TestQueuesAreOrderedAndForgotten: one at a time, a bound on those that wait, and
// nothing left behind.
func TestQueuesAreOrderedAndForgotten(t *testing.T) {
	var q queues
	first, _ := q.enter("a")
	other, ok := q.enter("b")
	if !ok {
		t.Fatal("another order waits")
	}
	other()
	turns := make(chan bool, maxQueue)
	for range maxQueue - 1 {
		go func() {
			leave, ok := q.enter("a")
			turns <- ok
			if ok {
				leave()
			}
		}()
	}
	for {
		q.mu.Lock()
		in := q.by["a"].in
		q.mu.Unlock()
		if in == maxQueue {
			break
		}
		runtime.Gosched()
	}
	if _, ok := q.enter("a"); ok {
		t.Error("no bound")
	}
	first()
	for range maxQueue - 1 {
		if !<-turns {
			t.Error("one that waited was refused")
		}
	}
	for {
		q.mu.Lock()
		left := len(q.by)
		q.mu.Unlock()
		if left == 0 {
			break
		}
		runtime.Gosched()
	}
}

// TestDocsNameEveryParameter holds docs/assist.md to the code.
func TestDocsNameEveryParameter(t *testing.T) {
	b, err := os.ReadFile("../../docs/assist.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, p := range documented {
		if !regexp.MustCompile("(?m)^\\| .*`" + p.name + "`.* \\|$").MatchString(page) {
			t.Errorf("no row has %s", p.name)
		}
	}
	for _, s := range Services() {
		if !strings.Contains(page, "`"+s.Path+"`") {
			t.Errorf("the page does not name %s", s.Path)
		}
	}
	for code := range messages {
		if !strings.Contains(page, "`"+code+"`") {
			t.Errorf("the page does not name %s", code)
		}
	}
}

// FuzzParams: whatever comes, a request is refused or gives parameters within their
// bounds; a form gives what the standard library reads.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{
		"Merchant_ID=1&OrderNumber=A%2D1&OrderComment=a+b", "a=%zz&b", "&&=&a==b", `{"merchant":{"login":"x"},"orderamount":1.50,"chequeitem":[{"a":1}],"x":null}`,
		`<Envelope><Body><r><Login>a&amp;b</Login></r></Body></Envelope>`, `{"a":{"b":{"c":[[[[[[[[[[1]]]]]]]]]]}}}`, "%", "a=%4", "a=%E4",
	} {
		for kind := range uint8(3) {
			f.Add(kind, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		text := string(body)
		var p params
		var no *refusal
		switch kind % 3 {
		case 0:
			no = p.readForm(body)
		case 1:
			no = p.readJSON(body)
		default:
			no = p.readSOAP(body)
		}
		if len(p.list) > maxParams {
			t.Fatalf("%d parameters", len(p.list))
		}
		seen := map[string]bool{}
		for _, one := range p.list {
			if seen[one.name] || one.name != strings.ToLower(one.name) || len(one.name) > maxName {
				t.Fatalf("the name %q", one.name)
			}
			seen[one.name] = true
		}
		if want, err := url.ParseQuery(text); kind%3 == 0 && no == nil && err == nil {
			for _, one := range p.list {
				for name, values := range want {
					if strings.EqualFold(name, one.name) && values[0] != string(one.value) {
						t.Fatalf("%s is %q, the library reads %q", name, one.value, values[0])
					}
				}
			}
		}
		p.wipe()
	})
}
