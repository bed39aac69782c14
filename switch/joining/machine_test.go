package joining

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	payswitch "github.com/tranzit/tranzit/switch"
)

var (
	start = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	shop  = Actor{Kind: Applicant}
	anna  = Actor{Kind: Operator, Name: "anna"}
	boris = Actor{Kind: Operator, Name: "boris"}
	clock = Actor{Kind: Machine}
)

func goodForm() Form {
	return Form{Company: "ООО Ромашка", Registration: "1027700132195", Country: "643", City: "MOSCOW", StatementName: "ROMASHKA", Site: "https://shop.example",
		ContactName: "Ирина Петрова", Email: "pay@shop.example", Phone: "+74951234567", MCC: "5411", MonthlyVolume: 100_000_00, Currency: "RUB",
		Language: "ru", TimeZone: "Europe/Moscow", Integration: "page"}
}

// said is an act by its type with all that such an act needs, for the bank alfa.
func said(kind ActType, by Actor) Act {
	form := goodForm()
	act := Act{Type: kind, By: by}
	if by.Kind == Operator {
		act.Reason = "as asked"
	}
	terms := plainTerms("alfa")
	switch kind {
	case ActApply:
		act.Form = &form
	case ActConfirm:
		act.Merchant, act.Until = "mer_1", start.Add(24*time.Hour)
	case ActExtend:
		act.Until = start.Add(80 * 24 * time.Hour)
	case ActChoose:
		act.Terms, act.Dues = []Terms{terms}, []time.Time{start, start, start}
	case ActUpload:
		act.Item, act.Document = "registration", &Document{Name: "extract.pdf"}
	case ActAnswer:
		act.Item, act.Text = "account", "40702810000000000001"
	case ActAcceptContract:
		act.Signer = "I. Petrova"
	case ActCountersign:
		act.Contract = "17/2026"
	case ActProvision:
		act.MerchantID, act.Terminals = "SHOP00000000001", []string{"TERM0001"}
	case ActTestConnection:
		act.OK = true
	case ActCheck:
		act.Check, act.OK = CheckWebhook, true
	case ActWaiveCheck:
		act.Check = CheckPage
	}
	if len(rules[kind].tracks) > 0 {
		act.Bank = "alfa"
	}
	return act
}

// plainTerms are those of a bank with one item of each kind.
func plainTerms(bank string) Terms {
	return Terms{Bank: bank, Name: map[string]string{"en": bank}, Form: "bilateral", Months: 12, ConnectionDays: 1, Requirements: []Requirement{
		{ID: "registration", Owner: "merchant", Kind: "document", Days: 3, Text: map[string]string{
			"en": "Extract from the register of companies", "ru": "Выписка из реестра юридических лиц", "es": "Extracto del registro mercantil"}},
		{ID: "account", Owner: "merchant", Kind: "field", Days: 3, Text: map[string]string{
			"en": "Bank account for the settlements", "ru": "Банковский счёт для возмещений", "es": "Cuenta bancaria para las liquidaciones"}},
		{ID: "site", Owner: "us", Kind: "check", Days: 5, Text: map[string]string{
			"en": "The site shows the goods, prices, delivery and terms of return", "ru": "На сайте есть товары, цены, доставка и условия возврата",
			"es": "El sitio muestra productos, precios, entrega y devoluciones"}},
	}}
}

func settled(item string) Act {
	act := said(ActItem, anna)
	act.Item, act.Status = item, ItemAccepted
	return act
}

func checked(name string) Act {
	act := said(ActCheck, shop)
	act.Check = name
	return act
}

// road are the acts from the application to live, in order.
func road() []Act {
	return []Act{said(ActApply, shop), said(ActConfirm, shop), said(ActChoose, shop), said(ActUpload, shop), settled("registration"), said(ActAnswer, shop),
		settled("account"), settled("site"), said(ActAcceptContract, shop), said(ActCountersign, anna), said(ActProvision, anna), said(ActTestConnection, anna),
		checked(CheckWebhook), checked(CheckRefund), checked(CheckPage), said(ActRequestLive, anna), said(ActApproveLive, boris)}
}

// after does the first n acts of the road, a second apart.
func after(t *testing.T, n int) *Application {
	t.Helper()
	a := &Application{}
	for i, act := range road()[:n] {
		act.At = start.Add(time.Duration(i) * time.Second)
		next, err := a.with(act)
		if err != nil {
			t.Fatalf("act %d, %s: %v", i+1, act.Type, err)
		}
		a = next
	}
	return a
}

