package page

import (
	"bytes"
	"errors"
	"html/template"
	"strings"

	"github.com/bojanz/currency"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

var (
	styleText  = mustAsset("page.css")
	scriptText = mustAsset("page.js")
	templates  = template.Must(template.New("").Parse(mustAsset("page.html")))
)

func mustAsset(name string) string {
	data, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic("page: " + err.Error()) // a fault of the build
	}
	return strings.TrimSpace(string(data))
}

// The states of the page, which are the classes of its main part.
const (
	stateForm   = "form"
	stateWait   = "wait"
	stateAction = "action"
	stateDone   = "done"
	stateOver   = "over"
)

// view is what the templates show.
type view struct {
	Language, Title, State, Shop   string
	Test, Waits                    bool
	Style, ShopStyle               template.CSS
	Before, After                  template.HTML // of the shop's template
	Themed                         bool          // there is one
	Preview                        *previewBar
	More                           string // what links to other languages keep of the address
	Script                         template.JS
	Languages                      []languageLink
	Amount, Order, Description     string
	Action, Poll, Next, Back, Time string
	Heading, Text                  string
	Token, Expiry, Focus           string
	Notice                         *notice
	Errors                         map[string]string
	Saved                          []savedCard
	NewCard, CanSave               bool
	ScriptTexts                    map[string]string
	Rows                           []row
}

type (
	notice       struct{ Heading, Text string }
	row          struct{ Name, Value string }
	languageLink struct {
		Code, Name string
		Current    bool
	}
	savedCard struct {
		ID, Label string
		Chosen    bool
	}
)

// T is a text in the language of the page.
func (w *view) T(key string, with ...string) string { return text(w.Language, key, with...) }

// state is what the page shows of the session.
func (v *visit) state() string {
	switch v.session.Status {
	case payswitch.CheckoutOpen:
		return stateForm
	case payswitch.CheckoutProcessing:
		if v.session.Payment.Status == payswitch.StatusRequiresAction {
			return stateAction
		}
		return stateWait
	case payswitch.CheckoutComplete:
		return stateDone
	}
	return stateOver
}

// show answers with the page of the session as it is; f is of the form that was
// sent, if one was.
func (v *visit) show(f form) {
	w := v.common(v.state())
	v.previewing(w)
	w.Shop, w.Test, w.Back = v.account.Merchant.Name, !v.session.Live, v.session.ReturnURL
	w.Amount, w.Order, w.Description = money(v.session.Amount, v.session.Currency, v.language), v.session.OrderID, v.session.Description
	switch w.State {
	case stateForm:
		v.fillForm(w, f)
	case stateAction:
		w.Title, w.Next = w.T("title.action"), v.session.Payment.NextAction.URL
	case stateWait:
		w.Title, w.Waits = w.T("title.wait"), w.Preview == nil
		w.Time = v.session.Payment.CreatedAt.In(v.account.Merchant.TimeZone).Format("15:04:05")
	case stateDone:
		v.fillDone(w)
	default:
		w.Title, w.Heading, w.Text = w.T("title.over"), w.T("over.heading"), w.T("over.text")
		if v.session.Attempts >= payswitch.MaxCheckoutAttempts {
			w.Text = w.T("over.attempts")
		}
		w.Back = firstOf(v.session.FailURL, v.session.ReturnURL)
	}
	if f.status != 0 {
		v.out.Status = f.status
	}
	v.dress(w)
	v.render(w)
}

// common is what every page has.
func (v *visit) common(state string) *view {
	w := &view{Language: v.language, State: state, Style: template.CSS(styleText), Script: template.JS(scriptText), Errors: map[string]string{}}
	for _, l := range languages {
		w.Languages = append(w.Languages, languageLink{l.code, l.name, l.code == v.language})
	}
	if !v.session.ID.IsZero() {
		w.Action = v.here()
		w.Poll = "/pay/" + v.session.ID.Text(payswitch.CheckoutPrefix) + "?poll=1"
	}
	return w
}

func (v *visit) render(w *view) {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, "page", w); err != nil {
		v.o.Logger.Error("the payment page cannot be made", "request_id", v.in.RequestID, "error", err)
		v.out.Status, v.out.Type, v.out.Body = 500, "text/plain; charset=utf-8", []byte("The page cannot be shown. Nothing was paid by it.")
		return
	}
	v.out.Body = out.Bytes()
}

// absent is the page of a session that there is not.
func (v *visit) absent(why error) {
	w := v.common(stateOver)
	w.Title, w.Heading, w.Text = w.T("title.absent"), w.T("absent.heading"), w.T("absent.text")
	v.out.Status = 404
	var refusal *payswitch.Refusal
	if errors.As(why, &refusal) && refusal.Code == payswitch.CodeInternal {
		v.out.Status = 500
	}
	v.render(w)
}

