package cabinet

import (
	"slices"
	"strings"

	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// joiningPage shows how far a shop that joins has come.
type joiningPage struct {
	View    joining.View
	Steps   []joining.Stage
	Reached int // in Steps
	Acts    bool
	Problem string
}

// joiningSteps are the stages on the straight way.
var joiningSteps = []joining.Stage{joining.StageApplied, joining.StageTesting, joining.StageJoining, joining.StageLive}

// application is the one the merchant came from; nil: it came by the configuration.
func (v *visit) application() *joining.Application {
	if v.s.o.Joining == nil || v.account.Merchant == nil {
		return nil
	}
	return v.s.o.Joining.OfMerchant(v.account.Merchant.ID)
}

func (v *visit) showJoining() error { return v.joiningAgain(200, "") }

func (v *visit) joiningAgain(status int, problem string) error {
	a := v.application()
	if a == nil {
		return errNoPage
	}
	page := joiningPage{View: v.s.o.Joining.View(a, joining.Actor{Kind: joining.Applicant}), Steps: joiningSteps, Problem: problem, Acts: v.rights.Has(people.RightUsers)}
	page.Reached = slices.Index(page.Steps, page.View.Stage)
	v.render(status, "joining", page)
	return nil
}

// actJoining does what an owner may do with one form; the rest goes over the API.
func (v *visit) actJoining() error {
	a := v.application()
	if a == nil {
		return errNoPage
	}
	wish := joining.Wish{Type: joining.ActType(v.form("type")), Bank: v.form("bank")}
	switch wish.Type {
	case joining.ActAcceptContract:
		wish.Signer = strings.TrimSpace(v.form("signer"))
	case joining.ActAnswer:
		wish.Item, wish.Text = v.form("item"), strings.TrimSpace(v.form("text"))
	case joining.ActCheck:
		wish.Check = v.form("check")
	default:
		return badForm(nil)
	}
	act := people.Act{What: "joining_" + string(wish.Type), Object: a.Name(), Detail: strings.TrimSpace(wish.Bank + " " + wish.Item + wish.Check)}
	if err := v.record(&act); err != nil {
		return err
	}
	if _, err := v.s.o.Joining.Do(a.ID, joining.Actor{Kind: joining.Applicant}, "", &wish); err != nil {
		text, status, ok := v.again(err)
		if err := v.refused(&act, err); !ok {
			return err
		}
		return v.joiningAgain(status, text)
	}
	return v.done("joining", "saved")
}
