package payswitch

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
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
			if !r.core.lateReversalAnswer(b, b.dialect(), lost.ID, c.code) {
				t.Errorf("code %s finds no payment", c.code)
			}
			if p, err := r.core.Payment(r.account("one"), PurposePayment, lost.ID); err != nil || p.Status != c.want {
				t.Errorf("after code %s: %s, %v", c.code, p.Status, err)
			}
		}
	})
}

// approveLate hands the switch an approval that nobody waits for.
func (r *rig) approveLate(id ID) {
	r.t.Helper()
	h, err := r.core.history(id)
	if err != nil {
		r.t.Fatal(err)
	}
	b := r.core.banks[h.Bank]
	var v iso.Values
	var request, answer iso.Message
	h.in.fillValues(&v)
	v.PAN = standIn
	if err := b.dialect().Build(h.in.operation, &v, &request); err != nil {
		r.t.Fatal(err)
	}
	if err := b.dialect().Answer(&request, &iso.Values{ResponseCode: "00", ApprovalCode: "A12345"}, &answer); err != nil {
		r.t.Fatal(err)
	}
	r.core.lateAnswer(b, b.dialect(), &answer)
}

// TestLateAnswerAfterRestart: an approval that comes after a power cut still
// finds its payment.
func TestLateAnswerAfterRestart(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		lost := r.wants(r.account("one"), r.request("lost", cardOf(banksim.ChargedWithoutAnswer), 100), "alfa", "")
		r.crash()
		r.start()
		r.approveLate(lost.ID)
		if story := r.story(lost.ID); !strings.Contains(story, "late_answer") {
			t.Errorf("the answer is lost:\n%s", story)
		}
	})
}

// TestApprovalAfterTheAcknowledgement: an approval that comes when the reversal
// is already acknowledged is reversed again, as a repeat.
func TestApprovalAfterTheAcknowledgement(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		lost := r.wants(r.account("one"), r.request("lost", cardOf(banksim.ChargedWithoutAnswer), 100), "alfa", "")
		r.pass(rigResponse)
		if p, err := r.core.Payment(r.account("one"), PurposePayment, lost.ID); err != nil || p.Status != StatusReversed {
			t.Fatalf("the payment is %s, %v", p.Status, err)
		}
		r.approveLate(lost.ID)
		r.pass(rigResponse)
		story := r.story(lost.ID)
		if strings.Count(story, "reversed           reversed") != 2 || strings.Count(story, "sent 0421") != 1 {
			t.Errorf("it was not reversed again:\n%s", story)
		}
	})
}

// TestAcknowledgementDuringARepeat: while a reversal is on its way, the late
// acknowledgement of an earlier one leaves the payment alone, so that never two
// are on their way.
func TestAcknowledgementDuringARepeat(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		lost := r.wants(r.account("one"), r.request("lost", cardOf(banksim.LostReversalAnswer), 100), "alfa", "")
		b := r.core.order[0]
		for range 20 {
			if r.pass(time.Second); b.saf.sending(lost.ID) {
				break
			}
		}
		if !b.saf.sending(lost.ID) {
			t.Fatal("no reversal is on its way")
		}
		r.core.lateReversalAnswer(b, b.dialect(), lost.ID, "00")
		if p, err := r.core.Payment(r.account("one"), PurposePayment, lost.ID); err != nil || p.Status != StatusUnknown || !b.saf.sending(lost.ID) {
			t.Errorf("%s, %v", p.Status, err)
		}
		r.pass(5 * rigResponse)
		if p, err := r.core.Payment(r.account("one"), PurposePayment, lost.ID); err != nil || p.Status != StatusReversed {
			t.Errorf("at the end %s, %v", p.Status, err)
		}
	})
}

// TestReversalQueue: a payment is handed out once at a time, whatever is added.
func TestReversalQueue(t *testing.T) {
	q, id, now := newReversalQueue(), ID{1}, time.Unix(100, 0)
	takes := func(when string, want bool) {
		t.Helper()
		if got, _, ok := q.take(now); ok != want || ok && got != id {
			t.Errorf("%s: handed out %v", when, ok)
		}
	}
	q.add(id, now)
	q.add(id, now.Add(-time.Second))
	takes("queued", true)
	q.add(id, now)
	takes("on its way", false)
	q.again(id, now.Add(time.Second))
	takes("not yet due", false)
	now = now.Add(time.Second)
	takes("due again", true)
	q.done(id)
	takes("done", false)
	if q.len() != 0 {
		t.Errorf("%d are left", q.len())
	}
}

