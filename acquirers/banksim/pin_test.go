package banksim

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/iso/security"
)

// TestPINs: the right PIN is approved, a wrong one declined, the third in a row
// blocks the card, and a block under another key is no PIN.
func TestPINs(t *testing.T) {
	for _, name := range generic87 {
		t.Run(name, func(t *testing.T) {
			key := []byte("0123456789abcdef")
			b := start(t, Config{Dialect: dialect(t, name), Keys: map[string][]byte{"pin": key}})
			c := signedOn(t, b)
			ask := func(card, pin string, under []byte) string {
				t.Helper()
				v := c.values(card, 10000)
				v.Carried, v.Secrets = &iso.Carried{Channel: iso.ChannelChip}, &iso.Secrets{}
				if pin != "" {
					block, err := security.EncryptPIN(security.PINBlock{Key: under}, pin, card)
					if err != nil {
						t.Fatal(err)
					}
					v.Secrets.PINBlock = iso.NewSecret(block)
				}
				return code(c.ask(c.build(iso.OpPurchase, v)))
			}
			const one, two, asks, poor = "4111111111111111", "5555555555554444", "4000000001280009", "4000000000009995"
			for i, step := range []struct {
				card, pin, want string
			}{
				{one, TestPIN, "00"}, {one, "4321", "55"}, {one, "4321", "55"}, {one, TestPIN, "00"}, // the right one forgives
				{one, "4321", "55"}, {one, "12345", "55"}, {one, "4321", "75"}, {one, TestPIN, "75"}, // blocked
				{one, "", "00"}, {two, TestPIN, "00"}, // others are not
				{asks, "", "55"}, {asks, TestPIN, "00"}, {asks, "0000", "55"},
				{poor, TestPIN, "51"}, {poor, "0000", "51"}, // it declines anyway
			} {
				if got := ask(step.card, step.pin, key); got != step.want {
					t.Errorf("step %d: PIN %q of %s is answered %s, want %s", i, step.pin, step.card[:4], got, step.want)
				}
			}
			if got := ask(two, TestPIN, []byte("another key, yes")); got != "63" {
				t.Errorf("a block under another key is answered %s", got)
			}
			if all := b.Books().Entries(); all[0].Carried == nil || !all[0].Carried.PIN || all[8].Carried.PIN {
				t.Errorf("the books say %+v and %+v", all[0].Carried, all[8].Carried)
			}
		})
	}
}

// TestChipAnswers: an answer to chip data has the code, and a cryptogram when one came.
func TestChipAnswers(t *testing.T) {
	for _, name := range []string{"ascii87", "binary87", "ascii93"} {
		b := start(t, Config{Dialect: dialect(t, name)})
		c := signedOn(t, b)
		for given, want := range map[string]string{"9f2608e1d2c3b4a5968778": "910a" + arpc("e1d2c3b4a5968778", "00") + "30308a023030", "9f3602001f": "8a023030"} {
			chip, err := hex.DecodeString(given)
			if err != nil {
				t.Fatal(err)
			}
			v := c.values("4111111111111111", 10000)
			v.Carried, v.Secrets = &iso.Carried{Channel: iso.ChannelChip}, &iso.Secrets{EMV: iso.NewSecret(chip)}
			ans := c.ask(c.build(iso.OpPurchase, v))
			if got := hex.EncodeToString(c.d.AppendChipAnswer(nil, ans)); got != want {
				t.Errorf("%s: %s is answered %s, want %s", name, given, got, want)
			}
		}
		plain := c.ask(c.build(iso.OpPurchase, c.values("4111111111111111", 10000)))
		if plain.Has(55) {
			t.Errorf("%s: chip data for a card that is not there", name)
		}
	}
}

// arpc is method 1 of EMV book 2, section 8.2.1, spelled out.
func arpc(asked, arc string) string {
	x, _ := hex.DecodeString(asked)
	for i, c := range []byte(arc) {
		x[i] ^= c
	}
	b, err := security.TDES.Under(bytes.Clone(chipKey))
	if err != nil {
		panic(err)
	}
	b.Encrypt(x, x)
	return hex.EncodeToString(x)
}
