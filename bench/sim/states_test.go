package sim

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// required are the rare states that a run of requiredSeeds lives must reach; a
// run that misses one proves less than it seems to.
var required = strings.Fields(`
 status_captured status_authorized status_declined status_failed status_reversed
 unknown_no_answer unknown_link_lost unknown_invalid_answer unknown_partial unknown_in_doubt unknown_restart
 late_approval_while_reversal_queued late_approval_after_reversal_sent late_approval_after_reversed
 late_decline_stands_down late_decline_after_reversal_sent late_answer_after_restart
 crash_between_intent_and_wire crash_between_wire_and_outcome crash_between_outcome_and_answer
 crash_while_opening crash_while_recovering crash_while_running crash_with_reversal_owed crash_with_reversal_unanswered
 crash_by_time crash_by_op crash_by_write crash_by_answer crash_by_start crash_drops crash_keeps crash_keeps_some
 two_crashes three_crashes reversal_repeated_after_crash reversal_repeated reversal_of_a_request_that_never_left
 first_reversal_on_the_wire_is_a_repeat repeat_right_after_recovery repeat_after_restart recovery_tried_twice
 not_sent rerouted link_lost_with_frames_queued disk_full disk_full_while_reversal_owed sync_failed sync_failed_while_reversal_owed
 key_reused joined_in_flight desk_reached refused_bank_unavailable refused_overloaded
 original_after_its_reversal reversal_of_what_the_bank_never_saw reversal_booked_twice reversal_answered_late
 reversal_retry_code bank_away_while_owed event_vanish event_cut event_stall_bank event_stall_switch
 event_mute event_mute_unbooked event_refuse event_stall event_decline event_sign_off event_down clock_back clock_forward
 fault_duplicate fault_garbled fault_stan fault_amount fault_pieces fault_cut fault_cut_unseen fault_cut_half
 answer_at_the_deadline echo_lost drained answered_over_http second_bank two_links new_journal slow_syncs
 frame_compared_with_platter answer_compared_with_platter scanned_for_secrets
 damage_was_loud damage_outside_live_data
`)

// requiredSeeds is how many lives reach all of them with room to spare.
const requiredSeeds = 4_000

// countStates names the rare states that a life passed through.
func (e *evidence) countStates() {
	for _, p := range e.payments {
		e.hit("status_" + p.Status.String())
		if p.onDesk() {
			e.hit("desk_reached")
		}
		if p.bank == 1 {
			e.hit("second_bank")
		}
		e.countEvents(p)
		e.countOperations(p)
		e.countPurpose(p)
	}
	for _, s := range e.sayings {
		e.countSaid(s)
	}
	e.countUntold()
	for _, r := range e.replies {
		e.countReply(r)
	}
	for n, h := range e.hosts {
		for _, entry := range e.books[n] {
			switch entry.State {
			case "reversal_only":
				e.hit("reversal_of_what_the_bank_never_saw")
			case "refused":
				e.hit("original_after_its_reversal")
			}
		}
		if h.bank.Books().Summary().ReversalRepeats > 0 {
			e.hit("reversal_booked_twice")
		}
	}
	for state, reached := range map[string]bool{"two_crashes": len(e.past) == 3, "three_crashes": len(e.past) > 3, "two_links": e.links == 2,
		"new_journal": e.blank, "slow_syncs": e.sync > 0} {
		if reached {
			e.hit(state)
		}
	}
	for _, i := range e.past {
		e.countDeath(i)
	}
}

// when is a record's moment in the bubble's time; with clock steps it is not known.
func (e *evidence) after(at time.Time, i *instance) bool {
	return e.faults&clockSteps == 0 && !at.Before(i.began)
}

func (e *evidence) countEvents(p *payment) {
	attempts, was := 0, payswitch.StatusInFlight
	for n, event := range p.events {
		switch event.Type {
		case "unknown":
			e.hit("unknown_" + reasonOf(event.Detail))
		case "rerouted":
			e.hit("rerouted")
		case "not_sent":
			e.hit("not_sent")
			if strings.Contains(event.Detail, "link_lost") {
				e.hit("link_lost_with_frames_queued")
			}
		case "reversal_sent":
			if attempts++; attempts > 1 {
				e.hit("reversal_repeated")
				for _, i := range e.past[1:] {
					if e.after(event.At, i) && !e.after(p.events[n-1].At, i) {
						e.hit("reversal_repeated_after_crash")
					}
				}
			}
		case "late_answer":
			e.countLate(event, was, attempts)
			if len(e.past) > 1 && e.after(event.At, e.past[1]) && !e.after(p.CreatedAt, e.past[1]) {
				e.hit("late_answer_after_restart")
			}
		}
		was = event.Status
	}
	if p.has("unknown") && reasonOf(p.outcome().Detail) == "restart" {
		if e.requests[place(p.bank, p.RRN)] == nil {
			e.hit("crash_between_intent_and_wire")
		} else {
			e.hit("crash_between_wire_and_outcome")
		}
	}
}