// TestRoad: where an application is after each act, and what is missing then.
func TestRoad(t *testing.T) {
	var got []string
	for n := 1; n <= len(road()); n++ {
		a := after(t, n)
		line := string(road()[n-1].Type) + ": " + string(a.Stage())
		for _, track := range a.Tracks {
			line += " " + string(track.Stage)
		}
		for _, need := range a.Missing(start, Calendar{Zone: time.UTC}) {
			line += " | " + strings.TrimSpace(need.What+" "+need.Item) + " (" + need.Owner + ")"
		}
		got = append(got, line)
	}
	checks := " | check webhook (merchant) | check refund (merchant) | check page (merchant)"
	want := []string{
		"apply: applied | confirm (merchant)",
		"confirm: testing | choose_banks (merchant)",
		"choose_banks: joining requirements | item registration (merchant) | item account (merchant) | item site (us)" + checks,
		"upload: joining requirements | item registration (us) | item account (merchant) | item site (us)" + checks,
		"set_item: joining requirements | item account (merchant) | item site (us)" + checks,
		"answer: joining requirements | item account (us) | item site (us)" + checks,
		"set_item: joining requirements | item site (us)" + checks,
		"set_item: joining contract | accept_contract (merchant)" + checks,
		"accept_contract: joining contract | countersign (us)" + checks,
		"countersign: joining connection | provision (us)" + checks,
		"provision: joining connection | test_connection (us)" + checks,
		"test_connection: joining checks | request_live (us)" + checks,
		"check: joining checks | request_live (us) | check refund (merchant) | check page (merchant)",
		"check: joining checks | request_live (us) | check page (merchant)",
		"check: joining checks | request_live (us)",
		"request_live: joining approval | approve_live (us)",
		"approve_live: live live",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestIllegalActs: each is refused with a reason, and the application stays as it was.
func TestIllegalActs(t *testing.T) {
	edit := func(act Act, change func(*Act)) Act {
		change(&act)
		return act
	}
	tests := []struct {
		name  string
		after int
		act   Act
		want  string
	}{
		{"confirm twice", 2, said(ActConfirm, shop), "the application is testing"},
		{"banks before the address answered", 1, said(ActChoose, shop), "the application is applied"},
		{"operator chooses banks", 2, said(ActChoose, anna), "not for the operator"},
		{"applicant extends test mode", 2, said(ActExtend, shop), "not for the applicant"},
		{"operator without a reason", 2, edit(said(ActExtend, anna), func(a *Act) { a.Reason = " " }), "name and a reason"},
		{"extended too far", 2, edit(said(ActExtend, anna), func(a *Act) { a.Until = start.Add(100 * 24 * time.Hour) }), "at most 90 days"},
		{"test mode ends before its time", 2, said(ActTestEnded, clock), "not over"},
		{"a test key after the day", 2, edit(said(ActNewKey, shop), func(a *Act) { a.At = start.Add(25 * time.Hour) }), "over"},
		{"a live key before live", 16, edit(said(ActNewKey, shop), func(a *Act) { a.Live = true }), "once the shop is live"},
		{"one bank twice", 3, said(ActChoose, shop), "chosen already"},
		{"an unknown bank", 3, edit(said(ActUpload, shop), func(a *Act) { a.Bank = "vega" }), "not about this bank"},
		{"an unknown item", 3, edit(said(ActUpload, shop), func(a *Act) { a.Item = "horoscope" }), "no such item"},
		{"a document for a text", 3, edit(said(ActUpload, shop), func(a *Act) { a.Item = "account" }), "not a document"},
		{"a text for a document", 3, edit(said(ActAnswer, shop), func(a *Act) { a.Item = "registration" }), "asks for no text"},
		{"applicant accepts its own item", 4, edit(settled("registration"), func(a *Act) { a.By = shop }), "not for the applicant"},
		{"nothing to accept", 3, settled("registration"), "nothing to accept"},
		{"nothing to return", 3, edit(settled("registration"), func(a *Act) { a.Status = ItemReturned }), "nothing to return"},
		{"contract before the items", 7, said(ActAcceptContract, shop), "alfa is at requirements"},
		{"countersigned before accepted", 8, said(ActCountersign, anna), "not accepted"},
		{"accepted twice", 9, said(ActAcceptContract, shop), "accepted already"},
		{"ids before the contract", 9, said(ActProvision, anna), "alfa is at contract"},
		{"a terminal of 7 characters", 10, edit(said(ActProvision, anna), func(a *Act) { a.Terminals = []string{"TERM001"} }), "8 characters"},
		{"connection without ids", 10, said(ActTestConnection, anna), "no ids"},
		{"live before the connection", 11, said(ActRequestLive, anna), "alfa is at connection"},
		{"live before the checks", 12, said(ActRequestLive, anna), "check webhook has not passed"},
		{"live with an old check", 15, edit(said(ActRequestLive, anna), func(a *Act) { a.At = start.Add(8 * 24 * time.Hour) }), "older than 7 days"},
		{"applicant asks for live", 15, said(ActRequestLive, shop), "not for the applicant"},
		{"a webhook waived", 12, edit(said(ActWaiveCheck, anna), func(a *Act) { a.Check = CheckWebhook }), "Only page"},
		{"approved without a request", 15, said(ActApproveLive, boris), "alfa is at checks"},
		{"one person alone", 16, said(ActApproveLive, anna), "another person"},
		{"one person in capitals", 16, edit(said(ActApproveLive, anna), func(a *Act) { a.By.Name = " Anna " }), "another person"},
		{"approved when a check grew old", 16, edit(said(ActApproveLive, boris), func(a *Act) { a.At = start.Add(8 * 24 * time.Hour) }), "older than 7 days"},
		{"withdrawn when live", 17, said(ActWithdraw, shop), "the application is live"},
		{"a live bank dropped", 17, said(ActDropBank, shop), "alfa is at live"},
		{"a clock set back", 3, edit(said(ActUpload, shop), func(a *Act) { a.At = start }), "set back"},
		{"no such act", 3, edit(said(ActUpload, shop), func(a *Act) { a.Type = "bribe" }), "no such act"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := after(t, tt.after)
			before := *a
			if tt.act.At.IsZero() {
				tt.act.At = start.Add(time.Minute)
			}
			_, err := a.with(tt.act)
			var refusal *payswitch.Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Detail, tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if !reflect.DeepEqual(before, *a) {
				t.Error("the application changed")
			}
		})
	}
}

// TestOnlySettledItemsCount: what is given, or was sent back, holds the contract up,
// whatever the order; what is waived does not.
func TestOnlySettledItemsCount(t *testing.T) {
	returned, waived := settled("registration"), settled("registration")
	returned.Status, waived.Status = ItemReturned, ItemWaived
	for _, tt := range []struct {
		last Act
		want TrackStage
	}{{said(ActUpload, shop), TrackRequirements}, {returned, TrackRequirements}, {waived, TrackContract}, {settled("registration"), TrackContract}} {
		a := after(t, 3)
		for _, act := range []Act{settled("site"), said(ActAnswer, shop), settled("account"), said(ActUpload, shop), tt.last} {
			act.At = a.UpdatedAt.Add(time.Second)
			next, err := a.with(act)
			if err != nil {
				t.Fatalf("%s: %v", act.Type, err)
			}
			a = next
		}
		if got := a.track("alfa").Stage; got != tt.want {
			t.Errorf("after %s %s: %s, want %s", tt.last.Type, tt.last.Status, got, tt.want)
		}
	}
}

// TestRefusedLiveAndOtherEnds: the ways that do not end in live.
func TestRefusedLiveAndOtherEnds(t *testing.T) {
	do := func(a *Application, act Act) *Application {
		t.Helper()
		act.At = a.UpdatedAt.Add(time.Second)
		next, err := a.with(act)
		if err != nil {
			t.Fatal(act.Type, err)
		}
		return next
	}
	a := do(after(t, 16), said(ActRefuseLive, boris))
	if a.track("alfa").Stage != TrackChecks {
		t.Errorf("refused: %s", a.track("alfa").Stage)
	}
	if a = do(a, said(ActDropBank, shop)); a.Stage() != StageTesting {
		t.Errorf("without a bank: %s", a.Stage())
	}
	if a = do(a, said(ActChoose, shop)); a.track("alfa").Items[0].Status != ItemOpen {
		t.Error("a bank chosen anew goes on with the old list")
	}
	for _, end := range []struct {
		act  Act
		want Stage
	}{{said(ActReject, anna), StageRejected}, {said(ActWithdraw, shop), StageWithdrawn}} {
		closed := do(a, end.act)
		if closed.Stage() != end.want || len(closed.Can(shop))+len(closed.Can(anna)) > 0 {
			t.Errorf("%s: %s, can %v %v", end.act.Type, closed.Stage(), closed.Can(shop), closed.Can(anna))
		}
	}
}

// TestNoShortWay: whatever is tried in whatever order, a bank is live only after
// everything before it happened and two persons agreed; and an application that is
// folded anew from its acts is the same.
func TestNoShortWay(t *testing.T) {
	lives := 0
	rapid.Check(t, func(t *rapid.T) {
		a := &Application{ID: payswitch.ID{1}}
		at := start
		next := 0
		for range rapid.IntRange(1, 60).Draw(t, "acts") {
			at = at.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "seconds")) * time.Second)
			var act Act
			if acts := road(); rapid.IntRange(0, 3).Draw(t, "way") > 0 && next < len(acts) {
				act = acts[next]
			} else {
				act = anyAct(t)
			}
			act.At = at
			before := *a
			b, err := a.with(act)
			if err != nil {
				if !reflect.DeepEqual(before, *a) {
					t.Fatalf("%s was refused and changed the application", act.Type)
				}
				continue
			}
			if next < len(road()) && act.Type == road()[next].Type && act.Item == road()[next].Item && act.Check == road()[next].Check {
				next++
			}
			a = b
		}
		again, err := fold(a.ID, a.Acts)
		if err != nil || a.Version > 0 && !reflect.DeepEqual(a, again) {
			t.Fatalf("folded anew: %v\n%+v\n%+v", err, a, again)
		}
		lives += provedLive(t, a)
	})
	if lives == 0 {
		t.Error("no application became live: the property says nothing")
	}
}

