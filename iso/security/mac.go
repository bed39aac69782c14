package security

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// Algorithm computes a message authentication code.
type Algorithm uint8

// The algorithms. The zero value is none.
const (
	X99        Algorithm = iota + 1 // ANSI X9.9: DES CBC-MAC, key of 8 bytes; 8 bytes
	X919                            // ANSI X9.19, ISO 9797-1 algorithm 3, the retail MAC: key of 16 bytes; 8 bytes
	CMACTDES                        // NIST SP 800-38B over triple DES: key of 16 or 24 bytes; 8 bytes
	CMACAES                         // NIST SP 800-38B over AES: key of 16, 24 or 32 bytes; 16 bytes
	HMACSHA256                      // RFC 2104: key of 16 bytes and more; 32 bytes
)

var algorithmNames = [...]string{"", "x9.9", "x9.19", "cmac-tdes", "cmac-aes", "hmac-sha256"}

// String is the word of the files.
func (a Algorithm) String() string {
	if int(a) < len(algorithmNames) {
		return algorithmNames[a]
	}
	return fmt.Sprintf("algorithm_%d", uint8(a))
}

// ParseAlgorithm is the inverse of String.
func ParseAlgorithm(word string) (Algorithm, bool) {
	for i, name := range algorithmNames {
		if i > 0 && name == word {
			return Algorithm(i), true
		}
	}
	return 0, false
}

// Padding fills the last block of X99 and X919 (ISO 9797-1, section 6.3); the
// others pad by their own rules.
type Padding uint8

// The paddings.
const (
	PadZeros Padding = iota // method 1: zeros, none after a full block; the default
	PadBit                  // method 2: one bit, then zeros; always there
)

// MAC is how a code is computed. A value; safe for concurrent use.
type MAC struct {
	Algorithm Algorithm
	Padding   Padding
}

// Sum is the whole code of the data. Errors wrap ErrKey.
func (m MAC) Sum(key, data []byte) ([]byte, error) {
	a, p := m.Algorithm, m.Padding
	switch a {
	case X99:
		if len(key) != 8 {
			return nil, fmt.Errorf("%w: %d bytes for %s", ErrKey, len(key), a)
		}
		b, err := des.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return chain(b, p.Pad(data)), nil
	case X919:
		return retail(p, key, data)
	case CMACTDES:
		return cmac(TDES, key, data)
	case CMACAES:
		return cmac(AES, key, data)
	case HMACSHA256:
		if len(key) < 16 {
			return nil, fmt.Errorf("%w: %d bytes for %s", ErrKey, len(key), a)
		}
		h := hmac.New(sha256.New, key)
		h.Write(data)
		return h.Sum(nil), nil
	}
	return nil, fmt.Errorf("there is no %s", a)
}

// Verify reports whether mac is the beginning of the data's code, in constant
// time. A mac of fewer than 4 bytes proves nothing and is false.
func (m MAC) Verify(key, data, mac []byte) (bool, error) {
	sum, err := m.Sum(key, data)
	if err != nil || len(mac) < 4 || len(mac) > len(sum) {
		return false, err
	}
	return subtle.ConstantTimeCompare(sum[:len(mac)], mac) == 1, nil
}

// retail chains under the left half of the key and treats the last block with
// the right half as well.
func retail(p Padding, key, data []byte) ([]byte, error) {
	if len(key) != 16 {
		return nil, fmt.Errorf("%w: %d bytes for %s", ErrKey, len(key), X919)
	}
	left, err := des.NewCipher(key[:8])
	if err != nil {
		return nil, err
	}
	right, err := des.NewCipher(key[8:])
	if err != nil {
		return nil, err
	}
	mac := chain(left, p.Pad(data))
	right.Decrypt(mac, mac)
	left.Encrypt(mac, mac)
	return mac, nil
}

// chain is the last block of the data under CBC with an initial value of zeros.
func chain(b cipher.Block, data []byte) []byte {
	size := b.BlockSize()
	mac := make([]byte, size)
	for ; len(data) > 0; data = data[size:] {
		xor(mac, mac, data)
		b.Encrypt(mac, mac)
	}
	return mac
}

// Pad is data in whole blocks of DES, one at least.
func (p Padding) Pad(data []byte) []byte {
	out := append(make([]byte, 0, len(data)+des.BlockSize), data...)
	if p == PadBit {
		out = append(out, 0x80)
	}
	for len(out) == 0 || len(out)%des.BlockSize != 0 {
		out = append(out, 0)
	}
	return out
}

// cmac follows NIST SP 800-38B, section 6.2.
func cmac(c Cipher, key, data []byte) ([]byte, error) {
	b, err := c.block(key)
	if err != nil {
		return nil, err
	}
	size := b.BlockSize()
	whole := make([]byte, size)
	b.Encrypt(whole, whole)
	double(whole)
	last := make([]byte, size)
	rest := len(data) % size
	if rest == 0 && len(data) > 0 {
		rest = size
		xor(last, whole, data[len(data)-size:])
	} else {
		double(whole)
		copy(last, data[len(data)-rest:])
		last[rest] = 0x80
		xor(last, last, whole)
	}
	mac := chain(b, data[:len(data)-rest])
	xor(mac, mac, last)
	b.Encrypt(mac, mac)
	return mac, nil
}

// double multiplies by two in the field of the block's size.
func double(b []byte) {
	reduce := byte(0x1b)
	if len(b) == 16 {
		reduce = 0x87
	}
	carry := b[0] >> 7
	for i := range b {
		b[i] <<= 1
		if i+1 < len(b) {
			b[i] |= b[i+1] >> 7
		}
	}
	b[len(b)-1] ^= carry * reduce
}
