package cabinet

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// open gives the rig an office that takes applications.
func (r *rig) office() *joining.Office {
	r.t.Helper()
	office, err := joining.New(joining.Options{Switch: r.sw, Store: r.store, Logger: slog.New(slog.DiscardHandler), TestBanks: []string{"alfa"},
		Documents: filepath.Join(r.t.TempDir(), "documents"), Cabinet: r.url, Prove: func(*payswitch.Endpoint) (bool, string) { return true, "proven" }})
	r.must(err)
	r.server.o.Joining = office
	return office
}

// lastLetter is what the newest letter of a template was made from.
func (r *rig) lastLetter(template string) (data joining.LetterData) {
	r.t.Helper()
	letters, _, err := r.sw.Letters().Due(time.Now().Add(time.Hour), 1000, nil)
	r.must(err)
	for _, y := range letters {
		if y.Template == template {
			r.must(json.Unmarshal(y.Data, &data))
		}
	}
	return data
}

func goodApplication(email string) url.Values {
	return url.Values{"company": {"Roses Ltd"}, "registration_number": {"1027700132195"}, "country": {"643"}, "city": {"MOSCOW"}, "statement_name": {"ROSES"},
		"site": {"roses.example"}, "contact_name": {"Irina Petrova"}, "email": {email}, "phone": {"+7 495 123-45-67"}, "mcc": {"5411"}, "monthly_volume": {"500 000"},
		"currency": {"rub"}, "language": {"en"}, "time_zone": {"Europe/Moscow"}, "integration": {"server"}}
}

// TestApply: from the form of a stranger to the cabinet of the first owner, without
// script; what is wrong is named all at once.
func TestApply(t *testing.T) {
	r := newRig(t)
	office := r.office()
	c := r.browser()
	c.get("/signin").want(t, 200, `href="/join"`)
	c.get("/join").want(t, 200, "Connect your shop")
	bad := goodApplication("nobody")
	bad.Set("company", "")
	bad.Set("mcc", "54")
	bad.Set("statement_name", "РОЗЫ")
	page := c.post("/join", bad).want(t, 422, "This cannot be left empty.", "Four digits, such as 5411.", "One address, such as pay@shop.example.", "At most 22 Latin characters.", "Irina Petrova")
	if n := strings.Count(page.body, "aria-invalid"); n != 4 {
		t.Errorf("%d fields are marked, want 4", n)
	}
	sent := c.post("/join", goodApplication("pay@roses.example")).want(t, 303)
	at := sent.header.Get("Location")
	letter := r.lastLetter(joining.LetterConfirm)
	if letter.Cabinet != r.url || !strings.HasSuffix(at, letter.Application) {
		t.Fatalf("leads to %s, the letter is of %s at %s", at, letter.Application, letter.Cabinet)
	}
	c.get(at+"?code="+letter.Code).want(t, 200, `value="`+letter.Code+`"`)
	if a, _ := office.List("", payswitch.ID{}, 10); len(a) != 1 || a[0].Stage() != joining.StageApplied {
		t.Fatal("a look at the link of the letter opens something")
	}
	wrong := c.post(at, url.Values{"code": {"00000000"}}).want(t, 422, "This is not the code of the letter.")
	none := c.post(confirmPath+r.sw.NewID().Text(joining.ApplicationPrefix), url.Values{"code": {"00000000"}}).want(t, 422)
	if wrong.body != none.body {
		t.Error("an application that does not exist is told from a wrong code")
	}
	opened := c.post(at, url.Values{"code": {letter.Code}}).want(t, 200, "Test mode is open", "Your test key", "as_")
	_, rest, _ := strings.Cut(opened.body, `id="key">`)
	key, _, _ := strings.Cut(rest, "<")
	if account, ok := r.sw.Authenticate([]byte(key)); !ok || account.Live {
		t.Errorf("the key opens %+v, %t", account, ok)
	}
	// As after a crash before the page came: the button is pressed again, elsewhere.
	again := r.browser().post(at, url.Values{"code": {letter.Code}}).want(t, 200, "The test key was shown before.")
	if strings.Contains(again.body, "as_") {
		t.Error("the application's secret is told to another browser")
	}
	_, rest, _ = strings.Cut(again.body, `href="/join/`)
	word, _, _ := strings.Cut(rest, `"`)
	join := c.get("/join/"+word).want(t, 200, "pay@roses.example", `value="Irina Petrova"`)
	_, rest, _ = strings.Cut(join.body, `id="secret">`)
	secret, _, _ := strings.Cut(rest, "<")
	c.post("/join/"+word, url.Values{"name": {"Irina"}, "password": {goodPassword}, "again": {goodPassword}, "code": {codeOf(t, people.Authenticator{Secret: secret}, time.Now())}}).want(t, 200, "Recovery codes")
	list, _ := office.List("", payswitch.ID{}, 10)
	base := basePath(list[0].Merchant, false)
	c.get(base+"/joining").want(t, 200, "Test mode is open until")
	// The letter is worth nothing once the owner is in.
	if got := r.browser().post(at, url.Values{"code": {letter.Code}}).want(t, 303); got.header.Get("Location") != "/signin?done=joined" {
		t.Errorf("the letter leads to %s", got.header.Get("Location"))
	}
	// And another shop's owner sees nothing of it.
	other, _ := r.member("owner@shop.example", ownerOf(shopHats))
	r.enter(other).get(base+"/joining").want(t, 404)
}

// TestStrangersAreHeldBack: neither applications nor codes are had without end.
func TestStrangersAreHeldBack(t *testing.T) {
	r := newRig(t)
	r.office()
	c := r.browser()
	for _, form := range []struct {
		path string
		said url.Values
	}{{"/join", url.Values{"company": {"x"}}}, {confirmPath + r.sw.NewID().Text(joining.ApplicationPrefix), url.Values{"code": {"00000000"}}}} {
		last := page{}
		for range 12 {
			last = c.post(form.path, form.said)
		}
		if last.want(t, http.StatusTooManyRequests, "Wait"); last.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", form.path)
		}
	}
}

// sendFile posts a form with a document.
func (c *client) sendFile(path string, fields map[string]string, name string, content []byte) page {
	c.r.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for key, value := range fields {
		c.r.must(w.WriteField(key, value))
	}
	f, err := w.CreateFormFile("document", name)
	c.r.must(err)
	_, err = f.Write(content)
	c.r.must(err)
	c.r.must(w.Close())
	request, err := http.NewRequest("POST", c.r.url+path, &body)
	c.r.must(err)
	request.Header.Set("Content-Type", w.FormDataContentType())
	answer, err := c.http.Do(request)
	c.r.must(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	c.r.must(err)
	return page{answer.StatusCode, answer.Header, string(text)}
}
