package cabinet

import (
	"encoding/csv"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

const hatsTest = "/m/mer_hats/test"

func name(p payswitch.Payment) string { return p.ID.Text(payswitch.PaymentPrefix) }

// TestDoubleClick: the same form, sent many times at once, moves money once.
func TestDoubleClick(t *testing.T) {
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	p := r.pay(wish{shopHats, goodCard, "A-1", 129900, false})
	c := r.enter(u)
	at := hatsTest + "/payments/" + name(p)
	ask := c.get(at+"/refund").want(t, 200, "1299.00")
	form := url.Values{"csrf": {c.csrf}, "key": {formValue(t, ask.body, "key")}, "amount": {"100,50"}, "reason": {"too large"}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			copied := url.Values{}
			for k, v := range form {
				copied[k] = v
			}
			c.post(at+"/refund", copied).want(t, 303)
		})
	}
	all.Wait()
	now, refunds, err := r.sw.Refunds(r.account(shopHats), p.ID)
	r.must(err)
	if len(refunds) != 1 || now.AmountRefunded != 10050 || refunds[0].Reason != "too large" {
		t.Errorf("%d refunds, %d given back", len(refunds), now.AmountRefunded)
	}
	story := c.get(at).want(t, 200, "100.50", "too large", u.Email, "Partly refunded")
	if strings.Count(story.body, u.Email+"</strong>") != 1 {
		t.Error("the story tells of one act more than once")
	}
	for _, amount := range []string{"2000", "0", "-5", "1.234", "x", "1e3", "NaN"} {
		c.post(at+"/refund", url.Values{"key": {newKey()}, "amount": {amount}}).want(t, map[bool]int{true: 409, false: 422}[amount == "2000"])
	}
	c.post(at+"/refund", url.Values{"key": {"short"}, "amount": {"1"}}).want(t, 422)
	c.post(at+"/refund", url.Values{"key": {newKey()}, "amount": {"1"}, "reason": {"card 4111 1111 1111 1111"}}).want(t, 422)
	if now, _, _ = r.sw.Refunds(r.account(shopHats), p.ID); now.AmountRefunded != 10050 {
		t.Errorf("after refused acts %d is given back", now.AmountRefunded)
	}
	c.get(hatsTest+"/audit?q=refund").want(t, 200, "refused", "too large")
}

func TestCaptureAndCancel(t *testing.T) {
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	c := r.enter(u)
	held, dropped := r.pay(wish{shopHats, goodCard, "H-1", 5000, true}), r.pay(wish{shopHats, goodCard, "H-2", 5000, true})
	for _, tt := range []struct {
		p    payswitch.Payment
		act  string
		want payswitch.Status
	}{{held, "capture", payswitch.StatusCaptured}, {dropped, "cancel", payswitch.StatusCanceled}} {
		at := hatsTest + "/payments/" + name(tt.p)
		c.get(at).want(t, 200, at+"/"+tt.act)
		ask := c.get(at+"/"+tt.act).want(t, 200)
		c.post(at+"/"+tt.act, url.Values{"key": {formValue(t, ask.body, "key")}, "amount": {""}}).want(t, 303)
		if p, err := r.sw.Payment(r.account(shopHats), payswitch.PurposePayment, tt.p.ID); err != nil || p.Status != tt.want {
			t.Errorf("after the %s it is %s, %v", tt.act, p.Status, err)
		}
	}
}

