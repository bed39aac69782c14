package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	payswitch "github.com/tranzit/tranzit/switch"
)

// requiredPurposes are the rare states of payouts, verifications, attempts,
// accepted parts and batches that a run must reach, besides required.
var requiredPurposes = strings.Fields(`
 payout_succeeded payout_declined payout_failed payout_reversed payout_unknown_restart payout_with_late_answer payout_beside_another
 payout_and_refund payout_of_all_there_is refused_insufficient_balance refused_balance_then_paid_out balance_below_zero balance_weighed
 crash_with_payout_owed
 verification_succeeded verification_declined verification_unknown
 attempt_after_a_decline attempt_after_a_reversal refused_order_paid refused_order_in_progress
 part_captured part_authorized part_not_accepted part_and_operation
 batch_ended batch_over_a_crash batch_replayed row_done row_refused row_of_a_payment_with_other_operations
`)

// credit is how far below zero payouts may bring a merchant's balance.
func credit(merchant int) int64 { return int64(merchant) * 400_000 }

// plain: it is what the requests of askHTTP can say.
func (o *order) plain() bool {
	return o.purpose == payswitch.PurposePayment && !o.partial && o.once == ""
}

// drawPurposes makes payouts, verifications, payments of which a part is welcome
// and attempts at one order of some of the orders. In one half of the lives with
// operations they leave all orders to these.
func (p *plan) drawPurposes(r *rand.Rand) {
	if p.faults&operations != 0 && oneIn(r, 2) {
		return
	}
	if p.faults&payouts != 0 {
		p.drawPayouts(r)
	}
	if p.faults&attempts != 0 {
		p.drawAttempts(r)
	}
	if p.faults&parts == 0 {
		return
	}
	for _, o := range p.orders {
		if o.purpose == payswitch.PurposePayment && oneIn(r, 4) {
			o.partial, o.card = true, cardOf(banksim.PartialApproval)
		}
	}
}

func cardOf(does banksim.Behaviour) banksim.TestCard {
	cards := banksim.Cards()
	return cards[slices.IndexFunc(cards, func(c banksim.TestCard) bool { return c.Behaviour == does })]
}

// payoutCards make the bank misbehave at payouts.
var payoutCards = []banksim.TestCard{cardOf(banksim.RefundUnanswered), cardOf(banksim.RefundDeclined), cardOf(banksim.RefundLate),
	cardOf(banksim.NoAnswer)}

// drawPayouts: in one half of the lives the payouts come from one balance at
// once, each for more than half of it.
func (p *plan) drawPayouts(r *rand.Rand) {
	together, at := oneIn(r, 2), between(r, 300*time.Millisecond, 2500*time.Millisecond)
	for n, o := range p.orders {
		switch {
		case n < 2 || !oneIn(r, 2):
		case oneIn(r, 4):
			if o.purpose, o.amount, o.manual = payswitch.PurposeVerification, 0, false; oneIn(r, 4) {
				o.card = cardOf(banksim.Decline51)
			}
		default:
			o.purpose, o.manual, o.at = payswitch.PurposePayout, false, between(r, 300*time.Millisecond, 3*time.Second)
			if together {
				o.merchant, o.bank, o.at = p.orders[0].merchant, bankNames[0], at
			}
			o.amount = o.amount/2 + 1
			if first := p.orders[0]; oneIn(r, 2) { // for all there may be
				o.amount, o.merchant, o.bank = first.amount, first.merchant, first.bank
			}
			if oneIn(r, 4) {
				o.card = payoutCards[r.IntN(len(payoutCards))]
			}
		}
	}
}

// drawAttempts makes attempts at one order of several of a merchant's.
func (p *plan) drawAttempts(r *rand.Rand) {
	shop, found := r.IntN(2), 0
	for _, o := range p.orders {
		if o.purpose != payswitch.PurposePayment || oneIn(r, 3) {
			continue
		}
		if oneIn(r, 3) {
			o.bank = ""
		}
		o.merchant, o.once = shop, fmt.Sprint("once-", shop)
		if found++; found > 1 {
			o.at += between(r, 0, time.Second)
		}
		if o.patience = 5; oneIn(r, 3) {
			o.card = cardOf(banksim.Decline51)
		}
	}
}