// TestReversalsWaitForTheBank: while no line is signed on, no attempt is spent.
func TestReversalsWaitForTheBank(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		lost := r.wants(r.account("one"), r.request("lost", cardOf(banksim.ChargedWithoutAnswer), 100), "alfa", "")
		r.control(banksim.ModeRefuse)
		r.control(banksim.ActDrop)
		r.pass(time.Hour)
		if story := r.story(lost.ID); strings.Contains(story, "reversal_sent") {
			t.Errorf("a reversal left without a line:\n%s", story)
		}
		r.control(banksim.ModeNormal)
		r.ready()
		r.pass(time.Minute)
		if story := r.story(lost.ID); strings.Count(story, "reversal_sent") != 1 || !strings.Contains(story, "sent 0420") {
			t.Errorf("it went otherwise:\n%s", story)
		}
	})
}

// TestRecoveryPaysNothing: a request that was on its way when the process died
// is never sent again.
func TestRecoveryPaysNothing(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		go func() { _, _ = r.core.Pay(a, r.request("lost", cardOf(banksim.NoAnswer), 100)) }()
		r.pass(time.Second)
		r.crash()
		r.start()
		r.ready()
		r.pass(time.Minute)
		entries := r.banks[rigBanks[0].id].Books().Entries()
		if len(entries) != 1 || entries[0].Requests != 1 || entries[0].ReversalsSeen == 0 {
			t.Errorf("the bank saw %+v", entries)
		}
	})
}

// TestAttemptIsDurableFirst: while the disk takes a second for the record of an
// attempt, the reversal does not leave.
func TestAttemptIsDurableFirst(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		lost := r.wants(r.account("one"), r.request("lost", cardOf(banksim.ChargedWithoutAnswer), 100), "alfa", "")
		r.disk.SetFaults(storage.Faults{SyncDelay: func() time.Duration { return time.Second }})
		seen := func() int { return r.banks[rigBanks[0].id].Books().Entries()[0].ReversalsSeen }
		r.pass(lost.Resolution.NextAt.Sub(r.core.now()) + 900*time.Millisecond)
		if n := seen(); n != 0 {
			t.Errorf("%d reversals left before their record was durable", n)
		}
		r.pass(time.Second)
		if n := seen(); n != 1 {
			t.Errorf("%d reversals left afterwards", n)
		}
		r.disk.SetFaults(storage.Faults{})
	})
}

// TestApprovalAfterTheAcknowledgementAndARestart: also when the process that
// got the acknowledgement is gone.
func TestApprovalAfterTheAcknowledgementAndARestart(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		lost := r.wants(r.account("one"), r.request("lost", cardOf(banksim.ChargedWithoutAnswer), 100), "alfa", "")
		r.pass(rigResponse)
		r.crash()
		r.start()
		r.approveLate(lost.ID)
		r.pass(rigResponse)
		if story := r.story(lost.ID); strings.Count(story, "reversed           reversed") != 2 {
			t.Errorf("it was not reversed again:\n%s", story)
		}
		r.pass(20 * time.Minute)
		r.stop()
		r.start()
		left := 0
		if err := r.store.Scan(storage.Range{Space: spaceLate}, func(_, _ []byte) bool { left++; return true }); err != nil || left != 0 {
			t.Errorf("%d old entries are kept, %v", left, err)
		}
	})
}

// TestReversalsWaitByASteadyClock: a step of the wall clock delays none.
func TestReversalsWaitByASteadyClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := time.Duration(0)
		wall := func() time.Time { return time.Now().Add(step) }
		q := newReversalQueue().by(wall)
		q.add(ID{1}, wall().Add(5*time.Second))
		step = -time.Hour
		time.Sleep(4 * time.Second)
		if _, pause, ok := q.take(wall()); ok || pause != time.Second {
			t.Errorf("due %v, in %s", ok, pause)
		}
		time.Sleep(time.Second)
		if _, _, ok := q.take(wall()); !ok {
			t.Error("a step of the clock held a reversal up")
		}
	})
}
