package payswitch

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

const day = 24 * time.Hour

// patient is a rig in which months pass fast.
func patient(r *rig) {
	r.diskCheck, r.adjust = time.Hour, unhurried
}

// inPatientRig is inRig for stories that take months.
func inPatientRig(t *testing.T, do func(t *testing.T, r *rig)) {
	t.Helper()
	r := newRig(t)
	patient(r)
	synctest.Test(t, func(t *testing.T) {
		r.t = t
		r.startBanks()
		r.start()
		r.ready()
		do(t, r)
		r.close()
	})
}

// schedule makes a schedule of the merchant mer_one; edit may be nil.
func (r *rig) schedule(key string, does banksim.Behaviour, edit func(*Schedule)) Schedule {
	r.t.Helper()
	a := r.account("one")
	q := &ScheduleRequest{IdempotencyKey: key, Wish: Schedule{Token: r.saved(a, "anna", cardOf(does)).ID, Amount: 1000, Currency: "EUR", Period: Period{"month", 1}}}
	if edit != nil {
		edit(&q.Wish)
	}
	c, _, err := r.core.CreateSchedule(a, q)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// runs tells a schedule's runs, the oldest first, and its state.
func (r *rig) runs(id ID) (told []string, c Schedule) {
	r.t.Helper()
	a := r.account("one")
	c, err := r.core.Schedule(a, id)
	if err != nil {
		r.t.Fatal(err)
	}
	list, _, err := r.core.ScheduleRuns(a, id, 0, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := len(list) - 1; i >= 0; i-- {
		run := list[i]
		text := fmt.Sprintf("%d %s %d", run.Number, run.Status, len(run.Payments))
		if run.Reason != "" {
			text += " " + run.Reason
		}
		told = append(told, text)
	}
	return told, c
}

func (r *rig) ran(what string, id ID, status string, want ...string) Schedule {
	r.t.Helper()
	told, c := r.runs(id)
	if strings.Join(told, ", ") != strings.Join(want, ", ") || c.Status != status {
		r.t.Errorf("%s: %s (%s): %v, want %s: %v", what, c.Status, c.Reason, told, status, want)
	}
	return c
}

func (r *rig) sleepUntilUp() {
	r.start()
	r.ready()
	r.pass(2 * time.Minute)
}

// TestScheduleOfAYear pays on the last of each month, through restarts, twelve
// times and no more.
func TestScheduleOfAYear(t *testing.T) {
	inPatientRig(t, func(t *testing.T, r *rig) {
		start := time.Date(r.core.now().Year(), 1, 31, 9, 0, 0, 0, time.UTC)
		c := r.schedule("year", banksim.Approve, func(c *Schedule) { c.StartAt, c.Count, c.OrderID = start, 12, "rent" })
		for month := range 12 {
			if month == 5 {
				r.stop()
				r.sleepUntilUp()
			}
			r.pass(Period{"month", 1}.at(start, time.UTC, month).Sub(r.core.now()) - time.Second)
			if told, _ := r.runs(c.ID); len(told) != month {
				t.Fatalf("before run %d: %v", month+1, told)
			}
			r.pass(2 * time.Second)
			if told, _ := r.runs(c.ID); len(told) != month+1 || told[month] != fmt.Sprintf("%d succeeded 1", month+1) {
				t.Fatalf("run %d: %v", month+1, told)
			}
		}
		r.pass(70 * day)
		last, _ := r.runs(c.ID)
		if done, _ := r.core.Schedule(r.account("one"), c.ID); done.Status != ScheduleCompleted || len(last) != 12 || !done.DueAt.IsZero() {
			t.Errorf("%d runs, %+v", len(last), done)
		}
		page, err := r.core.List(r.account("one"), ListQuery{OrderID: "rent", Limit: 100})
		if err != nil || len(page.Payments) != 12 {
			t.Fatalf("%d payments, %v", len(page.Payments), err)
		}
		p := page.Payments[0]
		if p.Schedule != c.ID || p.Run != 12 || p.Particulars == nil || p.Particulars.Initiator != byMerchant || p.Particulars.Carried.Credential != iso.CredentialRecurring {
			t.Errorf("the last payment: %+v, %+v", p, p.Particulars)
		}
		if net := r.banks["alfa"].Books().Summary().Currencies["EUR"].Net; net != 12_000 {
			t.Errorf("the bank has %d", net)
		}
	})
}

// TestScheduleIsDeclined: a declined run is tried again as often as agreed, then
// the next run is awaited; without retries at once; never after a final decline.
func TestScheduleIsDeclined(t *testing.T) {
	for _, tt := range []struct {
		name    string
		does    banksim.Behaviour
		retries int
		status  string
		want    []string
	}{
		{"no retries", banksim.Decline51, 0, ScheduleActive, []string{"1 declined 1 insufficient_funds", "2 declined 1 insufficient_funds"}},
		{"two retries", banksim.Decline51, 2, ScheduleActive, []string{"1 declined 3 insufficient_funds", "2 declined 3 insufficient_funds"}},
		{"stolen", banksim.Decline43, 2, ScheduleNeedsCard, []string{"1 declined 1 stolen_card"}},
		{"expired", banksim.Decline54, 2, ScheduleNeedsCard, []string{"1 declined 1 expired_card"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inPatientRig(t, func(t *testing.T, r *rig) {
				c := r.schedule("x", tt.does, func(c *Schedule) { c.Retries = tt.retries })
				r.pass(40 * day)
				r.ran(tt.name, c.ID, tt.status, tt.want...)
			})
		})
	}
}

// TestScheduleNeedsACard: an expired or deleted card stops the schedule until
// there is another; the run that waited is made within its grace.
func TestScheduleNeedsACard(t *testing.T) {
	inPatientRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		c := r.schedule("x", banksim.Approve, func(c *Schedule) { c.StartAt = r.core.now().Add(time.Hour) })
		if _, err := r.core.ReplaceCard(a, c.Token, &CardRequest{Expiry: iso.Expiry{Year: 1999, Month: 1}}); err != nil {
			t.Fatal(err)
		}
		r.pass(2 * time.Hour)
		r.ran("expired", c.ID, ScheduleNeedsCard, "1 retrying 0 card_expired")
		if _, err := r.core.ReplaceCard(a, c.Token, &CardRequest{Expiry: iso.Expiry{Year: 2040, Month: 1}}); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Minute)
		r.ran("replaced", c.ID, ScheduleActive, "1 succeeded 1")
		if err := r.core.DeleteToken(a, c.Token); err != nil {
			t.Fatal(err)
		}
		r.pass(60 * day)
		r.ran("deleted", c.ID, ScheduleNeedsCard, "1 succeeded 1", "2 retrying 0 card_deleted")
		other := r.saved(a, "anna", secondCard)
		if _, err := r.core.ChangeSchedule(a, c.ID, ScheduleChange{Token: r.saved(a, "boris", secondCard).ID}); codeOf(err) != CodeUnknownToken {
			t.Errorf("another customer's card: %v", err)
		}
		if _, err := r.core.ChangeSchedule(a, c.ID, ScheduleChange{Token: other.ID, Amount: 500}); err != nil {
			t.Fatal(err)
		}
		r.pass(31 * day)
		r.ran("another card", c.ID, ScheduleActive, "1 succeeded 1", "2 succeeded 1")
		if net := r.banks["alfa"].Books().Summary().Currencies["EUR"].Net; net != 1500 {
			t.Errorf("the bank has %d", net)
		}
	})
}