func TestMonitor(t *testing.T) {
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	c := r.enter(u)
	c.get(hatsTest+"/payments").want(t, 200, "No payments here yet.")
	for i := range pageSize + 5 {
		r.pay(wish{shopHats, goodCard, fmt.Sprintf("A-%02d", i), int64(1000 + i), false})
	}
	declined := r.pay(wish{shopHats, badCard, "=BAD()", 7700, false})
	r.pay(wish{shopSocks, goodCard, "SOCKS", 100, false})
	rows := func(query string) int {
		t.Helper()
		return strings.Count(c.get(hatsTest+"/payments?"+query).want(t, 200).body, "class=\"row\"")
	}
	for _, tt := range []struct {
		query string
		want  int
	}{{"", pageSize}, {"status=declined", 1}, {"order=A-07", 1}, {"last4=0002", 1}, {"code=05", 1}, {"bank=vega", 0}, {"least=10.05&most=10.07", 3},
		{"least=10,05&most=10,07&currency=RUB", 3}, {"from=2001-01-01&to=2001-01-02", 0}, {"status=captured&order=A-01", 1}} {
		if got := rows(tt.query); got != tt.want {
			t.Errorf("%q shows %d payments, want %d", tt.query, got, tt.want)
		}
	}
	c.get(hatsTest+"/payments?least=much").want(t, 200, "This field of the filter cannot be read: Amount from.")
	next := c.get(hatsTest + "/payments").body
	_, next, _ = strings.Cut(next, "cursor=")
	next, _, _ = strings.Cut(next, `"`)
	if got := rows("cursor=" + next); got != 6 {
		t.Errorf("the second page shows %d payments", got)
	}
	if to := c.get(hatsTest+"/payments?id="+name(declined)).want(t, 303).header.Get("Location"); to != hatsTest+"/payments/"+name(declined) {
		t.Errorf("an id leads to %s", to)
	}
	c.get(hatsTest+"/payments/"+name(declined)).want(t, 200, "(05)")

	part := c.get(hatsTest + "/payments?part=rows")
	if got := c.do("GET", hatsTest+"/payments?part=rows", nil, "If-None-Match", part.header.Get("ETag")); got.status != 304 || strings.Contains(part.body, "<html") {
		t.Errorf("a look that finds nothing new is answered %d", got.status)
	}
	r.pay(wish{shopHats, goodCard, "NEW", 100, false})
	c.do("GET", hatsTest+"/payments?part=rows", nil, "If-None-Match", part.header.Get("ETag")).want(t, 200, "NEW")

	c.post(hatsTest+"/views", url.Values{"name": {"Refused ones"}, "query": {"status=declined&cursor=x"}}).want(t, 303)
	c.get(hatsTest+"/payments").want(t, 200, "Refused ones", "payments?status=declined\">Refused ones")
	exportedRows(t, c.get(hatsTest+"/payments/export?status=declined").want(t, 200).body, 1)
	exportedRows(t, c.get(hatsTest+"/payments/export").want(t, 200).body, pageSize+7)
}

func exportedRows(t *testing.T, text string, want int) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != want+1 || len(rows[1]) != len(exportColumns) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if strings.Contains(text, ",=BAD") || strings.Contains(text, "SOCKS") {
		t.Error("the file holds a formula, or another shop's payment")
	}
}

func TestBulk(t *testing.T) {
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	c := r.enter(u)
	one, two, bad := r.pay(wish{shopHats, goodCard, "A-1", 100, false}), r.pay(wish{shopHats, goodCard, "A-2", 200, false}), r.pay(wish{shopSocks, goodCard, "S-1", 300, false})
	form := url.Values{"kind": {"refund"}, "key": {newKey()}, "payment": {name(one), name(bad)}}
	c.post(hatsTest+"/batches/confirm", form).want(t, 404)
	form["payment"] = nil
	c.post(hatsTest+"/batches/confirm", form).want(t, 422, "Choose at least one payment.")
	form["payment"] = []string{name(one), name(two), name(two)}
	c.post(hatsTest+"/batches/confirm", form).want(t, 200, "Refund 2 payments?", "A-1", "A-2")
	to := c.post(hatsTest+"/batches", form).want(t, 303).header.Get("Location")
	if again := c.post(hatsTest+"/batches", form).want(t, 303).header.Get("Location"); again != to {
		t.Errorf("a second press makes another batch: %s and %s", to, again)
	}
	at, _, _ := strings.Cut(to, "?")
	r.await("the batch's end", func() bool { return strings.Contains(c.get(at).body, "Completed") })
	c.get(at).want(t, 200, name(one), name(two))
	for _, p := range []payswitch.Payment{one, two} {
		if now, err := r.sw.Payment(r.account(shopHats), payswitch.PurposePayment, p.ID); err != nil || now.Status != payswitch.StatusRefunded {
			t.Errorf("%s is %s, %v", name(p), now.Status, err)
		}
	}
	c.get(hatsTest+"/batches").want(t, 200, "Completed")
	support, _ := r.member("support@shop.example", people.Grant{Merchant: shopHats, Role: people.RoleSupport})
	r.enter(support).post(hatsTest+"/batches", form).want(t, 403)
}

