package cabinet

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/joining"
	"github.com/tranzit/tranzit/switch/people"
)

// TestCatalogues: every language has every key, with the same places for arguments.
func TestCatalogues(t *testing.T) {
	verb := regexp.MustCompile(`%[sd%]`)
	want := slices.Sorted(maps.Keys(catalogues["en"]))
	if len(want) < 100 {
		t.Fatalf("%d keys", len(want))
	}
	for _, lang := range languages {
		for _, key := range want {
			text, ok := catalogues[lang][key]
			if !ok || strings.TrimSpace(text) == "" {
				t.Errorf("%s lacks %s", lang, key)
			}
			if got, en := verb.FindAllString(text, -1), verb.FindAllString(catalogues["en"][key], -1); !slices.Equal(got, en) {
				t.Errorf("%s: %s takes %v, in English %v", lang, key, got, en)
			}
		}
		for key := range catalogues[lang] {
			if !slices.Contains(want, key) {
				t.Errorf("%s has %s, which English lacks", lang, key)
			}
		}
	}
}

// TestPhrasesExist: what pages and code ask for is in the catalogue.
func TestPhrasesExist(t *testing.T) {
	asked := map[string]string{}
	find := func(file, text string, patterns ...string) {
		for _, pattern := range patterns {
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
				asked[m[1]] = file
			}
		}
	}
	pages, _ := fs.Glob(pageFiles, "pages/*.html")
	for _, file := range pages {
		text, _ := fs.ReadFile(pageFiles, file)
		find(file, string(text), `\bt "([a-z_]+\.[a-z_]+)"`)
		page := strings.TrimSuffix(filepath.Base(file), ".html")
		if page != "layout" {
			asked["title."+page] = file
		}
	}
	sources, _ := filepath.Glob("*.go")
	for _, file := range sources {
		text, err := os.ReadFile(file)
		if err != nil || strings.HasSuffix(file, "_test.go") {
			continue
		}
		find(file, string(text), `words\(v\.lang, "([a-z_]+\.[a-z_]+)"`)
		for _, m := range regexp.MustCompile(`(?:What: |changeHook\(|actsOf\([^,]+, |changeKey\()"([a-z_]+)"`).FindAllStringSubmatch(string(text), -1) {
			if !strings.HasSuffix(m[1], "_") {
				asked["did."+m[1]] = file
			}
		}
		for _, m := range regexp.MustCompile(`(?:done\([^)]*, |done=)"?([a-z_]+)"`).FindAllStringSubmatch(string(text), -1) {
			if !strings.HasSuffix(m[1], "_") {
				asked["done."+m[1]] = file
			}
		}
	}
	askedByData(asked)
	if len(asked) < 150 {
		t.Fatalf("only %d phrases are asked for", len(asked))
	}
	for key, file := range asked {
		if phrase("en", key) == "" {
			t.Errorf("%s asks for %s, which is in no catalogue", file, key)
		}
	}
}

// askedByData adds the phrases whose keys are made of words of the API.
func askedByData(asked map[string]string) {
	for _, s := range sections {
		asked["nav."+s.Path] = "sections"
	}
	for _, s := range listedStatuses {
		asked["status."+s.String()] = "statuses"
	}
	for _, verdict := range payswitch.BankVerdicts() {
		asked["verdict."+string(verdict)] = "verdicts"
	}
	for _, role := range people.Roles() {
		asked["role."+string(role)], asked["roletells."+string(role)] = "roles", "roles"
	}
	for _, part := range applyParts("en", &joining.Form{}, "") {
		asked["applypart."+part.Name] = "application"
		for _, f := range part.Fields {
			asked["apply."+f.Name], asked["applyhint."+f.Name], asked["applybad."+f.Name] = "application", "application", "application"
		}
	}
	for _, act := range joining.ActTypes() {
		asked["happened."+string(act)] = "acts"
		if act != joining.ActApply && act != joining.ActTestEnded && act != joining.ActExpire {
			asked["did.joining_"+string(act)] = "acts"
		}
	}
	for _, check := range joining.Checks {
		asked["check."+check], asked["checkhow."+check] = "checks", "checks"
	}
	for _, stage := range joining.Stages() {
		asked["stage."+string(stage)] = "stages"
	}
	for _, name := range filterNames {
		if name != "code" {
			asked["field."+name] = "filter"
		}
	}
	for _, kind := range []string{"capture", "cancel", "refund"} {
		for _, family := range []string{"ask.", "ask.do_", "bulk.", "did.", "did.batch_", "operation."} {
			asked[family+kind] = "kinds"
		}
	}
}

// TestLanguages: the browser's wish counts, then the choice of who is not signed in.
func TestLanguages(t *testing.T) {
	r := newRig(t)
	for asked, want := range map[string]string{"ru-RU,ru;q=0.9": "Вход", "es-MX": "Iniciar sesión", "de": "Sign in", "": "Sign in"} {
		r.browser().do("GET", "/signin", nil, "Accept-Language", asked).want(t, 200, want)
	}
	c := r.browser()
	c.get("/signin?lang=ru").want(t, 200, "Вход", `<html lang="ru">`)
	c.get("/signin").want(t, 200, "Вход")
}

// TestEveryEventHasAName: no step of a payment's story is shown by its bare word.
func TestEveryEventHasAName(t *testing.T) {
	for _, lang := range languages {
		for _, word := range payswitch.StoryWords() {
			if event(lang, word) == strings.ReplaceAll(word, "_", " ") {
				t.Errorf("%s lacks a name for %s", lang, word)
			}
		}
	}
}
