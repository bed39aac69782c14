package security

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// ErrKSN says that a key serial number cannot be one.
var ErrKSN = errors.New("the key serial number is not valid")

// Purpose is what a key derived for one transaction is for.
type Purpose uint8

// The purposes, from the terminal's point of view.
const (
	ForPIN         Purpose = iota + 1 // encryption of a PIN block
	ForMACRequest                     // code of a message from the terminal
	ForMACResponse                    // code of a message to the terminal
	ForData                           // encryption of data from the terminal
)

const (
	ksnBytes    = 10
	ksnCounter  = 1<<21 - 1 // the low bits of a key serial number
	maxTDESOnes = 10
)

// tdesMask turns a key of ANSI X9.24-1 into another one for the derivation.
var tdesMask = []byte{0xc0, 0xc0, 0xc0, 0xc0, 0, 0, 0, 0, 0xc0, 0xc0, 0xc0, 0xc0, 0, 0, 0, 0}

// tdesVariants are XORed on both halves of a derived key (X9.24-1, annex A).
var tdesVariants = [...]uint64{ForPIN: 0xff, ForMACRequest: 0xff00, ForMACResponse: 0xff000000, ForData: 0xff0000}

// InitialKeyTDES is the key that a terminal was given (X9.24-1): bdk has 16
// bytes, ksn ten, of which the counter does not matter.
// Errors wrap ErrKey or ErrKSN.
func InitialKeyTDES(bdk, ksn []byte) ([]byte, error) {
	if len(bdk) != 16 {
		return nil, fmt.Errorf("%w: %d bytes for a base derivation key", ErrKey, len(bdk))
	}
	if len(ksn) != ksnBytes {
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrKSN, len(ksn), ksnBytes)
	}
	var under [2]cipher.Block
	for i, key := range [][]byte{bdk, VariantTDES(bdk)} {
		var err error
		if under[i], err = TDES.block(key); err != nil {
			return nil, err
		}
	}
	return initialTDES(under, ksn), nil
}

// VariantTDES is the other key that initial keys are made under (X9.24-1): a
// base derivation key of 16 bytes with some bits changed.
func VariantTDES(bdk []byte) []byte {
	other := make([]byte, 16)
	xor(other, bdk, tdesMask)
	return other
}

// initialTDES makes an initial key under a base derivation key and its variant.
func initialTDES(under [2]cipher.Block, ksn []byte) []byte {
	serial := append(make([]byte, 0, 8), ksn[:8]...)
	serial[7] &^= ksnCounter >> 16
	out := make([]byte, 16)
	for i, b := range under {
		b.Encrypt(out[8*i:], serial)
	}
	return out
}

// DeriveTDES is the key of one transaction (X9.24-1) for a purpose, from the base
// derivation key and the terminal's key serial number.
// Errors wrap ErrKey or ErrKSN.
func DeriveTDES(bdk, ksn []byte, p Purpose) ([]byte, error) {
	if p < ForPIN || p > ForData {
		return nil, fmt.Errorf("there is no purpose %d", p)
	}
	key, err := InitialKeyTDES(bdk, ksn)
	if err != nil {
		return nil, err
	}
	return deriveTDES(key, ksn, p)
}

// DeriveTDESUnder is DeriveTDES where the base derivation key and its VariantTDES
// are at work in another place, such as a hardware module.
func DeriveTDESUnder(under [2]cipher.Block, ksn []byte, p Purpose) ([]byte, error) {
	if len(ksn) != ksnBytes || p < ForPIN || p > ForData {
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrKSN, len(ksn), ksnBytes)
	}
	return deriveTDES(initialTDES(under, ksn), ksn, p)
}

// deriveTDES goes from an initial key to the key of one transaction.
func deriveTDES(key, ksn []byte, p Purpose) (_ []byte, err error) {
	serial := binary.BigEndian.Uint64(ksn[2:])
	counter := serial & ksnCounter
	if counter == 0 || bits.OnesCount64(counter) > maxTDESOnes {
		return nil, fmt.Errorf("%w: a terminal has no transaction %x", ErrKSN, counter)
	}
	serial &^= ksnCounter
	for bit := uint64(1) << 20; bit > 0; bit >>= 1 {
		if counter&bit != 0 {
			serial |= bit
			if key, err = stepTDES(key, serial); err != nil {
				return nil, err
			}
		}
	}
	for i := range 2 {
		half := key[8*i:]
		binary.BigEndian.PutUint64(half, binary.BigEndian.Uint64(half)^tdesVariants[p])
	}
	if p == ForData {
		return underItself(key)
	}
	return key, nil
}

