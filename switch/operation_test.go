package payswitch

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

// allTerms is a bank that can do everything; its day ends at midnight UTC.
var allTerms = terms{profile: iso.PlainProfile("all"), capture: true, captureParts: true, several: true, void: true, parts: true, refund: true, refundParts: true,
	refundRequest: true, increment: true, hold: 7 * 24 * time.Hour, zone: time.UTC, ended: new(atomic.Int64)}

var morning = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)

// storiesOf are the records that bring a payment of 1000 into a state.
func storiesOf() map[string][]record {
	in := testIntent(false)
	in.amount = 1000
	held := *in
	held.manual = true
	asked, hold := record{kind: recordIntent, intent: in}, record{kind: recordIntent, intent: &held}
	approved := record{kind: recordAnswered, approved: true}
	begin := func(b begun) record { return record{kind: recordOperation, begun: &b} }
	capture := func(n int64, final bool) record {
		return begin(begun{kind: KindCapture, method: MethodCompletion, amount: n, final: final})
	}
	refund := func(n int64) record {
		return begin(begun{kind: KindRefund, method: MethodRefund, amount: n, request: true})
	}
	increment := begin(begun{kind: KindIncrement, method: MethodIncrement, amount: 500, stays: 1000, request: true})
	void := begin(begun{kind: KindCancel, method: MethodVoid, hold: true, amount: 1000})
	release := begin(begun{kind: KindRelease, method: MethodVoid, hold: true, amount: 1000})
	reversal := begin(begun{kind: KindCancel, method: MethodReversal, amount: 1000})
	done := record{kind: recordOperationAnswered, op: 1, verdict: iso.ReversalDone}
	refused := record{kind: recordOperationAnswered, op: 1, verdict: iso.ReversalManual}
	doubt := record{kind: recordOperationUnknown, op: 1, reason: "no_answer"}
	unknown := record{kind: recordUnknown, reason: "no_answer"}
	paid, asking := *in, *in
	paid.operation, asking.operation = iso.OpPayout, iso.OpVerification
	payout, question := record{kind: recordIntent, intent: &paid}, record{kind: recordIntent, intent: &asking}
	return map[string][]record{
		"payout succeeded":       {payout, approved},
		"payout unknown":         {payout, unknown},
		"verification succeeded": {question, approved},
		"verification unknown":   {question, unknown},
		"in_flight":              {asked},
		"declined":               {asked, {kind: recordAnswered, decline: Decline{Code: "do_not_honor"}}},
		"failed":                 {asked, {kind: recordNotSent}},
		"unknown":                {asked, unknown},
		"reversed": {asked, unknown, {kind: recordReversalSent, attempt: 1},
			{kind: recordReversalAnswered, verdict: iso.ReversalDone}},
		"captured":              {asked, approved},
		"authorized":            {hold, approved},
		"increment in flight":   {hold, approved, increment},
		"increment unknown":     {hold, approved, increment, doubt},
		"increment declined":    {hold, approved, increment, refused},
		"raised":                {hold, approved, increment, done},
		"capture in flight":     {hold, approved, capture(400, false)},
		"capture pending":       {hold, approved, capture(400, false), doubt},
		"final capture pending": {hold, approved, capture(400, true), doubt},
		"captured in part":      {hold, approved, capture(400, false), done},
		"captured for good":     {hold, approved, capture(400, true), done},
		"void pending":          {hold, approved, void, doubt},
		"canceled":              {hold, approved, void, done},
		"reversal refused":      {asked, approved, reversal, refused},
		"reversal pending":      {asked, approved, reversal, doubt},
		"release pending":       {hold, approved, release},
		"expired":               {hold, approved, release, done},
		"refund unknown":        {asked, approved, refund(400), doubt},
		"refund of all unknown": {asked, approved, refund(1000), doubt},
		"partially_refunded":    {asked, approved, refund(400), done},
		"refunded":              {asked, approved, refund(1000), done},
	}
}

