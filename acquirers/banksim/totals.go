package banksim

import (
	"github.com/tranzit/tranzit/iso"
)

// Account is a number of bookings and their sum in minor units.
type Account struct {
	Count uint64 `json:"count"`
	Sum   int64  `json:"sum"`
}

func (a *Account) add(amount int64) { a.Count++; a.Sum += amount }

// more adds to the sum, and to the count only for the entry's first time.
func (a *Account) more(amount int64, first bool) {
	if first {
		a.Count++
	}
	a.Sum += amount
}

// Totals are the accounts of one currency. Net is what the bank holds in the
// end: charged - reversed - refunded + refunds reversed.
type Totals struct {
	Charged          Account `json:"charged"`
	Reversed         Account `json:"reversed"`
	Refunded         Account `json:"refunded"`
	RefundsReversed  Account `json:"refunds_reversed"`
	Captured         Account `json:"captured"`
	CapturesReversed Account `json:"captures_reversed"`
	Net              int64   `json:"net"`
}

// Summary is the state of the books as a whole.
type Summary struct {
	Entries          uint64            `json:"entries"`
	Currencies       map[string]Totals `json:"currencies"`        // by alphabetic code
	States           map[string]uint64 `json:"states"`            // entries per state
	Duplicates       uint64            `json:"duplicates"`        // requests of a known identity, answered and not applied
	Conflicts        uint64            `json:"conflicts"`         // the same with another amount, currency or card
	ReversalRepeats  uint64            `json:"reversal_repeats"`  // acknowledged again, counted once
	ReversalsRefused uint64            `json:"reversals_refused"` // wrong amount, currency or card, or by plan
	LateReversals    uint64            `json:"late_reversals"`    // money given back after the bank's answer had left
}

// total finds the accounts of a currency. REQUIRES: the currency is known.
func (b *Books) total(currency uint16) *Totals {
	t := b.totals[currency]
	if t == nil {
		t = &Totals{}
		b.totals[currency] = t
	}
	return t
}

// known says whether the bank keeps accounts in this currency.
func known(numeric []byte) (uint16, bool) {
	n, ok := number(numeric)
	if !ok || n > 999 {
		return 0, false
	}
	var text [3]byte
	_, ok = iso.CurrencyByNumeric(string(appendDigits(text[:0], uint64(n), 3)))
	return uint16(n), ok
}

// Summary adds nothing up: every account is kept as it goes.
func (b *Books) Summary() Summary {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Summary{Entries: uint64(b.count), Currencies: map[string]Totals{}, States: map[string]uint64{},
		Duplicates: b.stats.duplicates, Conflicts: b.stats.conflicts, ReversalRepeats: b.stats.reversalRepeats,
		ReversalsRefused: b.stats.reversalsRefused, LateReversals: b.stats.lateReversals}
	for cur, t := range b.totals {
		out := *t
		out.Net = t.Charged.Sum - t.Reversed.Sum - t.Refunded.Sum + t.RefundsReversed.Sum
		s.Currencies[currencyName(cur)] = out
	}
	for st := StateCharged; st < numStates; st++ {
		s.States[st.String()] = b.states[st]
	}
	return s
}
