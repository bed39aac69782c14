package iso

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestBuiltinProfilesLoad(t *testing.T) {
	for _, name := range BuiltinProfiles() {
		problems, err := LintProfile(name, nil)
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v %v", name, problems, err)
		}
	}
}

// goodProfile has every key; each mistake below is made in it.
const goodProfile = `meta: {schema: 1, id: alfa, version: 3}
name: {ru: "Банк", en: Bank, es: Banco}
about: {ru: "Банк", en: A bank, es: Un banco}
countries: ["643", "276"]
currencies: [RUB, EUR]
mcc: {refused: ["7995", "5811-5814"]}
cards:
  brands: [visa, mir]
  refused:
    - {product: prepaid, bins: ["411111", "220000-220099"]}
channels: [ecommerce, moto]
credentials: [first, subsequent]
network_tokens: false
max_instalments: 12
demands: [cvc, three_ds]
operations:
  purchase: {amounts: {RUB: {from: 100, to: 60000}, EUR: {to: 500}}}
  authorization:
  capture: {partial: true, several: false, over_percent: 15}
  void: {partial: false}
  refund: {partial: true, days: 90}
  increment: {lengthens: true}
  payout: {amounts: {RUB: {from: 5}}}
  verification: {}
hold: {days: 5}
business_day: {cut_over: "23:30", time_zone: Europe/Moscow}
fees:
  - {for: purchase, brands: [mir], percent: "1.9", fixed: {RUB: 10}}
  - {for: month, text: {ru: "Даром", en: Free, es: Gratis}}
joining:
  working_days: 10
  connection_days: 2
  contract: {form: bilateral, months: 12, text: {ru: "Договор", en: A contract, es: Un contrato}}
  requirements:
    - {id: extract, owner: merchant, kind: document, working_days: 3, text: {ru: "Выписка", en: An extract, es: Un extracto}}
`

