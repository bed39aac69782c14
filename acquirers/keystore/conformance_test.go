package keystore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso/security"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// load puts a key in by two components, with its check value.
func load(t *testing.T, s Store, slot, usage, key string) Slot {
	t.Helper()
	name, algorithm := slot, byte('T')
	if at := strings.IndexByte(slot, '/'); at >= 0 {
		name, algorithm = slot[:at], slot[at+1]
	}
	raw := unhex(t, key)
	check, err := CheckValue(algorithm, raw, 3)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.Repeat([]byte{0xA5}, len(raw))
	for i := range raw {
		raw[i] ^= first[i]
	}
	got, err := s.Import(Import{Slot: name, Usage: usage, Algorithm: algorithm, Parts: [][]byte{first, raw}, Check: check})
	if err != nil {
		t.Fatalf("%s: %v", slot, err)
	}
	return got
}

// conform holds a store to the contract with the public vectors; again opens the
// same store anew.
func conform(t *testing.T, s Store, again func() Store) {
	t.Run("codes", func(t *testing.T) { conformCodes(t, s) })
	t.Run("PIN blocks", func(t *testing.T) { conformPIN(t, s) })
	t.Run("key blocks", func(t *testing.T) { conformBlocks(t, s) })
	t.Run("change", func(t *testing.T) { conformChange(t, s, again) })
	t.Run("offer", func(t *testing.T) { conformOffer(t, s, again) })
	t.Run("refusals", func(t *testing.T) { conformRefusals(t, s) })
}

func conformCodes(t *testing.T, s Store) {
	text := func(s string) string { return hex.EncodeToString([]byte(s)) }
	nist := "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411"
	for _, v := range []struct {
		slot, key  string
		mac        security.MAC
		data, want string
	}{
		{"retail", "41414141414141414242424242424242", security.MAC{Algorithm: security.X919}, text("hello world"), "3DDE5C5511661CBF"},
		{"retail", "41414141414141414242424242424242", security.MAC{Algorithm: security.X919, Padding: security.PadBit}, text("hello world"), "E16941032C3BC7D4"},
		{"retail-one", "0123456789ABCDEFFEDCBA9876543210", security.MAC{Algorithm: security.X919}, text("0800822000000000000004000000000000010612081530000002301"), "35BD7A1DFA52232C"},
		{"single/D", "0123456789ABCDEF", security.MAC{Algorithm: security.X99}, text("7654321 Now is the time for "), "F1D30F6849312CA4"},
		{"cmac/A", "2b7e151628aed2a6abf7158809cf4f3c", security.MAC{Algorithm: security.CMACAES}, nist, "DFA66747DE9AE63030CA32611497C827"},
		{"cmac3", "8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5", security.MAC{Algorithm: security.CMACTDES}, nist[:40], "743DDBE0CE2DC2ED"},
		{"hmac/H", strings.Repeat("0b", 32), security.MAC{Algorithm: security.HMACSHA256}, text("Hi There"), "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7"},
	} {
		load(t, s, v.slot, "M3", v.key)
		name, _, _ := strings.Cut(v.slot, "/")
		got, err := s.Sum(Ref{Slot: name}, v.mac, unhex(t, v.data))
		if err != nil || !strings.EqualFold(hex.EncodeToString(got), v.want) {
			t.Errorf("%s: %x, %v; want %s", v.slot, got, err, v.want)
			continue
		}
		for n := range len(got) + 1 {
			c := Code{v.mac, unhex(t, v.data), got[:n]}
			if ok, err := Verify(s, name, c); err != nil || ok != (n >= 4) {
				t.Errorf("%s: %d bytes: %v, %v", v.slot, n, ok, err)
			}
		}
		got[0] ^= 1
		if ok, err := Verify(s, name, Code{v.mac, unhex(t, v.data), got}); err != nil || ok {
			t.Errorf("%s: a wrong code: %v, %v", v.slot, ok, err)
		}
	}
}

