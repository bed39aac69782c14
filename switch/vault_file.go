package payswitch

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Check is the check value of a key of the key file: it proves that two copies
// hold the same key and tells nothing of it.
type Check struct {
	ID    int    `json:"id"`
	Value string `json:"check"` // 8 hexadecimal digits
}

// Checks are the check values of the file's keys, the present one last.
func (k *KeyRing) Checks() []Check {
	var out []Check
	for i := range k.files {
		out = append(out, Check{int(k.files[i].id), k.files[i].check()})
	}
	return out
}

func (f *fileKey) check() string {
	mac := hmac.New(sha256.New, f.raw)
	mac.Write([]byte("vault key check value"))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}

func (k *KeyRing) file(id byte) *fileKey {
	for i := range k.files {
		if k.files[i].id == id {
			return &k.files[i]
		}
	}
	return nil
}

func (k *KeyRing) present() *fileKey { return &k.files[len(k.files)-1] }

// addFileKey writes a new random key behind the others of a key file. Either it
// is durably there, beside all others, or the file is what it was.
func addFileKey(path string, id byte) error {
	key := make([]byte, vaultKeyBytes)
	_, _ = rand.Read(key)
	line := fmt.Sprintf("seal %d %x", id, key)
	return rewriteKeyFile(path, func(lines []string) []string {
		last := len(lines)
		for last > 0 && strings.TrimSpace(lines[last-1]) == "" {
			last--
		}
		return append(lines[:last:last], line, "")
	})
}

// dropFileKey takes a key out of a key file.
func dropFileKey(path string, id byte) error {
	return rewriteKeyFile(path, func(lines []string) (kept []string) {
		for _, line := range lines {
			words := strings.Fields(line)
			if len(words) != 3 || words[0] != "seal" || words[1] != fmt.Sprint(id) {
				kept = append(kept, line)
			}
		}
		return kept
	})
}

// rewriteKeyFile replaces a key file in one step, after the new text was read
// back from the disk.
func rewriteKeyFile(path string, edit func(lines []string) []string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".vault-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(edit(strings.Split(string(text), "\n")), "\n"))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		_, err = LoadKeyRing(f.Name())
	}
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
