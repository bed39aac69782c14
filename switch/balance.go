package payswitch

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tranzit/tranzit/storage"
)

// spaceBalance holds the sums that payouts are held to: account digest, bank, 0
// and currency -> what was captured, less what was or may be given back or paid
// out. Only where the account may pay out.
const spaceBalance storage.Space = '$'

// Balance is what an account may pay out at one bank in one currency.
type Balance struct {
	Bank, Currency string
	Sum            int64 // captured, less refunded and paid out, what is not proven of these two counted as done; minor units
	Credit         int64 // how far below zero payouts may bring it
}

// purse is a balance that the journal keeps.
type purse struct {
	key    []byte
	credit int64
}

type purseKey struct{ merchant, bank, currency string }

// purses are the balances that are kept, by account, bank and currency. The
// mode of the account is that of the bank. They are read at the start: what
// changes later counts from the next one.
type purses map[purseKey]purse

func balanceKey(account [8]byte, bank, currency string) []byte {
	return append(append(append(append(make([]byte, 0, 32), account[:]...), bank...), 0), currency...)
}

// newPurses are the balances of merchants that may pay out.
func newPurses(dir *directory, merchants []Merchant, banks map[string]*bank) purses {
	all := purses{}
	for i := range merchants {
		m := dir.byID[merchants[i].ID]
		for _, mb := range m.Banks {
			account := accountDigest(Account{Merchant: m, Live: banks[mb.Bank].live})
			for currency, credit := range mb.Payouts {
				all[purseKey{m.ID, mb.Bank, currency}] = purse{balanceKey(account, mb.Bank, currency), credit}
			}
		}
	}
	return all
}

// of is the balance that a payment counts in, if one is kept.
func (all purses) of(p *Payment) *purse {
	if len(all) == 0 {
		return nil
	}
	kept, ok := all[purseKey{p.Merchant, p.Bank, p.Currency.Alpha()}]
	if !ok {
		return nil
	}
	return &kept
}

// funds is what a payment adds to its balance: what is captured for certain,
// less what may have been given back; of a payout, all that may have left.
func (h *history) funds() int64 {
	switch {
	case h.in == nil:
		return 0
	case h.Purpose == PurposePayout:
		if out := h.Status == StatusInFlight || h.Status == StatusUnknown || h.Status == StatusSucceeded; out || h.reversal.queued || h.reversal.desk != "" {
			return -h.Amount
		}
		return 0
	case len(h.operations) == 0:
		return h.AmountCaptured
	}
	t := h.tally()
	return t.captured - t.refunded - t.refunds
}

// settleFunds adds to the command what the step from before to the present
// changes in the balance. The intent of a payout is refused by the journal, with
// all that is in its command, when the balance is too small: what it takes is
// taken in the same step, so no two payouts take it twice.
func (h *history) settleFunds(c *storage.Command, before, after int64) {
	if h.purse == nil || before == after {
		return
	}
	least := int64(math.MinInt64)
	if h.Version == 1 {
		least = -h.purse.credit
	}
	c.Add(spaceBalance, h.purse.key, after-before, least)
}

// openPurses begins the balances that are kept from now on with what the
// journal says happened before, and ends those that are not kept any more.
// REQUIRES: nothing else writes.
func (s *Switch) openPurses() error {
	var ended storage.Command
	keep := map[string]bool{}
	for _, p := range s.purses {
		keep[string(p.key)] = true
	}
	open := map[string]bool{}
	err := s.store.Scan(storage.Range{Space: spaceBalance}, func(key, _ []byte) bool {
		if open[string(key)] = true; !keep[string(key)] {
			ended.Delete(spaceBalance, key)
		}
		return true
	})
	if err != nil {
		return err
	}
	if _, err := s.store.Do(&ended); err != nil {
		return err
	}
	accounts := map[[8]byte]map[string]int64{}
	for _, p := range s.purses {
		if account := [8]byte(p.key); !open[string(p.key)] && accounts[account] == nil {
			accounts[account] = map[string]int64{}
		}
	}
	for account, sums := range accounts {
		if err := s.sumFunds(account, sums); err != nil {
			return err
		}
		var begun storage.Command
		for key := range keep {
			if [8]byte([]byte(key)) == account && !open[key] {
				begun.Set(spaceBalance, []byte(key), storage.AppendSum(nil, sums[key]))
			}
		}
		if _, err := s.store.Do(&begun); err != nil {
			return err
		}
		s.log.Info("balances for payouts begin", "balances", len(keep))
	}
	return nil
}

// sumFunds adds up the balances of an account from its records, by key.
func (s *Switch) sumFunds(account [8]byte, sums map[string]int64) error {
	for _, purpose := range []Purpose{PurposePayment, PurposePayout} {
		prefix := listed(account, purpose)
		for rng := (storage.Range{Space: spaceMerchant, Prefix: prefix[:]}); ; {
			ids, err := s.idsOf(rng, len(prefix), scanChunk)
			if err == nil {
				err = s.foldAll(ids, func(h *history) bool {
					sums[string(balanceKey(account, h.Bank, h.Currency.Alpha()))] += h.funds()
					return true
				})
			}
			if err != nil {
				return fmt.Errorf("balances: %w", err)
			}
			if len(ids) < scanChunk {
				break
			}
			last := ids[len(ids)-1]
			rng.From = append(append(bytes.Clone(prefix[:]), last[:]...), 0)
		}
	}
	return nil
}

// Balances are what an account may pay out: by bank in the merchant's order, and
// by currency. Errors are refusals.
func (s *Switch) Balances(a Account) ([]Balance, error) {
	dir, all := s.dir.Load(), []Balance{}
	for _, mb := range a.Merchant.Banks {
		if way := dir.route(a.Merchant.ID, mb.Bank); way == nil || way.bank.live != a.Live {
			continue
		}
		for _, currency := range slices.Sorted(maps.Keys(mb.Payouts)) {
			p, kept := s.purses[purseKey{a.Merchant.ID, mb.Bank, currency}]
			if !kept {
				continue
			}
			sum, err := s.balance(p.key)
			if err != nil {
				s.log.Error("a balance could not be read", "merchant", a.Merchant.ID, "error", err)
				return nil, errInternal
			}
			all = append(all, Balance{Bank: mb.Bank, Currency: currency, Sum: sum, Credit: p.credit})
		}
	}
	return all, nil
}

func (s *Switch) balance(key []byte) (int64, error) {
	val, found, err := s.store.Get(spaceBalance, key, nil)
	if err != nil || !found {
		return 0, err
	}
	sum, ok := storage.ReadSum(val)
	if !ok {
		return 0, errors.New("a balance of another form")
	}
	return sum, nil
}

// covers reports whether a bank's balance is enough for a payout now. The journal
// has the last word.
func (s *Switch) covers(m *Merchant, b *bank, r *PayRequest) (kept, enough bool) {
	p, kept := s.purses[purseKey{m.ID, b.id, r.Currency.Alpha()}]
	if !kept {
		return false, false
	}
	sum, err := s.balance(p.key)
	return true, err != nil || sum-r.Amount >= -p.credit
}

// errBalance is the refusal of a payout of more than there is.
var errBalance = &Refusal{Code: CodeBalance,
	Detail: "The balance at the bank is less than this payout. Nothing was recorded or sent."}
