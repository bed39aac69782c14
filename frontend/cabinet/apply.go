package cabinet

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// applyPage is the form of an application. It needs no script: what is wrong is
// said of all fields at once, and what was typed stays.
type applyPage struct {
	Parts   []applyPart
	Wrong   []applyField // those with a problem, for the summary
	Problem string
}

// applyPart is a group of fields.
type applyPart struct {
	Name   string
	Fields []applyField
}

// applyField is one field; its label and its hint are in the catalogue.
type applyField struct {
	Name, Value, Problem string
	Kind                 string // text, email, tel, url or select
	Auto                 string // of autocomplete
	Most                 int
	Options              []option
	Known                []string // offered while one types
}

type option struct{ Value, Text string }

// zones are offered; any of the IANA data base is taken.
var zones = []string{"America/Argentina/Buenos_Aires", "America/Bogota", "America/Lima", "America/Mexico_City", "America/New_York", "America/Santiago", "Asia/Almaty",
	"Asia/Baku", "Asia/Dubai", "Asia/Irkutsk", "Asia/Kamchatka", "Asia/Krasnoyarsk", "Asia/Novosibirsk", "Asia/Omsk", "Asia/Tashkent", "Asia/Tbilisi", "Asia/Vladivostok",
	"Asia/Yakutsk", "Asia/Yekaterinburg", "Asia/Yerevan", "Europe/Berlin", "Europe/Istanbul", "Europe/Kaliningrad", "Europe/London", "Europe/Madrid", "Europe/Minsk",
	"Europe/Moscow", "Europe/Paris", "Europe/Rome", "Europe/Samara", "UTC"}

// home is what an application is expected to say in a language.
var applyHome = map[string]joining.Form{
	"en": {Country: "826", Currency: "EUR", TimeZone: "Europe/London"}, "ru": {Country: "643", Currency: "RUB", TimeZone: "Europe/Moscow"},
	"es": {Country: "724", Currency: "EUR", TimeZone: "Europe/Madrid"},
}

// countries are those of ISO 3166 by name, with their numeric codes, by language.
var countries = func() map[string][]option {
	all := map[string][]option{}
	for _, lang := range languages {
		names := display.Regions(language.Make(lang))
		for a := 'A'; a <= 'Z'; a++ {
			for b := 'A'; b <= 'Z'; b++ {
				r, err := language.ParseRegion(string([]rune{a, b}))
				if err != nil || !r.IsCountry() || r.M49() == 0 || r.Canonicalize() != r {
					continue
				}
				code := three(r.M49())
				all[lang] = append(all[lang], option{code, names.Name(r)})
			}
		}
		slices.SortFunc(all[lang], func(x, y option) int { return cmp.Compare(x.Text, y.Text) })
	}
	return all
}()

func three(n int) string {
	return string([]byte{'0' + byte(n/100%10), '0' + byte(n/10%10), '0' + byte(n%10)})
}

// applyParts are the fields of the form with what stands in them.
func applyParts(lang string, f *joining.Form, volume string) []applyPart {
	words := func(kind string, values ...string) (list []option) {
		for _, value := range values {
			list = append(list, option{value, term(lang, kind, value)})
		}
		return list
	}
	return []applyPart{
		{Name: "shop", Fields: []applyField{
			{Name: "company", Value: f.Company, Kind: "text", Auto: "organization", Most: 200},
			{Name: "registration_number", Value: f.Registration, Kind: "text", Most: 32},
			{Name: "site", Value: f.Site, Kind: "url", Auto: "url", Most: 200},
			{Name: "country", Value: f.Country, Kind: "select", Options: countries[lang]},
			{Name: "city", Value: f.City, Kind: "text", Most: 40},
			{Name: "time_zone", Value: f.TimeZone, Kind: "text", Most: 64, Known: zones},
		}},
		{Name: "trade", Fields: []applyField{
			{Name: "statement_name", Value: f.StatementName, Kind: "text", Most: 22},
			{Name: "mcc", Value: f.MCC, Kind: "text", Most: 4},
			{Name: "monthly_volume", Value: volume, Kind: "text", Most: 20},
			{Name: "currency", Value: f.Currency, Kind: "text", Most: 3, Known: []string{"RUB", "EUR", "USD", "KZT", "MXN", "ARS"}},
			{Name: "integration", Value: f.Integration, Kind: "select", Options: words("integration", "page", "server")},
		}},
		{Name: "contact", Fields: []applyField{
			{Name: "contact_name", Value: f.ContactName, Kind: "text", Auto: "name", Most: 100},
			{Name: "email", Value: f.Email, Kind: "email", Auto: "email", Most: 254},
			{Name: "phone", Value: f.Phone, Kind: "tel", Auto: "tel", Most: 16},
			{Name: "language", Value: f.Language, Kind: "select", Options: words("language", languages...)},
		}},
	}
}

func (v *visit) showApply() error {
	if v.s.o.Joining == nil {
		return errNoPage
	}
	f := applyHome[v.lang]
	f.Language, f.Integration = v.lang, "page"
	return v.show("apply", applyPage{Parts: applyParts(v.lang, &f, "")})
}

// readApplication takes the form as people type it: blanks in numbers, major units,
// an address without its scheme.
func (v *visit) readApplication() (f joining.Form, volume string) {
	line := func(name string) string { return strings.TrimSpace(v.form(name)) }
	f = joining.Form{Company: line("company"), Registration: line("registration_number"), Country: line("country"), City: line("city"),
		StatementName: line("statement_name"), Site: line("site"), ContactName: line("contact_name"), Email: line("email"),
		Phone: strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(line("phone")), MCC: line("mcc"),
		Currency: strings.ToUpper(line("currency")), Language: line("language"), TimeZone: line("time_zone"), Integration: line("integration")}
	if f.Site != "" && !strings.Contains(f.Site, "://") {
		f.Site = "https://" + f.Site
	}
	volume = line("monthly_volume")
	f.MonthlyVolume, _ = minorUnits(volume, f.Currency)
	return f, volume
}

