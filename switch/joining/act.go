package joining

import (
	"fmt"
	"slices"
	"strings"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// ActType is what somebody did. The words are stored and are those of the API.
type ActType string

// The acts, in the order in which they usually come.
const (
	ActApply          ActType = "apply"
	ActConfirm        ActType = "confirm"         // the address of the contact answered
	ActExtend         ActType = "extend_test"     // test mode goes on
	ActTestEnded      ActType = "end_test"        // its time is over
	ActNewKey         ActType = "new_key"         // a test key or, once live, a live one was issued
	ActChoose         ActType = "choose_banks"    // one or several
	ActUpload         ActType = "upload"          // a document for an item
	ActAnswer         ActType = "answer"          // a text for an item
	ActItem           ActType = "set_item"        // an item was accepted, returned or waived
	ActAcceptContract ActType = "accept_contract" // by the merchant
	ActCountersign    ActType = "countersign"     // by us
	ActProvision      ActType = "provision"       // ids at the bank
	ActTestConnection ActType = "test_connection"
	ActCheck          ActType = "check"
	ActWaiveCheck     ActType = "waive_check"
	ActRequestLive    ActType = "request_live"
	ActApproveLive    ActType = "approve_live" // by another person: the bank is live
	ActRefuseLive     ActType = "refuse_live"
	ActDropBank       ActType = "drop_bank"
	ActReject         ActType = "reject"
	ActWithdraw       ActType = "withdraw"
	ActExpire         ActType = "expire"
)

// Who acts.
const (
	Applicant = "applicant"
	Operator  = "operator"
	Machine   = "switch"
)

// Actor is who did something.
type Actor struct {
	Kind string `json:"kind"`           // Applicant, Operator or Machine
	Name string `json:"name,omitempty"` // of an operator
}

// same reports whether two actors are one person.
func (a Actor) same(b Actor) bool {
	return a.Kind == b.Kind && strings.EqualFold(strings.TrimSpace(a.Name), strings.TrimSpace(b.Name))
}

// Act is one record of an application. Which members it has depends on its type.
type Act struct {
	Type   ActType   `json:"type"`
	At     time.Time `json:"at"`
	By     Actor     `json:"by"`
	Reason string    `json:"reason,omitempty"`

	Form   *Form  `json:"form,omitempty"`   // apply
	Secret []byte `json:"secret,omitempty"` // apply: digest of the applicant's secret
	Code   []byte `json:"code,omitempty"`   // apply: digest of the code in the letter
	Number uint64 `json:"number,omitempty"` // apply

	Merchant string    `json:"merchant,omitempty"` // confirm
	Until    time.Time `json:"until,omitzero"`     // confirm, extend_test

	Key  string `json:"key,omitempty"` // new_key: its id
	Live bool   `json:"live,omitempty"`

	Terms []Terms     `json:"terms,omitempty"` // choose_banks
	Dues  []time.Time `json:"dues,omitempty"`  // choose_banks: of the items of all terms, in order

	Bank     string    `json:"bank,omitempty"`
	Item     string    `json:"item,omitempty"`
	Status   string    `json:"status,omitempty"`   // set_item: accepted, returned or waived
	Text     string    `json:"text,omitempty"`     // answer
	Document *Document `json:"document,omitempty"` // upload

	Signer   string    `json:"signer,omitempty"`   // accept_contract
	Contract string    `json:"contract,omitempty"` // countersign: its number
	Due      time.Time `json:"due,omitzero"`       // countersign: of the connection

	MerchantID string   `json:"merchant_id,omitempty"` // provision: DE42
	Terminals  []string `json:"terminals,omitempty"`   // provision: DE41

	Check  string `json:"check,omitempty"` // check, waive_check
	OK     bool   `json:"ok,omitempty"`    // check, test_connection
	Detail string `json:"detail,omitempty"`
}

// Document is a file that was given for an item; it lies outside the journal.
type Document struct {
	Name   string `json:"name"`
	Type   string `json:"type"` // media type
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"` // of the file, hexadecimal: its name in the store of documents
}

// The checks before a shop goes live.
const (
	CheckWebhook = "webhook"
	CheckRefund  = "refund"
	CheckPage    = "page"
)

// Checks are all checks there are.
var Checks = []string{CheckWebhook, CheckRefund, CheckPage}

// CheckAge is how long a check counts.
const CheckAge = 7 * 24 * time.Hour

// rule is who may do an act and when.
type rule struct {
	by     []string // who
	stages []Stage
	tracks []TrackStage // of the bank it names; empty: it names none
	holds  func(*Application, *Track, *Act) error
}

func refused(format string, args ...any) error {
	return &payswitch.Refusal{Code: payswitch.CodeInvalidState, Detail: fmt.Sprintf(format, args...)}
}

func invalid(pointer, format string, args ...any) error {
	return &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: pointer, Detail: fmt.Sprintf(format, args...)}
}

var (
	onlyApplicant = []string{Applicant}
	onlyOperator  = []string{Operator}
	onlyMachine   = []string{Machine}
	either        = []string{Applicant, Operator}
	confirmed     = []Stage{StageTesting, StageJoining, StageLive}
	unfinished    = []Stage{StageTesting, StageJoining}
	underWay      = []TrackStage{TrackRequirements, TrackContract, TrackConnection, TrackChecks, TrackApproval}
)

