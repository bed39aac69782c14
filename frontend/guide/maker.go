package guide

import (
	"encoding/hex"
	"html"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
)

// Maker writes the guides of merchants. Its methods are goroutine-safe.
type Maker struct {
	Switch  *payswitch.Switch
	Joining *joining.Office // nil: nobody joins here
	Page    *page.Service
	API     string // address of the API
	Cards   []Card
}

// formLife is how long the signed form of a guide can be pressed.
const formLife = 24 * time.Hour

// OfMerchant is the guide of a merchant in a language; empty: that of its application.
func (m *Maker) OfMerchant(merchant, language string) (Data, error) {
	account, err := m.Switch.AccountOf(merchant, false)
	if err != nil {
		return Data{}, err
	}
	d := Data{API: m.API, Company: account.Merchant.Name, Merchant: merchant, Cards: m.Cards, Page: true}
	var test []Bank
	for _, b := range account.Merchant.Banks {
		if live, known := m.Switch.BankIsLive(b.Bank); known {
			d.Banks = append(d.Banks, Bank{ID: b.Bank, Name: b.Bank, Live: live, MerchantID: b.MerchantID, Terminals: b.Terminals})
			if !live {
				test = append(test, d.Banks[len(d.Banks)-1])
			}
		}
	}
	if m.Joining != nil {
		if a := m.Joining.OfMerchant(merchant); a != nil {
			view := m.Joining.View(a, joining.Actor{Kind: joining.Applicant})
			d = Of(&view, m.API, test, m.Cards)
		}
	}
	if language != "" {
		d.Language = language
	}
	m.Sell(&d, account)
	return d, nil
}

// Sell adds what the shop sells by: the payment page, its newest button, and a form
// signed with its newest key that may sign one.
func (m *Maker) Sell(d *Data, account payswitch.Account) {
	d.PageURL = m.Page.Base()
	if buttons, err := m.Switch.Buttons(account, 20, payswitch.ID{}); err == nil {
		active := func(b payswitch.Button) bool { return b.Status(time.Now()) == payswitch.ButtonActive }
		if i := slices.IndexFunc(buttons.Buttons, active); i >= 0 {
			d.Snippet = strings.TrimSpace(m.Page.Snippet(&buttons.Buttons[i], d.Language))
		}
	}
	for _, k := range m.Switch.APIKeys(account) {
		signer := payswitch.Account{Merchant: account.Merchant, Key: &k}
		if !k.Signed || k.Live || k.Status(time.Now()) != "active" || !signer.May(payswitch.ScopeCheckoutWrite) || len(k.Addresses)+len(k.Certificates) > 0 {
			continue
		}
		until := time.Now().Add(formLife)
		d.FormKey, d.FormUntil = k.ID.Text(payswitch.APIKeyPrefix), until.UTC().Format("2006-01-02 15:04 UTC")
		d.SignedForm = m.form(signer, map[string]string{"amount": "129900", "currency": "RUB", "order_id": "GUIDE-1", "valid_until": strconv.FormatInt(until.Unix(), 10)})
		return
	}
}

// form is a form of test mode, signed.
func (m *Maker) form(signer payswitch.Account, fields map[string]string) string {
	var out strings.Builder
	out.WriteString(`<form method="post" action="` + html.EscapeString(m.Page.FormURL(signer.Key.ID)) + `" accept-charset="utf-8">` + "\n")
	signature := hex.EncodeToString(m.Switch.SignAnswer(signer, page.SignedText(fields)))
	for _, name := range []string{"amount", "currency", "order_id", "valid_until"} {
		out.WriteString(`  <input type="hidden" name="` + name + `" value="` + html.EscapeString(fields[name]) + `">` + "\n")
	}
	out.WriteString(`  <input type="hidden" name="signature" value="` + signature + `">` + "\n" + `  <button type="submit">Pay</button>` + "\n</form>")
	return out.String()
}
