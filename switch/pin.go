package payswitch

import (
	"encoding/hex"
	"errors"
	"strings"

	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/iso/security"
)

// PIN is a PIN as a terminal encrypted it. It is never stored, logged or
// journalled: it lives until the request's frame is written.
type PIN struct {
	Format security.PINFormat
	Block  iso.Secret // of Format.Bytes()
	KSN    []byte     // key serial number of a terminal whose keys are derived (ANSI X9.24): 10 bytes under triple DES, 12 under AES
	Key    string     // else what the merchant calls the key
}

// PINKeys are the keys that a merchant's terminals encrypt PINs under.
type PINKeys struct {
	Named map[string]string // what a request calls a key -> slot of the key store, usage P0
	Base  map[string]string // how a key serial number begins, capital hex digits -> slot, usage B0
}

const (
	pinPointer      = "/payment_method/card_present/pin"
	pinBlockPointer = pinPointer + "/block"
	pinKSNPointer   = pinPointer + "/ksn"
	pinKeyPointer   = pinPointer + "/key"
)

// zone is what a terminal's block is encrypted under. Errors are refusals.
func (m *Merchant) zone(p *PIN) (keystore.Zone, error) {
	z := keystore.Zone{Format: p.Format, KSN: p.KSN}
	if len(p.KSN) == 0 {
		if z.Slot = m.PIN.Named[p.Key]; z.Slot == "" {
			return z, &Refusal{Code: CodeInvalidRequest, Pointer: pinKeyPointer, Detail: "This shop has no key of that name for PINs."}
		}
		return z, nil
	}
	serial, longest := strings.ToUpper(hex.EncodeToString(p.KSN)), 0
	for begins, slot := range m.PIN.Base {
		if strings.HasPrefix(serial, begins) && len(begins) >= longest {
			z.Slot, longest = slot, len(begins)
		}
	}
	if z.Slot == "" {
		return z, &Refusal{Code: CodeInvalidRequest, Pointer: pinKSNPointer, Detail: "This shop has no base derivation key for this key serial number."}
	}
	return z, nil
}

// preparePIN refuses a PIN that no bank could be given. Errors are refusals;
// nothing was changed.
func preparePIN(a Account, r *PayRequest) error {
	if r.Carried == nil || !r.Carried.Channel.CardPresent() || r.Secrets == nil {
		return &Refusal{Code: CodeInvalidRequest, Pointer: pinPointer, Detail: "A PIN goes with a card that is present only."}
	}
	if r.PIN.Block.Len() != r.PIN.Format.Bytes() {
		return &Refusal{Code: CodeInvalidRequest, Pointer: pinBlockPointer, Detail: "The PIN block has another length than its format."}
	}
	_, err := a.Merchant.zone(r.PIN)
	return err
}

// carriesPIN reports whether a bank can be given the request's PIN. The error is
// an *iso.CarryError or says what the operators lack.
func (b *bank) carriesPIN(r *PayRequest) error {
	v := b.link.Current()
	if err := v.Dialect().CarriesPIN(r.operation()); err != nil {
		return err
	}
	format, ok := v.TakesPIN()
	switch {
	case !ok:
		return &pinError{"there is no key for its PIN blocks"}
	case b.live && v.PINInMemory():
		return &pinError{"a live PIN is translated in a hardware key store only, and there is none"}
	case !r.PIN.Format.Reaches(format):
		return &pinError{"its PIN blocks are of a format that this one may not become"}
	}
	return nil
}

// pinError says why a bank cannot be given a PIN.
type pinError struct{ why string }

func (e *pinError) Error() string { return e.why }

// translatePIN writes the request's PIN, when it has one, under the bank's key, for
// a message in the version that is held. Errors are refusals: it is called before
// anything is recorded for the bank.
func (s *Switch) translatePIN(w *work, a Account) error {
	r := w.wish
	if r.PIN == nil {
		return nil
	}
	r.Secrets.PINBlock.Wipe()
	from, err := a.Merchant.zone(r.PIN)
	if err != nil {
		return err
	}
	if _, ok := w.version.TakesPIN(); !ok {
		return &Refusal{Code: CodeNotCarried, Pointer: pinPointer, Detail: "The bank takes no PINs in this version of its dialect. Nothing was recorded or sent."}
	}
	var terminal [16]byte
	var number [24]byte
	defer clear(terminal[:])
	defer clear(number[:])
	block, err := w.version.TranslatePIN(from, r.PIN.Block.Append(terminal[:0]), string(r.PAN.Append(number[:0])))
	defer clear(block)
	refused := func(pointer, detail string) error {
		return &Refusal{Code: CodeInvalidRequest, Pointer: pointer, Detail: detail}
	}
	under := pinKeyPointer
	if len(r.PIN.KSN) > 0 {
		under = pinKSNPointer
	}
	switch {
	case err == nil:
		r.Secrets.PINBlock = iso.NewSecret(block)
		return nil
	case errors.Is(err, security.ErrPIN):
		return refused(pinBlockPointer, "The PIN block cannot be read under this key, in this format, with this card number.")
	case errors.Is(err, security.ErrKSN):
		return refused(pinKSNPointer, "The key serial number is none that a terminal can have with this base derivation key.")
	case errors.Is(err, keystore.ErrFormat):
		return refused(pinPointer+"/format", "The format does not go with the key: 4 is for keys of AES, the others for keys of triple DES.")
	}
	s.log.Error("a PIN could not be translated", "request_id", r.RequestID, "dialect", w.version.Dialect().ID(), "error", err)
	return &Refusal{Code: CodeInternal, Pointer: under, Detail: "The key store could not translate the PIN. Nothing was recorded or sent."}
}

// standInPIN gives an explanation something to mask where a PIN block would be.
func (r *PayRequest) standInPIN(b *bank) {
	if format, ok := b.link.Current().TakesPIN(); ok {
		r.Secrets.PINBlock = iso.NewSecret(make([]byte, format.Bytes()))
	}
}