func conformPIN(t *testing.T, s Store) {
	load(t, s, "zone", "P0", "00112233445566778899AABBCCDDEEFF")
	load(t, s, "zone4/A", "P0", "AF8CB133A78F8DC2D1359F18527593FB")
	load(t, s, "bdk", "B0", "0123456789ABCDEFFEDCBA9876543210")
	load(t, s, "bdk4/A", "B0", "FEDCBA9876543210F1F1F1F1F1F1F1F1")
	under := func(format security.PINFormat, key, want string) func(block []byte, pan string) bool {
		return func(block []byte, pan string) bool {
			// What comes out is read by the algorithms alone, without the store.
			test := unhex(t, "11111111111111111111111111111111")
			one, err1 := security.TranslatePIN(security.PINBlock{Format: format, Key: unhex(t, key), Block: block}, security.PINBlock{Format: security.PINFormat0, Key: test}, pan)
			b, err := security.TDES.Under(test)
			if err != nil || err1 != nil {
				return false
			}
			b.Decrypt(one, one)
			return strings.EqualFold(hex.EncodeToString(one), want)
		}
	}
	for name, v := range map[string]struct {
		from  Zone
		block string
		pan   string
		to    Zone
		good  func(block []byte, pan string) bool
	}{
		"a terminal of triple DES": {Zone{"bdk", 0, unhex(t, "FFFF9876543210E00003")}, "18DC07B94797B466", "4012345678909", Zone{Slot: "zone"},
			under(0, "00112233445566778899AABBCCDDEEFF", "041274EDCBA9876F")},
		"a terminal of AES": {Zone{"bdk4", 4, unhex(t, "123456789012345600000001")}, "A912150391AB65A67E52883D81CE2D15", "4111111111111111", Zone{Slot: "zone"},
			under(0, "00112233445566778899AABBCCDDEEFF", "041225EEEEEEEEEE")},
		"a zone of AES": {Zone{Slot: "zone4", Format: 4}, "A912150391AB65A67E52883D81CE2D15", "4111111111111111", Zone{Slot: "zone", Format: 3},
			under(3, "00112233445566778899AABBCCDDEEFF", "041225EEEEEEEEEE")},
	} {
		out, err := s.TranslatePIN(Translation{v.from, v.to, unhex(t, v.block), v.pan})
		if err != nil || !v.good(out, v.pan) {
			t.Errorf("%s: %x, %v", name, out, err)
		}
	}
	for name, tr := range map[string]Translation{
		"garbage": {Zone{Slot: "zone"}, Zone{Slot: "zone"}, make([]byte, 8), "4012345678909"},
		"short":   {Zone{Slot: "zone"}, Zone{Slot: "zone"}, make([]byte, 3), "4012345678909"},
	} {
		if out, err := s.TranslatePIN(tr); !errors.Is(err, security.ErrPIN) {
			t.Errorf("%s: %x, %v", name, out, err)
		}
	}
	for name, tr := range map[string]Translation{
		"a format of triple DES under a key of AES":     {Zone{Slot: "zone"}, Zone{Slot: "zone4"}, make([]byte, 8), "4012345678909"},
		"a format of AES under a key of triple DES":     {Zone{Slot: "zone"}, Zone{Slot: "zone", Format: 4}, make([]byte, 8), "4012345678909"},
		"a format of triple DES from a key of AES":      {Zone{Slot: "zone4"}, Zone{Slot: "zone"}, make([]byte, 8), "4012345678909"},
		"a format of triple DES from a terminal of AES": {Zone{"bdk4", 0, unhex(t, "123456789012345600000001")}, Zone{Slot: "zone"}, make([]byte, 8), "4111111111111111"},
		"a format of AES from one of triple DES":        {Zone{"bdk", 4, unhex(t, "FFFF9876543210E00003")}, Zone{Slot: "zone"}, make([]byte, 16), "4111111111111111"},
	} {
		if out, err := s.TranslatePIN(tr); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %x, %v", name, out, err)
		}
	}
	conformFormats(t, s)
	if _, err := s.TranslatePIN(Translation{Zone{Slot: "bdk", KSN: []byte{1}}, Zone{Slot: "zone"}, make([]byte, 8), "4012345678909"}); !errors.Is(err, security.ErrKSN) {
		t.Errorf("a short serial number: %v", err)
	}
}

// conformFormats: a PIN goes from each format to each that the standard allows.
func conformFormats(t *testing.T, s Store) {
	const pan = "4012345678909"
	load(t, s, "terminal", "P0", "11223344556677888877665544332211")
	load(t, s, "terminal4/A", "P0", "112233445566778888776655443322110011223344556677")
	slots := map[security.PINFormat]string{0: "terminal", 1: "terminal", 3: "terminal", 4: "terminal4"}
	keys := map[string][]byte{"terminal": unhex(t, "11223344556677888877665544332211"), "terminal4": unhex(t, "112233445566778888776655443322110011223344556677")}
	for from, slot := range slots {
		for to, target := range slots {
			block, err := security.EncryptPIN(security.PINBlock{Format: from, Key: keys[slot]}, "904512", pan)
			if err != nil {
				t.Fatal(err)
			}
			out, err := s.TranslatePIN(Translation{Zone{Slot: slot, Format: from}, Zone{Slot: target, Format: to}, block, pan})
			if !from.Reaches(to) {
				if err == nil {
					t.Errorf("format %d became format %d", from, to)
				}
				continue
			}
			good, bad := security.VerifyPIN(security.PINBlock{Format: to, Key: keys[target], Block: out}, "904512", pan)
			if err != nil || bad != nil || !good {
				t.Errorf("from format %d to %d: %v, %v", from, to, err, bad)
			}
		}
	}
}

