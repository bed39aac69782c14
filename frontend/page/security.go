package page

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// policyOf is the content policy (CSP level 3) of a page: its styles and its script,
// known by their digests, and nothing from anywhere else. Nobody may frame it, and
// its forms go nowhere but to it.
func policyOf(styles ...string) string {
	known := "'sha256-" + digestOf(styleText) + "'"
	for _, s := range styles {
		known += " 'sha256-" + digestOf(s) + "'"
	}
	return "default-src 'none'; style-src " + known + "; script-src 'sha256-" + digestOf(scriptText) +
		"'; connect-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}

var policy = policyOf()

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// secureHeaders adds what browsers are told about the page's security.
func (v *visit) secureHeaders() {
	v.out.Headers = append(v.out.Headers,
		[2]string{"Content-Security-Policy", v.policy},
		[2]string{"X-Frame-Options", "DENY"},
		[2]string{"X-Content-Type-Options", "nosniff"},
		[2]string{"Referrer-Policy", "no-referrer"},
		[2]string{"Cross-Origin-Opener-Policy", "same-origin"},
		[2]string{"Cross-Origin-Resource-Policy", "same-origin"},
		[2]string{"Permissions-Policy", "camera=(), geolocation=(), microphone=(), usb=()"},
		[2]string{"X-Robots-Tag", "noindex"})
	if v.secure {
		v.out.Headers = append(v.out.Headers, [2]string{"Strict-Transport-Security", "max-age=31536000"})
	}
}

// knowBrowser gives the browser a name to tie its forms to, unless it has one. The
// cookie is sent along from the shop's link, and never with a form of another site.
func (v *visit) knowBrowser() {
	if raw, err := base64.RawURLEncoding.DecodeString(v.in.Cookie); err == nil && len(raw) == browserBytes {
		v.browser = v.in.Cookie
		return
	}
	var raw [browserBytes]byte
	_, _ = rand.Read(raw[:]) // stops the process rather than return short
	v.browser = base64.RawURLEncoding.EncodeToString(raw[:])
	cookie := CookieName + "=" + v.browser + "; Path=/pay; HttpOnly; SameSite=Lax"
	if v.secure {
		cookie += "; Secure"
	}
	v.out.Headers = append(v.out.Headers, [2]string{"Set-Cookie", cookie})
}

const (
	browserBytes = 18
	tokenHead    = 4 + 8 // number of the attempt, seconds
	tokenLife    = 2 * time.Hour
)

// token is what a form carries: the number of the attempt it is for and when it was
// made, sealed for this session and this browser. A form sent twice is the same
// attempt; one of another browser, or of another life of the page, is none.
func (v *visit) token() string {
	head := binary.BigEndian.AppendUint32(make([]byte, 0, tokenHead+16), uint32(v.session.Attempts))
	head = binary.BigEndian.AppendUint64(head, uint64(v.o.Now().Unix()))
	seal := v.seal(head)
	return base64.RawURLEncoding.EncodeToString(append(head, seal[:]...))
}

func (v *visit) seal(head []byte) payswitch.Fingerprint {
	id := v.session.ID
	return v.o.Switch.Fingerprint("FORM", "/pay", append(append(id[:], head...), v.browser...))
}

// attempt reads a form's token: the number of the attempt, and whether the form is
// one of this browser, fresh enough.
func (v *visit) attempt(token []byte) (n int, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(string(token))
	if err != nil || len(raw) != tokenHead+len(payswitch.Fingerprint{}) || v.in.Cookie == "" {
		return 0, false
	}
	v.browser = v.in.Cookie
	head := raw[:tokenHead]
	seal := v.seal(head)
	age := v.o.Now().Sub(time.Unix(int64(binary.BigEndian.Uint64(head[4:])), 0))
	return int(binary.BigEndian.Uint32(head)), hmac.Equal(seal[:], raw[tokenHead:]) && age < tokenLife
}
