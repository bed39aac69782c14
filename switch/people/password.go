package people

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// The cost of a password: 19 MiB and two passes in one lane, which OWASP's Password
// Storage Cheat Sheet asks for at least of Argon2id (RFC 9106).
const (
	argonMemory = 19 << 10 // KiB
	argonPasses = 2
	argonLanes  = 1
	argonSalt   = 16
	argonKey    = 32

	// passwordsAtOnce keeps a flood of sign-ins from taking the processors and the
	// memory of payments.
	passwordsAtOnce = 1
)

// Bounds of a password, in characters (NIST SP 800-63B, section 3.1.1.2: at least
// 15 where it stands alone, 8 beside a second factor; at least 64 are taken).
const (
	MinPassword = 12
	MaxPassword = 128
)

// CheckPassword refuses a password that is too short, too long, or too plain.
func CheckPassword(password, email string) error {
	n := utf8.RuneCountInString(password)
	low := strings.ToLower(password)
	name, _, _ := strings.Cut(strings.ToLower(email), "@")
	switch {
	case n < MinPassword || n > MaxPassword || !utf8.ValidString(password):
		return invalid("/password", "A password has %d to %d characters.", MinPassword, MaxPassword)
	case len(name) > 3 && strings.Contains(low, name):
		return invalid("/password", "The password holds the name of its mail address.")
	case plain(low):
		return invalid("/password", "That is too easy to guess: it repeats itself or counts.")
	}
	return nil
}

// plain reports a word of few different characters, or one that only counts.
func plain(word string) bool {
	different := map[rune]bool{}
	steps, before := 0, rune(0)
	for _, r := range word {
		different[r] = true
		if r == before || r == before+1 || r == before-1 {
			steps++
		}
		before = r
	}
	return len(different) < 5 || steps > utf8.RuneCountInString(word)*2/3
}

// hashPassword digests a password under a new salt, in the PHC's string form.
func (p *People) hashPassword(password string) string {
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(p.argon([]byte(password), salt)))
}

func (p *People) argon(password, salt []byte) []byte {
	p.work <- struct{}{}
	defer func() { <-p.work }()
	return argon2.IDKey(password, salt, argonPasses, argonMemory, argonLanes, argonKey)
}

// nobodysSalt makes the check of somebody who does not exist take as long as any.
var nobodysSalt = make([]byte, argonSalt)

// passwordIs compares a password with its digest. It takes the same time whether
// there is a digest or not.
func (p *People) passwordIs(held, password string) bool {
	parts := strings.Split(held, "$")
	salt, want := nobodysSalt, make([]byte, argonKey)
	known := len(parts) == 6
	if known {
		s, err1 := base64.RawStdEncoding.DecodeString(parts[4])
		w, err2 := base64.RawStdEncoding.DecodeString(parts[5])
		if known = err1 == nil && err2 == nil && len(w) == argonKey; known {
			salt, want = s, w
		}
	}
	if len(password) > 4*MaxPassword {
		password = password[:4*MaxPassword]
	}
	same := subtle.ConstantTimeCompare(p.argon([]byte(password), salt), want) == 1
	return same && known
}
