package iso

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// compiledProfile are the lists of a profile as sets.
type compiledProfile struct {
	operations  uint32
	currencies  []uint64 // by Currency; nil: all
	mcc         []uint64 // by code; nil: all
	channels    uint8
	credentials uint8
	demands     DemandSet
	bins        []binSpan // sorted, not overlapping when the file is well meant
	amounts     [opCount][]AmountLimit
}

// binSpan are cards by their first eight digits.
type binSpan struct{ from, to uint32 }

func (p *Profile) compile() {
	c := compiledProfile{}
	for _, op := range ProfileOperations() {
		if t, ok := p.Terms(op); ok {
			c.operations |= 1 << op
			c.amounts[op] = t.Amounts
		}
	}
	if len(p.Currencies) > 0 {
		c.currencies = make([]uint64, len(currencies)/64+1)
		for _, alpha := range p.Currencies {
			setBit(c.currencies, int(currencyByAlpha[alpha].at))
		}
	}
	c.mcc = p.MCC.compile()
	for _, one := range p.Channels {
		c.channels |= 1 << one
	}
	for _, one := range p.Credentials {
		c.credentials |= 1 << one
	}
	for _, d := range p.Demands {
		c.demands = c.demands.With(d)
	}
	for _, refusal := range p.Refused {
		for _, word := range refusal.Bins {
			if from, to, ok := binRange(word); ok {
				c.bins = append(c.bins, binSpan{from, to})
			}
		}
	}
	slices.SortFunc(c.bins, func(a, b binSpan) int { return cmp.Compare(a.from, b.from) })
	// A range inside another one would hide the rest of it from the search.
	for i := 1; i < len(c.bins); {
		if last := &c.bins[i-1]; c.bins[i].from <= last.to {
			last.to = max(last.to, c.bins[i].to)
			c.bins = slices.Delete(c.bins, i, i+1)
			continue
		}
		i++
	}
	p.compiled = c
}

func (r *MCCRule) compile() []uint64 {
	if len(r.Taken) == 0 && len(r.Refused) == 0 {
		return nil
	}
	bits := make([]uint64, 10_000/64+1)
	for _, word := range append(slices.Clone(r.Taken), r.Refused...) {
		from, to, _ := mccRange(word)
		for code := from; code <= to; code++ {
			setBit(bits, code)
		}
	}
	if len(r.Refused) > 0 {
		for i := range bits {
			bits[i] = ^bits[i]
		}
	}
	return bits
}

func setBit(set []uint64, n int)      { set[n/64] |= 1 << (n % 64) }
func hasBit(set []uint64, n int) bool { return set[n/64]>>(n%64)&1 == 1 }

// binRange reads "220220" or "220000-220099" as first eight digits.
func binRange(word string) (from, to uint32, ok bool) {
	first, last, ranged := strings.Cut(word, "-")
	if !ranged {
		last = first
	}
	if len(first) < 6 || len(first) > 8 || len(last) != len(first) || !allDigits(first) || !allDigits(last) || ranged && first >= last {
		return 0, 0, false
	}
	a, _ := strconv.ParseUint((first + "00")[:8], 10, 32)
	b, _ := strconv.ParseUint((last + "99")[:8], 10, 32)
	return uint32(a), uint32(b), true
}

// Misfit is the part of a profile that a request does not fit. The zero value is
// none: it fits.
type Misfit uint8

// The misfits.
const (
	Fits Misfit = iota
	MisfitOperation
	MisfitCurrency
	MisfitMCC
	MisfitCountry
	MisfitChannel
	MisfitCredential
	MisfitNetworkToken
	MisfitInstalments
	MisfitBrand
	MisfitCard
	MisfitAmount
	MisfitDemand
)

var misfitNames = []string{"", "operations", "currencies", "mcc", "countries", "channels", "credentials", "network_tokens", "max_instalments",
	"cards.brands", "cards.refused", "operations.amounts", "demands"}

// String is where the profile says it; empty for Fits.
func (m Misfit) String() string { return wordOf(misfitNames, uint8(m)) }

