package joining

import (
	"slices"
	"time"
)

// View is an application as people and programs see it.
type View struct {
	ID         string      `json:"id"`
	Object     string      `json:"object"` // application
	Version    uint32      `json:"version"`
	Number     uint64      `json:"number"`
	Stage      Stage       `json:"stage"`
	MerchantID *string     `json:"merchant_id"`
	Form       Form        `json:"form"`
	Test       TestView    `json:"test_mode"`
	Banks      []BankView  `json:"banks"`
	Checks     []CheckView `json:"checks"`
	Missing    []Need      `json:"missing"`
	Can        []ActType   `json:"can"` // what the one who asks can do now
	History    []PastView  `json:"history"`
	CreatedAt  string      `json:"created_at"`
	UpdatedAt  string      `json:"updated_at"`
}

// TestView is the test mode of an application.
type TestView struct {
	Open  bool    `json:"open"`
	Until *string `json:"until"` // null: it was not opened yet, or is open for ever
}

// BankView is the way to one bank.
type BankView struct {
	Bank       string       `json:"bank"`
	Name       string       `json:"name"`
	Stage      TrackStage   `json:"stage"`
	Items      []ItemView   `json:"items"`
	Contract   ContractView `json:"contract"`
	Connection LinkView     `json:"connection"`
	Requested  *string      `json:"live_requested_at"`
	LiveAt     *string      `json:"live_at"`
}

// ItemView is one item of a checklist.
type ItemView struct {
	ID        string     `json:"id"`
	Text      string     `json:"text"`
	Owner     string     `json:"owner"`
	Kind      string     `json:"kind"`
	Due       string     `json:"due"` // a date
	Overdue   bool       `json:"overdue"`
	Status    string     `json:"status"`
	Note      string     `json:"note"`
	Answer    string     `json:"answer"`
	Documents []Document `json:"documents"`
	ChangedAt string     `json:"changed_at"`
	ChangedBy string     `json:"changed_by"`
}

// ContractView is the contract with one bank.
type ContractView struct {
	Form       string  `json:"form"`
	Months     int     `json:"months"` // 0: without an end
	Text       string  `json:"text"`
	Signer     string  `json:"signer"`
	AcceptedAt *string `json:"accepted_at"`
	Number     string  `json:"number"`
	SignedAt   *string `json:"signed_at"`
	EndsAt     *string `json:"ends_at"`
}

// LinkView is the technical connection to one bank.
type LinkView struct {
	Due        *string  `json:"due"` // a date
	Overdue    bool     `json:"overdue"`
	MerchantID string   `json:"merchant_id"`
	Terminals  []string `json:"terminals"`
	Tested     bool     `json:"tested"`
	Detail     string   `json:"detail"`
}

// CheckView is one check before a shop goes live.
type CheckView struct {
	Check  string  `json:"check"`
	Passed bool    `json:"passed"`
	Waived bool    `json:"waived"`
	Detail string  `json:"detail"`
	At     *string `json:"at"`
}

// Need is something that is missing before the shop is live.
type Need struct {
	What    string `json:"what"` // confirm, choose_banks, item, accept_contract, countersign, provision, test_connection, check, request_live, approve_live
	Bank    string `json:"bank"`
	Item    string `json:"item"`
	Owner   string `json:"owner"` // merchant, bank or us
	Due     string `json:"due"`   // a date, or empty
	Overdue bool   `json:"overdue"`
}

// PastView is one act of the past.
type PastView struct {
	Type   ActType `json:"type"`
	At     string  `json:"at"`
	By     string  `json:"by"`
	Bank   string  `json:"bank"`
	Item   string  `json:"item"`
	Status string  `json:"status"`
	Detail string  `json:"detail"`
}

const timeForm = "2006-01-02T15:04:05.000Z"

func viewTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(timeForm)
	return &text
}

// View is the application to show to an applicant or an operator. An applicant
// reads that an operator acted, not who.
func (f *Office) View(a *Application, to Actor) View {
	now := f.now()
	v := View{ID: a.Name(), Object: "application", Version: a.Version, Number: a.Number, Stage: a.Stage(), Form: a.Form, Banks: []BankView{}, Checks: []CheckView{},
		Test: TestView{Open: a.testOpen(now)}, Missing: a.Missing(now, f.o.Calendar), Can: a.Can(to), History: []PastView{},
		CreatedAt: a.CreatedAt.Format(timeForm), UpdatedAt: a.UpdatedAt.Format(timeForm)}
	if a.Merchant != "" {
		merchant := a.Merchant
		v.MerchantID = &merchant
	}
	if a.Stage() != StageLive {
		v.Test.Until = viewTime(a.TestUntil)
	}
	for i := range a.Tracks {
		v.Banks = append(v.Banks, f.bankView(a, &a.Tracks[i], to))
	}
	for _, name := range Checks {
		if c := a.Checks[name]; a.needs(name) {
			v.Checks = append(v.Checks, CheckView{Check: name, Passed: c.OK, Waived: c.Waived, Detail: c.Detail, At: viewTime(c.At)})
		}
	}
	for i := range a.Acts {
		v.History = append(v.History, pastView(&a.Acts[i], to))
	}
	return v
}

func (a *Application) testOpen(now time.Time) bool {
	return a.Merchant != "" && !a.Closed() && (a.Stage() == StageLive || now.Before(a.TestUntil))
}

