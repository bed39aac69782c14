package frontend

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/assist"
	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

const (
	assistPassword = "correct-horse-battery"
	assistWord     = "a word nobody guesses"
)

// assistShop is a server with a shop of Assist on it.
type assistShop struct {
	*shop
	*rig
}

func openAssist(t *testing.T) *assistShop {
	t.Helper()
	r := newRig(t)
	rub, err := iso.ParseCurrency("RUB")
	must(t, err)
	adapter, err := assist.New(assist.Options{Switch: r.sw, Shops: []assist.Shop{
		{MerchantID: "515089", Merchant: "mer_socks", Login: "socks", Password: assistPassword, SecretWord: assistWord, Delimiter: ";", Currency: rub},
		{MerchantID: "515090", Merchant: "mer_slow", Login: "slow", Password: assistPassword, Currency: rub, IgnoreReceipts: true},
	}})
	must(t, err)
	return &assistShop{openShop(t, func(o *Options) { o.Switch, o.Assist, o.Now = r.sw, adapter, nil }), r}
}

// call posts a form of the first shop: pairs of names and values, which may also
// replace what every call has.
func (s *assistShop) call(path string, pairs ...string) reply {
	s.t.Helper()
	form := url.Values{"Merchant_ID": {"515089"}, "Login": {"socks"}, "Password": {assistPassword}, "Format": {"3"}, "Language": {"EN"}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return s.post(path, "application/x-www-form-urlencoded", form.Encode())
}

func (s *assistShop) post(path, media, body string) reply {
	s.t.Helper()
	resp, err := s.client.Post("http://"+s.addr+path, media, strings.NewReader(body))
	must(s.t, err)
	r := readReply(s.t, resp)
	if r.status != 200 {
		s.t.Fatalf("%s answers %d %s", path, r.status, r.body)
	}
	noCardNumbers(s.t, path, r.body)
	return r
}

// silent pays an order by card.
func (s *assistShop) silent(number, card string, pairs ...string) reply {
	s.t.Helper()
	return s.call("/pay/silentpay.cfm", append([]string{"OrderNumber", number, "OrderAmount", "100.00", "Cardnumber", card,
		"Expiremonth", "12", "Expireyear", "2035", "Cvc2", "123"}, pairs...)...)
}

// tag is the text of the last element of a name.
func tag(t *testing.T, body, name string) string {
	t.Helper()
	all := regexp.MustCompile("<"+name+">([^<]*)</"+name+">").FindAllStringSubmatch(body, -1)
	if len(all) == 0 {
		t.Fatalf("no %s in %s", name, body)
	}
	return all[len(all)-1][1]
}

func wantTags(t *testing.T, r reply, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := tag(t, r.body, pairs[i]); got != pairs[i+1] {
			t.Errorf("%s is %q, want %q: %s", pairs[i], got, pairs[i+1], r.body)
		}
	}
}

// wantCodes fails unless the answer is this refusal.
func wantCodes(t *testing.T, r reply, first, second int) {
	t.Helper()
	if !strings.Contains(r.body, fmt.Sprintf(`firstcode="%d" secondcode="%d" count="0"`, first, second)) {
		t.Errorf("want %d %d, got %s", first, second, r.body)
	}
}

const (
	cardApproved = "4111111111111111"
	cardFunds    = "4000000000009995"
)

// charges are what the bank booked of the shop's own account of a card.
func (s *assistShop) charges() (n int) {
	for _, e := range s.host.Books().Entries() {
		if e.Charged {
			n++
		}
	}
	return n
}

