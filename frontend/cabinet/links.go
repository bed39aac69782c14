package cabinet

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// linksPage lists payment links, and makes one.
type linksPage struct {
	Sessions                                                           []payswitch.Checkout
	Next                                                               string
	Amount, Currency, Order, Description, Email, Phone, Language, Days string
	Receipt                                                            bool
	Key, Problem                                                       string
}

// linkDays is how long a link lives that the form says nothing of.
const linkDays = "7"

func (v *visit) listLinks() error {
	return v.showLinks(http.StatusOK, linksPage{Currency: "RUB", Days: linkDays, Key: newKey()})
}

func (v *visit) showLinks(status int, page linksPage) error {
	cursor, err := v.cursor()
	if err != nil {
		return err
	}
	got, err := v.s.sw.Checkouts(v.account, pageSize, cursor)
	if err != nil {
		return err
	}
	if page.Sessions = got.Sessions; got.More {
		page.Next = got.Next.Text("cur")
	}
	v.render(status, "links", page)
	return nil
}

// wish is the session that the form asks for; problem names the field that cannot be
// read.
func (p *linksPage) wish(now time.Time) (c payswitch.Checkout, problem string) {
	if _, err := iso.ParseCurrency(p.Currency); err != nil {
		return c, "currency"
	}
	amount, ok := minorUnits(p.Amount, p.Currency)
	days, err := strconv.Atoi(p.Days)
	switch {
	case !ok:
		return c, "amount"
	case len(p.Order) == 0 || len(p.Order) > 128 || !printable(p.Order) || people.HoldsCardNumber(p.Order):
		return c, "order"
	case len(p.Description) > 500 || !printable(p.Description) || people.HoldsCardNumber(p.Description):
		return c, "description"
	case p.Email != "" && !joining.IsAddress(p.Email):
		return c, "email"
	case p.Phone != "" && !joining.IsPhone(p.Phone):
		return c, "phone"
	case p.Language != "" && !slices.Contains(languages, p.Language):
		return c, "language"
	case err != nil || days < 1 || days > int(payswitch.MaxCheckoutLife/(24*time.Hour)):
		return c, "days"
	}
	return payswitch.Checkout{Amount: amount, Currency: p.Currency, OrderID: p.Order, Description: p.Description, Email: p.Email, Language: p.Language,
		Receipt: p.Receipt && p.Email != "", ExpiresAt: now.Add(time.Duration(days) * 24 * time.Hour)}, ""
}

// makeLink makes a payment link and, where an address or a number is given, sends it.
func (v *visit) makeLink() error {
	page := linksPage{Amount: v.form("amount"), Currency: strings.ToUpper(strings.TrimSpace(v.form("currency"))), Order: strings.TrimSpace(v.form("order")),
		Description: strings.TrimSpace(v.form("description")), Email: strings.TrimSpace(v.form("email")), Phone: strings.TrimSpace(v.form("phone")),
		Language: v.form("language"), Days: v.form("days"), Receipt: v.form("receipt") == "1", Key: v.form("key")}
	if !goodKey(page.Key) {
		return badForm(nil)
	}
	again := func(text string, status int) error {
		page.Problem, page.Key = text, newKey()
		return v.showLinks(status, page)
	}
	wish, problem := page.wish(time.Now())
	if problem != "" {
		return again(words(v.lang, "problem."+problem), http.StatusUnprocessableEntity)
	}
	r := payswitch.CheckoutRequest{IdempotencyKey: v.actKey(page.Key), Fingerprint: v.s.sw.Fingerprint("POST", v.r.URL.Path, []byte(page.Key)), Wish: wish}
	if page.Email != "" || page.Phone != "" {
		r.Send = &payswitch.CheckoutSend{Email: page.Email, Phone: page.Phone, Page: v.s.o.Page}
	}
	act := people.Act{What: "link", Object: page.Order, Detail: page.Amount + " " + page.Currency, Once: r.IdempotencyKey}
	if err := v.record(&act); err != nil {
		return err
	}
	made, _, err := v.s.sw.CreateCheckout(v.account, &r)
	if err != nil {
		text, status, ok := v.again(err)
		if err := v.refused(&act, err); !ok {
			return err
		}
		return again(text, status)
	}
	return v.done("links/"+made.ID.Text(payswitch.CheckoutPrefix), "link")
}

