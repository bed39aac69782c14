package page

import (
	"bytes"
	"errors"
	"html/template"
	"strings"

	payswitch "github.com/tranzit/tranzit/switch"
)

// replacePage is the document in which the holder of a saved card puts another in its
// place: that of the payment page with another body.
var replacePage = template.Must(template.Must(template.New("").Parse(mustAsset("page.html"))).Parse(mustAsset("replace.html")))

// ReplacementURL is where the holder of a saved card enters another.
func (s *Service) ReplacementURL(id payswitch.ID) string {
	return s.base + "/pay/" + id.Text(payswitch.ReplacementPrefix)
}

// replacing is one request about a replacement on its way. The visit's session stands for
// it: its forms are tied to it in the same way.
type replacing struct {
	*visit
	of payswitch.Replacement
}

// replace answers the holder of a saved card.
func (v *visit) replace(id payswitch.ID) {
	p := &replacing{visit: v}
	var err error
	v.account, p.of, err = v.o.Switch.OpenReplacement(id)
	if err == nil && p.of.Language != "" {
		v.language = p.of.Language
	}
	if wish := v.query.Get("lang"); Speaks(wish) {
		v.language = wish
	}
	if err != nil {
		v.absent(err)
		return
	}
	v.out.Account = v.account
	v.session.ID, v.session.Attempts, v.session.Payment = id, p.of.Attempts, p.of.Payment
	switch {
	case v.query.Get("poll") != "":
		v.out.Type, v.out.Body = "text/plain; charset=utf-8", []byte(p.state())
	case v.in.Post:
		p.enter()
	default:
		p.show(form{})
	}
}

func (p *replacing) state() string {
	switch p.of.Status {
	case payswitch.CheckoutOpen:
		return stateForm
	case payswitch.CheckoutProcessing:
		return stateWait
	case payswitch.CheckoutComplete:
		return stateDone
	}
	return stateOver
}

func (p *replacing) path() string {
	path := "/pay/" + p.of.ID.Text(payswitch.ReplacementPrefix)
	if wish := p.query.Get("lang"); Speaks(wish) {
		path += "?lang=" + wish
	}
	return path
}

func (p *replacing) again() {
	p.out.Status, p.out.Location, p.out.Type, p.out.Body = 303, p.path(), "text/plain; charset=utf-8", nil
}

// enter takes the card of a form that was sent.
func (p *replacing) enter() {
	media, _, _ := strings.Cut(p.in.ContentType, ";")
	if !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") || len(p.in.Body) > maxForm {
		p.show(form{status: 415, notice: "stale"})
		return
	}
	if p.of.Status != payswitch.CheckoutOpen {
		p.again()
		return
	}
	sent := readForm(p.in.Body)
	attempt, ok := p.attempt(sent["form"])
	if !ok {
		p.show(form{status: 409, notice: "stale"})
		return
	}
	if !p.guard.admit(p.in.Caller, p.o.Now()) {
		p.out.Headers = append(p.out.Headers, [2]string{"Retry-After", "60"})
		p.show(form{status: 429, notice: "often"})
		return
	}
	card := payswitch.CheckoutCard{Attempt: attempt, RequestID: p.in.RequestID}
	defer func() { card.Pay.PAN.Wipe(); card.Pay.CVC.Wipe() }()
	again := form{status: 422, errors: map[string]string{}, method: "card"}
	p.readCard(sent, &card.Pay, &again)
	if len(again.errors) > 0 {
		p.show(again)
		return
	}
	made, err := p.o.Switch.ReplaceByHolder(p.account, p.of.ID, &card)
	var no *payswitch.Refusal
	switch {
	case err == nil:
		p.out.Payment = &made
		p.again()
	case errors.As(err, &no) && no.Code == payswitch.CodeInvalidState && p.of.Status == payswitch.CheckoutOpen && card.Attempt == p.of.Attempts:
		p.show(form{status: 409, notice: "taken"})
	case no != nil && (no.Code == payswitch.CodeKeyReused || no.Code == payswitch.CodeInvalidState || no.Code == payswitch.CodeOutcomeUncertain || no.Code == payswitch.CodeInternal):
		p.again()
	default:
		p.show(form{status: 503, notice: "busy"})
	}
}

// replaceView is what replacePage shows.
type replaceView struct {
	view
	Old string // the card before, masked
	New string // the one that took its place
}

func (p *replacing) show(f form) {
	w := &replaceView{view: *p.common(p.state())}
	w.Shop, w.Test, w.Back, w.Action = p.account.Merchant.Name, !p.of.Live, p.of.ReturnURL, p.path()
	w.Poll = "/pay/" + p.of.ID.Text(payswitch.ReplacementPrefix) + "?poll=1"
	token, err := p.o.Switch.Token(p.account, p.of.Token)
	name := func(c payswitch.Card) string {
		return w.T("method.saved", "brand", brandName(&w.view, c.Brand), "last4", c.Last4)
	}
	switch {
	case err != nil && w.State == stateForm: // it was deleted
		w.State = stateOver
	case err == nil:
		w.Old, w.New = name(token.Card), name(token.Card)
	}
	w.Title = w.T("replace.heading")
	switch w.State {
	case stateForm:
		p.knowBrowser()
		w.Token, w.Expiry, w.ScriptTexts = p.token(), f.expiry, map[string]string{}
		if f.notice == "" && len(f.errors) == 0 && p.of.Payment != nil && p.of.Payment.Status == payswitch.StatusUnknown {
			f.notice = "unsure"
		}
		if w.Notice = p.noticeOf(&w.view, f); w.Notice != nil && f.notice == "" && len(f.errors) == 0 {
			w.Notice.Heading = w.T("notice.refused") // no payment was made
		}
		for field, key := range f.errors {
			w.Errors[field] = w.T(key)
		}
		for _, field := range fieldOrder {
			if w.Errors[field] != "" && w.Focus == "" {
				w.Focus = field
			}
		}
		for _, key := range scriptTexts {
			w.ScriptTexts[key] = w.T("error." + key)
		}
	case stateWait:
		w.Title, w.Waits = w.T("title.wait"), true
	case stateDone:
		w.Title = w.T("replace.done")
	default:
		w.Title = w.T("title.over")
	}
	if f.status != 0 {
		p.out.Status = f.status
	}
	p.dress(&w.view)
	var out bytes.Buffer
	if err := replacePage.ExecuteTemplate(&out, "page", w); err != nil {
		p.o.Logger.Error("the page of a replacement cannot be made", "request_id", p.in.RequestID, "error", err)
		p.out.Status, p.out.Type, p.out.Body = 500, "text/plain; charset=utf-8", []byte("The page cannot be shown. Nothing was paid by it.")
		return
	}
	p.out.Body = out.Bytes()
}
