package frontend

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestBanks: the catalogue in each language is the golden file's, and one bank of it
// is the same.
func TestBanks(t *testing.T) {
	s := openShop(t, func(o *Options) { o.Switch = newRigOf(t, rigPlan{profile: "demo-alfa"}).sw })
	for _, language := range []string{"en", "ru", "es"} {
		list := s.want("200", "GET /v1/banks?lang="+language, "").body
		var shown bytes.Buffer
		must(t, json.Indent(&shown, []byte(list), "", " "))
		path := "testdata/banks_" + language + ".golden"
		if *update {
			must(t, os.WriteFile(path, shown.Bytes(), 0o644))
		}
		if want := readFile(t, path); shown.String() != want {
			t.Errorf("the catalogue differs from %s; see it with -update\n%s", path, shown.String())
		}
		if one := s.want("200", "GET /v1/banks/alfa", "", "Accept-Language", language).body; !strings.Contains(list, one) {
			t.Errorf("the list has not what the bank is: %s", one)
		}
	}
}

// TestBanksSpeak the language that is asked for.
func TestBanksSpeak(t *testing.T) {
	s := openShop(t, nil)
	for _, tt := range []struct{ query, header, want string }{
		{"", "", "en"},
		{"", "ru", "ru"},
		{"", "es-MX,es;q=0.9,en;q=0.1", "es"},
		{"", "de, ru;q=0.5", "ru"},
		{"", "de", "en"},
		{"", "q=;;,", "en"},
		{"", "ru" + strings.Repeat(",ru", 100), "en"},
		{"?lang=es", "ru", "es"},
	} {
		r := s.want("200", "GET /v1/banks"+tt.query, "", "Accept-Language", tt.header)
		if !strings.Contains(r.body, `"language":"`+tt.want+`"`) {
			t.Errorf("%q %q: %.60s, want %s", tt.query, tt.header, r.body, tt.want)
		}
	}
	for query, fault := range map[string]string{
		"?lang=de": "unknown_language", "?lang=": "unknown_language", "?lang=ru&lang=en": "duplicate_field", "?language=ru": "unknown_field",
	} {
		if r := s.want("400 invalid_request", "GET /v1/banks/alfa"+query, ""); !strings.Contains(r.body, `"code":"`+fault+`"`) {
			t.Errorf("%s: %s, want %s", query, r.body, fault)
		}
	}
	s.want("404 not_found", "GET /v1/banks/nobody", "")
}

// TestNotServed: what the bank's profile does not take is refused by name before
// anything is recorded, and explained in the same words.
func TestNotServed(t *testing.T) {
	bench := newRigOf(t, rigPlan{profile: "demo-alfa"})
	s := openShop(t, func(o *Options) { o.Switch = bench.sw })
	dear := strings.Replace(leanBody, "129900", "999999999", 1)
	gift := with("4111111111111111", "4041150000000006")
	for _, tt := range []struct{ name, body, pointer, rule, detail string }{
		{"amount", dear, "/amount", "operations.amounts", "takes purchases of 1 to 60000000 in RUB"},
		{"card", gift, "/payment_method", "cards.refused", "takes no gift cards of this range"},
	} {
		r := s.want("400 invalid_request", "POST /v1/payments", tt.body, "Idempotency-Key", tt.name)
		want := `"errors":[{"pointer":"` + tt.pointer + `","code":"not_served","detail":"Bank \"alfa\" ` + tt.detail + " (" + tt.rule + ` in its profile). Nothing was recorded or sent."}]`
		if !strings.Contains(r.body, want) {
			t.Errorf("%s: %s, want %s", tt.name, r.body, want)
		}
		r = s.want("200", "POST /v1/payments/explain", tt.body)
		want = `"considered":[{"bank":"alfa","verdict":"not_served","rule":"` + tt.rule + `","detail":"It ` + tt.detail + `."}]`
		if !strings.Contains(r.body, `"refusal":{"code":"not_served"`) || !strings.Contains(r.body, want) {
			t.Errorf("%s is explained as %s, want %s", tt.name, r.body, want)
		}
	}
	if n := strings.Count(s.do("GET", "/v1/payments", "").body, `"object":"payment"`); n != 0 || bench.host.Books().Len() != 0 {
		t.Errorf("%d payments, %d messages at the bank", n, bench.host.Books().Len())
	}
}
