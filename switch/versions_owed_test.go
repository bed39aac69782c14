package payswitch

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

// again starts the switch after a crash, with other versions in its configuration.
func (v *versioned) again(base *iso.Dialect, candidate Candidate) {
	v.t.Helper()
	v.crash()
	v.base, v.candidate = base, candidate
	v.start()
	v.ready()
}

// sentIn tells in which version the messages of a kind went, by the payment's records.
func (v *versioned) sentIn(id ID, kind recordKind) (out []string) {
	v.t.Helper()
	var h history
	err := v.store.Records([16]byte(id), func(version uint32, body []byte) bool {
		r, err := decodeRecord(body)
		if err == nil {
			err = h.apply(id, version, &r)
		}
		if err != nil {
			v.t.Fatal(err)
		}
		if r.kind == kind {
			out = append(out, h.spokenIn(&r).String())
		}
		return true
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return out
}

// TestReversalOwedByAVersion: a crash in the middle of a reversal that is owed by the
// version before; the next life knows that version or not, and undoes the charge either way.
func TestReversalOwedByAVersion(t *testing.T) {
	for name, c := range map[string]struct {
		next func(v *versioned) (*iso.Dialect, Candidate)
		want string
	}{
		"the version is spoken still": {func(v *versioned) (*iso.Dialect, Candidate) { return v.one, Candidate{Dialect: v.two} }, "alfa version 1"},
		"it is spoken by some links": {func(v *versioned) (*iso.Dialect, Candidate) {
			return v.one, Candidate{Dialect: v.two, Canary: Canary{Count: 2}}
		}, "alfa version 1"},
		"it is gone": {func(v *versioned) (*iso.Dialect, Candidate) { return v.two, Candidate{} }, "alfa version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			inVersions(t, 3, "", func(v *versioned) {
				lost := v.wants(v.account("one"), v.request("lost", cardOf(banksim.ChargedWithoutAnswer), 100), "alfa", "")
				if lost.Status != StatusUnknown {
					t.Fatalf("the payment is %s", lost.Status)
				}
				v.again(c.next(v))
				v.pass(time.Minute)
				p, err := v.core.Payment(v.account("one"), PurposePayment, lost.ID)
				if err != nil || p.Status != StatusReversed {
					t.Fatalf("the payment is %s, %v\n%s", p.Status, err, v.story(lost.ID))
				}
				if got := v.sentIn(lost.ID, recordReversalSent); len(got) != 1 || got[0] != c.want {
					t.Errorf("its reversal went in %q, want %s", got, c.want)
				}
				sum := v.first.Books().Summary()
				if sum.Currencies["EUR"].Net != 0 || sum.ReversalsRefused != 0 {
					t.Errorf("the bank's books: %+v", sum)
				}
			})
		})
	}
}

// TestCrashBeforeTheOutcome: an intent without an outcome is undone in the version that is
// current, when its own is gone.
func TestCrashBeforeTheOutcome(t *testing.T) {
	inVersions(t, 2, "", func(v *versioned) {
		q := v.request("lost", cardOf(banksim.ChargedWithoutAnswer), 100)
		a := v.account("one")
		done := make(chan struct{})
		go func() { defer close(done); _, _ = v.core.Pay(a, q) }()
		v.pass(time.Second)
		v.again(v.two, Candidate{})
		<-done
		v.pass(time.Minute)
		sum := v.first.Books().Summary()
		if eur := sum.Currencies["EUR"]; eur.Net != 0 || eur.Charged.Sum != 100 || eur.Reversed.Sum != 100 {
			t.Errorf("the bank's books: %+v", sum)
		}
	})
}

// TestOperationsAfterPromotion: what follows a payment goes in the current version, and what
// undoes that, too; each names its original.
func TestOperationsAfterPromotion(t *testing.T) {
	inVersions(t, 2, "", func(v *versioned) {
		a := v.account("one")
		paid := v.wants(a, v.request("paid", cardOf(banksim.Approve), 1000), "alfa", "")
		if err := v.core.Promote("alfa", by("now")); err != nil {
			t.Fatal(err)
		}
		v.settled()
		answer, err := v.core.Operate(a, &OperationRequest{Payment: paid.ID, Kind: KindRefund, IdempotencyKey: "refund", Amount: 300})
		if err != nil || answer.Operation.Status != OperationSucceeded {
			t.Fatalf("the refund is %+v, %v", answer.Operation, err)
		}
		if got := v.sentIn(paid.ID, recordOperation); len(got) != 1 || got[0] != "alfa version 2" {
			t.Errorf("the refund went in %q", got)
		}
		if net := v.first.Books().Summary().Currencies["EUR"].Net; net != 700 {
			t.Errorf("the bank's books say %d", net)
		}
		h, err := v.core.history(paid.ID)
		if err != nil || h.operations[0].requestType != v.two.MTI(iso.OpRefund) || h.in.requestType != v.one.MTI(iso.OpPurchase) {
			t.Errorf("the records name the requests %s and %s, %v", h.in.requestType, h.operations[0].requestType, err)
		}
	})
}

