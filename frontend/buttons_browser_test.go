package frontend

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/frontend/browser"
	"github.com/tranzit/tranzit/frontend/client"
	payswitch "github.com/tranzit/tranzit/switch"
)

// shopPage serves a page of a shop with a piece of HTML in it, at an address that is
// not the payment page's.
func shopPage(t *testing.T, snippet string) string {
	t.Helper()
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!DOCTYPE html><html lang=\"en\"><head><title>Socks</title><link rel=\"icon\" href=\"data:,\"></head><body><main><h1>Socks</h1>\n%s</main></body></html>", snippet)
	}))
	t.Cleanup(own.Close)
	return own.URL
}

// TestButtonInBrowser pastes buttons into a shop's page, presses them with and without
// JavaScript, and pays.
func TestButtonInBrowser(t *testing.T) {
	t.Parallel()
	s, _ := pageShop(t)
	b := browser.Start(t)
	button := func(body string) (snippet, url string) {
		r := s.want("201", "POST /v1/buttons", body, "Idempotency-Key", body)
		return member[string](t, r.body, "snippet"), member[string](t, r.body, "url")
	}
	pay := func(p *browser.Page, amount string) {
		t.Helper()
		p.Await("main.form #number")
		if got := p.Text(".sum"); !strings.Contains(strings.ReplaceAll(got, "\u00a0", " "), amount) {
			t.Errorf("the page asks for %q, not %s", got, amount)
		}
		enter(p, "4111111111111111")
		p.Follow("button[type=submit]")
		p.Await("main.done")
		calm(t, p)
	}
	snippet, link := button(`{"name":"Socks","amount":129900,"currency":"RUB","order_id":"SOCKS","description":"Woollen socks","max_quantity":5}`)
	p := b.Visit(t, browser.Visitor{NoScript: true})
	p.Open(shopPage(t, snippet))
	p.Fill("input[name=quantity]", "2")
	p.Follow("button")
	pay(p, "2,598.00")

	p = b.Visit(t, browser.Visitor{Language: "ru"})
	p.Open(link)
	p.Accessible()
	p.Shots("buy-ru-offer")
	p.Fill("#quantity", "9")
	p.Follow("button[type=submit]")
	p.Accessible()
	p.Shots("buy-ru-wrong")
	p.Fill("#quantity", "3")
	p.Follow("button[type=submit]")
	pay(p, "3 897,00")

	snippet, link = button(`{"name":"Gift","min_amount":10000,"max_amount":1000000,"currency":"RUB","order_id":"GIFT","language":"es","return_url":"https://shop.example/"}`)
	p = b.Visit(t, browser.Visitor{})
	p.Open(shopPage(t, snippet))
	p.Accessible()
	p.Fill("input[name=amount]", "150,5")
	p.Follow("button")
	pay(p, "150,50")
	p.Open(link)
	p.Accessible()
	p.Shots("buy-es-choose")

	id := link[strings.LastIndex(link, "/")+1:]
	s.want("200", "POST /v1/buttons/"+id+"/disable", "{}")
	p.Open(link)
	p.Accessible()
	p.Shots("buy-es-over")
}

// TestSignedFormInBrowser: the client's form, in a shop's page, is pressed and paid; one
// whose price was changed by hand is not.
func TestSignedFormInBrowser(t *testing.T) {
	t.Parallel()
	s, bench := pageShop(t)
	a, err := bench.sw.AccountOf("mer_socks", false)
	must(t, err)
	key, err := bench.sw.IssueKey(a, payswitch.Access{Name: "forms", Scopes: payswitch.ScopeCheckoutWrite, Signed: true}, testAct)
	must(t, err)
	signer := client.FormSigner{Page: "http://" + s.addr, KeyID: key.ID.Text(payswitch.APIKeyPrefix), Secret: key.Secret}
	fields := terms("A-1")
	fields["description"] = `Носки "зимние" <2 пары>`
	form := signer.Form(fields, "Оплатить")
	b := browser.Start(t)
	p := b.Visit(t, browser.Visitor{NoScript: true, Language: "ru"})
	p.Open(shopPage(t, strings.Replace(form, "129900", "100", 1)))
	p.Follow("button")
	if got := p.Text("main"); !strings.Contains(got, "использовать нельзя") {
		t.Errorf("a form with another price: %q", got)
	}
	p.Shots("buy-ru-changed")
	p.Open(shopPage(t, form))
	p.Follow("button")
	p.Await("main.form #number")
	if got := p.Text(".about"); got != fields["description"] {
		t.Errorf("the page describes %q", got)
	}
	enter(p, "4111111111111111")
	p.Follow("button[type=submit]")
	p.Await("main.done")
	p.Open(shopPage(t, form))
	p.Follow("button")
	p.Await("main.done")
}

// TestDocsSignForms runs the code of the page about buttons, in each language that this
// machine has: all sign the page's example alike, and the client, too.
func TestDocsSignForms(t *testing.T) {
	text := readFile(t, filepath.Join("..", "docs", "buttons.md"))
	example := regexp.MustCompile("(?s)```text\n(.*?)```").FindStringSubmatch(text)[1]
	want := regexp.MustCompile("has the signature `([0-9a-f]{64})`").FindStringSubmatch(text)[1]
	fields := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z_]+)=\d+:(.*)$`).FindAllStringSubmatch(example, -1) {
		fields[m[1]] = m[2]
	}
	if got := (&client.FormSigner{Secret: "ss_test_example"}).Sign(fields); len(fields) != 4 || got != want {
		t.Errorf("the client signs %v as %s", fields, got)
	}
	const given = `{"amount": "129900", "currency": "RUB", "order_id": "A-1001", "valid_until": "1795824000"}`
	for _, l := range []struct{ fence, program, call string }{
		{"python", "python3", "print(tranzit_sign(" + given + ", 'ss_test_example'))"},
		{"js", "node", "console.log(tranzitSign(" + given + ", 'ss_test_example'))"},
		{"php", "php", "echo tranzit_sign(json_decode('" + given + "', true), 'ss_test_example');"},
	} {
		code := regexp.MustCompile("(?s)```" + l.fence + "\n(.*?)```").FindStringSubmatch(text)[1]
		if l.fence == "php" {
			code, _, _ = strings.Cut(code, "$fields = [")
		}
		program, err := exec.LookPath(l.program)
		if err != nil {
			t.Logf("there is no %s on this machine", l.program)
			continue
		}
		file := filepath.Join(t.TempDir(), "sign")
		must(t, os.WriteFile(file, []byte(code+"\n"+l.call+"\n"), 0o600))
		got, err := exec.Command(program, file).CombinedOutput()
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s says %q, %v", l.program, got, err)
		}
	}
}
