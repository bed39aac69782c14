package frontend

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/frontend/design"
	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
)

// templateBody is an upload of a few files.
func templateBody(t *testing.T, note string, files design.Files) string {
	t.Helper()
	texts := map[string]string{}
	for name, body := range files {
		if texts[name] = string(body); !strings.HasSuffix(name, ".html") && !strings.HasSuffix(name, ".css") {
			texts[name] = base64.StdEncoding.EncodeToString(body)
		}
	}
	body, err := json.Marshal(map[string]any{"note": note, "files": texts})
	must(t, err)
	return string(body)
}

// plainTemplate is a small template whose header says a word.
func plainTemplate(word string) design.Files {
	return design.Files{design.PageFile: []byte("<header><p class=\"word\">" + word + " {{order}}</p></header>\n<tranzit-payment></tranzit-payment>\n<footer><p>{{shop}}</p></footer>\n"),
		design.StyleFile: []byte(".word { color: #003300 }\n")}
}

const noTemplate = "4294967295"

// walkTemplates gives what other walks do not.
func walkTemplates(t *testing.T, given map[string]bool) {
	s := openShop(t, nil)
	defer s.collect(given)
	first, second := templateBody(t, "one", plainTemplate("first")), templateBody(t, "two", plainTemplate("second"))
	s.want("200", "GET /v1/page_templates", "")
	s.want("409 invalid_state", "POST /v1/page_templates/rollback", "{}")
	s.want("201", "POST /v1/page_templates", first)
	s.want("200", "POST /v1/page_templates", first)
	s.want("201", "POST /v1/page_templates", second)
	s.want("200", "GET /v1/page_templates/2", "")
	s.want("404 not_found", "GET /v1/page_templates/3", "")
	s.want("200", "POST /v1/page_templates/1/publish", "{}")
	s.want("200", "POST /v1/page_templates/2/publish", "{}")
	s.want("404 not_found", "POST /v1/page_templates/3/publish", "{}")
	r := s.want("200", "POST /v1/page_templates/rollback", "{}")
	if member[float64](t, r.body, "version") != 1 {
		t.Errorf("rolled back to %s", r.body)
	}
	r = s.want("200", "POST /v1/page_templates/lint", templateBody(t, "", design.Files{design.PageFile: []byte("<header>\n  <script>x</script></header>")}))
	if !strings.Contains(r.body, `"line":2,"column":3`) || member[bool](t, r.body, "valid") {
		t.Errorf("lint: %s", r.body)
	}
	r = s.want("400 invalid_request", "POST /v1/page_templates", templateBody(t, "", design.Files{design.PageFile: []byte("<header>\n  <b onclick=x></b></header>")}))
	if !strings.Contains(r.body, "Line 2, column 6: The attribute onclick") || !strings.Contains(r.body, "/files/page.html") {
		t.Errorf("upload: %s", r.body)
	}
	s.want("200", "POST /v1/page_templates/lint", first)
	account, err := s.server.sw.AccountOf("mer_socks", true)
	must(t, err)
	key, err := s.server.sw.IssueKey(account, payswitch.Access{Name: "live"}, payswitch.Act{Operator: "anna", Reason: "a test"})
	must(t, err)
	s.want("201", "POST /v1/page_templates", templateBody(t, "three", plainTemplate("third")))
	s.want("409 invalid_state", "POST /v1/page_templates/3/publish", "{}", "Authorization", "Bearer "+key.Secret)
	s.want("200", "POST /v1/page_templates/1/publish", "{}", "Authorization", "Bearer "+key.Secret)
	s.want("200", "POST /v1/page_templates/0/publish", "{}", "Authorization", "Bearer "+key.Secret)
	s.want("404 not_found", "POST /v1/page_templates/01/publish", "{}")
}

// TestTemplateIsShown: in the mode where it was published, and the payment passes
// within it.
func TestTemplateIsShown(t *testing.T) {
	s, bench := pageShop(t)
	path := strings.TrimPrefix(s.session("T-1", ""), "http://"+s.addr)
	look := func() reply { return (&buyer{s: s}).ask("GET", path, nil) }
	standard := look()
	s.want("201", "POST /v1/page_templates", templateBody(t, "one", plainTemplate("first")))
	if r := look(); strings.Contains(r.body, "first") {
		t.Error("what was uploaded is shown before it is published")
	}
	s.want("200", "POST /v1/page_templates/1/publish", "{}")
	r := look()
	if !strings.Contains(r.body, "first T-1</p>") || !strings.Contains(r.body, ".of-shop.word") || !strings.Contains(r.body, `<div id="tranzit">`) {
		t.Errorf("the page: %.3000s", r.body)
	}
	if policy := r.header.Get("Content-Security-Policy"); strings.Count(policy, "'sha256-") != 3 || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy: %s", policy)
	}
	b := &buyer{s: s}
	form := b.form(path, "4111111111111111")
	s.want("200", "POST /v1/page_templates/rollback", "{}")
	if r := look(); r.header.Get("Content-Security-Policy") != standard.header.Get("Content-Security-Policy") || strings.Contains(r.body, "first") {
		t.Error("after the rollback the page is not the standard one")
	}
	if r := b.ask("POST", path, form); r.status != 303 {
		t.Errorf("a form of one version, sent under another: %d", r.status)
	}
	if r := look(); !strings.Contains(r.body, `class="wide done"`) {
		t.Errorf("not paid: %.300s", r.body)
	}
	live, err := bench.sw.AccountOf("mer_socks", true)
	must(t, err)
	if bench.sw.ShownPage(live) != 0 {
		t.Error("the test key changed live mode")
	}
}

