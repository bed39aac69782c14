package payswitch

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/iso/security"
)

// pinKeys are the keys of the PIN tests, in clear: a terminal's two and the banks'.
var pinKeys = map[string][]byte{
	"lane-tdes": []byte("lane key of 16 b"), "lane-aes": []byte("lane key of AES."), "alfa-zone": []byte("zone key of alfa"), "vega-zone": []byte("zone key of vega"),
}

// pinStore is a sealed file with pinKeys.
func pinStore(t *testing.T) keystore.Store {
	t.Helper()
	secret := keystore.Secret{Key: bytes.Repeat([]byte{7}, 32)}
	path := filepath.Join(t.TempDir(), "keys")
	if err := keystore.CreateFile(path, secret); err != nil {
		t.Fatal(err)
	}
	s, err := keystore.OpenFile(path, secret)
	if err != nil {
		t.Fatal(err)
	}
	for slot, key := range pinKeys {
		i := keystore.Import{Slot: slot, Usage: keystore.ForPIN, Algorithm: 'T', Parts: [][]byte{bytes.Repeat([]byte{9}, 16), bytes.Clone(key)}}
		if slot == "lane-aes" || slot == "vega-zone" {
			i.Algorithm = 'A'
		}
		for n := range i.Parts[1] {
			i.Parts[1][n] ^= 9
		}
		if i.Check, err = keystore.CheckValue(i.Algorithm, key, 3); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Import(i); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// pinDialect is binary87 with PIN blocks of format 4, under a key of another name.
func pinDialect(t *testing.T) *iso.Dialect {
	t.Helper()
	text, err := iso.BuiltinFile("binary87")
	if err != nil {
		t.Fatal(err)
	}
	edit := strings.NewReplacer("pin: {format: 0, key: pin,", "pin: {format: 4, key: pin-vega,", "52: {class: b, len: 8,", "52: {class: b, len: 16,")
	d, err := iso.ParseDialect("binary87.yaml", []byte(edit.Replace(string(text))))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// inPINRig is a rig whose banks have PIN keys of their own: alfa of triple DES and
// format 0, vega of AES and format 4.
func inPINRig(t *testing.T, do func(t *testing.T, r *rig, store keystore.Store)) {
	t.Helper()
	r, store := newRig(t), pinStore(t)
	r.second = pinDialect(t)
	r.lineKeys = map[string][]byte{"pin": pinKeys["alfa-zone"], "pin-vega": pinKeys["vega-zone"]}
	r.adjust = func(o *Options) {
		for i := range o.Banks {
			link := &o.Banks[i].Link
			link.Keys, link.Slots = store, map[string]string{"pin": "alfa-zone", "pin-vega": "vega-zone"}
		}
		for i := range o.Merchants {
			o.Merchants[i].CardPresent, o.Merchants[i].PIN = true, PINKeys{Named: map[string]string{"lane": "lane-tdes", "lane-4": "lane-aes", "gone": "nowhere"}}
		}
	}
	inThisRig(t, r, func() { do(r.t, r, store) })
}

// withPIN is a payment by a terminal with a PIN.
func (r *rig) withPIN(key string, format security.PINFormat, pin string) *PayRequest {
	r.t.Helper()
	q, lane, slot := r.atTerminal(key), "lane", "lane-tdes"
	if format == security.PINFormat4 {
		lane, slot = "lane-4", "lane-aes"
	}
	block, err := security.EncryptPIN(security.PINBlock{Format: format, Key: pinKeys[slot]}, pin, string(q.PAN.Append(nil)))
	if err != nil {
		r.t.Fatal(err)
	}
	q.PIN = &PIN{Format: format, Block: iso.NewSecret(block), Key: lane}
	return q
}

// TestPINsGoToBanks: each bank gets the PIN in its format and under its key, the
// shop gets what its chip is answered, and a repeat gets the same.
func TestPINsGoToBanks(t *testing.T) {
	inPINRig(t, func(t *testing.T, r *rig, _ keystore.Store) {
		a := r.account("two")
		for _, bank := range []string{"alfa", "vega"} {
			for _, format := range []security.PINFormat{0, 1, 3, 4} {
				key := bank + " " + string('0'+byte(format))
				q := r.withPIN(key, format, banksim.TestPIN)
				q.Bank = bank
				p := r.wants(a, q, bank, "")
				if e := r.lastAt(bank); p.Status != StatusCaptured || !e.Carried.PIN || p.Particulars.Chip == "" {
					t.Errorf("%s: %s with %s, chip %X, the bank has %+v", key, p.Status, p.ResponseCode, p.Particulars.Chip, e.Carried)
				}
				again := r.withPIN(key, format, banksim.TestPIN)
				again.Bank = bank
				if same := r.wants(a, again, bank, ""); same.ID != p.ID || *same.Particulars != *p.Particulars {
					t.Errorf("%s: the repeat is %+v", key, same)
				}
			}
			wrong := r.withPIN("wrong at "+bank, 3, "4321")
			wrong.Bank = bank
			if p := r.wants(a, wrong, bank, ""); p.Status != StatusDeclined || p.Decline.Code != "incorrect_pin" || p.Particulars.Chip == "" {
				t.Errorf("%s: a wrong PIN is %s %+v", bank, p.Status, p.Decline)
			}
		}
	})
}

// TestPINForTheNextBank: a payment that provably never left for its bank goes to the
// next one with its PIN under that one's key, or not at all.
func TestPINForTheNextBank(t *testing.T) {
	for name, breaks := range map[string]bool{"translated": false, "not translated": true} {
		t.Run(name, func(t *testing.T) {
			inPINRig(t, func(t *testing.T, r *rig, store keystore.Store) {
				a := r.account("two")
				r.control(banksim.ModeStall)
				for _, key := range []string{"one", "two", "three"} {
					q := r.request(key, cardOf(banksim.Approve), 100)
					q.Bank = "alfa"
					go func() { _, _ = r.core.Pay(a, q) }()
				}
				r.pass(time.Second)
				q := r.withPIN("moved", 3, banksim.TestPIN)
				done := make(chan *Answer, 1)
				go func() {
					answer, err := r.core.Pay(a, q)
					if err != nil {
						t.Error(err)
					}
					done <- answer
				}()
				r.pass(100 * time.Millisecond)
				if breaks {
					if err := store.Change("vega-zone", keystore.RetireSlot); err != nil {
						t.Fatal(err)
					}
				}
				p := (<-done).Payment
				if !breaks && (p.Status != StatusCaptured || p.Bank != "vega" || !r.lastAt("vega").Carried.PIN) {
					t.Errorf("%s by %s with %s", p.Status, p.Bank, p.ResponseCode)
				}
				if n := r.banks["vega"].Books().Len(); breaks && (p.Status != StatusFailed || p.Bank != "alfa" || n != 0) {
					t.Errorf("%s by %s; vega has %d entries", p.Status, p.Bank, n)
				}
			})
		})
	}
}

// TestPINsRefused: what no bank could be given is refused by name, and nothing is
// recorded or sent.
func TestPINsRefused(t *testing.T) {
	inPINRig(t, func(t *testing.T, r *rig, _ keystore.Store) {
		a := r.account("two")
		alfa := r.core.order[0]
		for name, v := range map[string]struct {
			change  func(q *PayRequest)
			pointer string
			code    Code
		}{
			"no such name":    {func(q *PayRequest) { q.PIN.Key = "alfa-zone" }, pinKeyPointer, CodeInvalidRequest},
			"no such slot":    {func(q *PayRequest) { q.PIN.Key = "gone" }, pinKeyPointer, CodeInternal},
			"no base key":     {func(q *PayRequest) { q.PIN.Key, q.PIN.KSN = "", make([]byte, 10) }, pinKSNPointer, CodeInvalidRequest},
			"another PIN key": {func(q *PayRequest) { q.PIN.Key = "lane-4" }, pinPointer + "/format", CodeInvalidRequest},
			"not present":     {func(q *PayRequest) { q.Carried = &iso.Carried{Channel: iso.ChannelMOTO} }, pinPointer, CodeInvalidRequest},
			"half a block":    {func(q *PayRequest) { q.PIN.Block = iso.NewSecret([]byte("half")) }, pinBlockPointer, CodeInvalidRequest},
			"a changed block": {func(q *PayRequest) { q.PIN.Block = iso.NewSecret([]byte("changed!")) }, pinBlockPointer, CodeInvalidRequest},
		} {
			q := r.withPIN(name, 0, banksim.TestPIN)
			q.Bank = "alfa"
			v.change(q)
			_, err := r.core.Pay(a, q)
			var no *Refusal
			if !errors.As(err, &no) || no.Code != v.code || no.Pointer != v.pointer {
				t.Errorf("%s: %v at %q, want %s at %q", name, err, no.Pointer, v.code, v.pointer)
			}
			if taken, _ := alfa.link.Taken(0); taken != 0 {
				t.Errorf("%s: a slot of the window is kept", name)
			}
		}
		alfa.live = true
		live := Account{Merchant: a.Merchant, Live: true}
		q := r.withPIN("live", 0, banksim.TestPIN)
		if _, err := r.core.Pay(live, q); codeOf(err) != CodeNotCarried || !strings.Contains(err.Error(), "hardware") {
			t.Errorf("a live PIN without a hardware store: %v", err)
		}
		if n := r.banks["alfa"].Books().Len(); n != 0 {
			t.Errorf("%d messages reached the bank", n)
		}
		e, err := r.core.Explain(a, r.withPIN("shown", 4, banksim.TestPIN))
		if err != nil || e.Bank != "vega" {
			t.Fatalf("%+v, %v", e, err)
		}
		shown := false
		for _, f := range e.Message.Fields {
			shown = shown || f.Number == 52
			if f.Number == 52 && f.Value != "***" {
				t.Errorf("field 52 is shown as %q", f.Value)
			}
		}
		if !shown {
			t.Error("the explanation has no field 52")
		}
	})
}

// TestNoPINAtRest: neither a record nor a log line holds a PIN block, the terminal's
// or the bank's, also when the payment is reversed.
func TestNoPINAtRest(t *testing.T) {
	inPINRig(t, func(t *testing.T, r *rig, _ keystore.Store) {
		var log bytes.Buffer
		r.core.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		a := r.account("two")
		var paid []*PayRequest
		for _, bank := range []string{"alfa", "vega"} {
			for i, status := range []Status{StatusCaptured, StatusUnknown} {
				q := r.withPIN(bank+status.String(), security.PINFormat(i), banksim.TestPIN)
				if status == StatusUnknown {
					r.control(banksim.ModeMute)
				}
				q.Bank = bank
				if p := r.wants(a, q, bank, ""); bank == "alfa" && p.Status != status || q.Secrets.PINBlock.IsZero() {
					t.Errorf("%s: %s", q.IdempotencyKey, p.Status)
				}
				paid = append(paid, q)
				r.control(banksim.ModeNormal)
			}
		}
		r.pass(3 * rigResponse)
		r.wantsNoSecrets(paid, &log)
	})
}

// TestNoPINWithoutKey: a bank without a key for PINs gets none.
func TestNoPINWithoutKey(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := r.account("two")
		a.Merchant.CardPresent, a.Merchant.PIN = true, PINKeys{Named: map[string]string{"lane": "lane-tdes"}}
		_, err := r.core.Pay(a, r.withPIN("pin", 0, banksim.TestPIN))
		var no *Refusal
		if !errors.As(err, &no) || no.Code != CodeNotCarried || no.Pointer != pinPointer || r.banks["alfa"].Books().Len() != 0 {
			t.Errorf("%v", err)
		}
	})
}
