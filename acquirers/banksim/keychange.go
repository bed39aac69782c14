package banksim

import (
	"crypto/rand"
	"errors"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/iso/security"
)

// offer makes a new key for the switch: triple DES of 16 bytes under the key of
// key encryption. The bank makes codes with it from the first message of the
// switch that has one under it, and checks codes by either meanwhile.
func (k *keys) offer(d *iso.Dialect) (iso.KeyOffer, error) {
	slot, kek, block := d.KeyForm()
	under, _ := k.get(kek)
	key := make([]byte, 16)
	_, _ = rand.Read(key)
	o := iso.KeyOffer{Slot: slot, KEK: kek}
	var err error
	if o.Check, err = security.CheckValue(security.TDES, key, 3); err != nil {
		return o, err
	}
	if block {
		o.Block, err = security.WrapKey(security.TDES, under, security.KeyHeader{Usage: "M3", Algorithm: 'T', Mode: 'C', Version: "00", Exportability: 'N'}, key)
	} else {
		b, fault := security.TDES.Under(under)
		if fault != nil {
			return o, fault
		}
		o.Sealed = make([]byte, 16)
		b.Encrypt(o.Sealed, key)
		b.Encrypt(o.Sealed[8:], key[8:])
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next[slot] = key
	return o, err
}

// GiveKey sends the switch a new key on one link, as the dialect says. It does
// not wait for the answer. REQUIRES: Start succeeded.
func (b *Bank) GiveKey() error {
	s := b.step(func(s *iso.NetworkStep) bool { return s.Key == iso.KeyInRequest })
	links := b.liveLinks()
	if s == nil || len(links) == 0 {
		return errors.New("banksim: no link, or the dialect has no step by which the bank gives a key")
	}
	return b.startStep(links[0], s)
}
