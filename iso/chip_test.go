package iso

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func bytesOf(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestChipData: what is chip data, and where what is none goes wrong.
func TestChipData(t *testing.T) {
	for name, v := range map[string]struct {
		data string
		at   int // -1: it is good
	}{
		"nothing":                    {"", -1},
		"an element":                 {"9F2608E1D2C3B4A5968778", -1},
		"an empty one":               {"9F2600", -1},
		"three bytes of tag":         {"DF810C0102", -1},
		"a long form":                {"818102ABCD", -1},
		"a longer form":              {"81820002ABCD", -1},
		"two scripts":                {"72028600" + "72028600" + "95050000000000", -1},
		"a tag twice":                {"9F36009500" + "9F3600", 5},
		"a tag alone":                {"9F26", 2},
		"half a tag":                 {"9F", 0},
		"a tag without an end":       {"DF8181810100", 0},
		"a value cut off":            {"9500" + "9F2608E1D2", 4},
		"no definite length":         {"9F26800000", 2},
		"a length of three bytes":    {"9583000001AA", 1},
		"a length cut off":           {"958200", 1},
		"padding":                    {"950000", 2},
		"what begins no tag":         {"FF0100", 0},
		"too many elements":          {manyElements(65), 64 * 3},
		"as many elements as may be": {manyElements(64), -1},
		"more than a field":          {"9F1082" + "03E3" + strings.Repeat("00", 995), 999},
	} {
		err := CheckChip(bytesOf(t, v.data))
		var bad *ChipError
		switch {
		case v.at < 0 && err != nil:
			t.Errorf("%s: %v", name, err)
		case v.at >= 0 && (!errors.As(err, &bad) || bad.At != v.at):
			t.Errorf("%s: %v; want byte %d", name, err, v.at)
		}
	}
}

// manyElements are n elements of different tags and no value, three bytes each.
func manyElements(n int) string {
	var out []byte
	for i := range n {
		out = append(out, 0x9F, byte(0x20+i%0x5F), 0)
	}
	return hex.EncodeToString(out)
}

// TestChipDataIsFiltered: the listed tags pass in the list's order, others do not.
func TestChipDataIsFiltered(t *testing.T) {
	const given = "57124111111111111111D28122010000012345675A0841111111111111115F2004414243449F3602001F95050000008000DF0101AA9F2608E1D2C3B4A5968778"
	got, broken := appendChip(nil, bytesOf(t, given), []uint32{0x9F26, 0x9F27, 0x95, 0x9F36})
	if want := "9F2608E1D2C3B4A596877895050000008000" + "9F3602001F"; broken != ruleNone || !strings.EqualFold(hex.EncodeToString(got), want) {
		t.Errorf("got %X, want %s", got, want)
	}
	if got, broken := appendChip(nil, []byte{0x9F}, []uint32{0x9F26}); broken != ruleChip || len(got) != 0 {
		t.Errorf("half a tag: %X, rule %d", got, broken)
	}
}

// TestPINAndChipInMessages: a request of a card that is present has the PIN block,
// what the bank wants to know of it, and the chip data it allows; one without has
// none of them; an answer gives the issuer's data back.
func TestPINAndChipInMessages(t *testing.T) {
	for _, name := range []string{"ascii87", "binary87", "ascii93", "visa-base1", "way4"} {
		d, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		v := purchase()
		var m, ans Message
		if err := d.Build(OpPurchase, v, &m); err != nil || m.Has(52) || m.Has(53) || m.Has(55) {
			t.Fatalf("%s: without a PIN: %v", name, err)
		}
		block := bytesOf(t, "0123456789ABCDEF")
		v.Carried = &Carried{Channel: ChannelChip}
		v.Secrets = &Secrets{PINBlock: NewSecret(block), EMV: NewSecret(bytesOf(t, "5A0841111111111111119F2608E1D2C3B4A5968778"))}
		if err := errors.Join(d.Carries(OpPurchase, v), d.CarriesPIN(OpPurchase)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := d.Build(OpPurchase, v, &m); err != nil || string(m.Get(52)) != string(block) || hex.EncodeToString(m.Get(55)) != "9f2608e1d2c3b4a5968778" {
			t.Errorf("%s: %v, chip %X", name, err, m.Get(55))
		}
		if control := m.Get(53); d.pin.control != "" && string(control) != "2001010100000000" {
			t.Errorf("%s: field 53 is %q", name, control)
		}
		if string(d.PINBlock(&m)) != string(block) || len(d.Chip(&m)) != 11 {
			t.Errorf("%s: the bank sees no PIN or no chip", name)
		}
		for _, view := range d.Describe(&m) {
			if view.Number == 52 && view.Value != hidden || view.Number == 55 && view.Value != hidden {
				t.Errorf("%s shows %+v", name, view)
			}
		}
		back := Values{ResponseCode: string(d.CodeLike(m.MTI.Response(), "00")), SentAt: v.SentAt, Secrets: &Secrets{EMV: NewSecret(bytesOf(t, "8A0230309F360200019105AABBCCDDEE"))}}
		if err := d.Answer(&m, &back, &ans); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := hex.EncodeToString(d.AppendChipAnswer(nil, &ans)); got != "9105aabbccddee8a023030" {
			t.Errorf("%s answers %s", name, got)
		}
		var lack *CarryError
		if v.Secrets.EMV = NewSecret(bytesOf(t, "9A03261127DF0100")[:5]); d.Carries(OpPurchase, v) != nil {
			t.Errorf("%s: %v", name, d.Carries(OpPurchase, v))
		}
		if v.Secrets.EMV = NewSecret(bytesOf(t, "DF0100")); !errors.As(d.Carries(OpPurchase, v), &lack) || !lack.Unfit || lack.Source != "emv" {
			t.Errorf("%s: chip data of which nothing passes: %v", name, lack)
		}
	}
}

// TestChipDataHasNoOtherReading: data that passes the check is made of its elements,
// and no filter lets through what is not listed.
func TestChipDataHasNoOtherReading(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "data")
		var items [maxChipItems]chipItem
		n, err := parseChip(data, &items)
		if err != nil {
			return
		}
		var again []byte
		for _, i := range items[:n] {
			again = append(again, i.whole...)
		}
		if string(again) != string(data) {
			t.Fatalf("%X is read as %X", data, again)
		}
		out, _ := appendChip(nil, data, []uint32{0x9F26})
		if len(out) > 0 && (out[0] != 0x9F || out[1] != 0x26) {
			t.Fatalf("%X passes as %X", data, out)
		}
	})
}

func FuzzChip(f *testing.F) {
	for _, seed := range []string{"9F2608E1D2C3B4A5968778", "DF810C0102", "81820002ABCD", "7202860072028600"} {
		f.Add(bytesOf(f, seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if CheckChip(data) != nil {
			return
		}
		if out, broken := appendChip(nil, data, []uint32{0x57, 0x9F26}); broken != ruleNone || len(out) > len(data) {
			t.Fatalf("%X gives %X", data, out)
		}
	})
}
