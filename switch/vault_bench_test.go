package payswitch

import (
	"testing"

	"github.com/tranzit/tranzit/iso"
)

// BenchmarkSeal is what the vault costs a payment: one number sealed, and the
// keyed hash by which it is found.
func BenchmarkSeal(b *testing.B) {
	keys := benchVault(b)
	pan, err := iso.ParsePAN([]byte(secondCard))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			dst = keys.seal(dst[:0], pan, ID{1})
		}
	})
	b.Run("digest", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			keys.panDigest(pan)
		}
	})
}
