package iso

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"
)

// The worked messages of one purchase, and of one timeout with its reversal:
// the same facts in both general dialects of the 1987 edition.
var workedMessages = []struct {
	name, ascii, binary string
	build               func(t *testing.T, d *Dialect, m *Message)
}{
	{
		"sign-on",
		"0800822000000000000004000000000000000612081500000001001",
		"08008220000000000000040000000000000006120815000000010001",
		func(t *testing.T, d *Dialect, m *Message) { build(t, d, OpSignOn, signOn(), m) },
	},
	{
		"sign-on answer",
		"081082200000020000000400000000000000061208150000000100001",
		"081082200000020000000400000000000000061208150000000130300001",
		func(t *testing.T, d *Dialect, m *Message) {
			answer(t, d, request(t, d, OpSignOn, signOn()), &Values{ResponseCode: "00"}, m)
		},
	},
	{
		"purchase",
		"0200723C448108E0800016411111111111111100000000000001250006120820010001231020010612301254118125906123456616308000123TERM0001MERCHANT0000001DEMO SHOP 1           BERLIN       BE DE978",
		"0200723C448108E080001641111111111111110000000000000125000612082001000123102001061230125411081259061234563631363330383030303132335445524D303030314D45524348414E543030303030303144454D4F2053484F50203120202020202020202020204245524C494E2020202020202042452044450978",
		func(t *testing.T, d *Dialect, m *Message) { build(t, d, OpPurchase, purchase(), m) },
	},
	{
		"purchase answer",
		"0210322200010EC080000000000000000125000612082001000123061206123456616308000123A1B2C300TERM0001MERCHANT0000001978",
		"0210322200010EC08000000000000000012500061208200100012306120612345636313633303830303031323341314232433330305445524D303030314D45524348414E54303030303030310978",
		func(t *testing.T, d *Dialect, m *Message) {
			answer(t, d, request(t, d, OpPurchase, purchase()), &Values{ResponseCode: "00", ApprovalCode: "A1B2C3", SentAt: purchase().SentAt}, m)
		},
	},
	{
		"reversal",
		"0420F23C448108C08100000000400000000016411111111111111100000000000001250006120821370001251021050612301254118125906123456616308000124TERM0001MERCHANT00000019780044021020000012406120821050000012345600000000000",
		"0420F23C448108C0810000000040000000001641111111111111110000000000000125000612082137000125102105061230125411081259061234563631363330383030303132345445524D303030314D45524348414E54303030303030310978000434303231020000012406120821050000012345600000000000",
		func(t *testing.T, d *Dialect, m *Message) { build(t, d, OpReversal, reversal(), m) },
	},
	{
		"reversal repeat",
		"0421F23C448108C08100000000400000000016411111111111111100000000000001250006120821370001251021050612301254118125906123456616308000124TERM0001MERCHANT00000019780044021020000012406120821050000012345600000000000",
		"0421F23C448108C0810000000040000000001641111111111111110000000000000125000612082137000125102105061230125411081259061234563631363330383030303132345445524D303030314D45524348414E54303030303030310978000434303231020000012406120821050000012345600000000000",
		func(t *testing.T, d *Dialect, m *Message) {
			build(t, d, OpReversal, reversal(), m)
			d.BuildRepeat(m)
		},
	},
	{
		"reversal answer",
		"0430B22000010AC08000000000400000000000000000000001250006120821370001250612345661630800012400TERM0001MERCHANT0000001978020000012406120821050000012345600000000000",
		"0430B22000010AC08000000000400000000000000000000001250006120821370001250612345636313633303830303031323430305445524D303030314D45524348414E54303030303030310978020000012406120821050000012345600000000000",
		func(t *testing.T, d *Dialect, m *Message) {
			answer(t, d, request(t, d, OpReversal, reversal()), &Values{ResponseCode: "00"}, m)
		},
	},
	{
		"late answer",
		"0210322200010EC080000000000000000125000612082105000124061206123456616308000124D4E5F600TERM0001MERCHANT0000001978",
		"0210322200010EC08000000000000000012500061208210500012406120612345636313633303830303031323444344535463630305445524D303030314D45524348414E54303030303030310978",
		func(t *testing.T, d *Dialect, m *Message) {
			v := latePurchase()
			answer(t, d, request(t, d, OpPurchase, v), &Values{ResponseCode: "00", ApprovalCode: "D4E5F6", SentAt: v.SentAt}, m)
		},
	},
}

var berlin = time.FixedZone("CEST", 2*60*60)

func mustPAN(digits string) PAN {
	p, err := ParsePAN([]byte(digits))
	if err != nil {
		panic(err)
	}
	return p
}

func mustCurrency(alpha string) Currency {
	c, err := ParseCurrency(alpha)
	if err != nil {
		panic(err)
	}
	return c
}

func signOn() *Values {
	return &Values{STAN: 1, SentAt: time.Date(2026, 6, 12, 8, 15, 0, 0, time.UTC)}
}

func purchase() *Values {
	at := time.Date(2026, 6, 12, 8, 20, 1, 0, time.UTC)
	return &Values{
		PAN: mustPAN("4111111111111111"), Expiry: Expiry{2030, 12}, Amount: 12500, Currency: mustCurrency("EUR"),
		STAN: 123, RRN: "616308000123", SentAt: at, LocalAt: at.In(berlin), Terminal: "TERM0001",
		Merchant: "MERCHANT0000001", MCC: "5411", NameLocation: "DEMO SHOP 1           BERLIN       BE DE",
		Acquirer: "123456",
	}
}

