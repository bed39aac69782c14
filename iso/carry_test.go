package iso

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// everything is a purchase that carries all there is.
func everything() *Values {
	v := purchase()
	v.ECI, v.CAVV, v.DSTransactionID = "05", "AAABBWFlmQAAAABjRWWZEEFgFz+=", "f38e6948-5388-41a6-bca4-b49723c19437"
	v.Carried = &Carried{
		Channel: ChannelContactless, Credential: CredentialRecurring, InitialTransactionID: "483297487231504", ThreeDSVersion: "2.2.0",
		TokenRequestor: "40010030273", Wallet: WalletMir, Instalments: Instalments{Count: 12, Plan: "SPRING", Type: InstalmentsByIssuer},
		AcceptPartial: true, CardSequence: "001",
	}
	v.Secrets = &Secrets{Cryptogram: NewSecret([]byte("AgAAAAAABk4DWZ4C28yUQAAAAAA=")), Track2: NewSecret([]byte("4111111111111111=30122010000000000")),
		EMV: NewSecret([]byte{0x9F, 0x26, 0x02, 0xAB, 0x00})}
	return v
}

// What a payment carries lies on the wire as the dialect says, agrees with the
// second codec, and the bank reads it back.
func TestCarriedOnTheWire(t *testing.T) {
	for name, want := range map[string]map[int]string{
		"ascii87": {22: "072", 23: "001", 25: "00", 35: "4111111111111111=30122010000000000", 55: "\x9F\x26\x02\xAB\x00",
			48: "4000205" + "41028AAABBWFlmQAAAABjRWWZEEFgFz+=" + "42036f38e6948-5388-41a6-bca4-b49723c19437" + "430052.2.0" + "44001R" + "45015483297487231504" +
				"46028AgAAAAAABk4DWZ4C28yUQAAAAAA=" + "4701140010030273" + "4800204" + "5000212" + "51006SPRING" + "52001I" + "530011"},
		"binary87": {22: "072", 23: "001", 25: "00", 35: "4111111111111111=30122010000000000", 55: "\x9F\x26\x02\xAB\x00", 62: "483297487231504",
			48: "4000205" + "41028AAABBWFlmQAAAABjRWWZEEFgFz+=" + "42036f38e6948-5388-41a6-bca4-b49723c19437" + "430052.2.0" + "44001R" +
				"46028AgAAAAAABk4DWZ4C28yUQAAAAAA=" + "4701140010030273" + "4800204" + "530011"},
	} {
		d, v := builtin(t, name), everything()
		for _, op := range []Operation{OpPurchase, OpAuthorization} {
			m := request(t, d, op, v)
			for field, value := range want {
				if string(m.Get(field)) != value {
					t.Errorf("%s %s: field %d is %q, want %q", name, op, field, m.Get(field), value)
				}
			}
			body, err := d.AppendBody(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.moovAgrees(body, m); err != nil {
				t.Errorf("%s %s: %v", name, op, err)
			}
			var back Message
			var s Seen
			if err := d.Decode(body, &back); err != nil || !sameMessage(m, &back) {
				t.Fatalf("%s %s: %v", name, op, err)
			}
			d.See(&back, &s)
			seen := Seen{Carried: *v.Carried, CAVV: true, Cryptogram: true, Track2: true, EMV: true}
			if name == "binary87" {
				seen.Instalments = Instalments{}
			}
			if s != seen {
				t.Errorf("%s %s: the bank reads %+v, want %+v", name, op, s, seen)
			}
		}
	}
}

// A plain purchase has none of it.
func TestPlainCarriesNothing(t *testing.T) {
	for _, name := range Builtins() {
		d := builtin(t, name)
		m := request(t, d, OpPurchase, purchase())
		var s Seen
		if d.See(m, &s); s != (Seen{}) {
			t.Errorf("%s: %+v", name, s)
		}
		if err := d.Carries(OpPurchase, purchase()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := testing.AllocsPerRun(100, func() { build(t, d, OpPurchase, purchase(), m) }); n > 1 { // the values themselves
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// The id of the card network comes out of an answer where the dialect puts it.
func TestNetworkTransactionID(t *testing.T) {
	for _, name := range generic87 {
		d := builtin(t, name)
		req, ans := request(t, d, OpPurchase, purchase()), new(Message)
		answer(t, d, req, &Values{ResponseCode: "00"}, ans)
		if got := d.NetworkTransactionID(ans); got != nil {
			t.Errorf("%s: %q of an answer without", name, got)
		}
		answer(t, d, req, &Values{ResponseCode: "00", Carried: &Carried{InitialTransactionID: "483297487231504"}}, ans)
		if got := d.NetworkTransactionID(ans); string(got) != "483297487231504" {
			t.Errorf("%s: %q", name, got)
		}
		body, err := d.AppendBody(nil, ans)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.moovAgrees(body, ans); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := d.Verify(req, ans); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := builtin(t, "ascii87")
	var m Message
	m.MTI = MTIFinancialAnswer
	for _, broken := range []string{"", "45", "45015", "4501548329", "4501x48329", "99003abc"} {
		if m.SetString(48, broken); d.NetworkTransactionID(&m) != nil {
			t.Errorf("%q: %q", broken, d.NetworkTransactionID(&m))
		}
	}
	if m.SetString(48, "99003abc45002xy"); string(d.NetworkTransactionID(&m)) != "xy" {
		t.Errorf("behind another part: %q", d.NetworkTransactionID(&m))
	}
}

// What a bank's message has no field or no code for is named.
func TestCarriesNamesWhatCannotBeTold(t *testing.T) {
	plain, err := ParseDialect("plain.yaml", variant(t, "ascii87", "22: {from: entry_mode}", `22: {const: "812"}`, "25: {from: condition}", `25: {const: "59"}`,
		`          "44": {from: credential}`+"\n", "", `          "41": {from: cavv}`+"\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	ascii, binary := builtin(t, "ascii87"), builtin(t, "binary87")
	for _, c := range []struct {
		d    *Dialect
		op   Operation
		v    Values
		want string
	}{
		{plain, OpPurchase, Values{Carried: &Carried{Channel: ChannelMOTO}}, "the bank's purchase has no field for entry_mode"},
		{plain, OpPurchase, Values{Carried: &Carried{Credential: CredentialFirst}}, "no field for credential"},
		{plain, OpPurchase, Values{CAVV: "AAAB"}, "no field for cavv"},
		{plain, OpPurchase, Values{Carried: &Carried{Wallet: WalletApple, ThreeDSVersion: "2.2.0", AcceptPartial: true}, DSTransactionID: "x"}, ""},
		{binary, OpAuthorization, Values{Carried: &Carried{Instalments: Instalments{Count: 3}}}, "the bank's authorization has no field for instalment_count"},
		{binary, OpPurchase, Values{Carried: &Carried{Credential: CredentialInstalment}}, "no credential for instalment"},
		{ascii, OpPurchase, Values{Carried: &Carried{Instalments: Instalments{Count: 3, Plan: "x", Type: InstalmentsByMerchant}, Credential: CredentialInstalment}}, ""},
		{ascii, OpVerification, Values{Secrets: &Secrets{Track2: NewSecret([]byte("4111111111111111=3012"))}}, "no field for track2"},
		{ascii, OpPurchase, Values{Secrets: &Secrets{Track2: NewSecret(bytes.Repeat([]byte("4"), 38))}}, "another form of track2"},
		{ascii, OpPurchase, Values{Carried: &Carried{CardSequence: "0x1"}}, "another form of card_sequence"},
		{ascii, OpPurchase, Values{Carried: &Carried{InitialTransactionID: strings.Repeat("1", 1000)}}, "another form of network_transaction_id"},
		{ascii, OpPurchase, *everything(), ""},
	} {
		err := c.d.Carries(c.op, &c.v)
		var wrong *CarryError
		switch {
		case c.want == "" && err != nil, c.want != "" && (!errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s %s: %v, want %q", c.d.ID(), c.op, err, c.want)
		}
	}
}

// Words and numbers: the numbers are in the journal.
func TestCarriedWords(t *testing.T) {
	for n, word := range []string{"ecommerce", "moto", "recurring", "magnetic", "chip", "contactless"} {
		if c, ok := ParseChannel(word); !ok || int(c) != n || c.String() != word {
			t.Errorf("%s: %d", word, c)
		}
	}
	for n, word := range []string{"", "first", "subsequent", "recurring", "unscheduled", "instalment"} {
		if c, ok := ParseCredential(word); ok != (n > 0) || int(c) != n || c.String() != word {
			t.Errorf("%s: %d", word, c)
		}
	}
	for n, word := range []string{"", "apple_pay", "google_pay", "samsung_pay", "mir_pay", "other"} {
		if c, ok := ParseWallet(word); ok != (n > 0) || int(c) != n || c.String() != word {
			t.Errorf("%s: %d", word, c)
		}
	}
	for n, word := range []string{"", "merchant", "issuer"} {
		if c, ok := ParseInstalmentType(word); ok != (n > 0) || int(c) != n || c.String() != word {
			t.Errorf("%s: %d", word, c)
		}
	}
}

// A secret shows itself nowhere, and a wiped one is gone from every copy.
func TestSecretsStayHidden(t *testing.T) {
	s := NewSecret([]byte("4111111111111111=3012"))
	again := s
	text, err := json.Marshal(map[string]any{"s": s, "x": &Secrets{Track2: s}})
	if err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%v %s %q %x %+v %#v %d", s, s, s, s, &Secrets{EMV: s}, s, s) + string(text); strings.Contains(shown, "4111") || strings.Contains(shown, "34313131") {
		t.Error(shown)
	}
	s.Wipe()
	if !s.IsZero() || len(bytes.Trim(again.Append(nil), "\x00")) != 0 {
		t.Error("a copy still has it")
	}
}
