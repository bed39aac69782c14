package payswitch

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
)

// inStrictRig is inRig with the schemes' rules in force: three declines of an
// amount in a day, five in ten days.
func inStrictRig(t *testing.T, do func(t *testing.T, r *rig)) {
	t.Helper()
	rules, err := iso.ParseRetryRules("test.yaml", []byte("version: 1\nschemes:\n  other: {stops: true, same_amount: true, limits: "+
		"[{declines: 3, within_hours: 24}, {declines: 5, within_hours: 240}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.diskCheck = time.Hour
	r.adjust = func(o *Options) { o.RetryRules, o.RetriesInTestMode = rules, true; unhurried(o) }
	synctest.Test(t, func(t *testing.T) {
		r.t = t
		r.startBanks()
		r.start()
		r.ready()
		do(t, r)
		r.close()
	})
}

// tries pays with a card and says who declined it, "bank" or "switch", or "".
func (r *rig) tries(a Account, does banksim.Behaviour, amount int64) string {
	r.t.Helper()
	answer, err := r.core.Pay(a, r.request(fmt.Sprint("try ", r.core.now().UnixNano(), r.count.Add(1)), cardOf(does), amount))
	switch {
	case err != nil:
		r.t.Fatal(err)
	case answer.Payment.Decline == nil:
		return ""
	}
	return answer.Payment.Decline.Source
}

// TestRetriesAreCounted: within the scheme's limits a declined card may be tried
// again, above them the switch says no without asking the bank, until the oldest
// decline is out of the window. Other amounts, shops and cards count apart.
func TestRetriesAreCounted(t *testing.T) {
	inStrictRig(t, func(t *testing.T, r *rig) {
		a := r.account("two")
		expect := func(what string, a Account, does banksim.Behaviour, amount int64, want string) {
			t.Helper()
			if got := r.tries(a, does, amount); got != want {
				t.Errorf("%s: declined by %q, want %q", what, got, want)
			}
		}
		for i := range 3 {
			expect(fmt.Sprint("try ", i), a, banksim.Decline51, 100, "bank")
			r.pass(time.Hour)
		}
		asked := r.banks["alfa"].Books().Len()
		refused, err := r.core.Pay(a, r.request("one too many", cardOf(banksim.Decline51), 100))
		if err != nil {
			t.Fatal(err)
		}
		p := refused.Payment
		if p.Status != StatusDeclined || p.Bank != "" || p.STAN != 0 || p.Version != 2 || p.Decline.Code != codeRetryNotAllowed || p.Decline.Retry != "later" {
			t.Errorf("refused: %+v, %+v", p, p.Decline)
		}
		again, err := r.core.Pay(a, r.request("one too many", cardOf(banksim.Decline51), 100))
		if err != nil || !again.Replayed || again.Payment.ID != p.ID || *again.Payment.Decline != *p.Decline {
			t.Errorf("repeated: %+v, %v", again, err)
		}
		expect("another amount", a, banksim.Decline51, 101, "bank")
		expect("another shop", r.account("one"), banksim.Decline51, 100, "bank")
		expect("another card", a, banksim.Approve, 100, "")
		if now := r.banks["alfa"].Books().Len(); now != asked+3 {
			t.Errorf("the bank was asked %d times", now-asked)
		}
		r.stop()
		r.start()
		r.ready()
		a = r.account("two")
		r.pass(20*time.Hour + 58*time.Minute)
		expect("just before a day is over", a, banksim.Decline51, 100, "switch")
		r.pass(3 * time.Minute)
		expect("a day after the first", a, banksim.Decline51, 100, "bank")
		expect("and again", a, banksim.Decline51, 100, "switch")
		r.pass(24 * time.Hour)
		expect("the fifth", a, banksim.Decline51, 100, "bank")
		r.pass(26 * time.Hour)
		expect("the sixth within ten days", a, banksim.Decline51, 100, "switch")
		r.pass(8 * 24 * time.Hour)
		expect("ten days after the first", a, banksim.Decline51, 100, "bank")
		r.pass(34 * 24 * time.Hour)
		if n := r.keysIn(spaceDecline); n != 0 {
			t.Errorf("%d declines are kept after all windows", n)
		}
		expect("a month later", a, banksim.Decline51, 100, "bank")
	})
}

func (r *rig) keysIn(space storage.Space) (n int) {
	r.t.Helper()
	if err := r.store.Scan(storage.Range{Space: space}, func(_, _ []byte) bool { n++; return true }); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// TestStolenCardIsNotTriedAgain: a final decline ends all attempts with the card
// at the shop, also in the next life and a year later, whatever the amount.
func TestStolenCardIsNotTriedAgain(t *testing.T) {
	inStrictRig(t, func(t *testing.T, r *rig) {
		if got := r.tries(r.account("two"), banksim.Decline43, 100); got != "bank" {
			t.Errorf("first declined by %q", got)
		}
		for _, later := range []time.Duration{time.Second, 40 * 24 * time.Hour, 365 * 24 * time.Hour} {
			r.stop()
			r.pass(later)
			r.start()
			r.ready()
			answer, err := r.core.Pay(r.account("two"), r.request(fmt.Sprint("later ", later), cardOf(banksim.Decline43), 7))
			if err != nil || answer.Payment.Decline.Source != "switch" || answer.Payment.Decline.Retry != "never" {
				t.Errorf("%s later: %+v, %v", later, answer.Payment.Decline, err)
			}
		}
		if got := r.tries(r.account("one"), banksim.Decline43, 100); got != "bank" {
			t.Errorf("another shop: declined by %q", got)
		}
		page, err := r.core.List(r.account("two"), ListQuery{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.core.AllowCard(page.Payments[0].ID, Act{Operator: "anna"}); codeOf(err) != CodeInvalidRequest {
			t.Errorf("allowed without a reason: %v", err)
		}
		if err := r.core.AllowCard(page.Payments[0].ID, act); err != nil {
			t.Error(err)
		}
		for _, want := range []string{"bank", "switch"} {
			if got := r.tries(r.account("two"), banksim.Decline43, 100); got != want {
				t.Errorf("allowed again: declined by %q, want %q", got, want)
			}
		}
	})
}

// TestStopOfMerchantInitiated: a payer who stopped a subscription may still pay.
func TestStopOfMerchantInitiated(t *testing.T) {
	inStrictRig(t, func(t *testing.T, r *rig) {
		a, now := r.account("one"), r.core.now()
		pan := mustPAN(t, cardOf(banksim.Approve))
		who := cardAt(accountDigest(a), r.keys.panDigest(pan))
		stopped := stoppedCard{at: now, reach: iso.StopsMerchantInitiated, code: "revocation_of_authorization"}
		var c storage.Command
		c.Set(spaceDecline, stopKey(who), stopped.encode())
		if _, err := r.store.Do(&c); err != nil {
			t.Fatal(err)
		}
		r.core.declines.mark(who, dayOf(now), true)
		for _, tt := range []struct {
			initiator string
			status    Status
		}{{"customer", StatusCaptured}, {"merchant", StatusDeclined}} {
			q := r.request(tt.initiator, cardOf(banksim.Approve), 100)
			q.Initiator = tt.initiator
			answer, err := r.core.Pay(a, q)
			if err != nil || answer.Payment.Status != tt.status {
				t.Errorf("by the %s: %s, %v", tt.initiator, answer.Payment.Status, err)
			}
		}
	})
}

// TestRetriesInTestMode: unless told otherwise the rules leave test mode alone,
// and nothing of it is written down.
func TestRetriesInTestMode(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for range 25 {
			if got := r.tries(r.account("one"), banksim.Decline43, 100); got != "bank" {
				t.Fatalf("declined by %q", got)
			}
		}
		if n := r.keysIn(spaceDecline); n != 0 || !r.core.declines.empty() {
			t.Errorf("%d declines were counted", n)
		}
	})
}

// TestRetriesRaced: at once many more tries than allowed; each that is declined
// after the limit was reached is declined by the switch, and none is lost.
func TestRetriesRaced(t *testing.T) {
	inStrictRig(t, func(t *testing.T, r *rig) {
		a := r.account("two")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { r.tries(a, banksim.Decline51, 100) })
		}
		wg.Wait()
		if got := r.tries(a, banksim.Decline51, 100); got != "switch" {
			t.Errorf("declined by %q", got)
		}
		if n := r.keysIn(spaceDecline); n < 3 || n > 8 {
			t.Errorf("%d declines are counted", n)
		}
	})
}

// TestRetriesSurviveACrashAnywhere: a decline that a merchant was told is counted
// in the next life.
func TestRetriesSurviveACrashAnywhere(t *testing.T) {
	told := 0
	live := func(r *rig, alive func() bool) {
		told = 0
		for i := range 3 {
			answer, err := r.core.Pay(r.account("one"), r.request(fmt.Sprint("first life ", i), cardOf(banksim.Decline43), 100))
			if err == nil && answer.Payment.Status == StatusDeclined && alive() {
				told++
			}
		}
	}
	crashes := crashEverywhereIn(t, func(r *rig) {
		r.adjust = func(o *Options) { o.RetriesInTestMode = true }
	}, live, func(r *rig, at uint64) {
		if got := r.tries(r.account("one"), banksim.Decline43, 100); told > 0 && got != "switch" {
			r.t.Errorf("crash at %d: %d declines were told, and then the %s declined", at, told, got)
		}
	})
	if crashes < 5 {
		t.Errorf("only %d crashes", crashes)
	}
}

// TestDeclineFilter: what was marked within the last 31 days is always found.
func TestDeclineFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := declineFilter{size: 1 << 10}
		f.loaded.Store(true)
		type mark struct {
			who [16]byte
			day int64
		}
		marked, stopped := map[mark]bool{}, map[[16]byte]bool{}
		day := int64(20_000)
		for range rapid.IntRange(1, 60).Draw(t, "marks") {
			day += rapid.Int64Range(0, 40).Draw(t, "days")
			m := mark{[16]byte{rapid.Byte().Draw(t, "card")}, day - rapid.Int64Range(0, 40).Draw(t, "late")}
			stop := rapid.Bool().Draw(t, "stop")
			f.mark(m.who, m.day, stop)
			marked[m], stopped[m.who] = true, stopped[m.who] || stop
			day = max(day, m.day)
		}
		for m := range marked {
			if f.newest-m.day < filterDays && f.find(m.who)&dayBit(m.day) == 0 {
				t.Fatalf("day %d of %d is forgotten", m.day, f.newest)
			}
		}
		for who, stop := range stopped {
			if stop && f.find(who)&filterStop == 0 {
				t.Fatal("a stop is forgotten")
			}
		}
		if f.find([16]byte{0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})&^filterStop == ^uint32(filterStop) {
			t.Fatal("everything is found")
		}
	})
}
