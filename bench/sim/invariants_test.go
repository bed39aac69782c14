package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// checks are the 24 invariants. Those without a function here are held by the
// test they name, or by how a life is built.
var checks = []struct {
	number int
	name   string
	check  func(*evidence)
	held   string
}{
	{1, "durable before send", (*evidence).durableBeforeSend, "and tap.Write, which compares frames with the platter"},
	{2, "durable before answer", (*evidence).durableBeforeAnswer, "and strictlyAnswered, which compares answers with the platter"},
	{3, "approved is for ever", (*evidence).approvedForEver, ""},
	{4, "agreement", (*evidence).agreement, ""},
	{5, "conservation", (*evidence).conservation, ""},
	{6, "one charge per key", (*evidence).oneCharge, "and readJournal: one payment for an order; atMostOnce: one request for an RRN"},
	{7, "same key, same answer", (*evidence).sameAnswer, ""},
	{8, "no answer from unsynced data", nil, "as 2: every answer, also a replayed one, is looked up after the crash; storage TestPowerCut"},
	{9, "no cross-talk", (*evidence).noCrossTalk, ""},
	{10, "monotonic states", (*evidence).monotonic, ""},
	{11, "reversal rules", (*evidence).reversalRules, ""},
	{12, "late approval ends reversed", (*evidence).lateApproval, ""},
	{13, "recovery idempotent", nil, "world.tryTwice, and the crashes in recovery of every run"},
	{14, "trace numbers unique", (*evidence).traceNumbers, ""},
	{15, "corruption is loud", nil, "result.spoil, after the bubble; storage TestCorruption"},
	{16, "audit chain", nil, "evidence.readJournal verifies the chain of every life"},
	{17, "no secrets at rest or in logs", (*evidence).noSecrets, "switch TestNoSecretsAtRest, iso TestCardDataIsMaskedEverywhere, cmd/tranzit TestKillUnderLoad for files and logs"},
	{18, "frame safety", nil, "tap.decode: only whole frames leave; iso FuzzDecode, FuzzNextFrame and acquirers TestOversizeLengthAllocatesNothing for what comes in"},
	{19, "everything ends", (*evidence).everythingEnds, "and world.settle"},
	{20, "every request is answered", (*evidence).answeredInTime, "and world.lastRound"},
	{21, "the line comes back", nil, "world.settle"},
	{22, "nothing is left", nil, "the end of the bubble: a goroutine that stays is a panic"},
	{23, "overload", nil, "real time: cmd/tranzit TestSlowBank; bench for saturation"},
	{24, "not vacuous", nil, "requireStates"},
}

var invariantNames = func() map[int]string {
	names := map[int]string{}
	for _, c := range checks {
		names[c.number] = c.name
	}
	return names
}()

func (e *evidence) durableBeforeSend() {
	for i := range e.frames {
		f := &e.frames[i]
		if c := f.mti.Class(); (c == 1 || c == 2 || c == 4) && e.byRRN[place(f.bank, f.field[37])] == nil {
			e.broken(1, "%s with RRN %s went to bank %d and the journal knows no such payment", f.mti, f.field[37], f.bank)
		}
	}
	for n := range e.books {
		for _, entry := range e.books[n] {
			if e.byRRN[place(n, entry.RRN)] == nil {
				e.broken(1, "bank %d has RRN %s in its books and the journal knows no such payment", n, entry.RRN)
			}
		}
	}
}

func (e *evidence) durableBeforeAnswer() {
	e.operationAnswers()
	for _, r := range e.replies {
		if r.payment.ID == "" {
			continue
		}
		p := e.byOrder[r.order.id(r.other)]
		switch {
		case p == nil || p.name() != r.payment.ID:
			e.broken(2, "%s was told for %s and the journal does not know it", r.payment.Status, r.payment.ID)
		case p.outcome().Status.String() != r.payment.Status:
			e.broken(2, "%s was told for %s and the journal says otherwise: %s", r.payment.Status, p.name(), p.story())
		}
	}
}

func (p *payment) story() string {
	var words []string
	for _, e := range p.events {
		words = append(words, e.Type+"("+e.Status.String()+")")
	}
	return strings.Join(words, " ")
}

