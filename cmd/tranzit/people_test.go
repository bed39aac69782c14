package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/admin"
	"github.com/tranzit/tranzit/switch/people"
)

// TestPeopleByHand adds a user to a running switch with the commands an operator
// has, joins by the printed link, survives a kill, asks, is answered, and is barred.
func TestPeopleByHand(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	r := newRigWith(t, rigPlan{settings: "cabinet: {listen: \"" + address + "\"}\n"})
	r.start()
	do := func(ok bool, args ...string) string {
		t.Helper()
		out, err := r.command(append(append([]string{"merchant"}, args...), "--admin", r.admin)...)
		if (err == nil) != ok {
			t.Errorf("%v: %v %s", args, err, out)
		}
		return out
	}
	user := func(ok bool, args ...string) string {
		t.Helper()
		return do(ok, append(append([]string{"user"}, args...), "--merchant", "mer_rig")...)
	}
	user(false, "add", "ann@shop.example", "--role", "king", "--reason", "test")
	user(false, "add", "ann@shop.example", "--role", "owner", "--mode", "both")
	var added admin.UserView
	if err := json.Unmarshal([]byte(user(true, "add", "ann@shop.example", "--role", "owner", "--mode", "test", "--reason", "contract 17", "--json")), &added); err != nil || added.Status != "invited" {
		t.Fatalf("%+v, %v", added, err)
	}
	p := newPerson(t)
	secret := regexp.MustCompile(`id="secret">([A-Z2-7]+)<`).FindStringSubmatch(p.get(added.Link))
	if secret == nil {
		t.Fatalf("no key of an authenticator at %s", added.Link)
	}
	code, err := people.Authenticator{Secret: secret[1]}.Code(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p.post(added.Link, url.Values{"name": {"Ann"}, "password": {"a wide quiet river"}, "again": {"a wide quiet river"}, "code": {code}})
	home := "http://" + address + "/m/mer_rig/test/"
	if body := p.get(home + "payments"); !strings.Contains(body, "RIG SHOP") {
		t.Fatalf("the cabinet shows %.300s", body)
	}
	if out := user(true, "list"); !strings.Contains(out, "ann@shop.example") || !strings.Contains(out, "active") || !strings.Contains(out, "test owner") {
		t.Error(out)
	}
	limitRefunds(t, do)
	link := addOperator(t, r)
	r.kill()
	r.start()
	removeOperator(t, r, link)
	csrf := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(p.get(home + "tickets"))
	if csrf == nil {
		t.Fatal("a kill of the switch signs people out")
	}
	p.post(home+"tickets", url.Values{"csrf": csrf[1:], "subject": {"Where is it?"}, "text": {"Two days now."}})
	id := regexp.MustCompile(`tkt_\w+`).FindString(do(true, "ticket", "list"))
	do(false, "ticket", "answer", id)
	do(true, "ticket", "answer", id, "--text", "It is on its way.", "--operator", "desk")
	if out := do(true, "ticket", "show", id); !strings.Contains(out, "It is on its way.") || !strings.Contains(out, "answered") {
		t.Error(out)
	}
	if out := user(true, "acts", "--search", "ticket"); !strings.Contains(out, "ticket_opened") || !strings.Contains(out, "desk") {
		t.Error(out)
	}
	user(true, "disable", "ann@shop.example", "--reason", "left the shop")
	if body := p.get(home + "payments"); strings.Contains(body, "RIG SHOP") {
		t.Error("a barred user sees the cabinet")
	}
	user(true, "enable", "ann@shop.example", "--reason", "came back")
	if out := user(true, "reset", "ann@shop.example", "--reason", "lost the phone"); !strings.Contains(out, "/join/") {
		t.Error(out)
	}
}

// person is a browser without script.
type person struct {
	t    *testing.T
	http *http.Client
}

func newPerson(t *testing.T) *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t, &http.Client{Jar: jar, Timeout: time.Minute}}
}

func (p *person) get(address string) string {
	p.t.Helper()
	answer, err := p.http.Get(address)
	return p.read(answer, err)
}

func (p *person) post(address string, form url.Values) string {
	p.t.Helper()
	answer, err := p.http.PostForm(address, form)
	return p.read(answer, err)
}

func (p *person) read(answer *http.Response, err error) string {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if answer.StatusCode >= 400 {
		p.t.Logf("%s answers %s", answer.Request.URL.Path, answer.Status)
	}
	return string(body)
}

// operatorDo runs a command about operators.
func operatorDo(t *testing.T, r *rig, args ...string) string {
	t.Helper()
	out, err := r.command(append(append([]string{"operator"}, args...), "--admin", r.admin)...)
	if err != nil {
		t.Errorf("%v: %v %s", args, err, out)
	}
	return out
}

// addOperator gives the link of a new operator.
func addOperator(t *testing.T, r *rig) string {
	t.Helper()
	var op admin.UserView
	if err := json.Unmarshal([]byte(operatorDo(t, r, "add", "op@house.example", "--reason", "joins us", "--json")), &op); err != nil || op.Status != "invited" || op.Link == "" {
		t.Fatalf("%+v, %v", op, err)
	}
	operatorDo(t, r, "reset", "op@house.example", "--reason", "the link was lost")
	return op.Link
}

func removeOperator(t *testing.T, r *rig, link string) {
	t.Helper()
	if out := operatorDo(t, r, "list"); !strings.Contains(out, "op@house.example") {
		t.Error(out)
	}
	if body := newPerson(t).get(link); !strings.Contains(body, "op@house.example") {
		t.Errorf("the operator's link shows %.300s", body)
	}
	operatorDo(t, r, "remove", "op@house.example", "--reason", "left us")
	if out := operatorDo(t, r, "list"); strings.Contains(out, "op@house.example") {
		t.Error(out)
	}
}

// limitRefunds sets above what a refund takes two persons.
func limitRefunds(t *testing.T, do func(ok bool, args ...string) string) {
	t.Helper()
	do(false, "refund-limit", "--merchant", "mer_rig", "--currency", "RUB", "--reason", "test")
	if out := do(true, "refund-limit", "--merchant", "mer_rig", "--mode", "test", "--currency", "RUB", "--amount", "60000", "--reason", "agreed"); !strings.Contains(out, "test RUB 60000") {
		t.Error(out)
	}
}
