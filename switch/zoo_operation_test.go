package payswitch

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// TestHoldWithAnOpenCapture: a hold is let go only when nothing of it is on its way.
func TestHoldWithAnOpenCapture(t *testing.T) {
	for state, want := range map[string]Method{
		"authorized": MethodVoid, "captured in part": MethodNone,
		"capture in flight": 0, "capture pending": 0, "final capture pending": 0, "captured for good": 0, "void pending": 0, "canceled": 0,
		"release pending": 0, "expired": 0, "captured": 0, "refund unknown": 0,
	} {
		plan, ok := paymentAs(t, state).release(&allTerms)
		if ok != (want != 0) || plan.method != want {
			t.Errorf("%s: released %v by %s, want %s", state, ok, plan.method, want)
		}
	}
}

// TestEventsKeepTheirOrder: each change has its event, and their ids grow with
// their numbers, also while the clock steps back.
func TestEventsKeepTheirOrder(t *testing.T) {
	for state, want := range map[string][]string{
		"captured in part": {"payment.authorized", "capture.succeeded", "payment.captured"},
		"void pending":     {"payment.authorized", "cancel.pending"},
		"canceled":         {"payment.authorized", "cancel.succeeded", "payment.canceled"},
		"expired":          {"payment.authorized", "release.pending", "release.succeeded", "payment.expired"},
		"refund unknown":   {"payment.captured", "refund.unknown"},
		"refunded":         {"payment.captured", "refund.succeeded", "payment.refunded"},
		"reversal refused": {"payment.captured", "cancel.declined"},
		"reversed":         {"payment.unknown", "payment.reversed"},
	} {
		var h history
		var told []string
		var last ID
		for n, r := range storiesOf()[state] {
			r.at = morning.Add(-time.Duration(n) * time.Hour)
			if err := h.apply(ID{1}, h.Version+1, &r); err != nil {
				t.Fatal(err)
			}
			for i := range int(h.news.count) {
				e := h.lastEvent(i)
				if told = append(told, e.kind.String()); bytes.Compare(e.id[:], last[:]) <= 0 {
					t.Errorf("%s: event %d has a smaller id than the one before", state, e.number)
				}
				last = e.id
			}
		}
		if !slices.Equal(told, want) {
			t.Errorf("%s: told %v, want %v", state, told, want)
		}
	}
}

// TestAnswersToOperations: what a code of the bank means for a request and for
// an advice.
func TestAnswersToOperations(t *testing.T) {
	d, err := iso.Builtin("ascii87")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		code            string
		request, advice string
	}{
		{"00", "refund_succeeded", "capture_succeeded"},
		{"05", "refund_declined", "capture_pending"},
		{"12", "refund_declined", "capture_declined"},
		{"10", "refund_unknown", "capture_pending"},
		{"68", "refund_unknown", "capture_pending"},
		{"09", "refund_unknown", "capture_pending"},
		{"96", "refund_declined", "capture_pending"},
	} {
		for state, want := range map[string]string{"refund in flight": tt.request, "capture in flight": tt.advice} {
			var h *history
			request := state == "refund in flight"
			if h = paymentAs(t, "capture in flight"); request {
				h = paymentAs(t, "captured")
				begin := record{kind: recordOperation, at: morning, begun: &begun{kind: KindRefund, method: MethodRefund, amount: 400, request: true}}
				if err := h.apply(ID{1}, h.Version+1, &begin); err != nil {
					t.Fatal(err)
				}
			}
			var m iso.Message
			m.MTI = 0x0210
			m.SetString(fieldResponseCode, tt.code)
			r := record{op: 1, at: morning}
			readOperationAnswer(&r, d, operationAnswer{&m, request})
			if err := h.apply(ID{1}, h.Version+1, &r); err != nil {
				t.Fatal(err)
			}
			o := &h.operations[0]
			if got := o.Kind.String() + "_" + o.Status.String(); got != want {
				t.Errorf("code %s while %s: %s, want %s", tt.code, state, got, want)
			}
		}
	}
}

// TestLateAnswersToRefunds: an approval that comes late makes the reversal owed,
// again if it was acknowledged; a decline stands it down while none has left.
func TestLateAnswersToRefunds(t *testing.T) {
	sent := record{kind: recordOperationSent, op: 1, attempt: 1, at: morning}
	undone := record{kind: recordOperationAnswered, op: 1, attempt: 1, verdict: iso.ReversalDone, at: morning}
	for _, tt := range []struct {
		before  []record
		verdict iso.ReversalVerdict
		status  OperationStatus
		owed    bool
	}{
		{nil, iso.ReversalDone, OperationUnknown, true},
		{[]record{sent}, iso.ReversalDone, OperationUnknown, true},
		{[]record{sent, undone}, iso.ReversalDone, OperationReversed, true},
		{nil, iso.ReversalManual, OperationDeclined, false},
		{[]record{sent}, iso.ReversalManual, OperationUnknown, true},
		{[]record{sent, undone}, iso.ReversalManual, OperationReversed, false},
		{nil, iso.ReversalRetry, OperationUnknown, true},
	} {
		h := paymentAs(t, "refund unknown")
		for _, r := range append(tt.before, record{kind: recordOperationLate, op: 1, verdict: tt.verdict, at: morning}) {
			if err := h.apply(ID{1}, h.Version+1, &r); err != nil {
				t.Fatal(err)
			}
		}
		if o := &h.operations[0]; o.Status != tt.status || o.owed.queued != tt.owed || h.AmountRefunded != 0 {
			t.Errorf("after %d records a late answer %d leaves it %s, owed %v, %s", len(tt.before), tt.verdict, o.Status, o.owed.queued, moneyOf(&h.Payment))
		}
	}
}
