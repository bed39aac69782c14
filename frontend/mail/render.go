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

	payswitch "github.com/tranzit/tranzit/switch"
)

//go:embed letters/*.txt
var letterFiles embed.FS

// Languages are those that every letter is written in, the one that stands for all
// others first.
var Languages = []string{"en", "ru", "es"}

// books are the templates by language. Each template is one letter: its first line
// is the subject, the rest its paragraphs; HTML is made of the same text.
var books = func() map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, language := range Languages {
		all[language] = template.Must(template.New(language).Option("missingkey=zero").ParseFS(letterFiles, "letters/"+language+".txt"))
	}
	return all
}()

// Message is a letter with its text.
type Message struct {
	ID      string // the letter's; the same in every attempt
	To      string
	Subject string
	Text    string
	HTML    string
}

// Render writes a letter in its language.
func Render(y *payswitch.Letter) (Message, error) {
	language := y.Language
	if !slices.Contains(Languages, language) {
		language = Languages[0]
	}
	var data map[string]any
	if err := json.Unmarshal(y.Data, &data); err != nil {
		return Message{}, fmt.Errorf("letter %s: %w", y.Template, err)
	}
	var text, bye strings.Builder
	if err := books[language].ExecuteTemplate(&text, y.Template, data); err != nil {
		return Message{}, fmt.Errorf("letter: %w", err)
	}
	if err := books[language].ExecuteTemplate(&bye, "bye", data); err != nil {
		return Message{}, fmt.Errorf("letter: %w", err)
	}
	subject, body, _ := strings.Cut(text.String(), "\n")
	body = strings.TrimSpace(emptyLines.ReplaceAllString(body, "\n\n")) + "\n\n-- \n" + bye.String() + "\n"
	return Message{ID: y.ID.Text(payswitch.LetterPrefix), To: y.To, Subject: strings.TrimSpace(subject), Text: body, HTML: asHTML(language, body)}, nil
}

var (
	emptyLines = regexp.MustCompile(`\n{3,}`)
	addresses  = regexp.MustCompile(`https?://[^\s<>&"']+`)
)

// asHTML shows the paragraphs and lists of a text.
func asHTML(language, text string) string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><html lang="` + language + `"><head><meta charset="utf-8"></head><body style="font-family:sans-serif;max-width:40em">` + "\n")
	text, bye, _ := strings.Cut(text, "\n-- \n")
	for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		b.WriteString(paragraphHTML(paragraph))
	}
	b.WriteString(`<p style="color:#555">` + html.EscapeString(strings.TrimSpace(bye)) + "</p>\n</body></html>\n")
	return b.String()
}

func paragraphHTML(text string) string {
	lines := strings.Split(text, "\n")
	if !strings.HasPrefix(lines[0], "- ") {
		return "<p>" + linked(strings.Join(lines, "\n")) + "</p>\n"
	}
	out := "<ul>\n"
	for _, line := range lines {
		out += "<li>" + linked(strings.TrimPrefix(line, "- ")) + "</li>\n"
	}
	return out + "</ul>\n"
}

// linked escapes a text and makes its addresses links.
func linked(text string) string {
	return addresses.ReplaceAllString(html.EscapeString(text), `<a href="$0">$0</a>`)
}
