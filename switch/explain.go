package payswitch

import (
	"errors"
	"fmt"
	"slices"
)

// BankVerdict is what became of one bank when a payment looked for its own.
type BankVerdict string

// The verdicts.
const (
	BankChosen        BankVerdict = "chosen"
	BankNotAsked      BankVerdict = "not_asked"      // the request, or an operator's pin, names another
	BankOtherMode     BankVerdict = "other_mode"     // test payments go to test banks, live ones to live banks
	BankOtherCurrency BankVerdict = "other_currency" // it does not take this one
	BankNotServed     BankVerdict = "not_served"     // its profile does not take such
	BankNotCarried    BankVerdict = "not_carried"    // it cannot be told what the request carries
	BankRuleBroken    BankVerdict = "rule_broken"    // a rule of its dialect refuses the message
	BankDrained       BankVerdict = "drained"        // by its operators
	BankNoLine        BankVerdict = "no_line"        // none is signed on
	BankDegraded      BankVerdict = "degraded"       // healthier ones go first, and one took the payment
	BankSilent        BankVerdict = "silent"         // it stopped answering, and it is not time for a probe
	BankFull          BankVerdict = "window_full"    // it works on as much as it takes
	BankNotReached    BankVerdict = "not_reached"    // one before it took the payment
)

// BankVerdicts are all verdicts there are.
func BankVerdicts() []BankVerdict {
	return []BankVerdict{BankChosen, BankNotAsked, BankOtherMode, BankOtherCurrency, BankNotServed, BankNotCarried, BankRuleBroken, BankDrained, BankNoLine, BankDegraded, BankSilent, BankFull, BankNotReached}
}

// Consideration is one bank on the way of a payment.
type Consideration struct {
	Bank    string
	Verdict BankVerdict
	Rule    string // the part of the bank's profile that the request does not fit
	Detail  string // what is known besides the verdict
}

// trail is the banks that route looked at. A nil trail, that of payments, notes
// nothing.
type trail []Consideration

// note keeps the last verdict about a bank; a new one moves it to the end.
func (t *trail) note(bank string, v BankVerdict) { t.add(Consideration{Bank: bank, Verdict: v}) }

// noteMisfit is note for a bank whose profile the request does not fit.
func (t *trail) noteMisfit(u *unfit, v BankVerdict) {
	if t == nil {
		return
	}
	_, text := u.words()
	t.add(Consideration{Bank: u.bank.id, Verdict: v, Rule: u.misfit.String(), Detail: "It " + text + "."})
}

// noteBroken is note for a bank whose dialect refuses the message.
func (t *trail) noteBroken(b *bank, faults []RuleFault) {
	detail := "Its dialect refuses the message: " + faults[0].Rule + "."
	if faults[0].Field != 0 {
		detail = fmt.Sprintf("Its dialect refuses field %d: %s.", faults[0].Field, faults[0].Rule)
	}
	t.add(Consideration{Bank: b.id, Verdict: BankRuleBroken, Detail: detail})
}

func (t *trail) add(one Consideration) {
	if t == nil {
		return
	}
	for i, c := range *t {
		if c.Bank != one.Bank {
			continue
		}
		if c.Verdict == one.Verdict {
			return
		}
		*t = append((*t)[:i], (*t)[i+1:]...)
		break
	}
	*t = append(*t, one)
}

// Explanation is what would become of a payment now.
type Explanation struct {
	Bank       string          // empty: none takes it, and Refusal says why
	Refusal    *Refusal        // with a Bank: another payment of the order stands in the way
	Considered []Consideration // every bank of the merchant, in the order of consideration

	Operation string // purchase or authorization; this and what follows only with a Bank
	Dialect   string
	Version   int
	Message   TimelineMessage // masked; what is given anew to each message stands as FreshValue
	Faults    []RuleFault     // rules of the dialect that fail: none, or the payment would be refused
}

// RuleFault is a field that the bank's dialect cannot carry as it would be.
type RuleFault struct {
	Field int
	Name  string
	Rule  string
}

// FreshValue stands in an explanation for numbers and times that only a real
// message is given.
const FreshValue = "(given when sent)"

// Explain says what Pay would do with a request now, by the same code, and does
// nothing of it: nothing is recorded or sent, no number is used up. Errors are
// refusals of the request itself; that no bank takes it is no error.
func (s *Switch) Explain(a Account, r *PayRequest) (Explanation, error) {
	if r.SaveCard || !r.Token.IsZero() || r.Carried != nil {
		if err := s.prepareCard(a, r); err != nil {
			return Explanation{}, err
		}
	}
	var e Explanation
	if r.once(a.Merchant) {
		if _, err := s.nextAttempt(a, r.OrderID); err != nil && !errors.As(err, &e.Refusal) {
			return Explanation{}, err
		}
	}
	why := refusals{trail: new(trail)}
	var tried []*bank
	var broken *Explanation // at the first bank whose dialect refuses the message
	for {
		to := s.pick(a, r, tried, &why)
		if to == nil {
			if broken == nil && e.Refusal == nil {
				e.Refusal = why.refusal(r.Bank)
			}
			break
		}
		to.quit()
		at := e
		s.rehearse(&at, a, r, to)
		if len(at.Faults) == 0 {
			e, broken = at, nil
			break
		}
		if broken == nil {
			broken = &at
		}
		tried = append(tried, to.bank)
		why.trail.noteBroken(to.bank, at.Faults)
	}
	if broken != nil {
		e = *broken
	}
	for i := range a.Merchant.Banks {
		name := a.Merchant.Banks[i].Bank
		if !slices.ContainsFunc(*why.trail, func(c Consideration) bool { return c.Bank == name }) {
			why.trail.note(name, BankNotReached)
		}
	}
	e.Considered = *why.trail
	return e, nil
}

// rehearse builds the message that would go on a route, and shows it.
func (s *Switch) rehearse(e *Explanation, a Account, r *PayRequest, to *route) {
	w := s.pool.Get().(*work)
	defer func() { w.reset(); s.pool.Put(w) }()
	in, d := &w.intent, to.bank.dialect()
	in.way = to.way(d, r.operation(), numbers{turn: to.turn.Load(), at: s.now()})
	s.describe(in, a, r, to)
	w.wish = r
	if r.PIN != nil {
		r.standInPIN(to.bank)
	}
	w.fill(in)
	e.Bank, e.Operation, e.Dialect, e.Version = to.bank.id, in.operation.String(), d.ID(), d.Version()
	if !d.Supports(in.operation) {
		e.Faults = []RuleFault{{Rule: "the dialect has no message for this"}}
		return
	}
	fresh, faults := d.Rehearse(in.operation, &w.values, &w.request)
	for _, f := range faults {
		e.Faults = append(e.Faults, RuleFault{f.Field, d.FieldName(f.Field), f.Rule})
	}
	e.Message = TimelineMessage{Direction: "sent", MTI: w.request.MTI.String(), Fields: d.Describe(&w.request)}
	for i, f := range e.Message.Fields {
		if slices.Contains(fresh, f.Number) {
			e.Message.Fields[i].Value = FreshValue
		}
	}
}