// TestAssistOrderLives: a held order is charged in part, its rest is canceled, and each
// step repeated is answered and does nothing.
func TestAssistOrderLives(t *testing.T) {
	s := openAssist(t)
	held := s.silent("A-1", cardApproved, "Delay", "1", "OrderComment", "two socks", "Email", "i@petrov.example")
	wantTags(t, held, "orderstate", "Delayed", "responsecode", "AS000", "orderamount", "100.00", "ordercurrency", "RUB", "operationtype", "100",
		"meannumber", "411111****1111", "meantypename", "VISA", "testmode", "1", "ordercomment", "two socks", "email", "i@petrov.example")
	bill := tag(t, held.body, "billnumber")
	if !regexp.MustCompile(`^[0-9]{16}\.1$`).MatchString(bill) {
		t.Fatalf("billnumber is %q", bill)
	}
	again := s.silent("A-1", cardApproved, "Delay", "1")
	wantTags(t, again, "orderstate", "Delayed", "billnumber", bill)
	wantCodes(t, s.silent("A-1", cardApproved, "OrderAmount", "100.01"), 11, 107)

	part := s.call("/charge/charge.cfm", "Billnumber", bill, "Amount", "60,00", "Currency", "RUB")
	wantTags(t, part, "orderstate", "PartialDelayed", "operationtype", "200", "amount", "60.00", "responsecode", "AS000", "billnumber", bill[:16]+".2")
	wantTags(t, s.call("/charge/charge.cfm", "Billnumber", bill[:16], "Amount", "60.00", "Currency", "RUB"), "billnumber", bill[:16]+".2", "responsecode", "AS000")
	wantCodes(t, s.call("/charge/charge.cfm", "Billnumber", bill, "Amount", "10.00", "Currency", "RUB"), 15, 307)
	wantCodes(t, s.call("/charge/charge.cfm", "Billnumber", bill), 15, 307)

	undo := s.call("/cancel/cancel.cfm", "Billnumber", bill, "Amount", "20.00", "Currency", "RUB", "CancelReason", "2")
	wantTags(t, undo, "orderstate", "PartialCanceled", "operationtype", "300", "amount", "20.00")
	wantCodes(t, s.call("/cancel/cancel.cfm", "Billnumber", bill, "Amount", "20.00", "Currency", "RUB"), 11, 308)
	second := s.call("/cancel/cancel.cfm", "Billnumber", bill, "Amount", "20.00", "Currency", "RUB", "Externalrefundid", "refund-0002")
	wantTags(t, second, "billnumber", bill[:16]+".4")
	wantTags(t, s.call("/cancel/wscancel.cfm", "Billnumber", bill, "Amount", "20.00", "Currency", "RUB", "Externalrefundid", "refund-0002"), "billnumber", bill[:16]+".4")
	wantCodes(t, s.call("/cancel/cancel.cfm", "Billnumber", bill, "Amount", "5.00", "Currency", "RUB", "Externalrefundid", "refund-0002"), 11, 216)
	wantCodes(t, s.call("/cancel/cancel.cfm", "Billnumber", bill, "Amount", "99.00", "Currency", "RUB"), 5, 108)
	rest := s.call("/cancel/cancel.cfm", "Billnumber", bill)
	wantTags(t, rest, "orderstate", "Canceled", "amount", "20.00")
	wantTags(t, s.call("/cancel/cancel.cfm", "Billnumber", bill), "orderstate", "Canceled", "billnumber", bill[:16]+".5", "responsecode", "AS000")
	wantTags(t, s.silent("A-1", cardApproved, "Delay", "1"), "orderstate", "Canceled", "billnumber", bill)
	if n := strings.Count(s.call("/orderresult/orderresult.cfm", "OrderNumber", "A-1").body, "<operation>"); n != 5 {
		t.Errorf("%d operations, want 5", n)
	}
}

