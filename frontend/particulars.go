package frontend

import (
	"encoding/hex"
	"strconv"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// appendMethod appends what a payment was made by, and the saved card that it
// used or made.
func appendMethod(dst []byte, p *payswitch.Payment) []byte {
	kind, wallet := "card", iso.WalletNone
	switch x := p.Particulars; {
	case p.ByToken:
		kind = "token"
	case x != nil && x.NetworkToken:
		kind, wallet = "network_token", x.Wallet
	case x != nil && x.Channel.CardPresent():
		kind = "card_present"
	}
	dst = append(append(append(dst, `{"type":"`...), kind...), `","token":`...)
	if p.Token.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = append(p.Token.Append(append(dst, '"'), tokenPrefix), '"')
	}
	dst = append(dst, `,"wallet":`...)
	dst = appendText(dst, wallet.String())
	if x := p.Particulars; x != nil && x.Chip != "" {
		dst = append(dst, `,"emv":"`...)
		dst = append(hex.AppendEncode(dst, []byte(x.Chip)), '"')
	}
	return append(dst, '}')
}

// plainParticulars are those of a payment that has none.
const plainParticulars = `,"initiator":"customer","channel":"ecommerce","stored_credential":null,"network_transaction_id":null,` +
	`"initial_network_transaction_id":null,"three_ds":null,"instalments":null`

// appendParticulars appends the members about what few payments have.
func appendParticulars(dst []byte, x *payswitch.Particulars) []byte {
	if x == nil {
		return append(dst, plainParticulars...)
	}
	initiator := x.Initiator
	if initiator == "" {
		initiator = "customer"
	}
	dst = append(dst, `,"initiator":`...)
	dst = appendString(dst, initiator)
	dst = append(dst, `,"channel":`...)
	dst = appendString(dst, x.Channel.String())
	dst = append(dst, `,"stored_credential":`...)
	dst = appendText(dst, x.Credential.String())
	dst = append(dst, `,"network_transaction_id":`...)
	dst = appendText(dst, x.NetworkTransactionID)
	dst = append(dst, `,"initial_network_transaction_id":`...)
	dst = appendText(dst, x.InitialTransactionID)
	dst = append(dst, `,"three_ds":`...)
	dst = appendThreeDS(dst, x)
	dst = append(dst, `,"instalments":`...)
	return appendInstalments(dst, x.Instalments)
}

// appendThreeDS appends what is kept of an authentication: never its value.
func appendThreeDS(dst []byte, x *payswitch.Particulars) []byte {
	if x.ECI == "" && x.ThreeDSVersion == "" {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"eci":`...)
	dst = appendText(dst, x.ECI)
	dst = append(dst, `,"version":`...)
	return append(appendText(dst, x.ThreeDSVersion), '}')
}

func appendInstalments(dst []byte, in iso.Instalments) []byte {
	if in.Count == 0 {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"count":`...)
	dst = strconv.AppendInt(dst, int64(in.Count), 10)
	dst = append(dst, `,"plan":`...)
	dst = appendText(dst, in.Plan)
	dst = append(dst, `,"type":`...)
	return append(appendText(dst, in.Type.String()), '}')
}
