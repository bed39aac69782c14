package cabinet

import (
	"html/template"
	"strconv"
	"strings"

	"github.com/tranzit/tranzit/frontend/guide"
	paypage "github.com/tranzit/tranzit/frontend/page"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

// buttonsPage lists buttons, and has the form of a new one.
type buttonsPage struct {
	Buttons []buttonRow
	Next    string
	Form    buttonForm
	Problem string
}

// buttonRow is a button with its snippet, as text to copy and as it looks.
type buttonRow struct {
	paypage.ButtonView
	Preview template.HTML
}

// buttonForm is what was typed of a new button.
type buttonForm struct {
	Key, Name, Kind, Amount, Least, Most, Currency, Order, Description, Quantity, Language, ReturnURL string
	Hold                                                                                              bool
}

func (v *visit) listButtons() error {
	return v.showButtons(200, buttonsPage{Form: buttonForm{Key: newKey(), Kind: "fixed", Currency: "RUB", Quantity: "1"}})
}

func (v *visit) showButtons(status int, shown buttonsPage) error {
	if v.s.o.Pages == nil {
		return errNoPage
	}
	cursor, err := v.cursor()
	if err != nil {
		return err
	}
	got, err := v.s.sw.Buttons(v.account, pageSize, cursor)
	if err != nil {
		return err
	}
	for i := range got.Buttons {
		view := v.s.o.Pages.Button(&got.Buttons[i], v.lang)
		// The snippet is the switch's own HTML; whatever a person wrote in it is escaped.
		shown.Buttons = append(shown.Buttons, buttonRow{view, template.HTML(view.Snippet)})
	}
	if got.More {
		shown.Next = got.Next.Text("cur")
	}
	v.render(status, "buttons", shown)
	return nil
}

// wish reads the form; problem names the field that cannot be read.
func (f *buttonForm) wish() (w payswitch.ButtonWish, problem string) {
	w = payswitch.ButtonWish{Name: f.Name, Currency: f.Currency, OrderID: f.Order, Description: f.Description, Language: f.Language, ReturnURL: f.ReturnURL}
	if f.Hold {
		w.CaptureMethod = "manual"
	}
	var ok, also bool
	switch f.Kind {
	case "choice":
		w.MinAmount, ok = minorUnits(f.Least, f.Currency)
		w.MaxAmount, also = minorUnits(f.Most, f.Currency)
		ok = ok && also
	case "once":
		no := false
		w.Reusable = &no
		w.Amount, ok = minorUnits(f.Amount, f.Currency)
	default:
		w.Amount, ok = minorUnits(f.Amount, f.Currency)
		var err error
		if w.MaxQuantity, err = strconv.Atoi(f.Quantity); err != nil {
			return w, "quantity"
		}
	}
	if !ok {
		return w, "amount"
	}
	return w, ""
}

func (v *visit) makeButton() error {
	if v.s.o.Pages == nil {
		return errNoPage
	}
	f := buttonForm{Key: v.form("key"), Kind: v.form("kind"), Name: strings.TrimSpace(v.form("name")), Amount: v.form("amount"), Least: v.form("least"), Most: v.form("most"),
		Currency: strings.ToUpper(strings.TrimSpace(v.form("currency"))), Order: strings.TrimSpace(v.form("order")), Description: strings.TrimSpace(v.form("description")),
		Quantity: strings.TrimSpace(v.form("quantity")), Language: v.form("language"), ReturnURL: strings.TrimSpace(v.form("return")), Hold: v.form("hold") == "1"}
	if !goodKey(f.Key) {
		return badForm(nil)
	}
	again := func(problem string, status int) error {
		f.Key = newKey()
		return v.showButtons(status, buttonsPage{Form: f, Problem: problem})
	}
	w, problem := f.wish()
	if problem != "" {
		return again(words(v.lang, "problem."+problem), 422)
	}
	b, err := w.Button()
	if err == nil {
		err = paypage.CheckButton(&b, false)
	}
	act := people.Act{What: "button_made", Detail: f.Name, Once: v.actKey(f.Key)}
	if err == nil {
		if err := v.record(&act); err != nil {
			return err
		}
		_, _, err = v.s.sw.CreateButton(v.account, &payswitch.ButtonRequest{IdempotencyKey: act.Once,
			Fingerprint: v.s.sw.Fingerprint("POST", v.r.URL.Path, []byte(v.said.Encode())), Wish: b})
		if err != nil {
			err = v.refused(&act, err)
		}
	}
	if err != nil {
		text, status, ok := v.again(err)
		if !ok {
			return err
		}
		return again(text, status)
	}
	return v.done("buttons", "buttonmade")
}

func (v *visit) disableButton() error {
	id, err := v.target(payswitch.ButtonPrefix)
	if err != nil {
		return err
	}
	if _, err := v.s.sw.Button(v.account, id); err != nil {
		return err
	}
	act := people.Act{What: "button_disabled", Object: id.Text(payswitch.ButtonPrefix)}
	if err := v.record(&act); err != nil {
		return err
	}
	if _, err := v.s.sw.DisableButton(v.account, id); err != nil {
		return v.refused(&act, err)
	}
	return v.done("buttons", "buttondisabled")
}

// guidePage is the shop's own guide.
type guidePage struct{ Body template.HTML }

func (v *visit) showGuide() error {
	if v.s.o.Guide == nil {
		return errNoPage
	}
	d, err := v.s.o.Guide.OfMerchant(v.account.Merchant.ID, v.lang)
	if err != nil {
		return err
	}
	body, err := guide.Body(&d)
	if err != nil {
		return err
	}
	return v.show("guide", guidePage{body})
}