// TestAssistAttempts: an order may be tried again when an attempt ended without
// money, and not while its outcome is not proven, which is In Process, never Declined.
func TestAssistAttempts(t *testing.T) {
	s := openAssist(t)
	wantTags(t, s.silent("B-1", cardFunds), "orderstate", "Declined", "responsecode", "AS102")
	wantTags(t, s.silent("B-1", "4000000000009987"), "orderstate", "Declined", "responsecode", "AS108")
	paid := s.silent("B-1", cardApproved)
	wantTags(t, paid, "orderstate", "Approved", "responsecode", "AS000")
	wantTags(t, s.silent("B-1", cardFunds), "orderstate", "Approved", "billnumber", tag(t, paid.body, "billnumber"))
	r := s.call("/orderstate/orderstate.cfm", "Ordernumber", "B-1")
	if states := regexp.MustCompile("<orderstate>([A-Za-z ]+)<").FindAllStringSubmatch(r.body, -1); len(states) != 3 || states[2][1] != "Approved" || states[0][1] != "Declined" {
		t.Errorf("the attempts are %v", states)
	}
	wantCheck := checkOf("515089" + "B-1" + "100.00" + "RUB" + "Approved")
	wantTags(t, r, "orderstate", "Approved", "checkvalue", wantCheck)

	unknown := s.silent("B-2", testCardSilent)
	wantTags(t, unknown, "orderstate", "In Process", "responsecode", "AS300", "operationstate", "P")
	wantTags(t, s.silent("B-2", cardApproved), "orderstate", "In Process", "billnumber", tag(t, unknown.body, "billnumber"))
	wantTags(t, s.call("/orderstate/orderstate.cfm", "Ordernumber", "B-2"), "orderstate", "In Process")
	wantCodes(t, s.call("/cancel/cancel.cfm", "Billnumber", tag(t, unknown.body, "billnumber")), 12, 216)
	wantCodes(t, s.call("/charge/charge.cfm", "Billnumber", tag(t, unknown.body, "billnumber")), 12, 216)
}

func checkOf(covered string) string {
	half := func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }
	return strings.ToUpper(half(strings.ToUpper(half(assistWord) + half(covered))))
}

// TestAssistPaysOnce: many requests for one order at once charge once.
func TestAssistPaysOnce(t *testing.T) {
	s := openAssist(t)
	var wg sync.WaitGroup
	bills := make(chan string, 12)
	for range cap(bills) {
		wg.Go(func() { bills <- tag(t, s.silent("C-1", cardApproved).body, "billnumber") })
	}
	wg.Wait()
	first := <-bills
	for range cap(bills) - 1 {
		if next := <-bills; next != first {
			t.Errorf("two payments: %s and %s", first, next)
		}
	}
	if n := s.charges(); n != 1 {
		t.Errorf("the bank booked %d charges", n)
	}
}

// TestAssistFormats holds one answer of each service to each format.
func TestAssistFormats(t *testing.T) {
	s := openAssist(t)
	var all strings.Builder
	tell := func(what string, r reply) {
		text := r.body
		for _, m := range []struct{ find, put string }{
			{`\b[0-9]{16}\b`, "BILL"}, {`[0-9]{2}\.[0-9]{2}\.[0-9]{4} [0-9]{2}:[0-9]{2}(:[0-9]{2})?`, "DATE"}, {`\b[0-9]{12}\b`, "RRN"},
			{`(approvalcode(>|":"))[0-9A-Z]{6}`, "${1}APPROVAL"}, {`;[0-9A-Z]{6};alfa;`, ";APPROVAL;alfa;"},
		} {
			text = regexp.MustCompile(m.find).ReplaceAllString(text, m.put)
		}
		all.WriteString("== " + what + "\n" + r.header.Get("Content-Type") + "\n" + text + "\n")
	}
	names := map[string]string{"1": "CSV", "3": "XML", "4": "SOAP", "5": "JSON"}
	for _, f := range []string{"1", "3", "4", "5"} {
		name := names[f]
		number := "F-" + name
		held := s.silent(number, cardApproved, "Delay", "1", "Format", f, "OrderComment", "a <b> & \"c\"; d")
		tell("silentpay "+name, held)
		bill := regexp.MustCompile(`[0-9]{16}`).FindString(held.body)
		tell("charge "+name, s.call("/charge/charge.cfm", "Billnumber", bill, "Format", f))
		tell("wscancel "+name, s.call("/cancel/wscancel.cfm", "Billnumber", bill, "Amount", "1.00", "Currency", "RUB", "Format", f))
		tell("cancel "+name, s.call("/cancel/cancel.cfm", "Billnumber", bill, "Format", f))
		tell("orderstate "+name, s.call("/orderstate/orderstate.cfm", "OrderNumber", number, "Format", f))
		tell("orderresult "+name, s.call("/orderresult/orderresult.cfm", "OrderNumber", number, "Format", f))
		tell("declined "+name, s.silent("G-"+name, cardFunds, "Format", f, "Language", "RU"))
		tell("refused "+name, s.call("/orderstate/orderstate.cfm", "OrderNumber", "nobody", "Format", f))
		tell("order "+name, s.call("/pay/payrequest.cfm", "OrderNumber", "H-1", "OrderAmount", "1.00", "Format", f))
	}
	golden(t, "assist_formats.golden", all.String())
	for _, part := range strings.Split(all.String(), "== ")[1:] {
		lines := strings.SplitN(part, "\n", 3)
		switch {
		case strings.Contains(lines[0], "JSON"):
			if !json.Valid([]byte(lines[2])) {
				t.Errorf("no JSON: %s", part)
			}
		case !strings.Contains(lines[0], "CSV"):
			if err := xml.Unmarshal([]byte(lines[2]), new(struct{ XMLName xml.Name })); err != nil {
				t.Errorf("%v: %s", err, part)
			}
		}
	}
}

