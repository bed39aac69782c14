package cabinet

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// terminalPage is the virtual terminal. It never holds card data: a form that comes
// back asks for the card again.
type terminalPage struct {
	Amount, Currency, Order, Description string
	Banks                                []string
	Bank                                 string
	Hold                                 bool
	Key                                  string
	Problem                              string
}

func (v *visit) newTerminal() terminalPage {
	return terminalPage{Currency: "RUB", Key: newKey(), Banks: v.banks()}
}

// banks are those the merchant may choose among.
func (v *visit) banks() (ids []string) {
	for _, b := range v.account.Merchant.Banks {
		ids = append(ids, b.Bank)
	}
	return ids
}

func (v *visit) showTerminal() error { return v.show("terminal", v.newTerminal()) }

// cardForm is what the terminal's form brought: the card stays in bytes, which are
// overwritten.
type cardForm struct {
	page         terminalPage
	csrf         string
	number, code []byte
	month, year  int
	body         []byte
}

func (f *cardForm) wipe() { clear(f.body) }

// readCard decodes a form (application/x-www-form-urlencoded) without making a
// string of what stands in the card's fields.
func (v *visit) readCard() (*cardForm, error) {
	if !strings.HasPrefix(v.r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return nil, badForm(nil)
	}
	body, err := io.ReadAll(io.LimitReader(v.r.Body, 8<<10))
	if err != nil {
		clear(body)
		return nil, badForm(err)
	}
	f := &cardForm{page: terminalPage{Key: newKey()}, body: body}
	for pair := range bytes.SplitSeq(body, []byte("&")) {
		name, value, _ := bytes.Cut(pair, []byte("="))
		value = unescape(value)
		switch string(name) {
		case "csrf":
			f.csrf = string(value)
		case "key":
			f.page.Key = string(value)
		case "number":
			f.number = digitsOf(value)
		case "code":
			f.code = digitsOf(value)
		case "month":
			_, _ = fmt.Sscan(string(value), &f.month)
		case "year":
			_, _ = fmt.Sscan(string(value), &f.year)
		case "amount":
			f.page.Amount = strings.TrimSpace(string(value))
		case "currency":
			f.page.Currency = strings.ToUpper(strings.TrimSpace(string(value)))
		case "order":
			f.page.Order = strings.TrimSpace(string(value))
		case "description":
			f.page.Description = strings.TrimSpace(string(value))
		case "bank":
			f.page.Bank = string(value)
		case "hold":
			f.page.Hold = string(value) == "1"
		}
	}
	return f, nil
}

// unescape decodes in place.
func unescape(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '+':
			out = append(out, ' ')
		case c == '%' && i+2 < len(b) && hexOf(b[i+1]) < 16 && hexOf(b[i+2]) < 16:
			out = append(out, hexOf(b[i+1])<<4|hexOf(b[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

func hexOf(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return (c | 0x20) - 'a' + 10
	}
	return 16
}

// digitsOf drops, in place, the spaces and hyphens people type.
func digitsOf(b []byte) []byte {
	out := b[:0]
	for _, c := range b {
		if c != ' ' && c != '-' {
			out = append(out, c)
		}
	}
	return out
}

// request makes the payment's request; problem names the field that cannot be read.
func (f *cardForm) request(now time.Time) (r payswitch.PayRequest, problem string) {
	var err error
	if r.Currency, err = iso.ParseCurrency(f.page.Currency); err != nil {
		return r, "currency"
	}
	var ok bool
	if r.Amount, ok = minorUnits(f.page.Amount, f.page.Currency); !ok {
		return r, "amount"
	}
	if r.PAN, err = iso.ParsePAN(f.number); err != nil {
		return r, "number"
	}
	year := f.year
	if year >= 0 && year < 100 {
		year += now.Year() / 100 * 100
	}
	if r.Expiry = (iso.Expiry{Year: year, Month: f.month}); f.month < 1 || f.month > 12 || year > now.Year()+20 || r.Expiry.Expired(now) {
		return r, "expiry"
	}
	if len(f.code) > 0 {
		if r.CVC, err = iso.ParseCVC(f.code); err != nil {
			return r, "cvc"
		}
	}
	switch text := f.page; {
	case len(text.Order) == 0 || len(text.Order) > 128 || !printable(text.Order) || people.HoldsCardNumber(text.Order):
		return r, "order"
	case len(text.Description) > 500 || !printable(text.Description) || people.HoldsCardNumber(text.Description):
		return r, "description"
	}
	r.OrderID, r.Description, r.Bank, r.ManualCapture = f.page.Order, f.page.Description, f.page.Bank, f.page.Hold
	r.Initiator, r.RequestID, r.Carried = "customer", "cabinet", &iso.Carried{Channel: iso.ChannelMOTO}
	return r, ""
}

func printable(text string) bool {
	return strings.ToValidUTF8(text, "") == text && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// charge takes a payment by mail or telephone.
func (v *visit) charge() error {
	f := v.card
	f.page.Banks = v.banks()
	if !goodKey(f.page.Key) {
		return badForm(nil)
	}
	again := func(text string, status int) error {
		f.page.Problem, f.page.Key = text, newKey()
		v.render(status, "terminal", f.page)
		return nil
	}
	r, problem := f.request(time.Now())
	defer func() { r.PAN.Wipe(); r.CVC.Wipe() }()
	if problem != "" {
		return again(words(v.lang, "problem."+problem), http.StatusUnprocessableEntity)
	}
	r.IdempotencyKey = v.actKey(f.page.Key)
	r.Fingerprint = v.s.sw.Fingerprint("POST", v.r.URL.Path, f.body)
	act := people.Act{What: "terminal", Object: r.OrderID, Detail: f.page.Amount + " " + f.page.Currency + " " + r.PAN.Masked(), Once: r.IdempotencyKey}
	if err := v.record(&act); err != nil {
		return err
	}
	answer, err := v.s.sw.Pay(v.account, &r)
	if err != nil {
		text, status, ok := v.again(err)
		if err := v.refused(&act, err); !ok {
			return err
		}
		return again(text, status)
	}
	if err := v.s.people.Made(&act, answer.Payment.ID); err != nil {
		return err
	}
	return v.done("payments/"+answer.Payment.ID.Text(payswitch.PaymentPrefix), "charged")
}
