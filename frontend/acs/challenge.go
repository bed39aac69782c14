package acs

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"github.com/bojanz/currency"
	"go.yaml.in/yaml/v3"

	payswitch "github.com/tranzit/tranzit/switch"
)

// Path is where the challenges are. One more piece follows.
const Path = "/3ds/"

//go:embed challenge.html challenge.css texts.yaml
var assets embed.FS

var (
	page  = template.Must(template.ParseFS(assets, "challenge.html"))
	style = func() string { text, _ := assets.ReadFile("challenge.css"); return strings.TrimSpace(string(text)) }()

	// texts are the page's own, by language and key.
	texts = func() (all map[string]map[string]string) {
		data, err := assets.ReadFile("texts.yaml")
		if err == nil {
			err = yaml.Unmarshal(data, &all)
		}
		if err != nil {
			panic(fmt.Sprintf("acs: texts: %v", err)) // a fault of the build
		}
		return all
	}()

	// Policy is the content policy of the page: its own style, and a form that leads
	// back to the shop's page.
	Policy = "default-src 'none'; style-src 'sha256-" + func() string {
		sum := sha256.Sum256([]byte(style))
		return base64.StdEncoding.EncodeToString(sum[:])
	}() + "'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

// Request is one of a payer's browser.
type Request struct {
	Post      bool
	Challenge string // the last piece of the path
	Body      []byte
	Language  string // that the browser asks for; where the switch told one, that counts
}

// view is what the page shows. Back is set once the payer has acted.
type view struct {
	Style                  template.CSS
	Language               string
	Amount, Last4, Back    string
	Wrong, Over, Confirmed bool
}

// T is a text in the language of the page.
func (w *view) T(key string) string { return texts[w.Language][key] }

// Asks is the sentence that says what is to be confirmed, with its facts in bold.
func (w *view) Asks() template.HTML {
	bold := func(fact string) string { return "<strong>" + template.HTMLEscapeString(fact) + "</strong>" }
	return template.HTML(strings.NewReplacer("{amount}", bold(w.Amount), "{last4}", bold(w.Last4)).Replace(w.T("paying")))
}

// Answer answers a payer's browser: the form of a challenge, or, once it was sent,
// the way back. It is a whole document with a status.
func (s *Server) Answer(in *Request) (status int, document []byte) {
	s.mu.Lock()
	c, done := s.open[in.Challenge], s.done
	s.mu.Unlock()
	w := view{Style: template.CSS(style), Language: in.Language}
	if c != nil && texts[c.asked.Language] != nil {
		w.Language = c.asked.Language
	}
	if texts[w.Language] == nil {
		w.Language = "en"
	}
	if c == nil || time.Now().After(c.until) {
		w.Over = true
		return render(404, &w)
	}
	w.Amount, w.Last4 = amount(c.asked.Amount, c.asked.Currency, w.Language), c.last4
	if !in.Post {
		return render(200, &w)
	}
	form, err := url.ParseQuery(string(in.Body))
	cancel := form.Get("act") == "cancel"
	if err != nil || !cancel && form.Get("code") != Code {
		w.Wrong = true
		return render(422, &w)
	}
	s.mu.Lock()
	delete(s.open, in.Challenge)
	s.mu.Unlock()
	found := result(payswitch.AuthYes, c.asked.Payment)
	if cancel {
		found = payswitch.Authentication{Status: payswitch.AuthNo}
	}
	// What became of the payment is told where the payer goes back to.
	_, _ = done(c.asked.Payment, found)
	w.Confirmed, w.Back = !cancel, c.asked.ReturnURL
	return render(200, &w)
}

// amount is an amount as people of the language write it.
func amount(minor int64, alpha, language string) string {
	a, err := currency.NewAmountFromInt64(minor, alpha)
	if err != nil {
		return alpha
	}
	return currency.NewFormatter(currency.NewLocale(language)).Format(a)
}

func render(status int, w *view) (int, []byte) {
	var out strings.Builder
	if err := page.Execute(&out, w); err != nil {
		return 500, nil
	}
	return status, []byte(out.String())
}
