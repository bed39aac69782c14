package page

import (
	"bytes"
	"crypto/rand"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/bojanz/currency"

	payswitch "github.com/tranzit/tranzit/switch"
)

// Where buttons and the forms of shops lead. One more piece follows: the id of a
// button, or of the key that signed the form.
const BuyPath = "/buy/"

// Bounds of what a press brings.
const (
	maxBuyForm   = 16 << 10
	maxBuyFields = 32
	maxNonce     = 64
)

// buyPage is the document of what is sold before there is a session: that of the
// payment page with another body.
var buyPage = template.Must(template.Must(template.New("").Parse(mustAsset("page.html"))).Parse(mustAsset("buy.html")))

// purchase is one press on its way.
type purchase struct {
	*visit
	id     string
	fields url.Values // of the form that was sent
}

// buyView is what buyPage shows.
type buyView struct {
	view
	Order    *payswitch.Button // to be pressed here; nil: the page says only why not
	Press    string            // the nonce of the form
	Quantity string
	Chosen   string // the amount that was typed
	From, To string // bounds of what may be typed
	Wrong    string // what is wrong with it
	Field    string // of a form that a shop made wrongly
}

// Buy answers who presses a button, or follows its link. Only a form that is sent makes
// a session: who merely looks at an address, as messengers do, leaves nothing. It
// never fails: what cannot be sold is a page that says so.
func (s *Service) Buy(in *Request) *Response {
	p := &purchase{visit: &visit{Service: s, in: in, out: &Response{Status: 200, Type: "text/html; charset=utf-8"}}, id: string(in.Session)}
	var err error
	if p.query, err = url.ParseQuery(in.Query); err != nil {
		p.query = url.Values{}
	}
	p.policy = policy
	p.speak("")
	button, notButton := payswitch.ParseID(payswitch.ButtonPrefix, p.id)
	key, notKey := payswitch.ParseID(payswitch.APIKeyPrefix, p.id)
	switch {
	case in.Post && !p.guardPress():
	case in.Post && !p.readFields():
		p.refuse(http.StatusUnsupportedMediaType, "changed", "")
	case notButton == nil && in.Post:
		p.press(button)
	case notButton == nil:
		p.offer(button, buyView{})
	case notKey == nil && in.Post:
		p.sell(key)
	case notKey == nil:
		p.refuse(http.StatusMethodNotAllowed, "link", "")
	default:
		p.refuse(http.StatusNotFound, "absent", "")
	}
	p.secureHeaders()
	return p.out
}

// speak settles the language: the buyer's choice, else the shop's, else the
// browser's.
func (p *purchase) speak(shop string) {
	p.language = Accepted(p.in.AcceptLanguage)
	if Speaks(shop) {
		p.language = shop
	}
	if wish := p.query.Get("lang"); Speaks(wish) {
		p.language = wish
	}
}

// guardPress holds one address to its presses.
func (p *purchase) guardPress() bool {
	if p.presses.admit(p.in.Caller, p.o.Now()) {
		return true
	}
	p.o.Logger.Warn("an address presses buttons too often", "request_id", p.in.RequestID, "address", p.in.Caller.String())
	p.refuse(http.StatusTooManyRequests, "busy", "")
	return false
}

// readFields reads the form. What a browser does not send is refused whole: fields
// twice, another media type, more than fits.
func (p *purchase) readFields() bool {
	media, _, _ := strings.Cut(p.in.ContentType, ";")
	if len(p.in.Body) == 0 {
		p.fields = url.Values{}
		return true
	}
	if !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") || len(p.in.Body) > maxBuyForm {
		return false
	}
	var err error
	if p.fields, err = url.ParseQuery(string(p.in.Body)); err != nil || len(p.fields) > maxBuyFields {
		return false
	}
	for _, values := range p.fields {
		if len(values) != 1 {
			return false
		}
	}
	return true
}

// offer shows a button by itself: what it sells, and the one button that makes the
// session.
func (p *purchase) offer(id payswitch.ID, w buyView) {
	a, b, err := p.o.Switch.OpenButton(id)
	if p.speak(b.Language); err != nil {
		p.account = a
		p.unsold(err)
		return
	}
	w.view = *p.common(stateForm)
	p.account, p.out.Account = a, a
	w.Shop, w.Test, w.Order, w.Description, w.Back = a.Merchant.Name, !b.Live, &b, b.Description, b.ReturnURL
	w.Title, w.Heading, w.Action = w.T("title.pay", "shop", w.Shop), w.T("buy.heading"), p.here()
	if b.Amount > 0 {
		w.Amount = money(b.Amount, b.Currency, p.language)
	} else {
		w.From, w.To = money(b.MinAmount, b.Currency, p.language), money(b.MaxAmount, b.Currency, p.language)
	}
	if w.Press == "" {
		w.Press = strings.ToLower(rand.Text())
	}
	if w.Quantity == "" {
		w.Quantity = "1"
	}
	p.renderBuy(&w)
}

// here is the path of the button in the language that was asked for.
func (p *purchase) here() string {
	path := BuyPath + p.id
	if wish := p.query.Get("lang"); Speaks(wish) {
		path += "?lang=" + wish
	}
	return path
}

