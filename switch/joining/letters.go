package joining

import (
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// LetterData is what letters about an application are made from. Which members
// are there depends on the template.
type LetterData struct {
	Application string     `json:"application"`
	Number      uint64     `json:"number"`
	Company     string     `json:"company"`
	Contact     string     `json:"contact"`
	Merchant    string     `json:"merchant,omitempty"`
	API         string     `json:"api"`
	Cabinet     string     `json:"cabinet,omitempty"`
	Code        string     `json:"code,omitempty"`
	Until       string     `json:"until,omitempty"` // on the shop's clock
	Reason      string     `json:"reason,omitempty"`
	Bank        string     `json:"bank,omitempty"` // its name
	BankID      string     `json:"bank_id,omitempty"`
	Form        string     `json:"contract_form,omitempty"`
	Months      int        `json:"contract_months,omitempty"`
	Contract    string     `json:"contract,omitempty"`
	Due         string     `json:"due,omitempty"` // a date
	Item        string     `json:"item,omitempty"`
	Plans       []PlanData `json:"plans,omitempty"`
}

// PlanData is the plan of one bank.
type PlanData struct {
	Bank   string     `json:"bank"`
	Form   string     `json:"contract_form"`
	Months int        `json:"contract_months"`
	Items  []ItemData `json:"items"`
}

// ItemData is one line of a plan.
type ItemData struct {
	Text  string `json:"text"`
	Owner string `json:"owner"`
	Due   string `json:"due"`
}

// The letters about applications, by template. Each is written in every language.
const (
	LetterConfirm      = "confirm_address"
	LetterTestOpen     = "test_open"
	LetterTestExtended = "test_extended"
	LetterTestEnded    = "test_ended"
	LetterPlan         = "plan"
	LetterReturned     = "item_returned"
	LetterContract     = "contract_ready"
	LetterSigned       = "contract_signed"
	LetterConnected    = "connected"
	LetterApproval     = "approval_waits" // to the operators
	LetterRefused      = "live_refused"
	LetterLive         = "live"
	LetterRejected     = "rejected"
	LetterWithdrawn    = "withdrawn"
	LetterExpired      = "expired"
)

// LetterTemplates are all of them.
func LetterTemplates() []string {
	return []string{LetterConfirm, LetterTestOpen, LetterTestExtended, LetterTestEnded, LetterPlan, LetterReturned, LetterContract, LetterSigned,
		LetterConnected, LetterApproval, LetterRefused, LetterLive, LetterRejected, LetterWithdrawn, LetterExpired}
}

// actLetters are the letters that follow from an act alone.
var actLetters = map[ActType]string{
	ActApply: LetterConfirm, ActConfirm: LetterTestOpen, ActExtend: LetterTestExtended, ActTestEnded: LetterTestEnded, ActChoose: LetterPlan,
	ActCountersign: LetterSigned, ActRefuseLive: LetterRefused, ActApproveLive: LetterLive, ActReject: LetterRejected, ActWithdraw: LetterWithdrawn,
	ActExpire: LetterExpired,
}

// letters are what the last act of an application makes the switch write.
func (f *Office) letters(a *Application, s step) (list []payswitch.Letter, err error) {
	act := &s.act
	data := f.letterData(a, s)
	write := func(template, to string) {
		letter, bad := payswitch.NewLetter(payswitch.Letter{Channel: payswitch.LetterMail, To: to, Language: a.Form.Language, Template: template}, data)
		list = append(list, letter)
		if bad != nil {
			err = bad
		}
	}
	if template := actLetters[act.Type]; template != "" {
		write(template, a.Form.Email)
	}
	t := a.track(act.Bank)
	switch {
	case act.Type == ActItem && act.Status == ItemReturned:
		write(LetterReturned, a.Form.Email)
	case act.Type == ActItem && t.Stage == TrackContract:
		write(LetterContract, a.Form.Email)
	case act.Type == ActTestConnection && act.OK:
		write(LetterConnected, a.Form.Email)
	case act.Type == ActRequestLive && f.o.OperatorsEmail != "":
		write(LetterApproval, f.o.OperatorsEmail)
	case act.Type == ActApproveLive:
		more, bad := f.tellServer(a, act)
		if bad != nil {
			return nil, bad
		}
		list = append(list, more...)
	}
	return list, err
}

// EventLive is the type of the message that tells a shop's server that it is live.
const EventLive = "merchant.live"

// tellServer are the messages to the endpoints of test mode that were proven.
func (f *Office) tellServer(a *Application, act *Act) (list []payswitch.Letter, err error) {
	account, err := f.o.Switch.AccountOf(a.Merchant, false)
	if err != nil {
		return nil, err
	}
	object := map[string]any{"id": a.Merchant, "object": "merchant", "application_id": a.Name(), "status": "live", "bank": act.Bank,
		"live_at": act.At.Format("2006-01-02T15:04:05.000Z")}
	for _, e := range f.o.Switch.Outbox().EndpointsOf(account) {
		if !e.Enabled {
			continue
		}
		letter, err := payswitch.NewLetter(payswitch.Letter{Channel: payswitch.LetterWebhook, To: e.ID.Text(payswitch.EndpointPrefix), Template: EventLive}, object)
		if err != nil {
			return nil, err
		}
		list = append(list, letter)
	}
	return list, nil
}

func (f *Office) letterData(a *Application, s step) LetterData {
	act := &s.act
	zone, err := time.LoadLocation(a.Form.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	d := LetterData{Application: a.Name(), Number: a.Number, Company: a.Form.Company, Contact: a.Form.ContactName, Merchant: a.Merchant, API: f.o.API, Cabinet: f.o.Cabinet,
		Code: s.code, Until: a.TestUntil.In(zone).Format("2006-01-02 15:04 MST"), Contract: act.Contract}
	if act.By.Kind != Applicant {
		d.Reason = act.Reason
	}
	if act.Type == ActChoose {
		for i := len(a.Tracks) - len(act.Terms); i < len(a.Tracks); i++ {
			d.Plans = append(d.Plans, a.Tracks[i].planData(a.Form.Language, f.o.Calendar.Zone))
		}
	}
	if t := a.track(act.Bank); t != nil {
		d.Bank, d.BankID, d.Form, d.Months = In(t.Terms.Name, a.Form.Language), t.Terms.Bank, t.Terms.Form, t.Terms.Months
		d.Due = lastDay(t.ConnectionDue, f.o.Calendar.Zone)
		if i := t.item(act.Item); i != nil {
			d.Item = In(i.Text, a.Form.Language)
		}
	}
	return d
}

func (t *Track) planData(language string, zone *time.Location) PlanData {
	p := PlanData{Bank: In(t.Terms.Name, language), Form: t.Terms.Form, Months: t.Terms.Months}
	for i := range t.Items {
		p.Items = append(p.Items, ItemData{Text: In(t.Items[i].Text, language), Owner: t.Items[i].Owner, Due: lastDay(t.Items[i].Due, zone)})
	}
	return p
}

// lastDay is the date of the last day before a moment that ends a day.
func lastDay(end time.Time, zone *time.Location) string {
	if end.IsZero() {
		return ""
	}
	return end.Add(-time.Millisecond).In(zone).Format(time.DateOnly)
}
