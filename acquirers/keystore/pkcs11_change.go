//go:build pkcs11

package keystore

import (
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/tranzit/tranzit/iso/security"
)

// Import implements Store.
func (s *PKCS11) Import(i Import) (Slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var done Slot
	if i.Make != 0 {
		err := s.with(func(h pkcs11.SessionHandle) (err error) {
			done, err = s.offer(h, &i)
			return err
		})
		return done, err
	}
	err := s.with(func(h pkcs11.SessionHandle) error {
		k, err := i.open(func(slot string, usages ...string) (lock, error) { return s.lock(h, slot, usages) })
		if err != nil {
			return err
		}
		defer k.wipe()
		check, err := k.check()
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		next := &hsmSlot{Slot: Slot{Name: i.Slot, Version: 1}, Revision: 1}
		old := (*s.slots.Load())[i.Slot]
		if old != nil {
			if err := old.mayFollow(&k); err != nil {
				return err
			}
			next.Version, next.Revision = old.Version+1, old.Revision+1
			next.Second, next.Before, next.Until = old.Key, old.Check, i.until(now)
			if old.Check == check && old.Key.Size == len(k.raw) && old.Key.Algorithm == string(k.algorithm) {
				next.Second, next.Before, next.Until = old.Second, old.Before, old.Until
			}
		}
		next.Usage, next.Algorithm, next.Check, next.Since = k.usage, string(k.algorithm), check, now
		next.Key = hsmKey{ID: next.Revision, Algorithm: next.Algorithm, Size: len(k.raw)}
		if err := s.create(h, next, &k); err != nil {
			return err
		}
		done = next.Slot
		return s.record(h, old, next)
	})
	if err != nil {
		return Slot{}, fmt.Errorf("PKCS#11: %w", err)
	}
	return done, nil
}

// offer makes the key of an import. REQUIRES: mu.
func (s *PKCS11) offer(h pkcs11.SessionHandle, i *Import) (Slot, error) {
	old := (*s.slots.Load())[i.Slot]
	switch {
	case old == nil:
		return Slot{}, fmt.Errorf("%w: %q", ErrSlot, i.Slot)
	case old.Offer != "":
		return old.Slot, nil
	}
	k, text, err := i.offer(old.Slot, old.Key.Size, func(slot string, usages ...string) (lock, error) { return s.lock(h, slot, usages) })
	if err != nil {
		return Slot{}, err
	}
	defer k.wipe()
	check, err := k.check()
	if err != nil {
		return Slot{}, err
	}
	next := *old
	next.Revision++
	next.Slot = old.offered(i, text, check)
	made := &hsmSlot{Slot: next.Slot, Key: hsmKey{ID: next.Revision, Algorithm: string(k.algorithm), Size: len(k.raw)}}
	if err := s.create(h, made, &k); err != nil {
		return Slot{}, fmt.Errorf("PKCS#11: %w", err)
	}
	next.Second = made.Key
	return next.Slot, s.record(h, old, &next)
}

// create puts the objects of a key into the token.
func (s *PKCS11) create(h pkcs11.SessionHandle, slot *hsmSlot, k *clearKey) error {
	thrice := func(part []byte) []byte { return slices.Concat(part, part, part) }
	kind, whole, other := uint(pkcs11.CKK_DES3), slices.Clone(k.raw), []byte(nil)
	switch {
	case k.algorithm == 'A':
		kind = pkcs11.CKK_AES
	case k.algorithm == 'H':
		kind = pkcs11.CKK_GENERIC_SECRET
	case k.algorithm == 'D':
		whole = thrice(k.raw)
	case len(k.raw) == 16:
		whole = slices.Concat(k.raw, k.raw[:8])
		if k.usage[0] == 'M' {
			other = thrice(k.raw[:8])
		}
		if k.usage[0] == 'B' {
			variant := security.VariantTDES(k.raw)
			other = slices.Concat(variant, variant[:8])
		}
	}
	defer clear(whole)
	defer clear(other)
	may := func(letters string) bool { return slices.Contains([]byte(letters), k.usage[0]) }
	for part, raw := range [][]byte{whole, other} {
		if raw == nil {
			continue
		}
		handle, err := s.ctx.CreateObject(h, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, kind),
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, hsmLabel(slot.Name)), pkcs11.NewAttribute(pkcs11.CKA_ID, hsmID(slot.Key.ID, part)),
			pkcs11.NewAttribute(pkcs11.CKA_SIGN, may("MK") && part == 0), pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, may("MPBK") && k.algorithm != 'H'),
			pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, may("PK")), pkcs11.NewAttribute(pkcs11.CKA_VALUE, raw),
		})
		if err != nil {
			return err
		}
		*[]*pkcs11.ObjectHandle{&slot.Key.whole, &slot.Key.other}[part] = handle
	}
	return nil
}

