package cabinet

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/frontend/design"
	"github.com/tranzit/tranzit/switch/people"
)

// upload sends files as a browser does.
func (c *client) upload(path, note string, files design.Files) page {
	c.r.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, text := range map[string]string{"csrf": c.csrf, "note": note} {
		c.r.must(form.WriteField(name, text))
	}
	for name, content := range files {
		w, err := form.CreateFormFile("files", name)
		c.r.must(err)
		_, err = w.Write(content)
		c.r.must(err)
	}
	c.r.must(form.Close())
	request, err := http.NewRequest("POST", c.r.url+path, &body)
	c.r.must(err)
	request.Header.Set("Content-Type", form.FormDataContentType())
	answer, err := c.http.Do(request)
	c.r.must(err)
	defer answer.Body.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(answer.Body)
	c.r.must(err)
	return page{answer.StatusCode, answer.Header, text.String()}
}

// TestPageByTheShop: a developer uploads a template, is told its mistakes, publishes it
// in test mode, and the owner in live mode; a click takes it back. All is written down.
func TestPageByTheShop(t *testing.T) {
	r := newRig(t)
	developer, _ := r.member("dev@shop.example", people.Grant{Merchant: shopHats, Role: people.RoleDeveloper})
	owner, _ := r.member("owner@shop.example", people.Grant{Merchant: shopHats, Live: true, Role: people.RoleOwner})
	c, o := r.enter(developer), r.enter(owner)
	const at, live = hatsTest + "/page", "/m/mer_hats/live/page"
	good := design.Files{design.PageFile: []byte("<header><p>Hats</p></header><tranzit-payment></tranzit-payment>")}
	c.get(at).want(t, 200, "The standard page", "No version yet")
	c.upload(at, "try", design.Files{design.PageFile: []byte("<header>\n<script></script></header>")}).want(t, 422, "page.html:2:1", "<script> is not allowed", `value="try"`)
	c.upload(at, "", nil).want(t, 422, "page.html")
	c.upload(at, "", design.Files{"a.zip": []byte("PK none")}).want(t, 422, "The archive cannot be read")
	c.upload(at, "", design.Files{design.PageFile: bytes.Repeat([]byte{'x'}, maxTemplate)}).want(t, 422, "not right")
	archive, err := good.WriteZip()
	r.must(err)
	c.upload(at, "autumn", design.Files{"Hats.ZIP": archive}).want(t, 303)
	shown := c.get(at).want(t, 200, "autumn", developer.Email, "/pay/preview.")
	if strings.Contains(shown.body, "page/rollback") {
		t.Error("what never changed can be taken back")
	}
	o.get(live).want(t, 200, "publish it in test mode first")
	o.post(live+"/publish", url.Values{"version": {"1"}}).want(t, 409, "never shown in test mode")
	c.post(at+"/publish", url.Values{"version": {"1"}}).want(t, 303)
	c.get(at+"?done=page_published").want(t, 200, "Buyers of this mode see it now", "Version 1")
	o.post(live+"/publish", url.Values{"version": {"1"}}).want(t, 303)
	account := r.account(shopHats)
	account.Live = true
	if r.sw.ShownPage(account) != 1 {
		t.Error("it is not shown in live mode")
	}
	o.post(live+"/rollback", nil).want(t, 303)
	if r.sw.ShownPage(account) != 0 || r.sw.ShownPage(r.account(shopHats)) != 1 {
		t.Error("what is shown after it was taken back in live mode")
	}
	c.post(at+"/publish", url.Values{"version": {"7"}}).want(t, 404)
	if got := c.get(at+"/1").want(t, 200); got.header.Get("Content-Type") != "application/zip" {
		t.Errorf("the archive: %v", got.header)
	} else if files, err := design.ReadZip([]byte(got.body)); err != nil || files.Digest() != good.Digest() {
		t.Errorf("the archive holds other files: %v", err)
	}
	acts, err := r.people.Acts(people.ActQuery{Merchant: shopHats, Limit: 10, Text: "page_"})
	r.must(err)
	if len(acts.Acts) != 5 || acts.Acts[0].What != "page_published" || acts.Acts[0].Outcome == "" {
		t.Errorf("acts of test mode: %+v", acts.Acts)
	}
}
