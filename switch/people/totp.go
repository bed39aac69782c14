package people

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"time"
)

const (
	totpStep   = 30 * time.Second // RFC 6238, section 5.2
	totpDigits = 6
	totpSkew   = 1 // steps a clock may be off in either direction
	totpSecret = 20
)

// totpCode is the code of a step: HOTP (RFC 4226, section 5.3) over HMAC-SHA-1,
// which is what authenticator programs of every make compute.
func totpCode(secret []byte, step uint64, digits int) string {
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, step)
	sum := mac.Sum(nil)
	from := sum[len(sum)-1] & 0x0f
	number := uint64(binary.BigEndian.Uint32(sum[from:]) & 0x7fffffff)
	modulus := uint64(1)
	for range digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", digits, number%modulus)
}

// totpStepOf is the step in which a code is good at a moment and that is later than
// the last used one (RFC 6238, section 5.2: a code counts once); false: none.
func totpStepOf(secret []byte, code string, at time.Time, last uint64) (uint64, bool) {
	now := uint64(at.Unix()) / uint64(totpStep.Seconds())
	found, ok := uint64(0), false
	for step := now - totpSkew; step <= now+totpSkew; step++ {
		if subtle.ConstantTimeCompare([]byte(totpCode(secret, step, totpDigits)), []byte(code)) == 1 && step > last {
			found, ok = step, true
		}
	}
	return found, ok
}

// Authenticator is what an authenticator program is told, by hand or by QR code.
type Authenticator struct {
	Secret string // base 32
	URI    string // otpauth://totp/...
}

// Code is what the program shows at a moment.
func (a Authenticator) Code(at time.Time) (string, error) {
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(a.Secret)
	if err != nil {
		return "", fmt.Errorf("the authenticator's key: %w", err)
	}
	return totpCode(secret, uint64(at.Unix())/uint64(totpStep.Seconds()), totpDigits), nil
}

func authenticator(secret []byte, email string) Authenticator {
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	query := url.Values{"secret": {text}, "issuer": {"Tranzit"}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	return Authenticator{Secret: text, URI: "otpauth://totp/" + url.PathEscape("Tranzit:"+email) + "?" + query.Encode()}
}

// totpSecretOf derives a user's secret; nonce is new with each enrolment.
func (p *People) totpSecretOf(user [16]byte, nonce []byte) []byte {
	secret := p.sw.Derive("people totp", append(user[:], nonce...))
	return secret[:totpSecret]
}
