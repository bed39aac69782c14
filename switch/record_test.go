package payswitch

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tranzit/tranzit/iso"
)

func drawTime(t *rapid.T, label string) time.Time {
	return time.UnixMilli(rapid.Int64Range(1, 4e12).Draw(t, label)).UTC()
}

func drawWay(t *rapid.T) way {
	text := func(label string) string { return rapid.StringN(0, 20, 40).Draw(t, label) }
	return way{bank: text("bank"), dialect: text("dialect"), dialectVersion: rapid.Uint32().Draw(t, "version"), requestType: iso.MTI(rapid.Uint16().Draw(t, "type")),
		terminal: text("terminal"), bankMerchant: text("mid"), acquirer: text("acquirer"),
		stan: iso.STAN(rapid.Uint32Range(1, 999999).Draw(t, "stan")), rrn: text("rrn"), sentAt: drawTime(t, "sent")}
}

func drawIntent(t *rapid.T) *intent {
	text := func(label string) string { return rapid.StringN(0, 40, 60).Draw(t, label) }
	currency, err := iso.ParseCurrency(rapid.SampledFrom([]string{"RUB", "JPY", "KWD", "EUR"}).Draw(t, "currency"))
	if err != nil {
		t.Fatal(err)
	}
	in := &intent{
		live: rapid.Bool().Draw(t, "live"), manual: rapid.Bool().Draw(t, "manual"), operation: iso.OpPurchase,
		way: drawWay(t), merchant: text("merchant"), mcc: text("mcc"), nameLocation: text("name"), country: text("country"),
		amount: rapid.Int64Range(1, 999999999999).Draw(t, "amount"), currency: currency,
		orderID: text("order"), description: text("description"), email: text("email"), initiator: text("initiator"), eci: text("eci"),
		card:      Card{BIN: text("bin"), Last4: text("last4"), Brand: text("brand"), Expiry: iso.Expiry{Year: 2030, Month: 7}},
		sealedPAN: rapid.SliceOfN(rapid.Byte(), 1, 60).Draw(t, "sealed"),
	}
	in.localAt = in.sentAt.In(time.FixedZone("", rapid.IntRange(-12, 14).Draw(t, "zone")*3600))
	for range rapid.IntRange(0, 5).Draw(t, "pairs") {
		in.metadata = append(in.metadata, Pair{Key: text("key"), Value: text("value")})
	}
	if rapid.Bool().Draw(t, "rare") {
		in.rare = &rare{carried: drawCarried(t), attempt: rapid.Uint32().Draw(t, "attempt")}
		copy(in.rare.checkout[:], rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(t, "checkout"))
	}
	return in
}

func drawCarried(t *rapid.T) *iso.Carried {
	text := func(label string) string { return rapid.StringN(0, 20, 40).Draw(t, label) }
	return &iso.Carried{ThreeDSVersion: "2.2.0", Channel: iso.Channel(rapid.ByteRange(0, 5).Draw(t, "channel")),
		Credential: iso.Credential(rapid.ByteRange(0, 5).Draw(t, "credential")), InitialTransactionID: text("initial"),
		NetworkToken: rapid.Bool().Draw(t, "network token"), TokenRequestor: text("requestor"), Wallet: iso.Wallet(rapid.ByteRange(0, 5).Draw(t, "wallet")),
		Instalments: iso.Instalments{Count: rapid.IntRange(0, 99).Draw(t, "count"), Plan: text("plan"),
			Type: iso.InstalmentType(rapid.ByteRange(0, 2).Draw(t, "type"))},
		AcceptPartial: rapid.Bool().Draw(t, "partial"), CardSequence: text("sequence")}
}