// TestAssistBodies: the same request as a form, as JSON and as SOAP.
func TestAssistBodies(t *testing.T) {
	s := openAssist(t)
	r := s.post("/pay/silentpay.cfm", "application/json", `{"merchant":{"merchant_id":515089,"login":"socks","password":"`+assistPassword+`"},
		"ordernumber":"J-1","orderamount":12.5,"customer":{"lastname":"Petrov","email":"i@petrov.example"},"card":{"cardnumber":"4111111111111111",
		"expiremonth":12,"expireyear":2035,"cvc2":"123"},"delay":0,"clientip":null}`)
	if inside(t, r.body, "silentpay", "orderstate") != "Approved" || inside(t, r.body, "silentpay", "orderamount") != "12.50" {
		t.Error(r.body)
	}
	bill, _ := inside(t, r.body, "silentpay", "billnumber").(string)
	r = s.post("/cancel/wscancel.cfm", "text/xml; charset=utf-8", `<?xml version="1.0" encoding="UTF-8"?>
		<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:ws="urn:any"><soapenv:Header/><soapenv:Body><ws:WSCancelRequest>
		<Billnumber>`+bill+`</Billnumber><Merchant_ID>515089</Merchant_ID><Login>socks</Login><Password>`+assistPassword+`</Password>
		<Amount>2.50</Amount><Currency>RUB</Currency></ws:WSCancelRequest></soapenv:Body></soapenv:Envelope>`)
	wantTags(t, r, "operationtype", "300", "amount", "2.50", "orderstate", "PartialCanceled")
	if !strings.Contains(r.body, "<SOAP-ENV:Body><result ") {
		t.Error(r.body)
	}
	for _, bad := range []struct{ media, body string }{
		{"application/json", `{"merchant":`}, {"application/json", `[]`}, {"application/json", `{} {}`}, {"text/xml", `<a/>`}, {"text/xml", `<!DOCTYPE a []><Envelope/>`},
		{"text/xml", ""}, {"multipart/form-data", "x"}, {"application/x-www-form-urlencoded", "a=%zz"}, {"application/x-www-form-urlencoded", "a=1&A=2"},
		{"application/x-www-form-urlencoded", "a=%ff"}, {"application/x-www-form-urlencoded", strings.Repeat("a=&", 200)},
	} {
		if r := s.post("/orderstate/orderstate.cfm", bad.media, bad.body); !regexp.MustCompile(`firstcode"?[=:]"4"`).MatchString(r.body) {
			t.Errorf("%s %q: %s", bad.media, bad.body, r.body)
		}
	}
}

