package frontend

import (
	"bytes"
	"encoding/base64"
	"errors"

	"github.com/valyala/fasthttp"

	"github.com/tranzit/tranzit/frontend/guide"
	"github.com/tranzit/tranzit/switch/joining"

	payswitch "github.com/tranzit/tranzit/switch"
)

const applicationsPath = "/v1/applications/"

// addApplications adds the routes of shops that join. An application has a secret
// of its own, which opens nothing else.
func (r *routes) addApplications(with func(route) *route) {
	r.applications = with(route{name: "/v1/applications", post: (*call).createApplication, public: true})
	r.application = with(route{name: "/v1/applications/{id}", get: (*call).getApplication, target: (*call).targetApplication, public: true})
	r.applicationActs = with(route{name: "/v1/applications/{id}/acts", post: (*call).actOnApplication, target: (*call).targetApplication, public: true})
	r.applicationGuide = with(route{name: "/v1/applications/{id}/guide", get: (*call).getGuide, target: (*call).targetApplication, public: true})
}

var errNoApplication = problem{kind: problemNotFound, detail: "There is no such application, or the secret is another one's."}

// targetApplication reads the application's id of the path, or answers 404.
func (c *call) targetApplication(text []byte) bool {
	id, err := payswitch.ParseID(joining.ApplicationPrefix, string(text))
	if err != nil {
		c.refuse(errNoApplication)
		return false
	}
	c.id = id
	return true
}

// office is what takes applications, or answers 500 when the process has none.
func (c *call) office() *joining.Office {
	office := c.server.o.Joining
	if office == nil {
		c.refuse(problem{kind: problemInternal, detail: "This process takes no applications."})
	}
	return office
}

// mine is the application of the path when its secret was sent, or answers 404: who
// has no secret learns nothing, not even that there is such an application.
func (c *call) mine() (*joining.Office, *joining.Application) {
	office := c.office()
	if office == nil {
		return nil, nil
	}
	secret, ok := applicantSecret(&c.ctx.Request.Header)
	if !ok {
		c.refuse(errNoApplication)
		return office, nil
	}
	a, err := office.Of(c.id, secret)
	if err != nil {
		c.refuse(problemOf(err))
		return office, nil
	}
	return office, a
}

// applicantSecret takes the secret out of an Authorization header.
func applicantSecret(header *fasthttp.RequestHeader) (string, bool) {
	var buf [maxAPIKey + 2]byte
	defer clear(buf[:])
	key, ok := apiKey(header.Peek("Authorization"), buf[:])
	return string(key), ok
}

// maxActBody is the longest act: a document of a MiB in base64.
const maxActBody = 1536 << 10

// longAct lets who has the secret of an application send a document.
func (s *Server) longAct(header *fasthttp.RequestHeader) (config fasthttp.RequestConfig) {
	text, ok := bytes.CutPrefix(header.RequestURI(), []byte(applicationsPath))
	if !ok || s.o.Joining == nil {
		return config
	}
	if text, ok = bytes.CutSuffix(text, []byte("/acts")); !ok {
		return config
	}
	id, err := payswitch.ParseID(joining.ApplicationPrefix, string(text))
	secret, sent := applicantSecret(header)
	if err == nil && sent {
		if _, err = s.o.Joining.Of(id, secret); err == nil {
			config.MaxRequestBodySize, config.ReadTimeout = maxActBody, 6*s.o.ReadTimeout
		}
	}
	return config
}

var applicant = joining.Actor{Kind: joining.Applicant}

// newApplication is an application that was just made: its secret is shown once.
type newApplication struct {
	joining.View
	Secret string `json:"secret"`
}

// createApplication answers POST /v1/applications.
func (c *call) createApplication() {
	office := c.office()
	if office == nil || !c.acceptsBody() || !c.noQuery() {
		return
	}
	form, ok := c.readForm()
	if !ok {
		return
	}
	fresh, err := office.Apply(form)
	var faulty *joining.FormError
	switch {
	case errors.As(err, &faulty):
		var faults []fault
		for _, f := range faulty.Faults {
			faults = append(faults, fault{pointer: f.Pointer, code: f.Code, detail: f.Detail})
		}
		c.refuseFaults(faults)
		return
	case err != nil:
		c.refuse(problemOf(err))
		return
	}
	c.head = append(append(c.head[:0], applicationsPath...), fresh.Application.Name()...)
	c.ctx.Response.Header.SetCanonical(headLocation, c.head)
	c.answerJSON(201, newApplication{office.View(fresh.Application, applicant), fresh.Secret})
}

const maxFormText = 400

func (c *call) readForm() (f joining.Form, ok bool) {
	var d keyReader
	defer d.close()
	texts := map[string]*string{"company": &f.Company, "registration_number": &f.Registration, "country": &f.Country, "city": &f.City,
		"statement_name": &f.StatementName, "site": &f.Site, "contact_name": &f.ContactName, "email": &f.Email, "phone": &f.Phone, "mcc": &f.MCC,
		"currency": &f.Currency, "language": &f.Language, "time_zone": &f.TimeZone, "integration": &f.Integration}
	good := d.read(c.ctx.Request.Body(), func(name string) bool {
		if name == "monthly_volume" {
			f.MonthlyVolume, _ = d.integer("/monthly_volume", 1, 1_000_000_000_000_000)
			return true
		}
		text := texts[name]
		if text != nil {
			*text = d.line("/"+name, maxFormText)
		}
		return text != nil
	})
	if !good {
		c.refuseFaults(d.faults)
	}
	return f, good
}