// Ask is what a profile needs to know of a request.
type Ask struct {
	Operation    Operation
	Amount       int64 // minor units of Currency
	Currency     Currency
	PAN          PAN
	Channel      Channel
	Credential   Credential
	NetworkToken bool
	Instalments  int
	Lacks        DemandSet // demands that apply to the request and that it does not meet
}

// TakesMerchant reports whether the bank takes merchants of a category and of a
// country (ISO 18245, ISO 3166 numeric); else MisfitMCC or MisfitCountry.
func (p *Profile) TakesMerchant(mcc, country string) Misfit {
	if set := p.compiled.mcc; set != nil {
		if code, err := strconv.Atoi(mcc); err != nil || code < 0 || code > 9999 || !hasBit(set, code) {
			return MisfitMCC
		}
	}
	if len(p.Countries) > 0 && !slices.Contains(p.Countries, country) {
		return MisfitCountry
	}
	return Fits
}

// Does reports whether the profile allows an operation.
func (p *Profile) Does(op Operation) bool { return p.compiled.operations>>op&1 == 1 }

// Serves is the first thing about a request that the bank does not take.
func (p *Profile) Serves(a *Ask) Misfit {
	c := &p.compiled
	switch {
	case !p.Does(a.Operation):
		return MisfitOperation
	case c.currencies != nil && !hasBit(c.currencies, int(a.Currency.at)):
		return MisfitCurrency
	case c.channels != 0 && c.channels>>a.Channel&1 == 0:
		return MisfitChannel
	case c.credentials != 0 && a.Credential != CredentialNone && c.credentials>>a.Credential&1 == 0:
		return MisfitCredential
	case a.NetworkToken && !p.NetworkTokens:
		return MisfitNetworkToken
	case a.Instalments > p.MaxInstalments:
		return MisfitInstalments
	case len(p.Brands) > 0 && !slices.Contains(p.Brands, a.PAN.Brand()):
		return MisfitBrand
	case len(c.bins) > 0 && p.refuses(&a.PAN):
		return MisfitCard
	case a.Operation != OpVerification && !p.Amount(a.Operation, a.Currency).Allows(a.Amount):
		return MisfitAmount
	case c.demands&a.Lacks != 0:
		return MisfitDemand
	}
	return Fits
}

// Lacking is the first demand of the profile that is in the set.
func (p *Profile) Lacking(lacks DemandSet) (Demand, bool) {
	for _, d := range p.Demands {
		if lacks>>d&1 == 1 {
			return d, true
		}
	}
	return 0, false
}

// Amount is what the bank allows in one operation and currency. The zero value
// is any amount.
func (p *Profile) Amount(op Operation, currency Currency) AmountLimit {
	for _, l := range p.compiled.amounts[op] {
		if l.Currency == currency {
			return l
		}
	}
	return AmountLimit{}
}

// Allows reports whether an amount is within the limit.
func (l AmountLimit) Allows(amount int64) bool {
	return l.To == 0 || amount >= l.From && amount <= l.To
}

// Product is what kind of card a refused one is; ProductOther for one that is not
// refused.
func (p *Profile) Product(pan PAN) CardProduct {
	lead := pan.lead8()
	for _, refusal := range p.Refused {
		for _, word := range refusal.Bins {
			if from, to, ok := binRange(word); ok && lead >= from && lead <= to {
				return refusal.Product
			}
		}
	}
	return ProductOther
}

// lead8 is the first eight digits.
func (p *PAN) lead8() (lead uint32) {
	for _, c := range p.digits[:8] {
		lead *= 10
		if c != 0 {
			lead += uint32(c - '0')
		}
	}
	return lead
}

// refuses reports whether a card is in a range that the bank does not take.
func (p *Profile) refuses(pan *PAN) bool {
	lead := pan.lead8()
	at, found := slices.BinarySearchFunc(p.compiled.bins, lead, func(s binSpan, lead uint32) int { return cmp.Compare(s.from, lead) })
	if !found {
		at--
	}
	return at >= 0 && lead <= p.compiled.bins[at].to
}
