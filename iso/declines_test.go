package iso

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// TestDeclineTextsHaveAVersion: a text may not change while its version stays,
// since answers repeat byte for byte within one. Who changes a text raises the
// version and writes the new sum here.
func TestDeclineTextsHaveAVersion(t *testing.T) {
	const version, sum = 2, "a6027012f2e57327"
	h := sha256.New()
	for _, reason := range Declines().All() {
		fmt.Fprintln(h, reason.Code, reason.Advice, reason.Buyer.RU, reason.Buyer.EN, reason.Buyer.ES)
	}
	if got := fmt.Sprintf("%.8x", h.Sum(nil)); Declines().Version() != version || got != sum {
		t.Errorf("version %d has the sum %s", Declines().Version(), got)
	}
}

// TestBuyerIsToldNothingOfFraud: what the payer reads is the same for a card
// that is stolen as for one that is declined without a reason.
func TestBuyerIsToldNothingOfFraud(t *testing.T) {
	plain := Declines().Find("do_not_honor").Buyer
	for _, code := range []string{"lost_card", "stolen_card", "pickup_card", "suspected_fraud"} {
		if got := Declines().Find(code).Buyer; got != plain {
			t.Errorf("%s tells the payer %q", code, got.EN)
		}
	}
	for _, reason := range Declines().All() {
		told := strings.ToLower(reason.Buyer.EN + reason.Buyer.RU + reason.Buyer.ES)
		for _, word := range []string{"fraud", "stol", "lost", "suspect", "police", "block", "мошен", "украд", "потер", "утер", "утрач", "подозр",
			"заблок", "robad", "perdid", "sospech", "bloque"} {
			if strings.Contains(told, word) {
				t.Errorf("%s tells the payer %q", reason.Code, word)
			}
		}
		for language, text := range map[string]string{"ru": reason.Buyer.RU, "en": reason.Buyer.EN, "es": reason.Buyer.ES} {
			if cyrillic := strings.ContainsAny(text, "аеиоуы"); cyrillic != (language == "ru") || !strings.HasSuffix(text, ".") {
				t.Errorf("%s in %s: %q", reason.Code, language, text)
			}
		}
	}
}

// TestDeclineCatalogueRefuses what it cannot mean.
func TestDeclineCatalogueRefuses(t *testing.T) {
	const entry = `version: 1
codes:
  x: {given_by: bank, retry: later, stops: card, meaning: M., advice: A., buyer: {ru: R., en: E., es: S.}}
`
	if c, err := parseDeclines("f", []byte(entry)); err != nil || c.Find("x").Stops != StopsCard || c.Find("y") != nil || len(c.All()) != 1 {
		t.Fatal(c, err)
	}
	for _, change := range [][2]string{
		{"version: 1", "version: 0"}, {"given_by: bank", "given_by: us"}, {"retry: later", "retry: soon"}, {"stops: card", "stops: all"},
		{"advice: A.", "advice: ''"}, {"es: S.", "fr: S."}, {", es: S.", ""}, {"meaning: M.", "meaning: " + strings.Repeat("M", maxDeclineText+1)},
	} {
		text := strings.Replace(entry, change[0], change[1], 1)
		if _, err := parseDeclines("f", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "f: ") || text == entry {
			t.Errorf("%q: %v", change[1], err)
		}
	}
}

// TestDialectNamesOnlyTheCatalogue: a code that the catalogue lacks, or that
// only the switch may give, is refused with file and line.
func TestDialectNamesOnlyTheCatalogue(t *testing.T) {
	text, err := BuiltinFile("ascii87")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"insufficient_founds", "retry_not_allowed", "not_sent"} {
		broken := strings.Replace(string(text), "decline: insufficient_funds", "decline: "+word, 1)
		line := strings.Count(broken[:strings.Index(broken, word)], "\n") + 1
		_, err := ParseDialect("mine.yaml", []byte(broken))
		if want := fmt.Sprintf("mine.yaml:%d: ", line); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, want %s", word, err, want)
		}
	}
}
