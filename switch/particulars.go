package payswitch

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tranzit/tranzit/iso"
)

// Particulars are what few payments have, as it may be shown.
type Particulars struct {
	iso.Carried
	Initiator string // "customer" or "merchant"
	ECI       string // of the shop's 3-D Secure result
	// NetworkTransactionID is the card network's id of this payment, from the
	// bank's answer; empty: it gave none.
	NetworkTransactionID string
	// Chip is what the bank's answer has for the chip of a card that is present
	// (DE55: issuer authentication data, issuer scripts), bytes; empty: nothing.
	Chip string
}

const byMerchant = "merchant"

// particulars are those of the intent, nil when it has none.
func (in *intent) particulars() *Particulars {
	carried := in.carried()
	if carried == nil && in.initiator != byMerchant && in.eci == "" {
		return nil
	}
	p := &Particulars{Initiator: in.initiator, ECI: in.eci}
	if carried != nil {
		p.Carried = *carried
	}
	return p
}

// carried is what the intent carries, nil: nothing.
func (in *intent) carried() *iso.Carried {
	if in.rare == nil {
		return nil
	}
	return in.rare.carried
}

// learned gives the payment the card network's id and what its chip is answered. It
// replaces, never edits, the particulars: payments are handed out by value and
// share the pointer.
func (h *history) learned(networkID, chip string) {
	p := Particulars{Initiator: h.in.initiator}
	if h.Particulars != nil {
		p = *h.Particulars
	}
	p.NetworkTransactionID, p.Chip = networkID, chip
	h.Particulars = &p
}

// credential is the use of a stored credential: what the shop says, or what
// follows from the request.
func (r *PayRequest) credential() iso.Credential {
	switch {
	case r.Carried != nil && r.Carried.Credential != iso.CredentialNone:
		return r.Carried.Credential
	case !r.Schedule.IsZero():
		return iso.CredentialRecurring
	case r.Initiator == byMerchant && r.Carried != nil && r.Carried.Channel == iso.ChannelRecurring:
		return iso.CredentialRecurring
	case r.Initiator == byMerchant && (r.Carried == nil || r.Carried.Channel != iso.ChannelMOTO):
		return iso.CredentialUnscheduled
	case r.SaveCard:
		return iso.CredentialFirst
	case !r.Token.IsZero():
		return iso.CredentialSubsequent
	}
	return iso.CredentialNone
}

// carried is what the payment carries: what the shop asked for and what follows
// from it. Nil: nothing.
func (r *PayRequest) carried() *iso.Carried {
	follows := r.credential()
	if r.Carried == nil && follows == iso.CredentialNone && r.ThreeDS.Version == "" {
		return nil
	}
	c := new(iso.Carried)
	if r.Carried != nil {
		*c = *r.Carried
	}
	c.Credential, c.ThreeDSVersion = follows, r.ThreeDS.Version
	if c.InitialTransactionID == "" && r.Initiator == byMerchant {
		c.InitialTransactionID = r.initialID
	}
	if *c == (iso.Carried{}) {
		return nil
	}
	return c
}

// carrying reports whether a bank must have fields of its own for the request.
func (r *PayRequest) carrying() bool {
	return r.Carried != nil || r.Secrets != nil || r.ThreeDS.ECI != "" || r.ThreeDS.CAVV != ""
}

// operation is what the bank is asked.
func (r *PayRequest) operation() iso.Operation {
	switch {
	case r.Purpose == PurposePayout:
		return iso.OpPayout
	case r.Purpose == PurposeVerification:
		return iso.OpVerification
	case r.ManualCapture:
		return iso.OpAuthorization
	}
	return iso.OpPurchase
}

// carries reports whether the bank's messages tell all that the shop asked for.
func (b *bank) carries(r *PayRequest) error {
	v := iso.Values{ECI: r.ThreeDS.ECI, CAVV: r.ThreeDS.CAVV, Carried: r.Carried, Secrets: r.Secrets}
	err := b.dialect().Carries(r.operation(), &v)
	if err == nil && r.PIN != nil {
		err = b.carriesPIN(r)
	}
	return err
}

