package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/acquirers/keystore"
)

// bankKeys runs one bank-keys command on a store.
func bankKeys(t *testing.T, dir, stdin string, given ...string) (string, error) {
	t.Helper()
	c := rootCommand()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetIn(strings.NewReader(stdin))
	c.SetArgs(append([]string{"bank-keys", "--store", filepath.Join(dir, "keys.sealed"), "--key-file", filepath.Join(dir, "keys.key")}, given...))
	err := c.Execute()
	return out.String(), err
}

// TestBankKeys: a key of two custodians, a key block under it, a roll back and a
// retirement, as an operator types them.
func TestBankKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(stdin string, given ...string) string {
		t.Helper()
		out, err := bankKeys(t, dir, stdin, given...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", given, err, out)
		}
		return out
	}
	run("", "init")
	// 88E1AB2A... is the XOR of the two; each has its own check value.
	a := strings.Repeat("5A", 32)
	b := "D2BBF170746789D645FA63FF6C0A5692F220E38C7793765B5FD5FDC51E3F27BC"
	check := func(key string) string {
		raw, err := hex.DecodeString(key)
		if err != nil {
			t.Fatal(err)
		}
		v, err := keystore.CheckValue('A', raw, 3)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ToUpper(hex.EncodeToString(v))
	}
	whole := check("88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6")
	load := []string{"load", "kbpk", "--custodians", "anna,boris", "--usage", "K1", "--algorithm", "A", "--check", whole}
	typed := strings.Join([]string{a, check(a), b, check(b), ""}, "\n")
	for name, bad := range map[string]struct {
		typed string
		args  []string
	}{
		"one custodian":         {typed, []string{"load", "kbpk", "--custodians", "anna", "--usage", "K1", "--algorithm", "A", "--check", whole}},
		"one custodian twice":   {typed, []string{"load", "kbpk", "--custodians", "anna,Anna", "--usage", "K1", "--algorithm", "A", "--check", whole}},
		"a component's check":   {strings.Replace(typed, check(a), "000000", 1), load},
		"the check of all":      {typed, append(load[:len(load)-1:len(load)-1], "000000")},
		"a component is absent": {strings.Join([]string{a, check(a), ""}, "\n"), load},
	} {
		if out, err := bankKeys(t, dir, bad.typed, bad.args...); err == nil || strings.Contains(err.Error()+out, a) {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
	if out := run(typed, load...); strings.Contains(out, a) || !strings.Contains(out, whole) {
		t.Errorf("load says %q", out)
	}
	block := "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A27E8E31DA05F7425509593D03A457DC34"
	run(block+"\n", "import", "zone", "--kek", "kbpk")
	if _, err := bankKeys(t, dir, block[:100], "import", "zone", "--kek", "kbpk"); err == nil {
		t.Error("half a key block was taken")
	}
	var slots []keystore.Slot
	if err := json.Unmarshal([]byte(run("", "list", "--json")), &slots); err != nil || len(slots) != 2 || slots[1].Usage != "P0" || slots[0].Check != whole {
		t.Errorf("%+v, %v", slots, err)
	}
	if out := run("", "list"); !strings.Contains(out, "zone") {
		t.Error(out)
	}
	if _, err := bankKeys(t, dir, "", "roll-back", "zone"); err == nil {
		t.Error("rolled back to no key")
	}
	run("", "retire", "zone")
	if out := run("", "list"); strings.Contains(out, "zone") {
		t.Error(out)
	}
	if _, err := bankKeys(t, dir, "", "list", "--pkcs11", "/x.so"); err == nil {
		t.Error("two stores at once")
	}
}

// TestKeysOfBanks: what a bank's dialect needs is asked for by name, and what it
// does not need is refused.
func TestKeysOfBanks(t *testing.T) {
	t.Parallel()
	dialect := filepath.Join(t.TempDir(), "coded.yaml")
	text := `inherits: ascii87
meta: {schema: 1, id: coded, title: "with codes", version: 1}
security:
  mac: {algorithm: x9.19, padding: zeros, field: last, bytes: 8, covers: {length: false, header: false, mti: true},
    send: ["0200"], receive: ["0210"], keys: {send: mac, receive: mac}, failure: refute}
`
	if err := os.WriteFile(dialect, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	coded := strings.Replace(soundConfig, "dialect: ascii87", "dialect: "+dialect, 1)
	if coded == soundConfig {
		t.Fatal("the sound configuration moved on")
	}
	withKeys := func(keys string) string {
		return strings.Replace(coded, "    window: 64", "    window: 64\n    keys: "+keys, 1)
	}
	withPIN := func(present, pin string) string {
		return strings.Replace(soundConfig, "    banks:\n", "    card_present: "+present+"\n    pin: "+pin+"\n    banks:\n", 1)
	}
	store := "key_store: {file: keys.sealed, key_file: keys.key}\n"
	for name, c := range map[string]struct{ text, want string }{
		"good":           {store + withKeys("{mac: alfa-mac}"), ""},
		"no keys":        {store + coded, `needs a key "mac": write keys: {mac: SLOT}`},
		"a key too many": {store + withKeys("{mac: alfa-mac, pim: alfa-pin}"), `banks[0].keys.pim: dialect coded has no key "pim"; it has [mac pin]`},
		"a key for PINs": {store + withKeys("{mac: alfa-mac, pin: alfa-pin}"), ""},
		"PINs, no store": {strings.Replace(soundConfig, "    window: 64", "    window: 64\n    keys: {pin: alfa-pin}", 1), "tranzit.yaml:14: banks[0].keys.pin: needs key_store"},
		"live PINs": {store + strings.Replace(withKeys("{mac: alfa-mac, pin: alfa-pin}"), "mode: test", "mode: live", 1),
			"tranzit.yaml:15: banks[0].keys.pin: live PINs need a hardware key store"},
		"live PINs in hardware": {"key_store: {pkcs11: {module: c, token: d, pin: e}}\n" + strings.Replace(withKeys("{mac: alfa-mac, pin: alfa-pin}"), "mode: test", "mode: live", 1), ""},
		"terminals":             {store + withPIN("true", `{keys: {lane-1: term-1}, base_keys: {"FFFF987654": bdk}}`), ""},
		"terminals, no store":   {withPIN("true", "{keys: {lane-1: term-1}}"), "merchants[0].pin: needs key_store"},
		"terminals in live mode": {store + strings.Replace(withPIN("true", "{keys: {lane-1: term-1}}"), "mode: test", "mode: live", 1),
			"merchants[0].pin: live PINs need a hardware key store"},
		"no terminals":          {store + withPIN("false", "{keys: {lane-1: term-1}}"), "merchants[0].pin: needs card_present: true"},
		"terminals, no key":     {store + withPIN("true", "{}"), "merchants[0].pin: names no key"},
		"a key's name":          {store + withPIN("true", "{keys: {Lane 1: term-1}}"), "merchants[0].pin.keys.Lane 1"},
		"a serial number":       {store + withPIN("true", "{base_keys: {ffff: bdk}}"), `merchants[0].pin.base_keys.ffff: "ffff" must be how key serial numbers begin`},
		"a short serial number": {store + withPIN("true", "{base_keys: {FFF: bdk}}"), "4 to 16 capital"},
		"no store":              {withKeys("{mac: alfa-mac}"), "needs key_store"},
		"half a store":          {"key_store: {file: keys.sealed}\n" + coded, "one key store is needed"},
		"two stores":            {"key_store: {file: a, key_file: b, pkcs11: {module: c, token: d, pin: e}}\n" + coded, "one key store is needed"},
	} {
		_, err := parseConfig("tranzit.yaml", []byte(c.text))
		if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v; want %s", name, err, c.want)
		}
	}
}
