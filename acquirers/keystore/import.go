package keystore

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tranzit/tranzit/iso/security"
)

// checkBytes is how much of a check value is shown.
const checkBytes = 3

// Import is a new key for a slot. It comes as one of Block, Sealed or Parts, or the
// store makes it.
type Import struct {
	Slot      string    // a-z, 0-9, - and _; at most 40
	Usage     string    // of ANSI X9.143, such as M3, P0, K0; a key block says its own, which must be the same when this is given
	Algorithm byte      // T triple DES, D DES, A AES, H HMAC; a key block says its own
	Until     time.Time // when the key before ends; zero: after DefaultMargin

	KEK    string   // slot of the key that Block or Sealed is under
	Block  string   // a key block of ANSI X9.143, version B or D
	Sealed []byte   // the key encrypted in ECB under a triple DES or AES key encryption key
	Parts  [][]byte // components of custodians, two or more; their XOR is the key

	Check []byte // check value that must come out, 2 to 5 bytes; required but for Block

	// Make has the store make a key like the slot's present one and offer it to the
	// other side under KEK, in Slot.Offer. The new key verifies at once, and is not
	// the present one before TakeOffer; until then the same key is offered again. Until says
	// how long the key before goes on from then.
	Make Form
}

// Form is how an offered key is written.
type Form uint8

// The forms.
const (
	FormBlock  Form = iota + 1 // a key block of ANSI X9.143
	FormSealed                 // a cryptogram in ECB, in hex digits
)

// Errors of imports.
var (
	ErrCheck  = errors.New("the check value is not that of the key")
	errImport = errors.New("a key comes as a key block, as a cryptogram, or as two or more components")
)

// lock is a key encryption key at work.
type lock struct {
	size    int
	cipher  security.Cipher
	encrypt func(data []byte) ([]byte, error) // ECB
	sum     func(m security.MAC, data []byte) ([]byte, error)
	decrypt func(data []byte) ([]byte, error) // ECB
}

// clearKey is a key on its way into a store. wipe it.
type clearKey struct {
	usage     string
	algorithm byte
	raw       []byte
}

func (k *clearKey) wipe() { clear(k.raw) }

// open takes the key out of what it came in and proves it. kek gives the lock of
// a slot and the usages it may have.
func (i *Import) open(kek func(slot string, usages ...string) (lock, error)) (k clearKey, err error) {
	if !validSlot(i.Slot) {
		return k, fmt.Errorf("slot %q must be 1 to 40 of a-z, 0-9, - and _", i.Slot)
	}
	k = clearKey{usage: i.Usage, algorithm: i.Algorithm}
	given := 0
	for _, is := range []bool{i.Block != "", len(i.Sealed) > 0, len(i.Parts) > 0} {
		if is {
			given++
		}
	}
	if given != 1 || len(i.Parts) == 1 {
		return k, errImport
	}
	switch {
	case i.Block != "":
		err = i.openBlock(&k, kek)
	case len(i.Parts) > 0:
		err = i.join(&k)
	default:
		var l lock
		if l, err = kek(i.KEK, "K0"); err == nil {
			k.raw, err = l.decrypt(i.Sealed)
		}
	}
	if err != nil {
		return k, err
	}
	if err := k.validate(); err != nil {
		k.wipe()
		return k, err
	}
	if err := i.prove(&k); err != nil {
		k.wipe()
		return k, err
	}
	return k, nil
}

func (i *Import) openBlock(k *clearKey, kek func(slot string, usages ...string) (lock, error)) error {
	l, err := kek(i.KEK, "K0", "K1")
	if err != nil {
		return err
	}
	h, raw, err := security.UnwrapKeyUnder(l.size, l.sum, i.Block)
	if err != nil {
		return err
	}
	if i.Usage != "" && h.Usage != i.Usage || i.Algorithm != 0 && h.Algorithm != i.Algorithm {
		clear(raw)
		return fmt.Errorf("%w: the key block holds a key of usage %s and algorithm %c", ErrUse, h.Usage, h.Algorithm)
	}
	k.usage, k.algorithm, k.raw = h.Usage, h.Algorithm, raw
	return nil
}

func (i *Import) join(k *clearKey) error {
	k.raw = make([]byte, len(i.Parts[0]))
	for n, part := range i.Parts {
		if len(part) != len(k.raw) {
			return fmt.Errorf("component %d has %d bytes and the first has %d", n+1, len(part), len(k.raw))
		}
		if bytes.Equal(part, make([]byte, len(part))) {
			return fmt.Errorf("component %d is all zeros: its custodian adds nothing", n+1)
		}
		for j := range part {
			k.raw[j] ^= part[j]
		}
	}
	return nil
}

// prove holds the key to the check value it came with.
func (i *Import) prove(k *clearKey) error {
	if len(i.Check) == 0 && i.Block != "" {
		return nil
	}
	if len(i.Check) < 2 || len(i.Check) > 5 {
		return fmt.Errorf("a check value of 2 to 5 bytes is needed, not %d", len(i.Check))
	}
	got, err := CheckValue(k.algorithm, k.raw, len(i.Check))
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(got, i.Check) != 1 {
		return ErrCheck
	}
	return nil
}