func (e *evidence) countLate(event payswitch.TimelineEvent, was payswitch.Status, attempts int) {
	approved := approval(event)
	switch {
	case approved && was == payswitch.StatusReversed:
		e.hit("late_approval_after_reversed")
	case approved && attempts > 0:
		e.hit("late_approval_after_reversal_sent")
	case approved:
		e.hit("late_approval_while_reversal_queued")
	case event.Status == payswitch.StatusDeclined:
		e.hit("late_decline_stands_down")
	default:
		e.hit("late_decline_after_reversal_sent")
	}
}

// reasonOf takes the word out of a sentence such as "... not proven (restart). ...".
func reasonOf(detail string) string {
	_, rest, _ := strings.Cut(detail, "(")
	word, _, _ := strings.Cut(rest, ")")
	switch word {
	case "partial_not_accepted":
		return "partial"
	case "in_doubt_code":
		return "in_doubt"
	}
	return word
}

func (e *evidence) countReply(r *reply) {
	switch r.code {
	case string(payswitch.CodeKeyReused):
		e.hit("key_reused")
	case string(payswitch.CodeBalance), string(payswitch.CodeOrderPaid), string(payswitch.CodeOrderInProgress), string(payswitch.CodeBankUnavailable), string(payswitch.CodeOverloaded), string(payswitch.CodeInternal), string(payswitch.CodeOutcomeUncertain):
		e.hit("refused_" + r.code)
	}
	p := e.byOrder[r.order.id(r.other)]
	switch {
	case r.lost && r.inst >= 0 && p != nil && reasonOf(p.outcome().Detail) != "restart":
		e.hit("crash_between_outcome_and_answer")
	case r.replayed && r.inst > 0:
		if p != nil && !e.after(p.CreatedAt, e.past[r.inst]) && e.faults&clockSteps == 0 {
			e.hit("repeat_after_restart")
			if reasonOf(p.outcome().Detail) == "restart" {
				e.hit("repeat_right_after_recovery")
			}
		}
	}
	if r.replayed && r.from.Before(r.at) && p != nil && e.faults&clockSteps == 0 && r.from.Before(p.outcome().At) && r.at.After(p.CreatedAt) {
		e.hit("joined_in_flight")
	}
}

// countDeath asks the journal what was owed when an instance died.
func (e *evidence) countDeath(i *instance) {
	if i.diedAt.IsZero() || e.faults&clockSteps != 0 {
		return
	}
	owed, unanswered := false, false
	for _, p := range e.payments {
		if slices.ContainsFunc(p.operations, func(o *operation) bool { return o.owedAt(i) }) {
			e.countOwedOperation(i)
		}
		queued, last := false, ""
		for _, event := range p.events {
			if event.At.After(i.diedAt) {
				break
			}
			last = event.Type
			switch last {
			case "unknown":
				queued = true
			case "reversed", "desk":
				queued = false
			}
		}
		owed = owed || queued
		unanswered = unanswered || queued && last == "reversal_sent"
	}
	if owed {
		e.hit("crash_with_reversal_owed")
		if i.death.by == bySpace {
			e.hit("disk_full_while_reversal_owed")
		} else if i.death.by == bySync {
			e.hit("sync_failed_while_reversal_owed")
		}
	}
	if unanswered {
		e.hit("crash_with_reversal_unanswered")
	}
}

func (e *evidence) countOwedOperation(i *instance) {
	e.hit("crash_with_operation_owed")
	switch i.death.by {
	case bySpace:
		e.hit("disk_full_while_operation_owed")
	case bySync:
		e.hit("sync_failed_while_operation_owed")
	}
}

// tally sums up the rare states of a run.
func tally(seen map[string]int) string {
	var b strings.Builder
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%9d  %s\n", seen[name], name)
	}
	return b.String()
}

func missing(seen map[string]int) (out []string) {
	for _, name := range slices.Concat(required, requiredOperations, requiredPurposes) {
		if seen[name] == 0 {
			out = append(out, name)
		}
	}
	return out
}
