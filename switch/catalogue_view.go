package payswitch

import (
	"fmt"
	"slices"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// BankView is a bank as the API and the command line show it, in one language.
// Empty lists allow all.
type BankView struct {
	Object         string            `json:"object"` // bank
	ID             string            `json:"id"`
	Live           bool              `json:"livemode"`
	Connected      *bool             `json:"connected,omitempty"` // of BanksFor: the merchant has it
	Name           string            `json:"name"`
	About          string            `json:"about"`
	Profile        ProfileRef        `json:"profile"`
	Dialect        string            `json:"dialect"`
	Countries      []string          `json:"countries"`
	Currencies     []string          `json:"currencies"`
	MCC            MCCView           `json:"mcc"`
	Cards          CardsView         `json:"cards"`
	Channels       []string          `json:"channels"`
	Credentials    []string          `json:"credentials"`
	NetworkTokens  bool              `json:"network_tokens"`
	MaxInstalments int               `json:"max_instalments"`
	Demands        []string          `json:"demands"`
	Operations     []OperationView   `json:"operations"`
	HoldDays       int               `json:"hold_days"`
	CutOver        string            `json:"cut_over"` // of the business day, on the clock of TimeZone
	TimeZone       string            `json:"time_zone"`
	Fields         []FieldDemandView `json:"fields"` // what the dialect's rules demand of the messages
	Fees           []FeeView         `json:"fees"`
	Joining        *JoiningView      `json:"joining"` // null: nobody can join it here
}

// ProfileRef names the file of a bank's profile.
type ProfileRef struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
}

// MCCView says which categories of merchants a bank takes; see iso.MCCRule.
type MCCView struct {
	Taken   []string `json:"taken"`
	Refused []string `json:"refused"`
}

// CardsView says which cards a bank takes.
type CardsView struct {
	Brands  []string          `json:"brands"`
	Refused []RefusedCardView `json:"refused"`
}

// RefusedCardView are card ranges that are not taken.
type RefusedCardView struct {
	Product string   `json:"product"`
	Bins    []string `json:"bins"`
}

// OperationView is what a bank allows of one operation. Members that the operation
// has no use for are left out.
type OperationView struct {
	Operation   string       `json:"operation"`
	Amounts     []AmountView `json:"amounts"` // empty: any
	Partial     *bool        `json:"partial,omitempty"`
	Several     *bool        `json:"several,omitempty"`
	OverPercent *int         `json:"over_percent,omitempty"`
	Lengthens   *bool        `json:"lengthens,omitempty"`
	Days        *int         `json:"days,omitempty"` // 0: for ever
}

// AmountView bounds the amounts of a currency, in minor units.
type AmountView struct {
	Currency string `json:"currency"`
	From     int64  `json:"from"`
	To       int64  `json:"to"`
}

// FieldDemandView is a rule of the bank for one field of a message.
type FieldDemandView struct {
	Operation string `json:"operation"`
	Number    int    `json:"number"`
	Name      string `json:"name"`
	Rule      string `json:"rule"`
}

// FeeView is what a bank takes for something.
type FeeView struct {
	For     string         `json:"for"`
	Brands  []string       `json:"brands"` // empty: of all
	Percent *string        `json:"percent"`
	Fixed   []FixedFeeView `json:"fixed"`
	Text    *string        `json:"text"`
}

// FixedFeeView is a fee in minor units.
type FixedFeeView struct {
	Currency string `json:"currency"`
	Amount   int64  `json:"amount"`
}

// JoiningView is how a merchant comes to a bank.
type JoiningView struct {
	WorkingDays    int               `json:"working_days"`
	ConnectionDays int               `json:"connection_days"`
	Contract       ContractView      `json:"contract"`
	Requirements   []RequirementView `json:"requirements"`
}

// ContractView is what merchant and bank agree on.
type ContractView struct {
	Form   string `json:"form"`
	Months int    `json:"months"` // 0: without an end
	Text   string `json:"text"`
}

// RequirementView is one item of a bank's checklist.
type RequirementView struct {
	ID          string `json:"id"`
	Owner       string `json:"owner"`
	Kind        string `json:"kind"`
	WorkingDays int    `json:"working_days"`
	Text        string `json:"text"`
}

