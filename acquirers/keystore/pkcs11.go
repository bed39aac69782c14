//go:build pkcs11

package keystore

import (
	"cmp"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/miekg/pkcs11"

	"github.com/tranzit/tranzit/iso/security"
)

// PKCS11 is a store in a hardware module. Its keys are sensitive and cannot be
// extracted. While a key is imported, and of a PIN block while it is translated,
// the clear text is in the memory of the process and overwritten: PKCS#11 itself
// has neither key blocks nor PIN translation.
type PKCS11 struct {
	ctx      *pkcs11.Ctx
	sessions chan pkcs11.SessionHandle
	mu       sync.Mutex // one change at a time
	slots    atomic.Pointer[map[string]*hsmSlot]
}

const (
	hsmSessions    = 8
	hsmApplication = "tranzit"
)

// hsmSlot is the record of a slot: a data object of the token. Immutable once it
// can be read.
type hsmSlot struct {
	Slot
	Revision int    `json:"revision"` // the newest record counts
	Key      hsmKey `json:"key"`
	Second   hsmKey `json:"second"`

	record pkcs11.ObjectHandle
}

// hsmKey are the objects of a key: the key and what its algorithm needs besides.
type hsmKey struct {
	ID        int    `json:"id"` // 0: none
	Algorithm string `json:"algorithm"`
	Size      int    `json:"size"`

	whole, other pkcs11.ObjectHandle // other: the left half of an X9.19 key, the variant of a base derivation key
}

// OpenPKCS11 opens a token and logs in. One store per process and module.
func OpenPKCS11(m Module) (Store, error) {
	ctx := pkcs11.New(m.Path)
	if ctx == nil {
		return nil, fmt.Errorf("PKCS#11: %s cannot be loaded", m.Path)
	}
	if err := ctx.Initialize(); err != nil && err != pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		return nil, fmt.Errorf("PKCS#11: %w", err)
	}
	slot, err := findToken(ctx, m.Token)
	if err != nil {
		return nil, err
	}
	s := &PKCS11{ctx: ctx, sessions: make(chan pkcs11.SessionHandle, hsmSessions)}
	for i := range hsmSessions {
		session, err := ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
		if err != nil {
			return nil, fmt.Errorf("PKCS#11: %w", err)
		}
		if i == 0 {
			if err := ctx.Login(session, pkcs11.CKU_USER, m.PIN); err != nil && err != pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
				return nil, fmt.Errorf("PKCS#11: %w", err)
			}
		}
		s.sessions <- session
	}
	return s, s.Reload()
}