// scriptTexts are those that the script shows itself.
var scriptTexts = []string{"number.required", "number.length", "number.luhn", "expiry.required", "expiry.format", "expiry.past", "cvc.required", "cvc.format"}

// fieldOrder is how the fields stand in the form: the first that is wrong gets the
// focus.
var fieldOrder = []string{"number", "expiry", "cvc"}

func (v *visit) fillForm(w *view, f form) {
	if w.Preview == nil {
		v.knowBrowser()
		w.Token = v.token()
	}
	w.Title, w.Expiry = w.T("title.pay", "shop", w.Shop), f.expiry
	w.Notice = v.noticeOf(w, f)
	for field, key := range f.errors {
		w.Errors[field] = w.T(key)
	}
	for _, field := range fieldOrder {
		if w.Errors[field] != "" && w.Focus == "" {
			w.Focus = field
		}
	}
	w.ScriptTexts = map[string]string{}
	for _, key := range scriptTexts {
		w.ScriptTexts[key] = w.T("error." + key)
	}
	w.NewCard = true
	if v.session.Customer == "" {
		return
	}
	w.CanSave = true
	tokens, err := v.o.Switch.Tokens(v.account, v.session.Customer)
	if err != nil {
		return // a card can be entered all the same
	}
	for _, t := range tokens {
		if t.Expired {
			continue
		}
		id := t.ID.Text(payswitch.TokenPrefix)
		chosen := f.method == id || f.method == "" && len(w.Saved) == 0
		w.Saved = append(w.Saved, savedCard{id, w.T("method.saved", "brand", brandName(w, t.Card.Brand), "last4", t.Card.Last4), chosen})
		w.NewCard = w.NewCard && !chosen
	}
}

// noticeOf is what is said above the form: about the form that was sent, else about
// the last payment.
func (v *visit) noticeOf(w *view, f form) *notice {
	switch {
	case f.notice != "":
		return &notice{w.T("notice." + f.notice), w.T("notice." + f.notice + ".text")}
	case f.errors["method"] != "":
		return &notice{w.T(f.errors["method"]), w.T("errors.one")}
	case len(f.errors) > 0:
		return &notice{w.T("errors.heading"), w.T("errors.one")}
	case v.session.Payment == nil:
		return nil
	}
	switch p := v.session.Payment; p.Status {
	case payswitch.StatusFailed:
		return &notice{w.T("notice.failed"), w.T("notice.failed.text")}
	case payswitch.StatusReversed:
		return &notice{w.T("notice.reversed"), w.T("notice.reversed.text")}
	default:
		said := w.T("notice.declined.text")
		if p.Decline != nil {
			if reason := iso.Declines().Find(p.Decline.Code); reason != nil {
				said = map[string]string{"ru": reason.Buyer.RU, "en": reason.Buyer.EN, "es": reason.Buyer.ES}[v.language]
			}
		}
		return &notice{w.T("notice.declined"), said}
	}
}

func (v *visit) fillDone(w *view) {
	p := v.session.Payment
	w.Title, w.Heading, w.Back = w.T("title.done"), w.T("done.heading"), firstOf(v.session.SuccessURL, v.session.ReturnURL)
	switch p.Status {
	case payswitch.StatusRefunded:
		w.Heading = w.T("done.refunded")
	case payswitch.StatusCanceled, payswitch.StatusExpired:
		w.Heading = w.T("done.canceled")
	}
	paid := p.AmountAuthorized
	w.Rows = []row{{w.T("row.amount"), money(paid, v.session.Currency, v.language)}, {w.T("row.order"), w.Order}, {w.T("row.shop"), w.Shop},
		{w.T("row.card"), w.T("method.saved", "brand", brandName(w, p.Card.Brand), "last4", p.Card.Last4)},
		{w.T("row.time"), p.CreatedAt.In(v.account.Merchant.TimeZone).Format("2006-01-02 15:04 MST")}}
	if p.ApprovalCode != "" {
		w.Rows = append(w.Rows, row{w.T("row.code"), p.ApprovalCode})
	}
	w.Rows = append(w.Rows, row{w.T("row.payment"), p.Name()})
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

var brandNames = map[string]string{"mir": "Mir", "visa": "Visa", "mastercard": "Mastercard", "amex": "American Express", "maestro": "Maestro",
	"jcb": "JCB", "unionpay": "UnionPay", "discover": "Discover"}

func brandName(w *view, brand string) string {
	if name := brandNames[brand]; name != "" {
		return name
	}
	return w.T("brand.unknown")
}

// money is an amount as people of the language write it.
func money(minor int64, alpha, language string) string {
	amount, err := currency.NewAmountFromInt64(minor, alpha)
	if err != nil {
		return alpha
	}
	return currency.NewFormatter(currency.NewLocale(language)).Format(amount)
}
