package payswitch

import (
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// history is a payment as its records tell it: the fold of them in order of
// version. apply is the one place where states change, live and on replay.
type history struct {
	Payment
	in *intent

	reversal reversalState

	operations []operation // in the order of their beginning
	approved   int64       // of the request: its amount, or a part; 0: nothing yet
	approvedAt time.Time
	heldFrom   time.Time // when the hold's time began: its approval, or an increment that lengthens it
	uncaptured bool      // a hold of which captures may still come
	challenged bool      // its payer was asked to act

	news     news
	declines *declineFilter // where the bank's decline of the next step is marked, set by attend; nil: it is not counted
	purse    *purse         // the balance it counts in, set by attend; nil: none is kept
	audience *audience      // who is told of the next step, set by attend; nil: nobody
	checkout *checkoutNews  // what the next step changes for its checkout session, set by attend; nil: nobody is told
	receipts *receipts      // how the buyer is told of the next step, set by attend; nil: not

	steps uint64 // of its stripe after the last record written through this history
}

// reversalState is what store-and-forward needs to know of one payment.
type reversalState struct {
	queued   bool   // a reversal is owed and not acknowledged
	unknown  record // why, and the reversal's own trace number and time
	attempts uint32 // reversals that may have left
	nextAt   time.Time
	since    time.Time // the schedule's beginning
	before   uint32    // attempts of an earlier schedule
	desk     string    // why the switch stopped trying; empty while it has not
}

// transitions lists, for each kind of record, the states it may be applied in.
// Anything else is an illegal transition and is refused.
var transitions = [...][]Status{
	recordAnswered:         {StatusInFlight},
	recordNotSent:          {StatusInFlight, StatusRequiresAction},
	recordUnknown:          {StatusInFlight},
	recordReversalSent:     {StatusUnknown, StatusReversed},
	recordReversalAnswered: {StatusUnknown, StatusReversed},
	recordLateAnswer:       {StatusUnknown, StatusReversed},
	recordDesk:             {StatusUnknown, StatusReversed},
	recordRerouted:         {StatusInFlight},
	recordClosed:           {StatusUnknown, StatusReversed},
	recordRetried:          {StatusUnknown, StatusReversed},
	recordRefused:          {StatusInFlight, StatusRequiresAction},
	recordChallenged:       {StatusInFlight},
	recordAuthenticated:    {StatusRequiresAction},

	recordOperation:         {StatusAuthorized, StatusCaptured, StatusPartiallyRefunded},
	recordOperationAnswered: operated,
	recordOperationNotSent:  operated,
	recordOperationUnknown:  operated,
	recordOperationSent:     operated,
	recordOperationLate:     operated,
	recordOperationDesk:     operated,
	recordOperationClosed:   operated,
	recordOperationRetried:  operated,
}

// operated are the states in which a payment has operations; operationSteps
// says in which of their own states each record may follow.
var operated = []Status{StatusAuthorized, StatusCaptured, StatusPartiallyRefunded, StatusRefunded, StatusCanceled, StatusExpired}

// apply folds the next record into the history.
// Errors name the payment and the illegal step; the history is then unchanged.
func (h *history) apply(id ID, version uint32, r *record) error {
	if version != h.Version+1 {
		return fmt.Errorf("payment %s: record %d follows version %d", id.Text(PaymentPrefix), version, h.Version)
	}
	before, operation := h.Status, h.operationBefore(r)
	if r.kind == recordIntent {
		if h.in != nil {
			return fmt.Errorf("payment %s: a second intent at version %d", id.Text(PaymentPrefix), version)
		}
		h.begin(id, r)
	} else {
		if h.in == nil || !allowed(r.kind, h.Status) {
			return fmt.Errorf("payment %s: %s at version %d is illegal while %s", id.Text(PaymentPrefix), r.kind, version, h.Status)
		}
		if (r.kind == recordRefused || r.kind == recordChallenged) && h.Bank != "" {
			return fmt.Errorf("payment %s: %s at version %d is illegal: it may have been sent", id.Text(PaymentPrefix), r.kind, version)
		}
		if !h.stepAllowed(r) {
			return h.illegalOperation(r, version)
		}
		h.advance(r)
	}
	h.Version = version
	h.tell(r, before, operation)
	return nil
}

func allowed(kind recordKind, from Status) bool {
	if int(kind) >= len(transitions) {
		return false
	}
	for _, s := range transitions[kind] {
		if s == from {
			return true
		}
	}
	return false
}

func (h *history) begin(id ID, r *record) {
	in := r.intent
	h.in = in
	h.Payment = Payment{
		ID: id, Purpose: purposeOf(in.operation), Status: StatusInFlight, Live: in.live, ManualCapture: in.manual, Currency: in.currency, STAN: in.stan,
		Amount: in.amount, Merchant: in.merchant, OrderID: in.orderID, Bank: in.bank, Description: in.description,
		CustomerEmail: in.email, RRN: in.rrn, Card: in.card, Metadata: in.metadata, CreatedAt: r.at, UpdatedAt: r.at,
	}
	h.Particulars = in.particulars()
	if in.rare != nil && !in.rare.token.IsZero() {
		h.Token, h.ByToken = in.rare.token, true
	}
	if in.rare != nil {
		h.Attempt, h.Schedule, h.Run, h.Checkout = in.rare.attempt, in.rare.schedule, in.rare.run, in.rare.checkout
	}
}

func (h *history) advance(r *record) {
	switch r.kind {
	case recordAnswered:
		h.answered(r)
	case recordNotSent:
		h.Status = StatusFailed
		h.Decline = &Decline{Source: "switch", Code: "not_sent", Retry: "later",
			Message: "The request never left for the bank. No money moved; a new payment is safe."}
	case recordUnknown:
		h.Status = StatusUnknown
		h.ResponseCode = r.responseCode
		if h.Purpose == PurposeVerification {
			h.Resolution = &Resolution{Reason: r.reason, Since: r.at, NextAction: "none"}
			break
		}
		h.reversal = reversalState{queued: true, unknown: *r, nextAt: r.nextAt, since: r.at}
		h.Resolution = &Resolution{Reason: r.reason, Since: r.at, NextAction: "reversal", NextAt: r.nextAt}
	case recordReversalSent:
		h.reversal.attempts, h.reversal.nextAt = r.attempt, r.nextAt
		h.nextStep("reversal", r.nextAt)
	case recordReversalAnswered:
		h.reversalAnswered(r)
	case recordLateAnswer:
		h.lateAnswer(r)
	case recordDesk:
		h.reversal.queued, h.reversal.desk = false, r.reason
		h.nextStep("operator", time.Time{})
	case recordRerouted:
		in := *h.in
		in.way = r.way
		h.in = &in
		h.Bank, h.STAN, h.RRN = in.bank, in.stan, in.rrn
	case recordClosed:
		h.closed(r)
	case recordRetried:
		h.reversal.queued, h.reversal.desk, h.reversal.nextAt = true, "", r.nextAt
		h.reversal.since, h.reversal.before = r.at, h.reversal.attempts
		h.nextStep("reversal", r.nextAt)
	case recordRefused:
		h.Status = StatusDeclined
		d := r.decline
		h.Decline = &d
	case recordChallenged:
		h.Status, h.challenged = StatusRequiresAction, true
		h.NextAction = &NextAction{URL: r.url, ExpiresAt: r.nextAt}
	case recordAuthenticated:
		h.authenticated(r)
	case recordOperation:
		h.beginOperation(r)
	default:
		h.advanceOperation(r)
	}
	if h.Status != StatusRequiresAction {
		h.NextAction = nil
	}
	h.UpdatedAt = r.at
}

// authenticated gives the payment its way and what was found out about its payer.
func (h *history) authenticated(r *record) {
	in := *h.in
	in.way, in.eci, in.localAt = r.way, r.eci, r.way.sentAt.In(in.localAt.Location())
	if r.threeDS != "" {
		var x rare
		if in.rare != nil {
			x = *in.rare
		}
		var carried iso.Carried
		if x.carried != nil {
			carried = *x.carried
		}
		carried.ThreeDSVersion = r.threeDS
		x.carried, in.rare = &carried, &x
	}
	h.in, h.Status = &in, StatusInFlight
	h.Bank, h.STAN, h.RRN, h.Particulars = in.bank, in.stan, in.rrn, in.particulars()
}

// hidden reports whether nobody outside was told of the payment yet.
func (h *history) hidden() bool { return h.Status == StatusInFlight && !h.challenged }

func (h *history) answered(r *record) {
	h.ResponseCode, h.ApprovalCode = r.responseCode, r.approvalCode
	h.approvedAt, h.heldFrom, h.approved = r.at, r.at, h.Amount
	if x := r.rare; x != nil {
		if x.authorized != 0 {
			h.approved = x.authorized
		}
		if !x.token.IsZero() {
			h.Token = x.token
		}
		if x.networkID != "" || x.chip != "" {
			h.learned(x.networkID, x.chip)
		}
	}
	switch {
	case !r.approved:
		h.Status = StatusDeclined
		d := r.decline
		h.Decline = &d
	case h.Purpose != PurposePayment:
		h.Status = StatusSucceeded
	case h.ManualCapture:
		h.Status, h.AmountAuthorized, h.uncaptured = StatusAuthorized, h.approved, true
	default:
		h.Status, h.AmountAuthorized, h.AmountCaptured = StatusCaptured, h.approved, h.approved
	}
}

func (h *history) reversalAnswered(r *record) {
	h.reversal.nextAt = r.nextAt
	switch r.verdict {
	case iso.ReversalDone:
		h.Status, h.Resolution = StatusReversed, nil
		h.reversal.queued = false
	default:
		h.nextStep("reversal", r.nextAt)
	}
}

// closed settles a payment as an operator proved it, by the bank's file or its
// word: money moved and stays, or no money moved.
func (h *history) closed(r *record) {
	h.Status, h.Resolution = r.settled, nil
	h.reversal.queued, h.reversal.desk = false, ""
	h.approvedAt, h.heldFrom, h.approved = r.at, r.at, h.Amount
	if r.rare != nil && r.rare.authorized != 0 {
		h.approved = r.rare.authorized
	}
	switch r.settled {
	case StatusCaptured:
		h.AmountAuthorized, h.AmountCaptured = h.approved, h.approved
	case StatusAuthorized:
		h.AmountAuthorized, h.uncaptured = h.approved, true
	}
}

// lateAnswer never turns a payment approved (features I21): an approval makes
// the reversal owed, again if it was already acknowledged; a decline stands it
// down only while no reversal has left. To a verification it comes too late for
// anything: what was told stays told.
func (h *history) lateAnswer(r *record) {
	switch {
	case h.Purpose == PurposeVerification:
	case r.approved:
		h.reversal.queued, h.reversal.desk = true, ""
		h.nextStep("reversal", r.at)
	case r.decline.Code != "" && h.Status == StatusUnknown && h.reversal.attempts == 0:
		h.Status, h.Resolution, h.ResponseCode = StatusDeclined, nil, r.responseCode
		d := r.decline
		h.Decline = &d
		h.reversal.queued = false
	}
}

// nextStep replaces, never edits, the resolution: payments are handed out by
// value and share the pointer.
func (h *history) nextStep(action string, at time.Time) {
	if h.Resolution == nil {
		return
	}
	next := *h.Resolution
	next.NextAction, next.NextAt, next.Attempts = action, at, int(h.reversal.attempts)
	h.Resolution = &next
}
