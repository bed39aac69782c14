// Package keystore holds the keys of the line to a bank (codes of messages, PIN
// encryption, key encryption) by the names of their slots. Keys go in and never
// come out: what is asked of a store is a code, a translated PIN block, a check
// value.
//
// There are two stores: File, a file sealed under a key or a passphrase, for
// development and tests, whose keys are in the memory of the process; and
// PKCS11, a hardware module, in binaries built with the tag pkcs11.
package keystore

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/tranzit/tranzit/iso/security"
)

// Store is where keys are. Goroutine-safe. An error that is about a slot wraps
// ErrSlot, ErrUse or ErrNoKey.
type Store interface {
	// Sum is the message authentication code of data under a slot's key.
	Sum(k Ref, m security.MAC, data []byte) ([]byte, error)
	// TranslatePIN writes a PIN block under another key. Errors are security.ErrPIN
	// for a block that cannot be read, and those of slots.
	TranslatePIN(t Translation) ([]byte, error)
	// Import puts a new key into a slot, which is made when it is not there. The
	// present key becomes the one before, until i.Until, unless the store makes the new
	// one (i.Make). It is durable on return.
	Import(i Import) (Slot, error)
	// Change does to a slot's keys what c says. It is durable on return.
	Change(slot string, c Change) error
	// Slots lists the slots by name.
	Slots() ([]Slot, error)
}

// Ref names a key: the present one of a slot, or the one beside it: the one before, or on offer.
type Ref struct {
	Slot   string
	Before bool
}

// Slot is what may be told of a slot.
type Slot struct {
	Name      string    `json:"slot"`
	Usage     string    `json:"usage"`          // of ANSI X9.143: M0 to M8 codes, P0 PIN blocks, B0 base derivation, K0 and K1 key encryption
	Algorithm string    `json:"algorithm"`      // T triple DES, D DES, A AES, H HMAC
	Check     string    `json:"check"`          // check value of the present key, 3 bytes in hex
	Version   int       `json:"version"`        // of the present key, from 1
	Since     time.Time `json:"since"`          // when the present key came
	Before    string    `json:"before"`         // check value of the key before; empty: there is none
	Until     time.Time `json:"until,omitzero"` // when the key before ends

	// Offer is a new key of ours under the key encryption key, as the other side is told
	// it. While it is not empty Before is its check value, and it verifies as a key before does.
	Offer  string        `json:"offer,omitempty"`
	Margin time.Duration `json:"margin,omitempty"` // how long the present key goes on when the offered one takes its place
}

// Change is what an operator does to a slot.
type Change uint8

// The changes.
const (
	RollBack     Change = iota + 1 // the key before becomes the present one again, and the present one the one before
	RetireBefore                   // the key before ends now, or the one on offer
	RetireSlot                     // the slot and its keys end
	TakeOffer                      // the key on offer becomes the present one, and that the one before
)

// DefaultMargin is how long a key before lives when an import does not say.
const DefaultMargin = 24 * time.Hour

// The errors of slots.
var (
	ErrSlot  = errors.New("there is no such key slot")
	ErrNoKey = errors.New("the key slot has no such key")
	ErrUse   = errors.New("the key may not be used so")
)

// Translation is a PIN block on its way from one key to another.
type Translation struct {
	From, To Zone
	Block    []byte
	PAN      string // the card number's digits
}

// Zone is how a PIN block is encrypted.
type Zone struct {
	Slot   string
	Format security.PINFormat
	// KSN is the key serial number of a terminal whose keys are derived per
	// transaction; the slot then holds its base derivation key. 10 bytes for triple
	// DES, 12 for AES. Only blocks that are read have one.
	KSN []byte
}

// ErrFormat says that a format of PIN blocks does not go with the key's algorithm:
// format 4 takes a key of AES, or one derived from such a key, the others one of
// triple DES.
var ErrFormat = errors.New("the PIN block's format does not go with the key's algorithm")

// Takes holds the format to the algorithm of the slot's key. The error wraps ErrFormat.
func (z *Zone) Takes(algorithm string) error {
	if (z.Format.Cipher() == security.AES) != (algorithm == "A") {
		return fmt.Errorf("%w: format %d, slot %s of algorithm %s", ErrFormat, z.Format, z.Slot, algorithm)
	}
	return nil
}

// The usages of keys that PINs need, of ANSI X9.143.
const (
	ForPIN      = "P0" // PIN blocks
	ForDeriving = "B0" // base derivation keys of terminals
)

// FindSlot looks a slot up. Errors say that it is not there, or that its keys are of
// another usage.
func FindSlot(s Store, name, usage string) (Slot, error) {
	all, err := s.Slots()
	if err != nil {
		return Slot{}, err
	}
	for _, have := range all {
		switch {
		case have.Name != name:
		case have.Usage != usage:
			return Slot{}, fmt.Errorf("%w: slot %s has usage %s, not %s", ErrUse, name, have.Usage, usage)
		default:
			return have, nil
		}
	}
	return Slot{}, fmt.Errorf("%w: %q", ErrSlot, name)
}

// InMemory reports whether a store's keys are in the memory of the process, where
// live PINs may not be translated (PCI PIN security, requirement 1).
func InMemory(s Store) bool {
	_, soft := s.(*File)
	return soft
}

// Verify reports whether code is the beginning of the data's code under the
// slot's present key or the one before, in constant time. A code of fewer than 4
// bytes is false.
func Verify(s Store, slot string, v Code) (bool, error) {
	good := false
	// The present key is asked again: between the two questions they may have changed places.
	for _, before := range []bool{false, true, false} {
		if good && !before {
			break
		}
		sum, err := s.Sum(Ref{slot, before}, v.MAC, v.Data)
		if before && errors.Is(err, ErrNoKey) {
			continue
		}
		if err != nil {
			return false, err
		}
		if n := len(v.Code); n >= 4 && n <= len(sum) && subtle.ConstantTimeCompare(sum[:n], v.Code) == 1 {
			good = true
		}
	}
	return good, nil
}

// Code is a message's code and what it is of.
type Code struct {
	MAC  security.MAC
	Data []byte
	Code []byte
}
