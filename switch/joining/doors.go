package joining

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// Wish is what somebody asks to be done, in the words of the API. Which members
// an act takes depends on its type.
type Wish struct {
	Type       ActType  `json:"type"`
	Code       string   `json:"code,omitempty"`        // confirm
	Live       bool     `json:"livemode,omitempty"`    // new_key
	Hours      int      `json:"hours,omitempty"`       // extend_test: from now
	Banks      []string `json:"banks,omitempty"`       // choose_banks
	Bank       string   `json:"bank,omitempty"`        // acts about one bank
	Item       string   `json:"item,omitempty"`        // answer, set_item
	Text       string   `json:"text,omitempty"`        // answer
	Status     string   `json:"status,omitempty"`      // set_item
	Signer     string   `json:"signer,omitempty"`      // accept_contract
	Contract   string   `json:"contract,omitempty"`    // countersign
	MerchantID string   `json:"merchant_id,omitempty"` // provision
	Terminals  []string `json:"terminals,omitempty"`   // provision
	Check      string   `json:"check,omitempty"`       // check, waive_check
}

// Done is what came of a wish.
type Done struct {
	Application *Application
	Secret      string // of an API key that was issued: nobody can read it again
}

// Do does what an actor asks about an application. The record is durable, and in
// force, when it returns. Errors are refusals.
func (f *Office) Do(id payswitch.ID, by Actor, reason string, w *Wish) (Done, error) {
	act := Act{Type: w.Type, By: by, Reason: reason, Live: w.Live, Bank: w.Bank, Item: w.Item, Text: w.Text, Status: w.Status, Signer: w.Signer,
		Contract: w.Contract, MerchantID: w.MerchantID, Terminals: w.Terminals, Check: w.Check}
	if w.Type == ActCheck || w.Type == ActTestConnection {
		if err := f.look(id, &act); err != nil {
			return Done{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.by[id]
	if a == nil {
		return Done{}, errNone
	}
	act.At = f.nowAt(a)
	switch w.Type {
	case ActApply, ActUpload, ActTestEnded, ActExpire:
		return Done{}, invalid("/type", "%s is not asked for here.", w.Type)
	case ActConfirm:
		return f.confirm(a, act, w.Code)
	case ActNewKey:
		return f.newKey(a, act)
	case ActExtend:
		act.Until = act.At.Add(time.Duration(w.Hours) * time.Hour)
	case ActChoose:
		if err := f.plan(a, &act, w.Banks); err != nil {
			return Done{}, err
		}
	case ActCountersign:
		if t := a.track(act.Bank); t != nil {
			act.Due = payswitch.WorkingDays(act.At, t.Terms.ConnectionDays, f.o.Calendar.Zone, f.o.Calendar.Holidays)
		}
	}
	a, err := f.record(a, act)
	return Done{Application: a}, err
}

// confirm opens test mode and issues its first key. A crash between the two leaves
// test mode open without a key: new_key gives one.
func (f *Office) confirm(a *Application, act Act, code string) (Done, error) {
	if err := a.legal(&act); err != nil {
		return Done{}, err
	}
	if err := f.proven(a, code); err != nil {
		return Done{}, err
	}
	act.Merchant, act.Until = f.o.Switch.NewID().Text(payswitch.MerchantPrefix), act.At.Add(f.o.TestFor)
	a, err := f.record(a, act)
	if err != nil {
		return Done{}, err
	}
	delete(f.tries, a.ID)
	done, err := f.newKey(a, Act{Type: ActNewKey, At: act.At, By: act.By})
	if err != nil {
		f.log.Error("the first key of a test mode could not be issued; the applicant can ask for it", "application", a.Name(), "error", err)
		return Done{Application: a}, nil
	}
	return done, nil
}

// proven tells whether a code is that of the letter, of which few tries are had.
func (f *Office) proven(a *Application, code string) error {
	switch {
	case f.tries[a.ID] >= maxCodeTries:
		return refused("The code was tried %d times: apply again, or ask for help.", maxCodeTries)
	case subtle.ConstantTimeCompare(a.code, digest(a.Name()+code)) != 1:
		f.tries[a.ID]++
		return errCode
	}
	return nil
}

var errCode = invalid("/code", "This is not the code of the letter.")

// Open is for who holds nothing but the letter: its code opens test mode, as confirm
// does. Afterwards, for a while, it still proves who the contact is, so that a crash
// in between does not leave a shop without an owner. An application that does not
// exist is refused as a wrong code is. Errors are refusals.
func (f *Office) Open(id payswitch.ID, code string) (Done, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.by[id]
	if a == nil {
		return Done{}, errCode
	}
	if a.Stage() == StageApplied {
		return f.confirm(a, Act{Type: ActConfirm, By: Actor{Kind: Applicant}, At: f.nowAt(a)}, code)
	}
	if err := f.proven(a, code); err != nil {
		return Done{}, err
	}
	if a.Closed() || f.now().Sub(a.CreatedAt) >= 2*f.o.ConfirmWithin {
		return Done{}, refused("This code opens nothing any more.")
	}
	return Done{Application: a}, nil
}

// nowAt is the time of the next act of an application: never before the last.
func (f *Office) nowAt(a *Application) time.Time {
	if now := f.now(); !now.Before(a.UpdatedAt) {
		return now
	}
	return a.UpdatedAt
}

// newKey issues an API key to the applicant.
func (f *Office) newKey(a *Application, act Act) (Done, error) {
	if err := a.legal(&act); err != nil {
		return Done{}, err
	}
	account, err := f.o.Switch.AccountOf(a.Merchant, act.Live)
	if err != nil {
		return Done{}, err
	}
	k, err := f.o.Switch.IssueKey(account, payswitch.Access{Name: "joining"}, f.because(a, &act))
	if err != nil {
		return Done{}, err
	}
	act.Key = k.ID.Text(payswitch.APIKeyPrefix)
	a, err = f.record(a, act)
	return Done{Application: a, Secret: k.Secret}, err
}

// plan makes the checklist of the chosen banks with its dates.
func (f *Office) plan(a *Application, act *Act, banks []string) error {
	if len(banks) > MaxBanks {
		return invalid("/banks", "At most %d banks can be chosen.", MaxBanks)
	}
	for _, id := range banks {
		terms, open := f.terms(id)
		if !open {
			return invalid("/banks", "There is no bank of this name that merchants can join.")
		}
		offer, _ := f.o.Switch.BankOffer(id)
		if misfit := offer.Profile.TakesMerchant(a.Form.MCC, a.Form.Country); misfit != iso.Fits {
			return invalid("/banks", "Bank %s does not take such merchants (%s in its profile).", id, misfit)
		}
		act.Terms = append(act.Terms, terms)
		for _, r := range terms.Requirements {
			act.Dues = append(act.Dues, payswitch.WorkingDays(act.At, r.Days, f.o.Calendar.Zone, f.o.Calendar.Holidays))
		}
	}
	return nil
}

// look runs a check or tests a connection, before the act is recorded: nothing is
// held while a shop is called.
func (f *Office) look(id payswitch.ID, act *Act) error {
	f.mu.Lock()
	a := f.by[id]
	f.mu.Unlock()
	if a == nil {
		return errNone
	}
	asked := *act
	asked.At = f.nowAt(a)
	if err := a.legal(&asked); err != nil {
		return err
	}
	switch {
	case act.Type == ActTestConnection:
		act.OK, act.Detail = f.connected(act.Bank)
	case act.Check == CheckWebhook:
		act.OK, act.Detail = f.hooked(a)
	case act.Check == CheckRefund:
		act.OK, act.Detail = f.refunded(a)
	default:
		act.OK, act.Detail = f.paidOnPage(a)
	}
	return nil
}

// connected asks whether payments could go to a bank now. No money is moved for it.
func (f *Office) connected(bank string) (ok bool, detail string) {
	for _, b := range f.o.Switch.BankStatuses() {
		if b.ID != bank {
			continue
		}
		up := 0
		for _, l := range b.Links.Links {
			if l.State == "ready" {
				up++
			}
		}
		switch {
		case b.Drained:
			return false, "The bank is drained: it takes no new payments."
		case b.Health == "failing":
			return false, "The bank does not answer."
		case up == 0:
			return false, "No line to the bank is signed on."
		}
		return true, fmt.Sprintf("%d of %d lines are signed on.", up, len(b.Links.Links))
	}
	return false, "The bank is not configured."
}

// hooked proves the webhook endpoints of test mode, all that are enabled.
func (f *Office) hooked(a *Application) (ok bool, detail string) {
	account, err := f.o.Switch.AccountOf(a.Merchant, false)
	if err != nil {
		return false, "The merchant is not known."
	}
	list := slices.DeleteFunc(f.o.Switch.Outbox().EndpointsOf(account), func(e *payswitch.Endpoint) bool { return !e.Enabled })
	if len(list) == 0 {
		return false, "There is no enabled webhook endpoint in test mode."
	}
	for _, e := range list {
		if ok, detail = f.o.Prove(e); !ok {
			return false, e.ID.Text(payswitch.EndpointPrefix) + ": " + detail
		}
	}
	return true, fmt.Sprintf("%d endpoints took what was signed and refused what was not.", len(list))
}

// paidOnPage looks for a checkout session of test mode that a buyer paid: the
// payment page is the only place where that can be done.
func (f *Office) paidOnPage(a *Application) (ok bool, detail string) {
	account, err := f.o.Switch.AccountOf(a.Merchant, false)
	if err != nil {
		return false, "The merchant is not known."
	}
	shown, since, ok := f.pagePublished(account)
	if !ok {
		return false, "A template of the page was uploaded, and none was published in test mode: publish it, or the standard page (version 0)."
	}
	var cursor payswitch.ID
	for looked := 0; looked < maxLooked; looked += 100 {
		page, err := f.o.Switch.Checkouts(account, 100, cursor)
		if err != nil {
			return false, "The checkout sessions could not be read: " + reasonOf(err)
		}
		for i := range page.Sessions {
			if c := &page.Sessions[i]; c.Status == payswitch.CheckoutComplete && !c.Payment.CreatedAt.Before(since) {
				return true, "Session " + c.ID.Text(payswitch.CheckoutPrefix) + " was paid on " + shown + "."
			}
		}
		if !page.More {
			break
		}
		cursor = page.Next
	}
	if !since.IsZero() {
		return false, "No checkout session was paid in test mode since " + shown + " was published."
	}
	return false, "No checkout session was paid on the payment page in test mode."
}

// pagePublished is what buyers of test mode see and, of a page of the shop's own
// design, since when; false: a design was uploaded, and the shop has not said what to
// show.
func (f *Office) pagePublished(a payswitch.Account) (shown string, since time.Time, ok bool) {
	t := f.o.Switch.PageTemplates(a)
	if number := t.Shown(false); number != 0 {
		at := slices.IndexFunc(t.Acts, func(did payswitch.PageAct) bool { return !did.Live && did.What != payswitch.PageUploaded })
		if at >= 0 {
			since = t.Acts[at].At
		}
		return "version " + t.Find(number).Name() + " of the page", since, true
	}
	return "the page", since, len(t.Versions) == 0 || len(t.Test) > 0
}

// maxLooked is how many of the newest are looked at for what a check asks.
const maxLooked = 1000

// refunded looks for a test payment with a refund that the bank approved.
func (f *Office) refunded(a *Application) (ok bool, detail string) {
	account, err := f.o.Switch.AccountOf(a.Merchant, false)
	if err != nil {
		return false, "The merchant is not known."
	}
	q := payswitch.ListQuery{Limit: 100}
	for looked := 0; looked < maxLooked; looked += q.Limit {
		page, err := f.o.Switch.List(account, q)
		if err != nil {
			return false, "The payments could not be read: " + reasonOf(err)
		}
		for i := range page.Payments {
			if p := &page.Payments[i]; p.AmountRefunded > 0 {
				return true, "Payment " + p.Name() + " was refunded."
			}
		}
		if !page.More {
			break
		}
		q.Cursor = page.Next
	}
	return false, "No test payment was refunded."
}

func reasonOf(err error) string {
	var refusal *payswitch.Refusal
	if errors.As(err, &refusal) {
		return refusal.Detail
	}
	return "it failed."
}
