package cabinet

import (
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// joinedShop is a shop that applied and confirmed its address.
func joinedShop(t *testing.T, r *rig, office *joining.Office) string {
	t.Helper()
	fresh, err := office.Apply(joining.Form{Company: "Hats Ltd", Registration: "1027700132195", Country: "643", City: "MOSCOW", StatementName: "HATS",
		Site: "https://hats.example", ContactName: "A Person", Email: "pay@hats.example", Phone: "+74951234567", MCC: "5411", MonthlyVolume: 1_000_000,
		Currency: "RUB", Language: "en", TimeZone: "Europe/Moscow", Integration: "page"})
	r.must(err)
	letters, _, err := r.sw.Letters().Due(time.Now().Add(time.Hour), 10, nil)
	r.must(err)
	var data joining.LetterData
	for _, y := range letters {
		if y.Template == joining.LetterConfirm {
			r.must(json.Unmarshal(y.Data, &data))
		}
	}
	done, err := office.Do(fresh.Application.ID, joining.Actor{Kind: joining.Applicant}, "", &joining.Wish{Type: joining.ActConfirm, Code: data.Code})
	r.must(err)
	return done.Application.Merchant
}

func TestJoiningIsShown(t *testing.T) {
	r := newRig(t)
	office, err := joining.New(joining.Options{Switch: r.sw, Store: r.store, Logger: slog.New(slog.DiscardHandler), TestBanks: []string{"alfa"}, TestFor: 24 * time.Hour})
	r.must(err)
	r.server.o.Joining = office
	merchant := joinedShop(t, r, office)
	joiner, _ := r.member("pay@hats.example", people.Grant{Merchant: merchant, Role: people.RoleOwner})
	old, _ := r.member("owner@shop.example", ownerOf(shopHats))
	c, other := r.enter(joiner), r.enter(old)
	at := basePath(merchant, false)
	c.get(at+"/payments").want(t, 200, at+"/joining")
	c.get(at+"/joining").want(t, 200, "Test mode", "Choose banks", "Test mode is open until")
	c.post(at+"/joining", url.Values{"type": {"check"}, "check": {"refund"}}).want(t, 303)
	c.post(at+"/joining", url.Values{"type": {"accept_contract"}, "bank": {"alfa"}, "signer": {"A Person"}}).want(t, 422)
	c.post(at+"/joining", url.Values{"type": {"reject"}}).want(t, 422)
	if page := other.get(hatsTest + "/payments"); strings.Contains(page.body, "/joining") {
		t.Error("a shop of the configuration is told to join")
	}
	other.get(hatsTest+"/joining").want(t, 404)
}

// TestJoiningAtBanks shows the later stages as the page tells them.
func TestJoiningAtBanks(t *testing.T) {
	r := newRig(t)
	signed := "2026-11-27T10:00:00.000Z"
	view := joining.View{ID: "app_1", Stage: joining.StageJoining, Missing: []joining.Need{{What: "item", Bank: "alfa", Item: "charter", Owner: "merchant", Due: "2026-12-01", Overdue: true}},
		Banks: []joining.BankView{
			{Bank: "alfa", Name: "Alfa", Stage: joining.TrackRequirements, Items: []joining.ItemView{{ID: "charter", Text: "The charter", Status: joining.ItemReturned, Note: "Page 2 is missing"}}},
			{Bank: "vega", Stage: joining.TrackContract}, {Bank: "mira", Stage: joining.TrackLive, Contract: joining.ContractView{Number: "17", SignedAt: &signed}, LiveAt: &signed},
		}, Checks: []joining.CheckView{{Check: joining.CheckWebhook, Passed: true}, {Check: joining.CheckRefund, Detail: "No refund was made."}}}
	u, _ := r.member("owner@shop.example", ownerOf(shopHats))
	for _, lang := range languages {
		v := &visit{s: r.server, lang: lang, r: httptest.NewRequest("GET", hatsTest+"/joining", nil), account: r.account(shopHats), word: "w", session: people.Session{User: u}, rights: people.RoleOwner.Rights()}
		var out strings.Builder
		page := joiningPage{View: view, Steps: joiningSteps, Reached: 2, Acts: true}
		r.must(pages[lang]["joining"].Execute(&out, v.frame("joining", page)))
		for _, text := range []string{"The charter", "Page 2 is missing", `name="signer"`, "No refund was made.", "17 · 2026-11-27 10:00 UTC"} {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s: the page does not hold %q", lang, text)
			}
		}
	}
}
