package payswitch

import (
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// inAuthRig is a rig whose payers are asked, with the result that the test wants.
func inAuthRig(t *testing.T, found *Authentication, do func(r *rig)) {
	r := newRig(t)
	r.adjust = func(o *Options) {
		o.Authenticate = func(*AuthenticationRequest) Authentication { return *found }
	}
	inThisRig(t, r, func() { do(r) })
}

// secured is a payment whose payer may be asked.
func (r *rig) secured(key string, does banksim.Behaviour) *PayRequest {
	q := r.request(key, cardOf(does), 1000)
	q.Authenticate, q.Initiator = true, "customer"
	return q
}

var passed = Authentication{Status: AuthYes, ThreeDS: ThreeDS{ECI: "05", CAVV: "AAABBEg0VhI0VniQEjRWAAAAAAA=", TransactionID: "c4e59ceb-a382-4d6a-bc87-385d591fa09d", Version: "2.2.0"}}

// TestFrictionless: the result decides before anything is sent; what is proven goes to
// the bank, which approves this card only with it.
func TestFrictionless(t *testing.T) {
	for _, tt := range []struct {
		status AuthStatus
		want   Status
		code   string
		sent   bool
	}{
		{AuthYes, StatusCaptured, "", true}, {AuthAttempted, StatusCaptured, "", true},
		{AuthUnavailable, StatusDeclined, "authentication_required", true}, {AuthInformation, StatusDeclined, "authentication_required", true},
		{AuthNo, StatusDeclined, "authentication_failed", false}, {AuthRejected, StatusDeclined, "authentication_failed", false},
	} {
		t.Run(string(tt.status), func(t *testing.T) {
			found := passed
			found.Status = tt.status
			inAuthRig(t, &found, func(r *rig) {
				answer, err := r.core.Pay(r.account("one"), r.secured("k", banksim.StepUp))
				p := answer.Payment
				if err != nil || p.Status != tt.want || tt.code != "" && p.Decline.Code != tt.code || (p.Bank != "") != tt.sent {
					t.Errorf("%s at bank %q, %+v, %v", p.Status, p.Bank, p.Decline, err)
				}
			})
		})
	}
}

// TestChallenge: a payment waits for its payer with nothing sent, and goes on by the
// result, once.
func TestChallenge(t *testing.T) {
	found := Authentication{Status: AuthChallenge, URL: "https://acs.example/1"}
	inAuthRig(t, &found, func(r *rig) {
		one := r.account("one")
		wait := func(key string) Payment {
			t.Helper()
			answer, err := r.core.Pay(one, r.secured(key, banksim.StepUp))
			p := answer.Payment
			if err != nil || p.Status != StatusRequiresAction || p.Bank != "" || p.NextAction == nil || p.NextAction.URL != found.URL {
				t.Fatalf("%+v, %v", p, err)
			}
			again, err := r.core.Pay(one, r.secured(key, banksim.StepUp))
			if err != nil || !again.Replayed || again.Payment.ID != p.ID || again.Payment.Status != StatusRequiresAction {
				t.Errorf("the repeat: %+v, %v", again, err)
			}
			return p
		}
		ends := func(what string, id ID, want Status) {
			t.Helper()
			p, err := r.core.Payment(one, PurposePayment, id)
			if err != nil || p.Status != want || p.NextAction != nil {
				t.Errorf("%s: %s, %v, want %s\n%s", what, p.Status, err, want, r.story(id))
			}
			_, err = r.core.Authenticated(id, passed)
			wantCode(t, "a second result", err, CodeInvalidState)
		}

		paid := wait("passed")
		if p, err := r.core.Authenticated(paid.ID, passed); err != nil || p.Status != StatusCaptured || p.Bank == "" || p.Particulars == nil {
			t.Errorf("%+v, %v", p, err)
		}
		ends("passed", paid.ID, StatusCaptured)

		refused := wait("refused")
		if p, err := r.core.Authenticated(refused.ID, Authentication{Status: AuthNo}); err != nil || p.Status != StatusDeclined || p.Decline.Code != "authentication_failed" {
			t.Errorf("%+v, %v", p, err)
		}
		ends("refused", refused.ID, StatusDeclined)

		left := wait("left")
		r.pass(ChallengeLife + time.Second)
		ends("left", left.ID, StatusFailed)

		cut := wait("cut")
		r.crash()
		r.start()
		r.ready()
		one = r.account("one")
		ends("after a power cut", cut.ID, StatusFailed)
		ends("passed, after a power cut", paid.ID, StatusCaptured)

		r.control(banksim.ModeStall)
		silent := wait("silent")
		if p, err := r.core.Authenticated(silent.ID, passed); err != nil || p.Status != StatusUnknown {
			t.Errorf("a silent bank: %+v, %v", p, err)
		}
	})
}

// TestChallengeOnTheWay: a power cut after the payer acted and before the bank
// answered leaves the payment unknown, with its reversal owed.
func TestChallengeOnTheWay(t *testing.T) {
	found := Authentication{Status: AuthChallenge, URL: "https://acs.example/1"}
	inAuthRig(t, &found, func(r *rig) {
		answer, err := r.core.Pay(r.account("one"), r.secured("k", banksim.StepUp))
		if err != nil {
			t.Fatal(err)
		}
		id := answer.Payment.ID
		r.control(banksim.ModeStall)
		go func() { _, _ = r.core.Authenticated(id, passed) }()
		r.pass(100 * time.Millisecond)
		if p, err := r.core.Payment(r.account("one"), PurposePayment, id); err != nil || p.Status != StatusInFlight || p.Bank == "" {
			t.Errorf("on its way: %+v, %v", p, err)
		}
		r.crash()
		r.start()
		p, err := r.core.Payment(r.account("one"), PurposePayment, id)
		if err != nil || p.Status != StatusUnknown && p.Status != StatusReversed {
			t.Errorf("%+v, %v\n%s", p, err, r.story(id))
		}
	})
}
