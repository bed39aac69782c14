package payswitch

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// TestOperationMachine plays the lives of approved payments: merchants who
// capture, cancel and refund at random, a bank that does what it is asked, or
// not, and answers, or not, and crashes that lose what was not durable. At every
// moment the bank has moved no more than it may; at the end it agrees with the
// journal.
func TestOperationMachine(t *testing.T) {
	reached := map[string]int{}
	for seed := uint64(1); seed <= uint64(*machineSeeds/4); seed++ {
		l := playOperations(seed)
		if l.broken != "" {
			t.Fatalf("seed %d: %s\n%s", seed, l.broken, l.trace)
		}
		for state := range l.reached {
			reached[state]++
		}
	}
	for _, must := range []string{"capture succeeded", "capture declined", "cancel succeeded", "cancel declined", "refund succeeded",
		"refund declined", "refund reversed", "refund failed", "release succeeded", "late approval", "late decline", "crash in flight",
		"increment succeeded", "increment declined", "increment reversed", "captured beside an increment", "canceled", "expired", "refunded", "partially_refunded", "refused", "later", "desk",
		"done, and its repeat refused"} {
		if reached[must] == 0 {
			t.Errorf("no life reached %q: the run is vacuous", must)
		}
	}
}

// operationLife is one approved payment under one seed.
type operationLife struct {
	rng     *rand.Rand
	now     time.Time
	h       history
	journal [][]byte
	terms   terms
	done    map[ID]bool // the bank's truth: done and not undone
	gone    map[ID]bool // undone: never again
	reached map[string]bool
	trace   string
	broken  string
}

var operationSchedule = iso.SAFSchedule{First: 5 * time.Second, Factor: 2, Cap: time.Minute, Expiry: time.Hour}

func playOperations(seed uint64) *operationLife {
	l := &operationLife{rng: rand.New(rand.NewPCG(seed, 220)), now: morning, terms: allTerms, done: map[ID]bool{}, gone: map[ID]bool{}, reached: map[string]bool{}}
	l.terms.refundRequest, l.terms.parts, l.terms.lengthens = l.chance(50), l.chance(50), l.chance(50)
	in := testIntent(l.chance(60))
	in.amount = 1000
	l.write(record{kind: recordIntent, intent: in})
	l.write(record{kind: recordAnswered, approved: true})
	for range 40 {
		l.now = l.now.Add(time.Duration(l.rng.IntN(60_000)) * time.Millisecond)
		switch what := l.rng.IntN(10); {
		case what < 1:
			l.crash()
		case what < 4:
			l.ask()
		default:
			l.chase(false)
		}
		if l.check(); l.broken != "" {
			return l
		}
	}
	if l.chance(30) {
		l.expire()
	}
	for range 20 {
		l.now = l.now.Add(2 * time.Minute)
		l.chase(true)
	}
	l.check()
	l.settle()
	return l
}

func (l *operationLife) chance(percent int) bool { return l.rng.IntN(100) < percent }

func (l *operationLife) fail(format string, args ...any) {
	if l.broken == "" {
		l.broken = fmt.Sprintf(format, args...)
	}
}

func (l *operationLife) write(r record) {
	r.at = l.now
	if err := l.h.apply(ID{1}, l.h.Version+1, &r); err != nil {
		l.fail("%v", err)
		return
	}
	l.journal = append(l.journal, r.encode(nil))
	l.trace += fmt.Sprintf("%s %s %s\n", l.now.Format("15:04:05"), l.h.word(&r), moneyOf(&l.h.Payment))
	l.reached[l.h.Status.String()] = true
	if o := l.h.about(&r); o != nil {
		l.reached[o.Kind.String()+" "+o.Status.String()] = true
		if o.owed.queued && o.owed.desk != "" {
			l.fail("owed and on the desk at once")
		}
	}
}

func (l *operationLife) crash() {
	before := l.h.Payment
	l.h = history{}
	for i, body := range l.journal {
		r, err := decodeRecord(body)
		if err == nil {
			err = l.h.apply(ID{1}, uint32(i+1), &r)
		}
		if err != nil {
			l.fail("%v", err)
			return
		}
	}
	if l.h.Status != before.Status || l.h.AmountCaptured != before.AmountCaptured || l.h.AmountRefunded != before.AmountRefunded {
		l.fail("the fold changed")
	}
	for i := range l.h.operations {
		if l.h.operations[i].Status == OperationInFlight {
			l.reached["crash in flight"] = true
			l.write(record{kind: recordOperationUnknown, op: uint32(i + 1), reason: "restart", nextAt: l.now.Add(time.Second)})
		}
	}
}

// ask is a merchant's request, sent when it is allowed.
func (l *operationLife) ask() {
	kinds := [...]OperationKind{KindCapture, KindCancel, KindRefund, KindIncrement}
	r := &OperationRequest{Kind: kinds[l.rng.IntN(len(kinds))], Final: l.chance(10)}
	if l.chance(70) || r.Kind == KindIncrement {
		r.Amount = int64(1 + l.rng.IntN(700))
	}
	if r.Kind == KindIncrement {
		r.Amount += l.h.AmountAuthorized - 100
	}
	plan, no := l.h.plan(r, &l.terms, l.now)
	switch {
	case no != nil && no.RetryAfter > 0:
		l.reached["later"] = true
		return
	case no != nil:
		l.reached["refused"] = true
		return
	}
	plan.id = ID{2, byte(len(l.h.operations))}
	l.write(record{kind: recordOperation, begun: &plan})
	n := uint32(len(l.h.operations))
	o := &l.h.operations[n-1]
	if o.Kind == KindCapture && l.h.tally().raising {
		l.reached["captured beside an increment"] = true
	}
	outcome := record{kind: recordOperationUnknown, op: n, reason: "no_answer", nextAt: l.now.Add(time.Second)}
	switch {
	case l.chance(10):
		l.crash()
		return
	case l.chance(10) && o.request:
		outcome.kind = recordOperationNotSent
	case l.chance(50):
		outcome.kind, outcome.verdict = recordOperationAnswered, l.bankDoes(o)
	case l.chance(50):
		l.bankDoes(o)
	}
	l.write(outcome)
}

