package page

import (
	"html"
	"strconv"
	"strings"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// ButtonView is a button as people and programs see it.
type ButtonView struct {
	ID             string  `json:"id"`
	Object         string  `json:"object"` // button
	Version        uint32  `json:"version"`
	Status         string  `json:"status"` // active, expired or disabled
	Live           bool    `json:"livemode"`
	Name           string  `json:"name"`
	Amount         *int64  `json:"amount"` // null: the buyer chooses
	MinAmount      *int64  `json:"min_amount"`
	MaxAmount      *int64  `json:"max_amount"`
	MaxQuantity    int     `json:"max_quantity"`
	Currency       string  `json:"currency"`
	OrderID        string  `json:"order_id"`
	Reusable       bool    `json:"reusable"`
	Description    *string `json:"description"`
	CaptureMethod  string  `json:"capture_method"`
	Language       *string `json:"language"`
	SuccessURL     *string `json:"success_url"`
	FailURL        *string `json:"fail_url"`
	ReturnURL      *string `json:"return_url"`
	SessionMinutes int     `json:"session_minutes"`
	ExpiresAt      *string `json:"expires_at"`
	DisabledAt     *string `json:"disabled_at"`
	CreatedAt      *string `json:"created_at"`
	UpdatedAt      *string `json:"updated_at"`
	URL            string  `json:"url"`     // a link to the same
	Snippet        string  `json:"snippet"` // HTML to copy into a page of the shop
}

// Button is a button to show, its snippet in a language; empty: the button's own, else
// English.
func (s *Service) Button(b *payswitch.Button, language string) ButtonView {
	v := ButtonView{ID: b.ID.Text(payswitch.ButtonPrefix), Object: "button", Version: b.Version, Status: b.Status(s.o.Now()), Live: b.Live, Name: b.Name,
		Amount: amountOrNull(b.Amount), MinAmount: amountOrNull(b.MinAmount), MaxAmount: amountOrNull(b.MaxAmount), MaxQuantity: b.MaxQuantity,
		Currency: b.Currency, OrderID: b.OrderID, Reusable: !b.Once, Description: textOrNull(b.Description), CaptureMethod: "automatic",
		Language: textOrNull(b.Language), SuccessURL: textOrNull(b.SuccessURL), FailURL: textOrNull(b.FailURL), ReturnURL: textOrNull(b.ReturnURL),
		SessionMinutes: int(b.PressLife.Minutes()), ExpiresAt: timeOrNull(b.ExpiresAt), DisabledAt: timeOrNull(b.DisabledAt),
		CreatedAt: timeOrNull(b.CreatedAt), UpdatedAt: timeOrNull(b.UpdatedAt), URL: s.ButtonURL(b.ID), Snippet: s.Snippet(b, language)}
	if b.ManualCapture {
		v.CaptureMethod = "manual"
	}
	return v
}

func amountOrNull(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return textOrNull(t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// Base is where buyers reach the page from outside, without a path.
func (s *Service) Base() string { return s.base }

// ButtonURL is where a button leads.
func (s *Service) ButtonURL(id payswitch.ID) string {
	return s.base + BuyPath + id.Text(payswitch.ButtonPrefix)
}

// FormURL is where the forms lead that a key of the API signed.
func (s *Service) FormURL(key payswitch.ID) string {
	return s.base + BuyPath + key.Text(payswitch.APIKeyPrefix)
}

// Snippet is the HTML of a button, for a page of the shop: a plain form, with no
// script, in which nothing can be changed but what its buyer may say.
func (s *Service) Snippet(b *payswitch.Button, language string) string {
	for _, choice := range []string{b.Language, language, languages[0].code} {
		if Speaks(choice) {
			language = choice
			break
		}
	}
	t := func(key string, with ...string) string {
		return strings.NewReplacer("\u00a0", "&nbsp;", "\u202f", "&nbsp;").Replace(html.EscapeString(text(language, key, with...)))
	}
	var out strings.Builder
	out.WriteString(`<form method="post" action="` + html.EscapeString(s.ButtonURL(b.ID)) + `" accept-charset="utf-8">` + "\n")
	label := t("snippet.pay")
	switch {
	case b.Amount == 0:
		out.WriteString("  <label>" + t("buy.amount", "currency", b.Currency) + ` <input name="amount" inputmode="decimal" maxlength="20" required></label>` + "\n")
	case b.MaxQuantity > 1:
		out.WriteString("  <label>" + t("buy.quantity") + ` <input name="quantity" type="number" min="1" max="` + strconv.Itoa(b.MaxQuantity) + `" value="1" required></label>` + "\n")
		label = t("snippet.each", "amount", money(b.Amount, b.Currency, language))
	default:
		label = t("pay", "amount", money(b.Amount, b.Currency, language))
	}
	out.WriteString(`  <button type="submit">` + label + "</button>\n</form>\n")
	return out.String()
}

// CheckButton refuses what the page cannot show or lead to. Errors are refusals that
// name the member.
func CheckButton(b *payswitch.Button, plain bool) error {
	fault := func(pointer, detail string) error {
		return &payswitch.Refusal{Code: payswitch.CodeInvalidRequest, Pointer: pointer, Detail: detail}
	}
	if b.Language != "" && !Speaks(b.Language) {
		return fault("/language", "Must be one of "+LanguageList()+".")
	}
	for _, m := range []struct{ pointer, text string }{{"/success_url", b.SuccessURL}, {"/fail_url", b.FailURL}, {"/return_url", b.ReturnURL}} {
		if m.text == "" {
			continue
		}
		if err := CheckReturn(m.text, plain); err != nil || len(m.text) > payswitch.MaxEndpointURL {
			return fault(m.pointer, "Must be an address of at most 2048 characters that begins with https://.")
		}
	}
	for _, m := range []struct{ pointer, text string }{{"/name", b.Name}, {"/order_id", b.OrderID}, {"/description", b.Description}} {
		if CardNumber(m.text) {
			return fault(m.pointer, "Holds what may be a card number.")
		}
	}
	return nil
}
