package frontend

import (
	"strconv"
	"strings"
	"testing"
)

// TestCarriedRules names what few payments may not say.
func TestCarriedRules(t *testing.T) {
	for _, tt := range []struct{ member, want string }{
		{`"channel":"fax"`, "/channel unknown_value"},
		{`"channel":"chip"`, "/channel unknown_value"},
		{`"channel":7`, "/channel wrong_type"},
		{`"stored_credential":"second"`, "/stored_credential unknown_value"},
		{`"stored_credential":"recurring"`, "/stored_credential invalid_value"},
		{`"stored_credential":"first","initiator":"merchant"`, "/stored_credential invalid_value"},
		{`"stored_credential":"subsequent","save_card":true,"customer":{"id":"a"}`, "/stored_credential invalid_value"},
		{`"network_transaction_id":"483290000000017"`, "/network_transaction_id invalid_value"},
		{`"network_transaction_id":"","initiator":"merchant"`, "/network_transaction_id too_short"},
		{`"network_transaction_id":"` + strings.Repeat("1", 41) + `","initiator":"merchant"`, "/network_transaction_id too_long"},
		{`"network_transaction_id":"a b","initiator":"merchant"`, "/network_transaction_id invalid_characters"},
		{`"network_transaction_id":"4111111111111111","initiator":"merchant"`, "/network_transaction_id card_number_not_allowed"},
		{`"instalments":{}`, "/instalments/count required"},
		{`"instalments":{"count":1}`, "/instalments/count out_of_range"},
		{`"instalments":{"count":100}`, "/instalments/count out_of_range"},
		{`"instalments":{"count":2,"plan":""}`, "/instalments/plan too_short"},
		{`"instalments":{"count":2,"plan":"4111111111111111"}`, "/instalments/plan card_number_not_allowed"},
		{`"instalments":{"count":2,"type":"bank"}`, "/instalments/type unknown_value"},
		{`"instalments":{"count":2,"months":3}`, "/instalments/months unknown_field"},
		{`"instalments":12`, "/instalments wrong_type"},
	} {
		_, faults := decodeText(t, also(tt.member))
		if len(faults) != 1 || faults[0].pointer+" "+faults[0].code != tt.want {
			t.Errorf("%s: %+v, want %s", tt.member, faults, tt.want)
		}
	}
}

// TestCarriedDecode: nothing of the texts aliases the body.
func TestCarriedDecode(t *testing.T) {
	r, faults := decodeText(t, also(`"initiator":"merchant","channel":"moto","stored_credential":"instalment","network_transaction_id":"483290000000017",
 "instalments":{"count":12,"plan":"SPRING","type":"issuer"}`))
	if faults != nil {
		t.Fatal(faults)
	}
	c := r.Carried
	if c.Channel.String() != "moto" || c.Credential.String() != "instalment" || c.InitialTransactionID != "483290000000017" ||
		c.Instalments.Count != 12 || c.Instalments.Plan != "SPRING" || c.Instalments.Type.String() != "issuer" {
		t.Errorf("%+v", c)
	}
	if r, faults = decodeText(t, also(`"channel":null,"stored_credential":null,"network_transaction_id":null,"instalments":null`)); faults != nil || r.Carried != nil {
		t.Errorf("nulls: %+v, %v", r.Carried, faults)
	}
}

const (
	tokenMethod    = `"type":"network_token","network_token":{"number":"4000000001260001","exp_month":12,"exp_year":2028,"cryptogram":"AgAAAAAABk4DWZ4C28yUQAAAAAA=","eci":"05","wallet":"mir_pay","token_requestor_id":"40010030273"}`
	terminalMethod = `"type":"card_present","card_present":{"entry":"chip","track2":"4111111111111111D28122010000012345678","emv":"9f2608E1D2C3B4A5968778","sequence":"001"}`
)

func byMethod(method, more string) string {
	return `{"amount":100,"currency":"RUB","payment_method":{` + method + `}` + more + `}`
}

// pinned is a request by a terminal with a PIN.
func pinned(pin string) string {
	return byMethod(strings.Replace(terminalMethod, `"sequence":"001"`, `"pin":{`+pin+`}`, 1), "")
}

