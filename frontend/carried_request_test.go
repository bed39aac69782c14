package frontend

import (
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

// TestNotCarried: what a bank cannot be told is a fault that names the member.
func TestNotCarried(t *testing.T) {
	s := openShop(t, nil)
	for _, tt := range []struct{ member, want string }{
		{`"initiator":"merchant","stored_credential":"recurring","network_transaction_id":"` + strings.Repeat("Z", 40) + `"`, "201"},
		{`"channel":"moto","instalments":{"count":6}`, "201"},
		{`"three_ds":{"eci":"05","cavv":"AAABBEg0VhI0VniQEjRWAAAAAAA=","version":"2.2.0"}`, "201"},
	} {
		s.want(tt.want, "POST /v1/payments", also(tt.member), "Idempotency-Key", tt.member[:20])
	}
}
