package keystore

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tranzit/tranzit/iso/security"
)

func newFile(t *testing.T, secret Secret) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.sealed")
	if err := CreateFile(path, secret); err != nil {
		t.Fatal(err)
	}
	s, err := OpenFile(path, secret)
	if err != nil {
		t.Fatal(err)
	}
	return s, path
}

var testSecret = Secret{Key: bytes.Repeat([]byte{9}, 32)}

func TestFileStore(t *testing.T) {
	s, path := newFile(t, testSecret)
	conform(t, s, func() Store {
		again, err := OpenFile(path, testSecret)
		if err != nil {
			t.Fatal(err)
		}
		return again
	})
	text, err := os.ReadFile(path)
	if err != nil || bytes.Contains(text, []byte("zone")) {
		t.Fatalf("the file tells its slots: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
}

// TestSealedFile: another key, a passphrase that is wrong, and each changed part
// of the file open nothing.
func TestSealedFile(t *testing.T) {
	pass := Secret{Passphrase: "correct horse battery"}
	s, path := newFile(t, pass)
	load(t, s, "mac", "M3", "0123456789ABCDEFFEDCBA9876543210")
	if again, err := OpenFile(path, pass); err != nil {
		t.Fatal(err)
	} else if all, err := again.Slots(); err != nil || len(all) != 1 || all[0].Check != "08D7B4" {
		t.Fatal(all, err)
	}
	for name, secret := range map[string]Secret{"passphrase": {Passphrase: "correct horse batteries"}, "key": testSecret, "nothing": {}} {
		if _, err := OpenFile(path, secret); err == nil {
			t.Errorf("opened with another %s", name)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var whole sealed
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(f *sealed){
		"time": func(f *sealed) { f.Time-- }, "salt": func(f *sealed) { f.Salt = append([]byte{1}, f.Salt[1:]...) },
		"nonce": func(f *sealed) { f.Nonce = append([]byte{1}, f.Nonce[1:]...) }, "seal": func(f *sealed) { f.Sealed = f.Sealed[1:] },
		"memory": func(f *sealed) { f.Memory = 1 << 31 }, "format": func(f *sealed) { f.Format++ }, "kdf": func(f *sealed) { f.KDF = "none" },
	} {
		f := whole
		spoil(&f)
		bad, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pass.open(bad); err == nil {
			t.Errorf("opened with another %s", name)
		}
	}
	if err := CreateFile(filepath.Join(t.TempDir(), "x"), Secret{Passphrase: "short"}); err == nil {
		t.Error("a short passphrase was taken")
	}
	if err := CreateFile(path, pass); err == nil {
		t.Error("a store was overwritten")
	}
}

func TestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.key")
	if err := CreateSecret(path); err != nil {
		t.Fatal(err)
	}
	s, err := LoadSecret(path)
	if err != nil || len(s.Key) != 32 {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSecret(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatalf("a key file that others read: %v", err)
	}
	if err := os.WriteFile(filepath.Join(t.TempDir(), "x"), []byte("beef"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTwoProcesses: changes of two that have the file open do not lose each
// other's, and codes go on meanwhile.
func TestTwoProcesses(t *testing.T) {
	a, path := newFile(t, testSecret)
	b, err := OpenFile(path, testSecret)
	if err != nil {
		t.Fatal(err)
	}
	load(t, a, "shared", "M3", "0123456789ABCDEFFEDCBA9876543210")
	var both sync.WaitGroup
	for name, s := range map[string]*File{"a": a, "b": b} {
		both.Go(func() {
			for i := range 4 {
				load(t, s, name+string(rune('0'+i)), "M3", "0123456789ABCDEFFEDCBA9876543210")
				if _, err := s.Sum(Ref{Slot: name + "0"}, security.MAC{Algorithm: security.X919}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	if all, err := a.Slots(); err != nil || len(all) != 9 {
		t.Fatalf("%d slots, %v", len(all), err)
	}
}

// FuzzOpen: no text of a file brings the reader down or opens.
func FuzzOpen(f *testing.F) {
	good, err := testSecret.seal(map[string]*fileSlot{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":1,"kdf":"argon2id","time":1,"memory_kib":8,"nonce":"AAAAAAAAAAAAAAAA"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		slots, err := testSecret.open(text)
		if err == nil && len(slots) != 0 {
			t.Error("opened")
		}
	})
}
