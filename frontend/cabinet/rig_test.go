package cabinet

import (
	"bytes"
	"context"
	"encoding/base32"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/frontend/guide"
	paypage "github.com/tranzit/tranzit/frontend/page"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/storage"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

const (
	shopHats     = "mer_hats"
	shopSocks    = "mer_socks"
	goodPassword = "a quiet green kettle"
	goodCard     = "4111111111111111"
	badCard      = "4000000000000002"
)

var here = people.Visit{Address: "192.0.2.7", Agent: "test"}

// rig is a real switch with one simulated bank, its people, and the cabinet on
// loopback.
type rig struct {
	t      testing.TB
	sw     *payswitch.Switch
	people *people.People
	disk   *storage.Disk
	store  *storage.Store
	host   *banksim.Bank
	server *Server
	url    string
	log    logBook
	keys   atomic.Int64
}

// logBook keeps what is logged. Goroutine-safe.
type logBook struct {
	mu  sync.Mutex
	out bytes.Buffer
}

// Write appends.
func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

// String is all that was logged.
func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

func shop(id string) payswitch.Merchant {
	return payswitch.Merchant{ID: id, Name: strings.ToUpper(id[4:]), City: "MOSCOW", Country: "643", MCC: "5411",
		Banks: []payswitch.MerchantBank{{Bank: "alfa", MerchantID: "000000000000001", Terminals: []string{"T0000001"}}}}
}

func newRig(t testing.TB) *rig { return newRigWith(t, func(*payswitch.Options) {}) }

// newRigWith is newRig with a switch that was changed.
func newRigWith(t testing.TB, change func(*payswitch.Options)) *rig {
	t.Helper()
	return newRigOn(t, storage.Options{Disk: storage.NewMemDisk()}, change)
}

// newRigOn is newRigWith on a journal of the test's choice.
func newRigOn(t testing.TB, on storage.Options, change func(*payswitch.Options)) *rig {
	t.Helper()
	r := &rig{t: t, disk: on.Disk}
	quiet := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	dialect, err := iso.Builtin("ascii87")
	r.must(err)
	r.host, err = banksim.New(banksim.Config{Dialect: dialect, Logger: slog.New(slog.DiscardHandler)})
	r.must(err)
	r.must(r.host.Start())
	t.Cleanup(func() { _ = r.host.Close() })
	on.Logger = quiet
	r.store, err = storage.Open(on)
	r.must(err)
	t.Cleanup(func() { _ = r.store.Close() })
	path := filepath.Join(t.TempDir(), "keys")
	r.must(payswitch.CreateKeyRing(path))
	ring, err := payswitch.LoadKeyRing(path)
	r.must(err)
	o := payswitch.Options{Store: r.store, Keys: ring, Logger: quiet,
		Banks: []payswitch.BankConfig{{Dialect: dialect, Acquirer: "123456", Link: acquirers.Config{ID: "alfa", Endpoints: []string{r.host.Addr()},
			SignOn: true, Institution: "123456", Logger: quiet, WriteTimeout: 5 * time.Second, ResponseTimeout: 10 * time.Second, ReversalTimeout: 10 * time.Second}}},
		Merchants: []payswitch.Merchant{shop(shopHats), shop(shopSocks)}}
	change(&o)
	r.sw, err = payswitch.New(o)
	r.must(err)
	r.must(r.sw.Start())
	t.Cleanup(r.sw.Close)
	r.await("the bank's line", func() bool { ok, _ := r.sw.Ready(); return ok })
	r.people, err = people.New(people.Options{Store: r.store, Switch: r.sw, Logger: quiet})
	r.must(err)
	r.serve(quiet)
	return r
}

// liveBank is another bank, live, that shops can join.
func liveBank(t testing.TB, like payswitch.BankConfig) payswitch.BankConfig {
	t.Helper()
	like.Link.ID, like.Live, like.Profile = "mira", true, iso.PlainProfile("mira")
	like.Profile.Name = iso.Text{EN: "Mira Bank", RU: "Банк «Мира»", ES: "Banco Mira"}
	like.Profile.Fees = []iso.Fee{{For: "purchase", Percent: "2.1"}}
	like.Profile.Joining = &iso.Joining{WorkingDays: 5, ConnectionDays: 2, Contract: iso.Contract{Form: "bilateral", Months: 12, Text: iso.Text{EN: "Signed on paper.", RU: "На бумаге.", ES: "En papel."}},
		Requirements: []iso.Requirement{{ID: "charter", Owner: "merchant", Kind: "document", WorkingDays: 2, Text: iso.Text{EN: "The charter", RU: "Устав", ES: "Estatutos"}}}}
	return like
}

func (r *rig) serve(log *slog.Logger) {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r.url = "http://localhost:" + port
	pages, err := paypage.New(paypage.Options{Switch: r.sw, Logger: log, URL: "https://pay.example.com"})
	r.must(err)
	r.server, err = New(Options{Switch: r.sw, Store: r.store, People: r.people, Logger: log, URL: r.url, Pages: pages,
		Page:  func(id payswitch.ID) string { return "https://pay.example/pay/" + id.Text(payswitch.CheckoutPrefix) },
		Guide: &guide.Maker{Switch: r.sw, Page: pages, API: "https://api.example.com"}})
	r.must(err)
	server, done := r.server, make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// await waits for a condition, for long on a slow machine.
func (r *rig) await(what string, good func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); !good(); {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s does not come", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (r *rig) account(merchant string) payswitch.Account {
	r.t.Helper()
	a, err := r.sw.AccountOf(merchant, false)
	r.must(err)
	return a
}

// wish is a payment that is asked for over the switch itself.
type wish struct {
	merchant, card, order string
	amount                int64
	hold                  bool
}

func (r *rig) pay(w wish) payswitch.Payment {
	r.t.Helper()
	pan, err := iso.ParsePAN([]byte(w.card))
	r.must(err)
	rub, err := iso.ParseCurrency("RUB")
	r.must(err)
	answer, err := r.sw.Pay(r.account(w.merchant), &payswitch.PayRequest{IdempotencyKey: fmt.Sprint("rig ", r.keys.Add(1)), Amount: w.amount, Currency: rub,
		OrderID: w.order, Initiator: "customer", PAN: pan, Expiry: iso.Expiry{Year: time.Now().Year() + 2, Month: 12}, ManualCapture: w.hold})
	r.must(err)
	return answer.Payment
}

// member makes a user who has joined, with the secret of the authenticator.
func (r *rig) member(email string, grants ...people.Grant) (people.User, people.Authenticator) {
	r.t.Helper()
	u, _, err := r.people.Invite(people.Invitation{Email: email, Grants: grants, By: "operator"})
	r.must(err)
	a, err := r.people.Settle(u.ID, "", goodPassword)
	r.must(err)
	return u, a
}

func ownerOf(merchant string) people.Grant {
	return people.Grant{Merchant: merchant, Role: people.RoleOwner}
}

// codeOf is what an authenticator shows: RFC 6238 by another hand than the cabinet's.
func codeOf(t testing.TB, a people.Authenticator, at time.Time) string {
	t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(a.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return hotp(secret, uint64(at.Unix()/30))
}

// client is a browser without script.
type client struct {
	r    *rig
	http *http.Client
	csrf string
}

func (r *rig) browser() *client {
	jar, _ := cookiejar.New(nil)
	return &client{r: r, http: &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// enter gives a browser in which the user is signed in, by a link.
func (r *rig) enter(u people.User) *client {
	r.t.Helper()
	word, err := r.people.EntryLink(u.ID)
	r.must(err)
	c := r.browser()
	if got := c.post("/enter/"+word, nil); got.status != http.StatusSeeOther {
		r.t.Fatalf("the entry link answers %d", got.status)
	}
	c.learn()
	return c
}

// learn takes the token of forms from the profile.
func (c *client) learn() {
	c.r.t.Helper()
	c.csrf = formValue(c.r.t, c.get("/profile").body, "csrf")
}

type page struct {
	status int
	header http.Header
	body   string
}

func (c *client) get(path string) page { return c.do("GET", path, nil) }

// post sends a form with the session's token.
func (c *client) post(path string, form url.Values) page {
	if form == nil {
		form = url.Values{}
	}
	if c.csrf != "" && !form.Has("csrf") {
		form.Set("csrf", c.csrf)
	}
	return c.do("POST", path, form)
}

func (c *client) do(method, path string, form url.Values, headers ...string) page {
	c.r.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequest(method, c.r.url+path, body)
	c.r.must(err)
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.http.Do(request)
	c.r.must(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	c.r.must(err)
	return page{answer.StatusCode, answer.Header, string(text)}
}

// want fails the test when the answer is another.
func (p page) want(t testing.TB, status int, holds ...string) page {
	t.Helper()
	if p.status != status {
		t.Errorf("status %d, want %d: %.300s", p.status, status, plainText(p.body))
	}
	for _, text := range holds {
		if !strings.Contains(p.body, html.EscapeString(text)) && !strings.Contains(p.body, text) {
			t.Errorf("the page does not hold %q: %.2000s", text, plainText(p.body))
		}
	}
	return p
}

var tags = regexp.MustCompile(`(?s)<[^>]*>|\s+`)

func plainText(body string) string { return tags.ReplaceAllString(body, " ") }

func formValue(t testing.TB, body, name string) string {
	t.Helper()
	found := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no field %s in %.400s", name, plainText(body))
	}
	return html.UnescapeString(found[1])
}