// getApplication answers GET /v1/applications/{id}.
func (c *call) getApplication() {
	if !c.noQuery() {
		return
	}
	if office, a := c.mine(); a != nil {
		c.answerJSON(200, office.View(a, applicant))
	}
}

// actWish is an act as an applicant asks for it.
type actWish struct {
	joining.Wish
	name    string // of a document
	content []byte
}

// acted is the application after an act, with the secret of a key that was issued.
type acted struct {
	joining.View
	Key *string `json:"api_key"` // shown once; null: none was issued
}

// actOnApplication answers POST /v1/applications/{id}/acts.
func (c *call) actOnApplication() {
	if !c.acceptsBody() || !c.noQuery() {
		return
	}
	office, a := c.mine()
	if a == nil {
		return
	}
	w, ok := c.readAct()
	if !ok {
		return
	}
	done := joining.Done{Application: a}
	var err error
	if w.Type == joining.ActUpload {
		done.Application, err = office.Upload(a.ID, applicant, joining.UploadTarget{Bank: w.Bank, Item: w.Item, Name: w.name}, w.content)
	} else {
		done, err = office.Do(a.ID, applicant, "", &w.Wish)
	}
	if err != nil {
		c.refuse(problemOf(err))
		return
	}
	out := acted{View: office.View(done.Application, applicant)}
	if done.Secret != "" {
		out.Key = &done.Secret
	}
	c.answerJSON(200, out)
}

const (
	maxActText = 2000
	maxBase64  = 1400 << 10
)

func (c *call) readAct() (w actWish, ok bool) {
	var d keyReader
	defer d.close()
	texts := map[string]*string{"code": &w.Code, "bank": &w.Bank, "item": &w.Item, "signer": &w.Signer, "check": &w.Check, "name": &w.name}
	good := d.read(c.ctx.Request.Body(), func(name string) bool {
		switch name {
		case "type":
			w.Type = joining.ActType(d.line("/type", 40))
		case "text":
			at, _ := d.keep("/text", limits{1, maxActText, prose})
			w.Text = string(d.text[at.from:at.to])
		case "livemode":
			w.Live = d.boolean("/livemode")
		case "banks":
			w.Banks = d.lines("/banks", joining.MaxBanks)
		case "content":
			at, _ := d.keep("/content", limits{1, maxBase64, token})
			content, err := base64.StdEncoding.DecodeString(string(d.text[at.from:at.to]))
			if err != nil {
				d.fault("/content", "invalid_format", "Must be the file in base64.")
			}
			w.content = content
		default:
			text := texts[name]
			if text != nil {
				*text = d.line("/"+name, maxFormText)
			}
			return text != nil
		}
		return true
	})
	if good && !joining.IsFor(joining.Applicant, w.Type) {
		good = false
		d.fault("/type", "invalid_value", "This is no act of an applicant; the application says in `can` what may be done now.")
	}
	if !good {
		c.refuseFaults(d.faults)
	}
	return w, good
}

var (
	valueMarkdown = []byte("text/markdown; charset=utf-8")
	valueHTML     = []byte("text/html; charset=utf-8")
)

// getGuide answers GET /v1/applications/{id}/guide.
func (c *call) getGuide() {
	asHTML := false
	good := c.eachParameter(func(name string, value []byte) string {
		switch {
		case name != "format":
			return "unknown_field"
		case string(value) != "html" && string(value) != "markdown":
			return "invalid_value"
		}
		asHTML = string(value) == "html"
		return ""
	})
	if !good {
		return
	}
	office, a := c.mine()
	if a == nil {
		return
	}
	text, err := c.server.guideOf(office, a, asHTML)
	if err != nil {
		c.refuse(problem{kind: problemInternal, detail: "The guide could not be written."})
		return
	}
	c.out = append(c.out[:0], text...)
	media := valueMarkdown
	if asHTML {
		media = valueHTML
		c.ctx.Response.Header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	}
	c.answer(200, media)
}

// guideOf writes the integration guide of an application.
func (s *Server) guideOf(office *joining.Office, a *joining.Application, asHTML bool) (string, error) {
	var test []guide.Bank
	if m, ok := s.sw.KeptMerchant(a.Merchant); ok {
		for _, b := range m.Banks {
			if live, known := s.sw.BankIsLive(b.Bank); known && !live {
				test = append(test, guide.Bank{ID: b.Bank, Name: b.Bank, MerchantID: b.MerchantID, Terminals: b.Terminals})
			}
		}
	}
	view := office.View(a, applicant)
	d := guide.Of(&view, office.API(), test, s.o.TestCards)
	d.PageURL = s.page.Base()
	if account, err := s.sw.AccountOf(a.Merchant, false); err == nil {
		m := guide.Maker{Switch: s.sw, Page: s.page}
		m.Sell(&d, account)
	}
	if asHTML {
		return guide.HTML(&d)
	}
	return guide.Markdown(&d)
}
