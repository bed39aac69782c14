package security

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// KeyHeader says what a key in a key block may be used for (ANSI X9.143, section
// 6). The words are the standard's: usage P0 is a PIN encryption key, M3 a key of
// ISO 9797-1 algorithm 3, K0 a key encryption key, B0 a base derivation key.
type KeyHeader struct {
	Usage         string // 2 characters
	Algorithm     byte   // T triple DES, A AES, D DES, H HMAC
	Mode          byte   // E encrypt, D decrypt, B both, G generate, V verify, C both of these, N no restriction, X derive
	Version       string // 2 characters: 00 when there is none
	Exportability byte   // E under a trusted key, N not, S sensitive
	Optional      []KeyOption
}

// KeyOption is an optional block of a header, as it stands.
type KeyOption struct {
	ID    string // 2 characters
	Value string
}

// ErrKeyBlock says that a key block is damaged, or not made under this key.
var ErrKeyBlock = errors.New("the key block cannot be read")

const (
	keyHeaderBytes = 16
	maxKeyBlock    = 9999 // characters; four digits say how many
)

// keyBinding is what one version of key blocks is made of.
type keyBinding struct {
	cipher Cipher
	mac    Algorithm
	block  int // bytes
}

// keyBindings are the versions by their letter. Versions A and C change the key
// by an XOR instead of deriving from it; the standard forbids new ones, and they
// are not read.
var keyBindings = map[byte]keyBinding{'B': {TDES, CMACTDES, 8}, 'D': {AES, CMACAES, 16}}

// UnwrapKey reads a key block under the key that protects it: version B under a
// triple DES key, version D under an AES key. Errors are ErrKeyBlock, which
// names the part at fault before the proof and nothing after it, or wrap ErrKey.
func UnwrapKey(protection []byte, block string) (h KeyHeader, key []byte, err error) {
	return UnwrapKeyUnder(len(protection), func(m MAC, data []byte) ([]byte, error) { return m.Sum(protection, data) }, block)
}

// UnwrapKeyUnder is UnwrapKey where the key that protects the block has so many
// bytes and is at work in another place, such as a hardware module: sum makes its
// codes, CMACTDES for version B and CMACAES for version D.
func UnwrapKeyUnder(protection int, sum func(m MAC, data []byte) ([]byte, error), block string) (h KeyHeader, key []byte, err error) {
	v, h, size, err := parseKeyHeader(block)
	if err != nil {
		return KeyHeader{}, nil, err
	}
	sealed, err := hex.DecodeString(block[size : len(block)-2*v.block])
	if err != nil || len(sealed) == 0 || len(sealed)%v.block != 0 {
		return KeyHeader{}, nil, fmt.Errorf("%w: its key is no whole number of blocks in hex", ErrKeyBlock)
	}
	mac, err := hex.DecodeString(block[len(block)-2*v.block:])
	if err != nil {
		return KeyHeader{}, nil, fmt.Errorf("%w: its code is not hex", ErrKeyBlock)
	}
	enc, proof, err := v.keys(protection, sum)
	if err != nil {
		return KeyHeader{}, nil, err
	}
	defer clear(enc)
	defer clear(proof)
	b, err := v.cipher.block(enc)
	if err != nil {
		return KeyHeader{}, nil, err
	}
	plain := decryptCBC(b, mac, sealed)
	defer clear(plain)
	want, err := MAC{Algorithm: v.mac}.Sum(proof, append([]byte(block[:size]), plain...))
	if err != nil {
		return KeyHeader{}, nil, err
	}
	n := int(binary.BigEndian.Uint16(plain)) / 8
	if subtle.ConstantTimeCompare(want, mac) != 1 || n == 0 || 2+n > len(plain) {
		return KeyHeader{}, nil, ErrKeyBlock
	}
	return h, bytes.Clone(plain[2 : 2+n]), nil
}

// WrapKey makes the key block of a key: version B for a triple DES protection
// key of 16 or 24 bytes under cipher TDES, version D under cipher AES.
// Errors name the member of the header at fault, or wrap ErrKey.
func WrapKey(c Cipher, protection []byte, h KeyHeader, key []byte) (string, error) {
	return WrapKeyUnder(c, Protection{len(protection), func(m MAC, data []byte) ([]byte, error) { return m.Sum(protection, data) }}, h, key)
}

// Protection is a key that protects key blocks, at work in another place such as a
// hardware module: how many bytes it has, and the codes it makes.
type Protection struct {
	Size int
	Sum  func(m MAC, data []byte) ([]byte, error)
}