// paymentAs is a payment of 1000 in a state.
func paymentAs(t *testing.T, name string) *history {
	t.Helper()
	h := &history{}
	story := storiesOf()[name]
	if len(story) == 0 {
		t.Fatalf("no such state: %s", name)
	}
	for _, r := range story {
		r.at = morning
		if err := h.apply(ID{1}, h.Version+1, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return h
}

// TestOperationsInEveryState is the table of what may be done when: the method
// that is chosen, or "no", or "later" for what an open operation stands in the
// way of.
func TestOperationsInEveryState(t *testing.T) {
	for _, row := range []struct{ state, capture, cancel, refund string }{
		{"in_flight", "no", "no", "no"},
		{"declined", "no", "no", "no"},
		{"failed", "no", "no", "no"},
		{"unknown", "later", "later", "later"},
		{"reversed", "no", "no", "no"},
		{"captured", "no", "partial_reversal", "refund"},
		{"authorized", "completion", "partial_reversal", "no"},
		{"capture in flight", "completion", "later", "later"},
		{"capture pending", "completion", "later", "later"},
		{"final capture pending", "later", "later", "later"},
		{"captured in part", "completion", "refund", "refund"},
		{"captured for good", "no", "refund", "refund"},
		{"void pending", "later", "later", "later"},
		{"canceled", "no", "no", "no"},
		{"reversal refused", "no", "refund", "refund"},
		{"reversal pending", "later", "later", "later"},
		{"release pending", "later", "later", "later"},
		{"expired", "no", "no", "no"},
		{"refund unknown", "later", "refund", "refund"},
		{"refund of all unknown", "later", "later", "later"},
		{"partially_refunded", "no", "partial_reversal", "refund"},
		{"refunded", "no", "no", "no"},
	} {
		for kind, want := range map[OperationKind]string{KindCapture: row.capture, KindCancel: row.cancel, KindRefund: row.refund} {
			h := paymentAs(t, row.state)
			amount := int64(100)
			if row.state == "refund of all unknown" {
				amount = 0
			}
			plan, no := h.plan(&OperationRequest{Kind: kind, Amount: amount}, &allTerms, morning.Add(time.Hour))
			got := plan.method.String()
			switch {
			case no != nil && no.Code != CodeInvalidState:
				t.Errorf("%s while %s: code %s", kind, row.state, no.Code)
			case no != nil && no.RetryAfter > 0:
				got = "later"
			case no != nil:
				got = "no"
			}
			if got != want {
				t.Errorf("%s while %s: %s, want %s (%v)", kind, row.state, got, want, no)
			}
		}
	}
}

// TestSmartCancel is what the cancel chooses by amount, day and bank.
func TestSmartCancel(t *testing.T) {
	whole, evening := allTerms, allTerms
	whole.parts = false
	evening.cutOver, evening.zone = 9*time.Hour, time.FixedZone("", 3*3600) // 09:00 there is 06:00 UTC
	none := allTerms
	none.void = false
	for _, c := range []struct {
		name, state string
		amount      int64
		terms       terms
		after       time.Duration
		want        string
		stays       int64
	}{
		{"whole hold", "authorized", 0, allTerms, time.Hour, "void", 0},
		{"part of a hold", "authorized", 400, allTerms, time.Hour, "partial_reversal", 600},
		{"part of a hold where only the whole goes", "authorized", 400, whole, time.Hour, "no", 0},
		{"more than a hold", "authorized", 1001, allTerms, time.Hour, "no", 0},
		{"a hold where nothing is undone", "authorized", 0, none, time.Hour, "no", 0},
		{"whole charge of the day", "captured", 0, allTerms, time.Hour, "reversal", 0},
		{"whole charge named", "captured", 1000, allTerms, time.Hour, "reversal", 0},
		{"part of a charge", "captured", 1, allTerms, time.Hour, "partial_reversal", 999},
		{"part where only the whole goes", "captured", 1, whole, time.Hour, "refund", 0},
		{"before midnight", "captured", 0, allTerms, 16*time.Hour - time.Second, "reversal", 0},
		{"after midnight", "captured", 0, allTerms, 16 * time.Hour, "refund", 0},
		{"the bank's day ends at 06:00", "captured", 0, evening, 22*time.Hour - time.Second, "reversal", 0},
		{"and then is another", "captured", 0, evening, 22 * time.Hour, "refund", 0},
		{"where nothing is undone", "captured", 0, none, time.Hour, "refund", 0},
		{"after a refund", "partially_refunded", 0, allTerms, time.Hour, "partial_reversal", 400},
		{"after a refund, where only the whole goes", "partially_refunded", 0, whole, time.Hour, "refund", 0},
		{"more than is left", "partially_refunded", 601, allTerms, time.Hour, "no", 0},
		{"beside a refund in doubt", "refund unknown", 100, allTerms, time.Hour, "refund", 0},
		{"of a captured hold", "captured in part", 0, allTerms, time.Hour, "refund", 0},
	} {
		plan, no := paymentAs(t, c.state).plan(&OperationRequest{Kind: KindCancel, Amount: c.amount}, &c.terms, morning.Add(c.after))
		got := plan.method.String()
		if no != nil {
			got = "no"
		}
		if got != c.want || no == nil && plan.stays != c.stays {
			t.Errorf("%s: %s, stays %d (%v)", c.name, got, plan.stays, no)
		}
	}
}

func TestCaptureLimits(t *testing.T) {
	over, single, quiet := allTerms, allTerms, allTerms
	over.overcapture, single.several, quiet.capture = 20, false, false
	for _, c := range []struct {
		name, state string
		amount      int64
		terms       terms
		after       time.Duration
		want        string
	}{
		{"more than the hold", "authorized", 1001, allTerms, 0, "no"},
		{"more, where the bank allows", "authorized", 1200, over, 0, "completion"},
		{"and not more than that", "authorized", 1201, over, 0, "no"},
		{"a second part", "captured in part", 600, allTerms, 0, "completion"},
		{"a second part too large", "captured in part", 601, allTerms, 0, "no"},
		{"beside a pending one", "capture pending", 601, allTerms, 0, "no"},
		{"a second where one is all", "captured in part", 1, single, 0, "no"},
		{"beside a pending one where one is all", "capture pending", 1, single, 0, "later"},
		{"by no message", "authorized", 0, quiet, 0, "none"},
		{"in time", "authorized", 0, allTerms, 7*24*time.Hour - time.Second, "completion"},
		{"too late", "authorized", 0, allTerms, 7 * 24 * time.Hour, "no"},
	} {
		plan, no := paymentAs(t, c.state).plan(&OperationRequest{Kind: KindCapture, Amount: c.amount}, &c.terms, morning.Add(c.after))
		got := plan.method.String()
		switch {
		case no != nil && no.RetryAfter > 0:
			got = "later"
		case no != nil:
			got = "no"
		}
		if got != c.want {
			t.Errorf("%s: %s (%v)", c.name, got, no)
		}
	}
}

// Every record about an operation is refused in the states that are not its own.
func TestOperationSteps(t *testing.T) {
	legal := map[recordKind]map[string]bool{
		recordOperationAnswered: {"capture in flight": true, "capture pending": true, "refund unknown": true},
		recordOperationNotSent:  {"capture in flight": true},
		recordOperationUnknown:  {"capture in flight": true},
		recordOperationSent:     {"capture pending": true, "refund unknown": true},
		recordOperationLate:     {"refund unknown": true},
		recordOperationDesk:     {"capture pending": true, "refund unknown": true},
		recordOperationClosed:   {"capture pending": true, "refund unknown": true},
		recordOperationRetried:  {"capture pending": true, "refund unknown": true},
	}
	for kind := recordOperationAnswered; kind <= lastRecordKind; kind++ {
		for _, state := range []string{"captured", "capture in flight", "capture pending", "captured in part", "refund unknown", "refunded", "canceled", "unknown", "declined"} {
			h := paymentAs(t, state)
			before := h.Payment
			r := record{kind: kind, op: 1, settledOperation: OperationDeclined}
			err := h.apply(ID{1}, h.Version+1, &r)
			if (err == nil) != legal[kind][state] {
				t.Errorf("%s while %s: %v", kind, state, err)
			}
			if err != nil && (h.Version != before.Version || h.Status != before.Status) {
				t.Errorf("%s while %s changed the payment", kind, state)
			}
		}
	}
	h := paymentAs(t, "capture pending")
	if h.apply(ID{1}, h.Version+1, &record{kind: recordOperationSent, op: 2}) == nil {
		t.Error("a step of an operation that does not exist was accepted")
	}
}

// Many captures, cancels and refunds at once: no order of them moves more than
// there is, and the bank's books agree with the journal at the end.
func TestOperationsAtOnce(t *testing.T) {
	for _, does := range []banksim.Behaviour{banksim.Approve, banksim.OperationAnswerLost, banksim.RefundUnanswered, banksim.IncrementUnanswered} {
		for bank, manual := range map[string]bool{"alfa": true, "vega": false} {
			t.Run(fmt.Sprint(does, " ", bank), func(t *testing.T) {
				rig := newRig(t)
				synctest.Test(t, func(t *testing.T) { rig.t = t; operateAtOnce(rig, does, bank, manual) })
			})
		}
	}
}

func operateAtOnce(r *rig, does banksim.Behaviour, bank string, manual bool) {
	r.startBanks()
	defer r.close()
	r.start()
	r.ready()
	a := r.account("two")
	wish := r.request("pay", cardOf(does), 1000)
	wish.ManualCapture, wish.Bank = manual, bank
	paid, err := r.core.Pay(a, wish)
	if err != nil {
		r.t.Fatal(err)
	}
	id := paid.Payment.ID
	rounds := 0
	for ; rounds < 6; rounds++ {
		var all sync.WaitGroup
		for n := range 18 {
			all.Go(func() {
				kind := [...]OperationKind{KindCapture, KindCancel, KindRefund, KindIncrement}[(n+rounds)%4]
				o := &OperationRequest{Payment: id, Kind: kind, IdempotencyKey: fmt.Sprint(rounds, n), Amount: int64(130 + 10*n)}
				if kind == KindIncrement {
					o.Amount += 1000
				}
				answer, err := r.core.Operate(a, o)
				var refusal *Refusal
				if err != nil && (!errors.As(err, &refusal) || refusal.Code != CodeInvalidState) {
					r.t.Errorf("%s: %v", o.Kind, err)
				}
				if p := answer.Payment; err == nil && (p.AmountCaptured > p.AmountAuthorized || p.AmountRefunded > p.AmountCaptured) {
					r.t.Errorf("told %s", moneyOf(&p))
				}
			})
		}
		all.Wait()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
	}
	// What is still held is taken, if all of it was not undone.
	_, _ = r.core.Operate(a, &OperationRequest{Payment: id, Kind: KindCapture, IdempotencyKey: "rest"})
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	p, err := r.core.AnyPayment(id)
	if err != nil {
		r.t.Fatal(err)
	}
	agree(r, bank, &p)
	if p.Status == StatusAuthorized || manual && p.AmountCaptured == 0 && p.Status != StatusCanceled {
		r.t.Errorf("nothing happened: %s", moneyOf(&p))
	}
}

// agree holds a payment against the bank's books.
func agree(r *rig, bank string, p *Payment) {
	r.t.Helper()
	total := r.banks[bank].Books().Summary().Currencies["EUR"]
	net, gone := p.AmountCaptured-p.AmountRefunded, total.Reversed.Sum+total.Refunded.Sum-total.RefundsReversed.Sum
	taken := total.Charged.Sum
	if p.ManualCapture && p.Status != StatusCanceled && p.Status != StatusExpired {
		taken, gone = total.Captured.Sum, total.Refunded.Sum-total.RefundsReversed.Sum
	}
	if taken-gone != net {
		r.t.Errorf("the journal says %s, the bank %+v", moneyOf(p), total)
	}
	if n := r.core.BankStatuses(); n[0].Reversals+n[1].Reversals != 0 {
		r.t.Errorf("still owed: %+v", n)
	}
}
