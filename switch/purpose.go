package payswitch

import (
	"crypto/sha256"

	"github.com/tranzit/tranzit/iso"
)

// Purpose is what a payment is for. Whatever it is for, it walks the same way:
// a payout and a verification are payments of another operation.
type Purpose uint8

// The purposes.
const (
	PurposePayment      Purpose = iota // a buyer pays a shop
	PurposePayout                      // money to a card that no payment came from: an original credit
	PurposeVerification                // asks whether a card is good; no money moves
)

var (
	purposeNames    = [...]string{"payment", "payout", "verification"}
	purposePrefixes = [...]string{PaymentPrefix, PayoutPrefix, VerificationPrefix}
)

// The TypeID prefixes of payouts and of verifications.
const (
	PayoutPrefix       = "po"
	VerificationPrefix = "ver"
)

// String is the word of the API.
func (p Purpose) String() string { return purposeNames[p] }

// Prefix is the TypeID prefix of a payment for this purpose.
func (p Purpose) Prefix() string { return purposePrefixes[p] }

// Statuses are those that a payment for this purpose can have, in the order of
// their numbers.
func (p Purpose) Statuses() []Status {
	switch p {
	case PurposePayout:
		return []Status{StatusDeclined, StatusFailed, StatusUnknown, StatusReversed, StatusSucceeded}
	case PurposeVerification:
		return []Status{StatusDeclined, StatusFailed, StatusUnknown, StatusSucceeded}
	}
	return []Status{StatusRequiresAction, StatusAuthorized, StatusCaptured, StatusDeclined, StatusFailed, StatusUnknown, StatusReversed,
		StatusCanceled, StatusExpired, StatusPartiallyRefunded, StatusRefunded}
}

func purposeOf(op iso.Operation) Purpose {
	switch op {
	case iso.OpPayout:
		return PurposePayout
	case iso.OpVerification:
		return PurposeVerification
	}
	return PurposePayment
}

// Name is the payment's TypeID.
func (p *Payment) Name() string { return p.ID.Text(p.Purpose.Prefix()) }

// Final reports whether the payment's status never changes again. A verification
// that was not answered stays unknown: no money can have moved, so nothing is
// owed and nothing will prove it.
func (p *Payment) Final() bool {
	return p.Status.Final() || p.Purpose == PurposeVerification && p.Status == StatusUnknown
}

// ParsePaymentID reads the TypeID of a payment for whatever purpose.
func ParsePaymentID(text string) (Purpose, ID, bool) {
	for p, prefix := range purposePrefixes {
		if id, err := ParseID(prefix, text); err == nil {
			return Purpose(p), id, true
		}
	}
	return 0, ID{}, false
}

// listed is the prefix of an account's lists of payments for a purpose.
func listed(account [8]byte, p Purpose) [8]byte {
	if p == PurposePayment {
		return account
	}
	sum := sha256.Sum256(append(append(make([]byte, 0, 24), account[:]...), purposeNames[p]...))
	return [8]byte(sum[:8])
}