// TestOtherMethods: network tokens and cards that are present, decoded whole.
func TestOtherMethods(t *testing.T) {
	r, faults := decodeText(t, byMethod(tokenMethod, `,"accept_partial":true`))
	if faults != nil {
		t.Fatal(faults)
	}
	if c := r.Carried; !c.NetworkToken || c.Wallet.String() != "mir_pay" || c.TokenRequestor != "40010030273" || !c.AcceptPartial || r.ThreeDS.ECI != "05" ||
		string(r.PAN.Append(nil)) != "4000000001260001" || r.Expiry.Month != 12 || string(r.Secrets.Cryptogram.Append(nil)) != "AgAAAAAABk4DWZ4C28yUQAAAAAA=" {
		t.Errorf("the token: %+v, %v", c, r.Expiry)
	}
	if r, faults = decodeText(t, byMethod(terminalMethod, "")); faults != nil {
		t.Fatal(faults)
	}
	if c := r.Carried; c.Channel.String() != "chip" || c.CardSequence != "001" || string(r.PAN.Append(nil)) != "4111111111111111" || r.Expiry.Year != 2028 || r.Expiry.Month != 12 ||
		string(r.Secrets.Track2.Append(nil)) != "4111111111111111=28122010000012345678" || string(r.Secrets.EMV.Append(nil)) != "\x9f\x26\x08\xe1\xd2\xc3\xb4\xa5\x96\x87\x78" {
		t.Errorf("the terminal: %+v, %v", c, r.Expiry)
	}
}