func findToken(ctx *pkcs11.Ctx, label string) (uint, error) {
	slots, err := ctx.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("PKCS#11: %w", err)
	}
	for _, slot := range slots {
		if info, err := ctx.GetTokenInfo(slot); err == nil && info.Label == label {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("PKCS#11: there is no token %q", label)
}

// with runs one use of the token on a session of its own.
func (s *PKCS11) with(use func(h pkcs11.SessionHandle) error) error {
	session := <-s.sessions
	defer func() { s.sessions <- session }()
	return use(session)
}

func (s *PKCS11) find(h pkcs11.SessionHandle, want ...*pkcs11.Attribute) (found []pkcs11.ObjectHandle, err error) {
	if err := s.ctx.FindObjectsInit(h, want); err != nil {
		return nil, err
	}
	for {
		some, _, err := s.ctx.FindObjects(h, 100)
		if err != nil || len(some) == 0 {
			return found, errors.Join(err, s.ctx.FindObjectsFinal(h))
		}
		found = append(found, some...)
	}
}

// Reload reads the records of the token again.
func (s *PKCS11) Reload() error {
	slots := map[string]*hsmSlot{}
	err := s.with(func(h pkcs11.SessionHandle) error {
		records, err := s.find(h, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_DATA), pkcs11.NewAttribute(pkcs11.CKA_APPLICATION, hsmApplication))
		if err != nil {
			return err
		}
		for _, record := range records {
			value, err := s.ctx.GetAttributeValue(h, record, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
			if err != nil {
				return err
			}
			slot := &hsmSlot{record: record}
			if err := json.Unmarshal(value[0].Value, slot); err != nil {
				return fmt.Errorf("a record of the token cannot be read: %w", err)
			}
			if have := slots[slot.Name]; have == nil || have.Revision < slot.Revision {
				slots[slot.Name] = slot
			}
		}
		for _, slot := range slots {
			for _, k := range []*hsmKey{&slot.Key, &slot.Second} {
				if err := s.resolve(h, slot.Name, k); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("PKCS#11: %w", err)
	}
	s.slots.Store(&slots)
	return nil
}

// resolve finds the objects of a key.
func (s *PKCS11) resolve(h pkcs11.SessionHandle, slot string, k *hsmKey) error {
	if k.ID == 0 {
		return nil
	}
	for part, handle := range []*pkcs11.ObjectHandle{&k.whole, &k.other} {
		found, err := s.find(h, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, hsmLabel(slot)), pkcs11.NewAttribute(pkcs11.CKA_ID, hsmID(k.ID, part)))
		if err != nil {
			return err
		}
		if len(found) > 0 {
			*handle = found[0]
		}
	}
	if k.whole == 0 {
		return fmt.Errorf("the key of slot %s is missing", slot)
	}
	return nil
}

func hsmLabel(slot string) string { return hsmApplication + "/" + slot }

func hsmID(id, part int) []byte {
	return []byte{byte(id >> 16), byte(id >> 8), byte(id), byte(part)}
}

func (s *PKCS11) key(k Ref, use byte) (*hsmKey, error) {
	slot, found := (*s.slots.Load())[k.Slot]
	switch {
	case !found:
		return nil, fmt.Errorf("%w: %q", ErrSlot, k.Slot)
	case slot.Usage[0] != use:
		return nil, fmt.Errorf("%w: slot %s has usage %s", ErrUse, k.Slot, slot.Usage)
	case !k.Before:
		return &slot.Key, nil
	case slot.Second.ID == 0 || !slot.second():
		return nil, fmt.Errorf("%w: %q", ErrNoKey, k.Slot)
	}
	return &slot.Second, nil
}

// Sum implements Store.
func (s *PKCS11) Sum(k Ref, m security.MAC, data []byte) (sum []byte, err error) {
	key, err := s.key(k, 'M')
	if err != nil {
		return nil, err
	}
	err = s.with(func(h pkcs11.SessionHandle) error {
		sum, err = s.sum(h, key, m, data)
		return err
	})
	return sum, err
}

func (s *PKCS11) sum(h pkcs11.SessionHandle, key *hsmKey, m security.MAC, data []byte) ([]byte, error) {
	wrong := fmt.Errorf("%w: algorithm %s and %d bytes for %s", security.ErrKey, key.Algorithm, key.Size, m.Algorithm)
	sign := func(mechanism uint, algorithm string) ([]byte, error) {
		if key.Algorithm != algorithm {
			return nil, wrong
		}
		if err := s.ctx.SignInit(h, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, key.whole); err != nil {
			return nil, fmt.Errorf("PKCS#11: %w", err)
		}
		return s.ctx.Sign(h, data)
	}
	switch m.Algorithm {
	case security.CMACTDES:
		return sign(pkcs11.CKM_DES3_CMAC, "T")
	case security.CMACAES:
		return sign(pkcs11.CKM_AES_CMAC, "A")
	case security.HMACSHA256:
		return sign(pkcs11.CKM_SHA256_HMAC, "H")
	case security.X99:
		if key.Algorithm != "D" {
			return nil, wrong
		}
		return s.chain(h, key.whole, m.Padding.Pad(data))
	case security.X919:
		if key.Algorithm != "T" || key.Size != 16 || key.other == 0 {
			return nil, wrong
		}
		return s.retail(h, key, m.Padding.Pad(data))
	}
	return nil, fmt.Errorf("there is no %s", m.Algorithm)
}

// chain is the last block of whole blocks under CBC from zeros.
func (s *PKCS11) chain(h pkcs11.SessionHandle, key pkcs11.ObjectHandle, data []byte) ([]byte, error) {
	if err := s.ctx.EncryptInit(h, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_DES3_CBC, make([]byte, 8))}, key); err != nil {
		return nil, fmt.Errorf("PKCS#11: %w", err)
	}
	out, err := s.ctx.Encrypt(h, data)
	if err != nil || len(out) < 8 {
		return nil, fmt.Errorf("PKCS#11: %w", err)
	}
	return out[len(out)-8:], nil
}

// retail chains all blocks but the last under the left half, and ends with triple
// DES under both: the same as ISO 9797-1 algorithm 3.
func (s *PKCS11) retail(h pkcs11.SessionHandle, key *hsmKey, data []byte) (mac []byte, err error) {
	last := slices.Clone(data[len(data)-8:])
	if rest := data[:len(data)-8]; len(rest) > 0 {
		before, err := s.chain(h, key.other, rest)
		if err != nil {
			return nil, err
		}
		for i := range last {
			last[i] ^= before[i]
		}
	}
	return s.chain(h, key.whole, last)
}

// hsmBlock is a key of the token as a block cipher. What goes wrong is kept in
// err, as a cipher has no errors. Of one goroutine.
type hsmBlock struct {
	store  *PKCS11
	h      pkcs11.SessionHandle
	handle pkcs11.ObjectHandle
	size   int
	ecb    uint
	err    error
}

func (s *PKCS11) block(h pkcs11.SessionHandle, handle pkcs11.ObjectHandle, algorithm string) *hsmBlock {
	if algorithm == "A" {
		return &hsmBlock{s, h, handle, 16, pkcs11.CKM_AES_ECB, nil}
	}
	return &hsmBlock{s, h, handle, 8, pkcs11.CKM_DES3_ECB, nil}
}

// BlockSize implements cipher.Block.
func (b *hsmBlock) BlockSize() int { return b.size }

// Encrypt implements cipher.Block.
func (b *hsmBlock) Encrypt(dst, src []byte) {
	b.one(dst, b.store.ctx.EncryptInit, func() ([]byte, error) { return b.store.ctx.Encrypt(b.h, src[:b.size]) })
}

// Decrypt implements cipher.Block.
func (b *hsmBlock) Decrypt(dst, src []byte) {
	b.one(dst, b.store.ctx.DecryptInit, func() ([]byte, error) { return b.store.ctx.Decrypt(b.h, src[:b.size]) })
}

func (b *hsmBlock) one(dst []byte, begin func(pkcs11.SessionHandle, []*pkcs11.Mechanism, pkcs11.ObjectHandle) error, run func() ([]byte, error)) {
	err := begin(b.h, []*pkcs11.Mechanism{pkcs11.NewMechanism(b.ecb, nil)}, b.handle)
	var out []byte
	if err == nil {
		out, err = run()
	}
	if err == nil && len(out) != b.size {
		err = errors.New("the token gave a block of a wrong size")
	}
	if err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("PKCS#11: %w", err))
		clear(dst[:b.size])
		return
	}
	copy(dst, out)
	clear(out)
}

