package joining

import (
	"slices"
	"strings"
	"time"
)

// Limits of what acts may say.
const (
	MaxActs    = 1000 // of one application
	MaxBanks   = 16   // chosen by one application
	maxExtend  = 90 * 24 * time.Hour
	maxText    = 2000
	maxKeys    = 20 // issued to one applicant
	maxUploads = 10 // of one item
)

func extendHolds(a *Application, _ *Track, act *Act) error {
	if !act.Until.After(act.At) || act.Until.After(act.At.Add(maxExtend)) {
		return invalid("/until", "Test mode can go on for at most %d days from now.", int(maxExtend.Hours()/24))
	}
	return nil
}

func endHolds(a *Application, _ *Track, act *Act) error {
	if act.At.Before(a.TestUntil) || a.TestEnded {
		return refused("The time of test mode is not over, or that was noted.")
	}
	return nil
}

func keyHolds(a *Application, _ *Track, act *Act) error {
	switch {
	case act.Live && a.Stage() != StageLive:
		return refused("A live key is issued once the shop is live.")
	case !act.Live && a.Stage() != StageLive && !act.At.Before(a.TestUntil):
		return refused("The time of test mode is over: ask to have it extended.")
	case a.Keys >= maxKeys:
		return refused("%d keys were issued here, as many as may be: make more over /v1/api_keys.", maxKeys)
	}
	return nil
}

func chooseHolds(a *Application, _ *Track, act *Act) error {
	if len(act.Terms) == 0 {
		return invalid("/banks", "Name at least one bank.")
	}
	items := 0
	for i := range act.Terms {
		t := &act.Terms[i]
		items += len(t.Requirements)
		if old := a.track(t.Bank); old != nil {
			return invalid("/banks", "Bank %s is chosen already.", t.Bank)
		}
		if slices.ContainsFunc(act.Terms[:i], func(o Terms) bool { return o.Bank == t.Bank }) {
			return invalid("/banks", "Bank %s is named twice.", t.Bank)
		}
	}
	switch {
	case len(act.Dues) != items:
		return invalid("/banks", "A plan has one date for each item.")
	case len(a.Tracks)+len(act.Terms) > MaxBanks:
		return refused("An application is about at most %d banks.", MaxBanks)
	}
	return nil
}

func (t *Track) holdsItem(act *Act) (*Item, error) {
	if i := t.item(act.Item); i != nil {
		return i, nil
	}
	return nil, invalid("/item", "Bank %s has no such item.", t.Terms.Bank)
}

func uploadHolds(_ *Application, t *Track, act *Act) error {
	i, err := t.holdsItem(act)
	switch {
	case err != nil:
		return err
	case i.Kind != "document":
		return refused("Item %s is not a document.", i.ID)
	case i.Status == ItemAccepted || i.Status == ItemWaived:
		return refused("Item %s is %s.", i.ID, i.Status)
	case len(i.Documents) >= maxUploads:
		return refused("Item %s has %d documents, as many as it may.", i.ID, maxUploads)
	case act.Document == nil:
		return invalid("/document", "Send the document.")
	}
	return nil
}

func answerHolds(_ *Application, t *Track, act *Act) error {
	i, err := t.holdsItem(act)
	switch {
	case err != nil:
		return err
	case i.Kind != "field":
		return refused("Item %s asks for no text.", i.ID)
	case i.Status == ItemAccepted || i.Status == ItemWaived:
		return refused("Item %s is %s.", i.ID, i.Status)
	case strings.TrimSpace(act.Text) == "" || len(act.Text) > maxText:
		return invalid("/text", "Must be 1 to %d bytes of text.", maxText)
	}
	return nil
}

func itemHolds(_ *Application, t *Track, act *Act) error {
	i, err := t.holdsItem(act)
	switch {
	case err != nil:
		return err
	case act.Status != ItemAccepted && act.Status != ItemReturned && act.Status != ItemWaived:
		return invalid("/status", "Must be accepted, returned or waived.")
	case act.Status == ItemAccepted && i.Owner == "merchant" && i.Kind != "check" && i.Status != ItemSubmitted:
		return refused("Item %s is %s: there is nothing to accept.", i.ID, i.Status)
	case act.Status == ItemReturned && i.Status != ItemSubmitted:
		return refused("Item %s is %s: there is nothing to return.", i.ID, i.Status)
	case i.Status == ItemAccepted || i.Status == ItemWaived:
		return refused("Item %s is %s.", i.ID, i.Status)
	}
	return nil
}

func acceptHolds(_ *Application, t *Track, act *Act) error {
	switch {
	case !t.AcceptedAt.IsZero():
		return refused("The contract is accepted already.")
	case !isLine(act.Signer, 100):
		return invalid("/signer", "Name who accepts it, with at most 100 characters.")
	}
	return nil
}

func countersignHolds(_ *Application, t *Track, act *Act) error {
	switch {
	case t.AcceptedAt.IsZero():
		return refused("The merchant has not accepted the contract.")
	case !isLine(act.Contract, 64):
		return invalid("/contract", "Give the contract's number, at most 64 characters.")
	}
	return nil
}

func provisionHolds(_ *Application, _ *Track, act *Act) error {
	if !isASCII(act.MerchantID, 15) {
		return invalid("/merchant_id", "Must have 1 to 15 characters (DE42).")
	}
	if len(act.Terminals) == 0 || len(act.Terminals) > 100 {
		return invalid("/terminals", "Give 1 to 100 terminals.")
	}
	for i, t := range act.Terminals {
		if len(t) != 8 || !isASCII(t, 8) || slices.Contains(act.Terminals[:i], t) {
			return invalid("/terminals", "Each terminal has 8 characters (DE41), and none comes twice.")
		}
	}
	return nil
}

func checkHolds(a *Application, _ *Track, act *Act) error {
	switch {
	case !slices.Contains(Checks, act.Check):
		return invalid("/check", "Must be one of %s.", strings.Join(Checks, ", "))
	case !a.needs(act.Check):
		return refused("This shop does not need the check %s.", act.Check)
	}
	return nil
}

// waiveHolds: what proves that notices and refunds work is never waived.
func waiveHolds(a *Application, t *Track, act *Act) error {
	if act.Check != CheckPage {
		return invalid("/check", "Only %s can be waived.", CheckPage)
	}
	return checkHolds(a, t, act)
}

func requestHolds(a *Application, t *Track, act *Act) error {
	if !t.ConnectionOK {
		return refused("The connection to bank %s is not tested.", t.Terms.Bank)
	}
	return a.checked(act.At)
}

// checked says which check of the shop is missing; nil: none.
func (a *Application) checked(at time.Time) error {
	for _, name := range Checks {
		if !a.needs(name) {
			continue
		}
		switch c := a.Checks[name]; {
		case !c.OK:
			return refused("The check %s has not passed.", name)
		case !c.Waived && at.Sub(c.At) > CheckAge:
			return refused("The check %s is older than %d days: run it again.", name, int(CheckAge.Hours()/24))
		}
	}
	return nil
}

// approveHolds is the rule of two persons; what the first one saw must still hold.
func approveHolds(a *Application, t *Track, act *Act) error {
	if act.By.same(t.RequestedBy) {
		return refused("%s asked for it: another person has to approve.", t.RequestedBy.Name)
	}
	return a.checked(act.At)
}
