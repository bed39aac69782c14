package acquirers

import (
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
)

// lineKeys are what the versions of a bank share of the keys that are changed on the line.
type lineKeys struct {
	mu      sync.Mutex             // one change of what is on offer at a time
	onOffer atomic.Pointer[string] // the store's slot with a key of ours that the bank may not have; nil: none
	made    atomic.Uint64          // codes under the present key, by this process
	worn    chan struct{}          // capacity 1: as many were made as one key may
	last    atomic.Int64           // Unix nanoseconds of the latest change; 0: none in this life
}

// offers reports whether the key beside a slot's present one is on offer.
func (k *lineKeys) offers(slot string) bool {
	on := k.onOffer.Load()
	return on != nil && *on == slot
}

// changed notes that another key is present.
func (k *lineKeys) changed() {
	k.onOffer.Store(nil)
	k.made.Store(0)
	k.last.Store(time.Now().UnixNano())
}

// fresh is for how long from now the bank may still read what was made under the key before the present one: it
// keeps two keys, so that a third must wait.
func (k *lineKeys) fresh(write time.Duration) time.Duration {
	return max(0, write-time.Since(time.Unix(0, k.last.Load())))
}

// know looks whether an earlier life left a key of the version on offer.
func (k *lineKeys) know(v *Version) error {
	if v.cfg.Keys == nil || v.keySlot() == "" {
		return nil
	}
	have, err := v.slotState()
	if err == nil && have.Offer != "" {
		k.onOffer.Store(&have.Name)
	}
	return err
}

// keySlot is the store's slot of the key that is changed on the line; empty: none is.
func (v *Version) keySlot() string { return v.cfg.Slots[v.dialect.KeySlot()] }

func (v *Version) slotState() (keystore.Slot, error) {
	all, err := v.cfg.Keys.Slots()
	for _, s := range all {
		if s.Name == v.keySlot() {
			return s, err
		}
	}
	return keystore.Slot{}, err
}

// offerKey has the key store make a key and says it as the bank is told it. A key that is on offer
// already is offered again, and is not fresh: the bank may have taken it.
func (l *line) offerKey() (o *iso.KeyOffer, fresh bool, err error) {
	b, v := l.bank, l.version
	b.keys.mu.Lock()
	defer b.keys.mu.Unlock()
	have, err := v.slotState()
	if err != nil {
		return nil, false, err
	}
	slot, kek, block := v.dialect.KeyForm()
	i := keystore.Import{Slot: v.keySlot(), KEK: v.cfg.Slots[kek], Make: keystore.FormSealed, Until: time.Now().Add(v.dialect.KeyHabit().Overlap)}
	if block {
		i.Make = keystore.FormBlock
	}
	made, err := v.cfg.Keys.Import(i)
	if err != nil {
		return nil, false, err
	}
	b.keys.onOffer.Store(&made.Name)
	o = &iso.KeyOffer{Slot: slot, KEK: kek}
	if o.Check, err = hex.DecodeString(made.Before); err != nil {
		return nil, false, err
	}
	if o.Block = made.Offer; !block {
		o.Block = ""
		o.Sealed, err = hex.DecodeString(made.Offer)
	}
	return o, have.Offer == "", err
}

// takeOffer takes the key on offer in a slot of the store into use, if there is one.
func (b *Bank) takeOffer(slot, why string) {
	if b.endOffer(slot, keystore.TakeOffer) {
		b.metrics.keyChanges.Add(1)
		b.log.Info("a key of ours for the line is in use", "bank", b.cfg.ID, "slot", slot, "why", why)
	}
}

// withdrawOffer ends the key on offer, which the bank refused the first time that it saw it.
func (b *Bank) withdrawOffer(slot string) { b.endOffer(slot, keystore.RetireBefore) }

// endOffer does c to the key on offer. False: there is none any more, or the store failed, which is an alarm.
func (b *Bank) endOffer(slot string, c keystore.Change) bool {
	b.keys.mu.Lock()
	defer b.keys.mu.Unlock()
	if !b.keys.offers(slot) {
		return false
	}
	err := b.cfg.Keys.Change(slot, c)
	if err != nil && !errors.Is(err, keystore.ErrNoKey) {
		b.aside.alarm("key_change", "the key on offer: "+err.Error())
		return false
	}
	b.keys.changed()
	return err == nil
}