// TestScheduleAfterDowntime: of the runs whose time went by the last is made
// late, if it is within its grace; the others are told as skipped.
func TestScheduleAfterDowntime(t *testing.T) {
	for _, tt := range []struct {
		down time.Duration
		want []string
	}{
		{10 * time.Hour, []string{"1 succeeded 1"}},
		{4*day + 10*time.Hour, []string{"1 succeeded 1", "2 skipped 0 missed", "3 skipped 0 missed", "4 skipped 0 missed", "5 succeeded 1"}},
		{4*day + 14*time.Hour, []string{"1 succeeded 1", "2 skipped 0 missed", "3 skipped 0 missed", "4 skipped 0 missed", "5 skipped 0 missed"}},
	} {
		inPatientRig(t, func(t *testing.T, r *rig) {
			c := r.schedule("x", banksim.Approve, func(c *Schedule) { c.Period, c.Grace = Period{"day", 1}, 12*time.Hour })
			r.pass(time.Minute)
			r.stop()
			r.pass(tt.down)
			r.sleepUntilUp()
			r.ran(tt.down.String(), c.ID, ScheduleActive, tt.want...)
		})
	}
}

// TestScheduleIsHalted: paused, it makes no payments and makes up for none;
// canceled, it never does again.
func TestScheduleIsHalted(t *testing.T) {
	inPatientRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		c := r.schedule("x", banksim.Approve, func(c *Schedule) { c.Period = Period{"day", 1} })
		r.pass(time.Minute)
		step := func(what string, do func(Account, ID) (Schedule, error), pass time.Duration, status string, want ...string) {
			t.Helper()
			if _, err := do(a, c.ID); err != nil {
				t.Fatal(err)
			}
			r.pass(pass)
			r.ran(what, c.ID, status, want...)
		}
		step("paused", r.core.PauseSchedule, 10*day, SchedulePaused, "1 succeeded 1")
		step("paused twice", r.core.PauseSchedule, day, SchedulePaused, "1 succeeded 1")
		step("resumed", r.core.ResumeSchedule, 25*time.Hour, ScheduleActive, "1 succeeded 1", "2 succeeded 1")
		step("canceled", r.core.CancelSchedule, 10*day, ScheduleCanceled, "1 succeeded 1", "2 succeeded 1")
		step("canceled twice", r.core.CancelSchedule, day, ScheduleCanceled, "1 succeeded 1", "2 succeeded 1")
		if _, err := r.core.ResumeSchedule(a, c.ID); codeOf(err) != CodeInvalidState {
			t.Errorf("a canceled schedule is resumed: %v", err)
		}
		if _, err := r.core.Schedule(r.account("two"), c.ID); codeOf(err) != CodeNotFound {
			t.Errorf("another merchant sees it: %v", err)
		}
	})
}