// profileMistakes: the first text is replaced by the second, and the third is the
// one error that must come.
var profileMistakes = []struct{ old, new, want string }{
	{goodProfile, "", `1: the file is empty; begin with a block meta: {schema: 1, id: ..., version: ...}`},
	{"currencies: [RUB, EUR]", "currencies: [RUB", `4: not YAML: did not find expected ',' or ']'`},
	{"hold: {days: 5}\n", "hold: {days: 5}\n---\nx: 1\n", `1: a profile file holds one YAML document; remove what follows the line ---`},
	{"schema: 1", "schema: 2", `1: this program reads schema 1; write schema: 1`},
	{"id: alfa", "id: Alfa", `1: meta.id may hold a-z, 0-9 and -; write it like alfa-moscow`},
	{"version: 3", "version: new", `1: meta.version must be a whole number from 1 to 1048576`},
	{"meta: {schema: 1, id: alfa, version: 3}\n", "", `1: meta is missing; write meta: {...}`},
	{", es: Banco", "", `2: name.es is missing; write es: "one text for people"`},
	{"en: A bank", `en: ""`, `3: about.en must have 1 to 800 characters; write en: "one text for people"`},
	{"es: Un banco}", "es: Un banco, de: Bank}", `3: about has no key "de"; it has en, es, ru`},
	{`"643", "276"`, "RU", `4: countries: "RU" is not known; write ISO 3166 numeric codes like "643"`},
	{"currencies: [RUB, EUR]", "currencies: [RUB, RUR]", `5: currencies: "RUR" is not known; write ISO 4217 codes like EUR`},
	{"currencies: [RUB, EUR]", "currencies: [RUB, RUB]", `5: currencies names RUB twice; remove one`},
	{"currencies: [RUB, EUR]", "currencies: []", `5: currencies is an empty list; remove the key to take all`},
	{"currencies: [RUB, EUR]", "currencies: RUB", `5: currencies must be a list, written as [a, b]`},
	{"currencies: [RUB, EUR]", "currency: [RUB]",
		`5: the file has no key "currency"; it has about, business_day, cards, channels, countries, credentials, currencies, demands, fees, hold, joining, max_instalments, mcc, meta, name, network_tokens, operations`},
	{`["7995", "5811-5814"]`, `["799"]`, `6: mcc.refused: "799" is not known; write four digits like "5411", or a range like "5811-5814"`},
	{`"5811-5814"`, `"5814-5811"`, `6: mcc.refused: "5814-5811" is not known; write four digits like "5411", or a range like "5811-5814"`},
	{"mcc: {refused:", `mcc: {taken: ["5411"], refused:`,
		`6: mcc has either taken, and all others are refused, or refused, and all others are taken; write one of them`},
	{"brands: [visa, mir]", "brands: [visa, mira]",
		`8: cards.brands: "mira" is not known; write mir or mastercard or amex or jcb or visa or maestro or discover or unionpay`},
	{"product: prepaid", "product: postpaid",
		`10: cards.refused[0].product: "postpaid" is not known; write credit or debit or prepaid or payroll or commercial or gift or other`},
	{`"220000-220099"`, `"220000-22009900"`,
		`10: cards.refused[0].bins: "220000-22009900" is not known; write six to eight digits like "220220", or a range of equally long ones like "220000-220099"`},
	{`, bins: ["411111", "220000-220099"]`, "", `10: cards.refused[0].bins is missing; write bins: ["220000-220099"]`},
	{"channels: [ecommerce, moto]", "channels: [internet]",
		`11: channels: "internet" is not known; write ecommerce or moto or recurring or magnetic or chip or contactless`},
	{"credentials: [first, subsequent]", "credentials: [saved]",
		`12: credentials: "saved" is not known; write first or subsequent or recurring or unscheduled or instalment`},
	{"network_tokens: false", "network_tokens: never", `13: network_tokens: "never" is not known; write false or true`},
	{"max_instalments: 12", "max_instalments: 100", `14: max_instalments must be a whole number from 0 to 99`},
	{"demands: [cvc, three_ds]", "demands: [cvv]",
		`15: demands: "cvv" is not known; write three_ds or cvc or customer_email or order_id or description or network_transaction_id`},
	{"  purchase: {", "  sale: {",
		`17: operations has no key "sale"; it has authorization, capture, increment, payout, purchase, refund, verification, void`},
	{"RUB: {from: 100", "RUR: {from: 100", `17: operations.purchase.amounts: "RUR" is no currency of ISO 4217; write a code like EUR`},
	{"from: 100, to: 60000", "from: 60001, to: 60000", `17: operations.purchase.amounts.RUB: from is more than to; write the lower amount under from`},
	{"EUR: {to: 500}", "EUR: {}", `17: operations.purchase.amounts.EUR says nothing; write from: 100, to: 60000000 or both, in minor units`},
	{"EUR: {to: 500}", "EUR: {to: 5.00}", `17: operations.purchase.amounts.EUR.to must be a whole number from 1 to 999999999999`},
	{"  capture: {partial: true, several: false, over_percent: 15}\n", "",
		`17: operations.authorization holds what only a capture takes; write capture: {}`},
	{"  authorization:\n", "", `17: operations: what is captured or raised was held before; write authorization: {}`},
	{"partial: true, several: false", "partial: false, several: true",
		`19: operations.capture: where no part can be captured there is one capture; write several: false`},
	{"over_percent: 15", "over_percent: 101", `19: operations.capture.over_percent must be a whole number from 0 to 100`},
	{"void: {partial: false}", "void: {days: 3}", `20: operations.void has no key "days"; it has partial`},
	{"days: 90", "days: 0", `21: operations.refund.days must be a whole number from 1 to 3650`},
	{"lengthens: true", "lengthens: 3", `22: operations.increment.lengthens: "3" is not known; write false or true`},
	{"verification: {}", "verification: {amounts: {}}", `24: operations.verification has no key "amounts"; it has`},
	{"hold: {days: 5}", "hold: {days: 61}", `25: hold.days must be a whole number from 1 to 60`},
	{`"23:30"`, `"24:30"`, `26: business_day.cut_over: "24:30" is not a time of day; write it like "23:30"`},
	{"Europe/Moscow", "Europe/Moskau", `26: business_day.time_zone: "Europe/Moskau" is not a zone of the IANA list; write it like Europe/Moscow`},
	{"for: purchase", "for: sale",
		`28: fees[0].for: "sale" is not known; write purchase or authorization or capture or void or refund or increment or payout or verification or month or joining`},
	{`"1.9"`, `"1,9"`, `28: fees[0].percent: "1,9" is not a percentage; write it like "1.9"`},
	{"fixed: {RUB: 10}", "fixed: {RUB: ten}", `28: fees[0].fixed.RUB must be a whole number from 0 to 999999999999`},
	{"{for: month, text: {ru: \"Даром\", en: Free, es: Gratis}}", "{for: month}", `29: fees[1] says nothing; write percent, fixed or text`},
	{"working_days: 10", "working_days: 0", `31: joining.working_days must be a whole number from 1 to 250`},
	{"connection_days: 2", "connection_days: 31", `32: joining.connection_days must be a whole number from 1 to 30`},
	{"form: bilateral", "form: paper", `33: joining.contract.form: "paper" is not known; write accession or bilateral or trilateral`},
	{"months: 12", "months: -1", `33: joining.contract.months must be a whole number from 0 to 120`},
	{"owner: merchant", "owner: shop", `35: joining.requirements[0].owner: "shop" is not known; write merchant or bank or us`},
	{"kind: document", "kind: paper", `35: joining.requirements[0].kind: "paper" is not known; write document or field or check`},
	{"    - {id: extract, owner: merchant", "    - {id: extract, owner: bank, kind: check, working_days: 1, text: {ru: Б, en: B, es: B}}\n    - {id: extract, owner: merchant",
		`36: joining.requirements[1].id: "extract" is used twice; give each requirement its own`},
}

