package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
)

// KeyStoreConfig says where the keys of the banks' lines are: a sealed file, or a
// hardware module.
type KeyStoreConfig struct {
	File       string `yaml:"file"`
	KeyFile    string `yaml:"key_file"`
	Passphrase string `yaml:"passphrase"`
	PKCS11     struct {
		Module string `yaml:"module"`
		Token  string `yaml:"token"`
		PIN    string `yaml:"pin"`
	} `yaml:"pkcs11"`
}

var errOneStore = errors.New("one key store is needed: a file with key_file or passphrase, or a PKCS#11 module with its token and pin")

// validate reports the relations that do not hold; nothing is opened.
func (k *KeyStoreConfig) validate() error {
	hardware := k.PKCS11.Module != "" && k.PKCS11.Token != "" && k.PKCS11.PIN != ""
	file := k.File != "" && (k.KeyFile != "") != (k.Passphrase != "")
	if hardware == file || !hardware && k.PKCS11.Module != "" || !file && k.File != "" {
		return errOneStore
	}
	return nil
}

// secret is what opens the sealed file.
func (k *KeyStoreConfig) secret() (keystore.Secret, error) {
	if k.KeyFile != "" {
		return keystore.LoadSecret(k.KeyFile)
	}
	text, err := secret(k.Passphrase)
	return keystore.Secret{Passphrase: text}, err
}

// open opens the store.
func (k *KeyStoreConfig) open() (keystore.Store, error) {
	if err := k.validate(); err != nil {
		return nil, err
	}
	if k.PKCS11.Module != "" {
		pin, err := secret(k.PKCS11.PIN)
		if err != nil {
			return nil, err
		}
		return keystore.OpenPKCS11(keystore.Module{Path: k.PKCS11.Module, Token: k.PKCS11.Token, PIN: pin})
	}
	s, err := k.secret()
	if err != nil {
		return nil, err
	}
	return keystore.OpenFile(k.File, s)
}

// keyStore opens the key store of the configuration, once; nil: there is none.
func (c *Config) keyStore() error {
	if c.KeyStore == (KeyStoreConfig{}) || c.keys != nil {
		return nil
	}
	store, err := c.KeyStore.open()
	if err != nil {
		return c.fault("key_store", "%v", err)
	}
	c.keys = store
	return nil
}

// bankKeys are the slots of a bank's keys by the names its dialect has for them.
func (c *Config) bankKeys(i int, versions ...*iso.Dialect) (map[string]string, error) {
	given, path := c.Banks[i].Keys, fmt.Sprintf("banks[%d].keys", i)
	var needed []string
	var forPIN string
	pins := false
	for _, d := range versions {
		if d == nil {
			continue
		}
		if _, name, has := d.PIN(); has {
			forPIN, pins = name, true
		}
		for _, name := range d.KeySlots() {
			if needed = append(needed, name); given[name] == "" {
				return nil, c.fault(path, "dialect %s needs a key %q: write keys: {%s: SLOT}", d.ID(), name, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch {
		case pins && name == forPIN:
			if err := c.pinStore(path+"."+name, c.Banks[i].Mode == "live"); err != nil {
				return nil, err
			}
		case !slices.Contains(needed, name):
			return nil, c.fault(path+"."+name, "dialect %s has no key %q; it has %v", versions[0].ID(), name, append(slices.Clone(needed), forPIN))
		}
	}
	if len(given) > 0 && c.KeyStore == (KeyStoreConfig{}) {
		return nil, c.fault(path, "needs key_store: where the keys are")
	}
	return given, nil
}

func (k *KeyStoreConfig) addFlags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&k.File, "store", "", "the sealed file")
	f.StringVar(&k.KeyFile, "key-file", "", "the key that seals it")
	f.StringVar(&k.Passphrase, "passphrase", "", "or the passphrase that does: file:PATH or env:NAME")
	f.StringVar(&k.PKCS11.Module, "pkcs11", "", "in place of a file: the library of a hardware module")
	f.StringVar(&k.PKCS11.Token, "token", "", "label of its token")
	f.StringVar(&k.PKCS11.PIN, "pin", "", "PIN of the token's user: file:PATH or env:NAME")
}

// bankKeysCommand is for the keys of the banks' lines; `keys` are those of the API.
func bankKeysCommand() *cobra.Command {
	var k KeyStoreConfig
	c := &cobra.Command{Use: "bank-keys", Short: "Load, list, change and retire the keys of the lines to banks",
		Long: `The keys of the lines to banks: codes of messages, PIN encryption, key encryption.
A key is in a slot and never comes out; a slot is seen by its check value.

A running switch takes over changes of a sealed file at SIGHUP.`}
	k.addFlags(c)
	c.AddCommand(bankKeysInit(&k), bankKeysList(&k), bankKeysImport(&k), bankKeysLoad(&k),
		bankKeysChange(&k, "roll-back SLOT", "Make the key before the present one again", keystore.RollBack),
		bankKeysRetire(&k))
	return c
}

func bankKeysInit(k *KeyStoreConfig) *cobra.Command {
	return &cobra.Command{Use: "init", Short: "Make an empty sealed file, and its key file when there is none", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if k.PKCS11.Module != "" {
				return usageError{errors.New("the token of a hardware module is made with its own tools")}
			}
			if err := k.validate(); err != nil {
				return usageError{err}
			}
			if k.KeyFile != "" && !fileExists(k.KeyFile) {
				if err := keystore.CreateSecret(k.KeyFile); err != nil {
					return err
				}
			}
			s, err := k.secret()
			if err != nil {
				return err
			}
			if err := keystore.CreateFile(k.File, s); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is made\n", k.File)
			return err
		}}
}

func bankKeysRetire(k *KeyStoreConfig) *cobra.Command {
	var before bool
	c := &cobra.Command{Use: "retire SLOT", Short: "End a slot with its keys, or with --before the key before alone", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			change := keystore.RetireSlot
			if before {
				change = keystore.RetireBefore
			}
			return changeSlot(cmd, k, given[0], change)
		}}
	c.Flags().BoolVar(&before, "before", false, "end the key before the present one: it verifies no more")
	return c
}

func bankKeysChange(k *KeyStoreConfig, use, short string, change keystore.Change) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error { return changeSlot(cmd, k, given[0], change) }}
}

func changeSlot(cmd *cobra.Command, k *KeyStoreConfig, slot string, change keystore.Change) error {
	s, err := k.open()
	if err != nil {
		return err
	}
	if err := s.Change(slot, change); err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), "done")
	return err
}
