package cabinet

import (
	"embed"
	"fmt"
	"net/http"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"
)

//go:embed catalogue/*.yaml
var catalogueFiles embed.FS

// languages are what the cabinet speaks; the first is for whoever speaks none of them.
var languages = []string{"en", "ru", "es"}

var matcher = language.NewMatcher([]language.Tag{language.English, language.Russian, language.Spanish})

// catalogues are the phrases by language and key.
var catalogues = loadCatalogues()

func loadCatalogues() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, lang := range languages {
		text, err := catalogueFiles.ReadFile("catalogue/" + lang + ".yaml")
		phrases := map[string]string{}
		if err == nil {
			err = yaml.Unmarshal(text, &phrases)
		}
		if err != nil {
			panic(fmt.Sprintf("catalogue %s: %v", lang, err))
		}
		all[lang] = phrases
	}
	return all
}

// phrase is empty when there is none.
func phrase(lang, key string) string { return catalogues[lang][key] }

// words is phrase for a page: it says the key where a phrase is missing, and takes
// arguments as fmt does.
func words(lang, key string, args ...any) string {
	text := phrase(lang, key)
	switch {
	case text == "":
		return key
	case len(args) > 0:
		return fmt.Sprintf(text, args...)
	}
	return text
}

// term is a word of the API in a language, and the word itself when it is not in
// the catalogue: what is new is shown as it is.
func term(lang, kind, word string) string {
	if text := phrase(lang, kind+"."+word); text != "" {
		return text
	}
	return strings.ReplaceAll(word, "_", " ")
}

// event is the word for a step of a payment's story: of an operation it is the
// operation and what became of it.
func event(lang, word string) string {
	kind, step, _ := strings.Cut(word, "_")
	kind, step = phrase(lang, "operation."+kind), phrase(lang, "step."+step)
	if phrase(lang, "event."+word) == "" && kind != "" && step != "" {
		return kind + ": " + step
	}
	return term(lang, "event", word)
}

// languageOf is what the visitor chose, or what the browser asks for.
func languageOf(r *http.Request) string {
	if c, err := r.Cookie(cookieLanguage); err == nil {
		for _, lang := range languages {
			if c.Value == lang {
				return lang
			}
		}
	}
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return languages[0]
	}
	_, i, _ := matcher.Match(tags...)
	return languages[i]
}
