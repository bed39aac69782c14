package joining

import (
	"time"

	"github.com/tranzit/tranzit/iso"
)

// Terms are what one bank asks of a merchant that joins it. They are written into
// the act that chooses the bank: what the catalogue says later changes no plan.
type Terms struct {
	Bank           string            `json:"bank"`
	Name           map[string]string `json:"name"`            // by language
	Form           string            `json:"contract_form"`   // accession, bilateral or trilateral
	Months         int               `json:"contract_months"` // 0: without an end
	Text           map[string]string `json:"contract_text,omitempty"`
	ConnectionDays int               `json:"connection_days"` // working days for the technical connection
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

// terms are those of a bank in the catalogue; false: merchants cannot join it.
func (f *Office) terms(bank string) (t Terms, ok bool) {
	offer, known := f.o.Switch.BankOffer(bank)
	if !known || !offer.Live || offer.Profile.Joining == nil {
		return Terms{}, false
	}
	p := offer.Profile
	t = Terms{Bank: bank, Name: texts(p.Name), Form: p.Joining.Contract.Form, Months: p.Joining.Contract.Months, Text: texts(p.Joining.Contract.Text),
		ConnectionDays: max(1, p.Joining.ConnectionDays)}
	for _, r := range p.Joining.Requirements {
		t.Requirements = append(t.Requirements, Requirement{ID: r.ID, Owner: r.Owner, Kind: r.Kind, Days: r.WorkingDays, Text: texts(r.Text)})
	}
	return t, true
}

func texts(t iso.Text) map[string]string {
	all := map[string]string{}
	for _, language := range Languages {
		all[language] = t.In(language)
	}
	return all
}

// Calendar says which days are worked.
type Calendar struct {
	Zone     *time.Location
	Holidays map[string]bool // dates like 2027-01-01
}
