package frontend

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tranzit/tranzit/frontend/client"
	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
)

const (
	noButton   = "btn_01kaz7q2v5e8xv9h2m3n4p5q6r"
	buttonBody = `{"name":"Woollen socks","amount":129900,"currency":"RUB","order_id":"SOCKS","max_quantity":3}`
)

// walkButtons gives the operations of buttons each answer with one.
func walkButtons(t *testing.T, given map[string]bool) {
	s := openShop(t, nil)
	defer s.collect(given)
	made := s.want("201", "POST /v1/buttons", buttonBody, "Idempotency-Key", "one")
	if again := s.want("201", "POST /v1/buttons", buttonBody, "Idempotency-Key", "one"); again.body != made.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeat is %s", again.body)
	}
	at := "/v1/buttons/" + idOf(t, made)
	s.want("422 idempotency_key_reused", "POST /v1/buttons", strings.Replace(buttonBody, "129900", "1", 1), "Idempotency-Key", "one")
	s.want("404 not_found", "GET "+at, "", "Authorization", "Bearer "+keyOther)
	s.want("200", "GET "+at, "")
	s.want("200", "GET /v1/buttons?limit=1", "")
	for _, op := range document().operations() {
		for _, name := range exampleNames(op) {
			if op.path != "/v1/buttons" {
				continue
			}
			example, _ := document().at(op.node, "requestBody", "content", "application/json", "examples", name)
			text, err := json.Marshal(example.value["value"])
			must(t, err)
			s.want("201", "POST "+op.path, string(text), "Idempotency-Key", name)
		}
	}
	s.want("200", "POST "+at+"/disable", "{}")
	if gone := s.want("200", "POST "+at+"/disable", "{}"); member[string](t, gone.body, "status") != "disabled" {
		t.Errorf("after its end: %s", gone.body)
	}
	if r := (&buyer{s: s}).ask("POST", "/buy/"+idOf(t, made), url.Values{}); r.status != 409 || !strings.Contains(r.body, "not for sale any more") {
		t.Errorf("a disabled button is answered %d %s", r.status, r.body)
	}
}

// TestBadButton: what is wrong is named, member by member.
func TestBadButton(t *testing.T) {
	s := openShop(t, nil)
	for i, tt := range []struct{ from, to, want string }{
		{`"name":"Woollen socks",`, ``, `"pointer":"/name","code":"required"`},
		{`"RUB"`, `"RUR"`, `"pointer":"/currency"`},
		{`"SOCKS"`, `"4111 1111 1111 1111"`, `"pointer":"/order_id"`},
		{`"amount":129900,`, ``, `"pointer":"/min_amount"`},
		{`:3}`, `:1001}`, `"pointer":"/max_quantity","code":"out_of_range"`},
		{`}`, `,"language":"fr"}`, `"pointer":"/language"`},
		{`}`, `,"success_url":"http://shop.example/"}`, `"pointer":"/success_url"`},
		{`}`, `,"return_url":"javascript:alert(1)"}`, `"pointer":"/return_url"`},
		{`}`, `,"capture_method":"later"}`, `"pointer":"/capture_method"`},
		{`}`, `,"session_minutes":9}`, `"pointer":"/session_minutes"`},
		{`}`, `,"reusable":false}`, `"pointer":"/reusable"`},
		{`}`, `,"script":"x"}`, `"pointer":"/script","code":"unknown_field"`},
	} {
		r := s.want("400 invalid_request", "POST /v1/buttons", strings.Replace(buttonBody, tt.from, tt.to, 1), "Idempotency-Key", fmt.Sprint(i))
		if !strings.Contains(r.body, tt.want) {
			t.Errorf("%s: %s", tt.to, r.body)
		}
	}
}

// sessionAt is the session that a press led to.
func sessionAt(t *testing.T, s *shop, r reply) string {
	t.Helper()
	id, ok := strings.CutPrefix(r.header.Get("Location"), "/pay/")
	if r.status != 303 || !ok {
		t.Fatalf("the press is answered %d: %s", r.status, texts(r.body))
	}
	return s.do("GET", "/v1/checkout_sessions/"+id, "").body
}