func latePurchase() *Values {
	v := purchase()
	v.STAN, v.RRN, v.SentAt = 124, "616308000124", time.Date(2026, 6, 12, 8, 21, 5, 0, time.UTC)
	v.LocalAt = v.SentAt.In(berlin)
	return v
}

func reversal() *Values {
	v := latePurchase()
	v.Original = Original{MTI: MTIFinancial, STAN: v.STAN, SentAt: v.SentAt, Acquirer: v.Acquirer}
	v.STAN, v.SentAt, v.Reason = 125, time.Date(2026, 6, 12, 8, 21, 37, 0, time.UTC), ReasonTimeout
	return v
}

func build(t testing.TB, d *Dialect, op Operation, v *Values, m *Message) {
	t.Helper()
	if err := d.Build(op, v, m); err != nil {
		t.Fatal(err)
	}
}

func request(t testing.TB, d *Dialect, op Operation, v *Values) *Message {
	t.Helper()
	m := new(Message)
	build(t, d, op, v, m)
	return m
}

func answer(t testing.TB, d *Dialect, req *Message, v *Values, m *Message) {
	t.Helper()
	if err := d.Answer(req, v, m); err != nil {
		t.Fatal(err)
	}
}

func builtin(t testing.TB, name string) *Dialect {
	t.Helper()
	d, err := Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// generic87 are the dialects of the worked messages.
var generic87 = []string{"ascii87", "binary87"}

// wire is the message's bytes in each of them.
func wire(t testing.TB, ascii, binary string) map[string][]byte {
	t.Helper()
	raw, err := hex.DecodeString(binary)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"ascii87": []byte(ascii), "binary87": raw}
}

func TestWorkedMessagesComeOutOfValues(t *testing.T) {
	for _, w := range workedMessages {
		for name, want := range wire(t, w.ascii, w.binary) {
			d := builtin(t, name)
			var m, back Message
			w.build(t, d, &m)
			got, err := d.AppendBody(nil, &m)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s %s: %v\n got %q\nwant %q", name, w.name, err, got, want)
				continue
			}
			if err := d.Decode(want, &back); err != nil || !sameMessage(&m, &back) {
				t.Errorf("%s %s: does not decode to what was built: %v", name, w.name, err)
			}
			if err := d.moovAgrees(want, &m); err != nil {
				t.Errorf("%s %s: %v", name, w.name, err)
			}
		}
	}
}

func sameMessage(a, b *Message) bool {
	return bytes.Equal(a.AppendCompact(nil), b.AppendCompact(nil))
}

func TestPublicVectors(t *testing.T) {
	ascii := builtin(t, "ascii87")
	bank, err := ParseDialect("base24.yaml", variant(t, "ascii87",
		"header: {kind: none}", `header: {kind: literal, text: "ISO006000010", receive: same}`,
		"kind: len-ascii, width: 4", "kind: len-bin, width: 2"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		d      *Dialect
		header string
		body   string
		mti    MTI
		fields map[int]string
	}{
		{ascii, "", "01007000000000000000164242424242424242123456000000000100", 0x0100,
			map[int]string{2: "4242424242424242", 3: "123456", 4: "000000000100"}},
		{ascii, "", "0800823A0000000000000400000000000000042009061390000109061304200420001", 0x0800,
			map[int]string{7: "0420090613", 11: "900001", 12: "090613", 13: "0420", 15: "0420", 70: "001"}},
		{bank, "ISO006000010", "0800822000000000000004000000000000000619111236000001301", 0x0800,
			map[int]string{7: "0619111236", 11: "000001", 70: "301"}},
	} {
		var m, want Message
		want.MTI = v.mti
		for f, text := range v.fields {
			want.SetString(f, text)
		}
		frame, err := v.d.AppendFrame(nil, &want)
		if err != nil || !bytes.HasSuffix(frame, []byte(v.header+v.body)) {
			t.Fatalf("%s: wrote %q, %v", v.body, frame, err)
		}
		body, n, err := v.d.NextFrame(append(frame, "next"...))
		if err != nil || n != len(frame) || string(body) != v.body {
			t.Fatalf("%s: framed %q, %d, %v", v.body, body, n, err)
		}
		if err := v.d.Decode(body, &m); err != nil || !sameMessage(&m, &want) {
			t.Errorf("%s: read %v", v.body, err)
		}
	}
	if _, _, err := bank.NextFrame([]byte("\x00\x10ISO0060000200800")); !errors.Is(err, ErrFrameHeader) {
		t.Errorf("another header: %v", err)
	}
}

// variant is a built-in file with texts replaced, each of which must occur.
func variant(t testing.TB, name string, replace ...string) []byte {
	t.Helper()
	text, err := BuiltinFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !bytes.Contains(text, []byte(replace[i])) {
			t.Fatalf("%s holds no %q", name, replace[i])
		}
		text = bytes.ReplaceAll(text, []byte(replace[i]), []byte(replace[i+1]))
	}
	return text
}
