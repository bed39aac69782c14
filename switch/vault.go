package payswitch

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tranzit/tranzit/iso"
)

// KeyRing holds the keys that protect card numbers. It lives outside the
// journal: a copy of the data directory without it shows no card number. A ring
// as loaded seals with its file's keys themselves; a Switch makes one of its own
// from it, which seals with the journal's data keys (see vault_keys.go). It is
// goroutine-safe.
type KeyRing struct {
	path    string
	files   []fileKey // in the file's order; the last is the present one
	sealing atomic.Pointer[sealingKeys]
	hashers *sync.Pool // *hasher
}

// fileKey is a sealing key of the key file.
type fileKey struct {
	id  byte
	raw []byte
}

// sealingKeys are the keys that seal and open, by the id in front of what they
// sealed. They are never changed, only replaced.
type sealingKeys struct {
	current byte
	aeads   [256]cipher.AEAD
}

const vaultKeyBytes = 32

// CreateKeyRing writes a new key file with one random sealing key and one
// random digest key, readable by the owner only. It refuses to replace a file.
func CreateKeyRing(path string) error {
	seal, digest := make([]byte, vaultKeyBytes), make([]byte, vaultKeyBytes)
	_, _ = rand.Read(seal)
	_, _ = rand.Read(digest)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "# Tranzit vault keys. Without this file no stored card number can be read.\nseal 1 %x\ndigest %x\n", seal, digest)
	return errors.Join(err, f.Sync(), f.Close())
}

// LoadKeyRing reads a key file: lines `seal ID HEX` (ID 1..255, 32 bytes; the
// last line is the present key) and one line `digest HEX`.
func LoadKeyRing(path string) (*KeyRing, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ring := &KeyRing{path: path}
	var digest []byte
	for i, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := ring.addLine(words, &digest); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
	}
	if len(ring.files) == 0 || digest == nil {
		return nil, fmt.Errorf("%s: needs at least one `seal` line and one `digest` line", path)
	}
	ring.hashers = &sync.Pool{New: func() any { return &hasher{mac: hmac.New(sha256.New, digest)} }}
	keys := &sealingKeys{current: ring.files[len(ring.files)-1].id}
	for _, k := range ring.files {
		keys.aeads[k.id] = newAEAD(k.raw)
	}
	ring.sealing.Store(keys)
	return ring, nil
}

// newAEAD is AES-256-GCM. REQUIRES: 32 bytes.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("payswitch: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("payswitch: " + err.Error())
	}
	return aead
}

func (k *KeyRing) addLine(words []string, digest *[]byte) error {
	key, err := hex.DecodeString(words[len(words)-1])
	if err != nil || len(key) != vaultKeyBytes {
		return fmt.Errorf("the key must be %d bytes in hexadecimal", vaultKeyBytes)
	}
	switch {
	case words[0] == "digest" && len(words) == 2 && *digest == nil:
		*digest = key
		return nil
	case words[0] == "seal" && len(words) == 3:
		id, err := strconv.ParseUint(words[1], 10, 8)
		if err != nil || id == 0 {
			return errors.New("the key id must be 1..255")
		}
		if slices.ContainsFunc(k.files, func(f fileKey) bool { return f.id == byte(id) }) {
			return errors.New("the key id is there twice")
		}
		k.files = append(k.files, fileKey{byte(id), key})
		return nil
	}
	return errors.New("want `seal ID HEX` or, once, `digest HEX`")
}

const sealNonce = 12

// seal appends the card number, encrypted and bound to the payment, to dst:
// key id, nonce, ciphertext with tag (AES-256-GCM).
func (k *KeyRing) seal(dst []byte, pan iso.PAN, owner ID) []byte {
	h := k.hashers.Get().(*hasher)
	h.clear = pan.Append(h.clear[:0])
	h.owner = owner
	keys := k.sealing.Load()
	dst = append(dst, keys.current)
	dst = append(dst, make([]byte, sealNonce)...)
	nonce := dst[len(dst)-sealNonce:]
	_, _ = rand.Read(nonce)
	dst = keys.aeads[keys.current].Seal(dst, nonce, h.clear, h.owner[:])
	wipe(h.clear)
	k.hashers.Put(h)
	return dst
}

var errSealed = errors.New("sealed card number cannot be opened with the keys at hand")

// open is the inverse of seal.
func (k *KeyRing) open(sealed []byte, owner ID) (iso.PAN, error) {
	if len(sealed) <= 1+sealNonce {
		return iso.PAN{}, errSealed
	}
	aead := k.sealing.Load().aeads[sealed[0]]
	if aead == nil {
		return iso.PAN{}, errSealed
	}
	var buf [32]byte
	clear, err := aead.Open(buf[:0], sealed[1:1+sealNonce], sealed[1+sealNonce:], owner[:])
	if err != nil {
		return iso.PAN{}, errSealed
	}
	pan, err := iso.ParsePAN(clear)
	wipe(clear)
	return pan, err
}

// hasher is scratch memory of the ring's operations; pooled.
type hasher struct {
	mac   hash.Hash // keyed with the digest key
	in    []byte
	sum   []byte
	clear []byte // a card number, overwritten after use
	owner ID
}

// digest is a keyed, truncated HMAC-SHA-256 over a label and two parts, each
// closed by a zero byte.
func (k *KeyRing) digest(label, part string, body []byte) (d [16]byte) {
	h := k.hashers.Get().(*hasher)
	h.in = append(h.in[:0], label...)
	h.in = append(h.in, 0)
	h.in = append(h.in, part...)
	h.in = append(h.in, 0)
	h.in = append(h.in, body...)
	h.in = append(h.in, 0)
	h.mac.Reset()
	h.mac.Write(h.in)
	h.sum = h.mac.Sum(h.sum[:0])
	copy(d[:], h.sum)
	wipe(h.in) // a body holds a card number
	k.hashers.Put(h)
	return d
}

// Derive is a secret of its own for a label and whatever it is about, from the
// vault's digest key: the same each time, and in no copy of the journal.
func (s *Switch) Derive(label string, about []byte) (secret [32]byte) {
	low, high := s.keys.digest(label, "1", about), s.keys.digest(label, "2", about)
	copy(secret[:], low[:])
	copy(secret[len(low):], high[:])
	return secret
}

// panDigest is the keyed hash by which payments of one card are found.
func (k *KeyRing) panDigest(pan iso.PAN) [16]byte {
	var buf [24]byte
	clear := pan.Append(buf[:0])
	d := k.digest("pan", "", clear)
	wipe(clear)
	return d
}

func wipe(b []byte) {
	for i := range b {
		b[i] = 0
	}
}