var htmlTags = regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>|\s+`)

func texts(body string) string { return strings.TrimSpace(htmlTags.ReplaceAllString(body, " ")) }

// TestButtonPage: who looks leaves nothing, who presses twice has one order, and what
// the button does not sell is asked for or refused.
func TestButtonPage(t *testing.T) {
	s := openShop(t, nil)
	id := idOf(t, s.want("201", "POST /v1/buttons", buttonBody, "Idempotency-Key", "socks"))
	gift := idOf(t, s.want("201", "POST /v1/buttons", `{"name":"Gift","min_amount":10000,"max_amount":20000,"currency":"RUB","order_id":"GIFT"}`, "Idempotency-Key", "gift"))
	b := &buyer{s: s}
	look := b.ask("GET", "/buy/"+id, nil)
	if look.status != 200 || !strings.Contains(texts(look.body), "Your order") || !strings.Contains(look.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("a look: %d %s", look.status, texts(look.body))
	}
	if list := s.do("GET", "/v1/checkout_sessions", "").body; !strings.Contains(list, `"data":[]`) {
		t.Errorf("a look made a session: %s", list)
	}
	press := regexp.MustCompile(`name="press" value="([^"]+)"`).FindStringSubmatch(look.body)[1]
	form := url.Values{"press": {press}, "quantity": {"2"}}
	one := sessionAt(t, s, b.ask("POST", "/buy/"+id, form))
	if two := sessionAt(t, s, b.ask("POST", "/buy/"+id, form)); two != one || member[float64](t, one, "amount") != 259800 || member[string](t, one, "button") != id {
		t.Errorf("pressed twice: %s and %s", one, two)
	}
	if other := sessionAt(t, s, b.ask("POST", "/buy/"+id, url.Values{})); other == one {
		t.Error("the shop's own form leads to another buyer's session")
	}
	if got := sessionAt(t, s, b.ask("POST", "/buy/"+gift, url.Values{"amount": {"150,50"}})); member[float64](t, got, "amount") != 15050 {
		t.Errorf("150,50 is %s", got)
	}
	for _, tt := range []struct {
		id, form string
		status   int
		says     string
	}{
		{id, "quantity=4", 422, "Enter a quantity from 1 to 3"},
		{id, "quantity=x", 422, "Enter a quantity"},
		{id, "amount=1", 403, "cannot be used"},
		{id, "price=1", 403, "cannot be used"},
		{id, "quantity=1&quantity=2", 415, "cannot be used"},
		{id, "%zz", 415, "cannot be used"},
		{gift, "", 422, "Enter an amount from"},
		{gift, "amount=99.99", 422, "Enter an amount from"},
		{gift, "amount=200.01", 422, "Enter an amount from"},
		{gift, "amount=150.001", 422, "Enter an amount from"},
		{gift, "amount=-150", 422, "Enter an amount from"},
		{noButton, "", 404, "no such button"},
		{"nonsense", "", 404, "no such button"},
		{noKey, "a=b", 403, "cannot be used"},
	} {
		values, err := url.ParseQuery(tt.form)
		if err != nil {
			values = url.Values{"a": {"b", "c"}}
		}
		r := b.ask("POST", "/buy/"+tt.id, values)
		if r.status != tt.status || !strings.Contains(texts(r.body), tt.says) {
			t.Errorf("%s %s: %d %s", tt.id, tt.form, r.status, texts(r.body))
		}
	}
	if r := b.ask("GET", "/buy/"+noKey, nil); r.status != 405 || r.header.Get("Allow") != "POST" {
		t.Errorf("a look at a signed form's address: %d", r.status)
	}
	for language, want := range map[string]string{"ru": "Ваш заказ", "es": "Su pedido"} {
		if r := b.ask("GET", "/buy/"+id+"?lang="+language, nil); !strings.Contains(r.body, want) {
			t.Errorf("in %s: %s", language, texts(r.body))
		}
	}
}