// press makes the session of a button. What the buyer has to say and did not, or said
// wrongly, is asked for.
func (p *purchase) press(id payswitch.ID) {
	a, b, err := p.o.Switch.OpenButton(id)
	if p.speak(b.Language); err != nil {
		p.account = a
		p.unsold(err)
		return
	}
	again := buyView{Press: p.fields.Get("press"), Quantity: strings.TrimSpace(p.fields.Get("quantity")), Chosen: strings.TrimSpace(p.fields.Get("amount"))}
	press := payswitch.Press{Nonce: again.Press}
	for name := range p.fields {
		if name != "press" && name != "quantity" && name != "amount" {
			p.refuse(http.StatusForbidden, "changed", "")
			return
		}
	}
	if press.Nonce == "" || len(press.Nonce) > maxNonce {
		press.Nonce, again.Press = rand.Text(), ""
	}
	asked := func(text string) {
		p.out.Status = http.StatusUnprocessableEntity
		again.Wrong = text
		p.offer(id, again)
	}
	if again.Quantity != "" {
		if press.Quantity, err = strconv.Atoi(again.Quantity); err != nil || press.Quantity < 1 || press.Quantity > b.MaxQuantity {
			asked(text(p.language, "buy.quantity.wrong", "most", strconv.Itoa(b.MaxQuantity)))
			return
		}
	}
	switch {
	case b.Amount > 0 && p.fields.Has("amount"): // the price is not the buyer's to say
		p.refuse(http.StatusForbidden, "changed", "")
		return
	case b.Amount == 0:
		var ok bool
		if press.Amount, ok = MinorUnits(again.Chosen, b.Currency); !ok || press.Amount < b.MinAmount || press.Amount > b.MaxAmount {
			asked(text(p.language, "buy.amount.wrong", "from", money(b.MinAmount, b.Currency, p.language), "to", money(b.MaxAmount, b.Currency, p.language)))
			return
		}
	}
	account, made, err := p.o.Switch.PressButton(id, &press)
	p.lead(account, made, err)
}

// lead sends the buyer to the session's page.
func (p *purchase) lead(a payswitch.Account, made payswitch.Checkout, err error) {
	p.account = a
	if err != nil {
		p.unsold(err)
		return
	}
	p.out.Account = a
	path := "/pay/" + made.ID.Text(payswitch.CheckoutPrefix)
	if wish := p.query.Get("lang"); Speaks(wish) {
		path += "?lang=" + wish
	}
	p.out.Status, p.out.Location, p.out.Type, p.out.Body = http.StatusSeeOther, path, "text/plain; charset=utf-8", nil
}

// unsold tells a buyer why there is no session.
func (p *purchase) unsold(err error) {
	var no *payswitch.Refusal
	if !errors.As(err, &no) {
		p.refuse(http.StatusInternalServerError, "busy", "")
		return
	}
	switch {
	case no.Code == payswitch.CodeNotFound:
		p.refuse(http.StatusNotFound, "absent", "")
	case no.Code == payswitch.CodeOrderPaid:
		p.refuse(http.StatusConflict, "paid", "")
	case no.Code == payswitch.CodeOrderInProgress:
		p.refuse(http.StatusConflict, "progress", "")
	case no.Code == payswitch.CodeInvalidState:
		p.refuse(http.StatusConflict, "over", "")
	case no.Code == payswitch.CodeInvalidRequest:
		p.refuse(http.StatusUnprocessableEntity, "mistake", strings.TrimPrefix(no.Pointer, "/"))
	default:
		p.refuse(http.StatusServiceUnavailable, "busy", "")
	}
}

// refuse is the page of what cannot be sold. Of whoever sent a form that the shop did
// not make it tells nothing but that.
func (p *purchase) refuse(status int, why, field string) {
	w := buyView{view: *p.common(stateOver), Field: field}
	w.Title, w.Heading, w.Text = w.T("title.over"), w.T("buy."+why), w.T("buy."+why+".text")
	if p.account.Merchant != nil {
		w.Shop, w.Test = p.account.Merchant.Name, !p.account.Live
		p.out.Account = p.account
	}
	p.out.Status = status
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		p.out.Headers = append(p.out.Headers, [2]string{"Retry-After", "60"})
	}
	if status == http.StatusMethodNotAllowed {
		p.out.Headers = append(p.out.Headers, [2]string{"Allow", http.MethodPost})
	}
	p.renderBuy(&w)
}

func (p *purchase) renderBuy(w *buyView) {
	w.Script = ""
	if p.account.Merchant != nil {
		p.dress(&w.view)
	}
	var out bytes.Buffer
	if err := buyPage.ExecuteTemplate(&out, "page", w); err != nil {
		p.o.Logger.Error("the page of a button cannot be made", "request_id", p.in.RequestID, "error", err)
		p.out.Status, p.out.Type, p.out.Body = 500, "text/plain; charset=utf-8", []byte("The page cannot be shown. Nothing was paid by it.")
		return
	}
	p.out.Body = out.Bytes()
}

// MinorUnits reads an amount as people type it, in minor units of a currency: more
// than 0, at most twelve digits, with no more decimals than the currency has.
func MinorUnits(text, code string) (int64, bool) {
	text = strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "", ",", ".").Replace(strings.TrimSpace(text))
	amount, err := currency.NewAmount(text, code)
	if err != nil || strings.Trim(text, "0123456789.") != "" || len(text) > 20 {
		return 0, false
	}
	digits, ok := currency.GetDigits(code)
	if _, decimals, _ := strings.Cut(text, "."); !ok || len(decimals) > int(digits) {
		return 0, false
	}
	minor, err := amount.Int64()
	return minor, err == nil && minor > 0 && minor <= payswitch.MaxOrderAmount
}
