package payswitch

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/iso"
)

// route is one way from a merchant to a bank.
type route struct {
	bank      *bank
	as        MerchantBank
	turn      atomic.Uint32
	held      atomic.Int64 // slots of the bank's window
	alone     atomic.Bool  // no other merchant has a way to the bank
	nameField string
	closed    iso.Misfit // what of the merchant the bank's profile refuses
}

// keptForOthers is the part of a bank's window, an eighth, that is for merchants
// that hold less than their share of it: however many payments one shop sends,
// another's find a slot.
const keptForOthers = 8

// enter takes what a payment needs to go this way now.
func (r *route) enter(share float64, why *refusals) bool {
	if !r.bank.enter(why) {
		return false
	}
	if r.fair(share) {
		return true
	}
	r.bank.health.giveBack()
	why.overflows(r.bank)
	return false
}

// fair counts a slot that was just reserved, or gives it back when it is one of
// those kept for others.
func (r *route) fair(share float64) bool {
	held := r.held.Add(1)
	taken, limit := r.bank.link.Taken(acquirers.ClassPayment)
	if r.alone.Load() || taken <= limit-limit/keptForOthers || float64(held) <= share*float64(limit) {
		return true
	}
	r.leave()
	return false
}

// quit gives back what enter took, of a route that no message went by.
func (r *route) quit() {
	r.leave()
	r.bank.health.giveBack()
}

// leave gives the slot back.
func (r *route) leave() {
	r.held.Add(-1)
	r.bank.link.Release(acquirers.ClassPayment)
}

// take gives the next payment on this route its terminal and trace numbers.
func (r *route) take(d *iso.Dialect, op iso.Operation, now time.Time) (way, error) {
	seq, err := r.bank.trace.next()
	if err != nil {
		return way{}, err
	}
	return r.way(d, op, numbers{seq, r.turn.Add(1) - 1, now}), nil
}

// numbers are what a message is given of the bank's counters, and when.
type numbers struct {
	seq  uint64
	turn uint32 // whose terminal's it is
	at   time.Time
}

// way is the way of a request in a version of the bank's dialect.
func (r *route) way(d *iso.Dialect, op iso.Operation, n numbers) way {
	b := r.bank
	return way{
		bank: b.id, dialect: d.ID(), dialectVersion: uint32(d.Version()), requestType: d.MTI(op), acquirer: b.acquirer,
		terminal:     r.as.Terminals[int(n.turn)%len(r.as.Terminals)],
		bankMerchant: r.as.MerchantID, stan: d.STAN(n.seq), rrn: d.RRN(n.seq, n.at), sentAt: n.at,
	}
}

// route picks a bank for the payment and takes a slot in its window. The
// candidates are the bank asked for or pinned, else the merchant's banks in its
// own order; healthy ones go before degraded ones, and a bank that stopped
// answering gets only its probes. Banks in tried are passed over.
// Errors are refusals: nothing was recorded, no slot is held.
func (s *Switch) route(a Account, r *PayRequest, tried []*bank) (*route, error) {
	var why refusals
	if way := s.pick(a, r, tried, &why); way != nil {
		return way, nil
	}
	return nil, why.refusal(r.Bank)
}

// pick is route, which says in why what became of each candidate; nil: none.
func (s *Switch) pick(a Account, r *PayRequest, tried []*bank, why *refusals) *route {
	dir := s.dir.Load()
	only := r.Bank
	if only == "" {
		only = s.pins.bankOf(a.Merchant.ID)
	}
	ask := r.ask()
	for grade := healthy; grade <= failing; grade++ {
		for i := range a.Merchant.Banks {
			name := a.Merchant.Banks[i].Bank
			if only != "" && name != only {
				why.trail.note(name, BankNotAsked)
				continue
			}
			way := dir.route(a.Merchant.ID, name)
			switch {
			case way == nil || way.bank.live != a.Live:
				why.trail.note(name, BankOtherMode)
				continue
			case slices.Contains(tried, way.bank):
				continue
			case r.Purpose != PurposePayment && !s.serves(a.Merchant, way.bank, r, why):
				continue
			}
			if misfit := way.misfit(&ask); misfit != iso.Fits {
				why.misfits(&unfit{way.bank, a.Merchant, misfit, ask})
				continue
			}
			if !why.consider(way.bank, r) {
				continue
			}
			if way.bank.health.grade() != grade {
				why.trail.note(name, BankDegraded)
				continue
			}
			if way.enter(s.o.MerchantShare, why) {
				why.trail.note(name, BankChosen)
				return way
			}
		}
	}
	return nil
}

