package joining

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/simnet"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
)

// desk is an office over a real switch inside a synctest bubble: a store on a disk
// in memory, a test bank and a live one.
type desk struct {
	t     *testing.T
	keys  *payswitch.KeyRing
	disk  *storage.Disk
	net   *simnet.Net
	dir   string
	store *storage.Store
	core  *payswitch.Switch
	*Office
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vault.key")
	must(t, payswitch.CreateKeyRing(path))
	keys, err := payswitch.LoadKeyRing(path)
	must(t, err)
	d := &desk{t: t, keys: keys, disk: storage.NewMemDisk(), dir: t.TempDir(), net: simnet.New(simnet.Options{Latency: time.Millisecond, Buffer: 256})}
	for _, id := range []string{"sim", "alfa"} {
		l, err := d.net.Listen(id + ":9101")
		must(t, err)
		sim, err := banksim.New(banksim.Config{Dialect: dialect(t), Listener: l})
		must(t, err)
		must(t, sim.Start())
		t.Cleanup(func() { _ = sim.Close() })
	}
	d.open()
	return d
}

// profile is that of a bank that merchants can join on plainTerms.
func profile(id string) *iso.Profile {
	p := iso.PlainProfile(id)
	p.Joining = &iso.Joining{Contract: iso.Contract{Form: "bilateral", Months: 12}, WorkingDays: 5}
	for _, r := range plainTerms(id).Requirements {
		p.Joining.Requirements = append(p.Joining.Requirements, iso.Requirement{ID: r.ID, Owner: r.Owner, Kind: r.Kind, WorkingDays: r.Days,
			Text: iso.Text{EN: r.Text["en"], RU: r.Text["ru"], ES: r.Text["es"]}})
	}
	return p
}