// TestOtherMethodRules names what is wrong with them; no fault quotes a value.
func TestOtherMethodRules(t *testing.T) {
	change := func(method, from, to string) string { return strings.Replace(method, from, to, 1) }
	long := strings.Repeat("A", 65)
	for _, tt := range []struct{ body, want string }{
		{byMethod(`"type":"network_token"`, ""), "/payment_method/network_token required"},
		{byMethod(`"type":"card_present"`, ""), "/payment_method/card_present required"},
		{byMethod(change(tokenMethod, "network_token", "card"), ""), "/payment_method/card required, /payment_method/network_token invalid_value"},
		{byMethod(change(tokenMethod, `"number":"4000000001260001",`, ""), ""), "/payment_method/network_token/number required"},
		{byMethod(change(tokenMethod, "4000000001260001", "4000000001260002"), ""), "/payment_method/network_token/number invalid_check_digit"},
		{byMethod(change(tokenMethod, `"exp_month":12,`, ""), ""), "/payment_method/network_token/exp_month required"},
		{byMethod(change(tokenMethod, "2028", "2020"), ""), "/payment_method/network_token/exp_month expired"},
		{byMethod(change(tokenMethod, "AgAAAAAABk4DWZ4C28yUQAAAAAA=", long), ""), "/payment_method/network_token/cryptogram too_long"},
		{byMethod(change(tokenMethod, "AgAAAAAABk4DWZ4C28yUQAAAAAA=", "a b"), ""), "/payment_method/network_token/cryptogram invalid_characters"},
		{byMethod(change(tokenMethod, `"05"`, `"5"`), ""), "/payment_method/network_token/eci too_short"},
		{byMethod(change(tokenMethod, "mir_pay", "my_pay"), ""), "/payment_method/network_token/wallet unknown_value"},
		{byMethod(change(tokenMethod, "40010030273", "x"), ""), "/payment_method/network_token/token_requestor_id invalid_format"},
		{byMethod(change(tokenMethod, `"wallet"`, `"purse"`), ""), "/payment_method/network_token/purse unknown_field"},
		{byMethod(tokenMethod, `,"three_ds":{"eci":"05"}`), "/three_ds/eci invalid_value"},
		{byMethod(tokenMethod, `,"save_card":true,"customer":{"id":"a"}`), "/save_card invalid_value"},
		{byMethod(tokenMethod+`,"card":{"number":"4111111111111111","exp_month":12,"exp_year":2028}`, ""), "/payment_method/card invalid_value"},
		{byMethod(tokenMethod, `,"order_id":"4000000001260001"`), "/order_id card_number_not_allowed"},
		{byMethod(change(terminalMethod, `"entry":"chip",`, ""), ""), "/payment_method/card_present/entry required"},
		{byMethod(change(terminalMethod, `"chip"`, `"moto"`), ""), "/payment_method/card_present/entry unknown_value"},
		{byMethod(change(terminalMethod, `"emv":"9f2608E1D2C3B4A5968778",`, ""), ""), "/payment_method/card_present/emv required"},
		{byMethod(change(terminalMethod, "9f26", "9f2"), ""), "/payment_method/card_present/emv invalid_format"},
		{byMethod(change(terminalMethod, "9f26", "zz26"), ""), "/payment_method/card_present/emv invalid_characters"},
		{byMethod(change(terminalMethod, "1111D2812", "1112D2812"), ""), "/payment_method/card_present/track2 invalid_format"},
		{byMethod(change(terminalMethod, "D2812", "D2813"), ""), "/payment_method/card_present/track2 invalid_format"},
		{byMethod(change(terminalMethod, "D2812", "D2012"), ""), "/payment_method/card_present/track2 expired"},
		{byMethod(change(terminalMethod, "D28122010000012345678", "D28122"), ""), "/payment_method/card_present/track2 invalid_format"},
		{byMethod(change(terminalMethod, "12345678", "1234=678"), ""), "/payment_method/card_present/track2 invalid_format"},
		{byMethod(change(terminalMethod, "12345678", "12345678901234567890"), ""), "/payment_method/card_present/track2 too_long"},
		{byMethod(change(terminalMethod, `"001"`, `"1"`), ""), "/payment_method/card_present/sequence too_short"},
		{byMethod(change(terminalMethod, `"sequence":"001"`, `"pin_block":"0123456789ABCDEF"`), ""), "/payment_method/card_present/pin_block unknown_field"},
		{pinned(`"format":0,"block":"0123456789ABCDEF","ksn":"FFFF9876543210E00003"`), ""},
		{pinned(`"format":4,"block":"0123456789ABCDEF0123456789abcdef","key":"lane-1"`), ""},
		{pinned(`"block":"0123456789ABCDEF","key":"lane-1"`), "/payment_method/card_present/pin/format required"},
		{pinned(`"format":2,"block":"0123456789ABCDEF","key":"lane-1"`), "/payment_method/card_present/pin/format unknown_value"},
		{pinned(`"format":5,"block":"0123456789ABCDEF","key":"lane-1"`), "/payment_method/card_present/pin/format out_of_range"},
		{pinned(`"format":0,"key":"lane-1"`), "/payment_method/card_present/pin/block required"},
		{pinned(`"format":0,"block":"0123456789ABCDE","key":"lane-1"`), "/payment_method/card_present/pin/block invalid_format"},
		{pinned(`"format":0,"block":"0123456789ABCDEG","key":"lane-1"`), "/payment_method/card_present/pin/block invalid_characters"},
		{pinned(`"format":4,"block":"0123456789ABCDEF","key":"lane-1"`), "/payment_method/card_present/pin/block invalid_length"},
		{pinned(`"format":0,"block":"0123456789ABCDEF0123456789ABCDEF","key":"lane-1"`), "/payment_method/card_present/pin/block invalid_length"},
		{pinned(`"format":0,"block":"0123456789ABCDEF"`), "/payment_method/card_present/pin/ksn required"},
		{pinned(`"format":0,"block":"0123456789ABCDEF","ksn":"FFFF98"`), "/payment_method/card_present/pin/ksn invalid_length"},
		{pinned(`"format":0,"block":"0123456789ABCDEF","ksn":"FFFF9876543210E00003","key":"lane-1"`), "/payment_method/card_present/pin/key invalid_value"},
		{pinned(`"format":0,"block":"0123456789ABCDEF","key":"lane-1","pin":"1234"`), "/payment_method/card_present/pin/pin unknown_field"},
		{byMethod(terminalMethod+`,"pin":{}`, ""), "/payment_method/pin unknown_field"},
		{byMethod(change(terminalMethod, "9f2608", "9f2609"), ""), "/payment_method/card_present/emv invalid_format"},
		{byMethod(change(terminalMethod, `"emv":"9f2608E1D2C3B4A5968778"`, `"emv":"950095009500"`), ""), "/payment_method/card_present/emv invalid_format"},
		{byMethod(terminalMethod, `,"channel":"moto"`), "/channel invalid_value"},
		{byMethod(terminalMethod, `,"three_ds":{"cavv":"AAAB"}`), "/three_ds invalid_value"},
		{byMethod(terminalMethod, `,"accept_partial":1`), "/accept_partial wrong_type"},
	} {
		_, faults := decodeText(t, tt.body)
		var got []string
		for _, f := range faults {
			got = append(got, f.pointer+" "+f.code)
			for _, secret := range []string{"4111", long, "0123456789ABCDEF", "12345678"} {
				if strings.Contains(f.detail+f.pointer, secret) {
					t.Errorf("%s quotes: %+v", tt.want, f)
				}
			}
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s\n got %v\nwant %s", tt.body, got, tt.want)
		}
	}
}

