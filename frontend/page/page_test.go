package page

import (
	"bytes"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// TestEveryTextIsThere: the catalogues have the same keys with the same
// placeholders, and each key that a template names.
func TestEveryTextIsThere(t *testing.T) {
	holes := regexp.MustCompile(`\{\w+\}`)
	sorted := func(s string) []string {
		found := holes.FindAllString(s, -1)
		slices.Sort(found)
		return found
	}
	base := catalogues["en"]
	for language, texts := range catalogues {
		if got, want := slices.Sorted(maps.Keys(texts)), slices.Sorted(maps.Keys(base)); !slices.Equal(got, want) {
			t.Errorf("%s has other keys than en: %q, %q", language, got, want)
		}
		for key, text := range texts {
			if text == "" || !slices.Equal(sorted(text), sorted(base[key])) {
				t.Errorf("%s %s: %q", language, key, text)
			}
		}
	}
	for _, m := range regexp.MustCompile(`\.T "([^"]+)"`).FindAllStringSubmatch(mustAsset("page.html"), -1) {
		if base[m[1]] == "" {
			t.Errorf("the page names the text %s", m[1])
		}
	}
	for _, key := range scriptTexts {
		if base["error."+key] == "" {
			t.Errorf("the script names the text %s", key)
		}
	}
}

func TestAccepted(t *testing.T) {
	for header, want := range map[string]string{"": "en", "ru": "ru", "es-MX,es;q=0.9": "es", "fr,de;q=0.8": "en", "fr;q=0.9, ru;q=0.3, en;q=0.2": "ru",
		"en;q=0, ru;q=0.1": "ru", "RU-ru": "ru", ";;;,q=": "en", "ru;q=x, es;q=0.5": "es"} {
		if got := Accepted(header); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestReadExpiry(t *testing.T) {
	for text, want := range map[string]iso.Expiry{"8/29": {Year: 2029, Month: 8}, "08/29": {Year: 2029, Month: 8}, "0829": {Year: 2029, Month: 8},
		"08 / 2029": {Year: 2029, Month: 8}, "082029": {Year: 2029, Month: 8}, "12-30": {Year: 2030, Month: 12},
		"13/29": {}, "00/29": {}, "8": {}, "829": {}, "": {}, "08/29/30": {}, "ab/cd": {}, "08/3": {}} {
		if got, ok := readExpiry(text); got != want || ok != (want != iso.Expiry{}) {
			t.Errorf("%q: %+v %v", text, got, ok)
		}
	}
}

func TestMoney(t *testing.T) {
	for _, tt := range []struct {
		minor           int64
		alpha, language string
		want            string
	}{{129900, "RUB", "ru", "1 299,00 ₽"}, {129900, "EUR", "en", "€1,299.00"}, {500, "JPY", "en", "¥500"}, {129900, "EUR", "es", "1299,00 €"}} {
		got := strings.NewReplacer("\u00a0", " ", "\u202f", " ").Replace(money(tt.minor, tt.alpha, tt.language))
		if got != tt.want {
			t.Errorf("%d %s in %s: %q", tt.minor, tt.alpha, tt.language, got)
		}
	}
}

// TestGuardForgets: the count of a minute is halved in the next and gone after it.
func TestGuardForgets(t *testing.T) {
	var g guard
	g.init(4)
	now := time.Unix(600, 0)
	net := netip.MustParseAddr("2001:db8::1")
	same := netip.MustParseAddr("2001:db8::ffff:2")
	admitted := func(from netip.Addr, at time.Time, n int) (ok int) {
		for range n {
			if g.admit(from, at) {
				ok++
			}
		}
		return ok
	}
	if a, b := admitted(net, now, 3), admitted(same, now, 9); a != 3 || b != 1 {
		t.Errorf("one network: %d and %d", a, b)
	}
	if n := admitted(netip.MustParseAddr("192.0.2.1"), now, 9); n != 4 {
		t.Errorf("another address: %d", n)
	}
	if n := admitted(net, now.Add(time.Minute), 9); n != 2 {
		t.Errorf("a minute later: %d", n)
	}
	if n := admitted(net, now.Add(5*time.Minute), 9); n != 4 {
		t.Errorf("later: %d", n)
	}
}

func TestQR(t *testing.T) {
	picture, err := QR("https://pay.example.com/pay/cs_01kaz7q2v5e8xv9h2m3n4p5q6r")
	if err != nil || !bytes.HasPrefix(picture, []byte("<svg ")) || bytes.Contains(picture, []byte("script")) {
		t.Errorf("%v: %.60s", err, picture)
	}
	if _, err := QR(strings.Repeat("x", 5000)); err == nil {
		t.Error("a text of 5000 bytes fits")
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]bool{"https://shop.example/thanks?a=1#b": true, "http://shop.example/": false, "javascript:alert(1)": false,
		"https://a:b@shop.example/": false, "//shop.example": false, "https:shop": false, "": false} {
		if err := CheckReturn(text, false); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	if CheckReturn("http://127.0.0.1/x", true) != nil || CheckURL("https://pay.example.com/x") == nil || CheckURL("https://pay.example.com") != nil {
		t.Error("plain addresses, or the page's own")
	}
}

// FuzzReadForm: whatever comes, what is read lies in the bytes that came, so that
// overwriting them overwrites all.
func FuzzReadForm(f *testing.F) {
	f.Add("number=4111+1111&cvc=%31%32%33&form=x&&=&a")
	f.Add("%zz=%4&b=%")
	f.Fuzz(func(t *testing.T, text string) {
		body := []byte(text)
		sent := readForm(body)
		clear(body)
		for name, value := range sent {
			for _, c := range value {
				if c != 0 {
					t.Errorf("%q is still there", name)
				}
			}
		}
	})
}
