package payswitch

import (
	"fmt"

	"github.com/tranzit/tranzit/iso"
)

// BankOffer is a bank as merchants, and those who let them join it, see it. It is
// read only.
type BankOffer struct {
	ID      string
	Live    bool // for live payments; else for test payments
	Dialect string
	Profile *iso.Profile

	// Operations are what the profile allows and the dialect has a message for.
	Operations []iso.OperationTerms
	// Fields are what the dialect's rules demand of messages.
	Fields []iso.FieldDemand
}

// BankOffers lists every bank in configured order. Whether merchants can join one
// says Profile.Joining.
func (s *Switch) BankOffers() []BankOffer {
	out := make([]BankOffer, 0, len(s.order))
	for _, b := range s.order {
		out = append(out, b.offer())
	}
	return out
}

// BankOffer finds a bank by its id.
func (s *Switch) BankOffer(id string) (BankOffer, bool) {
	b := s.banks[id]
	if b == nil {
		return BankOffer{}, false
	}
	return b.offer(), true
}

func (b *bank) offer() BankOffer {
	o := BankOffer{ID: b.id, Live: b.live, Dialect: b.dialect().ID(), Profile: b.profile, Fields: b.dialect().FieldDemands()}
	for _, op := range iso.ProfileOperations() {
		t, ok := b.profile.Terms(op)
		if !ok || op != iso.OpCapture && !b.dialect().Supports(op) {
			continue
		}
		t.Partial = t.Partial && (op != iso.OpVoid || b.dialect().PartialVoid())
		o.Operations = append(o.Operations, t)
	}
	return o
}

// ask is what a bank's profile needs to know of the request.
func (r *PayRequest) ask() iso.Ask {
	a := iso.Ask{Operation: r.operation(), Amount: r.Amount, Currency: r.Currency, PAN: r.PAN, Credential: r.credential()}
	if c := r.Carried; c != nil {
		a.Channel, a.NetworkToken, a.Instalments = c.Channel, c.NetworkToken, c.Instalments.Count
	}
	if r.Purpose == PurposePayment {
		a.Lacks = r.lacks(&a)
	}
	return a
}

// lacks are the demands a bank may make of the request that it does not meet.
func (r *PayRequest) lacks(a *iso.Ask) (s iso.DemandSet) {
	byPayer := r.Initiator != byMerchant && !a.Credential.ByMerchant()
	online := byPayer && a.Channel == iso.ChannelEcommerce && !a.NetworkToken
	if online && r.ThreeDS.ECI == "" && r.ThreeDS.CAVV == "" {
		s = s.With(iso.DemandThreeDS)
	}
	if online && r.Token.IsZero() && r.CVC.IsZero() {
		s = s.With(iso.DemandCVC)
	}
	if r.CustomerEmail == "" {
		s = s.With(iso.DemandEmail)
	}
	if r.OrderID == "" {
		s = s.With(iso.DemandOrder)
	}
	if r.Description == "" {
		s = s.With(iso.DemandDescription)
	}
	if !byPayer && r.initialID == "" && (r.Carried == nil || r.Carried.InitialTransactionID == "") {
		s = s.With(iso.DemandNetworkTransactionID)
	}
	return s
}

// misfit is the first thing about a request that the route's bank does not take.
func (r *route) misfit(a *iso.Ask) iso.Misfit {
	switch {
	case r.closed != iso.Fits:
		return r.closed
	case !r.bank.dialect().Supports(a.Operation):
		return iso.MisfitOperation
	}
	return r.bank.profile.Serves(a)
}

// unfit is why one bank does not serve a request.
type unfit struct {
	bank     *bank
	merchant *Merchant
	misfit   iso.Misfit
	ask      iso.Ask
}

// refusal says what does not fit, where the request says it, and where the bank's
// profile does.
func (u *unfit) refusal() *Refusal {
	pointer, text := u.words()
	return &Refusal{Code: CodeNotServed, Pointer: pointer,
		Detail: fmt.Sprintf("Bank %q %s (%s in its profile). Nothing was recorded or sent.", u.bank.id, text, u.misfit)}
}

// words are where a request says what does not fit, and what the bank does with
// such.
func (u *unfit) words() (pointer, text string) {
	a, p := &u.ask, u.bank.profile
	switch u.misfit {
	case iso.MisfitOperation:
		return "/capture_method", fmt.Sprintf("makes no %ss", a.Operation)
	case iso.MisfitCurrency:
		return "/currency", fmt.Sprintf("does not take %s", a.Currency)
	case iso.MisfitMCC:
		return "", fmt.Sprintf("takes no merchants of category %s", u.merchant.MCC)
	case iso.MisfitCountry:
		return "", fmt.Sprintf("takes no merchants of country %s", u.merchant.Country)
	case iso.MisfitChannel:
		return "/channel", fmt.Sprintf("takes no payments by the channel %s", a.Channel)
	case iso.MisfitCredential:
		return "/stored_credential", fmt.Sprintf("takes no payments whose use of a stored credential is %s", a.Credential)
	case iso.MisfitNetworkToken:
		return "/payment_method/network_token", "takes no network tokens"
	case iso.MisfitInstalments:
		if p.MaxInstalments == 0 {
			return "/instalments", "takes no payments by instalments"
		}
		return "/instalments/count", fmt.Sprintf("takes at most %d instalments", p.MaxInstalments)
	case iso.MisfitBrand:
		return "/payment_method", fmt.Sprintf("takes no cards of the brand %s", a.PAN.Brand())
	case iso.MisfitCard:
		return "/payment_method", fmt.Sprintf("takes no %s cards of this range", p.Product(a.PAN))
	case iso.MisfitAmount:
		limit := p.Amount(a.Operation, a.Currency)
		return "/amount", fmt.Sprintf("takes %ss of %d to %d in %s", a.Operation, limit.From, limit.To, a.Currency)
	}
	demand, _ := p.Lacking(a.Lacks)
	return demandPointers[demand], fmt.Sprintf("demands %s", demand)
}

var demandPointers = map[iso.Demand]string{
	iso.DemandThreeDS: "/three_ds", iso.DemandCVC: "/payment_method/card/cvc", iso.DemandEmail: "/customer/email", iso.DemandOrder: "/order_id",
	iso.DemandDescription: "/description", iso.DemandNetworkTransactionID: "/network_transaction_id",
}

// does reports whether the bank makes an operation at all.
func (b *bank) does(op iso.Operation) bool { return b.dialect().Supports(op) && b.profile.Does(op) }
