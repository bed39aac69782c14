package payswitch

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tranzit/tranzit/storage"
)

// spaceKept holds the merchants of the journal: merchant id -> keptMerchant.
const spaceKept storage.Space = 'g'

// MerchantPrefix is the TypeID prefix of a merchant of the journal.
const MerchantPrefix = "mer"

// MaxKept is how many merchants the journal may hold beside those of the
// configuration.
const MaxKept = 20_000

// ErrOvertaken says that another command came first: nothing happened, and what
// the decision was made from has to be read again.
var ErrOvertaken = errors.New("another change came first")

// keptMerchants are the merchants that were added while the switch ran.
//
// Lock order: mu, then issuedKeys.mu, then Outbox.mu.
type keptMerchants struct {
	mu sync.Mutex
	by map[string]Merchant
}

// keptMerchant is a merchant in the journal. Its keys are those of the journal;
// it has neither payouts nor a check.
type keptMerchant struct {
	Name          string         `json:"name"`
	City          string         `json:"city"`
	Country       string         `json:"country"`
	MCC           string         `json:"mcc"`
	TimeZone      string         `json:"time_zone"`
	Banks         []MerchantBank `json:"banks"`
	RatePerSecond float64        `json:"rate_per_second,omitempty"`
	Burst         int            `json:"burst,omitempty"`
	MaxInFlight   int            `json:"max_in_flight,omitempty"`
	OrderOnce     bool           `json:"order_once,omitempty"`
	Events        bool           `json:"events,omitempty"`
	Receipts      bool           `json:"receipts,omitempty"`
	Language      string         `json:"language,omitempty"`
	TestUntil     time.Time      `json:"test_until,omitzero"`
	TestOnly      bool           `json:"test_only,omitempty"`
}

func (m *Merchant) keep() keptMerchant {
	return keptMerchant{Name: m.Name, City: m.City, Country: m.Country, MCC: m.MCC, TimeZone: m.TimeZone.String(), Banks: m.Banks,
		RatePerSecond: m.RatePerSecond, Burst: m.Burst, MaxInFlight: m.MaxInFlight, OrderOnce: m.OrderOnce, Events: m.Events, Receipts: m.Receipts, Language: m.Language,
		TestUntil: m.TestUntil, TestOnly: m.TestOnly}
}

func (k *keptMerchant) merchant(id string) (Merchant, error) {
	zone, err := time.LoadLocation(k.TimeZone)
	return Merchant{ID: id, Name: k.Name, City: k.City, Country: k.Country, MCC: k.MCC, TimeZone: zone, Banks: k.Banks,
		RatePerSecond: k.RatePerSecond, Burst: k.Burst, MaxInFlight: k.MaxInFlight, OrderOnce: k.OrderOnce, Events: k.Events, Receipts: k.Receipts, Language: k.Language,
		TestUntil: k.TestUntil, TestOnly: k.TestOnly}, err
}

// loadKept reads the merchants that were added in earlier lives.
func (s *Switch) loadKept() error {
	s.kept.by = map[string]Merchant{}
	var bad error
	err := s.store.Scan(storage.Range{Space: spaceKept}, func(key, body []byte) bool {
		var k keptMerchant
		var m Merchant
		if bad = json.Unmarshal(body, &k); bad == nil {
			m, bad = k.merchant(string(key))
		}
		if bad != nil {
			bad = fmt.Errorf("merchant %s: %w", key, bad)
			return false
		}
		s.kept.by[m.ID] = m
		return true
	})
	return errors.Join(err, bad)
}

// directoryOf joins the merchants of the configuration and those of the journal.
// A bank of the latter that is not configured any more takes none of its payments.
func (s *Switch) directoryOf(configured []Merchant) (*directory, error) {
	all := slices.Clone(configured)
	for _, m := range s.kept.by {
		known := slices.Clone(m.Banks)
		m.Banks = slices.DeleteFunc(known, func(mb MerchantBank) bool { return s.banks[mb.Bank] == nil })
		all = append(all, m)
	}
	return newDirectory(all, s.banks)
}

var (
	merchantCountry = regexp.MustCompile(`^[0-9]{3}$`)
	merchantMCC     = regexp.MustCompile(`^[0-9]{4}$`)
)