// TestPressesOfOneAddress: who presses too often has to wait.
func TestPressesOfOneAddress(t *testing.T) {
	s := openShop(t, func(o *Options) {
		var err error
		o.Page, err = page.New(page.Options{Switch: o.Switch, Logger: o.Logger, Now: o.Now, PressesPerMinute: 2})
		must(t, err)
	})
	id := idOf(t, s.want("201", "POST /v1/buttons", buttonBody, "Idempotency-Key", "socks"))
	for _, want := range []int{303, 303, 429} {
		if r := (&buyer{s: s}).ask("POST", "/buy/"+id, url.Values{}); r.status != want || (r.header.Get("Retry-After") != "") != (want == 429) {
			t.Errorf("%d, want %d", r.status, want)
		}
	}
}

// formShop is a shop that signs the forms of its own pages.
type formShop struct {
	*shop
	signer client.FormSigner
	key    payswitch.IssuedKey
	a      payswitch.Account
}

var testAct = payswitch.Act{Operator: "test", Reason: "test"}

func openFormShop(t testing.TB) *formShop {
	t.Helper()
	s := openShop(t, func(o *Options) {
		var err error
		o.Page, err = page.New(page.Options{Switch: o.Switch, Logger: o.Logger, Now: o.Now, SubmitsPerMinute: 1000, PressesPerMinute: page.MaxSubmitsPerMinute})
		must(t, err)
	})
	f := &formShop{shop: s}
	var err error
	f.a, err = s.server.sw.AccountOf("mer_socks", false)
	must(t, err)
	f.issue(t, payswitch.Access{Name: "forms", Scopes: payswitch.ScopeCheckoutWrite, Signed: true})
	return f
}

func (f *formShop) issue(t testing.TB, access payswitch.Access) {
	t.Helper()
	var err error
	f.key, err = f.server.sw.IssueKey(f.a, access, testAct)
	must(t, err)
	f.signer = client.FormSigner{KeyID: f.key.ID.Text(payswitch.APIKeyPrefix), Secret: f.key.Secret}
}

func (f *formShop) path() string { return "/buy/" + f.signer.KeyID }

// terms are the fields of an order's form.
func terms(order string) map[string]string {
	return map[string]string{"amount": "129900", "currency": "RUB", "order_id": order, "valid_until": fmt.Sprint(testNow.Add(time.Hour).Unix())}
}

func (f *formShop) signed(fields map[string]string) url.Values {
	form := url.Values{"signature": {f.signer.Sign(fields)}}
	for name, value := range fields {
		form.Set(name, value)
	}
	return form
}

