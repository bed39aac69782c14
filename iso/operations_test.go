package iso

import (
	"strings"
	"testing"
	"time"
)

// followUp are the facts of a message about the worked purchase.
func followUp(op Operation) *Values {
	v := purchase()
	v.Original = Original{MTI: MTIFinancial, STAN: v.STAN, SentAt: v.SentAt, Acquirer: v.Acquirer}
	v.STAN, v.SentAt, v.Reason, v.ApprovalCode = 126, v.SentAt.Add(time.Hour), ReasonCustomer, "A1B2C3"
	if op == OpVoid {
		v.Replacement = 2500
	}
	return v
}

// What follows a payment, in both built-in dialects, held against the second
// codec; a repeat finds the same answer.
func TestOperationsAfterAPayment(t *testing.T) {
	for name, want := range map[string]map[Operation]string{
		"ascii87":  {OpCapture: "0220", OpVoid: "0420", OpRefund: "0200"},
		"binary87": {OpCapture: "0220", OpVoid: "0400", OpRefund: "0220"},
	} {
		d := builtin(t, name)
		if d.PartialVoid() != (name == "ascii87") {
			t.Errorf("%s: parts of a void: %v", name, d.PartialVoid())
		}
		for op, mti := range want {
			m := request(t, d, op, followUp(op))
			body, err := d.AppendBody(nil, m)
			if err != nil || m.MTI.String() != mti {
				t.Fatalf("%s %s: %s, %v", name, op, m.MTI, err)
			}
			if err := d.moovAgrees(body, m); err != nil {
				t.Errorf("%s %s: %v", name, op, err)
			}
			code := map[Operation]string{OpCapture: "000000", OpVoid: "000000", OpRefund: "200000"}[op]
			if string(m.Get(3)) != code || string(m.Get(90)) != "020000012306120820010000012345600000000000" {
				t.Errorf("%s %s: field 3 is %s, field 90 %s", name, op, m.Get(3), m.Get(90))
			}
			if parts := op == OpVoid && d.PartialVoid(); parts != (string(m.Get(95)) == "000000002500000000000000C00000000C00000000") {
				t.Errorf("%s %s: field 95 is %q", name, op, m.Get(95))
			}
			var first, again, answered Key
			d.RequestKey(m, &first)
			ans := new(Message)
			answer(t, d, m, &Values{ResponseCode: "00"}, ans)
			d.BuildRepeat(m)
			d.RequestKey(m, &again)
			if !d.AnswerKey(ans, &answered) || first != again || first != answered {
				t.Errorf("%s %s: a repeat finds another answer", name, op)
			}
			if err := d.Verify(m, ans); err != nil {
				t.Errorf("%s %s: %v", name, op, err)
			}
		}
	}
}

// The reversal of a refund carries the refund's processing code.
func TestReversalOfARefund(t *testing.T) {
	v := reversal()
	v.Original.Operation = OpRefund
	if m := request(t, builtin(t, "ascii87"), OpReversal, v); string(m.Get(3)) != "200000" {
		t.Errorf("field 3 is %s", m.Get(3))
	}
}

func TestAdviceAnswers(t *testing.T) {
	for code, want := range map[string]ReversalVerdict{"00": ReversalDone, "12": ReversalManual, "25": ReversalManual, "91": ReversalRetry, "ZZ": ReversalRetry} {
		if got := builtin(t, "ascii87").AdviceAnswer(code); got != want {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
}

func TestWrongOperationsAreRefused(t *testing.T) {
	const capture, refund = "  capture:\n    mti: \"0220\"", "  refund:\n    mti: \"0200\""
	for _, c := range []struct{ old, new, want string }{
		{capture, "  capture:\n    mti: \"0200\"", "must be a financial advice"},
		{"  void:\n    mti: \"0420\"", "  void:\n    mti: \"0220\"", "must be a reversal"},
		{refund, "  refund:\n    mti: \"0100\"", "must be a financial message"},
		{`{const: "200000"}`, `{const: "000000"}`, "a constant from 200000"},
		{"  advice:\n    done: [\"00\"]\n    refused: [\"03\", \"12\", \"13\", \"14\", \"21\", \"25\", \"30\", \"58\", \"76\", \"77\"]\n", "", "write behaviour.advice"},
		{"3: {from: processing_code}", `3: {const: "000000"}`, "refund is a request"},
		{"38: {from: approval_code, optional: true}", "38: {from: replacement, optional: true}", "replacement belongs in a void"},
		{"done: [\"00\"]\n    refused: [\"03\"", "done: [\"00\"]\n    refused: [\"00\"", "listed twice"},
	} {
		_, problems := parseDialect("bank.yaml", variant(t, "ascii87", c.old, c.new))
		found := false
		for _, p := range problems {
			found = found || strings.Contains(p.Error(), c.want)
		}
		if !found {
			t.Errorf("%q: %v, want %q", c.new, problems, c.want)
		}
	}
}

// An increment names what is added or what is held in all; a payout is a credit
// and a verification is about nothing.
func TestIncrementPayoutAndVerification(t *testing.T) {
	for name, want := range map[string]struct{ inc, verify, condition string }{
		"ascii87":  {"000000001000", "000000", "51"},
		"binary87": {"000000013500", "330000", "59"},
	} {
		d := builtin(t, name)
		if d.IncrementByTotal() != (name == "binary87") {
			t.Errorf("%s: by total: %v", name, d.IncrementByTotal())
		}
		v := followUp(OpIncrement)
		v.Amount, v.Total = 1000, 13500
		for op, has := range map[Operation][2]string{OpIncrement: {"0100", "000000"}, OpPayout: {"0200", "260000"}, OpVerification: {"0100", want.verify}} {
			m := request(t, d, op, v)
			body, err := d.AppendBody(nil, m)
			if err != nil || m.MTI.String() != has[0] || string(m.Get(3)) != has[1] {
				t.Errorf("%s %s: %s, field 3 %s, %v", name, op, m.MTI, m.Get(3), err)
			}
			if err := d.moovAgrees(body, m); err != nil {
				t.Errorf("%s %s: %v", name, op, err)
			}
			if m.Has(90) != (op == OpIncrement) || op == OpIncrement && string(m.Get(4)) != want.inc || op == OpVerification && string(m.Get(25)) != want.condition {
				t.Errorf("%s %s: field 4 is %s, 25 %s, 90 %q", name, op, m.Get(4), m.Get(25), m.Get(90))
			}
		}
	}
}
