package frontend

import (
	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// Limits of what few payments carry; docs/api.md lists them for merchants.
const (
	maxNetworkID     = 40
	maxInstalments   = 99
	maxPlan          = 32
	networkIDPointer = "/network_transaction_id"
	storedPointer    = "/stored_credential"
	channelPointer   = "/channel"
)

// carriedSpans are the texts of what few payments carry.
type carriedSpans struct{ networkID, plan, requestor, sequence, tokenECI span }

// carried gives what the request carries, to be filled.
func (d *paymentReader) carried() *iso.Carried {
	d.seen.carried = true
	if d.out.Carried == nil {
		d.out.Carried = &iso.Carried{}
	}
	return d.out.Carried
}

// carriedMember reads a member that few requests have; false: there is none
// of this name, and nothing was read.
func (d *paymentReader) carriedMember(name []byte) bool {
	switch string(name) {
	case "channel":
		if word, ok := d.word(channelPointer); ok {
			c, known := iso.ParseChannel(string(word))
			if !known || c.CardPresent() {
				d.fault(channelPointer, "unknown_value", `Must be "ecommerce", "moto" or "recurring".`)
			}
			d.channelSaid = true
			if !d.seen.terminal.there {
				d.carried().Channel = c
			}
		}
	case "stored_credential":
		if word, ok := d.word(storedPointer); ok {
			c, known := iso.ParseCredential(string(word))
			if !known {
				d.fault(storedPointer, "unknown_value", `Must be "first", "subsequent", "recurring", "unscheduled" or "instalment".`)
			}
			d.carried().Credential = c
		}
	case "network_transaction_id":
		s, ok := d.keep(networkIDPointer, limits{1, maxNetworkID, token})
		if d.more.networkID = s; ok {
			d.carried()
		}
	case "instalments":
		d.instalments()
	case "accept_partial":
		if d.boolean("/accept_partial") {
			d.carried().AcceptPartial = true
		}
	default:
		return false
	}
	return true
}

const instalmentsPointer = "/instalments"

func (d *paymentReader) instalments() {
	if !d.object(instalmentsPointer) {
		return
	}
	in := &d.carried().Instalments
	counted := false
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch string(name) {
		case "count":
			var n int64
			n, counted = d.integer(instalmentsPointer+"/count", 2, maxInstalments)
			in.Count = int(n)
		case "plan":
			d.more.plan, _ = d.keep(instalmentsPointer+"/plan", limits{1, maxPlan, token})
		case "type":
			const pointer = instalmentsPointer + "/type"
			if word, ok := d.word(pointer); ok {
				var known bool
				if in.Type, known = iso.ParseInstalmentType(string(word)); !known {
					d.fault(pointer, "unknown_value", `Must be "merchant" or "issuer".`)
				}
			}
		default:
			d.unknown(instalmentsPointer, name)
		}
	}
	if !counted && !d.broken && !d.faulty(instalmentsPointer+"/count") {
		d.fault(instalmentsPointer+"/count", "required", "This member is required.")
	}
}

// carriedRules hold these members to the others.
func (d *paymentReader) carriedRules() {
	c, byMerchant := d.out.Carried, d.out.Initiator == "merchant"
	switch {
	case c.Credential == iso.CredentialNone || d.faulty(storedPointer):
	case c.Credential.ByMerchant() != byMerchant:
		d.fault(storedPointer, "invalid_value", `"first" and "subsequent" go with the initiator "customer", the others with "merchant".`)
	case c.Credential != iso.CredentialFirst && d.out.SaveCard:
		d.fault(storedPointer, "invalid_value", `A card that is saved now is a "first" one.`)
	case c.Credential == iso.CredentialFirst && d.seen.byToken:
		d.fault(storedPointer, "invalid_value", "A saved card is not a first one.")
	}
	if d.more.networkID != (span{}) && !byMerchant {
		d.fault(networkIDPointer, "invalid_value", `Goes with the initiator "merchant" only.`)
	}
}

// give moves the texts into the request.
func (s *carriedSpans) give(all string, r *payswitch.PayRequest) {
	c := r.Carried
	c.InitialTransactionID, c.Instalments.Plan = s.networkID.of(all), s.plan.of(all)
	c.TokenRequestor, c.CardSequence = s.requestor.of(all), s.sequence.of(all)
	if s.tokenECI != (span{}) {
		r.ThreeDS.ECI = s.tokenECI.of(all)
	}
}

func (s *carriedSpans) texts() []keptText {
	return []keptText{{networkIDPointer, s.networkID}, {instalmentsPointer + "/plan", s.plan}, {networkTokenPointer + "/token_requestor_id", s.requestor}}
}