// TestCarriedOverTheAPI: what was asked comes back in the payment, no secret
// does, and what a bank cannot be told names the member.
func TestCarriedOverTheAPI(t *testing.T) {
	s := openShop(t, nil)
	for i, tt := range []struct{ body, want string }{
		{also(`"initiator":"merchant","stored_credential":"recurring","network_transaction_id":"` + strings.Repeat("Z", 40) + `"`),
			`"initiator":"merchant","channel":"ecommerce","stored_credential":"recurring","network_transaction_id":"483290000000001","initial_network_transaction_id":"` + strings.Repeat("Z", 40) + `"`},
		{also(`"channel":"moto","instalments":{"count":6}`), `"channel":"moto","stored_credential":null,"network_transaction_id":null,"initial_network_transaction_id":null,"three_ds":null,"instalments":{"count":6,"plan":null,"type":null}`},
		{also(`"three_ds":{"eci":"05","cavv":"AAABBEg0VhI0VniQEjRWAAAAAAA=","version":"2.2.0"}`), `"three_ds":{"eci":"05","version":"2.2.0"}`},
		{byMethod(tokenMethod, ""), `"payment_method":{"type":"network_token","token":null,"wallet":"mir_pay"}`},
		{byMethod(`"type":"card","card":{"number":"4000000001010000","exp_month":12,"exp_year":2028}`, `,"accept_partial":true`), `"amount":100,"amount_authorized":50,"amount_captured":50`},
	} {
		r := s.want("201", "POST /v1/payments", tt.body, "Idempotency-Key", "k"+strconv.Itoa(i))
		if !strings.Contains(r.body, tt.want) || strings.Contains(r.body, "AgAAAA") || strings.Contains(r.body, "AAABBE") {
			t.Errorf("%s\nanswered %s\nwant %s", tt.body, r.body, tt.want)
		}
	}
	s.want("403 forbidden", "POST /v1/payments", byMethod(terminalMethod, ""), "Idempotency-Key", "terminal")
	if log := s.log.String(); strings.Contains(log, "AgAAAA") || strings.Contains(log, "12345678") {
		t.Error("the log holds a secret")
	}
}

// TestExponents: amounts are minor units whatever the currency's exponent.
func TestExponents(t *testing.T) {
	s := openShop(t, nil)
	for _, alpha := range []string{"JPY", "KWD", "RUB"} {
		for _, amount := range []string{"1", "999999999999"} {
			body := strings.NewReplacer("RUB", alpha, "129900", amount).Replace(leanBody)
			r := s.want("201", "POST /v1/payments", body, "Idempotency-Key", alpha+amount)
			if want := `"amount_captured":` + amount + `,"amount_refunded":0,"currency":"` + alpha + `"`; !strings.Contains(r.body, want) {
				t.Errorf("%s %s: %s", amount, alpha, r.body)
			}
		}
	}
}