// stepTDES is the one-way function of X9.24-1, annex A.
func stepTDES(key []byte, serial uint64) ([]byte, error) {
	out := make([]byte, 16)
	masked := make([]byte, 16)
	defer clear(masked)
	xor(masked, key, tdesMask)
	for i, k := range [][]byte{masked, key} {
		b, err := des.NewCipher(k[:8])
		if err != nil {
			return nil, err
		}
		half := out[8*i : 8*i+8]
		binary.BigEndian.PutUint64(half, serial)
		xor(half, half, k[8:])
		b.Encrypt(half, half)
		xor(half, half, k[8:])
	}
	clear(key)
	return out, nil
}

func underItself(key []byte) ([]byte, error) {
	b, err := TDES.block(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 16)
	b.Encrypt(out, key[:8])
	b.Encrypt(out[8:], key[8:])
	clear(key)
	return out, nil
}

// The words of the derivation data of X9.24-3, section 6.3.
const (
	aesUsageDerivation = 0x8000
	aesUsageInitial    = 0x8001
	maxAESOnes         = 16
)

var aesUsages = [...]uint16{ForPIN: 0x1000, ForMACRequest: 0x2000, ForMACResponse: 0x2001, ForData: 0x3000}

// InitialKeyAES is the key that a terminal was given (X9.24-3): bdk has 16, 24
// or 32 bytes, id is the initial key's id. Errors wrap ErrKey.
func InitialKeyAES(bdk []byte, id [8]byte) ([]byte, error) {
	return aesKey(bdk, aesUsageInitial, len(bdk), id)
}

// DeriveAES is the key of one transaction (X9.24-3) for a purpose: an AES key as
// long as the base derivation key. ksn has 12 bytes: the initial key's id and
// the counter. Errors wrap ErrKey or ErrKSN.
func DeriveAES(bdk, ksn []byte, p Purpose) ([]byte, error) {
	if p < ForPIN || p > ForData {
		return nil, fmt.Errorf("there is no purpose %d", p)
	}
	if len(ksn) != 12 {
		return nil, fmt.Errorf("%w: %d bytes, not 12", ErrKSN, len(ksn))
	}
	b, err := AES.block(bdk)
	if err != nil {
		return nil, err
	}
	return DeriveAESUnder(b, len(bdk), ksn, p)
}

// DeriveAESUnder is DeriveAES where the base derivation key of size bytes is at
// work in another place, such as a hardware module.
func DeriveAESUnder(bdk cipher.Block, size int, ksn []byte, p Purpose) ([]byte, error) {
	if len(ksn) != 12 || p < ForPIN || p > ForData {
		return nil, fmt.Errorf("%w: %d bytes, not 12", ErrKSN, len(ksn))
	}
	key, err := expandAES(bdk, aesUsageInitial, size, [8]byte(ksn)), error(nil)
	counter := binary.BigEndian.Uint32(ksn[8:])
	if counter == 0 || bits.OnesCount32(counter) > maxAESOnes {
		return nil, fmt.Errorf("%w: a terminal has no transaction %x", ErrKSN, counter)
	}
	var data [8]byte
	copy(data[:], ksn[4:8])
	reached := uint32(0)
	for bit := uint32(1) << 31; bit > 0; bit >>= 1 {
		if counter&bit == 0 {
			continue
		}
		reached |= bit
		binary.BigEndian.PutUint32(data[4:], reached)
		if key, err = aesKey(key, aesUsageDerivation, size, data); err != nil {
			return nil, err
		}
	}
	return aesKey(key, aesUsages[p], size, data)
}

// aesKey derives size bytes of AES key from another key.
func aesKey(from []byte, usage uint16, size int, context [8]byte) ([]byte, error) {
	b, err := AES.block(from)
	if err != nil {
		return nil, err
	}
	return expandAES(b, usage, size, context), nil
}

// expandAES makes size bytes of AES key under a key.
func expandAES(b cipher.Block, usage uint16, size int, context [8]byte) []byte {
	data := [16]byte{0: 1}
	binary.BigEndian.PutUint16(data[2:], usage)
	binary.BigEndian.PutUint16(data[4:], uint16(size/8))
	binary.BigEndian.PutUint16(data[6:], uint16(8*size))
	copy(data[8:], context[:])
	out := make([]byte, 0, 2*aes.BlockSize)
	for n := byte(1); len(out) < size; n++ {
		data[1] = n
		var part [aes.BlockSize]byte
		b.Encrypt(part[:], data[:])
		out = append(out, part[:]...)
	}
	return out[:size]
}