// lock gives a key encryption key to an import.
func (s *PKCS11) lock(h pkcs11.SessionHandle, slot string, usages []string) (lock, error) {
	k, err := s.key(Ref{Slot: slot}, 'K')
	if err != nil {
		return lock{}, err
	}
	if have := (*s.slots.Load())[slot].Usage; !slices.Contains(usages, have) {
		return lock{}, fmt.Errorf("%w: slot %s has usage %s", ErrUse, slot, have)
	}
	under := func(whole func(cipher.Block, []byte) ([]byte, error)) func([]byte) ([]byte, error) {
		return func(data []byte) ([]byte, error) {
			b := s.block(h, k.whole, k.Algorithm)
			out, err := whole(b, data)
			return out, errors.Join(err, b.err)
		}
	}
	return lock{size: k.Size, cipher: cipherOf(k.Algorithm), encrypt: under(encryptECB), decrypt: under(decryptECB),
		sum: func(m security.MAC, data []byte) ([]byte, error) { return s.sum(h, k, m, data) }}, nil
}

// record makes the new record of a slot, then ends the old one and the keys that
// no record names: a crash between leaves the newest record.
func (s *PKCS11) record(h pkcs11.SessionHandle, old, next *hsmSlot) error {
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	next.record, err = s.ctx.CreateObject(h, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_DATA), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true), pkcs11.NewAttribute(pkcs11.CKA_APPLICATION, hsmApplication),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, hsmLabel(next.Name)), pkcs11.NewAttribute(pkcs11.CKA_VALUE, text),
	})
	if err != nil {
		return err
	}
	slots := maps.Clone(*s.slots.Load())
	slots[next.Name] = next
	s.slots.Store(&slots)
	return s.clean(h, old, next)
}

// clean destroys an old record and the keys of it that the new one has not. A
// reader that still holds such a key gets an error of the token.
func (s *PKCS11) clean(h pkcs11.SessionHandle, old, next *hsmSlot) error {
	if old == nil {
		return nil
	}
	gone := []pkcs11.ObjectHandle{old.record}
	for _, k := range []hsmKey{old.Key, old.Second} {
		if k.ID != 0 && (next == nil || k.ID != next.Key.ID && k.ID != next.Second.ID) {
			gone = append(gone, k.whole, k.other)
		}
	}
	for _, handle := range gone {
		if handle != 0 {
			if err := s.ctx.DestroyObject(h, handle); err != nil {
				return err
			}
		}
	}
	return nil
}

// Change implements Store.
func (s *PKCS11) Change(slot string, c Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := (*s.slots.Load())[slot]
	if old == nil {
		return fmt.Errorf("%w: %q", ErrSlot, slot)
	}
	next := *old
	next.Revision++
	switch c {
	case RetireSlot:
		slots := maps.Clone(*s.slots.Load())
		delete(slots, slot)
		s.slots.Store(&slots)
		return s.with(func(h pkcs11.SessionHandle) error { return s.clean(h, old, nil) })
	case RetireBefore:
		next.Second, next.Before, next.Until, next.Offer, next.Margin = hsmKey{}, "", time.Time{}, "", 0
	case TakeOffer:
		if old.Offer == "" {
			return fmt.Errorf("%w: %q has none on offer", ErrNoKey, slot)
		}
		next.Key, next.Second = old.Second, old.Key
		next.Slot = old.taken(next.Key.Algorithm)
	case RollBack:
		if old.Second.ID == 0 || old.Offer != "" || !time.Now().Before(old.Until) {
			return fmt.Errorf("%w: %q", ErrNoKey, slot)
		}
		next.Key, next.Second = old.Second, old.Key
		next.Algorithm, next.Check, next.Before = next.Key.Algorithm, old.Before, old.Check
		next.Since, next.Version = time.Now().UTC(), old.Version+1
	}
	return s.with(func(h pkcs11.SessionHandle) error { return s.record(h, old, &next) })
}
