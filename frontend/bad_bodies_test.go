package frontend

import (
	"fmt"
	"strings"
)

type badBody struct{ name, body string }

// badBodies are requests that must be refused; testdata/bad_bodies.golden holds
// the answers.
func badBodies() []badBody {
	long := func(n int) string { return strings.Repeat("x", n) }
	many := make([]string, maxMetadata+1)
	for i := range many {
		many[i] = fmt.Sprintf(`"key-%d":"v"`, i)
	}
	unknown := make([]string, 20)
	for i := range unknown {
		unknown[i] = fmt.Sprintf(`"field_%c":1`, 'a'+i)
	}
	card := `"number":"4111111111111111"`
	expiry := `"exp_month":12,"exp_year":2028`
	return []badBody{
		{"empty", ""},
		{"only white space", " \n "},
		{"not json", "amount=100&currency=RUB"},
		{"cut short", leanBody[:60]},
		{"cut inside the number", leanBody[:120]},
		{"array", "[" + leanBody + "]"},
		{"null", "null"},
		{"string", `"4111111111111111"`},
		{"empty object", "{}"},
		{"trailing data", leanBody + `{"amount":1}`},
		{"trailing comma", with(`"cart":"77"`, `"cart":"77",`)},
		{"byte order mark", "\xef\xbb\xbf" + leanBody},
		{"not utf-8", with("A-1001", "A-\xff\xfe")},
		{"half a surrogate", with("A-1001", `A-\ud800`)},
		{"comment", with(`"currency"`, `/* rub */ "currency"`)},
		{"unknown field", also(`"capture_metod":"manual"`)},
		{"unknown field in the card", with(card, card+`,"pin":"1234"`)},
		{"unknown field that is a card number", also(`"4111111111111111":true`)},
		{"unknown field as deep as may be", also(`"x":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1))},
		{"unknown field with a deep value", also(`"x":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth))},
		{"unknown field with a very deep value", also(`"x":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000))},
		{"twenty unknown fields", also(strings.Join(unknown, ","))},
		{"duplicate amount", also(`"amount":1`)},
		{"duplicate by escape", also(`"\u0061mount":1`)},
		{"duplicate in the card", with(card, card+`,"number":"5555555555554444"`)},
		{"duplicate metadata", with(`"cart":"77"`, `"cart":"77","cart":"78"`)},
		{"amount missing", with(`"amount":129900,`, "")},
		{"amount null", with("129900", "null")},
		{"amount as text", with("129900", `"129900"`)},
		{"amount with a fraction", with("129900", "1299.00")},
		{"amount with an exponent", with("129900", "1299e2")},
		{"amount zero", with("129900", "0")},
		{"amount negative", with("129900", "-129900")},
		{"amount too large", with("129900", "1000000000000")},
		{"amount beyond 64 bits", with("129900", "99999999999999999999999999")},
		{"amount with a leading zero", with("129900", "0129900")},
		{"amount not a number", with("129900", "NaN")},
		{"amount an object", with("129900", `{"value":129900}`)},
		{"currency in lower case", with("RUB", "rub")},
		{"currency as a number", with(`"RUB"`, "643")},
		{"currency unknown", with("RUB", "ZZZ")},
		{"order id empty", with("A-1001", "")},
		{"order id too long", with("A-1001", long(maxOrderID+1))},
		{"order id with a control character", with("A-1001", `A\u00001`)},
		{"order id is the card number", with("A-1001", "4111111111111111")},
		{"capture method unknown", also(`"capture_method":"later"`)},
		{"initiator unknown", also(`"initiator":"me"`)},
		{"bank with a space", also(`"bank":"al fa"`)},
		{"payment method missing", `{"amount":1,"currency":"RUB"}`},
		{"payment method as text", `{"amount":1,"currency":"RUB","payment_method":"4111111111111111"}`},
		{"payment method type unknown", with(`"type":"card"`, `"type":"cash"`)},
		{"payment method type missing", with(`"type":"card",`, "")},
		{"card missing", `{"amount":1,"currency":"RUB","payment_method":{"type":"card"}}`},
		{"card empty", `{"amount":1,"currency":"RUB","payment_method":{"type":"card","card":{}}}`},
		{"number as a number", with(`"4111111111111111"`, "4111111111111111")},
		{"number with a wrong digit", with("4111111111111111", "4111111111111112")},
		{"number with spaces", with("4111111111111111", "4111 1111 1111 1111")},
		{"number with an escape", with("4111111111111111", `4\u0031111111111111111`)},
		{"number too short", with("4111111111111111", "41111111111")},
		{"number too long", with("4111111111111111", strings.Repeat("4", 20))},
		{"number empty", with("4111111111111111", "")},
		{"month 13", with(expiry, `"exp_month":13,"exp_year":2028`)},
		{"month as text", with(expiry, `"exp_month":"12","exp_year":2028`)},
		{"year of two digits", with(expiry, `"exp_month":12,"exp_year":28`)},
		{"year missing", with(`,"exp_year":2028`, "")},
		{"card expired", with(expiry, `"exp_month":10,"exp_year":2026`)},
		{"cvc too short", with(`"123"`, `"12"`)},
		{"cvc of letters", with(`"123"`, `"abc"`)},
		{"cvc as a number", with(`"123"`, "123")},
		{"holder too long", with(`"cvc":"123"`, `"holder":"`+long(maxHolder+1)+`"`)},
		{"eci of letters", also(`"three_ds":{"eci":"XX"}`)},
		{"cavv too long", also(`"three_ds":{"cavv":"` + long(maxThreeDSText+1) + `"}`)},
		{"description too long", also(`"description":"` + long(maxDescription+1) + `"`)},
		{"description with the card number", also(`"description":"card 4111111111111111, thanks"`)},
		{"email without a domain", also(`"customer":{"email":"petrov@"}`)},
		{"email with two ats", also(`"customer":{"email":"a@b@c.example"}`)},
		{"customer with a phone", also(`"customer":{"phone":"+70000000000"}`)},
		{"metadata as a list", with(`{"cart":"77"}`, `["cart"]`)},
		{"metadata with a number", with(`"77"`, "77")},
		{"metadata with an object", with(`"77"`, `{"a":"b"}`)},
		{"metadata of 51 pairs", with(`"cart":"77"`, strings.Join(many, ","))},
		{"metadata key too long", with(`"cart"`, `"`+long(maxMetadataKey+1)+`"`)},
		{"metadata key empty", with(`"cart"`, `""`)},
		{"metadata value too long", with(`"77"`, `"`+long(maxMetadataValue+1)+`"`)},
		{"metadata value is another card number", with(`"77"`, `"5555 5555-5555 4444"`)},
		{"metadata value holds the card number", with(`"77"`, `"pan=4111111111111111"`)},
		{"metadata key is a card number", with(`"cart"`, `"5555555555554444"`)},
		{"several at once", `{"amount":"1","currency":"rub","oder_id":"A","payment_method":{"type":"card","card":{"number":"4111111111111112","exp_month":0,"cvc":"1"}}}`},
	}
}
