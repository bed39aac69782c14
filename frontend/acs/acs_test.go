package acs

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// TestEveryTextIsThere: the languages have the same texts with the same
// placeholders, and those that the page names.
func TestEveryTextIsThere(t *testing.T) {
	raw, err := assets.ReadFile("challenge.html")
	if err != nil {
		t.Fatal(err)
	}
	named := []string{"paying"}
	for _, m := range regexp.MustCompile(`\.T "([^"]+)"`).FindAllStringSubmatch(string(raw), -1) {
		named = append(named, m[1])
	}
	slices.Sort(named)
	named = slices.Compact(named)
	holes := regexp.MustCompile(`\{\w+\}`)
	for _, language := range []string{"en", "ru", "es"} {
		if got := slices.Sorted(maps.Keys(texts[language])); !slices.Equal(got, named) {
			t.Errorf("%s has %q, the page names %q", language, got, named)
		}
		for key, text := range texts[language] {
			if text == "" || !slices.Equal(holes.FindAllString(text, -1), holes.FindAllString(texts["en"][key], -1)) {
				t.Errorf("%s %s: %q", language, key, text)
			}
		}
	}
}

// TestChallengeSpeaks: the language that the switch told goes before the browser's.
func TestChallengeSpeaks(t *testing.T) {
	s := New()
	s.Bind("http://acs.example", func(payswitch.ID, payswitch.Authentication) (payswitch.Payment, error) {
		return payswitch.Payment{}, nil
	})
	pan, err := iso.ParsePAN([]byte("4000000003000009"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ told, browser, want string }{{"", "", "en"}, {"", "fr", "en"}, {"", "ru", "ru"}, {"es", "ru", "es"}, {"fr", "ru", "ru"}} {
		found := s.Authenticate(&payswitch.AuthenticationRequest{PAN: pan, Amount: 129900, Currency: "RUB", Language: c.told, ReturnURL: "https://shop.example"})
		_, name, _ := strings.Cut(found.URL, Path)
		status, document := s.Answer(&Request{Challenge: name, Language: c.browser})
		if text := string(document); status != 200 || !strings.Contains(text, `<html lang="`+c.want+`">`) || !strings.Contains(text, texts[c.want]["hint"]) ||
			!strings.Contains(text, "<strong>0009</strong>") {
			t.Errorf("told %q, the browser asks for %q: %d %s", c.told, c.browser, status, document)
		}
	}
}

// TestDocsNameTheCards: docs/test-bank.md has a row for each card.
func TestDocsNameTheCards(t *testing.T) {
	text, err := os.ReadFile("../../docs/test-bank.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Cards() {
		if row := fmt.Sprintf("| `%s` | %s |", c.Number, c.Does); !strings.Contains(string(text), row) {
			t.Errorf("the page lacks the row %s", row)
		}
	}
}
