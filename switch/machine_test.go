package payswitch

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
)

var (
	machineSeeds = flag.Int("machine.seeds", 20_000, "how many lives TestMachine plays")
	machineSeed  = flag.Uint64("machine.seed", 0, "play this one life and print it")
)

// TestMachine is the first tier of the simulation: the payment's machine
// (fold.go, decide.go) without any I/O, against a bank that charges, forgets,
// answers late, twice or never, through crashes that lose what was not durable.
// One seed is one life, exactly replayable:
//
//	go test ./switch -run TestMachine -machine.seed=N -v
func TestMachine(t *testing.T) {
	if *machineSeed != 0 {
		l := playLife(*machineSeed)
		t.Log(l.trace)
		if l.broken != "" {
			t.Fatal(l.broken)
		}
		return
	}
	reached := map[string]int{}
	steps := 0
	for seed := uint64(1); seed <= uint64(*machineSeeds); seed++ {
		l := playLife(seed)
		if l.broken != "" {
			t.Fatalf("%s\nreplay: go test ./switch -run TestMachine -machine.seed=%d -v", l.broken, seed)
		}
		if seed%100 == 0 && playLife(seed).digest() != l.digest() {
			t.Fatalf("seed %d does not replay", seed)
		}
		for state := range l.reached {
			reached[state]++
		}
		steps += l.steps
	}
	t.Logf("%d lives, %d events", *machineSeeds, steps)
	for _, must := range []string{
		"approved", "declined", "not sent", "unknown", "charged without answer", "reversed", "late approval while owed",
		"late approval after reversed", "late decline stands down", "late decline after a reversal", "repeat after crash",
		"crash with intent open", "crash with reversal owed", "desk by refusal", "desk by attempts", "desk by expiry", "retried", "closed",
		"reversal unanswered", "reversal of what the bank never saw", "rerouted",
	} {
		if reached[must] == 0 {
			t.Errorf("no life reached %q: the run is vacuous", must)
		}
	}
}

// life is one payment's life under one seed.
type life struct {
	rng     *rand.Rand
	now     time.Time
	h       history  // what the process holds
	journal [][]byte // what is durable
	bank    modelBank
	saf     iso.SAFSchedule

	told     Status // first answer to the merchant; StatusInFlight: none yet
	lateCome int    // answers still on their way

	steps   int
	reached map[string]bool
	trace   string
	broken  string
}

// modelBank is the truth on the other side.
type modelBank struct {
	charged, reversed bool
	refuseReversal    bool
}

func (l *life) digest() [32]byte { return sha256.Sum256([]byte(l.trace)) }

func (l *life) say(format string, args ...any) {
	l.steps++
	l.trace += fmt.Sprintf("%s v%d %s: ", l.now.Format("15:04:05"), l.h.Version, l.h.Status) + fmt.Sprintf(format, args...) + "\n"
}

func (l *life) reach(state string) { l.reached[state] = true }

func (l *life) fail(format string, args ...any) {
	if l.broken == "" {
		l.broken = fmt.Sprintf(format, args...) + "\n" + l.trace
	}
}

func (l *life) chance(percent int) bool { return l.rng.IntN(100) < percent }

func playLife(seed uint64) *life {
	l := &life{rng: rand.New(rand.NewPCG(seed, 8583)), now: time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC), reached: map[string]bool{}}
	l.saf = iso.SAFSchedule{First: 5 * time.Second, Factor: 2, Cap: time.Minute, Expiry: time.Hour}
	if l.chance(30) {
		l.saf.MaxAttempts = 1 + l.rng.IntN(4)
	}
	if l.chance(20) {
		l.saf.Expiry = time.Minute
	}
	l.bank.refuseReversal = l.chance(10)
	l.write(record{kind: recordIntent, intent: testIntent(l.chance(30))})
	l.send()
	for range 200 {
		if l.broken != "" || !l.next() {
			break
		}
	}
	l.settle()
	return l
}

// write makes a record durable and folds it, as the switch does.
func (l *life) write(r record) {
	r.at = l.now
	if err := l.h.apply(ID{1}, l.h.Version+1, &r); err != nil {
		l.fail("%v", err)
		return
	}
	l.journal = append(l.journal, r.encode(nil))
	l.say("wrote %s", r.kind)
	if l.told == StatusInFlight && l.h.Status != StatusInFlight && !l.chance(10) { // some merchants are gone
		l.told = l.h.Status
	}
	if s := l.h.standing(); s.owed && s.desk {
		l.fail("owed and on the desk at once")
	}
}

// crash loses what was in memory; the journal is folded anew and recovery runs.
func (l *life) crash() {
	if s := l.h.standing(); l.h.Status == StatusInFlight {
		l.reach("crash with intent open")
	} else if s.owed {
		l.reach("crash with reversal owed")
	}
	before := l.h.Payment.Status
	l.h = history{}
	for i, body := range l.journal {
		r, err := decodeRecord(body)
		if err != nil {
			l.fail("record %d: %v", i, err)
			return
		}
		if err := l.h.apply(ID{1}, uint32(i+1), &r); err != nil {
			l.fail("%v", err)
			return
		}
	}
	l.say("crashed")
	if l.h.Status != before {
		l.fail("the fold changed from %s to %s", before, l.h.Status)
	}
	if l.h.Status == StatusInFlight {
		l.write(record{kind: recordUnknown, reason: "restart", nextAt: l.now.Add(l.saf.First)})
	}
}