func drawOperation(t *rapid.T, r *record) {
	text := func(label string) string { return rapid.StringN(0, 20, 40).Draw(t, label) }
	if r.kind != recordOperation {
		r.op = rapid.Uint32Range(1, 1e6).Draw(t, "op")
	}
	switch r.kind {
	case recordOperation:
		at := drawTime(t, "sent")
		r.begun = &begun{id: ID{3, 4}, kind: OperationKind(rapid.ByteRange(1, 4).Draw(t, "operation")), method: Method(rapid.ByteRange(1, 6).Draw(t, "method")),
			request: rapid.Bool().Draw(t, "request"), hold: rapid.Bool().Draw(t, "hold"), final: rapid.Bool().Draw(t, "final"),
			amount: rapid.Int64Range(0, 999999999999).Draw(t, "amount"), stays: rapid.Int64Range(0, 999999999999).Draw(t, "stays"),
			reason: text("reason"), fingerprint: Fingerprint{5}, stan: 7, rrn: text("rrn"), sentAt: at,
			localAt: at.In(time.FixedZone("", rapid.IntRange(-12, 14).Draw(t, "zone")*3600))}
	case recordOperationAnswered, recordOperationLate:
		r.verdict, r.attempt = iso.ReversalVerdict(rapid.ByteRange(0, 2).Draw(t, "verdict")), rapid.Uint32().Draw(t, "attempt")
		r.responseCode, r.approvalCode = text("rc"), text("approval")
		r.decline = Decline{Source: "bank", Code: text("code"), Message: text("message"), Retry: text("retry"), ResponseCode: r.responseCode}
		r.nextAt, r.message = drawTime(t, "next"), rapid.SliceOfN(rapid.Byte(), 1, 80).Draw(t, "message")
	case recordOperationNotSent, recordOperationDesk:
		r.reason = text("reason")
	case recordOperationUnknown:
		r.reason, r.responseCode, r.reversalSTAN, r.reversalSentAt = text("reason"), text("rc"), 123, drawTime(t, "reversal")
		r.reversalReason, r.nextAt = iso.ReasonTimeout, drawTime(t, "next")
	case recordOperationSent:
		r.attempt, r.nextAt = rapid.Uint32().Draw(t, "attempt"), drawTime(t, "next")
	case recordOperationClosed, recordOperationRetried:
		r.reason, r.operator, r.settledOperation, r.nextAt = text("reason"), text("operator"), OperationDeclined, drawTime(t, "next")
	}
}

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string { return rapid.StringN(0, 20, 40).Draw(t, label) }
		r := record{kind: recordKind(rapid.ByteRange(1, byte(lastRecordKind)).Draw(t, "kind")), at: drawTime(t, "at")}
		switch r.kind {
		case recordIntent:
			r.intent = drawIntent(t)
		case recordAnswered, recordLateAnswer:
			r.approved, r.responseCode, r.approvalCode = rapid.Bool().Draw(t, "ok"), text("rc"), text("approval")
			r.decline = Decline{Source: "bank", Code: text("code"), Message: text("message"), Retry: text("retry"), ResponseCode: r.responseCode}
			r.message = rapid.SliceOfN(rapid.Byte(), 1, 80).Draw(t, "message")
			if rapid.Bool().Draw(t, "rare") {
				r.rare = &rare{networkID: text("network"), chip: text("chip"), authorized: rapid.Int64Range(0, 999999999999).Draw(t, "authorized"), token: ID{1, 2}}
			}
		case recordNotSent, recordDesk:
			r.reason = text("reason")
		case recordRerouted:
			r.reason, r.way = text("reason"), drawWay(t)
		case recordChallenged:
			r.url, r.nextAt = text("url"), drawTime(t, "next")
		case recordAuthenticated:
			r.eci, r.threeDS, r.way = text("eci"), text("version"), drawWay(t)
		case recordClosed, recordRetried:
			r.reason, r.operator, r.settled, r.nextAt = text("reason"), text("operator"), StatusReversed, drawTime(t, "next")
		case recordUnknown:
			r.reason, r.responseCode = text("reason"), text("rc")
			r.reversalSTAN, r.reversalSentAt = 123, drawTime(t, "reversal")
			r.reversalReason, r.nextAt = iso.ReasonTimeout, drawTime(t, "next")
		case recordReversalSent:
			r.attempt, r.nextAt = rapid.Uint32().Draw(t, "attempt"), drawTime(t, "next")
			if rapid.Bool().Draw(t, "rare") {
				r.rare = &rare{spoken: iso.Revision{Dialect: text("dialect"), Version: rapid.IntRange(0, 1<<20).Draw(t, "version")}, requestType: 0x1200}
			}
		case recordReversalAnswered:
			r.attempt, r.verdict, r.responseCode = 3, iso.ReversalDone, text("rc")
			r.nextAt = drawTime(t, "next")
		case recordRefused:
			r.decline = Decline{Source: text("source"), Code: text("code"), Message: text("message"), Retry: text("retry")}
		default:
			drawOperation(t, &r)
		}
		body := r.encode(nil)
		got, err := decodeRecord(body)
		if err != nil {
			t.Fatalf("%s: %v", r.kind, err)
		}
		if r.begun != nil {
			if !got.begun.localAt.Equal(r.begun.localAt) || got.begun.localAt.Format("150405") != r.begun.localAt.Format("150405") {
				t.Fatalf("local time %s, want %s", got.begun.localAt, r.begun.localAt)
			}
			got.begun.localAt = r.begun.localAt
		}
		if r.intent != nil {
			if !got.intent.localAt.Equal(r.intent.localAt) || got.intent.localAt.Format("150405") != r.intent.localAt.Format("150405") {
				t.Fatalf("local time %s, want %s", got.intent.localAt, r.intent.localAt)
			}
			got.intent.localAt = r.intent.localAt
		}
		if !reflect.DeepEqual(got, r) {
			t.Fatalf("%s: got %+v\nwant %+v", r.kind, got, r)
		}
		cut := rapid.IntRange(0, len(body)-1).Draw(t, "cut")
		if _, err := decodeRecord(body[:cut]); err == nil {
			t.Fatalf("%s: %d of %d bytes were accepted", r.kind, cut, len(body))
		}
		if _, err := decodeRecord(append(body, 0)); err == nil {
			t.Fatalf("%s: a surplus byte was accepted", r.kind)
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	currency, _ := iso.ParseCurrency("RUB")
	at := time.UnixMilli(1_700_000_000_000).UTC()
	f.Add((&record{kind: recordIntent, at: at, intent: &intent{merchant: "m", currency: currency, metadata: []Pair{{"k", "v"}}}}).encode(nil))
	f.Add((&record{kind: recordIntent, at: at, intent: &intent{currency: currency, rare: &rare{carried: &iso.Carried{ThreeDSVersion: "2.2.0", Channel: iso.ChannelMOTO}}}}).encode(nil))
	f.Add((&record{kind: recordAnswered, at: at, approved: true, responseCode: "00"}).encode(nil))
	f.Add((&record{kind: recordAnswered, at: at, approved: true, responseCode: "10", rare: &rare{networkID: "483290000000017", chip: "\x91\x02AB", authorized: 500}}).encode(nil))
	f.Add((&record{kind: recordUnknown, at: at, reason: "no_answer"}).encode(nil))
	f.Add((&record{kind: recordOperation, at: at, begun: &begun{kind: KindRefund, method: MethodRefund, amount: 5}}).encode(nil))
	f.Add((&record{kind: recordOperationAnswered, at: at, op: 1, verdict: iso.ReversalDone, responseCode: "00"}).encode(nil))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := decodeRecord(body)
		if err != nil {
			return
		}
		again, err := decodeRecord(r.encode(nil))
		if err != nil || again.kind != r.kind {
			t.Fatalf("a readable record does not survive: %v", err)
		}
	})
}
