package cabinet

import (
	"fmt"
	"sync"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// approvalsPage lists refunds that need, or had, a second person.
type approvalsPage struct {
	Asks    []people.RefundAsk
	Me      payswitch.ID
	Problem string
}

const shownAsks = 100

// alone reports whether one person may give so much of a payment back, together with
// what was given back before and is on its way.
func (v *visit) alone(p *payswitch.Payment, amount int64) (bool, error) {
	limits, err := v.s.people.RefundLimits(v.account.Merchant.ID, v.account.Live)
	limit, limited := limits[p.Currency.Alpha()]
	if err != nil || !limited {
		return err == nil, err
	}
	_, operations, err := v.s.sw.Operations(v.account, p.ID)
	for i := range operations {
		if o := &operations[i]; o.Kind == payswitch.KindRefund && (o.Open() || o.Status == payswitch.OperationSucceeded) {
			amount += o.Amount
		}
	}
	return amount <= limit, err
}

// mayAlone is alone for a form: one that passed before passes again, since it moves
// money once.
func (v *visit) mayAlone(p *payswitch.Payment, gives int64, once string) (bool, error) {
	if seen, err := v.s.people.Recorded(once); err != nil || seen {
		return seen, err
	}
	return v.alone(p, gives)
}

// gates let one refund of an account with limits through at a time.
type gates struct{ by sync.Map }

// shut waits for its turn and gives what ends it.
func (g *gates) shut(name string) (open func()) {
	gate, _ := g.by.LoadOrStore(name, new(sync.Mutex))
	mu := gate.(*sync.Mutex)
	mu.Lock()
	return mu.Unlock
}

var errSecond = payswitch.Refusal{Code: payswitch.CodeForbidden, Pointer: "/second", Detail: "So much is given back by two persons: ask for a refund of this payment alone."}

// limited reports whether refunds of the account may need a second person.
func (v *visit) limited() bool {
	limits, err := v.s.people.RefundLimits(v.account.Merchant.ID, v.account.Live)
	return err == nil && len(limits) > 0
}

// bound is what an act would give back; 0: nothing.
func bound(kind payswitch.OperationKind, p *payswitch.Payment, amount int64) int64 {
	switch {
	case kind == payswitch.KindRefund && amount == 0:
		return p.AmountCaptured - p.AmountRefunded
	case kind == payswitch.KindRefund:
		return amount
	case kind == payswitch.KindCancel:
		return p.AmountCaptured
	}
	return 0
}

// askSecond puts a refund before a second person. A cancellation that gives money
// back has no such way: a refund is asked for in its place.
func (v *visit) askSecond(kind payswitch.OperationKind, page *askPage, amount int64) error {
	p := &page.Payment
	if kind != payswitch.KindRefund {
		return &errSecond
	}
	act := people.Act{What: "refund_asked", Payment: p.ID, Detail: page.Amount + " " + p.Currency.Alpha() + " " + page.Reason, Once: "ask " + v.actKey(page.Key)}
	if err := v.record(&act); err != nil {
		return err
	}
	_, err := v.s.people.AskRefund(v.account.Merchant.ID, v.account.Live, people.RefundAsk{Payment: p.ID, Amount: amount, Currency: p.Currency.Alpha(),
		Reason: page.Reason, Once: v.actKey(page.Key), By: v.session.User.ID, ByEmail: v.session.User.Email})
	if err != nil {
		return v.refused(&act, err)
	}
	return v.done("approvals", "refund_asked")
}

func (v *visit) listApprovals() error { return v.showApprovals(200, "") }

func (v *visit) showApprovals(status int, problem string) error {
	asks, err := v.s.people.RefundAsks(v.account.Merchant.ID, v.account.Live, shownAsks)
	if err != nil {
		return err
	}
	v.render(status, "approvals", approvalsPage{Asks: asks, Me: v.session.User.ID, Problem: problem})
	return nil
}

// decide approves or refuses a refund as the second person. What is approved is done
// at once, under a key of the wish: pressed again after a crash it moves money once.
func (v *visit) decide() error {
	id, err := v.target(people.RefundPrefix)
	if err != nil {
		return err
	}
	approve := v.form("approve") == "1"
	what := "refund_refused"
	if approve {
		what = "refund_approved"
	}
	ask, err := v.s.people.DecideRefund(v.account.Merchant.ID, v.account.Live, people.Decision{Ask: id, By: &v.session.User, Approve: approve})
	if err != nil {
		text, status, ok := v.again(err)
		if !ok {
			return err
		}
		return v.showApprovals(status, text)
	}
	act := people.Act{What: what, Payment: ask.Payment, Object: id.Text(people.RefundPrefix), Detail: plainAmount(ask.Amount, ask.Currency) + " " + ask.Currency + ", " + ask.ByEmail, Once: what + id.Text(people.RefundPrefix)}
	if err := v.record(&act); err != nil {
		return err
	}
	if !approve {
		return v.done("approvals", "saved")
	}
	answer, err := v.s.sw.Operate(v.account, &payswitch.OperationRequest{Payment: ask.Payment, Kind: payswitch.KindRefund, Amount: ask.Amount, Reason: ask.Reason, RequestID: "cabinet",
		IdempotencyKey: "\x00approved" + string(id[:]), Fingerprint: v.s.sw.Fingerprint("POST", "approved", fmt.Appendf(nil, "%d %q", ask.Amount, ask.Reason))})
	if err != nil {
		text, status, ok := v.again(err)
		if err := v.refused(&act, err); !ok {
			return err
		}
		if err := v.s.people.ConcludeRefund(v.account.Merchant.ID, v.account.Live, id, "refused"); err != nil {
			return err
		}
		return v.showApprovals(status, text)
	}
	outcome := outcomeOf(answer.Operation)
	if err := v.s.people.ConcludeRefund(v.account.Merchant.ID, v.account.Live, id, outcome); err != nil {
		return err
	}
	return v.done("approvals", "operation_"+outcome)
}