// TestSignedForm: the same form leads to the same session; what is signed and wrong is
// told by its field; what the key may not do is refused like a forgery.
func TestSignedForm(t *testing.T) {
	f := openFormShop(t)
	b := &buyer{s: f.shop}
	rich := terms("A-1")
	maps.Copy(rich, map[string]string{"description": "Носки: 2 пары = 1 299 ₽", "capture_method": "manual", "customer_id": "anna", "customer_email": "anna@shop.example",
		"language": "ru", "success_url": "https://shop.example/ok?a=b&c=d", "fail_url": "https://shop.example/no", "return_url": "https://shop.example/", "session_minutes": "30"})
	first := sessionAt(t, f.shop, b.ask("POST", f.path(), f.signed(rich)))
	rich["valid_until"] = fmt.Sprint(testNow.Add(2 * time.Hour).Unix())
	if again := sessionAt(t, f.shop, b.ask("POST", f.path(), f.signed(rich))); again != first || member[string](t, first, "capture_method") != "manual" ||
		member[string](t, first, "description") != rich["description"] || member[string](t, first, "language") != "ru" {
		t.Errorf("%s and then %s", first, again)
	}
	for name, value := range map[string]string{"amount": "0", "currency": "RUR", "order_id": "4111 1111 1111 1111", "description": "a\nb", "capture_method": "later",
		"customer_id": "a b", "customer_email": "anna", "language": "fr", "success_url": "javascript:1", "fail_url": "http://shop.example/", "return_url": "x", "session_minutes": "9",
		"price": "1", "valid_until": fmt.Sprint(testNow.Add(32 * 24 * time.Hour).Unix())} {
		fields := terms("bad " + name)
		fields[name] = value
		if r := b.ask("POST", f.path(), f.signed(fields)); r.status != 422 || !strings.Contains(texts(r.body), "the field "+name+" is") {
			t.Errorf("%s=%s: %d %s", name, value, r.status, texts(r.body))
		}
	}
	for _, amount := range []string{"01", "+1", "1.5", "1e3", "", " 1", "1000000000000", "-1", "0x1"} {
		fields := terms("amount")
		fields["amount"] = amount
		if r := b.ask("POST", f.path(), f.signed(fields)); r.status != 422 {
			t.Errorf("amount %q: %d", amount, r.status)
		}
	}
	late := terms("late")
	late["valid_until"] = fmt.Sprint(testNow.Unix())
	if r := b.ask("POST", f.path(), f.signed(late)); r.status != 410 || !strings.Contains(r.body, "out of date") {
		t.Errorf("a form that is out of date: %d", r.status)
	}
	good := f.signed(terms("keys"))
	for name, access := range map[string]payswitch.Access{
		"another scope":      {Name: "x", Scopes: payswitch.ScopePaymentsWrite, Signed: true},
		"bound to addresses": {Name: "x", Signed: true, Addresses: fencedAddresses()},
		"bound to a pin":     {Name: "x", Signed: true, Certificates: []string{"subject:CN=shop"}},
	} {
		f.issue(t, access)
		if r := b.ask("POST", f.path(), f.signed(terms("keys"))); r.status != 403 || !strings.Contains(texts(r.body), "cannot be used") {
			t.Errorf("%s: %d %s", name, r.status, texts(r.body))
		}
	}
	if r := b.ask("POST", f.path(), good); r.status != 403 {
		t.Errorf("signed by another key: %d", r.status)
	}
	f.issue(t, payswitch.Access{Name: "x", Scopes: payswitch.ScopeCheckoutWrite, Signed: true})
	old := f.signed(terms("rolled"))
	next, err := f.server.sw.RollKey(f.a, f.key.ID, time.Hour, testAct)
	must(t, err)
	if r := b.ask("POST", f.path(), old); r.status != 303 {
		t.Errorf("an old secret within its time: %d", r.status)
	}
	f.signer = client.FormSigner{KeyID: next.ID.Text(payswitch.APIKeyPrefix), Secret: next.Secret}
	again := f.signed(terms("rolled"))
	if r := b.ask("POST", f.path(), again); r.status != 303 {
		t.Errorf("the new secret: %d", r.status)
	}
	_, err = f.server.sw.RevokeKey(f.a, next.ID, testAct)
	must(t, err)
	if r := b.ask("POST", f.path(), again); r.status != 403 {
		t.Errorf("a revoked secret: %d", r.status)
	}
	if strings.Contains(f.log.String(), next.Secret) || !strings.Contains(f.log.String(), "a signed form was refused") {
		t.Error("what the log says of forms")
	}
}

