package joining

import (
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tranzit/tranzit/iso"
)

// Languages are those that letters are written in.
var Languages = []string{"en", "ru", "es"}

// Form is what a shop says of itself when it applies.
type Form struct {
	Company       string `json:"company"`
	Registration  string `json:"registration_number"`
	Country       string `json:"country"` // ISO 3166 numeric
	City          string `json:"city"`
	StatementName string `json:"statement_name"` // on the card statement (DE43)
	Site          string `json:"site"`
	ContactName   string `json:"contact_name"`
	Email         string `json:"email"`
	Phone         string `json:"phone"` // E.164
	MCC           string `json:"mcc"`
	MonthlyVolume int64  `json:"monthly_volume"` // expected, in minor units
	Currency      string `json:"currency"`       // of the volume, ISO 4217 alphabetic
	Language      string `json:"language"`       // of letters: one of Languages
	TimeZone      string `json:"time_zone"`      // IANA
	Integration   string `json:"integration"`    // page: the payment page; server: its own server takes card data
}

// Fault is one member of a form that is wrong.
type Fault struct {
	Pointer string // JSON pointer
	Code    string // required, invalid_format or out_of_range
	Detail  string
}

// FormError lists all that is wrong with a form.
type FormError struct{ Faults []Fault }

// Error names the first fault.
func (e *FormError) Error() string { return e.Faults[0].Pointer + ": " + e.Faults[0].Detail }

var (
	formRegistration = regexp.MustCompile(`^[0-9A-Za-z./ -]{1,32}$`)
	formDigits3      = regexp.MustCompile(`^[0-9]{3}$`)
	formDigits4      = regexp.MustCompile(`^[0-9]{4}$`)
	formPhone        = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
)

const maxVolume = 1_000_000_000_000_000

// Validate finds all faults, member by member. Its error is a *FormError.
func (f *Form) Validate() error {
	var e FormError
	need := func(pointer, value string, ok bool, detail string) {
		switch {
		case value == "":
			e.Faults = append(e.Faults, Fault{pointer, "required", "This member is required."})
		case !ok:
			e.Faults = append(e.Faults, Fault{pointer, "invalid_format", detail})
		}
	}
	need("/company", f.Company, isLine(f.Company, 200), "Must have at most 200 printable characters.")
	need("/registration_number", f.Registration, formRegistration.MatchString(f.Registration), "Must be 1 to 32 letters and digits, as the register writes it.")
	need("/country", f.Country, formDigits3.MatchString(f.Country), "Must be three digits of ISO 3166, like 643.")
	need("/city", f.City, isASCII(f.City, 40), "Must have at most 40 Latin characters: banks are told it.")
	need("/statement_name", f.StatementName, isASCII(f.StatementName, 22), "Must have at most 22 Latin characters: it stands on card statements.")
	need("/site", f.Site, isSite(f.Site), "Must be an address like https://shop.example.")
	need("/contact_name", f.ContactName, isLine(f.ContactName, 100), "Must have at most 100 printable characters.")
	need("/email", f.Email, IsAddress(f.Email), "Must be one e-mail address, like pay@shop.example.")
	need("/phone", f.Phone, formPhone.MatchString(f.Phone), "Must be an international number like +74951234567.")
	need("/mcc", f.MCC, formDigits4.MatchString(f.MCC), "Must be four digits, the merchant category code (ISO 18245).")
	_, err := iso.ParseCurrency(f.Currency)
	need("/currency", f.Currency, err == nil, "Must be an alphabetic code of ISO 4217, like EUR.")
	need("/language", f.Language, slices.Contains(Languages, f.Language), "Must be one of "+strings.Join(Languages, ", ")+".")
	_, err = time.LoadLocation(f.TimeZone)
	need("/time_zone", f.TimeZone, err == nil && f.TimeZone != "Local", "Must be a name of the IANA data base, like Europe/Moscow.")
	need("/integration", f.Integration, f.Integration == "page" || f.Integration == "server", "Must be page or server.")
	if f.MonthlyVolume < 1 || f.MonthlyVolume > maxVolume {
		e.Faults = append(e.Faults, Fault{"/monthly_volume", "out_of_range", "Must be a whole number of minor units above 0."})
	}
	if len(e.Faults) > 0 {
		return &e
	}
	return nil
}

func isLine(text string, most int) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= most && strings.TrimSpace(text) != "" &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

func isASCII(text string, most int) bool {
	return isLine(text, most) && !strings.ContainsFunc(text, func(r rune) bool { return r > '~' })
}

func isSite(text string) bool {
	u, err := url.Parse(text)
	return err == nil && len(text) <= 200 && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil && isASCII(text, 200)
}

// IsPhone reports whether a text is an international telephone number (ITU-T E.164).
func IsPhone(text string) bool { return formPhone.MatchString(text) }

// IsAddress reports whether a text is one bare e-mail address (RFC 5322) of
// printable ASCII characters.
func IsAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Name == "" && a.Address == text && isASCII(text, 254)
}