// linkPage is one payment link.
type linkPage struct {
	Session payswitch.Checkout
	URL     string // empty: it takes no payment any more
	Key     string
	Problem string
	Most    int // letters
}

func (v *visit) showLink() error { return v.showLinkAs(http.StatusOK, "") }

func (v *visit) showLinkAs(status int, problem string) error {
	id, err := v.target(payswitch.CheckoutPrefix)
	if err != nil {
		return err
	}
	c, err := v.s.sw.Checkout(v.account, id)
	if err != nil {
		return err
	}
	page := linkPage{Session: c, Key: newKey(), Problem: problem, Most: payswitch.MaxCheckoutLetters}
	if c.Status == payswitch.CheckoutOpen || c.Status == payswitch.CheckoutProcessing {
		page.URL = v.s.o.Page(id)
	}
	v.render(status, "link", page)
	return nil
}

// onLink does something with the link of the path, and shows on its page why not.
func (v *visit) onLink(act people.Act, do func(id payswitch.ID) error) error {
	id, err := v.target(payswitch.CheckoutPrefix)
	if err != nil {
		return err
	}
	name := id.Text(payswitch.CheckoutPrefix)
	act.Object = name
	if err := v.record(&act); err != nil {
		return err
	}
	if err = do(id); err == nil {
		return v.done("links/"+name, act.What)
	}
	text, status, ok := v.again(err)
	if err := v.refused(&act, err); !ok {
		return err
	}
	return v.showLinkAs(status, text)
}

func (v *visit) sendLink() error {
	r := payswitch.CheckoutSend{Email: strings.TrimSpace(v.form("email")), Phone: strings.TrimSpace(v.form("phone")), Page: v.s.o.Page}
	key := v.form("key")
	switch {
	case !goodKey(key):
		return badForm(nil)
	case r.Email != "" && !joining.IsAddress(r.Email):
		return v.showLinkAs(http.StatusUnprocessableEntity, words(v.lang, "problem.email"))
	case r.Phone != "" && !joining.IsPhone(r.Phone):
		return v.showLinkAs(http.StatusUnprocessableEntity, words(v.lang, "problem.phone"))
	}
	r.IdempotencyKey, r.Fingerprint = v.actKey(key), v.s.sw.Fingerprint("POST", v.r.URL.Path, []byte(key))
	return v.onLink(people.Act{What: "link_sent", Once: r.IdempotencyKey}, func(id payswitch.ID) error {
		_, _, err := v.s.sw.SendCheckout(v.account, id, &r)
		return err
	})
}

func (v *visit) revokeLink() error {
	return v.onLink(people.Act{What: "link_revoked"}, func(id payswitch.ID) error {
		_, err := v.s.sw.ExpireCheckout(v.account, id)
		return err
	})
}

// sendReceipt sends the receipt of a payment once more.
func (v *visit) sendReceipt() error {
	id, err := v.target(payswitch.PaymentPrefix)
	if err != nil {
		return err
	}
	email, key := strings.TrimSpace(v.form("email")), v.form("key")
	switch {
	case !goodKey(key):
		return badForm(nil)
	case email != "" && !joining.IsAddress(email):
		return &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: "/email", Detail: "That is no e-mail address."}
	}
	act := people.Act{What: "receipt", Payment: id, Object: id.Text(payswitch.PaymentPrefix), Once: v.actKey(key)}
	if err := v.record(&act); err != nil {
		return err
	}
	_, _, err = v.s.sw.SendReceipt(v.account, id, &payswitch.ReceiptAgain{IdempotencyKey: act.Once, Email: email,
		Fingerprint: v.s.sw.Fingerprint("POST", v.r.URL.Path, []byte(key))})
	if err != nil {
		return v.refused(&act, err)
	}
	return v.done("payments/"+act.Object, "receipt")
}
