package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso/security"
)

// The keys of the PIN tests, in clear: two public base derivation keys and keys of
// nobody.
const (
	pinBaseTDES = "0123456789ABCDEFFEDCBA9876543210"
	pinBaseAES  = "FEDCBA9876543210F1F1F1F1F1F1F1F1"
	pinLaneTDES = "00112233445566778899AABBCCDDEEFF"
	pinLaneAES  = "AF8CB133A78F8DC2D1359F18527593FB"
	pinZone     = "89ABCDEF0123456701234567FEDCBA98"
	pinKSNTDES  = "FFFF9876543210E0000" // and the last digit
	pinKSNAES   = "12345678901234560000000"
)

const pinMerchant = `    pin: {keys: {lane-1: lane-tdes, lane-2: lane-aes}, base_keys: {"FFFF98765432": base-tdes, "1234567890": base-aes}}
`

func fromHex(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// fillStore loads the keys of the PIN tests, each in two components.
func fillStore(t testing.TB, s keystore.Store) {
	t.Helper()
	for _, k := range []struct {
		slot, usage, key string
		algorithm        byte
	}{
		{"base-tdes", "B0", pinBaseTDES, 'T'}, {"base-aes", "B0", pinBaseAES, 'A'},
		{"lane-tdes", "P0", pinLaneTDES, 'T'}, {"lane-aes", "P0", pinLaneAES, 'A'}, {"zone", "P0", pinZone, 'T'},
	} {
		one := bytes.Repeat([]byte{0x5C}, 16)
		two := fromHex(t, k.key)
		check, err := keystore.CheckValue(k.algorithm, two, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i := range two {
			two[i] ^= one[i]
		}
		if _, err := s.Import(keystore.Import{Slot: k.slot, Usage: k.usage, Algorithm: k.algorithm, Parts: [][]byte{one, two}, Check: check}); err != nil {
			t.Fatal(err)
		}
	}
}

// pinned is a payment by a terminal with a PIN.
type pinned struct {
	name   string
	format security.PINFormat
	serial string // key serial number; empty: lane
	lane   string
	pin    string
	card   string
	status string
	code   string // DE39

	block []byte
}

// encrypt makes the block as the terminal does.
func (p *pinned) encrypt(t testing.TB) {
	t.Helper()
	key, err := fromHex(t, map[string]string{"lane-1": pinLaneTDES, "lane-2": pinLaneAES, "": pinZone}[p.lane]), error(nil)
	switch {
	case p.serial != "" && p.format == security.PINFormat4:
		key, err = security.DeriveAES(fromHex(t, pinBaseAES), fromHex(t, p.serial), security.ForPIN)
	case p.serial != "":
		key, err = security.DeriveTDES(fromHex(t, pinBaseTDES), fromHex(t, p.serial), security.ForPIN)
	}
	if err == nil {
		p.block, err = security.EncryptPIN(security.PINBlock{Format: p.format, Key: key}, p.pin, p.card)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// body is the request.
func (p *pinned) body(bank string) string {
	under := fmt.Sprintf(`"key":%q`, p.lane)
	if p.serial != "" {
		under = fmt.Sprintf(`"ksn":%q`, p.serial)
	}
	return fmt.Sprintf(`{"amount":1000,"currency":"EUR","bank":%q,"payment_method":{"type":"card_present","card_present":{"entry":"chip","track2":"%s=%s",`+
		`"emv":%q,"pin":{"format":%d,"block":"%X",%s}}}}`, bank, p.card, markerTrack, pinEMV(p.card), p.format, p.block, under)
}

// pinEMV is chip data as terminals send it, with what may not pass.
func pinEMV(card string) string {
	return "9F2608D1C2B3A495867768" + "9F3602004A" + "5A08" + card + "5F2008" + hex.EncodeToString([]byte("MARK/ER "))
}

// TestPINsEndToEnd: PINs of every format, under derived keys of both kinds and under
// keys of terminals, go through the real process to banks that verify them; what is
// wrong is refused by name; nothing of a PIN is in any file the process leaves.
func TestPINsEndToEnd(t *testing.T) {
	t.Parallel()
	keys := t.TempDir()
	file, secret := filepath.Join(keys, "keys.sealed"), filepath.Join(keys, "keys.key")
	if err := keystore.CreateSecret(secret); err != nil {
		t.Fatal(err)
	}
	s, err := keystore.LoadSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := keystore.CreateFile(file, s); err != nil {
		t.Fatal(err)
	}
	store, err := keystore.OpenFile(file, s)
	if err != nil {
		t.Fatal(err)
	}
	fillStore(t, store)
	testPINs(t, fmt.Sprintf("key_store: {file: %q, key_file: %q}\n", file, secret))
}

// testPINs runs the payments of TestPINsEndToEnd with a key store.
func testPINs(t *testing.T, settings string) {
	r := newRigWith(t, rigPlan{bank: "    keys: {pin: zone}\n", merchant: pinMerchant, keys: map[string][]byte{"pin": fromHex(t, pinZone)}, settings: settings})
	r.start()
	silent := faultCard(banksim.ChargedWithoutAnswer)
	all := []*pinned{
		{name: "derived, triple DES", serial: pinKSNTDES + "3"},
		{name: "derived, triple DES, format 1", format: 1, serial: pinKSNTDES + "7"},
		{name: "derived, triple DES, format 3", format: 3, serial: pinKSNTDES + "F"},
		{name: "derived, AES", format: 4, serial: pinKSNAES + "1"},
		{name: "derived, AES, wrong", format: 4, serial: pinKSNAES + "2", pin: "9876", status: "declined", code: "55"},
		{name: "lane, format 0", lane: "lane-1"},
		{name: "lane, format 1", format: 1, lane: "lane-1"},
		{name: "lane, format 3", format: 3, lane: "lane-1"},
		{name: "lane, AES", format: 4, lane: "lane-2"},
		{name: "no answer", lane: "lane-1", card: silent, status: "reversed"},
		{name: "wrong", lane: "lane-1", pin: "99999", card: cardOther, status: "declined", code: "55"},
		{name: "wrong again", format: 3, lane: "lane-1", pin: "8888", card: cardOther, status: "declined", code: "55"},
		{name: "wrong a third time", format: 1, lane: "lane-1", pin: "7777", card: cardOther, status: "declined", code: "75"},
		{name: "right, too late", format: 4, lane: "lane-2", card: cardOther, status: "declined", code: "75"},
	}
	for i, p := range all {
		if p.pin == "" {
			p.pin = banksim.TestPIN
		}
		if p.card == "" {
			p.card = cardApproved
		}
		if p.status == "" {
			p.status, p.code = "captured", "00"
		}
		p.encrypt(t)
		bank := "vega"
		if p.serial != "" || p.card == cardOther {
			bank = "alfa"
		}
		r.wantPIN(fmt.Sprint("pin-", i), bank, p)
	}
	r.refusePINs(t)
	r.signal(os.Interrupt)
	r.scanForPINs(all)
}

const cardOther = "5555555555554444"

// wantPIN pays, and waits for the resolution of what is unknown.
func (r *rig) wantPIN(key, bank string, p *pinned) {
	r.t.Helper()
	type view struct {
		paymentView
		Code   string `json:"response_code"`
		Method struct {
			EMV string `json:"emv"`
		} `json:"payment_method"`
	}
	code, body, _ := r.send(key, "/v1/payments", p.body(bank))
	var got view
	if err := json.Unmarshal(body, &got); err != nil || code != http.StatusCreated && code != http.StatusAccepted {
		r.t.Errorf("%s: HTTP %d: %s", p.name, code, body)
		return
	}
	if got.Status == "unknown" {
		r.await("resolution", func() bool {
			return r.get(r.api, "/v1/payments/"+got.ID, &got) == http.StatusOK && got.Status != "unknown"
		})
	}
	if got.Status != p.status || p.code != "" && got.Code != p.code {
		r.t.Errorf("%s is %s with code %s, want %s with %s", p.name, got.Status, got.Code, p.status, p.code)
	}
	if tail := hex.EncodeToString([]byte(p.code)); p.code != "" && (!strings.HasPrefix(got.Method.EMV, "910a") || !strings.HasSuffix(got.Method.EMV, tail+"8a02"+tail)) {
		r.t.Errorf("%s: the chip is answered %q", p.name, got.Method.EMV)
	}
	var story struct {
		Data []struct{ Message any } `json:"data"`
	}
	if r.get(r.api, "/v1/payments/"+got.ID+"/timeline", &story) != http.StatusOK {
		r.t.Errorf("%s has no timeline", p.name)
	}
	text, _ := json.Marshal(story)
	for _, secret := range []string{hex.EncodeToString(p.block), strings.ToUpper(hex.EncodeToString(p.block)), "D1C2B3A4", "910a"} {
		if bytes.Contains(text, []byte(secret)) {
			r.t.Errorf("%s: the timeline shows %s", p.name, secret)
		}
	}
}

// refusePINs: one problem that names the member, and nothing recorded.
func (r *rig) refusePINs(t *testing.T) {
	const at = "/payment_method/card_present/pin"
	sound := func(change func(*pinned)) *pinned {
		p := &pinned{format: 0, lane: "lane-1", pin: banksim.TestPIN, card: cardApproved}
		p.encrypt(t)
		change(p)
		return p
	}
	for name, v := range map[string]struct {
		p       *pinned
		pointer string
	}{
		"no such key":      {sound(func(p *pinned) { p.lane = "lane-9" }), at + "/key"},
		"a slot's name":    {sound(func(p *pinned) { p.lane = "zone" }), at + "/key"},
		"no base key":      {sound(func(p *pinned) { p.serial = "AAAA9876543210E00001" }), at + "/ksn"},
		"a counter of 0":   {sound(func(p *pinned) { p.serial = pinKSNTDES + "0" }), at + "/ksn"},
		"format of AES":    {sound(func(p *pinned) { p.format, p.block = 4, append(p.block, p.block...) }), at + "/format"},
		"format of DES":    {sound(func(p *pinned) { p.lane = "lane-2" }), at + "/format"},
		"another format":   {sound(func(p *pinned) { p.format = 3 }), at + "/block"},
		"a changed block":  {sound(func(p *pinned) { p.block[0] ^= 1 }), at + "/block"},
		"another terminal": {sound(func(p *pinned) { p.serial = pinKSNTDES + "1" }), at + "/block"},
		"another card":     {sound(func(p *pinned) { p.card = "4000000001280009" }), at + "/block"},
	} {
		code, body, _ := r.send("refused "+name, "/v1/payments", v.p.body("alfa"))
		var problem struct {
			Code   string `json:"code"`
			Errors []struct{ Pointer, Code string }
		}
		if err := json.Unmarshal(body, &problem); err != nil || code != http.StatusBadRequest || len(problem.Errors) != 1 || problem.Errors[0].Pointer != v.pointer {
			t.Errorf("%s: HTTP %d: %s; want %s", name, code, body, v.pointer)
		}
	}
	if n := len(r.banks["alfa"].Books().Entries()); n != 9 {
		t.Errorf("bank alfa has %d entries, want 9: a refused PIN reached it", n)
	}
}

// scanForPINs looks for what was sent, for what the banks got and for clear blocks.
func (r *rig) scanForPINs(all []*pinned) {
	r.t.Helper()
	needles := map[string][]byte{"chip data": fromHex(r.t, "9F2608D1C2B3A495867768"), "the cardholder": []byte("MARK/ER"), "track": []byte(markerTrack)}
	zone := fromHex(r.t, pinZone)
	under, err := security.TDES.Under(zone)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, p := range all {
		needles[p.name+", as sent"] = p.block
		bank, err := security.EncryptPIN(security.PINBlock{Key: zone}, p.pin, p.card)
		if err != nil {
			r.t.Fatal(err)
		}
		clear := make([]byte, 8)
		under.Decrypt(clear, bank)
		needles[p.name+", for the bank"], needles[p.name+", in clear"] = bank, clear
	}
	files := 0
	err = filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for what, needle := range needles {
			for _, form := range [][]byte{needle, []byte(hex.EncodeToString(needle)), []byte(strings.ToUpper(hex.EncodeToString(needle)))} {
				if bytes.Contains(content, form) {
					r.t.Errorf("%s holds %s", filepath.Base(path), what)
				}
			}
		}
		return nil
	})
	if err != nil || files < 4 {
		r.t.Errorf("scanned %d files: %v", files, err)
	}
}