// worth is what a payment adds to its merchant's money at the bank.
func (p *payment) worth() int64 {
	switch p.Purpose {
	case payswitch.PurposePayout:
		return -p.granted
	case payswitch.PurposeVerification:
		return 0
	}
	return p.AmountCaptured - p.AmountRefunded
}

// weigh compares, at one moment, what merchants may pay out with what they have
// at their banks: a balance is never above what happened there.
func (i *instance) weigh() {
	w := i.w
	nets := map[string]int64{}
	for n, h := range w.hosts {
		for _, entry := range h.bank.Books().Entries() {
			nets[fmt.Sprint(bankNames[n], " ", entry.Merchant)] += moved(&entry)
		}
	}
	for m := range secrets {
		account, _ := i.core.Authenticate([]byte(secrets[m]))
		balances, err := i.core.Balances(account)
		if err != nil || i.dead.Load() {
			return
		}
		for _, b := range balances {
			if net := nets[b.Bank+" "+bankMerchant(m)]; b.Sum > net {
				w.broken(5, "%s may pay out of %d at %s, and has %d there", merchantID(m), b.Sum, b.Bank, net)
			}
			if b.Sum < 0 {
				w.hit("balance_below_zero")
			}
		}
	}
	w.hit("balance_weighed")
}

// moved is what an entry of a bank's books adds to the merchant's money.
func moved(entry *banksim.Entry) int64 {
	switch net := entry.Booked - entry.Returned; {
	case entry.Kind == "refund":
		return -net
	case entry.Kind == "increment" || entry.Kind == "charge" && strings.HasPrefix(entry.MTI, "01"):
		return 0
	default:
		return net
	}
}

// takeStock notes what only a running switch can tell at the end.
func (i *instance) takeStock() {
	w := i.w
	i.weigh()
	var purses []payswitch.Balance
	for m := range secrets {
		account, _ := i.core.Authenticate([]byte(secrets[m]))
		balances, err := i.core.Balances(account)
		if err != nil && !i.dead.Load() {
			w.broken(5, "the balances of %s: %v", merchantID(m), err)
		}
		purses = append(purses, balances...)
	}
	if !i.dead.Load() {
		w.purses = purses
		w.loaded = i.unload()
	}
}

// balancesAgree: what merchants may pay out is what their payments make, and
// they were never let pay out more than they took.
func (e *evidence) balancesAgree() {
	if len(e.purses) != len(secrets)*e.banks {
		return // the switch does not run at the end, which is said elsewhere
	}
	for n, b := range e.purses {
		merchant, bank := n/e.banks, n%e.banks
		sum, taken, out, disputed := int64(0), int64(0), int64(0), false
		for _, p := range e.payments {
			if p.bank != bank || p.Merchant != merchantID(merchant) {
				continue
			}
			disputed = disputed || p.disputed()
			if p.approved() {
				sum, taken = sum+p.worth(), taken+p.AmountCaptured
			}
			if p.Purpose == payswitch.PurposePayout {
				out += p.granted
			}
		}
		if sum != b.Sum && !disputed || sum < b.Sum {
			e.broken(5, "%s may pay out of %d at %s, its payments make %d", merchantID(merchant), b.Sum, b.Bank, sum)
		}
		if out > taken+credit(merchant) {
			e.broken(5, "%s paid out %d at %s, took %d there and has a credit of %d", merchantID(merchant), out, b.Bank, taken, credit(merchant))
		}
		if out > 0 && sum == -credit(merchant) {
			e.hit("payout_of_all_there_is")
		}
	}
}

