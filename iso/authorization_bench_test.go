package iso

import (
	"testing"

	"github.com/moov-io/iso8583"
)

// authorization181 is an authorization, in ascii87 of 19 elements, type and bitmap
// counted, and 181 bytes. It is what the figures of docs/performance.md are about.
func authorization181(b *testing.B, d *Dialect) (*Message, []byte) {
	var m Message
	build(b, d, OpAuthorization, purchase(), &m)
	body, err := d.AppendBody(nil, &m)
	if err != nil {
		b.Fatal(err)
	}
	elements := 2
	for range m.Fields {
		elements++
	}
	if d.ID() == "ascii87" && (elements != 19 || len(body) != 181) {
		b.Fatalf("%d elements in %d bytes", elements, len(body))
	}
	return &m, body
}

// BenchmarkAuthorization is one authorization encoded and decoded, by our codec and
// by moov's.
func BenchmarkAuthorization(b *testing.B) {
	for _, name := range Builtins() {
		d := builtin(b, name)
		b.Run("codec=own/dialect="+name, func(b *testing.B) {
			m, body := authorization181(b, d)
			var back Message
			buf := make([]byte, 0, 4096)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				out, err := d.AppendBody(buf, m)
				if err != nil || d.Decode(out, &back) != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("codec=moov/dialect="+name, func(b *testing.B) {
			m, body := authorization181(b, d)
			spec := d.Spec()
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				out := iso8583.NewMessage(spec)
				out.MTI(m.MTI.String())
				for f, value := range m.Fields {
					if err := out.BinaryField(f, value); err != nil {
						b.Fatal(err)
					}
				}
				packed, err := out.Pack()
				if err != nil || iso8583.NewMessage(spec).Unpack(packed) != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