func dialect(t *testing.T) *iso.Dialect {
	t.Helper()
	d, err := iso.Builtin("ascii87")
	must(t, err)
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (d *desk) open() {
	d.t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	d.store, err = storage.Open(storage.Options{Disk: d.disk, Logger: quiet, DiskCheck: time.Hour})
	must(d.t, err)
	o := payswitch.Options{Store: d.store, Keys: d.keys, Logger: quiet}
	for _, id := range []string{"sim", "alfa"} {
		o.Banks = append(o.Banks, payswitch.BankConfig{Profile: profile(id), Dialect: dialect(d.t), Acquirer: "123456", Live: id == "alfa", Link: acquirers.Config{ID: id,
			Endpoints: []string{id + ":9101"}, LinksPerEndpoint: 1, SignOn: true, Dial: d.net.Dial, Logger: quiet, EchoInterval: 24 * time.Hour}})
	}
	d.core, err = payswitch.New(o)
	must(d.t, err)
	must(d.t, d.core.Start())
	d.Office, err = New(Options{Switch: d.core, Store: d.store, Logger: quiet, Documents: filepath.Join(d.dir, "documents"), OperatorsEmail: "desk@tranzit.example",
		Prove: func(e *payswitch.Endpoint) (bool, string) { return strings.HasSuffix(e.URL, "/good"), "looked at" }})
	must(d.t, err)
	for {
		if ready, parts := d.core.Ready(); ready && parts[1].OK && parts[2].OK {
			return
		}
		time.Sleep(time.Second) // the bubble's time
	}
}

// crash is a power cut and the next life.
func (d *desk) crash() {
	d.t.Helper()
	clone := d.disk.CrashClone(storage.Crash{Unsynced: storage.DropUnsynced})
	d.close()
	d.disk = clone
	d.open()
}

func (d *desk) close() {
	d.core.Close()
	_ = d.store.Close()
}

// letters are those that are owed, as "template to".
func (d *desk) owed() (list []payswitch.Letter) {
	d.t.Helper()
	list, _, err := d.core.Letters().Due(time.Now().Add(time.Second), 1000, nil)
	must(d.t, err)
	return list
}

func (d *desk) lastLetter() (payswitch.Letter, LetterData) {
	d.t.Helper()
	list := d.owed()
	var data LetterData
	must(d.t, json.Unmarshal(list[len(list)-1].Data, &data))
	return list[len(list)-1], data
}

func (d *desk) do(a *Application, by Actor, w Wish) *Application {
	d.t.Helper()
	done, err := d.Do(a.ID, by, "as asked", &w)
	if err != nil {
		d.t.Fatalf("%s: %v", w.Type, err)
	}
	return done.Application
}

// pay makes a payment and says what became of it.
func (d *desk) pay(account payswitch.Account, key string) (payswitch.Payment, error) {
	d.t.Helper()
	r := d.card(key)
	result, err := d.core.Pay(account, &r)
	return result.Payment, err
}

// card is the wish to pay 1000 by a card that the bank approves.
func (d *desk) card(key string) payswitch.PayRequest {
	d.t.Helper()
	pan, err := iso.ParsePAN([]byte("4111111111111111"))
	must(d.t, err)
	currency, err := iso.ParseCurrency("RUB")
	must(d.t, err)
	cvc, err := iso.ParseCVC([]byte("123"))
	must(d.t, err)
	return payswitch.PayRequest{IdempotencyKey: key, Fingerprint: d.core.Fingerprint("POST", "/v1/payments", []byte(key)), Amount: 1000,
		Currency: currency, OrderID: key, PAN: pan, CVC: cvc, Expiry: iso.Expiry{Year: 2030, Month: 12}}
}

// TestFromApplicationToLive: the whole way with a power cut after every step: each
// life begins where the one before was, the keys open what they should, and the
// letters are owed once.
func TestFromApplicationToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		defer func() { d.close() }()
		fresh, err := d.Apply(goodForm())
		must(t, err)
		a := fresh.Application
		step := func() {
			t.Helper()
			kept := a
			d.crash()
			if a, err = d.Of(a.ID, fresh.Secret); err != nil || !reflect.DeepEqual(kept, a) {
				t.Fatalf("the next life has\n%+v\nwant\n%+v\n%v", a, kept, err)
			}
		}
		step()
		letter, data := d.lastLetter()
		if letter.Template != LetterConfirm || letter.To != "pay@shop.example" || letter.Language != "ru" || len(data.Code) != 8 {
			t.Fatalf("letter %+v, %+v", letter, data)
		}
		if _, err := d.Do(a.ID, shop, "", &Wish{Type: ActConfirm, Code: "nonsense"}); err == nil || !strings.Contains(err.Error(), "not the code") {
			t.Errorf("a wrong code: %v", err)
		}
		done, err := d.Do(a.ID, shop, "", &Wish{Type: ActConfirm, Code: data.Code})
		must(t, err)
		a = done.Application
		step()
		account, ok := d.core.Authenticate([]byte(done.Secret))
		if !ok || account.Live || account.Merchant.ID != a.Merchant {
			t.Fatalf("the test key opens %+v, %t", account, ok)
		}
		if _, err := d.core.IssueKey(payswitch.Account{Merchant: account.Merchant, Live: true}, payswitch.Access{Name: "x"}, payswitch.Act{Operator: "x", Reason: "x"}); err == nil {
			t.Error("a live key was issued in test mode")
		}
		p, err := d.pay(account, "first")
		if err != nil || p.Status != payswitch.StatusCaptured || p.Bank != "sim" {
			t.Fatalf("a test payment: %+v, %v", p, err)
		}
		a = d.do(a, shop, Wish{Type: ActChoose, Banks: []string{"alfa"}})
		step()
		d.planIsOwed()
		pdf := []byte("%PDF-1.7 an extract")
		a, err = d.Upload(a.ID, shop, UploadTarget{Bank: "alfa", Item: "registration", Name: "extract.pdf"}, pdf)
		must(t, err)
		step()
		d.keepsDocuments(a, pdf)
		a = d.do(a, anna, Wish{Type: ActItem, Bank: "alfa", Item: "registration", Status: ItemAccepted})
		a = d.do(a, shop, Wish{Type: ActAnswer, Bank: "alfa", Item: "account", Text: "4070281"})
		a = d.do(a, anna, Wish{Type: ActItem, Bank: "alfa", Item: "account", Status: ItemAccepted})
		a = d.do(a, anna, Wish{Type: ActItem, Bank: "alfa", Item: "site", Status: ItemAccepted})
		step()
		a = d.do(a, shop, Wish{Type: ActAcceptContract, Bank: "alfa", Signer: "I. Petrova"})
		a = d.do(a, anna, Wish{Type: ActCountersign, Bank: "alfa", Contract: "17/2026"})
		a = d.do(a, anna, Wish{Type: ActProvision, Bank: "alfa", MerchantID: "SHOP00000000001", Terminals: []string{"TERM0001"}})
		a = d.do(a, anna, Wish{Type: ActTestConnection, Bank: "alfa"})
		if c := a.Tracks[0]; !c.ConnectionOK || c.Stage != TrackChecks {
			t.Fatalf("the connection: %+v", c)
		}
		a = d.checksOf(a, p)
		step()
		a = d.do(a, anna, Wish{Type: ActRequestLive, Bank: "alfa"})
		if _, err := d.Do(a.ID, anna, "me again", &Wish{Type: ActApproveLive, Bank: "alfa"}); err == nil {
			t.Fatal("one person made a shop live")
		}
		step()
		a = d.do(a, boris, Wish{Type: ActApproveLive, Bank: "alfa"})
		step()
		d.isLive(a, done.Secret)
	})
}

