package frontend

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// The shapes below say the contract a second time, for a library that reflects.
type oraclePayment struct {
	ID           string        `json:"id"`
	Object       string        `json:"object"`
	Version      uint32        `json:"version"`
	Status       string        `json:"status"`
	Live         bool          `json:"livemode"`
	Amount       int64         `json:"amount"`
	Authorized   int64         `json:"amount_authorized"`
	Captured     int64         `json:"amount_captured"`
	Refunded     int64         `json:"amount_refunded"`
	Currency     *string       `json:"currency"`
	OrderID      *string       `json:"order_id"`
	Attempt      *uint32       `json:"attempt"`
	Schedule     *oracleSeries `json:"schedule"`
	Checkout     *string       `json:"checkout_session"`
	Bank         *string       `json:"bank"`
	RRN          *string       `json:"rrn"`
	STAN         *string       `json:"stan"`
	ApprovalCode *string       `json:"approval_code"`
	ResponseCode *string       `json:"response_code"`
	Card         *oracleCard   `json:"card"`
	Method       oracleMethod  `json:"payment_method"`
	oracleParticulars
	Decline    *oracleDecline    `json:"decline"`
	Resolution *oracleResolution `json:"resolution"`
	Action     *oracleAction     `json:"next_action"`
	CreatedAt  *string           `json:"created_at"`
	UpdatedAt  *string           `json:"updated_at"`
	Metadata   map[string]string `json:"metadata"`
}

type oracleAction struct {
	Type      string  `json:"type"`
	URL       string  `json:"redirect_url"`
	ExpiresAt *string `json:"expires_at"`
}

type oracleSeries struct {
	ID  string  `json:"id"`
	Run *uint32 `json:"run"`
}

type oracleCard struct {
	BIN   *string `json:"bin"`
	Last4 *string `json:"last4"`
	Brand *string `json:"brand"`
	Month int     `json:"exp_month"`
	Year  int     `json:"exp_year"`
}

type oracleMethod struct {
	Type   string  `json:"type"`
	Token  *string `json:"token"`
	Wallet *string `json:"wallet"`
}

type oracleParticulars struct {
	Initiator   string             `json:"initiator"`
	Channel     string             `json:"channel"`
	Stored      *string            `json:"stored_credential"`
	NetworkID   *string            `json:"network_transaction_id"`
	InitialID   *string            `json:"initial_network_transaction_id"`
	ThreeDS     *oracleThreeDS     `json:"three_ds"`
	Instalments *oracleInstalments `json:"instalments"`
}

type oracleThreeDS struct {
	ECI     *string `json:"eci"`
	Version *string `json:"version"`
}

type oracleInstalments struct {
	Count int     `json:"count"`
	Plan  *string `json:"plan"`
	Type  *string `json:"type"`
}

type oracleDecline struct {
	Source       *string `json:"source"`
	Code         *string `json:"code"`
	Message      *string `json:"message"`
	Retry        *string `json:"retry"`
	ResponseCode *string `json:"response_code"`

	Advice *string      `json:"advice"`
	Buyer  *oracleBuyer `json:"buyer_message"`
}

type oracleBuyer struct {
	RU string `json:"ru"`
	EN string `json:"en"`
	ES string `json:"es"`
}

type oracleResolution struct {
	Reason     *string `json:"reason"`
	Since      *string `json:"since"`
	NextAction *string `json:"next_action"`
	NextAt     *string `json:"next_at"`
	Attempts   int     `json:"attempts"`
}

