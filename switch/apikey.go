package payswitch

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// APIKeyPrefix is the TypeID prefix of an API key's id.
const APIKeyPrefix = "key"

// Limits of API keys.
const (
	MaxKeys         = 100                // of one merchant in one mode that are neither revoked nor expired
	MaxKeyList      = 32                 // addresses, and certificates, of one key
	MaxKeyName      = 100                // characters
	MaxKeyGrace     = 7 * 24 * time.Hour // how long a rolled key may go on
	DefaultKeyGrace = 24 * time.Hour
	maxKeysKept     = 1000 // of one merchant in one mode, the dead ones included
	maxPin          = 512  // characters of a certificate's pin
)

// APIKey is a secret key as stored, of the configuration or of the journal. It
// is immutable once the Switch has it.
type APIKey struct {
	Hash [sha256.Size]byte // of the secret; zero when the key signs
	Live bool
	Access

	// Only a key of the journal has what follows.
	ID        ID // zero: a key of the configuration
	Merchant  string
	Hint      string // the secret's beginning and its last four characters
	CreatedAt time.Time
	CreatedBy string // an operator, or the key that made it
	RevokedAt time.Time
	RolledTo  ID       // the key that takes its place
	Acts      []string // who did what to it and why, the oldest first

	used *atomic.Int64 // minutes since 1970 at the last use; 0: never
}

// Access is what a key may do, from where, and until when. The zero value is
// everything, from anywhere, for ever.
type Access struct {
	Name         string
	Scopes       Scope // 0: all
	ExpiresAt    time.Time
	Addresses    []netip.Prefix // one of which must hold the caller; none: any
	Certificates []string       // pins, one of which the caller's certificate must match; none: any or no certificate
	Signed       bool           // the secret is never sent: it signs each request
}

// IssuedKey is a new key with its secret, which nobody can read again.
type IssuedKey struct {
	APIKey
	Secret string
}

// HashKey is how an API key is stored and compared.
func HashKey(key []byte) [sha256.Size]byte { return sha256.Sum256(key) }

// Mode is "test" or "live".
func (k *APIKey) Mode() string {
	if k.Live {
		return "live"
	}
	return "test"
}

// LastUsed is the minute of the key's last use, or the zero time.
func (k *APIKey) LastUsed() time.Time {
	if k.used == nil || k.used.Load() == 0 {
		return time.Time{}
	}
	return time.Unix(k.used.Load()*60, 0).UTC()
}

// Status is active, expired or revoked.
func (k *APIKey) Status(now time.Time) string {
	switch {
	case !k.RevokedAt.IsZero():
		return "revoked"
	case k.expired(now):
		return "expired"
	}
	return "active"
}

func (k *APIKey) expired(now time.Time) bool {
	return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt)
}

// touch notes a use and reports whether it is the first of its minute.
func (k *APIKey) touch(now time.Time) bool {
	minute := now.Unix() / 60
	was := k.used.Load()
	return was != minute && k.used.CompareAndSwap(was, minute)
}

// ParseAddress reads an IP address or a CIDR range; an address stands for itself
// alone.
func ParseAddress(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, errors.New("must be an IP address or a range like 203.0.113.0/24")
	case p.Masked() != p:
		return p, fmt.Errorf("has bits behind the mask: write %s", p.Masked())
	case p.Addr().Is4In6():
		return p, errors.New("must be written as a range of IPv4")
	}
	return p, nil
}

// ParsePin reads the pin of a client certificate: sha256: and the 64 hexadecimal
// digits of the digest of the certificate (DER), or subject: and its subject as
// RFC 2253 writes it, which counts only for a certificate of the listener's CA.
func ParsePin(text string) (string, error) {
	if digits, ok := strings.CutPrefix(text, "sha256:"); ok {
		digits = strings.ToLower(strings.ReplaceAll(digits, ":", ""))
		if sum, err := hex.DecodeString(digits); err != nil || len(sum) != sha256.Size {
			return "", errors.New("must have 64 hexadecimal digits after its colon")
		}
		return "sha256:" + digits, nil
	}
	subject, ok := strings.CutPrefix(text, "subject:")
	if !ok || subject == "" || len(text) > maxPin {
		return "", errors.New("must be sha256: and 64 hexadecimal digits, or subject: and a name like CN=shop,O=Shop Ltd")
	}
	return text, nil
}