// TestEachProfileMistakeGivesOneError: every mistake gives one error, that names
// file, line and what to write instead.
func TestEachProfileMistakeGivesOneError(t *testing.T) {
	if _, problems := parseProfile("bank.yaml", []byte(goodProfile)); len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, m := range profileMistakes {
		text := strings.Replace(goodProfile, m.old, m.new, 1)
		if text == goodProfile {
			t.Errorf("the profile holds no %q", m.old)
		}
		_, problems := parseProfile("bank.yaml", []byte(text))
		switch {
		case len(problems) != 1:
			t.Errorf("%q: %d errors: %v", m.new, len(problems), problems)
		case !strings.HasPrefix(problems[0].Error(), "bank.yaml:"+m.want):
			t.Errorf("%q:\n got %s\nwant bank.yaml:%s", m.new, problems[0], m.want)
		}
	}
}

// TestServes: what does not fit is named, and nothing else.
func TestServes(t *testing.T) {
	p, err := ParseProfile("bank.yaml", []byte(goodProfile))
	if err != nil {
		t.Fatal(err)
	}
	cur := func(alpha string) Currency { c, _ := ParseCurrency(alpha); return c }
	good := Ask{Operation: OpPurchase, Amount: 100, Currency: cur("RUB"), PAN: mustPAN("4012888888881881")}
	for _, tt := range []struct {
		name   string
		change func(a *Ask)
		want   Misfit
	}{
		{"all is well", func(*Ask) {}, Fits},
		{"the currency", func(a *Ask) { a.Currency = cur("USD") }, MisfitCurrency},
		{"the last allowed amount", func(a *Ask) { a.Amount = 60000 }, Fits},
		{"too much", func(a *Ask) { a.Amount = 60001 }, MisfitAmount},
		{"too little", func(a *Ask) { a.Amount = 99 }, MisfitAmount},
		{"another currency's bound", func(a *Ask) { a.Amount, a.Currency = 501, cur("EUR") }, MisfitAmount},
		{"below no bound", func(a *Ask) { a.Amount, a.Currency = 1, cur("EUR") }, Fits},
		{"an operation without bounds", func(a *Ask) { a.Operation, a.Amount = OpAuthorization, 1 }, Fits},
		{"an operation that is no payment's", func(a *Ask) { a.Operation = OpEcho }, MisfitOperation},
		{"a verification has no amount", func(a *Ask) { a.Operation, a.Amount = OpVerification, 0 }, Fits},
		{"by telephone", func(a *Ask) { a.Channel = ChannelMOTO }, Fits},
		{"by chip", func(a *Ask) { a.Channel = ChannelChip }, MisfitChannel},
		{"a card that is kept", func(a *Ask) { a.Credential = CredentialSubsequent }, Fits},
		{"a series", func(a *Ask) { a.Credential = CredentialRecurring }, MisfitCredential},
		{"a network token", func(a *Ask) { a.NetworkToken = true }, MisfitNetworkToken},
		{"instalments", func(a *Ask) { a.Instalments = 12 }, Fits},
		{"too many instalments", func(a *Ask) { a.Instalments = 13 }, MisfitInstalments},
		{"the brand", func(a *Ask) { a.PAN = mustPAN("5500000000000004") }, MisfitBrand},
		{"a refused card", func(a *Ask) { a.PAN = mustPAN("4111111111111111") }, MisfitCard},
		{"a demand", func(a *Ask) { a.Lacks = DemandSet(0).With(DemandThreeDS) }, MisfitDemand},
		{"what is not demanded", func(a *Ask) { a.Lacks = DemandSet(0).With(DemandEmail) }, Fits},
	} {
		a := good
		tt.change(&a)
		if got := p.Serves(&a); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	for merchant, want := range map[string]Misfit{"5411 643": Fits, "7995 643": MisfitMCC, "5812 643": MisfitMCC, "5815 276": Fits, "5411 840": MisfitCountry, "x 643": MisfitMCC} {
		mcc, country, _ := strings.Cut(merchant, " ")
		if got := p.TakesMerchant(mcc, country); got != want {
			t.Errorf("%s: %q, want %q", merchant, got, want)
		}
	}
	if d, ok := p.Lacking(DemandSet(0).With(DemandThreeDS).With(DemandEmail)); !ok || d != DemandThreeDS {
		t.Errorf("lacks %s, %t", d, ok)
	}
	if n := testing.AllocsPerRun(100, func() {
		if p.Serves(&good) != Fits {
			t.Error("the good one is refused")
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// TestProfileWithoutKeysTakesAll: what is left out takes all.
func TestProfileWithoutKeysTakesAll(t *testing.T) {
	bare := strings.Join(strings.Split(goodProfile, "\n")[:3], "\n")
	p, err := ParseProfile("bank.yaml", []byte(bare))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		a := Ask{Operation: rapid.SampledFrom(ProfileOperations()).Draw(t, "operation"), Amount: rapid.Int64Range(0, maxAmount).Draw(t, "amount"),
			Currency:    Currency{at: rapid.Uint16Range(1, uint16(len(currencies)-1)).Draw(t, "currency")},
			Channel:     Channel(rapid.Uint8Range(0, uint8(channelCount)-1).Draw(t, "channel")),
			Credential:  Credential(rapid.Uint8Range(0, uint8(credentialCount)-1).Draw(t, "credential")),
			Instalments: rapid.IntRange(0, 99).Draw(t, "instalments"), NetworkToken: rapid.Bool().Draw(t, "token"), Lacks: DemandSet(rapid.Uint8Range(0, 63).Draw(t, "lacks"))}
		if got := p.Serves(&a); got != Fits {
			t.Fatalf("%+v: %q", a, got)
		}
		if got := p.TakesMerchant(fmt.Sprintf("%04d", rapid.IntRange(0, 9999).Draw(t, "mcc")), "840"); got != Fits {
			t.Fatal(got)
		}
	})
}

// TestRefusedCards: however ranges overlap, a card is refused when it is in one.
func TestRefusedCards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Profile
		lead := func(name string) int { return rapid.IntRange(40000000, 40000200).Draw(t, name) }
		type span struct{ from, to int }
		var spans []span
		for range rapid.IntRange(1, 6).Draw(t, "ranges") {
			s := span{lead("from"), lead("to")}
			if s.from > s.to {
				s.from, s.to = s.to, s.from
			}
			word := fmt.Sprint(s.from)
			if s.from < s.to {
				word = fmt.Sprintf("%d-%d", s.from, s.to)
			}
			spans = append(spans, s)
			p.Refused = append(p.Refused, CardRefusal{Bins: []string{word}})
		}
		p.compile()
		card := lead("card")
		pan := PAN{n: 16}
		copy(pan.digits[:], fmt.Sprintf("%d00000000", card))
		want := false
		for _, s := range spans {
			want = want || card >= s.from && card <= s.to
		}
		if got := p.refuses(&pan); got != want {
			t.Fatalf("card %d in %v: %t", card, spans, got)
		}
	})
}

// FuzzParseProfile: no text panics the loader, and every error names its line.
func FuzzParseProfile(f *testing.F) {
	f.Add([]byte(goodProfile))
	for _, name := range BuiltinProfiles() {
		text, err := os.ReadFile("profiles/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, problems := parseProfile("bank.yaml", text)
		for _, problem := range problems {
			if problem.Line < 1 || problem.Text == "" {
				t.Errorf("%+v", problem)
			}
		}
		if len(problems) == 0 && (p.ID == "" || p.HoldDays < 1 || p.TimeZone == nil) {
			t.Errorf("%+v", p)
		}
	})
}

func BenchmarkServes(b *testing.B) {
	p, err := ParseProfile("bank.yaml", []byte(goodProfile))
	if err != nil {
		b.Fatal(err)
	}
	c, _ := ParseCurrency("RUB")
	a := Ask{Operation: OpPurchase, Amount: 100, Currency: c, PAN: mustPAN("4012888888881881")}
	b.ReportAllocs()
	for b.Loop() {
		if p.Serves(&a) != Fits {
			b.Fatal("refused")
		}
	}
}
