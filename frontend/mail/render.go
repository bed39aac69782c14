package mail

import (
	"embed"
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"unicode"

	"github.com/bojanz/currency"

	payswitch "github.com/tranzit/tranzit/switch"
)

//go:embed letters/*.txt
var letterFiles embed.FS

// Languages are those that every letter is written in, the one that stands for all
// others first.
var Languages = []string{"en", "ru", "es"}

// books are the templates by language. Each template is one letter: its first line
// is the subject, the rest its paragraphs; HTML is made of the same text. The text of
// a short message stands in the template of the same name and "_sms".
var books = func() map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, language := range Languages {
		book := template.New(language).Option("missingkey=zero").Funcs(template.FuncMap{"money": moneyIn(language)})
		all[language] = template.Must(book.ParseFS(letterFiles, "letters/"+language+".txt", "letters/buyers_"+language+".txt"))
	}
	return all
}()

// moneyIn writes amounts of minor units as people of a language do, with the
// currency's letters of ISO 4217.
func moneyIn(language string) func(float64, string) string {
	return func(minor float64, code string) string {
		amount, err := currency.NewAmountFromInt64(int64(minor), code) // exact: at most 12 digits
		if err != nil {
			return code
		}
		f := currency.NewFormatter(currency.NewLocale(language))
		f.CurrencyDisplay = currency.DisplayCode
		return narrow.Replace(f.Format(amount))
	}
}

// narrow keeps spaces that no telephone's alphabet has out of amounts.
var narrow = strings.NewReplacer("\u00a0", " ", "\u202f", " ")

// Message is a letter with its text.
type Message struct {
	ID      string // the letter's; the same in every attempt
	To      string
	Subject string
	Text    string
	HTML    string
	Short   string // what goes to a telephone
}

// Render writes a letter in its language. What others wrote of it, a shop's name or
// the description of an order, is one line of plain text there, whatever it holds.
func Render(y *payswitch.Letter) (Message, error) {
	language := y.Language
	if !slices.Contains(Languages, language) {
		language = Languages[0]
	}
	var data map[string]any
	if err := json.Unmarshal(y.Data, &data); err != nil {
		return Message{}, fmt.Errorf("letter %s: %w", y.Template, err)
	}
	plain(data)
	m := Message{ID: y.ID.Text(payswitch.LetterPrefix), To: y.To}
	book := books[language]
	if y.Channel == payswitch.LetterSMS && book.Lookup(y.Template+"_sms") != nil {
		var err error
		m.Short, err = short(book.Lookup(y.Template+"_sms"), data)
		return m, err
	}
	var text, bye strings.Builder
	if err := book.ExecuteTemplate(&text, y.Template, data); err != nil {
		return Message{}, fmt.Errorf("letter: %w", err)
	}
	if err := book.ExecuteTemplate(&bye, "bye", data); err != nil {
		return Message{}, fmt.Errorf("letter: %w", err)
	}
	subject, body, _ := strings.Cut(text.String(), "\n")
	m.Subject = strings.TrimSpace(subject)
	m.Short = m.Subject
	m.Text = strings.TrimSpace(emptyLines.ReplaceAllString(body, "\n\n")) + "\n\n-- \n" + bye.String() + "\n"
	m.HTML = page{language, ours(data)}.of(m.Text)
	return m, nil
}

// plain makes every text one line of characters that are seen.
func plain(value any) any {
	switch v := value.(type) {
	case string:
		return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
			switch {
			case unicode.IsSpace(r) || unicode.IsControl(r):
				return ' '
			case !unicode.IsPrint(r):
				return -1
			}
			return r
		}, v)), " ")
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = plain(v[name])
		}
	}
	return value
}

// ours are the addresses that a letter may lead to.
func ours(data map[string]any) (list []string) {
	for _, name := range []string{"url", "api"} {
		if address, _ := data[name].(string); address != "" {
			list = append(list, address)
		}
	}
	return list
}

var (
	emptyLines = regexp.MustCompile(`\n{3,}`)
	addresses  = regexp.MustCompile(`https?://[^\s<>&"']+`)
)

// page is the HTML of a letter.
type page struct {
	language string
	ours     []string // the addresses that become links, with what stands under them
}

// of shows the paragraphs and lists of a text.
func (p page) of(text string) string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><html lang="` + p.language + `"><head><meta charset="utf-8"></head><body style="font-family:sans-serif;max-width:40em">` + "\n")
	end := strings.LastIndex(text, "\n-- \n")
	for _, paragraph := range strings.Split(strings.TrimSpace(text[:end]), "\n\n") {
		b.WriteString(p.paragraph(paragraph))
	}
	b.WriteString(`<p style="color:#555">` + html.EscapeString(strings.TrimSpace(text[end+len("\n-- \n"):])) + "</p>\n</body></html>\n")
	return b.String()
}

func (p page) paragraph(text string) string {
	lines := strings.Split(text, "\n")
	if !strings.HasPrefix(lines[0], "- ") {
		return "<p>" + p.linked(strings.Join(lines, "\n")) + "</p>\n"
	}
	out := "<ul>\n"
	for _, line := range lines {
		out += "<li>" + p.linked(strings.TrimPrefix(line, "- ")) + "</li>\n"
	}
	return out + "</ul>\n"
}

// linked escapes a text and makes our addresses in it links.
func (p page) linked(text string) string {
	return addresses.ReplaceAllStringFunc(html.EscapeString(text), func(found string) string {
		for _, address := range p.ours {
			if address = html.EscapeString(address); found == address || strings.HasPrefix(found, address+"/") {
				return `<a href="` + found + `">` + found + `</a>`
			}
		}
		return found
	})
}