func (e *evidence) approvedForEver() {
	for _, r := range e.replies {
		if s := r.payment.Status; s != "captured" && s != "authorized" {
			continue
		}
		p := e.byOrder[r.order.id(r.other)]
		if p == nil {
			continue
		}
		if !p.approved() {
			e.broken(3, "%s was told %s and is now %s", p.name(), r.payment.Status, p.Status)
		}
		if n := len(e.reversals(p)); n > 0 {
			e.broken(3, "%s was told %s and %d reversals went to the bank", p.name(), r.payment.Status, n)
		}
	}
}

// agreement: what the bank holds is what the journal says.
func (e *evidence) agreement() {
	for _, p := range e.payments {
		entry := e.entries[place(p.bank, p.RRN)]
		net, state := int64(0), "never seen"
		if entry != nil {
			net, state = entry.Booked-entry.Returned, entry.State
		}
		switch {
		case p.onDesk():
		case p.approved() && len(p.operations) > 0:
			e.operationAgreement(p)
		case p.approved() && (net != p.granted || entry.Returned != 0 || entry.ReversalsSeen != 0):
			e.broken(4, "%s is %s, the bank holds %d of %d (%s)", p.name(), p.Status, net, p.granted, state)
		case !p.approved() && net != 0:
			e.broken(4, "%s is %s, the bank holds %d (%s): %s", p.name(), p.Status, net, state, p.story())
		case p.Status == payswitch.StatusFailed && entry != nil:
			e.broken(4, "%s never left, and the bank has it as %s", p.name(), state)
		}
	}
}

// conservation: over each bank, merchant and currency the money that moved, and
// what is held beside it, are those of the journal.
func (e *evidence) conservation() {
	sums := map[string]int64{}
	for n := range e.books {
		for i := range e.books[n] {
			entry := &e.books[n][i]
			e.bounds(n, entry)
			if p := e.byRRN[place(n, entry.RRN)]; p != nil && p.disputed() {
				continue
			}
			what, net := "money", entry.Booked-entry.Returned
			switch {
			case entry.Kind == "refund":
				net = -net
			case entry.Kind == "charge" && strings.HasPrefix(entry.MTI, "01"):
				what, net = "holds", net+entry.Raised
			case entry.Kind == "increment":
				continue // the hold tells
			}
			sums[fmt.Sprintf("%s of bank %d, %s, %s", what, n, entry.Merchant, entry.Currency)] += net
		}
	}
	for _, p := range e.payments {
		if !p.approved() || p.order == nil || p.disputed() {
			continue
		}
		cell := fmt.Sprintf("bank %d, %s, %s", p.bank, bankMerchant(p.order.merchant), p.Currency.Alpha())
		sums["money of "+cell] -= p.worth()
		if p.ManualCapture && !p.sums().void {
			sums["holds of "+cell] -= p.AmountAuthorized
		}
	}
	e.balancesAgree()
	for cell, sum := range sums {
		if sum != 0 {
			e.broken(5, "%s: the bank holds %d more than the journal", cell, sum)
		}
	}
}

// atMostOnce: a request leaves once for its reference number; only advices and
// reversals are repeated.
func (e *evidence) atMostOnce() {
	left := map[string]int{}
	for i := range e.frames {
		f := &e.frames[i]
		if c := f.mti.Class(); c != 1 && c != 2 || f.mti.Function() != 0 {
			continue
		}
		at := place(f.bank, f.field[37])
		if left[at]++; left[at] == 2 {
			e.broken(6, "the request with RRN %s left for bank %d again, as %s", f.field[37], f.bank, f.mti)
		}
	}
}

func (e *evidence) oneCharge() {
	e.atMostOnce()
	e.paidOnce()
	for _, p := range e.payments {
		if p.Purpose == payswitch.PurposePayout && len(p.places) > 1 {
			e.broken(6, "%s was asked of two banks: %s", p.name(), p.story())
		}
		for _, at := range p.places[:max(1, len(p.places))-1] {
			if e.requests[at] != nil || e.entries[at] != nil {
				e.broken(6, "%s went to another bank although the first got it: %s", p.name(), p.story())
			}
		}
	}
	for _, o := range e.orders {
		mine, theirs := e.byOrder[o.id(false)], e.byOrder[o.id(true)]
		if mine != nil && theirs != nil {
			e.broken(6, "key %s has two payments: %s and %s", o.key(), mine.name(), theirs.name())
		}
		charged := 0
		for _, p := range e.payments {
			entry := e.entries[place(p.bank, p.RRN)]
			if p.order == o && entry != nil && entry.Booked > entry.Returned {
				charged++
			}
		}
		if charged > 1 {
			e.broken(6, "key %s is charged %d times", o.key(), charged)
		}
	}
}

