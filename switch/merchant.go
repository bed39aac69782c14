package payswitch

import (
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"
)

// Merchant is one shop as configured. It is immutable once the Switch has it.
type Merchant struct {
	ID       string // mer_...; unique
	Name     string // as on the card statement, at most 22 characters are sent
	City     string
	Country  string // ISO 3166 numeric, three digits
	MCC      string // four digits
	TimeZone *time.Location
	Keys     []APIKey
	Banks    []MerchantBank // in order of preference

	RatePerSecond float64 // of requests; 0: no limit
	Burst         int
	MaxInFlight   int // payments at once; 0: the switch's fair share

	Events bool // its events are kept also while it has no webhook endpoint

	inFlight   *atomic.Int64
	test, live [8]byte // list prefixes of the two accounts
}

// APIKey is a secret key as stored: its SHA-256 and its mode.
type APIKey struct {
	Hash [sha256.Size]byte
	Live bool
}

// HashKey is how an API key is stored and compared.
func HashKey(key []byte) [sha256.Size]byte { return sha256.Sum256(key) }

// MerchantBank is what one bank calls a merchant.
type MerchantBank struct {
	Bank       string
	MerchantID string   // DE42, at most 15 characters
	Terminals  []string // DE41, used in turn
}

// directory finds merchants by key and by id. It is immutable.
type directory struct {
	byKey  map[[sha256.Size]byte]Account
	byID   map[string]*Merchant
	routes map[string]*route // merchant + bank
}

func newDirectory(merchants []Merchant, banks map[string]*bank) (*directory, error) {
	d := &directory{byKey: map[[sha256.Size]byte]Account{}, byID: map[string]*Merchant{}, routes: map[string]*route{}}
	for i := range merchants {
		m := merchants[i]
		if err := d.add(&m, banks); err != nil {
			return nil, fmt.Errorf("merchant %q: %w", m.ID, err)
		}
	}
	return d, nil
}

func (d *directory) add(m *Merchant, banks map[string]*bank) error {
	if m.ID == "" || d.byID[m.ID] != nil {
		return fmt.Errorf("id is missing or used twice")
	}
	if m.TimeZone == nil {
		m.TimeZone = time.UTC
	}
	m.inFlight = new(atomic.Int64)
	m.test, m.live = digestAccount("test", m.ID), digestAccount("live", m.ID)
	d.byID[m.ID] = m
	for _, k := range m.Keys {
		if _, taken := d.byKey[k.Hash]; taken {
			return fmt.Errorf("an API key is used twice")
		}
		d.byKey[k.Hash] = Account{Merchant: m, Live: k.Live}
	}
	for _, mb := range m.Banks {
		b := banks[mb.Bank]
		if b == nil {
			return fmt.Errorf("bank %q is not configured", mb.Bank)
		}
		if mb.MerchantID == "" || len(mb.Terminals) == 0 {
			return fmt.Errorf("bank %q: needs a merchant id and at least one terminal", mb.Bank)
		}
		d.routes[routeKey(m.ID, mb.Bank)] = &route{bank: b, as: mb, nameField: nameLocation(m)}
	}
	return nil
}

func (d *directory) route(merchant, bank string) *route { return d.routes[routeKey(merchant, bank)] }

func routeKey(merchant, bank string) string { return merchant + "\x00" + bank }

// nameLocation is DE43 in its common 1987 form: name 22, city 13, region 3 and
// alphabetic country 2; the numeric country stays in DE19.
func nameLocation(m *Merchant) string {
	return fmt.Sprintf("%-22.22s %-12.12s %-2.2s", m.Name, m.City, m.Country)
}

// Authenticate finds the account of an API key.
func (s *Switch) Authenticate(key []byte) (Account, bool) {
	a, ok := s.dir.Load().byKey[HashKey(key)]
	return a, ok
}