func TestKeysTicketsPeople(t *testing.T) {
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	p := r.pay(wish{shopHats, goodCard, "A-1", 100, false})
	c := r.enter(u)
	c.post(hatsTest+"/keys", url.Values{"name": {"shop"}}).want(t, 422)
	made := c.post(hatsTest+"/keys", url.Values{"name": {"shop"}, "scope": {"payments:read"}}).want(t, 200, "sk_test_")
	_, secret, _ := strings.Cut(made.body, `class="secret">`)
	secret, _, _ = strings.Cut(secret, "<")
	if a, ok := r.sw.Authenticate([]byte(secret)); !ok || a.Merchant.ID != shopHats {
		t.Errorf("the key %q opens nothing", secret)
	}
	if strings.Contains(c.get(hatsTest+"/keys").body, secret) {
		t.Error("the secret is shown again")
	}
	id := r.sw.APIKeys(r.account(shopHats))[0].ID.Text(payswitch.APIKeyPrefix)
	c.post(hatsTest+"/keys/"+id+"/roll", nil).want(t, 200, "sk_test_")
	c.post(hatsTest+"/keys/"+id+"/revoke", nil).want(t, 200, "Revoked")

	ticket := c.post(hatsTest+"/tickets", url.Values{"subject": {"Where is it?"}, "text": {"Two days."}, "payment": {name(p)}}).want(t, 303).header.Get("Location")
	ticket, _, _ = strings.Cut(ticket, "?")
	tid, err := payswitch.ParseID(people.TicketPrefix, strings.TrimPrefix(ticket, hatsTest+"/tickets/"))
	r.must(err)
	_, err = r.people.AnswerTicket(tid, people.Reply{By: "operator", Operator: true, Text: "On its way."})
	r.must(err)
	c.get(ticket).want(t, 200, "On its way.", "Answered")
	c.post(ticket, url.Values{"text": {"Thanks."}}).want(t, 303)
	c.post(ticket, url.Values{"text": {""}, "close": {"1"}}).want(t, 303)
	c.get(hatsTest+"/payments/"+name(p)).want(t, 200, "Where is it?", "Closed")

	other, _ := r.member("other@shop.example", people.Grant{Merchant: shopHats, Role: people.RoleViewer})
	row := hatsTest + "/users/" + other.ID.Text(people.UserPrefix)
	c.post(row+"/role", url.Values{"role": {"finance"}}).want(t, 303)
	c.post(row+"/reset", nil).want(t, 200, "/join/")
	c.post(row+"/role", url.Values{"role": {"none"}}).want(t, 303)
	c.post(row+"/role", url.Values{"role": {"owner"}}).want(t, 404)
	c.post(hatsTest+"/users/"+u.ID.Text(people.UserPrefix)+"/role", url.Values{"role": {"viewer"}}).want(t, 409, "last owner")
	c.get(hatsTest+"/audit").want(t, 200, "changed a role", "made an API key", "asked support")
}

func TestChartsAndHooks(t *testing.T) {
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	c := r.enter(u)
	a := r.account(shopHats)
	url1 := "https://shop.example/hook"
	_, err := r.sw.Outbox().MakeEndpoint(a, &payswitch.EndpointWish{URL: &url1, Types: []string{"*"}})
	r.must(err)
	for range 3 {
		r.pay(wish{shopHats, goodCard, "A", 100, false})
	}
	r.pay(wish{shopHats, badCard, "B", 100, false})
	r.await("the count", func() bool { return strings.Contains(c.get(hatsTest+"/charts").body, "4 payments, 3 of them approved") })
	c.get(hatsTest+"/charts?days=90").want(t, 200, "411111", "400000", "75 %", "alfa")
	page := c.get(hatsTest+"/webhooks").want(t, 200, url1, "payment.captured")
	_, event, _ := strings.Cut(page.body, hatsTest+"/events/")
	event, _, _ = strings.Cut(event, `"`)
	c.get(hatsTest+"/events/"+event).want(t, 200, "Send again")
	c.post(hatsTest+"/events/"+event+"/resend", nil).want(t, 303)
	bill, _, err := r.sw.CreateCheckout(a, &payswitch.CheckoutRequest{IdempotencyKey: "bill", Wish: payswitch.Checkout{Amount: 100, Currency: "RUB", OrderID: "C"}})
	r.must(err)
	_, err = r.sw.ExpireCheckout(a, bill.ID)
	r.must(err)
	session := bill.ID.Text(payswitch.CheckoutPrefix)
	page = c.get(hatsTest+"/webhooks").want(t, 200, "checkout_session.expired", "/links/"+session)
	_, event, _ = strings.Cut(page.body, hatsTest+"/events/")
	event, _, _ = strings.Cut(event, `"`)
	c.get(hatsTest+"/events/"+event).want(t, 200, session)
}