// TestAssistRefusals: each parameter that is wrong is named by its codes, and nothing
// reaches the bank.
func TestAssistRefusals(t *testing.T) {
	s := openAssist(t)
	for _, bad := range []struct {
		pairs         []string
		first, second int
	}{
		{[]string{"Merchant_ID", "1"}, 10, 100}, {[]string{"Merchant_ID", ""}, 3, 100}, {[]string{"Login", ""}, 3, 101}, {[]string{"Login", "sock"}, 7, 102},
		{[]string{"Password", "correct-horse-batterz"}, 7, 102}, {[]string{"Password", ""}, 3, 102}, {[]string{"Password", keyOther}, 7, 102},
		{[]string{"Format", "2"}, 5, 103}, {[]string{"Language", "FR"}, 5, 127}, {[]string{"OrderNumber", ""}, 3, 107},
		{[]string{"OrderNumber", strings.Repeat("1", 129)}, 4, 107}, {[]string{"OrderAmount", ""}, 3, 108}, {[]string{"OrderAmount", "-1"}, 4, 108},
		{[]string{"OrderAmount", "1.001"}, 4, 108}, {[]string{"OrderAmount", "0"}, 5, 108}, {[]string{"OrderAmount", "1e2"}, 4, 108},
		{[]string{"OrderAmount", "10000000000.00"}, 5, 108}, {[]string{"OrderCurrency", "XXX1"}, 5, 105}, {[]string{"Delay", "2"}, 5, 109},
		{[]string{"Cardnumber", ""}, 3, 106}, {[]string{"Cardnumber", "4111111111111112"}, 5, 106}, {[]string{"Cardnumber", "4111 1111"}, 4, 106},
		{[]string{"Expiremonth", "13"}, 5, 112}, {[]string{"Expireyear", "35"}, 5, 113}, {[]string{"Expireyear", "2020"}, 5, 142},
		{[]string{"Cvc2", "12"}, 4, 115}, {[]string{"Cvc2", ""}, 3, 115}, {[]string{"Email", "nobody"}, 4, 120},
		{[]string{"OrderComment", "my card is 4111 1111 1111 1111"}, 5, 110}, {[]string{"Amount", "1.00"}, 4, 0}, {[]string{"Ammount", "1.00"}, 4, 0},
		{[]string{"RecurringIndicator", "1"}, 3, 147}, {[]string{"RecurringIndicator", "2"}, 5, 147}, {[]string{"ChequeItems", "{}"}, 15, 179}, {[]string{"Checkvalue", "00"}, 9, 0},
		{[]string{"PaymentToken", "{}"}, 15, 0},
	} {
		r := s.silent("R-1", cardApproved, bad.pairs...)
		wantCodes(t, r, bad.first, bad.second)
	}
	for _, bad := range []struct {
		path          string
		pairs         []string
		first, second int
	}{
		{"/charge/charge.cfm", nil, 3, 143}, {"/charge/charge.cfm", []string{"Billnumber", "12"}, 4, 143}, {"/charge/charge.cfm", []string{"Billnumber", "2179000000000001"}, 10, 216},
		{"/charge/charge.cfm", []string{"Billnumber", "2179000000009999"}, 4, 143}, {"/cancel/cancel.cfm", []string{"Billnumber", "2179000000000001", "CancelReason", "4"}, 5, 0},
		{"/cancel/cancel.cfm", []string{"Billnumber", "2179000000000001", "Externalrefundid", "short"}, 4, 0}, {"/orderstate/orderstate.cfm", nil, 3, 107},
		{"/orderstate/orderstate.cfm", []string{"OrderNumber", "x", "StartYear", "2026"}, 5, 129}, {"/orderstate/orderstate.cfm", []string{"OrderNumber", "x", "EndDay", "32"}, 5, 130},
		{"/resultbydate/resultbydate.cfm", []string{"StartYear", "2026", "StartMonth", "1", "StartDay", "1"}, 5, 4},
		{"/resultbydate/resultbydate.cfm", []string{"StartYear", "2026", "StartMonth", "2", "StartDay", "30"}, 5, 129},
		{"/resultbydate/resultbydate.cfm", []string{"Operationstate", "X"}, 5, 146}, {"/resultbydate/resultbydate.cfm", []string{"ZipFlag", "2"}, 15, 132},
		{"/resultbydate/resultbydate.cfm", nil, 10, 201}, {"/recurrent/rp.cfm", []string{"Billnumber", "2179000000000001", "OrderNumber", "x", "Amount", "1", "Currency", "RUB"}, 10, 216},
		{"/pay/order.cfm", []string{"OrderNumber", "x", "OrderAmount", "1", "Cardnumber", "1"}, 4, 0}, {"/pay/payrequest.cfm", []string{"OrderNumber", "x", "OrderAmount", "1"}, 15, 350},
	} {
		wantCodes(t, s.call(bad.path, bad.pairs...), bad.first, bad.second)
	}
	if n := s.host.Books().Len(); n != 0 {
		t.Errorf("the bank saw %d payments", n)
	}
}