// rules is the one table of which act is legal when. The state machine has no
// other: an act that is not legal changes nothing and is not recorded.
var rules = map[ActType]rule{
	ActApply:          {by: onlyApplicant, stages: []Stage{StageNone}, holds: func(_ *Application, _ *Track, act *Act) error { return act.Form.Validate() }},
	ActConfirm:        {by: onlyApplicant, stages: []Stage{StageApplied}},
	ActExtend:         {by: onlyOperator, stages: unfinished, holds: extendHolds},
	ActTestEnded:      {by: onlyMachine, stages: unfinished, holds: endHolds},
	ActNewKey:         {by: onlyApplicant, stages: confirmed, holds: keyHolds},
	ActChoose:         {by: onlyApplicant, stages: confirmed, holds: chooseHolds},
	ActUpload:         {by: either, stages: confirmed, tracks: []TrackStage{TrackRequirements}, holds: uploadHolds},
	ActAnswer:         {by: either, stages: confirmed, tracks: []TrackStage{TrackRequirements}, holds: answerHolds},
	ActItem:           {by: onlyOperator, stages: confirmed, tracks: []TrackStage{TrackRequirements}, holds: itemHolds},
	ActAcceptContract: {by: onlyApplicant, stages: confirmed, tracks: []TrackStage{TrackContract}, holds: acceptHolds},
	ActCountersign:    {by: onlyOperator, stages: confirmed, tracks: []TrackStage{TrackContract}, holds: countersignHolds},
	ActProvision:      {by: onlyOperator, stages: confirmed, tracks: []TrackStage{TrackConnection, TrackChecks}, holds: provisionHolds},
	ActTestConnection: {by: onlyOperator, stages: confirmed, tracks: []TrackStage{TrackConnection, TrackChecks}, holds: func(_ *Application, t *Track, _ *Act) error {
		if t.MerchantID == "" {
			return refused("The merchant has no ids at bank %s yet.", t.Terms.Bank)
		}
		return nil
	}},
	ActCheck:       {by: either, stages: confirmed, holds: checkHolds},
	ActWaiveCheck:  {by: onlyOperator, stages: unfinished, holds: waiveHolds},
	ActRequestLive: {by: onlyOperator, stages: confirmed, tracks: []TrackStage{TrackChecks}, holds: requestHolds},
	ActApproveLive: {by: onlyOperator, stages: confirmed, tracks: []TrackStage{TrackApproval}, holds: approveHolds},
	ActRefuseLive:  {by: onlyOperator, stages: confirmed, tracks: []TrackStage{TrackApproval}},
	ActDropBank:    {by: either, stages: confirmed, tracks: underWay},
	ActReject:      {by: onlyOperator, stages: []Stage{StageApplied, StageTesting, StageJoining}},
	ActWithdraw:    {by: onlyApplicant, stages: []Stage{StageApplied, StageTesting, StageJoining}},
	ActExpire:      {by: onlyMachine, stages: []Stage{StageApplied, StageTesting}},
}

// ActTypes are all acts there are, in the order in which they usually come.
func ActTypes() []ActType {
	return []ActType{ActApply, ActConfirm, ActExtend, ActTestEnded, ActNewKey, ActChoose, ActUpload, ActAnswer, ActItem, ActAcceptContract, ActCountersign,
		ActProvision, ActTestConnection, ActCheck, ActWaiveCheck, ActRequestLive, ActApproveLive, ActRefuseLive, ActDropBank, ActReject, ActWithdraw, ActExpire}
}

// IsFor reports whether an act is ever for a kind of actor to ask for.
func IsFor(kind string, t ActType) bool {
	return t != ActApply && slices.Contains(rules[t].by, kind)
}

// legal says why an act may not be done now; nil: it may. Errors are refusals.
func (a *Application) legal(act *Act) error {
	r, known := rules[act.Type]
	switch {
	case !known:
		return invalid("/type", "There is no such act.")
	case !slices.Contains(r.by, act.By.Kind):
		return &payswitch.Refusal{Code: payswitch.CodeForbidden, Detail: fmt.Sprintf("%s is not for the %s to do.", act.Type, act.By.Kind)}
	case act.By.Kind == Operator && (strings.TrimSpace(act.By.Name) == "" || strings.TrimSpace(act.Reason) == ""):
		return invalid("/operator", "Every act of an operator carries a name and a reason.")
	case len(act.By.Name) > 64 || len(act.Reason) > 500:
		return invalid("/reason", "At most 64 characters of name and 500 of reason are taken.")
	case !slices.Contains(r.stages, a.Stage()):
		return refused("%s is not possible: the application is %s.", act.Type, a.Stage())
	case act.At.Before(a.UpdatedAt):
		return refused("The clock was set back behind the last act.")
	case a.Version >= MaxActs:
		return refused("The application has %d acts, as many as one may have.", MaxActs)
	}
	var t *Track
	if len(r.tracks) > 0 {
		if t = a.track(act.Bank); t == nil {
			return invalid("/bank", "The application is not about this bank.")
		}
		if !slices.Contains(r.tracks, t.Stage) {
			return refused("%s is not possible: bank %s is at %s.", act.Type, act.Bank, t.Stage)
		}
	}
	if r.holds != nil {
		return r.holds(a, t, act)
	}
	return nil
}