func (m *Merchant) validate(banks map[string]*bank) error {
	fault := func(pointer, detail string) error {
		return &Refusal{Code: CodeInvalidRequest, Pointer: pointer, Detail: detail}
	}
	if _, err := ParseID(MerchantPrefix, m.ID); err != nil {
		return fault("/id", "A merchant's id is mer_ and 26 characters.")
	}
	switch {
	case strings.TrimSpace(m.Name) == "":
		return fault("/name", "A merchant has a name.")
	case !merchantCountry.MatchString(m.Country):
		return fault("/country", "Must be three digits of ISO 3166.")
	case !merchantMCC.MatchString(m.MCC):
		return fault("/mcc", "Must be four digits.")
	case len(m.Keys) > 0 || m.Check != nil:
		return fault("", "A merchant of the journal has no keys of the configuration and no check.")
	}
	for _, mb := range m.Banks {
		if banks[mb.Bank] == nil {
			return &Refusal{Code: CodeUnknownBank, Detail: fmt.Sprintf("There is no bank %q.", mb.Bank)}
		}
		if len(mb.MerchantID) == 0 || len(mb.MerchantID) > 15 || len(mb.Payouts) > 0 {
			return fault("/merchant_id", "The merchant id at a bank has 1 to 15 characters (DE42).")
		}
		if len(mb.Terminals) == 0 || slices.ContainsFunc(mb.Terminals, func(t string) bool { return len(t) != 8 }) {
			return fault("/terminals", "A merchant has at least one terminal at a bank, each of 8 characters (DE41).")
		}
	}
	return nil
}

// KeepMerchant adds a merchant to the journal, or changes it there, and puts it in
// force; also adds what has to become durable in the very same step and may be
// nil. When a claim of also is taken the error is ErrOvertaken and nothing
// happened. Payments in flight finish as they began. Other errors are refusals.
func (s *Switch) KeepMerchant(m Merchant, act Act, also func(*storage.Command)) error {
	if m.TimeZone == nil {
		m.TimeZone = time.UTC
	}
	if err := act.Validate(); err != nil {
		return err
	}
	if err := m.validate(s.banks); err != nil {
		return err
	}
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	return s.keepMerchant(m, act, also)
}

// keepMerchant is KeepMerchant for a merchant that is valid. REQUIRES: s.kept.mu.
func (s *Switch) keepMerchant(m Merchant, act Act, also func(*storage.Command)) error {
	_, known := s.kept.by[m.ID]
	switch {
	case !known && s.dir.Load().byID[m.ID] != nil:
		return wrongState("The merchant %s is one of the configuration.", m.ID)
	case !known && len(s.kept.by) >= MaxKept:
		return wrongState("The journal holds %d merchants, as many as it may.", MaxKept)
	}
	entry := m
	dir, err := s.dir.Load().put(&entry, s.banks)
	if err != nil {
		return &Refusal{Code: CodeInvalidRequest, Detail: "The merchant cannot be taken: " + err.Error() + "."}
	}
	body, err := json.Marshal(m.keep())
	if err != nil {
		return errInternal
	}
	var c storage.Command
	c.Set(spaceKept, []byte(m.ID), body)
	if also != nil {
		also(&c)
	}
	result, err := s.store.Do(&c)
	switch {
	case err != nil:
		s.log.Error("a merchant could not be written", "merchant", m.ID, "error", err)
		return errInternal
	case result.Kind != storage.Applied:
		return ErrOvertaken
	}
	s.kept.by[m.ID] = m
	s.enact(dir)
	s.log.Warn("a merchant was kept", "merchant", m.ID, "new", !known, "test_until", m.TestUntil, "live", !m.TestOnly, "by", act.Operator, "reason", act.Reason)
	return nil
}

// SetReceipts says whether the buyers of a merchant of the journal get receipts.
// Errors are refusals.
func (s *Switch) SetReceipts(id string, on bool, act Act) error {
	if err := act.Validate(); err != nil {
		return err
	}
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	m, known := s.kept.by[id]
	switch {
	case !known && s.dir.Load().byID[id] != nil:
		return wrongState("The merchant %s is one of the configuration: say it there.", id)
	case !known:
		return &Refusal{Code: CodeNotFound, Detail: "There is no such merchant."}
	case m.Receipts == on:
		return nil
	}
	m.Receipts = on
	return s.keepMerchant(m, act, nil)
}

// KeptMerchant is a merchant of the journal as it is kept.
func (s *Switch) KeptMerchant(id string) (Merchant, bool) {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	m, ok := s.kept.by[id]
	m.Banks = slices.Clone(m.Banks)
	return m, ok
}

// NewID is an id that was never given before, for what the floors above keep in
// the journal.
func (s *Switch) NewID() ID { return s.ids.next(s.now()) }

// BankIsLive reports whether a bank takes live payments; known is false when it
// is not configured.
func (s *Switch) BankIsLive(id string) (live, known bool) {
	b := s.banks[id]
	return b != nil && b.live, b != nil
}

// BankIDs are the banks of one mode in configured order.
func (s *Switch) BankIDs(live bool) (ids []string) {
	for _, b := range s.order {
		if b.live == live {
			ids = append(ids, b.id)
		}
	}
	return ids
}
