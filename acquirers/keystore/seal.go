package keystore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Secret opens a sealed file: a key of 32 bytes, or a passphrase. One of the two.
type Secret struct {
	Key        []byte
	Passphrase string
}

// LoadSecret reads a key file: 64 hex digits. It refuses a file that others than
// its owner may read.
func LoadSecret(path string) (Secret, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Secret{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Secret{}, fmt.Errorf("%s may be read by others (mode %03o): chmod 600 it", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Secret{}, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != sealKeyBytes {
		return Secret{}, fmt.Errorf("%s must hold %d hex digits", path, 2*sealKeyBytes)
	}
	return Secret{Key: key}, nil
}

// CreateSecret writes a new random key file. The file must not be there.
func CreateSecret(path string) error {
	key := make([]byte, sealKeyBytes)
	_, _ = rand.Read(key)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%x\n", key)
	return errors.Join(err, f.Sync(), f.Close())
}

const (
	sealKeyBytes  = 32
	sealFormat    = 1
	kdfKey        = "key-file"
	kdfArgon      = "argon2id"
	argonTime     = 3
	argonMemory   = 64 << 10 // KiB
	argonThreads  = 2
	maxPassphrase = 1 << 10
	minPassphrase = 12
	maxArgonTime  = 16
	maxArgonKiB   = 1 << 20
)

// sealed is the file. All but Sealed is bound to it as additional data.
type sealed struct {
	Format int    `json:"format"`
	KDF    string `json:"kdf"`
	Salt   []byte `json:"salt,omitempty"`
	Time   uint32 `json:"time,omitempty"`
	Memory uint32 `json:"memory_kib,omitempty"`
	Nonce  []byte `json:"nonce"`
	Sealed []byte `json:"sealed,omitempty"`
}

var errSealed = errors.New("it cannot be opened: another key or passphrase, or the file is damaged")

// cipher makes the cipher of a file and the data its seal is bound to.
func (s Secret) cipher(f sealed) (cipher.AEAD, []byte, error) {
	key := s.Key
	if f.KDF == kdfArgon {
		key = argon2.IDKey([]byte(s.Passphrase), f.Salt, f.Time, f.Memory, argonThreads, sealKeyBytes)
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(b)
	if err != nil {
		return nil, nil, err
	}
	f.Sealed = nil
	bound, err := json.Marshal(f)
	return aead, bound, err
}

func (s Secret) seal(slots map[string]*fileSlot) ([]byte, error) {
	f := sealed{Format: sealFormat, KDF: kdfKey, Nonce: make([]byte, 12)}
	_, _ = rand.Read(f.Nonce)
	if s.Key == nil {
		if len(s.Passphrase) < minPassphrase || len(s.Passphrase) > maxPassphrase {
			return nil, fmt.Errorf("a passphrase has %d to %d characters", minPassphrase, maxPassphrase)
		}
		f.KDF, f.Time, f.Memory, f.Salt = kdfArgon, argonTime, argonMemory, make([]byte, 16)
		_, _ = rand.Read(f.Salt)
	}
	aead, bound, err := s.cipher(f)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(slots)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	f.Sealed = aead.Seal(nil, f.Nonce, plain, bound)
	return json.Marshal(f)
}

func (s Secret) open(text []byte) (map[string]*fileSlot, error) {
	var f sealed
	if err := json.Unmarshal(text, &f); err != nil || f.Format != sealFormat || len(f.Nonce) != 12 {
		return nil, fmt.Errorf("it is no key store of format %d", sealFormat)
	}
	switch {
	case f.KDF == kdfKey && s.Key == nil:
		return nil, errors.New("it is sealed under a key file, and none is given")
	case f.KDF == kdfArgon && s.Passphrase == "":
		return nil, errors.New("it is sealed under a passphrase, and none is given")
	case f.KDF != kdfKey && f.KDF != kdfArgon, f.KDF == kdfArgon && (f.Time < 1 || f.Time > maxArgonTime || f.Memory < 8 || f.Memory > maxArgonKiB):
		return nil, errSealed
	}
	aead, bound, err := s.cipher(f)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, f.Nonce, f.Sealed, bound)
	if err != nil {
		return nil, errSealed
	}
	defer clear(plain)
	slots := map[string]*fileSlot{}
	if err := json.Unmarshal(plain, &slots); err != nil {
		return nil, errSealed
	}
	return slots, nil
}

// replaceFile puts a new text in the place of a file in one step.
func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".keys-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