// send is the exchange with the bank and what pay makes of it.
func (l *life) send() {
	if l.chance(10) {
		l.reach("rerouted")
		l.write(record{kind: recordRerouted, reason: "link_lost", way: way{bank: "vega", rrn: "2"}})
	}
	switch what := l.rng.IntN(10); {
	case what < 2: // plain answer
		if l.chance(70) {
			l.bank.charged = true
			l.reach("approved")
			l.write(record{kind: recordAnswered, approved: true})
		} else {
			l.reach("declined")
			l.write(record{kind: recordAnswered, decline: Decline{Code: "do_not_honor"}})
		}
	case what < 3:
		l.reach("not sent")
		l.write(record{kind: recordNotSent, reason: "no_link"})
	default:
		l.bank.charged = l.chance(60)
		if l.bank.charged {
			l.reach("charged without answer")
		} else {
			l.reach("reversal of what the bank never saw")
		}
		l.lateCome = l.rng.IntN(3)
		if l.chance(30) {
			l.crash()
			return
		}
		l.reach("unknown")
		l.write(record{kind: recordUnknown, reason: "no_answer", nextAt: l.now.Add(l.saf.First)})
	}
}

// next is one event of a payment that is not settled; false: nothing can happen.
func (l *life) next() bool {
	if l.h.Status != StatusUnknown && l.lateCome == 0 && !l.h.standing().owed {
		return false
	}
	l.now = l.now.Add(time.Duration(l.rng.IntN(20_000)) * time.Millisecond)
	switch what := l.rng.IntN(100); {
	case what < 10:
		l.crash()
	case what < 30 && l.lateCome > 0:
		l.late()
	case l.h.standing().owed:
		l.reverse()
	case l.h.standing().desk && what < 60:
		l.operate()
	}
	return true
}

func (l *life) late() {
	l.lateCome--
	if !allowed(recordLateAnswer, l.h.Status) {
		return
	}
	meaning := iso.CodeMeaning{Decline: "do_not_honor"}
	switch {
	case l.bank.charged:
		meaning = iso.CodeMeaning{Approved: true}
	case l.chance(30):
		meaning = iso.CodeMeaning{InDoubt: true}
	}
	before, sent := l.h.Status, l.h.reversal.attempts
	l.write(lateRecord(meaning, "xx", l.now))
	switch {
	case meaning.Approved && before == StatusReversed:
		l.reach("late approval after reversed")
	case meaning.Approved:
		l.reach("late approval while owed")
	case !meaning.InDoubt && sent == 0:
		l.reach("late decline stands down")
	case !meaning.InDoubt:
		l.reach("late decline after a reversal")
	}
	if meaning.Approved && !l.h.standing().owed {
		l.fail("a late approval left no reversal owed")
	}
	if l.h.Status == StatusCaptured || l.h.Status == StatusAuthorized {
		l.fail("a late answer approved")
	}
}

// reverse is a reversal that fell due.
func (l *life) reverse() {
	if l.now.Before(l.h.reversal.nextAt) {
		l.now = l.h.reversal.nextAt
	}
	r := l.h.reversalDue(l.saf, l.now)
	attempts := l.h.reversal.attempts
	l.write(r)
	if r.kind == recordDesk {
		l.reach("desk by " + map[string]string{"expired": "expiry", "attempts_exhausted": "attempts"}[r.reason])
		return
	}
	if r.attempt != attempts+1 {
		l.fail("attempt %d follows %d", r.attempt, attempts)
	}
	if l.chance(10) {
		l.crash() // before or after it left: the attempt is durable, so the next is a repeat
		l.reach("repeat after crash")
		return
	}
	if l.chance(30) {
		l.reach("reversal unanswered")
		l.bank.reversed = l.bank.reversed || l.bank.charged && !l.bank.refuseReversal && l.chance(50)
		return
	}
	answer := record{kind: recordReversalAnswered, at: l.now, attempt: r.attempt, verdict: iso.ReversalDone, responseCode: "00"}
	switch {
	case l.bank.refuseReversal:
		answer.verdict, answer.responseCode = iso.ReversalManual, "12"
	case l.chance(20):
		answer.verdict, answer.responseCode = iso.ReversalRetry, "91"
	default:
		l.bank.reversed = l.bank.charged
		l.reach("reversed")
	}
	desk := l.h.reversalVerdict(&answer, l.saf)
	l.write(answer)
	if desk != nil {
		l.reach("desk by refusal")
		l.write(*desk)
	}
}

func (l *life) operate() {
	if l.chance(50) {
		l.reach("retried")
		l.write(record{kind: recordRetried, operator: "anna", reason: "try", nextAt: l.now})
		return
	}
	l.reach("closed")
	settled := StatusReversed
	if l.bank.charged && !l.bank.reversed {
		if l.h.Status == StatusUnknown {
			settled = StatusCaptured
			if l.h.ManualCapture {
				settled = StatusAuthorized
			}
		} else {
			l.bank.reversed = true // by the bank's people, as the operator proved
		}
	}
	l.write(record{kind: recordClosed, operator: "anna", reason: "proof", settled: settled})
}

// settle checks the end: nothing is lost, and the bank agrees.
func (l *life) settle() {
	s, net := l.h.standing(), l.bank.charged && !l.bank.reversed
	switch {
	case l.broken != "":
	case l.h.Status == StatusInFlight:
		l.fail("the payment has no outcome and no owner")
	case l.h.Status == StatusUnknown && !s.owed && !s.desk:
		l.fail("the payment is unknown and nobody owns it")
	case (l.h.Status == StatusCaptured || l.h.Status == StatusAuthorized) != net && !s.owed && !s.desk:
		l.fail("the journal ends %s, the bank charged %v reversed %v", l.h.Status, l.bank.charged, l.bank.reversed)
	case l.told != StatusInFlight && l.told != StatusUnknown && l.told != l.h.Status:
		l.fail("the merchant was told %s, the journal ends %s", l.told, l.h.Status)
	}
}