// bankDoes is the bank taking an operation's message: at most once each.
func (l *operationLife) bankDoes(o *operation) iso.ReversalVerdict {
	switch {
	case l.done[o.ID]:
		return iso.ReversalDone
	case l.gone[o.ID] || l.chance(20):
		l.gone[o.ID] = true
		return iso.ReversalManual
	}
	l.done[o.ID] = true
	return iso.ReversalDone
}

// chase sends what some operation owes; in calm weather the bank answers.
func (l *operationLife) chase(calm bool) {
	for i := range l.h.operations {
		n := uint32(i + 1)
		o := &l.h.operations[i]
		if o.request && !calm && l.chance(10) && l.h.stepAllowed(&record{kind: recordOperationLate, op: n}) {
			l.late(o, n)
		}
		switch {
		case o.owed.desk == "" || !calm:
		case !o.request && o.Kind != KindRelease:
			l.close(o, n)
		default:
			l.write(record{kind: recordOperationRetried, op: n, operator: "anna", reason: "try", nextAt: l.now})
		}
		if !o.owed.queued {
			continue
		}
		r := o.due(n, operationSchedule, l.now)
		if l.write(r); r.kind == recordOperationDesk {
			l.reached["desk"] = true
			continue
		}
		answer := record{kind: recordOperationAnswered, op: n, attempt: r.attempt}
		if o.request {
			if answer.verdict = iso.ReversalDone; l.chance(70) || calm {
				delete(l.done, o.ID)
				l.gone[o.ID] = true
			} else {
				continue
			}
		} else {
			if answer.verdict = l.bankDoes(o); l.done[o.ID] && r.attempt > 1 && l.chance(20) {
				answer.verdict = iso.ReversalManual // it does not find what it has done
			}
		}
		if !calm && l.chance(40) {
			continue // the answer is lost
		}
		if o.Kind == KindRelease && calm && answer.verdict == iso.ReversalManual {
			answer.verdict, l.done[o.ID] = iso.ReversalDone, true // people saw to it
		}
		desk := o.verdict(n, &answer, operationSchedule)
		if l.write(answer); desk != nil {
			l.reached["desk"] = true
			l.write(*desk)
		}
	}
}

// close is an operator who asked the bank what it did.
func (l *operationLife) close(o *operation, n uint32) {
	r := record{kind: recordOperationClosed, op: n, operator: "anna", reason: "the bank's file", settledOperation: OperationDeclined}
	if l.done[o.ID] {
		r.settledOperation = OperationSucceeded
		l.reached["done, and its repeat refused"] = true
	}
	l.write(r)
}

// late is an answer to a refund that was given up: it tells the bank's truth.
func (l *operationLife) late(o *operation, n uint32) {
	r := record{kind: recordOperationLate, op: n, verdict: iso.ReversalManual}
	switch {
	case l.done[o.ID]:
		r.verdict = iso.ReversalDone
		l.reached["late approval"] = true
	case l.gone[o.ID] && o.owed.attempts == 0:
		l.reached["late decline"] = true
	default:
		return
	}
	l.write(r)
}

// expire is the end of the hold's time.
func (l *operationLife) expire() {
	l.now = l.h.heldFrom.Add(l.terms.hold)
	if plan, ok := l.h.release(&l.terms); ok {
		plan.id = ID{2, byte(len(l.h.operations))}
		l.write(record{kind: recordOperation, begun: &plan})
	}
}

// truth is what the bank has moved.
func (l *operationLife) truth() (captured, given, raised int64, voided bool) {
	if !l.h.ManualCapture {
		captured = l.h.Amount
	}
	for i := range l.h.operations {
		o := &l.h.operations[i]
		switch {
		case !l.done[o.ID]:
		case o.Kind == KindCapture:
			captured += o.Amount
		case o.Kind == KindIncrement:
			raised += o.Amount
		case o.hold && o.Method == MethodVoid:
			voided = true
		case o.Kind != KindIncrement && !o.hold:
			given += o.Amount
		}
	}
	return captured, given, raised, voided
}

func (l *operationLife) check() {
	captured, given, _, voided := l.truth()
	switch {
	case captured > l.h.AmountAuthorized:
		l.fail("the bank captured %d of %d", captured, l.h.AmountAuthorized)
	case given > captured:
		l.fail("the bank gave back %d of %d", given, captured)
	case voided && captured > 0:
		l.fail("the bank captured %d of a hold that was undone", captured)
	}
}

// settle holds the journal against the bank at the end.
func (l *operationLife) settle() {
	for i := range l.h.operations {
		if l.h.operations[i].open() {
			l.fail("operation %d is %s at the end", i+1, l.h.operations[i].Status)
		}
	}
	captured, given, raised, voided := l.truth()
	if raised != l.h.tally().raised {
		l.fail("the bank raised the hold by %d, the journal by %d", raised, l.h.tally().raised)
	}
	if captured != l.h.AmountCaptured || given != l.h.AmountRefunded || voided != (l.h.Status == StatusCanceled && captured == 0 || l.h.Status == StatusExpired) {
		l.fail("the bank captured %d, gave back %d, undid %v; the journal says %s", captured, given, voided, moneyOf(&l.h.Payment))
	}
}