// usages are the uses a key may have, by their first letter.
const usages = "MPBK"

func (k *clearKey) validate() error {
	if len(k.usage) != 2 || !strings.Contains(usages, k.usage[:1]) || !slices.Contains([]byte("0123456789"), k.usage[1]) {
		return fmt.Errorf("usage %q is none of M0 to M8, P0, B0, K0, K1", k.usage)
	}
	lengths := map[byte][]int{'T': {16, 24}, 'D': {8}, 'A': {16, 24, 32}}[k.algorithm]
	switch n := len(k.raw); {
	case k.algorithm == 'H':
		if n < 16 || n > 64 {
			return fmt.Errorf("%w: %d bytes for HMAC, which takes 16 to 64", security.ErrKey, n)
		}
	case lengths == nil:
		return fmt.Errorf("algorithm %q is none of T, D, A, H", k.algorithm)
	case !slices.Contains(lengths, n):
		return fmt.Errorf("%w: %d bytes for algorithm %c, which takes %v", security.ErrKey, n, k.algorithm, lengths)
	}
	if k.usage[0] != 'M' && (k.algorithm == 'H' || k.algorithm == 'D') || k.usage == "B0" && len(k.raw) > 16 && k.algorithm == 'T' {
		return fmt.Errorf("%w: usage %s does not go with algorithm %c and %d bytes", ErrUse, k.usage, k.algorithm, len(k.raw))
	}
	return nil
}

func (k *clearKey) check() (string, error) {
	v, err := CheckValue(k.algorithm, k.raw, checkBytes)
	return strings.ToUpper(hex.EncodeToString(v)), err
}

// CheckValue proves that two sides hold the same key: its first n bytes, 1 to 5.
// Of T and D the encryption of zeros, of A the CMAC of zeros, of H the HMAC of
// nothing.
func CheckValue(algorithm byte, key []byte, n int) ([]byte, error) {
	switch algorithm {
	case 'A':
		return security.CheckValue(security.AES, key, n)
	case 'D':
		twice := slices.Concat(key, key)
		defer clear(twice)
		return security.CheckValue(security.TDES, twice, n)
	case 'H':
		return hmac.New(sha256.New, key).Sum(nil)[:min(max(n, 1), 5)], nil
	}
	return security.CheckValue(security.TDES, key, n)
}

func validSlot(name string) bool {
	return name != "" && len(name) <= 40 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// until is when the key before ends.
func (i *Import) until(now time.Time) time.Time {
	if i.Until.IsZero() {
		return now.Add(DefaultMargin).UTC()
	}
	return i.Until.UTC()
}

// mayFollow holds a new key of a slot to the use that the slot has.
func (s *Slot) mayFollow(k *clearKey) error {
	if s.Usage != "" && s.Usage[0] != k.usage[0] {
		return fmt.Errorf("%w: slot %s holds keys of usage %s, not %s", ErrUse, s.Name, s.Usage, k.usage)
	}
	return nil
}

// offer makes a key like those of a slot and wraps it.
func (i *Import) offer(like Slot, size int, kek func(slot string, usages ...string) (lock, error)) (k clearKey, text string, err error) {
	k = clearKey{usage: like.Usage, algorithm: like.Algorithm[0], raw: make([]byte, size)}
	if _, err := rand.Read(k.raw); err != nil {
		return k, "", err
	}
	l, err := kek(i.KEK, "K0")
	switch {
	case err != nil:
	case i.Make == FormBlock:
		text, err = security.WrapKeyUnder(l.cipher, security.Protection{Size: l.size, Sum: l.sum},
			security.KeyHeader{Usage: k.usage, Algorithm: k.algorithm, Mode: modes[k.usage[0]], Version: "00", Exportability: 'N'}, k.raw)
	default:
		var sealed []byte
		sealed, err = l.encrypt(k.raw)
		text = strings.ToUpper(hex.EncodeToString(sealed))
	}
	if err != nil {
		k.wipe()
	}
	return k, text, err
}

// modes are what a key of each use may do, in the words of a key block.
var modes = map[byte]byte{'M': 'C', 'P': 'B', 'B': 'X', 'K': 'B'}

// offered is the slot with a key on offer, whose check value is given.
func (s Slot) offered(i *Import, text, check string) Slot {
	now := time.Now()
	s.Offer, s.Before, s.Until, s.Margin = text, check, time.Time{}, i.until(now).Sub(now)
	return s
}

// taken is the slot whose offered key is the present one.
func (s Slot) taken(algorithm string) Slot {
	now := time.Now().UTC()
	s.Check, s.Before = s.Before, s.Check
	s.Algorithm, s.Version, s.Since, s.Until = algorithm, s.Version+1, now, now.Add(s.Margin)
	s.Offer, s.Margin = "", 0
	return s
}

// second reports whether the key beside the present one counts.
func (s *Slot) second() bool { return s.Offer != "" || time.Now().Before(s.Until) }
