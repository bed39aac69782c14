package acquirers

import (
	"fmt"

	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/iso/security"
)

// newPINZone is how PIN blocks go to a bank; nil: it gets none, since the dialect has none or no key of the store is named for them.
func newPINZone(c *Config, d *iso.Dialect) (*keystore.Zone, error) {
	format, name, ok := d.PIN()
	slot := c.Slots[name]
	if !ok || slot == "" {
		return nil, nil
	}
	if c.Keys == nil {
		return nil, fmt.Errorf("a key %q is given and there is no key store", name)
	}
	zone := &keystore.Zone{Slot: slot, Format: format}
	found, err := keystore.FindSlot(c.Keys, slot, keystore.ForPIN)
	if err == nil {
		err = zone.Takes(found.Algorithm)
	}
	if err != nil {
		return nil, fmt.Errorf("the dialect's key %q: %w", name, err)
	}
	return zone, nil
}

// TakesPIN is the format of the bank's PIN blocks in this version. False: it gets none.
func (v *Version) TakesPIN() (f security.PINFormat, ok bool) {
	if v.pin == nil {
		return 0, false
	}
	return v.pin.Format, true
}

// PINInMemory reports whether PINs for the bank are translated in the memory of
// this process, which is for tests alone.
func (v *Version) PINInMemory() bool { return v.pin != nil && keystore.InMemory(v.cfg.Keys) }

// TranslatePIN writes a terminal's PIN block under the bank's key, in the bank's
// format; pan are the card number's digits. Errors are those of
// keystore.Store.TranslatePIN. REQUIRES: the bank takes PINs.
func (v *Version) TranslatePIN(from keystore.Zone, block []byte, pan string) ([]byte, error) {
	return v.cfg.Keys.TranslatePIN(keystore.Translation{From: from, To: *v.pin, Block: block, PAN: pan})
}