// View is the offer in one of iso.Languages.
func (o *BankOffer) View(language string) BankView {
	p := o.Profile
	v := BankView{
		Object: "bank", ID: o.ID, Live: o.Live, Name: p.Name.In(language), About: p.About.In(language), Profile: ProfileRef{p.ID, p.Version},
		Dialect: o.Dialect, Countries: someOf(p.Countries), Currencies: someOf(p.Currencies), MCC: MCCView{someOf(p.MCC.Taken), someOf(p.MCC.Refused)},
		Cards: CardsView{Brands: someOf(p.Brands), Refused: []RefusedCardView{}}, Channels: namesOf(p.Channels), Credentials: namesOf(p.Credentials),
		NetworkTokens: p.NetworkTokens, MaxInstalments: p.MaxInstalments, Demands: namesOf(p.Demands), Operations: []OperationView{}, HoldDays: p.HoldDays,
		CutOver: time.Time{}.Add(p.CutOver).Format("15:04"), TimeZone: p.TimeZone.String(), Fields: []FieldDemandView{}, Fees: []FeeView{},
	}
	for _, refused := range p.Refused {
		v.Cards.Refused = append(v.Cards.Refused, RefusedCardView{refused.Product.String(), refused.Bins})
	}
	for i := range o.Operations {
		v.Operations = append(v.Operations, operationView(&o.Operations[i]))
	}
	for _, f := range o.Fields {
		v.Fields = append(v.Fields, FieldDemandView{f.Operation.String(), f.Field, f.Name, f.Rule})
	}
	for i := range p.Fees {
		v.Fees = append(v.Fees, feeView(&p.Fees[i], language))
	}
	if j := p.Joining; j != nil {
		v.Joining = &JoiningView{WorkingDays: j.WorkingDays, ConnectionDays: j.ConnectionDays,
			Contract: ContractView{j.Contract.Form, j.Contract.Months, j.Contract.Text.In(language)}, Requirements: []RequirementView{}}
		for i := range j.Requirements {
			r := &j.Requirements[i]
			v.Joining.Requirements = append(v.Joining.Requirements, RequirementView{r.ID, r.Owner, r.Kind, r.WorkingDays, r.Text.In(language)})
		}
	}
	return v
}

// someOf is a copy of the list that is never nil.
func someOf(all []string) []string { return append([]string{}, all...) }

func namesOf[T fmt.Stringer](all []T) []string {
	names := []string{}
	for _, one := range all {
		names = append(names, one.String())
	}
	return names
}

func operationView(t *iso.OperationTerms) OperationView {
	v := OperationView{Operation: t.Operation.String(), Amounts: []AmountView{}}
	for _, a := range t.Amounts {
		v.Amounts = append(v.Amounts, AmountView{a.Currency.Alpha(), a.From, a.To})
	}
	switch t.Operation {
	case iso.OpCapture:
		v.Partial, v.Several, v.OverPercent = &t.Partial, &t.Several, &t.OverPercent
	case iso.OpVoid:
		v.Partial = &t.Partial
	case iso.OpRefund:
		v.Partial, v.Days = &t.Partial, &t.Days
	case iso.OpIncrement:
		v.Lengthens = &t.Lengthens
	}
	return v
}

func feeView(f *iso.Fee, language string) FeeView {
	v := FeeView{For: f.For, Brands: someOf(f.Brands), Fixed: []FixedFeeView{}}
	if f.Percent != "" {
		v.Percent = &f.Percent
	}
	if text := f.Text.In(language); text != "" {
		v.Text = &text
	}
	for _, fixed := range f.Fixed {
		v.Fixed = append(v.Fixed, FixedFeeView{fixed.Currency.Alpha(), fixed.Amount})
	}
	return v
}

// BanksFor are the banks that a merchant can join and those it has, in configured
// order and in one of iso.Languages.
func (s *Switch) BanksFor(a Account, language string) []BankView {
	out := []BankView{}
	for _, o := range s.BankOffers() {
		v := o.View(language)
		connected := slices.ContainsFunc(a.Merchant.Banks, func(b MerchantBank) bool { return b.Bank == o.ID })
		v.Connected = &connected
		if connected || v.Joining != nil {
			out = append(out, v)
		}
	}
	return out
}
