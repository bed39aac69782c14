package iso

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMTI(t *testing.T) {
	for _, c := range []struct{ request, answer string }{
		{"0200", "0210"}, {"0201", "0210"}, {"0421", "0430"}, {"0401", "0410"}, {"1421", "1430"}, {"0800", "0810"},
	} {
		m, err := ParseMTI(c.request)
		if err != nil || m.String() != c.request || m.Response().String() != c.answer || !m.ExpectsAnswer() || m.IsAnswer() {
			t.Errorf("%s: answer %s, %v", c.request, m.Response(), err)
		}
	}
	if m, _ := ParseMTI("0431"); m.Normal().String() != "0430" || !m.IsAnswer() || m.Title() != "reversal advice response repeat" {
		t.Errorf("0431: %s %s", m.Normal(), m.Title())
	}
	if m, _ := ParseMTI("0420"); m.Repeat().String() != "0421" || m.Class() != 4 || m.Function() != 2 || m.Version() != 0 || m.Origin() != 0 {
		t.Error("0420 is taken apart wrong")
	}
	for _, s := range []string{"", "020", "02000", "02a0", "-200", " 200"} {
		if _, err := ParseMTI(s); !errors.Is(err, ErrMTI) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestPANBrands(t *testing.T) {
	for digits, brand := range map[string]string{
		"4111111111111111": "visa", "5555555555554444": "mastercard", "378282246310005": "amex", "2200000000000004": "mir",
		"6011111111111117": "discover", "2223000048400011": "mastercard", "4012888888881881": "visa", "3530111333300000": "jcb",
		"4000000000009995": "visa",
	} {
		if p, err := ParsePAN([]byte(digits)); err != nil || p.Brand() != brand || p.BIN() != digits[:6] || p.Last4() != digits[len(digits)-4:] || string(p.Append(nil)) != digits {
			t.Errorf("%s: %s, %v", digits, p.Brand(), err)
		}
	}
}

func TestPANRefusals(t *testing.T) {
	for digits, want := range map[string]error{
		"4111111111111112": ErrPANLuhn, "41111111111": ErrPANLength, "41111111111111111111": ErrPANLength,
		"4111 1111 1111 1111": ErrPANDigits, "": ErrPANLength, "411111111111111x": ErrPANDigits,
	} {
		_, err := ParsePAN([]byte(digits))
		if !errors.Is(err, want) || strings.Contains(err.Error(), "411") {
			t.Errorf("%q: %v", digits, err)
		}
	}
}

// No way of printing a value shows more than it may.
func TestCardDataIsMaskedEverywhere(t *testing.T) {
	pan := mustPAN("4111111111111111")
	cvc, err := ParseCVC([]byte("7391"))
	if err != nil {
		t.Fatal(err)
	}
	both := struct {
		P PAN
		C CVC
		V Values
	}{pan, cvc, Values{PAN: pan, CVC: cvc}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q", "%c"} {
		fmt.Fprintf(&out, verb+verb+verb, both, pan, cvc)
		fmt.Fprintf(&out, verb, both.V)
	}
	text, err := json.Marshal(both)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "both", both, "pan", pan, "cvc", cvc)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "both", both, "pan", pan, "cvc", cvc)
	for _, secret := range []string{"1111111", "7391", "55, 51, 57", "37333931", "49, 49, 49, 49, 49, 49, 49"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is shown: %s", secret, out.String())
		}
	}
	if !strings.Contains(out.String(), "411111******1111") {
		t.Error("the masked form is not shown")
	}
	pan.Wipe()
	cvc.Wipe()
	if !pan.IsZero() || !cvc.IsZero() || pan != (PAN{}) || cvc != (CVC{}) {
		t.Error("wiped values are left")
	}
	if short := mustPAN("411111111117"); strings.Count(short.Masked(), "*") != 8 {
		t.Errorf("of 12 digits only four may be shown: %s", short)
	}
}

func TestExpiry(t *testing.T) {
	e := Expiry{2028, 12}
	if got := string(e.AppendYYMM(nil)); got != "2812" {
		t.Error(got)
	}
	if e.Expired(time.Date(2028, 12, 31, 23, 59, 0, 0, time.UTC)) || !e.Expired(time.Date(2029, 1, 2, 0, 0, 0, 0, time.UTC)) {
		t.Error("a card is good through the last day of its month")
	}
	if len((Expiry{2028, 13}).AppendYYMM(nil)) != 0 {
		t.Error("a month 13 was written")
	}
}

func TestCurrency(t *testing.T) {
	for alpha, want := range map[string]struct {
		numeric  string
		exponent int
	}{"EUR": {"978", 2}, "RUB": {"643", 2}, "JPY": {"392", 0}, "KWD": {"414", 3}} {
		c := mustCurrency(alpha)
		back, ok := CurrencyByNumeric(want.numeric)
		if c.Numeric() != want.numeric || c.Exponent() != want.exponent || c.Alpha() != alpha || !ok || back != c {
			t.Errorf("%s: %s %d", alpha, c.Numeric(), c.Exponent())
		}
	}
	if _, err := ParseCurrency("eur"); err == nil || !(Currency{}).IsZero() || (Currency{}).Alpha() != "" {
		t.Error("small letters, or the zero value")
	}
}

// A message behaves like a map from field to bytes.
func TestMessageIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Message
		want := map[int]string{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			f := rapid.IntRange(2, MaxField).Draw(t, "field")
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				m.Delete(f)
				delete(want, f)
			case 1:
				if from := rapid.IntRange(2, MaxField).Draw(t, "from"); m.Has(from) {
					m.Set(f, m.Get(from))
					want[f] = want[from]
				}
			default:
				want[f] = rapid.StringN(0, 40, 90).Draw(t, "value")
				m.SetString(f, want[f])
			}
		}
		m.MTI = 0x0200
		var compact, copied Message
		if err := compact.SetCompact(m.AppendCompact(nil)); err != nil {
			t.Fatal(err)
		}
		copied.CopyFrom(&m)
		for _, each := range []*Message{&m, &compact, &copied} {
			last, n := 0, 0
			for f, value := range each.Fields {
				if text, ok := want[f]; !ok || text != string(value) || f <= last {
					t.Fatalf("field %d", f)
				}
				last, n = f, n+1
			}
			if n != len(want) || each.MTI != 0x0200 {
				t.Fatalf("%d fields of %d", n, len(want))
			}
		}
	})
}

func TestWipeLeavesNothing(t *testing.T) {
	var m Message
	m.SetString(48, "secret-code")
	first := m.arena[:cap(m.arena)]
	m.SetString(60, strings.Repeat("x", 4000))
	second := m.arena[:cap(m.arena)]
	m.Wipe()
	if bytes.Contains(first, []byte("secret")) || bytes.Contains(second, []byte("secret")) || m.Has(48) {
		t.Error("the memory still holds the value")
	}
}

func TestSetCompactRefuses(t *testing.T) {
	var m Message
	for _, b := range [][]byte{nil, {2}, {2, 0, 3}, {2, 0, 3, 5, 'a'}, {2, 0, 1, 1, 'a'}, {2, 0, 193, 1, 'a'},
		{2, 0, 4, 1, 'a', 3, 1, 'b'}, {2, 0, 3, 1, 'a', 3, 1, 'b'}, {2, 0, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}} {
		if err := m.SetCompact(b); !errors.Is(err, ErrCompact) || m.MTI != 0 || m.Has(3) {
			t.Errorf("% x: %v", b, err)
		}
	}
}