// TestEveryChangeIsRefused: whatever is changed of a signed form, one byte of a value, a
// field more or less, a name, the order's key, it is refused, and no session comes of it.
func TestEveryChangeIsRefused(t *testing.T) {
	f := openFormShop(t)
	b := &buyer{s: f.shop}
	fields := terms("A-1")
	fields["description"], fields["success_url"] = "Socks 12:34=5", "https://shop.example/ok"
	sealed := f.signed(fields)
	rapid.Check(t, func(t *rapid.T) {
		form := url.Values{}
		for name, values := range sealed {
			form.Set(name, values[0])
		}
		names := []string{"amount", "currency", "description", "order_id", "signature", "success_url", "valid_until"}
		name := rapid.SampledFrom(names).Draw(t, "field")
		value := form.Get(name)
		switch rapid.SampledFrom([]string{"byte", "cut", "grow", "drop", "add", "rename", "swap", "shift"}).Draw(t, "change") {
		case "byte":
			at := rapid.IntRange(0, len(value)-1).Draw(t, "at")
			to := rapid.ByteRange(1, 126).Filter(func(c byte) bool { return c != value[at] }).Draw(t, "to")
			form.Set(name, value[:at]+string(rune(to))+value[at+1:])
		case "cut":
			form.Set(name, value[:len(value)-1])
		case "grow":
			form.Set(name, value+rapid.SampledFrom([]string{" ", "0", "\n", "\x00"}).Draw(t, "more"))
		case "drop":
			form.Del(name)
		case "add":
			form.Set(rapid.SampledFrom([]string{"language", "return_url", "customer_id", "x"}).Draw(t, "new"), "en")
		case "rename":
			form.Del(name)
			form.Set("return_url", value)
		case "swap":
			other := rapid.SampledFrom(names).Filter(func(n string) bool { return n != name }).Draw(t, "with")
			form.Set(name, form.Get(other))
			form.Set(other, value)
		case "shift": // a piece of one field into the next, as if they were written after each other
			form.Set("currency", form.Get("currency")+"\ndescription=1:x")
		}
		if r := b.ask("POST", f.path(), form); r.status != 403 || strings.Contains(r.body, "ss_test_") {
			t.Fatalf("%v is answered %d %s", form, r.status, r.header.Get("Location"))
		}
	})
	if list := f.do("GET", "/v1/checkout_sessions", "").body; !strings.Contains(list, `"data":[]`) {
		t.Errorf("a changed form made a session: %s", list)
	}
}

// TestSignedTextIsUnambiguous: two forms that differ have different texts, and the
// client's signature is over the server's text.
func TestSignedTextIsUnambiguous(t *testing.T) {
	form := rapid.MapOf(rapid.StringMatching(`[a-z_]{1,4}`), rapid.StringMatching(`[a-c=:\n0-9]{0,8}`))
	rapid.Check(t, func(t *rapid.T) {
		one, two := form.Draw(t, "one"), form.Draw(t, "two")
		if !maps.Equal(one, two) && string(page.SignedText(one)) == string(page.SignedText(two)) {
			t.Fatalf("%v and %v are both %q", one, two, page.SignedText(one))
		}
	})
	got := string(page.SignedText(map[string]string{"order_id": "А-1", "amount": "129900", "signature": "x"}))
	if want := "tranzit-form-v1\namount=6:129900\norder_id=4:А-1\n"; got != want {
		t.Errorf("%q", got)
	}
}

// FuzzBuy: whatever comes to the entry point is answered by a page or by a session's
// address, and never by a fault.
func FuzzBuy(f *testing.F) {
	s := openFormShop(f)
	button, _, err := s.server.sw.CreateButton(s.a, &payswitch.ButtonRequest{IdempotencyKey: "fuzz",
		Wish: payswitch.Button{Name: "x", MinAmount: 1, MaxAmount: 1000, Currency: "RUB", OrderID: "F"}})
	must(f, err)
	id := button.ID.Text(payswitch.ButtonPrefix)
	f.Add(true, id, "lang=ru", "amount=1.00&press=x")
	f.Add(true, s.signer.KeyID, "", s.signed(terms("A-1")).Encode())
	f.Add(false, id, "lang=%zz", "")
	f.Add(true, "btn_", "", "a=b;c=d&a=b")
	f.Fuzz(func(t *testing.T, post bool, name, query, body string) {
		r := s.server.page.Buy(&page.Request{Post: post, Session: []byte(name), Query: query, Body: []byte(body), ContentType: "application/x-www-form-urlencoded"})
		switch {
		case r.Status == 303 && !strings.HasPrefix(r.Location, "/pay/cs_"):
			t.Errorf("leads to %q", r.Location)
		case r.Status != 303 && (r.Status >= 500 && r.Status != 503 || !strings.HasPrefix(string(r.Body), "<!DOCTYPE html>")):
			t.Errorf("%d %.60s", r.Status, r.Body)
		}
	})
}