// TestEffectiveDate: a candidate takes over by itself on its first day, under load, and a
// later life goes on with it; before that day it cannot be promoted, after its last day it
// cannot be rolled back to.
func TestEffectiveDate(t *testing.T) {
	inVersions(t, 2, ", effective: 2000-01-02", func(v *versioned) {
		until := time.Until(time.Date(2000, 1, 1, 23, 59, 55, 0, time.UTC))
		var refusal *Refusal
		if err := v.core.Promote("alfa", by("early")); !errors.As(err, &refusal) || refusal.Detail != "alfa version 2 is effective from 2000-01-02." {
			t.Errorf("an early promotion: %v", err)
		}
		v.pass(until)
		shops := v.shop(20)
		v.pass(4 * time.Second)
		if got := v.spoken(); got != "1:1 2" {
			t.Errorf("before the day the links speak %s", got)
		}
		v.pass(2 * time.Second)
		v.settled()
		if got := v.spoken(); got != "2:1 2" {
			t.Errorf("on the day the links speak %s", got)
		}
		v.end(shops)
		v.again(v.one, Candidate{Dialect: v.two})
		v.pass(2 * time.Second)
		releases, err := v.core.Releases()
		if err != nil || v.spoken() != "2:1 2" || releases[0].Stage != StagePromoted || releases[0].Acts[0].Act != actTakeover {
			t.Errorf("the next life speaks %s: %+v, %v", v.spoken(), releases, err)
		}
	})
	inVersions(t, 2, ", effective: 2000-01-02", func(v *versioned) {
		if err := v.core.RollBack("alfa", by("not this one")); err != nil {
			t.Fatal(err)
		}
		v.pass(48 * time.Hour)
		if got := v.spoken(); got != "1:1 2" {
			t.Errorf("a version that is held took over: %s", got)
		}
		if !v.core.banks["alfa"].release.told["alfa version 2 is effective since 2000-01-02 and held by an operator"] {
			t.Error("nobody was told")
		}
	})
}

// TestVersionsThatCannotBe: what is refused when a switch is made.
func TestVersionsThatCannotBe(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one := parsed(t, firstVersion)
		later := parsed(t, strings.Replace(firstVersion, "version: 1", "version: 1, effective: 2001-01-01", 1))
		for _, c := range []struct {
			base, next *iso.Dialect
			canary     Canary
			want       string
		}{
			{later, nil, Canary{}, `bank "alfa": alfa version 1 is effective from 2001-01-01; until then it can be the candidate`},
			{one, parsed(t, firstVersion), Canary{}, `bank "alfa": the candidate alfa version 1 is the bank's dialect already; raise meta.version`},
			{one, parsed(t, strings.Replace(secondVersion, "%s", "", 1)), Canary{Count: 1}, `bank "alfa": a canary takes some of the bank's 1 links and leaves at least one`},
		} {
			o := r.options(r.store)
			o.Banks = o.Banks[:1]
			o.Banks[0].Dialect, o.Banks[0].Candidate = c.base, Candidate{Dialect: c.next, Canary: c.canary}
			if _, err := New(o); err == nil || err.Error() != c.want {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		}
		for _, err := range []error{r.core.Promote("alfa", by("x")), r.core.StartCanary("alfa", Canary{Count: 1}, by("x")), r.core.RollBack("vega", by("x"))} {
			if codeOf(err) != CodeInvalidState {
				t.Errorf("without a candidate: %v", err)
			}
		}
	})
}

// TestVersionThatIsNotTaken: a bank that does not know the candidate costs one link, an alarm
// and nothing else; the candidate cannot be promoted, and a rollback brings the link back.
func TestVersionThatIsNotTaken(t *testing.T) {
	inVersions(t, 3, "", func(v *versioned) {
		if err := v.second.Control(banksim.Control{Mode: banksim.ModeRefuse}); err != nil {
			t.Fatal(err)
		}
		shops := v.shop(10)
		v.pass(time.Second)
		if err := v.core.StartCanary("alfa", Canary{Links: []int{2}}, by("a trial")); err != nil {
			t.Fatal(err)
		}
		v.pass(2 * time.Minute)
		ready := 0
		for _, l := range v.core.order[0].link.Status().Links {
			if l.State == "ready" && l.Version == 1 {
				ready++
			}
		}
		if ready != 2 {
			t.Errorf("%d links take traffic", ready)
		}
		if n := testutil.ToFloat64(v.core.metrics.alarms.WithLabelValues("version_not_accepted")); n != 1 {
			t.Errorf("%v alarms", n)
		}
		if err := v.core.Promote("alfa", by("in haste")); codeOf(err) != CodeInvalidState {
			t.Errorf("promoted: %v", err)
		}
		if err := v.core.RollBack("alfa", by("they are not ready")); err != nil {
			t.Fatal(err)
		}
		v.settled()
		v.end(shops)
	})
}

// TestReversalNamesTheRecordedType: the original's type is that of the record, whatever the
// version that the reversal is built in would have said.
func TestReversalNamesTheRecordedType(t *testing.T) {
	h := paymentAs(t, "unknown")
	h.in.requestType, h.in.operation = 0x1200, iso.OpPurchase
	d := parsed(t, firstVersion)
	var v iso.Values
	h.fillReversal(d, &v)
	if v.Original.MTI != 0x1200 || v.Original.STAN != h.in.stan {
		t.Errorf("the original is %s %d", v.Original.MTI, v.Original.STAN)
	}
	h.in.requestType = 0 // of an old journal
	if h.fillReversal(d, &v); v.Original.MTI != d.MTI(iso.OpPurchase) {
		t.Errorf("of an old record it is %s", v.Original.MTI)
	}
}