func oracle(p *payswitch.Payment) oraclePayment {
	o := oraclePayment{
		ID: p.ID.Text("pay"), Object: "payment", Version: p.Version, Status: p.Status.String(), Live: p.Live, Amount: p.Amount,
		Authorized: p.AmountAuthorized, Captured: p.AmountCaptured, Refunded: p.AmountRefunded, Currency: orNull(p.Currency.Alpha()),
		OrderID: orNull(p.OrderID), Bank: orNull(p.Bank), RRN: orNull(p.RRN), ApprovalCode: orNull(p.ApprovalCode),
		ResponseCode: orNull(p.ResponseCode), CreatedAt: timeOrNull(p.CreatedAt), UpdatedAt: timeOrNull(p.UpdatedAt), Metadata: map[string]string{},
	}
	if p.Status == payswitch.StatusInFlight {
		o.Status = "unknown"
	}
	if p.Attempt != 0 {
		o.Attempt = &p.Attempt
	}
	if n := p.NextAction; n != nil {
		o.Action = &oracleAction{"redirect", n.URL, timeOrNull(n.ExpiresAt)}
	}
	if !p.Checkout.IsZero() {
		id := p.Checkout.Text("cs")
		o.Checkout = &id
	}
	if !p.Schedule.IsZero() {
		o.Schedule = &oracleSeries{ID: p.Schedule.Text("sch")}
		if p.Run != 0 {
			o.Schedule.Run = &p.Run
		}
	}
	if p.STAN != 0 {
		o.STAN = orNull(string(p.STAN.Append(nil)))
	}
	o.Method.Type, o.Initiator, o.Channel = "card", "customer", "ecommerce"
	if x := p.Particulars; x != nil {
		o.particular(x)
	}
	if p.ByToken {
		o.Method.Type, o.Method.Wallet = "token", nil
	}
	if !p.Token.IsZero() {
		o.Method.Token = orNull(p.Token.Text("tok"))
	}
	if c := p.Card; c.BIN+c.Last4 != "" {
		o.Card = &oracleCard{orNull(c.BIN), orNull(c.Last4), orNull(c.Brand), c.Expiry.Month, c.Expiry.Year}
	}
	if d := p.Decline; d != nil {
		o.Decline = &oracleDecline{orNull(d.Source), orNull(d.Code), orNull(d.Message), orNull(d.Retry), orNull(d.ResponseCode), nil, nil}
		if reason := iso.Declines().Find(d.Code); reason != nil {
			o.Decline.Advice, o.Decline.Buyer = &reason.Advice, &oracleBuyer{reason.Buyer.RU, reason.Buyer.EN, reason.Buyer.ES}
		}
	}
	if r := p.Resolution; r != nil {
		o.Resolution = &oracleResolution{orNull(r.Reason), timeOrNull(r.Since), orNull(r.NextAction), timeOrNull(r.NextAt), r.Attempts}
	}
	for _, pair := range p.Metadata {
		o.Metadata[pair.Key] = pair.Value
	}
	return o
}

func (o *oraclePayment) particular(x *payswitch.Particulars) {
	if x.NetworkToken {
		o.Method.Type, o.Method.Wallet = "network_token", orNull(x.Wallet.String())
	} else if x.Channel > iso.ChannelRecurring {
		o.Method.Type = "card_present"
	}
	if x.Initiator != "" {
		o.Initiator = x.Initiator
	}
	o.Channel, o.Stored = x.Channel.String(), orNull(x.Credential.String())
	o.NetworkID, o.InitialID = orNull(x.NetworkTransactionID), orNull(x.InitialTransactionID)
	if x.ECI+x.ThreeDSVersion != "" {
		o.ThreeDS = &oracleThreeDS{orNull(x.ECI), orNull(x.ThreeDSVersion)}
	}
	if in := x.Instalments; in.Count != 0 {
		o.Instalments = &oracleInstalments{in.Count, orNull(in.Plan), orNull(in.Type.String())}
	}
}