func (d *desk) planIsOwed() {
	d.t.Helper()
	if letter, data := d.lastLetter(); letter.Template != LetterPlan || len(data.Plans) != 1 || data.Plans[0].Items[0].Due == "" {
		d.t.Errorf("the plan: %s %+v", letter.Template, data)
	}
}

// keepsDocuments: a document is read back, and an altered file is found.
func (d *desk) keepsDocuments(a *Application, content []byte) {
	d.t.Helper()
	sha := a.Tracks[0].Items[0].Documents[0].SHA256
	if _, got, err := d.Document(a, sha); err != nil || string(got) != string(content) {
		d.t.Errorf("the document: %q, %v", got, err)
	}
	path := filepath.Join(d.dir, "documents", a.Name(), sha)
	must(d.t, os.WriteFile(path, []byte("%PDF-1.7 another"), 0o600))
	if _, _, err := d.Document(a, sha); err == nil {
		d.t.Error("an altered document was given out")
	}
	for name, bad := range map[string][]byte{"virus.exe": []byte("MZ\x90\x00"), "empty.pdf": nil, "../x.pdf": content} {
		if _, err := d.Upload(a.ID, shop, UploadTarget{Bank: "alfa", Item: "registration", Name: name}, bad); err == nil {
			d.t.Errorf("%s was taken", name)
		}
	}
}

