package payswitch

import (
	"path/filepath"
	"testing"
)

func benchVault(b *testing.B) *KeyRing {
	p := filepath.Join(b.TempDir(), "k")
	_ = CreateKeyRing(p)
	k, _ := LoadKeyRing(p)
	return k
}
