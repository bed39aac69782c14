package iso

import (
	"errors"
	"fmt"
	"log/slog"
)

// Why a primary account number is refused. The texts hold no digit of it.
var (
	ErrPANDigits = errors.New("iso: card number may hold digits only")
	ErrPANLength = errors.New("iso: card number must have 12 to 19 digits")
	ErrPANLuhn   = errors.New("iso: card number fails its check digit")
	ErrCVC       = errors.New("iso: card verification code must have 3 or 4 digits")
)

const (
	panMin = 12
	panMax = 19
)

// PAN is a primary account number (DE2, ISO/IEC 7812). It is a value without
// heap memory, comparable, and masked in every print, log and encoding; Append
// is the one way to get it out in clear. The zero value is no card number.
type PAN struct {
	digits [panMax]byte
	n      uint8
}

// ParsePAN reads 12 to 19 digits with a right Luhn check digit. It copies digits.
func ParsePAN(digits []byte) (PAN, error) {
	if !allDigits(digits) {
		return PAN{}, ErrPANDigits
	}
	if len(digits) < panMin || len(digits) > panMax {
		return PAN{}, ErrPANLength
	}
	if !luhn(digits) {
		return PAN{}, ErrPANLuhn
	}
	var p PAN
	p.n = uint8(copy(p.digits[:], digits))
	return p, nil
}

// luhn reports whether the last digit is the right check digit (ISO/IEC 7812-1 annex B).
func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		v := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// Append appends the digits in clear.
func (p PAN) Append(dst []byte) []byte { return append(dst, p.digits[:p.n]...) }

// IsZero reports whether there is no card number.
func (p PAN) IsZero() bool { return p.n == 0 }

// Masked is the first six and the last four digits with stars between: 411111******1111.
func (p PAN) Masked() string { return string(p.AppendMasked(nil)) }

// AppendMasked appends what Masked returns.
func (p PAN) AppendMasked(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, p.digits[:p.n]...)
	maskPAN(dst[start:])
	return dst
}

// maskPAN stars the middle of a card number in place. Six and four digits stay
// of 13 or more; of a shorter number only the last four.
func maskPAN(b []byte) {
	first, last := 6, 4
	if len(b) < 13 {
		first = 0
	}
	if len(b) < 8 {
		last = 0
	}
	for i := first; i < len(b)-last; i++ {
		b[i] = '*'
	}
}

// BIN is the first six digits, the issuer's identification.
func (p PAN) BIN() string {
	if p.n < 6 {
		return ""
	}
	return string(p.digits[:6])
}

// Last4 is the last four digits.
func (p PAN) Last4() string {
	if p.n < 4 {
		return ""
	}
	return string(p.digits[p.n-4 : p.n])
}

// Wipe overwrites the digits and leaves the zero value.
func (p *PAN) Wipe() { *p = PAN{} }

// String is Masked.
func (p PAN) String() string { return p.Masked() }

// GoString is masked too, so that %#v shows nothing more.
func (p PAN) GoString() string { return "iso.PAN(" + p.Masked() + ")" }

// Format prints the masked form for every verb.
func (p PAN) Format(f fmt.State, _ rune) { _, _ = f.Write(p.AppendMasked(nil)) }

// LogValue is the masked form.
func (p PAN) LogValue() slog.Value { return slog.StringValue(p.Masked()) }

// MarshalText is the masked form.
func (p PAN) MarshalText() ([]byte, error) { return p.AppendMasked(nil), nil }

// MarshalJSON is the masked form as a JSON string.
func (p PAN) MarshalJSON() ([]byte, error) {
	return append(p.AppendMasked([]byte{'"'}), '"'), nil
}

// Brand names the card scheme by the published ranges of leading digits: visa,
// mastercard, mir, amex, unionpay, jcb, maestro, discover or unknown.
func (p PAN) Brand() string {
	if p.n < 4 {
		return "unknown"
	}
	lead := 0
	for _, c := range p.digits[:4] {
		lead = lead*10 + int(c-'0')
	}
	for _, r := range brandRanges {
		if lead >= r.from && lead <= r.to {
			return r.brand
		}
	}
	return "unknown"
}

var brandRanges = [...]struct {
	from, to int
	brand    string
}{
	{2200, 2204, "mir"},
	{2221, 2720, "mastercard"},
	{3400, 3499, "amex"},
	{3528, 3589, "jcb"},
	{3700, 3799, "amex"},
	{4000, 4999, "visa"},
	{5000, 5099, "maestro"},
	{5100, 5599, "mastercard"},
	{5600, 5899, "maestro"},
	{6011, 6011, "discover"},
	{6200, 6299, "unionpay"},
	{6300, 6399, "maestro"},
	{6440, 6599, "discover"},
	{6700, 6799, "maestro"},
	{8100, 8171, "unionpay"},
}

// CVC is a card verification code: sensitive authentication data. It is never
// stored, and masked in every print, log and encoding. The zero value is no code.
type CVC struct {
	digits [4]byte
	n      uint8
}

const hidden = "***"

// ParseCVC reads 3 or 4 digits. It copies digits.
func ParseCVC(digits []byte) (CVC, error) {
	if len(digits) < 3 || len(digits) > 4 || !allDigits(digits) {
		return CVC{}, ErrCVC
	}
	var c CVC
	c.n = uint8(copy(c.digits[:], digits))
	return c, nil
}

// Append appends the digits in clear.
func (c CVC) Append(dst []byte) []byte { return append(dst, c.digits[:c.n]...) }

// IsZero reports whether there is no code.
func (c CVC) IsZero() bool { return c.n == 0 }

// Wipe overwrites the digits and leaves the zero value.
func (c *CVC) Wipe() { *c = CVC{} }

// String never shows a digit, nor how many there are.
func (c CVC) String() string {
	if c.n == 0 {
		return ""
	}
	return hidden
}

// GoString is masked too.
func (c CVC) GoString() string { return "iso.CVC(" + c.String() + ")" }

// Format prints the masked form for every verb.
func (c CVC) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue is the masked form.
func (c CVC) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText is the masked form.
func (c CVC) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// MarshalJSON is the masked form as a JSON string.
func (c CVC) MarshalJSON() ([]byte, error) { return []byte(`"` + c.String() + `"`), nil }