// checksOf runs the checks: first what does not pass yet, then what does.
func (d *desk) checksOf(a *Application, p payswitch.Payment) *Application {
	d.t.Helper()
	account, err := d.core.AccountOf(a.Merchant, false)
	must(d.t, err)
	session, _, err := d.core.CreateCheckout(account, &payswitch.CheckoutRequest{IdempotencyKey: "session", Wish: payswitch.Checkout{Amount: 500, Currency: "RUB", OrderID: "page"}})
	must(d.t, err)
	for _, name := range Checks {
		if a = d.do(a, shop, Wish{Type: ActCheck, Check: name}); a.Checks[name].OK {
			d.t.Errorf("%s passed before there was anything to see", name)
		}
	}
	bad, good := "https://shop.example/bad", "https://shop.example/good"
	e, err := d.core.Outbox().MakeEndpoint(account, &payswitch.EndpointWish{URL: &bad})
	must(d.t, err)
	if a = d.do(a, shop, Wish{Type: ActCheck, Check: CheckWebhook}); a.Checks[CheckWebhook].OK {
		d.t.Error("an endpoint that takes everything passed")
	}
	_, err = d.core.Outbox().ChangeEndpoint(account, e.ID, &payswitch.EndpointWish{URL: &good})
	must(d.t, err)
	card := d.card("page")
	paid, err := d.core.PayCheckout(account, session.ID, &payswitch.CheckoutCard{Pay: card})
	if must(d.t, err); paid.Status != payswitch.StatusCaptured {
		d.t.Errorf("paid on the page: %s", paid.Status)
	}
	d.pageOf(a, account)
	_, err = d.core.Operate(account, &payswitch.OperationRequest{Payment: p.ID, Kind: payswitch.KindRefund, IdempotencyKey: "r", Fingerprint: d.core.Fingerprint("POST", "/refunds", nil)})
	must(d.t, err)
	for _, name := range Checks {
		if a = d.do(a, shop, Wish{Type: ActCheck, Check: name}); !a.Checks[name].OK {
			d.t.Errorf("%s: %+v", name, a.Checks[name])
		}
	}
	return a
}

// pageOf runs the check of the page while the shop changes its design: what is shown
// must have been paid on.
func (d *desk) pageOf(a *Application, account payswitch.Account) {
	d.t.Helper()
	act := payswitch.Act{Operator: "shop", Reason: "test"}
	checked := func(want bool, says string) {
		d.t.Helper()
		if got := d.do(a, shop, Wish{Type: ActCheck, Check: CheckPage}).Checks[CheckPage]; got.OK != want || !strings.Contains(got.Detail, says) {
			d.t.Errorf("the check of the page: %+v, want %t, %q", got, want, says)
		}
	}
	publish := func(number uint32) {
		d.t.Helper()
		time.Sleep(time.Second) // of the test's own clock
		_, err := d.core.PublishPage(account, number, act)
		must(d.t, err)
	}
	checked(true, "on the page")
	_, _, err := d.core.AddPageTemplate(account, &payswitch.PageUpload{Body: []byte("{}"), Digest: "x"}, act)
	must(d.t, err)
	checked(false, "none was published")
	publish(0)
	checked(true, "on the page")
	publish(1)
	checked(false, "since version 1 of the page was published")
	session, _, err := d.core.CreateCheckout(account, &payswitch.CheckoutRequest{IdempotencyKey: "own design", Wish: payswitch.Checkout{Amount: 500, Currency: "RUB", OrderID: "own design"}})
	must(d.t, err)
	_, err = d.core.PayCheckout(account, session.ID, &payswitch.CheckoutCard{Pay: d.card("own design")})
	must(d.t, err)
	checked(true, "on version 1 of the page")
}

// isLive: payments go to the live bank under the shop's ids, test mode stays open,
// and the letter and the message to the server are owed.
func (d *desk) isLive(a *Application, testKey string) {
	d.t.Helper()
	done, err := d.Do(a.ID, shop, "", &Wish{Type: ActNewKey, Live: true})
	must(d.t, err)
	account, ok := d.core.Authenticate([]byte(done.Secret))
	if !ok || !account.Live {
		d.t.Fatalf("the live key opens %+v, %t", account, ok)
	}
	p, err := d.pay(account, "live")
	if err != nil || p.Status != payswitch.StatusCaptured || p.Bank != "alfa" || !p.Live {
		d.t.Errorf("a live payment: %+v, %v", p, err)
	}
	time.Sleep(48 * time.Hour)
	d.Sweep()
	if _, ok := d.core.Authenticate([]byte(testKey)); !ok {
		d.t.Error("test mode ended for a shop that is live")
	}
	count := map[string]int{}
	for _, y := range d.owed() {
		count[y.Channel+" "+y.Template]++
	}
	for _, want := range []string{"mail confirm_address", "mail test_open", "mail plan", "mail contract_ready", "mail contract_signed", "mail connected", "mail approval_waits", "mail live", "webhook merchant.live"} {
		if count[want] != 1 {
			d.t.Errorf("%d letters %s, want 1: %v", count[want], want, count)
		}
	}
}