// apply takes an application and leads to where the code of the letter is typed.
func (v *visit) apply() error {
	office := v.s.o.Joining
	if office == nil {
		return errNoPage
	}
	f, volume := v.readApplication()
	page := applyPage{Parts: applyParts(v.lang, &f, volume)}
	err := v.s.people.Knock("application", v.from())
	if err == nil {
		var fresh joining.Fresh
		if fresh, err = office.Apply(f); err == nil {
			v.setCookie(cookieApplicant, fresh.Application.Name()+"."+fresh.Secret)
			v.redirect(confirmPath + fresh.Application.Name())
			return nil
		}
	}
	var faulty *joining.FormError
	if errors.As(err, &faulty) {
		page.blame(v.lang, faulty.Faults)
		v.render(http.StatusUnprocessableEntity, "apply", page)
		return nil
	}
	text, status, ok := v.again(err)
	if !ok {
		return err
	}
	page.Problem = text
	v.render(status, "apply", page)
	return nil
}

// blame puts what is wrong beside the fields.
func (p *applyPage) blame(lang string, faults []joining.Fault) {
	for i := range p.Parts {
		for j := range p.Parts[i].Fields {
			y := &p.Parts[i].Fields[j]
			at := slices.IndexFunc(faults, func(f joining.Fault) bool { return f.Pointer == "/"+y.Name })
			if at < 0 {
				continue
			}
			if y.Problem = words(lang, "applybad."+y.Name); faults[at].Code == "required" {
				y.Problem = words(lang, "apply.required")
			}
			p.Wrong = append(p.Wrong, *y)
		}
	}
}

const confirmPath = "/join/confirm/"

// confirmPage asks for the code of the letter.
type confirmPage struct{ Code, Problem string }

// showConfirm shows the same for every application, whether there is one or not. The
// link of the letter brings the code along; a person has to press the button, so that
// a program that follows links opens nothing.
func (v *visit) showConfirm() error {
	if _, err := v.target(joining.ApplicationPrefix); err != nil || v.s.o.Joining == nil {
		return errNoPage
	}
	code := v.r.URL.Query().Get("code")
	if len(code) != 8 || strings.Trim(code, "0123456789") != "" {
		code = ""
	}
	return v.show("confirm", confirmPage{Code: code})
}

// openedPage tells that test mode is open. Key and Secret are shown this once.
type openedPage struct {
	Company, Merchant, Until string
	Key                      string // the first of test mode; empty: it was shown before
	Secret                   string // of the application, for its API; empty: another browser has it
	Application              string
	Next                     string // where the owner's access is set up
}

// confirm opens test mode and makes the contact the first owner of the shop's
// cabinet. A crash between the two is mended by pressing the button again: the code
// counts until the owner has joined.
func (v *visit) confirm() error {
	id, err := v.target(joining.ApplicationPrefix)
	office := v.s.o.Joining
	if err != nil || office == nil {
		return errNoPage
	}
	code := strings.TrimSpace(v.form("code"))
	var done joining.Done
	if err = v.s.people.Knock("confirmation", v.from()); err == nil {
		done, err = office.Open(id, code)
	}
	if err != nil {
		text, status, ok := v.again(err)
		if !ok {
			return err
		}
		if status == http.StatusUnprocessableEntity {
			text = words(v.lang, "confirm.wrong")
		}
		v.render(status, "confirm", confirmPage{Code: code, Problem: text})
		return nil
	}
	next, err := v.firstOwner(done.Application)
	if err != nil {
		return err
	}
	if next == "" {
		v.redirect("/signin?done=joined")
		return nil
	}
	a := done.Application
	page := openedPage{Company: a.Form.Company, Merchant: a.Merchant, Until: a.TestUntil.Format("2006-01-02 15:04") + " UTC", Key: done.Secret, Application: a.Name(), Next: next}
	if id, secret, ok := strings.Cut(v.cookie(cookieApplicant), "."); ok && id == a.Name() {
		if _, err := office.Of(a.ID, secret); err == nil {
			page.Secret = secret
		}
	}
	v.setCookie(cookieApplicant, "")
	return v.show("opened", page)
}

// firstOwner makes the contact of an application the owner of its shop, and gives the
// address where the access is set up; empty: the shop has an owner already.
func (v *visit) firstOwner(a *joining.Application) (next string, err error) {
	users, err := v.s.people.UsersOf(a.Merchant)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(users, func(u people.User) bool { return !u.JoinedAt.IsZero() }) {
		return "", nil
	}
	u, word, err := v.s.people.Invite(people.Invitation{Email: a.Form.Email, Grants: []people.Grant{{Merchant: a.Merchant, Role: people.RoleOwner}}, By: a.Name()})
	if err != nil {
		return "", err
	}
	act := people.Act{Merchant: a.Merchant, Who: u.Email, What: "joining_confirm", Object: a.Name(), Address: v.from().Address, Once: "owner of " + a.Name()}
	if err := v.s.people.Record(&act); err != nil {
		return "", err
	}
	if word == "" { // known from another shop: the access stands
		return "/signin", nil
	}
	if u.Name == "" {
		_, err = v.s.people.Describe(u.ID, a.Form.ContactName, a.Form.Language)
	}
	var no *payswitch.Refusal
	if errors.As(err, &no) && no.Code == payswitch.CodeInvalidRequest {
		err = nil // a name that the cabinet does not take is asked for
	}
	return "/join/" + url.PathEscape(word), err
}
