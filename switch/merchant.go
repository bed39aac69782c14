package payswitch

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"maps"
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

	OrderOnce bool // of each order at most one payment may succeed; see PayRequest.OrderOnce

	AcceptPartial bool // the approval of a part is as good, for all its payments
	CardPresent   bool // it may send what terminals read of cards
	PIN           PINKeys

	Receipts bool   // buyers whose e-mail address is known get receipts
	Language string // of letters to its buyers whose own is not known: en, ru or es; empty: en

	Events bool // its events are kept also while it has no webhook endpoint

	// Certificates are pins (see ParsePin) of the client certificates, one of which
	// every key of the merchant demands that has no pins of its own.
	Certificates []string

	Check *ShopCheck // asked before each payment; nil: nobody is

	TestUntil time.Time // from then on its test keys open nothing; zero: for ever
	TestOnly  bool      // it has no live keys, and live payments are not taken

	inFlight   *atomic.Int64
	asking     *asking
	test, live [8]byte // list prefixes of the two accounts
}

func (m *Merchant) restricted() bool { return m.TestOnly || !m.TestUntil.IsZero() }

// opens reports whether keys of a mode are let in.
func (m *Merchant) opens(live bool, now time.Time) bool {
	if live {
		return !m.TestOnly
	}
	return m.TestUntil.IsZero() || now.Before(m.TestUntil)
}

// MerchantBank is what one bank calls a merchant.
type MerchantBank struct {
	Bank       string
	MerchantID string   // DE42, at most 15 characters
	Terminals  []string // DE41, used in turn

	// Payouts are the currencies in which the merchant may pay out at this bank, and
	// how far below zero, in minor units, that may bring its balance there.
	Payouts map[string]int64
}

// directory finds merchants by key and by id. It is immutable.
type directory struct {
	byKey  map[[sha256.Size]byte]Account
	signs  map[ID]Account // by the id of a key that signs
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
	d.share()
	return d, nil
}

// share notes which routes have their bank to themselves.
func (d *directory) share() {
	sharers := map[*bank]int{}
	for _, r := range d.routes {
		sharers[r.bank]++
	}
	for _, r := range d.routes {
		r.alone.Store(sharers[r.bank] == 1)
	}
}

// put is a copy of the directory with one merchant added or changed; what the
// others hold stays theirs. REQUIRES: the merchant has no keys of its own.
func (d *directory) put(m *Merchant, banks map[string]*bank) (*directory, error) {
	next := &directory{byKey: d.byKey, signs: d.signs, byID: maps.Clone(d.byID), routes: maps.Clone(d.routes)}
	old := d.byID[m.ID]
	delete(next.byID, m.ID)
	if old != nil {
		for _, mb := range old.Banks {
			delete(next.routes, routeKey(m.ID, mb.Bank))
		}
	}
	if err := next.add(m, banks); err != nil {
		return nil, fmt.Errorf("merchant %q: %w", m.ID, err)
	}
	if old != nil {
		m.inFlight, m.asking = old.inFlight, old.asking
	}
	next.share()
	return next, nil
}

func (d *directory) add(m *Merchant, banks map[string]*bank) error {
	if m.ID == "" || d.byID[m.ID] != nil {
		return fmt.Errorf("id is missing or used twice")
	}
	if m.TimeZone == nil {
		m.TimeZone = time.UTC
	}
	m.inFlight, m.asking = new(atomic.Int64), new(asking)
	m.test, m.live = digestAccount("test", m.ID), digestAccount("live", m.ID)
	d.byID[m.ID] = m
	if check := m.Check; check != nil {
		kept := *check
		if kept.Deadline == 0 {
			kept.Deadline = DefaultShopDeadline
		}
		if kept.Deadline < MinShopDeadline || kept.Deadline > MaxShopDeadline {
			return fmt.Errorf("the deadline of its check is %s: want %s..%s", kept.Deadline, MinShopDeadline, MaxShopDeadline)
		}
		m.Check = &kept
	}
	for i := range m.Keys {
		k := &m.Keys[i]
		if _, taken := d.byKey[k.Hash]; taken {
			return fmt.Errorf("an API key is used twice")
		}
		d.byKey[k.Hash] = Account{Merchant: m, Live: k.Live, Key: k}
	}
	for _, mb := range m.Banks {
		b := banks[mb.Bank]
		if b == nil {
			return fmt.Errorf("bank %q is not configured", mb.Bank)
		}
		if mb.MerchantID == "" || len(mb.Terminals) == 0 {
			return fmt.Errorf("bank %q: needs a merchant id and at least one terminal", mb.Bank)
		}
		d.routes[routeKey(m.ID, mb.Bank)] = &route{bank: b, as: mb, nameField: nameLocation(m), closed: b.profile.TakesMerchant(m.MCC, m.Country)}
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

// with is a copy of the directory that knows the journal's keys besides its own.
// Keys of merchants that are no longer configured, and dead keys, open nothing.
func (d *directory) with(keys map[ID]*APIKey) *directory {
	next := &directory{byKey: map[[sha256.Size]byte]Account{}, signs: map[ID]Account{}, byID: d.byID, routes: d.routes}
	for hash, a := range d.byKey {
		if a.Key.ID.IsZero() {
			next.byKey[hash] = a
		}
	}
	for id, k := range keys {
		m := d.byID[k.Merchant]
		switch a := (Account{Merchant: m, Live: k.Live, Key: k}); {
		case m == nil || !k.RevokedAt.IsZero():
		case k.Signed:
			next.signs[id] = a
		default:
			next.byKey[k.Hash] = a
		}
	}
	return next
}

// Authenticate finds the account of an API key. It takes no lock and allocates
// nothing.
func (s *Switch) Authenticate(key []byte) (Account, bool) {
	return s.alive(s.dir.Load().byKey[HashKey(key)])
}

// VerifySignature finds the account of a key that signs, by the key's id, when mac
// is the HMAC-SHA-256 of the message under its secret. The comparison takes the
// same time wherever they differ.
func (s *Switch) VerifySignature(id ID, message, mac []byte) (Account, bool) {
	a := s.dir.Load().signs[id]
	if a.Key == nil || !hmac.Equal(mac, s.SignAnswer(a, message)) {
		return Account{}, false
	}
	return s.alive(a)
}

// SignAnswer is the HMAC-SHA-256 of a message under the secret of the account's
// key. REQUIRES: it is a key that signs.
func (s *Switch) SignAnswer(a Account, message []byte) []byte {
	mac := hmac.New(sha256.New, []byte(s.keys.signingSecret(a.Key)))
	mac.Write(message)
	return mac.Sum(nil)
}

// alive refuses an account whose key has expired, and notes the use of a key of
// the journal.
func (s *Switch) alive(a Account) (Account, bool) {
	k := a.Key
	switch {
	case k == nil:
		return Account{}, false
	case a.Merchant.restricted() && !a.Merchant.opens(a.Live, s.o.Now()):
		return Account{}, false
	case k.ID.IsZero() && k.ExpiresAt.IsZero():
		return a, true
	}
	now := s.o.Now()
	if k.expired(now) {
		return Account{}, false
	}
	if !k.ID.IsZero() && k.touch(now) {
		s.issued.signal()
	}
	return a, true
}
