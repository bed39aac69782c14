package payswitch

import "github.com/tranzit/tranzit/iso"

// encodeCarried adds what a payment carries, in rising order of tags.
func encodeCarried(dst []byte, c *iso.Carried) []byte {
	dst = appendRare(dst, rareThreeDSVersion, c.ThreeDSVersion)
	dst = appendRareNumber(dst, rareChannel, uint64(c.Channel))
	dst = appendRareNumber(dst, rareCredential, uint64(c.Credential))
	dst = appendRare(dst, rareInitialID, c.InitialTransactionID)
	dst = appendRareFlag(dst, rareNetworkToken, c.NetworkToken)
	dst = appendRare(dst, rareTokenRequestor, c.TokenRequestor)
	dst = appendRareNumber(dst, rareWallet, uint64(c.Wallet))
	dst = appendRareNumber(dst, rareInstalmentCount, uint64(c.Instalments.Count))
	dst = appendRare(dst, rareInstalmentPlan, c.Instalments.Plan)
	dst = appendRareNumber(dst, rareInstalmentType, uint64(c.Instalments.Type))
	dst = appendRareFlag(dst, rareAcceptPartial, c.AcceptPartial)
	return appendRare(dst, rareCardSequence, c.CardSequence)
}

func appendRareFlag(dst []byte, tag uint64, v bool) []byte {
	if !v {
		return dst
	}
	return appendRareNumber(dst, tag, 1)
}

// decodeCarried reads one member; false: there is none such.
func decodeCarried(c *iso.Carried, tag uint64, value []byte) bool {
	switch tag {
	case rareThreeDSVersion:
		c.ThreeDSVersion = string(value)
		return true
	case rareInitialID:
		c.InitialTransactionID = string(value)
		return true
	case rareTokenRequestor:
		c.TokenRequestor = string(value)
		return true
	case rareInstalmentPlan:
		c.Instalments.Plan = string(value)
		return true
	case rareCardSequence:
		c.CardSequence = string(value)
		return true
	}
	if len(value) != 1 || value[0] == 0 || value[0] > 127 {
		return false
	}
	n := value[0]
	switch tag {
	case rareChannel:
		c.Channel = iso.Channel(n)
	case rareCredential:
		c.Credential = iso.Credential(n)
	case rareNetworkToken:
		c.NetworkToken = n == 1
		return n == 1
	case rareWallet:
		c.Wallet = iso.Wallet(n)
	case rareInstalmentCount:
		c.Instalments.Count = int(n)
	case rareInstalmentType:
		c.Instalments.Type = iso.InstalmentType(n)
	case rareAcceptPartial:
		c.AcceptPartial = n == 1
		return n == 1
	default:
		return false
	}
	return true
}