// TestAssistSeries: a first payment keeps its card and its bounds, and the shop's later
// ones stay within them; each order is paid once.
func TestAssistSeries(t *testing.T) {
	s := openAssist(t)
	bounds := []string{"RecurringIndicator", "1", "RecurringMinAmount", "10.00", "RecurringMaxAmount", "50.00", "RecurringPeriod", "30", "RecurringMaxDate", "31.12.2034"}
	first := s.silent("S-1", cardApproved, append(bounds, "Email", "i@petrov.example")...)
	wantTags(t, first, "orderstate", "Approved")
	bill := tag(t, first.body, "billnumber")
	rp := func(number, amount string, pairs ...string) reply {
		return s.call("/recurrent/rp.cfm", append([]string{"Billnumber", bill, "OrderNumber", number, "Amount", amount, "Currency", "RUB"}, pairs...)...)
	}
	second := rp("S-2", "20.00")
	wantTags(t, second, "orderstate", "Approved", "responsecode", "AS000", "amount", "20.00", "meannumber", "411111****1111", "email", "i@petrov.example")
	wantTags(t, rp("S-2", "20.00"), "billnumber", tag(t, second.body, "billnumber"))
	if n := s.charges(); n != 2 {
		t.Errorf("the bank booked %d charges", n)
	}
	wantCodes(t, rp("S-2", "21.00"), 11, 107)
	wantCodes(t, rp("S-3", "9.99"), 5, 108)
	wantCodes(t, rp("S-3", "50.01"), 5, 108)
	wantCodes(t, rp("S-3", "20.00", "Currency", "EUR"), 5, 105)
	wantCodes(t, rp("S-1", "20.00"), 11, 107)
	plain := tag(t, s.silent("S-4", cardApproved).body, "billnumber")
	wantCodes(t, rp("S-5", "20.00", "Billnumber", plain), 15, 320)
	declined := tag(t, s.silent("S-6", cardFunds, bounds...).body, "billnumber")
	wantCodes(t, rp("S-7", "20.00", "Billnumber", declined), 15, 320)
	for _, bad := range []struct {
		name, value   string
		first, second int
	}{
		{"RecurringMinAmount", "", 3, 147}, {"RecurringMaxAmount", "5.00", 5, 147}, {"RecurringPeriod", "", 3, 147}, {"RecurringPeriod", "0", 5, 147},
		{"RecurringMaxDate", "", 3, 147}, {"RecurringMaxDate", "2034-12-31", 4, 147}, {"RecurringMaxDate", "31.12.2020", 5, 147},
	} {
		wantCodes(t, s.silent("S-8", cardApproved, append(bounds, bad.name, bad.value)...), bad.first, bad.second)
	}
	account, err := s.sw.AccountOf("mer_socks", false)
	must(t, err)
	page, err := s.sw.List(account, payswitch.ListQuery{OrderID: "S-2", Limit: 1})
	must(t, err)
	if p := page.Payments[0]; !p.ByToken || p.Particulars == nil || p.Particulars.Initiator != "merchant" || p.Particulars.Channel != iso.ChannelRecurring {
		t.Errorf("the second payment is %+v", p)
	}
}

