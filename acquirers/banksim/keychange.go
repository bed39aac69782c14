package banksim

import (
	"bytes"
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

// take opens a key that the switch made. It is present from now on, and the one before
// verifies with it. False: it does not prove itself.
func (k *keys) take(o iso.KeyOffer) bool {
	under, _ := k.get(o.KEK)
	key, err := opened(under, o)
	if err != nil {
		return false
	}
	if check, err := security.CheckValue(security.TDES, key, 3); err != nil || o.Check != nil && !bytes.Equal(check, o.Check) {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !bytes.Equal(k.present[o.Slot], key) && !bytes.Equal(k.before[o.Slot], key) { // else it came late, twice
		k.before[o.Slot], k.present[o.Slot] = k.present[o.Slot], key
	}
	delete(k.next, o.Slot)
	return true
}

// opened is the key of an offer in clear.
func opened(under []byte, o iso.KeyOffer) ([]byte, error) {
	if o.Block != "" {
		_, key, err := security.UnwrapKey(under, o.Block)
		return key, err
	}
	b, err := security.TDES.Under(under)
	if err != nil || len(o.Sealed)%b.BlockSize() != 0 {
		return nil, errors.New("banksim: no key in whole blocks")
	}
	key := make([]byte, len(o.Sealed))
	for at := 0; at < len(key); at += b.BlockSize() {
		b.Decrypt(key[at:], o.Sealed[at:])
	}
	return key, nil
}

// AskKey asks the switch for a key that it makes, on one link, as the dialect says. It
// does not wait for the answer. REQUIRES: Start succeeded.
func (b *Bank) AskKey() error {
	s := b.step(func(s *iso.NetworkStep) bool { return s.Key == iso.KeyInAnswer })
	links := b.liveLinks()
	if s == nil || len(links) == 0 {
		return errors.New("banksim: no link, or the dialect has no step by which the bank asks for a key")
	}
	return b.startStep(links[0], s)
}

// takeAnswered takes the key in an answer of the switch's, when there is one.
func (l *link) takeAnswered() {
	d := l.bank.cfg.Dialect
	for _, s := range d.NetworkSteps() {
		if s.Theirs && s.Key == iso.KeyInAnswer && d.StepDone(s, string(l.req.Get(39))) {
			if o, err := d.KeyOffer(&l.req); err == nil && !l.bank.keys.take(o) {
				l.bank.stats.forged.Add(1)
			}
		}
	}
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
