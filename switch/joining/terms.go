package joining

import "time"

// Terms are what one bank asks of a merchant that joins it. They are written into
// the act that chooses the bank: what the catalogue says later changes no plan.
type Terms struct {
	Bank           string            `json:"bank"`
	Name           map[string]string `json:"name"`                // by language
	Form           string            `json:"contract_form"`       // accession, bilateral or trilateral
	Months         int               `json:"contract_months"`     // 0: without an end
	Countries      []string          `json:"countries,omitempty"` // ISO 3166 numeric; empty: any
	ConnectionDays int               `json:"connection_days"`     // working days for the technical connection
	Requirements   []Requirement     `json:"requirements"`
}

// Requirement is one item of a bank's checklist.
type Requirement struct {
	ID    string            `json:"id"`
	Owner string            `json:"owner"` // merchant, bank or us
	Kind  string            `json:"kind"`  // document, field or check
	Days  int               `json:"days"`  // working days from the choice of the bank
	Text  map[string]string `json:"text"`  // by language
}

// In is a text in a language, in English where it has none.
func In(text map[string]string, language string) string {
	if t := text[language]; t != "" {
		return t
	}
	return text["en"]
}

// PlainTerms are those of a bank of which the catalogue says nothing.
func PlainTerms(bank string) Terms {
	return Terms{Bank: bank, Name: map[string]string{"en": bank}, Form: "bilateral", Months: 12, ConnectionDays: 1, Requirements: []Requirement{
		{ID: "registration", Owner: "merchant", Kind: "document", Days: 3, Text: map[string]string{
			"en": "Extract from the register of companies", "ru": "Выписка из реестра юридических лиц", "es": "Extracto del registro mercantil"}},
		{ID: "account", Owner: "merchant", Kind: "field", Days: 3, Text: map[string]string{
			"en": "Bank account for the settlements", "ru": "Банковский счёт для возмещений", "es": "Cuenta bancaria para las liquidaciones"}},
		{ID: "site", Owner: "us", Kind: "check", Days: 5, Text: map[string]string{
			"en": "The site shows the goods, prices, delivery and terms of return", "ru": "На сайте есть товары, цены, доставка и условия возврата",
			"es": "El sitio muestra productos, precios, entrega y devoluciones"}},
	}}
}

// Calendar says which days are worked.
type Calendar struct {
	Zone     *time.Location
	Holidays map[string]bool // dates like 2027-01-01
}
