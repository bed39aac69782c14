package page

import (
	"embed"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed assets
var assets embed.FS

// languages are those of the page, the default first. Each has a catalogue in
// assets, and a name in its own tongue.
var languages = []struct{ code, name string }{{"en", "English"}, {"ru", "Русский"}, {"es", "Español"}}

// catalogues hold the texts of the page by language and key.
var catalogues = func() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, l := range languages {
		data, err := assets.ReadFile("assets/" + l.code + ".yaml")
		texts := map[string]string{}
		if err == nil {
			err = yaml.Unmarshal(data, &texts)
		}
		if err != nil {
			panic(fmt.Sprintf("page: texts of %s: %v", l.code, err)) // a fault of the build; tests load them
		}
		all[l.code] = texts
	}
	return all
}()

// Speaks reports whether the page has texts in a language, a code of ISO 639-1.
func Speaks(language string) bool { return catalogues[language] != nil }

// LanguageList names the languages of the page, for a message.
func LanguageList() string {
	var codes []string
	for _, l := range languages {
		codes = append(codes, l.code)
	}
	return strings.Join(codes, ", ")
}

// text is a text with its placeholders, like {shop}, filled by name and value in
// turn. A key that is missing gives its own name, so that it is seen.
func text(language, key string, with ...string) string {
	found, ok := catalogues[language][key]
	if !ok {
		return key
	}
	for i := 0; i+1 < len(with); i += 2 {
		found = strings.ReplaceAll(found, "{"+with[i]+"}", with[i+1])
	}
	return found
}

// Accepted is the language of the page that Accept-Language (RFC 9110, 12.5.4)
// asks for most, the default when it asks for none.
func Accepted(header string) string {
	best, quality := languages[0].code, 0.0
	for part := range strings.SplitSeq(header, ",") {
		tag, parameter, _ := strings.Cut(part, ";")
		code, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		q := 1.0
		if value, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(value, 64); err != nil {
				continue
			}
		}
		if Speaks(code) && q > quality {
			best, quality = code, q
		}
	}
	return best
}
