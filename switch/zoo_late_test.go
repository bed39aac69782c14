package payswitch

import (
	"strings"
	"testing"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

// TestLateReversalAnswer: of the late answers to a reversal only an
// acknowledgement ends it.
func TestLateReversalAnswer(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		lost := r.wants(r.account("one"), r.request("lost", cardOf(banksim.ChargedWithoutAnswer), 100), "alfa", "")
		b := r.core.order[0]
		for _, c := range []struct {
			code string
			want Status
		}{{"91", StatusUnknown}, {"12", StatusUnknown}, {"ZZ", StatusUnknown}, {"00", StatusReversed}} {
			if !r.core.lateReversalAnswer(b, lost.ID, c.code) {
				t.Errorf("code %s finds no payment", c.code)
			}
			if p, err := r.core.Payment(r.account("one"), lost.ID); err != nil || p.Status != c.want {
				t.Errorf("after code %s: %s, %v", c.code, p.Status, err)
			}
		}
	})
}

// TestLateAnswerAfterRestart: an approval that comes after a power cut still
// finds its payment.
func TestLateAnswerAfterRestart(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		lost := r.wants(r.account("one"), r.request("lost", cardOf(banksim.ChargedWithoutAnswer), 100), "alfa", "")
		r.crash()
		r.start()
		h, err := r.core.history(lost.ID)
		if err != nil {
			t.Fatal(err)
		}
		b := r.core.banks[h.Bank]
		var v iso.Values
		var request, answer iso.Message
		h.in.fillValues(&v)
		v.PAN = standIn
		if err := b.dialect.Build(h.in.operation, &v, &request); err != nil {
			t.Fatal(err)
		}
		if err := b.dialect.Answer(&request, &iso.Values{ResponseCode: "00", ApprovalCode: "A12345"}, &answer); err != nil {
			t.Fatal(err)
		}
		r.core.lateAnswer(b, &answer)
		if story := r.story(lost.ID); !strings.Contains(story, "late_answer") {
			t.Errorf("the answer is lost:\n%s", story)
		}
	})
}
