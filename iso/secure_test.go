package iso

import (
	"errors"
	"testing"
)

// authenticated is a purchase whose payer was authenticated by 3-D Secure.
func authenticated(t *testing.T) *Values {
	t.Helper()
	v := purchase()
	cvc, err := ParseCVC([]byte("739"))
	if err != nil {
		t.Fatal(err)
	}
	v.ECI, v.CAVV, v.CVC = "05", "AAABBWcSNIdjeUZThmNHAAAAAAA=", cvc
	return v
}

// Each of the built-in dialects tells the bank the result of 3-D Secure, or refuses
// the payment before it is sent.
func TestDialectsThatTell3DSecure(t *testing.T) {
	silent := map[string]bool{"base24": true, "ifsf93": true, "jpos-cmf": true}
	for _, name := range Builtins() {
		d := builtin(t, name)
		v := authenticated(t)
		err := d.Carries(OpPurchase, v)
		if silent[name] {
			var lacks *CarryError
			if !errors.As(err, &lacks) || lacks.Source != "eci" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var m Message
		var s Seen
		build(t, d, OpPurchase, v, &m)
		if d.See(&m, &s); !s.CAVV {
			t.Errorf("%s: the bank sees no CAVV", name)
		}
		build(t, d, OpPurchase, purchase(), &m)
		if d.See(&m, &s); s.CAVV {
			t.Errorf("%s: the bank sees a CAVV where there is none", name)
		}
	}
}

// What a bank's fields cannot say is refused, and what nobody said is not sent.
func TestSecureFieldsInTheirOwnForm(t *testing.T) {
	for _, c := range []struct {
		dialect, eci, cavv, want string
	}{
		{"postbridge", "03", "", "the bank's purchase has no eci for 03"},
		{"postbridge", "05", "AAABBWcSNIdjeUZThmNHAAAAAAA", "the bank's purchase takes another form of cavv_bytes"},
		{"postbridge", "05", "AAABBWcSNIdjeUZThmNHAAAA*AA=", "the bank's purchase takes another form of cavv_bytes"},
		{"visa-base1", "05", "AAABBWcSNIdjeUZThmNHAAAAAAAA", "the bank's purchase takes another form of cavv_bytes"},
		{"visa-base1", "005", "", "the bank's purchase takes another form of eci"},
	} {
		v := purchase()
		v.ECI, v.CAVV = c.eci, c.cavv
		if err := builtin(t, c.dialect).Carries(OpPurchase, v); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.dialect, err, c.want)
		}
	}
	for name, fields := range map[string][]int{"postbridge": {123, 127}, "visa-base1": {60, 126}, "jpos-cmf": {49}} {
		var m Message
		build(t, builtin(t, name), OpPurchase, purchase(), &m)
		for _, f := range fields {
			if m.Has(f) {
				t.Errorf("%s sends field %d with nothing in it", name, f)
			}
		}
	}
	var m Message
	v := purchase()
	v.CVC, _ = ParseCVC([]byte("1234"))
	if err := builtin(t, "postbridge").Build(OpPurchase, v, &m); err == nil || err.Error() != "iso: field 127: its length is not the dialect's" {
		t.Errorf("four digits in 127.10: %v", err)
	}
}

// In the editions of 1993 and 2003 a void of a part says in field 4 what stays, and
// the bank reads it back; a void of the whole says the amount alone.
func TestVoidOfAPartByField30(t *testing.T) {
	for _, name := range []string{"ascii93", "ifsf93", "jpos-cmf"} {
		d := builtin(t, name)
		v := reversal()
		v.Reason, v.Original.MTI = ReasonCustomer, d.MTI(OpPurchase)
		for stays, want := range map[int64]string{0: "400", 4500: "401"} {
			v.Replacement = stays
			var m Message
			var f Facts
			build(t, d, OpVoid, v, &m)
			told := stays
			if stays == 0 {
				told = -1
			}
			if !d.PartialVoid() || !d.Facts(&m, &f) || f.Amount != v.Amount || f.Replacement != told || string(m.Get(24)) != want || m.Has(30) != (stays > 0) {
				t.Errorf("%s: of which %d stay: amount %d, replacement %d, function %s, field 30 %s", name, stays, f.Amount, f.Replacement, m.Get(24), m.Get(30))
			}
		}
	}
}