func TestPaymentLinks(t *testing.T) {
	r := newRig(t)
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	c := r.enter(u)
	c.get(hatsTest+"/links").want(t, 200, "No links yet.")
	form := url.Values{"key": {newKey()}, "amount": {"12.50"}, "currency": {"rub"}, "order": {"A-1"}, "email": {"anna@shop.example"}, "language": {"ru"}, "days": {"3"}, "receipt": {"1"}}
	for name, bad := range map[string]string{"amount": "0", "days": "91", "email": "a@b@c", "phone": "12", "order": goodCard, "currency": "XX", "language": "de"} {
		again := url.Values{}
		for k, v := range form {
			again[k] = v
		}
		again.Set(name, bad)
		c.post(hatsTest+"/links", again).want(t, 422, `role="alert"`)
	}
	to := c.post(hatsTest+"/links", form).want(t, 303).header.Get("Location")
	if again := c.post(hatsTest+"/links", form).want(t, 303).header.Get("Location"); again != to {
		t.Errorf("a second press makes another link: %s and %s", to, again)
	}
	at, _, _ := strings.Cut(to, "?")
	c.get(to).want(t, 200, "The link is made.", "a***@shop.example", "on its way", "https://pay.example/pay/cs_", "<svg", "12.50")
	c.get(hatsTest+"/links").want(t, 200, "A-1", at)
	c.post(at+"/send", url.Values{"key": {newKey()}, "phone": {"+74951234567"}}).want(t, 409, "a moment ago")
	c.post(at+"/send", url.Values{"key": {newKey()}, "phone": {"12"}}).want(t, 422, "+74951234567")
	c.post(at+"/revoke", nil).want(t, 303)
	c.get(at).want(t, 200, "Over")
	c.post(at+"/send", url.Values{"key": {newKey()}, "email": {"anna@shop.example"}}).want(t, 409, "expired")
	c.get(hatsTest+"/audit").want(t, 200, "made a payment link", "revoked a payment link", "refused")
	second := url.Values{"key": {newKey()}, "amount": {"1"}, "currency": {"EUR"}, "order": {"A-2"}, "days": {"1"}}
	to = c.post(hatsTest+"/links", second).want(t, 303).header.Get("Location")
	at, _, _ = strings.Cut(to, "?")
	c.get(at).want(t, 200, "It was not sent yet.")
	c.post(at+"/send", url.Values{"key": {newKey()}, "phone": {"+74951234567"}}).want(t, 303)
	c.get(at).want(t, 200, "7*******567", "SMS")

	p := r.pay(wish{shopHats, goodCard, "A-3", 100, false})
	receipt := hatsTest + "/payments/" + name(p) + "/receipt"
	c.get(hatsTest+"/payments/"+name(p)).want(t, 200, "Send the receipt")
	c.post(receipt, url.Values{"key": {newKey()}, "email": {"anna@shop.example"}}).want(t, 303)
	c.post(receipt, url.Values{"key": {newKey()}, "email": {"anna@shop.example"}}).want(t, 409)
	c.get(hatsTest+"/payments/"+name(p)).want(t, 200, "sent a receipt")
	refused := r.pay(wish{shopHats, badCard, "A-4", 100, false})
	if page := c.get(hatsTest + "/payments/" + name(refused)); strings.Contains(page.body, "Send the receipt") {
		t.Error("a payment that was declined offers a receipt")
	}
}