// pointerOf is where the request says what a dialect calls so.
func pointerOf(source string) string {
	return map[string]string{
		"eci": "/three_ds/eci", "cavv": "/three_ds/cavv", "entry_mode": "/channel", "condition": "/channel", "credential": "/stored_credential",
		"network_transaction_id": "/network_transaction_id", "cryptogram": "/payment_method/network_token/cryptogram",
		"token_requestor": "/payment_method/network_token/token_requestor_id", "instalment_count": "/instalments", "instalment_plan": "/instalments/plan",
		"instalment_type": "/instalments/type", "track2": "/payment_method/card_present/track2", "emv": "/payment_method/card_present/emv",
		"card_sequence": "/payment_method/card_present/sequence", "pin_block": pinPointer,
	}[source]
}

// notCarried is the refusal of what a bank cannot be told.
func notCarried(b *bank, why error) *Refusal {
	no := &Refusal{Code: CodeNotCarried, Detail: fmt.Sprintf("Bank %q cannot be told this: %s. Nothing was recorded or sent.", b.id, why)}
	var lack *iso.CarryError
	if errors.As(why, &lack) {
		no.Pointer = pointerOf(lack.Source)
	}
	if _, is := errors.AsType[*pinError](why); is {
		no.Pointer = pinPointer
	}
	return no
}

// maxNetworkID bounds what is kept of a card network's id.
const maxNetworkID = 40

// networkID is the card network's id in an answer, empty when there is none that
// is fit to keep. REQUIRES: the answer is not masked yet.
func (w *work) networkID(d *iso.Dialect) string {
	id := d.NetworkTransactionID(w.exchange.Answer)
	if len(id) == 0 || len(id) > maxNetworkID {
		return ""
	}
	if bytes.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ""
	}
	var buf [24]byte
	number := w.values.PAN.Append(buf[:0])
	defer clear(number)
	if len(number) > 0 && bytes.Contains(id, number) {
		return ""
	}
	return string(id)
}

// chipAnswer is what an answer has for the chip of a card that is present; empty:
// nothing. REQUIRES: the answer is not masked yet.
func (w *work) chipAnswer(d *iso.Dialect) string {
	if x := w.values.Secrets; x == nil || x.EMV.IsZero() {
		return ""
	}
	var buf [iso.MaxChip]byte
	return string(d.AppendChipAnswer(buf[:0], w.exchange.Answer))
}

// withPartial is what is carried, and that the approval of a part is as good.
func withPartial(c *iso.Carried) *iso.Carried {
	if c != nil && c.AcceptPartial {
		return c
	}
	out := iso.Carried{AcceptPartial: true}
	if c != nil {
		out = *c
		out.AcceptPartial = true
	}
	return &out
}

const fieldAmount = 4

// namedAmount is the amount in an answer, 0: there is none.
func namedAmount(m *iso.Message) (amount int64) {
	text := m.Get(fieldAmount)
	if len(text) == 16 {
		text = text[4:] // after the currency, in the edition of 2003
	}
	if len(text) != 12 {
		return 0
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0
		}
		amount = amount*10 + int64(c-'0')
	}
	return amount
}

// partly makes the approval of a part the outcome: the answer's amount is what
// was approved. One without an amount, or with none that is a part, proves
// nothing.
func (w *work) partly(r *record) {
	part := namedAmount(w.exchange.Answer)
	if part < 1 || part > w.values.Amount {
		r.kind, r.reason, r.reversalReason = recordUnknown, "invalid_answer", iso.ReasonInvalidAnswer
		return
	}
	if r.kind, r.approved = recordAnswered, true; part < w.values.Amount {
		r.addRare().authorized = part
	}
}
