//go:build pkcs11

package keystore

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tranzit/tranzit/iso/security"
)

// softHSM makes a token in a directory of the test's own.
func softHSM(t *testing.T) Module {
	t.Helper()
	var library string
	for _, path := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(path); err == nil {
			library = path
			break
		}
	}
	if library == "" {
		t.Fatal("SoftHSM is not installed: run scripts/deps.sh")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	if out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "tranzit-test", "--so-pin", "12345678", "--pin", "87654321").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return Module{Path: library, Token: "tranzit-test", PIN: "87654321"}
}

// TestPKCS11: the same contract as the file, in SoftHSM.
func TestPKCS11(t *testing.T) {
	m := softHSM(t)
	s, err := OpenPKCS11(m)
	if err != nil {
		t.Fatal(err)
	}
	conform(t, s, func() Store {
		if err := s.(*PKCS11).Reload(); err != nil {
			t.Fatal(err)
		}
		return s
	})
	t.Run("together", func(t *testing.T) {
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				for range 20 {
					sum, err := s.Sum(Ref{Slot: "retail"}, security.MAC{Algorithm: security.X919}, []byte("hello world"))
					if err != nil || fmt.Sprintf("%X", sum) != "3DDE5C5511661CBF" {
						t.Errorf("%X, %v", sum, err)
					}
				}
			})
		}
		all.Wait()
	})
	for name, bad := range map[string]Module{
		"token": {m.Path, "another", m.PIN}, "library": {"/nowhere.so", m.Token, m.PIN},
	} {
		if _, err := OpenPKCS11(bad); err == nil {
			t.Errorf("opened with another %s", name)
		}
	}
}