// sameAnswer also holds that a request that was only ever refused left no trace.
func (e *evidence) sameAnswer() {
	for _, o := range e.orders {
		var first *reply
		clean := true
		for _, r := range e.asked[o] {
			clean = clean && r.payment.ID == "" && (r.sure() || r.inst < 0)
			switch {
			case r.payment.ID == "":
			case first == nil:
				first = r
			case r.text != first.text:
				e.broken(7, "key %s was answered\n%s\nand\n%s", o.key(), first.text, r.text)
			}
		}
		p := e.byOrder[o.id(false)]
		if p == nil {
			p = e.byOrder[o.id(true)]
		}
		if clean && p != nil {
			e.broken(7, "key %s was only refused, and %s stands in the journal: %s", o.key(), p.name(), p.story())
		}
		if p == nil || e.faults&clockSteps != 0 {
			continue
		}
		for _, r := range e.asked[o] {
			if r.code == string(payswitch.CodeKeyReused) && r.other == p.other && r.from.After(p.CreatedAt.Add(time.Millisecond)) {
				e.broken(7, "key %s with its own body was refused as reused", o.key())
			}
		}
	}
}

func (e *evidence) noCrossTalk() {
	for _, r := range e.replies {
		if t := r.payment; t.ID != "" && (t.Amount != r.order.cost(r.other) || t.Currency != "EUR" || t.OrderID != r.order.orderID(r.other)) {
			e.broken(9, "key %s was answered with another payment: %+v", r.order.key(), t)
		}
	}
	for _, p := range e.payments {
		entry, f := e.entries[place(p.bank, p.RRN)], e.requests[place(p.bank, p.RRN)]
		if p.order == nil {
			e.broken(9, "%s is of no order: %q", p.name(), p.OrderID)
			continue
		}
		if p.Amount != p.order.cost(p.other) || p.Purpose != p.order.purpose || p.Merchant != merchantID(p.order.merchant) {
			e.broken(9, "%s has another amount, purpose or merchant than its order", p.name())
		}
		if f != nil && (f.field[4] != fmt.Sprintf("%012d", p.Amount) || f.field[2] != p.order.card.Number || f.field[42] != bankMerchant(p.order.merchant)) {
			e.broken(9, "%s went to the bank with another amount, card or merchant", p.name())
		}
		if p.approved() && e.hosts[p.bank].lied[p.RRN] {
			e.broken(9, "%s is %s by an answer that does not match its request", p.name(), p.Status)
		}
		for _, op := range p.operations {
			if op.request() && op.status == "succeeded" && e.hosts[p.bank].lied[op.rrn] {
				e.broken(9, "%s succeeded by an answer that does not match its request", op.id)
			}
		}
		if p.approved() && (entry == nil || p.ApprovalCode != entry.ApprovalCode || entry.Requests == 0 || entry.Amount != p.Amount) {
			e.broken(9, "%s carries the approval of another payment", p.name())
		}
	}
}

// follow lists what may come after a state; it was written from the API's page,
// not from the switch.
var follow = map[payswitch.Status][]payswitch.Status{
	payswitch.StatusInFlight: {payswitch.StatusInFlight, payswitch.StatusCaptured, payswitch.StatusAuthorized, payswitch.StatusDeclined, payswitch.StatusFailed, payswitch.StatusUnknown,
		payswitch.StatusSucceeded},
	payswitch.StatusUnknown:  {payswitch.StatusUnknown, payswitch.StatusReversed, payswitch.StatusDeclined},
	payswitch.StatusReversed: {payswitch.StatusReversed},

	payswitch.StatusAuthorized: {payswitch.StatusAuthorized, payswitch.StatusCaptured, payswitch.StatusCanceled, payswitch.StatusExpired,
		payswitch.StatusPartiallyRefunded, payswitch.StatusRefunded},
	payswitch.StatusCaptured:          {payswitch.StatusCaptured, payswitch.StatusPartiallyRefunded, payswitch.StatusRefunded, payswitch.StatusCanceled},
	payswitch.StatusPartiallyRefunded: {payswitch.StatusPartiallyRefunded, payswitch.StatusRefunded},
	payswitch.StatusRefunded:          {payswitch.StatusRefunded},
	payswitch.StatusCanceled:          {payswitch.StatusCanceled},
	payswitch.StatusExpired:           {payswitch.StatusExpired},
	payswitch.StatusSucceeded:         {payswitch.StatusSucceeded},
}

