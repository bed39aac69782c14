package security

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

// PINFormat is a layout of a PIN block (ISO 9564-1).
type PINFormat uint8

// The formats that are translated. Format 2 is for chip cards alone and is not.
const (
	PINFormat0 PINFormat = 0 // ANSI X9.8: with the card number, filled with F
	PINFormat1 PINFormat = 1 // without a card number, filled at random
	PINFormat3 PINFormat = 3 // as 0, filled at random with A to F
	PINFormat4 PINFormat = 4 // for AES, with the card number; 16 bytes
)

// Cipher is the one that a format's blocks are encrypted with.
func (f PINFormat) Cipher() Cipher {
	if f == PINFormat4 {
		return AES
	}
	return TDES
}

// Bytes is the length of a format's blocks.
func (f PINFormat) Bytes() int {
	if f == PINFormat4 {
		return aes.BlockSize
	}
	return 8
}

// ErrPIN says that a block holds no PIN under this key and card number. It says
// no more: what is wrong with a block tells who tries many of them too much.
var ErrPIN = errors.New("the PIN block cannot be read")

// TranslatePIN reads a PIN block under one key and writes it under another, in
// another format if need be. The PIN is in memory meanwhile and is overwritten.
// pan are the card number's digits, 12 to 19 of them. Errors are ErrPIN or wrap ErrKey.
func TranslatePIN(from, to PINBlock, pan string) ([]byte, error) {
	if !from.Format.carries(to.Format) {
		return nil, fmt.Errorf("a PIN block of format %d may not become one of format %d", from.Format, to.Format)
	}
	pin, err := from.decrypt(pan)
	defer clear(pin)
	if err != nil {
		return nil, err
	}
	return to.encrypt(pin, pan)
}

// EncryptPIN makes the block of a PIN, as a terminal does: 4 to 12 digits, for a card
// number of 12 to 19. Errors are ErrPIN or wrap ErrKey.
func EncryptPIN(to PINBlock, pin, pan string) ([]byte, error) {
	digits := make([]byte, 0, 12)
	defer clear(digits[:cap(digits)])
	for i := range len(pin) {
		if pin[i] < '0' || pin[i] > '9' || len(pin) > 12 {
			return nil, ErrPIN
		}
		digits = append(digits, pin[i]-'0')
	}
	if len(digits) < 4 {
		return nil, ErrPIN
	}
	return to.encrypt(digits, pan)
}

// VerifyPIN reports whether a block holds the PIN, as an issuer does. Errors are
// ErrPIN for a block that cannot be read, or wrap ErrKey.
func VerifyPIN(from PINBlock, pin, pan string) (bool, error) {
	got, err := from.decrypt(pan)
	defer clear(got)
	if err != nil || len(got) != len(pin) {
		return false, err
	}
	differs := byte(0)
	for i, d := range got {
		differs |= d ^ (pin[i] - '0')
	}
	return differs == 0, nil
}

// Reaches reports whether a block of one format may become one of another, by
// ISO 9564-1, table 1.
func (f PINFormat) Reaches(to PINFormat) bool { return f.carries(to) }

// carries holds the translation to ISO 9564-1, table 1: a block that is bound to
// a card number must not become one that is not.
func (f PINFormat) carries(to PINFormat) bool { return to != PINFormat1 || f == PINFormat1 }

// PINBlock is an encrypted PIN: its format, the key and, where it is read, the block.
type PINBlock struct {
	Format PINFormat
	Key    []byte
	Under  cipher.Block // in place of Key: the key at work in another place, such as a hardware module
	Block  []byte
}

func (b PINBlock) cipher() (cipher.Block, error) {
	if b.Under != nil {
		return b.Under, nil
	}
	return b.Format.Cipher().block(b.Key)
}

func (b PINBlock) decrypt(pan string) (pin []byte, err error) {
	c, err := b.cipher()
	if err != nil {
		return nil, err
	}
	if len(b.Block) != c.BlockSize() || !validPAN(pan) {
		return nil, ErrPIN
	}
	plain := make([]byte, len(b.Block))
	defer clear(plain)
	c.Decrypt(plain, b.Block)
	switch b.Format {
	case PINFormat0, PINFormat3:
		xor(plain, plain, shortPAN(pan))
	case PINFormat4:
		xor(plain, plain, longPAN(pan))
		c.Decrypt(plain, plain)
	}
	return readPIN(b.Format, plain)
}

// readPIN takes the digits out of a clear block and checks all that its format fixes.
func readPIN(f PINFormat, block []byte) ([]byte, error) {
	nibble := func(i int) byte { return block[i/2] >> (4 - 4*(i%2)) & 0xf }
	n := int(nibble(1))
	if nibble(0) != byte(f) || n < 4 || n > 12 {
		return nil, ErrPIN
	}
	pin := make([]byte, 0, 12)
	for i := range 14 {
		d := nibble(2 + i)
		switch {
		case i < n && d > 9,
			i >= n && f == PINFormat0 && d != 0xf,
			i >= n && f == PINFormat3 && d < 0xa,
			i >= n && f == PINFormat4 && d != 0xa:
			clear(pin)
			return nil, ErrPIN
		case i < n:
			pin = append(pin, d)
		}
	}
	return pin, nil
}

func (b PINBlock) encrypt(pin []byte, pan string) ([]byte, error) {
	c, err := b.cipher()
	if err != nil {
		return nil, err
	}
	if !validPAN(pan) {
		return nil, ErrPIN
	}
	block := make([]byte, c.BlockSize())
	if _, err := rand.Read(block); err != nil {
		return nil, err
	}
	set := func(i int, d byte) {
		shift := 4 - 4*(i%2)
		block[i/2] = block[i/2]&^(0xf<<shift) | d<<shift
	}
	set(0, byte(b.Format))
	set(1, byte(len(pin)))
	for i := range 14 {
		switch {
		case i < len(pin):
			set(2+i, pin[i])
		case b.Format == PINFormat0:
			set(2+i, 0xf)
		case b.Format == PINFormat3:
			set(2+i, 0xa+block[(2+i)/2]>>(4-4*(i%2))&0xf%6)
		case b.Format == PINFormat4:
			set(2+i, 0xa)
		}
	}
	switch b.Format {
	case PINFormat0, PINFormat3:
		xor(block, block, shortPAN(pan))
	case PINFormat4:
		c.Encrypt(block, block)
		xor(block, block, longPAN(pan))
	}
	c.Encrypt(block, block)
	return block, nil
}

func validPAN(pan string) bool {
	for _, d := range pan {
		if d < '0' || d > '9' {
			return false
		}
	}
	return len(pan) >= 12 && len(pan) <= 19
}

// shortPAN is four zeros and the rightmost 12 digits without the check digit.
func shortPAN(pan string) []byte {
	digits := pan[:len(pan)-1]
	if len(digits) > 12 {
		digits = digits[len(digits)-12:]
	}
	return packLeft("0000000000000000"[:16-len(digits)]+digits, 8)
}

// longPAN is how many digits there are above 12, the digits, then zeros.
func longPAN(pan string) []byte {
	return packLeft(string(rune('0'+len(pan)-12))+pan, aes.BlockSize)
}

// packLeft packs digits two a byte from the left.
func packLeft(digits string, size int) []byte {
	out := make([]byte, size)
	for i := range len(digits) {
		out[i/2] |= (digits[i] - '0') << (4 - 4*(i%2))
	}
	return out
}