// validate checks what a new key is asked to be.
func (y *Access) validate(now time.Time) error {
	fault := func(pointer, format string, args ...any) error {
		return &Refusal{Code: CodeInvalidRequest, Pointer: pointer, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case strings.TrimSpace(y.Name) == "":
		return fault("/name", "Every key has a name, by which people know it.")
	case utf8.RuneCountInString(y.Name) > MaxKeyName || strings.ContainsFunc(y.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fault("/name", "Must have at most %d printable characters.", MaxKeyName)
	case len(y.Addresses) > MaxKeyList:
		return fault("/addresses", "At most %d are taken.", MaxKeyList)
	case len(y.Certificates) > MaxKeyList:
		return fault("/certificates", "At most %d are taken.", MaxKeyList)
	case !y.ExpiresAt.IsZero() && !y.ExpiresAt.After(now):
		return fault("/expires_at", "Must be in the future.")
	}
	return nil
}

// within reports whether nothing is allowed that other does not allow: no key
// makes one that can do more than itself. The empty text says yes, else it is
// the member that says no.
func (y *Access) within(other *Access) (member string) {
	inside := func(p netip.Prefix) bool {
		return slices.ContainsFunc(other.Addresses, func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) })
	}
	beyond := func(p netip.Prefix) bool { return !inside(p) }
	strange := func(pin string) bool { return !slices.Contains(other.Certificates, pin) }
	switch {
	case other.Scopes != 0 && (y.Scopes == 0 || y.Scopes&^other.Scopes != 0):
		return "scopes"
	case !other.ExpiresAt.IsZero() && (y.ExpiresAt.IsZero() || y.ExpiresAt.After(other.ExpiresAt)):
		return "expires_at"
	case len(other.Addresses) > 0 && (len(y.Addresses) == 0 || slices.ContainsFunc(y.Addresses, beyond)):
		return "addresses"
	case len(other.Certificates) > 0 && (len(y.Certificates) == 0 || slices.ContainsFunc(y.Certificates, strange)):
		return "certificates"
	case other.Signed && !y.Signed:
		return "signed"
	}
	return ""
}

// newSecret makes the key's secret: 260 random bits of which the journal holds
// the digest alone or, of a key that signs, 256 bits that the vault's digest key
// gives for its id, so that no copy of the journal holds what signs.
func (k *APIKey) newSecret(ring *KeyRing) (secret string) {
	opening := "sk_" + k.Mode() + "_"
	if k.Signed {
		opening = "ss_" + k.Mode() + "_"
		secret = ring.signingSecret(k)
	} else {
		secret = opening + rand.Text() + rand.Text()
		k.Hash = HashKey([]byte(secret))
	}
	k.Hint = opening + "..." + secret[len(secret)-4:]
	return secret
}

// signingSecret is what a key's requests are signed with, as its owner has it.
func (k *KeyRing) signingSecret(key *APIKey) string {
	low, high := k.digest("api key 1", "", key.ID[:]), k.digest("api key 2", "", key.ID[:])
	return "ss_" + key.Mode() + "_" + hex.EncodeToString(append(low[:], high[:]...))
}

// keyRecord is an API key in the journal.
type keyRecord struct {
	Hash         []byte         `json:"hash,omitempty"`
	Merchant     string         `json:"merchant"`
	Live         bool           `json:"live"`
	Name         string         `json:"name"`
	Scopes       Scope          `json:"scopes"`
	ExpiresAt    time.Time      `json:"expires_at,omitzero"`
	Addresses    []netip.Prefix `json:"addresses,omitempty"`
	Certificates []string       `json:"certificates,omitempty"`
	Signed       bool           `json:"signed,omitempty"`
	Hint         string         `json:"hint"`
	CreatedAt    time.Time      `json:"created_at"`
	CreatedBy    string         `json:"created_by"`
	RevokedAt    time.Time      `json:"revoked_at,omitzero"`
	RolledTo     ID             `json:"rolled_to,omitzero"`
	Acts         []string       `json:"acts,omitempty"`
}

func (k *APIKey) record() keyRecord {
	r := keyRecord{Merchant: k.Merchant, Live: k.Live, Name: k.Name, Scopes: k.Scopes, ExpiresAt: k.ExpiresAt, Addresses: k.Addresses,
		Certificates: k.Certificates, Signed: k.Signed, Hint: k.Hint, CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy, RevokedAt: k.RevokedAt, RolledTo: k.RolledTo, Acts: k.Acts}
	if !k.Signed {
		r.Hash = k.Hash[:]
	}
	return r
}

func decodeKey(id ID, body []byte) (*APIKey, error) {
	var r keyRecord
	if err := json.Unmarshal(body, &r); err != nil || !r.Signed && len(r.Hash) != sha256.Size {
		return nil, errRecord
	}
	k := &APIKey{ID: id, Merchant: r.Merchant, Live: r.Live, Hint: r.Hint, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy,
		RevokedAt: r.RevokedAt, RolledTo: r.RolledTo, Acts: r.Acts, used: new(atomic.Int64),
		Access: Access{Name: r.Name, Scopes: r.Scopes, ExpiresAt: r.ExpiresAt, Addresses: r.Addresses, Certificates: r.Certificates, Signed: r.Signed}}
	copy(k.Hash[:], r.Hash)
	return k, nil
}
