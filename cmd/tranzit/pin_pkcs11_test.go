//go:build pkcs11

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tranzit/tranzit/acquirers/keystore"
)

// softHSM is the place of Debian's softhsm2.
const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// TestPINsEndToEndPKCS11 is TestPINsEndToEnd with the keys in a token of SoftHSM,
// which the process opens with its own configuration.
func TestPINsEndToEndPKCS11(t *testing.T) {
	if _, err := os.Stat(softHSM); err != nil {
		t.Fatal("SoftHSM is not installed: run scripts/deps.sh")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	t.Setenv("TRANZIT_TEST_HSM_PIN", "87654321")
	if out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "pins", "--so-pin", "12345678", "--pin", "87654321").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	store, err := keystore.OpenPKCS11(keystore.Module{Path: softHSM, Token: "pins", PIN: "87654321"})
	if err != nil {
		t.Fatal(err)
	}
	fillStore(t, store)
	testPINs(t, fmt.Sprintf("key_store: {pkcs11: {module: %s, token: pins, pin: \"env:TRANZIT_TEST_HSM_PIN\"}}\n", softHSM))
}