func anyAct(t *rapid.T) Act {
	by := rapid.SampledFrom([]Actor{shop, anna, boris, clock}).Draw(t, "who")
	act := said(rapid.SampledFrom(ActTypes()).Draw(t, "act"), by)
	switch act.Type {
	case ActItem:
		act.Item = rapid.SampledFrom([]string{"registration", "account", "site"}).Draw(t, "item")
		act.Status = rapid.SampledFrom([]string{ItemAccepted, ItemReturned, ItemWaived}).Draw(t, "status")
	case ActCheck:
		act.Check, act.OK = rapid.SampledFrom(Checks).Draw(t, "check"), rapid.Bool().Draw(t, "ok")
	case ActTestConnection:
		act.OK = rapid.Bool().Draw(t, "ok")
	}
	return act
}

// provedLive looks for the proof of each live bank in the acts alone.
func provedLive(t *rapid.T, a *Application) (lives int) {
	for i := range a.Acts {
		if a.Acts[i].Type != ActApproveLive {
			continue
		}
		lives++
		last := map[string]*Act{}
		for j := range a.Acts[:i] {
			act := &a.Acts[j]
			if act.Type == ActDropBank {
				last = map[string]*Act{string(ActConfirm): last[string(ActConfirm)], "check webhook": last["check webhook"], "check refund": last["check refund"], "check page": last["check page"]}
				continue
			}
			key := string(act.Type)
			switch act.Type {
			case ActCheck, ActWaiveCheck:
				key = "check " + act.Check
			case ActItem:
				if key = "item " + act.Item; act.Status == ItemReturned {
					key = "returned"
				}
			}
			last[key] = act
		}
		for _, key := range []string{"confirm", "item registration", "item account", "item site", "accept_contract", "countersign", "provision", "test_connection",
			"check webhook", "check refund", "check page", "request_live"} {
			if last[key] == nil {
				t.Fatalf("live without %s: %+v", key, a.Acts)
			}
		}
		if !last["test_connection"].OK || !last["check webhook"].OK || !last["check refund"].OK || last["request_live"].By == a.Acts[i].By {
			t.Fatalf("live without proof: %+v", a.Acts)
		}
	}
	return lives
}