// TestTestModeEnds: after its day the keys open nothing, an operator opens it again,
// and what stays silent is forgotten.
func TestTestModeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		defer func() { d.close() }()
		forgotten, err := d.Apply(goodForm())
		must(t, err)
		fresh, err := d.Apply(goodForm())
		must(t, err)
		_, data := d.lastLetter()
		done, err := d.Do(fresh.Application.ID, shop, "", &Wish{Type: ActConfirm, Code: data.Code})
		must(t, err)
		opens := func() bool {
			_, ok := d.core.Authenticate([]byte(done.Secret))
			return ok
		}
		stage := func(id payswitch.ID) Stage {
			d.Sweep()
			a, err := d.Application(id)
			must(t, err)
			return a.Stage()
		}
		time.Sleep(23 * time.Hour)
		if !opens() {
			t.Error("closed before its day is over")
		}
		time.Sleep(2 * time.Hour)
		if opens() || stage(fresh.Application.ID) != StageTesting {
			t.Error("open after its day")
		}
		if letter, _ := d.lastLetter(); letter.Template != LetterTestEnded {
			t.Errorf("the last letter is %s", letter.Template)
		}
		if _, err := d.Do(fresh.Application.ID, shop, "", &Wish{Type: ActNewKey}); err == nil {
			t.Error("a key was issued after the day")
		}
		d.do(fresh.Application, anna, Wish{Type: ActExtend, Hours: 48})
		if !opens() {
			t.Error("closed although it was extended")
		}
		time.Sleep(72 * time.Hour)
		if opens() || stage(forgotten.Application.ID) != StageExpired || stage(fresh.Application.ID) != StageTesting {
			t.Error("three days later")
		}
		time.Sleep(31 * 24 * time.Hour)
		if stage(fresh.Application.ID) != StageExpired {
			t.Error("a silent application was not forgotten")
		}
		if _, err := d.Do(fresh.Application.ID, anna, "too late", &Wish{Type: ActExtend, Hours: 1}); err == nil {
			t.Error("an expired application goes on")
		}
	})
}

// TestStrangersAreBounded: neither the journal nor a mailbox is filled, and a secret
// opens its own application only.
func TestStrangersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		defer func() { d.close() }()
		var first Fresh
		for i := range maxPerAddress {
			fresh, err := d.Apply(goodForm())
			must(t, err)
			if i == 0 {
				first = fresh
			} else if _, err := d.Of(first.Application.ID, fresh.Secret); err == nil {
				t.Error("another one's secret opens an application")
			}
		}
		if _, err := d.Apply(goodForm()); err == nil || !strings.Contains(err.Error(), "of this address") {
			t.Errorf("one application too many of an address: %v", err)
		}
		for i := range 60 {
			form := goodForm()
			form.Email = string(rune('a'+i%26)) + string(rune('a'+i/26)) + "@shop.example"
			if _, err := d.Apply(form); err != nil && !strings.Contains(err.Error(), "Too many") || err != nil && i < 57 {
				t.Fatalf("application %d: %v", i, err)
			} else if err == nil && i >= 57 {
				t.Errorf("application %d was taken", i)
			}
		}
		for range maxCodeTries {
			_, _ = d.Do(first.Application.ID, shop, "", &Wish{Type: ActConfirm, Code: "1"})
		}
		list := d.owed()
		var data LetterData
		must(t, json.Unmarshal(list[0].Data, &data))
		if _, err := d.Do(first.Application.ID, shop, "", &Wish{Type: ActConfirm, Code: data.Code}); err == nil || !strings.Contains(err.Error(), "tried") {
			t.Errorf("a code was guessed: %v", err)
		}
	})
}