func drawParticulars(t *rapid.T) *payswitch.Particulars {
	text := func(name string) string { return rapid.String().Draw(t, name) }
	x := &payswitch.Particulars{Initiator: rapid.SampledFrom([]string{"", "customer", "merchant"}).Draw(t, "initiator"), ECI: text("eci"), NetworkTransactionID: text("network")}
	x.Carried = iso.Carried{Channel: iso.Channel(rapid.ByteRange(0, 5).Draw(t, "channel")), Credential: iso.Credential(rapid.ByteRange(0, 5).Draw(t, "credential")),
		InitialTransactionID: text("initial"), ThreeDSVersion: text("version"), NetworkToken: rapid.Bool().Draw(t, "network token"),
		Wallet:      iso.Wallet(rapid.ByteRange(0, 5).Draw(t, "wallet")),
		Instalments: iso.Instalments{Count: rapid.IntRange(0, 99).Draw(t, "count"), Plan: text("plan"), Type: iso.InstalmentType(rapid.ByteRange(0, 2).Draw(t, "type"))}}
	return x
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return orNull(t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

func drawPayment(t *rapid.T) payswitch.Payment {
	text := func(name string) string { return rapid.String().Draw(t, name) }
	amount := rapid.Int64Range(0, maxAmount)
	moment := func(name string) time.Time {
		if rapid.Bool().Draw(t, name+" zero") {
			return time.Time{}
		}
		zone := time.FixedZone("", rapid.IntRange(-12*3600, 14*3600).Draw(t, name+" zone"))
		return time.UnixMilli(rapid.Int64Range(0, 253402300799999).Draw(t, name)).In(zone)
	}
	currency, err := iso.ParseCurrency(rapid.SampledFrom([]string{"RUB", "USD", "JPY"}).Draw(t, "currency"))
	if err != nil {
		t.Fatal(err)
	}
	p := payswitch.Payment{
		Version: rapid.Uint32().Draw(t, "version"), Live: rapid.Bool().Draw(t, "live"), Currency: currency,
		Status: payswitch.Status(rapid.IntRange(0, 11).Draw(t, "status")),
		STAN:   iso.STAN(rapid.Uint32Range(0, 999999).Draw(t, "stan")),
		Amount: amount.Draw(t, "amount"), AmountAuthorized: amount.Draw(t, "authorized"),
		AmountCaptured: amount.Draw(t, "captured"), AmountRefunded: amount.Draw(t, "refunded"),
		OrderID: text("order"), Attempt: rapid.Uint32().Draw(t, "attempt"), Bank: text("bank"), RRN: text("rrn"), ApprovalCode: text("approval"), ResponseCode: text("response"),
		CreatedAt: moment("created"), UpdatedAt: moment("updated"),
	}
	copy(p.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	if rapid.Bool().Draw(t, "series") {
		p.Schedule, p.Run = payswitch.ID{3, 4}, rapid.Uint32().Draw(t, "run")
		p.Checkout = payswitch.ID{5, 6}
		p.NextAction = &payswitch.NextAction{URL: text("url"), ExpiresAt: moment("act")}
	}
	if p.ByToken = rapid.Bool().Draw(t, "token"); p.ByToken {
		p.Token = payswitch.ID{1, 2}
	}
	if rapid.Bool().Draw(t, "card") {
		p.Card = payswitch.Card{BIN: text("bin"), Last4: text("last4"), Brand: text("brand"), Expiry: iso.Expiry{Year: 2028, Month: 12}}
	}
	if rapid.Bool().Draw(t, "particulars") {
		p.Particulars = drawParticulars(t)
	}
	if rapid.Bool().Draw(t, "declined") {
		p.Decline = &payswitch.Decline{Source: text("source"), Code: rapid.SampledFrom([]string{text("code"), "insufficient_funds", "not_sent"}).Draw(t, "reason"), Message: text("message"), Retry: text("retry"), ResponseCode: text("rc")}
	}
	if rapid.Bool().Draw(t, "resolving") {
		p.Resolution = &payswitch.Resolution{Reason: text("reason"), Since: moment("since"), NextAction: text("action"),
			NextAt: moment("next"), Attempts: rapid.IntRange(0, 99).Draw(t, "attempts")}
	}
	for _, key := range rapid.SliceOfNDistinct(rapid.StringN(1, 40, -1), 0, 5, rapid.ID[string]).Draw(t, "keys") {
		p.Metadata = append(p.Metadata, payswitch.Pair{Key: key, Value: text("value")})
	}
	return p
}

// TestPaymentEncoder compares the encoder with one that reflects, over payments
// of all kinds: the same values, the same members in the same order.
func TestPaymentEncoder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPayment(t)
		got := appendPayment(nil, &p)
		want := oracle(&p)
		wanted, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := names(t, got), names(t, wanted); a != b {
			t.Fatalf("members\n%s\nwant\n%s", a, b)
		}
		var back oraclePayment
		if err := json.Unmarshal(got, &back, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		if !reflect.DeepEqual(back, want) {
			t.Fatalf("encoded %s\nwant %s", got, wanted)
		}
	})
}

// names lists the members of an object in order, save those of metadata, whose
// order is the merchant's.
func names(t *rapid.T, object []byte) string {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	var list []string
	for {
		if _, err := d.ReadToken(); err != nil {
			break
		}
		if kind, n := d.StackIndex(d.StackDepth()); kind == '{' && n%2 == 1 {
			list = append(list, string(d.StackPointer()))
			if d.StackPointer() == "/metadata" {
				if err := d.SkipValue(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return strings.Join(list, "\n")
}

// TestListEncoder holds lists and timelines to the same library.
func TestListEncoder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		page := payswitch.ListPage{More: rapid.Bool().Draw(t, "more")}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			page.Payments = append(page.Payments, drawPayment(t))
		}
		if len(page.Payments) > 0 {
			page.Next = page.Payments[len(page.Payments)-1].ID
		}
		var got struct {
			Object string          `json:"object"`
			Data   []oraclePayment `json:"data"`
			More   bool            `json:"has_more"`
			Next   *string         `json:"next_cursor"`
		}
		text := appendList(nil, &page)
		if err := json.Unmarshal(text, &got, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if got.Object != "list" || len(got.Data) != len(page.Payments) || got.More != page.More || (got.Next != nil) != page.More {
			t.Fatalf("list %s", text)
		}
		if page.More {
			if id, err := payswitch.ParseID(cursorPrefix, *got.Next); err != nil || id != page.Next {
				t.Fatalf("cursor %s: %v", *got.Next, err)
			}
		}
	})
}

func TestTimelineEncoder(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 7e6, time.FixedZone("", 3*3600))
	got := string(appendTimeline(nil, []payswitch.TimelineEvent{
		{Version: 1, At: at, Type: "intent", Detail: `He said "go".`, Message: &payswitch.TimelineMessage{Direction: "sent", MTI: "0200",
			Fields: []iso.FieldView{{Number: 2, Name: "PAN", Value: "411111******1111"}, {Number: 4, Name: "Amount", Value: "000000129900"}}}},
		{Version: 2, At: at, Type: "approved", Status: payswitch.StatusCaptured},
	}))
	want := `{"object":"list","data":[{"object":"timeline_event","version":1,"at":"2026-11-23T09:00:00.007Z","type":"intent","status":null,` +
		`"detail":"He said \"go\".","message":{"direction":"sent","mti":"0200","fields":[{"number":2,"name":"PAN","value":"411111******1111"},` +
		`{"number":4,"name":"Amount","value":"000000129900"}]}},{"object":"timeline_event","version":2,"at":"2026-11-23T09:00:00.007Z","type":"approved",` +
		`"status":"captured","detail":null,"message":null}],"has_more":false,"next_cursor":null}`
	if got != want {
		t.Errorf("timeline\n%s\nwant\n%s", got, want)
	}
}

// samplePayment is an approved payment as most are.
func samplePayment() payswitch.Payment {
	at := time.Date(2026, 11, 23, 12, 0, 0, 123e6, time.UTC)
	rub, _ := iso.ParseCurrency("RUB")
	return payswitch.Payment{
		ID: payswitch.ID{1, 0x9a, 2, 3, 4, 5, 0x70, 7, 0x80, 9, 10, 11, 12, 13, 14, 15}, Version: 2, Status: payswitch.StatusCaptured, Currency: rub, STAN: 123,
		Amount: 129900, AmountAuthorized: 129900, AmountCaptured: 129900, OrderID: "A-1001", Bank: "alfa", RRN: "632712000123",
		ApprovalCode: "123456", ResponseCode: "00", Card: payswitch.Card{BIN: "411111", Last4: "1111", Brand: "visa", Expiry: iso.Expiry{Year: 2028, Month: 12}},
		Metadata: []payswitch.Pair{{Key: "k", Value: "v"}}, CreatedAt: at, UpdatedAt: at.Add(87 * time.Millisecond),
	}
}

func BenchmarkAppendPayment(b *testing.B) {
	p := samplePayment()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendPayment(buf[:0], &p)
	}
}