// WrapKeyUnder is WrapKey with a protection key in another place.
func WrapKeyUnder(c Cipher, p Protection, h KeyHeader, key []byte) (string, error) {
	letter := byte('B')
	if c == AES {
		letter = 'D'
	}
	v := keyBindings[letter]
	if len(key) == 0 || len(key) > 64 {
		return "", fmt.Errorf("%w: %d bytes", ErrKey, len(key))
	}
	plain := binary.BigEndian.AppendUint16(nil, uint16(8*len(key)))
	plain = append(plain, key...)
	defer clear(plain)
	pad := make([]byte, (v.block-len(plain)%v.block)%v.block)
	if _, err := rand.Read(pad); err != nil {
		return "", err
	}
	plain = append(plain, pad...)
	head, err := h.text(letter, 2*len(plain)+2*v.block)
	if err != nil {
		return "", err
	}
	enc, proof, err := v.keys(p.Size, p.Sum)
	if err != nil {
		return "", err
	}
	defer clear(enc)
	defer clear(proof)
	mac, err := MAC{Algorithm: v.mac}.Sum(proof, append([]byte(head), plain...))
	if err != nil {
		return "", err
	}
	b, err := v.cipher.block(enc)
	if err != nil {
		return "", err
	}
	return head + strings.ToUpper(hex.EncodeToString(encryptCBC(b, mac, plain))+hex.EncodeToString(mac)), nil
}

// keys derives the keys of encryption and of proof (X9.143, section 7.3).
func (v keyBinding) keys(protection int, sum func(m MAC, data []byte) ([]byte, error)) (enc, proof []byte, err error) {
	kinds := map[int]uint16{16: 0, 24: 1}
	if v.cipher == AES {
		kinds = map[int]uint16{16: 2, 24: 3, 32: 4}
	}
	if _, known := kinds[protection]; !known {
		return nil, nil, fmt.Errorf("%w: %d bytes for %s", ErrKey, protection, v.cipher)
	}
	derive := func(usage uint16) (key []byte, err error) {
		var data [8]byte
		binary.BigEndian.PutUint16(data[1:], usage)
		binary.BigEndian.PutUint16(data[4:], kinds[protection])
		binary.BigEndian.PutUint16(data[6:], uint16(8*protection))
		for n := byte(1); len(key) < protection; n++ {
			data[0] = n
			part, err := sum(MAC{Algorithm: v.mac}, data[:])
			if err != nil {
				return nil, err
			}
			key = append(key, part...)
		}
		return key[:protection], nil
	}
	if enc, err = derive(0); err != nil {
		return nil, nil, err
	}
	proof, err = derive(1)
	return enc, proof, err
}

// parseKeyHeader reads what stands in clear; size is where the key begins.
func parseKeyHeader(block string) (v keyBinding, h KeyHeader, size int, err error) {
	bad := func(format string, args ...any) (keyBinding, KeyHeader, int, error) {
		return v, h, 0, fmt.Errorf("%w: "+format, append([]any{ErrKeyBlock}, args...)...)
	}
	if len(block) < keyHeaderBytes || len(block) > maxKeyBlock || !printable(block) {
		return bad("it has %d characters", len(block))
	}
	v, known := keyBindings[block[0]]
	if !known {
		return bad("its version is %q: B and D are read", block[0])
	}
	if n, err := strconv.Atoi(block[1:5]); err != nil || n != len(block) {
		return bad("it says %q characters and has %d", block[1:5], len(block))
	}
	h = KeyHeader{Usage: block[5:7], Algorithm: block[7], Mode: block[8], Version: block[9:11], Exportability: block[11]}
	count, err := strconv.ParseUint(block[12:14], 10, 8)
	if err != nil {
		return bad("its number of optional blocks is %q", block[12:14])
	}
	size = keyHeaderBytes
	for range count {
		if len(block) < size+4 {
			return bad("an optional block is cut off")
		}
		n, err := strconv.ParseUint(block[size+2:size+4], 16, 16)
		if err != nil || n < 4 || size+int(n) > len(block) {
			return bad("optional block %q has the length %q", block[size:size+2], block[size+2:size+4])
		}
		h.Optional = append(h.Optional, KeyOption{ID: block[size : size+2], Value: block[size+4 : size+int(n)]})
		size += int(n)
	}
	if len(block) < size+4*v.block {
		return bad("it ends before its code")
	}
	return v, h, size, nil
}

// text is the header as it stands in front of a key of so many characters.
func (h *KeyHeader) text(letter byte, rest int) (string, error) {
	switch {
	case len(h.Usage) != 2:
		return "", fmt.Errorf("usage is %q: want 2 characters", h.Usage)
	case len(h.Version) != 2:
		return "", fmt.Errorf("version is %q: want 2 characters", h.Version)
	case len(h.Optional) > 0:
		return "", errors.New("optional blocks are read and not written")
	}
	size := keyHeaderBytes + rest
	head := fmt.Sprintf("%c%04d%s%c%c%s%c0000", letter, size, h.Usage, h.Algorithm, h.Mode, h.Version, h.Exportability)
	if len(head) != keyHeaderBytes || !printable(head) {
		return "", errors.New("algorithm, mode and exportability are one printable character each")
	}
	return head, nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