// paidOnce: of the attempts at an order at most one has money, they are numbered
// without gaps, and none left before the one before it was over.
func (e *evidence) paidOnce() {
	orders := map[string][]*payment{}
	for _, p := range e.payments {
		if strings.HasPrefix(p.OrderID, "once-") {
			orders[p.OrderID] = append(orders[p.OrderID], p)
		}
	}
	for name, all := range orders {
		slices.SortFunc(all, func(x, y *payment) int { return cmp.Compare(x.Attempt, y.Attempt) })
		paid := 0
		for n, p := range all {
			if p.Attempt != uint32(n+1) {
				e.broken(6, "attempt %d at %s has number %d", n+1, name, p.Attempt)
			}
			if p.approved() && !p.Status.Final() {
				paid++
			}
			if n > 0 {
				e.overBefore(all[n-1], p)
			}
		}
		if paid > 1 {
			e.broken(6, "order %s is paid %d times", name, paid)
		}
	}
}

// overBefore: an attempt at an order began when the one before it was over.
func (e *evidence) overBefore(before, p *payment) {
	over := slices.IndexFunc(before.events, func(event payswitch.TimelineEvent) bool { return event.Status.Final() })
	if over < 0 {
		e.broken(6, "%s is another attempt at the order of %s, which is %s: %s", p.name(), before.name(), before.Status, before.story())
		return
	}
	if e.faults&clockSteps == 0 && p.CreatedAt.Before(before.events[over].At) {
		e.broken(6, "%s began before %s of the same order was over: %s", p.name(), before.name(), before.story())
	}
	switch before.Status {
	case payswitch.StatusDeclined:
		e.hit("attempt_after_a_decline")
	case payswitch.StatusReversed:
		e.hit("attempt_after_a_reversal")
	}
}

// countPurpose names the rare states that a payment passed through because of
// what it is for.
func (e *evidence) countPurpose(p *payment) {
	switch {
	case p.Purpose == payswitch.PurposePayout:
		e.hit("payout_" + p.Status.String())
		e.countPayout(p)
	case p.Purpose == payswitch.PurposeVerification:
		e.hit("verification_" + p.Status.String())
	case p.order == nil || !p.order.partial:
	case p.has("unknown") && reasonOf(p.outcome().Detail) == "partial":
		e.broken(9, "%s welcomed a part and undid it: %s", p.name(), p.story())
	case p.approved() && p.granted < p.Amount:
		if e.hit("part_captured"); p.ManualCapture {
			e.hit("part_authorized")
		}
		if len(p.operations) > 0 {
			e.hit("part_and_operation")
		}
	}
	if p.has("unknown") && reasonOf(p.outcome().Detail) == "partial" {
		e.hit("part_not_accepted")
	}
}

func (e *evidence) countPayout(p *payment) {
	if p.has("unknown") && reasonOf(p.outcome().Detail) == "restart" {
		e.hit("payout_unknown_restart")
	}
	if p.has("late_answer") {
		e.hit("payout_with_late_answer")
	}
	end := p.outcome().At
	for _, other := range e.payments {
		if other == p || other.Merchant != p.Merchant || other.bank != p.bank {
			continue
		}
		if other.Purpose == payswitch.PurposePayout && !other.CreatedAt.Before(p.CreatedAt) && other.CreatedAt.Before(end) {
			e.hit("payout_beside_another")
		}
		if slices.ContainsFunc(other.operations, func(o *operation) bool { return o.kind == "refund" }) {
			e.hit("payout_and_refund")
		}
	}
	for _, i := range e.past {
		if !i.diedAt.IsZero() && e.faults&clockSteps == 0 && p.CreatedAt.Before(i.diedAt) && p.events[len(p.events)-1].At.After(i.diedAt) {
			e.hit("crash_with_payout_owed")
		}
	}
	if slices.ContainsFunc(e.asked[p.order], func(r *reply) bool {
		return r.code == string(payswitch.CodeBalance) && r.at.Before(e.firstTold(p.order))
	}) {
		e.hit("refused_balance_then_paid_out")
	}
}

// firstTold is when an order's merchant was first told of a payment.
func (e *evidence) firstTold(o *order) (at time.Time) {
	for _, r := range e.asked[o] {
		if r.payment.ID != "" {
			return r.at
		}
	}
	return at
}