// TestFormFaults: each member has its own refusal, and all come at once.
func TestFormFaults(t *testing.T) {
	var none Form
	var faults *FormError
	if err := none.Validate(); !errors.As(err, &faults) || len(faults.Faults) != 15 {
		t.Errorf("an empty form: %v", err)
	}
	tests := []struct {
		pointer string
		change  func(*Form)
	}{
		{"/company", func(f *Form) { f.Company = "a\nb" }}, {"/registration_number", func(f *Form) { f.Registration = "№ 1" }},
		{"/country", func(f *Form) { f.Country = "RU" }}, {"/city", func(f *Form) { f.City = "Москва" }},
		{"/statement_name", func(f *Form) { f.StatementName = strings.Repeat("A", 23) }}, {"/site", func(f *Form) { f.Site = "shop.example" }},
		{"/contact_name", func(f *Form) { f.ContactName = " " }}, {"/email", func(f *Form) { f.Email = "Shop <pay@shop.example>" }},
		{"/email", func(f *Form) { f.Email = "a@b.example\r\nBcc: c@d.example" }}, {"/phone", func(f *Form) { f.Phone = "84951234567" }},
		{"/mcc", func(f *Form) { f.MCC = "541" }}, {"/monthly_volume", func(f *Form) { f.MonthlyVolume = -1 }},
		{"/currency", func(f *Form) { f.Currency = "RUR1" }}, {"/language", func(f *Form) { f.Language = "de" }},
		{"/time_zone", func(f *Form) { f.TimeZone = "Moscow" }}, {"/integration", func(f *Form) { f.Integration = "both" }},
	}
	for _, tt := range tests {
		f := goodForm()
		tt.change(&f)
		err := f.Validate()
		if !errors.As(err, &faults) || len(faults.Faults) != 1 || faults.Faults[0].Pointer != tt.pointer {
			t.Errorf("%s: %v", tt.pointer, err)
		}
	}
}
