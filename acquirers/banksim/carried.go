package banksim

import "github.com/tranzit/tranzit/iso"

// Carried is what a request has beside the facts of every one; of secrets only
// that they came.
type Carried struct {
	Channel              string `json:"channel,omitempty"` // when it is not ecommerce
	Credential           string `json:"credential,omitempty"`
	InitialTransactionID string `json:"initial_network_transaction_id,omitempty"`
	CAVV                 bool   `json:"cavv,omitempty"`
	ThreeDSVersion       string `json:"three_ds_version,omitempty"`
	Cryptogram           bool   `json:"cryptogram,omitempty"`
	TokenRequestor       string `json:"token_requestor,omitempty"`
	Wallet               string `json:"wallet,omitempty"`
	InstalmentCount      int    `json:"instalment_count,omitempty"`
	InstalmentPlan       string `json:"instalment_plan,omitempty"`
	InstalmentType       string `json:"instalment_type,omitempty"`
	AcceptPartial        bool   `json:"accept_partial,omitempty"`
	Track2               bool   `json:"track2,omitempty"`
	EMV                  bool   `json:"emv,omitempty"`
	CardSequence         string `json:"card_sequence,omitempty"`
	PIN                  bool   `json:"pin,omitempty"`

	named bool
}

func carriedOf(s *iso.Seen) *Carried {
	c := &Carried{
		Credential: s.Credential.String(), InitialTransactionID: s.InitialTransactionID, CAVV: s.CAVV, ThreeDSVersion: s.ThreeDSVersion,
		Cryptogram: s.Cryptogram, TokenRequestor: s.TokenRequestor, Wallet: s.Wallet.String(), InstalmentCount: s.Instalments.Count,
		InstalmentPlan: s.Instalments.Plan, InstalmentType: s.Instalments.Type.String(), AcceptPartial: s.AcceptPartial,
		Track2: s.Track2, EMV: s.EMV, CardSequence: s.CardSequence, PIN: s.PIN, named: named(s),
	}
	if s.Channel != iso.ChannelEcommerce {
		c.Channel = s.Channel.String()
	}
	return c
}

// named reports whether the approval of a request has a network transaction id.
func named(s *iso.Seen) bool { return s != nil && (s.Credential != iso.CredentialNone || s.Cryptogram) }

func (e *Entry) carry(c *Carried) {
	e.Carried = c
	if c != nil && c.named && e.ApprovalCode != "" {
		e.NetworkTransactionID = networkID(e.Seq)
	}
}

const networkPrefix, networkDigits = "48329", 10

// networkID is the card network's id of an entry, 15 digits.
func networkID(seq uint32) string { return networkPrefix + digits(uint64(seq), networkDigits) }

// gave reports whether the id is that of an approved charge of the same card.
func (b *Books) gave(id string, f *facts) bool {
	if len(id) != len(networkPrefix)+networkDigits || id[:len(networkPrefix)] != networkPrefix {
		return false
	}
	n, ok := number([]byte(id[len(networkPrefix):]))
	b.mu.Lock()
	defer b.mu.Unlock()
	if !ok || n < 1 || n > int64(b.count) {
		return false
	}
	r, c := b.row(uint32(n)), b.carried[uint32(n)]
	return c != nil && c.named && r.charged != 0 && r.bin == f.bin && r.last4 == f.last4
}
