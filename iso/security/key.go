package security

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"errors"
	"fmt"
)

// Cipher is a block cipher by its name in files.
type Cipher uint8

// The ciphers. The zero value is none.
const (
	TDES Cipher = iota + 1 // triple DES, keys of 16 or 24 bytes
	AES                    // keys of 16, 24 or 32 bytes
)

var cipherNames = [...]string{"", "tdes", "aes"}

// String is the word of the files.
func (c Cipher) String() string {
	if int(c) < len(cipherNames) {
		return cipherNames[c]
	}
	return fmt.Sprintf("cipher_%d", uint8(c))
}

// ErrKey says that a key has a length its algorithm does not take.
var ErrKey = errors.New("the key has a wrong length")

// block makes the cipher under a key.
func (c Cipher) block(key []byte) (cipher.Block, error) {
	switch {
	case c == AES && (len(key) == 16 || len(key) == 24 || len(key) == 32):
		return aes.NewCipher(key)
	case c == TDES && len(key) == 16:
		long := append(append(make([]byte, 0, 24), key...), key[:8]...)
		defer clear(long)
		return des.NewTripleDESCipher(long)
	case c == TDES && len(key) == 24:
		return des.NewTripleDESCipher(key)
	}
	return nil, fmt.Errorf("%w: %d bytes for %s", ErrKey, len(key), c)
}

// Under is the cipher at work under a key. Errors wrap ErrKey.
func (c Cipher) Under(key []byte) (cipher.Block, error) { return c.block(key) }

// CheckValue proves that two sides hold the same key: the first n bytes of zeros
// under it, encrypted for TDES (ANSI X9.24-1), as a CMAC for AES (X9.24-1:2017).
// n is 3 at most banks, and no more than 5. Errors wrap ErrKey.
func CheckValue(c Cipher, key []byte, n int) ([]byte, error) {
	if n < 1 || n > 5 {
		return nil, fmt.Errorf("a check value has 1 to 5 bytes, not %d", n)
	}
	if c == AES {
		sum, err := MAC{Algorithm: CMACAES}.Sum(key, make([]byte, aes.BlockSize))
		if err != nil {
			return nil, err
		}
		return sum[:n], nil
	}
	b, err := c.block(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, b.BlockSize())
	b.Encrypt(out, out)
	return out[:n], nil
}

// xor sets dst to a XOR b over the length of dst.
func xor(dst, a, b []byte) {
	for i := range dst {
		dst[i] = a[i] ^ b[i]
	}
}

func encryptCBC(b cipher.Block, iv, data []byte) []byte {
	out := make([]byte, len(data))
	cipher.NewCBCEncrypter(b, iv).CryptBlocks(out, data)
	return out
}

func decryptCBC(b cipher.Block, iv, data []byte) []byte {
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(b, iv).CryptBlocks(out, data)
	return out
}