func conformBlocks(t *testing.T, s Store) {
	load(t, s, "kbpk/A", "K1", "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6")
	load(t, s, "kbpk3", "K0", "DD7515F2BFC17F85CE48F3CA25CB21F6")
	for kek, block := range map[string]string{
		"kbpk":  "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A27E8E31DA05F7425509593D03A457DC34",
		"kbpk3": "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E",
	} {
		i := Import{Slot: "from-" + kek, KEK: kek, Block: block}
		got, err := s.Import(i)
		want, _ := CheckValue(block[7], unhex(t, "3F419E1CB7079442AA37474C2EFBF8B8"), 3)
		if err != nil || got.Usage != "P0" || !strings.EqualFold(got.Check, hex.EncodeToString(want)) {
			t.Errorf("%s: %+v, %v; want check %x", kek, got, err, want)
		}
		if i.Check = []byte{1, 2, 3}; true {
			if _, err := s.Import(i); !errors.Is(err, ErrCheck) {
				t.Errorf("%s: a wrong check value: %v", kek, err)
			}
		}
		i.Check, i.Block = nil, block[:len(block)-1]+"F"
		if _, err := s.Import(i); !errors.Is(err, security.ErrKeyBlock) {
			t.Errorf("%s: a changed block: %v", kek, err)
		}
	}
	key := unhex(t, "0123456789ABCDEFFEDCBA9876543210")
	b, err := security.TDES.Under(unhex(t, "DD7515F2BFC17F85CE48F3CA25CB21F6"))
	if err != nil {
		t.Fatal(err)
	}
	sealed := make([]byte, 16)
	b.Encrypt(sealed, key)
	b.Encrypt(sealed[8:], key[8:])
	got, err := s.Import(Import{Slot: "by-cryptogram", Usage: "M3", Algorithm: 'T', KEK: "kbpk3", Sealed: sealed, Check: unhex(t, "08D7B4")})
	if err != nil || got.Check != "08D7B4" {
		t.Errorf("a cryptogram: %+v, %v", got, err)
	}
}

