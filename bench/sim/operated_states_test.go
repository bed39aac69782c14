package sim

import (
	"slices"
	"strings"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// requiredOperations are the rare states of operations that a run must reach,
// besides required.
var requiredOperations = strings.Fields(`
 capture_succeeded_by_completion capture_declined_by_completion cancel_succeeded_by_void cancel_succeeded_by_reversal
 cancel_succeeded_by_partial_reversal cancel_declined_by_void cancel_declined_by_reversal refund_succeeded_by_refund refund_declined_by_refund
 refund_failed_by_refund refund_reversed_by_refund release_succeeded_by_void release_succeeded_by_none
 increment_succeeded_by_increment increment_declined_by_increment increment_reversed_by_increment
 status_canceled status_expired status_partially_refunded status_refunded
 operation_pending operation_repeated operation_repeated_after_crash refund_reversal_repeated operation_on_the_desk
 crash_between_operation_intent_and_wire crash_between_operation_wire_and_outcome crash_between_operation_outcome_and_answer
 crash_with_operation_owed disk_full_while_operation_owed sync_failed_while_operation_owed
 late_refund_approval_while_reversal_queued late_refund_approval_after_reversal_sent late_refund_approval_after_reversed
 late_refund_decline_stands_down
 several_captures several_refunds operations_beside_each_other cancel_became_a_refund rest_of_a_capture_let_go
 operation_key_reused operation_joined_in_flight operation_replayed operation_replayed_after_restart
 operation_refused operation_refused_for_now operation_refused_bank_unavailable operation_refused_overloaded operation_of_an_unknown_payment
 operation_answer_did_not_match
`)

// countOperations names the rare states that the operations of a payment passed
// through.
func (e *evidence) countOperations(p *payment) {
	done := map[string]int{}
	for _, o := range p.operations {
		e.hit(o.kind + "_" + o.status + "_by_" + o.method)
		if o.status == "succeeded" {
			done[o.kind]++
		}
		e.countOperation(o)
		for _, before := range p.operations {
			if before != o && o.begun.Before(before.settledAt()) && !o.begun.Before(before.begun) {
				e.hit("operations_beside_each_other")
			}
		}
	}
	if done["capture"] > 1 {
		e.hit("several_captures")
	}
	if done["refund"] > 1 {
		e.hit("several_refunds")
	}
	if done["release"] > 0 && done["capture"] > 0 {
		e.hit("rest_of_a_capture_let_go")
	}
}

func (o *operation) settledAt() (at time.Time) { return o.events[len(o.events)-1].At }

func (e *evidence) countOperation(o *operation) {
	frames := e.framesOf(o)
	if o.desk {
		e.hit("operation_on_the_desk")
		if o.kind == "release" {
			e.hit("release_on_the_desk")
		}
	}
	attempts, reversed, was := 0, 0, "in_flight"
	for n, event := range o.events {
		_, word, _ := strings.Cut(event.Type, "_")
		switch word {
		case "pending", "unknown":
			e.hit("operation_" + word)
			switch reasonOf(event.Detail) {
			case "restart":
				if len(frames) == 0 {
					e.hit("crash_between_operation_intent_and_wire")
				} else {
					e.hit("crash_between_operation_wire_and_outcome")
				}
			case "invalid_answer":
				e.hit("operation_answer_did_not_match")
			}
		case "repeated", "reversal_sent":
			if word == "repeated" {
				e.hit("operation_repeated")
			} else if reversed++; reversed > 1 {
				e.hit("refund_reversal_repeated")
			}
			attempts++
			for _, i := range e.past[1:] {
				if e.after(event.At, i) && !e.after(o.events[n-1].At, i) {
					e.hit("operation_repeated_after_crash")
				}
			}
		case "late_answer":
			e.countLateRefund(event, was, reversed)
		}
		if slices.Contains(settledWords, word) {
			was = word
		}
	}
	if entry := e.entries[place(o.of.bank, o.rrn)]; entry != nil && !o.undoes() && entry.State == "refused" {
		e.hit("refund_refused_after_its_reversal")
	}
}

func (e *evidence) countLateRefund(event payswitch.TimelineEvent, was string, reversed int) {
	switch approved := approval(event); {
	case approved && was == "reversed":
		e.hit("late_refund_approval_after_reversed")
	case approved && reversed > 0:
		e.hit("late_refund_approval_after_reversal_sent")
	case approved:
		e.hit("late_refund_approval_while_reversal_queued")
	case reversed == 0:
		e.hit("late_refund_decline_stands_down")
	}
}

// countSaid names what a merchant met who asked for an operation.
func (e *evidence) countSaid(s *said) {
	switch {
	case s.code == string(payswitch.CodeKeyReused):
		e.hit("operation_key_reused")
	case s.code == string(payswitch.CodeInvalidState) && s.later:
		e.hit("operation_refused_for_now")
	case s.code == string(payswitch.CodeInvalidState):
		e.hit("operation_refused")
	case s.code != "":
		e.hit("operation_refused_" + s.code)
	case s.did.Kind == "refund" && s.act.kind == payswitch.KindCancel:
		e.hit("cancel_became_a_refund")
	}
	if p := e.byOrder[s.order.id(false)]; p != nil && p.Status == payswitch.StatusReversed && s.later && s.code == string(payswitch.CodeInvalidState) {
		e.hit("operation_of_an_unknown_payment")
	}
	o := e.byOperation[s.did.ID]
	if o == nil {
		return
	}
	if s.replayed {
		e.hit("operation_replayed")
		if s.inst > 0 && !e.after(o.begun, e.past[s.inst]) && e.faults&clockSteps == 0 {
			e.hit("operation_replayed_after_restart")
		}
		if e.faults&clockSteps == 0 && len(o.events) > 1 && s.from.Before(o.events[1].At) {
			e.hit("operation_joined_in_flight")
		}
	}
}

// countUntold: an operation whose merchant got no answer because the switch
// died just then.
func (e *evidence) countUntold() {
	for _, s := range e.sayings {
		if !s.lost || s.inst < 0 {
			continue
		}
		for _, again := range e.sayings {
			o := e.byOperation[again.did.ID]
			if again.act != s.act || again.order != s.order || o == nil || len(o.events) < 2 || reasonOf(o.events[1].Detail) == "restart" {
				continue
			}
			if e.faults&clockSteps == 0 && !o.begun.Before(s.from.Add(-time.Millisecond)) && !o.begun.After(s.at) {
				e.hit("crash_between_operation_outcome_and_answer")
			}
		}
	}
}

// owedAt reports whether an operation was owed to its bank at the death of an
// instance.
func (o *operation) owedAt(i *instance) (owed bool) {
	for _, event := range o.events {
		if event.At.After(i.diedAt) {
			break
		}
		_, word, _ := strings.Cut(event.Type, "_")
		switch word {
		case "", "succeeded", "declined", "failed", "reversed", "desk":
			owed = word == "" && o.kind == "release" && o.method != "none"
		default:
			owed = true
		}
	}
	return owed
}