// TestScheduleInDoubt: a run whose payment is unknown waits for the proof; once
// it is reversed the run is tried anew. Lines that are down make it wait.
func TestScheduleInDoubt(t *testing.T) {
	inPatientRig(t, func(t *testing.T, r *rig) {
		c := r.schedule("x", banksim.ChargedWithoutAnswer, nil)
		r.pass(30 * time.Second)
		told, now := r.runs(c.ID)
		if len(told) != 1 || !strings.HasPrefix(told[0], "1 pending 1") || now.Status != ScheduleActive {
			t.Errorf("in doubt: %v, %s", told, now.Status)
		}
		if _, err := r.core.CancelSchedule(r.account("one"), c.ID); err != nil {
			t.Fatal(err)
		}
		r.pass(day)
		r.ran("canceled and reversed", c.ID, ScheduleCanceled, "1 skipped 1 canceled")
		if net := r.banks["alfa"].Books().Summary().Currencies["EUR"].Net; net != 0 {
			t.Errorf("the bank has %d", net)
		}
		r.control(banksim.ModeRefuse)
		r.control(banksim.ActDrop)
		c = r.schedule("down", banksim.Approve, nil)
		r.pass(time.Hour)
		r.ran("down", c.ID, ScheduleActive, "1 pending 0")
		r.control(banksim.ModeNormal)
		r.pass(time.Hour)
		r.ran("up", c.ID, ScheduleActive, "1 succeeded 1")
	})
}

