package banksim

import (
	"crypto/rand"
	"errors"
	"time"

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

// asksForKey finds the step of the switch's that the bank answers with a key.
func (b *Bank) asksForKey(m *iso.Message) bool {
	for _, s := range b.cfg.Dialect.KeySteps() {
		if s.Ours && s.Key && s.Code == string(m.Get(70)) {
			return true
		}
	}
	return false
}

// GiveKey sends the switch a new key on one link, as the dialect says. It does
// not wait for the answer. REQUIRES: Start succeeded.
func (b *Bank) GiveKey() error {
	for _, s := range b.cfg.Dialect.KeySteps() {
		links := b.liveLinks()
		if s.Ours || !s.Key || len(links) == 0 {
			continue
		}
		now := time.Now().UTC()
		v := iso.Values{STAN: iso.STAN(b.stan.Add(1)%999999 + 1), SentAt: now, LocalAt: now, Acquirer: b.cfg.Institution, Forwarder: b.cfg.Institution}
		var m iso.Message
		if err := b.cfg.Dialect.BuildKeyStep(s, &v, &m); err != nil {
			return err
		}
		offer, err := b.keys.offer(b.cfg.Dialect)
		if err != nil {
			return err
		}
		b.cfg.Dialect.SetKeyOffer(&m, offer)
		frame, err := links[0].seal(nil, &m, sealing{})
		if err != nil {
			return err
		}
		if links[0].put(frame) {
			b.stats.ownMessages.Add(1)
			links[0].kick()
		}
		return nil
	}
	return errors.New("banksim: no link, or the dialect has no step by which the bank gives a key")
}