// TestAssistOrderForm: the browser's form has no password and is proven by its check
// value, by POST and by an address.
func TestAssistOrderForm(t *testing.T) {
	s := openAssist(t)
	form := url.Values{"Merchant_ID": {"515089"}, "OrderNumber": {"W-1"}, "OrderAmount": {"10.34"}, "OrderCurrency": {"RUB"}, "Submit": {"Pay"}, "URL_RETURN_OK": {"https://shop.example/"}}
	send := func() reply {
		return s.post("/pay/order.cfm", "application/x-www-form-urlencoded", form.Encode())
	}
	wantCodes(t, send(), 3, 0)
	form.Set("Checkvalue", checkOf("515089;W-1;10.34;RUB"))
	b := &buyer{s: s.shop} // it follows no redirect
	r := b.ask("POST", "/pay/order.cfm", form)
	if again := b.ask("GET", "/pay/order.cfm?"+form.Encode(), nil); r.status != 303 || again.header.Get("Location") != r.header.Get("Location") {
		t.Fatalf("%d %v, then %v", r.status, r.header, again.header)
	}
	_, path, _ := strings.Cut(r.header.Get("Location"), s.addr)
	if shown := b.ask("GET", path, nil); !strings.Contains(shown.body, `lang="ru"`) || !strings.Contains(shown.body, "W-1") {
		t.Errorf("the page: %s", shown.body)
	}
	if r := b.ask("POST", path, b.form(path, "4111111111111111")); r.status != 303 {
		t.Errorf("the payment: %d %s", r.status, r.body)
	}
	if shown := b.ask("GET", path, nil); !strings.Contains(shown.body, "https://shop.example/") {
		t.Errorf("the receipt: %s", shown.body)
	}
	wantTags(t, s.call("/orderstate/orderstate.cfm", "OrderNumber", "W-1", "StartYear", "2020", "StartMonth", "1", "StartDay", "1"), "orderstate", "Approved")
	form.Set("URL_RETURN_NO", "javascript:alert(1)")
	wantCodes(t, send(), 4, 154)
	form.Del("URL_RETURN_NO")
	form.Set("OrderAmount", "10.35")
	wantCodes(t, send(), 9, 0)
	resp, err := s.client.Get("http://" + s.addr + "/charge/charge.cfm?Merchant_ID=1")
	must(t, err)
	if r := readReply(t, resp); r.status != http.StatusMethodNotAllowed {
		t.Errorf("charge by GET answers %d", r.status)
	}
}

