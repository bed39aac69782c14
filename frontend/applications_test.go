package frontend

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/frontend/guide"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
)

const formBody = `{"company":"Roses Ltd","registration_number":"1027700132195","country":"643","city":"MOSCOW","statement_name":"ROSES","site":"https://shop.example",
"contact_name":"Irina Petrova","email":"pay@shop.example","phone":"+74951234567","mcc":"5411","monthly_volume":10000000,"currency":"RUB","language":"en",
"time_zone":"Europe/Moscow","integration":"server"}`

// counter is where shops apply: a switch with a test bank and a live one, which need
// not be there, and the office before it.
type counter struct {
	*shop
	core *payswitch.Switch
}

func openCounter(t *testing.T) *counter {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vault.key")
	must(t, payswitch.CreateKeyRing(path))
	keys, err := payswitch.LoadKeyRing(path)
	must(t, err)
	store, err := storage.Open(storage.Options{Disk: storage.NewMemDisk(), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	dialect, err := iso.Builtin("ascii87")
	must(t, err)
	joinable, err := iso.ResolveProfile("demo-alfa")
	must(t, err)
	o := payswitch.Options{Store: store, Keys: keys, Logger: slog.New(slog.DiscardHandler)}
	for _, id := range []string{"sim", "alfa"} {
		o.Banks = append(o.Banks, payswitch.BankConfig{Profile: joinable, Dialect: dialect, Acquirer: "123456", Live: id == "alfa", Link: acquirers.Config{ID: id, Endpoints: []string{"127.0.0.1:1"}, Logger: o.Logger}})
	}
	core, err := payswitch.New(o)
	must(t, err)
	t.Cleanup(core.Close)
	office, err := joining.New(joining.Options{Switch: core, Store: store, Logger: o.Logger, Documents: t.TempDir()})
	must(t, err)
	s := openShop(t, func(o *Options) {
		o.Switch, o.Joining, o.TestCards = core, office, []guide.Card{{Number: "4111111111111111", Does: "approves"}}
	})
	return &counter{s, core}
}

// code is the one of the last letter.
func (c *counter) code() string {
	c.t.Helper()
	list, _, err := c.core.Letters().Due(time.Now().Add(time.Minute), 1000, nil)
	must(c.t, err)
	var data joining.LetterData
	must(c.t, json.Unmarshal(list[len(list)-1].Data, &data))
	return data.Code
}

// TestApplicantsWay is what a shop does over the API until it waits for us.
func TestApplicantsWay(t *testing.T) {
	c := openCounter(t)
	fresh := c.want("201", "POST /v1/applications", formBody, "Authorization", "")
	path, mine := "/v1/applications/"+idOf(t, fresh), bearer(member[string](t, fresh.body, "secret"))
	if fresh.header.Get("Location") != path || member[string](t, fresh.body, "stage") != "applied" {
		t.Errorf("%v %s", fresh.header, fresh.body)
	}
	act := func(want, body string) reply {
		t.Helper()
		return c.want(want, "POST "+path+"/acts", body, mine...)
	}
	act("409 invalid_state", `{"type":"choose_banks","banks":["alfa"]}`)
	act("400 invalid_request", `{"type":"confirm","code":"x"}`)
	act("400 invalid_request", `{"type":"approve_live","bank":"alfa"}`)
	act("400 invalid_request", `{"type":"withdraw","why":"typo"}`)
	opened := act("200", `{"type":"confirm","code":"`+c.code()+`"}`)
	if r := c.want("200", "GET /v1/payments", "", bearer(member[string](t, opened.body, "api_key"))...); strings.Contains(r.body, "pay_") {
		t.Errorf("a new shop sees payments: %s", r.body)
	}
	act("400 invalid_request", `{"type":"choose_banks","banks":["sim"]}`)
	act("200", `{"type":"choose_banks","banks":["alfa"]}`)
	file := base64.StdEncoding.EncodeToString([]byte("%PDF-1.7 " + strings.Repeat("x", 900_000)))
	act("200", `{"type":"upload","bank":"alfa","item":"registration","name":"extract.pdf","content":"`+file+`"}`)
	act("400 invalid_request", `{"type":"upload","bank":"alfa","item":"registration","name":"extract.pdf","content":"!"}`)
	act("200", `{"type":"answer","bank":"alfa","item":"settlement-account","text":"4070281"}`)
	c.want("413 body_too_large", "POST "+path+"/acts", `{"type":"upload","content":"`+file+`"}`, bearer("as_another")...)
	seen := c.want("200", "GET "+path, "", mine...)
	var view joining.View
	must(t, json.Unmarshal([]byte(seen.body), &view))
	if view.Stage != joining.StageJoining || len(view.Missing) == 0 || view.Missing[0].Item != "registration" || view.Missing[0].Owner != "us" || len(view.History) != 6 {
		t.Errorf("the application: %+v", view)
	}
	for format, want := range map[string]string{"": "# Integration guide of Roses Ltd", "?format=markdown": "TST000000000001", "?format=html": "<h1>Integration guide of Roses Ltd</h1>"} {
		if r := c.want("200", "GET "+path+"/guide"+format, "", mine...); !strings.Contains(r.body, want) || !strings.Contains(r.body, *view.MerchantID) {
			t.Errorf("guide%s: %s", format, r.body)
		}
	}
}

// TestSecretsOfApplications: whoever has not the secret learns nothing, with an API
// key neither; and an applicant's secret is no API key.
func TestSecretsOfApplications(t *testing.T) {
	c := openCounter(t)
	one := c.want("201", "POST /v1/applications", formBody)
	two := c.want("201", "POST /v1/applications", formBody)
	path := "/v1/applications/" + idOf(t, one)
	for _, with := range []string{"", "Bearer " + member[string](t, two.body, "secret"), "Bearer " + keyTest, "Bearer ", "Basic eA=="} {
		a := c.want("404 not_found", "GET "+path, "", "Authorization", with)
		b := c.want("404 not_found", "GET /v1/applications/"+noApplication, "", "Authorization", with)
		if member[string](t, a.body, "detail") != member[string](t, b.body, "detail") {
			t.Errorf("%q learns something: %s %s", with, a.body, b.body)
		}
	}
	c.want("401 unauthorized", "GET /v1/payments", "", bearer(member[string](t, one.body, "secret"))...)
	if log := c.log.String(); strings.Contains(log, "as_") || strings.Contains(log, "pay@shop.example") {
		t.Error("the log holds a secret or an address")
	}
	c.want("400 invalid_request", "POST /v1/applications", `{"company":"x","phone":"12"}`)
	c.want("201", "POST /v1/applications", formBody)
	c.want("409 invalid_state", "POST /v1/applications", formBody)
}

// walkApplications gives the answers that need applications of their own.
func walkApplications(t *testing.T, given map[string]bool) {
	c := openCounter(t)
	defer c.collect(given)
	for range 3 {
		c.want("201", "POST /v1/applications", formBody)
	}
	c.want("409 invalid_state", "POST /v1/applications", formBody)
	fresh := c.want("201", "POST /v1/applications", strings.Replace(formBody, "pay@", "other@", 1))
	path, mine := "/v1/applications/"+idOf(t, fresh), bearer(member[string](t, fresh.body, "secret"))
	c.want("200", "GET "+path, "", mine...)
	c.want("200", "GET "+path+"/guide?format=html", "", mine...)
	c.want("409 invalid_state", "POST "+path+"/acts", `{"type":"choose_banks","banks":["alfa"]}`, mine...)
	c.want("200", "POST "+path+"/acts", `{"type":"withdraw"}`, mine...)
}
