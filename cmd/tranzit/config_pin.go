package main

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tranzit/tranzit/acquirers/keystore"
	payswitch "github.com/tranzit/tranzit/switch"
)

// pinStore holds what names a key for PINs to the store that they need: the sealed
// file is for test mode.
func (c *Config) pinStore(path string, live bool) error {
	switch {
	case c.KeyStore == (KeyStoreConfig{}):
		return c.fault(path, "needs key_store: where the keys are")
	case live && c.KeyStore.PKCS11.Module == "":
		return c.fault(path, "live PINs need a hardware key store (key_store.pkcs11): a sealed file has its keys in the memory of the process")
	}
	return nil
}

// merchantPIN reads the keys that a merchant's terminals encrypt PINs under. With
// the store open their slots are looked up.
func (c *Config) merchantPIN(i int) (keys payswitch.PINKeys, err error) {
	m := &c.Merchants[i]
	if m.PIN == nil {
		return keys, nil
	}
	path := fmt.Sprintf("merchants[%d].pin", i)
	live := slices.ContainsFunc(c.Banks, func(b BankConfig) bool {
		return b.Mode == "live" && slices.ContainsFunc(m.Banks, func(w merchantBank) bool { return w.Bank == b.ID })
	})
	for j := range m.Keys {
		live = live || m.Keys[j].Mode == "live"
	}
	if err := c.pinStore(path, live); err != nil {
		return keys, err
	}
	switch {
	case !m.CardPresent:
		return keys, c.fault(path, "needs card_present: true, since a PIN comes from a terminal")
	case len(m.PIN.Keys)+len(m.PIN.BaseKeys) == 0:
		return keys, c.fault(path, "names no key; write keys: {NAME: SLOT} or base_keys: {FFFF987654: SLOT}")
	}
	for _, name := range slices.Sorted(maps.Keys(m.PIN.Keys)) {
		at := path + ".keys." + name
		if !isName(name) {
			return keys, c.fault(at, "%q must be 1 to 32 of a-z, 0-9, - and _", name)
		}
		if err := c.pinSlot(at, m.PIN.Keys[name], keystore.ForPIN); err != nil {
			return keys, err
		}
	}
	for _, begins := range slices.Sorted(maps.Keys(m.PIN.BaseKeys)) {
		at := path + ".base_keys." + begins
		if _, err := hex.DecodeString(begins + "0"[:len(begins)%2]); err != nil || len(begins) < 4 || len(begins) > 16 || begins != strings.ToUpper(begins) {
			return keys, c.fault(at, "%q must be how key serial numbers begin: 4 to 16 capital hexadecimal digits, in quotes", begins)
		}
		if err := c.pinSlot(at, m.PIN.BaseKeys[begins], keystore.ForDeriving); err != nil {
			return keys, err
		}
	}
	return payswitch.PINKeys{Named: m.PIN.Keys, Base: m.PIN.BaseKeys}, nil
}

// pinSlot looks a slot up, when the store is open.
func (c *Config) pinSlot(path, slot, usage string) error {
	if c.keys == nil {
		return nil
	}
	if _, err := keystore.FindSlot(c.keys, slot, usage); err != nil {
		return c.fault(path, "%v", err)
	}
	return nil
}
