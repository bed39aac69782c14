package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	payswitch "github.com/tranzit/tranzit/switch"
)

// TestVaultByHand rotates the keys of a running switch with the commands an
// operator has, kills it in between, and pays with the card of before.
func TestVaultByHand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	status := func() (st payswitch.VaultStatus) {
		t.Helper()
		out, err := r.command("vault", "status", "--admin", r.admin, "--json")
		if err != nil {
			t.Fatal(out, err)
		}
		if err := json.Unmarshal([]byte(out), &st); err != nil {
			t.Fatal(err)
		}
		return st
	}
	do := func(ok bool, args ...string) string {
		t.Helper()
		out, err := r.command(append([]string{"vault"}, append(args, "--admin", r.admin, "--reason", "test")...)...)
		if (err == nil) != ok {
			t.Errorf("%v: %v %s", args, err, out)
		}
		return out
	}
	before := &wish{bank: "alfa", card: "4111111111111111", amount: 100, key: "before"}
	if code, body, _ := r.pay(before); code != 201 {
		t.Fatal(code, string(body))
	}
	do(true, "add-key")
	r.kill()
	r.start()
	copied := filepath.Join(t.TempDir(), "copy")
	text, err := os.ReadFile(filepath.Join(r.dir, "data", "vault.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		t.Fatal(err)
	}
	checks, err := r.command("vault", "check", copied)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(checks) // seal 1 VALUE seal 2 VALUE
	r.await("the sweep", func() bool { return status().Sweep.Done })
	if out := do(false, "retire", "1", "--check", lines[2]); !strings.Contains(out, "not the check value of key 2") {
		t.Error(out)
	}
	do(true, "retire", "1", "--check", lines[5])
	if st := status(); len(st.File) != 1 || st.File[0].ID != 2 || st.File[0].Check != lines[5] || len(st.Data) != 2 {
		t.Errorf("the vault is %+v", st)
	}
	if text, err = os.ReadFile(filepath.Join(r.dir, "data", "vault.key")); err != nil || strings.Contains(string(text), "seal 1 ") {
		t.Errorf("the key file is %s, %v", text, err)
	}
	do(true, "rotate")
	r.kill()
	r.start()
	if out, err := r.command("vault", "status", "--admin", r.admin); err != nil || !strings.Contains(out, "saved cards sealed anew with data key 3: done") {
		t.Error(out, err)
	}
	if code, _, replayed := r.pay(before); code != 201 || !replayed {
		t.Errorf("the payment of before: %d", code)
	}
}