func (f *Office) bankView(a *Application, t *Track, to Actor) BankView {
	now, zone := f.now(), f.o.Calendar.Zone
	v := BankView{Bank: t.Terms.Bank, Name: In(t.Terms.Name, a.Form.Language), Stage: t.Stage, Items: []ItemView{},
		Contract: ContractView{Form: t.Terms.Form, Months: t.Terms.Months, Text: In(t.Terms.Text, a.Form.Language), Signer: t.Signer, AcceptedAt: viewTime(t.AcceptedAt), Number: t.Contract,
			SignedAt: viewTime(t.SignedAt), EndsAt: viewTime(t.EndsAt)},
		Connection: LinkView{MerchantID: t.MerchantID, Terminals: append([]string{}, t.Terminals...), Tested: t.ConnectionOK, Detail: t.Connection,
			Overdue: t.Stage == TrackConnection && !now.Before(t.ConnectionDue)},
		Requested: viewTime(t.RequestedAt), LiveAt: viewTime(t.LiveAt)}
	if due := lastDay(t.ConnectionDue, zone); due != "" {
		v.Connection.Due = &due
	}
	for i := range t.Items {
		y := &t.Items[i]
		v.Items = append(v.Items, ItemView{ID: y.ID, Text: In(y.Text, a.Form.Language), Owner: y.Owner, Kind: y.Kind, Due: lastDay(y.Due, zone),
			Overdue: y.open() && !now.Before(y.Due), Status: y.Status, Note: y.Note, Answer: y.Answer, Documents: append([]Document{}, y.Documents...),
			ChangedAt: y.ChangedAt.Format(timeForm), ChangedBy: y.ChangedBy.shownTo(to)})
	}
	return v
}

func (i *Item) open() bool { return i.Status != ItemAccepted && i.Status != ItemWaived }

func (a Actor) shownTo(to Actor) string {
	if to.Kind == Operator && a.Name != "" {
		return a.Name
	}
	return a.Kind
}

func pastView(act *Act, to Actor) PastView {
	v := PastView{Type: act.Type, At: act.At.Format(timeForm), By: act.By.shownTo(to), Bank: act.Bank, Item: act.Item, Status: act.Status, Detail: act.Reason}
	switch act.Type {
	case ActCheck, ActWaiveCheck:
		v.Item = act.Check
	case ActNewKey:
		v.Item = act.Key
	}
	switch {
	case act.Type == ActCheck || act.Type == ActTestConnection:
		if v.Status = "failed"; act.OK {
			v.Status = "passed"
		}
		v.Detail = act.Detail
	case act.Document != nil:
		v.Detail = act.Document.Name
	}
	return v
}

// Missing is all that is to be done before the shop is live at the banks it chose,
// in order.
func (a *Application) Missing(now time.Time, c Calendar) []Need {
	list := []Need{}
	switch a.Stage() {
	case StageApplied:
		return append(list, Need{What: string(ActConfirm), Owner: "merchant"})
	case StageTesting:
		return append(list, Need{What: string(ActChoose), Owner: "merchant"})
	case StageRejected, StageWithdrawn, StageExpired:
		return list
	}
	waits := false
	for i := range a.Tracks {
		t := &a.Tracks[i]
		if t.Stage == TrackLive || t.Stage == TrackDropped {
			continue
		}
		waits = true
		list = append(list, t.missing(now, c)...)
	}
	for _, name := range Checks {
		if waits && a.needs(name) && !a.Checks[name].OK {
			list = append(list, Need{What: string(ActCheck), Item: name, Owner: "merchant"})
		}
	}
	return list
}

func (t *Track) missing(now time.Time, c Calendar) (list []Need) {
	one := func(what ActType, owner string) []Need {
		return []Need{{What: string(what), Bank: t.Terms.Bank, Owner: owner}}
	}
	switch t.Stage {
	case TrackRequirements:
		for i := range t.Items {
			y := &t.Items[i]
			if !y.open() {
				continue
			}
			owner := y.Owner
			if y.Status == ItemSubmitted {
				owner = "us"
			}
			list = append(list, Need{What: "item", Bank: t.Terms.Bank, Item: y.ID, Owner: owner, Due: lastDay(y.Due, c.Zone), Overdue: !now.Before(y.Due)})
		}
		return list
	case TrackContract:
		if t.AcceptedAt.IsZero() {
			return one(ActAcceptContract, "merchant")
		}
		return one(ActCountersign, "us")
	case TrackConnection:
		list = one(ActProvision, "us")
		if t.MerchantID != "" {
			list = one(ActTestConnection, "us")
		}
		list[0].Due, list[0].Overdue = lastDay(t.ConnectionDue, c.Zone), !now.Before(t.ConnectionDue)
		return list
	case TrackChecks:
		return one(ActRequestLive, "us")
	}
	return one(ActApproveLive, "us")
}

// Can are the acts that an actor may do now, by the stages alone: what else an act
// needs is said when it is refused.
func (a *Application) Can(by Actor) []ActType {
	list := []ActType{}
	for _, t := range ActTypes() {
		r := rules[t]
		if t == ActApply || !slices.Contains(r.by, by.Kind) || !slices.Contains(r.stages, a.Stage()) {
			continue
		}
		here := len(r.tracks) == 0
		for i := range a.Tracks {
			here = here || slices.Contains(r.tracks, a.Tracks[i].Stage)
		}
		if here {
			list = append(list, t)
		}
	}
	return list
}