// TranslatePIN implements Store.
func (s *PKCS11) TranslatePIN(t Translation) (out []byte, err error) {
	to, err := s.key(Ref{Slot: t.To.Slot}, 'P')
	if err != nil {
		return nil, err
	}
	if err := t.To.Takes(to.Algorithm); err != nil {
		return nil, err
	}
	return t.each(func(before bool) (out []byte, err error) {
		err = s.with(func(h pkcs11.SessionHandle) error {
			from, used, err := s.source(h, &t, before)
			if err != nil {
				return err
			}
			target := s.block(h, to.whole, to.Algorithm)
			out, err = security.TranslatePIN(from, security.PINBlock{Format: t.To.Format, Under: target}, t.PAN)
			clear(from.Key)
			for _, b := range append(used, target) {
				if b.err != nil {
					return b.err
				}
			}
			return err
		})
		return out, err
	})
}

// source is where a PIN block comes from, and the keys of the token in use.
func (s *PKCS11) source(h pkcs11.SessionHandle, t *Translation, before bool) (from security.PINBlock, used []*hsmBlock, err error) {
	from = security.PINBlock{Format: t.From.Format, Block: t.Block}
	ref := Ref{t.From.Slot, before}
	if len(t.From.KSN) == 0 {
		k, err := s.key(ref, 'P')
		if err != nil {
			return from, nil, err
		}
		if err := t.From.Takes(k.Algorithm); err != nil {
			return from, nil, err
		}
		b := s.block(h, k.whole, k.Algorithm)
		from.Under = b
		return from, []*hsmBlock{b}, nil
	}
	k, err := s.key(ref, 'B')
	if err == nil {
		err = t.From.Takes(k.Algorithm)
	}
	if err != nil {
		return from, nil, err
	}
	bdk := s.block(h, k.whole, k.Algorithm)
	if k.Algorithm == "A" {
		from.Key, err = security.DeriveAESUnder(bdk, k.Size, t.From.KSN, security.ForPIN)
		return from, []*hsmBlock{bdk}, err
	}
	variant := s.block(h, k.other, k.Algorithm)
	from.Key, err = security.DeriveTDESUnder([2]cipher.Block{bdk, variant}, t.From.KSN, security.ForPIN)
	return from, []*hsmBlock{bdk, variant}, err
}

// Slots implements Store.
func (s *PKCS11) Slots() (all []Slot, err error) {
	for _, slot := range *s.slots.Load() {
		all = append(all, slot.Slot)
	}
	slices.SortFunc(all, func(a, b Slot) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}