// TestTemplateThatCannotBeShown: buyers see the standard page, and operators are
// told.
func TestTemplateThatCannotBeShown(t *testing.T) {
	s, bench := pageShop(t)
	account, err := bench.sw.AccountOf("mer_socks", false)
	must(t, err)
	act := payswitch.Act{Operator: "anna", Reason: "a test"}
	bad := design.Files{design.PageFile: []byte("<script>alert(1)</script><tranzit-payment></tranzit-payment>")}
	for i, body := range [][]byte{bad.Encode(), []byte("no files")} {
		v, _, err := bench.sw.AddPageTemplate(account, &payswitch.PageUpload{Body: body, Digest: string(rune('a' + i))}, act)
		must(t, err)
		_, err = bench.sw.PublishPage(account, v.Number, act)
		must(t, err)
		path := strings.TrimPrefix(s.session("U-"+string(rune('a'+i)), ""), "http://"+s.addr)
		if r := (&buyer{s: s}).ask("GET", path, nil); r.status != 200 || strings.Contains(r.body, "alert(1)") || !strings.Contains(r.body, `class="wide form"`) {
			t.Errorf("the page: %d %.300s", r.status, r.body)
		}
	}
}

// TestPreview: its address is of one version, sealed, and ends; nothing is paid.
func TestPreview(t *testing.T) {
	s, bench := pageShop(t)
	r := s.want("201", "POST /v1/page_templates", templateBody(t, "one", plainTemplate("first")))
	address := strings.TrimPrefix(member[string](t, r.body, "preview_url"), "http://"+s.addr)
	b := &buyer{s: s}
	for state, want := range map[string]string{"form": `class="wide form"`, "declined": `class="notice"`, "wait": `class="wide wait"`, "action": `class="wide action"`,
		"done": `class="wide done"`, "expired": `class="wide over"`} {
		for _, language := range []string{"en", "ru", "es"} {
			r := b.ask("GET", address+"?state="+state+"&lang="+language, nil)
			if r.status != 200 || !strings.Contains(r.body, want) || !strings.Contains(r.body, "first A-1001") || !strings.Contains(r.body, `class="preview"`) || !strings.Contains(r.body, `<html lang="`+language+`"`) {
				t.Errorf("%s in %s: %d %.2000s", state, language, r.status, r.body)
			}
		}
	}
	if b.cookie != "" {
		t.Error("a preview gives its visitor a cookie")
	}
	form := map[string][]string{"number": {"4111111111111111"}, "cvc": {"123"}}
	if r := b.ask("POST", address, form); r.status != 200 || !strings.Contains(r.body, `class="wide done"`) || strings.Contains(r.body, "4111111111111111") {
		t.Errorf("a form sent to a preview: %d", r.status)
	}
	if r := s.do("GET", "/v1/payments", ""); strings.Contains(r.body, "pay_") {
		t.Errorf("a preview made a payment: %s", r.body)
	}
	word := strings.TrimPrefix(address, "/pay/preview.")
	raw, err := base64.RawURLEncoding.DecodeString(word)
	must(t, err)
	raw[7] ^= 1 // another end
	forged := "/pay/preview." + base64.RawURLEncoding.EncodeToString(raw)
	for after, want := range map[time.Duration]int{page.PreviewLife - time.Second: 200, page.PreviewLife: 404} {
		later, err := page.New(page.Options{Switch: bench.sw, Now: func() time.Time { return testNow.Add(after) }})
		must(t, err)
		if got := later.Answer(&page.Request{Session: []byte("preview." + word)}); got.Status != want {
			t.Errorf("%s later: %d", after, got.Status)
		}
	}
	for _, bad := range []string{forged, address[:len(address)-1], address + "A", address[:len(address)-2] + "zz", "/pay/preview.", "/pay/preview.AAAA"} {
		if r := b.ask("GET", bad, nil); r.status != 404 {
			t.Errorf("%s: %d", bad, r.status)
		}
	}
}