// TestAssistKeysAndLimits: an API key as the password brings its scopes and its
// addresses, and the merchant's rate holds here too.
func TestAssistKeysAndLimits(t *testing.T) {
	s := openAssist(t)
	wantTags(t, s.silent("K-1", cardApproved, "Password", keyTest), "orderstate", "Approved")
	wantCodes(t, s.silent("K-2", cardApproved, "Password", keyFenced), 19, 0)
	account, err := s.sw.AccountOf("mer_socks", false)
	must(t, err)
	reader, err := s.sw.IssueKey(account, payswitch.Access{Name: "books", Scopes: payswitch.ScopePaymentsRead}, payswitch.Act{Operator: "test", Reason: "test"})
	must(t, err)
	wantTags(t, s.call("/orderstate/orderstate.cfm", "OrderNumber", "K-1", "Password", reader.Secret), "orderstate", "Approved")
	wantCodes(t, s.silent("K-3", cardApproved, "Password", reader.Secret), 19, 0)

	slow := []string{"Merchant_ID", "515090", "Login", "slow", "OrderNumber", "K-4"}
	for range 3 {
		wantCodes(t, s.call("/orderstate/orderstate.cfm", slow...), 10, 201)
	}
	r := s.call("/orderstate/orderstate.cfm", slow...)
	if wantCodes(t, r, 17, 3); r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// TestAssistResultsOfAPeriod: what began in the last hours is told, by type and state.
func TestAssistResultsOfAPeriod(t *testing.T) {
	s := openAssist(t)
	bill := tag(t, s.silent("P-1", cardApproved).body, "billnumber")
	s.silent("P-2", cardFunds)
	wantTags(t, s.call("/cancel/cancel.cfm", "Billnumber", bill), "orderstate", "Canceled")
	s.ahead.Store(int64(6e9)) // rows are shown five seconds after their beginning
	rows := func(pairs ...string) int {
		return strings.Count(s.call("/resultbydate/resultbydate.cfm", pairs...).body, "<order>")
	}
	for _, c := range []struct {
		pairs []string
		want  int
	}{
		{nil, 3}, {[]string{"Operationtype", "100"}, 2}, {[]string{"Operationtype", "300", "Operationstate", "S"}, 1}, {[]string{"Operationstate", "F"}, 1},
		{[]string{"Operationstate", "P"}, 0},
	} {
		if n := rows(c.pairs...); n != c.want {
			t.Errorf("%v: %d rows, want %d", c.pairs, n, c.want)
		}
	}
	r := s.call("/resultbydate/resultbydate.cfm", "Format", "1")
	if lines := strings.Split(strings.TrimSpace(r.body), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "ordernumber;") {
		t.Errorf("the CSV is %s", r.body)
	}
}

// TestAssistDocsWork: every curl line of the page is read by the server it is meant
// for, and is not refused for its parameters.
func TestAssistDocsWork(t *testing.T) {
	s := openAssist(t)
	page := strings.ReplaceAll(readFile(t, "../docs/assist.md"), "\\\n", "")
	bill, calls := "", 0
	for _, line := range regexp.MustCompile(`(?m)^curl -sL? http://127.0.0.1:8080(/\S+) (.*)$`).FindAllStringSubmatch(page, -1) {
		form := url.Values{}
		for _, m := range regexp.MustCompile(`-d (\w+)=(\$\([^)]*\)|\S+)`).FindAllStringSubmatch(line[2], -1) {
			form.Set(m[1], m[2])
		}
		now := time.Now().UTC()
		for name, value := range map[string]string{"Billnumber": bill, "Login": "socks", "Password": assistPassword, "StartYear": now.Format("2006"),
			"StartMonth": now.Format("01"), "StartDay": now.Format("02"), "Checkvalue": checkOf("515089;S-1002;10.34;RUB")} {
			if form.Has(name) {
				form.Set(name, value)
			}
		}
		if line[1] == "/pay/order.cfm" {
			if r := (&buyer{s: s.shop}).ask("POST", line[1], form); r.status != 303 {
				t.Errorf("%s: %d %s", line[0], r.status, r.body)
			}
			calls++
			continue
		}
		r := s.post(line[1], "application/x-www-form-urlencoded", form.Encode())
		if found := regexp.MustCompile(`[0-9]{16}`).FindString(r.body); line[1] == "/pay/silentpay.cfm" {
			bill = found
		}
		want := `firstcode"?[=:]"0"|^ordernumber;`
		switch line[1] {
		case "/resultbydate/resultbydate.cfm":
			want += "|error;10;201;" // nothing is older than five seconds
		case "/cancel/wscancel.cfm", "/orderresult/orderresult.cfm":
			want = `^\{"(cancel|orderresult)":`
		}
		if !regexp.MustCompile(want).MatchString(r.body) {
			t.Errorf("%s: %s", line[0], r.body)
		}
		calls++
	}
	if calls != 10 {
		t.Errorf("%d calls found", calls)
	}
}

// TestAssistUndoesWhatTheAPIPaid: a payment without an order is charged and canceled
// by its billnumber, too.
func TestAssistUndoesWhatTheAPIPaid(t *testing.T) {
	s := openAssist(t)
	id, err := payswitch.ParseID("pay", s.made(t, "api-1", true))
	must(t, err)
	at := id.Time().UnixMilli() - 1_577_836_800_000
	bill := fmt.Sprintf("%012d%04d", at, int(id[6]&0x0f)<<8|int(id[7]))
	wantTags(t, s.call("/charge/charge.cfm", "Billnumber", bill), "orderstate", "Approved", "operationtype", "200")
	wantTags(t, s.call("/cancel/cancel.cfm", "Billnumber", bill), "orderstate", "Canceled", "operationtype", "300")
	other := []string{"Merchant_ID", "515090", "Login", "slow", "Billnumber", bill}
	wantCodes(t, s.call("/cancel/cancel.cfm", other...), 10, 216)
}