func (e *evidence) monotonic() {
	e.holdsInTime()
	for _, p := range e.payments {
		for i, event := range p.events {
			if event.Version != uint32(i+1) {
				e.broken(10, "%s has version %d in place %d", p.name(), event.Version, i+1)
			}
			if i == 0 {
				if event.Type != "intent" || event.Status != payswitch.StatusInFlight {
					e.broken(10, "%s begins with %s", p.name(), event.Type)
				}
				continue
			}
			if event.Status == payswitch.StatusInFlight && event.Type != "rerouted" {
				e.broken(10, "%s: %s while in flight: %s", p.name(), event.Type, p.story())
			}
			if !slices.Contains(follow[p.events[i-1].Status], event.Status) {
				e.broken(10, "%s: %s follows %s: %s", p.name(), event.Status, p.events[i-1].Status, p.story())
			}
		}
	}
}

func (e *evidence) lateApproval() {
	for _, p := range e.payments {
		if p.has("unknown") && p.approved() {
			e.broken(12, "%s was given up and ends %s: %s", p.name(), p.Status, p.story())
		}
	}
}

func (e *evidence) everythingEnds() {
	for _, p := range e.payments {
		if p.Status == payswitch.StatusInFlight || p.Status == payswitch.StatusUnknown && !p.onDesk() && !p.Final() {
			e.broken(19, "%s is %s at the end: %s", p.name(), p.Status, p.story())
		}
		e.operationsEnd(p)
	}
	for _, o := range e.owed {
		if done := e.byOperation[o.Operation]; done != nil && done.desk && o.Desk != "" {
			continue
		}
		if p := e.find(o.ID); p != nil && (o.Operation != "" || !p.onDesk()) {
			e.broken(19, "%s is %s and still stands in the lists of what is owed (desk %q): %s", p.name(), p.Status, o.Desk, p.story())
		}
	}
}

func (e *evidence) find(id payswitch.ID) *payment {
	for _, p := range e.payments {
		if p.ID == id {
			return p
		}
	}
	return nil
}

func (e *evidence) answeredInTime() {
	limit := 2*time.Second + 8*e.sync
	for _, r := range e.replies {
		if took := r.at.Sub(r.from); took > limit {
			e.broken(20, "key %s waited %v for its answer, limit %v", r.order.key(), took, limit)
		}
	}
	for _, s := range e.sayings {
		if took := s.at.Sub(s.from); took > limit {
			e.broken(20, "key %s waited %v for its answer, limit %v", s.act.key(s.order), took, limit)
		}
	}
}

func (e *evidence) traceNumbers() {
	given := map[string]string{}
	for i := range e.frames {
		f := &e.frames[i]
		if f.mti.Function()%2 == 1 {
			continue // an answer to the bank's own message has the bank's number
		}
		use := f.field[37]
		switch f.mti.Class() {
		case 4:
			use = "reversal of " + use + " at " + f.field[7]
		case 8:
			use = fmt.Sprint("network message at ", f.field[7], " of ", f.inst)
		}
		at := place(f.bank, f.field[11])
		if other, ok := given[at]; ok && other != use {
			e.broken(14, "STAN %s of bank %d was given to %s and to %s", f.field[11], f.bank, other, use)
		}
		given[at] = use
	}
}

func (e *evidence) noSecrets() {
	if !e.logs {
		return
	}
	for _, o := range e.orders {
		for _, secret := range []string{o.card.Number, o.cavv} {
			for form, needle := range needles(secret) {
				if where := e.scan(needle); where != "" {
					e.broken(17, "a card number or authentication value stands in %s, form %d", where, form)
				}
			}
		}
	}
	e.hit("scanned_for_secrets")
}
