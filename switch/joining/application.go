// Package joining is what is true about a shop that joins: from its application
// over a day of test mode, the choice of banks, their requirements, the contract
// and the connection to the approval by two persons that makes it live.
//
// An application is the fold of its acts. Each act is one record in the journal
// with its actor and time, written in the same step as what follows from it: the
// merchant, and the letters. The package speaks no HTTP.
package joining

import (
	"fmt"
	"slices"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// ApplicationPrefix is the TypeID prefix of an application.
const ApplicationPrefix = "app"

// Stage is where an application is as a whole.
type Stage string

// The stages. Each of the chosen banks has a stage of its own beside it.
const (
	StageNone      Stage = "none"
	StageApplied   Stage = "applied"   // the contact's address has not answered yet
	StageTesting   Stage = "testing"   // test mode was opened; no bank is chosen
	StageJoining   Stage = "joining"   // banks are chosen, none is live
	StageLive      Stage = "live"      // at one bank at least
	StageRejected  Stage = "rejected"  // by us
	StageWithdrawn Stage = "withdrawn" // by the applicant
	StageExpired   Stage = "expired"   // nothing came for too long
)

// Stages are all stages there are.
func Stages() []Stage {
	return []Stage{StageApplied, StageTesting, StageJoining, StageLive, StageRejected, StageWithdrawn, StageExpired}
}

// TrackStage is where the application is at one bank.
type TrackStage string

// The stages at a bank, in order.
const (
	TrackRequirements TrackStage = "requirements"
	TrackContract     TrackStage = "contract"
	TrackConnection   TrackStage = "connection"
	TrackChecks       TrackStage = "checks"
	TrackApproval     TrackStage = "approval"
	TrackLive         TrackStage = "live"
	TrackDropped      TrackStage = "dropped"
)

// TrackStages are all stages at a bank.
func TrackStages() []TrackStage {
	return []TrackStage{TrackRequirements, TrackContract, TrackConnection, TrackChecks, TrackApproval, TrackLive, TrackDropped}
}

// The states of an item of a checklist.
const (
	ItemOpen      = "open"
	ItemSubmitted = "submitted"
	ItemAccepted  = "accepted"
	ItemReturned  = "returned"
	ItemWaived    = "waived"
)

// Item is one requirement of one bank for this application.
type Item struct {
	Requirement
	Due       time.Time
	Status    string
	Note      string // why it was returned or waived
	Answer    string
	Documents []Document
	ChangedAt time.Time
	ChangedBy Actor
}

// Track is the way to one bank.
type Track struct {
	Terms Terms
	Stage TrackStage
	Items []Item

	Signer     string
	AcceptedAt time.Time
	Contract   string // its number
	SignedAt   time.Time
	EndsAt     time.Time // of the contract; zero: without an end

	ConnectionDue time.Time
	MerchantID    string
	Terminals     []string
	ConnectionOK  bool
	Connection    string // what the last test of it said
	ConnectedAt   time.Time

	RequestedBy Actor
	RequestedAt time.Time
	LiveAt      time.Time
}

// Check is what came of the last run of a check.
type Check struct {
	OK     bool
	Waived bool
	Detail string
	At     time.Time
}

// Application is the fold of its acts. A value that was handed out never changes.
type Application struct {
	ID        payswitch.ID
	Version   uint32 // number of acts
	Number    uint64 // short, for people
	Form      Form
	Merchant  string // empty before the address answered
	TestUntil time.Time
	TestEnded bool
	Keys      int // issued to the applicant
	Tracks    []Track
	Checks    map[string]Check
	Acts      []Act
	CreatedAt time.Time
	UpdatedAt time.Time

	secret, code []byte
	closed       Stage
}

// Name is the application's TypeID.
func (a *Application) Name() string { return a.ID.Text(ApplicationPrefix) }

// Stage is where the application is.
func (a *Application) Stage() Stage {
	switch {
	case a.Version == 0:
		return StageNone
	case a.closed != "":
		return a.closed
	case a.Merchant == "":
		return StageApplied
	}
	stage := StageTesting
	for i := range a.Tracks {
		switch a.Tracks[i].Stage {
		case TrackDropped:
		case TrackLive:
			return StageLive
		default:
			stage = StageJoining
		}
	}
	return stage
}

// Closed reports whether nothing can be done any more.
func (a *Application) Closed() bool { return a.closed != "" }

// track is the way to a bank, nil: there is none or it was dropped.
func (a *Application) track(bank string) *Track {
	for i := range a.Tracks {
		if t := &a.Tracks[i]; t.Terms.Bank == bank && t.Stage != TrackDropped {
			return t
		}
	}
	return nil
}

func (t *Track) item(id string) *Item {
	for i := range t.Items {
		if t.Items[i].ID == id {
			return &t.Items[i]
		}
	}
	return nil
}

// needs reports whether a check is one of this shop's.
func (a *Application) needs(check string) bool {
	return check != CheckPage || a.Form.Integration == "page"
}

// with is the application after one more act. Errors are refusals, and the
// application stays as it was.
func (a *Application) with(act Act) (*Application, error) {
	if err := a.legal(&act); err != nil {
		return nil, err
	}
	next := a.clone()
	next.Version++
	next.UpdatedAt = act.At
	next.Acts = append(next.Acts, act)
	next.take(&act)
	return next, nil
}

func (a *Application) clone() *Application {
	next := *a
	next.Acts = slices.Clip(a.Acts)
	next.Tracks = slices.Clone(a.Tracks)
	for i := range next.Tracks {
		next.Tracks[i].Items = slices.Clone(next.Tracks[i].Items)
	}
	next.Checks = map[string]Check{}
	for name, c := range a.Checks {
		next.Checks[name] = c
	}
	return &next
}

// take folds an act that is legal.
func (a *Application) take(act *Act) {
	switch act.Type {
	case ActApply:
		a.Form, a.secret, a.code, a.Number, a.CreatedAt = *act.Form, act.Secret, act.Code, act.Number, act.At
	case ActConfirm:
		a.Merchant, a.TestUntil = act.Merchant, act.Until
	case ActExtend:
		a.TestUntil, a.TestEnded = act.Until, false
	case ActTestEnded:
		a.TestEnded = true
	case ActNewKey:
		a.Keys++
	case ActChoose:
		a.choose(act)
	case ActCheck:
		a.Checks[act.Check] = Check{OK: act.OK, Detail: act.Detail, At: act.At}
	case ActWaiveCheck:
		a.Checks[act.Check] = Check{OK: true, Waived: true, Detail: act.Reason, At: act.At}
	case ActReject:
		a.closed = StageRejected
	case ActWithdraw:
		a.closed = StageWithdrawn
	case ActExpire:
		a.closed = StageExpired
	default:
		a.track(act.Bank).take(act)
	}
}

func (a *Application) choose(act *Act) {
	due := 0
	for _, terms := range act.Terms {
		t := Track{Terms: terms, Stage: TrackRequirements}
		for _, r := range terms.Requirements {
			t.Items = append(t.Items, Item{Requirement: r, Due: act.Dues[due], Status: ItemOpen, ChangedAt: act.At, ChangedBy: act.By})
			due++
		}
		t.settle()
		a.Tracks = append(a.Tracks, t)
	}
}

// take folds an act about one bank.
func (t *Track) take(act *Act) {
	switch act.Type {
	case ActUpload, ActAnswer, ActItem:
		t.item(act.Item).take(act)
		t.settle()
	case ActAcceptContract:
		t.Signer, t.AcceptedAt = act.Signer, act.At
	case ActCountersign:
		t.Contract, t.SignedAt, t.ConnectionDue, t.Stage = act.Contract, act.At, act.Due, TrackConnection
		if t.Terms.Months > 0 {
			t.EndsAt = act.At.AddDate(0, t.Terms.Months, 0)
		}
	case ActProvision:
		t.MerchantID, t.Terminals, t.ConnectionOK, t.Connection, t.Stage = act.MerchantID, act.Terminals, false, "", TrackConnection
	case ActTestConnection:
		if t.ConnectionOK, t.Connection, t.Stage = act.OK, act.Detail, TrackConnection; act.OK {
			t.ConnectedAt, t.Stage = act.At, TrackChecks
		}
	case ActRequestLive:
		t.RequestedBy, t.RequestedAt, t.Stage = act.By, act.At, TrackApproval
	case ActRefuseLive:
		t.RequestedBy, t.RequestedAt, t.Stage = Actor{}, time.Time{}, TrackChecks
	case ActApproveLive:
		t.LiveAt, t.Stage = act.At, TrackLive
	case ActDropBank:
		t.Stage = TrackDropped
	}
}

func (i *Item) take(act *Act) {
	i.ChangedAt, i.ChangedBy = act.At, act.By
	switch act.Type {
	case ActUpload:
		i.Documents = append(slices.Clip(i.Documents), *act.Document)
		i.Status = ItemSubmitted
	case ActAnswer:
		i.Answer, i.Status = act.Text, ItemSubmitted
	default:
		i.Status, i.Note = act.Status, act.Reason
	}
}

// settle goes on to the contract when every item is settled.
func (t *Track) settle() {
	for i := range t.Items {
		if s := t.Items[i].Status; s != ItemAccepted && s != ItemWaived {
			return
		}
	}
	t.Stage = TrackContract
}

// fold makes an application from its acts; an act that is not legal is an error.
func fold(id payswitch.ID, acts []Act) (*Application, error) {
	a := &Application{ID: id}
	for i := range acts {
		next, err := a.with(acts[i])
		if err != nil {
			return nil, fmt.Errorf("application %s, act %d: %w", id.Text(ApplicationPrefix), i+1, err)
		}
		a = next
	}
	return a, nil
}
