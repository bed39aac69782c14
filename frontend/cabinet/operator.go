package cabinet

import (
	"net/http"
	"strconv"
	"strings"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// operatorRoute is a page or an act of the house, below /operator.
type operatorRoute struct {
	method, path string
	do           func(*visit) error
}

// operatorRoutes are all there are: a test lets people of shops try each.
func operatorRoutes() []operatorRoute {
	return []operatorRoute{
		{"GET", "", (*visit).listApplications},
		{"GET", "/applications/{app}", (*visit).showApplication},
		{"POST", "/applications/{app}", (*visit).actOnApplication},
		{"GET", "/applications/{app}/documents/{id}", (*visit).showApplicationDocument},
	}
}

// operatorPage lets operators in. To all others the page does not exist.
func (s *Server) operatorPage(do func(*visit) error) http.HandlerFunc {
	return s.personal(func(v *visit) error {
		if !v.session.User.IsOperator() || s.o.Joining == nil {
			return errNoPage
		}
		return do(v)
	})
}

// operator is the user as the journal of applications names who acts.
func (v *visit) operator() joining.Actor {
	return joining.Actor{Kind: joining.Operator, Name: v.session.User.Email}
}

// queuePage lists the applications of a stage.
type queuePage struct {
	Stages       []stageCount
	Stage        joining.Stage
	Applications []joining.View
	Next         string
}

type stageCount struct {
	Stage joining.Stage
	Count int
}

const queueSize = 50

func (v *visit) listApplications() error {
	office, q := v.s.o.Joining, v.r.URL.Query()
	page := queuePage{Stage: joining.Stage(q.Get("stage"))}
	counts := office.Counts()
	for _, stage := range joining.Stages() {
		page.Stages = append(page.Stages, stageCount{stage, counts[stage]})
	}
	var before payswitch.ID
	if text := q.Get("before"); text != "" {
		var err error
		if before, err = payswitch.ParseID(joining.ApplicationPrefix, text); err != nil {
			return errNoPage
		}
	}
	list, more := office.List(page.Stage, before, queueSize)
	for _, a := range list {
		page.Applications = append(page.Applications, office.View(a, v.operator()))
	}
	if more {
		page.Next = list[len(list)-1].Name()
	}
	return v.show("queue", page)
}

// applicationPage is one application as operators see it.
type applicationPage struct {
	View    joining.View
	Me      string
	Problem string
}

// May reports whether the stages allow an act now.
func (p applicationPage) May(act string) bool {
	for _, can := range p.View.Can {
		if string(can) == act {
			return true
		}
	}
	return false
}

// the is the application of the path.
func (v *visit) the() (*joining.Application, error) {
	id, err := payswitch.ParseID(joining.ApplicationPrefix, v.r.PathValue("app"))
	if err != nil {
		return nil, errNoPage
	}
	return v.s.o.Joining.Application(id)
}

func (v *visit) showApplication() error { return v.applicationAgain(http.StatusOK, "") }

func (v *visit) applicationAgain(status int, problem string) error {
	a, err := v.the()
	if err != nil {
		return err
	}
	v.render(status, "application", applicationPage{View: v.s.o.Joining.View(a, v.operator()), Me: v.session.User.Email, Problem: problem})
	return nil
}

// actOnApplication does what an operator asks, under the operator's own name. That
// whoever asked for live does not approve it is the state machine's rule.
func (v *visit) actOnApplication() error {
	a, err := v.the()
	if err != nil {
		return err
	}
	line := func(name string) string { return strings.TrimSpace(v.form(name)) }
	wish := joining.Wish{Type: joining.ActType(line("type")), Bank: line("bank"), Item: line("item"), Status: line("status"), Contract: line("contract"),
		MerchantID: line("merchant_id"), Terminals: strings.Fields(strings.ReplaceAll(line("terminals"), ",", " ")), Check: line("check")}
	wish.Hours, _ = strconv.Atoi(line("hours"))
	if !joining.IsFor(joining.Operator, wish.Type) {
		return badForm(nil)
	}
	if _, err := v.s.o.Joining.Do(a.ID, v.operator(), line("reason"), &wish); err != nil {
		text, status, ok := v.again(err)
		if !ok {
			return err
		}
		return v.applicationAgain(status, text)
	}
	if a.Merchant != "" {
		act := people.Act{Merchant: a.Merchant, Who: v.session.User.Email, Operator: true, What: "joining_" + string(wish.Type), Object: a.Name(),
			Detail: strings.TrimSpace(wish.Bank + " " + wish.Item + wish.Check), Address: v.from().Address}
		if err := v.s.people.Record(&act); err != nil {
			return err
		}
	}
	v.redirect("/operator/applications/" + a.Name() + "?done=saved")
	return nil
}

func (v *visit) showApplicationDocument() error {
	a, err := v.the()
	if err != nil {
		return err
	}
	return v.document(a)
}