// TestScheduleIsMadeOnce: a repeat under its key gets it as it was made.
func TestScheduleIsMadeOnce(t *testing.T) {
	inPatientRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		q := &ScheduleRequest{IdempotencyKey: "k", Wish: Schedule{Token: r.saved(a, "anna", secondCard).ID, Amount: 7, Currency: "EUR", Period: Period{"day", 1}}}
		made, _, err := r.core.CreateSchedule(a, q)
		if err != nil {
			t.Fatal(err)
		}
		r.pass(time.Hour)
		again, replayed, err := r.core.CreateSchedule(a, q)
		if err != nil || !replayed || again != made {
			t.Errorf("%+v\nwas made, and then %+v, %v", made, again, err)
		}
		q.Fingerprint[0]++
		if _, _, err := r.core.CreateSchedule(a, q); codeOf(err) != CodeKeyReused {
			t.Errorf("its key with another request: %v", err)
		}
		r.wants(a, r.request("k", cardOf(banksim.Approve), 1), "", CodeKeyReused)
		r.wants(a, r.request("p", cardOf(banksim.Approve), 1), "alfa", "")
		q.IdempotencyKey = "p"
		if _, _, err := r.core.CreateSchedule(a, q); codeOf(err) != CodeKeyReused {
			t.Errorf("a payment's key: %v", err)
		}
		for name, edit := range map[string]func(*Schedule){
			"/amount":     func(c *Schedule) { c.Amount = 0 },
			"/max_amount": func(c *Schedule) { c.MinAmount, c.MaxAmount = 2, 1 },
			"/period":     func(c *Schedule) { c.Period = Period{} },
			"/start_at":   func(c *Schedule) { c.StartAt = r.core.now().Add(-time.Hour) },
			"/end_at":     func(c *Schedule) { c.EndAt = r.core.now().Add(-time.Hour) },
			"/token":      func(c *Schedule) { c.Token = ID{1} },
		} {
			bad := &ScheduleRequest{IdempotencyKey: name, Wish: q.Wish}
			edit(&bad.Wish)
			_, _, err := r.core.CreateSchedule(a, bad)
			if refusal, ok := err.(*Refusal); !ok || refusal.Pointer != name {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestShopsSchedule: payments by the shop's own schedule are held to its card,
// currency, amounts, end and state.
func TestShopsSchedule(t *testing.T) {
	inPatientRig(t, func(t *testing.T, r *rig) {
		a := r.account("one")
		c := r.schedule("x", banksim.Approve, func(c *Schedule) {
			*c = Schedule{RunBy: RunByShop, Token: c.Token, Currency: "EUR", MinAmount: 100, MaxAmount: 200, EndAt: r.core.now().Add(10 * day)}
		})
		n := 0
		pay := func(code Code, edit func(*PayRequest)) {
			t.Helper()
			n++
			q := r.request(fmt.Sprint("run ", n), cardOf(banksim.Approve), 150)
			q.PAN, q.CVC, q.Expiry, q.Token, q.Initiator, q.Schedule = iso.PAN{}, iso.CVC{}, iso.Expiry{}, c.Token, byMerchant, c.ID
			edit(q)
			bank := "alfa"
			if code != "" {
				bank = ""
			}
			if p := r.wants(a, q, bank, code); code == "" && (p.Schedule != c.ID || p.Run != 0) {
				t.Errorf("paid: %+v", p)
			}
		}
		pay("", func(*PayRequest) {})
		pay(CodeInvalidRequest, func(q *PayRequest) { q.Amount = 99 })
		pay(CodeInvalidRequest, func(q *PayRequest) { q.Amount = 201 })
		pay(CodeInvalidRequest, func(q *PayRequest) { q.Initiator = "customer" })
		pay(CodeInvalidRequest, func(q *PayRequest) { q.Schedule = ID{1} })
		pay(CodeInvalidRequest, func(q *PayRequest) { q.Token = r.saved(a, "anna", secondCard).ID })
		for _, do := range []func(Account, ID) (Schedule, error){r.core.PauseSchedule, r.core.ResumeSchedule} {
			if _, err := do(a, c.ID); err != nil {
				t.Fatal(err)
			}
			if now, _ := r.core.Schedule(a, c.ID); now.Status == SchedulePaused {
				pay(CodeInvalidRequest, func(*PayRequest) {})
			}
		}
		pay("", func(*PayRequest) {})
		r.pass(11 * day)
		pay(CodeInvalidRequest, func(*PayRequest) {})
		if told, _ := r.runs(c.ID); len(told) != 0 {
			t.Errorf("the switch ran it: %v", told)
		}
	})
}

// TestSchedulesSurviveACrashAnywhere cuts the power at each operation of the disk
// while runs are paid: in the next life each run has been paid once, and the
// bank's books say the same.
func TestSchedulesSurviveACrashAnywhere(t *testing.T) {
	var made Schedule
	live := func(r *rig, alive func() bool) {
		made = Schedule{}
		a := r.account("one")
		token, _, err := r.core.SaveCard(a, &CardRequest{Customer: "anna", PAN: mustPAN(r.t, cardOf(banksim.Approve)), Expiry: iso.Expiry{Year: 2030, Month: 12}})
		if err != nil {
			return
		}
		c, _, err := r.core.CreateSchedule(a, &ScheduleRequest{IdempotencyKey: "x", Wish: Schedule{Token: token.ID, Amount: 1000, Currency: "EUR", Period: Period{"day", 1}, Count: 2}})
		if err == nil && alive() {
			made = c
		}
		r.pass(time.Minute)
	}
	crashes := crashEverywhereIn(t, patient, live, func(r *rig, at uint64) {
		if made.ID.IsZero() {
			return
		}
		r.pass(2 * day)
		told, c := r.runs(made.ID)
		net := r.banks["alfa"].Books().Summary().Currencies["EUR"].Net
		page, err := r.core.List(r.account("one"), ListQuery{Limit: 100})
		captured := map[uint32]int{}
		for _, p := range page.Payments {
			if p.Status == StatusCaptured {
				captured[p.Run]++
			}
		}
		if err != nil || net != 2000 || c.Status != ScheduleCompleted || captured[1] != 1 || captured[2] != 1 {
			r.t.Errorf("crash at %d: %v, %s; the bank has %d, payments by run %v, %v", at, told, c.Status, net, captured, err)
		}
	})
	if crashes < 10 {
		t.Errorf("only %d crashes", crashes)
	}
}
