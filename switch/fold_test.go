package payswitch

import (
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// steps are short names for records, so that a table reads like a story.
var steps = map[string]func(at time.Time) record{
	"intent":   func(at time.Time) record { return record{kind: recordIntent, intent: testIntent(false)} },
	"hold":     func(at time.Time) record { return record{kind: recordIntent, intent: testIntent(true)} },
	"approved": func(at time.Time) record { return record{kind: recordAnswered, approved: true, responseCode: "00"} },
	"declined": func(at time.Time) record { return record{kind: recordAnswered, decline: Decline{Code: "do_not_honor"}} },
	"not_sent": func(at time.Time) record { return record{kind: recordNotSent, reason: "link_lost"} },
	"unknown":  func(at time.Time) record { return record{kind: recordUnknown, reason: "no_answer", nextAt: at} },
	"sent_1":   func(at time.Time) record { return record{kind: recordReversalSent, attempt: 1, nextAt: at} },
	"sent_2":   func(at time.Time) record { return record{kind: recordReversalSent, attempt: 2, nextAt: at} },
	"ack":      func(at time.Time) record { return record{kind: recordReversalAnswered, verdict: iso.ReversalDone} },
	"nack":     func(at time.Time) record { return record{kind: recordReversalAnswered, verdict: iso.ReversalRetry} },
	"late_ok":  func(at time.Time) record { return record{kind: recordLateAnswer, approved: true} },
	"late_decline": func(at time.Time) record {
		return record{kind: recordLateAnswer, decline: Decline{Code: "do_not_honor"}}
	},
	"late_doubt": func(at time.Time) record { return record{kind: recordLateAnswer, responseCode: "68"} },
	"unsent": func(time.Time) record {
		in := testIntent(false)
		in.bank = ""
		return record{kind: recordIntent, intent: in}
	},
	"refused": func(time.Time) record {
		return record{kind: recordRefused, decline: Decline{Source: "switch", Code: codeRetryNotAllowed}}
	},
	"desk": func(at time.Time) record { return record{kind: recordDesk, reason: "expired"} },
}

func testIntent(manual bool) *intent {
	currency, _ := iso.ParseCurrency("RUB")
	return &intent{manual: manual, amount: 129900, currency: currency, way: way{bank: "alfa"}, merchant: "mer_1"}
}

func TestFold(t *testing.T) {
	for name, c := range map[string]struct {
		steps   []string
		status  Status
		owed    bool
		illegal bool // the last step
	}{
		"captured":                        {steps: []string{"intent", "approved"}, status: StatusCaptured},
		"authorized":                      {steps: []string{"hold", "approved"}, status: StatusAuthorized},
		"declined":                        {steps: []string{"intent", "declined"}, status: StatusDeclined},
		"failed":                          {steps: []string{"intent", "not_sent"}, status: StatusFailed},
		"unknown owes":                    {steps: []string{"intent", "unknown"}, status: StatusUnknown, owed: true},
		"reversed":                        {steps: []string{"intent", "unknown", "sent_1", "ack"}, status: StatusReversed},
		"reversed at the second":          {steps: []string{"intent", "unknown", "sent_1", "nack", "sent_2", "ack"}, status: StatusReversed},
		"refused reversal stays owed":     {steps: []string{"intent", "unknown", "sent_1", "nack"}, status: StatusUnknown, owed: true},
		"late approval while queued":      {steps: []string{"intent", "unknown", "late_ok"}, status: StatusUnknown, owed: true},
		"late approval, then reversed":    {steps: []string{"intent", "unknown", "late_ok", "sent_1", "ack"}, status: StatusReversed},
		"approval after acknowledgement":  {steps: []string{"intent", "unknown", "sent_1", "ack", "late_ok"}, status: StatusReversed, owed: true},
		"... is reversed again":           {steps: []string{"intent", "unknown", "sent_1", "ack", "late_ok", "sent_2", "ack"}, status: StatusReversed},
		"late decline, nothing sent":      {steps: []string{"intent", "unknown", "late_decline"}, status: StatusDeclined},
		"late decline after a reversal":   {steps: []string{"intent", "unknown", "sent_1", "late_decline"}, status: StatusUnknown, owed: true},
		"late answer in doubt":            {steps: []string{"intent", "unknown", "late_doubt"}, status: StatusUnknown, owed: true},
		"desk":                            {steps: []string{"intent", "unknown", "sent_1", "desk"}, status: StatusUnknown},
		"approval after unknown":          {steps: []string{"intent", "unknown", "approved"}, illegal: true},
		"decline after approval":          {steps: []string{"intent", "approved", "declined"}, illegal: true},
		"unknown after approval":          {steps: []string{"intent", "approved", "unknown"}, illegal: true},
		"reversal of an approved payment": {steps: []string{"intent", "approved", "sent_1"}, illegal: true},
		"reversal of a failed payment":    {steps: []string{"intent", "not_sent", "sent_1"}, illegal: true},
		"reversal after a late decline":   {steps: []string{"intent", "unknown", "late_decline", "sent_1"}, illegal: true},
		"declined by the switch":          {steps: []string{"unsent", "refused"}, status: StatusDeclined},
		"declined by the switch, sent":    {steps: []string{"intent", "refused"}, illegal: true},
		"answered after the switch's no":  {steps: []string{"unsent", "refused", "approved"}, illegal: true},
		"outcome without an intent":       {steps: []string{"approved"}, illegal: true},
		"a second intent":                 {steps: []string{"intent", "intent"}, illegal: true},
	} {
		t.Run(name, func(t *testing.T) {
			var h history
			at := time.Date(2026, 6, 12, 8, 20, 0, 0, time.UTC)
			for i, step := range c.steps {
				r := steps[step](at)
				r.at = at.Add(time.Duration(i) * time.Second)
				before := h.Payment
				err := h.apply(ID{1}, uint32(i+1), &r)
				if last := i == len(c.steps)-1; last && c.illegal {
					if err == nil {
						t.Fatalf("%s was accepted in state %s", step, before.Status)
					}
					if h.Version != before.Version || h.Status != before.Status {
						t.Fatalf("a refused step changed the payment")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if h.Status != c.status || h.reversal.queued != c.owed {
				t.Errorf("status %s, owed %v; want %s, %v", h.Status, h.reversal.queued, c.status, c.owed)
			}
			if (h.Resolution != nil) != (h.Status == StatusUnknown) {
				t.Errorf("resolution %+v while %s", h.Resolution, h.Status)
			}
		})
	}
}

func TestApplyRefusesAGap(t *testing.T) {
	var h history
	r := steps["intent"](time.Time{})
	if err := h.apply(ID{1}, 2, &r); err == nil {
		t.Error("version 2 was accepted first")
	}
}

// An answer handed out earlier must not change when later records arrive.
func TestResolutionIsNotShared(t *testing.T) {
	var h history
	for i, step := range []string{"intent", "unknown"} {
		r := steps[step](time.Unix(100, 0))
		if err := h.apply(ID{1}, uint32(i+1), &r); err != nil {
			t.Fatal(err)
		}
	}
	first := h.Payment
	r := steps["sent_1"](time.Unix(200, 0))
	if err := h.apply(ID{1}, 3, &r); err != nil {
		t.Fatal(err)
	}
	if first.Resolution.Attempts != 0 || h.Resolution.Attempts != 1 {
		t.Errorf("attempts %d and %d, want 0 and 1", first.Resolution.Attempts, h.Resolution.Attempts)
	}
}

func TestMajorUnits(t *testing.T) {
	for _, tt := range []struct {
		amount     int64
		code, want string
	}{{129900, "RUB", "1299.00 RUB"}, {5, "RUB", "0.05 RUB"}, {0, "EUR", "0.00 EUR"}, {700, "JPY", "700 JPY"}, {1234, "KWD", "1.234 KWD"}} {
		c, err := iso.ParseCurrency(tt.code)
		if err != nil {
			t.Fatal(err)
		}
		if got := majorUnits(tt.amount, c); got != tt.want {
			t.Errorf("%d %s is told as %q, want %q", tt.amount, tt.code, got, tt.want)
		}
	}
}