func conformChange(t *testing.T, s Store, again func() Store) {
	mac, data := security.MAC{Algorithm: security.X919}, []byte("a message")
	code := func(s Store) []byte {
		sum, err := s.Sum(Ref{Slot: "rolls"}, mac, data)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	verify := func(s Store, sum []byte) bool {
		ok, err := Verify(s, "rolls", Code{mac, data, sum})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	load(t, s, "rolls", "M3", "00000000000000010000000000000002")
	first := code(s)
	load(t, s, "rolls", "M3", "00000000000000030000000000000004")
	second := code(s)
	for _, s := range []Store{s, again()} {
		if bytes.Equal(first, second) || !verify(s, first) || !verify(s, second) || !bytes.Equal(code(s), second) {
			t.Fatal("after a change both keys must verify, and the new one sign")
		}
	}
	if err := s.Change("rolls", RollBack); err != nil || !bytes.Equal(code(s), first) || !verify(s, second) {
		t.Fatalf("rolled back: %v", err)
	}
	if err := s.Change("rolls", RetireBefore); err != nil || verify(s, second) || !verify(s, first) {
		t.Fatalf("the key before is retired: %v", err)
	}
	if err := s.Change("rolls", RollBack); !errors.Is(err, ErrNoKey) {
		t.Fatalf("rolled back to nothing: %v", err)
	}
	i := Import{Slot: "rolls", Usage: "M3", Algorithm: 'T', Parts: [][]byte{unhex(t, "01000000000000030000000000000004"), bytes.Repeat([]byte{2}, 16)}, Until: time.Now().Add(-time.Second)}
	joined := unhex(t, "03020202020202010202020202020206")
	i.Check, _ = CheckValue('T', joined, 3)
	if _, err := s.Import(i); err != nil {
		t.Fatal(err)
	}
	if verify(s, first) {
		t.Fatal("the key before verifies after its end")
	}
	third := code(s)
	for _, s := range []Store{again(), s} {
		all, err := s.Slots()
		at := slices.IndexFunc(all, func(s Slot) bool { return s.Name == "rolls" })
		if err != nil || at < 0 || all[at].Version < 3 || all[at].Usage != "M3" || !bytes.Equal(code(s), third) {
			t.Fatalf("%+v, %v", all, err)
		}
	}
	if err := s.Change("rolls", RetireSlot); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Store{s, again()} {
		if _, err := s.Sum(Ref{Slot: "rolls"}, mac, data); !errors.Is(err, ErrSlot) {
			t.Fatalf("a retired slot: %v", err)
		}
	}
}

func conformRefusals(t *testing.T, s Store) {
	key := unhex(t, "0123456789ABCDEFFEDCBA9876543210")
	parts := [][]byte{key, bytes.Repeat([]byte{7}, 16)}
	for name, i := range map[string]Import{
		"no way in":       {Slot: "x", Usage: "M3", Algorithm: 'T'},
		"one component":   {Slot: "x", Usage: "M3", Algorithm: 'T', Parts: parts[:1], Check: []byte{1, 2, 3}},
		"zero component":  {Slot: "x", Usage: "M3", Algorithm: 'T', Parts: [][]byte{key, make([]byte, 16)}, Check: unhex(t, "08D7B4")},
		"lengths":         {Slot: "x", Usage: "M3", Algorithm: 'T', Parts: [][]byte{key, {1}}, Check: []byte{1, 2, 3}},
		"no check value":  {Slot: "x", Usage: "M3", Algorithm: 'T', Parts: parts},
		"check value":     {Slot: "x", Usage: "M3", Algorithm: 'T', Parts: parts, Check: []byte{1, 2, 3}},
		"usage":           {Slot: "x", Usage: "Q1", Algorithm: 'T', Parts: parts, Check: []byte{1, 2, 3}},
		"algorithm":       {Slot: "x", Usage: "M3", Algorithm: 'Z', Parts: parts, Check: []byte{1, 2, 3}},
		"a PIN key of D":  {Slot: "x", Usage: "P0", Algorithm: 'D', Parts: [][]byte{key[:8], key[8:]}, Check: []byte{1, 2, 3}},
		"slot's name":     {Slot: "X y", Usage: "M3", Algorithm: 'T', Parts: parts, Check: []byte{1, 2, 3}},
		"no such kek":     {Slot: "x", Usage: "M3", Algorithm: 'T', KEK: "nowhere", Sealed: key, Check: []byte{1, 2, 3}},
		"kek is no kek":   {Slot: "x", Usage: "M3", Algorithm: 'T', KEK: "zone", Sealed: key, Check: []byte{1, 2, 3}},
		"two ways at one": {Slot: "x", Usage: "M3", Algorithm: 'T', Parts: parts, KEK: "kbpk3", Sealed: key, Check: []byte{1, 2, 3}},
	} {
		if got, err := s.Import(i); err == nil {
			t.Errorf("%s: accepted: %+v", name, got)
		}
	}
	if _, err := s.Sum(Ref{Slot: "x"}, security.MAC{Algorithm: security.X919}, key); !errors.Is(err, ErrSlot) {
		t.Errorf("a refused import left something: %v", err)
	}
	for name, err := range map[string]error{
		"a PIN key makes a code": func() error {
			_, err := s.Sum(Ref{Slot: "zone"}, security.MAC{Algorithm: security.X919}, key)
			return err
		}(),
		"a code's key reads a PIN": func() error {
			_, err := s.TranslatePIN(Translation{Zone{Slot: "retail"}, Zone{Slot: "zone"}, key[:8], "4012345678909"})
			return err
		}(),
	} {
		if !errors.Is(err, ErrUse) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := Import{Slot: "zone", Usage: "M3", Algorithm: 'T', Parts: parts}
	joined := slices.Clone(key)
	for i := range joined {
		joined[i] ^= 7
	}
	bad.Check, _ = CheckValue('T', joined, 3)
	if _, err := s.Import(bad); !errors.Is(err, ErrUse) {
		t.Errorf("a code's key in a PIN slot: %v", err)
	}
}

// conformOffer: a key that the store makes verifies at once, is offered again unchanged, in the next life too, and makes
// codes when the other side has it.
func conformOffer(t *testing.T, s Store, again func() Store) {
	kek, aes := "A1A2A3A4A5A6A7A8B1B2B3B4B5B6B7B8", "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6"
	load(t, s, "offer-kek", "K0", kek)
	load(t, s, "offer-aes/A", "K0", aes)
	m, data := security.MAC{Algorithm: security.X919}, []byte("offered")
	for i, c := range []struct {
		form Form
		kek  string
		read func(offer string) []byte
	}{
		{FormSealed, "offer-kek", func(offer string) []byte { return deciphered(t, kek, offer) }},
		{FormBlock, "offer-kek", func(offer string) []byte { return unwrapped(t, kek, offer) }},
		{FormBlock, "offer-aes", func(offer string) []byte { return unwrapped(t, aes, offer) }},
	} {
		name := "offered" + string(rune('0'+i))
		before := load(t, s, name, "M3", "0123456789ABCDEFFEDCBA9876543210")
		made, err := s.Import(Import{Slot: name, KEK: c.kek, Make: c.form, Until: time.Now().Add(time.Hour)})
		if err != nil || made.Version != 1 || made.Check != before.Check || made.Offer == "" {
			t.Fatalf("%+v, %v", made, err)
		}
		raw := c.read(made.Offer)
		if v, err := CheckValue('T', raw, 3); err != nil || !strings.EqualFold(hex.EncodeToString(v), made.Before) {
			t.Errorf("the check value of the offer: %x, %v; want %s", v, err, made.Before)
		}
		sum, err := m.Sum(raw, data)
		if err != nil {
			t.Fatal(err)
		}
		s = again()
		if same, err := s.Import(Import{Slot: name, KEK: c.kek, Make: c.form}); err != nil || same.Offer != made.Offer {
			t.Errorf("offered again: %+v, %v", same, err)
		}
		if ok, err := Verify(s, name, Code{m, data, sum}); !ok || err != nil {
			t.Errorf("a code under the offered key: %v, %v", ok, err)
		}
		if err := s.Change(name, RollBack); !errors.Is(err, ErrNoKey) {
			t.Errorf("rolled back to a key on offer: %v", err)
		}
		if own, err := s.Sum(Ref{Slot: name}, m, data); err != nil || bytes.Equal(own, sum) {
			t.Errorf("an offered key makes codes: %v", err)
		}
		if err := s.Change(name, TakeOffer); err != nil {
			t.Fatal(err)
		}
		s = again()
		if own, err := s.Sum(Ref{Slot: name}, m, data); err != nil || !bytes.Equal(own, sum) {
			t.Errorf("the key that was taken makes other codes: %v", err)
		}
		if err := s.Change(name, TakeOffer); !errors.Is(err, ErrNoKey) {
			t.Errorf("taken twice: %v", err)
		}
		all, err := s.Slots()
		at := slices.IndexFunc(all, func(k Slot) bool { return k.Name == name })
		if err != nil || at < 0 || all[at].Version != 2 || all[at].Offer != "" || all[at].Before != before.Check || time.Until(all[at].Until) < 50*time.Minute {
			t.Errorf("%+v, %v", all[at], err)
		}
		if _, err := s.Import(Import{Slot: name, KEK: c.kek, Make: c.form}); err != nil || s.Change(name, RetireBefore) != nil {
			t.Fatal("withdrawn:", err)
		}
		if err := s.Change(name, TakeOffer); !errors.Is(err, ErrNoKey) {
			t.Errorf("an offer that was withdrawn is taken: %v", err)
		}
	}
	if _, err := s.Import(Import{Slot: "nobody", KEK: "offer-kek", Make: FormBlock}); !errors.Is(err, ErrSlot) {
		t.Errorf("a key for no slot: %v", err)
	}
	if _, err := s.Import(Import{Slot: "offered0", KEK: "offered1", Make: FormBlock}); !errors.Is(err, ErrUse) {
		t.Errorf("a key under a key of codes: %v", err)
	}
}

func unwrapped(t *testing.T, kek, block string) []byte {
	t.Helper()
	h, raw, err := security.UnwrapKey(unhex(t, kek), block)
	if err != nil || h.Usage != "M3" || h.Algorithm != 'T' || h.Mode != 'C' || h.Exportability != 'N' {
		t.Fatalf("%+v, %v", h, err)
	}
	return raw
}

func deciphered(t *testing.T, kek, offer string) []byte {
	t.Helper()
	b, err := security.TDES.Under(unhex(t, kek))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := decryptECB(b, unhex(t, offer))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