// enter takes what a payment needs to go to this bank now: a probe when the
// bank is failing, and a slot of its window.
func (b *bank) enter(why *refusals) bool {
	if !b.health.allow() {
		why.silent = b
		why.trail.note(b.id, BankSilent)
		return false
	}
	if !b.link.Reserve(acquirers.ClassPayment) {
		b.health.giveBack()
		why.overflows(b)
		return false
	}
	return true
}

// refusals remembers why each candidate was passed over, to say the most
// useful of it.
type refusals struct {
	matched                        bool
	unready, drained, silent, full *bank

	trail  *trail // nil for payments
	cannot *bank  // it has no field for what the request carries
	lacks  error
	poor   bool    // its balance is less than the payout
	unable Purpose // what it does not do
	unfit  unfit   // of the first bank whose profile the request does not fit, save for its currency
}

// misfits passes over a bank whose profile the request does not fit.
func (w *refusals) misfits(u *unfit) {
	w.matched = true
	verdict := BankNotServed
	if u.misfit == iso.MisfitCurrency {
		verdict = BankOtherCurrency
	} else if w.unfit.bank == nil {
		w.unfit = *u
	}
	w.trail.noteMisfit(u, verdict)
}

// serves reports whether a bank does what is asked besides payments.
func (s *Switch) serves(m *Merchant, b *bank, r *PayRequest, why *refusals) bool {
	if !b.does(r.operation()) {
		why.unable = r.Purpose
		return false
	}
	if r.Purpose != PurposePayout {
		return true
	}
	kept, enough := s.covers(m, b, r)
	if !kept {
		why.unable = r.Purpose
	}
	why.poor = why.poor || kept && !enough
	return kept && enough
}

// overflows notes that the bank's window has no slot for this merchant.
func (w *refusals) overflows(b *bank) {
	if w.trail == nil {
		b.metrics.refused.Inc()
	}
	w.full = b
	w.trail.note(b.id, BankFull)
}

func (w *refusals) consider(b *bank, r *PayRequest) bool {
	w.matched = true
	switch {
	case r.carrying() && !w.carries(b, r):
		w.trail.note(b.id, BankNotCarried)
		return false
	case b.drained.Load():
		w.drained = b
		w.trail.note(b.id, BankDrained)
		return false
	case b.link.Ready() != nil:
		w.unready = b
		w.trail.note(b.id, BankNoLine)
		return false
	}
	return true
}

// carries passes over a bank that cannot be told what the request carries.
func (w *refusals) carries(b *bank, r *PayRequest) bool {
	err := b.carries(r)
	if err != nil {
		w.cannot, w.lacks = b, err
	}
	return err == nil
}

func (w *refusals) refusal(asked string) *Refusal {
	switch {
	case w.full != nil:
		return &Refusal{Code: CodeOverloaded, RetryAfter: time.Second, Detail: "The bank's window, or your share of it, is full. Nothing was recorded or sent."}
	case w.silent != nil:
		return unavailable(w.silent, w.silent.health.wait(), "does not answer")
	case w.unready != nil:
		return unavailable(w.unready, 2*time.Second, "has no line that is signed on")
	case w.drained != nil:
		return unavailable(w.drained, time.Minute, "is being drained by its operators")
	case w.cannot != nil:
		return notCarried(w.cannot, w.lacks)
	case w.unfit.bank != nil:
		return w.unfit.refusal()
	case w.poor:
		return errBalance
	case w.unable == PurposePayout:
		return &Refusal{Code: CodeCurrency, Pointer: "/currency", Detail: "The merchant pays out at none of its banks in this currency."}
	case w.unable == PurposeVerification:
		return &Refusal{Code: CodeUnknownBank, Detail: "None of the merchant's banks verifies cards without a payment."}
	case w.matched:
		return &Refusal{Code: CodeCurrency, Pointer: "/currency", Detail: "None of the merchant's banks takes this currency."}
	case asked != "":
		return &Refusal{Code: CodeUnknownBank, Pointer: "/bank", Detail: "This merchant has no such bank in this mode."}
	}
	return &Refusal{Code: CodeUnknownBank, Detail: "This merchant has no bank in this mode."}
}

func unavailable(b *bank, wait time.Duration, what string) *Refusal {
	return &Refusal{Code: CodeBankUnavailable, RetryAfter: wait,
		Detail: fmt.Sprintf("Bank %q %s. Nothing was recorded or sent.", b.id, what)}
}
