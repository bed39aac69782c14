package iso

import (
	"fmt"
	"log/slog"
	"slices"
)

// Channel is how the card came to the merchant: it decides point of service
// entry mode and condition. The zero value is electronic commerce. The numbers
// are stored: never reuse one.
type Channel uint8

// The channels.
const (
	ChannelEcommerce   Channel = iota
	ChannelMOTO                // by mail or telephone
	ChannelRecurring           // one of a series the payer agreed to
	ChannelMagnetic            // the card is present: its stripe was read
	ChannelChip                // its chip was
	ChannelContactless         // its chip was, without contact
	channelCount
)

var channelNames = []string{"ecommerce", "moto", "recurring", "magnetic", "chip", "contactless"}

// String is the name the dialect file and the API use.
func (c Channel) String() string { return wordOf(channelNames, uint8(c)) }

// CardPresent reports whether a terminal read the card.
func (c Channel) CardPresent() bool { return c >= ChannelMagnetic && c < channelCount }

// ParseChannel is the inverse of String.
func ParseChannel(word string) (Channel, bool) {
	i := slices.Index(channelNames, word)
	return Channel(max(i, 0)), i >= 0
}

// Credential says what a payment has to do with a card that somebody keeps. The
// zero value is nothing. The numbers are stored: never reuse one.
type Credential uint8

// The uses of a stored credential. The payer starts the first two, the merchant
// the others.
const (
	CredentialNone        Credential = iota
	CredentialFirst                  // the card is about to be kept
	CredentialSubsequent             // it was kept before
	CredentialRecurring              // one of a series at regular times
	CredentialUnscheduled            // a series without regular times
	CredentialInstalment             // one part of a purchase
	credentialCount
)

var credentialNames = []string{"", "first", "subsequent", "recurring", "unscheduled", "instalment"}

// String is the name the dialect file and the API use; empty for none.
func (c Credential) String() string { return wordOf(credentialNames, uint8(c)) }

// ByMerchant reports whether the payer takes no part in such a payment.
func (c Credential) ByMerchant() bool { return c >= CredentialRecurring && c < credentialCount }

// ParseCredential is the inverse of String; it refuses the empty word.
func ParseCredential(word string) (Credential, bool) {
	i := slices.Index(credentialNames, word)
	return Credential(max(i, 0)), i > 0
}

// Wallet is where a network token was kept. The zero value is not known. The
// numbers are stored: never reuse one.
type Wallet uint8

// The wallets.
const (
	WalletNone Wallet = iota
	WalletApple
	WalletGoogle
	WalletSamsung
	WalletMir
	WalletOther
	walletCount
)

var walletNames = []string{"", "apple_pay", "google_pay", "samsung_pay", "mir_pay", "other"}

// String is the name the dialect file and the API use; empty for none.
func (w Wallet) String() string { return wordOf(walletNames, uint8(w)) }

// ParseWallet is the inverse of String; it refuses the empty word.
func ParseWallet(word string) (Wallet, bool) {
	i := slices.Index(walletNames, word)
	return Wallet(max(i, 0)), i > 0
}

// InstalmentType says who lends. The numbers are stored: never reuse one.
type InstalmentType uint8

// The types of instalments.
const (
	InstalmentsNone       InstalmentType = iota
	InstalmentsByMerchant                // the merchant waits for its money
	InstalmentsByIssuer                  // the issuer pays at once and is paid back by the cardholder
	instalmentTypeCount
)

var instalmentTypeNames = []string{"", "merchant", "issuer"}

// String is the name the dialect file and the API use; empty for none.
func (t InstalmentType) String() string { return wordOf(instalmentTypeNames, uint8(t)) }

// ParseInstalmentType is the inverse of String; it refuses the empty word.
func ParseInstalmentType(word string) (InstalmentType, bool) {
	i := slices.Index(instalmentTypeNames, word)
	return InstalmentType(max(i, 0)), i > 0
}

func wordOf(names []string, n uint8) string {
	if int(n) >= len(names) {
		return "unknown"
	}
	return names[n]
}

// Instalments are the plan by which a purchase is paid. The zero value is none.
type Instalments struct {
	Count int    // 2 to 99
	Plan  string // the bank's or the issuer's name for the plan
	Type  InstalmentType
}

// Carried is what few payments carry besides the facts of every one. Nothing in
// it is secret: it may be stored and shown. Read only once it is given away.
type Carried struct {
	Channel    Channel
	Credential Credential
	// InitialTransactionID is the network transaction id of the first payment by
	// the stored credential.
	InitialTransactionID string
	ThreeDSVersion       string
	NetworkToken         bool   // the card number is a token of the card network
	TokenRequestor       string // digits
	Wallet               Wallet
	Instalments          Instalments
	AcceptPartial        bool   // an approval of a part is as good
	CardSequence         string // DE23, three digits
}

// Secrets are authentication data that exist in memory until the frame is
// written and nowhere else.
type Secrets struct {
	Cryptogram Secret // of a network token
	Track2     Secret // DE35, as the terminal read it, without sentinels
	EMV        Secret // DE55, bytes: of a request, and of an answer where a simulator makes one
	PINBlock   Secret // DE52, under the bank's key
}

// appendChip appends the allowed elements of the chip data.
func (s *Secrets) appendChip(dst []byte, allowed []uint32) ([]byte, rule) {
	return appendChip(dst, s.EMV.b, allowed)
}

// Wipe overwrites the memory of all.
func (s *Secrets) Wipe() {
	s.Cryptogram.Wipe()
	s.Track2.Wipe()
	s.EMV.Wipe()
	s.PINBlock.Wipe()
}

// Secret is sensitive authentication data: never stored, and masked in every
// print, log and encoding. The zero value is none.
type Secret struct{ b []byte }

// NewSecret copies b.
func NewSecret(b []byte) Secret { return Secret{slices.Clone(b)} }

// Append appends the data in clear.
func (s Secret) Append(dst []byte) []byte { return append(dst, s.b...) }

// IsZero reports whether there is nothing.
func (s Secret) IsZero() bool { return len(s.b) == 0 }

// Len is the number of bytes.
func (s Secret) Len() int { return len(s.b) }

// Wipe overwrites the data, for every copy of s, and leaves the zero value.
func (s *Secret) Wipe() {
	clear(s.b[:cap(s.b)])
	s.b = nil
}

// String never shows a byte, nor how many there are.
func (s Secret) String() string {
	if len(s.b) == 0 {
		return ""
	}
	return hidden
}

// GoString is masked too.
func (s Secret) GoString() string { return "iso.Secret(" + s.String() + ")" }

// Format prints the masked form for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue is the masked form.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is the masked form.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON is the masked form as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }
